"""The demand book: past months' maximum demands and the utility's bills, as people typed them in. Pure.

    month's demand (an old bill)  --> ratchets of the tariff        the utility's bill --> reconciled with ours, line by line

A second entry for a month replaces the first; the journal keeps both, with who and when. Demands in W or VA, energies in Wh or
VAh, money in paise; :class:`~depot.values.InvalidValue` for what cannot be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from depot.values import InvalidValue

KEPT = 60
"""Months that are remembered of each kind, the newest."""

LINES_MOST = 60
MOST = 10**15
"""No depot's energy, demand or bill is larger."""

_MONTH = re.compile(r"20\d{2}-(0[1-9]|1[0-2])", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/()+-]{0,63}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class MonthDemand:
    """What a month's bill said: the recorded maximum demand, kW and kVA as far as known, and the billing demand in the unit of the
    tariff's demand charge (W or VA)."""

    month: str
    recorded_w: int | None = None
    recorded_va: int | None = None
    billing: int | None = None
    by: str = ""
    at: datetime | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        _check_month(self.month)
        for name in ("recorded_w", "recorded_va", "billing"):
            _check_amount(f"{self.month}: {name}", getattr(self, name))
        if self.recorded_w is None and self.recorded_va is None:
            raise InvalidValue(f"{self.month}: the recorded maximum demand is missing, in W or in VA")


@dataclass(frozen=True, slots=True)
class UtilityBill:
    """The utility's bill of a month. ``lines``: amounts by the codes of our bill's lines, and others; ``published``: what the month's
    adders are (FPPCA), by code, and ``power_factor``, as decimal numbers; None and what is missing: not on the bill."""

    month: str
    total_paise: int
    lines: Mapping[str, int] = field(default_factory=dict)
    recorded_w: int | None = None
    recorded_va: int | None = None
    import_wh: int | None = None
    import_vah: int | None = None
    power_factor: str | None = None
    published: Mapping[str, str] = field(default_factory=dict)
    by: str = ""
    at: datetime | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        _check_month(self.month)
        for name in ("recorded_w", "recorded_va", "import_wh", "import_vah"):
            _check_amount(f"{self.month}: {name}", getattr(self, name))
        if len(self.lines) > LINES_MOST or len(self.published) > LINES_MOST:
            raise InvalidValue(f"{self.month}: more than {LINES_MOST} lines")
        for code, amount in (("total", self.total_paise), *self.lines.items()):
            if not _CODE.fullmatch(code) or not -MOST <= amount <= MOST:
                raise InvalidValue(f"{self.month}: the line {code[:20]!r} of {amount} paise cannot be")
        numbers = dict(self.published) if self.power_factor is None else {**self.published, "power_factor": self.power_factor}
        for code, number in numbers.items():
            if not _CODE.fullmatch(code) or not _NUMBER.fullmatch(number):
                raise InvalidValue(f"{self.month}: {code[:20]} is {number[:20]!r}; write a number like 0.97")
        if self.power_factor is not None and not 0 < float(self.power_factor) <= 1:
            raise InvalidValue(f"{self.month}: the power factor {self.power_factor} is not above 0 and at most 1")


@dataclass(frozen=True, slots=True)
class DemandBook:
    """By month, as ``2026-10``."""

    months: Mapping[str, MonthDemand] = field(default_factory=dict)
    bills: Mapping[str, UtilityBill] = field(default_factory=dict)

    def with_month(self, demand: MonthDemand, *, by: str, at: datetime) -> DemandBook:
        months = {**self.months, demand.month: replace(demand, by=by, at=at)}
        return replace(self, months={month: months[month] for month in sorted(months)[-KEPT:]})

    def with_bill(self, bill: UtilityBill, *, by: str, at: datetime) -> DemandBook:
        bills = {**self.bills, bill.month: replace(bill, by=by, at=at)}
        return replace(self, bills={month: bills[month] for month in sorted(bills)[-KEPT:]})


def _check_month(month: str) -> None:
    if not _MONTH.fullmatch(month):
        raise InvalidValue(f"{month[:20]!r} is not a billing month; write one like 2026-10")


def _check_amount(where: str, value: int | None) -> None:
    if value is not None and not 0 <= value <= MOST:
        raise InvalidValue(f"{where} is {value}; it lies between 0 and {MOST}")
