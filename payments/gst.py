"""Goods and services tax on charging: who supplies, who receives, where, at which dated rate. Pure.

Charging is a service, SAC 998714 at 18 % (Karnataka AAR, KAR ADRG 24/2023, which binds its applicant only): rate and code are
dated settings. Place of supply: of a registered recipient its state (IGST Act s. 12(2)(a)), else where the operator says, else
the supplier's state (s. 12(2)(b)(ii)). Another state than the supplier's means IGST, the same means CGST and SGST (UTGST in a
union territory without a legislature).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction

from payments import InvalidBill
from payments.money import GstRule

__all__ = ["STATES", "DatedGst", "GstBook", "Recipient", "Supplier", "check_character", "checked_gstin", "state_of"]

STATES = {
    "01": "Jammu and Kashmir", "02": "Himachal Pradesh", "03": "Punjab", "04": "Chandigarh", "05": "Uttarakhand", "06": "Haryana",
    "07": "Delhi", "08": "Rajasthan", "09": "Uttar Pradesh", "10": "Bihar", "11": "Sikkim", "12": "Arunachal Pradesh",
    "13": "Nagaland", "14": "Manipur", "15": "Mizoram", "16": "Tripura", "17": "Meghalaya", "18": "Assam", "19": "West Bengal",
    "20": "Jharkhand", "21": "Odisha", "22": "Chhattisgarh", "23": "Madhya Pradesh", "24": "Gujarat",
    "26": "Dadra and Nagar Haveli and Daman and Diu", "27": "Maharashtra", "29": "Karnataka", "30": "Goa", "31": "Lakshadweep",
    "32": "Kerala", "33": "Tamil Nadu", "34": "Puducherry", "35": "Andaman and Nicobar Islands", "36": "Telangana",
    "37": "Andhra Pradesh", "38": "Ladakh", "97": "Other Territory",
}  # fmt: skip
"""State codes of GST: the first two digits of a GSTIN."""

WITHOUT_LEGISLATURE = frozenset({"04", "26", "31", "35", "38", "97"})
"""Where UTGST stands in the place of SGST."""

_GSTIN = re.compile(r"\d{2}[A-Z]{5}\d{4}[A-Z][1-9A-Z]Z[0-9A-Z]", re.ASCII)
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def check_character(first_14: str) -> str:
    """The last character of a GSTIN: base 36, weights 1 and 2 by turns, quotient and remainder of each product added."""
    total = sum(sum(divmod(_DIGITS.index(sign) * (1 + place % 2), 36)) for place, sign in enumerate(first_14))
    return _DIGITS[-total % 36]


def checked_gstin(text: str) -> str:
    """The GSTIN in capitals. Raises :class:`~payments.InvalidBill` that says what is wrong."""
    gstin = re.sub(r"[\s-]", "", text).upper()
    if not _GSTIN.fullmatch(gstin):
        raise InvalidBill(f"{text!r:.24} is no GSTIN: 2 digits of the state, 10 of the PAN, 1 sign, Z, 1 check sign")
    if gstin[:2] not in STATES:
        raise InvalidBill(f"a GSTIN cannot begin with {gstin[:2]}: no state has this code")
    if check_character(gstin[:14]) != gstin[14]:
        raise InvalidBill(f"{gstin} is no GSTIN: its last sign does not fit the others; is one mistyped?")
    return gstin


def state_of(code: str) -> str:
    """The state's name. Raises :class:`~payments.InvalidBill`."""
    if code not in STATES:
        raise InvalidBill(f"{code!r:.8} is no state code of GST")
    return STATES[code]


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplier:
    """Who issues the invoices (rule 46 a). ``gstin`` "": not registered here, then the documents say so. ``vpa``: where an unpaid
    bill can be paid to."""

    name: str = ""
    address: str = ""
    gstin: str = ""
    state_code: str = ""
    vpa: str = ""
    prefix: str = ""
    irn_needed: bool = False
    """Turnover above ₹5 crore: invoices to registered recipients need a number of the invoice registration portal."""

    def __post_init__(self) -> None:
        if self.gstin:
            checked_gstin(self.gstin)
            if self.state_code and self.gstin[:2] != self.state_code:
                raise InvalidBill(f"the supplier's GSTIN is of state {self.gstin[:2]}, its state is set to {self.state_code}")
        if not re.fullmatch(r"[A-Z0-9]{0,4}", self.prefix):
            raise InvalidBill("the prefix of invoice numbers has at most 4 capital letters or digits")

    @property
    def state(self) -> str:
        """Its state's code; "" where nothing is set."""
        return self.state_code or self.gstin[:2]

    @property
    def complete(self) -> bool:
        """Whether an invoice of it has what rule 46 wants of a supplier."""
        return bool(self.name and self.address and self.gstin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Who is billed, where it is more than a driver: rule 46 (d, e, f). ``gstin`` "": not registered."""

    name: str
    address: str
    gstin: str = ""
    state_code: str = ""

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.address.strip() or len(self.name) > 120 or len(self.address) > 240:
            raise InvalidBill("a recipient has a name of at most 120 and an address of at most 240 characters")
        if not (self.name + self.address).isprintable():
            raise InvalidBill("a recipient's name and address have no line breaks or control signs")
        if self.gstin and checked_gstin(self.gstin) != self.gstin:
            raise InvalidBill("a GSTIN is kept in capitals and without blanks")
        if not self.gstin:
            state_of(self.state_code)
        elif self.state_code and self.state_code != self.gstin[:2]:
            raise InvalidBill(f"the recipient's GSTIN is of state {self.gstin[:2]}, its state is given as {self.state_code}")

    @property
    def state(self) -> str:
        """The state's code."""
        return self.gstin[:2] or self.state_code


@dataclass(frozen=True, slots=True)
class DatedGst:
    """A rate and a service code from a day on (Indian date)."""

    since: date
    rate: Fraction
    sac: str

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise InvalidBill(f"a tax rate of {self.rate} is not between 0 and 1")
        if not re.fullmatch(r"\d{4,8}", self.sac, re.ASCII):
            raise InvalidBill(f"{self.sac!r:.12} is no service accounting code")


@dataclass(frozen=True, slots=True, kw_only=True)
class GstBook:
    """All that taxes depend on. ``base`` holds until the first of ``changes``, which are in order of time."""

    base: GstRule = field(default_factory=GstRule)
    changes: Sequence[DatedGst] = ()
    supplier: Supplier = field(default_factory=Supplier)

    def __post_init__(self) -> None:
        days = [change.since for change in self.changes]
        if days != sorted(set(days)):
            raise InvalidBill("changes of the tax rate are in the order of their days, one a day")

    def rule(self, day: date, recipient: Recipient | None = None) -> GstRule:
        """The rule of an invoice of that day (Indian date) to this recipient; None: an unregistered driver."""
        last = next((change for change in reversed(self.changes) if change.since <= day), None)
        rule = self.base if last is None else replace(self.base, rate=last.rate, sac=last.sac)
        here = rule.supplier_state or self.supplier.state
        there = (recipient.state if recipient is not None else "") or rule.supply_state or here
        return replace(rule, supplier_state=here, supply_state=there)
