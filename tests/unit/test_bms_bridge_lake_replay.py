"""A replay of raw messages: what is corrected, what stays, that twice is once, and that a cut-off one is begun again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lake_kit import DEPOT, KEY, A, B, Bench

from bms_bridge.contract import PackSample
from bms_bridge.lake import LakeRefused, lifetime
from bms_bridge.lake import replay as replays
from bms_bridge.lake.catalog import catalog
from bms_bridge.lake.derive import mqtt_decoder
from bms_bridge.lake.engine import Lake
from bms_bridge.lake.query import query
from bms_bridge.lake.wire import Message


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def corrected(message: Message) -> tuple[list[PackSample], str, str]:
    """A decoder whose map was mended: the current had the wrong sign; one message turns out to be none."""
    samples, schema, _ = mqtt_decoder(DEPOT)(message)
    if message.topic.endswith("E-102/packs/P1/telemetry"):
        return [], schema, "map-2"
    return [replace(sample, current_a=None if sample.current_a is None else -sample.current_a) for sample in samples], schema, "map-2"


def filled(bench: Bench, lake: Lake) -> None:
    for _ in range(40):
        bench.give(lake, bench.message(A, current_a=100.0, voltage_v=600.0), bench.message(B, current_a=5.0), bench.told(A, current_a=-3.0))
        bench.forward(seconds=30)


def run(lake: Lake, decoder: Any, hours: float = 72) -> replays.Replayed:
    return replays.replay(lake, key=KEY, decoders={"mqtt": decoder}, capacity_of=lambda _: 200_000, hours=hours, by="sign of the current")


def found(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    return query(lake.hot, lake.places, sql).rows


@pytest.mark.parametrize("sealed", [False, True], ids=["waiting", "in files"])
def test_a_corrected_map_supersedes_rows_with_lineage_and_twice_is_once(bench: Bench, sealed: bool) -> None:
    with bench.lake() as lake:
        filled(bench, lake)
        if sealed:
            bench.forward(days=1)
            while lake.step():
                pass
        assert run(lake, mqtt_decoder(DEPOT)).same == 120
        done = run(lake, corrected)
        assert (done.rows, done.changed, done.withdrawn, done.same, done.new) == (80, 40, 40, 40, 0)
        bench.forward(days=1)
        while lake.step():
            pass
        by_source = "SELECT source, quality, min(current_a), max(current_a), min(revision), count(*) FROM samples GROUP BY ALL ORDER BY ALL"
        assert found(lake, by_source) == [
            ("can", "good", -3.0, -3.0, 0, 40),
            ("mqtt", "good", -100.0, -100.0, 1, 40),
            ("mqtt", "withdrawn", None, None, 1, 40),
        ]
        assert found(lake, "SELECT DISTINCT origin FROM samples WHERE source = 'mqtt' AND quality = 'good'") == [("map-2",)]
        again = run(lake, corrected)
        assert (again.changed, again.new, again.withdrawn, again.same) == (0, 0, 0, 80)
        life = lake.life_of(A)
        assert life is not None
        assert life.charge_in_ah == 0
        assert life.charge_out_ah > 0
        assert lifetime.encode(lake.recomputed(A)) == lifetime.encode(life)
        other = lake.life_of(B)
        assert other is not None
        assert other.samples == 0
        assert [(one.number, one.changed, one.done) for one in catalog(lake.hot).replays] == [(3, 0, True), (2, 40, True), (1, 0, True)]


def test_a_replay_that_is_cut_off_is_made_good_by_the_next_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with bench.lake() as lake:
        filled(bench, lake)
        real, count = replays._batch, 0

        def cut_off(*args: Any, **more: Any) -> None:
            nonlocal count
            count += 1
            if count == 20:
                raise KeyboardInterrupt
            real(*args, **more)

        monkeypatch.setattr(replays, "_batch", cut_off)
        with pytest.raises(KeyboardInterrupt):
            run(lake, corrected)
        monkeypatch.undo()
    with bench.lake() as lake:  # as after a kill: the record is folded again from where the replay began
        life = lake.life_of(A)
        assert life is not None
        assert lifetime.encode(lake.recomputed(A)) == lifetime.encode(life)
        done = run(lake, corrected)
        assert (done.changed, done.same) == (21, 59)
        assert found(lake, "SELECT count(*) FROM samples WHERE current_a = -100") == [(40,)]
        assert [one.done for one in catalog(lake.hot).replays] == [True, False]


def test_what_is_older_than_the_hours_stays(bench: Bench) -> None:
    with bench.lake() as lake:
        filled(bench, lake)
        bench.forward(hours=10)
        filled(bench, lake)
        assert run(lake, corrected, hours=5).changed == 40
        assert found(lake, "SELECT current_a, count(*) FROM samples WHERE source = 'mqtt' AND quality = 'good' GROUP BY 1 ORDER BY 1") == [
            (-100.0, 40),
            (5.0, 40),
            (100.0, 40),
        ]
        bench.forward(hours=100)
        with pytest.raises(LakeRefused, match="no raw message"):
            run(lake, corrected, hours=5)
