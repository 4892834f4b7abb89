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
from depot.values import ConnectorId
from payments.gate import GateAnswer
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a paid session costs, without tax, and how far it may go: ``most_wh`` of energy, ``longest`` in time."""

    paise_per_kwh: Fraction
    service_paise: int = 0
    most_wh: int = 40_000
    longest: timedelta = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class Admission:
    """``fact``: journaled with the start."""

    session_id: str
    fact: ev.SessionAdmitted | ev.StartRefused

    @property
    def accepted(self) -> bool:
        """Whether the driver may charge."""
        return isinstance(self.fact, ev.SessionAdmitted)


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

    def reserved_paise(self, connector: ConnectorId) -> int:
        """The most that a session there can cost, taxes included."""
        rated_w = self._yard.spec.connectors[connector].rated_w
        most_wh = self.price.most_wh + rated_w * _OVERSHOOT_S // 3600
        line = EnergyLine(most_wh, self.price.paise_per_kwh)
        return bill_of([line], self.payments.terms.gst, service_paise=self.price.service_paise).total_paise

    async def may_start(self, driver_id: str, station_id: str) -> ev.StartRefused | None:
        """Whether the driver could start at this station now; reserves nothing."""
        at_station = [key for key in self._yard.spec.connectors if key.station_id == station_id]
        worst_paise = min((self.reserved_paise(key) for key in at_station), default=0)
        ends_at = self._yard.clock.now() + self.price.longest
        try:
            answer = await aside(
                self.payments.store, lambda: self.payments.gate(driver_id, worst_case_paise=worst_paise, session_ends_at=ends_at)
            )
        except StorageError as error:
            return self._shut(driver_id, station_id, error)
        return None if answer.allowed else _refused(driver_id, station_id, answer)

    async def admit(self, driver_id: str, request: StartRequest) -> Admission:
        """The gate with its reservation. The same message again gets the same answer while its session lives."""
        session_id = str(uuid5(_SESSIONS, f"{self.payments.depot_id}/{request.key}"))
        station_id, worst_paise = request.connector.station_id, self.reserved_paise(request.connector)
        ends_at = self._yard.clock.now() + self.price.longest
        try:
            answer = await aside(
                self.payments.store,
                lambda: self.payments.reserve(session_id, driver_id, worst_case_paise=worst_paise, session_ends_at=ends_at),
            )
        except StorageError as error:
            return Admission(session_id, self._shut(driver_id, station_id, error))
        if not answer.allowed:
            return Admission(session_id, _refused(driver_id, station_id, answer))
        return Admission(
            session_id,
            ev.SessionAdmitted(
                session_id,
                driver_id,
                answer.mandate_id,
                str(self.price.paise_per_kwh),
                self.price.service_paise,
                self.price.most_wh,
                worst_paise,
            ),
        )

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
