"""What a stay asks for beside its energy: who says so, when it runs, and what it means for limiter, plan and account."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from small_yard import NOW, ONE, FlatTariff, SmallYard, run

from controller.codec import decode_state, encode_state
from controller.full_charges import FullChargesRoom
from controller.planning import read_answer
from controller.planning_problem import Asked, build
from controller.planning_settings import PlanningSettings
from controller.planning_stays import StaySettings
from controller.rows import Rows
from controller.traffic import LoopSettings, Traffic
from controller.wishes import FullCharges, FullSince, Load, Preconditioning, WishSettings, full_due, load_of
from depot import events as ev
from depot.fleet import Pack, Vehicle
from depot.values import InvalidValue, PackKey
from optimizer import plan

HALF_AN_HOUR = Preconditioning(8_000, 30)
FULL = WishSettings(full_charges=FullCharges(every_days=7, dwell_min=60))


def yard_with(wishes: WishSettings, *, kwh: float = 20, hours: float = 4) -> SmallYard:
    small = SmallYard()
    small.yard.wishes = wishes
    small.arrive(ONE, "E-1", kwh=kwh, hours=hours)
    return small


def row_of(small: SmallYard) -> tuple[int, int]:
    """(ceiling, plan's wish) of the first connector."""
    traffic = {key: Traffic() for key in small.yard.spec.connectors}
    rows = Rows(small.yard, LoopSettings(), traffic, reachable=lambda _: True).build(small.clock.at, {})
    row = next(row for row in rows if row.key == ONE)
    return row.ceiling_w, row.plan_w


def asked(small: SmallYard, wishes: WishSettings) -> tuple[Asked, PlanningSettings]:
    settings = PlanningSettings(stays=StaySettings(wishes=wishes), ready_margin_min=0)
    found = build(small.yard, settings, FlatTariff(), small.loop.limits_in_force(), now=small.clock.at, peak_w=0)
    assert found is not None
    return found, settings


# -- who says so --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vehicle", "rules", "expected"),
    [
        (None, (), None),
        (None, (HALF_AN_HOUR,), (8_000, 30)),
        (Vehicle("E-1", model="Bus"), (HALF_AN_HOUR, Preconditioning(12_000, 45, "Bus")), (12_000, 45)),
        (Vehicle("E-1", model="Van"), (Preconditioning(12_000, 45, "Bus"),), None),
        (Vehicle("E-1", precondition_w=5_000, precondition_min=20), (HALF_AN_HOUR,), (5_000, 20)),
        (Vehicle("E-1", precondition_w=0), (HALF_AN_HOUR,), None),
    ],
)
def test_the_registry_counts_before_the_model_and_the_model_before_all(
    vehicle: Vehicle | None, rules: tuple[Preconditioning, ...], expected: tuple[int, int] | None
) -> None:
    small = yard_with(WishSettings(preconditioning=rules))
    if vehicle is not None:
        small.put(ev.VehicleRegistered(vehicle))
    visit = small.yard.visit_on(ONE)
    assert visit is not None
    load = load_of(small.yard.state, visit, small.yard.wishes)
    leaves = visit.announced.depart_at
    assert load == (None if expected is None else Load(expected[0], leaves - timedelta(minutes=expected[1]), leaves))


@pytest.mark.parametrize(
    "values", [{"precondition_w": 5_000}, {"precondition_min": 20}, {"precondition_w": 5_000, "precondition_min": 999}]
)
def test_half_a_preconditioning_is_refused(values: dict[str, int]) -> None:
    with pytest.raises(InvalidValue, match="preconditioning"):
        Vehicle("E-1", **values)  # type: ignore[arg-type]


# -- the limiter --------------------------------------------------------------------------------------------------------


def test_a_served_vehicle_is_offered_its_preconditioning_in_time_and_not_before() -> None:
    small = yard_with(WishSettings(preconditioning=(HALF_AN_HOUR,)), kwh=20, hours=4)
    small.session(ONE, power_w=0, delivered_wh=21_000)
    assert row_of(small)[0] == 0
    small.clock.at = NOW + timedelta(hours=3, minutes=40)
    assert row_of(small)[0] == 8_000
    small.plan({"E-1": (0, 0, 0)})
    assert row_of(small) == (8_000, 8_000)
    small.clock.at = NOW + timedelta(hours=4)
    assert row_of(small)[0] == 0


def test_what_warms_the_cabin_is_not_counted_as_charged() -> None:
    small = yard_with(WishSettings(preconditioning=(HALF_AN_HOUR,)), kwh=20, hours=4)
    small.session(ONE, power_w=8_000, delivered_wh=10_000)
    visit = small.yard.visit_on(ONE)
    assert visit is not None
    small.clock.at = NOW + timedelta(hours=3, minutes=45)
    assert small.yard.remaining_wh(visit) == 12_000  # a quarter of an hour of 8 kW reached no battery
    small.yard.full_since[ONE] = small.clock.at  # it takes nothing: then it did not warm anything either
    assert small.yard.remaining_wh(visit) == 10_000


# -- the plan -----------------------------------------------------------------------------------------------------------


def test_the_plan_keeps_power_for_it_and_says_what_is_shed() -> None:
    wishes = WishSettings(preconditioning=(HALF_AN_HOUR,))
    small = yard_with(wishes, kwh=20, hours=4)
    found, settings = asked(small, wishes)
    assert found.visit_ids == ("visit E-1",)
    assert found.row_ids == ("visit E-1", "visit E-1/preconditioning")
    made = read_answer(found, plan(found.problem), now=small.clock.at, settings=settings)
    assert made.shed_wh == {}
    assert min(made.power_w["visit E-1"][14:16]) >= 8_000 - 1
    energy_wh = sum(made.power_w["visit E-1"]) / 4
    assert energy_wh == pytest.approx(20_000 + 4_000, abs=5)

    tight = replace(
        found,
        problem=replace(
            found.problem,
            site_limit_kw=np.full(found.problem.n_slots, 5.0),
            background_kw=np.zeros(found.problem.n_slots),
            limit_sources=(),
        ),
    )
    short = read_answer(tight, plan(tight.problem), now=small.clock.at, settings=settings)
    assert short.unmet_wh == {}
    assert short.shed_wh["visit E-1"] == pytest.approx(4_000, abs=5)  # 20 kWh take all the 20 that there are


def test_who_has_all_is_planned_for_its_load_alone() -> None:
    wishes = WishSettings(preconditioning=(HALF_AN_HOUR,))
    small = yard_with(wishes, kwh=20, hours=4)
    small.session(ONE, power_w=0, delivered_wh=21_000)
    found, settings = asked(small, wishes)
    made = read_answer(found, plan(found.problem), now=small.clock.at, settings=settings)
    assert sum(made.power_w["visit E-1"]) / 4 == pytest.approx(4_000, abs=5)


# -- full charges -------------------------------------------------------------------------------------------------------


def with_pack(small: SmallYard, chemistry: str = "LFP", soc: float = 0.5) -> None:
    small.put(ev.VehicleRegistered(Vehicle("E-1", battery_wh=100_000)), ev.PackRegistered(Pack(PackKey("E-1", "P1"), chemistry)))
    small.yard.soc[ONE] = (soc, small.clock.at)


def test_a_full_charge_is_due_for_its_chemistry_and_after_its_days() -> None:
    small = yard_with(FULL)
    assert not full_due(small.yard.state, "E-1", FULL, NOW)  # nobody knows what its pack is
    with_pack(small)
    assert full_due(small.yard.state, "E-1", FULL, NOW)
    assert not full_due(small.yard.state, "E-1", WishSettings(), NOW)
    small.put(ev.VehicleBalanced("E-1"))
    assert not full_due(small.yard.state, "E-1", FULL, NOW + timedelta(days=6))
    assert full_due(small.yard.state, "E-1", FULL, NOW + timedelta(days=7))
    other = yard_with(FULL)
    with_pack(other, "NMC")
    assert not full_due(other.yard.state, "E-1", FULL, NOW)


def test_a_due_battery_is_planned_to_be_full_before_its_dwell() -> None:
    small = yard_with(FULL, kwh=20, hours=8)
    with_pack(small)
    small.session(ONE, power_w=0)
    found, settings = asked(small, FULL)
    made = read_answer(found, plan(found.problem), now=small.clock.at, settings=settings)
    received_wh = np.cumsum(made.power_w["visit E-1"]) / 4
    dwell = 60 // settings.slot_minutes
    assert received_wh[-1 - dwell] == pytest.approx(50_000, rel=0.01)
    assert not made.shed_wh


def test_a_full_one_keeps_its_least_power_for_the_dwell_and_then_counts_as_balanced() -> None:
    small = yard_with(FULL, kwh=20, hours=8)
    with_pack(small, soc=1.0)
    small.session(ONE, power_w=0, delivered_wh=21_000)
    small.plan({"E-1": (0, 0, 0, 0)})
    assert row_of(small) == (6_000, 6_000)
    room = FullChargesRoom(small.yard)
    run(room.look())
    assert small.yard.state.full_charges == {}
    small.clock.at = NOW + timedelta(minutes=61)
    run(room.look())
    assert small.yard.state.full_charges == {"E-1": small.clock.at}
    run(room.look())
    assert sum(isinstance(e.data, ev.VehicleBalanced) for e in small.journal.facts) == 1
    assert decode_state(encode_state(small.journal.state)).full_charges == small.journal.state.full_charges


def test_who_loses_charge_begins_its_dwell_anew() -> None:
    since, dwell = FullSince(), timedelta(hours=1)
    assert since.seen({"a": (1.0, NOW)}, NOW, dwell=dwell) == []
    assert since.seen({"a": (0.95, NOW + dwell)}, NOW + dwell, dwell=dwell) == []
    assert since.seen({"a": (1.0, NOW + 1.5 * dwell)}, NOW + 2 * dwell, dwell=dwell) == []
    assert since.seen({"a": (1.0, NOW + 2 * dwell)}, NOW + 2.5 * dwell, dwell=dwell) == ["a"]
