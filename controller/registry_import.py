"""Registries from files: what a file would change, before anything is changed. Pure.

    bytes, Known (what is registered)  --preview(kind)-->  Preview: a line per entry, or complaints with row and column
    Preview  --commands(actor, reason)-->  ChangeRegistry / ChangeSite, each small enough for the link

A column that the file does not have changes nothing; an empty cell says "not known". With any complaint nothing is applied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

import msgspec

from bms_bridge.chemistry import Chemistry
from controller.import_reader import Change, Known, Line, Preview, Reader, finish, line_of, name_of, place_index, place_of
from controller.names import NAME_LENGTH
from controller.registry_view import DriverRow
from controller.sheets import CellError, Complaint, Row, Sheet, read_sheet
from controller.site_import import read_feeders, read_stations
from depot import commands as cmd
from depot.fleet import Driver, Pack, Vehicle, shared_tags
from depot.values import PackKey

COMMAND_BYTES = 40_000
"""One command on the link; a line there has at most 64 KiB."""


class Kind(StrEnum):
    """What a registry file may hold."""

    VEHICLES = "vehicles"
    PACKS = "packs"
    DRIVERS = "drivers"
    STATIONS = "stations"
    FEEDERS = "feeders"


COLUMNS: Mapping[Kind, tuple[str, ...]] = {
    Kind.VEHICLES: (
        "vehicle_id", "model", "battery_kwh", "ac_max_kw", "dc_max_kw", "discharge_kw", "efficiency", "pausable", "id_tags", "connector",
        "bay", "phases", "precondition_kw", "precondition_min",
    ),
    Kind.PACKS: ("vehicle_id", "pack_id", "chemistry", "capacity_kwh", "cells"),
    Kind.DRIVERS: ("driver_id", "name", "id_tags"),
    Kind.STATIONS: (
        "station_id", "feeder_id", "bay", "connector", "current", "rated_kw", "min_kw", "phases", "voltage_v", "pausable",
        "settle_s", "discharge_kw", "key_hash",
    ),
    Kind.FEEDERS: ("feeder_id", "rating_kw", "name"),
}  # fmt: skip
NEEDED: Mapping[Kind, tuple[str, ...]] = {
    Kind.VEHICLES: ("vehicle_id",),
    Kind.PACKS: ("vehicle_id", "pack_id"),
    Kind.DRIVERS: ("driver_id",),
    Kind.STATIONS: ("station_id", "connector"),
    Kind.FEEDERS: ("feeder_id",),
}
ALIASES: Mapping[str, str] = {
    "vehicle": "vehicle_id", "pack": "pack_id", "driver": "driver_id", "station": "station_id", "feeder": "feeder_id",
    "battery": "battery_kwh", "capacity": "capacity_kwh", "ac_kw": "ac_max_kw", "dc_kw": "dc_max_kw", "id_tag": "id_tags",
    "tag": "id_tags", "tags": "id_tags", "bay_id": "bay", "number": "connector", "connector_id": "connector", "rating": "rating_kw",
}  # fmt: skip


def preview(kind: Kind, data: bytes, known: Known, *, remove_missing: bool = False) -> Preview:
    """What the file would change. ``remove_missing``: entries that it does not hold are removed."""
    sheet = read_sheet(data, kind.value, COLUMNS[kind], needed=NEEDED[kind], aliases=ALIASES)
    if any(complaint.row == 0 for complaint in sheet.complaints):
        return Preview(kind.value, complaints=tuple(sheet.complaints))
    return _READERS[kind](sheet, known, remove_missing)


def preview_cells(kind: Kind, rows: Sequence[Mapping[str, str]], known: Known) -> Preview:
    """The same for the rows of a form."""
    cells = [{name: text.strip() for name, text in row.items()} for row in rows]
    sheet = Sheet(kind.value, COLUMNS[kind], [Row(k + 1, row) for k, row in enumerate(cells)])
    return _READERS[kind](sheet, known, False)


T = TypeVar("T", Vehicle, Pack)


def _with(old: T, after: Mapping[str, Any]) -> T:
    return replace(old, **after)


def _vehicles(sheet: Sheet, known: Known, remove_missing: bool) -> Preview:
    reader, puts, lines = Reader(sheet), [], []
    places = place_index(known.places)
    for row in sheet.rows:
        name = row.text("vehicle_id")
        if not reader.once(row, name, f"vehicle {name}"):
            continue
        before = known.vehicles.get(name)
        old = before or reader.make(row, partial(Vehicle, name))
        if old is None:
            continue
        bad = len(reader.complaints)
        efficiency: float | None = old.efficiency
        efficiency = reader.cell(row, "efficiency", row.share_of, efficiency)
        after = {
            "model": reader.cell(row, "model", row.text, old.model),
            "battery_wh": reader.cell(row, "battery_kwh", row.thousandfold_of, old.battery_wh),
            "ac_max_w": reader.cell(row, "ac_max_kw", row.thousandfold_of, old.ac_max_w),
            "dc_max_w": reader.cell(row, "dc_max_kw", row.thousandfold_of, old.dc_max_w),
            "discharge_max_w": reader.cell(row, "discharge_kw", row.thousandfold_of, old.discharge_max_w),
            "efficiency": Vehicle(name).efficiency if efficiency is None else efficiency,
            "pausable": reader.cell(row, "pausable", row.flag_of, old.pausable),
            "phases": reader.cell(row, "phases", row.whole_of, old.phases),
            "precondition_w": reader.cell(row, "precondition_kw", row.thousandfold_of, old.precondition_w),
            "precondition_min": reader.cell(row, "precondition_min", row.whole_of, old.precondition_min),
            "id_tags": reader.cell(row, "id_tags", row.list_of, old.id_tags),
            "connector": place_of(reader, row, places, old.connector),
        }
        new = reader.make(row, partial(_with, old, after))
        if new is not None and len(reader.complaints) == bad:
            lines.append(line_of(row.number, name, before, new))
            puts.append(new)
    after_all = {k: (k, *v.id_tags) for k, v in known.vehicles.items()} | {v.vehicle_id: (v.vehicle_id, *v.id_tags) for v in puts}
    _complain_of_tags(reader, "vehicle", after_all)
    return finish(reader, lines, puts, known.vehicles, remove_missing)


def _complain_of_tags(reader: Reader, kind: str, tags: Mapping[str, Sequence[str]]) -> None:
    for one, other in shared_tags(tags):
        row = reader.seen.get(other, reader.seen.get(one, 0))
        reader.complaints.append(Complaint(row, f"{kind}s {one} and {other} have the same tag", "id_tags"))


def _packs(sheet: Sheet, known: Known, remove_missing: bool) -> Preview:
    reader, puts, lines = Reader(sheet), [], []
    names = {chemistry.value.casefold(): chemistry.value for chemistry in Chemistry}

    def chemistry_of(row: Row, _: str) -> str:
        text = row.text("chemistry")
        if text and text.casefold() not in names:
            raise CellError(f"{text!r} is not known; write {', '.join(names.values())}")
        return names.get(text.casefold(), Chemistry.UNKNOWN.value)

    for row in sheet.rows:
        key = PackKey(row.text("vehicle_id"), row.text("pack_id"))
        if not reader.once(row, key, f"pack {key}"):
            continue
        if key.vehicle_id not in known.vehicles:
            reader.complain(row, f"vehicle {key.vehicle_id!r} is not registered; import the vehicles first", "vehicle_id")
            continue
        before = known.packs.get(key)
        old = before or reader.make(row, partial(Pack, key))
        if old is None:
            continue
        bad = len(reader.complaints)
        after = {
            "chemistry": reader.cell(row, "chemistry", partial(chemistry_of, row), old.chemistry),
            "capacity_wh": reader.cell(row, "capacity_kwh", row.thousandfold_of, old.capacity_wh),
            "cells": reader.cell(row, "cells", row.whole_of, old.cells),
        }
        new = reader.make(row, partial(_with, old, after))
        if new is not None and len(reader.complaints) == bad:
            lines.append(line_of(row.number, str(key), before, new))
            puts.append(new)
    return finish(reader, lines, puts, known.packs, remove_missing)


def _drivers(sheet: Sheet, known: Known, remove_missing: bool) -> Preview:
    reader, puts, lines, names = Reader(sheet), [], [], {}
    for row in sheet.rows:
        driver_id = row.text("driver_id")
        if not reader.once(row, driver_id, f"driver {driver_id}"):
            continue
        before = known.drivers.get(driver_id)
        tags = reader.cell(row, "id_tags", row.list_of, tuple(before.id_tags) if before is not None else ())
        new = reader.make(row, partial(Driver, driver_id, tags))
        if new is None:
            continue
        name = row.text("name") if row.has("name") else (before.name if before is not None else "")
        if len(name) > NAME_LENGTH or not name.isprintable():
            reader.complain(row, f"at most {NAME_LENGTH} printable characters", "name")
            continue
        after = DriverRow(driver_id=driver_id, id_tags=list(tags), name=name)
        words = () if before is None or before == after else tuple(_driver_words(before, after))
        change = Change.ADDED if before is None else Change.CHANGED if words else Change.UNCHANGED
        lines.append(Line(row.number, driver_id, change, words))
        puts.append(new)
        if name != (before.name if before is not None else ""):
            names[driver_id] = name
    _complain_of_tags(reader, "driver", {k: d.id_tags for k, d in known.drivers.items()} | {d.driver_id: d.id_tags for d in puts})
    done = finish(reader, lines, puts, known.drivers, remove_missing)
    return replace(done, names=names)


def _driver_words(before: DriverRow, after: DriverRow) -> list[str]:
    out = ["name changed"] if before.name != after.name else []
    return out + ([f"tags {' '.join(before.id_tags) or '–'} → {' '.join(after.id_tags) or '–'}"] if before.id_tags != after.id_tags else [])


_READERS: Mapping[Kind, Callable[[Sheet, Known, bool], Preview]] = {
    Kind.VEHICLES: _vehicles,
    Kind.PACKS: _packs,
    Kind.DRIVERS: _drivers,
    Kind.STATIONS: read_stations,
    Kind.FEEDERS: read_feeders,
}


def commands(found: Preview, *, new_id: Callable[[], str], actor: str, reason: str) -> list[cmd.Command]:
    """The commands that apply a preview, in order; each fits on the link. Raises ValueError for one with complaints."""
    if found.complaints:
        raise ValueError("a file with complaints is not applied")
    kind = Kind(found.kind)
    make = cmd.ChangeSite if kind in (Kind.STATIONS, Kind.FEEDERS) else cmd.ChangeRegistry
    removes = "retire_stations" if kind is Kind.STATIONS else f"remove_{kind.value}"
    out: list[cmd.Command] = []
    for part in _parts(found.puts):
        more: dict[str, Any] = {kind.value: tuple(part)}
        ids = {name_of(put) for put in part}
        if kind is Kind.DRIVERS:
            more["names"] = {k: name for k, name in found.names.items() if k in ids}
        if kind is Kind.STATIONS:
            more["key_hashes"] = {k: key_hash for k, key_hash in found.key_hashes.items() if k in ids}
        out.append(make(command_id=new_id(), actor=actor, reason=reason, **more))
    for part in _parts(found.removes):
        less: dict[str, Any] = {removes: tuple(part)}
        out.append(make(command_id=new_id(), actor=actor, reason=reason, **less))
    return out


def _parts(entries: Sequence[Any]) -> list[list[Any]]:
    parts: list[list[Any]] = []
    size = COMMAND_BYTES
    for entry in entries:
        length = len(msgspec.json.encode(entry)) + 200  # a driver's name travels beside it
        if size + length > COMMAND_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(entry)
        size += length
    return parts
