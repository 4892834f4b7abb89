"""Before a plan is dispatched: a run of it against what is known of the packs, and a veto where it cannot be meant.

    Asked, PlanResult --packs_of()--> optimizer.twin, some slots at a time --> TwinReport --> taken | asked again | vetoed
                                          └─ bms_bridge.twin: how a pack warms, and what it accepts

The twin knows a pack by its visit's battery and state of charge, its chemistry by registry and settings, its temperature by its
own word. What is not known is not judged. A plan that would heat packs beyond their ceiling is asked for once more with less power
for them; any other veto keeps the plan before it, and after that earliest departure first. The loop breathes between the slots.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from bms_bridge.chemistry import TABLE, Chemistry
from bms_bridge.twin.lump import lumps_of
from controller.alarms import Condition
from controller.packs import Packs
from controller.planner import Planner, PlannerError
from controller.yard import Yard
from depot.state import Visit
from depot.values import PackKey
from optimizer import PlanResult, Policy, Problem, Weights
from optimizer.twin import Fault, Twin, TwinPack, TwinReport

log = logging.getLogger(__name__)

SLOTS_AT_ONCE = 4
"""Between two breaths of the loop: some milliseconds for a thousand vehicles."""

PLANNED_SOC_S = 900.0
"""A state of charge this old still serves."""


class PlanRefused(PlannerError):
    """There is a plan, and it may not be taken."""


@dataclass(frozen=True, slots=True)
class PlanVetoed:
    """A plan was not taken. ``why``: for people."""

    at: datetime
    why: str


@dataclass(slots=True)
class PlanTwin:
    """One per depot. ``packs``, ``hottest_c``: what is known of chemistries, and of the hottest sensor of each pack heard of now;
    nothing until somebody sets them. ``vetoed``: the last plan was not taken; ``report``: of the last run, in the order of ``ids``."""

    yard: Yard
    packs: Packs | None = None
    hottest_c: Callable[[], dict[PackKey, float]] = dict
    vetoed: PlanVetoed | None = None
    report: TwinReport | None = None
    ids: tuple[str, ...] = ()
    kinds: frozenset[str] = field(default=frozenset({"plan_vetoed"}), init=False)

    async def judged(self, problem: Problem, visit_ids: Sequence[str], result: PlanResult) -> TwinReport:
        """The run of a plan; lets the loop breathe."""
        twin = Twin(problem, result.power_kw, result.unmet_kwh, self._packs_of(visit_ids), lumps_of=lumps_of, storage_kw=result.storage_kw)
        await asyncio.sleep(0)
        for _ in twin.steps(SLOTS_AT_ONCE):
            await asyncio.sleep(0)
        self.report, self.ids = twin.report(), tuple(visit_ids)
        return self.report

    def conditions(self, now: datetime) -> Sequence[Condition]:
        """The alarm of a veto, until a plan is taken again."""
        return [Condition("plan_vetoed", title=f"A plan was not taken: {self.vetoed.why}.")] if self.vetoed is not None else []

    def _packs_of(self, visit_ids: Sequence[str]) -> list[TwinPack | None]:
        heard = self.hottest_c()
        ambient_c = min(heard.values(), default=25.0)  # a pack cools towards the coolest one that is known
        return [self._pack_of(self.yard.state.visits.get(visit_id), heard, ambient_c) for visit_id in visit_ids]

    def _pack_of(self, visit: Visit | None, heard: dict[PackKey, float], ambient_c: float) -> TwinPack | None:
        if visit is None:
            return None
        battery_wh, soc = self.yard.battery_wh(visit), visit.announced.soc_arrival
        if visit.present and visit.connector is not None:
            said = self.yard.least_soc(visit.connector, visit, fresh_s=PLANNED_SOC_S)
            if said is None and soc is not None and battery_wh:
                so_far_wh = visit.delivered_wh + self.yard.session_energy_wh(visit.connector)
                said = soc + so_far_wh * visit.announced.efficiency / battery_wh
            soc = said
        if not battery_wh or soc is None:
            return None
        keys = self.packs.of(visit.announced.vehicle_id) if self.packs is not None else ()
        temperatures = [heard[key] for key in keys if key in heard]
        chemistries = [self.packs.chemistry_of(key) or Chemistry.UNKNOWN for key in keys] if self.packs is not None else []
        return TwinPack(
            capacity_kwh=battery_wh / 1000.0,
            soc=min(1.0, max(0.0, soc)),
            chemistry=str(chemistries[0]) if chemistries else "unknown",
            temp_c=max(temperatures, default=None),
            ambient_c=ambient_c,
            ceiling_c=min((TABLE[chemistry].derate_full_c for chemistry in chemistries), default=None),
        )


async def approved(
    twin: PlanTwin, planner: Planner, problem: Problem, visit_ids: Sequence[str], result: PlanResult, *, policy: Policy | Weights
) -> PlanResult:
    """The plan, or the one that was asked for after it, with less power for packs that it would have overheated. Raises
    :class:`PlanRefused` for one that may not be taken, and what the planner raises."""
    report = await twin.judged(problem, visit_ids, result)
    veto, cooler = report.veto, cooled(problem, report)
    if cooler is not None:
        log.warning("a plan is made again, with less power for some: %s", veto)
        result = await planner.solve(cooler, policy=policy)
        report = await twin.judged(cooler, visit_ids, result)
        others = [finding.text for finding in report.findings if finding.vetoes and finding.fault is not Fault.HOT]
        veto = others[0] if others else ""  # as cool as a plan can make it: what a floor still heats is no reason to plan for nobody
    if veto:
        twin.vetoed = PlanVetoed(twin.yard.clock.now(), veto)
        raise PlanRefused(f"its run against the packs says: {veto}")
    twin.vetoed = None
    return result


def cooled(problem: Problem, report: TwinReport) -> Problem | None:
    """The problem with less power for the packs that a plan would have overheated; None where that is not what was wrong."""
    vetoes = [finding for finding in report.findings if finding.vetoes]
    if not vetoes or any(finding.fault is not Fault.HOT for finding in vetoes):
        return None
    vehicles = list(problem.vehicles)
    for finding in vetoes:
        if finding.vehicle is None or finding.cap_kw is None:
            return None
        vehicle = vehicles[finding.vehicle]
        cap = np.full(problem.n_slots, vehicle.p_max_kw) if vehicle.cap_kw is None else np.asarray(vehicle.cap_kw)
        vehicles[finding.vehicle] = replace(vehicle, cap_kw=np.minimum(cap, max(finding.cap_kw, vehicle.floor_kw)))
    return replace(problem, vehicles=tuple(vehicles))
