"""Alarms: the life cycle of ISA-18.2, delays, chatter, floods, shelves; the desk over a yard; a restart; a frozen journal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_yard import NOW, ONE, SmallYard, run

from controller import alarms as rules
from controller.alarm_desk import AlarmDesk
from controller.alarm_view import AlarmsView
from controller.alarms import KINDS, Condition, Timers, decide, flooded, may_shelve
from depot import alarms as al
from depot import commands as cmd
from depot import events as ev
from depot.alarms import Alarm, AlarmState, Shelf
from depot.fold.protection import alarms_after
from depot.readings import LinkReading

KEY = "meter_silent:"
METER = Condition("meter_silent")
OFFLINE = Condition("charger_offline", "CP-1/1")
S = timedelta(seconds=1)
WATCHED = frozenset(KINDS)


def alarm(**more: Any) -> Alarm:
    return Alarm(KEY, "meter_silent", "", "Site meter silent", "Check it.", 1, NOW, **more)


def state_of(alarms: al.Alarms, key: str = KEY) -> str:
    return alarms[key].state.value if key in alarms else "normal"


# -- life cycle ---------------------------------------------------------------------------------------------------------

RAISE, CLEAR, ACK = ev.AlarmRaised(KEY, "meter_silent", "", "t", "a", 1), ev.AlarmCleared(KEY), ev.AlarmAcknowledged(KEY)
SHELVE, OUT, BACK = ev.AlarmShelved(KEY, NOW + 60 * S, "known"), ev.AlarmShelved(KEY, None, "repair"), ev.AlarmUnshelved(KEY)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ([RAISE], "unacknowledged"),
        ([RAISE, ACK], "acknowledged"),
        ([RAISE, ACK, CLEAR], "normal"),
        ([RAISE, CLEAR], "cleared"),
        ([RAISE, CLEAR, ACK], "normal"),
        ([RAISE, CLEAR, RAISE], "unacknowledged"),
        ([RAISE, ACK, RAISE], "acknowledged"),
        ([RAISE, ACK, CLEAR, RAISE], "unacknowledged"),
        ([RAISE, SHELVE], "shelved"),
        ([RAISE, OUT], "out_of_service"),
        ([RAISE, SHELVE, CLEAR], "shelved"),
        ([RAISE, SHELVE, ACK, BACK], "unacknowledged"),
        ([RAISE, ACK, SHELVE, BACK], "unacknowledged"),
        ([RAISE, SHELVE, CLEAR, BACK], "normal"),
        ([RAISE, SHELVE, CLEAR, RAISE, BACK], "unacknowledged"),
        ([RAISE, SHELVE, OUT], "out_of_service"),
        ([ACK], "normal"),
        ([CLEAR, SHELVE, BACK], "normal"),
    ],
)
def test_isa_18_2_states(facts: list[ev.Event], state: str) -> None:
    alarms: al.Alarms = {}
    for fact in facts:
        alarms = alarms_after(alarms, fact, actor="omar", at=NOW)
    assert state_of(alarms) == state


def test_a_cleared_alarm_that_comes_again_is_counted() -> None:
    alarms: al.Alarms = {}
    for fact in (RAISE, CLEAR, RAISE, CLEAR, RAISE):
        alarms = alarms_after(alarms, fact, actor="controller", at=NOW)
    assert alarms[KEY].times == 3


@given(st.lists(st.sampled_from([RAISE, CLEAR, ACK, SHELVE, OUT, BACK]), max_size=40))
@settings(max_examples=300, deadline=None)
def test_an_active_alarm_is_never_lost_whatever_people_do(facts: list[ev.Event]) -> None:
    """While the condition holds, the alarm stands in some state; only clearing ends it."""
    alarms: al.Alarms = {}
    holds = False
    for fact in facts:
        alarms = alarms_after(alarms, fact, actor="omar", at=NOW)
        holds = holds if fact not in (RAISE, CLEAR) else fact is RAISE
        if holds:
            assert alarms[KEY].active
        elif KEY in alarms:
            assert not alarms[KEY].active
            assert state_of(alarms) in ("cleared", "shelved", "out_of_service")


# -- when they begin and end --------------------------------------------------------------------------------------------


@dataclass
class Clockwork:
    """decide(), second by second, folded at once."""

    at: datetime = NOW
    alarms: al.Alarms = field(default_factory=dict)
    timers: Timers = field(default_factory=Timers)
    facts: list[ev.Event] = field(default_factory=list)

    def step(self, *conditions: Condition, seconds: int = 1, watched: frozenset[str] = WATCHED) -> str:
        for _ in range(seconds):
            facts, self.timers = decide(self.alarms, {c.key: c for c in conditions}, watched, self.timers, self.at)
            for fact in facts:
                self.alarms = alarms_after(self.alarms, fact, actor="controller", at=self.at)
            self.facts += facts
            self.at += S
        return " ".join(f"{key}={alarm.state.value}" for key, alarm in self.alarms.items())


def test_a_condition_is_raised_after_its_delay_and_not_twice() -> None:
    clock = Clockwork()
    assert clock.step(OFFLINE, seconds=60) == ""
    assert clock.step(OFFLINE, seconds=100) == "charger_offline:CP-1/1=unacknowledged"
    assert [type(fact) for fact in clock.facts] == [ev.AlarmRaised]


def test_a_condition_that_is_gone_before_its_delay_is_no_alarm() -> None:
    clock = Clockwork()
    for _ in range(5):
        clock.step(OFFLINE, seconds=50)
        clock.step(seconds=2)
    assert clock.facts == []


def test_an_alarm_clears_after_its_delay() -> None:
    clock = Clockwork()
    clock.step(METER, seconds=10)
    assert clock.step(seconds=30) == f"{KEY}=unacknowledged"
    assert clock.step(METER, seconds=1) == f"{KEY}=unacknowledged"
    assert clock.step(seconds=31) == f"{KEY}=cleared"


def test_chatter_is_held() -> None:
    """What comes and goes for an hour is a handful of alarms, not sixty."""
    clock = Clockwork()
    for _ in range(60):
        clock.step(METER, seconds=20)
        clock.step(seconds=40)
    raised = [fact for fact in clock.facts if isinstance(fact, ev.AlarmRaised)]
    assert len(raised) == rules.CHATTER_TIMES


def test_a_silent_source_clears_nothing() -> None:
    clock = Clockwork()
    clock.step(METER, seconds=10)
    assert clock.step(seconds=600, watched=WATCHED - {"meter_silent"}) == f"{KEY}=unacknowledged"


def test_what_is_suppressed_by_design_is_not_raised_and_is_cleared() -> None:
    clock = Clockwork()
    hidden = Condition("charger_offline", "CP-1/1", suppressed_by="its charger is out of service")
    assert clock.step(hidden, seconds=120) == ""
    clock.step(OFFLINE, seconds=70)
    clock.step(hidden)
    assert clock.facts[-1] == ev.AlarmCleared("charger_offline:CP-1/1", "suppressed: its charger is out of service")


def test_a_shelf_ends_by_itself() -> None:
    clock = Clockwork()
    clock.step(METER, seconds=10)
    clock.alarms = al.shelved(clock.alarms, KEY, Shelf("omar", "known", clock.at, clock.at + 20 * S))
    assert clock.step(METER, seconds=20) == f"{KEY}=shelved"
    assert clock.step(METER) == f"{KEY}=unacknowledged"


def test_an_alarm_that_this_version_does_not_know_ends() -> None:
    clock = Clockwork(alarms={"old:": Alarm("old:", "old", "", "t", "a", 2, NOW, acknowledged_by="omar")})
    assert clock.step() == ""


def test_there_is_a_most_of_alarms() -> None:
    clock = Clockwork()
    clock.step(*(Condition("unknown_station", f"S{k}") for k in range(rules.MOST_ALARMS + 50)))
    assert len(clock.alarms) == rules.MOST_ALARMS


def test_a_flood_begins_above_ten_in_ten_minutes_and_ends_below_five() -> None:
    came = [NOW + k * 10 * S for k in range(11)]
    assert not flooded(came[:10], NOW + 100 * S, was=False)
    assert flooded(came, NOW + 100 * S, was=False)
    assert flooded(came, NOW + 600 * S, was=True)
    assert not flooded(came, NOW + 665 * S, was=True)


def test_what_may_be_shelved() -> None:
    hour = timedelta(hours=1)
    assert may_shelve("meter_silent", 1, AlarmState.ACKNOWLEDGED, hour) is None
    assert "1 h at most" in (may_shelve("meter_silent", 1, AlarmState.ACKNOWLEDGED, 2 * hour) or "")
    assert "out of service" in (may_shelve("meter_silent", 1, AlarmState.ACKNOWLEDGED, None) or "")
    assert may_shelve("charger_faulted", 2, AlarmState.ACKNOWLEDGED, None) is None
    assert "12 h at most" in (may_shelve("charger_faulted", 2, AlarmState.ACKNOWLEDGED, 13 * hour) or "")
    assert "its cause" in (may_shelve("pack_tripped", 1, AlarmState.ACKNOWLEDGED, hour) or "")
    assert may_shelve("charger_faulted", 2, AlarmState.ACKNOWLEDGED, timedelta(0)) is not None


# -- the desk -----------------------------------------------------------------------------------------------------------


@dataclass
class Watcher:
    """A source that says what a test wants."""

    held: list[Condition] | None = field(default_factory=list)
    kinds: frozenset[str] = frozenset({"meter_silent", "audit_broken", "pack_tripped"})
    broken: bool = False

    def conditions(self, now: datetime) -> Iterable[Condition] | None:
        if self.broken:
            raise RuntimeError("cannot look")
        return self.held


class Depot:
    def __init__(self, yard: SmallYard | None = None) -> None:
        self.yard = yard or SmallYard()
        self.watcher = Watcher()
        self.desk = AlarmDesk(self.yard.yard, [self.watcher])
        self.yard.orders.carriers.update(self.desk.commands)

    def look(self, seconds: int = 1) -> None:
        async def main() -> None:
            for _ in range(seconds):
                await self.desk.look()
                self.yard.clock.at += S

        run(main())

    def say(self, kind: type[cmd.Command], **more: Any) -> cmd.CommandResult:
        got: list[cmd.CommandResult] = []
        more.setdefault("reason", "known")

        async def main() -> None:
            got.append(await self.yard.orders.execute(kind(command_id=f"c{len(self.yard.journal.facts)}", actor="omar", **more)))

        run(main())
        return got[0]

    def view(self) -> AlarmsView:
        got: list[Any] = []

        async def main() -> None:
            got.append(await self.desk.views[AlarmsView]({}))

        run(main())
        view = got[0]
        assert isinstance(view, AlarmsView)
        return view

    def states(self) -> dict[str, str]:
        return {row.key: row.state for row in self.view().rows}


def test_a_person_acknowledges_shelves_and_takes_back() -> None:
    depot = Depot()
    depot.watcher.held = [METER]
    depot.look(10)
    assert depot.states() == {KEY: "unacknowledged"}
    assert depot.view().counts.worst == 1
    assert depot.say(cmd.AcknowledgeAlarms, keys=(KEY, "gone:")).status is cmd.CommandStatus.DONE
    (row,) = depot.view().rows
    assert (row.state, row.acknowledged_by) == ("acknowledged", "omar")
    assert "nothing was left" in depot.say(cmd.AcknowledgeAlarms, keys=(KEY,)).message
    assert "at most" in depot.say(cmd.ShelveAlarm, key=KEY, minutes=90).message
    assert "needs a reason" in depot.say(cmd.ShelveAlarm, key=KEY, minutes=30, reason="").message
    assert depot.say(cmd.ShelveAlarm, key=KEY, minutes=30).status is cmd.CommandStatus.DONE
    assert depot.view().counts.shelved == 1
    assert depot.view().rows[0].reason == "known"
    depot.say(cmd.UnshelveAlarm, key=KEY)
    assert depot.states() == {KEY: "unacknowledged"}
    assert depot.say(cmd.ShelveAlarm, key="gone:", minutes=5).status is cmd.CommandStatus.REFUSED


def test_after_a_restart_alarms_stand_and_are_not_raised_again() -> None:
    depot = Depot()
    depot.watcher.held = [METER]
    depot.look(10)
    depot.say(cmd.AcknowledgeAlarms, keys=(KEY,))
    again = Depot(depot.yard)
    again.watcher.held = None
    again.look(100)
    assert again.states() == {KEY: "acknowledged"}
    again.watcher.held = [METER]
    again.look(100)
    again.watcher.held = []
    again.look(40)
    assert again.states() == {}
    raised = [e for e in depot.yard.journal.facts if isinstance(e.data, ev.AlarmRaised)]
    assert len(raised) == 1


def test_while_the_journal_is_frozen_alarms_are_shown_and_recorded_later() -> None:
    depot = Depot()
    depot.yard.journal.frozen = True
    depot.watcher.held = [METER]
    depot.look(10)
    view = depot.view()
    assert (view.rows[0].state, view.recorded, depot.yard.yard.state.alarms) == ("unacknowledged", False, {})
    at = view.rows[0].raised_at
    depot.yard.journal.frozen = False
    depot.look()
    assert depot.yard.yard.state.alarms[KEY].raised_at == at
    assert depot.view().recorded
    assert sum(isinstance(e.data, ev.AlarmRaised) for e in depot.yard.journal.facts) == 1


def test_a_source_that_breaks_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    depot = Depot()
    other = Watcher([Condition("audit_broken")], frozenset({"audit_broken"}))
    depot.desk.sources.append(other)
    depot.watcher.held = [METER]
    depot.look(10)
    depot.watcher.broken = True
    depot.look(100)
    assert set(depot.states()) == {KEY, "audit_broken:"}
    assert sum("can't say which conditions hold" in line.message for line in caplog.records) == 1


def test_a_flood_is_said_and_counted() -> None:
    depot = Depot()
    depot.watcher.held = [Condition("pack_tripped", f"BUS-{k}/p1") for k in range(12)]
    depot.look(2)
    view = depot.view()
    assert (view.flood, view.raised_10_min, view.raised_24_h) == (True, 12, 12)
    depot.look(700)
    assert not depot.view().flood


def test_the_notices_are_its_first_source() -> None:
    """Station CP-1 is offline: a notice at once, an alarm after a minute; out of service: suppressed by design."""
    yard = SmallYard()
    yard.yard.links["CP-1"] = LinkReading("CP-1", False, NOW, NOW)
    desk = AlarmDesk(yard.yard, [yard.views.board])

    async def minute() -> None:
        for _ in range(70):
            yard.views.now()
            await desk.look()
            yard.clock.at += S

    run(minute())
    assert "charger_offline:CP-1/1" in desk.alarms
    assert yard.views.now().alarms.unacknowledged >= 1
    yard.put(ev.ConnectorAvailabilitySet(ONE, False, "repair"))
    run(minute())
    assert not desk.alarms["charger_offline:CP-1/1"].active
    assert desk.seen["charger_offline:CP-1/1"].suppressed_by == "its charger is out of service"
    assert all(notice.key != "charger_offline:CP-1/1" for notice in yard.views.now().notices)


def test_the_manual_shows_every_alarm() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "alarms.md").read_text(encoding="utf-8")
    match = re.search(r"<!-- alarms: made by [^\n]* -->\n(.*?)<!-- /alarms -->", page, re.DOTALL)
    assert match, "docs/alarms.md has lost its markers"
    assert match[1] == rules.describe(), "docs/alarms.md is not what controller.alarms.describe() says"


def test_every_alarm_is_rationalised() -> None:
    for kind in KINDS.values():
        assert 1 <= kind.priority <= 3
        assert kind.respond_min > 0
        for sentence in (kind.meaning, kind.consequence, kind.action):
            assert sentence.endswith(".")
            assert len(sentence) < 160
