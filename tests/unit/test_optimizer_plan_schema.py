"""The published schema of ``plan/2``: every plan that is written fits it, and nothing else may stand in one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings

from optimizer import Problem, Weights, plan
from optimizer.plan_schema import schema
from optimizer.planning import rule_plan
from optimizer.scenario import read, write_plan
from optimizer.stays import Milestone
from tests.property.test_optimizer_random_depots import problems, visiting
from tests.unit.test_optimizer_scenario import SCENARIO

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "schemas" / "plan-2.json"
VALIDATOR = jsonschema.Draft202012Validator(schema())


def test_the_published_schema_is_what_the_writer_goes_by() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == schema(), "run python -m optimizer.plan_schema"


@settings(max_examples=30, deadline=None)
@given(problem=visiting() | problems(most_batteries=2))
def test_every_plan_fits_the_schema(problem: Problem) -> None:
    for result in (plan(problem), rule_plan(problem, policy=Weights(wear=0.5))):
        VALIDATOR.validate(json.loads(json.dumps(write_plan(problem, result), allow_nan=False)))


def test_what_is_left_short_fits_the_schema() -> None:
    problem = read(SCENARIO)
    milestone = Milestone(1, at_least_kwh=1000.0, label="pre-heating")
    short = replace(
        problem,
        site_limit_kw=np.zeros(problem.n_slots),
        vehicles=(replace(problem.vehicles[0], milestones=(milestone,)), *problem.vehicles[1:]),
    )
    content = json.loads(json.dumps(write_plan(short, plan(short)), allow_nan=False))
    assert content["unmet_kwh"]
    assert any(one["milestone"] == 0 and one["label"] == "pre-heating" for one in content["short"])
    VALIDATOR.validate(content)


@pytest.mark.parametrize(("key", "value"), [("extra", 1), ("status", "good"), ("schema", "plan/1"), ("site_kw", [])])
def test_anything_else_is_no_plan(key: str, value: object) -> None:
    problem = read(SCENARIO)
    content = write_plan(problem, plan(problem)) | {key: value}
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(json.loads(json.dumps(content)))
