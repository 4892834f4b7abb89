"""Compiled validators of the OCPP schemas that the ``ocpp`` package ships: strict first, then named repairs.

Real chargers break the schema in known, harmless ways (reference list: unit ``Hz``, numbers for strings, an object
for an array, keys that do not belong). Each repair has a name, so that a station's violations can be counted and
shown. Only what no repair helps is refused, with the CALLERROR code that fits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fastjsonschema

from ocpp_server.errors import ErrorCode, PayloadViolation
from ocpp_server.familiar import INTEGER_MOST, Familiar, described_2x, described_16
from ocpp_server.version import Version

Schema = dict[str, Any]
Payload = dict[str, Any]

_CODES = {
    "required": ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
    "minItems": ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
    "maxItems": ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
    "type": ErrorCode.TYPE_CONSTRAINT_VIOLATION,
    "additionalProperties": ErrorCode.FORMATION_VIOLATION,
}
_OTHERWISE = {
    "errorCode": ("OtherError",),
    "reason": ("Other", "Unknown"),
    "stoppedReason": ("Other",),
    "triggerReason": ("AbnormalCondition",),
    "type": ("Local",),
}
"""Enumerations with a member for everything else, or with one that claims little; the first that the schema has."""
_FOLDERS = {Version.V16: "v16", Version.V201: "v201", Version.V21: "v21"}
UNANSWERED = frozenset({"NotifyPeriodicEventStream"})
"""Messages of 2.1 that are sent, not asked: no request, and no response to it."""
_FAMILIAR = {("MeterValues", Version.V16): Familiar(described_16)} | {
    (name, version): Familiar(described_2x) for name in ("MeterValues", "TransactionEvent") for version in (Version.V201, Version.V21)
}
"""Of the messages that come all the time."""
NUMBER_MOST = 1e300
_VOID = object()
"""A part that cannot be repaired and whose owner is better off without it."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A payload that may be used, and the names of the repairs that it needed (none: it kept the schema)."""

    payload: Payload
    repairs: tuple[str, ...] = ()


def parse(name: str, payload: Payload, version: Version = Version.V16) -> Parsed:
    """Validate a payload against schema ``name`` (``MeterValues``, ``ResetResponse``); raise :class:`PayloadViolation`."""
    familiar = _FAMILIAR.get((name, version))
    described = None if familiar is None else familiar.described(payload)
    if familiar is not None and familiar.knows(described):
        return Parsed(payload)
    try:
        validator(name, version)(payload)
    except fastjsonschema.JsonSchemaValueException:
        return _repaired(name, payload, version)
    if _has_odd_number(payload):
        return _repaired(name, payload, version)  # to the validator 1.0 and 1e30 are integers, and none is too large
    if familiar is not None:
        familiar.learn(described)
    return Parsed(payload)


@lru_cache(maxsize=256)
def validator(name: str, version: Version = Version.V16) -> Callable[[Payload], object]:
    """The compiled strict validator. Formats are not checked here: dates are read, and doubted, where they are used."""
    return _compile(_schema(name, version))


@lru_cache(maxsize=256)
def _relaxed_validator(name: str, version: Version) -> Callable[[Payload], object]:
    """As :func:`validator`, but lists may be empty: repairs drop elements that say nothing."""
    return _compile(_without_min_items(_schema(name, version)))


def _compile(schema: Schema) -> Callable[[Payload], object]:
    compiled: Callable[[Payload], object] = fastjsonschema.compile(schema, use_formats=False, use_default=False)
    return compiled


def schema_of(name: str, version: Version = Version.V16) -> Schema:
    """The schema itself, for who shows it. Not to be changed."""
    return _schema(name, version)


@lru_cache(maxsize=256)
def _schema(name: str, version: Version) -> Schema:
    file = name if version is Version.V16 or name.endswith("Response") or name in UNANSWERED else f"{name}Request"
    text = (_folder(version) / f"{file}.json").read_text(encoding="utf-8-sig")
    schema: Schema = json.loads(text)
    schema.pop("id", None)  # a relative id would be resolved against the network
    return schema


@cache
def _folder(version: Version) -> Path:
    """Where the package keeps them. Found, not imported: its message classes take a second and are not needed here."""
    found = find_spec("ocpp")
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0]) / _FOLDERS[version] / "schemas"


def members(name: str, enumeration: str, version: Version) -> frozenset[str]:
    """What an enumeration of 2.x that schema ``name`` uses may say."""
    return frozenset(_schema(name, version)["definitions"][enumeration]["enum"])


def _without_min_items(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _without_min_items(value) for key, value in part.items() if key != "minItems"}
    return [_without_min_items(value) for value in part] if isinstance(part, list) else part


def _has_odd_number(part: Any) -> bool:
    """Whether there is a whole number that is written as a float, or one that no column and no meter holds."""
    if isinstance(part, dict):
        return any(_has_odd_number(inner) for inner in part.values())
    if isinstance(part, list):
        return any(_has_odd_number(inner) for inner in part)
    return part.is_integer() if isinstance(part, float) else isinstance(part, int) and abs(part) >= INTEGER_MOST


def _repaired(name: str, payload: Payload, version: Version) -> Parsed:
    repairs: list[str] = []
    root = _schema(name, version)
    repaired = _repair(payload, root, root, "", repairs)
    try:
        _relaxed_validator(name, version)(repaired)
    except fastjsonschema.JsonSchemaValueException as broken:
        code = _CODES.get(str(broken.rule), ErrorCode.PROPERTY_CONSTRAINT_VIOLATION)
        raise PayloadViolation(code, broken.message.replace("data", name, 1)[:255]) from None
    assert isinstance(repaired, dict)
    return Parsed(repaired, tuple(dict.fromkeys(repairs)))


def _repair(value: Any, schema: Schema, root: Schema, key: str, repairs: list[str]) -> Any:
    """The value as the schema wants it, as far as a known repair reaches; :data:`_VOID` where its owner must drop it."""
    if "$ref" in schema:
        schema = root["definitions"][schema["$ref"].rpartition("/")[2]]
    match schema.get("type"):
        case "object" if isinstance(value, dict):
            return _repair_object(value, schema, root, repairs)
        case "array":
            return _repair_array(value, schema, root, key, repairs)
        case "string":
            return _repair_string(value, schema, key, repairs)
        case "integer" | "number" as kind:
            return _repair_number(value, kind, repairs)
        case "boolean" if isinstance(value, str) and value.lower() in ("true", "false"):
            repairs.append("string_as_boolean")
            return value.lower() == "true"
    return value


def _repair_object(value: Payload, schema: Schema, root: Schema, repairs: list[str]) -> Any:
    properties, required = schema.get("properties", {}), schema.get("required", ())
    repaired: Payload = {}
    for key, part in value.items():
        if key not in properties:
            if schema.get("additionalProperties", True) is False:
                repairs.append("extra_key")
                continue
            repaired[key] = part
            continue
        if part is None and key not in required:
            repairs.append("null_value")
            continue
        part = _repair(part, properties[key], root, key, repairs)
        if part is not _VOID:
            repaired[key] = part
        elif key in ("unit", "measurand", "phase", "format"):
            return _VOID  # a value whose unit or meaning is unknown is no value
    return repaired


def _repair_array(value: Any, schema: Schema, root: Schema, key: str, repairs: list[str]) -> Any:
    if isinstance(value, dict):
        repairs.append("object_as_array")
        value = [value]
    if not isinstance(value, list):
        return value
    parts = []
    for part in value:
        part = _repair(part, schema.get("items", {}), root, key, repairs)
        if part is _VOID or (isinstance(part, dict) and part.get("sampledValue") == []):
            repairs.append("unusable_element")
            continue
        parts.append(part)
    if not parts and schema.get("minItems"):
        repairs.append("empty_array")
    return parts


def _repair_string(value: Any, schema: Schema, key: str, repairs: list[str]) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**64:
        repairs.append("number_as_string")
        value = str(value)
    if not isinstance(value, str):
        return value
    members = schema.get("enum")
    if members and value not in members:
        for member in members:
            if member.lower() == value.strip().lower():
                repairs.append("enum_spelling")
                return member
        repairs.append(f"unknown_{key}")
        otherwise = next((member for member in _OTHERWISE.get(key, ()) if member in members), None)
        if otherwise is not None:
            return otherwise
        return _VOID if key in _OPTIONAL_ENUMS else value
    if len(value) > schema.get("maxLength", len(value)):
        repairs.append("too_long")
        return value[: schema["maxLength"]]
    return value


_OPTIONAL_ENUMS = frozenset({"unit", "measurand", "context", "location", "phase", "format"})


def _repair_number(value: Any, kind: str, repairs: list[str]) -> Any:
    if isinstance(value, str):
        try:
            value = int(value) if len(value) <= 16 and value.strip().lstrip("+-").isdecimal() else float(value)
        except ValueError:
            return value
        repairs.append("string_as_number")
    if isinstance(value, int | float) and not abs(value) < (INTEGER_MOST if kind == "integer" else NUMBER_MOST):
        raise PayloadViolation(ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, f"{kind}: a number is too large to be meant")
    if kind == "integer" and isinstance(value, float):
        if value != int(value):
            repairs.append("float_as_integer")
        return round(value)
    return value
