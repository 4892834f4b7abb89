"""Tables of charges from files that may be anything: read whole, in part with what was left out, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_cells import fading_cells, write_charges

from bms_bridge.health import DataRefused
from bms_bridge.health.charge_table import FEATURES, kind_of, read_charges, read_folder
from bms_bridge.health.files import data_files, read_columns


def lines(rows: list[dict[str, object]]) -> str:
    names = ["cell", "cycle", *FEATURES, "capacity", "q_nom_Ah"]
    return "\n".join([",".join(names), *(",".join(str(row.get(name, 1.0)) for name in names) for row in rows)]) + "\n"


def test_what_was_written_is_read_in_the_order_of_cells_and_cycles(tmp_path: Path) -> None:
    table = fading_cells(3, 5)
    backwards = table.rows(np.arange(len(table))[::-1])
    (read,) = read_folder(write_charges(tmp_path / "mine.parquet", backwards))
    assert (read.kind, read.notes) == ("mine", ())
    np.testing.assert_array_equal(read.cells, table.cells)
    np.testing.assert_allclose(read.features, table.features)
    np.testing.assert_allclose(read.soh, table.soh)


def test_csv_is_read_as_parquet_is(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("\ufeff" + lines([{"cell": "a", "cycle": 1, "capacity": 1.9, "q_nom_Ah": 2.0}]), encoding="utf-8")
    (read,) = read_folder(file)
    assert (read.cells[0], round(float(read.soh[0]), 3), read.batches[0]) == ("a", 0.95, "")


def test_rows_that_cannot_be_are_left_out_and_told(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    good = {"cell": "a", "capacity": 0.9}
    rows = [
        good | {"cycle": 1},
        good | {"cycle": 1},
        good | {"cycle": 2, "CC_Q": "drop table"},
        good | {"cycle": 3, "CC_Q": "inf"},
        good | {"cycle": 4, "CV_Q": 1e30},
        good | {"cycle": 5, "capacity": -3},
        good | {"cycle": 6, "q_nom_Ah": 0},
        {"cell": "", "cycle": 7, "capacity": 0.9},
        good | {"cycle": 8, "capacity": ""},
    ]
    file.write_text(lines(rows), encoding="utf-8")
    read = read_charges(file, "mine")
    assert read.cycles.tolist() == [1.0, 8.0]
    assert np.isnan(read.soh[1])
    told = " ".join(read.notes)
    for word in (
        "1 rows left out: without a cell",
        "2 rows left out: a feature is missing",
        "absurdly large",
        "nominal",
        "20%",
        "told twice",
    ):
        assert word in told


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"cell,cycle\na,1\n", "misses the columns voltage_mean, voltage_std"),
        ("a.parquet", b"PAR1 no PAR1", "not readable"),
        ("a.csv", b"\xff\xfe\x00garbage", "not readable"),
        ("a.csv", lines([]).encode(), "no row can be used"),
        ("a.csv", lines([{"cell": "a", "cycle": "x"}]).encode(), "no row can be used"),
        ("a.csv", lines([{"cell": "a", "cycle": "x"}]).replace("voltage_std", "voltage_mean", 1).encode(), "voltage_std"),
    ],
)
def test_hostile_file_is_one_sentence(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(DataRefused, match=words) as refused:
        read_charges(file, "mine")
    assert str(file) in str(refused.value)


def test_folder_without_charges_and_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match="neither a file nor a folder"):
        data_files(tmp_path / "none")
    with pytest.raises(DataRefused, match=r"no \.parquet and no \.csv"):
        data_files(tmp_path)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(DataRefused, match="none of its 1 files has the features"):
        read_folder(tmp_path)


def test_missing_nominal_capacity_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    text = lines([{"cell": "a", "cycle": 1, "capacity": 0.9}]).replace("q_nom_Ah", "other")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataRefused, match="q_nom_Ah"):
        read_charges(file, "mine")


def test_the_kind_comes_from_the_name_of_file_or_folder() -> None:
    known = ("xjtu", "tju", "mit_matr")
    assert kind_of(Path("other-cells/xjtu_3.parquet"), known) == "xjtu"
    assert kind_of(Path("held/tju/cells.parquet"), known) == "tju"
    assert kind_of(Path("held/mine.csv"), known) == "mine"


def test_tables_of_one_kind_are_joined(tmp_path: Path) -> None:
    table = fading_cells(4, 5)
    for number, half in enumerate((table.cells < "cell-02", table.cells >= "cell-02")):
        write_charges(tmp_path / f"xjtu_{number}.parquet", table.rows(half))
    (read,) = read_folder(tmp_path, ("xjtu",))
    assert (read.kind, len(read)) == ("xjtu", len(table))


def test_words_and_numbers_of_a_column_are_not_confused(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a,b\n1,x\n,y\n", encoding="utf-8")
    read = read_columns(file, ("a",), ("b",))
    assert (read["a"][0], np.isnan(read["a"][1]), read["b"].tolist()) == (1.0, True, ["x", "y"])


@pytest.mark.data
@pytest.mark.parametrize(("kind", "cells", "lost"), [("xjtu", 41, 117), ("tju", 91, 0), ("mit_matr", 79, 0)])
def test_real_sets_are_read_without_loss_of_sound_rows(data_dir: Path, kind: str, cells: int, lost: int) -> None:
    (read,) = read_folder(data_dir / "battery" / kind, (kind,))
    told = (f"{lost} rows left out: a feature is missing or no number",) if lost else ()
    assert (read.kind, len(set(read.cells)), read.notes) == (kind, cells, told)
