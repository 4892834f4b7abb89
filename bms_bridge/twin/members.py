"""The ensemble: each pack as a number of cells that could be it, by ``spread.csv``, held against what it has lost so far.

    chemistry --prior draws--> cells that differ in time, cycles, bend, warmth --what the pack has lost, and when--> members

A pack whose age and full cycles are known keeps those draws that would have lost about what it has lost under the past that is said of
it (:data:`FADE_DOUBT`: how far that is believed). Without age or cycles nothing is learned from it: all draws stay as likely, and what
is lost is split evenly between time and charge. Draws are a lattice, not chance: the same pack gets the same answer.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from statistics import NormalDist
from typing import Final

import numpy as np

from bms_bridge.twin import UnknownCell
from bms_bridge.twin.ageing import ageing_of, at_depth, mean_loss, own_cycle_factor, time_rate
from bms_bridge.twin.lump import Floats

MEMBERS: Final = 64
POOL: Final = 2048
WARMTH_SD_K: Final = 1.5
"""By how much the surroundings of a pack differ from what is said of them; ours."""

FADE_DOUBT: Final = 0.35
TOLD_DOUBT: Final = 0.1
"""Share of a pack's lost capacity by which its past may mislead, where it is only supposed and where it is told; ours. At least
:data:`LEAST_DOUBT` of nominal."""

LEAST_DOUBT: Final = 0.01
PAST_C_RATE: Final = 0.2
EXPONENTS: Final = (0.35, 1.0)
"""Least and greatest exponent of time that a member may have."""

CYCLE_EXPONENTS: Final = (0.4, 2.5)
"""The same for cycles: above 1 a cell fades faster and faster."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A line of ``spread.csv``; meanings stand there."""

    time_shift: float
    time_sigma: float
    exponent_shift: float
    exponent_sd: float
    cycle_shift: float
    cycle_sigma: float
    cycle_exponent: float
    cycle_exponent_sigma: float
    time_drift: float
    time_drift_sigma: float
    cycle_drift: float
    cycle_drift_per_c: float
    cycle_drift_sigma: float
    knee_share: float
    knee_soh: float
    knee_soh_sd: float
    knee_ratio: float
    knee_ratio_sigma: float
    resistance_per_fade: float


@dataclass(frozen=True, slots=True)
class Pack:
    """What is known of a pack. ``soh``: share of nominal, with its standard deviation; ``age_years``, ``full_cycles``: None: not known;
    ``past_c`` (°C of its cells), ``past_soc``, ``past_depth``, ``past_c_rate`` (capacities an hour, of charging): means of its past,
    supposed unless ``past_told``."""

    pack_id: str
    chemistry: str
    capacity_kwh: float
    soh: float = 1.0
    soh_sd: float = 0.02
    age_years: float | None = None
    full_cycles: float | None = None
    past_c: float = 28.0
    past_soc: float = 0.6
    past_depth: float = 0.6
    past_c_rate: float = PAST_C_RATE
    past_told: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Members:
    """[pack, member]: factors on losses by ``time`` (over eight years) and ``cycles`` (where they reach the pivot), difference of the
    ``exponent`` of time, the ``cycle_exponent`` itself, ``warmth_k`` of the surroundings, ``knee_soh`` (0: none) and ``knee_ratio``;
    ``time_drift``, ``cycle_drift``: factors on how fast it goes on beside what its past says, the latter to be raised by
    ``drift_per_c`` (logarithm) for each capacity an hour of charging; ``lost_time``, ``lost_cycles``: shares of nominal lost so far."""

    time: Floats
    cycles: Floats
    exponent: Floats
    cycle_exponent: Floats
    time_drift: Floats
    cycle_drift: Floats
    drift_per_c: Floats
    warmth_k: Floats
    knee_soh: Floats
    knee_ratio: Floats
    lost_time: Floats
    lost_cycles: Floats


@cache
def spreads() -> dict[str, Spread]:
    """The lines of ``spread.csv`` by chemistry."""
    lines = (files("bms_bridge.twin") / "spread.csv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {row.pop("chemistry"): Spread(**{key: float(value) for key, value in row.items()}) for row in rows}


def members_of(packs: list[Pack], *, members: int = MEMBERS, spread: Mapping[str, Spread] | None = None) -> Members:
    """The ensemble of each pack. ``spread``: other than the shipped one (cells that were kept apart are judged with one that does not know
    them). UnknownCell: of a chemistry nothing is known."""
    known = spreads() if spread is None else spread
    for pack in packs:
        if pack.chemistry not in known:
            raise UnknownCell(f"{pack.pack_id}: how {pack.chemistry} cells age over years is not known here (known: {', '.join(known)})")
    prior = {name: _prior(known[name]) for name in {pack.chemistry for pack in packs}}
    past = _past(packs)
    kept = [_kept(pack, prior[pack.chemistry], past, i, members) for i, pack in enumerate(packs)]
    return Members(*(np.array([getattr(one, name) for one in kept]) for name in Members.__slots__))


def _prior(spread: Spread) -> Members:
    """[1 … pool] draws; the losses so far are empty."""
    steps = np.arange(1, POOL + 1)
    golden = _roots(10)
    uniform = (0.5 + steps[:, None] * golden[None, :]) % 1.0
    normal = _normal(uniform)
    bent = uniform[:, 5] < spread.knee_share
    return Members(
        time=np.exp(spread.time_shift + spread.time_sigma * normal[:, 0]),
        cycles=np.exp(spread.cycle_shift + spread.cycle_sigma * normal[:, 1]),
        exponent=spread.exponent_shift + spread.exponent_sd * normal[:, 6],
        cycle_exponent=np.clip(spread.cycle_exponent * np.exp(spread.cycle_exponent_sigma * normal[:, 7]), *CYCLE_EXPONENTS),
        time_drift=np.exp(spread.time_drift + spread.time_drift_sigma * normal[:, 8]),
        cycle_drift=np.exp(spread.cycle_drift + spread.cycle_drift_sigma * normal[:, 9]),
        drift_per_c=np.full(POOL, spread.cycle_drift_per_c),
        warmth_k=WARMTH_SD_K * normal[:, 2],
        knee_soh=np.where(bent, spread.knee_soh + spread.knee_soh_sd * normal[:, 3], 0.0),
        knee_ratio=spread.knee_ratio * np.exp(spread.knee_ratio_sigma * normal[:, 4]),
        lost_time=np.zeros(POOL),
        lost_cycles=np.zeros(POOL),
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Past:
    """[pack], for a cell of the table: mean yearly loss by time over eight years, its exponent, the sum of cycles (NaN: not known), its
    exponent."""

    yearly: Floats
    exponent: Floats
    cycle_sum: Floats
    cycle_exponent: Floats


def _past(packs: list[Pack]) -> _Past:
    ageing = ageing_of([pack.chemistry for pack in packs])
    temp, soc, depth, rate, cycles = (
        np.array(values, dtype=np.float64)
        for values in zip(
            *(
                (one.past_c, one.past_soc, one.past_depth, one.past_c_rate, np.nan if one.full_cycles is None else one.full_cycles)
                for one in packs
            ),
            strict=True,
        )
    )
    yearly = mean_loss(ageing.time_stress(temp, soc), ageing.time_exponent)
    stress = at_depth(ageing.cycle_stress(temp, rate), depth)
    return _Past(yearly, ageing.time_exponent, stress * cycles, ageing.cycle_exponent)


def _kept(pack: Pack, prior: Members, past: _Past, place: int, members: int) -> Members:
    lost = max(1.0 - pack.soh, 0.0)
    cycle_sum = float(past.cycle_sum[place])
    told = pack.age_years is not None and np.isfinite(cycle_sum) and (pack.age_years > 0 or cycle_sum > 0)
    if told:
        own = np.clip(past.exponent[place] + prior.exponent, *EXPONENTS)
        time = np.power(time_rate(past.yearly[place] * prior.time, own) * (pack.age_years or 0.0), own)
        factor = own_cycle_factor(prior.cycles, past.cycle_exponent[place], prior.cycle_exponent)
        cycles = np.power(cycle_sum * factor, prior.cycle_exponent)
        total = time + cycles
        total = total + _bent(prior, total, time)
        doubt = np.hypot(max((TOLD_DOUBT if pack.past_told else FADE_DOUBT) * lost, LEAST_DOUBT), pack.soh_sd)
        log_weight = -0.5 * np.square((total - lost) / doubt)
        weight = np.exp(log_weight - log_weight.max())
        share = time / np.maximum(time + cycles, 1e-300)
    else:
        weight, share = np.ones(POOL), np.full(POOL, 0.5)
    edges = np.cumsum(weight / weight.sum())
    who = np.minimum(np.searchsorted(edges, (np.arange(members) + 0.5) / members), POOL - 1)
    seen = lost + pack.soh_sd * _normal((np.arange(members) * _roots(1)[0] + 0.5) % 1.0)
    seen = np.clip(seen, 0.0, 0.95)
    ones = np.ones(members)
    return Members(
        prior.time[who],
        prior.cycles[who],
        prior.exponent[who],
        prior.cycle_exponent[who],
        prior.time_drift[who] if told else ones,
        prior.cycle_drift[who] if told else ones,
        prior.drift_per_c[who] if told else 0 * ones,
        prior.warmth_k[who],
        prior.knee_soh[who],
        prior.knee_ratio[who],
        seen * share[who],
        seen * (1 - share[who]),
    )


def _bent(prior: Members, total: Floats, time: Floats) -> Floats:
    """What a bend has added to a loss: cycles beyond it count ``knee_ratio`` times."""
    beyond = np.maximum(total - (1 - prior.knee_soh), 0.0)
    by_cycles = (total - time) / np.maximum(total, 1e-12)
    added: Floats = np.where(prior.knee_soh > 0, beyond * by_cycles * (prior.knee_ratio - 1), 0.0)
    return added


def _roots(count: int) -> Floats:
    """Steps of the lattice that fills ``count`` dimensions evenly (generalised golden ratio)."""
    phi = 2.0
    for _ in range(30):
        phi = (1 + phi) ** (1 / (count + 1))
    return np.power(1 / phi, np.arange(1, count + 1))


def _normal(uniform: Floats) -> Floats:
    """Standard normal numbers of uniform ones (0–1; ends are cut at one in ten thousand)."""
    share, value = _quantiles()
    found: Floats = np.interp(np.clip(uniform, 1e-4, 1 - 1e-4), share, value)
    return found


@cache
def _quantiles() -> tuple[Floats, Floats]:
    normal = NormalDist()
    share = np.concatenate([np.geomspace(1e-4, 0.02, 60), np.linspace(0.02, 0.98, 400)[1:-1], 1 - np.geomspace(1e-4, 0.02, 60)[::-1]])
    return share, np.array([normal.inv_cdf(float(value)) for value in share])
