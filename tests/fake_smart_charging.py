"""What a vehicle says of itself, and a limit by others, as the core shows them."""

from __future__ import annotations

from datetime import datetime, timedelta

from controller.smart_charging_rows import ExternalLimitRow, NeedsRow, StepRow


def vehicle_needs(at: datetime) -> NeedsRow:
    return NeedsRow(
        station_id="CP-03",
        connector=1,
        told_at=at,
        mode="DC",
        departure=at + timedelta(hours=5),
        energy_wh=40_000,
        min_energy_wh=None,
        max_energy_wh=None,
        min_w=None,
        max_w=50_000,
        discharge_max_w=None,
        capacity_wh=80_000,
        soc=0.4,
        target_soc=None,
        control="",
        offers=[],
        differs="asks for 40.0 kWh, booked are 20.0 kWh",
        own_stay=False,
        schedule=[StepRow(at=at, level_w=22_000), StepRow(at=at + timedelta(minutes=3), level_w=5_000)],
        schedule_at=at,
        schedule_ok=True,
        exceeds="",
    )


def external_limit(at: datetime) -> ExternalLimitRow:
    return ExternalLimitRow(
        station_id="CP-03",
        evse=0,
        source="EMS",
        level_w=11_000,
        told_at=at,
        until=None,
        critical=True,
        counts=True,
        note="",
        steps=[StepRow(at=at, level_w=11_000)],
    )
