"""``battery anomalies depot.toml`` on a real lake: asked in pieces, what the depot keeps is used and left as it was."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from lake_kit import DEPOT, Bench
from typer.testing import CliRunner

import controller
from bms_bridge.anomalies import pieces
from bms_bridge.anomalies.pack_days import day_number, read_pack_days
from bms_bridge.lake import QueryTooLarge
from bms_bridge.lake.engine import Lake
from controller.app import battery_pack_days
from controller.app.battery_anomalies_cli import look
from controller.app.cli import app
from controller.app.lake_process import places_of
from controller.clock import SystemClock
from controller.journal import SqlJournal
from controller.settings import Settings
from depot import events as ev
from depot.fleet import Pack
from depot.values import PackKey
from storage import Store

CONFIG = """
[depot]
id = "{depot}"
contract_kw = 200
failsafe_kw = 80
worst_background_kw = 20
[[feeder]]
id = "A"
rating_kw = 150
[storage]
path = "{folder}"
[lake]
[health]
[[health.pack]]
vehicle = "E-2"
batch = "A7"
"""
DAYS, CELLS, AH = 14, 12, 150.0
ILL = "E-2/P1"
PACKS = [PackKey("E-1", "P1"), PackKey("E-2", "P1"), PackKey("E-3", "P1"), PackKey("E-4", "P1")]


def charge(bench: Bench, lake: Lake, day: int, first: datetime) -> None:
    """Each pack charges from 70 to 90 % and rests; from the third day on a cell of one loses 1.6 % a day."""
    random = np.random.default_rng(day)
    items = []
    for number, pack in enumerate(PACKS[:3]):
        behind = 0.002 * np.sin(np.arange(CELLS) + number)
        if number == 1:
            behind[4] += 0.016 * max(0, day - 3)
        for step in range(30):
            bench.at = first + timedelta(days=day, minutes=3 * step)
            soc = 0.7 + 0.2 * min(step, 20) / 20
            volts = 3.2 + 1.0 * (soc - behind) + 0.0005 * random.normal(size=CELLS)
            values = {"soc": round(soc, 4), "current_a": 30.0 if step < 20 else 0.0, "cells_v": tuple(float(v) for v in volts.round(4))}
            items.append(bench.told(pack, **values, voltage_v=float(volts.sum())))
    bench.give(lake, *items)


@pytest.fixture
def depot(tmp_path: Path) -> Path:
    """A depot with three packs in its lake and a fourth that only the registry knows."""
    path = tmp_path / "depot.toml"
    path.write_text(CONFIG.format(depot=DEPOT, folder=tmp_path / "var"), encoding="utf-8")
    settings = Settings.load(path)
    settings.storage.path.mkdir()

    async def registered() -> None:
        store, clock = Store.open(settings.database), SystemClock()
        store.migrate([controller])
        async with SqlJournal(store, DEPOT, clock=clock, writer="inline") as journal:
            facts = [ev.PackRegistered(Pack(pack, "NMC", round(AH * CELLS * 3.65), CELLS)) for pack in PACKS[:2]]
            await journal.append([ev.NewEvent(fact, clock.now()) for fact in facts])
        store.close()

    asyncio.run(registered())
    bench = Bench(settings.storage.path)
    first = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
    bench.at = first
    with Lake.open(places_of(settings), **bench.parts()) as lake:
        for day in range(DAYS):
            charge(bench, lake, day, first)
    return path


def asked(depot: Path, *words: str) -> tuple[int, dict[str, object], str]:
    done = CliRunner().invoke(app, ["battery", "anomalies", str(depot), "--json", *words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, json.loads(done.stdout), done.stderr


def test_a_leak_is_found_in_the_lake_and_what_the_depot_keeps_is_used_but_not_changed(depot: Path, tmp_path: Path) -> None:
    settings = Settings.load(depot)
    code, told, said = asked(depot, "--days", "30", "--save", str(tmp_path / "days.csv"))
    assert [alert["key"] for alert in told["alerts"]] == [f"{ILL}/internal_short/5"]  # type: ignore[attr-defined]
    assert (code, told["packs"]) == (1, 2)
    assert "1 packs left out: the registry does not know their capacity and cells (E-3/P1)" in " ".join(said.split())
    saved = read_pack_days(tmp_path / "days.csv")
    assert (saved.names(), len(saved)) == (["E-1/P1", ILL], 2 * DAYS)
    assert saved.of_pack(ILL).labels["batch"].tolist() == ["A7"] * DAYS
    folder = battery_pack_days.kept_folder(settings)
    assert not folder.exists(), "the command leaves the depot's own rows to the depot"

    assert look(settings, days=30).holding == 1
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    (tmp_path / "made.csv").write_text(f"pack,batch,made\n{ILL},B9,2026-01-01\n")
    _, again, _ = asked(depot, "--days", "30", "--packs", str(tmp_path / "made.csv"), "--ended", "--save", str(tmp_path / "again.csv"))
    assert [alert["key"] for alert in again["alerts"]] == [f"{ILL}/internal_short/5"]  # type: ignore[attr-defined]
    beside = read_pack_days(tmp_path / "again.csv")
    assert beside.cells_v == pytest.approx(saved.cells_v)
    own = beside.of_pack(ILL)
    assert (set(own.labels["batch"]), own.numbers["age_d"][0]) == ({"B9"}, own.days[0] - day_number("2026-01-01"))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept


def test_a_lake_that_answers_little_at_once_gives_the_same(depot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = asked(depot, "--save", str(tmp_path / "whole.csv"))[1]
    monkeypatch.setattr(pieces, "MOST_SAMPLES", 9 * pieces.SAMPLES_A_DAY)
    assert asked(depot, "--save", str(tmp_path / "parts.csv"))[1] == whole
    assert (tmp_path / "parts.csv").read_text() == (tmp_path / "whole.csv").read_text()


def test_an_answer_that_was_cut_off_is_never_taken_for_a_whole_one(depot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(battery_pack_days, "MOST_ROWS", 0)
    done = CliRunner().invoke(app, ["battery", "anomalies", str(depot)])
    assert isinstance(done.exception, QueryTooLarge)
    assert "more than 0 rows" in str(done.exception)
