"""The mock gateway on a real socket in a thread of its own, with a clock that tests put ahead, and a receiver of its webhooks."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from controller.clock import SystemClock
from payments.mock_gateway.bank import Bank
from payments.mock_gateway.sender import Sender
from payments.mock_gateway.serve import create_app, open_bank
from payments.mock_gateway.settings import MockSettings

KEY_ID, KEY_SECRET, HOOK_SECRET = "rzp_test_sdk", "only-for-this-test-1", "only-for-this-test-2"
CONTACT = "+919900000123"


@dataclass
class Hook:
    """Where the webhooks arrive. ``answers``: status of the coming answers; 200 after them."""

    url: str = ""
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    """Event id, signature, body."""
    answers: list[int] = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        import json

        return [str(json.loads(body)["event"]) for _, _, body in self.seen]


@dataclass
class Played:
    """A mock gateway that runs."""

    url: str
    bank: Bank
    hook: Hook
    http: httpx.Client
    """Without keys."""

    def control(self, method: str, where: str, /, **body: Any) -> dict[str, Any]:
        answer = self.http.request(method, f"/control{where}", json=body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def ahead(self, **delta: float) -> None:
        """Put the clock ahead, and let what is due happen."""
        seconds = sum({"hours": 3600, "minutes": 60, "days": 86_400, "seconds": 1}[unit] * n for unit, n in delta.items())
        self.control("POST", "/clock", advance_s=seconds)

    def to(self, at: datetime) -> None:
        """Put the clock to ``at``; where it is later already, as seconds pass here, too, it stays."""
        self.ahead(seconds=max((at - self.now).total_seconds(), 0.0))

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.bank.now_s, UTC)

    def press(self, where: str, /, **fields: str) -> httpx.Response:
        """A button of the app's page."""
        return self.http.post(where, data=fields, headers={"origin": self.url})

    def phone(self) -> dict[str, Any]:
        """What the driver's phone shows."""
        found: dict[str, Any] = self.http.get("/app/phone", params={"contact": CONTACT}).json()
        return found

    def until(self, done: Callable[[], bool], patience_s: float = 10.0) -> None:
        end = time.monotonic() + patience_s
        while not done():
            assert time.monotonic() < end, "it did not come"
            time.sleep(0.02)


def listening() -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(64)
    return sock


@contextlib.contextmanager
def receiving() -> Iterator[Hook]:
    hook = Hook()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            status = hook.answers.pop(0) if hook.answers else 200
            hook.seen.append((self.headers["x-razorpay-event-id"], self.headers["x-razorpay-signature"], body))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hook.url = f"http://127.0.0.1:{server.server_address[1]}/gateway/webhook"
    thread = threading.Thread(target=lambda: server.serve_forever(0.02), daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextlib.contextmanager
def playing(database: Path, **changes: Any) -> Iterator[Played]:
    """The mock with ``changes`` of its settings."""
    with receiving() as hook:
        settings = MockSettings(
            database=database, key_id=KEY_ID, key_secret=KEY_SECRET, webhook_secret=HOOK_SECRET, webhook_url=hook.url,
            **({"notice_s": 0.0, "decide_s": 0.0, "settle_after_s": None} | changes),
        )  # fmt: skip
        bank, sock = open_bank(settings, SystemClock()), listening()
        server = uvicorn.Server(
            uvicorn.Config(create_app(bank), log_config=None, date_header=False, lifespan="off", ws="none", timeout_graceful_shutdown=1)
        )

        async def serve() -> None:
            work = [asyncio.ensure_future(bank.run()), asyncio.ensure_future(Sender(bank.store, settings, bank.clock, bank.woken).run())]
            await server._serve([sock])
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)

        thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            url = f"http://127.0.0.1:{sock.getsockname()[1]}"
            with httpx.Client(base_url=url, trust_env=False, verify=False, timeout=60) as http:  # verify: no certificates are loaded
                yield Played(url, bank, hook, http)
        finally:
            server.should_exit = True
            thread.join(10)
            bank.store.close()
