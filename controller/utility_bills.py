"""The bills' room: a month's kept blocks by the tariff, the month that runs, and the utility's bill beside ours.

    BlockStore (ours, the billing meter's) + demand book --> grid.billing.bill() --> MonthBillView, "so far" and expected
    person: an old bill's demand, the utility's bill, the meter's blocks --> facts, BlockStore --> reconciled line by line
    the same history --> grid.demand_pieces --> the planner: which peaks are free, which are dear

Where the billing meter's blocks were imported they are billed; ours stand for the rest. Bills are made in a thread: a month of
exact fractions takes tenths of a second, which the limiter does not wait for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction

from msgspec import Struct

from controller.bill_forecast import expected_blocks
from controller.bills_view import (
    BillsView,
    DemandHistoryView,
    MonthBillView,
    MonthRow,
    block_view,
    compared_views,
    kwh,
    lines_of,
    typed,
    utility_view,
)
from controller.block_store import BlockSource
from controller.demand_watch import DemandWatch
from controller.reconciliation import compare
from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import Command, CommandStatus
from depot.demand_book import DemandBook
from depot.events import Envelope
from depot.metering import MeterBlock
from depot.ports import JournalFrozen
from depot.values import InvalidValue
from grid import GridError
from grid.billing import Bill, BillExtras, BillingHistory, PastMonth, bill
from grid.demand import COUNTED_COVER, block_of
from grid.demand_pieces import DemandPiece, demand_pieces
from grid.months import Month
from grid.tariff import Tariff
from grid.tariff.layers import AdderBasis, DemandBasis

log = logging.getLogger(__name__)

PIECES_S = 30.0
"""How often is looked whether what a peak costs has changed."""

PAST_MONTHS = 11
"""Ratchets of Indian orders look back over the eleven months before."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A bill with what it was made of, or why there is none."""

    bill: Bill | None
    blocks: list[MeterBlock]
    meter_blocks: int
    problem: str = ""


class UtilityBills:
    """One per depot."""

    def __init__(self, yard: Yard, watch: DemandWatch, tariff: Tariff) -> None:
        self._yard = yard
        self._watch = watch
        self._tariff = tariff
        self._pieces: list[DemandPiece] | None = None
        self._plain_pieces: list[DemandPiece] | None = None
        self._pieces_of: tuple[object, ...] = ()
        self._past: dict[Month, tuple[int | None, int | None, int]] = {}
        self.commands: Mapping[type[Command], Carrier] = {
            cmd.RecordMonthDemand: self._record_demand,
            cmd.RecordUtilityBill: self._record_bill,
            cmd.KeepMeterBlocks: self._keep_blocks,
        }
        self.views: Mapping[type[Struct], Viewer] = {
            BillsView: self._bills_view,
            MonthBillView: self._bill_view,
            DemandHistoryView: self._demand_view,
        }

    async def run(self) -> None:
        """Find what a peak costs, anew where a block has ended or somebody typed something in, until cancelled."""
        while True:
            await self.look()
            await self._yard.clock.sleep(PIECES_S)

    async def look(self) -> None:
        """Once."""
        now = self._yard.clock.now()
        status = self._watch.status(now)
        asked = (status.begins_at, status.month_peak_w, self._watch.target_w, self._book())
        if asked != self._pieces_of:
            self._pieces_of = asked
            self._plain_pieces = await asyncio.to_thread(self._find_pieces, now)
            self._pieces = self._with_target(self._plain_pieces)

    # -- what people say ----------------------------------------------------------------------------------------

    async def _record_demand(self, command: cmd.RecordMonthDemand, cause: Envelope) -> tuple[CommandStatus, str]:
        month = Month.parse(command.demand.month)
        if month >= self._month_now():
            raise InvalidValue(f"{month} is not over; what its maximum demand is, our blocks say")
        await self._append(ev.MonthDemandRecorded(command.demand), command, cause)
        return CommandStatus.DONE, f"the maximum demand of {month} is noted"

    async def _record_bill(self, command: cmd.RecordUtilityBill, cause: Envelope) -> tuple[CommandStatus, str]:
        month = Month.parse(command.bill.month)
        if month > self._month_now():
            raise InvalidValue(f"{month} has not begun")
        await self._append(ev.UtilityBillRecorded(command.bill), command, cause)
        return CommandStatus.DONE, f"the utility's bill of {month} is noted"

    async def _keep_blocks(self, command: cmd.KeepMeterBlocks, _cause: Envelope) -> tuple[CommandStatus, str]:
        blocks = command.blocks
        if not blocks:
            raise InvalidValue("there is no block in it")
        wrong = [b for b in blocks if b.minutes != self._watch.interval_min]
        if wrong:
            raise InvalidValue(f"blocks of {wrong[0].minutes} min, but the tariff bills blocks of {self._watch.interval_min} min")
        for block in blocks:
            if block_of(block.begins_at, interval_min=block.minutes, zone=self._watch.zone)[0] != block.begins_at:
                raise InvalidValue(f"{block.begins_at.isoformat()} is not where a block of {block.minutes} min begins")
            if block.begins_at > self._yard.clock.now():
                raise InvalidValue(f"{block.begins_at.isoformat()} lies in the future")
        if len({block.begins_at for block in blocks}) != len(blocks):
            raise InvalidValue("the same block stands twice in it")
        if self._yard.journal.frozen:
            raise JournalFrozen("the journal cannot write")
        self._watch.store.put(BlockSource.UTILITY, blocks)
        self._past.clear()
        return CommandStatus.DONE, f"{len(blocks)} blocks of the billing meter are kept and billed instead of ours"

    async def _append(self, fact: ev.Event, command: Command, cause: Envelope) -> None:
        await self._yard.journal.append([ev.NewEvent(fact, self._yard.clock.now(), actor=command.actor, cause_id=cause.id)])

    # -- for the planner ----------------------------------------------------------------------------------------

    def demand_pieces(self) -> Sequence[DemandPiece] | None:
        """What a peak costs this month, in pieces; None while that is not known, or where the tariff cannot say: then its plain rate
        counts."""
        return self._pieces

    def plain_pieces(self) -> Sequence[DemandPiece] | None:
        """The same without the month's peak target: what a target is chosen with."""
        return self._plain_pieces

    def _find_pieces(self, now: datetime) -> list[DemandPiece] | None:
        month = self._watch.month(now)
        blocks, _ = self._blocks(month)
        try:
            return demand_pieces(self._tariff, now, contract=self._contract(), history=self._history(month), so_far=blocks)
        except GridError as error:
            log.warning("what a peak costs is not known in pieces: %s", error)
            return None

    def _with_target(self, found: list[DemandPiece] | None) -> list[DemandPiece] | None:
        target_w = self._watch.target_w
        if found is None or target_w is None:
            return found
        target_kw = Fraction(target_w, 1000)  # peaks up to the target shall cost the plan nothing; above the contract they do
        return [piece if piece.above_contract else replace(piece, free_kw=max(piece.free_kw, target_kw)) for piece in found]

    # -- bills --------------------------------------------------------------------------------------------------

    def _month_now(self) -> Month:
        return self._watch.month(self._yard.clock.now())

    def _book(self) -> DemandBook:
        return self._yard.state.demand_book

    def _in_va(self) -> bool:
        """Whether the tariff bills kVA."""
        return any(layer.basis is DemandBasis.KVA for layer in self._tariff.demand)

    def _contract(self) -> Fraction | None:
        """Contract demand in the unit of the tariff's demand charge."""
        settings = self._watch.settings
        value = settings.contract_va if self._in_va() else settings.contract_w
        return None if value is None else Fraction(value, 1000)

    def _blocks(self, month: Month) -> tuple[list[MeterBlock], int]:
        """Blocks to bill, and how many of them the billing meter counted itself."""
        begins_at, ends_at = month.bounds(self._watch.zone)
        own = {b.begins_at: b for b in self._watch.store.between(BlockSource.OWN, begins_at, ends_at)}
        theirs = {b.begins_at: b for b in self._watch.store.between(BlockSource.UTILITY, begins_at, ends_at)}
        return [block for _, block in sorted((own | theirs).items())], len(theirs)

    def _recorded(self, month: Month) -> tuple[int | None, int | None, int]:
        """Highest counted blocks of a month, W and VA, and how many blocks there are. Of months that are over it is kept in mind."""
        if month in self._past:
            return self._past[month]
        blocks, _ = self._blocks(month)
        counted = [b for b in blocks if b.covered >= COUNTED_COVER]
        vas = [round(b.mean_va) for b in counted if b.mean_va is not None]
        found = max((round(b.mean_w) for b in counted), default=None), max(vas, default=None), len(blocks)
        if month < self._month_now():
            self._past[month] = found
        return found

    def _history(self, month: Month) -> BillingHistory:
        """The eleven months before: as typed in, else as the utility's bill says, else as measured."""
        past: dict[Month, PastMonth] = {}
        for back in range(1, PAST_MONTHS + 1):
            before = month.after(-back)
            row = self._month_row(before)
            recorded = row.recorded_va if self._in_va() else row.recorded_w
            if recorded is not None:
                billing = row.billing if row.billing is not None else recorded
                past[before] = PastMonth(Fraction(recorded, 1000), Fraction(billing, 1000))
        return BillingHistory(past)

    def _extras(self, month: Month, blocks: Sequence[MeterBlock]) -> BillExtras:
        assumed = usual_power_factor(blocks) or Fraction(str(self._watch.settings.power_factor))
        typed_in = self._book().bills.get(str(month))
        if typed_in is None:
            return BillExtras(assumed_power_factor=assumed)
        factor = None if typed_in.power_factor is None else Fraction(typed_in.power_factor)
        return BillExtras(factor, {code: Fraction(number) for code, number in typed_in.published.items()}, assumed)

    def _make(self, month: Month, blocks: Sequence[MeterBlock]) -> Bill:
        return bill(self._tariff, month, blocks, self._history(month), contract=self._contract(), extras=self._extras(month, blocks))

    def _made(self, month: Month) -> _Made:
        blocks, theirs = self._blocks(month)
        if not blocks:
            return _Made(None, [], 0, "no block of this month was measured or imported")
        try:
            return _Made(self._make(month, blocks), blocks, theirs)
        except GridError as error:
            return _Made(None, blocks, theirs, str(error))

    # -- views --------------------------------------------------------------------------------------------------

    async def _bill_view(self, args: Mapping[str, str]) -> MonthBillView | None:
        """``month``: as 2026-10; empty: the running one."""
        try:
            month = Month.parse(args["month"]) if args.get("month") else self._month_now()
        except GridError as error:
            raise InvalidValue(str(error)) from None
        if month > self._month_now():
            return None
        return await asyncio.to_thread(self._show, month)

    def _show(self, month: Month) -> MonthBillView:
        made, now = self._made(month), self._yard.clock.now()
        theirs = self._book().bills.get(str(month))
        ours = made.bill
        compared = [] if ours is None or theirs is None else compare(ours, theirs, made.blocks, lambda blocks: self._make(month, blocks))
        running = month == self._month_now()
        return MonthBillView(
            month=str(month),
            at=now,
            running=running,
            tariff=self._tariff.name,
            title=self._tariff.title,
            currency=self._tariff.currency,
            problem=made.problem,
            lines=[] if ours is None else lines_of(ours),
            total_paise=None if ours is None else ours.total_paise,
            expected_paise=self._expected(month, made.blocks, now) if running and ours is not None else None,
            energy_kwh="0" if ours is None else kwh(ours.energy_kwh) or "0",
            energy_kvah=None if ours is None else kwh(ours.energy_kvah),
            power_factor=None if ours is None else kwh(ours.power_factor),
            covered=0.0 if ours is None else float(ours.covered),
            blocks=len(made.blocks),
            meter_blocks=made.meter_blocks,
            caveats=[] if ours is None else list(ours.caveats),
            adders=sorted({a.code for a in self._tariff.adders if a.value is None and a.basis in AdderBasis}),
            utility=utility_view(theirs),
            compared=compared_views(compared),
        )

    def _expected(self, month: Month, blocks: Sequence[MeterBlock], now: datetime) -> int | None:
        begins_at, ends_at = month.bounds(self._watch.zone)
        ahead = expected_blocks(blocks, begins_at=begins_at, now=now, ends_at=ends_at, zone=self._watch.zone)
        try:
            return None if ahead is None else self._make(month, ahead).total_paise
        except GridError:
            return None

    def _month_row(self, month: Month) -> MonthRow:
        typed_in, theirs = self._book().months.get(str(month)), self._book().bills.get(str(month))
        watts, volt_amperes, count = self._recorded(month)
        for source in (theirs, typed_in):  # what a person typed in for the month as such comes before the bill, and both before ours
            if source is not None:
                watts = source.recorded_w if source.recorded_w is not None else watts
                volt_amperes = source.recorded_va if source.recorded_va is not None else volt_amperes
        return MonthRow(
            month=str(month),
            running=month == self._month_now(),
            blocks=count,
            recorded_w=watts,
            recorded_va=volt_amperes,
            billing=None if typed_in is None else typed_in.billing,
            typed_by=typed(typed_in),
            utility_paise=None if theirs is None else theirs.total_paise,
        )

    async def _bills_view(self, _args: Mapping[str, str]) -> BillsView:
        rows = await asyncio.to_thread(self._rows, self._month_now())
        return BillsView(at=self._yard.clock.now(), tariff=self._tariff.name, currency=self._tariff.currency, months=rows)

    def _rows(self, newest: Month) -> list[MonthRow]:
        book = self._book()
        kept = [found for source in BlockSource if (found := self._watch.store.months(source)) is not None]
        known = [Month.parse(text) for text in (*book.months, *book.bills)]
        first = min([newest, *known, *(self._watch.month(begin) for begin, _ in kept)])
        rows: list[MonthRow] = []
        while newest >= first and len(rows) < 2 * 36:
            row = self._month_row(newest)
            if row.running or row.blocks or row.typed_by or row.utility_paise is not None:
                rows.append(row)
            newest = newest.after(-1)
        return rows

    async def _demand_view(self, args: Mapping[str, str]) -> DemandHistoryView:
        try:
            month = Month.parse(args["month"]) if args.get("month") else self._month_now()
        except GridError as error:
            raise InvalidValue(str(error)) from None
        return await asyncio.to_thread(self._demand, month)

    def _demand(self, month: Month) -> DemandHistoryView:
        begins_at, ends_at = month.bounds(self._watch.zone)
        settings = self._watch.settings
        both = [(b, source) for source in BlockSource for b in self._watch.store.between(source, begins_at, ends_at)]
        return DemandHistoryView(
            at=self._yard.clock.now(),
            month=str(month),
            interval_min=self._watch.interval_min,
            contract_w=settings.contract_w,
            contract_va=settings.contract_va,
            target_w=self._watch.target_w,
            blocks=[block_view(b, source) for b, source in sorted(both, key=lambda pair: (pair[0].begins_at, pair[1].value))],
            months=[self._month_row(month.after(-back)) for back in range(PAST_MONTHS + 1)],
            unit="kVA" if self._in_va() else "kW",
        )


def usual_power_factor(blocks: Sequence[MeterBlock]) -> Fraction | None:
    """kW per kVA over the blocks that tell both; None: none does."""
    both = [(block.import_wh, block.import_vah) for block in blocks if block.import_vah]
    kwh, kvah = sum(wh for wh, _ in both), sum(vah for _, vah in both)
    return min(Fraction(1), Fraction(kwh, kvah)) if kwh and kvah else None
