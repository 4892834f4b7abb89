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
import logging
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from payments import PaymentsError

__all__ = [
    "KEY_VARIABLE",
    "ContactKeys",
    "LogFilter",
    "Sealed",
    "UnreadableContact",
    "Vault",
    "mask_email",
    "mask_name",
    "mask_phone",
    "mask_vpa",
    "new_key",
    "phone_digits",
    "scrub",
]

KEY_VARIABLE: Final = "CHARGEYARD_CONTACTS_KEY"
"""64 hex digits; several, the present one first, with commas between."""

_BYTES: Final = 32
_NONCE: Final = 12
_DOTS: Final = "•••••"


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


def phone_digits(phone: str) -> str:
    """The number's digits with its country code: ``098765 43210``, ``+91 98765-43210`` -> ``919876543210`` (India is meant
    where none is said)."""
    digits = re.sub(r"\D", "", phone)
    digits = digits.removeprefix("00") if digits.startswith("00") else digits
    if len(digits) == 11 and digits.startswith("0"):
        digits = digits[1:]
    return f"91{digits}" if len(digits) == 10 else digits


# -- masks ----------------------------------------------------------------------------------------------------------


def mask_phone(phone: str) -> str:
    """``+919876543210`` -> ``98•••••210``: as people know their own number again. Short ones show nothing."""
    digits = phone_digits(phone)
    if len(digits) < 10:
        return _DOTS
    national = digits[-10:]
    return f"{national[:2]}{_DOTS}{national[-3:]}"


def mask_vpa(vpa: str) -> str:
    """``rani.k@okaxis`` -> ``ra•••@okaxis``; without a handle nothing is shown."""
    name, at, handle = vpa.partition("@")
    return f"{name[:2]}•••@{handle}" if at and name and handle else _DOTS


def mask_email(email: str) -> str:
    """``rani@example.org`` -> ``r•••@example.org``."""
    name, at, host = email.partition("@")
    return f"{name[:1]}•••@{host}" if at and name and host else _DOTS


def mask_name(name: str) -> str:
    """``Rani Kulkarni`` -> ``R••• K•••``."""
    return " ".join(f"{word[:1]}•••" for word in name.split()[:3]) or _DOTS


# -- logs -----------------------------------------------------------------------------------------------------------

_EMAIL_OR_VPA = re.compile(r"(?<![\w.+-])[\w.+-]{2,64}@[A-Za-z][A-Za-z0-9.-]{1,80}")
_PHONE = re.compile(r"(?<![\w.:-])(?:(?:\+|00)?91[ -]?|0)?[6-9]\d{4}[ -]?\d{5}(?![\w-]|[.:]\d)")
"""An Indian mobile number: ten digits, the first 6 to 9 (Department of Telecommunications, National Numbering Plan)."""


def scrub(text: str) -> str:
    """``text`` with phone numbers, VPAs and e-mail addresses masked. A net, no licence to log them."""

    def address(found: re.Match[str]) -> str:
        whole = found[0]
        return mask_email(whole) if "." in whole.partition("@")[2] else mask_vpa(whole)

    return _PHONE.sub(lambda found: mask_phone(found[0]), _EMAIL_OR_VPA.sub(address, text))


class LogFilter(logging.Filter):
    """On a handler of a process that meets contact data: masks them in each record, its arguments and its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        clean = scrub(message)
        if clean != message:
            record.msg, record.args = clean, None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = scrub(record.exc_text)
        return True
