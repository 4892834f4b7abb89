"""The limiter's loop: every second, and at once on urgent events, from facts and readings to moves at the chargers.

    wake / second --> background --> rows --> limiter.allocate --> actions --> Chargers (one task per connector)
                                                                     outcome --> grants --> wake

Knows no planner process and waits for no database when it lowers: a decrease acts first and is recorded after; an
increase is journaled first (invariant 4). One call per connector is outstanding; an urgent decrease overtakes it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from controller import limits, trust
from controller.background import FRESH_S, Background, BackgroundEstimator
from controller.grants import EXPIRY_SKEW_S, IDLE_W, Grant
from controller.limiter import Action, Budget, Move, Row, allocate
from controller.yard import LastAllocation, Yard
from depot import events as ev
from depot.ports import Chargers
from depot.readings import MeterReading
from depot.registry import Current
from depot.state import ConnectorFacts, Visit
from depot.values import ConnectorId, Limit, Outcome, Reason, SafeSetpoints, Setpoint

log = logging.getLogger(__name__)

STARTABLE = frozenset(
    {ev.ConnectorStatus.PREPARING, ev.ConnectorStatus.FINISHING, ev.ConnectorStatus.SUSPENDED_EV, ev.ConnectorStatus.SUSPENDED_EVSE}
)
"""Plugged, and no session: most chargers begin another one for the same vehicle; those that do not, refuse."""

UNSEEN_S = 15.0
"""So long after a level was told the loop looks every second whether the meter has shown it."""

MOVES_S = 30.0
"""So long after a level was told what a charger draws may be anything up to its bound; then it is what its meter shows."""

TAKES_NOTHING_W = 300
"""Below this a vehicle does not charge."""

STEADY_S = 90.0
"""A charger that drew its whole level is held by us, not by its vehicle: its meter value is believed for this long."""

PRESSED_S = 900.0
PRESSED_SHARE = 1.15
"""A vehicle is pressed when it leaves within this multiple of the time that its charging takes at least, plus the seconds."""

PRESSED_FIRST_S = 7 * 86400.0
"""Pressed vehicles are served before all others of their priority, among themselves in the order of departure."""

REMOTE_TAG = "CHARGEYARD"
"""The id tag of sessions that the depot starts for a vehicle without one of its own (20 characters at most in 1.6)."""


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """Times in depot seconds, shares of a whole. ``margin_share`` of the site limit is never planned on. ``pace``:
    how much longer the site's meter may take where depot time runs faster than machines answer (the demo)."""

    period_s: float = 1.0
    life_s: float = 180.0
    refresh_s: float = 90.0
    margin_share: float = 0.01
    max_writes_per_hour: int = 12
    pressed_writes: int = 4
    min_change_s: float = 30.0
    overdue_s: float = 1.0
    start_backoff_s: float = 60.0
    unplanned_grace_s: float = 120.0
    reading_every_s: float = 3.0
    stop_patience_s: float = 60.0
    pace: float = 1.0


@dataclass(slots=True)
class _Traffic:
    """What goes to one connector: calls outstanding, writes of the last hour, back-off after failures."""

    calls: int = 0
    changes: list[float] | None = None
    changed_s: float = -math.inf
    retry_s: float = -math.inf
    failures: int = 0
    asked_reading_s: float = -math.inf
    start_after_s: float = -math.inf
    start_failures: int = 0
    stopping_since_s: float | None = None
    resend: bool = False
    pressed: bool = False


@dataclass(slots=True)
class _Sums:
    """What the chargers' meters and bounds say together, W; the words are those of :meth:`BackgroundEstimator.update`."""

    measured_w: int = 0
    bound_w: int = 0
    quiet: bool = True
    oldest_s: float = math.inf
    sure_w: int = 0
    settled_w: int = 0


class NoChargers:
    """Nobody is reachable: what the loop talks to until the charger side is attached."""

    def connected(self, station_id: str) -> bool:
        return False

    async def apply(self, setpoints: SafeSetpoints) -> Sequence[Outcome]:
        return [Outcome.OFFLINE for _ in setpoints]

    async def start(self, setpoint: Setpoint, id_tag: str) -> Outcome:
        return Outcome.OFFLINE

    async def stop(self, connector: ConnectorId, transaction_id: int) -> Outcome:
        return Outcome.OFFLINE

    async def install_default(self, connector: ConnectorId, level_w: int) -> Outcome:
        return Outcome.OFFLINE

    async def set_operative(self, connector: ConnectorId, operative: bool) -> Outcome:
        return Outcome.OFFLINE

    async def request_reading(self, connector: ConnectorId) -> Outcome:
        return Outcome.OFFLINE


class ControlLoop:
    """Owns the tasks that talk to chargers. ``on_change`` is called after every allocation (the views, the chart)."""

    def __init__(
        self, yard: Yard, settings: LoopSettings, *, chargers: Chargers | None = None, on_change: Callable[[], None] | None = None
    ) -> None:
        self.on_session: Callable[[ConnectorId, bool], None] = lambda _key, _started: None
        self.yard = yard
        self.chargers: Chargers = chargers if chargers is not None else NoChargers()
        self.settings = settings
        self.on_change = on_change
        self.ticks = 0
        self.tick_s = 0.0
        self._wake = asyncio.Event()
        self._dirty = True
        self._recheck_s = -math.inf
        self._used = Background(0)
        self._sums = _Sums()
        self._feeder_index = {feeder.feeder_id: i for i, feeder in enumerate(yard.spec.feeders)}
        self._feeder_of = {key: self._feeder_index[name] for key, name in yard.spec.feeder_of.items()}
        self._built_in = limits.built_in(yard.spec)
        self._traffic = {key: _Traffic() for key in yard.spec.connectors}
        self._estimator = BackgroundEstimator(yard.spec.worst_background_w, yard.spec.metered, settings.pace)
        self._tasks: asyncio.TaskGroup | None = None
        self._blind_since: datetime | None = None
        self.urgent_limits: dict[str, Limit] = {}
        """Limits that act already but are not journaled yet (invariant 4: tight at once)."""

    # -- lifetime -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled. An exception in here is a broken promise: it ends the core, which is restarted."""
        async with asyncio.TaskGroup() as self._tasks:
            self._tasks.create_task(self._seconds(), name="limiter-seconds")
            while True:
                await self._wake.wait()
                self._wake.clear()
                started = asyncio.get_running_loop().time()
                self._tick()
                self.tick_s = asyncio.get_running_loop().time() - started

    async def _seconds(self) -> None:
        while True:
            await self.yard.clock.sleep(self.settings.period_s)
            self.ticks += 1
            self._wake.set()

    def wake(self) -> None:
        """Something changed that the limiter must see now."""
        self._dirty = True
        self._wake.set()

    def follow_up(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Work that nobody waits for, owned by the loop."""
        self._spawn(work, name)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        if self._tasks is None:
            work.close()
            raise RuntimeError("the control loop is not running")
        self._tasks.create_task(work, name=name)

    # -- what the world tells -----------------------------------------------------------------------------------

    def reading(self, reading: MeterReading) -> None:
        """A meter value: newest wins. Judged for obedience at once; replayed values never drive control."""
        key = reading.connector
        grant = self.yard.grants.get(key)
        if grant is None or reading.replayed:
            return
        old = self.yard.readings.get(key)
        if old is not None and reading.received_at < old.received_at:
            return
        self.yard.readings[key] = _merged(old, reading)
        if reading.power_w is None:
            return
        now_s = reading.received_at.timestamp()
        settling = bool(grant.settling)
        grant.measured(reading.power_w, at_s=now_s)
        self._sums_changed()
        visit = self.yard.visit_on(key)
        verdict = trust.judge(grant, pausable=self.yard.pausable(key, visit))
        if verdict is not None:
            grant.judged(verdict.trust, verdict.factor)  # tight at once, recorded after
            if verdict.trust is not ev.TrustLevel.OBEYS:
                log.warning("connector %s %s", key, verdict.reason)
            self.note(ev.ConnectorTrustChanged(key, verdict.trust, verdict.factor, verdict.reason))
            self.wake()
        self._follow_acceptance(key, grant, reading)
        if settling and not grant.settling:
            self.wake()

    def _follow_acceptance(self, key: ConnectorId, grant: Grant, reading: MeterReading) -> None:
        """A vehicle that takes clearly less than it may (taper, cold pack, full) frees what it leaves."""
        expected = grant.expected_w()
        spec = self.yard.spec.connectors[key]
        if expected is None or not expected or reading.power_w is None or grant.measured_at_s < grant.told_at_s + grant.settle_s + 5:
            return
        before = self.yard.acceptance_w.get(key)
        expected = round(expected * self._phase_share(key, reading.power_w, expected))
        if reading.power_w < TAKES_NOTHING_W:
            self.yard.acceptance_w.pop(key, None)  # nothing is said of what it would take: full, asleep, or the level is too low
        elif reading.power_w < 0.85 * expected - 500:
            self.yard.acceptance_w[key] = max(spec.min_w, round(reading.power_w * 1.1) + 1000)
        elif before is not None and reading.power_w > 0.95 * min(expected, before):
            self.yard.acceptance_w[key] = round(before * 1.25) + 1000
            if self.yard.acceptance_w[key] >= spec.rated_w:
                del self.yard.acceptance_w[key]
        if reading.power_w < TAKES_NOTHING_W:
            self.yard.full_since.setdefault(key, reading.received_at)
        else:
            self.yard.full_since.pop(key, None)
        if self.yard.acceptance_w.get(key) != before:
            self._dirty = True

    def _phase_share(self, key: ConnectorId, power_w: int, level_w: int) -> float:
        """Part of a three-phase level that the vehicle draws: a third or two thirds where its meter says so."""
        spec = self.yard.spec.connectors[key]
        if spec.current is not Current.AC or len(spec.phases) not in (0, 3):
            return 1.0
        ratio = power_w / level_w
        for phases in (1, 2):
            if abs(ratio - phases / 3) < 0.05:
                if self.yard.phase_share.get(key) != phases / 3:
                    self.yard.phase_share[key] = phases / 3
                    self.wake()
                return phases / 3
        if ratio > 0.8:
            self.yard.phase_share.pop(key, None)
        return self.yard.phase_share.get(key, 1.0)

    def session_started(self, key: ConnectorId) -> None:
        """A transaction runs: whatever level its start carried is sent again as its own profile."""
        grant = self.yard.grants[key]
        grant.session_started(now_s=self._now_s())
        self._traffic[key].resend = True
        self._traffic[key].start_failures = 0
        self._forget_vehicle(key)
        self.on_session(key, True)
        self.wake()

    def session_ended(self, key: ConnectorId) -> None:
        self.yard.grants[key].session_ended(now_s=self._now_s())
        self._forget_vehicle(key)
        self._traffic[key].start_after_s = self._now_s() + 5
        self._traffic[key].stopping_since_s = None
        self._sums_changed()
        self.on_session(key, False)
        self.wake()

    def _forget_vehicle(self, key: ConnectorId) -> None:
        self.yard.acceptance_w.pop(key, None)
        self.yard.full_since.pop(key, None)
        self.yard.phase_share.pop(key, None)

    def station_restarted(self, station_id: str) -> None:
        """It says so itself: from now on none of its profiles is relied on."""
        for key, grant in self.yard.grants.items():
            if key.station_id == station_id:
                grant.forgotten(now_s=self._now_s())
        self.wake()

    def station_ready(self, station_id: str, *, booted: bool, defaults: dict[ConnectorId, int]) -> None:
        """The station takes calls: install the defaults it lacks, then send the live levels again."""
        now_s = self._now_s()
        for key, level_w in defaults.items():
            grant = self.yard.grants[key]
            grant.commissioned = True
            if booted:
                grant.forgotten(now_s=now_s)
            traffic = self._traffic[key]
            traffic.resend = True
            traffic.failures = 0
            traffic.retry_s = -math.inf
            if grant.default_w != level_w:
                self._call(key, self._install_default(key, level_w), f"default {key}")
        self.wake()

    def _now_s(self) -> float:
        return self.yard.clock.now().timestamp()

    def _sums_changed(self) -> None:
        self._recheck_s = -math.inf

    # -- one look -----------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = self.yard.clock.now()
        now_s = now.timestamp()
        if self._dirty or now_s >= self._recheck_s:
            self._sums = self._sum(now_s)
        background = self._background(now_s)
        moved = background.now_w > self._used.now_w + 200 or background.now_w < self._used.now_w - 2000
        moved = moved or background.unexplained_w != self._used.unexplained_w or background.blind != self._used.blind
        moved = moved or background.stale != self._used.stale or background.suspected_w != self._used.suspected_w
        self._ask_readings(now_s, everybody=background.doubt)
        if not (self._dirty or moved or now_s >= self._recheck_s):
            return
        self._dirty = False
        self._used = background
        pending = self._decide(now, now_s, background)
        self._recheck_s = now_s + (1.0 if pending else 5.0) - 0.01
        if self.on_change is not None:
            self.on_change()

    def _sum(self, now_s: float) -> _Sums:
        sums = _Sums()
        for grant in self.yard.grants.values():
            if grant.idle:
                continue
            bound = grant.bound_w(now_s)
            sums.bound_w += bound
            if not grant.in_session:
                continue
            drawn = min(grant.measured_w or 0, bound)  # an old value may stem from a profile that has expired
            sums.measured_w += drawn
            if drawn > IDLE_W:
                sums.oldest_s = min(sums.oldest_s, grant.measured_at_s)
            moves = grant.changing or grant.settling or grant.unseen()
            if moves and now_s - grant.told_at_s <= MOVES_S:
                sums.quiet = False
                sums.settled_w += bound
                continue
            sums.settled_w += drawn
            if now_s - grant.measured_at_s <= (STEADY_S if drawn >= 0.9 * (grant.confirmed_w or 0) else FRESH_S * self.settings.pace):
                sums.sure_w += drawn
        return sums

    def _background(self, now_s: float) -> Background:
        reading = self.yard.site_reading
        return self._estimator.update(
            now_s=now_s,
            meter_w=reading.power_w if reading is not None else None,
            meter_at_s=reading.at.timestamp() if reading is not None else -math.inf,
            measured_w=self._sums.measured_w,
            bound_w=self._sums.bound_w,
            quiet=self._sums.quiet,
            oldest_s=self._sums.oldest_s,
            sure_w=self._sums.sure_w,
            settled_w=self._sums.settled_w,
        )

    def limits_in_force(self) -> list[Limit]:
        """Every limit that may bind: built-in, journaled, and the fail-safe one while the meter is blind."""
        found = [*self._built_in, *self.yard.state.limits.values(), *self.urgent_limits.values()]
        if self._used.blind:
            found.append(limits.failsafe(self.yard.spec, self._blind_since or self.yard.clock.now()))
        return found

    def _decide(self, now: datetime, now_s: float, background: Background) -> bool:
        self._blind_since = (self._blind_since or now) if background.blind else None
        in_force = self.limits_in_force()
        life = timedelta(seconds=self.settings.life_s + EXPIRY_SKEW_S)
        site = limits.budget(in_force, "", now=now, life=life)
        margin = math.ceil(site.now_w * self.settings.margin_share)
        held = background.now_w + max(background.unexplained_w, background.suspected_w) + margin
        site_budget = Budget(site.now_w - held, site.window_w - held)
        feeder_budgets = []
        for feeder in self.yard.spec.feeders:
            allowed = limits.budget(in_force, feeder.feeder_id, now=now, life=life)
            kept = background.unexplained_w + math.ceil(allowed.now_w * self.settings.margin_share)
            feeder_budgets.append(Budget(allowed.now_w - kept, allowed.window_w - kept))
        rows = self._rows(now, now_s)
        result = allocate(rows, site=site_budget, feeders=feeder_budgets, frozen=self.yard.journal.frozen)
        self.yard.last = LastAllocation(
            now, rows, result, background, site.now_w, {row.key: i for i, row in enumerate(rows)}, [b.now_w for b in feeder_budgets]
        )
        pending = result.site_short_w > 0 or any(result.feeder_short_w)
        raises: list[Action] = []
        stopping = {action.row for action in result.actions if action.move is Move.STOP}
        for i, row in enumerate(rows):
            if row.on_off and i not in stopping:
                self._traffic[row.key].stopping_since_s = None
        for action in result.actions:
            if action.move in (Move.RAISE, Move.START):
                raises.append(action)
            else:
                self._move(rows[action.row], action, now_s)
            pending = True
        if raises:
            self._raise(rows, raises, now, now_s)
        return pending or any(
            g.settling or g.flights or (g.unseen() and now_s < g.told_at_s + UNSEEN_S) for g in self.yard.grants.values() if g.in_session
        )

    # -- rows ---------------------------------------------------------------------------------------------------

    def _rows(self, now: datetime, now_s: float) -> list[Row]:
        rows = []
        state = self.yard.state
        present = self.yard.present_visits()
        for key, grant in self.yard.grants.items():
            visit = present.get(key)
            if visit is None and grant.idle:
                continue
            bound = grant.bound_w(now_s)
            if not bound and not grant.in_session and visit is None:
                continue
            spec = self.yard.spec.connectors[key]
            facts = state.connector(key)
            reachable = self.chargers.connected(key.station_id)
            traffic = self._traffic[key]
            row = Row(key, self._feeder_of[key], spec.rated_w, spec.min_w, told_w=grant.told_w, bound_w=bound)
            row.resting_w = grant.resting_w()
            row.default_w = spec.rated_w if grant.default_w is None else grant.default_w
            row.factor = grant.factor
            row.session = grant.in_session
            row.reachable = reachable
            row.pausable = self.yard.pausable(key, visit)
            row.on_off = grant.all_or_nothing
            row.startable = not grant.in_session and self._startable(key, facts, visit, now_s) and reachable
            row.ceiling_w = self._ceiling(key, grant, visit, now)
            if grant.doubted_w is not None and grant.in_session and not row.on_off:  # does it follow a lower level?
                row.ceiling_w = min(row.ceiling_w, max(spec.min_w, round(0.7 * grant.doubted_w / grant.factor)))
            row.plan_w = self._plan_w(visit, now, grant.factor)
            due = visit.announced.depart_at.timestamp() if visit is not None else math.inf
            awake = visit is not None and row.ceiling_w > 0 and not self.yard.asleep(key, now)
            traffic.pressed = awake and visit is not None and self._pressed(visit, row, due - now_s)
            if traffic.pressed:
                row.plan_w = -1
                due -= PRESSED_FIRST_S
            row.rank = (-(visit.announced.priority if visit is not None else 0), due)
            if self.yard.asleep(key, now):
                row.rank = (math.inf, due)
            if grant.in_session:
                row.stuck = self._overdue(grant, traffic, now_s)
                row.renew = traffic.calls == 0 and now_s >= traffic.retry_s and self._renewal_due(grant, traffic, now_s)
                row.calm = row.renew or (traffic.calls == 0 and now_s >= traffic.retry_s and self._quota(traffic, now_s))
            else:
                row.calm = traffic.calls == 0
            rows.append(row)
        return rows

    def _overdue(self, grant: Grant, traffic: _Traffic, now_s: float) -> bool:
        """Whether others must make room for it: told to come down, or to stop, and not seen to."""
        if grant.all_or_nothing:
            return traffic.stopping_since_s is not None and now_s - traffic.stopping_since_s > self.settings.overdue_s
        return grant.overdue(now_s, patience_s=self.settings.overdue_s)

    def _startable(self, key: ConnectorId, facts: ConnectorFacts, visit: Visit | None, now_s: float) -> bool:
        grant = self.yard.grants[key]
        return (
            visit is not None
            and facts.operative
            and facts.status in STARTABLE
            and not visit.held
            and not grant.flights
            and grant.default_w is not None
            and now_s >= self._traffic[key].start_after_s
            and not self.yard.complete(visit)
            and self.yard.remaining_wh(visit) > 0.005 * visit.needed_wh
        )

    def _ceiling(self, key: ConnectorId, grant: Grant, visit: Visit | None, now: datetime) -> int:
        spec = self.yard.spec.connectors[key]
        facts = self.yard.state.connector(key)
        if not facts.operative:
            return 0
        if visit is None:
            return spec.rated_w if grant.in_session else 0
        if visit.held or self.yard.complete(visit):
            return 0
        if self.yard.full(visit, now):
            return 0
        if self.yard.asleep(key, now) and not grant.all_or_nothing:
            return spec.min_w
        ceiling = visit.announced.max_w or spec.rated_w
        accepts = self.yard.acceptance_w.get(key)
        if accepts is not None:
            ceiling = min(ceiling, accepts)
        return max(min(spec.rated_w, round(ceiling / self.yard.phase_share.get(key, 1.0))), spec.min_w)

    def _pressed(self, visit: Visit, row: Row, left_s: float) -> bool:
        """Whether a vehicle has no time left to wait in: even at all that it takes it is ready only just before it
        leaves. Departures come before the bill, so a plan holds it back no longer, and it is not let go again before
        it has time to spare: else it would lose its turn whenever it had caught up a little."""
        remaining_wh = self.yard.remaining_wh(visit)
        takes_w = row.ceiling_w * self.yard.phase_share.get(row.key, 1.0)
        spare_s = left_s - remaining_wh * 3600 / takes_w * PRESSED_SHARE
        return remaining_wh > 0 and spare_s < (4 * PRESSED_S if self._traffic[row.key].pressed else PRESSED_S)

    def _plan_w(self, visit: Visit | None, now: datetime, factor: float) -> int:
        plan = self.yard.plan
        if plan is None or now >= plan.expires_at:
            return -1
        if visit is None:
            return -1
        planned = plan.power_at(visit.visit_id, now)
        if planned is not None:
            share = self.yard.phase_share.get(visit.connector, 1.0) if visit.connector is not None else 1.0
            return round(planned / share / factor)  # it draws a multiple of its level: the plan means what is drawn
        age = now - max(plan.made_at, visit.announced.arrive_at)
        return 0 if age < timedelta(seconds=self.settings.unplanned_grace_s) else -1

    def _quota(self, traffic: _Traffic, now_s: float) -> bool:
        """Invariant 11: changes that nothing urgent asks for are spaced and counted per hour."""
        if now_s - traffic.changed_s < self.settings.min_change_s:
            return False
        if traffic.changes is None:
            return True
        traffic.changes = [at for at in traffic.changes if now_s - at < 3600]
        kept = 0 if traffic.pressed else self.settings.pressed_writes
        return len(traffic.changes) < self.settings.max_writes_per_hour - kept

    def _renewal_due(self, grant: Grant, traffic: _Traffic, now_s: float) -> bool:
        if traffic.resend:
            return True
        if grant.confirmed_w != grant.told_w:
            return True
        if grant.told_w == grant.default_w:
            return False  # what it falls to is what it has
        return grant.confirmed_until_s - EXPIRY_SKEW_S - now_s <= self.settings.life_s - self.settings.refresh_s

    # -- moves --------------------------------------------------------------------------------------------------

    def _setpoint(self, row: Row, level_w: int, now: datetime) -> Setpoint:
        transaction = self.yard.state.transaction_on(row.key)
        until = now + timedelta(seconds=self.settings.life_s)
        last = self.yard.last
        reason: tuple[Reason, ...] = ()
        if last is not None and row.key in last.index:
            why = last.allocation.because[last.index[row.key]]
            reason = (Reason(why, level_w, why.value, binding=True),)
        return Setpoint(row.key, level_w, until, reason, transaction.transaction_id if transaction is not None else None)

    def _move(self, row: Row, action: Action, now_s: float) -> None:
        grant = self.yard.grants[row.key]
        traffic = self._traffic[row.key]
        now = datetime.fromtimestamp(now_s, UTC)
        if action.move is Move.STOP:
            if traffic.calls or now_s < traffic.retry_s:
                return
            traffic.retry_s = now_s + 10
            if traffic.stopping_since_s is None:
                traffic.stopping_since_s = now_s
            defies = now_s - traffic.stopping_since_s > self.settings.stop_patience_s
            work = self._out_of_service(row.key) if defies and self.yard.state.connector(row.key).operative else self._stop(row.key)
            self._call(row.key, work, f"stop {row.key}")
            return
        if action.urgent and traffic.calls and grant.told_w == action.level_w:
            return  # this very level is on its way
        setpoint = self._setpoint(row, action.level_w, now)
        if action.level_w != grant.told_w and not row.renew:
            self._count(traffic, now_s)  # what rides on a renewal is no write of its own
        number = grant.send(action.level_w, until_s=setpoint.until.timestamp(), now_s=now_s)
        traffic.resend = False
        lower = action.move is Move.LOWER
        self._call(row.key, self._apply(setpoint, number, lower=lower), f"{action.move} {row.key}", wakes=lower)

    def _raise(self, rows: list[Row], actions: list[Action], now: datetime, now_s: float) -> None:
        """Increases and starts: counted at once, journaled together, sent only then."""
        sends: list[tuple[Setpoint, int, bool]] = []
        for action in actions:
            row = rows[action.row]
            grant = self.yard.grants[row.key]
            traffic = self._traffic[row.key]
            setpoint = self._setpoint(row, action.level_w, now)
            start = action.move is Move.START
            number = grant.send(action.level_w, until_s=setpoint.until.timestamp(), now_s=now_s)
            if not row.renew:
                self._count(traffic, now_s)
            traffic.resend = False
            traffic.calls += 1
            sends.append((setpoint, number, start))
        self._spawn(self._raise_after_append(sends, now), "increases")

    async def _raise_after_append(self, sends: list[tuple[Setpoint, int, bool]], now: datetime) -> None:
        granted = [ev.NewEvent(ev.SetpointGranted(s.connector, s.level_w, s.until), now) for s, _, _ in sends]
        try:
            await self.yard.journal.append(granted)
        finally:
            for setpoint, _, _ in sends:
                self._traffic[setpoint.connector].calls -= 1
        for setpoint, number, start in sends:
            key = setpoint.connector
            grant = self.yard.grants[key]
            if grant.told_w != setpoint.level_w or not any(f.number == number for f in grant.flights):
                grant.refused(number)  # a decrease overtook it while it was being journaled
                continue
            if start:
                self._call(key, self._start(setpoint, number), f"start {key}")
            else:
                self._call(key, self._apply(setpoint, number, lower=False), f"raise {key}")
        self.wake()

    def _count(self, traffic: _Traffic, now_s: float) -> None:
        traffic.changed_s = now_s
        traffic.changes = [*(traffic.changes or []), now_s]

    def _call(self, key: ConnectorId, work: Coroutine[Any, Any, None], name: str, *, wakes: bool = True) -> None:
        """Work that talks to ``key``'s charger. ``wakes`` False: what it changes, it tells the loop itself."""

        async def counted() -> None:
            traffic = self._traffic[key]
            traffic.calls += 1
            try:
                await work
            finally:
                traffic.calls -= 1
                if wakes:
                    self.wake()

        self._spawn(counted(), name)

    def _answered(self, key: ConnectorId, outcome: Outcome) -> None:
        """Back off from a charger that refuses or does not answer; the bound stays where it is."""
        traffic = self._traffic[key]
        if outcome is Outcome.ACCEPTED:
            traffic.failures = 0
            traffic.retry_s = -math.inf
            return
        traffic.failures += 1
        traffic.retry_s = self._now_s() + min(60.0, 2.0 * 2 ** min(traffic.failures, 5))

    async def _apply(self, setpoint: Setpoint, number: int, *, lower: bool) -> None:
        key = setpoint.connector
        grant = self.yard.grants[key]
        (outcome,) = await self.chargers.apply(SafeSetpoints((setpoint,)))
        now_s = self._now_s()
        self._answered(key, outcome)
        if outcome is not Outcome.ACCEPTED:
            self.wake()  # a renewal that was accepted changes nothing, everything else does
        if outcome is Outcome.ACCEPTED:
            grant.accepted(number, now_s=now_s)
            if grant.settling:
                self._spawn(self._look(key, grant.settle_s), f"look {key}")
            if lower:
                self.note(ev.SetpointLowered(key, setpoint.level_w, setpoint.until))
        elif outcome.certain:
            grant.refused(number)

    async def _start(self, setpoint: Setpoint, number: int) -> None:
        key = setpoint.connector
        visit = self.yard.visit_on(key)
        tag = (visit.announced.id_tag if visit is not None else "") or REMOTE_TAG
        outcome = await self.chargers.start(setpoint, tag)
        grant = self.yard.grants[key]
        traffic = self._traffic[key]
        traffic.start_after_s = self._now_s() + self.settings.start_backoff_s * 2 ** min(traffic.start_failures, 5)
        traffic.start_failures += 1
        if outcome is not Outcome.ACCEPTED and outcome.certain:
            grant.refused(number)
            if not grant.in_session:
                grant.told_w = 0

    async def _stop(self, key: ConnectorId) -> None:
        transaction = self.yard.state.transaction_on(key)
        if transaction is not None:
            self._answered(key, await self.chargers.stop(key, transaction.transaction_id))

    def end_session(self, key: ConnectorId) -> None:
        """A session that may not be: its transaction is stopped as soon as its start has been answered."""
        self._call(key, self._stop(key), f"stop {key}")

    async def _out_of_service(self, key: ConnectorId) -> None:
        """It follows no limit and no stop: nobody shall charge there until a person has looked (invariant 1)."""
        reason = f"went on drawing {self.settings.stop_patience_s:.0f} s after it was told to stop"
        log.error("connector %s %s: taken out of service", key, reason)
        await self._record(ev.NewEvent(ev.ConnectorAvailabilitySet(key, False, reason), self.yard.clock.now()))
        await self.chargers.set_operative(key, False)

    async def _install_default(self, key: ConnectorId, level_w: int) -> None:
        grant = self.yard.grants[key]
        outcome = await self.chargers.install_default(key, level_w)
        now_s = self._now_s()
        if outcome is Outcome.ACCEPTED:
            grant.default_installed(level_w, now_s=now_s)
            if self.yard.state.connector(key).default_w != level_w:
                self.note(ev.DefaultInstalled(key, level_w))
        elif outcome in (Outcome.UNSUPPORTED, Outcome.REFUSED):
            grant.default_installed(None, now_s=now_s)
            self.note(ev.DefaultInstalled(key, None))
            log.warning("connector %s takes no default profile (%s): counted at its rating, %d W", key, outcome, grant.rated_w)
        elif self.chargers.connected(key.station_id):
            await self.yard.clock.sleep(5)
            self._call(key, self._install_default(key, level_w), f"default {key}")

    def note(self, event: ev.Event) -> None:
        """Record what has already been done; nothing waits for it, not even while the journal is frozen."""
        self._spawn(self._record(ev.NewEvent(event, self.yard.clock.now())), f"record {event.TYPE}")

    async def _record(self, event: ev.NewEvent) -> None:
        await self.yard.journal.append([event])

    def _ask_readings(self, now_s: float, *, everybody: bool) -> None:
        for key, grant in self.yard.grants.items():
            if not grant.in_session:
                continue
            look_s = grant.look_due_s(now_s)
            if look_s is None and not (everybody and now_s - grant.measured_at_s >= 1.0):
                continue
            asked_s = self._traffic[key].asked_reading_s
            if now_s - asked_s < self.settings.reading_every_s and (look_s is None or asked_s >= look_s):
                continue
            if self.chargers.connected(key.station_id):
                self._traffic[key].asked_reading_s = now_s
                self._spawn(self._ask(key), f"reading {key}")

    async def _look(self, key: ConnectorId, after_s: float) -> None:
        """See at the very end of the settle time whether it came down: others may have to make room for it."""
        await self.yard.clock.sleep(after_s)
        self._ask_readings(self._now_s(), everybody=False)

    async def _ask(self, key: ConnectorId) -> None:
        await self.chargers.request_reading(key)


def _merged(old: MeterReading | None, new: MeterReading) -> MeterReading:
    """The newest of every measurand: a sample need not carry all of them."""
    if old is None:
        return new
    return MeterReading(
        new.connector,
        new.received_at,
        new.reported_at,
        new.power_w if new.power_w is not None else old.power_w,
        new.energy_wh if new.energy_wh is not None else old.energy_wh,
        new.soc if new.soc is not None else old.soc,
        new.pack_temp_c if new.pack_temp_c is not None else old.pack_temp_c,
        new.current_a if new.current_a is not None else old.current_a,
        new.voltage_v if new.voltage_v is not None else old.voltage_v,
        new.transaction_id if new.transaction_id is not None else old.transaction_id,
    )
