"""Network connection profiles of stations (OCPP 2.x B09, B10): by which addresses each may reach a central system, slot by
slot, and in which order it tries them. Pure.

    SetNetworkProfile accepted --> the slot holds it        NetworkConfigurationPriority set --> tried in this order

What is kept says no secret: of an APN and a VPN only which. What a station held before this depot spoke to it is not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import urlsplit

MAX_SLOT = 99
"""Slots are numbered by the station; none is known that has more."""
INTERFACES = ("Wired0", "Wired1", "Wired2", "Wired3", "Wireless0", "Wireless1", "Wireless2", "Wireless3", "Any")
"""OCPPInterfaceEnumType; ``Any`` is of 2.1."""


@dataclass(frozen=True, slots=True)
class NetworkProfile:
    """One profile. ``url``: without the station's id, which it appends. ``apn``, ``vpn``: names only, "" for none;
    ``identity`` (2.1) "": the station's own."""

    url: str
    security_profile: int
    interface: str = "Wired0"
    message_timeout_s: int = 30
    apn: str = ""
    vpn: str = ""
    identity: str = ""


@dataclass(frozen=True, slots=True)
class StationNetwork:
    """What one station has accepted. ``priority``: slots in the order in which they are tried, () where nobody said."""

    slots: Mapping[int, NetworkProfile] = field(default_factory=dict)
    priority: tuple[int, ...] = ()
    changed_at: datetime | None = None

    def with_slot(self, slot: int, profile: NetworkProfile, at: datetime) -> StationNetwork:
        return replace(self, slots={**self.slots, slot: profile}, changed_at=at)

    def with_priority(self, priority: Sequence[int], at: datetime) -> StationNetwork:
        return replace(self, priority=tuple(priority), changed_at=at)


@dataclass(frozen=True, slots=True)
class OwnDoors:
    """Where this depot awaits stations. ``hosts``: names and addresses under which they reach it, in small letters; a port is
    None where that door is shut."""

    hosts: frozenset[str]
    plain_port: int | None
    tls_port: int | None

    def against(self, url: str, security_profile: int) -> str:
        """Why a station that calls ``url`` by this security profile would not get here; "" where it would."""
        try:
            parts = urlsplit(url)
            port = parts.port or {"ws": 80, "wss": 443}.get(parts.scheme)
        except ValueError:
            return f"{url[:100]!r} is no address"
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            return "an address starts with ws:// or wss:// and a host"
        if (parts.scheme == "wss") != (security_profile >= 2):
            return f"security profile {security_profile} goes by {'wss' if security_profile >= 2 else 'ws'}://"
        own = self.tls_port if parts.scheme == "wss" else self.plain_port
        if own is None:
            return f"this depot has no {parts.scheme}:// port"
        if port != own:
            return f"this depot awaits stations at port {own}, not {port}"
        if parts.path.rstrip("/") != "/ocpp":
            return "the path of this depot is /ocpp; the station appends its id"
        if parts.hostname.lower() not in self.hosts:
            return f"{parts.hostname} is not known to be this depot ({', '.join(sorted(self.hosts)) or 'no name is configured'})"
        return ""


def without_userinfo(url: str) -> str:
    """An address without what stands before its @: some put passwords there."""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}" if mark else url
