"""Orders of people: journaled, answered, followed up; tight at once, loose after the journal."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from small_yard import NOW, ONE, TWO, SmallYard, run

from controller import limits
from depot import commands as cmd
from depot import events as ev
from depot.values import ConnectorId, Outcome

Status = cmd.CommandStatus
CABLE: dict[str, Any] = {"actor": "Asha", "reason": "cable"}


def order(yard: SmallYard, command: cmd.Command) -> cmd.CommandResult:
    got: list[cmd.CommandResult] = []

    async def main() -> None:
        got.append(await yard.orders.execute(command))

    run(main())
    return got[0]


def kinds(yard: SmallYard) -> list[str]:
    return [
        type(e.data).__name__ for e in yard.journal.facts if e.actor in ("Asha", "controller") and "Connector" not in type(e.data).__name__
    ]


def limit(yard: SmallYard, scope: str = "") -> int:
    found = limits.binding(yard.loop.limits_in_force(), scope, yard.clock.now())
    assert found is not None
    return found.value


def test_the_same_order_again_changes_nothing_and_gets_the_same_answer() -> None:
    yard = SmallYard()
    command = cmd.SetManualLimit(command_id="c", value_w=90_000, **CABLE)
    first = order(yard, command)
    count = len(yard.journal.facts)
    assert order(yard, command) == first
    assert len(yard.journal.facts) == count
    assert (first.status, first.audit_seq > 0) == (Status.DONE, True)


def test_an_order_from_before_a_restart_is_not_carried_out_twice() -> None:
    yard = SmallYard()
    command = cmd.StopCharging(command_id="c", connector=ONE, **CABLE)
    seq = order(yard, command).audit_seq
    yard.orders._known.clear()  # what a restart forgets
    again = order(yard, command)
    assert (again.message, again.audit_seq) == ("was requested before", seq)


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        ("free", "CP-1/1 reports Available; plug a vehicle in first"),
        ("out", "CP-1/1 is out of service (cable); put it back in service first"),
        ("offline", "CP-1 is offline; check its power and network, then try again"),
    ],
)
def test_a_start_that_cannot_be_says_why(prepare: str, why: str) -> None:
    yard = SmallYard()
    if prepare == "out":
        yard.put(ev.ConnectorAvailabilitySet(ONE, False, "cable"))
    if prepare == "offline":
        yard.chargers.offline.add("CP-1")
    result = order(yard, cmd.StartCharging(command_id="c", connector=ONE, **CABLE))
    assert (result.status, result.message) == (Status.REFUSED, why)
    assert kinds(yard)[-2:] == ["CommandRequested", "CommandFinished"]


def test_unknown_connectors_and_feeders_are_refused_with_a_reason() -> None:
    yard = SmallYard()
    nowhere = order(yard, cmd.StartCharging(command_id="a", connector=ConnectorId("CP-9", 1), **CABLE))
    feeder = order(yard, cmd.SetManualLimit(command_id="b", value_w=1, scope_id="Z", **CABLE))
    assert (nowhere.status, feeder.status) == (Status.REFUSED, Status.REFUSED)
    assert "CP-9" in nowhere.message
    assert feeder.message == "feeder 'Z' is not known; the feeders are A, B"


def test_a_start_without_announcement_makes_a_guest() -> None:
    yard = SmallYard()
    yard.status(ONE, ev.ConnectorStatus.PREPARING)
    result = order(yard, cmd.StartCharging(command_id="c", connector=ONE, **CABLE))
    visit = yard.yard.visit_on(ONE)
    assert result.status is Status.ACCEPTED
    assert visit is not None
    assert visit.announced.vehicle_id == "guest at CP-1/1"
    assert visit.announced.depart_at == NOW + timedelta(hours=8)
    yard.orders.session_changed(ONE, started=False)
    assert yard.orders.recent[-1].result.status is Status.ACCEPTED


def test_a_stop_holds_the_visit_and_a_start_lets_it_go_on() -> None:
    yard = SmallYard()
    yard.arrive(ONE, "E-1")
    yard.session(ONE, power_w=40_000, number=7)
    stopped = order(yard, cmd.StopCharging(command_id="a", connector=ONE, **CABLE))
    visit = yard.yard.visit_on(ONE)
    assert visit is not None
    assert (stopped.status, visit.held, yard.chargers.asked) == (Status.ACCEPTED, True, ["stop CP-1/1 7"])
    yard.put(ev.TransactionStopped(7, ONE, 2_000))
    yard.status(ONE, ev.ConnectorStatus.PREPARING)
    assert order(yard, cmd.StartCharging(command_id="b", connector=ONE, **CABLE)).status is Status.ACCEPTED
    visit = yard.yard.visit_on(ONE)
    assert visit is not None
    assert not visit.held


def test_a_charger_that_does_not_stop_is_told_as_failed() -> None:
    yard = SmallYard()
    yard.arrive(ONE, "E-1")
    yard.session(ONE, power_w=40_000)
    yard.chargers.outcome = Outcome.TIMEOUT
    result = order(yard, cmd.StopCharging(command_id="a", connector=ONE, **CABLE))
    assert result.status is Status.FAILED
    assert "stop it at the charger" in result.message


def test_a_tighter_limit_acts_before_the_journal_and_even_without_it() -> None:
    yard = SmallYard()
    yard.journal.frozen = True
    tight = order(yard, cmd.SetManualLimit(command_id="a", value_w=90_000, **CABLE))
    assert limit(yard) == 90_000
    assert tight.status is Status.ACCEPTED
    assert tight.message == "the limit acts already, and is recorded as soon as the journal writes: the disk is full"
    yard.journal.frozen = False
    assert order(yard, cmd.SetManualLimit(command_id="a", value_w=90_000, **CABLE)).status is Status.DONE
    assert (limit(yard), yard.loop.urgent_limits) == (90_000, {})


def test_limits_that_acted_while_the_journal_was_frozen_are_recorded_by_themselves_and_can_be_lifted() -> None:
    yard = SmallYard()
    yard.journal.frozen = True
    order(yard, cmd.SetManualLimit(command_id="a", value_w=90_000, **CABLE))
    order(yard, cmd.SetManualLimit(command_id="b", value_w=70_000, **CABLE))
    looser = order(yard, cmd.SetManualLimit(command_id="c", value_w=80_000, **CABLE))
    assert (looser.status, limit(yard)) == (Status.REFUSED, 70_000)
    yard.journal.frozen = False

    async def follow() -> None:
        following = asyncio.create_task(yard.orders.run())
        await asyncio.sleep(0.05)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    run(follow())
    assert [e.data.limit.value for e in yard.journal.facts if isinstance(e.data, ev.LimitSet)] == [90_000, 70_000]
    assert [e.actor for e in yard.journal.facts if isinstance(e.data, ev.CommandRequested)] == ["Asha", "Asha"]
    assert (limit(yard), yard.loop.urgent_limits) == (70_000, {})
    assert order(yard, cmd.SetManualLimit(command_id="b", value_w=70_000, **CABLE)).status is Status.DONE
    assert order(yard, cmd.ClearManualLimit(command_id="d", **CABLE)).status is Status.DONE
    assert limit(yard) == 200_000


def test_a_limit_that_acted_ahead_of_the_journal_is_recorded_before_it_is_lifted() -> None:
    yard = SmallYard()
    yard.journal.frozen = True
    order(yard, cmd.SetManualLimit(command_id="a", value_w=90_000, **CABLE))
    yard.journal.frozen = False
    assert order(yard, cmd.ClearManualLimit(command_id="b", **CABLE)).status is Status.DONE
    assert (limit(yard), yard.loop.urgent_limits) == (200_000, {})
    limits_of = [e.data for e in yard.journal.facts if isinstance(e.data, ev.LimitSet | ev.LimitCleared)]
    assert [type(data).__name__ for data in limits_of] == ["LimitSet", "LimitCleared"]


def test_a_looser_limit_waits_for_the_journal() -> None:
    yard = SmallYard()
    order(yard, cmd.SetManualLimit(command_id="a", value_w=90_000, **CABLE))
    yard.journal.frozen = True
    looser = order(yard, cmd.SetManualLimit(command_id="b", value_w=150_000, **CABLE))
    lifted = order(yard, cmd.ClearManualLimit(command_id="c", **CABLE))
    assert (looser.status, lifted.status, limit(yard)) == (Status.REFUSED, Status.REFUSED, 90_000)
    yard.journal.frozen = False
    assert order(yard, cmd.ClearManualLimit(command_id="c", **CABLE)).status is Status.DONE
    assert limit(yard) == 200_000


def test_limits_are_told_in_the_depots_time() -> None:
    yard = SmallYard()
    result = order(yard, cmd.SetManualLimit(command_id="a", value_w=50_000, scope_id="A", until=NOW + timedelta(hours=8), **CABLE))
    assert result.message == "A limited to 50.0 kW until Sat 06:00"
    assert (limit(yard, "A"), limit(yard)) == (50_000, 200_000)


def test_out_of_service_and_back_forgets_that_it_disobeyed() -> None:
    yard = SmallYard()
    yard.put(ev.ConnectorTrustChanged(TWO, ev.TrustLevel.DEFIANT, 1.0))
    order(yard, cmd.SetAvailability(command_id="a", connector=TWO, operative=False, **CABLE))
    assert (yard.yard.state.connector(TWO).operative, yard.yard.state.connector(TWO).inoperative_reason) == (False, "cable")
    order(yard, cmd.SetAvailability(command_id="b", connector=TWO, operative=True, **CABLE))
    facts = yard.yard.state.connector(TWO)
    assert (facts.operative, facts.trust) == (True, ev.TrustLevel.UNPROVEN)
    assert yard.chargers.asked == ["inoperative CP-2/1", "operative CP-2/1"]


def test_an_impossible_stay_is_refused() -> None:
    stay = ev.VisitAnnounced("v", "E-1", NOW, NOW - timedelta(hours=1), 1_000, 60_000)
    result = order(SmallYard(), cmd.AnnounceVisit(command_id="a", visit=stay, **CABLE))
    assert result.status is Status.REFUSED
    assert "before it arrives" in result.message


def test_what_a_carrier_refuses_is_ended_on_record_and_said_again_when_it_is_repeated() -> None:
    yard = SmallYard()
    command = cmd.SetAvailability(command_id="c", connector=ConnectorId("nowhere", 1), operative=False, **CABLE)
    said = order(yard, command)
    assert (said.status, said.audit_seq > 0) == (Status.REFUSED, True)
    ended = [fact.data for fact in yard.journal.facts if isinstance(fact.data, ev.CommandFinished)]
    assert ended == [ev.CommandFinished("c", "refused", said.message)]
    assert "nowhere" in said.message
    count = len(yard.journal.facts)
    assert order(yard, command) == said
    assert len(yard.journal.facts) == count
