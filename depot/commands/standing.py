"""Commands on what stations keep for the depot: reservations, local authorization lists, configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar

from depot.commands.command import Command
from depot.commands.stations import StationCommand
from depot.local_lists import UpdateType
from depot.tokens import IdToken


@dataclass(frozen=True, slots=True, kw_only=True)
class ReserveConnector(StationCommand):
    """Keep a connector for a token. ``connector`` 0: any of the station's, or with ``connector_type`` (2.x) any of that type.
    ``reservation_id`` None: the next free one."""

    TITLE: ClassVar[str] = "Reserve connector"

    connector: int
    id_token: str
    expires_at: datetime
    group: str = ""
    reservation_id: int | None = None
    connector_type: str = ""

    @property
    def detail(self) -> Mapping[str, str]:
        return {"connector": str(self.connector or "any"), "until": self.expires_at.isoformat()}


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelReservation(Command):
    """End a reservation before it expires."""

    TITLE: ClassVar[str] = "Cancel reservation"

    reservation_id: int

    @property
    def target(self) -> str:
        return f"reservation {self.reservation_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendLocalList(StationCommand):
    """Tell a station which tokens it may accept by itself. ``entries`` None: all listed tokens, or, for a differential update,
    what has changed of them. ``remove``: tokens to take out (differential only). ``list_version`` None: the next one."""

    TITLE: ClassVar[str] = "Send local list"

    update: UpdateType
    entries: tuple[IdToken, ...] | None = None
    remove: tuple[str, ...] = ()
    list_version: int | None = None

    @property
    def detail(self) -> Mapping[str, str]:
        listed = "all" if self.entries is None else str(len(self.entries))
        return {"update": self.update.value, "entries": listed, "removed": str(len(self.remove))}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeConfiguration(StationCommand):
    """Set a configuration key of a 1.6 station. The value may be a secret: it is not kept."""

    TITLE: ClassVar[str] = "Change configuration"

    key: str
    value: str = field(repr=False)

    @property
    def detail(self) -> Mapping[str, str]:
        return {"key": self.key[:50]}

    @property
    def bare(self) -> Command:
        return replace(self, value="")
