"""What becomes of a session while it charges (reference 4.5: mandate revoked or paused in mid-session, a block too small)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.states import MandateState
from payments.watch import Go, Policy, Running, Stop, StopWhy, Warn, WarnWhy, judge

POLICY = Policy(warn_share=0.2, grace_wh=1000, grace=timedelta(minutes=5))
CALM = Running(
    fleet=False, blocked=True, state=MandateState.ACTIVE, cost_paise=100_00, limit_paise=500_00, ahead_paise=20_00, energy_wh=5_000,
    most_wh=25_000,
)  # fmt: skip


def test_a_session_with_money_goes_on() -> None:
    assert judge(CALM, POLICY) == Go()


def test_a_block_that_runs_low_is_told_and_then_ends_before_it_is_exceeded() -> None:
    assert judge(replace(CALM, cost_paise=400_00), POLICY) == Warn(WarnWhy.TOP_UP)
    assert judge(replace(CALM, cost_paise=479_99), POLICY) == Warn(WarnWhy.TOP_UP)
    assert judge(replace(CALM, cost_paise=480_00), POLICY) == Stop(StopWhy.MONEY_SPENT)


def test_nobody_on_account_is_asked_to_top_up() -> None:
    assert judge(replace(CALM, blocked=False, cost_paise=470_00), POLICY) == Go()


def test_a_session_ends_at_its_last_watt_hour() -> None:
    assert judge(replace(CALM, energy_wh=25_000), POLICY) == Stop(StopWhy.ENERGY_SPENT)
    assert judge(replace(CALM, energy_wh=25_000, smaller=True), POLICY) == Stop(StopWhy.MONEY_SPENT)  # it ends there for money


@pytest.mark.parametrize("state", [MandateState.PAUSED, MandateState.CANCEL_PENDING, MandateState.CANCELLED, MandateState.EXPIRED])
def test_a_mandate_lost_in_mid_session_ends_it_after_the_grace(state: MandateState) -> None:
    lost = replace(CALM, state=state)
    assert judge(lost, POLICY) == Warn(WarnWhy.MANDATE_LOST)
    assert judge(replace(lost, lost_wh=999, lost_for=timedelta(minutes=4)), POLICY) == Warn(WarnWhy.MANDATE_LOST)
    assert judge(replace(lost, lost_wh=1000), POLICY) == Stop(StopWhy.MANDATE_LOST)
    assert judge(replace(lost, lost_for=timedelta(minutes=5)), POLICY) == Stop(StopWhy.MANDATE_LOST)
    go_on = replace(POLICY, stop_on_loss=False)
    assert judge(replace(lost, lost_wh=9_000, lost_for=timedelta(hours=5)), go_on) == Warn(WarnWhy.MANDATE_LOST)
    assert judge(replace(lost, cost_paise=490_00), go_on) == Stop(StopWhy.MONEY_SPENT)  # the limit holds all the same


def test_books_that_nobody_can_read_stop_nobody_before_what_was_granted() -> None:
    assert judge(replace(CALM, state=None, lost_wh=9_000, lost_for=timedelta(hours=1)), POLICY) == Go()
    assert judge(replace(CALM, state=None, cost_paise=500_00), POLICY) == Stop(StopWhy.MONEY_SPENT)


def test_a_session_that_began_unasked_and_may_not_is_ended() -> None:
    assert judge(replace(CALM, refused=True), POLICY) == Stop(StopWhy.NOT_ALLOWED)


@given(
    state=st.none() | st.sampled_from(MandateState),
    cost=st.integers(0, 10_000_00),
    limit=st.integers(0, 10_000_00),
    ahead=st.integers(0, 1_000_00),
    energy=st.integers(0, 100_000),
    most=st.integers(0, 100_000),
    lost=st.integers(0, 100_000),
    lost_s=st.integers(0, 100_000),
    refused=st.booleans(),
    blocked=st.booleans(),
    smaller=st.booleans(),
    stop_on_loss=st.booleans(),
)
def test_a_bus_of_the_fleet_is_never_stopped_for_money_and_a_retail_session_never_passes_its_limit(
    state: MandateState | None, cost: int, limit: int, ahead: int, energy: int, most: int, lost: int, lost_s: int, refused: bool,
    blocked: bool, smaller: bool, stop_on_loss: bool,
) -> None:  # fmt: skip
    running = Running(
        fleet=False, blocked=blocked, state=state, cost_paise=cost, limit_paise=limit, ahead_paise=ahead, energy_wh=energy, most_wh=most,
        lost_wh=lost, lost_for=timedelta(seconds=lost_s), refused=refused, smaller=smaller,
    )  # fmt: skip
    policy = replace(POLICY, stop_on_loss=stop_on_loss)
    assert judge(replace(running, fleet=True), policy) == Go()
    if not isinstance(judge(running, policy), Stop):
        assert cost + ahead < limit
        assert energy < most
        assert not refused
