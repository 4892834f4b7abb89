"""A battery that gives, and a solar plant, for tests of what is shown."""

from __future__ import annotations

from datetime import datetime

from controller.assets_view import AssetsView, BatteryView, PvView


def in_the_yard(at: datetime) -> AssetsView:
    """The battery gives 40 kW for the vehicles' sake, the sun 62 kW."""
    battery = BatteryView(
        asset_id="b1", feeder_id="", capacity_wh=200_000, charge_w=100_000, discharge_w=100_000, soc=0.63, soh=0.87, soc_min=0.1,
        soc_max=0.95, power_w=-40_000, age_s=0.6, stale=False, state="running", mode="auto", controlled=True, setpoint_w=-40_000,
        confirmed=True, plan_w=-38_000, because="vehicles", counted_w=-40_000, temp_c=31.5, alarms=[], trouble="",
    )  # fmt: skip
    sun = PvView(
        asset_id="roof", feeder_id="", rated_w=120_000, gives_w=62_000, age_s=0.4, stale=False, state="running", limit_share=None,
        strings_w=[31_000, 31_000], alarms=[], trouble="",
    )  # fmt: skip
    return AssetsView(at=at, pv=[sun], batteries=[battery], forecast_from=at, slot_s=900, forecast_w=[60_000] * 16 + [0] * 80)
