"""The table: complete, in order, never above the hard limits, tightened but not loosened."""

from __future__ import annotations

import pytest

from bms_bridge import InvalidThreshold
from bms_bridge.chemistry import ALARMS, TABLE, Chemistry, Effect, effect_of


@pytest.mark.parametrize("chemistry", Chemistry)
def test_every_chemistry_trips_at_60_degrees_or_below_and_derates_before(chemistry: Chemistry) -> None:
    row = TABLE[chemistry]
    assert row.trip_c <= 60
    assert row.derate_from_c + 5 <= row.trip_c
    assert row.reset_below_c < row.derate_from_c


def test_an_unknown_chemistry_is_the_most_delicate_one() -> None:
    unknown = TABLE[Chemistry.UNKNOWN]
    for row in TABLE.values():
        assert (unknown.trip_c, unknown.derate_from_c, unknown.reset_below_c) <= (row.trip_c, row.derate_from_c, row.reset_below_c)
        assert (unknown.cold_stop_c, unknown.cold_full_c) >= (row.cold_stop_c, row.cold_full_c)


def test_thresholds_are_tightened() -> None:
    row = TABLE[Chemistry.LFP].tightened(trip_c=58, derate_from_c=46, cold_full_c=15)
    assert (row.trip_c, row.derate_from_c, row.cold_full_c) == (58, 46, 15)


@pytest.mark.parametrize("change", [{"trip_c": 61}, {"derate_from_c": 50}, {"cold_stop_c": -5}, {"spread_c": 12}])
def test_thresholds_are_not_loosened(change: dict[str, float]) -> None:
    with pytest.raises(InvalidThreshold, match="not loosened"):
        TABLE[Chemistry.LFP].tightened(**change)


@pytest.mark.parametrize(("change", "words"), [({"trip_c": 50}, "derate_full_c"), ({"trip": 50}, "no threshold")])
def test_thresholds_out_of_order_or_unknown(change: dict[str, float], words: str) -> None:
    with pytest.raises(InvalidThreshold, match=words):
        TABLE[Chemistry.LFP].tightened(**change)


def test_an_alarm_that_nobody_knows_derates() -> None:
    assert effect_of("flux_capacitor") is Effect.DERATE
    assert {effect_of(alarm) for alarm in ALARMS} == {Effect.TRIP, Effect.DERATE}
