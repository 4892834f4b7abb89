"""What screens and the API show of solar plants and stationary batteries. Powers W, ages seconds; a battery that charges is positive."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from depot.assets import PvReading, PvSpec, StorageReading, StorageSpec


class PvView(Struct, frozen=True, kw_only=True):
    """A solar plant. ``gives_w`` None: not read yet. ``stale``: what it said is too old to count. ``limit_share``: of its rating,
    where it is curtailed. ``trouble``: why it cannot be curtailed, "" where it can or need not."""

    asset_id: str
    feeder_id: str
    rated_w: int
    gives_w: int | None
    age_s: float | None
    stale: bool
    state: str
    limit_share: float | None
    strings_w: list[int]
    alarms: list[str]
    trouble: str


class BatteryView(Struct, frozen=True, kw_only=True):
    """A stationary battery. ``power_w`` None: not read yet. ``setpoint_w``: what it was told, None: nothing. ``plan_w``: what the
    plan says for now. ``because``: what decided the setpoint. ``counted_w``: what it takes from the site's limit (below 0:
    what its giving adds to it). ``trouble``: why it takes no orders, "" where it does."""

    asset_id: str
    feeder_id: str
    capacity_wh: int
    charge_w: int
    discharge_w: int
    soc: float | None
    soh: float | None
    soc_min: float
    soc_max: float
    power_w: int | None
    age_s: float | None
    stale: bool
    state: str
    mode: str
    controlled: bool
    setpoint_w: int | None
    confirmed: bool
    plan_w: int | None
    because: str
    counted_w: int
    temp_c: float | None
    alarms: list[str]
    trouble: str


class AssetsView(Struct, frozen=True, kw_only=True):
    """``forecast_w``: what the sun is taken to give, by slots of ``slot_s`` from ``forecast_from`` on; empty without a plant."""

    at: datetime
    pv: list[PvView]
    batteries: list[BatteryView]
    forecast_from: datetime
    slot_s: int
    forecast_w: list[int]


def pv_view(spec: PvSpec, reading: PvReading | None, *, now: datetime, stale: bool, trouble: str) -> PvView:
    return PvView(
        asset_id=spec.asset_id,
        feeder_id=spec.feeder_id,
        rated_w=spec.rated_w,
        gives_w=None if reading is None else reading.gives_w,
        age_s=None if reading is None else (now - reading.at).total_seconds(),
        stale=stale,
        state="unknown" if reading is None else reading.state.value,
        limit_share=None if reading is None else reading.limit_share,
        strings_w=[] if reading is None else list(reading.strings_w),
        alarms=[] if reading is None else list(reading.alarms),
        trouble=trouble,
    )


def battery_view(
    spec: StorageSpec,
    reading: StorageReading | None,
    *,
    now: datetime,
    stale: bool,
    mode: str,
    told_w: int | None,
    confirmed: bool,
    plan_w: int | None,
    because: str,
    counted_w: int,
    trouble: str,
) -> BatteryView:
    return BatteryView(
        asset_id=spec.asset_id,
        feeder_id=spec.feeder_id,
        capacity_wh=spec.capacity_wh,
        charge_w=spec.charge_w,
        discharge_w=spec.discharge_w,
        soc=None if reading is None else reading.soc,
        soh=None if reading is None else reading.soh,
        soc_min=spec.soc_min,
        soc_max=spec.soc_max,
        power_w=None if reading is None else reading.power_w,
        age_s=None if reading is None else (now - reading.at).total_seconds(),
        stale=stale,
        state="unknown" if reading is None else reading.state.value,
        mode=mode,
        controlled=spec.controlled,
        setpoint_w=told_w,
        confirmed=confirmed,
        plan_w=plan_w,
        because=because,
        counted_w=counted_w,
        temp_c=None if reading is None else reading.temp_c,
        alarms=[] if reading is None else list(reading.alarms),
        trouble=trouble,
    )
