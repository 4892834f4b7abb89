"""The till: who pays at a charger, whether they may start now, and on which terms. Asked by the desk.

    StartRequest --driver_of(tag)--> admit() --reservation in the books of money--> Admission: the fact beside the start

It asks the depot's own books and never the gateway, so a gateway that is away keeps nobody from charging. The session's
id comes from the start's natural key: a message that is repeated, or said again after a crash, finds its reservation.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import TypeVar
from uuid import UUID, uuid5

from controller.paid_facts import session_facts
from controller.yard import Yard
from depot import events as ev
from depot.costs import Cost
from depot.money_text import amount
from depot.ports import StartRequest
from depot.state import PaidPhase, PaidSession
from depot.values import ConnectorId
from payments.documents import indian_day
from payments.driver_tariff import DriverTariff, Kind, simple_tariff
from payments.gate import Ask, GateAnswer, GateRefusal, energy_within
from payments.gst import Recipient
from payments.money import Bill, GstRule, bill_of_value
from payments.payers import Payers
from payments.rating import Rated, Reading, SessionFacts, rate
from payments.service import Payments
from payments.tariff_book import TariffBook, TariffVersion, in_force
from payments.tariff_text import from_text, to_text, told
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


_frozen = lru_cache(maxsize=256)(from_text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a paid session costs, without tax, and how far it may go: ``most_wh`` of energy, ``longest`` in time. ``least_wh``: the
    smallest session that is begun where there is too little money for a whole one; None: the whole or nothing."""

    paise_per_kwh: Fraction
    service_paise: int = 0
    most_wh: int = 40_000
    least_wh: int | None = None
    longest: timedelta = timedelta(hours=8)

    @property
    def tariff(self) -> DriverTariff:
        """The one price as a tariff, for those for whom no other holds."""
        return simple_tariff(self.paise_per_kwh, self.service_paise)


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
        self.tariffs = TariffBook(payments.store, payments.depot_id, payments.clock)
        self._versions: Sequence[TariffVersion] = ()
        self._recipients: Mapping[str, Recipient] = {}
        self._told: dict[tuple[str, str], datetime] = {}

    async def restore(self) -> None:
        """Read whose tag is whose, which tariffs there are, and whom invoices are made out to."""
        self.tags = await aside(self.payers.store, self.payers.everybody)
        self._versions = await aside(self.payments.store, self.tariffs.versions)
        self._recipients = await aside(self.payments.store, self.payments.invoices.recipients)

    def driver_of(self, id_tag: str) -> str | None:
        """The driver who pays for sessions that ``id_tag`` starts."""
        driver_id = self.tags.get(id_tag.casefold())
        if driver_id is None and self.tags:
            registered = self._yard.state.driver_by_tag(id_tag)
            if registered is not None and registered.driver_id in self.tags.values():
                return registered.driver_id  # another card of somebody who pays
        return driver_id

    def tariff_for(self, driver_id: str, station_id: str) -> DriverTariff:
        """What a session of this driver that starts now at this station is rated by."""
        return self.offered(driver_id, station_id)[0]

    def offered(self, driver_id: str, station_id: str) -> tuple[DriverTariff, int]:
        """That tariff, and which version of it; 0: the one price of the settings, for no tariff holds."""
        group, now = self._group_of(driver_id), self._yard.clock.now()
        found = in_force(self._versions, driver_id=driver_id, group=group, station_id=station_id, at=now)
        return (self.price.tariff, 0) if found is None else (found.tariff, found.number)

    @property
    def versions(self) -> Sequence[TariffVersion]:
        """All driver tariffs, as read last."""
        return self._versions

    def _group_of(self, driver_id: str) -> str:
        """The group of the driver's cards (parentIdTag, groupIdToken); "" where they have none."""
        tags = {tag for tag, driver in self.tags.items() if driver == driver_id}
        tokens = self._yard.state.id_tokens.values() if tags else ()
        return min((token.group for token in tokens if token.group and token.token.casefold() in tags), default="")

    @staticmethod
    def terms_tariff(terms: ev.SessionAdmitted) -> DriverTariff:
        """The tariff that was frozen with a session's start."""
        if terms.tariff:
            return _frozen(terms.tariff)
        return simple_tariff(Fraction(terms.paise_per_kwh), terms.service_paise)

    def cost(self, terms: ev.SessionAdmitted, energy_wh: int) -> Cost:
        """What a session of these terms costs with so much energy, as its bill will have it."""
        bill = self._bill_of(terms.driver_id, self._rated(terms, energy_wh))
        return Cost(bill.total_paise, energy_wh, self.cost_in_words(energy_wh, bill.total_paise))

    def cost_in_words(self, energy_wh: int, total_paise: int) -> str:
        """For the driver."""
        return f"{energy_wh / 1000:.2f} kWh: {amount(total_paise, self._yard.spec.currency)} {self._yard.spec.currency} with tax"

    def steady_price(self, terms: ev.SessionAdmitted) -> Fraction | None:
        """Paise per kWh with tax, where energy has one price for the whole session; else None."""
        elements = self.terms_tariff(terms).elements
        energy = elements[0].component(Kind.ENERGY) if len(elements) == 1 and elements[0].restrictions.always else None
        return None if energy is None else energy.price_paise * (1 + self.tax_rule(terms.driver_id).rate)

    def _rated(self, terms: ev.SessionAdmitted, energy_wh: int) -> Rated:
        paid, now = self._yard.state.paid.get(terms.session_id), self._yard.clock.now()
        if paid is None:  # a question about a session that is not, or no more
            facts = SessionFacts(readings=(Reading(now, 0), Reading(now, energy_wh)))
        else:
            at = None if paid.phase is PaidPhase.GONE else now
            facts = session_facts(paid, longest=self.price.longest, now=at, register_wh=paid.meter_start_wh + energy_wh)
        return rate(self.terms_tariff(terms), facts)

    def _bill_of(self, driver_id: str, rated: Rated) -> Bill:
        return bill_of_value(rated.taxable_paise, rated.energy_wh, self.tax_rule(driver_id))

    def tax_rule(self, driver_id: str) -> GstRule:
        """The tax on this driver's invoices of today."""
        return self.payments.terms.gst_book.rule(indian_day(self._yard.clock.now()), self._recipients.get(driver_id))

    @property
    def price_in_words(self) -> str:
        """For a driver who is about to start and for whom no tariff of their own holds."""
        return self.tariff_in_words(self.price.tariff)

    def tariff_in_words(self, tariff: DriverTariff, driver_id: str = "") -> str:
        """For the driver who is about to start."""
        return f"{'; '.join(told(tariff))}, plus {float(self.tax_rule(driver_id).rate * 100):g} % tax"

    def offer_in_words(self, most_wh: int, *, driver_id: str = "", station_id: str = "") -> str:
        """The price, and how far the money reaches where it does not reach for a whole session."""
        limit = f"; up to {most_wh // 100 / 10:.1f} kWh" if most_wh < self.price.most_wh else ""
        return self.tariff_in_words(self.tariff_for(driver_id, station_id), driver_id) + limit

    def reserved_paise(self, connector: ConnectorId, most_wh: int | None = None, *, driver_id: str = "") -> int:
        """The most that a session there can cost this driver, taxes included: of ``most_wh``, None: of a whole one."""
        rated_w = self._yard.spec.connectors[connector].rated_w
        worst_wh = (self.price.most_wh if most_wh is None else most_wh) + self.ahead_wh(rated_w)
        worst = self.tariff_for(driver_id, connector.station_id).worst_paise(energy_wh=worst_wh, longest=self.price.longest)
        return bill_of_value(worst, worst_wh, self.tax_rule(driver_id)).total_paise

    def ahead_wh(self, power_w: int) -> int:
        """What may still flow at this power until a charger obeys a stop."""
        return max(0, power_w) * _OVERSHOOT_S // 3600

    def energy_for(self, connector: ConnectorId, paise: int, *, driver_id: str = "") -> int:
        """How far a session there may go, Wh, so that it cannot cost more than ``paise``."""
        return energy_within(paise, lambda wh: self.reserved_paise(connector, wh, driver_id=driver_id), self.price.most_wh)

    def ask(self, connector: ConnectorId, *, driver_id: str = "") -> Ask:
        """A session of this driver there, as the gate wants to know it."""
        few_wh = None if self.price.least_wh is None else min(self.price.least_wh, self.price.most_wh)
        least = None if few_wh is None else self.reserved_paise(connector, few_wh, driver_id=driver_id)
        return Ask(
            worst_paise=self.reserved_paise(connector, driver_id=driver_id),
            least_paise=least,
            ends_at=self._yard.clock.now() + self.price.longest,
        )

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
        ask, running = self.ask(connector, driver_id=driver_id), self.running_paise(driver_id)
        answer = await aside(self.payments.store, lambda: self.payments.gate(driver_id, ask, running=running))
        return Quote(answer, self._most_wh(connector, answer, ask, driver_id))

    def _most_wh(self, connector: ConnectorId, answer: GateAnswer, ask: Ask, driver_id: str) -> int:
        if not answer.allowed:
            return 0
        if answer.granted_paise >= ask.worst_paise:
            return self.price.most_wh
        return self.energy_for(connector, answer.granted_paise, driver_id=driver_id)

    async def may_start(self, driver_id: str, station_id: str) -> ev.StartRefused | Quote:
        """Whether the driver could start at this station now, and how far; reserves nothing."""
        at_station = [key for key in self._yard.spec.connectors if key.station_id == station_id]
        if not at_station:
            return ev.StartRefused(driver_id, station_id, "unknown_station", "this charger is not known here")
        try:
            cheapest = min(at_station, key=lambda key: self.reserved_paise(key, driver_id=driver_id))
            quote = await self.quote(driver_id, cheapest)
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
        tariff = self.tariff_for(driver_id, key.station_id)
        ask, running = self.ask(key, driver_id=driver_id), self.running_paise(driver_id)
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
            str(tariff.dearest_paise(Kind.ENERGY)),
            int(tariff.dearest_paise(Kind.FLAT)),
            self._most_wh(key, answer, ask, driver_id) if answer.allowed else self.price.most_wh,
            answer.granted_paise if answer.allowed else ask.worst_paise,
            to_text(tariff),
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
