"""Who may charge: cards, app accounts and other id tokens as people listed them, and the answer that a reader gets.

A token that stands in this list is decided by it alone; one that does not may still be a registered vehicle's or
driver's, or belong to an announced stay. Protocol words (``Accepted``, ``ConcurrentTx`` …) are those of OCPP.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from depot.values import InvalidValue

MAX_TOKENS = 20_000
"""In one depot."""

MAX_TOKEN_LENGTH = 36
"""OCPP 2.0.1 IdTokenType.idToken; an idTag of 1.6 has at most 20."""


class TokenStatus(StrEnum):
    """What a person said of a token."""

    ACCEPTED = "accepted"
    BLOCKED = "blocked"
    EXPIRED = "expired"
    INVALID = "invalid"

    @property
    def word(self) -> str:
        """OCPP's AuthorizationStatus."""
        return self.value.capitalize()


class TokenType(StrEnum):
    """OCPP 2.0.1 IdTokenEnumType. A 1.6 station does not say which; ``Central`` fits what the depot made up itself."""

    CENTRAL = "Central"
    EMAID = "eMAID"
    ISO14443 = "ISO14443"
    ISO15693 = "ISO15693"
    KEY_CODE = "KeyCode"
    LOCAL = "Local"
    MAC_ADDRESS = "MacAddress"
    NO_AUTHORIZATION = "NoAuthorization"


@dataclass(frozen=True, slots=True)
class Authorization:
    """The answer to a token. ``status``: OCPP's word; ``expires_at``: until when a station may remember the answer;
    ``group``: the parentIdTag (1.6), groupIdToken (2.x): who has the same group may end each other's sessions."""

    status: str
    expires_at: datetime | None = None
    group: str = ""

    @property
    def accepted(self) -> bool:
        return self.status == "Accepted"


ACCEPTED = Authorization("Accepted")
INVALID = Authorization("Invalid")
BLOCKED = Authorization("Blocked")


@dataclass(frozen=True, slots=True)
class IdToken:
    """One listed token. ``expires_at`` None: never by itself. ``group`` "": none."""

    token: str
    status: TokenStatus = TokenStatus.ACCEPTED
    expires_at: datetime | None = None
    group: str = ""
    type: TokenType = TokenType.ISO14443

    def __post_init__(self) -> None:
        _check(self.token, "an id token")
        if self.group:
            _check(self.group, "a group")
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise InvalidValue("the expiry of an id token needs a time zone, for example 2027-01-01T00:00:00Z")

    @property
    def key(self) -> str:
        """Under which it is kept: case does not count (OCPP CiString, identifierString)."""
        return self.token.casefold()

    def authorization(self, now: datetime) -> Authorization:
        """What a reader is told now."""
        expired = self.status is TokenStatus.ACCEPTED and self.expires_at is not None and self.expires_at <= now
        return Authorization("Expired" if expired else self.status.word, self.expires_at, self.group)


def _check(text: str, what: str) -> None:
    if not text or len(text) > MAX_TOKEN_LENGTH or not text.isprintable() or text != text.strip():
        raise InvalidValue(f"{text[:MAX_TOKEN_LENGTH]!r} is not {what}: 1 to {MAX_TOKEN_LENGTH} printable characters, no space at its ends")
