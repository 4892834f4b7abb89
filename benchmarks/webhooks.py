"""Is a webhook acknowledged in time while fifty a second arrive, and do bad ones change nothing?

    python -m benchmarks.webhooks [--rate 50] [--seconds 60] [--seed 1] [--most-ms 100]

One process takes webhooks in and works on them, as in a depot; this one is the gateway, and sends at fixed moments whether the last
one was answered or not. Of what it sends, 10 % is not signed by the gateway (no signature, another secret, the same event written
anew, half a body), 10 % comes again, 5 % comes again under a new id, 4 % is of a wrong size (300 kB, nothing), 3 % contradicts the
books (another amount), and the rest tells of debits, each one's events in any order. The bad ones tell of debits that nobody else
tells of. A time is from the moment at which the webhook was to leave until its answer is there; one that is not answered within five
seconds is sent again, as the gateway does, and its time goes on. At the end the books must be, row for row, those of a copy to which
each good event was told once. Exit 1 if they are not, if an answer is not what it should be, or if the 99th percentile of the times
is above ``--most-ms``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import random
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import payments
from benchmarks.evidence import percentile, write_evidence
from controller.clock import SystemClock
from payments import ledger, process
from payments.keys import GatewayKeys
from payments.money import Bill
from payments.service import Terms
from payments.states import MandateState, Mode, Stage
from payments.tables import BillRow, CollectionRow, MandateRow, OrderRow, ShareRow, SubmissionRow
from payments.times import to_ms
from payments.webhooks import MOST_BYTES, Webhooks, signature
from storage import Store, copy_database

ROOT = Path(__file__).resolve().parents[1]
DEPOT = "yard"
SECRET, FOREIGN = "only-for-this-test-2", "of-somebody-else-1234"
KEYS = GatewayKeys("rzp_test_yard", "only-for-this-test-1", (SECRET,))
DRIVERS = 50
_ANSWER_S = 5.0
_MOST_TRIES = 20
_TAXABLE = 200_00
BILL = Bill(
    energy_wh=10_000, taxable_paise=_TAXABLE, cgst_paise=18_00, sgst_paise=18_00, igst_paise=0, round_off_paise=0, total_paise=236_00
)  # fmt: skip
COMPARED = {
    "entry": "key, memo",
    "payment": "payment_id, collection_id, issue, submission, state, amount_paise, booked, surplus_paise",
    "share": "collection_id, bill_id, amount_paise, paid_paise",
    "order": "collection_id, issue, order_id, notification, delivered_ms",
    "submission": "collection_id, number, refused, lapsed",
    "bill": "bill_id, own, batched_paise",
    "collection": "collection_id, own, gave_up",
    "refund": "payment_id, amount_paise, state",
}


@dataclass(frozen=True, slots=True)
class Letter:
    """A webhook as it leaves. ``expected``: the status of its answer; ``good``: it is told for the first time, and true."""

    kind: str
    body: bytes
    headers: dict[str, str]
    expected: int = 200
    good: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured. ``sent_again``: because no answer came in time; ``wrong_answers``: of another status than they should have;
    ``differences``: rows in which the books are not those of the copy; ``drained_s``: from the last webhook until all of them were
    worked on; ``cpu_s``: processor time of the process that took them, from its first to its last."""

    sent: int
    taken: int
    turned_away: int
    p50_ms: float
    p99_ms: float
    most_ms: float
    sent_again: int
    wrong_answers: int
    differences: int
    debits: int
    drained_s: float
    cpu_s: float

    def met(self, most_ms: float) -> bool:
        """Whether every goal is."""
        return self.p99_ms <= most_ms and not self.wrong_answers and not self.differences


# -- books and letters ------------------------------------------------------------------------------------------------------


def fill(store: Store, debits: int, now: datetime) -> None:
    """Bills whose debits have been asked for, and of which nobody knows yet what became of them."""
    now_ms = to_ms(now)
    with store.unit() as session:
        for driver in range(min(DRIVERS, debits)):
            session.add(
                MandateRow(
                    depot_id=DEPOT, mandate_id=f"m{driver}", driver_id=f"driver{driver}", mode=Mode.AUTOPAY, state=MandateState.ACTIVE,
                    state_at_s=now_ms // 1000, max_amount_paise=14_000_00, expire_ms=to_ms(now + timedelta(days=90)),
                    receipt=f"r-m{driver}", customer_id=f"cust_{driver}", order_id=f"order_m{driver}", token_id=f"token_{driver}",
                    created_ms=now_ms, looked_ms=now_ms,
                )
            )  # fmt: skip
        for number in range(debits):
            driver, id_ = f"driver{number % DRIVERS}", f"c{number}"
            key = {"depot_id": DEPOT, "collection_id": id_}
            paise = BILL.total_paise
            session.add_all(
                [
                    BillRow(
                        depot_id=DEPOT, bill_id=f"s{number}", driver_id=driver, mandate_id=f"m{number % DRIVERS}", own=Stage.INVOICED,
                        reserved_paise=0, energy_wh=BILL.energy_wh, taxable_paise=BILL.taxable_paise, cgst_paise=BILL.cgst_paise,
                        sgst_paise=BILL.sgst_paise, total_paise=paise, invoice_no=f"CY2627/{number:06d}", opened_ms=now_ms,
                        invoiced_ms=now_ms, batched_paise=paise, collection_id=id_,
                    ),
                    CollectionRow(
                        **key, driver_id=driver, mandate_id=f"m{number % DRIVERS}", mode=Mode.AUTOPAY, day="2026-11-22",
                        amount_paise=paise, own=Stage.BATCHED, created_ms=now_ms, looked_ms=now_ms,
                    ),
                    ShareRow(**key, bill_id=f"s{number}", amount_paise=paise),
                    OrderRow(
                        **key, issue=1, receipt=f"r{number}", mandate_id=f"m{number % DRIVERS}", amount_paise=paise,
                        order_id=f"order_{number}", requested_ms=now_ms, payment_after_ms=now_ms, notification="requested",
                    ),
                    SubmissionRow(**key, issue=1, number=1, key=f"k{number}", at_ms=now_ms),
                ]
            )  # fmt: skip
            session.flush()
            ledger.post(session, DEPOT, ledger.invoiced(f"s{number}", driver, BILL, now))


def events_of(number: int, at_s: int, *, amount_paise: int = BILL.total_paise) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the gateway tells of a debit that succeeds."""
    notice = {
        "id": f"notif_{number}", "order_id": f"order_{number}", "token_id": f"token_{number % DRIVERS}", "status": "delivered",
        "payment_after": at_s, "delivered_at": at_s,
    }  # fmt: skip
    yield "order.notification.delivered", {"notification": {"entity": notice}, "created_at": at_s}
    for kind, status in (("payment.authorized", "authorized"), ("payment.captured", "captured"), ("order.paid", "captured")):
        entity = {
            "id": f"pay_{number}", "entity": "payment", "order_id": f"order_{number}", "amount": amount_paise, "currency": "INR",
            "status": status, "notes": {"submission": f"k{number}"}, "method": "upi", "created_at": at_s,
        }  # fmt: skip
        yield kind, {"payment": {"entity": entity}}


def letter(kind: str, payload: dict[str, Any], event_id: str, at_s: int, *, good: bool = True, what: str = "good") -> Letter:
    event = {"entity": "event", "account_id": "acc_1", "event": kind, "contains": list(payload), "payload": payload, "created_at": at_s}
    body = json.dumps(event).encode()
    return Letter(what, body, _headers(signature(body, SECRET), event_id), good=good)


def _headers(told: str | None, event_id: str) -> dict[str, str]:
    signed = {} if told is None else {"x-razorpay-signature": told}
    return signed | {"x-razorpay-event-id": event_id, "content-type": "application/json"}


def letters_of(count: int, seed: int, at_s: int) -> tuple[list[Letter], int]:
    """``count`` webhooks in the order in which they leave, and how many debits the books need for them."""
    luck = random.Random(seed)  # repeatable on purpose
    unsigned, again, renamed = count // 10, count // 10, count // 20
    sizes, odd = count // 25, count * 3 // 100
    debits = (count - unsigned - again - renamed - sizes - odd) // 4
    good = [letter(kind, payload, f"evt_{n}_{kind}", at_s) for n in range(debits) for kind, payload in events_of(n, at_s)]
    bad: list[Letter] = []
    for n in range(unsigned):
        kind, payload = list(events_of(debits + n, at_s))[1 + n % 3]
        true = letter(kind, payload, f"evt_bad_{n}", at_s, good=False)
        body = json.dumps(json.loads(true.body), separators=(",", ":")).encode()
        told = true.headers["x-razorpay-signature"]
        ways: list[tuple[str, bytes, str | None]] = [
            ("no signature", true.body, None),
            ("another secret", true.body, signature(true.body, FOREIGN)),
            ("written anew", body, told),
            ("half a body", true.body[: len(true.body) // 2], told),
        ]
        what, sent, says = ways[n % 4]
        bad.append(Letter(what, sent, _headers(says, f"evt_bad_{n}"), expected=401))
    for n in range(sizes):
        sent = b"" if n % 2 else b" " * (MOST_BYTES + 1 + luck.randrange(50_000))
        status = 400 if n % 2 else 413
        bad.append(Letter("wrong size", sent, _headers(signature(sent, SECRET), f"evt_size_{n}"), expected=status))
    for n in range(odd):
        kind, payload = list(events_of(debits + unsigned + n, at_s, amount_paise=1_00))[2]
        bad.append(letter(kind, payload, f"evt_odd_{n}", at_s, good=False, what="contradicts"))
    doubles = [Letter("again", one.body, one.headers) for one in luck.sample(good, again)]
    doubles += [
        Letter("renamed", one.body, one.headers | {"x-razorpay-event-id": f"evt_again_{n}"})
        for n, one in enumerate(luck.sample(good, renamed))
    ]
    rest = [letter("payment.strange", {}, f"evt_strange_{n}", at_s) for n in range(count - len(good) - len(bad) - len(doubles))]
    all_ = [*good, *bad, *doubles, *rest]
    luck.shuffle(all_)
    return all_, debits + unsigned + odd


# -- the run ------------------------------------------------------------------------------------------------------------------


async def send(url: str, letters: list[Letter], rate: float, tick: Any) -> list[tuple[Letter, int, float, int]]:
    """Each webhook, its answer's status, the seconds until then, and how often it was sent."""
    answers: list[tuple[Letter, int, float, int]] = []
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    async with httpx.AsyncClient(timeout=_ANSWER_S, trust_env=False, limits=limits) as client, asyncio.TaskGroup() as group:
        began = time.perf_counter()

        async def one(sent: Letter, leaves_s: float) -> None:
            status = tries = 0
            while status in (0, 503) and tries < _MOST_TRIES:
                tries += 1
                with contextlib.suppress(httpx.HTTPError):
                    status = (await client.post(url, content=sent.body, headers=sent.headers)).status_code
            answers.append((sent, status, time.perf_counter() - began - leaves_s, tries))
            tick()

        for place, sent in enumerate(letters):
            leaves_s = place / rate
            await asyncio.sleep(max(0.0, leaves_s - (time.perf_counter() - began)))
            group.create_task(one(sent, leaves_s))
    return answers


def child(folder: Path, port: int, gateway_port: int) -> None:
    """The process that takes webhooks in. Its gateway is away: it has to live by what it is told."""
    logging.basicConfig(level=logging.WARNING)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(128)
    asyncio.run(
        process.run(
            folder / "payments.db", depot_id=DEPOT, clock=SystemClock(), gateway_url=f"http://127.0.0.1:{gateway_port}/v1", keys=KEYS,
            terms=Terms(), sock=sock, ready=lambda: print(time.process_time(), flush=True),
        )
    )  # fmt: skip


@contextlib.contextmanager
def taking(folder: Path, port: int, nobody: int) -> Iterator[list[float]]:
    """The other process, until the end of the block; then its processor time since it was ready is in the list."""
    words = [sys.executable, "-m", "benchmarks.webhooks", "child", str(folder), str(port), str(nobody)]
    with (
        (folder / "child.log").open("w") as log,
        subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True) as process_,
    ):
        try:
            assert process_.stdout is not None
            ready = process_.stdout.readline()
            assert ready, (folder / "child.log").read_text()
            used: list[float] = []
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            yield used
        finally:
            process_.kill()
            process_.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime - float(ready))


def rows(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """What is compared of the books."""
    with store.reading() as connection:
        return {
            table: sorted(tuple(map(str, row)) for row in connection.exec_driver_sql(f"SELECT {columns} FROM payments_{table}"))
            for table, columns in COMPARED.items()
        }


def play(folder: Path, *, rate: float, seconds: float, seed: int, show: bool = False) -> Found:
    """Everything, once."""
    now = datetime.now(UTC)
    letters, debits = letters_of(round(rate * seconds), seed, to_ms(now) // 1000)
    database, copy = folder / "payments.db", folder / "copy.db"
    with Store.open(database) as store:
        store.migrate([payments])
        fill(store, debits, now)
    copy_database(database, copy)
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(socket.socket()) for _ in range(2)]
        for one in ports:
            one.bind(("127.0.0.1", 0))
        port, nobody = (int(one.getsockname()[1]) for one in ports)
        ports[0].close()  # the second stays: bound, and nobody listens
        with taking(folder, port, nobody) as used, Store.open(database) as store:
            columns = TextColumn("webhooks"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
            with Progress(*columns, disable=not show, transient=True) as bar:
                task = bar.add_task("", total=len(letters))
                url = f"http://127.0.0.1:{port}{process.WEBHOOK_PATH}"
                answers = asyncio.run(send(url, letters, rate, lambda: bar.advance(task)))
            ended = time.perf_counter()
            while _pending(store):
                if time.perf_counter() > ended + 60:
                    raise TimeoutError(f"{_pending(store)} webhooks are not worked on a minute after the last")
                time.sleep(0.1)
            drained_s = time.perf_counter() - ended
    with Store.open(database) as store, Store.open(copy) as told_once:
        inbox = Webhooks(told_once, DEPOT, SystemClock(), KEYS)
        for sent in letters:
            if sent.good:
                headers = sent.headers
                inbox.receive(sent.body, told_signature=headers["x-razorpay-signature"], event_id=headers["x-razorpay-event-id"])
        while inbox.apply():
            pass
        ours, theirs = rows(store), rows(told_once)
        with store.unit() as session:
            sound = ledger.check(session, DEPOT).sound
    differing = sum(
        (Counter(ours[table]) - Counter(theirs[table]) | Counter(theirs[table]) - Counter(ours[table])).total() for table in ours
    )
    times_ms = [1000 * took for _, _, took, _ in answers]
    wrong = Counter(f"{sent.kind}: {status} instead of {sent.expected}" for sent, status, _, _ in answers if status != sent.expected)
    if wrong:
        print(dict(wrong))
    return Found(
        sent=len(answers),
        taken=sum(status == 200 for _, status, _, _ in answers),
        turned_away=sum(status in (400, 401, 413) for _, status, _, _ in answers),
        p50_ms=round(percentile(times_ms, 0.5), 1),
        p99_ms=round(percentile(times_ms, 0.99), 1),
        most_ms=round(max(times_ms), 1),
        sent_again=sum(tries > 1 for _, _, _, tries in answers),
        wrong_answers=wrong.total(),
        differences=differing + (not sound),
        debits=debits,
        drained_s=round(drained_s, 1),
        cpu_s=round(used[0], 1),
    )


def _pending(store: Store) -> int:
    with store.reading() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM payments_webhook WHERE state = 'pending'").scalar_one())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=50.0, help="webhooks a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most-ms", type=float, default=100.0, help="goal for the 99th percentile")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chargeyard-webhooks-") as folder:
        found = play(Path(folder), rate=told.rate, seconds=told.seconds, seed=told.seed, show=True)
    row = {name: getattr(found, name) for name in Found.__slots__} | {"rate": told.rate, "seed": told.seed, "met": found.met(told.most_ms)}
    print(write_evidence("webhooks", row))
    return 0 if found.met(told.most_ms) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        sys.exit(main())
