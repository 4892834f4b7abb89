"""The room of the plan's policy: what a person picked, kept as a fact, and what plans are made by now.

    PickPlanPolicy --> PlanPolicyPicked (journal) --> in_force() --> Planner

A pick holds until the next one; nothing picked: the policy of the settings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct

from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.plan_policy import PickedPolicy, PlanAim, PolicyPick
from depot.values import InvalidValue
from optimizer import Policy, Weights


class PlanPolicyView(Struct, frozen=True, kw_only=True):
    """What plans are made by. ``configured``: the policy of the settings. Who picked another one, when and why: empty and None where
    nobody did. Weights are in the depot's currency (wear: a part of it)."""

    at: datetime
    aim: str
    words: str
    wear: float
    delay_per_kwh_h: float
    peak_per_kw: float
    configured: str
    picked_by: str
    picked_at: datetime | None
    reason: str


def in_force(picked: PickedPolicy | None, configured: Policy) -> Policy | Weights:
    """What the next plan is made by."""
    if picked is None:
        return configured
    pick = picked.pick
    if pick.aim is PlanAim.WEIGHTS:
        return Weights(wear=pick.wear, delay_per_kwh_h=pick.delay_per_kwh_h, peak_per_kw=pick.peak_per_kw)
    return Policy(pick.aim.value)


class PlanPolicy:
    """The room."""

    def __init__(self, yard: Yard, configured: Policy, *, replan: Callable[[str], None]) -> None:
        self._yard, self._configured, self._replan = yard, configured, replan
        self.commands: Mapping[type[cmd.Command], Carrier] = {cmd.PickPlanPolicy: self._pick}
        self.views: Mapping[type[Struct], Viewer] = {PlanPolicyView: self._show}

    async def run(self) -> None:
        """Nothing to follow up."""
        await asyncio.Event().wait()

    async def _pick(self, command: cmd.PickPlanPolicy, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        picked = self._yard.state.plan_policy
        before = None if picked is None else picked.pick
        if command.pick == before:
            return cmd.CommandStatus.DONE, f"plans are made by {self._words(before)} already"
        if not command.reason.strip():
            raise InvalidValue("say why: everybody's charging is planned by it from now on")
        fact = ev.PlanPolicyPicked(command.pick, command.reason)
        now = self._yard.clock.now()
        await self._yard.journal.append([ev.NewEvent(fact, now, actor=command.actor, cause_id=cause.id)])
        self._replan("policy")
        return cmd.CommandStatus.DONE, f"plans are made by {self._words(command.pick)} from now on; the next one comes within a minute"

    def _words(self, pick: PolicyPick | None) -> str:
        return f"the settings' policy, {self._configured}," if pick is None else pick.words

    async def _show(self, _args: Mapping[str, str]) -> PlanPolicyView | None:
        picked = self._yard.state.plan_policy
        pick = PolicyPick(PlanAim(self._configured.value)) if picked is None else picked.pick
        return PlanPolicyView(
            at=self._yard.clock.now(),
            aim=pick.aim.value,
            words=pick.words,
            wear=pick.wear,
            delay_per_kwh_h=pick.delay_per_kwh_h,
            peak_per_kw=pick.peak_per_kw,
            configured=self._configured.value,
            picked_by="" if picked is None else picked.by,
            picked_at=None if picked is None else picked.at,
            reason="" if picked is None else picked.reason,
        )
