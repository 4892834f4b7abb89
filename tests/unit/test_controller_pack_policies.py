"""What other ways of charging would change for a pack: out of its own days and years, by the fleet's own pace; or why nothing is told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bms_bridge.estimates.use import daily_habit
from bms_bridge.estimates.view import HealthEstimate
from bms_bridge.lake.lifetime import Life
from controller.pack_policies import otherwise

NOW = datetime(2026, 11, 22, tzinfo=UTC)
HABIT = {"temp_c": 33.0, "mean_soc": 0.8, "rate_c": 0.4, "top_soc": 1.0, "full_hours": 10.0, "depth": 0.6}


def life(value: float | None = 1500.0, **detail: object) -> HealthEstimate:
    told = {"cycles_a_year": 250.0, "habit": HABIT} | detail
    return HealthEstimate("life", "taught lives", NOW, NOW, value, None if value is None else 900.0, 2400.0, "", told)


def test_years_gained_are_those_of_the_pack_and_of_its_fleets_pace() -> None:
    found, note = otherwise(life(), "NMC", {})
    by = {one.words: one for one in found}
    lower = by["90% instead of 100% when ready"]
    assert [one.stretch for one in found] == sorted((one.stretch for one in found), reverse=True)
    assert lower.years_more == pytest.approx([years * (lower.stretch - 1) for years in (3.6, 6.0, 9.6)], abs=0.01)
    assert lower.years_more[0] > 0
    assert "80% full on average, 33 °C" in note
    assert "as the shipped cell models age" in note
    calendar, said = otherwise(life(), "NMC", {"NMC": (3.0, 0.5)})
    assert {one.words: one.stretch for one in calendar}[lower.words] > lower.stretch
    assert "as its fleet ages" in said


def test_the_measured_state_of_charge_counts_not_that_of_a_pattern() -> None:
    full, empty = (otherwise(life(habit=HABIT | {"mean_soc": soc}), "NMC", {"NMC": (3.0, 0.3)})[0] for soc in (0.95, 0.35))
    stretch = [{one.words: one.stretch for one in ways}["90% instead of 100% when ready"] for ways in (full, empty)]
    assert stretch[0] != pytest.approx(stretch[1], abs=1e-3)


@pytest.mark.parametrize(
    ("said", "chemistry", "words"),
    [
        (None, "NMC", "remaining life"),
        (life(None), "NMC", "remaining life"),
        (life(cycles_a_year=None), "NMC", "less than a month"),
        (life(habit=None), "NMC", "does not tell temperature"),
        (life(), "LTO", "how LTO cells age"),
    ],
)
def test_why_nothing_is_told(said: HealthEstimate | None, chemistry: str, words: str) -> None:
    found, note = otherwise(said, chemistry, {})
    assert found == []
    assert words in note


def test_a_days_habit_is_read_out_of_the_record() -> None:
    record = Life(first_us=1, charge_in_ah=5_000.0)
    assert daily_habit(record, 100.0, 200.0) is None
    record.temperature_s[4] = 4e6
    record.soc_s[9], record.soc_s[5], record.soc_s[1] = 1e6, 3e6, 1e5
    record.charge_rate_s[2] = 1e6
    habit = daily_habit(record, 100.0, 292.2)
    assert habit == {"temp_c": 35.0, "mean_soc": 0.638, "rate_c": 0.35, "top_soc": 1.0, "full_hours": 5.9, "depth": 0.8}
    record.soc_s[9] = 0.0
    lower = daily_habit(record, 100.0, 5.0)
    assert lower is not None
    assert (lower["top_soc"], lower["depth"]) == (0.6, 0.05)
