"""Why only so much: the reason chain has exactly one binding step, whatever the reason."""

from __future__ import annotations

import pytest
from small_yard import NOW, ONE, TWO, SmallYard

from controller.chain import BINDING, reason_chain
from controller.readmodel import ReasonView
from depot import events as ev
from depot.values import Because, ConnectorId


def binding(yard: SmallYard, key: ConnectorId = ONE) -> ReasonView:
    chain = reason_chain(yard.yard, key, NOW)
    assert [r.because for r in chain] == ["vehicle", "charger", "plan", "limit", "told", "measured"]
    (step,) = [r for r in chain if r.binding]
    return step


@pytest.mark.parametrize("because", list(Because))
@pytest.mark.parametrize("running", [True, False])
def test_exactly_one_step_binds(because: Because, running: bool) -> None:
    yard = SmallYard()
    yard.arrive(ONE, "E-1")
    if running:
        yard.session(ONE, power_w=22_000)
    yard.plan({"E-1": (30_000, 30_000)})
    yard.decided({ONE: because}, {ONE: 22_000})
    assert binding(yard).because == BINDING[because]


def test_nothing_decided_yet_and_nobody_there() -> None:
    step = binding(SmallYard())
    assert (step.because, step.level_w, step.detail) == ("vehicle", 0, "no vehicle is announced here")


def test_the_site_limit_says_what_it_leaves() -> None:
    yard = SmallYard()
    yard.arrive(ONE, "E-1")
    yard.session(ONE, power_w=22_000)
    yard.decided({ONE: Because.SITE, TWO: Because.PLAN}, {ONE: 22_000, TWO: 0})
    step = binding(yard)
    assert (step.title, step.level_w) == ("Site limit leaves", 22_000)
    assert step.detail.startswith("200 kW less background")


@pytest.mark.parametrize(
    ("what", "detail"),
    [
        ("held", "E-1 is held: a person stopped its session"),
        ("out", "out of service: cable"),
        ("done", "E-1 has what was announced"),
        ("hungry", "E-1, 60.0 kWh to go"),
    ],
)
def test_what_keeps_the_vehicle_is_said_and_is_zero(what: str, detail: str) -> None:
    yard = SmallYard()
    yard.arrive(ONE, "E-1", kwh=0 if what == "done" else 60)
    if what == "held":
        yard.put(ev.VisitHeld("visit E-1", held=True))
    if what == "out":
        yard.put(ev.ConnectorAvailabilitySet(ONE, False, "cable"))
    yard.decided({ONE: Because.VEHICLE}, {ONE: 0})
    step = binding(yard)
    assert (step.because, step.level_w, step.detail) == ("vehicle", 0, detail)


def test_without_a_plan_and_out_of_the_plan_are_two_things() -> None:
    yard = SmallYard()
    yard.arrive(ONE, "E-1")
    assert reason_chain(yard.yard, ONE, NOW)[2].detail == "no plan: earliest departure first"
    yard.plan({"E-9": (1,)})
    assert reason_chain(yard.yard, ONE, NOW)[2].detail == "nothing in the plan of 22:00:00"
