"""Safety: what the guard of the batteries finds becomes acts at once, and facts after.

    MQTT, chargers' readings --> Guard --Trip-------> stop, Inoperative, default 0, limiter 0   then PackTripped, ConnectorIsolated
                                       --Derate-----> limiter                                   then PackDerated
                                       --BusLost----> a notice (each pack is derated by itself) then TelemetryBusChanged
    ResetPack --> Guard.reset (latch file) --> PackReset, ConnectorAvailabilitySet --> charger

A trip waits for no planner, no database and no web (invariants 4 and 7). It latches in a file of its own; what file and
journal say differently is taken as tripped. The planner, orders and the desk ask :meth:`controller.yard.Yard.unsafe`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from bms_bridge import ResetRefused
from bms_bridge.contract import OWN_UNIT, PackSample, Rejection, RejectReason, Source
from bms_bridge.ect.watch import INNER_OFFSET_K
from bms_bridge.guard import Guard, InThread
from bms_bridge.latches import LatchFile
from bms_bridge.mqtt import Kept, MqttSettings, TelemetryLink
from bms_bridge.ocpp_samples import sample_of
from bms_bridge.validation import Checked
from bms_bridge.verdicts import BusBack, BusLost, Cause, Clear, Derate, Trip, Verdict
from controller import safety_rules as rules
from controller.isolation import Isolation
from controller.loop import ControlLoop
from controller.output_cut import Cut
from controller.pack_charging import PackCharging
from controller.packs import Packs
from controller.response import UNKNOWN, Response, graver, response_of, worse_by
from controller.room import Carrier, Viewer
from controller.room_keeper import RoomKeeper
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.ports import JournalFrozen
from depot.readings import MeterReading
from depot.values import ConnectorId, PackKey

if TYPE_CHECKING:
    from controller.can_room import OnFrames

log = logging.getLogger(__name__)

LOOK_S = 1.0
CURVE_STEP_S = 10.0
CURVE_POINTS = 180
"""Half an hour of temperatures is kept of each pack, for people who want to see how it came."""


@dataclass(frozen=True, slots=True)
class SafetyParts:
    """What the room is made of. ``broker`` None: no vehicle is listened to, chargers are all the same.
    ``restore(connector)``: give it its ordinary default again. ``look_s``, ``pace``: for a clock that runs fast.
    ``inner_offset_k``: how much hotter a cell may be inside than its sensor says. ``keeper``: told of whoever follows what happens
    here, and falls."""

    latches: LatchFile
    packs: Packs
    restore: Callable[[ConnectorId], None]
    replan: Callable[[str], None]
    broker: MqttSettings | None = None
    in_thread: InThread = asyncio.to_thread
    look_s: float = LOOK_S
    pace: float = 1.0
    inner_offset_k: float = INNER_OFFSET_K
    keeper: RoomKeeper | None = None


@dataclass(slots=True)
class Link:
    """The way to the broker, as the screens show it. ``up`` None: not tried yet, or there is none."""

    up: bool | None = None
    reason: str = ""
    since: datetime | None = None


@dataclass(slots=True)
class _Queued:
    """Facts on their way into the journal. ``done`` is told when they are there."""

    facts: list[ev.NewEvent]
    done: asyncio.Future[None] | None = None


@dataclass(slots=True)
class Curve:
    """Temperatures of one pack: (time, hottest, coldest), newest last."""

    points: deque[tuple[datetime, float, float]] = field(default_factory=lambda: deque(maxlen=CURVE_POINTS))


class Safety:
    """The room. ``curves``, ``shares``, ``texts``, ``link``, ``unwritten``, ``missing`` and ``expected`` are for the screens;
    ``views`` is filled by who builds them (:mod:`controller.safety_view`)."""

    def __init__(self, yard: Yard, loop: ControlLoop, parts: SafetyParts) -> None:
        self.yard = yard
        self.parts = parts
        self.keeper = parts.keeper or RoomKeeper(yard.clock)
        self.started_at = yard.clock.now()
        self.link = Link()
        self.bus_lost: str | None = None
        self.unwritten = ""
        self.looks = 0
        """Counts up while the safety path lives."""
        self.expected: frozenset[PackKey] = frozenset()
        self.texts: dict[PackKey, str] = {}
        self.curves: dict[PackKey, Curve] = {}
        self.newest: dict[PackKey, dict[Source, PackSample]] = {}
        """The newest word of each source."""
        self.views: dict[type[Struct], Viewer] = {}
        self.commands: Mapping[type[cmd.Command], Carrier] = {cmd.ResetPack: self._reset}
        self.isolation = Isolation(yard, loop, self.keeper)
        self.cut = Cut(yard, loop, parts.restore)
        """Connectors that are held for other reasons than their own battery; shared by who holds some."""
        self.on_sample: list[Callable[[PackSample], None]] = []
        self.on_trip: list[Callable[[Trip, Sequence[ConnectorId]], None]] = []
        """Who follows up on a trip; called within its sample, after the stop. So is ``on_worse``, with a cause and its words."""
        self.on_worse: list[Callable[[PackKey, str, str], None]] = []
        self.on_reset: list[Callable[[PackKey], None]] = []
        self.against: list[Callable[[], str | None]] = []
        """Who may speak against a reset."""
        self._responses: dict[PackKey, Response] = {}
        self.on_frames: list[OnFrames] = []
        self.on_message: list[Callable[[Kept], None]] = []
        """Who keeps what came over MQTT (and ``on_frames``: over CAN) as it came; called where it is read, as quick as a queue."""
        self._loop = loop
        self.shares: dict[PackKey, float] = {}
        self.watts: dict[PackKey, int | None] = {}
        """The most that each may take at the battery; None: no watts are said."""
        self._spoke: set[PackKey] = set()
        self._queue: deque[_Queued] = deque()
        self._queued = asyncio.Event()
        self._seen_seq = -1
        self.guard = Guard(
            parts.latches,
            clock=yard.clock,
            chemistry_of=parts.packs.chemistry_of,
            on_verdict=self._judged,
            on_danger=self._endangered,
            on_unwritten=self._cannot_write,
            inner_offset_k=parts.inner_offset_k,
            tighter_of=parts.packs.tighter_of,
            facts_of=parts.packs.facts_of,
            charging_of=PackCharging(yard).of,
            pace=parts.pace,
            in_thread=parts.in_thread,
        )
        self.missing: tuple[PackKey, ...] = ()
        self._remember()
        loop.on_ready.append(self.isolation.ready)
        loop.on_reading.append(self._read)

    def _remember(self) -> None:
        """After a start: what was tripped, derated and shut before is so now, whoever of file and journal says it."""
        state = self.yard.state
        for key, facts in state.connectors.items():
            if facts.isolated_by is not None and key in self.yard.spec.connectors:
                self.isolation.add(key, facts.isolated_by, recorded=True)
        self.missing = self.guard.believe_journal(state)
        for pack in self.guard.tripped:
            trip = self.guard.trip_of(pack)
            if trip is not None and pack not in self.missing:
                self._tripped(trip)
        self._look_at_connectors()

    # -- lifetime -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:

            def spawn(work: object, name: str) -> None:
                tasks.create_task(work, name=name)  # type: ignore[arg-type]  # a coroutine without a result

            self.isolation.spawn = self.cut.spawn = spawn
            tasks.create_task(self.guard.run(), name="latches")
            tasks.create_task(self._record(), name="safety facts")
            if self.parts.broker is not None:
                tasks.create_task(self._telemetry(self.parts.broker).run(), name="telemetry")
            while True:
                for _ in self._turns():
                    await asyncio.sleep(0)
                await self.yard.clock.sleep(self.parts.look_s)

    def look(self) -> None:
        """Time went on: silence, chargers that have not confirmed, vehicles that came or went."""
        for _ in self._turns():
            pass

    def _turns(self) -> Iterator[None]:
        if self.yard.state.seq != self._seen_seq:
            self._seen_seq = self.yard.state.seq
            self._look_at_connectors()
            self._expect()
        yield from self.guard.turns()
        self.isolation.look()
        self.looks += 1

    def _telemetry(self, broker: MqttSettings) -> TelemetryLink:
        return TelemetryLink(
            broker,
            depot_id=self.yard.spec.depot_id,
            clock=self.yard.clock,
            known=self.guard.known,
            on_sample=self.hear,
            on_rejected=self.guard.reject,
            on_link=self._linked,
            on_kept=self._kept,
        )

    # -- what comes in ------------------------------------------------------------------------------------------

    def _kept(self, kept: Kept) -> None:
        """A message came; its samples are handed over in their turn, or were overtaken."""
        names = self.guard.pseudonyms
        payload = names.message(kept.payload)
        clean = kept if payload is kept.payload else replace(kept, payload=payload)
        if (topic := names.redact(kept.topic)) != kept.topic and not self.guard.registered(kept.samples[0].pack):
            clean = replace(clean, topic=topic)
        for told in self.on_message:
            told(clean)

    def hear(self, sample: PackSample) -> Checked | Rejection:
        """A sample of any source came. What follows from it has happened when this returns."""
        sample = self.guard.without_numbers(sample)
        found = self.guard.heard(sample)  # first: it may be a trip
        if isinstance(found, Rejection):
            if found.reason is RejectReason.TOO_OLD:
                self._tell(sample)
            return found
        if found.repeated:
            return found
        pack, own = sample.pack, sample.source in OWN_UNIT and sample.source is not Source.DRILL
        if not found.late or pack not in self.newest:
            self.newest.setdefault(pack, {})[sample.source] = sample
        if own and pack not in self._spoke:
            self._spoke.add(pack)
            self._seen_seq = -1
        if pack in self._responses:
            self._look_closer(sample)
        self._tell(sample)
        temperatures = [c for c in sample.temperatures_c if c is not None]
        if temperatures and not found.late and (own or pack not in self._spoke):  # a curve has one teller
            points = self.curves.setdefault(pack, Curve()).points
            if not points or (sample.received_at - points[-1][0]).total_seconds() >= CURVE_STEP_S:
                points.append((sample.received_at, max(temperatures), min(temperatures)))
        return found

    def _tell(self, sample: PackSample) -> None:
        self.keeper.tell("followers of samples", self.on_sample, sample)

    def _read(self, reading: MeterReading) -> None:
        """A charger's meter value: perhaps it says something of the battery."""
        if reading.soc is None and reading.pack_temp_c is None:
            return
        visit = self.yard.visit_on(reading.connector)
        pack = next(iter(self.parts.packs.of(visit.announced.vehicle_id)), None) if visit is not None else None
        sample = sample_of(pack, reading) if pack is not None else None
        if sample is not None:
            self.hear(sample)

    def _linked(self, up: bool, reason: str) -> None:
        self.link = Link(up, reason, self.yard.clock.now())
        self.guard.link(up=up, reason=reason)

    def _expect(self) -> None:
        """Of whom telemetry must come: packs on connectors that have a unit and a broker to speak to, or have spoken before."""
        packs, link = self.parts.packs, self.parts.broker is not None
        here = {visit.announced.vehicle_id for visit in self.yard.present_visits().values()}
        wanted = (pack for vehicle in here for pack in packs.of(vehicle))
        self.expected = frozenset(pack for pack in wanted if (link and packs.must_speak(pack)) or pack in self._spoke)
        self.guard.expect(self.expected)

    def _cannot_write(self, problem: str) -> None:
        self.unwritten = problem

    # -- what follows -------------------------------------------------------------------------------------------

    def _judged(self, verdict: Verdict) -> None:
        """Called by the guard, within the sample that made it so. Acts first, records after."""
        match verdict:
            case Trip():
                self._tripped(verdict)
            case Derate():
                self._shared(verdict.pack, verdict.share, verdict.text, verdict.limit_w)
            case Clear():
                self._shared(verdict.pack, 1.0, "")
            case BusLost():
                self.bus_lost = verdict.reason
                self._put(ev.TelemetryBusChanged(lost=True, reason=verdict.reason))
            case BusBack():
                self.bus_lost = None
                self._put(ev.TelemetryBusChanged(lost=False))

    def _tripped(self, trip: Trip) -> None:
        if trip.pack in self._responses:
            self.worsen(trip.pack, trip.cause.value, rules.cause_words(trip.cause.value, trip.evidence))
            return
        self._responses[trip.pack] = response_of(trip.cause.value, trip.evidence)
        self._share(trip.pack, 0.0)
        keys = rules.hangs_on(self.yard.present_visits(), trip.pack.vehicle_id)
        isolated = [fact for key in keys for fact in self._shut(key, trip.pack)]
        self._loop.wake()
        known = trip.pack in self.yard.state.tripped
        self._put(*([] if known else [ev.PackTripped(trip.pack, trip.cause.value, dict(trip.evidence))]), *isolated)
        self.keeper.tell("followers of trips", self.on_trip, trip, keys)
        self.parts.replan("a battery tripped")

    def response_of(self, pack: PackKey) -> Response:
        """What is done about a tripped pack; of one that is not known as tripped, its bay is isolated."""
        return self._responses.get(pack, UNKNOWN)

    def _look_closer(self, sample: PackSample) -> None:
        """A tripped pack speaks: perhaps it is worse by now than what it tripped for."""
        for cause, text in worse_by(sample.temperatures_c, sample.alarms):
            self.worsen(sample.pack, cause, text)

    def _endangered(self, pack: PackKey, cause: Cause, text: str) -> None:
        """A rule finds at a tripped pack what would have tripped it too."""
        self.worsen(pack, cause.value, text)

    def worsen(self, pack: PackKey, cause: str, text: str = "", *, told: bool = True) -> None:
        """More was found at a tripped pack: what that asks for is done at once. ``told`` False: it is known from before a start."""
        wanted = response_of(cause, {})
        if pack not in self._responses or not graver(wanted, self._responses[pack]):
            return
        self._responses[pack] = wanted
        log.error("%s is worse: %s", pack, text or cause)
        self.keeper.tell("outputs", self.isolation.on_change)
        if told:
            self.keeper.tell("followers of trips", self.on_worse, pack, cause, text)

    def _shut(self, key: ConnectorId, pack: PackKey) -> list[ev.Event]:
        """Shut it now; the facts of that are the caller's to record."""
        recorded = self.yard.state.connector(key).isolated_by is not None
        self.isolation.add(key, pack, recorded=recorded)
        return [] if recorded else [ev.ConnectorIsolated(key, pack)]

    def _shared(self, pack: PackKey, share: float, text: str, limit_w: int | None = None) -> None:
        self.texts[pack] = text
        self.watts[pack] = limit_w
        only_watts = share == self.shares.get(pack, 1.0) == 1.0  # they come and go with the battery's own limit: no fact
        self._share(pack, share)
        self._loop.wake()
        if not only_watts:
            self._put(ev.PackDerated(pack, share, text[:300]))
        self.parts.replan("what a battery may take has changed")

    def _share(self, pack: PackKey, share: float) -> None:
        self.shares[pack] = share
        vehicle = rules.by_vehicle({p: s for p, s in self.shares.items() if p.vehicle_id == pack.vehicle_id})
        if vehicle:
            self.yard.pack_share.update(vehicle)
        else:
            self.yard.pack_share.pop(pack.vehicle_id, None)
        held = rules.held_back({p: (self.texts.get(p, ""), w) for p, w in self.watts.items() if p.vehicle_id == pack.vehicle_id})
        if held is not None:
            self.yard.pack_limit[pack.vehicle_id] = held
        else:
            self.yard.pack_limit.pop(pack.vehicle_id, None)

    def _look_at_connectors(self) -> None:
        """Vehicles came, went, were put back in service: shut what a tripped pack hangs on, let go what it left."""
        tripped, present = self.guard.tripped, self.yard.present_visits()
        if not tripped and not self.isolation.shut:
            return
        for key in self.yard.spec.connectors:
            shut = self.isolation.shut.get(key)
            step = rules.step(
                self.yard.state.connector(key),
                present.get(key),
                tripped,
                shut_for=shut.pack if shut is not None else None,
                recorded=shut is not None and shut.recorded,
            )
            if step is rules.Step.SHUT:
                pack = rules.first_of(tripped, present[key].announced.vehicle_id)
                assert pack is not None
                self._put(*self._shut(key, pack))
            elif step is rules.Step.LET_GO:
                self.isolation.let_go(key)
                self.parts.restore(key)

    # -- facts --------------------------------------------------------------------------------------------------

    def _put(self, *events: ev.Event) -> None:
        if not events:
            return
        now = self.yard.clock.now()
        self._queue.append(_Queued([ev.NewEvent(event, now) for event in events]))
        self._queued.set()

    async def _record(self) -> None:
        """Facts in the order in which they were found, together what waits together; for as long as the journal takes."""
        while True:
            await self._queued.wait()
            self._queued.clear()
            waiting = list(self._queue)
            self._queue.clear()
            await self.yard.journal.append([fact for queued in waiting for fact in queued.facts])
            for queued in waiting:
                for fact in queued.facts:
                    if isinstance(fact.data, ev.ConnectorIsolated) and fact.data.connector in self.isolation.shut:
                        self.isolation.shut[fact.data.connector].recorded = True
                if queued.done is not None and not queued.done.done():
                    queued.done.set_result(None)

    # -- commands -----------------------------------------------------------------------------------------------

    async def _reset(self, command: cmd.ResetPack, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        try:
            return await self._reset_pack(command, cause)
        finally:
            if self.guard.trip_of(command.pack) is None:  # only now: until its connectors were let go, its response held
                self._responses.pop(command.pack, None)

    async def _reset_pack(self, command: cmd.ResetPack, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        pack = command.pack
        if against := next(filter(None, (speaks() for speaks in self.against)), None):
            return cmd.CommandStatus.REFUSED, against
        if self.yard.journal.frozen:
            raise JournalFrozen("a reset must be recorded, and the journal cannot write")
        try:
            await self.guard.reset(pack, person=command.actor, role=command.role, reason=command.reason)
        except ResetRefused as refused:
            return cmd.CommandStatus.REFUSED, str(refused)
        except OSError as error:
            return cmd.CommandStatus.FAILED, f"{pack} stays tripped: the latch file cannot be written ({error.strerror})"
        self.keeper.tell("followers of resets", self.on_reset, pack)
        others = rules.first_of(self.guard.tripped, pack.vehicle_id)
        freed = [key for key, shut in self.isolation.shut.items() if shut.pack == pack]
        facts: list[ev.Event] = [ev.PackReset(pack, command.actor, command.role.value, command.reason)]
        reason = f"{pack} was reset by {command.actor}"
        facts += [ev.ConnectorIsolated(key, others) if others else ev.ConnectorAvailabilitySet(key, True, reason) for key in freed]
        now = self.yard.clock.now()
        done = asyncio.get_running_loop().create_future()
        self._queue.append(_Queued([ev.NewEvent(fact, now, actor=cause.actor, cause_id=cause.id) for fact in facts], done))
        self._queued.set()
        await done
        if others is not None:
            for key in freed:
                self.isolation.add(key, others, recorded=True)
            return cmd.CommandStatus.DONE, f"{pack} is reset; {others} of the same vehicle is still tripped"
        outcomes = {key: await self._back_in_service(key) for key in freed}
        self.parts.replan("a battery was reset")
        silent = [str(key) for key, accepted in outcomes.items() if not accepted]
        words = f"; {', '.join(map(str, freed))} in service again" if freed else ""
        more = f"; not confirmed by the charger itself: {', '.join(silent)}" if silent else ""
        return cmd.CommandStatus.DONE, f"{pack} is reset{words}{more}"

    async def _back_in_service(self, key: ConnectorId) -> bool:
        """Whether its charger accepted it."""
        self.isolation.let_go(key)
        if key not in self.yard.cut:
            self.parts.restore(key)
        outcome = await self._loop.chargers.set_operative(key, True)
        self._loop.wake()
        return outcome.value == "accepted"

    # -- for the composition root -------------------------------------------------------------------------------

    def where(self, pack: PackKey) -> Sequence[ConnectorId]:
        """The connectors that a pack's vehicle hangs on, or that are shut for it."""
        shut = [key for key, entry in self.isolation.shut.items() if entry.pack == pack]
        return list(dict.fromkeys([*shut, *rules.hangs_on(self.yard.present_visits(), pack.vehicle_id)]))
