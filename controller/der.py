"""The room of DER controls (OCPP 2.1): what a grid operator wants of stations, told to them, kept, and shown.

    SetDerControl --> SetDERControl --Accepted--> fact          NotifyDERStartStop, NotifyDERAlarm --> facts
    ReadDerControls --> GetDERControl --> ReportDERControl, part by part --> fact: the station's own list

What could change how much flows is counted before it leaves, as every call is (:mod:`controller.raw_calls`). A report that is
not complete in time tells nothing: what it said is dropped, and the view says when the last whole one came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from controller.allowance import Allowance
from controller.raw_calls import RawCalls, as_answer, in_words
from controller.room import Answered, Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.der import DerAlarm, DerControl, DerReport, DerSwitch, StationDer
from depot.values import InvalidValue, Outcome
from ocpp_server.der import CLEAR, SET, clear_der_control, get_der_control, read_control, set_der_control
from ocpp_server.reply import Reply
from ocpp_server.version import Version

LISTED_MOST = 60
"""Alarms and switches an hour of one station that are kept."""
REPORT_WITHIN = timedelta(minutes=5)
MOST_CONTROLS = 400
"""Of one report; one that has more is dropped."""


class DerControlView(Struct, frozen=True, kw_only=True):
    """One control. ``settings``: as OCPP spells them; ``because``: what the grid operator wants it for, "" where it is not known;
    ``running`` null: the station has not said."""

    control_id: str
    control_type: str
    is_default: bool
    settings: dict[str, Any]
    because: str
    set_at: datetime | None
    running: bool | None
    superseded: bool


class DerAlarmView(Struct, frozen=True, kw_only=True):
    """What the station sees of the grid."""

    control_type: str
    fault: str
    ended: bool
    detail: str
    reported_at: datetime | None


class StationDerView(Struct, frozen=True, kw_only=True):
    """``reported_at``: when the station last told its whole list; ``awaited``: a report is under way."""

    station_id: str
    controls: list[DerControlView]
    alarms: list[DerAlarmView]
    active_alarms: int
    reported_at: datetime | None
    awaited: bool


class DerView(Struct, frozen=True, kw_only=True):
    """Stations of which something is known."""

    at: datetime
    stations: list[StationDerView]


class _Awaited:
    """A report under way. ``whole``: it was asked for everything."""

    def __init__(self, station_id: str, until: datetime, *, whole: bool) -> None:
        self.station_id = station_id
        self.until = until
        self.whole = whole
        self.controls: list[DerControl] = []


class DerControls:
    """The room, and the :class:`~depot.der.DerDesk`. ``calls`` is set once stations can be called."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        self._calls: RawCalls | None = None
        self._allowance = Allowance(LISTED_MOST)
        self._awaited: dict[int, _Awaited] = {}
        self._asked = int(yard.clock.now().timestamp()) & 0x3FFFFFFF
        self._because: dict[str, str] = {}
        self.commands: Mapping[type[cmd.Command], Carrier] = {
            cmd.SetDerControl: self._set,
            cmd.ClearDerControls: self._clear,
            cmd.ReadDerControls: self._read,
        }
        self.views: Mapping[type[Struct], Viewer] = {DerView: self._show}

    def attach(self, calls: RawCalls) -> None:
        self._calls = calls
        calls.heard.append(self._heard)

    async def run(self) -> None:
        """Nothing to follow up."""
        await asyncio.Event().wait()

    # -- orders -------------------------------------------------------------------------------------------------

    async def _set(self, command: cmd.SetDerControl, cause: ev.Envelope) -> Answered:
        calls = self._calls_to(command.station_id)
        control_id = command.control_id or cause.id
        action, payload = set_der_control(control_id, command.control_type, command.settings, is_default=command.is_default)
        assert isinstance(payload, dict)
        self._because[control_id] = command.because
        try:
            reply = await calls.send(command.station_id, action, payload, cause)
        finally:
            del self._because[control_id]
        return _answered(reply, control_id=control_id)

    async def _clear(self, command: cmd.ClearDerControls, cause: ev.Envelope) -> Answered:
        calls = self._calls_to(command.station_id)
        action, payload = clear_der_control(is_default=command.is_default, kind=command.control_type, control_id=command.control_id)
        assert isinstance(payload, dict)
        return _answered(await calls.send(command.station_id, action, payload, cause))

    async def _read(self, command: cmd.ReadDerControls, cause: ev.Envelope) -> Answered:
        calls, now = self._calls_to(command.station_id), self._yard.clock.now()
        self._awaited = {number: a for number, a in self._awaited.items() if a.until > now and a.station_id != command.station_id}
        self._asked = self._asked % 0x7FFFFFFF + 1
        number = self._asked
        whole = command.is_default is None and not command.control_type and not command.control_id
        self._awaited[number] = _Awaited(command.station_id, now + REPORT_WITHIN, whole=whole)
        action, payload = get_der_control(number, is_default=command.is_default, kind=command.control_type, control_id=command.control_id)
        assert isinstance(payload, dict)
        reply = await calls.send(command.station_id, action, payload, cause)
        if reply.refused or reply.outcome is Outcome.OFFLINE:
            self._awaited.pop(number, None)
        if whole and reply.payload.get("status") == "NotFound":
            await self._append(ev.DerControlsReported(command.station_id, (), whole=True))
        return _answered(reply, request_id=number)

    def _calls_to(self, station_id: str) -> RawCalls:
        assert self._calls is not None, "attached before the first order"
        if self._calls.version(station_id) is not Version.V21:
            raise InvalidValue(f"{station_id} does not speak OCPP 2.1, which DER control is of")
        return self._calls

    async def _heard(self, station_id: str, action: str, payload: Mapping[str, Any], reply: Reply) -> None:
        """What a station accepted, whoever made up the call."""
        if reply.outcome is not Outcome.ACCEPTED:
            return
        if action == SET:
            control = read_control(payload)
            control = replace(control, because=self._because.get(control.control_id, ""), set_at=self._yard.clock.now())
            await self._append(ev.DerControlSet(station_id, control, tuple(reply.payload.get("supersededIds", ()))))
        elif action == CLEAR:
            kind, control_id = payload.get("controlType", ""), payload.get("controlId", "")
            await self._append(ev.DerControlsCleared(station_id, payload["isDefault"], kind, control_id))

    # -- what stations say --------------------------------------------------------------------------------------

    async def alarmed(self, station_id: str, alarm: DerAlarm) -> None:
        unlisted = self._allowance.take(station_id, self._yard.clock.now())
        if unlisted is not None:
            await self._append(ev.DerAlarmNoticed(station_id, alarm, unlisted))

    async def switched(self, station_id: str, switch: DerSwitch) -> None:
        if self._allowance.take(station_id, self._yard.clock.now()) is not None:
            await self._append(ev.DerControlSwitched(station_id, switch))

    async def reported(self, station_id: str, part: DerReport) -> None:
        awaited = self._awaited.get(part.request_id)
        if awaited is None or awaited.station_id != station_id or awaited.until <= self._yard.clock.now():
            return
        awaited.controls += part.controls
        if part.last or len(awaited.controls) > MOST_CONTROLS:
            del self._awaited[part.request_id]
        if part.last and len(awaited.controls) <= MOST_CONTROLS:
            await self._append(ev.DerControlsReported(station_id, tuple(awaited.controls), awaited.whole))

    async def _append(self, fact: ev.Event) -> None:
        await self._yard.journal.append([ev.NewEvent(fact, self._yard.clock.now())])

    # -- views --------------------------------------------------------------------------------------------------

    async def _show(self, args: Mapping[str, str]) -> DerView | None:
        """``station_id``: only this one."""
        wanted = args.get("station_id", "")
        if wanted and wanted not in {s.station_id for s in self._yard.spec.stations}:
            return None
        known = self._yard.state.der
        ids = [wanted] if wanted else sorted(known)
        return DerView(at=self._yard.clock.now(), stations=[self._station(i, known.get(i) or StationDer()) for i in ids])

    def _station(self, station_id: str, known: StationDer) -> StationDerView:
        now = self._yard.clock.now()
        return StationDerView(
            station_id=station_id,
            controls=[_control(control) for control in known.controls.values()],
            alarms=[_alarm(alarm) for alarm in reversed(known.alarms)],
            active_alarms=len(known.active_alarms),
            reported_at=known.reported_at,
            awaited=any(a.station_id == station_id and a.until > now for a in self._awaited.values()),
        )


def _answered(reply: Reply, **more: Any) -> Answered:
    done = CommandStatus.DONE if reply.outcome is Outcome.ACCEPTED else CommandStatus.FAILED
    return Answered(done, in_words(reply), {**more, "state": str(reply.payload.get("status", "")), "call": as_answer(reply)})


def _control(c: DerControl) -> DerControlView:
    return DerControlView(
        control_id=c.control_id, control_type=c.kind, is_default=c.is_default, settings=dict(c.settings), because=c.because,
        set_at=c.set_at, running=c.running, superseded=c.superseded,
    )  # fmt: skip


def _alarm(a: DerAlarm) -> DerAlarmView:
    return DerAlarmView(control_type=a.kind, fault=a.fault, ended=a.ended, detail=a.detail, reported_at=a.reported_at)
