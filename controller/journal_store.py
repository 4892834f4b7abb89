"""The journal's rows: reading them back with every check, and one transaction for many appends. No asyncio here.

    snapshot (if sound) + tail of events --fold--> Tip --commit(calls)--> next Tip
                                                          +-- audit entries and other companions, same transaction

Every row carries a digest that chains over all rows before it, so that a changed, missing or foreign row is found and
named by its ``seq``, and the start refuses what is silently wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, insert, select

from controller.audit import Stored, write_entries
from controller.codec import EventCodec, NotDecodable, chain_digest, decode_state, encode_state, iso, state_digest, state_shape
from controller.tables import EventRow, ProbeRow, SnapshotRow
from depot.events import Envelope
from depot.fold import fold
from depot.state import DepotState
from storage import Store, StoreConflict

log = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 0.2
"""How long a commit waits for somebody else's lock before the journal calls itself frozen."""

_PROBE_BYTES = 64 * 1024
_KEYS_AT_ONCE = 500
_SNAPSHOTS_KEPT = 2


class JournalError(Exception):
    """Root of the journal's errors.

    JournalError
    ├── JournalCorrupt     what is on disk is not what was written; the message names the first wrong seq
    ├── JournalBroken      it can't go on in this process (another writer, an error of the program): restart
    └── JournalClosed      append after close
    depot.ports.JournalFrozen: the store can't be written now, and nothing was stored
    """


class JournalCorrupt(JournalError):
    """What is on disk is not what was written."""


class JournalBroken(JournalError):
    """The journal can't go on in this process."""


class JournalClosed(JournalError):
    """Append after close."""


@dataclass(frozen=True, slots=True)
class Tip:
    """The end of the journal: last ``seq``, the chain's value there, all facts folded."""

    seq: int = 0
    digest: bytes = b""
    state: DepotState = field(default_factory=DepotState)


@dataclass(frozen=True, slots=True)
class Draft:
    """A fact ready to be written: its envelope without a seq yet, and its JSON."""

    envelope: Envelope
    data: bytes


Answer = list[Envelope] | Exception
"""Per append: its envelopes, or why the fact itself can't be taken (it can't be folded)."""

Companion = Callable[[Connection, Sequence[tuple[Envelope, Stored]]], None]
"""Writes what belongs to facts in their own transaction: called with them, already inserted, before the commit."""

Write = Callable[[Connection], None]
"""Writes rows that are no facts, in the transaction of those that are."""

_events: Table = EventRow.__table__  # type: ignore[attr-defined]  # SQLModel does not declare it
_snapshots: Table = SnapshotRow.__table__  # type: ignore[attr-defined]
_probes: Table = ProbeRow.__table__  # type: ignore[attr-defined]


def depot_ids(store: Store) -> list[str]:
    """The depots that have facts in this database."""
    with store.reading() as connection:
        return list(connection.execute(select(_events.c.depot_id).distinct().order_by(_events.c.depot_id)).scalars())


def read_events(store: Store, depot_id: str, codec: EventCodec, *, after: int = 0, digest: bytes = b"") -> Iterator[tuple[Envelope, bytes]]:
    """Envelopes with their digests in order, from ``after`` (where the chain's value was ``digest``) on.

    Raises :class:`JournalCorrupt` at the first row that is missing, changed or can't be read.
    """
    query = select(_events).where(_events.c.depot_id == depot_id, _events.c.seq > after).order_by(_events.c.seq)
    expected = after
    with store.reading() as connection:
        for row in connection.execution_options(yield_per=1000).execute(query):
            expected += 1
            if row.seq != expected:
                raise JournalCorrupt(f"{store.name}: event seq {expected} is missing (the next is {row.seq}); restore a backup")
            envelope = _envelope(store, row, codec)
            digest = chain_digest(digest, tuple(row)[:-1])
            if digest != row.digest:
                raise JournalCorrupt(
                    f"{store.name}: event seq {row.seq} ({row.type}) or the one before was changed after it was written; restore a backup"
                )
            yield envelope, digest


def newest_events(store: Store, depot_id: str, codec: EventCodec, *, types: Sequence[str], most: int) -> list[Envelope]:
    """The newest ``most`` facts of these types, oldest first; only the last 100,000 of all are looked at."""
    tip = select(func.max(_events.c.seq)).where(_events.c.depot_id == depot_id).scalar_subquery()
    query = (
        select(_events)
        .where(_events.c.depot_id == depot_id, _events.c.seq > tip - 100_000, _events.c.type.in_(types))
        .order_by(_events.c.seq.desc())
        .limit(most)
    )
    with store.reading() as connection:
        return [_envelope(store, row, codec) for row in reversed(connection.execute(query).all())]


def events_since(store: Store, depot_id: str, codec: EventCodec, *, types: Sequence[str], after: int, most: int) -> list[Envelope]:
    """The next ``most`` facts of these types after position ``after``, oldest first."""
    mine = (_events.c.depot_id == depot_id, _events.c.type.in_(types), _events.c.seq > after)
    with store.reading() as connection:
        return [
            _envelope(store, row, codec) for row in connection.execute(select(_events).where(*mine).order_by(_events.c.seq).limit(most))
        ]


def seq_before(store: Store, depot_id: str, at: datetime) -> int:
    """The position of the last fact that was received before ``at``; 0: there is none. Receipts are in order, but for what a clock that
    was set back mixes up."""
    wanted = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    mine = _events.c.depot_id == depot_id
    with store.reading() as connection:
        high = connection.execute(select(func.max(_events.c.seq)).where(mine)).scalar() or 0
        low = 0
        while low < high:
            middle = (low + high + 1) // 2
            received = connection.execute(select(_events.c.received_at).where(mine, _events.c.seq == middle)).scalar()
            low, high = (middle, high) if received is not None and received < wanted else (low, middle - 1)
    return low


def newest_at(store: Store, depot_id: str) -> datetime | None:
    """When the newest fact occurred; None in an empty journal."""
    query = select(_events.c.occurred_at).where(_events.c.depot_id == depot_id).order_by(_events.c.seq.desc()).limit(1)
    with store.reading() as connection:
        found = connection.execute(query).scalar()
    return None if found is None else datetime.fromisoformat(found)


def load(store: Store, depot_id: str, codec: EventCodec, *, use_snapshot: bool = True) -> Tip:
    """Fold the journal: from the newest sound snapshot, or from the beginning. A snapshot that is damaged, or that
    other code has folded, is ignored with a line in the log. Raises :class:`JournalCorrupt`."""
    tip = (newest_snapshot(store, depot_id) if use_snapshot else None) or Tip()
    seq, digest, state = tip.seq, tip.digest, tip.state
    for envelope, digest in read_events(store, depot_id, codec, after=tip.seq, digest=tip.digest):  # noqa: B007  # the last ones stay
        seq = envelope.seq
        try:
            state = fold(state, (envelope,))
        except Exception as error:
            raise JournalCorrupt(f"{store.name}: event seq {seq} ({envelope.type}) can't be folded: {error!r}") from error
    return Tip(seq, digest, state)


def newest_snapshot(store: Store, depot_id: str) -> Tip | None:
    """The newest snapshot that is sound and was folded by this code; None where there is none."""
    query = select(_snapshots).where(_snapshots.c.depot_id == depot_id).order_by(_snapshots.c.seq.desc())
    with store.reading() as connection:
        rows = connection.execute(query).all()
        chain = select(_events.c.seq, _events.c.digest).where(_events.c.depot_id == depot_id, _events.c.seq.in_([r.seq for r in rows]))
        anchors: dict[int, bytes] = {row.seq: row.digest for row in connection.execute(chain)}
    for row in rows:
        if row.shape != state_shape():
            log.info("snapshot at seq %d was folded by other code; folding again", row.seq)
            continue
        if row.digest != state_digest(row.shape, row.seq, row.events_digest, row.state) or anchors.get(row.seq) != row.events_digest:
            log.warning("snapshot at seq %d is damaged; it is ignored, and the facts are folded again", row.seq)
            continue
        try:
            return Tip(row.seq, row.events_digest, decode_state(row.state))
        except NotDecodable as error:
            log.warning("snapshot at seq %d is ignored: %s; the facts are folded again", row.seq, error)
    return None


def _envelope(store: Store, row: Row[Any], codec: EventCodec) -> Envelope:
    try:
        return Envelope(
            id=row.id,
            depot_id=row.depot_id,
            seq=row.seq,
            type=row.type,
            version=row.version,
            occurred_at=datetime.fromisoformat(row.occurred_at),
            reported_at=None if row.reported_at is None else datetime.fromisoformat(row.reported_at),
            received_at=datetime.fromisoformat(row.received_at),
            actor=row.actor,
            cause_id=row.cause_id,
            key=row.key,
            data=codec.decode(row.type, row.version, row.data),
        )
    except (NotDecodable, ValueError, TypeError) as error:
        raise JournalCorrupt(f"{store.name}: event seq {row.seq} can't be read: {error}") from error


class JournalWriter:
    """The one writer of a depot's journal. Synchronous; used by one thread at a time."""

    def __init__(self, store: Store, depot_id: str, codec: EventCodec, tip: Tip, companions: Sequence[Companion] = ()) -> None:
        self._store = store
        self._companions = (write_entries, *companions)
        self._depot_id = depot_id
        self._codec = codec
        self.tip = tip
        self._snapshot_seq = tip.seq
        self._insert = str(insert(_events).compile(dialect=store.engine.dialect))

    def commit(self, calls: Sequence[Sequence[Draft]], writes: Sequence[Write] = ()) -> list[Answer]:
        """Make all calls durable in one transaction, each whole or not at all, in order, and what ``writes`` write with them.

        Raises :class:`storage.StoreUnavailable` when nothing could be stored, :class:`JournalBroken` when somebody
        else has written to this journal.
        """
        try:
            with self._store.writing(busy_timeout_s=BUSY_TIMEOUT_S) as connection:
                known = self._known(connection, [d.envelope.key for call in calls for d in call if d.envelope.key is not None])
                tip = self.tip
                written: list[tuple[Envelope, Stored]] = []
                answers: list[Answer] = []
                for call in calls:
                    tip, new, answer = self._admit(tip, call, known)
                    written += new
                    answers.append(answer)
                if written:
                    # by the driver itself: a third of the price, and a virtual night appends a hundred thousand times
                    connection.connection.cursor().executemany(self._insert, [row for _, row in written])
                    for companion in self._companions:
                        companion(connection, written)
                for write in writes:
                    write(connection)
        except StoreConflict as error:
            raise JournalBroken(
                f"another process wrote to the journal of {self._depot_id} after seq {self.tip.seq}: end it, and start again ({error})"
            ) from error
        self.tip = tip
        return answers

    def _admit(self, tip: Tip, call: Sequence[Draft], known: dict[str, Envelope]) -> tuple[Tip, list[tuple[Envelope, Stored]], Answer]:
        """Number, fold and chain one call's facts on top of ``tip``. A fact that can't be folded is not stored, for
        it would keep every later start from coming up."""
        seq, digest, state = tip.seq, tip.digest, tip.state
        new: list[tuple[Envelope, Stored]] = []
        envelopes: list[Envelope] = []
        mine: dict[str, Envelope] = {}
        for draft in call:
            key = draft.envelope.key
            first = None if key is None else known.get(key) or mine.get(key)
            if first is not None:
                envelopes.append(replace(first, duplicate=True))
                continue
            seq += 1
            envelope = replace(draft.envelope, seq=seq)
            try:
                state = fold(state, (envelope,))
            except Exception as error:  # noqa: BLE001  # whatever it is, its caller gets it
                return tip, [], error
            columns = _columns(envelope, draft.data)
            digest = chain_digest(digest, columns)
            new.append((envelope, (*columns, digest)))
            envelopes.append(envelope)
            if key is not None:
                mine[key] = envelope
        known.update(mine)
        return Tip(seq, digest, state), new, envelopes

    def _known(self, connection: Connection, keys: list[str]) -> dict[str, Envelope]:
        """First envelopes of those keys that the journal has already."""
        found: dict[str, Envelope] = {}
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            query = select(_events).where(_events.c.depot_id == self._depot_id, _events.c.key.in_(keys[start : start + _KEYS_AT_ONCE]))
            for row in connection.execute(query):
                found[row.key] = _envelope(self._store, row, self._codec)
        return found

    def probe(self) -> None:
        """Find out whether appends would work: take some room, durably, and give it back. Raises StoreUnavailable."""
        with self._store.writing(busy_timeout_s=BUSY_TIMEOUT_S) as connection:
            connection.execute(delete(_probes).where(_probes.c.depot_id == self._depot_id))
            connection.execute(insert(_probes), {"depot_id": self._depot_id, "filler": bytes(_PROBE_BYTES)})
        with self._store.writing(busy_timeout_s=BUSY_TIMEOUT_S) as connection:
            connection.execute(delete(_probes).where(_probes.c.depot_id == self._depot_id))

    def snapshot(self, every: int = 1) -> None:
        """Keep the folded state, if it is ``every`` or more events newer than the last kept. Raises StoreUnavailable."""
        tip = self.tip
        if every <= 0 or tip.seq - self._snapshot_seq < every:
            return
        self._snapshot_seq = tip.seq  # also when it fails: the next try comes ``every`` events later
        try:
            shape, state = state_shape(), encode_state(tip.state)
        except (OverflowError, TypeError) as error:  # it saves time at the next start, nothing depends on it
            log.error("the state after seq %d can't be kept as a snapshot: %s; the next start folds more facts", tip.seq, error)
            return
        row = {
            "depot_id": self._depot_id,
            "seq": tip.seq,
            "shape": shape,
            "events_digest": tip.digest,
            "state": state,
            "digest": state_digest(shape, tip.seq, tip.digest, state),
        }
        mine = _snapshots.c.depot_id == self._depot_id
        with self._store.writing(busy_timeout_s=BUSY_TIMEOUT_S) as connection:
            connection.execute(delete(_snapshots).where(mine, _snapshots.c.seq >= tip.seq))
            connection.execute(insert(_snapshots), row)
            kept = select(_snapshots.c.seq).where(mine).order_by(_snapshots.c.seq.desc()).limit(_SNAPSHOTS_KEPT)
            connection.execute(delete(_snapshots).where(mine, _snapshots.c.seq.not_in(kept)))


def _columns(envelope: Envelope, data: bytes) -> tuple[str | int | None, ...]:
    """The row of ``events`` without its digest, in the order of its columns."""
    return (
        envelope.depot_id,
        envelope.seq,
        envelope.id,
        envelope.type,
        envelope.version,
        iso(envelope.occurred_at),
        None if envelope.reported_at is None else iso(envelope.reported_at),
        iso(envelope.received_at),
        envelope.actor,
        envelope.cause_id,
        envelope.key,
        data.decode(),
    )
