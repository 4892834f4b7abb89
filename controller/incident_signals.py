"""What packs said in the last half hour, compact, so that an incident's file can begin before its trip.

    heard(sample)   at most one a second of each pack --> a ring of 1,800 records of 41 bytes
    since(pack, at) --> bytes, to be read in a thread: rows, oldest first, °C, fractions, V, A, Ω; None: it was not said

500 packs take 37 MB. A restart forgets it: a file then says from when on it knows.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bms_bridge.contract import PackSample, Source
from depot.values import PackKey

COLUMNS: Final = ("at", "hottest_c", "coldest_c", "soc", "current_a", "voltage_v", "cell_min_v", "cell_max_v", "insulation_ohm", "source")
KEPT: Final = 1800
LEAST_APART_S: Final = 0.9
MOST_PACKS: Final = 2000
"""Of more packs nothing is kept: memory must not grow with what is announced."""

_RECORD: Final = struct.Struct("<d8fB")
_TIME: Final = struct.Struct("<d")
_SOURCES: Final = tuple(Source)
_NAN: Final = math.nan

Row = tuple[datetime | float | str | None, ...]


class _Ring:
    __slots__ = ("count", "data", "newest_s")

    def __init__(self) -> None:
        self.data = bytearray()
        self.count = 0
        self.newest_s = -math.inf

    def put(self, values: tuple[float, ...], source: int) -> None:
        if self.count < KEPT:
            self.data += _RECORD.pack(*values, source)
        else:
            _RECORD.pack_into(self.data, self.count % KEPT * _RECORD.size, *values, source)
        self.count += 1
        self.newest_s = values[0]

    def at_s(self, back: int) -> float:
        """Time of the ``back``-newest record, from 1."""
        (at_s,) = _TIME.unpack_from(self.data, (self.count - back) % KEPT * _RECORD.size)
        return float(at_s)

    def newest(self, count: int) -> bytes:
        """The newest records, oldest first."""
        first, last = (self.count - count) % KEPT, (self.count - 1) % KEPT
        size = _RECORD.size
        if first <= last:
            return bytes(self.data[first * size : (last + 1) * size])
        return bytes(self.data[first * size :] + self.data[: (last + 1) * size])


@dataclass(frozen=True, slots=True)
class Piece:
    """Records of a pack, oldest first, not read yet. ``newest``: time of the last one."""

    pack: PackKey
    raw: bytes
    newest: datetime

    def rows(self) -> list[Row]:
        """Read them: for a thread."""
        return [_row(record) for record in _RECORD.iter_unpack(self.raw)]

    def last(self) -> Piece:
        """Only the newest."""
        return Piece(self.pack, self.raw[-_RECORD.size :], self.newest)


class Signals:
    """See the module."""

    def __init__(self) -> None:
        self._rings: dict[PackKey, _Ring] = {}

    def heard(self, sample: PackSample) -> None:
        """Called with every sample, after the guard has judged it."""
        at_s = sample.received_at.timestamp()
        ring = self._rings.get(sample.pack)
        if ring is None:
            if len(self._rings) >= MOST_PACKS:
                return
            ring = self._rings[sample.pack] = _Ring()
        elif at_s - ring.newest_s < LEAST_APART_S:
            return
        known = [c for c in sample.temperatures_c if c is not None]
        cells = [v for v in sample.cells_v if v is not None]
        low = sample.cell_min_v if sample.cell_min_v is not None else min(cells, default=None)
        high = sample.cell_max_v if sample.cell_max_v is not None else max(cells, default=None)
        said = (max(known, default=None), min(known, default=None), sample.soc, sample.current_a, sample.voltage_v, low, high)
        values = (at_s, *(_NAN if value is None else value for value in (*said, sample.insulation_ohm)))
        ring.put(values, _SOURCES.index(sample.source))

    def since(self, pack: PackKey, at: datetime | None = None) -> Piece | None:
        """What came after ``at`` (None: all that is kept); None: nothing. A copy of bytes, so that it costs the safety path nothing."""
        ring = self._rings.get(pack)
        after_s = at.timestamp() if at is not None else -math.inf
        if ring is None or ring.newest_s <= after_s:
            return None
        kept = min(ring.count, KEPT)
        count = 1
        while count < kept and ring.at_s(count + 1) > after_s:
            count += 1
        return Piece(pack, ring.newest(count), datetime.fromtimestamp(ring.newest_s, UTC))

    def forget(self, packs: Sequence[PackKey]) -> None:
        for pack in packs:
            self._rings.pop(pack, None)


def _row(record: tuple[float, ...]) -> Row:
    at_s, *values, source = record
    rounded = (None if math.isnan(value) else float(f"{value:.5g}") for value in values)
    return (datetime.fromtimestamp(at_s, UTC), *rounded, _SOURCES[int(source)].value)
