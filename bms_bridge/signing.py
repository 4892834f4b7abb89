"""The depot's key that signs packs' histories and passports (Ed25519): made once, kept in a file that its owner alone can read."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

from bms_bridge import BmsError


class KeyRefused(BmsError):
    """A file that holds no key, or that others can read; the message says what to do."""


def signing_key(path: Path) -> Any:
    """The key in the file ``path``; made at the first call, and the first of two processes wins. Raises OSError, :class:`KeyRefused`."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        data = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(aside)
        aside.unlink()
    if path.stat().st_mode & 0o077:
        raise KeyRefused(f"{path} can be read by others; run: chmod 600 {path}, and tell who holds your archives that the key may be known")
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except ValueError as error:
        raise KeyRefused(f"{path} is no key: restore it from a backup, or remove it and tell everybody the new fingerprint") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyRefused(f"{path} is no Ed25519 key")
    return key


def fingerprint_of(public: bytes) -> str:
    """Of a public key, 32 bytes: what people read to each other, 40 hex digits in groups."""
    digest = hashlib.sha256(public).hexdigest()[:40]
    return " ".join(digest[start : start + 8] for start in range(0, 40, 8))
