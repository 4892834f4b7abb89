"""The limit server over real sockets, driven by clients that know nothing of it: pymodbus, pysunspec2 and mbpoll."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import sunspec2.device
import sunspec2.modbus.client as sunspec
from little_core import T0, LittleCore, serving
from pymodbus.client import AsyncModbusTcpClient

import grid.limit_desk
import grid.limit_model
import grid.limit_server
from grid.limit_access import LimitServerError, LimitServerSettings
from grid.limit_model import BLOCK, LOAD_LIMIT, STOP, AckState, Compliance, LimitOrigin, LimitState
from grid.limit_server import LimitServer, PortInUse
from grid.meter_model import METER
from grid.registers import decode

pytestmark = pytest.mark.anyio

MBPOLL = shutil.which("mbpoll")
needs_mbpoll = pytest.mark.skipif(MBPOLL is None, reason="no mbpoll on the PATH (apt install mbpoll)")
SEQ, WLIM, FIRST = BLOCK.address_of("CmdSeq"), BLOCK.address_of("WLim"), BLOCK.address_of("WLimEna")


@asynccontextmanager
async def master(server: LimitServer) -> AsyncIterator[AsyncModbusTcpClient]:
    client = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=3, retries=0)
    assert await client.connect()
    try:
        yield client
    finally:
        client.close()


async def until(condition: Callable[[], object], *, within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # a socket's other side has no event to wait for
            await asyncio.sleep(0.01)


def u32(*values: int) -> list[int]:
    return [word for value in values for word in (value >> 16, value & 0xFFFF)]


def whole_block(*, enabled: int = 1, limit_w: int = 400_000, validity_s: int = 900, beat: int = 1, seq: int = 1) -> list[int]:
    """The 17 registers from WLimEna to CmdSeq."""
    return [enabled, 1, *u32(limit_w, 100_000, validity_s, 0), 0, 1, *u32(beat, 42), seq]


async def read(client: AsyncModbusTcpClient, name: str, unit: int = 1) -> int:
    point = BLOCK.point(name)
    answer = await client.read_holding_registers(BLOCK.address_of(name), count=point.size, device_id=unit)
    assert not answer.isError(), answer
    value = decode(point, list(answer.registers))
    assert value is not None
    return value


async def exchange(port: int, data: bytes, size: int) -> bytes:
    """Send bytes, take ``size`` bytes or what comes until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(3):
            with suppress(ConnectionError):
                try:
                    return await reader.readexactly(size)
                except asyncio.IncompleteReadError as error:
                    return error.partial
            return b""
    finally:
        writer.close()


def frame(transaction: int, pdu: bytes, *, unit: int = 1, protocol: int = 0) -> bytes:
    return struct.pack(">HHHB", transaction, protocol, len(pdu) + 1, unit) + pdu


def reading(address: int, count: int) -> bytes:
    return struct.pack(">BHH", 3, address, count)


# -- commands and feedback ---------------------------------------------------------------------------------------------


async def test_one_write_of_the_whole_block_is_heartbeat_and_command() -> None:
    core = LittleCore()
    async with serving(core) as server, master(server) as client:
        assert await read(client, "LimSt") == LimitState.INIT
        assert await read(client, "WLimEff") == 200_000
        answer = await client.write_registers(FIRST, whole_block(seq=7), device_id=1)
        assert not answer.isError()
        await until(lambda: server.block.acknowledged_seq == 7)
        assert await read(client, "AckSeq") == 7
        assert await read(client, "AckSt") == AckState.ACCEPTED
        assert await read(client, "AckEvtId") == 42
        assert await read(client, "LimSt") == LimitState.LIMITED
        assert await read(client, "LimSrc") == LimitOrigin.UTILITY
        assert await read(client, "WLimEff") == 400_000
        assert await read(client, "WLimRvrtRem") == 900
        command = core.commands[0]
        assert command.peer.startswith("127.0.0.1:")
        assert command.seq == 7


async def test_the_acknowledgement_waits_for_the_chargers_and_reads_go_on() -> None:
    core = LittleCore()
    core.obeyed.clear()
    async with serving(core) as server, master(server) as client:
        await client.write_registers(FIRST, whole_block(seq=3), device_id=1)
        await until(lambda: core.commands)
        assert await read(client, "AckSeq") == 0
        assert await read(client, "CmdSeq") == 3
        core.obeyed.set()
        await until(lambda: server.block.acknowledged_seq == 3)
        assert await read(client, "AckSt") == AckState.ACCEPTED


async def test_a_newer_command_does_not_wait_for_an_older_one_and_the_oldest_of_many_is_let_go() -> None:
    core = LittleCore()
    core.obeyed.clear()
    many = grid.limit_desk.COMMITS_AT_ONCE + 2
    async with serving(core) as server, master(server) as client:
        for seq in range(1, many + 1):
            await client.write_registers(FIRST, whole_block(seq=seq, limit_w=seq, beat=seq), device_id=1)
        await until(lambda: len(core.commands) == many)
        assert await read(client, "WLimEff") == many
        assert core.cancelled == 2
        core.obeyed.set()
        await until(lambda: server.block.acknowledged_seq == many)
        assert await read(client, "AckSeq") == many


async def test_heartbeat_lost_shows_failsafe_and_a_fresh_command_ends_it() -> None:
    core = LittleCore()
    async with serving(core) as server, master(server) as client:
        await client.write_registers(FIRST, whole_block(seq=1), device_id=1)
        await until(lambda: core.commands)
        core.pass_time(121)
        assert await read(client, "LimSt") == LimitState.FAILSAFE
        assert await read(client, "WLimEff") == 200_000
        assert await read(client, "Alm") == 1
        await client.write_registers(FIRST, whole_block(seq=1, beat=2), device_id=1)
        await until(lambda: len(core.commands) == 2)
        assert await read(client, "LimSt") == LimitState.LIMITED
        assert await read(client, "Alm") == 0


async def test_single_writes_are_staged_per_connection() -> None:
    core = LittleCore()
    async with serving(core) as server, master(server) as client, master(server) as other:
        await client.write_registers(WLIM, u32(50_000), device_id=1)
        await client.write_register(FIRST, 1, device_id=1)
        await other.write_register(SEQ, 9, device_id=1)
        assert await read(other, "AckSt") == AckState.REJECTED_RANGE
        await client.write_register(SEQ, 10, device_id=255)
        await until(lambda: core.commands)
        assert core.commands[0].order is not None
        assert core.commands[0].order.value_w == 50_000


async def test_read_and_write_in_one_request() -> None:
    core = LittleCore()
    async with serving(core) as server, master(server) as client:
        answer = await client.readwrite_registers(
            read_address=SEQ, read_count=1, write_address=FIRST, values=whole_block(seq=5), device_id=1
        )
        assert answer.registers == [5]
        answer = await client.readwrite_registers(read_address=STOP, read_count=1, write_address=SEQ, values=[6], device_id=1)
        assert answer.exception_code == 2
        assert await read(client, "CmdSeq") == 5, "nothing was written"


async def test_feedback_is_what_the_core_measured_and_the_rest_is_not_implemented() -> None:
    core = LittleCore()
    async with serving(core) as server, master(server) as client:
        found = {
            name: await read(client, name) for name in ("WImp", "WBase", "WEvse", "WMinEvse", "WDemAvg", "DemRem", "Compl", "NEvse", "Tms")
        }
        assert found == {
            "WImp": 345_678, "WBase": -5_000, "WEvse": 350_678, "WMinEvse": 82_800, "WDemAvg": 340_000, "DemRem": 77,
            "Compl": Compliance.COMPLIANT, "NEvse": 200, "Tms": int(T0.timestamp()),
        }  # fmt: skip
        answer = await client.read_holding_registers(BLOCK.address_of("VAImp"), count=2, device_id=1)
        assert answer.registers == [0xFFFF, 0xFFFF]
        core.pass_time(5)
        assert await read(client, "DevHb") == 5


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda c: c.write_registers(WLIM, [1], device_id=1), 3),
        (lambda c: c.write_register(WLIM, 1, device_id=1), 3),
        (lambda c: c.write_register(FIRST, 9, device_id=1), 3),
        (lambda c: c.write_register(BLOCK.address_of("AckSeq"), 9, device_id=1), 2),
        (lambda c: c.read_holding_registers(STOP, count=1, device_id=1), 2),
        (lambda c: c.read_holding_registers(0, count=1, device_id=1), 2),
        (lambda c: c.read_input_registers(WLIM, count=2, device_id=1), 1),
        (lambda c: c.read_coils(0, count=1, device_id=1), 1),
        (lambda c: c.write_coil(0, True, device_id=1), 1),
        (lambda c: c.mask_write_register(address=FIRST, and_mask=0, or_mask=1, device_id=1), 1),
        (lambda c: c.read_holding_registers(WLIM, count=2, device_id=2), 11),
        (lambda c: c.write_register(SEQ, 1, device_id=247), 11),
    ],
)
async def test_refusals_have_the_exception_code_that_was_agreed(call: Callable[[AsyncModbusTcpClient], Any], code: int) -> None:
    core = LittleCore()
    async with serving(core) as server, master(server) as client:
        answer = await call(client)
        assert answer.isError()
        assert answer.exception_code == code
        assert await read(client, "AckSeq") == 0
    assert core.commands == []


# -- the wire ----------------------------------------------------------------------------------------------------------


async def test_pipelined_requests_are_all_answered_in_order() -> None:
    async with serving(LittleCore()) as server:
        asked = b"".join(frame(k, reading(40_000 + k, 1)) for k in range(1, 21))
        answers = await exchange(server.port, asked, 20 * 11)
        assert [struct.unpack_from(">H", answers, 11 * k)[0] for k in range(20)] == list(range(1, 21))
        assert answers[9:11] == b"\x6e\x53"


async def test_a_request_in_pieces_is_understood() -> None:
    async with serving(LittleCore()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for byte in frame(1, reading(40_000, 2)):
            writer.write(bytes([byte]))
            await writer.drain()
        assert (await reader.readexactly(13))[9:] == b"SunS"
        writer.close()


@pytest.mark.parametrize(
    "data",
    [
        frame(1, reading(40_000, 1), protocol=1),
        struct.pack(">HHH", 1, 0, 1) + b"\1",
        struct.pack(">HHHB", 1, 0, 255, 1),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["protocol", "no function", "too long", "http"],
)
async def test_what_is_no_modbus_closes_the_connection_and_no_other(data: bytes) -> None:
    async with serving(LittleCore()) as server, master(server) as client:
        assert await exchange(server.port, data, 999) == b""
        assert server.broken == 1
        assert await read(client, "LimSt") == LimitState.INIT


@pytest.mark.parametrize(
    "pdu",
    [
        b"\x03", b"\x03\x9c\x40", reading(40_000, 0), reading(40_000, 126), reading(40_000, 1) + b"x", b"\x06\x9c",
        struct.pack(">BHHB", 16, FIRST, 1, 2), struct.pack(">BHHBH", 16, FIRST, 2, 2, 1), struct.pack(">BHHBHH", 16, FIRST, 1, 2, 1, 1),
        struct.pack(">BHHB", 16, FIRST, 0, 0), struct.pack(">BHHHHB", 23, FIRST, 1, FIRST, 1, 2),
    ],
)  # fmt: skip
async def test_malformed_requests_get_an_exception_and_the_connection_lives(pdu: bytes) -> None:
    core = LittleCore()
    async with serving(core) as server:
        answers = await exchange(server.port, frame(1, pdu) + frame(2, reading(40_000, 1)), 9 + 11)
        assert answers[7:9] == bytes([pdu[0] | 0x80, 3])
        assert answers[9:11] == b"\0\2"
    assert core.commands == []


@pytest.mark.parametrize("function", [0, 2, 7, 17, 43, 0x90, 0xFF])
async def test_unknown_functions_get_an_exception(function: int) -> None:
    async with serving(LittleCore()) as server:
        assert (await exchange(server.port, frame(1, bytes([function])), 9))[7:] == bytes([function | 0x80, 1])


# -- who is let in -----------------------------------------------------------------------------------------------------


async def test_peers_that_are_not_on_the_list_are_not_let_in() -> None:
    async with serving(LittleCore(), writers=("10.0.0.0/8",)) as server:
        assert await exchange(server.port, frame(1, reading(40_000, 1)), 11) == b""
        await until(lambda: server.refused == 1)


async def test_readers_read_and_are_told_that_they_may_not_write() -> None:
    core = LittleCore()
    async with serving(core, writers=("10.0.0.0/8",), readers=("127.0.0.1",)) as server, master(server) as client:
        assert await read(client, "WLimEff") == 200_000
        answer = await client.write_registers(FIRST, whole_block(), device_id=1)
        assert answer.exception_code == 1
        assert await read(client, "AckSt") == AckState.REJECTED_AUTH
    assert core.commands == []


async def test_there_is_a_cap_on_connections_and_a_place_becomes_free_again() -> None:
    async with serving(LittleCore(), max_connections=2) as server:
        async with master(server) as one, master(server) as two:
            assert await read(one, "LimSt") == await read(two, "LimSt") == 0
            assert await exchange(server.port, frame(1, reading(40_000, 1)), 11) == b""
        await until(lambda: server.connections == 0)
        async with master(server) as three:
            assert await read(three, "LimSt") == 0


async def test_silent_and_half_sent_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid.limit_server, "FRAME_S", 0.05)
    async with serving(LittleCore(), idle_s=0.05) as server:
        assert await exchange(server.port, b"", 1) == b""
        assert await exchange(server.port, b"\0\1\0\0", 1) == b""
        await until(lambda: server.connections == 0)


async def test_the_server_ends_with_masters_connected_and_commands_waiting() -> None:
    core = LittleCore()
    core.obeyed.clear()
    async with serving(core) as server, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(frame(1, struct.pack(">BHHB17H", 16, FIRST, 17, 34, *whole_block())))
        await reader.readexactly(12)
        port = server.port
    assert core.cancelled == 1
    writer.close()
    async with serving(LittleCore(), port=port) as again:
        assert again.port == port


async def test_a_port_in_use_is_said_in_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortInUse, match="cannot listen on 127"):
            async with serving(LittleCore(), port=taken.getsockname()[1]):
                pass


@pytest.mark.parametrize(
    "changes",
    [{"unit_ids": frozenset()}, {"unit_ids": frozenset({0})}, {"writers": ("nowhere",)}, {"port": 70_000}, {"max_connections": 0}],
)
async def test_settings_that_cannot_be_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(LimitServerError):
        LimitServerSettings(**changes)


@pytest.mark.parametrize(
    ("host", "right"),
    [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("10.9.0.1", False), ("192.168.0.1", None), ("fe80::1%eth0", None), ("", None)],
)
async def test_the_allow_list_knows_networks_and_mapped_addresses(host: str, right: bool | None) -> None:
    assert LimitServerSettings(writers=("10.1.0.0/16",), readers=("10.0.0.0/8",)).may_write(host) is right


async def test_each_command_and_each_kind_of_stranger_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    core = LittleCore()
    with caplog.at_level(logging.INFO, "grid"):
        async with serving(core) as server, master(server) as client:
            for _ in range(3):
                await client.write_registers(FIRST, whole_block(seq=7), device_id=1)
                await exchange(server.port, b"GET / HTTP/1.1\r\n\r\n", 1)
            await until(lambda: server.block.acknowledged_seq == 7)
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 2
    assert any(text.startswith("limit command 7 of 127.0.0.1:") and text.endswith("accepted") for text in texts)


# -- pysunspec2 --------------------------------------------------------------------------------------------------------


@pytest.fixture
def our_definition() -> Any:
    """pysunspec2 finds our model's definition where it looks for its own."""
    before = sunspec2.device.get_model_defs_path()
    folder = str(Path(grid.limit_model.__file__).parent)
    sunspec2.device.set_model_defs_path([*before, folder])
    yield
    sunspec2.device.set_model_defs_path(before)


@pytest.mark.usefixtures("our_definition")
async def test_pysunspec2_scans_reads_and_commands() -> None:
    core = LittleCore()

    def drive(port: int) -> dict[str, Any]:
        device = sunspec.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port, timeout=3)
        device.connect()
        try:
            device.scan(connect=False)
            block, meter = device.models[LOAD_LIMIT][0], device.models[METER][0]
            found: dict[str, Any] = {
                "models": [key for key in device.models if isinstance(key, int)],
                "errors": [model.error_info for models in device.models.values() for model in models],
                "vendor": device.models[1][0].Mn.value,
                "meter_w": meter.W.cvalue,
                "floor_w": block.WMinEvse.cvalue,
                "not_known": block.VAImp.cvalue,
            }
            block.CtlHb.value = 1
            block.WLimEna.value = 1
            block.WLim.cvalue = 300_000
            block.WLimRvrtTms.value = 600
            block.CmdSeq.value = 12
            block.write()
            while block.AckSeq.value != 12:
                block.read()
            found["ack"] = (block.AckSt.value, block.LimSt.value, block.WLimEff.cvalue, block.WLimRvrt.cvalue)
            return found
        finally:
            device.disconnect()

    async with serving(core) as server, asyncio.timeout(20):
        found = await asyncio.to_thread(drive, server.port)
    assert found["models"] == [1, 203, 715, 64_900]
    assert set(found["errors"]) == {""}
    assert found["vendor"] == "Chargeyard"
    assert found["meter_w"] == pytest.approx(345_678, abs=50)
    assert (found["floor_w"], found["not_known"]) == (82_800, None)
    assert found["ack"] == (AckState.ACCEPTED, LimitState.LIMITED, 300_000, 200_000)
    assert len(core.commands) == 1


# -- mbpoll ------------------------------------------------------------------------------------------------------------


async def mbpoll(port: int, *arguments: str) -> str:
    assert MBPOLL is not None
    process = await asyncio.create_subprocess_exec(
        MBPOLL, "-1", "-0", "-p", str(port), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(20):
        output, _ = await process.communicate()
    return output.decode()


@needs_mbpoll
async def test_mbpoll_reads_the_limit_in_force_and_the_marker() -> None:
    async with serving(LittleCore()) as server:
        assert "200000" in await mbpoll(server.port, "-t", "4:int", "-B", "-r", str(BLOCK.address_of("WLimEff")), "127.0.0.1")
        assert "0x5375" in await mbpoll(server.port, "-t", "4:hex", "-c", "2", "-r", "40000", "127.0.0.1")
        assert "Illegal data address" in await mbpoll(server.port, "-t", "4", "-r", "39999", "127.0.0.1")


@needs_mbpoll
async def test_mbpoll_commands_a_limit_with_one_write_and_beats_with_another() -> None:
    core = LittleCore()
    async with serving(core) as server:
        block = [str(word) for word in whole_block(limit_w=0, seq=21)]
        assert "Written 17 references" in await mbpoll(server.port, "-t", "4", "-r", str(FIRST), "127.0.0.1", *block)
        await until(lambda: server.block.acknowledged_seq == 21)
        assert core.link.order is not None
        assert core.link.order.value_w == 0
        await mbpoll(server.port, "-t", "4:int", "-B", "-r", str(BLOCK.address_of("CtlHb")), "127.0.0.1", "77")
        assert core.link.beats == (77, 0)
        assert "[40212]" in await mbpoll(server.port, "-t", "4", "-r", str(BLOCK.address_of("AckSeq")), "127.0.0.1")
        assert "Illegal data value" in await mbpoll(server.port, "-t", "4", "-r", str(WLIM), "127.0.0.1", "5")
