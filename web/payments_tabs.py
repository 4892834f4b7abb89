"""The pages around money: which there are, and where."""

from __future__ import annotations

from starlette.requests import Request

from web.context import caller_of
from web.roles import Permission

_OPEN = (("payments", "/payments", "Overview"),)
_MONEY = (("drivers", "/payments/drivers", "Drivers"), ("codes", "/payments/codes", "QR codes"))


def payments_tabs(request: Request, current: str) -> list[tuple[str, str, str, bool]]:
    """(key, address, words, whether it is this one), as far as the person may see them."""
    tabs = [*_OPEN, *(_MONEY if caller_of(request).may(Permission.MONEY) else ())]
    return [(*tab, tab[0] == current) for tab in tabs]
