"""Drills: the chain tested with a synthetic pack, by a person or weekly; recorded link by link, with times, for an auditor.

    StartDrill, or its hour --> guard -> latch -> table -> chargers -> outputs -> messages marked DRILL -> roll-call -> incident file
    a real trip --> the drill ends at once, overtaken

The synthetic pack is judged by a guard of its own with the same rules and limits and a latch file of its own on the same disk, so
that a drill can neither trip a vehicle nor leave a latch behind. No session is stopped, no charger is shut: chargers are asked for a
meter value, which shows that a call reaches them. Siren, beacon and ventilation act for the seconds of their own test; contactors
only where the drill was asked to, and no session runs behind them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from bms_bridge.chemistry import Chemistry
from bms_bridge.contract import PackSample, Source
from bms_bridge.guard import Guard
from bms_bridge.latches import LatchFile
from bms_bridge.verdicts import Trip, Verdict
from controller import drill as rules
from controller.alarms import Condition
from controller.drill_view import DrillRow, DrillsView, LinkRow
from controller.emergency_desk import EmergencyDesk
from controller.evacuation_room import EvacuationRoom
from controller.incident_room import IncidentRoom
from controller.loop import ControlLoop
from controller.output_areas import bay_of
from controller.reached import Reached
from controller.response import Class, response_of
from controller.room import Carrier, Viewer
from depot import commands as cmd
from depot import events as ev
from depot.emergency import Drill, DrillLink, DrillState, LinkState
from depot.outputs import SITE, OutputSpec
from depot.values import ConnectorId, Outcome, PackKey

log = logging.getLogger(__name__)

LOOK_S: Final = 5.0
CHARGERS_S: Final = 15.0
MESSAGE_S: Final = 60.0
POLL_S: Final = 1.0
NAMED_MOST: Final = 5


@dataclass(frozen=True, slots=True)
class DrillParts:
    """What the room is made of. ``outputs``: of the depot. ``test``: test one of them, as a person would. ``telemetry``: whether the
    broker is reached; None: there is none. ``latches``: the drill's own latch file. ``tripped``: packs that are now. ``steady``: real
    monotonic seconds, for times of links."""

    latches: Path
    outputs: Callable[[], Sequence[OutputSpec]]
    test: Callable[[str], Awaitable[cmd.CommandResult]]
    telemetry: Callable[[], bool | None]
    tripped: Callable[[], Sequence[PackKey]]
    reached: Reached
    schedule: rules.Schedule | None = None
    steady: Callable[[], float] = time.monotonic
    message_s: float = MESSAGE_S
    poll_s: float = POLL_S


class DrillRoom:
    """See the module."""

    kinds: frozenset[str] = frozenset({"drill_failed", "drill_overdue"})

    def __init__(
        self, desk: EmergencyDesk, loop: ControlLoop, evacuations: EvacuationRoom, incidents: IncidentRoom, parts: DrillParts
    ) -> None:
        self.desk, self.parts = desk, parts
        self._yard, self._loop, self._evacuations, self._incidents = desk.yard, loop, evacuations, incidents
        self._zone = ZoneInfo(desk.yard.spec.timezone)
        self._links: list[DrillLink] = []
        self._task: asyncio.Task[None] | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._ending: DrillState | None = None
        self._began = self._yard.clock.now()
        self.next_at = rules.next_at(parts.schedule, self._began, self._zone) if parts.schedule is not None else None
        evacuations.on_begin.append(self.overtaken)
        self.commands: Mapping[type[cmd.Command], Carrier] = {cmd.StartDrill: self._start_by_hand, cmd.StopDrill: self._stop}
        self.views: Mapping[type[Struct], Viewer] = {DrillsView: self._view}

    @property
    def running(self) -> Drill | None:
        return next((drill for drill in self.desk.book.drills.values() if drill.state is DrillState.RUNNING), None)

    async def run(self) -> None:
        """Follow the calendar until cancelled."""
        if (left := self.running) is not None:
            await self._end(left.drill_id, DrillState.INTERRUPTED, "the controller was restarted")
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            while True:
                self._follow_calendar()
                await self._yard.clock.sleep(LOOK_S)

    def _follow_calendar(self) -> None:
        schedule, now = self.parts.schedule, self._yard.clock.now()
        if schedule is None or self.next_at is None or now < self.next_at:
            return
        self.next_at = rules.next_at(schedule, now, self._zone)
        if against := self.against_start():
            log.warning("the weekly drill is left out: %s", against)
            return
        self._start("calendar", contactors=schedule.contactors, roll_call=schedule.roll_call)

    # -- begun, ended -------------------------------------------------------------------------------------------------

    def against_start(self) -> str:
        """What speaks against a drill now; empty: nothing."""
        state = self._yard.state
        return rules.against(
            tripped=self.parts.tripped(),
            evacuating=self.desk.book.evacuation() is not None,
            running=self.running is not None,
            frozen=self._yard.journal.frozen,
            named_so=rules.PACK in state.packs or rules.PACK.vehicle_id in state.vehicles,
        )

    async def _start_by_hand(self, command: cmd.StartDrill, _cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        if against := self.against_start():
            return cmd.CommandStatus.REFUSED, against
        number = self._start(command.actor, contactors=command.contactors, roll_call=True)
        return cmd.CommandStatus.DONE, f"drill {number} has begun: the roll-call waits for everybody on shift"

    def _start(self, by: str, *, contactors: bool, roll_call: bool) -> str:
        assert self._tasks is not None, "the room runs"
        number = self._incidents.open(cause="drill", text="drill: a synthetic pack", pack=rules.PACK, drill=True)
        self.desk.put(ev.DrillBegun(number, by, contactors), actor=by)
        self._links, self._ending = [], None
        self._task = self._tasks.create_task(self._play(number, contactors=contactors, roll_call=roll_call), name=f"drill {number}")
        return number

    async def _stop(self, command: cmd.StopDrill, _cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        if self.running is None or self._task is None:
            return cmd.CommandStatus.REFUSED, "no drill is under way"
        self._ending = DrillState.STOPPED
        task = self._task
        task.cancel()
        await asyncio.wait([task])
        return cmd.CommandStatus.DONE, f"the drill was stopped by {command.actor}"

    def tripped(self, _trip: Trip, _where: Sequence[ConnectorId]) -> None:
        """A real trip."""
        self.overtaken()

    def overtaken(self) -> None:
        """Something real has happened: it wins at once."""
        if self._task is not None and not self._task.done() and self._ending is None:
            self._ending = DrillState.OVERTAKEN
            self._task.cancel()

    async def _play(self, number: str, *, contactors: bool, roll_call: bool) -> None:
        try:
            await self._chain(number, contactors=contactors, roll_call=roll_call)
        except asyncio.CancelledError:
            if self._ending is None:
                raise  # the core ends: its next start says that the drill was interrupted
            await self._end(number, self._ending, f"{self._ending}")
        except Exception:
            log.exception("drill %s failed by our own mistake", number)
            self._link("guard", LinkState.FAILED, "a mistake of the controller: see its log")
            await self._end(number, DrillState.FAILED, "failed")
        else:
            await self._end(number, rules.verdict(self._links), "over")

    async def _end(self, number: str, state: DrillState, words: str) -> None:
        self._evacuations.end_drill(words)
        rows = [{"name": link.name, "title": rules.LINKS.get(link.name, link.name), "state": link.state.value, "words": link.words,
                 "took_s": link.took_s} for link in self._links]  # fmt: skip
        self._incidents.tell(number, {"kind": "links", "state": state.value, "links": rows})
        await self.desk.put_durably(ev.DrillEnded(number, state, tuple(self._links)), actor="controller")
        with suppress(OSError, KeyError):  # an alarm tells of a disk that cannot be written
            await self._incidents.close(number, person="", role="", reason=f"drill {state}")

    # -- the chain ----------------------------------------------------------------------------------------------------

    async def _chain(self, number: str, *, contactors: bool, roll_call: bool) -> None:
        await self._guard()
        await self._chargers()
        self._telemetry()
        roll = asyncio.ensure_future(self._roll_call(number, roll_call=roll_call))
        told = asyncio.ensure_future(self._messages(number))
        try:
            await self._outputs(contactors=contactors)
            self._links.append(await told)
            self._links.append(await roll)
        finally:
            for task in (told, roll):
                task.cancel()
        began_s = self.parts.steady()
        await self._incidents.flush()
        written = number in self._incidents.present and not self._incidents.unwritten
        words = "its file is on the disk" if written else f"not written: {self._incidents.unwritten}"
        self._link("incident", LinkState.PASSED if written else LinkState.FAILED, words, self.parts.steady() - began_s)

    def _link(self, name: str, state: LinkState, words: str, took_s: float | None = None) -> None:
        self._links.append(DrillLink(name, state, words[:300], None if took_s is None else round(took_s, 4)))

    async def _guard(self) -> None:
        """A guard of its own hears a healthy sample, then a hot one that raises a thermal event."""
        verdicts: list[Verdict] = []
        await asyncio.to_thread(self.parts.latches.unlink, missing_ok=True)
        latches = await asyncio.to_thread(LatchFile.open, self.parts.latches)
        try:
            guard = Guard(latches, clock=self._yard.clock, chemistry_of=lambda _pack: Chemistry.LFP, on_verdict=verdicts.append)
            guard.heard(self._sample((31.0, 30.6, 30.9, 30.4)))
            began_s = self.parts.steady()
            guard.heard(self._sample((74.0, 71.5, 69.8, 70.6), alarms=("thermal_event",)))
            took_s = self.parts.steady() - began_s
            trip = next((verdict for verdict in verdicts if isinstance(verdict, Trip)), None)
            if trip is None:
                self._link("guard", LinkState.FAILED, "a hot sample with a thermal event did not trip", took_s)
                return
            self._link("guard", LinkState.PASSED, f"tripped: {trip.cause}", took_s)
            writer = asyncio.ensure_future(guard.run())
            try:
                async with asyncio.timeout(CHARGERS_S):
                    await guard.written()
                self._link("latch", LinkState.PASSED, "on the disk", self.parts.steady() - began_s)
            except TimeoutError:
                self._link("latch", LinkState.FAILED, f"not on the disk after {CHARGERS_S:g} s")
            finally:
                writer.cancel()
                with suppress(asyncio.CancelledError):
                    await writer
            grade = response_of(trip.cause.value, trip.evidence).grade
            self._link("response", LinkState.PASSED if grade is Class.FIRE else LinkState.FAILED, f"class {grade}")
        finally:
            latches.close()

    def _sample(self, temperatures_c: tuple[float, ...], alarms: tuple[str, ...] = ()) -> PackSample:
        now = self._yard.clock.now()
        return PackSample(
            pack=rules.PACK, source=Source.DRILL, received_at=now, reported_at=now, temperatures_c=temperatures_c, soc=0.5, alarms=alarms
        )

    async def _chargers(self) -> None:
        """Every connected station is asked for a meter value: that a call reaches it, is answered, and how soon."""
        yard, chargers = self._yard, self._loop.chargers
        keys = [yard.connectors_of(s.station_id)[0] for s in yard.spec.stations if chargers.connected(s.station_id) and s.connectors]
        if not yard.spec.stations:
            self._link("chargers", LinkState.NOT_THERE, "this depot has no chargers")
            return
        began_s = self.parts.steady()
        asked = [asyncio.ensure_future(chargers.request_reading(key)) for key in keys]
        done, late = await asyncio.wait(asked, timeout=CHARGERS_S) if asked else (set(), set())
        for task in late:
            task.cancel()
        # one that does not know the message has answered it all the same
        heard = sum(
            not t.cancelled() and t.exception() is None and t.result() in (Outcome.ACCEPTED, Outcome.REFUSED, Outcome.UNSUPPORTED)
            for t in done
        )
        silent = [yard_id for yard_id, task in zip((key.station_id for key in keys), asked, strict=True) if task in late]
        words = f"{heard} of {len(yard.spec.stations)} answered; {len(yard.spec.stations) - len(keys)} offline"
        if silent:
            words += f"; silent: {', '.join(silent[:NAMED_MOST])}"
        self._link(
            "chargers", LinkState.PASSED if heard == len(yard.spec.stations) else LinkState.FAILED, words, self.parts.steady() - began_s
        )

    def _telemetry(self) -> None:
        up = self.parts.telemetry()
        state = LinkState.NOT_THERE if up is None else LinkState.PASSED if up else LinkState.FAILED
        self._link("telemetry", state, {None: "there is no broker", True: "it echoes", False: "it does not echo"}[up])

    async def _outputs(self, *, contactors: bool) -> None:
        found = [output for output in self.parts.outputs() if contactors or not output.kind.isolates]
        left = sum(output.kind.isolates for output in self.parts.outputs()) - sum(output.kind.isolates for output in found)
        if not found:
            self._link("outputs", LinkState.NOT_THERE, f"{left} contactors were not asked for" if left else "this depot has no outputs")
            return
        began_s = self.parts.steady()
        results = await asyncio.gather(*(self.parts.test(output.output_id) for output in found))
        failed = [result.message for result in results if result.status is not cmd.CommandStatus.DONE]
        words = "; ".join(failed[:NAMED_MOST]) or f"{len(found)} there and back"
        if left:
            words += f"; {left} contactors were not asked for"
        self._link("outputs", LinkState.FAILED if failed else LinkState.PASSED, words, self.parts.steady() - began_s)

    async def _messages(self, number: str) -> DrillLink:
        """Every channel delivers a message that says DRILL."""
        began_s, since = self.parts.steady(), self._yard.clock.now()
        title = f"DRILL at {self._yard.spec.name}: this is a test"
        await self.desk.put_durably(ev.DrillNotified(number, title, "No battery is in danger. Answer the roll-call."), actor="controller")
        if self.parts.reached.ledger is None:
            return DrillLink("notification", LinkState.NOT_THERE, "nobody is told: there is no section notify")
        while True:
            await self.parts.reached.look(since)
            fates = self.parts.reached.about({number}, since)
            took_s = self.parts.steady() - began_s
            waiting = sorted({fate.channel for fate in fates if not fate.sent})
            if fates and not waiting:
                channels = ", ".join(sorted({fate.channel for fate in fates}))
                return DrillLink("notification", LinkState.PASSED, f"arrived by {channels}", round(took_s, 3))
            if took_s >= self.parts.message_s:
                why = "; ".join(f"{fate.channel}: {fate.error or 'no answer yet'}" for fate in fates if not fate.sent)
                return DrillLink("notification", LinkState.FAILED, (why or "the notifier took no message")[:300], round(took_s, 3))
            await asyncio.sleep(self.parts.poll_s)  # real time: another process is watched

    async def _roll_call(self, number: str, *, roll_call: bool) -> DrillLink:
        """Everybody on shift is seen before the time is over."""
        if not roll_call:
            return DrillLink("evacuation", LinkState.NOT_THERE, "the settings leave the roll-call out")
        if not self.desk.book.shift:
            return DrillLink("evacuation", LinkState.NOT_THERE, "nobody is on the list of the shift")
        began = self._yard.clock.now()
        spec = self._yard.spec
        area = bay_of(spec.stations[0]) if spec.stations else SITE
        self._evacuations.begin(number, area, "DRILL", by="drill", drill=True)
        while True:
            evacuation = self.desk.book.evacuations.get(number)
            now = self._yard.clock.now()
            if evacuation is None or evacuation.ended_at is not None:
                return DrillLink("evacuation", LinkState.FAILED, "it was ended")
            missing = evacuation.not_seen
            if not missing:
                took_s = (now - began).total_seconds()
                return DrillLink("evacuation", LinkState.PASSED, f"all {len(evacuation.expected)} seen", round(took_s, 1))
            if now >= evacuation.deadline:
                who = ", ".join(person.person_id for person in missing[:NAMED_MOST])
                words = f"{len(missing)} of {len(evacuation.expected)} not seen in time: {who}"
                return DrillLink("evacuation", LinkState.FAILED, words, (now - began).total_seconds())
            await self._yard.clock.sleep(self.parts.poll_s)

    # -- alarms and views ---------------------------------------------------------------------------------------------

    def conditions(self, now: datetime) -> Sequence[Condition]:
        """The last drill failed, or none has passed for long."""
        found = []
        over = [d for d in self.desk.book.drills.values() if d.state in (DrillState.PASSED, DrillState.FAILED)]
        newest = max(over, key=lambda drill: drill.began_at, default=None)
        if newest is not None and newest.state is DrillState.FAILED:
            failed = ", ".join(rules.LINKS.get(link.name, link.name) for link in newest.links if link.state is LinkState.FAILED)
            found.append(Condition("drill_failed", title=f"The last drill failed: {failed}"))
        schedule = self.parts.schedule
        if schedule is not None:
            since = rules.last_passed(self.desk.book.drills) or self._began
            if now - since > schedule.remind:
                found.append(Condition("drill_overdue", title=f"No drill has passed for {(now - since) // timedelta(days=1)} days"))
        return found

    async def _view(self, _: Mapping[str, str]) -> DrillsView:
        running = self.running
        drills = sorted(self.desk.book.drills.values(), key=lambda drill: drill.began_at, reverse=True)
        return DrillsView(
            at=self._yard.clock.now(),
            running=None if running is None else self._row(running, self._links),
            drills=[self._row(drill, drill.links) for drill in drills if drill is not running],
            next_at=self.next_at,
            last_passed=rules.last_passed(self.desk.book.drills),
            against_start=self.against_start(),
        )

    def _row(self, drill: Drill, links: Sequence[DrillLink]) -> DrillRow:
        return DrillRow(
            drill_id=drill.drill_id,
            began_at=drill.began_at,
            ended_at=drill.ended_at,
            by=drill.by,
            state=drill.state.value,
            contactors=drill.contactors,
            links=[
                LinkRow(
                    name=link.name,
                    title=rules.LINKS.get(link.name, link.name),
                    state=link.state.value,
                    words=link.words,
                    took_s=link.took_s,
                )
                for link in links
            ],
            file=drill.drill_id in self._incidents.present,
        )
