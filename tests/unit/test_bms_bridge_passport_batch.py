"""The production batch that a passport's fields tell: maker, plant and month, or nothing at all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bms_bridge.passport.batch import MOST, batch_in, batch_of_sheet
from bms_bridge.passport.fields import BY_PATH, NO_TEXT, NO_TIME, put

NOW = datetime(2026, 11, 1, tzinfo=UTC)
GENERAL = "/GeneralProductInformation"
TOLD = {
    f"{GENERAL}/manufacturerInformation/identifier": "MB",
    f"{GENERAL}/manufacturingPlace/addressCountry": "India",
    f"{GENERAL}/manufacturingPlace/postalCode": "411057",
    f"{GENERAL}/manufacturingDate": "2024-03-31T23:30:00+05:30",
}


def document(absent: dict[str, Any] | None = None, **other: object) -> dict[str, Any]:
    aspects: dict[str, Any] = {}
    for path, value in TOLD.items():
        put(aspects, path, other.get(BY_PATH[path].name, value))
    return {"schema": "pack_passport/1", "aspects": aspects, "absent": absent or {}}


def test_maker_plant_and_month_are_a_batch() -> None:
    assert batch_in(document(), now=NOW) == "MB, INDIA 411057, 2024-03"
    assert batch_in(document(identifier="  mb ", postalCode=NO_TEXT), now=NOW) == "MB, INDIA, 2024-03"
    assert batch_of_sheet(TOLD, now=NOW) == "MB, INDIA 411057, 2024-03"
    long = batch_in(document(identifier="M" * 500, addressCountry="P" * 500), now=NOW)
    assert (len(long) <= MOST, long.endswith(", 2024-03")) == (True, True)
    named = document(identifier=NO_TEXT)
    put(named["aspects"], f"{GENERAL}/manufacturerInformation/contactName", "Makers of Batteries")
    assert batch_in(named, now=NOW) == "MAKERS OF BATTERIES, INDIA 411057, 2024-03"


@pytest.mark.parametrize(
    "other",
    [
        {"identifier": ""}, {"identifier": 7}, {"identifier": "M\x00B"}, {"manufacturingDate": "once"}, {"manufacturingDate": NO_TIME},
        {"manufacturingDate": "2031-01-01T00:00:00Z"}, {"manufacturingDate": ["2024-03-01"]}, {"addressCountry": None, "postalCode": None},
    ],
)  # fmt: skip
def test_without_one_of_them_or_with_one_that_cannot_be_there_is_none(other: dict[str, object]) -> None:
    assert batch_in(document(**other), now=NOW) == ""


def test_a_placeholder_is_no_value() -> None:
    absent = {f"{GENERAL}/manufacturingDate": {"kind": "unknown", "reason": "x"}}
    assert batch_in(document(absent), now=NOW) == ""
    assert batch_in({"schema": "other/9", "aspects": {}}, now=NOW) == ""
