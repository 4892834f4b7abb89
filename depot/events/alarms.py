"""Facts of alarms' lives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from depot.events.envelope import Event


@dataclass(frozen=True, slots=True)
class AlarmRaised(Event):
    """A condition that needs a person came true. ``key``: ``kind:subject``, the same for the same thing."""

    TYPE: ClassVar[str] = "alarm.condition_raised"
    key: str
    kind: str
    subject: str
    title: str
    action: str
    priority: int


@dataclass(frozen=True, slots=True)
class AlarmCleared(Event):
    """The condition is gone. ``reason``: where it did not go by itself (suppressed, no longer watched)."""

    TYPE: ClassVar[str] = "alarm.condition_cleared"
    key: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AlarmAcknowledged(Event):
    """A person (the envelope's actor) has seen it."""

    TYPE: ClassVar[str] = "alarm.alarm_acknowledged"
    key: str


@dataclass(frozen=True, slots=True)
class AlarmShelved(Event):
    """A person put it aside until ``until``; None: out of service, until a person takes it back."""

    TYPE: ClassVar[str] = "alarm.alarm_shelved"
    key: str
    until: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class AlarmUnshelved(Event):
    """Its time on the shelf is over, or a person took it back."""

    TYPE: ClassVar[str] = "alarm.alarm_unshelved"
    key: str
    reason: str = ""
