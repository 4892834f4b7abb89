"""Data sheets: what is written is checked, all mistakes are told at once."""

from __future__ import annotations

import pytest
from fake_passport import PACK, SHEETS, record, sheets

from bms_bridge.passport import SheetRefused
from bms_bridge.passport.record import Health, is_edge, own_health
from bms_bridge.passport.sheet import read
from depot.values import PackKey


def test_a_sheet_gives_values_of_the_model_to_its_packs() -> None:
    found = sheets().of(PACK)
    assert found is not None
    assert (found.model, found.rated_ah, found.details["warranty_months"]) == ("EB-300", 500.0, 96)
    assert found.values["/GeneralProductInformation/manufacturingDate"] == "2024-03-01T00:00:00Z"
    assert found.values["/MaterialComposition/batteryMaterials"][0]["batteryMaterialLocation"] == {"componentName": "Anode"}
    assert sheets().of(PackKey("E-104", "P1")) is None
    assert len(found.sha256) == 64


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"mass_kg = 2100", b"mas_kg = 2100", "did you mean mass_kg"),
        (b"mass_kg = 2100", b"mass_kg = 1e300", "cannot be"),
        (b"mass_kg = 2100", b'mass_kg = "heavy"', "no number"),
        (b"mass_kg = 2100", b"mass_kg = nan", "no number"),
        (b'category = "ev"', b'category = "car"', "none of ev"),
        (b'cas = "7782-42-5"', b'cas = "7782-42-5 "', "without blanks"),
        (b'part = "Anode", ', b"", "componentName is missing"),
        (b"warranty_months = 96", b"warranty_months = -4", "not within 1 and 600"),
        (b"made_on = 2024-03-01", b'made_on = "spring"', "a time such as"),
        (b'pack = "P1"\nmodel = "EB-300"', b'pack = "P1"\nmodel = "EB-301"', "no battery of the model"),
        (b"[operator]", b"[[operator]]", "write a table"),
        (b"[[pack]]", b"[[pack]]\nvehicle = 7\n[[pack]]", "write vehicle"),
        (b"[[pack]]", b"[[pack", "no TOML"),
        (b"Kothrud Depot", b"\xff\xfe", "UTF-8"),
    ],
)
def test_mistakes_are_told_with_their_place(old: bytes, new: bytes, words: str) -> None:
    assert old in SHEETS
    with pytest.raises(SheetRefused, match=words):
        read(SHEETS.replace(old, new))


def test_the_batterys_own_word_is_taken_as_such_and_nonsense_is_not() -> None:
    found = own_health(record())
    assert found is not None
    assert (found.soh, found.own_word, found.low) == (0.93, True, None)
    assert own_health(record(months=[{"month": "2026-10", "soh": 9.0}])) is None
    assert own_health(None) is None
    with pytest.raises(ValueError, match="within its interval"):
        Health(0.8, found.at, "x", low=0.9, high=0.95)


def test_extreme_temperatures_are_cut_at_edges_of_the_record() -> None:
    hours = record()["hours_by_temperature_c"]
    assert is_edge(hours, 45)
    assert is_edge(hours, 0)
    assert not is_edge(hours, 47)
