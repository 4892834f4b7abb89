"""Where there is no solver: a plan by the learned policy, in the core itself, as advice through the same limiter.

    PlannerError, and the last plan ends before the next try --> optimizer.learned, with breaths --> PlanResult (status learned)

A plan that still holds is better than one without a solver: it stays as long as it may. ``planner.learned_fallback = false`` leaves
vehicles to the limiter's rule, earliest departure first, as soon as the plan has ended.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from importlib import import_module

from depot.values import Plan
from optimizer import PlanResult, Problem

LOAD_AFTER_S = 20.0
"""The policy and what it needs are loaded once everybody has started."""


def needed(plan: Plan | None, now: datetime, *, cadence_s: float) -> bool:
    """Whether there will be no plan before the next try."""
    return plan is None or plan.expires_at <= now + timedelta(seconds=cadence_s)


async def learned_plan(problem: Problem) -> PlanResult:
    """The learned policy's plan; the loop breathes meanwhile."""
    from optimizer.learned import steps

    work = steps(problem)
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: PlanResult = done.value
            return result
        await asyncio.sleep(0)


async def load_later() -> None:
    """Load the policy aside, so that it is there when it is needed."""
    await asyncio.sleep(LOAD_AFTER_S)
    await asyncio.to_thread(import_module, "optimizer.learned")
