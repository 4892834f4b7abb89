"""Trips that are latched, in a file of their own: append-only, one record a line, on the disk before the call returns.

    3f2a91c7 {"schema":"pack_latch/1","what":"trip","vehicle_id":"BUS7","pack_id":"P1","at":"…","cause":"over_temperature",…}
    └ CRC-32 of the rest of the line

    LatchFile.open(path) ──▶ .latched (what is tripped), .problems (for an alarm)

A line that was cut short at the very end (power lost while it was written) was never confirmed and is cut off; a trip in it
is latched all the same, a reset in it did not happen. Any other damage is told in ``problems``, and every pack that a
damaged line names counts as tripped until it is reset: of what cannot be read, the worst is assumed. Nothing expires.
"""

from __future__ import annotations

import logging
import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

import msgspec

from bms_bridge.verdicts import Cause, Trip
from depot.values import PackKey

log = logging.getLogger(__name__)

SCHEMA: Final = "pack_latch/1"
_NAMES = re.compile(rb'"vehicle_id"\s*:\s*"([^"\\]{1,64})"\s*,\s*"pack_id"\s*:\s*"([^"\\]{1,64})"')
_PERSONAL = 0o600


@dataclass(frozen=True, slots=True)
class Latched:
    """A pack that is tripped: why, and since when (None: not readable any more)."""

    trip: Trip
    since: datetime | None


class _Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    schema: Literal["pack_latch/1"]
    what: Literal["trip", "reset"]
    vehicle_id: str
    pack_id: str
    at: datetime | None
    cause: Cause | None = None
    evidence: Mapping[str, str] = msgspec.field(default_factory=dict)
    person: str = ""
    role: str = ""
    reason: str = ""


_decoder = msgspec.json.Decoder(_Record)


@dataclass(slots=True)
class LatchFile:
    """The file, open for appending. One process owns it. Writing raises OSError when the disk does; the latch is then held
    in memory all the same (by whoever called), and must be tried again."""

    path: Path
    latched: dict[PackKey, Latched] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    _fd: int = -1

    @classmethod
    def open(cls, path: Path) -> LatchFile:
        """Read all there is, make the file where there is none. Raises OSError for a file that can't be read or made."""
        latches = cls(path)
        latches._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _PERSONAL)
        try:
            os.fsync(latches._fd)
            folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)  # else a new file's name may be lost with the power
            finally:
                os.close(folder)
            latches._read(path.read_bytes())
        except BaseException:
            latches.close()
            raise
        return latches

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Nothing can be written any more."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def trip(self, trip: Trip, at: datetime) -> None:
        """Latch it. Returns once it is on the disk. A pack that is latched already keeps its first trip."""
        if trip.pack in self.latched:
            return
        self._append(_trip_record(trip, at))
        self.latched[trip.pack] = Latched(trip, at)

    def reset(self, pack: PackKey, at: datetime, *, person: str, role: str, reason: str) -> None:
        """A person resets it. Returns once it is on the disk: only then is the pack free."""
        self._append(
            _Record(
                schema=SCHEMA,
                what="reset",
                vehicle_id=pack.vehicle_id,
                pack_id=pack.pack_id,
                at=at,
                person=person,
                role=role,
                reason=reason,
            )
        )
        self.latched.pop(pack, None)

    def _append(self, record: _Record) -> None:
        body = msgspec.json.encode(record)
        line = b"%08x %s\n" % (zlib.crc32(body), body)
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

    def _read(self, data: bytes) -> None:
        whole, newline, torn = data.rpartition(b"\n")
        for number, line in enumerate(whole.split(b"\n") if newline else [], 1):
            record = _parsed(line)
            if record is not None:
                self._apply(record)
                continue
            named = _named(line)
            names = ", ".join(map(str, named)) or "no pack that could be read: look at every vehicle"
            self.problems.append(f"{self.path.name}, line {number}, is damaged; it names {names}")
            for pack in named:
                evidence = {"file": self.path.name, "line": str(number)}
                self.latched.setdefault(pack, Latched(Trip(pack, Cause.DAMAGED_LATCH, evidence), None))
        for problem in self.problems:
            log.error("%s", problem)
        if torn:
            self._mend(torn, len(whole) + len(newline))

    def _mend(self, torn: bytes, end: int) -> None:
        """Cut off the last line, which was never confirmed, and latch again what it was about to."""
        log.warning("%s: its last record was cut short and never confirmed; cut off", self.path)
        os.ftruncate(self._fd, end)
        os.fsync(self._fd)
        record = _parsed(torn)
        if record is not None:
            self._append(record)  # only its line end was missing
            self._apply(record)
        elif b'"what":"trip"' in torn:
            for pack in _named(torn):
                trip = Trip(pack, Cause.DAMAGED_LATCH, {"file": self.path.name, "line": "cut short"})
                self._append(_trip_record(trip, None))
                self.latched.setdefault(pack, Latched(trip, None))

    def _apply(self, record: _Record) -> None:
        pack = PackKey(record.vehicle_id, record.pack_id)
        if record.what == "reset":
            self.latched.pop(pack, None)
        else:
            trip = Trip(pack, record.cause or Cause.DAMAGED_LATCH, record.evidence)
            self.latched.setdefault(pack, Latched(trip, record.at))


def _trip_record(trip: Trip, at: datetime | None) -> _Record:
    vehicle_id, pack_id = trip.pack
    evidence = dict(trip.evidence)
    return _Record(schema=SCHEMA, what="trip", vehicle_id=vehicle_id, pack_id=pack_id, at=at, cause=trip.cause, evidence=evidence)


def _named(line: bytes) -> list[PackKey]:
    """The packs that can still be read in a damaged line."""
    return [PackKey(v.decode("utf-8", "replace"), p.decode("utf-8", "replace")) for v, p in _NAMES.findall(line)]


def _parsed(line: bytes) -> _Record | None:
    """The record of a line; None where it is not exactly as it was written."""
    if line[8:9] != b" " or line[:8] != b"%08x" % zlib.crc32(line[9:]):
        return None
    try:
        return _decoder.decode(line[9:])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
