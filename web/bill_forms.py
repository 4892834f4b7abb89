"""What a person does about a session's bill: try the debit again, book a payment otherwise, write off, give back, correct. Each is a
dialog on a page that shows bills, with a reason, and becomes a command.

    POST /payments/bills/{session}/retry | paid | write-off | refund | correct
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from depot import commands as cmd
from depot.money_text import rupees
from web import actions, text
from web.context import Web, caller_of
from web.problems import Problem
from web.screens import carry_out

__all__ = ["WAYS", "bill_asks", "bill_forms", "paise_of"]

WAYS = {"cash": "cash", "upi_qr": "UPI by hand (the code on the invoice)", "bank": "bank transfer"}
"""How a driver may have paid without the gateway -> words."""

BACK = ("/payments", "/payments/debits", "/payments/invoices")
"""Pages that show bills; where a form leads back to."""

_ACTIONS: dict[str, tuple[str, str, str, bool, str]] = {
    "retry": (
        "Try debit again", "clock", "Try again", False,
        "A new notice goes to the driver; the debit follows under the mandate of today.",
    ),
    "paid": (
        "Book a payment", "check", "Book as paid", False,
        "Nothing is debited for it any more. Should the gateway's money come all the same, it goes back to the driver.",
    ),
    "write-off": (
        "Write off the bill", "close", "Write off", True,
        "The driver owes it no more: a loss in the ledger. This cannot be taken back. A large sum waits for a second person.",
    ),
    "refund": (
        "Give money back", "from", "Refund", True,
        "A credit note is issued, and the gateway gives the amount back to the driver's account.",
    ),
    "correct": (
        "Correct the energy", "from", "Issue note", True,
        "The session is billed for this energy: the difference becomes a credit note, or a debit note that is debited by itself.",
    ),
}  # fmt: skip
"""What can be done about a bill: title, symbol, button, whether it is harm, effect."""

_AMOUNT = re.compile(r"\d{1,7}(\.\d{1,2})?", re.ASCII)
_KWH = re.compile(r"\d{1,4}(\.\d{1,3})?", re.ASCII)


def paise_of(words: str) -> int:
    """``1,250.50`` -> 125050; raises :class:`Problem` for what is no amount above zero."""
    bare = words.strip().removeprefix("₹").replace(",", "").strip()
    paise = 0
    if _AMOUNT.fullmatch(bare):
        paise = int(Decimal(bare) * 100)
    if paise <= 0:
        words = "An amount in rupees above 0, like 125.50; leave it empty for the whole."
        raise Problem("invalid_request", words, errors={"amount_inr": words})
    return paise


def bill_asks(
    session_id: str,
    *,
    driver_id: str,
    invoice_no: str,
    verbs: Sequence[str],
    owed_paise: int,
    paid_paise: int,
    back: str,
    energy_wh: int = 0,
) -> list[dict[str, Any]]:
    """The dialogs of one bill, for the template ``part_bill_asks.html``."""
    found = []
    for word in verbs:
        verb = word.replace("_", "-")
        if verb not in _ACTIONS:
            continue
        title, symbol, button, danger, effect = _ACTIONS[verb]
        paise = paid_paise if verb in ("refund", "correct") else owed_paise
        found.append(
            {
                "id": f"{verb}-{session_id}", "verb": verb, "title": title, "symbol": symbol, "button": button, "danger": danger,
                "action": f"/payments/bills/{session_id}/{verb}", "back": back, "paise": paise, "amount": rupees(paise),
                "effect": f"Invoice {invoice_no or text.ABSENT} of {driver_id}, {rupees(paise)}. {effect}",
                "ways": list(WAYS.items()),
            }
        )  # fmt: skip
    return found


def bill_forms(web: Web) -> APIRouter:
    """Routes of the dialogs."""
    router = APIRouter(include_in_schema=False)

    async def on_bill(request: Request, session: str, verb: str) -> Response:
        form = await request.form()
        reason = actions.need_reason(str(form.get("reason", "")))
        told: dict[str, Any] = {"command_id": actions.new_id(), "actor": caller_of(request).name, "reason": reason}
        command = _command(verb, form, told | {"session_id": session[:80]})
        back = str(form.get("back", ""))
        return await carry_out(web, request, command, _ACTIONS[verb][0], back=back if back in BACK else "/payments")

    @router.post("/payments/bills/{session}/retry")
    async def retry(request: Request, session: str) -> Response:
        return await on_bill(request, session, "retry")

    @router.post("/payments/bills/{session}/paid")
    async def paid(request: Request, session: str) -> Response:
        return await on_bill(request, session, "paid")

    @router.post("/payments/bills/{session}/write-off")
    async def write_off(request: Request, session: str) -> Response:
        return await on_bill(request, session, "write-off")

    @router.post("/payments/bills/{session}/refund")
    async def refund(request: Request, session: str) -> Response:
        return await on_bill(request, session, "refund")

    @router.post("/payments/bills/{session}/correct")
    async def correct(request: Request, session: str) -> Response:
        return await on_bill(request, session, "correct")

    return router


def _command(verb: str, form: FormData, told: dict[str, Any]) -> cmd.Command:
    """Raises :class:`Problem` for a field that cannot be."""
    if verb == "retry":
        return cmd.RetryDebit(**told)
    if verb == "refund":
        words = str(form.get("amount_inr", "")).strip()
        return cmd.RefundBill(**told, amount_paise=paise_of(words) if words else None)
    if verb == "write-off":
        owed = str(form.get("owed_paise", ""))[:12]
        return cmd.WriteOffBill(**told, amount_paise=int(owed) if owed.isdecimal() and int(owed) else None)
    if verb == "correct":
        return cmd.CorrectBill(**told, energy_wh=_energy_wh(str(form.get("kwh", ""))))
    way, reference = str(form.get("way", "")), " ".join(str(form.get("reference", "")).split())[:60]
    if way not in WAYS:
        raise Problem("invalid_request", "Choose how it was paid.", errors={"way": "Choose how it was paid."})
    if len(reference) < 4:
        words = "The receipt's number or the transfer's reference, 4 characters or more."
        raise Problem("invalid_request", words, errors={"reference": words})
    return cmd.PayOtherwise(**told, way=way, reference=reference)


def _energy_wh(words: str) -> int:
    bare = words.strip().replace(",", "")
    try:
        if _KWH.fullmatch(bare):
            return int(Decimal(bare) * 1000)
    except InvalidOperation:
        pass
    raise Problem("invalid_request", "Energy in kWh, like 12.5.", errors={"kwh": "Energy in kWh, like 12.5."})
