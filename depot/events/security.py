"""Facts of how stations prove who they are: security profiles, keys, certificates, and what was noticed about security."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from depot.events.envelope import Event


@dataclass(frozen=True, slots=True)
class SecurityProfileSet(Event):
    """The station comes by this OCPP security profile from now on, and by no other. ``because``: ``ordered`` by a person, or
    ``reached``: it came by the one that it was to be moved to."""

    TYPE: ClassVar[str] = "security.profile_set"
    station_id: str
    profile: int
    because: str = "ordered"


@dataclass(frozen=True, slots=True)
class SecurityUpgradeOrdered(Event):
    """The station is to be moved to a higher profile; until it has come by it, it may also come by the one that holds."""

    TYPE: ClassVar[str] = "security.upgrade_ordered"
    station_id: str
    profile: int


@dataclass(frozen=True, slots=True)
class SecurityUpgradeWithdrawn(Event):
    """The station is not moved: it said no, or a person did."""

    TYPE: ClassVar[str] = "security.upgrade_withdrawn"
    station_id: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class StationKeyOffered(Event):
    """A new key is on its way to the station; until it comes with it, the one before counts, too. ``digest``: keyed, see
    ``ocpp_server.access.keyed_digest``; the key itself stands nowhere."""

    TYPE: ClassVar[str] = "security.key_offered"
    station_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class StationKeyOfferWithdrawn(Event):
    """The key that was on its way does not count: the station has refused it."""

    TYPE: ClassVar[str] = "security.key_offer_withdrawn"
    station_id: str


@dataclass(frozen=True, slots=True)
class StationKeySet(Event):
    """The station came with its new key: no other counts from now on. ``over``: the digest that the settings or the registry
    had then; where they have another one now, theirs holds."""

    TYPE: ClassVar[str] = "security.key_set"
    station_id: str
    digest: str
    over: str = ""


@dataclass(frozen=True, slots=True)
class CertificateIssued(Event):
    """A certificate was signed for a station. ``serial`` and ``fingerprint`` (SHA-256) in hex. ``use`` "": by the depot's authority,
    for the station itself; else what it is for, signed by the authority of V2G certificates."""

    TYPE: ClassVar[str] = "security.certificate_issued"
    VERSION: ClassVar[int] = 2
    station_id: str
    serial: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    use: str = ""


@dataclass(frozen=True, slots=True)
class CertificateAnswered(Event):
    """What the station said of the certificate that it was sent: ``accepted``, ``refused``, or ``unknown``."""

    TYPE: ClassVar[str] = "security.certificate_answered"
    fingerprint: str
    outcome: str


@dataclass(frozen=True, slots=True)
class CertificateRevoked(Event):
    """The certificate counts no more, from now on and for ever."""

    TYPE: ClassVar[str] = "security.certificate_revoked"
    station_id: str
    serial: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class SecurityEventNoticed(Event):
    """Something that matters for security. ``source``: ``station``, which reported it, or ``depot``, which saw it at its door.
    ``kind``: the station's word (whitepaper, list of security events), or the depot's reason. ``unlisted``: so many more of
    the same source were only counted before this one."""

    TYPE: ClassVar[str] = "security.event_noticed"
    station_id: str
    source: str
    kind: str
    detail: str = ""
    remote: str = ""
    unlisted: int = 0
