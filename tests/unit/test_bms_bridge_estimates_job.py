"""The health job: what the lake has new becomes estimates that are kept, each charge once, over restarts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from estimates_kit import NMC, NOMINAL_AH, SERIES
from estimates_kit import Pack as Cells
from lake_kit import A, B, Bench

from bms_bridge import estimates as room
from bms_bridge.estimates.book import Book, ChargeEntry, PackEntry
from bms_bridge.estimates.estimate import COUNTED, TAUGHT
from bms_bridge.estimates.facts import Knowledge, Registered, TestWindow
from bms_bridge.estimates.job import Job
from bms_bridge.estimates.prospecting import Prospects
from bms_bridge.estimates.shelf import Shelf
from bms_bridge.estimates.taught import EndWindow, Teaching
from bms_bridge.estimates.use import between
from bms_bridge.lake.engine import Lake
from bms_bridge.lake.hot import Hot
from bms_bridge.lake.schema import micros
from depot.values import PackKey
from storage import Store

CAPACITY_WH = round(SERIES * NMC.mean_v * NOMINAL_AH)
KNOWN = Knowledge(curves={"NMC": NMC})


def registered(pack: PackKey) -> Registered:
    return Registered("NMC", CAPACITY_WH, SERIES) if pack == A else Registered("NMC", None, None)


def tell(bench: Bench, lake: Lake, cells: Cells, *legs: tuple[float, float]) -> None:
    """Let a pack live through (A, h) legs, told a minute at a time."""
    cells.every_s, cells.said = 60.0, []
    for amps, hours in legs:
        cells.go(amps, hours)
    items = []
    for _, amps, volts, voltages in cells.said:
        bench.forward(seconds=60)
        items.append(bench.told(A, current_a=amps, voltage_v=round(volts, 2), cells_v=voltages, soc=0.5))
    bench.give(lake, *items)


@contextlib.contextmanager
def job_of(bench: Bench, folder: Path, *tests: TestWindow, known: Knowledge = KNOWN) -> Iterator[tuple[Job, Book]]:
    with (
        contextlib.closing(Store.open(bench.places.database, read_only=True)) as lake,
        contextlib.closing(Store.open(folder / "health.db")) as store,
    ):
        store.migrate([room])
        book = Book(store)
        job = Job(Hot(lake), book, known, registered=registered, now_us=lambda: micros(bench.at), shelf=Shelf(store), tests=lambda _: tests)
        yield job, book


DAY = ((-30.0, 0.3), (0.0, 0.8), (50.0, 1.2), (0.0, 0.8))


def test_a_charge_becomes_an_estimate_once_whatever_restarts(tmp_path: Path) -> None:
    bench = Bench(tmp_path, capacity_wh=CAPACITY_WH)
    cells = Cells(soh=0.88, ah=25)
    with bench.lake() as lake:
        tell(bench, lake, cells, *DAY[:3])
        with job_of(bench, tmp_path) as (job, book):
            assert job.catch_up() == 0  # it has not rested yet
            assert book.one(A, bench.at) is not None
        tell(bench, lake, cells, DAY[3])
        with job_of(bench, tmp_path) as (job, book):
            assert job.catch_up() == 1
            assert job.catch_up() == 0
        with job_of(bench, tmp_path) as (job, book):
            assert job.catch_up() == 0
            found = book.one(A, bench.at)
            assert found is not None
            assert found.row.soh is not None
            assert found.row.soh.value == pytest.approx(0.88, abs=0.02)
            assert found.row.charges == len(found.charges) == 1
            assert [one.quantity for one in found.estimates] == ["resistance", "soh"]
            assert found.row.life is None
            assert found.oldest is not None
            assert found.charges[0].detail["ica"]["peaks_v"]
            assert "did not step" in found.estimates[0].reason
            assert "1 estimates over 0 days" in found.row.trend.reason
            tell(bench, lake, cells, (-60.0, 0.9), (0.0, 0.8), (50.0, 1.0), (0.0, 0.8))
            assert job.catch_up() == 1
            assert book.fleet(bench.at).packs[0].charges == 2


def test_a_taught_model_stands_beside_the_counted_charge_and_cells_are_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path, capacity_wh=CAPACITY_WH)
    known = replace(KNOWN, teaching=Teaching({}, {"NMC": EndWindow("small", 4.1)}))
    with bench.lake() as lake:
        tell(bench, lake, Cells(soh=0.88, ah=25), *DAY)
        lake.persist()
        with job_of(bench, tmp_path, known=known) as (job, book):
            assert job.catch_up() == 1
            found = book.one(A, bench.at)
            assert found is not None
            assert found.row.soh is not None
            assert (found.row.soh.method, [one.method for one in found.row.soh_by]) == (COUNTED, [COUNTED])
            assert found.row.why_not == ""  # the counted charge gave one
            (dated,) = book.dated(A)
            assert dated.use is not None  # for how fast the fleet ages
            assert between(dated.use, None).soc == pytest.approx(0.55, abs=1e-3)
            assert dated.use["cycles"] == pytest.approx(0.6, abs=0.03)
            assert dated.cycles is None  # nobody said what it had before
            (model,) = [one for one in found.estimates if one.method == TAUGHT]
            assert model.value is None
            assert "the model knows no charges of the kind" in model.reason
            assert "no_window" in found.charges[0].detail
            with (
                contextlib.closing(Store.open(bench.places.database, read_only=True)) as rows,
                contextlib.closing(Store.open(tmp_path / "health.db")) as store,
            ):
                now = {"now_us": lambda: micros(bench.at), "monotonic_s": lambda: 0.0}
                assert Prospects(Hot(rows), book, Shelf(store), known, registered=registered, **now).look() == 1
            later = book.one(A, bench.at)
            assert later is not None
            assert later.prospect is not None
            assert (later.prospect.why_not, later.prospect.grade) == ("", "test required")
            assert later.prospect.whole is not None
            assert later.prospect.whole.cells == SERIES
            assert later.prospect.whole.soh == pytest.approx(0.88, abs=0.03)
            assert "the record of its life" in later.prospect.missing  # it is one of hours
            assert any(words.startswith("40% of the data is there") for words in later.prospect.because)
            assert "heard of for 0 days" in later.prospect.duties[0].why_not
            assert later.prospect.duties[1].ends
    with contextlib.closing(Store.open(tmp_path / "health.db", read_only=True)) as store:
        cells = Shelf(store).cells(A)
        assert cells is not None
        assert len(cells.soh) == SERIES
        assert sum(cells.soh) / SERIES == pytest.approx(0.88, abs=0.02)
        assert set(cells.modules) == {1}


def test_numbers_of_charges_by_another_window_are_not_mixed(tmp_path: Path) -> None:
    with contextlib.closing(Store.open(tmp_path / "health.db")) as store:
        store.migrate([room])
        book = Book(store)
        charges = [
            (ChargeEntry(10 * n, 10 * n + 5, 50.0, {"window": [float(n)] * 16, "window_of": of} if of else {}), [])
            for n, of in enumerate(("a", "b", "", "a"))
        ]
        book.put(PackEntry(A, 1, "NMC", 100.0, 12, 1, ""), charges, now_us=1)
        assert [(ended, numbers[0]) for ended, numbers in book.endings(A, "a")] == [(5, 0.0), (35, 3.0)]


def test_what_is_missing_stands_in_the_table(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with bench.lake() as lake:
        bench.drive(lake, 2, packs=(B,))
        with job_of(bench, tmp_path) as (job, book):
            job.catch_up()
            (row,) = book.fleet(bench.at).packs
            assert row.soh is None
            assert "capacity when new" in row.why_not
            assert book.one(PackKey("nobody", "P1"), bench.at) is None


def test_a_charge_under_way_at_a_restart_is_whole(tmp_path: Path) -> None:
    bench = Bench(tmp_path, capacity_wh=CAPACITY_WH)
    cells = Cells(soh=0.8, ah=20)
    with bench.lake() as lake:
        for leg in DAY:
            tell(bench, lake, cells, leg)
            with job_of(bench, tmp_path) as (job, _):
                job.catch_up()
        found = book_of(tmp_path, bench.at)
        assert found == pytest.approx(0.8, abs=0.02)


def book_of(folder: Path, at: datetime) -> float | None:
    with contextlib.closing(Store.open(folder / "health.db", read_only=True)) as store:
        found = Book(store).one(A, at + timedelta(hours=1))
        return None if found is None or found.row.soh is None else found.row.soh.value


def test_the_charge_of_a_reference_test_waits_for_its_end_and_counts_as_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path, capacity_wh=CAPACITY_WH)
    cells = Cells(soh=0.88, ah=25)
    with bench.lake() as lake:
        tell(bench, lake, cells, DAY[0])
        begun_s = bench.at.timestamp()
        tell(bench, lake, cells, *DAY[1:])
        with job_of(bench, tmp_path, TestWindow(begun_s, None, done=False)) as (job, _):
            assert job.catch_up() == 0  # how it ends is not known yet
        ended_s = bench.at.timestamp()
        with job_of(bench, tmp_path, TestWindow(begun_s, ended_s, done=True)) as (job, book):
            assert job.catch_up() == 1
            found = book.one(A, bench.at)
            assert found is not None
            assert found.row.soh is not None
            assert (found.row.soh.method, found.row.soh.value) == ("reference test", pytest.approx(0.88, abs=0.02))


@pytest.mark.parametrize("window", [(0.0, 1e12, False), (1e11, 1e12, True), (0.0, None, False)])
def test_a_test_that_was_broken_off_or_forgotten_leaves_ordinary_charges(tmp_path: Path, window: tuple[float, float | None, bool]) -> None:
    bench = Bench(tmp_path, capacity_wh=CAPACITY_WH)
    cells = Cells(soh=0.88, ah=25)
    with bench.lake() as lake:
        tell(bench, lake, cells, *DAY)
        with job_of(bench, tmp_path, TestWindow(*window)) as (job, book):
            assert job.catch_up() == 1
            found = book.one(A, bench.at)
            assert found is not None
            assert {one.method for one in found.estimates} == {"counted charge", "current steps"}
