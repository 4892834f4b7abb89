"""Simulated stations of 2.0.1 with what they are told beside charging: messages, customers, network profiles, publications."""

from __future__ import annotations

from typing import Any

from simulator_central import Central
from test_simulator_station201 import play

from controller.clock import VirtualClock
from simulator.told201 import MOST_MESSAGES
from simulator.world import World

HELLO = {"format": "UTF8", "content": "Welcome"}


def _shows(number: int, **more: Any) -> dict[str, Any]:
    return {"message": {"id": number, "priority": "NormalCycle", "message": HELLO, **more}}


def test_messages_are_kept_told_in_parts_and_removed() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await clock.sleep(30)

        async def ask(action: str, payload: dict[str, Any]) -> Any:
            return await central.call("CP1", action, **payload)

        for number in (1, 2, 3, 4):
            assert (await ask("SetDisplayMessage", _shows(number)))["status"] == "Accepted"
        html = {**HELLO, "format": "HTML"}
        assert (await ask("SetDisplayMessage", _shows(5, message=html)))["status"] == "NotSupportedMessageFormat"
        assert (await ask("SetDisplayMessage", _shows(5, transactionId="gone")))["status"] == "UnknownTransaction"
        assert (await ask("GetDisplayMessages", {"requestId": 7}))["status"] == "Accepted"
        await clock.sleep(5)
        told = [heard.payload for heard in central.of("NotifyDisplayMessages")]
        assert [[m["id"] for m in part["messageInfo"]] for part in told] == [[1, 2, 3], [4]]
        assert [part["tbc"] for part in told] == [True, False]
        assert (await ask("ClearDisplayMessage", {"id": 4}))["status"] == "Accepted"
        assert (await ask("ClearDisplayMessage", {"id": 4}))["status"] == "Unknown"
        assert (await ask("GetDisplayMessages", {"requestId": 8, "id": [4]}))["status"] == "Unknown"
        for number in range(10, 10 + MOST_MESSAGES):
            last = await ask("SetDisplayMessage", _shows(number))
        assert last["status"] == "Rejected", "it has room for so many"

    play(script)


def test_customers_profiles_and_publications() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await clock.sleep(30)

        async def ask(action: str, payload: dict[str, Any]) -> Any:
            return await central.call("CP1", action, **payload)

        token = {"idToken": "van-1", "type": "Central"}
        assert (await ask("CustomerInformation", {"requestId": 3, "report": True, "clear": True, "idToken": token}))["status"] == "Accepted"
        data = {
            "ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": "ws://127.0.0.1:9000/ocpp", "messageTimeout": 30,
            "securityProfile": 1, "ocppInterface": "Wired0",
        }  # fmt: skip
        for slot, word in ((1, "Accepted"), (9, "Rejected")):
            assert (await ask("SetNetworkProfile", {"configurationSlot": slot, "connectionData": data}))["status"] == word
        asked = {"requestId": 5, "location": "http://127.0.0.1/fw.bin", "checksum": "a" * 32}
        assert (await ask("PublishFirmware", asked))["status"] == "Accepted"
        await clock.sleep(5)
        words = [heard.payload["status"] for heard in central.of("PublishFirmwareStatusNotification")]
        assert words == ["Downloading", "Downloaded", "ChecksumVerified", "Published"]
        (told,) = [heard.payload for heard in central.of("NotifyCustomerInformation")]
        assert (told["requestId"], told["tbc"]) == (3, False)
        assert (await ask("UnpublishFirmware", {"checksum": "a" * 32}))["status"] == "Unpublished"
        assert (await ask("UnpublishFirmware", {"checksum": "a" * 32}))["status"] == "NoFirmware"
        assert await ask("CostUpdated", {"totalCost": 1.5, "transactionId": "x"}) == {}

    play(script)
