"""Facts of batteries and their telemetry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from depot.events.envelope import Event
from depot.values import PackKey


@dataclass(frozen=True, slots=True)
class PackDerated(Event):
    """The pack may take ``share`` (0 to 1) of its level, until the next such event; 1: all of it again."""

    TYPE: ClassVar[str] = "telemetry.pack_derated"
    pack: PackKey
    share: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PackTripped(Event):
    """The pack was found dangerous and is latched: it is not charged until a person resets it. Recorded after it acted."""

    TYPE: ClassVar[str] = "telemetry.pack_tripped"
    pack: PackKey
    cause: str
    evidence: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PackReset(Event):
    """A person (``person``, ``role``) reset a tripped pack after the cause had gone."""

    TYPE: ClassVar[str] = "telemetry.pack_reset"
    pack: PackKey
    person: str
    role: str
    reason: str


@dataclass(frozen=True, slots=True)
class TelemetryBusChanged(Event):
    """The vehicles' telemetry as a whole was lost, or is back."""

    TYPE: ClassVar[str] = "telemetry.bus_changed"
    lost: bool
    reason: str = ""
