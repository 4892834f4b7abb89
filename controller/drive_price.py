"""A tariff as a driver at a charger reads it: the price of this moment, until when it holds, and each step. With tax. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction

from controller.drive_view import DrivePriceView, DriveStepView
from payments.driver_tariff import Component, DriverTariff, Kind, Restrictions, Weekday
from payments.money import GstRule
from payments.tariff_offer import with_tax

__all__ = ["price_view"]

_NONE = Fraction(0)


def price_view(tariff: DriverTariff, gst: GstRule, at: datetime) -> DrivePriceView:
    """For a session that would begin now."""
    return DrivePriceView(
        paise_per_kwh=with_tax(_energy_paise(tariff, at), gst),
        until=_until(tariff, at),
        tax_percent=float(gst.rate * 100),
        name=tariff.name,
        steps=[
            _step(component, element.restrictions, gst)
            for element in tariff.elements
            for component in element.components
            if component.price_paise or component.kind is Kind.ENERGY
        ],
        least_paise=None if tariff.min_paise is None else with_tax(Fraction(tariff.min_paise), gst),
        most_paise=None if tariff.max_paise is None else with_tax(Fraction(tariff.max_paise), gst),
    )


def _energy_paise(tariff: DriverTariff, at: datetime) -> Fraction:
    """Of the first kilowatt-hour."""
    found = tariff.find(Kind.ENERGY, at, _NONE, _NONE)
    return _NONE if found is None else found[1].price_paise


def _until(tariff: DriverTariff, at: datetime) -> datetime | None:
    """When the price of energy changes by the clock; None: not within a day."""
    local, now = at.astimezone(tariff.timezone), _energy_paise(tariff, at)
    times = sorted(
        moment
        for clock in tariff.clock_times
        for day in (0, 1)
        if (moment := datetime.combine(local.date() + timedelta(days=day), clock, tariff.timezone)) > local
    )
    return next((moment for moment in times if _energy_paise(tariff, moment) != now), None)


def _step(component: Component, r: Restrictions, gst: GstRule) -> DriveStepView:
    clocked = r.start_time is not None and r.end_time is not None and r.start_time != r.end_time
    return DriveStepView(
        kind=component.kind.value,
        paise=with_tax(component.price_paise, gst),
        start=f"{r.start_time:%H:%M}" if clocked else "",
        end=f"{r.end_time:%H:%M}" if clocked else "",
        days=[n for n, day in enumerate(Weekday) if day in r.days],
        first_day=r.start_date,
        last_day=None if r.end_date is None else r.end_date - timedelta(days=1),
        from_wh=r.min_wh,
        to_wh=r.max_wh,
        from_s=r.min_s,
        to_s=r.max_s,
        grace_s=int(component.grace.total_seconds()),
    )
