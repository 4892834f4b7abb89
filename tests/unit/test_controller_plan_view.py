"""Plan against measured: what the trail keeps, how the picture is stacked, who is short, what holds without a plan."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_yard import NOW, ONE, SPEC, THREE, TWO, SmallYard, run

from controller.history import Minute
from controller.plan_picture import span_of
from controller.plan_room import LOOK_S, PlanRoom
from controller.plan_trail import Mark, PlanTrail
from controller.plan_view import PlanView
from controller.planner import PlannerState
from depot import events as ev
from depot.plan_policy import PlanAim, PolicyPick
from depot.values import InvalidValue, Limit, LimitSource, ScopeKind
from optimizer import PlanResult, PlanStatus, Policy, Problem, Weights
from optimizer.evaluate import evaluate

QUARTER = timedelta(minutes=15)
A, B = Mark("BUS-A", "A"), Mark("BUS-B", "B")


class Depot:
    def __init__(self) -> None:
        self.small = SmallYard()
        self.room = PlanRoom(
            self.small.yard, self.small.loop, self.small.planning, self.small.history, state=lambda: self.small.planner_state
        )

    async def view(self, **args: str) -> PlanView:
        shown = await self.room.views[PlanView](args)
        return msgspec.json.decode(msgspec.json.encode(shown), type=PlanView)  # as the link does

    def forward(self, minutes: float) -> None:
        """Time passes, with looks."""
        until = self.small.clock.at + timedelta(minutes=minutes)
        while self.small.clock.at < until:
            self.room.look()
            self.small.clock.at += timedelta(seconds=LOOK_S)
        self.room.look()


class AtOnce:
    """A planner that lets everybody charge at once, at full power."""

    state, text = PlannerState.RUNNING, "charges at once"

    async def solve(self, problem: Problem, *, policy: Policy | Weights) -> PlanResult:
        power = np.zeros_like(problem.upper_kw)
        for i, vehicle in enumerate(problem.vehicles):
            left = vehicle.energy_kwh / vehicle.eff
            for k in range(problem.n_slots):
                power[i, k] = min(problem.upper_kw[i, k], left / problem.hours[k])
                left -= power[i, k] * problem.hours[k]
        found = evaluate(problem, power)
        none = np.zeros(problem.n_slots)
        return PlanResult(
            power, found.site_kw, found.unmet_kwh, none, found.energy_cost, found.demand_cost, found.peak_kw, PlanStatus.OPTIMAL, policy
        )


# -- the trail ------------------------------------------------------------------------------------------------------------


def test_a_slot_has_the_mean_over_its_time_and_says_whether_a_plan_was_in_force() -> None:
    trail = PlanTrail(900)
    for n in range(181):  # 15 minutes, a look each 5 s; A draws in the first third
        now = NOW + timedelta(seconds=5 * n)
        trail.look(now, NOW if n < 180 else NOW + QUARTER, {A: 30_000 if n <= 60 else 0}, {A: 12_000, B: 6_000})
    [slot] = trail.closed
    found = dict(zip(slot.marks, zip(slot.drawn_w, slot.planned_w, strict=True), strict=True))
    assert abs(found[A][0] - 10_000) < 100
    assert found[A][1] == 12_000
    assert found[B] == (0, 6_000)
    assert slot.planned


def test_looks_that_come_late_say_nothing_of_the_time_between() -> None:
    trail = PlanTrail(900)
    trail.look(NOW, NOW, {A: 50_000}, None)
    trail.look(NOW + timedelta(minutes=10), NOW, {A: 50_000}, None)
    assert list(trail.slots()) == []


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 50_000)), min_size=1, max_size=60))
def test_a_mean_lies_within_what_was_seen_and_the_trail_is_bounded(looks: list[tuple[int, int]]) -> None:
    trail = PlanTrail(900)
    now = NOW
    for seconds, watts in looks:
        now += timedelta(seconds=seconds)
        trail.look(now, NOW + ((now - NOW) // QUARTER) * QUARTER, {A: watts}, {A: watts})
    most = max(watts for _, watts in looks)
    for slot in trail.slots():
        assert all(0 <= watts <= most for watts in (*slot.drawn_w, *slot.planned_w))
    assert len(trail.closed) <= 96


def test_only_a_day_is_kept() -> None:
    trail = PlanTrail(900)
    for n in range(3 * 96 * 15):
        now = NOW + timedelta(minutes=n)
        trail.look(now, NOW + (n // 15) * QUARTER, {A: 1_000}, None)
    assert len(trail.closed) == 96
    assert trail.closed[0].at == NOW + (3 * 96 - 97) * QUARTER


# -- the picture ------------------------------------------------------------------------------------------------------------


def test_the_picture_reaches_from_the_hours_before_to_the_end_of_the_plan() -> None:
    zone = ZoneInfo(SPEC.timezone)
    small = SmallYard()
    small.plan({"A": (1_000,) * 20})
    span = span_of(NOW + timedelta(minutes=4), zone, slot_s=900, back_h=3, plan=small.yard.plan)
    assert (span.start, span.now, span.count) == (NOW - timedelta(hours=3), 12, 32)
    alone = span_of(NOW, zone, slot_s=900, back_h=1, plan=None)
    assert (alone.now, alone.stop) == (4, NOW + timedelta(hours=4, minutes=15))


def test_measured_before_now_planned_after_it_and_a_row_for_each_vehicle() -> None:
    async def main() -> None:
        depot = Depot()
        small = depot.small
        small.arrive(ONE, "BUS-A", kwh=40)
        small.arrive(THREE, "VAN-B", kwh=10)
        small.plan({"BUS-A": (20_000,) * 8, "VAN-B": (0, 0, 0, 0, 5_000, 0, 5_000, 0)}, unmet_wh={"visit VAN-B": 7_500})
        small.session(ONE, power_w=24_000)
        depot.forward(15)
        small.history.minutes.append(Minute(NOW, 60_000, 200_000, 50_000, 20_000))
        view = await depot.view()
        first = next(k for k, at in enumerate(range(96)) if view.slots.start + at * QUARTER == NOW)
        assert view.slots.now == first + 1
        assert (view.slots.site_w[first], view.slots.plan_w[first], view.slots.background_w[first]) == (60_000, 50_000, 20_000)
        assert (view.slots.limit_w[view.slots.now], view.slots.limit_source[view.slots.now]) == (200_000, "contract")
        bus, van = view.layers
        assert (bus.name, bus.drawn_w[first], bus.planned_w[first]) == ("BUS-A", 24_000, 20_000)
        assert bus.planned_w[first + 1 :] == [20_000] * 7
        assert (van.name, van.drawn_w[first], van.planned_w[first + 4]) == ("VAN-B", 0, 5_000)
        assert [row.vehicle_id for row in view.rows] == ["VAN-B", "BUS-A"]  # who is short first
        van_row, bus_row = view.rows
        assert (van_row.unmet_wh, van_row.planned_wh, van_row.pauses) == (7_500, 2_500, 1)
        assert (van_row.starts_at, van_row.stops_at) == (NOW + 4 * QUARTER, NOW + 7 * QUARTER)
        assert van_row.cost == 15.0  # 2.5 kWh at 6
        assert van_row.soc_departure == pytest.approx(0.2 + 0.025)
        assert (bus_row.planned_wh, bus_row.starts_at) == (35_000, NOW + QUARTER)
        assert view.plan is not None
        assert (view.plan.unmet_wh, view.plan.short, view.plan.planned_wh, view.plan.over) == (7_500, 1, 37_500, False)
        assert all(row.power_w == [] for row in view.rows)
        assert (await depot.view(powers="yes")).rows[1].power_w == [20_000] * 7

    run(main())


def test_by_feeder_and_with_few_layers_the_sum_stays_the_same() -> None:
    async def main() -> None:
        depot = Depot()
        for key, name in ((ONE, "A1"), (TWO, "A2"), (THREE, "B1")):
            depot.small.arrive(key, name)
        depot.small.plan({"A1": (10_000,) * 8, "A2": (20_000,) * 8, "B1": (5_000,) * 8})
        whole = await depot.view()
        few = await depot.view(layers="1")
        feeders = await depot.view(by="feeder")
        assert [(layer.name, layer.kind, layer.members) for layer in few.layers] == [("A2", "vehicle", 1), ("", "rest", 2)]
        assert [(layer.name, layer.members) for layer in feeders.layers] == [("Feeder A", 2), ("Feeder B", 1)]
        for k in range(whole.slots.now, len(whole.slots.price)):
            assert len({sum(layer.planned_w[k] or 0 for layer in view.layers) for view in (whole, few, feeders)}) == 1

    run(main())


def test_an_unannounced_session_is_shown_under_its_charger() -> None:
    async def main() -> None:
        depot = Depot()
        depot.small.session(TWO, power_w=11_000)
        depot.forward(3)
        [layer] = (await depot.view()).layers
        assert (layer.name, layer.drawn_w[-18 + 1]) == ("at CP-2", 11_000)

    run(main())


def test_a_limit_to_come_is_shown_with_its_source() -> None:
    async def main() -> None:
        depot = Depot()
        until = NOW + timedelta(hours=2)
        depot.small.loop.limit_sources["test"] = lambda _now: [
            Limit("s", ScopeKind.SITE, 90_000, LimitSource.SCADA, NOW + timedelta(minutes=20), until=until)
        ]
        slots = (await depot.view()).slots
        ahead = list(zip(slots.limit_w, slots.limit_source, strict=True))[slots.now :]
        assert ahead[0] == (200_000, "contract")
        assert ahead[1:8] == [(90_000, "scada")] * 7  # the least within a slot counts
        assert ahead[8] == (200_000, "contract")

    run(main())


def test_without_a_plan_the_view_says_what_holds() -> None:
    async def main() -> None:
        depot = Depot()
        nothing = await depot.view()
        assert (nothing.plan, nothing.waiting, nothing.fallback, nothing.rows, nothing.layers) == (None, 0, False, [], [])
        depot.small.arrive(ONE, "BUS-A")
        waits = await depot.view()
        assert (waits.waiting, waits.fallback, waits.rows[0].starts_at, waits.rows[0].cost) == (1, True, None, None)
        depot.small.plan({"BUS-A": (9_000,) * 8})
        assert not (await depot.view()).fallback
        depot.small.clock.at += timedelta(minutes=31)
        over = await depot.view()
        assert over.plan is not None
        assert over.plan.over
        assert over.fallback
        assert [layer for layer in over.layers if any(layer.planned_w)] == []

    run(main())


def test_a_plan_of_the_planner_brings_its_costs_and_what_it_expects_of_the_load() -> None:
    async def main() -> None:
        depot = Depot()
        depot.small.arrive(ONE, "BUS-A", kwh=40)
        depot.small.planning.planner = AtOnce()
        await depot.small.planning._plan_once("test")
        view = await depot.view()
        assert view.plan is not None
        assert view.plan.energy_cost == pytest.approx(240.0, rel=0.01)
        assert view.plan.peak_w is not None
        assert view.next_at == NOW + timedelta(seconds=300)
        assert view.slots.background_w[-1] == 20_000
        assert sum(row.planned_wh for row in view.rows) == pytest.approx(40_000, rel=0.01)

    run(main())


def test_who_leaves_in_the_middle_of_a_slot_is_planned_for_a_part_of_it() -> None:
    """The stack is the plan's line: means over slots, and no more energy than was asked for."""

    async def main() -> None:
        depot = Depot()
        depot.small.arrive(ONE, "BUS-A", kwh=400, hours=2.6)
        depot.small.planning.planner = AtOnce()
        await depot.small.planning._plan_once("test")
        plan = depot.small.yard.plan
        assert plan is not None
        last = max(k for k, watts in enumerate(plan.power_w["visit BUS-A"]) if watts)
        view = await depot.view(powers="yes")
        [row] = view.rows
        assert row.power_w[last] < plan.power_w["visit BUS-A"][last], "it is there for a part of it"
        for k in range(view.slots.now, len(view.slots.price)):
            stacked = sum(layer.planned_w[k] or 0 for layer in view.layers) + (view.slots.background_w[k] or 0)
            assert stacked == pytest.approx(view.slots.plan_w[k] or stacked, abs=2)

    run(main())


def test_without_a_plan_nobody_knows_the_charge_at_departure_and_a_picked_policy_is_named() -> None:
    async def main() -> None:
        depot = Depot()
        depot.small.arrive(ONE, "BUS-A", kwh=40)
        view = await depot.view()
        assert [row.soc_departure for row in view.rows] == [None]
        assert view.policy == "cheapest"
        depot.small.put(ev.PlanPolicyPicked(PolicyPick(PlanAim.WEIGHTS, wear=0.5), "older batteries"))
        assert (await depot.view()).policy == "the bill and battery wear 0.5"

    run(main())


def test_the_picture_begins_where_anything_was_measured() -> None:
    async def main() -> None:
        depot = Depot()
        depot.small.history.minutes.append(Minute(NOW - timedelta(minutes=130), 60_000, 200_000, None, 20_000))
        assert (await depot.view(back_h="12")).slots.start == NOW - timedelta(hours=3)
        assert (await depot.view(back_h="1")).slots.start == NOW - timedelta(hours=1)

    run(main())


@pytest.mark.parametrize("args", [{"by": "colour"}, {"layers": "0"}, {"layers": "x"}, {"back_h": "25"}, {"rows": "-1"}, {"rows": "9" * 40}])
def test_arguments_that_cannot_be_are_refused(args: dict[str, str]) -> None:
    async def main() -> None:
        with pytest.raises(InvalidValue):
            await Depot().view(**args)

    run(main())


def test_a_thousand_vehicles_make_a_small_picture() -> None:
    async def main() -> None:
        depot = Depot()
        depot.small.plan({f"V{n}": (1_000 + n,) * 96 for n in range(1000)})
        view = await depot.view(by="vehicle")
        assert len(view.layers) == 9
        assert view.layers[-1].members == 992
        assert view.layers[-1].planned_w[view.slots.now] == sum(1_000 + n for n in range(992))

    run(main())
