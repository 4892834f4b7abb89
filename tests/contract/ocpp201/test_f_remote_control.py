"""Block F, remote control: start, stop, unlock, and all that can be triggered."""

from __future__ import annotations

import pytest

from ocpp201.cases import case
from ocpp201.depot import Depot

pytestmark = pytest.mark.anyio


@case("TC_F_01_CSMS")
async def test_remote_start_cable_first(depot: Depot) -> None:
    async with depot.station() as station:
        running = station.transaction()
        await station.status("Occupied")
        await running.started("CablePluggedIn", chargingState="EVConnected", wh=1000)
        asked = {"evseId": 1, "idToken": {"idToken": "VALID", "type": "Central"}, "remoteStartId": 17}
        assert await depot.call(station, "RequestStartTransaction", **asked) == {"status": "Accepted"}
        assert station.calls("RequestStartTransaction") == [asked]
        said = await running.updated("RemoteStart", token="VALID", remoteStartId=17, chargingState="EVConnected")
        assert said["idTokenInfo"]["status"] == "Accepted"
        await running.updated("ChargingStateChanged", chargingState="Charging")
        assert (await depot.connector(station))["transaction_id"] is not None
