"""Who may talk to the limit server, and what he may do: networks, roles, settings. Values and pure functions.

    plain port   the network that a master comes from says it: writers, readers, nobody else
    TLS port     the certificate says it: a role in the extension 1.3.6.1.4.1.50316.802.1 (Secure SunSpec Modbus)

| role | reads | writes |
|---|---|---|
| ReadOnlySunSpec | yes | no |
| GridServiceSunSpec | yes | yes |
| NetworkAdministratorSunSpec | yes | no: there are no network settings among these registers |
| SuperAdministratorSunSpec | yes | yes |
| none, an unknown one, or more than one | no | no |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final

from grid import GridError

Network = IPv4Network | IPv6Network

REQUESTS_PER_S: Final = 200.0
WRITES_SHARE: Final = 0.25
"""Writes have a rate of their own, this share of that of reads: a command never waits behind reads of other connections."""


class LimitServerError(GridError):
    """A setting that cannot be right (drawn in :mod:`grid`)."""


class Role(StrEnum):
    """The roles of Secure SunSpec Modbus, as they stand in a certificate."""

    READ_ONLY = "ReadOnlySunSpec"
    GRID_SERVICE = "GridServiceSunSpec"
    NETWORK_ADMINISTRATOR = "NetworkAdministratorSunSpec"
    SUPER_ADMINISTRATOR = "SuperAdministratorSunSpec"

    @property
    def may_write(self) -> bool:
        """Whether it may set limits and heartbeats."""
        return self in (Role.GRID_SERVICE, Role.SUPER_ADMINISTRATOR)


def networks_of(name: str, texts: tuple[str, ...]) -> tuple[Network, ...]:
    """The networks that a setting names. Raises :class:`LimitServerError`."""
    try:
        return tuple(ip_network(text) for text in texts)
    except ValueError as error:
        raise LimitServerError(f"limit server {name}: {error}; write networks like 10.20.0.0/24 or 10.20.0.7") from None


def among(host: str, networks: tuple[Network, ...]) -> bool:
    """Whether the address lies in one of the networks. An IPv4 address in IPv6's clothes counts as what it is."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitTlsSettings:
    """The TLS port beside the plain one. ``certificate`` and ``key``: what it shows; ``authorities``: whose client
    certificates it takes; all PEM files, read again when they change. ``networks``: from where masters may come at all.
    Port 0: a free one."""

    certificate: Path
    key: Path
    authorities: Path
    port: int = 5802
    networks: tuple[str, ...] = ("0.0.0.0/0", "::/0")
    _networks: tuple[Network, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise LimitServerError("limit server tls: port must lie between 0 and 65535")
        object.__setattr__(self, "_networks", networks_of("tls networks", self.networks))

    def lets_in(self, host: str) -> bool:
        """Whether a master at this address may knock."""
        return among(host, self._networks)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitServerSettings:
    """``writers``: networks whose masters may command; ``readers``: those that may only read; others are not let in.
    ``idle_s``: a connection that asks nothing for so long is closed. ``requests_per_s``: reads of one peer (an address) a
    second, 0 without a limit; what is more waits. ``plain`` False: there is the TLS port only. Port 0: a free one."""

    host: str = "127.0.0.1"
    port: int = 5020
    unit_ids: frozenset[int] = frozenset({1, 255})
    writers: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    readers: tuple[str, ...] = ()
    max_connections: int = 10
    max_per_peer: int = 4
    requests_per_s: float = REQUESTS_PER_S
    idle_s: float = 120.0
    plain: bool = True
    tls: LimitTlsSettings | None = None
    model: str = "Depot controller"
    version: str = ""
    serial: str = ""
    _writers: tuple[Network, ...] = field(init=False, repr=False)
    _readers: tuple[Network, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.unit_ids or not all(1 <= unit <= 255 for unit in self.unit_ids):
            raise LimitServerError(f"limit server unit_ids are {sorted(self.unit_ids)}; give one or more between 1 and 255")
        if not 0 <= self.port <= 65_535 or self.max_connections < 1 or self.idle_s <= 0:
            raise LimitServerError("limit server: port must lie between 0 and 65535, max_connections and idle_s above 0")
        if self.max_per_peer < 1 or self.requests_per_s < 0:
            raise LimitServerError("limit server: max_per_peer must be above 0, requests_per_s not below 0")
        if not self.plain and self.tls is None:
            raise LimitServerError("limit server: without the plain port there must be a TLS port")
        object.__setattr__(self, "_writers", networks_of("writers", self.writers))
        object.__setattr__(self, "_readers", networks_of("readers", self.readers))

    def may_write(self, host: str) -> bool | None:
        """Whether a master at this address may write on the plain port; None: it is not let in."""
        if among(host, self._writers):
            return True
        return False if among(host, self._readers) else None
