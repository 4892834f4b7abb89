"""The sections ``notify`` and ``approval`` of the settings file: whom to tell of what, and what needs a second person."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, field_validator, model_validator

from controller.sections import Section, is_loopback, setting

MailAddress = Annotated[str, StringConstraints(pattern=r"^[^@\s<>,;:\"]{1,64}@[A-Za-z0-9.\-\[\]:]{1,190}$")]
Port = Annotated[int, Field(ge=1, le=65_535)]


PhoneNumber = Annotated[str, StringConstraints(pattern=r"^\+[1-9]\d{6,14}$")]


def _check_url(url: str, *, allow_http: bool, example: str) -> None:
    """An address that messages may be posted to. Raises ValueError with what to write."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"url {url!r} is no address") from None
    if parts.scheme not in ("http", "https") or not host or re.search(r"\s", url):
        raise ValueError(f"url {url!r} is no address of a web server; write for example {example}")
    if parts.username or parts.password:
        raise ValueError("url holds a name or password: the file is no place for it; secrets are in the environment")
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        raise ValueError(f"url {url!r} is not encrypted: write https, or set allow_http for a network of your own")


class WebhookSection(Section):
    """Messages are posted as JSON to this address, signed with the key in CHARGEYARD_NOTIFY_WEBHOOK_SECRET."""

    url: str = setting(..., "Address that messages are posted to; https, or http on this machine. No redirect is followed.")
    allow_http: bool = setting(False, "Let messages travel to another machine in the clear. Only within a network of your own.")
    timeout_s: float = setting(10.0, "How long the receiver may take.", unit="s", ge=1, le=60)

    @model_validator(mode="after")
    def _reasonable(self) -> Self:
        _check_url(self.url, allow_http=self.allow_http, example="https://alarms.example.org/depot")
        return self


class EmailSection(Section):
    """Messages are mailed. The password, where the server wants one, is in CHARGEYARD_NOTIFY_SMTP_PASSWORD."""

    host: str = setting(..., "The mail server.", min_length=1)
    port: Port = setting(587, "Its port: 587 for starttls, 465 for tls.")
    security: Literal["starttls", "tls", "none"] = setting("starttls", "How the connection is encrypted; none only to this machine.")
    sender: MailAddress = setting(..., "Address that messages come from.")
    to: tuple[MailAddress, ...] = setting(..., "Addresses that messages go to.", min_length=1, max_length=20)
    user: str = setting("", "Name for the mail server; empty: it wants none.")
    timeout_s: float = setting(20.0, "How long the server may take for each step.", unit="s", ge=1, le=120)

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        if self.security == "none" and not is_loopback(self.host):
            raise ValueError(f"security is none, but {self.host} is another machine: use starttls or tls")
        if self.security == "none" and self.user:
            raise ValueError("security is none, but user is set: a password is not sent in the clear")
        return self

    @field_validator("to")
    @classmethod
    def _each_once(cls, to: tuple[str, ...]) -> tuple[str, ...]:
        if len({address.lower() for address in to}) != len(to):
            raise ValueError("each address may be named once")
        return to


class SmsSection(Section):
    """The worst alarms, evacuations and drills go to telephones through a gateway. Its token is in CHARGEYARD_NOTIFY_SMS_TOKEN."""

    url: str = setting(..., "Address of the gateway that takes {to, text, reference} as JSON; https, or http on this machine.")
    allow_http: bool = setting(False, "Let messages travel to another machine in the clear. Only within a network of your own.")
    to: tuple[PhoneNumber, ...] = setting(..., "Telephone numbers, as +919876543210.", min_length=1, max_length=20)
    priority: int = setting(1, "Alarms of this priority or worse are sent.", ge=1, le=3)
    timeout_s: float = setting(10.0, "How long the gateway may take.", unit="s", ge=1, le=60)

    @model_validator(mode="after")
    def _reasonable(self) -> Self:
        _check_url(self.url, allow_http=self.allow_http, example="https://sms.example.org/send")
        return self


class ApprovalSection(Section):
    """Which commands need a second person. What makes the depot safer (a stop, a lower limit, out of service) never waits."""

    commands: tuple[str, ...] = setting((), "Kinds of commands that wait for a second person, for example ResetPack. Empty: none.")
    expires_min: int = setting(60, "What nobody has approved after this time lapses.", unit="min", ge=1, le=1440)

    @field_validator("commands")
    @classmethod
    def _can_wait(cls, commands: tuple[str, ...]) -> tuple[str, ...]:
        from controller.approvals import MAY_WAIT

        for name in commands:
            if name not in MAY_WAIT:
                raise ValueError(f"{name!r} cannot be made to wait; those that can are {', '.join(MAY_WAIT)}")
        return commands


class NotifySection(Section):
    """Whom to tell of alarms and of what waits, beside the screens. Without this section nobody."""

    alarms_up_to: int = setting(2, "Alarms of this priority or worse are told; 1 is the worst, 0 tells none.", ge=0, le=3)
    cleared: bool = setting(True, "Also tell when such an alarm is over.")
    commands: bool = setting(False, "Tell how every command of a person or machine ended.")
    approvals: bool = setting(True, "Tell that a command waits for a second person.")
    audit_head: bool = setting(True, "Send the head of the audit trail once a day, to be kept elsewhere.")
    give_up_h: float = setting(24.0, "A message that did not arrive in this time is a dead letter, and an alarm.", unit="h", gt=0, le=168)
    webhook: WebhookSection | None = setting(None, "Web address that gets each message.")
    email: EmailSection | None = setting(None, "Mailboxes that get each message.")
    sms: SmsSection | None = setting(None, "Telephones that get the worst ones.")

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if self.webhook is None and self.email is None and self.sms is None:
            raise ValueError("notify names nobody: add notify.webhook, notify.email or notify.sms, or remove it")
        return self
