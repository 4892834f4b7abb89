"""The room of the own fleet's charging costs: a month's statement, read out of the journal when it is asked for, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct

from controller.codec import EventCodec
from controller.fleet_costs import TYPES, FleetSession, FleetSessions, Share, allocate
from controller.fleet_costs_view import CostShareView, FleetCostsView
from controller.journal_store import JournalError, events_since, seq_before
from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot.commands import Command
from depot.values import InvalidValue
from grid import GridError
from grid.months import Month
from storage import StorageError, Store

LOOK_BACK = timedelta(days=45)
"""Visits and beginnings are read from so long before the month on."""

_AT_ONCE = 2_000
_LEAST_S = 60
_MOST_S = 7 * 86_400


class EnergyPrices(Protocol):
    """The depot's tariff: the mean price of a kWh in each slot, in currency, exact."""

    def exact_vector(self, start: datetime, slots: int, slot_s: int) -> Sequence[Fraction]: ...


class FleetCosts:
    """One per depot. ``price``: internal price of a kWh, currency; None: the depot's own tariff. ``centres``: by vehicle."""

    commands: Mapping[type[Command], Carrier] = {}

    def __init__(self, yard: Yard, store: Store, tariff: EnergyPrices, *, price: Decimal | None, centres: Mapping[str, str]) -> None:
        self._yard, self._store, self._tariff = yard, store, tariff
        self._price, self._centres = price, centres
        self._lock = asyncio.Lock()

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {FleetCostsView: self._view}

    async def run(self) -> None:
        """Nothing of its own to do."""
        await asyncio.Event().wait()

    async def _view(self, args: Mapping[str, str]) -> FleetCostsView:
        """``month`` like 2026-11; "": the one that runs."""
        zone, now = ZoneInfo(self._yard.spec.timezone), self._yard.clock.now()
        try:
            month = Month.parse(args["month"]) if args.get("month") else Month.of(now, zone)
        except GridError as error:
            raise InvalidValue(str(error)) from None
        since, until = month.bounds(zone)
        if since > now:
            raise InvalidValue(f"{month} has not begun")
        vehicles = dict(self._yard.state.vehicles)
        tags = {tag.casefold(): name for name, vehicle in vehicles.items() for tag in (*vehicle.id_tags, name)}
        fold = FleetSessions(since, until, lambda tag: tags.get(tag.casefold(), ""))
        async with self._lock:  # one at a time: each reads months of the journal
            try:
                if self._store.path is None:  # virtual time knows no threads
                    self._read(fold)
                else:
                    await asyncio.to_thread(self._read, fold)
            except (JournalError, StorageError) as error:
                raise InvalidValue(f"the journal cannot be read now: {error}") from None
        made = allocate(fold.found, self._paise_per_kwh, self._centres)
        return FleetCostsView(
            month=str(month),
            since=since,
            until=until,
            running=now < until,
            currency=self._yard.spec.currency,
            basis="purchase" if self._price is None else "price",
            paise_per_kwh="" if self._price is None else str(Fraction(self._price) * 100),
            vehicles=[_share(share) for share in made.vehicles],
            centres=[_share(share) for share in made.centres],
            sessions=len(fold.found),
            energy_wh=made.energy_wh,
            amount_paise=made.amount_paise,
            remarks=self._remarks(fold),
        )

    def _read(self, fold: FleetSessions) -> None:
        """Blocking."""
        depot_id, codec = self._yard.spec.depot_id, EventCodec()
        seq = seq_before(self._store, depot_id, fold.since - LOOK_BACK)
        while found := events_since(self._store, depot_id, codec, types=TYPES, after=seq, most=_AT_ONCE):
            fold.take(found)
            seq = found[-1].seq
            if found[-1].received_at >= fold.until:
                return

    def _paise_per_kwh(self, one: FleetSession) -> Fraction:
        if self._price is not None:
            return Fraction(self._price) * 100
        lasted_s = min(max(_LEAST_S, round((one.stopped_at - one.started_at).total_seconds())), _MOST_S)
        return self._tariff.exact_vector(one.started_at, 1, lasted_s)[0] * 100

    def _remarks(self, fold: FleetSessions) -> list[str]:
        said = []
        if self._price is None:
            said.append(
                "energy at what the depot's tariff asked while each session ran, taken as drawn evenly; "
                "demand and fixed charges are not shared out"
            )
        if fold.beginnings_missing:
            said.append(f"{fold.beginnings_missing} sessions are left out: they began more than {LOOK_BACK.days} days before the month")
        if estimated := sum(one.estimated for one in fold.found):
            said.append(f"{estimated} sessions ended with their last reading, for their station told no end")
        return said


def _share(share: Share) -> CostShareView:
    return CostShareView(
        name=share.name, cost_centre=share.centre, sessions=share.sessions, energy_wh=share.energy_wh, amount_paise=share.amount_paise
    )
