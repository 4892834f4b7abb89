"""The room of the page *Plan*: follows what every vehicle draws beside what it was planned to, and shows both with what is ahead.

grants, plan --every LOOK_S--> PlanTrail --+
Planning, History, limits, tariff ---------+--> PlanView
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from zoneinfo import ZoneInfo

from msgspec import Struct

from controller.history import History
from controller.loop import ControlLoop
from controller.plan_picture import Span, Wanted, head_of, layers_of, mark_of, means_of, rows_in_steps, slots_of, span_of, wanting
from controller.plan_trail import Mark, PlanTrail
from controller.plan_view import PlanRow, PlanView
from controller.planner import PlannerState
from controller.planning import Planning
from controller.planning_problem import slot_start
from controller.room import Carrier, Viewer
from controller.views_tiles import label
from controller.yard import Yard
from depot.commands import Command
from depot.state import Visit
from depot.values import Plan

LOOK_S = 5.0


class PlanRoom:
    """One per depot. ``state``: how the planner is."""

    def __init__(self, yard: Yard, loop: ControlLoop, planning: Planning, history: History, *, state: Callable[[], PlannerState]) -> None:
        self._yard, self._loop, self._planning, self._history, self._state = yard, loop, planning, history, state
        self._zone = ZoneInfo(yard.spec.timezone)
        self.trail = PlanTrail(planning.settings.slot_minutes * 60)

    # -- Room ---------------------------------------------------------------------------------------------------

    @property
    def commands(self) -> Mapping[type[Command], Carrier]:
        return {}

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {PlanView: self.view}

    async def run(self) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            self.look()
            await self._yard.clock.sleep(LOOK_S)

    def look(self) -> None:
        """Take what flows now, and what the plan says of now."""
        yard, now = self._yard, self._yard.clock.now()
        drawn: dict[Mark, int] = {}
        visits = yard.present_visits()
        for key, grant in yard.grants.items():
            if not grant.in_session or not grant.measured_w:
                continue
            visit = visits.get(key)
            mark = Mark(visit.announced.vehicle_id if visit is not None else f"at {label(yard, key)}", yard.spec.feeder_of[key])
            drawn[mark] = drawn.get(mark, 0) + grant.measured_w
        self.trail.look(now, slot_start(now, self._planning.settings.slot_minutes, self._zone), drawn, self._planned(now))

    def _planned(self, now: datetime) -> dict[Mark, int] | None:
        plan = self._in_force(now)
        slot = plan.slot_at(now) if plan is not None else None
        if plan is None or slot is None:
            return None
        found: dict[Mark, int] = {}
        for visit_id, row in plan.power_w.items():
            if slot < len(row) and row[slot]:
                mark = mark_of(self._yard, visit_id)
                found[mark] = found.get(mark, 0) + row[slot]
        return found

    def _in_force(self, now: datetime) -> Plan | None:
        plan = self._yard.plan
        return plan if plan is not None and now < plan.expires_at else None

    # -- the view -----------------------------------------------------------------------------------------------

    async def view(self, args: Mapping[str, str]) -> PlanView:
        """The picture, built in steps; raises :class:`~depot.values.InvalidValue` for arguments that can't be."""
        wanted = Wanted.of(args)
        yard, planning, now = self._yard, self._planning, self._yard.clock.now()
        plan, newest = self._in_force(now), planning.newest
        span = span_of(now, self._zone, slot_s=self.trail.slot_s, back_h=min(wanted.back_h, self._known_h(now)), plan=plan)
        prices = planning.prices.vector(span.start, span.count, span.slot_s)
        minutes = [minute for minute in self._history.minutes if minute.at >= span.start]
        in_force = self._loop.limits_in_force()
        slots = slots_of(span, plan=plan, minutes=minutes, in_force=in_force, newest=newest, prices=prices)
        await asyncio.sleep(0)
        means = means_of(plan, newest)
        layers = layers_of(yard, span, self.trail, plan, means, wanted, now)
        await asyncio.sleep(0)
        waiting = wanting(yard, now)
        await asyncio.sleep(0)
        rows, total = await self._rows(span, plan, means, prices, wanted, now, waiting)
        last = yard.plan
        return PlanView(
            at=now,
            timezone=yard.spec.timezone,
            currency=planning.prices.currency,
            policy=self._policy(),
            planner=self._state().value,
            planner_text=planning.text,
            failed_since=planning.failed_since,
            fallback=plan is None and bool(waiting),
            next_at=None if planning.tried_at is None else planning.tried_at + timedelta(seconds=planning.settings.cadence_s),
            plan=None if last is None else head_of(span, last, newest, now),
            by=wanted.by,
            slots=slots,
            layers=layers,
            rows=rows,
            total=total,
            waiting=len(waiting),
        )

    def _policy(self) -> str:
        """What plans are made by, in a word or in its weights."""
        picked = self._yard.state.plan_policy
        return self._planning.settings.policy.value if picked is None else picked.pick.words

    def _known_h(self, now: datetime) -> int:
        """So many whole hours back anything was measured, at least one."""
        first = next((minute.at for minute in self._history.minutes), now)
        return max(1, ceil((now - first).total_seconds() / 3600))

    async def _rows(
        self,
        span: Span,
        plan: Plan | None,
        means: Mapping[str, Sequence[int]],
        prices: list[float],
        wanted: Wanted,
        now: datetime,
        waiting: list[Visit],
    ) -> tuple[list[PlanRow], int]:
        steps = rows_in_steps(self._yard, span, plan, means, prices, wanted, now, waiting)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                found: tuple[list[PlanRow], int] = done.value
                return found
            await asyncio.sleep(0)
