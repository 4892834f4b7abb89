"""Will a vehicle leave on time: by its plan, behind its plan, without a plan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.readiness import Readiness, Standing, predict
from depot.values import Plan

NOW = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)


def ask(**more: Any) -> Readiness:
    """60 kWh needed of 60, six hours to go, a 60 kW connector, nothing flows."""
    known: dict[str, Any] = {
        "visit_id": "v", "remaining_wh": 60_000, "needed_wh": 60_000, "begins": NOW, "depart_at": NOW + timedelta(hours=6),
        "now": NOW, "power_w": 0, "most_w": 60_000, "plan": None,
    }  # fmt: skip
    return predict(**(known | more))


def planned(*row: int, unmet_wh: int = 0, made: datetime = NOW, visit: str = "v") -> Plan:
    return Plan(
        "p", made, made, 900, {visit: row}, (0,) * len(row), made + timedelta(hours=12), unmet_wh={visit: unmet_wh} if unmet_wh else {}
    )


def test_what_has_enough_is_ready() -> None:
    assert ask(remaining_wh=1_000).standing is Standing.READY


def test_by_its_plan_to_the_minute() -> None:
    ready = ask(plan=planned(0, 0, 0, 0, 30_000, 30_000, 30_000, 30_000, 30_000, 30_000, 30_000, 30_000))
    assert ready.standing is Standing.ON_TIME
    assert ready.ready_at == NOW + timedelta(hours=1 + (60_000 - 1_300) / 30_000)


@pytest.mark.parametrize(
    ("case", "standing"),
    [
        ({}, Standing.ON_TIME),
        ({"depart_at": NOW + timedelta(minutes=65)}, Standing.AT_RISK),
        ({"depart_at": NOW + timedelta(minutes=30)}, Standing.LATE),
        ({"most_w": 0}, Standing.LATE),
        ({"most_w": None}, Standing.ON_TIME),
        ({"most_w": None, "blocked": True}, Standing.AT_RISK),
        ({"blocked": True}, Standing.AT_RISK),
        ({"power_w": 1_000}, Standing.ON_TIME),  # throttled now, but there is time at full power
        ({"power_w": 1_000, "most_w": 5_000}, Standing.LATE),
        ({"begins": NOW + timedelta(hours=5, minutes=30)}, Standing.LATE),
    ],
)
def test_without_a_plan_only_what_can_no_longer_be_done_is_late(case: dict[str, Any], standing: Standing) -> None:
    assert ask(**case).standing is standing


def test_behind_its_plan_it_catches_up_when_there_is_time() -> None:
    half = planned(60_000, 60_000, 0, 0)
    ready = ask(plan=half)
    assert (ready.standing, ready.missing_wh) == (Standing.ON_TIME, 0)
    assert ready.ready_at is not None
    assert ready.ready_at > NOW + timedelta(minutes=30)
    late = ask(plan=half, depart_at=NOW + timedelta(minutes=40))
    assert late.standing is Standing.LATE
    assert late.missing_wh == pytest.approx(60_000 - 30_000 - 10_000, abs=2)


def test_what_the_plan_itself_leaves_out_is_late() -> None:
    ready = ask(plan=planned(60_000, 60_000, unmet_wh=30_000))
    assert (ready.standing, ready.missing_wh) == (Standing.LATE, 30_000)


def test_an_expired_plan_counts_no_more() -> None:
    old = planned(0, 0, 0, unmet_wh=60_000, made=NOW - timedelta(hours=13))
    assert ask(plan=old).standing is Standing.ON_TIME


def test_power_planned_after_the_departure_does_not_help() -> None:
    ready = ask(plan=planned(0, 0, 0, 0, 60_000, 60_000, 60_000, 60_000), depart_at=NOW + timedelta(minutes=50))
    assert ready.standing is Standing.LATE


@given(
    remaining=st.integers(0, 400_000),
    minutes=st.integers(-60, 1_000),
    power=st.integers(0, 120_000),
    most=st.one_of(st.none(), st.integers(0, 120_000)),
    row=st.lists(st.integers(0, 120_000), max_size=40),
    blocked=st.booleans(),
)
def test_the_words_agree_with_the_numbers(
    remaining: int, minutes: int, power: int, most: int | None, row: list[int], blocked: bool
) -> None:
    depart = NOW + timedelta(minutes=minutes)
    plan = planned(*row) if row else None
    got = ask(
        remaining_wh=remaining, needed_wh=400_000, depart_at=depart, power_w=power, most_w=most, plan=plan, blocked=blocked
    )  # fmt: skip
    assert 0 <= got.missing_wh <= remaining
    if got.standing is Standing.LATE:
        assert got.missing_wh > 8_100
        assert got.ready_at is None or got.ready_at > depart
    if got.standing is Standing.ON_TIME:
        assert not blocked
        assert got.ready_at is None or (got.margin_min(depart) or 0) >= 10
