"""Commands on messages on stations' displays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from depot.commands.command import Command
from depot.commands.stations import StationCommand
from depot.display_messages import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowMessage(Command):
    """Have stations show a message. ``station_ids`` (): all of OCPP 2.x, or that of ``transaction_id`` (the depot's number),
    with which the message ends. ``message_id`` None: a new one on each station; else it replaces that one, on one station."""

    TITLE: ClassVar[str] = "Show message"

    station_ids: tuple[str, ...]
    priority: str
    texts: tuple[Text, ...]
    shown_while: str = ""
    start_at: datetime | None = None
    end_at: datetime | None = None
    transaction_id: int | None = None
    evse: int = 0
    message_id: int | None = None

    @property
    def target(self) -> str:
        if self.transaction_id is not None:
            return f"transaction {self.transaction_id}"
        return self.station_ids[0] if len(self.station_ids) == 1 else f"{len(self.station_ids) or 'all'} stations"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"priority": self.priority} | ({"message": str(self.message_id)} if self.message_id is not None else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearMessage(StationCommand):
    """Have a station show a message no more."""

    TITLE: ClassVar[str] = "Clear message"

    message_id: int

    @property
    def detail(self) -> Mapping[str, str]:
        return {"message": str(self.message_id)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshMessages(StationCommand):
    """Ask a station what it shows. ``ids`` (): all; ``priority``, ``shown_while`` "": of any."""

    TITLE: ClassVar[str] = "Refresh messages"

    ids: tuple[int, ...] = ()
    priority: str = ""
    shown_while: str = ""
