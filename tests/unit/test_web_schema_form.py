"""Forms from OCPP's own schemas: what is typed becomes the payload, and what is left empty is left out."""

from __future__ import annotations

from typing import Any

import fastjsonschema
import pytest

from ocpp_server.actions import CALLS
from ocpp_server.schemas import schema_of, validator
from ocpp_server.version import Version
from web.schema_form import MOST_ITEMS, Node, build, changed, payload, spread

PROFILE = schema_of("SetChargingProfile")
FILLED = {
    "f.connectorId": "1",
    "f.csChargingProfiles.chargingProfileId": "7",
    "f.csChargingProfiles.stackLevel": "2",
    "f.csChargingProfiles.chargingProfilePurpose": "TxProfile",
    "f.csChargingProfiles.chargingProfileKind": "Absolute",
    "f.csChargingProfiles.chargingSchedule.chargingRateUnit": "A",
    "f.csChargingProfiles.chargingSchedule.chargingSchedulePeriod.0.startPeriod": "0",
    "f.csChargingProfiles.chargingSchedule.chargingSchedulePeriod.0.limit": "16.1",
}
PERIODS = "f.csChargingProfiles.chargingSchedule.chargingSchedulePeriod"


def leaves(node: Node) -> list[Node]:
    return [leaf for child in node.children for leaf in leaves(child)] if node.kind in ("object", "list") else [node]


@pytest.mark.parametrize(("version", "action"), [(v, a) for v in CALLS for a in sorted(CALLS[v])], ids=str)
def test_every_call_of_every_version_has_a_form_and_its_own_payload_comes_back(version: Version, action: str) -> None:
    schema = schema_of(action, version)
    form = build(schema, {})
    paths = [leaf.path for leaf in leaves(form)]
    assert len(paths) == len(set(paths))
    values = {leaf.path: _some(leaf) for leaf in leaves(form) if leaf.required}
    found, errors = payload(schema, values)
    assert not errors
    validator(action, version)(found)
    assert payload(schema, spread(found)) == (found, {})


def _some(leaf: Node) -> str:
    if leaf.options:
        return leaf.options[0]
    return "1" if leaf.kind == "number" else ("2026-11-21T04:00:00Z" if "2026" in leaf.hint else "x")


def test_a_nested_call_with_a_list() -> None:
    found, errors = payload(PROFILE, FILLED)
    assert not errors
    assert found["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 16.1}]
    assert "validFrom" not in found["csChargingProfiles"]


def test_items_are_added_at_the_end_and_removed_there() -> None:
    values = changed(PROFILE, FILLED, f"add:{PERIODS}")
    assert values[f"n.{PERIODS}"] == "2"
    values |= {f"{PERIODS}.1.startPeriod": "60", f"{PERIODS}.1.limit": "8"}
    found, _ = payload(PROFILE, values)
    assert len(found["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"]) == 2
    less = changed(PROFILE, values, f"drop:{PERIODS}")
    assert payload(PROFILE, less)[0] == payload(PROFILE, FILLED)[0]
    assert f"{PERIODS}.1.limit" not in less


def test_an_optional_list_begins_empty() -> None:
    schema = schema_of("GetConfiguration")
    assert payload(schema, {}) == ({}, {})
    values = changed(schema, {}, "add:f.key") | {"f.key.0": "HeartbeatInterval"}
    assert payload(schema, values) == ({"key": ["HeartbeatInterval"]}, {})


@pytest.mark.parametrize("act", ["add:f.nowhere", "add:f.connectorId", "drop:g", "add:", "x", "add:f" + ".a" * 99, f"add:{PERIODS}.x"])
def test_a_press_on_what_is_no_list_changes_nothing(act: str) -> None:
    assert changed(PROFILE, FILLED, act) == FILLED


def test_a_list_has_an_end() -> None:
    assert changed(PROFILE, FILLED | {f"n.{PERIODS}": "9999"}, f"add:{PERIODS}")[f"n.{PERIODS}"] == str(MOST_ITEMS)


@pytest.mark.parametrize(
    ("path", "typed"),
    [
        ("f.connectorId", ""),
        ("f.connectorId", "one"),
        ("f.connectorId", "1.5"),
        ("f.connectorId", "9" * 40),
        ("f.csChargingProfiles.chargingProfilePurpose", "MyProfile"),
        (f"{PERIODS}.0.limit", "nan"),
        (f"{PERIODS}.0.limit", "1e999"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(path: str, typed: str) -> None:
    _, errors = payload(PROFILE, FILLED | {path: typed})
    assert list(errors) == [path]
    form = build(PROFILE, FILLED | {path: typed}, errors)
    assert [leaf.path for leaf in leaves(form) if leaf.error] == [path]


def test_a_part_that_is_begun_is_the_schemas_to_judge() -> None:
    """An optional object with one of its required parts: sent as typed, and refused with the norm's own words."""
    schema = schema_of("RemoteStartTransaction")
    found, errors = payload(schema, {"f.idTag": "A", "f.chargingProfile.stackLevel": "1"})
    assert (found, errors) == ({"idTag": "A", "chargingProfile": {"stackLevel": 1}}, {})
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        validator("RemoteStartTransaction")(found)


def test_references_that_lead_nowhere_or_round_end() -> None:
    a, b = {"$ref": "#/definitions/A"}, {"$ref": "#/definitions/B"}
    loop: dict[str, Any] = {"definitions": {"A": a}, "type": "object", "properties": {"a": a}}
    assert leaves(build(loop, {}))[0].kind == "json"
    deep: dict[str, Any] = {"definitions": {"B": {"type": "object", "properties": {"b": b}}}, "$ref": "#/definitions/B"}
    assert len(leaves(build(deep, {}))) == 1
    assert payload(deep, {}) == ({}, {})
