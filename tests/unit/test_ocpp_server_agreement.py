"""Comparing composite schedules: what real stations get wrong is tolerated, what matters is not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from depot.registry import ConnectorSpec, Current
from ocpp_server.agreement import Finding, compare, read_answer
from ocpp_server.composite import Segment

AC = ConnectorSpec(1, 22_080, 4_140)
DC = ConnectorSpec(1, 60_000, 5_000, Current.DC, voltage_v=500)
OURS = (Segment(0, 11_000, 3), Segment(150, 4_140, 3))


def answer(*rows: tuple[float, float], unit: str = "W", **more: Any) -> dict[str, Any]:
    schedule: dict[str, Any] = {
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [{"startPeriod": at, "limit": limit} for at, limit in rows],
    }
    if "duration" in more:
        schedule["duration"] = more.pop("duration")
    return {"status": "Accepted", "chargingSchedule": schedule, **more}


def found(*rows: tuple[float, float], ours: tuple[Segment, ...] = OURS, spec: ConnectorSpec = AC, **how: Any) -> Finding:
    told = read_answer(answer(*rows, **{k: how.pop(k) for k in ("unit", "duration") if k in how}))
    assert told is not None
    return compare(ours, told, spec=spec, asked_s=600, **how)


@pytest.mark.parametrize(
    "rows",
    [
        ((0, 11_000), (150, 4_140)),
        ((0, 11_000), (149.989, 4_140.0)),
        ((0, 10_960), (145, 4_100)),
        ((0, 11_000), (30, 11_000), (60, 11_000), (157, 4_140), (590, 0)),
        ((150, 4_140), (0, 11_000)),
    ],
)
def test_problem_14_what_says_the_same_agrees(rows: tuple[tuple[float, float], ...]) -> None:
    assert found(*rows) == Finding(True, shown_s=590 if len(rows) == 5 else 600)


def test_a_trailing_period_that_is_left_out_is_not_judged_and_proves_nothing() -> None:
    finding = found((0, 11_000))
    assert finding.agrees
    assert finding.shown_s == 150
    assert found((0, 11_000), (150, 4_140), duration=120).shown_s == 120


@pytest.mark.parametrize(
    ("rows", "differs_s", "more"),
    [
        (((0, 16_000), (150, 4_140)), 0, True),
        (((0, 9_000), (150, 4_140)), 0, False),
        (((0, 11_000), (150, 8_000)), 150, True),
        (((0, 11_000), (200, 4_140)), 150, True),
        (((0, 11_000), (60, 4_140)), 60, False),
        (((0, 11_000), (150, 99_000)), 150, True),
    ],
)
def test_what_says_something_else_differs_and_it_is_said_where(rows: tuple[tuple[float, float], ...], differs_s: float, more: bool) -> None:
    finding = found(*rows)
    assert (finding.agrees, finding.differs_s, finding.more) == (False, differs_s, more)
    assert "W, installed is" in finding.text


def test_problem_12_the_other_unit_is_compared_with_more_room() -> None:
    amperes = (Segment(0, 15.942, 3), Segment(150, 6.0, 3))
    assert found((0, 15.9), (150, 6.0), ours=amperes, unit="A", other_unit=True).agrees
    assert found((0, 16.6), (150, 6.3), ours=amperes, unit="A", other_unit=True).agrees, "it takes 220 V for a phase"
    assert found((0, 20.0), (150, 6.0), ours=amperes, unit="A", other_unit=True).agrees is False
    assert found((0, 15.5), (150, 6.0), ours=amperes, unit="A").agrees is False, "in the same unit only rounding is forgiven"
    assert found((0, 22.0), ours=amperes, spec=DC, unit="A", other_unit=True).agrees is None


def test_a_rating_is_as_good_as_no_limit() -> None:
    assert found((0, 22_080), ours=(Segment(0, None, None),)).agrees
    assert found((0, 10_000), ours=(Segment(0, None, None),)).agrees is False


def test_a_station_where_nothing_charges_may_show_nothing() -> None:
    rest = (Segment(0, 4_140, 3),)
    assert found((0, 22_080), ours=rest, idle=True).agrees is None
    assert found((0, 4_140), ours=rest, idle=True).agrees
    assert found((0, 22_080), ours=rest).agrees is False
    assert found((0, 9_000), ours=rest, idle=True).agrees is False


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"status": "Rejected"},
        {"status": "Accepted"},
        {"status": "Accepted", "chargingSchedule": {}},
        answer(),
        answer((0, float("nan"))),
        answer((0, 1), unit="VA"),
        answer((0, 1), scheduleStart="noon"),
        {"status": "Accepted", "chargingSchedule": {"chargingRateUnit": "W", "chargingSchedulePeriod": [{}]}},
    ],
)
def test_an_answer_that_says_nothing_is_none(payload: dict[str, Any]) -> None:
    assert read_answer(payload) is None


def test_an_answer_may_say_when_it_begins() -> None:
    told = read_answer(answer((0, 1), scheduleStart="2026-11-21T12:00:00Z"))
    assert told is not None
    assert told.start == datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
