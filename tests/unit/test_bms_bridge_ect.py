"""The chemistry of a cell that is too hot: what is published of it comes out, and what is no danger counts as none."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.oven_tests import REFERENCE_MIN, leads_min
from bms_bridge.chemistry import Chemistry
from bms_bridge.ect import score
from bms_bridge.ect.kinetics import KELVIN, all_sets, describe, kinetics_of
from bms_bridge.ect.lookup import HEATINGS_K_PER_S, TEMPERATURES_C, time_to_runaway_s
from bms_bridge.ect.model import advance, conversions, fresh, self_heating_k_per_s
from bms_bridge.ect.runaway import adiabatic, ovens_to_runaway

HK = all_sets()["hatchard_kim"]
SETS = sorted(all_sets())


def at_c(*temperatures: float) -> np.ndarray:
    return np.array(temperatures) + KELVIN


# -- parameters ------------------------------------------------------------------------------------------------------------


def test_every_chemistry_has_a_set_and_every_set_says_where_it_is_from() -> None:
    for chemistry in Chemistry:
        assert kinetics_of(chemistry).sources
    assert kinetics_of(Chemistry.NMC).name == "feng_ren"
    assert kinetics_of(Chemistry.UNKNOWN) is HK


def test_the_page_shows_the_parameters_as_they_are() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "state-of-safety.md").read_text(encoding="utf-8")
    match = re.search(r"<!-- kinetics -->\n(.*?)<!-- /kinetics -->", page, re.DOTALL)
    assert match, "docs/state-of-safety.md has lost its markers"
    assert match[1] == describe(), "docs/state-of-safety.md is not what bms_bridge.ect.kinetics.describe() says"


def test_the_shares_of_heat_are_those_of_the_reference() -> None:
    assert HK.heat_shares == pytest.approx({"sei": 0.019, "anode": 0.633, "cathode": 0.297, "electrolyte": 0.051}, abs=0.001)


@pytest.mark.parametrize("name", SETS)
def test_the_weights_add_up_to_one(name: str) -> None:
    assert sum(score.weights(all_sets()[name])) == pytest.approx(1.0)
    assert score.LAMBDA <= 0.5


# -- the published behaviour -----------------------------------------------------------------------------------------------


def test_ovens_run_away_when_the_reference_says() -> None:
    ovens = [130.0, 140.0, 145.0, *REFERENCE_MIN]
    outcome = ovens_to_runaway(HK, ovens)
    assert np.isinf(outcome.runaway_s[:3]).all()
    assert outcome.peak_c[:3] == pytest.approx([135, 148, 162], abs=2.0)
    assert outcome.runaway_s[3:] / 60.0 == pytest.approx(list(REFERENCE_MIN.values()), rel=0.05)


@pytest.mark.parametrize(
    ("cell_c", "minutes"),
    [(80, 37 * 60), (90, 11.8 * 60), (100, 4.0 * 60), (110, 87), (120, 33), (130, 13), (140, 5.6), (150, 2.4)],
)
def test_a_cell_that_loses_no_heat_has_the_time_of_the_reference(cell_c: float, minutes: float) -> None:
    assert time_to_runaway_s("hatchard_kim", cell_c) / 60.0 == pytest.approx(minutes, rel=0.1)


def test_ten_minutes_are_133_degrees_and_five_are_141() -> None:
    assert time_to_runaway_s("hatchard_kim", 133.0) == pytest.approx(600.0, rel=0.1)
    assert time_to_runaway_s("hatchard_kim", 141.0) == pytest.approx(300.0, rel=0.1)


@pytest.mark.parametrize(("oven_c", "minutes"), [(150.0, 21.0), (155.0, 11.0), (180.0, 3.8)])
def test_the_score_of_one_half_comes_before_the_runaway(oven_c: float, minutes: float) -> None:
    runaway_s = float(ovens_to_runaway(HK, [oven_c]).runaway_s[0])
    early, late = leads_min("hatchard_kim", oven_c, runaway_s)
    assert late == pytest.approx(minutes, abs=1.0)
    assert early is not None
    assert early > minutes


# -- the look-up -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("short", [False, True])
def test_the_table_is_what_the_model_says(name: str, short: bool) -> None:
    cells = np.array([80.0, 100.0, 125.0, 150.0, 180.0])
    heatings = np.array([0.0, 1e-3, 0.1, 1e-2, 1.0])
    assert set(cells) <= set(TEMPERATURES_C)
    assert set(heatings) <= set(HEATINGS_K_PER_S)
    worked_out = adiabatic(all_sets()[name], cells, heatings, charge=1.0 if short else 0.0).runaway_s
    looked_up = [time_to_runaway_s(name, c, heating_k_per_s=h, short=short) for c, h in zip(cells, heatings, strict=True)]
    assert looked_up == pytest.approx(np.maximum(worked_out, 0.01), rel=0.01)


def test_between_its_points_the_table_is_near_enough() -> None:
    cells, heatings = np.array([87.5, 122.5, 152.5]), np.array([0.0, 3e-3, 3e-2])
    worked_out = adiabatic(HK, cells, heatings).runaway_s
    looked_up = [time_to_runaway_s("hatchard_kim", c, heating_k_per_s=h) for c, h in zip(cells, heatings, strict=True)]
    assert looked_up == pytest.approx(worked_out, rel=0.15)


@settings(deadline=None)
@given(st.sampled_from(SETS), st.floats(70, 210), st.floats(0, 1), st.floats(0, 20), st.floats(0, 1), st.booleans())
def test_hotter_and_more_heated_is_never_later(name: str, cell_c: float, heating: float, hotter: float, more: float, short: bool) -> None:
    now = time_to_runaway_s(name, cell_c, heating_k_per_s=heating, short=short)
    assert time_to_runaway_s(name, cell_c + hotter, heating_k_per_s=heating, short=short) <= now * 1.001
    assert time_to_runaway_s(name, cell_c, heating_k_per_s=heating + more, short=short) <= now * 1.001
    assert time_to_runaway_s(name, cell_c, heating_k_per_s=heating, short=True) <= now * 1.001


def test_outside_of_the_table_nothing_is_foretold_or_it_is_too_late() -> None:
    assert math.isinf(time_to_runaway_s("lfp", 69.9))
    assert math.isinf(time_to_runaway_s("lfp", math.nan))
    assert time_to_runaway_s("lfp", 300.0) == 0.0


# -- one step --------------------------------------------------------------------------------------------------------------


@given(st.sampled_from(SETS), st.lists(st.tuples(st.floats(-40, 900), st.floats(0.01, 100)), min_size=1, max_size=20))
@settings(max_examples=80, deadline=None)
def test_no_step_leaves_the_possible(name: str, steps: list[tuple[float, float]]) -> None:
    """However hot, however long the step, up and down: shares stay shares, the score a score, and what is spent stays spent."""
    kinetics = all_sets()[name]
    state = fresh(kinetics, 1)
    before = {reaction.name: 0.0 for reaction in kinetics.reactions}
    heat = 0.0
    for cell_c, step_s in steps:
        heat += float(advance(kinetics, state, at_c(cell_c), step_s)[0])
        assert np.isfinite(state).all()
        done = {key: float(value[0]) for key, value in conversions(kinetics, state).items()}
        for key, value in done.items():
            assert 0.0 <= value <= 1.0
            assert value >= before[key] - 1e-12 or (key == "sei" and name == "feng_ren")  # that film grows again
        before = done
        assert 0.0 <= float(score.state_of_safety(kinetics, state, at_c(cell_c))[0]) <= 1.0
    assert heat >= 0.0
    if name != "feng_ren":
        assert heat <= sum(r.heat_j_kg * r.span for r in kinetics.reactions) * (1 + 1e-9)


@pytest.mark.parametrize("name", SETS)
def test_a_step_of_a_second_is_as_good_as_twenty_short_ones(name: str) -> None:
    kinetics, cells = all_sets()[name], at_c(75, 100, 130, 150, 170)
    whole, fine = fresh(kinetics, 5), fresh(kinetics, 5)
    for _ in range(60):
        advance(kinetics, whole, cells, 1.0)
        for _ in range(20):
            advance(kinetics, fine, cells, 0.05)
    assert whole == pytest.approx(fine, abs=5e-3)


@pytest.mark.parametrize("name", SETS)
def test_single_precision_is_enough(name: str) -> None:
    kinetics, cells = all_sets()[name], at_c(72, 85, 100, 120, 140)
    double, single = fresh(kinetics, 5), fresh(kinetics, 5, np.float32)
    for _ in range(1800):
        advance(kinetics, double, cells, 1.0)
        advance(kinetics, single, cells.astype(np.float32), 1.0)
    assert single.dtype == np.float32
    assert single == pytest.approx(double, abs=1e-3)


def test_the_separator_melts_at_140_degrees_and_shorts_only_where_that_is_asked_for() -> None:
    state, cells = fresh(HK, 3), at_c(110, 140, 155)
    quiet = [float(advance(HK, state, cells, 1.0).sum()) for _ in range(600)]
    assert state[-2] == pytest.approx([0.0, 0.5, 1.0], abs=0.2)
    shorted = fresh(HK, 3)
    loud = [float(advance(HK, shorted, cells, 1.0, charge=1.0).sum()) for _ in range(600)]
    assert sum(loud) > sum(quiet) + HK.separator.electric_j_kg
    ovens = ovens_to_runaway(HK, [150.0]).runaway_s
    assert adiabatic(HK, np.array([145.0]), charge=1.0).runaway_s < adiabatic(HK, np.array([145.0])).runaway_s
    assert np.isfinite(ovens)


# -- the traps -------------------------------------------------------------------------------------------------------------


def test_integrating_ordinary_heat_would_burn_the_score() -> None:
    """Why there is a gate: the kinetics eat the film within months at 45 °C, and 1.9 % of the anode a year."""
    state, day_s = fresh(HK, 1), 86_400.0
    for _ in range(105):
        advance(HK, state, at_c(45.0), day_s)
    assert conversions(HK, state)["sei"][0] == pytest.approx(1 - 1 / math.e, abs=0.03)
    for _ in range(365 - 105):
        advance(HK, state, at_c(45.0), day_s)
    assert conversions(HK, state)["anode"][0] == pytest.approx(0.019, abs=0.006)


def test_the_score_falls_with_temperature_alone_only_from_ninety_degrees() -> None:
    sound = score.state_of_safety(HK, fresh(HK, 4), at_c(60, 90, 150, 210))
    assert sound == pytest.approx([1.0, 1.0, 0.75, 0.5])


def test_stages_go_by_film_separator_and_runaway() -> None:
    cells = at_c(79, 80, 129, 130, 209, 210, 150)
    warming = np.array([0, 0, 0, 0, 0, 0, 1.2])
    assert score.stages(fresh(HK, 7), cells, warming).tolist() == [0, 1, 1, 2, 2, 3, 3]


def test_self_heating_passes_one_kelvin_a_second_near_200_degrees() -> None:
    """dT/dt > 1 K/s starts at about 200 to 205 °C in all ovens."""
    outcome = ovens_to_runaway(HK, [155.0, 180.0, 200.0])
    assert outcome.peak_c == pytest.approx([202, 202, 202], abs=12)
    assert self_heating_k_per_s(HK, fresh(HK, 1), at_c(100.0))[0] < 0.01
