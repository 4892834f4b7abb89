"""Watches the money of sessions that a driver pays for, while they charge; a room of the core.

    running cost, instrument in the books --> payments.watch.judge --> go on
                                                                   --> tell the driver: page, station's display
                                                                   --> StopCharging, as anybody would order it: audited, with its reason

A vehicle of the own fleet is never stopped for money. Books that cannot be read stop nobody before what was granted. What the
driver was told and why a session ends are facts in the journal, so that a core that starts again does not tell it twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from controller.alarms import Condition
from controller.driver_status import DriverStatusView, driver_status
from controller.fleet import is_fleet
from controller.loop import ControlLoop
from controller.room import Carrier, Viewer
from controller.till import BOOKS_SHUT, Till, aside
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.display_messages import Text
from depot.state import PaidSession
from depot.values import ConnectorId, InvalidValue
from payments import PaymentsError
from payments.driver_words import words_for
from payments.exposure import Standing
from payments.gate import credit_ceiling_paise
from payments.instruments import Instrument, in_order
from payments.states import MandateState
from payments.watch import Policy, Running, Stop, StopWhy, Warn, WarnWhy, judge
from storage import StorageError

__all__ = ["ACTOR", "PaidSessions"]

log = logging.getLogger(__name__)

ACTOR = "payments"
"""Who orders what is done for money."""

STOP_AGAIN = timedelta(seconds=30)
"""A session that was told to end is told so again after this time."""

STOP_SHOWN = timedelta(minutes=10)
"""So long a station's display says why a session was ended."""

BOOKS_EVERY = timedelta(seconds=5)
"""So often the books are asked about drivers whose sessions run."""

UNASKED_TOLD = timedelta(hours=12)
"""So long a manager is told of a session that a station began without asking, and that the gate would have refused."""

Execute = Callable[[cmd.Command], Awaitable[cmd.CommandResult]]


@dataclass(slots=True)
class _Loss:
    """Since when, and since how much energy, a session's mandate is not in force."""

    at: datetime
    energy_wh: int


class PaidSessions:
    """One per depot. ``execute``: the core's ordinary path of commands. ``look_s``: between two looks, depot seconds."""

    def __init__(
        self, yard: Yard, loop: ControlLoop, till: Till, execute: Execute, *, policy: Policy | None = None, look_s: float = 1.0
    ) -> None:
        self._yard = yard
        self._loop = loop
        self._till = till
        self._execute = execute
        self.policy = policy or Policy()
        self._look_s = look_s
        self._books: dict[str, Standing] = {}
        self._asked_at: datetime | None = None
        self._lost: dict[str, _Loss] = {}
        self._stopped: dict[str, datetime] = {}
        self._warned: dict[str, WarnWhy] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._shut = False
        self.commands: Mapping[type[cmd.Command], Carrier] = {}
        self.views: Mapping[type[Struct], Viewer] = {DriverStatusView: self._status}

    @property
    def kinds(self) -> frozenset[str]:
        """What it can report to the alarm desk."""
        return frozenset({"session_unasked"})

    def conditions(self, now: datetime) -> Sequence[Condition] | None:
        """What holds now."""
        state = self._yard.state
        recent = [one.fact for one in state.unasked_sessions if one.fact.refusal and now - one.at < UNASKED_TOLD]
        if not recent:
            return []
        names = ", ".join(sorted({f"{fact.driver_id} at {fact.station_id}" for fact in recent}))
        return [Condition("session_unasked", title=f"Charged without asking: {names}.")]

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            await self.look()
            await self._yard.clock.sleep(self._look_s)

    async def look(self) -> None:
        """Every paid session that runs, once."""
        now, running = self._yard.clock.now(), self._running()
        self._warned = {k: why for k, why in self._warned.items() if k in running}
        self._lost = {k: lost for k, lost in self._lost.items() if k in running}
        self._stopped = {k: at for k, at in self._stopped.items() if k in running}
        if not running:
            self._asked_at = None
            return
        await self._ask_books(running, now)
        for session_id, paid in running.items():
            verdict = judge(self._facts(session_id, paid, now), self.policy)
            if isinstance(verdict, Stop):
                await self._stop(session_id, paid, verdict.why, now)
            elif isinstance(verdict, Warn):
                await self._warn(session_id, paid, verdict.why)

    def _running(self) -> dict[str, PaidSession]:
        """Those whose transaction is the one that runs on its connector."""
        state = self._yard.state
        found = {}
        for session_id, paid in state.paid.items():
            open_ = state.transaction_on(paid.connector) if paid.stopped_at is None else None
            if open_ is not None and open_.transaction_id == paid.transaction_id:
                found[session_id] = paid
        return found

    async def _ask_books(self, running: Mapping[str, PaidSession], now: datetime) -> None:
        drivers = {paid.terms.driver_id for paid in running.values()}
        if self._asked_at is not None and now - self._asked_at < BOOKS_EVERY and drivers <= self._books.keys():
            return
        costs = {driver_id: self._till.running_paise(driver_id) for driver_id in drivers}
        desk = self._till.payments
        try:
            self._books = await aside(desk.store, lambda: {d: desk.standing(d, running=costs[d]) for d in drivers})
            self._asked_at, self._shut = now, False
        except StorageError as error:
            if not self._shut:
                log.warning("what pays for running sessions cannot be looked up: %s", error)
            self._shut = True

    # -- one session --------------------------------------------------------------------------------------------

    def _facts(self, session_id: str, paid: PaidSession, now: datetime) -> Running:
        state, terms = self._yard.state, paid.terms
        transaction = state.transactions[paid.transaction_id]
        energy_wh = self._till.energy_wh(paid)
        cost = self._cost_paise(paid, energy_wh)
        pays = self._pays(session_id, paid)
        pays_state = None if pays is None else self._state(pays, now)
        lost = self._loss(session_id, pays_state, energy_wh, now)
        asked, smaller = paid.unasked, terms.most_wh < self._till.price.most_wh
        return Running(
            fleet=is_fleet(state, transaction),
            smaller=smaller,
            blocked=smaller and pays is not None and pays.mode.blocks,
            state=pays_state,
            cost_paise=cost,
            limit_paise=self._limit_paise(session_id, paid, pays),
            ahead_paise=self._ahead_paise(paid, energy_wh, cost),
            energy_wh=energy_wh,
            most_wh=terms.most_wh,
            lost_wh=0 if lost is None else energy_wh - lost.energy_wh,
            lost_for=timedelta(0) if lost is None else now - lost.at,
            refused=asked is not None and asked.refusal not in ("", BOOKS_SHUT),
        )

    def _pays(self, session_id: str, paid: PaidSession) -> Instrument | None:
        """What pays for it; None where the books do not know, or cannot be read now."""
        books = self._books.get(paid.terms.driver_id)
        if books is None or self._shut:
            return None
        mandate_id = books.paid_by.get(session_id) or paid.terms.mandate_id
        return next((one for one in books.instruments if one.mandate_id == mandate_id), None)

    def _state(self, pays: Instrument, now: datetime) -> MandateState:
        """As the books know it; one that ends before this session could be debited is as good as ended."""
        rules = self._till.payments.terms.rules
        spare = rules.block_spare if pays.mode.blocks else rules.mandate_spare
        return MandateState.EXPIRED if pays.in_force and pays.expire_at <= now + spare else pays.state

    def _loss(self, session_id: str, state: MandateState | None, energy_wh: int, now: datetime) -> _Loss | None:
        if state is None:
            return self._lost.get(session_id)
        if state is MandateState.ACTIVE:
            self._lost.pop(session_id, None)
            return None
        return self._lost.setdefault(session_id, _Loss(now, energy_wh))

    def _limit_paise(self, session_id: str, paid: PaidSession, pays: Instrument | None) -> int:
        """What was granted; less where its block holds less by now."""
        granted = paid.terms.reserved_paise
        books = self._books.get(paid.terms.driver_id)
        if pays is None or books is None or not pays.mode.blocks:
            return granted
        others = books.exposure.on_block.get(pays.mandate_id, 0) - books.open_paise.get(session_id, 0)
        return min(granted, max(0, pays.held_paise - max(0, others)))

    def _ahead_paise(self, paid: PaidSession, energy_wh: int, cost_paise: int) -> int:
        reading = self._yard.readings.get(paid.connector)
        power_w = reading.power_w if reading is not None and reading.power_w is not None else 0
        return self._cost_paise(paid, energy_wh + self._till.ahead_wh(power_w)) - cost_paise

    def _cost_paise(self, paid: PaidSession, energy_wh: int) -> int:
        return self._till.cost(paid.terms, energy_wh).total_paise

    async def _stop(self, session_id: str, paid: PaidSession, why: StopWhy, now: datetime) -> None:
        told = self._stopped.get(session_id)
        if told is not None and now - told < STOP_AGAIN:
            return
        lost = why is StopWhy.MANDATE_LOST
        if (lost or why is StopWhy.MONEY_SPENT) and await self._move(session_id, paid, lost=lost):
            return
        self._stopped[session_id] = now
        message = words_for(f"stopped.{why}").english
        log.info("session %s on %s is ended: %s", session_id, paid.connector, message)
        self._spawn(self._end(paid, message, now), f"end {session_id}")
        if paid.stopping is None and told is None:
            asked = ev.SessionStopAsked(session_id, why.value, message)
            self._spawn(self._say(paid, asked, message, key=f"stop-asked/{session_id}"), f"tell {session_id}")

    async def _end(self, paid: PaidSession, message: str, now: datetime) -> None:
        order = cmd.StopCharging(
            command_id=f"{ACTOR}-stop-{paid.transaction_id}-{now:%Y%m%dT%H%M%S}", actor=ACTOR, reason=message, connector=paid.connector
        )
        result = await self._execute(order)
        if result.status is cmd.CommandStatus.REFUSED:  # the journal cannot write: it is ended all the same
            log.warning("the stop on %s is not recorded: %s", paid.connector, result.message)
            self._loop.end_session(paid.connector)

    async def _warn(self, session_id: str, paid: PaidSession, why: WarnWhy) -> None:
        if await self._move(session_id, paid, lost=why is WarnWhy.MANDATE_LOST):
            return
        if self._warned.get(session_id) is why or (paid.warned is not None and paid.warned.why == why.value):
            return
        self._warned[session_id] = why
        message = words_for(f"warned.{why}").english
        log.info("the driver of session %s on %s is told: %s", session_id, paid.connector, message)
        self._spawn(self._say(paid, ev.SessionWarned(session_id, why.value, message), message), f"tell {session_id}")

    async def _say(self, paid: PaidSession, fact: ev.Event, message: str, *, key: str | None = None) -> None:
        """To the driver's page by way of the journal, and to the station's display, where it is one of OCPP 2.x; one of 1.6 is
        told by :mod:`controller.driver_costs`. Why a session ended stands there for a while: what is said with its transaction
        goes with it (O03)."""
        now, station_id = self._yard.clock.now(), paid.connector.station_id
        await self._yard.journal.append([ev.NewEvent(fact, now, key=key, actor=ACTOR)])
        if station_id not in self.displays():
            return
        ends = isinstance(fact, ev.SessionStopAsked)
        several = len(self._yard.connectors_of(station_id)) > 1
        words = f"Connector {paid.connector.connector}: {message}" if ends and several else message
        order = cmd.ShowMessage(
            command_id=f"{ACTOR}-tell-{paid.transaction_id}-{now:%Y%m%dT%H%M%S}",
            actor=ACTOR,
            reason="the money of a session",
            station_ids=(station_id,),
            priority="InFront" if ends else "AlwaysFront",
            texts=(Text(words, "UTF8", "en"),),
            transaction_id=None if ends else paid.transaction_id,
            end_at=now + STOP_SHOWN if ends else None,
        )
        result = await self._execute(order)
        if result.status not in (cmd.CommandStatus.DONE, cmd.CommandStatus.ACCEPTED):
            log.info("%s shows its driver nothing: %s", paid.connector, result.message)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """What waits for a station or the disk holds nobody else's session up."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """What was begun is done."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _move(self, session_id: str, paid: PaidSession, *, lost: bool) -> bool:
        """Go on with another of the driver's instruments: a block that reaches further; where the mandate is ``lost``, any that
        carries the session. True: done."""
        moved = self._other(session_id, paid, lost=lost)
        if moved is None or self._yard.journal.frozen:
            return False
        desk = self._till.payments
        try:
            await aside(desk.store, lambda: desk.move(session_id, moved.mandate_id, reserved_paise=moved.reserved_paise))
        except (PaymentsError, StorageError) as error:
            log.warning("session %s stays with what pays for it: %s", session_id, error)
            return False
        await self._yard.journal.append([ev.NewEvent(moved, self._yard.clock.now(), actor=ACTOR)])
        self._asked_at = None
        self._warned.pop(session_id, None)
        log.info("session %s goes on with %s, for up to %d Wh", session_id, moved.mandate_id, moved.most_wh)
        return True

    def _other(self, session_id: str, paid: PaidSession, *, lost: bool) -> ev.SessionMoved | None:
        """The newest that would do."""
        books, pays, terms = self._books.get(paid.terms.driver_id), self._pays(session_id, paid), paid.terms
        if books is None or pays is None:
            return None
        for one in in_order(books.instruments):
            if one.mandate_id == pays.mandate_id or not self._lives(one):
                continue
            if one.mode.blocks:
                moved = self._to_block(session_id, paid, one, one.left_paise(books.exposure.on_block.get(one.mandate_id, 0)))
                further_wh = self._till.energy_wh(paid) if lost else terms.most_wh
                if moved.most_wh > further_wh and (lost or moved.reserved_paise > terms.reserved_paise):
                    return moved
            elif lost and self._credit_fits(session_id, books, pays, one):
                return ev.SessionMoved(session_id, one.mandate_id, terms.most_wh, terms.reserved_paise)
        return None

    def _to_block(self, session_id: str, paid: PaidSession, one: Instrument, left_paise: int) -> ev.SessionMoved:
        key, driver_id = paid.connector, paid.terms.driver_id
        whole = self._till.reserved_paise(key, driver_id=driver_id)
        most_wh = self._till.price.most_wh if left_paise >= whole else self._till.energy_for(key, left_paise, driver_id=driver_id)
        return ev.SessionMoved(session_id, one.mandate_id, most_wh, min(left_paise, whole))

    def _credit_fits(self, session_id: str, books: Standing, pays: Instrument, one: Instrument) -> bool:
        """Whether what is owed, with this session as it was granted, fits under this mandate."""
        here = books.open_paise.get(session_id, 0) if pays.mode.blocks else 0  # on credit it is counted already
        fits = books.exposure.open_paise + here <= credit_ceiling_paise(one, self._till.payments.credit)
        return fits and not books.exposure.in_arrears

    def _lives(self, one: Instrument) -> bool:
        now, rules = self._yard.clock.now(), self._till.payments.terms.rules
        spare = rules.block_spare if one.mode.blocks else rules.mandate_spare
        return one.in_force and one.expire_at > now + self._till.price.longest + spare

    # -- what a driver sees -------------------------------------------------------------------------------------

    async def _status(self, args: Mapping[str, str]) -> DriverStatusView | None:
        """Arguments: ``driver_id``; ``station_id`` and ``evse`` (1 where not said) for a session to be there."""
        driver_id = args.get("driver_id", "")
        if not driver_id:
            raise InvalidValue("say whose status: driver_id=…")
        try:
            return await driver_status(self._yard, self._till, driver_id, connector=self._connector(args))
        except StorageError as error:
            raise InvalidValue(f"the books of money cannot be read: {error}; try again in a minute") from None

    def _connector(self, args: Mapping[str, str]) -> ConnectorId | None:
        station_id = args.get("station_id", "")
        if not station_id:
            return None
        try:
            key = ConnectorId(station_id, int(args.get("evse") or 1))
        except ValueError:
            raise InvalidValue(f"evse is a number, not {args['evse'][:20]!r}") from None
        self._yard.spec.connector(key)
        return key

    displays: Callable[[], Collection[str]] = staticmethod(tuple)
    """Stations that can show a message, as the rim says once it is there."""
