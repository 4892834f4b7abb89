"""The book of installed profiles: what a station is believed to hold after each call, boot and transaction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from depot.registry import ConnectorSpec
from depot.smart_charging import Step
from depot.values import ConnectorId, Outcome, Setpoint
from ocpp_server.composite import Segment, Transaction
from ocpp_server.installed import BY_CALL, OURS, InstalledBook
from ocpp_server.profiles import Purpose, Rung, default_profile, live_profile
from ocpp_server.profiles201 import as_16, as_201
from ocpp_server.reply import Reply

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
AC = ConnectorSpec(1, 22_000, 4_140)
ACCEPTED, REFUSED, TIMEOUT = Reply(Outcome.ACCEPTED), Reply(Outcome.REFUSED), Reply(Outcome.TIMEOUT)
UNKNOWN_STATUS = Reply(Outcome.REFUSED, {"status": "Unknown"})


def default(level_w: int = 4_140, connector: int = 1) -> dict[str, Any]:
    rung = Rung(Purpose.TX_DEFAULT, "W", "Relative")
    return {
        "connectorId": connector,
        "csChargingProfiles": default_profile(level_w, connector, AC, rung, now=NOW, skew=timedelta()),
    }


def live(level_w: int = 11_000, *, transaction_id: int | None = 7, life_s: int = 180) -> dict[str, Any]:
    setpoint = Setpoint(ConnectorId("CP1", 1), level_w, NOW + timedelta(seconds=life_s), transaction_id=transaction_id)
    profile = live_profile(setpoint, AC, Rung(Purpose.TX, "W"), now=NOW, skew=timedelta(), max_stack_level=8)
    return {"connectorId": 1, "csChargingProfiles": profile}


def book(*calls: tuple[dict[str, Any], Reply, str]) -> InstalledBook:
    made = InstalledBook()
    for payload, reply, source in calls:
        made.note("SetChargingProfile", payload, reply, source=source, now=NOW)
    return made


def shown(made: InstalledBook, at: datetime = NOW) -> list[tuple[str, float, bool, str]]:
    return [(e.profile.purpose.value, e.profile.periods[0].limit, e.confirmed, e.source) for e in made.held(at)]


def test_what_was_accepted_is_held_and_the_newer_one_replaces_the_older() -> None:
    made = book((default(), ACCEPTED, OURS), (live(9_000), ACCEPTED, OURS), (live(11_000), ACCEPTED, OURS))
    assert shown(made) == [("TxDefaultProfile", 4_140, True, OURS), ("TxProfile", 11_000, True, OURS)]
    assert made.running[1].transaction_id == "7", "it would have refused the profile otherwise"
    found = made.composite(1, spec=AC, at=NOW, duration_s=600, unit="W")
    assert found == [Segment(0, 11_000, 3), Segment(180, 4_140, 3)]


def test_what_has_run_out_is_no_longer_held() -> None:
    made = book((default(), ACCEPTED, OURS), (live(), ACCEPTED, OURS))
    assert shown(made, NOW + timedelta(seconds=180)) == [("TxDefaultProfile", 4_140, True, OURS)]


@pytest.mark.parametrize("reply", [REFUSED, Reply(Outcome.UNSUPPORTED), Reply(Outcome.ERROR), Reply(Outcome.OFFLINE)])
def test_what_was_refused_changes_nothing(reply: Reply) -> None:
    made = book((default(), ACCEPTED, OURS))
    assert not made.note("SetChargingProfile", default(9_000), reply, source=OURS, now=NOW)
    assert shown(made) == [("TxDefaultProfile", 4_140, True, OURS)]


def test_what_was_not_answered_may_be_there_beside_what_it_may_have_replaced() -> None:
    made = book((default(4_140), ACCEPTED, OURS), (default(9_000), TIMEOUT, OURS), (default(8_000), TIMEOUT, OURS))
    assert shown(made) == [("TxDefaultProfile", 4_140, True, OURS), ("TxDefaultProfile", 8_000, False, OURS)]
    assert not made.certain(1, NOW)
    assert made.certain(2, NOW)
    made.note("SetChargingProfile", default(5_000), ACCEPTED, source=OURS, now=NOW)
    assert shown(made) == [("TxDefaultProfile", 5_000, True, OURS)]


def test_a_persons_profile_is_his_even_with_our_id_and_takes_our_place() -> None:
    made = book((default(), ACCEPTED, OURS), (default(20_000), ACCEPTED, BY_CALL))
    assert shown(made) == [("TxDefaultProfile", 20_000, True, BY_CALL)]
    assert made.default(1) is None
    other = {**default(1_000), "csChargingProfiles": {**default(1_000)["csChargingProfiles"], "chargingProfileId": 900, "stackLevel": 5}}
    made = book((default(), ACCEPTED, OURS), (other, ACCEPTED, BY_CALL))
    assert made.default(1) is not None
    assert [s.limit for s in made.composite(1, spec=AC, at=NOW, duration_s=60, unit="W")] == [1_000]


def test_the_end_of_a_transaction_takes_its_profiles_with_it() -> None:
    made = book((default(), ACCEPTED, OURS), (live(), ACCEPTED, OURS))
    made.ended("8")
    assert len(shown(made)) == 2
    made.ended("7")
    assert shown(made) == [("TxDefaultProfile", 4_140, True, OURS)]
    assert not made.running


def test_a_profile_that_came_with_the_start_holds_for_the_transaction_that_follows() -> None:
    made = book((default(), ACCEPTED, OURS))
    start = {"connectorId": 1, "idTag": "T", "chargingProfile": live(transaction_id=None)["csChargingProfiles"]}
    made.note("RemoteStartTransaction", start, ACCEPTED, source=OURS, now=NOW)
    assert [s.limit for s in made.composite(1, spec=AC, at=NOW, duration_s=60, unit="W")] == [4_140]
    made.began(1, Transaction("7", NOW))
    assert [s.limit for s in made.composite(1, spec=AC, at=NOW, duration_s=60, unit="W")] == [11_000]
    made.began(1, Transaction("8", NOW))
    assert [s.limit for s in made.composite(1, spec=AC, at=NOW, duration_s=60, unit="W")] == [4_140]


def test_after_a_boot_nothing_is_sure_and_nothing_runs() -> None:
    made = book((default(), ACCEPTED, OURS), (live(), ACCEPTED, OURS))
    made.restarted()
    assert shown(made) == [("TxDefaultProfile", 4_140, False, OURS)]
    assert not made.running
    assert made.default(1) is None


@pytest.mark.parametrize(
    ("criteria", "left"),
    [
        ({"id": 14}, 1),
        ({"id": 14, "connectorId": 2}, 1),
        ({"chargingProfilePurpose": "TxProfile"}, 1),
        ({"connectorId": 1, "stackLevel": 2}, 1),
        ({"connectorId": 2}, 2),
        ({}, 0),
        ({"chargingProfileId": 14}, 1),
        ({"chargingProfileCriteria": {"evseId": 1, "chargingProfilePurpose": "TxDefaultProfile"}}, 1),
        ({"chargingProfileCriteria": {"chargingProfilePurpose": "ChargingStationMaxProfile"}}, 2),
    ],
)
def test_clearing_by_id_or_by_all_that_is_given(criteria: dict[str, Any], left: int) -> None:
    for reply in (ACCEPTED, UNKNOWN_STATUS):
        made = book((default(), ACCEPTED, OURS), (live(), ACCEPTED, OURS))
        made.note("ClearChargingProfile", criteria, reply, source=BY_CALL, now=NOW)
        assert len(made.held(NOW)) == left


def test_a_clearing_that_was_refused_or_not_answered() -> None:
    made = book((default(), ACCEPTED, OURS))
    assert not made.note("ClearChargingProfile", {}, Reply(Outcome.UNSUPPORTED), source=BY_CALL, now=NOW)
    assert made.note("ClearChargingProfile", {}, TIMEOUT, source=BY_CALL, now=NOW)
    assert shown(made) == [("TxDefaultProfile", 4_140, False, OURS)]


def test_both_versions_fill_the_same_book() -> None:
    sent = live()
    made = InstalledBook()
    payload = {"evseId": 1, "chargingProfile": as_201(sent["csChargingProfiles"], "tx-a")}
    assert made.note("SetChargingProfile", payload, ACCEPTED, source=OURS, now=NOW)
    (entry,) = made.held(NOW)
    assert entry.payload == {**sent["csChargingProfiles"], "transactionId": "tx-a"}
    assert as_16(as_201(sent["csChargingProfiles"], "tx-a")) == entry.payload
    assert made.running[1] == Transaction("tx-a", NOW - timedelta(seconds=10))


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"connectorId": 1},
        {"connectorId": 1, "csChargingProfiles": {}},
        {"evseId": 1, "chargingProfile": {"id": 1, "chargingProfilePurpose": "TxProfile", "chargingSchedule": []}},
        {"connectorId": "1", "csChargingProfiles": default()["csChargingProfiles"]},
    ],
)
def test_a_call_that_names_no_readable_profile_changes_nothing(payload: dict[str, Any]) -> None:
    made = InstalledBook()
    assert not made.note("SetChargingProfile", payload, ACCEPTED, source=BY_CALL, now=NOW)
    assert not made.note("Reset", {"type": "Hard"}, ACCEPTED, source=BY_CALL, now=NOW)


# ---------------------------------------------------------------------- what others have set, and 2.1


def given(number: int, limit: float, **more: Any) -> dict[str, Any]:
    """A profile in the shape of 2.x; ``schedule`` and ``period`` are laid over its parts."""
    period = {"startPeriod": 0, "limit": limit} | more.pop("period", {})
    schedule = {"id": number, "chargingRateUnit": "W", "chargingSchedulePeriod": [period], **more.pop("schedule", {})}
    plain = {"id": number, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative"}
    return {**plain, "chargingSchedule": [schedule], **more}


def by_hand(made: InstalledBook, profile: dict[str, Any], evse: int = 1) -> None:
    made.note("SetChargingProfile", {"evseId": evse, "chargingProfile": profile}, ACCEPTED, source=BY_CALL, now=NOW)


def least(made: InstalledBook, *, connector: int = 1) -> float | None:
    return made.composite(connector, spec=AC, at=NOW, duration_s=60, unit="W")[0].limit


def test_what_an_energy_manager_limits_counts_beside_ours_until_it_is_released() -> None:
    made = book((default(8_000), ACCEPTED, OURS))
    made.limited(0, "EMS", (Step(NOW, 5_000), Step(NOW + timedelta(seconds=60), None)), None, NOW)
    assert made.composite(1, spec=AC, at=NOW, duration_s=600, unit="W") == [Segment(0, 5_000, 3), Segment(60, 8_000, 3)]
    made.limited(0, "EMS", (Step(NOW, 6_000),), None, NOW)
    made.reported(1, "EMS", [given(-7, 4_000, chargingProfilePurpose="ChargingStationExternalConstraints"), {"id": 3}], NOW)
    assert shown(made)[1:] == [
        ("ChargingStationExternalConstraints", 6_000, True, "EMS"),
        ("ChargingStationExternalConstraints", 4_000, True, "EMS"),
    ]
    assert (least(made), least(made, connector=0), least(made, connector=2)) == (4_000, 6_000, 6_000)
    made.released(1, "EMS")
    assert least(made) == 6_000
    made.released(None, "EMS")
    assert shown(made) == [("TxDefaultProfile", 8_000, True, OURS)]


def test_a_limit_without_a_number_makes_comparison_vague_and_a_boot_forgets_what_others_set() -> None:
    made = book((default(8_000), ACCEPTED, OURS))
    made.limited(1, "SO", (), None, NOW)
    assert (least(made), made.vague(1, NOW), made.vague(2, NOW)) == (8_000, "SO limits it, nobody knows how much", "")
    made.restarted()
    assert shown(made) == [("TxDefaultProfile", 8_000, False, OURS)]


@pytest.mark.parametrize(
    ("more", "limit", "vague"),
    [
        ({"period": {"limit_L2": 200, "limit_L3": 300}}, 1_500, ""),
        ({"period": {"evseSleep": True}}, 0, ""),
        ({"period": {"dischargeLimit": -5_000, "setpoint": -3_000}}, 1_000, ""),
        ({"schedule": {"limitAtSoC": {"soc": 80, "limit": 500}}}, 1_000, "a limit that depends on the state of charge"),
        ({"schedule": {"randomizedDelay": 60}}, 1_000, "a start that is delayed at random"),
        ({"schedule": {"useLocalTime": True}}, 1_000, "times that are the station's local ones"),
        ({"maxOfflineDuration": 60, "invalidAfterOfflineDuration": True}, 1_000, ""),
        ({"chargingProfileKind": "Dynamic"}, 1_000, ""),
        ({"chargingProfilePurpose": "PriorityCharging"}, None, "priority charging may be on or off"),
        ({"chargingProfilePurpose": "LocalGeneration"}, None, "power generated at the station adds to what it may draw"),
    ],
)
def test_profiles_of_2_1_are_read_as_far_as_they_can_be(more: dict[str, Any], limit: float | None, vague: str) -> None:
    made = InstalledBook()
    by_hand(made, given(3, 1_000, **more))
    assert (least(made), made.vague(1, NOW)) == (limit, vague)


def test_a_period_with_a_setpoint_alone_allows_what_it_sets_and_discharging_nothing() -> None:
    for setpoint, limit in ((2_000, 2_000), (-2_000, 0)):
        made = InstalledBook()
        profile = given(3, 0, period={"setpoint": setpoint, "operationMode": "CentralSetpoint"})
        del profile["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"]
        by_hand(made, profile)
        assert least(made) == limit


def test_a_dynamic_profile_says_what_it_was_updated_to_last() -> None:
    made = InstalledBook()
    by_hand(made, given(3, 1_000, chargingProfileKind="Dynamic"))
    update = {"chargingProfileId": 3, "scheduleUpdate": {"limit": 700}}
    made.note("UpdateDynamicSchedule", update, REFUSED, source=BY_CALL, now=NOW)
    assert least(made) == 1_000
    made.note("UpdateDynamicSchedule", update, ACCEPTED, source=BY_CALL, now=NOW)
    assert least(made) == 700
    made.note("UpdateDynamicSchedule", {**update, "scheduleUpdate": {"limit": 900}}, TIMEOUT, source=BY_CALL, now=NOW)
    assert not made.certain(1, NOW)


def test_what_a_boot_may_have_forgotten_can_be_left_out() -> None:
    made = InstalledBook()
    by_hand(made, given(3, 1_000, chargingProfilePurpose="ChargingStationMaxProfile"), evse=0)
    made.restarted()
    made.note("SetChargingProfile", default(8_000), ACCEPTED, source=OURS, now=NOW)
    assert least(made) == 1_000
    assert made.composite(1, spec=AC, at=NOW, duration_s=60, unit="W", confirmed_only=True)[0].limit == 8_000


def test_a_profile_is_in_flight_to_its_connector_from_when_it_leaves_until_that_call_has_ended() -> None:
    made = book((default(), ACCEPTED, OURS), (live(9_000), ACCEPTED, OURS))
    older, newer = live(11_000), live(12_000)
    assert made.in_flight(1) is None
    made.leaves("SetChargingProfile", older)
    made.leaves("SetChargingProfile", newer)  # of the station's next link
    made.note("SetChargingProfile", older, Reply(Outcome.UNKNOWN), source=OURS, now=NOW)
    found = made.in_flight(1)
    assert found is not None
    assert made.in_flight(2) is None
    said = [
        made.composite(1, spec=AC, at=NOW, duration_s=60, unit="W", confirmed_only=True, taken=taken)[0].limit for taken in (None, found)
    ]
    assert said == [9_000, 12_000]
    made.note("SetChargingProfile", newer, REFUSED, source=OURS, now=NOW)
    assert made.in_flight(1) is None
    made.leaves("ClearChargingProfile", {"id": 1})
    assert made.in_flight(1) is None


def test_a_profile_in_flight_lifts_no_limit_of_the_whole_station() -> None:
    made = InstalledBook()
    by_hand(made, given(3, 10_000, chargingProfilePurpose="ChargingStationMaxProfile"), evse=0)
    made.note("SetChargingProfile", live(9_000), ACCEPTED, source=OURS, now=NOW)
    made.leaves("SetChargingProfile", live(12_000))
    found = made.composite(1, spec=AC, at=NOW, duration_s=60, unit="W", confirmed_only=True, taken=made.in_flight(1))
    assert found[0].limit == 10_000
