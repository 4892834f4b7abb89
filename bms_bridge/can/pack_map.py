"""Pack maps: which of a maker's signals is what in our model of a pack, as data (``maps/*.toml``, schema ``pack-map/1``).

    schema = "pack-map/1"           name, title, maker, models, source, notes
    [values]
    soc = { signal = "Pack.Soc", unit = "%" }
    current = { signal = "Pack.Current", charging = "negative" }
    [temperatures]
    signals = "Temps.T{00..23}"     numbered names; a list of names does as well
    [balancing]                     by cell; a flag: unit = "A", and as scale the current that flows while it is 1
    signals = "Balance.On{00..95}"
    [alarms]
    insulation_fault = "State.IsoError"

A signal is written ``Message.Signal``, or alone where only one message has it. The unit is the DBC's; where the DBC says none, the map
must; where the two differ, one of them is wrong, and that is said. What a map says wrong is told with its line. A file of
one's own is read by its path; ``pack-map-1.schema.json`` beside this module is the schema for editors.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from itertools import product
from math import isfinite
from pathlib import Path
from typing import Any, Final, Self

from bms_bridge.can import InvalidPackMap, UnknownPackMap
from bms_bridge.can.units import KINDS, unit_of
from bms_bridge.chemistry import ALARMS

SCHEMA: Final = "pack-map/1"
SCHEMA_FILE: Final = "pack-map-1.schema.json"
MOST_SIGNALS: Final = 2048
MOST_BYTES: Final = 1024 * 1024


class Quantity(StrEnum):
    """What of a pack is one number."""

    SOC = "soc"
    SOH = "soh"
    CURRENT = "current"
    VOLTAGE = "voltage"
    CELL_MIN = "cell_min"
    CELL_MAX = "cell_max"
    INSULATION = "insulation"
    LIMIT_CURRENT = "limit_current"
    LIMIT_VOLTAGE = "limit_voltage"

    @property
    def kind(self) -> str:
        """What kind of unit it has (a key of :data:`bms_bridge.can.units.KINDS`)."""
        return _KIND_OF[self]


_KIND_OF: Final[Mapping[Quantity, str]] = {
    Quantity.SOC: "share",
    Quantity.SOH: "share",
    Quantity.CURRENT: "current",
    Quantity.LIMIT_CURRENT: "current",
    Quantity.VOLTAGE: "voltage",
    Quantity.CELL_MIN: "voltage",
    Quantity.CELL_MAX: "voltage",
    Quantity.LIMIT_VOLTAGE: "voltage",
    Quantity.INSULATION: "resistance",
}
_SIGNED: Final = frozenset({Quantity.CURRENT, Quantity.LIMIT_CURRENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Where a value, or a row of values of one kind, is told. ``kind``: of its unit. ``unit``: as the map writes it; empty: as the
    DBC does. ``overrides``: the map's unit counts although the DBC says another one. Its value is (the DBC's value × ``scale``
    + ``offset``) in the unit, turned where ``negative`` means charging. ``invalid``: raw counts that say "no value".
    ``flags``: of each signal, another one that is not 0 while it has no value. ``counted``: the pack has exactly these."""

    kind: str
    signals: tuple[str, ...]
    unit: str = ""
    overrides: bool = False
    scale: float = 1.0
    offset: float = 0.0
    negative: bool = False
    invalid: frozenset[int] = frozenset()
    flags: tuple[str, ...] = ()
    counted: bool = False
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Sign:
    """A signal that raises something: while it is not 0, or while its raw count is one of ``counts``."""

    signal: str
    counts: frozenset[int] | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackMap:
    """What a maker's signals are here. ``every_s``: how often a sample is made of them, at once where it matters.
    ``stale_s``: what was not told for so long has no value. ``j1939``: messages are known by their parameter group, of
    ``source_address`` alone where that is set."""

    name: str
    title: str
    maker: str
    models: tuple[str, ...]
    source: str
    values: Mapping[Quantity, Told]
    temperatures: Told | None = None
    cells: Told | None = None
    balancing: Told | None = None
    alarms: Mapping[str, tuple[Sign, ...]] = field(default_factory=dict)
    stop: tuple[Sign, ...] = ()
    firmware: tuple[Sign, ...] = ()
    notes: tuple[str, ...] = ()
    every_s: float = 1.0
    stale_s: float = 5.0
    j1939: bool = False
    source_address: int | None = None

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The packaged maps, sorted."""
        return tuple(sorted(item.name.removesuffix(".toml") for item in _folder().iterdir() if item.name.endswith(".toml")))

    @classmethod
    def named(cls, name: str) -> Self:
        """The packaged map ``name``, or the one in a file where ``name`` is a path (it ends in .toml).
        Raises :class:`~bms_bridge.can.UnknownPackMap`, :class:`~bms_bridge.can.InvalidPackMap`."""
        if name.endswith(".toml"):
            return cls.load(Path(name))
        if name not in cls.names():
            raise UnknownPackMap(f"no pack map is called {name!r}; there are: {', '.join(cls.names())}; or give a path that ends in .toml")
        return cls.load(_folder() / f"{name}.toml")

    @classmethod
    def load(cls, path: Path) -> Self:
        """The map in a file. Raises :class:`~bms_bridge.can.UnknownPackMap` where there is none,
        :class:`~bms_bridge.can.InvalidPackMap`."""
        try:
            if path.stat().st_size > MOST_BYTES:
                raise InvalidPackMap((f"{path.name}: it has more than {MOST_BYTES} bytes; a map of a pack has a few thousand",))
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise InvalidPackMap((f"{path.name}: it is not UTF-8 text",)) from None
        except OSError as error:
            raise UnknownPackMap(f"pack map {path}: {error.strerror}") from None
        return cls.parse(text, path.name)

    @classmethod
    def parse(cls, text: str, where: str = "pack map") -> Self:
        """The map that ``text`` (TOML) describes. Raises :class:`~bms_bridge.can.InvalidPackMap` with everything that is wrong."""
        try:
            table = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise InvalidPackMap((f"{where}: {error}",)) from None
        reader = _Reader(text, where)
        fields = reader.map_fields(table)
        if reader.problems:
            raise InvalidPackMap(tuple(reader.problems))
        return cls(**fields)


def _folder() -> Path:
    return Path(str(files("bms_bridge"))) / "can" / "maps"


_MAP_KEYS: Final = {
    "schema": str, "name": str, "title": str, "maker": str, "models": list, "source": str, "notes": list, "every_s": float,
    "stale_s": float, "j1939": bool, "source_address": int, "values": dict, "temperatures": dict, "cells": dict, "balancing": dict,
    "alarms": dict, "stop": dict, "firmware": dict,
}  # fmt: skip
_MAP_NEEDS: Final = ("schema", "name", "title", "maker", "models", "source")
_TOLD_KEYS: Final = {
    "unit": str, "overrides_dbc": bool, "scale": float, "offset": float, "invalid": list, "invalid_flag": str,
}  # fmt: skip
_VALUE_KEYS: Final = {"signal": str, **_TOLD_KEYS, "charging": str}
_ROW_KEYS: Final = {"signals": (str, list), **_TOLD_KEYS, "count": int}
_KINDS: Final = {str: "text in quotes", list: "a list", bool: "true or false", int: "a whole number", dict: "a table", float: "a number"}
_RUN = re.compile(r"\{(\d+)\.\.(\d+)\}")


class _Reader:
    """Turns the tables of a file into fields; collects what is wrong with the line where it stands."""

    def __init__(self, text: str, where: str) -> None:
        self.problems: list[str] = []
        self._where = where
        self._lines = _lines_of(text)

    def map_fields(self, table: Mapping[str, Any]) -> dict[str, Any]:
        if table.get("schema") != SCHEMA:
            self._wrong("", "schema", f"schema is {table.get('schema')!r}; this reads {SCHEMA!r}")
            return {}
        good = self._checked(table, _MAP_KEYS, _MAP_NEEDS, "", "")
        for key in ("models", "notes"):
            if not all(isinstance(item, str) for item in good.get(key, ())):
                self._wrong("", key, f"{key} must be a list of texts in quotes")
        for key, least, most in (("every_s", 0.1, 60.0), ("stale_s", 0.5, 300.0), ("source_address", 0, 253)):
            if key in good and not least <= good[key] <= most:
                self._wrong("", key, f"{key} is {good[key]:g}; it must lie between {least:g} and {most:g}")
        if "source_address" in good and not good.get("j1939", False):
            self._wrong("", "source_address", "source_address means something with j1939 = true only")
        fields: dict[str, Any] = {
            **{key: good.get(key, "") for key in ("name", "title", "maker", "source")},
            **{key: tuple(good.get(key, ())) for key in ("models", "notes")},
            **{key: good[key] for key in ("every_s", "stale_s", "j1939", "source_address") if key in good},
            "values": self._values(good.get("values", {})),
            "temperatures": self._row("temperatures", "temperature", good.get("temperatures")),
            "cells": self._row("cells", "voltage", good.get("cells")),
            "balancing": self._row("balancing", "current", good.get("balancing")),
            "alarms": self._alarms(good.get("alarms", {})),
            "stop": self._signs_in("stop", good.get("stop")),
            "firmware": self._signs_in("firmware", good.get("firmware")),
        }
        if not self.problems and not fields["values"] and fields["temperatures"] is None and fields["cells"] is None:
            self._wrong("", "schema", "it maps nothing: give it [values], [temperatures] or [cells]")
        self._used_twice(fields)
        return fields

    def _values(self, table: Mapping[str, Any]) -> dict[Quantity, Told]:
        found = {}
        for key, row in table.items():
            if key not in list(Quantity):
                self._wrong("values", key, f"{key} is nothing that a pack tells here; there are: {', '.join(Quantity)}")
            elif not isinstance(row, dict):
                self._wrong("values", key, f'{key} must be a table like {{ signal = "Message.Signal", unit = "V" }}')
            else:
                quantity = Quantity(key)
                good = self._checked(row, _VALUE_KEYS, ("signal",), "values", key)
                if quantity in _SIGNED and good.get("charging") not in ("positive", "negative"):
                    self._wrong("values", key, f'{key}: say which sign charging has there: charging = "positive" or charging = "negative"')
                elif "charging" in good and quantity not in _SIGNED:
                    self._wrong("values", key, f"{key}: charging means something with a current only")
                if "signal" in good:
                    found[quantity] = self._told(quantity.kind, (good["signal"],), good, "values", key)
        return found

    def _row(self, section: str, kind: str, table: Mapping[str, Any] | None) -> Told | None:
        if table is None:
            return None
        good = self._checked(table, _ROW_KEYS, ("signals",), section, "signals")
        names = good.get("signals", ())
        if isinstance(names, list) and not all(isinstance(name, str) for name in names):
            self._wrong(section, "signals", "signals must be a text in quotes, or a list of them")
            return None
        signals = self._expanded([names] if isinstance(names, str) else names, section, "signals")
        if not signals:
            return None
        if "count" in good:
            if not 1 <= good["count"] <= len(signals):
                self._wrong(
                    section, "count", f"count is {good['count']}; it must lie between 1 and {len(signals)}, the signals that are named"
                )
            signals = signals[: max(1, good["count"])]
        return self._told(kind, signals, good, section, "signals", counted="count" in good)

    def _told(self, kind: str, signals: tuple[str, ...], good: Mapping[str, Any], section: str, key: str, *, counted: bool = False) -> Told:
        at = key if section == "values" else "unit"
        if "unit" in good and (unit := unit_of(good["unit"])) is not None and unit.kind != kind:
            self._wrong(section, at, f"{key}: unit is {good['unit']!r}; write one of {', '.join(KINDS[kind])}")
        elif "unit" in good and unit_of(good["unit"]) is None:
            self._wrong(section, at, f"{key}: unit {good['unit']!r} is not known; write one of {', '.join(KINDS[kind])}")
        if good.get("overrides_dbc") and "unit" not in good:
            self._wrong(section, key, f"{key}: overrides_dbc needs a unit that counts instead of the DBC's")
        scale, offset = float(good.get("scale", 1.0)), float(good.get("offset", 0.0))
        if not (isfinite(scale) and scale > 0):
            self._wrong(section, key, f"{key}: scale is {scale:g}; write what one of the DBC's counts is worth, for example 0.1")
        if not isfinite(offset):
            self._wrong(section, key, f"{key}: offset is {offset:g}; write a number")
        flags = self._expanded([good["invalid_flag"]], section, key) if "invalid_flag" in good else ()
        if flags and len(flags) != 1 and len(flags) < len(signals):
            self._wrong(section, key, f"{key}: invalid_flag names {len(flags)} signals, there are {len(signals)} values")
        return Told(
            kind=kind,
            signals=signals,
            unit=good.get("unit", ""),
            overrides=good.get("overrides_dbc", False),
            scale=scale,
            offset=offset,
            negative=good.get("charging") == "negative",
            invalid=self._counts(good.get("invalid", []), section, key, "invalid"),
            flags=flags * len(signals) if len(flags) == 1 else flags[: len(signals)],
            counted=counted,
            line=self._line(section, key),
        )

    def _alarms(self, table: Mapping[str, Any]) -> dict[str, tuple[Sign, ...]]:
        found = {}
        for name, told in table.items():
            if name not in ALARMS:
                self._wrong("alarms", name, f"{name} is no alarm here; there are: {', '.join(ALARMS)}")
            else:
                found[name] = self._signs(told, "alarms", name)
        return found

    def _signs_in(self, section: str, table: Mapping[str, Any] | None) -> tuple[Sign, ...]:
        """The signs of a section that has nothing else."""
        if table is None:
            return ()
        good = self._checked(table, {"signals": (str, list)}, ("signals",), section, "signals")
        return self._signs(good["signals"], section, "signals") if "signals" in good else ()

    def _signs(self, told: object, section: str, key: str) -> tuple[Sign, ...]:
        """Signals that raise something: a name, a list of names, or of tables like { signal = "A.B", is = [3] }."""
        found: list[Sign] = []
        for one in told if isinstance(told, list) else [told]:
            if isinstance(one, str):
                found += [Sign(name, None, self._line(section, key)) for name in self._expanded([one], section, key)]
            elif isinstance(one, dict):
                good = self._checked(one, {"signal": str, "is": list}, ("signal", "is"), section, key)
                if "signal" in good and "is" in good:
                    found.append(Sign(good["signal"], self._counts(good["is"], section, key, "is"), self._line(section, key)))
            else:
                self._wrong(section, key, f'{key}: write "Message.Signal", a list of them, or {{ signal = "Message.Signal", is = [3] }}')
        return tuple(found)

    def _counts(self, values: Iterable[Any], section: str, key: str, name: str) -> frozenset[int]:
        good = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
        if len(good) != len(list(values)):
            self._wrong(section, key, f"{key}: {name} must be a list of whole numbers, the raw counts of the signal")
        return frozenset(good)

    def _expanded(self, names: Iterable[str], section: str, key: str) -> tuple[str, ...]:
        """All names that the numbered ones stand for, in their order."""
        found: list[str] = []
        for name in names:
            runs = [(int(first), int(last), len(first)) for first, last in _RUN.findall(name)]
            if any(first > last or last - first >= MOST_SIGNALS for first, last, _ in runs) or len(runs) > 2:
                self._wrong(section, key, f"{key}: {name!r} counts from a lower to a higher number, at most {MOST_SIGNALS} of them")
                return ()
            for numbers in product(*(range(first, last + 1) for first, last, _ in runs)):
                texts = iter(f"{number:0{width}d}" for number, (_, _, width) in zip(numbers, runs, strict=True))
                found.append(_RUN.sub(lambda _: next(texts), name))  # noqa: B023  # used up at once
                if len(found) > MOST_SIGNALS:
                    self._wrong(section, key, f"{key}: more than {MOST_SIGNALS} signals")
                    return ()
        return tuple(found)

    def _used_twice(self, fields: Mapping[str, Any]) -> None:
        """A signal that is two values: one of the two is wrong."""
        seen: dict[str, str] = {}
        rows = [("values", str(quantity), told) for quantity, told in fields["values"].items()]
        rows += [(name, "signals", fields[name]) for name in ("temperatures", "cells", "balancing") if fields[name] is not None]
        for section, key, told in rows:
            label = key if section == "values" else section
            for signal in told.signals:
                other = seen.setdefault(signal, label)
                if other != label or told.signals.count(signal) > 1:
                    self._wrong(section, key, f"{label}: {signal} is used twice" + (f", for {other} too" if other != label else ""))

    def _checked(self, table: Mapping[str, Any], kinds: Mapping[str, Any], needs: tuple[str, ...], section: str, of: str) -> dict[str, Any]:
        """What of ``table`` is known and of the right kind."""
        prefix = f"{of}: " if of and section == "values" else f"{section}: " if section else ""
        for key in needs:
            if key not in table:
                self._wrong(section, of or "schema", f"{prefix}{key} is missing")
        good = {}
        for key, value in table.items():
            kind = kinds.get(key)
            at = of if section in ("values", "alarms") else key
            allowed = kind if isinstance(kind, tuple) else (int, float) if kind is float else (kind,)
            if kind is None:
                self._wrong(section, at, f"{prefix}unknown key {key}; known are: {', '.join(kinds)}")
            elif not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
                words = " or ".join(_KINDS[one] for one in (kind if isinstance(kind, tuple) else (kind,)))
                self._wrong(section, at, f"{prefix}{key} is {value!r}; it must be {words}")
            else:
                good[key] = value
        return good

    def _line(self, section: str, key: str) -> int | None:
        return self._lines.get((section, key)) or self._lines.get((section or key, ""))

    def _wrong(self, section: str, key: str, words: str) -> None:
        told = placed(self._where, self._line(section, key), words)
        if told not in self.problems:
            self.problems.append(told)


def placed(where: str, line: int | None, words: str) -> str:
    """A complaint with its place."""
    return f"{where}{'' if line is None else f' line {line}'}: {words}"


_SECTION = re.compile(r"^\s*\[+\s*([A-Za-z0-9_.\-\"]+)\s*\]")
_KEY = re.compile(r"^\s*\"?([A-Za-z0-9_\-]+)\"?\s*[.=]")


def _lines_of(text: str) -> dict[tuple[str, str], int]:
    """Where each key of each section stands; ("section", "") is its heading."""
    found: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if match := _SECTION.match(line):
            section, _, key = match[1].replace('"', "").partition(".")
            found.setdefault((section, ""), number)
            if key:
                found.setdefault((section, key), number)
        elif match := _KEY.match(line):
            found.setdefault((section, match[1]), number)
    return found
