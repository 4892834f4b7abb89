"""The shelf: where images and received files rest, as files in one folder of the depot's data.

    images/{sha256}                       whole images, by what is in them
    received/{number}-{n}.bin, .json      what a station sent for transfer ``number``, and what is known of it
    progress/{number}.json                how far a download got
    partial/                              what is still being written

What stands under its name is whole and on the disk: it was written aside, synced, and renamed. No name that somebody
else chose is ever a path. Everything here blocks; callers use a thread.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec
from msgspec import Struct

from controller.files import FilesError

MOST_FILES = 8
"""Files that a station may send for one order: stations try again, and some send in parts."""
_SHA = re.compile(r"^[0-9a-f]{64}$")
_RECEIVED = re.compile(r"^(\d{1,10})-(\d{1,2})\.json$")
_STALE = timedelta(days=2)
"""What is still partial after so long is nobody's."""


class TooLarge(FilesError):
    """More bytes than there may be."""


class ShelfFull(FilesError):
    """The disk has no room, or the order has its files."""


class Received(Struct, frozen=True, kw_only=True):
    """What is known of a file that a station sent. ``name``: as it said, cut; ``remote``: from where."""

    number: int
    file: int
    station_id: str
    size_bytes: int
    sha256: str
    name: str
    at: datetime
    remote: str = ""


class Progress(Struct, frozen=True, kw_only=True):
    """How far a download got: ``sent_bytes`` from the start without a gap known, as the service sent them."""

    sent_bytes: int
    size_bytes: int
    at: datetime


class Writing:
    """A file while it comes. Gone unless it was :meth:`finish`-ed. ``most``: bytes that it may have."""

    def __init__(self, path: Path, most: int) -> None:
        self.path, self.most = path, most
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        self.path.unlink(missing_ok=True)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Raises :class:`TooLarge`, :class:`ShelfFull`."""
        if self.size_bytes + len(data) > self.most:
            raise TooLarge(f"a file has at most {self.most} bytes")
        try:
            if self._file is None:
                self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
            self._file.write(data)
        except OSError as error:
            raise _full(error) from error
        self._hash.update(data)
        self.size_bytes += len(data)

    def finish(self, place: Path) -> None:
        """On the disk, under its name."""
        self.write(b"")
        assert self._file is not None
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self.path.replace(place)
            _sync_folder(place.parent)
        except OSError as error:
            raise _full(error) from error


class Shelf:
    """See the module. ``folder`` is made on first use, for its owner only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images, self.received, self.progress, self.partial = (folder / n for n in ("images", "received", "progress", "partial"))

    def prepare(self) -> None:
        """Make the folders."""
        for folder in (self.images, self.received, self.progress, self.partial):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    # -- images -------------------------------------------------------------------------------------------------

    def writing(self, most: int) -> Writing:
        """A new file, at most ``most`` bytes."""
        self.prepare()
        return Writing(self.partial / secrets.token_hex(12), most)

    def keep_image(self, writing: Writing) -> str:
        """The image is whole: its sha256, under which it stands from now on."""
        writing.finish(self.images / writing.sha256)
        return writing.sha256

    def image(self, sha256: str) -> Path | None:
        """The file of an image; None where there is none."""
        path = self.images / sha256
        return path if _SHA.match(sha256) and path.is_file() else None

    def checksum(self, sha256: str) -> str | None:
        """MD5 of an image, hex: OCPP names what is published by it. It proves nothing; the address is sealed, and the image may be
        signed. None where there is no such image."""
        path = self.image(sha256)
        if path is None:
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()

    def drop_image(self, sha256: str) -> None:
        if _SHA.match(sha256):
            (self.images / sha256).unlink(missing_ok=True)

    # -- what stations send -------------------------------------------------------------------------------------

    def keep_received(self, writing: Writing, *, number: int, station_id: str, name: str, at: datetime, remote: str) -> Received:
        """A station's file is whole. The same bytes again are the same file. Raises :class:`ShelfFull`."""
        known = self.files_of(number)
        twin = next((r for r in known if r.sha256 == writing.sha256 and r.size_bytes == writing.size_bytes), None)
        if twin is not None:
            return twin
        if len(known) >= MOST_FILES:
            raise ShelfFull(f"this order has {MOST_FILES} files already")
        taken = {r.file for r in known}
        file = next(n for n in range(1, MOST_FILES + 1) if n not in taken)
        found = Received(
            number=number, file=file, station_id=station_id, size_bytes=writing.size_bytes, sha256=writing.sha256,
            name=shown_name(name), at=at, remote=remote,
        )  # fmt: skip
        writing.finish(self.received / f"{number}-{file}.bin")
        self._note(self.received / f"{number}-{file}.json", msgspec.json.encode(found))  # last: now it is there
        return found

    def files_of(self, number: int) -> Sequence[Received]:
        return [r for r in self.all_received() if r.number == number]

    def all_received(self) -> Iterator[Received]:
        """What stations have sent and is still kept."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.received) as entries:
            for entry in entries:
                if _RECEIVED.match(entry.name):
                    with contextlib.suppress(OSError, msgspec.MsgspecError):
                        yield msgspec.json.decode(Path(entry.path).read_bytes(), type=Received)

    def received_file(self, number: int, file: int) -> Path | None:
        path = self.received / f"{int(number)}-{int(file)}.bin"
        return path if path.is_file() else None

    def prune(self, now: datetime, *, kept_for: timedelta, most_bytes: int) -> int:
        """Drop what is too old, then the oldest until the rest fits; what nobody finished; how many files went."""
        kept = sorted(self.all_received(), key=lambda r: r.at)
        total = sum(r.size_bytes for r in kept)
        gone = 0
        for r in kept:
            if now - r.at <= kept_for and total <= most_bytes:
                break
            for end in ("json", "bin"):
                (self.received / f"{r.number}-{r.file}.{end}").unlink(missing_ok=True)
            total -= r.size_bytes
            gone += 1
        for folder, life in ((self.partial, _STALE), (self.progress, kept_for)):
            with contextlib.suppress(FileNotFoundError):
                for path in folder.iterdir():
                    with contextlib.suppress(OSError):
                        if now.timestamp() - path.stat().st_mtime > life.total_seconds():
                            path.unlink(missing_ok=True)
        return gone

    # -- downloads ----------------------------------------------------------------------------------------------

    def note_progress(self, number: int, progress: Progress) -> None:
        self._note(self.progress / f"{int(number)}.json", msgspec.json.encode(progress))

    def all_progress(self) -> dict[int, Progress]:
        found: dict[int, Progress] = {}
        with contextlib.suppress(FileNotFoundError):
            for path in self.progress.iterdir():
                if path.suffix == ".json" and path.stem.isdecimal():
                    with contextlib.suppress(OSError, msgspec.MsgspecError):
                        found[int(path.stem)] = msgspec.json.decode(path.read_bytes(), type=Progress)
        return found

    def stamp(self) -> tuple[int, ...]:
        """Changes whenever a file came, went, or got further: so that nobody reads all of them every second."""
        return tuple(folder.stat().st_mtime_ns if folder.exists() else 0 for folder in (self.received, self.progress))

    def _note(self, path: Path, data: bytes) -> None:
        aside = self.partial / f"{path.name}.{secrets.token_hex(4)}"
        try:
            aside.write_bytes(data)
            aside.replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise _full(error) from error


def shown_name(name: str) -> str:
    """A name that somebody else chose, for people: its last part, printable, at most 80 characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[-80:].strip()


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _full(error: OSError) -> FilesError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ShelfFull("the disk has no room for it")
    return FilesError(f"the file could not be kept: {error.strerror}")
