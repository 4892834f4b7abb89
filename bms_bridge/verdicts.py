"""What this room tells the controller to do, in its own words: vehicles and packs, never connectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from depot.values import PackKey


class Why(StrEnum):
    """Why a pack may take less than its level."""

    HOT = "hot"
    COLD = "cold"
    RISING = "rising"
    SPREAD = "spread"
    SENSORS = "sensors"
    ALARM = "alarm"
    SILENT = "silent"
    BUS_LOST = "bus_lost"
    RESTART = "restart"
    CELLS = "cells"
    CURRENT = "current"
    INSULATION = "insulation"
    FULL = "full"
    STOP = "stop"
    OVER_TIME = "over_time"
    POWER = "power"
    CAMERA = "camera"
    STATE_OF_SAFETY = "state_of_safety"


class Cause(StrEnum):
    """Why a pack is tripped."""

    OVER_TEMPERATURE = "over_temperature"
    RUNAWAY = "runaway"
    BMS_ALARM = "bms_alarm"
    DAMAGED_LATCH = "damaged_latch"
    JOURNAL = "journal"
    CELL_OVER_VOLTAGE = "cell_over_voltage"
    CELL_UNDER_VOLTAGE = "cell_under_voltage"
    VOLTAGE_SPREAD = "voltage_spread"
    VOLTAGE_COLLAPSE = "voltage_collapse"
    OVER_CURRENT = "over_current"
    TEMPERATURE_RISE = "temperature_rise"
    TEMPERATURE_SPREAD = "temperature_spread"
    INSULATION = "insulation"
    SMOKE = "smoke"
    GAS = "gas"
    PRESSURE = "pressure"
    CAMERA = "camera"
    SENSORS_LOST = "sensors_lost"
    STOP_IGNORED = "stop_ignored"
    OVER_TIME = "over_time"
    STATE_OF_SAFETY = "state_of_safety"


@dataclass(frozen=True, slots=True)
class Derate:
    """The pack may take ``share`` of its level from now on, and no more than ``limit_w`` at the battery (None: no watts are said), until
    the next verdict about it. ``text`` is for people."""

    pack: PackKey
    share: float
    why: tuple[Why, ...]
    text: str
    limit_w: int | None = None


@dataclass(frozen=True, slots=True)
class Clear:
    """The pack may take its whole level again."""

    pack: PackKey


@dataclass(frozen=True, slots=True)
class Trip:
    """Stop this pack now, and keep it stopped. ``evidence``: what was seen, by name."""

    pack: PackKey
    cause: Cause
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BusLost:
    """Nothing is heard of any vehicle: packs that no charger speaks of are derated, none is tripped, somebody must look at
    the broker."""

    reason: str


@dataclass(frozen=True, slots=True)
class BusBack:
    """The bus carries telemetry again."""


PackVerdict = Derate | Clear | Trip
Verdict = PackVerdict | BusLost | BusBack
