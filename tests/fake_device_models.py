"""Device models of the fake depot: CP-03 speaks 2.0.1 here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fake_depot import FakeLink, sample

from controller.device_model.views import (
    ComponentRow,
    DeviceModelView,
    DriftRow,
    DriftView,
    EventRow,
    EventsView,
    MonitorRow,
    MonitorsView,
    ReportDetail,
    ReportsView,
    ReportView,
    StationDrift,
    VariableResult,
    VariableResults,
    VariableRow,
    VariablesView,
    WantedRow,
    WantedView,
    named,
)
from depot.device_model import Attribute, Variable

AT = sample().at
INTERVAL = Variable("SampledDataCtrlr", "TxUpdatedInterval")
TEMPERATURE = Variable("ChargingStation", "Temperature", evse=1)


def variable(of: Variable = INTERVAL, value: str | None = "60", **more: Any) -> VariableRow:
    """A row; ``more`` replaces fields."""
    known: dict[str, Any] = named(of) | {
        "station_id": "CP-03", "name": str(of), "actual": value, "waiting": None, "mutability": "ReadWrite",
        "attributes": [Attribute(value=value)], "data_type": "integer", "unit": "s", "min_limit": 0.0, "max_limit": 86400.0, "values": [],
        "monitorable": True, "monitors": 0, "read_at": AT - timedelta(minutes=4),
    }  # fmt: skip
    return VariableRow(**(known | more))


def rows() -> list[VariableRow]:
    """One of each kind."""
    return [
        variable(Variable("AuthCtrlr", "LocalAuthorizeOffline"), "true", data_type="boolean", unit=None, min_limit=None, max_limit=None),
        variable(TEMPERATURE, "41", mutability="ReadOnly", unit="Celsius", monitors=1, min_limit=None, max_limit=None, data_type="decimal"),
        variable(Variable("OCPPCommCtrlr", "HeartbeatInterval"), "300", waiting="600"),
        variable(),
        variable(
            Variable("SecurityCtrlr", "BasicAuthPassword"), None, mutability="WriteOnly", data_type="string", unit=None, min_limit=None,
            max_limit=40.0,
        ),
        variable(
            Variable("TxCtrlr", "TxStartPoint"), "EVConnected", data_type="MemberList", unit=None, min_limit=None, max_limit=None,
            values=["EVConnected", "Authorized", "PowerPathClosed"],
        ),
        variable(
            Variable("SmartChargingCtrlr", "RateUnit"), "A", data_type="OptionList", unit=None, min_limit=None, max_limit=None,
            values=["A", "W"],
        ),
    ]  # fmt: skip


def report(state: str = "under_way", **more: Any) -> ReportView:
    """A full report of CP-03."""
    known: dict[str, Any] = {
        "report_id": 4, "station_id": "CP-03", "request_id": 4, "kind": "FullInventory", "asked_by": "mani", "asked_at": AT, "heard_at": AT,
        "state": state, "answer": "Accepted", "parts": 12, "rows": 240, "missing": [],
    }  # fmt: skip
    return ReportView(**(known | more))


def drift() -> list[DriftRow]:
    """One of each standing that can be repaired or not."""
    wanted = (
        (Variable("AuthCtrlr", "LocalAuthorizeOffline"), "false", "true", "differs", "controller", True),
        (Variable("OCPPCommCtrlr", "HeartbeatInterval"), "600", "300", "waiting", "depot", True),
        (Variable("DisplayMessageCtrlr", "Enabled"), "true", None, "missing", "model", False),
    )
    return [
        DriftRow(
            **named(of), station_id="CP-03", name=str(of), wanted=value, actual=actual, standing=standing, source=source, writable=writable  # type: ignore[arg-type]
        )
        for of, value, actual, standing, source, writable in wanted
    ]  # fmt: skip


def monitor() -> MonitorRow:
    return MonitorRow(
        **named(TEMPERATURE), station_id="CP-03", monitor_id=7, name=str(TEMPERATURE), kind="UpperThreshold", value=75.0, severity=2,  # type: ignore[arg-type]
        transaction=False, origin="CustomMonitor", read_at=AT,
    )  # fmt: skip


def event(number: int = 1, **more: Any) -> EventRow:
    known: dict[str, Any] = named(TEMPERATURE) | {
        "number": number, "station_id": "CP-03", "name": str(TEMPERATURE), "event_id": number, "reported_at": AT, "received_at": AT,
        "trigger": "Alerting", "value": "80", "origin": "CustomMonitor", "monitor_id": 7, "cleared": False, "cause": None,
        "transaction_id": "", "code": "T17", "info": "fan", "severity": 2,
    }  # fmt: skip
    return EventRow(**(known | more))


def page(**more: Any) -> DeviceModelView:
    """The page of CP-03."""
    known: dict[str, Any] = {
        "at": AT, "station_id": "CP-03", "version": "2.0.1", "machine": "Exide/D60/1.2", "told_at": AT - timedelta(hours=3), "total": 1900,
        "shown": rows(), "offset": 0,
        "components": [ComponentRow(component=row.component, variables=3) for row in rows()],
        "drift": drift(), "wanted": 12, "monitors": [monitor()], "events": [event(2, cleared=True, value="60"), event()],
        "report": report("complete"),
    }  # fmt: skip
    return DeviceModelView(**(known | more))


def fill(link: FakeLink) -> None:
    """Give a fake link what pages and API show of device models."""
    link.shown[VariablesView] = VariablesView(at=AT, total=7, variables=rows(), next_cursor=None)
    result = VariableResult(**named(INTERVAL), attribute="Actual", status="Accepted", value="60", reason="", outcome="result")  # type: ignore[arg-type]
    link.shown[VariableResults] = VariableResults(station_id="CP-03", at=AT, results=[result])
    link.shown[ReportsView] = ReportsView(at=AT, reports=[report()])
    link.shown[ReportDetail] = ReportDetail(report=report(), kept=True, variables=[variable()], monitors=[], next_cursor=None)
    link.shown[MonitorsView] = MonitorsView(at=AT, monitors=[monitor()])
    link.shown[EventsView] = EventsView(at=AT, events=[event()], unlisted={"CP-03": 3}, next_cursor=None)
    summary = StationDrift(station_id="CP-03", machine="Exide/D60", told_at=AT, variables=1900, wanted=12, differs=1, missing=1, waiting=1)
    link.shown[DriftView] = DriftView(at=AT, stations=[summary], drift=drift())
    want = WantedRow(**named(INTERVAL), scope="depot", name="", label=str(INTERVAL), value="60")  # type: ignore[arg-type]
    link.shown[WantedView] = WantedView(at=AT, wanted=[want])
    link.shown[DeviceModelView] = page()
