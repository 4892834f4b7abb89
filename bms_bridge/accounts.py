"""Who may connect to the embedded broker, and what they may say: one JSON file that its owner alone can read.

A vehicle publishes the telemetry of its own packs and reads nothing. The core reads all telemetry of its depot. Keys are
made by :func:`new_account` (160 random bits), shown once and kept nowhere; the file holds a salted HMAC-SHA-256 of each, which
is enough for keys that cannot be guessed, and costs microseconds where a password hash for people would cost 150 ms of a
reconnect storm.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

import msgspec

from bms_bridge import AccountsError, InvalidTelemetry
from bms_bridge.contract import topic_of, topics_of_all
from depot.values import PackKey

SCHEMA: Final = "mqtt_accounts/1"
CORE: Final = "core"
_KEY_BYTES = 20
_OWNER_ONLY = 0o600


class Kind(StrEnum):
    """What an account is for."""

    VEHICLE = "vehicle"
    CORE = "core"


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who connects as ``name`` (a vehicle's id, or ``core``). ``packs``: a vehicle's packs."""

    name: str
    kind: Kind
    salt: str
    digest: str
    packs: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: Literal["mqtt_accounts/1"]
    depot_id: str
    accounts: tuple[Account, ...]


_decoder = msgspec.json.Decoder(_File)


def new_account(name: str, kind: Kind, packs: Iterable[str] = ()) -> tuple[str, Account]:
    """A new key and the account that it opens."""
    key = secrets.token_hex(_KEY_BYTES)
    return key, account_of(name, kind, key, packs)


def account_of(name: str, kind: Kind, key: str, packs: Iterable[str] = ()) -> Account:
    """The account that ``key`` opens. The key must be long and random: nobody may be able to guess it."""
    salt = secrets.token_hex(16)
    return Account(name=name, kind=kind, salt=salt, digest=_digest(salt, name, key), packs=tuple(packs))


class Accounts:
    """The accounts of one depot: who somebody is, and what they may do."""

    def __init__(self, depot_id: str, accounts: Iterable[Account]) -> None:
        self.depot_id = depot_id
        self.accounts = {account.name: account for account in accounts}
        self._nobody = Account(name="", kind=Kind.VEHICLE, salt="", digest=_digest("", "", ""))
        self._telemetry = topics_of_all(depot_id)
        self._own = {
            account.name: frozenset(topic_of(depot_id, PackKey(account.name, pack)) for pack in account.packs)
            for account in self.accounts.values()
            if account.kind is Kind.VEHICLE
        }

    @classmethod
    def load(cls, path: Path) -> Accounts:
        """Raises :class:`~bms_bridge.AccountsError` for a file that is not there, not ours, or open to others."""
        try:
            if path.stat().st_mode & 0o077:
                raise AccountsError(f"{path} can be read by others; run: chmod 600 {path}")
            file = _decoder.decode(path.read_bytes())
        except OSError as error:
            raise AccountsError(f"{path} cannot be read: {error.strerror}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise AccountsError(f"{path} is not a file of accounts: {error}") from error
        try:
            return cls(file.depot_id, file.accounts)
        except InvalidTelemetry as error:
            raise AccountsError(f"{path}: {error}") from error

    def save(self, path: Path) -> None:
        """Whole or not at all, readable by its owner only."""
        data = msgspec.json.format(
            msgspec.json.encode(_File(schema=SCHEMA, depot_id=self.depot_id, accounts=tuple(self.accounts.values())))
        )
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _OWNER_ONLY), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                aside.unlink()
            raise AccountsError(f"{path} cannot be written: {error.strerror}") from error

    def admits(self, name: str, key: str) -> bool:
        """Whether ``key`` opens the account ``name``; the same work for a name that does not exist."""
        account = self.accounts.get(name, self._nobody)
        same = hmac.compare_digest(_digest(account.salt, name, key), account.digest)
        return same and account is not self._nobody

    def may_publish(self, name: str, topic: str) -> bool:
        """A vehicle: the telemetry of its own packs. The core: its own corner."""
        account = self.accounts.get(name)
        if account is None:
            return False
        if account.kind is Kind.CORE:
            return topic.startswith(f"chargeyard/v1/{self.depot_id}/core/")
        return topic in self._own[name]

    def may_read(self, name: str, topic: str) -> bool:
        """Whether ``name`` may subscribe to ``topic`` (a filter) or be sent it: the core its depot's, nobody else anything."""
        account = self.accounts.get(name)
        if account is None or account.kind is not Kind.CORE:
            return False
        return topic == self._telemetry or topic.startswith(
            (f"chargeyard/v1/{self.depot_id}/vehicles/", f"chargeyard/v1/{self.depot_id}/core/")
        )


def _digest(salt: str, name: str, key: str) -> str:
    return hmac.new(salt.encode(), f"{name}\0{key}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
