"""The books of money by REST: what comes out, as JSON and CSV, what becomes a command, who may."""

from __future__ import annotations

from pathlib import Path

import pytest
from web_harness import form_value, site

from controller.books_view import ReconciliationView
from depot import commands as cmd
from depot.values import Role

pytestmark = pytest.mark.anyio
BASE = "/api/v1/payments"


async def test_everything_can_be_read(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        found = (await client.get(f"{BASE}/debits", params={"driver_id": "D-101", "limit": 5})).json()["debits"][0]
        assert (found["stage"], [s["what"] for s in found["steps"]]) == ("captured", ["batched", "taken"])
        assert depot.link.asked[-1][1] == {"before": "", "driver_id": "D-101", "limit": "5"}
        assert (await client.get(f"{BASE}/refunds")).json()["refunds"][0]["may_retry"] is True
        assert (await client.get(f"{BASE}/arrears")).json()["bills"][0]["owed_paise"] == 118_00
        assert (await client.get(f"{BASE}/reconciliation", params={"explained": "true"})).json()["zero"] is False
        assert depot.link.asked[-1][1] == {"explained": "1"}
        assert (await client.get(f"{BASE}/statements/drivers/D-101")).json()["closing_paise"] == 118_00
        assert (await client.get(f"{BASE}/statements/days/2026-11-21")).json()["accounts"][0]["account"] == "receivable"
        assert (await client.get(f"{BASE}/debits", params={"limit": 5000})).status_code == 422
        assert (await client.get(f"{BASE}/statements/days/someday")).status_code == 422


async def test_statements_as_csv_are_files(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        paper = await client.get(f"{BASE}/statements/fleet", params={"first": "2026-11-01", "last": "2026-11-21", "format": "csv"})
        assert paper.text == "driver_id\r\n"
        assert paper.headers["content-type"] == "text/csv; charset=utf-8"
        assert paper.headers["content-disposition"] == 'attachment; filename="drivers-2026-11-21-2026-11-21.csv"'
        assert depot.link.asked[-1][1] == {"first": "2026-11-01", "last": "2026-11-21", "csv": "1"}
        assert (await client.get(f"{BASE}/statements/fleet?format=xml")).status_code == 422


async def test_what_people_decide_becomes_a_command_with_actor_and_reason(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        head = {"x-csrf-token": await form_value(client)}
        why = {"reason": "seen the receipt"}
        for path, body in (
            ("bills/s1/retry", {}), ("bills/s1/write-off", {"amount_paise": 118_00}), ("bills/s1/refund", {"amount_paise": 5_00}),
            ("bills/s1/paid", {"way": "upi_qr", "reference": "UTR 4711"}), ("refunds/cy-1/retry", {}), ("differences/cy-2/explain", {}),
        ):  # fmt: skip
            assert (await client.post(f"{BASE}/{path}", json=body | why, headers=head)).status_code == 200, path
            assert (await client.post(f"{BASE}/{path}", json=body | {"reason": " "}, headers=head)).status_code == 422, path
        retry, lost, back, paid, again, explain = depot.link.commands
        assert all((c.actor, c.reason) == ("mani", "seen the receipt") for c in depot.link.commands)
        assert isinstance(retry, cmd.RetryDebit)
        assert isinstance(lost, cmd.WriteOffBill)
        assert lost.amount_paise == 118_00
        assert isinstance(back, cmd.RefundBill)
        assert back.amount_paise == 5_00
        assert isinstance(paid, cmd.PayOtherwise)
        assert (paid.way, paid.reference, paid.detail) == ("upi_qr", "UTR 4711", {"way": "upi_qr", "reference": "UTR 4711"})
        assert isinstance(again, cmd.RetryRefund)
        assert again.target == "cy-1"
        assert isinstance(explain, cmd.ExplainDifference)
        assert explain.target == "cy-2"
        for path, body in (
            ("bills/s1/paid", {"way": "cheque", "reference": "UTR 4711"}), ("bills/s1/paid", {"way": "cash", "reference": "1"}),
            ("bills/s1/refund", {"amount_paise": 0}), ("bills/s1/refund", {"amount_paise": 1.5}),
        ):  # fmt: skip
            assert (await client.post(f"{BASE}/{path}", json=body | why, headers=head)).status_code == 422
        assert len(depot.link.commands) == 6


async def test_who_may(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        for role in (Role.VIEWER, Role.OPERATOR):
            client = await depot.signed_in(role)
            head = {"x-csrf-token": await form_value(client)}
            assert (await client.get(f"{BASE}/reconciliation")).status_code == 200
            assert (await client.get(f"{BASE}/statements/fleet")).status_code == 403
            assert (await client.post(f"{BASE}/bills/s1/write-off", json={"reason": "x"}, headers=head)).status_code == 403
        assert depot.link.commands == []


async def test_where_nobody_pays_it_says_so(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        del depot.link.shown[ReconciliationView]
        answer = await client.get(f"{BASE}/reconciliation")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert "[payments]" in answer.text
