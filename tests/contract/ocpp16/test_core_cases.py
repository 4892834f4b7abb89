"""Core profile, what stations begin: boot, sessions, id tokens, power failure, offline transactions, data transfer."""

from __future__ import annotations

import pytest

from ocpp16.depot import Depot, now

pytestmark = pytest.mark.anyio


async def test_tc_001_cold_boot(depot: Depot) -> None:
    async with depot.connected(*await depot.new()) as station:
        answer = await station.boot()
        assert (answer.status, answer.current_time[-1]) == ("Accepted", "Z")
        assert answer.interval >= 200
        for number in (0, 1, 2):
            await station.status("Available", number)
        assert (await station.say("Heartbeat")).current_time.endswith("Z")
        shown = await depot.get(f"/stations/{station.id}")
        assert (shown["vendor"], shown["model"], shown["connected"]) == ("Acme", "One", True)
        assert [shown["status"], *(c["status"] for c in shown["connectors"])] == ["Available"] * 3


async def test_tc_003_session_plug_in_first(depot: Depot) -> None:
    async with depot.station() as station:
        await station.status("Preparing")
        assert await station.authorize() == "Accepted"
        started = await station.start_transaction()
        assert started.id_tag_info["status"] == "Accepted"
        await station.status("Charging")
        shown = await depot.connector(station)
        assert (shown["status"], shown["transaction_id"]) == ("Charging", started.transaction_id)


async def test_tc_004_1_session_identification_first(depot: Depot) -> None:
    async with depot.station() as station:
        assert await station.authorize() == "Accepted"
        await station.status("Preparing")
        assert (await station.start_transaction()).id_tag_info["status"] == "Accepted"
        await station.status("Charging")
        assert (await depot.connector(station))["status"] == "Charging"


async def test_tc_004_2_identification_first_connection_time_out(depot: Depot) -> None:
    async with depot.station() as station:
        assert await station.authorize() == "Accepted"
        await station.status("Preparing")
        await station.status("Available")
        shown = await depot.connector(station)
        assert (shown["status"], shown["transaction_id"]) == ("Available", None)


async def test_tc_005_1_ev_side_disconnected(depot: Depot) -> None:
    async with depot.station() as station:
        number = await station.session()
        await station.status("SuspendedEV")
        stopped = await station.stop_transaction(number, reason="EVDisconnected", id_tag="VALID")
        assert stopped.id_tag_info["status"] == "Accepted"
        await station.status("Finishing")
        await station.status("Available")
        shown = await depot.connector(station)
        assert (shown["status"], shown["transaction_id"]) == ("Available", None)


async def test_tc_007_session_with_a_cached_id(depot: Depot) -> None:
    async with depot.station() as station:
        await station.status("Preparing")
        started = await station.start_transaction()  # no Authorize before it
        assert started.id_tag_info["status"] == "Accepted"
        assert (await depot.connector(station))["transaction_id"] == started.transaction_id


async def test_tc_061_clear_the_authorization_cache(depot: Depot) -> None:
    async with depot.station() as station:
        assert await depot.call(station, "ClearCache") == {"status": "Accepted"}
        assert station.calls("ClearCache") == [{}]


async def test_tc_023_1_authorize_invalid(depot: Depot) -> None:
    async with depot.station() as station:
        await station.status("Preparing")
        assert await station.authorize("STRANGER") == "Invalid"


async def test_tc_023_2_authorize_expired(depot: Depot) -> None:
    async with depot.station() as station:
        await station.status("Preparing")
        assert await station.authorize("EXPIRED") == "Expired"


async def test_tc_023_3_authorize_blocked(depot: Depot) -> None:
    async with depot.station() as station:
        await station.status("Preparing")
        assert await station.authorize("BLOCKED") == "Blocked"


async def test_tc_024_lock_failure(depot: Depot) -> None:
    async with depot.station() as station:
        assert await station.authorize() == "Accepted"
        await station.status("Preparing")
        await station.status("Faulted", error_code="ConnectorLockFailure", info="pin stuck", vendor_error_code="L1")
        shown = await depot.connector(station)
        assert (shown["status"], shown["error_code"]) == ("Faulted", "ConnectorLockFailure")
        assert (shown["detail"]["info"], shown["detail"]["vendor_error_code"]) == ("pin stuck", "L1")


async def test_tc_032_1_power_failure_boot_stop_transactions(depot: Depot) -> None:
    name, password = await depot.new()
    async with depot.connected(name, password) as station:
        await station.boot()
        number = await station.session()
    async with depot.connected(name, password) as station:
        assert (await station.boot()).status == "Accepted"
        await station.status("Finishing")
        await station.status("Available", 2)
        stopped = await station.stop_transaction(number, reason="PowerLoss", id_tag="VALID")
        assert stopped.id_tag_info["status"] == "Accepted"
        await station.status("Available")
        assert (await depot.connector(station))["transaction_id"] is None


async def test_tc_037_1_offline_start_valid_id_tag(depot: Depot) -> None:
    name, password = await depot.new()
    async with depot.connected(name, password) as station:
        await station.boot()
    async with depot.connected(name, password) as station:  # back without a boot, with what it kept
        started = await station.start_transaction(at=now(minutes=20))
        assert started.id_tag_info["status"] == "Accepted"
        await station.status("Charging")
        assert (await depot.connector(station))["transaction_id"] == started.transaction_id


async def test_tc_037_3_offline_start_invalid_id_tag_stopped(depot: Depot) -> None:
    name, password = await depot.new()
    async with depot.connected(name, password) as station:
        await station.boot()
    async with depot.connected(name, password) as station:
        started = await station.start_transaction("STRANGER", at=now(minutes=20))
        assert started.id_tag_info["status"] == "Invalid"
        await station.status("Charging")
        await station.stop_transaction(started.transaction_id, reason="DeAuthorized")
        await station.status("Finishing")
        assert (await depot.connector(station))["transaction_id"] is None


async def test_tc_039_offline_transaction(depot: Depot) -> None:
    name, password = await depot.new()
    async with depot.connected(name, password) as station:
        await station.boot()
    async with depot.connected(name, password) as station:
        started = await station.start_transaction(at=now(minutes=60))
        assert started.id_tag_info["status"] == "Accepted"
        stopped = await station.stop_transaction(started.transaction_id, at=now(minutes=30), id_tag="VALID")
        assert stopped.id_tag_info["status"] == "Accepted"
        assert (await depot.connector(station))["transaction_id"] is None


async def test_tc_064_data_transfer_to_the_central_system(depot: Depot) -> None:
    async with depot.station() as station:
        answer = await station.say("DataTransfer", vendor_id="org.nobody.knows", message_id="Hello", data="world")
        assert answer.status == "UnknownVendorId"
