"""The depot's own authority: what it signs, what it refuses, and that OpenSSL agrees with its chain."""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from pki import csr

from ocpp_server.authority import Authority, AuthorityBroken, RequestRefused, hash_data, read_certificates, read_request

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new("Depot root", organization="Depot Ltd", now=NOW)


def test_what_is_kept_of_an_authority_is_the_authority(authority: Authority) -> None:
    again = Authority.read(authority.to_pem())
    assert again.root_pem == authority.root_pem
    assert again.hash_data == authority.hash_data
    assert "PRIVATE" not in authority.root_pem


def test_what_is_damaged_or_mixed_is_refused(authority: Authority) -> None:
    other = Authority.new("Depot root", organization="", now=NOW)
    mixed = other.to_pem().replace(other.root_pem, authority.root_pem)
    for text in ("", "nothing", authority.root_pem, authority.to_pem()[:200], mixed):
        with pytest.raises(AuthorityBroken, match="restore it from a backup"):
            Authority.read(text)


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)]
)
def test_a_station_gets_a_client_certificate_for_its_own_id(
    authority: Authority, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
) -> None:
    request = read_request(csr(key, "CP1", "Depot Ltd"), station_id="CP1", organization="Depot Ltd")
    issued = authority.sign(request, days=365, now=NOW)
    (made,) = read_certificates(issued.pem)
    assert (issued.facts.common_name, issued.facts.organization) == ("CP1", "Depot Ltd")
    assert issued.facts.not_after == NOW + timedelta(days=365)
    assert issued.facts.not_before <= NOW - timedelta(hours=1)
    assert made.public_key() == key.public_key()
    made.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.root_pem.encode()))
    assert list(made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca, "a station signs nobody"
    assert issued.facts.fingerprint == made.fingerprint(hashes.SHA256()).hex()


def test_serial_numbers_are_random(authority: Authority) -> None:
    request = read_request(csr(ec.generate_private_key(ec.SECP256R1()), "CP1"), station_id="CP1", organization="")
    serials = {authority.sign(request, days=1, now=NOW).facts.serial for _ in range(20)}
    assert len(serials) == 20
    assert min(len(serial) for serial in serials) > 25


P256 = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("pem", "why"),
    [
        ("", "no certificate signing request"),
        ("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "no certificate signing request"),
        ("\x00\ud800".encode("utf-8", "replace").decode(), "no certificate signing request"),
        (csr(P256, "CP2"), "common name is 'CP2'"),
        (csr(P256, "CP1", "Somebody Else"), "'Somebody Else' as its owner"),
        (csr(ec.generate_private_key(ec.SECP224R1()), "CP1"), "curve secp224r1"),
        (csr(ec.generate_private_key(ec.SECP256K1()), "CP1"), "curve secp256k1"),
        (csr(rsa.generate_private_key(65537, 1024), "CP1"), "1024 bits"),
        (csr(P256, "CP1", digest=hashes.SHA224()), "SHA-256 or better"),
        (csr(ed25519.Ed25519PrivateKey.generate(), "CP1"), "neither ECDSA nor RSA"),
    ],
)
def test_a_request_that_is_not_in_order_is_refused(pem: str, why: str) -> None:
    with pytest.raises(RequestRefused, match=why):
        read_request(pem, station_id="CP1", organization="Depot Ltd")


def test_a_request_that_somebody_changed_is_refused() -> None:
    der = bytearray(x509.load_pem_x509_csr(csr(P256, "CP1").encode()).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    broken = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM).decode()
    with pytest.raises(RequestRefused, match="signature"):
        read_request(broken, station_id="CP1", organization="")


def test_a_request_without_an_owner_gets_the_depots(authority: Authority) -> None:
    request = read_request(csr(P256, "CP1"), station_id="CP1", organization="Depot Ltd")
    assert authority.sign(request, days=1, now=NOW).facts.organization == "Depot Ltd"


def test_the_port_gets_a_certificate_for_its_names(authority: Authority) -> None:
    issued, key = authority.server(["depot.example", "10.0.0.5"], organization="Depot Ltd", days=90, now=NOW)
    assert "PRIVATE" in key
    (made,) = read_certificates(issued.pem)
    store = Store([x509.load_pem_x509_certificate(authority.root_pem.encode())])
    for name in (x509.DNSName("depot.example"), x509.IPAddress(ipaddress.ip_address("10.0.0.5"))):
        chain = PolicyBuilder().store(store).time(NOW).build_server_verifier(name).verify(made, [])
        assert len(chain) == 2
    with pytest.raises(VerificationError):
        PolicyBuilder().store(store).time(NOW + timedelta(days=91)).build_server_verifier(x509.DNSName("depot.example")).verify(made, [])


def test_nothing_outlives_the_root() -> None:
    young = Authority.new("Depot root", organization="", now=NOW - timedelta(days=365 * 19))
    request = read_request(csr(P256, "CP1"), station_id="CP1", organization="")
    assert young.sign(request, days=3650, now=NOW).facts.not_after == young.root.not_after


def test_hash_data_are_those_of_ocsp(authority: Authority) -> None:
    root = x509.load_pem_x509_certificate(authority.root_pem.encode())
    point = root.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    assert authority.hash_data == hash_data(root, issuer=root)
    assert authority.hash_data.issuer_key_hash == hashlib.sha256(point).hexdigest()
    assert authority.hash_data.issuer_name_hash == hashlib.sha256(root.subject.public_bytes()).hexdigest()
    assert int(authority.hash_data.serial_number, 16) == root.serial_number
