"""Drivers' contact data: sealed at rest, masked on screens and in logs, found again by a keyed index.

    phone --seal(key 2, "depot/driver/phone")--> "2.<nonce><ciphertext>"     AES-256-GCM, one nonce for each seal
    phone --index()--> HMAC-SHA256 of its digits                             finds a driver, tells nobody the number

The keys come from the environment or from a file beside the database, never from a database. The first key seals; older
ones only open, until :func:`payments.contacts.Contacts.rotate` has sealed everything anew. What is sealed is bound to its place:
a row that somebody copies to another driver does not open there. Whoever loses all keys has erased all contact data.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from payments import PaymentsError
from payments.masks import phone_digits

__all__ = [
    "KEY_VARIABLE",
    "ContactKeys",
    "Sealed",
    "UnreadableContact",
    "Vault",
    "new_key",
]

KEY_VARIABLE: Final = "CHARGEYARD_CONTACTS_KEY"
"""64 hex digits; several, the present one first, with commas between."""

_BYTES: Final = 32
_NONCE: Final = 12


class UnreadableContact(PaymentsError):
    """A sealed value that none of the keys opens: the key is missing, or the row was changed."""


def new_key() -> str:
    """A new key as text: 64 hex digits."""
    return secrets.token_hex(_BYTES)


@dataclass(frozen=True, slots=True)
class ContactKeys:
    """``keys``: the present one first. A key's id is made of the key, so that a sealed value names the one that opens it."""

    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> ContactKeys:
        """Hex keys with commas or line ends between. Raises :class:`~payments.PaymentsError`, naming no key."""
        words = [word.strip() for word in text.replace("\n", ",").split(",") if word.strip()]
        try:
            keys = tuple(bytes.fromhex(word) for word in words)
        except ValueError:
            keys = ()
        if not keys or any(len(key) != _BYTES for key in keys):
            raise PaymentsError(f"a key for contact data has {2 * _BYTES} hex digits; make one with: openssl rand -hex {_BYTES}")
        return cls(keys)


@dataclass(frozen=True, slots=True)
class Sealed:
    """``key_id``: of the key that opens ``text``."""

    key_id: str
    text: str


class Vault:
    """Seals and opens. Holds keys in memory; shows none."""

    def __init__(self, keys: ContactKeys) -> None:
        self._ciphers = {_key_id(key): AESGCM(_derived(key, b"seal")) for key in keys.keys}
        self._indices = [_derived(key, b"index") for key in keys.keys]
        self.key_id = _key_id(keys.keys[0])

    def __repr__(self) -> str:
        return f"Vault({self.key_id}, {len(self._ciphers)} keys)"

    def seal(self, plain: str, place: str) -> Sealed:
        """Seal ``plain`` with the present key. ``place``: where it belongs (depot, driver, field); it opens nowhere else."""
        nonce = secrets.token_bytes(_NONCE)
        cipher = self._ciphers[self.key_id].encrypt(nonce, plain.encode(), place.encode())
        return Sealed(self.key_id, base64.urlsafe_b64encode(nonce + cipher).decode())

    def open(self, sealed: Sealed, place: str) -> str:
        """The plain text. Raises :class:`UnreadableContact`."""
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            raise UnreadableContact(f"contact data were sealed with key {sealed.key_id}, which is not there: give it in {KEY_VARIABLE}")
        try:
            raw = base64.urlsafe_b64decode(sealed.text)
            return cipher.decrypt(raw[:_NONCE], raw[_NONCE:], place.encode()).decode()
        except (InvalidTag, ValueError):
            raise UnreadableContact("contact data do not open: the row was changed, or it belongs to another driver") from None

    def index(self, phone: str) -> str:
        """The keyed index of a phone number with the present key: equal for equal numbers, however they are written."""
        return _index(self._indices[0], phone)

    def indices(self, phone: str) -> Sequence[str]:
        """The index with each key, the present one first: what a search looks for while a rotation lasts."""
        return [_index(key, phone) for key in self._indices]


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"chargeyard contact key\0" + key).hexdigest()[:8]


def _derived(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=_BYTES, salt=None, info=b"chargeyard contacts " + purpose).derive(key)


def _index(key: bytes, phone: str) -> str:
    return hmac.new(key, phone_digits(phone).encode(), hashlib.sha256).hexdigest()
