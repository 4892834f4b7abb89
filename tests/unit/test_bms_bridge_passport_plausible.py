"""A document can have the right shape and be absurd: each absurdity has a check by name."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from fake_passport import NOW, passport
from hypothesis import given
from hypothesis import strategies as st

from bms_bridge.passport import PassportRefused, foreign, plausible, shape
from bms_bridge.passport.fields import FIELDS, NO_NUMBER, Field, Kind, put

TECHNICAL, CONDITION, GENERAL = "/Performance/batteryTechicalProperties", "/Performance/batteryCondition", "/GeneralProductInformation"


def checks(aspects: dict[str, Any], absent: dict[str, Any] | None = None) -> set[str]:
    return {one.check for one in plausible.findings(aspects, now=NOW, absent=absent)}


def altered(path: str, value: Any) -> set[str]:
    document = copy.deepcopy(passport())
    put(document["aspects"], path, value)
    return checks(document["aspects"], {k: v for k, v in document["absent"].items() if k != path})


@pytest.mark.parametrize(
    ("path", "value", "check"),
    [
        (f"{TECHNICAL}/ratedEnergy", -1.2e38, "rated_energy_in_range"),
        (f"{TECHNICAL}/ratedEnergy", 30, "energy_is_charge_times_voltage"),
        (f"{GENERAL}/batteryMass", 90_000, "energy_fits_mass"),
        (f"{TECHNICAL}/nominalVoltage", 700, "voltages_in_order"),
        (f"{TECHNICAL}/originalPowerCapability", [{"atSoC": 80, "powerCapabilityAt": 900}], "power_within_rating"),
        (f"{GENERAL}/batteryCategory", "lmt", "light_battery_is_light"),
        (f"{GENERAL}/puttingIntoService", "2020-01-01T00:00:00Z", "dates_in_order"),
        (f"{GENERAL}/manufacturingDate", "2027-06-01T00:00:00Z", "time_can_be"),
        (f"{GENERAL}/manufacturingDate", "2026-02-31T00:00:00Z", "time_can_be"),
        (f"{CONDITION}/remainingCapacity/remainingCapacityValue", 900, "remaining_within_rated"),
        (f"{CONDITION}/capacityFade/capacityFadeValue", 40, "fade_fits_capacity"),
        (f"{CONDITION}/numberOfFullCycles/numberOfFullCyclesValue", 5_000, "cycles_fit_throughput"),
        (f"{CONDITION}/capacityThroughput/capacityThroughputValue", 1_000, "throughput_fits_voltage"),
        (f"{CONDITION}/temperatureInformation/timeExtremeHighTemp", 2_000_000, "extremes_within_age"),
        ("/CarbonFootprint/carbonFootprintPerformanceClass", "eOMtThyhVNLWUZNRcBaQKxI", "performance_class_is_class"),
        ("/CarbonFootprint/carbonFootprintStudy", "telnet://192.0.2.16:80/", "web_address_is_real"),
        ("/CarbonFootprint/carbonFootprintStudy", "https://192.0.2.16/study", "web_address_is_real"),
        ("/Labels/declarationOfConformity", "urn:chargeyard:unknown", "placeholder_is_declared"),
        (f"{CONDITION}/powerFade", NO_NUMBER, "placeholder_is_declared"),
        (f"{GENERAL}/operatorInformation/contactName", "RYtGKbgicZaHCBRQDSx", "words_are_words"),
        (
            "/Circularity/recycledContent",
            [{"preConsumerShare": 60, "postConsumerShare": 60, "recycledMaterial": "Lead"}],
            "recycled_shares_sum",
        ),
    ],
)
def test_what_cannot_be_is_found_by_name(path: str, value: Any, check: str) -> None:
    assert check in altered(path, value)


def test_lists_are_looked_into() -> None:
    stages = [{"lifecycleStage": "Distribution", "carbonFootprint": 50}] * 2
    assert "carbon_stages_sum" in altered("/CarbonFootprint/carbonFootprintPerLifecycleStage", stages)
    material = {
        "batteryMaterialLocation": {"componentName": "Anode"}, "batteryMaterialIdentifier": "7439-93-3",
        "batteryMaterialName": "Lithium", "batteryMaterialMass": 9e6, "isCriticalRawMaterial": True,
    }  # fmt: skip
    assert altered("/MaterialComposition/batteryMaterials", [material]) >= {"cas_check_digit", "materials_within_mass"}
    substance = {"hazardousSubstanceConcentration": 70}
    many = [substance | {"hazardousSubstanceIdentifier": name} for name in ("7439-93-2", "7440-48-4")]
    assert "hazardous_shares_sum" in altered("/MaterialComposition/hazardousSubstances", many)


def test_a_value_cannot_hide_behind_the_word_unknown() -> None:
    document = copy.deepcopy(passport())
    path = f"{TECHNICAL}/ratedEnergy"
    put(document["aspects"], path, 1e300)
    document["absent"][path] = {"kind": "unknown", "reason": "so it says"}
    assert checks(document["aspects"], document["absent"]) >= {"absent_is_placeholder", "rated_energy_in_range"}


@pytest.mark.parametrize("value", [None, [], {}, "x", True, [1], [{"a": 1}], {"ratedEnergy": [[]]}, 10**400, float("nan"), float("inf")])
def test_nothing_of_any_kind_makes_the_checks_fall(value: Any) -> None:
    document = copy.deepcopy(passport())
    for field in FIELDS:
        put(document["aspects"], field.path, value)
    plausible.findings(document["aspects"], now=NOW)
    assert shape.complaints(document["aspects"])


@pytest.mark.parametrize(
    "name", ["TotalEnergiesSaft", "McKinleyPowerTech", "LiFePO4", "Schaeffler GmbH & Co", "SVOLT", "FinDreamsBattery", "ಬ್ಯಾಟರಿ"]
)
def test_names_of_makers_are_words(name: str) -> None:
    assert "words_are_words" not in altered(f"{GENERAL}/operatorInformation/contactName", name)


def test_real_addresses_and_numbers_pass() -> None:
    assert plausible.cas_fits("7439-93-2")
    assert not plausible.cas_fits("37-70-2")
    assert "web_address_is_real" not in altered("/CarbonFootprint/carbonFootprintStudy", "https://makers-of-batteries.in/study.pdf")
    assert plausible.range_check("atSoC") == "at_soc_in_range"


NUMBERS = [field for field in FIELDS if field.kind is Kind.NUMBER and field.low is not None]


@given(st.sampled_from(NUMBERS), st.floats(1e-3, 1e300), st.booleans())
def test_every_number_beyond_its_bounds_is_found_under_its_own_name(field: Field, beyond: float, below: bool) -> None:
    assert field.low is not None
    assert field.high is not None
    value = field.low - max(beyond, 1e-9 * abs(field.low)) if below else field.high + max(beyond, 1e-9 * abs(field.high))
    document = copy.deepcopy(passport())
    put(document["aspects"], field.path, value)
    found = plausible.findings(document["aspects"], now=NOW)
    named = {plausible.range_check(field.name)} if value != NO_NUMBER else {"placeholder_is_declared"}
    assert named & {one.check for one in found if one.path == field.path}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.tuples(st.sampled_from(FIELDS), ANYTHING), min_size=1, max_size=6), st.sampled_from(["", "absent", "aspects", "tier"]))
def test_mutated_passports_are_refused_or_judged_and_never_fall(changes: list[tuple[Field, Any]], broken: str) -> None:
    document = copy.deepcopy(passport())
    for field, value in changes:
        put(document["aspects"], field.path, value)
    if broken:
        document[broken] = changes[0][1]
    try:
        read = foreign.read(json.dumps(document).encode())
    except PassportRefused:
        return
    assert all(shape.complaints(read.aspects, read.parts))
    assert all(one.words for one in plausible.findings(read.aspects, now=NOW, absent=read.absent))


@pytest.mark.data
def test_the_absurd_values_of_the_models_own_examples_are_each_found(data_dir: Path) -> None:
    """Every number of 1e30 or beyond, every address that is no page, every e-mail of dots, in the five examples: by a check of its name."""
    seen = 0
    for path in sorted((data_dir / "passport" / "1.2.0").glob("*/*-payload.json")):
        read = foreign.read(path.read_bytes())
        found = {(one.check, one.path) for one in plausible.findings(read.aspects, now=NOW)}
        for field, place, value in foreign_values(read):
            name = ""
            if field.kind is Kind.NUMBER and (abs(value) > 1e15 or value < -1000):
                name = plausible.range_check(field.name)
            elif field.kind is Kind.URI and not value.startswith("http"):
                name = "web_address_is_real"
            elif field.kind is Kind.LETTERS:
                name = "email_is_address"
            if name:
                seen += 1
                assert (name, place) in found, place
    assert seen > 50
    composition = foreign.read(next((data_dir / "passport" / "1.2.0" / "MaterialComposition").glob("*-payload.json")).read_bytes())
    assert any("without blanks" in words for words in shape.complaints(composition.aspects, composition.parts))


def foreign_values(read: foreign.Foreign) -> list[tuple[Any, str, Any]]:
    from bms_bridge.passport.fields import every

    return [(field, place, value) for field, place, value in every(read.aspects) if value is not None]
