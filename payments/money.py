"""A session's bill in integer paise.

Rounding, stated once: each energy line and each other line is rounded half up to a paisa; each tax is computed on the
sum of the lines (the taxable value) and rounded half up for itself, so CGST and SGST are two computations, not halves
of one sum. The total may be rounded to whole rupees with a line of its own (CGST Act s. 170); what is debited is the
total, to the paisa. EV charging is a service, SAC 998714, 18 % (Karnataka AAR, KAR ADRG 24/2023): settings, not laws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from payments import InvalidBill

__all__ = ["Bill", "EnergyLine", "GstRule", "bill_of", "bill_of_value", "financial_year", "round_half_up"]

_WH_PER_KWH = 1000


def round_half_up(value: Fraction) -> int:
    """Nearest integer, halves away from zero."""
    whole = (abs(value) * 2 + 1) // 2
    return int(whole if value >= 0 else -whole)


@dataclass(frozen=True, slots=True)
class EnergyLine:
    """Energy at one price. ``paise_per_kwh`` is exact and without tax."""

    energy_wh: int
    paise_per_kwh: Fraction

    def __post_init__(self) -> None:
        if self.energy_wh < 0 or self.paise_per_kwh < 0:
            raise InvalidBill(f"{self.energy_wh} Wh at {self.paise_per_kwh} paise/kWh: neither may be negative")

    @property
    def value_paise(self) -> int:
        """What the line costs, without tax."""
        return round_half_up(Fraction(self.energy_wh, _WH_PER_KWH) * self.paise_per_kwh)


@dataclass(frozen=True, slots=True, kw_only=True)
class GstRule:
    """Rate and place. State codes are the first two digits of a GSTIN ("29" Karnataka); equal: CGST and SGST, else IGST."""

    rate: Fraction = Fraction(18, 100)
    sac: str = "998714"
    supplier_state: str = ""
    supply_state: str = ""
    whole_rupees: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise InvalidBill(f"a tax rate of {self.rate} is not between 0 and 1")

    @property
    def inter_state(self) -> bool:
        """Whether IGST is due."""
        return self.supplier_state != self.supply_state


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A priced session; ``total_paise`` is the sum of the other amounts, always."""

    energy_wh: int
    taxable_paise: int
    cgst_paise: int
    sgst_paise: int
    igst_paise: int
    round_off_paise: int
    total_paise: int

    def __post_init__(self) -> None:
        parts = self.taxable_paise + self.cgst_paise + self.sgst_paise + self.igst_paise + self.round_off_paise
        if parts != self.total_paise or min(self.total_paise, self.taxable_paise) < 0:
            raise InvalidBill(f"the parts of the bill make {parts} paise, its total is {self.total_paise}")


def bill_of(lines: Sequence[EnergyLine], gst: GstRule, *, service_paise: int = 0) -> Bill:
    """Price a session. ``service_paise``: a charge besides energy, without tax. Raises :class:`InvalidBill`."""
    if service_paise < 0:
        raise InvalidBill(f"a service charge of {service_paise} paise is negative")
    taxable = sum(line.value_paise for line in lines) + service_paise
    return bill_of_value(taxable, sum(line.energy_wh for line in lines), gst)


def bill_of_value(taxable: int, energy_wh: int, gst: GstRule) -> Bill:
    """The bill of a taxable value in paise: each tax rounded for itself. Raises :class:`~payments.InvalidBill`."""
    half = round_half_up(taxable * gst.rate / 2)
    igst = round_half_up(taxable * gst.rate) if gst.inter_state else 0
    cgst = sgst = 0 if gst.inter_state else half
    exact = taxable + cgst + sgst + igst
    total = round_half_up(Fraction(exact, 100)) * 100 if gst.whole_rupees else exact
    return Bill(
        energy_wh=energy_wh,
        taxable_paise=taxable,
        cgst_paise=cgst,
        sgst_paise=sgst,
        igst_paise=igst,
        round_off_paise=total - exact,
        total_paise=total,
    )


def financial_year(day: date) -> str:
    """India's financial year, April to March, as four digits: 2026-11-21 is in ``2627``."""
    start = day.year if day.month >= 4 else day.year - 1
    return f"{start % 100:02d}{(start + 1) % 100:02d}"
