"""Charging profiles: never more than the setpoint, never longer than it, and valid by the norm's own schema."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depot.registry import ConnectorSpec, Current
from depot.values import ConnectorId, Setpoint
from ocpp_server.profiles import Purpose, Rung, amperes, default_ladder, default_profile, live_ladder, live_profile, profile_id
from ocpp_server.schemas import parse
from ocpp_server.skew import parse_time

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
UNTIL = NOW + timedelta(seconds=180)
AC = ConnectorSpec(1, 22_000, 4_140)
DC = ConnectorSpec(1, 150_000, 5_000, Current.DC, voltage_v=920)
ALL = frozenset(p.value for p in Purpose)


def live(level_w: int, rung: Rung, spec: ConnectorSpec = AC, *, skew: timedelta = timedelta(), stack: int | None = 8) -> dict[str, Any]:
    setpoint = Setpoint(ConnectorId("CP1", 1), level_w, UNTIL, transaction_id=7)
    profile = live_profile(setpoint, spec, rung, now=NOW, skew=skew, max_stack_level=stack)
    assert parse("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile}).repairs == ()
    return profile


def limit_of(profile: dict[str, Any]) -> float:
    limit: float = profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
    return limit


def test_a_live_profile_in_watts() -> None:
    profile = live(11_000, Rung(Purpose.TX, "W"))
    assert (profile["transactionId"], profile["stackLevel"], profile["chargingProfileKind"]) == (7, 2, "Absolute")
    assert profile["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 11_000, "numberPhases": 3}]


@pytest.mark.parametrize("skew_s", [0, 86_400, -86_400, 1.5])
def test_a_live_profile_holds_now_and_ends_by_itself_in_the_chargers_time(skew_s: float) -> None:
    skew = timedelta(seconds=skew_s)
    profile = live(11_000, Rung(Purpose.TX, "W"), skew=skew)
    schedule = profile["chargingSchedule"]
    start, valid_to = parse_time(schedule["startSchedule"]), parse_time(profile["validTo"])
    assert start is not None
    assert start < NOW + skew
    assert valid_to == UNTIL + skew
    assert start + timedelta(seconds=schedule["duration"]) <= UNTIL + skew


def test_only_a_tx_profile_names_the_transaction() -> None:
    assert "transactionId" not in live(11_000, Rung(Purpose.TX_DEFAULT, "W"))


@pytest.mark.parametrize(
    ("level_w", "spec", "wanted"),
    [
        (11_000, AC, 15.9),
        (11_040, AC, 16.0),
        (4_140, AC, 6.0),
        (4_139, AC, 5.9),
        (0, AC, 0.0),
        (7_360, ConnectorSpec(1, 7_400, 1_380, phases=(2,)), 32.0),
        (11_000, ConnectorSpec(1, 22_000, 0, phases=(1, 2, 3), voltage_v=240), 15.2),
        (92_000, DC, 100.0),
        (92_000, ConnectorSpec(1, 150_000, 0, Current.DC), 92.0),
    ],
)
def test_problem_12_amperes_by_phases_and_voltage_rounded_down_to_a_tenth(level_w: int, spec: ConnectorSpec, wanted: float) -> None:
    assert amperes(level_w, spec) == wanted


@given(st.integers(0, 400_000), st.sampled_from([(), (1,), (1, 2), (1, 2, 3)]), st.integers(100, 400))
def test_amperes_never_draw_more_than_the_setpoint_nor_a_tenth_of_an_ampere_less(
    level_w: int, phases: tuple[int, ...], voltage: int
) -> None:
    spec = ConnectorSpec(1, 400_000, 0, phases=phases, voltage_v=voltage)
    count = len(phases) or 3
    drawn = round(amperes(level_w, spec) * 10) * count * voltage / 10
    assert level_w - 0.1 * count * voltage < drawn <= level_w
    live(level_w, Rung(Purpose.TX, "A"), spec)


def test_problem_13_zero_is_a_limit_like_any_other() -> None:
    assert limit_of(live(0, Rung(Purpose.TX, "W"))) == 0
    assert limit_of(live(0, Rung(Purpose.TX, "A"))) == 0


def test_a_dc_station_has_no_phases() -> None:
    assert "numberPhases" not in live(50_000, Rung(Purpose.TX, "W"), DC)["chargingSchedule"]["chargingSchedulePeriod"][0]


@pytest.mark.parametrize(("most", "wanted"), [(None, 2), (8, 2), (2, 2), (1, 1), (0, 0)])
def test_the_stack_level_is_what_the_station_has(most: int | None, wanted: int) -> None:
    assert live(1_000, Rung(Purpose.TX, "W"), stack=most)["stackLevel"] == wanted


def test_problem_14_one_stable_id_per_role_and_connector() -> None:
    ids = [profile_id(purpose, n, live=True) for purpose in Purpose for n in range(1, 100)] + [
        profile_id(Purpose.TX_DEFAULT, n, live=False) for n in range(1, 100)
    ]
    assert len(set(ids)) == len(ids)
    assert live(1_000, Rung(Purpose.TX, "W"))["chargingProfileId"] == live(9_000, Rung(Purpose.TX, "A"))["chargingProfileId"]


@pytest.mark.parametrize("kind", ["Relative", "Absolute"])
def test_a_default_has_no_end_and_lies_below_every_live_profile(kind: str) -> None:
    profile = default_profile(4_140, 1, AC, Rung(Purpose.TX_DEFAULT, "A", kind), now=NOW, skew=timedelta())
    parse("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile})
    assert "validTo" not in profile
    assert "duration" not in profile["chargingSchedule"]
    assert ("startSchedule" in profile["chargingSchedule"]) == (kind == "Absolute")
    assert profile["stackLevel"] < live(1_000, Rung(Purpose.TX_DEFAULT, "A"))["stackLevel"]


def test_problem_11_the_ladder_goes_from_transaction_to_default_to_station() -> None:
    rungs = live_ladder(("W", "A"), ALL, max_stack_level=8, connectors=1)
    assert [(r.purpose, r.unit) for r in rungs] == [(p, u) for p in (Purpose.TX, Purpose.TX_DEFAULT, Purpose.MAX) for u in ("W", "A")]


def test_problem_15_the_station_profile_is_never_used_for_two_connectors() -> None:
    assert Purpose.MAX not in {r.purpose for r in live_ladder(("W",), ALL, max_stack_level=8, connectors=2)}


def test_a_live_default_is_not_used_where_it_would_replace_the_installed_one() -> None:
    assert {r.purpose for r in live_ladder(("W",), ALL, max_stack_level=0, connectors=2)} == {Purpose.TX}


def test_a_station_without_a_purpose_is_not_asked_for_it() -> None:
    assert live_ladder(("W",), frozenset(), max_stack_level=8, connectors=1) == []
    assert default_ladder(("W",), frozenset({"TxProfile"})) == []
