"""What the page *Safety* shows of outputs: shapes alone, filled by :mod:`controller.output_viewer`. ``None`` means unknown."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class OutputRow(Struct, frozen=True, kw_only=True):
    """One output. ``commanded``, ``reads``, ``de_energised``: words as ``open``. ``reads`` None: no read-back, or never read.
    ``proof``: awaited, confirmed, written, or not confirmed, with ``against`` saying why. ``waiting``: it is asked to open, and
    current still flows. ``read_age_s``: of the read-back, else of the last write that its module took."""

    output_id: str
    title: str
    kind: str
    area: str
    commanded: str
    emergency: bool
    waiting: bool
    because: str
    reads: str | None
    read_back: bool
    read_age_s: float | None
    proof: str
    against: str
    de_energised: str
    falls_safe: bool
    watchdog: bool
    tested_at: datetime | None
    test_passed: bool | None
    test_result: str
    tested_by: str


class IsolatedArea(Struct, frozen=True, kw_only=True):
    """An area that is isolated, or a tripped battery's bay. ``level`` and ``area_id`` name it to a machine. ``latched`` False: it
    ends with the reset of the battery. ``standing``: under way, isolated, not isolated. ``against_reset``: empty: it may be reset."""

    level: str
    area_id: str
    area: str
    since: datetime
    origin: str
    reason: str
    by: str
    latched: bool
    standing: str
    against: str
    against_reset: str
    recorded: bool


class Isolatable(Struct, frozen=True, kw_only=True):
    """An area that can be isolated. ``cut_by``: its own contactors; empty: only its chargers, or what is in it, can stop it."""

    level: str
    area_id: str
    area: str
    stations: int
    cut_by: str


class OutputsView(Struct, frozen=True, kw_only=True):
    """All outputs. ``problems``: what speaks against the file of isolations."""

    at: datetime
    outputs: list[OutputRow]
    isolated: list[IsolatedArea]
    areas: list[Isolatable]
    problems: list[str]
