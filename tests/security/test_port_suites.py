"""The two certificates of the OCPP port: which suite gets which, and how the RSA one is kept. Real TLS over real sockets."""

from __future__ import annotations

import contextlib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pki import Ca, station_context

from controller.port_certificate import PortCertificate, authority_path, keep_authority
from controller.sections import OcppTlsSection
from ocpp_server.authority import RSA_KEY_BITS, Authority, read_rsa_key
from ocpp_server.tls import failure

TLS_1_1, TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
ECDSA, RSA = ec.EllipticCurvePublicKey, rsa.RSAPublicKey


def made(folder: Path, now: datetime, section: OcppTlsSection | None = None) -> tuple[PortCertificate, Authority]:
    authority = keep_authority(authority_path(folder, "d"), name="D root", organization="", now=now)
    section = section or OcppTlsSection(names=("localhost",))
    return PortCertificate(section, authority, path=folder / "d-port.pem", now=now), authority


def shown_to(station: ssl.SSLContext, port: PortCertificate) -> tuple[str, x509.Certificate]:
    """Suite and certificate that a station gets; it verifies the latter. Raises what the port's side says of a handshake that
    comes to nothing."""
    ours, theirs = socket.socketpair()
    with ours, theirs, ThreadPoolExecutor(1) as beside:
        ours.settimeout(5)
        theirs.settimeout(5)
        served = beside.submit(serve, ours, port.context)
        try:
            with station.wrap_socket(theirs, server_hostname="localhost") as tls:
                der, suite = tls.getpeercert(binary_form=True), tls.cipher()
        except OSError:
            served.result()
            raise
        assert der is not None
        assert suite is not None
        return suite[0], x509.load_der_x509_certificate(der)


def serve(end: socket.socket, context: ssl.SSLContext) -> None:
    with context.wrap_socket(end, server_side=True) as tls, contextlib.suppress(OSError):
        tls.recv(1)


def refused(station: ssl.SSLContext, port: PortCertificate) -> str:
    """What the operator is told of a handshake that must fail."""
    with pytest.raises(ssl.SSLError) as error:
        shown_to(station, port)
    return failure(error.value)


def only(root: str, suites: str, most: ssl.TLSVersion = TLS_1_2) -> ssl.SSLContext:
    """A station that can do nothing else."""
    context = station_context(root, most=most)
    context.set_ciphers(suites)
    return context


@pytest.mark.parametrize(
    ("suite", "kind"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", ECDSA),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", ECDSA),
        ("ECDHE-RSA-AES128-GCM-SHA256", RSA),
        ("ECDHE-RSA-AES256-GCM-SHA384", RSA),
        ("AES128-GCM-SHA256", RSA),
        ("AES256-GCM-SHA384", RSA),
    ],
)
def test_a_station_with_one_suite_gets_the_certificate_for_it(tmp_path: Path, suite: str, kind: type) -> None:
    port, authority = made(tmp_path, datetime.now(UTC))
    got, certificate = shown_to(only(authority.root_pem, suite), port)
    assert got == suite
    assert isinstance(certificate.public_key(), kind)
    assert authority.signed(certificate)
    assert Authority.names(certificate) == ("localhost",)


def test_who_can_do_both_gets_ecdsa_whatever_it_likes_better(tmp_path: Path) -> None:
    port, authority = made(tmp_path, datetime.now(UTC))
    suites = "AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"
    for station in (only(authority.root_pem, suites), station_context(authority.root_pem, most=TLS_1_3)):
        _, certificate = shown_to(station, port)
        assert isinstance(certificate.public_key(), ECDSA)


@pytest.mark.parametrize("suite", ["AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA"])
def test_neither_certificate_serves_tls_1_1(tmp_path: Path, suite: str) -> None:
    port, authority = made(tmp_path, datetime.now(UTC))
    assert refused(only(authority.root_pem, f"{suite}:@SECLEVEL=0", TLS_1_1), port) == "tls_version"


@pytest.mark.parametrize("suite", ["AES128-SHA", "DHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"])
def test_the_rsa_certificate_brings_in_no_other_suites(tmp_path: Path, suite: str) -> None:
    port, authority = made(tmp_path, datetime.now(UTC))
    assert refused(only(authority.root_pem, suite), port) == "tls_cipher"


def test_the_rsa_certificate_is_renewed_with_the_key_that_is_there(tmp_path: Path) -> None:
    now, path = datetime.now(UTC), tmp_path / "d-port-rsa.pem"
    port, authority = made(tmp_path, now - timedelta(days=380))
    station = only(authority.root_pem, "AES128-GCM-SHA256")
    assert path.stat().st_mode & 0o777 == 0o600
    kept, (_, before) = read_rsa_key(path.read_text()), shown_to(station, port)
    assert kept is not None
    assert kept.key_size == RSA_KEY_BITS
    assert port.refresh(now)
    _, after = shown_to(station, port)
    assert after.serial_number != before.serial_number
    assert after.public_key() == before.public_key() == kept.public_key()
    assert path.stat().st_mode & 0o777 == 0o600
    assert not port.refresh(now)
    again, _ = made(tmp_path, now)
    assert shown_to(station, again)[1] == after, "a restart makes nothing anew"
    path.chmod(0o640)
    assert port.refresh(now + timedelta(days=380))
    new = read_rsa_key(path.read_text())
    assert new is not None
    assert new.public_key() != kept.public_key(), "a key that others could read is not used again"


def test_what_is_no_rsa_certificate_is_made_anew(tmp_path: Path) -> None:
    now, path = datetime.now(UTC), tmp_path / "d-port-rsa.pem"
    made(tmp_path, now)
    for broken in ("nothing", (tmp_path / "d-port.pem").read_text()):
        path.write_text(broken)
        again, authority = made(tmp_path, now)
        assert path.stat().st_mode & 0o777 == 0o600
        assert isinstance(shown_to(only(authority.root_pem, "AES128-GCM-SHA256"), again)[1].public_key(), RSA)


def test_a_certificate_of_the_settings_stands_alone(tmp_path: Path) -> None:
    ca = Ca("named", tmp_path)
    named = ca.issue("localhost", server=True)
    port, _ = made(tmp_path, datetime.now(UTC), OcppTlsSection(certificate=named.path, key=named.path))
    assert not list(tmp_path.glob("d-port*"))
    assert port.ends == named.certificate.not_valid_after_utc
    assert shown_to(station_context(ca.root), port)[1] == named.certificate
    assert refused(only(ca.root, "AES128-GCM-SHA256"), port) == "tls_cipher"
