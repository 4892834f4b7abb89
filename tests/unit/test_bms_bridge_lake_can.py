"""Frames of a pack's own bus in the lake: rows as the core made samples, and a replay by a map that was corrected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cantools.database import Database
from lake_kit import KEY, A, Bench

from bms_bridge.can import CanError
from bms_bridge.can.bind import bind
from bms_bridge.can.dbc import EXAMPLE, Dbc
from bms_bridge.can.frame import CanFrame
from bms_bridge.can.link import BusSettings
from bms_bridge.can.pack_map import PackMap
from bms_bridge.contract import PackSample
from bms_bridge.lake import replay as replays
from bms_bridge.lake import wire
from bms_bridge.lake.can_frames import can_decoder
from bms_bridge.lake.derive import FRAMES
from bms_bridge.lake.feed import Feed
from bms_bridge.lake.query import query
from controller.can_room import Bus, CanRoom, PackLine
from depot.values import PackKey

MAPS = Path(__file__).resolve().parents[2] / "bms_bridge" / "can" / "maps"


class BenchClock:
    """The bench's time, as the room's clock."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def now(self) -> datetime:
        return self.bench.at

    def monotonic(self) -> float:
        return self.bench.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody runs the room here")


def frames(at_s: float, current_a: float) -> list[CanFrame]:
    dbc = Database()
    dbc.add_dbc_file(str(MAPS / f"{EXAMPLE}.dbc"))

    def one(name: str, **signals: float) -> CanFrame:
        message = dbc.get_message_by_name(name)
        return CanFrame(at_s, message.frame_id, message.is_extended_frame, message.encode(signals, strict=False))

    said = [one("CellTemperatures", TemperatureBlock=k, **{f"Sensor_{3 * k + n:02d}": 25.0 + n for n in range(3)}) for k in range(8)]
    return [*said, one("PackState", Soc=62.0, Soh=98, Current=current_a, Voltage=320.0, Mode=1), CanFrame(at_s, 0x7FF, False, b"VIN")]


def test_rows_are_what_the_core_heard_and_a_corrected_map_supersedes_them(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    wrong = tmp_path / "bus.toml"
    text = (MAPS / f"{EXAMPLE}.toml").read_text(encoding="utf-8")
    wrong.write_text(
        text.replace('unit = "A", charging = "positive" }\nvoltage', 'unit = "A", charging = "negative" }\nvoltage'), encoding="utf-8"
    )
    heard: list[PackSample] = []
    kept: list[wire.Item] = []

    def keep(pack: PackKey, read: Sequence[CanFrame], now_s: float, now: datetime) -> None:
        kept.append(wire.Frames(pack.vehicle_id, pack.pack_id, now_s, now, list(read)))

    line = PackLine.of(A, bind(PackMap.named(str(wrong)), Dbc.named(EXAMPLE), where="bus.toml"))
    bus = Bus(BusSettings(interface="virtual", channel="lake"), (line,))
    clock: Any = BenchClock(bench)
    room = CanRoom([bus], clock=clock, hear=heard.append, on_frames=[keep])
    for number in range(30):
        room._came(bus, frames(bench.at.timestamp(), 50.0 + number))
        bench.forward(seconds=0.5)
    assert 10 <= len(heard) <= 30
    assert all(frame.data != b"VIN" for item in kept for frame in item.frames)  # type: ignore[union-attr]  # frames, as kept
    bench.decoders = {FRAMES: can_decoder({A: (str(wrong), EXAMPLE)})}
    with bench.lake() as lake:
        bench.give(lake, *kept)
        sql = "SELECT current_a, origin, revision FROM samples ORDER BY row_id"
        rows = query(lake.hot, lake.places, sql).rows
        assert [row[0] for row in rows] == [sample.current_a for sample in heard]
        assert rows[0][0] < 0
        assert rows[0][1].startswith("map bus.toml@")
        assert rows[0][1].endswith("dbc example-pack")
        wrong.write_text(text, encoding="utf-8")  # corrected
        done = replays.replay(
            lake, key=KEY, decoders={FRAMES: can_decoder({A: (str(wrong), EXAMPLE)})}, capacity_of=lambda _: 200_000, hours=72, by="sign"
        )
        assert (done.changed, done.same, done.new, done.withdrawn) == (len(heard), 0, 0, 0)
        again = query(lake.hot, lake.places, sql).rows
        assert [row[0] for row in again] == [-row[0] for row in rows]
        assert {row[2] for row in again} == {1}
        assert again[0][1] != rows[0][1]


def test_a_pack_whose_frames_are_kept_is_not_kept_twice(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    feed = Feed(tmp_path / "none.sock", monotonic=lambda: 0.0)
    feed.sample(bench.sample(A))
    assert feed.waiting == 1
    feed.frames(A, frames(0.0, 1.0), 0.0, bench.at)
    feed.sample(bench.sample(A))
    assert feed.waiting == 2


def test_a_map_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("schema = 1", encoding="utf-8")
    with pytest.raises(CanError):
        can_decoder({A: (str(tmp_path / "broken.toml"), EXAMPLE)})
