"""Block P: vendors' own messages, and what they add to others."""

from __future__ import annotations

import pytest

from ocpp201.cases import case
from ocpp201.depot import Depot

pytestmark = pytest.mark.anyio

CUSTOM = {"vendorId": "com.example", "ABCLimit_x": {"EVSEId": 4, "nested": [1, 2]}, "note": "kept out of the way"}


@case("TC_P_02_CSMS")
async def test_data_transfer_to_the_central_system(depot: Depot) -> None:
    async with depot.station() as station:
        said = await station.say("DataTransfer", vendorId="com.example.unknown", messageId="Ping", data="hello")
        assert said == {"status": "UnknownVendorId"}
        assert (await station.say("DataTransfer", vendorId="com.example.unknown"))["status"] == "UnknownVendorId"


@case("TC_P_03_CSMS")
async def test_custom_data(depot: Depot) -> None:
    async with depot.station() as station:
        assert "currentTime" in await station.say("Heartbeat", customData=CUSTOM)
        box = {"model": "Two", "vendorName": "Acme", "customData": CUSTOM}
        assert (await station.say("BootNotification", reason="PowerUp", chargingStation=box, customData=CUSTOM))["status"] == "Accepted"
        running = station.transaction()
        await running.started("CablePluggedIn", chargingState="EVConnected", wh=1000, customData=CUSTOM)
        said = await running.updated(
            "Authorized", chargingState="Charging", idToken={"idToken": "VALID", "type": "Central", "customData": CUSTOM}, customData=CUSTOM
        )
        assert said["idTokenInfo"]["status"] == "Accepted"
        assert (await depot.connector(station))["transaction_id"] is not None
        assert (await depot.get(f"/stations/{station.id}"))["violations"] == {}


async def test_data_transfer_to_a_station_keeps_the_vendors_spelling(depot: Depot) -> None:
    """P01: any JSON goes out as it was given."""
    async with depot.station() as station:
        data = {"EVSEId": 1, "ABCLimit_x": 2}
        assert await depot.call(station, "DataTransfer", vendorId="com.example", messageId="Set", data=data) == {"status": "Accepted"}
        assert (await station.told("DataTransfer"))["data"] == data
