"""Simulated months of batteries: charges between two rests, of packs that are as worn as they are said to be."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from simulator.battery_past import CLOSE_S, EVERY_DAYS, REST_S, STEP_S, Told, nights
from simulator.cells import LFP, NMC, Cells
from simulator.day import Day
from simulator.demo_day import demo_day, evening
from simulator.pack import Pack
from simulator.personas import rng_for
from simulator.telematics import unit_of, version_of
from simulator.wear import Wear, leaking, wear_of, worn_day

SEED = 3
OLD = Wear(years=5.0, left=0.8, fades=0.04, stiffer=1.4)


@pytest.fixture(scope="module")
def day() -> Day:
    return demo_day(start=evening(datetime(2026, 11, 22, 12, tzinfo=UTC)), seed=SEED)


def told(day: Day, wears: dict[str, Wear], days: int) -> dict[str, list[Told]]:
    makes = dict.fromkeys(wears, NMC)
    found: dict[str, list[Told]] = defaultdict(list)
    for ago, said in nights(day, wears, makes, days=days, seed=SEED):
        assert all(day.start - timedelta(days=ago) <= one.at < day.start - timedelta(days=ago - 1) for one in said)
        for one in said:
            found[one.pack.vehicle_id].append(one)
    return found


def test_each_night_is_a_charge_between_two_rests_without_a_gap(day: Day) -> None:
    wears = {stay.vehicle_id: OLD for stay in day.stays}
    found = told(day, wears, EVERY_DAYS)
    assert set(found) == set(wears)
    for said in found.values():
        steps = [(b.at - a.at).total_seconds() for a, b in pairwise(said)]
        assert max(steps) <= STEP_S
        assert min(steps) == CLOSE_S
        amps = [float(str(one.said["current_a"])) for one in said]
        first, last = next(k for k, a in enumerate(amps) if a), max(k for k, a in enumerate(amps) if a)
        assert (said[first].at - said[0].at).total_seconds() >= REST_S - STEP_S
        assert (said[-1].at - said[last].at).total_seconds() >= REST_S - STEP_S
        assert all(amps[first : last + 1])


def test_the_charge_that_flows_is_what_is_left_of_the_battery(day: Day) -> None:
    stay = next(stay for stay in day.stays if stay.vehicle_id[0] == "V")
    said = told(day, {one.vehicle_id: OLD for one in day.stays}, EVERY_DAYS)[stay.vehicle_id]
    wh = sum(
        float(str(b.said["current_a"])) * float(str(b.said["voltage_v"])) * (b.at - a.at).total_seconds() / 3600
        for a, b in pairwise(said)
        if a.said["current_a"]
    )
    took = float(str(said[-1].said["soc"])) - float(str(said[0].said["soc"]))
    assert wh / took == pytest.approx(stay.battery_wh * OLD.left, rel=0.02)


def test_a_leaking_cell_falls_behind_night_by_night_and_no_other_does(day: Day) -> None:
    wears = {stay.vehicle_id: OLD for stay in day.stays}
    vehicle = next(stay.vehicle_id for stay in day.stays if version_of(stay.vehicle_id, SEED) == 2)
    wears[vehicle] = leaking(OLD, per_day=0.006, days=10.0)
    said = told(day, wears, 14)
    by_night: dict[int, Told] = {(day.start - one.at).days: one for one in said[vehicle]}  # the last of each night, near full
    behind = [max(cells := one.said["cells_v"]) - min(cells) for _, one in sorted(by_night.items(), reverse=True)]  # type: ignore[call-overload]
    assert len(behind) == 14  # a unit that is worried about is heard of every night
    assert behind[-1] > 0.03 > behind[0]
    assert all(later > before - 0.004 for before, later in pairwise(behind[-9:]))
    assert len(said) == len(wears)


def test_the_same_seed_tells_the_same_months(day: Day) -> None:
    wears = {stay.vehicle_id: wear_of(stay.vehicle_id, SEED) for stay in day.stays}
    makes = dict.fromkeys(wears, LFP)
    assert list(nights(day, wears, makes, days=1, seed=SEED)) == list(nights(day, wears, makes, days=1, seed=SEED))


def test_wear_is_of_ordinary_size_and_was_less_before() -> None:
    for number in range(200):
        wear = wear_of(f"E-{number}", SEED)
        assert 0.75 < wear.left < 1.0
        assert wear.left < wear.left_before(100) <= 1.0
        assert 1.0 <= wear.stiffer < 1.5
    leak = leaking(wear, per_day=0.005, days=10)
    assert (leak.short_before(0), leak.short_before(10), leak.short_before(50)) == (0.05, 0.0, 0.0)


def test_tonights_batteries_hold_what_is_left(day: Day) -> None:
    worn = worn_day(day, {day.stays[0].vehicle_id: OLD})
    before, after = day.stays[0], worn.stays[0]
    assert after.battery_wh == round(0.8 * before.battery_wh)
    assert after.soc_arrival == before.soc_arrival
    for of in ("need_wh", "requested_wh"):  # to the same state of charge: nobody asks for more than there is room
        assert getattr(after, of) / after.battery_wh == pytest.approx(getattr(before, of) / before.battery_wh, rel=1e-3)
    assert worn.stays[1:] == day.stays[1:]


def test_cells_that_aged_are_stiffer_and_unlike_below_full() -> None:
    unit = unit_of("d", "V-1", 77_000, make=NMC, seed=SEED)
    new = Cells(NMC, series=108, rng=rng_for(SEED, "x"))
    old = Cells(NMC, series=108, rng=rng_for(SEED, "x"))
    old.aged(stiffer=1.4, uneven=rng_for(SEED, "y"))
    assert len(unit.cells.look(Pack(1e4, 0.5, 0.0), power_w=0, on_charger_s=0).cells_v) == 108

    def volts(cells: Cells, soc: float, power_w: float) -> list[float]:
        return cells.look(Pack(77_000, soc, 0.0), power_w=power_w, on_charger_s=0).cells_v

    def apart(cells: Cells, soc: float) -> float:
        found = volts(cells, soc, 0)
        return max(found) - min(found)

    assert apart(old, 0.2) > apart(new, 0.2)
    assert apart(old, 1.0) == pytest.approx(apart(new, 1.0), abs=0.0011)
    rise = [sum(volts(cells, 0.5, 40_000)) - sum(volts(cells, 0.5, 0)) for cells in (new, old)]
    assert rise[1] / rise[0] == pytest.approx(1.4, abs=0.02)
