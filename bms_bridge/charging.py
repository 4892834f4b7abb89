"""What the depot itself knows of a pack and of the session that charges it, beside what the pack says.

registry, settings --> PackFacts        what does not change: its size, its chemistry
charger, its meter --> Charging         what the charger was told and what it gives, grid side
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bms_bridge.chemistry import CELL, Chemistry


@dataclass(frozen=True, slots=True, kw_only=True)
class PackFacts:
    """``capacity_wh``: of the whole pack when new; ``cells``: in series. None: not known."""

    chemistry: Chemistry = Chemistry.UNKNOWN
    capacity_wh: float | None = None
    cells: int | None = None

    def capacity_ah(self, voltage_v: float | None = None) -> float | None:
        """Charge that it takes, Ah: by its cells, else by a voltage that was measured; None: not known."""
        volts = self.cells * CELL[self.chemistry].nominal_v if self.cells else voltage_v
        return self.capacity_wh / volts if self.capacity_wh and volts else None


NOTHING_KNOWN: Final = PackFacts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Charging:
    """The session that charges a pack's vehicle. ``told_w``: the most that its charger was told and may still do. ``metered_w``: by
    the charger's meter; None: it says nothing now. ``running_s``: how long it runs. ``taken_wh``: since it began.
    ``room_wh``: what the battery could take when it began, grid side; None: not known."""

    told_w: int
    metered_w: int | None
    running_s: float
    taken_wh: float
    room_wh: float | None = None
