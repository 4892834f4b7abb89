"""Commands of demand and bills: what people type in, and blocks read out of the billing meter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from depot.commands.command import Command
from depot.demand_book import MonthDemand, UtilityBill
from depot.metering import MeterBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMonthDemand(Command):
    """Say what an old bill says of a month's maximum demand."""

    TITLE: ClassVar[str] = "Record a month's demand"

    demand: MonthDemand

    @property
    def target(self) -> str:
        return self.demand.month

    @property
    def detail(self) -> Mapping[str, str]:
        d = self.demand
        return {"recorded_w": str(d.recorded_w), "recorded_va": str(d.recorded_va), "billing": str(d.billing)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordUtilityBill(Command):
    """Type in the utility's bill of a month."""

    TITLE: ClassVar[str] = "Record the utility's bill"

    bill: UtilityBill

    @property
    def target(self) -> str:
        return self.bill.month

    @property
    def detail(self) -> Mapping[str, str]:
        return {"total_paise": str(self.bill.total_paise), "lines": str(len(self.bill.lines))}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepMeterBlocks(Command):
    """Keep blocks that were read out of the billing meter: bills are made of them instead of ours. ``digest``: of the file."""

    TITLE: ClassVar[str] = "Import the meter's blocks"

    blocks: tuple[MeterBlock, ...]
    digest: str = ""

    @property
    def target(self) -> str:
        return f"{self.blocks[0].begins_at:%Y-%m-%d}" if self.blocks else ""

    @property
    def detail(self) -> Mapping[str, str]:
        return {"blocks": str(len(self.blocks)), "import_wh": str(sum(block.import_wh for block in self.blocks)), "digest": self.digest}
