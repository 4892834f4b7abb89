"""What a billing meter keeps: energy per clock-aligned demand block. The common coin of tariffs, bills and reconciliation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from depot.values import InvalidValue


@dataclass(frozen=True, slots=True)
class MeterBlock:
    """One half-open demand block of ``minutes`` from ``begins_at`` (aware UTC) on, aligned to the depot's local clock.

    Energies are integer Wh and VAh of the block, grid side. ``import_vah`` None: apparent energy is not measured.
    ``covered``: share of the block that was measured (1: all of it, or read from the billing meter itself); a block is
    never filled up with what nobody measured.
    """

    begins_at: datetime
    minutes: int
    import_wh: int
    import_vah: int | None = None
    export_wh: int = 0
    covered: float = 1.0

    def __post_init__(self) -> None:
        if self.begins_at.tzinfo is None:
            raise InvalidValue(f"meter block {self.begins_at}: it has no time zone; blocks begin at aware UTC times")
        if self.minutes < 1 or 1440 % self.minutes:
            raise InvalidValue(f"meter block {self.begins_at}: {self.minutes} min do not fill a day; use 15 or 30")
        if self.import_wh < 0 or self.export_wh < 0 or (self.import_vah is not None and self.import_vah < 0):
            raise InvalidValue(f"meter block {self.begins_at}: energies are not negative")
        if not 0 <= self.covered <= 1:
            raise InvalidValue(f"meter block {self.begins_at}: covered is {self.covered}; it lies between 0 and 1")

    @property
    def ends_at(self) -> datetime:
        """First moment after it."""
        return self.begins_at + timedelta(minutes=self.minutes)

    @property
    def mean_w(self) -> float:
        """Mean import over the block."""
        return self.import_wh * 60 / self.minutes

    @property
    def mean_va(self) -> float | None:
        """Mean apparent power over the block."""
        return None if self.import_vah is None else self.import_vah * 60 / self.minutes
