"""OCPP 1.6J over real sockets, against the client side of the ``ocpp`` package: two independent implementations meet."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp_fakes import CP1, FakeDepot, depot_spec, setpoint, setpoints, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Opcode
from websockets.typing import Subprotocol

from benchmarks.faultkit.attackers import Deaf
from controller.clock import SystemClock
from depot.ports import StartRequest
from depot.values import ConnectorId, Outcome
from ocpp_server import Central, KeyedCredentials, OcppSettings, PortInUse, keyed_digest

pytestmark = pytest.mark.anyio

KEY = b"0123456789abcdef"
PASSWORD = "4f1c9e0b7a5d48c2b6e3"
CREDENTIALS = KeyedCredentials(key=KEY, digests={name: keyed_digest(KEY, name, PASSWORD) for name in ("CP1", "CP2", "STRANGER")})
STAMP = "2026-03-01T12:00:00Z"


class Station(ChargePoint):  # type: ignore[misc]  # the package is untyped
    """A station on the package's client side; ``order`` is what it saw on the wire."""

    def __init__(self, station_id: str, connection: ClientConnection) -> None:
        super().__init__(station_id, connection, response_timeout=5)
        self.profiles: list[tuple[int, dict[str, Any]]] = []
        self.order: list[str] = []
        self.mute = False

    async def route_message(self, raw_msg: str) -> None:
        message = json.loads(raw_msg)
        self.order.append(f"call {message[2]}" if message[0] == 2 else "conf")
        if not (self.mute and message[0] == 2):
            await super().route_message(raw_msg)

    @on("GetConfiguration")
    def on_get_configuration(self, **_: Any) -> Any:
        keys = {
            "ChargingScheduleAllowedChargingRateUnit": "Power",
            "ChargeProfileMaxStackLevel": "3",
            "SupportedFeatureProfiles": "Core,SmartCharging",
        }
        keys |= {"LocalAuthorizeOffline": "false", "LocalPreAuthorize": "false", "MeterValueSampleInterval": "900"}
        return call_result.GetConfiguration(configuration_key=[{"key": k, "value": v, "readonly": False} for k, v in keys.items()])

    @on("ChangeConfiguration")
    def on_change_configuration(self, **_: Any) -> Any:
        return call_result.ChangeConfiguration(status="Accepted")

    @on("TriggerMessage")
    def on_trigger(self, **_: Any) -> Any:
        return call_result.TriggerMessage(status="Accepted")

    @on("SetChargingProfile")
    def on_profile(self, connector_id: int, cs_charging_profiles: dict[str, Any], **_: Any) -> Any:
        self.profiles.append((connector_id, cs_charging_profiles))
        return call_result.SetChargingProfile(status="Accepted")

    @on("RemoteStopTransaction")
    def on_remote_stop(self, **_: Any) -> Any:
        return call_result.RemoteStopTransaction(status="Rejected")

    async def boot(self) -> Any:
        return await self.call(call.BootNotification(charge_point_model="One", charge_point_vendor="Acme"))

    async def start_transaction(self) -> int:
        request = call.StartTransaction(connector_id=1, id_tag="TAG1", meter_start=1000, timestamp=STAMP)
        transaction_id: int = (await self.call(request)).transaction_id
        return transaction_id


@asynccontextmanager
async def listening(depot: FakeDepot, **settings: Any) -> AsyncIterator[Central]:
    options = OcppSettings(**settings)
    async with Central(spec=depot_spec(), events=depot, clock=SystemClock(), credentials=CREDENTIALS, settings=options) as central:
        await central.listen("127.0.0.1", 0)
        yield central


def dial(
    central: Central, station_id: str, *, password: str | None = PASSWORD, user: str | None = None, subprotocols: list[str] | None = None
) -> Any:
    headers = {}
    if password is not None:
        token = base64.b64encode(f"{user or station_id}:{password}".encode()).decode()
        headers["Authorization"] = f"Basic {token}"
    offered = [Subprotocol(name) for name in (["ocpp1.6"] if subprotocols is None else subprotocols)]
    return connect(
        f"ws://127.0.0.1:{central.port}/ocpp/{station_id}",
        additional_headers=headers,
        subprotocols=offered or None,
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
        boot = await client.boot()
        assert boot.status == "Accepted"
        await until(lambda: depot.readies)
        assert depot.readies == [("CP1", True)]
        assert (depot.probes[0].rate_units, depot.probes[0].max_stack_level, depot.probes[0].autonomous) == (("W",), 3, False)
        await client.call(call.StatusNotification(connector_id=1, error_code="NoError", status="Preparing", timestamp=STAMP))
        assert (await client.call(call.Authorize(id_tag="TAG1"))).id_tag_info["status"] == "Accepted"
        number = await client.start_transaction()
        assert await central.apply(setpoints(setpoint(11_000, until=soon(), transaction_id=number))) == [Outcome.ACCEPTED]
        assert client.profiles[-1][1]["charging_schedule"]["charging_schedule_period"][0]["limit"] == 11_000
        assert await central.install_default(CP1, 4_140) is Outcome.ACCEPTED
        sampled = [{"value": "1500"}, {"value": "11.0", "measurand": "Power.Active.Import", "unit": "kW"}]
        now = datetime.now(UTC).isoformat()
        await client.call(
            call.MeterValues(connector_id=1, transaction_id=number, meter_value=[{"timestamp": now, "sampled_value": sampled}])
        )
        assert [(r.power_w, r.energy_wh, r.replayed) for r in depot.readings] == [(11_000, 1500, False)]
        stop = call.StopTransaction(transaction_id=number, meter_stop=2000, timestamp=STAMP, reason="EVDisconnected")
        await client.call(stop)
        await client.call(stop)
        assert [(s.transaction_id, s.meter_stop_wh, s.reason) for s in depot.stops] == [(number, 2000, "EVDisconnected")] * 2
        assert await central.stop(CP1, number) is Outcome.REFUSED
        assert (await client.call(call.Heartbeat())).current_time.endswith("Z")
        assert central.violations("CP1") == {}


async def test_section_6_the_tx_profile_follows_the_start_conf_on_the_wire() -> None:
    depot = FakeDepot()
    async with listening(depot) as central, station(central) as client, asyncio.TaskGroup() as group:
        await client.boot()
        await until(lambda: depot.readies)

        def woken(_: StartRequest) -> None:
            group.create_task(central.apply(setpoints(setpoint(11_000, until=soon()))))

        depot.on_start = woken
        await client.start_transaction()
        await until(lambda: client.profiles)
        assert client.order[-2:] == ["conf", "call SetChargingProfile"]


@pytest.mark.parametrize(
    ("station_id", "user", "password"),
    [
        ("CP1", None, "wrong"),
        ("CP1", None, None),
        ("CP1", "CP2", PASSWORD),
        ("NOBODY", None, PASSWORD),
        ("NOBODY", None, None),
        ("CP1", None, ""),
    ],
)
async def test_fault_20_wrong_unknown_and_foreign_credentials_get_the_same_answer(
    station_id: str, user: str | None, password: str | None
) -> None:
    async with listening(FakeDepot()) as central:
        with pytest.raises(InvalidStatus) as refused:
            async with dial(central, station_id, user=user, password=password):
                pass
        response = refused.value.response
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Basic")
        assert b"NOBODY" not in (response.body or b"")
        assert not central.connected("CP1")


async def test_an_undeclared_station_at_the_door_is_reported_once_though_it_hears_nothing_else() -> None:
    depot = FakeDepot()
    async with listening(depot) as central:
        for station_id in ("NOBODY", "NOBODY", "CP1"):
            with pytest.raises(InvalidStatus):
                async with dial(central, station_id, password="wrong"):
                    pass
        assert depot.unknown == [("NOBODY", "127.0.0.1")]


async def test_an_unknown_station_with_a_valid_key_is_quarantined() -> None:
    depot = FakeDepot()
    async with listening(depot) as central, station(central, "STRANGER") as client:
        assert (await client.boot()).status == "Rejected"
        assert depot.unknown == [("STRANGER", "127.0.0.1")]


async def test_problem_16_sub_protocols() -> None:
    async with listening(FakeDepot()) as central:
        async with dial(central, "CP1", subprotocols=["ocpp2.2", "ocpp1.6"]) as connection:
            assert connection.subprotocol == "ocpp1.6"
        async with dial(central, "CP1", subprotocols=[]) as connection:
            await connection.send('[2,"1","Heartbeat",{}]')
            assert json.loads(await connection.recv())[0] == 3
        with pytest.raises(InvalidStatus) as refused:
            async with dial(central, "CP1", subprotocols=["ocpp2.2"]):
                pass
        assert refused.value.response.status_code == 400
        assert b"ocpp1.6" in (refused.value.response.body or b"")


async def test_a_path_that_is_no_station_is_not_found() -> None:
    async with listening(FakeDepot()) as central:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"ws://127.0.0.1:{central.port}/elsewhere", proxy=None):
                pass
        assert refused.value.response.status_code == 404


async def test_problem_02_a_second_socket_with_the_same_id_takes_over() -> None:
    depot = FakeDepot()
    async with listening(depot) as central, dial(central, "CP1") as old:
        await old.send('[2,"1","Heartbeat",{}]')
        await old.recv()
        async with station(central) as new:
            await new.boot()
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(old.recv(), 5)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
            await until(lambda: depot.readies)
            assert central.connected("CP1")
            assert await central.request_reading(CP1) is Outcome.ACCEPTED
        await until(lambda: not central.connected("CP1"))
        assert [link.connected for link in depot.links] == [True, True, False]


async def test_fault_11_malformed_frames_are_answered_and_the_connection_lives() -> None:
    async with listening(FakeDepot()) as central, dial(central, "CP1") as connection:
        for frame, error in (
            ('[2,"a",{},{}]', "FormationViolation"),
            ('[2,"b"]', "FormationViolation"),
            ('[2,"c","Heartbeat",' + "[" * 2000, "FormationViolation"),
            ('[2,"d","Invented",{}]', "NotImplemented"),
            ('[2,"e","StatusNotification",{"connectorId":1}]', "OccurenceConstraintViolation"),
        ):
            await connection.send(frame)
            reply = json.loads(await asyncio.wait_for(connection.recv(), 5))
            assert reply[0:3] == [4, frame[4], error]
        await connection.send(b"\xff\xfe")
        await connection.send("not json")
        await connection.send('[2,"z","Heartbeat",{}]')
        assert json.loads(await asyncio.wait_for(connection.recv(), 5))[:2] == [3, "z"]
        assert central.violations("CP1")["malformed_frame"] == 3


async def test_a_frame_beyond_the_size_cap_closes_that_connection_only() -> None:
    async with listening(FakeDepot()) as central, station(central, "CP2") as other, dial(central, "CP1") as connection:
        await connection.send('[2,"1","DataTransfer",{"vendorId":"' + "x" * 300_000 + '"}]')
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(connection.recv(), 5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        assert (await other.boot()).status == "Accepted"


async def test_problem_18_calls_without_an_answer_time_out_and_break_the_connection() -> None:
    depot = FakeDepot()
    async with listening(depot, call_timeout_s=0.2, breaker_timeouts=2) as central, station(central) as client:
        await client.boot()
        await until(lambda: depot.readies)
        client.mute = True
        assert await central.request_reading(CP1) is Outcome.TIMEOUT
        assert (await client.call(call.Heartbeat())).current_time
        assert await central.request_reading(CP1) is Outcome.TIMEOUT
        await until(lambda: not central.connected("CP1"))
        assert await central.request_reading(CP1) is Outcome.OFFLINE


async def test_fault_12_a_half_open_handshake_is_closed_and_others_are_served() -> None:
    async with listening(FakeDepot(), handshake_timeout_s=0.3) as central:
        pairs = [await asyncio.open_connection("127.0.0.1", central.port) for _ in range(20)]
        for _, writer in pairs:
            writer.write(b"GET /ocpp/CP1 HTTP/1.1\r\nHost: x\r\n")
        async with station(central) as client:
            assert (await client.boot()).status == "Accepted"
        for reader, writer in pairs:
            await asyncio.wait_for(reader.read(), 5)
            assert reader.at_eof()
            writer.close()


async def test_handshakes_beyond_the_cap_are_cut() -> None:
    async with listening(FakeDepot(), handshakes=2) as central:
        pairs = [await asyncio.open_connection("127.0.0.1", central.port) for _ in range(3)]
        data = await asyncio.wait_for(
            asyncio.wait([asyncio.create_task(_drained(reader)) for reader, _ in pairs], return_when="FIRST_COMPLETED"), 5
        )
        assert len(data[0]) == 1
        for _, writer in pairs:
            writer.close()
        await asyncio.wait(data[1])


async def test_fault_12_one_address_cannot_take_every_place_of_those_that_shake_hands() -> None:
    async with listening(FakeDepot(), handshakes=10, handshakes_per_address=2) as central:
        pairs = [await asyncio.open_connection("127.0.0.1", central.port) for _ in range(5)]
        cut = [asyncio.create_task(_drained(reader)) for reader, _ in pairs]
        await until(lambda: sum(task.done() for task in cut) == 3)
        for _, writer in pairs:
            writer.close()
        await asyncio.wait(cut)
        async with station(central) as client:
            assert (await client.boot()).status == "Accepted"


async def test_fault_12_who_never_reads_is_cut_off_and_who_reads_is_not_kept_waiting() -> None:
    async with listening(FakeDepot(), send_timeout_s=0.5, send_buffer_bytes=4096) as central, station(central, "CP2") as other:
        deaf = Deaf("CP1", PASSWORD)
        await deaf.open(central.port)
        talking = asyncio.create_task(deaf.talk())
        await until(lambda: central.connected("CP1"))
        await until(lambda: not central.connected("CP1"), within_s=30)
        assert (await other.boot()).status == "Accepted"
        await until(lambda: not deaf.open_still)
        talking.cancel()
        deaf.close()
        await asyncio.gather(talking, return_exceptions=True)


async def test_fault_12_wrong_passwords_are_answered_slowly_and_the_right_one_at_once() -> None:
    async with listening(FakeDepot(), refusals_per_s=5.0) as central:

        async def wrong() -> None:
            with pytest.raises(InvalidStatus):
                await dial(central, "CP1", password="wrong")

        began = asyncio.get_running_loop().time()
        guessing = asyncio.gather(*(wrong() for _ in range(6)))
        async with station(central) as client:
            assert (await client.boot()).status == "Accepted"
            assert not guessing.done()
        await guessing
        assert asyncio.get_running_loop().time() - began >= 0.9


async def _drained(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


async def test_a_port_in_use_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        central = Central(spec=depot_spec(), events=FakeDepot(), clock=SystemClock(), credentials=CREDENTIALS)
        with pytest.raises(PortInUse, match="is in use: stop the program"):
            await central.listen("127.0.0.1", taken.getsockname()[1])


async def test_leaving_tells_stations_that_the_service_restarts() -> None:
    async with listening(FakeDepot()) as central:
        connection = await dial(central, "CP1")
        await connection.send('[2,"1","Heartbeat",{}]')
        await connection.recv()
    with pytest.raises(ConnectionClosed) as closed:
        await connection.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


async def test_fault_10_two_hundred_stations_reconnect_at_once() -> None:
    names = [f"S{n}" for n in range(200)]
    credentials = KeyedCredentials(key=KEY, digests={name: keyed_digest(KEY, name, PASSWORD) for name in names})
    spec = depot_spec(*[type(depot_spec().stations[0])(name, "F1", depot_spec().stations[0].connectors) for name in names])
    async with Central(spec=spec, events=FakeDepot(), clock=SystemClock(), credentials=credentials) as central:
        await central.listen("127.0.0.1", 0)

        async def boot(name: str) -> str:
            async with dial(central, name) as connection:
                await connection.send('[2,"1","BootNotification",{"chargePointVendor":"A","chargePointModel":"B"}]')
                status: str = json.loads(await connection.recv())[2]["status"]
                return status

        async with asyncio.timeout(15):
            assert set(await asyncio.gather(*(boot(name) for name in names))) == {"Accepted"}


def frames(rng: random.Random, count: int) -> list[str]:
    """Mutated calls, each with its own message id where the mutation leaves one."""
    found = []
    payloads = (
        {"connectorId": 1, "errorCode": "NoError", "status": "Available"},
        {"connectorId": 1, "meterValue": [{"timestamp": STAMP, "sampledValue": [{"value": "1"}]}]},
        {"transactionId": 1, "meterStop": 5, "timestamp": STAMP},
        {"connectorId": 1, "idTag": "T", "meterStart": 5, "timestamp": STAMP},
    )
    junk: tuple[Any, ...] = (None, True, -1, 2**70, 1.5, "", "x" * 600, [], {}, [[]], {"a": {}}, "NaN", "\u0000", float("nan"))
    actions = ("StatusNotification", "MeterValues", "StopTransaction", "StartTransaction")
    for number in range(count):
        kind = rng.randrange(len(actions))
        message: list[Any] = [2, f"m{number}", actions[kind], dict(payloads[kind])]
        match rng.randrange(5):
            case 0:
                message[3][rng.choice(list(message[3]))] = rng.choice(junk)
            case 1:
                message[rng.choice((0, 2, 3))] = rng.choice(junk)
            case 2:
                message = message[: rng.randint(1, 4)] + [rng.choice(junk)] * rng.randint(0, 2)
        text = json.dumps(message)
        if rng.random() < 0.3:
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice(("", "[", "}", '"', "\\", "\u20ac")) + text[at + rng.randint(0, 2) :]
        found.append(text)
    return found


def answerable(text: str) -> str | None:
    """The message id of a call that must be answered, judged by another parser; None: none, or not this parser's to say."""
    try:
        message = json.loads(text)
    except ValueError:
        return None
    if not isinstance(message, list) or len(message) < 2 or type(message[0]) is not int or message[0] != 2:
        return None
    return message[1] if isinstance(message[1], str) and 0 < len(message[1]) <= 255 else None


async def test_fault_11_two_thousand_mutated_frames_every_readable_call_gets_exactly_one_answer() -> None:
    seed = 16
    sent = frames(random.Random(seed), 2500)
    depot = FakeDepot()
    answers: dict[Any, int] = {}
    settings = {"frames_burst": 100_000, "frames_per_s": 100_000.0}
    async with listening(depot, **settings) as central, dial(central, "CP1") as connection:

        async def read() -> None:
            while True:
                reply = json.loads(await connection.recv())
                if reply[0] != 2:
                    answers[reply[1]] = answers.get(reply[1], 0) + 1
                    if reply[1] == "last":
                        return

        reading = asyncio.create_task(read())
        for text in sent:
            await connection.send(text)
        await connection.send('[2,"last","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]')
        await asyncio.wait_for(reading, 30)
        must = Counter(found for text in sent if (found := answerable(text)) is not None)
        assert must.total() > 1500, f"seed {seed}"
        alone = {name for name in must if sum(f'"{name}"' in text for text in sent) == 1}
        assert len(alone) > 1500
        assert {name for name in alone if answers.get(name) != 1} == set(), f"seed {seed}"
        assert {name for name, calls in must.items() if answers.get(name, 0) < calls} == set(), f"seed {seed}"
        assert central.connected("CP1")


async def test_commands_to_several_stations_do_not_wait_for_each_other() -> None:
    depot = FakeDepot()
    async with listening(depot, call_timeout_s=1) as central, station(central) as slow, station(central, "CP2") as quick:
        await slow.boot()
        await quick.boot()
        await until(lambda: len(depot.readies) == 2)
        slow.mute = True
        loop = asyncio.get_running_loop()
        begun = loop.time()
        other = setpoints(setpoint(9_000, until=soon(), connector=ConnectorId("CP2", 1)))
        blocked = asyncio.create_task(central.apply(setpoints(setpoint(9_000, until=soon()))))
        assert await central.apply(other) == [Outcome.ACCEPTED]
        assert loop.time() - begun < 0.8
        assert await blocked == [Outcome.TIMEOUT]


def never_pongs(connection: ClientConnection) -> None:
    """From now on this station leaves pings unanswered."""
    send = connection.protocol.send_frame
    connection.protocol.send_frame = lambda frame: None if frame.opcode is Opcode.PONG else send(frame)  # type: ignore[method-assign]


async def test_problem_04_whatever_is_heard_is_life_and_nothing_at_all_is_not() -> None:
    # the listener answers pings and says nothing
    async with (
        listening(FakeDepot(), ping_interval_s=0.1, ping_timeout_s=0.3) as central,
        dial(central, "CP1") as talker,
        dial(central, "CP2") as listener,
    ):
        never_pongs(talker)
        for number in range(12):
            await talker.send(f'[2,"{number}","Heartbeat",{{}}]')
            assert json.loads(await talker.recv())[1] == str(number)
            await asyncio.sleep(0.1)
        assert central.connected("CP1")
        assert central.connected("CP2")
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(talker.recv(), 5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011
        assert listener.close_code is None
