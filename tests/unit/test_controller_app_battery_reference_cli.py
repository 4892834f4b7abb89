"""``./chargeyard battery reference-test`` against the real web application on a fake depot: what it prints, and with which code it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import uvicorn
from typer.testing import CliRunner, Result
from web_harness import Site, site

from controller.app.battery_reference_cli import TOKEN_VARIABLE
from controller.app.cli import app
from depot import commands as cmd
from web.roles import Permission

pytestmark = pytest.mark.anyio
RUNNING, NONE, BROKEN = "E-103/P1", "E-127/P1", "E-118/P1"


def run(*words: str, token: str = "", url: str = "http://127.0.0.1:9") -> Result:
    return CliRunner().invoke(app, ["battery", "reference-test", *words, "--url", url], env={TOKEN_VARIABLE: token})


@contextlib.asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[Site, str]]:
    """The application on a port of its own."""
    async with site(folder) as depot:
        server = uvicorn.Server(uvicorn.Config(depot.app, port=0, lifespan="off", log_level="error"))
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.02)
        try:
            yield depot, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


async def test_a_test_is_ordered_shown_and_called_off_with_a_token(tmp_path: Path) -> None:
    async with served(tmp_path) as (depot, url):
        token = depot.users.add_token("scada", [Permission.LIMIT, Permission.READ])

        async def asked(*words: str, key: str = token) -> Result:
            return await asyncio.to_thread(run, *words, token=key, url=url)

        done = await asked("order", NONE, "--reason", "before the\nwarranty ends", "--wait-h", "12", "--most-soc", "0.4", "--pulses", "4")
        assert done.exit_code == 0, done.output
        (ordered,) = depot.link.commands
        assert isinstance(ordered, cmd.OrderReferenceTest)
        assert (ordered.vehicle_id, ordered.actor, ordered.reason) == ("E-127", "token scada", "before the warranty ends")
        assert (ordered.most_soc, ordered.pulses) == (0.4, 4)
        shown = await asked("show", RUNNING)
        assert shown.exit_code == 0, shown.output
        assert "4 of 7 powers held" in shown.output
        assert "ends about" in shown.output
        told = await asked("show", RUNNING, "--json")
        assert json.loads(told.stdout)["phase"] == "pulses"
        broken = await asked("show", BROKEN)
        assert (broken.exit_code, "was broken off" in broken.output) == (1, True)
        none = await asked("show", NONE)
        assert (none.exit_code, "None was ordered yet" in none.output) == (1, True)
        assert (await asked("call-off", RUNNING, "--reason", "the bus is needed")).exit_code == 0
        assert isinstance(depot.link.commands[-1], cmd.CallOffReferenceTest)
        strange = await asked("show", "E 1%2e/../P 1")
        assert (strange.exit_code, "names no pack" in strange.output) == (2, True)
        reader = depot.users.add_token("screen", [Permission.READ])
        forbidden = await asked("order", NONE, "--reason", "yearly", key=reader)
        assert (forbidden.exit_code, "the scope limit" in forbidden.output) == (2, True)
        wrong = await asked("show", NONE, key="cy_nothing")
        assert wrong.exit_code == 2
        assert "user token add" in wrong.output
        assert "cy_nothing" not in wrong.output
        depot.link.result = cmd.CommandStatus.REFUSED
        unheard = await asked("order", "E-9/[red]P1", "--reason", "yearly")
        assert (unheard.exit_code, "Nothing was heard of this pack" in unheard.output) == (2, True), unheard.output
        refused = await asked("order", NONE, "--reason", "yearly")
        assert (refused.exit_code, "Feeder B is full" in refused.output) == (1, True), refused.output


@pytest.mark.parametrize(
    ("words", "token", "url", "why"),
    [
        (("show", "E-103"), "t", "http://127.0.0.1:9", "names no pack"),
        (("show", RUNNING), "", "http://127.0.0.1:9", "holds no token"),
        (("show", RUNNING), "two words", "http://127.0.0.1:9", "holds no token"),
        (("show", RUNNING), "t", "http://depot.example.org", "unencrypted"),
        (("show", RUNNING), "t", "ftp://127.0.0.1", "is no address"),
        (("show", RUNNING), "t", "http://127.0.0.1:99999", "is no address"),
        (("show", RUNNING), "t", "http://[::1", "is no address"),
        (("order", RUNNING, "--reason", " "), "t", "http://127.0.0.1:9", "1 to 200 characters"),
        (("order", RUNNING, "--reason", "x" * 201), "t", "http://127.0.0.1:9", "1 to 200 characters"),
        (("order", RUNNING, "--reason", "x", "--most-soc", "50"), "t", "http://127.0.0.1:9", "most-soc"),
        (("order", RUNNING, "--reason", "x", "--wait-h", "nan"), "t", "http://127.0.0.1:9", "wait-h"),
    ],
)
def test_wrong_words_are_told_before_anybody_is_asked(words: tuple[str, ...], token: str, url: str, why: str) -> None:
    done = run(*words, token=token, url=url)
    assert (done.exit_code, why in " ".join(done.output.replace("│", " ").split())) == (2, True), done.output


def test_who_does_not_answer_or_is_something_else_is_said_with_code_three(tmp_path: Path) -> None:
    silent = run("show", RUNNING, token="t")
    assert (silent.exit_code, "./chargeyard run" in silent.output) == (3, True), silent.output
    file = tmp_path / "a token"
    file.write_text("t\n")

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_: object) -> None: ...

    def other(_env: object, start: object) -> list[bytes]:
        start("200 OK", [("content-type", "text/html")])  # type: ignore[operator]
        return [b"<h1>It works!</h1>"]

    with make_server("127.0.0.1", 0, other, handler_class=Quiet) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        for words in (("show", RUNNING), ("call-off", RUNNING, "--reason", "x")):
            said = run(*words, "--token-file", str(file), url=url)
            assert (said.exit_code, "is no Chargeyard" in said.output) == (3, True), said.output
        server.shutdown()
        thread.join()
