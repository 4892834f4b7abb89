"""State of power: against a cell of another model, against real charge curves, and what it takes away from the level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.detection_matrix import CHARGING, PACK, Bench, calce_curves
from bms_bridge.charging import PackFacts
from bms_bridge.chemistry import TABLE, Chemistry
from bms_bridge.sop import HORIZONS_S, KNOWN_AFTER, Learned, Now, Power, lacks, learn, powers, resistance, typical_ohm
from bms_bridge.verdicts import Derate, Why

FACTS = PackFacts(chemistry=Chemistry.NMC, capacity_wh=100 * 100 * 3.65, cells=100)
NMC = TABLE[Chemistry.NMC]
TYPICAL = typical_ohm(Chemistry.NMC, 100)


@dataclass
class Cell:
    """A cell of 100 Ah as two RC branches over a straight open-circuit voltage: no equation of the estimate."""

    soc: float
    ohm: float = 0.0007
    fast_v: float = 0.0
    slow_v: float = 0.0

    def run(self, amps: float, seconds: float) -> float:
        """Its highest voltage meanwhile."""
        most_v = 0.0
        for _ in range(round(seconds)):
            self.fast_v += (amps * 0.2 * self.ohm - self.fast_v) * (1 - math.exp(-1 / 20))
            self.slow_v += (amps * 0.6 * self.ohm - self.slow_v) * (1 - math.exp(-1 / 400))
            self.soc += amps / 3600 / 100
            most_v = max(most_v, 3.35 + 0.85 * self.soc + amps * self.ohm + self.fast_v + self.slow_v)
        return most_v

    def copy(self) -> Cell:
        return Cell(self.soc, self.ohm, self.fast_v, self.slow_v)


def truth_w(cell: Cell, horizon_s: float, most_a: float, top_v: float) -> float:
    """The most power that holds, found by trying it."""
    low, high = 0.0, most_a
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if cell.copy().run(middle, horizon_s) <= top_v else (low, middle)
    return low * 100 * min(top_v, cell.copy().run(low, 1))


def taught(cell: Cell) -> tuple[Learned, float]:
    """What is learned of a cell whose current steps every 60 s, and its voltage at 50 A in the end."""
    memory, volts = Learned(), 0.0
    for second in range(420):
        amps = 50.0 if (second // 60) % 2 == 0 else 20.0
        volts = cell.run(amps, 1)
        memory = learn(memory, float(second), amps, volts, capacity_ah=100, typical_ohm=TYPICAL)
    return memory, volts


@pytest.mark.parametrize("soc", [0.3, 0.6, 0.8, 0.9, 0.95])
def test_the_truth_of_another_model_lies_within_the_interval(soc: float) -> None:
    cell = Cell(soc)
    memory, volts = taught(cell)
    known = resistance(memory, typical_ohm=TYPICAL)
    assert known.steps == 6
    assert known.ohm == pytest.approx(0.0007, rel=0.1)
    now = Now(current_a=50, high_v=volts, pack_v=100 * volts, soc=cell.soc, limit_a=300)
    found = powers(now, FACTS, NMC, known)
    assert [one.horizon_s for one in found] == list(HORIZONS_S)
    for one in found:
        real_w = truth_w(cell, one.horizon_s, min(300, 3 * 100), NMC.cell_high_from_v)
        assert one.low_w * 0.98 <= real_w <= one.high_w * 1.02, one
    assert found[0].watts >= found[1].watts >= found[2].watts


def test_a_step_that_the_voltage_does_not_follow_is_not_learned_from() -> None:
    memory = Learned()
    for second, (amps, volts) in enumerate([(0, 3.7), (50, 3.6), (0, 3.7), (50, 4.9), (0, 3.7), (3, 3.703)]):
        memory = learn(memory, float(second), amps, volts, capacity_ah=100, typical_ohm=TYPICAL)
    assert memory.steps == 0
    known = resistance(memory, typical_ohm=TYPICAL)
    assert (known.ohm, known.steps) == (TYPICAL, 0)
    assert KNOWN_AFTER > 0


@pytest.mark.parametrize(
    ("more", "because"),
    [
        ({}, "what its cells take"),
        ({"limit_a": 20.0}, "the battery's own limit"),
        ({"hottest_c": 53.0}, "heat"),
        ({"coldest_c": 3.0}, "cold"),
        ({"high_v": 4.15, "soc": 0.9}, "cell voltage"),
    ],
)
def test_what_limits_is_named(more: dict[str, Any], because: str) -> None:
    values: dict[str, Any] = {"current_a": 0.0, "high_v": 3.6, "pack_v": 360.0, "soc": 0.3} | more
    found = powers(Now(**values), FACTS, NMC, resistance(Learned(), typical_ohm=TYPICAL))
    assert found[0].because == because
    assert all(one.low_w <= one.watts <= one.high_w for one in found)


def test_what_is_not_known_has_no_estimate() -> None:
    now = Now(current_a=0, high_v=3.6, pack_v=360, soc=0.3)
    known = resistance(Learned(), typical_ohm=TYPICAL)
    assert lacks(PackFacts()) == "its chemistry is not known"
    assert powers(now, PackFacts(), NMC, known) == ()
    assert lacks(PackFacts(chemistry=Chemistry.NMC)) == "its capacity is not known"
    assert powers(now, PackFacts(chemistry=Chemistry.NMC), NMC, known) == ()


def test_a_pack_that_takes_more_than_it_can_hold_is_held_back_in_watts(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Chemistry.NMC, CHARGING)
    try:
        for at_s in range(10):
            bench.until(float(at_s))
            bench.hear(
                {
                    "temperatures_c": (30.0, 30.2, 30.4, 30.6), "soc": 0.97, "current_a": 200.0, "voltage_v": 96 * 4.17,
                    "cells_v": (4.17,) * 96, "limit_a": 300.0,
                }
            )  # fmt: skip
        verdicts = [verdict for _, verdict in bench.said if isinstance(verdict, Derate)]
        assert verdicts[0].why == (Why.POWER,)
        assert verdicts[0].limit_w is not None
        assert verdicts[0].limit_w < 200 * 96 * 4.17
        found = bench.guard.view(PACK).powers
        assert [one.horizon_s for one in found] == list(HORIZONS_S)
        assert isinstance(found[0], Power)
        assert "power" not in dict(bench.not_monitored)
    finally:
        bench.close()


@pytest.mark.data
def test_real_cells_reach_their_voltage_when_the_estimate_says_so(data_dir: Path) -> None:
    """CALCE, 0.5C CC-CV: half an hour (two minutes) before the cell reaches 4.19 V the current that flows is the most that it holds for
    that time. So the estimate of that moment is checked against a truth that was measured."""
    inside, errors = {120.0: 0, 1800.0: 0}, {120.0: list[float](), 1800.0: list[float]()}
    facts = PackFacts(chemistry=Chemistry.NMC, capacity_wh=1.1 * 3.65, cells=1)
    typical = typical_ohm(Chemistry.NMC, 1.1)
    for _, curve in calce_curves(data_dir):
        rows = [row for row in curve if row[2] > 0.5]
        full = next((row for row in rows if row[1] >= 4.19), None)
        if full is None or rows[0][0] > full[0] - 3600:
            continue
        length_s = full[0] - rows[0][0]
        for horizon_s in inside:
            row = max((row for row in rows if row[0] <= full[0] - horizon_s), key=lambda one: one[0])
            soc = 0.97 * (row[0] - rows[0][0]) / length_s * 0.9
            now = Now(current_a=row[2], high_v=row[1], pack_v=row[1], soc=soc)
            power = next(
                one
                for one in powers(now, facts, NMC, resistance(Learned(), typical_ohm=typical), stop_v=4.19)
                if one.horizon_s == horizon_s
            )
            real_w = row[2] * row[1]
            inside[horizon_s] += power.low_w <= real_w <= power.high_w
            errors[horizon_s].append(power.watts / real_w - 1)
    for horizon_s, found in errors.items():
        print(f"{horizon_s:g} s: n={len(found)} inside={inside[horizon_s]} mean={sum(found) / max(1, len(found)):+.2f}")
        assert not found or inside[horizon_s] >= 0.9 * len(found)
