"""A lake for tests: a clock that the test moves, packs that say something believable, and a lake to open and to open again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from bms_bridge.contract import PackSample, Source, topic_of
from bms_bridge.lake import wire
from bms_bridge.lake.derive import mqtt_decoder
from bms_bridge.lake.engine import Lake, Places
from bms_bridge.lake.rules import Retention
from bms_bridge.lake.schema import micros
from depot.values import PackKey

DEPOT = "pune"
KEY = bytes(range(32))
START = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
A, B = PackKey("E-101", "P1"), PackKey("E-102", "P1")
GB = 1024**3


@dataclass
class Bench:
    """``free``: bytes of the disk, as the lake is told."""

    folder: Path
    at: datetime = START
    free: int = 100 * GB
    number: int = 0
    boot: str = "boot-1"
    capacity_wh: int = 200_000
    retention: Retention = field(default_factory=Retention)
    cold: Path | None = None
    decoders: dict[str, Any] = field(default_factory=lambda: {"mqtt": mqtt_decoder(DEPOT)})

    @property
    def places(self) -> Places:
        return Places(folder=self.folder, depot_id=DEPOT, cold=self.cold)

    @contextmanager
    def lake(self) -> Iterator[Lake]:
        with Lake.open(self.places, **self.parts()) as lake:
            yield lake

    def parts(self) -> dict[str, Any]:
        return {
            "key": KEY,
            "decoders": self.decoders,
            "retention": self.retention,
            "now_us": lambda: micros(self.at),
            "capacity_of": lambda _: self.capacity_wh,
            "free_bytes": lambda: self.free,
        }

    def forward(self, **span: float) -> None:
        self.at += timedelta(**span)

    def batch(self, *items: wire.Item) -> tuple[wire.Batch, bytes]:
        self.number += 1
        batch = wire.Batch(self.boot, self.number, list(items))
        return batch, wire.encode(batch)

    def give(self, lake: Lake, *items: wire.Item) -> wire.Ack:
        return lake.take(*self.batch(*items))

    def sample(self, pack: PackKey = A, **values: Any) -> PackSample:
        """Believable, and different at each time."""
        phase = self.at.timestamp() / 600
        said: dict[str, Any] = {
            "temperatures_c": (30.0 + math.sin(phase), 30.5 + math.sin(phase + 1), 31.0 + math.cos(phase), 30.2 + math.cos(phase + 2)),
            "soc": round(0.5 + 0.3 * math.sin(phase / 7), 3),
            "current_a": round(150 * math.cos(phase / 7), 1),
            "voltage_v": 9.9 + 0.005 * math.sin(phase),
            "cells_v": (3.30, 3.31, 3.29 + 0.01 * math.sin(phase)),
            "firmware": "1.4.2",
        }
        return PackSample(pack=pack, source=Source.CAN, received_at=self.at, reported_at=self.at, **(said | values))

    def told(self, pack: PackKey = A, **values: Any) -> wire.Told:
        return wire.Told(self.sample(pack, **values))

    def message(self, pack: PackKey = A, **values: Any) -> wire.Message:
        """As it comes over MQTT."""
        said = {"schema": "pack_telemetry/1", "reported_at": self.at, "temperatures_c": [30.0, 30.5, 31.0, 30.2], "soc": 0.6, **values}
        return wire.Message("mqtt", topic_of(DEPOT, pack), msgspec.json.encode(said), self.at)

    def drive(self, lake: Lake, minutes: int, *, step_s: int = 10, packs: tuple[PackKey, ...] = (A, B)) -> int:
        """Samples for so long, a batch a minute. How many."""
        count = 0
        for _ in range(minutes):
            items = []
            for _ in range(60 // step_s):
                items += [self.told(pack) for pack in packs]
                self.forward(seconds=step_s)
            ack = self.give(lake, *items)
            assert ack.number == self.number
            count += len(items)
        return count
