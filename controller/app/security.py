"""How stations prove who they are, put together: the access book, the authority, the TLS port, and their rooms."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.access_book import Base, DepotAccess
from controller.alarm_desk import AlarmDesk
from controller.certificates import Certificates
from controller.core import Core
from controller.port_certificate import PortCertificate, authority_path, keep_authority, read_authority
from controller.raw_calls import RawCalls
from controller.settings import Settings
from controller.station_security import Doors, Stations, StationSecurity
from controller.yard import Yard


@dataclass(frozen=True, slots=True)
class Security:
    """``book``: who may come how, for the central system. It is also the :class:`~depot.ports.SecurityDesk` of that.
    ``context``: of the TLS port; None where there is none."""

    book: DepotAccess
    context: ssl.SSLContext | None
    doors: Doors
    _keys: StationSecurity
    _certificates: Certificates

    async def noticed(self, station_id: str, kind: str, detail: str, reported_at: datetime | None) -> None:
        await self._keys.noticed(station_id, kind, detail, reported_at)

    async def sign_wanted(self, station_id: str, csr: str, use: str = "", number: int | None = None) -> bool:
        return await self._certificates.sign_wanted(station_id, csr, use, number)

    def sign_answered(self, station_id: str) -> None:
        self._certificates.sign_answered(station_id)

    def note(self, station_id: str, kind: str, *, detail: str = "") -> None:
        """Something that matters for security was noticed."""
        self._keys.note(station_id, kind, detail=detail)

    def attach(self, stations: Stations, raw: RawCalls) -> None:
        """The charger side is there, and who sends it what people make up."""
        self._keys.stations = self._certificates.stations = stations
        self._keys.calls = raw
        raw.heard.append(self._keys.heard)
        raw.announced.append(self._certificates.announced)


def add_security(core: Core, settings: Settings, alarms: AlarmDesk, *, secret: bytes) -> Security:
    """Add the rooms. Raises :class:`~controller.secrets.SecretError` for keys and certificates that cannot be used."""
    yard, tls, folder, depot_id = core.yard, settings.ocpp.tls, settings.storage.path, settings.depot.id
    authority = port = None
    if tls is not None:
        now = yard.clock.now()
        name = f"{settings.depot.name or depot_id} root"[:64]
        authority = keep_authority(authority_path(folder, depot_id), name=name, organization=tls.owner, now=now)
        port = PortCertificate(tls, authority, path=folder / f"{depot_id}-port.pem", now=now)
    book = DepotAccess(
        key=secret,
        base=base_of(settings, yard),
        state=lambda: yard.state.security,
        clock=yard.clock,
        organization=tls.owner if tls is not None else "",
    )
    doors = Doors(
        plain=settings.ocpp.plain,
        tls=port is not None,
        unlocked=settings.ocpp.allow_open,
        foreign=port is not None and port.foreign,
        plain_url=f"ws://{in_url(settings.ocpp.host)}:{settings.ocpp_port}/ocpp" if settings.ocpp.host not in ANY_HOST else "",
        tls_url=f"wss://{in_url(tls.names[0])}:{settings.ocpp_tls_port}/ocpp" if tls is not None and tls.names else "",
    )
    v2g = None
    if settings.contracts.v2g_authority is not None:
        v2g = read_authority(settings.contracts.v2g_authority)
    keys = StationSecurity(yard, book, secret=secret, doors=doors, settle=core.orders.settle)
    certificates = Certificates(
        yard,
        book,
        authority=authority,
        v2g=v2g,
        port=port,
        owner=tls.owner if tls is not None else "",
        days=tls.station_days if tls is not None else 0,
        renew=timedelta(days=tls.renew_days if tls is not None else 0),
        note=keys.note,
        settle=core.orders.settle,
    )
    for room in (keys, certificates):
        core.add(room)
        alarms.sources.append(room)
    return Security(book, port.context if port is not None else None, doors, keys, certificates)


ANY_HOST = ("0.0.0.0", "::", "")  # noqa: S104  # looked at, not bound


def in_url(host: str) -> str:
    """A name or address as it stands in one."""
    return f"[{host}]" if ":" in host else host


def base_of(settings: Settings, yard: Yard) -> Callable[[str], Base | None]:
    """What settings and registry say of the stations that belong to the depot now."""
    of_file = {s.id: Base(settings.security_profile(s), s.key_hash or "") for s in settings.station}
    least = settings.least_profile
    members: tuple[object, frozenset[str]] = (None, frozenset())

    def base(station_id: str) -> Base | None:
        nonlocal members
        if members[0] is not yard.spec:  # it grows while the depot runs
            members = (yard.spec, frozenset(s.station_id for s in yard.spec.stations))
        if station_id not in members[1]:
            return None
        if station_id in of_file:
            return of_file[station_id]
        declared = yard.state.declared_stations.get(station_id)
        unlocked = settings.ocpp.allow_open and yard.state.security.of(station_id).profile == 0  # a person said so, and may
        return Base(0 if unlocked else least, declared.key_hash if declared is not None else "")

    return base
