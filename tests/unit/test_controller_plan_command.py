"""The plan command's part: exit codes, what is written, what is said."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from controller.app.plan import Questions, run_plan
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


def run(
    tmp_path: Path, content: object, output: Path | None = None, *, deadline_s: float = 20.0, questions: Questions | None = None
) -> tuple[int, str, str]:
    """Exit code, what was told, what was complained about."""
    (tmp_path / "scenario.json").write_text(content if isinstance(content, str) else json.dumps(content))
    console, complaints = (Console(file=io.StringIO(), width=160) for _ in range(2))
    code = run_plan(
        tmp_path / "scenario.json",
        output or tmp_path / "plan.json",
        policy=Policy.CHEAPEST,
        console=console,
        complaints=complaints,
        deadline_s=deadline_s,
        questions=questions,
    )
    return code, console.file.getvalue(), complaints.file.getvalue()  # type: ignore[attr-defined]  # they are StringIO


def test_a_plan_for_everybody(tmp_path: Path) -> None:
    code, told, complained = run(tmp_path, scenario())
    assert (code, complained) == (0, "")
    assert "52.00 INR" in told
    assert "0.00 kWh (0.00 %)" in told
    written = json.loads((tmp_path / "plan.json").read_text())
    assert written["schema"] == "plan/2"
    assert sum(map(sum, written["power_kw"].values())) == pytest.approx(40)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.json", "scenario.json"]


def test_not_everybody_can_be_served(tmp_path: Path) -> None:
    code, told, _ = run(tmp_path, scenario(limit_kw=7.0))
    assert code == 1
    assert "Not everyone can be served" in told
    assert "bus-" in told
    assert sum(json.loads((tmp_path / "plan.json").read_text())["unmet_kwh"].values()) == pytest.approx(20)


def test_needs_beside_the_departure_that_go_short_are_named(tmp_path: Path) -> None:
    content = scenario(limit_kw=12.0) | {"schema": "depot-scenario/2"}
    content["vehicles"][0]["milestones"] = [{"by_slot": 4, "at_least_kwh": 30.0, "need": "comfort", "label": "full"}]
    code, told, _ = run(tmp_path, content)
    assert code == 0
    assert "Needs beside the last departure that go short: bus-0 full (10.0 kWh)" in told


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
    written = json.loads((tmp_path / "plan.json").read_text())
    assert written["status"] == "rule"
    assert written["unmet_kwh"] == {}


def test_why_in_the_terminal(tmp_path: Path) -> None:
    code, told, complained = run(tmp_path, scenario(limit_kw=7.0), questions=Questions(explain=True))
    assert (code, complained) == (1, "")
    assert "Who is short" in told
    assert "kW more at the site from 12:00" in told
    assert "Dear hours" in told
    assert "What one kW more is worth" in told
    assert "no forecast" in told


def test_a_vehicle_and_a_cell_are_explained(tmp_path: Path) -> None:
    code, told, _ = run(tmp_path, scenario(), questions=Questions(vehicle="bus-1", cell="bus-0@12:30"))
    assert code == 0
    assert "bus-1: 20.0 kWh, a kWh is worth 2.0" in told
    assert "bus-0 draws nothing at 12:00: a kWh costs 4.00 INR there" in told
    assert "Dear hours" not in told


def test_what_if_stands_beside(tmp_path: Path) -> None:
    questions = Questions(what_if=("limit=12kW", "vehicles=+1,price=x2"))
    code, told, _ = run(tmp_path, scenario(), questions=questions)
    assert code == 0
    assert "site limit: 12 kW" in told
    assert "1 more vehicle" in told
    assert "vehicles charge at other times" in told


def test_answers_as_json(tmp_path: Path) -> None:
    questions = Questions(explain=True, cell="bus-0@15:00", what_if=("limit=12kW",), as_json=True)
    code, told, _ = run(tmp_path, scenario(), questions=questions)
    assert code == 0
    answer = json.loads(told)
    assert sorted(answer) == ["cell", "explanation", "what_if"]
    assert answer["explanation"]["schema"] == "plan-explanation/1"
    assert answer["explanation"]["limits"][0]["kind"] == "site"
    assert answer["what_if"][0]["changes"] == ["site limit: 12 kW"]


@pytest.mark.parametrize(
    ("questions", "why"),
    [
        (Questions(vehicle="bus-9"), "there is no vehicle 'bus-9'; there are bus-0, bus-1"),
        (Questions(cell="bus-1"), "write VEHICLE@02:15"),
        (Questions(cell="bus-1@23:00"), "23:00 is not within the horizon"),
        (Questions(what_if=("limit",)), "is no change; 'limit' is probably meant"),
        (Questions(what_if=("depart:bus-7=+1h",)), "there is no vehicle 'bus-7'"),
    ],
)
def test_a_question_that_is_not_understood(tmp_path: Path, questions: Questions, why: str) -> None:
    code, _, complained = run(tmp_path, scenario(), questions=questions)
    assert code == 2
    assert why in complained
