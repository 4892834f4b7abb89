"""Stations added and admitted while the depot runs, id tokens, and calls that people make up: counted before they leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from small_yard import NOW, ONE, SPEC, THREE, TWO, SmallYard, run

from controller.access_book import Base, DepotAccess
from controller.desk import Desk, DeskSettings
from controller.raw_calls import RawCalls
from controller.station_security import Doors
from controller.stations_desk import StationsDesk
from controller.stations_view import MessagesView, StationsView
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.readings import LinkReading
from depot.registry import ConnectorSpec, Current, StationSpec
from depot.tokens import IdToken, TokenStatus
from depot.values import ConnectorId, DepotError, InvalidValue, Outcome, PackKey
from ocpp_server.access import keyed_digest
from ocpp_server.frames import Kind, Message
from ocpp_server.reply import Reply
from ocpp_server.version import Version

FOUR = ConnectorId("CP-4", 1)
NEW = StationSpec("CP-4", "B", (ConnectorSpec(1, 22_000, 4_140),))
SECRET = b"k" * 32
OK = {"status": "Accepted"}
PROFILE = {
    "chargingProfileId": 99,
    "stackLevel": 5,
    "chargingProfilePurpose": "TxProfile",
    "chargingProfileKind": "Absolute",
    "chargingSchedule": {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 5000}]},
}


@dataclass
class FakeStations:
    """The charger side as far as these rooms need it; answers ``reply``, and looks at the yard while a call is out."""

    yard: SmallYard
    reply: Reply = field(
        default_factory=lambda: Reply(Outcome.ACCEPTED, {"status": "Accepted"}, message_id="7", said={"status": "Accepted"})
    )
    called: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    bounds_w: dict[ConnectorId, int] = field(default_factory=dict)
    declared: list[StationSpec] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    log: list[Message] = field(default_factory=list)

    def version(self, station_id: str) -> Version | None:
        known = {s.station_id for s in self.yard.yard.spec.stations}
        return Version.V16 if station_id in known else None

    def link(self, station_id: str) -> LinkReading | None:
        return self.yard.yard.links.get(station_id)

    def violations(self, station_id: str) -> Mapping[str, int]:
        return {"extra_key": 2}

    def messages(self, station_id: str) -> list[Message]:
        return self.log if station_id == "CP-1" else []

    def declare(self, spec: StationSpec) -> None:
        self.declared.append(spec)

    async def admitted(self, station_id: str) -> None:
        self.heard.append(station_id)

    async def call(self, station_id: str, action: str, payload: Mapping[str, Any]) -> Reply:
        self.called.append((station_id, action, payload))
        now_s = self.yard.clock.now().timestamp()
        self.bounds_w = {key: grant.bound_w(now_s) for key, grant in self.yard.yard.grants.items()}
        return self.reply


class Depot(SmallYard):
    """The small yard with both rooms. All stations have booted, follow levels and start nothing by themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.stations = FakeStations(self)
        self.reinstalled: list[str] = []
        book = DepotAccess(key=SECRET, base=self._base, state=lambda: self.yard.state.security, clock=self.clock)
        doors = Doors(unlocked=True)
        self.desk = StationsDesk(self.yard, self.loop, self.stations, base=SPEC, secret=SECRET, book=book, doors=doors)
        self.calls = RawCalls(self.yard, self.loop, self.stations, reinstall=self.reinstalled.append)
        for room in (self.desk, self.calls):
            self.orders.carriers.update(room.commands)
        for grant in self.yard.grants.values():
            grant.commissioned, grant.autonomous, grant.default_w = True, False, 6_000
        self.look()

    def _base(self, station_id: str) -> Base | None:
        declared = self.yard.state.declared_stations.get(station_id)
        return None if declared is None else Base(0, declared.key_hash)

    def look(self) -> None:
        self.loop.wake()
        self.loop._tick()

    async def order(self, kind: type[cmd.Command], **words: Any) -> cmd.CommandResult:
        number = f"c{len(self.journal.facts)}"
        return await self.orders.execute(kind(command_id=number, actor="Asha", reason="test", **words))

    async def call(self, station_id: str, action: str, payload: Mapping[str, Any]) -> cmd.CommandResult:
        return await self.order(cmd.CallStation, station_id=station_id, action=action, payload=payload)

    def bound_w(self, key: ConnectorId) -> int:
        return self.yard.grants[key].bound_w(self.clock.now().timestamp())


# -- stations -----------------------------------------------------------------------------------------------------


def test_a_station_that_is_added_takes_part_at_once_and_counts_from_its_first_boot() -> None:
    async def main() -> None:
        depot = Depot()
        result = await depot.order(cmd.AddStation, station_id="CP-4", station=NEW)
        assert result.status is CommandStatus.DONE, result.message
        assert result.answer is not None
        assert depot.yard.state.declared_stations["CP-4"].key_hash == keyed_digest(SECRET, "CP-4", result.answer["password"])
        assert depot.stations.declared == [NEW]
        assert FOUR in depot.yard.spec.connectors
        assert depot.bound_w(FOUR) == 0
        depot.yard.grants[FOUR].commissioned = True
        depot.look()
        assert depot.bound_w(FOUR) == 22_000  # it could start by itself, and holds no default yet
        password = result.answer["password"]
        assert all(password not in str(fact) for fact in depot.journal.facts), "no secret in the journal"

    run(main())


def test_a_station_gets_more_connectors_but_what_counts_already_never_changes_under_the_limiter() -> None:
    async def main() -> None:
        depot = Depot()
        known = SPEC.stations[0]
        more = replace(known, connectors=(*known.connectors, ConnectorSpec(2, 60_000, 6_000, Current.DC)))
        assert (await depot.order(cmd.AddStation, station_id="CP-1", station=more)).status is CommandStatus.DONE
        assert ConnectorId("CP-1", 2) in depot.yard.grants
        for changed in (
            replace(known, connectors=(replace(known.connectors[0], rated_w=30_000, min_w=6_000),)),
            replace(more, feeder_id="B"),
            replace(more, connectors=more.connectors[1:]),
        ):
            refused = await depot.order(cmd.AddStation, station_id="CP-1", station=changed)
            assert refused.status is CommandStatus.REFUSED
            assert "next start" in refused.message
        nowhere = await depot.order(cmd.AddStation, station_id="CP-4", station=replace(NEW, feeder_id="Z"))
        assert nowhere.status is CommandStatus.REFUSED
        assert "feeder" in nowhere.message
        assert FOUR not in depot.yard.grants

    run(main())


def test_how_far_a_station_is_admitted_is_a_fact_and_the_station_hears_of_it() -> None:
    async def main() -> None:
        depot = Depot()
        depot.session(ONE, power_w=20_000)
        running = await depot.order(cmd.AdmitStation, station_id="CP-1", registration=ev.Registration.REJECTED)
        assert running.status is CommandStatus.REFUSED
        assert "session" in running.message
        done = await depot.order(cmd.AdmitStation, station_id="CP-2", registration=ev.Registration.PENDING)
        assert done.status is CommandStatus.DONE
        assert depot.yard.state.registration("CP-2") is ev.Registration.PENDING
        assert depot.stations.heard == ["CP-2"]
        started = await depot.order(cmd.StartCharging, connector=TWO)
        assert "pending" in started.message
        gone = await depot.order(cmd.RetireStation, station_id="CP-3")
        assert gone.status is CommandStatus.DONE
        assert depot.yard.state.registration("CP-3") is ev.Registration.REJECTED
        assert THREE in depot.yard.grants, "counted until the next start"
        view = await depot.desk.views[StationsView]({})
        assert isinstance(view, StationsView)
        assert [(s.station_id, s.registration, s.retiring) for s in view.stations] == [
            ("CP-1", "accepted", False),
            ("CP-2", "pending", False),
            ("CP-3", "rejected", True),
        ]

    run(main())


def test_strangers_wait_in_quarantine_until_somebody_adds_them() -> None:
    async def main() -> None:
        depot = Depot()
        depot.put(ev.StationQuarantined("CP-4", "10.0.0.9"))
        view = await depot.desk.views[StationsView]({})
        assert isinstance(view, StationsView)
        assert [(s.station_id, s.remote) for s in view.quarantine] == [("CP-4", "10.0.0.9")]
        await depot.order(cmd.AddStation, station_id="CP-4", station=NEW, password="a-long-enough-one")
        view = await depot.desk.views[StationsView]({})
        assert isinstance(view, StationsView)
        assert view.quarantine == []
        assert depot.yard.state.declared_stations["CP-4"].key_hash == keyed_digest(SECRET, "CP-4", "a-long-enough-one")

    run(main())


def test_a_station_is_added_with_the_security_profile_that_the_settings_leave_open() -> None:
    async def main() -> None:
        depot = Depot()
        no_tls = await depot.order(cmd.AddStation, station_id="CP-4", station=NEW, security_profile=2)
        assert no_tls.status is CommandStatus.REFUSED
        assert "TLS" in no_tls.message
        await depot.order(cmd.AddStation, station_id="CP-4", station=NEW, security_profile=1)
        assert depot.yard.state.security.of("CP-4").profile == 1
        again = await depot.order(cmd.AddStation, station_id="CP-4", station=NEW, security_profile=0)
        assert again.status is CommandStatus.REFUSED
        assert "own command" in again.message

    run(main())


def test_the_message_log_is_searched() -> None:
    async def main() -> None:
        depot = Depot()
        depot.stations.log = [
            Message(NOW, "in", Kind.CALL, "1", "BootNotification", '{"chargePointVendor":"Exide"}', "", False),
            Message(NOW + timedelta(seconds=1), "out", Kind.CALL, "2", "Reset", '{"type":"Soft"}', "", False),
        ]

        async def found(**args: str) -> list[str]:
            view = await depot.desk.views[MessagesView](args)
            assert isinstance(view, MessagesView)
            return [m.action for m in view.messages]

        assert await found() == ["Reset", "BootNotification"]
        assert await found(text="exide") == ["BootNotification"]
        assert await found(direction="out") == ["Reset"]
        assert await found(station_id="CP-2") == []
        assert await found(limit="1") == ["Reset"]

    run(main())


# -- tokens -------------------------------------------------------------------------------------------------------


def test_a_listed_token_says_what_it_may_and_case_does_not_count() -> None:
    soon = datetime(2026, 12, 1, tzinfo=UTC)
    token = IdToken("Card-1", expires_at=soon, group="FLEET")
    assert token.authorization(NOW).status == "Accepted"
    assert token.authorization(soon).status == "Expired"
    assert IdToken("x", TokenStatus.BLOCKED).authorization(NOW).status == "Blocked"
    for bad in ("", " x", "x" * 256, "a\nb"):
        with pytest.raises(InvalidValue):
            IdToken(bad)
    with pytest.raises(InvalidValue, match="time zone"):
        IdToken("x", expires_at=datetime(2026, 12, 1))

    async def main() -> None:
        depot = Depot()
        await depot.order(cmd.ChangeTokens, tokens=(token,))
        assert depot.yard.state.id_token("CARD-1") == token
        await depot.order(cmd.ChangeTokens, remove=("card-1",))
        assert depot.yard.state.id_token("Card-1") is None

    run(main())


# -- calls by hand ------------------------------------------------------------------------------------------------


def test_a_call_by_hand_is_answered_as_the_station_wrote_it_and_its_payload_is_kept_nowhere() -> None:
    async def main() -> None:
        depot = Depot()
        result = await depot.call("CP-1", "ChangeConfiguration", {"key": "AuthorizationKey", "value": "deadbeef"})
        assert result.status is CommandStatus.DONE
        assert result.answer == {"message_id": "7", "outcome": "result", "payload": {"status": "Accepted"}}
        assert "deadbeef" not in str(depot.journal.facts)
        assert "deadbeef" not in str(depot.orders.recent)

    run(main())


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply(Outcome.ERROR, code="GenericError", message_id="7", details={"a": 1}), "error"),
        (Reply(Outcome.UNSUPPORTED, code="NotImplemented", message_id="7"), "error"),
        (Reply(Outcome.TIMEOUT, message_id="7"), "timeout"),
        (Reply(Outcome.OFFLINE), "offline"),
        (Reply(Outcome.UNKNOWN, code="ConnectionLost", message_id="7"), "offline"),
        (Reply(Outcome.UNKNOWN, code="UnreadableAnswer", message_id="7", said={"x": 1}), "result"),
        (Reply(Outcome.REFUSED, {"status": "Rejected"}, message_id="7", said={"status": "Rejected"}), "result"),
    ],
)
def test_every_end_of_a_call_has_one_of_four_outcomes(reply: Reply, outcome: str) -> None:
    async def main() -> None:
        depot = Depot()
        depot.stations.reply = reply
        result = await depot.call("CP-1", "ClearCache", {})
        assert result.answer is not None
        assert result.answer["outcome"] == outcome
        assert ("error" in result.answer) == (outcome != "result" or reply.outcome is Outcome.UNKNOWN)

    run(main())


def test_what_no_call_of_the_version_is_never_leaves() -> None:
    async def main() -> None:
        depot = Depot()
        for action, payload in (("reset", {"type": "Soft"}), ("Reset", {"type": "Now"}), ("BootNotification", {}), ("Reset", {})):
            result = await depot.call("CP-1", action, payload)
            assert result.status is CommandStatus.REFUSED
        assert "Reset?" in (await depot.call("CP-1", "reset", {"type": "Soft"})).message
        assert (await depot.call("CP-9", "ClearCache", {})).status is CommandStatus.REFUSED
        assert depot.stations.called == []

    run(main())


def test_a_profile_by_hand_is_counted_at_the_rating_before_it_leaves_and_until_it_is_cleared() -> None:
    async def main() -> None:
        depot = Depot()
        depot.session(ONE, power_w=20_000)
        assert depot.bound_w(ONE) < 60_000
        result = await depot.call("CP-1", "SetChargingProfile", {"connectorId": 1, "csChargingProfiles": PROFILE})
        assert result.status is CommandStatus.DONE, result.message
        assert depot.stations.bounds_w[ONE] == 60_000, "counted before it was sent"
        depot.clock.at += timedelta(minutes=10)
        assert depot.bound_w(ONE) == 60_000, "as long as it stands there"
        assert [p.profile_id for p in depot.yard.state.by_hand(ONE)] == [99]
        await depot.call("CP-1", "ClearChargingProfile", {"id": 99})
        assert depot.yard.state.by_hand(ONE) == ()
        assert depot.reinstalled == ["CP-1"], "ours may have gone with it"
        assert not depot.yard.grants[ONE].by_hand

    run(main())


def test_a_profile_by_hand_ends_with_its_transaction() -> None:
    async def main() -> None:
        depot = Depot()
        depot.session(ONE, power_w=20_000)
        await depot.call("CP-1", "SetChargingProfile", {"connectorId": 1, "csChargingProfiles": PROFILE})
        depot.put(ev.TransactionStopped(7, ONE, 9_000, "Local"))
        depot.loop.session_ended(ONE)
        assert not depot.yard.grants[ONE].by_hand

    run(main())


def test_a_limit_of_the_whole_station_only_lowers_and_needs_no_room() -> None:
    async def main() -> None:
        depot = Depot()
        depot.session(ONE, power_w=20_000)
        before_w = depot.bound_w(ONE)
        lower = {**PROFILE, "chargingProfilePurpose": "ChargePointMaxProfile"}
        await depot.call("CP-1", "SetChargingProfile", {"connectorId": 0, "csChargingProfiles": lower})
        assert depot.stations.bounds_w[ONE] == before_w
        assert depot.yard.state.by_hand(ONE) == ()

    run(main())


def test_without_room_a_call_that_could_let_power_flow_does_not_leave() -> None:
    async def main() -> None:
        depot = Depot()
        for number, key in enumerate((ONE, TWO, THREE), start=7):
            depot.session(key, power_w=48_000, number=number)
        refused = await depot.call("CP-1", "SetChargingProfile", {"connectorId": 1, "csChargingProfiles": PROFILE})
        assert refused.status is CommandStatus.REFUSED
        assert "not free" in refused.message
        assert depot.stations.called == []
        assert (await depot.call("CP-1", "ClearCache", {})).status is CommandStatus.DONE

    run(main())


def test_a_remote_start_by_hand_is_counted_at_the_default_and_forgotten_when_it_is_refused() -> None:
    async def main() -> None:
        depot = Depot()
        start = {"connectorId": 1, "idTag": "CARD"}
        await depot.call("CP-1", "RemoteStartTransaction", start)
        assert depot.stations.bounds_w[ONE] == 6_000
        assert depot.bound_w(ONE) == 6_000
        depot.stations.reply = Reply(Outcome.REFUSED, {"status": "Rejected"}, message_id="8", said={"status": "Rejected"})
        await depot.call("CP-2", "RemoteStartTransaction", start)
        assert depot.stations.bounds_w[TWO] == 6_000
        assert depot.bound_w(TWO) == 0

    run(main())


def test_a_connector_that_is_shut_is_not_opened_by_hand() -> None:
    async def main() -> None:
        depot = Depot()
        depot.put(ev.ConnectorIsolated(ONE, PackKey("BUS1", "P1")))
        depot.put(ev.ConnectorAvailabilitySet(TWO, False, "cable damaged"))
        for action, payload in (
            ("RemoteStartTransaction", {"connectorId": 1, "idTag": "CARD"}),
            ("ChangeAvailability", {"connectorId": 1, "type": "Operative"}),
            ("ChangeAvailability", {"connectorId": 0, "type": "Operative"}),
        ):
            refused = await depot.call("CP-1", action, payload)
            assert refused.status is CommandStatus.REFUSED
            assert "tripped" in refused.message
        for action in ("RemoteStartTransaction", "ChangeAvailability"):
            payload = {"connectorId": 1} | ({"idTag": "CARD"} if action == "RemoteStartTransaction" else {"type": "Operative"})
            assert "out of service" in (await depot.call("CP-2", action, payload)).message
        assert depot.stations.called == []
        closed = await depot.call("CP-1", "ChangeAvailability", {"connectorId": 1, "type": "Inoperative"})
        assert closed.status is CommandStatus.DONE

    run(main())


def test_a_key_that_lets_a_station_start_by_itself_makes_it_count() -> None:
    async def main() -> None:
        depot = Depot()
        assert depot.bound_w(ONE) == 0
        await depot.call("CP-1", "ChangeConfiguration", {"key": "LocalPreAuthorize", "value": "true"})
        assert depot.stations.bounds_w[ONE] == 6_000
        depot.clock.at += timedelta(minutes=10)
        assert depot.bound_w(ONE) == 6_000

    run(main())


def test_item_limits_are_names_that_somebody_knows() -> None:
    async def main() -> None:
        depot = Depot()
        refused = await depot.order(cmd.SetItemLimits, station_id="CP-1", limits={"bananas": 3})
        assert refused.status is CommandStatus.REFUSED
        await depot.order(cmd.SetItemLimits, station_id="CP-1", limits={"local_list": 20})
        assert depot.yard.state.stations["CP-1"].item_limits == {"local_list": 20}
        with pytest.raises(DepotError):
            await depot.desk._set_item_limits(
                cmd.SetItemLimits(command_id="x", actor="a", station_id="CP-9", limits={}), depot.journal.facts[-1]
            )

    run(main())


def test_what_a_call_has_shut_is_in_the_books_and_a_call_may_open_it() -> None:
    async def main() -> None:
        depot = Depot()
        shut = {"connectorId": 1, "type": "Inoperative"}
        depot.stations.reply = Reply(Outcome.REFUSED, {"status": "Rejected"}, message_id="8", said={"status": "Rejected"})
        await depot.call("CP-1", "ChangeAvailability", shut)
        assert depot.yard.state.connector(ONE).operative
        depot.stations.reply = Reply(Outcome.ACCEPTED, {"status": "Scheduled"}, message_id="9", said={"status": "Scheduled"})
        await depot.call("CP-1", "ChangeAvailability", shut)
        facts = depot.yard.state.connector(ONE)
        assert (facts.operative, facts.inoperative_reason) == (False, "put out of service by a call")
        assert "out of service" in (await depot.call("CP-1", "RemoteStartTransaction", {"connectorId": 1, "idTag": "CARD"})).message
        opened = await depot.call("CP-1", "ChangeAvailability", {"connectorId": 0, "type": "Operative"})
        assert opened.status is CommandStatus.DONE
        assert depot.yard.state.connector(ONE).operative

    run(main())


def test_a_connector_that_a_call_has_shut_is_in_service_again_when_its_station_says_so() -> None:
    depot = Depot()
    depot.put(ev.ConnectorAvailabilitySet(ONE, False, ev.OUT_BY_CALL))
    depot.put(ev.ConnectorAvailabilitySet(TWO, False, "cable damaged"))
    for key in (ONE, TWO):
        for status in (ev.ConnectorStatus.UNAVAILABLE, ev.ConnectorStatus.AVAILABLE):
            run(Desk(depot.yard, depot.loop, DeskSettings(), replan=lambda _: None).status(key, status, "NoError", None))
    assert [depot.yard.state.connector(key).operative for key in (ONE, TWO)] == [True, False]
