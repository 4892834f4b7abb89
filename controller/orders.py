"""What people and machines order: every command is journaled with actor and reason, answered, and followed up.

    Command --> CommandRequested (audit) --> facts / calls --> CommandFinished

A limit that gets tighter acts at once and is recorded after, as soon as the journal can; one that gets looser waits for
the journal (invariant 4).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from uuid6 import uuid7

from controller import limits
from controller.arrangements import check_scope, scope_kind
from controller.kept_free import reserved_for_another, tags_of
from controller.loop import ControlLoop
from controller.room import Answered, Carrier
from controller.rows import STARTABLE
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.ports import Chargers, JournalFrozen
from depot.values import ConnectorId, DepotError, Limit, LimitSource, Outcome

GUEST_HOURS = 8
GUEST_WH = 30_000
"""A vehicle that nobody announced is taken to need this much within GUEST_HOURS, until somebody says better."""

FOLLOW_S = 120.0
"""A start that has not happened after this time (depot seconds) is reported as still waiting, with the reason."""

ANSWERS_KEPT = 20

MANUAL_MOST = 100
"""Manual limits at once: more is a mistake of a machine."""

NAME_MOST = 40


@dataclass(slots=True)
class Order:
    """A command and how far it got, kept for the screens. ``held``: it waits for a second person."""

    command: cmd.Command
    kind: str
    target: str
    at: datetime
    result: cmd.CommandResult
    held: bool = False


class Orders:
    """Carries out commands. ``recent``: the newest 200, newest last. ``carriers``: who does it; rooms add theirs."""

    def __init__(self, yard: Yard, loop: ControlLoop, *, replan: Callable[[str], None]) -> None:
        self.yard = yard
        self.loop = loop
        self.replan = replan
        self.recent: deque[Order] = deque(maxlen=200)
        self.carriers: dict[type[cmd.Command], Carrier] = {
            cmd.StartCharging: self._start,
            cmd.StopCharging: self._stop,
            cmd.SetManualLimit: self._set_limit,
            cmd.ClearManualLimit: self._clear_limit,
            cmd.SetAvailability: self._availability,
            cmd.AnnounceVisit: self._announce,
            cmd.CancelVisit: self._cancel,
        }
        self.gate: Callable[[cmd.Command, Limit | None], ev.ApprovalRequested | None] | None = None
        """Says which commands wait for a second person."""
        self.urgent: dict[type[cmd.Command], Callable[[cmd.Command], bool]] = {}
        """What makes the depot safer at once: it acts before its request is journaled (invariant 4). False: it could not."""
        self._known: dict[str, Order] = {}
        self._answered: deque[Order] = deque()
        self._unrecorded: deque[tuple[Order, Limit]] = deque()
        """Limits that act already and that the journal could not take, in their order."""
        self._acting = asyncio.Event()

    @property
    def chargers(self) -> Chargers:
        return self.loop.chargers

    async def execute(self, command: cmd.Command) -> cmd.CommandResult:
        """Carry out; the same ``command_id`` again gets the same answer. Never raises for a refused order."""
        try:
            if not self.yard.journal.frozen:
                await self._record_acting(wait=False)
            known = self._known.get(command.command_id)
            return await self._execute(command) if known is None else known.result
        except JournalFrozen as error:
            why = str(error) or "the journal cannot write"
            if isinstance(command, cmd.SetManualLimit) and self._acts(command):
                recorded = self.yard.state.limits.get(command.limit_id)
                if self.gate is None or self.gate(command, recorded) is None:
                    return self._record_later(command, why)
                message = f"the limit acts already; what comes after it needs a second person: ask again when the journal writes ({why})"
                return cmd.CommandResult(command.command_id, cmd.CommandStatus.ACCEPTED, message)
            if (at_once := self.urgent.get(type(command))) is not None and at_once(command):
                return cmd.CommandResult(command.command_id, cmd.CommandStatus.ACCEPTED, f"it acts already, and is recorded later ({why})")
            return cmd.CommandResult(command.command_id, cmd.CommandStatus.REFUSED, f"{why}; try again when it does")
        except DepotError as error:
            return cmd.CommandResult(command.command_id, cmd.CommandStatus.REFUSED, str(error))

    async def _execute(self, command: cmd.Command) -> cmd.CommandResult:
        kind, target = type(command).__name__, command.target
        now = self.yard.clock.now()
        wanted = self.gate(command, self._manual(command)) if self.gate is not None else None
        if isinstance(command, cmd.SetManualLimit):
            self._tighten_at_once(command, now)
        if (at_once := self.urgent.get(type(command))) is not None:
            at_once(command)
        requested = ev.CommandRequested(command.command_id, kind, target, command.reason, dict(command.detail))
        facts = [ev.NewEvent(requested, now, key=f"command/{command.command_id}", actor=command.actor)]
        if wanted is not None:
            facts.append(ev.NewEvent(wanted, now, key=f"approval/{command.command_id}", actor=command.actor))
        envelope = (await self.yard.journal.append(facts, wait=False))[0]
        if envelope.duplicate:
            return cmd.CommandResult(command.command_id, cmd.CommandStatus.ACCEPTED, "was requested before", envelope.seq)
        order = self._remember(command, now, "requested", envelope.seq)
        if wanted is not None:
            until = wanted.until.astimezone(ZoneInfo(self.yard.spec.timezone))
            order.held = True
            order.result = replace(order.result, message=f"waits for a second person until {until:%H:%M}; nothing was done yet")
            return order.result
        try:
            status, message, answer = await self._carry_out(command, envelope)
        except DepotError as error:  # on record as refused, with the reason, and not as a request that nobody answered
            status, message, answer = cmd.CommandStatus.REFUSED, str(error), None
        order.result = replace(order.result, status=status, message=message, answer=answer)
        if answer is not None:
            self._forget_answers(order)
        if status is not cmd.CommandStatus.ACCEPTED:
            await self._finish(order)
        return order.result

    def _remember(self, command: cmd.Command, now: datetime, message: str, seq: int = 0) -> Order:
        result = cmd.CommandResult(command.command_id, cmd.CommandStatus.ACCEPTED, message, seq)
        order = Order(command.bare, type(command).__name__, command.target, now, result)
        self._known[command.command_id] = order
        self.recent.append(order)
        if len(self._known) > 2000:
            self._known.pop(next(iter(self._known)))
        return order

    async def resume(self, command: cmd.Command, granted: ev.Envelope) -> cmd.CommandResult:
        """Carry out what waited for a second person, whose word is ``granted``. It is the asker's command still."""
        now = self.yard.clock.now()
        order = self._known.get(command.command_id) or self._remember(command, now, "approved")
        order.held = False
        try:
            status, message, answer = await self._carry_out(command, replace(granted, actor=command.actor))
        except DepotError as error:
            status, message, answer = cmd.CommandStatus.REFUSED, str(error), None
        message = f"{message} (asked by {command.actor}, approved by {granted.actor})"
        order.result = replace(order.result, status=status, message=message, answer=answer)
        if status is not cmd.CommandStatus.ACCEPTED:
            await self._finish(order)
        return order.result

    async def settle(self, command_id: str, status: cmd.CommandStatus, message: str) -> None:
        """Journal how a command ended that waited and is not carried out."""
        order = self._known.get(command_id)
        if order is not None:
            order.held = False
            order.result = replace(order.result, status=status, message=message)
            if isinstance(order.command, cmd.SetManualLimit):
                # lower for a shorter time: it acted while it waited for its word on the time after
                self.loop.urgent_limits.pop(order.command.limit_id, None)
                self.loop.wake()
        finished = ev.CommandFinished(command_id, status.value, message)
        await self.yard.journal.append([ev.NewEvent(finished, self.yard.clock.now(), actor="controller")])

    def _manual(self, command: cmd.Command) -> Limit | None:
        """The manual limit that the command would replace."""
        if not isinstance(command, cmd.SetManualLimit):
            return None
        return self.loop.urgent_limits.get(command.limit_id) or self.yard.state.limits.get(command.limit_id)

    async def _finish(self, order: Order) -> None:
        finished = ev.CommandFinished(order.command.command_id, order.result.status.value, order.result.message)
        await self.yard.journal.append([ev.NewEvent(finished, self.yard.clock.now(), actor="controller")])

    async def _carry_out(self, command: cmd.Command, cause: ev.Envelope) -> Answered:
        carrier = self.carriers.get(type(command))
        if carrier is None:
            return Answered(cmd.CommandStatus.REFUSED, f"{type(command).__name__} is not known to this controller")
        carried = await carrier(command, cause)
        return carried if isinstance(carried, Answered) else Answered(*carried)

    def _forget_answers(self, newest: Order) -> None:
        """Answers of machines are large and may hold what nobody should keep: the last few serve a repeated command."""
        self._answered.append(newest)
        if len(self._answered) > ANSWERS_KEPT:
            old = self._answered.popleft()
            old.result = replace(old.result, answer=None)

    async def _append(self, cause: ev.Envelope, *events: ev.Event) -> None:
        now = self.yard.clock.now()
        await self.yard.journal.append([ev.NewEvent(event, now, actor=cause.actor, cause_id=cause.id) for event in events])

    # -- sessions -----------------------------------------------------------------------------------------------

    async def _start(self, command: cmd.StartCharging, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        key = command.connector
        self.yard.spec.connector(key)
        facts = self.yard.state.connector(key)
        if facts.transaction_id is not None:
            return cmd.CommandStatus.DONE, f"{key} is already charging"
        if not facts.operative:
            return cmd.CommandStatus.REFUSED, f"{key} is out of service ({facts.inoperative_reason}); put it back in service first"
        registration = self.yard.state.registration(key.station_id)
        if registration is not ev.Registration.ACCEPTED:
            return cmd.CommandStatus.REFUSED, f"{key.station_id} is {registration}: accept it first, on its page"
        if not self.chargers.connected(key.station_id):
            return cmd.CommandStatus.REFUSED, f"{key.station_id} is offline; check its power and network, then try again"
        if facts.status not in STARTABLE:
            return cmd.CommandStatus.REFUSED, f"{key} reports {facts.status}; plug a vehicle in first"
        visit = self.yard.visit_on(key)
        against = self.yard.unsafe(key, visit)
        if against is not None:
            return cmd.CommandStatus.REFUSED, f"{against}; see the Safety page"
        tags = tags_of(self.yard, visit) if visit is not None else ()
        reserved = reserved_for_another(self.yard, key, tags, self.yard.clock.now())
        if reserved is not None:
            words = f"{key} is reserved for somebody else (reservation {reserved.reservation_id}); cancel it first"
            return cmd.CommandStatus.REFUSED, words
        if visit is None:
            now = self.yard.clock.now()
            spec = self.yard.spec.connectors[key]
            guest = ev.VisitAnnounced(
                f"guest/{uuid7()}", f"guest at {key}", now, now + timedelta(hours=GUEST_HOURS), GUEST_WH, spec.rated_w, connector=key
            )
            await self._append(cause, guest, ev.VisitArrived(guest.visit_id, key))
            message = f"requested; taken to need {GUEST_WH / 1000:.0f} kWh within {GUEST_HOURS} h, announce the vehicle to say better"
        else:
            await self._append(cause, ev.VisitHeld(visit.visit_id, held=False))
            message = (
                f"requested; starts as soon as the limits leave {self.yard.spec.connectors[key].min_w / 1000:.1f} kW and the plan wants it"
            )
        self.replan("a person asked for a start")
        self.loop.wake()
        return cmd.CommandStatus.ACCEPTED, message

    async def _stop(self, command: cmd.StopCharging, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        key = command.connector
        self.yard.spec.connector(key)
        visit = self.yard.visit_on(key)
        transaction = self.yard.state.transaction_on(key)
        if visit is not None:
            await self._append(cause, ev.VisitHeld(visit.visit_id, held=True))
            self.replan("a person stopped a session")
        if transaction is None:
            return cmd.CommandStatus.DONE, f"no session runs on {key}; its vehicle will not be started again"
        outcome = await self.chargers.stop(key, transaction.transaction_id)
        self.loop.wake()
        if outcome is Outcome.ACCEPTED:
            return cmd.CommandStatus.ACCEPTED, f"{key} accepted the stop; the session ends when it reports so"
        return cmd.CommandStatus.FAILED, f"{key} did not accept the stop ({outcome}); it is held at 0 kW, stop it at the charger"

    def session_changed(self, key: ConnectorId, *, started: bool) -> None:
        """A session began or ended: commands that waited for it are done. Returns at once; recorded by a task."""
        wanted: type[cmd.Command] = cmd.StartCharging if started else cmd.StopCharging
        for order in self.recent:
            under_way = order.result.status is cmd.CommandStatus.ACCEPTED and not order.held
            if isinstance(order.command, wanted) and order.target == str(key) and under_way:
                message = f"effective: the session on {key} {'began' if started else 'ended'}"
                order.result = replace(order.result, status=cmd.CommandStatus.DONE, message=message)
                self.loop.note(ev.CommandFinished(order.command.command_id, order.result.status.value, message))

    # -- limits -------------------------------------------------------------------------------------------------

    def _limit(self, command: cmd.SetManualLimit, now: datetime) -> Limit:
        check_scope(self.yard.spec, command.scope_id)
        if len(command.name) > NAME_MOST:
            raise DepotError(f"a limit's name has at most {NAME_MOST} characters")
        held = {k for k, limit in self.yard.state.limits.items() if limit.until is None or now < limit.until}
        if len(held) >= MANUAL_MOST and command.limit_id not in held:
            raise DepotError(f"{MANUAL_MOST} limits are set by hand already; lift one first")
        return Limit(
            command.limit_id,
            scope_kind(command.scope_id),
            command.value_w,
            LimitSource.MANUAL,
            now,
            scope_id=command.scope_id,
            until=command.until,
            set_by=command.actor,
            reason=command.reason,
        )

    def _tighten_at_once(self, command: cmd.SetManualLimit, now: datetime) -> None:
        limit = self._limit(command, now)
        binds = limits.binding(self.loop.limits_in_force(), limit.scope_id, now)
        if binds is None or limit.value < binds.value:
            self.loop.urgent_limits[limit.limit_id] = limit
            self.loop.wake()

    def _acts(self, command: cmd.SetManualLimit) -> bool:
        """Whether it is this very limit that acts ahead of the journal."""
        limit = self.loop.urgent_limits.get(command.limit_id)
        return limit is not None and (limit.value, limit.until, limit.set_by) == (command.value_w, command.until, command.actor)

    def _record_later(self, command: cmd.SetManualLimit, why: str) -> cmd.CommandResult:
        """It acts; the record follows by itself, and before any other limit that is ordered then."""
        now = self.yard.clock.now()
        order = self._remember(command, now, f"the limit acts already, and is recorded as soon as the journal writes: {why}")
        self._unrecorded.append((order, self._limit(command, now)))
        self._acting.set()
        return order.result

    async def _record_acting(self, *, wait: bool = True) -> None:
        """Record the limits that act ahead of the journal, in their order. What is done twice is done once, by its keys."""
        while self._unrecorded:
            order, limit = self._unrecorded[0]
            command = order.command
            requested = ev.CommandRequested(command.command_id, order.kind, order.target, command.reason, dict(command.detail))
            facts = [
                ev.NewEvent(requested, order.at, key=f"command/{command.command_id}", actor=command.actor),
                ev.NewEvent(ev.LimitSet(limit), order.at, key=f"limit/{command.command_id}", actor=command.actor),
            ]
            envelopes = await self.yard.journal.append(facts, wait=wait)
            if not self._unrecorded or self._unrecorded[0][0] is not order:
                continue  # somebody else waited for the same
            self._unrecorded.popleft()
            if not any(later.limit_id == limit.limit_id for _, later in self._unrecorded):
                self.loop.urgent_limits.pop(limit.limit_id, None)
            order.result = cmd.CommandResult(command.command_id, cmd.CommandStatus.DONE, self._limited(limit), envelopes[0].seq)
            self.loop.wake()
            self.replan("limit changed")

    async def _set_limit(self, command: cmd.SetManualLimit, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        limit = self._limit(command, self.yard.clock.now())
        await self._append(cause, ev.LimitSet(limit))
        self.loop.urgent_limits.pop(limit.limit_id, None)
        self.loop.wake()
        self.replan("limit changed")
        return cmd.CommandStatus.DONE, self._limited(limit)

    def _limited(self, limit: Limit) -> str:
        until = f" until {limit.until.astimezone(ZoneInfo(self.yard.spec.timezone)):%a %H:%M}" if limit.until else " until it is lifted"
        return f"{limit.scope_id or 'site'} limited to {limit.value / 1000:.1f} kW{until}"

    async def _clear_limit(self, command: cmd.ClearManualLimit, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        limit_id = command.limit_id
        if limit_id not in self.yard.state.limits and limit_id not in self.loop.urgent_limits:
            return cmd.CommandStatus.DONE, f"no manual limit is set on {command.scope_id or 'the site'}"
        await self._append(cause, ev.LimitCleared(limit_id, command.reason))
        self.loop.urgent_limits.pop(limit_id, None)
        self.loop.wake()
        self.replan("limit changed")
        return cmd.CommandStatus.DONE, f"manual limit of {command.scope_id or 'the site'} lifted"

    # -- connectors and visits ----------------------------------------------------------------------------------

    async def _availability(self, command: cmd.SetAvailability, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        key = command.connector
        self.yard.spec.connector(key)
        facts: list[ev.Event] = [ev.ConnectorAvailabilitySet(key, command.operative, command.reason)]
        if command.operative:
            facts.append(ev.ConnectorTrustChanged(key, ev.TrustLevel.UNPROVEN, 1.0, f"put back in service by {command.actor}"))
        await self._append(cause, *facts)
        if command.operative:
            grant = self.yard.grants[key]
            grant.trust, grant.factor = ev.TrustLevel.UNPROVEN, 1.0
        outcome = await self.chargers.set_operative(key, command.operative)
        self.loop.wake()
        self.replan("availability changed")
        word = "in service" if command.operative else "out of service"
        if outcome is Outcome.ACCEPTED:
            return cmd.CommandStatus.DONE, f"{key} is {word}"
        return cmd.CommandStatus.DONE, f"{key} is {word} for this controller; the charger itself did not confirm ({outcome})"

    async def _announce(self, command: cmd.AnnounceVisit, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        visit = command.visit
        if visit.depart_at <= visit.arrive_at:
            raise DepotError(f"vehicle {visit.vehicle_id} departs ({visit.depart_at}) before it arrives ({visit.arrive_at})")
        if not 0 < visit.efficiency <= 1 or visit.battery_energy_wh < 0:
            raise DepotError(f"vehicle {visit.vehicle_id}: energy must be 0 Wh or more and efficiency within (0, 1]")
        if visit.connector is not None:
            self.yard.spec.connector(visit.connector)
        await self._append(cause, visit)
        if visit.connector is not None and self.yard.visit_on(visit.connector) is None:
            facts = self.yard.state.connector(visit.connector)
            if facts.status.plugged and visit.arrive_at <= self.yard.clock.now():
                await self._append(cause, ev.VisitArrived(visit.visit_id, visit.connector))
        leaves = visit.depart_at.astimezone(ZoneInfo(self.yard.spec.timezone))
        self.replan("a visit was announced or changed")
        self.loop.wake()
        return cmd.CommandStatus.DONE, f"{visit.vehicle_id} is expected; it leaves {leaves:%a %H:%M}"

    async def _cancel(self, command: cmd.CancelVisit, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        visit = self.yard.state.visits.get(command.visit_id)
        if visit is None:
            return cmd.CommandStatus.DONE, "this departure is not known any more"
        vehicle_id = visit.announced.vehicle_id
        if visit.present:
            raise DepotError(f"{vehicle_id} is plugged in at {visit.connector}: change its departure, or stop its session there")
        await self._append(cause, ev.VisitCancelled(command.visit_id))
        self.replan("a visit was cancelled")
        self.loop.wake()
        return cmd.CommandStatus.DONE, f"{vehicle_id} is not expected any more"

    async def run(self) -> None:
        """Record what acts ahead of the journal, and follow up on starts that do not happen."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._remind(), name="reminder")
            while True:
                self._acting.clear()
                await self._record_acting()
                await self._acting.wait()

    async def _remind(self) -> None:
        """Say of starts that do not happen why they wait."""
        while True:
            await self.yard.clock.sleep(FOLLOW_S / 4)
            now = self.yard.clock.now()
            for order in self.recent:
                if order.result.status is cmd.CommandStatus.ACCEPTED and not order.held and now - order.at > timedelta(seconds=FOLLOW_S):
                    order.result = replace(
                        order.result, message=f"still waiting after {int((now - order.at).total_seconds())} s: see the reason chain"
                    )
            await asyncio.sleep(0)
