"""Configuration keys of a 1.6 station as it said them last: a reading with an age, gone with this process.

    GetConfiguration, ChangeConfiguration and their answers --note--> the book --known--> views, item limits

Whoever asked (the probe, a person's call, a refresh), what was answered is noted. Secrets are never kept.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from depot.values import Outcome
from ocpp_server.redaction import redact
from ocpp_server.reply import Reply

GET, CHANGE = "GetConfiguration", "ChangeConfiguration"
NOTED_KEYS = frozenset({GET, CHANGE})
"""Calls that the book wants to hear of."""
MOST_KEYS = 500
"""Of one station; a longer list is cut."""
GET_MOST, LIST_MOST = "GetConfigurationMaxKeys", "SendLocalListMaxLength"
"""Keys that say how many items a station takes in one message."""


@dataclass(frozen=True, slots=True)
class ConfigurationKey:
    """``value`` None: the station says none. ``read_at``: when it was heard, or, of a change, accepted."""

    key: str
    value: str | None
    readonly: bool
    read_at: datetime


class ConfigurationBook:
    """One per station."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[str | None, bool, datetime]] = {}

    def note(self, action: str, payload: dict[str, Any], reply: Reply, now: datetime) -> None:
        """A call of :data:`NOTED_KEYS` has ended so."""
        if action == GET:
            for row in reply.payload.get("configurationKey", ()):
                self._put(row["key"], row.get("value"), row["readonly"], now)
            for key in reply.payload.get("unknownKey", ()):
                self._keys.pop(key, None)
        elif reply.outcome is Outcome.ACCEPTED:
            known = self._keys.get(payload["key"])
            self._put(payload["key"], payload["value"], known is not None and known[1], now)

    def _put(self, key: str, value: str | None, readonly: bool, now: datetime) -> None:
        if key in self._keys or len(self._keys) < MOST_KEYS:
            shown = redact({"key": key, "value": value})["value"]
            self._keys[sys.intern(key)] = (None if shown is None else sys.intern(shown), readonly, now)

    def known(self) -> list[ConfigurationKey]:
        """All keys, by name. The value of a secret is ``(hidden)``."""
        return [ConfigurationKey(key, *self._keys[key]) for key in sorted(self._keys)]

    def number(self, key: str) -> int | None:
        """A key's value as a number that counts something; None: not known, or none."""
        value = self._keys.get(key, (None,))[0]
        return int(value) if value is not None and value.strip().isdecimal() and 0 < int(value) < 2**31 else None
