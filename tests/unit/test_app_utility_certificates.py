"""``utility-certificates``: what it makes serves the TLS port, and the role stands in the master's certificate."""

from __future__ import annotations

import io
import ssl
import tomllib
from pathlib import Path

import pytest
from cryptography import x509
from rich.console import Console

from controller.app.utility_certificates import make_certificates
from controller.settings import UtilitySection
from depot.values import InvalidValue
from grid.limit_access import LimitTlsSettings, Role
from grid.limit_tls import TlsFiles, role_of


def make(folder: Path, *, client: str = "", role: str = Role.GRID_SERVICE, names: tuple[str, ...] = ("localhost", "127.0.0.1")) -> str:
    out = io.StringIO()
    assert make_certificates(folder, names=names, client=client, role=role, days=30, console=Console(file=out, width=500)) == 0
    return out.getvalue()


def test_what_it_makes_and_says_serves(tmp_path: Path) -> None:
    folder = tmp_path / "utility"
    said = make(folder, client="rtu-1")
    section = UtilitySection.model_validate(tomllib.loads(said[said.index("[utility.tls]") :])["utility"])
    assert section.tls is not None
    TlsFiles(LimitTlsSettings(certificate=section.tls.certificate, key=section.tls.key, authorities=section.tls.authorities))
    master = folder / "rtu-1.pem"
    found = x509.load_pem_x509_certificate(master.read_bytes())
    assert role_of(found) is Role.GRID_SERVICE
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(master)
    for secret in ("authority-key.pem", "port.pem", "rtu-1.pem"):
        assert (folder / secret).stat().st_mode & 0o077 == 0, secret
    assert "PRIVATE" not in (folder / "authority.pem").read_text()
    assert "PRIVATE" not in said


def test_a_second_call_goes_on_with_the_same_authority(tmp_path: Path) -> None:
    make(tmp_path, client="rtu-1")
    root = (tmp_path / "authority.pem").read_text()
    make(tmp_path, client="scada-2", role=Role.READ_ONLY)
    assert (tmp_path / "authority.pem").read_text() == root
    authority = x509.load_pem_x509_certificate(root.encode())
    for name, role in (("rtu-1", Role.GRID_SERVICE), ("scada-2", Role.READ_ONLY)):
        found = x509.load_pem_x509_certificate((tmp_path / f"{name}.pem").read_bytes())
        found.verify_directly_issued_by(authority)
        assert role_of(found) is role


@pytest.mark.parametrize("client", ["authority-key", "port", "../x", "a/b", " "])
def test_names_that_would_overwrite_something_are_refused(tmp_path: Path, client: str) -> None:
    with pytest.raises(InvalidValue):
        make(tmp_path, client=client)


def test_an_unknown_role_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="ReadOnlySunSpec"):
        make(tmp_path, client="rtu-1", role="Boss")
    with pytest.raises(InvalidValue, match="--name"):
        make(tmp_path, names=("ü.example",))
