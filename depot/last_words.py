"""The last word of each running transaction of a 2.x station: what must outlive the process although no fact came of it.

A TransactionEvent that only measures changes no fact, and yet its station forgets it once it is answered. So what it said
is kept, one word for each transaction, overwritten by the next, and gone with the transaction's end:

    which events were heard (a repeated one changes nothing)   the register (a lost end takes it)   how it began
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from depot.events import SignedReading
from depot.tokens import Presented

SeqRange = tuple[int, int]
"""From and to, both heard."""


@dataclass(frozen=True, slots=True)
class LastWord:
    """``heard``: ranges of sequence numbers, ascending. ``number``: the depot's transaction; None: no session yet.
    ``meter_start_wh``: the first register as the station writes it; ``register_wh``: the newest believed one, Wh, and ``at`` by
    the station's clock. ``first_seen``: type of the event by which it was met. ``signed``: values that the meter signed."""

    station_id: str
    transaction_id: str
    heard: tuple[SeqRange, ...] = ()
    number: int | None = None
    connector: int | None = None
    state: str | None = None
    register_wh: int | None = None
    at: datetime | None = None
    first_seen: str = ""
    began_at: datetime | None = None
    meter_start_wh: int | None = None
    shown: Presented | None = None
    remote_start: int | None = None
    reservation_id: int | None = None
    signed: tuple[SignedReading, ...] = ()


class LastWords(Protocol):
    """Where they are kept. Nothing here raises but what is awaited, and that only where the journal broke."""

    def of(self, station_id: str) -> Sequence[LastWord]:
        """What is kept of a station's transactions that are open, oldest first."""

    def keep(self, word: LastWord) -> Awaitable[None] | None:
        """Keep it in the place of the older one; the answer to its station may leave once that is done (None: at once). It is
        asked for with the call, not with the await."""

    def forget(self, station_id: str, transaction_id: str) -> None:
        """The transaction ended, and the journal knows."""


class NoLastWords:
    """Where no process dies: nothing is kept."""

    def of(self, station_id: str) -> Sequence[LastWord]:
        return ()

    def keep(self, word: LastWord) -> None: ...

    def forget(self, station_id: str, transaction_id: str) -> None: ...
