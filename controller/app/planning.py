"""The rooms around the plan: what is shown of it, why it is so, and what people ask of it."""

from __future__ import annotations

from contextlib import AsyncExitStack

from controller.core import Core
from controller.plan_desk import PlanDesk
from controller.plan_policy import in_force
from controller.plan_questions import Questions
from controller.plan_reasons import PlanReasons
from controller.plan_room import PlanRoom
from controller.planner import PlannerProcess


async def add_plan(core: Core, planner: PlannerProcess, stack: AsyncExitStack) -> None:
    """Add them. Questions are answered in children of their own, which are there while people ask; a frontier takes minutes, and what
    is asked meanwhile does not wait for it."""
    quick, long = await stack.enter_async_context(Questions()), await stack.enter_async_context(Questions())
    yard, planning = core.yard, core.planning
    core.add(PlanRoom(yard, core.loop, planning, core.history, state=lambda: planner.state))
    core.add(PlanReasons(yard, planning, quick))
    core.add(PlanDesk(yard, planning, quick, long, policy=lambda: in_force(yard.state.plan_policy, planning.settings.policy)))
