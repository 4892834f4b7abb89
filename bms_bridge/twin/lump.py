"""A pack as one warm body, and as what it accepts: the part of the twin that the planner's veto steps with, too.

    W/Wh of heat --settles_k()--> K above its surroundings, in the end --cooled()--> °C after a while
    state of charge --accepted()--> share of its charger's power

Parameters per chemistry stand in ``packs.csv``. Arrays over packs; every function is exact for constant power.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Index = NDArray[np.intp] | slice


@dataclass(frozen=True, slots=True)
class PackKind:
    """A line of ``packs.csv``; units stand there."""

    loss_at_1c: float
    heat_wh_per_k: float
    cooling_h: float
    knee_soc: float
    tail_share: float


@cache
def kinds() -> dict[str, PackKind]:
    """The lines of ``packs.csv`` by chemistry."""
    lines = (files("bms_bridge.twin") / "packs.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in lines if line and not line.startswith("#")][1:]
    return {row[0]: PackKind(*(float(value) for value in row[1:])) for row in rows}


@dataclass(frozen=True, eq=False, slots=True)
class Lumps:
    """n packs. ``loss_at_1c``: W of heat per Wh at one capacity an hour; ``warms_k``: K in the end per W of heat and Wh; ``cooling_h``."""

    loss_at_1c: Floats
    warms_k: Floats
    cooling_h: Floats
    knee_soc: Floats
    fall: Floats

    def accepted(self, who: Index, soc: Floats) -> Floats:
        """Share (0–1) of its charger's power that a pack takes at ``soc`` (0–1); nothing when full."""
        share: Floats = np.where(soc >= 1.0, 0.0, np.minimum(1 - self.fall[who] * (soc - self.knee_soc[who]), 1.0))
        return share

    def settles_k(self, who: Index, c_rate: Floats) -> Floats:
        """K above its surroundings, in the end, at so many capacities an hour."""
        heat: Floats = self.warms_k[who] * self.loss_at_1c[who] * c_rate * c_rate
        return heat

    def coolest_c_rate(self, who: int, room_k: float) -> float:
        """Capacities an hour that can go on for ever without warming the pack by more than ``room_k``."""
        return float(np.sqrt(max(room_k, 0.0) / (self.warms_k[who] * self.loss_at_1c[who])))

    def cooled(self, who: Index, settled_c: Floats, temp_c: Floats, hours: float) -> Floats:
        """°C after ``hours`` on the way to where it would settle, first order."""
        left: Floats = settled_c + (temp_c - settled_c) * np.exp(-hours / self.cooling_h[who])
        return left


def lumps_of(chemistries: Sequence[str]) -> Lumps:
    """Packs of these chemistries; one that is not in the table is of the kind ``unknown``."""
    table = kinds()
    kind = [table.get(name, table["unknown"]) for name in chemistries]
    cooling_h = np.array([one.cooling_h for one in kind])
    return Lumps(
        loss_at_1c=np.array([one.loss_at_1c for one in kind]),
        warms_k=np.array([1000 / one.heat_wh_per_k for one in kind]) * cooling_h,
        cooling_h=cooling_h,
        knee_soc=np.array([one.knee_soc for one in kind]),
        fall=np.array([(1 - one.tail_share) / (1 - one.knee_soc) for one in kind]),
    )
