"""Whether a runaway stays in its module: cell → module → pack, and the rule of the 90 seconds. Pure.

    spread(PackBuild(modules=12, cells_per_module=24), soc=0.8) --> Spread(advice, when each module follows, …)
    advice_of_sensors({3: 12.0, 4: 40.0}, …)                    the same rule on what was really seen

    pack lost within 90 s ──▶ EVACUATE: at once, and contain             leaves its module later ──▶ CLEAR: the timer of five minutes
    stays in its module ──▶ MAINTENANCE: an alert; charging stays stopped

A nodal model: a chain of modules, each a chain of cells; a cell that reaches its trigger temperature gives off its heat over the length
of an event, and passes it on by conduction. It is run with assumptions that err on either side; the advice follows the worse
one. Of a pack whose build nobody declared it is never MAINTENANCE. It takes tenths of a second: nothing for the path of a trip.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from bms_bridge import InvalidLayout
from bms_bridge.bay_propagation import heat_share

LOST_WITHIN_S: Final = 90.0
HORIZON_S: Final = 1_800.0
EVENT_S: Final = 2.0
"""Length of a cell's runaway: median of the failure databank (quarters 1.9 and 2.5 s)."""

FULL_RISE_K: Final = 1_550.0
"""By how much the runaway of a full cell would warm it if all of its heat stayed in it: upper quartile of the heat per gram of the
databank's heated and full cells, 1.39 kJ/g, at 0.9 J/(g·K)."""

STEP_S: Final = 0.25
MOST_NODES: Final = 2_000

Array = npt.NDArray[np.float64]


class Advice(StrEnum):
    """What the rule of the 90 seconds calls for."""

    EVACUATE = "evacuate"
    CLEAR = "clear"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackBuild:
    """How a pack is built. ``barriers``: its maker declares thermal barriers between modules."""

    modules: int = 12
    cells_per_module: int = 24
    barriers: bool = False

    def __post_init__(self) -> None:
        if self.modules < 1 or self.cells_per_module < 1 or self.modules * self.cells_per_module > MOST_NODES:
            raise InvalidLayout(f"a pack has 1 to {MOST_NODES} nodes, not {self.modules} × {self.cells_per_module}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackAssumptions:
    """What is not known of a pack. ``fuller``: by how much more charge its heat is taken, few tests being of cells below half.
    ``trigger_c``: temperature at which a cell follows; ``stays``: share of its heat that does not leave the pack; ``cell_s``,
    ``module_s``, ``barrier_s``: how fast a cell is warmed by the next one, in another module, behind a barrier (its heat capacity over
    the conductance); ``loss_s``: how fast it cools to the pack's case; ``start_c``: temperature of the pack."""

    fuller: float
    trigger_c: float
    stays: float
    cell_s: float
    module_s: float
    barrier_s: float
    loss_s: float
    start_c: float


WORST: Final = PackAssumptions(
    fuller=0.25, trigger_c=155.0, stays=1.0, cell_s=8.0, module_s=20.0, barrier_s=200.0, loss_s=3_600.0, start_c=60.0
)
"""Cells follow at the median trigger temperature of the databank's cells with an internal short; all heat stays in the pack."""

BEST: Final = PackAssumptions(
    fuller=0.0, trigger_c=254.0, stays=0.23, cell_s=60.0, module_s=400.0, barrier_s=4_000.0, loss_s=600.0, start_c=35.0
)
"""Cells follow at the median of heated cells without a short, and only what stays in the body of a cell of median heat (29 %)
warms anything."""


@dataclass(frozen=True, slots=True)
class Spread:
    """``modules_s``: for each module, when its first cell follows at the earliest and at the latest, s; None: not within
    :data:`HORIZON_S`. ``lost_s``: when the whole pack has followed, likewise."""

    advice: Advice
    modules_s: tuple[tuple[float | None, float | None], ...]
    lost_s: tuple[float | None, float | None]


def spread(build: PackBuild | None, soc: float = 1.0, *, module: int = 0) -> Spread:
    """What follows when the middle cell of ``module`` runs away. ``build`` None: nothing is known of the pack."""
    known = build or PackBuild()
    early, late = (_run(known, soc, module % known.modules, told) for told in (WORST, BEST))
    modules = tuple(zip((_first(row) for row in early), (_first(row) for row in late), strict=True))
    advice = _advice(early, module % known.modules)
    if build is None and advice is Advice.MAINTENANCE:
        advice = Advice.CLEAR
    return Spread(advice, modules, (_last(early), _last(late)))


def advice_of_sensors(away_s: Mapping[int, float], sensors: int) -> Advice:
    """The same rule on what was seen. ``away_s``: when each sensor, by number, was first so hot that its separators melt; ``sensors``: how
    many there are. All that a sensor tells of is its own place, so two of them are two modules."""
    if len(away_s) <= 1:
        return Advice.MAINTENANCE if away_s and sensors > 1 else Advice.EVACUATE
    times = sorted(away_s.values())
    return Advice.EVACUATE if times[1] - times[0] <= LOST_WITHIN_S else Advice.CLEAR


def _advice(cells_s: Array, module: int) -> Advice:
    """By the earliest times: the pack counts as lost from the moment in which a second module follows."""
    others = np.delete(cells_s, module, axis=0)
    leaves_s = float(others.min()) if others.size else _last(cells_s) or math.inf
    if leaves_s <= LOST_WITHIN_S:
        return Advice.EVACUATE
    return Advice.CLEAR if math.isfinite(leaves_s) else Advice.MAINTENANCE


def _first(cells_s: Array) -> float | None:
    earliest = float(cells_s.min())
    return earliest if math.isfinite(earliest) else None


def _last(cells_s: Array) -> float | None:
    latest = float(cells_s.max())
    return latest if math.isfinite(latest) else None


def _run(build: PackBuild, soc: float, module: int, told: PackAssumptions) -> Array:
    """When each cell runs away, s, by module and cell; inf: not within the horizon."""
    count = build.modules * build.cells_per_module
    exchange: Array = np.full(max(0, count - 1), 1.0 / told.cell_s)
    borders = np.arange(build.cells_per_module - 1, count - 1, build.cells_per_module)
    exchange[borders] = 1.0 / (told.barrier_s if build.barriers else told.module_s)
    rise_k = FULL_RISE_K * told.stays * heat_share(min(1.0, soc + told.fuller))
    away_s: Array = np.full(count, math.inf)
    first = module * build.cells_per_module + build.cells_per_module // 2
    away_s[first] = 0.0
    cells_c: Array = np.full(count, told.start_c)
    for step in range(int(HORIZON_S / STEP_S)):
        now_s = step * STEP_S
        flow = exchange * np.diff(cells_c)
        warming = (told.start_c - cells_c) / told.loss_s
        warming[:-1] += flow
        warming[1:] -= flow
        warming += np.where((now_s >= away_s) & (now_s < away_s + EVENT_S), rise_k / EVENT_S, 0.0)
        cells_c += warming * STEP_S
        new = (cells_c >= told.trigger_c) & np.isinf(away_s)
        if new.any():
            away_s[new] = now_s + STEP_S
        elif not (now_s < np.max(away_s, initial=0.0, where=np.isfinite(away_s)) + EVENT_S) and cells_c.max() < told.trigger_c:
            break  # nothing is hot enough any more
    return away_s.reshape(build.modules, build.cells_per_module)
