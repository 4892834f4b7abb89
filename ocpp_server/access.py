"""Who is let in: one table for the security profiles 0 to 3 of the OCPP security whitepaper. Pure.

    what came (transport, password, certificate) + what is set for the station (:class:`Access`) --admit--> Admitted | Refused

| profile | the connection | who the station is |
|---|---|---|
| 0 | plain | nobody asks (for loopback and demonstrations) |
| 1 | plain | HTTP Basic: the user is the station id, the password its key |
| 2 | TLS | HTTP Basic |
| 3 | TLS | a client certificate whose common name is the station id |

A station comes in by the profile that is set for it and by no other: not by a lower one (downgrade), not by a higher one
that nobody ordered. While an upgrade is under way it may also come by the profile that it is being moved to; once it has,
the book makes that one the only one. What is wrong is for the operator's eyes: the station hears the same 401 always.

A station's key is machine-made and long, so a keyed HMAC-SHA-256 serves: it costs microseconds when a whole depot
reconnects at once, where a password hash for people would cost seconds each.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

PROFILES = (0, 1, 2, 3)
KEYS_MOST = 2
"""Digests that are compared for every knock: the key in use, and one that is on its way to the station."""


class Reason(StrEnum):
    """Why somebody is not let in."""

    UNKNOWN_STATION = "unknown_station"
    OTHER_USER = "other_user"
    NO_PASSWORD = "no_password"  # noqa: S105  # a reason's name
    WRONG_PASSWORD = "wrong_password"  # noqa: S105  # likewise
    NO_CERTIFICATE = "no_certificate"
    CERTIFICATE_OF_ANOTHER = "certificate_of_another"
    CERTIFICATE_OF_OTHER_OWNER = "certificate_of_other_owner"
    CERTIFICATE_NOT_IN_DATE = "certificate_not_in_date"
    CERTIFICATE_REVOKED = "certificate_revoked"
    DOWNGRADE = "downgrade"
    OTHER_PROFILE = "other_profile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What is set for one station. ``profile``: the one it must come by; ``upgrade``: the one that it is being moved to.
    ``keys``: digests of the passwords that count (:func:`keyed_digest`), at most :data:`KEYS_MOST`. ``organization``: what
    its certificate must name as its owner; "": anybody."""

    station_id: str
    profile: int
    upgrade: int | None = None
    keys: tuple[str, ...] = ()
    organization: str = ""
    revoked: frozenset[str] = frozenset()
    """SHA-256 fingerprints of certificates that count no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCertificate:
    """What a client certificate says that TLS has found to be signed by a trusted authority. ``fingerprint``: SHA-256 of
    its DER form, hex. ``serial``: hex, as in the books of the authority."""

    common_name: str
    organization: str
    serial: str
    fingerprint: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """What came: by TLS or plain, with which Basic user (None: no readable header) and digests of what its password may
    mean, and which certificate."""

    station_id: str
    tls: bool = False
    user_fits: bool | None = None
    digests: tuple[str, ...] = ()
    certificate: PeerCertificate | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """By which profile, and with what: the digest that fitted, or the certificate."""

    station_id: str
    profile: int
    digest: str | None = None
    certificate: PeerCertificate | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    station_id: str
    reason: Reason


class AccessBook(Protocol):
    """Who is set up how. All of it at once: nothing in a handshake waits."""

    def access(self, station_id: str) -> Access | None:
        """None: nobody knows the station."""

    def digest(self, station_id: str, password: str) -> str:
        """The keyed digest of a password; see :func:`keyed_digest`."""

    def admitted(self, admitted: Admitted) -> None:
        """Somebody came in so. From here on a lower profile or an older key may be closed."""

    def refused(self, refused: Refused, remote: str) -> None:
        """Somebody was not let in."""

    def tls_failed(self, reason: str, remote: str) -> None:
        """A TLS handshake ended without a connection; who it was is not known."""


_NOBODY = "0" * 64


def admit(access: Access | None, knock: Knock, *, now: datetime) -> Admitted | Refused:
    """The table of this module. The same work is done for a station that nobody knows."""
    keys = (*(access.keys if access is not None else ()), _NOBODY, _NOBODY)[:KEYS_MOST]
    fits = [key for key in keys for given in _padded(knock.digests) if hmac.compare_digest(key, given) and key != _NOBODY]
    if access is None:
        return Refused(knock.station_id, Reason.UNKNOWN_STATION)
    password = fits[0] if fits and knock.user_fits else None
    why = _against_anybody(access, knock, now)
    if why is not None:
        return Refused(knock.station_id, why)
    wanted = (access.profile,) if access.upgrade is None else (access.upgrade, access.profile)
    for profile in wanted:
        why = _lacks(profile, knock, password)
        if why is None:
            return Admitted(knock.station_id, profile, password, knock.certificate)
    assert why is not None
    return Refused(knock.station_id, why)


def _padded(digests: tuple[str, ...]) -> tuple[str, ...]:
    return (*digests, "", "")[:KEYS_MOST]


def _against_anybody(access: Access, knock: Knock, now: datetime) -> Reason | None:
    """What is wrong whatever the profile: somebody else's name or certificate. What TLS said of the dates is asked again,
    for a resumed TLS session does not check them."""
    if knock.user_fits is False:
        return Reason.OTHER_USER
    certificate = knock.certificate
    if certificate is None:
        return None
    if certificate.common_name != access.station_id:
        return Reason.CERTIFICATE_OF_ANOTHER
    if access.organization and certificate.organization != access.organization:
        return Reason.CERTIFICATE_OF_OTHER_OWNER
    if not certificate.not_before <= now <= certificate.not_after:
        return Reason.CERTIFICATE_NOT_IN_DATE
    return Reason.CERTIFICATE_REVOKED if certificate.fingerprint in access.revoked else None


def _lacks(profile: int, knock: Knock, password: str | None) -> Reason | None:
    """What the knock lacks for this very profile; None where it fits."""
    if profile >= 2 and not knock.tls:
        return Reason.DOWNGRADE
    if profile < 2 and knock.tls:
        return Reason.OTHER_PROFILE
    if profile == 0:
        return None
    if profile == 3:
        if knock.certificate is not None:
            return None
        return Reason.NO_CERTIFICATE if password is None else Reason.DOWNGRADE
    if password is not None:
        return None
    return Reason.NO_PASSWORD if knock.user_fits is None else Reason.WRONG_PASSWORD


def keyed_digest(key: bytes, station_id: str, password: str) -> str:
    """The digest that :func:`admit` compares; bound to the station, so that it fits no other."""
    return hmac.new(key, f"{station_id}\0{password}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def meanings(password: bytes) -> tuple[str, ...]:
    """The two things that the password of a Basic header may mean. OCPP-J 1.6 has the key's bytes there, which are written
    as hex digits everywhere else; most stations send the digits, some of them in capitals."""
    try:
        text = password.decode()
    except UnicodeDecodeError:
        return "", password.hex()
    small = spelled(text)
    return text, small if small != text else password.hex()


def spelled(key: str) -> str:
    """A key as its digest is made of: hex digits are small; what is no long row of hex digits stays as it is."""
    small = key.lower()
    return small if len(key) > 20 and not set(small) - set("0123456789abcdef") else key


@dataclass(frozen=True, slots=True)
class KeyedCredentials:
    """A book that does not change: station id -> digest of its password under ``key``. Those in ``open_stations`` come in by
    profile 0, the others by the one in ``profiles``, else by profile 1."""

    key: bytes
    digests: Mapping[str, str]
    open_stations: frozenset[str] = frozenset()
    profiles: Mapping[str, int] = field(default_factory=dict)

    def access(self, station_id: str) -> Access | None:
        if station_id in self.open_stations:
            return Access(station_id=station_id, profile=0)
        digest, profile = self.digests.get(station_id), self.profiles.get(station_id, 1)
        if digest is None and profile != 3:
            return None
        return Access(station_id=station_id, profile=profile, keys=() if digest is None else (digest,))

    def digest(self, station_id: str, password: str) -> str:
        return keyed_digest(self.key, station_id, password)

    def admitted(self, admitted: Admitted) -> None: ...
    def refused(self, refused: Refused, remote: str) -> None: ...
    def tls_failed(self, reason: str, remote: str) -> None: ...


class OpenDoor:
    """A book in which everybody stands with profile 0, with any password or none: for a demo on loopback, chosen by name."""

    def access(self, station_id: str) -> Access | None:
        return Access(station_id=station_id, profile=0)

    def digest(self, station_id: str, password: str) -> str:
        return ""

    def admitted(self, admitted: Admitted) -> None: ...
    def refused(self, refused: Refused, remote: str) -> None: ...
    def tls_failed(self, reason: str, remote: str) -> None: ...


def knock_of(
    station_id: str, book: AccessBook, basic: bytes | None, *, tls: bool = False, certificate: PeerCertificate | None = None
) -> Knock:
    """A knock with what ``user:password`` of its Basic header means. The password is digested even where the user is wrong."""
    head = f"{station_id}:".encode()
    fits = None if basic is None else basic.startswith(head)
    given: Sequence[str] = meanings(basic[len(head) :] if basic is not None and fits else b"")
    digests = tuple(book.digest(station_id, password) for password in given)
    return Knock(station_id=station_id, tls=tls, user_fits=fits, digests=digests if fits else (), certificate=certificate)
