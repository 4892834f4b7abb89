"""All packs of a depot, as far as they are hot: temperatures in, a score per pack about once a second.

    hear(pack, chemistry, temperatures)      keeps the newest temperatures of a pack that is above the gate or was
    tick(now_s) --> changed scores           all of them one step on, in numpy, and a score for each pack

A node is what one sensor tells of, taken ``inner_offset_k`` hotter: cells are hotter inside than where a sensor sits. Below
:data:`~bms_bridge.ect.score.GATE_C` nothing is integrated and a pack that was never above it is not even kept, so that an ordinary summer
costs nothing and wears nothing. What has been converted above the gate stays until a person declares the pack safe
(:meth:`EctWatch.forget`); it does not outlive a restart: the trip that such a pack has by then does.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from bms_bridge.chemistry import Chemistry
from bms_bridge.ect.kinetics import KELVIN, Kinetics, all_sets, kinetics_of
from bms_bridge.ect.lookup import earliest_runaway_s, time_to_runaway_s
from bms_bridge.ect.model import Array, advance, fresh
from bms_bridge.ect.runaway import RUNAWAY_K_PER_S
from bms_bridge.ect.score import DERATE_BELOW, GATE_C, SEI_C, SEPARATOR_C, TRIP_BELOW, stages, state_of_safety
from bms_bridge.pack_propagation import Advice, advice_of_sensors
from depot.values import PackKey

INNER_OFFSET_K: Final = 5.0
DERATE_WITHIN_S: Final = 4 * 3600.0
TRIP_WITHIN_S: Final = 600.0
"""Ten minutes: as long as people need to leave, twice. Of a cell that loses no heat that is about 133 °C, less where something heats it."""

MOST_STEP_S: Final = 60.0
SENSOR_ERROR_K: Final = 1.0
_RISE_OVER_S = 30.0
_CAUTIOUS_SET = "hatchard_kim"


class Alarm(StrEnum):
    """What a score calls for."""

    DERATE = "derate"
    TRIP = "trip"


class Score(NamedTuple):
    """``state_of_safety``: of the worst node, 0 to 1; ``coldest``: of the best one. ``stage``: of a runaway, 0 to 3. ``node_c``: the
    hottest node. ``runaway_in_s``: at the earliest and at the latest, of a cell that loses no heat; None: not foreseen. ``spreads``: what
    the rule of the 90 seconds says of sensors that were in runaway; None: none was."""

    pack: PackKey
    state_of_safety: float
    coldest: float
    stage: int
    node_c: float
    runaway_in_s: tuple[float | None, float | None]
    spreads: Advice | None = None

    @property
    def alarm(self) -> Alarm | None:
        """Trip below 0.5 or where runaway may come within ten minutes, derate below 0.8 or within four hours."""
        soonest = math.inf if self.runaway_in_s[0] is None else self.runaway_in_s[0]
        if self.state_of_safety < TRIP_BELOW or soonest < TRIP_WITHIN_S:
            return Alarm.TRIP
        if self.state_of_safety < DERATE_BELOW or soonest < DERATE_WITHIN_S:
            return Alarm.DERATE
        return None


class EctWatch:
    """The hot packs of one depot. ``inner_offset_k``: how much hotter a cell may be inside than its sensor says, 0 or more."""

    def __init__(self, inner_offset_k: float = INNER_OFFSET_K) -> None:
        self._offset_k = inner_offset_k
        self._banks: dict[str, _Bank] = {}
        self._packs: dict[PackKey, _Pack] = {}
        self._scores: dict[PackKey, Score] = {}
        self._last_s: float | None = None

    def hear(
        self,
        pack: PackKey,
        chemistry: Chemistry,
        temperatures: Sequence[tuple[int, float]],
        now_s: float,
        *,
        uncertainty_k: float = 0.0,
        joule_k_per_s: float = 0.0,
    ) -> None:
        """A pack's temperatures as (sensor, °C). ``uncertainty_k``: how much hotter it may be than it says. ``joule_k_per_s``: how fast
        I²·R of its current warms it."""
        if not temperatures:
            return
        hottest_c = max([c for _, c in temperatures])
        known = self._packs.get(pack)
        if known is None:
            if hottest_c + self._offset_k + uncertainty_k < GATE_C:
                return
            kinetics = kinetics_of(chemistry)
            bank = self._banks.setdefault(kinetics.name, _Bank(kinetics))
            known = self._packs[pack] = bank.packs[pack] = _Pack(bank)
        known.heard(temperatures, hottest_c, now_s, self._offset_k + uncertainty_k)
        known.joule_k_per_s = joule_k_per_s

    def tick(self, now_s: float) -> list[Score]:
        """Time went on: one step for all nodes above the gate. Returns the scores of all packs that are kept."""
        step_s = 0.0 if self._last_s is None else min(max(0.0, now_s - self._last_s), MOST_STEP_S)
        self._last_s = now_s
        if not self._packs:
            return []
        found = [score for bank in self._banks.values() if bank.packs for score in bank.step(step_s)]
        self._scores = {score.pack: score for score in found}
        return found

    def score_of(self, pack: PackKey) -> Score | None:
        """The newest score; None: the pack was never above the gate."""
        return self._scores.get(pack)

    def forget(self, pack: PackKey) -> None:
        """A person has looked at the pack and declared it safe: it is as good as new, until it is hot again."""
        known = self._packs.pop(pack, None)
        self._scores.pop(pack, None)
        if known is not None:
            known.bank.drop(pack)


class _Pack:
    """One pack that is or was hot: the columns of its bank, by sensor."""

    def __init__(self, bank: _Bank) -> None:
        self.bank = bank
        self.columns: dict[int, int] = {}
        self.index: npt.NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self.hottest_c = -math.inf
        self.joule_k_per_s = 0.0
        self.away_s: dict[int, float] = {}
        self._sensors: list[int] = []
        self._past: deque[tuple[float, float]] = deque()

    def heard(self, temperatures: Sequence[tuple[int, float]], hottest_c: float, now_s: float, hotter_k: float) -> None:
        self.hottest_c = hottest_c
        sensors = [sensor for sensor, _ in temperatures]
        if sensors != self._sensors:
            for sensor in sensors:
                if sensor not in self.columns:
                    self.columns[sensor] = self.bank.take()
            self.index = np.array([self.columns[sensor] for sensor in sensors], dtype=np.intp)
            self._sensors = sensors
        self.bank.temperature_k[self.index] = np.array([c for _, c in temperatures]) + (hotter_k + KELVIN)
        if hottest_c >= SEPARATOR_C:
            for sensor, celsius in temperatures:
                if celsius >= SEPARATOR_C:
                    self.away_s.setdefault(sensor, now_s)
        self._past.append((now_s, hottest_c))
        while len(self._past) > 2 and now_s - self._past[1][0] >= _RISE_OVER_S:
            self._past.popleft()

    @property
    def heating_k_per_s(self) -> float:
        """What warms it beside the reactions: as fast as the hottest sensor has warmed over half a minute (Q_joule and Q_abuse as they
        come), at least what its current explains (Q_joule)."""
        (then_s, then_c), (now_s, now_c) = self._past[0], self._past[-1]
        rise = (now_c - then_c) / (now_s - then_s) if now_s - then_s >= _RISE_OVER_S / 2 else 0.0
        return max(rise, self.joule_k_per_s)


class _Bank:
    """The nodes of all packs of one set of kinetics, side by side. In single precision: half the time, and good to 0.001."""

    def __init__(self, kinetics: Kinetics) -> None:
        self.kinetics = kinetics
        self.packs: dict[PackKey, _Pack] = {}
        self.state = fresh(kinetics, 64, np.float32)
        self.temperature_k: Array = np.full(64, KELVIN, dtype=np.float32)
        self._ways = tuple((name, short) for name in sorted({kinetics.name, _CAUTIOUS_SET}) for short in (False, True))
        self._used = 0
        self._free: list[int] = []
        self._order: npt.NDArray[np.intp] | None = None
        self._starts: npt.NDArray[np.intp] = np.zeros(0, dtype=np.intp)

    def take(self) -> int:
        """A column in which nothing has happened yet."""
        self._order = None
        if self._free:
            column = self._free.pop()
            self.state[:, column] = 0.0
            return column
        if self._used == len(self.temperature_k):
            self.state = np.concatenate([self.state, np.zeros_like(self.state)], axis=1)
            self.temperature_k = np.concatenate([self.temperature_k, np.full_like(self.temperature_k, KELVIN)])
        self._used += 1
        return self._used - 1

    def drop(self, pack: PackKey) -> None:
        """Nobody needs a pack's columns any more."""
        columns = self.packs.pop(pack).columns.values()
        self.temperature_k[list(columns)] = KELVIN
        self._free += columns
        self._order = None

    def step(self, step_s: float) -> list[Score]:
        """The scores of all packs, ``step_s`` later."""
        state, temperature_k = self.state[:, : self._used], self.temperature_k[: self._used]
        warming: Array = np.zeros_like(temperature_k)
        hot = temperature_k >= GATE_C + KELVIN
        if step_s > 0.0 and hot.all():
            warming = advance(self.kinetics, state, temperature_k, step_s) / (step_s * self.kinetics.heat_capacity_j_kg_k)
        elif step_s > 0.0 and hot.any():
            moved = state[:, hot]
            heat = advance(self.kinetics, moved, temperature_k[hot], step_s)
            state[:, hot] = moved
            warming[hot] = heat / (step_s * self.kinetics.heat_capacity_j_kg_k)
        return self._scores(state_of_safety(self.kinetics, state, temperature_k), stages(state, temperature_k, warming), temperature_k)

    def _scores(self, safety: Array, stage: npt.NDArray[np.int8], temperature_k: Array) -> list[Score]:
        if self._order is None:
            columns = [list(pack.columns.values()) for pack in self.packs.values()]
            self._order = np.concatenate([np.array(own, dtype=np.intp) for own in columns])
            self._starts = np.cumsum([0, *(len(own) for own in columns[:-1])]).astype(np.intp)
        order, starts = self._order, self._starts
        worst = np.minimum.reduceat(safety[order], starts)
        best = np.maximum.reduceat(safety[order], starts)
        node_c = np.maximum.reduceat(temperature_k[order], starts).astype(np.float64) - KELVIN
        early, late = self._runaway_in_s(node_c, worst)
        rows = zip(
            self.packs, worst.tolist(), best.tolist(), np.maximum.reduceat(stage[order], starts).tolist(), node_c.tolist(), early, late,
            strict=True,
        )  # fmt: skip
        return [
            Score(pack, low, high, self._stage(pack, level, c), c, (soon, end), self._spreads(pack))
            for pack, low, high, level, c, soon, end in rows
        ]

    def _stage(self, pack: PackKey, stage: int, node_c: float) -> int:
        """The stage of its nodes, or 3 where the pack warms as only a runaway does."""
        return 3 if node_c >= SEI_C and self.packs[pack].heating_k_per_s >= RUNAWAY_K_PER_S else stage

    def _spreads(self, pack: PackKey) -> Advice | None:
        known = self.packs[pack]
        return advice_of_sensors(known.away_s, len(known.columns)) if known.away_s else None

    def _runaway_in_s(self, node_c: Array, worst: Array) -> tuple[list[float | None], list[float | None]]:
        """At the earliest: as hot inside as may be, warming as it did, with a short circuit behind the separator and by the more
        cautious kinetics. At the latest: what the sensor says and less, by the kinetics of its chemistry alone."""
        packs = self.packs.values()
        hottest_c = np.array([pack.hottest_c for pack in packs]) - SENSOR_ERROR_K
        warming = np.array([pack.heating_k_per_s for pack in packs])
        early = earliest_runaway_s(self._ways, node_c + SENSOR_ERROR_K, warming)
        early[worst <= 0.0] = 0.0
        early[node_c < GATE_C] = np.inf
        late = np.maximum(earliest_runaway_s(((self.kinetics.name, False),), hottest_c, np.zeros_like(warming)), early)
        return [_known(s) for s in early.tolist()], [_known(s) for s in late.tolist()]


def _known(seconds: float) -> float | None:
    return None if math.isinf(seconds) else seconds


def warm_up() -> None:
    """Read kinetics and table now, so that the first hot pack waits for no disk."""
    for name in all_sets():
        time_to_runaway_s(name, 100.0)
