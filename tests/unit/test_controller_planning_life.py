"""What a plan is told of the vehicles' batteries, from registry, settings and telemetry; what is not known changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from bms_bridge.charging import PackFacts
from bms_bridge.chemistry import TABLE, Chemistry, Thresholds
from bms_bridge.contract import PackSample, Source
from controller import planner_wire as wire
from controller.pipe_child import HEADER
from controller.planning_life import LifeSettings, PackNow, SafetyPacks, charge_curve, kept_out, policy_of, with_life
from depot.events import VisitAnnounced
from depot.values import PackKey
from optimizer import Policy, Problem, Vehicle, Weights

NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)
AHEAD_H = np.arange(8) + 0.5
BUS = Vehicle("visit", 0, 8, energy_kwh=100.0, p_max_kw=150.0, p_min_kw=3.0, eff=0.94, capacity_kwh=180.0)
PRICED = LifeSettings(price_per_kwh=12_000.0, ambient_c=20.0)
PACK = PackNow(Chemistry.NMC, capacity_kwh=200.0, soh=0.913, temp_c=36.2)


class Known:
    """Packs that are known by heart."""

    def __init__(self, **chemistries: Chemistry) -> None:
        self._chemistries = {PackKey("bus", name): chemistry for name, chemistry in chemistries.items()}

    def chemistry_of(self, pack: PackKey) -> Chemistry | None:
        return self._chemistries.get(pack)

    def of(self, vehicle_id: str) -> Sequence[PackKey]:
        return [key for key in self._chemistries if key.vehicle_id == vehicle_id]

    def must_speak(self, pack: PackKey) -> bool:
        return False

    def facts_of(self, pack: PackKey) -> PackFacts:
        return PackFacts(chemistry=self._chemistries[pack], capacity_wh=100_000)

    def tighter_of(self, pack: PackKey) -> Thresholds | None:
        return None


def sample(name: str, age: timedelta, *temps: float | None, soh: float | None = None) -> dict[Source, PackSample]:
    said = PackSample(pack=PackKey("bus", name), source=Source.OCPP, received_at=NOW - age, reported_at=None, temperatures_c=temps, soh=soh)
    return {Source.OCPP: said}


def test_packs_of_a_vehicle_count_together_and_old_temperatures_do_not() -> None:
    packs = Known(P1=Chemistry.LFP, P2=Chemistry.LFP)
    heard = {
        PackKey("bus", "P1"): sample("P1", timedelta(minutes=5), 31.0, None, 34.5, soh=0.95),
        PackKey("bus", "P2"): sample("P2", timedelta(hours=3), 50.0, soh=0.9),
    }
    assert SafetyPacks(packs, heard).of("bus", NOW) == PackNow(Chemistry.LFP, capacity_kwh=200.0, soh=0.9, temp_c=34.5)
    assert SafetyPacks(packs, {}).of("bus", NOW) == PackNow(Chemistry.LFP, capacity_kwh=200.0)


def test_of_a_stranger_and_of_two_kinds_in_one_vehicle_nothing_is_known() -> None:
    assert SafetyPacks(Known(), {}).of("bus", NOW) is None
    assert SafetyPacks(Known(P1=Chemistry.LFP, P2=Chemistry.NMC), {}).of("bus", NOW) is None


@pytest.mark.parametrize(
    ("pack", "settings"),
    [
        (None, PRICED),
        (PACK, LifeSettings(ambient_c=20.0)),
        (replace(PACK, chemistry=Chemistry.LTO), PRICED),
        (replace(PACK, temp_c=None), LifeSettings(price_per_kwh=12_000.0)),
    ],
    ids=["no pack", "no price", "no model", "no temperature"],
)
def test_what_is_not_known_changes_nothing(pack: PackNow | None, settings: LifeSettings) -> None:
    assert with_life(BUS, pack, settings, ahead_h=AHEAD_H) is BUS


def test_a_warm_pack_pays_less_rent_as_it_cools() -> None:
    life = with_life(BUS, PACK, PRICED, ahead_h=AHEAD_H).life
    assert life is not None
    assert (np.diff(life.rent_per_kwh_h) <= 0).all()
    assert life.rent_per_kwh_h[0] > life.rent_per_kwh_h[-1]
    assert life.gentle_kw == pytest.approx(0.25 * 200 * 0.91 / 0.94)


def test_a_ceiling_is_where_the_guard_would_derate() -> None:
    heat = with_life(BUS, PACK, replace(PRICED, ceiling=True), ahead_h=AHEAD_H).heat
    assert heat is not None
    assert (heat.temp_c, heat.ceiling_c) == (36.2, TABLE[Chemistry.NMC].derate_from_c)
    assert 5 < heat.rise_per_kw * 100 < 60
    assert with_life(BUS, replace(PACK, temp_c=None), replace(PRICED, ceiling=True), ahead_h=AHEAD_H).heat is None


def test_a_price_makes_life_a_part_of_the_cost_and_leaves_every_other_pick_alone() -> None:
    assert policy_of(Policy.CHEAPEST, PRICED) == Weights(wear=1.0)
    assert policy_of(Policy.CHEAPEST, replace(PRICED, weight=0.0)) is Policy.CHEAPEST
    assert policy_of(Policy.CHEAPEST, LifeSettings()) is Policy.CHEAPEST
    for pick in (Policy.BATTERY_LIFE, Policy.READINESS, Weights(wear=0.3)):
        assert policy_of(pick, PRICED) == pick


def test_beside_known_packs_an_unknown_one_holds_for_nothing() -> None:
    assert kept_out(BUS, Policy.CHEAPEST, PRICED).holding_per_kwh_h == 0.0
    assert kept_out(BUS, Policy.BATTERY_LIFE, PRICED) is BUS
    known = with_life(BUS, PACK, PRICED, ahead_h=AHEAD_H)
    assert kept_out(known, Policy.CHEAPEST, PRICED) is known


def announced(soc: float | None, need_wh: int) -> VisitAnnounced:
    return VisitAnnounced("visit", "bus", NOW, NOW + timedelta(hours=8), need_wh, 150_000, soc_arrival=soc, battery_wh=200_000)


def test_who_leaves_above_the_knee_has_a_curve() -> None:
    curve = charge_curve(announced(0.5, 100_000), wants_wh=60_000, full_w=150_000)
    assert curve is not None
    assert (curve.capacity_kwh, curve.stored_kwh) == (200.0, 140.0)
    assert curve.accepts_kw.tolist() == [150.0, 15.0]
    assert charge_curve(announced(0.5, 60_000), wants_wh=60_000, full_w=150_000) is None
    assert charge_curve(announced(None, 100_000), wants_wh=60_000, full_w=150_000) is None


def test_what_is_known_goes_to_the_planner_and_arrives() -> None:
    vehicle = replace(
        with_life(BUS, PACK, replace(PRICED, ceiling=True), ahead_h=AHEAD_H),
        curve=charge_curve(announced(0.5, 100_000), wants_wh=60_000, full_w=150_000),
    )
    problem = Problem(NOW, 8, 60, np.full(8, 8.0), np.full(8, 500.0), np.zeros(8), (vehicle,))
    body = wire.frame(wire.Request(1, problem, Policy.BATTERY_LIFE, 5.0))[HEADER.size :]
    arrived = wire.read_request(body).problem.vehicles[0]
    assert arrived.life is not None
    assert vehicle.life is not None
    assert arrived.life.rent_per_kwh_h.tolist() == vehicle.life.rent_per_kwh_h.tolist()
    assert arrived.heat is not None
    assert arrived.curve is not None
    assert arrived.curve.accepts_kw.tolist() == [150.0, 15.0]
