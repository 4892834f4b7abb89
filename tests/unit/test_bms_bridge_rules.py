"""Each rule: caught in the time that it promises, not by a single wrong value, and *not monitored* where its signals are too rare."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.detection_matrix import CHARGING, DECLARED, FAULTS, PACK, Bench, Fault, play, synthetic, values_of
from bms_bridge import InvalidThreshold
from bms_bridge.charging import Charging
from bms_bridge.chemistry import HIGHER_IS_CAUTIOUS, TABLE, Chemistry, Thresholds, inside
from bms_bridge.guard import Guard
from bms_bridge.rules.frame import Beyond, beyond
from bms_bridge.rules.tables import limits_table, rules_table
from bms_bridge.verdicts import Cause, Clear, Derate, Trip, Why

BY_RULE = {fault.rule: fault for fault in FAULTS}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "trips.md"
BENCHES = list[Bench]


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    made: BENCHES = []

    def make(**more: Any) -> Bench:
        made.append(Bench(tmp_path, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def healthy(at_s: float, seed: int = 1) -> dict[str, Any]:
    return synthetic(at_s, random.Random(f"{seed} {at_s}"))


def test_there_is_a_fault_for_every_rule_that_trips() -> None:
    assert BY_RULE.keys() == DECLARED.keys() - {"full", "power"}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.rule)
def test_at_the_least_rate_that_it_asks_for_a_rule_keeps_its_promise(fault: Fault, tmp_path: Path) -> None:
    declared = DECLARED[fault.rule]
    found = play(fault, declared.every_s, tmp_path, seed=1)
    assert found.took_s is not None
    assert 0 <= found.took_s <= declared.within_s
    assert (found.cause, found.not_monitored) == (declared.cause.value, "")


@pytest.mark.parametrize("name", sorted(DECLARED.keys() - {"full", "power", "over_time"}))
def test_a_rule_whose_signals_come_too_rarely_is_not_monitored_and_says_why(name: str, tmp_path: Path) -> None:
    declared = DECLARED[name]
    found = play(BY_RULE[name], 4 * declared.every_s, tmp_path, seed=1)
    assert f"must be every {declared.every_s:g} s" in found.not_monitored


@pytest.mark.parametrize(
    "name", ["cell_over_voltage", "cell_under_voltage", "voltage_spread", "voltage_collapse", "insulation", "sensors_lost"]
)
def test_a_single_wrong_value_trips_nothing(name: str, bench: Callable[..., Bench]) -> None:
    room = bench(charging=CHARGING)
    rng = random.Random(1)
    for at_s in range(60):
        room.until(float(at_s))
        values = values_of(synthetic, at_s, rng, chemistry=Chemistry.LFP)
        if at_s == 30:
            values = BY_RULE[name].values(values, 0.0)
        room.hear({key: value for key, value in values.items() if not key.startswith("trip_")})
    assert room.trip is None


def test_a_healthy_pack_is_left_alone(bench: Callable[..., Bench]) -> None:
    room = bench(charging=CHARGING)
    for at_s in range(1200):
        room.until(float(at_s))
        room.hear(healthy(at_s))
    assert room.said == []
    assert room.not_monitored == ()


def test_a_jump_between_two_samples_that_are_far_apart_is_no_runaway(bench: Callable[..., Bench]) -> None:
    room = bench()
    for at_s in range(0, 300, 10):
        room.until(float(at_s))
        room.hear({"temperatures_c": (40.0, 40.1, 40.2, 57.0 if at_s == 150 else 40.3)})
    assert room.trip is None


def test_what_is_not_sent_is_not_monitored(bench: Callable[..., Bench]) -> None:
    room = bench(chemistry=Chemistry.UNKNOWN, charging=replace(CHARGING, room_wh=None))
    for at_s in range(5):
        room.until(float(at_s))
        room.hear({"temperatures_c": (30.0, 30.1, 30.2, 30.3)})
    reasons = dict(room.not_monitored)
    assert reasons["insulation"] == "no insulation and no pack voltage heard"
    assert reasons["cell_over_voltage"] == "its chemistry is not known"
    assert reasons["over_time"] == "it is not known how much fits into the battery"
    assert "over_temperature" not in reasons
    assert "runaway" not in reasons
    room.until(40.0)
    assert dict(room.not_monitored)["runaway"] == "silent for 36 s"


def test_a_cell_near_its_limit_derates_and_what_is_given_back_comes_by_steps(bench: Callable[..., Bench]) -> None:
    room = bench()
    for at_s in range(400):
        room.until(float(at_s))
        high_v = 3.68 if at_s < 20 else 3.5
        room.hear(healthy(at_s) | {"cells_v": (high_v - 0.05,) * 20 + (high_v - 0.02, high_v)})
    shares = [(at, verdict.share) for at, verdict in room.said if isinstance(verdict, Derate)]
    assert shares[0][1] == 0.35
    assert all(later - before >= 59 for (before, _), (later, _) in pairwise(shares))
    assert isinstance(room.said[-1][1], Clear)
    assert not any(isinstance(verdict, Trip) for _, verdict in room.said)


def test_a_battery_whose_limit_is_exceeded_is_held_to_its_watts_before_it_trips(bench: Callable[..., Bench]) -> None:
    room = bench(charging=CHARGING)
    for at_s in range(3):
        room.until(float(at_s))
        room.hear(healthy(at_s) | {"limit_a": 60.0})
    (_, verdict), *_rest = room.said
    assert isinstance(verdict, Derate)
    assert (verdict.share, verdict.why) == (1.0, (Why.CURRENT,))
    assert verdict.limit_w == pytest.approx(60 * 320, rel=0.02)


def test_after_a_stop_nothing_is_left_at_once_and_a_stop_that_is_obeyed_trips_nothing(bench: Callable[..., Bench]) -> None:
    room = bench(charging=CHARGING)
    for at_s in range(120):
        room.until(float(at_s))
        if at_s == 8:
            room.charging = replace(CHARGING, metered_w=0)
        room.hear(healthy(at_s) | {"stop": at_s > 2})
    assert [verdict.share for _, verdict in room.said if isinstance(verdict, Derate)] == [0.0]
    assert room.trip is None


def test_what_cools_the_vehicle_after_its_stop_is_no_charging(bench: Callable[..., Bench]) -> None:
    room = bench(charging=replace(CHARGING, metered_w=8_000))
    for at_s in range(120):
        room.until(float(at_s))
        current_a = 100.0 if at_s < 10 else -2.0
        room.hear(healthy(at_s) | {"stop": at_s > 5, "current_a": current_a if at_s < 60 else None})
    assert room.trip is None


@pytest.mark.parametrize(
    ("charging", "trips"),
    [
        (replace(CHARGING, taken_wh=70_000), False),
        (replace(CHARGING, taken_wh=95_000), True),
        (replace(CHARGING, taken_wh=95_000, running_s=8 * 3600), False),
        (replace(CHARGING, taken_wh=95_000, room_wh=None), False),
        (replace(CHARGING, taken_wh=95_000, metered_w=200), False),
    ],
)
def test_charging_goes_on_beyond_what_fits_in(charging: Charging, trips: bool, bench: Callable[..., Bench]) -> None:
    room = bench(charging=charging)
    room.hear(healthy(0))
    room.until(60.0)
    assert (room.trip is not None) == trips


def test_a_danger_that_stands_is_told_to_who_wants_to_reset(bench: Callable[..., Bench]) -> None:
    room = bench(charging=CHARGING)
    for at_s in range(20):
        room.until(float(at_s))
        room.hear(healthy(at_s) | {"temperatures_c": (30.0, 30.1, 30.2, 30.3), "insulation_ohm": 1000.0 if at_s > 5 else 2e6})
    assert room.guard.against_reset(PACK) == "BUS1/P1: insulation is 3 Ω/V"
    for at_s in range(20, 90):
        room.until(float(at_s))
        room.hear(healthy(at_s) | {"temperatures_c": (30.0, 30.1, 30.2, 30.3)})
    assert room.guard.against_reset(PACK) is None


def test_what_a_detector_of_the_depot_sees_trips_and_ends_with_it(bench: Callable[..., Bench]) -> None:
    room = bench()
    room.guard.trip(PACK, Cause.SMOKE, {"detector": "SD-1"})
    room.guard.press(PACK, "SD-1", "SD-1 sees smoke")
    room.guard.trip(PACK, Cause.GAS, {})
    assert [verdict.cause for _, verdict in room.said if isinstance(verdict, Trip)] == [Cause.SMOKE]
    assert room.guard.against_reset(PACK) == "BUS1/P1: SD-1 sees smoke"
    room.guard.press(PACK, "SD-1", "")
    assert room.guard.against_reset(PACK) is None


def test_beyond_is_confirmed_by_samples_and_time_in_a_row_and_ends_by_the_hysteresis() -> None:
    memory: Beyond | None = None
    for now_s, over in enumerate((True, False, True, True)):
        memory = beyond(memory, float(now_s), over=over, back=not over, for_s=1.0, samples=2)
    assert memory == Beyond(2.0, 2, True)
    assert beyond(memory, 4.0, over=False, back=False, for_s=1.0, samples=2) == memory
    assert beyond(memory, 4.0, over=False, back=True, for_s=1.0, samples=2) is None


NAMES = [field.name for field in fields(Thresholds)]


@given(st.sampled_from(list(Chemistry)), st.sampled_from(NAMES), st.floats(allow_nan=True, allow_infinity=True))
def test_no_threshold_is_ever_loosened_by_a_setting(chemistry: Chemistry, name: str, value: float) -> None:
    row = TABLE[chemistry]
    try:
        changed = row.tightened(**{name: value})
    except InvalidThreshold:
        return
    assert inside(changed, chemistry)
    now, was = getattr(changed, name), getattr(row, name)
    assert now >= was if name in HIGHER_IS_CAUTIOUS else now <= was


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("chemistry", Chemistry)
def test_every_threshold_refuses_the_next_looser_value(chemistry: Chemistry, name: str) -> None:
    row = TABLE[chemistry]
    step = -0.01 if name in HIGHER_IS_CAUTIOUS else 0.01
    with pytest.raises(InvalidThreshold):
        row.tightened(**{name: getattr(row, name) + step})


def test_a_guard_takes_no_thresholds_outside_the_envelope(bench: Callable[..., Bench]) -> None:
    looser = replace(TABLE[Chemistry.LFP], trip_c=70)
    room = bench()
    with pytest.raises(InvalidThreshold, match="looser than the envelope"):
        Guard(
            room.latches,
            clock=room.clock,
            chemistry_of=lambda _: Chemistry.LFP,
            on_verdict=lambda _: None,
            thresholds={Chemistry.LFP: looser},
        )
    guard = Guard(
        room.latches, clock=room.clock, chemistry_of=lambda _: Chemistry.LFP, on_verdict=lambda _: None, tighter_of=lambda _: looser
    )
    assert guard.limits_of(PACK) == TABLE[Chemistry.LFP]


@pytest.mark.parametrize(("name", "made"), [("rules", rules_table), ("limits", limits_table)])
def test_the_tables_of_the_page_are_the_program_s(name: str, made: Callable[[], str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0].strip() == made()
