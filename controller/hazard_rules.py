"""What a detector of the depot means: smoke, gas, pressure, a hot place. Pure: (memory, value, now) -> (memory, what stands).

    value --confirmed for confirm_s--> alarm --quiet for CLEAR_S--> no alarm
    no value for silent_s, a number that never moves, one that cannot be --> not monitored: an alarm of its own, never a trip

An alarm stands while its detector is silent: only its own word ends it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from bms_bridge.rules.frame import Beyond, beyond
from bms_bridge.verdicts import Cause
from depot.outputs import Area

CLEAR_S: Final = 60.0
"""A detector must be quiet for so long before what it saw is over."""

BACK_SHARE: Final = 0.05
CAMERA_TRIPS_C: Final = 80.0
"""The envelope: no setting lets a camera see more than this without a trip (SEI onset; a surface is cooler than the cell behind it)."""

CAMERA_WARNS_C: Final = 60.0
SENSIBLE: Final = (-100.0, 1e6)


class HazardKind(StrEnum):
    """What a detector looks for."""

    SMOKE = "smoke"
    GAS = "gas"
    PRESSURE = "pressure"
    CAMERA = "camera"

    @property
    def cause(self) -> Cause:
        return Cause(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class HazardSpec:
    """A detector. ``contact``: it is one, and ``closed_alarms`` says what it means; else a number, in ``unit``, that warns from ``warn``
    and trips from ``trip``. ``stuck_s``: a number that has not moved for so long is not believed; 0: that is usual for it."""

    hazard_id: str
    kind: HazardKind
    area: Area
    name: str = ""
    contact: bool = True
    closed_alarms: bool = True
    unit: str = ""
    warn: float | None = None
    trip: float | None = None
    confirm_s: float = 1.0
    silent_s: float = 10.0
    stuck_s: float = 0.0

    @property
    def title(self) -> str:
        return self.name or self.hazard_id


@dataclass(frozen=True, slots=True)
class HazardMemory:
    """What is remembered. ``alarm``: what was confirmed, or is about to be. ``quiet_since_s``: since when it says nothing bad any more."""

    begun_s: float
    value: float | None = None
    read_s: float | None = None
    moved_s: float | None = None
    alarm: Beyond | None = None
    quiet_since_s: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands now. ``text`` says what it sees; ``unknown`` why it is not monitored (empty: it is)."""

    alarm: bool = False
    warns: bool = False
    text: str = ""
    unknown: str = ""


def judge(memory: HazardMemory | None, spec: HazardSpec, value: float | None, read_s: float, now_s: float) -> tuple[HazardMemory, Standing]:
    """``value``: the newest one that it said (None: none yet), ``read_s``: when it was asked for."""
    known = memory or HazardMemory(now_s)
    sensible = value is not None and SENSIBLE[0] <= value <= SENSIBLE[1]
    if value is not None and sensible and read_s != known.read_s:
        moved_s = now_s if known.moved_s is None or value != known.value else known.moved_s
        over, back = _over(spec, value), _back(spec, value)
        quiet_since_s = None if not back else known.quiet_since_s if known.quiet_since_s is not None else now_s
        over_now = beyond(known.alarm, now_s, over=over, back=False, for_s=spec.confirm_s, samples=2)
        if over_now is not None and over_now.sure and quiet_since_s is not None and now_s - quiet_since_s >= CLEAR_S:
            over_now = None
        known = replace(known, value=value, read_s=read_s, moved_s=moved_s, alarm=over_now, quiet_since_s=quiet_since_s)
    alarm = known.alarm is not None and known.alarm.sure
    warns = not alarm and spec.warn is not None and known.value is not None and known.value >= spec.warn
    return known, Standing(
        alarm, warns, _words(spec, known) if alarm or warns else "", _unknown(spec, known, value, now_s, sensible=sensible)
    )


def _over(spec: HazardSpec, value: float) -> bool:
    if spec.contact:
        return bool(value) is spec.closed_alarms
    return spec.trip is not None and value >= spec.trip


def _back(spec: HazardSpec, value: float) -> bool:
    if spec.contact or spec.trip is None:
        return not _over(spec, value)
    return value < spec.trip * (1.0 - BACK_SHARE)


def _words(spec: HazardSpec, known: HazardMemory) -> str:
    number = "" if spec.contact or known.value is None else f" {known.value:g} {spec.unit}".rstrip()
    return f"{spec.title} tells of {spec.kind}{number}" if spec.kind is not HazardKind.CAMERA else f"{spec.title} sees{number or ' heat'}"


def _unknown(spec: HazardSpec, known: HazardMemory, value: float | None, now_s: float, *, sensible: bool) -> str:
    if value is not None and not sensible:
        return f"it says {value:g}, which cannot be"
    quiet_s = now_s - (known.read_s if known.read_s is not None else known.begun_s)
    if quiet_s > spec.silent_s:
        return f"it has said nothing for {quiet_s:.0f} s"
    if spec.stuck_s and not spec.contact and known.moved_s is not None and now_s - known.moved_s > spec.stuck_s:
        return f"it has said {known.value:g} for {now_s - known.moved_s:.0f} s"
    return ""
