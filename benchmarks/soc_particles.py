"""Cells of another family than the estimator's: one particle per electrode with diffusion, Butler-Volmer kinetics and, for LFP, a
Preisach
hysteresis; and what a depot's day does with them. For benchmarks and tests of the state of charge.

Potentials: NMC and graphite of Mohtat et al., J. Electrochem. Soc. 167 (2020) 110561; LFP after Safari and Delacourt, J.
Electrochem. Soc. 158
(2011) A562, with an end of charge of our own. Each kind of cell (``kind_seed``) bends them by waves of its own, as kinds of cells
differ from any
published curve; kinetics, diffusion, window, temperature are drawn per cell.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
STEP_S = 10.0
SHELLS = 12
THERMAL_V = 8.314462618 / 96485.33212


def graphite(x: Floats) -> Floats:
    """V over stoichiometry, Mohtat et al."""
    return np.asarray(
        0.063 + 0.8 * np.exp(-75 * (x + 0.001)) - 0.0120 * np.tanh((x - 0.127) / 0.016) - 0.0118 * np.tanh((x - 0.155) / 0.016)
        - 0.0035 * np.tanh((x - 0.220) / 0.020) - 0.0095 * np.tanh((x - 0.190) / 0.013) - 0.0145 * np.tanh((x - 0.490) / 0.020)
        - 0.0800 * np.tanh((x - 1.030) / 0.055)
    )  # fmt: skip


def nmc(y: Floats) -> Floats:
    """V over stoichiometry, Mohtat et al."""
    return np.asarray(
        4.3452 - 1.6518 * y + 1.6225 * y**2 - 2.0843 * y**3 + 3.5146 * y**4 - 2.2166 * y**5 - 0.5623e-4 * np.exp(109.451 * y - 100.006)
    )


def lfp(y: Floats) -> Floats:
    """V over stoichiometry, after Safari and Delacourt; the rise at the end of charge is our own."""
    return np.asarray(
        3.114559 + 4.438792 * np.arctan(-71.7352 * y + 70.85337) - 4.240252 * np.arctan(-68.5605 * y + 67.730082) + 0.35 * np.exp(-180 * y)
    )


@dataclass(frozen=True, slots=True)
class Recorded:
    """Traces [n, m]: s, capacities per hour, V, °C, and the true state of charge. ``full_v``: where charging ends."""

    time_s: Floats
    current_c: Floats
    voltage_v: Floats
    temperature_c: Floats
    soc: Floats


class Particles:
    """So many cells of a chemistry, alike but not equal. All currents in their own capacities per hour."""

    def __init__(
        self, chemistry: str, count: int, seed: int, *, soc: float | Floats = 0.5, spread: float = 1.0, kind_seed: int = 0
    ) -> None:
        random = np.random.default_rng(seed)
        self.chemistry, self.count = chemistry, count
        self.full_v = 4.2 if chemistry == "NMC" else 3.6
        shift = 0.006 * spread * random.uniform(-1, 1, (4, count))
        window = np.array([0.013, 0.833, 0.885, 0.045] if chemistry == "NMC" else [0.013, 0.80, 0.970, 0.013])
        self.window = window[:, None] + np.array([0.3, 1.0, 0.5, 0.3])[:, None] * shift
        kind = np.random.default_rng(1000 + kind_seed)
        self.waves = kind.uniform(-1, 1, 4) * (0.03 if chemistry == "NMC" else 0.003) / np.arange(1, 5)
        self.phases = kind.uniform(0, 2 * np.pi, 4)
        self.temperature_c = random.uniform(15.0, 40.0, count) if spread else np.full(count, 25.0)
        slower = np.exp(-35000 / 8.314 * (1 / 298.15 - 1 / (self.temperature_c + 273.15)))

        def vary(low: float, high: float) -> Floats:
            return np.exp(random.uniform(np.log(low), np.log(high), count))

        self.ohmic_v = vary(0.02, 0.06) * slower**0.4
        self.exchange_c = np.stack([vary(1.0, 4.0), vary(1.0, 4.0)]) / slower
        diffusion_s = np.stack([vary(2500.0, 8000.0), vary(2000.0, 6000.0)]) * slower
        self.gap_v = vary(0.006, 0.014) if chemistry == "LFP" else np.full(count, 0.002)
        self.plays = np.array([0.01, 0.03, 0.06, 0.10, 0.16])
        start = np.broadcast_to(np.asarray(soc, dtype=np.float64), (count,))
        self.soc = start.copy()
        self.memory = np.repeat(start[:, None], len(self.plays), axis=1)
        self.shells = [np.repeat(self._mean(side)[:, None], SHELLS, axis=1) for side in (0, 1)]
        self.solve = [_diffusion(diffusion_s[side]) for side in (0, 1)]
        self.width = [self.window[1] - self.window[0], self.window[3] - self.window[2]]

    def _mean(self, side: int) -> Floats:
        low, high = self.window[2 * side], self.window[2 * side + 1]
        return np.asarray(low + (high - low) * self.soc)

    def step(self, current_c: Floats) -> Floats:
        """Let a current flow for :data:`STEP_S`; the voltage at its end, V."""
        self.soc = self.soc + current_c * STEP_S / 3600
        for side in (0, 1):
            inverse, face = self.solve[side]
            loaded = self.shells[side].copy()
            loaded[:, -1] += self.width[side] * current_c * STEP_S / 3600 * face
            self.shells[side] = np.einsum("nij,nj->ni", inverse, loaded)
        self.memory = np.clip(self.memory, self.soc[:, None] - self.plays, self.soc[:, None] + self.plays)
        return self.voltage(current_c)

    def voltage(self, current_c: Floats) -> Floats:
        """V at this current, now."""
        x, y = (np.clip(self._surface(side, current_c), 1e-4, 1 - 1e-4) for side in (0, 1))
        positive = nmc(y) if self.chemistry == "NMC" else lfp(y)
        thermal = THERMAL_V * (self.temperature_c + 273.15)
        over = 2 * thermal * (
            np.arcsinh(current_c / (2 * self.exchange_c[0] * 2 * np.sqrt(x * (1 - x)) + 1e-9))
            + np.arcsinh(current_c / (2 * self.exchange_c[1] * 2 * np.sqrt(y * (1 - y)) + 1e-9))
        )  # fmt: skip
        lean = ((self.soc[:, None] - self.memory) / self.plays).mean(axis=1)
        turns = np.pi * np.arange(1, 5) * np.clip(self.soc, 0, 1)[:, None]
        bent = (self.waves * (np.sin(turns + self.phases) - np.sin(self.phases))).sum(axis=1)
        return np.asarray(positive - graphite(x) + bent + over + self.ohmic_v * current_c + self.gap_v * lean)

    def _surface(self, side: int, current_c: Floats) -> Floats:
        return np.asarray(1.5 * self.shells[side][:, -1] - 0.5 * self.shells[side][:, -2])

    def current_at(self, voltage_v: float, most_c: Floats) -> Floats:
        """The charging current that holds a voltage, at most ``most_c``; by halving."""
        if not (self.voltage(most_c) > voltage_v).any():
            return most_c
        low, high = np.zeros(self.count), most_c.copy()
        for _ in range(10):
            middle = 0.5 * (low + high)
            above = self.voltage(middle) > voltage_v
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return np.asarray(np.where(self.voltage(most_c) > voltage_v, low, most_c))

    def full_soc(self) -> Floats:
        """Where a charge at 0.25C with a constant-voltage phase down to 0.04C ends: what people call full."""
        other = copy.deepcopy(self)
        ended = np.full(self.count, np.nan)
        for _ in range(round(6 * 3600 / STEP_S)):
            current = other.current_at(self.full_v, np.full(self.count, 0.25))
            ended = np.where(np.isnan(ended) & (current < 0.04), other.soc, ended)
            if np.isfinite(ended).all():
                break
            other.step(current)
        return np.where(np.isnan(ended), other.soc, ended)


def _diffusion(time_s: Floats) -> tuple[Floats, float]:
    """Implicit step of diffusion in a sphere [n, shells, shells], and how much a mean flux raises the outer shell."""
    edges = np.linspace(0, 1, SHELLS + 1)
    volume = (edges[1:] ** 3 - edges[:-1] ** 3) / 3
    matrix = np.zeros((len(time_s), SHELLS, SHELLS))
    for inner in range(SHELLS - 1):
        flow = edges[inner + 1] ** 2 * SHELLS / time_s
        for shell, other in ((inner, inner + 1), (inner + 1, inner)):
            matrix[:, shell, shell] -= flow / volume[shell]
            matrix[:, shell, other] += flow / volume[shell]
    return np.linalg.inv(np.eye(SHELLS) - STEP_S * matrix), float(1 / 3 / volume[-1])


def day(cells: Particles, seed: int, *, hours: float = 24.0, cv: bool = True) -> Recorded:
    """A depot's day: rest, a charge at night to the end (CC-CV), rest, two shifts of driving with stops and recuperation, a part charge
    between them. Each cell has its own times. ``cv`` false: charging is held 0.12 V below the end, so that it never is full.
    The true state of charge is 1 where a usual full charge ends."""
    random = np.random.default_rng(seed)
    length = round(hours * 3600 / STEP_S)
    count = cells.count
    rest = random.uniform(0.2, 1.5, count) * 360
    rate = random.uniform(0.15, 0.5, count)
    charge_end = rest + random.uniform(6.0, 8.0, count) * 360
    shift = charge_end + random.uniform(0.5, 2.0, count) * 360
    pause = shift + random.uniform(3.0, 4.0, count) * 360
    second = pause + random.uniform(0.5, 1.0, count) * 360
    heavy = random.uniform(0.12, 0.28, count)
    full = cells.full_soc()
    done = np.zeros(count, dtype=bool)
    out = [np.zeros((count, length)) for _ in range(3)]
    drive = np.zeros(count)
    for place in range(length):
        current = np.zeros(count)
        night = (place >= rest) & (place < charge_end) & ~done
        top = np.where(night, rate, 0.0)
        if night.any():
            held = cells.current_at(cells.full_v if cv else cells.full_v - 0.12, top)
            done |= night & (held < 0.04)
            current = np.where(night & ~done, held, current)
        noon = (place >= pause) & (place < second)
        if noon.any():
            current = np.where(noon, cells.current_at(cells.full_v, np.full(count, 0.6)), current)
        rolls = ((place >= shift) & (place < pause)) | (place >= second)
        drive = 0.85 * drive + 0.15 * random.normal(0, 3.2, count)
        stop = np.sin(place / (11 + 5 * rate) + rate * 9) > 0.75
        want = np.where(stop, -0.01, -heavy * np.clip(1.2 + 1.6 * drive, -1.2, 4.5))
        floor = np.clip((cells.soc - 0.06) / 0.04, 0, 1)
        want = np.where(want < 0, want * floor, np.where(cells.soc < 0.93, want, 0.0))
        current = np.where(rolls, want, current)
        voltage = cells.step(current)
        out[0][:, place], out[1][:, place], out[2][:, place] = current, voltage, cells.soc
    time = np.broadcast_to(np.arange(length) * STEP_S, (count, length)).copy()
    return Recorded(time, out[0], out[1], np.repeat(cells.temperature_c[:, None], length, axis=1), out[2] / full[:, None])


def slow_cycle(cells: Particles, rate_c: float = 0.05) -> Recorded:
    """From wherever the cells stand to empty, then a slow charge and a slow discharge; for learning a curve."""
    bottom = 3.0 if cells.chemistry == "NMC" else 2.5
    rows: list[tuple[Floats, Floats, Floats]] = []
    for sign, until in ((1, cells.full_v), (-1, bottom)):
        for _ in range(round(1.3 * 3600 / rate_c / STEP_S)):
            current = np.full(cells.count, sign * rate_c)
            voltage = cells.step(current)
            if (sign * (voltage - until) > 0).all():
                break
            rows.append((current, voltage, cells.soc.copy()))
    current, voltage, soc = (np.stack(column, axis=1) for column in zip(*rows, strict=True))
    time = np.broadcast_to(np.arange(current.shape[1]) * STEP_S, current.shape).copy()
    return Recorded(time, current, voltage, np.repeat(cells.temperature_c[:, None], current.shape[1], axis=1), soc)


@dataclass(frozen=True, slots=True)
class Sensors:
    """How far sensors may be off, one standard deviation or a range: currents in capacities per hour, voltages in V."""

    offset_c: float = 0.008
    gain: float = 0.004
    current_noise_c: float = 0.004
    voltage_offset_v: float = 0.002
    voltage_noise_v: float = 0.002
    step_v: float = 0.001


def measured(recorded: Recorded, sensors: Sensors, seed: int) -> Recorded:
    """What sensors say of a trace; the true state of charge stays."""
    random = np.random.default_rng(seed)
    count = len(recorded.time_s)
    offset = sensors.offset_c * random.choice([-1.0, 1.0], (count, 1)) * random.uniform(0.5, 1.0, (count, 1))
    current = recorded.current_c * (1 + sensors.gain * random.uniform(-1, 1, (count, 1))) + offset
    current = current + sensors.current_noise_c * random.normal(size=current.shape)
    voltage = recorded.voltage_v + sensors.voltage_offset_v * random.uniform(-1, 1, (count, 1))
    voltage = voltage + sensors.voltage_noise_v * random.normal(size=voltage.shape)
    if sensors.step_v:
        voltage = np.round(voltage / sensors.step_v) * sensors.step_v
    temperature = recorded.temperature_c + random.normal(0, 1.0, (count, 1))
    return Recorded(recorded.time_s, current, voltage, temperature, recorded.soc)


def joined(parts: Iterable[Recorded]) -> Recorded:
    """Traces of different lengths below each other; NaN behind their ends."""
    several = list(parts)
    length = max(part.time_s.shape[1] for part in several)

    def rows(name: str) -> Floats:
        return np.concatenate(
            [np.pad(getattr(part, name), ((0, 0), (0, length - part.time_s.shape[1])), constant_values=np.nan) for part in several]
        )

    return Recorded(*(rows(name) for name in ("time_s", "current_c", "voltage_v", "temperature_c", "soc")))
