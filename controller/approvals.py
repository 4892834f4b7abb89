"""Two people for what one should not do alone: which commands wait, and what a second person's word does.

    Orders --gate--> ApprovalRequested (with CommandRequested, in one append) --ApproveCommand--> ApprovalGranted --> carried out
                                                                              --RefuseCommand, time--> refused, with a reason

What waits is a fact: it stands over a restart. What makes the depot safer never waits: stops, lower limits, taking out of
service. Only kinds of :data:`MAY_WAIT` can be made to wait; a command that carries personal data can't, for it would have
to be kept.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from controller.link import LinkProtocol, decode_command, encode_command
from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.limit_book import LimitBook
from depot.state import Approval
from depot.values import Limit

log = logging.getLogger(__name__)

LOOK_S: Final = 5.0

MAY_WAIT: Final[Mapping[str, type[cmd.Command]]] = {
    kind.__name__: kind
    for kind in (
        cmd.StartCharging, cmd.SetManualLimit, cmd.ClearManualLimit, cmd.SetAvailability, cmd.CancelVisit, cmd.ResetPack,
        cmd.SetLimitSchedule, cmd.RemoveLimitSchedule, cmd.AnnounceDemandEvent, cmd.CancelDemandEvent, cmd.OptOutOfDemandEvent,
        cmd.OverrideLimits, cmd.ResetArea, cmd.RevokeMandate, cmd.RetryDebit, cmd.WriteOffBill, cmd.RefundBill,
        cmd.PutDriverTariff, cmd.EndDriverTariff, cmd.CorrectBill,
        cmd.PayOtherwise, cmd.ExplainDifference, cmd.RetryRefund,
    )
}  # fmt: skip
"""Kinds of commands that can be made to wait for a second person."""


class Resume(Protocol):
    """What the orders do for us."""

    async def resume(self, command: cmd.Command, granted: ev.Envelope) -> cmd.CommandResult:
        """Carry out what waited; its outcome is journaled."""

    async def settle(self, command_id: str, status: cmd.CommandStatus, message: str) -> None:
        """Journal how a command ended that is not carried out."""


def loosens(command: cmd.Command, manual: Limit | None, book: LimitBook | None = None) -> bool:
    """Whether the command lets more happen than now. ``manual``: the manual limit that it would replace; ``book``: where it would
    replace a schedule or an event. What only makes the depot safer is never held up."""
    if isinstance(command, cmd.SetLimitSchedule):
        return book is not None and command.schedule_id in book.schedules
    if isinstance(command, cmd.AnnounceDemandEvent):
        return book is not None and command.event_id in book.events
    if isinstance(command, cmd.SetAvailability):
        return command.operative
    if isinstance(command, cmd.SetManualLimit):
        if manual is None or command.value_w > manual.value:
            return manual is not None
        return command.until is not None and (manual.until is None or command.until < manual.until)
    return True


@dataclass(frozen=True, slots=True)
class Gate:
    """Decides whether a command waits. ``kinds``: names of those that need a second person. ``write_off_alone_paise``: what one
    person may write off; None: any amount."""

    yard: Yard
    kinds: frozenset[str]
    expires: timedelta
    write_off_alone_paise: int | None = None

    def __call__(self, command: cmd.Command, manual: Limit | None) -> ev.ApprovalRequested | None:
        """What is journaled with its request; None: it is carried out at once."""
        kind, data = encode_command(command)
        if not self._large(command) and (kind not in self.kinds or not loosens(command, manual, self.yard.state.limit_book)):
            return None
        until = self.yard.clock.now() + self.expires
        return ev.ApprovalRequested(command.command_id, kind, command.target, command.reason, until, msgspec.json.encode(data).decode())

    def _large(self, command: cmd.Command) -> bool:
        """A write-off above what one person may; one that names no amount may be."""
        if self.write_off_alone_paise is None or not isinstance(command, cmd.WriteOffBill):
            return False
        return command.amount_paise is None or command.amount_paise > self.write_off_alone_paise


class Approvals:
    """The room: takes the second person's word, and lets lapse what nobody answers."""

    def __init__(self, yard: Yard, orders: Resume) -> None:
        self.yard = yard
        self._orders = orders
        self._busy: set[str] = set()

    @property
    def commands(self) -> Mapping[type[cmd.Command], Carrier]:
        return {cmd.ApproveCommand: self._approve, cmd.RefuseCommand: self._refuse}

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {}

    async def run(self) -> None:
        while True:
            await self.look()
            await self.yard.clock.sleep(LOOK_S)

    async def look(self) -> None:
        """End what lapsed, and what was granted but never begun because the controller died between the two."""
        now = self.yard.clock.now()
        for approval in tuple(self.yard.state.approvals.values()):
            if approval.command_id in self._busy:
                continue
            if approval.granted_by:
                words = f"{approval.granted_by} approved it, but the controller was restarted before it was carried out: ask again"
                await self._orders.settle(approval.command_id, cmd.CommandStatus.FAILED, words)
            elif approval.until <= now:
                await self.yard.journal.append([ev.NewEvent(ev.ApprovalExpired(approval.command_id), now)])
                await self._orders.settle(approval.command_id, cmd.CommandStatus.REFUSED, "nobody approved it in time")

    def _waiting(self, approval_id: str) -> Approval | str:
        """What waits, or why it can't be answered."""
        approval = self.yard.state.approvals.get(approval_id)
        if approval is None or approval.granted_by or approval_id in self._busy:
            return "this command does not wait any more: it was approved, refused, or it lapsed"
        if approval.until <= self.yard.clock.now():
            return "it has lapsed: nobody approved it in time"
        return approval

    async def _approve(self, command: cmd.ApproveCommand, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        found = self._waiting(command.approval_id)
        if isinstance(found, str):
            return cmd.CommandStatus.REFUSED, found
        if found.asked_by.casefold() == command.actor.casefold():
            return cmd.CommandStatus.REFUSED, "you asked for it yourself: a second person has to approve it"
        try:
            held = decode_command(found.kind, msgspec.json.decode(found.data, type=dict))
        except (LinkProtocol, msgspec.DecodeError) as error:
            return cmd.CommandStatus.REFUSED, f"this version cannot read what was asked for ({error}): refuse it, and ask again"
        self._busy.add(found.command_id)
        try:
            granted = ev.NewEvent(
                ev.ApprovalGranted(found.command_id, command.reason), self.yard.clock.now(), actor=cause.actor, cause_id=cause.id
            )
            (envelope,) = await self.yard.journal.append([granted])
            result = await self._orders.resume(held, envelope)
            if result.status is cmd.CommandStatus.ACCEPTED:
                begun = ev.ApprovalCarriedOut(found.command_id)
                await self.yard.journal.append([ev.NewEvent(begun, self.yard.clock.now(), cause_id=envelope.id)])
        finally:
            self._busy.discard(found.command_id)
        words = f"{held.TITLE}, {found.target or 'depot'}: {result.message}"
        good = result.status in (cmd.CommandStatus.DONE, cmd.CommandStatus.ACCEPTED)
        return cmd.CommandStatus.DONE if good else cmd.CommandStatus.FAILED, words

    async def _refuse(self, command: cmd.RefuseCommand, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        found = self._waiting(command.approval_id)
        if isinstance(found, str):
            return cmd.CommandStatus.REFUSED, found
        if not command.reason:
            return cmd.CommandStatus.REFUSED, "saying no needs a reason"
        refused = ev.ApprovalRefused(found.command_id, command.reason)
        await self.yard.journal.append([ev.NewEvent(refused, self.yard.clock.now(), actor=cause.actor, cause_id=cause.id)])
        word = "took it back" if found.asked_by.casefold() == command.actor.casefold() else "said no"
        await self._orders.settle(found.command_id, cmd.CommandStatus.REFUSED, f"{command.actor} {word}: {command.reason}")
        return cmd.CommandStatus.DONE, f"{found.kind} of {found.target or 'the depot'} is not carried out"
