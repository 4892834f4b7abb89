"""Contracts of vehicles (ISO 15118 Plug & Charge): who signs them, what a charger asks about them, and the desk that answers.

    Authorize with a contract certificate    --ContractDesk.contract-->  CertificateStatus
    GetCertificateStatus, …ChainStatus (2.1) --status_of, chain-->       what the responder of its authority says
    Get15118EVCertificate                    --ev_certificate-->         an :class:`EvCertificates` provider, where one is configured

Pure; times are aware UTC. Nothing here holds a private key, and no certificate of a contract is ever journaled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

MAX_ROOTS = 100
"""Trusted authorities of one depot."""


class CertificateStatus(StrEnum):
    """OCPP 2.x AuthorizeCertificateStatusEnumType."""

    ACCEPTED = "Accepted"
    SIGNATURE_ERROR = "SignatureError"
    EXPIRED = "CertificateExpired"
    REVOKED = "CertificateRevoked"
    NONE = "NoCertificateAvailable"
    CHAIN = "CertChainError"
    CANCELLED = "ContractCancelled"


class RootUse(StrEnum):
    """What an authority is trusted for: contracts (``mo``: mobility operators), or all of Plug & Charge (``v2g``)."""

    MO = "mo"
    V2G = "v2g"


@dataclass(frozen=True, slots=True)
class TrustedRoot:
    """An authority whose contracts the depot honours. ``fingerprint``: SHA-256 of its DER form, hex; it is public."""

    fingerprint: str
    use: RootUse
    pem: str
    common_name: str
    serial: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class StatusTarget:
    """One certificate whose status is asked (OCPP OCSPRequestDataType). Hashes and ``serial`` in hex; ``algorithm``: SHA256,
    SHA384 or SHA512; ``urls``: where to ask, the first that answers counts."""

    algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial: str
    urls: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Which certificate it is, however it was spelled."""
        return self.algorithm, self.issuer_name_hash.lower(), self.issuer_key_hash.lower(), self.serial.lower().lstrip("0")


class Revocation(StrEnum):
    """What is known of a certificate (OCPP 2.1 CertificateStatusEnumType). ``failed``: nobody could be asked, or what came
    cannot be believed."""

    GOOD = "Good"
    REVOKED = "Revoked"
    UNKNOWN = "Unknown"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """``der``: the responder's signed answer (RFC 6960), b"" where there is none. ``why``: for the operator, where it failed."""

    status: Revocation
    der: bytes = b""
    next_update: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class EvRequest:
    """A vehicle wants its contract certificate installed or updated. ``exi``: its request as the station got it (base64), never
    to be logged; ``most``, ``emaids``: how many contracts it takes, and which first (2.1)."""

    station_id: str
    schema: str
    update: bool
    exi: str
    most: int | None = None
    emaids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EvAnswer:
    """``exi``: what the station gives the vehicle (base64); "": it failed, ``code`` (at most 20 characters) and ``why`` say how."""

    exi: str = ""
    code: str = ""
    why: str = ""
    remaining: int | None = None


class EvCertificates(Protocol):
    """Who installs contracts in vehicles: a pool of certificates that the operator has an account with."""

    @property
    def name(self) -> str: ...
    async def exchange(self, request: EvRequest) -> EvAnswer:
        """Never raises for what the other side does."""


class ContractDesk(Protocol):
    """What chargers ask about contracts."""

    async def contract(self, station_id: str, emaid: str, chain: str, targets: Sequence[StatusTarget]) -> CertificateStatus:
        """Whether a vehicle's contract certificate may be honoured. ``chain``: PEM, the vehicle's own first, "" where the station
        has checked it by itself; ``targets``: of whose certificates it wants to know whether they are revoked."""

    async def status_of(self, station_id: str, target: StatusTarget) -> StatusAnswer: ...
    async def ev_certificate(self, request: EvRequest) -> EvAnswer: ...


class NoContractDesk:
    """Where nobody is interested: no contract is honoured, nothing is known, nothing installed."""

    async def contract(self, station_id: str, emaid: str, chain: str, targets: Sequence[StatusTarget]) -> CertificateStatus:
        return CertificateStatus.NONE

    async def status_of(self, station_id: str, target: StatusTarget) -> StatusAnswer:
        return StatusAnswer(Revocation.FAILED, why="nobody asks responders here")

    async def ev_certificate(self, request: EvRequest) -> EvAnswer:
        return EvAnswer(code="NotConfigured", why="no provider of contract certificates is configured")
