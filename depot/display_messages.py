"""Messages on stations' displays (OCPP 2.x block O): what each station was told to show, and what it says that it shows. Pure.

    asked --station's word--> accepted | refused      accepted --> cleared (by order) | gone (the station no longer has it)

Ids are ours and unique over the depot, so each message is on one station; one that was put there by somebody else keeps the id
that the station says. A message that replaces another under its id and is refused leaves the other in force.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from depot.values import InvalidValue

KEPT = 500
"""Messages that are over and still remembered, the newest."""
MAX_ID = 2**31 - 1
MOST_TEXTS = 5
"""One message, and four in other languages (2.1); 2.0.1 has one."""
MOST_CONTENT = 1024
FORMATS = ("ASCII", "HTML", "URI", "UTF8", "QRCODE")
"""MessageFormatEnumType; ``QRCODE`` is of 2.1."""
PRIORITIES = ("AlwaysFront", "InFront", "NormalCycle")
SHOWN_WHILE = ("Charging", "Faulted", "Idle", "Unavailable", "Suspended", "Discharging")
"""MessageStateEnumType; the last two are of 2.1."""


class MessageState(StrEnum):
    """How far a message got. ``asked``: the station gave no answer, it may show it."""

    ASKED = "asked"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    CLEARED = "cleared"
    GONE = "gone"

    @property
    def stands(self) -> bool:
        return self in (MessageState.ASKED, MessageState.ACCEPTED)


class MessageKey(NamedTuple):
    """A message on a station."""

    station_id: str
    message_id: int


@dataclass(frozen=True, slots=True)
class Text:
    """What is shown. ``language``: RFC 5646, "" for none."""

    content: str
    format: str = "UTF8"
    language: str = ""

    def __post_init__(self) -> None:
        if not self.content or len(self.content) > MOST_CONTENT:
            raise InvalidValue(f"a message has 1 to {MOST_CONTENT} characters")
        if self.format not in FORMATS:
            raise InvalidValue(f"a format is one of {', '.join(FORMATS)}")
        if self.format == "ASCII" and not self.content.isascii():
            raise InvalidValue("the text has characters that ASCII does not have: choose UTF8")


@dataclass(frozen=True, slots=True)
class DisplayMessage:
    """``shown_while`` "": always; ``transaction_id``: the station's own name of it, "" for none; ``evse`` 0: the station's
    main display. ``texts``: the first is the message, the others the same in other languages."""

    message_id: int
    priority: str
    texts: tuple[Text, ...]
    shown_while: str = ""
    start_at: datetime | None = None
    end_at: datetime | None = None
    transaction_id: str = ""
    evse: int = 0

    def __post_init__(self) -> None:
        if self.priority not in PRIORITIES:
            raise InvalidValue(f"a priority is one of {', '.join(PRIORITIES)}")
        if self.shown_while and self.shown_while not in SHOWN_WHILE:
            raise InvalidValue(f"a message is shown while {', '.join(SHOWN_WHILE)}, or always")
        if not 0 < len(self.texts) <= MOST_TEXTS:
            raise InvalidValue(f"a message has 1 to {MOST_TEXTS} texts")
        if self.start_at is not None and self.end_at is not None and self.end_at <= self.start_at:
            raise InvalidValue("a message ends later than it begins")


@dataclass(frozen=True, slots=True)
class Shown:
    """A message on a station. ``said``: the station's word on it; ``before``: what it replaces while that is not answered;
    ``own``: this depot put it there; ``seen_at``: when the station last told that it has it."""

    station_id: str
    message: DisplayMessage
    state: MessageState
    asked_at: datetime
    asked_by: str
    said: str = ""
    before: DisplayMessage | None = None
    own: bool = True
    seen_at: datetime | None = None

    @property
    def key(self) -> MessageKey:
        return MessageKey(self.station_id, self.message.message_id)

    def over(self, now: datetime) -> bool:
        """Whether its time is over: the station removes it by itself."""
        return self.message.end_at is not None and self.message.end_at <= now


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The last time that a station was asked what it shows. ``complete`` None: it was not told to the end yet."""

    request_id: int
    at: datetime
    complete: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class DisplayState:
    """All messages, oldest first. Never mutated."""

    shown: Mapping[MessageKey, Shown] = field(default_factory=dict)
    refreshed: Mapping[str, Refreshed] = field(default_factory=dict)
    next_id: int = 1
    next_request: int = 1

    def asked(self, station_id: str, message: DisplayMessage, at: datetime, by: str) -> DisplayState:
        """A station is about to be told to show it."""
        known = self.shown.get(MessageKey(station_id, message.message_id))
        before = None
        if known is not None and known.state.stands:
            before = known.message if known.state is MessageState.ACCEPTED else known.before
        new = Shown(station_id, message, MessageState.ASKED, at, by, before=before)
        following = max(self.next_id, message.message_id % MAX_ID + 1)
        return replace(self, shown=_bounded({**_without(self.shown, new.key), new.key: new}), next_id=following)

    def answered(self, station_id: str, message_id: int, state: MessageState, said: str) -> DisplayState:
        """The station's word on an order: to show it, or to clear it."""
        known = self.shown.get(MessageKey(station_id, message_id))
        if known is None:
            return self
        if state is MessageState.REFUSED and known.state is not MessageState.ASKED:
            state = known.state  # a refused clear: it still shows it
        elif state is MessageState.REFUSED and known.before is not None:
            known = replace(known, message=known.before, state=MessageState.ACCEPTED)
            state = MessageState.ACCEPTED
        changed = replace(known, state=state, said=said, before=None)
        return replace(self, shown={**self.shown, changed.key: changed})

    def requested(self, station_id: str, request_id: int, at: datetime) -> DisplayState:
        """A station is about to be asked what it shows."""
        following = max(self.next_request, request_id % MAX_ID + 1)
        return replace(self, refreshed={**self.refreshed, station_id: Refreshed(request_id, at)}, next_request=following)

    def reported(self, report: DisplayReport, at: datetime, by: str) -> DisplayState:
        """What a station has told that it shows; of what it was asked for and does not have it shows no more."""
        shown = dict(self.shown)
        told = set()
        for message in report.messages:
            key = MessageKey(report.station_id, message.message_id)
            told.add(key)
            known = shown.get(key)
            if known is None:
                shown[key] = Shown(report.station_id, message, MessageState.ACCEPTED, at, by, own=False, seen_at=at)
            else:
                shown[key] = replace(known, message=message, state=MessageState.ACCEPTED, before=None, seen_at=at)
        for key, known in self.shown.items():
            asked = key.station_id == report.station_id and (not report.ids or key.message_id in report.ids)
            if report.complete and not report.filtered and asked and key not in told and known.state.stands:
                shown[key] = replace(known, state=MessageState.GONE)
        refreshed = self.refreshed.get(report.station_id)
        if refreshed is not None and refreshed.request_id == report.request_id:
            ended = replace(refreshed, complete=report.complete, note=report.note)
            return replace(self, shown=_bounded(shown), refreshed={**self.refreshed, report.station_id: ended})
        return replace(self, shown=_bounded(shown))


@dataclass(frozen=True, slots=True)
class DisplayReport:
    """Everything that came to one GetDisplayMessages. ``ids``: which were asked for, () for all; ``filtered``: only some of
    them by priority or state. ``complete`` False: parts are missing, ``note`` says why."""

    station_id: str
    request_id: int
    messages: tuple[DisplayMessage, ...]
    complete: bool
    ids: tuple[int, ...] = ()
    filtered: bool = False
    note: str = ""


class DisplayDesk(Protocol):
    """Who hears what stations show."""

    def displayed(self, station_id: str, request_id: int, messages: tuple[DisplayMessage, ...], *, more: bool) -> None:
        """A NotifyDisplayMessages. ``more``: others follow."""


def _without(shown: Mapping[MessageKey, Shown], key: MessageKey) -> dict[MessageKey, Shown]:
    return {k: s for k, s in shown.items() if k != key}


def _bounded(shown: dict[MessageKey, Shown]) -> dict[MessageKey, Shown]:
    over = [key for key, s in shown.items() if not s.state.stands]
    return {key: s for key, s in shown.items() if key not in set(over[:-KEPT])} if len(over) > KEPT else shown
