"""What people feed a planner: a precise error or a sensible plan, never a traceback, never longer than the deadline allows."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from controller.app.plan import run_plan
from optimizer import Policy

Change = Callable[[dict[str, Any]], object]


def depot(change: Change = lambda _: None, *, count: int = 3) -> dict[str, Any]:
    """Three vans in four hours, changed."""
    content: dict[str, Any] = {
        "schema": "depot-scenario/2",
        "id": "yard",
        "t0": "2026-01-12T12:00:00",
        "n_slots": 4,
        "slot_minutes": 60,
        "tariff": {"energy_per_kwh": [4.0, 3.0, 2.0, 1.0]},
        "site": {"limit_kw": 60.0, "base_load_kw": 2.0, "feeders": [{"id": "F", "limit_kw": 50.0}]},
        "vehicles": [
            {"id": f"van-{n}", "arrival_slot": 0, "departure_slot": 4, "energy_kwh": 20.0, "p_max_kw": 22.0, "feeder": "F"}
            for n in range(count)
        ],
    }
    change(content)
    return content


def told(tmp_path: Path, content: str | dict[str, Any], *, deadline_s: float = 20.0) -> tuple[int, str]:
    """Exit code of ``chargeyard plan``, and all that it says."""
    (tmp_path / "in.json").write_text(content if isinstance(content, str) else json.dumps(content))
    said = Console(file=io.StringIO(), width=200)
    code = run_plan(
        tmp_path / "in.json", tmp_path / "out.json", policy=Policy.CHEAPEST, console=said, complaints=said, deadline_s=deadline_s
    )
    return code, said.file.getvalue()  # type: ignore[attr-defined]  # it is a StringIO


def first(**values: Any) -> Change:
    return lambda s: s["vehicles"][0].update(values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (first(energy_kwh=float("nan")), "van-0: energy_kwh: a finite number is expected, this is nan"),
        (first(energy_kwh=float("inf")), "van-0: energy_kwh: a finite number is expected, this is inf"),
        (first(energy_kwh=-4.0), "van-0: energy_kwh is -4.0"),
        (first(energy_kwh="20"), "van-0: energy_kwh: a finite number is expected, this is '20'"),
        (first(p_max_kw=None), "van-0: p_max_kw: a finite number is expected, this is None"),
        (first(eff=0.0), "van-0: eff 0.0 is not in (0, 1]"),
        (first(discharge_kw=5.0, capacity_kwh=-10.0), "van-0: capacity_kwh is -10.0"),
        (first(discharge_kw=5.0, capacity_kwh=10.0, stored_kwh=20.0), "van-0: stored_kwh 20 and reserve_kwh 0 must be within"),
        (first(departure_slot=-1), "van-0: departure_slot -1 is before arrival_slot 0"),
        (first(arrival_slot=3, departure_slot=1), "van-0: departure_slot 1 is before arrival_slot 3"),
        (first(departure_slot=99), "van-0: arrival_slot 0, departure_slot 99: 0 ≤ arrival ≤ departure ≤ 4 must hold"),
        (first(windows=[[2, 3]]), "van-0: visit 1 has the slots (2, 3)"),
        (first(feeder="G"), "van-0: feeder: 'G' stands nowhere in the file as id of a feeder"),
        (first(feeder=4), "van-0: feeder 4, but there are 1 feeders"),
        (first(id="van-1"), "vehicle van-1 stands twice in the problem"),
        (first(id=""), "vehicles[0]: id: a text is expected"),
        (first(id=7), "vehicles[0]: id: a text is expected"),
        (first(priority=1.5), "van-0: priority: a whole number is expected"),
        (lambda s: s["site"].update(limit_kw=float("nan")), "site.limit_kw: a finite number is expected"),
        (lambda s: s["site"].update(limit_kw=-1), "site_limit_kw is negative"),
        (lambda s: s["site"].update(limit_kw=[1, 2, 3]), "site.limit_kw: 3 numbers, expected one for each of the 4 slots"),
        (lambda s: s["site"]["feeders"].append({"id": "F", "limit_kw": 1}), "feeder F stands twice"),
        (lambda s: s["site"]["feeders"][0].update(parent="F"), "feeder F: parent 0"),
        (lambda s: s["site"].update(storages=[{"id": "B", "charge_kw": 1}]), "site.storages[0]: the key 'discharge_kw' is missing"),
        (lambda s: s.update(n_slots=0), "0 slots of 60 min"),
        (lambda s: s.update(n_slots=4.5), "n_slots: a whole number is expected"),
        (lambda s: s.update(slot_minutes=-15), "4 slots of -15 min"),
        (lambda s: s.update(t0="yesterday"), "t0: 'yesterday' is no time"),
        (lambda s: s.update(vehicles={}), "vehicles: a list is expected, this is {}"),
        (lambda s: s.update(vehicles=[[]]), "vehicles[0]: a JSON object is expected, this is []"),
        (lambda s: s.update(schema="depot-scenario/9"), "schema 'depot-scenario/9'"),
        (
            lambda s: s["tariff"].update(energy_per_kwh=[1, 2, 3, None]),
            "tariff.energy_per_kwh[3]: a finite number is expected, this is None",
        ),
        (lambda s: s["tariff"].update(demand_interval_min=0.0001, demand_interval_slots=0), "demand block of 0 slots"),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path: Path, change: Change, words: str) -> None:
    code, said = told(tmp_path, depot(change))
    assert code == 2
    assert words in said
    assert "Traceback" not in said
    assert len(said) < 600
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: this is not JSON"),
        ("null", "a JSON object is expected, this is None"),
        ("[" * 50_000, "nested too deeply"),
        ('{"a":' * 50_000, "nested too deeply"),
        ('{"id": 1, "id": 2}', "the key 'id' stands twice"),
        (json.dumps(depot()).replace("20.0", "1" * 6000), "digits"),
    ],
)
def test_files_that_are_none(tmp_path: Path, text: str, words: str) -> None:
    code, said = told(tmp_path, text)
    assert code == 2
    assert words in said


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(vehicles=[]),
        lambda s: (s.update(n_slots=1), s["tariff"].update(energy_per_kwh=1), [v.update(departure_slot=1) for v in s["vehicles"]]),
        first(departure_slot=0),
        first(energy_kwh=0),
        first(p_max_kw=0),
        first(energy_kwh=1e7),
        lambda s: s["site"].update(limit_kw=0),
        lambda s: s["site"].update(limit_kw=10, base_load_kw=500),
        lambda s: s["site"].update(limit_kw=5, feeders=[{"id": "F", "limit_kw": 0}]),
        first(floor_kw=22.0, p_min_kw=6.0, milestones=[{"by_slot": 1, "at_least_kwh": 9, "at_most_kwh": 1}]),
        first(milestones=[{"by_slot": 0, "at_least_kwh": 9}, {"by_slot": 4, "at_least_kwh": 1e6, "need": "safety"}]),
        lambda s: s["tariff"].update(energy_per_kwh=[-1e6, 1e6, 0, 0]),
        lambda s: s["site"].update(caps=[{"id": "c", "weights": {"van-0": -1, "van-1": 1}, "limit_kw": -5}]),
    ],
)
def test_what_can_be_is_planned_however_odd(tmp_path: Path, change: Change) -> None:
    code, said = told(tmp_path, depot(change))
    assert code in (0, 1), said
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["status"] == "optimal"


def test_many_vehicles_and_no_time_are_a_rule(tmp_path: Path) -> None:
    """Not a single pivot: what is written keeps the limits, and says what it is."""
    began = time.monotonic()
    code, said = told(tmp_path, depot(lambda s: s["site"].update(limit_kw=9000), count=1500), deadline_s=0.001)
    assert code == 1
    assert "A rule stands in for it" in said
    assert time.monotonic() - began < 60
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["status"] == "rule"
    assert max(written["site_kw"]) <= 9000
