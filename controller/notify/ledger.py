"""The notifier's memory: which message got how far on which channel. Durable before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Row, Table, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from controller.notify.tables import CursorRow, DeliveryRow
from controller.outbox import Message
from storage import Store

WAITING, SENT, DEAD = "waiting", "sent", "dead"


def ledger_file(database: Path, depot_id: str) -> Path:
    """The notifier's file beside the depot's database: ``var/<depot>-notify.db``."""
    return database.with_name(f"{depot_id}-notify.db")


_delivery: Table = DeliveryRow.__table__  # type: ignore[attr-defined]  # SQLModel does not declare it
_cursor: Table = CursorRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on one channel."""

    message: Message
    channel: str
    tries: int
    taken_s: float
    error: str
    ended_s: float | None


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one message on one channel."""

    message: Message
    channel: str
    state: str
    error: str

    @property
    def sent(self) -> bool:
        return self.state == SENT


@dataclass(frozen=True, slots=True)
class Standing:
    """How deliveries stand. ``oldest_s``: when the oldest that waits was taken over; ``sent_s``: when the last one arrived."""

    waiting: int
    sent: int
    dead: int
    oldest_s: float | None
    sent_s: float | None


class Ledger:
    """One depot's deliveries, in the notifier's own database."""

    def __init__(self, store: Store, depot_id: str) -> None:
        self._store, self._depot_id = store, depot_id
        self._mine = _delivery.c.depot_id == depot_id

    @property
    def taken_to(self) -> int:
        """The outbox position up to which everything is here."""
        with self._store.reading() as connection:
            found = connection.execute(select(_cursor.c.seq).where(_cursor.c.depot_id == self._depot_id)).scalar()
        return found or 0

    def take(
        self,
        messages: Sequence[tuple[int, Message]],
        channels: Sequence[str],
        now_s: float,
        wants: Callable[[str, Message], bool] = lambda _channel, _message: True,
    ) -> None:
        """Take messages over for all channels that want them, and move the cursor, in one transaction."""
        if not messages:
            return
        rows = [
            {
                "depot_id": self._depot_id,
                "message_id": message.id,
                "channel": channel,
                "seq": seq,
                "body": msgspec.json.encode(message).decode(),
                "state": WAITING,
                "taken_s": now_s,
                "due_s": now_s,
                "tries": 0,
                "error": "",
            }
            for seq, message in messages
            for channel in channels
            if wants(channel, message)
        ]
        with self._store.writing() as connection:
            if rows:
                connection.execute(insert(_delivery).on_conflict_do_nothing(), rows)
            moved = insert(_cursor).values(depot_id=self._depot_id, seq=messages[-1][0])
            connection.execute(moved.on_conflict_do_update(index_elements=["depot_id"], set_={"seq": messages[-1][0]}))

    def due(self, channels: Sequence[str], now_s: float, *, limit: int = 20) -> list[Delivery]:
        """What should be sent now, oldest first."""
        query = select(_delivery).where(
            self._mine, _delivery.c.state == WAITING, _delivery.c.due_s <= now_s, _delivery.c.channel.in_(channels)
        )
        with self._store.reading() as connection:
            rows = connection.execute(query.order_by(_delivery.c.seq, _delivery.c.due_s).limit(limit)).all()
        return [_delivery_of(row) for row in rows]

    def sent(self, delivery: Delivery, now_s: float) -> None:
        self._end(delivery, SENT, now_s, "")

    def dead(self, delivery: Delivery, now_s: float, error: str) -> None:
        """Given up: shown to people, who may send it again."""
        self._end(delivery, DEAD, now_s, error)

    def later(self, delivery: Delivery, due_s: float, error: str) -> None:
        """It did not arrive; again at ``due_s``."""
        self._change(delivery, due_s=due_s, error=error[:500], tries=delivery.tries + 1)

    def standing(self) -> Standing:
        with self._store.reading() as connection:
            query = select(_delivery.c.state, func.count()).where(self._mine).group_by(_delivery.c.state)
            counts: dict[str, int] = {row[0]: row[1] for row in connection.execute(query)}
            oldest = select(func.min(_delivery.c.taken_s)).where(self._mine, _delivery.c.state == WAITING)
            newest = select(func.max(_delivery.c.ended_s)).where(self._mine, _delivery.c.state == SENT)
            return Standing(
                counts.get(WAITING, 0),
                counts.get(SENT, 0),
                counts.get(DEAD, 0),
                connection.execute(oldest).scalar(),
                connection.execute(newest).scalar(),
            )

    def given_up(self, *, limit: int = 50) -> list[Delivery]:
        """Dead letters, newest first."""
        query = select(_delivery).where(self._mine, _delivery.c.state == DEAD).order_by(_delivery.c.ended_s.desc()).limit(limit)
        with self._store.reading() as connection:
            return [_delivery_of(row) for row in connection.execute(query)]

    def fates(self, since_s: float, *, limit: int = 300) -> list[Fate]:
        """What became of messages that were taken over since, the newest of them."""
        query = select(_delivery).where(self._mine, _delivery.c.taken_s >= since_s).order_by(_delivery.c.seq.desc()).limit(limit)
        with self._store.reading() as connection:
            rows = connection.execute(query).all()
        return [Fate(msgspec.json.decode(row.body, type=Message), row.channel, row.state, row.error) for row in rows]

    def retry(self, now_s: float) -> int:
        """Send all dead letters again; how many."""
        fresh = update(_delivery).where(self._mine, _delivery.c.state == DEAD)
        with self._store.writing() as connection:
            return connection.execute(fresh.values(state=WAITING, due_s=now_s, taken_s=now_s, tries=0, ended_s=None)).rowcount

    def forget(self, before_s: float, *, dead_now: bool = False) -> int:
        """Drop what ended before; with ``dead_now`` all dead letters. How many."""
        ended = _delivery.c.state == DEAD if dead_now else (_delivery.c.state != WAITING) & (_delivery.c.ended_s < before_s)
        with self._store.writing() as connection:
            return connection.execute(delete(_delivery).where(self._mine, ended)).rowcount

    def _end(self, delivery: Delivery, state: str, now_s: float, error: str) -> None:
        self._change(delivery, state=state, ended_s=now_s, error=error[:500], tries=delivery.tries + 1)

    def _change(self, delivery: Delivery, **values: object) -> None:
        this = (self._mine, _delivery.c.message_id == delivery.message.id, _delivery.c.channel == delivery.channel)
        with self._store.writing() as connection:
            connection.execute(update(_delivery).where(*this).values(**values))


def _delivery_of(row: Row[Any]) -> Delivery:
    return Delivery(msgspec.json.decode(row.body, type=Message), row.channel, row.tries, row.taken_s, row.error, row.ended_s)
