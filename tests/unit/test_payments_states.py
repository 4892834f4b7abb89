"""States of money: ranks, what they make of a bill, reasons, rules of the network, next step."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from payments.debits import CreateOrder, Done, GiveUp, LookUpOrder, LookUpPayments, Step, Submit, Wait, next_step
from payments.reasons import Action, Reason, action_for, advice
from payments.rules import Rules
from payments.states import (
    CollectionFacts,
    MandateReport,
    MandateState,
    NotificationState,
    OrderFacts,
    PaymentFacts,
    PaymentState,
    RefundState,
    Stage,
    SubmissionFacts,
    join_mandate,
    join_notification,
    join_payment,
    join_refund,
    stage_of,
)

NOW = datetime(2026, 11, 21, 15, 0, tzinfo=UTC)  # 20:30 in India: peak hours
RULES = Rules()
BATCHED = CollectionFacts()
ORDER = OrderFacts(1, NOW - timedelta(days=2), "order_1", NotificationState.DELIVERED, NOW - timedelta(days=2), NOW - timedelta(hours=2))
QUIET = NOW + timedelta(hours=2)  # 22:30 in India: allowed
SUBMISSION = SubmissionFacts(1, QUIET)


def with_order(**changes: object) -> CollectionFacts:
    return CollectionFacts(Stage.BATCHED, (replace(ORDER, **changes),))  # type: ignore[arg-type]


def paid(state: PaymentState, reason: Reason | None = None, number: int = 1) -> PaymentFacts:
    return PaymentFacts(f"pay_{number}", state, reason, number, QUIET)


# -- joins ----------------------------------------------------------------------------------------------------------------


def test_late_reports_of_a_lower_rank_change_nothing() -> None:
    assert join_payment(PaymentState.CAPTURED, PaymentState.AUTHORIZED) is PaymentState.CAPTURED
    assert join_payment(PaymentState.CAPTURED, PaymentState.FAILED) is PaymentState.CAPTURED
    assert join_notification(NotificationState.DELIVERED, NotificationState.REQUESTED) is NotificationState.DELIVERED
    assert join_refund(RefundState.PROCESSED, RefundState.PENDING) is RefundState.PROCESSED


def test_money_that_came_after_a_failure_counts() -> None:
    assert join_payment(PaymentState.FAILED, PaymentState.CAPTURED) is PaymentState.CAPTURED


def test_active_and_paused_follow_the_gateways_clock() -> None:
    active, paused = MandateReport(MandateState.ACTIVE, 100), MandateReport(MandateState.PAUSED, 200)
    assert join_mandate(paused, active) == join_mandate(active, paused) == paused
    again = MandateReport(MandateState.ACTIVE, 201)
    assert join_mandate(paused, again) == again
    assert join_mandate(MandateReport(MandateState.ACTIVE, 200), paused) == paused  # the same second: the cautious one


def test_an_end_is_never_left() -> None:
    ended = MandateReport(MandateState.CANCELLED, 5)
    assert join_mandate(ended, MandateReport(MandateState.ACTIVE, 99)) == ended


def test_a_link_used_in_its_last_second_counts() -> None:
    expired = MandateReport(MandateState.LINK_EXPIRED, 10)
    assert join_mandate(expired, MandateReport(MandateState.ACTIVE, 9)).state is MandateState.ACTIVE


# -- reasons --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_says_what_to_do(reason: Reason) -> None:
    assert action_for(reason) in Action
    assert advice(reason)


def test_a_reason_that_nobody_knows_needs_a_person() -> None:
    assert action_for(Reason.of("moon_phase")) is Action.FATAL
    assert Reason.of(None) is Reason.UNKNOWN


# -- stage ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "stage"),
    [
        (BATCHED, Stage.BATCHED),
        (with_order(notification=NotificationState.REQUESTED, payment_after=QUIET), Stage.PDN_REQUESTED),
        (with_order(payment_after=QUIET), Stage.PDN_DELIVERED),
        (with_order(notification=NotificationState.FAILED), Stage.PDN_FAILED),
        (with_order(), Stage.DEBIT_DUE),
        (with_order(submissions=(SUBMISSION,)), Stage.DEBIT_SUBMITTED),
        (with_order(submissions=(SUBMISSION,), payments=(paid(PaymentState.CREATED),)), Stage.PENDING),
        (with_order(submissions=(SUBMISSION,), payments=(paid(PaymentState.FAILED, Reason.INSUFFICIENT_FUNDS),)), Stage.RETRY_WAIT),
        (with_order(submissions=(SUBMISSION,), payments=(paid(PaymentState.FAILED, Reason.MANDATE_CANCELLED),)), Stage.FAILED),
        (with_order(submissions=(replace(SUBMISSION, refused=Reason.MANDATE_PAUSED),)), Stage.FAILED),
        (with_order(submissions=(SUBMISSION,), payments=(paid(PaymentState.CAPTURED),)), Stage.CAPTURED),
        (with_order(payments=(paid(PaymentState.REFUNDED), paid(PaymentState.CAPTURED, number=2))), Stage.CAPTURED),
        (with_order(payments=(paid(PaymentState.PART_REFUNDED),)), Stage.PART_REFUNDED),
        (replace(with_order(payments=(paid(PaymentState.CAPTURED),)), own=Stage.ARREARS), Stage.CAPTURED),
        (replace(with_order(payments=(paid(PaymentState.CAPTURED),)), settlement_utr="UTR1"), Stage.RECONCILED),
        (replace(with_order(payments=(paid(PaymentState.CAPTURED),)), disputed=True), Stage.DISPUTED),
        (CollectionFacts(Stage.ARREARS), Stage.ARREARS),
        (CollectionFacts(Stage.WRITTEN_OFF), Stage.WRITTEN_OFF),
    ],
)
def test_stage_follows_from_the_facts(facts: CollectionFacts, stage: Stage) -> None:
    assert stage_of(facts, NOW) is stage
    assert stage.owed is (stage not in (Stage.CAPTURED, Stage.PART_REFUNDED, Stage.RECONCILED, Stage.DISPUTED, Stage.WRITTEN_OFF))


# -- rules ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("utc", "allowed_utc"),
    [
        ("2026-11-21T03:00", "2026-11-21T03:00"),  # 08:30 in India
        ("2026-11-21T04:30", "2026-11-21T07:30"),  # 10:00 is peak: 13:00
        ("2026-11-21T11:29", "2026-11-21T11:29"),  # 16:59
        ("2026-11-21T11:30", "2026-11-21T16:00"),  # 17:00 is peak: 21:30
        ("2026-11-21T18:29", "2026-11-21T18:29"),  # 23:59
        ("2026-11-21T18:30", "2026-11-21T18:30"),  # midnight: the next day's window
    ],
)
def test_npci_debits_stay_out_of_peak_hours(utc: str, allowed_utc: str) -> None:
    at, allowed = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (utc, allowed_utc))
    assert RULES.next_window(at) == allowed


def test_after_the_last_window_comes_the_next_day() -> None:
    rules = Rules(windows=(RULES.windows[1],))
    assert rules.next_window(datetime(2026, 11, 21, 12, 0, tzinfo=UTC)) == datetime(2026, 11, 22, 7, 30, tzinfo=UTC)


def test_rbi_notice_is_a_day_and_a_late_one_pushes_the_debit() -> None:
    assert RULES.payment_after(NOW) >= NOW + timedelta(hours=24)
    late = ORDER.requested_at + timedelta(hours=30)
    assert RULES.due_at(ORDER.requested_at + timedelta(hours=25), late) >= late + timedelta(hours=24)


# -- next step ------------------------------------------------------------------------------------------------------------


def step(facts: CollectionFacts, now: datetime = QUIET, looked_at: datetime | None = None, amount: int = 100_00) -> Step:
    return next_step(facts, amount_paise=amount, looked_at=looked_at, now=now, rules=RULES)


def test_a_debit_goes_its_way() -> None:
    assert step(BATCHED) == CreateOrder(1)
    assert step(with_order(), NOW) == Wait(datetime(2026, 11, 21, 16, 0, tzinfo=UTC))
    assert step(with_order()) == Submit("order_1", 1)
    assert step(with_order(submissions=(SUBMISSION,), payments=(paid(PaymentState.CAPTURED),))) == Done()


@pytest.mark.parametrize("own", [Stage.ARREARS, Stage.WRITTEN_OFF, Stage.PAID_OTHER])
def test_nothing_is_debited_that_is_settled_otherwise_or_in_arrears(own: Stage) -> None:
    assert step(CollectionFacts(own)) == Done()


def test_less_than_a_rupee_is_not_debited() -> None:
    assert step(BATCHED, amount=99) == Done()


def test_after_doubt_the_gateway_is_looked_up_and_nothing_is_asked_again() -> None:
    doubt = with_order(submissions=(SUBMISSION,))
    assert step(doubt) == LookUpPayments("order_1")
    assert step(doubt, looked_at=QUIET) == Wait(QUIET + RULES.lookup_spacing)
    much_later = QUIET + timedelta(hours=5)
    assert step(doubt, much_later) == LookUpPayments("order_1")  # only enough empty look-ups make it lapse
    assert step(with_order(submissions=(replace(SUBMISSION, lapsed=True),)), much_later) == Submit("order_1", 2)


def test_an_open_payment_forbids_a_second_one() -> None:
    pending = with_order(submissions=(SUBMISSION,), payments=(paid(PaymentState.AUTHORIZED),))
    assert step(pending) == LookUpPayments("order_1")


def test_an_order_in_doubt_is_looked_up_and_asked_anew_only_after_long() -> None:
    asked = CollectionFacts(Stage.BATCHED, (OrderFacts(1, QUIET),))
    assert step(asked) == LookUpOrder(1, or_create=False)
    assert step(asked, QUIET + RULES.settle) == LookUpOrder(1, or_create=True)


def test_one_attempt_and_three_retries_then_arrears() -> None:
    payments: tuple[PaymentFacts, ...] = ()
    for number in range(1, 5):
        facts = with_order(submissions=tuple(SubmissionFacts(n, QUIET) for n in range(1, number)), payments=payments)
        if number > 1:
            assert isinstance(step(facts), Wait)
        assert step(facts, QUIET + timedelta(days=1)) == Submit("order_1", number)
        payments += (paid(PaymentState.FAILED, Reason.INSUFFICIENT_FUNDS, number),)
    spent = with_order(submissions=tuple(SubmissionFacts(n, QUIET) for n in range(1, 5)), payments=payments)
    assert step(spent, QUIET + timedelta(days=9)) == GiveUp(Reason.INSUFFICIENT_FUNDS)


def test_a_cancelled_mandate_is_not_tried_again() -> None:
    refused = with_order(submissions=(replace(SUBMISSION, refused=Reason.MANDATE_CANCELLED),))
    assert step(refused, QUIET + timedelta(days=9)) == GiveUp(Reason.MANDATE_CANCELLED)


def test_a_failed_notice_gets_a_new_order_unless_a_debit_was_asked_for() -> None:
    failed = with_order(notification=NotificationState.FAILED)
    assert step(failed) == CreateOrder(2)
    assert step(with_order(issue=3, notification=NotificationState.FAILED)) == GiveUp(Reason.NOTIFICATION_FAILED)
    assert step(with_order(notification=NotificationState.FAILED, submissions=(SUBMISSION,))) == LookUpPayments("order_1")
