"""Books of a 2.1 station: dynamic charging profiles that it may pull, and periodic event streams; and what calls of 2.1 could let flow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from depot.values import Outcome
from ocpp_server.actions import CALLS_21, Change, effect_of
from ocpp_server.dynamic_schedules import MOST, DynamicBook
from ocpp_server.event_streams import KEPT_VALUES, MOST_STREAMS, Stream, StreamBook, StreamValue
from ocpp_server.reply import Reply

ACCEPTED, REFUSED = Reply(Outcome.ACCEPTED), Reply(Outcome.REFUSED)


def dynamic(profile_id: int, limit: float, kind: str = "Dynamic") -> dict[str, Any]:
    period = {"startPeriod": 0, "limit": limit, "operationMode": "ChargingOnly"}
    schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [period]}
    return {
        "evseId": 1,
        "chargingProfile": {
            "id": profile_id, "stackLevel": 0, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": kind,
            "chargingSchedule": [schedule],
        },
    }  # fmt: skip


def test_what_a_station_pulls_is_what_it_accepted_last() -> None:
    book = DynamicBook()
    assert book.holds(7) is None
    book.note("SetChargingProfile", dynamic(7, 11_000), REFUSED)
    assert book.holds(7) is None
    book.note("SetChargingProfile", dynamic(7, 11_000), ACCEPTED)
    book.note("UpdateDynamicSchedule", {"chargingProfileId": 7, "scheduleUpdate": {"limit": 5_000, "setpoint": 4_000}}, ACCEPTED)
    book.note("UpdateDynamicSchedule", {"chargingProfileId": 7, "scheduleUpdate": {"limit": 22_000}}, REFUSED)
    book.note("UpdateDynamicSchedule", {"chargingProfileId": 8, "scheduleUpdate": {"limit": 22_000}}, ACCEPTED)
    assert book.holds(7) == {"limit": 5_000, "setpoint": 4_000}
    assert book.holds(8) is None


@pytest.mark.parametrize("clear", [{"chargingProfileId": 7}, {"chargingProfileCriteria": {"evseId": 1}}])
def test_a_profile_that_is_gone_is_not_pulled(clear: dict[str, Any]) -> None:
    book = DynamicBook()
    book.note("SetChargingProfile", dynamic(7, 11_000), ACCEPTED)
    book.note("ClearChargingProfile", clear, ACCEPTED)
    assert book.holds(7) is None


def test_a_profile_that_is_dynamic_no_more_or_forgotten_is_not_pulled() -> None:
    book = DynamicBook()
    book.note("SetChargingProfile", dynamic(7, 11_000), ACCEPTED)
    book.note("SetChargingProfile", dynamic(7, 11_000, kind="Absolute"), ACCEPTED)
    assert book.holds(7) is None
    for number in range(2 * MOST):
        book.note("SetChargingProfile", dynamic(number, 1), ACCEPTED)
    assert (book.holds(0), book.holds(2 * MOST - 1)) == (None, {"limit": 1})
    book.forget()
    assert book.holds(2 * MOST - 1) is None


def test_streams_are_bounded() -> None:
    book = StreamBook()
    for number in range(MOST_STREAMS):
        assert book.open(Stream(number))
    assert not book.open(Stream(MOST_STREAMS))
    assert not book.take(MOST_STREAMS, 0, [])
    assert book.open(Stream(3, 17, 60, 10)), "the same id is the same stream"
    values = [StreamValue(datetime(2026, 11, 20, tzinfo=UTC), str(n)) for n in range(3 * KEPT_VALUES)]
    assert book.take(3, 5, values)
    stream = book.streams[3]
    assert (stream.monitor_id, stream.heard, len(stream.values), stream.values[-1].value) == (17, 150, KEPT_VALUES, "149")
    book.close(0)
    book.close(0)
    assert book.open(Stream(99))


def test_a_stream_goes_on_with_other_parameters_once_the_station_took_them() -> None:
    book = StreamBook()
    book.open(Stream(3, 17, 60, 10))
    wanted = {"id": 3, "params": {"interval": 5}}
    book.note("AdjustPeriodicEventStream", wanted, REFUSED)
    book.note("AdjustPeriodicEventStream", {"id": 4, "params": {}}, ACCEPTED)
    book.note("AdjustPeriodicEventStream", wanted, ACCEPTED)
    assert [(s.interval_s, s.bundle) for s in book.streams] == [(5, 10)]


@pytest.mark.parametrize(
    ("action", "payload", "changes"),
    [
        ("UpdateDynamicSchedule", {"chargingProfileId": 7, "scheduleUpdate": {"limit": 1}}, {Change.PROFILES}),
        ("UsePriorityCharging", {"transactionId": "t", "activate": True}, {Change.PROFILES}),
        ("UsePriorityCharging", {"transactionId": "t", "activate": False}, set()),
        ("AFRRSignal", {"timestamp": "2026-11-20T12:00:00Z", "signal": 5}, {Change.PROFILES}),
        ("SetDERControl", {"isDefault": True, "controlId": "a", "controlType": "FreqDroop"}, {Change.PROFILES}),
        ("ClearDERControl", {"isDefault": True}, {Change.PROFILES}),
        ("RequestBatterySwap", {"requestId": 1, "idToken": {"idToken": "R", "type": "Central"}}, {Change.START}),
        ("GetDERControl", {"requestId": 1}, set()),
        ("GetTariffs", {"evseId": 0}, set()),
        ("NotifyWebPaymentStarted", {"evseId": 1, "timeout": 60}, set()),
    ],
)
def test_invariant_1_what_could_let_power_flow_is_known(action: str, payload: dict[str, Any], changes: set[Change]) -> None:
    assert action in CALLS_21
    assert effect_of(action, payload).changes == changes


@pytest.mark.parametrize("purpose", ["PriorityCharging", "LocalGeneration", "TxProfile"])
def test_invariant_1_a_profile_of_2_1_that_may_stand_above_ours_is_counted(purpose: str) -> None:
    payload = dynamic(7, 1)
    payload["chargingProfile"]["chargingProfilePurpose"] = purpose
    profile = effect_of("SetChargingProfile", payload).profile
    assert profile is not None
    assert profile.may_raise


@pytest.mark.parametrize(
    ("evse", "number", "operative"),
    [({}, 0, False), ({"evse": {"id": 2}}, 2, False), ({"evse": {"id": 2, "connectorId": 1}}, 2, None)],
)
def test_one_plug_of_an_evse_is_not_the_evse(evse: dict[str, object], number: int, operative: bool | None) -> None:
    effect = effect_of("ChangeAvailability", {"operationalStatus": "Inoperative", **evse})
    assert (effect.number, effect.operative) == (number, operative)
