"""Resistance from steps of the current: what falls at once, what follows within seconds, what follows within half a minute.

    samples --steps of the current--> R at 0.1, 1, 10, 30 s --differences--> ohmic, charge transfer, diffusion

Any step counts: the beginning of a pulse, its end, a charge that is interrupted. Where sampling is too slow for a time, that time's
resistance is NaN, and the first part that can be told says from which time it is ("ohmic" needs a sample within 0.2 s of the step; at
one sample a second the ohmic part and charge transfer cannot be told apart, and only their sum is).
Resistance as health: against the resistance when new, both brought to one temperature and one state of charge first.
Source: IEC 62660-1 (resistance from two points of a pulse); the split of times follows Barai et al., "A comparison of methodologies for
the non-invasive characterisation of commercial Li-ion cells", Progress in Energy and Combustion Science 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bms_bridge.features import WindowMissing
from bms_bridge.features.samples import Floats, Samples

TIMES_S = (0.1, 1.0, 10.0, 30.0)
OHMIC_S = 0.2
LEAST_STEP_C = 0.2
STEADY = 0.05
MOST_HOLD_S = 600.0
"""What comes later after a step is no answer to it."""
GAS_J_PER_MOL_K = 8.314
KELVIN = 273.15
ACTIVATION_J_PER_MOL = 20_000.0
"""How resistance falls with warmth where nobody fitted it: half as much at 45 °C as at 20 °C, as in measurements of many NMC and LFP
cells (10 to 40 kJ/mol). What is told with it says so by a wide interval: see :func:`at_reference`."""
ACTIVATION_OFF = 10_000.0


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the current. ``row``: the last sample before it; ``change_a``: what the current changed by; ``resistance_ohm``: at
    :data:`TIMES_S`, NaN where not told; ``hold_s``: how long the new current stayed; ``first_s``: when its first sample was taken;
    ``temperature_c``: NaN where not measured; ``voltage_v``: just before."""

    row: int
    time_s: float
    change_a: float
    resistance_ohm: tuple[float, ...]
    hold_s: float
    first_s: float
    temperature_c: float
    voltage_v: float

    @property
    def ohmic_ohm(self) -> float:
        """What falls within 0.1 s; NaN where sampling was too slow."""
        return self.resistance_ohm[0] if self.first_s <= OHMIC_S else float("nan")

    @property
    def transfer_ohm(self) -> float:
        """What follows until 1 s: charge transfer and the surface film."""
        return self.resistance_ohm[1] - self.ohmic_ohm

    @property
    def diffusion_ohm(self) -> float:
        """What follows from 1 s until the last time that is told."""
        told = [value for value in self.resistance_ohm[2:] if np.isfinite(value)]
        return told[-1] - self.resistance_ohm[1] if told else float("nan")


@dataclass(frozen=True, slots=True)
class Resistance:
    """Medians over steps (Ω; NaN where no step told it); ``spread_ohm``: half of the middle 68 % at 10 s (1 s where that is missing)."""

    steps: int
    at_ohm: tuple[float, ...]
    ohmic_ohm: float
    transfer_ohm: float
    diffusion_ohm: float
    spread_ohm: float
    temperature_c: float


def steps(samples: Samples, nominal_ah: float, *, least_c: float = LEAST_STEP_C) -> list[Step]:
    """All steps of the current of at least ``least_c`` of the nominal capacity an hour, after which it stood still (within 5 %)."""
    change = np.diff(samples.current_a)
    gap_s = samples.gap_s
    pause = np.diff(samples.time_s)
    usual_s = float(np.median(pause))
    found = []
    for row in map(int, np.flatnonzero((np.abs(change) >= least_c * nominal_ah) & (pause <= min(gap_s, 2.5 * usual_s + 1.0)))):
        before, after = samples.current_a[row], samples.current_a[row + 1]
        if row and abs(samples.current_a[row - 1] - before) > STEADY * abs(change[row]):
            continue  # still moving: the second half of a ramp
        far = int(np.searchsorted(samples.time_s, samples.time_s[row] + MOST_HOLD_S, side="right"))
        moved = np.abs(samples.current_a[row + 1 : far] - after) > STEADY * abs(change[row])
        late = np.r_[False, pause[row + 1 : far - 1] > gap_s]
        stop = np.flatnonzero(moved | late)
        end = row + 1 + (int(stop[0]) if len(stop) else len(moved))
        begin_s = float(samples.time_s[row + 1])
        held = samples.rows(slice(row + 1, end))
        drift = _drift(samples, row)
        since = held.time_s - float(samples.time_s[row])
        told = held.voltage_v - samples.voltage_v[row] - drift * since
        resistances = tuple(_at(since, told / float(change[row]), time) for time in TIMES_S)
        if not any(np.isfinite(resistances)) or np.nanmax(resistances) <= 0:
            continue
        warm = samples.temperatures_c[row]
        found.append(
            Step(
                row,
                begin_s,
                float(change[row]),
                resistances,
                float(held.time_s[-1] - begin_s),
                float(since[0]),
                float(np.nanmean(warm)) if np.isfinite(warm).any() else float("nan"),
                float(samples.voltage_v[row]),
            )
        )
    return found


def summary(found: list[Step]) -> Resistance:
    """Medians over steps. WindowMissing: there is none."""
    if not found:
        raise WindowMissing(f"no step of the current of {LEAST_STEP_C:g} C or more, after which it stood still, was sampled")
    table = np.array([step.resistance_ohm for step in found])
    at = tuple(_middle(table[:, column]) for column in range(table.shape[1]))
    spread = next(table[:, column] for column in (2, 1, 3, 0) if np.isfinite(table[:, column]).any())
    low, high = np.nanquantile(spread, (0.16, 0.84))
    return Resistance(
        len(found),
        at,
        _middle(np.array([step.ohmic_ohm for step in found])),
        _middle(np.array([step.transfer_ohm for step in found])),
        _middle(np.array([step.diffusion_ohm for step in found])),
        float(high - low) / 2,
        _middle(np.array([step.temperature_c for step in found])),
    )


def at_reference(
    resistance_ohm: float, temperature_c: float, *, reference_c: float = 25.0, activation: float = ACTIVATION_J_PER_MOL
) -> tuple[float, float, float]:
    """A resistance as it would be at ``reference_c``, by Arrhenius' law: (Ω, low, high); the interval is what another activation energy
    (± 10 kJ/mol) would say. ValueError: the numbers cannot be."""
    if not (resistance_ohm > 0 and -60 <= temperature_c <= 100 and -60 <= reference_c <= 100):
        raise ValueError("a resistance must be positive and temperatures those of a battery")
    away = (1 / (temperature_c + KELVIN) - 1 / (reference_c + KELVIN)) / GAS_J_PER_MOL_K
    low, high = sorted(
        resistance_ohm * float(np.exp(-energy * away)) for energy in (activation - ACTIVATION_OFF, activation + ACTIVATION_OFF)
    )
    return resistance_ohm * float(np.exp(-activation * away)), low, high


@dataclass(frozen=True, slots=True)
class ResistanceHealth:
    """``rise``: resistance now over when new, less one, at the reference; ``low``, ``high``: its interval; ``health``: 1 when new, 0 at
    the end of life (by the power that is left: the resistance of the end of life is ``end_ratio`` times the new one)."""

    rise: float
    low: float
    high: float
    health: float


def resistance_health(
    now: tuple[float, float], new: tuple[float, float], *, end_ratio: float = 2.0, soc_apart: float = 0.0
) -> ResistanceHealth:
    """From two resistances of the same time after a step, each with its temperature: ((Ω, °C) now, (Ω, °C) when new).

    Both are brought to 25 °C; nearer temperatures make a narrower interval. ``soc_apart``: how far apart the states of charge were
    (a share): beyond 0.1 the comparison says nothing. ValueError: that, or numbers that cannot be. ``end_ratio``: by agreement between
    maker and operator; 2 is usual in the literature.
    """
    if abs(soc_apart) > 0.1:
        raise ValueError(f"states of charge {abs(soc_apart):.0%} apart: compare resistances within 10 % of one another")
    if end_ratio <= 1:
        raise ValueError("the end of life must have a greater resistance than the beginning")
    told = []
    for activation in (ACTIVATION_J_PER_MOL, ACTIVATION_J_PER_MOL - ACTIVATION_OFF, ACTIVATION_J_PER_MOL + ACTIVATION_OFF):
        present, past = (at_reference(value, warm, activation=activation)[0] for value, warm in (now, new))
        told.append(present / past - 1)
    rise, low, high = told[0], min(told), max(told)
    return ResistanceHealth(rise, low, high, 1 - rise / (end_ratio - 1))


def _drift(samples: Samples, row: int) -> float:
    """How the voltage moved before the step, V/s, where it had rested or flowed evenly for ten samples (a slow relaxation or a charge
    goes on under a pulse); 0 where too little is known."""
    begin = max(0, row - 20)
    part = slice(begin, row + 1)
    current, time_s = samples.current_a[part], samples.time_s[part]
    if row - begin < 10 or np.ptp(current) > STEADY * max(float(np.abs(current).max()), 1e-9) or np.diff(time_s).max() > samples.gap_s:
        return 0.0
    centred = time_s - time_s.mean()
    return float(np.dot(centred, samples.voltage_v[part]) / np.dot(centred, centred))


def _at(since_s: Floats, ratio: Floats, time_s: float) -> float:
    """The ratio at a time after the step: between the samples around it; before the first one only where that is within twice the time."""
    if not len(since_s) or since_s[-1] < time_s:
        return float("nan")
    if since_s[0] > time_s:
        return float(ratio[0]) if since_s[0] <= 2 * time_s else float("nan")
    after = int(np.searchsorted(since_s, time_s))
    if since_s[after] - since_s[max(after - 1, 0)] > max(time_s, 1.0) * 1.5:
        return float("nan")
    return float(np.interp(time_s, since_s, ratio))


def _middle(values: Floats) -> float:
    there = values[np.isfinite(values)]
    return float(np.median(there)) if len(there) else float("nan")
