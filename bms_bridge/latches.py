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
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

import msgspec

from bms_bridge.verdicts import Cause, Trip
from depot.values import PackKey
from storage.latch_lines import LatchLines, body_of

log = logging.getLogger(__name__)

SCHEMA: Final = "pack_latch/1"
_NAMES = re.compile(rb'"vehicle_id"\s*:\s*"([^"\\]{1,64})"\s*,\s*"pack_id"\s*:\s*"([^"\\]{1,64})"')


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
    _lines: LatchLines | None = None

    @classmethod
    def open(cls, path: Path) -> LatchFile:
        """Read all there is, make the file where there is none. Raises OSError for a file that can't be read or made."""
        latches = cls(path)
        latches._lines = LatchLines.open(path)
        try:
            latches._read(latches._lines)
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
        if self._lines is not None:
            self._lines.close()
            self._lines = None

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
        if self._lines is None:
            raise OSError(f"{self.path} is closed")
        self._lines.append(msgspec.json.encode(record))

    def _read(self, lines: LatchLines) -> None:
        for line in lines.whole:
            record = _parsed(line.body)
            if record is not None:
                self._apply(record)
                continue
            named = _named(line.raw)
            names = ", ".join(map(str, named)) or "no pack that could be read: look at every vehicle"
            self.problems.append(f"{self.path.name}, line {line.number}, is damaged; it names {names}")
            for pack in named:
                evidence = {"file": self.path.name, "line": str(line.number)}
                self.latched.setdefault(pack, Latched(Trip(pack, Cause.DAMAGED_LATCH, evidence), None))
        for problem in self.problems:
            log.error("%s", problem)
        if lines.torn:
            self._mend(lines.torn)

    def _mend(self, torn: bytes) -> None:
        """Latch again what the last line, which was never confirmed and is cut off, was about to."""
        log.warning("%s: its last record was cut short and never confirmed; cut off", self.path)
        record = _parsed(body_of(torn))
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


def _parsed(body: bytes | None) -> _Record | None:
    """The record of a line; None where it is not exactly as it was written."""
    if body is None:
        return None
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
