"""The benchmark of states of charge: what its rows mean, and which curves of CALCE count as whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.soc import judged, main
from benchmarks.soc_traces import calce


def test_a_row_counts_each_trace_the_same() -> None:
    true = np.array([[0.2, 0.4, 0.6, 1.01], [0.5, 0.5, np.nan, np.nan]])
    soc = true + np.array([[0.1], [-0.02]])
    row = judged("NMC", "t", "c", "m", true, (np.clip(soc, 0, 1), soc - 0.05, soc + 0.05), first=np.array([2, 0]))
    assert (row.count, row.told, row.coverage, row.least_coverage) == (2, 1.0, pytest.approx(0.5), 0.0)
    assert row.rmse == pytest.approx((np.sqrt(0.03 / 4) + 0.02) / 2)
    assert row.worst == pytest.approx(np.sqrt(0.03 / 4))
    assert row.anchored == pytest.approx(np.sqrt(0.01 / 2))


def test_broken_cycles_are_left_out(tmp_path: Path) -> None:
    lines = ["cell,cycle,phase,t_s,V,I_A"]
    for cycle, last_v in ((1, 2.7), (11, 3.2)):
        for place in range(60):
            volts = 3.6 + 0.6 * min(place / 40, 1)
            lines.append(f"C,{cycle},charge,{place * 100},{volts},{0.55 if place < 59 else 0.05}")
        for place in range(60):
            lines.append(f"C,{cycle},discharge,{place * 50},{4.0 - (4.0 - last_v) * place / 59},-1.1")
    (tmp_path / "curves.csv").write_text("\n".join(lines), encoding="utf-8")
    (found,) = calce(tmp_path / "curves.csv")["C"]
    assert found[0] == 1
    soc = found[2].soc[0]
    assert (soc[0], soc[59], soc[60], soc[-1]) == (0.0, 1.0, 1.0, pytest.approx(0.0))


def test_a_folder_without_curves_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["soc", "--data", str(tmp_path), "--quick"])
    assert main() == 2
    assert "name the folder of data sets" in " ".join(capsys.readouterr().out.split())
