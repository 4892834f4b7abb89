"""What may be given: bounds of discharge, own use, reserve, need and what others need (decision 14)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from controller import trust
from controller.allocation import Action, Budget, Move, Row
from controller.discharge import Discharge
from controller.giving import Giver, OwnUse, Spare, may_give_w
from controller.grants import Grant
from controller.limiter import allocate
from depot.events import TrustLevel
from depot.registry import ConnectorSpec
from depot.values import ConnectorId, Setpoint
from ocpp_server.profiles import Purpose, Rung, live_profile

LIFE_S = 190.0


def grant(**changes: object) -> Grant:
    made = Grant(rated_w=60_000, default_w=4_000, commissioned=True, gives_w=40_000, gives_readings=True)
    made.session_started(now_s=0.0)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def told(account: Grant, level_w: int, *, now_s: float) -> None:
    account.accepted(account.send(level_w, until_s=now_s + 180, now_s=now_s), now_s=now_s)


# -- bounds -----------------------------------------------------------------------------------------------------------------


def test_a_discharge_adds_nothing_to_the_bound_and_takes_nothing_from_it() -> None:
    account = grant()
    told(account, -20_000, now_s=10)
    account.measured(-20_000, at_s=20)
    assert account.bound_w(20) == 4_000  # what it falls to counts as it always does
    assert account.gives_bound_w(20) == 20_000


def test_what_was_told_to_be_given_counts_until_it_is_seen_to_have_ended() -> None:
    account = grant()
    number = account.send(-20_000, until_s=190, now_s=10)
    assert account.gives_bound_w(10) == 20_000  # in flight
    account.accepted(number, now_s=11)
    account.measured(-20_000, at_s=15)
    told(account, 0, now_s=30)
    assert account.gives_bound_w(40) == 20_000  # told to stop; no meter value has shown it
    account.measured(0, at_s=41)
    assert account.gives_bound_w(41) == 0


def test_a_discharge_ends_with_its_profile() -> None:
    account = grant()
    told(account, -20_000, now_s=10)
    assert account.gives_bound_w(199) == 20_000  # its clock may be late
    assert account.gives_bound_w(201) == 0


def test_a_refused_discharge_has_not_begun() -> None:
    account = grant()
    told(account, 0, now_s=5)
    account.refused(account.send(-20_000, until_s=190, now_s=10))
    assert account.told_w == 0


def test_who_gives_too_much_is_asked_for_nothing_more_and_who_stops_is_not_blamed() -> None:
    account = grant()
    told(account, -10_000, now_s=10)
    account.measured(-16_000, at_s=20)
    verdict = trust.judge(account, pausable=True)
    assert verdict is not None
    assert verdict.trust is TrustLevel.OVERDRAWS
    assert "gave 16000 W" in verdict.reason
    tired = grant()
    told(tired, -10_000, now_s=10)
    tired.measured(0, at_s=20)
    assert trust.judge(tired, pausable=True) is None
    charges = grant()
    told(charges, -10_000, now_s=10)
    charges.measured(10_000, at_s=20)
    verdict = trust.judge(charges, pausable=True)
    assert verdict is not None
    assert verdict.trust is TrustLevel.DEFIANT


# -- the limiter ------------------------------------------------------------------------------------------------------------


def row(name: str, **changes: object) -> Row:
    made = Row(ConnectorId(name, 1), 0, 60_000, 5_000, ceiling_w=60_000, plan_w=0, session=True, pausable=True)
    for key, value in changes.items():
        setattr(made, key, value)
    return made


def decide(rows: list[Row], gives_w: int, *, frozen: bool = False) -> list[Action]:
    budget = Budget(100_000, 100_000)
    return allocate(rows, site=budget, feeders=[budget], frozen=frozen, gives=Discharge(gives_w, [100_000])).actions


def test_what_is_given_stays_within_what_the_site_takes() -> None:
    rows = [row("A", give_w=40_000, rank=(0.0, 2.0)), row("B", give_w=40_000, rank=(0.0, 1.0))]
    moves = {action.row: action for action in decide(rows, 50_000)}
    assert {n: (a.move, a.level_w) for n, a in moves.items()} == {0: (Move.GIVE, -40_000), 1: (Move.GIVE, -10_000)}
    assert decide(rows, 0) == []
    assert decide(rows, 50_000, frozen=True) == []


def test_who_charges_goes_to_0_first() -> None:
    (action,) = decide([row("A", give_w=20_000, told_w=30_000, bound_w=30_000)], 50_000)
    assert (action.move, action.level_w) == (Move.LOWER, 0)


def test_a_discharge_ends_at_once_when_the_site_takes_less_or_it_may_no_longer() -> None:
    giving = row("A", give_w=20_000, told_w=-20_000, gives_bound_w=20_000)
    (action,) = decide([giving], 8_000)
    assert (action.move, action.level_w, action.urgent) == (Move.LOWER, -8_000, True)
    (action,) = decide([replace(giving, give_w=0, calm=False)], 50_000)
    assert (action.move, action.level_w, action.urgent) == (Move.LOWER, 0, True)


def test_another_discharge_waits_until_the_first_has_settled() -> None:
    stopping = row("A", told_w=0, gives_bound_w=20_000)
    assert decide([stopping, row("B", give_w=20_000)], 20_000) == []
    assert [a.level_w for a in decide([replace(stopping, gives_bound_w=0), row("B", give_w=20_000)], 20_000)] == [-20_000]


def test_a_discharge_makes_no_room_for_charging() -> None:
    site = Budget(10_000, 10_000)
    rows = [row("A", told_w=-20_000, give_w=20_000, gives_bound_w=20_000), row("B", plan_w=60_000)]
    result = allocate(rows, site=site, feeders=[Budget(90_000, 90_000)], gives=Discharge(50_000, [90_000]))
    assert result.targets == [-20_000, 10_000]


# -- own use, need and reserve ----------------------------------------------------------------------------------------------


def test_own_use_falls_at_once_and_rises_after_a_while() -> None:
    use = OwnUse()
    assert use.update(now_s=0, meter_w=50_000, meter_at_s=0, vehicles_w=0) == 50_000
    assert use.update(now_s=1, meter_w=20_000, meter_at_s=1, vehicles_w=0) == 20_000
    assert use.update(now_s=2, meter_w=60_000, meter_at_s=2, vehicles_w=0) == 20_000
    assert use.update(now_s=95, meter_w=60_000, meter_at_s=95, vehicles_w=0) == 60_000
    assert use.update(now_s=96, meter_w=60_000, meter_at_s=96, vehicles_w=50_000) == 10_000  # chargers may draw that much of it
    assert use.update(now_s=97, meter_w=40_000, meter_at_s=97, vehicles_w=-20_000) == 10_000
    assert use.update(now_s=101, meter_w=40_000, meter_at_s=97, vehicles_w=0) is None  # the meter is silent


def giver(**changes: object) -> Giver:
    made = Giver(
        feeder_id="A", remaining_wh=20_000, stored_wh=200_000, reserve_wh=90_000, left_s=8 * 3600, takes_w=60_000, most_w=40_000,
        efficiency=0.9, capacity_wh=300_000,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]  # names of its fields


def spare(power_w: int = 100_000, needs: list[tuple[float, str, float]] | None = None) -> Spare:
    return Spare(needs or [(8 * 3600, "A", 20_000)], {"": [(0.0, power_w)], "A": [(0.0, 200_000)]})


def test_a_vehicle_with_time_and_energy_gives_what_is_asked() -> None:
    assert may_give_w(giver(), spare(), life_s=LIFE_S) == 40_000


@pytest.mark.parametrize(
    "changes",
    [
        {"stored_wh": 95_000},  # above its reserve, but by too little to begin
        {"stored_wh": 80_000, "gives": True},
        {"left_s": 100.0},
        {"remaining_wh": 8 * 60_000},  # it needs all of its time
        {"takes_w": 0},
    ],
)
def test_reserve_need_and_time_forbid_it(changes: dict[str, object]) -> None:
    assert may_give_w(giver(**changes), spare(), life_s=LIFE_S) == 0


def test_the_reserve_holds_even_if_nobody_lives_to_stop_it() -> None:
    level_w = may_give_w(giver(stored_wh=91_000, gives=True), spare(), life_s=LIFE_S)
    assert 0 < level_w <= 1_000 * 0.9 * 3600 / LIFE_S


def test_what_others_need_comes_first() -> None:
    crowded = [(8 * 3600.0, "A", 20_000.0), (9 * 3600.0, "A", 780_000.0)]  # 7/8 of 100 kW over 9 h are 787.5 kWh
    assert may_give_w(giver(), spare(needs=crowded), life_s=LIFE_S) == 0
    assert may_give_w(giver(), spare(power_w=150_000, needs=crowded), life_s=LIFE_S) == 40_000
    assert may_give_w(giver(), spare(power_w=0), life_s=LIFE_S) == 0


def test_two_who_give_share_what_is_to_spare() -> None:
    most = [(8 * 3600.0, "A", 697_500.0)]  # 2.5 kWh are left of 7/8 · 100 kW · 8 h
    both = spare(needs=most)
    first, second = (may_give_w(giver(remaining_wh=0), both, life_s=LIFE_S) for _ in range(2))
    assert 0 < first <= 2_500 * 0.81 * 3600 / LIFE_S
    assert second == 0


# -- the wire ---------------------------------------------------------------------------------------------------------------


def test_a_discharge_is_a_central_setpoint_that_expires() -> None:
    now = datetime(2026, 11, 22, 18, tzinfo=UTC)
    setpoint = Setpoint(ConnectorId("B1", 1), -20_000, now + timedelta(seconds=180), transaction_id=7)
    spec = ConnectorSpec(1, 60_000, 5_000, discharge_w=40_000)
    made = live_profile(setpoint, spec, Rung(Purpose.TX, "W"), now=now, skew=timedelta(), max_stack_level=None)
    (period,) = made["chargingSchedule"]["chargingSchedulePeriod"]
    assert {k: period[k] for k in ("operationMode", "setpoint", "limit", "dischargeLimit")} == {
        "operationMode": "CentralSetpoint", "setpoint": -20_000, "limit": 0, "dischargeLimit": -20_000,
    }  # fmt: skip
    assert made["validTo"]
    amperes = live_profile(setpoint, spec, Rung(Purpose.TX, "A"), now=now, skew=timedelta(), max_stack_level=None)
    assert amperes["chargingSchedule"]["chargingSchedulePeriod"][0]["setpoint"] == -28.9  # towards 0
