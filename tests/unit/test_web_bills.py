"""The Bills page and its routes: every line explained, the utility's bill typed in, blocks imported whole or not at all."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fake_bills import bill
from web_harness import form_value, site

from controller.bills_import import read_import
from controller.bills_view import MonthBillView
from depot import commands as cmd
from depot.values import InvalidValue, Role
from web.bills_page import bill_csv

pytestmark = pytest.mark.anyio
ZONE = ZoneInfo("Asia/Kolkata")


async def test_the_page_shows_every_line_with_its_reason_and_the_comparison(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        page = (await client.get("/bills?month=2026-11")).text
        for words in (
            "404.8 kVA recorded on 12 Nov 19:15",
            "48,576.00",
            "expected at its end",
            "unexplained",
            "typed in by mani",
            "2026-09",
        ):
            assert words in page, words
        assert "/bills/utility" in page
        viewer = await depot.signed_in(Role.VIEWER)
        assert "/bills/utility" not in (await viewer.get("/bills")).text


async def test_no_bill_yet_says_why(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        empty = {"problem": "no block of this month was measured or imported", "lines": [], "total_paise": None, "expected_paise": None}
        depot.link.shown[MonthBillView] = bill(**empty, utility=None, compared=[])
        client = await depot.signed_in(Role.MANAGER)
        page = (await client.get("/bills")).text
        assert "No block of this month was measured or imported." in page
        assert "Not typed in yet" in page


async def test_a_person_types_in_the_utilitys_bill(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        sent = {
            "csrf": await form_value(client), "month": "2026-11", "line:energy": "284,440.48", "line:demand": "", "total": "333240.48",
            "recorded_kva": "404.8", "power_factor": "0.96", "adder:fppca": "0.12", "reason": "bill no. 1187",
        }  # fmt: skip
        answer = await client.post("/bills/utility", data=sent)
        assert answer.status_code == 303, answer.text[:500]
        command = depot.link.commands[-1]
        assert isinstance(command, cmd.RecordUtilityBill)
        assert (dict(command.bill.lines), command.bill.total_paise) == ({"energy": 28_444_048}, 33_324_048)
        assert (command.bill.recorded_va, dict(command.bill.published)) == (404_800, {"fppca": "0.12"})
        wrong = await client.post("/bills/utility", data=sent | {"total": "12.345"})
        assert (wrong.status_code, "parts of a paisa" in wrong.text) == (422, True)


async def test_an_old_bill_and_blocks_of_the_meter(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        csrf = await form_value(client)
        old = {"csrf": csrf, "month": "2026-04", "recorded_kva": "398.5", "billing": "425", "reason": "old bill"}
        assert (await client.post("/bills/history", data=old)).status_code == 303
        said = depot.link.commands[-1]
        assert isinstance(said, cmd.RecordMonthDemand)
        assert (said.demand.recorded_va, said.demand.billing) == (398_500, 425_000)
        rows = "\n".join(f"2026-10-01 {k // 4:02d}:{k % 4 * 15:02d},10.5" for k in range(96))
        data = f"begins_at,import_kwh\n{rows}\n".encode()
        form = {"csrf": csrf, "reason": "read out"}
        answer = await client.post("/bills/import", data=form, files={"file": ("b.csv", data, "text/csv")})
        assert answer.status_code == 303, answer.text[:500]
        kept = depot.link.commands[-1]
        assert isinstance(kept, cmd.KeepMeterBlocks)
        assert (len(kept.blocks), kept.blocks[0].import_wh) == (96, 10_500)
        before = len(depot.link.commands)
        broken = await client.post("/bills/import", data=form, files={"file": ("b.csv", data + b"soon,1\n", "text/csv")})
        assert broken.status_code == 422
        assert "Row 98" in broken.text
        assert len(depot.link.commands) == before
        months = b"month,recorded,billing\n2026-03,390.5,425\n2026-04,398,425\n"
        assert (await client.post("/bills/import", data=form, files={"file": ("m.csv", months, "text/csv")})).status_code == 303
        typed = [c for c in depot.link.commands[before:] if isinstance(c, cmd.RecordMonthDemand)]
        assert [(c.demand.month, c.demand.recorded_va, c.demand.billing) for c in typed] == [
            ("2026-03", 390_500, 425_000),
            ("2026-04", 398_000, 425_000),
        ]


async def test_the_api_answers_and_takes_what_a_machine_knows(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        headers = {"x-csrf-token": await form_value(client)}
        assert (await client.get("/api/v1/bills/2026-11")).json()["total_paise"] == 33_301_648
        assert (await client.get("/api/v1/demand?month=2026-11")).json()["interval_min"] == 15
        assert (await client.get("/api/v1/bills/soon")).status_code == 422
        blocks = {"blocks": [{"begins_at": "2026-10-01T00:00:00+05:30", "import_wh": 10_000}], "reason": "read out"}
        assert (await client.post("/api/v1/demand/blocks", json=blocks, headers=headers)).status_code in (200, 202)
        body = {"total_paise": 1, "power_factor": "7", "reason": "x"}
        assert (await client.put("/api/v1/bills/2026-10/utility", json=body, headers=headers)).status_code == 422
        assert (await client.put("/api/v1/demand/history/2026-10", json={"reason": "x"}, headers=headers)).status_code == 422


async def test_the_export_is_a_table_without_formulas(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        answer = await client.get("/bills/export?month=2026-11")
        assert answer.headers["content-disposition"] == 'attachment; filename="bill-2026-11.csv"'
        assert answer.text.splitlines()[-1].startswith("total,Total")
    evil = bill()
    line = evil.lines[0].__class__(**{f: getattr(evil.lines[0], f) for f in evil.lines[0].__struct_fields__} | {"text": "=1+1"})
    assert ",'=1+1," in bill_csv(bill(lines=[line]))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "columns"),
        (b"\xff\xfe", "UTF-8"),
        (b"begins_at,import_kwh\n", "no block"),
        (b"begins_at,import_kwh\n2026-10-01 00:00,12.3\nsoon,1\n", "row 3"),
        (b"month,recorded,billing\n2026-13,1,1\n", "row 2"),
        (b"begins_at,import_wh\n" + b"2026-10-01 00:00,1\n" * 4000, "one month"),
    ],
)
async def test_a_file_is_taken_whole_or_not_at_all(data: bytes, words: str) -> None:
    with pytest.raises(InvalidValue, match=words):
        read_import(data, zone=ZONE, unit="kVA")
