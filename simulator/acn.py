"""Real days of workplace charging (ACN-Data: Caltech and JPL), from the sessions of one local date.

The controller is told what the driver said: the energy asked for and the departure stated. It never learns ahead of
time what really happened. What the vehicle takes in truth is nowhere in the data: ``delivered_energy`` is what the
site's own controller of that year gave, ``requested_energy`` what the driver typed. Two readings are offered:

    energy="requested"   (default) it takes what was asked for
    energy="delivered"   it takes what it got then, as in the planning scenario acn-caltech-20191016

and either at most 98 % of what a full-rate charge could bring in the whole quarter hours of its actual stay. The
announcement is cut in the same way by the *stated* stay: a controller can do that sum itself.

Sessions that nobody claimed carry their outcome in the columns of the request; they are announced with a typical stay
(six hours, the median at Caltech) and a typical request (8 kWh). Stations give 32 A at 208 V on one phase, at least 6 A.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

from depot.registry import ConnectorSpec, Current
from depot.values import ConnectorId
from simulator.build import FEEDER_SHARE, SLOT_S, BadData, NoSuchDay, Outlet, depot, feeder_count, full_slots, local_start, sorted_stays
from simulator.day import Day, Stay

Departures = Literal["known", "stated"]
Energy = Literal["requested", "delivered"]

VOLTAGE_V = 208
MAX_W = 32 * VOLTAGE_V
MIN_W = 6 * VOLTAGE_V
EFFICIENCY = 0.9
USABLE_SHARE = 0.98
TYPICAL_STAY_S = 6 * 3600
TYPICAL_REQUEST_WH = 8_000
SMALLEST_PACK_WH = 24_000
PACK_PER_NEED = 1.6
SOC_ARRIVAL = 0.3
PACK_TEMP_C = 22.0
LONGEST_DAY_S = 48 * 3600
SWAP_S = 60
"""Time for one vehicle to leave a station and the next to plug in."""

COLUMNS = ("arrival", "departure", "requested_energy (kWh)", "delivered_energy (kWh)", "station_id", "estimated_departure", "claimed")


@dataclass(frozen=True, slots=True)
class Session:
    """One line of the data. Times carry the site's offset; ``stated`` None: the driver said nothing."""

    station_id: str
    arrival: datetime
    departure: datetime
    stated: datetime | None
    requested_wh: int
    delivered_wh: int


def load(
    path: str | Path,
    day: date,
    *,
    departures: Departures = "stated",
    energy: Energy = "requested",
    limit_w: int | None = None,
    timezone: str = "America/Los_Angeles",
    pausable: bool | None = True,
) -> Day:
    """The sessions that arrived on the local date ``day``, from midnight to the last departure (at most 48 h).

    ``departures``: ``stated``, or ``known``, which tells the controller the actual one. ``limit_w`` None: a connection
    that limits nothing (see :func:`simulator.build.with_limit`); no prices yet (see :func:`~simulator.build.with_tariff`).
    Raises :class:`~simulator.build.NoSuchDay`, :class:`~simulator.build.BadData`.
    """
    sessions = list(read_sessions(path))
    today = sorted((s for s in sessions if s.arrival.date() == day), key=lambda s: (s.arrival, s.station_id))
    if not today:
        raise NoSuchDay(_other_days(Path(path), day, Counter(s.arrival.date() for s in sessions)))
    start = local_start(datetime(day.year, day.month, day.day), timezone)  # noqa: DTZ001  # the zone is given beside it
    stays, dropped = _stays(today, start, departures=departures, energy=energy)
    if not stays:
        raise BadData(f"{path}: none of the {len(today)} sessions of {day} can be played ({', '.join(dropped)})")
    duration_s = max(_seconds(start, start + timedelta(days=1)), math.ceil(max(s.depart_s for s in stays) / 3600) * 3600.0)
    stations = list(dict.fromkeys(stay.connector.station_id for stay in stays))
    feeders = feeder_count(len(stays))
    connector = ConnectorSpec(1, MAX_W, MIN_W, Current.AC, (1,), voltage_v=VOLTAGE_V, pausable=pausable)
    name = f"acn-{Path(path).name.partition('_')[0]}-{day:%Y%m%d}"
    return Day(
        name=name,
        start=start.astimezone(UTC),
        duration_s=duration_s,
        spec=depot(
            name,
            [Outlet(station, k % feeders, connector) for k, station in enumerate(stations)],
            feeder_ratings_w=[round(FEEDER_SHARE * MAX_W * len(stays) / feeders)] * feeders,
            worst_background_w=0,
            limit_w=limit_w,
            timezone=timezone,
            currency="USD",
        ),
        stays=sorted_stays(stays),
        base_w=((0.0, 0),),
        price=((0.0, 0.0),),
        notes=(f"{len(stays)} sessions of {day}; energy {energy}, departures {departures}", *dropped),
    )


def list_days(path: str | Path) -> dict[date, int]:
    """The local dates in the file, in order, with the number of sessions that arrived on each."""
    return dict(sorted(Counter(s.arrival.date() for s in read_sessions(path)).items()))


def read_sessions(path: str | Path) -> Iterator[Session]:
    """All sessions of a file (``.csv`` or ``.csv.gz``) in its order; raises :class:`~simulator.build.BadData`."""
    file = Path(path)
    opener = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rt", newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise BadData(f"{file} has no column {', '.join(missing)}; its columns are {', '.join(reader.fieldnames or ['none'])}")
            for row in reader:
                try:
                    yield _session(row)
                except (ValueError, TypeError) as error:
                    raise BadData(f"{file}, line {reader.line_num}: {error}") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadData(f"{file} cannot be read: {error}") from None


def _session(row: Mapping[str, str]) -> Session:
    claimed = row["claimed"] == "True"
    return Session(
        station_id=row["station_id"],
        arrival=_moment(row["arrival"]),
        departure=_moment(row["departure"]),
        stated=_moment(row["estimated_departure"]) if claimed and row["estimated_departure"] else None,
        requested_wh=_wh(row["requested_energy (kWh)"] or row["delivered_energy (kWh)"]),
        delivered_wh=_wh(row["delivered_energy (kWh)"]),
    )


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return at


def _wh(text: str) -> int:
    kwh = float(text)
    if not 0 <= kwh < 1000:
        raise ValueError(f"{text} kWh is not a vehicle's energy")
    return round(kwh * 1000)


def _seconds(start: datetime, at: datetime) -> float:
    return (at.astimezone(UTC) - start.astimezone(UTC)).total_seconds()


def _possible_wh(arrive_s: float, depart_s: float) -> float:
    return USABLE_SHARE * MAX_W * EFFICIENCY * full_slots(arrive_s, depart_s) * SLOT_S / 3600


def _stays(today: list[Session], start: datetime, *, departures: Departures, energy: Energy) -> tuple[list[Stay], list[str]]:
    stays: list[Stay] = []
    notes: list[str] = []
    free_s: dict[str, float] = {}
    for number, session in enumerate(today):
        vehicle_id = f"{session.station_id}-{number}"
        arrive_s = _seconds(start, session.arrival)
        depart_s = min(_seconds(start, session.departure), LONGEST_DAY_S)
        if _seconds(start, session.departure) > LONGEST_DAY_S:
            notes.append(f"{vehicle_id}: stay cut at {LONGEST_DAY_S // 3600} h")
        if arrive_s < free_s.get(session.station_id, 0.0):
            arrive_s = free_s[session.station_id]
            notes.append(f"{vehicle_id}: its station was taken; it plugs in {SWAP_S} s after the one before")
        if full_slots(arrive_s, depart_s) == 0:
            notes.append(f"{vehicle_id}: left out, its stay holds no full quarter hour")
            continue
        free_s[session.station_id] = depart_s + SWAP_S
        stays.append(_stay(session, vehicle_id, arrive_s=arrive_s, depart_s=depart_s, start=start, departures=departures, energy=energy))
    return stays, notes


def _stay(
    session: Session, vehicle_id: str, *, arrive_s: float, depart_s: float, start: datetime, departures: Departures, energy: Energy
) -> Stay:
    said_s = arrive_s + TYPICAL_STAY_S if session.stated is None else _seconds(start, session.stated)
    stated_s = depart_s if departures == "known" else max(said_s, arrive_s + 2 * SLOT_S)
    asked_wh = TYPICAL_REQUEST_WH if session.stated is None else session.requested_wh
    wanted_wh = session.requested_wh if energy == "requested" else session.delivered_wh
    need_wh = math.floor(min(wanted_wh, _possible_wh(arrive_s, depart_s)))
    return Stay(
        vehicle_id=vehicle_id,
        connector=ConnectorId(session.station_id, 1),
        arrive_s=arrive_s,
        depart_s=depart_s,
        stated_depart_s=stated_s,
        need_wh=need_wh,
        requested_wh=math.floor(min(asked_wh, _possible_wh(arrive_s, stated_s))),
        max_w=MAX_W,
        min_w=MIN_W,
        battery_wh=max(SMALLEST_PACK_WH, round(PACK_PER_NEED * need_wh)),
        soc_arrival=SOC_ARRIVAL,
        efficiency=EFFICIENCY,
        phases=1,
        pack_temp_c=PACK_TEMP_C,
    )


def _other_days(path: Path, day: date, days: Counter[date]) -> str:
    if not days:
        return f"{path} has no session at all"
    nearest = sorted(sorted(days, key=lambda known: abs(known - day))[:5])
    listed = ", ".join(f"{known} ({days[known]})" for known in nearest)
    return f"{path} has no session on {day}; it covers {min(days)} to {max(days)}, near by (sessions): {listed}"
