"""Moves at the chargers: one task per call, every answer into the connector's grant.

    Action --> send (a decrease at once; an increase once it is journaled) --> Chargers --> Outcome --> grant, traffic

A decrease acts first and is recorded after; an increase is journaled first (invariant 4). One call per connector is
outstanding; an urgent decrease overtakes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from controller.allocation import Action, Move, Row
from controller.giving import LOOK_EVERY_S
from controller.grants import Grant
from controller.traffic import LoopSettings, Traffic
from controller.yard import Yard
from depot import events as ev
from depot.ports import Chargers
from depot.tokens import TokenType
from depot.values import ConnectorId, Outcome, Reason, SafeSetpoints, Setpoint

log = logging.getLogger(__name__)

REMOTE_TAG = "CHARGEYARD"
"""The id tag of sessions that the depot starts for a vehicle without one of its own (20 characters at most in 1.6)."""

STOP_AGAIN_S = 10.0
"""A stop that was not seen to is asked for again after this time."""

DEFAULT_AGAIN_S = 5.0
"""The same for a default that was neither accepted nor refused."""


class NoChargers:
    """Nobody is reachable: what the loop talks to until the charger side is attached."""

    def connected(self, station_id: str) -> bool:
        return False

    async def apply(self, setpoints: SafeSetpoints) -> Sequence[Outcome]:
        return [Outcome.OFFLINE for _ in setpoints]

    async def start(self, setpoint: Setpoint, id_tag: str, kind: str = "Central") -> Outcome:
        return Outcome.OFFLINE

    async def stop(self, connector: ConnectorId, transaction_id: int) -> Outcome:
        return Outcome.OFFLINE

    async def install_default(self, connector: ConnectorId, level_w: int) -> Outcome:
        return Outcome.OFFLINE

    async def set_operative(self, connector: ConnectorId, operative: bool) -> Outcome:
        return Outcome.OFFLINE

    async def request_reading(self, connector: ConnectorId) -> Outcome:
        return Outcome.OFFLINE


class Moves:
    """Talks to the chargers on behalf of the loop. ``wake``: the loop should look at once."""

    def __init__(
        self, yard: Yard, settings: LoopSettings, traffic: Mapping[ConnectorId, Traffic], *, chargers: Chargers, wake: Callable[[], None]
    ) -> None:
        self.chargers = chargers
        self._yard = yard
        self._settings = settings
        self._traffic = traffic
        self._wake = wake
        self._tasks: asyncio.TaskGroup | None = None

    def owned_by(self, tasks: asyncio.TaskGroup) -> None:
        """From now on work runs in this group; an exception in it ends whoever owns the group."""
        self._tasks = tasks

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Work that nobody waits for."""
        if self._tasks is None:
            work.close()
            raise RuntimeError("the control loop is not running")
        self._tasks.create_task(work, name=name)

    def _now_s(self) -> float:
        return self._yard.clock.now().timestamp()

    # -- levels -------------------------------------------------------------------------------------------------

    def _setpoint(self, row: Row, level_w: int, now: datetime) -> Setpoint:
        transaction = self._yard.state.transaction_on(row.key)
        last = self._yard.last
        reason: tuple[Reason, ...] = ()
        if last is not None and row.key in last.index:
            why = last.allocation.because[last.index[row.key]]
            reason = (Reason(why, level_w, why.value, binding=True),)
        until = now + timedelta(seconds=self._settings.life_s)
        running = transaction.transaction_id if transaction is not None else None
        return Setpoint(row.key, level_w, until, reason, running, self._yard.outlook(row.key, until))

    def lower(self, row: Row, action: Action, now: datetime) -> None:
        """A decrease, a renewal or a stop: leaves at once."""
        grant = self._yard.grants[row.key]
        traffic = self._traffic[row.key]
        now_s = now.timestamp()
        if action.move is Move.STOP:
            self._stop_now(row.key, traffic, now_s)
            return
        if action.urgent and traffic.calls and grant.told_w == action.level_w:
            return  # this very level is on its way
        setpoint = self._setpoint(row, action.level_w, now)
        if action.level_w != grant.told_w and not row.renew and not action.urgent:
            traffic.count(self._settings, now_s)  # what rides on a renewal is no write of its own
        number = grant.send(action.level_w, until_s=setpoint.until.timestamp(), now_s=now_s)
        traffic.resend = False
        lowers = action.move is Move.LOWER
        self.call(row.key, self._apply(setpoint, number, lowers=lowers), f"{action.move} {row.key}", wakes=lowers)

    def _stop_now(self, key: ConnectorId, traffic: Traffic, now_s: float) -> None:
        if traffic.calls or now_s < traffic.retry_s:
            return
        traffic.retry_s = now_s + STOP_AGAIN_S
        if traffic.stopping_since_s is None:
            traffic.stopping_since_s = now_s
        defies = now_s - traffic.stopping_since_s > self._settings.stop_patience_s
        work = self._out_of_service(key) if defies and self._yard.state.connector(key).operative else self._stop(key)
        self.call(key, work, f"stop {key}")

    def raise_all(self, moves: Sequence[tuple[Row, Action]], now: datetime) -> None:
        """Increases and starts: counted at once, journaled together, sent only then."""
        now_s = now.timestamp()
        sends: list[tuple[Setpoint, int, bool]] = []
        for row, action in moves:
            grant = self._yard.grants[row.key]
            traffic = self._traffic[row.key]
            setpoint = self._setpoint(row, action.level_w, now)
            number = grant.send(action.level_w, until_s=setpoint.until.timestamp(), now_s=now_s)
            if not row.renew:
                traffic.count(self._settings, now_s)
            traffic.resend = False
            traffic.calls += 1
            sends.append((setpoint, number, action.move is Move.START))
        self.spawn(self._raise_after_append(sends, now), "increases")

    async def _raise_after_append(self, sends: list[tuple[Setpoint, int, bool]], now: datetime) -> None:
        granted = [ev.NewEvent(ev.SetpointGranted(s.connector, s.level_w, s.until), now) for s, _, _ in sends]
        try:
            await self._yard.journal.append(granted)
        finally:
            for setpoint, _, _ in sends:
                self._traffic[setpoint.connector].calls -= 1
        for setpoint, number, start in sends:
            key = setpoint.connector
            grant = self._yard.grants[key]
            if grant.told_w != setpoint.level_w or not any(f.number == number for f in grant.flights):
                grant.refused(number)  # a decrease overtook it while it was being journaled
                continue
            if setpoint.level_w and self._yard.allowed_w(key, self._yard.visit_on(key)) == 0:
                grant.refused(number)  # safety did
                if not grant.in_session:
                    grant.told_w = 0
                continue
            if start:
                self.call(key, self._start(setpoint, number), f"start {key}")
            else:
                self.call(key, self._apply(setpoint, number, lowers=False), f"raise {key}")
        self._wake()

    def call(self, key: ConnectorId, work: Coroutine[Any, Any, None], name: str, *, wakes: bool = True) -> None:
        """Work that talks to ``key``'s charger. ``wakes`` False: what it changes, it tells the loop itself."""

        async def counted() -> None:
            traffic = self._traffic[key]
            traffic.calls += 1
            try:
                await work
            finally:
                traffic.calls -= 1
                if wakes:
                    self._wake()

        self.spawn(counted(), name)

    async def _apply(self, setpoint: Setpoint, number: int, *, lowers: bool) -> None:
        key = setpoint.connector
        grant = self._yard.grants[key]
        (outcome,) = await self.chargers.apply(SafeSetpoints((setpoint,)))
        now_s = self._now_s()
        self._traffic[key].answered(outcome, now_s)
        if outcome is not Outcome.ACCEPTED:
            self._wake()  # a renewal that was accepted changes nothing, everything else does
        if outcome is Outcome.ACCEPTED:
            grant.accepted(number, now_s=now_s)
            if grant.settling:
                self.spawn(self._look(key, grant.settle_s), f"look {key}")
            if lowers:
                self.note(ev.SetpointLowered(key, setpoint.level_w, setpoint.until))
        elif outcome.certain:
            grant.refused(number)

    # -- sessions -----------------------------------------------------------------------------------------------

    async def _start(self, setpoint: Setpoint, number: int) -> None:
        key = setpoint.connector
        visit = self._yard.visit_on(key)
        tag = (visit.announced.id_tag if visit is not None else "") or REMOTE_TAG
        listed = self._yard.state.id_token(tag)
        outcome = await self.chargers.start(setpoint, tag, TokenType.CENTRAL if listed is None else listed.wire_type)
        grant = self._yard.grants[key]
        self._traffic[key].start_asked(self._settings, self._now_s())
        if outcome is not Outcome.ACCEPTED and outcome.certain:
            grant.refused(number)
            if not grant.in_session:
                grant.told_w = 0

    async def _stop(self, key: ConnectorId) -> None:
        transaction = self._yard.state.transaction_on(key)
        if transaction is not None:
            outcome = await self.chargers.stop(key, transaction.transaction_id)
            self._traffic[key].answered(outcome, self._now_s())

    def end_session(self, key: ConnectorId) -> None:
        """A session that may not be: its transaction is stopped as soon as its start has been answered."""
        self.call(key, self._stop(key), f"stop {key}")

    async def _out_of_service(self, key: ConnectorId) -> None:
        """It follows no limit and no stop: nobody shall charge there until a person has looked (invariant 1)."""
        reason = f"went on drawing {self._settings.stop_patience_s:.0f} s after it was told to stop"
        log.error("connector %s %s: taken out of service", key, reason)
        await self._record(ev.NewEvent(ev.ConnectorAvailabilitySet(key, False, reason), self._yard.clock.now()))
        await self.chargers.set_operative(key, False)

    def install_default(self, key: ConnectorId, level_w: int) -> None:
        """What a session there falls to when nobody renews its level."""
        self._traffic[key].default_w = level_w
        self.call(key, self._install_default(key, level_w), f"default {key}")

    async def _install_default(self, key: ConnectorId, level_w: int) -> None:
        grant = self._yard.grants[key]
        link = self._since(key)
        outcome = await self.chargers.install_default(key, level_w)
        now_s = self._now_s()
        if outcome is Outcome.ACCEPTED:
            held_w = None if self._yard.gap(key.station_id) else level_w  # it has it, and is not believed to keep to it
            grant.default_installed(held_w, now_s=now_s)
            if self._yard.state.connector(key).default_w != held_w:
                self.note(ev.DefaultInstalled(key, held_w))
        elif outcome in (Outcome.UNSUPPORTED, Outcome.REFUSED):
            grant.default_installed(None, now_s=now_s)
            self.note(ev.DefaultInstalled(key, None))
            log.warning("connector %s takes no default profile (%s): counted at its rating, %d W", key, outcome, grant.rated_w)
        elif self.chargers.connected(key.station_id):
            await self._yard.clock.sleep(DEFAULT_AGAIN_S)
            if self._traffic[key].default_w == level_w and self._since(key) == link:  # else another one was wanted meanwhile, or
                self.install_default(key, level_w)  # its station came back: it gets all of its defaults when it is ready

    def _since(self, key: ConnectorId) -> datetime | None:
        """Since when its station is connected."""
        link = self._yard.links.get(key.station_id)
        return None if link is None else link.since

    def note(self, event: ev.Event) -> None:
        """Record what has already been done; nothing waits for it, not even while the journal is frozen."""
        self.spawn(self._record(ev.NewEvent(event, self._yard.clock.now())), f"record {event.TYPE}")

    async def _record(self, event: ev.NewEvent) -> None:
        await self._yard.journal.append([event])

    # -- meter values -------------------------------------------------------------------------------------------

    def ask_readings(self, now_s: float, *, everybody: bool, givers: Collection[ConnectorId] = ()) -> None:
        """Ask for the meter values that would end a settling or prove obedience; ``everybody``: for all; ``givers``: and for what
        these give, every LOOK_EVERY_S."""
        for key, grant in self._yard.grants.items():
            if grant.in_session:
                gives = key in givers and now_s - grant.measured_at_s >= LOOK_EVERY_S
                self._ask_reading(key, grant, now_s, anyhow=everybody or gives)

    def _ask_reading(self, key: ConnectorId, grant: Grant, now_s: float, *, anyhow: bool) -> None:
        look_s = grant.look_due_s(now_s)
        if look_s is None and not (anyhow and now_s - grant.measured_at_s >= 1.0):
            return
        asked_s = self._traffic[key].asked_reading_s
        if now_s - asked_s < self._settings.reading_every_s and (look_s is None or asked_s >= look_s):
            return
        if self.chargers.connected(key.station_id):
            self._traffic[key].asked_reading_s = now_s
            self.spawn(self._ask(key), f"reading {key}")

    async def _look(self, key: ConnectorId, after_s: float) -> None:
        """See at the very end of the settle time whether it came down: others may have to make room for it."""
        await self._yard.clock.sleep(after_s)
        grant = self._yard.grants.get(key)
        if grant is not None and grant.in_session:
            self._ask_reading(key, grant, self._now_s(), anyhow=False)

    async def _ask(self, key: ConnectorId) -> None:
        await self.chargers.request_reading(key)
