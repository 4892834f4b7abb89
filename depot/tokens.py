"""Who may charge: cards, app accounts and other id tokens as people listed them, and the answer that a reader gets.

    Presented (what a station says) --keys_for--> the listed IdToken --answer--> Authorization

A token that stands in this list is decided by it alone; one that does not may still be a registered vehicle's or
driver's, or belong to an announced stay. The type is part of who it is where it was listed with one: a card and an app
account of the same text are two tokens. One without a type is meant whatever the reader says, and a reader that says no
type (OCPP 1.6) means any. Protocol words (``Accepted``, ``ConcurrentTx`` …) are those of OCPP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from depot.values import InvalidValue

MAX_TOKENS = 20_000
"""In one depot."""

MAX_TOKEN_LENGTH = 255
"""OCPP 2.1 IdTokenType.idToken; one of 2.0.1 has at most 36, an idTag of 1.6 at most 20."""

MAX_TYPE_LENGTH = 20
"""OCPP 2.1 IdTokenType.type, which is free text there."""

MAX_MESSAGE_LENGTH = 512
"""OCPP 2.0.1 MessageContentType.content."""

MAX_ADDITIONAL = 8
MAX_PLACES = 64
PRIORITIES: Final = range(-9, 10)
"""OCPP 2.x IdTokenInfoType.chargingPriority; 0 is the usual one."""
_TYPE: Final = re.compile(r"[A-Za-z0-9 ._-]{1,20}")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,4})?")


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
    """OCPP 2.0.1 IdTokenEnumType; 2.1 may have others. A 1.6 station does not say which; ``Central`` fits what the depot made
    up itself."""

    CENTRAL = "Central"
    EMAID = "eMAID"
    ISO14443 = "ISO14443"
    ISO15693 = "ISO15693"
    KEY_CODE = "KeyCode"
    LOCAL = "Local"
    MAC_ADDRESS = "MacAddress"
    NO_AUTHORIZATION = "NoAuthorization"


_OF_A_READER: Final = (
    TokenType.ISO14443, TokenType.ISO15693, TokenType.LOCAL, TokenType.CENTRAL, TokenType.EMAID, TokenType.KEY_CODE, TokenType.MAC_ADDRESS,
)  # fmt: skip
"""Types that a reader may mean which says none, the likeliest first."""


def token_key(token: str, kind: str = "") -> str:
    """Under which a token is kept: case does not count (OCPP CiString, identifierString), nor do an eMAID's hyphens."""
    if not kind:
        return token.casefold()
    kind = kind.casefold()
    return f"{token.replace('-', '').casefold() if kind == 'emaid' else token.casefold()}\t{kind}"


def keys_for(token: str, kind: str = "") -> Iterator[str]:
    """Where a token that was shown may stand in the list: the first that does, counts. ``kind`` "": the reader says none."""
    if kind:
        yield token_key(token, kind)
    yield token_key(token)
    if not kind:
        yield from (token_key(token, likely) for likely in _OF_A_READER)


@dataclass(frozen=True, slots=True)
class AdditionalId:
    """OCPP 2.x AdditionalInfoType: what else is shown beside a token, for example a PIN or a driver's own card."""

    id: str
    type: str

    def __post_init__(self) -> None:
        _check(self.id, "an additional id")
        if not self.type or len(self.type) > 50 or not self.type.isprintable():
            raise InvalidValue("the type of an additional id has 1 to 50 printable characters")

    @property
    def key(self) -> tuple[str, str]:
        return self.id.casefold(), self.type.casefold()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a token may be used: a station, or with ``connector`` only that one of it."""

    station_id: str
    connector: int = 0

    def __post_init__(self) -> None:
        if not 1 <= len(self.station_id) <= 48 or not 0 <= self.connector <= 99:
            raise InvalidValue("a place names a station, and a connector of it or 0 for any")


@dataclass(frozen=True, slots=True)
class Presented:
    """A token as somebody shows it. ``type`` "": the reader says none (1.6). ``additional``: what was shown beside it, keys."""

    token: str
    type: str = ""
    additional: frozenset[tuple[str, str]] = frozenset()

    @property
    def nobody(self) -> bool:
        """Nobody has shown anything: the station lets charge without (free vending)."""
        return self.type == TokenType.NO_AUTHORIZATION or not self.token


@dataclass(frozen=True, slots=True)
class Authorization:
    """The answer to a token. ``status``: OCPP's word; ``expires_at``: until when a station may remember the answer;
    ``group``: the parentIdTag (1.6), groupIdToken (2.x): who has the same group may end each other's sessions. ``master``: it is a
    master pass: it ends any session and begins none (OCPP 2.x C16). The rest as OCPP 2.x IdTokenInfoType has it; ``evses``: of the
    asking station, () for all."""

    status: str
    expires_at: datetime | None = None
    group: str = ""
    group_type: str = ""
    message: str = ""
    language: str = ""
    priority: int = 0
    evses: tuple[int, ...] = ()
    master: bool = False

    @property
    def accepted(self) -> bool:
        return self.status == "Accepted"


ACCEPTED = Authorization("Accepted")
INVALID = Authorization("Invalid")
BLOCKED = Authorization("Blocked")


@dataclass(frozen=True, slots=True)
class IdToken:
    """One listed token. ``expires_at`` None: never by itself. ``group`` "": none. ``type`` "": any. ``additional``: what must be
    shown beside it, all of it. ``only_at``: where it may be used, () for everywhere. ``personal_message``, ``language`` (RFC 5646)
    and ``charging_priority`` are told to stations that have a use for them (2.x)."""

    token: str
    status: TokenStatus = TokenStatus.ACCEPTED
    expires_at: datetime | None = None
    group: str = ""
    type: str = ""
    group_type: str = ""
    additional: tuple[AdditionalId, ...] = ()
    only_at: tuple[Place, ...] = ()
    personal_message: str = ""
    language: str = ""
    charging_priority: int = 0

    def __post_init__(self) -> None:
        _check(self.token, "an id token")
        if self.group:
            _check(self.group, "a group")
        for kind in (self.type, self.group_type):
            if kind and not _TYPE.fullmatch(kind):
                raise InvalidValue(f"{kind[:MAX_TYPE_LENGTH]!r} is no type of a token: 1 to {MAX_TYPE_LENGTH} letters, digits or . _ -")
        if self.type == TokenType.NO_AUTHORIZATION:
            raise InvalidValue("NoAuthorization is the type of no token: whether anybody may charge is a setting (ocpp.free_vend)")
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise InvalidValue("the expiry of an id token needs a time zone, for example 2027-01-01T00:00:00Z")
        if len(self.additional) > MAX_ADDITIONAL or len(self.only_at) > MAX_PLACES:
            raise InvalidValue(f"a token has at most {MAX_ADDITIONAL} additional ids and {MAX_PLACES} places")
        if len(self.personal_message) > MAX_MESSAGE_LENGTH:
            raise InvalidValue(f"a personal message has at most {MAX_MESSAGE_LENGTH} characters")
        if self.language and not _LANGUAGE.fullmatch(self.language):
            raise InvalidValue(f"{self.language[:12]!r} is no language: write it like en or hi-IN")
        if self.charging_priority not in PRIORITIES:
            raise InvalidValue(f"a charging priority is within -9 and 9, not {self.charging_priority}")

    @property
    def key(self) -> str:
        """Under which it is kept."""
        return token_key(self.token, self.type)

    @property
    def text_key(self) -> str:
        """The same, whatever its type: a station's local list knows a token by it."""
        return self.token.casefold()

    @property
    def wire_type(self) -> str:
        """What a station is told of its type."""
        return self.type or TokenType.ISO14443

    def authorization(self, now: datetime) -> Authorization:
        """What a reader is told now, wherever it is."""
        expired = self.status is TokenStatus.ACCEPTED and self.expires_at is not None and self.expires_at <= now
        return Authorization(
            "Expired" if expired else self.status.word,
            self.expires_at,
            self.group,
            self.group_type,
            self.personal_message,
            self.language,
            self.charging_priority,
        )

    def answer(self, shown: Presented, now: datetime, *, station_id: str, connector: int | None = None) -> Authorization:
        """What the reader of this station is told. ``connector`` None: it does not say where it shall be."""
        said = self.authorization(now)
        if not said.accepted:
            return said
        if not {more.key for more in self.additional} <= shown.additional:
            return replace(said, status="Invalid")
        if not self.only_at:
            return said
        here = [place.connector for place in self.only_at if place.station_id == station_id]
        if not here or (connector is not None and 0 not in here and connector not in here):
            return replace(said, status="NotAtThisLocation")
        return said if 0 in here else replace(said, evses=tuple(sorted(set(here))))


def _check(text: str, what: str) -> None:
    if not text or len(text) > MAX_TOKEN_LENGTH or not text.isprintable() or text != text.strip():
        raise InvalidValue(f"{text[:36]!r} is not {what}: 1 to {MAX_TOKEN_LENGTH} printable characters, no space at its ends")
