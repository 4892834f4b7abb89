"""Reference tests in a depot: ordered and refused, begun, led by limits, seen, called off, over a restart, in the plan."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from small_yard import NOW, ONE, TWO, FlatTariff, SmallYard

from controller.alarms import KINDS
from controller.codec import EventCodec, decode_state, encode_state
from controller.planning_problem import build
from controller.planning_settings import PlanningSettings
from controller.reference_programme import REST_S
from controller.reference_room import RESTARTED, STALE_S, ReferenceTests
from controller.reference_view import ReferenceTestView
from controller.rows import Rows
from controller.traffic import LoopSettings, Traffic
from depot import commands as cmd
from depot import events as ev
from depot.fleet import Vehicle
from depot.reference_tests import ReferenceOutcome, ReferencePhase, ReferenceTest
from depot.values import LimitSource
from optimizer.needs import FULL, PACE

LATER = NOW + timedelta(hours=12)
_numbers = iter(range(10_000))


class Depot:
    """A small yard with the room; E-1 stands on the first charger with 20 % until eight hours from now."""

    def __init__(self, *, hours: float = 9, arrives: bool = True) -> None:
        self.small = SmallYard()
        self.room = ReferenceTests(self.small.yard, self.small.loop, replan=self.small.replans.append)
        self.small.orders.carriers.update(self.room.commands)
        if arrives:
            self.small.arrive(ONE, "E-1", kwh=60, hours=hours)
        self.small.put(ev.VehicleRegistered(Vehicle("E-1", battery_wh=100_000)))

    def order(self, **changes: object) -> cmd.CommandResult:
        said: dict[str, object] = {"vehicle_id": "E-1", "reason": "before the warranty ends"} | changes
        return asyncio.run(
            self.small.orders.execute(cmd.OrderReferenceTest(command_id=f"o{next(_numbers)}", actor="Meera", **said))  # type: ignore[arg-type]
        )

    def call_off(self, reason: str = "the bus is needed") -> cmd.CommandResult:
        command = cmd.CallOffReferenceTest(command_id=f"o{next(_numbers)}", actor="Arjun", reason=reason, vehicle_id="E-1")
        return asyncio.run(self.small.orders.execute(command))

    def look(self, after: timedelta = timedelta(0)) -> ReferenceTest:
        self.small.clock.at += after
        asyncio.run(self.room.look())
        return self.test

    def rest(self) -> ReferenceTest:
        """To the end of its rest."""
        self.look()
        return self.look(timedelta(seconds=REST_S))

    @property
    def test(self) -> ReferenceTest:
        return self.small.yard.state.reference_tests["E-1"]

    def shown(self) -> ReferenceTestView:
        view = asyncio.run(self.room.views[ReferenceTestView]({"vehicle_id": "E-1"}))
        assert isinstance(view, ReferenceTestView)
        return view

    def facts(self, kind: type[ev.Event]) -> list[ev.Envelope]:
        return [fact for fact in self.small.journal.facts if isinstance(fact.data, kind)]

    def level_w(self) -> int | None:
        """The least limit of the first connector that the limiter knows."""
        now = self.small.clock.at
        limits = [*self.room.limits(now), *self.room.step_limits(now)]
        return min((one.value for one in limits if one.scope_id == str(ONE) and one.holds_at(now)), default=None)

    def row(self) -> tuple[int, int, bool, float]:
        """(ceiling, plan's wish, limited, rank) of the first connector."""
        traffic = {key: Traffic() for key in self.small.yard.spec.connectors}
        in_force = [*self.small.loop.limits_in_force(), *self.room.step_limits(self.small.clock.at)]
        rows = Rows(self.small.yard, LoopSettings(), traffic, reachable=lambda _: True).build(self.small.clock.at, {}, in_force=in_force)
        row = next(row for row in rows if row.key == ONE)
        return row.ceiling_w, row.plan_w, row.limited, row.rank[0]


# -- ordered ------------------------------------------------------------------------------------------------------------


def test_an_order_is_kept_with_name_and_reason_and_begins_with_a_rest() -> None:
    depot = Depot()
    result = depot.order()
    assert result.status is cmd.CommandStatus.DONE, result.message
    assert "it rests now, then charges at 25.0 kW" in result.message
    (ordered,), (began,) = depot.facts(ev.ReferenceTestOrdered), depot.facts(ev.ReferenceTestBegan)
    asked = depot.facts(ev.CommandRequested)[0]
    assert (ordered.actor, ordered.cause_id, began.cause_id) == ("Meera", asked.id, asked.id)
    assert asked.data.reason == "before the warranty ends"  # type: ignore[attr-defined]
    assert (depot.test.phase, depot.test.connector, depot.test.by) == (ReferencePhase.REST_BEFORE, ONE, "Meera")
    assert depot.small.replans == ["reference test"]
    assert depot.row()[0] == 0
    assert depot.level_w() == 0
    (limit, _) = depot.room.limits(NOW)
    assert (limit.source, limit.set_by, limit.reason) == (LimitSource.REFERENCE_TEST, "Meera", "reference test of E-1")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"reason": " "}, "say why"),
        ({"vehicle_id": "E-9"}, "no vehicle E-9"),
        ({"most_soc": 0.1}, "its state of charge is 20%: the test begins at 10% or less"),
        ({"most_soc": 1.0}, "most_soc must be"),
        ({"pulses": 1}, "pulses must be"),
        ({"until": NOW - timedelta(hours=1)}, "within the coming 31 days"),
        ({"until": NOW + timedelta(days=40)}, "within the coming 31 days"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence_and_nothing_happens(changes: dict[str, object], why: str) -> None:
    depot = Depot()
    result = depot.order(**changes)
    assert result.status is cmd.CommandStatus.REFUSED
    assert why in result.message
    assert depot.small.yard.state.reference_tests == {}
    assert depot.small.yard.tested == {}
    assert depot.level_w() is None


def test_a_test_that_does_not_fit_before_the_departure_is_refused() -> None:
    depot = Depot(hours=4)
    result = depot.order()
    assert result.status is cmd.CommandStatus.REFUSED
    assert "the test takes 4 h" in result.message
    assert "Let it wait" in result.message


def test_one_at_a_time_and_none_where_no_health_is_estimated() -> None:
    depot = Depot()
    depot.order()
    assert "open already" in depot.order().message
    other = Depot()
    other.room.refuses = "this depot estimates no health: add a section [health]"
    assert "section [health]" in other.order().message
    assert (other.shown().able, other.shown().phase) == (False, "")


def test_a_test_that_nobody_could_judge_is_refused() -> None:
    depot = Depot()

    async def unjudged(vehicle_id: str) -> str:
        return f"nothing was heard of a battery of {vehicle_id} yet"

    depot.room.unjudged = unjudged
    assert depot.order().message == "its result could not be judged: nothing was heard of a battery of E-1 yet"
    assert depot.small.yard.state.reference_tests == {}


# -- waiting ------------------------------------------------------------------------------------------------------------


def test_it_waits_for_a_low_state_of_charge_says_so_and_gives_up_in_time() -> None:
    depot = Depot()
    assert "it waits until" in depot.order(until=LATER, most_soc=0.15).message
    assert "its state of charge is 20%" in depot.shown().words
    depot.look()
    assert depot.level_w() is None  # it was looked at, and charges as planned
    assert depot.look(timedelta(hours=12)).outcome is ReferenceOutcome.EXPIRED
    assert "at last: " in depot.test.why


def test_who_comes_is_looked_at_before_it_charges() -> None:
    depot = Depot(arrives=False)
    depot.order(until=LATER)
    depot.look()
    assert "not plugged in" in depot.shown().words
    depot.small.arrive(ONE, "E-1", kwh=60, hours=9)
    assert depot.row()[0] == 0
    assert depot.look(timedelta(seconds=1)).phase is ReferencePhase.REST_BEFORE


def test_a_session_that_cannot_pause_is_not_tested() -> None:
    depot = Depot(arrives=False)
    depot.small.put(
        ev.VisitAnnounced("v", "E-1", NOW, LATER, 60_000, 60_000, connector=ONE, battery_wh=100_000, soc_arrival=0.2, pausable=False),
        ev.VisitArrived("v", ONE),
    )
    depot.small.session(ONE, power_w=20_000)
    assert "cannot pause" in depot.order().message


# -- running ------------------------------------------------------------------------------------------------------------


def test_the_pulses_are_limits_of_the_limiter_and_the_charge_one_of_the_plan_too() -> None:
    depot = Depot()
    depot.order()
    assert depot.rest().phase is ReferencePhase.PULSES
    depot.small.plan({"E-1": (0, 0, 0, 0)})
    assert depot.row() == (48_000, -1, True, float("inf"))  # at its own pace, after everybody else
    levels = []
    for _ in range(60):
        level_w = depot.level_w()
        assert level_w is not None
        levels.append(level_w)
        depot.small.session(ONE, power_w=level_w) if not depot.small.yard.grants[ONE].in_session else draw(depot, level_w)
        if depot.look(timedelta(seconds=15)).phase is not ReferencePhase.PULSES:
            break
        assert {limit.value for limit in depot.room.limits(depot.small.clock.at)} == {48_000}
    assert set(levels) == {48_000, 12_000}
    assert (depot.test.phase, depot.level_w()) == (ReferencePhase.CHARGE, 25_000)
    shown = depot.shown()
    assert (shown.phase, shown.limit_w, shown.ends_about is not None) == ("charge", 25_000, True)


def draw(depot: Depot, watts: int) -> None:
    grant = depot.small.yard.grants[ONE]
    grant.told_w = grant.confirmed_w = grant.measured_w = watts
    grant.measured_at_s = depot.small.clock.at.timestamp()


def test_a_lower_limit_of_anybody_stays_above_it() -> None:
    depot = Depot()
    depot.order()
    depot.rest()
    depot.small.yard.pack_share["E-1"] = 0.2
    assert depot.row()[0] == 12_000
    assert "the pulses need" in depot.look(timedelta(seconds=1)).why
    assert depot.level_w() is None


def test_a_trip_breaks_it_off_at_the_next_look() -> None:
    depot = Depot()
    depot.order()
    depot.look()
    depot.small.yard.pack_share["E-1"] = 0.0
    assert depot.look(timedelta(seconds=1)).outcome is ReferenceOutcome.BROKEN_OFF
    assert "may take nothing now" in depot.test.why
    assert depot.small.yard.tested == {}


def test_a_departure_that_comes_nearer_breaks_it_off() -> None:
    depot = Depot()
    depot.order()
    depot.look()
    visit = depot.small.yard.visit_on(ONE)
    assert visit is not None
    depot.small.put(replace(visit.announced, depart_at=NOW + timedelta(hours=3)))
    test = depot.look(timedelta(seconds=1))
    assert (test.outcome, depot.level_w()) == (ReferenceOutcome.BROKEN_OFF, None)
    assert "must be left alone in 2 h 50 min" in test.why


def test_it_is_called_off_by_name_and_a_second_time_is_refused() -> None:
    depot = Depot()
    depot.order()
    assert depot.call_off().status is cmd.CommandStatus.DONE
    assert (depot.test.outcome, depot.test.why) == (ReferenceOutcome.CALLED_OFF, "Arjun: the bus is needed")
    assert depot.facts(ev.ReferenceTestEnded)[0].actor == "Arjun"
    assert depot.level_w() is None
    assert depot.call_off().status is cmd.CommandStatus.REFUSED
    assert depot.order().status is cmd.CommandStatus.DONE


def test_where_nobody_looks_the_limits_are_gone_within_a_minute() -> None:
    depot = Depot()
    depot.order()
    depot.small.clock.at += timedelta(seconds=STALE_S + 1)
    assert depot.level_w() is None
    depot.small.journal.frozen = True
    assert depot.look().phase is ReferencePhase.REST_BEFORE  # nothing is decided that cannot be recorded
    assert depot.level_w() is None


def test_after_a_restart_a_test_under_way_is_broken_off_and_one_that_waits_goes_on() -> None:
    depot = Depot()
    depot.order()
    assert decode_state(encode_state(depot.small.journal.state)).reference_tests == depot.small.journal.state.reference_tests
    again = ReferenceTests(depot.small.yard, depot.small.loop, replan=depot.small.replans.append)
    asyncio.run(again.look())
    assert (depot.test.outcome, depot.test.why) == (ReferenceOutcome.BROKEN_OFF, RESTARTED)
    other = Depot(arrives=False)
    other.order(until=LATER)
    other.room = ReferenceTests(other.small.yard, other.small.loop, replan=other.small.replans.append)
    other.small.arrive(ONE, "E-1", kwh=60, hours=9)
    assert other.look().phase is ReferencePhase.REST_BEFORE


def test_its_facts_come_back_from_their_bytes() -> None:
    codec = EventCodec()
    for fact in (
        ev.ReferenceTestOrdered("t", "E-1", LATER, 0.5, 3, "yearly"),
        ev.ReferenceTestBegan("t", "E-1", "v", TWO, 25_000, 10_000, 40_000),
        ev.ReferenceTestPhaseBegan("t", "E-1", ReferencePhase.CHARGE),
        ev.ReferenceTestEnded("t", "E-1", ReferenceOutcome.BROKEN_OFF, "the vehicle left", 60),
    ):
        assert codec.decode(fact.TYPE, fact.VERSION, codec.encode(fact)) == fact


def test_a_vehicle_that_is_taken_out_of_the_registry_ends_its_test() -> None:
    depot = Depot()
    depot.order()
    depot.small.put(ev.VehicleRemoved("E-1"))
    asyncio.run(depot.room.look())
    assert depot.small.yard.state.reference_tests == {}
    assert depot.small.yard.tested == {}
    assert depot.level_w() is None


def test_facts_of_another_test_move_nothing() -> None:
    depot = Depot()
    depot.order()
    before = depot.test
    depot.small.put(
        ev.ReferenceTestEnded("another", "E-1", ReferenceOutcome.DONE), ev.ReferenceTestPhaseBegan("t", "E-7", ReferencePhase.CHARGE)
    )
    assert depot.test == before


# -- the plan -----------------------------------------------------------------------------------------------------------


def test_the_plan_knows_the_rest_the_steady_rate_and_the_full_battery() -> None:
    depot = Depot()
    depot.order()
    depot.look()
    found = build(
        depot.small.yard, PlanningSettings(ready_margin_min=0), FlatTariff(), depot.small.loop.limits_in_force(), now=NOW, peak_w=0
    )
    assert found is not None
    (vehicle,) = found.problem.vehicles
    assert vehicle.cap_kw is not None
    assert list(vehicle.cap_kw[:2]) == [0.0, 0.0]  # it rests
    full = next(stone for stone in vehicle.milestones if stone.label == FULL)
    assert full.at_least_kwh == pytest.approx(80.0)
    depot.rest()
    depot.room._running["E-1"].course = replace(depot.room._running["E-1"].course, phase=ReferencePhase.CHARGE)
    now = depot.small.clock.at
    found = build(
        depot.small.yard, PlanningSettings(ready_margin_min=0), FlatTariff(), depot.small.loop.limits_in_force(), now=now, peak_w=0
    )
    assert found is not None
    (vehicle,) = found.problem.vehicles
    assert vehicle.cap_kw is not None
    assert max(vehicle.cap_kw) == pytest.approx(25.0)


def test_the_plan_is_asked_to_keep_the_rate_of_the_charge_and_nothing_once_it_is_full() -> None:
    depot = Depot()
    depot.order()
    depot.look()
    assert depot.small.yard.tested["E-1"].pace_w == 25_000
    depot.rest()
    depot.look(timedelta(seconds=1))
    assert depot.test.phase is ReferencePhase.PULSES
    assert depot.small.yard.tested["E-1"].pace_w == depot.test.high_w
    found = build(
        depot.small.yard, PlanningSettings(ready_margin_min=0), FlatTariff(), depot.small.loop.limits_in_force(),
        now=depot.small.clock.at, peak_w=0,
    )  # fmt: skip
    assert found is not None
    (vehicle,) = found.problem.vehicles
    assert [stone.label for stone in vehicle.milestones].count(PACE) >= 4
    running = depot.room._running["E-1"]
    running.course = replace(running.course, phase=ReferencePhase.REST_AFTER, there_since=depot.small.clock.at)
    depot.look(timedelta(seconds=1))
    assert depot.small.yard.tested["E-1"].pace_w == 0


# -- alarms -------------------------------------------------------------------------------------------------------------


def test_a_test_that_is_broken_off_raises_an_alarm_until_the_next_one_or_for_a_week() -> None:
    depot = Depot()
    depot.order()
    depot.look()
    assert depot.room.conditions(depot.small.clock.at) == []
    depot.small.yard.pack_share["E-1"] = 0.0
    depot.look(timedelta(seconds=1))
    (told,) = depot.room.conditions(depot.small.clock.at)
    assert (told.kind, told.subject) == ("reference_test_failed", "E-1")
    assert "was broken off: " in told.title
    assert told.kind in depot.room.kinds & KINDS.keys()
    assert depot.room.conditions(depot.small.clock.at + timedelta(days=8)) == []
    depot.small.yard.pack_share["E-1"] = 1.0
    assert depot.order().status is cmd.CommandStatus.DONE
    assert depot.room.conditions(depot.small.clock.at) == []


def test_a_test_that_never_began_raises_an_alarm_and_one_that_was_called_off_none() -> None:
    depot = Depot(arrives=False)
    depot.order(until=LATER)
    depot.look(timedelta(hours=13))
    (told,) = depot.room.conditions(depot.small.clock.at)
    assert "never began: no stay came in which it could begin" in told.title
    other = Depot()
    other.order()
    other.call_off()
    assert other.room.conditions(other.small.clock.at) == []
