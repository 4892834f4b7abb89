"""Facts of the controller itself and of what people order: commands, approvals, the audit trail."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from depot.events.envelope import Event


@dataclass(frozen=True, slots=True)
class ControllerStarted(Event):
    TYPE: ClassVar[str] = "controller.process_started"
    software: str = ""


@dataclass(frozen=True, slots=True)
class BackupRestored(Event):
    """The journal up to here came from a backup whose last fact was ``backup_seq``; what happened between ``made_at`` and
    now is not known. What chargers were told is not believed any more, and no transaction id below
    ``next_transaction_id`` is given again."""

    TYPE: ClassVar[str] = "controller.backup_restored"
    made_at: datetime
    backup_seq: int
    next_transaction_id: int


@dataclass(frozen=True, slots=True)
class CommandRequested(Event):
    """Somebody asked for something: who (envelope's actor), what, why."""

    TYPE: ClassVar[str] = "command.action_requested"
    command_id: str
    kind: str
    target: str
    reason: str
    detail: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommandFinished(Event):
    TYPE: ClassVar[str] = "command.action_finished"
    command_id: str
    outcome: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class AuditSealed(Event):
    """The audit trail was checked up to entry ``entries``, whose hash is ``head`` (hex). Kept elsewhere, it proves that
    nothing before it was written anew."""

    TYPE: ClassVar[str] = "audit.trail_sealed"
    entries: int
    head: str


@dataclass(frozen=True, slots=True)
class ApprovalRequested(Event):
    """The command waits for a second person until ``until``. ``data``: the command as JSON, to be carried out later."""

    TYPE: ClassVar[str] = "approval.second_person_requested"
    command_id: str
    kind: str
    target: str
    reason: str
    until: datetime
    data: str


@dataclass(frozen=True, slots=True)
class ApprovalGranted(Event):
    """A second person (the envelope's actor) lets the command be carried out."""

    TYPE: ClassVar[str] = "approval.command_granted"
    command_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalRefused(Event):
    """Somebody (the envelope's actor; the asker too, who thought better of it) said no."""

    TYPE: ClassVar[str] = "approval.command_refused"
    command_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalCarriedOut(Event):
    """What was granted was begun: from here on the command's own outcome tells."""

    TYPE: ClassVar[str] = "approval.command_begun"
    command_id: str


@dataclass(frozen=True, slots=True)
class ApprovalExpired(Event):
    """Nobody answered in time."""

    TYPE: ClassVar[str] = "approval.request_expired"
    command_id: str
