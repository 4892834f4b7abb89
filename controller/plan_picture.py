"""From facts, the trail and the plan in force to the picture that the page *Plan* shows.

    trail (past) + plan (ahead) --layers--> the biggest vehicles or feeders, and the rest
    visits + plan --rows--> who charges when, for how much, and who is short

Pure reading, in steps: a loop that has better to do goes on between them.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from controller import limits
from controller.history import Minute
from controller.plan_trail import Mark, PlanTrail
from controller.plan_view import PlanHead, PlanLayer, PlanRow, PlanSlots
from controller.planning import Newest
from controller.planning_problem import slot_start, why_not
from controller.views_tiles import label, soc_of, soc_target_of
from controller.wishes import Load, full_due
from controller.yard import Yard
from depot.state import Visit
from depot.values import InvalidValue, Limit, Plan

IntArray = npt.NDArray[np.int64]

BY = ("vehicle", "feeder")
LAYERS = 8
LAYERS_MOST = 40
BACK_H = 12
BACK_MOST_H = 24
ROWS = 200
ROWS_MOST = 5000
STEP = 25
"""Rows between two breaths of the core's loop."""

WITHOUT_PLAN_H = 4
"""How far ahead limits and prices are shown where there is no plan."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the picture is asked for. ``back_h``: hours before now; ``layers``, ``rows``: at most; ``powers``: each row with
    its power per slot."""

    by: str = "vehicle"
    layers: int = LAYERS
    back_h: int = BACK_H
    rows: int = ROWS
    powers: bool = False

    @classmethod
    def of(cls, args: Mapping[str, str]) -> Wanted:
        """Arguments as text; raises :class:`InvalidValue` for what can't be."""
        by = args.get("by", "vehicle")
        if by not in BY:
            raise InvalidValue(f"by is {by!r}: the picture is stacked by {' or by '.join(BY)}")
        return cls(
            by,
            _number(args, "layers", LAYERS, 1, LAYERS_MOST),
            _number(args, "back_h", BACK_H, 1, BACK_MOST_H),
            _number(args, "rows", ROWS, 0, ROWS_MOST),
            args.get("powers", "") == "yes",
        )


def _number(args: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = args.get(name, str(default))
    if not text.isdecimal() or len(text) > 6 or not least <= int(text) <= most:
        raise InvalidValue(f"{name} must be a whole number within {least} and {most}")
    return int(text)


@dataclass(frozen=True, slots=True)
class Span:
    """The slots of a picture: ``count`` from ``start`` on, the running one is number ``now``."""

    start: datetime
    slot_s: int
    now: int
    count: int

    def index(self, at: datetime) -> int:
        """Number of the slot that holds ``at``; it may lie outside of the picture."""
        return int((at - self.start).total_seconds() // self.slot_s)

    def at(self, index: int) -> datetime:
        return self.start + timedelta(seconds=index * self.slot_s)

    @property
    def stop(self) -> datetime:
        return self.at(self.count)

    def hours_left(self, now: datetime) -> npt.NDArray[np.float64]:
        """[slot] hours of it that are ahead."""
        hours = np.full(self.count, self.slot_s / 3600.0)
        hours[: self.now] = 0.0
        hours[self.now] = max(0.0, (self.at(self.now + 1) - now).total_seconds()) / 3600.0
        return hours


def span_of(now: datetime, zone: ZoneInfo, *, slot_s: int, back_h: int, plan: Plan | None) -> Span:
    """The slots from ``back_h`` hours ago to the end of the plan in force."""
    start = slot_start(now - timedelta(hours=back_h), slot_s // 60, zone)
    running = int((now - start).total_seconds() // slot_s)
    count = running + 1 + WITHOUT_PLAN_H * 3600 // slot_s
    if plan is not None and now < plan.expires_at:
        ends = plan.start + timedelta(seconds=plan.slot_s * len(plan.site_w))
        count = max(running + 1, min(int((ends - start).total_seconds() // slot_s), running + BACK_MOST_H * 3600 // slot_s + 1))
    return Span(start, slot_s, running, count)


def slots_of(
    span: Span, *, plan: Plan | None, minutes: Sequence[Minute], in_force: Sequence[Limit], newest: Newest | None, prices: Sequence[float]
) -> PlanSlots:
    """The lines of the picture. ``plan``: the one in force, if any."""
    site, back, past_plan, past_limit = (np.full((span.count, 2), 0.0) for _ in range(4))
    for minute in minutes:
        k = span.index(minute.at)
        if not 0 <= k <= span.now:
            continue
        back[k] += (minute.background_w, 1)
        past_limit[k] = (min(minute.limit_w, past_limit[k, 0]) if past_limit[k, 1] else minute.limit_w, 1)
        if minute.site_w is not None:
            site[k] += (minute.site_w, 1)
        if minute.plan_w is not None:
            past_plan[k] += (minute.plan_w, 1)
    planned = _means(past_plan)
    background = _means(back)
    if plan is not None:
        for k, watts in _ahead(span, plan, plan.site_w):
            planned[k] = watts
    expected = _background(span, plan, newest)
    limit_w = [round(value) if seen else None for value, seen in past_limit]
    source = [""] * span.count
    coming = limits.steps(in_force, "", start=span.at(span.now), stop=span.stop)
    for (at, limit), until in zip(coming, [*(at for at, _ in coming[1:]), span.stop], strict=True):
        for k in range(span.index(at), min(span.count, span.index(until - timedelta(microseconds=1)) + 1)):
            least = limit_w[k]
            if not source[k] or least is None or limit.value < least:
                limit_w[k], source[k] = limit.value, limit.source.value
    return PlanSlots(
        start=span.start,
        slot_s=span.slot_s,
        now=span.now,
        site_w=_means(site),
        plan_w=planned,
        limit_w=limit_w,
        limit_source=source,
        background_w=[expected.get(k, value) if k > span.now or value is None else value for k, value in enumerate(background)],
        price=[float(price) for price in prices],
    )


def _means(sums: npt.NDArray[np.float64]) -> list[int | None]:
    return [round(total / count) if count else None for total, count in sums]


def _ahead(span: Span, plan: Plan, row: Sequence[int]) -> Generator[tuple[int, int], None, None]:
    """(slot of the picture, watts) of a plan's row, from the running slot on."""
    shift = span.index(plan.start)
    for k in range(max(span.now, shift), min(span.count, shift + len(row))):
        yield k, row[k - shift]


def _background(span: Span, plan: Plan | None, newest: Newest | None) -> dict[int, int]:
    """What the plan expects of the site's own load, per slot of the picture."""
    if plan is None or newest is None or newest.plan_id != plan.plan_id:
        return {}
    return dict(_ahead(span, plan, [round(value * 1000) for value in newest.asked.problem.background_kw]))


def means_of(plan: Plan | None, newest: Newest | None) -> Mapping[str, Sequence[int]]:
    """[visit][slot of the plan] mean watts: the plan says power while the vehicle is there, and it may be there for a part of a slot."""
    if plan is None:
        return {}
    if newest is None or newest.plan_id != plan.plan_id:
        return plan.power_w
    there = dict(zip(newest.asked.visit_ids, newest.asked.overlap, strict=True))
    there |= {stay.visit_id: stay.overlap for stay in newest.asked.later}
    return {
        visit_id: np.rint(np.asarray(row) * there[visit_id]).astype(np.int64).tolist() if visit_id in there else row
        for visit_id, row in plan.power_w.items()
    }


# -- layers -------------------------------------------------------------------------------------------------------------


def layers_of(
    yard: Yard, span: Span, trail: PlanTrail, plan: Plan | None, means: Mapping[str, Sequence[int]], wanted: Wanted, now: datetime
) -> list[PlanLayer]:
    """The stack, biggest first. ``plan``: the one in force, if any; ``means``: of it."""
    place = 0 if wanted.by == "vehicle" else 1
    drawn: dict[str, IntArray] = {}
    planned: dict[str, IntArray] = {}
    members: dict[str, set[str]] = {}
    seen, told = np.zeros(span.count, bool), np.zeros(span.count, bool)
    for slot in trail.slots():
        k = span.index(slot.at)
        if not 0 <= k <= span.now:
            continue
        seen[k], told[k] = True, slot.planned
        for mark, watts, should in zip(slot.marks, slot.drawn_w, slot.planned_w, strict=True):
            members.setdefault(mark[place], set()).add(mark.name)
            _row(drawn, mark[place], span.count)[k] += watts
            _row(planned, mark[place], span.count)[k] += should
    if plan is not None:
        shift = span.index(plan.start)
        told[max(span.now, shift) : shift + len(plan.site_w)] = True
        for row in planned.values():
            row[span.now :] = 0  # of the running slot as it is planned now
        for visit_id, powers in means.items():
            mark = mark_of(yard, visit_id)
            members.setdefault(mark[place], set()).add(mark.name)
            target = _row(planned, mark[place], span.count)
            first, last = max(span.now, shift), min(span.count, shift + len(powers))
            target[first:last] += np.asarray(powers[first - shift : last - shift], np.int64)
    hours = span.hours_left(now)
    past_h = np.full(span.count, span.slot_s / 3600.0) - hours
    empty = np.zeros(span.count, np.int64)
    weight = {name: float(np.abs(drawn.get(name, empty)) @ past_h) + float(np.abs(planned.get(name, empty)) @ hours) for name in members}
    order = sorted((name for name in members if weight[name] > 0), key=lambda name: (-weight[name], name))
    own = order if len(order) <= wanted.layers else order[: wanted.layers]
    names = {feeder.feeder_id: feeder.name or feeder.feeder_id for feeder in yard.spec.feeders} if place else {}
    found = [
        _layer(
            names.get(name, name), wanted.by, len(members[name]), weight[name], drawn.get(name, empty), planned.get(name, empty), seen, told
        )
        for name in own
    ]
    if rest := order[len(own) :]:
        together: IntArray = np.sum([drawn.get(name, empty) for name in rest], axis=0)
        told_to: IntArray = np.sum([planned.get(name, empty) for name in rest], axis=0)
        count = len(set().union(*(members[name] for name in rest)))
        found.append(_layer("", "rest", count, sum(weight[name] for name in rest), together, told_to, seen, told))
    return found + _batteries(span, plan, hours)


def _row(rows: dict[str, IntArray], name: str, count: int) -> IntArray:
    row = rows.get(name)
    if row is None:
        row = rows[name] = np.zeros(count, np.int64)
    return row


def _layer(
    name: str,
    kind: str,
    members: int,
    energy_wh: float,
    drawn: IntArray,
    planned: IntArray,
    seen: npt.NDArray[np.bool_],
    told: npt.NDArray[np.bool_],
) -> PlanLayer:
    return PlanLayer(
        name=name,
        kind=kind,
        members=members,
        energy_wh=round(energy_wh),
        drawn_w=[int(watts) if known else None for watts, known in zip(drawn, seen, strict=True)],
        planned_w=[int(watts) if known else None for watts, known in zip(planned, told, strict=True)],
    )


def _batteries(span: Span, plan: Plan | None, hours: npt.NDArray[np.float64]) -> list[PlanLayer]:
    """Stationary batteries, as they are planned."""
    found = []
    for asset_id, row in plan.storage_w.items() if plan is not None else ():
        planned: list[int | None] = [None] * span.count
        assert plan is not None
        for k, watts in _ahead(span, plan, row):
            planned[k] = watts
        energy = sum(abs(watts or 0) * hours[k] for k, watts in enumerate(planned))
        if energy:
            nobody: list[int | None] = [None] * span.count
            found.append(PlanLayer(name=asset_id, kind="battery", members=1, energy_wh=round(energy), drawn_w=nobody, planned_w=planned))
    return found


def mark_of(yard: Yard, visit_id: str) -> Mark:
    """Whose row of a plan it is; a stay that is over meanwhile is called by its id."""
    visit = yard.state.visits.get(visit_id)
    if visit is None:
        return Mark(visit_id, "")
    feeder_id = yard.spec.feeder_of.get(visit.connector, "") if visit.connector is not None else ""
    return Mark(visit.announced.vehicle_id, feeder_id)


# -- rows ---------------------------------------------------------------------------------------------------------------


def head_of(span: Span, plan: Plan, newest: Newest | None, now: datetime) -> PlanHead:
    """What stands above the picture; costs and peak are known while its answer is held."""
    result = newest.result if newest is not None and newest.plan_id == plan.plan_id else None
    hours, shift = span.hours_left(now), span.index(plan.start)
    first = max(span.now, shift)
    last = max(first, min(span.count, shift + len(plan.site_w)))
    means = means_of(plan, newest)
    ahead_wh = sum(float(np.asarray(row[first - shift : last - shift]) @ hours[first:last]) for row in means.values())
    return PlanHead(
        plan_id=plan.plan_id,
        made_at=plan.made_at,
        start=plan.start,
        expires_at=plan.expires_at,
        over=now >= plan.expires_at,
        solver=plan.solver,
        solve_s=plan.solve_s,
        vehicles=len(plan.power_w),
        planned_wh=round(ahead_wh) if now < plan.expires_at else 0,
        unmet_wh=sum(plan.unmet_wh.values()),
        short=len(plan.unmet_wh),
        cost=plan.cost,
        energy_cost=None if result is None else float(result.energy_cost),
        demand_cost=None if result is None else float(result.demand_cost),
        peak_w=None if result is None else round(float(result.peak_kw) * 1000),
    )


def wanting(yard: Yard, now: datetime) -> list[Visit]:
    """Stays that are here or announced, and want energy."""
    return [
        visit
        for visit in yard.state.visits.values()
        if (visit.present or now <= visit.announced.depart_at) and not yard.complete(visit) and yard.remaining_wh(visit) > 0
    ]


def rows_in_steps(
    yard: Yard,
    span: Span,
    plan: Plan | None,
    means: Mapping[str, Sequence[int]],
    prices: Sequence[float],
    wanted: Wanted,
    now: datetime,
    waiting: Sequence[Visit],
) -> Generator[None, None, tuple[list[PlanRow], int]]:
    """(rows, of how many): who is short first, then who is not planned, then by departure. ``plan``: the one in force, if any;
    ``means``: of it."""
    known = means
    unmet = plan.unmet_wh if plan is not None else {}
    chosen = {visit.visit_id: visit for visit in waiting}
    chosen |= {visit_id: yard.state.visits[visit_id] for visit_id in known if visit_id in yard.state.visits}

    def rank(visit: Visit) -> tuple[int, int, datetime, str]:
        unknown = plan is not None and visit.visit_id not in known and bool(why_not(yard, visit, now))
        return (-unmet.get(visit.visit_id, 0), 0 if unknown else 1, visit.announced.depart_at, visit.announced.vehicle_id)

    order = sorted(chosen.values(), key=rank)
    hours = span.hours_left(now)
    rows: list[PlanRow] = []
    for visit in order[: wanted.rows]:
        ahead = list(_ahead(span, plan, known[visit.visit_id])) if plan is not None and visit.visit_id in known else []
        rows.append(_plan_row(yard, visit, span, plan, ahead, prices, hours, now, powers=wanted.powers))
        if len(rows) % STEP == 0:
            yield
    return rows, len(order)


def _plan_row(
    yard: Yard,
    visit: Visit,
    span: Span,
    plan: Plan | None,
    ahead: Sequence[tuple[int, int]],
    prices: Sequence[float],
    hours: npt.NDArray[np.float64],
    now: datetime,
    *,
    powers: bool,
) -> PlanRow:
    stay, key = visit.announced, visit.connector
    here = key if visit.present and key in yard.grants else None
    flowing = [k for k, watts in ahead if watts]
    planned_wh = float(sum(watts * hours[k] for k, watts in ahead))
    soc = soc_of(yard, here, visit) if here is not None else stay.soc_arrival
    load = yard.load(visit)
    battery_wh = yard.battery_wh(visit)
    departure = None
    if soc is not None and battery_wh:
        gains_wh = (planned_wh - _warms_wh(load, now)) * stay.efficiency if ahead else 0.0
        departure = None if plan is None else max(0.0, min(1.0, soc + gains_wh / battery_wh))
    return PlanRow(
        visit_id=visit.visit_id,
        vehicle_id=stay.vehicle_id,
        label=label(yard, key) if key is not None and key in yard.grants else "",
        feeder_id=yard.spec.feeder_of.get(key, "") if key is not None else "",
        present=visit.present,
        arrive_at=stay.arrive_at,
        depart_at=stay.depart_at,
        to_flow_wh=yard.remaining_wh(visit),
        planned_wh=round(planned_wh),
        unmet_wh=plan.unmet_wh.get(visit.visit_id, 0) if plan is not None else 0,
        starts_at=max(now, span.at(flowing[0])) if flowing else None,
        stops_at=span.at(flowing[-1] + 1) if flowing else None,
        pauses=sum(1 for a, b in pairwise(flowing) if b > a + 1),
        cost=round(float(sum(watts * hours[k] * prices[k] for k, watts in ahead)) / 1000.0, 2) if ahead else None,
        soc=soc,
        soc_departure=departure,
        soc_target=soc_target_of(visit),
        priority=stay.priority,
        power_w=[watts for _, watts in ahead] if powers else [],
        precondition_w=load.power_w if load is not None else 0,
        precondition_at=load.from_ if load is not None else None,
        full_due=full_due(yard.state, stay.vehicle_id, yard.wishes, now),
        tested=visit.present and stay.vehicle_id in yard.tested,
        why_not=why_not(yard, visit, now) if plan is not None and visit.visit_id not in plan.power_w else "",
        shed_wh=plan.shed_wh.get(visit.visit_id, 0) if plan is not None else 0,
    )


def _warms_wh(load: Load | None, now: datetime) -> float:
    """Of what is planned, what reaches no battery, Wh: preconditioning that is still to come."""
    if load is None:
        return 0.0
    return load.power_w * max(0.0, (load.until - max(load.from_, now)).total_seconds()) / 3600.0
