"""The published JSON Schema of ``depot-scenario/2``, made from what the reader goes by: dataclasses, places, further names.

    python -m optimizer.scenario_schema > docs/schemas/depot-scenario-2.json

It says the shape. What numbers mean together (a departure after its arrival, a feeder that is there) the reader checks.
"""

from __future__ import annotations

import inspect
import json
import sys
import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Union, get_args, get_origin

import numpy as np

from optimizer.problem import Problem
from optimizer.scenario import FORMS
from optimizer.scenario_fields import ALSO, BACKGROUND, PLACES, SCHEMA_2, SITE, TARIFF, TOP
from optimizer.scenario_values import hints, required

NUMBER = {"type": "number"}
LEVEL = {"anyOf": [NUMBER, {"type": "array", "items": {"anyOf": [NUMBER, {"type": "array", "items": NUMBER}]}}]}
PLACE = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1}], "description": "id, or place counted from 0"}
WEIGHTS = {"type": "object", "additionalProperties": NUMBER, "description": "numbers by vehicle id"}
_KINDS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "number": NUMBER,
    "flag": {"type": "boolean"},
    "level": LEVEL,
    "note": {},
}
_LEAVES: dict[Any, dict[str, Any]] = {
    float: NUMBER,
    int: {"type": "integer"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "description": "ISO 8601; without an offset it is taken as it stands"},
}


def schema() -> dict[str, Any]:
    """The schema, a new object each time."""
    found: dict[str, Any] = {}
    sections: dict[str, dict[str, Any]] = {TOP: {}, TARIFF: {}, SITE: {}}
    for name, hint in hints(Problem).items():
        if name != BACKGROUND:
            section, key = PLACES.get(name, (TOP, name))
            sections[section][key] = _of_type(hint, found, name)
    for section, its in sections.items():
        its |= _also(section)
    needed = FORMS[SCHEMA_2].needed
    parts = {name: _object(sections[name], needed[name], f"The {name}.") for name in (TARIFF, SITE)}
    parts["schema"] = {"const": SCHEMA_2}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA_2,
        **_object(sections[TOP] | parts, ("schema", *needed[TOP]), _said(Problem)),
        "$defs": dict(sorted(found.items())),
    }


def main() -> None:
    """Print it."""
    json.dump(schema(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


def _of_type(hint: Any, found: dict[str, Any], name: str = "") -> dict[str, Any]:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        rest = next(one for one in inner if one is not type(None))
        return {"anyOf": [_of_type(rest, found, name), {"type": "null"}]}
    if origin is np.ndarray:
        return LEVEL
    if origin is tuple and inner[1:] == (Ellipsis,):
        return {"type": "array", "items": _of_type(inner[0], found)}
    if origin is tuple:
        parts = [_of_type(one, found) for one in inner]
        return {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return WEIGHTS
    if is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in found:
            found[hint.__name__] = {}  # stands already while its own fields are looked at
            properties = {key: _of_type(one, found, key) for key, one in hints(hint).items()} | _also(hint.__name__.lower())
            found[hint.__name__] = _object(properties, required(hint), _said(hint))
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [one.value for one in hint]}
    if name in ("feeder", "parent"):
        return PLACE
    if name == "id" and hint is str:
        return {"type": "string", "minLength": 1}
    return _LEAVES[hint]


def _also(section: str) -> dict[str, Any]:
    return {name: {**_KINDS[one.kind], "description": one.says} for name, one in ALSO.get(section, {}).items()}


def _object(properties: dict[str, Any], needed: tuple[str, ...] | Any, said: str) -> dict[str, Any]:
    return {"type": "object", "description": said, "properties": properties, "required": list(needed)}


def _said(cls: type) -> str:
    return " ".join((inspect.getdoc(cls) or "").split())


if __name__ == "__main__":
    main()
