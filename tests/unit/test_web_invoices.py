"""Driver tariffs, invoices and recipients by REST: what comes out, what becomes a command, who may."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_invoices import TARIFF, invoice
from web_harness import form_value, site

from controller.driver_tariffs_view import DriverTariffsView
from controller.invoice_paper import html, html_policy
from controller.invoices_view import InvoicesView, InvoiceView
from depot import commands as cmd
from depot.values import Role
from web.driver_tariffs_api import MOST_CHARACTERS
from web.invoices_api import number_of
from web.roles import Permission

pytestmark = pytest.mark.anyio
BASE = "/api/v1/payments"


async def test_a_tariff_is_put_and_ended_with_actor_and_reason(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        head = {"x-csrf-token": await form_value(client)}
        body = {"tariff": json.loads(TARIFF), "reason": "summer prices"}
        assert (await client.put(f"{BASE}/driver-tariffs/evening", json=body, headers=head)).status_code == 200
        gone = await client.request(
            "DELETE", f"{BASE}/driver-tariffs/evening", params={"reason": "over", "until": "2026-12-01T00:00:00+05:30"}, headers=head
        )
        assert gone.status_code == 200
        put, end = depot.link.commands
        assert isinstance(put, cmd.PutDriverTariff)
        assert (put.tariff_id, put.reason, put.actor, json.loads(put.text)) == ("evening", "summer prices", "mani", json.loads(TARIFF))
        assert isinstance(end, cmd.EndDriverTariff)
        assert end.until is not None
        assert end.until.isoformat() == "2026-12-01T00:00:00+05:30"
        assert (await client.put(f"{BASE}/driver-tariffs/evening", json=body | {"reason": " "}, headers=head)).status_code == 422
        long = {"tariff": {"name": "x" * MOST_CHARACTERS}, "reason": "too long"}
        assert (await client.put(f"{BASE}/driver-tariffs/evening", json=long, headers=head)).json()["code"] == "too_large"
        assert len(depot.link.commands) == 2


async def test_a_correction_and_a_recipient_become_commands(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        head = {"x-csrf-token": await form_value(client)}
        told = {"energy_wh": 12_000, "reason": "the meter ran fast"}
        assert (await client.post(f"{BASE}/bills/s-5/correct", json=told, headers=head)).status_code == 200
        assert (await client.post(f"{BASE}/bills/s-5/correct", json=told | {"energy_wh": -1}, headers=head)).status_code == 422
        who = {"name": "Rani Logistics", "address": "4 MG Road", "gstin": "29AAGCB7383J1Z4", "reason": "asked for by mail"}
        assert (await client.put(f"{BASE}/recipients/driver 9", json=who, headers=head)).status_code == 200
        assert (await client.request("DELETE", f"{BASE}/recipients/driver 9?reason=left", headers=head)).status_code == 200
        correct, put, remove = depot.link.commands
        assert isinstance(correct, cmd.CorrectBill)
        assert (correct.session_id, correct.energy_wh, correct.detail) == ("s-5", 12_000, {"energy_wh": "12000"})
        assert isinstance(put, cmd.SetInvoiceRecipient)
        assert (put.driver_id, put.gstin, put.bare.name) == ("driver 9", "29AAGCB7383J1Z4", "")
        assert "Rani" not in str(put.detail) + repr(put)
        assert isinstance(remove, cmd.SetInvoiceRecipient)
        assert remove.name == ""


async def test_a_document_as_json_pdf_and_page(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        found = (await client.get(f"{BASE}/invoices/2627-000117")).json()
        assert found["document"]["number"] == "2627/000117"
        assert found["pay"]["url"].startswith("upi://pay?pa=kothrud@okaxis")
        paper = await client.get(f"{BASE}/invoices/2627-000117?format=pdf")
        assert paper.content.startswith(b"%PDF-")
        assert paper.headers["content-disposition"] == 'attachment; filename="tax-invoice-2627-000117.pdf"'
        page = await client.get(f"{BASE}/invoices/2627-000117?format=html")
        assert "कर चालान" in page.text
        assert "'sha256-" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        assert depot.link.asked[-1][1]["number"] == "2627/000117"
        del depot.link.shown[InvoiceView]
        assert (await client.get(f"{BASE}/invoices/2627-000118")).json()["code"] == "not_found"


def test_the_pages_policy_names_its_own_style() -> None:
    page = html(invoice())
    assert html_policy(page).count("sha256-") == page.count("<style>") == 1
    assert "style=" not in page.split("</style>")[1].split("<svg")[0]


async def test_lists_and_prices(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        rows = (await client.get(f"{BASE}/invoices?month=2026-11&limit=3")).json()
        assert [row["number"] for row in rows["documents"]] == ["2627/000117", "2627/000116", "2627/000115"]
        assert rows["series"][0]["missing"] == ["2627/000009"]
        assert "Rani" not in json.dumps(rows)
        assert (await client.get(f"{BASE}/invoices?month=2026-13")).status_code == 422
        assert [v["number"] for v in (await client.get(f"{BASE}/driver-tariffs")).json()["versions"]] == [2, 1]
        steps = (await client.get(f"{BASE}/price?driver_id=driver%209&station_id=CP-03")).json()["steps"]
        assert [step["paise_per_kwh"] for step in steps] == ["1275", "1650", "1275"]
        assert (await client.get(f"{BASE}/driver-tariffs/evening?format=ocpi-2.2.1")).status_code == 200
        assert (await client.get(f"{BASE}/driver-tariffs/evening?format=xml")).status_code == 422
        assert (await client.get(f"{BASE}/recipients")).status_code == 403
        assert (await client.get(f"{BASE}/invoices/2627-000117")).status_code == 403


async def test_a_machine_reads_documents_and_orders_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        secret = depot.users.add_token("accounts", [Permission.READ, Permission.REGISTRY])
        client = depot.client(authorization=f"Bearer {secret}")
        assert (await client.get(f"{BASE}/invoices/2627-000117?format=pdf")).status_code == 200
        told = {"energy_wh": 1, "reason": "by itself"}
        assert (await client.post(f"{BASE}/bills/s-5/correct", json=told)).status_code == 403
        assert depot.link.commands == []


async def test_where_nobody_pays_there_is_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        del depot.link.shown[InvoicesView], depot.link.shown[DriverTariffsView]
        client = await depot.signed_in()
        for path in ("invoices", "driver-tariffs"):
            answer = await client.get(f"{BASE}/{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_an_address_names_a_number() -> None:
    assert [number_of(text) for text in ("2627-000001", "AB2627-C000001")] == ["2627/000001", "AB2627/C000001"]
