"""What the screens and the API know of demand and bills. Exact numbers are told as decimal text, money in paise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction

from msgspec import Struct

from controller.block_store import BlockSource
from controller.reconciliation import Compared
from depot.demand_book import MonthDemand, UtilityBill
from depot.metering import MeterBlock
from grid.billing import Bill
from grid.tariff.numbers import plain


class BillLineView(Struct, frozen=True, kw_only=True):
    """One line: ``quantity`` × ``rate`` per ``unit``. ``explanation``: how quantity and amount came about."""

    code: str
    text: str
    quantity: str
    unit: str
    rate: str
    amount_paise: int
    explanation: str
    order_ref: str


class ComparedView(Struct, frozen=True, kw_only=True):
    """A line of ours beside the utility's. ``verdict``: equal, explained, unexplained, not_given."""

    code: str
    text: str
    ours_paise: int | None
    theirs_paise: int | None
    verdict: str
    words: str


class UtilityBillView(Struct, frozen=True, kw_only=True):
    """The utility's bill as it was typed in, by whom and when."""

    total_paise: int
    lines: dict[str, int]
    recorded_w: int | None
    recorded_va: int | None
    import_wh: int | None
    import_vah: int | None
    power_factor: str | None
    published: dict[str, str]
    by: str
    at: datetime | None
    reason: str


class MonthBillView(Struct, frozen=True, kw_only=True):
    """A month's bill. ``running``: the month is not over, it is so far; ``expected_paise``: at its end if the days to come are like
    those so far, null where too little is known. ``problem``: why there is no bill. ``adders``: codes whose value is published
    month by month. ``meter_blocks``: blocks of the billing meter among ``blocks``. ``covered``: measured share of the time."""

    month: str
    at: datetime
    running: bool
    tariff: str
    title: str
    currency: str
    problem: str
    lines: list[BillLineView]
    total_paise: int | None
    expected_paise: int | None
    energy_kwh: str
    energy_kvah: str | None
    power_factor: str | None
    covered: float
    blocks: int
    meter_blocks: int
    caveats: list[str]
    adders: list[str]
    utility: UtilityBillView | None
    compared: list[ComparedView]


class MonthRow(Struct, frozen=True, kw_only=True):
    """A month in the list. ``recorded_w``, ``recorded_va``: its highest block, or what a person typed in (``typed_by``)."""

    month: str
    running: bool
    blocks: int
    recorded_w: int | None
    recorded_va: int | None
    billing: int | None
    typed_by: str
    utility_paise: int | None


class BillsView(Struct, frozen=True, kw_only=True):
    """Months with anything to bill or to compare, newest first."""

    at: datetime
    tariff: str
    currency: str
    months: list[MonthRow]


class BlockView(Struct, frozen=True, kw_only=True):
    """One demand block. ``source``: own or utility."""

    begins_at: datetime
    minutes: int
    import_wh: int
    import_vah: int | None
    export_wh: int
    covered: float
    source: str


class DemandHistoryView(Struct, frozen=True, kw_only=True):
    """A month's blocks, of both meters, and the months before it. ``contract_w``, ``contract_va``: contract demand.
    ``unit``: of the tariff's demand charge, kW or kVA."""

    at: datetime
    month: str
    interval_min: int
    contract_w: int | None
    contract_va: int | None
    target_w: int | None
    blocks: list[BlockView]
    months: list[MonthRow]
    unit: str = "kW"


def lines_of(bill: Bill) -> list[BillLineView]:
    """The bill's lines."""
    return [
        BillLineView(
            code=line.code,
            text=line.text,
            quantity=plain(line.quantity, 3),
            unit=line.unit,
            rate=plain(line.rate),
            amount_paise=line.amount_paise,
            explanation=line.explanation,
            order_ref=line.order_ref,
        )
        for line in bill.lines
    ]


def compared_views(found: Sequence[Compared]) -> list[ComparedView]:
    """The comparison's lines."""
    return [
        ComparedView(code=c.code, text=c.text, ours_paise=c.ours, theirs_paise=c.theirs, verdict=c.verdict.value, words=c.words)
        for c in found
    ]


def utility_view(bill: UtilityBill | None) -> UtilityBillView | None:
    """The utility's bill."""
    if bill is None:
        return None
    return UtilityBillView(
        total_paise=bill.total_paise, lines=dict(bill.lines), recorded_w=bill.recorded_w, recorded_va=bill.recorded_va,
        import_wh=bill.import_wh, import_vah=bill.import_vah, power_factor=bill.power_factor, published=dict(bill.published),
        by=bill.by, at=bill.at, reason=bill.reason,
    )  # fmt: skip


def block_view(block: MeterBlock, source: BlockSource) -> BlockView:
    """One block."""
    return BlockView(
        begins_at=block.begins_at, minutes=block.minutes, import_wh=block.import_wh, import_vah=block.import_vah,
        export_wh=block.export_wh, covered=block.covered, source=source.value,
    )  # fmt: skip


def typed(demand: MonthDemand | None) -> str:
    """Who typed a month's demand in."""
    return "" if demand is None else demand.by or "somebody"


def kwh(value: Fraction | None) -> str | None:
    """An energy as text."""
    return None if value is None else plain(value, 3)
