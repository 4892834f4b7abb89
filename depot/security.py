"""What the facts say of how stations prove who they are: per station, per certificate, and the newest that was noticed. Pure.

Names of the state, and how each fact changes it; :mod:`depot.state` holds a :class:`SecurityState` and asks :func:`after`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from depot import events as ev

NOTICED_KEPT = 500
"""Newest security events that are kept at hand; the journal has all of them."""
EXPIRED_KEPT = timedelta(days=400)
"""So long after its end a certificate is remembered."""


@dataclass(frozen=True, slots=True)
class StationAccess:
    """How one station comes in. ``profile`` None: as the settings say; ``upgrade``: the one that it is being moved to, since
    ``upgrade_at``. ``key``: the digest that it came with last, which counts while the settings still say ``key_over``;
    ``offered``: the digest of a key that is on its way."""

    profile: int | None = None
    upgrade: int | None = None
    upgrade_at: datetime | None = None
    key: str = ""
    key_over: str = ""
    key_at: datetime | None = None
    offered: str = ""
    offered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StationCertificate:
    """A certificate that the depot's authority signed. ``outcome``: what the station said of it, "" before that."""

    station_id: str
    serial: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    issued_at: datetime
    outcome: str = ""
    revoked_at: datetime | None = None
    use: str = ""
    """What it is for, where that is not the station itself."""

    def counts(self, now: datetime) -> bool:
        """Whether it is in date and not revoked."""
        return self.revoked_at is None and self.not_before <= now <= self.not_after


@dataclass(frozen=True, slots=True)
class Noticed:
    """A security event as it was journaled. ``reported_at``: by the station's clock."""

    seq: int
    at: datetime
    reported_at: datetime | None
    fact: ev.SecurityEventNoticed


@dataclass(frozen=True, slots=True)
class SecurityState:
    """``certificates`` by fingerprint, oldest first; ``noticed``: the newest, oldest first."""

    access: Mapping[str, StationAccess] = field(default_factory=dict)
    certificates: Mapping[str, StationCertificate] = field(default_factory=dict)
    noticed: tuple[Noticed, ...] = ()

    def of(self, station_id: str) -> StationAccess:
        """How a station comes in; the empty one where nothing was journaled."""
        return self.access.get(station_id, _NOTHING)

    def certificates_of(self, station_id: str) -> tuple[StationCertificate, ...]:
        """The certificates by which a station may come, oldest first."""
        return tuple(c for c in self.certificates.values() if c.station_id == station_id and not c.use)

    def by_serial(self, serial: str) -> StationCertificate | None:
        """The certificate with this serial number in hex."""
        return next((c for c in self.certificates.values() if c.serial == serial), None)

    def revoked(self, station_id: str) -> frozenset[str]:
        """Fingerprints of a station's certificates that count no more."""
        return frozenset(c.fingerprint for c in self.certificates.values() if c.station_id == station_id and c.revoked_at is not None)


_NOTHING = StationAccess()


class Severity(StrEnum):
    """How much a security event matters to the people of a depot."""

    ALARM = "alarm"
    NOTICE = "notice"
    ROUTINE = "routine"


_ALARMING = frozenset(
    {
        "TamperDetectionActivated", "SecurityLogWasCleared", "MemoryExhaustion", "AttemptedReplayAttacks", "FirmwareUpdated",
        "InvalidFirmwareSignature", "InvalidFirmwareSigningCertificate", "InvalidCentralSystemCertificate", "InvalidCsmsCertificate",
        "InvalidChargePointCertificate", "InvalidChargingStationCertificate", "MaintenanceLoginAccepted", "MaintenanceLoginFailed",
        "certificate_revoked", "certificate_of_another", "other_user", "downgrade",
    }
)  # fmt: skip
_ROUTINE = frozenset({"StartupOfTheDevice", "ResetOrReboot", "SettingSystemTime"})
"""The whitepaper calls these critical, for a station must report them at once; a depot sees them every day."""


def severity(kind: str) -> Severity:
    """Of a station's word, or of the depot's reason."""
    if kind in _ALARMING:
        return Severity.ALARM
    return Severity.ROUTINE if kind in _ROUTINE else Severity.NOTICE


def after(state: SecurityState, e: ev.Event, envelope: ev.Envelope) -> SecurityState:
    """The state with one fact more; the same for facts of other areas."""
    at = envelope.occurred_at
    match e:
        case ev.SecurityProfileSet():
            return _access(state, e.station_id, profile=e.profile, upgrade=None, upgrade_at=None)
        case ev.SecurityUpgradeOrdered():
            return _access(state, e.station_id, upgrade=e.profile, upgrade_at=at)
        case ev.SecurityUpgradeWithdrawn():
            return _access(state, e.station_id, upgrade=None, upgrade_at=None)
        case ev.StationKeyOffered():
            return _access(state, e.station_id, offered=e.digest, offered_at=at)
        case ev.StationKeyOfferWithdrawn():
            return _access(state, e.station_id, offered="", offered_at=None)
        case ev.StationKeySet():
            known = state.of(e.station_id)
            left = {"offered": "", "offered_at": None} if known.offered == e.digest else {}
            return _access(state, e.station_id, key=e.digest, key_over=e.over, key_at=at, **left)
        case ev.CertificateIssued():
            made = StationCertificate(e.station_id, e.serial, e.fingerprint, e.not_before, e.not_after, at, use=e.use)
            kept = {name: c for name, c in state.certificates.items() if at - c.not_after < EXPIRED_KEPT}
            return replace(state, certificates={**kept, e.fingerprint: made})
        case ev.CertificateAnswered():
            return _certificate(state, e.fingerprint, outcome=e.outcome)
        case ev.CertificateRevoked():
            return _certificate(state, e.fingerprint, revoked_at=at)
        case ev.SecurityEventNoticed():
            noticed = (*state.noticed, Noticed(envelope.seq, at, envelope.reported_at, e))
            return replace(state, noticed=noticed[-NOTICED_KEPT:])
    return state


FACTS: tuple[type[ev.Event], ...] = (
    ev.SecurityProfileSet, ev.SecurityUpgradeOrdered, ev.SecurityUpgradeWithdrawn, ev.StationKeyOffered, ev.StationKeyOfferWithdrawn,
    ev.StationKeySet, ev.CertificateIssued, ev.CertificateAnswered, ev.CertificateRevoked, ev.SecurityEventNoticed,
)  # fmt: skip
"""What :func:`after` knows."""


def _access(state: SecurityState, station_id: str, **changes: object) -> SecurityState:
    return replace(state, access={**state.access, station_id: replace(state.of(station_id), **changes)})  # type: ignore[arg-type]


def _certificate(state: SecurityState, fingerprint: str, **changes: object) -> SecurityState:
    known = state.certificates.get(fingerprint)
    if known is None:
        return state
    return replace(state, certificates={**state.certificates, fingerprint: replace(known, **changes)})  # type: ignore[arg-type]
