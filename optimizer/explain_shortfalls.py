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
    rows, n = problem.limit_rows, len(problem.feeders)
    for entry in np.flatnonzero(rows.vehicle == vehicle):
        row = int(rows.row[entry])
        key = (LimitKind.FEEDER, problem.feeders[row].id) if row < n else (LimitKind.CAP, problem.caps[row - n].id)
        counted[key] = float(rows.weight[entry])
    return [(limit, counted[limit.kind, limit.id]) for limit in limits if (limit.kind, limit.id) in counted]


def full_limits(problem: Problem, vehicle: int, power_kw: FloatArray, drawn_kw: FloatArray) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """(id, [slot] whether it is full while the vehicle could draw more) of the limits that it counts in; "" is the site. ``drawn_kw``
    [slot]: what counts under the site's limit."""
    wants = contested(problem, vehicle, power_kw)
    rows, n = problem.limit_rows, len(problem.feeders)
    drawn = rows.sums(np.maximum(power_kw, 0.0))
    found = [("", wants & (drawn_kw >= problem.room_kw - FULL_KW))]
    for entry in np.flatnonzero((rows.vehicle == vehicle) & (rows.weight > 0)):
        row = int(rows.row[entry])
        name = problem.feeders[row].id if row < n else problem.caps[row - n].id
        found.append((name, wants & (drawn[row] >= rows.room_kw[row] - FULL_KW)))
    return [(name, full) for name, full in found if full.any()]


def contested(problem: Problem, vehicle: int, power_kw: FloatArray) -> npt.NDArray[np.bool_]:
    """[slot] where it draws less than it could."""
    found: npt.NDArray[np.bool_] = power_kw[vehicle] < problem.upper_kw[vehicle] - FULL_KW
    return found


def relaxed(problem: Problem) -> tuple[Relaxed, ...]:
    """The limits that cannot be kept whatever is planned, span by span."""
    floors = problem.lower_kw.sum(axis=0)
    found = list(_spans(LimitKind.SITE, "", problem.over_limit_kw, problem.background_kw, floors))
    rows, n = problem.limit_rows, len(problem.feeders)
    sums = rows.sums(problem.lower_kw)
    for row, limit_kw in enumerate(rows.limit_kw):
        kind, name = (LimitKind.FEEDER, problem.feeders[row].id) if row < n else (LimitKind.CAP, problem.caps[row - n].id)
        beside = np.maximum(-limit_kw, 0.0)  # what is drawn beside the vehicles stands in a cap's limit already
        found += _spans(kind, name, np.maximum(sums[row] - limit_kw, 0.0), beside, sums[row])
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
        ahead=_ahead(problem, i, power_kw, short_kwh, full, (cause, where)),
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


def _ahead(problem: Problem, i: int, power_kw: FloatArray, short_kwh: float, full: npt.NDArray[np.bool_], cause: tuple[Cause, str]) -> int:
    """How many of a higher class draw where it is kept short, when they draw at least what it lacks; else 0."""
    mine = problem.vehicles[i]
    under = _under(problem, cause)
    theirs = [j for j in under if problem.vehicles[j].priority > mine.priority and power_kw[j, full].max(initial=0.0) > FULL_KW]
    drawn = float((np.maximum(power_kw[theirs][:, full], 0.0) @ problem.hours[full]).sum()) if theirs else 0.0
    return len(theirs) if drawn * mine.eff >= short_kwh else 0


def _under(problem: Problem, cause: tuple[Cause, str]) -> list[int]:
    """The vehicles that count in a limit."""
    rows, (kind, name) = problem.limit_rows, cause
    if kind not in (Cause.FEEDER, Cause.CAP):
        return list(range(len(problem.vehicles)))
    names = [feeder.id for feeder in problem.feeders] if kind is Cause.FEEDER else [cap.id for cap in problem.caps]
    row = names.index(name) + (0 if kind is Cause.FEEDER else len(problem.feeders))
    found: list[int] = rows.vehicle[(rows.row == row) & (rows.weight > 0)].tolist()
    return found


def _soc(vehicle: Vehicle, short_kwh: float) -> tuple[float | None, float | None]:
    """State of charge that it needs and reaches at its departure, where its battery is known."""
    capacity_kwh, stored_kwh = vehicle.capacity_kwh, vehicle.stored_kwh
    if vehicle.curve is not None:
        capacity_kwh, stored_kwh = vehicle.curve.capacity_kwh, vehicle.curve.stored_kwh
    if not capacity_kwh or not stored_kwh:
        return None, None
    needed = min(1.0, (stored_kwh + vehicle.energy_kwh) / capacity_kwh)
    return needed, max(0.0, needed - short_kwh / capacity_kwh)
