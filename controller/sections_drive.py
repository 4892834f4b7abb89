"""The sections ``drive`` and ``privacy`` of the settings file: the drivers' pages, and how long contact data are kept."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from pydantic import field_validator, model_validator

from controller.sections import Port, Section, http_address, setting

if TYPE_CHECKING:
    from controller.contacts_room import Retention


class DriveSection(Section):
    """Pages for drivers' phones, on a port of their own that may stand behind a tunnel. Without this section there are none."""

    host: str = setting("127.0.0.1", "Address on which drivers' pages listen; a tunnel or proxy on this machine needs no other.")
    port: Port = setting(8085, "Port of it.", ge=1)
    public_url: str = setting(
        "",
        "How phones reach it, like https://charge.depot.example; it stands in the QR codes. Needed where host is not this machine's own.",
    )
    address_header: str = setting(
        "", "Header in which the tunnel or proxy tells the phone's address, like CF-Connecting-IP. Without one the peer counts.",
        pattern=r"^([A-Za-z0-9-]{1,40})?$",
    )  # fmt: skip
    cookie_days: int = setting(180, "How long a phone is known again after its last visit.", unit="d", ge=1, le=400)
    mandates_per_hour: int = setting(60, "Mandates that all phones together may ask for.", unit="1/h", ge=1, le=10_000)

    @field_validator("public_url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        return http_address(url, "https://charge.depot.example")

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if not self.public_url and self.host in ("0.0.0.0", "::"):  # noqa: S104  # looked at, not bound
            raise ValueError(f"host = {self.host} is no address that a phone can call: set public_url, too")
        return self

    @property
    def tls(self) -> bool:
        """Whether phones come over HTTPS, so that cookies are for it alone."""
        return self.public_url.startswith("https://")

    def reached_at(self, port: int) -> str:
        """The address in the QR codes, without a slash at its end; ``port``: with the offset."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{port}"

    @property
    def names(self) -> tuple[str, ...]:
        """Host names by which browsers may call."""
        name = urlsplit(self.public_url).hostname if self.public_url else None
        return tuple(n for n in (name, self.host, "127.0.0.1", "localhost") if n)


class PrivacySection(Section):
    """How long what says who a driver is stays. Invoices and ledger stay as long as the law wants them, under the driver's id."""

    contact_days: int = setting(180, "Contact data are erased so long after they were last needed.", unit="d", ge=1, le=3650)
    message_days: int = setting(30, "Personal parts of the gateway's messages are taken out after this.", unit="d", ge=1, le=3650)

    def to_retention(self) -> Retention:
        """For the room of contact data."""
        from controller.contacts_room import Retention

        return Retention(contact=timedelta(days=self.contact_days), message=timedelta(days=self.message_days))
