"""The compact form of telemetry: many readings of one pack in one message that stands for itself (docs/telemetry.md).

    Block ──encode()──▶ bytes ──decode()──▶ Block ──readings()──▶ (sequence, Reading) …

Every value is a whole number of steps; the first row says them all, the rows after it only what changed, signal by signal.
A damaged message is noticed by its checksum and costs itself alone. :func:`decode` raises nothing but
:class:`~bms_bridge.edge.WireError`, whatever it is given, and makes no more than :data:`MOST_VALUES` values.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from bms_bridge.edge import WireError

MARK: Final = 0xC1
"""The first byte; no JSON text and no UTF-8 begins with it."""

VERSION: Final = 2
MOST_BYTES: Final = 16_384
MOST_ROWS: Final = 1_024
MOST_VALUES: Final = 65_536
MOST_ALARMS: Final = 32
MOST_TEXT: Final = 48
MOST_BOOT: Final = 2**32 - 1
MOST_SEQUENCE: Final = 2**31 - 1
MOST_MS: Final = 253_402_300_799_999
"""The end of the year 9999."""

MOST_STEP: Final = 1_000_000
MOST_TICK_MS: Final = 60_000
MOST_INDEX: Final = 2**47

_HISTORY = 1
_CRC_BYTES = 4
_ALARM = re.compile(r"[a-z][a-z0-9_]{0,47}")
_TEXT = re.compile(rf"[ -~]{{0,{MOST_TEXT}}}")


@dataclass(frozen=True, slots=True)
class Group:
    """Signals of one kind. A value is ``index × step / 10^decimals``. ``most``: signals at most; 1: a single one."""

    id: int
    name: str
    decimals: int
    most: int = 1

    @property
    def unit(self) -> float:
        """The least step."""
        return float(10.0**-self.decimals)


GROUPS: Final = (
    Group(1, "temperatures_c", 2, 64),
    Group(2, "cells_v", 4, 1024),
    Group(3, "soc", 4),
    Group(4, "current_a", 2),
    Group(5, "voltage_v", 2),
    Group(6, "cell_min_v", 4),
    Group(7, "cell_max_v", 4),
    Group(8, "insulation_ohm", 0),
    Group(9, "limit_a", 2),
    Group(10, "limit_v", 2),
    Group(11, "soh", 4),
    Group(12, "stop", 0),
    Group(13, "alarms", 0),
    Group(14, "balancing_a", 3, 1024),
)
"""All that can be said. ``stop``: 0 or 1. ``alarms``: a bit for each name in the message's own list, the first one lowest."""

BY_ID: Final = {group.id: group for group in GROUPS}
BY_NAME: Final = {group.name: group for group in GROUPS}
EXACT: Final = frozenset({"stop", "alarms"})
"""Groups that are no measurement: always told as they are."""

Row = tuple[int | None, ...]
"""Indices of all columns of a message; None: no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a unit knows of its pack at one moment; names and units are the contract's. ``at_ms``: Unix milliseconds of the
    unit's clock. None: not known now."""

    at_ms: int
    temperatures_c: tuple[float | None, ...] = ()
    cells_v: tuple[float | None, ...] = ()
    balancing_a: tuple[float | None, ...] = ()
    soc: float | None = None
    current_a: float | None = None
    voltage_v: float | None = None
    cell_min_v: float | None = None
    cell_max_v: float | None = None
    insulation_ohm: float | None = None
    limit_a: float | None = None
    limit_v: float | None = None
    soh: float | None = None
    stop: bool = False
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One group in a message: ``width`` signals, told in whole numbers of ``step`` (in the group's least steps)."""

    group: Group
    width: int
    step: int

    def value(self, index: int | None) -> float | None:
        return None if index is None else float(index * self.step / 10**self.group.decimals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A message. ``history``: it says how things were; ``dropped``: so many readings before or in it were given up for want of
    room. ``ticks``: when each row was, in ``tick_ms`` since ``first_ms``. ``sequences``: the unit's own count, growing."""

    boot: int
    firmware: str = ""
    history: bool = False
    dropped: int = 0
    first_ms: int
    tick_ms: int = 1
    alarms: tuple[str, ...] = ()
    parts: tuple[Part, ...]
    ticks: tuple[int, ...]
    sequences: tuple[int, ...]
    rows: tuple[Row, ...]

    @property
    def columns(self) -> int:
        return sum(part.width for part in self.parts)

    def at_ms(self, row: int) -> int:
        return self.first_ms + self.ticks[row] * self.tick_ms

    def kept(self, which: Sequence[int], *, dropped: int) -> Block:
        """The same with only these rows, in order, and so many more given up."""
        first = self.ticks[which[0]]
        return replace(
            self,
            first_ms=self.first_ms + first * self.tick_ms,
            ticks=tuple(self.ticks[row] - first for row in which),
            sequences=tuple(self.sequences[row] for row in which),
            rows=tuple(self.rows[row] for row in which),
            dropped=self.dropped + dropped,
        )

    def readings(self) -> Iterator[tuple[int, Reading]]:
        """Each row's sequence and reading. What did not change from row to row is the same object."""
        values: dict[str, object] = {}
        before: dict[str, Row] = {}
        for number, row in enumerate(self.rows):
            start = 0
            for part in self.parts:
                name, end = part.group.name, start + part.width
                indices = row[start:end]
                start = end
                if before.get(name) == indices:
                    continue
                before[name] = indices
                values[name] = self._said(part, indices)
            yield self.sequences[number], Reading(at_ms=self.at_ms(number), **values)  # type: ignore[arg-type]  # names are GROUPS'

    def _said(self, part: Part, indices: Row) -> object:
        if part.group.name == "stop":
            return bool(indices[0])
        if part.group.name == "alarms":
            raised = indices[0] or 0
            return tuple(name for bit, name in enumerate(self.alarms) if raised >> bit & 1)
        if part.group.most > 1:
            step, scale = part.step, 10**part.group.decimals
            return tuple(None if index is None else index * step / scale for index in indices)
        return part.value(indices[0])


def is_packed(payload: bytes) -> bool:
    """Whether ``payload`` says that it is of this form."""
    return payload[:1] == bytes((MARK,))


def as_history(data: bytes) -> bytes:
    """A message that waited too long to be news, saying so. ``data`` must be of this form."""
    changed = bytearray(data[:-_CRC_BYTES])
    changed[2] |= _HISTORY
    return bytes(changed) + zlib.crc32(changed).to_bytes(_CRC_BYTES, "little")


# -- writing ---------------------------------------------------------------------------------------------------------


def encode(block: Block) -> bytes:
    """The message. Raises :class:`~bms_bridge.edge.WireError` where a number is beyond what the form can hold."""
    _checked(block)
    out = bytearray((MARK, VERSION, _HISTORY if block.history else 0))
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
    return bytes(out) + zlib.crc32(out).to_bytes(_CRC_BYTES, "little")


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
    if not _TEXT.fullmatch(block.firmware):
        raise WireError(f"firmware must be at most {MOST_TEXT} printable ASCII characters")
    if len(block.alarms) > MOST_ALARMS or any(not _ALARM.fullmatch(name) for name in block.alarms):
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


# -- reading ---------------------------------------------------------------------------------------------------------


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
    if len(payload) <= _CRC_BYTES + 3 or payload[0] != MARK:
        raise WireError(f"not a packed message: it begins with {MARK:#04x} and ends with a checksum")
    if payload[1] != VERSION:
        raise WireError(f"version {payload[1]} of the packed form is not known; send {VERSION}")
    body = payload[:-_CRC_BYTES]
    if zlib.crc32(body) != int.from_bytes(payload[-_CRC_BYTES:], "little"):
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
    if flags & ~_HISTORY:
        raise WireError(f"flags {flags:#04x} are not known")
    boot = data.number(MOST_BOOT, "boot")
    sequence = data.number(MOST_SEQUENCE, "sequence")
    dropped = data.number(MOST_SEQUENCE, "dropped")
    first_ms = data.number(MOST_MS, "time")
    tick_ms = data.number(MOST_TICK_MS, "tick", least=1)
    count = data.number(MOST_ROWS, "the number of rows", least=1)
    firmware = data.text("firmware", _TEXT)
    alarms = tuple(data.text("an alarm", _ALARM) for _ in range(data.number(MOST_ALARMS, "the number of alarms")))
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
        history=bool(flags & _HISTORY),
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
