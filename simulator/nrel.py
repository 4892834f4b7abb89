"""Real fleets of delivery trucks (NREL), their operating days overlaid to one night from noon to noon.

The data are anonymous operating days, not a calendar: each day of each truck becomes one vehicle of this night. It
arrives when its last shift of the day ends and leaves when the first one begins; a mile takes 1.8 kWh (the factor of
the data's own paper). Pack (600 kWh), charger (150 kW DC, never under 10 kW) and efficiency (0.94) are assumed.

Left out, and counted in the notes: stays under eight hours (trucks at work around midnight, for which noon to noon is
no night), days under three miles, and trucks whose only work lies inside the afternoon (12 to 17 h), which stand at
the depot nearly all day. Stays are cut at noon. A day that needs more than nine tenths of the pack is taken as that.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from depot.registry import ConnectorSpec, Current
from depot.values import ConnectorId
from simulator.build import BASE_SHARE, FEEDER_SHARE, SLOT_S, BadData, Outlet, base_load, depot, feeder_count, local_start, sorted_stays
from simulator.day import Day, Stay

NIGHT = datetime(2026, 1, 12, 12, 0)  # noqa: DTZ001  # local noon; the zone comes from the caller
DAY_S = 86_400
NOON_S = DAY_S // 2
AFTERNOON_END_S = 17 * 3600

KWH_PER_MILE = 1.8
PACK_WH = 600_000
LARGEST_SHARE = 0.9
MAX_W = 150_000
MIN_W = 10_000
EFFICIENCY = 0.94
PACK_TEMP_C = 22.0
SHORTEST_STAY_S = 8 * 3600
FEWEST_MILES = 3.0

DAYS_FILE = "veh_op_days.csv"
SHIFTS_FILE = "veh_schedules.csv"


@dataclass(frozen=True, slots=True)
class Shift:
    """One interval on the road, seconds of the local day."""

    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class OperatingDay:
    """One truck's day."""

    number: int
    miles: float
    shifts: tuple[Shift, ...]


def load(directory: str | Path, *, limit_w: int | None = None, timezone: str = "UTC", pausable: bool | None = True) -> Day:
    """One night of the fleet in ``directory``: one station per truck, four feeders for 76 trucks.

    ``limit_w`` None: a connection that limits nothing (see :func:`simulator.build.with_limit`); no prices yet (see
    :func:`~simulator.build.with_tariff`). ``timezone``: where the depot's clock runs; the data do not say. ``pausable``:
    what the operator declares of the chargers. Raises :class:`~simulator.build.BadData`.
    """
    folder = Path(directory)
    name = folder.resolve().name
    short = f"nrel-{name.partition('-')[0]}"
    dropped: Counter[str] = Counter()
    chosen = []
    for day in read_days(folder):
        reason = _why_not(day)
        if reason:
            dropped[reason] += 1
        else:
            chosen.append(day)
    if not chosen:
        raise BadData(f"{folder}: none of its {sum(dropped.values())} operating days makes a night ({_counts(dropped)})")
    feeders = feeder_count(len(chosen))
    width = len(str(len(chosen)))
    connector = ConnectorSpec(1, MAX_W, MIN_W, Current.DC, voltage_v=800, pausable=pausable)
    outlets = [Outlet(f"CP{k + 1:0{width}d}", k % feeders, connector) for k in range(len(chosen))]
    stays = [_stay(day, outlet, name.partition("-")[0]) for day, outlet in zip(chosen, outlets, strict=True)]
    rated_w = MAX_W * len(chosen)
    base_w = base_load(BASE_SHARE * rated_w, first_hour=12, slots=DAY_S // SLOT_S)
    notes = [f"{len(chosen)} operating days of {name} overlaid to one night; pack, charger and efficiency are assumed"]
    if dropped:
        notes.append(f"left out: {_counts(dropped)}")
    capped = sum(_needed_wh(day) > LARGEST_SHARE * PACK_WH for day in chosen)
    if capped:
        notes.append(f"{capped} days need more than {LARGEST_SHARE:.0%} of the pack and are taken as that")
    return Day(
        name=short,
        start=local_start(NIGHT, timezone).astimezone(UTC),
        duration_s=DAY_S,
        spec=depot(
            short,
            outlets,
            feeder_ratings_w=[round(FEEDER_SHARE * MAX_W * sum(o.feeder == f for o in outlets)) for f in range(feeders)],
            worst_background_w=max(w for _, w in base_w),
            limit_w=limit_w,
            timezone=timezone,
            currency="USD",
        ),
        stays=sorted_stays(stays),
        base_w=base_w,
        price=((0.0, 0.0),),
        notes=tuple(notes),
    )


def read_days(folder: Path) -> list[OperatingDay]:
    """All operating days of a fleet, in the file's order."""
    shifts: dict[int, list[Shift]] = defaultdict(list)
    for where, row in _rows(folder / SHIFTS_FILE, ("veh_op_day_id", "start_time", "end_time", "on_shift")):
        try:
            if int(row["on_shift"]):
                shifts[int(row["veh_op_day_id"])].append(Shift(_seconds(row["start_time"]), _seconds(row["end_time"])))
        except ValueError as error:
            raise BadData(f"{where}: {error}") from None
    days = []
    for where, row in _rows(folder / DAYS_FILE, ("veh_op_day_id", "vmt")):
        try:
            number, miles = int(row["veh_op_day_id"]), float(row["vmt"])
        except ValueError as error:
            raise BadData(f"{where}: {error}") from None
        if not 0 <= miles < 10_000:
            raise BadData(f"{where}: {miles} miles in a day")
        if number not in shifts:
            raise BadData(f"{where}: operating day {number} has no shift in {SHIFTS_FILE}")
        days.append(OperatingDay(number, miles, tuple(sorted(shifts[number], key=lambda shift: shift.start_s))))
    return days


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    if not path.is_file():
        raise BadData(f"{path} is not there; a fleet is a folder with {DAYS_FILE} and {SHIFTS_FILE}")
    with path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise BadData(f"{path} has no column {', '.join(missing)}; its columns are {', '.join(reader.fieldnames or ['none'])}")
        for row in reader:
            yield f"{path}, line {reader.line_num}", {key: value or "" for key, value in row.items() if key is not None}


def _seconds(text: str) -> int:
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts) or int(parts[0]) > 24:
        raise ValueError(f"{text!r} is not a time of day like 07:57:32")
    hours, minutes, seconds = map(int, parts)
    return hours * 3600 + minutes * 60 + seconds


def _window(day: OperatingDay) -> tuple[int, int]:
    """Arrival and departure, seconds after noon, cut at both noons."""
    arrive_s = day.shifts[-1].end_s - NOON_S
    depart_s = day.shifts[0].start_s + NOON_S
    return max(0, arrive_s), min(DAY_S, depart_s)


def _why_not(day: OperatingDay) -> str:
    arrive_s, depart_s = _window(day)
    if day.miles < FEWEST_MILES:
        return f"under {FEWEST_MILES:.0f} miles"
    if depart_s - arrive_s < SHORTEST_STAY_S:
        return f"stay under {SHORTEST_STAY_S // 3600} h"
    if day.shifts[0].start_s >= NOON_S and day.shifts[-1].end_s <= AFTERNOON_END_S:
        return "at work in the afternoon only"
    return ""


def _needed_wh(day: OperatingDay) -> float:
    return day.miles * KWH_PER_MILE * 1000


def _stay(day: OperatingDay, outlet: Outlet, fleet: str) -> Stay:
    arrive_s, depart_s = _window(day)
    need_wh = round(min(_needed_wh(day), LARGEST_SHARE * PACK_WH))
    return Stay(
        vehicle_id=f"{fleet}-{day.number}",
        connector=ConnectorId(outlet.station_id, 1),
        arrive_s=arrive_s,
        depart_s=depart_s,
        stated_depart_s=depart_s,
        need_wh=need_wh,
        requested_wh=need_wh,
        max_w=MAX_W,
        min_w=MIN_W,
        battery_wh=PACK_WH,
        soc_arrival=1 - need_wh / PACK_WH,
        efficiency=EFFICIENCY,
        pack_temp_c=PACK_TEMP_C,
    )


def _counts(dropped: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in dropped.most_common())
