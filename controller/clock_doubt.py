"""Whether this machine's clock can be believed: a function of what was read and when. No I/O.

    wall clock, depot time ─┐
    kernel: synchronised?  ─┼─ doubts() ──▶ Doubt… ── judged() ──▶ Verdict: suspect since …, calm since …
    stations' clocks       ─┤
    newest record          ─┘

What hangs on it: limits that begin or end at a time of day, the utility's orders over a restart, demand blocks, prices.
What does not: time-outs, heartbeats, validities and the life of profiles run on a clock that is never set
(:class:`controller.clock.SteadyClock`), in this process. A suspect clock is an unknown, and unknown is the worst case:
the fail-safe limit holds, which is low enough in every hour and every demand block. A clock that was set by a few minutes
and is known to be right now is no unknown: depot time catches up with it, and until then what begins soon has begun and
what ended just now still holds (:func:`widened`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from statistics import median
from typing import Final

from depot.values import Limit

BUILT: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""No clock that is right shows less: this program did not exist then."""

SET_S: Final = 30.0
"""A wall clock that is so far from depot time was set; less is a clock's own drift, and is caught up."""

FAR_S: Final = 300.0
"""So far off depot time is wrong for a demand block and for a time of day, also where the wall clock is known to be right."""

STATIONS_LEAST: Final = 3
STATIONS_OFF_S: Final = 120.0
STATIONS_AGREE_S: Final = 60.0
ZONE_S: Final = 900
"""Stations that are off by whole quarters of an hour mistake their time zone; that says nothing about our clock."""

CALM_S: Final = 60.0
"""So long nothing may speak against a clock before it is believed again."""


class Doubt(StrEnum):
    """What speaks against the clock."""

    SET = "set"
    FAR = "far"
    BEFORE_BUILT = "before_built"
    BEFORE_RECORDS = "before_records"
    STATIONS = "stations"
    UNSYNCHRONISED = "unsynchronised"


WORDS: Final = {
    Doubt.SET: "it was set while the depot ran",
    Doubt.FAR: "depot time is far from it",
    Doubt.BEFORE_BUILT: "it shows a time before this program was made",
    Doubt.BEFORE_RECORDS: "it shows a time before the journal's newest record",
    Doubt.STATIONS: "most stations agree on another time",
    Doubt.UNSYNCHRONISED: "the system says that it is not synchronised",
}

ENDS: Final = {
    Doubt.SET: "it is set back, the system synchronises it (NTP), or nothing charges any more, and depot time follows it",
    Doubt.FAR: "it is set back, or nothing charges any more, and depot time follows it",
    Doubt.BEFORE_BUILT: "it is set right",
    Doubt.BEFORE_RECORDS: "it is set right or synchronised; if it is right already, the next restart believes it",
    Doubt.STATIONS: "it agrees with the stations, or they were told the time anew",
    Doubt.UNSYNCHRONISED: "the system synchronises it (NTP)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """``wall``: the machine's clock; ``depot``: depot time, which follows it slowly. ``synchronised``: what the system says,
    None where it does not tell. ``newest_record``: of the journal when this process began, in the wall time of then; None:
    there is none. ``stations_s``: how far each connected station's clock is ahead of depot time, where that was seen."""

    wall: datetime
    depot: datetime
    synchronised: bool | None = None
    newest_record: datetime | None = None
    stations_s: Sequence[float] = ()

    @property
    def off_s(self) -> float:
        """How far the wall clock is ahead of depot time."""
        return (self.wall - self.depot).total_seconds()


@dataclass(frozen=True, slots=True)
class Verdict:
    """``doubts``: what spoke against the clock last; it is suspect from ``since`` (depot time) until nothing has for
    :data:`CALM_S`, beginning at ``calm_since``. ``off_s``: of the wall clock ahead of depot time."""

    since: datetime | None = None
    doubts: tuple[Doubt, ...] = ()
    calm_since: datetime | None = None
    off_s: float = 0.0

    @property
    def suspect(self) -> bool:
        """Whether the fail-safe limit holds because of it."""
        return self.since is not None

    @property
    def reason(self) -> str:
        """Why, in words."""
        return "; ".join(WORDS[doubt] for doubt in self.doubts)

    @property
    def ends(self) -> str:
        """How it ends, in words."""
        return "; ".join(ENDS[doubt] for doubt in self.doubts)


def doubts(reading: ClockReading, *, must_sync: bool = False) -> tuple[Doubt, ...]:
    """What speaks against the clock now. ``must_sync``: a clock that the system calls unsynchronised is not believed;
    many machines without NTP are right to the second, so that this is a site's own decision."""
    found = []
    synchronised = reading.synchronised is True
    off_s = abs(reading.off_s)
    if off_s > FAR_S:
        found.append(Doubt.FAR)
    elif off_s >= SET_S and not synchronised:
        found.append(Doubt.SET)
    if reading.wall < BUILT:
        found.append(Doubt.BEFORE_BUILT)
    newest = reading.newest_record
    if newest is not None and not synchronised and reading.wall < newest - timedelta(seconds=SET_S):
        found.append(Doubt.BEFORE_RECORDS)
    if _stations_differ(reading.stations_s):
        found.append(Doubt.STATIONS)
    if must_sync and reading.synchronised is False:
        found.append(Doubt.UNSYNCHRONISED)
    return tuple(found)


def judged(before: Verdict, reading: ClockReading, *, must_sync: bool = False) -> Verdict:
    """The verdict after ``reading``. A doubt counts at once."""
    found = doubts(reading, must_sync=must_sync)
    if found:
        return Verdict(before.since or reading.depot, found, None, reading.off_s)
    if before.since is None:
        return Verdict(off_s=reading.off_s)
    calm_since = before.calm_since or reading.depot
    if reading.depot - calm_since >= timedelta(seconds=CALM_S):
        return Verdict(off_s=reading.off_s)
    return Verdict(before.since, before.doubts, calm_since, reading.off_s)


def widened(found: Iterable[Limit], off_s: float) -> list[Limit]:
    """The same limits by both clocks: what begins by the earlier one has begun, what ends by the later one still holds.
    ``off_s``: of the wall clock ahead of depot time."""
    early, late = timedelta(seconds=max(0.0, off_s)), timedelta(seconds=max(0.0, -off_s))
    return [replace(limit, from_=limit.from_ - early, until=None if limit.until is None else limit.until + late) for limit in found]


def _stations_differ(offsets_s: Sequence[float]) -> bool:
    if len(offsets_s) < STATIONS_LEAST:
        return False
    middle_s = median(offsets_s)
    agree = [x for x in offsets_s if abs(x - middle_s) <= STATIONS_AGREE_S]
    if abs(middle_s) < STATIONS_OFF_S or len(agree) < STATIONS_LEAST or 2 * len(agree) <= len(offsets_s):
        return False
    beside_zone_s = abs(middle_s - ZONE_S * round(middle_s / ZONE_S))
    return beside_zone_s > STATIONS_AGREE_S
