"""OCPP 2.0.1 over real sockets, against the client side of the ``ocpp`` package; and nights of mixed depots."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mixed_night import HOURS, Night, play
from ocpp.routing import on
from ocpp.v201 import ChargePoint, call, call_result
from ocpp_fakes import CP1, VARIABLES, FakeDepot, depot_spec, setpoint, setpoints, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from controller.clock import SystemClock
from depot.ports import StartRequest
from depot.values import Outcome
from ocpp_server import Central, KeyedCredentials, OcppSettings, keyed_digest
from simulator.personas import Persona

pytestmark = pytest.mark.anyio

KEY = b"0123456789abcdef"
PASSWORD = "4f1c9e0b7a5d48c2b6e3"
CREDENTIALS = KeyedCredentials(key=KEY, digests={name: keyed_digest(KEY, name, PASSWORD) for name in ("CP1", "CP2")})
STAMP = "2026-03-01T12:00:00Z"
TAG = {"id_token": "TAG1", "type": "ISO14443"}


class Station(ChargePoint):  # type: ignore[misc]  # the package is untyped
    """A station on the package's client side; ``order`` is what it saw on the wire."""

    def __init__(self, station_id: str, connection: ClientConnection) -> None:
        super().__init__(station_id, connection, response_timeout=5)
        self.profiles: list[tuple[int, dict[str, Any]]] = []
        self.order: list[str] = []
        self.variables = dict(VARIABLES)
        self.stopped: list[str] = []

    async def route_message(self, raw_msg: str) -> None:
        message = json.loads(raw_msg)
        self.order.append(f"call {message[2]}" if message[0] == 2 else "conf")
        await super().route_message(raw_msg)

    @on("GetVariables")
    def on_get_variables(self, get_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        return call_result.GetVariables(get_variable_result=[self._shown(asked) for asked in get_variable_data])

    def _shown(self, asked: dict[str, Any]) -> dict[str, Any]:
        value = self.variables.get(_name(asked))
        said = {"attribute_status": "UnknownVariable"} if value is None else {"attribute_status": "Accepted", "attribute_value": value}
        return {"component": asked["component"], "variable": asked["variable"], **said}

    @on("SetVariables")
    def on_set_variables(self, set_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        self.variables |= {_name(asked): asked["attribute_value"] for asked in set_variable_data}
        results = [{"component": a["component"], "variable": a["variable"], "attribute_status": "Accepted"} for a in set_variable_data]
        return call_result.SetVariables(set_variable_result=results)

    @on("TriggerMessage")
    def on_trigger(self, **_: Any) -> Any:
        return call_result.TriggerMessage(status="Rejected")

    @on("SetChargingProfile")
    def on_profile(self, evse_id: int, charging_profile: dict[str, Any], **_: Any) -> Any:
        self.profiles.append((evse_id, charging_profile))
        return call_result.SetChargingProfile(status="Accepted")

    @on("RequestStopTransaction")
    def on_request_stop(self, transaction_id: str, **_: Any) -> Any:
        self.stopped.append(transaction_id)
        return call_result.RequestStopTransaction(status="Accepted")

    async def boot(self) -> Any:
        return await self.call(call.BootNotification(charging_station={"model": "Two", "vendor_name": "Acme"}, reason="PowerUp"))

    async def event(self, kind: str, seq_no: int, *, why: str, state: str, wh: float | None = None, **more: Any) -> Any:
        values = None if wh is None else [{"timestamp": STAMP, "sampled_value": [{"value": wh, "unit_of_measure": {"unit": "Wh"}}]}]
        return await self.call(
            call.TransactionEvent(
                event_type=kind,
                timestamp=STAMP,
                trigger_reason=why,
                seq_no=seq_no,
                transaction_info={"transaction_id": "a-transaction", "charging_state": state},
                meter_value=values,
                evse={"id": 1, "connector_id": 1},
                **more,
            )
        )


def _name(asked: dict[str, Any]) -> str:
    parts = (asked["component"]["name"], asked["variable"]["name"], asked["variable"].get("instance"))
    return ".".join(part for part in parts if part)


@asynccontextmanager
async def listening(depot: FakeDepot, **settings: Any) -> AsyncIterator[Central]:
    options = OcppSettings(**settings)
    async with Central(spec=depot_spec(), events=depot, clock=SystemClock(), credentials=CREDENTIALS, settings=options) as central:
        await central.listen("127.0.0.1", 0)
        yield central


def dial(central: Central, station_id: str = "CP1", *offered: str) -> Any:
    token = base64.b64encode(f"{station_id}:{PASSWORD}".encode()).decode()
    return connect(
        f"ws://127.0.0.1:{central.port}/ocpp/{station_id}",
        additional_headers={"Authorization": f"Basic {token}"},
        subprotocols=[Subprotocol(name) for name in offered or ("ocpp2.0.1",)],
        proxy=None,
        close_timeout=1,
    )


@asynccontextmanager
async def station(central: Central, station_id: str = "CP1") -> AsyncIterator[Station]:
    async with dial(central, station_id) as connection:
        client = Station(station_id, connection)
        running = asyncio.create_task(client.start())
        try:
            yield client
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=180)


async def test_a_session_from_boot_to_stop() -> None:
    depot = FakeDepot()
    async with listening(depot) as central, station(central) as client:
        assert (await client.boot()).status == "Accepted"
        await until(lambda: depot.readies)
        assert (depot.probes[0].rate_units, depot.probes[0].max_stack_level, depot.probes[0].autonomous) == (("W", "A"), 8, False)
        await client.call(call.StatusNotification(timestamp=STAMP, connector_status="Occupied", evse_id=1, connector_id=1))
        assert (await client.call(call.Authorize(id_token=TAG))).id_token_info["status"] == "Accepted"
        await client.event("Started", 0, why="CablePluggedIn", state="EVConnected", wh=1000)
        answer = await client.event("Updated", 1, why="Authorized", state="EVConnected", id_token=TAG)
        assert answer.id_token_info["status"] == "Accepted"
        await client.event("Updated", 2, why="ChargingStateChanged", state="Charging")
        assert await central.apply(setpoints(setpoint(11_000, until=soon()))) == [Outcome.ACCEPTED]
        evse, profile = client.profiles[-1]
        assert (evse, profile["transaction_id"]) == (1, "a-transaction")
        assert profile["charging_schedule"][0]["charging_schedule_period"][0]["limit"] == 11_000
        assert await central.install_default(CP1, 4_140) is Outcome.ACCEPTED
        sampled = [{"value": 11.0, "measurand": "Power.Active.Import", "unit_of_measure": {"unit": "kW"}}]
        now = datetime.now(UTC).isoformat()
        await client.call(call.MeterValues(evse_id=1, meter_value=[{"timestamp": now, "sampled_value": sampled}]))
        assert (depot.readings[-1].power_w, depot.readings[-1].transaction_id) == (11_000, 1)
        assert await central.stop(CP1, 1) is Outcome.ACCEPTED
        assert client.stopped == ["a-transaction"]
        for _ in range(2):
            await client.event("Ended", 3, why="RemoteStop", state="EVConnected", wh=2000)
        assert [(s.transaction_id, s.meter_stop_wh) for s in depot.stops] == [(1, 2000)]
        assert [status.value for _, status, _ in depot.statuses] == ["Preparing", "Charging", "Finishing"]
        assert (await client.call(call.Heartbeat())).current_time.endswith("Z")
        assert central.violations("CP1") == {"repeated_event": 1}


async def test_section_6_the_tx_profile_follows_the_answer_on_the_wire() -> None:
    depot = FakeDepot()
    async with listening(depot) as central, station(central) as client, asyncio.TaskGroup() as group:
        await client.boot()
        await until(lambda: depot.readies)

        def woken(_: StartRequest) -> None:
            group.create_task(central.apply(setpoints(setpoint(11_000, until=soon()))))

        depot.on_start = woken
        await client.event("Started", 0, why="Authorized", state="EVConnected", wh=1, id_token=TAG)
        await until(lambda: client.profiles)
        assert client.order[-2:] == ["conf", "call SetChargingProfile"]


async def test_problem_16_sub_protocols_are_chosen_per_connection() -> None:
    async with listening(FakeDepot()) as central:
        async with dial(central, "CP1", "ocpp1.6", "ocpp2.0.1") as connection:
            assert connection.subprotocol == "ocpp2.0.1"
            await connection.send('[2,"1","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]')
            assert json.loads(await connection.recv())[:3] == [4, "1", "OccurrenceConstraintViolation"]  # 1.6 is not read as 2.0.1
        async with dial(central, "CP1", "ocpp1.6") as connection:
            await connection.send('[2,"1","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]')
            assert json.loads(await connection.recv())[:2] == [3, "1"]


async def test_fault_11_malformed_frames_are_answered_and_the_connection_lives() -> None:
    async with listening(FakeDepot()) as central, dial(central) as connection:
        for frame, error in (
            ('[2,"a",{},{}]', "FormatViolation"),
            ('[2,"b"]', "FormatViolation"),
            ('[2,"c","Heartbeat",' + "[" * 2000, "FormatViolation"),
            ('[2,"d","StartTransaction",{}]', "NotImplemented"),
            ('[2,"e","StatusNotification",{"evseId":1}]', "OccurrenceConstraintViolation"),
            ('[2,"f","TransactionEvent",{"eventType":"Started","transactionInfo":[]}]', "OccurrenceConstraintViolation"),
        ):
            await connection.send(frame)
            reply = json.loads(await asyncio.wait_for(connection.recv(), 5))
            assert reply[0:3] == [4, frame[4], error]
        await connection.send("not json")
        await connection.send('[2,"z","Heartbeat",{}]')
        assert json.loads(await asyncio.wait_for(connection.recv(), 5))[:2] == [3, "z"]


def mutated(rng: random.Random, count: int) -> list[tuple[str, str]]:
    """(message id, frame): calls with a part of their payload replaced by junk."""
    event = {
        "eventType": "Started", "triggerReason": "Authorized", "seqNo": 0, "timestamp": STAMP, "evse": {"id": 1},
        "transactionInfo": {"transactionId": "t", "chargingState": "Charging"}, "idToken": {"idToken": "T", "type": "Local"},
        "meterValue": [{"timestamp": STAMP, "sampledValue": [{"value": 1, "unitOfMeasure": {"unit": "Wh", "multiplier": 1}}]}],
    }  # fmt: skip
    calls = (
        ("TransactionEvent", event),
        ("TransactionEvent", {**event, "eventType": "Updated", "seqNo": 1}),
        ("TransactionEvent", {**event, "eventType": "Ended", "seqNo": 2}),
        ("StatusNotification", {"timestamp": STAMP, "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1}),
        ("MeterValues", {"evseId": 1, "meterValue": event["meterValue"]}),
        ("ReportChargingProfiles", {"requestId": 1, "chargingLimitSource": "CSO", "evseId": 1, "chargingProfile": []}),
    )
    junk: tuple[Any, ...] = (None, True, -1, 2**70, 1e308, "", "x" * 600, [], {}, [[]], {"a": {}}, "NaN", "\u0000")
    found = []
    for number in range(count):
        action, payload = rng.choice(calls)
        message = json.loads(json.dumps([2, f"m{number}", action, payload]))
        part = message[3]
        while True:
            at = rng.choice(list(part) if isinstance(part, dict) else range(len(part))) if part else None
            if at is None:
                break
            if isinstance(part[at], dict | list) and rng.random() < 0.6:
                part = part[at]
                continue
            part[at] = rng.choice(junk)
            break
        found.append((f"m{number}", json.dumps(message)))
    return found


async def test_fault_11_a_thousand_mutated_calls_get_exactly_one_answer_each() -> None:
    seed = 201
    sent = mutated(random.Random(seed), 1000)
    answers: Counter[str] = Counter()
    settings = {"frames_burst": 100_000, "frames_per_s": 100_000.0}
    async with listening(FakeDepot(), **settings) as central, dial(central) as connection:

        async def read() -> None:
            while answers.total() < len(sent):
                reply = json.loads(await connection.recv())
                if reply[0] != 2:
                    answers[reply[1]] += 1

        reading = asyncio.create_task(read())
        for _, text in sent:
            await connection.send(text)
        await asyncio.wait_for(reading, 30)
        assert {name for name, _ in sent} == set(answers), f"seed {seed}"
        assert set(answers.values()) == {1}
        assert central.connected("CP1")


# ---------------------------------------------------------------------- nights


@pytest.fixture(scope="module")
def mixed() -> Night:
    return play(seed=3, share_201=0.5, personas={"S2": Persona.OVERDRAWS, "S3": Persona.DOUBLES_STOP, "S5": Persona.KWH_FOR_WH})


def test_a_mixed_depot_keeps_its_limits_and_delivers(mixed: Night) -> None:
    assert len(mixed.modern) == 3
    assert mixed.slots.violations == 0, f"worst {mixed.slots.worst_over_kw:.2f} kW over at {mixed.slots.worst_at}"
    assert mixed.slots.instant_peak_kw > 40  # the test would prove nothing at an idle depot
    assert [visit.got_wh >= 0.98 * visit.need_wh for visit in mixed.slots.visits] == [True] * 6


def test_each_station_of_a_mixed_depot_speaks_its_own_version(mixed: Night) -> None:
    for station_id in (f"S{n}" for n in range(1, 7)):
        spoken = mixed.actions(station_id)
        assert ("TransactionEvent" in spoken) == (station_id in mixed.modern)
        assert ("StartTransaction" in spoken) == (station_id not in mixed.modern)


def test_every_session_of_a_mixed_depot_is_closed_once_and_nothing_is_taken_for_wrong(mixed: Night) -> None:
    assert not mixed.state.transactions
    expected = {"repeated_event", "kwh_for_wh"}
    for station_id in mixed.modern:
        assert set(mixed.violations[station_id]) <= expected, mixed.violations[station_id]


def test_the_journal_has_the_energy_that_flowed_whatever_the_version(mixed: Night) -> None:
    for number in range(1, 7):
        ((got_wh,),) = [[visit.got_wh for visit in mixed.slots.visits if visit.connector == f"S{number}/1"]]
        assert sum(mixed.sessions_wh[f"S{number}/1"]) == pytest.approx(got_wh / 0.9, rel=0.1)  # one station counts whole kWh


def test_problem_19_a_charger_side_that_forgot_everything_finds_every_session_again() -> None:
    night = play(seed=4, share_201=1.0, restart_at_s=2700.0)
    assert len(night.interrupted) >= 2
    assert night.slots.violations == 0, f"worst {night.slots.worst_over_kw:.2f} kW over at {night.slots.worst_at}"
    assert [visit.got_wh >= 0.98 * visit.need_wh for visit in night.slots.visits] == [True] * 6
    assert {connector: len(sessions) for connector, sessions in night.sessions_wh.items()} == {f"S{n}/1": 1 for n in range(1, 7)}
    assert not night.state.transactions


def test_a_depot_of_2_0_1_stations_with_faults_keeps_its_limits() -> None:
    personas = dict(zip((f"S{n}" for n in range(1, 7)), list(Persona)[1:7], strict=True))
    night = play(seed=8, share_201=1.0, personas=personas)
    assert len(night.modern) == 6
    assert night.slots.violations == 0, f"worst {night.slots.worst_over_kw:.2f} kW over at {night.slots.worst_at}"
    assert not night.state.transactions


def test_a_night_with_vehicles_that_speak_iso_15118_and_an_energy_manager_keeps_its_limits_and_its_quota() -> None:
    """Every vehicle's needs and schedules are answered; levels stay within 12 writes an hour beside renewals (invariant 11)."""
    night = play(seed=5, share_201=1.0, high_level=True)
    assert night.slots.violations == 0, f"worst {night.slots.worst_over_kw:.2f} kW over at {night.slots.worst_at}"
    assert [visit.got_wh >= 0.98 * visit.need_wh for visit in night.slots.visits] == [True] * 6
    actions = [action for _, action in night.spoken]
    assert actions.count("NotifyEVChargingNeeds") >= 6
    assert actions.count("NotifyEVChargingSchedule") >= 6
    assert (actions.count("NotifyChargingLimit"), actions.count("ClearedChargingLimit")) == (1, 1)
    assert night.state.smart_charging.limits == {}
    assert night.state.smart_charging.vehicles == {}
    for station_id in night.modern:
        profiles = night.spoken.count((station_id, "SetChargingProfile"))
        assert profiles <= HOURS * (3600 / 90 + 12) + 10, f"{station_id}: {profiles} profiles"
        assert set(night.violations[station_id]) <= {"repeated_event"}, night.violations[station_id]
