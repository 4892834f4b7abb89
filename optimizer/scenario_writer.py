"""Problems and plans as JSON content: ``depot-scenario/2`` (``read(write(problem))`` is the same problem) and ``plan/2``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import numpy as np

from optimizer.problem import PlanResult, Problem
from optimizer.scenario_fields import BACKGROUND, PLACES, SCHEMA_2, SITE, TARIFF, TOP

PLAN_SCHEMA = "plan/2"


def write(problem: Problem) -> dict[str, Any]:
    """The problem as a scenario file's content. What is as it is by default is left out; a series that never changes is one number."""
    content: dict[str, Any] = {"schema": SCHEMA_2}
    sections: dict[str, dict[str, Any]] = {TOP: content, TARIFF: {}, SITE: {}}
    for one in fields(Problem):
        value = getattr(problem, one.name)
        if one.name == BACKGROUND:
            sections[SITE]["base_load_kw"] = _plain(np.maximum(value, 0.0), problem)
            sections[SITE]["pv_kw"] = _plain(np.maximum(-value, 0.0), problem)
        elif one.name != "vehicles" and not _is_default(one, value):
            section, key = PLACES.get(one.name, (TOP, one.name))
            sections[section][key] = _plain(value, problem)
    return content | {TARIFF: sections[TARIFF], SITE: sections[SITE], "vehicles": _plain(problem.vehicles, problem)}


def write_plan(problem: Problem, result: PlanResult) -> dict[str, Any]:
    """The plan as JSON content: grid-side kW per vehicle and slot, what it costs, and who goes short of what. All that ``plan/1`` had
    stands in it unchanged."""
    unmet = {v.id: round(float(missing), 3) for v, missing in zip(problem.vehicles, result.unmet_kwh, strict=True) if missing > 0}
    return {
        "schema": PLAN_SCHEMA,
        "scenario": problem.id,
        "policy": str(result.policy),
        "status": str(result.status),
        "t0": problem.t0.isoformat(),
        "slot_minutes": problem.slot_minutes,
        "currency": problem.currency,
        "energy_cost": round(result.energy_cost, 4),
        "demand_cost": round(result.demand_cost, 4),
        "total_cost": round(result.cost, 4),
        "peak_kw": round(result.peak_kw, 3),
        "unmet_kwh": unmet,
        "short": [_rounded(_object(one, problem)) for one in result.short],
        "over_limit_kw": _series(result.over_limit_kw),
        "site_kw": _series(result.site_kw),
        "power_kw": {v.id: _series(row) for v, row in zip(problem.vehicles, result.power_kw, strict=True)},
        "storage_kw": {s.id: _series(row) for s, row in zip(problem.storages, result.storage_kw, strict=True)},
    }


def _series(values: np.ndarray) -> list[float]:
    return [round(float(kw), 6) for kw in values]


def _rounded(content: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in content.items()}


def _plain(value: Any, problem: Problem) -> Any:
    if isinstance(value, np.ndarray):
        constant = value.shape == (problem.n_slots,) and bool((value == value[0]).all())
        return float(value[0]) if constant else value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return [_plain(one, problem) for one in value]
    return _object(value, problem) if is_dataclass(value) else value


def _object(value: Any, problem: Problem) -> dict[str, Any]:
    content = {}
    for one in fields(value):
        its = getattr(value, one.name)
        if isinstance(its, Mapping):  # numbers by the places of vehicles or batteries
            members = problem.storages if one.name == "storages" else problem.vehicles
            its = {members[place].id: number for place, number in its.items()}
        if not _is_default(one, its):
            content[one.name] = its if isinstance(its, dict) else _plain(its, problem)
    return content


def _is_default(one: Field[Any], value: Any) -> bool:
    default = one.default if one.default_factory is MISSING else one.default_factory()
    if default is MISSING:
        return False
    if isinstance(value, np.ndarray) or isinstance(default, np.ndarray):
        return value is not None and default is not None and bool(np.all(np.asarray(value) == np.asarray(default)))
    return bool(value == default) and (value is None) == (default is None)
