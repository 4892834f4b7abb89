"""The network's rules as the mock plays them: pure functions of a time. And its words beside ours."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from payments.mock_gateway import npci
from payments.mock_gateway.settings import PROFILES, Misbehaviour
from payments.reasons import Reason
from payments.rules import Rules


def at(text: str) -> float:
    return datetime.fromisoformat(f"2026-11-{text}+05:30").timestamp()


@pytest.mark.parametrize(
    ("asked", "runs"),
    [
        ("22T09:59:59", "22T09:59:59"),
        ("22T10:00:00", "22T13:00:00"),
        ("22T16:59:00", "22T16:59:00"),
        ("22T17:00:00", "22T21:30:00"),
        ("22T21:30:00", "22T21:30:00"),
        ("22T23:59:59", "22T23:59:59"),
        ("23T00:00:00", "23T00:00:00"),
    ],
)
def test_a_debit_in_the_peak_waits_for_the_next_window(asked: str, runs: str) -> None:
    assert npci.next_window_s(npci.NPCI_WINDOWS, at(asked)) == at(runs)


def test_the_last_window_of_a_day_is_followed_by_the_first_of_the_next() -> None:
    only = (npci.NPCI_WINDOWS[0],)
    assert npci.next_window_s(only, at("22T11:00:00")) == at("23T00:00:00")
    assert npci.next_window_s(npci.ALL_DAY, at("22T11:00:00")) == at("22T11:00:00")


def test_both_readings_of_the_windows_agree() -> None:
    rules, start = Rules(), datetime.fromisoformat("2026-11-22T00:00+05:30")
    for minutes in range(0, 2 * 24 * 60, 7):
        now = start + timedelta(minutes=minutes)
        assert npci.next_window_s(npci.NPCI_WINDOWS, now.timestamp()) == rules.next_window(now).timestamp()


def test_every_reason_is_one_that_we_know() -> None:
    assert set(npci.REASONS) == {reason.value for reason in Reason} - {Reason.UNKNOWN.value}


@pytest.mark.parametrize(
    ("frequency", "one", "other", "same"),
    [
        ("daily", "22T00:01:00", "22T23:59:00", True),
        ("daily", "22T23:59:00", "23T00:00:00", False),
        ("weekly", "16T12:00:00", "22T12:00:00", True),
        ("weekly", "22T12:00:00", "23T12:00:00", False),
        ("fortnightly", "15T12:00:00", "16T12:00:00", False),
        ("monthly", "01T12:00:00", "30T12:00:00", True),
        ("quarterly", "01T12:00:00", "30T12:00:00", True),
    ],
)
def test_cycles(frequency: str, one: str, other: str, *, same: bool) -> None:
    assert (npci.cycle_of(frequency, at(one)) == npci.cycle_of(frequency, at(other))) is same


def test_as_presented_has_no_cycle_and_no_day() -> None:
    assert npci.cycle_of("as_presented", at("22T12:00:00")) is None
    assert npci.day_allowed("as_presented", "on", 5, at("22T12:00:00"))
    assert not npci.day_allowed("monthly", "on", 5, at("22T12:00:00"))
    assert npci.day_allowed("monthly", "after", 5, at("22T12:00:00"))


def test_shares_are_shares() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Misbehaviour(mute=1.5)
    assert PROFILES["calm"][1] == Misbehaviour()
