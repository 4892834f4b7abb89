"""The registry on the real core: files go in and out over its socket, facts survive a kill, the site changes at the next start."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console
from test_core_process import ROOT, config, listens, offset_of, started, wait_for

from controller.app.demo import OCPP_PORT
from controller.app.transfer import run_export, run_import
from controller.link import CoreLink, CoreUnreachable
from controller.registry_view import SiteDeclarationView
from controller.settings import Settings

__all__ = ["config"]
pytestmark = [pytest.mark.apart, pytest.mark.timeout(240)]
CORE = "controller.app.core_process"
KEY = "ab" * 32


class Desk:
    """The command line, in process: its exit code and what it said."""

    def __init__(self, config: Path, folder: Path) -> None:
        self.config, self.folder = config, folder

    def load(self, kind: str, text: str, *, apply: bool = True, remove_missing: bool = False) -> tuple[int, str]:
        file = self.folder / f"in-{kind}.csv"
        file.write_text(text, encoding="utf-8")
        out = io.StringIO()
        console = Console(file=out, width=200)
        code = run_import(
            self.config, kind, file, apply=apply, reason="test" if apply else "", remove_missing=remove_missing,
            console=console, complaints=console,
        )  # fmt: skip
        return code, out.getvalue()

    def save(self, kind: str, name: str) -> str:
        assert run_export(self.config, kind, self.folder / name, console=Console(file=io.StringIO())) == 0
        return (self.folder / name).read_text(encoding="utf-8-sig")

    def site(self) -> SiteDeclarationView:
        async def ask() -> SiteDeclarationView:
            async with CoreLink(Settings.load(self.config).link_path) as link:
                async with asyncio.timeout(30):
                    async for _ in link.views():
                        break
                found = await link.show(SiteDeclarationView)
                assert found is not None
                return found

        return asyncio.run(ask())


def test_the_registry_lives_in_the_core_and_stands_over_a_kill(config: Path, tmp_path: Path) -> None:
    desk = Desk(config, tmp_path)
    depart = (datetime.now(UTC) + timedelta(hours=8)).isoformat(timespec="minutes")
    vehicles = "vehicle_id,battery_kwh,dc_max_kw,id_tags\n" + "".join(f"E-{k},250,120,TAG{k}\n" for k in range(300))
    with started(CORE, str(config)) as core:
        wait_for(lambda: listens(OCPP_PORT + offset_of(config)), 60)
        code, words = desk.load("vehicles", vehicles, apply=False)
        assert (code, "300 added" in words, "Nothing was changed" in words) == (0, True, True)
        assert desk.save("vehicles", "none.csv").count("\n") == 1
        code, words = desk.load("vehicles", vehicles)
        assert (code, "Applied." in words) == (0, True), words
        assert desk.load("vehicles", vehicles) == (0, "vehicles: 300 unchanged\n")
        assert desk.load("drivers", "driver_id,name\nD-1,Ananya\n")[0] == 0
        timetable = "vehicle_id,depart_at,energy_kwh\n" + "".join(f"E-{k},{depart},100\n" for k in range(100))
        code, words = desk.load("departures", timetable)
        assert (code, "100 added" in words) == (0, True), words
        assert desk.load("departures", timetable) == (0, "departures: 100 unchanged\n")
        code, words = desk.load("departures", "vehicle_id,depart_at\nE-1,yesterday\n")
        assert (code, "row 2, depart_at: 'yesterday' is no time" in words) == (1, True)
        station = f"station_id,connector,feeder_id,current,rated_kw,key_hash\nNEW-1,1,{desk.site().feeders[0].feeder_id},DC,60,{KEY}\n"
        code, words = desk.load("stations", station)
        assert (code, "+ NEW-1" in words) == (0, True), words
        before = desk.site()
        assert before.pending
        assert next(row for row in before.stations if row.station_id == "NEW-1").now is None
        core.send_signal(signal.SIGKILL)
        core.wait(10)
    with started(CORE, str(config)):
        wait_for(lambda: listens(OCPP_PORT + offset_of(config)), 60)
        after = desk.site()
        assert not after.pending
        new = next(row for row in after.stations if row.station_id == "NEW-1")
        assert new.now == new.next is not None
        assert desk.load("vehicles", vehicles) == (0, "vehicles: 300 unchanged\n")
        assert desk.load("departures", timetable) == (0, "departures: 100 unchanged\n")
        assert "Ananya" in desk.save("drivers", "drivers.csv")
        again = json.loads(desk.save("stations", "stations.json"))
        assert again["schema"] == "chargeyard-registry/1"
        assert "key_hash" not in again["rows"][0]


def test_without_a_core_the_command_says_so(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "v.csv"
    file.write_text("vehicle_id\nE-1\n", encoding="utf-8")
    with pytest.raises(CoreUnreachable, match="start it with"):
        run_import(config, "vehicles", file, apply=False, reason="", remove_missing=False, console=Console(), complaints=Console())
    done = subprocess.run(
        [sys.executable, "-m", "controller", "import", str(config), "vehicles", str(file), "--apply"],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, "--apply needs --reason" in done.stderr) == (2, True), done.stderr
