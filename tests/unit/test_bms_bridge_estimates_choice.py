"""Which estimate of health counts: the narrower that is honest; disagreement is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bms_bridge.estimates.choice import counting
from bms_bridge.estimates.estimate import COUNTED, TAUGHT
from bms_bridge.estimates.view import HealthEstimate

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def said(method: str, low: float, high: float, days: float = 0.0) -> HealthEstimate:
    at = NOW - timedelta(days=days)
    return HealthEstimate("soh", method, at, at, (low + high) / 2, low, high, "", {})


def test_without_any_there_is_none_and_one_alone_counts() -> None:
    assert counting([]).one is None
    alone = counting([said(TAUGHT, 0.8, 0.9)])
    assert (alone.one and alone.one.method, alone.low, alone.high, alone.note) == (TAUGHT, 0.8, 0.9, "")


def test_the_narrower_of_two_that_agree_counts_whatever_its_method() -> None:
    for narrow, wide in ((COUNTED, TAUGHT), (TAUGHT, COUNTED)):
        found = counting([said(wide, 0.80, 0.92), said(narrow, 0.86, 0.90)])
        assert found.one is not None
        assert found.one.method == narrow
        assert (found.low, found.high, found.disagree) == (0.86, 0.90, False)
        assert narrow in found.note


def test_an_old_one_does_not_count_however_narrow() -> None:
    found = counting([said(COUNTED, 0.88, 0.90, days=200), said(TAUGHT, 0.78, 0.86)])
    assert found.one is not None
    assert found.one.method == TAUGHT
    assert not found.disagree
    assert "200 days older" in found.note


def test_two_that_cannot_both_be_true_are_told_and_their_span_is_taken() -> None:
    found = counting([said(COUNTED, 0.80, 0.84), said(TAUGHT, 0.88, 0.90)])
    assert found.disagree
    assert found.one is not None
    assert found.one.method == COUNTED
    assert (found.low, found.high) == (0.80, 0.90)
    assert "taught model says 88.0% to 90.0%" in found.note
