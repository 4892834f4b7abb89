"""What the central system asks of a station: remote start and stop, reset, unlock, configuration, trigger, profiles."""

from __future__ import annotations

from typing import Any

import pytest

from ocpp16.depot import Depot, Payload, Station, now

pytestmark = pytest.mark.anyio


# ---------------------------------------------------------------------- remote start and stop


async def test_tc_010_remote_start_cable_first(depot: Depot) -> None:
    async with depot.station() as station:
        await station.status("Preparing")
        asked = {"connectorId": 1, "idTag": "VALID"}
        assert await depot.call(station, "RemoteStartTransaction", **asked) == {"status": "Accepted"}
        assert station.calls("RemoteStartTransaction") == [{"connector_id": 1, "id_tag": "VALID"}]
        assert await station.authorize() == "Accepted"
        assert (await station.start_transaction()).id_tag_info["status"] == "Accepted"
        await station.status("Charging")
        assert (await depot.connector(station))["status"] == "Charging"


async def test_tc_011_1_remote_start_first(depot: Depot) -> None:
    async with depot.station() as station:
        await station.status("Available")
        assert await depot.call(station, "RemoteStartTransaction", connectorId=1, idTag="VALID") == {"status": "Accepted"}
        assert await station.authorize() == "Accepted"
        await station.status("Preparing")
        assert (await station.start_transaction()).id_tag_info["status"] == "Accepted"
        await station.status("Charging")


async def test_tc_011_2_remote_start_time_out(depot: Depot) -> None:
    async with depot.station() as station:
        assert await depot.call(station, "RemoteStartTransaction", connectorId=1, idTag="VALID") == {"status": "Accepted"}
        await station.status("Preparing")
        await station.status("Available")
        assert (await depot.connector(station))["transaction_id"] is None


async def test_tc_012_remote_stop(depot: Depot) -> None:
    async with depot.station() as station:
        number = await station.session()
        assert await depot.call(station, "RemoteStopTransaction", transactionId=number) == {"status": "Accepted"}
        assert await station.told("RemoteStopTransaction") == {"transaction_id": number}
        stopped = await station.stop_transaction(number, reason="Remote", id_tag="VALID")
        assert stopped.id_tag_info["status"] == "Accepted"
        await station.status("Finishing")
        await station.status("Available")
        assert (await depot.connector(station))["transaction_id"] is None


async def test_tc_026_remote_start_rejected(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["RemoteStartTransaction"] = {"status": "Rejected"}
        assert await depot.call(station, "RemoteStartTransaction", connectorId=1, idTag="VALID") == {"status": "Rejected"}
        assert (await depot.connector(station))["transaction_id"] is None


async def test_tc_028_remote_stop_rejected(depot: Depot) -> None:
    async with depot.station() as station:
        number = await station.session()
        station.answers["RemoteStopTransaction"] = {"status": "Rejected"}
        assert await depot.call(station, "RemoteStopTransaction", transactionId=number + 1000) == {"status": "Rejected"}
        assert (await depot.connector(station))["transaction_id"] == number


# ---------------------------------------------------------------------- reset, unlock


async def test_tc_013_hard_reset(depot: Depot) -> None:
    await _reset(depot, "Hard")


async def test_tc_014_soft_reset(depot: Depot) -> None:
    await _reset(depot, "Soft")


async def _reset(depot: Depot, kind: str) -> None:
    name, password = await depot.new()
    async with depot.connected(name, password) as station:
        await station.boot()
        number = await station.session()
        assert await depot.call(station, "Reset", type=kind) == {"status": "Accepted"}
        assert station.calls("Reset") == [{"type": kind}]
        await station.stop_transaction(number, reason=f"{kind}Reset")
    async with depot.connected(name, password) as station:
        assert (await station.boot()).status == "Accepted"
        for connector in (1, 2):
            await station.status("Available", connector)
        assert (await depot.connector(station))["transaction_id"] is None


async def _unlock(depot: Depot, station: Station, status: str, connector: int = 1) -> None:
    station.answers["UnlockConnector"] = {"status": status}
    assert await depot.call(station, "UnlockConnector", connectorId=connector) == {"status": status}
    assert station.calls("UnlockConnector") == [{"connector_id": connector}]


async def test_tc_017_1_unlock_without_a_session(depot: Depot) -> None:
    async with depot.station() as station:
        await _unlock(depot, station, "Unlocked")


async def test_tc_017_2_unlock_of_a_fixed_cable(depot: Depot) -> None:
    async with depot.station() as station:
        await _unlock(depot, station, "NotSupported")


async def test_tc_018_1_unlock_with_a_session(depot: Depot) -> None:
    async with depot.station() as station:
        number = await station.session()
        await _unlock(depot, station, "Unlocked")
        await station.status("Finishing")
        stopped = await station.stop_transaction(number, reason="UnlockCommand", id_tag="VALID")
        assert stopped.id_tag_info["status"] == "Accepted"
        await station.status("Available")
        assert (await depot.connector(station))["transaction_id"] is None


async def test_tc_030_unlock_failure(depot: Depot) -> None:
    async with depot.station() as station:
        await _unlock(depot, station, "UnlockFailed")


async def test_tc_031_unlock_of_an_unknown_connector(depot: Depot) -> None:
    async with depot.station() as station:
        await _unlock(depot, station, "NotSupported", connector=9)


# ---------------------------------------------------------------------- configuration


async def test_tc_019_1_retrieve_all_configuration_keys(depot: Depot) -> None:
    async with depot.station() as station:
        station.heard.clear()
        shown = await depot.get(f"/configuration/{station.id}", refresh=True)
        assert station.calls("GetConfiguration") == [{}]
        assert shown["outcome"] == "result"
        assert {row["key"]: row["value"] for row in shown["keys"]} == {**station.keys, "AuthorizationKey": "(hidden)"}


async def test_tc_019_2_retrieve_a_specific_configuration_key(depot: Depot) -> None:
    async with depot.station() as station:
        query: dict[str, Any] = {"refresh": True, "key": ["SupportedFeatureProfiles", "Nonsense"]}
        shown = await depot.get(f"/configuration/{station.id}", **query)
        assert {"key": ["SupportedFeatureProfiles", "Nonsense"]} in station.calls("GetConfiguration")
        assert [row["key"] for row in shown["keys"]] == ["SupportedFeatureProfiles"]
        assert shown["unknown"] == ["Nonsense"]


async def _change(depot: Depot, station: Station, key: str, value: str) -> Payload:
    done = await depot.put(f"/configuration/{station.id}", {"key": key, "value": value, "reason": "case"})
    assert {"key": key, "value": value} in station.calls("ChangeConfiguration")
    answer: Payload = done["answer"]
    return answer


async def test_tc_021_change_configuration(depot: Depot) -> None:
    async with depot.station() as station:
        assert (await _change(depot, station, "MeterValueSampleInterval", "30"))["status"] == "Accepted"
        shown = await depot.get(f"/configuration/{station.id}", key="MeterValueSampleInterval")
        assert [row["value"] for row in shown["keys"]] == ["30"]


async def test_tc_040_1_configuration_key_not_supported(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["ChangeConfiguration"] = {"status": "NotSupported"}
        assert (await _change(depot, station, "Nonsense", "1"))["status"] == "NotSupported"


async def test_tc_040_2_configuration_value_invalid(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["ChangeConfiguration"] = {"status": "Rejected"}
        assert (await _change(depot, station, "MeterValueSampleInterval", "-1"))["status"] == "Rejected"


# ---------------------------------------------------------------------- trigger


async def test_tc_054_trigger_message(depot: Depot) -> None:
    async with depot.station() as station:

        async def asked(message: str, **more: Any) -> None:
            assert await depot.call(station, "TriggerMessage", requestedMessage=message, **more) == {"status": "Accepted"}
            told = station.calls("TriggerMessage")[-1]
            assert told == {"requested_message": message} | ({"connector_id": 1} if more else {})

        await asked("MeterValues", connectorId=1)
        rows = [{"timestamp": now(), "sampled_value": [{"value": "1200", "context": "Trigger"}]}]
        await station.say("MeterValues", connector_id=1, meter_value=rows)
        await asked("Heartbeat")
        await station.say("Heartbeat")
        await asked("StatusNotification", connectorId=1)
        await station.status("Available")
        await asked("DiagnosticsStatusNotification")
        await station.say("DiagnosticsStatusNotification", status="Idle")
        await asked("FirmwareStatusNotification")
        await station.say("FirmwareStatusNotification", status="Idle")


async def test_tc_055_trigger_message_rejected(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["TriggerMessage"] = {"status": "Rejected"}
        assert await depot.call(station, "TriggerMessage", requestedMessage="MeterValues", connectorId=1) == {"status": "Rejected"}


# ---------------------------------------------------------------------- smart charging


def profile(purpose: str, *, number: int = 70, stack: int = 2, **more: Any) -> Payload:
    """A charging profile of 6 kW, absolute from now."""
    return {
        "chargingProfileId": number,
        "stackLevel": stack,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "duration": 600,
            "startSchedule": now(),
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6000.0}],
        },
        **more,
    }


def by_hand(payload: Payload) -> bool:
    """Whether a SetChargingProfile is the case's own, not the depot's."""
    return payload["cs_charging_profiles"]["charging_profile_id"] in (70, 71, 72)


async def test_tc_056_tx_default_profile(depot: Depot) -> None:
    async with depot.station() as station:
        wanted = profile("TxDefaultProfile", validFrom=now(), validTo=now(hours=-1))
        answer = await depot.call(station, "SetChargingProfile", connectorId=1, csChargingProfiles=wanted)
        assert answer == {"status": "Accepted"}
        told = (await station.told("SetChargingProfile", where=by_hand))["cs_charging_profiles"]
        assert (told["charging_profile_purpose"], told["charging_profile_kind"]) == ("TxDefaultProfile", "Absolute")
        assert not {"transaction_id", "recurrency_kind"} & set(told)


async def test_tc_057_tx_profile(depot: Depot) -> None:
    async with depot.station() as station:
        number = await station.session()
        wanted = profile("TxProfile", transactionId=number)
        answer = await depot.call(station, "SetChargingProfile", connectorId=1, csChargingProfiles=wanted)
        assert answer == {"status": "Accepted"}
        told = (await station.told("SetChargingProfile", where=by_hand))["cs_charging_profiles"]
        assert (told["transaction_id"], "recurrency_kind" in told) == (number, False)


async def test_tc_059_remote_start_with_a_profile(depot: Depot) -> None:
    async with depot.station() as station:
        wanted = profile("TxProfile")
        answer = await depot.call(station, "RemoteStartTransaction", connectorId=1, idTag="VALID", chargingProfile=wanted)
        assert answer == {"status": "Accepted"}
        told = (await station.told("RemoteStartTransaction"))["charging_profile"]
        assert "transaction_id" not in told
        assert told["charging_schedule"]["charging_schedule_period"][0]["start_period"] == 0
        assert await station.authorize() == "Accepted"
        await station.session()


async def test_tc_066_get_composite_schedule(depot: Depot) -> None:
    async with depot.station() as station:
        answer = await depot.call(station, "GetCompositeSchedule", connectorId=1, duration=300, chargingRateUnit="A")
        assert {"connector_id": 1, "duration": 300, "charging_rate_unit": "A"} in station.calls("GetCompositeSchedule")
        assert answer["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 16.0}]


async def test_tc_067_clear_charging_profile(depot: Depot) -> None:
    async with depot.station() as station:
        number = await station.session()
        wanted = [profile("ChargePointMaxProfile"), profile("TxDefaultProfile", number=71)]
        wanted.append(profile("TxProfile", number=72, transactionId=number))
        for connector, one in zip((0, 1, 1), wanted, strict=True):
            assert (await depot.call(station, "SetChargingProfile", connectorId=connector, csChargingProfiles=one))["status"] == "Accepted"
        by_criteria = {"connectorId": 1, "chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 2}
        for criteria in ({"id": 70}, by_criteria, {}):
            assert await depot.call(station, "ClearChargingProfile", **criteria) == {"status": "Accepted"}
        told = station.calls("ClearChargingProfile")
        assert {"id": 70} in told
        assert {"connector_id": 1, "charging_profile_purpose": "TxDefaultProfile", "stack_level": 2} in told
        assert {} in told
