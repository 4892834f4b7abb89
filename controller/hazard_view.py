"""What people and machines are shown of the depot's detectors: shapes alone, filled by :mod:`controller.hazards`."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class DetectorState(StrEnum):
    """What a detector says now, the worst first."""

    ALARM = "alarm"
    WARNS = "warns"
    UNWATCHED = "not monitored"
    QUIET = "quiet"


class DetectorRow(Struct, frozen=True, kw_only=True):
    """One detector. ``kind``: smoke, gas, pressure, camera. ``value``: its newest word, in ``unit``; of a ``contact`` 1 closed, 0 open;
    None: none came yet. ``warn``, ``trip``: from where a number does. ``text``: what it sees; ``unwatched``: why it is not
    monitored (empty: it is), also while its alarm stands. ``since``: of its alarm; ``tripped``: vehicles whose batteries it tripped."""

    detector_id: str
    title: str
    kind: str
    area: str
    state: DetectorState
    contact: bool
    value: float | None
    unit: str
    warn: float | None
    trip: float | None
    read_age_s: float | None
    text: str
    unwatched: str
    since: datetime | None
    tripped: list[str]


class DetectorsView(Struct, frozen=True, kw_only=True):
    """All detectors, worst first, then as the settings have them."""

    at: datetime
    detectors: list[DetectorRow]
