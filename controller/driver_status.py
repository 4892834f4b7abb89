"""What one driver sees: may a session begin, why not and what to do, how much room there is, and the sessions that run.

Amounts are integer paise with taxes; no name, phone number or VPA is in here.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from controller.drive_view import WordsView
from controller.till import Quote, Till, aside
from controller.yard import Yard
from depot.state import PaidSession
from depot.values import ConnectorId
from payments.driver_words import Words, headline_of, next_step_of, words_for
from payments.exposure import Standing
from payments.mandates import MandateView

__all__ = ["DriverSessionView", "DriverStatusView", "InstrumentView", "WordsView", "driver_status", "told_words"]


class InstrumentView(Struct, frozen=True, kw_only=True):
    """A mandate. ``left_paise``: of a block, less what is billed and reserved on it; 0 for AutoPay. ``replaced``: a newer one of
    the same kind is in force, this one ends by itself. ``intent_url``: for the driver's UPI app, while approval is to come, until
    ``link_ends_at``."""

    mandate_id: str
    mode: str
    state: str
    max_amount_paise: int
    blocked_paise: int
    debited_paise: int
    left_paise: int
    expire_at: datetime
    replaced: bool
    intent_url: str | None
    link_ends_at: datetime | None


class DriverSessionView(Struct, frozen=True, kw_only=True):
    """A session that runs, or has ended and is not billed yet (``stopped_at``). ``cost_paise``: so far; it ends by itself at
    ``most_wh`` or ``most_paise``. ``ends_at``: when that is reached at the present power, null where nothing flows. ``told``: what
    the driver is to know; ``unasked``: the station began it while it was cut off."""

    session_id: str
    connector: str
    started_at: datetime
    stopped_at: datetime | None
    energy_wh: int
    power_w: int
    cost_paise: int
    most_wh: int
    most_paise: int
    ends_at: datetime | None
    told: WordsView | None
    stopping: bool
    unasked: bool


class DriverStatusView(Struct, frozen=True, kw_only=True):
    """``refusal`` "": a session may begin. ``room_paise``: what another one may cost; ``room_wh``: how far it may go at the asked
    place (or the depot's first), 0 where it may not begin. ``owed_paise``: billed and not paid. ``price``: in words, without tax
    in the sum."""

    driver_id: str
    at: datetime
    connector: str
    may_start: bool
    refusal: str
    headline: WordsView
    next_step: WordsView
    room_paise: int
    room_wh: int
    owed_paise: int
    running_paise: int
    price: str
    currency: str
    instruments: list[InstrumentView]
    sessions: list[DriverSessionView]


async def driver_status(yard: Yard, till: Till, driver_id: str, *, connector: ConnectorId | None = None) -> DriverStatusView | None:
    """None: nobody knows this driver. ``connector``: where a session would be. Raises :class:`~storage.StorageError`."""
    sessions = [(k, paid) for k, paid in yard.state.paid.items() if paid.terms.driver_id == driver_id]
    desk, running = till.payments, till.running_paise(driver_id)
    standing = await aside(desk.store, lambda: desk.standing(driver_id, running=running))
    mandates = await aside(desk.store, lambda: desk.mandates.all_of(driver_id))
    known = driver_id in till.tags.values() or driver_id in yard.state.drivers
    if not (known or standing.instruments or sessions):
        return None
    place = connector or min(yard.spec.connectors)
    quote = await till.quote(driver_id, place)
    answer = quote.answer
    return DriverStatusView(
        driver_id=driver_id,
        at=yard.clock.now(),
        connector=str(place),
        may_start=answer.allowed,
        refusal="" if answer.refusal is None else answer.refusal.value,
        headline=_words(headline_of(answer, smaller=_smaller(till, quote))),
        next_step=_words(next_step_of(answer)),
        room_paise=answer.room_paise,
        room_wh=quote.most_wh,
        owed_paise=standing.exposure.unpaid_paise,
        running_paise=sum(running.values()),
        price=till.tariff_in_words(till.tariff_for(driver_id, place.station_id), driver_id),
        currency=yard.spec.currency,
        instruments=[_instrument(one, standing) for one in mandates],
        sessions=[_session(yard, till, k, paid) for k, paid in sessions],
    )


def _smaller(till: Till, quote: Quote) -> bool:
    return 0 < quote.most_wh < till.price.most_wh


def _instrument(view: MandateView, standing: Standing) -> InstrumentView:
    known = next((one for one in standing.instruments if one.mandate_id == view.mandate_id), None)
    spent = standing.exposure.on_block.get(view.mandate_id, 0)
    return InstrumentView(
        mandate_id=view.mandate_id,
        mode=view.mode.value,
        state=view.state.value,
        max_amount_paise=view.max_amount_paise,
        blocked_paise=view.blocked_paise,
        debited_paise=view.debited_paise,
        left_paise=0 if known is None else known.left_paise(spent),
        expire_at=view.expire_at,
        replaced=view.replaced,
        intent_url=view.intent_url,
        link_ends_at=view.link_ends_at,
    )


def _session(yard: Yard, till: Till, session_id: str, paid: PaidSession) -> DriverSessionView:
    energy_wh = till.energy_wh(paid)
    open_ = yard.state.transaction_on(paid.connector)
    live = paid.stopped_at is None and open_ is not None and open_.transaction_id == paid.transaction_id
    reading = yard.readings.get(paid.connector)
    power_w = reading.power_w or 0 if live and reading is not None else 0
    left_wh = max(0, paid.terms.most_wh - energy_wh)
    return DriverSessionView(
        session_id=session_id,
        connector=str(paid.connector),
        started_at=paid.started_at,
        stopped_at=paid.stopped_at,
        energy_wh=energy_wh,
        power_w=power_w,
        cost_paise=till.cost(paid.terms, energy_wh).total_paise,
        most_wh=paid.terms.most_wh,
        most_paise=paid.terms.reserved_paise,
        ends_at=yard.clock.now() + timedelta(hours=left_wh / power_w) if power_w > 0 else None,
        told=told_words(paid),
        stopping=paid.stopping is not None,
        unasked=paid.unasked is not None,
    )


def told_words(paid: PaidSession) -> WordsView | None:
    """What the driver of a session is to know: why it is ended, else what was warned of."""
    if paid.stopping is not None:
        return _words(words_for(f"stopped.{paid.stopping.why}"))
    return None if paid.warned is None else _words(words_for(f"warned.{paid.warned.why}"))


def _words(words: Words) -> WordsView:
    return WordsView(key=words.key, english=words.english, hindi=words.hindi)
