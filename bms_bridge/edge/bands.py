"""How exactly each signal is told. What is read back lies within ``band`` of what was measured, at every reading.

A value is rounded to ``step`` when it is told, and it is told when it has moved by more than ``band`` from what was told last:
until then the receiver's last value is right within ``band``. So ``band`` is the error bound, and at least half a step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from bms_bridge.edge import WireError
from bms_bridge.edge.wire import BY_NAME, EXACT, MOST_INDEX, MOST_STEP, Group


@dataclass(frozen=True, slots=True)
class Band:
    """``step``: resolution, in the group's least steps (0.01 °C, 0.1 mV, …). ``band``: error bound, in the signal's unit."""

    group: Group
    step: int
    band: float

    def __post_init__(self) -> None:
        """Raises :class:`~bms_bridge.edge.WireError` for a band that the step cannot keep."""
        if not 1 <= self.step <= MOST_STEP or not math.isfinite(self.band) or self.band < self.step * self.group.unit / 2 * (1 - 1e-9):
            raise WireError(f"{self.group.name}: a step of {self.step * self.group.unit:g} cannot keep a band of {self.band:g}")

    def told(self, value: float | None, held: int | None) -> int | None:
        """The index that is told of ``value`` where ``held`` was told last. None for what no index can say."""
        if value is None or not math.isfinite(value):
            return None
        scale = 10**self.group.decimals
        if held is not None and abs(value - held * self.step / scale) <= self.band:
            return held
        index = round(value * scale / self.step)
        return index if -MOST_INDEX < index < MOST_INDEX else None

    @property
    def exact(self) -> Band:
        """The finest that the form can tell: every change, in least steps."""
        return Band(self.group, 1, self.group.unit / 2)


Bands = Mapping[str, Band]


def bands(**of: tuple[float, float]) -> Bands:
    """Bands by name as (step, band), both in the signal's unit; the others as in :data:`USUAL`. Raises
    :class:`~bms_bridge.edge.WireError` for a name that is none, or a step that is no whole number of least steps."""
    made = dict(USUAL)
    for name, (step, band) in of.items():
        group = BY_NAME.get(name)
        if group is None or name in EXACT:
            raise WireError(f"{name!r} is no signal with a band; there are {', '.join(USUAL)}")
        steps = round(step * 10**group.decimals)
        if not math.isclose(steps, step * 10**group.decimals, abs_tol=1e-6):
            raise WireError(f"{name}: a step must be a multiple of {group.unit:g}")
        made[name] = Band(group, steps, band)
    return MappingProxyType(made)


USUAL: Final[Bands] = MappingProxyType(
    {
        name: Band(BY_NAME[name], step, band)
        for name, step, band in (
            ("temperatures_c", 10, 0.2),
            ("cells_v", 10, 0.002),
            ("soc", 10, 0.002),
            ("current_a", 10, 0.5),
            ("voltage_v", 10, 0.5),
            ("cell_min_v", 10, 0.002),
            ("cell_max_v", 10, 0.002),
            ("insulation_ohm", 1000, 5000.0),
            ("limit_a", 10, 0.1),
            ("limit_v", 10, 0.1),
            ("soh", 10, 0.001),
            ("balancing_a", 5, 0.005),
        )
    }
)
"""Of a whole pack: 0.2 °C, 2 mV a cell, 0.2 % of charge, 0.5 A, 0.5 V, 5 kΩ; what the battery allows within 0.1 A and V."""

FINEST: Final[Bands] = MappingProxyType({name: band.exact for name, band in USUAL.items()})
"""Around an event: 0.005 °C, 0.05 mV, and so on."""
