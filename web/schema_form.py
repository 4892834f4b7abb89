"""A form from a JSON schema, and its payload back from what was sent. Pure; for the OCPP schemas (draft-04, draft-06).

    schema + sent values --build--> Node (fields, selects, fieldsets, lists with add and remove) --template--> form
                         --payload--> {"type": "Soft"}, or what is wrong by field

A part that is not required and left empty is left out. Every field's name is its path: ``f.chargingProfile.stackLevel``,
``f.key.0``; ``n.key`` counts the items of a list.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = Mapping[str, Any]
Values = Mapping[str, str]

MOST_ITEMS = 50
MOST_DEPTH = 8
_MISSING = object()
_NO_TEXT = ("customData",)
"""Vendors' own parts: in the JSON tab only."""


@dataclass(slots=True)
class Node:
    """One part of the form. ``kind``: text, number, select, flag, object, list, json. ``required``: by every part above it, too."""

    kind: str
    path: str
    label: str
    required: bool
    hint: str = ""
    value: str = ""
    options: tuple[str, ...] = ()
    most: int | None = None
    step: str = "any"
    children: list[Node] = field(default_factory=list)
    more: bool = False
    fewer: bool = False
    error: str = ""


def build(schema: Schema, values: Values, errors: Mapping[str, str] | None = None) -> Node:
    """The form of ``schema``, filled with what was typed."""
    return _node(schema, schema, "f", "", required=True, values=values, errors=errors or {}, depth=0)


def payload(schema: Schema, values: Values) -> tuple[dict[str, Any], dict[str, str]]:
    """What the form says, and what cannot be, by path."""
    errors: dict[str, str] = {}
    found = _value(schema, schema, "f", values, errors, required=True, depth=0)
    return (found if isinstance(found, dict) else {}), errors


def spread(found: Any) -> dict[str, str]:
    """A payload as values of its form, so that JSON can become a form again."""
    values: dict[str, str] = {}
    _spread("f", found, values)
    return values


def changed(schema: Schema, values: Values, act: str) -> dict[str, str]:
    """The values after a press on ``add:PATH`` or ``drop:PATH``; unknown acts change nothing."""
    verb, _, path = act.partition(":")
    kept = dict(values)
    part, required = _at(schema, path)
    if part.get("type") != "array":
        return kept
    count = _count(part, path, values, required=required)
    if verb == "add":
        kept[f"n.{path}"] = str(min(_most(part), count + 1))
    elif verb == "drop" and count:
        kept[f"n.{path}"] = str(count - 1)
        gone = f"{path}.{count - 1}"
        kept = {k: v for k, v in kept.items() if k.removeprefix("n.") != gone and not k.removeprefix("n.").startswith(gone + ".")}
    return kept


# -- the form -----------------------------------------------------------------------------------------------------


def _node(
    schema: Schema, root: Schema, path: str, label: str, *, required: bool, values: Values, errors: Mapping[str, str], depth: int
) -> Node:
    schema = _resolved(schema, root)
    common: dict[str, Any] = {
        "path": path,
        "label": label,
        "required": required,
        "value": values.get(path, ""),
        "error": errors.get(path, ""),
    }
    match schema.get("type"):
        case "object" if _has_fields(schema, depth):
            needed, properties = schema.get("required", ()), schema.get("properties", {})
            names = sorted(properties, key=lambda n: n not in needed)
            children = [
                _node(
                    properties[n], root, f"{path}.{n}", n, required=required and n in needed, values=values, errors=errors,
                    depth=depth + 1,
                )
                for n in names
                if n not in _NO_TEXT
            ]  # fmt: skip
            return Node("object", children=children, **common)
        case "array" if depth < MOST_DEPTH:
            count = _count(schema, path, values, required=required)
            items = [
                _node(
                    schema.get("items", {}), root, f"{path}.{k}", f"{label} {k + 1}", required=required, values=values, errors=errors,
                    depth=depth + 1,
                )
                for k in range(count)
            ]  # fmt: skip
            least = max(1, schema.get("minItems", 0)) if required else 0
            return Node("list", children=items, more=count < _most(schema), fewer=count > least, hint=_items_hint(schema), **common)
        case "boolean":
            return Node("flag", options=("true", "false"), **common)
        case "integer":
            return Node("number", step="1", hint=_number_hint(schema), **common)
        case "number":
            return Node("number", step=str(schema.get("multipleOf", "any")), hint=_number_hint(schema), **common)
        case "string" if "enum" in schema:
            return Node("select", options=tuple(schema["enum"]), **common)
        case "string":
            hint = "like 2026-11-21T04:00:00Z" if schema.get("format") == "date-time" else ""
            return Node("text", most=schema.get("maxLength"), hint=hint, **common)
    return Node("json", hint="JSON", **common)


def _items_hint(schema: Schema) -> str:
    least, most = schema.get("minItems"), schema.get("maxItems")
    if least and most:
        return f"{least} to {most}"
    return f"at least {least}" if least else (f"at most {most}" if most else "")


def _number_hint(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f"{least} to {most}"
    return f"{least} or more" if least is not None else ""


# -- the payload --------------------------------------------------------------------------------------------------


def _value(schema: Schema, root: Schema, path: str, values: Values, errors: dict[str, str], *, required: bool, depth: int) -> Any:
    schema = _resolved(schema, root)
    kind = schema.get("type")
    if kind == "object" and _has_fields(schema, depth):
        parts = {}
        for name, part in schema.get("properties", {}).items():
            if name not in _NO_TEXT:
                needed = required and name in schema.get("required", ())
                found = _value(part, root, f"{path}.{name}", values, errors, required=needed, depth=depth + 1)
                if found is not _MISSING:
                    parts[name] = found
        return parts if parts or required else _MISSING
    if kind == "array" and depth < MOST_DEPTH:
        count = _count(schema, path, values, required=required)
        each = (
            _value(schema.get("items", {}), root, f"{path}.{k}", values, errors, required=required, depth=depth + 1) for k in range(count)
        )
        items = [item for item in each if item is not _MISSING]
        return items if items or required else _MISSING
    text = values.get(path, "")
    if not text.strip():
        if required:
            errors[path] = "Needed"
        return _MISSING
    return _scalar(kind, schema, path, text, errors)


def _scalar(kind: Any, schema: Schema, path: str, text: str, errors: dict[str, str]) -> Any:
    if kind == "string":
        if "enum" in schema and text not in schema["enum"]:
            errors[path] = "Choose one of the list"
        elif len(text) > schema.get("maxLength", len(text)):
            errors[path] = f"At most {schema['maxLength']} characters"
        return text
    if kind == "boolean":
        if text not in ("true", "false"):
            errors[path] = "true or false"
        return text == "true"
    if kind in ("integer", "number"):
        if kind == "integer" and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", text):
            return int(text)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if kind == "integer" or not math.isfinite(number):
            errors[path] = "A whole number" if kind == "integer" else "A number"
            return _MISSING
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        errors[path] = "JSON"
        return _MISSING


def _spread(path: str, found: Any, values: dict[str, str]) -> None:
    if isinstance(found, dict):
        for name, part in found.items():
            _spread(f"{path}.{name}", part, values)
    elif isinstance(found, list):
        values[f"n.{path}"] = str(min(MOST_ITEMS, len(found)))
        for k, part in enumerate(found[:MOST_ITEMS]):
            _spread(f"{path}.{k}", part, values)
    elif isinstance(found, bool):
        values[path] = "true" if found else "false"
    elif found is not None:
        values[path] = str(found)


# -- parts of schemas ---------------------------------------------------------------------------------------------


def _resolved(schema: Schema, root: Schema) -> Schema:
    for _ in range(MOST_DEPTH):
        if "$ref" not in schema:
            return schema
        schema = root.get("definitions", {}).get(str(schema["$ref"]).rpartition("/")[2], {})
    return {}


def _at(schema: Schema, path: str) -> tuple[Schema, bool]:
    """The part of the schema at a path of the form, and whether it is required; an empty one where there is none."""
    root, here, required = schema, _resolved(schema, schema), True
    steps = path.split(".")
    if steps[0] != "f" or len(steps) > 2 * MOST_DEPTH:
        return {}, False
    for step in steps[1:]:
        if here.get("type") == "array" and step.isdecimal():
            part = here.get("items")
        else:
            part, required = here.get("properties", {}).get(step), required and step in here.get("required", ())
        if not isinstance(part, Mapping):
            return {}, False
        here = _resolved(part, root)
    return here, required


def _has_fields(schema: Schema, depth: int) -> bool:
    """Whether an object is shown by its fields; one that may hold anything is JSON, but for a payload without any."""
    return depth == 0 or (bool(schema.get("properties")) and depth < MOST_DEPTH)


def _count(schema: Schema, path: str, values: Values, *, required: bool) -> int:
    said = values.get(f"n.{path}", "")
    if said.isascii() and said.isdecimal() and len(said) <= 4:
        return min(int(said), _most(schema))
    return max(1, schema.get("minItems", 0)) if required else 0


def _most(schema: Schema) -> int:
    return min(MOST_ITEMS, int(schema.get("maxItems", MOST_ITEMS)))
