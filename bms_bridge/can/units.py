"""Units as makers write them in DBCs, and what one of them is in ours. Pure.

unit_of("kΩ") --> Unit(kind "resistance", factor 1000)          value here = value there × factor + offset
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of one kind: share (of 1), voltage (V), current (A), resistance (Ω), temperature (°C)."""

    kind: str
    factor: float = 1.0
    offset: float = 0.0


KINDS: Final[Mapping[str, Mapping[str, Unit]]] = {
    "share": {"1": Unit("share"), "%": Unit("share", 0.01)},
    "voltage": {"V": Unit("voltage"), "mV": Unit("voltage", 1e-3), "kV": Unit("voltage", 1e3)},
    "current": {"A": Unit("current"), "mA": Unit("current", 1e-3), "kA": Unit("current", 1e3)},
    "resistance": {"Ohm": Unit("resistance"), "kOhm": Unit("resistance", 1e3), "MOhm": Unit("resistance", 1e6)},
    "temperature": {
        "degC": Unit("temperature"),
        "K": Unit("temperature", 1.0, -273.15),
        "degF": Unit("temperature", 5 / 9, -160 / 9),
    },
}
"""The units of each kind, as a map should write them."""

_SPELLINGS: Final = {
    "percent": "%", "pct": "%", "Percent": "%", "Volt": "V", "Volts": "V", "volts": "V", "volt": "V", "v": "V", "mv": "mV",
    "Amp": "A", "Amps": "A", "amps": "A", "amp": "A", "Ampere": "A", "a": "A", "ma": "mA", "Ohms": "Ohm", "ohm": "Ohm", "ohms": "Ohm",
    "kohm": "kOhm", "KOhm": "kOhm", "kOhms": "kOhm", "C": "degC", "Cel": "degC", "Celsius": "degC", "celsius": "degC", "deg_C": "degC",
    "DegC": "degC", "degc": "degC", "Kelvin": "K", "kelvin": "K", "F": "degF", "Fahrenheit": "degF",
}  # fmt: skip
_BY_NAME: Final = {name: unit for units in KINDS.values() for name, unit in units.items()}


def unit_of(text: str) -> Unit | None:
    """The unit that ``text`` writes; None: not one of these."""
    plain = text.strip().replace("°", "deg").replace("º", "deg").replace("Ω", "Ohm").replace("Ω", "Ohm").replace("degree", "deg")
    plain = plain.replace("deg ", "deg")
    return _BY_NAME.get(_SPELLINGS.get(plain, plain))
