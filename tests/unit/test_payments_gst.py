"""GSTIN and place of supply, dated rates, numbers of documents, amounts in words."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction

import pytest

import payments
from payments import InvalidBill
from payments.gst import DatedGst, GstBook, Recipient, Supplier, check_character, checked_gstin
from payments.money import GstRule
from payments.money_words import rupees_in_words
from payments.numbering import Series, next_number, number_of
from payments.tables import BillRow
from payments.times import to_ms
from storage import Store

MAHARASHTRA = "27AAPFU0939F1ZV"


def gstin(first_14: str) -> str:
    return first_14 + check_character(first_14)


def test_gstin_check_sign() -> None:
    assert checked_gstin(" 27aapfu0939f1zv ") == MAHARASHTRA
    assert check_character(MAHARASHTRA[:14]) == "V"


@pytest.mark.parametrize("wrong", ["27AAPFU0939F1ZW", "27AAPFU9039F1ZV", "28AAPFU0939F1ZV", "27AAPFU0939F1Z", "", "27AAPFU0939F1AV"])
def test_gstin_mistyped_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidBill):
        checked_gstin(wrong)


BOOK = GstBook(
    supplier=Supplier(name="Depot", address="Road 1", gstin=gstin("29AAPFU0939F1Z")),
    changes=[DatedGst(date(2027, 4, 1), Fraction(5, 100), "998714")],
)


def test_place_of_supply_is_the_registered_recipients_state() -> None:
    rule = BOOK.rule(date(2026, 12, 1), Recipient(name="Cabs", address="Pune", gstin=MAHARASHTRA))
    assert (rule.inter_state, rule.supply_state, rule.rate) == (True, "27", Fraction(18, 100))
    assert not BOOK.rule(date(2026, 12, 1)).inter_state
    assert BOOK.rule(date(2026, 12, 1)).supply_state == "29"


def test_the_rate_is_that_of_the_invoices_day() -> None:
    assert [BOOK.rule(date(2027, month, 1)).rate for month in (3, 4)] == [Fraction(18, 100), Fraction(5, 100)]
    with pytest.raises(InvalidBill, match="order"):
        GstBook(changes=[*BOOK.changes, *BOOK.changes])


def test_suppliers_and_recipients_that_contradict_themselves() -> None:
    with pytest.raises(InvalidBill, match="its state is set"):
        Supplier(gstin=MAHARASHTRA, state_code="29")
    with pytest.raises(InvalidBill, match="name of at most"):
        Recipient(name=" ", address="x", state_code="29")
    with pytest.raises(InvalidBill, match="no state code"):
        Recipient(name="a", address="x")
    with pytest.raises(InvalidBill, match="4 capital"):
        Supplier(prefix="toolong")
    assert GstBook(base=GstRule(supplier_state="29", supply_state="27")).rule(date(2026, 1, 1)).inter_state


@pytest.mark.parametrize(
    ("paise", "words"),
    [
        (0, "Rupees zero only"),
        (5, "Rupees zero and five paise only"),
        (1_17_110, "Rupees one thousand one hundred seventy-one and ten paise only"),
        (1_02_34_567_89, "Rupees one crore two lakh thirty-four thousand five hundred sixty-seven and eighty-nine paise only"),
        (-2_000, "Rupees minus twenty only"),
    ],
)
def test_amounts_in_words(paise: int, words: str) -> None:
    assert rupees_in_words(paise) == words


def test_numbers_have_at_most_sixteen_signs() -> None:
    assert number_of("BLR1", Series.CREDIT_NOTE, "2627", 42) == "BLR12627/C000042"
    assert len(number_of("BLR1", Series.CREDIT_NOTE, "2627", 999_999)) == 16
    with pytest.raises(InvalidBill, match="invoice_prefix"):
        number_of("BLR1", Series.CREDIT_NOTE, "2627", 1_000_000)


def _store() -> Store:
    store = Store.open(None)
    store.migrate([payments])
    return store


def test_rule_46_numbers_are_consecutive_per_series_and_year() -> None:
    store = _store()
    march, april = date(2027, 3, 31), date(2027, 4, 1)
    with store.unit() as session:
        got = [next_number(session, "d", series, day) for day in (march, april) for series in (*Series, Series.INVOICE)]
    assert got == [
        "2627/000001", "2627/C000001", "2627/D000001", "2627/000002",
        "2728/000001", "2728/C000001", "2728/D000001", "2728/000002",
    ]  # fmt: skip


def test_a_number_that_is_rolled_back_is_given_again() -> None:
    store = _store()

    def fail() -> None:
        with store.unit() as session:
            next_number(session, "d", Series.INVOICE, date(2026, 12, 1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with store.unit() as session:
        assert next_number(session, "d", Series.INVOICE, date(2026, 12, 1)) == "2627/000001"


def test_numbers_go_on_from_bills_that_were_numbered_before_there_were_series() -> None:
    store = _store()
    with store.unit() as session:
        session.add(
            BillRow(
                depot_id="d", bill_id="old", driver_id="x", mandate_id="m", own="invoiced", reserved_paise=0, invoice_no="2627/000041",
                opened_ms=to_ms(datetime(2026, 11, 1, tzinfo=UTC)),
            )
        )  # fmt: skip
        session.flush()
        assert next_number(session, "d", Series.INVOICE, date(2026, 12, 1)) == "2627/000042"


def test_the_first_invoice_of_a_year_may_come_after_a_debit_note() -> None:
    store = _store()
    with store.unit() as session:
        number = next_number(session, "d", Series.DEBIT_NOTE, date(2027, 4, 1))  # a meter of March was wrong; its money is a bill
        session.add(
            BillRow(
                depot_id="d", bill_id="old+1", driver_id="x", mandate_id="m", own="invoiced", reserved_paise=0, invoice_no=number,
                opened_ms=to_ms(datetime(2027, 4, 1, tzinfo=UTC)),
            )
        )  # fmt: skip
        session.flush()
        assert next_number(session, "d", Series.INVOICE, date(2027, 4, 1)) == "2728/000001"
