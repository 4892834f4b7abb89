"""The Grid room: demand blocks from the meter, limits as rows, the utility's link as people read it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from small_yard import NOW, ONE, TWO, SmallYard, run

from controller.allocation import Allocation
from controller.background import Background
from controller.grid_room import GridRoom
from controller.grid_view import GridView
from controller.history import Minute
from controller.utility import Utility
from controller.yard import LastAllocation
from depot import events as ev
from depot.commands import SetSupply
from depot.readings import SiteReading
from depot.values import Limit, LimitSource, ScopeKind, UtilityOrder
from grid.failsafe import FailsafePolicy
from grid.limit_session import LimitCommand

POLICY = FailsafePolicy(contract_w=200_000, failsafe_w=60_000)


def room_of(world: SmallYard, *, linked: bool = False) -> tuple[GridRoom, Utility | None]:
    world.loop.note = lambda event: world.put(event)  # type: ignore[method-assign]  # the loop's tasks don't run here
    utility = Utility(world.yard, world.loop, POLICY, replan=lambda _cause: None) if linked else None
    return GridRoom(world.yard, world.loop, world.history, utility), utility


def test_the_view_is_offered_to_whoever_asks_over_the_link() -> None:
    world = SmallYard()
    room, _ = room_of(world)
    assert set(room.commands) == {SetSupply}
    found: list[object] = []

    async def ask() -> None:
        found.append(await room.views[GridView]({}))

    run(ask())
    (view,) = found
    assert isinstance(view, GridView)
    assert (view.contract_w, view.failsafe_w, view.site_w, view.utility) == (200_000, 60_000, 50_000, None)
    assert view.compliance == "compliant"


def test_limits_are_rows_the_lowest_first_and_say_what_comes_after() -> None:
    world = SmallYard()
    room, _ = room_of(world)
    until = NOW + timedelta(hours=2)
    world.put(ev.LimitSet(Limit("manual:", ScopeKind.SITE, 90_000, LimitSource.MANUAL, NOW, until=until, set_by="mani", reason="test")))
    world.put(ev.LimitSet(Limit("later", ScopeKind.SITE, 40_000, LimitSource.SCADA, until, until=until + timedelta(hours=1))))
    rows = room.view().limits
    assert [(r.scope_id, r.value_w, r.source, r.binds, r.coming) for r in rows] == [
        ("", 90_000, "manual", True, False),
        ("", 200_000, "contract", False, False),
        ("", 40_000, "scada", False, True),
        ("A", 150_000, "rating", True, False),
        ("B", 80_000, "rating", True, False),
    ]
    assert (rows[0].then_w, rows[0].free_w, rows[0].set_by) == (40_000, 40_000, "mani")
    assert (rows[2].then_w, rows[3].then_w) == (200_000, None)


def test_the_running_block_is_measured_and_told_to_the_utility() -> None:
    world = SmallYard()
    start = NOW.replace(minute=30)  # a half hour begins at 22:00 in Pune
    world.history.minutes.extend(Minute(start - timedelta(minutes=k), 120_000, 200_000, None, 0) for k in range(60, 0, -1))
    room, utility = room_of(world, linked=True)
    assert utility is not None
    for k in range(0, 600, 10):
        world.clock.at = start + timedelta(seconds=k)
        world.meter.reading = SiteReading(world.clock.at, 80_000)
        room.look()
        room.look()  # the same reading counts once
    demand = room.view().demand
    assert (demand.begins_at, demand.mean_w, demand.expected_w) == (start, 80_000, 80_000)
    assert demand.highest_w == 120_000
    assert [(point.at, point.value) for point in demand.blocks] == [
        (start - timedelta(minutes=60), 120_000.0),
        (start - timedelta(minutes=30), 120_000.0),
    ]
    told = utility.feedback()
    assert (told.demand_w, told.demand_left_s, told.predicted_va) == (80_000, 1800 - 590, None)


def test_without_a_meter_nothing_is_claimed_of_the_demand() -> None:
    world = SmallYard()
    world.yard.spec = replace(world.yard.spec, metered=False)
    world.meter.reading = None
    room, utility = room_of(world, linked=True)
    view = room.view()
    assert (view.meter, view.demand.mean_w, view.demand.expected_w, view.compliance) == (None, None, None, "na")
    assert utility is not None
    assert (utility.feedback().demand_w, utility.feedback().demand_left_s) == (None, None)


def test_feeders_say_what_they_draw_and_what_is_held_for_those_that_cannot_be_told() -> None:
    world = SmallYard()
    room, _ = room_of(world)
    world.arrive(ONE, "E-1")
    world.session(ONE, power_w=30_000)
    world.arrive(TWO, "E-2")
    world.session(TWO, power_w=20_000, number=8)
    world.yard.links[TWO.station_id] = replace(world.yard.links[TWO.station_id], connected=False)
    a, b = room.view().feeders
    assert (a.name, a.power_w, a.charging, a.connectors) == ("Feeder A", 50_000, 2, 2)
    assert a.reserved_w >= 0
    assert (b.power_w, b.connectors) == (0, 1)


def test_the_link_shows_its_state_heartbeat_and_orders() -> None:
    world = SmallYard()
    room, utility = room_of(world, linked=True)
    assert utility is not None
    link = room.view().utility
    assert link is not None
    assert (link.state, link.beat_age_s, link.alive, link.order) == ("init", None, False, None)
    allocation = Allocation([], [], [], 0, 0, [0, 0], waiting=False)
    world.yard.last = LastAllocation(world.clock.at, [], allocation, Background(0), 200_000, {}, [])

    async def play() -> None:
        utility.heartbeat((1, 0))
        order = UtilityOrder(9, NOW, 150_000, validity_s=600, reversion_w=80_000, reason=1, event_id=5, peer="10.0.0.9:1")
        await asyncio.wait_for(utility.commit(LimitCommand(9, "10.0.0.9:1", NOW, order)), 3)

    run(play())
    world.clock.at += timedelta(seconds=7)
    view = room.view()
    link = view.utility
    assert link is not None
    assert (link.state, link.beat_age_s, link.alive, link.limit_w) == ("limited", 7.0, True, 150_000)
    assert link.order is not None
    assert (link.order.value_w, link.order.reason, link.order.until) == (150_000, "peak", NOW + timedelta(seconds=600))
    row = view.limits[0]
    assert (row.value_w, row.since, row.until, row.then_w) == (150_000, NOW, NOW + timedelta(seconds=600), 80_000)
    world.clock.at += timedelta(seconds=120)
    utility.look()
    link = room.view().utility
    assert link is not None
    assert (link.state, link.alive, link.limit_w) == ("failsafe", False, 60_000)
