"""A passport is signed by the depot's key (Ed25519), and whoever gets it can see whether it was changed.

    signature = Ed25519 over the canonical JSON of the document without its ``signature``: UTF-8, names sorted, no blanks, numbers as short
                as they can be told

A seal says that this depot said so. It does not say that it is true, and whose the key is goes by another way (telephone, contract).
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from bms_bridge.passport import SealBroken
from bms_bridge.signing import fingerprint_of

ALGORITHM: Final = "Ed25519"


class PrivateKey(Protocol):
    """A key that signs, as the library has it."""

    def sign(self, data: bytes, /) -> bytes: ...
    def public_key(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Seal:
    """Whose signature fits. ``fingerprint``: of the key, 40 hex digits in groups."""

    fingerprint: str
    sha256: str


def canonical(value: Any) -> bytes:
    """The one way to write a document down. ValueError: a number that is none."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def sha256_of(value: Any) -> str:
    """Of the canonical JSON, in hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


def sealed(document: Mapping[str, Any], key: PrivateKey) -> dict[str, Any]:
    """The document with its signature."""
    bare = {name: value for name, value in document.items() if name != "signature"}
    data = canonical(bare)
    signature = {
        "algorithm": ALGORITHM,
        "key": b64encode(key.public_key().public_bytes_raw()).decode(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "value": b64encode(key.sign(data)).decode(),
    }
    return {**bare, "signature": signature}


def verified(document: Mapping[str, Any], *, fingerprint: str = "") -> Seal:
    """Whose seal is on it. ``fingerprint``: of the key that it must be; "": any. Raises :class:`~bms_bridge.passport.SealBroken`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    signature = document.get("signature")
    if not isinstance(signature, Mapping):
        raise SealBroken("it carries no signature: anybody may have written it")
    if signature.get("algorithm") != ALGORITHM:
        raise SealBroken(f"its signature is by {str(signature.get('algorithm'))[:40]!r}; this version knows {ALGORITHM}")
    bare = {name: value for name, value in document.items() if name != "signature"}
    try:
        public, value = (b64decode(str(signature[name]), validate=True) for name in ("key", "value"))
        data = canonical(bare)
        Ed25519PublicKey.from_public_bytes(public).verify(value, data)
    except InvalidSignature:
        raise SealBroken("the signature does not fit: the passport was changed after it was signed") from None
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise SealBroken(f"its signature cannot be read ({error})") from None
    told = fingerprint_of(public)
    wanted = "".join(letter for letter in fingerprint.lower() if letter in "0123456789abcdef")
    if fingerprint and told.replace(" ", "") != wanted:
        raise SealBroken(f"it is signed by the key {told}, not by {fingerprint[:60]}: ask who gave it to you")
    return Seal(told, hashlib.sha256(data).hexdigest())
