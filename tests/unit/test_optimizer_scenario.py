"""Scenario files: read strictly, complained about precisely; plans that the common evaluator takes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optimizer import InvalidScenario, plan
from optimizer.scenario import read, write_plan

SCENARIO: dict[str, Any] = {
    "schema": "depot-scenario/1",
    "id": "two",
    "t0": "2026-01-12T12:15:00",
    "n_slots": 4,
    "slot_minutes": 15,
    "tariff": {"currency": "INR", "energy_per_kwh": [8.0, 8.0, 6.0, 6.0], "demand_charge_per_kw_horizon": 20.0, "demand_interval_min": 30},
    "site": {
        "limit_kw": 50.0,
        "mtd_peak_kw": 5.0,
        "base_load_kw": [3.0, 3.0, 3.0, 3.0],
        "pv_kw": [1.0, 0.0, 0.0, 0.0],
        "feeders": [{"id": "F0", "limit_kw": 40.0}],
    },
    "vehicles": [
        {"id": "a", "arrival_slot": 0, "departure_slot": 4, "energy_kwh": 4.0, "p_max_kw": 11.0, "p_min_kw": 4.14, "eff": 0.9, "feeder": 0},
        {"id": "b", "arrival_slot": 1, "departure_slot": 3, "energy_kwh": 2.0, "p_max_kw": 22.0, "eff": 0.9, "feeder": 0, "priority": 2},
    ],
}


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    scenario = copy.deepcopy(SCENARIO)
    change(scenario)
    return scenario


def test_a_scenario_becomes_a_problem() -> None:
    problem = read(SCENARIO)
    assert problem.id == "two"
    assert problem.currency == "INR"
    assert problem.background_kw.tolist() == [2, 3, 3, 3]
    assert problem.site_limit_kw.tolist() == [50] * 4
    assert problem.feeder_limit_kw.tolist() == [[40] * 4]
    assert [v.priority for v in problem.vehicles] == [0, 2]
    assert problem.vehicles[0].holding_per_kwh_h is None
    assert problem.t0.utcoffset() is not None


def test_demand_blocks_follow_the_clock() -> None:
    problem = read(SCENARIO)
    assert (problem.demand_interval_slots, problem.demand_offset_slots) == (2, 1)
    assert problem.blocks.tolist() == [0, 1, 1, 2]


def test_limits_may_vary() -> None:
    problem = read(changed(lambda s: s["site"].update(limit_kw=[50, 40, 30, 20])))
    assert problem.site_limit_kw.tolist() == [50, 40, 30, 20]


def test_a_warm_and_full_pack_ages_faster() -> None:
    pack = {"pack_cost_per_kwh": 180.0, "pack_temp_c": 25.0, "soc_arrival": 0.4, "soc_target": 0.9}

    def holding(**more: float) -> float:
        held = read(changed(lambda s: s["vehicles"][0].update(pack | more))).vehicles[0].holding_per_kwh_h
        assert held is not None
        return held

    assert 0.001 < holding() < 0.01
    assert holding(pack_temp_c=40.0) > 2 * holding()
    assert holding(soc_target=0.6) < holding()
    assert holding(soc_target=0.3) > 0


def test_notes_are_ignored() -> None:
    assert read(changed(lambda s: s.update(comment="by hand"))).n_slots == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s["vehicles"][1].update(departure_slot=0), "vehicle b: departure_slot 0 is before arrival_slot 1"),
        (lambda s: s["vehicles"][1].update(departure_slot=5), "vehicle b: arrival_slot 1, departure_slot 5"),
        (lambda s: s["vehicles"][0].update(energy_kwh=float("nan")), "vehicle a: energy_kwh: a finite number is expected, this is nan"),
        (lambda s: s["vehicles"][0].update(energy_kwh="4"), "vehicle a: energy_kwh: a finite number is expected, this is '4'"),
        (lambda s: s["vehicles"][0].update(p_max_kw=True), "vehicle a: p_max_kw"),
        (lambda s: s["vehicles"][0].update(arrival_slot=0.5), "vehicle a: arrival_slot: a whole number"),
        (lambda s: s["vehicles"][0].update(feeder=1), "vehicle a: feeder 1"),
        (lambda s: s["vehicles"][0].pop("feeder"), "vehicle a: the site has 1 feeders"),
        (lambda s: s["vehicles"][0].update(energy_kw=s["vehicles"][0].pop("energy_kwh")), "vehicle a: .*'energy_kw'.*'energy_kwh'"),
        (lambda s: s["vehicles"][0].update(priorty=1), "vehicle a: .*'priorty'.*'priority'"),
        (lambda s: s["vehicles"][0].pop("eff"), "vehicle a: the key 'eff' is missing"),
        (lambda s: s["vehicles"][1].update(id="a"), "vehicle a stands twice"),
        (lambda s: s["vehicles"][0].update(id=""), "vehicles.0.: id: a text is expected"),
        (lambda s: s["vehicles"].append(7), "vehicles.2.: a JSON object is expected"),
        (lambda s: s["tariff"]["energy_per_kwh"].pop(), "tariff.energy_per_kwh: 3 numbers, expected one for each of the 4 slots"),
        (lambda s: s["tariff"].update(demand_interval_min=50), "demand_interval_min: demand blocks of 50 min do not fill a day"),
        (lambda s: s["site"].update(limit_kw=[1.0, 2.0]), "site.limit_kw: 2 numbers"),
        (lambda s: s["site"].update(limit_kw=-5), "site_limit_kw is negative"),
        (lambda s: s["site"].update(pv_kw=None), "site.pv_kw: a list is expected"),
        (lambda s: s.pop("vehicles"), "the key 'vehicles' is missing"),
        (lambda s: s.update(vehicels=s.pop("vehicles")), "'vehicels'.*'vehicles'"),
        (lambda s: s.update(schema="depot-scenario/3"), "schema 'depot-scenario/3'.*'depot-scenario/2' are known"),
        (lambda s: s.update(schema=["depot-scenario/1"]), "schema .*are known"),
        (lambda s: s.update(t0="noon"), "t0: 'noon' is no time"),
        (lambda s: s.update(n_slots=0), "at least one slot"),
        (lambda s: s.update(n_slots=10**9), "at least one slot|100000"),
    ],
)
def test_what_is_wrong_is_said(change: Callable[[dict[str, Any]], object], words: str) -> None:
    with pytest.raises(InvalidScenario, match=words):
        read_as_file_content(changed(change))


def read_as_file_content(content: dict[str, Any]) -> None:
    """Through JSON, as a file would come."""
    read(json.loads(json.dumps(content)))


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "line 1: this is not JSON"), ("[]", "the scenario: a JSON object is expected"), ("[" * 100_000, "nested too deeply")],
)
def test_a_file_that_is_no_scenario(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "scenario.json"
    path.write_text(text)
    with pytest.raises(InvalidScenario, match=words) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_too_large_is_not_even_parsed(tmp_path: Path) -> None:
    path = tmp_path / "scenario.json"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(InvalidScenario, match=r"scenario.json has 100 MB; a scenario has at most 67 MB"):
        read(path)


def test_a_key_that_stands_twice_is_no_guess(tmp_path: Path) -> None:
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps(SCENARIO).replace('"p_max_kw": 11.0', '"p_max_kw": 11.0, "p_max_kw": 12.0'))
    with pytest.raises(InvalidScenario, match="the key 'p_max_kw' stands twice in an object of 'a'"):
        read(path)


def test_numbers_beyond_all_measure(tmp_path: Path) -> None:
    path = tmp_path / "scenario.json"
    for digits, words in (
        ("9" * 400, "a finite number is expected"),
        ("9" * 5000, "digits"),
        ("1e999", "a finite number is expected, this is inf"),
    ):
        path.write_text(json.dumps(SCENARIO).replace('"p_max_kw": 11.0', f'"p_max_kw": {digits}'))
        with pytest.raises(InvalidScenario, match=words):
            read(path)


def test_a_deep_value_is_shown_in_short() -> None:
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    with pytest.raises(InvalidScenario, match="vehicle a: p_max_kw: a finite number is expected") as caught:
        read(changed(lambda s: s["vehicles"][0].update(p_max_kw=deep)))
    assert len(str(caught.value)) < 200


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(InvalidScenario, match="No such file"):
        read(tmp_path / "absent.json")
    (tmp_path / "image").write_bytes(b"\xff\xfe\x00\xff")
    with pytest.raises(InvalidScenario, match="not text"):
        read(tmp_path / "image")


def test_a_plan_is_written_with_what_it_costs() -> None:
    problem = read(SCENARIO)
    content = json.loads(json.dumps(write_plan(problem, plan(problem)), allow_nan=False))
    assert content["schema"] == "plan/2"
    assert content["scenario"] == "two"
    assert content["policy"] == "cheapest"
    assert set(content["power_kw"]) == {"a", "b"}
    assert all(len(row) == 4 for row in content["power_kw"].values())
    assert content["total_cost"] == pytest.approx(content["energy_cost"] + content["demand_cost"], abs=1e-3)
    assert (content["unmet_kwh"], content["short"], content["storage_kw"]) == ({}, [], {})
    assert content["status"] == "optimal"
