"""The central system towards OCPP 2.0.1 stations, in virtual time: what they say, and what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from ocpp_fakes import (
    CP1,
    START,
    Answer,
    FakeDepot,
    Peer201,
    central_of,
    connected,
    connected_201,
    energy,
    setpoint,
    setpoints,
    until,
)

from controller.clock import VirtualClock, run_virtual
from depot.device_model import Variable
from depot.events import ConnectorStatus, StationProbed
from depot.ports import StartRequest
from depot.values import ConnectorId, Outcome
from ocpp_server import Central, Purpose, Version
from ocpp_server.reports import Criteria
from ocpp_server.schemas import validator

PROBED = StationProbed("CP1", ("W", "A"), tuple(p.value for p in Purpose), 8, autonomous=False, switches_phases=False)
LATER_CP1 = ConnectorId("CP1", 2)
Play = Callable[[Central, FakeDepot, VirtualClock], Awaitable[None]]


def play(main: Play, *, depot: FakeDepot | None = None, **options: Any) -> FakeDepot:
    told = depot or FakeDepot()

    async def run(clock: VirtualClock) -> None:
        async with central_of(told, clock, **options) as central:
            await main(central, told, clock)

    run_virtual(run, start=START)
    return told


async def booted(peer: Peer201, depot: FakeDepot) -> None:
    before = len(depot.readies)
    await peer.boot()
    await until(lambda: len(depot.readies) > before)


async def charging(peer: Peer201, name: str = "tx-1", *, tag: str = "TAG1", meter: float = 1000) -> None:
    """A transaction from the plug to energy."""
    await peer.event("Started", name, why="CablePluggedIn", state="EVConnected", meter=[energy(meter)])
    await peer.event("Updated", name, why="Authorized", tag=tag)
    await peer.event("Updated", name, state="Charging")


def later(clock: VirtualClock, seconds: float = 180) -> Any:
    return clock.now() + timedelta(seconds=seconds)


def assert_by_the_schema(peer: Peer201) -> None:
    for action, payload in peer.got:
        validator(action, Version.V201)(payload)


# ---------------------------------------------------------------------- boot and readiness


def test_a_booted_station_is_probed_set_in_batches_and_ready() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            reply = await peer.boot()
            assert reply[2]["status"] == "Accepted"
            await until(lambda: depot.readies)
            assert depot.probes == [PROBED]
            assert depot.readies == [("CP1", True)]
            assert (depot.boots[0].vendor, depot.boots[0].model) == ("Acme", "Two")
            assert peer.variables["AuthCtrlr.LocalAuthorizeOffline"] == "false"
            assert peer.variables["AuthCtrlr.OfflineTxForUnknownIdEnabled"] == "false"
            assert peer.variables["SmartChargingCtrlr.Enabled"] == "true"
            assert peer.variables["SampledDataCtrlr.TxUpdatedInterval"] == "60"
            sampled = peer.variables["SampledDataCtrlr.TxUpdatedMeasurands"]
            assert sampled == "Power.Active.Import,Energy.Active.Import.Register,SoC"  # 2.0.1 has no temperature
            assert central.variables("CP1")["TxCtrlr.TxStartPoint"] == "EVConnected"
            assert "TxCtrlr.TxBeforeAcceptedEnabled" not in peer.variables  # what it does not have is not written
            assert max(len(p["getVariableData"]) for p in peer.calls("GetVariables")) == 6
            assert max(len(p["setVariableData"]) for p in peer.calls("SetVariables")) == 2
            assert_by_the_schema(peer)
        assert [link.version for link in depot.links] == ["2.0.1", "2.0.1"]
        assert central.violations("CP1") == {}

    play(main)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"SmartChargingCtrlr.Available": "false"}, {"purposes": ()}),
        ({"SmartChargingCtrlr.RateUnit": "A"}, {"rate_units": ("A",)}),
        (
            {"SmartChargingCtrlr.RateUnit": None, "SmartChargingCtrlr.ProfileStackLevel": "x"},
            {"rate_units": ("A", "W"), "max_stack_level": 1},
        ),
        ({"AuthCtrlr.LocalPreAuthorize": None}, {"autonomous": True}),
        (
            {"SmartChargingCtrlr.PeriodsPerSchedule": "12", "SmartChargingCtrlr.Entries.ChargingProfiles": "4"},
            {"max_periods": 12, "max_profiles": 4},
        ),
        ({"SmartChargingCtrlr.ACPhaseSwitchingSupported": "TRUE"}, {"switches_phases": True}),
        ({"DeviceDataCtrlr.ItemsPerMessage.GetVariables": "1"}, {}),
        ({"DeviceDataCtrlr.ItemsPerMessage.GetVariables": None}, {}),
    ],
)
def test_problem_11_12_the_probe_reads_what_the_station_can_do(changes: dict[str, str | None], expected: dict[str, Any]) -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            peer.variables = {k: v for k, v in (peer.variables | changes).items() if v is not None}
            await booted(peer, depot)
            fields = {
                "rate_units": ("W", "A"),
                "purposes": PROBED.purposes,
                "max_stack_level": 8,
                "autonomous": False,
                "switches_phases": False,
            }
            fields |= expected
            assert depot.probes == [StationProbed("CP1", **fields)]

    play(main)


def test_a_station_that_refuses_its_batches_is_asked_one_at_a_time() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            plain = peer.answers["GetVariables"]

            def one_only(payload: dict[str, Any]) -> Answer:
                return plain(payload) if len(payload["getVariableData"]) == 1 else ("OccurrenceConstraintViolation", "one")

            peer.answers["GetVariables"] = one_only
            await booted(peer, depot)
            assert depot.probes == [PROBED]

    play(main)


def test_a_pending_station_takes_no_calls_and_an_unknown_one_is_quarantined() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        depot.boot_status = "Pending"
        async with connected_201(central) as peer:
            assert (await peer.boot())[2]["status"] == "Pending"
            await asyncio.sleep(1)
            assert peer.got == []
        async with connected_201(central, "STRANGER") as peer:
            assert (await peer.boot())[2]["status"] == "Rejected"
            assert (await peer.event("Started"))[2] == "SecurityError"
            assert depot.unknown == [("STRANGER", "memory")]
            assert depot.requests == []

    play(main)


# ---------------------------------------------------------------------- connectors


def test_statuses_are_the_depots_and_the_charging_state_says_what_occupied_means() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            await booted(peer, depot)

            async def says(status: str, connector: int = 1) -> None:
                said = {"timestamp": "2026-03-01T12:00:00Z", "connectorStatus": status, "evseId": 1, "connectorId": connector}
                assert (await peer.call("StatusNotification", said))[2] == {}

            await says("Available")
            await says("Occupied")
            await charging(peer)
            await says("Occupied")
            await peer.event("Updated", state="SuspendedEV")
            await peer.event("Updated", state="SuspendedEVSE")
            await peer.event("Ended", why="StopAuthorized", state="EVConnected", meter=[energy(2000)])
            await says("Available")
            await says("Faulted")
            assert [status.value for _, status, _ in depot.statuses] == [
                "Available", "Preparing", "Charging", "Charging", "SuspendedEV", "SuspendedEVSE", "Finishing", "Available", "Faulted",
            ]  # fmt: skip
            await says("Available", connector=2)  # one usable connector is enough
            assert depot.statuses[-1] == (CP1, ConnectorStatus.AVAILABLE, "NoError")

    play(main)


def test_a_status_of_an_undeclared_evse_is_refused_and_of_the_whole_station_is_only_answered() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            said = {"timestamp": "2026-03-01T12:00:00Z", "connectorStatus": "Available", "connectorId": 0}
            assert (await peer.call("StatusNotification", {**said, "evseId": 0}))[0] == 3
            assert (await peer.call("StatusNotification", {**said, "evseId": 9}))[2] == "PropertyConstraintViolation"
            assert depot.statuses == []

    play(main)


# ---------------------------------------------------------------------- transactions


def test_a_session_begins_with_the_authorisation_though_the_transaction_began_with_the_plug() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            await peer.event("Started", why="CablePluggedIn", state="EVConnected", meter=[energy(1000)])
            assert depot.requests == []
            reply = await peer.event("Updated", why="Authorized", tag="TAG1", evse=None)
            assert reply[2] == {"idTokenInfo": {"status": "Accepted"}}
            (request,) = depot.requests
            assert (request.connector, request.id_tag, request.meter_start_wh) == (CP1, "TAG1", 1000)
            assert request.reported_at == START

    play(main)


@pytest.mark.parametrize("point", ["Authorized", "PowerPathClosed", "no token but energy"])
def test_a_session_begins_with_its_first_event_that_allows_energy(point: str) -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            if point == "Authorized":  # before a vehicle is there
                assert (await peer.event("Started", why="Authorized", tag="TAG1", evse=None))[2]["idTokenInfo"]["status"] == "Accepted"
                assert depot.requests == []  # CP1 has two EVSEs, and none was named
                await peer.event("Updated", why="CablePluggedIn", state="EVConnected", evse=2, meter=[energy(70)])
                assert [(r.connector, r.id_tag) for r in depot.requests] == [(LATER_CP1, "TAG1")]
            else:
                tag = "TAG1" if point == "PowerPathClosed" else None
                await peer.event("Started", why="ChargingStateChanged", state="Charging", tag=tag, meter=[energy(70)])
                assert [(r.connector, r.id_tag) for r in depot.requests] == [(CP1, tag or "")]

    play(main)


def test_a_transaction_without_authorisation_that_ends_was_no_session() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            await peer.event("Started", why="CablePluggedIn", state="EVConnected")
            assert (await peer.event("Ended", why="EVCommunicationLost", state="Idle"))[2] == {}
            assert depot.requests == []
            assert depot.stops == []

    play(main)


def test_problem_05_repeated_and_reordered_events_change_nothing_and_get_the_same_answer() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            first = await peer.event("Started", why="Authorized", tag="TAG1", seq=0, meter=[energy(1000)])
            again = await peer.event("Started", why="Authorized", tag="TAG1", seq=0, meter=[energy(1000)])
            assert first[2] == again[2] == {"idTokenInfo": {"status": "Accepted"}}
            await peer.event("Updated", seq=2, state="SuspendedEV")
            await peer.event("Updated", seq=1, state="Charging")  # older news: the state stays
            assert depot.statuses[-1][1] is ConnectorStatus.SUSPENDED_EV
            for _ in range(3):
                assert (await peer.event("Ended", why="EVDeparted", seq=3, state="EVConnected", meter=[energy(2500)]))[0] == 3
            assert len(depot.requests) == 1
            assert [(s.transaction_id, s.meter_stop_wh) for s in depot.stops] == [(1, 2500)]
            assert central.violations("CP1")["repeated_event"] == 3

    play(main)


def test_problem_19_a_new_process_finds_the_depots_number_by_the_transactions_own_name() -> None:
    depot = FakeDepot()
    named: list[str] = []

    async def before(central: Central, _: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            await charging(peer)

    async def after(central: Central, _: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:

            def asked(payload: dict[str, Any]) -> Answer:
                if payload["requestedMessage"] == "TransactionEvent" and payload["evse"]["id"] == 1:
                    telling.append(asyncio.ensure_future(peer.event("Updated", why="Trigger", evse=None, state="Charging", seq=9)))
                    return {"status": "Accepted"}
                return {"status": "Rejected"}

            telling: list[asyncio.Future[list[Any]]] = []
            peer.answers["TriggerMessage"] = asked
            peer.answers["RequestStopTransaction"] = lambda payload: named.append(payload["transactionId"]) or {"status": "Accepted"}
            await until(lambda: depot.readies)
            await until(lambda: telling and telling[0].done())
            assert {request.key for request in depot.requests} == {depot.requests[0].key}
            assert await central.stop(CP1, 1) is Outcome.ACCEPTED
            assert await central.stop(CP1, 99) is Outcome.ERROR

    play(before, depot=depot)
    play(after, depot=depot)
    assert named == ["tx-1"]
    assert set(depot.starts) == {"CP1|2.0.1|tx-1"}


def test_problem_07_what_happened_offline_is_stored_and_never_drives_control() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            power = {"value": 7000, "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "W"}}
            await peer.event("Started", why="Authorized", tag="TAG1", meter=[energy(10)], offline=True, at="2026-03-01T11:59:30Z")
            await peer.event("Updated", why="MeterValuePeriodic", meter=[power], offline=True, at="2026-03-01T11:59:50Z")
            await peer.event("Updated", why="MeterValuePeriodic", meter=[power])
            await peer.event("Ended", why="EVDeparted", meter=[energy(99)], offline=True, at="2026-03-01T11:59:55Z")
            assert [reading.replayed for reading in depot.readings] == [True, True, False, True]
            assert (depot.requests[0].id_tag, depot.stops[0].meter_stop_wh) == ("TAG1", 99)
            assert central.skew("CP1") == timedelta(0)

    play(main)


def test_problem_09_units_and_powers_of_ten_are_normalised_and_nonsense_is_counted() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            await charging(peer)
            sampled = [
                {"value": 1.5, "unitOfMeasure": {"unit": "kWh"}},
                {"value": 7.2, "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "W", "multiplier": 3}},
                {"value": 55, "measurand": "SoC", "unitOfMeasure": {"unit": "Percent"}},
                {"value": 1, "measurand": "Voltage", "unitOfMeasure": {"unit": "V", "multiplier": 2**40}},
            ]
            await peer.event("Updated", why="MeterValuePeriodic", meter=sampled)
            reading = depot.readings[-1]
            assert (reading.energy_wh, reading.power_w, reading.soc, reading.voltage_v) == (1500, 7200, 0.55, None)
            assert (reading.transaction_id, reading.connector) == (1, CP1)
            assert central.violations("CP1")["unit_mismatch"] == 1
            said = {"evseId": 2, "meterValue": [{"timestamp": "2026-03-01T12:00:00Z", "sampledValue": [energy(5)]}]}
            assert (await peer.call("MeterValues", said))[2] == {}
            assert (depot.readings[-1].connector.connector, depot.readings[-1].transaction_id) == (2, None)

    play(main)


def test_the_end_may_carry_its_beginning_in_the_same_entry() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            await charging(peer, meter=1000)
            both = [energy(4000, context="Transaction.End"), energy(1000, context="Transaction.Begin")]
            await peer.event("Ended", why="EVDeparted", state="Idle", meter=both, info={"stoppedReason": "EVDisconnected"})
            assert [(s.meter_stop_wh, s.reason) for s in depot.stops] == [(4000, "EVDisconnected")]
            assert central.violations("CP1") == {}

    play(main)


@pytest.mark.parametrize(
    "broken",
    [
        {"seqNo": "x"},
        {"triggerReason": None},
        {"timestamp": 5, "meterValue": "none"},
        {"evse": {"id": 77}},
        {"meterValue": [{"sampledValue": []}]},
        {"transactionInfo": {"transactionId": "tx-1", "stoppedReason": 7}},
    ],
)
def test_problem_06_the_last_event_is_always_answered(broken: dict[str, Any]) -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            await charging(peer)
            reply = await peer.event("Ended", why="EVDeparted", meter=[energy(2000)], **{"evse": None} | broken)
            assert reply[0] == 3, reply
            assert [stop.transaction_id for stop in depot.stops] == [1]

    play(main)


def test_a_depot_that_fails_is_an_internal_error_and_the_same_event_counts_when_it_comes_again(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(FakeDepot):
        async def start(self, request: StartRequest) -> Any:
            if len(self.requests) == 0:
                self.requests.append(request)
                raise RuntimeError("disk")
            return await super().start(request)

    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            assert (await peer.event("Started", why="Authorized", tag="TAG1", seq=0))[2] == "InternalError"
            assert (await peer.event("Started", why="Authorized", tag="TAG1", seq=0))[0] == 3
            assert len(depot.starts) == 1

    play(main, depot=Failing())
    assert "disk" in caplog.text


def test_measurements_do_not_wait_for_a_journal_that_is_stuck() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            await charging(peer)
            depot.gate = asyncio.Event()
            power = {"value": 9000, "measurand": "Power.Active.Import"}
            async with asyncio.timeout(1):
                await peer.event("Updated", why="MeterValuePeriodic", meter=[power])
            assert depot.readings[-1].power_w == 9000

    play(main)


# ---------------------------------------------------------------------- commands


def test_section_6_a_tx_profile_leaves_only_after_the_answer_that_begins_its_session() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer, asyncio.TaskGroup() as group:
            await booted(peer, depot)

            def woken(_: StartRequest) -> None:
                group.create_task(central.apply(setpoints(setpoint(11_000, until=later(clock)))))

            depot.on_start = woken
            await peer.event("Started", why="CablePluggedIn", state="EVConnected", meter=[energy(1)])
            await peer.event("Updated", why="Authorized", tag="TAG1", evse=None)
            await until(lambda: peer.calls("SetChargingProfile"))
            assert peer.order[-2].startswith("conf p")
            assert peer.order[-1] == "call SetChargingProfile"
            (call,) = peer.calls("SetChargingProfile")
            profile = call["chargingProfile"]
            assert (call["evseId"], profile["transactionId"], profile["chargingProfilePurpose"]) == (1, "tx-1", "TxProfile")
            (schedule,) = profile["chargingSchedule"]
            assert schedule["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 11_000, "numberPhases": 3}]
            assert_by_the_schema(peer)

    play(main)


def test_the_ladder_and_the_defaults_in_the_words_of_2_0_1() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central, "CP2") as peer:
            await booted(peer, depot)
            await charging(peer)
            seat = ConnectorId("CP2", 1)

            def only_max(payload: dict[str, Any]) -> Answer:
                as_a_whole = payload["chargingProfile"]["chargingProfilePurpose"] == "ChargingStationMaxProfile"
                return {"status": "Accepted" if as_a_whole else "Rejected"}

            assert await central.install_default(seat, 4_140) is Outcome.ACCEPTED
            default = peer.calls("SetChargingProfile")[-1]["chargingProfile"]
            assert (default["chargingProfilePurpose"], default["chargingProfileKind"], default["stackLevel"]) == (
                "TxDefaultProfile",
                "Relative",
                0,
            )
            peer.answers["SetChargingProfile"] = only_max
            assert await central.apply(setpoints(setpoint(9_000, until=later(clock), connector=seat))) == [Outcome.ACCEPTED]
            last = peer.calls("SetChargingProfile")[-1]
            assert (last["evseId"], last["chargingProfile"]["chargingProfilePurpose"]) == (0, "ChargingStationMaxProfile")
            assert peer.calls("ClearChargingProfile")
            assert depot.probes[-1].purposes == ("ChargePointMaxProfile",)
            assert_by_the_schema(peer)

    play(main)


def test_a_setpoint_for_a_transaction_that_the_station_has_not_named_never_leaves() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            await booted(peer, depot)
            assert await central.apply(setpoints(setpoint(9_000, until=later(clock), transaction_id=77))) == [Outcome.ERROR]
            assert peer.calls("SetChargingProfile") == []

    play(main)


def test_the_other_commands() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            await booted(peer, depot)
            peer.answers["GetCompositeSchedule"] = lambda payload: {
                "status": "Accepted",
                "schedule": {
                    "evseId": 1, "duration": 600, "scheduleStart": "2026-03-01T12:00:00Z", "chargingRateUnit": "W",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9000.0}],
                },
            }  # fmt: skip
            assert await central.start(setpoint(7_000, until=later(clock), transaction_id=None), "TAG1") is Outcome.ACCEPTED
            asked = peer.calls("RequestStartTransaction")[-1]
            assert asked["idToken"] == {"idToken": "TAG1", "type": "Central"}
            assert "transactionId" not in asked["chargingProfile"]
            assert await central.start(setpoint(7_000, until=later(clock), transaction_id=None), "TAG1") is Outcome.ACCEPTED
            assert peer.calls("RequestStartTransaction")[-1]["remoteStartId"] == asked["remoteStartId"] + 1
            await charging(peer)
            assert await central.stop(CP1, 1) is Outcome.ACCEPTED
            assert peer.calls("RequestStopTransaction") == [{"transactionId": "tx-1"}]
            assert await central.set_operative(CP1, False) is Outcome.ACCEPTED
            assert peer.calls("ChangeAvailability") == [{"evse": {"id": 1}, "operationalStatus": "Inoperative"}]
            assert await central.request_reading(CP1) is Outcome.ACCEPTED
            assert peer.calls("TriggerMessage")[-1]["requestedMessage"] == "TransactionEvent"
            assert await central.request_reading(LATER_CP1) is Outcome.ACCEPTED
            assert peer.calls("TriggerMessage")[-1] == {"requestedMessage": "MeterValues", "evse": {"id": 2}}
            composite = await central.get_composite(CP1, duration_s=600)
            assert composite.payload["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] == 9000
            await central.clear_profiles("CP1", connector=1, purpose=Purpose.MAX)
            criteria = {"evseId": 1, "chargingProfilePurpose": "ChargingStationMaxProfile"}
            assert peer.calls("ClearChargingProfile")[-1] == {"chargingProfileCriteria": criteria}
            stack = Variable("SmartChargingCtrlr", "ProfileStackLevel")
            assert await central.get_variables("CP1", stack) == {stack: "8"}
            assert await central.set_variables("CP1", {stack: "5"}) == {stack: "Accepted"}
            assert (await central.get_configuration("CP1")).outcome is Outcome.UNSUPPORTED
            assert_by_the_schema(peer)

    play(main)


def test_a_report_of_profiles_is_joined_from_its_parts() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer, asyncio.TaskGroup() as group:
            await booted(peer, depot)
            schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 5000}]}
            profile = {
                "id": 14, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative",
                "chargingSchedule": [schedule],
            }  # fmt: skip

            def asked(payload: dict[str, Any]) -> Answer:
                async def report() -> None:
                    for more in (True, False):
                        part = {"requestId": payload["requestId"], "chargingLimitSource": "CSO", "evseId": 1, "tbc": more}
                        await peer.call("ReportChargingProfiles", {**part, "chargingProfile": [profile]})

                group.create_task(report())
                return {"status": "Accepted"}

            peer.answers["GetChargingProfiles"] = asked
            criteria = Criteria(evse=1, purpose="TxDefaultProfile", stack_level=0, sources=("CSO",))
            found = await central.report_profiles("CP1", criteria)
            assert [(evse, source, held["id"]) for evse, source, held in found.profiles] == [(1, "CSO", 14), (1, "CSO", 14)]
            assert found.complete
            (call,) = peer.calls("GetChargingProfiles")
            wanted = {"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 0, "chargingLimitSource": ["CSO"]}
            assert (call["evseId"], call["chargingProfile"]) == (1, wanted)
            validator("GetChargingProfiles", Version.V201)(call)
            peer.answers["GetChargingProfiles"] = lambda payload: {"status": "NoProfiles"}
            none = await central.report_profiles("CP1", Criteria(ids=(7,)))
            assert (none.profiles, none.complete) == ((), True)
            peer.answers["GetChargingProfiles"] = lambda payload: {"status": "Accepted"}
            assert not (await central.report_profiles("CP1", criteria, within_s=2)).complete  # promised, and never sent
            assert (await central.report_profiles("CP2", criteria)).reply.outcome is Outcome.OFFLINE

    play(main)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"status": "Accepted"}, Outcome.ACCEPTED),
        ({"status": "Rejected", "statusInfo": {"reasonCode": "InvalidValue"}}, Outcome.REFUSED),
        (("NotSupported", ""), Outcome.UNSUPPORTED),
        (("InternalError", ""), Outcome.ERROR),
        (None, Outcome.TIMEOUT),
        ('[3,"{id}",{"status":7}]', Outcome.UNKNOWN),
    ],
)
def test_every_call_ends_with_its_outcome(answer: Answer, outcome: Outcome) -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            await booted(peer, depot)
            await charging(peer)
            peer.answers["RequestStopTransaction"] = lambda payload: answer
            assert await central.stop(CP1, 1) is outcome

    play(main)


@pytest.mark.parametrize(
    ("action", "payload", "wanted"),
    [
        ("NotifyEvent", {"generatedAt": "2026-03-01T12:00:00Z", "seqNo": 0, "eventData": [{}]}, [4, "OccurrenceConstraintViolation"]),
        ("FirmwareStatusNotification", {"status": "Idle"}, [3, {}]),
        (
            "NotifyEVChargingNeeds",
            {"evseId": 1, "chargingNeeds": {"requestedEnergyTransfer": "DC"}},
            [3, {"status": "Rejected", "statusInfo": {"reasonCode": "NoTransaction"}}],
        ),
        ("DataTransfer", {"vendorId": "x"}, [3, {"status": "UnknownVendorId"}]),
        ("GetCertificateStatus", {}, [4, "OccurrenceConstraintViolation"]),
        ("StartTransaction", {}, [4, "NotImplemented"]),
        ("StatusNotification", {"evseId": 1}, [4, "OccurrenceConstraintViolation"]),
    ],
)
def test_other_actions(action: str, payload: dict[str, Any], wanted: list[Any]) -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            reply = await peer.call(action, payload)
            assert [reply[0], reply[2]] == wanted

    play(main)


def test_problem_16_a_station_may_come_back_in_another_version_and_the_newest_connection_wins() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as old:
            await old.boot()
            await until(lambda: depot.readies)
            async with connected_201(central) as new:
                await booted(new, depot)
                assert await central.set_operative(CP1, True) is Outcome.ACCEPTED
                assert new.calls("ChangeAvailability") == [{"evse": {"id": 1}, "operationalStatus": "Operative"}]
                assert old.calls("ChangeAvailability") == []
        assert [(link.connected, link.version) for link in depot.links] == [(True, "1.6"), (True, "2.0.1"), (False, "2.0.1")]

    play(main)


def test_the_message_log_shows_what_is_said_and_no_tag() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            await booted(peer, depot)
            await charging(peer, tag="SECRET-0042")
            await central.start(setpoint(7_000, until=later(clock), transaction_id=None), "SECRET-0042")
            text = "\n".join(f"{frame.action} {frame.summary}" for frame in central.frames("CP1"))
            assert "SECRET" not in text
            assert "TransactionEvent Updated 1, Authorized, tx-1, EVSE 1, tag …42" in text
            assert "GetVariables ItemsPerMessage" in text

    play(main)


# ---------------------------------------------------------------------- calm after a boot, and what may run


def test_a_booted_station_is_left_alone_but_for_calls_of_people() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        depot.presses = False
        async with connected_201(central) as peer:
            peer.answers["ClearCache"] = lambda _: {"status": "Accepted"}
            await peer.boot()
            await clock.sleep(9.9)
            assert peer.got == []
            assert (await central.call("CP1", "ClearCache", {})).outcome is Outcome.ACCEPTED
            assert [action for action, _ in peer.got] == ["ClearCache"]
            await until(lambda: depot.readies)
            assert depot.readies == [("CP1", True)]

    play(main)


def test_a_station_that_comes_back_without_a_boot_is_left_alone_too_and_people_go_first() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        depot.presses = False
        async with connected_201(central) as peer:
            peer.answers["ClearCache"] = lambda _: {"status": "Accepted"}
            await until(lambda: central.connected("CP1"))
            assert (await central.call("CP1", "ClearCache", {})).outcome is Outcome.ACCEPTED
            await clock.sleep(9.0)
            assert [action for action, _ in peer.got] == ["ClearCache"]
            await until(lambda: peer.calls("TriggerMessage"))

    play(main)


def test_where_something_presses_nobody_waits() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            await peer.boot()
            await clock.sleep(1.0)
            assert depot.readies == [("CP1", True)]

    play(main)


def test_only_what_the_depot_believes_to_run_is_asked_for() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        depot.free.add(CP1)
        async with connected_201(central) as peer:
            await booted(peer, depot)
            asked = [p for p in peer.calls("TriggerMessage") if p["requestedMessage"] == "TransactionEvent"]
            assert [p["evse"] for p in asked] == [{"id": 2}]

    play(main)


def test_problem_11_a_session_of_before_a_boot_is_told_its_level_once_the_station_speaks_of_it_again() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            await booted(peer, depot)
            await charging(peer)
            peer.answers["SetChargingProfile"] = lambda _: {"status": "Rejected"}
            await booted(peer, depot)
            assert [p["evse"]["id"] for p in peer.calls("TriggerMessage")][-2:] == [1, 2]  # asked for anew
            assert await central.apply(setpoints(setpoint(9_000, until=later(clock)))) == [Outcome.ERROR]
            assert peer.calls("SetChargingProfile") == []
            peer.answers["SetChargingProfile"] = lambda _: {"status": "Accepted"}
            await peer.event("Updated", why="Trigger", state="Charging")
            assert await central.apply(setpoints(setpoint(9_000, until=later(clock)))) == [Outcome.ACCEPTED]
            assert peer.calls("SetChargingProfile")[-1]["chargingProfile"]["transactionId"] == "tx-1"
            assert depot.probes[-1].purposes == PROBED.purposes

    play(main)


def test_what_is_no_boolean_does_not_deny_smart_charging() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            peer.variables["SmartChargingCtrlr.Available"] = "0"
            await booted(peer, depot)
            assert depot.probes[-1].purposes == PROBED.purposes

    play(main)


def test_no_values_are_asked_of_a_transaction_that_may_be_over() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            await booted(peer, depot)
            await charging(peer)
            peer.answers["TriggerMessage"] = lambda _: {"status": "Rejected"}
            await booted(peer, depot)
            peer.got.clear()
            assert await central.request_reading(CP1) is Outcome.ERROR
            assert peer.got == []

    play(main)
