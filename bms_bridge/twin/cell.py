"""The equivalent circuit of a cell: open-circuit voltage, a resistance, and one that charges up behind it. Per nominal Ah, so any size.

    power W/Ah, what has built up V --current()--> capacities an hour

Resistance is the lump's (``packs.csv``: what heats a pack at 1C), so that a planned night and a second life warm alike: of 1.3 parts one
answers at once, 0.3 within :data:`BUILD_UP_S`. It grows with lost capacity by the spread table. Open-circuit voltage: the table of
the state of power, the mean of both directions; hysteresis takes no part in energy here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.chemistry import CELL, TABLE, Chemistry
from bms_bridge.sop import OCV
from bms_bridge.twin.lump import Floats, kinds

AT_ONCE_SHARE: Final = 1 / 1.3
BUILD_UP_S: Final = 60.0
_STEPS = 200


@dataclass(frozen=True, eq=False, slots=True)
class Cells:
    """n cells. ``at_once``, ``behind``: V at one capacity an hour; ``low_v``, ``top_v``: where currents end."""

    ocv: Floats
    kind: NDArray[np.intp]
    at_once: Floats
    behind: Floats
    nominal_v: Floats
    low_v: Floats
    top_v: Floats

    def open_circuit_v(self, soc: Floats) -> Floats:
        """V per cell at these states of charge (0–1)."""
        place = np.clip(soc, 0.0, 1.0) * _STEPS
        low = np.minimum(place.astype(np.intp), _STEPS - 1)
        left = self.ocv[self.kind, low]
        found: Floats = left + (self.ocv[self.kind, low + 1] - left) * (place - low)
        return found

    def current(self, power: Floats, behind_v: Floats) -> Floats:
        """Capacities an hour at so much ``power`` (W per nominal Ah, charging positive) over so much voltage ``behind_v`` the ohmic part,
        within both ends of voltage. More than a cell can give at all becomes the most that it can."""
        root = np.sqrt(np.maximum(behind_v * behind_v + 4 * self.at_once * power, 0.0))
        wanted = (root - behind_v) / (2 * self.at_once)
        most = np.maximum((self.top_v - behind_v) / self.at_once, 0.0)
        least = np.minimum((self.low_v - behind_v) / self.at_once, 0.0)
        found: Floats = np.clip(wanted, least, most)
        return found


def cells_of(chemistries: list[str], resistance: Floats) -> Cells:
    """Cells of these chemistries (of :data:`OCV`), with so many times a new one's ``resistance`` each."""
    names = sorted(set(chemistries))
    known = [Chemistry(name) for name in names]
    grid = np.linspace(0.0, 1.0, _STEPS + 1)
    place = {name: index for index, name in enumerate(names)}
    kind = np.array([place[name] for name in chemistries], dtype=np.intp)
    total = np.array([kinds()[name].loss_at_1c * CELL[Chemistry(name)].nominal_v for name in names])[kind] * resistance
    return Cells(
        ocv=np.array([np.interp(grid, *np.array(OCV[name]).T) for name in known]),
        kind=kind,
        at_once=total * AT_ONCE_SHARE,
        behind=total * (1 - AT_ONCE_SHARE),
        nominal_v=np.array([CELL[name].nominal_v for name in known])[kind],
        low_v=np.array([TABLE[name].cell_low_full_v for name in known])[kind],
        top_v=np.array([TABLE[name].cell_high_from_v for name in known])[kind],
    )
