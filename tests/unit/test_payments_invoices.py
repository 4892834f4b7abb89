"""Documents: every field of rule 46, frozen, the same bytes again, numbers without gaps under two writers and kill."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from test_payments_rating import DAY, NIGHT, facts, tariff

import payments
from payments import UnknownRecord
from payments.documents import Correction, DocumentKind, Sale, document
from payments.gst import GstBook, Recipient, Supplier, check_character
from payments.invoice_html import html
from payments.invoice_pdf import pdf
from payments.invoices import Charge, charge_of_lines
from payments.money import EnergyLine, bill_of_value
from payments.rating import rate
from payments.service import Payments, Terms
from payments.states import MandateState, Mode
from payments.tables import MandateRow
from payments.times import to_ms
from payments.upi_pay import PayLink, checked_vpa
from storage import Store, StoreConflict

NOW = datetime(2026, 11, 23, 18, 45, tzinfo=UTC)  # the 24th in India
SUPPLIER = Supplier(name="Depot Pvt Ltd", address="Plot 12, Bengaluru", gstin="29AAPFU0939F1Z" + check_character("29AAPFU0939F1Z"))
CABS = Recipient(name="Rani <b>Cabs</b> & Sons", address="14 MG Road, Pune", gstin="27AAPFU0939F1ZV")


def made(recipient: Recipient | None = None, supplier: Supplier = SUPPLIER, kind: DocumentKind = DocumentKind.INVOICE) -> dict[str, Any]:
    chosen, measured = tariff(NIGHT, DAY), facts((0, 0), (60, 8_000), (90, 9_500))
    rated = rate(chosen, measured)
    rule = GstBook(supplier=supplier).rule(NOW.date(), recipient)
    sale = Sale(
        session_id="s-1", driver_id="driver-7", place="CP-1/1", started_at=measured.started_at, ended_at=measured.ended_at,
        tariff_id=chosen.tariff_id, tariff_digest="ab" * 32,
    )  # fmt: skip
    corrects = Correction(number="2627/000009", day="2026-11-20", reason="meter was wrong") if kind is not DocumentKind.INVOICE else None
    bill = bill_of_value(rated.taxable_paise, rated.energy_wh, rule)
    return document(
        kind, "2627/000041", NOW, sale=sale, rated=rated, bill=bill, gst=rule, supplier=supplier, recipient=recipient, corrects=corrects
    )


def test_rule_46_fields_of_an_invoice_to_a_business() -> None:
    d = made(CABS)
    assert (d["supplier"]["name"], d["supplier"]["address"], d["supplier"]["gstin"]) == (SUPPLIER.name, SUPPLIER.address, SUPPLIER.gstin)
    assert (d["number"], d["day"]) == ("2627/000041", "2026-11-24")
    assert len(d["number"]) <= 16
    assert (d["recipient"]["name"], d["recipient"]["gstin"], d["recipient"]["state"]) == (CABS.name, CABS.gstin, "Maharashtra")
    assert d["place_of_supply"] == {"state_code": "27", "state": "Maharashtra"}
    assert all(line["sac"] == "998714" and line["words"] and line["unit"] == "kWh" for line in d["lines"])
    assert sum(line["taxable_paise"] for line in d["lines"]) == d["taxable_paise"]
    assert d["taxes"] == [{"name": "IGST", "rate_percent": "18", "amount_paise": 2_345}]
    assert d["taxable_paise"] + 2_345 == d["total_paise"]
    assert d["reverse_charge"] is False
    assert (d["irn"], "not set above ₹5 crore" in d["irn_reason"]) == ("", True)
    assert d["notices"] == []


def test_an_irn_that_is_needed_and_missing_is_said() -> None:
    d = made(CABS, replace(SUPPLIER, irn_needed=True))
    assert d["notices"] == ["IRN missing: not valid for input tax until it is registered"]
    assert made(None, replace(SUPPLIER, irn_needed=True))["notices"] == []


def test_a_supplier_that_is_not_set_is_said() -> None:
    assert made(None, Supplier())["notices"] == ["No tax invoice: the supplier's name, address, GSTIN are not set"]


def test_a_driver_pays_two_taxes_in_the_depots_state_utgst_in_a_union_territory() -> None:
    assert [(tax["name"], tax["rate_percent"]) for tax in made()["taxes"]] == [("CGST", "9"), ("SGST", "9")]
    chandigarh = replace(SUPPLIER, gstin="04AAPFU0939F1Z" + check_character("04AAPFU0939F1Z"))
    assert [tax["name"] for tax in made(None, chandigarh)["taxes"]] == ["CGST", "UTGST"]


@pytest.mark.parametrize("kind", list(DocumentKind))
def test_paper_and_page_are_the_same_bytes_again(kind: DocumentKind) -> None:
    d = made(CABS, kind=kind)
    pay = PayLink(vpa="depot@okbank", name="Depot", number=d["number"], amount_paise=d["total_paise"])
    first, page = pdf(d, pay), html(d, pay)
    assert first == pdf(d, pay)
    assert first.startswith(b"%PDF-")
    assert page == html(d, pay)
    assert "<b>Cabs</b>" not in page
    assert "&lt;b&gt;Cabs" in page
    assert ("meter was wrong" in page) == (kind is not DocumentKind.INVOICE)


def test_the_link_for_an_unpaid_bill() -> None:
    pay = PayLink(vpa="depot@okbank", name="Depot & Co", number="2627/000041", amount_paise=12_305)
    assert pay.url == (
        "upi://pay?pa=depot@okbank&pn=Depot%20%26%20Co&am=123.05&cu=INR&tn=Invoice%202627%2F000041&tr=2627000041"
    )  # fmt: skip
    with pytest.raises(payments.InvalidBill):
        checked_vpa("depot@ok bank")


# -- in the books ---------------------------------------------------------------------------------------------------------


class Still:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


def desk_of(store: Store) -> Payments:
    desk = Payments(store, "d", Still(), Terms(supplier=SUPPLIER))
    with store.unit() as session:
        if session.get(MandateRow, ("d", "m1")) is None:
            session.add(
                MandateRow(
                    depot_id="d", mandate_id="m1", driver_id="x", mode=Mode.AUTOPAY, state=MandateState.ACTIVE, state_at_s=0,
                    max_amount_paise=5_000_00, expire_ms=to_ms(NOW + timedelta(days=300)), receipt="r1", created_ms=to_ms(NOW),
                )
            )  # fmt: skip
    return desk


def bill(desk: Payments, session_id: str) -> None:
    desk.readmit(session_id, "x", "m1", reserved_paise=10_000)
    desk.bill_session(session_id, charge_of_lines([EnergyLine(1_000, Fraction(1450))]))


def test_the_same_session_again_is_the_same_document() -> None:
    store = Store.open(None)
    store.migrate([payments])
    desk = desk_of(store)
    chosen, measured = tariff(DAY), facts((0, 0), (60, 8_000))
    desk.readmit("s", "x", "m1", reserved_paise=10_000)
    for _ in range(2):
        desk.bill_session("s", Charge(rated=rate(chosen, measured), tariff=chosen, facts=measured))
    (invoice,) = desk.invoices.of_bill("s")
    assert desk.invoices.find(invoice.number) == invoice
    with pytest.raises(UnknownRecord):
        desk.invoices.find("2627/999999")


def test_documents_cannot_be_changed_or_deleted() -> None:
    store = Store.open(None)
    store.migrate([payments])
    bill(desk_of(store), "s")
    for change in ("UPDATE payments_document SET body = '{}'", "DELETE FROM payments_document"):
        with pytest.raises(StoreConflict, match="append-only"), store.writing() as connection:
            connection.execute(text(change))


def test_newest_first_page_by_page_and_month() -> None:
    store = Store.open(None)
    store.migrate([payments])
    desk = desk_of(store)
    for n in range(5):
        bill(desk, f"s{n}")
    numbers = [one.number for one in desk.invoices.list(limit=2)]
    assert numbers == ["2627/000005", "2627/000004"]
    assert [one.number for one in desk.invoices.list(limit=2, before=numbers[-1])] == ["2627/000003", "2627/000002"]
    assert desk.invoices.list(month="2026-10") == []
    assert len(desk.invoices.list(month="2026-11", driver_id="x")) == 5


def test_two_writers_leave_no_gap(tmp_path: Path) -> None:
    path = tmp_path / "money.db"
    with Store.open(path) as store:
        store.migrate([payments])
        desk_of(store)

    def write(who: str) -> None:
        with Store.open(path) as mine:
            desk = Payments(mine, "d", Still(), Terms(supplier=SUPPLIER))
            for n in range(20):
                bill(desk, f"{who}{n}")

    writers = [threading.Thread(target=write, args=(who,)) for who in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with Store.open(path) as store:
        found = sorted(one.number for one in desk_of(store).invoices.list(limit=100))
    assert found == [f"2627/{n:06d}" for n in range(1, 41)]
