"""What is shown of drills: shapes alone, filled by :mod:`controller.drill_room`. ``None`` means unknown."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class LinkRow(Struct, frozen=True, kw_only=True):
    """One link of the chain. ``state``: passed, failed, not there. ``took_s``: since the link before."""

    name: str
    title: str
    state: str
    words: str
    took_s: float | None


class DrillRow(Struct, frozen=True, kw_only=True):
    """One drill. ``state``: running, passed, failed, overtaken, interrupted, stopped. ``drill_id`` is that of its incident file."""

    drill_id: str
    began_at: datetime
    ended_at: datetime | None
    by: str
    state: str
    contactors: bool
    links: list[LinkRow]
    file: bool


class DrillsView(Struct, frozen=True, kw_only=True):
    """Newest first. ``next_at``: when the next begins by itself; None: only by hand. ``last_passed``: when one passed last.
    ``against_start``: what speaks against one now; empty: nothing."""

    at: datetime
    running: DrillRow | None
    drills: list[DrillRow]
    next_at: datetime | None
    last_passed: datetime | None
    against_start: str
