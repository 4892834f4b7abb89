"""What a meter says, judged: values that cannot be, values that do not fit one another, registers of energy that run wrong.

    impossible()   one value by itself: it is dropped, the others stay
    doubts()       several values together: a turned transformer, a missing phase; nothing is dropped, people are told
    EnergyWatch    the registers over time: set back, rolled over, counting the other way, not fitting the power
    StandStill     nothing changes any more although power flows: a gateway repeats what it once knew

Pure. Units as in :class:`grid.meter_map.Quantity`.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from grid.meter_map import MapValue, Quantity

__all__ = ["Bounds", "Doubt", "EnergyWatch", "StandStill", "doubts", "impossible"]

MOST_WH: Final = 1e14
LEAST_HZ: Final = 40.0
MOST_HZ: Final = 70.0
PHASES: Final = (1, 2, 3)
VOLTAGES: Final = (Quantity.VOLTAGE_L1, Quantity.VOLTAGE_L2, Quantity.VOLTAGE_L3)
CURRENTS: Final = (Quantity.CURRENT_L1, Quantity.CURRENT_L2, Quantity.CURRENT_L3)
POWERS: Final = (Quantity.POWER_L1, Quantity.POWER_L2, Quantity.POWER_L3)
_NEGLIGIBLE: Final = 0.02
"""Share of the largest phase's power below which a phase's direction says nothing."""

_LITTLE_VA: Final = 5_000.0
"""Below this load a low power says nothing: filters and idle transformers draw reactive current."""

_ENOUGH_WH: Final = 2_000.0
_ENOUGH_STEPS: Final = 20
_LONGEST_STEP_S: Final = 60.0


class Doubt(NamedTuple):
    """``kind`` stays while the numbers in ``words`` change."""

    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """What can be at this site. ``max_w``: either way, also for VA and var. ``nominal_v``: between phase and neutral, 0
    where it is not known."""

    max_w: float = 50_000_000
    nominal_v: float = 0.0


def impossible(quantity: Quantity, value: float, bounds: Bounds) -> str:
    """Why ``value`` cannot be; empty: it can."""
    match quantity.unit:
        case "W" | "VA" | "var":
            if abs(value) > bounds.max_w:
                return f"{quantity} is {value:.0f} {quantity.unit}, beyond ±{bounds.max_w:.0f}"
        case "Hz":
            if not LEAST_HZ <= value <= MOST_HZ:
                return f"frequency is {value:g} Hz, not between {LEAST_HZ:g} and {MOST_HZ:g}"
        case "1":
            if abs(value) > 1.001:
                return f"power_factor is {value:g}, not between -1 and 1"
        case "V":
            most = 1.5 * bounds.nominal_v if bounds.nominal_v else 500_000.0
            if not 0 <= value <= most:
                return f"{quantity} is {value:g} V, not between 0 and {most:g}"
        case "A":
            most = bounds.max_w / (bounds.nominal_v or 100.0)
            if abs(value) > most:
                return f"{quantity} is {value:g} A, beyond {most:.0f}"
        case "Wh" | "VAh":
            if not 0 <= value <= MOST_WH:
                return f"{quantity} is {value:g} {quantity.unit}; registers of energy are not negative"
        case _:
            if not 0 <= value <= 1440:
                return f"{quantity} is {value:g} {quantity.unit}"
    return ""


def doubts(found: Mapping[Quantity, float], bounds: Bounds) -> tuple[Doubt, ...]:
    """What does not fit together, in sentences that say what to look at. The values should be of one moment: what is told
    for a single poll may be a load that has just changed."""
    told = list(_of_voltages(found, bounds))
    power, apparent, reactive = (found.get(q) for q in (Quantity.POWER, Quantity.APPARENT, Quantity.REACTIVE))
    phases = [found.get(q) for q in POWERS]
    if power is not None and None not in phases:
        told += _of_phases(power, [p for p in phases if p is not None])
    volt_amperes = _volt_amperes(found)
    if power is not None and volt_amperes is not None and volt_amperes > 0:
        if abs(power) > 1.15 * volt_amperes + 50:
            words = (
                f"{power / 1000:.1f} kW is more than voltages and currents carry ({volt_amperes / 1000:.1f} kVA): check the power's scale, "
                "its type and the transformer ratios"
            )
            told.append(Doubt("power_high", words))
        elif abs(power) < 0.4 * volt_amperes and volt_amperes > _LITTLE_VA and _power_factor(found) > 0.6:
            words = (
                f"{power / 1000:.1f} kW is little for voltages and currents of {volt_amperes / 1000:.1f} kVA: a current transformer may "
                "be turned or sit on another phase than its voltage"
            )
            told.append(Doubt("power_low", words))
    if power is not None and apparent is not None and abs(power) > 1.05 * abs(apparent) + 50:
        words = f"active power {power / 1000:.1f} kW is above apparent power {apparent / 1000:.1f} kVA: check their scales"
        told.append(Doubt("apparent", words))
    elif power is not None and apparent is not None and reactive is not None:
        whole = math.hypot(power, reactive)
        if whole > 1.2 * abs(apparent) + 50:
            words = f"active and reactive power make {whole / 1000:.1f} kVA, the meter says {abs(apparent) / 1000:.1f}: check their scales"
            told.append(Doubt("apparent", words))
    return tuple(told)


def _of_voltages(found: Mapping[Quantity, float], bounds: Bounds) -> list[Doubt]:
    told = []
    if bounds.nominal_v:
        for number, quantity in zip(PHASES, VOLTAGES, strict=True):
            value = found.get(quantity)
            if value is not None and value < 0.1 * bounds.nominal_v:
                told.append(Doubt(quantity, f"L{number} has {value:.0f} V: a phase or its fuse is missing"))
            elif value is not None and not 0.8 <= value / bounds.nominal_v <= 1.2:
                words = f"L{number} has {value:.0f} V, more than 20 % off {bounds.nominal_v:g} V: check nominal_v and the ratios"
                told.append(Doubt(quantity, words))
    return told


def _of_phases(power: float, phases: list[float]) -> list[Doubt]:
    largest = max(abs(p) for p in phases)
    least = max(50.0, _NEGLIGIBLE * largest)
    total = sum(phases)
    if abs(total - power) > 0.1 * max(abs(power), largest) + 50:
        words = f"the phases make {total / 1000:.1f} kW, the total says {power / 1000:.1f} kW: check addresses and scales"
        return [Doubt("phases_sum", words)]
    below = [n for n, p in zip(PHASES, phases, strict=True) if p < -least]
    above = [n for n, p in zip(PHASES, phases, strict=True) if p > least]
    if below and above:
        few = below if len(below) <= len(above) else above
        names = " and ".join(f"L{n}" for n in few)
        words = f"{names} runs the other way than the other phases: its current transformer may be turned or swapped"
        return [Doubt("phase_turned", words)]
    return []


def _volt_amperes(found: Mapping[Quantity, float]) -> float | None:
    pairs = [(found.get(v), found.get(i)) for v, i in zip(VOLTAGES, CURRENTS, strict=True)]
    products = [v * abs(i) for v, i in pairs if v is not None and i is not None]
    return sum(products) if len(products) == len(PHASES) else None


def _power_factor(found: Mapping[Quantity, float]) -> float:
    return abs(found.get(Quantity.POWER_FACTOR, 1.0))


@dataclass(frozen=True, slots=True)
class EnergyWatch:
    """The registers of energy followed over time, an immutable value moved on by :meth:`seen`. The anchor is where a stretch
    began over which the registers are held against the power; ``drawn_wh`` is the power's energy since then, and
    ``moved_wh`` the same without its sign. ``last_w`` holds from ``at`` on."""

    at: datetime | None = None
    last_w: float = 0.0
    import_wh: float | None = None
    export_wh: float | None = None
    anchor_import_wh: float | None = None
    anchor_export_wh: float | None = None
    drawn_wh: float = 0.0
    moved_wh: float = 0.0
    doubt: str = ""

    def seen(self, at: datetime, found: Mapping[Quantity, float], map_: Mapping[Quantity, MapValue]) -> tuple[EnergyWatch, tuple[str, ...]]:
        """The watch after a poll at ``at`` that read ``found``, and what it noticed, once each. ``doubt`` stays until a stretch
        without it."""
        told = []
        watch = self._moved_to(at, found.get(Quantity.POWER, self.last_w))
        importing, exporting = found.get(Quantity.IMPORT_ENERGY), found.get(Quantity.EXPORT_ENERGY)
        for quantity, before, now in (
            (Quantity.IMPORT_ENERGY, watch.import_wh, importing),
            (Quantity.EXPORT_ENERGY, watch.export_wh, exporting),
        ):
            if before is not None and now is not None and now < before:
                told.append(_back(quantity, before, now, map_.get(quantity)))
        watch = replace(
            watch,
            import_wh=watch.import_wh if importing is None else importing,
            export_wh=watch.export_wh if exporting is None else exporting,
        )
        if importing is None and not told:
            return watch, ()  # it was not read in this poll: what flowed meanwhile counts on
        if told or importing is None or watch.anchor_import_wh is None:
            return watch._anchored(), tuple(told)
        step = _step_wh(importing, map_.get(Quantity.IMPORT_ENERGY))
        if watch.moved_wh < max(_ENOUGH_WH, _ENOUGH_STEPS * step):
            return watch, ()
        doubt = watch._judged()
        return replace(watch._anchored(), doubt=doubt), (doubt,) if doubt and doubt != self.doubt else ()

    def _moved_to(self, at: datetime, power_w: float) -> EnergyWatch:
        if self.at is None or at < self.at or at - self.at > timedelta(seconds=_LONGEST_STEP_S):
            return replace(self, at=at, last_w=power_w)._anchored()  # what nobody measured is not held against the registers
        hours = (at - self.at).total_seconds() / 3600
        middle_w = (self.last_w + power_w) / 2
        return replace(
            self, at=at, last_w=power_w, drawn_wh=self.drawn_wh + middle_w * hours, moved_wh=self.moved_wh + abs(middle_w) * hours
        )

    def _anchored(self) -> EnergyWatch:
        return replace(self, anchor_import_wh=self.import_wh, anchor_export_wh=self.export_wh, drawn_wh=0.0, moved_wh=0.0)

    def _judged(self) -> str:
        """What is wrong between the anchor and now; empty: nothing, or the site went both ways too much to say."""
        assert self.import_wh is not None
        assert self.anchor_import_wh is not None
        into = self.import_wh - self.anchor_import_wh
        out = self.export_wh - self.anchor_export_wh if self.export_wh is not None and self.anchor_export_wh is not None else 0.0
        if abs(self.drawn_wh) < 0.8 * self.moved_wh:
            return ""
        counted, wrong_way = (into, out) if self.drawn_wh > 0 else (out, into)
        size = abs(self.drawn_wh)
        if wrong_way > 0.5 * size and counted < 0.1 * size:
            way = "import" if self.drawn_wh > 0 else "export"
            return f"the power says {way}, the registers of energy count the other way: check the sign, or set reversed"
        if self.drawn_wh > 0 and not 0.5 <= counted / size <= 2:
            return (
                f"the import register moved by {counted / 1000:.2f} kWh while the power made {size / 1000:.2f} kWh: check both scales "
                "and the transformer ratios"
            )
        return ""


@dataclass(frozen=True, slots=True)
class StandStill:
    """Whether all that a meter tells stays the same although power flows, an immutable value moved on by :meth:`seen`. Only a
    meter that tells energy can be found out: ``flowed_wh`` is what the power made since ``values``, and a register that
    counts would have moved many times. ``found``: what it tells is old, however fresh the answers are."""

    values: tuple[tuple[Quantity, float], ...] = ()
    at: datetime | None = None
    flowed_wh: float = 0.0
    found: bool = False

    def seen(
        self, at: datetime, newest: Mapping[Quantity, float], read: Container[Quantity], map_: Mapping[Quantity, MapValue]
    ) -> StandStill:
        """The watch after a poll at ``at``, in which ``read`` was read; ``newest``: the newest value of everything. It judges
        only where the register that counts was read again."""
        power, energy = newest.get(Quantity.POWER, 0.0), _counting(newest)
        seconds = 0.0 if self.at is None else min(_LONGEST_STEP_S, max(0.0, (at - self.at).total_seconds()))
        flowed_wh = self.flowed_wh + abs(power) * seconds / 3600
        if energy is None or energy not in read:
            return replace(self, at=at, flowed_wh=flowed_wh)
        values = tuple(sorted(newest.items()))
        if values != self.values:
            return StandStill(values, at)
        enough_wh = max(_ENOUGH_WH, _ENOUGH_STEPS * _step_wh(newest[energy], map_.get(energy)))
        return replace(self, at=at, flowed_wh=flowed_wh, found=flowed_wh >= enough_wh)


def _counting(found: Mapping[Quantity, float]) -> Quantity | None:
    """The register that counts at this power."""
    wanted = Quantity.IMPORT_ENERGY if found.get(Quantity.POWER, 0.0) >= 0 else Quantity.EXPORT_ENERGY
    return wanted if wanted in found else None


def _back(quantity: Quantity, before: float, now: float, value: MapValue | None) -> str:
    wraps_at = value.wraps_at if value is not None else None
    if wraps_at is not None and before > 0.9 * wraps_at and now < 0.1 * wraps_at:
        return f"{quantity} rolled over, from {before / 1000:.1f} to {now / 1000:.1f} kWh"
    return f"{quantity} went back from {before / 1000:.1f} to {now / 1000:.1f} kWh: was the meter changed or reset?"


def _step_wh(reading_wh: float, value: MapValue | None) -> float:
    """The smallest step that the register can make: one count, or the resolution of a float of this size (24 bits)."""
    if value is None:
        return 0.0
    return abs(value.scale) if value.type.whole else max(abs(value.scale) * 0.01, reading_wh / 2**23)
