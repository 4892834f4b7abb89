"""What the page *Safety* shows: shapes alone, filled by :mod:`controller.safety_viewer`. ``None`` means unknown."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from controller.safety_log import Row


class Act(Struct, frozen=True, kw_only=True):
    """One thing that was done. ``state``: done (confirmed), open (asked, or not yet possible), failed, none (was not needed)."""

    title: str
    detail: str
    state: str
    at: datetime | None = None


class Degrees(Struct, frozen=True, array_like=True):
    """Hottest and coldest sensor of a pack at one moment, °C."""

    at: datetime
    hottest_c: float
    coldest_c: float


class TrippedPack(Struct, frozen=True, kw_only=True):
    """``against_reset``: what speaks against a reset now, whoever asks; None: the cause has gone. ``trip_c``,
    ``reset_c``: thresholds of its chemistry. ``evidence``: what was seen, by name."""

    vehicle_id: str
    pack_id: str
    chemistry: str
    cause: str
    text: str
    evidence: dict[str, str]
    since: datetime
    connector: str | None
    label: str | None
    power_text: str
    acts: list[Act]
    curve: list[Degrees]
    trip_c: float
    reset_c: float
    hottest_c: float | None
    soc: float | None
    age_s: float | None
    against_reset: str | None


class PackState(StrEnum):
    """How a pack stands, the worst first: tripped, held back, not heard of for a minute, in order."""

    TRIPPED = "tripped"
    DERATED = "derated"
    SILENT = "silent"
    ORDER = "in order"


class PackCell(Struct, frozen=True, array_like=True):
    """A pack in the strip that shows all: °C, shares from 0 to 1. ``safety``: its state of safety; None: it was never hot enough to
    be scored."""

    vehicle_id: str
    pack_id: str
    state: PackState
    hottest_c: float | None
    share: float
    soc: float | None
    safety: float | None = None


class PackRow(Struct, frozen=True, kw_only=True):
    """A pack that was heard of or is expected. ``share`` of its level that it may have. ``state_of_safety``: 1 is sound, ``stage`` of a
    runaway 0 to 3; None: it was never hot enough to be scored."""

    vehicle_id: str
    pack_id: str
    chemistry: str
    state: PackState
    share: float
    tripped: bool
    text: str
    hottest_c: float | None
    soc: float | None
    age_s: float | None
    connector: str | None
    state_of_safety: float | None = None
    stage: int | None = None


class ShutConnector(Struct, frozen=True, kw_only=True):
    connector: str
    label: str
    pack: str
    since: datetime
    power_text: str
    confirmed: bool


class Refused(Struct, frozen=True, kw_only=True):
    """A message that was refused: the newest ones."""

    at: datetime
    topic: str
    text: str


class TelemetryView(Struct, frozen=True, kw_only=True):
    """The way to the vehicles. ``up`` None: there is no broker in the settings, or it was not tried yet. ``expected``: packs
    that must be heard of now; ``heard``: of those, by now."""

    configured: bool
    up: bool | None
    reason: str
    since: datetime | None
    bus_lost: str | None
    expected: int
    heard: int
    refused: dict[str, int]
    newest_refused: list[Refused]
    latches: str
    latches_ok: bool


class SafetyView(Struct, frozen=True, kw_only=True):
    """The whole page. Counts beside lists: the lists are cut, ``packs`` to those that need somebody first; ``strip`` has all."""

    at: datetime
    tripped: list[TrippedPack]
    tripped_count: int
    shut: list[ShutConnector]
    packs: list[PackRow]
    pack_count: int
    strip: list[PackCell]
    telemetry: TelemetryView
    timeline: list[Row]
