"""Network profiles: kept as stations accepted them, without secrets, and never so that a station is lost by mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from small_yard import run
from test_controller_stations import Depot

from controller.network_profiles import NetworkProfiles, NetworksView
from depot import commands as cmd
from depot.commands import CommandStatus
from depot.network_profiles import NetworkProfile, OwnDoors, without_userinfo
from depot.values import DepotError, Outcome
from ocpp_server.network_profiles import slots_of
from ocpp_server.reply import Reply
from ocpp_server.version import Version

DOORS = OwnDoors(frozenset({"depot.example"}), 9000, 9001)
HERE = "ws://depot.example:9000/ocpp"


class Told(Depot):
    """The small yard, its stations of 2.0.1, at security profile 1."""

    def __init__(self) -> None:
        super().__init__()
        self.spoken = Version.V201
        self.stations.version = lambda station_id: self.spoken if station_id.startswith("CP-") else None  # type: ignore[method-assign]
        self.networks = NetworkProfiles(self.yard, self.calls, doors=DOORS, security_profile=lambda _: 1)
        self.orders.carriers.update(self.networks.commands)

    async def give(self, url: str = HERE, profile: int = 1, **more: Any) -> cmd.CommandResult:
        return await self.order(cmd.SetNetworkProfile, station_id="CP-1", slot=1, profile=NetworkProfile(url, profile), **more)

    def sets(self, said: str) -> None:
        row = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "NetworkConfigurationPriority"}, "attributeStatus": said}
        self.stations.reply = Reply(Outcome.ACCEPTED, {"setVariableResult": [row]}, message_id="8", said={"setVariableResult": [row]})

    def sent(self) -> Mapping[str, Any]:
        return self.stations.called[-1][2]


def test_what_a_station_accepted_is_kept_without_secrets() -> None:
    async def main() -> None:
        depot = Told()
        apn = {"apn": "m2m", "apnPassword": "hush", "apnAuthentication": "PAP"}
        assert (await depot.give(apn=apn)).status is CommandStatus.DONE
        data = depot.sent()["connectionData"]
        assert (data["ocppVersion"], data["ocppCsmsUrl"], data["apn"]["apnPassword"]) == ("OCPP20", HERE, "hush")
        kept = depot.yard.state.networks["CP-1"].slots[1]
        assert (kept.url, kept.apn) == (HERE, "m2m")
        assert "hush" not in repr(depot.journal.facts)
        assert "hush" not in repr(list(depot.orders.recent))

    run(main())


@pytest.mark.parametrize("said", ["Rejected", "Failed"])
def test_what_a_station_refused_is_not_kept(said: str) -> None:
    async def main() -> None:
        depot = Told()
        depot.stations.reply = Reply(Outcome.REFUSED, {"status": said}, message_id="7", said={"status": said})
        done = await depot.give()
        assert (done.status, (done.answer or {})["state"]) == (CommandStatus.FAILED, said)
        assert depot.yard.state.networks == {}

    run(main())


@pytest.mark.parametrize(
    ("url", "profile"),
    [
        ("ws://depot.example:9000/elsewhere", 1),
        ("ws://depot.example/ocpp", 1),
        ("ws://typo.example:9000/ocpp", 1),
        ("wss://depot.example:9001/ocpp", 1),
        ("ws://depot.example:9000/ocpp", 2),
        ("http://depot.example:9000/ocpp", 1),
        ("ws://[::1/ocpp", 1),
    ],
)
def test_an_address_that_leads_elsewhere_wants_a_word_of_its_own(url: str, profile: int) -> None:
    async def main() -> None:
        depot = Told()
        refused = await depot.give(url, profile)
        assert refused.status is CommandStatus.REFUSED
        assert "may_cut_off" in refused.message
        assert depot.stations.called == []
        assert (await depot.give(url, profile, may_cut_off=True)).status is CommandStatus.DONE

    run(main())


def test_no_profile_asks_less_of_a_station_not_even_by_hand_or_with_the_word() -> None:
    async def main() -> None:
        depot = Told()
        depot.networks._security_profile = lambda _: 2
        refused = await depot.give(profile=1, may_cut_off=True)
        assert (refused.status, depot.stations.called) == (CommandStatus.REFUSED, [])
        data = {"ocppCsmsUrl": HERE, "securityProfile": 0}
        by_hand = await depot.order(
            cmd.CallStation, station_id="CP-1", action="SetNetworkProfile", payload={"configurationSlot": 1, "connectionData": data}
        )
        assert (by_hand.status, depot.stations.called) == (CommandStatus.REFUSED, [])

    run(main())


def test_an_order_must_keep_a_way_back() -> None:
    async def main() -> None:
        depot = Told()
        depot.sets("RebootRequired")
        refused = await depot.order(cmd.SetNetworkPriority, station_id="CP-1", priority=(1,))
        assert refused.status is CommandStatus.REFUSED, "nothing is known of slot 1"
        depot.stations.reply = Reply(Outcome.ACCEPTED, {"status": "Accepted"}, said={"status": "Accepted"})
        await depot.give()
        depot.sets("RebootRequired")
        done = await depot.order(cmd.SetNetworkPriority, station_id="CP-1", priority=(2, 1))
        assert (done.status, (done.answer or {})["state"]) == (CommandStatus.DONE, "RebootRequired")
        assert depot.yard.state.networks["CP-1"].priority == (2, 1)

    run(main())


def test_what_a_person_set_by_hand_is_known_as_well() -> None:
    async def main() -> None:
        depot = Told()
        data = {
            "ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": "ws://me:pass@depot.example:9000/ocpp", "messageTimeout": 9,
            "securityProfile": 1, "ocppInterface": "Wireless0",
        }  # fmt: skip
        payload = {"configurationSlot": 2, "connectionData": data}
        assert (
            await depot.order(cmd.CallStation, station_id="CP-1", action="SetNetworkProfile", payload=payload)
        ).status is CommandStatus.DONE
        kept = depot.yard.state.networks["CP-1"].slots[2]
        assert (kept.url, kept.interface, kept.message_timeout_s) == (HERE, "Wireless0", 9)
        view = await depot.networks._show({"station_id": "CP-1"})
        assert isinstance(view, NetworksView)
        assert (view.stations[0].security_profile, view.stations[0].slots[0].leads_here) == (1, True)

    run(main())


def test_a_station_of_1_6_has_none() -> None:
    async def main() -> None:
        depot = Told()
        depot.spoken = Version.V16
        assert (await depot.give()).status is CommandStatus.REFUSED
        assert await depot.networks._show({"station_id": "elsewhere"}) is None
        with pytest.raises(DepotError):
            await depot.networks._show({"station_id": "CP-1", "refresh": "true"})

    run(main())


def test_small_words() -> None:
    assert slots_of("1, 2,x,3") == (1, 2, 3)
    assert without_userinfo("wss://a:b@host:1/ocpp") == "wss://host:1/ocpp"
    assert without_userinfo("nonsense") == "nonsense"
