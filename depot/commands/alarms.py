"""Commands of alarms, approvals and the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from depot.commands.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeAlarms(Command):
    """Say that a person has seen these alarms."""

    TITLE: ClassVar[str] = "Acknowledge alarm"

    keys: tuple[str, ...]

    @property
    def target(self) -> str:
        return self.keys[0] if len(self.keys) == 1 else f"{len(self.keys)} alarms"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelveAlarm(Command):
    """Put an alarm aside for ``minutes``; None: take it out of service, until somebody takes it back."""

    TITLE: ClassVar[str] = "Shelve alarm"

    key: str
    minutes: int | None

    @property
    def target(self) -> str:
        return self.key

    @property
    def detail(self) -> Mapping[str, str]:
        return {"minutes": "" if self.minutes is None else str(self.minutes)}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnshelveAlarm(Command):
    """Take an alarm back from the shelf, or back into service."""

    TITLE: ClassVar[str] = "Unshelve alarm"

    key: str

    @property
    def target(self) -> str:
        return self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckAudit(Command):
    """Hash the whole audit trail again, now."""

    TITLE: ClassVar[str] = "Check audit trail"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalCommand(Command):
    """Base of what a second person says about a command that waits."""

    approval_id: str

    @property
    def target(self) -> str:
        return self.approval_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveCommand(ApprovalCommand):
    """As the second person: let the command that waits be carried out."""

    TITLE: ClassVar[str] = "Approve command"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseCommand(ApprovalCommand):
    """Say no to a command that waits for a second person."""

    TITLE: ClassVar[str] = "Refuse command"
