"""The till: who pays at a charger, whether they may start now, and on which terms. Asked by the desk.

    StartRequest --driver_of(tag)--> admit() --reservation in the books of money--> Admission: the fact beside the start

It asks the depot's own books and never the gateway, so a gateway that is away keeps nobody from charging. The session's
id comes from the start's natural key: a message that is repeated, or said again after a crash, finds its reservation.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import TypeVar
from uuid import UUID, uuid5

from controller.yard import Yard
from depot import events as ev
from depot.costs import Cost
from depot.ports import StartRequest
from depot.state import PaidSession
from depot.values import ConnectorId
from payments.gate import Ask, GateAnswer, GateRefusal, energy_within
from payments.money import EnergyLine, bill_of
from payments.payers import Payers
from payments.service import Payments
from storage import StorageError, Store

log = logging.getLogger(__name__)

T = TypeVar("T")

BOOKS_SHUT = "books_unavailable"
"""Refused because the books cannot be read: nobody knows whether the driver may."""

_SESSIONS = UUID("6a0c6b3e-3d0e-5f5c-9d53-8a8f1a0e2c11")
_OVERSHOOT_S = 120
"""A session is ended at its last watt-hour only as fast as its charger tells of it and obeys."""
_NEWS_AGAIN = timedelta(minutes=1)
_CHANGES_UNTOLD = (GateRefusal.MANDATE_PAUSED, GateRefusal.MANDATE_NOT_ACTIVE)
"""Refusals that may have ended without anybody's telling us: the worker looks at once, so that the next try knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a paid session costs, without tax, and how far it may go: ``most_wh`` of energy, ``longest`` in time. ``least_wh``: the
    smallest session that is begun where there is too little money for a whole one; None: the whole or nothing."""

    paise_per_kwh: Fraction
    service_paise: int = 0
    most_wh: int = 40_000
    least_wh: int | None = None
    longest: timedelta = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class Admission:
    """``fact``: journaled with the start; ``unasked``: beside it, where the station began without asking."""

    session_id: str
    fact: ev.SessionAdmitted | ev.StartRefused
    unasked: ev.SessionUnasked | None = None

    @property
    def accepted(self) -> bool:
        """Whether the driver may charge."""
        return isinstance(self.fact, ev.SessionAdmitted)


@dataclass(frozen=True, slots=True)
class Quote:
    """What the gate says of a session to be. ``most_wh``: how far it may go, 0 where it may not begin."""

    answer: GateAnswer
    most_wh: int


async def aside(store: Store, work: Callable[[], T]) -> T:
    """Blocking work on the books, off the loop; at once where they are in memory (virtual time knows no threads)."""
    return work() if store.path is None else await asyncio.to_thread(work)


class Till:
    """One per depot. ``tags``: driver by tag, in small letters. Call :meth:`restore` once before the first question."""

    def __init__(self, yard: Yard, payments: Payments, payers: Payers, price: Price) -> None:
        self._yard = yard
        self.payments = payments
        self.payers = payers
        self.price = price
        self.tags: dict[str, str] = {}
        self._told: dict[tuple[str, str], datetime] = {}

    async def restore(self) -> None:
        """Read whose tag is whose."""
        self.tags = await aside(self.payers.store, self.payers.everybody)

    def driver_of(self, id_tag: str) -> str | None:
        """The driver who pays for sessions that ``id_tag`` starts."""
        driver_id = self.tags.get(id_tag.casefold())
        if driver_id is None and self.tags:
            registered = self._yard.state.driver_by_tag(id_tag)
            if registered is not None and registered.driver_id in self.tags.values():
                return registered.driver_id  # another card of somebody who pays
        return driver_id

    def cost(self, terms: ev.SessionAdmitted, energy_wh: int) -> Cost:
        """What a session of these terms costs with so much energy, as its bill will have it."""
        line = EnergyLine(energy_wh, Fraction(terms.paise_per_kwh))
        bill = bill_of([line], self.payments.terms.gst, service_paise=terms.service_paise if energy_wh else 0)
        currency = self._yard.spec.currency
        words = f"{energy_wh / 1000:.2f} kWh: {bill.total_paise / 100:.2f} {currency} with tax"
        return Cost(bill.total_paise, energy_wh, words)

    @property
    def price_in_words(self) -> str:
        """For the driver who is about to start."""
        price, currency, tax = self.price, self._yard.spec.currency, float(self.payments.terms.gst.rate * 100)
        service = f" and {price.service_paise / 100:.2f} {currency} a session" if price.service_paise else ""
        return f"{float(price.paise_per_kwh / 100):.2f} {currency}/kWh{service}, plus {tax:g} % tax"

    def offer_in_words(self, most_wh: int) -> str:
        """The price, and how far the money reaches where it does not reach for a whole session."""
        limit = f"; up to {most_wh // 100 / 10:.1f} kWh" if most_wh < self.price.most_wh else ""
        return self.price_in_words + limit

    def reserved_paise(self, connector: ConnectorId, most_wh: int | None = None) -> int:
        """The most that a session there can cost, taxes included: of ``most_wh``, None: of a whole one."""
        rated_w = self._yard.spec.connectors[connector].rated_w
        worst_wh = (self.price.most_wh if most_wh is None else most_wh) + self.ahead_wh(rated_w)
        line = EnergyLine(worst_wh, self.price.paise_per_kwh)
        return bill_of([line], self.payments.terms.gst, service_paise=self.price.service_paise).total_paise

    def ahead_wh(self, power_w: int) -> int:
        """What may still flow at this power until a charger obeys a stop."""
        return max(0, power_w) * _OVERSHOOT_S // 3600

    def energy_for(self, connector: ConnectorId, paise: int) -> int:
        """How far a session there may go, Wh, so that it cannot cost more than ``paise``."""
        return energy_within(paise, lambda wh: self.reserved_paise(connector, wh), self.price.most_wh)

    def ask(self, connector: ConnectorId) -> Ask:
        """A session there, as the gate wants to know it."""
        least = None if self.price.least_wh is None else self.reserved_paise(connector, min(self.price.least_wh, self.price.most_wh))
        return Ask(worst_paise=self.reserved_paise(connector), least_paise=least, ends_at=self._yard.clock.now() + self.price.longest)

    def running_paise(self, driver_id: str) -> dict[str, int]:
        """What this driver's sessions that are not billed yet have cost so far, by session id."""
        found = {k: paid for k, paid in self._yard.state.paid.items() if paid.terms.driver_id == driver_id}
        return {k: self.cost(paid.terms, self.energy_wh(paid)).total_paise for k, paid in found.items()}

    def energy_wh(self, paid: PaidSession) -> int:
        """Energy of a paid session so far, or at its end."""
        if paid.energy_wh is not None:
            return paid.energy_wh
        running = self._yard.state.transaction_on(paid.connector)
        ours = running is not None and running.transaction_id == paid.transaction_id
        return self._yard.session_energy_wh(paid.connector) if ours else 0

    async def quote(self, driver_id: str, connector: ConnectorId) -> Quote:
        """What the gate would say there now; reserves nothing. Raises :class:`~storage.StorageError`."""
        ask, running = self.ask(connector), self.running_paise(driver_id)
        answer = await aside(self.payments.store, lambda: self.payments.gate(driver_id, ask, running=running))
        return Quote(answer, self._most_wh(connector, answer, ask))

    def _most_wh(self, connector: ConnectorId, answer: GateAnswer, ask: Ask) -> int:
        if not answer.allowed:
            return 0
        return self.price.most_wh if answer.granted_paise >= ask.worst_paise else self.energy_for(connector, answer.granted_paise)

    async def may_start(self, driver_id: str, station_id: str) -> ev.StartRefused | Quote:
        """Whether the driver could start at this station now, and how far; reserves nothing."""
        at_station = [key for key in self._yard.spec.connectors if key.station_id == station_id]
        if not at_station:
            return ev.StartRefused(driver_id, station_id, "unknown_station", "this charger is not known here")
        try:
            quote = await self.quote(driver_id, min(at_station, key=self.reserved_paise))
            if quote.answer.refusal in _CHANGES_UNTOLD:
                await aside(self.payments.store, lambda: self.payments.mandates.look_soon(driver_id))
        except StorageError as error:
            return self._shut(driver_id, station_id, error)
        return quote if quote.answer.allowed else _refused(driver_id, station_id, quote.answer)

    async def admit(self, driver_id: str, request: StartRequest, *, unasked: bool = False) -> Admission:
        """The gate with its reservation. The same message again gets the same answer while its session lives. ``unasked``: a
        station that was cut off began it, so it is owed whatever the gate says, and while the books are shut too: they are
        filled from the journal."""
        session_id = str(uuid5(_SESSIONS, f"{self.payments.depot_id}/{request.key}"))
        key = request.connector
        ask, running = self.ask(key), self.running_paise(driver_id)
        try:
            answer = await aside(
                self.payments.store, lambda: self.payments.reserve(session_id, driver_id, ask, running=running, unasked=unasked)
            )
        except StorageError as error:
            shut = self._shut(driver_id, key.station_id, error)
            if not unasked:
                return Admission(session_id, shut)
            answer = GateAnswer(False, shut.message)
        if not answer.allowed and not unasked:
            return Admission(session_id, _refused(driver_id, key.station_id, answer))
        admitted = ev.SessionAdmitted(
            session_id,
            driver_id,
            answer.mandate_id,
            str(self.price.paise_per_kwh),
            self.price.service_paise,
            self._most_wh(key, answer, ask) if answer.allowed else self.price.most_wh,
            answer.granted_paise if answer.allowed else ask.worst_paise,
        )
        if not unasked:
            return Admission(session_id, admitted)
        why, message = ("", "") if answer.allowed else (str(answer.refusal or BOOKS_SHUT), answer.message)
        return Admission(session_id, admitted, ev.SessionUnasked(session_id, driver_id, key.station_id, why, message))

    async def withdraw(self, session_id: str) -> None:
        """Give a reservation back. What cannot be given back now is swept up later."""
        try:
            await aside(self.payments.store, lambda: self.payments.release(session_id))
        except StorageError as error:
            log.warning("the reservation of session %s stands for now: %s", session_id, error)

    def is_news(self, refused: ev.StartRefused) -> bool:
        """Whether this was not said a moment ago: a card that is held to a reader again and again is one refusal."""
        now, key = self._yard.clock.now(), (refused.driver_id, refused.refusal)
        said = self._told.get(key)
        self._told = {k: at for k, at in self._told.items() if now - at < _NEWS_AGAIN} | {key: said or now}
        return said is None or now - said >= _NEWS_AGAIN

    def _shut(self, driver_id: str, station_id: str, error: StorageError) -> ev.StartRefused:
        log.error("driver %s cannot be let charge: %s", driver_id, error)
        return ev.StartRefused(driver_id, station_id, BOOKS_SHUT, "payments cannot be looked up now: try again in a minute")


def _refused(driver_id: str, station_id: str, answer: GateAnswer) -> ev.StartRefused:
    return ev.StartRefused(driver_id, station_id, str(answer.refusal or ""), answer.message)
