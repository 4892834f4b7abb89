"""State of charge while a pack is used: followed step by step, over restarts and gaps, beside what its own system says."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from estimates_kit import LFP, NMC, NOMINAL_AH, SERIES
from estimates_kit import Pack as Cells
from lake_kit import A, B, Bench
from test_bms_bridge_estimates_job import CAPACITY_WH, KNOWN, job_of, tell

from bms_bridge.estimates.charge_kept import read_back, written
from bms_bridge.estimates.charge_kinds import base_kind, capacity_of
from bms_bridge.estimates.charge_under_way import Going, Told, go_on, kind_now, start
from bms_bridge.estimates.charge_view import ChargeState, as_of
from bms_bridge.estimates.judging import PackFacts
from bms_bridge.estimates.layout import PackLayout
from bms_bridge.soc.cells import CellKind, kind_of
from bms_bridge.soc.own_curve import Seen

FACTS = PackFacts(PackLayout.one_module(SERIES), NOMINAL_AH, NMC, "NMC")
NO_TEMPERATURES = 25.0


def told_by(cells: Cells, *, bms: float | None = None, since: int = 0) -> Told:
    told = Told()
    for t_s, amps, volts, voltages in cells.said[since:]:
        told.add(t_s, amps, volts, np.array(voltages, np.float32), NO_TEMPERATURES, bms)
    return told


def go(going: Going, base: CellKind, cells: Cells, *, bms: float | None = None, since: int = 0) -> tuple[Going, ChargeState]:
    told = told_by(cells, bms=bms, since=since)
    bins = told.take(SERIES, after_s=going.at_s, now_s=cells.t_s + 3600)
    assert bins is not None
    going, _, state, _ = go_on(base, kind_now(base, going), going, bins)
    return going, state


def nmc() -> CellKind:
    base, reason = base_kind(FACTS)
    assert base is not None, reason
    return base


def test_it_is_told_with_an_interval_and_found_again_after_a_restart() -> None:
    base = nmc()
    cells = Cells(soh=0.9, ah=30, every_s=10.0)
    begun = start(base, NOMINAL_AH * 0.9, 0.02)
    cells.go(0, 0.7)
    half, state = go(begun, base, cells)
    assert state.soc is not None
    assert state.low is not None
    assert state.high is not None
    assert state.low <= cells.ah / 90 <= state.high
    seen = len(cells.said)
    cells.go(40, 1.0).go(0, 0.6)
    whole, straight = go(half, base, cells, since=seen)
    again = read_back(written(half))
    assert again is not None
    _, resumed = go(again, base, cells, since=seen)
    assert resumed == straight
    assert straight.low is not None
    assert straight.high is not None
    assert straight.low <= cells.ah / 90 <= straight.high
    assert straight.resting
    assert straight.cell_mohm is not None
    assert whole.at_s > half.at_s


def test_a_damaged_mark_is_none() -> None:
    kept = written(start(nmc(), 100.0, 0.02))
    assert read_back(kept) is not None
    assert read_back(kept[:-20]) is None
    assert read_back(b"nonsense") is None


def test_silence_while_driving_widens_and_its_own_system_wakes_a_sleeper() -> None:
    base = nmc()
    cells = Cells(soh=0.9, ah=60)
    cells.go(0, 0.6)
    rested, before = go(start(base, 90.0, 0.02), base, cells, bms=0.66)
    assert before.soc is not None
    for amps, own in ((-20.0, 0.30), (-20.0, None)):
        away = replace(cells, said=list(cells.said), ah=cells.ah, t_s=cells.t_s)
        away.go(amps, 1.5, told=False)
        since = len(away.said)
        away.go(0, 0.1)
        going, state = go(rested, base, away, bms=own, since=since)
        assert state.soc is not None
        assert state.soc == pytest.approx(away.ah / 90, abs=0.08)  # the voltage at rest tells it
        assert going.mark.belief.cov[0, 0, 0] > 0
        if own is not None:  # it did not sleep: the charge was placed anew
            assert state.low is not None
            assert state.high is not None
            assert state.low <= away.ah / 90 <= state.high


def test_its_own_system_far_away_is_told() -> None:
    base = nmc()
    cells = Cells(soh=0.9, ah=45).go(0, 0.7)
    _, agreed = go(start(base, 90.0, 0.02), base, cells, bms=0.52)
    assert (agreed.bms_soc, agreed.disagree, agreed.note) == (0.52, False, "")
    _, apart = go(start(base, 90.0, 0.02), base, cells, bms=0.95)
    assert apart.disagree
    assert "95%" in apart.note


def test_cells_that_are_ahead_are_named() -> None:
    base = nmc()
    cells = Cells(soh=tuple(0.8 if cell == 4 else 0.9 for cell in range(SERIES)), ah=30).go(0, 0.6).go(40, 0.8).go(0, 0.6)
    _, state = go(start(base, 89.0, 0.02), base, cells)
    assert state.fullest_cell == 5
    assert state.fullest_by is not None
    assert state.fullest_by > 0.02


def test_without_a_curve_there_is_a_reason() -> None:
    base, reason = base_kind(replace(FACTS, chemistry="LTO", curve=None))
    assert base is None
    assert "[[health.curve]]" in reason
    shipped, _ = base_kind(replace(FACTS, curve=None))
    assert shipped is kind_of("NMC")
    lfp, _ = base_kind(replace(FACTS, chemistry="LFP", curve=LFP))
    assert lfp is not None
    assert lfp.steep_end
    assert capacity_of(100.0, None)[0] == 100.0


def test_a_mover_that_fell_silent_holds_nothing_any_more() -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    state = ChargeState(at, 0.5, 0.45, 0.55, "", resting=False)
    assert as_of(state, at + timedelta(minutes=5)) is state
    silent = as_of(state, at + timedelta(hours=4))
    assert silent is not None
    assert silent.soc is None
    assert "4 hours" in silent.reason
    asleep = replace_resting(state)
    assert as_of(asleep, at + timedelta(days=4)) is asleep


def replace_resting(state: ChargeState) -> ChargeState:
    return ChargeState(state.at, state.soc, state.low, state.high, "", resting=True)


def test_late_and_waiting_samples() -> None:
    cells = Cells(ah=30).go(0, 0.05)
    told = told_by(cells)
    bins = told.take(SERIES, after_s=-math.inf, now_s=cells.t_s)
    assert bins is not None
    newest = float(bins.time_s[-1])
    assert newest < cells.t_s - 0.5  # the step that is not over waits
    assert told.take(SERIES, after_s=newest, now_s=cells.t_s) is None
    told.add(newest - 60, 0.0, 44.0, np.empty(0, np.float32), 25.0, None)
    rest = told.take(SERIES, after_s=newest, now_s=cells.t_s + 600)
    assert rest is not None
    assert (np.diff(rest.time_s) > 0).all()
    assert rest.time_s[0] > newest


def test_the_job_keeps_it_for_each_pack(tmp_path: Path) -> None:
    bench = Bench(tmp_path, capacity_wh=CAPACITY_WH)
    cells = Cells(soh=0.9, ah=45)
    with bench.lake() as lake:
        tell(bench, lake, cells, (0.0, 0.7), (40.0, 0.5))
        bench.drive(lake, 2, packs=(B,))
        with job_of(bench, tmp_path) as (job, book):
            job.catch_up()
            rows = {row.vehicle_id: row for row in book.fleet(bench.at).packs}
            first = rows[A.vehicle_id].charge
            assert first is not None
            assert first.curve == "set"
            assert first.low is not None
            assert first.high is not None
            assert first.low - 0.1 <= cells.ah / 100 <= first.high + 0.1
            nothing = rows[B.vehicle_id].charge
            assert nothing is not None
            assert (nothing.soc, "capacity when new" in nothing.reason) == (None, True)
        tell(bench, lake, cells, (40.0, 0.3))
        with job_of(bench, tmp_path) as (job, book):  # a restart reads again, and follows nothing twice
            job.catch_up()
            later = book.one(A, bench.at)
            assert later is not None
            assert later.row.charge is not None
            assert later.row.charge.at > first.at
            assert later.row.charge.soc is not None
            assert first.soc is not None
            assert later.row.charge.soc - first.soc == pytest.approx(0.12, abs=0.06)
            past = later.charge_past
            assert [one.at for one in past] == sorted({one.at for one in past})
            assert past[-1].at <= later.row.charge.at
            assert len({int(one.at.timestamp()) // 900 for one in past}) == len(past) >= 4  # one a quarter of an hour, over a restart
            assert past[0].at < first.at
            assert all(one.low is None or (one.soc is not None and one.low <= one.soc) for one in past)
        with job_of(bench, tmp_path, known=replace(KNOWN, curves={})) as (job, _):
            job.catch_up()  # another curve: followed on with the shipped one


def test_what_was_seen_of_a_curve_survives(tmp_path: Path) -> None:
    seen = Seen(fulls=3, begun=0.99, counted=0.2, hours=4.0, log=np.ones((3, 5)))
    again = read_back(written(replace(start(nmc(), 100.0, 0.02), seen=seen)))
    assert again is not None
    assert (again.seen.fulls, again.seen.begun, again.seen.log.shape) == (3, 0.99, (3, 5))
    with contextlib.suppress(OSError):
        tmp_path.rmdir()
