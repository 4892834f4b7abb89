"""The base of all facts, and what carries them into the journal and out of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all facts. ``TYPE`` and ``VERSION`` name the shape on disk."""

    TYPE: ClassVar[str] = ""
    VERSION: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A fact on its way into the journal. ``key``: idempotency key; a second append with the same key changes
    nothing and yields the first one's envelope."""

    data: Event
    occurred_at: datetime
    key: str | None = None
    actor: str = "controller"
    reported_at: datetime | None = None
    received_at: datetime | None = None
    cause_id: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """A fact in the journal. ``seq`` is dense and increasing per depot. ``duplicate``: this answer repeats an
    earlier append with the same key (never stored)."""

    id: str
    depot_id: str
    seq: int
    type: str
    version: int
    occurred_at: datetime
    reported_at: datetime | None
    received_at: datetime
    actor: str
    cause_id: str | None
    key: str | None
    data: Event
    duplicate: bool = False
