"""The demand block in the controller: kept blocks, the month's peak over a restart, limits on the block's average."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from small_yard import NOW, ONE, SmallYard
from sqlalchemy import Connection

import controller
from controller import limits
from controller.block_store import BlockMemory, BlockSource, BlockStore
from controller.demand_watch import DemandSettings, DemandWatch
from controller.limiter import least_w
from depot import events as ev
from depot.metering import MeterBlock
from depot.readings import SiteReading
from depot.values import Because, Limit, LimitKind, LimitSource, ScopeKind
from grid.meter_clock import MeterClock
from storage import Store

BLOCK = timedelta(minutes=15)


def watch_of(world: SmallYard, settings: DemandSettings | None = None, **more: object) -> DemandWatch:
    found = DemandWatch(world.yard, settings or DemandSettings(), interval_min=15, **more)  # type: ignore[arg-type]  # as the test says
    world.loop.limit_sources["demand"] = found.limits
    world.loop.soft_sources["demand"] = found.soft_limits
    return found


def play(world: SmallYard, watch: DemandWatch, power_w: int, *, seconds: int, step_s: int = 10, **more: int) -> None:
    for _ in range(seconds // step_s):
        world.meter.reading = SiteReading(world.clock.now(), power_w, **more)
        watch.look()
        world.clock.at += timedelta(seconds=step_s)


class Writer:
    """The journal's writer: writes at once, or is frozen."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.frozen = False

    def beside(self, job: Callable[[Connection], None]) -> bool:
        if self.frozen:
            return False
        with self.store.writing() as connection:
            job(connection)
        return True


def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[BlockStore, Writer]:
    store = Store.open(tmp_path_factory.mktemp("blocks") / "d.sqlite")
    store.migrate([controller])
    writer = Writer(store)
    return BlockStore(store, "small", writer, keep_days=62), writer


def test_finished_blocks_are_kept_and_the_months_peak_survives_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    world = SmallYard()
    store, _ = kept(tmp_path_factory)
    watch = watch_of(world, store=store)
    play(world, watch, 80_000, seconds=900, apparent_va=84_000)
    play(world, watch, 20_000, seconds=930)
    first, second = store.between(BlockSource.OWN, NOW, NOW + timedelta(days=1))
    assert (first.begins_at, first.import_wh, first.import_vah, first.covered) == (NOW, 20_000, 21_000, 1.0)
    assert second.import_vah is None
    again = watch_of(world, store=store)
    status = again.status(world.clock.now())
    assert (status.month_peak_w, status.month_peak_va) == (80_000, 84_000)
    assert again.free_peak_w() == 80_000
    assert again.known_since == NOW


def test_blocks_wait_for_a_frozen_journal_and_are_there_meanwhile(tmp_path_factory: pytest.TempPathFactory) -> None:
    store, writer = kept(tmp_path_factory)
    writer.frozen = True
    block = MeterBlock(NOW, 15, 5_000)
    assert not store.put(BlockSource.OWN, [block])
    assert (store.waiting, store.between(BlockSource.OWN, NOW, NOW + BLOCK)) == (1, [block])
    writer.frozen = False
    assert store.flush()
    assert (store.waiting, store.between(BlockSource.OWN, NOW, NOW + BLOCK)) == (0, [block])


def test_the_utilitys_blocks_stand_beside_ours_and_old_ones_go(tmp_path_factory: pytest.TempPathFactory) -> None:
    store, _ = kept(tmp_path_factory)
    store.put(BlockSource.OWN, [MeterBlock(NOW - timedelta(days=63), 15, 1), MeterBlock(NOW, 15, 5_000)])
    store.put(BlockSource.UTILITY, [MeterBlock(NOW, 15, 5_100, 5_300)])
    store.put(BlockSource.OWN, [MeterBlock(NOW, 15, 4_000)], replace=False)
    assert [b.import_wh for b in store.between(BlockSource.OWN, NOW - timedelta(days=90), NOW + BLOCK)] == [5_000]
    assert [b.import_vah for b in store.between(BlockSource.UTILITY, NOW, NOW + BLOCK)] == [5_300]
    assert store.months(BlockSource.UTILITY) == (NOW, NOW)


def test_memory_keeps_blocks_as_the_disk_does() -> None:
    memory = BlockMemory()
    assert memory.months(BlockSource.OWN) is None
    memory.put(BlockSource.OWN, [MeterBlock(NOW, 15, 1)])
    memory.put(BlockSource.OWN, [MeterBlock(NOW, 15, 2)], replace=False)
    assert [b.import_wh for b in memory.between(BlockSource.OWN, NOW, NOW + BLOCK)] == [1]
    assert memory.flush()


def site_w(world: SmallYard, *, soft: bool = False) -> int:
    found = world.loop.limits_in_force()
    if soft:
        found += world.loop.soft_sources["demand"](world.clock.now())
    binds = limits.binding(found, "", world.clock.now())
    assert binds is not None
    return binds.value


def test_a_contract_demand_is_repaid_within_its_block_and_holds_again_after_it() -> None:
    world = SmallYard()
    lowered: list[None] = []
    watch = watch_of(world, DemandSettings(contract_w=100_000, clock_error_s=0), on_lower=lambda: lowered.append(None))
    play(world, watch, 180_000, seconds=300)
    left_w = (100 * 900 - 180 * 300) / 600 * 1000
    assert 0.9 * left_w <= site_w(world) <= left_w
    assert lowered
    found = world.loop.limits_in_force()
    after = limits.binding(found, "", NOW + BLOCK)
    assert after is not None
    assert (after.value, after.source) == (100_000, LimitSource.CONTRACT)
    window = limits.budget(found, "", now=world.clock.now(), life=timedelta(minutes=12)).window_w
    assert window <= site_w(world)
    shown = next(x for x in found if x.kind is LimitKind.BLOCK_AVERAGE)
    assert shown.value == 100_000
    play(world, watch, 10_000, seconds=500)
    assert site_w(world) > 100_000  # what was spared may be used
    later = limits.budget(world.loop.limits_in_force(), "", now=world.clock.now(), life=timedelta(minutes=3))
    assert later.window_w == 100_000  # but not beyond the block


def test_kva_are_measured_and_what_cannot_be_held_back_is_not_cut() -> None:
    world = SmallYard()
    watch = watch_of(world, DemandSettings(contract_va=100_000, clock_error_s=30))
    play(world, watch, 90_000, seconds=300, apparent_va=100_000)
    assert site_w(world) == pytest.approx(90_000, rel=0.05)
    world.arrive(ONE, "E-1")
    world.session(ONE, power_w=20_000)
    world.decided({ONE: Because.PLAN}, {ONE: 20_000})
    assert world.yard.last is not None
    world.yard.last.background = world.yard.last.background.__class__(150_000)
    (left, *_) = [x for x in watch.limits(world.clock.now()) if x.kind is LimitKind.INSTANT]
    assert left.value >= 150_000 + least_w(world.yard.last.rows)
    assert "can't be kept" in left.reason


def test_a_limit_of_people_on_the_blocks_average_is_kept_too() -> None:
    world = SmallYard()
    watch = watch_of(world)
    assert watch.limits(NOW) == ()
    until = NOW + timedelta(hours=1)
    world.put(ev.LimitSet(Limit("dr", ScopeKind.SITE, 60_000, LimitSource.DEMAND_RESPONSE, NOW, until=until, kind=LimitKind.BLOCK_AVERAGE)))
    assert site_w(world) == 60_000
    assert all(x.until is not None and x.until <= until for x in watch.limits(NOW))


def test_the_target_gives_way_to_the_plan_and_to_the_peak_that_is_there() -> None:
    world = SmallYard()
    watch = watch_of(world, DemandSettings(target_w=70_000, clock_error_s=0))
    assert site_w(world, soft=True) == 200_000  # without a plan nobody knows whether it costs a departure
    world.plan({"E-1": (30_000, 30_000)})  # the site at 50 kW
    assert site_w(world, soft=True) == 70_000
    assert site_w(world) == 200_000  # the planner does not see it
    play(world, watch, 90_000, seconds=930)
    world.plan({"E-1": (30_000, 30_000)})
    assert site_w(world, soft=True) == pytest.approx(90_000, rel=0.02)
    assert watch.free_peak_w() == 90_000


def test_predictions_learn_how_far_they_were_off() -> None:
    world = SmallYard()
    watch = watch_of(world)
    play(world, watch, 40_000, seconds=450)
    assert watch.status(world.clock.now()).error_w is None
    play(world, watch, 80_000, seconds=600)
    error_w = watch.status(world.clock.now()).error_w
    assert error_w is not None
    assert 1_000 < error_w < 40_000


def test_the_meters_own_demand_register_tells_its_clock() -> None:
    clock = MeterClock(interval_min=15, timezone="Asia/Kolkata")
    start = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
    for second in range(0, 4 * 900, 2):
        shown = 50_000 + (second + 40) // 900  # changes 40 s before ours
        clock = clock.read(start + timedelta(seconds=second), shown)
    assert clock.offset_s == pytest.approx(40, abs=3)
    sliding = MeterClock(interval_min=15, timezone="Asia/Kolkata")
    for second in range(0, 4 * 900, 2):
        sliding = sliding.read(start + timedelta(seconds=second), 50_000 + second)
    assert sliding.offset_s is None


def test_a_measured_clock_moves_the_blocks() -> None:
    world = SmallYard()
    watch = watch_of(world)
    for second in range(0, 5 * 900, 5):
        world.meter.reading = SiteReading(world.clock.now(), 30_000, demand_w=30_000 + (second - 60) // 900)
        watch.look()
        world.clock.at += timedelta(seconds=5)
    assert watch.clock_known == "measured"
    assert watch.clock_offset_s == pytest.approx(-60, abs=6)
    assert watch_of(world, DemandSettings(clock_offset_s=0)).clock_known == "entered"
