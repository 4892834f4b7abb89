"""Assumptions of residual values in the core: changed by a person, checked, kept over a restart, set back, reckoned with."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from lake_kit import DEPOT
from small_yard import SmallYard

import controller
from bms_bridge.lake.schema import micros
from bms_bridge.second_life.assumptions import Limit, Number, bounds_of, named, shipped
from controller.assumptions_room import AssumptionsRoom, in_force
from controller.assumptions_view import AssumptionRow, AssumptionsView
from controller.clock import SystemClock
from controller.codec import EventCodec, decode_state, encode_state
from controller.journal import SqlJournal
from controller.lake_facts import JournalFacts
from depot import commands as cmd
from depot import events as ev
from depot.value_assumptions import AssumedNumber
from depot.values import InvalidValue
from storage import Store

BASE = shipped()
OFFER = AssumedNumber(100, 180, 260, "offer of 3 May")


def made(small: SmallYard) -> AssumptionsRoom:
    room = AssumptionsRoom(small.yard, BASE)
    small.orders.carriers.update(room.commands)
    return room


def change(small: SmallYard, name: str, number: AssumedNumber | None, reason: str = "an offer", key: int = 1) -> cmd.CommandResult:
    command = cmd.ChangeValueAssumption(command_id=f"c{key}", actor="Meera", reason=reason, name=name, number=number)
    return asyncio.run(small.orders.execute(command))


def row(room: AssumptionsRoom, name: str) -> AssumptionRow:
    view = asyncio.run(room.views[AssumptionsView]({}))
    assert isinstance(view, AssumptionsView)
    return next(one for one in view.rows if one.name == name)


def test_a_change_counts_and_says_who_made_it_until_it_is_set_back() -> None:
    small = SmallYard()
    room = made(small)
    assert row(room, "numbers.test_per_kwh").origin == "shipped"
    assert change(small, "numbers.test_per_kwh", OFFER).status is cmd.CommandStatus.DONE
    found = row(room, "numbers.test_per_kwh")
    assert (found.mid, found.source, found.origin, found.changed_by, found.reason) == (180, "offer of 3 May", "person", "Meera", "an offer")
    assert found.before == (150, 300, 600)
    assert "already" in change(small, "numbers.test_per_kwh", OFFER, key=2).message
    assert decode_state(encode_state(small.journal.state)).value_assumptions == small.yard.state.value_assumptions
    asked = next(e for e in small.journal.facts if isinstance(e.data, ev.CommandRequested))
    assert asked.data.detail["value"] == "100, 180, 260"  # type: ignore[attr-defined]
    assert change(small, "numbers.test_per_kwh", None, key=3).status is cmd.CommandStatus.DONE
    assert (row(room, "numbers.test_per_kwh").mid, small.yard.state.value_assumptions) == (300, {})


@pytest.mark.parametrize(
    ("name", "number", "words"),
    [
        ("numbers.none", OFFER, "no assumption"),
        ("numbers.warranty_share", AssumedNumber(0.1, 0.2, 1.5, "x"), "within 0 and 1"),
        ("limits.daily_soh", AssumedNumber(0.7, 0.75, 0.8, "x"), "one number"),
        ("limits.daily_soh", AssumedNumber(0.55, 0.55, 0.55, "x"), "must rise"),
        ("applications.backup.earns", AssumedNumber(-5, 1, 2, "x"), "within 0"),
    ],
)
def test_what_cannot_be_is_refused(name: str, number: AssumedNumber, words: str) -> None:
    small = SmallYard()
    made(small)
    result = change(small, name, number)
    assert result.status is cmd.CommandStatus.REFUSED
    assert words in result.message
    assert small.yard.state.value_assumptions == {}


def test_a_change_needs_a_reason_and_numbers_that_rise() -> None:
    small = SmallYard()
    made(small)
    assert change(small, "numbers.test_per_kwh", OFFER, reason=" ").status is cmd.CommandStatus.REFUSED
    for wrong in ((3, 2, 1), (float("nan"), 1, 2), (0, 1, float("inf"))):
        with pytest.raises(InvalidValue, match="rise"):
            AssumedNumber(*wrong, "x")
    with pytest.raises(InvalidValue, match="where it is from"):
        AssumedNumber(1, 2, 3, " ")


def test_setting_one_edge_back_may_not_cross_another_that_was_changed() -> None:
    small = SmallYard()
    made(small)
    change(small, "limits.vehicle_soh", AssumedNumber(0.9, 0.9, 0.9, "x"))
    change(small, "limits.daily_soh", AssumedNumber(0.85, 0.85, 0.85, "x"), key=2)
    result = change(small, "limits.vehicle_soh", None, key=3)
    assert result.status is cmd.CommandStatus.REFUSED
    assert "daily_soh would not fit any more" in result.message
    assert change(small, "limits.vehicle_soh", AssumedNumber(0.95, 0.95, 0.95, "x"), key=4).status is cmd.CommandStatus.DONE
    kept = {name: one.number for name, one in small.yard.state.value_assumptions.items()}
    found, lost = in_force(BASE, kept)
    assert (found.limits["daily_soh"].value, found.limits["vehicle_soh"].value, lost) == (0.85, 0.95, {})


def test_every_assumption_can_be_changed_within_its_bounds_and_what_no_longer_fits_is_left_out() -> None:
    for name, one in named(BASE).items():
        least, most = bounds_of(name)
        low, high = (one.value, one.value) if isinstance(one, Limit) else (one.low, one.high)
        assert least <= low <= high <= most, name
        found, lost = in_force(BASE, {name: AssumedNumber(low, high, high, "x")})
        assert lost == {}
        changed = named(found)[name]
        assert (changed.mid if isinstance(changed, Number) else changed.value) == high
        assert len(found.changed) == 1
    assert in_force(BASE, {"numbers.gone": OFFER}) == (BASE, {"numbers.gone": "there is no assumption 'numbers.gone'"})


def test_the_health_process_reads_them_from_the_journal(tmp_path: Path) -> None:
    codec, fact = EventCodec(), ev.ValueAssumptionChanged("numbers.test_per_kwh", OFFER, "x")
    assert codec.decode(fact.TYPE, fact.VERSION, codec.encode(fact)) == fact

    async def told() -> None:
        store, clock = Store.open(tmp_path / "d.db"), SystemClock()
        store.migrate([controller])
        async with SqlJournal(store, DEPOT, clock=clock, writer="inline") as journal:
            now = clock.now()
            other = replace(fact, name="numbers.repack_per_kwh")
            facts = [fact, other, replace(other, number=None)]
            await journal.append([ev.NewEvent(one, now) for one in facts])
        store.close()

    asyncio.run(told())
    facts = JournalFacts(tmp_path / "d.db", DEPOT, micros=micros)
    facts.read_assumptions()
    assert facts.assumptions == {"numbers.test_per_kwh": OFFER}
    facts.read_assumptions()
    facts.close()
