"""The depot's secret, station keys hashed under it, and files that only their owner may read.

The secret is 32 random bytes in a file that only its owner can read, beside the database (or in the environment). The
settings file holds only keyed hashes: who reads it can't connect as a station.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ocpp_server.access import keyed_digest

if TYPE_CHECKING:
    from controller.settings import Settings

SECRET_FILE = "depot.secret"  # noqa: S105  # a file's name
_BYTES = 32
_KEY_BYTES = 20
"""OCPP 1.6 security whitepaper: an AuthorizationKey has 16 to 20 bytes, sent as 40 hex digits at most."""


class SecretError(Exception):
    """The secret's file can't be used; the message says what to do."""


def load_depot_secret(folder: Path) -> bytes:
    """The secret in ``folder``; made at the first call. Raises :class:`SecretError`."""
    path = folder / SECRET_FILE
    text = private_text(path, lambda: secrets.token_hex(_BYTES) + "\n")
    try:
        secret = bytes.fromhex(text.strip())
    except ValueError as error:
        raise SecretError(f"{path} holds no hex digits: restore it from a backup, or remove it and give every station a new key") from error
    if len(secret) < _BYTES:
        raise SecretError(f"{path} is cut short: restore it from a backup, or remove it and give every station a new key")
    return secret


def private_text(path: Path, make: Callable[[], str]) -> str:
    """What the file holds that only its owner may read; made at the first call. Raises :class:`SecretError`."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        # whole or not at all, and the first of two processes wins: write aside, then link
        aside = _write_aside(path, make())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(aside)
        aside.unlink()
    if path.stat().st_mode & 0o077:
        raise SecretError(f"{path} can be read by others; run: chmod 600 {path}, and replace what is in it if that was so for long")
    try:
        return path.read_text(encoding="ascii")
    except UnicodeDecodeError as error:
        raise SecretError(f"{path} is damaged: restore it from a backup") from error


def replace_private(path: Path, text: str) -> None:
    """Put ``text`` in the place of what the file holds, whole or not at all, readable by its owner only."""
    _write_aside(path, text).replace(path)


def _write_aside(path: Path, text: str) -> Path:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return aside


def depot_secret(settings: Settings) -> bytes:
    """The key under which station passwords are hashed: from the environment, or kept beside the database."""
    if settings.depot_secret is not None:
        return bytes.fromhex(settings.depot_secret.get_secret_value())
    return load_depot_secret(settings.storage.path)


def new_station_key(station_id: str, depot_secret: bytes) -> tuple[str, str]:
    """A new password for a station and its ``key_hash``. The password is shown once and kept nowhere."""
    plain = secrets.token_hex(_KEY_BYTES)
    return plain, keyed_digest(depot_secret, station_id, plain)
