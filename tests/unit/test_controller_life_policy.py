"""What another way of charging does to the years: less stress is longer life, in the amounts of the table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.life_policy import Use, checked, pace, policies
from optimizer.life_table import rates_of

USE = Use("NMC", temp_c=35.0, cycles_per_year=250.0, top_soc=1.0, depth=0.5, full_hours=12.0, rate_c=0.75)


def test_the_pace_is_the_tables() -> None:
    rates = rates_of("NMC_50Ah_B1", 35.0)
    mean_soc = 0.5 * 1.0 + 0.5 * 0.75
    cycles = 250 * rates.cycle * (1 + rates.steep_per_c * 0.5)
    assert pace(USE) == pytest.approx(rates.at_empty + rates.per_soc * mean_soc + cycles)
    assert pace(USE, (2.0, 2.0)) == pytest.approx(2 * pace(USE))


def test_kinder_ways_last_longer_and_calendar_factors_weigh_the_state_of_charge() -> None:
    found = {policy.words: policy.stretch for policy in policies(USE)}
    assert len(found) == 4
    assert min(found.values()) > 1
    lower = "90% instead of 100% when ready"
    assert found[lower] == pytest.approx(pace(USE) / pace(replace(USE, top_soc=0.9)))
    assert {policy.words: policy.stretch for policy in policies(USE, (4.0, 1.0))}[lower] > found[lower]


def test_what_changes_nothing_is_not_told() -> None:
    words = [policy.words for policy in policies(replace(USE, top_soc=0.6, full_hours=1.0, rate_c=0.2))]
    assert words == ["5 °C cooler (30 °C)"]


def test_numbers_that_cannot_be_are_told() -> None:
    assert checked(USE) == []
    assert "--temp" in checked(replace(USE, temp_c=400.0))[0]
    assert "--depth" in checked(replace(USE, top_soc=0.4, depth=0.9))[0]
    with pytest.raises(KeyError):
        pace(replace(USE, chemistry="LTO"))
