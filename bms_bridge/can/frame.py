"""One CAN frame, and its 29-bit identifier as SAE J1939 reads it.

    priority (3 bits) | reserved, data page (2) | PDU format (8) | PDU specific (8) | source address (8)

Below PDU format 240 the PDU specific is the destination; from there on it belongs to the parameter group's number.
"""

from __future__ import annotations

from typing import Final, NamedTuple

LAST_STANDARD_ID: Final = 0x7FF
LAST_EXTENDED_ID: Final = 0x1FFF_FFFF
MOST_BYTES: Final = 64
"""Of a CAN FD frame."""

EVERYONE: Final = 0xFF
"""The destination of what is sent to all."""

_FIRST_BROADCAST_FORMAT: Final = 240


class CanFrame(NamedTuple):
    """What was on the bus. ``at_s``: seconds of the log's clock, or of ours that never jumps. ``estimated``: that
    time was repaired."""

    at_s: float
    can_id: int
    extended: bool
    data: bytes
    estimated: bool = False


def pgn_of(can_id: int) -> int:
    """The parameter group's number of a 29-bit identifier."""
    group = can_id >> 8 & 0x3FFFF
    return group if group >> 8 & 0xFF >= _FIRST_BROADCAST_FORMAT else group & 0x3FF00


def source_of(can_id: int) -> int:
    """Who sent it."""
    return can_id & 0xFF


def destination_of(can_id: int) -> int:
    """Whom it is for; :data:`EVERYONE` where its group is for all."""
    return can_id >> 8 & 0xFF if can_id >> 16 & 0xFF < _FIRST_BROADCAST_FORMAT else EVERYONE


def id_of(pgn: int, *, source: int, destination: int = EVERYONE, priority: int = 6) -> int:
    """The identifier of a parameter group; ``destination`` counts only where the group has one."""
    specific = destination << 8 if pgn >> 8 & 0xFF < _FIRST_BROADCAST_FORMAT else 0
    return priority << 26 | pgn << 8 | specific | source
