"""What all imports share: one line per entry, complaints with row and column, nothing applied while there are any. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, TypeVar

from controller.registry_view import DriverRow, DriversView, FleetView, Place, SiteDeclarationView
from controller.sheets import MAX_COMPLAINTS, CellError, Complaint, Row, Sheet
from depot.fleet import Pack, Vehicle
from depot.registry import FeederSpec, StationSpec
from depot.values import ConnectorId, DepotError, PackKey

T = TypeVar("T")


class Change(StrEnum):
    """What happens to an entry."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of a preview. ``row`` 0: not in the file. ``words``: each field that changes, old → new."""

    row: int
    name: str
    change: Change
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What is registered now. Stations and feeders: as they are from the next start on."""

    vehicles: Mapping[str, Vehicle] = field(default_factory=dict)
    packs: Mapping[PackKey, Pack] = field(default_factory=dict)
    drivers: Mapping[str, DriverRow] = field(default_factory=dict)
    places: Sequence[Place] = ()
    stations: Mapping[str, StationSpec] = field(default_factory=dict)
    feeders: Mapping[str, FeederSpec] = field(default_factory=dict)


def known_of(fleet: FleetView | None, drivers: DriversView | None = None, site: SiteDeclarationView | None = None) -> Known:
    """From the core's views."""
    return Known(
        vehicles={} if fleet is None else {row.vehicle.vehicle_id: row.vehicle for row in fleet.vehicles},
        packs={} if fleet is None else {pack.key: pack for row in fleet.vehicles for pack in row.packs},
        drivers={} if drivers is None else {row.driver_id: row for row in drivers.drivers},
        places=() if fleet is None else tuple(fleet.places),
        stations={} if site is None else {row.station_id: row.next for row in site.stations if row.next is not None},
        feeders={} if site is None else {row.feeder_id: row.next for row in site.feeders},
    )


@dataclass(frozen=True, slots=True)
class Preview:
    """``puts``, ``removes``: what the commands would carry. Nothing is applied while there are complaints."""

    kind: str
    lines: tuple[Line, ...] = ()
    complaints: tuple[Complaint, ...] = ()
    puts: tuple[Any, ...] = ()
    removes: tuple[Any, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    key_hashes: Mapping[str, str] = field(default_factory=dict)

    def count(self, change: Change) -> int:
        return sum(line.change is change for line in self.lines)

    @property
    def applicable(self) -> bool:
        """Whether there is something to apply, and nothing against it."""
        return not self.complaints and bool(self.puts or self.removes)

    def summary(self) -> str:
        """``3 added, 1 changed, 40 unchanged``."""
        return ", ".join(f"{n:,} {change.value}" for change in Change if (n := self.count(change))) or "nothing"


class Reader:
    """Collects what one sheet says: entries by key, each once, and everything that is wrong."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.complaints: list[Complaint] = list(sheet.complaints)
        self.seen: dict[Any, int] = {}

    def cell(self, row: Row, column: str, read: Callable[[str], T], otherwise: T) -> T:
        """The cell as ``read`` reads it; ``otherwise`` where the file has no such column or the cell is wrong (noted)."""
        if not row.has(column):
            return otherwise
        try:
            return read(column)
        except (CellError, DepotError) as error:
            self.complain(row, str(error), column)
            return otherwise

    def complain(self, row: Row, text: str, column: str = "") -> None:
        if len(self.complaints) < MAX_COMPLAINTS:
            self.complaints.append(Complaint(row.number, text, column))

    def once(self, row: Row, key: Any, words: str) -> bool:
        """Whether ``key`` stands in the file for the first time."""
        if key in self.seen:
            self.complain(row, f"{words} stands in row {self.seen[key]} already")
            return False
        self.seen[key] = row.number
        return True

    def make(self, row: Row, build: Callable[[], T]) -> T | None:
        """An entry, or None with a complaint where its values cannot be."""
        try:
            return build()
        except DepotError as error:
            self.complain(row, str(error))
            return None


PlaceIndex = Mapping[tuple[str, str], Sequence[Place]]


def place_index(places: Sequence[Place]) -> PlaceIndex:
    """Places by ("connector", CP-1/1 or CP-1) and by ("bay", name)."""
    index: dict[tuple[str, str], list[Place]] = {}
    for place in places:
        for name in {place.connector, place.connector.rpartition("/")[0]}:
            index.setdefault(("connector", name), []).append(place)
        if place.bay_id:
            index.setdefault(("bay", place.bay_id), []).append(place)
    return index


def place_of(reader: Reader, row: Row, places: PlaceIndex, otherwise: ConnectorId | None) -> ConnectorId | None:
    """The connector that ``connector`` (CP-1/1, or CP-1 where it has one) or ``bay`` names."""
    if not row.has("connector") and not row.has("bay"):
        return otherwise
    column = "connector" if row.text("connector") else "bay"
    text = row.text(column)
    if not text:
        return None
    found = places.get((column, text), ())
    if not found:
        reader.complain(row, f"there is no {column} {text!r}", column)
    elif len(found) > 1:
        several = " or ".join(place.connector for place in found[:4])
        reader.complain(row, f"{text} has {len(found)} connectors: write {several}", "connector" if row.has("connector") else column)
    else:
        return ConnectorId.parse(found[0].connector)
    return otherwise


def finish(reader: Reader, lines: list[Line], puts: list[Any], known: Mapping[Any, Any], remove_missing: bool) -> Preview:
    """The preview of what was read; ``remove_missing``: what is known and not in the file goes."""
    removes: tuple[Any, ...] = ()
    if remove_missing and not reader.complaints:
        removes = tuple(key for key in known if key not in reader.seen and not _station_seen(reader, key))
        lines += [Line(0, str(key), Change.REMOVED) for key in removes]
    changing = {line.name for line in lines if line.change in (Change.ADDED, Change.CHANGED)}
    kept = tuple(put for put in puts if name_of(put) in changing)
    complaints = tuple(sorted(reader.complaints, key=lambda c: c.row))
    return Preview(reader.sheet.kind, tuple(lines), complaints, () if complaints else kept, () if complaints else removes)


def _station_seen(reader: Reader, key: Any) -> bool:
    return any(isinstance(seen, tuple) and seen[0] == key for seen in reader.seen) if reader.sheet.kind == "stations" else False


def name_of(put: Any) -> str:
    """The name of an entry's line."""
    for attribute in ("vehicle_id", "key", "driver_id", "station_id", "feeder_id"):
        if hasattr(put, attribute):
            return str(getattr(put, attribute))
    raise TypeError(f"{type(put).__name__} has no name")


def line_of(row: int, name: str, before: Any, after: Any) -> Line:
    """What becomes of an entry; ``before`` None: it is new."""
    if before is None:
        return Line(row, name, Change.ADDED)
    words = tuple(words_of(before, after))
    return Line(row, name, Change.CHANGED if words else Change.UNCHANGED, words)


def words_of(before: Any, after: Any) -> list[str]:
    """Each field that differs, for people."""
    out = []
    for part in fields(before):
        old, new = getattr(before, part.name), getattr(after, part.name)
        if old == new:
            continue
        if part.name == "connectors":
            out += _connector_words(before, after)
        else:
            words, unit = _LABELS.get(part.name, (part.name.replace("_", " "), ""))
            out.append(f"{words} {_shown(old, part.name)} → {_shown(new, part.name)}{unit}")
    return out


def _connector_words(before: StationSpec, after: StationSpec) -> list[str]:
    olds, news = ({c.connector: c for c in station.connectors} for station in (before, after))
    out = [f"connector {n} is new" for n in news if n not in olds] + [f"connector {n} is gone" for n in olds if n not in news]
    for n in olds.keys() & news.keys():
        out += [f"connector {n}: {words}" for words in words_of(olds[n], news[n])]
    return out


_LABELS = {
    "battery_wh": ("battery", " kWh"), "ac_max_w": ("AC", " kW"), "dc_max_w": ("DC", " kW"), "capacity_wh": ("capacity", " kWh"),
    "discharge_max_w": ("gives", " kW"), "discharge_w": ("gives", " kW"),
    "precondition_w": ("preconditioning", " kW"), "precondition_min": ("preconditioning", " min"),
    "rated_w": ("rated", " kW"), "min_w": ("minimum", " kW"), "rating_w": ("rating", " kW"), "id_tags": ("tags", ""),
    "feeder_id": ("feeder", ""), "bay_id": ("bay", ""), "voltage_v": ("voltage", " V"), "settle_s": ("settles in", " s"),
}  # fmt: skip


def _shown(value: Any, name: str) -> str:
    if value is None or value in ("", ()):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith(("_w", "_wh")) and isinstance(value, int):
        return f"{value / 1000:g}"
    if isinstance(value, tuple) and not isinstance(value, ConnectorId):
        return " ".join(map(str, value))
    return str(value)
