"""Ways to reach people: a webhook that is signed, and e-mail. Each says whether a message arrived, and if not, why.

ChannelError
├── NotNow       it did not arrive (no connection, 5xx, greylisted …): again later
└── Never        it won't arrive however often it is tried (the receiver says so for good)
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import Final, Protocol

import httpx
import msgspec

from controller.outbox import Message

SIGNATURE: Final = "X-Chargeyard-Signature"
_SUBJECT_MOST: Final = 150


class ChannelError(Exception):
    """Root of this module's errors."""


class NotNow(ChannelError):
    """It did not arrive; it may be tried again."""


class Never(ChannelError):
    """It will not arrive."""


class Channel(Protocol):
    """``name`` stands in the ledger: a message is delivered once for each name."""

    @property
    def name(self) -> str: ...
    def wants(self, message: Message) -> bool:
        """Whether the message goes this way."""

    async def send(self, message: Message) -> None:
        """Returns when it arrived. Raises :class:`ChannelError`."""


def signature(secret: bytes, at_s: int, body: bytes) -> str:
    """``t=<Unix s>,v1=<HMAC-SHA-256 over "t.body", hex>``: the receiver knows who sent it, and that it is not an old one."""
    return f"t={at_s},v1={hmac.new(secret, f'{at_s}.'.encode() + body, hashlib.sha256).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Webhook:
    """POST of the message as JSON. Arrived: 2xx. 410 means: never again. Redirects are not followed, so that the
    receiver can't send our message elsewhere; proxies and passwords of the environment are not used."""

    url: str
    secret: bytes
    timeout_s: float
    now_s: Callable[[], float]
    name: str = "webhook"

    def wants(self, message: Message) -> bool:
        return True

    async def send(self, message: Message) -> None:
        body = msgspec.json.encode(message)
        headers = {
            "content-type": "application/json",
            "idempotency-key": message.id,
            "user-agent": "chargeyard",
            SIGNATURE: signature(self.secret, int(self.now_s()), body),
        }
        try:
            async with (
                asyncio.timeout(self.timeout_s),  # httpx counts each step apart: this is the whole
                httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=self.timeout_s) as client,
                client.stream("POST", self.url, content=body, headers=headers) as response,
            ):
                status = response.status_code
        except TimeoutError:
            raise NotNow(f"no answer within {self.timeout_s:g} s") from None
        except httpx.HTTPError as error:
            raise NotNow(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from None
        if status == httpx.codes.GONE:
            raise Never("the receiver says 410: it wants no more")
        if 300 <= status < 400:
            raise NotNow(f"the receiver answers {status}, a redirect: write the final address into the settings")
        if not 200 <= status < 300:
            raise NotNow(f"the receiver answers {status}")


@dataclass(frozen=True, slots=True)
class Mail:
    """One message to all recipients over SMTP. Arrived: the server took it for all of them. ``security``: ``starttls``,
    ``tls`` (from the first byte) or ``none``. Certificates are checked."""

    host: str
    port: int
    security: str
    sender: str
    recipients: tuple[str, ...]
    depot_name: str
    timeout_s: float
    user: str = ""
    password: str = ""
    trust: ssl.SSLContext | None = None
    name: str = "email"

    def wants(self, message: Message) -> bool:
        return True

    async def send(self, message: Message) -> None:
        await asyncio.to_thread(self._send, self.letter(message))

    def letter(self, message: Message) -> EmailMessage:
        """As it is sent. Its Message-ID is the message's id: a mailbox that gets it twice can tell."""
        letter = EmailMessage(policy=SMTP_POLICY)
        urgent = f"P{message.priority} " if message.priority is not None else ""
        subject = " ".join(f"[{self.depot_name}] {urgent}{message.title}".split())
        letter["Subject"] = subject[:_SUBJECT_MOST]
        letter["From"] = self.sender
        letter["To"] = ", ".join(self.recipients)
        letter["Date"] = format_datetime(message.at)
        letter["Message-ID"] = f"<{message.id}@{message.depot_id}.chargeyard>"
        letter["Auto-Submitted"] = "auto-generated"
        lines = (
            message.title,
            message.text,
            "",
            f"Depot {message.depot_id}, {message.at.isoformat()}, journal {message.seq}, {message.kind}",
        )
        letter.set_content("\n".join(lines) + "\n")
        return letter

    def _send(self, letter: EmailMessage) -> None:
        try:
            with self._connect() as server:
                if self.security == "starttls":
                    server.starttls(context=self._trusted())
                if self.user:
                    server.login(self.user, self.password)
                refused = server.send_message(letter)
        except smtplib.SMTPRecipientsRefused as error:
            raise NotNow(f"all recipients are refused: {_first(error.recipients)}") from None
        except smtplib.SMTPResponseException as error:
            raise NotNow(f"the mail server answers {error.smtp_code} {_text(error.smtp_error)}") from None
        except (OSError, smtplib.SMTPException) as error:
            raise NotNow(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from None
        if refused:
            raise Never(f"the server took it for some recipients only; refused: {_first(refused)}")  # again would mean twice for the others

    def _connect(self) -> smtplib.SMTP:
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout_s, context=self._trusted())
        return smtplib.SMTP(self.host, self.port, timeout=self.timeout_s)

    def _trusted(self) -> ssl.SSLContext:
        return self.trust or ssl.create_default_context()


def _text(words: object) -> str:
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)


def _first(refused: dict[str, tuple[int, bytes]]) -> str:
    who, (code, words) = next(iter(refused.items()))
    return f"{who}: {code} {_text(words)}"
