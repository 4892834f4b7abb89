"""Files of incidents: one folder, one file each, records appended line by line and on the disk before the call returns.

    <depot>-incidents/2026-11-22-1.jsonl       head, signals, facts, steps, notes, people … closed
    closed: SHA-256 over every byte before it; the file is read-only from then on, and its digest is a fact of the journal

Written in a thread by one owner; read by anybody (:func:`read`). A last line that was cut short was never told as written, and goes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from storage.latch_lines import LatchLines, body_of

SCHEMA: Final = "incident/1"
_NAME = re.compile(r"\d{4}-\d{2}-\d{2}-\d{1,4}")
_READ_ONLY = 0o400

Record = Mapping[str, Any]


class IncidentFileError(Exception):
    """A file that is not there, or can't be read. The message says which."""


def file_of(folder: Path, incident_id: str) -> Path:
    """Where an incident's file is. Raises :class:`IncidentFileError` for a number that none can have."""
    if not _NAME.fullmatch(incident_id):
        raise IncidentFileError(f"{incident_id[:40]!r} is no number of an incident; they are as 2026-11-22-1")
    return folder / f"{incident_id}.jsonl"


@dataclass(slots=True)
class IncidentFile:
    """One file, open for appending. Every call may raise OSError; what was to be written is then tried again by the caller."""

    path: Path
    digest: str = ""
    """Of a closed file."""
    count: int = 0
    _lines: LatchLines | None = None
    _hash: Any = field(default_factory=hashlib.sha256)

    @classmethod
    def open(cls, path: Path) -> IncidentFile:
        """Make it, or go on with it."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = cls(path)
        known = read_closed(path)
        if known is not None:
            found.digest, found.count = known
            return found
        found._lines = LatchLines.open(path)
        for line in found._lines.whole:
            found._hash.update(line.raw + b"\n")
            found.count += 1
        return found

    def append(self, records: Sequence[Record]) -> None:
        """All of them, in one go."""
        if not records:
            return
        if self._lines is None:
            raise OSError(f"{self.path} is closed")
        for line in self._lines.append_all([msgspec.json.encode(record) for record in records]):
            self._hash.update(line)
        self.count += len(records)

    def close(self, record: Record) -> str:
        """The last record, with the digest of all before it; nothing is written after it. Returns the digest."""
        if not self.digest:
            if self._lines is None:
                raise OSError(f"{self.path} is closed")
            digest = self._hash.hexdigest()
            self._lines.append(msgspec.json.encode({**record, "kind": "closed", "digest": digest, "lines": self.count}))
            self._lines.close()
            self._lines = None
            self.path.chmod(_READ_ONLY)
            self.digest = digest
        return self.digest

    def release(self) -> None:
        """Let go of the file, as the process ends."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None


def read_closed(path: Path) -> tuple[str, int] | None:
    """Digest and count of lines of a closed file; None where it is open, or is not there."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    last = data.rstrip(b"\n").rpartition(b"\n")[2]
    body = body_of(last)
    record = msgspec.json.decode(body) if body is not None else {}
    return (str(record["digest"]), int(record["lines"])) if isinstance(record, dict) and record.get("kind") == "closed" else None


@dataclass(frozen=True, slots=True)
class Document:
    """A file as it was read. ``damaged``: numbers of lines that are not as they were written. ``sound``: whether the digest of a closed
    file is that of its lines; None: it is open."""

    records: tuple[dict[str, Any], ...]
    damaged: tuple[int, ...]
    digest: str
    sound: bool | None


def read(path: Path) -> Document:
    """All that a file says. Raises :class:`IncidentFileError`."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise IncidentFileError(f"{path.name} is not there: it was dropped by its age, or the folder was replaced") from None
    except OSError as error:
        raise IncidentFileError(f"{path.name} can't be read: {error.strerror}") from error
    records: list[dict[str, Any]] = []
    damaged, told, sha = [], "", hashlib.sha256()
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        body = body_of(line.rstrip(b"\n"))
        try:
            record = msgspec.json.decode(body) if body is not None else None
        except msgspec.DecodeError:
            record = None
        if not isinstance(record, dict):
            damaged.append(number)
        else:
            records.append(record)
            if record.get("kind") == "closed":
                told = str(record.get("digest", ""))
                continue
        sha.update(line)
    return Document(tuple(records), tuple(damaged), told, sha.hexdigest() == told and not damaged if told else None)


def drop_old(folder: Path, now: datetime, keep: timedelta, *, but: Iterable[str]) -> list[str]:
    """Remove files that were closed before; those of ``but`` stay. Returns what went."""
    kept, gone = set(but), []
    for path in sorted(folder.glob("*.jsonl")):
        if path.stem in kept or not _NAME.fullmatch(path.stem):
            continue
        if now.timestamp() - path.stat().st_mtime > keep.total_seconds():
            path.unlink()
            gone.append(path.stem)
    return gone


def present(folder: Path) -> frozenset[str]:
    """Numbers of the files that are there."""
    return frozenset(path.stem for path in folder.glob("*.jsonl"))
