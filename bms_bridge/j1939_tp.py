"""The transport protocol of SAE J1939-21, overheard: messages of 9 to 1,785 bytes that come in packets of seven.

    RTS (size, packets, group) --CTS--> data packets 1…n --> acknowledged       to one receiver
    BAM (size, packets, group) -------> data packets 1…n                        to everyone

Nothing is ever sent from here: of two that talk to each other everything is heard, and a packet that was lost is asked for again
by its receiver, not by us. A message is whole as soon as each of its packets was heard, in whatever order; a packet that comes
twice with other bytes spoils it. What is never finished is forgotten: by time, by a new announcement, by an abort, or by the oldest
where too many are open. No frames whatsoever raise or cost more than that.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from bms_bridge.can.frame import EVERYONE, CanFrame, destination_of, pgn_of, source_of

CONTROL: Final = 0xEC00
DATA: Final = 0xEB00
LEAST_BYTES: Final = 9
MOST_BYTES: Final = 1785
PACKET_BYTES: Final = 7
MOST_OPEN: Final = 64
FORGET_S: Final = 1.25
"""After this silence an open message is given up: the longest of the protocol's time-outs (T2, T3)."""

_RTS, _CTS, _END, _BAM, _ABORT = 0x10, 0x11, 0x13, 0x20, 0xFF


class TpFault(StrEnum):
    """Why a message did not become whole."""

    ANNOUNCEMENT = "announcement"
    """Size and number of packets do not fit each other, or cannot be."""
    UNANNOUNCED = "unannounced"
    NUMBER = "number"
    """A packet beyond the last one."""
    CONTRADICTION = "contradiction"
    """A packet came twice with other bytes."""
    REPLACED = "replaced"
    ABORTED = "aborted"
    TIMED_OUT = "timed_out"
    TOO_MANY = "too_many"
    SHORT = "short"
    """A frame with fewer than eight bytes."""


class TpMessage(NamedTuple):
    """A whole message. ``at_s``: when its last packet came."""

    at_s: float
    pgn: int
    source: int
    destination: int
    data: bytes
    estimated: bool = False


@dataclass(slots=True)
class _Open:
    pgn: int
    size: int
    packets: int
    last_s: float
    got: dict[int, bytes] = field(default_factory=dict)


class TpReceiver:
    """Puts messages together. ``faults``: what went wrong, counted; ``done``: how many were whole."""

    def __init__(self, *, most_open: int = MOST_OPEN) -> None:
        self.faults: Counter[TpFault] = Counter()
        self.done = 0
        self._most_open = most_open
        self._open: dict[tuple[int, int], _Open] = {}

    @property
    def open(self) -> int:
        """How many messages are under way."""
        return len(self._open)

    def hear(self, frame: CanFrame) -> TpMessage | None:
        """A frame of any kind; the message that it makes whole, if it does. Frames of other groups are passed over."""
        if not frame.extended:
            return None
        group = pgn_of(frame.can_id)
        if group == CONTROL:
            self._control(frame)
        elif group == DATA:
            return self._data(frame)
        return None

    def _control(self, frame: CanFrame) -> None:
        data = frame.data
        if len(data) < 8:
            self.faults[TpFault.SHORT] += 1
            return
        kind, source, destination = data[0], source_of(frame.can_id), destination_of(frame.can_id)
        if kind in (_RTS, _BAM):
            self._announced(frame, (source, destination), everyone=kind == _BAM)
        elif kind == _ABORT:
            # either side may give up; the abort names the group, not the direction
            pgn = int.from_bytes(data[5:8], "little")
            for key in ((source, destination), (destination, source)):
                if key in self._open and self._open[key].pgn == pgn:
                    self._give_up(key, TpFault.ABORTED)
        # CTS and the acknowledgement change nothing for one who only listens

    def _announced(self, frame: CanFrame, key: tuple[int, int], *, everyone: bool) -> None:
        size, packets = int.from_bytes(frame.data[1:3], "little"), frame.data[3]
        pgn = int.from_bytes(frame.data[5:8], "little")
        if (
            not LEAST_BYTES <= size <= MOST_BYTES
            or packets != -(-size // PACKET_BYTES)
            or pgn > 0x3FFFF
            or everyone != (key[1] == EVERYONE)
        ):
            self.faults[TpFault.ANNOUNCEMENT] += 1
            return
        self._forget(frame.at_s)
        if key in self._open:
            self._give_up(key, TpFault.REPLACED)
        elif len(self._open) >= self._most_open:
            self._give_up(min(self._open, key=lambda one: self._open[one].last_s), TpFault.TOO_MANY)
        self._open[key] = _Open(pgn, size, packets, frame.at_s)

    def _data(self, frame: CanFrame) -> TpMessage | None:
        key = source_of(frame.can_id), destination_of(frame.can_id)
        found = self._open.get(key)
        if found is None:
            self.faults[TpFault.UNANNOUNCED] += 1
            return None
        if frame.at_s - found.last_s > FORGET_S:
            self._give_up(key, TpFault.TIMED_OUT)
            return None
        if len(frame.data) < 8:
            self.faults[TpFault.SHORT] += 1
            return None
        number, payload = frame.data[0], frame.data[1:8]
        if not 1 <= number <= found.packets:
            self._give_up(key, TpFault.NUMBER)
            return None
        if found.got.setdefault(number, payload) != payload:
            self._give_up(key, TpFault.CONTRADICTION)
            return None
        found.last_s = frame.at_s
        if len(found.got) < found.packets:
            return None
        del self._open[key]
        self.done += 1
        data = b"".join(found.got[n] for n in range(1, found.packets + 1))[: found.size]
        return TpMessage(frame.at_s, found.pgn, *key, data, frame.estimated)

    def _forget(self, now_s: float) -> None:
        for key in [key for key, one in self._open.items() if now_s - one.last_s > FORGET_S]:
            self._give_up(key, TpFault.TIMED_OUT)

    def _give_up(self, key: tuple[int, int], fault: TpFault) -> None:
        del self._open[key]
        self.faults[fault] += 1
