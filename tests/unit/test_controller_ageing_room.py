"""The loop in the core: what the health process found is taken, planned by, kept over a restart, set back by a person with a reason."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from small_yard import SmallYard

from bms_bridge import estimates as room
from bms_bridge.estimates.ageing_view import AgeingFound
from bms_bridge.estimates.shelf import Shelf
from controller.ageing import factors_in_force, interval
from controller.ageing_room import AgeingRoom
from controller.ageing_view import AgeingView
from controller.asset_outlook import life_of
from controller.codec import EventCodec, decode_state, encode_state
from controller.planning_life import LifeSettings, basis_of
from depot import commands as cmd
from depot import events as ev
from depot.ageing import Ageing, AgeingFactors
from depot.assets import PackLife, StorageReading, StorageSpec
from depot.values import InvalidValue
from storage import Store

AT = datetime(2026, 11, 20, 3, tzinfo=UTC)
FACTORS = AgeingFactors(1.8, 0.7, 0.1, 0.2, 23, 400, AT)
FOUND = AgeingFound("LFP", AT, 1.8, 0.7, 0.1, 0.2, 23, 400)


def kept(folder: Path, *found: AgeingFound) -> Path:
    path = folder / "d-health.db"
    with contextlib.closing(Store.open(path)) as store:
        store.migrate([room])
        for one in found:
            Shelf(store).put_ageing(one, now_us=1)
    return path


def room_of(small: SmallYard, database: Path | None, configured: Mapping[str, tuple[float, float]] | None = None) -> AgeingRoom:
    made = AgeingRoom(small.yard, database, configured=configured or {}, priced=True, replan=small.replans.append)
    small.orders.carriers.update(made.commands)
    return made


def follow(small: SmallYard, chemistry: str, follows: bool, reason: str = "the curve was wrong", number: int = 1) -> cmd.CommandResult:
    command = cmd.FollowAgeing(command_id=f"c{number}", actor="Meera", reason=reason, chemistry=chemistry, follows=follows)
    return asyncio.run(small.orders.execute(command))


def shown(made: AgeingRoom) -> AgeingView:
    view = asyncio.run(made.views[AgeingView]({}))
    assert isinstance(view, AgeingView)
    return view


def test_what_was_found_is_taken_once_and_planned_by(tmp_path: Path) -> None:
    small = SmallYard()
    made = room_of(small, kept(tmp_path, FOUND, AgeingFound("LTO", AT, reason="how LTO cells age is not in the table")))
    asyncio.run(made.ask())
    asyncio.run(made.ask())
    facts = [e for e in small.journal.facts if isinstance(e.data, ev.AgeingFactorsTaken)]
    assert [(e.actor, e.data.chemistry) for e in facts] == [("health", "LFP")]  # type: ignore[attr-defined]
    assert small.replans == ["ageing"]
    assert small.planning.settings.life.factors == {"LFP": (1.8, 0.7)}
    lfp, lto = shown(made).rows
    assert (lfp.source, lfp.calendar_counts, lfp.cycle_counts, lfp.packs, lfp.found_at) == ("fleet", 1.8, 0.7, 23, AT)
    assert lfp.calendar_interval == pytest.approx((1.6355, 1.9645))
    assert (lto.source, lto.calendar, lto.why_none) == ("table", None, "how LTO cells age is not in the table")
    words = basis_of(small.planning.settings.life, small.yard.state.ageing)
    assert words.endswith("LFP 1.8 times as fast in time, 0.7 by cycles (1.6 to 2 and 0.37 to 1 at 90 %, 23 packs, 20 Nov 2026)")


def test_a_person_sets_it_back_and_newer_findings_do_not_bring_it_again(tmp_path: Path) -> None:
    small = SmallYard()
    made = room_of(small, kept(tmp_path, FOUND))
    asyncio.run(made.ask())
    assert follow(small, "LFP", False).status is cmd.CommandStatus.DONE
    assert small.planning.settings.life.factors == {}
    kept(tmp_path, replace_at(FOUND, days=7, calendar=2.2))
    asyncio.run(made.ask())
    assert small.planning.settings.life.factors == {}
    (row,) = shown(made).rows
    assert (row.source, row.calendar, row.follows, row.decided_by, row.reason) == ("table", 2.2, False, "Meera", "the curve was wrong")
    fact = next(e for e in small.journal.facts if isinstance(e.data, ev.AgeingFollowed))
    asked = next(e for e in small.journal.facts if isinstance(e.data, ev.CommandRequested))
    assert (fact.actor, fact.cause_id) == ("Meera", asked.id)
    assert follow(small, "LFP", True, number=2).status is cmd.CommandStatus.DONE
    assert small.planning.settings.life.factors == {"LFP": (2.2, 0.7)}


def replace_at(one: AgeingFound, *, days: int, calendar: float) -> AgeingFound:
    return AgeingFound(one.chemistry, one.at + timedelta(days=days), calendar, one.cycle, 0.1, 0.2, 23, 400)


def test_a_decision_needs_a_reason_and_something_to_decide(tmp_path: Path) -> None:
    small = SmallYard()
    made = room_of(small, kept(tmp_path, FOUND))
    assert follow(small, "LFP", False).status is cmd.CommandStatus.REFUSED
    asyncio.run(made.ask())
    assert follow(small, "LFP", False, reason=" ", number=2).status is cmd.CommandStatus.REFUSED
    answer = follow(small, "LFP", True, number=3)
    assert (answer.status, "already" in answer.message) == (cmd.CommandStatus.DONE, True)


def test_a_file_of_the_settings_comes_first(tmp_path: Path) -> None:
    small = SmallYard()
    made = room_of(small, kept(tmp_path, FOUND), {"LFP": (1.1, 1.2)})
    asyncio.run(made.ask())
    (row,) = shown(made).rows
    assert (row.source, row.calendar_counts, row.calendar) == ("file", 1.1, 1.8)
    assert factors_in_force({"LFP": Ageing(FACTORS)}, {"LFP": (1.1, 1.2)}) == {"LFP": (1.1, 1.2)}
    assert basis_of(LifeSettings(factors={"LFP": (1.1, 1.2)}), {"LFP": Ageing(FACTORS)}).endswith("1.2 by cycles")


def test_nothing_to_read_and_numbers_that_cannot_be_change_nothing(tmp_path: Path) -> None:
    small = SmallYard()
    asyncio.run(room_of(small, None).ask())
    asyncio.run(room_of(small, tmp_path / "none.db").ask())
    asyncio.run(room_of(small, kept(tmp_path, AgeingFound("LFP", AT, 40.0, 1.0, 0.1, 0.1, 9, 90))).ask())
    (tmp_path / "old.db").write_bytes(b"no database")
    asyncio.run(room_of(small, tmp_path / "old.db").ask())
    assert small.yard.state.ageing == {}
    with pytest.raises(InvalidValue):
        replace(FACTORS, cycle=0.1)
    assert interval(0.3, 0.5) == pytest.approx((0.25, 1.1225))


def test_it_outlives_a_restart(tmp_path: Path) -> None:
    small = SmallYard()
    made = room_of(small, kept(tmp_path, FOUND))
    asyncio.run(made.ask())
    follow(small, "LFP", False)
    assert decode_state(encode_state(small.journal.state)).ageing == small.journal.state.ageing
    codec = EventCodec()
    for fact in (ev.AgeingFactorsTaken("LFP", FACTORS), ev.AgeingFollowed("LFP", False, "why")):
        assert codec.decode(fact.TYPE, fact.VERSION, codec.encode(fact)) == fact


def test_stationary_batteries_age_by_them_too() -> None:
    spec = StorageSpec(
        asset_id="B-1", charge_w=50_000, discharge_w=50_000, capacity_wh=200_000,
        life=PackLife(chemistry="LFP", price_per_kwh=12_000.0, ambient_c=30.0),
    )  # fmt: skip
    reading = StorageReading(AT, 0, soc=0.5, temp_c=30.0, soh=0.9)
    plain, faster = life_of(spec, reading), life_of(spec, reading, {"LFP": (2.0, 3.0)})
    assert plain is not None
    assert faster is not None
    assert faster.rent_per_kwh_h == pytest.approx(2 * plain.rent_per_kwh_h)
    assert faster.wear_per_kwh == pytest.approx(3 * plain.wear_per_kwh)
    assert life_of(spec, reading, {"NMC": (2.0, 3.0)}) is not None
