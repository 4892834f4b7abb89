"""Facts of stations' DER controls (OCPP 2.1). See :mod:`depot.der`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.der import DerAlarm, DerControl, DerSwitch
from depot.events.envelope import Event


@dataclass(frozen=True, slots=True)
class DerControlSet(Event):
    """The station has accepted a control. ``superseded``: those that it holds no more because of it."""

    TYPE: ClassVar[str] = "station.der_control_set"
    station_id: str
    control: DerControl
    superseded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DerControlsCleared(Event):
    """The station has dropped controls: the one of that id, else all defaults (or all others), of one type or of any."""

    TYPE: ClassVar[str] = "station.der_controls_cleared"
    station_id: str
    is_default: bool
    kind: str = ""
    control_id: str = ""


@dataclass(frozen=True, slots=True)
class DerControlSwitched(Event):
    """A control began or ended to hold at the station."""

    TYPE: ClassVar[str] = "station.der_control_switched"
    station_id: str
    switch: DerSwitch


@dataclass(frozen=True, slots=True)
class DerAlarmNoticed(Event):
    """The station told an alarm of the grid, or its end. ``unlisted``: so many more were only counted before this one."""

    TYPE: ClassVar[str] = "station.der_alarm_noticed"
    station_id: str
    alarm: DerAlarm
    unlisted: int = 0


@dataclass(frozen=True, slots=True)
class DerControlsReported(Event):
    """The station's own list. ``whole``: it is all that it has."""

    TYPE: ClassVar[str] = "station.der_controls_reported"
    station_id: str
    controls: tuple[DerControl, ...]
    whole: bool
