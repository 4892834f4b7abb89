"""The base of all commands, and how they end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from depot.values import ConnectorId


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Base. ``actor``: who (person's name, ``scada``, ``simulator`` …); ``command_id`` makes a repeat harmless.
    ``TITLE``: what people read on a button and in the audit trail."""

    TITLE: ClassVar[str] = ""

    command_id: str
    actor: str
    reason: str = ""

    @property
    def target(self) -> str:
        """What it acts on, for the audit trail."""
        return ""

    @property
    def detail(self) -> Mapping[str, str]:
        """What else the audit trail keeps: no free text beside the reason, no secret, no person's data."""
        return {}

    @property
    def bare(self) -> Command:
        """What may be kept in memory for the screens: without anybody's contact data."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorCommand(Command):
    """Base of what acts on one connector."""

    connector: ConnectorId

    @property
    def target(self) -> str:
        return str(self.connector)


class CommandStatus(StrEnum):
    """How far a command got: refused at once, accepted (under way), done, failed."""

    REFUSED = "refused"
    ACCEPTED = "accepted"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The answer. ``audit_seq``: journal position of the request; ``message`` says what happened or what to do; ``answer``:
    what a machine said to it, where that is wanted, kept for a short time only."""

    command_id: str
    status: CommandStatus
    message: str
    audit_seq: int = 0
    answer: Mapping[str, Any] | None = None
