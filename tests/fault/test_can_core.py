"""The real core hears a vehicle's CAN bus while its broker is not there; and says what is wrong with a map before it begins."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from pathlib import Path

import can
import pytest
from cantools.database.can import Database
from test_core_process import config, said
from test_outputs_core import core

from bms_bridge.can.dbc import EXAMPLE
from controller.link import CoreLink
from controller.pack_view import TripsView
from controller.settings import Settings

__all__ = ["config"]
pytestmark = [pytest.mark.apart, pytest.mark.timeout(240)]

MAPS = Path(__file__).resolve().parents[2] / "bms_bridge" / "can" / "maps"
SECTIONS = """
[telemetry]
broker = "external"
host = "127.0.0.1"
port = 9

[[telemetry.pack]]
vehicle = "E-901"
chemistry = "LFP"

[[telemetry.can]]
interface = "udp_multicast"
channel = "239.74.163.2"
port = PORT
dbc = "example-pack"
map = "MAP"
vehicle = "E-901"
"""


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def written(config: Path, *, port: int, map_name: str = EXAMPLE) -> None:
    """The settings with a broker that nobody answers for, and a bus."""
    text = re.sub(r"\n\[telemetry\].*?(?=\n\[[a-z]+\]|\Z)", "", config.read_text(encoding="utf-8"), flags=re.DOTALL)
    config.write_text(text + SECTIONS.replace("PORT", str(port)).replace("MAP", map_name), encoding="utf-8")


def hot() -> can.Message:
    pack = Database()
    pack.add_dbc_file(str(MAPS / f"{EXAMPLE}.dbc"))
    data = pack.encode_message("CellTemperatures", {"TemperatureBlock": 0, "Sensor_00": 63.5, "Sensor_01": 62.0, "Sensor_02": 62.5})
    return can.Message(arbitration_id=515, is_extended_id=False, data=data)


def test_a_hot_pack_on_its_own_bus_is_tripped_by_the_real_core_while_no_broker_answers(config: Path) -> None:
    port = free_port()
    written(config, port=port)

    async def main() -> None:
        with contextlib.ExitStack() as stack:
            try:
                bus = stack.enter_context(
                    can.Bus(interface="udp_multicast", channel="239.74.163.2", port=port, hop_limit=0, ignore_config=True)
                )
                bus.send(hot())
            except (OSError, can.CanError):
                pytest.xfail("this machine has no way for multicast")
            async with asyncio.timeout(200), core(config), CoreLink(Settings.load(config).link_path) as link:
                async for _ in link.views():
                    break
                trips = None
                while trips is None or not trips.trips:
                    bus.send(hot())
                    await asyncio.sleep(0.1)
                    trips = await link.show(TripsView)
        assert [(trip.vehicle_id, trip.cause) for trip in trips.trips] == [("E-901", "over_temperature")]

    asyncio.run(main())


def test_a_map_that_cannot_be_used_ends_the_start_with_its_line(config: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text((MAPS / f"{EXAMPLE}.toml").read_text(encoding="utf-8").replace("PackState.Soc", "PackState.Sok"), encoding="utf-8")
    written(config, port=43_113, map_name=str(own))
    code, words = said(config)
    assert code == 2
    assert "own.toml line 12: message PackState has no signal Sok; it has Soh, Soc" in words
    assert "Traceback" not in words
