"""Every required field is filled or marked unknown with the reason, in every tier; nothing of the vehicle leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_passport import NOW, passport
from jsonschema import Draft4Validator

from bms_bridge.passport import plausible, shape
from bms_bridge.passport.assemble import Identity, assemble, filled
from bms_bridge.passport.fields import ASPECTS, BY_PATH, FIELDS, Kind, at
from bms_bridge.passport.record import Known
from bms_bridge.passport.tiers import POINTS, Tier, shown_to

FOLDERS = ("GeneralProductInformation", "CarbonFootprint", "Circularity", "Labels", "MaterialComposition", "Performance")
GENERAL, CONDITION = "/GeneralProductInformation", "/Performance/batteryCondition"


def empty() -> dict[str, Any]:
    return assemble(Identity("kothrud", "urn:chargeyard:ab12"), Known(), now=NOW)


@pytest.mark.parametrize("tier", list(Tier))
@pytest.mark.parametrize("made", [passport, empty])
def test_each_required_field_is_filled_or_marked_with_the_reason(tier: Tier, made: Any) -> None:
    document = shown_to(made(), tier)
    for field in FIELDS:
        value, told = at(document["aspects"], field.path), document["absent"].get(field.path)
        if field.required:
            assert value is not None
            assert (told is None) == (field.path in document["provenance"]), field.path
        if told is not None:
            assert len(told["reason"]) > 20
            assert value == field.missing
    assert shape.complaints(document["aspects"]) == []
    assert plausible.findings(document["aspects"], now=NOW, absent=document["absent"]) == []


def test_a_tier_sees_its_points_of_annex_xiii_and_no_other() -> None:
    whole = passport()
    for tier in Tier:
        document = shown_to(whole, tier)
        for field in FIELDS:
            withheld = document["absent"].get(field.path, {}).get("kind") == "withheld"
            assert withheld == (field.point not in POINTS[tier])
            if withheld:
                assert field.path not in document["provenance"]
    public = json.dumps(shown_to(whole, Tier.PUBLIC))
    assert "protective trip" not in public
    assert "test.pdf" not in public
    assert "Graphite" not in public
    assert "test.pdf" in json.dumps(shown_to(whole, Tier.AUTHORITY))
    assert "assessment" not in shown_to(whole, Tier.LEGITIMATE_INTEREST)
    assert shown_to(whole, Tier.REPURPOSER)["assessment"]["state_of_health"]["low"] == 0.89


def test_values_say_where_they_are_from() -> None:
    document = passport()
    energy = document["provenance"][f"{CONDITION}/energyThroughput"]
    assert at(document["aspects"], f"{CONDITION}/energyThroughput") == 119_000.0
    assert energy["what"] == "record of life"
    assert energy["record_sha256"] == document["assessment"]["record_sha256"]
    assert "not seen 9000 h" in energy["method"]
    assert document["provenance"][f"{GENERAL}/batteryMass"]["what"] == "data sheet"
    assert "89.0% to 95.0%" in document["provenance"][f"{CONDITION}/capacityFade/capacityFadeValue"]["method"]
    assert document["details"][f"{GENERAL}/warrentyPeriod"] == {"name": "warranty_months", "value": 96}
    counted = filled(document)  # of this invented battery
    assert counted.required == sum(one.required for one in FIELDS)
    assert counted.filled == 51


def test_neither_vehicle_nor_placeholder_stands_where_it_must_not() -> None:
    assert "E-103" not in json.dumps(passport())
    for field in FIELDS:
        if field.kind is Kind.NUMBER and field.low is not None and not field.strict:
            assert field.missing < field.low


@pytest.mark.data
@pytest.mark.parametrize("tier", list(Tier))
def test_the_six_parts_are_valid_under_the_models_own_schemas(data_dir: Path, tier: Tier) -> None:
    for made in (passport(), empty()):
        document = shown_to(made, tier)
        for name, folder in zip(ASPECTS, FOLDERS, strict=True):
            schema = json.loads(next((data_dir / "passport" / "1.2.0" / folder).glob("*-schema.json")).read_text())
            assert [error.message for error in Draft4Validator(schema).iter_errors(document["aspects"][name])] == []


@pytest.mark.data
def test_our_fields_are_the_models_required_ones(data_dir: Path) -> None:
    """Each property that a schema requires is a field of ours, list members too; names are kept verbatim."""
    ours = {one.path for one in FIELDS} | {
        one.path + inner.path for one in FIELDS for inner in (*one.items, *(deep for item in one.items for deep in item.items))
    }
    for name, folder in zip(ASPECTS, FOLDERS, strict=True):
        schema = json.loads(next((data_dir / "passport" / "1.2.0" / folder).glob("*-schema.json")).read_text())
        for path in _leaves(schema, schema, f"/{name}"):
            assert path in ours or path.replace("/components", "", 1) in ours or any(path.endswith(end) for end in ours), path
    assert f"{CONDITION}/remainingEnergy/remainingEnergyalue" in BY_PATH


def _leaves(root: dict[str, Any], node: dict[str, Any], path: str) -> list[str]:
    while "$ref" in node or "allOf" in node:
        refer = node.get("$ref") or node["allOf"][0]["$ref"]
        node = root
        for step in refer.split("/")[1:]:
            node = node[step]
    if node.get("type") == "array":
        inner = _leaves(root, node["items"], path)
        return [path, *(one for one in inner if one != path)]
    found = [leaf for name in node.get("required", []) for leaf in _leaves(root, node["properties"][name], f"{path}/{name}")]
    return found or [path]
