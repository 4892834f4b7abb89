"""What a driver at a charger may see and order: the place, a start with the driver's own tag, a stop of the driver's own session.

    page --DriveStart--> gate asked --> station is asked to start with the driver's tag --> it asks the desk, as after a card

The station begins with no more than what the limiter counts for its idle connector anyhow, since a card at the reader could start it as
well (invariant 1).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from controller.drive_price import price_view
from controller.drive_view import (
    DriveBillView,
    DriveGateView,
    DriveMandateView,
    DriveModeView,
    DrivePlaceView,
    DriveReasonView,
    DriveRunningView,
    DriveSelfView,
    PlaceState,
)
from controller.driver_status import driver_status, told_words
from controller.kept_free import reserved_for_another
from controller.loop import ControlLoop
from controller.room import Answered, Carrier, Viewer
from controller.rows import STARTABLE
from controller.till import Till, aside
from controller.views_tiles import label
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.state import PaidSession
from depot.values import ConnectorId, InvalidValue, Outcome, Setpoint
from payments.driver_bills import DriverBill, driver_bills
from payments.instruments import BOUNDS
from payments.records import Books, looking
from payments.states import MandateState, Mode
from payments.times import from_ms
from storage import StorageError, Store

log = logging.getLogger(__name__)

BILLS_MOST = 30
FRESH = timedelta(seconds=120)
"""Older measurements are shown as unknown."""

_ROUND_PAISE = (500_00, 1_000_00, 2_000_00, 5_000_00, 10_000_00, 15_000_00)
LIFE = timedelta(seconds=180)
"""How long the level of a start holds: as a live profile."""

_DONE, _FAILED = cmd.CommandStatus.DONE, cmd.CommandStatus.FAILED


def _no(key: str, words: str, status: cmd.CommandStatus = cmd.CommandStatus.REFUSED) -> Answered:
    """No, in words for people; ``key``: of the same in a page's own language."""
    return Answered(status, words, {"say": key})


class DriveRoom:
    """One per depot, where somebody pays."""

    def __init__(self, yard: Yard, loop: ControlLoop, till: Till) -> None:
        self._yard = yard
        self._loop = loop
        self._till = till

    @property
    def commands(self) -> Mapping[type[cmd.Command], Carrier]:
        return {cmd.DriveStart: self._start, cmd.DriveStop: self._stop}

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {DrivePlaceView: self._place, DriveSelfView: self._self}

    async def run(self) -> None:
        """Nothing to do."""

    # -- start and stop -----------------------------------------------------------------------------------------

    async def _start(self, command: cmd.DriveStart, _: ev.Envelope) -> Answered:
        key = command.connector
        self._yard.spec.connector(key)
        tag = self._tag_of(command.driver_id)
        if tag is None:
            return _no("no_mandate", "no mandate is set up: set one up first")
        open_ = self._yard.state.transaction_on(key)
        if open_ is not None:
            paid = self._yard.state.paid.get(open_.session_id)
            if paid is not None and paid.terms.driver_id == command.driver_id:
                return Answered(_DONE, f"{label(self._yard, key)} is already charging for you")
            return _no("in_use", f"{label(self._yard, key)} is in use: choose another charger")
        against = self._against(key, tag)
        if against is not None:
            return against
        quote = await self._till.may_start(command.driver_id, key.station_id)
        if isinstance(quote, ev.StartRefused):
            if self._till.is_news(quote):
                self._loop.note(quote)
            return _no("gate", quote.message)
        outcome = await self._ask_station(key, tag)
        if outcome is Outcome.ACCEPTED:
            return Answered(_DONE, f"{label(self._yard, key)} was asked to start, and does")
        if outcome is Outcome.OFFLINE:
            return _no("offline", f"{label(self._yard, key)} does not answer: try again, or choose another charger", _FAILED)
        words = f"{label(self._yard, key)} did not start ({outcome}): unplug, plug in again, and try once more"
        return _no("not_started", words, _FAILED)

    async def _ask_station(self, key: ConnectorId, tag: str) -> Outcome:
        """With no more than what the limiter counts for the idle connector anyhow; it is raised once the session runs."""
        now = self._yard.clock.now()
        grant = self._yard.grants[key]
        counted_w = max(0, min(grant.bound_w(now.timestamp()), grant.rated_w))
        setpoint = Setpoint(key, counted_w, now + LIFE)
        return await self._loop.chargers.start(setpoint, tag)

    def _against(self, key: ConnectorId, tag: str) -> Answered | None:
        """Why nobody may begin there now; None where one may."""
        yard, name = self._yard, label(self._yard, key)
        facts = yard.state.connector(key)
        if not facts.operative or yard.state.registration(key.station_id) is not ev.Registration.ACCEPTED:
            return _no("out_of_service", f"{name} is out of service: choose another charger")
        if not self._loop.chargers.connected(key.station_id):
            return _no("offline", f"{name} is offline: choose another charger")
        if facts.status not in STARTABLE:
            return _no("plug_first", f"plug the cable in first; {name} sees no vehicle yet")
        visit = yard.visit_on(key)
        if visit is not None:
            return _no("fleet", f"{name} is taken by a vehicle of the depot")
        if yard.unsafe(key, None) is not None:
            return _no("safety", f"{name} is closed for safety: choose another charger")
        if reserved_for_another(yard, key, {tag}, yard.clock.now()) is not None:
            return _no("reserved", f"{name} is reserved for somebody else")
        return None

    async def _stop(self, command: cmd.DriveStop, _: ev.Envelope) -> Answered:
        paid = self._yard.state.paid.get(command.session_id)
        if paid is None or paid.terms.driver_id != command.driver_id:
            return _no("other", "this session is not known, or is billed already")
        if paid.stopped_at is not None:
            return Answered(_DONE, "the session has ended")
        outcome = await self._loop.chargers.stop(paid.connector, paid.transaction_id)
        self._loop.wake()
        if outcome is Outcome.ACCEPTED:
            return Answered(_DONE, f"{label(self._yard, paid.connector)} accepted the stop")
        words = f"{label(self._yard, paid.connector)} did not accept the stop ({outcome}): stop it at the charger"
        return _no("not_stopped", words, _FAILED)

    def _tag_of(self, driver_id: str) -> str | None:
        """The driver's own tag, as the station may send it back: case does not count."""
        return next((tag.upper() for tag, owner in self._till.tags.items() if owner == driver_id), None)

    # -- what the driver sees -----------------------------------------------------------------------------------

    async def _place(self, args: Mapping[str, str]) -> DrivePlaceView | None:
        """``station_id``, ``evse``, ``driver_id`` ("" for somebody unknown). None: there is no such place."""
        try:
            key = ConnectorId.parse(f"{args.get('station_id', '')}/{args.get('evse', '')}")
        except InvalidValue:
            return None
        if key not in self._yard.spec.connectors:
            return None
        spec, till = self._yard.spec, self._till
        driver_id = args.get("driver_id", "")
        own = self._running_of(driver_id)
        worst_paise = till.reserved_paise(key, driver_id=driver_id)
        return DrivePlaceView(
            at=self._yard.clock.now(),
            depot=spec.name or spec.depot_id,
            timezone=spec.timezone,
            station_id=key.station_id,
            evse=key.connector,
            label=label(self._yard, key),
            state=self._state(key),
            rated_w=spec.connectors[key].rated_w,
            price=price_view(till.tariff_for(driver_id, key.station_id), till.tax_rule(driver_id), self._yard.clock.now()),
            most_wh=till.price.most_wh,
            reserved_paise=worst_paise,
            modes=modes_for(worst_paise, till.payments.terms.rules.no_second_factor_up_to_paise),
            gate=await self._gate(driver_id, key),
            session_id=next((session_id for session_id, paid in own.items() if paid.connector == key), ""),
        )

    async def _gate(self, driver_id: str, key: ConnectorId) -> DriveGateView | None:
        """None: nobody knows this driver, or the books cannot be read now (a start says so itself)."""
        if not driver_id:
            return None
        try:
            found = await driver_status(self._yard, self._till, driver_id, connector=key)
        except StorageError as error:
            log.warning("what driver %s may do cannot be looked up: %s", driver_id, error)
            return None
        if found is None:
            return None
        return DriveGateView(
            may_start=found.may_start,
            refusal=found.refusal,
            headline=found.headline,
            next_step=found.next_step,
            room_paise=found.room_paise,
            most_wh=found.room_wh,
            owed_paise=found.owed_paise,
        )

    def _state(self, key: ConnectorId) -> PlaceState:
        facts = self._yard.state.connector(key)
        if not facts.operative or self._yard.state.registration(key.station_id) is not ev.Registration.ACCEPTED:
            return PlaceState.OUT
        if not self._loop.chargers.connected(key.station_id):
            return PlaceState.OFFLINE
        if facts.transaction_id is not None:
            return PlaceState.CHARGING
        if facts.status is ev.ConnectorStatus.RESERVED:
            return PlaceState.RESERVED
        if facts.status in (ev.ConnectorStatus.UNAVAILABLE, ev.ConnectorStatus.FAULTED):
            return PlaceState.OUT
        return PlaceState.PLUGGED if facts.status.plugged else PlaceState.FREE

    def _running_of(self, driver_id: str) -> dict[str, PaidSession]:
        if not driver_id:
            return {}
        return {k: p for k, p in self._yard.state.paid.items() if p.terms.driver_id == driver_id and p.stopped_at is None}

    async def _self(self, args: Mapping[str, str]) -> DriveSelfView:
        """``driver_id``."""
        driver_id, now = args.get("driver_id", ""), self._yard.clock.now()
        if not driver_id:
            raise InvalidValue("driver_id is needed")
        payments = self._till.payments

        def books() -> tuple[Sequence[DriverBill], DriveMandateView | None]:
            bills = driver_bills(payments.store, payments.depot_id, driver_id, now, limit=BILLS_MOST)
            return bills, driver_mandate(payments.store, payments.depot_id, driver_id)

        try:
            bills, mandate = await aside(payments.store, books)
        except StorageError as error:
            raise InvalidValue(f"the books of money cannot be read: {error}") from None
        paid = {k: p for k, p in self._yard.state.paid.items() if p.terms.driver_id == driver_id}
        return DriveSelfView(
            at=now,
            timezone=self._yard.spec.timezone,
            depot=self._yard.spec.name or self._yard.spec.depot_id,
            known=mandate is not None or bool(bills) or bool(paid),
            mandate=mandate,
            running=[self._running(k, p, now) for k, p in paid.items() if p.stopped_at is None],
            ended=[k for k, p in paid.items() if p.stopped_at is not None],
            bills=[bill_view(row) for row in bills],
        )

    def _running(self, session_id: str, paid: PaidSession, now: datetime) -> DriveRunningView:
        key = paid.connector
        grant, reading = self._yard.grants[key], self._yard.readings.get(key)
        energy_wh = self._yard.session_energy_wh(key)
        fresh = reading is not None and now - reading.received_at <= FRESH
        soc = self._yard.soc.get(key)
        left_wh, power_w = max(0, paid.terms.most_wh - energy_wh), grant.measured_w if fresh else None
        return DriveRunningView(
            session_id=session_id,
            station_id=key.station_id,
            evse=key.connector,
            label=label(self._yard, key),
            started_at=paid.started_at,
            energy_wh=energy_wh,
            power_w=power_w,
            soc=soc[0] if soc is not None and now - soc[1] <= FRESH else None,
            cost_paise=self._till.cost(paid.terms, energy_wh).total_paise,
            most_wh=paid.terms.most_wh,
            most_paise=paid.terms.reserved_paise,
            ends_at=now + timedelta(hours=left_wh / power_w) if power_w is not None and power_w > 0 else None,
            told=told_words(paid),
            reason=self._reason(key),
        )

    def _reason(self, key: ConnectorId) -> DriveReasonView | None:
        """What keeps the session below its charger's rating; None where nothing does."""
        last = self._yard.last
        index = last.index.get(key) if last is not None else None
        if last is None or index is None:
            return None
        rated_w, target_w = self._yard.spec.connectors[key].rated_w, last.allocation.targets[index]
        if target_w >= rated_w:
            return None
        return DriveReasonView(because=last.allocation.because[index].value, power_w=target_w, rated_w=rated_w)


def modes_for(worst_paise: int, most_debit_paise: int) -> list[DriveModeView]:
    """Ways to pay that carry a session which may cost ``worst_paise``: up to four round sums each, the smallest that is enough first.
    AutoPay is offered up to what is debited without a second factor (RBI e-mandate framework 2026)."""
    found = []
    for mode, days in ((Mode.AUTOPAY, 365), (Mode.RESERVE, 90), (Mode.ONE_TIME, 7)):
        bounds = BOUNDS[mode]
        most = min(bounds.most_paise, most_debit_paise)
        enough = -(-worst_paise // 100_00) * 100_00
        sums = sorted({enough, *(step for step in _ROUND_PAISE if step > enough)})
        choices = [paise for paise in sums if bounds.least_paise <= paise <= most][: 1 if mode is Mode.ONE_TIME else 4]
        if choices:
            found.append(DriveModeView(mode=mode.value, choices_paise=choices, days=min(days, bounds.longest.days)))
    return found


def bill_view(row: DriverBill) -> DriveBillView:
    """A row of the books for the driver's page."""
    return DriveBillView(
        session_id=row.session_id,
        opened_at=row.opened_at,
        stage=row.stage.value,
        invoice_no=row.invoice_no,
        energy_wh=row.bill.energy_wh,
        taxable_paise=row.bill.taxable_paise,
        cgst_paise=row.bill.cgst_paise,
        sgst_paise=row.bill.sgst_paise,
        igst_paise=row.bill.igst_paise,
        round_off_paise=row.bill.round_off_paise,
        total_paise=row.bill.total_paise,
        credited_paise=row.credited_paise,
        owed_paise=row.owed_paise,
        due_at=row.due_at,
    )


def driver_mandate(store: Store, depot_id: str, driver_id: str) -> DriveMandateView | None:
    """The driver's mandate that counts, from the books."""
    with looking(store) as session:
        row = Books(session, depot_id).newest_mandate(driver_id)
    if row is None:
        return None
    waits = row.state == MandateState.INTENT_OPEN
    return DriveMandateView(
        mandate_id=row.mandate_id,
        mode=row.mode,
        state=row.state,
        max_amount_paise=row.max_amount_paise,
        expire_at=from_ms(row.expire_ms),
        intent_url=(row.intent_url or "") if waits else "",
    )
