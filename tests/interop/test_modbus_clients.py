"""Six clients of other makers drive the limit server, unchanged and each in its own way (pysunspec2 also over TLS).

mbpoll, libmodbus (C), pysunspec2, modpoll, goburrow/modbus (Go), modbus-serial (Node.js, many requests at once). What is not on
this machine is installed for the run; what cannot be had is skipped, and the reason says why.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toolbox

from grid.limit_model import BLOCK, LOAD_LIMIT, AckState
from grid.limit_server import LimitServer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contract"))

from little_core import LittleCore, serving  # found by the line above
from test_modbus_limit_server import our_definition, until
from test_modbus_tls import Pki

__all__ = ["our_definition"]

pytestmark = [pytest.mark.anyio, pytest.mark.long]

LIMIT_W = 400_000
ACK_SEQ, IN_FORCE = BLOCK.address_of("AckSeq"), BLOCK.address_of("WLimEff")


async def ready(make: Callable[[Path], list[str]], to: Path) -> list[str]:
    """The client's command line; skips where it cannot be had."""
    try:
        return await asyncio.to_thread(make, to)
    except toolbox.Missing as error:
        pytest.skip(f"no interop client: {error}")


async def said(command: list[str], *arguments: object) -> str:
    """What the client prints. It must end well, and soon."""
    process = await asyncio.create_subprocess_exec(
        *command, *map(str, arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(60):
            out, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, complaint.decode() + out.decode()
    return out.decode()


def obeyed(core: LittleCore, server: LimitServer, seq: int) -> None:
    """The core has heard one command, and it is in force."""
    (command,) = core.commands
    assert command.seq == seq
    assert command.order is not None
    assert (command.order.value_w, command.order.validity_s, command.order.event_id) == (LIMIT_W, 900, 42)
    assert core.feedback().effective_w == LIMIT_W
    assert server.broken == server.refused == 0


REFUSED = {"half": 3, "read_only": 2, "unknown_unit": 11}


@pytest.mark.parametrize(
    ("make", "seq", "more"),
    [
        (toolbox.libmodbus, 21, {}),
        (toolbox.goburrow, 31, {}),
        (toolbox.modbus_serial, 41, {"at_once": 42}),
    ],
    ids=["libmodbus", "goburrow", "modbus-serial"],
)
async def test_a_client_reads_commands_and_understands_refusals(
    make: Callable[[Path], list[str]], seq: int, more: dict[str, int], tmp_path: Path
) -> None:
    client = await ready(make, tmp_path)
    core = LittleCore()
    async with serving(core) as server:
        found = json.loads(await said(client, server.port))
        expected = {"marker": "SunS", "ack_seq": seq, "ack_state": AckState.ACCEPTED, "in_force_w": LIMIT_W, **REFUSED, **more}
        assert found == expected
        obeyed(core, server, seq)


async def test_mbpoll(tmp_path: Path) -> None:
    mbpoll = [*await ready(toolbox.mbpoll, tmp_path), "-1", "-0", "-q"]
    core = LittleCore()
    async with serving(core) as server:
        port = ("-p", server.port)
        block = (1, 1, 6, 6784, 1, 34464, 0, 900, 0, 0, 0, 1, 0, 1, 0, 42, 51)
        await said(mbpoll, *port, "-t", "4", "-r", BLOCK.address_of("WLimEna"), "127.0.0.1", *block)
        await until(lambda: server.block.acknowledged_seq == 51)
        out = await said(mbpoll, *port, "-t", "4", "-r", ACK_SEQ, "-c", 2, "127.0.0.1")
        assert [int(value) for value in re.findall(r"\]:\s+(\d+)", out)] == [51, AckState.ACCEPTED]
        out = await said(mbpoll, *port, "-B", "-t", "4:int", "-r", IN_FORCE, "127.0.0.1")
        assert [int(value) for value in re.findall(r"\]:\s+(\d+)", out)] == [LIMIT_W]
        obeyed(core, server, 51)


async def test_modpoll(tmp_path: Path) -> None:
    modpoll = await ready(toolbox.modpoll, tmp_path)
    core = LittleCore()
    async with serving(core) as server:
        table = toolbox.CLIENTS / "modpoll.csv"
        out = await said(modpoll, "-1", "-f", table, "--tcp", "127.0.0.1", "--tcp-port", server.port)
        found = dict(re.findall(r"^\| (\w+)\s+\|\s+(.*?)\s+\|", out, re.MULTILINE))
        assert found["marker"] == "SunS"
        assert found["manufacturer"].startswith("Chargeyard")
        assert (found["model"], found["in_force_w"], found["import_w"]) == (str(LOAD_LIMIT), "200000", "345678")
        assert server.broken == server.refused == 0


@pytest.mark.usefixtures("our_definition")
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_pysunspec2(secure: bool, tmp_path: Path) -> None:
    import sunspec2.modbus.client as sunspec

    pki = Pki(tmp_path)
    pair = str(pki.master())
    root = tmp_path / "root.pem"
    root.write_text(pki.ours.root)
    tls: dict[str, Any] = {"tls": True, "cafile": str(root), "certfile": pair, "keyfile": pair} if secure else {}

    def drive(port: int) -> tuple[Any, ...]:
        device = sunspec.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port, timeout=3, **tls)
        device.connect()
        try:
            device.scan(connect=False)
            block = device.models[LOAD_LIMIT][0]
            for name, value in (("CtlHb", 1), ("WLimEna", 1), ("WLimRvrtTms", 900), ("EvtId", 42), ("CmdSeq", 61)):
                getattr(block, name).value = value
            block.WLim.cvalue = LIMIT_W
            block.write()
            while block.AckSeq.value != 61:
                block.read()
            return [key for key in device.models if isinstance(key, int)], block.AckSt.value, block.WLimEff.cvalue
        finally:
            device.disconnect()

    core = LittleCore()
    async with serving(core, tls=pki.settings()) as server, asyncio.timeout(30):
        found = await asyncio.to_thread(drive, server.tls_port if secure else server.port)
        assert found == ([1, 203, 715, LOAD_LIMIT], AckState.ACCEPTED, LIMIT_W)
        obeyed(core, server, 61)
        assert core.commands[0].role == ("GridServiceSunSpec rtu-1" if secure else "")
