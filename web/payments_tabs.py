"""The pages around money: which there are, and where."""

from __future__ import annotations

from starlette.requests import Request

from web.context import caller_of
from web.roles import Permission

_TABS = (
    ("payments", "/payments", "Overview", Permission.READ),
    ("debits", "/payments/debits", "Debits", Permission.READ),
    ("refunds", "/payments/refunds", "Refunds", Permission.READ),
    ("reconciliation", "/payments/reconciliation", "Reconciliation", Permission.READ),
    ("statements", "/payments/statements", "Statements", Permission.MONEY),
    ("invoices", "/payments/invoices", "Invoices", Permission.READ),
    ("tariffs", "/payments/tariffs", "Tariffs", Permission.READ),
    ("drivers", "/payments/drivers", "Drivers", Permission.MONEY),
    ("codes", "/payments/codes", "QR codes", Permission.MONEY),
)


def payments_tabs(request: Request, current: str) -> list[tuple[str, str, str, bool]]:
    """(key, address, words, whether it is this one), as far as the person may see them."""
    caller = caller_of(request)
    return [(key, path, words, key == current) for key, path, words, permission in _TABS if caller.may(permission)]
