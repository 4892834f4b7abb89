"""Fault 1 on real sockets: the core is killed while stations charge. The long run is ``python -m benchmarks.kill_core``."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from benchmarks.kill_core import GOAL_READY_S, compare, random_moments, run
from benchmarks.real_depot import Ran
from depot.values import ConnectorId
from simulator.outbox import Kind, Message

pytestmark = [pytest.mark.serial, pytest.mark.timeout(150)]


def test_no_transaction_is_lost_or_doubled_when_the_core_is_killed(tmp_path: Path) -> None:
    verdict, killing, slots, found = asyncio.run(
        run(kills=1, aimed=1, minutes=0.75, visits=22, speed=8, seed=3, trace=tmp_path / "trace.jsonl")
    )
    assert verdict.ran >= 10
    assert (verdict.lost, verdict.doubled, verdict.wrong) == ([], [], [])
    assert slots.violations == 0, slots.worst_at
    assert found.same
    assert len(killing.ready) == 2
    assert max(killing.ready_s) <= GOAL_READY_S


def test_the_comparison_sees_what_is_lost() -> None:
    ran = Ran(ConnectorId("CP1", 1), Message(Kind.TRANSACTION, lambda: None), 0.0, transaction_id=7, stop_wh=100.0)
    assert compare([ran], []).lost == ["CP1/1 7: no start in the journal"]


def test_too_many_kills_for_the_time_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit into 60 s"):
        random_moments(random.Random(1), kills=20, span_s=60)
