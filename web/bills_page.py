"""*Bills*: a month's bill with every line explained, the utility's beside it, the demand history.

GET  /bills?month=2026-10        the page            GET  /bills/export?month=    its lines as CSV
POST /bills/utility              the utility's bill  POST /bills/history          an old bill's maximum demand
POST /bills/import               CSV: blocks of the billing meter, or what old bills said
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from controller.bills_import import read_import
from controller.bills_view import BillsView, DemandHistoryView, MonthBillView, MonthRow
from controller.sheets import safe_row
from depot import commands as cmd
from depot.demand_book import MonthDemand, UtilityBill
from depot.metering import MeterBlock
from depot.money_text import amount, plain_decimal
from depot.values import InvalidValue
from web import actions, text
from web.bills_api import BLOCKS_MOST, shown
from web.context import Web, caller_of
from web.pages import Flash
from web.problems import Problem
from web.registry_data import send_all
from web.screens import carry_out

FILE_BYTES = 512 * 1024
VERDICTS = {
    "equal": ("st done", "check", "equal"),
    "explained": ("st live", "info", "explained"),
    "unexplained": ("st alarm", "faulted", "unexplained"),
    "not_given": ("st", "close", "not typed in"),
}
"""Verdict -> (class, symbol, word)."""

_MONTH = re.compile(r"(20\d{2}-(0[1-9]|1[0-2]))?", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,12}(\.\d{1,6})?", re.ASCII)
_LINE = "line:"
_ADDER = "adder:"


def bills_screens(web: Web) -> APIRouter:
    """Routes of the page and of its forms."""
    router = APIRouter(include_in_schema=False)

    @router.get("/bills")
    async def page(request: Request, month: str = "") -> Response:
        return await _page(web, request, month)

    @router.get("/bills/export")
    async def export(month: str = "") -> Response:
        found = await shown(web, MonthBillView, month=_month(month))
        headers = {"content-disposition": f'attachment; filename="bill-{found.month}.csv"'}
        return Response(bill_csv(found), media_type="text/csv; charset=utf-8", headers=headers)

    @router.post("/bills/utility")
    async def utility(request: Request) -> Response:
        sent = await request.form()
        reason = actions.need_reason(str(sent.get("reason", "")))
        month = _month(str(sent.get("month", "")))
        try:
            typed = _utility_bill(sent, month, reason)
        except InvalidValue as error:
            return await _page(web, request, month, error=str(error), status=422)
        command = cmd.RecordUtilityBill(command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, bill=typed)
        return await carry_out(web, request, command, f"The utility's bill of {month}", back=f"/bills?month={month}")

    @router.post("/bills/history")
    async def history(request: Request) -> Response:
        sent = await request.form()
        reason = actions.need_reason(str(sent.get("reason", "")))
        month = _month(str(sent.get("month", "")))
        try:
            kw, kva, billing = (_thousandths(sent, name) for name in ("recorded_kw", "recorded_kva", "billing"))
            typed = MonthDemand(month, kw, kva, billing, reason=reason)
        except InvalidValue as error:
            return await _page(web, request, "", error=str(error), status=422)
        command = cmd.RecordMonthDemand(command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, demand=typed)
        return await carry_out(web, request, command, f"Maximum demand of {month}", back="/bills")

    @router.post("/bills/import")
    async def imported(request: Request) -> Response:
        async with request.form() as sent:
            file, why = sent.get("file"), str(sent.get("reason", ""))
            data = await file.read() if isinstance(file, UploadFile) else b""
        reason = actions.need_reason(why)
        view = web.fresh_view()
        history = await shown(web, DemandHistoryView)
        try:
            if len(data) > FILE_BYTES:
                raise InvalidValue(f"the page takes {FILE_BYTES // 1024} kB: import one month at a time")
            found = read_import(data, zone=ZoneInfo(view.timezone), unit=history.unit)
        except InvalidValue as error:
            return await _page(web, request, "", error=str(error), status=422)
        caller = caller_of(request)
        blocks = [block for block in found if isinstance(block, MeterBlock)]
        commands: list[cmd.Command] = [
            cmd.KeepMeterBlocks(
                command_id=actions.new_id(), actor=caller.name, reason=reason, blocks=tuple(blocks[k : k + BLOCKS_MOST]),
                digest=hashlib.sha256(data).hexdigest()[:16],
            )
            for k in range(0, len(blocks), BLOCKS_MOST)
        ]  # fmt: skip
        commands += [
            cmd.RecordMonthDemand(command_id=actions.new_id(), actor=caller.name, reason=reason, demand=replace(demand, reason=reason))
            for demand in found
            if isinstance(demand, MonthDemand)
        ]
        went = await send_all(web, commands, together=False)
        what = f"{len(blocks)} blocks" if blocks else f"{len(found)} months"
        message = f"{what} are kept." if not went.refused else f"{went.done} of {went.total} parts kept. {went.refused[0]}"
        month = f"{blocks[-1].begins_at.astimezone(ZoneInfo(view.timezone)):%Y-%m}" if blocks else ""
        response = RedirectResponse(f"/bills?month={month}", status_code=303)
        seq = went.last.audit_seq if went.last is not None else 0
        web.pages.set_flash(response, Flash("Import", went.status, message[:300], seq, caller.name))
        return response

    return router


def bill_csv(bill: MonthBillView) -> str:
    """The bill as a table; a cell that a spreadsheet would take for a formula is quoted."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["code", "text", "quantity", "unit", "rate", f"amount {bill.currency}", "explanation", "order"])
    for line in bill.lines:
        paid = plain_decimal(line.amount_paise)
        writer.writerow(safe_row([line.code, line.text, line.quantity, line.unit, line.rate, paid, line.explanation, line.order_ref]))
    if bill.total_paise is not None:
        writer.writerow(["total", "Total", "", "", "", plain_decimal(bill.total_paise), "", ""])
    return out.getvalue()


async def _page(web: Web, request: Request, month: str, *, error: str = "", status: int = 200) -> Response:
    wanted = month if _MONTH.fullmatch(month) else ""
    bill = await shown(web, MonthBillView, month=wanted)
    history = await shown(web, DemandHistoryView, month=wanted)
    months = await shown(web, BillsView)
    return web.pages.render(
        request, "bills.html", view=web.view(), status=status, screen="grid", error=error, **bills_context(bill, history, months)
    )


def bills_context(bill: MonthBillView, history: DemandHistoryView, months: BillsView) -> dict[str, Any]:
    """Everything that the template needs."""
    theirs = bill.utility
    codes: dict[str, str] = {}
    for line in bill.lines:
        codes.setdefault(line.code, line.text)
    return {
        "bill": bill,
        "currency": bill.currency,
        "total": text.ABSENT if bill.total_paise is None else amount(bill.total_paise, bill.currency),
        "expected": "" if bill.expected_paise is None else amount(bill.expected_paise, bill.currency),
        "covered": f"{bill.covered * 100:.1f} %",
        "lines": [
            {"code": x.code, "text": x.text, "quantity": x.quantity, "unit": x.unit, "rate": x.rate,
             "amount": amount(x.amount_paise, bill.currency), "explanation": x.explanation, "order": x.order_ref}
            for x in bill.lines
        ],
        "compared": [
            {
                "text": c.text, "ours": text.ABSENT if c.ours_paise is None else amount(c.ours_paise, bill.currency),
                "theirs": text.ABSENT if c.theirs_paise is None else amount(c.theirs_paise, bill.currency), "words": c.words,
                "verdict": VERDICTS.get(c.verdict, VERDICTS["not_given"]),
            }
            for c in bill.compared
        ],
        "theirs": theirs,
        "fields": [
            (_LINE + code, words, "" if theirs is None or code not in theirs.lines else plain_decimal(theirs.lines[code]))
            for code, words in codes.items()
        ],
        "adders": [(_ADDER + code, code, "" if theirs is None else theirs.published.get(code, "")) for code in bill.adders],
        "typed": {
            "total": "" if theirs is None else plain_decimal(theirs.total_paise),
            "recorded_kw": _thousands(theirs.recorded_w if theirs else None),
            "recorded_kva": _thousands(theirs.recorded_va if theirs else None),
            "import_kwh": _thousands(theirs.import_wh if theirs else None),
            "import_kvah": _thousands(theirs.import_vah if theirs else None),
            "power_factor": "" if theirs is None else theirs.power_factor or "",
        },
        "months": [row.month for row in months.months],
        "past": [_past(row) for row in history.months],
        "contract": _contract(history),
        "target": "" if history.target_w is None else f"{text.kw(history.target_w)} kW",
    }  # fmt: skip


def _past(row: MonthRow) -> dict[str, str]:
    return {
        "month": row.month,
        "kw": text.ABSENT if row.recorded_w is None else text.kw(row.recorded_w),
        "kva": text.ABSENT if row.recorded_va is None else text.kw(row.recorded_va),
        "billing": text.ABSENT if row.billing is None else text.kw(row.billing),
        "source": f"typed in by {row.typed_by}" if row.typed_by else ("measured" if row.blocks else text.ABSENT),
        "blocks": text.number(row.blocks) if row.blocks else text.ABSENT,
    }


def _contract(history: DemandHistoryView) -> str:
    parts = [f"{text.kw(value)} {unit}" for value, unit in ((history.contract_va, "kVA"), (history.contract_w, "kW")) if value is not None]
    return ", ".join(parts)


def _month(value: str) -> str:
    if not _MONTH.fullmatch(value):
        raise Problem("invalid_request", "A billing month is written like 2026-10.")
    return value


def _utility_bill(sent: FormData, month: str, reason: str) -> UtilityBill:
    lines, published = {}, {}
    for name, value in sent.items():
        said = str(value).strip().replace(",", "")
        if name.startswith(_LINE) and said:
            lines[name.removeprefix(_LINE)] = _hundredths(said, name.removeprefix(_LINE))
        elif name.startswith(_ADDER) and said:
            published[name.removeprefix(_ADDER)] = said
    return UtilityBill(
        month,
        _hundredths(str(sent.get("total", "")).strip().replace(",", ""), "the total"),
        lines,
        _thousandths(sent, "recorded_kw"),
        _thousandths(sent, "recorded_kva"),
        _thousandths(sent, "import_kwh"),
        _thousandths(sent, "import_kvah"),
        str(sent.get("power_factor", "")).strip() or None,
        published,
        reason=reason,
    )


def _decimal(said: str, where: str) -> Decimal:
    if not _NUMBER.fullmatch(said):
        raise InvalidValue(f"{where}: {said[:20]!r} is not a number; write one such as 1234.50")
    return Decimal(said)


def _hundredths(said: str, where: str) -> int:
    amount = _decimal(said, where) * 100
    if amount != amount.to_integral_value():
        raise InvalidValue(f"{where}: {said[:20]} has parts of a paisa")
    return int(amount)


def _thousandths(sent: FormData, name: str) -> int | None:
    said = str(sent.get(name, "")).strip().replace(",", "")
    return int((_decimal(said, name) * 1000).to_integral_value()) if said else None


def _thousands(value: int | None) -> str:
    return "" if value is None else f"{Decimal(value) / 1000:f}"
