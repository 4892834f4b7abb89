"""The demo's batteries: settings that load, a simulated past in a real lake, and estimates of it that hold the truth."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from lake_kit import Bench

from bms_bridge.estimates.facts import Registered
from bms_bridge.estimates.job import Job
from bms_bridge.lake import wire
from bms_bridge.lake.schema import micros
from controller.app import demo_batteries, demo_rims, health_process
from controller.app.clocks import clock_of, now_us_of
from controller.app.demo import write_depot
from controller.app.demo_arrivals import Arrivals
from controller.app.demo_batteries import EVERY_S, LEAKING, data_sheet, sections, wears
from controller.app.demo_past import give_arrived, make_past
from controller.app.lake_process import places_of
from controller.app.run import children
from controller.health_room import LATE_LOOKS
from controller.settings import Settings
from depot.values import PackKey
from simulator.cells import MAKES, NMC
from simulator.day import Day
from simulator.demo_day import demo_day, evening
from simulator.telematics import version_of

SEED = 1
START = evening(datetime(2026, 11, 22, 12, tzinfo=UTC))


@pytest.fixture(scope="module")
def day() -> Day:
    return demo_day(start=START, seed=SEED)


@pytest.fixture(scope="module")
def settings(day: Day, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in demo_rims.gateway_environment().items():
            patch.setenv(name, value)
        folder = tmp_path_factory.mktemp("demo")
        more = [*demo_rims.sections(), *sections(day, SEED)]
        yield Settings.load(write_depot(folder, spec=day.spec, start=START, speed=78.0, port_offset=300, more=more)[0])


@dataclass
class Past:
    messages: int
    told: list[tuple[int, int]]


@pytest.fixture(scope="module")
def few(day: Day) -> Day:
    """A night of some vehicles of each kind."""
    return replace(day, stays=tuple(stay for stay in day.stays if stay.vehicle_id in {LEAKING, "V-11", "C-17", "C-18", "E-104", "R-22"}))


@pytest.fixture(scope="module")
def past(settings: Settings, few: Day) -> Past:
    told: list[tuple[int, int]] = []
    return Past(make_past(settings, few, SEED, days=7, tell=lambda done, of: told.append((done, of))), told)


def test_the_settings_load_and_name_every_battery_of_the_night(settings: Settings, day: Day) -> None:
    known = health_process.knowledge_of(settings)
    assert {pack.vehicle_id for pack in known.packs} == {stay.vehicle_id for stay in day.stays}
    assert set(known.curves) == set(MAKES)
    assert {"lake", "health"} <= {child.name for child in children(settings.storage.path / "demo.toml")}
    registered = {pack.key: pack for pack in demo_rims.registration(day.spec, day.stays).packs}
    for key, said in known.packs.items():
        assert said.layout is not None
        assert said.layout.series == registered[key].cells
        assert said.since_s is not None
        assert said.since_s < START.timestamp() - 86_400 * demo_batteries.PAST_DAYS


def test_the_leaking_battery_is_in_the_night_and_tells_its_cells(day: Day) -> None:
    assert wears(day, SEED)[LEAKING].leak_per_day > 24 / 7_000  # what is told of a cell whose balancing is not known
    assert version_of(LEAKING, SEED) == 2


def test_the_data_sheet_counts_ampere_hours_where_the_simulator_counts_energy() -> None:
    soc, cell_v = data_sheet(NMC)
    assert (soc[0], soc[-1]) == (0.0, 1.0)
    assert cell_v[0] == NMC.at_rest(0.0)[0]
    shares = np.interp([0.25, 0.5, 0.75], [k / (len(soc) - 1) for k in range(len(soc))], soc)
    assert all(shares > [0.25, 0.5, 0.75])  # the first half of the energy is more than half of the charge: its voltage is lower
    ah = np.diff(soc)
    energy = np.cumsum(ah * (np.array(cell_v)[1:] + np.array(cell_v)[:-1]) / 2)
    assert energy / energy[-1] == pytest.approx(np.linspace(0, 1, len(soc))[1:], abs=1e-3)


def test_a_demo_without_the_lakes_libraries_is_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    assert demo_batteries.missing() == []
    monkeypatch.setattr("controller.app.lake_process.LIBRARIES", ("pyarrow", "no_such_library"))
    assert demo_batteries.missing() == ["no_such_library"]


def test_the_health_process_goes_by_the_demos_clock(settings: Settings) -> None:
    before = micros(clock_of(settings).now())
    now = now_us_of(settings)()
    assert before <= now <= micros(clock_of(settings).now())
    assert settings.health is not None
    assert settings.health.every_s == EVERY_S
    assert LATE_LOOKS * EVERY_S / settings.clock.speed > 120  # real seconds: the past may take so long without an alarm


def test_the_past_is_there_whole_and_once(settings: Settings, few: Day, past: Past) -> None:
    assert past.messages > 1_000
    assert past.told[-1] == (7, 7)
    places = places_of(settings)
    assert places.database.exists()
    assert places.lives.exists()
    assert not (settings.storage.path / "past").exists()
    assert make_past(settings, few, SEED, days=7) == 0


def test_a_past_that_was_cut_off_is_begun_again(day: Day, settings: Settings, tmp_path: Path) -> None:
    own = settings.model_copy(update={"storage": settings.storage.model_copy(update={"path": tmp_path})})
    (tmp_path / "past").mkdir()
    (tmp_path / "past" / "demo-lake.db").write_bytes(b"half a database")
    one = replace(day, stays=tuple(stay for stay in day.stays if stay.vehicle_id == LEAKING))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("controller.app.demo_past.wears", lambda *_: wears(day, SEED))
        assert make_past(own, one, SEED, days=1) > 0
    assert places_of(own).database.exists()
    assert not (tmp_path / "past").exists()


def test_the_estimates_of_the_past_hold_what_the_batteries_have_left(settings: Settings, few: Day, past: Past) -> None:
    known = health_process.knowledge_of(settings)
    registered = {pack.key: pack for pack in demo_rims.registration(few.spec, few.stays).packs}
    truth = wears(few, SEED)

    def of(pack: PackKey) -> Registered:
        found = registered[pack]
        return Registered(found.chemistry, found.capacity_wh, found.cells)

    with contextlib.ExitStack() as stack:
        hot = stack.enter_context(health_process.lake_of(settings))
        assert hot is not None
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(health_process, "registered_by", lambda _s, _f, pack: of(pack))
        job, *_ = stack.enter_context(health_process.opened(settings, known, hot))
        assert isinstance(job, Job)
        assert job.catch_up() >= len(few.stays)
        rows = job._book.fleet(START).packs
    assert {row.vehicle_id for row in rows} == set(truth)
    held = 0
    for row in rows:
        soh = row.soh
        assert soh is not None, (row.vehicle_id, row.why_not)
        assert soh.low is not None
        assert soh.high is not None
        held += soh.low - 0.005 <= truth[row.vehicle_id].left <= soh.high + 0.005
        assert row.resistance is not None
    assert held >= 0.9 * len(rows)


def test_what_the_core_told_while_the_past_was_made_is_in_the_lake_too(settings: Settings, past: Past, tmp_path: Path) -> None:
    before = health_rows(settings)
    batch = wire.Batch("a run of the core", 1, [wire.Told(Bench(tmp_path, at=START).sample(PackKey(LEAKING, "P1")))])
    file = tmp_path / "arrived"
    file.write_bytes(wire.framed(wire.encode(batch)))
    with Arrivals(tmp_path / "lake.sock", file) as arrivals:
        assert give_arrived(settings, arrivals) == 1
    assert health_rows(settings) == before + 1
    assert not file.exists()


def health_rows(settings: Settings) -> int:
    with health_process.lake_of(settings) as hot:
        assert hot is not None
        with hot.look() as connection:
            return sum(1 for _ in hot.numbers(connection, after=0, most=1_000_000))
