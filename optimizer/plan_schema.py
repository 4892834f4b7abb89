"""The published JSON Schema of ``plan/2``, what :func:`optimizer.scenario.write_plan` writes.

    python -m optimizer.plan_schema > docs/schemas/plan-2.json

Nothing else may stand in a plan of this version: whoever reads one can rely on it. How many numbers a series has is the horizon's
``n_slots``, which a schema cannot say.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from optimizer.problem import PlanStatus
from optimizer.scenario_writer import PLAN_SCHEMA
from optimizer.stays import Need

_NUMBER = {"type": "number"}
_NAME = {"type": "string", "minLength": 1}


def schema() -> dict[str, Any]:
    """The schema, a new object each time."""
    properties = {
        "schema": {"const": PLAN_SCHEMA},
        "scenario": {"type": "string", "description": "id of the scenario that was planned"},
        "policy": {"type": "string", "description": "a policy's name, or the weights between the policies in words"},
        "status": {"enum": [str(one) for one in PlanStatus], "description": "what kind of plan it is: optimal, or what stood in for that"},
        "t0": {"type": "string", "description": "beginning of slot 0, ISO 8601, as the scenario had it"},
        "slot_minutes": {"type": "number", "exclusiveMinimum": 0},
        "currency": {"type": "string", "description": "of all costs"},
        "energy_cost": _money("what vehicles and batteries add to the energy bill"),
        "demand_cost": _money("what they add to the demand charge"),
        "total_cost": _money("both together"),
        "peak_kw": {**_NUMBER, "description": "highest mean of a demand block, background included"},
        "unmet_kwh": _by_id({"type": "number", "minimum": 0}, "vehicles that lack energy: kWh at the battery"),
        "short": {"type": "array", "items": {"$ref": "#/$defs/Shortfall"}, "description": "each need and milestone that is left short"},
        "over_limit_kw": _series("by how much background and floors alone exceed the site's limit"),
        "site_kw": _series("what the site draws, background included; negative: export"),
        "power_kw": _by_id(_series(), "grid-side mean power of each vehicle, by slot; negative: it gives"),
        "storage_kw": _by_id(_series(), "grid-side mean power of each stationary battery, by slot; negative: it gives"),
    }
    shortfall = {
        "vehicle": _NAME,
        "kwh": {"type": "number", "minimum": 0, "description": "at the battery"},
        "visit": {"type": "integer", "minimum": 0, "description": "0: the first"},
        "milestone": {
            "type": ["integer", "null"],
            "minimum": 0,
            "description": "its place in the vehicle's milestones; null: its whole need",
        },
        "by_slot": {"type": "integer", "minimum": 0, "description": "when it would have been due: the beginning of this slot"},
        "need": {"enum": [str(one) for one in Need]},
        "label": {"type": "string", "description": "what the milestone is for, in a word"},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": PLAN_SCHEMA,
        **_closed(properties, optional=()),
        "$defs": {"Shortfall": _closed(shortfall, optional=("label",))},
    }


def main() -> None:
    """Print it."""
    json.dump(schema(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


def _closed(properties: dict[str, Any], *, optional: tuple[str, ...]) -> dict[str, Any]:
    needed = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}


def _money(says: str) -> dict[str, Any]:
    return {**_NUMBER, "description": f"currency: {says}"}


def _series(says: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"type": "array", "items": _NUMBER, "minItems": 1}
    return {**found, "description": f"kW by slot: {says}"} if says else found


def _by_id(value: dict[str, Any], says: str) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": value, "description": f"by id: {says}"}


if __name__ == "__main__":
    main()
