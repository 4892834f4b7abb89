"""Who leaves short, and what keeps the energy from them; which limits cannot be kept, and why.

A vehicle that is short has cells in which it draws less than it could. In each of them something has no more room: a feeder, a cap,
the site. What keeps the most from it, weighed by what the plan would give for room there (the duals' part of unserved energy), is
the cause. Where it draws all that it could from arrival to departure, it is short by its own rating and window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from optimizer.explain_values import Cause, LimitKind, LimitPrice, Relaxed, ShortReason
from optimizer.problem import EPS, FloatArray, Problem, Vehicle

SHORT_KWH = 0.05
"""Less than this that is missing is rounding."""

FULL_KW = 1e-4


def short_reasons(
    problem: Problem, *, power_kw: FloatArray, unmet_kwh: FloatArray, limits: Sequence[LimitPrice]
) -> tuple[ShortReason, ...]:
    """Of every vehicle that is short, the worst first; without remedies."""
    found = [_reason(problem, i, power_kw, float(unmet_kwh[i]), limits) for i in np.flatnonzero(unmet_kwh > SHORT_KWH).tolist()]
    return tuple(sorted(found, key=lambda one: (-one.short_kwh, one.id)))


def limits_of(problem: Problem, vehicle: int, limits: Sequence[LimitPrice]) -> list[tuple[LimitPrice, float]]:
    """Those of ``limits`` that it counts in, each with its weight."""
    counted = {(LimitKind.SITE, ""): 1.0}
    feeder = problem.vehicles[vehicle].feeder
    if feeder is not None:
        counted[LimitKind.FEEDER, problem.feeders[feeder].id] = 1.0
    return [(limit, counted[limit.kind, limit.id]) for limit in limits if (limit.kind, limit.id) in counted]


def contested(problem: Problem, vehicle: int, power_kw: FloatArray) -> npt.NDArray[np.bool_]:
    """[slot] where it draws less than it could."""
    found: npt.NDArray[np.bool_] = power_kw[vehicle] < problem.upper_kw[vehicle] - FULL_KW
    return found


def relaxed(problem: Problem) -> tuple[Relaxed, ...]:
    """The limits that cannot be kept whatever is planned, span by span."""
    floors = problem.lower_kw.sum(axis=0)
    found = list(_spans(LimitKind.SITE, "", problem.over_limit_kw, problem.background_kw, floors))
    on_feeders = problem.feeder_sums(problem.lower_kw)
    for place, feeder in enumerate(problem.feeders):
        over = np.maximum(on_feeders[place] - feeder.limit_kw, 0.0)
        found += _spans(LimitKind.FEEDER, feeder.id, over, np.zeros(problem.n_slots), on_feeders[place])
    return tuple(found)


def _spans(kind: LimitKind, name: str, over: FloatArray, background: FloatArray, floors: FloatArray) -> list[Relaxed]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], over > EPS, [False])).astype(np.int8)))
    found = []
    for start, end in edges.reshape(-1, 2).tolist():
        worst = start + int(np.argmax(over[start:end]))
        found.append(Relaxed(kind, name, start, end, float(over[worst]), float(background[worst]), float(floors[worst])))
    return found


def _reason(problem: Problem, i: int, power_kw: FloatArray, short_kwh: float, limits: Sequence[LimitPrice]) -> ShortReason:
    vehicle = problem.vehicles[i]
    most_kwh = float(problem.upper_kw[i] @ problem.hours) * vehicle.eff
    own_kwh = min(short_kwh, max(0.0, vehicle.energy_kwh - most_kwh))
    cause, where, source, full = Cause.OWN, "", "", np.zeros(problem.n_slots, dtype=bool)
    if short_kwh - own_kwh > SHORT_KWH and own_kwh < 0.5 * short_kwh:
        cause, where, source, full = _tightest(problem, i, power_kw, limits)
    needed, reached = _soc(vehicle, short_kwh)
    return ShortReason(
        vehicle=i,
        id=vehicle.id,
        need_kwh=vehicle.energy_kwh,
        short_kwh=short_kwh,
        own_kwh=own_kwh,
        cause=cause,
        where=where,
        source=source,
        slots=int(full.sum()),
        ahead=_ahead(problem, i, power_kw, short_kwh, full, cause),
        soc_needed=needed,
        soc_reached=reached,
    )


def _tightest(
    problem: Problem, i: int, power_kw: FloatArray, limits: Sequence[LimitPrice]
) -> tuple[Cause, str, str, npt.NDArray[np.bool_]]:
    """What keeps the most from it, and in which slots."""
    held_back = contested(problem, i, power_kw)
    room = np.where(held_back, problem.upper_kw[i] - power_kw[i], 0.0) * problem.hours
    best: tuple[float, LimitPrice | None] = 0.0, None
    for limit, weight in limits_of(problem, i, limits):
        score = float((np.maximum(limit.penalty, 0.0) * abs(weight)) @ room)
        if score > best[0]:
            best = score, limit
    if best[1] is None:  # nothing has a price: what stands in its way costs nobody else anything, its own floor of time
        return Cause.OWN, "", "", np.zeros(problem.n_slots, dtype=bool)
    limit = best[1]
    full = held_back & (limit.penalty > 0)
    sources = Counter(limit.source[k] for k in np.flatnonzero(full).tolist() if limit.source and limit.source[k])
    return Cause(limit.kind), limit.id, sources.most_common(1)[0][0] if sources else "", full


def _ahead(problem: Problem, i: int, power_kw: FloatArray, short_kwh: float, full: npt.NDArray[np.bool_], cause: Cause) -> int:
    """How many of a higher class draw where it is kept short, when they draw at least what it lacks; else 0."""
    mine = problem.vehicles[i]
    theirs = [
        j
        for j, other in enumerate(problem.vehicles)
        if other.priority > mine.priority
        and (cause is not Cause.FEEDER or other.feeder == mine.feeder)
        and power_kw[j, full].max(initial=0.0) > FULL_KW
    ]
    drawn = float((np.maximum(power_kw[theirs][:, full], 0.0) @ problem.hours[full]).sum()) if theirs else 0.0
    return len(theirs) if drawn * mine.eff >= short_kwh else 0


def _soc(vehicle: Vehicle, short_kwh: float) -> tuple[float | None, float | None]:
    """State of charge that it needs and reaches at its departure, where its battery is known."""
    if not vehicle.capacity_kwh or not vehicle.stored_kwh:
        return None, None
    needed = min(1.0, (vehicle.stored_kwh + vehicle.energy_kwh) / vehicle.capacity_kwh)
    return needed, max(0.0, needed - short_kwh / vehicle.capacity_kwh)
