"""Our yardstick is the common one: the same numbers on the real scenario files, whoever made the plan."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer import Feeder, InvalidProblem, Policy, Problem, Vehicle, feasible_energy_kwh, min_peak_kw, plan
from optimizer.baselines import BASELINES, equal_share, least_laxity_first
from optimizer.evaluate import evaluate
from optimizer.scenario import read, write_plan

OPTIMUM = {"mix-50": 1888, "mix-200": 7757, "mix-1000": 38353, "nrel-fleet1": 2195}
RULES = {
    ("mix-50", "equal_share"): (2021, 4.9),
    ("mix-50", "earliest_departure"): (2068, 0.1),
    ("mix-50", "least_laxity_first"): (2069, 0.0),
    ("mix-200", "uncontrolled"): (12196, 0.0),
    ("mix-200", "equal_share"): (8388, 4.9),
    ("mix-200", "earliest_departure"): (8562, 0.6),
    ("mix-200", "least_laxity_first"): (8579, 0.0),
    ("mix-1000", "uncontrolled"): (61578, 0.0),
    ("mix-1000", "equal_share"): (41175, 5.0),
    ("mix-1000", "earliest_departure"): (42161, 0.3),
    ("mix-1000", "least_laxity_first"): (42202, 0.0),
    ("ebus-200", "uncontrolled"): (20468, 0.0),
    ("ebus-200", "equal_share"): (12984, 3.8),
    ("ebus-200", "earliest_departure"): (13207, 0.5),
    ("ebus-200", "least_laxity_first"): (13223, 0.0),
}
"""Cost in USD and unmet energy in % of rules that were simulated elsewhere on the same files."""


def scenario(data_dir: Path, name: str) -> Path:
    return data_dir / "scenarios" / f"{name}.json"


def judged(data_dir: Path, name: str, content: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    tool = data_dir.parent / "tools" / "evaluate_plan.py"
    if not tool.is_file():
        pytest.skip(f"the common evaluator is not there ({tool})")
    (tmp_path / "plan.json").write_text(json.dumps(content))
    command = [sys.executable, str(tool), str(scenario(data_dir, name)), str(tmp_path / "plan.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict


@pytest.mark.data
@pytest.mark.parametrize("name", OPTIMUM)
def test_cheapest_is_the_known_optimum(data_dir: Path, tmp_path: Path, name: str) -> None:
    problem = read(scenario(data_dir, name))
    verdict = judged(data_dir, name, write_plan(problem, plan(problem, round_minimum=True)), tmp_path)
    assert verdict["total_cost"] <= OPTIMUM[name] * 1.005
    assert verdict["unmet_pct"] == 0
    assert max(verdict["violations"].values()) == 0


@pytest.mark.data
@pytest.mark.parametrize("policy", [Policy.READINESS, Policy.BATTERY_LIFE])
@pytest.mark.parametrize("name", ["mix-50", "mix-200", "nrel-fleet1", "acn-caltech-20191016"])
def test_every_policy_serves_everybody_under_the_limits(data_dir: Path, name: str, policy: Policy) -> None:
    problem = read(scenario(data_dir, name))
    verdict = evaluate(problem, plan(problem, policy=policy).power_kw)
    assert verdict.keeps_limits
    assert verdict.unmet_pct == pytest.approx(0, abs=1e-6)


@pytest.mark.data
@pytest.mark.parametrize("name", ["mix-50", "nrel-fleet1", "acn-caltech-20191016"])
def test_policies_differ_in_time_as_they_should(data_dir: Path, name: str) -> None:
    problem = read(scenario(data_dir, name))
    until = np.array([v.departure_slot for v in problem.vehicles])[:, None] * problem.slot_h
    rate = np.array([v.holding_per_kwh_h for v in problem.vehicles], dtype=float)[:, None]
    power = {policy: plan(problem, policy=policy).power_kw * problem.slot_h for policy in Policy}
    mean_h = {policy: float(kwh.sum(axis=0) @ problem.starts_h / kwh.sum()) for policy, kwh in power.items()}
    ageing = {policy: float((kwh * (until - problem.starts_h) * rate).sum()) for policy, kwh in power.items()}
    assert mean_h[Policy.READINESS] < mean_h[Policy.CHEAPEST]
    assert ageing[Policy.BATTERY_LIFE] <= ageing[Policy.CHEAPEST] * (1 + 1e-9)  # equal where every pack is worth the same
    assert ageing[Policy.CHEAPEST] < ageing[Policy.READINESS]


@pytest.mark.data
@pytest.mark.parametrize(("name", "rule"), RULES)
def test_rules_cost_what_they_are_known_to_cost(data_dir: Path, name: str, rule: str) -> None:
    problem = read(scenario(data_dir, name))
    verdict = evaluate(problem, BASELINES[rule](problem))
    cost, unmet_pct = RULES[name, rule]
    assert verdict.cost == pytest.approx(cost, rel=0.01)
    assert verdict.unmet_pct == pytest.approx(unmet_pct, abs=0.06)
    assert verdict.keeps_limits or rule == "uncontrolled"


@pytest.mark.data
@pytest.mark.parametrize("name", ["mix-50", "mix-200", "ebus-50", "van-50", "nrel-fleet1", "acn-caltech-20191016"])
def test_least_peak_and_feasible_energy_as_recorded(data_dir: Path, name: str) -> None:
    problem = read(scenario(data_dir, name))
    derived = json.loads(scenario(data_dir, name).read_text())["derived"]
    assert min_peak_kw(problem) == pytest.approx(derived["min_peak_kw"], abs=0.1)
    assert feasible_energy_kwh(problem) == pytest.approx(derived["energy_kwh"], abs=0.1)


@pytest.mark.data
@pytest.mark.parametrize("name", ["mix-50", "acn-caltech-20191016"])
def test_the_common_evaluator_says_the_same(data_dir: Path, tmp_path: Path, name: str) -> None:
    """On plans that break every rule, and on ones that don't."""
    problem = read(scenario(data_dir, name))
    chance = np.random.default_rng(7)
    wild = chance.uniform(-5, 1.5, problem.upper_kw.shape) * np.array([[v.p_max_kw] for v in problem.vehicles])
    wild[chance.uniform(size=wild.shape) < 0.7] = 0
    for power in (wild, *(rule(problem) for rule in BASELINES.values())):
        ours = evaluate(problem, power)
        content = {"power_kw": {v.id: row.tolist() for v, row in zip(problem.vehicles, power, strict=True)}}
        theirs = judged(data_dir, name, content, tmp_path)
        assert ours.energy_cost == pytest.approx(theirs["energy_cost"], abs=0.006)
        assert ours.demand_cost == pytest.approx(theirs["demand_cost"], abs=0.006)
        assert ours.peak_kw == pytest.approx(theirs["peak_kw"], abs=0.06)
        assert ours.unmet_kwh.sum() == pytest.approx(theirs["unmet_kwh"], abs=0.006)
        assert ours.unmet_pct == pytest.approx(theirs["unmet_pct"], abs=0.0006)
        assert list(ours.short) == theirs["vehicles_short"]
        assert ours.below_minimum == theirs["below_minimum"]
        assert ours.over_site_limit_kwh == pytest.approx(theirs["violations"]["over_site_limit_kwh"], abs=0.0006)
        assert ours.over_feeder_limit_kwh == pytest.approx(theirs["violations"]["over_feeder_limit_kwh"], abs=0.0006)
        assert ours.over_rating_kwh == pytest.approx(theirs["violations"]["over_rating_kwh"], abs=0.0006)
        assert ours.outside_window_kwh == pytest.approx(theirs["violations"]["outside_window_kwh"], abs=0.0006)


def small(**changes: Any) -> Problem:
    values: dict[str, Any] = {
        "t0": datetime(2026, 1, 12, tzinfo=UTC),
        "n_slots": 4,
        "slot_minutes": 60,
        "price_per_kwh": np.full(4, 1.0),
        "site_limit_kw": np.full(4, 10.0),
        "background_kw": np.zeros(4),
        "vehicles": (
            Vehicle(id="a", arrival_slot=0, departure_slot=4, energy_kwh=8.0, p_max_kw=8.0, feeder=0),
            Vehicle(id="b", arrival_slot=1, departure_slot=3, energy_kwh=12.0, p_max_kw=8.0),
        ),
        "feeders": (Feeder("F0", np.full(4, 6.0)),),
    }
    values.update(changes)
    return Problem(**values)


def test_a_verdict_refuses_what_is_no_plan() -> None:
    with pytest.raises(InvalidProblem, match="power matrix"):
        evaluate(small(), np.zeros((1, 4)))
    power = np.zeros((2, 4))
    power[1, 2] = np.nan
    with pytest.raises(InvalidProblem, match="b, slot 2"):
        evaluate(small(), power)


def test_equal_share_gives_what_one_cannot_use_to_the_others() -> None:
    power = equal_share(small())
    assert power[:, 0] == pytest.approx([6, 0])  # its feeder
    assert power[:, 1] == pytest.approx([2, 8])  # its need, the other's rating
    assert power[:, 2] == pytest.approx([0, 4])


def test_least_laxity_serves_whoever_has_no_time_to_lose() -> None:
    power = least_laxity_first(small())
    assert power[:, 1] == pytest.approx([2, 8])
    assert power[1].sum() == pytest.approx(12)
    assert power[0].sum() == pytest.approx(8)


@pytest.mark.parametrize("name", BASELINES)
def test_no_rule_draws_where_there_is_no_room(name: str) -> None:
    full = small(background_kw=np.full(4, 12.0))
    power = BASELINES[name](full)
    assert power.any() == (name == "uncontrolled")
