"""Rates of the Utility Rate Database: what they say with tables of hours, and what is refused."""

from __future__ import annotations

import contextlib
import json
from datetime import date, datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid import GridError
from grid.tariff import InvalidTariff, Tariff
from grid.tariff.files import tree_of_text
from grid.tariff.hours import Hours, Valid
from grid.tariff.rule import Highest, Recorded, terms

DENVER = ZoneInfo("America/Denver")
SUMMER = [1] * 12 + [2] * 8 + [1] * 4
WINTER = [0] * 24


def rate(**more: Any) -> dict[str, Any]:
    """Winter flat; June to August 12 to 20 h dear on weekdays, cheap on weekends."""
    return {
        "label": "5abc",
        "name": "TOU-D",
        "utility": "A Power Company",
        "source": "tariff book, sheet 7",
        "startdate": 1577836800,
        "energyratestructure": [[{"rate": 0.09, "adj": 0.005}], [{"rate": 0.11}], [{"rate": 0.2345, "unit": "kWh"}]],
        "energyweekdayschedule": [SUMMER if month in (5, 6, 7) else WINTER for month in range(12)],
        "energyweekendschedule": [[1] * 24 if month in (5, 6, 7) else WINTER for month in range(12)],
        "flatdemandstructure": [[{"rate": 12.5}]],
        "flatdemandmonths": [0] * 12,
        "demandratchetpercentage": [0.8] * 12,
        "demandwindow": 30,
        "fixedchargefirstmeter": 42.17,
        "fixedchargeunits": "$/month",
        **more,
    }


def read(tree: Any) -> Tariff:
    return Tariff.of_tree(tree_of_text(json.dumps(tree), ".json"), timezone="America/Denver")


def test_periods_become_rules_of_the_day() -> None:
    tariff = read(rate())
    hours = {
        (2025, 1, 6, 13): "0.095",
        (2025, 6, 2, 11): "0.11",
        (2025, 6, 2, 12): "0.2345",
        (2025, 6, 2, 20): "0.11",
        (2025, 6, 7, 13): "0.11",
        (2025, 9, 1, 13): "0.095",
    }
    for moment, price in hours.items():
        assert tariff.price_per_kwh(datetime(*moment, tzinfo=DENVER)) == Fraction(price), moment
    assert (tariff.timezone, tariff.currency, tariff.valid) == ("America/Denver", "USD", Valid(date(2020, 1, 1)))
    (demand,) = tariff.demand
    assert (demand.rate, demand.block_min) == (Fraction("12.5"), 30)
    assert [(type(term), term.factor) for term in terms(demand.billing_rule) if isinstance(term, Recorded | Highest)] == [
        (Recorded, 1),
        (Highest, Fraction("0.8")),
    ]
    assert tariff.fixed[0].amount == Fraction("42.17")


def test_tiers_become_slabs_and_hours_of_demand_a_layer_each() -> None:
    hours = [0] * 14 + [1] * 6 + [0] * 4
    tariff = read(
        rate(
            energyratestructure=[[{"rate": 0.1, "max": 500}, {"rate": 0.2}]],
            energyweekdayschedule=[WINTER] * 12,
            energyweekendschedule=None,
            demandratestructure=[[{"rate": 0}], [{"rate": 7}]],
            demandweekdayschedule=[hours] * 12,
            demandweekendschedule=[hours] * 12,
        )
    )
    assert [(slab.up_to, slab.rate) for slab in tariff.energy[0].slabs] == [(500, Fraction("0.1")), (None, Fraction("0.2"))]
    assert tariff.demand[1].billing_rule == Recorded(Fraction(1), Hours(14 * 60, 20 * 60))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"energyratestructure": [[{"rate": 1, "max": 5}, {"rate": 2}]] * 3}, "tiers and times of day at once"),
        ({"energyratestructure": [[{"rate": 1, "unit": "kWh daily"}]] * 3}, "only kWh a month"),
        ({"energyratestructure": []}, "1 to 60 periods"),
        ({"energyweekdayschedule": [[9] * 24] * 12}, "from 0 to 2"),
        ({"energyweekdayschedule": [[0] * 23] * 12}, "24 numbers"),
        ({"flatdemandmonths": [0] * 6 + [1] * 6, "flatdemandstructure": [[{"rate": 1}], [{"rate": 2}]]}, "differs between months"),
        ({"flatdemandunit": "hp"}, "only kW and kVA"),
        ({"demandratchetpercentage": [0.8, 0.5]}, "twelve times the same"),
        ({"demandwindow": 7}, "blocks must fill the day"),
        ({"minmonthlycharge": 100}, "minmonthlycharge has no place"),
        ({"fixedchargeunits": "$/year"}, "only \\$/month"),
        ({"startdate": "soon"}, "is no day"),
        ({"energyratestructure": [[{"rate": "x"}], [{"rate": 1}], [{"rate": 1}]]}, "not a finite number"),
    ],
)
def test_what_the_layers_cannot_say_is_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidTariff, match=says):
        read(rate(**more))


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(sorted(rate())),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["rate", "adj", "max", "unit"]), inner, max_size=2),
        max_leaves=6,
    ),
)
def test_whatever_stands_there_the_only_error_is_ours(key: str, value: Any) -> None:
    with contextlib.suppress(GridError):
        read(rate(**{key: value})).price_per_kwh(datetime(2025, 6, 2, 12, tzinfo=DENVER))
