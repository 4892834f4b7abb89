"""A bill that a driver may still pay by hand, as a link for UPI apps (``upi://pay``, NPCI's deep linking specification)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from payments import InvalidBill

__all__ = ["PayLink", "checked_vpa"]

_VPA = re.compile(r"[A-Za-z0-9._-]{2,64}@[A-Za-z0-9.-]{2,32}", re.ASCII)


def checked_vpa(vpa: str) -> str:
    """A UPI address as such. Raises :class:`~payments.InvalidBill`."""
    if not _VPA.fullmatch(vpa):
        raise InvalidBill(f"{vpa!r:.24} is no UPI address; it looks like depot@bank")
    return vpa


@dataclass(frozen=True, slots=True, kw_only=True)
class PayLink:
    """``vpa``, ``name``: the depot's. ``number``: of the invoice, as reference and note."""

    vpa: str
    name: str
    number: str
    amount_paise: int

    @property
    def amount(self) -> str:
        """Rupees with paise, as the link wants them."""
        return f"{self.amount_paise // 100}.{self.amount_paise % 100:02d}"

    @property
    def url(self) -> str:
        """For a QR code or a tap."""
        reference = re.sub(r"[^A-Za-z0-9]", "", self.number)
        words = {"pa": self.vpa, "pn": self.name, "am": self.amount, "cu": "INR", "tn": f"Invoice {self.number}", "tr": reference}
        return "upi://pay?" + "&".join(f"{key}={quote(value, safe='@')}" for key, value in words.items() if value)
