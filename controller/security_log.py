"""What is noticed about security, as facts in bounds: by stations (SecurityEventNotification), and by the depot at its door.

A station, or somebody at the door, may say the same thing a thousand times: :data:`LISTED_MOST` an hour of one source are
journaled, the others counted, and the next that is listed says how many they were. Ids that nobody declared are not kept here:
they can be made up; the quarantine names them once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from controller.alarms import Condition
from depot import events as ev
from depot.security import Noticed, Severity, severity

LISTED_MOST: Final = 20
LISTED_IN_ALL: Final = 400
"""The same over all sources: a broken depot must not fill the disk."""
WINDOW: Final = timedelta(hours=1)
DETAIL_MOST: Final = 200
ALARM_FOR: Final = timedelta(hours=1)
"""So long an event that alarms counts as a condition that holds; then its alarm clears, and stays until somebody has seen it."""
REFUSED_FOR: Final = timedelta(minutes=10)

DOOR = "depot"
STATION = "station"


class SecurityLog:
    """Decides what is listed. ``counted``: everything since the start, by (source, kind), for the metrics."""

    def __init__(self) -> None:
        self.counted: Counter[tuple[str, str]] = Counter()
        self._since: datetime | None = None
        self._listed: Counter[tuple[str, str]] = Counter()
        self._unlisted: Counter[tuple[str, str]] = Counter()

    def notice(
        self, now: datetime, *, source: str, station_id: str, kind: str, detail: str = "", remote: str = ""
    ) -> ev.SecurityEventNoticed | None:
        """The fact to journal; None: it was only counted. Texts of others are cut, and lose what cannot be printed."""
        kind = printable(kind)[:50]
        self.counted[(source, kind if source == DOOR else severity(kind).value)] += 1
        if self._since is None or now - self._since >= WINDOW:
            self._since = now
            self._listed.clear()
        key = (source, station_id)
        if self._listed[key] >= LISTED_MOST or self._listed.total() >= LISTED_IN_ALL:
            self._unlisted[key] += 1
            return None
        self._listed[key] += 1
        return ev.SecurityEventNoticed(station_id, source, kind, printable(detail)[:DETAIL_MOST], remote, self._unlisted.pop(key, 0))


def printable(text: str) -> str:
    """Without control characters, line breaks and what turns the direction of writing: it is shown to people."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def event_conditions(noticed: Sequence[Noticed], now: datetime) -> list[Condition]:
    """Alarming events of the last hour, one condition for each source; its title tells of the newest."""
    found: dict[str, tuple[Noticed, int]] = {}
    for one in noticed:
        if now - one.at < ALARM_FOR and severity(one.fact.kind) is Severity.ALARM:
            subject = one.fact.station_id or "door"
            found[subject] = (one, found[subject][1] + 1 if subject in found else 1)
    return [Condition("security_event", subject, _told(one.fact, count)) for subject, (one, count) in found.items()]


def _told(fact: ev.SecurityEventNoticed, count: int) -> str:
    who = fact.station_id or "Somebody"
    what = f"{who} reports {fact.kind}" if fact.source == STATION else f"Somebody came as {who}: {fact.kind.replace('_', ' ')}"
    return f"{what}{f' (and {count - 1} more within the hour)' if count > 1 else ''}."
