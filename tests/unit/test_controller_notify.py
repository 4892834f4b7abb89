"""Notifications: what is told, the outbox in the fact's own transaction, channels over real sockets, tries and dead letters."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

import controller
from controller import notify, outbox
from controller.alarms import Condition
from controller.clock import SystemClock
from controller.journal import SqlJournal
from controller.notify.channels import SIGNATURE, Mail, Never, NotNow, Webhook
from controller.notify.courier import MOST_PAUSE_S, Courier, pause_s
from controller.notify.ledger import Ledger
from controller.outbox import Message, OutboxWriter, Rules
from controller.outbox_desk import STUCK_S, OutboxDesk
from controller.settings import Settings, SettingsError
from depot import events as ev
from storage import Store, StoreFull

NOW = datetime(2026, 3, 29, 18, 30, tzinfo=UTC)
SECRET = b"k" * 32
METER = ev.AlarmRaised("meter_silent:", "meter_silent", "", "Site meter silent", "Check the meter's power.", 1)
URL = "https://alarms.example.org/depot"


def message(number: int = 1, **more: Any) -> Message:
    values: dict[str, Any] = {"title": "Site meter silent", "text": "Check the meter's power.", "priority": 1, "key": "meter_silent:"}
    return Message(id=f"0199-{number}", depot_id="d1", seq=number, at=NOW, kind="alarm_raised", **(values | more))


# -- what is told -------------------------------------------------------------------------------------------------------


@pytest.fixture
def depot(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "depot.db") as store:
        store.migrate([controller])
        yield store


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Store.open(tmp_path / "depot-notify.db") as store:
        store.migrate([notify])
        yield Ledger(store, "d1")


async def live(store: Store, *facts: ev.Event, rules: Rules | None = None) -> list[Message]:
    writer = OutboxWriter(rules or Rules(), store, "d1")
    async with SqlJournal(store, "d1", clock=SystemClock(), companions=[writer]) as journal:
        for fact in facts:
            await journal.append([ev.NewEvent(fact, NOW, actor="mira")])
    return [found for _, found in outbox.waiting(store, "d1", after=0)]


@pytest.mark.anyio
async def test_what_is_told_and_what_is_not(depot: Store) -> None:
    dull = ev.AlarmRaised("unknown_station:X", "unknown_station", "X", "Unknown station X", "Find out.", 3)
    told = await live(
        depot,
        METER,
        dull,
        ev.CommandFinished("c1", "done", "site limited"),
        ev.ApprovalRequested("c2", "ClearManualLimit", "site", "the utility called", NOW, "{}"),
        ev.AuditSealed(7, "ab" * 32),
        ev.StationBooted("CP1"),
        ev.AlarmCleared("unknown_station:X"),
        ev.AlarmCleared("meter_silent:"),
    )
    assert [(m.kind, m.title) for m in told] == [
        ("alarm_raised", "Site meter silent"),
        ("approval_wanted", "ClearManualLimit of site waits for a second person"),
        ("audit_head", f"Audit head 7:{'ab' * 32}"),
        ("alarm_cleared", "Over: Site meter silent"),
    ]
    assert "mira asks: the utility called" in told[1].text


@pytest.mark.anyio
async def test_after_a_restart_it_still_tells_what_is_over(depot: Store) -> None:
    await live(depot, METER)
    told = await live(depot, ev.AlarmCleared("meter_silent:"), rules=Rules(commands=True))
    assert [m.kind for m in told] == ["alarm_raised", "alarm_cleared"]


@pytest.mark.anyio
async def test_messages_exist_exactly_with_their_facts(depot: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that fails and is tried again tells once, and what is over is told though the first try failed."""
    writer, failing = OutboxWriter(Rules(), depot, "d1"), [False]

    def full(*_: object) -> None:
        if failing[0]:
            failing[0] = False
            raise StoreFull("the disk is full")

    async with SqlJournal(depot, "d1", clock=SystemClock(), companions=[writer, full]) as journal:
        for fact in (METER, ev.AlarmCleared("meter_silent:"), METER):
            failing[0] = True
            await journal.append([ev.NewEvent(fact, NOW)])
    told = outbox.waiting(depot, "d1", after=0)
    assert [(seq, m.kind) for seq, m in told] == [(1, "alarm_raised"), (2, "alarm_cleared"), (3, "alarm_raised")]


@pytest.mark.anyio
async def test_the_outbox_forgets_what_is_old(depot: Store) -> None:
    await live(depot, METER)
    with depot.writing() as connection:
        outbox.forget(connection, "d1", NOW + timedelta(seconds=1))
    assert outbox.waiting(depot, "d1", after=0) == []


@asynccontextmanager
async def serving(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """A server on a free port; at the end every connection is over, so that none is left for another test."""
    open_: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_.add(task)
        try:
            await talk(reader, writer)
        finally:
            open_.discard(task)
            writer.close()
            with suppress(OSError):  # a TLS error is one
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await asyncio.sleep(0.05)  # who has just been let in gets a task
        server.close()
        if open_:
            await asyncio.wait(set(open_), timeout=10)


# -- webhook ------------------------------------------------------------------------------------------------------------


def webhook(**more: Any) -> Webhook:
    return Webhook(URL, SECRET, more.pop("timeout_s", 5.0), lambda: 1_700_000_000.5)


@pytest.mark.anyio
async def test_a_webhook_is_signed_and_says_its_id() -> None:
    with respx.mock() as web:
        route = web.post(URL).respond(202)
        await webhook().send(message(text="₹ & heat"))
    request = route.calls.last.request
    assert request.headers["idempotency-key"] == "0199-1"
    assert json.loads(request.content)["schema"] == "chargeyard.notification/1"
    stamp, mac = request.headers[SIGNATURE].removeprefix("t=").split(",v1=")
    assert stamp == "1700000000"
    assert hmac.compare_digest(mac, hmac.new(SECRET, b"1700000000." + request.content, hashlib.sha256).hexdigest())


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "kind"), [(500, NotNow), (404, NotNow), (429, NotNow), (302, NotNow), (410, Never)])
async def test_answers_of_the_receiver(status: int, kind: type[Exception]) -> None:
    with respx.mock() as web:
        web.post(URL).respond(status, headers={"location": "http://169.254.169.254/"})
        with pytest.raises(kind, match=str(status)):
            await webhook().send(message())


@pytest.mark.anyio
async def test_a_receiver_that_is_gone_or_hangs() -> None:
    with respx.mock() as web:
        web.post(URL).mock(side_effect=httpx.ConnectError("no route"))
        with pytest.raises(NotNow, match="ConnectError: no route"):
            await webhook().send(message())

    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with serving(hang) as port:
        with pytest.raises(NotNow, match="no answer within"):
            await Webhook(f"http://127.0.0.1:{port}/", SECRET, 1.5, lambda: 0.0).send(message())


# -- e-mail -------------------------------------------------------------------------------------------------------------


@dataclass
class MailServer:
    """An SMTP server (RFC 5321) that takes what it is given. ``refuse``: recipients that it does not know."""

    refuse: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None
    letters: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    port: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[MailServer]:
        async with serving(self._talk) as self.port:
            yield self

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink\r\n")
        while line := (await reader.readline()).decode():
            word = line[:4].upper().strip()
            self.said.append(line.strip())
            if word == "EHLO":
                writer.write(b"250-sink\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n" if self.tls else b"250 sink\r\n")
            elif word == "STAR" and self.tls:
                writer.write(b"220 go\r\n")
                await writer.drain()
                try:
                    await writer.start_tls(self.tls)
                except ssl.SSLError:
                    return  # the other side does not trust us
            elif word == "RCPT" and any(name in line for name in self.refuse):
                writer.write(b"550 nobody of that name\r\n")
            elif word == "AUTH":
                writer.write(b"235 welcome\r\n")
            elif word == "DATA":
                writer.write(b"354 go on\r\n")
                self.letters.append((await reader.readuntil(b"\r\n.\r\n")).decode())
                writer.write(b"250 kept\r\n")
            elif word == "QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 ok\r\n")


def mail(server: MailServer, security: str = "none", **more: Any) -> Mail:
    return Mail("127.0.0.1", server.port, security, "depot@example.org", ("a@example.org", "b@example.org"), "Pune North", 5.0, **more)


@pytest.mark.anyio
async def test_a_mail_arrives_with_its_id_and_nothing_of_a_title_becomes_a_header() -> None:
    async with MailServer().running() as server:
        await mail(server).send(message(title="Pack tripped\r\nBcc: eve@example.org"))
    (letter,) = server.letters
    head, _, body = letter.partition("\r\n\r\n")
    assert "Message-ID: <0199-1@d1.chargeyard>" in head
    assert "Subject: [Pune North] P1 Pack tripped Bcc: eve@example.org" in head
    assert "\r\nBcc:" not in head
    assert sum("RCPT TO:" in line.upper() for line in server.said) == 2
    assert "journal 1, alarm_raised" in body


@pytest.mark.anyio
async def test_a_mail_server_that_refuses() -> None:
    async with MailServer(refuse=("a@", "b@")).running() as server:
        with pytest.raises(NotNow, match=r"all recipients are refused.*nobody of that name"):
            await mail(server).send(message())
    async with MailServer(refuse=("b@",)).running() as server:
        with pytest.raises(Never, match=r"some recipients only; refused: b@example\.org"):
            await mail(server).send(message())
    assert len(server.letters) == 1
    with pytest.raises(NotNow, match="refused"):
        await mail(server).send(message())


@pytest.mark.anyio
async def test_without_starttls_nothing_is_sent_in_the_clear() -> None:
    async with MailServer().running() as server:
        with pytest.raises(NotNow, match="STARTTLS"):
            await mail(server, "starttls", user="depot", password="secret").send(message())
    assert server.letters == []
    assert not any("AUTH" in line for line in server.said)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A folder with ``cert.pem`` and ``key.pem`` for 127.0.0.1, made now."""
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
             "subjectAltName=IP:127.0.0.1", "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")],
            check=True, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("no openssl")
    return tmp_path


@pytest.mark.anyio
async def test_starttls_with_a_certificate_that_is_trusted_and_one_that_is_not(certificate: Path) -> None:
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    async with MailServer(tls=theirs).running() as server:
        trust = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
        await mail(server, "starttls", user="depot", password="secret", trust=trust).send(message())
        assert len(server.letters) == 1
        assert any(line.startswith("AUTH PLAIN") for line in server.said)
        with pytest.raises(NotNow, match="certificate"):
            await mail(server, "starttls").send(message())


# -- courier ------------------------------------------------------------------------------------------------------------


@dataclass
class FakeChannel:
    """Takes messages, or fails as told."""

    name: str = "webhook"
    error: Exception | None = None
    took: list[str] = field(default_factory=list)

    def wants(self, message: Message) -> bool:
        return True

    async def send(self, message: Message) -> None:
        self.took.append(message.id)
        if self.error is not None:
            raise self.error


@dataclass
class Post:
    """A courier, its channels, and a clock that a test moves."""

    depot: Store
    ledger: Ledger
    channels: list[FakeChannel]
    at_s: float = 1000.0

    def courier(self) -> Courier:
        return Courier(self.depot, "d1", self.ledger, self.channels, now_s=lambda: self.at_s, give_up_s=3600, chance=lambda: 1.0)


@pytest.mark.anyio
async def test_each_channel_gets_each_message_once(depot: Store, ledger: Ledger) -> None:
    ids = [m.id for m in await live(depot, METER, ev.AlarmCleared("meter_silent:"))]
    post = Post(depot, ledger, [FakeChannel(), FakeChannel("email")])
    courier = post.courier()
    while await courier.step():
        pass
    assert [c.took for c in post.channels] == [ids, ids]
    assert await post.courier().step() == 0
    assert (ledger.standing().sent, ledger.standing().waiting) == (4, 0)


@pytest.mark.anyio
async def test_told_to_end_it_lets_arrive_what_is_on_its_way(depot: Store, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(FakeChannel):
        answer = asyncio.Event()

        async def send(self, message: Message) -> None:
            await super().send(message)
            await self.answer.wait()

    (first,) = await live(depot, METER)
    slow = Slow()
    post = Post(depot, ledger, [slow])
    task = asyncio.create_task(post.courier().run())
    while not slow.took:  # noqa: ASYNC110  # a channel tells nobody
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0)
    slow.answer.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (slow.took, ledger.standing().sent, ledger.standing().waiting) == ([first.id], 1, 0)

    monkeypatch.setattr("controller.notify.courier.LAST_S", 0.05)
    await live(depot, ev.AlarmCleared("meter_silent:"))
    slow.answer.clear()
    task = asyncio.create_task(post.courier().run())
    while len(slow.took) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ledger.standing().waiting == 1, "nobody answered: it goes out again, with its id"


@pytest.mark.anyio
async def test_what_fails_is_tried_again_later_and_given_up_in_the_end(depot: Store, ledger: Ledger) -> None:
    await live(depot, METER)
    post = Post(depot, ledger, [FakeChannel(error=NotNow("the receiver answers 503"))])
    courier = post.courier()
    tried = []
    while ledger.standing().dead == 0:
        if await courier.step():
            tried.append(post.at_s - 1000)
        post.at_s += 1
    assert tried[:4] == [0, 5, 15, 35]
    assert 3600 <= tried[-1] <= 3600 + MOST_PAUSE_S
    (letter,) = ledger.given_up()
    assert letter.error == "the receiver answers 503"
    assert letter.tries == len(tried)
    post.channels[0].error = None
    assert ledger.retry(post.at_s) == 1
    await courier.step()
    assert ledger.standing().sent == 1
    assert len(set(post.channels[0].took)) == 1


@pytest.mark.anyio
async def test_never_is_a_dead_letter_at_once(depot: Store, ledger: Ledger) -> None:
    await live(depot, METER)
    post = Post(depot, ledger, [FakeChannel(error=Never("410"))])
    await post.courier().step()
    assert ledger.standing().dead == 1
    assert ledger.forget(0, dead_now=True) == 1


@pytest.mark.anyio
async def test_our_own_mistake_loses_nothing(depot: Store, ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    await live(depot, METER)
    post = Post(depot, ledger, [FakeChannel(error=RuntimeError("a bug"))])
    await post.courier().step()
    assert ledger.standing().waiting == 1
    assert "could not be sent" in caplog.text


def test_pauses_grow_to_a_most_and_are_scattered() -> None:
    assert [pause_s(tries, lambda: 1.0) for tries in (0, 1, 2, 20, 10_000)] == [5, 10, 20, MOST_PAUSE_S, MOST_PAUSE_S]
    assert pause_s(3, lambda: 0.0) == 20


# -- desk and settings --------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_dead_and_stuck_messages_are_an_alarm(depot: Store, ledger: Ledger, tmp_path: Path) -> None:
    from small_yard import SmallYard

    at = [1000.0]
    desk = OutboxDesk(SmallYard().yard, tmp_path / "depot-notify.db", None, now_s=lambda: at[0])  # type: ignore[arg-type]  # prunes nothing here
    desk._ledger = ledger  # of the depot d1: the yard's is called small
    assert desk.conditions(NOW) is None
    await live(depot, METER)
    post = Post(depot, ledger, [FakeChannel(error=NotNow("the receiver answers 503"))])
    await post.courier().step()
    desk.look()
    assert desk.conditions(NOW) == []
    at[0] += STUCK_S + 1
    (condition,) = desk.conditions(NOW) or [Condition("none")]
    assert condition.title.startswith("1 notifications wait for 15 min")
    post.at_s += 3601
    await post.courier().step()
    desk.look()
    (condition,) = desk.conditions(NOW) or [Condition("none")]
    assert condition.title == "1 notification could not be delivered: the receiver answers 503"


RAW: dict[str, Any] = {
    "depot": {"id": "d", "contract_kw": 100, "failsafe_kw": 50, "worst_background_kw": 10},
    "feeder": [{"id": "F", "rating_kw": 100}],
}


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ({}, "names nobody"),
        ({"webhook": {"url": "http://alarms.example.org/"}}, "not encrypted"),
        ({"webhook": {"url": "https://me:secret@example.org/"}}, "name or password"),
        ({"webhook": {"url": "file:///etc/passwd"}}, "no address of a web server"),
        ({"webhook": {"url": "https://[::1"}}, "no address"),
        ({"email": {"host": "mail.example.org", "security": "none", "sender": "a@b.org", "to": ["c@d.org"]}}, "another machine"),
        ({"email": {"host": "m", "sender": "a@b.org\nBcc: x@y.org", "to": ["c@d.org"]}}, "sender"),
        ({"email": {"host": "m", "sender": "a@b.org", "to": ["c@d.org", "C@d.org"]}}, "named once"),
    ],
)
def test_settings_that_cannot_be(section: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        Settings.of(RAW | {"notify": section})


def test_secrets_come_from_the_environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from controller.app.notifier_process import channels_of

    raw = RAW | {"notify": {"webhook": {"url": URL}}}
    with pytest.raises(SettingsError, match="secrets don't belong in the file"):
        Settings.of(raw | {"notify_webhook_secret": "k" * 32})
    with pytest.raises(SettingsError, match="CHARGEYARD_NOTIFY_WEBHOOK_SECRET"):
        channels_of(Settings.of(raw))
    monkeypatch.setenv("CHARGEYARD_NOTIFY_WEBHOOK_SECRET", "k" * 32)
    (channel,) = channels_of(Settings.of(raw))
    assert isinstance(channel, Webhook)
    assert "kkkk" not in repr(Settings.of(raw))
