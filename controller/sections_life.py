"""The settings of what batteries' life costs in a plan; see :mod:`controller.sections` for how sections are written."""

from __future__ import annotations

from pathlib import Path

from pydantic import field_validator

from controller.sections import Section, setting


class PackLifeSection(Section):
    """What vehicles' batteries cost, so that plans weigh their ageing in money (docs/battery-life.md)."""

    price_per_kwh: float | None = setting(
        None, "What a new battery costs for each kWh, in the currency. Unset: its ageing is not counted in money.", ge=0, le=1e7
    )
    worth_per_kwh: float = setting(0.0, "What one is still worth for each kWh of its size when new, at 80 % health.", ge=0, le=1e7)
    weight: float = setting(1.0, "How much of that counts beside the bill. 0: nothing.", ge=0, le=100)
    ambient_c: float | None = setting(
        None, "Temperature that batteries come to at rest. Unset: they are taken to stay as warm as they are.", unit="°C", ge=-60, le=60
    )
    ceiling: bool = setting(
        False, "Whether plans keep batteries below the temperature from which they would be derated. It needs their telemetry."
    )
    calibration: Path | None = setting(
        None, "File of battery calibrate: how the fleet's own packs age beside the shipped table. Read at the start. Unset: as the table."
    )

    @field_validator("calibration")
    @classmethod
    def _can_be_used(cls, value: Path | None) -> Path | None:
        """A file that cannot be used is told at the start, not by a plan that fails."""
        if value is not None:
            from controller.life_factors import read_factors

            read_factors(value)
        return value
