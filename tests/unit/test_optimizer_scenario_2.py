"""The second scenario format: all that the model knows, there and back; its published schema; the first format inside of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import Cap, InvalidScenario, Problem, Vehicle
from optimizer.charge_curve import ChargeCurve
from optimizer.heat import PackHeat
from optimizer.life import LifeCost
from optimizer.scenario import read, write
from optimizer.scenario_schema import schema
from tests.property.test_optimizer_random_depots import pieces, problems, visiting
from tests.unit.test_optimizer_scenario import SCENARIO, changed

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "schemas" / "depot-scenario-2.json"


@st.composite
def packed(draw: st.DrawFn, vehicle: Vehicle, slots: int) -> Vehicle:
    """With what is known of its battery."""
    series = st.lists(st.floats(0, 1), min_size=slots, max_size=slots).map(np.array)
    gentle_kw, steep_per_kwh = draw(st.none() | st.floats(1, 9)), draw(series)
    life = LifeCost(draw(series), draw(series), gentle_kw, None if gentle_kw is None else steep_per_kwh)
    curve = ChargeCurve(np.array([0.0, 0.8, 1.0]), np.array([50.0, 50.0, 5.0]), capacity_kwh=60.0, stored_kwh=draw(st.floats(0, 60)))
    heat = PackHeat(25.0, 45.0, draw(series), 2.0, 0.01)
    return replace(
        vehicle,
        holding_per_kwh_h=draw(st.none() | st.floats(0, 1)),
        life=draw(st.none() | st.just(life)),
        curve=draw(st.none() | st.just(curve)),
        heat=draw(st.none() | st.just(heat)),
    )


@st.composite
def depots(draw: st.DrawFn) -> Problem:
    """With everything that a file can say, as far as strategies make it."""
    problem = draw(visiting() | problems(most_batteries=2))
    weight = st.sampled_from([1.0, 0.5, -1.0])
    caps = tuple(
        Cap(f"c{n}", {i: draw(weight) for i in range(len(problem.vehicles))}, np.array(5.0 + n)) for n in range(draw(st.integers(0, 2)))
    )
    named = tuple(draw(packed(v, problem.n_slots)) for v in problem.vehicles)
    kept = tuple(one if one.life is None else replace(one, life=spread(one.life, problem.n_slots)) for one in problem.storages)
    changes = {"vehicles": named, "caps": caps, "demand_pieces": (draw(pieces()),), "storages": kept}
    return replace(problem, id=draw(st.sampled_from(["", "yard"])), **changes)


def spread(life: LifeCost, slots: int) -> LifeCost:
    """With a number for each slot, as a file is read."""
    told = {name: getattr(life, name) for name in ("rent_per_kwh_h", "wear_per_kwh", "steep_per_kwh")}
    return replace(life, **{name: np.broadcast_to(value, slots) for name, value in told.items() if value is not None})


def same(one: Any, other: Any) -> bool:
    """Equal, arrays and nested values, too."""
    if is_dataclass(one):
        return type(one) is type(other) and all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return one is not None and other is not None and np.array_equal(one, other)
    if isinstance(one, tuple):
        return isinstance(other, tuple) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Mapping):
        return dict(one) == dict(other)
    return bool(one == other)


@settings(max_examples=50, deadline=None)
@given(problem=depots())
def test_what_is_written_is_read_back_and_fits_the_schema(problem: Problem) -> None:
    content = json.loads(json.dumps(write(problem), allow_nan=False))
    again = read(content)
    for field in fields(Problem):
        assert same(getattr(problem, field.name), getattr(again, field.name)), field.name
    VALIDATOR.validate(content)


VALIDATOR = jsonschema.Draft202012Validator(schema())


def test_the_published_schema_is_what_the_reader_goes_by() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == schema(), "run python -m optimizer.scenario_schema"


def test_a_file_of_the_first_format_says_the_same_in_the_second() -> None:
    first = changed(lambda s: s["vehicles"][0].update(pack_cost_per_kwh=180.0, pack_temp_c=30.0, soc_arrival=0.4, soc_target=0.9))
    again = read(first | {"schema": "depot-scenario/2"})
    assert same(read(first), again)
    VALIDATOR.validate(first | {"schema": "depot-scenario/2"})


def test_names_of_the_second_format_are_notes_in_the_first() -> None:
    noted = changed(lambda s: (s.update(storages="two of them"), s["vehicles"][0].update(need="much", milestones=7)))
    assert same(read(noted), read(SCENARIO))


def test_fields_count_before_what_is_derived() -> None:
    pack = {"pack_cost_per_kwh": 180.0, "pack_temp_c": 25.0, "soc_arrival": 0.4, "soc_target": 0.9, "holding_per_kwh_h": 0.5}
    assert second(lambda s: s["vehicles"][0].update(pack)).vehicles[0].holding_per_kwh_h == 0.5
    blocks = second(lambda s: s["tariff"].update(demand_interval_slots=4, demand_offset_slots=3))
    assert (blocks.demand_interval_slots, blocks.demand_offset_slots) == (4, 3)


def test_feeders_and_vehicles_are_named_or_counted() -> None:
    caps = [{"id": "outlet", "weights": {"a": 1.0, "b": 0.5}, "limit_kw": 7.0}]
    depot = second(lambda s: (s["vehicles"][0].update(feeder="F0"), s["vehicles"][1].pop("feeder"), s["site"].update(caps=caps, pv_kw=0)))
    assert [v.feeder for v in depot.vehicles] == [0, None]
    assert dict(depot.caps[0].weights) == {0: 1.0, 1: 0.5}
    assert depot.background_kw.tolist() == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s["vehicles"][0].update(feeder="F7"), "vehicle a: feeder: 'F7' stands nowhere in the file as id of a feeder"),
        (lambda s: s["vehicles"][0].update(feeder=7), "vehicle a: feeder 7, but there are 1 feeders"),
        (
            lambda s: s["vehicles"][0].update(milestones=[{"by_slot": 2, "at_least_kwh": "1"}]),
            r"milestones\[0\].at_least_kwh: a finite number",
        ),
        (lambda s: s["vehicles"][0].update(milestones=[{"at_least_kwh": 1}]), r"vehicle a: milestones\[0\]: the key 'by_slot' is missing"),
        (lambda s: s["vehicles"][0].update(milestones=[{"by_slot": 1, "at_lest_kwh": 1}]), "'at_lest_kwh' is not known; 'at_least_kwh'"),
        (lambda s: s["vehicles"][0].update(milestones={"by_slot": 1}), "vehicle a: milestones: a list is expected"),
        (lambda s: s["vehicles"][0].update(windows=[[4, 5, 6]]), r"vehicle a: windows\[0\]: 2 values are expected, these are 3"),
        (lambda s: s["vehicles"][0].update(windows=[[3, 4]]), "vehicle a: visit 1 has the slots"),
        (lambda s: s["vehicles"][0].update(need="luxury"), "vehicle a: need: one of safety, readiness, comfort is expected"),
        (
            lambda s: s["vehicles"][0].update(cap_kw=[1.0, None, 1.0, 1.0]),
            r"vehicle a: cap_kw\[1\]: a finite number is expected, this is None",
        ),
        (lambda s: s["vehicles"][0].update(cap_kw=[1.0]), "vehicle a: cap_kw: 1 numbers, expected one for each of the 4 slots"),
        (lambda s: s["vehicles"][0].update(stored_kwh=-1.0, discharge_kw=1), "vehicle a: stored_kwh is -1.0"),
        (lambda s: s["site"].update(storages=[{"id": "B"}]), r"site.storages\[0\]: the key 'charge_kw' is missing"),
        (
            lambda s: s["site"].update(caps=[{"id": "c", "weights": {"z": 1}, "limit_kw": 1}]),
            "'z' stands nowhere in the file as id of a vehicle",
        ),
        (lambda s: s["site"].update(caps=[{"id": "c", "weights": [1, 2], "limit_kw": 1}]), "an object of ids and numbers is expected"),
        (lambda s: s["site"].update(feeders=[{"id": "F0", "limit_kw": 4, "parent": "F9"}]), "'F9' stands nowhere"),
        (lambda s: s["tariff"].update(energy_per_kwh=float("nan")), "tariff.energy_per_kwh: a finite number is expected, this is nan"),
        (lambda s: s.update(share_shortage="yes"), "share_shortage: true or false is expected"),
        (lambda s: s.update(first_slot_fraction=0), "first_slot_fraction 0"),
        (lambda s: s.update(n_slots=100_000, vehicles=s["vehicles"] * 200), "100000 slots of 400 vehicles are too many"),
    ],
)
def test_what_is_wrong_is_said(change: Callable[[dict[str, Any]], object], words: str) -> None:
    with pytest.raises(InvalidScenario, match=words):
        second(change)


JUNK = [None, True, "x", "", -1, 1e300, float("nan"), 10**400, [], [[]], {}, [{}], [None]]


@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, 10**6), junk=st.sampled_from(JUNK))
def test_any_value_of_a_file_may_be_junk(place: int, junk: object) -> None:
    """Each value of a full file in turn: a problem or an error that is meant for people, nothing else."""
    content = json.loads(json.dumps(FULL))
    spots = list(spots_of(content))
    holder, key = spots[place % len(spots)]
    holder[key] = junk
    try:
        found: Problem | str = read(content)
    except InvalidScenario as error:
        found = str(error)
    assert isinstance(found, Problem) or 0 < len(found) < 400


def spots_of(content: Any) -> Any:
    """(container, key) of everything in it."""
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield content, key
        if isinstance(value, dict | list):
            yield from spots_of(value)


FULL: dict[str, Any] = {
    **changed(lambda s: s["vehicles"][0].update(windows=[], milestones=[{"by_slot": 2, "at_least_kwh": 1.0, "need": "safety"}])),
    "schema": "depot-scenario/2",
    "share_shortage": True,
}
FULL["site"] |= {"storages": [{"id": "B", "charge_kw": 5, "discharge_kw": 5, "stored_kwh": 3, "capacity_kwh": 9, "feeder": "F0"}]}
FULL["site"] |= {"caps": [{"id": "c", "weights": {"a": 1, "b": 1}, "limit_kw": 30, "source": "hub"}]}


def second(change: Callable[[dict[str, Any]], object]) -> Problem:
    """The sample as a file of the second format, through JSON."""
    return read(json.loads(json.dumps(changed(change) | {"schema": "depot-scenario/2"})))
