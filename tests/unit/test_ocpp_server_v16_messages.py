"""OCPP 1.6: what a station says beside the everyday, and its effect: status of the whole, vendors' words, the end's data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from ocpp_fakes import START, FakeDepot, Peer, central_of, connected

from controller.clock import VirtualClock, run_virtual
from depot.events import ConnectorStatus, SignedReading, StatusDetail
from ocpp_server import Central
from ocpp_server.data_transfer import DataTransfers, Transferred, TransferStatus
from ocpp_server.desks import Desks

STAMP = "2026-03-01T12:00:00Z"
Play = Callable[[Central, FakeDepot, Peer], Awaitable[None]]


def play(main: Play, **options: Any) -> FakeDepot:
    """Run ``main`` on virtual time with a booted station."""
    depot = FakeDepot()

    async def run(clock: VirtualClock) -> None:
        async with central_of(depot, clock, **options) as central, connected(central) as peer:
            await peer.boot()
            await main(central, depot, peer)

    run_virtual(run, start=START)
    return depot


def test_the_status_of_the_whole_station_and_the_vendors_words_are_kept() -> None:
    async def main(_: Central, __: FakeDepot, peer: Peer) -> None:
        words = {"info": "fan 2", "vendorId": "com.acme", "vendorErrorCode": "E17"}
        for number in (0, 1):
            status = {"connectorId": number, "errorCode": "OtherError", "status": "Faulted", **words}
            assert (await peer.call("StatusNotification", status))[2] == {}

    depot = play(main)
    said = StatusDetail("fan 2", "com.acme", "E17")
    assert depot.station_statuses == [("CP1", ConnectorStatus.FAULTED, "OtherError", said)]
    assert depot.details == [said]


def stop_data(*sampled: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"timestamp": STAMP, "sampledValue": list(sampled)}]


@pytest.mark.parametrize(
    ("meter", "data", "wh"),
    [
        ({"meterStop": 2500}, stop_data({"value": "9999"}), 2500),
        ({"meterStop": 0}, stop_data({"value": "2.4", "unit": "kWh"}), 2400),
        ({}, stop_data({"value": "2400", "context": "Transaction.End"}), 2400),
        ({"meterStop": None}, stop_data({"value": "2400"}), 2400),
        ({}, stop_data({"value": "17", "measurand": "SoC"}), 1700),
        ({"meterStop": 0}, [], 1700),
        ({}, [{"timestamp": STAMP}], 1700),
    ],
)
def test_where_the_end_has_no_register_its_data_or_the_last_value_speak(meter: dict[str, Any], data: list[dict[str, Any]], wh: int) -> None:
    async def main(_: Central, __: FakeDepot, peer: Peer) -> None:
        number = await peer.start()
        sample = {"timestamp": STAMP, "sampledValue": [{"value": "1700"}]}
        await peer.call("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": [sample]})
        stop = {"transactionId": number, "timestamp": STAMP, "transactionData": data, **meter}
        assert (await peer.call("StopTransaction", stop))[0] == 3

    assert [stop.meter_stop_wh for stop in play(main).stops] == [wh]


def test_signed_values_of_the_end_are_kept_as_they_are() -> None:
    signed = {"value": "OCMF|{}|{}", "format": "SignedData", "context": "Transaction.End"}

    async def main(_: Central, __: FakeDepot, peer: Peer) -> None:
        data = stop_data({"value": "2400"}, signed, {"value": "x" * 9000, "format": "SignedData"})
        stop = {"transactionId": await peer.start(), "meterStop": 2400, "timestamp": STAMP, "transactionData": data}
        assert (await peer.call("StopTransaction", stop))[0] == 3

    (stop,) = play(main).stops
    assert stop.signed == (SignedReading(START, "Transaction.End", "Energy.Active.Import.Register", "OCMF|{}|{}"),)


def test_a_start_says_which_reservation_it_uses_up() -> None:
    async def main(_: Central, __: FakeDepot, peer: Peer) -> None:
        start = {"connectorId": 1, "idTag": "TAG1", "meterStart": 0, "timestamp": STAMP, "reservationId": 77}
        assert (await peer.call("StartTransaction", start))[0] == 3
        await peer.start(2, tag="TAG2")

    assert [request.reservation_id for request in play(main).requests] == [77, None]


@pytest.mark.parametrize("number", [0, 4711])
def test_meter_values_with_no_or_an_unknown_transaction_are_the_connectors(number: int) -> None:
    async def main(_: Central, __: FakeDepot, peer: Peer) -> None:
        sample = {"timestamp": STAMP, "sampledValue": [{"value": "7000", "measurand": "Power.Active.Import", "unit": "W"}]}
        assert (await peer.call("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": [sample]}))[0] == 3

    assert [(r.power_w, r.transaction_id) for r in play(main).readings] == [(7000, number or None)]


def test_data_transfers_reach_whom_they_are_for() -> None:
    async def double(station_id: str, data: str) -> Transferred:
        return Transferred(TransferStatus.ACCEPTED, f"{station_id}:{data}{data}")

    async def breaks(_: str, __: str) -> Transferred:
        raise ZeroDivisionError

    transfers = DataTransfers()
    transfers.register("com.acme", "Double", double)
    transfers.register("com.acme", None, breaks)
    asked = [
        ({"vendorId": "COM.ACME", "messageId": "double", "data": "ab"}, {"status": "Accepted", "data": "CP1:abab"}),
        ({"vendorId": "com.acme", "messageId": "Triple"}, {"status": "UnknownMessageId"}),
        ({"vendorId": "com.acme"}, {"status": "Rejected"}),
        ({"vendorId": "org.other", "messageId": "Double"}, {"status": "UnknownVendorId"}),
    ]

    async def main(_: Central, __: FakeDepot, peer: Peer) -> None:
        for request, answer in asked:
            assert (await peer.call("DataTransfer", request))[2] == answer

    play(main, desks=Desks(transfers))
