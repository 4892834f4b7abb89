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
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from controller import appetite, feeder_tree, giving, limits, trust
from controller.allocation import Action, Budget, Move, Row
from controller.apparent import Apparent
from controller.background import Background, BackgroundEstimator
from controller.claims import Budgets, Claims
from controller.clock_doubt import widened
from controller.comeback import Comeback
from controller.discharge import Discharge
from controller.grants import EXPIRY_SKEW_S, Grant
from controller.limiter import allocate
from controller.moves import Moves, NoChargers
from controller.pickup import Pickup
from controller.rows import Rows
from controller.storage_account import StorageBook
from controller.sums import Sums, summed
from controller.traffic import LoopSettings, Traffic
from controller.yard import LastAllocation, Yard
from depot import events as ev
from depot.ports import Chargers
from depot.readings import MeterReading
from depot.registry import DepotSpec
from depot.values import ConnectorId, Limit

log = logging.getLogger(__name__)

STALL_S = 5.0
"""A loop that was not run for so much longer than its period was stopped or starved (loop time)."""

SETTLED_AFTER_STALL_S = 10.0
"""Meter values that come so soon after that may have waited since before it, whatever time they are given."""

WAITED_S = 2.0
"""A meter value that waited longer on its way counts as measured when it was taken; less is a clock's own coarseness."""

UNSEEN_S = 15.0
"""So long after a level was told something counts as under way until the meter has shown it."""

CALM_S = 10.0
"""While nothing happens the loop decides this often: renewals, plan slots and ready vehicles can wait so long."""

PAUSE_TICKS = 4.0
"""After a look that was not urgent the next one that is not waits so many times as long as the last one took, …"""

PAUSE_MOST_S = 0.25
"""… but never longer."""

GIVES_MARGIN = 0.05
"""Of what may be given, this share is left: meters differ by more where two flows nearly cancel."""


class ControlLoop:
    """Owns the tasks that talk to chargers. ``on_change`` is called after every allocation (the views, the chart)."""

    def __init__(
        self, yard: Yard, settings: LoopSettings, *, chargers: Chargers | None = None, on_change: Callable[[], None] | None = None
    ) -> None:
        self.on_session: Callable[[ConnectorId, bool], None] = lambda _key, _started: None
        self.on_ready: list[Callable[[str], None]] = []
        """Called with the id of a station that takes calls (again)."""
        self.on_reading: list[Callable[[MeterReading], None]] = []
        """Called with every meter value of a known connector that is not replayed."""
        self.on_distrust: list[Callable[[ConnectorId], None]] = []
        """Called when a meter value was a surprise."""
        self.on_expiry: Callable[[ConnectorId, bool], None] = lambda _key, _falls_back: None
        """Called when the meter has shown what a station does once a live profile has expired, and it is news."""
        self.yard = yard
        self.settings = settings
        self.on_change = on_change
        self.ticks = 0
        self.tick_s = 0.0
        self._ticked_s = -math.inf
        self._waking: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._alive_s: float | None = None
        self._judges_from_s = -math.inf
        self._dirty = True
        self._resum = True
        self._recheck_s = -math.inf
        self._used = Background(0)
        self._sums = Sums()
        self._budgets = Budgets()
        self._built_in = limits.built_in(yard.spec)
        self._bidirectional = any(spec.discharge_w for spec in yard.spec.connectors.values())
        self._traffic = {key: Traffic() for key in yard.spec.connectors}
        self._moves = Moves(yard, settings, self._traffic, chargers=chargers if chargers is not None else NoChargers(), wake=self.wake_soon)
        self._rows = Rows(yard, settings, self._traffic, reachable=lambda station_id: self.chargers.connected(station_id))
        self._own_use = giving.OwnUse(settings.pace)
        self._takes_w: int | None = None
        self._estimator = BackgroundEstimator(yard.spec.worst_background_w, yard.spec.metered, settings.pace)
        self._blind_since: datetime | None = None
        self.claims = Claims(yard, budgets=lambda: self._budgets, changed=self._recount)
        self.pickup = yard.pickup = Pickup(settings.pickup, yard.spec.contract_w, Random(f"{yard.spec.depot_id}/pickup"))  # noqa: S311  # no secret
        self.comeback = Comeback(settings.comeback, yard.spec.contract_w, Random(f"{yard.spec.depot_id}/comeback"))  # noqa: S311  # no secret
        self.clock_off_s = 0.0
        """How far the machine's clock is ahead of depot time, where that is more than drift."""
        self.storages = StorageBook()
        """Stationary batteries: what they draw and give counts here, their orders are :mod:`controller.assets_room`'s."""
        self.limit_sources: dict[str, Callable[[datetime], Sequence[Limit]]] = {}
        """Limits that are kept elsewhere, by who keeps them: the utility's link, the generator, the limit book."""
        self.override: Callable[[list[Limit], datetime], list[Limit]] = lambda found, _now: found
        """Raises those of all limits that a person's override lifts for a while."""
        self._apparent = Apparent(yard.spec)
        self.soft_sources: dict[str, Callable[[datetime], Sequence[Limit]]] = {}
        """Limits that bind the limiter only: the plan, which knows what they would cost, is not held to them."""
        self.urgent_limits: dict[str, Limit] = {}
        """Limits that act already but are not journaled yet (invariant 4: tight at once)."""

    @property
    def chargers(self) -> Chargers:
        """The charger side that is attached."""
        return self._moves.chargers

    @chargers.setter
    def chargers(self, chargers: Chargers) -> None:
        self._moves.chargers = chargers

    # -- lifetime -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled. An exception in here is a broken promise: it ends the core, which is restarted."""
        async with asyncio.TaskGroup() as tasks:
            self._moves.owned_by(tasks)
            tasks.create_task(self._seconds(), name="limiter-seconds")
            while True:
                await self._wake.wait()
                self._wake.clear()
                started = asyncio.get_running_loop().time()
                self._tick()
                self._ticked_s = asyncio.get_running_loop().time()
                self.tick_s = self._ticked_s - started

    async def _seconds(self) -> None:
        while True:
            await self.yard.clock.sleep(self.settings.period_s)
            self._stalled()
            self._alive_s = asyncio.get_running_loop().time()
            self.ticks += 1
            self._wake.set()

    def _stalled(self) -> bool:
        """Whether this process was stopped a moment ago: what its sockets kept meanwhile is old, and says nothing about
        who obeys what holds now."""
        if self._alive_s is None:
            return False
        at_s = asyncio.get_running_loop().time()
        if at_s - self._alive_s > self.settings.period_s + STALL_S:
            log.warning("the controller stood still for %.0f s", at_s - self._alive_s)
            self._alive_s = at_s
            self._judges_from_s = at_s + SETTLED_AFTER_STALL_S
        return at_s < self._judges_from_s

    def wake(self) -> None:
        """Something changed that the limiter must see now."""
        self._dirty = True
        self._wake.set()

    def wake_soon(self) -> None:
        """Something changed that happens to a whole depot at once when its network or its power comes back: in a large one the
        limiter sees it with what else has come, and leaves most of the time to the stations that all want their answers."""
        self._dirty = True
        running = asyncio.get_running_loop()
        pause_s = min(PAUSE_MOST_S, PAUSE_TICKS * self.tick_s) - (running.time() - self._ticked_s)
        if pause_s <= 0:
            self._wake.set()
        elif self._waking is None:
            self._waking = running.call_later(pause_s, self._woken)

    def _woken(self) -> None:
        self._waking = None
        self._wake.set()

    def storages_heard(self) -> None:
        """Stationary batteries said something, or fell silent."""
        self._resum = True

    def _recount(self) -> None:
        self._resum = True
        self.wake()

    def follow_up(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Work that nobody waits for, owned by the loop."""
        self._moves.spawn(work, name)

    def note(self, event: ev.Event) -> None:
        """Record what has already been done."""
        self._moves.note(event)

    def end_session(self, key: ConnectorId) -> None:
        """A session that may not be: it is stopped."""
        self._moves.end_session(key)

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
        self.yard.readings[key] = appetite.merged(old, reading)
        if reading.soc is not None:
            self.yard.soc[key] = (reading.soc, reading.received_at)
        for told in self.on_reading:
            told(reading)
        if reading.power_w is None:
            return
        now_s = reading.received_at.timestamp()
        if reading.waited_s > WAITED_S:
            now_s -= reading.waited_s  # behind a call that the journal kept waiting: it tells what was, not what is
        settling = bool(grant.settling)
        grant.measured(reading.power_w, at_s=now_s)
        self._resum = True
        if reading.power_w > grant.permitted_w(now_s):
            self._dirty = True
        if self._stalled():
            return
        visit = self.yard.visit_on(key)
        self._learn_from_expiry(key, grant)
        verdict = trust.judge(grant, pausable=self.yard.pausable(key, visit))
        if verdict is not None:
            grant.judged(verdict.trust, verdict.factor)  # tight at once, recorded after
            if verdict.trust is not ev.TrustLevel.OBEYS:
                log.warning("connector %s %s", key, verdict.reason)
                for surprised in self.on_distrust:
                    surprised(key)
            self.note(ev.ConnectorTrustChanged(key, verdict.trust, verdict.factor, verdict.reason))
            self.wake()
        if appetite.learn(self.yard, grant, reading):
            self._dirty = True
        if settling and not grant.settling:
            self.wake()

    def _learn_from_expiry(self, key: ConnectorId, grant: Grant) -> None:
        """Where a limit ran out with nobody to renew it, its meter shows whether the default has taken over (invariant 3)."""
        falls_back = trust.fell_back(grant)
        if falls_back is None:
            return
        station = self.yard.state.stations.get(key.station_id)
        if not falls_back:
            self.lose_default(key)
        if station is not None and station.probe is not None and station.probe.falls_back is not falls_back:
            self.on_expiry(key, falls_back)

    def lose_default(self, key: ConnectorId) -> None:
        """What was installed there as its default cannot be relied on: counted at its rating, at once."""
        self.yard.grants[key].default_installed(None, now_s=self._now_s())
        if self.yard.state.connector(key).default_w is not None:
            self.note(ev.DefaultInstalled(key, None))
        self.wake()

    def session_started(self, key: ConnectorId) -> None:
        """A transaction runs: whatever level its start carried is sent again as its own profile."""
        grant = self.yard.grants[key]
        grant.session_started(now_s=self._now_s())
        self._traffic[key].resend = True
        self._traffic[key].start_failures = 0
        appetite.forget(self.yard, key)
        self.on_session(key, True)
        self.wake_soon()

    def session_ended(self, key: ConnectorId) -> None:
        self.yard.grants[key].session_ended(now_s=self._now_s())
        self.yard.grants[key].by_hand = bool(self.yard.state.by_hand(key))
        appetite.forget(self.yard, key)
        self._traffic[key].start_after_s = self._now_s() + 5
        self._traffic[key].stopping_since_s = None
        self.on_session(key, False)
        self.wake()

    def station_restarted(self, station_id: str) -> None:
        """It says so itself: from now on none of its profiles is relied on."""
        now_s = self._now_s()
        for key in self.yard.connectors_of(station_id):
            self.yard.grants[key].forgotten(now_s=now_s)
        stations = self.yard.state.stations
        known = stations.get(station_id)
        if known is not None and known.boot is not None:
            booted = sum(s.boot is not None for s in stations.values())
            if self.pickup.booted(station_id, now_s, known=booted, waiting=self._by_urgency):
                waiting = self.pickup.waiting(now_s)
                log.warning("power is back: %d vehicles begin one after the other within %.0f s", waiting, self.settings.pickup.max_s)
        self.wake_soon()

    def grow(self, spec: DepotSpec) -> None:
        """Connectors that are new to the depot take part from now on. They count from their station's first boot."""
        for key in self.yard.grow(spec, life_s=self.settings.life_s):
            self._traffic[key] = Traffic()
        self._bidirectional = any(spec.discharge_w for spec in self.yard.spec.connectors.values())
        self.wake()

    def _by_urgency(self) -> list[ConnectorId]:
        """Connectors where a vehicle stands, the one that leaves first in front."""
        visits = self.yard.present_visits()
        return sorted(visits, key=lambda key: (-visits[key].announced.priority, visits[key].announced.depart_at))

    def link_changed(self, station_id: str, *, connected: bool) -> None:
        """A station's connection began or ended."""
        self.pickup.link(station_id, connected=connected)
        self.wake_soon()

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
            if grant.default_w != level_w or traffic.default_w is None:  # what an earlier process installed is not taken on trust
                self._moves.install_default(key, level_w)
        for told in self.on_ready:
            told(station_id)
        self.wake_soon()

    def install_defaults(self, levels_w: Mapping[ConnectorId, int]) -> None:
        """Lower what connectors fall to without a controller, where they are reachable and hold more."""
        for key, level_w in levels_w.items():
            grant = self.yard.grants[key]
            level_w = 0 if self.yard.shut(key) else level_w
            holds_more = grant.default_w is not None and grant.default_w > level_w
            if grant.commissioned and holds_more and self.chargers.connected(key.station_id):
                self._moves.install_default(key, level_w)

    def say_again(self, key: ConnectorId) -> None:
        """The level of a running session is sent once more, whatever holds: what goes with it is new."""
        if self.yard.grants[key].in_session:
            traffic = self._traffic[key]
            traffic.resend = True
            traffic.failures = 0
            traffic.retry_s = -math.inf
            self.wake()

    def install_default(self, key: ConnectorId, level_w: int) -> None:
        """What a session on ``key`` falls to without a controller, where its station can be told now."""
        if self.chargers.connected(key.station_id):
            self._moves.install_default(key, level_w)

    def _now_s(self) -> float:
        return self.yard.clock.now().timestamp()

    # -- one look -----------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = self.yard.clock.now()
        now_s = now.timestamp()
        fresh = self._dirty or self._resum or now_s >= self._recheck_s
        if fresh:
            self._resum = False
            self._sums = self._sum(now_s)
        background = self._background(now_s)
        site = self.yard.site_reading
        if site is not None:
            self.pickup.meter(site.power_w, site.at.timestamp())
        moved = background.now_w > self._used.now_w + 200 or background.now_w < self._used.now_w - 2000
        moved = moved or background.unexplained_w != self._used.unexplained_w or background.blind != self._used.blind
        moved = moved or background.stale != self._used.stale or background.suspected_w != self._used.suspected_w
        takes_w = self._gives(now_s)
        moved = moved or (bool(self._sums.gives_w) and (takes_w or 0) < sum(self._sums.gives_w.values()))
        self._takes_w = takes_w
        self._moves.ask_readings(now_s, everybody=background.doubt, givers=self._sums.gives_w)
        if not (self._dirty or moved or now_s >= self._recheck_s):
            return
        self._dirty = False
        self._used = background
        if not fresh:
            self._sums = self._sum(now_s)
        pending = self._decide(now, now_s, background) or self.pickup.active(now_s) or self.comeback.active(now)
        self._recheck_s = now_s + (self.settings.period_s if pending else CALM_S) - 0.01
        if self.on_change is not None:
            self.on_change()

    def _sum(self, now_s: float) -> Sums:
        return summed(self.yard, self.storages, now_s, bidirectional=self._bidirectional, pace=self.settings.pace)

    def _gives(self, now_s: float) -> int | None:
        """What vehicles may give together now, W: what the site itself draws, as measured, and what may be exported, less the
        margin. None: not known, so nothing."""
        reading = self.yard.site_reading
        if not self._bidirectional or reading is None or not self.yard.spec.metered:
            return None
        own_w = self._own_use.update(
            now_s=now_s, meter_w=reading.power_w, meter_at_s=reading.at.timestamp(), vehicles_w=self._sums.vehicles_w
        )
        return None if own_w is None else math.floor((own_w + self.yard.spec.export_limit_w) * (1 - GIVES_MARGIN))

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

    @property
    def blind_since(self) -> datetime | None:
        """Since when the fail-safe limit holds because the meter is silent."""
        return self._blind_since

    def limits_in_force(self) -> list[Limit]:
        """Every limit that may bind: built-in, journaled, the fail-safe one while the meter is blind; and over all of them what
        holds the site back while it rises again."""
        now = self.yard.clock.now()
        found = [*self._built_in, *self.yard.state.limits.values(), *self.urgent_limits.values()]
        for limits_of in self.limit_sources.values():
            found += limits_of(now)
        found += self._apparent.limits(self.yard.site_reading, now)
        if self._used.blind:
            found.append(limits.failsafe(self.yard.spec, self._blind_since or now))
        found = self.override(found, now)
        if self.clock_off_s:
            found = widened(found, self.clock_off_s)
        rising = self.comeback.over(found, now)
        return found if rising is None else [*found, rising]

    def _decide(self, now: datetime, now_s: float, background: Background) -> bool:
        """Whether something is under way that must be looked at again soon."""
        self._blind_since = (self._blind_since or now) if background.blind else None
        in_force = self.limits_in_force()
        for soft_limits_of in self.soft_sources.values():
            in_force += soft_limits_of(now)
        life = timedelta(seconds=self.settings.life_s + EXPIRY_SKEW_S)
        site = limits.budget(in_force, "", now=now, life=life)
        margin = math.ceil(site.now_w * self.settings.margin_share)
        held = background.now_w + max(background.unexplained_w, background.suspected_w) + margin + self.storages.held_w(now_s)
        site_budget = Budget(site.now_w - held, site.window_w - held)
        whole: dict[str, Budget] = {}
        parents = self.yard.spec.node_parents
        for feeder in self.yard.spec.feeders:
            allowed = limits.budget(in_force, feeder.feeder_id, now=now, life=life)
            kept = background.unexplained_w + math.ceil(allowed.now_w * self.settings.margin_share)
            kept += sum(self.storages.held_w(now_s, each) for each in feeder_tree.below(feeder.feeder_id, self.yard.spec.feeder_parents))
            whole[feeder.feeder_id] = Budget(allowed.now_w - kept, allowed.window_w - kept)
        for node, carries_w in self.yard.spec.nodes.items():
            whole.setdefault(node, Budget(carries_w, carries_w))  # a cabinet shares what it has: no margin, and nothing else hangs there
        rows = self._rows.build(now, self._sums.bounds_w, gives_w=self._sums.gives_w, in_force=in_force)
        parts = feeder_tree.divided(whole, feeder_tree.loads_of(rows, list(whole)), parents) if parents else whole
        self._budgets, feeder_budgets = Budgets(site_budget, parts), [parts[feeder] for feeder in whole]
        gives = None if self._takes_w is None else Discharge(self._takes_w, [b.window_w for b in feeder_budgets])
        left_w = self.storages.yields_w(sum(self._sums.bounds_w.values()) - site_budget.window_w, now_s)
        for_now = Budget(site_budget.now_w + left_w, site_budget.window_w + left_w) if left_w else site_budget
        result = allocate(rows, site=for_now, feeders=feeder_budgets, frozen=self.yard.journal.frozen, gives=gives)
        self.yard.last = LastAllocation(
            now, rows, result, background, site.now_w, {row.key: i for i, row in enumerate(rows)}, [b.now_w for b in feeder_budgets]
        )
        self.storages.looked(rows, result, window_w=site_budget.window_w, feeders=self._budgets.feeders, now_s=now_s)
        pending = result.site_short_w > 0 or left_w > 0 or any(result.feeder_short_w) or bool(self._sums.gives_w)
        stopping = {action.row for action in result.actions if action.move is Move.STOP}
        for i, row in enumerate(rows):
            if row.on_off and i not in stopping:
                self._traffic[row.key].stopping_since_s = None
        raises: list[tuple[Row, Action]] = []
        for action in result.actions:
            row = rows[action.row]
            if action.move in (Move.RAISE, Move.START, Move.GIVE):
                raises.append((row, action))
            else:
                self._moves.lower(row, action, now)
            pending = pending or action.move is not Move.RENEW
        if raises:
            self._moves.raise_all(raises, now)
        return pending or any(
            g.settling or g.changing or (g.unseen() and now_s < g.told_at_s + UNSEEN_S) for g in self.yard.grants.values() if g.in_session
        )
