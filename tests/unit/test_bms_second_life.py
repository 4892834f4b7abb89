"""Grades, residual value and retirement of packs; assumptions that can be changed and cannot be broken."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner

from bms_bridge.second_life import AssumptionsRefused, PackRefused
from bms_bridge.second_life.assumptions import read_assumptions, shipped, shipped_text
from bms_bridge.second_life.grading import BANDS, RECYCLE, TEST_REQUIRED, fits, graded
from bms_bridge.second_life.retired import WEIGHTS, Retired, retired
from bms_bridge.second_life.retirement import advice
from bms_bridge.second_life.worth import drawn, worth
from controller.app.battery_cli import battery

GIVEN = shipped()
ROOT = Path(__file__).resolve().parents[2]
LIFE = {"schema": "pack_life/1", "seen_h": 900.0, "unseen_h": 100.0, "hottest_c": 48.0, "trips": 0, "equivalent_full_cycles": 1500.0}


def pack(**changes: Any) -> Retired:
    """A known LFP pack in the middle of the stationary band."""
    entry = {
        "pack": "P", "chemistry": "LFP", "capacity_kwh": 200, "soh": 0.75, "soh_low": 0.735, "soh_high": 0.765, "age_years": 7,
        "past_c": 30, "resistance_ratio": 1.3, "self_discharge_per_month": 0.02, "slope_ratio": 1.0, "life": LIFE,
    }  # fmt: skip
    return retired({name: value for name, value in (entry | changes).items() if value is not None}, "here")


def cells(*soh: float, sd: float = 0.01, modules: int = 2) -> list[dict[str, Any]]:
    half = 1.645 * sd
    return [
        {"cell": f"C{i}", "module": f"M{i % modules}", "soh": value, "soh_low": value - half, "soh_high": value + half}
        for i, value in enumerate(soh)
    ]


def test_a_known_pack_gets_its_band() -> None:
    found = graded(pack(), GIVEN)
    assert found.grade == BANDS[2]
    assert found.pack is not None
    assert (found.pack.low, found.pack.high) == pytest.approx((0.735, 0.765), abs=0.004)
    assert found.completeness == pytest.approx(1 - WEIGHTS["health of the cells"])


@pytest.mark.parametrize("soh", [0.79, 0.71])
def test_an_interval_that_touches_two_bands_needs_a_test(soh: float) -> None:
    assert graded(pack(soh=soh, soh_low=soh - 0.02, soh_high=soh + 0.02), GIVEN).grade == TEST_REQUIRED


def test_with_little_data_a_test_is_needed() -> None:
    found = graded(pack(life=None, resistance_ratio=None, self_discharge_per_month=None), GIVEN)
    assert found.grade == TEST_REQUIRED
    assert "the record of its life" in found.missing


def test_a_pack_gives_what_its_weakest_cell_gives() -> None:
    found = graded(pack(cells=cells(*[0.85] * 40, 0.72, 0.85)), GIVEN)
    assert found.pack is not None
    assert found.pack.soh == pytest.approx(0.72, abs=0.02)
    assert found.pack.mean == pytest.approx(0.847, abs=0.002)
    assert found.better_apart == ("M1",)


def test_many_equal_cells_are_not_made_worse_by_the_scatter_of_their_estimates() -> None:
    noise = np.random.default_rng(1).normal(0.0, 0.02, 300)
    found = graded(pack(cells=cells(*(0.8 + noise), sd=0.02, modules=10)), GIVEN)
    assert found.pack is not None
    assert found.pack.soh == pytest.approx(0.8, abs=0.025)  # the lowest estimate stands at 0.74
    assert found.pack.spread < 0.01


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"resistance_ratio": 2.3}, "2.3 times a new one's"),
        ({"life": LIFE | {"hottest_c": 83.0}}, "83 °C hot"),
        ({"soh": 0.5, "soh_low": 0.48, "soh_high": 0.52}, "weakest cell"),
    ],
)
def test_what_rules_a_second_life_out(changes: dict[str, Any], words: str) -> None:
    found = graded(pack(**changes), GIVEN)
    assert found.grade == RECYCLE
    assert words in found.ruled_out[0]
    told = worth(pack(**changes), found, GIVEN)
    assert told.best == "recycling"
    assert all(words in offer.why_not for offer in told.offers)
    assert "to recycling" in advice(pack(**changes), found, GIVEN).text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"life": LIFE | {"hottest_c": 63.0}}, "63 °C hot"),
        ({"life": LIFE | {"trips": 1, "trips_by_cause": {"thermal_event": 1}}}, "thermal_event (1)"),
        ({"self_discharge_per_month": 0.08}, "leak"),
    ],
)
def test_what_a_person_looks_at_first(changes: dict[str, Any], words: str) -> None:
    found = graded(pack(**changes), GIVEN)
    assert found.grade == TEST_REQUIRED
    assert words in found.inspect[0]
    assert graded(pack(**changes, inspected=True), GIVEN).grade == BANDS[2]


def test_applications_are_matched_by_health_bend_and_rate() -> None:
    by_name = GIVEN.applications
    good = pack()
    assert "needs 80% health" in fits(good, graded(good, GIVEN), by_name["vehicle-again"])
    assert fits(good, graded(good, GIVEN), by_name["solar-storage"]) == ""
    bent = pack(slope_ratio=2.5)
    assert "past its bend" in fits(bent, graded(bent, GIVEN), by_name["solar-storage"])
    assert fits(bent, graded(bent, GIVEN), by_name["backup"]) == ""
    weak = pack(rated_discharge_c=0.5)
    assert "capacities an hour" in fits(weak, graded(weak, GIVEN), by_name["charging-buffer"])


def test_value_stands_in_order_and_grows_with_health_and_with_what_is_earned() -> None:
    one = worth(pack(), graded(pack(), GIVEN), GIVEN)
    assert all(offer.value_paise == tuple(sorted(offer.value_paise)) for offer in one.offers)
    assert one.residual_paise == next(offer.value_paise for offer in one.offers if offer.name == one.best)
    better = pack(soh=0.9, soh_low=0.885, soh_high=0.915)
    assert worth(better, graded(better, GIVEN), GIVEN).residual_paise[1] > one.residual_paise[1]
    dear = {
        name: replace(app, earns_per_kwh_year=replace(app.earns_per_kwh_year, low=0, mid=0, high=0))
        for name, app in GIVEN.applications.items()
    }
    nothing = worth(pack(), graded(pack(), GIVEN), replace(GIVEN, applications=dear))
    assert nothing.best == "recycling"
    assert nothing.residual_paise == nothing.recycling_paise


def test_a_wider_interval_is_worth_less() -> None:
    wide = pack(soh_low=0.705, soh_high=0.795)
    values = [worth(one, graded(one, GIVEN), GIVEN) for one in (pack(), wide)]
    assert [told.best for told in values] == ["solar-storage"] * 2
    best = [told.residual_paise for told in values]
    assert best[0] is not None
    assert best[1] is not None
    assert best[1][1] < best[0][1]


def test_draws_keep_their_triangles() -> None:
    for name, values in drawn(GIVEN, 256).items():
        number = GIVEN.applications[name[6:]].earns_per_kwh_year if name.startswith("earns:") else GIVEN.numbers[name]
        assert number.low <= values.min() <= values.max() <= number.high
        assert values.mean() == pytest.approx((number.low + number.mid + number.high) / 3, rel=0.01)


def test_of_a_chemistry_without_a_model_only_recycling_is_told() -> None:
    told = worth(pack(chemistry="NCA"), graded(pack(chemistry="NCA"), GIVEN), GIVEN)
    assert "NCA" in told.unknown
    assert told.best == "recycling"
    assert told.residual_paise[0] > 0


def test_recycling_of_a_chemistry_without_a_number_of_its_own_is_wide_and_not_nothing() -> None:
    low, _, high = worth(pack(chemistry="LMO"), graded(pack(chemistry="LMO"), GIVEN), GIVEN).recycling_paise
    assert low < 0 < high
    assert pack(chemistry="NCM622").chemistry == "NMC"


def test_a_bus_that_needs_little_goes_on_and_one_at_its_limit_does_not() -> None:
    easy, hard = pack(needed_kwh=60), pack(needed_kwh=148)
    first, second = (advice(one, graded(one, GIVEN), GIVEN) for one in (easy, hard))
    assert first.best is not None
    assert second.best is not None
    assert first.best.year > second.best.year
    assert first.best.soh < 0.75
    assert second.range_ends is not None
    assert second.range_ends[0] <= 2
    assert [choice.served for choice in second.choices] == sorted((choice.served for choice in second.choices), reverse=True)
    assert "not known (needed_kwh)" in advice(pack(), graded(pack(), GIVEN), GIVEN).text


def test_own_assumptions_replace_single_numbers(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[numbers]\ntest_per_kwh = { mid = 400, source = "offer of 3 May" }\n', encoding="utf-8")
    own = read_assumptions(file)
    assert own.numbers["test_per_kwh"].mid == 400
    assert own.numbers["test_per_kwh"].source == "offer of 3 May"
    assert own.numbers["repack_per_kwh"] == GIVEN.numbers["repack_per_kwh"]
    assert own.changed == ("numbers.test_per_kwh",)


def test_the_shipped_assumptions_are_of_their_schema() -> None:
    schema = json.loads((ROOT / "docs/schemas/second-life-assumptions-1.json").read_text(encoding="utf-8"))
    jsonschema.validate(tomllib.loads(shipped_text()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"limits": {"hot_c": {"value": "warm"}}}, schema)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[numbers", "no TOML"),
        ("[numbers]\nspeed = { mid = 1 }", "is not known"),
        ("[numbers]\ntest_per_kwh = { low = 900 }", "must rise"),
        ("[numbers]\ntest_per_kwh = { mid = nan }", "no number"),
        ("[numbers]\ntest_per_kwh = { price = 3 }", "nothing else"),
        ("[other]\na = 1", "known are numbers"),
        ("currency = 'rupees'", "three letters"),
        ("[applications.boat]\ntext = 'a boat'", "needs text"),
        ("[applications.backup]\nduty = 'sailing'", "there is no duty"),
        ("schema = 'other/1'", "schema must be"),
    ],
)
def test_assumptions_that_cannot_be_are_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(AssumptionsRefused, match=words):
        read_assumptions(file)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ([], "must be an object"),
        ({"pack": "P", "chemistry": "LFP"}, "capacity_kwh is missing"),
        ({"pack": "P", "chemistry": "LFP", "capacity_kwh": "200"}, "must be a number"),
        ({"pack": "P", "chemistry": "LFP", "capacity_kwh": 200, "soh": 80}, "between 0 and 1.2"),
        ({"pack": "P", "chemistry": "LFP", "capacity_kwh": 200, "soh": 0.8, "soh_low": 0.9, "soh_high": 0.95}, "soh must lie between"),
        ({"pack": "P", "chemistry": "LFP", "capacity_kwh": 200, "cells": [{}]}, "cell 1 needs soh"),
        ({"pack": "P", "chemistry": "LFP", "capacity_kwh": 200, "cells": {}}, None),
        ({"pack": "P", "chemistry": "LFP", "capacity_kwh": 200, "life": {}}, "pack_life/1"),
        ({"pack": "P", "chemistry": "LFP", "capacity_kwh": 200, "life": LIFE | {"trips": "many"}}, "no record"),
    ],
)
def test_packs_that_cannot_be_are_refused(entry: object, words: str | None) -> None:
    if words is None:
        assert retired(entry, "here").cells == ()
        return
    with pytest.raises(PackRefused, match=words):
        retired(entry, "here")


def test_the_command_tells_people_and_machines(tmp_path: Path) -> None:
    file = tmp_path / "packs.json"
    file.write_text(json.dumps({"pack": "BUS-1", "chemistry": "NMC", "capacity_kwh": 150, "soh": 0.8, "needed_kwh": 60}), encoding="utf-8")
    found = CliRunner().invoke(battery, ["value", str(file)], env={"COLUMNS": "160"})
    assert found.exit_code == 0
    assert "BUS-1" in found.stdout
    assert "repack_per_kwh" in found.stdout
    out = tmp_path / "mine.toml"
    assert CliRunner().invoke(battery, ["value", "--write-assumptions", str(out)]).exit_code == 0
    assert CliRunner().invoke(battery, ["value", "--write-assumptions", str(out)]).exit_code == 2
    told = json.loads(CliRunner().invoke(battery, ["value", str(file), "--assumptions", str(out), "--json"]).stdout)
    assert told["pack_id"] == "BUS-1"
    assert told["grade"] == TEST_REQUIRED
    assert told["assumptions"]["numbers"]["test_per_kwh"]["mid"] == 300
    assert len(told["value"]["residual_paise"]) == 3
    file.write_text("[", encoding="utf-8")
    assert CliRunner().invoke(battery, ["value", str(file)]).exit_code == 2
    assert CliRunner().invoke(battery, ["value"]).exit_code == 2


@pytest.mark.parametrize(
    "change",
    [
        {"soh": 10**400},
        {"age_years": float("nan")},
        {"life": LIFE | {"equivalent_full_cycles": 10**400}},
        {"life": LIFE | {"hottest_c": float("inf")}},
        {"life": LIFE | {"trips": -3}},
        {"life": LIFE | {"seen_h": float("nan")}},
    ],
)
def test_numbers_that_no_pack_can_have_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(PackRefused):
        pack(**change)


def test_assumptions_beyond_any_money_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(f"[numbers.new_pack_per_kwh]\nlow = 1{'0' * 400}\nmid = 2\nhigh = 3\n")
    with pytest.raises(AssumptionsRefused):
        read_assumptions(tmp_path / "a.toml")
