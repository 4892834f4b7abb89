"""Bills to the paisa, keys and their guard, the ledger's rows, migrations."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData, text
from sqlmodel import SQLModel

import payments
from payments import InvalidBill, InvalidEntry, UnsafeKeys, ledger
from payments.keys import GatewayKeys, guarded_url, keys_from
from payments.ledger import Account, Entry, Transfer
from payments.money import Bill, EnergyLine, GstRule, bill_of, financial_year, round_half_up
from storage import Store, StoreConflict

AT = datetime(2026, 11, 21, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(("value", "rounded"), [("1/2", 1), ("3/2", 2), ("-1/2", -1), ("49/100", 0), ("5", 5)])
def test_halves_go_away_from_zero(value: str, rounded: int) -> None:
    assert round_half_up(Fraction(value)) == rounded


def test_gst_two_halves_are_computed_each() -> None:
    bill = bill_of([EnergyLine(12_345, Fraction("812.5"))], GstRule(supplier_state="29", supply_state="29"))
    assert bill.taxable_paise == 10_030  # 10030.3125
    assert (bill.cgst_paise, bill.sgst_paise, bill.igst_paise) == (903, 903, 0)  # 902.7 each; 18 % at once would be 1805
    assert bill.total_paise == 11_836


def test_gst_igst_across_a_state_border() -> None:
    bill = bill_of([EnergyLine(12_345, Fraction("812.5"))], GstRule(supplier_state="29", supply_state="27"))
    assert (bill.cgst_paise, bill.sgst_paise, bill.igst_paise) == (0, 0, 1805)


def test_whole_rupees_have_a_line_of_their_own() -> None:
    bill = bill_of([EnergyLine(12_345, Fraction("812.5"))], GstRule(whole_rupees=True), service_paise=5)
    assert bill.total_paise % 100 == 0
    assert bill.round_off_paise == bill.total_paise - (bill.taxable_paise + bill.cgst_paise + bill.sgst_paise)


def test_each_price_is_a_line() -> None:
    lines = [EnergyLine(1, Fraction(500)), EnergyLine(1, Fraction(500))]
    assert bill_of(lines, GstRule()).taxable_paise == 2  # half a paisa each, rounded up each
    assert bill_of([], GstRule()).total_paise == 0


def test_impossible_bills_are_refused() -> None:
    with pytest.raises(InvalidBill):
        EnergyLine(-1, Fraction(1))
    with pytest.raises(InvalidBill):
        bill_of([], GstRule(), service_paise=-1)
    with pytest.raises(InvalidBill):
        GstRule(rate=Fraction(2))
    with pytest.raises(InvalidBill):
        Bill(energy_wh=1, taxable_paise=5, cgst_paise=0, sgst_paise=0, igst_paise=0, round_off_paise=0, total_paise=6)


def test_financial_year_begins_in_april() -> None:
    assert [financial_year(date(2027, m, 1)) for m in (3, 4)] == ["2627", "2728"]


# -- keys -----------------------------------------------------------------------------------------------------------------

TEST_KEYS = GatewayKeys("rzp_test_abc", "s" * 20, ("w" * 20,))
LIVE_KEYS = GatewayKeys("rzp_live_abc", "s" * 20, ("w" * 20,))


@pytest.mark.parametrize(
    ("url", "keys"),
    [
        ("http://127.0.0.1:8090/v1", LIVE_KEYS),
        ("https://mock.example/v1", LIVE_KEYS),
        ("https://api.razorpay.com.evil.example/v1", LIVE_KEYS),
        ("http://api.razorpay.com/v1", LIVE_KEYS),
        ("https://user@api.razorpay.com/v1", LIVE_KEYS),
        ("https://api.razorpay.com:8443/v1", LIVE_KEYS),
        ("http://10.0.0.5:8090/v1", TEST_KEYS),
        ("ftp://api.razorpay.com/v1", TEST_KEYS),
        ("gateway", TEST_KEYS),
    ],
)
def test_live_keys_and_mocks_are_kept_apart(url: str, keys: GatewayKeys) -> None:
    with pytest.raises(UnsafeKeys):
        guarded_url(url, keys)


def test_fitting_keys_and_addresses() -> None:
    assert guarded_url("https://api.razorpay.com/v1/", LIVE_KEYS) == "https://api.razorpay.com/v1"
    assert guarded_url("http://127.0.0.1:8090/v1", TEST_KEYS) == "http://127.0.0.1:8090/v1"


def test_secrets_do_not_show() -> None:
    assert "ssss" not in repr(TEST_KEYS)
    assert "wwww" not in repr(TEST_KEYS)


def test_keys_come_from_the_environment() -> None:
    found = keys_from(
        {
            "CHARGEYARD_GATEWAY_KEY_ID": "rzp_test_a",
            "CHARGEYARD_GATEWAY_KEY_SECRET": "k" * 16,
            "CHARGEYARD_GATEWAY_WEBHOOK_SECRET": "w" * 16,
            "CHARGEYARD_GATEWAY_WEBHOOK_SECRET_OLD": "o" * 16,
        }
    )
    assert found.webhook_secrets == ("w" * 16, "o" * 16)
    with pytest.raises(UnsafeKeys, match="KEY_SECRET"):
        keys_from({"CHARGEYARD_GATEWAY_KEY_ID": "rzp_test_a"})
    with pytest.raises(UnsafeKeys):
        GatewayKeys("sk_12345", "s" * 20, ("w" * 20,))


# -- ledger ---------------------------------------------------------------------------------------------------------------

BILL = bill_of([EnergyLine(20_000, Fraction(900))], GstRule(whole_rupees=True))


@pytest.fixture
def store() -> Store:
    store = Store.open(None)
    store.migrate([payments])
    return store


def test_a_bill_paid_and_given_back_leaves_nothing(store: Store) -> None:
    with store.unit() as session:
        assert ledger.post(session, "d", ledger.invoiced("b1", "rani", BILL, AT))
        assert ledger.balance(session, "d", Account.RECEIVABLE, "rani") == BILL.total_paise
        assert ledger.post(
            session, "d", ledger.taken("pay_1", "rani", owed_paise=BILL.total_paise, written_off_paise=0, surplus_paise=0, at=AT)
        )
        assert not ledger.post(
            session, "d", ledger.taken("pay_1", "rani", owed_paise=BILL.total_paise, written_off_paise=0, surplus_paise=0, at=AT)
        )
        assert ledger.balance(session, "d", Account.RECEIVABLE, "rani") == 0
        assert ledger.balance(session, "d", Account.CLEARING) == BILL.total_paise
        ledger.post(session, "d", ledger.credited("b1", "rani", BILL, AT))
        ledger.post(session, "d", ledger.refunded("rfnd_1", "rani", BILL.total_paise, AT))
        assert {account: ledger.balance(session, "d", account) for account in Account} == dict.fromkeys(Account, 0)
        found = ledger.check(session, "d")
    assert (found.sound, found.entries) == (True, 4)


def test_the_ledger_is_append_only(store: Store) -> None:
    with store.unit() as session:
        ledger.post(session, "d", ledger.invoiced("b1", "rani", BILL, AT))
    for change in (
        "UPDATE payments_posting SET amount_paise = 0",
        "DELETE FROM payments_posting",
        "UPDATE payments_entry SET memo = 'x'",
        "DELETE FROM payments_entry",
    ):
        with pytest.raises(StoreConflict, match="append-only"), store.writing() as connection:
            connection.execute(text(change))


def test_the_check_finds_what_does_not_balance(store: Store) -> None:
    with store.unit() as session:
        ledger.post(session, "d", ledger.invoiced("b1", "rani", BILL, AT))
        ledger.post(session, "d", ledger.taken("pay_1", "rani", owed_paise=BILL.total_paise, written_off_paise=0, surplus_paise=0, at=AT))
    with store.writing() as connection:
        connection.execute(text("INSERT INTO payments_posting VALUES ('d', 2, 9, 'fees', '', 7)"))
    with store.unit() as session:
        found = ledger.check(session, "d")
    assert (found.sum_paise, list(found.unbalanced), found.sound) == (7, [2], False)


def test_entries_that_move_nothing_are_refused() -> None:
    with pytest.raises(InvalidEntry):
        Transfer(Account.CLEARING, Account.RECEIVABLE, 0)
    with pytest.raises(InvalidEntry):
        Transfer(Account.CLEARING, Account.CLEARING, 1)
    with pytest.raises(InvalidEntry):
        Entry("k", AT, "", "", ())


def test_migrations_make_what_the_tables_say(tmp_path: Path) -> None:
    ours = MetaData()
    for name, table in SQLModel.metadata.tables.items():
        if name.startswith("payments_"):
            table.to_metadata(ours)
    with Store.open(tmp_path / "x.db") as store:
        store.migrate([payments])
        store.migrate([payments])
        with store.reading() as connection:
            assert compare_metadata(MigrationContext.configure(connection), ours) == []
