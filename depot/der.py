"""DER control of stations (OCPP 2.1 block R): how a station behaves towards the grid, as a grid operator wants it. Pure.

    SetDERControl accepted --> the station has it          NotifyDERStartStop --> it holds now, or no more
    ClearDERControl accepted --> gone                      ReportDERControl --> the station's own list, whole or not
    NotifyDERAlarm --> an alarm of the grid as the station sees it, until it says that it has ended

A control's settings are kept as OCPP spells them; nothing here judges them. ``because``: what the grid operator wants it for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

KEPT_CONTROLS = 200
"""Controls of a station that are remembered; the oldest go first."""
KEPT_ALARMS = 50
FIELDS: Mapping[str, str] = {
    "EnterService": "enterService",
    "FixedPFAbsorb": "fixedPFAbsorb",
    "FixedPFInject": "fixedPFInject",
    "FixedVar": "fixedVar",
    "FreqDroop": "freqDroop",
    "Gradients": "gradient",
    "LimitMaxDischarge": "limitMaxDischarge",
}
"""Where the settings of a control type stand in SetDERControl; those of all other types are curves."""
CURVE = "curve"


@dataclass(frozen=True, slots=True)
class DerControl:
    """One control. ``kind``: DERControlEnumType. ``because`` "": the station has it from elsewhere. ``running`` None: the station has not
    said; ``superseded``: another one holds in its place."""

    control_id: str
    kind: str
    is_default: bool
    settings: Mapping[str, Any] = field(default_factory=dict)
    because: str = ""
    set_at: datetime | None = None
    running: bool | None = None
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class DerAlarm:
    """What the station sees of the grid. ``kind``: the control that it concerns; ``fault`` "": none is named."""

    kind: str
    fault: str
    ended: bool
    detail: str
    reported_at: datetime | None


@dataclass(frozen=True, slots=True)
class DerSwitch:
    """A control began or ended to hold. ``supersedes``: those in whose place it holds."""

    control_id: str
    started: bool
    supersedes: tuple[str, ...]
    reported_at: datetime | None


@dataclass(frozen=True, slots=True)
class DerReport:
    """A part of the station's own list. ``last``: no other follows."""

    request_id: int
    controls: tuple[DerControl, ...]
    last: bool


@dataclass(frozen=True, slots=True)
class StationDer:
    """What is known of one station. ``reported_at``: when it last told its whole list; ``alarms``: the newest, oldest first."""

    controls: Mapping[str, DerControl] = field(default_factory=dict)
    alarms: tuple[DerAlarm, ...] = ()
    reported_at: datetime | None = None

    def with_control(self, control: DerControl, superseded: Iterable[str] = ()) -> StationDer:
        others = {key: c for key, c in _superseded(self.controls, superseded).items() if key != control.control_id}
        kept = [*others.items(), (control.control_id, control)][-KEPT_CONTROLS:]
        return replace(self, controls=dict(kept))

    def without(self, *, is_default: bool, kind: str = "", control_id: str = "") -> StationDer:
        """After ClearDERControl: one by its id, or all defaults (or all others), of one type or of any."""

        def gone(c: DerControl) -> bool:
            if control_id:
                return c.control_id == control_id
            return c.is_default == is_default and kind in ("", c.kind)

        return replace(self, controls={key: c for key, c in self.controls.items() if not gone(c)})

    def switched(self, switch: DerSwitch) -> StationDer:
        known = self.controls.get(switch.control_id)
        if known is None:
            return self
        return self.with_control(replace(known, running=switch.started, superseded=False), switch.supersedes if switch.started else ())

    def alarmed(self, alarm: DerAlarm) -> StationDer:
        return replace(self, alarms=(*self.alarms, alarm)[-KEPT_ALARMS:])

    def told(self, controls: Sequence[DerControl], at: datetime, *, whole: bool) -> StationDer:
        """As the station reports: what it does not name is gone where the report is about everything. What we know of why a
        control is there stays."""
        kept = {} if whole else dict(self.controls)
        for control in controls:
            known = self.controls.get(control.control_id)
            if known is not None and known.kind == control.kind:
                control = replace(control, because=known.because, set_at=known.set_at, running=known.running)
            kept[control.control_id] = control
        return replace(self, controls=dict(list(kept.items())[-KEPT_CONTROLS:]), reported_at=at if whole else self.reported_at)

    @property
    def active_alarms(self) -> tuple[DerAlarm, ...]:
        """Those that have not ended: the last word on each type and fault."""
        last = {(alarm.kind, alarm.fault): alarm for alarm in self.alarms}
        return tuple(alarm for alarm in last.values() if not alarm.ended)


def _superseded(controls: Mapping[str, DerControl], ids: Iterable[str]) -> dict[str, DerControl]:
    over = set(ids)
    return {key: replace(c, superseded=True, running=False) if key in over else c for key, c in controls.items()}


class DerDesk(Protocol):
    """Who hears what stations say about DER control."""

    async def alarmed(self, station_id: str, alarm: DerAlarm) -> None: ...
    async def switched(self, station_id: str, switch: DerSwitch) -> None: ...
    async def reported(self, station_id: str, part: DerReport) -> None: ...
