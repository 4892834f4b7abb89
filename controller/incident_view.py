"""What is shown of incidents: shapes alone, filled by :mod:`controller.incident_room`. ``None`` means unknown."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class StepRow(Struct, frozen=True, kw_only=True):
    """One step of the response. ``state``: waiting, confirmed, escalated, confirmed late, not there. ``limit_s``: within which it must
    be confirmed; ``then``: what is done where it is not. ``took_s``: until it was confirmed."""

    step: str
    title: str
    state: str
    detail: str
    limit_s: float
    then: str
    at: datetime | None
    took_s: float | None


class IncidentRow(Struct, frozen=True, kw_only=True):
    """One incident. ``against_close``: what speaks against closing its file now; empty: nothing. ``digest``: SHA-256 of its closed file.
    ``file``: whether its file is there; one that is over may have been dropped by its age."""

    incident_id: str
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str
    close_reason: str
    cause: str
    text: str
    vehicle_id: str
    pack_id: str
    area: str
    drill: bool
    steps: list[StepRow]
    against_close: str
    digest: str
    file: bool


class IncidentsView(Struct, frozen=True, kw_only=True):
    """Newest first. ``unwritten``: why files cannot be written now; empty: they can."""

    at: datetime
    open: list[IncidentRow]
    closed: list[IncidentRow]
    unwritten: str
    kept_days: int
