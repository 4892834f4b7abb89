"""Plug & Charge for tests: authorities of contracts, vehicles' certificates, and a responder that speaks OCSP over a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from pki import name, pem

from depot.contracts import StatusTarget
from ocpp_server.contract_chain import hashes_of


def utc() -> datetime:
    return datetime.now(UTC)


@dataclass
class Node:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return pem(self.certificate)

    def target(self, issuer: Node, *urls: str, algorithm: str = "SHA256") -> StatusTarget:
        return StatusTarget(algorithm, *hashes_of(issuer.certificate, algorithm), f"{self.certificate.serial_number:x}", urls)

    def on_wire(self, issuer: Node, url: str) -> dict[str, str]:
        """OCSPRequestDataType."""
        asked = self.target(issuer)
        return {
            "hashAlgorithm": asked.algorithm, "issuerNameHash": asked.issuer_name_hash, "issuerKeyHash": asked.issuer_key_hash,
            "serialNumber": asked.serial, "responderURL": url,
        }  # fmt: skip


def made(
    common: str,
    by: Node | None = None,
    *,
    authority: bool = True,
    days: tuple[float, float] = (-30, 300),
    url: str = "",
    path_length: int | None = None,
    purposes: Sequence[x509.ObjectIdentifier] = (),
) -> Node:
    """A certificate; ``by`` None: it signs itself. ``days``: from when to when it is valid, counted from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common))
        .issuer_name(name(common) if by is None else by.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utc() + timedelta(days=days[0]))
        .not_valid_after(utc() + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=path_length), critical=True)
    )
    if url:
        place = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))
        builder = builder.add_extension(x509.AuthorityInformationAccess([place]), critical=False)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(purposes)), critical=False)
    return Node(builder.sign(key if by is None else by.key, hashes.SHA256()), key)


def delegate(by: Node) -> Node:
    """A responder whom an authority has made one."""
    return made("Responder", by, authority=False, purposes=[ExtendedKeyUsageOID.OCSP_SIGNING])


@dataclass
class Responder:
    """``issuers``: whose certificates it knows. ``signer`` None: each authority answers for itself."""

    issuers: list[Node]
    revoked: set[int] = field(default_factory=set)
    strange: set[int] = field(default_factory=set)
    signer: Node | None = None
    valid: tuple[float, float] = (-1, 24)
    """Hours from now of this and of the next update."""
    broken: bytes | None = None
    status: str = "200 OK"
    asked: int = 0
    url: str = ""

    def answer(self, question: bytes) -> bytes:
        """What it says to a question in DER."""
        self.asked += 1
        if self.broken is not None:
            return self.broken
        request = ocsp.load_der_ocsp_request(question)
        names = [hashes_of(node.certificate, request.hash_algorithm.name.upper()) for node in self.issuers]
        issuer = self.issuers[names.index((request.issuer_name_hash.hex(), request.issuer_key_hash.hex()))]
        serial = request.serial_number
        status = ocsp.OCSPCertStatus.REVOKED if serial in self.revoked else ocsp.OCSPCertStatus.GOOD
        status = ocsp.OCSPCertStatus.UNKNOWN if serial in self.strange else status
        signer = self.signer or issuer
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            request.issuer_name_hash, request.issuer_key_hash, serial, request.hash_algorithm, status,
            utc() + timedelta(hours=self.valid[0]), utc() + timedelta(hours=self.valid[1]),
            utc() if status is ocsp.OCSPCertStatus.REVOKED else None, None,
        )  # fmt: skip
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
        if self.signer is not None:
            builder = builder.certificates([signer.certificate])
        return builder.sign(signer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(int(line.partition(":")[2]) for line in head.splitlines() if line.startswith("content-length"))
        body = self.answer(await reader.readexactly(length))
        writer.write(f"HTTP/1.1 {self.status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def listening(responder: Responder) -> AsyncIterator[Responder]:
    """The responder at an address of this machine."""
    server = await asyncio.start_server(responder.serve, "127.0.0.1", 0)
    async with server:
        responder.url = f"http://localhost:{server.sockets[0].getsockname()[1]}/ocsp"
        yield responder
