"""The station's profile stack as a truth table (OCPP 1.6 §3.13, §5.3, §5.7, §5.16)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from ocpp.v16.enums import ChargingProfilePurposeType as Purpose
from simulator_central import START

from simulator.profiles import Profile, ProfileStack


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def profile(
    purpose: str, *limits: tuple[float, float], level: int = 0, profile_id: int | None = None, kind: str = "Absolute", **more: Any
) -> Profile:
    """``limits``: (seconds from schedule start, W); ``start``, ``duration``: of the schedule; the rest are profile fields."""
    schedule: dict[str, Any] = {
        "charging_rate_unit": "W",
        "charging_schedule_period": [{"start_period": s, "limit": w} for s, w in limits],
    }
    if "start" in more:
        schedule["start_schedule"] = more.pop("start").isoformat()
    if "duration" in more:
        schedule["duration"] = more.pop("duration")
    fields = {k: v.isoformat() if isinstance(v, datetime) else v for k, v in more.items()}
    data = {
        "charging_profile_id": profile_id if profile_id is not None else hash((purpose, level)) % 1000,
        "stack_level": level,
        "charging_profile_purpose": purpose,
        "charging_profile_kind": kind,
        "charging_schedule": schedule,
        **fields,
    }
    return Profile.parse(data, now=START)


TX, DEFAULT, MAX = "TxProfile", "TxDefaultProfile", "ChargePointMaxProfile"

# installed as (connector, profile) | asked at, s | own limit | cap | next change, s
TABLE: list[tuple[str, list[tuple[int, Profile]], float, float | None, float | None, float | None]] = [
    ("nothing installed: no limit", [], 0, None, None, None),
    ("a default alone", [(1, profile(DEFAULT, (0, 4000)))], 0, 4000, None, None),
    ("a default for the whole station", [(0, profile(DEFAULT, (0, 4000)))], 0, 4000, None, None),
    (
        "a connector's own default replaces the common one",
        [(0, profile(DEFAULT, (0, 4000), level=5)), (1, profile(DEFAULT, (0, 6000), profile_id=9))],
        0,
        6000,
        None,
        None,
    ),
    ("another connector's default does not count", [(2, profile(DEFAULT, (0, 4000)))], 0, None, None, None),
    (
        "the transaction's profile overrules the default, even upwards and on a lower level",
        [(1, profile(DEFAULT, (0, 4000), level=7)), (1, profile(TX, (0, 9000), level=0))],
        0,
        9000,
        None,
        None,
    ),
    (
        "of two levels the higher one",
        [(1, profile(TX, (0, 9000), level=1, profile_id=1)), (1, profile(TX, (0, 5000), level=2, profile_id=2))],
        0,
        5000,
        None,
        None,
    ),
    (
        "a higher level that is not yet valid waits, and says when",
        [(1, profile(TX, (0, 9000), level=1, profile_id=1)), (1, profile(TX, (0, 5000), level=2, profile_id=2, valid_from=at(60)))],
        0,
        9000,
        None,
        60,
    ),
    (
        "validTo: the profile runs out and leaves the field to the default",
        [(1, profile(DEFAULT, (0, 4000))), (1, profile(TX, (0, 9000), valid_to=at(180)))],
        179,
        9000,
        None,
        180,
    ),
    (
        "at validTo itself the default holds",
        [(1, profile(DEFAULT, (0, 4000))), (1, profile(TX, (0, 9000), valid_to=at(180)))],
        180,
        4000,
        None,
        None,
    ),
    (
        "a duration ends a schedule as well",
        [(1, profile(DEFAULT, (0, 4000))), (1, profile(TX, (0, 9000), duration=100, start=at(0)))],
        100,
        4000,
        None,
        None,
    ),
    ("0 W is a limit, not the absence of one", [(1, profile(DEFAULT, (0, 4000))), (1, profile(TX, (0, 0)))], 0, 0, None, None),
    ("periods hold until the next", [(1, profile(TX, (0, 1000), (60, 2000), (120, 3000), start=at(0)))], 119, 2000, None, 120),
    ("startSchedule in the future", [(1, profile(TX, (0, 1000), start=at(500)))], 0, None, None, 500),
    ("Relative counts from the transaction's start", [(1, profile(TX, (0, 1000), (60, 2000), kind="Relative"))], 40, 2000, None, None),
    ("without startSchedule, Absolute does too", [(1, profile(TX, (0, 1000), (60, 2000)))], 29, 1000, None, 30),
    (
        "a daily schedule repeats",
        [(1, profile(DEFAULT, (0, 0), (3600, 7000), kind="Recurring", recurrency_kind="Daily", start=at(-86400 * 3)))],
        7200,
        7000,
        None,
        86400,
    ),
    (
        "a daily schedule with a duration rests in between",
        [(1, profile(DEFAULT, (0, 500), kind="Recurring", recurrency_kind="Daily", start=at(-86400), duration=3600))],
        4000,
        None,
        None,
        86400,
    ),
    ("the station's maximum is a cap beside it", [(1, profile(TX, (0, 9000))), (0, profile(MAX, (0, 5000)))], 0, 9000, 5000, None),
]


@pytest.mark.parametrize(("installed", "t", "own", "cap", "change"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_profile_in_force(
    installed: list[tuple[int, Profile]], t: float, own: float | None, cap: float | None, change: float | None
) -> None:
    stack = ProfileStack()
    for connector, one in installed:
        stack.install(connector, one)
    found_own, found_cap, found_change = stack.in_force(1, at(t), at(-30))
    assert (found_own.limit if found_own else None) == own
    assert (found_cap.limit if found_cap else None) == cap
    assert found_change == (at(change) if change is not None else None)


def test_same_purpose_and_level_replaces_and_so_does_the_same_id() -> None:
    stack = ProfileStack()
    stack.install(1, profile(TX, (0, 1000), level=1, profile_id=1))
    stack.install(1, profile(TX, (0, 2000), level=1, profile_id=2))
    assert len(stack) == 1
    stack.install(1, profile(TX, (0, 3000), level=4, profile_id=2))
    assert len(stack) == 1


def test_clear_by_id_by_criteria_and_everything() -> None:
    stack = ProfileStack()
    stack.install(1, profile(TX, (0, 1000), level=1, profile_id=1))
    stack.install(2, profile(TX, (0, 1000), level=1, profile_id=2))
    stack.install(1, profile(DEFAULT, (0, 1000), level=3, profile_id=3))
    assert not stack.clear(profile_id=99)
    assert stack.clear(profile_id=2)
    assert not stack.clear(connector=1, purpose=Purpose.tx_profile, stack_level=3)
    assert stack.clear(connector=1, purpose=Purpose.tx_profile)
    assert stack.clear()
    assert len(stack) == 0


def test_the_end_of_a_transaction_takes_its_own_profiles_only() -> None:
    stack = ProfileStack()
    stack.install(1, profile(TX, (0, 1000), profile_id=1))
    stack.install(2, profile(TX, (0, 2000), profile_id=2))
    stack.install(1, profile(DEFAULT, (0, 500), profile_id=3))
    stack.end_transaction(1)
    own, _, _ = stack.in_force(1, START, START)
    assert own is not None
    assert own.limit == 500
    assert len(stack) == 2


def test_composite_follows_expiry_into_the_default_and_the_cap() -> None:
    stack = ProfileStack()
    stack.install(1, profile(DEFAULT, (0, 4000), profile_id=1))
    stack.install(1, profile(TX, (0, 9000), (60, 3000), start=at(0), valid_to=at(180), profile_id=2))
    stack.install(0, profile(MAX, (0, 8000), profile_id=3))
    rows = stack.composite(1, at(0), seconds=600, transaction_start=START, watts=lambda allowed: allowed.limit)
    assert rows == [(0, 8000), (60, 3000), (180, 4000)]


@pytest.mark.parametrize(
    "change",
    [
        {"charging_schedule": {"charging_rate_unit": "W", "charging_schedule_period": [{"start_period": 5, "limit": 1}]}},
        {"charging_schedule": {"charging_rate_unit": "W", "charging_schedule_period": [{"start_period": 0, "limit": -1}]}},
        {"charging_schedule": {"charging_rate_unit": "W", "charging_schedule_period": []}},
        {"charging_profile_kind": "Recurring"},
        {"valid_to": "yesterday"},
    ],
)
def test_a_profile_that_makes_no_sense_is_an_error(change: dict[str, Any]) -> None:
    good = {
        "charging_profile_id": 1,
        "stack_level": 0,
        "charging_profile_purpose": TX,
        "charging_profile_kind": "Absolute",
        "charging_schedule": {"charging_rate_unit": "W", "charging_schedule_period": [{"start_period": 0, "limit": 1}]},
    }
    Profile.parse(good, now=START)
    with pytest.raises(ValueError, match=r"."):
        Profile.parse(good | change, now=START)
