"""The room of driver tariffs: which there are, what a driver pays where, new versions and ends.

PutDriverTariff, EndDriverTariff --> books of tariffs --> till: what sessions are rated by that start from now on
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from fractions import Fraction
from typing import Any, Final, TypeVar

from msgspec import Struct

from controller.driver_tariffs_view import DriverPriceView, DriverTariffsView, DriverTariffView, PriceStepView, TariffVersionView
from controller.room import Carrier, Viewer
from controller.till import Till, aside
from controller.yard import Yard
from depot import commands as cmd
from depot.events import Envelope
from depot.values import InvalidValue
from payments import PaymentsError
from payments.tariff_book import TariffVersion
from payments.tariff_ocpi import OcpiVersion, to_ocpi
from payments.tariff_offer import PriceStep, price_steps, with_tax
from payments.tariff_reading import read_tariff
from payments.tariff_text import exact_text, to_data, told
from storage import StorageError

T = TypeVar("T")

FORMS: Final = ("json", *(f"ocpi-{version.value}" for version in OcpiVersion))
"""How one tariff is told."""

_AHEAD = timedelta(hours=24)
_Outcome = tuple[cmd.CommandStatus, str]


class TariffsRoom:
    """One per depot, where somebody pays."""

    def __init__(self, yard: Yard, till: Till) -> None:
        self._yard, self._till = yard, till

    @property
    def commands(self) -> Mapping[type[cmd.Command], Carrier]:
        return {cmd.PutDriverTariff: self._put, cmd.EndDriverTariff: self._end}

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {DriverTariffsView: self._list, DriverTariffView: self._one, DriverPriceView: self._price}

    async def run(self) -> None:
        """Nothing of its own to do."""
        await asyncio.Event().wait()

    # -- what people order --------------------------------------------------------------------------------------

    async def _put(self, command: cmd.PutDriverTariff, _: Envelope) -> _Outcome:
        def put() -> tuple[TariffVersion, bool]:
            tariff = read_tariff(command.text)
            if tariff.tariff_id != command.tariff_id:
                raise InvalidValue(f"the tariff's own id is {tariff.tariff_id}, not {command.tariff_id[:40]}: give both the same")
            if tariff.currency != self._yard.spec.currency:
                raise InvalidValue(f"the tariff is in {tariff.currency}, the depot bills in {self._yard.spec.currency}")
            before = {(known.tariff.tariff_id, known.number) for known in self._till.versions}
            version = self._till.tariffs.put(tariff, actor=command.actor)
            return version, (tariff.tariff_id, version.number) not in before

        version, new = await self._do(put)
        await self._do_restore()
        if not new:
            return cmd.CommandStatus.DONE, f"tariff {command.tariff_id} says this already (version {version.number}): nothing is changed"
        since = version.tariff.valid_from
        begins = "from now on" if since is None or since <= self._yard.clock.now() else f"from {since.isoformat(timespec='minutes')} on"
        words = f"version {version.number} of tariff {command.tariff_id} is kept ({version.digest[:12]})"
        return cmd.CommandStatus.DONE, f"{words}; sessions that start {begins} are rated by it"

    async def _end(self, command: cmd.EndDriverTariff, _: Envelope) -> _Outcome:
        ended = await self._do(lambda: self._till.tariffs.end(command.tariff_id, at=command.until))
        await self._do_restore()
        words = f"{ended} version{'s' if ended > 1 else ''} of tariff {command.tariff_id} ended; sessions under way keep theirs"
        return cmd.CommandStatus.DONE, words

    async def _do_restore(self) -> None:
        try:
            await self._till.restore()
        except StorageError as error:
            raise InvalidValue(f"it is kept, and read again at the next start: {error}") from None

    async def _do(self, work: Callable[[], T]) -> T:
        try:
            return await aside(self._till.payments.store, work)
        except (PaymentsError, StorageError) as error:
            raise InvalidValue(str(error)) from None

    # -- what people see ----------------------------------------------------------------------------------------

    async def _list(self, _: Mapping[str, str]) -> DriverTariffsView:
        versions = sorted(self._till.versions, key=lambda v: (v.tariff.tariff_id, -v.number))
        holding = self._holding()
        return DriverTariffsView(
            at=self._yard.clock.now(),
            timezone=self._yard.spec.timezone,
            versions=[version_view(version, in_force=holding.get(version.tariff.tariff_id) == version.number) for version in versions],
            one_price=told(self._till.price.tariff),
            tax_percent=float(self._till.tax_rule("").rate * 100),
        )

    async def _one(self, args: Mapping[str, str]) -> DriverTariffView | None:
        """``tariff_id``; ``number`` "": the newest version; ``form``: one of :data:`FORMS`."""
        form, number = args.get("form", "json"), args.get("number", "")
        if form not in FORMS:
            raise InvalidValue(f"a tariff's form is one of {', '.join(FORMS)}, not {form[:20]!r}")
        mine = [version for version in self._till.versions if version.tariff.tariff_id == args.get("tariff_id", "")]
        found = [version for version in mine if not number or str(version.number) == number]
        if not found:
            return None
        version = max(found, key=lambda v: v.number)
        holds = self._holding().get(version.tariff.tariff_id) == version.number
        return DriverTariffView(version=version_view(version, in_force=holds), form=form, tariff=self._in_form(version, form))

    def _in_form(self, version: TariffVersion, form: str) -> dict[str, Any]:
        if form == "json":
            return to_data(version.tariff)
        try:
            return to_ocpi(
                version.tariff,
                version=OcpiVersion(form.removeprefix("ocpi-")),
                tax=self._till.tax_rule("").rate,
                last_updated=version.put_at,
            )
        except PaymentsError as error:
            raise InvalidValue(str(error)) from None

    async def _price(self, args: Mapping[str, str]) -> DriverPriceView:
        """``driver_id`` "": of somebody unknown; ``station_id`` "": at a station that no tariff names."""
        driver_id, station_id, now = args.get("driver_id", ""), args.get("station_id", ""), self._yard.clock.now()
        tariff, number = self._till.offered(driver_id, station_id)
        rule = self._till.tax_rule(driver_id)

        def step(one: PriceStep) -> PriceStepView:
            return PriceStepView(
                since=one.since,
                until=one.until,
                paise_per_kwh=exact_text(one.energy_paise),
                paise_per_kwh_with_tax=with_tax(one.energy_paise, rule),
                time_paise_with_tax=with_tax(one.time_paise, rule),
                idle_paise_with_tax=with_tax(one.idle_paise, rule),
                flat_paise_with_tax=with_tax(one.flat_paise, rule),
            )

        return DriverPriceView(
            at=now,
            driver_id=driver_id,
            station_id=station_id,
            tariff_id=tariff.tariff_id,
            number=number,
            says=told(tariff),
            tax_percent=float(Fraction(rule.rate) * 100),
            steps=[step(one) for one in price_steps(tariff, now, now + _AHEAD)],
            idle_free_min=int(tariff.idle_grace.total_seconds()) // 60,
            least_paise=tariff.min_paise,
            most_paise=tariff.max_paise,
        )

    def _holding(self) -> dict[str, int]:
        """Of each tariff the version under which sessions start now."""
        now, found = self._yard.clock.now(), dict[str, int]()
        for version in self._till.versions:
            if version.holds_at(now):
                found[version.tariff.tariff_id] = max(version.number, found.get(version.tariff.tariff_id, 0))
        return found


def version_view(version: TariffVersion, *, in_force: bool) -> TariffVersionView:
    """One version in the list."""
    tariff = version.tariff
    return TariffVersionView(
        tariff_id=tariff.tariff_id,
        number=version.number,
        name=tariff.name,
        digest=version.digest,
        by=version.actor,
        put_at=version.put_at,
        valid_from=tariff.valid_from,
        valid_until=tariff.valid_until,
        ended_at=version.ended_at,
        in_force=in_force,
        drivers=sorted(tariff.audience.drivers),
        groups=sorted(tariff.audience.groups),
        stations=sorted(tariff.audience.stations),
        says=told(tariff),
    )
