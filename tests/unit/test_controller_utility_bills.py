"""The bills' room: bills of kept blocks, the month that runs, the utility's bill beside ours, what a peak costs the plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from small_yard import NOW, ONE, SPEC, SmallYard, run

from controller.bill_forecast import expected_blocks
from controller.bills_view import BillsView, DemandHistoryView, MonthBillView
from controller.block_store import BlockSource
from controller.demand_watch import DemandSettings, DemandWatch
from controller.planning_problem import build
from controller.planning_settings import PlanningSettings
from controller.reconciliation import Verdict, compare, with_readings
from controller.utility_bills import UtilityBills
from depot import commands as cmd
from depot.commands import CommandStatus
from depot.demand_book import MonthDemand, UtilityBill
from depot.metering import MeterBlock
from depot.state import DepotState
from depot.values import InvalidValue
from grid.billing import bill
from grid.months import Month
from grid.tariff import Tariff

MP = Tariff.named("madhya-pradesh-ev-ht")
ZONE = ZoneInfo(SPEC.timezone)
OCTOBER, NOVEMBER = Month(2026, 10), Month(2026, 11)


def blocks_of(month: Month, *, days: int, kw: int = 40, peak_kw: int = 90) -> list[MeterBlock]:
    """Quarters of ``kw``, with a block of ``peak_kw`` at the beginning of each day; 5 % more VA."""
    begins_at, _ = month.bounds(ZONE)
    out = []
    for k in range(days * 96):
        wh = (peak_kw if k % 96 == 0 else kw) * 250
        out.append(MeterBlock(begins_at + timedelta(minutes=15 * k), 15, wh, wh * 21 // 20))
    return out


class Bills:
    """A yard with the room, a contract of 100 kVA and the tariff of Madhya Pradesh."""

    def __init__(self, tariff: Tariff = MP, **settings: int) -> None:
        self.world = SmallYard()
        given = DemandSettings(**({"contract_va": 100_000} | settings))  # type: ignore[arg-type]  # as the test says
        self.watch = DemandWatch(self.world.yard, given, interval_min=15)
        self.room = UtilityBills(self.world.yard, self.watch, tariff)
        self.world.orders.carriers.update(self.room.commands)

    def keep(self, blocks: list[MeterBlock], source: BlockSource = BlockSource.OWN) -> None:
        self.watch.store.put(source, blocks)

    async def say(self, command: cmd.Command) -> tuple[CommandStatus, str]:
        result = await self.world.orders.execute(command)
        return result.status, result.message

    async def bill(self, month: str = "") -> MonthBillView:
        found = await self.room.views[MonthBillView]({"month": month})
        assert isinstance(found, MonthBillView)
        return found


def said(**more: object) -> dict[str, object]:
    return {"command_id": f"c{len(more)}-{sorted(more)}", "actor": "mani", "reason": "off the old bill", **more}


def test_the_running_bill_says_so_far_and_what_is_expected() -> None:
    async def main() -> None:
        depot = Bills()
        depot.keep(blocks_of(NOVEMBER, days=10))
        found = await depot.bill()
        assert (found.month, found.running, found.problem, found.tariff) == ("2026-11", True, "", "madhya-pradesh-ev-ht")
        assert found.total_paise == sum(line.amount_paise for line in found.lines)
        assert all(line.explanation and line.order_ref for line in found.lines)
        assert found.expected_paise is not None
        assert found.total_paise is not None
        assert found.expected_paise > found.total_paise
        assert 0.3 < found.covered < 0.4
        assert found.caveats  # a month that is not covered says so

    run(main())


def test_a_month_without_blocks_has_no_bill_but_a_sentence() -> None:
    async def main() -> None:
        depot = Bills()
        found = await depot.bill("2026-10")
        assert (found.total_paise, found.running) == (None, False)
        assert "no block" in found.problem
        assert await depot.room.views[MonthBillView]({"month": "2027-01"}) is None
        with pytest.raises(InvalidValue, match="billing month"):
            await depot.room.views[MonthBillView]({"month": "soon"})

    run(main())


def test_apparent_energy_that_was_not_measured_is_reckoned_with_the_months_own_power_factor() -> None:
    async def main() -> None:
        depot = Bills(Tariff.named("telangana-ht-ix-ev"))
        known = blocks_of(NOVEMBER, days=10)
        depot.keep([replace(known[0], import_vah=None), *(replace(b, import_vah=b.import_wh * 5 // 4) for b in known[1:])])
        found = await depot.bill()
        assert found.problem == ""
        assert any("of 1 blocks was not measured" in words and "0.8" in words for words in found.caveats)

    run(main())


def test_the_meters_own_blocks_are_billed_instead_of_ours() -> None:
    async def main() -> None:
        depot = Bills()
        depot.keep(blocks_of(OCTOBER, days=31))
        before = await depot.bill("2026-10")
        theirs = tuple(replace(b, import_wh=b.import_wh + 100) for b in blocks_of(OCTOBER, days=2))
        status, words = await depot.say(cmd.KeepMeterBlocks(**said(blocks=theirs)))  # type: ignore[arg-type]
        assert (status, "192 blocks" in words) == (CommandStatus.DONE, True)
        after = await depot.bill("2026-10")
        assert after.meter_blocks == 192
        assert Fraction(after.energy_kwh) - Fraction(before.energy_kwh) == Fraction(19_200, 1000)
        between = (replace(theirs[0], begins_at=theirs[0].begins_at + timedelta(minutes=7)),)
        for number, wrong in enumerate((between, (theirs[0], theirs[0]), ())):
            command = cmd.KeepMeterBlocks(command_id=f"wrong {number}", actor="mani", reason="test", blocks=wrong)
            assert (await depot.say(command))[0] is CommandStatus.REFUSED
        half_hours = (replace(theirs[0], minutes=30),)
        assert (await depot.say(cmd.KeepMeterBlocks(**said(blocks=half_hours, digest="x"))))[0] is CommandStatus.REFUSED  # type: ignore[arg-type]

    run(main())


def test_history_is_what_bills_say_then_what_we_measured() -> None:
    async def main() -> None:
        depot = Bills()
        depot.keep(blocks_of(OCTOBER, days=3))
        await depot.say(cmd.RecordMonthDemand(**said(demand=MonthDemand("2026-08", recorded_va=97_500, billing=90_000))))  # type: ignore[arg-type]
        view = await depot.room.views[DemandHistoryView]({})
        assert isinstance(view, DemandHistoryView)
        by_month = {row.month: row for row in view.months}
        assert (by_month["2026-10"].recorded_w, by_month["2026-10"].recorded_va) == (90_000, 94_500)
        august = by_month["2026-08"]
        assert (august.recorded_va, august.billing, august.typed_by) == (97_500, 90_000, "mani")
        assert len(view.months) == 12
        now = MonthDemand("2026-11", recorded_w=1)
        assert (await depot.say(cmd.RecordMonthDemand(**said(demand=now, command_id="other"))))[0] is CommandStatus.REFUSED  # type: ignore[arg-type]
        months = await depot.room.views[BillsView]({})
        assert isinstance(months, BillsView)
        assert [row.month for row in months.months] == ["2026-11", "2026-10", "2026-08"]

    run(main())


def test_the_utilitys_bill_is_compared_line_by_line_and_kept_with_who_and_when() -> None:
    async def main() -> None:
        depot = Bills()
        depot.keep(blocks_of(OCTOBER, days=31))
        ours = await depot.bill("2026-10")
        lines = {line.code: 0 for line in ours.lines}
        for line in ours.lines:
            lines[line.code] += line.amount_paise
        first, *_ = lines
        assert ours.total_paise is not None
        typed = UtilityBill("2026-10", ours.total_paise + 12_345, {**lines, first: lines[first] + 12_345, "arrears": 500})
        await depot.say(cmd.RecordUtilityBill(**said(bill=typed)))  # type: ignore[arg-type]
        found = await depot.bill("2026-10")
        verdicts = {row.code: row.verdict for row in found.compared}
        assert verdicts[first] == "unexplained"
        assert verdicts["arrears"] == "unexplained"
        assert verdicts["total"] == "unexplained"
        assert {verdicts[code] for code in lines if code != first} <= {"equal"}
        assert found.utility is not None
        assert (found.utility.by, found.utility.at, found.utility.reason) == ("mani", NOW, "")
        facts = [e.data for e in depot.world.journal.facts if e.actor == "mani"]
        assert any(getattr(fact, "bill", None) == typed for fact in facts)

    run(main())


def test_what_the_meters_disagree_about_is_explained() -> None:
    blocks = blocks_of(OCTOBER, days=31)
    contract = 100

    def make(found: list[MeterBlock]) -> object:
        return bill(MP, OCTOBER, found, contract=contract)

    ours = bill(MP, OCTOBER, blocks, contract=contract)
    wh = sum(b.import_wh for b in blocks)
    other = [replace(b, import_wh=b.import_wh + (25 if k % 2 else 0)) for k, b in enumerate(blocks)]
    other[0] = replace(other[0], import_vah=26_000)
    theirs = bill(MP, OCTOBER, other, contract=contract)
    amounts: dict[str, int] = {}
    for line in theirs.lines:
        amounts[line.code] = amounts.get(line.code, 0) + line.amount_paise
    typed = UtilityBill(
        "2026-10", theirs.total_paise, amounts, import_wh=sum(b.import_wh for b in other), import_vah=sum(b.import_vah or 0 for b in other),
        recorded_va=104_000,
    )  # fmt: skip
    found = compare(ours, typed, blocks, make)  # type: ignore[arg-type]  # a bill
    assert typed.import_wh != wh
    assert {c.verdict for c in found} <= {Verdict.EQUAL, Verdict.EXPLAINED}
    assert any(c.verdict is Verdict.EXPLAINED for c in found)
    read = with_readings(blocks, typed)
    assert sum(b.import_wh for b in read) == typed.import_wh
    assert max(b.import_vah or 0 for b in read) == 26_000


def test_the_rest_of_a_month_is_like_the_days_so_far() -> None:
    begins_at, ends_at = NOVEMBER.bounds(ZONE)
    blocks = blocks_of(NOVEMBER, days=2)
    found = expected_blocks(blocks, begins_at=begins_at, now=begins_at + timedelta(days=2), ends_at=ends_at, zone=ZONE)
    assert found is not None
    assert len(found) == 30 * 96
    assert sum(b.import_wh for b in found) == 15 * sum(b.import_wh for b in blocks)
    assert expected_blocks(blocks[:50], begins_at=begins_at, now=NOW, ends_at=ends_at, zone=ZONE) is None


def test_peaks_up_to_what_is_billed_anyway_are_free_to_the_plan() -> None:
    async def main() -> None:
        depot = Bills(Tariff.named("karnataka-bescom-ht-ev"))
        await depot.room.look()
        pieces = depot.room.demand_pieces()
        assert pieces
        free_kw = float(pieces[0].free_kw)
        assert free_kw > 0
        depot.world.arrive(ONE, "E-1")
        asked = build(
            depot.world.yard, PlanningSettings(), depot.world.planning.prices, depot.world.loop.limits_in_force(), now=NOW, peak_w=0,
            pieces=pieces,
        )  # fmt: skip
        assert asked is not None
        problem = asked.problem
        assert problem.demand_charge_per_kw == 0
        assert problem.demand_pieces[0].free_kw == free_kw
        assert np.all(problem.demand_pieces[0].counts == 1)
        assert problem.demand_pieces[0].per_kw == pytest.approx(float(pieces[0].rate_per_kw) / 21)

    run(main())


@pytest.mark.parametrize(
    "make",
    [
        lambda: MonthDemand("2026-13", recorded_w=1),
        lambda: MonthDemand("2026-10"),
        lambda: MonthDemand("2026-10", recorded_w=-1),
        lambda: UtilityBill("2026-10", 1, {"a\nb": 1}),
        lambda: UtilityBill("2026-10", 10**16),
        lambda: UtilityBill("2026-10", 1, power_factor="1.2"),
        lambda: UtilityBill("2026-10", 1, power_factor="much"),
        lambda: UtilityBill("2026-10", 1, published={"fppca": "1e9"}),
        lambda: UtilityBill("2026-10", 1, {f"l{k}": 1 for k in range(61)}),
    ],
)
def test_what_cannot_be_on_a_bill_is_refused(make: object) -> None:
    with pytest.raises(InvalidValue):
        make()  # type: ignore[operator]  # as the list says


def test_the_book_keeps_the_newest_months() -> None:
    book = DepotState().demand_book
    for k in range(70):
        month = Month(2020, 1).after(k)
        book = book.with_month(MonthDemand(str(month), recorded_w=k), by="mani", at=datetime.now(ZONE))
    assert (len(book.months), min(book.months)) == (60, "2020-11")
