"""What a battery may take reaches limiter and planner in watts, with its source and its words; the session as the guard's rules see it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError
from small_yard import ONE, SmallYard

from bms_bridge.chemistry import TABLE, Chemistry
from controller import safety_rules as rules
from controller.chain import reason_chain
from controller.pack_charging import PackCharging
from controller.pack_limits import PackLimit
from controller.packs import DeclaredPack, KnownPacks
from controller.sections_telemetry import PackSection
from depot import events as ev
from depot.fleet import Pack
from depot.values import Because, LimitSource, PackKey

BUS = PackKey("BUS1", "P1")
SECOND = PackKey("BUS1", "P2")


def charging() -> SmallYard:
    depot = SmallYard()
    depot.arrive(ONE, "BUS1")
    depot.session(ONE, power_w=40_000)
    return depot


@pytest.mark.parametrize(
    ("share", "limit_w", "allowed_w"),
    [
        (1.0, None, None),
        (1.0, 30_000, 30_000),
        (0.6, None, 36_000),
        (0.6, 30_000, 30_000),
        (0.6, 90_000, 36_000),
        (1.0, 900, 6_000),
        (0.2, 900, 6_000),
        (0.0, 27_000, 0),
    ],
)
def test_the_tighter_of_share_and_watts_counts_and_watts_end_no_session(share: float, limit_w: int | None, allowed_w: int | None) -> None:
    depot = charging()
    visit = depot.yard.visit_on(ONE)
    if share < 1:
        depot.yard.pack_share["BUS1"] = share
    depot.yard.pack_limit["BUS1"] = PackLimit(limit_w, "cells take 27 kW")
    assert depot.yard.allowed_w(ONE, visit) == allowed_w
    limit = depot.yard.battery_limit(ONE, visit)
    if allowed_w is None:
        assert limit is None
    else:
        assert limit is not None
        assert (limit.value, limit.scope_id) == (allowed_w, str(ONE))
        assert (limit.source, limit.reason) == (LimitSource.BATTERY if allowed_w else LimitSource.SAFETY, "cells take 27 kW")


def test_who_follows_no_level_is_not_stopped_by_watts() -> None:
    depot = charging()
    depot.yard.pack_limit["BUS1"] = PackLimit(27_000, "cells take 27 kW")
    depot.yard.grants[ONE].judged(ev.TrustLevel.DEFIANT, 1.0)
    assert depot.yard.allowed_w(ONE, depot.yard.visit_on(ONE)) is None


def test_the_reason_chain_says_who_and_why() -> None:
    depot = charging()
    depot.yard.pack_share["BUS1"] = 0.6
    depot.yard.pack_limit["BUS1"] = PackLimit(None, "52 °C, derated from 48 °C")
    depot.decided({ONE: Because.SAFETY}, {ONE: 36_000})
    (step,) = [step for step in reason_chain(depot.yard, ONE, depot.clock.now()) if step.because == "limit"]
    assert step.binding
    assert step.level_w == 36_000
    assert (step.title, step.detail) == ("Safety allows", "battery: at most 36.0 kW (60% of its level), 52 °C, derated from 48 °C")


def test_watts_at_the_battery_are_more_at_the_charger() -> None:
    assert PackLimit(27_000).grid_w(0.9) == 30_000
    assert PackLimit(None).grid_w(0.9) is None


def test_one_plug_feeds_all_packs_of_a_vehicle() -> None:
    assert rules.held_back({}) is None
    assert rules.held_back({BUS: ("", None)}) is None
    assert rules.held_back({BUS: ("warm", None)}) == PackLimit(None, "warm")
    assert rules.held_back({BUS: ("warm", 20_000), SECOND: ("", 30_000)}) == PackLimit(40_000, "warm")


def test_the_session_as_the_rules_see_it() -> None:
    depot = charging()
    seen = PackCharging(depot.yard)
    assert seen.of(PackKey("BUS9", "P1")) is None
    found = seen.of(BUS)
    assert found is not None
    assert (found.metered_w, found.room_wh) == (40_000, None)
    assert found.told_w == 40_000
    depot.yard.grants[ONE].default_w = None
    uncovered = seen.of(BUS)
    assert uncovered is not None
    assert uncovered.told_w == 60_000, "without a default it may draw its rating once its profile is over"
    visit = depot.yard.visit_on(ONE)
    assert visit is not None
    depot.yard.soc[ONE] = (0.5, depot.clock.now())
    battery_wh = depot.yard.battery_wh(visit)
    found = seen.of(BUS)
    assert found is not None
    assert found.room_wh == (pytest.approx(battery_wh * 0.5 + found.taken_wh) if battery_wh else None)
    depot.yard.soc[ONE] = (0.9, depot.clock.now())
    again = seen.of(BUS)
    assert again is not None
    assert again.room_wh == found.room_wh, "what fitted in when it began does not change"
    depot.clock.at += timedelta(seconds=60)
    stale = seen.of(BUS)
    assert stale is not None
    assert stale.metered_w is None


def test_a_pack_is_tightened_by_the_settings_but_never_beyond_its_chemistry() -> None:
    depot = SmallYard()
    row = DeclaredPack(BUS, Chemistry.LFP, capacity_wh=200_000, cells=200, tighter={"trip_c": 58})
    packs = KnownPacks([row, replace(row, pack=SECOND, tighter={})], otherwise=None, yard=depot.yard)
    assert packs.tighter_of(BUS) == TABLE[Chemistry.LFP].tightened(trip_c=58)
    assert packs.tighter_of(SECOND) is None
    assert packs.facts_of(BUS).capacity_ah() == pytest.approx(312.5)
    depot.put(ev.PackRegistered(Pack(BUS, "NMC", 150_000, 100)))
    assert packs.chemistry_of(BUS) is Chemistry.NMC
    assert packs.facts_of(BUS).capacity_wh == 150_000
    assert packs.tighter_of(BUS) == TABLE[Chemistry.NMC].tightened(trip_c=58)
    wide = KnownPacks([replace(row, tighter={"trip_c": 59.5})], otherwise=None, yard=depot.yard)
    assert wide.tighter_of(BUS) == TABLE[Chemistry.NMC], "59.5 °C is tighter than LFP's and looser than NMC's"


@pytest.mark.parametrize("tighter", [{"trip_c": 61}, {"trip": 50}, {"trip_c": 50}])
def test_the_settings_refuse_what_would_loosen_or_cannot_be(tighter: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="tighter of BUS1/P1"):
        PackSection(vehicle="BUS1", chemistry="LFP", tighter=tighter)
