"""Remaining life of a pack from what was estimated of it, by a model that was taught whole lives (:mod:`bms_bridge.life`). Pure.

    estimates of health with their cycles, LifeModel --outlook()--> Estimate: cycles until 80 %, P10, P50, P90

Cycles are full cycles since the pack was new: what it had before the depot heard of it must be told, or there is no outlook.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bms_bridge.estimates.estimate import LIFE, LIVES, Estimate
from bms_bridge.life.history import NINETY, Track
from bms_bridge.life.remaining import ANY, VERDICTS, LifeModel, remaining

TARGETS: Final = (0.8, 0.7)
LEAST_ESTIMATES: Final = 3
LEAST_YEARS: Final = 30 / 365.25


@dataclass(frozen=True, slots=True)
class Dated:
    """An estimate of health: ``until_s`` Unix seconds; ``cycles`` full cycles since new, None: not
    counted; shares of the nominal capacity. ``use``: how it was used until then (:mod:`bms_bridge.estimates.use`); None: not kept."""

    until_s: float
    cycles: float | None
    soh: float
    low: float
    high: float
    use: Mapping[str, float] | None = None


def model_for(models: Mapping[str, LifeModel], chemistry: str) -> LifeModel | None:
    """The one of this chemistry, else the one of any kind, else the only one."""
    return models.get(chemistry) or models.get(ANY) or (next(iter(models.values())) if len(models) == 1 else None)


def outlook(
    models: Mapping[str, LifeModel], chemistry: str, name: str, history: Sequence[Dated], *, cycles_a_year: float | None, cycles_known: bool
) -> Estimate | None:
    """None: there is no estimate of health yet. ``cycles_a_year``: of the pack, None where it was heard of for less than a month."""
    if not history:
        return None
    first, last = history[0], history[-1]

    def none(reason: str) -> Estimate:
        return Estimate(LIFE, LIVES, first.until_s, last.until_s, None, None, None, reason)

    if not cycles_known:
        return none("its full cycles before the depot heard of it are not known: set cycles_before in [[health.pack]], 0 where it came new")
    model = model_for(models, chemistry)
    if model is None:
        return none(f"the model of lives was not taught {chemistry} packs (it knows {', '.join(sorted(models))})")
    rising: list[tuple[float, Dated]] = []
    for one in history:
        if one.cycles is not None and (not rising or one.cycles > rising[-1][0]):
            rising.append((one.cycles, one))
    if len(rising) < LEAST_ESTIMATES:
        return none(f"{len(rising)} estimates of health with a count of cycles: {LEAST_ESTIMATES} are needed")
    deviation = np.array([(one.high - one.low) / 2 / NINETY for _, one in rising])
    cycles, soh = np.array([count for count, _ in rising]), np.array([one.soh for _, one in rising])
    track = Track(name, model.kind, "", cycles, soh, deviation, np.full(len(rising), np.nan))
    left = remaining(model, [track], TARGETS)
    if not all(np.isfinite(part[0]).all() for part in (left.p10, left.p50, left.p90)):
        return none("its history fits no curve that was taught")
    detail = {
        "cycles_now": round(float(cycles[-1]), 1),
        "cycles_a_year": None if cycles_a_year is None else round(cycles_a_year, 1),
        "worth": VERDICTS[int(left.verdict[0, 0])],
        "to_70": [round(float(part[0, 1])) for part in (left.p10, left.p50, left.p90)],
        "worth_70": VERDICTS[int(left.verdict[0, 1])],
    }
    p10, p50, p90 = (round(float(part[0, 0]), 1) for part in (left.p10, left.p50, left.p90))
    return Estimate(LIFE, LIVES, first.until_s, last.until_s, p50, p10, p90, "", detail)
