"""Block O: messages on a station's display."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from octt.station import Payload

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station

pytestmark = pytest.mark.anyio

HELLO = [{"content": "Welcome", "format": "UTF8", "language": "en"}]


async def _show(depot: Depot, station: Station, **more: object) -> Payload:
    """Have the station show something; how it stands."""
    body = {"station_ids": [station.id], "priority": "NormalCycle", "texts": HELLO, "reason": "case"} | more
    done = await depot.post("/display-messages", {key: value for key, value in body.items() if value is not None})
    (message,) = done["messages"]
    found: Payload = message
    return found


async def _told(station: Station, times: int = 1) -> Payload:
    found: Payload = (await station.told("SetDisplayMessage", times=times))["message"]
    return found


async def _kept(depot: Depot, station: Station, message_id: int) -> Payload:
    shown = await depot.get("/display-messages", station_id=station.id)
    found: Payload = next(row for row in shown["messages"] if row["message_id"] == message_id)
    return found


def _tells(station: Station, depot: Depot, *parts: list[Payload]) -> None:
    """From now on the station tells these when it is asked."""
    import asyncio

    telling: set[asyncio.Task[None]] = set()

    async def tell(number: int) -> None:
        for n, part in enumerate(parts):
            assert await station.say("NotifyDisplayMessages", requestId=number, messageInfo=part, tbc=n < len(parts) - 1) == {}

    def asked(payload: Payload) -> Payload:
        telling.add(asyncio.ensure_future(tell(payload["requestId"])))
        return {"status": "Accepted"}

    station.answers["GetDisplayMessages"] = asked


async def _refresh(depot: Depot, station: Station, **more: object) -> Payload:
    done: Payload = await depot.post("/display-messages/refresh", {"station_id": station.id, "reason": "case", **more})
    return done


def _info(message_id: int, **more: object) -> Payload:
    return {"id": message_id, "priority": "NormalCycle", "message": {"format": "UTF8", "content": "Welcome", "language": "en"}, **more}


@case("TC_O_01_CSMS")
async def test_set(depot: Depot) -> None:
    async with depot.station() as station:
        message = await _show(depot, station)
        assert (message["state"], message["said"]) == ("accepted", "Accepted")
        told = await _told(station)
        assert (told["id"], told["priority"]) == (message["message_id"], "NormalCycle")
        assert told["message"] == {"format": "UTF8", "content": "Welcome", "language": "en"}


@case("TC_O_02_CSMS")
async def test_get_all(depot: Depot) -> None:
    async with depot.station() as station:
        mine = (await _show(depot, station))["message_id"]
        _tells(station, depot, [_info(mine)], [_info(90_001, priority="AlwaysFront")])
        done = await _refresh(depot, station)
        assert (done["state"], done["complete"]) == ("Accepted", True)
        assert {(row["message_id"], row["own"]) for row in done["messages"]} == {(mine, True), (90_001, False)}
        asked = await station.told("GetDisplayMessages")
        assert set(asked) == {"requestId"}


@case("TC_O_03_CSMS")
async def test_get_all_without_any(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["GetDisplayMessages"] = {"status": "Unknown"}
        done = await _refresh(depot, station)
        assert (done["state"], done["complete"], done["messages"]) == ("Unknown", True, [])


@case("TC_O_04_CSMS")
async def test_clear(depot: Depot) -> None:
    async with depot.station() as station:
        number = (await _show(depot, station))["message_id"]
        await depot.delete(f"/display-messages/{station.id}/{number}")
        assert station.calls("ClearDisplayMessage") == [{"id": number}]
        assert (await _kept(depot, station, number))["state"] == "cleared"


@case("TC_O_05_CSMS")
async def test_clear_unknown(depot: Depot) -> None:
    async with depot.station() as station:
        number = (await _show(depot, station))["message_id"]
        station.answers["ClearDisplayMessage"] = {"status": "Unknown"}
        done = await depot.delete(f"/display-messages/{station.id}/{number}")
        assert (done["status"], done["messages"][0]["said"]) == ("done", "Unknown")


async def _in_session(depot: Depot, station: Station) -> tuple[str, int]:
    """A running session: its name and the depot's number."""
    running = await station.session()
    shown = await depot.connector(station)
    return running.name, shown["transaction_id"]


@case("TC_O_06_CSMS")
async def test_specific_transaction(depot: Depot) -> None:
    async with depot.station() as station:
        name, number = await _in_session(depot, station)
        assert (await _show(depot, station, transaction_id=number, station_ids=None))["state"] == "accepted"
        assert (await _told(station))["transactionId"] == name


@case("TC_O_10_CSMS")
async def test_unknown_transaction(depot: Depot) -> None:
    async with depot.station() as station:
        _, number = await _in_session(depot, station)
        station.answers["SetDisplayMessage"] = {"status": "UnknownTransaction"}
        message = await _show(depot, station, transaction_id=number)
        assert (message["state"], message["said"]) == ("refused", "UnknownTransaction")


@case("TC_O_07_CSMS")
async def test_get_by_id(depot: Depot) -> None:
    async with depot.station() as station:
        first, second = [(await _show(depot, station))["message_id"] for _ in range(2)]
        _tells(station, depot, [_info(first)])
        assert (await _refresh(depot, station, message_ids=[first]))["complete"] is True
        assert (await station.told("GetDisplayMessages"))["id"] == [first]
        assert (await _kept(depot, station, second))["state"] == "accepted", "it was not asked for"


@case("TC_O_08_CSMS")
async def test_get_by_priority(depot: Depot) -> None:
    async with depot.station() as station:
        number = (await _show(depot, station, priority="InFront"))["message_id"]
        _tells(station, depot, [_info(number, priority="InFront")])
        assert (await _refresh(depot, station, priority="InFront"))["complete"] is True
        assert (await station.told("GetDisplayMessages"))["priority"] == "InFront"


@case("TC_O_09_CSMS")
async def test_get_by_state(depot: Depot) -> None:
    async with depot.station() as station:
        number = (await _show(depot, station, shown_while="Charging"))["message_id"]
        _tells(station, depot, [_info(number, state="Charging")])
        assert (await _refresh(depot, station, shown_while="Charging"))["complete"] is True
        assert (await station.told("GetDisplayMessages"))["state"] == "Charging"


@case("TC_O_11_CSMS")
async def test_get_with_unknown_parameters(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["GetDisplayMessages"] = {"status": "Unknown"}
        done = await _refresh(depot, station, message_ids=[4711])
        assert (done["state"], done["messages"]) == ("Unknown", [])


@case("TC_O_12_CSMS")
async def test_replace(depot: Depot) -> None:
    async with depot.station() as station:
        number = (await _show(depot, station))["message_id"]
        body = {"priority": "InFront", "texts": [{"content": "Other"}], "reason": "case"}
        done = await depot.put(f"/display-messages/{station.id}/{number}", body)
        assert done["messages"][0]["state"] == "accepted"
        told = await _told(station, times=2)
        assert (told["id"], told["priority"], told["message"]["content"]) == (number, "InFront", "Other")


async def _at_times(depot: Depot, *, in_session: bool, **when: timedelta) -> None:
    async with depot.station() as station:
        number = (await _in_session(depot, station))[1] if in_session else None
        times = {name: datetime.now(UTC) + later for name, later in when.items()}
        message = await _show(depot, station, transaction_id=number, **{name: at.isoformat() for name, at in times.items()})
        told = await _told(station)
        wire = {"start_at": "startDateTime", "end_at": "endDateTime"}
        assert {name: told[wire[name]][:19] for name in times} == {name: at.isoformat()[:19] for name, at in times.items()}
        assert (("transactionId" in told), message["over"]) == (in_session, False)


@case("TC_O_13_CSMS")
async def test_display_at_start_time(depot: Depot) -> None:
    await _at_times(depot, in_session=False, start_at=timedelta(minutes=1))


@case("TC_O_14_CSMS")
async def test_remove_after_end_time(depot: Depot) -> None:
    await _at_times(depot, in_session=False, end_at=timedelta(minutes=1))


@case("TC_O_27_CSMS")
async def test_specific_transaction_display_at_start_time(depot: Depot) -> None:
    await _at_times(depot, in_session=True, start_at=timedelta(minutes=1))


@case("TC_O_28_CSMS")
async def test_specific_transaction_remove_after_end_time(depot: Depot) -> None:
    await _at_times(depot, in_session=True, end_at=timedelta(minutes=1))


async def _refused(depot: Depot, word: str, **more: object) -> None:
    async with depot.station() as station:
        station.answers["SetDisplayMessage"] = {"status": word}
        message = await _show(depot, station, **more)
        assert (message["state"], message["said"]) == ("refused", word)


@case("TC_O_17_CSMS")
async def test_priority_not_supported(depot: Depot) -> None:
    await _refused(depot, "NotSupportedPriority", priority="AlwaysFront")


@case("TC_O_18_CSMS")
async def test_state_not_supported(depot: Depot) -> None:
    await _refused(depot, "NotSupportedState", shown_while="Faulted")


@case("TC_O_19_CSMS")
async def test_format_not_supported(depot: Depot) -> None:
    await _refused(depot, "NotSupportedMessageFormat", texts=[{"content": "<b>Hello</b>", "format": "HTML"}])


@case("TC_O_26_CSMS")
async def test_rejected(depot: Depot) -> None:
    await _refused(depot, "Rejected")


@case("TC_O_25_CSMS")
async def test_specific_state(depot: Depot) -> None:
    async with depot.station() as station:
        for state in ("Charging", "Faulted", "Idle", "Unavailable"):
            assert (await _show(depot, station, shown_while=state))["state"] == "accepted"
        assert [call["message"]["state"] for call in station.calls("SetDisplayMessage")] == ["Charging", "Faulted", "Idle", "Unavailable"]


@case("TC_O_100_CSMS")
async def test_unsupported_language(depot: Depot) -> None:
    await _refused(depot, "LanguageNotSupported", texts=[{"content": "Bienvenue", "language": "fr"}])


@case("TC_O_101_CSMS")
async def test_in_the_drivers_language(depot: Depot) -> None:
    async with depot.station() as station:
        texts = [{"content": "Welcome", "language": "en"}, {"content": "Willkommen", "language": "de"}]
        assert (await _show(depot, station, texts=texts))["state"] == "accepted"
        told = await _told(station)
        assert [text["language"] for text in (told["message"], *told["messageExtra"])] == ["en", "de"]
