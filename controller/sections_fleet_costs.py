"""The section ``fleet_costs`` of the settings file: how the own fleet's charging is shared out in the depot's books."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Self

from pydantic import model_validator

from controller.sections import Section, setting


class FleetCostsSection(Section):
    """The own fleet's charging: a statement for vehicles and cost centres, never an invoice."""

    price_inr_per_kwh: Decimal | None = setting(
        None,
        "Internal price of energy. Unset: what the depot's own tariff asks for energy while a session runs.",
        unit="₹/kWh",
        ge=0,
        le=1000,
    )
    cost_centres: tuple[str, ...] = setting(
        (), "Cost centres with their vehicles, like Route 12: E-101, E-102. Vehicles that are in none are told so."
    )

    @model_validator(mode="after")
    def _one_centre_each(self) -> Self:
        self.centre_of  # noqa: B018  # read for its complaints
        return self

    @property
    def centre_of(self) -> Mapping[str, str]:
        """Cost centre by vehicle. Raises ValueError for a line that cannot be read, or a vehicle of two centres."""
        found: dict[str, str] = {}
        for line in self.cost_centres:
            name, colon, vehicles = line.partition(":")
            ids = [vehicle.strip() for vehicle in vehicles.split(",") if vehicle.strip()]
            if not colon or not name.strip() or not ids:
                raise ValueError(f"{line!r:.60} is no cost centre; write it like Route 12: E-101, E-102")
            for vehicle in ids:
                if vehicle in found:
                    raise ValueError(f"vehicle {vehicle} stands in two cost centres ({found[vehicle]}, {name.strip()}): leave one of them")
                found[vehicle] = name.strip()
        return found
