"""The room of arranged limits: commands, what then holds, what is recorded and what people are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from small_yard import NOW, ONE, SPEC, THREE, SmallYard, run

from controller import limits
from controller.approvals import loosens
from controller.codec import decode_state, encode_state
from controller.comeback import ComebackSettings
from controller.history import Minute
from controller.limit_book_view import LimitBookView
from controller.limit_room import LimitRoom, OverrideRules
from controller.limit_watch import BASELINE_DAYS, OFTEN, PACE, baseline_w, result_of
from depot import commands as cmd
from depot import events as ev
from depot.fold import fold
from depot.limit_book import DemandEvent, EventChannel, EventPhase, LimitBook, LimitSchedule, Period, Weekly
from depot.smart_charging import ExternalLimit, Step
from depot.state import DepotState
from depot.values import Because, Limit, LimitSource, ScopeKind

HOUR = timedelta(hours=1)
ALLOWED = OverrideRules(allowed=True, most_w=150_000)
_ids = iter(range(10**6))


class House:
    """A small yard with the room in it; commands go through the orders, as in the core."""

    def __init__(self, rules: OverrideRules = ALLOWED, minutes: list[Minute] | None = None) -> None:
        self.world = SmallYard()
        self.room = LimitRoom(
            self.world.yard, self.world.loop, rules=rules, minutes=lambda since: [m for m in minutes or [] if m.at >= since],
            replan=self.world.replans.append,
        )  # fmt: skip
        self.world.orders.carriers |= self.room.commands

    def at(self, moment: timedelta) -> None:
        self.world.clock.at = NOW + moment

    def binds(self, scope_id: str = "") -> Limit | None:
        return limits.binding(self.world.loop.limits_in_force(), scope_id, self.world.clock.now())

    def value(self, scope_id: str = "") -> int | None:
        found = self.binds(scope_id)
        return None if found is None else found.value

    def send(self, kind: type[cmd.Command], **given: object) -> cmd.CommandResult:
        found: list[cmd.CommandResult] = []

        async def go() -> None:
            found.append(
                await self.world.orders.execute(kind(**{"command_id": f"c{next(_ids)}", "actor": "mani", "reason": "why", **given}))
            )  # type: ignore[arg-type]  # the fields by name

        run(go())
        return found[0]

    def view(self) -> LimitBookView:
        found: list[object] = []

        async def ask() -> None:
            found.append(await self.room.views[LimitBookView]({}))

        run(ask())
        assert isinstance(found[0], LimitBookView)
        return found[0]

    def look(self) -> list[ev.Event]:
        before = len(self.world.journal.facts)
        run(self.room.look())
        return [e.data for e in self.world.journal.facts[before:]]

    def manual(self, value_w: int, **more: object) -> cmd.CommandResult:
        return self.send(cmd.SetManualLimit, value_w=value_w, **more)


# -- manual limits ----------------------------------------------------------------------------------------------------


def test_several_manual_limits_hold_at_once_and_are_lifted_one_by_one() -> None:
    house = House()
    house.manual(90_000)
    house.manual(70_000, name="fan repair", until=NOW + HOUR)
    house.manual(40_000, scope_id="A")
    house.manual(20_000, scope_id=str(ONE))
    assert (house.value(), house.value("A"), house.value(str(ONE))) == (70_000, 40_000, 20_000)
    rows = house.view().manual
    assert {(r.scope_id, r.name, r.value_w, r.until) for r in rows} == {
        ("", "", 90_000, None), ("", "fan repair", 70_000, NOW + HOUR), ("A", "", 40_000, None), (str(ONE), "", 20_000, None),
    }  # fmt: skip
    assert house.send(cmd.ClearManualLimit, name="fan repair").status is cmd.CommandStatus.DONE
    assert house.value() == 90_000
    assert "no manual limit is set" in house.send(cmd.ClearManualLimit, name="fan repair").message


def test_the_same_name_again_changes_a_limit() -> None:
    house = House()
    house.manual(90_000, name="x")
    house.manual(95_000, name="x")
    assert (house.value(), len(house.view().manual)) == (95_000, 1)


def test_a_limit_without_an_end_reminds_of_itself() -> None:
    house = House()
    house.manual(90_000)
    house.manual(80_000, name="short", until=NOW + 48 * HOUR)
    house.at(timedelta(hours=23))
    assert list(house.room.conditions(house.world.clock.now())) == []
    house.at(timedelta(hours=24))
    (found,) = house.room.conditions(house.world.clock.now())
    assert (found.kind, found.subject) == ("limit_forgotten", "site")
    assert [r.forgotten for r in house.view().manual] == [False, True]


def test_a_limit_of_a_connector_holds_its_level_and_below_its_least_power_it_is_zero() -> None:
    house = House()
    world = house.world
    world.arrive(ONE, "BUS-1")
    world.session(ONE, power_w=50_000)

    def row() -> tuple[int, bool]:
        rows = world.loop._rows.build(world.clock.now(), {ONE: 50_000}, in_force=world.loop.limits_in_force())
        return next((r.ceiling_w, r.limited) for r in rows if r.key == ONE)

    assert row() == (60_000, False)
    house.manual(20_000, scope_id=str(ONE))
    assert row() == (20_000, True)
    house.manual(5_999, scope_id=str(ONE))
    assert row() == (0, True)
    world.yard.grants[ONE].factor = 2.0
    house.manual(30_000, scope_id=str(ONE))
    assert row() == (15_000, True)  # it draws twice its level


def test_a_limit_of_a_connector_that_comes_within_a_profiles_life_holds_already() -> None:
    house = House()
    once = Period(NOW + timedelta(seconds=170), NOW + HOUR)
    house.send(cmd.SetLimitSchedule, schedule_id="s", value_w=20_000, scope_id=str(ONE), once=once)
    found = limits.of_connectors(house.world.loop.limits_in_force(), now=NOW, life=timedelta(seconds=180))
    assert found == {ONE: 20_000}


def test_the_limiter_brings_a_limited_connector_down_at_once() -> None:
    from controller.allocation import Budget, Move, Row
    from controller.limiter import allocate

    row = Row(ONE, 0, 60_000, 6_000, ceiling_w=20_000, told_w=50_000, bound_w=50_000, session=True, pausable=True, calm=False, limited=True)
    result = allocate([row], site=Budget(10**6, 10**6), feeders=[Budget(10**6, 10**6)])
    assert [(a.move, a.level_w, a.urgent) for a in result.actions] == [(Move.LOWER, 20_000, True)]
    assert result.because == [Because.CONNECTOR]


# -- schedules --------------------------------------------------------------------------------------------------------


def test_a_schedule_binds_in_its_window_is_previewed_and_planned_ahead() -> None:
    house = House()
    window = Weekly((4, 5), 23 * 60, 60)  # Friday and Saturday 23:00 to 01:00, in Pune; it is Friday 22:00
    result = house.send(cmd.SetLimitSchedule, schedule_id="evening", value_w=80_000, weekly=window, reason="letter no. 7")
    assert (result.status, result.message) == (cmd.CommandStatus.DONE, "site limited to 80.0 kW by schedule evening, next Fri 20 Nov 23:00")
    assert house.value() == 200_000
    view = house.view()
    assert [(s.at, s.value_w, s.source) for s in view.ahead if s.scope_id == ""] == [
        (NOW, 200_000, "contract"), (NOW + HOUR, 80_000, "schedule"), (NOW + 3 * HOUR, 200_000, "contract"),
        (NOW + 25 * HOUR, 80_000, "schedule"), (NOW + 27 * HOUR, 200_000, "contract"),
    ]  # fmt: skip
    (row,) = view.schedules
    assert (row.days, row.starts, row.ends, row.next_at, row.reason) == ([4, 5], "23:00", "01:00", NOW + HOUR, "letter no. 7")
    planned = limits.budget(house.world.loop.limits_in_force(), "", now=NOW + HOUR, life=timedelta(minutes=15))
    assert planned.window_w == 80_000  # what planning asks for each slot
    house.at(HOUR)
    assert house.value() == 80_000
    house.at(3 * HOUR)
    assert house.value() == 200_000
    assert house.world.replans


def test_a_schedule_is_replaced_by_its_id_and_removed() -> None:
    house = House()
    for value_w in (80_000, 60_000):
        house.send(cmd.SetLimitSchedule, schedule_id="x", value_w=value_w, once=Period(NOW, NOW + HOUR))
    assert house.value() == 60_000
    house.send(cmd.RemoveLimitSchedule, schedule_id="x")
    assert house.value() == 200_000
    assert house.send(cmd.RemoveLimitSchedule, schedule_id="x").message == "there is no schedule x"


@pytest.mark.parametrize(
    "wrong",
    [
        {"schedule_id": "", "once": Period(NOW, NOW + HOUR)},
        {"schedule_id": "a\nb", "once": Period(NOW, NOW + HOUR)},
        {"scope_id": "C", "once": Period(NOW, NOW + HOUR)},
        {"scope_id": "CP-9/1", "once": Period(NOW, NOW + HOUR)},
        {"once": Period(NOW - 2 * HOUR, NOW)},
        {"once": Period(NOW, NOW + 500 * 24 * HOUR)},
        {"weekly": Weekly((0,), 0, 60, last_day=NOW.date() - timedelta(days=1))},
        {"once": Period(NOW, NOW + HOUR), "reason": " "},
        {},
    ],
)
def test_a_schedule_that_cannot_be_is_refused_and_changes_nothing(wrong: dict[str, object]) -> None:
    house = House()
    assert house.send(cmd.SetLimitSchedule, **{"schedule_id": "x", "value_w": 1_000, **wrong}).status is cmd.CommandStatus.REFUSED
    assert house.world.yard.state.limit_book.schedules == {}


# -- demand-response events ---------------------------------------------------------------------------------------------


def announce(house: House, **more: object) -> cmd.CommandResult:
    given = {"event_id": "e1", "programme": "evening", "starts_at": NOW + HOUR, "ends_at": NOW + 2 * HOUR, "channel": EventChannel.PHONE}
    allowed = {} if "reduction_w" in more else {"limit_w": 90_000}
    return house.send(cmd.AnnounceDemandEvent, **{**given, **allowed, **more})


def test_an_event_lives_from_its_announcement_to_its_measured_result() -> None:
    minutes = [Minute(NOW + HOUR + timedelta(minutes=k), 120_000 if k == 0 else 90_400, 90_000, None, 0) for k in range(60)]
    house = House(minutes=minutes)
    assert announce(house).status is cmd.CommandStatus.DONE
    assert [e.phase for e in house.view().events] == ["announced"]
    house.at(HOUR)
    assert (house.value(), [e.phase for e in house.view().events]) == (90_000, ["active"])
    house.at(2 * HOUR)
    assert house.value() == 200_000
    assert not [e for e in house.look() if isinstance(e, ev.DemandEventMeasured)]  # its last minute is still open
    house.at(2 * HOUR + timedelta(minutes=2))
    (measured,) = [e for e in house.look() if isinstance(e, ev.DemandEventMeasured)]
    assert measured.result.complied is True  # the first minute, in which it comes down, is not held against it
    assert (measured.result.peak_w, measured.result.covered, measured.result.energy_wh) == (120_000, 1.0, 90_893)
    assert not [e for e in house.look() if isinstance(e, ev.DemandEventMeasured)]  # once
    (row,) = house.view().events
    assert (row.phase, row.result is not None and row.result.complied) == ("ended", True)
    assert "is over" in announce(house).message


def test_opting_out_needs_a_reason_ends_the_limit_and_is_kept() -> None:
    house = House()
    announce(house, starts_at=NOW - HOUR)
    assert house.value() == 90_000
    assert house.send(cmd.OptOutOfDemandEvent, event_id="e1", reason="").status is cmd.CommandStatus.REFUSED
    assert house.send(cmd.OptOutOfDemandEvent, event_id="e1", reason="six buses would be late").status is cmd.CommandStatus.DONE
    assert house.value() == 200_000
    (row,) = house.view().events
    assert (row.phase, row.withdrawn_by, row.withdrawn_reason) == ("opted_out", "mani", "six buses would be late")
    announce(house, starts_at=NOW - HOUR)  # taken up again
    assert house.value() == 90_000
    house.send(cmd.CancelDemandEvent, event_id="e1")
    assert [e.phase for e in house.view().events] == ["cancelled"]
    assert "does not hold" in house.send(cmd.CancelDemandEvent, event_id="e1").message
    assert house.send(cmd.CancelDemandEvent, event_id="e2").status is cmd.CommandStatus.REFUSED


def test_a_reduction_counts_from_what_was_measured_on_the_days_before() -> None:
    starts = NOW + HOUR
    minutes = [
        Minute(starts - timedelta(days=day) + timedelta(minutes=k), 100_000 + 10_000 * day, 0, None, 0)
        for day in (3, 2, 1)
        for k in range(60)
    ]
    house = House(minutes=minutes)
    assert announce(house, reduction_w=50_000).status is cmd.CommandStatus.DONE
    (row,) = house.view().events
    assert (row.baseline_w, row.allowed_w) == (120_000, 70_000)
    empty = House()
    assert "say the baseline" in announce(empty, reduction_w=50_000).message
    announce(empty, reduction_w=50_000, baseline_w=80_000)
    assert empty.view().events[0].allowed_w == 30_000


def test_a_baseline_takes_the_newest_days_and_none_with_an_event() -> None:
    starts, ends = NOW, NOW + HOUR
    minutes = [Minute(starts - timedelta(days=d) + timedelta(minutes=k), 1_000 * d, 0, None, 0) for d in range(1, 9) for k in range(60)]
    assert baseline_w(minutes, starts, ends, ()) == sum(range(1, BASELINE_DAYS + 1)) * 1_000 // BASELINE_DAYS
    held = DemandEvent("x", "p", NOW, starts - timedelta(days=1), ends - timedelta(days=1), EventChannel.MAIL, "m", NOW, limit_w=0)
    assert baseline_w(minutes, starts, ends, (held,)) == 4_000
    assert baseline_w(minutes[:60], starts, ends, ()) is None


def test_nobody_claims_what_was_not_measured() -> None:
    event = DemandEvent("x", "p", NOW, NOW, NOW + HOUR, EventChannel.MAIL, "m", NOW, limit_w=50_000)
    calm = [Minute(NOW + timedelta(minutes=k), 40_000, 0, None, 0) for k in range(30)]
    assert result_of(event, calm).complied is None
    assert result_of(event, [*calm, Minute(NOW + timedelta(minutes=30), 60_000, 0, None, 0)]).complied is False
    assert result_of(event, []).covered == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"programme": ""},
        {"event_id": ""},
        {"ends_at": NOW},
        {"starts_at": NOW, "ends_at": NOW + 8 * 24 * HOUR},
        {"limit_w": None},
        {"limit_w": 5, "reduction_w": 5},
        {"starts_at": NOW + 2 * HOUR},
    ],
)
def test_an_event_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    house = House()
    given = {"event_id": "e1", "programme": "p", "starts_at": NOW, "ends_at": NOW + HOUR, "channel": EventChannel.MAIL, "limit_w": 5}
    assert house.send(cmd.AnnounceDemandEvent, **{**given, **wrong}).status is cmd.CommandStatus.REFUSED
    assert house.world.yard.state.limit_book.events == {}


# -- override ---------------------------------------------------------------------------------------------------------


def lift(
    house: House, value_w: int = 120_000, *, minutes: int = 30, sources: tuple[LimitSource, ...] = (LimitSource.MANUAL,)
) -> cmd.CommandResult:
    until = house.world.clock.now() + timedelta(minutes=minutes)
    return house.send(cmd.OverrideLimits, value_w=value_w, until=until, sources=sources, reason="six buses would miss their pull-out")


def test_an_override_holds_for_its_time_is_loud_and_ends_by_itself() -> None:
    house = House()
    house.manual(50_000)
    result = lift(house)
    assert (result.status, house.value()) == (cmd.CommandStatus.DONE, 120_000)
    assert "manual binds now, at 120.0 kW" in result.message
    (loud,) = [c for c in house.room.conditions(NOW) if c.kind == "limits_overridden"]
    assert "six buses" in (loud.title or "")
    view = house.view()
    assert view.override is not None
    assert (view.override.by, view.override.lifts) == ("mani", ["manual:"])
    assert [(s.at, s.value_w) for s in view.ahead if not s.scope_id] == [(NOW, 120_000), (NOW + timedelta(minutes=30), 50_000)]
    house.at(timedelta(minutes=30))
    assert (house.value(), house.view().override, list(house.room.conditions(house.world.clock.now()))) == (50_000, None, [])


def test_an_override_is_not_kept_back_by_the_slow_return() -> None:
    house = House()
    comeback = house.world.loop.comeback
    comeback.settings = ComebackSettings(delay_max_s=120.0, ramp_s=60.0)
    announce(house, starts_at=NOW, limit_w=50_000)
    assert house.value() == 50_000
    house.at(timedelta(seconds=1))
    assert lift(house, sources=(LimitSource.DEMAND_RESPONSE,)).status is cmd.CommandStatus.DONE
    assert house.value() == 120_000
    house.at(timedelta(minutes=31))
    assert house.value() == 50_000
    house.at(HOUR)
    assert house.value() == 50_000
    house.at(2 * HOUR)
    assert house.value() == 50_000  # the event's end, though: slowly


def test_a_person_ends_an_override_before_its_time() -> None:
    house = House()
    house.manual(50_000)
    lift(house)
    house.at(timedelta(minutes=5))
    assert house.send(cmd.EndOverride).status is cmd.CommandStatus.DONE
    assert house.value() == 50_000
    (row,) = house.view().overrides
    assert (row.ended_by, row.ended_at) == ("mani", house.world.clock.now())
    assert house.send(cmd.EndOverride).message == "no override holds"


def test_a_limit_that_is_set_while_an_override_holds_is_obeyed() -> None:
    house = House()
    house.manual(50_000)
    lift(house)
    house.at(timedelta(minutes=1))
    house.manual(30_000, name="smoke")
    assert house.value() == 30_000


def test_what_was_built_and_what_protects_holds_under_an_override() -> None:
    house = House(replace(ALLOWED, most_w=None))
    house.manual(50_000)
    assert lift(house, 10**6).status is cmd.CommandStatus.DONE
    assert house.value() == 200_000  # the contract
    house.world.loop._used = replace(house.world.loop._used, blind=True)
    assert house.value() == 60_000  # the fail-safe limit


@pytest.mark.parametrize(
    ("rules", "given", "words"),
    [
        (OverrideRules(), {}, "allows no override"),
        (ALLOWED, {"sources": (LimitSource.SCADA,)}, "scada are not overridden here"),
        (replace(ALLOWED, sources=(LimitSource.CONTRACT,)), {"sources": (LimitSource.CONTRACT,)}, "contract are not overridden"),
        (ALLOWED, {"sources": (LimitSource.FAILSAFE,)}, "failsafe are not"),
        (ALLOWED, {"minutes": 61}, "within 60 min"),
        (ALLOWED, {"minutes": 0}, "later than now"),
        (ALLOWED, {"value_w": 150_001}, "150.0 kW at most"),
        (ALLOWED, {"value_w": 40_000}, "no limit of manual"),
    ],
)
def test_an_override_that_the_site_does_not_allow_is_refused(rules: OverrideRules, given: dict[str, object], words: str) -> None:
    house = House(rules)
    house.manual(50_000)
    result = lift(house, **given)  # type: ignore[arg-type]  # the fields by name
    assert result.status is cmd.CommandStatus.REFUSED
    assert words in result.message
    assert house.value() == 50_000


def test_one_override_at_a_time() -> None:
    house = House()
    house.manual(50_000)
    lift(house)
    assert "end it before" in lift(house, 130_000).message


def test_settings_that_became_stricter_bind_an_override_that_runs() -> None:
    house = House()
    house.manual(50_000)
    lift(house)
    LimitRoom(house.world.yard, house.world.loop, rules=OverrideRules())  # as after a restart with other settings
    assert house.value() == 50_000
    LimitRoom(house.world.yard, house.world.loop, rules=replace(ALLOWED, most_w=70_000))
    assert house.value() == 70_000


def test_the_utilitys_order_only_where_the_site_says_so_and_not_one_that_came_later() -> None:
    house = House(replace(ALLOWED, sources=(LimitSource.SCADA,)))
    order = Limit("utility", ScopeKind.SITE, 40_000, LimitSource.SCADA, NOW - HOUR)
    house.world.loop.limit_sources["utility"] = lambda _now: (order,)
    assert lift(house, sources=(LimitSource.SCADA,)).status is cmd.CommandStatus.DONE
    assert house.value() == 120_000
    house.world.loop.limit_sources["utility"] = lambda _now: (replace(order, from_=NOW + timedelta(seconds=1)),)
    house.at(timedelta(seconds=1))
    assert house.value() == 40_000


# -- what waits for a second person --------------------------------------------------------------------------------------


def test_only_what_loosens_waits_for_a_second_person() -> None:
    base = {"command_id": "c", "actor": "a", "reason": "r"}
    once = Period(NOW, NOW + HOUR)
    book = LimitBook().with_schedule(LimitSchedule("known", "", 1, "", "", NOW, once=once), NOW)

    def schedule(schedule_id: str) -> cmd.SetLimitSchedule:
        return cmd.SetLimitSchedule(**base, schedule_id=schedule_id, value_w=5, once=once)

    assert not loosens(schedule("new"), None, book)
    assert loosens(schedule("known"), None, book)
    assert loosens(cmd.RemoveLimitSchedule(**base, schedule_id="known"), None, book)
    assert loosens(cmd.OptOutOfDemandEvent(**base, event_id="e"), None, book)


# -- who bound when -----------------------------------------------------------------------------------------------------


def bound(found: list[ev.Event], scope_id: str = "") -> list[tuple[int, str]]:
    return [
        (e.bound.value_w, e.bound.source.value) for e in found if isinstance(e, ev.BindingLimitChanged) and e.bound.scope_id == scope_id
    ]


def test_every_change_of_who_binds_is_recorded_once() -> None:
    house = House()
    assert [e.bound.scope_id for e in house.look() if isinstance(e, ev.BindingLimitChanged)] == ["", "A", "B"]
    assert house.look() == []
    house.manual(50_000)
    assert bound(house.look()) == [(50_000, "manual")]
    fact = house.world.yard.state.limit_book.bound[""]
    assert (fact.set_by, fact.reason, fact.since) == ("mani", "why", NOW)
    house.send(cmd.ClearManualLimit)
    assert bound(house.look()) == [(200_000, "contract")]
    assert house.look() == []


def test_a_connectors_limit_is_recorded_when_it_comes_and_when_it_goes() -> None:
    house = House()
    house.look()
    told = ExternalLimit(THREE.station_id, 1, "EMS", NOW, (Step(NOW, 7_000),), NOW + HOUR)
    house.world.put(ev.ExternalLimitTold(told))
    assert bound(house.look(), str(THREE)) == [(7_000, "external")]
    assert [(s.scope_id, s.value_w, s.source) for s in house.view().connectors] == [(str(THREE), 7_000, "external")]
    house.at(HOUR)
    assert house.look() == [ev.BindingLimitEnded(str(THREE))]
    assert str(THREE) not in house.world.yard.state.limit_book.bound


def test_a_value_that_moves_is_recorded_once_a_minute() -> None:
    house = House()
    house.look()
    ramp = Limit("utility", ScopeKind.SITE, 150_000, LimitSource.SCADA, NOW)
    seen = []
    for second in range(180):
        house.at(timedelta(seconds=second))
        house.world.loop.limit_sources["utility"] = lambda _now, s=second: (replace(ramp, value=150_000 - 100 * s),)  # type: ignore[misc]
        seen += bound(house.look())
    assert [value for value, _ in seen] == [150_000, 144_000, 138_000]


def test_what_comes_and_goes_without_end_is_recorded_at_a_bounded_pace() -> None:
    house = House()
    house.look()
    flips = 0
    for second in range(600):
        house.at(timedelta(seconds=second))
        on = second % 2 == 0
        house.world.loop.limit_sources["x"] = lambda _now, on=on: (Limit("x", ScopeKind.SITE, 9_000, LimitSource.SCADA, NOW),) if on else ()  # type: ignore[misc]
        flips += len(bound(house.look()))
    assert OFTEN - 2 <= flips <= OFTEN + 600 / PACE.total_seconds()


def test_nothing_is_recorded_while_the_journal_is_frozen_and_the_state_is_caught_up_with_after() -> None:
    house = House()
    house.look()
    house.world.journal.frozen = True
    house.world.put(ev.LimitSet(Limit("manual:", ScopeKind.SITE, 50_000, LimitSource.MANUAL, NOW)))
    assert house.look() == []
    house.world.journal.frozen = False
    assert bound(house.look()) == [(50_000, "manual")]


# -- restart ------------------------------------------------------------------------------------------------------------


def test_a_restart_keeps_everything_that_was_arranged() -> None:
    house = House()
    house.manual(150_000)
    house.manual(20_000, scope_id=str(ONE), name="cable")
    house.send(cmd.SetLimitSchedule, schedule_id="s", value_w=80_000, once=Period(NOW, NOW + HOUR))
    announce(house)
    house.send(cmd.OptOutOfDemandEvent, event_id="e1", reason="late")
    announce(house, event_id="e2", starts_at=NOW, limit_w=70_000)
    house.manual(50_000, name="low")
    lift(house, 100_000)
    house.look()
    before = house.view()
    facts = house.world.journal.facts
    again = SmallYard()
    again.journal.state = fold(DepotState(), facts)
    assert again.journal.state == house.world.journal.state
    again.journal.state = decode_state(encode_state(again.journal.state))  # as a snapshot brings it back
    room = LimitRoom(again.yard, again.loop, rules=ALLOWED)
    found: list[object] = []

    async def ask() -> None:
        found.append(await room.views[LimitBookView]({}))

    run(ask())
    assert found == [before]
    assert limits.binding(again.loop.limits_in_force(), "", NOW) == house.binds()
    assert [e.phase(NOW) for e in again.yard.state.limit_book.events.values()] == [EventPhase.OPTED_OUT, EventPhase.ACTIVE]
    run(room.look())
    assert again.yard.state.limit_book.bound == house.world.yard.state.limit_book.bound  # nothing new


def test_limits_that_are_over_are_forgotten() -> None:
    house = House()
    house.manual(90_000, name="short", until=NOW + HOUR)
    house.send(cmd.SetLimitSchedule, schedule_id="old", value_w=80_000, once=Period(NOW, NOW + HOUR))
    house.at(2 * HOUR)
    house.manual(95_000)
    house.send(cmd.SetLimitSchedule, schedule_id="new", value_w=80_000, once=Period(NOW, NOW + 3 * HOUR))
    assert list(house.world.yard.state.limits) == ["manual:"]
    assert list(house.world.yard.state.limit_book.schedules) == ["new"]


def test_the_specification_of_the_small_yard_is_what_these_numbers_assume() -> None:
    assert (SPEC.contract_w, SPEC.failsafe_w) == (200_000, 60_000)
