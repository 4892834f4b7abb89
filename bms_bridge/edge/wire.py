"""The compact form of telemetry: many readings of one pack in one message that stands for itself (docs/telemetry.md).

    Block ──encode()──▶ bytes ──decode()──▶ Block ──readings()──▶ (sequence, Reading) …

Every value is a whole number of steps; the first row says them all, the rows after it only what changed, signal by signal.
A damaged message is noticed by its checksum and costs itself alone. :func:`decode` raises nothing but
:class:`~bms_bridge.edge.WireError`, whatever it is given, and makes no more than :data:`MOST_VALUES` values.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import pairwise

from bms_bridge.edge import WireError
from bms_bridge.edge.block import (
    ALARM,
    BY_ID,
    BY_NAME,
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
    MOST_TEXT,
    MOST_TICK_MS,
    MOST_VALUES,
    TEXT,
    VERSION,
    Block,
    Group,
    Part,
    Reading,
    Row,
)
from bms_bridge.edge.unpacking import decode

__all__ = [
    "BY_ID",
    "BY_NAME",
    "EXACT",
    "GROUPS",
    "MARK",
    "MOST_ALARMS",
    "MOST_BOOT",
    "MOST_BYTES",
    "MOST_INDEX",
    "MOST_MS",
    "MOST_ROWS",
    "MOST_SEQUENCE",
    "MOST_STEP",
    "MOST_TEXT",
    "MOST_TICK_MS",
    "MOST_VALUES",
    "VERSION",
    "Block",
    "Group",
    "Part",
    "Reading",
    "Row",
    "as_history",
    "decode",
    "encode",
    "is_packed",
]


def is_packed(payload: bytes) -> bool:
    """Whether ``payload`` says that it is of this form."""
    return payload[:1] == bytes((MARK,))


def as_history(data: bytes) -> bytes:
    """A message that waited too long to be news, saying so. ``data`` must be of this form."""
    changed = bytearray(data[:-CRC_BYTES])
    changed[2] |= HISTORY
    return bytes(changed) + zlib.crc32(changed).to_bytes(CRC_BYTES, "little")


def encode(block: Block) -> bytes:
    """The message. Raises :class:`~bms_bridge.edge.WireError` where a number is beyond what the form can hold."""
    _checked(block)
    out = bytearray((MARK, VERSION, HISTORY if block.history else 0))
    for number in (block.boot, block.sequences[0], block.dropped, block.first_ms, block.tick_ms, len(block.rows)):
        _put(out, number)
    _put_text(out, block.firmware)
    _put(out, len(block.alarms))
    for name in block.alarms:
        _put_text(out, name)
    _put(out, len(block.parts))
    for part in block.parts:
        out.append(part.group.id)
        _put(out, part.width)
        _put(out, part.step)
    _put_runs(out, _second_differences(block.ticks))
    _put_runs(out, [later - earlier - 1 for earlier, later in pairwise(block.sequences)])
    _put_first_row(out, block)
    _put_changes(out, block)
    return bytes(out) + zlib.crc32(out).to_bytes(CRC_BYTES, "little")


def _checked(block: Block) -> None:
    count = len(block.rows)
    if not 1 <= count <= MOST_ROWS or count * block.columns > MOST_VALUES:
        raise WireError(f"{count} rows of {block.columns} signals; a message has 1 to {MOST_ROWS} rows and at most {MOST_VALUES} values")
    if len(block.ticks) != count or len(block.sequences) != count or block.ticks[0] != 0:
        raise WireError("each row has a time and a sequence, and the first row's time is first_ms")
    if any(later <= earlier for earlier, later in pairwise(block.sequences)):
        raise WireError("sequences must grow")
    for name, number, most in (
        ("boot", block.boot, MOST_BOOT),
        ("sequence", block.sequences[0], MOST_SEQUENCE),
        ("sequence", block.sequences[-1], MOST_SEQUENCE),
        ("dropped", block.dropped, MOST_SEQUENCE),
        ("time", block.first_ms, MOST_MS),
        ("tick", block.tick_ms - 1, MOST_TICK_MS - 1),
    ):
        if not 0 <= number <= most:
            raise WireError(f"{name} {number} is not in 0 to {most}")
    if any(not 0 <= block.first_ms + tick * block.tick_ms <= MOST_MS for tick in block.ticks):
        raise WireError("a row's time is before 1970 or after the year 9999")
    if not TEXT.fullmatch(block.firmware):
        raise WireError(f"firmware must be at most {MOST_TEXT} printable ASCII characters")
    if len(block.alarms) > MOST_ALARMS or any(not ALARM.fullmatch(name) for name in block.alarms):
        raise WireError(f"at most {MOST_ALARMS} alarms, each of lower-case letters, digits and '_'")
    ids = [part.group.id for part in block.parts]
    if any(later <= earlier for earlier, later in pairwise(ids)):
        raise WireError("groups must come in the order of their numbers, each once")
    for part in block.parts:
        if not 1 <= part.width <= part.group.most or not 1 <= part.step <= (1 if part.group.name in EXACT else MOST_STEP):
            raise WireError(f"{part.group.name}: {part.width} signals in steps of {part.step} cannot be told")
    for row in block.rows:
        if len(row) != block.columns or any(index is not None and not -MOST_INDEX < index < MOST_INDEX for index in row):
            raise WireError("a row has another number of signals, or a value beyond all bounds")


def _second_differences(ticks: Sequence[int]) -> list[int]:
    """How much longer each interval is than the one before."""
    found, interval = [], 0
    for earlier, later in pairwise(ticks):
        found.append(later - earlier - interval)
        interval = later - earlier
    return found


def _put(out: bytearray, number: int) -> None:
    """Seven bits a byte, the lowest first; the highest bit says that more follows."""
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _zigzag(number: int) -> int:
    """0, −1, 1, −2, … as 0, 1, 2, 3, …"""
    return number << 1 if number >= 0 else (-number << 1) - 1


def _put_text(out: bytearray, text: str) -> None:
    out.append(len(text))
    out += text.encode("ascii")


def _put_runs(out: bytearray, numbers: Sequence[int]) -> None:
    """Numbers that mostly are 0: an even token is a run of that many zeros (half of it, plus one), an odd one a number."""
    zeros = 0
    for number in numbers:
        if number == 0:
            zeros += 1
            continue
        if zeros:
            _put(out, (zeros - 1) << 1)
            zeros = 0
        _put(out, _zigzag(number) << 1 | 1)
    if zeros:
        _put(out, (zeros - 1) << 1)


def _put_first_row(out: bytearray, block: Block) -> None:
    """All values: 0 for none, else one more than the difference to the signal before it in its group."""
    row, start = block.rows[0], 0
    for part in block.parts:
        before = 0
        for index in row[start : start + part.width]:
            if index is None:
                out.append(0)
            else:
                _put(out, _zigzag(index - before) + 1)
                before = index
        start += part.width


def _put_changes(out: bytearray, block: Block) -> None:
    """Signal by signal: how many are skipped because nothing changed (plus one), how many changes, the changes; 0 ends."""
    last_told = -1
    rows = block.rows
    for column in range(block.columns):
        tokens, count = bytearray(), 0
        before, value, since = rows[0][column], rows[0][column] or 0, 0
        for number in range(1, len(rows)):
            index = rows[number][column]
            if index == before:
                continue
            gap = number - since - 1
            since, before, count = number, index, count + 1
            if index is None:
                _put(tokens, gap << 3)
                continue
            change, value = index - value, index
            if -3 <= change <= 3 and change:
                _put(tokens, gap << 3 | (change + 5 if change < 0 else change + 4))
            else:
                _put(tokens, gap << 3 | 1)
                _put(tokens, _zigzag(change))
        if count:
            _put(out, column - last_told)
            _put(out, count)
            out += tokens
            last_told = column
    out.append(0)
