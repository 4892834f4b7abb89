"""What one line of a settlement moves and what about it is wrong; and that nothing is left in gateway clearing but what is on its
way and what is wrong. "Settlement missing, short, fee mismatch" of the list of edge cases."""

from __future__ import annotations

import pytest
from books_kit import line
from hypothesis import given
from hypothesis import strategies as st

from payments.gateway import SettlementKind
from payments.ledger import Account, Transfer
from payments.settling import DifferenceKind, Known, Verdict, judge


def moved(verdict: Verdict, account: Account) -> int:
    return sum((t.amount_paise if t.debit is account else -t.amount_paise) for t in verdict.transfers if account in (t.debit, t.credit))


def kinds(verdict: Verdict) -> list[DifferenceKind]:
    return [found.kind for found in verdict.differences]


def test_a_payment_that_comes_as_told_moves_bank_and_fees_and_differs_in_nothing() -> None:
    verdict = judge(line("pay_1", 118_00, fee=2_79, tax=43), Known(118_00, 2_79))
    assert verdict.transfers == (
        Transfer(Account.BANK, Account.CLEARING, 115_21),
        Transfer(Account.FEES, Account.CLEARING, 2_36),
        Transfer(Account.FEE_TAX, Account.CLEARING, 43),
    )
    assert verdict.differences == ()


@pytest.mark.parametrize(
    ("item", "known", "expected", "amount", "clearing"),
    [
        (line("p", 118_00, net=108_00), Known(118_00), DifferenceKind.SHORT, 10_00, 10_00),
        (line("p", 118_00, net=120_00), Known(118_00), DifferenceKind.OVER, -2_00, -2_00),
        (line("p", 118_00, fee=3_00), Known(118_00, 2_79), DifferenceKind.FEE, 21, 0),
        (line("p", 118_00), None, DifferenceKind.UNKNOWN, -118_00, -118_00),
        (line("p", 118_00), Known(118_00, settled=True), DifferenceKind.TWICE, -118_00, -118_00),
        (line("p", 118_00), Known(118_00, missed=True), DifferenceKind.LATE, 118_00, 0),
        (line("r", 50_00, kind=SettlementKind.REFUND), None, DifferenceKind.UNKNOWN, 50_00, 50_00),
        (line("r", 50_00, kind=SettlementKind.REFUND, net=-60_00), Known(50_00), DifferenceKind.SHORT, 10_00, 10_00),
        (line("a", 7_00, kind=SettlementKind.ADJUSTMENT, net=-7_00), None, DifferenceKind.ADJUSTMENT, 7_00, 7_00),
        (line("a", 7_00, kind=SettlementKind.OTHER, net=7_00), None, DifferenceKind.ADJUSTMENT, -7_00, -7_00),
    ],
)
def test_each_kind_of_difference(item: object, known: Known | None, expected: DifferenceKind, amount: int, clearing: int) -> None:
    (found,) = judge(item, known).differences  # type: ignore[arg-type]
    assert (found.kind, found.amount_paise, found.clearing_paise) == (expected, amount, clearing)
    assert found.note


def test_a_fee_that_was_never_told_is_believed() -> None:
    assert kinds(judge(line("p", 118_00, fee=3_00), Known(118_00))) == []


@given(
    amount=st.integers(1, 10**7),
    net=st.integers(-(10**7), 10**7),
    fee=st.integers(0, 10**5),
    known=st.one_of(st.none(), st.builds(Known, st.integers(1, 10**7), st.none(), st.booleans(), st.booleans())),
    kind=st.sampled_from(SettlementKind),
)
def test_clearing_keeps_what_is_wrong_and_nothing_else(amount: int, net: int, fee: int, known: Known | None, kind: SettlementKind) -> None:
    """After a line, the account has lost what the books held of the thing, and gained exactly the differences."""
    verdict = judge(line("x", amount, kind=kind, fee=fee, tax=fee // 6, net=net), known)
    held = 0
    if known is not None and not known.settled and kind in (SettlementKind.PAYMENT, SettlementKind.REFUND):
        held = known.amount_paise if kind is SettlementKind.PAYMENT else -known.amount_paise
    assert moved(verdict, Account.CLEARING) == -held + sum(found.clearing_paise for found in verdict.differences)
