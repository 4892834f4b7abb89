"""What a simulated 2.x station is made of, as its reports tell it: controllers, EVSEs, connectors and their hardware; and the
monitors that somebody has set.

    DeviceModel.rows(base) --in parts--> NotifyReport       Monitors --> NotifyMonitoringReport

Values behind configuration keys come from :mod:`simulator.variables`; the others say what this kind of station is and do not
change. Fields are named as the ``ocpp`` package names them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from simulator.variables import Variables

ROWS_A_PART = 20
Row = dict[str, Any]


class _Kind(NamedTuple):
    """What values a variable has."""

    data_type: str = "string"
    unit: str = ""
    least: float | None = None
    most: float | None = None
    values: str = ""
    writable: bool = False
    monitorable: bool = False


_BOOLEAN, _TEXT = _Kind("boolean"), _Kind(most=50)
_WHOLE = _Kind("integer", least=0, most=2**31 - 1)
_SECONDS = _WHOLE._replace(unit="s", writable=True)
_MEASURANDS = _Kind(
    "MemberList", values="Power.Active.Import,Energy.Active.Import.Register,SoC,Temperature", most=500, writable=True
)  # fmt: skip
_KINDS: Mapping[tuple[str, str], _Kind] = {
    ("AuthCtrlr", "AuthorizeRemoteStart"): _BOOLEAN,
    ("AuthCtrlr", "Enabled"): _BOOLEAN,
    ("AuthCtrlr", "LocalAuthorizeOffline"): _BOOLEAN._replace(writable=True),
    ("AuthCtrlr", "LocalPreAuthorize"): _BOOLEAN._replace(writable=True),
    ("AuthCtrlr", "OfflineTxForUnknownIdEnabled"): _BOOLEAN._replace(writable=True),
    ("DeviceDataCtrlr", "ItemsPerMessage"): _WHOLE,
    ("OCPPCommCtrlr", "HeartbeatInterval"): _SECONDS,
    ("OCPPCommCtrlr", "MessageAttempts"): _WHOLE._replace(writable=True),
    ("OCPPCommCtrlr", "MessageAttemptInterval"): _SECONDS,
    ("SampledDataCtrlr", "TxUpdatedInterval"): _SECONDS,
    ("SampledDataCtrlr", "TxUpdatedMeasurands"): _MEASURANDS,
    ("SmartChargingCtrlr", "Entries"): _WHOLE,
    ("SmartChargingCtrlr", "PeriodsPerSchedule"): _WHOLE,
    ("SmartChargingCtrlr", "ProfileStackLevel"): _WHOLE,
    ("SmartChargingCtrlr", "RateUnit"): _Kind("MemberList", values="A,W"),
    ("SmartChargingCtrlr", "ACPhaseSwitchingSupported"): _BOOLEAN,
    ("SmartChargingCtrlr", "Available"): _BOOLEAN,
    ("SmartChargingCtrlr", "Enabled"): _BOOLEAN,
    ("TxCtrlr", "EVConnectionTimeOut"): _SECONDS,
    ("TxCtrlr", "StopTxOnEVSideDisconnect"): _BOOLEAN,
    ("TxCtrlr", "StopTxOnInvalidId"): _BOOLEAN,
    ("TxCtrlr", "TxStartPoint"): _Kind("MemberList", values="EVConnected,Authorized,PowerPathClosed"),
    ("TxCtrlr", "TxStopPoint"): _Kind("MemberList", values="EVConnected,Authorized,PowerPathClosed"),
}
"""Of the variables that :class:`~simulator.variables.Variables` holds; others are texts."""

_CELSIUS = _Kind("decimal", "Celsius", monitorable=True)
_STATE = _Kind("OptionList", values="Available,Occupied,Reserved,Unavailable,Faulted", monitorable=True)
_WATT, _AMPERE, _VOLT = (_Kind("decimal", unit, monitorable=True) for unit in ("W", "A", "V"))
_STATION: Sequence[tuple[str, str, str, _Kind]] = (
    ("ChargingStation", "Available", "true", _BOOLEAN),
    ("ChargingStation", "AvailabilityState", "Available", _STATE),
    ("ChargingStation", "Problem", "false", _BOOLEAN._replace(monitorable=True)),
    ("ChargingStation", "SupplyPhases", "3", _WHOLE),
    ("ChargingStation", "VendorName", "Yardworks", _TEXT),
    ("Controller", "Temperature", "38.5", _CELSIUS),
    ("ControlMetering", "Power", "0", _WATT),
    ("FiscalMetering", "Enabled", "true", _BOOLEAN),
    ("MonitoringCtrlr", "Enabled", "true", _BOOLEAN),
    ("SecurityCtrlr", "BasicAuthPassword", "", _Kind(most=40)),
    ("SecurityCtrlr", "OrganizationName", "Yardworks", _TEXT._replace(writable=True)),
)
_EVSE: Sequence[tuple[str, str, str, _Kind]] = (
    ("EVSE", "AllowReset", "true", _BOOLEAN),
    ("EVSE", "Available", "true", _BOOLEAN),
    ("EVSE", "AvailabilityState", "Available", _STATE),
    ("EVSE", "Enabled", "true", _BOOLEAN._replace(writable=True)),
    ("EVSE", "Power", "0", _WATT._replace(least=0, most=22000)),
    ("EVSE", "Problem", "false", _BOOLEAN._replace(monitorable=True)),
    ("EVSE", "SupplyPhases", "3", _WHOLE),
    ("CPPWMController", "State", "A", _Kind("OptionList", values="A,B,C,D,E,F", monitorable=True)),
    ("ElectricalFeed", "ACVoltage", "230", _VOLT),
    ("ElectricalFeed", "ACCurrent", "0", _AMPERE),
    ("ElectricalFeed", "SupplyPhases", "3", _WHOLE),
    ("OverCurrentBreaker", "Tripped", "false", _BOOLEAN._replace(monitorable=True)),
    ("PowerContactor", "Active", "false", _BOOLEAN._replace(monitorable=True)),
    ("RCD", "Tripped", "false", _BOOLEAN._replace(monitorable=True)),
    ("TokenReader", "Enabled", "true", _BOOLEAN._replace(writable=True)),
    ("UIInput", "Enabled", "true", _BOOLEAN._replace(writable=True)),
)
_CONNECTOR: Sequence[tuple[str, str, str, _Kind]] = (
    ("Connector", "Available", "true", _BOOLEAN),
    ("Connector", "AvailabilityState", "Available", _STATE),
    ("Connector", "ConnectorType", "cType2", _TEXT),
    ("Connector", "SupplyPhases", "3", _WHOLE),
    ("ConnectorPlugRetentionLock", "Enabled", "true", _BOOLEAN),
    ("ConnectorPlugRetentionLock", "Tripped", "false", _BOOLEAN._replace(monitorable=True)),
    ("ConnectorPlugRetentionLock", "Tries", "1", _WHOLE),
    ("TemperatureSensor", "Temperature", "24", _CELSIUS),
)


class DeviceModel:
    """``evses``: how many the station has, with one connector each. ``machine``: its model and firmware version."""

    def __init__(self, variables: Variables, *, evses: int, machine: tuple[str, str] = ("YW-2", "2.0.3")) -> None:
        self._variables = variables
        model, firmware = machine
        named = [_row("ChargingStation", "Model", model, _TEXT), _row("Controller", "FirmwareVersion", firmware, _TEXT)]
        rows = [*named, *(_row(*told) for told in _hardware(evses))]
        self._hardware = sorted(rows, key=lambda row: (row["component"]["name"], row["variable"]["name"]))
        self._by_name = {name_of(row): row for row in self._hardware}

    def rows(self, base: str) -> list[Row]:
        """A base report: ``FullInventory``, ``ConfigurationInventory`` (what can be written), ``SummaryInventory`` (states)."""
        everything = [*self._configured(), *self._hardware]
        if base == "ConfigurationInventory":
            return [row for row in everything if row["variable_attribute"][0]["mutability"] != "ReadOnly"]
        if base == "SummaryInventory":
            return [row for row in everything if row["variable"]["name"] in ("AvailabilityState", "Available", "Problem", "Tripped")]
        return everything

    def matching(self, criteria: Sequence[str], asked: Sequence[Mapping[str, Any]]) -> list[Row]:
        """A custom report: components that are so, or variables."""
        rows = self.rows("FullInventory")
        if criteria:
            rows = [row for row in rows if row["variable"]["name"] in criteria]
        return [row for row in rows if not asked or any(_is_asked(row, one) for one in asked)]

    def hardware(self, asked: Mapping[str, Any]) -> Row | None:
        """The row of a piece of hardware that a message names."""
        return self._by_name.get(name_of(asked))

    def get(self, asked: Mapping[str, Any], said: Row) -> Row:
        """``said``: what the controllers' variables answered; hardware may know better."""
        row = self.hardware(asked)
        if said["attribute_status"] == "Accepted" or row is None:
            return said
        if asked.get("attribute_type", "Actual") != "Actual":
            return said | {"attribute_status": "NotSupportedAttributeType"}
        value = row["variable_attribute"][0].get("value")
        if value is None:
            return said | {"attribute_status": "Rejected"}  # 2.0.1 B06: of what can only be written no value is told
        return said | {"attribute_status": "Accepted", "attribute_value": value}

    def set(self, asked: Mapping[str, Any]) -> str | None:
        """Write a piece of hardware's variable: the station's word; None: there is none of this name."""
        row = self.hardware(asked)
        if row is None:
            return None
        attribute = row["variable_attribute"][0]
        kind = row["variable_characteristics"]["data_type"]
        if attribute["mutability"] == "ReadOnly" or (kind == "boolean" and asked["attribute_value"] not in ("true", "false")):
            return "Rejected"
        if attribute["mutability"] != "WriteOnly":
            attribute["value"] = asked["attribute_value"]
        return "Accepted"

    def _configured(self) -> Iterator[Row]:
        for (component, variable, instance), value in self._variables.shown():
            kind = _KINDS.get((component, variable), _TEXT)
            yield _row(component, variable, value, kind, instance=instance)


def _hardware(evses: int) -> Iterator[tuple[str, str, str, _Kind, int | None, int | None]]:
    for told in _STATION:
        yield (*told, None, None)
    for evse in range(1, evses + 1):
        for told in _EVSE:
            yield (*told, evse, None)
        for told in _CONNECTOR:
            yield (*told, evse, 1)


def _row(
    component: str, variable: str, value: str, kind: _Kind, evse: int | None = None, connector: int | None = None, *, instance: str = ""
) -> Row:
    place: Row = {} if evse is None else {"evse": {"id": evse} | ({} if connector is None else {"connector_id": connector})}
    secret = variable == "BasicAuthPassword"
    mutability = "WriteOnly" if secret else "ReadWrite" if kind.writable else "ReadOnly"
    limits: Row = {"data_type": kind.data_type, "supports_monitoring": kind.monitorable}
    limits |= {"unit": kind.unit} if kind.unit else {}
    limits |= {"values_list": kind.values} if kind.values else {}
    limits |= {name: limit for name, limit in (("min_limit", kind.least), ("max_limit", kind.most)) if limit is not None}
    return {
        "component": {"name": component, **place},
        "variable": {"name": variable} | ({"instance": instance} if instance else {}),
        "variable_attribute": [({} if secret else {"value": value}) | {"mutability": mutability, "persistent": kind.writable}],
        "variable_characteristics": limits,
    }


def name_of(named: Mapping[str, Any]) -> tuple[str, ...]:
    """The same for every spelling of a variable."""
    component, variable = named["component"], named.get("variable") or {}
    evse = component.get("evse") or {}
    parts = (component["name"], evse.get("id", ""), evse.get("connector_id", ""), variable.get("name", ""), variable.get("instance", ""))
    return tuple(str(part).lower() for part in parts)


def _is_asked(row: Row, asked: Mapping[str, Any]) -> bool:
    mine, wanted = name_of(row), name_of(asked)
    return mine[0] == wanted[0] and all(not part or part == own for own, part in zip(mine, wanted, strict=True))


def parts(rows: Sequence[Any]) -> Iterator[tuple[int, list[Any], bool]]:
    """(number, rows, whether more follow) of a report's parts; one that is empty has one part."""
    for number, start in enumerate(range(0, max(1, len(rows)), ROWS_A_PART)):
        yield number, list(rows[start : start + ROWS_A_PART]), start + ROWS_A_PART < len(rows)


class Monitors:
    """The monitors of a station, by id. Two that are hard-wired are always there."""

    FIRST_OWN = 100

    def __init__(self, model: DeviceModel, variables: Variables) -> None:
        self._model = model
        self._variables = variables
        self._next = self.FIRST_OWN
        self._set: dict[int, Row] = {}
        wired = {"type": "Delta", "value": 1, "severity": 3, "transaction": False, "variable": {"name": "Problem"}}
        self._wired = {
            1: {**wired, "component": {"name": "ChargingStation"}},
            2: {**wired, "component": {"name": "EVSE", "evse": {"id": 1}}},
        }

    def set(self, asked: Row) -> Row:
        """One SetMonitoringData, answered."""
        said: Row = {key: asked[key] for key in ("component", "variable", "type", "severity")}
        row = self._model.hardware(asked)
        if row is None:
            if self._variables.get(asked)["attribute_status"] != "Accepted":
                return said | {"status": "UnknownVariable"}
            return said | {"status": "UnsupportedMonitorType"}
        if not row["variable_characteristics"]["supports_monitoring"]:
            return said | {"status": "UnsupportedMonitorType"}
        number = asked.get("id")
        if number is not None and number not in self._set:
            return said | {"status": "Rejected"}
        if number is None:
            number, self._next = self._next, self._next + 1
        self._set[number] = {"transaction": False, **asked}
        return said | {"status": "Accepted", "id": number}

    def clear(self, number: int) -> str:
        if number in self._wired:
            return "Rejected"
        return "NotFound" if self._set.pop(number, None) is None else "Accepted"

    def base(self, base: str) -> None:
        """``FactoryDefault`` and ``HardWiredOnly`` remove what somebody has set."""
        if base != "All":
            self._set.clear()

    def rows(self, criteria: Iterable[str], asked: Sequence[Mapping[str, Any]]) -> list[Row]:
        """MonitoringData of those that match."""
        kinds = {kind for criterion in criteria for kind in _MONITORED[criterion]}
        found = []
        for number, monitor in sorted({**self._wired, **self._set}.items()):
            if (kinds and monitor["type"] not in kinds) or (asked and not any(_is_asked(monitor, one) for one in asked)):
                continue
            told = {key: monitor[key] for key in ("transaction", "value", "type", "severity")}
            found.append(
                {"component": monitor["component"], "variable": monitor["variable"], "variable_monitoring": [{"id": number, **told}]}
            )
        return found


_MONITORED = {
    "ThresholdMonitoring": ("UpperThreshold", "LowerThreshold"),
    "DeltaMonitoring": ("Delta",),
    "PeriodicMonitoring": ("Periodic", "PeriodicClockAligned"),
}
