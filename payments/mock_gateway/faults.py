"""What can be asked to go wrong, by name, and asking for it. Pure but for the row that is written."""

from __future__ import annotations

import sqlalchemy as sa

from payments.mock_gateway import npci
from payments.mock_gateway.books import FAULTS
from payments.mock_gateway.desk import Desk, HttpFault, Refusal
from payments.mock_gateway.frame import BROKEN

__all__ = ["HTTP_KINDS", "OUTCOMES", "SCOPES", "add_fault", "add_http_fault", "drop_faults"]

OUTCOMES: dict[str, str] = {
    "debit_fails": "the next debit fails, for the reason that is named",
    "debit_fails_then_captured": "it fails, and is captured after_s later all the same",
    "debit_hangs": "it stays pending for after_s longer",
    "notice_fails": "the next notice does not arrive",
    "notice_late": "it arrives after_s later",
    "refund_fails": "the next refund fails",
    "settlement_missing": "the debit is missing from the settlement and its report",
    "settlement_short": "the settlement's line is short by so many paise",
    "settlement_fee": "the settlement keeps so many paise more as fee than the payment says",
}
"""What, with what it does."""

SCOPES = ("any", "contact", "token", "order", "payment", "receipt")
"""Whose: anybody's, or of the one named by ``of``."""

HTTP_KINDS = (*BROKEN, "mute", "late")
"""Answers of the API that can be asked to go wrong: an error page, half a JSON, a status; never, or late."""


def add_fault(
    desk: Desk, outcome: str, *, scope: str = "any", of: str = "", reason: str = "", after_s: float = 0.0, paise: int = 0, times: int = 1
) -> None:
    """Ask for a fault, ``times`` times. Raises :class:`~payments.mock_gateway.desk.Refusal`."""
    if outcome not in OUTCOMES:
        raise Refusal(f"there is no outcome {outcome[:40]!r}; known: {', '.join(OUTCOMES)}", status=422)
    if scope not in SCOPES or (scope != "any" and not of):
        raise Refusal(f"scope is one of {', '.join(SCOPES)}, and all but any need of", status=422)
    if reason and reason not in npci.REASONS:
        raise Refusal(f"there is no reason {reason[:60]!r}; GET /control/reasons lists them", status=422)
    if times < 1 or after_s < 0:
        raise Refusal("times must be 1 or more, after_s 0 or more", status=422)
    row = {"scope": scope, "of": of, "outcome": outcome, "reason": reason, "after_s": after_s, "paise": paise, "left": times}
    with desk.store.writing() as connection:
        connection.execute(sa.insert(FAULTS).values(**row))


def add_http_fault(
    desk: Desk, kind: str, *, path: str = "", method: str = "", acted: bool = False, times: int = 1, delay_s: float = 0.0
) -> None:
    """Ask for answers that go wrong. Raises :class:`~payments.mock_gateway.desk.Refusal`."""
    if kind not in HTTP_KINDS:
        raise Refusal(f"there is no kind {kind[:40]!r}; known: {', '.join(HTTP_KINDS)}", status=422)
    if times < 1 or not 0 <= delay_s <= 600:
        raise Refusal("times must be 1 or more, delay_s between 0 and 600", status=422)
    desk.http_faults.append(HttpFault(kind, path, method.upper(), acted, times, delay_s))


def drop_faults(desk: Desk) -> None:
    """Nothing more goes wrong on demand."""
    desk.http_faults.clear()
    with desk.store.writing() as connection:
        connection.execute(sa.delete(FAULTS))
