"""Which column of a table holds what, and in which unit: names of this house, of cyclers and of loggers.

    names of columns --find--> Column(name, factor, offset) of a quantity, the surest name first

Known are names of a quantity with or without its unit: ``current_a``, ``Current(A)``, ``<I>/mA``, ``Current_measured``, ``Ecell/V``,
``Test_Time(s)``, ``time (min)``, ``Temperature_K``. Without a unit s, A, V, °C are taken. Times of a step (``Step_Time``) begin anew in
each step and are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Quantity(StrEnum):
    """What a column can hold."""

    TIME = "time"
    CURRENT = "current"
    VOLTAGE = "voltage"
    TEMPERATURE = "temperature"
    CELL_VOLTAGE = "cell voltage"
    CYCLE = "cycle"


@dataclass(frozen=True, slots=True)
class Column:
    """``name`` as the table has it; its numbers times ``factor`` plus ``offset`` are s, A, V or °C."""

    name: str
    factor: float = 1.0
    offset: float = 0.0

    def read(self, values: Floats) -> Floats:
        """The numbers of the column in s, A, V or °C."""
        return values if (self.factor, self.offset) == (1.0, 0.0) else np.asarray(values * self.factor + self.offset)


_KELVIN: Final = -273.15
_UNITS: Final[dict[Quantity, dict[str, tuple[float, float]]]] = {
    Quantity.TIME: {
        unit: (factor, 0.0)
        for units, factor in (
            (("s", "sec", "secs", "second", "seconds"), 1.0),
            (("ms",), 1e-3),
            (("min", "mins", "minute", "minutes"), 60.0),
            (("h", "hr", "hrs", "hour", "hours"), 3600.0),
        )
        for unit in units
    },
    Quantity.CURRENT: {"a": (1.0, 0.0), "amps": (1.0, 0.0), "ma": (1e-3, 0.0)},
    Quantity.VOLTAGE: {"v": (1.0, 0.0), "volts": (1.0, 0.0), "mv": (1e-3, 0.0)},
    Quantity.TEMPERATURE: {"c": (1.0, 0.0), "degc": (1.0, 0.0), "celsius": (1.0, 0.0), "k": (1.0, _KELVIN), "kelvin": (1.0, _KELVIN)},
    Quantity.CELL_VOLTAGE: {"v": (1.0, 0.0), "mv": (1e-3, 0.0)},
    Quantity.CYCLE: {},
}
_WORDS: Final[dict[Quantity, tuple[str, ...]]] = {
    Quantity.TIME: (
        "time", "t", "test_time", "total_time", "relative_time", "elapsed_time", "run_time",
        "reported_at", "received_at", "timestamp", "date_time", "datetime", "system_time",
    ),
    Quantity.CURRENT: ("current", "pack_current", "battery_current", "cell_current", "current_measured", "measured_current", "i"),
    Quantity.VOLTAGE: (
        "voltage", "pack_voltage", "battery_voltage", "cell_voltage", "terminal_voltage", "voltage_measured", "measured_voltage", "ecell",
        "v",
    ),
    Quantity.TEMPERATURE: (
        "temperature", "temp", "cell_temperature", "battery_temperature", "temperature_measured", "aux_temperature", "surface_temperature",
        "t",
    ),
    Quantity.CYCLE: ("cycle", "cycle_index", "cycle_number", "cycle_no"),
}  # fmt: skip
_CELL: Final = re.compile(r"cell_?[a-z]?\d.*")
_NUMBERED: Final = re.compile(r"_?\d+$")


def find(names: Iterable[str], quantity: Quantity) -> list[Column]:
    """The columns that hold ``quantity``, the surest name first (a name with its unit before one without); empty: none does."""
    found: list[tuple[int, int, int, Column]] = []
    for place, name in enumerate(names):
        rank = _rank(name, quantity)
        if rank is not None:
            word, column, sure = rank
            found.append((word, 0 if sure else 1, place, column))
    return [column for *_, column in sorted(found, key=lambda one: one[:3])]


def dated_seconds(values: Iterable[object]) -> Floats:
    """Times with a date, as text or as datetimes, as seconds since 1970 (UTC where no zone is said); NaN: no such time."""
    return np.array([stamp.timestamp() if (stamp := moment(value)) else np.nan for value in values], dtype=np.float64)


YEARS: Final = range(1970, 2200)
"""Dates outside of them are taken for missing."""


def moment(value: object) -> datetime | None:
    """One time with its date; None: it is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if not isinstance(value, datetime) or value.year not in YEARS:
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _rank(name: str, quantity: Quantity) -> tuple[int, Column, bool] | None:
    """Which of the known words the name is, its column, and whether it says its unit."""
    plain = _plain(name)
    letter = name.strip()[:1]
    for word, unit in ((plain, ""), tuple(plain.rsplit("_", 1)) if "_" in plain else ("", "")):
        told = _UNITS[quantity].get(unit)
        if (unit and told is None) or not word:
            continue
        if quantity is Quantity.CELL_VOLTAGE:
            if told is None or not (_CELL.fullmatch(word) or (word.startswith("cell_") and unit == "v")) or word == "cell_voltage":
                continue
            return 0, Column(name, *told), True
        base = _NUMBERED.sub("", word) if quantity is Quantity.TEMPERATURE else word
        if base not in _WORDS[quantity]:
            continue
        if base == "t" and not unit and (quantity is Quantity.TIME) != (letter == "t"):
            continue  # t is a time, T a temperature
        return _WORDS[quantity].index(base), Column(name, *(told or (1.0, 0.0))), told is not None
    return None


def _plain(name: str) -> str:
    """Small letters, words and units parted by one underscore: ``<I>/mA`` is ``i_ma``, ``Temperature (C)_1`` is ``temperature_1_c``."""
    text = name.strip().lower().replace("°", "")
    text = re.sub(r"\((\w+)\)_?(\d+)$", r"_\2_\1", text)
    return re.sub(r"[^a-z0-9]+", "_", text).strip("_")
