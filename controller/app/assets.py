"""Solar plants and stationary batteries, put together: the ways to them, and their room."""

from __future__ import annotations

from collections.abc import Sequence

from controller.assets_room import AssetsRoom
from controller.core import Core
from controller.pv_forecast import PvHistory
from controller.sections_assets import AssetSection
from controller.settings import Settings
from depot.ports import Clock
from grid.modbus_link import Peer
from grid.sunspec_assets import BatteryUnit, PvInverter


def add_assets(core: Core, settings: Settings, clock: Clock) -> tuple[AssetsRoom, Sequence[PvInverter | BatteryUnit]]:
    """Add the room (also where the site has none: it then says so), and answer the ways, which the core's owner runs."""
    speed = max(1.0, settings.clock.speed)
    plants = [PvInverter(pv.to_spec(), _peer(pv), clock=clock, speed=speed) for pv in settings.pv]
    batteries = [
        BatteryUnit(battery.to_spec(), _peer(battery), clock=clock, speed=speed, dc_positive_gives=battery.dc_positive == "discharge")
        for battery in settings.battery
    ]
    history = PvHistory(settings.storage.path / f"{settings.depot.id}-pv.json" if plants else None)
    history.load()
    room = AssetsRoom(core.yard, core.loop, batteries=batteries, plants=plants, history=history, replan=core.planning.request)
    if plants or batteries:
        core.planning.outlook = room
        room.ageing = lambda: core.planning.settings.life.factors
    core.add(room)
    return room, [*plants, *batteries]


def _peer(asset: AssetSection) -> Peer:
    return Peer(host=asset.host, port=asset.port, unit_id=asset.unit)
