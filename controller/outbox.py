"""The outbox: which facts people are told of, and the message that goes out for each.

    facts of one commit --message_of--> table ``outbox``, same transaction --read by--> controller.notify (another process)

So a message exists exactly if its fact does. It carries the fact's own id: whoever gets it twice can tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Table, delete, insert, select

from controller.audit import Stored
from controller.codec import iso
from controller.tables import OutboxRow
from depot import events as ev
from storage import Store

SCHEMA: Final = "chargeyard.notification/1"
KEEP: Final = timedelta(days=30)

_outbox: Table = OutboxRow.__table__  # type: ignore[attr-defined]  # SQLModel does not declare it


@dataclass(frozen=True, slots=True)
class Rules:
    """What is told. ``alarms_up_to``: alarms of this priority or worse (0: none); ``cleared``: also when they clear;
    ``commands``: how each command ended; ``approvals``: that one waits for a second person; ``audit_head``: the daily head."""

    alarms_up_to: int = 2
    cleared: bool = True
    commands: bool = False
    approvals: bool = True
    audit_head: bool = True


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel delivers. ``id``: the same whenever it is delivered again; ``seq``: the fact's place in the journal."""

    schema: str = SCHEMA
    id: str
    depot_id: str
    seq: int
    at: datetime
    kind: str
    title: str
    text: str = ""
    priority: int | None = None
    key: str = ""
    actor: str = ""


def message_of(envelope: ev.Envelope, rules: Rules, titles: Mapping[str, str]) -> Message | None:
    """The message that this fact causes; None for most. ``titles``: of alarms that stand, by key, for when they clear."""

    def message(kind: str, title: str, text: str, **more: Any) -> Message:
        return Message(
            id=envelope.id,
            depot_id=envelope.depot_id,
            seq=envelope.seq,
            at=envelope.occurred_at,
            kind=kind,
            title=title,
            text=text,
            actor=envelope.actor,
            **more,
        )

    match envelope.data:
        case ev.AlarmRaised() as e if e.priority <= rules.alarms_up_to:
            return message("alarm_raised", e.title, e.action, priority=e.priority, key=e.key)
        case ev.AlarmCleared() as e if rules.cleared and e.key in titles:
            return message("alarm_cleared", f"Over: {titles[e.key]}", e.reason, key=e.key)
        case ev.CommandFinished() as e if rules.commands:
            return message("command_finished", f"Command {e.outcome}", e.message, key=e.command_id)
        case ev.ApprovalRequested() as e if rules.approvals:
            text = f"{envelope.actor} asks: {e.reason}. It lapses at {iso(e.until)}."
            return message("approval_wanted", f"{e.kind} of {e.target or 'the depot'} waits for a second person", text, key=e.command_id)
        case ev.EvacuationBegun() as e if not e.drill:
            words = f"{e.reason}. Everybody out by {iso(e.deadline)}; {len(e.expected)} people on shift."
            return message("evacuation_begun", f"EVACUATE {', '.join(map(str, e.areas))}", words, key=e.evacuation_id, priority=1)
        case ev.EvacuationEnded() as e if e.role:
            left = f"{len(e.not_seen)} people were not seen" if e.not_seen else "everybody was seen"
            return message("evacuation_ended", f"Evacuation over: {left}", f"{e.person}, {e.role}: {e.reason}", key=e.evacuation_id)
        case ev.DrillNotified() as e:
            return message("drill", e.title, e.text, key=e.drill_id)
        case ev.AuditSealed() as e if rules.audit_head:
            return message("audit_head", f"Audit head {e.entries}:{e.head}", "Keep this: it proves that the trail was not written anew.")
    return None


class OutboxWriter:
    """A companion of the journal (:class:`controller.journal_store.JournalWriter`). It remembers the titles of alarms
    that were told of and stand, so that what is over is told of too; after a restart from the outbox."""

    def __init__(self, rules: Rules, store: Store, depot_id: str) -> None:
        self._rules = rules
        self._standing: dict[str, str] = {}
        self._staged: tuple[int, dict[str, str]] = (0, self._standing)
        with store.reading() as connection:
            query = select(_outbox.c.body).where(_outbox.c.depot_id == depot_id).order_by(_outbox.c.seq)
            for body in connection.execute(query).scalars():
                _note(self._standing, msgspec.json.decode(body, type=Message))

    def __call__(self, connection: Connection, written: Sequence[tuple[ev.Envelope, Stored]]) -> None:
        if written[0][0].seq > self._staged[0]:
            self._standing = self._staged[1]  # the commit before this one held; else its numbers would come again
        standing = dict(self._standing)
        rows: list[dict[str, object]] = []
        for envelope, _ in written:
            message = message_of(envelope, self._rules, standing)
            if message is not None:
                _note(standing, message)
                body = msgspec.json.encode(message).decode()
                rows.append(
                    {"depot_id": envelope.depot_id, "seq": envelope.seq, "id": envelope.id, "at": iso(envelope.occurred_at), "body": body}
                )
        self._staged = (written[-1][0].seq, standing)
        if rows:
            connection.execute(insert(_outbox), rows)


def _note(standing: dict[str, str], message: Message) -> None:
    if message.kind == "alarm_raised":
        standing[message.key] = message.title
    elif message.kind == "alarm_cleared":
        standing.pop(message.key, None)


def waiting(store: Store, depot_id: str, *, after: int, limit: int = 200) -> list[tuple[int, Message]]:
    """Messages after position ``after``, oldest first."""
    query = select(_outbox.c.seq, _outbox.c.body).where(_outbox.c.depot_id == depot_id, _outbox.c.seq > after)
    with store.reading() as connection:
        rows = connection.execute(query.order_by(_outbox.c.seq).limit(limit)).all()
    return [(row.seq, msgspec.json.decode(row.body, type=Message)) for row in rows]


def forget(connection: Connection, depot_id: str, before: datetime) -> None:
    """Drop messages that are older: the facts themselves stay in the journal."""
    connection.execute(delete(_outbox).where(_outbox.c.depot_id == depot_id, _outbox.c.at < iso(before)))
