"""The local socket between core and web: hello, views, questions, commands; hostile lines, slow readers, a dying core."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_depot import charger, later, sample

from controller.ingest_view import BYTES_AT_ONCE, ITEMS_AT_ONCE, ItemTaken, TelemetryItem
from controller.link import (
    MAX_CLIENTS,
    MAX_REQUEST,
    AskTelemetry,
    CoreLink,
    CoreUnreachable,
    LinkError,
    LinkInUse,
    LinkProtocol,
    LinkServer,
    decode_command,
    encode_command,
)
from controller.readmodel import ChargerView, NowView
from depot import commands as cmd
from depot.events import VisitAnnounced
from depot.fleet import Driver, Pack, Vehicle
from depot.registry import ConnectorSpec, FeederSpec, StationSpec
from depot.values import ConnectorId, PackKey, UnknownThing

pytestmark = pytest.mark.anyio
AT = datetime(2026, 11, 21, 0, 30, tzinfo=UTC)
STOP = cmd.StopCharging(command_id="c-1", actor="mani", reason="driver asked", connector=ConnectorId("CP-03", 1))


class Core:
    """What stands behind the server in these tests."""

    def __init__(self) -> None:
        self.view = sample()
        self.commands: list[cmd.Command] = []
        self.told: list[tuple[str, list[TelemetryItem]]] = []
        self.hold = asyncio.Event()
        self.hold.set()

    def now(self) -> NowView:
        return self.view

    async def show(self, name: str, args: Mapping[str, str]) -> ChargerView | None:
        if name != "ChargerView":
            raise UnknownThing(f"no view {name!r}")
        connector = args["connector"]
        if connector == "boom/1":
            raise RuntimeError("wires crossed")
        return charger(connector, self.view)

    async def command(self, command: cmd.Command) -> cmd.CommandResult:
        await self.hold.wait()
        self.commands.append(command)
        return cmd.CommandResult(command.command_id, cmd.CommandStatus.ACCEPTED, "under way", 7)

    async def telemetry(self, by: str, items: Sequence[TelemetryItem]) -> Sequence[ItemTaken]:
        await self.hold.wait()
        self.told.append((by, list(items)))
        return [ItemTaken(status="accepted" if item.allowed else "refused") for item in items]


@asynccontextmanager
async def linked(folder: Path, core: Core | None = None) -> AsyncIterator[tuple[Core, LinkServer, CoreLink]]:
    core = core or Core()
    path = folder / "core.sock"
    async with asyncio.timeout(10), LinkServer(path, core) as server, CoreLink(path, retry_s=0.01) as link:
        async for _ in link.views():
            break
        yield core, server, link


async def talk(path: Path, *lines: bytes) -> list[dict[str, Any]]:
    """Say lines, shut up, and hear the answers until the other side closes."""
    reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 24)
    writer.write(b"".join(lines))
    if writer.can_write_eof():
        writer.write_eof()
    async with asyncio.timeout(5):
        heard = await reader.read()
    writer.close()
    return [json.loads(line) for line in heard.splitlines()]


HELLO = b'{"kind":"hello","version":2}\n'


async def test_views_arrive_newest_first_and_have_an_age(tmp_path: Path) -> None:
    async with linked(tmp_path) as (core, server, link):
        assert link.view == core.view
        assert link.age_s is not None
        assert link.age_s < 5
        for k in range(3):
            server.publish(later(core.view, k + 1.0))
        async for view in link.views():
            if view.at == later(core.view, 3.0).at:
                break


async def test_only_the_same_user_may_open_the_socket(tmp_path: Path) -> None:
    async with linked(tmp_path):
        assert stat.S_IMODE((tmp_path / "core.sock").stat().st_mode) == 0o600
    assert not (tmp_path / "core.sock").exists()


async def test_questions_for_a_charger(tmp_path: Path) -> None:
    async with linked(tmp_path) as (core, _, link):
        assert await link.show(ChargerView, connector="CP-03/1") == charger("CP-03/1", core.view)
        assert await link.show(ChargerView, connector="CP-99/1") is None
        with pytest.raises(CoreUnreachable, match="log says why"):
            await link.show(ChargerView, connector="boom/1")
        assert await link.show(ChargerView, connector="CP-01/1") is not None


@pytest.mark.parametrize(
    "command",
    [
        cmd.StartCharging(command_id="c", actor="a", connector=ConnectorId("CP1", 2)),
        STOP,
        cmd.SetManualLimit(command_id="c", actor="a", reason="r", value_w=0, scope_id="B", until=AT),
        cmd.SetManualLimit(command_id="c", actor="a", value_w=5),
        cmd.ClearManualLimit(command_id="c", actor="a"),
        cmd.SetAvailability(command_id="c", actor="a", connector=ConnectorId("CP1", 2), operative=False),
        cmd.AnnounceVisit(
            command_id="c",
            actor="a",
            visit=VisitAnnounced("v", "E-1", AT, AT, 50_000, 60_000, connector=ConnectorId("CP1", 1), soc_arrival=0.25),
        ),
        cmd.CancelVisit(command_id="c", actor="a", visit_id="v"),
        cmd.ChangeRegistry(
            command_id="c",
            actor="a",
            vehicles=(Vehicle("E-1", connector=ConnectorId("CP1", 1), id_tags=("T",)),),
            packs=(Pack(PackKey("E-1", "P1"), "LFP", 100_000),),
            drivers=(Driver("D-1", ("CARD",)),),
            names={"D-1": "Ananya"},
            remove_packs=(PackKey("E-1", "P2"),),
        ),
        cmd.ChangeSite(
            command_id="c",
            actor="a",
            stations=(StationSpec("CP9", "A", (ConnectorSpec(1, 22_000, 4_140, phases=(1, 2, 3)),)),),
            feeders=(FeederSpec("A", 90_000),),
            key_hashes={"CP9": "ab" * 32},
        ),
    ],
)
async def test_every_command_survives_the_way(tmp_path: Path, command: cmd.Command) -> None:
    assert type(command).__name__ in cmd.COMMANDS
    assert decode_command(*encode_command(command)) == command
    async with linked(tmp_path) as (core, _, link):
        result = await link.command(command)
        assert core.commands == [command]
        assert result == cmd.CommandResult("c" if command is not STOP else "c-1", cmd.CommandStatus.ACCEPTED, "under way", 7)


async def test_commands_do_not_hold_up_views_or_each_other(tmp_path: Path) -> None:
    async with linked(tmp_path) as (core, _, link):
        core.hold.clear()
        held = asyncio.create_task(link.command(STOP))
        await asyncio.sleep(0.02)
        assert await link.show(ChargerView, connector="CP-03/1") is not None
        core.hold.set()
        assert (await held).audit_seq == 7


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b'{"kind":"launch"}\n',
        b"[]\n",
        b'{"kind":"show","id":"x"}\n',
        b"\xff\xfe\n",
        b"[" * 3000 + b"\n",
        b'{"kind":"hello","version":"1"}\n',
    ],
)
async def test_nonsense_gets_an_answer_and_the_conversation_goes_on(tmp_path: Path, line: bytes) -> None:
    async with linked(tmp_path):
        question = b'{"kind":"show","id":9,"name":"ChargerView","args":{"connector":"CP-01/1"}}\n'
        heard = await talk(tmp_path / "core.sock", HELLO, line, question)
        kinds = [message["kind"] for message in heard]
        assert kinds == ["hello", "view", "error", "shown"]
        assert heard[2]["code"] == "bad_line"


async def test_an_endless_line_ends_the_conversation_not_the_server(tmp_path: Path) -> None:
    async with linked(tmp_path) as (_, _, link):
        heard = await talk(tmp_path / "core.sock", HELLO, b"x" * (MAX_REQUEST + 10) + b"\n")
        assert heard[-1]["code"] == "bad_line"
        assert await link.show(ChargerView, connector="CP-01/1") is not None


async def test_another_version_is_told_so(tmp_path: Path) -> None:
    async with linked(tmp_path):
        (answer,) = await talk(tmp_path / "core.sock", b'{"kind":"hello","version":99}\n')
        assert (answer["code"], "restart both" in answer["message"]) == ("version", True)


async def test_who_does_not_say_hello_gets_nothing(tmp_path: Path) -> None:
    async with linked(tmp_path) as (core, _, _):
        heard = await talk(tmp_path / "core.sock", b'{"kind":"command","id":1,"type":"StopCharging","data":{}}\n')
        assert [m["code"] for m in heard] == ["version"]
        assert core.commands == []


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("Command", {"command_id": "c", "actor": "a"}),
        ("__init__", {}),
        ("StopCharging", {}),
        ("StopCharging", {"command_id": "c", "actor": "a", "connector": ["CP", "one"]}),
        ("SetManualLimit", {"command_id": "c", "actor": "a", "value_w": "much"}),
    ],
)
async def test_what_is_no_command_is_refused(tmp_path: Path, name: str, data: dict[str, Any]) -> None:
    with pytest.raises(LinkProtocol):
        decode_command(name, data)
    async with linked(tmp_path) as (core, _, _):
        line = json.dumps({"kind": "command", "id": 1, "type": name, "data": data}).encode() + b"\n"
        heard = await talk(tmp_path / "core.sock", HELLO, line)
        assert heard[-1]["code"] == "bad_command"
        assert core.commands == []


async def test_a_client_that_does_not_read_is_dropped(tmp_path: Path) -> None:
    async with linked(tmp_path) as (core, server, link):
        _, writer = await asyncio.open_unix_connection(str(tmp_path / "core.sock"), limit=1024)
        writer.write(HELLO)
        await asyncio.sleep(0.05)
        assert server.clients == 2
        for k in range(400):
            server.publish(later(core.view, float(k)))
            await asyncio.sleep(0)
            if server.clients == 1:
                break
        assert server.clients == 1
        assert await link.show(ChargerView, connector="CP-01/1") is not None
        writer.close()


async def test_the_number_of_clients_is_bounded(tmp_path: Path) -> None:
    async with linked(tmp_path):
        open_ones = [await asyncio.open_unix_connection(str(tmp_path / "core.sock")) for _ in range(MAX_CLIENTS)]
        await asyncio.sleep(0.05)
        heard = await talk(tmp_path / "core.sock")
        assert [m["code"] for m in heard] == ["busy"]
        for _, writer in open_ones:
            writer.close()


async def test_a_core_that_restarts_is_found_again(tmp_path: Path) -> None:
    core = Core()
    path = tmp_path / "core.sock"
    async with asyncio.timeout(10), CoreLink(path, retry_s=0.01, retry_most_s=0.05) as link:
        with pytest.raises(CoreUnreachable, match="not connected"):
            await link.show(ChargerView, connector="CP-01/1")
        assert (link.view, link.age_s) == (None, None)
        async with LinkServer(path, core):
            async for _ in link.views():
                break
            core.hold.clear()
            asked = asyncio.create_task(link.command(STOP))
            await asyncio.sleep(0.02)
        with pytest.raises(CoreUnreachable, match="went away"):
            await asked
        assert link.view is not None
        core.view = later(core.view, 60.0)
        async with LinkServer(path, core):
            async for view in link.views():
                if view == core.view:
                    break


async def test_a_core_that_does_not_answer_in_time_is_unreachable(tmp_path: Path) -> None:
    core = Core()
    core.hold.clear()
    path = tmp_path / "core.sock"
    async with LinkServer(path, core), CoreLink(path, command_s=0.05) as link:
        async for _ in link.views():
            break
        with pytest.raises(CoreUnreachable, match=r"within 0\.05 s"):
            await link.command(STOP)


async def test_a_dead_cores_socket_is_replaced_and_a_live_ones_is_not(tmp_path: Path) -> None:
    path = tmp_path / "core.sock"
    async with LinkServer(path, Core()):
        with pytest.raises(LinkInUse, match="another core"):
            async with LinkServer(path, Core()):
                pass
    path.touch()
    async with linked(tmp_path) as (_, _, link):
        assert link.view is not None


async def test_a_path_that_is_too_long_says_so(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="shorter data folder"):
        async with LinkServer(tmp_path / ("x" * 120), Core()):
            pass
    assert os.listdir(tmp_path) == []  # noqa: PTH208  # names only


async def test_telemetry_is_handed_over_as_it_came_and_answered_item_by_item(tmp_path: Path) -> None:
    async with linked(tmp_path) as (core, _, link):
        payload = msgspec.Raw(b'{"schema":"pack_telemetry/1","soc":0.5}')
        items = [
            TelemetryItem(vehicle_id="E-1", pack_id="P1", payload=payload),
            TelemetryItem(vehicle_id="E-2", pack_id="P1", payload=payload, allowed=False),
        ]
        assert [taken.status for taken in await link.telemetry("token gateway", items)] == ["accepted", "refused"]
        by, told = core.told[0]
        assert (by, bytes(told[0].payload), told[1].allowed) == ("token gateway", bytes(payload), False)


def test_a_full_handful_fits_a_line_of_the_link() -> None:
    payload = msgspec.Raw(b'"' + b"x" * (BYTES_AT_ONCE // ITEMS_AT_ONCE - 2) + b'"')
    long = "V" * 64
    items = [TelemetryItem(vehicle_id=long, pack_id=long, payload=payload, wrong="w" * 256) for _ in range(ITEMS_AT_ONCE)]
    line = msgspec.json.encode(AskTelemetry(2**31, "token " + "t" * 80, items))
    assert len(line) < MAX_REQUEST
