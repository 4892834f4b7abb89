"""Is each bill debited exactly once? Ten thousand debits while the payment process is killed again and again.

    python -m benchmarks.debits [--debits 10000] [--kills 60] [--seed 3]

Three processes: the mock gateway with books of its own, the process that moves money, and this one, which bills sessions while the
other two work and kills the second (kill -9) at random moments. Of the sessions 65 % are paid by AutoPay, 30 % from Reserve Pay
blocks (up to twenty from each), 5 % by one-time mandates. The gateway answers a quarter of the requests for orders and debits late or
never, some with an error page, half a JSON or a 5xx, refuses some for their rate, breaks some off before it acts on them, hides
what it has accepted, and sends 40 % of its webhooks twice, half of those under a new id, and all of them out of order. At the end
the gateway's books, asked by SQL, must hold each bill once, to the paisa, and nothing else; the ledger's sum must be 0, and what it
says of each driver must be what the invoices say. Exit 1 otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import payments
from benchmarks.evidence import write_evidence
from controller.clock import SystemClock
from payments import process
from payments.gate import Ask
from payments.keys import GatewayKeys
from payments.mock_gateway import serve
from payments.mock_gateway.settings import Misbehaviour, MockSettings
from payments.money import EnergyLine
from payments.razorpay import RazorpayGateway
from payments.rules import Rules
from payments.service import Payments, Terms
from payments.statements import mismatches
from payments.states import MandateState, Mode
from storage import Store

ROOT = Path(__file__).resolve().parents[1]
DEPOT = "yard"
KEYS = GatewayKeys("rzp_test_yard", "only-for-this-test-1", ("only-for-this-test-2",))
ALL_DAY = ((datetime.min.time(), datetime.min.time()),)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. ``settle_s`` must be longer than a request may take and the gateway may hide, together."""

    timeout_s: float = 2.0
    late_s: float = 3.0
    hide_s: float = 4.0
    settle_s: float = 8.0
    lookup_s: float = 1.0
    shuffle_s: float = 2.0

    @property
    def terms(self) -> Terms:
        """What the depot decides."""
        rules = Rules(
            notice=timedelta(0),
            notice_margin=timedelta(seconds=1),
            windows=ALL_DAY,
            lookup_spacing=timedelta(seconds=self.lookup_s),
            settle=timedelta(seconds=self.settle_s),
            retry_wait=timedelta(seconds=1),
            cut_off=None,
        )
        return Terms(credit_limit_paise=14_000_00, rules=rules)

    @property
    def bad(self) -> Misbehaviour:
        """What the gateway does wrong."""
        return Misbehaviour(
            mute=0.1, late=0.1, late_s=self.late_s, hide_s=self.hide_s, lost=0.08, broken=0.08, limited=0.04, doubled=0.4, renamed=0.5,
            shuffle_s=self.shuffle_s,
        )  # fmt: skip


LONG, SHORT = Pace(), Pace(timeout_s=0.8, late_s=1.2, hide_s=1.5, settle_s=3.0, lookup_s=0.5, shuffle_s=1.0)
PACES = {"long": LONG, "short": SHORT}


@dataclass(frozen=True, slots=True)
class Found:
    """What stood in the books at the end. ``captured`` … ``wrong_blocks``: in the gateway's; ``wrong_amounts``: debits without a bill of
    their amount, or the reverse; ``wrong_blocks``: of which not exactly the debits were taken; ``other_payments``: that were not captured;
    ``mismatches``: drivers and kinds of whom ledger and documents say different things."""

    debits: int
    kills: int
    captured: int
    autopay: int
    reserve: int
    one_time: int
    orders: int
    amount_paise: int
    billed_paise: int
    wrong_amounts: int
    wrong_blocks: int
    other_payments: int
    ledger_sum_paise: int
    ledger_sound: bool
    entries: int
    owed_paise: int
    mismatches: int
    odd_webhooks: int
    repeated_webhooks: int
    seconds: float

    @property
    def exact(self) -> bool:
        """Each debit once, to the paisa, and nothing else."""
        once = self.captured == self.orders == self.debits and self.amount_paise == self.billed_paise
        nothing_else = not (self.wrong_amounts or self.wrong_blocks or self.other_payments)
        ours = self.ledger_sound and not (self.ledger_sum_paise or self.owed_paise or self.odd_webhooks or self.mismatches)
        return once and nothing_else and ours


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


def child(kind: str, folder: Path, gateway_port: int, webhook_port: int, seed: int, pace: Pace) -> None:
    """One of the two processes: loads, waits for its turn, works."""
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("payments").setLevel(logging.INFO)
    sys.stdin.readline()

    def ready() -> None:
        print("ready", flush=True)

    if kind == "gateway":
        settings = MockSettings(
            database=folder / "gateway.db",
            key_id=KEYS.key_id,
            key_secret=KEYS.key_secret,
            webhook_secret=KEYS.webhook_secrets[0],
            webhook_url=f"http://127.0.0.1:{webhook_port}{process.WEBHOOK_PATH}",
            seed=seed,
            notice_s=0.5,
            decide_s=min(1.0, pace.lookup_s),
            most_pause_s=3.0,
            approve_at_once=True,
            test_amounts=False,
            misbehaviour=pace.bad,
        )
        asyncio.run(serve.run(settings, clock=SystemClock(), sock=listening(gateway_port), ready=ready))
        return
    asyncio.run(
        process.run(
            folder / "payments.db",
            depot_id=DEPOT,
            clock=SystemClock(),
            gateway_url=f"http://127.0.0.1:{gateway_port}/v1",
            keys=KEYS,
            terms=pace.terms,
            sock=listening(webhook_port),
            gateway_timeout_s=pace.timeout_s,
            ready=ready,
        )
    )


class Processes:
    """Gateway and worker, and a worker that is loaded and waits; what is left of them ends with the block."""

    def __init__(self, folder: Path, seed: int, pace: str) -> None:
        self.folder, self.seed, self.pace = folder, seed, pace
        self.gateway_port, self.webhook_port = free_port(), free_port()
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.spare = self._load("worker")

    def _load(self, kind: str) -> subprocess.Popen[str]:
        compiled = {"PYTHONPYCACHEPREFIX": str(self.folder / "compiled")}  # sixty starts compile nothing twice
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        words = [kind, str(self.folder), str(self.gateway_port), str(self.webhook_port), str(self.seed), self.pace]
        with (self.folder / f"{kind}.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "benchmarks.debits", *words],
                cwd=ROOT,
                env=kept | compiled,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def start(self, kind: str) -> None:
        """Let it work; returns when it does."""
        if kind == "worker":
            child, self.spare = self.spare, self._load("worker")
        else:
            child = self._load(kind)
        self.running[kind] = child
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("go\n")
        child.stdin.flush()
        assert child.stdout.readline() == "ready\n", (self.folder / f"{kind}.log").read_text()

    def kill(self, kind: str) -> None:
        _bury(self.running.pop(kind))

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for kind in list(self.running):
            self.kill(kind)
        _bury(self.spare)


def _bury(child: subprocess.Popen[str]) -> None:
    child.send_signal(signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


@dataclass(frozen=True, slots=True)
class Payer:
    """One instrument, and the sessions that it pays for."""

    number: int
    mode: Mode
    sessions: tuple[int, ...]

    @property
    def driver_id(self) -> str:
        """Whose it is."""
        return f"driver{self.number}"


_EACH = {Mode.AUTOPAY: 20, Mode.RESERVE: 20, Mode.ONE_TIME: 1}
_SHARES = {Mode.ONE_TIME: 5, Mode.RESERVE: 30}


def payers(debits: int) -> list[Payer]:
    """For so many sessions: 5 % of them by one-time mandates, 30 % from blocks, the rest by AutoPay."""
    counts = {mode: debits * percent // 100 for mode, percent in _SHARES.items()}
    counts[Mode.AUTOPAY] = debits - sum(counts.values())
    made: list[Payer] = []
    first = 0
    for mode, count in counts.items():
        for start in range(first, first + count, _EACH[mode]):
            made.append(Payer(len(made), mode, tuple(range(start, min(start + _EACH[mode], first + count)))))
        first += count
    return made


async def _mandates(desk: Payments, url: str, all_: list[Payer]) -> None:
    turn = asyncio.Semaphore(8)
    async with RazorpayGateway(url, KEYS) as gateway, asyncio.TaskGroup() as group:

        async def one(payer: Payer) -> None:
            async with turn:
                await desk.mandates.open(
                    gateway,
                    mandate_id=f"m{payer.number}",
                    driver_id=payer.driver_id,
                    name="A driver",
                    email=f"d{payer.number}@example.org",
                    contact=f"+9190000{payer.number:05d}",
                    max_amount_paise=500_00 if payer.mode is Mode.ONE_TIME else 9_000_00,
                    expire_at=datetime.now(UTC) + timedelta(days=80),
                    mode=payer.mode,
                )

        for payer in all_:
            group.create_task(one(payer))


def _wait(done: Callable[[], bool], seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.2)


def _ask(database: Path, sql: str) -> list[tuple[int, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as connection:
        return connection.execute(sql).fetchall()


class _Sessions:
    """Sessions that end one after the other, each billed to its payer."""

    def __init__(self, desk: Payments, all_: list[Payer], luck: random.Random) -> None:
        self._desk, self._luck = desk, luck
        self._left = [(session, payer) for payer in all_ for session in payer.sessions]
        luck.shuffle(self._left)
        self.totals: list[int] = []

    def bill(self, most: int) -> None:
        """Up to so many more."""
        for _ in range(min(most, len(self._left))):
            session, payer = self._left.pop()
            ends = datetime.now(UTC) + timedelta(hours=4)
            answer = self._desk.reserve(f"s{session}", payer.driver_id, Ask(worst_paise=400_00, ends_at=ends))
            assert answer.allowed, answer
            lines = [EnergyLine(self._luck.randrange(1_000, 30_000), Fraction(750))]
            self.totals.append(self._desk.meter_session(f"s{session}", lines).total_paise)


def play(folder: Path, *, debits: int, kills: int, seed: int, pace: str = "long", most_s: float = 3600.0, show: bool = False) -> Found:
    """Everything, once. Raises :class:`TimeoutError` where it does not come to an end."""
    luck, all_, terms = random.Random(seed), payers(debits), PACES[pace].terms  # repeatable on purpose
    gateway, books = folder / "gateway.db", folder / "payments.db"
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with (
        Processes(folder, seed, pace) as running,
        Store.open(books, busy_timeout_s=30) as store,
        Progress(*columns, disable=not show, transient=True) as bar,
    ):
        store.migrate([payments])
        desk, began = Payments(store, DEPOT, SystemClock(), terms), time.monotonic()
        running.start("gateway")
        running.start("worker")
        task = bar.add_task("mandates", total=len(all_))
        asyncio.run(_mandates(desk, f"http://127.0.0.1:{running.gateway_port}/v1", all_))
        active = f"SELECT count(*) FROM payments_mandate WHERE state = '{MandateState.ACTIVE.value}'"

        def approved() -> bool:
            done = _ask(books, active)[0][0]
            bar.update(task, completed=done)
            return done == len(all_)

        _wait(approved, 60 + len(all_) / 10, "mandates approved")
        sessions, killed = _Sessions(desk, all_, luck), 0
        bar.update(task, description="debits", total=debits, completed=0)
        settled = "SELECT count(DISTINCT collection_id) FROM payments_payment WHERE state = 'captured' AND surplus_paise = 0"
        while (done := _ask(books, settled)[0][0]) < debits:
            bar.update(task, completed=done, description=f"debits, {killed} kills")
            if time.monotonic() > began + most_s:
                raise TimeoutError(f"{done} of {debits} debits within {most_s:g} s: {(folder / 'worker.log').read_text()[-3000:]}")
            pause = luck.uniform(0.3, 1.5 if pace == "short" else 4.0)
            until = time.monotonic() + pause
            while time.monotonic() < until:
                sessions.bill(5)
                time.sleep(0.01 if len(sessions.totals) < debits else 0.2)
            if killed < kills and (killed < kills / 2 or done >= debits * (killed - kills / 2) / kills):
                running.kill("worker")  # half at first, while orders are asked for, the rest as debits come in
                killed += 1
                running.start("worker")
        bar.update(task, completed=debits, description=f"debits, {killed} kills")
        _wait(lambda: _ask(gateway, "SELECT count(*) FROM events WHERE NOT delivered") == [(0,)], 300, "every webhook delivered")
        _wait(lambda: _ask(books, "SELECT count(*) FROM payments_webhook WHERE state = 'pending'") == [(0,)], 60, "webhooks applied")
        took_s = time.monotonic() - began
        return _judge(gateway, books, desk, sessions.totals, killed, took_s)


_DEBITED = "FROM payments WHERE kind = 'debit' AND status = 'captured'"
_WRONG_BLOCKS = f"""
    SELECT count(*) FROM tokens WHERE mode != 'autopay' AND debited !=
    (SELECT coalesce(sum(amount), 0) {_DEBITED} AND payments.token_id = tokens.id)
"""


def _judge(gateway: Path, books: Path, desk: Payments, totals: list[int], killed: int, took_s: float) -> Found:
    """What both books say, each asked by itself."""
    ((captured, orders, amount),) = _ask(gateway, f"SELECT count(*), count(DISTINCT order_id), coalesce(sum(amount), 0) {_DEBITED}")
    amounts = Counter(paise for (paise,) in _ask(gateway, f"SELECT amount {_DEBITED}"))
    by_mode = {
        mode: _ask(gateway, f"SELECT count(*) {_DEBITED} AND token_id IN (SELECT id FROM tokens WHERE mode = '{word}')")[0][0]
        for mode, word in ((Mode.AUTOPAY, "autopay"), (Mode.RESERVE, "reserve"), (Mode.ONE_TIME, "otm"))
    }
    check, billed = desk.check_ledger(), Counter(totals)
    with desk.store.unit() as session:
        different = mismatches(session, DEPOT)
    return Found(
        debits=len(totals),
        kills=killed,
        captured=captured,
        autopay=by_mode[Mode.AUTOPAY],
        reserve=by_mode[Mode.RESERVE],
        one_time=by_mode[Mode.ONE_TIME],
        orders=orders,
        amount_paise=amount,
        billed_paise=sum(totals),
        wrong_amounts=((amounts - billed) + (billed - amounts)).total(),
        wrong_blocks=_ask(gateway, _WRONG_BLOCKS)[0][0],
        other_payments=_ask(gateway, "SELECT count(*) FROM payments WHERE kind = 'debit' AND status != 'captured'")[0][0],
        ledger_sum_paise=check.sum_paise,
        ledger_sound=check.sound,
        entries=check.entries,
        owed_paise=_ask(books, "SELECT sum(amount_paise) FROM payments_posting WHERE account = 'receivable'")[0][0],
        mismatches=len(different),
        odd_webhooks=_ask(books, "SELECT count(*) FROM payments_webhook WHERE state IN ('odd', 'parked')")[0][0],
        repeated_webhooks=_ask(gateway, "SELECT count(*) - count(DISTINCT body) FROM events")[0][0],
        seconds=round(took_s, 1),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--debits", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--pace", choices=sorted(PACES), default="long")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chargeyard-debits-") as folder:
        found = play(Path(folder), debits=told.debits, kills=told.kills, seed=told.seed, pace=told.pace, show=True)
    row = {name: getattr(found, name) for name in Found.__slots__} | {"seed": told.seed, "exact": found.exact}
    print(write_evidence("debits", row))
    return 0 if found.exact else 1


if __name__ == "__main__":
    if sys.argv[1:2] in (["gateway"], ["worker"]):
        child(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), PACES[sys.argv[6]])
    else:
        sys.exit(main())
