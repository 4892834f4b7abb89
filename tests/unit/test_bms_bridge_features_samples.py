"""Raw samples: what cannot be is left out and told, gaps count nothing, sensors are aligned, files and the lake's partitions are read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from feature_kit import pulse
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from bms_bridge.features import SamplesRefused
from bms_bridge.features.sample_files import read_samples
from bms_bridge.features.samples import aligned, lag_s, ordered, phases


def test_samples_come_in_any_order_twice_and_broken() -> None:
    time_s = np.array([3.0, 1.0, 2.0, 2.0, np.nan, 4.0, 5.0])
    current = np.array([1.0, 1.0, 1.0, 9.0, 1.0, 1e9, 1.0])
    found = ordered(time_s, current, np.full(7, 3.7))
    assert found.time_s.tolist() == [1.0, 2.0, 3.0, 5.0]
    assert found.current_a[1] == 1.0  # of two at one time the first one stays
    assert len(found.notes) == 3


def test_too_little_is_refused_in_words() -> None:
    with pytest.raises(SamplesRefused, match="fewer than two"):
        ordered(np.array([1.0]), np.array([1.0]), np.array([3.7]))
    with pytest.raises(SamplesRefused, match="length"):
        ordered(np.arange(3.0), np.ones(2), np.ones(3))


def test_nothing_is_counted_over_a_gap() -> None:
    time_s = np.r_[np.arange(0.0, 600, 10), np.arange(7_200.0, 7_800, 10)]
    found = ordered(time_s, np.full(120, 6.0), np.full(120, 3.7))
    assert found.charge_ah()[-1] == pytest.approx(2 * 590 * 6 / 3600)
    assert [phase.sign for phase in phases(found, 5.0)] == [1, 1]


def test_an_offset_of_the_sensor_is_a_rest() -> None:
    found = ordered(np.arange(100.0), np.full(100, 0.02), np.full(100, 3.7))
    assert [phase.sign for phase in phases(found, 5.0)] == [0]


def test_a_slower_sensor_is_told_at_other_times_and_never_beyond_its_own() -> None:
    told = aligned(
        np.array([20.0, 0.0, 10.0, 500.0]), np.array([30.0, 20.0, 25.0, 40.0]), np.array([-1.0, 0, 5, 15, 100, 500, 501]), oldest_s=60
    )
    np.testing.assert_allclose(told, [np.nan, 20.0, 22.5, 27.5, np.nan, 40.0, np.nan])


@pytest.mark.parametrize("late_s", [-0.6, 0.0, 1.2])
def test_a_current_that_is_told_late_is_found_out(late_s: float) -> None:
    time_s = np.arange(0.0, 400, 0.2)
    moved = 20 * (np.sin(time_s / 7) > 0.3) - 8 * (np.sin(time_s / 11) > 0)
    current = np.interp(time_s - late_s, time_s, moved)
    found = lag_s(ordered(time_s, current, 350 + 0.05 * moved))
    assert found == pytest.approx(late_s, abs=0.15)
    assert np.isnan(lag_s(ordered(time_s, np.full(len(time_s), 5.0), 350 + 0 * time_s)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.floats(allow_nan=True, allow_infinity=True)] * 3), max_size=30))
def test_whatever_comes_is_put_in_order_or_refused(rows: list[tuple[float, float, float]]) -> None:
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    try:
        found = ordered(table[:, 0], table[:, 1], table[:, 2])
    except SamplesRefused:
        return
    assert (np.diff(found.time_s) > 0).all()
    assert np.isfinite(found.charge_ah()).all()


def test_a_logger_s_table_is_read_with_its_cells_and_sensors(tmp_path: Path) -> None:
    file = tmp_path / "bus.csv"
    file.write_text(
        "t_s,current_a,voltage_v,temperature_1_c,temperature_2_c,cell_1_v,cell_2_v\n0,1,7.4,25,26,3.7,3.7\n1,1,7.5,25,,3.7,3.8\n"
    )
    found = read_samples(file)["bus"]
    assert found.temperatures_c.shape == found.cells_v.shape == (2, 2)
    assert np.isnan(found.temperatures_c[1, 1])


def test_cycles_whose_time_begins_anew_lie_one_behind_the_other(tmp_path: Path) -> None:
    file = tmp_path / "lab.csv"
    lines = [f"A,{cycle},{t},1,3.{t}" for cycle in (1, 2) for t in range(5)]
    file.write_text("cell,cycle,t_s,I_A,V\n" + "\n".join(lines) + "\n")
    found = read_samples(file)["A"]
    assert len(found) == 10
    assert [phase.end - phase.begin for phase in phases(found, 5.0)] == [5, 5]


def test_a_table_of_other_things_is_refused_in_words(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(SamplesRefused, match=r"t_s .*current_a .*voltage_v"):
        read_samples(file)


def test_a_partition_of_the_lake_is_read_by_when_its_samples_were_true(tmp_path: Path) -> None:
    made = pulse(step_s=1.0)
    ages = np.where(np.arange(len(made)) % 7 == 0, 3.0, 0.5)
    begin = datetime(2026, 11, 22, tzinfo=UTC)
    arrived = [begin + timedelta(seconds=float(t + age)) for t, age in zip(made.time_s, ages, strict=True)]
    columns = {
        "pack": pa.array(["p-1"] * len(made)).dictionary_encode(),
        "received_at": pa.array(arrived, pa.timestamp("us", "UTC")),
        "age_s": pa.array(ages, pa.float32()),
        "current_a": pa.array(made.current_a, pa.float32()),
        "voltage_v": pa.array(made.voltage_v, pa.float32()),
        "temperatures_c": pa.array([[25.0, None]] * len(made), pa.list_(pa.float32())),
        "cells_v": pa.array([None] * len(made), pa.list_(pa.float32())),
    }
    parquet.write_table(pa.table(columns), tmp_path / "rows.parquet")
    found = read_samples(tmp_path / "rows.parquet")["p-1"]
    np.testing.assert_allclose(np.diff(found.time_s), 1.0, atol=1e-3)
    np.testing.assert_allclose(found.current_a, made.current_a, atol=1e-5)
    assert found.temperatures_c.shape == (len(made), 2)
