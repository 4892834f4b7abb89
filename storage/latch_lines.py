"""An append-only file of records that must outlive everything: one record a line, on the disk before the call returns.

    3f2a91c7 {"schema":"pack_latch/1", …}
    └ CRC-32 of the rest of the line

    LatchLines.open(path) ──▶ .whole (lines with their records, None where damaged), .torn (cut short at the very end)

A line that was cut short at the end (power lost while it was written) was never confirmed, and is cut off when the file is
opened; what it may have said is the owner's to judge.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PERSONAL = 0o600


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it stands in the file, its number from 1, and its record; None: not exactly as it was written."""

    number: int
    raw: bytes
    body: bytes | None


@dataclass(slots=True)
class LatchLines:
    """The file, open for appending. One process owns it. ``append`` raises OSError when the disk does."""

    path: Path
    whole: tuple[Line, ...] = ()
    torn: bytes = b""
    _fd: int = -1

    @classmethod
    def open(cls, path: Path) -> LatchLines:
        """Read all there is, make the file where there is none. Raises OSError for a file that can't be read or made."""
        lines = cls(path)
        lines._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _PERSONAL)
        try:
            os.fsync(lines._fd)
            folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)  # else a new file's name may be lost with the power
            finally:
                os.close(folder)
            lines._read(path.read_bytes())
        except BaseException:
            lines.close()
            raise
        return lines

    def close(self) -> None:
        """Nothing can be written any more."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def append(self, body: bytes) -> None:
        """Returns once it is on the disk."""
        self.append_all([body])

    def append_all(self, bodies: Sequence[bytes]) -> list[bytes]:
        """Several at once, all or none. Returns the lines as they stand in the file, once they are on the disk."""
        lines = [b"%08x %s\n" % (zlib.crc32(body), body) for body in bodies]
        line = b"".join(lines)
        end = os.fstat(self._fd).st_size
        try:
            written = os.write(self._fd, line)
            if written != len(line):
                raise OSError(f"{self.path}: only {written} of {len(line)} bytes could be written")
            os.fsync(self._fd)
        except OSError:
            # half a line must not stand before the next one
            os.ftruncate(self._fd, end)
            raise
        return lines

    def _read(self, data: bytes) -> None:
        whole, newline, self.torn = data.rpartition(b"\n")
        if newline:
            self.whole = tuple(Line(number, raw, body_of(raw)) for number, raw in enumerate(whole.split(b"\n"), 1))
        if self.torn:
            os.ftruncate(self._fd, len(whole) + len(newline))
            os.fsync(self._fd)


def body_of(line: bytes) -> bytes | None:
    """The record of a line; None where it is not exactly as it was written."""
    if line[8:9] != b" " or line[:8] != b"%08x" % zlib.crc32(line[9:]):
        return None
    return line[9:]
