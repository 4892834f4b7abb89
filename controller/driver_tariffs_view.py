"""What pages and machines are told of driver tariffs. Prices are exact, without tax, as text in paise; those with tax are rounded."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct


class TariffVersionView(Struct, frozen=True, kw_only=True):
    """A version of a driver tariff. ``digest``: SHA-256 of its canonical JSON, as it stands with a session's start and on its
    invoice. ``in_force``: sessions start under it now. ``ended_at``: from when on none does, by a person's word. ``says``: the
    sentences that a driver reads, without tax. Empty ``drivers``, ``groups``: for everybody; ``stations``: everywhere."""

    tariff_id: str
    number: int
    name: str
    digest: str
    by: str
    put_at: datetime
    valid_from: datetime | None
    valid_until: datetime | None
    ended_at: datetime | None
    in_force: bool
    drivers: list[str]
    groups: list[str]
    stations: list[str]
    says: list[str]


class PriceStepView(Struct, frozen=True, kw_only=True):
    """Prices over some hours of a session that has just begun. ``paise_per_kwh``: without tax, exact (``1450``, ``2999/2``);
    ``…_with_tax``: rounded to a paisa; time and idle time per hour."""

    since: datetime
    until: datetime
    paise_per_kwh: str
    paise_per_kwh_with_tax: int
    time_paise_with_tax: int
    idle_paise_with_tax: int
    flat_paise_with_tax: int


class DriverPriceView(Struct, frozen=True, kw_only=True):
    """What a session of this driver at this station is rated by if it starts now. ``number`` 0: the one price of the settings.
    ``steps``: the next 24 hours. ``idle_free_min``: before idle time counts. ``least_paise``, ``most_paise``: of a session with energy,
    without tax."""

    at: datetime
    driver_id: str
    station_id: str
    tariff_id: str
    number: int
    says: list[str]
    tax_percent: float
    steps: list[PriceStepView]
    idle_free_min: int
    least_paise: int | None
    most_paise: int | None


class DriverTariffsView(Struct, frozen=True, kw_only=True):
    """All versions of all driver tariffs, by tariff and newest first. ``one_price``: what holds where none of them does."""

    at: datetime
    timezone: str
    versions: list[TariffVersionView]
    one_price: list[str]
    tax_percent: float


class DriverTariffView(Struct, frozen=True, kw_only=True):
    """One version whole. ``tariff``: as ``driver-tariff/1``, or as OCPI's Tariff where that was asked for."""

    version: TariffVersionView
    form: str
    tariff: dict[str, Any]
