"""Fault 2: the payment process is killed again and again, the gateway answers late, never, hides what it did and tells
everything twice and out of order. The mock gateway's own books must hold each debit exactly once, the ledger nothing.

Run as a script this file is one of the two processes: ``test_payments_kill.py gateway|worker FOLDER PORT PORT``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

import payments
from controller.clock import SystemClock
from payments import process
from payments.keys import GatewayKeys
from payments.mock_gateway import serve
from payments.mock_gateway.settings import Misbehaviour, MockSettings
from payments.money import EnergyLine
from payments.razorpay import RazorpayGateway
from payments.rules import Rules
from payments.service import Payments, Terms
from payments.states import MandateState, Stage
from storage import Store

pytestmark = [pytest.mark.serial]

ROOT = Path(__file__).resolve().parents[2]
DEPOT = "yard"
KEYS = GatewayKeys("rzp_test_yard", "only-for-this-test-1", ("only-for-this-test-2",))
ALL_DAY = ((datetime.min.time(), datetime.min.time()),)
TERMS = Terms(
    credit_limit_paise=14_000_00,
    rules=Rules(
        notice=timedelta(0),
        notice_margin=timedelta(seconds=1),
        windows=ALL_DAY,
        lookup_spacing=timedelta(seconds=1),
        settle=timedelta(seconds=8),  # longer than a request may take (2 s) and the gateway may hide (4 s)
        retry_wait=timedelta(seconds=1),
    ),
)
BAD = Misbehaviour(mute=0.12, late=0.12, late_s=3.0, hide_s=4.0, lost=0.08, doubled=0.4, renamed=0.5, shuffle_s=2.0)


def listening(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(128)
    return sock


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def mock_settings(folder: Path, webhook_port: int, *, seed: int, bad: Misbehaviour) -> MockSettings:
    return MockSettings(
        database=folder / "gateway.db",
        key_id=KEYS.key_id,
        key_secret=KEYS.key_secret,
        webhook_secret=KEYS.webhook_secrets[0],
        webhook_url=f"http://127.0.0.1:{webhook_port}{process.WEBHOOK_PATH}",
        seed=seed,
        notice_s=0.5,
        decide_s=1.0,
        most_pause_s=3.0,
        approve_at_once=True,
        test_amounts=False,
        misbehaviour=bad,
    )


def main(kind: str, folder: Path, gateway_port: int, webhook_port: int, seed: int) -> None:
    """One of the two processes."""
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("payments").setLevel(logging.INFO)

    def ready() -> None:
        print("ready", flush=True)

    if kind == "gateway":
        settings = mock_settings(folder, webhook_port, seed=seed, bad=BAD)
        asyncio.run(serve.run(settings, clock=SystemClock(), sock=listening(gateway_port), ready=ready))
        return
    asyncio.run(
        process.run(
            folder / "payments.db",
            depot_id=DEPOT,
            clock=SystemClock(),
            gateway_url=f"http://127.0.0.1:{gateway_port}/v1",
            keys=KEYS,
            terms=TERMS,
            sock=listening(webhook_port),
            gateway_timeout_s=2.0,
            ready=ready,
        )
    )


class Processes:
    """Gateway and worker; what is left of them ends with the block."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.gateway_port, self.webhook_port = free_port(), free_port()
        self.running: dict[str, subprocess.Popen[str]] = {}

    def start(self, kind: str) -> None:
        words = [kind, str(self.folder), str(self.gateway_port), str(self.webhook_port), str(self.seed)]
        with (self.folder / f"{kind}.log").open("a") as log:
            child = subprocess.Popen(
                [sys.executable, __file__, *words], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.running[kind] = child
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n", (self.folder / f"{kind}.log").read_text()

    def kill(self, kind: str) -> None:
        child = self.running.pop(kind)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert child.stdout is not None
        child.stdout.close()

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for kind in list(self.running):
            self.kill(kind)


def desk(store: Store) -> Payments:
    return Payments(store, DEPOT, SystemClock(), TERMS)


async def mandates(desk: Payments, url: str, count: int) -> None:
    async with RazorpayGateway(url, KEYS) as gateway:
        for number in range(count):
            await desk.open_mandate(
                gateway,
                mandate_id=f"m{number}",
                driver_id=f"driver{number}",
                name="A driver",
                email=f"d{number}@example.org",
                contact=f"+9190000{number:05d}",
                max_amount_paise=14_000_00,
                expire_at=datetime.now(UTC) + timedelta(days=365),
            )


def wait_for(done: object, seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while not done():  # type: ignore[operator]
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.25)


def query(database: Path, sql: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10) as connection:
        return connection.execute(sql).fetchall()


def evidence(**line: object) -> None:
    folder = ROOT / "build" / "evidence"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "payments_kill.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def play(folder: Path, *, debits: int, seed: int, kills: int, most_s: float) -> None:
    luck, drivers = random.Random(seed), max(5, debits // 10)
    print(f"seed {seed}")
    with Processes(folder, seed) as running, Store.open(folder / "payments.db", busy_timeout_s=20) as store:
        store.migrate([payments])
        at_desk = desk(store)
        running.start("gateway")
        running.start("worker")
        asyncio.run(mandates(at_desk, f"http://127.0.0.1:{running.gateway_port}/v1", drivers))

        def approved() -> bool:
            views = [at_desk.mandate(f"driver{n}") for n in range(drivers)]
            return all(view is not None and view.state is MandateState.ACTIVE for view in views)

        wait_for(approved, 60, "mandates approved")
        total = 0
        for number in range(debits):
            ends = datetime.now(UTC) + timedelta(hours=4)
            answer = at_desk.reserve(f"s{number}", f"driver{number % drivers}", worst_case_paise=500_00, session_ends_at=ends)
            assert answer.allowed, answer
            total += at_desk.meter_session(f"s{number}", [EnergyLine(luck.randrange(1_000, 30_000), Fraction(750))]).total_paise

        killed, began = 0, time.monotonic()

        def settled() -> int:
            return sum(view.stage is Stage.CAPTURED for view in at_desk.bills(limit=debits))

        while settled() < debits:
            assert time.monotonic() < began + most_s, (settled(), (folder / "worker.log").read_text()[-4000:])
            time.sleep(luck.uniform(0.5, 4.0))
            if killed < kills:
                running.kill("worker")
                killed += 1
                running.start("worker")

        def all_told() -> bool:
            return query(folder / "gateway.db", "SELECT count(*) FROM events WHERE NOT delivered") == [(0,)]

        wait_for(all_told, 120, "every webhook delivered")
        wait_for(
            lambda: query(folder / "payments.db", "SELECT count(*) FROM payments_webhook WHERE state = 'pending'") == [(0,)], 30, "applied"
        )
        books = query(
            folder / "gateway.db",
            "SELECT count(*), count(DISTINCT order_id), sum(amount) FROM payments WHERE kind = 'debit' AND status = 'captured'",
        )
        others = query(folder / "gateway.db", "SELECT count(*) FROM payments WHERE kind = 'debit' AND status != 'captured'")
        found = at_desk.check_ledger()
        owed = query(folder / "payments.db", "SELECT sum(amount_paise) FROM payments_posting WHERE account = 'receivable'")
        odd = query(folder / "payments.db", "SELECT event_id, kind, note FROM payments_webhook WHERE state IN ('odd', 'parked')")
        twice = query(folder / "gateway.db", "SELECT count(*) - count(DISTINCT body) FROM events")
        took = round(time.monotonic() - began, 1)
        evidence(fault=2, n=debits, kills=killed, captured=books[0][0], ledger_sum=found.sum_paise, seconds=took, seed=seed)
        assert books == [(debits, debits, total)]
        assert others == [(0,)]
        assert found.sound
        assert found.entries == 2 * debits
        assert owed == [(0,)]
        assert odd == []
        assert int(str(twice[0][0])) > debits // 2  # they were really doubled
        assert killed == kills


@pytest.mark.timeout(280)
def test_a_hundred_debits_under_kills_are_a_hundred_debits(tmp_path: Path) -> None:
    play(tmp_path, debits=100, seed=2, kills=6, most_s=220)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_thousand_debits_under_kills_are_a_thousand_debits(tmp_path: Path) -> None:
    play(tmp_path, debits=1_000, seed=3, kills=60, most_s=1_500)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
