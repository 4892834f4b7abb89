"""Two people: what waits, who may say yes, what is never held up, and what a restart, a time and a no do to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from small_yard import NOW, ONE, SmallYard, run

from controller.approvals import Approvals, Gate, loosens
from controller.audit import entry_of
from controller.settings import Settings, SettingsError
from depot import commands as cmd
from depot import events as ev
from depot.values import Limit, LimitSource, ScopeKind

Status = cmd.CommandStatus
KINDS = frozenset({"SetManualLimit", "ClearManualLimit", "SetAvailability", "StartCharging"})
HOUR = timedelta(hours=1)


class Depot:
    """A yard where these kinds wait."""

    def __init__(self, yard: SmallYard | None = None) -> None:
        self.yard = yard or SmallYard()
        self.orders = self.yard.orders
        self.room = Approvals(self.yard.yard, self.orders)
        self.orders.carriers.update(self.room.commands)
        self.orders.gate = Gate(self.yard.yard, KINDS, HOUR)

    def say(self, kind: type[cmd.Command], actor: str = "Asha", **more: Any) -> cmd.CommandResult:
        got: list[cmd.CommandResult] = []
        more.setdefault("reason", "the utility called")
        more.setdefault("command_id", f"c{len(self.yard.journal.facts)}")

        async def main() -> None:
            got.append(await self.orders.execute(kind(actor=actor, **more)))

        run(main())
        return got[0]

    def look(self) -> None:
        run(self.room.look())

    def limited(self, value_w: int = 50_000) -> None:
        """A manual limit is in force: it was lower than nothing, so it did not wait."""
        assert self.say(cmd.SetManualLimit, value_w=value_w).status is Status.DONE

    def held(self) -> str:
        """Asha asks to lift the limit; it waits."""
        self.limited()
        asked = self.say(cmd.ClearManualLimit)
        assert asked.status is Status.ACCEPTED
        assert "waits for a second person until 23:00" in asked.message
        assert "manual:" in self.yard.journal.state.limits
        return asked.command_id

    @property
    def limits(self) -> set[str]:
        return set(self.yard.journal.state.limits)

    def outcome(self, command_id: str) -> tuple[str, str]:
        data = [e.data for e in self.yard.journal.facts if isinstance(e.data, ev.CommandFinished) and e.data.command_id == command_id]
        assert len(data) == 1
        return data[0].outcome, data[0].message


def test_a_second_person_lets_it_be_carried_out_and_both_names_stand_in_the_trail() -> None:
    depot = Depot()
    held = depot.held()
    result = depot.say(cmd.ApproveCommand, "Bina", approval_id=held)
    assert result.status is Status.DONE
    assert depot.limits == set()
    assert depot.yard.journal.state.approvals == {}
    outcome, message = depot.outcome(held)
    assert outcome == "done"
    assert "asked by Asha, approved by Bina" in message
    trail = [entry for e in depot.yard.journal.facts if (entry := entry_of(e)) is not None and entry.command_id == held]
    assert [(e.actor, e.outcome) for e in trail] == [("Asha", "requested"), ("Bina", "approved"), ("controller", "done")]


def test_nobody_approves_what_he_asked_for() -> None:
    depot = Depot()
    held = depot.held()
    for name in ("Asha", "ASHA"):
        result = depot.say(cmd.ApproveCommand, name, approval_id=held)
        assert result.status is Status.REFUSED
        assert "second person" in result.message
    assert depot.limits == {"manual:"}


def test_a_no_ends_it_and_so_does_the_asker() -> None:
    depot = Depot()
    held = depot.held()
    assert "needs a reason" in depot.say(cmd.RefuseCommand, "Bina", approval_id=held, reason="").message
    depot.say(cmd.RefuseCommand, "Bina", approval_id=held, reason="the utility says otherwise")
    assert depot.outcome(held) == ("refused", "Bina said no: the utility says otherwise")
    assert depot.say(cmd.ApproveCommand, "Chand", approval_id=held).status is Status.REFUSED
    again = depot.say(cmd.ClearManualLimit).command_id
    depot.say(cmd.RefuseCommand, "Asha", approval_id=again, reason="a mistake")
    assert depot.outcome(again)[1].startswith("Asha took it back")
    assert depot.limits == {"manual:"}


def test_it_lapses() -> None:
    depot = Depot()
    held = depot.held()
    depot.yard.clock.at += HOUR - timedelta(seconds=1)
    depot.look()
    assert held in depot.yard.journal.state.approvals
    depot.yard.clock.at += timedelta(seconds=1)
    assert "lapsed" in depot.say(cmd.ApproveCommand, "Bina", approval_id=held).message
    depot.look()
    assert depot.outcome(held) == ("refused", "nobody approved it in time")
    assert depot.limits == {"manual:"}


def test_it_stands_over_a_restart() -> None:
    depot = Depot()
    held = depot.held()
    depot.orders._known.clear()  # what a restart forgets
    depot.orders.recent.clear()
    again = Depot(depot.yard)
    again.look()
    assert again.say(cmd.ApproveCommand, "Bina", approval_id=held).status is Status.DONE
    assert again.limits == set()


def test_killed_between_yes_and_deed_it_is_not_carried_out_and_says_so() -> None:
    depot = Depot()
    held = depot.held()
    depot.yard.journal.put(ev.NewEvent(ev.ApprovalGranted(held), depot.yard.clock.now(), actor="Bina"))
    again = Depot(depot.yard)
    again.look()
    outcome, message = again.outcome(held)
    assert outcome == "failed"
    assert "ask again" in message
    assert again.limits == {"manual:"}


def test_what_makes_it_safer_never_waits() -> None:
    depot = Depot()
    depot.limited(50_000)
    depot.limited(40_000)
    assert depot.say(cmd.SetAvailability, connector=ONE, operative=False).status is Status.DONE
    assert depot.say(cmd.StopCharging, connector=ONE).status is Status.DONE
    assert depot.say(cmd.SetAvailability, connector=ONE, operative=True).status is Status.ACCEPTED
    assert not depot.yard.journal.state.connector(ONE).operative
    assert depot.say(cmd.SetManualLimit, value_w=60_000).status is Status.ACCEPTED
    assert depot.yard.journal.state.limits["manual:"].value == 40_000


def test_a_lower_limit_that_ends_sooner_acts_at_once_and_waits_for_what_comes_after() -> None:
    depot = Depot()
    depot.limited(50_000)
    asked = depot.say(cmd.SetManualLimit, value_w=30_000, until=NOW + timedelta(hours=2))
    assert asked.status is Status.ACCEPTED

    def binds() -> int:
        return min(x.value for x in depot.yard.loop.limits_in_force() if x.limit_id == "manual:")

    assert binds() == 30_000
    assert depot.yard.journal.state.limits["manual:"].until is None
    depot.say(cmd.RefuseCommand, "Bina", approval_id=asked.command_id)
    assert binds() == 50_000


def test_a_start_that_waits_is_not_done_because_another_began() -> None:
    depot = Depot()
    depot.yard.status(ONE, ev.ConnectorStatus.PREPARING)
    held = depot.say(cmd.StartCharging, connector=ONE).command_id
    depot.orders.session_changed(ONE, started=True)
    assert held in depot.yard.journal.state.approvals
    assert all(e.data.command_id != held for e in depot.yard.journal.facts if isinstance(e.data, ev.CommandFinished))


def test_what_was_approved_and_cannot_be_says_why() -> None:
    depot = Depot()
    held = depot.say(cmd.StartCharging, connector=ONE).command_id
    result = depot.say(cmd.ApproveCommand, "Bina", approval_id=held)
    assert result.status is Status.FAILED
    assert depot.outcome(held)[0] == "refused"


def limit(value_w: int, hours: float | None) -> Limit:
    until = None if hours is None else NOW + timedelta(hours=hours)
    return Limit("manual:", ScopeKind.SITE, value_w, LimitSource.MANUAL, NOW, until=until)


@pytest.mark.parametrize(
    ("manual", "value_w", "hours", "waits"),
    [
        (None, 50_000, None, False),
        (None, 50_000, 2, False),
        (limit(50_000, None), 50_000, None, False),
        (limit(50_000, None), 40_000, None, False),
        (limit(50_000, None), 40_000, 2, True),
        (limit(50_000, 2), 40_000, 3, False),
        (limit(50_000, 2), 50_000, 1, True),
        (limit(50_000, 2), 50_001, None, True),
    ],
)
def test_which_limits_loosen(manual: Limit | None, value_w: int, hours: float | None, waits: bool) -> None:
    until = None if hours is None else NOW + timedelta(hours=hours)
    assert loosens(cmd.SetManualLimit(command_id="c", actor="Asha", value_w=value_w, until=until), manual) is waits


RAW: dict[str, Any] = {
    "depot": {"id": "d", "contract_kw": 100, "failsafe_kw": 50, "worst_background_kw": 10},
    "feeder": [{"id": "F", "rating_kw": 100}],
}


def test_settings_name_only_what_can_wait() -> None:
    assert Settings.of(RAW | {"approval": {"commands": ["ResetPack"]}}).approval.commands == ("ResetPack",)
    for name in ("StopCharging", "ApproveCommand", "RegisterMandate", "resetpack"):
        with pytest.raises(SettingsError, match="cannot be made to wait"):
            Settings.of(RAW | {"approval": {"commands": [name]}})


def test_a_write_off_above_the_limit_waits_and_one_without_an_amount_too() -> None:
    depot = Depot()
    depot.orders.gate = Gate(depot.yard.yard, frozenset(), HOUR, write_off_alone_paise=1_000_00)
    for amount, waits in ((1_000_00, False), (1_000_01, True), (None, True)):
        told = cmd.WriteOffBill(command_id="w", actor="Asha", reason="moved away", session_id="s1", amount_paise=amount)
        assert (depot.orders.gate(told, None) is not None) is waits, amount
    refund = cmd.RefundBill(command_id="r", actor="Asha", reason="meter", session_id="s1", amount_paise=9_000_00)
    assert depot.orders.gate(refund, None) is None
