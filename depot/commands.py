"""Commands: what a person or a machine asks of the depot. Imperative, with actor and reason, never folded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from depot.events import VisitAnnounced
from depot.values import ConnectorId


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Base. ``actor``: who (person's name, ``scada``, ``simulator`` …); ``command_id`` makes a repeat harmless."""

    command_id: str
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCharging(Command):
    """Start a session now on ``connector``, as soon as the limits leave its minimum."""

    connector: ConnectorId


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCharging(Command):
    """End the session on ``connector``; it is not started again for this visit unless asked."""

    connector: ConnectorId


@dataclass(frozen=True, slots=True, kw_only=True)
class SetManualLimit(Command):
    """Limit site or feeder to ``value_w`` until ``until`` (None: until cleared). ``scope_id`` "" = site."""

    value_w: int
    scope_id: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearManualLimit(Command):
    """Lift the manual limit of site ("") or feeder."""

    scope_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAvailability(Command):
    """Take a connector out of service or put it back (which also forgets that it disobeyed)."""

    connector: ConnectorId
    operative: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnounceVisit(Command):
    """State or change a vehicle's stay."""

    visit: VisitAnnounced


class CommandStatus(StrEnum):
    """How far a command got: refused at once, accepted (under way), done, failed."""

    REFUSED = "refused"
    ACCEPTED = "accepted"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The answer. ``audit_seq``: journal position of the request; ``message`` says what happened or what to do."""

    command_id: str
    status: CommandStatus
    message: str
    audit_seq: int = 0
