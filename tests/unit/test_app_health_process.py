"""The health process: what it takes from settings and registry, and a look at a real lake's database."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from config_kit import LAKE, NO_BROKER, write_depot
from estimates_kit import NMC, SERIES
from fake_cells import fading_cells
from lake_kit import DEPOT, A, Bench

import controller
from bms_bridge.estimates.book import Book
from bms_bridge.estimates.facts import Registered, TestWindow
from bms_bridge.estimates.shelf import Shelf
from bms_bridge.health.model_file import write_model
from bms_bridge.health.soh import to_file
from bms_bridge.health.soh_training import Effort, train
from controller.app.health_process import knowledge_of, lake_of, registered_by, serve, windows_of
from controller.app.run import children
from controller.clock import SystemClock
from controller.journal import SqlJournal
from controller.lake_facts import JournalFacts
from controller.settings import Settings, SettingsError
from depot import events as ev
from depot.reference_tests import ReferenceOutcome
from depot.values import ConnectorId
from storage import Store

PACK = """
[[telemetry.pack]]
vehicle = "E-101"
chemistry = "NMC"
capacity_kwh = 4.5
cells = 12
"""
HEALTH = """
[health]
every_s = 1
[[health.curve]]
chemistry = "NMC"
soc = {soc}
cell_v = {volts}
[[health.pack]]
vehicle = "E-101"
nominal_ah = 100
module_cells = [4, 4, 4]
"""


def config(tmp_path: Path, **changes: object) -> Path:
    said = {"soc": list(NMC.soc), "volts": list(NMC.cell_v)} | changes
    return write_depot(tmp_path, NO_BROKER, PACK, LAKE, HEALTH.format(**said), depot_id=DEPOT)


def test_settings_say_what_the_registry_does_not(tmp_path: Path) -> None:
    settings = Settings.load(config(tmp_path))
    known = knowledge_of(settings)
    assert known.curves == {"NMC": NMC}
    assert (known.packs[A].layout and known.packs[A].layout.cells, known.packs[A].nominal_ah) == ((4, 4, 4), 100.0)
    facts = JournalFacts(settings.database, settings.depot.id, micros=lambda _: 0)
    assert registered_by(settings, facts, A) == Registered("NMC", 4500, SERIES)
    assert "health" in [child.name for child in children(config(tmp_path))]


def test_a_taught_model_and_assumptions_come_from_files(tmp_path: Path) -> None:
    model = tmp_path / "health.npz"
    write_model(model, to_file({"small": train(fading_cells(16, 20, batches=2), effort=Effort(10, 150, 80, 20, 3, 3, 10))}))
    own = tmp_path / "own.toml"
    own.write_text("[limits.daily_soh]\nvalue = 0.72\n", encoding="utf-8")
    path = config(tmp_path)
    more = f'''[health]
every_s = 1
soh_model = "{model}"
assumptions = "{own}"
[[health.window]]
chemistry = "NMC"
kind = "small"
cut_off_v = 4.2
batch = "batch-0"
'''
    whole = path.read_text(encoding="utf-8").replace("[health]\nevery_s = 1\n", more)
    whole += "cycles_before = 120\nin_service = 2024-06-01T00:00:00+05:30\nneeded_kwh = 3.5\ninspected = true\n"
    path.write_text(whole, encoding="utf-8")
    known = knowledge_of(Settings.load(path))
    assert known.teaching is not None
    assert (list(known.teaching.models), known.teaching.windows["NMC"].batch) == (["small"], "batch-0")
    assert known.assumptions.limits["daily_soh"].value == 0.72
    said = known.packs[A]
    assert (said.cycles_before, said.since_s, said.needed_kwh, said.inspected) == (120.0, 1_717_180_200.0, 3.5, True)
    for wrong, words in (
        (whole.replace('"small"', '"large"'), "knows no kind 'large'; it knows small"),
        (whole.replace("batch-0", "batch-7"), "'batch-7' was not taught for small; these were: batch-0, batch-1"),
        (whole.replace("health.npz", "none.npz"), "health.soh_model: .*is not there"),
        (whole.replace("own.toml", "none.toml"), "health.assumptions: .*No such file"),
    ):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(SettingsError, match=words):
            knowledge_of(Settings.load(path))


def test_a_taught_model_needs_a_window(tmp_path: Path) -> None:
    path = config(tmp_path)
    whole = path.read_text(encoding="utf-8").replace("every_s = 1\n", 'every_s = 1\nsoh_model = "x.npz"\n')
    path.write_text(whole, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"needs a \[\[health.window\]\]"):
        Settings.load(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"volts": [3, 2, 4, 5, 6, 7, 8]}, "must both rise"), ({"soc": [0, 1]}, "for each state of charge")],
)
def test_a_curve_that_cannot_be_is_refused_at_the_start(tmp_path: Path, change: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Settings.load(config(tmp_path, **change))


def test_health_needs_a_lake(tmp_path: Path) -> None:
    path = config(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("[lake]\nleast_free_mb = 16\n", ""), encoding="utf-8")
    with pytest.raises(SettingsError, match=r"add a section \[lake\]"):
        Settings.load(path)


@pytest.mark.anyio
async def test_it_looks_at_the_lake_and_ends_when_told(tmp_path: Path) -> None:
    settings = Settings.load(config(tmp_path))
    settings.storage.path.mkdir()
    with contextlib.closing(Store.open(settings.database)) as journal:
        journal.migrate([controller])
    with lake_of(settings) as none:
        assert none is None
    bench = Bench(settings.storage.path)
    with bench.lake() as lake:
        bench.drive(lake, 1, packs=(A,))
    work = asyncio.create_task(serve(settings))
    for _ in range(100):
        await asyncio.sleep(0.05)
        with contextlib.suppress(Exception), contextlib.closing(Store.open(settings.health_database, read_only=True)) as store:
            found = Book(store).fleet(bench.at)
            said = Shelf(store).prospect(A)
            if found.looked_at is not None and said is not None:
                break
    else:
        pytest.fail("it has not looked")
    assert [(row.vehicle_id, row.modules) for row in found.packs] == [("E-101", 3)]
    assert said.why_not == "it takes an estimate of its health"
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(work, 5)


@pytest.mark.anyio
async def test_reference_tests_are_read_from_the_journal_each_with_its_end(tmp_path: Path) -> None:
    settings = Settings.load(config(tmp_path))
    settings.storage.path.mkdir()
    begun = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)
    facts: list[tuple[int, ev.Event]] = []
    for hour, (test_id, vehicle) in enumerate((("t1", A.vehicle_id), ("t2", "E-999"), ("t3", A.vehicle_id), ("t4", A.vehicle_id))):
        facts.append((10 * hour, ev.ReferenceTestBegan(test_id, vehicle, "v", ConnectorId("C1", 1), 25_000, 10_000, 40_000)))
    facts.append((6, ev.ReferenceTestEnded("t1", A.vehicle_id, ReferenceOutcome.DONE)))
    facts.append((21, ev.ReferenceTestEnded("t3", A.vehicle_id, ReferenceOutcome.BROKEN_OFF, "the vehicle left")))
    with (
        contextlib.closing(Store.open(settings.database)) as store,
        contextlib.closing(JournalFacts(settings.database, settings.depot.id, micros=lambda _: 0)) as read,
    ):
        store.migrate([controller])
        async with SqlJournal(store, settings.depot.id, clock=SystemClock(), writer="inline") as journal:
            await journal.append([ev.NewEvent(fact, begun + timedelta(hours=hour)) for hour, fact in facts[:4]])
            read.read_tests()
            assert [window.until_s for window in windows_of(read, A)] == [None, None, None]
            await journal.append([ev.NewEvent(fact, begun + timedelta(hours=hour)) for hour, fact in facts[4:]])
            read.read_tests()
    since = begun.timestamp()
    assert windows_of(read, A) == [
        TestWindow(since, since + 6 * 3600, done=True),
        TestWindow(since + 20 * 3600, since + 21 * 3600, done=False),
        TestWindow(since + 30 * 3600, None, done=False),
    ]
