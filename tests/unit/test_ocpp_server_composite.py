"""The composite schedule: examples worked out by hand, and against a sampler that asks the rule second by second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depot.registry import ConnectorSpec, Current
from ocpp_server.composite import Segment, Transaction, UnreadableProfile, composite, read_profile
from ocpp_server.profiles import Purpose

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
AC = ConnectorSpec(1, 22_000, 4_140)
ONE_PHASE = ConnectorSpec(1, 7_400, 1_380, phases=(2,))
DC = ConnectorSpec(1, 60_000, 5_000, Current.DC, voltage_v=500)
RUNS = Transaction("7", NOW - timedelta(seconds=300))


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def profile(
    purpose: Purpose,
    *periods: tuple[float, float],
    connector: int = 1,
    level: int = 0,
    unit: str = "W",
    kind: str = "Relative",
    **more: Any,
) -> dict[str, Any]:
    """A payload with its ``connector`` beside it. ``start``, ``duration`` go into the schedule, ``phases`` into every period."""
    rows = [{"startPeriod": at, "limit": limit} | ({"numberPhases": more["phases"]} if "phases" in more else {}) for at, limit in periods]
    schedule: dict[str, Any] = {"chargingRateUnit": unit, "chargingSchedulePeriod": rows}
    if "start" in more:
        schedule["startSchedule"] = iso(more["start"])
    if "duration" in more:
        schedule["duration"] = more["duration"]
    out = {
        "connector": connector,
        "chargingProfileId": more.get("id", 1000 * connector + 10 * level + list(Purpose).index(purpose)),
        "stackLevel": level,
        "chargingProfilePurpose": purpose.value,
        "chargingProfileKind": kind,
        "chargingSchedule": schedule,
    }
    if kind == "Recurring":
        out["recurrencyKind"] = more.get("recurrency", "Daily")
    for name in ("validFrom", "validTo"):
        if name in more:
            out[name] = iso(more[name])
    if "transaction" in more:
        out["transactionId"] = more["transaction"]
    return out


def merged(
    *payloads: dict[str, Any],
    connector: int = 1,
    spec: ConnectorSpec = AC,
    now: datetime = NOW,
    duration_s: float = 600,
    unit: str = "W",
    transaction: Transaction | None = RUNS,
) -> list[Segment]:
    held = [read_profile(p["connector"], p) for p in payloads]
    return composite(held, connector=connector, spec=spec, now=now, duration_s=duration_s, unit=unit, transaction=transaction)


def levels(*payloads: dict[str, Any], **how: Any) -> list[tuple[float, float | None]]:
    return [(s.start_s, s.limit) for s in merged(*payloads, **how)]


TX, DEFAULT, MAX = Purpose.TX, Purpose.TX_DEFAULT, Purpose.MAX
LIVE = profile(
    TX, (0, 11_000), level=2, kind="Absolute", start=NOW - timedelta(seconds=10), duration=190, validTo=NOW + timedelta(seconds=180)
)
REST = profile(DEFAULT, (0, 4_140))


def test_nothing_installed_limits_nothing() -> None:
    assert merged() == [Segment(0, None, None)]
    assert merged(duration_s=0) == []


def test_a_live_profile_that_ends_leaves_its_default() -> None:
    """Invariant 3, on paper: nobody renews it, and after 180 s the default below holds."""
    assert levels(LIVE, REST) == [(0, 11_000), (180, 4_140)]


def test_a_tx_profile_replaces_the_default_even_where_it_allows_more_or_stands_lower() -> None:
    assert levels(profile(TX, (0, 20_000), level=0), profile(DEFAULT, (0, 4_000), level=5)) == [(0, 20_000)]


def test_the_station_cap_counts_with_whatever_holds_below_it() -> None:
    cap = profile(MAX, (0, 16_000), (300, 3_000), connector=0, start=NOW, kind="Absolute")
    assert levels(LIVE, REST, cap) == [(0, 11_000), (180, 4_140), (300, 3_000)]
    assert levels(cap, connector=0, transaction=None) == [(0, 16_000), (300, 3_000)]


def test_the_highest_stack_level_that_holds_decides() -> None:
    low = profile(DEFAULT, (0, 9_000), level=1)
    high = profile(DEFAULT, (0, 2_000), level=3, validFrom=NOW + timedelta(seconds=60), validTo=NOW + timedelta(seconds=120))
    assert levels(low, high) == [(0, 9_000), (60, 2_000), (120, 9_000)]


def test_a_schedule_that_is_over_leaves_the_field_to_the_level_below() -> None:
    over = profile(DEFAULT, (0, 2_000), level=3, kind="Absolute", start=NOW - timedelta(seconds=30), duration=90)
    assert levels(profile(DEFAULT, (0, 9_000)), over) == [(0, 2_000), (60, 9_000)]


def test_defaults_of_the_whole_station_and_of_the_connector_compete_by_stack_level() -> None:
    common, own = profile(DEFAULT, (0, 7_000), connector=0, level=1), profile(DEFAULT, (0, 9_000), level=1)
    assert levels(common, own) == [(0, 9_000)]
    assert levels(common, own, connector=2) == [(0, 7_000)]
    assert levels(profile(DEFAULT, (0, 7_000), connector=0, level=2), own) == [(0, 7_000)]


def test_a_tx_profile_of_another_transaction_or_connector_or_of_none_does_not_hold() -> None:
    other = profile(TX, (0, 3_000), transaction=8)
    assert levels(other, REST) == [(0, 4_140)]
    assert levels(profile(TX, (0, 3_000), transaction=7), REST) == [(0, 3_000)]
    assert levels(profile(TX, (0, 3_000), connector=2), REST) == [(0, 4_140)]
    assert levels(LIVE, REST, transaction=None) == [(0, 4_140)]


def test_a_relative_schedule_begins_with_the_transaction() -> None:
    stepped = profile(TX, (0, 11_000), (400, 5_000), duration=700)
    assert levels(stepped, REST) == [(0, 11_000), (100, 5_000), (400, 4_140)]
    assert levels(profile(DEFAULT, (0, 11_000), (400, 5_000)), transaction=None) == [(0, 11_000), (400, 5_000)]


def test_a_daily_schedule_repeats_whether_its_start_is_past_or_to_come() -> None:
    night = [(0, 22_000), (6 * 3600, 4_000)]
    for days in (-3, 0, 5):
        start = datetime(2026, 11, 21, 22, 0, tzinfo=UTC) + timedelta(days=days)
        got = levels(profile(DEFAULT, *night, kind="Recurring", start=start, duration=18 * 3600), duration_s=86_400)
        # 12:00 to 16:00 the second period, then nothing until 22:00, the first until 04:00, the second until noon
        assert got == [(0, 4_000), (4 * 3600, None), (10 * 3600, 22_000), (16 * 3600, 4_000)]


def test_a_weekly_schedule() -> None:
    sunday = profile(DEFAULT, (0, 1_000), kind="Recurring", recurrency="Weekly", start=datetime(2026, 1, 4, tzinfo=UTC), duration=86_400)
    assert levels(sunday, duration_s=3 * 86_400) == [(0, None), (12 * 3600, 1_000), (36 * 3600, None)]


def test_a_recurrence_cuts_off_what_does_not_fit_into_it() -> None:
    too_long = profile(DEFAULT, (0, 1_000), (90_000, 2_000), kind="Recurring", start=NOW, duration=100_000)
    assert levels(too_long, duration_s=200_000) == [(0, 1_000)]


def test_a_fractional_start_period_is_as_good_as_any() -> None:
    """Reference no. 14: seen with real chargers."""
    assert levels(profile(TX, (0, 9_000), (599.989, 3_000)), transaction=Transaction("7", NOW), duration_s=900) == [
        (0, 9_000),
        (599.989, 3_000),
    ]


@pytest.mark.parametrize(
    ("spec", "phases", "amperes", "watts"), [(AC, 3, 10, 6_900), (AC, 1, 10, 2_300), (ONE_PHASE, 3, 10, 2_300), (DC, 1, 20, 10_000)]
)
def test_units_are_converted_by_the_phases_that_both_have(spec: ConnectorSpec, phases: int, amperes: float, watts: float) -> None:
    in_a, in_w = profile(TX, (0, amperes), unit="A", phases=phases), profile(TX, (0, watts), phases=phases)
    assert levels(in_a, spec=spec) == [(0, watts)]
    assert levels(in_w, spec=spec, unit="A") == [(0, amperes)]


def test_the_least_of_two_units_is_found_in_the_one_that_is_asked_for() -> None:
    cap = profile(MAX, (0, 32), connector=0, unit="A", phases=3)
    assert merged(LIVE, cap) == [Segment(0, 11_000, 3), Segment(180, 22_080, 3)]
    assert merged(profile(TX, (0, 16), unit="A", phases=1), cap, unit="A") == [Segment(0, 16, 1)]


def test_what_replaces_what() -> None:
    """§3.13.2: one profile for each purpose and stack level of a connector; and one for each id."""
    one = read_profile(1, profile(DEFAULT, (0, 1), level=1, id=5))
    assert read_profile(1, profile(DEFAULT, (0, 1), level=1, id=6)).replaces(one)
    assert read_profile(2, profile(TX, (0, 1), level=4, id=5)).replaces(one)
    assert not read_profile(2, profile(DEFAULT, (0, 1), level=1, id=6)).replaces(one)
    assert not read_profile(1, profile(DEFAULT, (0, 1), level=2, id=6)).replaces(one)


@pytest.mark.parametrize(
    "broken",
    [
        {"chargingProfileKind": "Recurring"},
        {"chargingProfilePurpose": "TxWish"},
        {"stackLevel": "high"},
        {"chargingSchedule": {}},
        {"chargingSchedule": {"chargingRateUnit": "W", "chargingSchedulePeriod": []}},
        {"chargingSchedule": {"chargingRateUnit": "VA", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 1}]}},
        {"chargingSchedule": {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": float("nan")}]}},
        {"chargingSchedule": {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": -1}]}},
        {"chargingSchedule": {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 5, "limit": 1}] * 2}},
        {"validTo": "tomorrow"},
        {"validTo": 17},
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_refused_by_name(broken: dict[str, Any]) -> None:
    with pytest.raises(UnreadableProfile):
        read_profile(1, {**REST, **broken})


def test_times_beyond_every_calendar_do_no_harm() -> None:
    far = datetime(9999, 12, 31, tzinfo=UTC)
    odd = profile(DEFAULT, (0, 1_000), (10.0**15, 2_000), kind="Absolute", start=far, duration=10.0**15, validTo=far)
    assert levels(odd, profile(MAX, (0, 5_000), connector=0, validFrom=datetime(1970, 1, 1, tzinfo=UTC))) == [(0, 5_000)]
    assert read_profile(1, odd).ends_at() == far


# -- against a sampler --------------------------------------------------------------------------------------------

STEP_S = 60
GRID = st.integers(-40, 40).map(lambda k: k * STEP_S)
"""Moments on a coarse grid, so that sampling each step sees every change."""


@st.composite
def payloads(draw: st.DrawFn) -> dict[str, Any]:
    purpose = draw(st.sampled_from(Purpose))
    kind = draw(st.sampled_from(["Absolute", "Relative", "Recurring"]))
    starts = sorted(draw(st.sets(st.integers(1, 30).map(lambda k: k * STEP_S), max_size=3)))
    periods = [(at, draw(st.sampled_from([0.0, 5.0, 10.0, 16.0]))) for at in [0, *starts]]
    more: dict[str, Any] = {}
    if draw(st.booleans()):
        more["duration"] = draw(st.integers(1, 40)) * STEP_S
    if kind != "Relative":
        more["start"] = (
            NOW + timedelta(seconds=draw(GRID)) + draw(st.sampled_from([-1, 0, 1])) * timedelta(days=7 if kind == "Recurring" else 0)
        )
    for name in ("validFrom", "validTo"):
        if draw(st.booleans()):
            more[name] = NOW + timedelta(seconds=draw(GRID))
    if draw(st.booleans()):
        more["phases"] = draw(st.integers(1, 3))
    if purpose is TX and draw(st.booleans()):
        more["transaction"] = draw(st.sampled_from([7, 8]))
    if kind == "Recurring":
        more["recurrency"] = draw(st.sampled_from(["Daily", "Weekly"]))
    connector = 0 if purpose is MAX else draw(st.sampled_from([1, 1, 2] if purpose is TX else [0, 1, 2]))
    unit = draw(st.sampled_from(["A", "W"]))
    scaled = [(at, limit if unit == "A" else limit * 690) for at, limit in periods]
    return profile(purpose, *scaled, connector=connector, level=draw(st.integers(0, 3)), unit=unit, kind=kind, **more)


def sampled(held: list[dict[str, Any]], second: int, running: int | None, began_s: int, unit: str) -> tuple[float, int] | None:
    """What the rule says at one second, in plain dictionaries and seconds: no schedule is ever laid out."""
    said: dict[str, tuple[tuple[int, int], float, int]] = {}
    for p in held:
        purpose, where, schedule = p["chargingProfilePurpose"], p["connector"], p["chargingSchedule"]
        if where not in (0, 1) or (purpose == "TxProfile" and (running is None or p.get("transactionId", running) != running)):
            continue
        seconds = {
            name: (datetime.fromisoformat(text) - NOW).total_seconds()
            for name, text in [("from", p.get("validFrom")), ("to", p.get("validTo")), ("start", schedule.get("startSchedule"))]
            if text
        }
        if second < seconds.get("from", second) or second >= seconds.get("to", second + 1):
            continue
        into = second - seconds.get("start", began_s if running is not None else 0)
        if p["chargingProfileKind"] == "Recurring":
            length = {"Daily": 86_400, "Weekly": 604_800}[p["recurrencyKind"]]
            while into >= length:
                into -= length
            while into < 0:
                into += length
        if into < 0 or into >= schedule.get("duration", into + 1):
            continue
        row = [r for r in schedule["chargingSchedulePeriod"] if r["startPeriod"] <= into][-1]
        phases = row.get("numberPhases", 3)
        limit = row["limit"]
        if schedule["chargingRateUnit"] != unit:
            limit = limit * 230 * phases if unit == "W" else limit / 230 / phases
        rank = (p["stackLevel"], where)
        if purpose not in said or rank > said[purpose][0]:
            said[purpose] = (rank, limit, phases)
    first = said.get("TxProfile") or said.get("TxDefaultProfile")
    both = [entry for entry in (first, said.get("ChargePointMaxProfile")) if entry]
    return (min(entry[1] for entry in both), min(entry[2] for entry in both)) if both else None


@settings(max_examples=150, deadline=None)
@given(
    held=st.lists(payloads(), max_size=6, unique_by=lambda p: (p["connector"], p["chargingProfilePurpose"], p["stackLevel"])),
    running=st.sampled_from([None, 7]),
    began_s=st.integers(-30, 0).map(lambda k: k * STEP_S),
    unit=st.sampled_from(["A", "W"]),
)
def test_it_says_at_every_sample_what_the_rule_says_there(held: list[dict[str, Any]], running: int | None, began_s: int, unit: str) -> None:
    transaction = None if running is None else Transaction(str(running), NOW + timedelta(seconds=began_s))
    segments = merged(*held, transaction=transaction, unit=unit, duration_s=40 * STEP_S)
    assert segments[0].start_s == 0
    assert all(a.start_s < b.start_s and (a.limit, a.phases) != (b.limit, b.phases) for a, b in pairwise(segments))
    for second in range(0, 40 * STEP_S, STEP_S // 2):
        here = [s for s in segments if s.start_s <= second][-1]
        wanted = sampled(held, second, running, began_s, unit)
        if wanted is None:
            assert here.limit is None
        else:
            assert here.limit == pytest.approx(wanted[0])
            assert here.phases == wanted[1]
