"""The plan command's part: exit codes, what is written, what is said."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from controller.app.plan import run_plan
from optimizer import Policy


def scenario(**site: Any) -> dict[str, Any]:
    return {
        "id": "yard",
        "t0": "2026-01-12T12:00:00",
        "n_slots": 4,
        "slot_minutes": 60,
        "tariff": {"energy_per_kwh": [4.0, 3.0, 2.0, 1.0], "currency": "INR"},
        "site": {"limit_kw": 30.0, "base_load_kw": [2.0] * 4, "pv_kw": [0.0] * 4, **site},
        "vehicles": [
            {"id": f"bus-{n}", "arrival_slot": 0, "departure_slot": 4, "energy_kwh": 20.0, "p_max_kw": 22.0, "eff": 1.0} for n in range(2)
        ],
    }


def run(tmp_path: Path, content: object, output: Path | None = None, *, deadline_s: float = 20.0) -> tuple[int, str, str]:
    """Exit code, what was told, what was complained about."""
    (tmp_path / "scenario.json").write_text(content if isinstance(content, str) else json.dumps(content))
    console, complaints = (Console(file=io.StringIO(), width=120) for _ in range(2))
    code = run_plan(
        tmp_path / "scenario.json",
        output or tmp_path / "plan.json",
        policy=Policy.CHEAPEST,
        console=console,
        complaints=complaints,
        deadline_s=deadline_s,
    )
    return code, console.file.getvalue(), complaints.file.getvalue()  # type: ignore[attr-defined]  # they are StringIO


def test_a_plan_for_everybody(tmp_path: Path) -> None:
    code, told, complained = run(tmp_path, scenario())
    assert (code, complained) == (0, "")
    assert "52.00 INR" in told
    assert "0.00 kWh (0.00 %)" in told
    written = json.loads((tmp_path / "plan.json").read_text())
    assert written["schema"] == "plan/1"
    assert sum(map(sum, written["power_kw"].values())) == pytest.approx(40)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.json", "scenario.json"]


def test_not_everybody_can_be_served(tmp_path: Path) -> None:
    code, told, _ = run(tmp_path, scenario(limit_kw=7.0))
    assert code == 1
    assert "Not everyone can be served" in told
    assert "bus-" in told
    assert sum(json.loads((tmp_path / "plan.json").read_text())["unmet_kwh"].values()) == pytest.approx(20)


def test_background_above_the_limit_is_said(tmp_path: Path) -> None:
    code, told, _ = run(tmp_path, scenario(base_load_kw=[50.0, 2.0, 2.0, 2.0]))
    assert code == 0
    assert "above its limit, by 20.0 kW in slot 0" in told


def test_a_bad_file_is_one_sentence_and_keeps_the_old_plan(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("old")
    code, told, complained = run(tmp_path, {**scenario(), "n_slots": "four"})
    assert (code, told) == (2, "")
    assert "n_slots: a finite number is expected, this is 'four'" in complained
    assert (tmp_path / "plan.json").read_text() == "old"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    code, _, complained = run(tmp_path, scenario(), tmp_path / "absent" / "plan.json")
    assert code == 2
    assert "can't be written: No such file or directory" in complained


def test_no_time(tmp_path: Path) -> None:
    code, _, complained = run(tmp_path, scenario(), deadline_s=0.0)
    assert code == 1
    assert "--deadline" in complained
    assert not (tmp_path / "plan.json").exists()
