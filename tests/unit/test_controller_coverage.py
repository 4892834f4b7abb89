"""Uncovered stations: why, what it costs, where it is shown, and how they come back (invariant 3)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from small_yard import ONE, SmallYard, run

from controller import coverage
from controller.desk import Desk, DeskSettings
from depot import events as ev
from depot.registry import ConnectorSpec, StationSpec
from depot.values import ConnectorId

ALL = ("TxProfile", "TxDefaultProfile", "ChargePointMaxProfile")
GOOD = ev.StationProbed("CP-1", ("W",), ALL, 8, autonomous=False)
TWIN = StationSpec("CP-1", "A", (ConnectorSpec(1, 22_000, 4_140), ConnectorSpec(2, 22_000, 4_140)))


@pytest.mark.parametrize(
    ("probe", "why"),
    [
        (None, ""),
        (GOOD, ""),
        (replace(GOOD, falls_back=True), ""),
        (replace(GOOD, falls_back=False), "not to fall back"),
        (replace(GOOD, purposes=("TxProfile",)), "no default profile"),
        (replace(GOOD, purposes=("TxDefaultProfile", "ChargePointMaxProfile"), max_stack_level=0), "at once"),
        (replace(GOOD, purposes=("TxDefaultProfile",), max_stack_level=1), ""),
        (replace(GOOD, max_stack_level=0), ""),
        (replace(GOOD, max_profiles=3), "holds 3 profiles at once; a limit and a default for each connector are 4"),
        (replace(GOOD, max_profiles=4), ""),
        (replace(GOOD, max_profiles=0), ""),
        (replace(GOOD, max_profiles=1, falls_back=True), ""),  # what was seen weighs more than what it says
    ],
)
def test_why_a_station_is_uncovered(probe: ev.StationProbed | None, why: str) -> None:
    assert (why in coverage.gap(TWIN, probe)) is True
    assert bool(coverage.gap(TWIN, probe)) is bool(why)


def test_no_confirmed_default_is_a_gap_once_it_was_probed() -> None:
    assert coverage.uncovered(TWIN, GOOD, None) == "No default is confirmed there."
    assert coverage.uncovered(TWIN, GOOD, 0) == ""
    assert coverage.uncovered(TWIN, None, None) == ""


class World(SmallYard):
    """The loop does not run: what it would do is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[ev.Event] = []
        self.installs: list[tuple[ConnectorId, int]] = []
        self.loop.note = self._note  # type: ignore[method-assign]
        self.loop.install_default = lambda key, level_w: self.installs.append((key, level_w))  # type: ignore[method-assign]
        self.desk = Desk(self.yard, self.loop, DeskSettings(), replan=lambda _: None)
        self.put(ev.StationBooted("CP-1"), GOOD, ev.DefaultInstalled(ONE, 6_000))
        self.grant = self.yard.grants[ONE]
        self.grant.commissioned, self.grant.default_w = True, 6_000

    def _note(self, event: ev.Event) -> None:
        self.noted.append(event)
        self.put(event)

    def probed(self, **found: object) -> None:
        run(self.desk.probed(replace(GOOD, **found)))  # type: ignore[arg-type]  # the fields by name


def test_a_station_that_does_not_fall_back_is_counted_at_its_rating_at_once_and_shown() -> None:
    world = World()
    assert world.yard.uncovered(ONE) == ""
    world.session(ONE, power_w=10_000)
    now_s = world.clock.now().timestamp()
    assert world.grant.bound_w(now_s) == 10_000
    world.probed(falls_back=False)
    assert world.grant.bound_w(now_s) == 60_000
    assert world.noted == [ev.DefaultInstalled(ONE, None)]
    assert world.yard.uncovered(ONE).startswith("It was seen not to fall back")
    notices = {notice.key: notice for notice in world.views.now().notices}
    assert "counted at 60 kW" in notices["charger_uncovered:CP-1/1"].action
    world.probed(falls_back=False)
    assert world.noted == [ev.DefaultInstalled(ONE, None)], "once"


def test_it_is_counted_at_its_default_again_only_when_that_was_confirmed_anew() -> None:
    world = World()
    world.probed(falls_back=False)
    world.probed(falls_back=True)
    assert world.installs == [(ONE, 6_000)]
    assert world.grant.default_w is None, "asked for, not confirmed"
    assert world.yard.uncovered(ONE) == "No default is confirmed there."


def test_a_schedule_that_differs_is_a_fact_and_a_notice_until_it_agrees() -> None:
    world = World()
    for agrees, detail in ((False, "in 0 s 20 kW"), (False, "in 0 s 20 kW"), (True, ""), (True, "")):
        run(world.desk.compared(ONE, agrees=agrees, detail=detail))
        shown = [notice.key for notice in world.views.now().notices if notice.key.startswith("schedule_differs")]
        assert shown == ([] if agrees else ["schedule_differs:CP-1/1"])
    assert [e.data for e in world.journal.facts if isinstance(e.data, ev.ScheduleCompared)] == [
        ev.ScheduleCompared(ONE, False, "in 0 s 20 kW"),
        ev.ScheduleCompared(ONE, True),
    ]
    run(world.desk.compared(ConnectorId("CP-9", 1), agrees=False, detail=""))


def test_what_was_probed_in_words() -> None:
    assert coverage.in_words(None) == "Not probed yet."
    probe = replace(GOOD, rate_units=("W", "A"), max_periods=24, max_profiles=16, switches_phases=True, composite=True, falls_back=True)
    assert coverage.in_words(probe) == (
        "Takes transaction, default and station profiles in W and A, 9 stack levels, 24 periods a schedule, 16 profiles at once, "
        "switches phases, tells its schedule, falls back to its default."
    )
    assert coverage.in_words(replace(GOOD, purposes=())) == "Takes no profiles, whether it falls back is not known yet."


def test_the_charger_and_its_tile_show_why() -> None:
    world = World()
    world.probed(falls_back=False)
    run(world.desk.compared(ONE, agrees=False, detail="in 0 s 20 kW"))
    view = world.views.charger(str(ONE))
    assert view is not None
    assert view.tile.uncovered == "It was seen not to fall back to its default when a limit expires."
    assert view.differs == "in 0 s 20 kW"
    assert "does not fall back" in view.capabilities
    assert "no default is confirmed" in view.if_silent
