"""The room of messages on stations' displays (OCPP 2.x block O).

    ShowMessage --fact--> SetDisplayMessage, each station its own id --word--> fact
    RefreshMessages --fact--> GetDisplayMessages --Accepted--> NotifyDisplayMessages, joined --> fact
    ClearMessage --> ClearDisplayMessage --word--> fact

What a station shows after a restart is what it kept itself: it is asked, not assumed. Calls that people make up are kept as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from controller.joining import Joining, Joinings
from controller.raw_calls import RawCalls, as_answer, in_words
from controller.room import Answered, Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.display_messages import MAX_ID, DisplayMessage, DisplayReport, DisplayState, MessageKey, MessageState, Shown
from depot.values import DepotError, InvalidValue, Outcome, UnknownThing
from ocpp_server.display_messages import CLEAR, GET, SET, clear_message, get_messages, read_message, set_message
from ocpp_server.reply import NEVER_LEFT, Reply
from ocpp_server.version import Version

ANSWER_S = 20.0
"""So long whoever asks waits for a station that tells what it shows; what comes later is kept all the same."""
MOST_STATIONS = 500
AT_ONCE = 20
"""Stations that are told at the same time."""

Messages = tuple[DisplayMessage, ...]


class Named(Protocol):
    """Who knows how a station calls a transaction."""

    def transaction_name(self, station_id: str, number: int) -> str | None: ...


class TextRow(Struct, frozen=True, kw_only=True):
    """One text. ``language`` "": none was said."""

    content: str
    format: str
    language: str


class MessageRow(Struct, frozen=True, kw_only=True):
    """One message on one station. ``state``: asked (no answer: it may show it), accepted, refused, cleared, gone; ``said``: the
    station's word; ``over``: its time has ended, the station removes it by itself; ``own`` False: somebody else put it there.
    ``transaction_id``: as the station calls it; ``seen_at``: when the station last told that it has it."""

    station_id: str
    message_id: int
    priority: str
    shown_while: str
    start_at: datetime | None
    end_at: datetime | None
    transaction_id: str
    evse: int
    texts: list[TextRow]
    state: str
    said: str
    over: bool
    own: bool
    asked_at: datetime
    asked_by: str
    seen_at: datetime | None


class RefreshedRow(Struct, frozen=True, kw_only=True):
    """The last time that a station was asked. ``complete`` null: it is still telling; false: parts are missing, see ``note``."""

    station_id: str
    request_id: int
    at: datetime
    complete: bool | None
    note: str


class DisplaysView(Struct, frozen=True, kw_only=True):
    """Messages, newest first; ``stations``: those of OCPP 2.x, which can be told to show something."""

    at: datetime
    messages: list[MessageRow]
    refreshed: list[RefreshedRow]
    stations: list[str]


class DisplayReports:
    """Hears what stations tell: a :class:`~depot.display_messages.DisplayDesk`."""

    def __init__(self) -> None:
        self.joinings: Joinings[Messages] = Joinings()

    def displayed(self, station_id: str, request_id: int, messages: Messages, *, more: bool) -> None:
        self.joinings.add(station_id, request_id, messages, weight=len(messages), more=more)


class Displays:
    """The room."""

    def __init__(self, yard: Yard, calls: RawCalls, named: Named, reports: DisplayReports) -> None:
        self._yard = yard
        self._calls = calls
        self._named = named
        self._reports = reports
        self._numbering = asyncio.Lock()
        self._seats = asyncio.Semaphore(AT_ONCE)
        self._telling: set[asyncio.Task[None]] = set()
        calls.announced.append(self._announced)
        calls.heard.append(self._heard)
        self.commands: Mapping[type[cmd.Command], Carrier] = {
            cmd.ShowMessage: self._show_message,
            cmd.ClearMessage: self._clear,
            cmd.RefreshMessages: self._refresh,
        }
        self.views: Mapping[type[Struct], Viewer] = {DisplaysView: self._show}

    async def run(self) -> None:
        """Those that a restart has cut off are not told to the end any more."""
        for station_id, asked in self._state.refreshed.items():
            if asked.complete is None:
                report = DisplayReport(station_id, asked.request_id, (), complete=False, note="the controller restarted meanwhile")
                await self._append(None, ev.DisplayMessagesReported(report))
        await asyncio.Event().wait()

    @property
    def _state(self) -> DisplayState:
        return self._yard.state.displays

    # -- orders -------------------------------------------------------------------------------------------------

    async def _show_message(self, command: cmd.ShowMessage, cause: ev.Envelope) -> Answered:
        stations, transaction = self._targets(command)
        if command.message_id is not None and (len(stations) != 1 or MessageKey(stations[0], command.message_id) not in self._state.shown):
            raise UnknownThing("there is no such message on this station: GET /api/v1/display-messages lists all")
        draft = DisplayMessage(
            command.message_id or 1, command.priority, command.texts, command.shown_while, command.start_at, command.end_at, transaction,
            command.evse,
        )  # fmt: skip
        if draft.end_at is not None and draft.end_at <= self._yard.clock.now():
            raise InvalidValue("this message would be over already")
        for station_id in stations:
            set_message(draft, self._version(station_id))  # one that a station cannot take is told to nobody
        async with self._numbering:
            first = self._state.next_id if command.message_id is None else command.message_id
            told = [(station_id, replace(draft, message_id=_number(first, n))) for n, station_id in enumerate(stations)]
            await self._append(cause, *(ev.DisplayMessageAsked(station_id, message) for station_id, message in told))
        replies = await asyncio.gather(*(self._tell(station_id, message, cause) for station_id, message in told))
        rows = [self._row_of(station_id, message.message_id) for station_id, message in told]
        taken = sum(reply.outcome is Outcome.ACCEPTED for reply in replies)
        words = in_words(replies[0]) if len(told) == 1 else f"{taken} of {len(told)} stations took it"
        return Answered(CommandStatus.DONE if taken else CommandStatus.FAILED, f"message: {words}", {"messages": rows})

    async def _tell(self, station_id: str, message: DisplayMessage, cause: ev.Envelope) -> Reply:
        action, payload = set_message(message, self._version(station_id))
        assert isinstance(payload, dict)
        async with self._seats:
            try:
                reply = await self._calls.send(station_id, action, payload, cause)
            except DepotError as error:
                reply = Reply(Outcome.ERROR, code="NeverSent", description=str(error)[:200])
        fact = _answered(station_id, message.message_id, reply)
        if fact is not None and self._state.shown[MessageKey(station_id, message.message_id)].state is MessageState.ASKED:
            await self._append(cause, fact)  # a refusal; what may have happened is heard already
        return reply

    def _targets(self, command: cmd.ShowMessage) -> tuple[list[str], str]:
        """Which stations, and how theirs calls the transaction. Raises :class:`DepotError`."""
        if command.transaction_id is not None:
            running = self._yard.state.transactions.get(command.transaction_id)
            if running is None:
                raise UnknownThing(f"no transaction {command.transaction_id} runs: GET /api/v1/stations shows which do")
            station_id = running.connector.station_id
            if command.station_ids not in ((), (station_id,)):
                raise InvalidValue(f"transaction {command.transaction_id} runs at {station_id}")
            name = self._named.transaction_name(station_id, command.transaction_id)
            if name is None:
                raise DepotError(f"{station_id} has not named this transaction yet: try again when it reports")
            return [station_id], name
        wanted = list(dict.fromkeys(command.station_ids)) or self._of_2x()
        if not 0 < len(wanted) <= MOST_STATIONS:
            raise DepotError(f"a message goes to 1 to {MOST_STATIONS} stations of OCPP 2.x")
        return wanted, ""

    async def _clear(self, command: cmd.ClearMessage, cause: ev.Envelope) -> Answered:
        self._version(command.station_id)
        key = MessageKey(command.station_id, command.message_id)
        if key not in self._state.shown:
            raise UnknownThing("there is no such message on this station: GET /api/v1/display-messages lists all")
        action, payload = clear_message(command.message_id)
        assert isinstance(payload, dict)
        reply = await self._calls.send(command.station_id, action, payload, cause)
        said = str(reply.payload.get("status", ""))
        if said == "Unknown":  # it is not there; what was accepted is heard already
            await self._append(cause, ev.DisplayMessageAnswered(*key, MessageState.CLEARED, said))
        elif said and reply.refused:
            await self._append(cause, ev.DisplayMessageAnswered(*key, MessageState.REFUSED, said))
        done = not self._state.shown[key].state.stands
        status = CommandStatus.DONE if done else CommandStatus.FAILED
        return Answered(status, f"message {command.message_id}: {in_words(reply)}", {"messages": [self._row_of(*key)]})

    async def _refresh(self, command: cmd.RefreshMessages, cause: ev.Envelope) -> Answered:
        self._version(command.station_id)
        async with self._numbering:
            number = self._state.next_request
            await self._append(cause, ev.DisplayMessagesRequested(command.station_id, number))
        joining, task = self._listen(command, number)
        action, payload = get_messages(number, ids=command.ids, priority=command.priority, shown_while=command.shown_while)
        assert isinstance(payload, dict)
        try:
            reply = await self._calls.send(command.station_id, action, payload, cause)
        except DepotError:
            joining.give_up("the question was not sent")
            raise
        if reply.payload.get("status") == "Unknown":
            joining.whole()  # it has none that match
        elif reply.outcome is not Outcome.ACCEPTED:
            joining.give_up(in_words(reply))
        await asyncio.wait({task}, timeout=ANSWER_S)
        asked = self._state.refreshed[command.station_id]
        answer = {
            "station_id": command.station_id, "request_id": number, "state": reply.payload.get("status"),
            "outcome": as_answer(reply)["outcome"], "complete": asked.complete if asked.request_id == number else False,
            "note": asked.note,
            "messages": [self._row_of(*s.key) for s in self._state.shown.values() if s.station_id == command.station_id and s.state.stands],
        }  # fmt: skip
        if not task.done():
            return Answered(CommandStatus.DONE, f"{command.station_id} is still telling", answer)
        return Answered(CommandStatus.DONE if asked.complete else CommandStatus.FAILED, f"{command.station_id}: {in_words(reply)}", answer)

    def _listen(self, command: cmd.RefreshMessages, number: int) -> tuple[Joining[Messages], asyncio.Task[None]]:
        joining = self._reports.joinings.expect(command.station_id, number)
        task = asyncio.create_task(self._joined(command, number, joining), name=f"display messages {command.station_id}")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
        return joining, task

    async def _joined(self, command: cmd.RefreshMessages, number: int, joining: Joining[Messages]) -> None:
        joined = await joining.result
        asked = self._state.refreshed.get(command.station_id)
        if not joined.complete and not joined.parts and (asked is None or asked.request_id != number):
            return  # a person asked in vain
        messages = {message.message_id: message for part in joined.parts for message in part}
        report = DisplayReport(
            command.station_id, number, tuple(messages.values()), joined.complete, command.ids,
            bool(command.priority or command.shown_while), joined.note,
        )  # fmt: skip
        await self._append(None, ev.DisplayMessagesReported(report))

    # -- what is heard of every call, also of those that people make up -----------------------------------------

    async def _heard(self, station_id: str, action: str, payload: Mapping[str, Any], reply: Reply) -> None:
        facts: list[ev.Event] = []
        if action == SET:
            message = read_message(dict(payload["message"]))
            known = self._state.shown.get(MessageKey(station_id, message.message_id))
            if known is None or known.state is not MessageState.ASKED or known.message != message:
                facts.append(ev.DisplayMessageAsked(station_id, message))
            fact = _answered(station_id, message.message_id, reply)
            facts += [] if fact is None else [fact]
        elif action == CLEAR and MessageKey(station_id, payload["id"]) in self._state.shown and reply.outcome is Outcome.ACCEPTED:
            facts.append(ev.DisplayMessageAnswered(station_id, payload["id"], MessageState.CLEARED, "Accepted"))
        await self._append(None, *facts)

    def _announced(self, station_id: str, action: str, payload: Mapping[str, Any]) -> None:
        """A person asks under a number of his own: what comes, perhaps before the answer is looked at, is kept as if we had."""
        if action == GET and self._reports.joinings.of(station_id, payload["requestId"]) is None:
            wanted = cmd.RefreshMessages(
                command_id="", actor="", station_id=station_id, ids=tuple(payload.get("id", ())), priority=payload.get("priority", ""),
                shown_while=payload.get("state", ""),
            )  # fmt: skip
            self._listen(wanted, payload["requestId"])

    async def _append(self, cause: ev.Envelope | None, *facts: ev.Event) -> None:
        if not facts:
            return
        now = self._yard.clock.now()
        if cause is None:
            await self._yard.journal.append([ev.NewEvent(fact, now) for fact in facts])
        else:
            await self._yard.journal.append([ev.NewEvent(fact, now, actor=cause.actor, cause_id=cause.id) for fact in facts])

    # -- views --------------------------------------------------------------------------------------------------

    async def _show(self, args: Mapping[str, str]) -> DisplaysView | None:
        """``station_id``, ``state``: only those; ``standing``: only what stations show or may show."""
        wanted = args.get("station_id", "")
        if wanted and not self._calls.knows(wanted):
            return None
        rows = [
            s
            for s in self._state.shown.values()
            if wanted in ("", s.station_id)
            and args.get("state", s.state.value) == s.state.value
            and (s.state.stands or "standing" not in args)
        ]
        now = self._yard.clock.now()
        return DisplaysView(
            at=now,
            messages=[_row(s, now) for s in reversed(rows)],
            refreshed=[
                RefreshedRow(station_id=name, request_id=r.request_id, at=r.at, complete=r.complete, note=r.note)
                for name, r in sorted(self._state.refreshed.items())
                if wanted in ("", name)
            ],
            stations=[name for name in self._of_2x() if wanted in ("", name)],
        )

    def _row_of(self, station_id: str, message_id: int) -> MessageRow:
        return _row(self._state.shown[MessageKey(station_id, message_id)], self._yard.clock.now())

    def _of_2x(self) -> list[str]:
        ids: Iterable[str] = (s.station_id for s in self._yard.spec.stations)
        return [station_id for station_id in ids if self._calls.version(station_id) is not Version.V16]

    def _version(self, station_id: str) -> Version:
        version = self._calls.version(station_id)
        if version is Version.V16:
            raise InvalidValue(f"{station_id} speaks OCPP 1.6, which has no messages for displays")
        return version


def _number(first: int, n: int) -> int:
    return (first + n - 1) % MAX_ID + 1


def _answered(station_id: str, message_id: int, reply: Reply) -> ev.DisplayMessageAnswered | None:
    """The station's word on a SetDisplayMessage; None where it said nothing: it may show it."""
    said = str(reply.payload.get("status", ""))
    if reply.outcome is Outcome.ACCEPTED:
        return ev.DisplayMessageAnswered(station_id, message_id, MessageState.ACCEPTED, said)
    if said or reply.outcome is Outcome.OFFLINE or reply.refused or reply.code in NEVER_LEFT:
        return ev.DisplayMessageAnswered(station_id, message_id, MessageState.REFUSED, said or reply.code or reply.outcome.value)
    return None


def _row(s: Shown, now: datetime) -> MessageRow:
    m = s.message
    texts: Sequence[TextRow] = [TextRow(content=t.content, format=t.format, language=t.language) for t in m.texts]
    return MessageRow(
        station_id=s.station_id, message_id=m.message_id, priority=m.priority, shown_while=m.shown_while, start_at=m.start_at,
        end_at=m.end_at, transaction_id=m.transaction_id, evse=m.evse, texts=list(texts), state=s.state.value, said=s.said,
        over=s.over(now), own=s.own, asked_at=s.asked_at, asked_by=s.asked_by, seen_at=s.seen_at,
    )  # fmt: skip
