"""Every number of a residual value that is not measured, with its source: shipped in ``assumptions.toml``, replaced by a file of one's own.

A file of one's own needs to hold only what differs; the rest stays as shipped. Its shape: docs/schemas/second-life-assumptions-1.json.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from bms_bridge.second_life import AssumptionsRefused
from bms_bridge.twin.duty import shipped as shipped_duties

SCHEMA: Final = "second_life_assumptions/1"
MOST_BYTES: Final = 1_000_000
MOST_MONEY: Final = 1e7
_BOUNDS: Final = {
    "warranty_share": (0.0, 1.0),
    "warranty_per_sd": (0.0, 100.0),
    "discount_a_year": (0.0, 1.0),
    "displaced_share": (0.0, 1.0),
    "new_pack_years": (1.0, 50.0),
    "carbon_new_kg_per_kwh": (0.0, 1_000.0),
    "carbon_repack_kg_per_kwh": (0.0, 1_000.0),
    "vehicle_soh": (0.3, 1.0),
    "daily_soh": (0.3, 1.0),
    "backup_soh": (0.3, 1.0),
    "resistance_ratio": (1.0, 20.0),
    "cell_spread": (0.0, 0.5),
    "hot_c": (40.0, 100.0),
    "ruin_c": (50.0, 200.0),
    "self_discharge_per_month": (0.0, 1.0),
    "completeness": (0.0, 1.0),
}
_APPLICATION = ("text", "duty", "least_soh", "discharge_c", "earns_per_kwh_year", "years")


@dataclass(frozen=True, slots=True)
class Number:
    """A triangle: least, most likely, most."""

    low: float
    mid: float
    high: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A cut-off."""

    value: float
    source: str


@dataclass(frozen=True, slots=True)
class Application:
    """``duty``: of the twin's; ``least_soh`` at its beginning; ``discharge_c``: capacities an hour that it may ask; ``years``: at most."""

    name: str
    text: str
    duty: str
    least_soh: float
    discharge_c: float
    earns_per_kwh_year: Number
    years: int


@dataclass(frozen=True, slots=True)
class Assumptions:
    """``changed``: names of what a file of one's own replaced."""

    currency: str
    numbers: Mapping[str, Number]
    limits: Mapping[str, Limit]
    applications: Mapping[str, Application]
    changed: tuple[str, ...] = ()


def shipped() -> Assumptions:
    """As the project ships them."""
    return _made(_toml(_raw(), "assumptions.toml"), "assumptions.toml", ())


def read_assumptions(path: Path) -> Assumptions:
    """The shipped ones with what ``path`` changes. AssumptionsRefused: it cannot be read, or says something that cannot be."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise AssumptionsRefused(f"{path} is longer than {MOST_BYTES:,} bytes: no file of assumptions")
        own = _toml(path.read_bytes(), str(path))
    except OSError as error:
        raise AssumptionsRefused(f"{path}: {error.strerror or error}") from None
    base = _toml(_raw(), "assumptions.toml")
    if own.get("schema", SCHEMA) != SCHEMA:
        raise AssumptionsRefused(f"{path}: schema must be {SCHEMA!r}")
    changed = []
    for section, entries in own.items():
        if section in ("schema", "currency"):
            base[section] = entries
            continue
        if section not in ("numbers", "limits", "applications") or not isinstance(entries, dict):
            raise AssumptionsRefused(f"{path}: [{section}] is not known; known are numbers, limits, applications")
        for name, entry in entries.items():
            if not isinstance(entry, dict) or (name not in base[section] and section != "applications"):
                raise AssumptionsRefused(f"{path}: {section}.{name} is not known; known are {', '.join(base[section])}")
            base[section][name] = {**base[section].get(name, {}), **entry}
            changed.append(f"{section}.{name}")
    return _made(base, str(path), tuple(changed))


def named(given: Assumptions) -> dict[str, Number | Limit]:
    """All numbers by the name by which one of them is changed: ``numbers.…``, ``applications.….earns``, ``limits.…``."""
    found: dict[str, Number | Limit] = {f"numbers.{name}": one for name, one in given.numbers.items()}
    found |= {f"applications.{name}.earns": one.earns_per_kwh_year for name, one in given.applications.items()}
    return found | {f"limits.{name}": one for name, one in given.limits.items()}


def bounds_of(name: str) -> tuple[float, float]:
    """What is accepted for one of :func:`named`, in its unit; wide, against mistakes."""
    last = name.split(".")[1]
    if last.startswith("recycling_per_kwh_"):
        return -MOST_MONEY, MOST_MONEY
    return _BOUNDS.get(last, (0.0, MOST_MONEY))


def with_number(given: Assumptions, name: str, low: float, mid: float, high: float, source: str) -> Assumptions:
    """With another number in the place of one; a cut-off's three are the same. AssumptionsRefused: no such one, or it cannot be."""
    before = named(given).get(name)
    if before is None:
        raise AssumptionsRefused(f"there is no assumption {name!r}")
    least, most = bounds_of(name)
    if not least <= low <= mid <= high <= most:
        raise AssumptionsRefused(f"{name}: least, most likely and most must rise within {least:g} and {most:g}")
    section, key = name.split(".")[:2]
    changed = tuple(dict.fromkeys((*given.changed, f"{section}.{key}")))
    if isinstance(before, Limit):
        if low != high:
            raise AssumptionsRefused(f"{name}: a cut-off is one number")
        limits = {**given.limits, key: Limit(mid, source)}
        _in_order(name, limits)
        return replace(given, limits=limits, changed=changed)
    number = Number(low, mid, high, before.unit, source)
    if section == "numbers":
        return replace(given, numbers={**given.numbers, key: number}, changed=changed)
    application = replace(given.applications[key], earns_per_kwh_year=number)
    return replace(given, applications={**given.applications, key: application}, changed=changed)


def shipped_text() -> str:
    """The shipped file, to be copied and changed."""
    return _raw().decode("utf-8")


def _raw() -> bytes:
    return (files("bms_bridge.second_life") / "assumptions.toml").read_bytes()


def _toml(raw: bytes, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AssumptionsRefused(f"{where} is no TOML: {error}") from None


def _in_order(where: str, limits: Mapping[str, Limit]) -> None:
    backup, daily, vehicle = (limits[name].value for name in ("backup_soh", "daily_soh", "vehicle_soh"))
    if not 0 < backup < daily < vehicle <= 1.2:
        raise AssumptionsRefused(f"{where}: the edges of the bands must rise: backup_soh, daily_soh, vehicle_soh")


def _made(content: Mapping[str, Any], where: str, changed: tuple[str, ...]) -> Assumptions:
    currency = content["currency"]
    if not isinstance(currency, str) or len(currency) != 3 or not currency.isupper():
        raise AssumptionsRefused(f"{where}: currency must be a code of three letters, such as INR")
    limits = {name: _limit(f"{where}: limits.{name}", entry) for name, entry in content["limits"].items()}
    _in_order(where, limits)
    return Assumptions(
        currency=currency,
        numbers={name: _number(f"{where}: numbers.{name}", entry) for name, entry in content["numbers"].items()},
        limits=limits,
        applications={name: _application(where, name, entry) for name, entry in content["applications"].items()},
        changed=changed,
    )


def _number(where: str, entry: object) -> Number:
    if not isinstance(entry, Mapping) or set(entry) != {"low", "mid", "high", "unit", "source"}:
        raise AssumptionsRefused(f"{where} needs low, mid, high, unit and source, and nothing else")
    low, mid, high = (_float(where, entry[name]) for name in ("low", "mid", "high"))
    if not low <= mid <= high:
        raise AssumptionsRefused(f"{where}: low, mid, high must rise")
    return Number(low, mid, high, str(entry["unit"]), str(entry["source"]))


def _limit(where: str, entry: object) -> Limit:
    if not isinstance(entry, Mapping) or set(entry) != {"value", "source"}:
        raise AssumptionsRefused(f"{where} needs value and source, and nothing else")
    return Limit(_float(where, entry["value"]), str(entry["source"]))


def _application(where: str, name: str, entry: Mapping[str, Any]) -> Application:
    at = f"{where}: applications.{name}"
    if set(entry) != set(_APPLICATION):
        raise AssumptionsRefused(f"{at} needs {', '.join(_APPLICATION)}, and nothing else")
    if entry["duty"] not in shipped_duties():
        raise AssumptionsRefused(f"{at}: there is no duty {entry['duty']!r}; there are {', '.join(shipped_duties())}")
    years, soh, rate = _float(at, entry["years"]), _float(at, entry["least_soh"]), _float(at, entry["discharge_c"])
    if years != int(years) or not 1 <= years <= 40 or not 0 < soh <= 1 or not 0 < rate <= 20:
        raise AssumptionsRefused(f"{at}: years must be whole, 1 to 40; least_soh 0 to 1; discharge_c 0 to 20")
    return Application(
        name, str(entry["text"]), entry["duty"], soh, rate, _number(f"{at}.earns_per_kwh_year", entry["earns_per_kwh_year"]), int(years)
    )


_MOST: Final = 1e15


def _float(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_MOST <= value <= _MOST:
        raise AssumptionsRefused(f"{where}: {str(value)[:40]!r} is no number that can be counted with")
    return float(value)
