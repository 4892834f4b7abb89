"""Alarms as ISA-18.2 lets them live: pure steps from one set of alarms to the next. Nothing here knows what an alarm means.

    normal --raised--> unacknowledged --acknowledged--> acknowledged --cleared--> normal
                             |                                                       ^
                             +--cleared--> cleared (unacknowledged) --acknowledged---+
    any --shelved--> shelved (until …) or out of service --unshelved--> unacknowledged if it still holds, else normal

``normal`` is the absence of an alarm. One that is shelved goes on following its condition, silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

Alarms = Mapping[str, "Alarm"]
"""Alarms that are not normal, by key. Never mutated."""


class AlarmState(StrEnum):
    """Where an alarm stands, beside ``normal``."""

    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"
    SHELVED = "shelved"
    OUT_OF_SERVICE = "out_of_service"


@dataclass(frozen=True, slots=True)
class Shelf:
    """Put aside by ``by``, because of ``reason``. ``until`` None: out of service, until a person takes it back."""

    by: str
    reason: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. ``key``: ``kind:subject``. ``raised_at``: the newest time; ``times``: how often since it was normal.
    ``acknowledged_by`` "": nobody yet."""

    key: str
    kind: str
    subject: str
    title: str
    action: str
    priority: int
    raised_at: datetime
    active: bool = True
    times: int = 1
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    cleared_at: datetime | None = None
    shelf: Shelf | None = None

    @property
    def state(self) -> AlarmState:
        if self.shelf is not None:
            return AlarmState.OUT_OF_SERVICE if self.shelf.until is None else AlarmState.SHELVED
        if not self.active:
            return AlarmState.CLEARED
        return AlarmState.ACKNOWLEDGED if self.acknowledged_by else AlarmState.UNACKNOWLEDGED


def raised(alarms: Alarms, alarm: Alarm) -> Alarms:
    """The condition came true. Again before anybody acknowledged that it had gone: the same alarm, counted."""
    known = alarms.get(alarm.key)
    if known is None:
        return {**alarms, alarm.key: alarm}
    if known.active:
        return alarms
    return {**alarms, alarm.key: replace(alarm, times=known.times + 1, shelf=known.shelf)}


def cleared(alarms: Alarms, key: str, at: datetime) -> Alarms:
    """The condition is gone: normal if somebody had seen it, else it waits to be seen."""
    known = alarms.get(key)
    if known is None or not known.active:
        return alarms
    if known.acknowledged_by and known.shelf is None:
        return _without(alarms, key)
    return {**alarms, key: replace(known, active=False, cleared_at=at)}


def acknowledged(alarms: Alarms, key: str, by: str, at: datetime) -> Alarms:
    """A person has seen it."""
    known = alarms.get(key)
    if known is None or known.shelf is not None or known.acknowledged_by:
        return alarms
    if not known.active:
        return _without(alarms, key)
    return {**alarms, key: replace(known, acknowledged_by=by, acknowledged_at=at)}


def shelved(alarms: Alarms, key: str, shelf: Shelf) -> Alarms:
    """A person put it aside; again: the new shelf counts."""
    known = alarms.get(key)
    return alarms if known is None else {**alarms, key: replace(known, shelf=shelf)}


def unshelved(alarms: Alarms, key: str) -> Alarms:
    """Its time is over, or a person took it back. What still holds wants to be acknowledged anew."""
    known = alarms.get(key)
    if known is None or known.shelf is None:
        return alarms
    if not known.active:
        return _without(alarms, key)
    return {**alarms, key: replace(known, shelf=None, acknowledged_by="", acknowledged_at=None)}


def _without(alarms: Alarms, key: str) -> Alarms:
    return {k: v for k, v in alarms.items() if k != key}
