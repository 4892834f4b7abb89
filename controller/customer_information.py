"""The room of what stations keep about customers (OCPP 2.x N09, N10): asked for with a reason, told once, forgotten soon.

    AskCustomerInformation --fact--> CustomerInformation --Accepted--> NotifyCustomerInformation, joined --> memory, an hour
                                                         `- cleared --> the station's local list without this token

A person's data are in the memory of this process only: not in the journal, not in a log, not in a backup.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from controller.joining import Joined, Joining, Joinings
from controller.raw_calls import RawCalls, as_answer, in_words
from controller.room import Answered, Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.customer_information import CustomerRequest, CustomerRequests, RequestState
from depot.local_lists import LocalList, Part, UpdateType
from depot.values import DepotError, InvalidValue, Outcome
from ocpp_server.customer_information import ask
from ocpp_server.reply import Reply
from ocpp_server.tokens_out import send_local_list
from ocpp_server.version import Version

KEEP = timedelta(hours=1)
ANSWER_S = 20.0
"""So long whoever asks waits for a station to tell all."""
LOOK_S = 60.0


class CustomerRow(Struct, frozen=True, kw_only=True):
    """One request. ``state``: asked (no answer), refused, telling, done, incomplete; ``said``: the station's word. ``data``: what
    it told, in its own words and order; null where this was not asked for, is not shown here, or is forgotten again."""

    request_id: int
    station_id: str
    report: bool
    clear: bool
    about: str
    asked_at: datetime
    asked_by: str
    state: str
    said: str
    note: str
    data: str | None
    forgotten_at: datetime | None


class CustomersView(Struct, frozen=True, kw_only=True):
    """Requests, newest first; their data only where one is asked for by its number."""

    at: datetime
    requests: list[CustomerRow]


class CustomerReports:
    """Hears what stations tell: a :class:`~depot.customer_information.CustomerDesk`."""

    def __init__(self) -> None:
        self.joinings: Joinings[str] = Joinings()

    def told_of_customer(self, station_id: str, request_id: int, data: str, *, seq_no: int, more: bool) -> None:
        self.joinings.add(station_id, request_id, data, seq=seq_no, more=more)


@dataclass(frozen=True, slots=True)
class _Told:
    data: str
    until: datetime


class CustomerInformation:
    """The room."""

    def __init__(self, yard: Yard, calls: RawCalls, reports: CustomerReports) -> None:
        self._yard = yard
        self._calls = calls
        self._reports = reports
        self._told: dict[int, _Told] = {}
        self._numbering = asyncio.Lock()
        self._telling: set[asyncio.Task[None]] = set()
        self.commands: Mapping[type[cmd.Command], Carrier] = {cmd.AskCustomerInformation: self._ask}
        self.views: Mapping[type[Struct], Viewer] = {CustomersView: self._show}

    async def run(self) -> None:
        """End what a restart has cut off, and forget what is old."""
        for request in list(self._requests.requests.values()):
            if request.state in (RequestState.ASKED, RequestState.TELLING):
                await self._changed(request.request_id, RequestState.INCOMPLETE, note="the controller restarted meanwhile")
        while True:
            await self._yard.clock.sleep(LOOK_S)
            self._forget()

    @property
    def _requests(self) -> CustomerRequests:
        return self._yard.state.customers

    async def _ask(self, command: cmd.AskCustomerInformation, cause: ev.Envelope) -> Answered:
        station_id = command.station_id
        if self._calls.version(station_id) is Version.V16:
            raise InvalidValue(f"{station_id} speaks OCPP 1.6, which cannot be asked what it keeps about customers")
        if not (command.report or command.clear):
            raise InvalidValue("say what is wanted: report, clear or both")
        if sum((bool(command.id_token), command.certificate is not None, bool(command.identifier))) != 1:
            raise InvalidValue("name the customer by one of id token, certificate and identifier")
        async with self._numbering:
            number = self._requests.next_id
            asked = ev.CustomerInformationAsked(station_id, number, command.report, command.clear, command.about)
            await self._yard.journal.append([ev.NewEvent(asked, self._yard.clock.now(), actor=cause.actor, cause_id=cause.id)])
        joining = self._reports.joinings.expect(station_id, number)
        action, payload = ask(
            number, report=command.report, clear=command.clear, id_token=command.id_token, token_type=command.token_type.value,
            certificate=command.certificate, identifier=command.identifier,
        )  # fmt: skip
        assert isinstance(payload, dict)
        try:
            reply = await self._calls.send(station_id, action, payload, cause)
        except DepotError as error:
            joining.give_up("")
            await self._changed(number, RequestState.REFUSED, note=str(error)[:200])
            raise
        list_update = await self._follow(command, number, joining, reply, cause)
        request = self._requests.requests[number]
        answer: dict[str, Any] = {
            "request_id": number, "station_id": station_id, "state": request.state.value, "said": request.said, "note": request.note,
            "outcome": as_answer(reply)["outcome"], "local_list": list_update,
        }  # fmt: skip
        status = CommandStatus.FAILED if request.state in (RequestState.REFUSED, RequestState.ASKED) else CommandStatus.DONE
        return Answered(status, f"request {number}: {in_words(reply)}", answer)

    async def _follow(
        self, command: cmd.AskCustomerInformation, number: int, joining: Joining[str], reply: Reply, cause: ev.Envelope
    ) -> str | None:
        """What comes of the station's answer. Returns what it said to the change of its local list, where there was one."""
        said = str(reply.payload.get("status", ""))
        if reply.outcome is not Outcome.ACCEPTED:
            joining.give_up("")
            unclear = reply.outcome in (Outcome.TIMEOUT, Outcome.UNKNOWN)
            note = "" if said else reply.code or reply.outcome.value
            await self._changed(number, RequestState.ASKED if unclear else RequestState.REFUSED, said=said, note=note)
            return None
        if not command.report:  # that it has forgotten is all that was wanted
            await self._changed(number, RequestState.DONE, said=said)
            joining.give_up("")
        else:
            await self._changed(number, RequestState.TELLING, said=said)
            task = asyncio.create_task(self._joined(number, joining), name=f"customer information {number}")
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)
            await asyncio.wait({task}, timeout=ANSWER_S)
        return await self._off_the_list(command, cause) if command.clear and command.id_token else None

    async def _joined(self, number: int, joining: Joining[str]) -> None:
        joined: Joined[str] = await joining.result
        if joined.parts:
            self._told[number] = _Told("".join(joined.parts), self._yard.clock.now() + KEEP)
        await self._changed(number, RequestState.DONE if joined.complete else RequestState.INCOMPLETE, note=joined.note)

    async def _off_the_list(self, command: cmd.AskCustomerInformation, cause: ev.Envelope) -> str | None:
        """The station's list names the customer, too: it shall not. What it accepts is heard by the room of lists."""
        known = self._yard.state.local_lists.get(command.station_id) or LocalList()
        listed = known.entries.get(command.id_token.casefold())
        if listed is None:
            return None
        part = Part(UpdateType.DIFFERENTIAL, known.version + 1, (), (listed.token,))
        payload = send_local_list(part, self._calls.version(command.station_id), now=self._yard.clock.now())
        reply = await self._calls.send(command.station_id, "SendLocalList", payload, cause)
        return str(reply.payload.get("status") or reply.outcome.value)

    async def _changed(self, number: int, state: RequestState, *, said: str = "", note: str = "") -> None:
        fact = ev.CustomerInformationChanged(number, state, said, note)
        await self._yard.journal.append([ev.NewEvent(fact, self._yard.clock.now())])

    def _forget(self) -> None:
        now = self._yard.clock.now()
        self._told = {number: told for number, told in self._told.items() if now < told.until}

    async def _show(self, args: Mapping[str, str]) -> CustomersView:
        """``station_id``: only its; ``request_id``: only this one, with its data."""
        self._forget()
        wanted, station_id = args.get("request_id", ""), args.get("station_id", "")
        found = [
            r for r in self._requests.requests.values() if wanted in ("", str(r.request_id)) and station_id in ("", r.station_id)
        ]  # fmt: skip
        return CustomersView(at=self._yard.clock.now(), requests=[self._row(r, data=bool(wanted)) for r in reversed(found)])

    def _row(self, r: CustomerRequest, *, data: bool) -> CustomerRow:
        told = self._told.get(r.request_id)
        return CustomerRow(
            request_id=r.request_id, station_id=r.station_id, report=r.report, clear=r.clear, about=r.about.value, asked_at=r.asked_at,
            asked_by=r.asked_by, state=r.state.value, said=r.said, note=r.note, data=told.data if told is not None and data else None,
            forgotten_at=None if told is None else told.until,
        )  # fmt: skip
