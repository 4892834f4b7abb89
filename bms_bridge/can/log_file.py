"""Log files as frames: candump, ASC, BLF, CSV, TRC of python-can's readers, also compressed (.gz); MF4 where asammdf is installed.

    file --python-can's reader--> TimeRepair --> CanFrame …, and what could not be read, in ``problems``

A line of a candump log that is none is passed over with its number (a last line is often cut short); a binary log that ends in
the middle gives what came before. The two ways in which candump writes a frame are both read. Remote and error frames carry no
values: they are counted.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TextIO, cast

from bms_bridge.can import UnreadableLog
from bms_bridge.can.frame import MOST_BYTES, CanFrame
from bms_bridge.can.times import TimeRepair, TimeReport

if TYPE_CHECKING:
    from can import Message

MOST_LINE: Final = 4096
KEPT_LINES: Final = 5
_KINDS: Final = (".log", ".asc", ".blf", ".csv", ".trc", ".mf4")
_EXTENDED_DIGITS = 4

_SHORT = re.compile(r"\(\d+(\.\d+)?\)\s+\S+\s+[0-9A-Fa-f]{3,8}#(#[0-9A-Fa-f])?(R\d?|([0-9A-Fa-f]{2}){0,64})(\s+[RT])?")
"""As ``candump -L`` and ``-l`` write: (1703560127.487397) can0 1826F456#010100"""

_LONG = re.compile(
    r"\((?P<at>\d+(\.\d+)?)\)\s+(?P<bus>\S+)\s+(?P<id>[0-9A-Fa-f]{3,8})\s+\[\d+\](?P<data>(\s+[0-9A-Fa-f]{2}){0,64})(\s+'.*)?"
)
"""As ``candump -t a`` writes: (1703560127.487397)  can0  1826F456   [3]  01 01 00"""


@dataclass(slots=True)
class LogFile:
    """One log. Iterate once; then ``problems`` and ``times`` say what was wrong. ``cycles_s``: see :class:`TimeRepair`."""

    path: Path
    cycles_s: Mapping[int, float] = field(default_factory=dict)
    frames: int = 0
    other_frames: int = 0
    skipped: int = 0
    problems: list[str] = field(default_factory=list)
    times: TimeReport = field(default_factory=TimeReport)
    read_bytes: int = 0

    @property
    def size(self) -> int:
        """Bytes of the file as it lies there; 0 where it cannot be said."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def measured(self) -> bool:
        """Whether ``read_bytes`` says how far reading got."""
        return self.path.suffix.lower() == ".log"

    def __iter__(self) -> Iterator[CanFrame]:
        """Raises :class:`~bms_bridge.can.UnreadableLog` where nothing at all can be read."""
        repair = TimeRepair(self.cycles_s, self.times)
        for message in self._messages():
            frame = _frame_of(message)
            if frame is None:
                self.other_frames += 1
                continue
            self.frames += 1
            yield from repair.feed(frame)
        yield from repair.flush()
        if self.skipped:
            self.problems.append(f"lines passed over, as they are no frames: {self.skipped}")
        if not self.frames:
            why = "; ".join(self.problems) or "there is no frame in it"
            raise UnreadableLog(f"{self.path}: {why}")

    def _messages(self) -> Iterator[Message]:
        reader = self._reader()
        said = getattr(reader, "file_size", 0) if self.path.suffix.lower() == ".blf" else 0
        if isinstance(said, int) and said > self.size:  # its reader ends without a word where the bytes do
            self.problems.append(f"it is cut short: {self.size} of the {said} bytes that it says it has")
        messages = iter(reader)
        try:
            while True:
                try:
                    yield next(messages)
                except StopIteration:
                    return
                except Exception as error:  # noqa: BLE001  # a damaged file makes a reader raise anything
                    self.problems.append(f"it cannot be read further than frame {self.frames + self.other_frames} ({_words(error)})")
                    return
        finally:
            reader.stop()

    def _reader(self) -> Any:
        suffixes = [suffix.lower() for suffix in self.path.suffixes]
        kind = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else suffixes[-1] if suffixes else ""
        if kind not in _KINDS:
            raise UnreadableLog(f"{self.path}: a log ends in {', '.join(_KINDS)} or such a one in .gz; rename it if it is one of these")
        if not self.path.is_file():
            raise UnreadableLog(f"{self.path}: there is no such file")
        file = self._opened()
        try:
            return self._reader_of(kind, file)
        except NotImplementedError:
            file.close()
            raise UnreadableLog(
                f"{self.path}: MF4 is read with the library asammdf, which is large and not part of this installation; convert the "
                "log to BLF or ASC, or install asammdf beside Chargeyard"
            ) from None
        except Exception as error:  # noqa: BLE001  # as above
            file.close()
            raise UnreadableLog(f"{self.path}: it is no {kind} log ({_words(error)})") from None

    def _reader_of(self, kind: str, file: BinaryIO) -> Any:
        import can
        from can.io.mf4 import MF4Reader

        if kind == ".log":
            return can.CanutilsLogReader(cast(TextIO, _Lines(self, file)))
        if kind == ".blf":
            return can.BLFReader(file)
        if kind == ".mf4":
            return MF4Reader(file)
        text = io.TextIOWrapper(file, encoding="utf-8", errors="replace")
        if kind == ".asc":
            return can.ASCReader(text, relative_timestamp=False)
        return can.CSVReader(text) if kind == ".csv" else can.TRCReader(text)

    def _opened(self) -> BinaryIO:
        try:
            opened = gzip.open(self.path) if self.path.suffix.lower() == ".gz" else self.path.open("rb")  # noqa: SIM115  # its reader closes it
        except OSError as error:
            raise UnreadableLog(f"{self.path}: {error.strerror or error}") from None
        return cast(BinaryIO, opened)


class _Lines:
    """The lines of a candump log that are frames, each as ``candump -L`` writes it."""

    def __init__(self, log: LogFile, file: BinaryIO) -> None:
        self._log = log
        self._file = file
        self._number = 0

    def __iter__(self) -> Iterator[str]:
        while line := self._file.readline(MOST_LINE):
            self._log.read_bytes += len(line)
            self._number += 1
            text = line.decode("ascii", "replace").strip()
            if _SHORT.fullmatch(text):
                yield text
            elif match := _LONG.fullmatch(text):
                yield f"({match['at']}) {match['bus']} {match['id']}#{''.join(match['data'].split())}"
            elif text:
                self._log.skipped += 1
                if self._log.skipped <= KEPT_LINES:
                    self._log.problems.append(f"line {self._number} is no frame: {text[:40]!r}")

    def close(self) -> None:
        self._file.close()


def _frame_of(message: Message) -> CanFrame | None:
    """None: it carries no values."""
    if message.is_error_frame or message.is_remote_frame or len(message.data) > MOST_BYTES:
        return None
    return CanFrame(message.timestamp, message.arbitration_id, message.is_extended_id, bytes(message.data))


def _words(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:120] or type(error).__name__
