"""The response to trips: what follows the stop, each step confirmed or escalated; and what a restart finds again.

    Safety --Trip, within the sample--> incident opened, neighbours held at 0 W, evacuation begun      in memory, at once
    look() --> proof of each step --follow()--> ResponseStepChanged; not confirmed: isolation, alarms
    latched trips after a start --> the same again, with the deadline of then

Waits for nothing: what it says goes through :class:`~controller.emergency_desk.EmergencyDesk`. The stop itself, Inoperative and the
default of 0 W are :mod:`controller.isolation`'s, contactors :mod:`controller.outputs`'.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from msgspec import Struct

from bms_bridge.verdicts import Trip
from controller import safety_rules
from controller.alarms import Condition
from controller.emergency_desk import EmergencyDesk
from controller.evacuation_view import BayToClear
from controller.neighbours import ByName, Neighbour, Neighbours
from controller.output_areas import Areas
from controller.output_sight import FRESH_S, NOTHING_A, current_a, is_dead
from controller.reached import Reached
from controller.response import Response
from controller.response_steps import STEPS, Proof, StepName, follow, needed
from controller.room import Carrier, Viewer
from controller.safety import Safety
from depot import commands as cmd
from depot import events as ev
from depot.emergency import Incident, StepState
from depot.outputs import Area, Level
from depot.registry import DepotSpec
from depot.values import ConnectorId, PackKey

log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
MESSAGES_S: Final = 2.0
BELATED: Final = timedelta(hours=1)
"""A trip that is older when it is found after a start sends nobody out any more: its time is over, people know."""


class OutputsSight(Protocol):
    """What outputs know: :class:`controller.response_sight.OutputsOf`."""

    def isolated(self, area: Area) -> Proof: ...
    def warned(self, area: Area, response: Response) -> Proof: ...
    def isolation_limit_s(self, area: Area) -> float: ...


class Evacuations(Protocol):
    """Who sends people out: :class:`controller.evacuation_room.EvacuationRoom`."""

    minutes: float

    def begin(self, evacuation_id: str, area: Area, reason: str, *, by: str = "", since: datetime | None = None) -> None: ...


Open = Callable[..., str]
"""Opens an incident's file; its number. Keywords: cause, text, evidence, pack, area, connector, since."""


@dataclass(slots=True)
class _Case:
    """A tripped pack with its incident. ``area``: its bay when it tripped; None: it stood on no charger."""

    incident_id: str
    began: datetime
    area: Area | None
    connectors: tuple[ConnectorId, ...]


class ResponseRoom:
    """``outputs`` None: this depot has none. ``cut_off``: latch the isolation of a bay. ``fresh_s``: how old a charger's meter
    value may be."""

    kinds: frozenset[str] = frozenset({"response_failed"})

    def __init__(
        self,
        desk: EmergencyDesk,
        safety: Safety,
        evacuations: Evacuations,
        *,
        open_incident: Open,
        reached: Reached,
        outputs: OutputsSight | None = None,
        neighbours: Neighbours | None = None,
        cut_off: Callable[[Area, str], None] = lambda _area, _why: None,
        fresh_s: float = FRESH_S,
    ) -> None:
        self.desk, self._safety, self._cut, self._evacuations = desk, safety, safety.cut, evacuations
        self._yard = desk.yard
        self._open, self._reached, self._outputs, self._cut_off = open_incident, reached, outputs, cut_off
        self._fresh_s = fresh_s
        self._neighbours = neighbours if neighbours is not None else ByName()
        self._cases: dict[PackKey, _Case] = {}
        self._built: tuple[DepotSpec, Areas] = (self._yard.spec, Areas(self._yard.spec, ()))
        self.commands: Mapping[type[cmd.Command], Carrier] = {}
        self.views: Mapping[type[Struct], Viewer] = {}
        safety.on_trip.append(self.tripped)
        safety.on_worse.append(self.worsened)
        safety.on_reset.append(self.reset)
        self._remember()

    def _remember(self) -> None:
        """After a start: what was found worse is so, and every latched trip has its incident."""
        for pack, causes in self.desk.book.worse.items():
            for cause in causes:
                self._safety.worsen(pack, cause, told=False)
        for pack in self._safety.guard.tripped:
            trip = self._safety.guard.trip_of(pack)
            if trip is not None:
                self.tripped(trip, self._safety.where(pack))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.desk.run(), name="emergency facts")
            tasks.create_task(self._watch_messages(), name="emergency messages")
            while True:
                self.look()
                await self._yard.clock.sleep(LOOK_S)

    async def _watch_messages(self) -> None:
        """Whether anybody was reached, while it matters."""
        while True:
            if self._cases:
                await self._reached.look(min(case.began for case in self._cases.values()))
            await asyncio.sleep(MESSAGES_S)  # real time: another process is watched

    # -- what comes from safety, within the sample ------------------------------------------------------------------

    def tripped(self, trip: Trip, connectors: Sequence[ConnectorId]) -> None:
        """A pack tripped, or is found tripped after a start."""
        pack = trip.pack
        known = self.desk.book.incident_of(pack)
        area = self._bay(connectors[0]) if connectors else None
        since = self._safety.guard.since(pack) or self._yard.clock.now()
        if known is None:
            text = safety_rules.cause_words(trip.cause.value, trip.evidence)
            number = self._open(
                cause=trip.cause.value, text=text, evidence=trip.evidence, pack=pack, area=area,
                connector=connectors[0] if connectors else None,
            )  # fmt: skip
        else:
            number, since, area = known.incident_id, known.opened_at, area or known.area
        self._cases[pack] = _Case(number, since, area, tuple(connectors))
        self._answer(pack, f"{pack}: {safety_rules.cause_words(trip.cause.value, trip.evidence)}")

    def worsened(self, pack: PackKey, cause: str, text: str) -> None:
        """More was found at a tripped pack."""
        self.desk.put(ev.TripWorsened(pack, cause, text[:200]))
        case = self._cases.get(pack)
        if case is not None:
            case.began = self._yard.clock.now()
        self._answer(pack, f"{pack}: {text}")

    def reset(self, pack: PackKey) -> None:
        """A person reset it; the facts of that are safety's."""
        self.desk.book = self.desk.book.better(pack)
        self._cases.pop(pack, None)
        self._hold()

    def _answer(self, pack: PackKey, text: str) -> None:
        """What acts at once beside the stop."""
        case, response = self._cases.get(pack), self._safety.response_of(pack)
        if case is None:
            return
        if response.neighbours:
            self._hold()
        told = (one for one in self.desk.book.evacuations.values() if not one.drill)
        ended = any(one.ended_at is not None and one.ended_at >= case.began for one in told)  # by a person who knew of this pack
        fresh = self._yard.clock.now() - case.began < BELATED
        if response.evacuates and case.area is not None and fresh and not ended:
            self._evacuations.begin(case.incident_id, case.area, text, since=case.began)

    # -- neighbours -------------------------------------------------------------------------------------------------

    @property
    def _areas(self) -> Areas:
        """The areas of the depot as it is built now."""
        if self._built[0] is not self._yard.spec:
            self._built = (self._yard.spec, Areas(self._yard.spec, ()))
        return self._built[1]

    def _bay(self, key: ConnectorId) -> Area | None:
        return self._areas.bay_of(key.station_id)

    def beside(self) -> list[tuple[Area, Neighbour]]:
        """Each burning bay with the bays beside it."""
        areas = self._areas
        bays = [area.area_id for area in areas.everything() if area.level is Level.BAY]
        found = []
        for pack, case in self._cases.items():
            if case.area is not None and self._safety.response_of(pack).neighbours:
                found += [(case.area, neighbour) for neighbour in self._neighbours.of(case.area.area_id, bays)]
        return found

    def _hold(self) -> None:
        """Neighbours' connectors stop charging, and nothing starts there until the battery is reset."""
        areas = self._areas
        held = {
            key: f"{area} beside it is in danger"
            for area, neighbour in self.beside()
            for key in areas.connectors(Area(Level.BAY, neighbour.bay))
            if key in self._yard.grants
        }
        self._cut.hold_for("neighbours", held)

    def clear(self) -> list[BayToClear]:
        """Bays beside the burning ones, for the page."""
        now = self._yard.clock.now()
        areas = self._areas
        return [
            BayToClear(
                bay=neighbour.bay, of=area.area_id, from_min=neighbour.from_min, to_min=neighbour.to_min,
                stopped=is_dead(self._yard, areas, Area(Level.BAY, neighbour.bay), now, self._fresh_s),
            )
            for area, neighbour in self.beside()
        ]  # fmt: skip

    # -- steps ------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Time went on: what is confirmed, what is not and must be escalated."""
        now = self._yard.clock.now()
        self._find()
        self._hold()
        for pack, case in self._cases.items():
            incident = self.desk.book.incidents.get(case.incident_id)
            if incident is not None and incident.closed_at is None:
                self._step_on(pack, case, incident, now)

    def _find(self) -> None:
        """A tripped pack that stood on no charger may have been plugged in since: what its place asks for begins then."""
        for pack, case in self._cases.items():
            if case.area is None and (keys := self._safety.where(pack)):
                case.connectors, case.area, case.began = tuple(keys), self._bay(keys[0]), self._yard.clock.now()
                self._answer(pack, f"{pack} is tripped, and stands on {keys[0]} now")

    def _step_on(self, pack: PackKey, case: _Case, incident: Incident, now: datetime) -> None:
        response = self._safety.response_of(pack)
        for step in STEPS:
            if not needed(step, response):
                continue
            known = incident.steps.get(step)
            told = follow(
                known, self._proof(step, pack, case, incident, response), began=case.began, limit_s=self._limit_s(step, case), now=now
            )
            if told.state is not (known.state if known is not None else StepState.WAITING):
                if told.state is StepState.ESCALATED:
                    log.error("%s: %s not confirmed: %s; %s", incident.incident_id, STEPS[step].title, told.detail, STEPS[step].then)
                    self._escalate(step, case, told.detail)
                fact = ev.ResponseStepChanged(incident.incident_id, step.value, told.state, told.detail[:200], told.took_s)
                self.desk.put(fact)

    def _limit_s(self, step: StepName, case: _Case) -> float:
        if step is StepName.EVACUATION:
            return self._evacuations.minutes * 60
        if step is StepName.ISOLATION and self._outputs is not None and case.area is not None:
            return max(STEPS[step].limit_s, self._outputs.isolation_limit_s(case.area))
        return STEPS[step].limit_s

    def _proof(self, step: StepName, pack: PackKey, case: _Case, incident: Incident, response: Response) -> Proof:
        match step:
            case StepName.STOP:
                return self._stopped(case)
            case StepName.OUT_OF_SERVICE:
                return self._shut(case)
            case StepName.ISOLATION | StepName.WARNING:
                if case.area is None:
                    return Proof(None, "it stands on no charger of this depot")
                if self._outputs is None:
                    return Proof(None, "this depot has no outputs")
                return self._outputs.isolated(case.area) if step is StepName.ISOLATION else self._outputs.warned(case.area, response)
            case StepName.NEIGHBOURS:
                return self._neighbours_stopped(case)
            case StepName.EVACUATION:
                return self._all_seen(incident)
        return self._reached.of({f"pack_tripped:{pack}", incident.incident_id}, case.began)

    def _stopped(self, case: _Case) -> Proof:
        if not case.connectors:
            return Proof(None, "it stands on no charger of this depot")
        yard, now = self._yard, self._yard.clock.now()
        for key in case.connectors:
            if yard.state.transaction_on(key) is not None:
                grant = yard.grants[key]
                drawn = "" if grant.measured_w is None else f", {grant.measured_w / 1000:.1f} kW"
                gone = "" if yard.connected(key.station_id) else "; its charger is offline"
                return Proof(False, f"the session on {key} goes on{drawn}{gone}")
            amperes = current_a(yard, key, now, self._fresh_s)
            if amperes is None or amperes >= NOTHING_A:
                return Proof(False, f"the session on {key} has ended, and current may still flow")
        return Proof(True, "no session runs, no power is metered")

    def _shut(self, case: _Case) -> Proof:
        if not case.connectors:
            return Proof(None, "it stands on no charger of this depot")
        shut = self._safety.isolation.shut
        waiting = [key for key in case.connectors if key in shut and not shut[key].inoperative.done]
        if not waiting:
            return Proof(True, "confirmed by the charger")
        offline = not self._yard.connected(waiting[0].station_id)
        return Proof(False, f"{waiting[0]} {'is offline' if offline else 'has not confirmed it'}")

    def _neighbours_stopped(self, case: _Case) -> Proof:
        if case.area is None:
            return Proof(None, "it stands on no charger of this depot")
        going = self._going_on(case)
        beside = [neighbour.bay for area, neighbour in self.beside() if area == case.area]
        if not beside:
            return Proof(None, "no bay stands beside it")
        if going:
            return Proof(False, f"{', '.join(str(area) for area in going)} may still draw power")
        return Proof(True, f"nothing flows in {', '.join(beside)}")

    def _going_on(self, case: _Case) -> list[Area]:
        areas, now = self._areas, self._yard.clock.now()
        bays = [Area(Level.BAY, neighbour.bay) for area, neighbour in self.beside() if area == case.area]
        return [bay for bay in bays if not is_dead(self._yard, areas, bay, now, self._fresh_s)]

    def _all_seen(self, incident: Incident) -> Proof:
        book = self.desk.book
        evacuation = book.evacuations.get(incident.incident_id) or book.evacuation()
        if evacuation is None:
            return Proof(None, "nobody was sent out: it stands on no charger, or tripped long before it was found")
        if not evacuation.expected:
            return Proof(None, "nobody was on the list of the shift: count people by yourself")
        missing = evacuation.not_seen
        if missing:
            return Proof(False, f"{len(missing)} of {len(evacuation.expected)} not seen")
        return Proof(True, f"all {len(evacuation.expected)} seen")

    def _escalate(self, step: StepName, case: _Case, words: str) -> None:
        """A charger that goes on is cut: latched, as whatever widens (ADR 0020)."""
        if step is StepName.STOP and case.area is not None:
            self._cut_off(case.area, words)
        elif step is StepName.NEIGHBOURS:
            for bay in self._going_on(case):
                self._cut_off(bay, f"beside {case.area}, and it goes on")

    # -- alarms -----------------------------------------------------------------------------------------------------

    def conditions(self, now: datetime) -> Sequence[Condition]:
        """Steps that were not confirmed in their time and still are not."""
        found = []
        for pack, case in self._cases.items():
            incident = self.desk.book.incidents.get(case.incident_id)
            for step in STEPS:
                told = incident.steps.get(step) if incident is not None else None
                if told is None or told.state is not StepState.ESCALATED or step is StepName.EVACUATION:
                    continue
                kind = STEPS[step]
                action = f"{told.detail}; {kind.then}."
                found.append(
                    Condition(
                        "response_failed", f"{pack} {step}", f"{pack}: not confirmed: {kind.title[0].lower()}{kind.title[1:]}", action
                    )
                )
        return found
