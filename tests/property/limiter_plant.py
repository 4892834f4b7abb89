"""A whole depot in memory that plays against the real ControlLoop, and judges it by physical power alone.

    Scenario (numbers from a seed) --> Plant: stations, vehicles, meter, journal --> ControlLoop + Desk (the real ones)
                                          |
                                          +--> Judge: site and feeder power every STEP_S, as tools that read a trace do

The stations' physics shares nothing with the controller's model of them. Behaviour by behaviour:
    polite · overdraws ×1.12 · ignores (accepts limits, obeys only stop) · late (acts and answers 1–25 s later, in order)
    lossy (calls vanish, or their answers) · refuses · deaf (open link, hears nothing) · away (link gone) · reboots
and of those that can give power: silent while they give · stop by themselves · give too much · charge instead
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import controller.loop as loop_module
from benchmarks.limiter import State, judge_targets
from controller.allocation import Action, Allocation, Move, Row
from controller.clock import VirtualClock, run_virtual
from controller.desk import Desk, DeskSettings
from controller.limiter import allocate
from controller.loop import ControlLoop
from controller.traffic import LoopSettings
from controller.yard import Yard
from depot import events as ev
from depot.events import Envelope, NewEvent
from depot.fold import fold
from depot.ports import JournalFrozen, StartRequest, StopRequest
from depot.readings import LinkReading, MeterReading, SiteReading
from depot.registry import ConnectorSpec, DepotSpec
from depot.state import DepotState
from depot.values import ConnectorId, Limit, LimitSource, Outcome, Plan, SafeSetpoints, ScopeKind, Setpoint

START = datetime(2026, 1, 5, 18, 0, tzinfo=UTC)
STEP_S = 0.25
RAMP_S = 1.5
COMPLY_S = 5.0
TOLERANCE_W = 50
CALL_TIMEOUT_S = 10.0
FAULT_EVERY_S = 3600.0
BATTERY_WH = 300_000
EFFICIENCY = 0.9
RESERVE_SOC = LoopSettings().reserve_soc


class MemoryJournal:
    """``depot.ports.Journal`` with its folded state, in memory; can be frozen."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.state = DepotState()
        self._open = asyncio.Event()
        self._open.set()
        self._keys: dict[str, Envelope] = {}

    @property
    def frozen(self) -> bool:
        return not self._open.is_set()

    def freeze(self, frozen: bool) -> None:
        if frozen:
            self._open.clear()
        else:
            self._open.set()

    async def append(self, events: Sequence[NewEvent], *, wait: bool = True) -> Sequence[Envelope]:
        if self.frozen and not wait:
            raise JournalFrozen
        await self._open.wait()
        return [self._one(new) for new in events]

    def _one(self, new: NewEvent) -> Envelope:
        known = self._keys.get(new.key) if new.key else None
        if known is not None:
            return Envelope(**{name: getattr(known, name) for name in known.__slots__ if name != "duplicate"}, duplicate=True)
        seq = self.state.seq + 1
        envelope = Envelope(
            f"e{seq}", "depot", seq, new.data.TYPE, new.data.VERSION, new.occurred_at, new.reported_at,
            new.received_at or self.clock.now(), new.actor, new.cause_id, new.key, new.data,
        )  # fmt: skip
        self.state = fold(self.state, [envelope])
        if new.key:
            self._keys[new.key] = envelope
        return envelope


@dataclass(frozen=True, slots=True)
class Manners:
    """How a station behaves. Shares are of its calls. ``draws``: of its level; inf: whatever the vehicle takes."""

    draws: float = 1.0
    lost: float = 0.0
    answer_lost: float = 0.0
    refused: float = 0.0
    late: float = 0.0
    spells: tuple[tuple[str, float, float], ...] = ()  # ("deaf" | "away" | "reboot" | "amnesia", at, for)
    ends_at_zero: bool = False
    autonomous: bool = False
    holds_default: bool = True
    skew_s: float = 0.0
    gives: str = ""  # "silent" | "stops" | "too_much" | "charges"

    @property
    def polite(self) -> bool:
        return self == Manners(ends_at_zero=self.ends_at_zero, autonomous=self.autonomous, skew_s=self.skew_s)


@dataclass(slots=True)
class Outlet:
    """The physics of one connector."""

    key: ConnectorId
    spec: ConnectorSpec
    manners: Manners
    default_w: int | None = None
    live: tuple[int, float] | None = None
    session: int | None = None
    appetite_w: float = 0.0
    share: float = 1.0
    plugged: str | None = None
    power_w: float = 0.0
    meter_wh: float = 0.0
    goal_w: float = 0.0
    slope_w: float = 0.0
    granted_w: float = 0.0
    fault_at_s: float = -math.inf
    powered: bool = True
    pending: str | None = None
    stored_wh: float = 0.0
    exported_wh: float = 0.0
    least_wh: float = math.inf
    gives_since_s: float | None = None

    def _gives_w(self, level_w: float, now_s: float) -> float:
        """What it makes of a level below 0."""
        self.gives_since_s = self.gives_since_s if self.gives_since_s is not None else now_s
        if self.manners.gives == "charges":
            return min(-level_w, self.spec.rated_w)
        tired = self.manners.gives == "stops" and now_s - self.gives_since_s > 100
        if tired or self.stored_wh <= 0.05 * BATTERY_WH:
            return 0.0
        return -min(-level_w * (1.6 if self.manners.gives == "too_much" else 1.0), 1.6 * self.spec.discharge_w)

    def level_w(self, now_s: float) -> float:
        """What it was granted: its live profile until that ends by its own clock, then its default, then all."""
        if self.live is not None and now_s + self.manners.skew_s < self.live[1]:
            return self.live[0]
        return self.spec.rated_w if self.default_w is None else self.default_w

    def step(self, now_s: float) -> bool:
        """One step of physics. True where it means to draw more than granted, and does."""
        level = self.level_w(now_s)
        self.granted_w = max(0.0, level)
        goal = 0.0
        if self.session is not None and self.powered and level < 0:
            goal = self._gives_w(level, now_s)
        elif self.session is not None and self.powered:
            self.gives_since_s = None
            limit = self.spec.rated_w if math.isinf(self.manners.draws) else level * self.manners.draws
            limit = min(limit * self.share, self.spec.rated_w, self.appetite_w)
            goal = limit if limit >= self.spec.min_w * 0.9 * self.share else 0.0
        if goal != self.goal_w:
            self.goal_w = goal
            self.slope_w = abs(goal - self.power_w) / (RAMP_S if goal < self.power_w else 0.5) * STEP_S
        if self.power_w != goal:
            gap = goal - self.power_w
            self.power_w = goal if abs(gap) <= self.slope_w + 1e-6 else self.power_w + math.copysign(self.slope_w, gap)
        flowed_wh = self.power_w * STEP_S / 3600
        self.meter_wh += max(0.0, flowed_wh)
        self.exported_wh += max(0.0, -flowed_wh)
        self.stored_wh += flowed_wh * EFFICIENCY if flowed_wh > 0 else flowed_wh / EFFICIENCY
        self.least_wh = min(self.least_wh, self.stored_wh) if flowed_wh < 0 else self.least_wh
        return min(self.power_w, goal) > max(0.0, level) + TOLERANCE_W  # not who is merely on the way down


@dataclass(slots=True, eq=False)
class Job:
    key: str
    urgent: bool
    order: int
    act: Callable[[], Outcome]
    done: asyncio.Future[Outcome]


class FakeStation:
    """One station's link: one call at a time, urgent first, an older job of the same key never leaves."""

    def __init__(self, plant: Plant, station_id: str, manners: Manners, rng: random.Random) -> None:
        self.plant = plant
        self.id = station_id
        self.manners = manners
        self.rng = rng
        self.outlets: list[Outlet] = []
        self.connected = False
        self.deaf = False
        self.jobs: list[Job] = []
        self.wake = asyncio.Event()
        self.order = 0
        self.busy_until_s = 0.0
        self.hung_since_s: float | None = None
        self.excused_until_s = -math.inf
        self.current: Job | None = None
        self.timeouts = 0

    async def call(self, key: str, act: Callable[[], Outcome], *, urgent: bool = False) -> Outcome:
        if not self.connected:
            return Outcome.OFFLINE
        for older in [job for job in self.jobs if job.key == key]:
            self.jobs.remove(older)
            urgent = urgent or older.urgent
            older.done.set_result(Outcome.ERROR)
        self.order += 1
        job = Job(key, urgent, self.order, act, asyncio.get_running_loop().create_future())
        self.jobs.append(job)
        self.wake.set()
        return await job.done

    async def work(self) -> None:
        while True:
            while not self.jobs or not self.connected:
                self.wake.clear()
                await self.wake.wait()
            job = min(self.jobs, key=lambda j: (not j.urgent, j.order))
            self.jobs.remove(job)
            self.current = job
            outcome = await self._carry_out(job)
            self.current = None
            if not job.done.done():
                job.done.set_result(outcome)
            if outcome is Outcome.TIMEOUT:
                self.timeouts += 1
                if self.timeouts >= 3 and self.connected:
                    self.plant.spawn(self.plant.reconnect(self), f"breaker {self.id}")
            else:
                self.timeouts = 0

    async def _carry_out(self, job: Job) -> Outcome:
        loop = asyncio.get_running_loop()
        latency = self.rng.uniform(0.02, 0.15)
        fate = self.rng.random()
        m = self.manners
        began = loop.time()
        self.hung_since_s = began
        try:
            if self.deaf or fate < m.lost:
                return await self._no_answer(began)
            fate -= m.lost
            if fate < m.refused:
                await asyncio.sleep(latency)
                self.excused_until_s = loop.time() + 10
                return Outcome.REFUSED
            fate -= m.refused
            delay = self.rng.uniform(1, 25) if fate < m.late else latency
            done: asyncio.Future[Outcome] = loop.create_future()
            acts_at = max(self.busy_until_s, loop.time()) + delay
            self.busy_until_s = acts_at  # a station works through its calls in order, also those that we gave up on

            def act() -> None:
                outcome = job.act() if self.outlets[0].powered else Outcome.TIMEOUT
                if not done.done():
                    done.set_result(outcome)

            loop.call_at(acts_at, act)
            if m.late <= fate < m.late + m.answer_lost:
                return await self._no_answer(began)
            try:
                async with asyncio.timeout_at(began + CALL_TIMEOUT_S):
                    return await done
            except TimeoutError:
                return Outcome.TIMEOUT
        finally:
            if loop.time() - began > 0.2:  # what waited behind it leaves now, and needs its ramp
                self.excused_until_s = max(self.excused_until_s, loop.time() + RAMP_S + 0.5)
            self.hung_since_s = None

    async def _no_answer(self, began: float) -> Outcome:
        await asyncio.sleep(began + CALL_TIMEOUT_S - asyncio.get_running_loop().time())
        return Outcome.TIMEOUT

    def drop(self) -> None:
        """The link is gone: what waits never left, what is under way is unknown."""
        self.connected = False
        for job in self.jobs:
            job.done.set_result(Outcome.OFFLINE)
        self.jobs.clear()
        if self.current is not None and not self.current.done.done():
            self.current.done.set_result(Outcome.UNKNOWN)

    @property
    def can_be_told(self) -> bool:
        """Whether power of this station could have been shed: it hears, and no call of it hangs."""
        now = asyncio.get_running_loop().time()
        hung = self.hung_since_s is not None and now - self.hung_since_s > 0.2
        return self.connected and not self.deaf and not hung and now >= self.excused_until_s and self.outlets[0].powered


class FakeChargers:
    """``depot.ports.Chargers`` over the plant's stations."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant

    def connected(self, station_id: str) -> bool:
        return self.plant.stations[station_id].connected

    async def apply(self, setpoints: SafeSetpoints) -> Sequence[Outcome]:
        return [await self._apply(setpoint) for setpoint in setpoints]

    async def _apply(self, setpoint: Setpoint) -> Outcome:
        outlet = self.plant.outlets[setpoint.connector]
        station = self.plant.stations[setpoint.connector.station_id]

        def act() -> Outcome:
            if outlet.session is None or outlet.session != setpoint.transaction_id:
                return Outcome.REFUSED
            if setpoint.until.timestamp() <= self.plant.now_s():
                return Outcome.ERROR
            outlet.live = (setpoint.level_w, setpoint.until.timestamp())
            self.plant.obeyed(outlet)
            return Outcome.ACCEPTED

        lower = outlet.live is None or setpoint.level_w < outlet.live[0]
        return await station.call(f"live/{setpoint.connector.connector}", act, urgent=lower)

    async def start(self, setpoint: Setpoint, id_tag: str, kind: str = "Central") -> Outcome:
        outlet = self.plant.outlets[setpoint.connector]

        def act() -> Outcome:
            if outlet.session is not None or outlet.plugged is None or outlet.pending is not None:
                return Outcome.REFUSED
            live = (setpoint.level_w, setpoint.until.timestamp())
            self.plant.spawn(self.plant.begin(outlet, id_tag, live), f"start {outlet.key}")
            return Outcome.ACCEPTED

        return await self.plant.stations[setpoint.connector.station_id].call(f"start/{setpoint.connector.connector}", act)

    async def stop(self, connector: ConnectorId, transaction_id: int) -> Outcome:
        outlet = self.plant.outlets[connector]

        def act() -> Outcome:
            if outlet.session != transaction_id:
                return Outcome.REFUSED
            self.plant.spawn(self.plant.end(outlet, "Remote"), f"stop {connector}")
            return Outcome.ACCEPTED

        return await self.plant.stations[connector.station_id].call(f"stop/{connector.connector}", act)

    async def install_default(self, connector: ConnectorId, level_w: int) -> Outcome:
        outlet = self.plant.outlets[connector]

        def act() -> Outcome:
            if not outlet.manners.holds_default:
                return Outcome.UNSUPPORTED
            outlet.default_w = level_w
            return Outcome.ACCEPTED

        return await self.plant.stations[connector.station_id].call(f"default/{connector.connector}", act)

    async def set_operative(self, connector: ConnectorId, operative: bool) -> Outcome:
        return await self.plant.stations[connector.station_id].call(f"operative/{connector.connector}", lambda: Outcome.ACCEPTED)

    async def request_reading(self, connector: ConnectorId) -> Outcome:
        def act() -> Outcome:
            asyncio.get_running_loop().call_later(0.04, self.plant.sample, self.plant.outlets[connector])
            return Outcome.ACCEPTED

        return await self.plant.stations[connector.station_id].call(f"trigger/{connector.connector}", act)


@dataclass(slots=True)
class SiteMeterOnPlant:
    reading: SiteReading | None = None


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that a scenario lets happen at ``at`` seconds."""

    at: float
    what: str
    value: float = 0.0
    target: str = ""
    lasts: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that is chosen, so that a failure can be cut down by leaving things out."""

    seed: int
    spec: DepotSpec
    manners: dict[str, Manners]
    happenings: tuple[Happening, ...]
    duration_s: float
    base_w: int


@dataclass(slots=True)
class Verdicts:
    """What the judge saw. ``breaches``: sentences; empty when the limiter kept every promise."""

    breaches: list[str] = field(default_factory=list)
    worst_w: float = 0.0
    writes: dict[ConnectorId, list[float]] = field(default_factory=dict)
    energy_wh: float = 0.0
    given_wh: float = 0.0
    allocations: int = 0
    ramping_s: float = 0.0
    faults: int = 0
    probes: list[dict[ConnectorId, float]] = field(default_factory=list)
    log: deque[str] = field(default_factory=lambda: deque(maxlen=20_000))


class WatchedLoop(ControlLoop):
    """The real loop; only notes what it sends, for invariant 11."""

    plant: Plant

    def _move(self, row: Row, action: Action, now_s: float) -> None:
        told = self.yard.grants[row.key].told_w
        carried = action.move is Move.RENEW or row.renew
        if action.move is Move.LOWER and not action.urgent and not carried and action.level_w != told:
            self.plant.verdicts.writes.setdefault(row.key, []).append(now_s)
        self.plant.note(f"{action.move} {row.key} {told}->{action.level_w} urgent={action.urgent} bound={row.bound_w} stuck={row.stuck}")
        super()._move(row, action, now_s)

    def _raise(self, rows: list[Row], actions: list[Action], now: datetime, now_s: float) -> None:
        for action in actions:
            row = rows[action.row]
            if action.move is Move.RAISE and not row.renew:
                self.plant.verdicts.writes.setdefault(row.key, []).append(now_s)
            self.plant.note(f"{action.move} {row.key} {row.told_w}->{action.level_w} bound={row.bound_w} onoff={row.on_off}")
        super()._raise(rows, actions, now, now_s)


class Plant:
    """Runs a scenario on the virtual clock and judges it."""

    def __init__(self, scenario: Scenario, clock: VirtualClock) -> None:
        self.scenario = scenario
        self.clock = clock
        self.rng = random.Random(scenario.seed)
        self.verdicts = Verdicts()
        self.outlets: dict[ConnectorId, Outlet] = {}
        self.stations: dict[str, FakeStation] = {}
        for station in scenario.spec.stations:
            manners = scenario.manners[station.station_id]
            fake = FakeStation(self, station.station_id, manners, random.Random(f"{scenario.seed}/{station.station_id}"))
            self.stations[station.station_id] = fake
            for spec in station.connectors:
                key = ConnectorId(station.station_id, spec.connector)
                self.outlets[key] = Outlet(key, spec, manners)
                fake.outlets.append(self.outlets[key])
        self.base_w = float(scenario.base_w)
        self.grace = dict.fromkeys(("", *scenario.spec.nodes), -math.inf)
        self.limit_w = dict.fromkeys(self.grace, math.inf)
        self.meter_silent = False
        self.export_grace = -math.inf
        self.number = 0
        self.tasks: asyncio.TaskGroup | None = None
        self.meter = SiteMeterOnPlant()
        self.journal = MemoryJournal(clock)
        self.yard = Yard(scenario.spec, self.journal, clock, meter=self.meter if scenario.spec.metered else None)
        self.loop = WatchedLoop(self.yard, LoopSettings(), chargers=FakeChargers(self))
        self.loop.plant = self
        self.desk = Desk(self.yard, self.loop, DeskSettings(accept_unknown_tags=True), replan=lambda cause: None)

    # -- small words ------------------------------------------------------------------------------------------------

    def now_s(self) -> float:
        return self.clock.now().timestamp()

    def t(self) -> float:
        return (self.clock.now() - START).total_seconds()

    def note(self, text: str) -> None:
        self.verdicts.log.append(f"{self.t():9.2f} {text}")

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        assert self.tasks is not None
        self.tasks.create_task(work, name=name)

    # -- stations' lives --------------------------------------------------------------------------------------------

    async def boot(self, station: FakeStation) -> None:
        station.connected = True
        now = self.clock.now()
        self.yard.links[station.id] = LinkReading(station.id, True, now, now, version="2.1")
        self.desk.link_changed(self.yard.links[station.id])
        await self.desk.boot(ev.StationBooted(station.id, "plant"))
        if not station.connected:
            return
        await self.desk.probed(
            ev.StationProbed(station.id, purposes=("TxProfile", "TxDefaultProfile"), autonomous=station.manners.autonomous)
        )
        if station.connected:
            self.desk.ready(station.id, booted=True)
            station.wake.set()
            for outlet in station.outlets:
                await self.status(outlet)

    async def status(self, outlet: Outlet) -> None:
        word = ev.ConnectorStatus.AVAILABLE
        if outlet.session is not None:
            word = ev.ConnectorStatus.CHARGING
        elif outlet.plugged is not None:
            word = ev.ConnectorStatus.PREPARING
        await self.desk.status(outlet.key, word, "NoError", None)

    def disconnect(self, station: FakeStation) -> None:
        station.drop()
        now = self.clock.now()
        self.desk.link_changed(LinkReading(station.id, False, now, now))

    async def reconnect(self, station: FakeStation, *, after_s: float = 2.0) -> None:
        if station.connected:
            self.disconnect(station)
        await asyncio.sleep(after_s)
        while station.deaf or not station.outlets[0].powered:  # noqa: ASYNC110  # a station tries again every second
            await asyncio.sleep(1)
        if not station.connected:
            station.connected = True
            station.excused_until_s = asyncio.get_running_loop().time() + COMPLY_S
            station.timeouts = 0
            now = self.clock.now()
            self.desk.link_changed(LinkReading(station.id, True, now, now, version="2.1"))
            self.desk.ready(station.id, booted=False)
            station.wake.set()

    async def spell(self, station: FakeStation, kind: str, lasts_s: float) -> None:
        self.note(f"{station.id} {kind} for {lasts_s:.0f} s")
        if kind == "deaf":
            station.deaf = True
            await asyncio.sleep(lasts_s)
            station.deaf = False
            station.excused_until_s = asyncio.get_running_loop().time() + COMPLY_S
        elif kind == "away":
            if station.connected:
                self.disconnect(station)
            await asyncio.sleep(lasts_s)
            await self.reconnect(station, after_s=0.1)
        else:
            if station.connected:
                self.disconnect(station)
            for outlet in station.outlets:
                outlet.powered = False
            await asyncio.sleep(lasts_s)
            for outlet in station.outlets:
                outlet.powered = True
                if kind == "amnesia":  # forgets its profiles, and charging goes on
                    outlet.live = outlet.default_w = None
                    if outlet.session is not None:
                        self.fault(outlet)
                elif outlet.session is not None:
                    await self.end(outlet, "PowerLoss")
            await self.boot(station)
        self.note(f"{station.id} {kind} is over")

    async def begin(self, outlet: Outlet, tag: str, live: tuple[int, float] | None) -> None:
        """The vehicle draws as soon as the station closes its contactor; the central system's answer comes after."""
        outlet.pending = tag
        self.number += 1
        outlet.live = live
        outlet.session = -self.number
        now = self.clock.now()
        request = StartRequest(outlet.key, tag, int(outlet.meter_wh), now, now, f"{outlet.key}/{self.number}")
        answer = await self.desk.start(request)
        if outlet.session == -self.number:
            outlet.session = answer.transaction_id
        outlet.pending = None
        self.note(f"{outlet.key} session {answer.transaction_id} live={live}")
        if outlet.plugged is None:
            await self.end(outlet, "EVDisconnected")
        else:
            await self.status(outlet)

    async def end(self, outlet: Outlet, reason: str) -> None:
        number = outlet.session
        if number is None or number < 0:
            return
        outlet.session, outlet.live = None, None
        self.note(f"{outlet.key} ends: {reason}")
        await asyncio.sleep(0.05)
        await self.desk.stop(StopRequest(outlet.key.station_id, number, int(outlet.meter_wh), reason, None, self.clock.now()))
        await self.status(outlet)

    def obeyed(self, outlet: Outlet) -> None:
        assert outlet.live is not None
        if outlet.manners.ends_at_zero and outlet.live[0] < outlet.spec.min_w and outlet.session is not None:
            self.spawn(self.end(outlet, "EVSuspended"), f"zero {outlet.key}")

    def sample(self, outlet: Outlet) -> None:
        station = self.stations[outlet.key.station_id]
        silent = outlet.manners.gives == "silent" and outlet.power_w < 0
        if station.connected and not station.deaf and outlet.powered and not silent:
            now = self.clock.now()
            self.note(f"reading {outlet.key} {outlet.power_w:.0f} W")
            reading = MeterReading(outlet.key, now, now, power_w=round(outlet.power_w), energy_wh=int(outlet.meter_wh))
            if outlet.spec.discharge_w:
                reading = replace(reading, soc=round(outlet.stored_wh / BATTERY_WH, 3), exported_wh=int(outlet.exported_wh))
            self.desk.reading(reading)

    async def samples(self, outlet: Outlet) -> None:
        await asyncio.sleep(random.Random(str(outlet.key)).uniform(0, 60))
        while True:
            if outlet.session is not None:
                self.sample(outlet)
            await asyncio.sleep(60)

    # -- what the scenario lets happen ------------------------------------------------------------------------------

    async def happen(self, h: Happening) -> None:
        self.note(f"{h.what} {h.target} {h.value:.0f} for {h.lasts:.0f}")
        now = self.clock.now()
        if h.what == "limit":
            await self.journal.append([NewEvent(ev.LimitSet(self._limit(h, now, None)), now)])
            self.loop.wake()
        elif h.what == "scheduled":
            limit = self._limit(h, now + timedelta(seconds=400), now + timedelta(seconds=400 + h.lasts))
            await self.journal.append([NewEvent(ev.LimitSet(limit), now)])
            self.loop.wake()
        elif h.what == "base":
            if h.value > self.base_w:
                self.grace[""] = max(self.grace[""], self.t() + COMPLY_S)
            else:
                self.export_grace = self.t() + COMPLY_S
            self.base_w = h.value
        elif h.what == "meter":
            self.meter_silent = True
            await asyncio.sleep(h.lasts)
            self.meter_silent = False
        elif h.what == "frozen":
            self.journal.freeze(True)
            await asyncio.sleep(h.lasts)
            self.journal.freeze(False)
        elif h.what == "plan":
            self.yard.plan = self._plan(now, random.Random(f"{self.scenario.seed}/{h.at}"))
            self.loop.wake()
        elif h.what == "lend":
            self.yard.plan = self._lending(now, random.Random(f"{self.scenario.seed}/{h.at}"))
            self.loop.wake()
        elif h.what == "appetite":
            outlet = self.outlets[ConnectorId.parse(h.target)]
            if outlet.manners.draws == 1.0 or h.value < outlet.appetite_w:  # who disobeys shows it when it is told, not an hour later
                outlet.appetite_w = h.value
        elif h.what == "probe":
            self.verdicts.probes.append({key: outlet.power_w for key, outlet in self.outlets.items()})
        elif h.what == "arrive":
            await self._arrive(ConnectorId.parse(h.target), h)
        else:
            await self.spell(self.stations[h.target], h.what, h.lasts)

    def _limit(self, h: Happening, since: datetime, until: datetime | None) -> Limit:
        scope = ScopeKind.FEEDER if h.target else ScopeKind.SITE
        return Limit(f"{h.what}:{h.target}", scope, int(h.value), LimitSource.SCADA, since, scope_id=h.target, until=until)

    def _plan(self, now: datetime, rng: random.Random) -> Plan:
        slots = 8
        power = {
            visit_id: tuple(rng.choice([0, 0, 3_000, 20_000, rng.randint(0, 200_000), 10**9]) for _ in range(slots))
            for visit_id in self.journal.state.visits
            if rng.random() < 0.8
        }
        return Plan("p", now, now, 300, power, (0,) * slots, now + timedelta(seconds=rng.choice([60, 600, 2400])))

    def _lending(self, now: datetime, rng: random.Random) -> Plan:
        """A plan that wants power back from whoever can give it."""
        power = {
            visit.visit_id: tuple(
                rng.choice([-5_000, -20_000, -(10**9)])
                if visit.connector is not None and self.scenario.spec.connectors[visit.connector].discharge_w and rng.random() < 0.7
                else rng.choice([0, 20_000, 10**9])
                for _ in range(12)
            )
            for visit in self.journal.state.visits.values()
        }
        return Plan("p", now, now, 150, power, (0,) * 12, now + timedelta(seconds=1800))

    async def _arrive(self, key: ConnectorId, h: Happening) -> None:
        outlet = self.outlets[key]
        if outlet.plugged is not None:
            return
        rng = random.Random(f"{self.scenario.seed}/{h.at}/{key}")
        visit = f"v{key}@{h.at:.0f}"
        outlet.plugged = visit
        outlet.appetite_w = h.value or rng.choice([1.0, 1.0, 1.0, 0.4]) * outlet.spec.rated_w
        outlet.share = 1.0 if h.value else rng.choice([1.0, 1.0, 1.0, 1 / 3])
        now = self.clock.now()
        announced = ev.VisitAnnounced(
            visit, f"veh-{visit}", now, now + timedelta(seconds=h.lasts), 10**8, outlet.spec.rated_w, connector=key,
            pausable=rng.choice([None, True, False]), priority=0 if h.value else rng.choice([0, 0, 1]), id_tag=f"t{self.number}",
        )  # fmt: skip
        if any(spec.discharge_w for spec in self.scenario.spec.connectors.values()):  # else nothing could be bought back in time
            announced = replace(announced, battery_energy_wh=15_000, depart_at=now + timedelta(hours=6))
        if outlet.spec.discharge_w:
            soc = rng.uniform(0.35, 0.8)
            outlet.stored_wh, outlet.exported_wh, outlet.least_wh = soc * BATTERY_WH, 0.0, math.inf
            announced = replace(
                announced, battery_wh=BATTERY_WH, soc_arrival=soc, battery_energy_wh=10_000, efficiency=EFFICIENCY,
                discharge_w=outlet.spec.discharge_w,
            )  # fmt: skip
        await self.journal.append([NewEvent(announced, now)])
        await self.status(outlet)
        if outlet.manners.autonomous and rng.random() < 0.5 and outlet.session is None and outlet.pending is None:
            await self.begin(outlet, "card", None)
        await asyncio.sleep(h.lasts)
        outlet.plugged = None
        await self.end(outlet, "EVDisconnected")
        await self.status(outlet)

    # -- the judge --------------------------------------------------------------------------------------------------

    def fault(self, outlet: Outlet) -> None:
        """A station begins to disobey: once per connector and hour the site and its feeder get their time."""
        if self.now_s() - outlet.fault_at_s < FAULT_EVERY_S:
            return
        outlet.fault_at_s = self.now_s()
        self.verdicts.faults += 1
        self.note(f"fault {outlet.key} draws {outlet.power_w:.0f} W, granted {outlet.granted_w:.0f} W")
        for scope in ("", *(scope for scope in self.limit_w if scope and self.hangs_on(outlet, scope))):
            self.grace[scope] = max(self.grace[scope], self.t() + COMPLY_S)

    def hangs_on(self, outlet: Outlet, scope: str) -> bool:
        """On a feeder or a cabinet, or on one that it feeds; everything hangs on the site."""
        node: str | None = self.scenario.spec.node_of[outlet.key]
        while scope and node is not None and node != scope:
            node = self.scenario.spec.node_parents.get(node)
        return not scope or node == scope

    async def judge(self) -> None:
        while True:
            await asyncio.sleep(STEP_S)
            now, now_s, t = self.clock.now(), self.now_s(), self.t()
            for outlet in self.outlets.values():
                if outlet.step(now_s):
                    self.fault(outlet)
            self._limits(now, t)
            for scope, limit in self.limit_w.items():
                members = [o for o in self.outlets.values() if self.hangs_on(o, scope)]
                load = sum(o.power_w for o in members) + (self.base_w if not scope else 0)
                over = load - limit - TOLERANCE_W
                if over <= 0:
                    continue
                if t < self.grace[scope]:
                    self.verdicts.ramping_s += STEP_S
                    continue
                could = sum(o.power_w for o in members if self.stations[o.key.station_id].can_be_told and not self._told_apart(o))
                if min(over, could) > 0:
                    self._breach(f"{scope or 'site'}: {load:.0f} W of {limit:.0f} W; {could:.0f} W could have been told", min(over, could))
            self._bounds(now_s)
            self._exports(t)
            self.verdicts.energy_wh += sum(o.power_w for o in self.outlets.values()) * STEP_S / 3600

    def _told_apart(self, outlet: Outlet) -> bool:
        """Whether this one disobeys and is still being found out: once asked to come down, then stopped. Others make room."""
        return math.isinf(outlet.manners.draws) and self.now_s() - outlet.fault_at_s < 2 * COMPLY_S

    def _limits(self, now: datetime, t: float) -> None:
        spec = self.scenario.spec
        base = {"": spec.contract_w, **spec.nodes}
        for scope, built in base.items():
            mine = [x.value for x in self.journal.state.limits.values() if x.scope_id == scope and x.holds_at(now)]
            value = min([built, *mine])
            if value < self.limit_w[scope] and t > 1:
                self.grace[scope] = max(self.grace[scope], t - STEP_S + COMPLY_S)
            self.limit_w[scope] = value

    def _bounds(self, now_s: float) -> None:
        """Nobody who obeys draws more than the limiter thinks that it may, or is called disobedient."""
        for key, outlet in self.outlets.items():
            grant = self.yard.grants[key]
            if outlet.manners.draws == 1.0 and now_s - outlet.fault_at_s > COMPLY_S and outlet.power_w > grant.bound_w(now_s) + TOLERANCE_W:
                self._breach(f"{key} draws {outlet.power_w:.0f} W, its bound is {grant.bound_w(now_s)} W", 0)
            if outlet.power_w < -grant.gives_bound_w(now_s) - TOLERANCE_W and outlet.manners.gives != "too_much":
                self._breach(f"{key} gives {-outlet.power_w:.0f} W, the most that it may is {grant.gives_bound_w(now_s)} W", 0)
            innocent = outlet.manners.draws == 1.0 and math.isinf(outlet.fault_at_s) and outlet.manners.gives not in ("too_much", "charges")
            if innocent and grant.trust in (ev.TrustLevel.OVERDRAWS, ev.TrustLevel.DEFIANT):
                self._breach(f"{key} obeys and is called {grant.trust}", 0)

    def _exports(self, t: float) -> None:
        """No more flows to the grid than may, and nobody is taken below the reserve."""
        given = -sum(outlet.power_w for outlet in self.outlets.values() if outlet.power_w < 0)
        self.verdicts.given_wh += given * STEP_S / 3600
        over = given - max(0.0, self.base_w) - self.scenario.spec.export_limit_w - TOLERANCE_W
        if given and over > 0 and t >= self.export_grace:
            too_much = sum(-o.power_w for o in self.outlets.values() if o.power_w < 0 and o.manners.gives == "too_much")
            if over > too_much:  # who gives more than it was told is found out, and asked no more
                self._breach(f"{given:.0f} W are given, the site takes {self.base_w:.0f} W", over)
        for key, outlet in self.outlets.items():
            if outlet.least_wh < RESERVE_SOC * BATTERY_WH - 100 and outlet.spec.discharge_w:
                self._breach(f"{key} was taken to {outlet.least_wh / BATTERY_WH:.3f} of its battery", 0)
                outlet.least_wh = math.inf

    def _breach(self, text: str, over: float) -> None:
        self.verdicts.worst_w = max(self.verdicts.worst_w, over)
        self.note(f"BREACH {text}")
        if len(self.verdicts.breaches) < 20:
            self.verdicts.breaches.append(f"t={self.t():.2f} {text}")

    async def site_meter(self) -> None:
        while True:
            if not self.meter_silent:
                total = self.base_w + sum(o.power_w for o in self.outlets.values())
                self.meter.reading = SiteReading(self.clock.now(), round(total))
            await asyncio.sleep(1.0)

    def allocated(self, rows: list[Row], **given: Any) -> Allocation:
        """Stands in front of the real ``allocate`` and judges each answer with the words of the benchmark."""
        result = allocate(rows, **given)
        last = self.yard.last
        held = (last.background.now_w, last.background.unexplained_w) if last is not None else None
        self.note(
            f"allocate site={given['site'].now_w} bound={result.site_bound_w} background={held} base={self.base_w:.0f} {self.loop._sums}"
        )
        self.verdicts.allocations += 1
        state = State(list(rows), [], given["site"], list(given["feeders"]), given["frozen"])
        for text in judge_targets(state, result):
            self._breach(text, 0)
        return result

    # -- the run ----------------------------------------------------------------------------------------------------

    async def run(self) -> Verdicts:
        self.yard.restore(life_s=self.loop.settings.life_s)
        loop_module.allocate = self.allocated  # type: ignore[assignment]
        try:
            async with asyncio.TaskGroup() as self.tasks:
                await self._play()
                for task in asyncio.all_tasks():
                    if task is not asyncio.current_task():
                        task.cancel()
        finally:
            loop_module.allocate = allocate
        self._chatter()
        return self.verdicts

    async def _play(self) -> None:
        self.spawn(self.loop.run(), "loop")
        self.spawn(self.judge(), "judge")
        self.spawn(self.site_meter(), "meter")
        for station in self.stations.values():
            self.spawn(station.work(), f"work {station.id}")
            self.spawn(self.boot(station), f"boot {station.id}")
        for outlet in self.outlets.values():
            self.spawn(self.samples(outlet), f"samples {outlet.key}")
        spells = (Happening(at, kind, 0, sid, lasts) for sid, m in self.scenario.manners.items() for kind, at, lasts in m.spells)
        for h in sorted([*self.scenario.happenings, *spells], key=lambda h: h.at):
            if h.at >= self.scenario.duration_s:
                break
            await asyncio.sleep(max(0.0, h.at - self.t()))
            self.spawn(self.happen(h), h.what)
        await asyncio.sleep(max(0.0, self.scenario.duration_s - self.t()))

    def _chatter(self) -> None:
        for key, at in self.verdicts.writes.items():
            most = max(sum(1 for other in at if 0 <= other - first < 3600) for first in at)
            if most > self.loop.settings.max_writes_per_hour:
                self._breach(f"{key}: {most} changes within an hour that nothing urgent asked for", 0)


def play(scenario: Scenario) -> Verdicts:
    """Run one scenario to its end in virtual time."""

    async def main(clock: VirtualClock) -> Verdicts:
        return await Plant(scenario, clock).run()

    return run_virtual(main, start=START)
