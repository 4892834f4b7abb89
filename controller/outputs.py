"""Outputs in the core: contactors, ventilation, siren, beacon and emergency isolation, driven by the safety path.

    a tripped battery's bay ----+
    IsolateArea, by a person ---+--> look(): want, follow, widen (pure) --> orders of the modules, connectors that are cut
    read-backs of the modules --+                                      --> latch file, then facts, alarms

What isolates acts first and is written down after (invariant 4): first sessions are stopped by their chargers, a contactor opens
when the current has fallen or after its time-out, air and warnings come at once. A command that is not confirmed isolates the
next wider area. Waits for no planner, no database, no web. A named person resets; a restart does not.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from msgspec import Struct

from controller import output_rules as rules
from controller.loop import ControlLoop
from controller.output_areas import Areas
from controller.output_cut import Cut
from controller.output_latches import IsolationFile
from controller.output_rules import TESTED, Proof, Seen, Track, Want
from controller.output_sight import FRESH_S, bays_in, behind, is_dead
from controller.output_trial import Trial
from controller.response import UNKNOWN, Response
from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.outputs import Area, Isolated, Origin, OutputKind, OutputSpec
from depot.ports import JournalFrozen
from depot.registry import DepotSpec
from depot.values import ConnectorId, PackKey, Role, UnknownThing

log = logging.getLogger(__name__)

LOOK_S: Final = 0.25
DEAD_S: Final = 3.0
"""Without a look of the safety path for so long, the modules' watchdogs are not kept alive any more."""

WRITE_AGAIN_S: Final = 1.0
RESETTERS: Final = frozenset({Role.SAFETY_OFFICER, Role.ADMIN})


class Sighted(Protocol):
    """What a module knows of one of its outputs; see :class:`grid.output_module.Sight`."""

    @property
    def reads(self) -> bool | None: ...
    @property
    def read_s(self) -> float: ...
    @property
    def written_s(self) -> float: ...
    @property
    def refused(self) -> str: ...


class Module(Protocol):
    """An I/O module; see :class:`grid.output_module.OutputModule`."""

    @property
    def sights(self) -> Mapping[str, Sighted]: ...
    def poke(self) -> None: ...


@dataclass(frozen=True, slots=True)
class OutputParts:
    """What the room is made of. ``safety_looks``: a count that goes up while the guard of the batteries lives. ``steady``: real
    monotonic seconds, by which relays move, whatever depot time does; ``speed``: depot seconds in one of them. ``response``: what is
    done about a tripped pack. ``cut``: who holds connectors, where others hold some, too; None: a room's own."""

    outputs: Sequence[OutputSpec]
    latches: IsolationFile
    restore: Callable[[ConnectorId], None]
    replan: Callable[[str], None] = lambda _why: None
    safety_looks: Callable[[], int] = lambda: 0
    safety_period_s: float = math.inf
    steady: Callable[[], float] = time.monotonic
    speed: float = 1.0
    look_s: float = LOOK_S
    response: Callable[[PackKey], Response] = lambda _pack: UNKNOWN
    cut: Cut | None = None


class Outputs:
    """The room. ``tracks``, ``latched``, ``problems`` and ``unwritten`` are for the screens; ``views`` is filled by who builds them.
    :meth:`attach` the modules before it runs."""

    def __init__(self, yard: Yard, loop: ControlLoop, parts: OutputParts) -> None:
        self.yard = yard
        self.parts = parts
        self.views: dict[type[Struct], Viewer] = {}
        self.commands: Mapping[type[cmd.Command], Carrier] = {
            cmd.IsolateArea: self._isolate,
            cmd.ResetArea: self._reset,
            cmd.TestOutput: self._test,
        }
        self.urgent: Mapping[type[cmd.Command], Callable[[cmd.Command], bool]] = {cmd.IsolateArea: self._at_once}
        self.latched: dict[Area, Isolated] = {}
        self.tracks: dict[str, Track] = {}
        self.wants: dict[str, Want] = {}
        self.seen: dict[str, Seen] = {}
        self.unwritten = ""
        self.problems: list[str] = list(parts.latches.problems)
        self._specs = {output.output_id: output for output in parts.outputs}
        self._modules: dict[str, Module] = {}
        self._cut = parts.cut or Cut(yard, loop, parts.restore)
        self._areas: tuple[DepotSpec | None, Areas] = (None, Areas(yard.spec, ()))
        self.alarmed: Callable[[], Mapping[Area, str]] = dict
        """Areas that people leave, and why: air and warnings act there, nothing is cut for it."""
        self._trips: dict[Area, Isolated] = {}
        self._warned: dict[Area, tuple[Isolated, frozenset[OutputKind]]] = {}
        self._asked_s: dict[Area, float] = {}
        self._testing: set[str] = set()
        self._moved: set[str] = set()
        self._resetting: set[Area] = set()
        self._facts: deque[ev.NewEvent] = deque()
        self._put = asyncio.Event()
        self._stepped = asyncio.Event()
        self._looked_s = self._safety_s = -math.inf
        self._safety_looks = -1
        self._remember()

    def _remember(self) -> None:
        """After a start: what file or journal says is isolated, is."""
        file, book = self.parts.latches.isolated, self.yard.state.outputs.isolated
        self.latched = {**book, **file}
        for area in book.keys() - file.keys():
            self.problems.append(f"{area}: the journal says it is isolated, {self.parts.latches.path.name} does not")
        for area in file.keys() - book.keys():
            self._record_isolated(file[area])
        for area in self.latched:
            if not self.areas.exists(area):
                self.problems.append(f"{area} is isolated, and this depot has no such area any more: look at its contactors")

    def attach(self, modules: Mapping[str, Module]) -> None:
        """The module of each output, by the output's id."""
        self._modules = dict(modules)

    @property
    def areas(self) -> Areas:
        """The areas of the depot as it is built now."""
        if self._areas[0] is not self.yard.spec:
            self._areas = (self.yard.spec, Areas(self.yard.spec, tuple(self._specs.values())))
        return self._areas[1]

    @property
    def demands(self) -> Mapping[Area, Isolated]:
        """All areas that shall be isolated now: latched ones, and bays of batteries whose trip asks for it."""
        return {**self._trips, **self.latched}

    # -- lifetime -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:

            def spawn(work: object, name: str) -> None:
                tasks.create_task(work, name=name)  # type: ignore[arg-type]  # a coroutine without a result

            if self.parts.cut is None:
                self._cut.spawn = spawn
            tasks.create_task(self._write_latches(), name="isolation latches")
            tasks.create_task(self._record(), name="output facts")
            while True:
                self.look()
                await asyncio.sleep(self.parts.look_s)

    def alive(self) -> bool:
        """Whether the safety path lives: this room looks, and so does the guard of the batteries. Nothing is sent to a module
        otherwise, so that its watchdog drops its coils out."""
        now_s = self.parts.steady()
        safety = now_s - self._safety_s < max(DEAD_S, 3 * self.parts.safety_period_s) or self.parts.safety_period_s == math.inf
        return now_s - self._looked_s < DEAD_S and safety

    def order(self, output_id: str) -> bool | None:
        """Whether an output shall be in its emergency state; None: leave it as it is. So are one that waits for its current (after a
        restart it may be open already) and one that must not close by itself, until its read-back was seen once."""
        track = self.tracks.get(output_id)
        spec = self._specs[output_id]
        if track is not None and track.active and not track.commanded:
            return None
        first_seen = spec.recloses or not spec.kind.isolates or (output_id in self.seen and self.seen[output_id].reads is not None)
        if track is None or not (first_seen or track.commanded):
            return None
        return track.commanded

    def look(self) -> None:
        """Decide anew. Called every look, at each trip, and with each read-back."""
        now, now_s = self.yard.clock.now(), self.parts.steady()
        self._looked_s = now_s
        looks = self.parts.safety_looks()
        if looks != self._safety_looks:
            self._safety_looks, self._safety_s = looks, now_s
        self._follow_trips(now)
        self.seen = {output_id: self._see(spec, now, now_s) for output_id, spec in self._specs.items()}
        while True:
            self._follow(now)
            dead = self.dead(now)
            new = rules.widen(self.areas, self.demands, self.tracks, dead, now)
            new += rules.dropped(self.areas, self.demands, self.tracks, self.seen, now)
            if not new:
                break
            for entry in new:
                self._latch(entry)
        self._hold()
        self._stepped.set()
        self._stepped = asyncio.Event()

    def _follow_trips(self, now: datetime) -> None:
        trips: dict[Area, Isolated] = {}
        warned: dict[Area, tuple[Isolated, frozenset[OutputKind]]] = {}
        for key, pack in self.yard.isolated.items():
            bay = self.areas.bay_of(key.station_id)
            if bay is None:
                continue
            response = self.parts.response(pack)
            entry = Isolated(bay, now, Origin.TRIP, f"{pack} is tripped", "controller")
            if response.isolates:
                trips.setdefault(bay, self._trips.get(bay) or entry)
            else:
                before = self._warned[bay][0] if bay in self._warned else entry
                warned[bay] = (before, response.moves | (warned[bay][1] if bay in warned else frozenset()))
        for area, why in self.alarmed().items():
            before = self._warned[area][0] if area in self._warned else Isolated(area, now, Origin.PERSON, why, "controller")
            warned[area] = (before, rules.WARNINGS)
        self._trips, self._warned = trips, warned

    def _follow(self, now: datetime) -> None:
        """One step of every output."""
        demands, moved = self.demands, False
        for output_id, spec in self._specs.items():
            wanted = rules.want(self.areas, spec, demands, now, warned=self._warned, tested=output_id in self._testing)
            before = self.tracks.get(output_id, Track())
            after = rules.follow(spec, before, wanted, self.seen[output_id])
            self.wants[output_id], self.tracks[output_id] = wanted, after
            if after.commanded is not before.commanded:
                moved = True
                if (module := self._modules.get(output_id)) is not None:
                    module.poke()
            self._tell(spec, before, after, wanted)
        if moved:
            self.parts.replan("an output moved")

    def _tell(self, spec: OutputSpec, before: Track, after: Track, wanted: Want) -> None:
        """Facts of what became of an output in an emergency, and after it; a test has its own."""
        if spec.output_id in self._testing or wanted.reason == TESTED:
            return
        if after.commanded:
            self._moved.add(spec.output_id)
        came = after.proof is not Proof.AWAITED and (after.proof is not before.proof or after.told_s != before.told_s)
        if not came or spec.output_id not in self._moved:
            return
        if not after.commanded and after.proof is not Proof.FAILED:
            self._moved.discard(spec.output_id)
        words = rules.word(spec, after.commanded)
        if after.proof is Proof.FAILED:
            log.error("output %s: %s not confirmed: %s", spec.output_id, words, after.why)
        self._add(ev.OutputMoved(spec.output_id, words, after.proof.value, (after.why or wanted.reason)[:200]))

    def _hold(self) -> None:
        """Connectors of latched areas, and of contactors under test."""
        held: dict[ConnectorId, str] = {}
        for area, entry in self.latched.items():
            for key in self.areas.connectors(area):
                held.setdefault(key, f"{area} is isolated: {entry.reason}" if entry.reason else f"{area} is isolated")
        tested = {
            key: f"{self._specs[output_id].title} is tested"
            for output_id in self._testing
            if self._specs[output_id].kind.isolates
            for key in self.areas.connectors(self._specs[output_id].area)
        }
        self._cut.hold({key: words for key, words in held.items() if key in self.yard.grants}, tested)

    # -- what is seen -------------------------------------------------------------------------------------------

    def _see(self, spec: OutputSpec, now: datetime, now_s: float) -> Seen:
        module = self._modules.get(spec.output_id)
        sight = module.sights[spec.output_id] if module is not None else None
        seen = Seen(now_s) if sight is None else Seen(now_s, sight.reads, sight.read_s, sight.written_s)
        if not spec.kind.isolates:
            return seen
        amperes, flows = behind(self.yard, self.areas, spec, now, FRESH_S * self.parts.speed)
        return replace(seen, current_a=amperes, flows=flows)

    def dead(self, now: datetime) -> rules.Dead:
        """For each bay that shall be isolated: whether it is known that no current flows."""
        now_s, fresh_s, bays = self.parts.steady(), FRESH_S * self.parts.speed, bays_in(self.areas, self.demands)
        self._asked_s = {bay: self._asked_s.get(bay, now_s) for bay in bays}
        late = {bay for bay, asked_s in self._asked_s.items() if now_s - asked_s >= rules.BY_CHARGER_S}
        return {bay: is_dead(self.yard, self.areas, bay, now, fresh_s) or (False if bay in late else None) for bay in bays}

    def refusal(self, output_id: str) -> str:
        """What an output's module has against its requests; empty: nothing."""
        module = self._modules.get(output_id)
        return module.sights[output_id].refused if module is not None else ""

    # -- latches and facts --------------------------------------------------------------------------------------

    def cut_off(self, area: Area, why: str) -> None:
        """Isolate an area because what was told to stop in it goes on: at once, latched, a person resets it."""
        if area not in self.latched and self.areas.exists(area):
            self._latch(Isolated(area, self.yard.clock.now(), Origin.NOT_STOPPED, why[:200], "controller"))
            self.look()

    def _latch(self, entry: Isolated) -> None:
        """In memory, at once; file and journal follow."""
        self.latched[entry.area] = entry
        log.error("%s is isolated (%s): %s", entry.area, entry.origin, entry.reason)
        self._record_isolated(entry)

    def _record_isolated(self, entry: Isolated) -> None:
        self._facts.append(
            ev.NewEvent(ev.AreaIsolated(entry.area, entry.origin, entry.reason, entry.by), entry.since, actor=entry.by or "controller")
        )
        self._put.set()

    def _add(self, event: ev.Event) -> None:
        self._facts.append(ev.NewEvent(event, self.yard.clock.now()))
        self._put.set()

    def unsaved(self) -> list[Isolated]:
        """What is isolated and not on the disk yet."""
        return [entry for area, entry in self.latched.items() if area not in self.parts.latches.isolated and area not in self._resetting]

    async def _write_latches(self) -> None:
        while True:
            stepped = self._stepped
            try:
                for entry in self.unsaved():
                    await asyncio.to_thread(self.parts.latches.isolate, entry)
                self.unwritten = ""
            except OSError as error:
                if not self.unwritten:
                    log.error("isolations cannot be written down: %s", error)
                self.unwritten = error.strerror or str(error)
                await asyncio.sleep(WRITE_AGAIN_S)
            await stepped.wait()

    async def _record(self) -> None:
        """Facts in their order, for as long as the journal takes."""
        while True:
            await self._put.wait()
            self._put.clear()
            waiting = list(self._facts)
            self._facts.clear()
            if waiting:
                await self.yard.journal.append(waiting)

    # -- commands -----------------------------------------------------------------------------------------------

    def _at_once(self, command: cmd.Command) -> bool:
        """Before the request is journaled: nothing waits for a disk."""
        assert isinstance(command, cmd.IsolateArea)
        area = command.area
        if not self.areas.exists(area):
            return False
        self._resetting.discard(area)
        if area not in self.latched:
            self._latch(Isolated(area, self.yard.clock.now(), Origin.PERSON, command.reason, command.actor))
            self.look()
        return True

    async def _isolate(self, command: cmd.IsolateArea, _cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        area = command.area
        if not self._at_once(command):
            raise UnknownThing(f"there is no {area} in this depot")
        await self._until(lambda: area in self.parts.latches.isolated, 2.0)
        cuts = ", ".join(output.title for output in self.areas.cutting(area)) or "no contactor of its own"
        words = f"{area} is isolated: its sessions are stopped, then it is cut ({cuts})"
        if self.unwritten:
            words += f"; it is not on the disk yet ({self.unwritten}), so do not restart now"
        return cmd.CommandStatus.DONE, words

    async def _reset(self, command: cmd.ResetArea, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        area = command.area
        if command.role not in RESETTERS:
            return cmd.CommandStatus.REFUSED, "an isolation is reset by a safety officer or an admin"
        if area in self._trips and area not in self.latched:
            return cmd.CommandStatus.REFUSED, f"{self._trips[area].reason}: reset the battery, then {area} is free"
        if self.yard.journal.frozen:
            raise JournalFrozen("a reset must be recorded, and the journal cannot write")
        now = self.yard.clock.now()
        against = rules.against_reset(self.areas, area, self.demands, self.tracks, self.dead(now))
        if against:
            return cmd.CommandStatus.REFUSED, against
        self._resetting.add(area)
        try:
            if area in self.parts.latches.isolated:
                who, role, why = command.actor, command.role.value, command.reason
                await asyncio.to_thread(self.parts.latches.reset, area, now, person=who, role=role, reason=why)
            fact = ev.AreaReset(area, command.actor, command.role.value, command.reason)
            await self.yard.journal.append([ev.NewEvent(fact, now, actor=cause.actor, cause_id=cause.id)])
            if area not in self._resetting:  # isolated anew meanwhile
                self._record_isolated(self.latched[area])
                return cmd.CommandStatus.FAILED, f"{area} was isolated again meanwhile, and stays so"
            del self.latched[area]
        except OSError as error:
            return cmd.CommandStatus.FAILED, f"{area} stays isolated: the file cannot be written ({error.strerror})"
        finally:
            self._resetting.discard(area)
        self.look()
        self.parts.replan(f"{area} was reset")
        left = [str(other) for other in self.demands if self.areas.touches(other, area)]
        more = f"; still isolated: {', '.join(left)}" if left else "; its contactors close, and it may charge again"
        return cmd.CommandStatus.DONE, f"{area} is reset{more}"

    async def _test(self, command: cmd.TestOutput, _cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        spec = self._specs.get(command.output_id)
        if spec is None:
            raise UnknownThing(f"there is no output {command.output_id} in this depot")
        against = self._against_test(spec)
        if against:
            return cmd.CommandStatus.REFUSED, against

        def switch(on: bool) -> None:
            (self._testing.add if on else self._testing.discard)(spec.output_id)
            self.look()

        verdict = await Trial(spec, self.tracks, lambda: self._demanded(spec), switch, self._until).run()
        if not verdict.overtaken:
            self._add(ev.OutputTested(spec.output_id, verdict.passed, verdict.result, command.actor))
        return (cmd.CommandStatus.DONE if verdict.passed else cmd.CommandStatus.FAILED), f"{spec.title}: {verdict.result}"

    def _against_test(self, spec: OutputSpec) -> str:
        if spec.output_id in self._testing:
            return f"{spec.title} is being tested already"
        if self._demanded(spec):
            return f"{spec.title} is in its emergency state: {self.wants[spec.output_id].reason}"
        if spec.kind.isolates:
            for key in self.areas.connectors(spec.area):
                if self.yard.grants[key].in_session or self.yard.state.transaction_on(key) is not None:
                    return f"a session runs on {key}: a contactor is tested without load"
        return ""

    def _demanded(self, spec: OutputSpec) -> bool:
        return rules.want(self.areas, spec, self.demands, self.yard.clock.now(), warned=self._warned).active

    async def _until(self, done: Callable[[], bool], within_s: float) -> None:
        """Wait for the look after which it is so, but no longer."""
        try:
            async with asyncio.timeout(within_s):
                while not done():
                    await self._stepped.wait()
        except TimeoutError:
            return


def kinds_of(outputs: Sequence[OutputSpec]) -> str:
    """For the log: ``2 contactors, 1 siren``."""
    counts = {kind: sum(output.kind is kind for output in outputs) for kind in OutputKind}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
