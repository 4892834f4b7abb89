"""What people read of a battery's rules: numbers of this battery, not names of settings."""

from __future__ import annotations

import re

import pytest

from bms_bridge.chemistry import TABLE, Chemistry
from bms_bridge.rules import RULES, TIMED
from controller.pack_viewer import in_numbers


def test_thresholds_are_told_in_numbers_with_their_units() -> None:
    limits = TABLE[Chemistry.LFP]
    assert in_numbers("`trip_c`, once", limits) == f"{limits.trip_c:g} °C, once"
    assert in_numbers("`runaway_c_per_s` over 3 s", limits) == f"{limits.runaway_c_per_s:g} K/s over 3 s"
    assert in_numbers("a sensor `spread_trip_c` above", limits) == f"a sensor {limits.spread_trip_c:g} K above"
    assert in_numbers("the detector's `trip`", limits) == "the detector's trip"


@pytest.mark.parametrize("declared", [rule.declared for rule in (*RULES, *TIMED)], ids=lambda declared: declared.name)
def test_no_rule_shows_the_name_of_a_setting(declared: object) -> None:
    told = in_numbers(declared.threshold, TABLE[Chemistry.NMC])  # type: ignore[attr-defined]
    named = re.findall(r"\w+_(?:c|v|share|per_s|per_v|rate|s)\b", told)
    assert not named, told
