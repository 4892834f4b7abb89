"""The central system in virtual time, stations on pipes: reference §2 by number, and §6."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from ocpp_fakes import CONFIGURATION, CP1, START, Answer, FakeDepot, Peer, central_of, connected, setpoint, setpoints, until

from controller.clock import VirtualClock, run_virtual
from depot.events import ConnectorStatus, StationProbed
from depot.ports import StartRequest
from depot.tokens import INVALID
from depot.values import ConnectorId, Outcome
from ocpp_server import Central, OcppSettings, Purpose, WireClosed, memory_pipe
from ocpp_server.v16 import INT_MAX

STAMP = "2026-03-01T12:00:00Z"
PROBED = StationProbed("CP1", ("W", "A"), tuple(p.value for p in Purpose), 8, autonomous=False)
Play = Callable[[Central, FakeDepot, VirtualClock], Awaitable[None]]


def play(main: Play, *, depot: FakeDepot | None = None, **options: Any) -> FakeDepot:
    """Run ``main`` on virtual time with a central system over a fake depot."""
    told = depot or FakeDepot()

    async def run(clock: VirtualClock) -> None:
        async with central_of(told, clock, **options) as central:
            await main(central, told, clock)

    run_virtual(run, start=START)
    return told


async def booted(peer: Peer, depot: FakeDepot) -> None:
    before = len(depot.readies)
    await peer.boot()
    await until(lambda: len(depot.readies) > before)


def later(clock: VirtualClock, seconds: float = 180) -> Any:
    return clock.now() + timedelta(seconds=seconds)


def values(*sampled: dict[str, Any], at: str = STAMP, **more: Any) -> dict[str, Any]:
    return {"connectorId": 1, "meterValue": [{"timestamp": at, "sampledValue": list(sampled)}], **more}


# ---------------------------------------------------------------------- boot and readiness


def test_a_booted_station_is_probed_set_and_ready() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            reply = await peer.boot()
            assert reply[2]["status"] == "Accepted"
            assert reply[2]["currentTime"].endswith("Z")
            assert 270 <= reply[2]["interval"] <= 300, "spread below the depot's interval"
            await asyncio.sleep(1)
            assert depot.probes == [PROBED]
            assert depot.readies == [("CP1", True)]
            assert peer.configuration["LocalAuthorizeOffline"] == "false"
            assert peer.configuration["AllowOfflineTxForUnknownId"] == "false"
            assert peer.configuration["AuthorizeRemoteTxRequests"] == "false"
            assert peer.configuration["MeterValueSampleInterval"] == "60"
            assert "WebSocketPingInterval" not in peer.configuration

    told = play(main)
    assert [link.connected for link in told.links] == [True, False]


def test_problem_17_no_call_leaves_before_the_boot_conf() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        depot.gate = asyncio.Event()
        async with connected(central) as peer, asyncio.TaskGroup() as group:
            boot = group.create_task(peer.boot())
            command = group.create_task(central.set_operative(CP1, True))
            await asyncio.sleep(2)
            assert peer.order == []
            depot.gate.set()
            await boot
            assert await command is Outcome.ACCEPTED
            assert peer.order[0] == "conf p1"

    play(main)


def test_problem_17_a_reconnect_without_boot_is_asked_once_and_then_served() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await asyncio.sleep(2.9)
            assert peer.got == []
            peer.answers["TriggerMessage"] = lambda payload: {"status": "NotImplemented"}
            await asyncio.sleep(1)
            assert [p["requestedMessage"] for p in peer.calls("TriggerMessage")] == [
                "BootNotification",
                "StatusNotification",
                "StatusNotification",
            ]
            assert depot.readies == [("CP1", False)]
            assert len(depot.probes) == 1

    play(main)


def test_problem_17_a_station_that_boots_when_asked_is_ready_as_booted() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await until(lambda: peer.calls("TriggerMessage"))
            await booted(peer, depot)
            assert depot.readies == [("CP1", True)]

        async with connected(central) as peer:
            await asyncio.sleep(5)
            assert [p["requestedMessage"] for p in peer.calls("TriggerMessage")] == ["StatusNotification", "StatusNotification"]
            assert depot.readies == [("CP1", True), ("CP1", False)]
            assert len(depot.probes) == 1, "a reconnect asks nothing that is known"

    play(main)


def test_a_known_probe_spares_the_questions() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            peer.answers["TriggerMessage"] = lambda payload: {"status": "Rejected"}
            await asyncio.sleep(5)
            assert peer.calls("GetConfiguration") == []
            assert depot.readies == [("CP1", False)]

    play(main, known_probe={"CP1": PROBED})


def test_a_pending_station_takes_no_calls() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            assert (await peer.boot())[2]["status"] == "Pending"
            await asyncio.sleep(2)
            assert peer.got == []

    play(main, depot=FakeDepot(boot_status="Pending"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, PROBED),
        ({"ChargingScheduleAllowedChargingRateUnit": "Current"}, replace(PROBED, rate_units=("A",))),
        ({"ChargingScheduleAllowedChargingRateUnit": "Power"}, replace(PROBED, rate_units=("W",))),
        ({"ChargingScheduleAllowedChargingRateUnit": None}, replace(PROBED, rate_units=("A", "W"))),
        ({"ChargeProfileMaxStackLevel": "1"}, replace(PROBED, max_stack_level=1)),
        ({"SupportedFeatureProfiles": "Core,RemoteTrigger"}, replace(PROBED, purposes=())),
        ({"LocalAuthorizeOffline": None}, replace(PROBED, autonomous=True)),
        ({"AllowOfflineTxForUnknownId": None}, PROBED),
        ({"FreevendEnabled": "true"}, PROBED),
        ({"ChargingScheduleMaxPeriods": "24", "MaxChargingProfilesInstalled": "6"}, replace(PROBED, max_periods=24, max_profiles=6)),
        ({"MaxChargingProfilesInstalled": "many"}, PROBED),
        ({"ConnectorSwitch3to1PhaseSupported": "True"}, replace(PROBED, switches_phases=True)),
    ],
)
def test_problem_11_12_the_probe_reads_what_the_station_can_do(changes: dict[str, str | None], expected: StationProbed) -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            peer.configuration = {k: v for k, v in {**CONFIGURATION, **changes}.items() if v is not None}
            await booted(peer, depot)
            assert depot.probes == [expected]

    play(main)


def test_a_station_that_refuses_to_give_up_free_vend_may_start_by_itself() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            peer.configuration["FreeVendEnabled"] = "true"
            peer.answers["ChangeConfiguration"] = lambda p: {"status": "Rejected" if p["key"] == "FreeVendEnabled" else "Accepted"}
            await booted(peer, depot)
            assert depot.probes[0].autonomous

    play(main)


def test_sampled_data_is_tried_smaller_where_it_is_refused() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            peer.answers["ChangeConfiguration"] = lambda p: {"status": "Rejected" if "SoC" in p["value"] else "Accepted"}
            await booted(peer, depot)
            tried = [p["value"] for p in peer.calls("ChangeConfiguration") if p["key"] == "MeterValuesSampledData"]
            assert [len(t.split(",")) for t in tried] == [4, 3, 2]

    play(main)


def test_a_station_that_cannot_list_its_keys_is_asked_by_name_and_one_that_answers_nothing_is_ready_too() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            peer.answers["GetConfiguration"] = lambda p: ("InternalError", "")
            await booted(peer, depot)
            assert ["key" in p for p in peer.calls("GetConfiguration")] == [False, True]
            assert depot.probes[0].autonomous
            assert depot.probes[0].purposes == PROBED.purposes

    play(main)


# ---------------------------------------------------------------------- connections


def test_problem_01_a_link_that_is_silent_for_too_long_is_closed() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            interval_s = (await peer.boot())[2]["interval"]
            await asyncio.sleep(3 * interval_s - 1)
            assert central.connected("CP1")
            await peer.call("Heartbeat", {})
            await asyncio.sleep(3 * interval_s - 1)
            assert central.connected("CP1"), "any frame is a sign of life"
            await asyncio.sleep(2)
            assert not central.connected("CP1")
            assert central.violations("CP1")["silent"] == 1

    play(main)


def test_problem_02_the_newest_connection_wins_and_the_old_ones_end_touches_nothing() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as old:
            await booted(old, depot)
            old.answers["ChangeAvailability"] = lambda p: None
            in_flight = asyncio.create_task(central.set_operative(CP1, False))
            queued = asyncio.create_task(central.request_reading(CP1))
            await asyncio.sleep(1)
            async with connected(central) as new:
                await asyncio.sleep(0)
                assert (await in_flight, await queued) == (Outcome.UNKNOWN, Outcome.OFFLINE), "at once, not at their time-outs"
                await asyncio.sleep(1)
                assert old.wire.close_code == 1008
                assert central.connected("CP1")
                await booted(new, depot)
                assert await central.set_operative(CP1, True) is Outcome.ACCEPTED
                assert [link.connected for link in depot.links] == [True, True]
        assert depot.links[-1].connected is False

    play(main)


def test_problem_18_calls_that_are_not_answered_close_the_connection() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            peer.answers["TriggerMessage"] = lambda p: None
            before = clock.monotonic()
            assert await central.request_reading(CP1) is Outcome.TIMEOUT
            assert clock.monotonic() - before == pytest.approx(10)
            assert await central.request_reading(CP1) is Outcome.TIMEOUT
            assert central.connected("CP1")
            assert await central.request_reading(CP1) is Outcome.TIMEOUT
            await asyncio.sleep(0.1)
            assert not central.connected("CP1")
            assert await central.request_reading(CP1) is Outcome.OFFLINE

    play(main)


def test_problem_18_what_a_station_does_not_give_is_not_asked_for_again_and_again() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            asked: list[str] = []

            def rejected(_: Any) -> dict[str, Any]:
                asked.append("?")
                return {"status": "Rejected"}

            peer.answers["TriggerMessage"] = rejected
            for _ in range(100):
                await central.request_reading(CP1)
                await asyncio.sleep(3)
            assert 4 <= len(asked) <= 7, "after 5, 10, 20 … seconds"
            peer.answers["TriggerMessage"] = lambda _: {"status": "NotImplemented"}
            await asyncio.sleep(320)
            assert await central.request_reading(CP1) is Outcome.UNSUPPORTED
            peer.answers["TriggerMessage"] = rejected
            asked.clear()
            await asyncio.sleep(200)
            assert await central.request_reading(CP1) is Outcome.UNSUPPORTED
            assert asked == []

    play(main)


def test_problem_18_a_station_whose_values_tell_no_power_is_asked_for_them_rarely() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            outcomes = []
            for _ in range(60):
                outcomes.append(await central.request_reading(CP1))
                await asyncio.sleep(3)
            assert 5 < outcomes.count(Outcome.ACCEPTED) < 15

    play(main)


def answering_late(peer: Peer, seconds: float) -> None:
    """From now on TriggerMessage is answered so much later."""
    serve = peer._serve
    tasks: list[asyncio.Task[None]] = []

    async def late(message: list[Any]) -> None:
        if message[2] != "TriggerMessage":
            await serve(message)
            return

        async def answer() -> None:
            await asyncio.sleep(seconds)
            await serve(message)

        tasks.append(asyncio.create_task(answer()))

    peer._serve = late  # type: ignore[method-assign]  # this one peer's behaviour


def test_problem_18_a_station_that_answers_late_is_given_longer_and_not_cut() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            answering_late(peer, 25)
            assert await central.request_reading(CP1) is Outcome.TIMEOUT
            await asyncio.sleep(20)
            assert central.violations("CP1")["late_answer"] == 1
            assert [await central.request_reading(CP1) for _ in range(4)] == [Outcome.ACCEPTED] * 4
        async with connected(central) as peer:
            await asyncio.sleep(5)
            answering_late(peer, 25)
            assert await central.request_reading(CP1) is Outcome.ACCEPTED, "remembered over connections"

    play(main)


def test_problem_18_patience_has_an_end() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            answering_late(peer, 60)
            for _ in range(3):
                assert await central.request_reading(CP1) is Outcome.TIMEOUT
                await asyncio.sleep(60)
            before = clock.monotonic()
            assert await central.request_reading(CP1) is Outcome.TIMEOUT
            assert clock.monotonic() - before == pytest.approx(45)

    play(main)


def test_problem_01_a_reconnect_without_boot_keeps_its_heartbeat_interval() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
        async with connected(central) as peer:
            await asyncio.sleep(600)
            assert central.connected("CP1")
            await asyncio.sleep(600)
            assert not central.connected("CP1")

    play(main)


def test_an_unknown_station_is_quarantined_answered_and_not_served() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        for _ in range(2):
            async with connected(central, "STRANGER") as peer:
                boot = await peer.boot()
                assert (boot[0], boot[2]["status"]) == (3, "Rejected")
                assert boot[2]["interval"] == 300
                assert (await peer.call("Heartbeat", {}))[0] == 3
                refused = await peer.call("StartTransaction", {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": STAMP})
                assert refused[0:3:2] == [4, "SecurityError"]
                await asyncio.sleep(30)
                assert peer.got == []
        assert depot.unknown == [("STRANGER", "memory")], "reported once"
        assert (depot.requests, depot.boots, depot.links) == ([], [], [])
        assert not central.connected("STRANGER")
        assert (central.link("STRANGER"), central.frames("STRANGER")) == (None, ())

    play(main)


def test_unknown_stations_are_bounded() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central, "S1"), connected(central, "S2") as second:
            async with connected(central, "S3") as third:
                await asyncio.sleep(1)
                assert third.wire.close_code == 1013
            assert second.wire.close_code is None

    play(main, settings=OcppSettings(quarantined=2))


# ---------------------------------------------------------------------- their messages


def test_status_is_answered_after_the_depot_has_it() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            depot.gate = asyncio.Event()
            told = asyncio.create_task(peer.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"}))
            await asyncio.sleep(5)
            assert not told.done()
            depot.gate.set()
            assert (await told)[0] == 3
            assert depot.statuses == [(CP1, ConnectorStatus.PREPARING, "NoError")]
            assert (await peer.call("StatusNotification", {"connectorId": 0, "errorCode": "NoError", "status": "Available"}))[0] == 3
            assert len(depot.statuses) == 1

    play(main)


def test_authorize() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            assert (await peer.call("Authorize", {"idTag": "T"}))[2] == {"idTagInfo": {"status": "Accepted"}}
            depot.answer = INVALID
            assert (await peer.call("Authorize", {"idTag": "T"}))[2] == {"idTagInfo": {"status": "Invalid"}}

    play(main)


def test_problem_05_a_repeated_start_has_the_same_natural_key_and_answer_whatever_its_message_id() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            first = await peer.start()
            assert await peer.start() == first
            assert len(depot.starts) == 1
            assert await peer.start(meter=1001) != first
            assert await peer.start(connector=2) != first

    play(main)


def test_a_start_that_is_not_accepted_is_answered_with_its_id() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            payload = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": STAMP}
            assert (await peer.call("StartTransaction", payload))[2] == {"transactionId": 1, "idTagInfo": {"status": "Invalid"}}

    play(main, depot=FakeDepot(answer=INVALID))


def test_a_start_on_an_undeclared_connector_says_what_is_wrong() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            refused = await peer.call("StartTransaction", {"connectorId": 9, "idTag": "T", "meterStart": 0, "timestamp": STAMP})
            assert refused[2] == "PropertyConstraintViolation"
            assert "connector 9 of CP1 is not declared" in refused[3]

    play(main)


def test_problem_06_two_stops_with_different_message_ids_are_both_answered() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            number = await peer.start()
            stop = {"transactionId": number, "meterStop": 5000, "timestamp": STAMP}
            assert (await peer.call("StopTransaction", stop))[:1] == [3]
            assert (await peer.call("StopTransaction", stop))[:1] == [3]
            assert [s.transaction_id for s in depot.stops] == [number, number]

    play(main)


@pytest.mark.parametrize(
    ("payload", "transaction_id", "meter_wh"),
    [
        ({"transactionId": -1, "meterStop": 5, "timestamp": STAMP}, -1, 5),
        ({"transactionId": 99, "meterStop": 5, "timestamp": STAMP}, 99, 5),
        ({}, -1, 0),
        ({"transactionId": "what", "meterStop": None, "timestamp": "yesterday", "reason": 7}, -1, 0),
        ({"transactionId": INT_MAX + 1, "meterStop": 10**400, "timestamp": STAMP}, -1, 0),
        ({"transactionId": 1, "timestamp": STAMP}, 1, 1000),
        ({"transactionId": 1, "meterStop": 1200, "timestamp": STAMP, "transactionData": "junk"}, 1, 1200),
    ],
)
def test_problem_06_a_stop_is_always_answered(payload: dict[str, Any], transaction_id: int, meter_wh: int) -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await peer.start(meter=1000)
            assert (await peer.call("StopTransaction", payload))[0] == 3
            assert (depot.stops[0].transaction_id, depot.stops[0].meter_stop_wh) == (transaction_id, meter_wh)

    play(main)


def test_a_depot_that_fails_is_an_internal_error_and_the_station_may_repeat(caplog: pytest.LogCaptureFixture) -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        def fail(_: StartRequest) -> None:
            raise RuntimeError("journal is gone")

        async with connected(central) as peer:
            depot.on_start = fail
            payload = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": STAMP}
            refused = await peer.call("StartTransaction", payload, message_id="same")
            assert refused[2] == "InternalError"
            assert "journal" not in refused[3]
            depot.on_start = None
            assert (await peer.call("StartTransaction", payload, message_id="same"))[0] == 3

    play(main)
    assert "answering StartTransaction failed" in caplog.text


def test_problem_09_meter_values_without_a_transaction_are_readings() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await peer.call("MeterValues", values({"value": "1000"}, {"value": "7.4", "measurand": "Power.Active.Import", "unit": "kW"}))
            (reading,) = depot.readings
            assert (reading.connector, reading.energy_wh, reading.power_w, reading.transaction_id) == (CP1, 1000, 7400, None)
            assert reading.received_at == clock.now()

    play(main)


def test_problem_09_impossible_values_are_counted_and_never_passed_on() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            for value in (
                {"value": "NaN"},
                {"value": "70", "unit": "kW", "measurand": "Power.Active.Import"},
                {"value": "200", "measurand": "SoC"},
            ):
                assert (await peer.call("MeterValues", values(value)))[0] == 3
            assert depot.readings == []
            counted = central.violations("CP1")
            assert (counted["not_a_number"], counted["power_beyond_rating"], counted["out_of_range"]) == (1, 1, 1)

    play(main)


def test_problem_08_a_violation_is_repaired_counted_and_the_rest_kept() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await peer.call("MeterValues", values({"value": 1000}, {"value": "50", "unit": "Hz"}))
            assert depot.readings[0].energy_wh == 1000
            assert central.violations("CP1")["number_as_string"] == 1
            assert central.link("CP1").violations >= 2  # type: ignore[union-attr]  # a declared station

    play(main)


def test_problem_07_replayed_values_are_marked_and_live_ones_are_not() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await asyncio.sleep(86_400)
        async with connected(central) as peer:
            for minute in range(30):
                await peer.call("MeterValues", values({"value": str(1000 + minute)}, at=f"2026-03-01T12:{minute:02}:00Z"))
            await peer.call("MeterValues", values({"value": "2000"}, at="2026-03-02T12:00:00Z"))
            assert [r.replayed for r in depot.readings] == [True] * 30 + [False]

    play(main)


def test_problem_10_a_wrong_clock_is_measured_by_our_own_trigger_and_goes_into_profiles() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            now = clock.now() - timedelta(days=1)
            await peer.call("MeterValues", values({"value": "1", "context": "Trigger"}, at=now.isoformat()))
            assert central.skew("CP1") == timedelta(days=-1)
            assert not depot.readings[0].replayed
            await peer.start()
            await central.apply(setpoints(setpoint(11_000, until=later(clock))))
            assert peer.calls("SetChargingProfile")[-1]["csChargingProfiles"]["validTo"].startswith("2026-02-28T12:03")

    play(main)


@pytest.mark.parametrize(
    ("action", "payload", "wanted"),
    [
        ("DataTransfer", {"vendorId": "x"}, [3, {"status": "UnknownVendorId"}]),
        ("FirmwareStatusNotification", {"status": "Idle"}, [3, {}]),
        ("DiagnosticsStatusNotification", {"status": "Idle"}, [3, {}]),
        ("SecurityEventNotification", {"type": "Reset", "timestamp": STAMP}, [3, {}]),
        ("SignCertificate", {"csr": "x"}, [3, {"status": "Rejected"}]),
        ("RemoteStartTransaction", {"idTag": "x"}, [4, "NotImplemented"]),
        ("../../etc/passwd", {}, [4, "NotImplemented"]),
        ("StatusNotification", {}, [4, "OccurenceConstraintViolation"]),
    ],
)
def test_other_actions(action: str, payload: dict[str, Any], wanted: list[Any]) -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            assert (await peer.call(action, payload))[0:3:2] == wanted

    play(main)


# ---------------------------------------------------------------------- our calls


def test_section_6_a_tx_profile_leaves_only_after_the_start_conf_is_on_the_wire() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            applied: list[asyncio.Task[Any]] = []

            def woken(request: StartRequest) -> None:
                applied.append(asyncio.create_task(central.apply(setpoints(setpoint(11_000, until=later(clock))))))

            depot.on_start = woken
            depot.gate = asyncio.Event()
            starting = asyncio.create_task(peer.start())
            await asyncio.sleep(3)
            assert peer.calls("SetChargingProfile") == []
            assert await central.request_reading(CP1) is Outcome.ACCEPTED, "only that connector's profile waits"
            depot.gate.set()
            await starting
            assert await applied[0] == [Outcome.ACCEPTED]
            assert peer.order[-2].startswith("conf ")
            assert peer.order[-1] == "call SetChargingProfile"

    play(main)


def test_apply_without_a_transaction_is_refused_and_unknown_connectors_are_offline() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            outcomes = await central.apply(
                setpoints(
                    setpoint(11_000, until=later(clock), transaction_id=None),
                    setpoint(11_000, until=later(clock), connector=ConnectorId("CP2", 1)),
                    setpoint(11_000, until=later(clock), connector=ConnectorId("CP1", 9)),
                    setpoint(11_000, until=later(clock), connector=ConnectorId("CP7", 1)),
                )
            )
            assert outcomes == [Outcome.REFUSED, Outcome.OFFLINE, Outcome.OFFLINE, Outcome.OFFLINE]

    play(main)


def refusing(*purposes: str, unit: str = "") -> Callable[[dict[str, Any]], Answer]:
    def answer(payload: dict[str, Any]) -> Answer:
        profile = payload["csChargingProfiles"]
        refused = profile["chargingProfilePurpose"] in purposes or profile["chargingSchedule"]["chargingRateUnit"] == unit
        return {"status": "Rejected" if refused else "Accepted"}

    return answer


def purposes_tried(peer: Peer) -> list[str]:
    return [p["csChargingProfiles"]["chargingProfilePurpose"] for p in peer.calls("SetChargingProfile")]


def test_problem_11_the_ladder_finds_what_works_and_keeps_it() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            peer.configuration["ChargingScheduleAllowedChargingRateUnit"] = "Power"
            await booted(peer, depot)
            peer.answers["SetChargingProfile"] = refusing("TxProfile")
            for _ in range(2):
                assert await central.apply(setpoints(setpoint(11_000, until=later(clock)))) == [Outcome.ACCEPTED]
            assert purposes_tried(peer) == ["TxProfile", "TxProfile", "TxDefaultProfile", "TxDefaultProfile"]
            assert peer.calls("ClearChargingProfile") == [{"id": 11}], "what its start carried would stand above"
            assert "TxProfile" not in depot.probes[-1].purposes

    play(main)


def test_problem_11_a_profile_refused_before_the_transaction_is_known_is_said_again() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            peer.configuration["ChargingScheduleAllowedChargingRateUnit"] = "Power"
            await booted(peer, depot)
            answers = iter(["Rejected", "Accepted", "Accepted"])
            peer.answers["SetChargingProfile"] = lambda p: {"status": next(answers)}
            for _ in range(2):
                assert await central.apply(setpoints(setpoint(11_000, until=later(clock)))) == [Outcome.ACCEPTED]
            assert purposes_tried(peer) == ["TxProfile"] * 3
            assert peer.calls("ClearChargingProfile") == []

    play(main)


def test_problem_11_a_station_that_refuses_everything_is_unsupported() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            peer.configuration["ChargingScheduleAllowedChargingRateUnit"] = "Power"
            await booted(peer, depot)
            peer.answers["SetChargingProfile"] = lambda p: ("NotSupported", "")
            assert await central.apply(setpoints(setpoint(11_000, until=later(clock)))) == [Outcome.UNSUPPORTED]
            assert purposes_tried(peer) == ["TxProfile", "TxDefaultProfile"], "never the station's profile on two connectors"

    play(main)


def test_problem_15_a_single_connector_station_may_be_limited_as_a_whole() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        connector = ConnectorId("CP2", 1)
        async with connected(central, "CP2") as peer:
            await booted(peer, depot)
            peer.answers["SetChargingProfile"] = refusing("TxProfile", "TxDefaultProfile")
            assert await central.apply(setpoints(setpoint(11_000, until=later(clock), connector=connector))) == [Outcome.ACCEPTED]
            assert peer.calls("SetChargingProfile")[-1]["connectorId"] == 0
            assert await central.install_default(connector, 4_140) is Outcome.UNSUPPORTED
            assert depot.probes[-1].purposes == ("ChargePointMaxProfile",)

    play(main)


def test_problem_12_a_station_of_unknown_unit_is_tried_in_both() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            del peer.configuration["ChargingScheduleAllowedChargingRateUnit"]
            await booted(peer, depot)
            peer.answers["SetChargingProfile"] = refusing(unit="A")
            assert await central.apply(setpoints(setpoint(11_000, until=later(clock)))) == [Outcome.ACCEPTED]
            assert await central.install_default(CP1, 4_140) is Outcome.ACCEPTED
            units = [p["csChargingProfiles"]["chargingSchedule"]["chargingRateUnit"] for p in peer.calls("SetChargingProfile")]
            assert units == ["A", "W", "A", "A", "W"]

    play(main)


def test_a_refusal_of_what_worked_before_is_no_lack_of_capability() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            await central.apply(setpoints(setpoint(11_000, until=later(clock))))
            peer.answers["SetChargingProfile"] = lambda p: {"status": "Rejected"}
            assert await central.apply(setpoints(setpoint(9_000, until=later(clock)))) == [Outcome.REFUSED]
            assert purposes_tried(peer) == ["TxProfile", "TxProfile"]

    play(main)


def test_problem_13_a_pause_is_a_profile_of_zero_and_resume_sends_the_whole_profile_again() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            for level in (11_000, 0, 11_000):
                assert await central.apply(setpoints(setpoint(level, until=later(clock)))) == [Outcome.ACCEPTED]
            sent = [p["csChargingProfiles"] for p in peer.calls("SetChargingProfile")]
            assert [p["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] for p in sent] == [11_000, 0, 11_000]
            assert len({p["chargingProfileId"] for p in sent}) == 1

    play(main)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"status": "Accepted"}, Outcome.ACCEPTED),
        ({"status": "Rejected"}, Outcome.REFUSED),
        ({"status": "NotImplemented"}, Outcome.UNSUPPORTED),
        (("NotSupported", "no"), Outcome.UNSUPPORTED),
        (("NotImplemented", "no"), Outcome.UNSUPPORTED),
        (("InternalError", "no"), Outcome.ERROR),
        ('[4,"{id}"]', Outcome.ERROR),
        ('[3,"{id}",{"state":"Accepted"}]', Outcome.UNKNOWN),
        ('[3,"{id}"]', Outcome.UNKNOWN),
        ('[3,"{id}",{', Outcome.UNKNOWN),
        ('[3,"{id}",{"status":"accepted","extra":1}]', Outcome.ACCEPTED),
        (None, Outcome.TIMEOUT),
    ],
)
def test_every_call_ends_with_its_outcome(answer: Answer, outcome: Outcome) -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            peer.answers["TriggerMessage"] = lambda p: answer
            assert await central.request_reading(CP1) is outcome

    play(main)


def test_urgent_decreases_overtake_and_a_newer_setpoint_supersedes_a_waiting_one() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        second = ConnectorId("CP1", 2)
        async with connected(central) as peer:
            await booted(peer, depot)
            await central.apply(setpoints(setpoint(11_000, until=later(clock)), setpoint(11_000, until=later(clock), connector=second)))
            peer.answers["TriggerMessage"] = lambda p: None
            busy = asyncio.create_task(central.request_reading(CP1))
            await asyncio.sleep(0.1)
            increase = asyncio.create_task(central.apply(setpoints(setpoint(15_000, until=later(clock), connector=second))))
            older = asyncio.create_task(central.apply(setpoints(setpoint(9_000, until=later(clock)))))
            await asyncio.sleep(0.1)
            newer = asyncio.create_task(central.apply(setpoints(setpoint(8_000, until=later(clock)))))
            await asyncio.sleep(0.1)
            assert await older == [Outcome.ERROR], "it never left"
            assert await busy is Outcome.TIMEOUT
            assert (await newer, await increase) == ([Outcome.ACCEPTED], [Outcome.ACCEPTED])
            limits = [
                p["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] for p in peer.calls("SetChargingProfile")
            ]
            assert limits == [11_000, 11_000, 8_000, 15_000]

    play(main)


def test_an_older_setpoint_on_its_way_down_the_ladder_gives_way_to_a_newer_one() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            peer.answers["SetChargingProfile"] = refusing("TxProfile")
            older, newer = await asyncio.gather(
                central.apply(setpoints(setpoint(11_000, until=later(clock)))),
                central.apply(setpoints(setpoint(6_000, until=later(clock)))),
            )
            assert (older, newer) == ([Outcome.ERROR], [Outcome.ACCEPTED])
            assert (
                peer.calls("SetChargingProfile")[-1]["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
                == 6_000
            )

    play(main)


def test_a_setpoint_that_expired_or_waited_too_long_never_leaves() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            assert await central.apply(setpoints(setpoint(11_000, until=clock.now()))) == [Outcome.ERROR]
            depot.gate = asyncio.Event()
            starting = asyncio.create_task(peer.start())
            await asyncio.sleep(1)
            before = clock.monotonic()
            assert await central.apply(setpoints(setpoint(11_000, until=later(clock)))) == [Outcome.ERROR]
            assert clock.monotonic() - before == pytest.approx(15, abs=0.1)
            assert peer.calls("SetChargingProfile") == []
            depot.gate.set()
            await starting

    play(main)


def test_remote_start_carries_its_profile_where_the_station_takes_one() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            wanted = setpoint(11_000, until=later(clock), transaction_id=None)
            assert await central.start(wanted, "TAG1") is Outcome.ACCEPTED
            (sent,) = peer.calls("RemoteStartTransaction")
            assert sent["chargingProfile"]["chargingProfilePurpose"] == "TxProfile"
            assert "transactionId" not in sent["chargingProfile"]
            peer.answers["RemoteStartTransaction"] = lambda p: (
                ("FormationViolation", "") if "chargingProfile" in p else {"status": "Accepted"}
            )
            assert await central.start(wanted, "TAG1") is Outcome.ACCEPTED
            assert await central.start(wanted, "TAG1") is Outcome.ACCEPTED
            assert ["chargingProfile" in p for p in peer.calls("RemoteStartTransaction")] == [True, True, False, False]
            peer.answers["RemoteStartTransaction"] = lambda p: {"status": "Rejected"}
            assert await central.start(wanted, "TAG1") is Outcome.REFUSED

    play(main)


def test_the_other_commands() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            peer.answers["ChangeAvailability"] = lambda p: {"status": "Scheduled"}
            assert await central.set_operative(CP1, False) is Outcome.ACCEPTED
            assert await central.stop(CP1, 7) is Outcome.ACCEPTED
            assert peer.calls("RemoteStopTransaction") == [{"transactionId": 7}]
            peer.answers["ClearChargingProfile"] = lambda p: {"status": "Unknown"}
            assert (await central.clear_profiles("CP1", purpose=Purpose.TX)).payload == {"status": "Unknown"}
            schedule = {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 599.989, "limit": 1.0}]}
            peer.answers["GetCompositeSchedule"] = lambda p: {"status": "Accepted", "chargingSchedule": schedule}
            reply = await central.get_composite(CP1, duration_s=600, unit="W")
            assert reply.payload["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 600, "limit": 1.0}]
            assert (await central.get_configuration("CP1", "HeartbeatInterval")).payload["unknownKey"] == ["HeartbeatInterval"]
            assert (await central.trigger("CP7", "Heartbeat")).outcome is Outcome.OFFLINE

    play(main)


def test_the_message_log_is_short_bounded_and_shows_no_tag() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            await peer.start(tag="SECRET-TAG-42")
            shown = [(f.direction, f.action, f.summary) for f in central.frames("CP1")]
            assert ("in", "StartTransaction", "connector 1, tag …42, meter 1000") in shown
            assert ("out", "StartTransaction", "Accepted, transaction 1") in shown
            for _ in range(200):
                await peer.call("Heartbeat", {})
            assert 50 <= len(central.frames("CP1")) <= 100, "by frames and by memory"

    play(main)


# ---------------------------------------------------------------------- abuse


def test_a_fast_sender_is_read_at_its_rate_and_a_flood_is_cut() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            before = clock.monotonic()
            for _ in range(1000):
                await peer.call("Heartbeat", {})
            assert clock.monotonic() - before == pytest.approx(800 / 50, rel=0.1)
            with contextlib.suppress(WireClosed):
                for _ in range(3000):
                    await peer.raw('[9,"junk"]')
            assert peer.wire.close_reason == "too many frames"

    play(main)


def test_a_station_that_does_not_read_is_disconnected() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        near, far = memory_pipe()
        serving = asyncio.create_task(central.attach(near, "CP1"))
        for number in range(66):
            await far.send(f'[2,"{number}","Heartbeat",{{}}]')
        await asyncio.sleep(25)
        assert far.close_reason == "not reading"
        await serving

    play(main)


def test_leaving_the_central_system_ends_every_connection() -> None:
    async def run(clock: VirtualClock) -> None:
        depot = FakeDepot()
        async with connected(central_of(depot, clock)):
            pass
        central = central_of(depot, clock)
        async with asyncio.TaskGroup() as group:
            async with central:
                near, far = memory_pipe()
                serving = group.create_task(central.attach(near, "CP1"))
                await asyncio.sleep(1)
            assert serving.done()
            assert far.close_code == 1012

    run_virtual(run, start=START)


def test_a_link_that_ends_while_a_fact_is_stored_is_gone_at_once_and_the_fact_is_kept() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        depot.gate = asyncio.Event()
        near, far = memory_pipe()
        serving = asyncio.create_task(central.attach(near, "CP1"))
        await far.send(f'[2,"1","StartTransaction",{{"connectorId":1,"idTag":"T","meterStart":0,"timestamp":"{STAMP}"}}]')
        await asyncio.sleep(1)
        await far.close()
        await asyncio.sleep(1)
        assert not central.connected("CP1")
        assert not depot.links[-1].connected
        assert not serving.done()
        depot.gate.set()
        await serving
        assert len(depot.requests) == 1

    play(main)


def test_a_boot_during_the_questions_starts_them_anew_and_ready_comes_once() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            peer.answers["TriggerMessage"] = lambda p: {"status": "Rejected"}
            peer.answers["GetConfiguration"] = lambda p: None
            await until(lambda: peer.calls("GetConfiguration"))
            del peer.answers["GetConfiguration"]
            peer.answers["GetConfiguration"] = lambda p: {"configurationKey": []}
            await peer.boot()
            await asyncio.sleep(60)
            assert depot.readies == [("CP1", True)]

    play(main)


def test_fault_11_junk_in_every_action_never_ends_a_connection() -> None:
    junk: tuple[Any, ...] = (
        None,
        True,
        -1,
        2**70,
        10**4000,
        1.5,
        "",
        "x" * 600,
        [],
        {},
        [[]],
        {"a": {}},
        "NaN",
        [{}],
        [{"sampledValue": [{}]}],
    )
    actions = "MeterValues StatusNotification StartTransaction StopTransaction BootNotification Authorize RemoteStartTransaction"

    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            answered = 0
            for action in [
                *actions.split(),
                "SetChargingProfile",
                "DataTransfer",
                "FirmwareStatusNotification",
                "Heartbeat",
                "LogStatusNotification",
            ]:
                for key in (
                    "connectorId",
                    "meterValue",
                    "csChargingProfiles",
                    "chargingProfile",
                    "idTag",
                    "status",
                    "meterStart",
                    "timestamp",
                ):
                    for value in junk:
                        payload = {
                            "connectorId": 1,
                            "idTag": "T",
                            "meterStart": 1,
                            "timestamp": STAMP,
                            "status": "Available",
                            "errorCode": "NoError",
                        }
                        reply = await peer.call(action, {**payload, key: value})
                        answered += reply[0] in (3, 4)
            assert answered == 12 * 8 * len(junk)
            assert central.connected("CP1")

    play(main, settings=OcppSettings(frames_per_s=1e6, frames_burst=10**6))


# ---------------------------------------------------------------------- what a station holds


def test_the_book_follows_what_was_sent_and_what_became_of_it() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await booted(peer, depot)
            assert await central.install_default(CP1, 4_140) is Outcome.ACCEPTED
            number = await peer.start()
            assert await central.apply(setpoints(setpoint(11_000, until=later(clock), transaction_id=number))) == [Outcome.ACCEPTED]
            held = [(e.profile.purpose, e.profile.periods[0].limit, e.confirmed, e.ours) for e in central.installed("CP1")]
            assert held == [(Purpose.TX_DEFAULT, 4_140, True, True), (Purpose.TX, 11_000, True, True)]
            peer.answers["SetChargingProfile"] = lambda p: None
            assert await central.apply(setpoints(setpoint(9_000, until=later(clock), transaction_id=number))) == [Outcome.TIMEOUT]
            assert [(e.profile.periods[0].limit, e.confirmed) for e in central.installed("CP1")][1:] == [(11_000, True), (9_000, False)]
            await peer.call("StopTransaction", {"transactionId": number, "meterStop": 2000, "timestamp": "2026-03-01T12:30:00Z"})
            assert [e.profile.purpose for e in central.installed("CP1")] == [Purpose.TX_DEFAULT]
            await central.clear_profiles("CP1", connector=1)
            assert central.installed("CP1") == ()
            assert central.installed("CP9") == ()

    play(main)
