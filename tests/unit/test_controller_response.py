"""The response to a trip, as a table and as steps: what each cause asks for, when a step is confirmed, late, escalated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bms_bridge.verdicts import Cause
from controller import response, response_steps
from controller.neighbours import ByName
from controller.response import ALARMS, CLASSES, HOTTER, RESPONSES, Class, graver, response_of, together, worse_by
from controller.response_steps import STEPS, Proof, StepName, follow, needed
from depot.emergency import StepState
from depot.outputs import OutputKind

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_cause_has_its_place_in_the_table() -> None:
    assert set(CLASSES) == set(Cause) - {Cause.BMS_ALARM, Cause.JOURNAL}, "a new cause must be given a class, here and in docs/incidents.md"


def test_over_temperature_stops_and_keeps_the_supply_that_cools_the_bus() -> None:
    found = response_of("over_temperature", {"hottest_c": "61.2", "limit_c": "60"})
    assert (found.isolates, found.neighbours, found.evacuates) == (False, False, False)
    assert found.moves == {OutputKind.VENTILATION, OutputKind.BEACON}


@pytest.mark.parametrize("cause", ["runaway", "smoke", "gas", "pressure", "state_of_safety"])
def test_fire_gets_everything(cause: str) -> None:
    found = response_of(cause, {})
    assert (found.isolates, found.neighbours, found.evacuates) == (True, True, True)
    assert OutputKind.SIREN in found.moves


def test_an_insulation_fault_is_isolated_and_nobody_is_sent_out() -> None:
    found = response_of("insulation", {})
    assert (found.isolates, found.evacuates) == (True, False)


@pytest.mark.parametrize("cause", ["sensors_lost", "over_time"])
def test_lost_sensors_and_time_stop_and_do_no_more(cause: str) -> None:
    found = response_of(cause, {})
    assert found == RESPONSES[Class.STOP]
    assert not any((found.isolates, found.moves, found.neighbours, found.evacuates))


def test_heat_beyond_the_trip_is_isolated_whatever_the_cause() -> None:
    assert response_of("over_temperature", {"hottest_c": "80.0"}).isolates
    assert not response_of("over_temperature", {"hottest_c": "79.9"}).isolates
    assert not response_of("over_time", {"hottest_c": "not a number"}).isolates


@pytest.mark.parametrize(
    ("cause", "evidence", "grade"),
    [
        ("bms_alarm", {"alarms": "cell_over_voltage"}, Class.STOP),
        ("bms_alarm", {"alarms": "over_temperature, thermal_event"}, Class.FIRE),
        ("bms_alarm", {"alarms": "short_circuit"}, Class.ISOLATE),
        ("bms_alarm", {}, Class.STOP),
        ("journal", {"journal": "runaway"}, Class.FIRE),
        ("journal", {"journal": "over_temperature"}, Class.HEAT),
        ("journal", {"journal": "journal"}, Class.ISOLATE),
        ("journal", {}, Class.ISOLATE),
        ("damaged_latch", {}, Class.ISOLATE),
        ("invented_later", {}, Class.ISOLATE),
    ],
)
def test_what_evidence_says_counts(cause: str, evidence: dict[str, str], grade: Class) -> None:
    assert response_of(cause, evidence).grade is grade


def test_the_gravest_of_several_counts() -> None:
    heat, fire = response_of("over_temperature", {}), response_of("smoke", {})
    assert together([heat, fire, heat]) == fire
    assert graver(fire, heat)
    assert not graver(heat, heat)


def test_a_tripped_pack_that_gets_worse() -> None:
    assert worse_by((79.9, None, 70.0), ("over_temperature",)) == []
    assert worse_by((80.0, 40.0), ())[0][0] == HOTTER
    assert worse_by((215.0, 40.0), ()) == [], "a code for not available is no temperature"
    assert [cause for cause, _ in worse_by((30.0,), ("thermal_event", "sensor_fault"))] == ["thermal_event"]
    assert response_of(HOTTER, {}).grade is Class.ISOLATE
    assert {response_of(name, {}).grade for name in ALARMS} == {Class.FIRE, Class.ISOLATE, Class.HEAT}


def test_a_step_is_confirmed_in_time_or_escalated_and_then_late() -> None:
    waiting = follow(None, Proof(False, "goes on"), began=NOW, limit_s=10, now=NOW + timedelta(seconds=9.9))
    assert waiting.state is StepState.WAITING
    confirmed = follow(waiting, Proof(True, "stopped"), began=NOW, limit_s=10, now=NOW + timedelta(seconds=9.95))
    assert (confirmed.state, confirmed.took_s) == (StepState.CONFIRMED, 9.95)
    assert follow(confirmed, Proof(False), began=NOW, limit_s=10, now=NOW + timedelta(hours=1)) == confirmed, "what happened, happened"
    escalated = follow(waiting, Proof(False, "goes on"), began=NOW, limit_s=10, now=NOW + timedelta(seconds=10))
    assert escalated.state is StepState.ESCALATED
    later = follow(escalated, Proof(False, "still"), began=NOW, limit_s=10, now=NOW + timedelta(seconds=30))
    assert (later.state, later.at, later.detail) == (StepState.ESCALATED, escalated.at, "still")
    late = follow(later, Proof(True, "at last"), began=NOW, limit_s=10, now=NOW + timedelta(seconds=31))
    assert (late.state, late.took_s) == (StepState.LATE, 31.0)
    absent = follow(None, Proof(None, "no outputs"), began=NOW, limit_s=10, now=NOW)
    assert absent.state is StepState.NOT_THERE
    assert follow(absent, Proof(True), began=NOW, limit_s=10, now=NOW).state is StepState.CONFIRMED


def test_a_response_has_the_steps_that_it_asks_for() -> None:
    def steps(cause: str) -> list[StepName]:
        return [step for step in STEPS if needed(step, response_of(cause, {}))]

    assert steps("over_time") == [StepName.STOP, StepName.OUT_OF_SERVICE, StepName.NOTIFICATION]
    assert steps("over_temperature") == [StepName.STOP, StepName.OUT_OF_SERVICE, StepName.WARNING, StepName.NOTIFICATION]
    assert steps("gas") == list(StepName)


@pytest.mark.parametrize(
    ("bay", "beside"),
    [("B2", ["B1", "B10"]), ("B1", ["B2"]), ("B10", ["B2"]), ("Hall 3", ["B10"])],
    ids=["middle", "first", "last", "strange"],
)
def test_neighbours_by_name_as_a_person_counts(bay: str, beside: list[str]) -> None:
    assert [neighbour.bay for neighbour in ByName().of(bay, ["B10", "B1", "B2"])] == beside


def test_the_manual_shows_the_table_and_the_steps() -> None:
    page = (DOCS / "incidents.md").read_text(encoding="utf-8")
    assert f"<!-- responses -->\n{response.describe()}<!-- /responses -->" in page
    assert f"<!-- steps -->\n{response_steps.describe()}<!-- /steps -->" in page
