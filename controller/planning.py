"""When to plan, and from what: facts and readings become the optimizer's Problem, its answer becomes a Plan.

    replan(cause) / cadence --> problem(yard, now) --> Planner (child process, deadline) --> Plan --> limiter

The problem is built by pure functions, some vehicles at a time, between which the loop does what else there is; the planner
may be late, wrong or dead: the last plan holds until it expires, then the limiter goes on with earliest departure first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from uuid6 import uuid7

from controller.ageing import factors_in_force
from controller.asset_outlook import Outlook, plan_rows
from controller.plan_fallback import learned_plan
from controller.plan_fallback import needed as fallback_needed
from controller.plan_policy import in_force as policy_in_force
from controller.plan_twin import PlanTwin, approved
from controller.planner import Planner, PlannerError
from controller.planning_life import PacksNow, policy_of
from controller.planning_problem import Asked, Prices, building
from controller.planning_reserve import Reserve, told
from controller.planning_settings import PlanningSettings
from controller.planning_visits import ahead_wh, short_wh
from controller.yard import Yard
from depot import events as ev
from depot.values import Limit, Plan
from grid.demand_pieces import DemandPiece as SiteDemandPiece
from optimizer import PlanResult, Policy, Weights
from optimizer.needs import PACE
from optimizer.stays import Need

log = logging.getLogger(__name__)

RETRY_S = 60.0
"""How soon a planner that failed is asked again."""

NOTHING = "nothing to plan: no vehicle needs energy"
NONE_YET = "no plan yet"


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest plan's problem and answer, for whoever asks why it is as it is."""

    plan_id: str
    asked: Asked
    result: PlanResult


def read_answer(asked: Asked, result: PlanResult, *, now: datetime, settings: PlanningSettings) -> Plan:
    """The optimizer's mean powers as a plan: power while the vehicle is there, W."""
    visits, slots = len(asked.visit_ids), asked.problem.n_slots
    overlap = np.array(asked.overlap).reshape(visits, slots)
    rows_kw = result.power_kw.reshape(visits + len(asked.loads), slots)
    present_kw = rows_kw[:visits] / np.where(overlap > 0, overlap, 1.0)
    several = {stay.row for stay in asked.later}
    for row in several:
        present_kw[row] *= overlap[row] > 0
    np.add.at(present_kw, list(asked.loads), rows_kw[visits:])
    stays = [*asked.visit_ids, *(stay.visit_id for stay in asked.later)]
    later_kw = [rows_kw[stay.row] * (stay.overlap > 0) / np.where(stay.overlap > 0, stay.overlap, 1.0) for stay in asked.later]
    present_w = np.round(np.vstack((present_kw, *later_kw)) * 1000.0).astype(np.int64)
    power = {visit_id: tuple(row) for visit_id, row in zip(stays, present_w.tolist(), strict=True)}
    missing = np.flatnonzero(result.unmet_kwh[:visits] > 1e-3)
    unmet = {asked.visit_ids[i]: round(float(result.unmet_kwh[i]) * 1000.0) for i in missing if i not in several}
    unmet |= short_wh(asked.later, asked.visit_ids, result)
    return Plan(
        plan_id=str(uuid7()),
        made_at=now,
        start=asked.start,
        slot_s=settings.slot_minutes * 60,
        power_w=power,
        site_w=tuple(int(w) for w in np.round(np.asarray(result.site_kw) * 1000.0)),
        expires_at=now + timedelta(seconds=settings.expires_s),
        unmet_wh=unmet,
        shed_wh=_shed(asked, result),
        cost=float(result.energy_cost + result.demand_cost),
        solver=str(result.status),
        solve_s=float(result.solve_s),
        storage_w=plan_rows(asked.problem.storages, result.storage_kw),
        ahead_wh=ahead_wh(asked.later, asked.visit_ids, asked.problem, result),
    )


def _shed(asked: Asked, result: PlanResult) -> dict[str, int]:
    """Of each visit, what of its comfort does not fit, Wh: of a full battery, and of preconditioning."""
    visits, shed = len(asked.visit_ids), dict.fromkeys(asked.visit_ids, 0.0)
    for one in result.short:
        if one.milestone is not None and one.need is Need.COMFORT and one.label != PACE and one.vehicle in shed:
            shed[one.vehicle] += one.kwh
    for host, kwh in zip(asked.loads, result.unmet_kwh[visits:], strict=True):
        shed[asked.visit_ids[host]] += float(kwh)
    return {visit_id: round(kwh * 1000.0) for visit_id, kwh in shed.items() if kwh > 1e-3}


class Planning:
    """Owns the cadence. ``request(cause)`` asks for a plan soon; many requests become one."""

    def __init__(
        self,
        yard: Yard,
        planner: Planner,
        prices: Prices,
        settings: PlanningSettings,
        *,
        limits_in_force: Callable[[], Sequence[Limit]],
        peak_w: Callable[[], int],
        on_plan: Callable[[], None],
    ) -> None:
        self.yard = yard
        self.planner = planner
        self.prices = prices
        self._settings = settings
        self.limits_in_force = limits_in_force
        self.peak_w = peak_w
        self.on_plan = on_plan
        self.pieces: Callable[[], Sequence[SiteDemandPiece] | None] = lambda: None
        """What a peak costs, where somebody knows the tariff's pieces."""
        self.outlook: Outlook | None = None
        """Solar plants and stationary batteries, where the site has any."""
        self.twin: PlanTwin | None = None
        """Who looks at a plan before it is taken; None: nobody."""
        self.packs: PacksNow | None = None
        """Who knows the vehicles' batteries."""
        self.whole_rate: Callable[[], bool] = lambda: False
        """Whether a kW above what is free costs a plan the month's whole rate: once a peak target says what the month pays for."""
        self.reserve: Reserve | None = None
        """What plans keep free for wrong timetables, where that follows the depot's own errors."""
        self.text = NONE_YET
        self.failed_since: datetime | None = None
        self.made = 0
        self.newest: Newest | None = None
        self.tried_at: datetime | None = None
        """When a plan was last asked for."""
        self._wanted = asyncio.Event()
        self._cause = "start"

    @property
    def settings(self) -> PlanningSettings:
        """With the fleet's own ageing, where the depot has found it and nobody has set it back."""
        given = self._settings
        if not self.yard.state.ageing:
            return given
        factors = factors_in_force(self.yard.state.ageing, given.life.factors)
        return replace(given, life=replace(given.life, factors=factors))

    @settings.setter
    def settings(self, given: PlanningSettings) -> None:
        self._settings = given

    def request(self, cause: str) -> None:
        """Something that matters to the plan has changed."""
        self._cause = cause
        self._wanted.set()

    async def run(self) -> None:
        """Plan until cancelled. A failure keeps the last plan and is told once per transition."""
        clock = self.yard.clock
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._cadence(), name="planning-cadence")
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                await self._plan_once(self._cause)
                await clock.sleep(self.settings.spacing_s)

    async def _cadence(self) -> None:
        """Now and then; while the planner fails, a minute after each try: what stands in for it need not wait for the next turn."""
        waited_s = 0.0
        while True:
            step_s = min(RETRY_S, self.settings.cadence_s - waited_s)
            await self.yard.clock.sleep(step_s)
            waited_s += step_s
            if self.failed_since is not None or waited_s >= self.settings.cadence_s:
                waited_s = 0.0
                self.request("cadence")

    async def _plan_once(self, cause: str) -> None:
        now = self.tried_at = self.yard.clock.now()
        asked = await self._asked(now)
        if asked is None:
            self.text = NOTHING
            return
        if self.text in (NOTHING, NONE_YET):
            self.text = "the first plan is being made"
        policy = policy_of(self._policy(), self.settings.life)
        problem = asked.problem
        if self.reserve is not None:
            problem = await self.reserve.careful(problem, self.yard.state.visits, now=now)
        try:
            result = await self.planner.solve(problem, policy=policy)
            if self.twin is not None:
                result = await approved(self.twin, self.planner, problem, asked.row_ids, result, policy=policy)
        except PlannerError as error:
            if self.failed_since is None:
                log.error("no new plan: %s; the last plan holds until it expires, then earliest departure first", error)
                self.failed_since = now
            self.text = f"no new plan: {error}"
            if self.settings.learned_fallback and fallback_needed(self.yard.plan, now, cadence_s=self.settings.cadence_s):
                result = await learned_plan(asked.problem)
                if self.twin is None or not (await self.twin.judged(asked.problem, asked.row_ids, result)).veto:
                    await self._take(asked, result, now, cause)
                    self.text = f"no new plan: {error}; a learned policy plans meanwhile"
            return
        if self.failed_since is not None:
            log.info("planning works again")
            self.failed_since = None
        await self._take(replace(asked, problem=problem), told(result, asked.problem, problem), now, cause)
        self.text = f"plan of {len(asked.visit_ids)} vehicles in {max(0.01, result.total_s):.2f} s"

    async def _take(self, asked: Asked, result: PlanResult, now: datetime, cause: str) -> None:
        plan = read_answer(asked, result, now=now, settings=self.settings)
        self.yard.plan = plan
        self.newest = Newest(plan.plan_id, asked, result)
        self.made += 1
        self.on_plan()
        accepted = ev.PlanAccepted(plan.plan_id, plan.cost, sum(plan.unmet_wh.values()), plan.solve_s, cause)
        if not self.yard.journal.frozen:
            await self.yard.journal.append([ev.NewEvent(accepted, now)])

    def _policy(self) -> Policy | Weights:
        return policy_in_force(self.yard.state.plan_policy, self.settings.policy)

    async def _asked(self, now: datetime) -> Asked | None:
        """The problem of this moment, made between what else the loop has to do."""
        while True:
            spec = self.yard.spec
            settings = replace(self.settings, demand_share=1.0) if self.whole_rate() else self.settings
            steps = building(
                self.yard,
                settings,
                self.prices,
                self.limits_in_force(),
                now=now,
                peak_w=self.peak_w(),
                policy=self._policy(),
                pieces=self.pieces(),
                outlook=self.outlook,
                packs=self.packs,
            )
            while self.yard.spec is spec:
                try:
                    next(steps)
                except StopIteration as done:
                    made: Asked | None = done.value
                    return made
                await asyncio.sleep(0)
