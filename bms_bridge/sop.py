"""State of power: the most that a battery can be charged with for 10 s, 2 min and 30 min, with the interval in which that lies. Pure.

    steps of the current --learn()--> resistance of a cell (before the first three: what is typical of its chemistry, ± 60 %)
    resistance, highest cell, state of charge, temperatures, limits --powers()--> a Power for each horizon

A current I that holds for a time τ brings the highest cell to

    V(τ) = V + R·f(τ)·(I − I now) + OCV(SoC + I·τ/Q) − OCV(SoC)

and must not bring it above the voltage from which cells are derated; nor may it exceed the battery's own limit, what cells of its
chemistry take, less the share that heat or cold take away, nor fill more than there is room for. f grows with the horizon, because
diffusion adds to the resistance. The interval is V(τ) with resistance, f, state of charge, the curve's slope and the measured voltage at
their cautious and their hopeful ends (two standard deviations of the resistance, ± 3 % of charge, ± 50 % of slope, ± 5 mV; the last
two widened until real charge curves of cells with another cathode lay inside). It does not cover a battery that is not of its stated
chemistry, and a cell that is hotter or higher than its sensors say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from bms_bridge.charging import PackFacts
from bms_bridge.chemistry import CELL, LEAST_SHARE, Chemistry, Thresholds

HORIZONS_S: Final = (10.0, 120.0, 1800.0)
FACTORS: Final[Mapping[float, tuple[float, float, float]]] = {10.0: (1.0, 1.1, 1.3), 120.0: (1.1, 1.5, 2.0), 1800.0: (1.2, 2.0, 3.0)}
"""f of each horizon: hopeful, middle, cautious. Ours; a cell of a given make differs."""

PRIOR_SD: Final = 0.3
KNOWN_AFTER: Final = 3
"""Steps of the current after which the learned resistance counts."""

STEP_C: Final = 0.05
"""Least step of the current, in capacities per hour."""

STEP_WITHIN_S: Final = 12.0
SOC_ERROR: Final = 0.03
OCV_ERROR: Final = 0.5
"""So much steeper or flatter than its table a cell's open-circuit voltage may be."""

VOLT_ERROR: Final = 0.005
"""V, of the highest cell as it is measured."""

_MOST_STEPS = 20
_OWN_ERROR = 0.1
_HALVINGS = 18

_NMC = ((0.0, 3.0), (0.05, 3.35), (0.1, 3.45), (0.2, 3.55), (0.4, 3.65), (0.6, 3.8), (0.8, 3.98), (1.0, 4.19))
OCV: Final[Mapping[Chemistry, Sequence[tuple[float, float]]]] = {
    Chemistry.LFP: (
        (0.0, 2.8), (0.05, 3.15), (0.1, 3.22), (0.2, 3.26), (0.4, 3.29), (0.6, 3.3), (0.8, 3.335), (0.95, 3.345), (1.0, 3.45)
    ),
    Chemistry.NMC: _NMC,
    Chemistry.NCA: _NMC,
    Chemistry.LMO: ((0.0, 3.0), (0.1, 3.7), (0.5, 3.95), (0.9, 4.1), (1.0, 4.18)),
    Chemistry.LTO: ((0.0, 2.0), (0.1, 2.2), (0.5, 2.3), (0.9, 2.5), (1.0, 2.7)),
}  # fmt: skip
"""Open-circuit voltage over the state of charge, typical of a chemistry; only its rise is used."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What steps of the current have told of a cell's resistance, Ω; and the last sample. ``spread``: variance of the single steps."""

    ohm: float = 0.0
    spread: float = 0.0
    steps: int = 0
    at_s: float = -math.inf
    current_a: float = 0.0
    high_v: float = 0.0


@dataclass(frozen=True, slots=True)
class Resistance:
    """Of a cell, Ω, with its standard deviation. ``steps``: that it was learned from; 0: it is what is typical."""

    ohm: float
    sd_ohm: float
    steps: int


@dataclass(frozen=True, slots=True)
class Power:
    """Charging power at the battery that can hold for ``horizon_s``, W: the estimate, and its interval. ``because``: what limits."""

    horizon_s: float
    watts: int
    low_w: int
    high_w: int
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What is measured. ``limit_a`` None: the battery tells no limit of its own. ``hottest_c``, ``coldest_c`` None: not known."""

    current_a: float
    high_v: float
    pack_v: float
    soc: float
    hottest_c: float | None = None
    coldest_c: float | None = None
    limit_a: float | None = None


def learn(memory: Learned, now_s: float, current_a: float, high_v: float, *, capacity_ah: float, typical_ohm: float) -> Learned:
    """With one more sample. A step counts where the voltage follows it the right way, within a tenth and ten times of what is typical."""
    by_a, ohm, spread, steps = current_a - memory.current_a, memory.ohm, memory.spread, memory.steps
    if now_s - memory.at_s <= STEP_WITHIN_S and abs(by_a) >= STEP_C * capacity_ah:
        found = (high_v - memory.high_v) / by_a
        if 0.1 * typical_ohm <= found <= 10.0 * typical_ohm:
            steps += 1
            part = 1.0 / min(steps, _MOST_STEPS)
            spread = (1.0 - part) * (spread + part * (found - ohm) ** 2)
            ohm += part * (found - ohm)
    return Learned(ohm, spread, steps, now_s, current_a, high_v)


def resistance(memory: Learned, *, typical_ohm: float) -> Resistance:
    """What is known of it now."""
    if memory.steps < KNOWN_AFTER:
        return Resistance(typical_ohm, PRIOR_SD * typical_ohm, 0)
    error = math.hypot(math.sqrt(memory.spread / min(memory.steps, _MOST_STEPS)), _OWN_ERROR * memory.ohm)
    return Resistance(memory.ohm, error, memory.steps)


def typical_ohm(chemistry: Chemistry, capacity_ah: float) -> float:
    """Resistance of a cell that is typical of its chemistry, Ω."""
    return CELL[chemistry].ohm_ah / capacity_ah


def lacks(facts: PackFacts) -> str:
    """Why there is no state of power; empty: there is."""
    if facts.chemistry not in OCV:
        return "its chemistry is not known"
    return "" if facts.capacity_wh else "its capacity is not known"


def powers(now: Now, facts: PackFacts, limits: Thresholds, known: Resistance, *, stop_v: float | None = None) -> tuple[Power, ...]:
    """One for each horizon; none where :func:`lacks` says why. ``stop_v``: the voltage that the highest cell must not exceed, V; None:
    the one from which it is derated."""
    capacity_ah = facts.capacity_ah(now.pack_v)
    if lacks(facts) or capacity_ah is None or now.high_v <= 0:
        return ()
    most_a, why = _most(now, limits, capacity_ah)
    top_v = limits.cell_high_from_v if stop_v is None else stop_v
    curve = OCV[facts.chemistry]
    room_wh = (1.0 - now.soc) * capacity_ah
    out = list[Power]()
    for horizon_s in HORIZONS_S:
        hopeful, middle, cautious = FACTORS[horizon_s]
        least_ohm, most_ohm = max(0.1 * known.ohm, known.ohm - 2 * known.sd_ohm), known.ohm + 2 * known.sd_ohm
        ends = (
            _End(known.ohm * middle, known.ohm * middle, 1.0, top_v, now.soc),
            _End(most_ohm * cautious, least_ohm * hopeful, 1.0 + OCV_ERROR, top_v - VOLT_ERROR, now.soc + SOC_ERROR),
            _End(least_ohm * hopeful, most_ohm * cautious, 1.0 - OCV_ERROR, top_v + VOLT_ERROR, now.soc - SOC_ERROR),
        )
        per_a = horizon_s / 3600.0 / capacity_ah
        amps = [_current_a(now, curve, end, per_a=per_a, most_a=most_a) for end in ends]
        watts = [round(a * _pack_v(now, a, known.ohm, top_v)) for a in amps]
        if out:  # what holds for longer holds for less long, too
            watts = [min(pair) for pair in zip(watts, (out[-1].watts, out[-1].low_w, out[-1].high_w), strict=True)]
        roomy = amps[0] * per_a < 0.999 * room_wh / capacity_ah
        because = why if amps[0] >= most_a * 0.999 else "cell voltage" if roomy else "room in the battery"
        out.append(Power(horizon_s, watts[0], min(watts), max(watts), because))
    return tuple(out)


@dataclass(frozen=True, slots=True)
class _End:
    """One end of what is not known. ``up_ohm``, ``down_ohm``: by what the voltage follows a current that rises or falls, with f in it;
    ``slope``: of the open-circuit voltage, beside its table; ``top_v``: the voltage that must not be exceeded."""

    up_ohm: float
    down_ohm: float
    slope: float
    top_v: float
    soc: float


def _pack_v(now: Now, amps: float, ohm: float, top_v: float) -> float:
    """The pack's voltage at that current, with all cells like the highest one, V."""
    cell_v = min(top_v, now.high_v + ohm * (amps - now.current_a))
    return now.pack_v * cell_v / now.high_v


def _most(now: Now, limits: Thresholds, capacity_ah: float) -> tuple[float, str]:
    """The most current that anything but the voltage allows, A, and what it is."""
    found = [(limits.charge_c_rate * capacity_ah, "what its cells take")]
    if now.limit_a is not None:
        found.append((now.limit_a, "the battery's own limit"))
    if now.hottest_c is not None and now.hottest_c > limits.derate_from_c:
        part = min(1.0, (now.hottest_c - limits.derate_from_c) / (limits.derate_full_c - limits.derate_from_c))
        found.append((limits.charge_c_rate * capacity_ah * (1.0 - part * (1.0 - LEAST_SHARE)), "heat"))
    if now.coldest_c is not None and now.coldest_c < limits.cold_full_c:
        part = max(0.0, (now.coldest_c - limits.cold_stop_c) / (limits.cold_full_c - limits.cold_stop_c))
        found.append((limits.charge_c_rate * capacity_ah * part, "cold"))
    return min(found)


def _current_a(now: Now, curve: Sequence[tuple[float, float]], end: _End, *, per_a: float, most_a: float) -> float:
    """The most current with which the highest cell stays below the voltage to the end of the horizon, by halving. ``per_a``: the state
    of charge that an ampere adds in it."""
    soc = min(1.0, max(0.0, end.soc))
    ocv_v = _at(curve, soc)

    def fits(amps: float) -> bool:
        by_a = amps - now.current_a
        rise_v = end.slope * (_at(curve, min(1.0, soc + amps * per_a)) - ocv_v)
        return now.high_v + (end.up_ohm if by_a > 0 else end.down_ohm) * by_a + rise_v <= end.top_v

    low, high = 0.0, min(most_a, (1.0 - soc) / per_a)
    if fits(high):
        return high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _at(curve: Sequence[tuple[float, float]], soc: float) -> float:
    for (from_, low_v), (to, high_v) in pairwise(curve):
        if soc <= to:
            return low_v + (soc - from_) / (to - from_) * (high_v - low_v)
    return curve[-1][1]
