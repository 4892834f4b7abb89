"""Areas that are isolated, in a file of their own: a restart, a lost journal or a restored backup never undoes a stop.

    isolate(entry), reset(area)  --one line each, on the disk before the call returns--  IsolationFile.open(path) ──▶ .isolated, .problems

What a damaged line names counts as isolated until a person resets it; see :mod:`storage.latch_lines` for the lines themselves.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from depot.outputs import Area, Isolated, Level, Origin
from storage.latch_lines import LatchLines, body_of

log = logging.getLogger(__name__)

SCHEMA: Final = "isolation_latch/1"
_NAMES = re.compile(rb'"level"\s*:\s*"(bay|feeder|site)"\s*,\s*"area_id"\s*:\s*"([^"\\]{0,64})"')
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class _Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    schema: Literal["isolation_latch/1"]
    what: Literal["isolate", "reset"]
    level: Level
    area_id: str
    at: datetime
    origin: Origin = Origin.PERSON
    reason: str = ""
    by: str = ""
    role: str = ""


_decoder = msgspec.json.Decoder(_Record)


@dataclass(slots=True)
class IsolationFile:
    """The file, open for appending. One process owns it. Writing raises OSError when the disk does; the area is isolated in memory
    all the same (by whoever called), and must be tried again."""

    path: Path
    isolated: dict[Area, Isolated] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    _lines: LatchLines | None = None

    @classmethod
    def open(cls, path: Path) -> IsolationFile:
        """Read all there is, make the file where there is none. Raises OSError for a file that can't be read or made."""
        found = cls(path)
        found._lines = LatchLines.open(path)
        try:
            found._read(found._lines)
        except BaseException:
            found.close()
            raise
        return found

    def close(self) -> None:
        """Nothing can be written any more."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None

    def isolate(self, entry: Isolated) -> None:
        """Latch it. Returns once it is on the disk. An area that is latched already keeps its first cause."""
        if entry.area in self.isolated:
            return
        self._append(_record_of(entry))
        self.isolated[entry.area] = entry

    def reset(self, area: Area, at: datetime, *, person: str, role: str, reason: str) -> None:
        """A person ends it. Returns once it is on the disk: only then is the area free."""
        level, area_id = area
        self._append(
            _Record(schema=SCHEMA, what="reset", level=level, area_id=area_id, at=at, reason=reason, by=person, role=role),
        )
        self.isolated.pop(area, None)

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
            names = ", ".join(map(str, named)) or "no area that could be read: look at every contactor"
            self.problems.append(f"{self.path.name}, line {line.number}, is damaged; it names {names}")
            for area in named:
                entry = Isolated(area, _LONG_AGO, Origin.DAMAGED, f"line {line.number} of {self.path.name} is damaged", "controller")
                self.isolated.setdefault(area, entry)
        for problem in self.problems:
            log.error("%s", problem)
        if lines.torn:
            self._mend(lines.torn)

    def _mend(self, torn: bytes) -> None:
        """Latch again what the last line, which was never confirmed and is cut off, was about to; a reset in it did not happen."""
        log.warning("%s: its last record was cut short and never confirmed; cut off", self.path)
        record = _parsed(body_of(torn))
        if record is not None:
            self._append(record)  # only its line end was missing
            self._apply(record)
        elif b'"what":"isolate"' in torn:
            for area in _named(torn):
                self.isolate(Isolated(area, _LONG_AGO, Origin.DAMAGED, f"the last line of {self.path.name} was cut short", "controller"))

    def _apply(self, record: _Record) -> None:
        area = Area(record.level, record.area_id)
        if record.what == "reset":
            self.isolated.pop(area, None)
        else:
            self.isolated.setdefault(area, Isolated(area, record.at, record.origin, record.reason, record.by))


def _record_of(entry: Isolated) -> _Record:
    level, area_id = entry.area
    return _Record(
        schema=SCHEMA, what="isolate", level=level, area_id=area_id, at=entry.since, origin=entry.origin, reason=entry.reason, by=entry.by
    )


def _named(line: bytes) -> list[Area]:
    """The areas that can still be read in a damaged line."""
    return [Area(Level(level.decode()), name.decode("utf-8", "replace")) for level, name in _NAMES.findall(line)]


def _parsed(body: bytes | None) -> _Record | None:
    """The record of a line; None where it is not exactly as it was written."""
    if body is None:
        return None
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
