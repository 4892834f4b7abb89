"""The library of battery health as docs/battery-health.md shows it, and what it says to arrays that do not fit."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_cells import fading_cells

from bms_bridge.health import DataRefused
from bms_bridge.health.soh import _check_order
from bms_bridge.soc.cells import kind_of
from bms_bridge.soc.estimate import Knowledge, Samples, follow

PAGE = Path(__file__).resolve().parents[2] / "docs" / "battery-health.md"


def test_the_script_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    names: dict[str, object] = {}
    exec(compile(block, str(PAGE), "exec"), names)
    assert "test required" in capsys.readouterr().out
    track, soc = names["track"], names["soc"]
    assert track.low[0, -1] <= soc[-1] <= track.high[0, -1]  # type: ignore[attr-defined, index]
    assert names["years"].health.shape == (2, 11, 3)  # type: ignore[attr-defined]
    assert len(names["without"]) == 1  # type: ignore[arg-type]  # half a charge has no end: the reason stands there


def test_charges_of_a_wrong_shape_or_order_are_refused() -> None:
    table = fading_cells(4)
    with pytest.raises(DataRefused, match="16 features"):
        replace(table, features=table.features[:, :15])
    with pytest.raises(DataRefused, match="one value of each column"):
        replace(table, cycles=table.cycles[1:])
    _check_order(table)
    with pytest.raises(DataRefused, match="order of cells and cycles"):
        _check_order(table.rows(np.arange(len(table))[::-1]))


def test_one_trace_without_its_row_is_refused_in_words() -> None:
    flat = np.arange(10.0)
    with pytest.raises(ValueError, match="a row for each trace"):
        follow(kind_of("NMC"), Samples(time_s=flat, current_c=flat, voltage_v=flat, temperature_c=flat), Knowledge())
