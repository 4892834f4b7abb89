"""The logs of a whole running depot, at the lowest level, with parts that die and callers that lie: one object a line, and
no secret in any of them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import websockets

from benchmarks.real_depot import child_named, free_offset
from controller.app.demo import OCPP_PORT, WEB_PORT, write_depot
from controller.app.kept import kept_of
from controller.app.people import open_people
from controller.clock import SystemClock
from controller.settings import Settings
from depot.values import Role
from simulator.demo_day import demo_spec
from web.roles import Permission
from web.users import Users

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
PLANNER_KILLED = re.compile("planner's process (did not come up: it )?was killed")  # it may still be loading then
pytestmark = [pytest.mark.apart, pytest.mark.timeout(240)]


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


@contextlib.contextmanager
def tree(config: Path, log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        command = [sys.executable, "-m", "controller", "run", str(config)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env={**os.environ, **environment})
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def test_every_process_writes_one_object_a_line_and_no_secret(tmp_path: Path) -> None:
    offset = free_offset()
    config, keys = write_depot(tmp_path, spec=demo_spec(), start=datetime.now(UTC), speed=1, port_offset=offset)
    text = config.read_text(encoding="utf-8")
    text = text[: text.index("[clock]")].replace('level = "error"', 'level = "debug"\njson_lines = true')
    config.write_text(text + '[telemetry]\nbroker = "embedded"\n[payments]\nprice_inr_per_kwh = 18\nmock = true\n', encoding="utf-8")
    settings = Settings.load(config)
    passwords: dict[str, str] = json.loads(keys.read_text(encoding="utf-8"))
    station, right = next(iter(passwords.items()))
    hidden = {"right station key": right, "wrong station key": secrets.token_hex(20), "depot secret": secret_of(tmp_path)}
    hidden |= {"password": "correct horse battery", "wrong password": "incorrect horse battery"}
    with contextlib.closing(open_people(settings)) as store:
        users = Users(store, SystemClock(), settings.depot.id)
        users.add("mani", Role.MANAGER, hidden["password"])
        hidden["token"] = users.add_token("scada", [Permission.READ, Permission.METRICS])
    hidden |= {word: secrets.token_urlsafe(24) for word in ("wrong token", "gateway key", "webhook secret")}
    keys_of_gateway = {"KEY_ID": "rzp_test_1", "KEY_SECRET": hidden["gateway key"], "WEBHOOK_SECRET": hidden["webhook secret"]}
    environment = {f"CHARGEYARD_GATEWAY_{name}": value for name, value in keys_of_gateway.items()}
    log = tmp_path / "log"
    web = f"http://127.0.0.1:{WEB_PORT + offset}"
    with tree(config, log, environment) as process:
        wait_for(lambda: answers(web))
        with httpx.Client(base_url=web, headers={"origin": web}, timeout=60) as client:
            hidden |= sign_in(client, hidden)
            for word in ("token", "wrong token"):
                client.get("/api/v1/now", headers={"authorization": f"Bearer {hidden[word]}"})
            client.get("/metrics", params={"token": hidden["wrong token"]})
            metrics = client.get("/metrics", headers={"authorization": f"Bearer {hidden['token']}"}).text
            assert "chargeyard_core_up 1.0" in metrics
            (resident,) = re.findall(r"^chargeyard_core_resident_memory_bytes (\S+)$", metrics, re.MULTILINE)
            assert 20e6 < float(resident) < 1e9
        asyncio.run(knock(OCPP_PORT + offset, station, hidden))
        core = child_named(process.pid, "controller.app.core_process")
        assert core is not None
        wait_for(lambda: child_named(core, "controller.planner_worker") is not None)
        made = {path.name for path in tmp_path.iterdir() if path.suffix not in (".lock", ".sock") and "mock-gateway" not in path.name}
        in_a_backup = {path.name for kept in kept_of(settings) for path in kept.with_logs}
        left_out = {settings.files_folder.name}  # firmware images and logs of stations: large, and brought again
        left_out |= {f"{settings.depot.id}-models.db{end}" for end in ("", "-wal", "-shm")}  # device models: read anew
        assert made - in_a_backup == {"demo.toml", "stations.json", "log"} | left_out, "controller.app.kept does not know a file"
        os.kill(child_named(core, "controller.planner_worker") or 0, signal.SIGKILL)
        os.kill(child_named(process.pid, "controller.app.web_process") or 0, signal.SIGKILL)
        wait_for(lambda: PLANNER_KILLED.search(log.read_text()) is not None and "web is up again" in log.read_text())
        wait_for(lambda: {"broker", "gateway", "payments"} <= speakers(log))
        os.kill(core, signal.SIGKILL)
        wait_for(lambda: "core is up again" in log.read_text())
    said = log.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in said.splitlines()]
    for line in lines:
        assert line.keys() >= {"at", "level", "process", "logger", "message"}
        datetime.fromisoformat(line["at"])
    assert speakers(log) >= {"run", "core", "web", "broker", "gateway", "payments"}
    for what, secret in hidden.items():
        assert secret not in said, f"the log tells the {what}"
        assert base64.b64encode(f"{station}:{secret}".encode()).decode() not in said, what


def speakers(log: Path) -> set[str]:
    return {json.loads(line)["process"] for line in log.read_text(encoding="utf-8").splitlines() if line.endswith("}")}


def secret_of(folder: Path) -> str:
    return (folder / "depot.secret").read_text(encoding="ascii").strip()


def answers(web: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{web}/readyz").status_code == 200
    return False


def sign_in(client: httpx.Client, hidden: dict[str, str]) -> dict[str, str]:
    """A wrong and a right try. Returns what the session must keep for itself."""
    for word in ("wrong password", "password"):
        form = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get("/sign-in").text)
        assert form is not None
        answer = client.post("/sign-in", data={"csrf": form[1], "name": "mani", "password": hidden[word], "next": "/"})
    assert answer.status_code == 303
    return {f"cookie {name}": value for name, value in client.cookies.items() if value}


async def knock(port: int, station: str, hidden: dict[str, str]) -> None:
    """A station with a wrong key, one with the right key that talks nonsense, and an unknown one."""
    url = f"ws://127.0.0.1:{port}/ocpp"
    for name, key in ((station, "wrong station key"), ("nobody", "wrong station key"), (station, "right station key")):
        login = base64.b64encode(f"{name}:{hidden[key]}".encode()).decode()
        with contextlib.suppress(websockets.WebSocketException, OSError):
            async with websockets.connect(
                f"{url}/{name}", subprotocols=["ocpp1.6"], additional_headers={"authorization": f"Basic {login}"}
            ) as wire:
                await wire.send('[2, "1", "Nonsense", {')
                await wire.send('[2, "2", "BootNotification", {"x": "\\ud800"}]')
                await asyncio.sleep(0.5)
