"""Facts of who is let in: id tokens, and how far a station is admitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from depot.events.envelope import Event
from depot.tokens import IdToken


class Registration(StrEnum):
    """How far a station is admitted (OCPP RegistrationStatus). ``pending``: it may talk and be set up, but charge nobody;
    ``rejected``: nothing that it says is stored."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    REJECTED = "rejected"

    @property
    def word(self) -> str:
        """OCPP's RegistrationStatus."""
        return self.value.capitalize()


@dataclass(frozen=True, slots=True)
class IdTokenListed(Event):
    """A person listed a token, or changed what the list says of it."""

    TYPE: ClassVar[str] = "token.id_token_listed"
    VERSION: ClassVar[int] = 2
    token: IdToken


@dataclass(frozen=True, slots=True)
class IdTokenRemoved(Event):
    """A token is not in the list any more. ``key``: see :attr:`depot.tokens.IdToken.key`."""

    TYPE: ClassVar[str] = "token.id_token_removed"
    key: str


@dataclass(frozen=True, slots=True)
class MasterPassShown(Event):
    """A token of the master pass's group was let through at a station: it may end any session there (OCPP 2.x C16)."""

    TYPE: ClassVar[str] = "token.master_pass_shown"
    station_id: str
    id_token: str


@dataclass(frozen=True, slots=True)
class StationAdmitted(Event):
    """A person said how far a station is admitted."""

    TYPE: ClassVar[str] = "station.station_admitted"
    station_id: str
    registration: Registration


@dataclass(frozen=True, slots=True)
class StationItemLimitsSet(Event):
    """How many items a station takes in one message, where a person knows it better than the station says. Names as in
    :data:`ITEM_LIMITS`; an empty mapping: as the station says."""

    TYPE: ClassVar[str] = "station.item_limits_set"
    station_id: str
    limits: Mapping[str, int] = field(default_factory=dict)


ITEM_LIMITS = {
    "get_configuration": "keys of one GetConfiguration",
    "local_list": "entries of one SendLocalList",
    "get_variables": "variables of one GetVariables (2.x)",
    "set_variables": "variables of one SetVariables (2.x)",
}
"""Item limits by name, and what they count."""
