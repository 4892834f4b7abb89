"""Messages that wait for the network, in files: none is lost without saying so, whatever happens to the process.

    put() ─▶ segment files, appended ─▶ waiting(), get() ─▶ sent() once the broker has confirmed it
                 └─ too many bytes ─▶ the oldest are thinned (every other reading); at last given up, and counted in what follows

A record is a length, a checksum and the message. What was confirmed is noted now and then, not each time: after a kill some
messages are sent twice, and the receiver knows them by boot and sequence. A last record that was cut short was never promised.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bms_bridge.edge import StoreError, WireError
from bms_bridge.edge.wire import EXACT, MOST_BOOT, MOST_BYTES, MOST_SEQUENCE, Block, decode, encode

SEGMENT_BYTES: Final = 64 * 1024
LEAST_BYTES: Final = 4 * SEGMENT_BYTES
THINNINGS: Final = 3
"""A segment is halved so often, the oldest first, before it is given up."""

_HEAD: Final = struct.Struct("<II")
_NOTE: Final = struct.Struct("<QIQ")
_NOTE_EVERY = 32
_NOTE_NAME = "note"
_SUFFIX = ".seg"
_STUB = b"\0"
"""Stands for a message that was confirmed before its segment was rewritten."""


@dataclass(slots=True)
class _Segment:
    """A file of messages, those from ``first`` on; ``ends``: where each record ends in it. ``halved``: how often."""

    first: int
    path: Path
    ends: list[int] = field(default_factory=list)
    halved: int = 0

    @property
    def size(self) -> int:
        return self.ends[-1] if self.ends else 0

    @property
    def end(self) -> int:
        """The number after its last message's."""
        return self.first + len(self.ends)


class Store:
    """The messages of one unit in ``folder``: at most ``most_bytes`` of them. For one process at a time.

    ``durable``: a message is on the disk before :meth:`put` returns, and a power cut loses none; else only a kill loses none.
    ``boot``: of this start, greater than all before. ``dropped``: readings given up since the start, ``damaged``: messages that
    could not be read again. Everything raises :class:`~bms_bridge.edge.StoreError` where the folder cannot be used.
    """

    def __init__(self, folder: Path, *, most_bytes: int = 8 * 1024 * 1024, durable: bool = True) -> None:
        if most_bytes < LEAST_BYTES:
            raise StoreError(f"a store needs at least {LEAST_BYTES} bytes")
        self.dropped = 0
        self.damaged = 0
        self._folder = folder
        self._most_bytes = most_bytes
        self._durable = durable
        self._segments: deque[_Segment] = deque()
        self._file: int | None = None
        self._ahead: set[int] = set()
        self._unnoted = 0
        with _told(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._first, boot = self._read_note()
            self.boot = min(MOST_BOOT, max(boot + 1, int(time.time())))
            self._read_segments()
            self._next = max(self._first, self._segments[-1].end if self._segments else 0)
            self._write_note()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        """How many messages wait."""
        return sum(segment.end - max(segment.first, self._first) for segment in self._segments if segment.end > self._first) - len(
            self._ahead
        )

    @property
    def size(self) -> int:
        return sum(segment.size for segment in self._segments)

    def put(self, data: bytes) -> int:
        """Keep a message; its number."""
        if not 0 < len(data) <= MOST_BYTES:
            raise StoreError(f"a message of {len(data)} bytes cannot be kept")
        record = _HEAD.pack(len(data), zlib.crc32(data)) + data
        with _told(self._folder):
            segment = self._segments[-1] if self._file is not None else None
            if segment is None or segment.size + len(record) > SEGMENT_BYTES:
                segment = self._begin()
            assert self._file is not None
            try:
                _write_all(self._file, record)
                if self._durable:
                    os.fdatasync(self._file)
            except OSError:
                with contextlib.suppress(OSError):  # the next start would do the same
                    os.ftruncate(self._file, segment.size)
                raise
            segment.ends.append(segment.size + len(record))
            number, self._next = self._next, self._next + 1
            while self.size > self._most_bytes and len(self._segments) > 1:
                self._make_room()
        return number

    def waiting(self, most: int) -> list[int]:
        """The numbers of the oldest messages that are not confirmed, at most so many."""
        found: list[int] = []
        for segment in self._segments:
            for number in range(max(segment.first, self._first), segment.end):
                if number not in self._ahead:
                    found.append(number)
                    if len(found) == most:
                        return found
        return found

    def get(self, number: int) -> bytes | None:
        """The message; None where it was confirmed, given up, or is damaged (then it is confirmed)."""
        segment = next((s for s in self._segments if s.first <= number < s.end), None)
        if segment is None or number < self._first or number in self._ahead:
            return None
        with _told(self._folder):
            data = _read_record(segment, number - segment.first)
        if data is None or data == _STUB:
            self.damaged += data is None
            self.sent(number)
            return None
        return data

    def sent(self, number: int) -> None:
        """The broker has the message: it is not kept any longer."""
        if number < self._first or number >= self._next or number in self._ahead:
            return
        self._ahead.add(number)
        while self._first in self._ahead:
            self._ahead.discard(self._first)
            self._first += 1
        self._skip_gaps()
        self._unnoted += 1
        with _told(self._folder):
            done = len(self._segments) > 1 and self._segments[0].end <= self._first
            if self._unnoted >= _NOTE_EVERY or done:
                self._write_note()
            while len(self._segments) > 1 and self._segments[0].end <= self._first:
                self._segments.popleft().path.unlink(missing_ok=True)

    def close(self) -> None:
        if self._file is not None:
            with _told(self._folder):
                self._write_note()
                os.close(self._file)
                self._file = None

    # -- files -----------------------------------------------------------------------------------------------------------

    def _read_note(self) -> tuple[int, int]:
        """Up to where all is confirmed, and the boot before; zeros where there is no note that can be read."""
        try:
            raw = (self._folder / _NOTE_NAME).read_bytes()
        except FileNotFoundError:
            return 0, 0
        if len(raw) != _NOTE.size or zlib.crc32(raw[:12]) != _NOTE.unpack(raw)[2]:
            return 0, 0
        first, boot, _ = _NOTE.unpack(raw)
        return first, boot

    def _write_note(self) -> None:
        head = _NOTE.pack(self._first, self.boot, 0)[:12]
        aside = self._folder / f".{_NOTE_NAME}"
        aside.write_bytes(head + zlib.crc32(head).to_bytes(8, "little"))
        aside.replace(self._folder / _NOTE_NAME)
        self._unnoted = 0

    def _read_segments(self) -> None:
        for stray in self._folder.glob(f".*{_SUFFIX}"):  # a thinning that a kill interrupted: the file itself is whole
            stray.unlink()
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            if not path.stem.isdecimal():
                continue
            segment = _Segment(int(path.stem), path)
            data = path.read_bytes()
            at = 0
            while at + _HEAD.size <= len(data):
                length, checksum = _HEAD.unpack_from(data, at)
                start, end = at + _HEAD.size, at + _HEAD.size + length
                if not 0 < length <= MOST_BYTES or end > len(data) or zlib.crc32(data[start:end]) != checksum:
                    break
                segment.ends.append(end)
                at = end
            if at < len(data):
                os.truncate(path, at)
            if segment.end <= self._first or not segment.ends:
                path.unlink()
                continue
            if self._segments and segment.first > self._segments[-1].end:
                self.damaged += segment.first - self._segments[-1].end
            self._segments.append(segment)
        self._skip_gaps()

    def _skip_gaps(self) -> None:
        """Numbers that no segment holds (it was damaged or given up) are waited for by nobody."""
        for segment in self._segments:
            if segment.end > self._first:
                self._first = max(self._first, segment.first)
                break
        self._ahead = {number for number in self._ahead if number >= self._first}

    def _begin(self) -> _Segment:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        path = self._folder / f"{self._next:016d}{_SUFFIX}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if self._durable:
            _sync_folder(self._folder)
        segment = _Segment(self._next, path)
        self._segments.append(segment)
        return segment

    # -- room ------------------------------------------------------------------------------------------------------------

    def _make_room(self) -> None:
        """Halve the readings of the oldest segment that was halved least; where all were often enough, give the oldest up."""
        old = list(self._segments)[:-1]
        segment = min(old, key=lambda s: (s.halved, s.first))
        if segment.halved < THINNINGS:
            self._rewrite(segment, thinned)
            segment.halved += 1
            return
        segment = self._segments.popleft()
        lost = told = 0
        for number in range(max(segment.first, self._first), segment.end):
            data = None if number in self._ahead else _read_record(segment, number - segment.first)
            if data is not None:
                rows, before = _rows_and_dropped(data)
                lost += rows
                told += rows + before
        self.dropped += lost
        self._first = max(self._first, segment.end)
        self._skip_gaps()
        following = self._segments[0]
        if len(self._segments) == 1:
            self._begin()  # what is being written is not rewritten
        to_tell = [told]

        def tell(block: Block) -> Block:
            """The first that waits says what was given up."""
            return replace(block, dropped=min(MOST_SEQUENCE, block.dropped + to_tell.pop())) if to_tell else block

        self._rewrite(following, tell)
        segment.path.unlink(missing_ok=True)
        self._write_note()

    def _rewrite(self, segment: _Segment, change: Callable[[Block], Block]) -> None:
        """Each message of ``segment`` that waits, changed; the file is replaced whole. Confirmed ones leave a stub."""
        records, ends = bytearray(), []
        for index in range(len(segment.ends)):
            number = segment.first + index
            data = _read_record(segment, index)
            if data is None or number < self._first or number in self._ahead:
                data = _STUB
            else:
                with contextlib.suppress(WireError):
                    before = decode(data)
                    after = change(before)
                    self.dropped += len(before.rows) - len(after.rows)
                    data = encode(after)
            records += _HEAD.pack(len(data), zlib.crc32(data)) + data
            ends.append(len(records))
        aside = segment.path.with_name(f".{segment.path.name}")
        with aside.open("wb") as file:
            file.write(records)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(segment.path)
        segment.ends = ends


def thinned(block: Block) -> Block:
    """The half of ``block``'s readings: every other one, and always the last, the hottest, and where an alarm or a demand to stop
    came or went. A message of one reading stays."""
    last = len(block.rows) - 1
    keep = {*range(0, last + 1, 2), last}
    start = 0
    for part in block.parts:
        end = start + part.width
        if part.group.name in EXACT:
            keep |= {n for n in range(1, last + 1) if block.rows[n][start:end] != block.rows[n - 1][start:end]}
        elif part.group.name == "temperatures_c":
            hottest = [max((i for i in row[start:end] if i is not None), default=-1) for row in block.rows]
            keep.add(hottest.index(max(hottest)))
        start = end
    which = sorted(keep)
    return block.kept(which, dropped=last + 1 - len(which))


def _rows_and_dropped(data: bytes) -> tuple[int, int]:
    try:
        block = decode(data)
    except WireError:
        return 0, 0
    return len(block.rows), block.dropped


def _read_record(segment: _Segment, index: int) -> bytes | None:
    """The message at ``index``; None where what is there is not what was written."""
    start, end = segment.ends[index - 1] if index else 0, segment.ends[index]
    with segment.path.open("rb") as file:
        file.seek(start)
        record = file.read(end - start)
    if len(record) != end - start or _HEAD.unpack_from(record) != (len(record) - _HEAD.size, zlib.crc32(record[_HEAD.size :])):
        return None
    return record[_HEAD.size :]


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    """The file system's words as this module's error."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{folder} cannot be used: {error.strerror}") from error
