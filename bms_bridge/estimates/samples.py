"""What a pack said, as arrays in the order of its own time; thinned while nothing happens, bounded always.

    lake row --Buffer.add()--> ... --Buffer.samples()--> Samples

A unit's samples come late, twice and out of order: they are put in the order of when they were true (arrival less age), and of two
of one moment the one that came last counts. Temperatures and voltages of one message are of one moment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.mean_cell import mean_cell_v

Floats = NDArray[np.float64]

MOST_KEPT: Final = 40_000
"""Samples of one pack in memory; the oldest go first."""

QUIET_S: Final = 60.0
BUSY_S: Final = 5.0
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Samples:
    """n moments. ``t_s``: Unix seconds, rising; ``current_a``: charging positive; ``voltage_v``: of the pack; ``cells_v`` [n, m], NaN
    where a cell was not told, m 0 where none ever was; ``hottest_c``, ``coldest_c``: of the sensors, NaN where none."""

    t_s: Floats
    current_a: Floats
    voltage_v: Floats
    cells_v: NDArray[np.float32]
    hottest_c: Floats
    coldest_c: Floats

    def __len__(self) -> int:
        return len(self.t_s)

    def cell_means(self, series: int) -> Floats:
        """Mean voltage of a cell at each moment, V: of all that were told where half or more were, else of the pack's. Dead cells do not
        count (:mod:`bms_bridge.mean_cell`)."""
        of_pack = self.voltage_v / series
        if not self.cells_v.shape[1]:
            return of_pack
        mean = mean_cell_v(self.cells_v)
        return np.where(np.isfinite(mean), mean, of_pack)


@dataclass(slots=True)
class _One:
    t_s: float
    current_a: float
    voltage_v: float
    cells_v: NDArray[np.float32]
    hottest_c: float
    coldest_c: float


@dataclass(slots=True)
class Buffer:
    """One pack's samples since some moment. ``step_a``: a change of current that is always kept. ``newest_s``: of its own time."""

    step_a: float = 2.0
    newest_s: float = 0.0
    _kept: list[_One] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._kept)

    def add(
        self,
        t_s: float,
        current_a: float | None,
        voltage_v: float | None,
        cells_v: NDArray[np.float32],
        temperatures_c: NDArray[np.float32],
    ) -> bool:
        """Keep it, unless it says nothing new. Samples without a current are nothing: charge cannot be counted over them."""
        if current_a is None or not np.isfinite(current_a):
            return False
        finite = temperatures_c[np.isfinite(temperatures_c)]
        one = _One(
            t_s,
            current_a,
            _NAN if voltage_v is None else voltage_v,
            cells_v,
            float(finite.max()) if len(finite) else _NAN,
            float(finite.min()) if len(finite) else _NAN,
        )
        if len(self._kept) >= 2:
            last, before = self._kept[-1], self._kept[-2]
            calm = abs(current_a - last.current_a) < self.step_a and abs(last.current_a - before.current_a) < self.step_a
            quiet = abs(current_a) < self.step_a
            if calm and before.t_s < last.t_s < t_s and t_s - before.t_s < (QUIET_S if quiet else BUSY_S):
                self._kept[-1] = one  # the one between said nothing that these two do not
                self.newest_s = max(self.newest_s, t_s)
                return True
        self._kept.append(one)
        self.newest_s = max(self.newest_s, t_s)
        if len(self._kept) > MOST_KEPT:
            del self._kept[: len(self._kept) - MOST_KEPT]
        return True

    def forget_before(self, t_s: float) -> None:
        """Drop what is older."""
        self._kept = [one for one in self._kept if one.t_s >= t_s]

    def samples(self) -> Samples:
        """In the order of time, one for each moment."""
        latest = {one.t_s: one for one in self._kept}
        ordered = [latest[t_s] for t_s in sorted(latest)]
        widths = [len(one.cells_v) for one in ordered if len(one.cells_v)]
        width = max(set(widths), key=widths.count) if widths else 0
        cells = np.full((len(ordered), width), np.nan, np.float32)
        for number, one in enumerate(ordered):
            if width and len(one.cells_v) == width:
                cells[number] = one.cells_v
        numbers = np.array([(o.t_s, o.current_a, o.voltage_v, o.hottest_c, o.coldest_c) for o in ordered], float).reshape(-1, 5)
        return Samples(numbers[:, 0], numbers[:, 1], numbers[:, 2], cells, numbers[:, 3], numbers[:, 4])
