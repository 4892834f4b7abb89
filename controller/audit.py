"""The audit trail: who wanted what, why, and what came of it, as a chain of hashes over the journal's own rows.

    facts of one commit --entry_of--> entries --chained, same transaction--> table ``audit``
    verify(): every fact's row and every entry is hashed again; the first that differs is named

An entry's hash is SHA-256 over the hash before, the entry, and the whole row of the fact that it tells of, which ends
with the journal's own running digest. So one changed byte in either table is found and located, and a head (number and
hash of the newest entry) that was kept elsewhere pins the whole journal up to it. A chain alone does not stop somebody
who can write the file and computes all of it anew: that is what the head outside is for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, Select, Table, insert, select

from controller.codec import EventCodec, chain_digest, iso
from controller.tables import AuditRow, EventRow
from depot import events as ev
from storage import Store

Stored = tuple[str | int | bytes | None, ...]
"""A fact's row as it is stored, all columns in order, its digest last."""

GENESIS: Final = bytes(32)
"""What the first entry's hash begins with."""

_audit: Table = AuditRow.__table__  # type: ignore[attr-defined]  # SQLModel does not declare it
_events: Table = EventRow.__table__  # type: ignore[attr-defined]
_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. ``event_seq``: the fact that it tells of. ``kind``: the command's name, or what happened."""

    event_seq: int
    at: datetime
    actor: str
    kind: str
    target: str
    reason: str
    outcome: str
    command_id: str = ""
    seq: int = 0


def _requested(e: ev.CommandRequested, envelope: ev.Envelope) -> Entry:
    return Entry(envelope.seq, envelope.occurred_at, envelope.actor, e.kind, e.target, e.reason, "requested", e.command_id)


def _finished(e: ev.CommandFinished, envelope: ev.Envelope) -> Entry:
    """Kind and target are those of the request, which :func:`write_entries` looks up."""
    return Entry(envelope.seq, envelope.occurred_at, envelope.actor, "", "", e.message, e.outcome, e.command_id)


def _reset(e: ev.PackReset, envelope: ev.Envelope) -> Entry:
    return Entry(envelope.seq, envelope.occurred_at, e.person, "PackReset", str(e.pack), e.reason, "reset")


def _ordered(e: ev.UtilityLinkChanged, envelope: ev.Envelope) -> Entry | None:
    """What the utility's master wrote; heartbeats and time are the controller's own notes."""
    if envelope.actor == "controller":
        return None
    return Entry(envelope.seq, envelope.occurred_at, envelope.actor, "UtilityOrder", "site", e.cause, "recorded")


def _modbus(e: ev.UtilityCommandAnswered, envelope: ev.Envelope) -> Entry:
    """What became of what a master wanted, over Modbus."""
    words = [f"CmdSeq {e.seq}:" if e.seq is not None else "write refused:", e.asked]
    words += [f"({e.count} times)"] if e.count > 1 else []
    words += [f"as {e.role}"] if e.role else []
    words += [f"limit before {e.before_w} W, after {e.after_w} W"] if e.before_w is not None else []
    return Entry(envelope.seq, envelope.occurred_at, envelope.actor, "UtilityCommand", "site", " ".join(words), e.outcome)


def _answered(outcome: str) -> Callable[[ev.ApprovalGranted | ev.ApprovalRefused, ev.Envelope], Entry]:
    """A second person's word on the command of this id."""

    def build(e: ev.ApprovalGranted | ev.ApprovalRefused, envelope: ev.Envelope) -> Entry:
        return Entry(envelope.seq, envelope.occurred_at, envelope.actor, "", "", e.reason, outcome, e.command_id)

    return build


def _passed(e: ev.MasterPassShown, envelope: ev.Envelope) -> Entry:
    token = f"…{e.id_token[-2:]}" if len(e.id_token) > 4 else "…"
    return Entry(envelope.seq, envelope.occurred_at, f"station:{e.station_id}", "MasterPass", e.station_id, f"token {token}", "let through")


def _stopped(e: ev.TransactionStopped, envelope: ev.Envelope) -> Entry | None:
    """A session that a master pass has ended; its other ends are no orders of anybody."""
    if e.reason != "MasterPass":
        return None
    reason = f"transaction {e.transaction_id}"
    return Entry(envelope.seq, envelope.occurred_at, envelope.actor, "MasterPassStop", str(e.connector), reason, "stopped")


def _restored(e: ev.BackupRestored, envelope: ev.Envelope) -> Entry:
    reason = f"the backup of {iso(e.made_at)} with {e.backup_seq} facts"
    return Entry(envelope.seq, envelope.occurred_at, envelope.actor, "BackupRestored", "depot", reason, "restored")


_ENTRIES: Mapping[type[ev.Event], Callable[[Any, ev.Envelope], Entry | None]] = {
    ev.CommandRequested: _requested,
    ev.CommandFinished: _finished,
    ev.PackReset: _reset,
    ev.BackupRestored: _restored,
    ev.UtilityLinkChanged: _ordered,
    ev.UtilityCommandAnswered: _modbus,
    ev.MasterPassShown: _passed,
    ev.TransactionStopped: _stopped,
    ev.ApprovalGranted: _answered("approved"),
    ev.ApprovalRefused: _answered("not approved"),
}

_NEVER_WITHOUT: Final = frozenset({ev.CommandRequested.TYPE, ev.CommandFinished.TYPE})
"""Types that had an entry in every version: where one has none, an entry was removed."""


def entry_of(envelope: ev.Envelope) -> Entry | None:
    """What the trail says of this fact; None for facts that no person or machine outside caused."""
    build = _ENTRIES.get(type(envelope.data))
    return None if build is None else build(envelope.data, envelope)


def entry_hash(prev: bytes, entry: Stored, fact: Stored) -> bytes:
    """``entry``: its row without ``prev`` and ``hash``. One JSON array of both rows, so that nothing can be moved
    from one column into the next."""
    return sha256(prev + msgspec.json.encode((entry, fact))).digest()


# -- writing ------------------------------------------------------------------------------------------------------------


def write_entries(connection: Connection, written: Sequence[tuple[ev.Envelope, Stored]]) -> None:
    """Add the entries of facts that were inserted in this transaction. Costs nothing where none of them is audited."""
    found = [(entry, envelope.depot_id, row) for envelope, row in written if (entry := entry_of(envelope)) is not None]
    if not found:
        return
    depot_id = found[0][1]
    seq, prev = _tip(connection, depot_id)
    mine: dict[str, Entry] = {}
    rows: list[dict[str, object]] = []
    for entry, _, fact in found:
        seq += 1
        entry = replace(entry, seq=seq)
        if not entry.kind:
            asked = mine.get(entry.command_id) or _request(connection, depot_id, entry.command_id)
            entry = replace(entry, kind=asked.kind if asked else "unknown", target=asked.target if asked else "")
        mine.setdefault(entry.command_id, entry)
        columns = _columns(depot_id, entry)
        hashed = entry_hash(prev, columns, fact)
        rows.append(dict(zip(_audit.columns.keys(), (*columns, prev, hashed), strict=True)))
        prev = hashed
    connection.execute(insert(_audit), rows)


def backfill(connection: Connection) -> None:
    """Build the trail over facts that were written before there was one: for the migration only."""
    codec = EventCodec()
    types = [kind.TYPE for kind in _ENTRIES]
    for depot_id in connection.execute(select(_events.c.depot_id).distinct()).scalars().all():
        after = 0
        while True:
            query = select(_events).where(_events.c.depot_id == depot_id, _events.c.seq > after, _events.c.type.in_(types))
            rows = connection.execute(query.order_by(_events.c.seq).limit(_AT_ONCE)).all()
            if not rows:
                break
            write_entries(connection, [(_envelope(row, codec), tuple(row)) for row in rows])
            after = rows[-1].seq


def _tip(connection: Connection, depot_id: str) -> tuple[int, bytes]:
    query = select(_audit.c.seq, _audit.c.hash).where(_audit.c.depot_id == depot_id).order_by(_audit.c.seq.desc()).limit(1)
    row = connection.execute(query).first()
    return (0, GENESIS) if row is None else (row.seq, row.hash)


def _request(connection: Connection, depot_id: str, command_id: str) -> Entry | None:
    query = select(_audit).where(_audit.c.depot_id == depot_id, _audit.c.command_id == command_id).order_by(_audit.c.seq).limit(1)
    row = connection.execute(query).first()
    return None if row is None else _entry(row)


def _columns(depot_id: str, entry: Entry) -> Stored:
    """The row without ``prev`` and ``hash``, in the order of the table's columns."""
    return (
        depot_id,
        entry.seq,
        entry.event_seq,
        iso(entry.at),
        entry.actor,
        entry.kind,
        entry.target,
        entry.reason,
        entry.outcome,
        entry.command_id,
    )


def _entry(row: Row[Any]) -> Entry:
    at = datetime.fromisoformat(row.at)
    return Entry(row.event_seq, at, row.actor, row.kind, row.target, row.reason, row.outcome, row.command_id, row.seq)


def _envelope(row: Row[Any], codec: EventCodec) -> ev.Envelope:
    return ev.Envelope(
        id=row.id,
        depot_id=row.depot_id,
        seq=row.seq,
        type=row.type,
        version=row.version,
        occurred_at=datetime.fromisoformat(row.occurred_at),
        reported_at=None,
        received_at=datetime.fromisoformat(row.received_at),
        actor=row.actor,
        cause_id=row.cause_id,
        key=row.key,
        data=codec.decode(row.type, row.version, row.data),
    )


# -- reading ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """Entries newest first. ``before``: give it to get the next page; None at the end."""

    entries: Sequence[Entry]
    before: int | None


def read_page(
    store: Store,
    depot_id: str,
    *,
    before: int | None = None,
    actor: str = "",
    kind: str = "",
    since: datetime | None = None,
    limit: int = 50,
) -> Page:
    """Entries older than number ``before``, newest first; ``actor`` and ``kind`` as they stand in the entry."""
    query: Select[Any] = select(_audit).where(_audit.c.depot_id == depot_id)
    if before is not None:
        query = query.where(_audit.c.seq < before)
    if actor:
        query = query.where(_audit.c.actor == actor)
    if kind:
        query = query.where(_audit.c.kind == kind)
    if since is not None:
        query = query.where(_audit.c.at >= iso(since))
    with store.reading() as connection:
        rows = connection.execute(query.order_by(_audit.c.seq.desc()).limit(limit + 1)).all()
    entries = [_entry(row) for row in rows[:limit]]
    return Page(entries, entries[-1].seq if len(rows) > limit else None)


def head(store: Store, depot_id: str) -> tuple[int, bytes]:
    """Number and hash of the newest entry; (0, GENESIS) where there is none."""
    with store.reading() as connection:
        return _tip(connection, depot_id)


# -- checking -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checked:
    """How far a check came. ``entries``: number of the last good entry, with its ``hash``; ``facts`` and ``digest``:
    the same of the journal. ``complaint``: what is wrong first, and where. ``whole``: there was nothing more to check."""

    entries: int = 0
    hash: bytes = GENESIS
    facts: int = 0
    digest: bytes = b""
    complaint: str | None = None
    whole: bool = False

    @property
    def sound(self) -> bool:
        return self.complaint is None


_FACTS = ", ".join(f"e.{name}" for name in _events.columns.keys())  # noqa: SIM118  # a collection of columns, no dict
_ENTRY = ", ".join(f"a.{name}" for name in _audit.columns.keys())  # noqa: SIM118
_WIDTH = len(_events.columns)
_CHECK = (
    f"SELECT {_FACTS}, {_ENTRY} FROM events e LEFT JOIN audit a ON a.depot_id = e.depot_id AND a.event_seq = e.seq "  # noqa: S608  # our own names
    "WHERE e.depot_id = ? AND e.seq > ? ORDER BY e.seq LIMIT ?"
)


def verify(store: Store, depot_id: str, done: Checked = Checked(), *, most: int = -1) -> Checked:
    """Go on checking after ``done``, at most ``most`` facts: every row of the journal against its running digest,
    every entry against its hash. Stops at the first complaint; looks only."""
    entries, last_hash, facts, digest = done.entries, done.hash, done.facts, done.digest
    seen = 0

    def wrong(what: str) -> Checked:
        return Checked(entries, last_hash, facts, digest, what)

    with store.reading() as connection:
        cursor: Any = connection.connection.cursor()  # the driver's own: a third of the time
        try:
            cursor.execute(_CHECK, (depot_id, done.facts, most))
            for row in cursor:
                seen += 1
                fact, entry = row[:_WIDTH], row[_WIDTH:]
                seq, kind = fact[1], fact[3]
                if seq != facts + 1:
                    return wrong(f"fact seq {facts + 1} is missing from the journal (the next is {seq})")
                digest = chain_digest(digest, fact[:-1])
                if digest != fact[-1]:
                    return wrong(f"fact seq {seq} ({kind}) or the one before was changed after it was written")
                if entry[0] is not None:
                    complaint = _complaint(entry, fact, entries, last_hash)
                    if complaint is not None:
                        return wrong(complaint)
                    entries, last_hash = entry[1], entry[-1]
                elif kind in _NEVER_WITHOUT:
                    return wrong(f"fact seq {seq} ({kind}) has no entry: one was removed after entry {entries}")
                facts = seq
        except (sqlite3.Error, UnicodeDecodeError) as error:
            return wrong(f"fact seq {facts + 1} or its entry cannot be read: {error}")
        whole = most < 0 or seen < most
        if whole and _tip(connection, depot_id)[0] != entries:
            return wrong(f"entry {entries + 1} tells of a fact that the journal does not hold (it ends at seq {facts})")
    return Checked(entries, last_hash, facts, digest, None, whole)


def _complaint(entry: tuple[Any, ...], fact: tuple[Any, ...], entries: int, last_hash: bytes) -> str | None:
    seq = entry[1]
    if seq != entries + 1:
        return f"entry {entries + 1} is missing from the trail (the next is {seq})"
    if entry[-2] != last_hash:
        return f"entry {seq} does not follow entry {entries}: one of them was changed after it was written"
    if entry_hash(last_hash, entry[:-2], fact) != entry[-1]:
        return f"entry {seq} (fact seq {fact[1]}) was changed after it was written"
    return None


def verify_head(store: Store, depot_id: str, seq: int, wanted: str) -> str | None:
    """What is wrong with the trail, held against a head that was kept elsewhere; None where it is still in the chain."""
    with store.reading() as connection:
        row = connection.execute(select(_audit.c.hash).where(_audit.c.depot_id == depot_id, _audit.c.seq == seq)).first()
    if row is None:
        return f"there is no entry {seq} any more: the end of the trail was cut off, or this is another database"
    if row.hash.hex() != wanted.lower():
        return f"entry {seq} has another hash than the one that was kept: the trail was written anew"
    return None
