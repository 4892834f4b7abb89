"""The web as a process: a taken port, the stream over a real socket, a shutdown that waits for nobody."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import httpx
import pytest
from fake_depot import charger, later, sample
from web_harness import PASSWORD, csrf_of

import web
from controller.clock import SystemClock
from controller.link import CoreLink, LinkServer
from controller.readmodel import ChargerView, NowView
from depot import commands as cmd
from depot.values import Role
from storage import Store
from web.serve import PortInUse, open_socket, server
from web.settings import WebSettings
from web.users import Users

pytestmark = pytest.mark.anyio


class Core:
    """A core whose night stands still until it is told."""

    view = sample()

    def now(self) -> NowView:
        return self.view

    def charger(self, connector: str) -> ChargerView | None:
        return charger(connector, self.view)

    async def command(self, command: cmd.Command) -> cmd.CommandResult:
        return cmd.CommandResult(command.command_id, cmd.CommandStatus.DONE, "", 1)


def test_a_port_in_use_says_which_and_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=rf"127\.0\.0\.1:{port}.*choose another port"):
            open_socket(WebSettings(depot_id="d", port=port))


async def test_a_tick_of_the_core_reaches_a_page_and_a_shutdown_does_not_wait_for_it(tmp_path: Path) -> None:
    core, path = Core(), tmp_path / "core.sock"
    sock = open_socket(WebSettings(depot_id="kothrud", port=0))
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    with sock, Store.open(tmp_path / "people.db") as store:
        store.migrate([web])
        Users(store, SystemClock(), "kothrud").add("mani", Role.MANAGER, PASSWORD)
        async with asyncio.timeout(30), LinkServer(path, core) as link_server, CoreLink(path, retry_s=0.02) as link:
            serving = server(WebSettings(depot_id="kothrud"), link, store=store, clock=SystemClock())
            running = asyncio.create_task(serving.serve(sockets=[sock]))
            async with httpx.AsyncClient(base_url=url, headers={"origin": url}, timeout=60) as client:
                form = csrf_of((await client.get("/sign-in")).text)
                await client.post("/sign-in", data={"csrf": form, "name": "mani", "password": PASSWORD})
                async with client.stream("GET", "/live") as stream:
                    assert stream.headers["content-type"].startswith("text/event-stream")
                    assert "content-encoding" not in stream.headers
                    messages = (json.loads(line[6:]) async for line in stream.aiter_lines() if line.startswith("data: {"))
                    assert (await anext(messages))["at"] == "01:12:12"
                    link_server.publish(later(core.view, 60.0))
                    while (await anext(messages))["at"] != "01:13:12":
                        pass
                    began = asyncio.get_running_loop().time()
                    serving.should_exit = True
                    async with asyncio.timeout(10):
                        assert [message async for message in messages] == []
                        await running
                    assert asyncio.get_running_loop().time() - began < 3
