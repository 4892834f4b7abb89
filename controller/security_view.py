"""What pages and API show of how stations prove who they are: shapes, and the pure builders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from controller.access_book import DepotAccess
from depot.security import Noticed, SecurityState, StationCertificate, severity


class StationSecurityRow(Struct, frozen=True, kw_only=True):
    """One station. ``security_profile``: the one that it must come by; ``upgrade_to``: the one that it is being moved to, since
    ``upgrade_since``. ``came_by``: the profile by which it came last in this process. ``key_offered_since``: a new key is on its
    way. ``certificate_serial``: of the newest certificate that counts."""

    station_id: str
    security_profile: int
    least_profile: int
    upgrade_to: int | None
    upgrade_since: datetime | None
    came_by: int | None
    came_at: datetime | None
    has_key: bool
    key_since: datetime | None
    key_offered_since: datetime | None
    certificate_serial: str | None
    certificate_until: datetime | None


class SecurityView(Struct, frozen=True):
    """Stations, and what was counted since the start: source/kind -> times."""

    stations: list[StationSecurityRow]
    counted: dict[str, int]


class SecurityEventRow(Struct, frozen=True, kw_only=True):
    """``source``: ``station`` or ``depot``; ``severity``: alarm, notice, routine. ``unlisted``: so many before it were only
    counted."""

    seq: int
    at: datetime
    reported_at: datetime | None
    station_id: str
    source: str
    kind: str
    severity: str
    detail: str
    remote: str
    unlisted: int


class SecurityEventsView(Struct, frozen=True):
    """Newest first. ``before``: give it to get the next page; null at the end."""

    events: list[SecurityEventRow]
    before: int | None


class CertificateRow(Struct, frozen=True, kw_only=True):
    """A certificate that the depot's authority signed. ``status``: ``valid``, ``not_yet_valid``, ``expired`` or ``revoked``.
    ``answer``: what the station said of it: ``accepted``, another outcome, "" while it has not. ``in_use``: it came with it."""

    serial: str
    station_id: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    issued_at: datetime
    revoked_at: datetime | None
    status: str
    answer: str
    in_use: bool
    use: str = ""
    """What it is for, where that is not the station itself."""


class AuthorityRow(Struct, frozen=True, kw_only=True):
    """An authority's certificate, or the port's. ``pem``: public. The hashes name it in OCPP (CertificateHashDataType, SHA-256)."""

    common_name: str
    serial: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    pem: str = ""
    issuer_name_hash: str = ""
    issuer_key_hash: str = ""


class CertificatesView(Struct, frozen=True):
    """``authority`` and ``port``: null without a TLS port. ``certificates``: newest first."""

    authority: AuthorityRow | None
    port: AuthorityRow | None
    certificates: list[CertificateRow]
    v2g_authority: AuthorityRow | None = None


class HashRow(Struct, frozen=True):
    """A certificate as OCPP names it; hex."""

    hash_algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str


class InstalledRow(Struct, frozen=True):
    """A certificate that a station has installed, as OCPP names it; hex. ``own``: it is the depot's root. ``certificate_type``: as the
    station says; ``children``: of its V2G chain, from the second on."""

    hash_algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str
    own: bool
    certificate_type: str
    children: list[HashRow]


class InstalledView(Struct, frozen=True):
    """What a station answered just now: ``outcome`` as of any call, ``status`` in its own words."""

    station_id: str
    use: str
    outcome: str
    status: str
    certificates: list[InstalledRow]


def security_view(
    stations: Iterable[str], book: DepotAccess, state: SecurityState, counted: Mapping[tuple[str, str], int], now: datetime
) -> SecurityView:
    """Rows in the order of ``stations``; those that the book does not let in at all are left out."""
    rows = [row for station_id in stations if (row := _station(station_id, book, state, now)) is not None]
    return SecurityView(rows, {f"{source}/{kind}": count for (source, kind), count in sorted(counted.items())})


def _station(station_id: str, book: DepotAccess, state: SecurityState, now: datetime) -> StationSecurityRow | None:
    access, base = book.access(station_id), book.base(station_id)
    if access is None or base is None:
        return None
    facts, came = book.facts(station_id), book.came.get(station_id)
    newest = next((c for c in reversed(state.certificates_of(station_id)) if c.counts(now)), None)
    return StationSecurityRow(
        station_id=station_id,
        security_profile=access.profile,
        least_profile=base.profile,
        upgrade_to=access.upgrade,
        upgrade_since=facts.upgrade_at if access.upgrade is not None else None,
        came_by=None if came is None else came.profile,
        came_at=None if came is None else came.at,
        has_key=bool(book.key_of(base, facts)),
        key_since=facts.key_at,
        key_offered_since=facts.offered_at if facts.offered else None,
        certificate_serial=None if newest is None else newest.serial,
        certificate_until=None if newest is None else newest.not_after,
    )


def events_view(noticed: Sequence[Noticed], *, station: str, limit: int, before: int) -> SecurityEventsView:
    """``station`` "": all of them. ``before`` 0: from the newest."""
    found = [n for n in reversed(noticed) if station in ("", n.fact.station_id) and (not before or n.seq < before)]
    rows = [
        SecurityEventRow(
            seq=n.seq, at=n.at, reported_at=n.reported_at, station_id=n.fact.station_id, source=n.fact.source, kind=n.fact.kind,
            severity=severity(n.fact.kind).value, detail=n.fact.detail, remote=n.fact.remote, unlisted=n.fact.unlisted,
        )
        for n in found[:limit]
    ]  # fmt: skip
    return SecurityEventsView(rows, rows[-1].seq if len(found) > limit else None)


def certificate_row(certificate: StationCertificate, *, in_use: str | None, now: datetime) -> CertificateRow:
    """``in_use``: the fingerprint with which the station came last."""
    c = certificate
    status = (
        "revoked" if c.revoked_at is not None else "expired" if now > c.not_after else "not_yet_valid" if now < c.not_before else "valid"
    )
    return CertificateRow(
        serial=c.serial, station_id=c.station_id, fingerprint=c.fingerprint, not_before=c.not_before, not_after=c.not_after,
        issued_at=c.issued_at, revoked_at=c.revoked_at, status=status, answer=c.outcome, in_use=c.fingerprint == in_use, use=c.use,
    )  # fmt: skip
