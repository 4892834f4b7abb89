"""Certificates for tests, made with the ``cryptography`` package alone: what they test makes its own."""

from __future__ import annotations

import ipaddress
import ssl
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def name(common: str, organization: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def pem(thing: x509.Certificate | x509.CertificateSigningRequest) -> str:
    return thing.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: PrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def csr(key: PrivateKey, common: str, organization: str = "", *, digest: Any = None) -> str:
    """A certificate signing request in PEM."""
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        digest = digest or hashes.SHA256()
    return pem(x509.CertificateSigningRequestBuilder().subject_name(name(common, organization)).sign(key, digest))


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, and the file with both."""

    certificate: x509.Certificate
    path: Path


class Ca:
    """An authority of its own. ``folder``: where its files go."""

    def __init__(self, common: str, folder: Path) -> None:
        self._folder = folder
        self._common = common
        self.key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name(common))
            .issuer_name(name(common))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    @property
    def root(self) -> str:
        return pem(self.certificate)

    def issue(
        self,
        common: str,
        *,
        server: bool = False,
        days: tuple[float, float] = (-1, 30),
        organization: str = "",
        key: PrivateKey | None = None,
        extensions: Sequence[x509.ExtensionType] = (),
    ) -> Pair:
        """``days``: from when to when it is valid, counted from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(common, organization))
            .issuer_name(name(self._common))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if server:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        path = self._folder / f"{self._common}-{common}-{certificate.serial_number:x}.pem".replace(" ", "-")
        path.write_text(pem(certificate) + key_pem(key))
        return Pair(certificate, path)


def station_context(root: str, certificate: Path | None = None, *, most: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """TLS as a station has it. ``most``: the newest version that it speaks; it then takes every cipher, however weak."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=root)
    if certificate is not None:
        context.load_cert_chain(certificate)
    if most is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            if most < ssl.TLSVersion.TLSv1_2:
                context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = min(most, ssl.TLSVersion.TLSv1_2)
            context.maximum_version = most
    return context
