"""A pack that may be retired, as its file tells it (JSON, ``retired_pack/1``): what is measured, its life's record, and what is missing.

The record is what the lake shows of a pack's life (``pack_life/1``). Nothing but ``pack``, ``chemistry`` and ``capacity_kwh`` is
needed; what is missing lowers the completeness, and with it what may be said.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bms_bridge.chemistry_names import usual
from bms_bridge.second_life import PackRefused

SCHEMA: Final = "retired_pack/1"
MOST_BYTES: Final = 50_000_000
MOST_CELLS: Final = 20_000
MOST_PACKS: Final = 1_000
DEFAULT_SD: Final = 0.03
"""Of a health that is told without an interval; ours."""

WEIGHTS: Final[Mapping[str, float]] = {
    "health of the cells": 0.3,
    "an interval of health": 0.1,
    "resistance": 0.15,
    "the record of its life": 0.2,
    "age and cycles": 0.1,
    "self-discharge": 0.1,
    "slope of fade": 0.05,
}
"""How much each kind of data counts in completeness; ours."""

_NUMBERS: Final = {
    "capacity_kwh": (0.05, 10_000.0),
    "soh": (0.0, 1.2),
    "soh_low": (0.0, 1.2),
    "soh_high": (0.0, 1.3),
    "age_years": (0.0, 40.0),
    "full_cycles": (0.0, 50_000.0),
    "past_c": (-30.0, 60.0),
    "past_soc": (0.0, 1.0),
    "past_c_rate": (0.01, 6.0),
    "resistance_ratio": (0.2, 50.0),
    "resistance_low": (0.0, 50.0),
    "resistance_high": (0.0, 100.0),
    "self_discharge_per_month": (0.0, 1.0),
    "rated_discharge_c": (0.01, 50.0),
    "needed_kwh": (0.0, 10_000.0),
    "slope_ratio": (0.0, 100.0),
}
_CELL: Final = ("soh", "soh_low", "soh_high", "resistance_ratio")


@dataclass(frozen=True, slots=True)
class Cell:
    """``sd``: standard deviation of its health; ``resistance_ratio``: to a new one's; None: not known."""

    name: str
    module: str
    soh: float
    sd: float
    resistance_ratio: float | None


@dataclass(frozen=True, slots=True)
class Retired:
    """``cells``: none: only the pack's own ``soh`` is known (``soh_sd``). ``slope_ratio``: fade of the last year to the mean before.
    ``past_c``, ``past_soc``, ``past_c_rate`` (of charging): means of its past.
    ``resistance_ratio``: to a new one's, with its 90 % interval where there is one. ``needed_kwh``: what its vehicle must have usable.
    ``missing``: kinds of data, of :data:`WEIGHTS`."""

    pack_id: str
    chemistry: str
    capacity_kwh: float
    cells: tuple[Cell, ...] = ()
    soh: float | None = None
    soh_sd: float = DEFAULT_SD
    age_years: float | None = None
    full_cycles: float | None = None
    past_c: float | None = None
    past_soc: float | None = None
    past_c_rate: float | None = None
    resistance_ratio: float | None = None
    resistance_low: float | None = None
    resistance_high: float | None = None
    self_discharge_per_month: float | None = None
    rated_discharge_c: float | None = None
    needed_kwh: float | None = None
    slope_ratio: float | None = None
    inspected: bool = False
    hottest_c: float | None = None
    hot_events: Mapping[str, int] = field(default_factory=dict)
    trips: int = 0
    causes: Mapping[str, int] = field(default_factory=dict)
    seen_share: float | None = None
    missing: tuple[str, ...] = ()

    @property
    def completeness(self) -> float:
        """0–1."""
        return 1.0 - sum(WEIGHTS[name] for name in self.missing)


def read_retired(path: Path) -> list[Retired]:
    """The packs of a file: one object, or a list of them. PackRefused: it cannot be used; the message says where."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise PackRefused(f"{path} is longer than {MOST_BYTES:,} bytes: split it")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise PackRefused(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise PackRefused(f"{path} is no JSON: one object of a pack, or a list of them") from None
    entries = content if isinstance(content, list) else [content]
    if not 0 < len(entries) <= MOST_PACKS:
        raise PackRefused(f"{path} holds {len(entries)} packs; 1 to {MOST_PACKS:,} can be valued at once")
    return [retired(entry, f"{path}, pack {n}") for n, entry in enumerate(entries, 1)]


def retired(entry: object, where: str) -> Retired:
    """A pack of an object. PackRefused: it cannot be one."""
    if not isinstance(entry, Mapping) or entry.get("schema", SCHEMA) != SCHEMA:
        raise PackRefused(f"{where} must be an object with schema {SCHEMA!r}")
    for name in ("pack", "chemistry", "capacity_kwh"):
        if name not in entry:
            raise PackRefused(f"{where}: {name} is missing")
    numbers = {name: _number(where, name, entry[name]) for name in _NUMBERS if entry.get(name) is not None}
    cells = entry.get("cells") or []
    if not isinstance(cells, list) or len(cells) > MOST_CELLS:
        raise PackRefused(f"{where}: cells must be a list of at most {MOST_CELLS:,}")
    found = tuple(_cell(cell, f"{where}, cell {n}") for n, cell in enumerate(cells, 1))
    life = entry.get("life")
    if life is not None and (not isinstance(life, Mapping) or life.get("schema") != "pack_life/1"):
        raise PackRefused(f"{where}: life must be a record with schema 'pack_life/1'")
    past = _of_life(life, where)
    if "full_cycles" not in numbers and past["full_cycles"] is not None:
        numbers["full_cycles"] = past["full_cycles"]
    low, high = numbers.pop("soh_low", None), numbers.pop("soh_high", None)
    given = low is not None and high is not None
    _within(numbers, where)
    if low is not None and high is not None:
        numbers["soh_sd"] = _sd(low, high, numbers.get("soh"), where)
    told = {
        "health of the cells": bool(found),
        "an interval of health": given or any("soh_low" in cell and "soh_high" in cell for cell in cells if isinstance(cell, Mapping)),
        "resistance": "resistance_ratio" in numbers or any(cell.resistance_ratio is not None for cell in found),
        "the record of its life": life is not None,
        "age and cycles": "age_years" in numbers and "full_cycles" in numbers,
        "self-discharge": "self_discharge_per_month" in numbers,
        "slope of fade": "slope_ratio" in numbers,
    }
    more: dict[str, Any] = dict(numbers)
    return Retired(
        pack_id=str(entry["pack"])[:200],
        chemistry=usual(str(entry["chemistry"]))[:20],
        cells=found,
        inspected=entry.get("inspected") is True,
        hottest_c=past["hottest_c"],
        hot_events=past["hot_events"],
        trips=past["trips"],
        causes=past["causes"],
        seen_share=past["seen_share"],
        missing=tuple(name for name, there in told.items() if not there),
        **more,
    )


def _cell(entry: object, where: str) -> Cell:
    if not isinstance(entry, Mapping) or entry.get("soh") is None:
        raise PackRefused(f"{where} needs soh")
    numbers = {name: _number(where, name, entry[name]) for name in _CELL if entry.get(name) is not None}
    low, high = numbers.get("soh_low"), numbers.get("soh_high")
    sd = DEFAULT_SD if low is None or high is None else _sd(low, high, numbers["soh"], where)
    return Cell(str(entry.get("cell", "")), str(entry.get("module", "pack")), numbers["soh"], sd, numbers.get("resistance_ratio"))


def _within(numbers: Mapping[str, float], where: str) -> None:
    ratio = numbers.get("resistance_ratio")
    low, high = numbers.get("resistance_low", ratio), numbers.get("resistance_high", ratio)
    if ratio is None and (low is not None or high is not None):
        raise PackRefused(f"{where}: resistance_low and resistance_high need resistance_ratio")
    if ratio is not None and low is not None and high is not None and not low <= ratio <= high:
        raise PackRefused(f"{where}: resistance_ratio must lie between resistance_low and resistance_high")


def _sd(low: float, high: float, soh: float | None, where: str) -> float:
    if not low <= (low if soh is None else soh) <= high:
        raise PackRefused(f"{where}: soh must lie between soh_low and soh_high")
    return max((high - low) / (2 * 1.645), 0.002)


def _of_life(life: Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    if life is None:
        return {"full_cycles": None, "hottest_c": None, "hot_events": {}, "trips": 0, "causes": {}, "seen_share": None}
    try:
        seen, unseen = _counted(life.get("seen_h") or 0.0), _counted(life.get("unseen_h") or 0.0)
        hottest, cycles = life.get("hottest_c"), life.get("equivalent_full_cycles")
        return {
            "full_cycles": None if cycles is None else _counted(cycles),
            "hottest_c": None if hottest is None else _finite(hottest),
            "hot_events": {str(edge): int(_counted(count)) for edge, count in (life.get("thermal_events") or {}).items()},
            "trips": int(_counted(life.get("trips") or 0)),
            "causes": {str(name): int(_counted(count)) for name, count in (life.get("trips_by_cause") or {}).items()},
            "seen_share": seen / (seen + unseen) if seen + unseen > 0 else None,
        }
    except (TypeError, ValueError, AttributeError, OverflowError):
        raise PackRefused(f"{where}: life is no record as the lake shows it") from None


def _finite(value: Any) -> float:
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(value)
    return found


def _counted(value: Any) -> float:
    """What was counted up: never less than nothing."""
    found = _finite(value)
    if found < 0:
        raise ValueError(value)
    return found


def _number(where: str, name: str, value: object) -> float:
    least, most = _NUMBERS[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise PackRefused(f"{where}: {name} must be a number between {least:g} and {most:g}, not {str(value)[:40]}")
    return float(value)
