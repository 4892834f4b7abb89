"""Defaults for the time when the controller is dead: they fit the fail-safe limit and every feeder (invariant 3)."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.defaults import Ledger, assign, commissioning_notes
from controller.feeder_tree import below
from depot.registry import ConnectorSpec, DepotSpec, FeederSpec, StationSpec
from depot.values import ConnectorId


def depot(minima: list[tuple[int, int]], *, failsafe_w: int, worst_w: int = 0, ratings: tuple[int, ...] = (10**6,)) -> DepotSpec:
    """One station per (feeder, minimum)."""
    stations = tuple(StationSpec(f"CP{i}", f"F{f}", (ConnectorSpec(1, max(22_000, m), m),)) for i, (f, m) in enumerate(minima))
    return DepotSpec("d", "d", 10**6, failsafe_w, worst_w, tuple(FeederSpec(f"F{i}", w) for i, w in enumerate(ratings)), stations)


def test_everybody_gets_its_minimum_where_that_fits() -> None:
    assert set(assign(depot([(0, 4_000)] * 5, failsafe_w=20_000)).values()) == {4_000}


def test_where_it_does_not_fit_some_hold_0_in_rotation() -> None:
    spec = depot([(0, 4_000)] * 5, failsafe_w=12_000, worst_w=2_000)
    assert list(assign(spec).values()) == [4_000, 4_000, 0, 0, 0]
    turns = [{key.station_id for key, w in assign(spec, rotation=day).items() if w} for day in range(5)]
    assert turns == [{"CP0", "CP1"}, {"CP1", "CP2"}, {"CP2", "CP3"}, {"CP3", "CP4"}, {"CP4", "CP0"}]
    assert assign(spec, rotation=5) == assign(spec)


def test_a_feeder_holds_back_its_own() -> None:
    spec = depot([(0, 4_000), (0, 4_000), (1, 4_000)], failsafe_w=50_000, ratings=(5_000, 50_000))
    assert [assign(spec)[ConnectorId(f"CP{i}", 1)] for i in range(3)] == [4_000, 0, 4_000]


def test_a_cabinet_holds_back_what_it_does_not_have() -> None:
    two = (ConnectorSpec(1, 60_000, 6_000), ConnectorSpec(2, 60_000, 6_000))
    stations = (StationSpec("CP0", "F0", two), StationSpec("CP1", "F0", two))
    spec = DepotSpec("d", "d", 10**6, 10**6, 0, (FeederSpec("F0", 10**6),), stations, hub_w={"CP0": 8_000})
    assert [assign(spec)[key] for key in spec.connectors] == [6_000, 0, 6_000, 6_000]


def test_a_background_that_fills_the_fail_safe_limit_leaves_0_for_all() -> None:
    assert set(assign(depot([(0, 4_000)] * 3, failsafe_w=10_000, worst_w=11_000)).values()) == {0}


@given(
    minima=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30_000)), max_size=30),
    failsafe_w=st.integers(0, 300_000),
    worst_w=st.integers(0, 100_000),
    ratings=st.tuples(*[st.integers(0, 200_000)] * 3),
    rotation=st.integers(0, 1000),
    parents=st.sampled_from([(), (("F1", "F0"),), (("F1", "F0"), ("F2", "F1")), (("F0", "F2"), ("F1", "F2"))]),
)
def test_invariant_3_the_sum_of_the_defaults_fits_site_and_feeders(
    minima: list[tuple[int, int]],
    failsafe_w: int,
    worst_w: int,
    ratings: tuple[int, ...],
    rotation: int,
    parents: tuple[tuple[str, str], ...],
) -> None:
    flat = depot(minima, failsafe_w=failsafe_w, worst_w=worst_w, ratings=ratings)
    spec = replace(flat, feeder_parents=dict(parents))
    found = assign(spec, rotation=rotation)
    assert found.keys() == spec.connectors.keys()
    assert sum(found.values()) <= max(0, failsafe_w - worst_w)
    for feeder in spec.feeders:
        its = below(feeder.feeder_id, spec.feeder_parents)
        assert sum(w for key, w in found.items() if spec.feeder_of[key] in its) <= feeder.rating_w
    assert all(w in (0, spec.connectors[key].min_w) for key, w in found.items())


def test_invariant_3_who_restarts_on_another_day_gets_only_what_the_others_do_not_hold() -> None:
    spec = depot([(0, 4_000)] * 4, failsafe_w=8_000)
    monday = assign(spec)
    assert [w for w in monday.values() if w] == [4_000, 4_000]
    gone, back = ConnectorId("CP3", 1), ConnectorId("CP0", 1)
    others = {key: w for key, w in monday.items() if key != gone}
    assert assign(spec, rotation=3, held=others)[gone] == 0  # its turn, but CP0 and CP1 still hold theirs
    others = {key: w for key, w in monday.items() if key != back}
    assert assign(spec, rotation=1, held=others)[back] == 4_000


def test_the_commissioning_check_says_so_with_numbers() -> None:
    assert commissioning_notes(depot([(0, 4_000)] * 5, failsafe_w=20_000)) == []
    (note,) = commissioning_notes(depot([(0, 4_100)] * 200, failsafe_w=400_000))
    assert "820.0 kW" in note
    assert "400.0 kW" in note
    assert "103 of 200" in note


def test_an_empty_depot_has_no_defaults() -> None:
    assert assign(depot([], failsafe_w=1)) == {}


@given(st.integers(1, 12), st.integers(0, 60_000), st.randoms(use_true_random=False), st.integers(0, 30))
@settings(max_examples=150, deadline=None)
def test_a_ledger_gives_a_station_what_the_whole_assignment_would(count: int, failsafe_w: int, rng: random.Random, rotation: int) -> None:
    feeders = (FeederSpec("F0", 20_000), FeederSpec("F1", 30_000))
    stations = tuple(
        StationSpec(f"S{n}", f"F{n % 2}", tuple(ConnectorSpec(c, 22_000, rng.choice((0, 1_380, 4_140))) for c in (1, 2)))
        for n in range(count)
    )
    spec = DepotSpec("d", "D", 100_000, failsafe_w, 1_000, feeders, stations)
    held = {key: rng.choice((0, 1_380, 4_140)) for key in spec.connectors if rng.random() < rng.choice((0.5, 1.0))}
    chosen = rng.choice(stations).station_id
    keys = [key for key in spec.connectors if key.station_id == chosen]
    others = {key: watts for key, watts in held.items() if key not in keys}
    everybody = assign(spec, rotation=rotation, held=others)
    assert Ledger(spec, held).anew(keys, rotation=rotation) == {key: everybody[key] for key in keys}
