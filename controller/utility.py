"""The utility's limit inside of the core: what the Modbus server hears becomes limits for the loop, and facts.

    LimitServer --heartbeat(), commit()--> Utility --failsafe.step()--> link --limits()--> ControlLoop, planning
                <--CommitResult once true--        --journal: UtilityLinkChanged (heartbeats sparsely)

Tight at once, loose when durable (invariant 4): while a command is being journaled the old and the new limit both hold.
It is acknowledged when it is durable, the bounds of all chargers fit under it, and, where the fail-safe limit went down,
the defaults under the profiles are installed anew (invariant 3). Times of the link lie on its steady axis.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from controller import limits
from controller.defaults import assign
from controller.loop import ControlLoop
from controller.utility_trail import UtilityTrail
from controller.yard import Yard
from depot import events as ev
from depot.ports import JournalFrozen
from depot.registry import DepotSpec
from depot.values import ConnectorId, Limit, LimitSource, UtilityLink
from grid import failsafe
from grid.demand import DemandStatus
from grid.failsafe import Beat, FailsafePolicy, LinkEvent, Ordered, SteadyTime, Tick, Verdict
from grid.feedback import Feedback
from grid.limit_desk import Answered, CommitResult
from grid.limit_model import Alarm, Compliance, LimitOrigin
from grid.limit_session import LimitCommand

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often time alone is looked at at least: a lost heartbeat, an order that ends, a ramp."""

LOOK_LEAST_S = 0.01

TOLD_S = 0.1
"""How often a command that waits looks whether the chargers have come down."""

NO_LESS = timedelta(seconds=10)
"""Longer than any charger takes to come down: what is above the limit after it stays there."""

FREEZE_S = 1.0
"""A journal that cannot write is tried again after this time; the limit holds meanwhile."""

RAMPING_S = 5.0
"""So long after the limit changed too much import counts as ramping (T_comply of the architecture)."""

COMPLY_W = 500
"""Above the limit by less than this is the meter's own tolerance."""

_ORIGINS = {
    LimitSource.CONTRACT: LimitOrigin.CONTRACT,
    LimitSource.FAILSAFE: LimitOrigin.FAILSAFE,
    LimitSource.SCADA: LimitOrigin.UTILITY,
    LimitSource.RATING: LimitOrigin.TRANSFORMER,
}


class Utility:
    """One per depot with a link to its utility; the core's side of :class:`grid.limit_desk.LimitCommands`. ``alarms``: who
    else tells the utility of something that is wrong; each is asked at every feedback, and must be cheap."""

    def __init__(self, yard: Yard, loop: ControlLoop, policy: FailsafePolicy, *, replan: Callable[[str], None]) -> None:
        self.policy = policy
        self.steady = SteadyTime(yard.clock)
        self._yard = yard
        self._loop = loop
        self._replan = replan
        now = self.steady.now()
        recorded = yard.state.utility
        self.link = failsafe.begin(policy, now) if recorded is None else failsafe.resume(recorded, policy, now)
        self._recorded = recorded
        self._pending: list[LinkEvent] = []
        self._limit_since: datetime = now
        self._limit_w: int | None = None
        self.trail = UtilityTrail(self._note)
        self.alarms: list[Callable[[], Alarm]] = [self._nobody_there]
        self.demand: Callable[[datetime], DemandStatus | None] = lambda _now: None
        """The running demand block, where somebody follows it."""
        self.clock_suspect: Callable[[], bool] = lambda: False
        """Whether the machine's clock is suspect, where somebody watches it."""
        loop.limit_sources["utility"] = self.limits

    # -- what holds ---------------------------------------------------------------------------------------------

    def limits(self, now: datetime) -> Sequence[Limit]:
        """The utility's limits of this moment and to come; those of commands that are not durable yet as well."""
        at, ahead = self.steady.now(), self.steady.ahead()
        found = list(failsafe.limits(self.link, at, self.policy, ahead=ahead))
        for number, event in enumerate(self._pending):
            after, _ = failsafe.step(self.link, event, at, self.policy)
            found += [
                replace(limit, limit_id=f"{limit.limit_id}+{number}") for limit in failsafe.limits(after, at, self.policy, ahead=ahead)
            ]
        return found

    @property
    def verdict(self) -> Verdict:
        """What the utility's link says now."""
        return failsafe.verdict(self.link, self.steady.now(), self.policy)

    # -- LimitCommands ------------------------------------------------------------------------------------------

    def heartbeat(self, values: tuple[int, int]) -> None:
        """A heartbeat register changed."""
        self._step(Beat(values), cause="heartbeat")

    async def commit(self, command: LimitCommand) -> CommitResult:
        """Put the command in force; returns when it truly is."""
        events: list[LinkEvent] = []
        if command.failsafe is not None:
            events.append(command.failsafe)
        if command.order is not None:
            events.append(Ordered(command.order))
        self._pending += events
        self._loop.wake()
        try:
            await self._record_until_durable(events, command)
        finally:
            for event in events:
                self._pending.remove(event)
        for event in events:
            self.link, found = failsafe.step(self.link, event, self.steady.now(), self.policy)
            self._limit_moved(found.limit_w)
        self._loop.wake_soon()  # what is tighter holds since before: while all chargers are being told nothing looks twice
        self._replan("the utility's limit changed")
        if command.failsafe is not None and command.failsafe.limit_w is not None:
            await self._defaults_follow()
        await self._chargers_follow(self._yard.clock.now())
        at = self.steady.now()
        state = failsafe.acknowledged(self.link, at, self.policy, order=command.order, change=command.failsafe)
        log.info("the utility's command %d from %s is %s", command.seq, command.peer, state.name.lower())
        return CommitResult(state)

    def answered(self, word: Answered) -> None:
        """What became of a command, or of a write that was refused: for the audit trail."""
        self.trail.take(word, self.steady.now())

    def _note(self, fact: ev.UtilityCommandAnswered, actor: str) -> None:
        event = ev.NewEvent(fact, self._yard.clock.now(), actor=actor)
        self._loop.follow_up(self._append(event), "utility's audit")

    async def _append(self, event: ev.NewEvent) -> None:
        while True:
            try:
                await self._yard.journal.append([event])
                return
            except JournalFrozen:
                await self._yard.clock.sleep(FREEZE_S)

    def _nobody_there(self) -> Alarm:
        """CSMS_DOWN: there are chargers, and none of them can be told anything."""
        yard = self._yard
        lost = bool(yard.grants) and not any(yard.connected(key.station_id) for key in yard.grants)
        return Alarm.CSMS_DOWN if lost else Alarm(0)

    async def _record_until_durable(self, events: Sequence[LinkEvent], command: LimitCommand) -> None:
        while True:
            after = self.link
            for event in events:
                after, _ = failsafe.step(after, event, self.steady.now(), self.policy)
            try:
                await self._record(after, cause=f"command {command.seq}", actor=f"modbus:{command.peer}")
                return
            except JournalFrozen:
                log.error("the utility's command %d holds, but cannot be recorded: the journal is frozen", command.seq)
                await self._yard.clock.sleep(FREEZE_S)

    async def _chargers_follow(self, since: datetime) -> None:
        """Until a decision that was made after ``since`` finds every bound under its limit, or until no more can be done: what
        is above it (the rest of the site, sessions that cannot pause, chargers that cannot be reached) has not become less for
        :data:`NO_LESS`. What flows is told by the compliance, not by the acknowledgement."""
        least_w, lowered_at = math.inf, since
        while True:
            last = self._yard.last
            if last is not None and last.at >= since:
                short_w = last.allocation.site_short_w
                if not short_w:
                    return
                if short_w < least_w or last.allocation.actions:
                    least_w, lowered_at = min(least_w, short_w), last.at
                elif last.at - lowered_at >= NO_LESS:
                    log.warning("the utility's limit cannot be held: %s are above it, and no charger can give way", _watts(short_w))
                    return
            await self._yard.clock.sleep(TOLD_S)

    async def _defaults_follow(self) -> None:
        """Until what the connectors fall to without a controller fits under the fail-safe limit."""
        wanted = assign(self.defaults_spec(), rotation=self._yard.clock.now().toordinal())
        self._loop.install_defaults(wanted)
        while any(self._too_high(key, level_w) for key, level_w in wanted.items()):
            await self._yard.clock.sleep(TOLD_S)

    def defaults_spec(self) -> DepotSpec:
        """The depot with the fail-safe limit that holds: its own, or a lower one that the utility has set."""
        spec = self._yard.spec
        return spec if self.link.failsafe_w >= spec.failsafe_w else replace(spec, failsafe_w=self.link.failsafe_w)

    def _too_high(self, key: ConnectorId, level_w: int) -> bool:
        grant = self._yard.grants[key]
        return grant.commissioned and (grant.rated_w if grant.default_w is None else grant.default_w) > level_w

    # -- time and facts -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow time until cancelled."""
        while True:
            self.look()
            at = self.steady.now()
            due = failsafe.next_change(self.link, at)
            wait_s = LOOK_S if due is None or due <= at else (due - at).total_seconds()
            await self._yard.clock.sleep(min(LOOK_S, max(LOOK_LEAST_S, wait_s)))

    def look(self) -> None:
        """What time alone has done: a heartbeat that was lost, an order that ended, a ramp."""
        self.trail.look(self.steady.now())
        self._step(Tick(), cause="time")

    def _step(self, event: LinkEvent, *, cause: str) -> None:
        before = self.verdict
        self.link, found = failsafe.step(self.link, event, self.steady.now(), self.policy)
        if (found.state, found.limit_w) != (before.state, before.limit_w):
            log.warning("the utility's link: %s, %s", found.state.name.lower(), _watts(found.limit_w))
            self._replan("the utility's link changed")
        if self._limit_moved(found.limit_w):
            self._loop.wake()
        wall = failsafe.shifted(self.link, self.steady.ahead())
        if failsafe.worth_recording(self._recorded, wall) and not self._yard.journal.frozen:
            self._recorded = wall
            self._loop.note(ev.UtilityLinkChanged(wall, cause))

    def _limit_moved(self, limit_w: int | None) -> bool:
        moved = limit_w != self._limit_w
        if moved:
            self._limit_w, self._limit_since = limit_w, self.steady.now()
        return moved

    async def _record(self, link: UtilityLink, *, cause: str, actor: str) -> None:
        wall = failsafe.shifted(link, self.steady.ahead())
        await self._yard.journal.append([ev.NewEvent(ev.UtilityLinkChanged(wall, cause), self._yard.clock.now(), actor=actor)])
        self._recorded = wall

    # -- feedback -----------------------------------------------------------------------------------------------

    def feedback(self) -> Feedback:
        """What the utility is told, from the newest readings and the newest decision."""
        yard, now = self._yard, self._yard.clock.now()
        binds = limits.binding(self._loop.limits_in_force(), "", now)
        effective_w = binds.value if binds is not None else yard.spec.contract_w
        found = self.verdict
        if binds is None:
            origin = LimitOrigin.LOCAL
        elif binds.limit_id.startswith(failsafe.LIMIT_ID):
            origin = found.origin
        else:
            origin = _ORIGINS.get(binds.source, LimitOrigin.LOCAL)
        reading, last = yard.site_reading, yard.last
        age_s = None if reading is None else max(0, int((now - reading.at).total_seconds()))
        import_w = reading.power_w if reading is not None else None
        sessions = [(key, grant) for key, grant in yard.grants.items() if grant.in_session]
        floor_w = floor_of(yard)
        base_w = last.background.now_w if last is not None else None
        alarms = Alarm.METER_STALE if last is not None and last.background.stale else Alarm(0)
        comply = complies(yard, import_w, effective_w, changed_s=(self.steady.now() - self._limit_since).total_seconds())
        demand = self.demand(now)
        if self.clock_suspect():
            alarms |= Alarm.CLOCK_SUSPECT
        if comply is Compliance.NOT_COMPLIANT:
            alarms |= Alarm.LIMIT_VIOLATED
        if origin is LimitOrigin.LOCAL and (binds is None or binds.source is not LimitSource.COMEBACK):
            alarms |= Alarm.LOCAL_OVERRIDE
        for told in self.alarms:
            alarms |= told()
        return Feedback(
            link=self.link,
            verdict=found,
            effective_w=effective_w,
            origin=origin,
            contract_w=self.policy.contract_w,
            contract_va=yard.spec.contract_va or None,
            utc=now,
            reading=reading,
            base_w=base_w,
            evse_w=sum(grant.measured_w or 0 for _, grant in sessions),
            floor_w=floor_w,
            demand_w=None if demand is None or demand.mean_w is None else max(0, demand.mean_w),
            predicted_va=None if demand is None else demand.predicted_va,
            demand_left_s=None if demand is None else max(0, int((demand.ends_at - now).total_seconds())),
            compliance=comply,
            meter_age_s=age_s,
            evses_online=sum(1 for key in yard.grants if yard.connected(key.station_id)),
            alarms=alarms,
        )


def floor_of(yard: Yard) -> int:
    """What the running sessions draw at least, because they can't be paused, W."""
    sessions = [(key, grant) for key, grant in yard.grants.items() if grant.in_session]
    return sum(yard.spec.connectors[key].min_w for key, grant in sessions if grant.told_w and not yard.pausable(key, yard.visit_on(key)))


def complies(yard: Yard, import_w: int | None, limit_w: int, *, changed_s: float) -> Compliance:
    """Whether the measured import keeps the site's limit, which changed ``changed_s`` ago."""
    if import_w is None:
        return Compliance.NOT_KNOWN
    if import_w <= limit_w + COMPLY_W:
        return Compliance.COMPLIANT
    base_w = yard.last.background.now_w if yard.last is not None else 0
    if floor_of(yard) + base_w > limit_w:
        return Compliance.INFEASIBLE
    return Compliance.RAMPING if changed_s <= RAMPING_S else Compliance.NOT_COMPLIANT


def _watts(limit_w: int | None) -> str:
    return "no limit" if limit_w is None else f"{limit_w / 1000:.1f} kW"
