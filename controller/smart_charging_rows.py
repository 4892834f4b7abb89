"""What vehicles say of themselves, and what others limit, as pages and API show it."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class StepRow(Struct, frozen=True, kw_only=True):
    """From ``at`` on at most ``level_w``; null: no limit."""

    at: datetime
    level_w: int | None


class NeedsRow(Struct, frozen=True, kw_only=True):
    """What the vehicle on a connector says of itself, and its own schedule; null: it did not say. SoC as fractions, energies at
    the connector. ``differs``: how it goes beyond what is booked for it, which counts; ``own_stay``: nobody announced it, so its
    own word counts. ``exceeds``: how its schedule goes beyond what it was allowed; ``schedule_ok`` null: it told none."""

    station_id: str
    connector: int
    told_at: datetime | None
    mode: str
    departure: datetime | None
    energy_wh: int | None
    min_energy_wh: int | None
    max_energy_wh: int | None
    min_w: int | None
    max_w: int | None
    discharge_max_w: int | None
    capacity_wh: int | None
    soc: float | None
    target_soc: float | None
    control: str
    offers: list[str]
    differs: str
    own_stay: bool
    schedule: list[StepRow]
    schedule_at: datetime | None
    schedule_ok: bool | None
    exceeds: str


class ExternalLimitRow(Struct, frozen=True, kw_only=True):
    """A limit that somebody else has set at a station. ``evse`` 0: on all of it. ``level_w`` null: it names no number for this
    moment. ``counts``: the depot counts with it; ``note``: why not."""

    station_id: str
    evse: int
    source: str
    level_w: int | None
    told_at: datetime
    until: datetime | None
    critical: bool
    counts: bool
    note: str
    steps: list[StepRow]
