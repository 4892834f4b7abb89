"""The list of drivers' contact data: sealed in the database, masked, found by phone, told, erased, forgotten in time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import payments
from payments import Refused, UnknownRecord
from payments.contacts import Contact, Contacts
from payments.payers import Payers
from payments.privacy import ContactKeys, UnreadableContact, Vault
from payments.states import MandateState, Mode, Stage
from payments.tables import BillRow, CollectionRow, MandateRow, OrderRow, RecipientRow, WebhookRow
from payments.times import to_ms
from storage import Store

RANI = Contact("+919876543210", "rani@example.org", "Rani Kulkarni", "rani.k@okaxis")
OLD, NEW = "11" * 32, "22" * 32
START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


@dataclass
class Clock:
    at: datetime = START

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError


@dataclass
class Books:
    store: Store
    clock: Clock
    contacts: Contacts
    path: Path

    def with_keys(self, *keys: str) -> Contacts:
        return Contacts(self.store, "kothrud", self.clock, Vault(ContactKeys.parse(",".join(keys))))


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    clock = Clock()
    with Store.open(tmp_path / "money.db") as store:
        store.migrate([payments])
        yield Books(store, clock, Contacts(store, "kothrud", clock, Vault(ContactKeys.parse(NEW))), tmp_path / "money.db")


def bill(stage: Stage, driver_id: str = "g-1") -> BillRow:
    return BillRow(
        depot_id="kothrud",
        bill_id=f"s-{stage}",
        driver_id=driver_id,
        mandate_id="m-1",
        own=stage,
        reserved_paise=0,
        opened_ms=to_ms(START),
        invoice_no=f"2627/{stage}",
        total_paise=1000,
    )


def mandate(state: MandateState, driver_id: str = "g-1") -> MandateRow:
    return MandateRow(
        depot_id="kothrud",
        mandate_id="m-1",
        driver_id=driver_id,
        mode=Mode.AUTOPAY,
        state=state,
        state_at_s=0,
        max_amount_paise=500_000,
        expire_ms=to_ms(START) + 10**10,
        receipt="cy-1",
        order_id="order_1",
        token_id="token_1",
        customer_id="cust_1",
        intent_url="upi://mandate?pa=x",
        created_ms=to_ms(START),
    )


def webhook(event_id: str, body: str, *, state: str = "applied", received_ms: int = 1) -> WebhookRow:
    return WebhookRow(
        depot_id="kothrud", event_id=event_id, kind="token.confirmed", ref="token_1", state=state, received_ms=received_ms, body=body
    )


def test_nothing_plain_rests_in_the_database(books: Books) -> None:
    books.contacts.put("g-1", RANI)
    raw = books.path.read_bytes() + (books.path.with_name("money.db-wal")).read_bytes()
    for plain in (b"9876543210", b"rani@example.org", b"Kulkarni", b"rani.k@okaxis"):
        assert plain not in raw
    assert books.contacts.reveal("g-1") == RANI


def test_screens_see_masks(books: Books) -> None:
    books.contacts.put("g-1", RANI, source="page")
    (shown,) = books.contacts.masked()
    assert (shown.phone, shown.email, shown.name, shown.vpa) == ("98•••••210", "r•••@example.org", "R••• K•••", "ra•••@okaxis")
    assert shown.source == "page"
    assert books.contacts.masked_of("g-1") == shown
    assert books.contacts.masked_of("g-2") is None
    assert "9876543210" not in repr(books.contacts.reveal("g-1"))


def test_drivers_are_found_by_phone(books: Books) -> None:
    books.contacts.put("g-1", RANI)
    books.clock.at += timedelta(hours=1)
    books.contacts.put("g-2", Contact("098765 43210"))
    books.contacts.put("g-3", Contact("+919000000001"))
    assert books.contacts.find_by_phone("98765-43210") == ["g-2", "g-1"]
    assert books.contacts.find_by_phone("+919000000009") == []


def test_an_index_cannot_be_guessed_without_the_key(books: Books) -> None:
    books.contacts.put("g-1", RANI)
    assert books.with_keys(OLD).find_by_phone("9876543210") == []


def test_empty_fields_keep_what_is_known(books: Books) -> None:
    books.contacts.put("g-1", RANI)
    books.contacts.put("g-1", Contact("+919000000001"))
    books.contacts.note_vpa("g-1", "rani@ybl")
    books.contacts.note_vpa("g-9", "nobody@ybl")
    assert books.contacts.reveal("g-1") == Contact("+919000000001", RANI.email, RANI.name, "rani@ybl")


@pytest.mark.parametrize("phone", ["", "12345", "5876543210", "98765432101234567", "98765x43210", "+91 12345 67890"])
def test_what_is_no_phone_number_is_refused(books: Books, phone: str) -> None:
    with pytest.raises(Refused, match=r"phone|mobile"):
        books.contacts.put("g-1", Contact(phone))


@pytest.mark.parametrize("email", ["rani", "@example.org", "rani@host", "ra ni@example.org", "x" * 190 + "@example.org"])
def test_what_is_no_address_is_refused(books: Books, email: str) -> None:
    with pytest.raises(Refused, match="e-mail"):
        books.contacts.put("g-1", Contact(RANI.phone, email))


def test_rotation_seals_anew_and_finds_all_the_time(books: Books) -> None:
    books.with_keys(OLD).put("g-1", RANI)
    both = books.with_keys(NEW, OLD)
    assert both.find_by_phone(RANI.phone) == ["g-1"]
    assert both.rotate() == 1
    assert both.rotate() == 0
    assert books.contacts.reveal("g-1") == RANI
    assert books.contacts.find_by_phone(RANI.phone) == ["g-1"]


def test_without_the_key_the_list_says_so_and_breaks_nothing(books: Books) -> None:
    books.with_keys(OLD).put("g-1", RANI)
    (shown,) = books.contacts.masked()
    assert not shown.readable
    assert shown.phone == ""
    with pytest.raises(UnreadableContact):
        books.contacts.reveal("g-1")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (bill(Stage.ESTIMATED), "under way"),
        (bill(Stage.INVOICED), "owed"),
        (bill(Stage.ARREARS), "owed"),
        (mandate(MandateState.ACTIVE), "mandate is active"),
        (mandate(MandateState.PAUSED), "mandate is active"),
    ],
)
def test_erasure_waits_for_what_is_open(books: Books, row: BillRow | MandateRow, why: str) -> None:
    books.contacts.put("g-1", RANI)
    with books.store.unit() as session:
        session.add(row)
    with pytest.raises(Refused, match=why):
        books.contacts.erase("g-1")
    assert books.contacts.reveal("g-1") == RANI


def test_erasure_takes_the_person_and_keeps_the_invoice(books: Books) -> None:
    books.contacts.put("g-1", RANI)
    Payers(books.store, "kothrud", books.clock).put("g-1", "TAG-1")
    token = {"id": "token_1", "vpa": {"username": "rani.k", "handle": "okaxis"}}
    payment = {"id": "pay_1", "amount": 100, "contact": RANI.phone, "email": RANI.email}
    body = json.dumps({"event": "token.confirmed", "payload": {"token": {"entity": token}, "payment": {"entity": payment}}})
    with books.store.unit() as session:
        session.add_all([mandate(MandateState.CANCELLED), bill(Stage.WRITTEN_OFF)])
        session.add_all([webhook("e0", body), webhook("e1", body, state="pending")])
    books.contacts.erase("g-1")
    books.contacts.erase("g-1")
    with pytest.raises(UnknownRecord):
        books.contacts.reveal("g-1")
    assert books.contacts.find_by_phone(RANI.phone) == []
    assert Payers(books.store, "kothrud", books.clock).everybody() == {}
    with sqlite3.connect(books.path) as raw:
        bodies = dict(raw.execute("SELECT event_id, body FROM payments_webhook").fetchall())
        assert "9876543210" not in bodies["e0"]
        assert "rani" not in bodies["e0"]
        assert json.loads(bodies["e0"])["message"]["payload"]["payment"]["entity"] == {"id": "pay_1", "amount": 100}
        assert "rani" in bodies["e1"]  # not applied yet: it still says what became of money
        assert raw.execute("SELECT intent_url FROM payments_mandate").fetchall() == [(None,)]
        assert raw.execute("SELECT invoice_no, total_paise FROM payments_bill").fetchall() == [("2627/written_off", 1000)]
    told = books.contacts.held("g-1")
    assert told["contact"] == {"phone": "", "email": "", "name": "", "vpa": ""}
    assert told["sessions"][0]["invoice_no"] == "2627/written_off"


def test_erasure_reaches_the_messages_about_debits_and_the_recipient(books: Books) -> None:
    books.contacts.put("g-1", RANI)
    debit = CollectionRow(
        depot_id="kothrud", collection_id="cy-1", driver_id="g-1", mandate_id="m-1", mode=Mode.AUTOPAY, day="2026-11-20", amount_paise=1000,
        own=Stage.PAID_OTHER, created_ms=1,
    )  # fmt: skip
    order = OrderRow(
        depot_id="kothrud", collection_id="cy-1", issue=1, receipt="cy-1", mandate_id="m-1", amount_paise=1000, order_id="order_9",
        requested_ms=1, payment_after_ms=1, notification="requested",
    )  # fmt: skip
    who = RecipientRow(depot_id="kothrud", driver_id="g-1", name="Rani", address="Pune", gstin="", state_code="27", changed_ms=1)
    about = webhook("e9", json.dumps({"payment": {"id": "pay_9", "contact": RANI.phone}}))
    about.ref = "order_9"
    with books.store.unit() as session:
        session.add_all([mandate(MandateState.CANCELLED), debit, order, who, about])
    assert books.contacts.held("g-1")["invoices_made_out_to"] == {"name": "Rani", "address": "Pune", "gstin": ""}
    books.contacts.erase("g-1")
    with sqlite3.connect(books.path) as raw:
        assert "9876543210" not in raw.execute("SELECT body FROM payments_webhook").fetchone()[0]
        assert raw.execute("SELECT count(*) FROM payments_recipient").fetchone() == (0,)


def test_what_is_held_is_told_whole(books: Books) -> None:
    books.contacts.put("g-1", RANI)
    Payers(books.store, "kothrud", books.clock).put("g-1", "TAG-1")
    with books.store.unit() as session:
        session.add(mandate(MandateState.ACTIVE))
    told = books.contacts.held("g-1")
    assert told["contact"]["phone"] == RANI.phone
    assert told["tag"] == "tag-1"
    assert told["mandates"][0]["max_amount_paise"] == 500_000
    with pytest.raises(UnknownRecord, match="g-2"):
        books.contacts.held("g-2")


def test_nobody_can_be_erased_who_is_not_known(books: Books) -> None:
    with pytest.raises(UnknownRecord, match="nothing is kept"):
        books.contacts.erase("g-404")


def test_retention_names_who_is_not_needed_any_more(books: Books) -> None:
    books.contacts.put("g-1", RANI)
    books.contacts.put("g-2", Contact("+919000000001"))
    with books.store.unit() as session:
        session.add(bill(Stage.ARREARS, "g-2"))
    books.clock.at += timedelta(days=91)
    books.contacts.put("g-3", Contact("+919000000002"))
    assert list(books.contacts.due(timedelta(days=90))) == ["g-1"]
    books.contacts.used("g-1")
    assert list(books.contacts.due(timedelta(days=90))) == []


def test_old_messages_of_the_gateway_are_forgotten(books: Books) -> None:
    with books.store.unit() as session:
        for name, body in (("e1", '{"payload":{"contact":"+919876543210"}}'), ("e2", "not json +919876543210")):
            session.add(webhook(name, body, received_ms=to_ms(START)))
    assert books.contacts.forget_old_messages(timedelta(days=30)) == 0
    books.clock.at += timedelta(days=31)
    assert books.contacts.forget_old_messages(timedelta(days=30)) == 2
    assert books.contacts.forget_old_messages(timedelta(days=30)) == 0
    with sqlite3.connect(books.path) as raw:
        assert "9876543210" not in str(raw.execute("SELECT body FROM payments_webhook").fetchall())
