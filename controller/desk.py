"""The desk that chargers report to: their words become facts. Implements :class:`depot.ports.ChargerEvents`.

Every answer that a charger waits for leaves only after the fact is durable (invariant 4); a repeated message gets the
same answer (invariant 5). The desk decides who may charge; how much is the loop's business.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from uuid6 import uuid7

from controller import coverage
from controller.defaults import Ledger, assign
from controller.fleet import fleet_tag
from controller.loop import ControlLoop
from controller.moves import REMOTE_TAG
from controller.planning_visits import carried
from controller.yard import Yard
from depot import events as ev
from depot.files import TransferReport
from depot.ports import BootAnswer, StartAnswer, StartRequest, StopRequest
from depot.readings import LinkReading, MeterReading
from depot.registry import DepotSpec
from depot.reservations import Reservation, ReservationState, used_by
from depot.state import ConnectorFacts, DepotState, StationFacts, Transaction, Visit
from depot.tokens import ACCEPTED, BLOCKED, INVALID, Authorization, Presented
from depot.values import ConnectorId

if TYPE_CHECKING:
    from controller.till import Admission, Till

log = logging.getLogger(__name__)

EARLY = timedelta(hours=3)
"""A vehicle may plug in this much before its announced arrival and still be taken for the announced one."""

PUNCTUAL = timedelta(minutes=10)
"""Who comes or leaves this close to the announced time is where the plan has it."""

MISSING_SHARE = 0.02
"""Who leaves with less than this of its energy missing has what it asked for."""

BACK_WITHIN = timedelta(minutes=45)
"""A vehicle that left before its time is taken for itself when the connector is plugged again within this time."""

KEPT_STOP_S = 20.0
"""A station says within this time after it came back what it kept while it was cut off (protocol time)."""

LATE = timedelta(minutes=2)
"""A start that took longer from the charger to here waited in its offline queue."""

PASS_AGAIN = timedelta(minutes=1)
"""A master pass at the same station is recorded again after this time."""

PENDING_S = 30
"""A station that waits to be admitted boots again so soon: somebody is setting it up."""
MAX_TRANSACTION_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class DeskSettings:
    """``heartbeat_s``: interval given to stations. ``accept_unknown_tags``: let a card that nobody announced charge. ``free_vend``: let
    who shows nothing charge. ``master_pass_group``: who is of this group may end any session; "": nobody."""

    heartbeat_s: int = 300
    accept_unknown_tags: bool = False
    free_vend: bool = False
    master_pass_group: str = ""


class Desk:
    """One per depot. ``replan(cause)`` tells the planner that something which matters has changed."""

    def __init__(self, yard: Yard, loop: ControlLoop, settings: DeskSettings, *, replan: Callable[[str], None]) -> None:
        self.yard = yard
        self.loop = loop
        self.settings = settings
        self.replan = replan
        self.defaults_spec: Callable[[], DepotSpec] = lambda: self.yard.spec
        """What the defaults are assigned by: the depot as built, or with a lower fail-safe limit of the utility."""
        self.last_register: Callable[[str, int], int | None] = lambda _station_id, _number: None
        """The newest register of a station's running transaction that outlives this process, Wh."""
        self.till: Till | None = None
        """Who is asked about drivers who pay; None where nobody pays."""
        self._next_transaction_id = 0
        self._passed_at: dict[str, datetime] = {}
        self._ledger_of: tuple[Mapping[ConnectorId, ConnectorFacts], DepotSpec, Ledger] | None = None

    # -- stations -----------------------------------------------------------------------------------------------

    async def boot(self, boot: ev.StationBooted) -> BootAnswer:
        self.loop.station_restarted(boot.station_id)  # tight at once: it may have forgotten its profiles
        await self._append(boot)
        registration = self.registration(boot.station_id)
        held = registration is ev.Registration.PENDING
        return BootAnswer(registration.word, min(PENDING_S, self.settings.heartbeat_s) if held else self.settings.heartbeat_s)

    def registration(self, station_id: str) -> ev.Registration:
        return self.yard.state.registration(station_id)

    def pressing(self, station_id: str, *, booted: bool) -> bool:
        keys = self.yard.connectors_of(station_id)
        runs = not booted and any(self.yard.state.connector(key).transaction_id is not None for key in keys)
        return runs or any(map(self.yard.shut, keys))

    def occupied(self, connector: ConnectorId) -> bool:
        facts = self.yard.state.connector(connector)
        return facts.transaction_id is not None or facts.status.plugged or facts.status is ev.ConnectorStatus.UNKNOWN

    async def quarantined(self, station_id: str, remote: str) -> None:
        if station_id not in self.yard.state.stations:
            log.warning(
                "unknown station %s knocked from %s: held in quarantine; a person accepts it on the page Stations", station_id, remote
            )
            await self._append(ev.StationQuarantined(station_id, remote), key=f"quarantine/{station_id}")

    async def transfer_reported(self, report: TransferReport) -> None:
        transfer = self.yard.state.files.meant_by(report, self.yard.clock.now())
        if transfer is not None:
            await self._append(ev.TransferReported(transfer.number, report.status))
            if report.locations and report.locations != transfer.locations:
                await self._append(ev.PublicationLocated(transfer.number, report.locations))

    async def probed(self, probe: ev.StationProbed) -> None:
        """A station that does not keep to its default is counted at its rating from now on (invariant 3), and at its default
        again as soon as that is confirmed anew."""
        spec = self.yard.stations.get(probe.station_id)
        before = self.yard.gap(probe.station_id)
        lost = coverage.gap(spec, probe) if spec is not None else ""
        matters = lost != before
        for key in self.yard.connectors_of(probe.station_id):
            grant = self.yard.grants[key]
            matters = matters or grant.autonomous is not probe.autonomous
            grant.autonomous = probe.autonomous
            if lost and grant.default_w is not None:
                self.loop.lose_default(key)
        if lost and not before:
            log.warning("station %s is uncovered: %s It is counted at its rating.", probe.station_id, lost)
        known = self.yard.state.stations.get(probe.station_id)
        if known is None or known.probe != probe:
            await self._append(probe)
        if before and not lost:
            for key in self.yard.connectors_of(probe.station_id):
                if self.yard.grants[key].commissioned and self.yard.grants[key].default_w is None:
                    self.restore_default(key)
        if matters:
            self.loop.wake_soon()

    async def compared(self, connector: ConnectorId, *, agrees: bool, detail: str) -> None:
        if connector not in self.yard.spec.connectors:
            return
        differs = "" if agrees else detail or "it differs"
        if self.yard.state.connector(connector).schedule_differs == differs:
            return
        if not agrees:
            log.warning("connector %s says something else than was installed: %s", connector, detail)
        await self._append(ev.ScheduleCompared(connector, agrees, detail))

    def ready(self, station_id: str, *, booted: bool) -> None:
        """Defaults rotate with the days, but only for a station that restarts; what the others hold is counted first."""
        keys = self.yard.connectors_of(station_id)
        held = {} if booted else {key: level for key in keys if (level := self.yard.state.connector(key).default_w) is not None}
        missing = [key for key in keys if key not in held]
        levels = {**held, **self._ledger().anew(missing, rotation=self.yard.clock.now().toordinal())} if missing else held
        shut = self.yard.shut
        self.loop.station_ready(station_id, booted=booted, defaults={key: 0 if shut(key) else levels[key] for key in keys})

    def _ledger(self) -> Ledger:
        """What all hold, summed up anew only when the facts have changed."""
        facts, spec = self.yard.state.connectors, self.defaults_spec()
        if self._ledger_of is None or self._ledger_of[0] is not facts or self._ledger_of[1] is not spec:
            installed = {key: self.yard.state.connector(key).default_w for key in self.yard.spec.connectors}
            self._ledger_of = (facts, spec, Ledger(spec, {key: level for key, level in installed.items() if level is not None}))
        return self._ledger_of[2]

    def reinstall(self, station_id: str) -> None:
        """Its profiles may be gone: nothing that it held is relied on, and all is said again."""
        self.ready(station_id, booted=True)

    def restore_default(self, key: ConnectorId) -> None:
        """A connector that was shut is in use again: its default as it would be given today, beside what the others hold."""
        installed = {other: self.yard.state.connector(other).default_w for other in self.yard.spec.connectors if other != key}
        held = {other: level for other, level in installed.items() if level is not None}
        levels = assign(self.defaults_spec(), rotation=self.yard.clock.now().toordinal(), held=held)
        self.loop.install_default(key, levels[key])

    def link_changed(self, link: LinkReading) -> None:
        self.yard.links[link.station_id] = link
        self.loop.link_changed(link.station_id, connected=link.connected)

    # -- connectors ---------------------------------------------------------------------------------------------

    async def status(
        self,
        connector: ConnectorId,
        status: ev.ConnectorStatus,
        error_code: str,
        reported_at: datetime | None,
        detail: ev.StatusDetail = ev.NO_DETAIL,
    ) -> None:
        """``detail.info`` alone is no change: some stations count in it."""
        if connector not in self.yard.spec.connectors:
            return
        state = self.yard.state
        now = self.yard.clock.now()
        before = state.connector(connector)
        news: list[ev.NewEvent] = []
        if _changed(before, status, error_code, detail):
            news.append(ev.NewEvent(ev.ConnectorStatusChanged(connector, status, error_code, detail), now, reported_at=reported_at))
        if status is ev.ConnectorStatus.AVAILABLE and before.inoperative_reason == ev.OUT_BY_CALL:
            news.append(ev.NewEvent(ev.ConnectorAvailabilitySet(connector, True), now, reported_at=reported_at))
        visit = self.yard.visit_on(connector)
        expected = self._expected(state, connector, now) if status.plugged and visit is None else None
        if expected is not None:
            news.append(ev.NewEvent(ev.VisitArrived(expected.visit_id, connector), now))
        left_early = status is ev.ConnectorStatus.AVAILABLE and visit is not None and self._leaves_room(visit, now)
        if status is ev.ConnectorStatus.AVAILABLE:
            for ghost in state.open_on(connector):
                self.loop.follow_up(self._end_if_still_open(ghost), f"ghost {connector}")
            if visit is not None:
                news.append(ev.NewEvent(ev.VisitEnded(visit.visit_id), now))
                if left_early:
                    news.append(ev.NewEvent(self._returning(visit, now), now))
                elif (following := carried(self.yard, visit, now)) is not None:
                    news.append(ev.NewEvent(following, now))
        if news:
            await self.yard.journal.append(news)
            self._ended(news)
            if self.yard.state.transaction_on(connector) is not None and not self.yard.grants[connector].in_session:
                self.loop.session_started(connector)  # told belatedly, and it runs after all
            if expected is not None and abs(now - expected.announced.arrive_at) > PUNCTUAL:
                self.replan("a vehicle came early or late")
            elif left_early:
                self.replan("a vehicle left early")
            self.loop.wake_soon()

    async def station_status(self, station_id: str, status: ev.ConnectorStatus, error_code: str, detail: ev.StatusDetail) -> None:
        """Kept and shown; what its connectors may do, they say themselves."""
        before = self.yard.state.stations.get(station_id)
        if before is None or _changed(before, status, error_code, detail):
            await self._append(ev.StationStatusChanged(station_id, status, error_code, detail))

    def _leaves_room(self, visit: Visit, now: datetime) -> bool:
        """Whether the plan still counted on it: who leaves in time, or has all that it asked for, changes nothing."""
        return now < visit.announced.depart_at - PUNCTUAL and self.yard.remaining_wh(visit) > MISSING_SHARE * visit.needed_wh

    def _returning(self, visit: Visit, now: datetime) -> ev.VisitAnnounced:
        """The rest of a stay that ended early: some sessions need a re-plug, and nobody shall lose its energy by that."""
        stay = visit.announced
        battery_wh = round(self.yard.remaining_wh(visit) * stay.efficiency)
        soc = stay.soc_arrival
        if soc is not None and stay.battery_wh:
            soc = min(1.0, soc + (stay.battery_energy_wh - battery_wh) / stay.battery_wh)
        return replace(stay, arrive_at=now, battery_energy_wh=battery_wh, soc_arrival=soc, connector=visit.connector, returning=True)

    def _expected(self, state: DepotState, connector: ConnectorId, now: datetime) -> Visit | None:
        """Who is plugged in there: the one that is due next, but one that has just left may be back before it."""
        due = [
            visit
            for visit in state.visits.values()
            if not visit.present
            and visit.announced.connector == connector
            and visit.announced.arrive_at - EARLY <= now < visit.announced.depart_at
        ]
        back = [visit for visit in due if visit.announced.returning and now - visit.announced.arrive_at <= BACK_WITHIN]
        others = [visit for visit in due if not visit.announced.returning]
        if back and not any(abs(now - visit.announced.arrive_at) <= PUNCTUAL for visit in others):
            return max(back, key=lambda visit: visit.announced.arrive_at)
        return min(others, key=lambda visit: visit.announced.arrive_at, default=None)

    def reading(self, reading: MeterReading) -> None:
        self.loop.reading(reading)

    # -- transactions -------------------------------------------------------------------------------------------

    async def authorize(self, station_id: str, id_tag: str, shown: Presented | None = None) -> Authorization:
        answer = self._by_list(shown or Presented(id_tag), station_id)
        if answer.master:
            await self._pass_shown(station_id, id_tag)
            return answer
        driver_id = self._payer(id_tag)
        if not answer.accepted or self.till is None or driver_id is None:
            return answer
        told = await self.till.may_start(driver_id, station_id)
        if isinstance(told, ev.StartRefused):
            if self.till.is_news(told):
                self.loop.note(told)
            return replace(BLOCKED, message=told.message)
        return _with_price(answer, self.till, told.most_wh, driver_id, station_id)

    async def _pass_shown(self, station_id: str, id_tag: str) -> None:
        """Who may end everybody's session is on record: once in a while, so that a reader cannot fill the journal with it."""
        now = self.yard.clock.now()
        before = self._passed_at.get(station_id)
        if before is None or now - before >= PASS_AGAIN:
            self._passed_at[station_id] = now
            await self._append(ev.MasterPassShown(station_id, id_tag), actor=f"station:{station_id}")

    def _by_list(self, shown: Presented, station_id: str, connector: int | None = None) -> Authorization:
        """What a token may by the list, the registry and the safety of its vehicle; what its driver pays is not asked here."""
        id_tag = shown.token
        if shown.nobody and (self.settings.free_vend or shown.type):
            return ACCEPTED if self.settings.free_vend else INVALID
        listed = self.yard.state.id_token(id_tag, shown.type)
        if listed is not None:
            answer = listed.answer(shown, self.yard.clock.now(), station_id=station_id, connector=connector)
            if answer.accepted and self._is_master(answer.group):
                return replace(answer, master=True)
        elif self._known(id_tag) or self._payer(id_tag) is not None:
            answer = ACCEPTED
        else:
            answer = INVALID
        return BLOCKED if answer.accepted and self._unsafe(id_tag) else answer

    def _is_master(self, group: str) -> bool:
        wanted = self.settings.master_pass_group
        return bool(wanted) and group.casefold() == wanted.casefold()

    def _unsafe(self, id_tag: str) -> bool:
        """Whether the vehicle that is known by this tag has a battery that may take nothing."""
        stays = [v.announced for v in self.yard.state.visits.values() if id_tag in (v.announced.id_tag, v.announced.vehicle_id)]
        return any(self.yard.pack_share.get(stay.vehicle_id, 1.0) <= 0 for stay in stays)

    def _payer(self, id_tag: str) -> str | None:
        """The driver who pays for what this tag starts; None for nobody, or a vehicle of the fleet."""
        if self.till is None or fleet_tag(self.yard.state, id_tag):
            return None
        return self.till.driver_of(id_tag)

    def _known(self, id_tag: str) -> bool:
        if self.settings.accept_unknown_tags or id_tag == REMOTE_TAG:
            return True
        state = self.yard.state
        return self._announced(id_tag) or state.vehicle_by_tag(id_tag) is not None or state.driver_by_tag(id_tag) is not None

    def _announced(self, id_tag: str) -> bool:
        return any(id_tag in (visit.announced.id_tag, visit.announced.vehicle_id) for visit in self.yard.state.visits.values())

    async def start(self, request: StartRequest) -> StartAnswer:
        """Idempotent by the request's natural key; an older transaction still open there is a ghost and ends. One that a station
        tells late, out of its offline queue, begins nothing where it is over already."""
        driver_id = self._payer(request.id_tag)
        paid = None
        answer = self._by_list(request.shown or Presented(request.id_tag), *request.connector)
        if answer.master:
            answer = BLOCKED  # it ends sessions and begins none
        if answer.accepted and driver_id is not None and self.yard.state.connector(request.connector).operative:
            paid = await self.till.admit(driver_id, request, unasked=_unasked(request)) if self.till is not None else None
            answer = _admitted(answer, self.till, paid, request.connector.station_id)
        state = self.yard.state
        belated = self._belated(request)
        visit = self.yard.visit_on(request.connector) or (None if belated else self._visit_of_tag(state, request))
        barred = self.yard.unsafe(request.connector, visit) is not None or not state.connector(request.connector).operative
        if answer.accepted and (barred or self.registration(request.connector.station_id) is not ev.Registration.ACCEPTED):
            answer = BLOCKED
        accepted = answer.accepted
        number = self._new_id(state)
        started = ev.NewEvent(
            ev.TransactionStarted(
                number,
                paid.session_id if paid is not None else str(uuid7()),
                request.connector,
                request.id_tag,
                request.meter_start_wh,
                visit.visit_id if visit else None,
                accepted,
                belated,
            ),
            request.received_at,
            key=f"start/{request.key}",
            reported_at=request.reported_at,
            received_at=request.received_at,
            actor=f"station:{request.connector.station_id}",
        )
        money = []
        if paid is not None and paid.accepted == accepted:  # out of service meanwhile: no session, nothing to pay
            money = [ev.NewEvent(paid.fact, request.received_at, key=f"pay/{request.key}", actor=started.actor)]
            if paid.unasked is not None:
                money.append(ev.NewEvent(paid.unasked, request.received_at, key=f"unasked/{request.key}", actor=started.actor))
        envelope, *_ = await self.yard.journal.append([started, *money])
        data = envelope.data
        if not isinstance(data, ev.TransactionStarted):
            raise TypeError(f"journal key {envelope.key} belongs to a {envelope.type}")
        if self.till is not None and paid is not None and paid.accepted and not data.accepted:
            await self.till.withdraw(paid.session_id)  # the first answer to this message was no, and stays no
        news = self._older_ghosts(data)  # of a repeated start too: the process may have died in between
        if not envelope.duplicate:
            if visit is not None and not visit.present:
                news.append(ev.NewEvent(ev.VisitArrived(visit.visit_id, request.connector), request.received_at))
            reserved = self._reservation_of(request, answer.group)
            if reserved is not None:
                used = ev.ReservationChanged(reserved.reservation_id, ReservationState.USED, transaction_id=data.transaction_id)
                news.append(ev.NewEvent(used, request.received_at, actor=started.actor))
        if news:
            await self.yard.journal.append(news)
        running = self.yard.state.connector(request.connector).transaction_id == data.transaction_id
        if running and not envelope.duplicate and request.connector in self.yard.grants:
            self.loop.session_started(request.connector)
            if not data.accepted or self.yard.unsafe(request.connector, visit) is not None:
                self.loop.end_session(request.connector)
        if data.accepted is not accepted:
            answer = ACCEPTED if data.accepted else INVALID  # said again: the first answer holds
        return StartAnswer(data.transaction_id, answer, running)

    def _belated(self, request: StartRequest) -> bool:
        """Whether a start out of an offline queue is of a transaction that is over by now: a younger one runs there, or the
        connector says that none does. Should that be old as well, its next status sets it right."""
        if request.reported_at is None or request.received_at - request.reported_at <= LATE:
            return False
        running = self.yard.state.transaction_on(request.connector)
        if running is not None and running.began_at > request.reported_at:
            return True
        return self.yard.state.connector(request.connector).status.between_transactions

    def _older_ghosts(self, started: ev.TransactionStarted) -> list[ev.NewEvent]:
        """The ends of those that never said so, and are open although another one began there after them."""
        open_ = self.yard.state.open_on(started.connector)
        this = next((t for t in open_ if t.transaction_id == started.transaction_id), None)
        if this is None:
            return []
        older = [t for t in open_ if t.transaction_id < this.transaction_id and (not started.belated or t.began_at <= this.began_at)]
        return [self._ghost_stop(ghost, "another session began", next_start_wh=this.meter_start_wh) for ghost in older]

    def _reservation_of(self, request: StartRequest, group: str) -> Reservation | None:
        """The reservation that this start uses up."""
        return used_by(
            self.yard.state.reservations,
            station_id=request.connector.station_id,
            connector=request.connector.connector,
            token=request.id_tag,
            group=group,
            reservation_id=request.reservation_id,
            began_at=request.reported_at,
        )

    def _visit_of_tag(self, state: DepotState, request: StartRequest) -> Visit | None:
        """Whose card it is, among those that may be here by now; one that should have left already comes last."""
        vehicle = state.vehicle_by_tag(request.id_tag)
        names = {request.id_tag} | ({vehicle.vehicle_id} if vehicle is not None else set())
        now = request.received_at
        found = [
            visit
            for visit in state.visits.values()
            if not visit.present
            and (visit.announced.id_tag == request.id_tag or visit.announced.vehicle_id in names)
            and visit.announced.arrive_at - EARLY <= now
        ]
        return min(found, key=lambda visit: (visit.announced.depart_at <= now, visit.announced.arrive_at), default=None)

    def _new_id(self, state: DepotState) -> int:
        number = max(self._next_transaction_id, state.next_transaction_id)
        if number > MAX_TRANSACTION_ID:
            raise OverflowError("no 31-bit transaction ids are left; archive this depot's journal and begin a new one")
        self._next_transaction_id = number + 1
        return number

    async def stop(self, request: StopRequest) -> None:
        """The first stop wins; repeats and stops of unknown transactions are kept and change nothing."""
        transaction = self.yard.state.transactions.get(request.transaction_id)
        actor = f"station:{request.station_id}"
        if transaction is None or transaction.connector.station_id != request.station_id:
            orphan = ev.StopOrphaned(request.station_id, request.transaction_id, request.meter_stop_wh, request.reason)
            key = f"orphan/{request.station_id}/{request.transaction_id}/{request.meter_stop_wh}/{request.reason}"
            await self._append(orphan, key=key, actor=actor, reported_at=request.reported_at)
            await self._keep_signed(request)
            return
        stopped = ev.TransactionStopped(
            transaction.transaction_id,
            transaction.connector,
            max(request.meter_stop_wh, transaction.meter_start_wh),
            request.reason,
            request.estimated,
        )
        new = ev.NewEvent(
            stopped,
            request.received_at,
            key=f"stop/{transaction.transaction_id}",
            reported_at=request.reported_at,
            received_at=request.received_at,
            actor=actor,
        )
        (envelope,) = await self.yard.journal.append([new])
        await self._keep_signed(request)
        if not envelope.duplicate:
            self._ended([new])
            visit = self.yard.visit_on(transaction.connector)
            if visit is not None and self.yard.remaining_wh(visit) > 0:
                self.replan("a session ended before its time")

    async def _keep_signed(self, request: StopRequest) -> None:
        if request.signed:
            key = f"signed/{request.station_id}/{request.transaction_id}/{request.meter_stop_wh}"
            kept = ev.SignedReadingsKept(request.station_id, request.transaction_id, request.signed)
            await self._append(kept, key=key, actor=f"station:{request.station_id}", reported_at=request.reported_at)

    async def _end_if_still_open(self, ghost: Transaction) -> None:
        """A connector is free although its session never ended: a station that was cut off says first what is now, and
        only then what it kept, so its own stop with the true meter value may still come."""
        await asyncio.sleep(KEPT_STOP_S)
        while not self.loop.chargers.connected(ghost.connector.station_id):  # noqa: ASYNC110  # it is in no hurry
            await asyncio.sleep(KEPT_STOP_S)
        if ghost.transaction_id in self.yard.state.transactions:
            news = [self._ghost_stop(ghost, "vehicle gone, no stop was sent")]
            await self.yard.journal.append(news)
            self._ended(news)

    def _ghost_stop(self, ghost: Transaction, reason: str, *, next_start_wh: int = 0) -> ev.NewEvent:
        """Its end where its own last reading was (of an earlier process: what was kept of it), or where there is none, at the
        register with which the next one began."""
        reading = self.yard.readings.get(ghost.connector)
        own = reading.energy_wh if reading is not None and reading.transaction_id in (None, ghost.transaction_id) else None
        if own is None:
            own = self.last_register(ghost.connector.station_id, ghost.transaction_id)
        register_wh = own if own is not None and own > ghost.meter_start_wh else next_start_wh
        stop_wh = max(register_wh, ghost.meter_start_wh)
        stopped = ev.TransactionStopped(ghost.transaction_id, ghost.connector, stop_wh, reason, estimated=True)
        return ev.NewEvent(stopped, self.yard.clock.now(), key=f"stop/{ghost.transaction_id}")

    def _ended(self, news: list[ev.NewEvent]) -> None:
        for new in news:
            if isinstance(new.data, ev.TransactionStopped) and new.data.connector in self.yard.grants:
                running = self.yard.state.transaction_on(new.data.connector)
                if running is None:
                    self.loop.session_ended(new.data.connector)

    async def _append(
        self, event: ev.Event, *, key: str | None = None, actor: str = "controller", reported_at: datetime | None = None
    ) -> None:
        await self.yard.journal.append([ev.NewEvent(event, self.yard.clock.now(), key=key, actor=actor, reported_at=reported_at)])


def _with_price(answer: Authorization, till: Till | None, most_wh: int, driver_id: str, station_id: str) -> Authorization:
    """Who pays is shown the price, where nobody wrote another message for this token."""
    if till is None or answer.message:
        return answer
    return replace(answer, message=till.offer_in_words(most_wh, driver_id=driver_id, station_id=station_id))


def _admitted(answer: Authorization, till: Till | None, paid: Admission | None, station_id: str) -> Authorization:
    """The answer to a start, as the till decided; a no says why."""
    if paid is None:
        return BLOCKED
    if isinstance(paid.fact, ev.StartRefused):
        return replace(BLOCKED, message=paid.fact.message)
    return _with_price(answer, till, paid.fact.most_wh, paid.fact.driver_id, station_id)


def _unasked(request: StartRequest) -> bool:
    """Whether the station began without asking: it was cut off, and says so or tells it late."""
    late = request.reported_at is not None and request.received_at - request.reported_at > LATE
    return late or request.offline


def _changed(before: StationFacts | ConnectorFacts, status: ev.ConnectorStatus, error_code: str, detail: ev.StatusDetail) -> bool:
    known = (before.status, before.error_code, before.detail.vendor_error_code)
    return known != (status, error_code, detail.vendor_error_code)
