"""Rooms of the core: what stands beside the loop with its own commands, views and tasks.

    Room.commands   kind of command -> who carries it out           (called by Orders, already journaled)
    Room.views      kind of view    -> who builds it                (asked for over the link, by name)
    Room.run        its follow-ups, until cancelled                 (one that falls is told of and begun again: controller.room_keeper)

A room reads the yard and appends facts; it never talks to another room.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from depot.commands import Command, CommandStatus
from depot.events import Envelope


class Answered(NamedTuple):
    """How far a command got, a sentence for the person, and what a machine answered."""

    status: CommandStatus
    message: str
    answer: Mapping[str, Any] | None = None


Carrier = Callable[[Any, Envelope], Awaitable[tuple[CommandStatus, str] | Answered]]
"""(command, its journaled request) -> how far it got, and a sentence for the person. Raises DepotError to refuse."""

Viewer = Callable[[Mapping[str, str]], Awaitable[Struct | None]]
"""Arguments as text -> the view; None for something that does not exist. Raises DepotError for arguments that can't be."""


class Room(Protocol):
    """See the module."""

    @property
    def commands(self) -> Mapping[type[Command], Carrier]: ...
    @property
    def views(self) -> Mapping[type[Struct], Viewer]: ...
    async def run(self) -> None: ...
