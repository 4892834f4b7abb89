"""Meter maps: where a kind of meter keeps which value, as data (``grid/meters/*.toml``, schema ``meter-map/1``).

    schema = "meter-map/1"          name, title, maker, models, source, notes
    table = "input"                 which registers: input (function 4) or holding (3)
    word_order = "big"              of values of several registers; a value may have its own
    [values]
    power = { address = 0x34, type = "float32", unit = "W" }

Addresses count from 0 as on the wire; a register number of a manual is usually one more. ``scale`` is what one count is
worth in ``unit``. ``verified = false`` marks what was not found in a source that was tried on a meter: ``./chargeyard meter
probe`` looks at it first. A file of one's own is read by its path. What a map says wrong is told with its line.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

from grid import GridError
from grid.modbus_link import Table

__all__ = ["InvalidMap", "MapValue", "MeterError", "MeterMap", "Quantity", "RegisterType", "UnknownMap", "WordOrder", "plain_map"]

SCHEMA: Final = "meter-map/1"
LAST_ADDRESS: Final = 65_535


class MeterError(GridError):
    """A map, a setting or a reading that cannot be used (drawn in :mod:`grid`)."""


class UnknownMap(MeterError):
    """No map of that name; the message lists the names."""


class InvalidMap(MeterError):
    """A map that cannot be right; ``problems`` says each thing, with its line."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class RegisterType(StrEnum):
    """How a value lies in its one, two or four registers."""

    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    FLOAT32 = "float32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT64 = "float64"

    @property
    def registers(self) -> int:
        """How many registers it takes."""
        return int(self.value[-2:]) // 16

    @property
    def whole(self) -> bool:
        """It counts in whole numbers."""
        return not self.value.startswith("float")

    @property
    def most(self) -> int:
        """The highest count of a whole one, after which it begins at 0 again."""
        bits = 16 * self.registers
        return (1 << bits) - 1 if self.value.startswith("u") else (1 << (bits - 1)) - 1


class WordOrder(StrEnum):
    """Which of a value's registers is the high one: the first (``big``) or the last (``little``)."""

    BIG = "big"
    LITTLE = "little"


class Quantity(StrEnum):
    """What a meter can tell. Import is positive; voltages are to neutral."""

    POWER = "power"
    POWER_L1 = "power_l1"
    POWER_L2 = "power_l2"
    POWER_L3 = "power_l3"
    APPARENT = "apparent"
    REACTIVE = "reactive"
    POWER_FACTOR = "power_factor"
    FREQUENCY = "frequency"
    VOLTAGE_L1 = "voltage_l1"
    VOLTAGE_L2 = "voltage_l2"
    VOLTAGE_L3 = "voltage_l3"
    CURRENT_L1 = "current_l1"
    CURRENT_L2 = "current_l2"
    CURRENT_L3 = "current_l3"
    IMPORT_ENERGY = "import_energy"
    EXPORT_ENERGY = "export_energy"
    APPARENT_ENERGY = "apparent_energy"
    DEMAND = "demand"
    APPARENT_DEMAND = "apparent_demand"
    PEAK_DEMAND = "peak_demand"
    PEAK_APPARENT_DEMAND = "peak_apparent_demand"
    DEMAND_INTERVAL = "demand_interval"

    @property
    def unit(self) -> str:
        """In which unit it is kept here."""
        return _UNITS[self]


_UNITS: Final[Mapping[Quantity, str]] = {
    **{q: "W" for q in Quantity if q.startswith("power")},
    Quantity.POWER_FACTOR: "1",
    Quantity.APPARENT: "VA",
    Quantity.REACTIVE: "var",
    Quantity.FREQUENCY: "Hz",
    **{q: "V" for q in Quantity if q.startswith("voltage")},
    **{q: "A" for q in Quantity if q.startswith("current")},
    Quantity.IMPORT_ENERGY: "Wh",
    Quantity.EXPORT_ENERGY: "Wh",
    Quantity.APPARENT_ENERGY: "VAh",
    Quantity.DEMAND: "W",
    Quantity.PEAK_DEMAND: "W",
    Quantity.APPARENT_DEMAND: "VA",
    Quantity.PEAK_APPARENT_DEMAND: "VA",
    Quantity.DEMAND_INTERVAL: "min",
}

_PREFIXES: Final = {"m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6}


_TURNED: Final = {Quantity.IMPORT_ENERGY: Quantity.EXPORT_ENERGY, Quantity.EXPORT_ENERGY: Quantity.IMPORT_ENERGY}
_DEMANDS: Final = frozenset({Quantity.DEMAND, Quantity.PEAK_DEMAND})


def factor_of(unit: str, quantity: Quantity) -> float | None:
    """How much of the kept unit one ``unit`` is: 1000 for kW of a power. None: it is another kind of unit."""
    for prefix, factor in _PREFIXES.items():
        if unit == prefix + quantity.unit and (not prefix or quantity.unit not in ("1", "min")):
            return factor
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapValue:
    """One value of a map. ``address`` counts from 0. ``scale``: what one count is worth in the unit in which the quantity is
    kept here (W, V, A, Hz, Wh ...), with its sign. ``unit``: as the file says it, for people."""

    quantity: Quantity
    table: Table
    address: int
    type: RegisterType
    word_order: WordOrder
    swapped_bytes: bool = False
    scale: float = 1.0
    unit: str = ""
    verified: bool = True

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + self.type.registers

    @property
    def wraps_at(self) -> float | None:
        """Where a counting register begins at 0 again, in the kept unit; None: it does not count in whole numbers."""
        return (self.type.most + 1) * abs(self.scale) if self.type.whole else None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterMap:
    """A kind of meter. ``gap``: so many registers between two values are read along rather than asked apart.
    ``most_registers``: of one request. ``word_order_varies``: it is a setting of the meter; the map holds the usual one."""

    name: str
    title: str
    maker: str
    models: tuple[str, ...]
    source: str
    values: Mapping[Quantity, MapValue]
    notes: tuple[str, ...] = ()
    gap: int = 8
    most_registers: int = 100
    word_order_varies: bool = False
    file: Path | None = field(default=None, compare=False)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The packaged maps, sorted."""
        return tuple(sorted(item.name.removesuffix(".toml") for item in _folder().iterdir() if item.name.endswith(".toml")))

    @classmethod
    def named(cls, name: str) -> Self:
        """The packaged map ``name``, or the one in a file where ``name`` is a path (it ends in .toml).
        Raises :class:`UnknownMap`, :class:`InvalidMap`."""
        if name.endswith(".toml"):
            return cls.load(Path(name))
        if name not in cls.names():
            raise UnknownMap(f"no meter map is called {name!r}; there are: {', '.join(cls.names())}; or give a path that ends in .toml")
        return cls.load(_folder() / f"{name}.toml")

    @classmethod
    def load(cls, path: Path) -> Self:
        """The map in a file. Raises :class:`UnknownMap` where there is no such file, :class:`InvalidMap`."""
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise InvalidMap((f"{path.name}: it is not UTF-8 text",)) from None
        except OSError as error:
            raise UnknownMap(f"meter map {path}: {error.strerror}") from None
        return replace(cls.parse(text, path.name), file=path)

    @classmethod
    def parse(cls, text: str, where: str = "meter map") -> Self:
        """The map that ``text`` (TOML) describes. Raises :class:`InvalidMap` with everything that is wrong."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InvalidMap((f"{where}: {error}",)) from None
        reader = _Reader(text, where)
        fields = reader.map_fields(table)
        if reader.problems:
            raise InvalidMap(tuple(reader.problems))
        return cls(**fields)

    def installed(
        self,
        *,
        offset: int = 0,
        word_order: WordOrder | None = None,
        table: Table | None = None,
        ct_ratio: float = 1.0,
        vt_ratio: float = 1.0,
        turned: bool = False,
    ) -> Self:
        """The map of a meter as it is built in: all addresses moved by ``offset``, another word order or table, transformer
        ratios by which the meter itself does not multiply, ``turned``: it counts import as export. Raises :class:`MeterError`."""
        factors = {"V": vt_ratio, "A": ct_ratio, **dict.fromkeys(("W", "VA", "var", "Wh", "VAh"), ct_ratio * vt_ratio)}
        moved = {}
        for quantity, value in self.values.items():
            if not 0 <= value.address + offset <= LAST_ADDRESS + 1 - value.type.registers:
                raise MeterError(f"meter map {self.name}: address {value.address} of {quantity} can't be moved by {offset}")
            becomes = _TURNED.get(quantity, quantity) if turned else quantity
            sign = -1 if turned and quantity.unit in ("W", "var") and quantity not in _DEMANDS else 1
            moved[becomes] = replace(
                value,
                quantity=becomes,
                address=value.address + offset,
                word_order=value.word_order if word_order is None else word_order,
                table=value.table if table is None else table,
                scale=value.scale * factors.get(quantity.unit, 1.0) * sign,
            )
        return replace(self, values=moved)

    @property
    def unverified(self) -> tuple[Quantity, ...]:
        """What the probe should look at: the map's addresses of them were not seen to be right on a meter."""
        return tuple(value.quantity for value in self.values.values() if not value.verified)


def plain_map(*, table: Table, address: int, type_: RegisterType, word_order: WordOrder, scale_w: float) -> MeterMap:
    """The map of a meter of which only the total power is known; ``scale_w``: watts per count."""
    value = MapValue(
        quantity=Quantity.POWER, table=table, address=address, type=type_, word_order=word_order, scale=scale_w, unit="W", verified=True
    )
    return MeterMap(name="", title="a register of one's own", maker="", models=(), source="settings", values={Quantity.POWER: value})


def _folder() -> Path:
    return Path(str(files("grid"))) / "meters"


_MAP_KEYS: Final = {
    "schema": str, "name": str, "title": str, "maker": str, "models": list, "source": str, "notes": list, "table": str,
    "word_order": str, "byte_order": str, "word_order_varies": bool, "gap": int, "most_registers": int, "values": dict,
}  # fmt: skip
_MAP_NEEDS: Final = ("schema", "name", "title", "maker", "models", "source", "table", "word_order", "values")
_VALUE_KEYS: Final = {
    "address": int, "type": str, "unit": str, "scale": float, "sign": int, "word_order": str, "byte_order": str, "table": str,
    "verified": bool,
}  # fmt: skip
_KINDS: Final = {str: "text in quotes", list: "a list", bool: "true or false", int: "a whole number", dict: "a table", float: "a number"}
_ORDERS: Final = tuple(WordOrder)
_TABLES: Final = (Table.INPUT, Table.HOLDING)


class _Reader:
    """Turns the tables of a file into fields; collects what is wrong with the line where it stands."""

    def __init__(self, text: str, where: str) -> None:
        self.problems: list[str] = []
        self._lines = text.splitlines()
        self._where = where

    def map_fields(self, table: Mapping[str, Any]) -> dict[str, Any]:
        if table.get("schema") != SCHEMA:
            self._wrong("schema", f"schema is {table.get('schema')!r}; this reads {SCHEMA!r}")
            return {}
        good = self._checked(table, _MAP_KEYS, _MAP_NEEDS, "")
        for key, known in (("table", _TABLES), ("word_order", _ORDERS), ("byte_order", _ORDERS)):
            if key in good and good[key] not in known:
                self._wrong(key, f"{key} is {good.pop(key)!r}; write one of {', '.join(known)}")
        values = self._values(good.get("values", {}), good)
        if "values" in good and Quantity.POWER not in values and not self.problems:
            self._wrong("values", "it has no power; a connection-point meter must tell at least the total active power")
        for key, least, most in (("gap", 0, 100), ("most_registers", 4, 125)):
            if key in good and not least <= good[key] <= most:
                self._wrong(key, f"{key} is {good[key]}; it must lie between {least} and {most}")
        for key in ("models", "notes"):
            if not all(isinstance(item, str) for item in good.get(key, ())):
                self._wrong(key, f"{key} must be a list of texts in quotes")
        return {
            **{key: good.get(key, "") for key in ("name", "title", "maker", "source")},
            **{key: tuple(good.get(key, ())) for key in ("models", "notes")},
            **{key: good[key] for key in ("gap", "most_registers", "word_order_varies") if key in good},
            "values": values,
        }

    def _values(self, table: Mapping[str, Any], general: Mapping[str, Any]) -> dict[Quantity, MapValue]:
        found = {}
        for key, row in table.items():
            if key not in list(Quantity):
                self._wrong(key, f"{key} is nothing that a meter tells here; there are: {', '.join(Quantity)}")
            elif not isinstance(row, dict):
                self._wrong(key, f'{key} must be a table like {{ address = 52, type = "float32", unit = "W" }}')
            else:
                value = self._value(Quantity(key), row, general)
                if value is not None:
                    found[value.quantity] = value
        self._overlaps(found)
        return found

    def _value(self, quantity: Quantity, row: Mapping[str, Any], general: Mapping[str, Any]) -> MapValue | None:
        before = len(self.problems)
        good = self._checked(row, _VALUE_KEYS, ("address", "type", "unit"), quantity)
        kind = self._one_of(quantity, "type", good.get("type"), tuple(RegisterType))
        order = self._one_of(quantity, "word_order", good.get("word_order", general.get("word_order")), _ORDERS)
        bytes_ = self._one_of(quantity, "byte_order", good.get("byte_order", general.get("byte_order", "big")), _ORDERS)
        table = self._one_of(quantity, "table", good.get("table", general.get("table")), _TABLES)
        factor = factor_of(good.get("unit", ""), quantity)
        if "unit" in good and factor is None:
            better = f"{quantity.unit} or k{quantity.unit}" if quantity.unit not in ("1", "min", "Hz", "V", "A") else quantity.unit
            self._wrong(quantity, f"{quantity}: unit is {good['unit']!r}; write {better}")
        scale, sign = float(good.get("scale", 1.0)), good.get("sign", 1)
        if not 0 < scale < float("inf"):
            self._wrong(quantity, f"{quantity}: scale is {scale:g}; write what one count is worth in the unit, for example 0.1")
        if sign not in (1, -1):
            self._wrong(quantity, f"{quantity}: sign is {sign}; write -1 where the meter counts import as negative, else leave it out")
        if kind is not None and "address" in good and not 0 <= good["address"] <= LAST_ADDRESS + 1 - RegisterType(kind).registers:
            self._wrong(quantity, f"{quantity}: address is {good['address']}; addresses go from 0 to {LAST_ADDRESS}, counted from 0")
        if len(self.problems) > before or kind is None or order is None or table is None or factor is None:
            return None
        return MapValue(
            quantity=quantity,
            table=Table(table),
            address=good["address"],
            type=RegisterType(kind),
            word_order=WordOrder(order),
            swapped_bytes=bytes_ == WordOrder.LITTLE,
            scale=scale * sign * factor,
            unit=good["unit"],
            verified=good.get("verified", True),
        )

    def _overlaps(self, found: Mapping[Quantity, MapValue]) -> None:
        """Two values in the same registers: one of their addresses is wrong."""
        ordered = sorted(found.values(), key=lambda value: (value.table, value.address))
        for first, second in pairwise(ordered):
            if first.table is second.table and second.address < first.end:
                self._wrong(second.quantity, f"{second.quantity} at {second.address} overlaps {first.quantity} at {first.address}")

    def _checked(self, table: Mapping[str, Any], kinds: Mapping[str, type], needs: tuple[str, ...], of: str) -> dict[str, Any]:
        """What of ``table`` is known and of the right kind."""
        prefix = f"{of}: " if of else ""
        for key in needs:
            if key not in table:
                self._wrong(of or "schema", f"{prefix}{key} is missing")
        good = {}
        for key, value in table.items():
            kind = kinds.get(key)
            if kind is None:
                self._wrong(of or key, f"{prefix}unknown key {key}; known are: {', '.join(kinds)}")
            elif not isinstance(value, (int, float) if kind is float else kind) or (isinstance(value, bool) and kind is not bool):
                self._wrong(of or key, f"{prefix}{key} is {value!r}; it must be {_KINDS[kind]}")
            else:
                good[key] = value
        return good

    def _one_of(self, quantity: Quantity, key: str, value: object, known: tuple[str, ...]) -> str | None:
        if value is None or value in known:
            return None if value is None else str(value)
        self._wrong(quantity, f"{quantity}: {key} is {value!r}; write one of {', '.join(known)}")
        return None

    def _wrong(self, key: str, words: str) -> None:
        name = re.escape(key)
        pattern = re.compile(rf'^\s*(\[+[^\]]*\b{name}\s*\]|"?{name}"?\s*(=|\.))')
        line = next((number for number, text in enumerate(self._lines, 1) if pattern.match(text)), None)
        told = f"{self._where}{'' if line is None else f' line {line}'}: {words}"
        if told not in self.problems:
            self.problems.append(told)
