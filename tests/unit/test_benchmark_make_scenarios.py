"""Depots with everything switched on together: the same from the same seed, there and back, and planned within every limit."""

from __future__ import annotations

import json

import pytest

from benchmarks.make_scenarios import everything
from optimizer import Policy, plan
from optimizer.evaluate import evaluate
from optimizer.scenario import read, write


@pytest.mark.parametrize("policy", [Policy.CHEAPEST, Policy.BATTERY_LIFE])
def test_everything_together_keeps_every_limit(policy: Policy) -> None:
    depot = everything(40, seed=7)
    result = plan(depot, policy=policy, deadline_s=60, round_minimum=True)
    verdict = evaluate(depot, result.power_kw, result.storage_kw)
    assert verdict.keeps_limits, verdict
    assert all(short.need != "safety" for short in result.short)


def test_the_same_seed_makes_the_same_file() -> None:
    files = [json.dumps(write(everything(40, seed=seed))) for seed in (7, 7, 8)]
    assert files[0] == files[1] != files[2]
    assert json.dumps(write(read(json.loads(files[0])))) == files[0]
    known = json.loads(files[0])
    assert {"storages", "caps", "feeders", "limit_sources"} <= set(known["site"])
    told = {key for vehicle in known["vehicles"] for key in vehicle}
    assert {"windows", "milestones", "need", "life", "curve", "heat", "discharge_kw", "pausable", "urgency"} <= told
