"""Records of packs' lives: the same rows give the same record however often the lake ends; cycles as the standard counts them."""

from __future__ import annotations

import math
from collections import Counter
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import rainflow
from hypothesis import given, settings
from hypothesis import strategies as st
from lake_kit import A, B, Bench

from bms_bridge.lake import lifetime
from bms_bridge.lake.cycles import DEPTHS, STEP, Cycles, add, bin_of, open_halves
from bms_bridge.lake.lifetime import LONGEST_STEP_S, Life
from bms_bridge.lake.schema import Quality, Row, stored

socs = st.lists(st.integers(0, 100).map(lambda n: n / 100), min_size=1, max_size=200)


def turning_points(values: list[float]) -> list[float]:
    """The curve without movements below the step, as :mod:`bms_bridge.lake.cycles` sees it."""
    found: list[float] = []
    for value in values:
        if len(found) < 2:
            if not found or abs(value - found[0]) >= STEP:
                found.append(value)
        elif (value >= found[-1]) if found[-1] > found[-2] else (value <= found[-1]):
            found[-1] = value
        elif abs(value - found[-1]) >= STEP:
            found.append(value)
    return found


@given(socs)
@settings(max_examples=300, deadline=None)
def test_cycles_counted_as_they_come_are_those_of_the_standard_astm_e1049_5_4_4(values: list[float]) -> None:
    cycles = Cycles()
    for value in values:
        add(cycles, value)
    wanted: Counter[int] = Counter()
    points = turning_points(values)
    if len(points) == 2:  # one range is half a cycle; the library wants three points
        wanted[bin_of(abs(points[1] - points[0]), DEPTHS)] += 0.5
    elif points:
        for depth, _, count, _, _ in rainflow.extract_cycles(points):
            wanted[bin_of(depth, DEPTHS)] += count
    found = open_halves(cycles)
    assert {index: count for index, count in enumerate(found) if count} == dict(wanted)
    assert len(cycles.stack) < 2 * math.ceil(1 / STEP) + 3


says = st.fixed_dictionaries(
    {
        "temperatures_c": st.lists(st.one_of(st.none(), st.floats(-60, 260)), max_size=6).map(tuple),
        "soc": st.one_of(st.none(), st.floats(-1, 2)),
        "current_a": st.one_of(st.none(), st.floats(-500, 500)),
        "voltage_v": st.one_of(st.none(), st.floats(0, 900)),
        "cells_v": st.lists(st.one_of(st.none(), st.floats(0, 5)), max_size=4).map(tuple),
        "insulation_ohm": st.one_of(st.none(), st.floats(0, 1e7)),
        "soh": st.one_of(st.none(), st.floats(0, 1)),
        "stop": st.booleans(),
        "alarms": st.lists(st.sampled_from(["smoke_or_gas", "cell_imbalance", "x"]), max_size=2, unique=True).map(tuple),
    }
)
acts = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.sampled_from([A, B]), says, st.sampled_from([1, 10, 60, 200, 7200])),
        st.tuples(st.just("again")),
        st.tuples(st.just("end")),
        st.tuples(st.just("seal")),
        st.tuples(st.just("day")),
        st.tuples(st.just("trip"), st.sampled_from([A, B])),
    ),
    min_size=1,
    max_size=14,
)


@given(acts)
@settings(max_examples=8, deadline=None)
def test_whatever_happens_a_record_is_the_fold_of_its_rows(plan: list[tuple]) -> None:  # type: ignore[type-arg]  # of several shapes
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        seq = 0
        pending = list(plan)
        last = None
        while pending:
            with bench.lake() as lake:
                while pending:
                    act = pending.pop(0)
                    if act[0] == "end":
                        break
                    if act[0] == "say":
                        bench.forward(seconds=act[3])
                        last = bench.batch(bench.told(act[1], **act[2]))
                        lake.take(*last)
                    elif act[0] == "again" and last is not None:
                        lake.take(*last)
                    elif act[0] == "seal":
                        while lake.step():
                            pass
                    elif act[0] == "day":
                        bench.forward(days=1, hours=1)
                    elif act[0] == "trip":
                        seq += 1
                        lake.fact(act[1], at_us=seq, seq=seq, cause="smoke")
                for key, life in lake.lives.items():
                    assert lifetime.encode(lake.recomputed(key)) == lifetime.encode(life)
                    assert lifetime.decode(lifetime.encode(life)) == life
                    assert all(stored(row) == stored(row) for row in lake.rows(lake.entry_of(key)))  # type: ignore[arg-type]


def row(at_s: float, **values: object) -> Row:
    said: dict[str, object] = {
        "row_id": round(at_s), "revision": 0, "pack": "p", "received_us": round(at_s * 1e6) + 1_750_000_000_000_000, "reported_us": None,
        "age_s": 0.0,
        "quality": "good", "issues": "", "source": "can", "message_schema": "", "origin": "", "firmware": "", "sequence": None,
        "temperatures_c": (30.0,), "cells_v": (), "soc": None, "soh": None, "current_a": None, "voltage_v": None, "cell_min_v": None,
        "cell_max_v": None, "insulation_ohm": None, "limit_a": None, "limit_v": None, "stop": False, "alarms": "", "uncertainty_c": 0.0,
        "c_rate_per_h": None,
    }  # fmt: skip
    return Row(**(said | values))  # type: ignore[arg-type]  # as the test says


def test_throughput_hours_and_rates_of_a_known_charge() -> None:
    life = Life()
    for minute in range(61):
        lifetime.heard(life, row(minute * 60.0, current_a=100.0, voltage_v=500.0, soc=0.2 + minute / 100, c_rate_per_h=0.25))
    found = lifetime.shown(life, 50_000)
    assert (found["charge_in_ah"], found["energy_in_wh"], found["charge_out_ah"]) == (100.0, 50_000.0, 0.0)
    assert found["equivalent_full_cycles"] == 0.5
    assert found["charging_hours_by_c_rate"]["0.2 to 0.5"] == found["charging_hours_by_temperature_c"]["30 to 40"] == 1.0
    assert sum(found["hours_by_soc"].values()) == pytest.approx(1.0, abs=0.001)
    assert found["cycles_by_depth"]["0.6 to 0.7"] == 0.5
    lifetime.heard(life, row(3600 + LONGEST_STEP_S + 1, current_a=100.0))
    assert (life.seen_s, life.unseen_s) == (3600, LONGEST_STEP_S + 1)


def test_events_begin_once_and_end_with_hysteresis() -> None:
    life = Life()
    for number, hottest in enumerate((49.0, 50.0, 49.0, 51.0, 46.9, 56.0, 54.0, 52.0, 81.0)):
        lifetime.heard(life, row(number * 10.0, temperatures_c=(hottest, 20.0)))
    assert lifetime.shown(life, None)["thermal_events"] == {"50": 2, "55": 2, "60": 1, "80": 1}
    assert (life.hottest_c, life.coldest_c) == (81.0, 20.0)
    for number, (alarms, stop) in enumerate((("a,b", False), ("a", True), ("", False), ("a", True))):
        lifetime.heard(life, row(100 + number, alarms=alarms, stop=stop))
    assert life.triggers == {"a": 2, "b": 1, "bms_stop": 2}


def test_balancing_is_inferred_at_rest_and_imbalance_kept_by_month() -> None:
    life = Life()
    for number in range(20):
        spread = 0.020 - 0.0005 * number
        lifetime.heard(life, row(number * 60.0, cell_min_v=3.3, cell_max_v=3.3 + spread, c_rate_per_h=0.0, soh=0.97))
    lifetime.heard(life, row(1300.0, cell_min_v=3.3, cell_max_v=3.301, c_rate_per_h=0.5))
    assert life.balanced == 3
    assert life.balanced_v == pytest.approx(0.009, abs=0.001)
    found = lifetime.shown(life, None)["months"]
    assert [(month["spread_most_v"], month["soh"]) for month in found] == [(0.02, 0.97)]


def test_a_late_row_moves_no_clock_and_a_withdrawn_one_is_nothing() -> None:
    life = Life()
    lifetime.heard(life, row(0.0, current_a=10.0))
    lifetime.heard(life, row(100.0, current_a=10.0))
    before = life.charge_in_ah
    lifetime.heard(life, row(50.0, quality=Quality.LATE, current_a=400.0, temperatures_c=(62.0,), alarms="x"))
    lifetime.heard(life, row(60.0, quality=Quality.WITHDRAWN, temperatures_c=(99.0,)))
    assert (life.charge_in_ah, life.late, life.samples, life.hottest_c, life.triggers) == (before, 1, 3, 62.0, {"x": 1})
    assert timedelta(seconds=life.seen_s) == timedelta(seconds=100)
