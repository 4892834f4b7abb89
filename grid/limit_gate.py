"""Places and rates at the limit server: how many connections, from whom, and how fast. No I/O; times are monotonic seconds.

    knock --Gate.place()--> a place, in the stead of somebody, or none        request --Gate.wait_s()--> how long it waits

A master that was switched off leaves connections behind that nobody closes. When it comes back it must get in: it takes the
place of its own connection that has been silent for longest. A master that may command takes the place of one that may
only read. What is asked beyond the rate waits, and with it the connection: nothing is thrown away, the master's own stream
slows down, and the controller does no more work than the rate allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from grid.limit_access import WRITES_SHARE

SILENT_S: Final = 5.0
"""A connection that asked nothing for so long may lose its place to a new one of the same peer."""

BURST_S: Final = 0.25
"""So much of a second's requests may come at once."""

SHORTEST_S: Final = 1e-4
"""Nobody waits for less."""

PEERS_REMEMBERED: Final = 256


@dataclass(slots=True, eq=False)
class Guest:
    """A connection. ``writer``: it may command. ``heard_s``: when it last asked something."""

    host: str
    writer: bool
    heard_s: float


class Gate:
    """``most``: places in all; ``most_per_peer``: of one address; ``per_s``: reads of one address a second, 0 without limit."""

    def __init__(self, *, most: int, most_per_peer: int, per_s: float) -> None:
        self._most = most
        self._most_per_peer = most_per_peer
        self._per_s = per_s
        self._due: dict[tuple[str, bool], float] = {}
        self.guests: set[Guest] = set()
        self.delayed = 0
        """Requests that had to wait."""

    def place(self, host: str, *, writer: bool, at_s: float) -> tuple[Guest | None, Guest | None]:
        """A place for a connection, and who has to go for it. (None, None): there is none."""
        own = [guest for guest in self.guests if guest.host == host]
        if len(own) < self._most_per_peer and len(self.guests) < self._most:
            gone = None
        else:
            gone = _longest_silent(guest for guest in own if at_s - guest.heard_s >= SILENT_S)
            if gone is None and writer and len(own) < self._most_per_peer:
                gone = _longest_silent(guest for guest in self.guests if not guest.writer)
            if gone is None:
                return None, None
            self.guests.discard(gone)
        guest = Guest(host, writer, at_s)
        self.guests.add(guest)
        return guest, gone

    def left(self, guest: Guest) -> None:
        """The connection is over."""
        self.guests.discard(guest)

    def wait_s(self, host: str, *, write: bool, at_s: float) -> float:
        """How long a request that came at ``at_s`` waits before it is answered; 0: not at all. It is counted as taken."""
        if not self._per_s:
            return 0.0
        apart_s = 1 / (self._per_s * (WRITES_SHARE if write else 1.0))
        if len(self._due) > PEERS_REMEMBERED:
            self._due = {key: due_s for key, due_s in self._due.items() if due_s > at_s}
        due_s = max(self._due.get((host, write), 0.0), at_s) + apart_s
        self._due[host, write] = due_s
        wait_s = due_s - at_s - max(BURST_S, apart_s)
        if wait_s < SHORTEST_S:
            return 0.0
        self.delayed += 1
        return wait_s


def _longest_silent(guests: Iterator[Guest]) -> Guest | None:
    return min(guests, key=lambda guest: guest.heard_s, default=None)
