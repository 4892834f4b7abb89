"""The meter's blocks of one month, checked and put on the local clock; energies and block demands out of them, exactly.

What nobody measured is not filled up: it is missing in the energy, and the bill says how much of the month is covered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from depot.metering import MeterBlock
from grid.billing.values import BillingError
from grid.months import Month
from grid.tariff.hours import Hours
from grid.tariff.layers import DemandBasis, EnergyBasis

__all__ = ["LocalBlock", "MonthOfBlocks", "PeakBlock"]


@dataclass(frozen=True, slots=True)
class LocalBlock:
    """A block with its local begin, Wh and VAh. ``vah`` None: neither measured nor to be had from a power factor."""

    begins_at: datetime
    local: datetime
    minutes: int
    day: date
    wh: int
    vah: int | Fraction | None

    @property
    def minute(self) -> int:
        """The minute of the local day in which it begins."""
        return self.local.hour * 60 + self.local.minute

    def energy(self, basis: EnergyBasis | DemandBasis) -> int | Fraction:
        """Wh or VAh. Raises :class:`BillingError` where the latter is not known."""
        if basis in (EnergyBasis.KWH, DemandBasis.KW):
            return self.wh
        if self.vah is None:
            raise BillingError(
                f"block of {self.local:%Y-%m-%d %H:%M}: apparent energy was not measured, and this tariff bills it; give the power factor"
            )
        return self.vah


Merged = tuple[datetime, datetime, int | Fraction]
"""A demand block: its begin in UTC and on the local clock, Wh or VAh."""


@dataclass(frozen=True, slots=True)
class PeakBlock:
    """A demand block's mean, kW or kVA. ``at`` None: there was no block."""

    value: Fraction
    at: datetime | None


@dataclass(frozen=True, slots=True)
class MonthOfBlocks:
    """All blocks of a month in order. ``assumed``: how many have their apparent energy from a power factor; ``merged``: demand
    blocks by basis and length, once they were asked for."""

    month: Month
    begins_at: datetime
    ends_at: datetime
    blocks: tuple[LocalBlock, ...]
    covered: Fraction
    exported_kwh: Fraction
    assumed: int
    merged: dict[tuple[DemandBasis, int], list[Merged]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, blocks: Sequence[MeterBlock], month: Month, zone: ZoneInfo, power_factor: Fraction | None) -> MonthOfBlocks:
        """Those of ``blocks`` that begin in ``month``. Raises :class:`BillingError` for blocks that overlap, that are not
        aligned to the local clock, or that leave the month."""
        begins_at, ends_at = month.bounds(zone)
        inside = sorted((b for b in blocks if begins_at <= b.begins_at < ends_at), key=lambda b: b.begins_at)
        found: list[LocalBlock] = []
        covered_min, whole_min, exported_wh, assumed = Fraction(0), 0, 0, 0
        last_end = begins_at
        for block in inside:
            local = block.begins_at.astimezone(zone)
            if (local.hour * 60 + local.minute) % block.minutes or local.second or local.microsecond:
                raise BillingError(f"block of {local.isoformat()}: not aligned to blocks of {block.minutes} min of the local clock")
            if block.begins_at < last_end:
                raise BillingError(f"block of {local:%Y-%m-%d %H:%M}: it overlaps the one before it")
            if block.ends_at > ends_at:
                raise BillingError(f"block of {local:%Y-%m-%d %H:%M}: it ends after {month}")
            last_end = block.ends_at
            vah: int | Fraction | None = block.import_vah
            if vah is None and power_factor is not None:
                vah = block.import_wh / power_factor
                assumed += 1
            found.append(LocalBlock(block.begins_at, local, block.minutes, local.date(), block.import_wh, vah))
            if block.covered == 1:
                whole_min += block.minutes
            else:
                covered_min += block.minutes * Fraction(block.covered).limit_denominator(1_000_000)
            exported_wh += block.export_wh
        minutes = (ends_at - begins_at) // timedelta(minutes=1)
        return cls(month, begins_at, ends_at, tuple(found), (covered_min + whole_min) / minutes, Fraction(exported_wh, 1000), assumed)

    @property
    def kwh(self) -> Fraction:
        """Imported active energy."""
        return Fraction(sum(block.wh for block in self.blocks), 1000)

    @property
    def kvah(self) -> Fraction | None:
        """Imported apparent energy; None: not known of every block."""
        known = [block.vah for block in self.blocks if block.vah is not None]
        return Fraction(sum(known)) / 1000 if len(known) == len(self.blocks) else None

    def peak(self, basis: DemandBasis, block_min: int, *, hours: Hours | None, days: Callable[[date], bool]) -> PeakBlock:
        """The highest mean over demand blocks of ``block_min``, of the days and hours in which they begin. Raises
        :class:`BillingError` where the meter's blocks can't tell it."""
        best: int | Fraction = 0
        at = None
        for begins_at, local, energy in self._merged(basis, block_min):
            if (at is None or energy > best) and days(local.date()) and (hours is None or hours.hold(local.hour * 60 + local.minute)):
                best, at = energy, begins_at
        return PeakBlock(Fraction(best) * 60 / block_min / 1000, at)

    def _merged(self, basis: DemandBasis, block_min: int) -> list[Merged]:
        if (basis, block_min) in self.merged:
            return self.merged[basis, block_min]
        merged: dict[datetime, tuple[datetime, int | Fraction]] = {}
        for block in self.blocks:
            if block_min % block.minutes:
                raise BillingError(
                    f"block of {block.local:%Y-%m-%d %H:%M}: blocks of {block.minutes} min can't tell a demand over {block_min} min"
                )
            into = timedelta(minutes=block.minute % block_min)
            begins_at = block.begins_at - into
            local, energy = merged.get(begins_at, (block.local - into, 0))
            merged[begins_at] = local, energy + block.energy(basis)
        self.merged[basis, block_min] = [(at, local, energy) for at, (local, energy) in merged.items()]
        return self.merged[basis, block_min]
