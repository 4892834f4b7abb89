"""The digital twin: a day in seconds, years of them, an ensemble; held against closed forms and the planner's own table."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bms_bridge.chemistry import CELL, Chemistry
from bms_bridge.twin import DutyRefused, UnknownCell
from bms_bridge.twin import years as years_module
from bms_bridge.twin.ageing import PIVOT_LOSS, ageing_of, mean_loss, own_cycle_factor, time_rate
from bms_bridge.twin.cell import cells_of
from bms_bridge.twin.day import Lanes, run_day, with_full_cycles
from bms_bridge.twin.duty import Duty, chosen, planned, read_duties, shipped
from bms_bridge.twin.lump import lumps_of
from bms_bridge.twin.members import Pack, members_of, spreads
from bms_bridge.twin.years import outlook
from optimizer.life_table import MODEL_OF, STEEP_PER_C, rates_of

ROOT = Path(__file__).resolve().parents[2]
REST = Duty("rest", ((24.0, 0.0),), ambient_c=(25.0,), top_soc=0.5, floor_soc=0.0)


def lanes(duty: Duty, chemistry: str = "NMC", health: float = 1.0) -> Lanes:
    return Lanes([chemistry], [duty], np.zeros(1, dtype=np.intp), np.array([health]), np.ones(1))


@pytest.mark.parametrize("chemistry", ["LFP", "NMC"])
@pytest.mark.parametrize("temp_c", [15.0, 25.0, 40.0])
def test_eight_years_of_rest_take_what_the_planners_table_says(chemistry: str, temp_c: float) -> None:
    day = run_day(lanes(replace(REST, ambient_c=(temp_c,)), chemistry))
    exponent = ageing_of([chemistry]).time_exponent
    rates = rates_of(MODEL_OF[chemistry], temp_c)
    lost = (day.time * 365.25 * 8) ** exponent
    assert lost == pytest.approx(8 * (rates.at_empty + 0.5 * rates.per_soc), rel=0.01)
    assert day.full_cycles == pytest.approx(0.0)


@pytest.mark.parametrize(("chemistry", "cycles"), [("LFP", 1662.34), ("NMC", 1554.65)])
def test_full_cycles_at_60_percent_take_what_the_planners_table_says(chemistry: str, cycles: float) -> None:
    ageing = ageing_of([chemistry])
    rate = ageing.cycle_stress(np.array([25.0]), np.array([0.1]))[2]
    assert (rate * cycles) ** ageing.cycle_exponent == pytest.approx(cycles * float(rates_of(MODEL_OF[chemistry], 25.0).cycle), rel=0.01)


def test_fast_charging_is_as_steep_as_in_the_planners_table() -> None:
    for chemistry in ("LFP", "NMC"):
        ageing = ageing_of([chemistry])
        slow, fast = (ageing.cycle_stress(np.array([25.0]), np.array([c]))[2] ** ageing.cycle_exponent for c in (0.25, 1.25))
        assert fast / slow == pytest.approx(1 + STEEP_PER_C[chemistry])


def test_a_cell_takes_the_power_that_it_is_asked_within_its_voltages() -> None:
    cells = cells_of(["NMC"], np.ones(1))
    open_v = cells.open_circuit_v(np.array([0.5]))
    for power in (-3.0, -0.5, 0.5, 3.0):
        current = cells.current(np.array([power]), open_v)
        assert current * (open_v + current * cells.at_once) == pytest.approx(power, rel=1e-9)
    most = cells.current(np.array([500.0]), open_v)
    assert open_v + most * cells.at_once == pytest.approx(cells.top_v)
    assert cells.current(np.array([-1e6]), open_v) * cells.at_once + open_v == pytest.approx(cells.low_v)


def test_a_day_warms_a_pack_as_the_planners_lump_says() -> None:
    """The veto and the years share their heat: half a capacity an hour for long settles where the lump settles."""
    duty = Duty("fast", ((23.0, 0.0), (0.5, -0.5), (0.5, 0.5)), ambient_c=(20.0,), top_soc=0.8, floor_soc=0.0)
    hot = run_day(lanes(duty)).hottest_c - 20.0
    lump = lumps_of(["NMC"])
    open_v = 0.95 * CELL[Chemistry.NMC].nominal_v  # powers are asked; a cell at 80 to 30 % lies near its nominal voltage
    settled = lump.settles_k(slice(None), np.array([0.5 * CELL[Chemistry.NMC].nominal_v / open_v]))
    after_an_hour = lump.cooled(slice(None), settled, np.zeros(1), 1.0)
    assert hot == pytest.approx(after_an_hour, rel=0.2)


def test_energy_and_charge_are_kept() -> None:
    day = run_day(lanes(shipped()["stationary"]))
    assert 0.9 < day.efficiency[0] < 1.0
    assert day.full_cycles == pytest.approx([0.72], abs=0.03)
    assert day.unserved == pytest.approx([0.0], abs=1e-6)
    small = run_day(lanes(shipped()["stationary"], health=0.6))
    assert small.unserved == pytest.approx([1 - 0.6 * 0.8 / 0.72], abs=0.05)
    assert small.depth == pytest.approx([0.8], abs=0.01)


def test_a_finer_step_says_the_same() -> None:
    found = [run_day(lanes(shipped()["charging-buffer"]), step_s=step) for step in (15.0, 30.0)]
    for name in ("time", "cycles", "full_cycles", "hottest_c"):
        assert getattr(found[0], name) == pytest.approx(getattr(found[1], name), rel=0.01)


def test_hotter_fuller_and_busier_age_more() -> None:
    packs = [Pack("a", "LFP", 100.0)] * 4
    base = shipped()["stationary"]
    duties = [
        base,
        replace(base, name="hot", ambient_c=(40.0,)),
        replace(base, name="full", top_soc=1.0),
        replace(base, name="seldom", days_per_week=2.0),
    ]
    health = outlook(packs, duties, years=8).health[:, -1, 1]
    assert health[1] < health[0]
    assert health[2] < health[0]
    assert health[3] > health[0]


def test_quantiles_stand_in_order_and_health_never_rises() -> None:
    run = outlook([Pack("a", "LFP", 100.0, 0.85, 0.02, 5.0, 900.0), Pack("b", "NMC", 100.0)], [shipped()["ups"]] * 2, years=12)
    assert (np.diff(run.health, axis=2) >= 0).all()
    assert (np.diff(run.health, axis=1) <= 1e-12).all()
    assert (run.years_to[:, :, :-1] <= run.years_to[:, :, 1:]).all()
    assert (run.years_to[:, 0] <= run.years_to[:, 2]).all()


def test_what_a_pack_has_lost_tells_which_cells_it_can_be() -> None:
    """The prior's middle cell loses 10 % in its past; a pack that lost half of it, and one that lost twice as much, go on so."""
    past = {"soh_sd": 0.005, "age_years": 6.0, "full_cycles": 1000.0, "past_c": 28.0, "past_told": True}
    packs = [Pack(f"{soh}", "NMC", 100.0, soh, **past) for soh in (0.92, 0.7)]  # type: ignore[arg-type]
    blind = Pack("blind", "NMC", 100.0, 0.92, 0.005)
    run = outlook([*packs, blind], [shipped()["stationary"]] * 3, years=5)
    lost = run.health[:, 0, 1] - run.health[:, -1, 1]
    width = run.health[:, -1, 2] - run.health[:, -1, 0]
    assert lost[1] > 2 * lost[0]
    assert width[0] < 0.6 * width[2]


def test_a_member_starts_where_its_pack_is() -> None:
    drawn = members_of([Pack("a", "LFP", 100.0, 0.8, 0.03, 6.0, 1000.0), Pack("b", "LFP", 100.0, 0.8, 0.0)])
    health = 1 - drawn.lost_time - drawn.lost_cycles
    assert health[0].mean() == pytest.approx(0.8, abs=0.003)
    assert health[0].std() == pytest.approx(0.03, rel=0.15)
    assert health[1] == pytest.approx(0.8)


def test_the_same_pack_gets_the_same_answer_in_any_company() -> None:
    pack = Pack("a", "LFP", 100.0, 0.9, 0.02, 3.0, 500.0)
    alone = outlook([pack], [shipped()["telecom"]], years=5)
    among = outlook([Pack("b", "NMC", 50.0), pack], [shipped()["ups"], shipped()["telecom"]], years=5)
    assert np.allclose(alone.health[0], among.health[1])


def test_a_large_fleet_is_run_in_parts_and_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    packs = [Pack(f"{i}", "LFP", 100.0, 0.9 - 0.02 * i) for i in range(5)]
    duties = [shipped()["ups"]] * 5
    whole = outlook(packs, duties, years=2)
    monkeypatch.setattr(years_module, "AT_ONCE", 2)
    parts = outlook(packs, duties, years=2)
    for name in ("health", "years_to", "unserved", "hottest_c"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


def test_a_cells_own_exponent_turns_its_curve_around_the_pivot() -> None:
    table, own = np.array([0.5]), np.array([0.5, 1.0, 2.0])
    for factor in (0.25, 1.0, 4.0):
        times = own_cycle_factor(np.full(3, factor), table, own)
        at = (PIVOT_LOSS / factor) ** (1 / table)  # the sum at which the table times its factor has lost as much
        assert (at * times) ** own == pytest.approx(PIVOT_LOSS)
        before = (0.5 * at * times) ** own
        assert (np.diff(before) < 0).all()
    assert own_cycle_factor(np.ones(1), table, table) == pytest.approx(1.0)


def test_only_a_pack_with_a_past_drifts_from_it_and_the_faster_it_is_charged_the_more() -> None:
    name = "NMC"
    still = replace(spreads()[name], time_drift=0.0, time_drift_sigma=0.0, cycle_drift=0.0, cycle_drift_per_c=0.0, cycle_drift_sigma=0.0)
    worse = replace(still, cycle_drift_per_c=1.0)
    used = Pack("used", name, 100.0, 0.9, 0.01, 3.0, 1000.0, past_told=True)
    slow = Duty("slow", ((10.0, 0.08), (4.0, 0.0), (10.0, -0.08)))
    fast = Duty("fast", ((0.5, 1.6), (13.5, 0.0), (10.0, -0.08)))
    lost = {}
    for words, spread in (("still", still), ("worse", worse)):
        for duty in (slow, fast):
            run = outlook([used, Pack("new", name, 100.0)], [duty] * 2, years=3, spread={name: spread})
            lost[words, duty.name] = run.health[:, 0, 1] - run.health[:, -1, 1]
    assert lost["worse", "slow"][1] == lost["still", "slow"][1]
    assert lost["worse", "fast"][1] == lost["still", "fast"][1]
    gained = {duty: lost["worse", duty][0] / lost["still", duty][0] for duty in ("slow", "fast")}
    assert 1.0 < gained["slow"] < 1.2 < gained["fast"]


def test_ends_are_the_askers_and_finer_steps_say_the_same() -> None:
    pack, duty = Pack("a", "LFP", 100.0, 0.9, 0.005, 3.0, 900.0), shipped()["stationary"]
    run = outlook([pack], [duty], years=12, ends=(0.85, 0.7))
    assert run.years_to.shape == (1, 2, 3)
    usual = outlook([pack], [duty], years=12)
    assert np.array_equal(run.years_to[:, 1], usual.years_to[:, 1])
    fine = outlook([pack], [duty], years=12, steps_a_month=4)
    assert fine.health == pytest.approx(usual.health, abs=0.01)


def test_a_past_of_fast_charges_explains_a_loss_that_a_slow_one_does_not() -> None:
    """Two packs that lost alike: the one that was charged fast is the better cell."""
    past = {"soh": 0.88, "soh_sd": 0.005, "age_years": 4.0, "full_cycles": 1200.0, "past_told": True}
    packs = [Pack(f"{rate}", "NMC", 100.0, past_c_rate=rate, **past) for rate in (0.2, 1.5)]  # type: ignore[arg-type]
    drawn = members_of(packs)
    assert np.median(drawn.cycles[1]) < 0.8 * np.median(drawn.cycles[0])


@pytest.mark.data
def test_the_shipped_tables_are_those_of_the_data(data_dir: Path) -> None:
    for needed in (
        "degradation",
        "battery/hust",
        "battery/mit_matr",
        "battery/tju",
        "battery/xjtu",
        "battery/tbsi_sunwoda",
        "battery/joule_calendar",
    ):
        if not (data_dir / needed).is_dir():
            pytest.skip("real data sets not found")
    made = subprocess.run(
        [sys.executable, "-m", "benchmarks.twin_table", "--data", str(data_dir), "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr


def test_rates_of_time_go_both_ways() -> None:
    mean, exponent = np.array([0.01, 0.03]), np.array([0.5, 0.7])
    assert mean_loss(time_rate(mean, exponent), exponent) == pytest.approx(mean)
    assert (time_rate(mean, exponent) * 8) ** exponent == pytest.approx(8 * mean)


def test_a_plan_becomes_a_duty_that_ends_where_it_began() -> None:
    duty = planned("bus", [50.0] * 8 + [0.0] * 8, slot_minutes=30, begins_h=20.0, capacity_kwh=200.0, like=shipped()["depot-bus"])
    assert sum(hours for hours, _ in duty.power) == pytest.approx(24.0)
    assert sum(hours * rate for hours, rate in duty.power) == pytest.approx(0.0, abs=1e-12)
    assert duty.rates(1800.0)[40:48] == pytest.approx(0.25)
    assert duty.rates(1800.0)[20] == pytest.approx(-1.0 / 16)
    with pytest.raises(DutyRefused, match="do not fill a day"):
        planned("bus", [1.0], slot_minutes=1e-9, begins_h=0.0, capacity_kwh=200.0, like=duty)
    with pytest.raises(DutyRefused, match="fills the day"):
        planned("bus", [1.0] * 48, slot_minutes=30, begins_h=0.0, capacity_kwh=200.0, like=duty)


@pytest.mark.parametrize("cycles", [40.0, 250.0, 700.0])
def test_a_duty_by_its_numbers_brings_them(cycles: float) -> None:
    duty = chosen("own", ambient_c=25.0, depth=0.6, c_rate=0.8, cycles_a_year=cycles)
    assert duty.charge_c_rate == pytest.approx(0.8)
    day = run_day(lanes(with_full_cycles(duty, "NMC", cycles)))
    assert float(day.full_cycles[0]) * 365.25 == pytest.approx(cycles, rel=0.05)
    assert day.mean_c[0] >= 25.0


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"depth": 1.5}, "depth of a round .* between 0.05 and 0.98, not at 1.5"),
        ({"depth": 0.9, "top_soc": 0.8}, "must not pass"),
        ({"cycles_a_year": 4000.0}, "do not fit into days"),
        ({"c_rate": 0.0}, "rate of charging"),
        ({"ambient_c": float("nan")}, "temperature around it"),
    ],
)
def test_numbers_that_are_no_duty_are_refused(numbers: dict[str, float], words: str) -> None:
    with pytest.raises(DutyRefused, match=words):
        chosen("own", **({"ambient_c": 25.0, "depth": 0.6, "c_rate": 0.3, "cycles_a_year": 300.0} | numbers))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("power = [[24.0, 0.0]]", "must be a table"),
        ("[a]\npower = [[23.0, 0.0]]", "fill 24 hours"),
        ("[a]\npower = [[24.0, 9.0]]", "no power may pass"),
        ("[a]\npower = [[24.0, nan]]", "everything else numbers"),
        ("[a]\npower = [[24.0, 0.0]]\ntop_soc = 0.1\nfloor_soc = 0.2", "floor_soc"),
        ("[a]\npower = [[24.0, true]]", "power must be"),
        ("[a]\npower = [[24.0, 0.0]]\nspeed = 3", "known are"),
        ("[a]\npower = [[24.0, 0.0]]\nambient_c = [99.0]", "seasons"),
        ("", "holds no duty"),
        ("[a", "no TOML"),
    ],
)
def test_a_duty_that_is_none_is_refused_with_the_reason(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "duties.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DutyRefused, match=words):
        read_duties(file)


def test_of_a_chemistry_without_a_model_nothing_is_told() -> None:
    with pytest.raises(UnknownCell, match="LTO"):
        outlook([Pack("a", "LTO", 50.0)], [REST])
