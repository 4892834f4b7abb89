"""Departures from files and forms: which stays they announce, change or cancel. Pure.

    rows, Timetable (stays, vehicles, places, now)  --preview_departures-->  DeparturesPreview: visits to announce, to cancel

The registry fills in what a row does not say: battery, power, efficiency, tag. A row means the vehicle's stay that leaves
nearest to it, so the same file again changes nothing and a changed one updates. A state of charge that is wanted becomes
energy only where the present one is known; else the row says so and needs energy.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from controller.departures_view import DepartureRow, DeparturesView
from controller.import_reader import Change, Line, PlaceIndex, Reader, place_index, place_of
from controller.registry_view import FleetView, Place
from controller.sheets import CellError, Complaint, Row, Sheet, read_sheet
from depot.events import VisitAnnounced
from depot.fleet import Vehicle
from depot.values import ConnectorId

COLUMNS = ("vehicle_id", "depart_at", "arrive_at", "energy_kwh", "soc_target", "soc_arrival", "connector", "bay", "priority")
ALIASES: Mapping[str, str] = {
    "vehicle": "vehicle_id", "depart": "depart_at", "departure": "depart_at", "arrive": "arrive_at", "arrival": "arrive_at",
    "energy": "energy_kwh", "soc": "soc_target", "target_soc": "soc_target", "arrival_soc": "soc_arrival", "bay_id": "bay",
}  # fmt: skip
KIND = "departures"
PREFIX = "timetable/"
AHEAD = timedelta(days=62)
LONGEST = timedelta(days=14)
SAME_STAY = timedelta(hours=3)
"""A departure that moves by no more than this is the same one."""
_LOCAL_FORMS = ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M", "%d-%m-%Y %H:%M", "%d-%m-%Y %H:%M:%S")
_SAME_WH = 500
"""Energies reckoned from a state of charge that differ by less are the same."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """What is known: the stays that are announced, the registered vehicles, the places, the depot's zone and time."""

    zone: ZoneInfo
    now: datetime
    stays: Mapping[str, DepartureRow] = field(default_factory=dict)
    vehicles: Mapping[str, Vehicle] = field(default_factory=dict)
    places: Sequence[Place] = ()


def timetable_of(departures: DeparturesView, fleet: FleetView) -> Timetable:
    """From the core's views."""
    return Timetable(
        ZoneInfo(departures.timezone),
        departures.at,
        {row.visit_id: row for row in departures.rows},
        {row.vehicle.vehicle_id: row.vehicle for row in fleet.vehicles},
        tuple(fleet.places),
    )


@dataclass(frozen=True, slots=True)
class DeparturesPreview:
    """``visits``: to announce, new or changed; ``cancels``: (visit_id, vehicle_id). Nothing is applied while there are complaints."""

    lines: tuple[Line, ...] = ()
    complaints: tuple[Complaint, ...] = ()
    visits: tuple[VisitAnnounced, ...] = ()
    cancels: tuple[tuple[str, str], ...] = ()
    kind: str = KIND

    def count(self, change: Change) -> int:
        return sum(line.change is change for line in self.lines)

    @property
    def applicable(self) -> bool:
        """Whether there is something to apply, and nothing against it."""
        return not self.complaints and bool(self.visits or self.cancels)

    def summary(self) -> str:
        """``3 added, 1 changed, 40 unchanged``."""
        return ", ".join(f"{n:,} {change.value}" for change in Change if (n := self.count(change))) or "nothing"


@dataclass(frozen=True, slots=True)
class _Traits:
    """What a stay needs of its vehicle: from the registry, or, where it is not registered, as its stay has it already."""

    vehicle_id: str
    battery_wh: int
    efficiency: float
    pausable: bool | None
    id_tag: str
    connector: ConnectorId | None
    ac_max_w: int | None
    dc_max_w: int | None
    discharge_w: int

    @classmethod
    def of(cls, v: Vehicle) -> _Traits:
        tag = v.id_tags[0] if v.id_tags else ""
        return cls(
            v.vehicle_id, v.battery_wh or 0, v.efficiency, v.pausable, tag, v.connector, v.ac_max_w, v.dc_max_w, v.discharge_max_w or 0
        )

    @classmethod
    def of_stay(cls, s: VisitAnnounced) -> _Traits:
        most_w = s.max_w or None
        return cls(s.vehicle_id, s.battery_wh, s.efficiency, s.pausable, s.id_tag, s.connector, most_w, most_w, s.discharge_w)

    def most_w(self, connector: ConnectorId | None, places: Sequence[Place]) -> int:
        """The most that it takes there, W; 0: not known, so the connector's rating counts."""
        place = next((p for p in places if p.connector == str(connector)), None) if connector is not None else None
        if place is not None:
            return (self.ac_max_w if place.current == "AC" else self.dc_max_w) or 0
        return 0 if self.ac_max_w is None or self.dc_max_w is None else max(self.ac_max_w, self.dc_max_w)


@dataclass(frozen=True, slots=True)
class _Wish:
    row: Row
    vehicle: _Traits
    depart_at: datetime


def preview_departures(data: bytes, known: Timetable, *, cancel_missing: bool = False) -> DeparturesPreview:
    """What the file would change. ``cancel_missing``: imported departures of its days that it does not hold are cancelled."""
    sheet = read_sheet(data, KIND, COLUMNS, needed=("vehicle_id", "depart_at"), aliases=ALIASES)
    if any(complaint.row == 0 for complaint in sheet.complaints):
        return DeparturesPreview(complaints=tuple(sheet.complaints))
    return _preview(sheet, known, cancel_missing=cancel_missing)


def one_departure(cells: Mapping[str, str], known: Timetable, *, visit_id: str = "") -> DeparturesPreview:
    """The same for one row of a form. ``visit_id``: the stay that is changed; "": a new one, or the vehicle's own near that time."""
    sheet = Sheet(KIND, COLUMNS, [Row(1, {name: text.strip() for name, text in cells.items()})])
    return _preview(sheet, known, visit_id=visit_id)


def _preview(sheet: Sheet, known: Timetable, *, visit_id: str = "", cancel_missing: bool = False) -> DeparturesPreview:
    reader = Reader(sheet)
    places = place_index(known.places)
    wishes = [wish for row in sheet.rows if (wish := _wish(reader, row, known, visit_id)) is not None]
    wishes.sort(key=lambda wish: (wish.vehicle.vehicle_id, wish.depart_at))
    matched = _matched(known, wishes, visit_id)
    lines: list[Line] = []
    visits: list[VisitAnnounced] = []
    used: set[str] = set()
    before: _Wish | None = None
    for k, wish in enumerate(wishes):
        first = before is None or before.vehicle != wish.vehicle
        if not first and before is not None and before.depart_at == wish.depart_at:
            reader.complain(wish.row, f"{wish.vehicle.vehicle_id} leaves at this time in row {before.row.number} already", "depart_at")
            continue
        before = wish
        old = matched.get(k)
        stay = _stay(reader, wish, known, places, old, old.visit_id if old is not None else _new_id(wish, known, used), first=first)
        if stay is None:
            continue
        used.add(stay.visit_id)
        words = _words(old.stay, stay, known.zone) if old is not None else []
        if old is not None and old.stay.returning and not visit_id:
            lines.append(Line(wish.row.number, _name(stay, known.zone), Change.UNCHANGED, ("left before its time; kept as it is",)))
            continue
        change = Change.ADDED if old is None else Change.CHANGED if words else Change.UNCHANGED
        lines.append(Line(wish.row.number, _name(stay, known.zone), change, tuple(words)))
        if change is not Change.UNCHANGED:
            visits.append(stay)
    cancels = _missing(known, wishes, used) if cancel_missing and not reader.complaints else ()
    lines += [Line(0, _name(known.stays[key].stay, known.zone), Change.REMOVED) for key, _ in cancels]
    complaints = tuple(sorted(reader.complaints, key=lambda c: c.row))
    ordered = tuple(sorted(lines, key=lambda line: (line.row == 0, line.row)))
    return DeparturesPreview(ordered, complaints, () if complaints else tuple(visits), () if complaints else cancels)


def _matched(known: Timetable, wishes: Sequence[_Wish], visit_id: str) -> Mapping[int, DepartureRow]:
    """Which stay each row means: the vehicle's own that leaves nearest to it, within SAME_STAY; each stay once."""
    if visit_id:
        return {0: known.stays[visit_id]} if visit_id in known.stays else {}
    of_vehicle: dict[str, list[DepartureRow]] = {}
    for row in known.stays.values():
        of_vehicle.setdefault(row.stay.vehicle_id, []).append(row)
    pairs = sorted(
        (abs(row.stay.depart_at - wish.depart_at), k, row.visit_id)
        for k, wish in enumerate(wishes)
        for row in of_vehicle.get(wish.vehicle.vehicle_id, ())
    )
    matched: dict[int, DepartureRow] = {}
    taken: set[str] = set()
    for apart, k, key in pairs:
        if apart <= SAME_STAY and k not in matched and key not in taken:
            matched[k] = known.stays[key]
            taken.add(key)
    return matched


def _new_id(wish: _Wish, known: Timetable, used: set[str]) -> str:
    found = f"{PREFIX}{wish.vehicle.vehicle_id}/{wish.depart_at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"
    while found in known.stays or found in used:
        found += "+"
    return found


def _wish(reader: Reader, row: Row, known: Timetable, visit_id: str) -> _Wish | None:
    """Who leaves when; None with a complaint."""
    name = row.text("vehicle_id")
    registered = known.vehicles.get(name)
    vehicle = _Traits.of(registered) if registered is not None else None
    if vehicle is None and visit_id in known.stays and known.stays[visit_id].stay.vehicle_id == name:
        vehicle = _Traits.of_stay(known.stays[visit_id].stay)
    if vehicle is None:
        near = difflib.get_close_matches(name, known.vehicles, n=1)
        hint = f"did you mean {near[0]}?" if near else "register it first"
        reader.complain(row, f"vehicle {name!r} is not registered; {hint}", "vehicle_id")
    depart_at = reader.cell(row, "depart_at", lambda column: _time(row.text(column), known), None)
    if depart_at is None:
        if not row.text("depart_at"):
            reader.complain(row, "write when it leaves", "depart_at")
        return None
    if depart_at <= known.now:
        reader.complain(row, f"{_local(depart_at, known.zone)} is over", "depart_at")
        return None
    return _Wish(row, vehicle, depart_at) if vehicle is not None else None


def _time(text: str, known: Timetable) -> datetime | None:
    """``2026-11-22 05:30`` or ``22.11.2026 05:30`` by the depot's clock, ``05:30`` the next one, or ISO 8601 with an offset."""
    if not text:
        return None
    local: datetime | None = None
    plain = text.replace("T", " ")
    for form in _LOCAL_FORMS:
        try:
            local = datetime.strptime(plain, form).replace(tzinfo=known.zone)
            break
        except ValueError:
            continue
    if local is None and len(text) <= 5 and ":" in text:
        try:
            clock = time.fromisoformat(text.zfill(5))
        except ValueError:
            raise CellError(f"{text!r} is no time; write 05:30 or 2026-11-22 05:30") from None
        today = known.now.astimezone(known.zone)
        local = today.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0, fold=0)
        if local <= today:
            local = (local + timedelta(days=1)).replace(fold=0)
    if local is not None:
        return _settled(local, text, known)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CellError(f"{text!r} is no time; write 2026-11-22 05:30 (day first where it is written with dots or slashes)") from None
    if at.tzinfo is None:
        return _settled(at.replace(tzinfo=known.zone), text, known)
    return _plausible(at, text, known)


def _settled(local: datetime, text: str, known: Timetable) -> datetime:
    """A local time that exists once. Clock changes make some stand twice and others never."""
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        back = local.astimezone(UTC).astimezone(known.zone)
        what = "stands on the clock twice" if back.replace(fold=0) == local.replace(fold=0) else "does not exist"
        raise CellError(f"{text} {what} that day; write it with its offset, like 2026-10-25T02:30+02:00")
    return _plausible(local, text, known)


def _plausible(at: datetime, text: str, known: Timetable) -> datetime:
    try:
        at = at.astimezone(known.now.tzinfo)
        far = abs(at - known.now) > AHEAD
    except OverflowError:
        far = True
    if far:
        raise CellError(f"{text} is more than {AHEAD.days} days away; dates with dots or slashes are read day first")
    return at


def _stay(
    reader: Reader, wish: _Wish, known: Timetable, places: PlaceIndex, old: DepartureRow | None, visit_id: str, *, first: bool
) -> VisitAnnounced | None:
    row, vehicle = wish.row, wish.vehicle
    bad = len(reader.complaints)
    was = old.stay if old is not None else None
    arrive_at = reader.cell(row, "arrive_at", lambda column: _time(row.text(column), known), None)
    if arrive_at is None and was is not None:
        arrive_at = was.arrive_at
    if arrive_at is None:
        if not first:
            reader.complain(row, f"{vehicle.vehicle_id} leaves more than once: write when it comes before this departure", "arrive_at")
        arrive_at = known.now
    if arrive_at >= wish.depart_at:
        reader.complain(row, f"it would leave before it comes ({_local(arrive_at, known.zone)})", "depart_at")
    elif wish.depart_at - max(arrive_at, known.now) > LONGEST:
        reader.complain(row, f"a stay has at most {LONGEST.days} days", "depart_at")
    usual = was.connector if was is not None and was.connector is not None else vehicle.connector
    connector = place_of(reader, row, places, usual) or usual
    priority = reader.cell(row, "priority", lambda c: row.whole_of(c, least=-100, most=100), None)
    energy_wh, soc_arrival = _energy(reader, row, vehicle, old)
    if len(reader.complaints) != bad:
        return None
    return VisitAnnounced(
        visit_id=visit_id,
        vehicle_id=vehicle.vehicle_id,
        arrive_at=arrive_at,
        depart_at=wish.depart_at,
        battery_energy_wh=energy_wh,
        max_w=vehicle.most_w(connector, known.places),
        connector=connector,
        efficiency=vehicle.efficiency,
        battery_wh=vehicle.battery_wh,
        soc_arrival=soc_arrival,
        pausable=vehicle.pausable,
        priority=priority if priority is not None else was.priority if was is not None else 0,
        id_tag=vehicle.id_tag,
        discharge_w=vehicle.discharge_w,
    )


def _energy(reader: Reader, row: Row, vehicle: _Traits, old: DepartureRow | None) -> tuple[int, float | None]:
    """(what the battery must receive in the stay in Wh, state of charge at arrival where it is known)."""
    was = old.stay if old is not None else None
    energy_wh = reader.cell(row, "energy_kwh", row.thousandfold_of, None)
    target = reader.cell(row, "soc_target", row.share_of, None)
    arrival = reader.cell(row, "soc_arrival", row.share_of, None)
    gained_wh = old.delivered_wh * vehicle.efficiency if old is not None else 0.0
    if arrival is None and old is not None and old.present and old.soc is not None and vehicle.battery_wh:
        arrival = was.soc_arrival if was is not None and was.soc_arrival is not None else old.soc - gained_wh / vehicle.battery_wh
    elif arrival is None and was is not None:
        arrival = was.soc_arrival
    arrival = None if arrival is None else min(1.0, max(0.0, round(arrival, 4)))
    if energy_wh is not None and target is not None:
        reader.complain(row, "write either the energy or the charge that is wanted, not both", "soc_target")
    if energy_wh is not None:
        return energy_wh, arrival
    if target is None:
        if was is not None and not row.text("energy_kwh"):
            return was.battery_energy_wh, arrival
        reader.complain(row, "write the energy in kWh, or the charge that is wanted", "energy_kwh")
        return 0, arrival
    if not vehicle.battery_wh:
        reader.complain(row, f"the battery of {vehicle.vehicle_id} is not registered: write energy_kwh", "soc_target")
        return 0, arrival
    if old is not None and old.present and old.soc is not None:
        wanted_wh = max(0.0, target - old.soc) * vehicle.battery_wh + gained_wh
    elif arrival is not None:
        wanted_wh = max(0.0, target - arrival) * vehicle.battery_wh
    else:
        reader.complain(row, f"the state of charge of {vehicle.vehicle_id} is not known: write energy_kwh, or soc_arrival", "soc_target")
        return 0, arrival
    if was is not None and abs(wanted_wh - was.battery_energy_wh) < _SAME_WH:
        return was.battery_energy_wh, arrival
    return round(wanted_wh), arrival


def _missing(known: Timetable, wishes: Sequence[_Wish], used: set[str]) -> tuple[tuple[str, str], ...]:
    """Imported departures of the file's days that it does not hold; not those that are here already."""
    days = {wish.depart_at.astimezone(known.zone).date() for wish in wishes}
    return tuple(
        (row.visit_id, row.stay.vehicle_id)
        for row in known.stays.values()
        if row.visit_id.startswith(PREFIX)
        and row.visit_id not in used
        and not row.present
        and not row.stay.returning
        and row.stay.depart_at.astimezone(known.zone).date() in days
    )


def _name(stay: VisitAnnounced, zone: ZoneInfo) -> str:
    return f"{stay.vehicle_id}, {_local(stay.depart_at, zone)}"


def _local(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%a %-d %b %H:%M}"


def _words(before: VisitAnnounced, after: VisitAnnounced, zone: ZoneInfo) -> list[str]:
    """Each field that differs, for people."""
    out = []
    for part in fields(before):
        old, new = getattr(before, part.name), getattr(after, part.name)
        if old == new or part.name in ("visit_id", "min_w", "returning"):
            continue
        words = _LABELS.get(part.name, part.name.replace("_", " "))
        out.append(f"{words} {_shown(old, part.name, zone)} → {_shown(new, part.name, zone)}")
    return out


_LABELS = {
    "arrive_at": "comes", "depart_at": "leaves", "battery_energy_wh": "energy", "max_w": "power", "battery_wh": "battery",
    "soc_arrival": "charge at arrival", "id_tag": "tag",
}  # fmt: skip


def _shown(value: object, name: str, zone: ZoneInfo) -> str:
    if isinstance(value, datetime):
        return _local(value, zone)
    if value is None or value == "" or (value == 0 and name in ("max_w", "battery_wh")):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and name.endswith(("_w", "_wh")):
        return f"{value / 1000:g} kW{'h' if name.endswith('h') else ''}"
    return f"{value * 100:.0f} %" if name == "soc_arrival" and isinstance(value, float) else str(value)
