"""A station of 2.x is moved to a higher security profile: which slots are written, and what becomes of a refusal (A05)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from controller.profile_upgrade import Moved, move, slots_to_try
from depot import events as ev
from depot.events import Envelope
from depot.network_profiles import NetworkProfile
from depot.values import Outcome
from ocpp_server.actions import check_call
from ocpp_server.reply import Reply, read_reply
from ocpp_server.session import ResultReceived
from ocpp_server.version import Version

AT = datetime(2026, 11, 20, tzinfo=UTC)
CAUSE = Envelope("c", "small", 0, "x", 1, AT, None, AT, "anna", None, None, ev.ContractRootDistrusted(""))
URL = "wss://depot.example:9001/ocpp"


def replied(action: str, payload: dict[str, Any]) -> Reply:
    return read_reply(action, ResultReceived("m1", payload), Version.V201)[0]


class Station:
    """``says``: its status by action; ``slots``: priority and the active one as it tells them."""

    def __init__(self, says: dict[str, list[str]] | None = None, *, priority: str = "1,2", active: str = "1") -> None:
        self.says = says or {}
        self.priority, self.active = priority, active
        self.told: list[tuple[str, Any]] = []

    async def ask(self, station_id: str, action: str, payload: dict[str, Any]) -> Reply:
        values = {"NetworkConfigurationPriority": self.priority, "ActiveNetworkProfile": self.active}
        rows = []
        for asked in payload["getVariableData"]:
            value = values[asked["variable"]["name"]]
            row = {"component": asked["component"], "variable": asked["variable"], "attributeStatus": "Accepted" if value else "Rejected"}
            rows.append(row | ({"attributeValue": value} if value else {}))
        return replied(action, {"getVariableResult": rows})

    async def send(self, station_id: str, action: str, payload: dict[str, Any], cause: Envelope) -> Reply:
        check_call(action, payload, Version.V201)
        status = self.says[action].pop(0) if self.says.get(action) else "Accepted"
        if action == "SetNetworkProfile":
            self.told.append((action, payload["configurationSlot"]))
            assert payload["connectionData"]["securityProfile"] == 2
            assert payload["connectionData"]["ocppCsmsUrl"] == URL
        elif action == "SetVariables":
            (row,) = payload["setVariableData"]
            self.told.append((action, row["attributeValue"]))
            said = {"component": row["component"], "variable": row["variable"], "attributeStatus": status}
            return replied(action, {"setVariableResult": [said]})
        else:
            self.told.append((action, payload["type"]))
        return replied(action, {"status": status})


def moved(station: Station) -> Moved:
    return asyncio.run(move(station, "CP-1", Version.V201, NetworkProfile(URL, 2), CAUSE))


@pytest.mark.parametrize(
    ("priority", "active", "slots"),
    [((1, 2), 1, [0, 3, 2]), ((), None, [0, 1]), ((0,), 0, [1]), ((0, 1, 2), 0, [3, 2, 1]), ((1,), None, [0, 2]), ((5,), 5, [0, 1, 2])],
)
def test_the_slot_by_which_it_came_is_never_written(priority: tuple[int, ...], active: int | None, slots: list[int]) -> None:
    assert slots_to_try(priority, active) == slots


def test_a05_the_new_profile_is_tried_first_and_the_others_stay_behind_it() -> None:
    station = Station()
    assert moved(station) == Moved(Outcome.ACCEPTED)
    assert station.told == [("SetNetworkProfile", 0), ("SetVariables", "0,1,2"), ("Reset", "OnIdle")]


def test_a_slot_that_the_station_does_not_have_is_followed_by_the_next() -> None:
    station = Station({"SetNetworkProfile": ["Rejected", "Failed", "Accepted"]})
    assert moved(station) == Moved(Outcome.ACCEPTED)
    assert station.told[2:] == [("SetNetworkProfile", 2), ("SetVariables", "2,1"), ("Reset", "OnIdle")]


def test_a_station_that_says_nothing_of_its_slots_is_given_one_all_the_same() -> None:
    station = Station(priority="", active="")
    assert moved(station).outcome is Outcome.ACCEPTED
    assert station.told[:2] == [("SetNetworkProfile", 0), ("SetVariables", "0")]


def test_a_refusal_on_the_way_stops_the_move() -> None:
    station = Station({"SetNetworkProfile": ["Rejected"] * 3})
    assert moved(station) == Moved(Outcome.REFUSED, "SetNetworkProfile: Rejected")
    assert [action for action, _ in station.told] == ["SetNetworkProfile"] * 3
    station = Station({"SetVariables": ["Rejected"]})
    assert moved(station) == Moved(Outcome.REFUSED, "NetworkConfigurationPriority: Rejected")
    assert station.told[-1][0] == "SetVariables"


def test_a_station_that_does_not_restart_now_moves_later() -> None:
    station = Station({"Reset": ["Rejected"]})
    assert moved(station).outcome is Outcome.ACCEPTED
    assert "next restart" in moved(Station({"Reset": ["Rejected"]})).said
