"""What somebody says of a firmware image, checked. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from cryptography import x509

from controller.files.tickets import safe_name
from depot.files import Image
from depot.values import InvalidValue

ID_LENGTH = 16
FIELDS = ("name", "version", "vendor", "model", "signature", "certificate")
MOST_TEXT = 50
"""Firmware version, vendor and model: as OCPP spells them (1.6 §7.3: 50, 20; 2.0.1: 50)."""
MOST_SIGNATURE, MOST_CERTIFICATE = 800, 5500
"""OCPP FirmwareType: signature, signingCertificate."""


def image_of(said: Mapping[str, str], *, file_name: str, sha256: str, size_bytes: int) -> Image:
    """The image; raises :class:`InvalidValue`. Whether the signature fits the bytes is for the station to find out: its
    algorithm is in the maker's hands."""
    text = {name: " ".join(said.get(name, "").split()) for name in ("version", "vendor", "model")}
    if not text["version"]:
        raise InvalidValue("say which version the image is, as its stations will report it")
    for name, value in text.items():
        if len(value) > MOST_TEXT or not value.isprintable():
            raise InvalidValue(f"{name} has at most {MOST_TEXT} printable characters")
    signature, certificate = "".join(said.get("signature", "").split()), said.get("certificate", "").strip()
    if bool(signature) != bool(certificate):
        raise InvalidValue("signature and certificate belong together: send both, or none")
    if signature:
        _check_signature(signature, certificate)
    name = safe_name(said.get("name", "").strip() or file_name, "firmware.bin")
    return Image(sha256[:ID_LENGTH], name, text["version"], size_bytes, sha256, text["vendor"], text["model"], signature, certificate)


def _check_signature(signature: str, certificate: str) -> None:
    if len(signature) > MOST_SIGNATURE or len(certificate) > MOST_CERTIFICATE:
        raise InvalidValue(f"OCPP carries at most {MOST_SIGNATURE} characters of signature and {MOST_CERTIFICATE} of certificate")
    try:
        base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidValue("the signature must be Base64") from None
    try:
        x509.load_pem_x509_certificates(certificate.encode("ascii"))
    except ValueError:
        raise InvalidValue("the signing certificate must be PEM (-----BEGIN CERTIFICATE-----)") from None
