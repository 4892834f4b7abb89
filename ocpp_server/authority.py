"""The depot's own certificate authority: a root, and what it signs for stations and for the OCPP port. No I/O.

    Authority.new --to_pem--> (kept by the controller) --Authority.read--> authority
    SignCertificate.req: csr --read_request--> SigningRequest --Authority.sign--> certificate, for CertificateSigned.req

ECDSA on P-256 with SHA-256 for everything that is made here, but for the second certificate of the port: its key is RSA, for
stations that can do no other suites. A request is refused unless the station itself has signed it,
its common name is the station's id, and its key is strong enough by the OCPP security whitepaper: ECDSA with 256 bits or
more, RSA with 2048 or more. Serial numbers are random, so a depot that was restored from a backup gives none twice.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ocpp_server.access import PeerCertificate
from ocpp_server.errors import OcppError
from ocpp_server.tls import described

ROOT_YEARS: Final = 20
BACKDATED: Final = timedelta(days=1)
"""So much before now a certificate begins: a station whose clock is behind must be able to use it."""
CHAIN_MOST: Final = 10_000
"""CertificateSigned.req takes so many characters (whitepaper; the schema of the message)."""
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_RSA_BITS: Final = (2048, 4096)
"""Least by the whitepaper; most, because each verification costs."""
_DIGESTS: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)

RSA_KEY_BITS: Final = 2048
"""Of the key that is made here: what A00.FR.502 of OCPP 2.0.1 wants at least, and old stations verify in time."""

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class AuthorityBroken(OcppError):
    """What is kept of the authority cannot be used; the message says what to do."""


class RequestRefused(OcppError):
    """A certificate signing request is not signed; the message says why, for the operator."""


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """A request that was found in order."""

    station_id: str
    organization: str
    key: PublicKey
    use: str = "ChargingStationCertificate"
    """For what the station said that it is, in the words of 2.x; "": for all that it does."""
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate in PEM, and what it says."""

    pem: str
    facts: PeerCertificate


@dataclass(frozen=True, slots=True)
class HashData:
    """What names a certificate in OCPP (CertificateHashDataType), in hex."""

    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str
    algorithm: str = "SHA256"


class Authority:
    """A root and its key. ``to_pem`` is a secret."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, root: x509.Certificate) -> None:
        self._key = key
        self._root = root

    @classmethod
    def new(cls, name: str, *, organization: str, now: datetime) -> Authority:
        """A new root. ``name``: its common name; ``organization``: who owns the depot, "" for nobody in particular."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name, organization)
        usage = _usage(sign_certificates=True)
        builder = _builder(subject, subject, key.public_key(), now, timedelta(days=round(365.25 * ROOT_YEARS)))
        root = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(key, root)

    @classmethod
    def read(cls, pem: str) -> Authority:
        """The authority of :meth:`to_pem`. Raises :class:`AuthorityBroken`."""
        try:
            key = serialization.load_pem_private_key(pem.encode(), None)
            root = x509.load_pem_x509_certificate(pem.encode())
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise AuthorityBroken(f"it holds no key and certificate ({error}); restore it from a backup") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or bits_of(key.public_key()) != bits_of(root.public_key()):
            raise AuthorityBroken("its key does not belong to its certificate; restore it from a backup")
        return cls(key, root)

    def to_pem(self) -> str:
        """Key and root, to be kept where only its owner can read."""
        return _key_pem(self._key) + self.root_pem

    @property
    def root_pem(self) -> str:
        """What stations are told to trust."""
        return _pem(self._root)

    @property
    def root(self) -> PeerCertificate:
        return described(self._root)

    def sign(self, request: SigningRequest, *, days: int, now: datetime) -> Issued:
        """A client certificate for a station, valid for ``days``. One that is for all that it does may serve vehicles, too."""
        subject = _name(request.station_id, request.organization)
        encipher = isinstance(request.key, rsa.RSAPublicKey)
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH] + ([] if request.use else [ExtendedKeyUsageOID.SERVER_AUTH])
        return self._issue(subject, request.key, purposes, (), days, now, encipher=encipher)

    def sign_v2g(self, request: SigningRequest, *, days: int, now: datetime) -> Issued:
        """What a station shows to vehicles (ISO 15118-2: its subject names the domain CPO), and this authority's own behind it.
        Raises :class:`RequestRefused` where this authority has ended."""
        if self._root.not_valid_after_utc <= now:
            raise RequestRefused("the authority of V2G certificates has ended")
        subject = x509.Name([*_name(request.station_id, request.organization), x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "CPO")])
        issued = self._issue(subject, request.key, [ExtendedKeyUsageOID.SERVER_AUTH], (), days, now)
        return Issued(issued.pem + self.root_pem, issued.facts)

    def server(
        self, names: Sequence[str], *, organization: str, days: int, now: datetime, rsa_key: rsa.RSAPrivateKey | None = None
    ) -> tuple[Issued, str]:
        """A certificate for the OCPP port under these names (or addresses), and its key in PEM: ``rsa_key``, or without one a
        new key on P-256. Raises ``ValueError`` for a name that can be none."""
        key = rsa_key or ec.generate_private_key(ec.SECP256R1())
        subject, encipher = _name(names[0][:64], organization), rsa_key is not None
        issued = self._issue(subject, key.public_key(), [ExtendedKeyUsageOID.SERVER_AUTH], names, days, now, encipher=encipher)
        return issued, _key_pem(key)

    def client(
        self, name: str, *, organization: str, days: int, now: datetime, extensions: Sequence[x509.ExtensionType] = ()
    ) -> tuple[Issued, str]:
        """A client certificate for a machine that is no station, and its new key in PEM. ``extensions``: what else it says."""
        key = ec.generate_private_key(ec.SECP256R1())
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
        issued = self._issue(_name(name, organization), key.public_key(), purposes, (), days, now, extensions=extensions)
        return issued, _key_pem(key)

    def _issue(
        self,
        subject: x509.Name,
        key: PublicKey,
        purposes: Sequence[x509.ObjectIdentifier],
        names: Sequence[str],
        days: int,
        now: datetime,
        *,
        encipher: bool = False,
        extensions: Sequence[x509.ExtensionType] = (),
    ) -> Issued:
        life = min(timedelta(days=days), self._root.not_valid_after_utc - now)
        builder = (
            _builder(subject, self._root.subject, key, now, life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(encipher=encipher), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Issued(_pem(certificate), described(certificate))

    def signed(self, certificate: x509.Certificate) -> bool:
        """Whether this authority signed the certificate, and not just one of the same name."""
        try:
            certificate.verify_directly_issued_by(self._root)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    @staticmethod
    def names(certificate: x509.Certificate) -> tuple[str, ...]:
        """The names and addresses that a certificate of :meth:`server` is for, in their order."""
        try:
            found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (x509.ExtensionNotFound, ValueError):
            return ()
        return tuple(str(name.value) for name in found)

    @property
    def hash_data(self) -> HashData:
        """How a station names this root."""
        return hash_data(self._root, issuer=self._root)


def read_request(pem: str, *, station_id: str, organization: str) -> SigningRequest:
    """Check a station's request. ``organization``: who must be named as the owner, where the request names any; the
    certificate will name it. Raises :class:`RequestRefused`."""
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        signed = request.is_signature_valid
        key, digest = request.public_key(), request.signature_hash_algorithm
        names = [str(part.value) for part in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        owners = [str(part.value) for part in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        raise RequestRefused("it is no certificate signing request in PEM") from None
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise RequestRefused("its key is neither ECDSA nor RSA")
    if isinstance(key, ec.EllipticCurvePublicKey) and not isinstance(key.curve, _CURVES):
        raise RequestRefused(f"its curve {key.curve.name} is none of P-256, P-384, P-521")
    if isinstance(key, rsa.RSAPublicKey) and not _RSA_BITS[0] <= key.key_size <= _RSA_BITS[1]:
        raise RequestRefused(f"its RSA key has {key.key_size} bits; it needs {_RSA_BITS[0]} to {_RSA_BITS[1]}")
    if not isinstance(digest, _DIGESTS):
        raise RequestRefused("it is not signed with SHA-256 or better")
    if not signed:
        raise RequestRefused("its signature is not that of its key")
    if names != [station_id]:
        raise RequestRefused(f"its common name is {', '.join(names)[:64]!r}, not the station's id")
    if organization and owners not in ([], [organization]):
        raise RequestRefused(f"it names {', '.join(owners)[:64]!r} as its owner, not {organization!r}")
    owner = organization or (owners[0] if len(owners) == 1 else "")
    return SigningRequest(station_id, owner, key)


def hash_data(certificate: x509.Certificate, *, issuer: x509.Certificate) -> HashData:
    """CertificateHashDataType of a certificate by SHA-256: over the issuer's name in DER, and over the issuer's public key as
    its bit string holds it (the same as in OCSP, RFC 6960 §4.1.1)."""
    return HashData(
        hashlib.sha256(certificate.issuer.public_bytes()).hexdigest(),
        hashlib.sha256(bits_of(issuer.public_key())).hexdigest(),
        f"{certificate.serial_number:x}",
    )


def new_rsa_key() -> rsa.RSAPrivateKey:
    """Takes a moment: a part of a second, on a slow machine more."""
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_KEY_BITS)


def read_rsa_key(pem: str) -> rsa.RSAPrivateKey | None:
    """The RSA key of a PEM text; None where there is none that is fit for use."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= RSA_KEY_BITS else None


def read_certificates(pem: str) -> list[x509.Certificate]:
    """All certificates of a PEM text. Raises :class:`RequestRefused` for what is none."""
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise RequestRefused("that is no certificate in PEM") from None


def _builder(subject: x509.Name, issuer: x509.Name, key: PublicKey, now: datetime, life: timedelta) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
    )


def _usage(*, sign_certificates: bool = False, encipher: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=encipher,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str, organization: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def bits_of(key: object) -> bytes:
    """A public key as its bit string holds it."""
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return key.public_bytes_raw()
    raise RequestRefused("its key is of no kind that is known here")


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: PrivateKey) -> str:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
