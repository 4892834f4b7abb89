"""The real core takes telemetry over the link, as the web hands it over: a hot pack trips, what is refused is on the disk, and a
vehicle's number is nowhere in it; a wrong file of firmware profiles ends the start with its place."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from test_core_process import config, said
from test_outputs_core import core

from controller.ingest_view import TelemetryItem
from controller.link import CoreLink
from controller.pack_view import TripsView
from controller.rejections.views import RejectionsView, TelemetryIssuesView
from controller.settings import Settings

__all__ = ["config"]
pytestmark = [pytest.mark.apart, pytest.mark.timeout(240)]

VIN = "MAT445401JPA12345"
SECTIONS = """
[telemetry]
broker = "none"
PROFILES
[[telemetry.pack]]
vehicle = "E-901"
chemistry = "LFP"
"""


def written(config: Path, profiles: Path | None = None) -> None:
    """The settings without a broker: HTTP is the only way."""
    text = re.sub(r"\n\[telemetry\].*?(?=\n\[[a-z]+\]|\Z)", "", config.read_text(encoding="utf-8"), flags=re.DOTALL)
    line = "" if profiles is None else f'firmware_profiles = "{profiles}"\n'
    config.write_text(text + SECTIONS.replace("PROFILES", line), encoding="utf-8")


def item(vehicle: str, celsius: float) -> TelemetryItem:
    fields = {"schema": "pack_telemetry/1", "reported_at": datetime.now(UTC).isoformat(), "temperatures_c": [celsius] * 4, "soc": 55.0}
    return TelemetryItem(vehicle_id=vehicle, pack_id="P1", payload=msgspec.Raw(json.dumps(fields).encode()))


def test_a_hot_pack_that_is_told_of_over_http_is_tripped_by_the_real_core(config: Path) -> None:
    written(config)

    async def main() -> None:
        async with asyncio.timeout(200), core(config), CoreLink(Settings.load(config).link_path) as link:
            async for _ in link.views():
                break
            taken = await link.telemetry("token gateway", [item("E-901", 63.0), item(VIN, 30.0)])
            assert [(one.status, one.reason) for one in taken] == [("accepted", ""), ("refused", "unknown_pack")]
            trips = await link.show(TripsView)
            assert trips is not None
            assert [(trip.vehicle_id, trip.cause) for trip in trips.trips] == [("E-901", "over_temperature")]
            kept: RejectionsView | None = None
            while kept is None or len(kept.rejections) < 2:
                kept = await link.show(RejectionsView)
            assert sorted(one.reason for one in kept.rejections) == ["unknown_pack", "value"]
            assert any(one.vehicle_id.startswith("vin_") for one in kept.rejections)
            issues = await link.show(TelemetryIssuesView, vehicle="E-901")
            assert issues is not None
            assert {issue.kind for issue in issues.packs[0].issues} >= {"range"}

    asyncio.run(main())
    folder = Settings.load(config).storage.path
    files = [file for file in folder.iterdir() if file.is_file()]
    assert any(file.name.endswith("-rejections.db") for file in files)
    assert not [file for file in files if VIN.encode() in file.read_bytes()]


def test_profiles_that_cannot_be_used_end_the_start_with_their_place(config: Path, tmp_path: Path) -> None:
    own = tmp_path / "firmware.toml"
    own.write_text('schema = "firmware-profiles/1"\n[[profile]]\nfirmware = "x"\ninvalid = { temperatures_c = [60.0] }\n', encoding="utf-8")
    written(config, own)
    code, words = said(config)
    assert code == 2
    assert "profile 'x': invalid.temperatures_c: 60 is 60 °C, which a battery can have" in words
    assert "Traceback" not in words
