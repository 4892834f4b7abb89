"""Grades of retired cells: bands with probabilities, "test required" at the edges and for strangers, files that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_cells import retired_cells, write_pulses

from bms_bridge.health import DataRefused, ModelRefused
from bms_bridge.health.grade_training import least_probability, train_grades
from bms_bridge.health.grading import EDGES, PURPOSE, GradeModel, band_of, band_probabilities, from_file, grade, shape_of, to_file
from bms_bridge.health.model_file import ModelFile, read_model, write_model
from bms_bridge.health.pulse_table import VOLTAGES, PulseTable, read_pulses
from bms_bridge.health.soh_training import Effort

LITTLE = Effort(10, 120, 60, 0, 3, 0, 8)


@pytest.fixture(scope="module")
def models() -> dict[str, GradeModel]:
    return train_grades(retired_cells(30), effort=LITTLE)


def test_other_cells_get_the_right_band_or_a_test(models: dict[str, GradeModel]) -> None:
    others = retired_cells(40, seed=3)
    said = grade(models, others)
    told = said.band >= 0
    assert told.mean() > 0.8
    assert (said.band[told] == band_of(others.soh)[told]).mean() > 0.95
    assert (said.probability[told].min() >= said.probability[~told].min()) if (~told).any() else True


def test_what_lies_at_an_edge_is_less_probable() -> None:
    probability = band_probabilities(np.array([0.75, 0.70, 0.95]), np.full(3, 0.02))
    np.testing.assert_allclose(probability.sum(axis=1), 1.0)
    assert probability.argmax(axis=1).tolist()[::2] == [2, 3]
    assert probability[1].max() == pytest.approx(0.5, abs=1e-3)
    assert band_of(np.array([0.599, 0.6, 0.7, 0.8])).tolist() == [0, 1, 2, 3]
    assert len(EDGES) == 3


def test_without_counted_charge_the_other_model_is_asked(models: dict[str, GradeModel]) -> None:
    others = retired_cells(10, seed=4)
    blind = PulseTable(others.cells, others.kinds, others.voltages_v, np.full(len(others), np.nan), others.soh)
    assert shape_of(others, counted=True).shape[1] == shape_of(blind, counted=False).shape[1] + 1
    said = grade(models, blind)
    assert np.isfinite(said.soh).all()
    assert np.abs(said.soh - others.soh).mean() < 0.05


def test_strangers_need_a_test(models: dict[str, GradeModel]) -> None:
    unknown = grade(models, retired_cells(4, kind="LFP 35 Ah"))
    assert (unknown.band == -1).all()
    assert np.isnan(unknown.soh).all()
    far = retired_cells(4, seed=1)
    broken = PulseTable(far.cells, far.kinds, far.voltages_v + np.linspace(0, 0.9, 21), far.soc, far.soh)
    assert (grade(models, broken).band == -1).all()


def test_the_models_survive_their_file(tmp_path: Path, models: dict[str, GradeModel]) -> None:
    write_model(tmp_path / "g.npz", to_file(models))
    again = from_file(read_model(tmp_path / "g.npz", PURPOSE))
    others = retired_cells(6, seed=5)
    np.testing.assert_array_equal(grade(again, others).band, grade(models, others).band)
    file = to_file(models)
    (kind,) = file.words
    with pytest.raises(ModelRefused, match="train it anew"):
        from_file(ModelFile(PURPOSE, {kind: file.words[kind] | {"edges": [0.5]}}, file.arrays))


def test_too_few_cells_teach_nothing() -> None:
    with pytest.raises(DataRefused, match="nothing can be learned"):
        train_grades(retired_cells(5), effort=LITTLE)


def test_pulses_are_read_and_what_cannot_be_is_left_out(tmp_path: Path) -> None:
    table = retired_cells(4)
    table.voltages_v[0, 3] = 9.0
    table.voltages_v[1, 4] = np.nan
    table.soc[2] = 1.4
    read = read_pulses(write_pulses(tmp_path / "p.parquet", table))
    assert len(read) == len(table) - 3
    assert len(read.notes) == 3
    assert set(read.kinds) == {"NMC 5 Ah"}
    assert np.isnan(read_pulses(write_pulses(tmp_path / "blind.parquet", retired_cells(4), measured=False)).soh).all()
    with pytest.raises(DataRefused, match="name one of them"):
        read_pulses(tmp_path)


def as_csv(path: Path, table: PulseTable, *, without: tuple[str, ...] = (), **changed: object) -> Path:
    """One row a pulse; ``changed``: columns with another value in every row."""
    names = [name for name in (*VOLTAGES, "cell", "Mat", "Qn", "SOC", "SOH", "remark") if name not in without]
    lines = [",".join(names)]
    for row in range(len(table)):
        said = {name: f"{value:.5f}" for name, value in zip(VOLTAGES, table.voltages_v[row], strict=True)}
        said |= {
            "cell": str(table.cells[row]),
            "Mat": "NMC",
            "Qn": "5",
            "SOC": f"{100 * table.soc[row]:.0f}",
            "SOH": f"{table.soh[row]:.3f}",
        }
        said |= {"remark": "x"} | {name: str(value) for name, value in changed.items()}
        lines.append(",".join(said[name] for name in names))
    path.write_text("\r\n".join(lines) + "\r\n\r\n", encoding="utf-8-sig")
    return path


@pytest.mark.parametrize(
    ("without", "changed", "counted"),
    [
        ((), {}, True),
        (("SOC",), {}, False),
        (("SOC", "SOH", "remark"), {}, False),
        ((), {"SOC": "", "SOH": ""}, False),
        ((), {"Mat": "nmc", "Qn": "5.00"}, True),
        ((), {"SOC": "0.35"}, False),
        ((), {"SOC": "95"}, True),
    ],
)
def test_tables_as_people_have_them_are_graded_or_sent_to_a_test(
    tmp_path: Path, models: dict[str, GradeModel], without: tuple[str, ...], changed: dict[str, object], counted: bool
) -> None:
    """One cell, columns that are missing, empty, written otherwise, other states of charge than were taught."""
    read = read_pulses(as_csv(tmp_path / "p.csv", retired_cells(1, seed=8), without=without, **changed))
    assert np.isfinite(read.soc).all() == counted
    said = grade(models, read)
    assert np.isfinite(said.soh).all()
    if changed.get("SOC") == "95":
        assert (said.band == -1).all()
    assert bool(read.notes) == (changed.get("SOC") == "0.35")


def test_a_file_without_pulses_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("cell,Mat,Qn\na,NMC,2\n", encoding="utf-8")
    with pytest.raises(DataRefused, match="misses the columns U1, U2"):
        read_pulses(tmp_path / "x.csv")
    with pytest.raises(DataRefused, match="none of its files has the voltages"):
        read_pulses(tmp_path)


def test_doubt_is_spent_where_it_is_worth_most() -> None:
    """One limit for all kinds; in the mean over the kinds a tenth is sent to a test."""
    sure = [np.linspace(0.5, 1.0, 1001), np.full(200, 0.999)]
    least = least_probability(sure, 0.1)
    assert least == pytest.approx(0.6, abs=0.002)
    assert np.mean([np.mean(kind < least) for kind in sure]) <= 0.1
    assert least_probability([]) == 1.0
