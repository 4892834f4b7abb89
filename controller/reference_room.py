"""The room of reference tests: a manager orders one, the programme runs it by limits of the connector, every step is a fact.

    OrderReferenceTest --> facts --> look() once a second: Seen --advanced()--> Course --> limits of the connector, facts
                                      limits() --> limiter and plan;  step_limits() --> the limiter alone (the low powers of the pulses)

It tells no charger anything. Its limits are some among others: the least of all binds, so that a site's limit, safety, and others'
needs stay above it. Where nobody looks any more the limits are gone within :data:`STALE_S`, and the vehicle charges as planned. A test
that ran when the controller ended is broken off at the next start.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct
from uuid6 import uuid7

from controller import reference_sight as sight
from controller.alarms import Condition
from controller.loop import ControlLoop
from controller.reference_programme import REST_S, TAPER_S, Course, Recipe, advanced, begun, hours, left_s, recipe_for, steps_of
from controller.reference_view import ReferenceTestView
from controller.room import Carrier, Viewer
from controller.wishes import Tested
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.reference_tests import ReferenceOutcome, ReferencePhase, ReferenceTest
from depot.state import Visit
from depot.values import ConnectorId, InvalidValue, Limit, LimitSource, ScopeKind, UnknownThing

LOOK_S, IDLE_LOOK_S = 1.0, 10.0
STALE_S: Final = 60.0
LONGEST: Final = timedelta(days=31)
TOLD_FOR: Final = timedelta(days=7)
"""So long the alarm of a test that came to nothing stands, where no other one is ordered."""

LEAST_SOC, MOST_SOC = 0.05, 0.9
PULSES: Final = range(3, 11)
SOURCE: Final = "reference tests"
RESTARTED: Final = "the controller was started anew"

_PHASES = {
    ReferencePhase.REST_BEFORE: "rests before its pulses",
    ReferencePhase.PULSES: "pulses",
    ReferencePhase.CHARGE: "charges to full at one rate",
    ReferencePhase.REST_AFTER: "is full and rests",
}
_ENDS = {
    ReferenceOutcome.DONE: "is done; the health job judges its charge",
    ReferenceOutcome.BROKEN_OFF: "was broken off",
    ReferenceOutcome.CALLED_OFF: "was called off",
    ReferenceOutcome.EXPIRED: "never began",
}


@dataclass(slots=True)
class _Running:
    """A test under way. ``lacks``: what its battery lacked at the last look."""

    recipe: Recipe
    course: Course
    lacks: sight.Lacking | None = None


class ReferenceTests:
    """The room, and who raises the alarm of tests that came to nothing. ``refuses``: why this depot runs none, "" where it does.
    ``unjudged``: why the result of a vehicle's test could not be judged, "" where it can."""

    kinds: frozenset[str] = frozenset({"reference_test_failed"})

    def __init__(self, yard: Yard, loop: ControlLoop, *, replan: Callable[[str], None]) -> None:
        self._yard, self._loop, self._replan = yard, loop, replan
        self.refuses = ""
        self.unjudged: Callable[[str], Awaitable[str]] = _judged
        self._running: dict[str, _Running] = {}
        self._waits: dict[str, str] = {}
        self._judged: set[str] = set()
        self._looked_at: datetime | None = None
        self._lock = asyncio.Lock()
        self.commands: Mapping[type[cmd.Command], Carrier] = {cmd.OrderReferenceTest: self._order, cmd.CallOffReferenceTest: self._call_off}
        self.views: Mapping[type[Struct], Viewer] = {ReferenceTestView: self._show}
        loop.limit_sources[SOURCE] = self.limits
        loop.soft_sources[SOURCE] = self.step_limits

    async def run(self) -> None:
        """Look every second while a test is open, until cancelled."""
        while True:
            busy = bool(self._running or self._open())
            await self._yard.clock.sleep(LOOK_S if busy else IDLE_LOOK_S)
            if self._running or self._open():
                await self.look()
            else:
                self._looked_at = self._yard.clock.now()

    # -- one look ------------------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Advance what runs, begin what can, end what is over."""
        yard, now = self._yard, self._yard.clock.now()
        if yard.journal.frozen:
            return
        async with self._lock:
            facts: list[ev.NewEvent] = []
            tests = self._open()
            for gone in self._running.keys() - {test.vehicle_id for test in tests}:  # its vehicle was taken out of the registry
                self._forget(gone)
            for test in tests:
                running = self._running.get(test.vehicle_id)
                if running is not None:
                    facts += self._advance(test, running, now)
                elif test.runs:
                    facts.append(_ended(test, ReferenceOutcome.BROKEN_OFF, RESTARTED, now))
                elif now >= test.until:
                    waited = self._waits.pop(test.vehicle_id, "the vehicle did not come")
                    facts.append(_ended(test, ReferenceOutcome.EXPIRED, f"no stay came in which it could begin; at last: {waited}", now))
                else:
                    facts += self._try(test, now)
            self._judged = {visit.visit_id for visit in yard.present_visits().values()}
            self._looked_at = now
            if facts:
                await yard.journal.append(facts)
                self._loop.wake()
                self._replan("reference test")

    def _advance(self, test: ReferenceTest, running: _Running, now: datetime) -> list[ev.NewEvent]:
        yard, before = self._yard, running.course
        place = sight.place_of(yard, test.vehicle_id)
        if place is not None:
            running.lacks = sight.lacking(yard, *place, running.lacks)
        course = running.course = advanced(running.recipe, before, sight.seen(yard, test, running.lacks, now))
        if course.over:
            self._forget(test.vehicle_id)
            return [_ended(test, course.outcome, course.why, now, held_back_s=course.held_back_s)]
        self._tell_yard(test.vehicle_id, running)
        if course.limit_w != before.limit_w:
            self._loop.wake()
        if course.phase is before.phase:
            return []
        return [ev.NewEvent(ev.ReferenceTestPhaseBegan(test.test_id, test.vehicle_id, course.phase), now)]

    def _try(self, test: ReferenceTest, now: datetime) -> list[ev.NewEvent]:
        found = self._possible(test, now)
        if isinstance(found, str):
            self._waits[test.vehicle_id] = found
            return []
        return [self._begin(test, *found, now)]

    def _possible(self, test: ReferenceTest, now: datetime) -> tuple[ConnectorId, Visit, Recipe] | str:
        """Where it begins, and how; or what it waits for."""
        found = sight.offered(self._yard, test, now)
        if isinstance(found, str):
            return found
        key, visit, offer = found
        recipe = recipe_for(offer)
        return recipe if isinstance(recipe, str) else (key, visit, recipe)

    def _begin(self, test: ReferenceTest, key: ConnectorId, visit: Visit, recipe: Recipe, now: datetime) -> ev.NewEvent:
        running = _Running(recipe, begun(recipe, now), sight.lacking(self._yard, key, visit, None))
        self._running[test.vehicle_id] = running
        self._waits.pop(test.vehicle_id, None)
        self._tell_yard(test.vehicle_id, running)
        powers = (recipe.rate_w, recipe.low_w, recipe.high_w)
        return ev.NewEvent(ev.ReferenceTestBegan(test.test_id, test.vehicle_id, visit.visit_id, key, *powers), now)

    def _tell_yard(self, vehicle_id: str, running: _Running) -> None:
        place = sight.place_of(self._yard, vehicle_id)
        lacks_wh = None
        if running.course.phase is not ReferencePhase.REST_AFTER and running.lacks is not None and place is not None:
            lacks_wh = round(running.lacks.wh * place[1].announced.efficiency)
        phase, recipe = running.course.phase, running.recipe
        own_pace = phase in (ReferencePhase.PULSES, ReferencePhase.CHARGE)
        pace_w = recipe.high_w if phase is ReferencePhase.PULSES else recipe.rate_w
        tested = Tested(lacks_wh, round((REST_S + TAPER_S) / 60), own_pace=own_pace, pace_w=0 if lacks_wh is None else pace_w)
        self._yard.tested[vehicle_id] = tested

    def _forget(self, vehicle_id: str) -> None:
        self._running.pop(vehicle_id, None)
        self._waits.pop(vehicle_id, None)
        self._yard.tested.pop(vehicle_id, None)
        self._loop.wake()

    def _open(self) -> list[ReferenceTest]:
        return [test for test in self._yard.state.reference_tests.values() if test.open]

    # -- limits --------------------------------------------------------------------------------------------------------

    def limits(self, now: datetime) -> Sequence[Limit]:
        """What the tests allow their connectors, now and after a rest: for limiter and plan. Nothing where nobody looked for a minute."""
        if not self._alive(now):
            return ()
        found: list[Limit] = []
        for test in self._open():
            running = self._running.get(test.vehicle_id)
            if running is not None and test.connector is not None:
                found += self._limits_of(test, test.connector, running, now)
            elif test.phase is ReferencePhase.WAITING:
                found += self._first(test, now)
        return found

    def step_limits(self, now: datetime) -> Sequence[Limit]:
        """The powers of the pulses, for the limiter alone: a plan is made of means."""
        if not self._alive(now):
            return ()
        pulsing = [
            (test, running)
            for test in self._open()
            if (running := self._running.get(test.vehicle_id)) is not None and running.course.phase is ReferencePhase.PULSES
        ]
        return [
            self._limit(test, test.connector, running.course.limit_w, now, name="step")
            for test, running in pulsing
            if test.connector is not None
        ]

    def _limits_of(self, test: ReferenceTest, key: ConnectorId, running: _Running, now: datetime) -> list[Limit]:
        course, recipe = running.course, running.recipe
        match course.phase:
            case ReferencePhase.PULSES:
                return [self._limit(test, key, recipe.high_w, now)]
            case ReferencePhase.CHARGE:
                return [self._limit(test, key, recipe.rate_w, now)]
            case ReferencePhase.REST_BEFORE | ReferencePhase.REST_AFTER:
                until = max((course.there_since or now) + timedelta(seconds=REST_S), now + timedelta(seconds=2 * STALE_S))
                rest = replace(self._limit(test, key, 0, now), until=until)
                if course.phase is ReferencePhase.REST_AFTER:
                    return [rest]
                return [rest, replace(self._limit(test, key, recipe.rate_w, now, name="after"), from_=until)]
        return []

    def _first(self, test: ReferenceTest, now: datetime) -> list[Limit]:
        """A vehicle that has just been plugged in begins nothing before it was looked at: a session that cannot pause cannot be tested."""
        place = sight.place_of(self._yard, test.vehicle_id)
        if place is None or place[1].visit_id in self._judged or self._yard.grants[place[0]].in_session:
            return []
        return [self._limit(test, place[0], 0, now)]

    def _limit(self, test: ReferenceTest, key: ConnectorId, drawn_w: int, now: datetime, *, name: str = "now") -> Limit:
        """Of the connector, as a level: a vehicle on fewer phases draws a part of it."""
        level_w = math.floor(drawn_w / self._yard.phase_share.get(key, 1.0))
        since = min(test.phase_at, now)
        words = f"reference test of {test.vehicle_id}"
        return Limit(
            f"reference-test:{key}:{name}", ScopeKind.CONNECTOR, level_w, LimitSource.REFERENCE_TEST, since, scope_id=str(key),
            set_by=test.by, reason=words,
        )  # fmt: skip

    def _alive(self, now: datetime) -> bool:
        return self._looked_at is not None and (now - self._looked_at).total_seconds() <= STALE_S

    # -- alarms --------------------------------------------------------------------------------------------------------

    def conditions(self, now: datetime) -> Sequence[Condition]:
        """Tests that were broken off or never began: until another one of their vehicle, for a week at most."""
        nothing = (ReferenceOutcome.BROKEN_OFF, ReferenceOutcome.EXPIRED)
        return [
            Condition(
                "reference_test_failed", test.vehicle_id, f"The reference test of {test.vehicle_id} {_ENDS[test.outcome]}: {test.why}"
            )
            for test in self._yard.state.reference_tests.values()
            if test.outcome in nothing and test.ended_at is not None and now - test.ended_at <= TOLD_FOR
        ]

    # -- commands ------------------------------------------------------------------------------------------------------

    async def _order(self, command: cmd.OrderReferenceTest, cause: ev.Envelope) -> tuple[CommandStatus, str]:
        yard, now = self._yard, self._yard.clock.now()
        until = command.until
        self._check(command, now)
        unjudged = "" if self.refuses else await self.unjudged(command.vehicle_id)
        async with self._lock:
            why = self._why_not(command.vehicle_id)
            if why or unjudged:
                raise InvalidValue(why or f"its result could not be judged: {unjudged}")
            test_id = str(uuid7())
            ordered = ev.ReferenceTestOrdered(
                test_id, command.vehicle_id, until or now + timedelta(minutes=1), command.most_soc, command.pulses, command.reason
            )
            test = ReferenceTest(
                test_id, command.vehicle_id, command.actor, command.reason, now, ordered.until, command.most_soc, command.pulses,
                ReferencePhase.WAITING, now,
            )  # fmt: skip
            found = self._possible(test, now)
            if isinstance(found, str) and until is None:
                raise InvalidValue(f"it cannot begin now: {found}. Let it wait for a stay in which it can")
            facts: list[ev.Event] = [ordered]
            if not isinstance(found, str):
                facts.append(self._begin(test, *found, now).data)
            try:
                await yard.journal.append([ev.NewEvent(fact, now, actor=command.actor, cause_id=cause.id) for fact in facts])
            except BaseException:
                self._forget(command.vehicle_id)
                raise
            self._looked_at = now
        self._loop.wake()
        self._replan("reference test")
        if isinstance(found, str):
            self._waits[command.vehicle_id] = found
            return CommandStatus.DONE, f"it waits until {self._clock(ordered.until)}, because {found}"
        _, _, recipe = found
        ends = now + timedelta(seconds=self._left_s(command.vehicle_id, yard.state.reference_tests[command.vehicle_id], now))
        return CommandStatus.DONE, f"it rests now, then charges at {recipe.rate_w / 1000:.1f} kW; it ends about {self._clock(ends)}"

    def _check(self, command: cmd.OrderReferenceTest, now: datetime) -> None:
        if not command.reason.strip():
            raise InvalidValue("say why: the vehicle is not free for hours")
        if not LEAST_SOC <= command.most_soc <= MOST_SOC:
            raise InvalidValue(f"most_soc must be within {LEAST_SOC:g} and {MOST_SOC:g}: a charge from higher tells too little")
        if command.pulses not in PULSES:
            raise InvalidValue(f"pulses must be {PULSES.start} to {PULSES.stop - 1}")
        if command.until is not None and not now < command.until <= now + LONGEST:
            raise InvalidValue(f"until must be a time within the coming {LONGEST.days} days")

    def _why_not(self, vehicle_id: str) -> str:
        """Why none can be ordered for it; "": one can."""
        if self.refuses:
            return self.refuses
        state = self._yard.state
        stays = [visit for visit in state.visits.values() if visit.announced.vehicle_id == vehicle_id]
        if vehicle_id not in state.vehicles and not stays:
            return f"no vehicle {vehicle_id} is registered or announced"
        registered = state.vehicles.get(vehicle_id)
        if not (registered is not None and registered.battery_wh) and not any(visit.announced.battery_wh for visit in stays):
            return f"the size of the battery of {vehicle_id} is not known: enter it in the registry"
        test = state.reference_tests.get(vehicle_id)
        return f"a test of {vehicle_id} is open already: call it off first" if test is not None and test.open else ""

    async def _call_off(self, command: cmd.CallOffReferenceTest, cause: ev.Envelope) -> tuple[CommandStatus, str]:
        test = self._yard.state.reference_tests.get(command.vehicle_id)
        if test is None or not test.open:
            raise UnknownThing(f"no test of {command.vehicle_id} is open")
        now = self._yard.clock.now()
        words = f"{command.actor}: {command.reason}" if command.reason.strip() else command.actor
        ended = replace(_ended(test, ReferenceOutcome.CALLED_OFF, words, now), actor=command.actor, cause_id=cause.id)
        async with self._lock:
            await self._yard.journal.append([ended])
            self._forget(command.vehicle_id)
        self._replan("reference test")
        return CommandStatus.DONE, f"{command.vehicle_id} charges as planned again"

    # -- views ---------------------------------------------------------------------------------------------------------

    async def _show(self, args: Mapping[str, str]) -> ReferenceTestView:
        vehicle_id = args.get("vehicle_id", "")
        if not vehicle_id:
            raise InvalidValue("which vehicle? give vehicle_id")
        now, test = self._yard.clock.now(), self._yard.state.reference_tests.get(vehicle_id)
        why = self._why_not(vehicle_id)
        if test is None:
            return ReferenceTestView(at=now, vehicle_id=vehicle_id, able=not why, why_not=why, phase="", words="None was ordered yet.")
        running = self._running.get(vehicle_id)
        ends = now + timedelta(seconds=self._left_s(vehicle_id, test, now)) if running is not None else None
        return ReferenceTestView(
            at=now,
            vehicle_id=vehicle_id,
            able=not why,
            why_not=why,
            phase=test.phase.value,
            words=self._words(test, running),
            ordered_by=test.by,
            ordered_at=test.ordered_at,
            reason=test.reason,
            until=test.until,
            most_soc=test.most_soc,
            pulses=test.pulses,
            connector="" if test.connector is None else str(test.connector),
            began_at=test.began_at,
            phase_at=test.phase_at,
            ends_about=ends,
            step=running.course.step if running is not None else 0,
            steps=steps_of(test.pulses),
            rate_w=test.rate_w,
            low_w=test.low_w,
            high_w=test.high_w,
            limit_w=running.course.limit_w if running is not None else None,
            outcome=test.outcome.value,
            why=test.why,
            ended_at=test.ended_at,
        )

    def _words(self, test: ReferenceTest, running: _Running | None) -> str:
        if test.phase is ReferencePhase.OVER:
            said = f"The test {_ENDS.get(test.outcome, 'is over')}"
            return f"{said}: {test.why}." if test.why else f"{said}."
        if test.phase is ReferencePhase.WAITING:
            waits = self._waits.get(test.vehicle_id, "it was not looked at yet")
            return f"The test waits until {self._clock(test.until)}, because {waits}."
        if running is None:
            return "The test is broken off at the next look."
        lasted_s = (self._yard.clock.now() - test.phase_at).total_seconds()
        step = f", {running.course.step} of {steps_of(test.pulses)} powers held" if test.phase is ReferencePhase.PULSES else ""
        return f"The battery {_PHASES[test.phase]}, for {hours(lasted_s)} now{step}."

    def _left_s(self, vehicle_id: str, test: ReferenceTest, now: datetime) -> float:
        running = self._running.get(vehicle_id)
        if running is None:
            return 0.0
        return left_s(running.recipe, running.course, sight.seen(self._yard, test, running.lacks, now))

    def _clock(self, at: datetime) -> str:
        return f"{at.astimezone(ZoneInfo(self._yard.spec.timezone)):%d %b %H:%M}"


async def _judged(_vehicle_id: str) -> str:
    return ""


def _ended(test: ReferenceTest, outcome: ReferenceOutcome, why: str, now: datetime, *, held_back_s: float = 0.0) -> ev.NewEvent:
    return ev.NewEvent(ev.ReferenceTestEnded(test.test_id, test.vehicle_id, outcome, why, round(held_back_s)), now)
