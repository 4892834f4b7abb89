"""Demand windows: blocks of the local clock over slots of any length, against bills reckoned by hand and by the bill engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from optimizer import InvalidProblem, Problem, Vehicle, plan
from optimizer.windows import clock_blocks

T0 = datetime(2026, 1, 12, 12, 0, tzinfo=UTC)


def site(background_kw: list[float], **changes: object) -> Problem:
    given: dict[str, object] = {
        "t0": T0,
        "n_slots": len(background_kw),
        "slot_minutes": 15,
        "price_per_kwh": 0.1,
        "site_limit_kw": 100.0,
        "background_kw": background_kw,
        "vehicles": (),
    }
    return Problem(**(given | changes))  # type: ignore[arg-type]  # as the test says


@pytest.mark.parametrize(
    ("slot_minutes", "block_minutes", "expected"),
    [
        (5, 15, [2.0, 5.0]),  # (1+2+3)/3, (4+5+6)/3
        (15, 15, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        (15, 30, [1.5, 3.5, 5.5]),
        (10, 15, [(10 * 1 + 5 * 2) / 15, (5 * 2 + 10 * 3) / 15, (10 * 4 + 5 * 5) / 15, (5 * 5 + 10 * 6) / 15]),
        (10, 30, [2.0, 5.0]),
        (20, 15, [1, (5 * 1 + 10 * 2) / 15, (10 * 2 + 5 * 3) / 15, 3, 4, (5 * 4 + 10 * 5) / 15, (10 * 5 + 5 * 6) / 15, 6]),
        (20, 30, [(20 * 1 + 10 * 2) / 30, (10 * 2 + 20 * 3) / 30, (20 * 4 + 10 * 5) / 30, (10 * 5 + 20 * 6) / 30]),
        (30, 15, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),  # both blocks of a slot have its mean: one of them is enough
        (60, 15, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        (60, 30, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    ],
)
def test_means_of_blocks_whatever_the_slots(slot_minutes: float, block_minutes: float, expected: list[float]) -> None:
    interval, offset = clock_blocks(T0, slot_minutes=slot_minutes, block_minutes=block_minutes)
    found = site([1, 2, 3, 4, 5, 6], slot_minutes=slot_minutes, demand_interval_slots=interval, demand_offset_slots=offset)
    assert found.block_means(found.background_kw) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("zone", "slots", "offset"),
    [("Asia/Kolkata", 2, 0.0), ("Asia/Kathmandu", 2, 1.0), ("UTC", 2, 0.0), ("Australia/Eucla", 2, 1.0)],
)
def test_blocks_follow_the_local_clock(zone: str, slots: float, offset: float) -> None:
    """18:30 UTC is midnight in India and a quarter past in Nepal, where a half hour began a quarter ago."""
    start = datetime(2026, 1, 12, 18, 30, tzinfo=UTC).astimezone(ZoneInfo(zone))
    assert clock_blocks(start, slot_minutes=15, block_minutes=30) == (slots, offset)


def test_a_horizon_that_begins_inside_of_a_block_and_of_a_slot() -> None:
    interval, offset = clock_blocks(T0 + timedelta(minutes=10), slot_minutes=10, block_minutes=15)
    assert (interval, offset) == (1.5, 1.0)
    found = site([6, 12, 18], slot_minutes=10, first_slot_fraction=0.25, demand_interval_slots=interval, demand_offset_slots=offset)
    # 12:10–12:40, of the first slot 2.5 min are ahead, all behind 12:15
    assert found.block_means(found.background_kw) == pytest.approx([(2.5 * 6 + 10 * 12) / 12.5, 18])
    assert found.windows.block_hours == pytest.approx([12.5 / 60, 10 / 60])


@pytest.mark.parametrize("minutes", [0, -15, 50, 2000])
def test_blocks_that_do_not_fill_a_day_are_refused(minutes: float) -> None:
    with pytest.raises(InvalidProblem, match="do not fill a day"):
        clock_blocks(T0, slot_minutes=15, block_minutes=minutes)


@pytest.mark.parametrize(("slot_minutes", "peak_kw"), [(5, 20.0), (10, 20.0), (15, 20.0), (30, 20.0), (60, 20.0)])
@pytest.mark.parametrize("block_minutes", [15, 30])
def test_the_plan_shaves_what_is_billed(slot_minutes: int, block_minutes: int, peak_kw: float) -> None:
    """20 kWh in an hour under a dear peak: 20 kW in every block, however it is cut."""
    slots = 60 // slot_minutes
    interval, offset = clock_blocks(T0, slot_minutes=slot_minutes, block_minutes=block_minutes)
    car = Vehicle(id="car", arrival_slot=0, departure_slot=slots, energy_kwh=20.0, p_max_kw=80.0)
    asked = site(
        [0.0] * slots, slot_minutes=slot_minutes, vehicles=(car,), demand_charge_per_kw=5.0, demand_interval_slots=interval,
        demand_offset_slots=offset,
    )  # fmt: skip
    found = plan(asked, direct=True)
    assert found.peak_kw == pytest.approx(peak_kw)
    assert found.demand_cost == pytest.approx(5.0 * peak_kw)
    assert np.sum(found.power_kw) * slot_minutes / 60 == pytest.approx(20.0)
