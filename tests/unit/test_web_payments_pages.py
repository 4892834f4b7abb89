"""The manager's pages of money: debits with their way and what to do, refunds, reconciliation, statements, invoices, tariffs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_books import reconciliation
from fake_depot import NOW
from web_harness import form_value, site

from controller.books_view import (
    ArrearsView,
    DayStatementView,
    DebitsView,
    DriverStatementView,
    FleetStatementView,
    ReconciliationView,
    RefundsView,
)
from controller.driver_tariffs_view import DriverPriceView, DriverTariffsView
from controller.invoices_view import InvoicesView, RecipientsView
from depot import commands as cmd
from depot.values import Role
from payments.settling import DifferenceKind
from payments.states import Mode, RefundState
from web.books_page import REFUNDS
from web.payments_page import MODES
from web.reconciliation_page import KINDS

pytestmark = pytest.mark.anyio

PAGES = ("debits", "refunds", "reconciliation", "statements", "invoices", "tariffs")
VIEWS = (
    ArrearsView, DayStatementView, DebitsView, DriverStatementView, FleetStatementView, ReconciliationView, RefundsView, DriverPriceView,
    DriverTariffsView, InvoicesView, RecipientsView,
)  # fmt: skip


def test_every_state_has_words() -> None:
    assert set(MODES) == {mode.value for mode in Mode}
    assert set(REFUNDS) == {state.value for state in RefundState}
    assert set(KINDS) == {kind.value for kind in DifferenceKind}


@pytest.mark.parametrize("page", PAGES)
async def test_where_nobody_pays_each_page_says_so(tmp_path: Path, page: str) -> None:
    async with site(tmp_path) as depot:
        for view in VIEWS:
            depot.link.shown.pop(view, None)
        answer = await (await depot.signed_in()).get(f"/payments/{page}")
    assert answer.status_code == 200
    assert "Nobody pays here" in answer.text


async def test_what_failed_stands_first_with_what_to_do(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        page = (await (await depot.signed_in()).get("/payments/debits")).text
    for words in (
        "mandate cancelled", "The driver must set up a new mandate.", "₹118.00", "1 made, 1 not taken by the messenger", "2627/000003",
        'action="/payments/bills/s3/paid"', 'action="/payments/bills/s3/write-off"', 'name="owed_paise" value="11800"', "second person",
        "AutoPay", "batched", "taken", "pay_1", "2627/000001",
    ):  # fmt: skip
        assert words in page, words
    assert page.index("Unpaid, waits for somebody") < page.index(">Debits</h2>")
    assert "style=" not in page


async def test_refunds_that_failed_are_asked_for_again(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        refunds = depot.link.shown[RefundsView]
        assert isinstance(refunds, RefundsView)
        real = msgspec.structs.replace(refunds.refunds[0], refund_key="again/s1/1")
        depot.link.shown[RefundsView] = RefundsView(at=NOW, refunds=[real])
        page = (await client.get("/payments/refunds")).text
        assert 'name="refund" value="again/s1/1"' in page
        form = {"csrf": await form_value(client), "reason": "a new account", "refund": "again/s1/1"}
        answer = await client.post("/payments/refunds/retry", data=form)
        assert answer.headers["location"] == "/payments/refunds"
        (command,) = depot.link.commands
        assert isinstance(command, cmd.RetryRefund)
        assert (command.refund_key, command.reason) == ("again/s1/1", "a new account")


async def test_reconciliation_is_zero_or_says_what_is_open(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        page = (await client.get("/payments/reconciliation")).text
        for words in ("must be ₹0.00", "₹10.00", "does not agree yet", "too little came", "₹115.21 was to come", "1 unexplained"):
            assert words in page, words
        form = {"csrf": await form_value(client), "reason": "fee of the new contract"}
        answer = await client.post("/payments/differences/cy-short/explain", data=form)
        assert answer.headers["location"] == "/payments/reconciliation"
        (command,) = depot.link.commands
        assert isinstance(command, cmd.ExplainDifference)
        assert (command.difference_id, command.reason) == ("cy-short", "fee of the new contract")
        sound = msgspec.structs.replace(reconciliation(), zero=True, open=0, open_paise=0, differences=[])
        depot.link.shown[ReconciliationView] = sound
        page = (await client.get("/payments/reconciliation")).text
        assert "books and settlements agree" in page
        assert "No difference" in page


async def test_statements_of_all_of_one_and_of_a_day(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        page = (await client.get("/payments/statements")).text
        assert "The ledger agrees with invoices" in page
        assert "/api/v1/payments/statements/fleet?" in page
        page = (await client.get("/payments/statements?of=driver&driver=D-101")).text
        for words in ("session invoiced", "2627/000001", "₹118.00", "/api/v1/payments/statements/drivers/D-101?"):
            assert words in page, words
        assert (await client.get("/payments/statements?of=driver")).status_code == 422
        page = (await client.get("/payments/statements?of=day&day=2026-11-21")).text
        assert "receivable" in page
        assert "all accounts together" in page
        csv = await client.get("/api/v1/payments/statements/fleet?format=csv")
        assert csv.headers["content-type"].startswith("text/csv")


async def test_invoices_with_files_gaps_and_corrections(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        page = (await client.get("/payments/invoices?month=2026-11")).text
        for words in ("2627/000117", "Numbers are missing", "2627/000009", "/api/v1/payments/invoices/2627-000117?format=pdf"):
            assert words in page, words
        assert 'action="/payments/bills/s-117/correct"' in page
        assert "Rani Logistics" in page
        assert (await client.get("/api/v1/payments/invoices/2627-000117?format=pdf")).content.startswith(b"%PDF")
        form: dict[str, Any] = {"csrf": await form_value(client), "reason": "asked in writing"}
        told = {"driver_id": "driver 9", "name": "Rani Logistics", "address": "4 MG Road", "gstin": "29aagcb7383j1z4", "state_code": ""}
        await client.post("/payments/recipients", data=form | told)
        (command,) = depot.link.commands
        assert isinstance(command, cmd.SetInvoiceRecipient)
        assert (command.name, command.gstin) == ("Rani Logistics", "29AAGCB7383J1Z4")
        empty = InvoicesView(at=NOW, documents=[], more="", series=[], supplier_missing=["payments.supplier_gstin"])
        depot.link.shown[InvoicesView] = empty
        page = (await client.get("/payments/invoices")).text
        assert "These are no tax invoices yet" in page
        assert "payments.supplier_gstin" in page


async def test_tariffs_are_shown_taken_in_and_ended(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        page = (await client.get("/payments/tariffs")).text
        for words in (
            "evening",
            "version 2",
            "in force",
            "not in force",
            "₹15.04",
            "₹141.60",
            "first 15 min after full",
            "format=ocpi-2.2.1",
        ):
            assert words in page, words
        form = {"csrf": await form_value(client), "reason": "the new year"}
        body = json.dumps({"schema": "driver-tariff/1", "id": "night", "elements": [{"energy": {"price": "9.50"}}]}).encode()
        answer = await client.post("/payments/tariffs/import", data=form, files={"file": ("night.json", body, "application/json")})
        assert answer.headers["location"] == "/payments/tariffs"
        for wrong in (b"", b"no json", b"[]", b"{}", b"[" * 90_000):
            answer = await client.post("/payments/tariffs/import", data=form, files={"file": ("x.json", wrong, "application/json")})
            assert answer.status_code == 422, wrong[:20]
        await client.post("/payments/tariffs/evening/end", data=form)
        put, end = depot.link.commands
        assert isinstance(put, cmd.PutDriverTariff)
        assert (put.tariff_id, json.loads(put.text)["id"]) == ("night", "night")
        assert isinstance(end, cmd.EndDriverTariff)
        assert end.tariff_id == "evening"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.SAFETY_OFFICER])
async def test_who_may_look_sees_no_buttons(tmp_path: Path, role: Role) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(role)
        for page in PAGES:
            answer = await client.get(f"/payments/{page}")
            if page == "statements":
                assert answer.status_code == 403
                continue
            assert answer.status_code == 200, page
            assert "data-open=" not in answer.text, page
            assert 'method="post"' not in answer.text.replace('action="/sign-out"', ""), page
        assert "/payments/statements" not in (await client.get("/payments/debits")).text
