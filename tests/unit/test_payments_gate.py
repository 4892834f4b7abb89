"""The gate before a session, on each kind of instrument (reference 4.5: the pre-session gate; a block too small; two tokens)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.gate import Ask, Credit, Exposure, GateAnswer, GateRefusal, decide, energy_within
from payments.instruments import BOUNDS, Instrument, in_order, link_ends_at, superseded
from payments.states import MandateState, Mode

NOW = datetime(2026, 11, 21, 15, 0, tzinfo=UTC)
ENDS = NOW + timedelta(hours=4)
CARD = Instrument(
    mandate_id="m1", mode=Mode.AUTOPAY, state=MandateState.ACTIVE, max_amount_paise=2_000_00, expire_at=NOW + timedelta(days=30),
    created_at=NOW - timedelta(days=9),
)  # fmt: skip
BLOCK = replace(CARD, mandate_id="b1", mode=Mode.RESERVE, max_amount_paise=1_000_00, blocked_paise=1_000_00)
ONCE = replace(BLOCK, mandate_id="o1", mode=Mode.ONE_TIME)
CREDIT = Credit(limit_paise=5_000_00)


def gate(*instruments: Instrument, worst: int = 500_00, least: int | None = None, credit: Credit = CREDIT, **open_: object) -> GateAnswer:
    answer = decide(instruments, Exposure(**open_), Ask(worst_paise=worst, least_paise=least, ends_at=ENDS), credit)  # type: ignore[arg-type]
    assert answer.allowed is (answer.refusal is None)
    assert answer.message
    assert (answer.granted_paise > 0) is answer.allowed
    return answer


# -- on credit ------------------------------------------------------------------------------------------------------------


def test_a_driver_with_room_may_charge_to_the_paisa() -> None:
    assert gate(CARD).granted_paise == 500_00
    assert gate(CARD, unpaid_paise=1_000_00, running_paise=500_00).allowed
    assert gate(CARD, unpaid_paise=1_000_00, running_paise=500_01).refusal is GateRefusal.EXPOSURE


def test_a_no_says_why() -> None:
    assert gate().refusal is GateRefusal.NO_MANDATE
    assert gate(replace(CARD, state=MandateState.PAUSED)).refusal is GateRefusal.MANDATE_PAUSED
    assert gate(replace(CARD, state=MandateState.INTENT_OPEN)).refusal is GateRefusal.MANDATE_NOT_ACTIVE
    assert gate(replace(CARD, expire_at=ENDS + timedelta(hours=48))).refusal is GateRefusal.MANDATE_EXPIRES
    assert gate(replace(CARD, expire_at=ENDS + timedelta(hours=48, seconds=1))).allowed
    assert gate(CARD, in_arrears=True).refusal is GateRefusal.IN_ARREARS
    assert gate(CARD, credit=Credit(limit_paise=499_99)).refusal is GateRefusal.EXPOSURE


def test_fifteen_thousand_caps_one_debit_and_with_more_days_not_the_exposure() -> None:
    rich = replace(CARD, max_amount_paise=50_000_00)
    credit = Credit(limit_paise=40_000_00)
    assert gate(rich, worst=15_000_00, credit=credit).allowed
    assert gate(rich, worst=15_000_01, credit=credit).refusal is GateRefusal.EXPOSURE
    spread = replace(credit, spread_days=3)
    assert gate(rich, worst=5_000_00, unpaid_paise=35_000_00, credit=spread).allowed
    assert gate(rich, worst=5_000_00, unpaid_paise=35_000_01, credit=spread).refusal is GateRefusal.EXPOSURE  # the credit limit
    assert gate(CARD, worst=500_00, unpaid_paise=5_500_01, credit=spread).refusal is GateRefusal.EXPOSURE  # three debits of ₹2,000


def test_a_mandate_must_live_until_the_last_of_the_days_over_which_its_debits_are_spread() -> None:
    spread = Credit(limit_paise=5_000_00, spread_days=3)
    short = replace(CARD, expire_at=ENDS + timedelta(hours=49))
    assert gate(short, unpaid_paise=1_500_00, credit=spread).allowed  # one debit
    assert gate(short, unpaid_paise=1_500_01, credit=spread).refusal is GateRefusal.MANDATE_EXPIRES  # two: a day more


def test_a_smaller_session_is_granted_where_the_terms_allow() -> None:
    answer = gate(CARD, unpaid_paise=1_800_00, least=50_00)
    assert (answer.allowed, answer.granted_paise) == (True, 200_00)
    assert "₹200.00" in answer.message
    assert gate(CARD, unpaid_paise=1_950_01, least=50_00).refusal is GateRefusal.EXPOSURE
    assert gate(CARD, unpaid_paise=2_500_00, least=0).refusal is GateRefusal.EXPOSURE


# -- blocks ---------------------------------------------------------------------------------------------------------------


def test_a_block_lends_what_is_left_of_it() -> None:
    assert gate(BLOCK, worst=1_000_00).allowed
    assert gate(BLOCK, worst=600_00, on_block={"b1": 400_00}).allowed
    assert gate(BLOCK, worst=600_00, on_block={"b1": 400_01}).refusal is GateRefusal.BLOCK_TOO_SMALL
    assert gate(BLOCK, worst=600_00, least=100_00, on_block={"b1": 700_00}).granted_paise == 300_00


def test_credit_does_not_bound_a_block_and_a_block_is_not_credit() -> None:
    assert gate(BLOCK, unpaid_paise=90_000_00, credit=Credit(limit_paise=1)).allowed
    assert gate(CARD, on_block={"b0": 90_000_00}).allowed


def test_what_the_gateway_has_debited_counts_where_it_is_more_than_ours() -> None:
    assert gate(replace(BLOCK, debited_paise=700_00), worst=400_00, on_block={"b1": 100_00}).refusal is GateRefusal.BLOCK_TOO_SMALL
    assert gate(replace(BLOCK, debited_paise=100_00), worst=600_00, on_block={"b1": 400_00}).allowed  # the same debit, not both


def test_a_block_is_debited_at_once_and_must_not_be_released_before() -> None:
    assert gate(replace(BLOCK, expire_at=ENDS + timedelta(minutes=31))).allowed
    assert gate(replace(BLOCK, expire_at=ENDS + timedelta(minutes=30))).refusal is GateRefusal.MANDATE_EXPIRES


@pytest.mark.parametrize("state", [state for state in MandateState if state is not MandateState.ACTIVE])
@pytest.mark.parametrize("mode", list(Mode))
def test_only_what_is_in_force_pays(mode: Mode, state: MandateState) -> None:
    assert not gate(replace(BLOCK, mode=mode, state=state)).allowed


def test_a_one_time_mandate_pays_once() -> None:
    assert gate(ONCE).allowed
    assert gate(ONCE, worst=100_00, on_block={"o1": 1}).refusal is GateRefusal.ONE_TIME_USED
    assert gate(replace(ONCE, debited_paise=1), worst=100_00).refusal is GateRefusal.ONE_TIME_USED
    assert gate(ONCE, worst=2_000_00).refusal is GateRefusal.BLOCK_TOO_SMALL


# -- several --------------------------------------------------------------------------------------------------------------


def test_the_newest_that_carries_the_session_pays() -> None:
    newer = replace(BLOCK, created_at=NOW)
    assert gate(CARD, newer).mandate_id == "b1"
    assert gate(CARD, newer, worst=500_00, on_block={"b1": 900_00}).mandate_id == "m1"  # the block is too small: on account
    refused = gate(CARD, newer, worst=9_000_00)
    assert (refused.refusal, refused.mandate_id) == (GateRefusal.BLOCK_TOO_SMALL, "b1")


def test_of_two_tokens_of_one_kind_the_newest_in_force_wins() -> None:
    newer = replace(CARD, mandate_id="m2", created_at=NOW, max_amount_paise=300_00)
    assert gate(CARD, newer, worst=200_00).mandate_id == "m2"
    assert gate(CARD, newer).refusal is GateRefusal.EXPOSURE  # the older one is to be ended: nothing new is put on it
    assert [one.mandate_id for one in superseded([CARD, newer])] == ["m1"]
    for state in (MandateState.INTENT_OPEN, MandateState.PAUSED, MandateState.CANCELLED):
        assert superseded([CARD, replace(newer, state=state)]) == []
        assert gate(CARD, replace(newer, state=state)).mandate_id == "m1"
    assert superseded([CARD, replace(newer, mode=Mode.RESERVE)]) == []  # another kind stands beside it


def test_in_order_is_force_then_age() -> None:
    old, new = CARD, replace(CARD, mandate_id="m2", created_at=NOW, state=MandateState.PAUSED)
    assert [one.mandate_id for one in in_order([new, old])] == ["m1", "m2"]


# -- bounds ---------------------------------------------------------------------------------------------------------------


def test_bounds_of_the_gateway() -> None:
    assert (BOUNDS[Mode.RESERVE].most_paise, BOUNDS[Mode.RESERVE].longest.days) == (10_000_00, 90)
    assert BOUNDS[Mode.ONE_TIME].most_paise == 1_00_000_00


def test_an_approval_is_of_the_day_of_its_order_in_india() -> None:
    assert link_ends_at(datetime(2026, 11, 21, 6, 0, tzinfo=UTC)) == datetime(2026, 11, 21, 18, 30, tzinfo=UTC)
    assert link_ends_at(datetime(2026, 11, 21, 17, 0, tzinfo=UTC)) == datetime(2026, 11, 22, 18, 30, tzinfo=UTC)  # asked at 22:30


def test_amounts_are_never_negative() -> None:
    with pytest.raises(ValueError, match="0 paise or more"):
        Exposure(unpaid_paise=-1)
    with pytest.raises(ValueError, match="0 paise or more"):
        Ask(worst_paise=-1, ends_at=ENDS)
    with pytest.raises(ValueError, match="at least one day"):
        Credit(limit_paise=1, spread_days=0)


@given(room=st.integers(0, 2_000_00), fixed=st.integers(0, 100_00), price=st.integers(1, 5_000), most=st.integers(1, 200_000))
def test_energy_within_is_the_most_that_is_affordable(room: int, fixed: int, price: int, most: int) -> None:
    def worst(wh: int) -> int:
        return fixed + -(-wh * price // 1000)

    wh = energy_within(room, worst, most)
    assert wh == 0 or worst(wh) <= room
    assert wh == most or worst(wh + 1) > room


@given(
    mode=st.sampled_from(Mode),
    held=st.integers(100, 3_000_00),
    on=st.integers(0, 3_000_00),
    unpaid=st.integers(0, 9_000_00),
    running=st.integers(0, 9_000_00),
    worst=st.integers(1, 4_000_00),
    least=st.none() | st.integers(0, 4_000_00),
    days=st.integers(1, 4),
)
def test_never_more_is_granted_than_there_is(
    mode: Mode, held: int, on: int, unpaid: int, running: int, worst: int, least: int | None, days: int
) -> None:
    one = replace(BLOCK, mode=mode, max_amount_paise=held, blocked_paise=held if mode.blocks else 0)
    credit = replace(CREDIT, spread_days=days)
    answer = gate(one, worst=worst, least=least, credit=credit, unpaid_paise=unpaid, running_paise=running, on_block={"b1": on})
    if not answer.allowed:
        return
    if mode.blocks:
        assert on + answer.granted_paise <= held
    else:
        assert unpaid + running + answer.granted_paise <= min(credit.limit_paise, days * min(held, 15_000_00))
    assert answer.granted_paise <= worst
