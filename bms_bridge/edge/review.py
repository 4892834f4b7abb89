"""What the recording of a series of readings costs, and how exact it is: for who chooses bands, and for the benchmark.

readings ──▶ Recorder ──▶ packets ──▶ Review: sizes beside other forms, largest error of each signal beside its band
"""

from __future__ import annotations

import gzip
import json
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bms_bridge.edge.bands import USUAL
from bms_bridge.edge.recorder import Habits, Packet, Recorder
from bms_bridge.edge.wire import Reading, decode

_V1: Final = ("soc", "current_a", "voltage_v", "cell_min_v", "cell_max_v")
_MORE: Final = ("insulation_ohm", "limit_a", "limit_v", "soh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """``json_bytes``: each reading as a message of the contract, version 1 (2 where it says more). ``raw_bytes``: its time and values
    as 8-byte numbers. ``gzip_bytes``: all of these together, compressed. ``rows``: readings that were told. ``errors``: the largest
    difference at any reading between what was measured and what a receiver then held, by signal, in its unit."""

    readings: int
    rows: int
    messages: int
    packed_bytes: int
    json_bytes: int
    raw_bytes: int
    gzip_bytes: int
    errors: dict[str, float]

    @property
    def over_json(self) -> float:
        return self.json_bytes / self.packed_bytes

    @property
    def over_raw(self) -> float:
        return self.raw_bytes / self.packed_bytes

    @property
    def over_gzip(self) -> float:
        return self.gzip_bytes / self.packed_bytes


def record(readings: Iterable[Reading], habits: Habits) -> list[Packet]:
    """All packets of a series."""
    recorder = Recorder(habits)
    return [packet for reading in readings for packet in recorder.put(reading)] + recorder.flush()


def review(readings: Sequence[Reading], packets: Sequence[Packet]) -> Review:
    """The balance of a recording. ``readings`` must be in the order of their times."""
    raw = b"".join(_raw(reading) for reading in readings)
    return Review(
        readings=len(readings),
        rows=sum(packet.rows for packet in packets),
        messages=len(packets),
        packed_bytes=sum(len(packet.data) for packet in packets),
        json_bytes=sum(len(as_json(reading)) for reading in readings),
        raw_bytes=len(raw),
        gzip_bytes=len(gzip.compress(raw, mtime=0)),
        errors=errors(readings, packets),
    )


def errors(readings: Sequence[Reading], packets: Iterable[Packet]) -> dict[str, float]:
    """The largest error of each signal that was said; infinite where a value is missing, or one came of nothing."""
    told = [row for packet in packets if not packet.history for _, row in decode(packet.data).readings()]
    told.sort(key=lambda row: row.at_ms)
    times = [row.at_ms for row in told]
    found: dict[str, float] = {}
    for reading in readings:
        held = told[max(0, bisect_right(times, reading.at_ms) - 1)]
        for name, said, was in _pairs(held, reading):
            error = 0.0 if said is was is None else float("inf") if said is None or was is None else abs(said - was)
            found[name] = max(found.get(name, 0.0), error)
    return found


def as_json(reading: Reading) -> bytes:
    """The reading as one message of the contract in its shortest JSON."""
    said: dict[str, object] = {name: getattr(reading, name) for name in _V1 if getattr(reading, name) is not None}
    more: dict[str, object] = {name: getattr(reading, name) for name in _MORE if getattr(reading, name) is not None}
    if reading.cells_v:
        more["cells_v"] = reading.cells_v
    if reading.balancing_a:
        more["balancing_a"] = reading.balancing_a
    if reading.stop:
        more["stop"] = True
    if reading.alarms:
        said["alarms"] = reading.alarms
    stamp = datetime.fromtimestamp(reading.at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = {"schema": f"pack_telemetry/{2 if more else 1}", "reported_at": stamp, "temperatures_c": reading.temperatures_c}
    return json.dumps(head | said | more, separators=(",", ":")).encode()


def _pairs(held: Reading, reading: Reading) -> Iterator[tuple[str, float | None, float | None]]:
    for name in USUAL:
        was, said = getattr(reading, name), getattr(held, name)
        if not isinstance(was, tuple):
            if was is not None or said is not None:
                yield name, said, was
            continue
        for number, value in enumerate(was):
            yield name, said[number] if number < len(said) else None, value


def _raw(reading: Reading) -> bytes:
    values = [float(reading.at_ms)]
    for name in USUAL:
        said = getattr(reading, name)
        values += (
            [float("nan") if value is None else value for value in said] if isinstance(said, tuple) else [said] if said is not None else []
        )
    return struct.pack(f"<{len(values)}d", *values)
