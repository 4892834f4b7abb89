"""Device models of the depot's 2.x stations: the desk that hears of them, the room that people ask.

    NotifyReport, NotifyMonitoringReport --> Reports      NotifyEvent --> Happenings      answers --> told
    commands --> Asking (variables, monitors), reports    wanted values --> the journal    drift --> repair

After the boot of a station whose machine or firmware is new here, its whole model is asked for: late, one after the other,
and behind everything else that is said to it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol

from msgspec import Struct

from controller.alarms import Condition
from controller.device_model import showing
from controller.device_model.asking import Asking
from controller.device_model.happenings import Happenings
from controller.device_model.reports import BY_HAND, CUSTOM, CUSTOM_MONITORS, MONITORS, Reports
from controller.device_model.store import ModelStore, StoredReport
from controller.device_model.wanting import Wanting
from controller.device_model.writer import Writer
from controller.raw_calls import RawCalls, as_answer, in_words
from controller.room import Answered, Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.device_model import MOST_SEVERITY, BaseReport, MonitoringBase, ReportedEvent, ReportPart, Told, Variable
from depot.events import Registration
from depot.values import DepotError, InvalidValue
from ocpp_server.device_model_messages import base_report, custom_report, monitoring_base, monitoring_level, monitoring_report
from ocpp_server.dialect import Call
from ocpp_server.link import Priority
from ocpp_server.reply import Reply
from ocpp_server.version import Version
from storage import Store

LOOK_S: Final = 1.0
SETTLED: Final = timedelta(seconds=20)
"""So long a station must have been connected before its whole model is asked for."""
AT_ONCE: Final = 2
"""Stations whose whole model is told at a time, unless people ask for more."""
AGAIN: Final = timedelta(hours=6)
"""A station that did not tell it is asked again after this."""
CONTROLLER: Final = "controller"
"""Who asks after a boot."""
ASKS: Final = frozenset({"GetBaseReport", "GetReport", "GetMonitoringReport"})
_WHOLE: Final = (BaseReport.FULL, BaseReport.CONFIGURATION)


class Stations(Protocol):
    """What of the charger side is needed here."""

    def version(self, station_id: str) -> Version | None: ...
    async def call(self, station_id: str, action: str, payload: dict[str, Any], *, priority: Priority = Priority.NORMAL) -> Reply: ...


class DeviceModels:
    """Desk and room. :meth:`attach` once the charger side and the calls by hand are there. ``needs``: what the depot itself
    needs of every station. ``speed``: of the depot's clock."""

    kinds: Final = Happenings.kinds

    def __init__(self, yard: Yard, store: Store, *, needs: Mapping[Variable, str], speed: float = 1.0) -> None:
        self._yard = yard
        self._store = ModelStore(yard.spec.depot_id)
        self._writer = Writer(store)
        self._needs = needs
        self._reports = Reports(yard, self._store, self._writer, completed=self._completed, speed=speed)
        self._happenings = Happenings(yard, self._store, self._writer)
        self._machines: dict[str, str] = {}
        self._tried: dict[str, tuple[str, datetime]] = {}
        self._booted: dict[str, ev.StationBooted | None] = {}
        self._errands: set[asyncio.Task[None]] = set()
        self._stations: Stations | None = None
        self.commands: Mapping[type[cmd.Command], Carrier] = {}
        self.views: Mapping[type[Struct], Viewer] = {}
        with store.reading() as connection:
            severe = self._store.events(connection, severity=3, limit=1000)
            monitors = self._store.monitors(connection)
            self._happenings.restore(self._store.next_event(connection), monitors, severe)
            self._machines = {station_id: machine for station_id, (machine, _) in self._store.machines(connection).items()}
            self._reports.restore(connection)

    def attach(self, stations: Stations, calls: RawCalls) -> None:
        """From now on stations can be asked."""
        self._stations = stations
        self._calls = calls
        self._asking = Asking(self._yard, calls, self._store, self._writer)
        wanting = Wanting(self._yard, self._store, self._writer, self._asking, needs=self._needs)
        calls.guards.append(self._check_by_hand)
        calls.announced.append(self._announced)
        calls.heard.append(self._heard)
        self.commands = {
            cmd.SetVariables: self._set_variables,
            cmd.AskReport: self._ask_report,
            cmd.AskMonitoringReport: self._ask_monitors,
            cmd.SetMonitors: self._set_monitors,
            cmd.ClearMonitors: self._clear_monitors,
            cmd.SetMonitoringBase: self._set_base,
            cmd.SetMonitoringLevel: self._set_level,
            **wanting.commands,
        }
        shown = showing.Shown(self._yard, calls, self._store, self._writer, self._asking, wanting, self._happenings.unlisted)
        self.views = shown.views

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._writer.run(), name="device models: writer")
            while True:
                await self._yard.clock.sleep(LOOK_S)
                self._look()

    # -- the desk ---------------------------------------------------------------------------------------------------

    async def reported(self, station_id: str, part: ReportPart) -> None:
        """See :class:`depot.device_model.DeviceModelDesk`."""
        if part.monitors:
            self._happenings.monitors_told(station_id, part.monitors)
        await self._reports.take(station_id, part)

    async def happened(self, station_id: str, events: Sequence[ReportedEvent]) -> None:
        await self._happenings.take(station_id, events)

    def told(self, station_id: str, what: Told) -> None:
        now = self._yard.clock.now()
        self._happenings.monitors_told(station_id, what.monitors)
        self._happenings.monitors_gone(station_id, what.cleared)
        if what.values or what.waiting:
            self._writer.put(lambda connection: self._store.put_values(connection, station_id, what.values, what.waiting, now))
        if what.monitors:
            self._writer.put(lambda connection: self._store.put_monitors(connection, station_id, what.monitors, now))
        if what.cleared:
            self._writer.put(lambda connection: self._store.drop_monitors(connection, station_id, ids=what.cleared))

    def conditions(self, now: datetime) -> Sequence[Condition]:
        """See :class:`controller.alarms.Conditions`."""
        return self._happenings.conditions(now)

    def _completed(self, report: StoredReport) -> None:
        now = self._yard.clock.now()
        if report.kind == BaseReport.FULL or (report.kind == BaseReport.CONFIGURATION and report.asked_by == CONTROLLER):
            machine = self._machine(report.station_id)
            self._machines[report.station_id] = machine
            gone = report.asked_at if report.kind == BaseReport.FULL else None
            self._writer.put(lambda connection: self._store.told_whole(connection, report.station_id, machine, gone=gone, at=now))
        elif report.kind == MONITORS:
            self._writer.put(lambda connection: self._store.drop_monitors(connection, report.station_id, before=report.asked_at))

    # -- the whole model, after a boot ------------------------------------------------------------------------------

    def _look(self) -> None:
        now = self._yard.clock.now()
        self._reports.look(now)
        for station_id, facts in self._yard.state.stations.items():
            before = self._booted.setdefault(station_id, facts.boot)
            if before is not facts.boot:
                self._booted[station_id] = facts.boot
                self._happenings.booted(station_id)
                self._writer.put(partial(self._store.booted, station_id=station_id))
        if self._reports.under_way + len(self._errands) >= AT_ONCE or self._stations is None:
            return
        new = next((name for name in self._yard.stations if self._is_new(name, now)), None)
        if new is not None:
            self._tried[new] = (self._machine(new), now)
            self._go(self._tell_all(new), f"device model of {new}")

    def _go(self, errand: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(_quietly(errand), name=name)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def _is_new(self, station_id: str, now: datetime) -> bool:
        """Whether its whole model should be asked for now."""
        assert self._stations is not None
        link, facts = self._yard.links.get(station_id), self._yard.state.stations.get(station_id)
        if link is None or not link.connected or now - link.since < SETTLED or facts is None or facts.boot is None:
            return False
        if facts.probe is None or self._yard.state.registration(station_id) is not Registration.ACCEPTED:
            return False
        if self._stations.version(station_id) in (None, Version.V16) or self._reports.waiting(station_id) is not None:
            return False
        machine = self._machine(station_id)
        tried, at = self._tried.get(station_id, ("", now))
        return self._machines.get(station_id) != machine and (tried != machine or now - at > AGAIN)

    def _machine(self, station_id: str) -> str:
        facts = self._yard.state.stations.get(station_id)
        boot = None if facts is None else facts.boot
        return "" if boot is None else f"{boot.vendor}/{boot.model}/{boot.firmware}"

    async def _tell_all(self, station_id: str) -> None:
        """A station that has no full inventory is asked for its configuration."""
        assert self._stations is not None
        for base in _WHOLE:
            report = self._reports.open(station_id, base.value, CONTROLLER)
            reply = await self._stations.call(station_id, *_plain(base_report(report.request_id, base)), priority=Priority.HOUSEKEEPING)
            if self._answer(report, reply) or not reply.refused:
                break
        else:
            return
        await self._tell_monitors(station_id)

    async def _tell_monitors(self, station_id: str) -> None:
        assert self._stations is not None
        report = self._reports.open(station_id, MONITORS, CONTROLLER)
        call = monitoring_report(report.request_id, (), ())
        self._answer(report, await self._stations.call(station_id, *_plain(call), priority=Priority.HOUSEKEEPING))

    # -- reports that people ask for --------------------------------------------------------------------------------

    async def _ask_report(self, command: cmd.AskReport, cause: ev.Envelope) -> Answered:
        if (command.base is None) == (not command.criteria and not command.variables):
            raise InvalidValue("either a base report, or a custom one of criteria and variables")
        kind = CUSTOM if command.base is None else command.base.value

        def call(request_id: int) -> Call:
            if command.base is not None:
                return base_report(request_id, command.base)
            return custom_report(request_id, command.criteria, command.variables)

        return await self._ask(command.station_id, kind, call, cause)

    async def _ask_monitors(self, command: cmd.AskMonitoringReport, cause: ev.Envelope) -> Answered:
        kind = MONITORS if not command.criteria and not command.variables else CUSTOM_MONITORS
        return await self._ask(command.station_id, kind, lambda n: monitoring_report(n, command.criteria, command.variables), cause)

    async def _ask(self, station_id: str, kind: str, call: Callable[[int], Call], cause: ev.Envelope) -> Answered:
        self._asking.need_2x(station_id)
        report = self._reports.open(station_id, kind, cause.actor)
        action, payload = _plain(call(report.request_id))
        try:
            reply = await self._calls.send(station_id, action, payload, cause)
        except DepotError as error:
            self._reports.answered(report.report_id, str(error)[:200], accepted=False)
            raise
        accepted = self._answer(report, reply)
        answer = {"report_id": report.report_id, "status": reply.payload.get("status", ""), **_outcome(reply)}
        return Answered(_status(reply, accepted=accepted), f"{kind}: {in_words(reply)}", answer)

    def _answer(self, report: StoredReport, reply: Reply) -> bool:
        """Note how the question ended; True: the report comes, or may come."""
        status = str(reply.payload.get("status", ""))
        accepted = status == "Accepted" or (not reply.refused and not status)
        self._reports.answered(report.report_id, status or in_words(reply), accepted=accepted, empty=status == "EmptyResultSet")
        return accepted

    def _check_by_hand(self, station_id: str, action: str, payload: Mapping[str, Any]) -> None:
        number = payload.get("requestId")
        if action in ASKS and isinstance(number, int):
            self._reports.check_free(station_id, number)

    def _announced(self, station_id: str, action: str, payload: Mapping[str, Any]) -> None:
        """A report that a person asks for by a call made up: its parts are joined like any other's."""
        number = payload.get("requestId")
        if action in ASKS and isinstance(number, int):
            whole = set(payload) == {"requestId"}
            monitors = MONITORS if whole else CUSTOM_MONITORS
            kind = monitors if action == "GetMonitoringReport" else str(payload.get("reportBase", CUSTOM))
            self._reports.by_hand(station_id, kind, number)

    async def _heard(self, station_id: str, action: str, payload: Mapping[str, Any], reply: Reply) -> None:
        """How a call by hand about reports or monitors ended."""
        number = payload.get("requestId")
        if action in ASKS and isinstance(number, int):
            report = self._reports.of(station_id, number)
            if report is not None and report.asked_by == BY_HAND:
                self._answer(report, reply)
        elif action == "SetMonitoringBase" and reply.payload.get("status") == "Accepted":
            self._based(station_id, MonitoringBase(payload["monitoringBase"]))

    # -- variables and monitors -------------------------------------------------------------------------------------

    async def _set_variables(self, command: cmd.SetVariables, cause: ev.Envelope) -> Answered:
        results = await self._asking.set(command.station_id, command.settings, cause)
        return _counted(command.station_id, results, ("Accepted", "RebootRequired"))

    async def _set_monitors(self, command: cmd.SetMonitors, cause: ev.Envelope) -> Answered:
        if any(not 0 <= monitor.severity <= MOST_SEVERITY for monitor in command.monitors):
            raise InvalidValue(f"a severity is 0 (danger) to {MOST_SEVERITY} (debug)")
        return _counted(command.station_id, await self._asking.set_monitors(command.station_id, command.monitors, cause), ("Accepted",))

    async def _clear_monitors(self, command: cmd.ClearMonitors, cause: ev.Envelope) -> Answered:
        return _counted(
            command.station_id, await self._asking.clear_monitors(command.station_id, command.monitor_ids, cause), ("Accepted",)
        )

    async def _set_base(self, command: cmd.SetMonitoringBase, cause: ev.Envelope) -> Answered:
        return await self._plainly(command.station_id, monitoring_base(command.base), cause)

    async def _set_level(self, command: cmd.SetMonitoringLevel, cause: ev.Envelope) -> Answered:
        if not 0 <= command.severity <= MOST_SEVERITY:
            raise InvalidValue(f"a severity is 0 (danger) to {MOST_SEVERITY} (debug)")
        return await self._plainly(command.station_id, monitoring_level(command.severity), cause)

    async def _plainly(self, station_id: str, call: Call, cause: ev.Envelope) -> Answered:
        self._asking.need_2x(station_id)
        action, payload = _plain(call)
        reply = await self._calls.send(station_id, action, payload, cause)
        answer = {"station_id": station_id, "status": reply.payload.get("status", ""), **_outcome(reply)}
        return Answered(_status(reply, accepted=reply.payload.get("status") == "Accepted"), f"{action}: {in_words(reply)}", answer)

    def _based(self, station_id: str, base: MonitoringBase) -> None:
        """The station's monitors are others now: what was known is void, and is asked for anew."""
        if base is not MonitoringBase.ALL:
            now = self._yard.clock.now()
            self._writer.put(lambda connection: self._store.drop_monitors(connection, station_id, before=now))

        self._go(self._tell_monitors(station_id), f"monitors of {station_id}")


async def _quietly(errand: Awaitable[None]) -> None:
    """Nobody waits for it; what the depot refuses itself is no fault."""
    with contextlib.suppress(DepotError):
        await errand


def _plain(call: Call) -> tuple[str, dict[str, Any]]:
    assert isinstance(call.payload, dict)
    return call.action, call.payload


def _outcome(reply: Reply) -> dict[str, Any]:
    said = as_answer(reply)
    return {name: said[name] for name in ("outcome", "error") if name in said}


def _status(reply: Reply, *, accepted: bool) -> CommandStatus:
    """An answer is an answer, also a refusal; without one it failed."""
    if accepted and reply.payload:
        return CommandStatus.DONE
    return CommandStatus.DONE if as_answer(reply)["outcome"] == "result" else CommandStatus.FAILED


def _counted(station_id: str, results: Sequence[Mapping[str, Any]], good: Sequence[str]) -> Answered:
    """One answer for many items: done where every one of them got an answer."""
    taken = sum(result["status"] in good for result in results)
    reboot = sum(result["status"] == "RebootRequired" for result in results)
    words = f"{taken} of {len(results)} taken" + (f", {reboot} of them after its next boot" if reboot else "")
    answered = all(result["status"] for result in results)
    status = CommandStatus.DONE if answered else CommandStatus.FAILED
    return Answered(status, words, {"station_id": station_id, "results": list(results)})
