"""Readings: last measured values with an age. Not facts: never folded, unknown after a restart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from depot.values import ConnectorId


@dataclass(frozen=True, slots=True)
class MeterReading:
    """One sample of a connector, normalised to W, Wh, V, A, °C and fractions. None: not in the sample.

    ``power_w`` below 0: it gives to the grid. ``energy_wh`` is the lifetime register of import;
    ``exported_wh``: what the running session has given. ``received_at`` is ours and is what the age is counted from;
    ``reported_at`` is the charger's claim. ``replayed``: from an offline queue, must not drive control. ``waited_s``: how
    long it waited on its way, by the charger's clock as far as its error is known (0: not known to have waited).
    """

    connector: ConnectorId
    received_at: datetime
    reported_at: datetime | None = None
    power_w: int | None = None
    energy_wh: int | None = None
    soc: float | None = None
    pack_temp_c: float | None = None
    current_a: float | None = None
    voltage_v: float | None = None
    transaction_id: int | None = None
    replayed: bool = False
    waited_s: float = 0.0
    exported_wh: int | None = None


@dataclass(frozen=True, slots=True)
class SiteReading:
    """Connection-point meter: total import in W (export negative) at ``at``. All else as far as the meter tells it: apparent
    and reactive power, frequency, per phase (L1, L2, L3) volts to neutral and amperes, lifetime registers of energy, and
    the meter's own running block demand."""

    at: datetime
    power_w: int
    apparent_va: int | None = None
    reactive_var: int | None = None
    power_factor: float | None = None
    frequency_hz: float | None = None
    voltages_v: tuple[float, float, float] | None = None
    currents_a: tuple[float, float, float] | None = None
    import_wh: int | None = None
    export_wh: int | None = None
    demand_w: int | None = None
    demand_va: int | None = None


@dataclass(frozen=True, slots=True)
class LinkReading:
    """State of a station's OCPP link. ``last_frame_at``: the last thing heard from it."""

    station_id: str
    connected: bool
    since: datetime
    last_frame_at: datetime
    version: str = "1.6"
    violations: int = 0
