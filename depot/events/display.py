"""Facts of messages on stations' displays. See :mod:`depot.display_messages`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.display_messages import DisplayMessage, DisplayReport, MessageState
from depot.events.envelope import Event


@dataclass(frozen=True, slots=True)
class DisplayMessageAsked(Event):
    """Journaled before the station is asked: its id is not given again."""

    TYPE: ClassVar[str] = "display.message_asked"
    station_id: str
    message: DisplayMessage


@dataclass(frozen=True, slots=True)
class DisplayMessageAnswered(Event):
    """The station's word. ``said``: as OCPP spells it."""

    TYPE: ClassVar[str] = "display.message_answered"
    station_id: str
    message_id: int
    state: MessageState
    said: str = ""


@dataclass(frozen=True, slots=True)
class DisplayMessagesRequested(Event):
    """Journaled before the station is asked what it shows: the number is not given again."""

    TYPE: ClassVar[str] = "display.messages_requested"
    station_id: str
    request_id: int


@dataclass(frozen=True, slots=True)
class DisplayMessagesReported(Event):
    """The station has told what it shows, or stopped telling."""

    TYPE: ClassVar[str] = "display.messages_reported"
    report: DisplayReport
