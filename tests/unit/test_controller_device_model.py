"""Device models in the core: reports joined from their parts, values kept over a restart, events bounded, drift repaired."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from msgspec import Struct
from small_yard import NOW, run
from test_controller_stations import Depot

from controller import device_model
from controller.device_model.happenings import A_MINUTE
from controller.device_model.room import DeviceModels
from controller.device_model.views import (
    DeviceModelView,
    DriftView,
    EventsView,
    MonitorsView,
    ReportDetail,
    ReportsView,
    VariableResults,
    VariablesView,
    WantedView,
)
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.device_model import (
    Attribute,
    BaseReport,
    Characteristics,
    Monitor,
    MonitoringBase,
    MonitorWish,
    ReportedEvent,
    ReportedVariable,
    ReportPart,
    Told,
    Variable,
    VariableSetting,
)
from depot.readings import LinkReading
from depot.values import Outcome
from depot.wanted import WantedScope, WantedVariable
from ocpp_server.device_model import told_by
from ocpp_server.link import Priority
from ocpp_server.reply import Reply
from ocpp_server.version import Version
from storage import Store

V = TypeVar("V", bound=Struct)
INTERVAL = Variable("SampledDataCtrlr", "TxUpdatedInterval")
OFFLINE = Variable("AuthCtrlr", "LocalAuthorizeOffline")
HEARTBEAT = Variable("OCPPCommCtrlr", "HeartbeatInterval")
TEMPERATURE = Variable("ChargingStation", "Temperature", evse=1)
PASSWORD = Variable("SecurityCtrlr", "BasicAuthPassword")


def reported(variable: Variable, value: str, kind: str = "string", **more: Any) -> ReportedVariable:
    return ReportedVariable(variable, (Attribute(value=value),), Characteristics(kind, **more))


class Station:
    """The charger side: answers as told, and tells the desk what an answer says, as the link does."""

    def __init__(self) -> None:
        self.called: list[tuple[str, str, Mapping[str, Any]]] = []
        self.values: dict[str, str] = {}
        self.statuses: dict[str, str] = {}
        self.answers: dict[str, Reply] = {}
        self.desk: DeviceModels | None = None

    def version(self, station_id: str) -> Version | None:
        return {"CP-1": Version.V201, "CP-2": Version.V201, "CP-3": Version.V16}.get(station_id)

    async def call(self, station_id: str, action: str, payload: dict[str, Any], *, priority: Priority = Priority.NORMAL) -> Reply:
        self.called.append((station_id, action, payload))
        reply = self.answers.get(action) or self._answer(action, payload)
        told = told_by(action, payload, reply)
        if told and self.desk is not None:
            self.desk.told(station_id, told)
        return reply

    def _answer(self, action: str, payload: dict[str, Any]) -> Reply:
        if action == "GetVariables":
            return accepted(getVariableResult=[self._get(asked) for asked in payload["getVariableData"]])
        if action == "SetVariables":
            asked = payload["setVariableData"]
            return accepted(
                setVariableResult=[self._about(one) | {"attributeStatus": self.statuses.get(self._name(one), "Accepted")} for one in asked]
            )
        if action == "SetVariableMonitoring":
            rows = enumerate(payload["setMonitoringData"], 7)
            return accepted(
                setMonitoringResult=[
                    {key: one[key] for key in ("component", "variable", "type", "severity")} | {"id": n, "status": "Accepted"}
                    for n, one in rows
                ]
            )
        if action == "ClearVariableMonitoring":
            return accepted(clearMonitoringResult=[{"id": number, "status": "Accepted"} for number in payload["id"]])
        return accepted(status="Accepted")

    def _get(self, asked: dict[str, Any]) -> dict[str, Any]:
        value = self.values.get(self._name(asked))
        said = {"attributeStatus": "UnknownVariable"} if value is None else {"attributeStatus": "Accepted", "attributeValue": value}
        return self._about(asked) | said

    @staticmethod
    def _about(asked: dict[str, Any]) -> dict[str, Any]:
        return {key: asked[key] for key in ("component", "variable", "attributeType") if key in asked}

    @staticmethod
    def _name(asked: dict[str, Any]) -> str:
        instance = asked["variable"].get("instance")
        return f"{asked['component']['name']}.{asked['variable']['name']}" + (f"[{instance}]" if instance else "")

    def sizes(self, action: str) -> list[int]:
        return [len(next(iter(payload.values()))) for _, name, payload in self.called if name == action]


def accepted(**payload: Any) -> Reply:
    return Reply(Outcome.ACCEPTED, payload, message_id="1", said=payload)


class Models(Depot):
    """The small yard; CP-1 and CP-2 speak 2.0.1."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.station = Station()
        self.calls._stations = self.station
        self.room = DeviceModels(self.yard, store, needs={OFFLINE: "false"})
        self.room.attach(self.station, self.calls)
        self.station.desk = self.room
        self.orders.carriers.update(self.room.commands)

    async def show(self, kind: type[V], **args: str) -> V:
        found = await self.room.views[kind](args)
        assert isinstance(found, kind), found
        return found

    async def ask(self, **more: Any) -> int:
        result = await self.order(cmd.AskReport, station_id="CP-1", **({"base": BaseReport.FULL} | more))
        assert result.status is CommandStatus.DONE, result
        assert result.answer is not None
        number: int = result.answer["report_id"]
        return number

    async def tell(self, number: int, seq_no: int, *rows: ReportedVariable, last: bool = False, station_id: str = "CP-1") -> None:
        await self.room.reported(station_id, ReportPart(number, seq_no, last, rows))

    async def report(self, number: int) -> ReportDetail:
        await self.room._writer.settled()
        return await self.show(ReportDetail, report_id=str(number))


@asynccontextmanager
async def models(path: Path | None = None) -> AsyncIterator[Models]:
    with Store.open(path) as store:
        store.migrate([device_model])
        depot = Models(store)
        writing = asyncio.create_task(depot.room._writer.run())
        try:
            yield depot
            await depot.room._writer.settled()
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


# -- reports ------------------------------------------------------------------------------------------------------


def test_a_report_is_complete_only_when_every_part_from_the_first_to_the_last_is_stored() -> None:
    async def main() -> None:
        async with models() as depot:
            number = await depot.ask()
            assert depot.station.called[-1][1:] == ("GetBaseReport", {"requestId": number, "reportBase": "FullInventory"})
            await depot.tell(number, 2, reported(HEARTBEAT, "300"), last=True)
            await depot.tell(number, 0, reported(INTERVAL, "60"))
            found = await depot.report(number)
            assert (found.report.state, found.report.parts, found.report.missing) == ("under_way", 2, [1])
            await depot.tell(number, 0, reported(INTERVAL, "60"))  # a part that comes twice is one part
            await depot.tell(number, 1, reported(OFFLINE, "false"))
            found = await depot.report(number)
            assert (found.report.state, found.report.rows, found.report.missing) == ("complete", 3, [])
            assert [row.name for row in found.variables] == [str(INTERVAL), str(OFFLINE), str(HEARTBEAT)]
            assert (await depot.show(VariablesView, station_id="CP-1")).total == 3

    run(main())


def test_a_report_that_stops_is_incomplete_and_a_late_part_goes_on_with_it() -> None:
    async def main() -> None:
        async with models() as depot:
            number = await depot.ask()
            await depot.tell(number, 0, reported(INTERVAL, "60"))
            await depot.report(number)
            depot.clock.at += timedelta(seconds=61)
            depot.room._look()
            assert (await depot.report(number)).report.state == "incomplete"
            await depot.tell(number, 1, reported(HEARTBEAT, "300"), last=True)
            assert (await depot.report(number)).report.state == "complete"

    run(main())


def test_parts_that_nobody_asked_for_are_forgotten_and_refused_reports_are_shown_so() -> None:
    async def main() -> None:
        async with models() as depot:
            await depot.tell(99, 0, reported(INTERVAL, "60"), last=True)
            assert (await depot.show(VariablesView)).total == 0
            for word, state in (("NotSupported", "refused"), ("EmptyResultSet", "empty")):
                depot.station.answers["GetReport"] = Reply(Outcome.REFUSED, {"status": word}, said={"status": word})
                result = await depot.order(cmd.AskReport, station_id="CP-1", variables=(Variable("AuthCtrlr", ""),))
                assert (result.status, result.answer and result.answer["status"]) == (CommandStatus.DONE, word)
                assert (await depot.show(ReportsView)).reports[0].state == state
            asked = depot.station.called[-1][2]
            assert asked["componentVariable"] == [{"component": {"name": "AuthCtrlr"}}]
            refused = await depot.order(cmd.AskReport, station_id="CP-3", base=BaseReport.FULL)
            assert "configuration keys instead" in refused.message

    run(main())


def test_a_full_report_forgets_what_is_no_more_there_and_a_custom_one_does_not() -> None:
    async def main() -> None:
        async with models() as depot:
            first = await depot.ask()
            await depot.tell(first, 0, reported(INTERVAL, "60"), reported(HEARTBEAT, "300"), last=True)
            depot.clock.at += timedelta(seconds=10)
            custom = await depot.ask(base=None, variables=(INTERVAL,))
            await depot.tell(custom, 0, reported(INTERVAL, "30"), last=True)
            await depot.report(custom)
            assert (await depot.show(VariablesView)).total == 2
            depot.clock.at += timedelta(seconds=10)
            second = await depot.ask()
            await depot.tell(second, 0, reported(INTERVAL, "30"), last=True)
            await depot.report(second)
            assert [(row.name, row.actual) for row in (await depot.show(VariablesView)).variables] == [(str(INTERVAL), "30")]

    run(main())


def test_a_report_asked_for_by_a_call_by_hand_is_joined_too() -> None:
    async def main() -> None:
        async with models() as depot:
            for _ in range(2):  # the same number twice: the newer question counts
                await depot.call("CP-1", "GetBaseReport", {"requestId": 5, "reportBase": "SummaryInventory"})
                await depot.tell(5, 0, reported(INTERVAL, "60"))
            await depot.tell(5, 1, last=True)
            await depot.room._writer.settled()
            found = (await depot.show(ReportsView)).reports
            assert [(r.kind, r.request_id, r.state) for r in found] == [
                ("SummaryInventory", 5, "complete"),
                ("SummaryInventory", 5, "incomplete"),
            ]
            mine = await depot.ask()
            refused = await depot.call("CP-1", "GetBaseReport", {"requestId": mine, "reportBase": "SummaryInventory"})
            assert refused.status is CommandStatus.REFUSED
            assert "choose another requestId" in refused.message

    run(main())


def test_what_was_told_is_there_after_a_restart_and_an_open_report_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with models(tmp_path / "models.db") as depot:
            number = await depot.ask()
            await depot.tell(number, 0, reported(INTERVAL, "60"))
        async with models(tmp_path / "models.db") as depot:
            await depot.tell(number, 1, reported(HEARTBEAT, "300"), last=True)
            assert (await depot.report(number)).report.state == "complete"
            assert (await depot.show(VariablesView, station_id="CP-1")).total == 2
            assert await depot.ask() > number

    run(main())


def test_a_whole_model_is_asked_for_once_after_the_boot_of_a_machine_that_is_new_here() -> None:
    async def main() -> None:
        async with models() as depot:
            depot.journal.put(ev.NewEvent(ev.StationBooted("CP-1", "Acme", "Two", firmware="1"), NOW))
            depot.journal.put(ev.NewEvent(ev.StationProbed("CP-1"), NOW))
            depot.yard.links["CP-1"] = LinkReading("CP-1", True, NOW, NOW, "2.0.1", 0)

            async def asked() -> list[str]:
                depot.station.called.clear()
                depot.room._look()
                await asyncio.gather(*depot.room._errands)
                return [str(payload.get("reportBase", action)) for _, action, payload in depot.station.called]

            assert await asked() == [], "not before it has settled"
            depot.clock.at += timedelta(seconds=21)
            assert await asked() == ["FullInventory", "GetMonitoringReport"]
            report = (await depot.show(ReportsView)).reports[1]
            await depot.tell(report.request_id, 0, reported(INTERVAL, "60"), last=True)
            await depot.report(report.report_id)
            assert await asked() == []
            depot.journal.put(ev.NewEvent(ev.StationBooted("CP-1", "Acme", "Two", firmware="2"), NOW))
            depot.station.answers["GetBaseReport"] = Reply(Outcome.UNSUPPORTED, {"status": "NotSupported"})
            assert await asked() == ["FullInventory", "ConfigurationInventory"], "one that has no full inventory"
            assert await asked() == []

    run(main())


# -- variables ----------------------------------------------------------------------------------------------------


def test_variables_are_set_in_batches_that_the_station_takes_and_secrets_are_not_kept() -> None:
    async def main() -> None:
        async with models() as depot:
            depot.station.values["DeviceDataCtrlr.ItemsPerMessage[SetVariables]"] = "2"
            depot.station.statuses["OCPPCommCtrlr.HeartbeatInterval"] = "RebootRequired"
            await depot.room._writer.settled()
            settings = (
                VariableSetting(INTERVAL, "30"),
                VariableSetting(HEARTBEAT, "60"),
                VariableSetting(PASSWORD, "0123456789abcdef"),
            )
            depot.room.told("CP-1", Told(values={(HEARTBEAT, "Actual"): "300"}))
            result = await depot.order(cmd.SetVariables, station_id="CP-1", settings=settings)
            assert result.message == "3 of 3 taken, 1 of them after its next boot"
            assert depot.station.sizes("SetVariables") == [2, 1]
            rows = {row.name: row for row in (await depot.show(VariablesView)).variables}
            assert rows[str(INTERVAL)].actual == "30"
            assert (rows[str(HEARTBEAT)].actual, rows[str(HEARTBEAT)].waiting) == ("300", "60")
            assert rows[str(PASSWORD)].actual is None
            assert "0123456789abcdef" not in str(depot.journal.facts)
            depot.station.values |= {"SecurityCtrlr.BasicAuthPassword": "tell-it", "SampledDataCtrlr.TxUpdatedInterval": "31"}
            wanted = json.dumps([[{"component": v.component, "name": v.name}, "Actual"] for v in (PASSWORD, INTERVAL)])
            read = await depot.show(VariableResults, station_id="CP-1", wanted=wanted)
            assert [(one.status, one.value) for one in read.results] == [("Accepted", "(hidden)"), ("Accepted", "31")]

    run(main())


def test_a_setting_that_lets_a_station_start_by_itself_is_counted_or_refused() -> None:
    async def main() -> None:
        async with models() as depot:
            result = await depot.order(cmd.SetVariables, station_id="CP-1", settings=(VariableSetting(OFFLINE, "true"),))
            assert result.status is CommandStatus.DONE, result.message
            assert any(grant.autonomous for key, grant in depot.yard.grants.items() if key.station_id == "CP-1")

    run(main())


def test_variables_are_found_over_stations_page_by_page() -> None:
    async def main() -> None:
        async with models() as depot:
            for station_id in ("CP-1", "CP-2"):
                values = {(Variable("EVSE", f"Number{n}", evse=1), "Actual"): f"v{n}%" for n in range(5)}
                depot.room.told(station_id, Told(values=values))
            page = await depot.show(VariablesView, limit="4")
            assert (page.total, len(page.variables), page.next_cursor) == (10, 4, "4")
            assert (await depot.show(VariablesView, text="3%")).total == 2
            assert (await depot.show(VariablesView, text="%")).total == 10
            assert (await depot.show(VariablesView, text="_")).total == 0
            found = await depot.show(VariablesView, station_id="CP-2", component="evs", variable="number2")
            assert [(row.station_id, row.evse, row.variable) for row in found.variables] == [("CP-2", 1, "Number2")]

    run(main())


# -- monitors and events ------------------------------------------------------------------------------------------


def event(number: int, value: str = "80", **more: Any) -> ReportedEvent:
    known: dict[str, Any] = {"trigger": "Alerting", "origin": "CustomMonitor", "monitor_id": 7}
    return ReportedEvent(number, TEMPERATURE, NOW + timedelta(seconds=number), value=value, **(known | more))


def test_a_severe_event_is_an_alarm_until_the_station_says_that_it_is_over() -> None:
    async def main() -> None:
        async with models() as depot:
            wish = MonitorWish(TEMPERATURE, "UpperThreshold", 75, severity=2)
            result = await depot.order(cmd.SetMonitors, station_id="CP-1", monitors=(wish,))
            assert result.answer is not None
            assert (result.answer["results"][0]["monitor_id"], result.answer["results"][0]["status"]) == (7, "Accepted")
            await depot.room.happened("CP-1", [event(1)])
            (condition,) = depot.room.conditions(NOW)
            assert (condition.kind, "ChargingStation@1.Temperature is 80" in condition.title) == ("station_event", True)
            assert [row.severity for row in (await depot.show(EventsView)).events] == [2]
            assert (await depot.show(VariablesView)).variables[0].actual == "80"
            await depot.room.happened("CP-1", [event(2, "70", cleared=True)])
            assert depot.room.conditions(NOW) == []
            await depot.room.happened("CP-1", [event(3), event(4, trigger="Delta", monitor_id=8)])
            assert len(depot.room.conditions(NOW)) == 1, "a change alone is no alarm"
            await depot.order(cmd.ClearMonitors, station_id="CP-1", monitor_ids=(7,))
            assert depot.room.conditions(NOW) == []
            assert (await depot.show(MonitorsView)).monitors == []

    run(main())


def test_a_flood_of_events_is_counted_and_repetitions_are_one() -> None:
    async def main() -> None:
        async with models() as depot:
            await depot.room.happened("CP-1", [event(1, severity=1), event(1, severity=1)])
            await depot.room.happened("CP-1", [event(1, severity=1)])
            assert [condition.kind for condition in depot.room.conditions(NOW)] == ["station_danger"]
            await depot.room.happened("CP-1", [event(number) for number in range(2, A_MINUTE + 21)])
            found = await depot.show(EventsView, limit="1000")
            assert (len(found.events), found.unlisted) == (A_MINUTE, {"CP-1": 20})
            assert (await depot.show(EventsView, severity="1")).events[0].event_id == 1

    run(main())


def test_a_monitoring_report_replaces_what_was_known_and_another_base_voids_it() -> None:
    async def main() -> None:
        async with models() as depot:
            depot.room.told("CP-1", Told(monitors=[Monitor(1, TEMPERATURE, "Delta", 5, 6), Monitor(2, HEARTBEAT, "Delta", 5, 6)]))
            depot.clock.at += timedelta(seconds=5)
            result = await depot.order(cmd.AskMonitoringReport, station_id="CP-1")
            assert result.answer is not None
            part = ReportPart(result.answer["report_id"], 0, True, monitors=(Monitor(2, HEARTBEAT, "Delta", 9, 6),))
            await depot.room.reported("CP-1", part)
            await depot.room._writer.settled()
            assert [(m.monitor_id, m.value) for m in (await depot.show(MonitorsView)).monitors] == [(2, 9)]
            depot.clock.at += timedelta(seconds=5)
            done = await depot.order(cmd.SetMonitoringBase, station_id="CP-1", base=MonitoringBase.HARD_WIRED_ONLY)
            assert done.status is CommandStatus.DONE
            await asyncio.gather(*depot.room._errands)
            assert (await depot.show(MonitorsView)).monitors == []
            assert depot.station.called[-1][1] == "GetMonitoringReport"
            refused = await depot.order(cmd.SetMonitoringLevel, station_id="CP-1", severity=10)
            assert refused.status is CommandStatus.REFUSED

    run(main())


# -- wanted values ------------------------------------------------------------------------------------------------


def test_drift_is_what_differs_from_what_is_wanted_and_is_repaired_by_one_order() -> None:
    async def main() -> None:
        async with models() as depot:
            depot.journal.put(ev.NewEvent(ev.StationBooted("CP-1", "Acme", "Two"), NOW))
            depot.room.told("CP-1", Told(values={(INTERVAL, "Actual"): "60", (OFFLINE, "Actual"): "True", (HEARTBEAT, "Actual"): "300"}))

            async def want(scope: WantedScope, name: str, variable: Variable, value: str) -> cmd.CommandResult:
                return await depot.order(cmd.ChangeWantedVariables, scope=scope, name=name, wanted=(WantedVariable(variable, value),))

            await want(WantedScope.DEPOT, "", INTERVAL, "60.0")
            await want(WantedScope.DEPOT, "", HEARTBEAT, "900")
            await want(WantedScope.MODEL, "acme/two", HEARTBEAT, "600")
            await want(WantedScope.STATION, "CP-1", Variable("OCPPCommCtrlr", "RetryBackOffWaitMinimum"), "10")
            drift = await depot.show(DriftView, station_id="CP-1")
            assert [(row.name, row.wanted, row.actual, row.standing, row.source) for row in drift.drift] == [
                (str(OFFLINE), "false", "True", "differs", "controller"),
                (str(HEARTBEAT), "600", "300", "differs", "model"),
                ("OCPPCommCtrlr.RetryBackOffWaitMinimum", "10", None, "unread", "station"),
            ]
            depot.station.statuses[str(HEARTBEAT)] = "Rejected"
            repaired = await depot.order(cmd.RepairDrift, station_id="CP-1")
            assert (repaired.status, repaired.message) == (CommandStatus.FAILED, "1 of 2 repaired")
            assert repaired.answer is not None
            assert {row["variable"]: row["status"] for row in repaired.answer["results"]} == {
                "LocalAuthorizeOffline": "Accepted", "HeartbeatInterval": "Rejected",
            }  # fmt: skip
            depot.station.statuses[str(HEARTBEAT)] = "RebootRequired"
            repaired = await depot.order(cmd.RepairDrift, station_id="CP-1", variables=(HEARTBEAT,))
            assert repaired.status is CommandStatus.DONE
            assert [row.standing for row in (await depot.show(DriftView, station_id="CP-1")).drift] == ["waiting", "unread"]
            page = await depot.show(DeviceModelView, station_id="CP-1", text="interval")
            assert (page.total, [row.standing for row in page.drift]) == (2, ["waiting", "unread"])
            assert len((await depot.show(WantedView)).wanted) == 5

    run(main())


@pytest.mark.parametrize(
    ("scope", "name", "variable", "value", "words"),
    [
        (WantedScope.DEPOT, "", OFFLINE, "true", "the depot itself needs"),
        (WantedScope.DEPOT, "", PASSWORD, "x", "is a secret"),
        (WantedScope.DEPOT, "CP-1", HEARTBEAT, "1", "has no name"),
        (WantedScope.STATION, "CP-9", HEARTBEAT, "1", "is not known"),
        (WantedScope.DEPOT, "", Variable("AuthCtrlr", ""), "1", "names a component and a variable"),
    ],
)
def test_what_nobody_may_want(scope: WantedScope, name: str, variable: Variable, value: str, words: str) -> None:
    async def main() -> None:
        async with models() as depot:
            wanted = (WantedVariable(variable, value),)
            result = await depot.order(cmd.ChangeWantedVariables, scope=scope, name=name, wanted=wanted)
            assert result.status is CommandStatus.REFUSED
            assert words in result.message

    run(main())
