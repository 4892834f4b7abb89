"""Answers of stations that come in several messages: joined by the request's number, bounded in size and in time.

    expect(station, number) --> Joining        part, part, part without ``more`` --> its result: complete
                                               silence, too much, a part missing --> its result: incomplete, and why

A part that nobody asked for is dropped. All times are the event loop's: a station's silence is a matter of the protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

P = TypeVar("P")

SILENT_S = 60.0
"""A station that has told nothing more for so long has stopped telling."""
MOST_WEIGHT = 1000
"""Items in all parts of one answer; a part without items weighs 1."""
UNDER_WAY = 200
"""Requests that may be under way at once; the oldest is given up."""


@dataclass(frozen=True, slots=True)
class Joined(Generic[P]):
    """What came, in order. ``note``: why it is not complete."""

    parts: tuple[P, ...]
    complete: bool
    note: str = ""


class Joining(Generic[P]):
    """One request under way. ``result`` is set once."""

    def __init__(self, silent_s: float, ended: Callable[[Joining[P]], None]) -> None:
        loop = asyncio.get_running_loop()
        self.result: asyncio.Future[Joined[P]] = loop.create_future()
        self._silent_s = silent_s
        self._ended = ended
        self._parts: dict[int, P] = {}
        self._weight = 0
        self._last: int | None = None
        self._timer = loop.call_later(silent_s, self.give_up, "the station told no more")

    def add(self, part: P, *, seq: int | None, weight: int, more: bool) -> None:
        """One part. ``seq`` counts from 0; None: the messages have no numbers, they are taken in the order in which they came."""
        if self.result.done():
            return
        number = len(self._parts) if seq is None else seq
        if number not in self._parts:
            self._weight += max(1, weight)
            if self._weight > MOST_WEIGHT:
                self.give_up(f"more than {MOST_WEIGHT} items")
                return
            self._parts[number] = part
        if not more:
            self._last = number
        if self._last is not None and all(n in self._parts for n in range(self._last + 1)):
            self._end(Joined(self._in_order(), complete=True))
        else:
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(self._silent_s, self.give_up, "the station told no more")

    def give_up(self, note: str) -> None:
        """It will not be complete."""
        if not self.result.done():
            self._end(Joined(self._in_order(), complete=False, note=note))

    def whole(self) -> None:
        """There is nothing to tell."""
        if not self.result.done():
            self._end(Joined(self._in_order(), complete=True))

    def _in_order(self) -> tuple[P, ...]:
        return tuple(self._parts[n] for n in sorted(self._parts))

    def _end(self, joined: Joined[P]) -> None:
        self._timer.cancel()
        self.result.set_result(joined)
        self._ended(self)


class Joinings(Generic[P]):
    """All requests of one kind that are under way."""

    def __init__(self, *, silent_s: float = SILENT_S) -> None:
        self._silent_s = silent_s
        self._open: dict[tuple[str, int], Joining[P]] = {}

    def expect(self, station_id: str, number: int) -> Joining[P]:
        """Parts under this number belong together from now on."""
        if len(self._open) >= UNDER_WAY:
            next(iter(self._open.values())).give_up("too many requests are under way")
        key = (station_id, number)

        def ended(joining: Joining[P]) -> None:
            if self._open.get(key) is joining:
                del self._open[key]

        self._open[key] = Joining(self._silent_s, ended)
        return self._open[key]

    def of(self, station_id: str, number: int) -> Joining[P] | None:
        """The one that is under way under this number."""
        return self._open.get((station_id, number))

    def add(self, station_id: str, number: int, part: P, *, seq: int | None = None, weight: int = 1, more: bool) -> bool:
        """A part came. False: nobody asked this station under this number, or not any more."""
        joining = self.of(station_id, number)
        if joining is None:
            return False
        joining.add(part, seq=seq, weight=weight, more=more)
        return True
