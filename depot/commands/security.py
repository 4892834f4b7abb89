"""Commands that concern how stations prove who they are: security profiles, keys, certificates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from depot.commands.stations import StationCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSecurityProfile(StationCommand):
    """Move a station to another OCPP security profile. Upwards it is told so and may come by either until it has come by the
    higher one; downwards only the lower one counts at once. ``by_hand``: somebody sets it at the station itself;
    ``interface``: by which one of its own a station of 2.x goes there (OCPPInterfaceEnumType)."""

    TITLE: ClassVar[str] = "Set security profile"

    profile: int
    by_hand: bool = False
    interface: str = "Wired0"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"profile": str(self.profile), "by_hand": str(self.by_hand).lower()}


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateStationKey(StationCommand):
    """Give a station a new password; the one before counts until it comes with the new one. ``by_hand``: the answer tells the
    password once, for somebody who sets it at the station itself."""

    TITLE: ClassVar[str] = "Rotate station key"

    by_hand: bool = False

    @property
    def detail(self) -> Mapping[str, str]:
        return {"by_hand": str(self.by_hand).lower()}


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewCertificate(StationCommand):
    """Ask a station to have a new certificate signed, its first or the next. ``use``: what for, in the words of OCPP 2.x."""

    TITLE: ClassVar[str] = "Renew certificate"

    use: str = "ChargingStationCertificate"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"use": self.use}


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeCertificate(StationCommand):
    """A certificate of a station counts no more; a connection that came with it is cut. ``serial``: hex."""

    TITLE: ClassVar[str] = "Revoke certificate"

    serial: str

    @property
    def detail(self) -> Mapping[str, str]:
        return {"serial": self.serial}


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallCertificate(StationCommand):
    """Let a station trust an authority. ``use``: what for, in OCPP's words. ``certificate``: PEM; "": the depot's own."""

    TITLE: ClassVar[str] = "Install certificate"

    use: str = "CentralSystemRootCertificate"
    certificate: str = ""

    @property
    def detail(self) -> Mapping[str, str]:
        return {"use": self.use, "own": str(not self.certificate).lower()}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteCertificate(StationCommand):
    """Let a station trust an authority no more. Named as OCPP does (CertificateHashDataType); all in hex."""

    TITLE: ClassVar[str] = "Delete certificate"

    serial: str
    issuer_name_hash: str
    issuer_key_hash: str
    algorithm: str = "SHA256"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"serial": self.serial}
