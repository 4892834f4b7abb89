"""The digital twin of a plan: honest plans pass, doctored ones are vetoed with the reason, and what is not known is not judged."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bms_bridge.twin.lump import kinds, lumps_of
from optimizer import PlanResult, Problem, Vehicle, plan
from optimizer.scenario import read
from optimizer.twin import Fault, TwinPack, TwinReport, run

SLOTS = 16
PACK = TwinPack(capacity_kwh=100.0, soc=0.3, chemistry="NMC", temp_c=25.0, ceiling_c=54.0)


def depot(**changes: Any) -> Problem:
    """Two vehicles, four hours, 60 kW each and 90 kW for both."""
    vehicles = tuple(
        Vehicle(id=name, arrival_slot=0, departure_slot=SLOTS, energy_kwh=40.0, p_max_kw=60.0, eff=0.9, holding_per_kwh_h=0.01)
        for name in ("bus-1", "bus-2")
    )
    made = Problem(
        t0=datetime(2026, 1, 12, 20, tzinfo=UTC),
        n_slots=SLOTS,
        slot_minutes=15,
        price_per_kwh=np.linspace(2.0, 1.0, SLOTS),
        site_limit_kw=np.full(SLOTS, 100.0),
        background_kw=np.full(SLOTS, 10.0),
        vehicles=vehicles,
    )
    return replace(made, **changes)


def judged(problem: Problem, result: PlanResult, *packs: TwinPack | None) -> TwinReport:
    return run(problem, result.power_kw, result.unmet_kwh, packs or (PACK, PACK), lumps_of=lumps_of, storage_kw=result.storage_kw)


def test_an_honest_plan_passes_and_says_where_its_packs_end() -> None:
    problem = depot()
    report = judged(problem, plan(problem, direct=True))
    assert report.veto == ""
    assert report.soc_at_departure == pytest.approx([0.7, 0.7], abs=1e-6)
    assert report.received_kwh == pytest.approx([40.0, 40.0])
    assert (report.hottest_c > 25).all()
    assert (report.hottest_c < 40).all()
    assert (report.wear_cost > 0).all()


def test_holding_energy_longer_wears_more() -> None:
    problem = depot()
    early, late = np.zeros((2, SLOTS)), np.zeros((2, SLOTS))
    early[:, 0], late[:, -1] = 30.0, 30.0
    found = [run(problem, power, np.full(2, 33.25), (PACK, PACK), lumps_of=lumps_of).wear_cost for power in (early, late)]
    assert (found[0] > 5 * found[1]).all()


@pytest.mark.parametrize(
    ("fault", "words", "doctor"),
    [
        (Fault.LIMIT, "the site's limit", lambda r: replace(r, power_kw=np.where(np.arange(SLOTS) == 3, 60.0, r.power_kw))),
        (Fault.LIMIT, "the rating", lambda r: replace(r, power_kw=r.power_kw + np.where(np.arange(SLOTS) == 0, [[75.0], [0.0]], 0.0))),
        (Fault.SHORT, "said to be served", lambda r: replace(r, power_kw=r.power_kw * 0.9)),
        (Fault.OVERFULL, "beyond full", lambda r: replace(r, power_kw=np.full((2, SLOTS), 30.0))),
    ],
)
def test_a_doctored_plan_is_vetoed_with_the_reason(fault: Fault, words: str, doctor: Any) -> None:
    problem = depot()
    report = judged(problem, doctor(plan(problem, direct=True)))
    assert any(finding.fault is fault and finding.vetoes and words in finding.text for finding in report.findings)
    assert report.veto


def test_energy_that_is_admitted_to_be_missing_is_no_veto() -> None:
    problem = depot(site_limit_kw=np.full(SLOTS, 20.0))
    result = plan(problem, direct=True)
    assert result.unmet_kwh.sum() > 30
    assert judged(problem, result).veto == ""
    assert "said to be served" in judged(problem, replace(result, unmet_kwh=np.zeros(2))).veto


def test_a_pack_that_the_plan_would_overheat_is_vetoed_with_a_power_that_would_not() -> None:
    problem = depot()
    result = plan(problem, direct=True)
    hot = replace(PACK, temp_c=46.0, ambient_c=44.0, ceiling_c=47.0)
    report = judged(problem, result, hot, PACK)
    (finding,) = (f for f in report.findings if f.vetoes)
    assert (finding.fault, finding.vehicle) == (Fault.HOT, 0)
    assert "bus-1 would reach" in report.veto
    assert finding.cap_kw is not None
    cool = replace(problem, vehicles=(replace(problem.vehicles[0], cap_kw=np.full(SLOTS, finding.cap_kw)), problem.vehicles[1]))
    assert judged(cool, plan(cool, direct=True), hot, PACK).veto == ""


def test_a_pack_that_is_too_hot_at_rest_is_no_fault_of_the_plan() -> None:
    problem = depot()
    report = judged(problem, plan(problem, direct=True), replace(PACK, temp_c=60.0, ambient_c=40.0), PACK)
    assert report.veto == ""
    assert any(f.fault is Fault.HOT and "at rest" in f.text for f in report.findings)


def test_an_announced_need_that_does_not_fit_is_told_and_no_veto() -> None:
    problem = depot()
    report = judged(problem, plan(problem, direct=True), replace(PACK, soc=0.9), PACK)
    assert report.veto == ""
    assert any(f.fault is Fault.OVERFULL and "as announced" in f.text for f in report.findings)


def test_what_is_not_known_is_not_judged_but_limits_are() -> None:
    problem = depot()
    result = plan(problem, direct=True)
    report = run(problem, result.power_kw, result.unmet_kwh, (None, None), lumps_of=lumps_of)
    assert report.veto == ""
    assert np.isnan(report.soc_at_departure).all()
    over = run(problem, result.power_kw * 0 + 59.0, result.unmet_kwh, (None, None), lumps_of=lumps_of)
    assert "the site's limit" in over.veto


def test_of_a_vehicle_that_comes_again_no_state_of_charge_is_said() -> None:
    often = replace(depot().vehicles[0], departure_slot=6, windows=((10, SLOTS),))
    problem = depot(vehicles=(often,))
    report = judged(problem, plan(problem), PACK)
    assert report.veto == ""
    assert np.isnan(report.soc_at_departure).all()


def test_limits_that_floors_and_background_break_are_no_fault_of_the_plan() -> None:
    vehicle = replace(depot().vehicles[0], floor_kw=20.0)
    problem = depot(vehicles=(vehicle,), site_limit_kw=np.full(SLOTS, 15.0))
    result = plan(problem, direct=True)
    assert result.over_limit_kw.any()
    assert judged(problem, result, PACK).veto == ""


def test_a_full_pack_takes_less_and_is_told_of_but_keeps_no_plan_from_the_others() -> None:
    vehicles = tuple(replace(v, energy_kwh=9.0, departure_slot=1, p_max_kw=40.0) for v in depot().vehicles)
    problem = depot(vehicles=vehicles)
    report = judged(problem, plan(problem), replace(PACK, soc=0.9), PACK)
    assert report.received_kwh[0] < report.received_kwh[1] == pytest.approx(9.0)
    assert report.veto == ""
    assert any(f.fault is Fault.SHORT and "too full" in f.text and f.vehicle == 0 for f in report.findings)


def test_every_chemistry_has_parameters_that_can_be() -> None:
    assert {"LFP", "NMC", "NCA", "LMO", "LTO", "unknown"} == set(kinds())
    for kind in kinds().values():
        assert 0 < kind.loss_at_1c < 0.2
        assert 1 < kind.heat_wh_per_k < 6
        assert 0.5 <= kind.knee_soc < 1
        assert 0 < kind.tail_share < 1


@pytest.mark.data
@pytest.mark.parametrize("name", ["mix-50", "ebus-50", "van-50", "nrel-fleet1", "acn-caltech-20191016", "mix-200", "ebus-200"])
def test_honest_plans_of_real_scenarios_pass(data_dir: Path, name: str) -> None:
    file = data_dir / "scenarios" / f"{name}.json"
    content = {entry["id"]: entry for entry in json.loads(file.read_text(encoding="utf-8"))["vehicles"]}
    problem = read(file)
    packs = [
        TwinPack(entry["battery_kwh"], entry["soc_arrival"], temp_c=entry.get("pack_temp_c"), ceiling_c=54.0)
        if "battery_kwh" in entry
        else None
        for entry in (content[vehicle.id] for vehicle in problem.vehicles)
    ]
    report = judged(problem, plan(problem, direct=True, deadline_s=60), *packs)
    assert report.veto == ""
    assert np.nanmax(report.soc_at_departure) <= 1.0
