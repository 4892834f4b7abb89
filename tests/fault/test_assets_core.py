"""The real core with a battery, the sun and a meter behind real sockets: it shaves, a person lays it to rest, a killed core's order
ends by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from test_core_process import config
from test_outputs_core import core

from controller.assets_view import AssetsView
from controller.link import CoreLink
from controller.settings import Settings
from depot import commands as cmd
from depot.assets import AssetMode
from simulator.battery_unit import BatteryUnit
from simulator.meter_server import MeterServer
from simulator.sunspec_units import BatteryFace, SolarFace, SunSpecServer

__all__ = ["config"]
pytestmark = [pytest.mark.apart, pytest.mark.timeout(240)]

LOAD_W, SUN_W, ABOVE_W = 150_000.0, 30_000.0, 90_000
SECTIONS = f"""
[[battery]]
id = "b1"
host = "127.0.0.1"
port = STORE
capacity_kwh = 200
charge_kw = 100
discharge_kw = 100
shave_above_kw = {ABOVE_W / 1000:g}

[[pv]]
id = "roof"
host = "127.0.0.1"
port = SUN
rated_kw = 50
"""


async def until(true: Callable[[], bool], *, within_s: float = 60.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110  # another process acts, and tells nobody here
            await asyncio.sleep(0.05)


def test_a_battery_shaves_rests_when_told_and_survives_its_controller(config: Path) -> None:
    ahead_s = 0.0
    unit = BatteryUnit(lambda: time.monotonic() + ahead_s)
    sun = SolarFace(lambda: SUN_W, rated_w=50_000, now_s=time.monotonic)

    def site_w() -> float:
        return LOAD_W - sun.gives_w() - unit.step()

    async def main() -> None:
        nonlocal ahead_s
        at = Settings.load(config).meter
        assert at is not None
        async with MeterServer(site_w, port=at.port), SunSpecServer(BatteryFace(unit)) as store, SunSpecServer(sun) as roof:
            sections = SECTIONS.replace("STORE", str(store.port)).replace("SUN", str(roof.port))
            with config.open("a", encoding="utf-8") as file:
                file.write(sections)
            async with core(config) as running:
                await until(lambda: abs(site_w() - ABOVE_W) < 2_500, within_s=90)
                async with CoreLink(Settings.load(config).link_path) as link, asyncio.timeout(60):
                    async for _ in link.views():
                        break
                    shown = await link.show(AssetsView)
                    assert shown is not None
                    [battery], [plant] = shown.batteries, shown.pv
                    assert (battery.because, battery.confirmed, battery.stale, plant.gives_w) == ("shaving", True, False, 30_000)
                    order = cmd.SetAssetMode(command_id="a1", actor="ola", reason="service", asset_id="b1", mode=AssetMode.STANDBY)
                    assert (await link.command(order)).status is cmd.CommandStatus.DONE
                    await until(lambda: abs(unit.step()) < 500)
                    again = cmd.SetAssetMode(command_id="a2", actor="ola", reason="done", asset_id="b1", mode=AssetMode.AUTO)
                    assert (await link.command(again)).status is cmd.CommandStatus.DONE
                await until(lambda: abs(site_w() - ABOVE_W) < 2_500)
                running.kill()
                await running.wait()
            assert unit.enabled
            assert unit.step() > 20_000, "it goes on as told"
            ahead_s = float(unit.reverts_after_s) + 1
            unit.step()
            ahead_s += 3
            assert (unit.step(), unit.reversions) == (0.0, 1), "and ends by itself"

    asyncio.run(main())
