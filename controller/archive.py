"""A backup as one file: a plain tar whose first member says what the others must be.

    manifest.json   {"schema": "chargeyard-backup/1", depot, versions, journal's end, members: [{name, size, sha256}]}
    journal.db …    exactly the manifest's members, in its order, nothing else

Written with GNU tar's plainest header, so that every tar opens it. Read by our own strict reader, for an archive may come
from anywhere: a name is compared with what may stand there and never used as a path; links, folders, sparse files and
extended headers are refused; nothing is unpacked before the manifest's sizes were found to be the file's.

    BackupError            it can't be done as asked; the message says what to do (exit code 2)
    └── BackupDamaged      the archive is not what was written (exit code 1)
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, Literal

import msgspec

from storage.copying import flush

SCHEMA: Final = "chargeyard-backup/1"
MANIFEST: Final = "manifest.json"
MAX_MANIFEST: Final = 64 * 1024
_BLOCK: Final = tarfile.BLOCKSIZE
_END: Final = 2 * _BLOCK
_PIECE: Final = 1024 * 1024

Progress = Callable[[int, int], None]
"""(bytes done, bytes in all)"""


class BackupError(Exception):
    """Root of this module's errors."""


class BackupDamaged(BackupError):
    """The archive is not what was written."""


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``journal_seq``, ``next_transaction_id``: the end of the journal that is in it."""

    schema: Literal["chargeyard-backup/1"]
    depot_id: str
    made_at: datetime
    software: str
    sqlite: str
    journal_seq: int
    next_transaction_id: int
    members: tuple[Member, ...]

    @property
    def size(self) -> int:
        """Bytes of all members."""
        return sum(member.size for member in self.members)


class _Form(msgspec.Struct):
    schema: str = ""


_decoder = msgspec.json.Decoder(Manifest)


def described(files: Mapping[str, Path]) -> tuple[Member, ...]:
    """Size and hash of each file, in order."""
    found = []
    for name, path in files.items():
        with path.open("rb") as file:
            found.append(Member(name, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()))
    return tuple(found)


def write_archive(target: Path, manifest: Manifest, files: Mapping[str, Path], *, progress: Progress | None = None) -> None:
    """Write the archive, whole or not at all; only its owner may read it. Raises OSError."""
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
            text = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
            out.write(_header(MANIFEST, len(text), manifest.made_at))
            out.write(text + bytes(-len(text) % _BLOCK))
            done = 0
            for member in manifest.members:
                out.write(_header(member.name, member.size, manifest.made_at))
                with files[member.name].open("rb") as file:
                    while piece := file.read(_PIECE):
                        out.write(piece)
                        done += len(piece)
                        if progress is not None:
                            progress(done, manifest.size)
                out.write(bytes(-member.size % _BLOCK))
            out.write(bytes(_END))
            out.flush()
            os.fsync(out.fileno())
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
    flush(target.parent)


def _header(name: str, size: int, made_at: datetime) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, int(made_at.timestamp())
    return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


class Archive:
    """An archive that is open for reading. ``known``: the names that may stand in it."""

    def __init__(self, file: BinaryIO, path: Path, known: Collection[str]) -> None:
        self._file, self._path = file, path
        self.manifest = self._read_manifest(known)
        self._start = file.tell()

    @classmethod
    @contextmanager
    def open(cls, path: Path, known: Collection[str]) -> Iterator[Archive]:
        """Raises :class:`BackupDamaged`, OSError."""
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BackupError(f"{path} is no file: name the archive that `./chargeyard backup` wrote")
            yield cls(file, path, known)

    def extract(self, folder: Path, *, progress: Progress | None = None) -> None:
        """Write every member to ``folder`` under its own name, checked. Raises :class:`BackupDamaged`, OSError."""
        for member, pieces in self._members():
            with os.fdopen(os.open(folder / member.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
                for piece in self._reported(pieces, progress):
                    out.write(piece)
                out.flush()
                os.fsync(out.fileno())
        flush(folder)

    def verify(self, *, progress: Progress | None = None) -> None:
        """Read everything and compare. Raises :class:`BackupDamaged`, OSError."""
        for _, pieces in self._members():
            for _ in self._reported(pieces, progress):
                pass

    def _reported(self, pieces: Iterator[bytes], progress: Progress | None) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            if progress is not None:
                progress(min(self._file.tell(), self.manifest.size), self.manifest.size)

    def _members(self) -> Iterator[tuple[Member, Iterator[bytes]]]:
        self._file.seek(self._start)
        for member in self.manifest.members:
            self._expect_header(member.name, member.size)
            yield member, self._pieces(member)
            self._file.seek(-member.size % _BLOCK, os.SEEK_CUR)

    def _pieces(self, member: Member) -> Iterator[bytes]:
        digest, left = hashlib.sha256(), member.size
        while left:
            piece = self._file.read(min(left, _PIECE))
            if not piece:
                raise self._damaged(f"{member.name} is cut short")
            digest.update(piece)
            left -= len(piece)
            yield piece
        if digest.hexdigest() != member.sha256:
            raise self._damaged(f"{member.name} was changed after it was written")

    def _read_manifest(self, known: Collection[str]) -> Manifest:
        size = self._expect_header(MANIFEST, None)
        if not 0 < size <= MAX_MANIFEST:
            raise self._damaged(f"its manifest has {size} bytes")
        text = self._file.read(size)
        self._file.seek(-size % _BLOCK, os.SEEK_CUR)
        try:
            form = msgspec.json.decode(text, type=_Form).schema
            if form.startswith("chargeyard-backup/") and form != SCHEMA:
                raise BackupError(f"{self._path} is a {form}, this version reads {SCHEMA}: restore it with the version that wrote it")
            manifest = _decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise self._damaged(f"its manifest makes no sense: {error}") from None
        self._check(manifest, known)
        return manifest

    def _check(self, manifest: Manifest, known: Collection[str]) -> None:
        names = [member.name for member in manifest.members]
        foreign = sorted(set(names) - set(known))
        if foreign or len(set(names)) != len(names):
            raise self._damaged(f"a backup has no member {foreign[0]!r:.60}" if foreign else "a member is in it twice")
        if any(member.size < 0 for member in manifest.members):
            raise self._damaged("a member has a negative size")
        if manifest.made_at.tzinfo is None or manifest.next_transaction_id < 1 or manifest.journal_seq < 0:
            raise self._damaged("its manifest has values that can't be")
        here = self._file.tell()
        wanted = here + sum(_BLOCK + member.size + -member.size % _BLOCK for member in manifest.members) + _END
        found = os.fstat(self._file.fileno()).st_size
        if found < wanted:
            raise self._damaged(f"it has {found} bytes and should have {wanted}: the copy was cut short")

    def _expect_header(self, name: str, size: int | None) -> int:
        """The next header must be that of the plain file ``name``. Returns its size."""
        block = self._file.read(_BLOCK)
        try:
            info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.HeaderError, ValueError) as error:
            raise self._damaged(f"where {name} should begin there is no tar header ({error})") from None
        if info.name != name or info.type != tarfile.REGTYPE or info.linkname:
            raise self._damaged(f"where the file {name} should begin there is {info.name!r:.60} (type {info.type!r})")
        if size is not None and info.size != size:
            raise self._damaged(f"{name} has {info.size} bytes and not {size}")
        return int(info.size)

    def _damaged(self, what: str) -> BackupDamaged:
        return BackupDamaged(f"{self._path} is no sound backup: {what}. Nothing was changed; use another backup")
