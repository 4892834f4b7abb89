"""Availability of 2.x: StatusNotification and NotifyEvent say the same thing, and the newest word counts."""

from __future__ import annotations

from typing import Any

from ocpp_fakes import CP1, START, FakeDepot, Peer201, central_of, connected_201

from controller.clock import VirtualClock, run_virtual
from depot.events import ConnectorStatus
from ocpp_server.transactions201 import WHOLE_EVSE, Book


def event(component: str, value: str, at: str, *, evse: int | None = 1, connector: int | None = 1) -> dict[str, Any]:
    place: dict[str, Any] = {} if evse is None else {"evse": {"id": evse} | ({} if connector is None else {"connectorId": connector})}
    return {
        "eventId": 1, "timestamp": at, "trigger": "Delta", "actualValue": value, "eventNotificationType": "HardWiredNotification",
        "component": {"name": component, **place}, "variable": {"name": "AvailabilityState"},
    }  # fmt: skip


async def notify(peer: Peer201, *events: dict[str, Any]) -> None:
    answer = await peer.call("NotifyEvent", {"generatedAt": events[0]["timestamp"], "seqNo": 0, "eventData": list(events)})
    assert answer[0] == 3, answer


async def say(peer: Peer201, status: str, at: str, connector: int = 1) -> None:
    said = {"timestamp": at, "connectorStatus": status, "evseId": 1, "connectorId": connector}
    assert (await peer.call("StatusNotification", said))[0] == 3


def heard(*said: tuple[str, Any]) -> FakeDepot:
    """What the depot was told, when a station said so: by events, or by (status, time)."""
    depot = FakeDepot()

    async def run(clock: VirtualClock) -> None:
        async with central_of(depot, clock) as central, connected_201(central) as peer:
            await peer.boot()
            for how, what in said:
                await (say(peer, *what) if how == "status" else notify(peer, *what))

    run_virtual(run, start=START)
    return depot


def stamp(second: int) -> str:
    return f"2026-03-01T12:00:{second:02d}Z"


def test_an_event_of_a_connector_is_its_status() -> None:
    depot = heard(("event", [event("Connector", "Occupied", stamp(1))]), ("event", [event("Connector", "Faulted", stamp(2))]))
    assert depot.statuses == [(CP1, ConnectorStatus.PREPARING, "NoError"), (CP1, ConnectorStatus.FAULTED, "OtherError")]


def test_an_older_word_changes_nothing() -> None:
    depot = heard(("status", ("Available", stamp(9))), ("event", [event("Connector", "Faulted", stamp(3))]))
    assert [status for _, status, _ in depot.statuses] == [ConnectorStatus.AVAILABLE]


def test_an_evse_speaks_for_connectors_that_said_nothing() -> None:
    whole = event("EVSE", "Unavailable", stamp(1), connector=None)
    depot = heard(("event", [whole]), ("status", ("Available", stamp(2))), ("event", [{**whole, "timestamp": stamp(3)}]))
    shown = [status for _, status, _ in depot.statuses]
    assert shown == [ConnectorStatus.UNAVAILABLE, ConnectorStatus.AVAILABLE, ConnectorStatus.AVAILABLE]


def test_the_station_itself_has_a_status() -> None:
    depot = heard(("event", [event("ChargingStation", "Faulted", stamp(1), evse=None)]))
    assert [said[:3] for said in depot.station_statuses] == [("CP1", ConnectorStatus.FAULTED, "OtherError")]


def test_what_is_of_no_connector_or_of_no_status_is_passed_over() -> None:
    strange = [
        event("Connector", "Occupied", stamp(1), evse=None),
        event("Connector", "Occupied", stamp(1), evse=99),
        event("Connector", "Melting", stamp(1)),
        {**event("Connector", "Occupied", stamp(1)), "variable": {"name": "Problem"}},
        event("ChargingStation", "Occupied", stamp(1), evse=None),
    ]
    depot = heard(("event", strange))
    assert (depot.statuses, depot.station_statuses) == ([], [])


def test_a_word_without_a_believable_time_counts() -> None:
    book = Book((1,))
    assert book.connector_says(1, 1, "Available", START)
    assert book.connector_says(1, 1, "Occupied", None)
    assert book.status(1) is ConnectorStatus.PREPARING
    assert book.connector_says(1, WHOLE_EVSE, "Unavailable", START)
    assert book.status(1) is ConnectorStatus.PREPARING
