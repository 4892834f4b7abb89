"""MeterValues -> readings: units normalised, phases joined, the impossible rejected (reference no. 9).

``read_samples`` is pure translation. ``MeterGuard`` is one connector's memory: it knows what the connector can draw
and what its register said before, and so tells a kWh that is sold as a Wh, a register that runs backwards, and a
power that no such outlet can give. What it rejects it counts; nothing rejected is passed on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from depot.registry import ConnectorSpec
from ocpp_server.skew import parse_time

ENERGY, POWER, SOC, TEMPERATURE = "Energy.Active.Import.Register", "Power.Active.Import", "SoC", "Temperature"
SHOWN_SOC = "Display.PresentSOC"
"""OCPP 2.1: what the vehicle shows its driver (ISO 15118-20); it stands in where no ``SoC`` is told."""
CURRENT, VOLTAGE = "Current.Import", "Voltage"
GIVEN_POWER, GIVEN_ENERGY = "Power.Active.Export", "Energy.Active.Export.Register"

_TO_BASE: Mapping[str, Mapping[str, Callable[[float], float]]] = {
    ENERGY: {"": float, "Wh": float, "kWh": lambda v: v * 1000},
    POWER: {"": float, "W": float, "kW": lambda v: v * 1000},
    GIVEN_POWER: {"": float, "W": float, "kW": lambda v: v * 1000},
    GIVEN_ENERGY: {"": float, "Wh": float, "kWh": lambda v: v * 1000},
    CURRENT: {"": float, "A": float},
    VOLTAGE: {"": float, "V": float},
    SOC: {"": lambda v: v / 100, "Percent": lambda v: v / 100},
    SHOWN_SOC: {"": lambda v: v / 100, "Percent": lambda v: v / 100},
    TEMPERATURE: {
        "": float,
        "Celsius": float,
        "Celcius": float,
        "K": lambda v: v - 273.15,
        "Fahrenheit": lambda v: (v - 32) / 1.8,
    },
}
_MARGIN = 3.0
"""A value beyond this multiple of the rating is an error, not a measurement."""
_BACKWARDS_ACCEPTED = 5
"""So many lower register values in a row are a new register (meter changed, counter reset), not errors."""
_SCALE_EVIDENCE_WH = 300.0
"""Energy by power × time that must have flowed before the register's scale is judged."""
_SCALE_TWICE = 2
"""So many stretches of that much energy in a row must say the same: a clock that is set makes one of them lie."""
_GAP_S = 900.0
"""Longer silence: power × time over it would be a guess."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One timestamp's values in base units. Energy is the raw register in Wh as the station labels it; power is import less export,
    ``exported_wh`` the raw register of export."""

    reported_at: datetime | None
    context: str
    power_w: float | None = None
    energy_wh: float | None = None
    soc: float | None = None
    pack_temp_c: float | None = None
    current_a: float | None = None
    voltage_v: float | None = None
    exported_wh: float | None = None


def read_samples(meter_value: Sequence[Mapping[str, Any]], rejected: Counter[str]) -> list[Sample]:
    """Samples in the order of the charger's time (a queue may be emptied in any order, no. 7)."""
    samples = [_sample(entry, rejected) for entry in meter_value]
    if len(samples) > 1:
        samples.sort(key=lambda s: s.reported_at.timestamp() if s.reported_at else math.inf)
    return samples


def _sample(entry: Mapping[str, Any], rejected: Counter[str]) -> Sample:
    reported_at = parse_time(entry.get("timestamp"))
    if reported_at is None:
        rejected["distrusted_time"] += 1
    totals: dict[str, float] = {}
    phases: dict[str, dict[str, float]] = {}
    context = "Sample.Periodic"
    for value in entry["sampledValue"]:
        context = value.get("context", context)
        measurand = value.get("measurand", ENERGY)
        units = _TO_BASE.get(measurand)
        if units is None or not _of_interest(measurand, value.get("location", "Outlet"), value.get("format", "Raw")):
            continue
        convert = units.get(value.get("unit", ""))
        number = _number(value["value"])
        if convert is None or number is None:
            rejected["unit_mismatch" if convert is None else "not_a_number"] += 1
            continue
        phase = value.get("phase")
        if phase is None:
            totals.setdefault(measurand, convert(number))
        else:
            phases.setdefault(measurand, {}).setdefault(phase, convert(number))
    for measurand, by_phase in phases.items():
        if measurand not in totals:
            joined = _join(measurand, by_phase)
            if joined is not None:
                totals[measurand] = joined
    if SOC not in totals and SHOWN_SOC in totals:
        totals[SOC] = totals[SHOWN_SOC]
    if GIVEN_POWER in totals:
        totals[POWER] = totals.get(POWER, 0.0) - abs(totals[GIVEN_POWER])
    fields = (totals.get(measurand) for measurand in (POWER, ENERGY, SOC, TEMPERATURE, CURRENT, VOLTAGE, GIVEN_ENERGY))
    return Sample(reported_at, context, *fields)


def _of_interest(measurand: str, location: str, data_format: str) -> bool:
    """Only raw values of the outlet; a temperature only of the vehicle (a cabinet's says nothing about a pack)."""
    if data_format != "Raw":
        return False
    if measurand == TEMPERATURE:
        return location == "EV"
    return location in ("Outlet", "EV") if measurand in (SOC, SHOWN_SOC) else location == "Outlet"


def _number(said: str | float) -> float | None:
    try:
        number = float(said)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and abs(number) < 1e15 else None


def _join(measurand: str, by_phase: Mapping[str, float]) -> float | None:
    """Sum of power and energy over L1, L2, L3; the largest current; the mean phase voltage. N alone is no phase."""
    single = {phase[:2]: value for phase, value in by_phase.items() if phase in ("L1", "L2", "L3", "L1-N", "L2-N", "L3-N")}
    if not single:
        return None
    if measurand in (POWER, ENERGY, GIVEN_POWER, GIVEN_ENERGY):
        return sum(single.values())
    return max(single.values()) if measurand == CURRENT else sum(single.values()) / len(single)


@dataclass(slots=True)
class _Anchor:
    """Where the register's scale began to be judged: its raw value, and the energy that power × time says since."""

    raw_wh: float
    by_power_wh: float = 0.0


class MeterGuard:
    """One connector's register and rating. ``rejected`` counts per station, by name."""

    def __init__(self, spec: ConnectorSpec, rejected: Counter[str]) -> None:
        self._spec = spec
        self._rejected = rejected
        self.scale = 1
        self._offset_wh = 0.0
        self._start_raw: float | None = None
        self._last_wh: float | None = None
        self._backwards = 0
        self._anchor: _Anchor | None = None
        self._suspicions = 0
        self._power: tuple[datetime, float] | None = None
        self._given: tuple[float, float] | None = None

    @property
    def last_wh(self) -> float | None:
        """The last believed register, Wh."""
        return self._last_wh

    def power_w(self, value: float | None) -> int | None:
        """The power if this connector can draw it (or feed it back), else None and counted."""
        if value is None:
            return None
        if value > _MARGIN * self._spec.rated_w:
            self._rejected["power_beyond_rating"] += 1
            return None
        if value < -float(max(self._spec.rated_w, _MARGIN * self._spec.discharge_w)):
            self._rejected["negative_power"] += 1
            return None
        return round(value)

    def energy_wh(self, raw: float | None, power_w: int | None, at: datetime) -> int | None:
        """The register in Wh. ``at``: the sample's time by our clock; samples must come in its order."""
        elapsed_s, flowed_wh = self._flow(power_w, at)
        if raw is None:
            return None
        if raw < 0:
            self._rejected["negative_register"] += 1
            return None
        self._judge_scale(raw, flowed_wh)
        wh = raw * self.scale + self._offset_wh
        if self._last_wh is not None:
            if wh < self._last_wh - 1:
                return self._lower(wh)
            if elapsed_s is not None and elapsed_s > 0 and wh - self._last_wh > _MARGIN * self._spec.rated_w * elapsed_s / 3600 + 1000:
                self._rejected["register_jumped"] += 1
                self._last_wh = None  # one outlier is dropped; the next value starts anew
                return None
        self._backwards = 0
        self._last_wh = wh
        return round(wh)

    def exported_wh(self, raw: float | None) -> int | None:
        """What has been given since the transaction began, or since its first register was seen, Wh. A register that runs
        backwards is a new one: what it had said before stays given."""
        if raw is None or raw < 0 or not self._spec.discharge_w:
            return None
        if self._given is None:
            self._given = (0.0, raw)
        given_wh, last = self._given
        self._given = (given_wh + max(0.0, raw - last), raw)
        return round(self._given[0])

    def started(self, meter_start: int) -> int:
        """A transaction's ``meterStart``, Wh; the register of its samples is judged from here."""
        wh = meter_start * self.scale + self._offset_wh
        self._start_raw, self._last_wh, self._backwards = float(meter_start), wh, 0
        self._anchor = _Anchor(float(meter_start))
        self._power = self._given = None
        return round(wh)

    def stopped(self, meter_stop: int) -> int:
        """A transaction's ``meterStop``, Wh. A whole number of kWh is too coarse: the last sample says it better."""
        wh = meter_stop * self.scale + self._offset_wh
        if self.scale != 1 and self._last_wh is not None and abs(self._last_wh - wh) <= self.scale:
            wh = self._last_wh
        return round(wh)

    def _flow(self, power_w: int | None, at: datetime) -> tuple[float | None, float | None]:
        """Seconds since the last sample, and Wh by power × time over them (None: not known)."""
        before, self._power = self._power, (at, float(power_w)) if power_w is not None else None
        if before is None:
            return None, None
        elapsed_s = (at - before[0]).total_seconds()
        if power_w is None or not 0 <= elapsed_s <= _GAP_S:
            return elapsed_s, None
        return elapsed_s, (before[1] + power_w) / 2 * elapsed_s / 3600

    def _judge_scale(self, raw: float, flowed_wh: float | None) -> None:
        """Tell a register that counts kWh but says Wh: it moves a thousandth of what power × time says."""
        if self._anchor is None or (flowed_wh is None and self._anchor.by_power_wh > 0):
            self._anchor = _Anchor(raw)
            return
        self._anchor.by_power_wh += max(0.0, flowed_wh or 0.0)
        moved, expected = raw - self._anchor.raw_wh, self._anchor.by_power_wh
        if expected < _SCALE_EVIDENCE_WH:
            return
        if self.scale == 1 and moved <= expected / 100:
            if not expected / 3 <= moved * 1000 <= expected * 3:
                return  # a register in whole kWh: wait until it has moved enough to be sure
            self._suspicions += 1
            if self._suspicions < _SCALE_TWICE:
                self._anchor = _Anchor(raw)
                return
            self._rejected["kwh_for_wh"] += 1
            self.scale = 1000
            start = self._start_raw if self._start_raw is not None else raw
            self._offset_wh = start - start * 1000  # this transaction began before we knew: keep its meterStart valid
            self._last_wh = None
        elif self.scale == 1000 and moved >= expected / 3:
            self.scale, self._offset_wh, self._last_wh = 1, 0.0, None  # the station was repaired
        self._suspicions = 0
        self._anchor = _Anchor(raw)

    def _lower(self, wh: float) -> int | None:
        self._rejected["register_backwards"] += 1
        self._backwards += 1
        if self._backwards < _BACKWARDS_ACCEPTED:
            return None
        self._rejected["register_reset"] += 1
        self._backwards = 0
        self._last_wh = wh
        return round(wh)
