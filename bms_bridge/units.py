"""Units that senders mistake: what a number looks like that cannot be, and how a profile converts it when it is told to.

Nothing is converted by a guess. A number that cannot be is left out, and the complaint names the units in which it would be
usual; who knows better writes so into a firmware profile (:mod:`bms_bridge.firmware`), and only then it is converted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Unit(NamedTuple):
    """``value * scale + offset`` is the value in the contract's unit."""

    name: str
    scale: float
    offset: float = 0.0

    def convert(self, value: float) -> float:
        """In the contract's unit."""
        return value * self.scale + self.offset


_SHARES = (Unit("percent", 0.01), Unit("0.1 percent", 0.001))
_VOLTS = (Unit("0.1 V", 0.1), Unit("mV", 0.001))
_AMPS = (Unit("0.1 A", 0.1), Unit("mA", 0.001))
_CELLS = (Unit("mV", 0.001), Unit("0.1 mV", 0.0001))

UNITS: Final[Mapping[str, tuple[Unit, ...]]] = {
    "temperatures_c": (
        Unit("0.1 °C", 0.1),
        Unit("0.01 °C", 0.01),
        Unit("K", 1.0, -273.15),
        Unit("0.1 K", 0.1, -273.15),
        Unit("°F", 1 / 1.8, -32 / 1.8),
    ),
    "soc": _SHARES,
    "soh": _SHARES,
    "current_a": _AMPS,
    "voltage_v": _VOLTS,
    "cell_min_v": _CELLS,
    "cell_max_v": _CELLS,
    "cells_v": _CELLS,
    "insulation_ohm": (Unit("kΩ", 1000.0), Unit("MΩ", 1_000_000.0)),
    "limit_a": _AMPS,
    "limit_v": _VOLTS,
}
"""By field of the contract: units that are seen instead of the contract's own (°C, fractions, A, V, Ω)."""

_USUAL: Final[Mapping[str, tuple[float, float]]] = {
    "temperatures_c": (-25.0, 60.0),
    "soc": (0.0, 1.0),
    "soh": (0.3, 1.1),
    "current_a": (-1500.0, 1500.0),
    "voltage_v": (24.0, 1000.0),
    "cell_min_v": (1.5, 4.5),
    "cell_max_v": (1.5, 4.5),
    "cells_v": (1.5, 4.5),
    "insulation_ohm": (50_000.0, 1e9),
    "limit_a": (0.0, 1500.0),
    "limit_v": (24.0, 1000.0),
}

_NOT_AVAILABLE: Final = frozenset({214.0, 215.0, 254.0, 255.0, 32_767.0, 65_534.0, 65_535.0, -273.0})
"""What a temperature says in J1939 and similar encodings (with and without the offset of 40) where there is none."""


def looks_like(field: str, value: float) -> str:
    """In which other units ``value`` would be usual for ``field``: ``; it looks like mV``, or nothing."""
    if field == "temperatures_c" and value in _NOT_AVAILABLE:
        return "; it looks like a code for 'not available'"
    least, most = _USUAL[field]
    names = [unit.name for unit in UNITS[field] if least <= unit.convert(value) <= most]
    return f"; it looks like {' or '.join(names)}" if names else ""


def unit_of(field: str, name: str) -> Unit | None:
    """The unit of this name; None: there is none for the field."""
    return next((unit for unit in UNITS.get(field, ()) if unit.name == name), None)
