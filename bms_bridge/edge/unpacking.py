"""Bytes of a packed message, from whoever sent them, to a :class:`~bms_bridge.edge.block.Block`.

:func:`decode` raises nothing but :class:`~bms_bridge.edge.WireError`, whatever it is given, and makes no more than ``MOST_VALUES`` values.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

from bms_bridge.edge import WireError
from bms_bridge.edge.block import (
    ALARM,
    BY_ID,
    CRC_BYTES,
    EXACT,
    GROUPS,
    HISTORY,
    MARK,
    MOST_ALARMS,
    MOST_BOOT,
    MOST_BYTES,
    MOST_INDEX,
    MOST_MS,
    MOST_ROWS,
    MOST_SEQUENCE,
    MOST_STEP,
    MOST_TICK_MS,
    MOST_VALUES,
    TEXT,
    VERSION,
    Block,
    Part,
    Row,
)


class _Bytes:
    """Reads what others wrote. Running out of bytes is an IndexError, which :func:`decode` names."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        found = self.data[self.at]
        self.at += 1
        return found

    def number(self, most: int, what: str, *, least: int = 0) -> int:
        found = self.data[self.at]
        self.at += 1
        if found > 0x7F:
            found &= 0x7F
            for shift in range(7, 64, 7):
                more = self.data[self.at]
                self.at += 1
                found |= (more & 0x7F) << shift
                if more < 0x80:
                    break
            else:
                raise WireError(f"{what}: a number of more than ten bytes")
        if not least <= found <= most:
            raise WireError(f"{what} is {found}; it can be {least} to {most}")
        return found

    def signed(self, what: str) -> int:
        found = self.number(4 * MOST_INDEX, what)
        return found >> 1 if found & 1 == 0 else -(found + 1 >> 1)

    def text(self, what: str, allowed: re.Pattern[str]) -> str:
        length = self.byte()
        raw = self.data[self.at : self.at + length]
        self.at += length
        found = raw.decode("ascii", "replace")
        if len(raw) != length or not allowed.fullmatch(found):
            raise WireError(f"{what} is not a text that can be")
        return found

    def runs(self, count: int, what: str) -> list[int]:
        """``count`` numbers that mostly are 0."""
        found: list[int] = []
        while len(found) < count:
            token = self.number(8 * MOST_INDEX + 1, what)
            if token & 1:
                token >>= 1
                found.append(token >> 1 if token & 1 == 0 else -(token + 1 >> 1))
                continue
            zeros = (token >> 1) + 1
            if len(found) + zeros > count:
                raise WireError(f"{what}: more of them than rows")
            found += [0] * zeros
        return found

    @property
    def left(self) -> int:
        return len(self.data) - self.at


def decode(payload: bytes) -> Block:
    """The message in ``payload``. Raises :class:`~bms_bridge.edge.WireError`."""
    if len(payload) > MOST_BYTES:
        raise WireError(f"{len(payload)} bytes; a message has at most {MOST_BYTES}")
    if len(payload) <= CRC_BYTES + 3 or payload[0] != MARK:
        raise WireError(f"not a packed message: it begins with {MARK:#04x} and ends with a checksum")
    if payload[1] != VERSION:
        raise WireError(f"version {payload[1]} of the packed form is not known; send {VERSION}")
    body = payload[:-CRC_BYTES]
    if zlib.crc32(body) != int.from_bytes(payload[-CRC_BYTES:], "little"):
        raise WireError("the checksum does not fit: the message was damaged or cut short")
    data = _Bytes(body)
    try:
        block = _read(data)
    except IndexError:
        raise WireError("the message ends in the middle") from None
    if data.left:
        raise WireError(f"{data.left} bytes follow the end of the message")
    return block


def _read(data: _Bytes) -> Block:
    data.byte()
    data.byte()
    flags = data.byte()
    if flags & ~HISTORY:
        raise WireError(f"flags {flags:#04x} are not known")
    boot = data.number(MOST_BOOT, "boot")
    sequence = data.number(MOST_SEQUENCE, "sequence")
    dropped = data.number(MOST_SEQUENCE, "dropped")
    first_ms = data.number(MOST_MS, "time")
    tick_ms = data.number(MOST_TICK_MS, "tick", least=1)
    count = data.number(MOST_ROWS, "the number of rows", least=1)
    firmware = data.text("firmware", TEXT)
    alarms = tuple(data.text("an alarm", ALARM) for _ in range(data.number(MOST_ALARMS, "the number of alarms")))
    if len(set(alarms)) != len(alarms):
        raise WireError("an alarm is named twice")
    parts = _read_parts(data)
    columns = sum(part.width for part in parts)
    if count * columns > MOST_VALUES:
        raise WireError(f"{count} rows of {columns} signals; at most {MOST_VALUES} values")
    ticks = _read_ticks(data, count, first_ms, tick_ms)
    sequences = [sequence]
    for skipped in data.runs(count - 1, "sequences"):
        if skipped < 0:
            raise WireError("sequences must grow")
        sequences.append(sequences[-1] + 1 + skipped)
    if sequences[-1] > MOST_SEQUENCE:
        raise WireError(f"sequence {sequences[-1]} is beyond {MOST_SEQUENCE}")
    rows = _read_rows(data, parts, columns, count)
    return Block(
        boot=boot,
        firmware=firmware,
        history=bool(flags & HISTORY),
        dropped=dropped,
        first_ms=first_ms,
        tick_ms=tick_ms,
        alarms=alarms,
        parts=parts,
        ticks=tuple(ticks),
        sequences=tuple(sequences),
        rows=rows,
    )


def _read_parts(data: _Bytes) -> tuple[Part, ...]:
    parts: list[Part] = []
    for _ in range(data.number(len(GROUPS), "the number of groups")):
        number = data.byte()
        group = BY_ID.get(number)
        if group is None or (parts and number <= parts[-1].group.id):
            raise WireError(f"group {number} is not known, or not in order")
        width = data.number(group.most, f"the number of {group.name}", least=1)
        step = data.number(1 if group.name in EXACT else MOST_STEP, f"the step of {group.name}", least=1)
        parts.append(Part(group, width, step))
    return tuple(parts)


def _read_ticks(data: _Bytes, count: int, first_ms: int, tick_ms: int) -> list[int]:
    ticks, interval = [0], 0
    for change in data.runs(count - 1, "times"):
        interval += change
        ticks.append(ticks[-1] + interval)
        if not 0 <= first_ms + ticks[-1] * tick_ms <= MOST_MS:
            raise WireError("a row's time is before 1970 or after the year 9999")
    return ticks


def _read_rows(data: _Bytes, parts: Sequence[Part], columns: int, count: int) -> tuple[Row, ...]:
    first = _read_first_row(data, parts)
    changes: dict[int, list[tuple[int, int | None]]] = {}
    column = -1
    while skipped := data.number(columns, "signals"):
        column += skipped
        if column >= columns:
            raise WireError("a change of a signal that the message does not have")
        _read_changes(data, column, first[column] or 0, count, changes)
    rows: list[Row] = [tuple(first)]
    now = first
    for number in range(1, count):
        changed = changes.get(number)
        if changed is None:
            rows.append(rows[-1])
            continue
        for where, index in changed:
            now[where] = index
        rows.append(tuple(now))
    return tuple(rows)


def _read_first_row(data: _Bytes, parts: Sequence[Part]) -> list[int | None]:
    """The values of all signals. Most of a message's numbers are here, and most have one byte: read without a call."""
    first: list[int | None] = []
    raw, at = data.data, data.at
    for part in parts:
        before = 0
        for _ in range(part.width):
            token = raw[at]
            if token > 0x7F:
                data.at = at
                token = data.number(4 * MOST_INDEX, part.group.name)
                at = data.at
            else:
                at += 1
            if token == 0:
                first.append(None)
                continue
            before += (token - 1) >> 1 if token & 1 else -(token >> 1)
            if not -MOST_INDEX < before < MOST_INDEX:
                raise WireError("a value beyond all bounds")
            first.append(before)
    data.at = at
    return first


def _read_changes(data: _Bytes, column: int, value: int, count: int, changes: dict[int, list[tuple[int, int | None]]]) -> None:
    row = 0
    for _ in range(data.number(count - 1, "the number of changes", least=1)):
        token = data.number(MOST_ROWS << 3 | 7, "a change")
        row += (token >> 3) + 1
        if row >= count:
            raise WireError("a change after the last row")
        code = token & 7
        index: int | None
        if code == 0:
            index = None
        else:
            value = _bounded(value + (data.signed("a change") if code == 1 else code - 5 if code < 5 else code - 4))
            index = value
        changes.setdefault(row, []).append((column, index))


def _bounded(index: int) -> int:
    if not -MOST_INDEX < index < MOST_INDEX:
        raise WireError("a value beyond all bounds")
    return index
