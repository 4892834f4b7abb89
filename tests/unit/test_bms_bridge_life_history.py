"""Histories from files that may be anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bms_bridge.health import DataRefused
from bms_bridge.life.history import PLAIN_DEVIATION, as_rows, read_histories, smoothed


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "fleet.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_packs_are_sorted_and_capacities_become_shares(tmp_path: Path) -> None:
    tracks, notes = read_histories(written(tmp_path, "cell,cycle,capacity,q_nom_Ah,batch\nB,9,1.8,2,x\nA,5,1.9,2,\nA,1,2,2,\nA,5,1.7,2,\n"))
    assert [(track.pack, track.kind, track.group) for track in tracks] == [("A", "fleet", ""), ("B", "fleet", "x")]
    assert tracks[0].cycles.tolist() == [1, 5]
    assert tracks[0].soh == pytest.approx([1.0, 0.95])
    assert notes == ()


def test_intervals_become_deviations(tmp_path: Path) -> None:
    tracks, _ = read_histories(written(tmp_path, "pack,cycle,soh,soh_low,soh_high\nA,5,0.9,0.87,0.93\nA,9,0.9,,\n"))
    assert tracks[0].deviation == pytest.approx([np.hypot(0.06 / 3.29, PLAIN_DEVIATION), PLAIN_DEVIATION])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pack,soh\nA,0.9\n", "cycle"),
        ("cycle,soh\n1,0.9\n", "misses pack"),
        ("pack,cycle\nA,1\n", "misses the column soh"),
        ("pack,cycle,capacity\nA,1,2\n", "q_nom_Ah"),
        ("pack,cycle,soh\nA,1,93\n", "0.93, not 93"),
        ("pack,cycle,soh\nA,-4,0.9\n,1,0.9\n", "cycle is no number"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataRefused, match=says):
        read_histories(written(tmp_path, text))


def test_a_folder_without_histories_is_told(tmp_path: Path) -> None:
    written(tmp_path, "a,b\n1,2\n")
    with pytest.raises(DataRefused, match="no file has the columns"):
        read_histories(tmp_path)


def test_one_file_of_a_folder_that_cannot_be_used_is_told_and_left_out(tmp_path: Path) -> None:
    written(tmp_path, "pack,cycle,soh\nA,1,1.0\n")
    (tmp_path / "amperes.csv").write_text("cell,cycle,capacity_Ah\nB,1,1.1\n", encoding="utf-8")
    tracks, notes = read_histories(tmp_path)
    assert [track.pack for track in tracks] == ["A"]
    assert "q_nom_Ah" in " ".join(notes)
    assert "left out" in " ".join(notes)


def test_smoothing_knows_nothing_of_later_rows() -> None:
    soh = np.linspace(1.0, 0.8, 40)
    changed = soh.copy()
    changed[25:] = 0.3
    assert (smoothed(soh)[:25] == smoothed(changed)[:25]).all()


def test_rows_are_thinned_to_first_and_last(tmp_path: Path) -> None:
    lines = "".join(f"A,{cycle},{1 - cycle / 5000}\n" for cycle in range(1, 200))
    tracks, _ = read_histories(written(tmp_path, f"pack,cycle,soh\n{lines}B,3,0.99\n"))
    rows = as_rows(tracks)
    assert (rows.cycles[0, 0], rows.cycles[0, -1]) == (1, 199)
    assert np.isfinite(rows.cycles[1]).tolist() == [True] + [False] * (rows.cycles.shape[1] - 1)
