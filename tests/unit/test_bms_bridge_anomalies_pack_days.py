"""The table of pack days from files that may be anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from fake_pack_days import string
from pyarrow import parquet

from bms_bridge.anomalies import TableRefused
from bms_bridge.anomalies.pack_days import day_number, day_text, read_pack_days, written

HEAD = "pack,date,soc,capacity_ah,cells_v\n"


def read(tmp_path: Path, text: str) -> object:
    (tmp_path / "days.csv").write_text(text, encoding="utf-8")
    return read_pack_days(tmp_path / "days.csv")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    table = string("E-1/P1", 20, bled_ah=0.2)
    written(tmp_path / "days.csv", table)
    again = read_pack_days(tmp_path / "days.csv")
    assert again.names() == ["E-1/P1"]
    np.testing.assert_allclose(again.cells_v, table.cells_v, atol=1e-4)
    np.testing.assert_allclose(again.numbers["slope_v"], table.numbers["slope_v"])
    np.testing.assert_array_equal(again.labels["batch"], table.labels["batch"])


def test_parquet_with_lists(tmp_path: Path) -> None:
    columns = {"pack": ["A", "A"], "date": ["2026-11-01", "2026-11-02"], "soc": [0.9, 0.9], "capacity_ah": [100.0, 100.0]}
    parquet.write_table(pa.table(columns | {"cells_v": [[4.0, 4.1], [4.0, None]]}), tmp_path / "days.parquet")
    table = read_pack_days(tmp_path / "days.parquet")
    assert len(table) == 1
    assert "fewer than two cells" in table.notes[0]


def test_rows_that_cannot_be_are_left_out_and_told(tmp_path: Path) -> None:
    rows = [
        "A,2026-11-02,0.9,100,4.0;4.1",
        "A,2026-11-01,0.9,100,4.0;4.1",
        "A,2026-11-01,0.8,100,4.0;4.1",
        ",2026-11-01,0.9,100,4.0;4.1",
        "A,yesterday,0.9,100,4.0;4.1",
        "A,2026-11-03,9,100,4.0;4.1",
        "A,2026-11-04,0.9,-1,4.0;4.1",
        "A,2026-11-05,0.9,100,x;99",
        "A,2026-11-06,0.9,100,4.0;4.1;4.2",
    ]
    table = read(tmp_path, HEAD + "\n".join(rows))
    assert [day_text(int(day)) for day in table.days] == ["2026-11-01", "2026-11-02"]  # type: ignore[attr-defined]
    assert table.numbers["soc"].tolist() == [0.8, 0.9]  # type: ignore[attr-defined]
    assert len(table.notes) == 7  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("pack,date\nA,2026-11-01\n", "misses the columns cells_v, soc, capacity_ah"),
        (HEAD, "has no rows"),
        (HEAD + "A,2026-11-01,0.9,100,\n", "no row can be used"),
        (HEAD + "A,2026-11-01,0.9,100," + ";".join(["4.0"] * 3000) + "\n", "at most 2000"),
    ],
)
def test_what_is_no_such_table_is_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(TableRefused, match=told):
        read(tmp_path, text)


def test_days() -> None:
    assert day_text(day_number("2026-11-22T10:00:00Z")) == "2026-11-22"
