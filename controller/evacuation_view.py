"""What is shown of evacuations: shapes alone, filled by :mod:`controller.evacuation_room`. ``None`` means unknown."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class RollCallRow(Struct, frozen=True, kw_only=True):
    """One person. ``presence``: safe, off site, not seen. ``missing``: not seen, and the time is over. ``expected`` False: added."""

    person_id: str
    name: str
    post: str
    presence: str
    missing: bool
    expected: bool
    at: datetime | None
    by: str
    point: str


class BayToClear(Struct, frozen=True, kw_only=True):
    """A bay beside a burning one. ``from_min``, ``to_min``: when the fire may reach it, minutes after it began; None: not reckoned,
    it stands beside it by its name."""

    bay: str
    of: str
    from_min: float | None
    to_min: float | None
    stopped: bool


class EvacuationRow(Struct, frozen=True, kw_only=True):
    """One evacuation. ``left_s`` until its deadline, negative after it; 0 where it has ended. ``overdue``: time over and somebody not
    seen. ``recorded`` False: it acts, and the journal cannot write yet."""

    evacuation_id: str
    began_at: datetime
    deadline: datetime
    left_s: float
    areas: list[str]
    reason: str
    by: str
    drill: bool
    people: list[RollCallRow]
    expected: int
    safe: int
    off_site: int
    not_seen: int
    overdue: bool
    ended_at: datetime | None
    ended_by: str
    end_reason: str
    recorded: bool


class ShiftRow(Struct, frozen=True, kw_only=True):
    """Somebody on shift."""

    person_id: str
    name: str
    post: str


class EvacuationView(Struct, frozen=True, kw_only=True):
    """``running``: the real one that is under way, ``drill``: that of a drill. ``past``: newest first. ``minutes``: its time."""

    at: datetime
    running: EvacuationRow | None
    drill: EvacuationRow | None
    clear: list[BayToClear]
    past: list[EvacuationRow]
    shift: list[ShiftRow]
    minutes: float
