"""Whatever comes as telemetry: nothing raises, and memory does not grow (the benchmark sends ten times as many)."""

from __future__ import annotations

import pytest

from benchmarks.telemetry_ingest import KINDS, fuzzed


@pytest.mark.parametrize("seed", [2, 3])
def test_hostile_messages_raise_nothing_and_cost_no_memory(seed: int) -> None:
    sound = [payload for kind in KINDS.values() for *_, payload, _ in kind(seed, 2, 10)]
    assert fuzzed(500, seed, sound) == 0
