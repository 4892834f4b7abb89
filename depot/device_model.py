"""The device model of OCPP 2.x: what a station says of its components and their variables, monitors and events. Pure values.

    Component (instance, EVSE, connector) . Variable (instance)
        attributes       Actual, Target, MinSet, MaxSet: value, mutability, persistent, constant
        characteristics  data type, unit, limits, list of values
        monitors         when the station shall say something of it by itself

Names are compared without case, as the norm does. A :class:`DeviceModelDesk` hears what stations say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from depot.values import InvalidValue

ACTUAL = "Actual"
ATTRIBUTES = (ACTUAL, "Target", "MinSet", "MaxSet")
MUTABILITIES = ("ReadOnly", "WriteOnly", "ReadWrite")
SEVERE = 3
"""Severities are 0 (danger) to 9 (debug); up to this one (critical) an event is an alarm."""
MOST_SEVERITY = 9


class BaseReport(StrEnum):
    """What GetBaseReport can ask for (2.0.1 B07)."""

    CONFIGURATION = "ConfigurationInventory"
    FULL = "FullInventory"
    SUMMARY = "SummaryInventory"


class ComponentCriterion(StrEnum):
    """Components of a custom report (2.0.1 B08)."""

    ACTIVE = "Active"
    AVAILABLE = "Available"
    ENABLED = "Enabled"
    PROBLEM = "Problem"


class MonitoringCriterion(StrEnum):
    """Monitors of a monitoring report (2.0.1 N02)."""

    THRESHOLD = "ThresholdMonitoring"
    DELTA = "DeltaMonitoring"
    PERIODIC = "PeriodicMonitoring"


class MonitoringBase(StrEnum):
    """Which set of monitors a station shall have (2.0.1 N03)."""

    ALL = "All"
    FACTORY_DEFAULT = "FactoryDefault"
    HARD_WIRED_ONLY = "HardWiredOnly"


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a component. Without ``evse`` it is the station's as a whole; ``name`` "": all of the component's."""

    component: str
    name: str
    instance: str | None = None
    component_instance: str | None = None
    evse: int | None = None
    connector: int | None = None

    def __str__(self) -> str:
        where = "" if self.evse is None else f"@{self.evse}" + ("" if self.connector is None else f".{self.connector}")
        component = self.component + (f"[{self.component_instance}]" if self.component_instance else "") + where
        return f"{component}.{self.name}" + (f"[{self.instance}]" if self.instance else "")

    @property
    def key(self) -> str:
        """The same for every spelling of the same variable."""
        evse = "" if self.evse is None else str(self.evse)
        connector = "" if self.connector is None else str(self.connector)
        parts = (self.component, self.component_instance or "", evse, connector, self.name, self.instance or "")
        return "\x1f".join(part.strip().lower() for part in parts)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a variable. ``value`` None: none was told (write-only, or not set)."""

    type: str = ACTUAL
    value: str | None = None
    mutability: str = "ReadWrite"
    persistent: bool = False
    constant: bool = False


@dataclass(frozen=True, slots=True)
class Characteristics:
    """What values a variable can have. Limits: of a number its range, of a text its length (``max_limit``)."""

    data_type: str
    unit: str | None = None
    min_limit: float | None = None
    max_limit: float | None = None
    values: tuple[str, ...] = ()
    monitorable: bool = False


@dataclass(frozen=True, slots=True)
class ReportedVariable:
    """A variable as a report tells it."""

    variable: Variable
    attributes: tuple[Attribute, ...]
    characteristics: Characteristics | None = None


@dataclass(frozen=True, slots=True)
class Monitor:
    """When a station shall tell something of a variable. ``kind``: UpperThreshold, LowerThreshold, Delta, Periodic …;
    ``value``: in the variable's unit, seconds for periodic ones. ``origin``: who made it, where the station says so."""

    monitor_id: int
    variable: Variable
    kind: str
    value: float
    severity: int
    transaction: bool = False
    origin: str = ""


@dataclass(frozen=True, slots=True)
class ReportPart:
    """One NotifyReport or NotifyMonitoringReport. ``last``: no other follows."""

    request_id: int
    seq_no: int
    last: bool
    variables: tuple[ReportedVariable, ...] = ()
    monitors: tuple[Monitor, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportedEvent:
    """One entry of a NotifyEvent. ``trigger``: Alerting, Delta, Periodic; ``severity`` None: the message does not say it, the
    monitor may. ``origin``: HardWiredNotification, CustomMonitor …"""

    event_id: int
    variable: Variable
    at: datetime | None
    trigger: str
    value: str
    origin: str
    monitor_id: int | None = None
    cleared: bool = False
    cause: int | None = None
    transaction_id: str = ""
    code: str = ""
    info: str = ""
    severity: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What a station said of variables and monitors when it was asked or told something. ``values``: an attribute's value,
    None where it is not to be seen; ``waiting``: taken, and in force after its next boot."""

    values: Mapping[tuple[Variable, str], str | None] = field(default_factory=dict)
    waiting: Mapping[Variable, str] = field(default_factory=dict)
    monitors: Sequence[Monitor] = ()
    cleared: Sequence[int] = ()

    def __bool__(self) -> bool:
        return bool(self.values or self.waiting or self.monitors or self.cleared)


@dataclass(frozen=True, slots=True)
class VariableSetting:
    """A value to write. It may be a secret."""

    variable: Variable
    value: str = field(repr=False)
    attribute: str = ACTUAL

    def __post_init__(self) -> None:
        if self.attribute not in ATTRIBUTES:
            raise InvalidValue(f"a variable has the attributes {', '.join(ATTRIBUTES)}, not {self.attribute!r}")


@dataclass(frozen=True, slots=True)
class MonitorWish:
    """A monitor to set. ``monitor_id`` None: a new one; else it replaces that one."""

    variable: Variable
    kind: str
    value: float
    severity: int
    transaction: bool = False
    monitor_id: int | None = None


class DeviceModelDesk(Protocol):
    """Who keeps what stations say of their device models. Awaited calls may wait until there is room to keep it."""

    async def reported(self, station_id: str, part: ReportPart) -> None: ...
    async def happened(self, station_id: str, events: Sequence[ReportedEvent]) -> None: ...
    def told(self, station_id: str, what: Told) -> None: ...
