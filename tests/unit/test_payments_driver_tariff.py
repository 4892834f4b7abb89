"""A driver's tariff as our JSON and as OCPI's: round trips, the same digest, and what is refused by name."""

from __future__ import annotations

import json
from datetime import datetime
from fractions import Fraction
from typing import Any

import pytest

from payments import InvalidTariff
from payments.driver_tariff import Audience, DriverTariff
from payments.rules import INDIA
from payments.tariff_ocpi import OcpiVersion, from_ocpi, to_ocpi
from payments.tariff_text import digest_of, from_text, to_text, told

WHOLE = {
    "schema": "driver-tariff/1",
    "id": "night-1",
    "name": "Night and day",
    "valid_from": "2026-12-01T00:00:00+05:30",
    "valid_until": "2027-04-01T00:00:00+05:30",
    "min_price": "20",
    "max_price": "900.50",
    "for": {"groups": ["CABS"], "stations": ["CP-1"]},
    "elements": [
        {"energy": {"price": "9.50"}, "flat": {"price": "5", "without_energy": True}, "when": {"from": "22:00", "to": "06:00"}},
        {"energy": {"price": "12.25"}, "when": {"days": ["sat", "sun"], "from_kwh": "0.5", "to_kwh": "20", "from_min": 1, "to_min": 600}},
        {
            "energy": {"price": "14.50"},
            "time": {"price": "6"},
            "idle": {"price": "120", "grace_min": 15, "step_s": 60},
            "when": {"from_date": "2026-12-01", "to_date": "2027-03-31"},
        },
    ],
}


def whole() -> DriverTariff:
    return from_text(json.dumps(WHOLE))


def test_text_and_back_is_the_same_tariff_with_the_same_digest() -> None:
    tariff = whole()
    assert from_text(to_text(tariff)) == tariff
    assert digest_of(from_text(to_text(tariff))) == digest_of(tariff)
    assert tariff.elements[0].components[0].price_paise == 950
    assert tariff.audience == Audience(groups=frozenset({"CABS"}), stations=frozenset({"CP-1"}))


def test_a_price_that_is_no_decimal_stays_exact() -> None:
    tariff = from_text('{"schema":"driver-tariff/1","id":"x","elements":[{"energy":{"price":"29/3"}}]}')
    assert tariff.elements[0].components[0].price_paise == Fraction(2900, 3)
    assert from_text(to_text(tariff)) == tariff


@pytest.mark.parametrize("version", list(OcpiVersion))
def test_ocpi_and_back_is_the_same_tariff(version: OcpiVersion) -> None:
    sent = json.dumps(to_ocpi(whole(), version=version, tax=Fraction(18, 100)))
    back = from_ocpi(json.loads(sent))
    assert digest_of(back) == digest_of(whole().__class__(**{**_fields(whole()), **_moments(back)}))


def _fields(tariff: DriverTariff) -> dict[str, Any]:
    return {name: getattr(tariff, name) for name in DriverTariff.__dataclass_fields__}


def _moments(tariff: DriverTariff) -> dict[str, Any]:
    assert (tariff.valid_from, tariff.valid_until) == (whole().valid_from, whole().valid_until)  # the same moments, told in UTC
    return {"valid_from": tariff.valid_from, "valid_until": tariff.valid_until}


def test_ocpi_221_a_partners_tariff() -> None:
    tariff = from_ocpi(
        {
            "country_code": "IN", "party_id": "ABC", "id": "16", "currency": "INR", "type": "REGULAR",
            "min_price": {"excl_vat": 10.0, "incl_vat": 11.8}, "last_updated": "2026-11-01T00:00:00Z",
            "elements": [
                {
                    "price_components": [{"type": "ENERGY", "price": 14.5, "vat": 18.0, "step_size": 1}],
                    "restrictions": {"start_time": "09:00", "end_time": "18:00", "day_of_week": ["MONDAY", "FRIDAY"]},
                },
                {"price_components": [{"type": "PARKING_TIME", "price": 60, "step_size": 300}], "restrictions": {"min_duration": 3600}},
            ],
        }
    )  # fmt: skip
    assert told(tariff) == [
        "14.50 INR/kWh (09:00 to 18:00; Mon, Fri)",
        "60.00 INR an hour once full (after 60 min)",
        "At least 10.00 INR a session with energy",
    ]


ENERGY = {"type": "ENERGY", "price": 1, "step_size": 1}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"elements": [{"price_components": [ENERGY], "restrictions": {"max_power": 22}}]}, r"elements\[0\].restrictions: max_power"),
        ({"elements": [{"price_components": [ENERGY], "restrictions": {"reservation": "RESERVATION"}}]}, "reservation is not supported"),
        ({"elements": [{"price_components": [{**ENERGY, "type": "CO2"}]}]}, "'CO2' is not supported; there are ENERGY"),
        ({"elements": [{"price_components": [ENERGY, ENERGY]}]}, "a second price of ENERGY"),
        ({"preauthorize_amount": 5}, "preauthorize_amount is not supported"),
        ({"tax_included": "YES"}, "tax_included"),
        ({"min_price": {"excl_vat": 10, "incl_vat": 99}}, "min_price.incl_vat"),
        ({"elements": [{"price_components": [{**ENERGY, "price": -1}]}]}, "no number from 0"),
        ({"elements": "x"}, "elements is a list"),
    ],
)
def test_ocpi_what_cannot_be_billed_is_refused_by_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidTariff, match=words):
        from_ocpi({"id": "1", "currency": "INR", "elements": [{"price_components": [ENERGY]}], **change})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": "tariff/1"}, "driver-tariff import"),
        ({"prise": 1}, "'prise' is not known"),
        ({"elements": []}, "0 elements"),
        ({"elements": [{"energy": {"price": "-1"}}]}, r"elements\[0\].energy.price: '-1' is no number"),
        ({"elements": [{"energy": {"price": "1", "step_s": 5}}]}, "'step_s' is not known"),
        ({"elements": [{"energy": {"price": "1"}, "when": {"from": "25:00", "to": "06:00"}}]}, "no time of day"),
        ({"elements": [{"energy": {"price": "1"}, "when": {"from": "22:00"}}]}, "together"),
        ({"elements": [{"energy": {"price": "1"}, "when": {"days": ["someday"]}}]}, "no weekday"),
        ({"elements": [{"time": {"price": "1", "step_s": 60}}, {"time": {"price": "2"}}]}, "a step above 1"),
        ({"min_price": "10", "max_price": "5"}, "least price is above"),
        ({"min_price": "0.005"}, "finer than a paisa"),
        ({"valid_from": "2026-12-01"}, "time zone"),
        ({"valid_from": "2026-12-01T00:00Z", "valid_until": "2026-11-01T00:00Z"}, "ends before"),
        ({"timezone": "Mars/Base"}, "no IANA"),
        ({"elements": [{"energy": {"price": "99999999"}}]}, "not between 0"),
        ({"id": "a b"}, "id has"),
    ],
)
def test_a_file_that_is_wrong_says_where(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidTariff, match=words):
        from_text(json.dumps({**WHOLE, **change}))


@pytest.mark.parametrize("text", ["", "[]", "nul", "[" * 100_000, '{"schema":"driver-tariff/1","elements":[NaN]}', "x" * 70_000])
def test_hostile_files_are_refused(text: str) -> None:
    with pytest.raises(InvalidTariff):
        from_text(text)


def test_the_more_particular_audience_wins() -> None:
    ranks = [
        Audience(), Audience(stations=frozenset("s")), Audience(groups=frozenset("g")), Audience(drivers=frozenset("d")),
    ]  # fmt: skip
    assert sorted(ranks, key=lambda a: a.rank) == ranks
    driver = Audience(drivers=frozenset({"d1"}))
    assert driver.fits(driver_id="d1", group="", station_id="x")
    assert not driver.fits(driver_id="d2", group="", station_id="x")
    assert not Audience(groups=frozenset({"g"})).fits(driver_id="d1", group="", station_id="x")


def test_validity_is_half_open() -> None:
    tariff = whole()
    assert tariff.holds_at(datetime(2026, 12, 1, tzinfo=INDIA))
    assert not tariff.holds_at(datetime(2027, 4, 1, tzinfo=INDIA))
