"""A station of OCPP 1.6 that keeps the security whitepaper, over real sockets: what it is ordered it does, and comes again."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from ocpp_fakes import until
from pki import csr, key_pem, station_context
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

USE = "CentralSystemRootCertificate"


@dataclass
class Wallbox:
    """``say``: answers that it gives instead of its own, by action; None: silence. ``got``: actions that it was called."""

    station_id: str
    port: int
    tls_port: int
    folder: Path
    key: str = ""
    profile: int = 1
    roots: dict[str, list[str]] = field(default_factory=lambda: {USE: []})
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    certificate: str = ""
    common_name: str = ""
    say: dict[str, Any] = field(default_factory=dict)
    got: list[str] = field(default_factory=list)
    answered: list[list[Any]] = field(default_factory=list)
    reconnects: bool = True
    refused: int = 0
    lost: list[str] = field(default_factory=list)
    link: ClientConnection | None = None
    _next: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Wallbox]:
        """Connected, and again when it is cut off or has something new to show."""
        task = asyncio.create_task(self._live())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def call(self, action: str, payload: dict[str, Any]) -> str:
        """Send a CALL; its id."""
        await until(lambda: self.link, within_s=5)
        assert self.link is not None
        self._next += 1
        number = f"w{self._next}"
        await self.link.send(json.dumps([2, number, action, payload]))
        return number

    async def hang_up(self) -> None:
        """End the connection, as soon as there is one; it dials again."""
        await until(lambda: self.link, within_s=5)
        assert self.link is not None
        await self.link.close()

    async def _live(self) -> None:
        while True:
            try:
                async with self._dial() as link:
                    self.link = link
                    await self.call("BootNotification", {"chargePointVendor": "Acme", "chargePointModel": "Box"})
                    async for frame in link:
                        await self._heard(json.loads(frame))
            except (InvalidStatus, InvalidMessage):
                self.refused += 1
            except (OSError, EOFError, ConnectionClosed) as error:
                self.lost.append(type(error).__name__)
            if self.link is not None and self.link.close_reason:
                self.lost.append(self.link.close_reason)
            self.link = None
            await asyncio.sleep(0.02 if self.reconnects else 3600)

    def _dial(self) -> Any:
        headers, context = {}, None
        if self.profile in (1, 2):
            headers["Authorization"] = "Basic " + base64.b64encode(f"{self.station_id}:{self.key}".encode()).decode()
        if self.profile >= 2:
            context = self._context()
        where = f"wss://localhost:{self.tls_port}" if self.profile >= 2 else f"ws://127.0.0.1:{self.port}"
        return connect(
            f"{where}/ocpp/{self.station_id}", additional_headers=headers, subprotocols=[Subprotocol("ocpp1.6")], ssl=context,
            host="127.0.0.1", proxy=None, open_timeout=5, close_timeout=1,
        )  # fmt: skip

    def _context(self) -> ssl.SSLContext:
        path = None
        if self.profile == 3:
            path = self.folder / f"{self.station_id}.pem"
            path.write_text(self.certificate + key_pem(self.private))
        return station_context("".join(self.roots[USE]), path)

    async def _heard(self, message: list[Any]) -> None:
        if message[0] != 2:
            self.answered.append(message)
            return
        _, number, action, payload = message
        self.got.append(action)
        assert self.link is not None
        answer = self.say[action] if action in self.say else getattr(self, f"_on_{action}", lambda _: {"status": "Accepted"})(payload)
        if answer is None:
            return
        await self.link.send(json.dumps([3, number, answer]))
        if answer.get("status") == "Accepted":
            await self._after(action, payload)

    async def _after(self, action: str, payload: dict[str, Any]) -> None:
        assert self.link is not None
        if action == "ExtendedTriggerMessage" and payload["requestedMessage"] == "SignChargePointCertificate":
            self.private = ec.generate_private_key(ec.SECP256R1())
            await self.call("SignCertificate", {"csr": csr(self.private, self.common_name or self.station_id)})
        if action == "ChangeConfiguration" and payload["key"] in ("SecurityProfile", "AuthorizationKey"):
            await self.link.close()

    def _on_GetConfiguration(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"configurationKey": [], "unknownKey": []}

    def _on_ChangeConfiguration(self, payload: dict[str, Any]) -> dict[str, Any]:
        if payload["key"] == "SecurityProfile":
            wanted = int(payload["value"])
            if wanted <= self.profile or (wanted >= 2 and not self.roots[USE]) or (wanted == 3 and not self.certificate):
                return {"status": "Rejected"}
            self.profile = wanted
        if payload["key"] == "AuthorizationKey":
            self.key = payload["value"]
        return {"status": "Accepted"}

    def _on_CertificateSigned(self, payload: dict[str, Any]) -> dict[str, Any]:
        chain = payload["certificateChain"]
        made = x509.load_pem_x509_certificate(chain.encode())
        for root in self.roots[USE]:
            try:
                made.verify_directly_issued_by(x509.load_pem_x509_certificate(root.encode()))
            except ValueError:
                continue
            if made.public_key() == self.private.public_key():
                self.certificate = chain
                return {"status": "Accepted"}
        return {"status": "Rejected"}

    def _on_InstallCertificate(self, payload: dict[str, Any]) -> dict[str, Any]:
        self.roots.setdefault(payload["certificateType"], []).append(payload["certificate"])
        return {"status": "Accepted"}

    def _on_GetInstalledCertificateIds(self, payload: dict[str, Any]) -> dict[str, Any]:
        found = [named(root) for root in self.roots.get(payload["certificateType"], [])]
        return {"status": "Accepted", "certificateHashData": found} if found else {"status": "NotFound"}

    def _on_DeleteCertificate(self, payload: dict[str, Any]) -> dict[str, Any]:
        for roots in self.roots.values():
            for root in roots:
                if named(root) == payload["certificateHashData"]:
                    roots.remove(root)
                    return {"status": "Accepted"}
        return {"status": "NotFound"}


def named(root: str) -> dict[str, str]:
    """CertificateHashDataType of a self-signed certificate with an EC key, by the text of the norm."""
    certificate = x509.load_pem_x509_certificate(root.encode())
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    size = key.curve.key_size // 8
    point = key.public_numbers()
    bits = b"\x04" + point.x.to_bytes(size, "big") + point.y.to_bytes(size, "big")
    return {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": hashlib.sha256(certificate.issuer.public_bytes()).hexdigest(),
        "issuerKeyHash": hashlib.sha256(bits).hexdigest(),
        "serialNumber": f"{certificate.serial_number:x}",
    }
