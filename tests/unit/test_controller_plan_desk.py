"""What people ask of the plan: taken in their terms, answered one after the other, kept, bounded, stopped; and why a plan is as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, cast

import msgspec
import numpy as np
import pytest
from small_yard import NOW, ONE, THREE, SmallYard, run

from controller.link import CoreUnreachable
from controller.plan_answers_view import AnswerState, ChangeAsked, FrontierView, WhatIfsView
from controller.plan_desk import KEPT, WAITING_MOST, PlanDesk
from controller.plan_questions import QuestionFailed, Questions
from controller.plan_questions_wire import Compare, Explain, MakeFrontier, Told, What, Why, Words
from controller.plan_reasons import PlanReasons
from controller.plan_reasons_view import ExplanationView
from controller.planning import Newest
from controller.planning_problem import build
from depot.values import InvalidValue
from optimizer import Aim, Frontier, FrontierPoint, FrontierProgress, PlanResult, PlanStatus, Policy, Problem, Weights
from optimizer.explain_values import (
    Cause,
    CellReason,
    Explanation,
    Grounds,
    LimitKind,
    LimitPrice,
    LimitValue,
    Remedy,
    RemedyKind,
    ShortReason,
    VehiclePrices,
)
from optimizer.what_if_values import ChangeKind, Comparison, Figures, How, VehicleChange

T = TypeVar("T", bound=msgspec.Struct)
FIGURES = Figures(cost=100.0, energy_cost=90.0, demand_cost=10.0, energy_kwh=40.0, peak_kw=60.0, unmet_kwh=0.0, short=(), wear_cost=None,
                  over_limit_kw=0.0)  # fmt: skip


class Child:
    """Answers at once, unless ``hold`` is set; ``asked`` keeps what came."""

    def __init__(self, answer: Callable[[Problem, What], Told]) -> None:
        self.answer = answer
        self.asked: list[What] = []
        self.hold: asyncio.Event | None = None
        self.stopped = 0

    async def ask(self, problem: Problem, what: What, *, progress: Callable[[FrontierProgress], None] = lambda _: None, **_: Any) -> Told:
        self.asked.append(what)
        if isinstance(what, MakeFrontier):
            progress(FrontierProgress(1, 4, "a lower peak"))
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.stopped += 1
                raise
        return self.answer(problem, what)


def answered(problem: Problem, what: What) -> Told:
    if isinstance(what, Compare):
        ids = tuple(vehicle.id for vehicle in problem.vehicles)
        after = Figures(120.0, 105.0, 15.0, 40.0, 70.0, 3.0, ids[:1], None, 0.0)
        return Told(1, comparison=Comparison(("a change",), FIGURES, after, (VehicleChange(ids[0], 0.0, 3.0, 1.5),), "INR", 0.1))
    if isinstance(what, MakeFrontier):
        point = FrontierPoint(Aim.COST, 0.0, Weights(), 90.0, 10.0, 5.0, 60.0, 12.0, 0.0)
        lower = FrontierPoint(Aim.PEAK, 1.0, Weights(peak_per_kw=3.0), 95.0, 5.0, 5.0, 40.0, 12.0, 0.0)
        return Told(1, frontier=Frontier((point, lower), True, 4, 1.5, "INR"))
    if isinstance(what, Why):
        named = ((i, problem.vehicles[i].id) for i in what.vehicles)
        reasons = (CellReason(i, name, what.slot, 20.0, 60.0, 0.0, (), 6.0, 6.0, 0.0, None, None, f"{name} draws.") for i, name in named)
        return Told(1, reasons=tuple(reasons))
    return Told(1, explanation=explained(problem), words=Words((f"{problem.vehicles[0].id} is short.",), (("wait",),), ()))


def explained(problem: Problem) -> Explanation:
    slots, n = np.zeros(problem.n_slots), len(problem.vehicles)
    none = np.zeros(n)
    saved = slots.copy()
    saved[2] = 0.5
    power = np.zeros((n, problem.n_slots))
    power[:, 2] = np.arange(n, 0, -1) * 10.0
    remedy = Remedy(RemedyKind.LATER, "", 15.0, "minutes", 2, 3, 1.0)
    return Explanation(
        problem_id="", policy=Policy.CHEAPEST, currency="INR", t0=problem.t0, slot_minutes=15.0,
        vehicle_ids=tuple(vehicle.id for vehicle in problem.vehicles), cost=1.0, peak_kw=2.0, unmet_kwh=none, power_kw=power,
        energy_price_per_kwh=problem.price_per_kwh, peak_per_kw=slots, life_per_kw=slots, penalty_per_kw=slots,
        limits=(
            LimitPrice(LimitKind.SITE, "", problem.site_limit_kw, slots, slots, slots, slots),
            LimitPrice(LimitKind.FEEDER, "A", problem.feeder_limit_kw[0], saved, slots, slots, slots),
        ),
        peaks=(), vehicles=VehiclePrices(none + 6, none, none, none, none + 1, none, (Grounds.EXACT,) * n), cells=(),
        shortfalls=(
            ShortReason(0, problem.vehicles[0].id, 40.0, 2.0, 0.0, Cause.FEEDER, "A", "", 3, 0, None, None, (remedy,)),
        ),
        milestones=(), relaxed=(), values=(LimitValue("site", "", 0.4, None, 0.0),),
    )  # fmt: skip


class Depot:
    def __init__(self, answer: Callable[[Problem, What], Told] = answered) -> None:
        self.small = SmallYard()
        self.quick, self.long = Child(answer), Child(answer)
        yard, planning = self.small.yard, self.small.planning
        quick, long = cast("Questions", self.quick), cast("Questions", self.long)
        self.policy: Policy | Weights = Policy.CHEAPEST
        self.desk = PlanDesk(yard, planning, quick, long, policy=lambda: self.policy)
        self.reasons = PlanReasons(yard, planning, quick)
        self.tasks: list[asyncio.Task[None]] = []

    def plan(self, plan_id: str = "p1") -> None:
        """A plan is in force."""
        small = self.small
        for key, name in ((ONE, "BUS-A"), (THREE, "VAN-B")):
            if name not in {visit.announced.vehicle_id for visit in small.journal.state.visits.values()}:
                small.arrive(key, name, kwh=40)
        asked = build(small.yard, small.planning.settings, small.planning.prices, small.loop.limits_in_force(), now=NOW, peak_w=0)
        assert asked is not None
        n, k = len(asked.visit_ids), asked.problem.n_slots
        none = np.zeros(k)
        result = PlanResult(np.zeros((n, k)), none, np.zeros(n), none, 1.0, 0.0, 2.0, PlanStatus.OPTIMAL, Policy.CHEAPEST)
        small.planning.newest = Newest(plan_id, asked, result)

    async def run(self) -> None:
        self.tasks = [asyncio.create_task(self.desk.run()), asyncio.create_task(self.reasons.run())]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def ask(self, *changes: ChangeAsked) -> WhatIfsView:
        return await self.what_ifs(changes=msgspec.json.encode(changes).decode())

    async def what_ifs(self, **args: str) -> WhatIfsView:
        return through(await self.desk.views[WhatIfsView](args), WhatIfsView)

    async def frontier(self, **args: str) -> FrontierView:
        return through(await self.desk.views[FrontierView](args), FrontierView)

    async def why(self, **args: str) -> ExplanationView:
        return through(await self.reasons.views[ExplanationView](args), ExplanationView)


def through(view: msgspec.Struct | None, kind: type[T]) -> T:
    """As it comes out of the link."""
    return msgspec.json.decode(msgspec.json.encode(view), type=kind)


async def soon() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


LOWER = ChangeAsked(kind="limit", amount=-50.0)


def with_depot(body: Callable[[Depot], Any], answer: Callable[[Problem, What], Told] = answered) -> None:
    async def main() -> None:
        depot = Depot(answer)
        await depot.run()
        try:
            await body(depot)
        finally:
            await depot.stop()

    run(main())


# -- what if ----------------------------------------------------------------------------------------------------------------


def test_a_change_in_peoples_terms_is_answered_in_peoples_terms() -> None:
    async def body(depot: Depot) -> None:
        depot.plan()
        at = NOW + timedelta(minutes=40)
        change = ChangeAsked(kind="charger", amount=0.0, how="to", target="CP-3", from_at=at, until_at=at + timedelta(minutes=20))
        view = await depot.ask(change)
        assert view.rows[0].state is AnswerState.WAITING
        assert "VAN-B" in view.rows[0].changes[0]
        assert "22:30" in view.rows[0].changes[0]
        await soon()
        [asked] = depot.quick.asked
        assert isinstance(asked, Compare)
        [found] = asked.changes
        assert (found.kind, found.how, found.target, found.from_slot, found.until_slot) == (
            ChangeKind.CHARGER, How.TO, "visit VAN-B", 2, 4,
        )  # fmt: skip
        [row] = (await depot.what_ifs()).rows
        assert row.state is AnswerState.DONE
        assert row.after is not None
        assert (row.after.cost, row.after.short, row.vehicles[0].vehicle_id) == (120.0, ["BUS-A"], "BUS-A")
        assert (row.vehicles[0].unmet_after_wh, row.vehicles[0].moved_wh, row.current) == (3_000, 1_500, True)
        depot.plan("p2")
        assert not (await depot.what_ifs()).rows[0].current

    with_depot(body)


@pytest.mark.parametrize(
    "changes",
    [
        "nonsense", "[]", "{}", '[{"kind":"limit"}]', '[{"kind":"colour","amount":1}]', '[{"kind":"limit","amount":1,"how":"perhaps"}]',
        '[{"kind":"depart","amount":30,"target":"BUS-Z"}]', '[{"kind":"limit","amount":1e300}]',
        '[{"kind":"limit","amount":1,"from_at":"2026-11-20T22:00"}]', "[" + ",".join(['{"kind":"limit","amount":1}'] * 9) + "]",
    ],
)  # fmt: skip
def test_a_change_that_cannot_be_is_refused_with_a_reason(changes: str) -> None:
    async def body(depot: Depot) -> None:
        depot.plan()
        with pytest.raises(InvalidValue):
            await depot.what_ifs(changes=changes)
        assert depot.quick.asked == []

    with_depot(body)


def test_without_a_plan_nothing_can_be_asked() -> None:
    async def body(depot: Depot) -> None:
        assert not (await depot.what_ifs()).able
        with pytest.raises(InvalidValue, match="no plan"):
            await depot.ask(LOWER)
        with pytest.raises(InvalidValue, match="no plan"):
            await depot.frontier(act="start")
        assert (await depot.why()).state is AnswerState.NONE

    with_depot(body)


def test_so_many_wait_and_so_many_answers_are_kept() -> None:
    async def body(depot: Depot) -> None:
        depot.plan()
        depot.quick.hold = asyncio.Event()
        first = (await depot.ask(LOWER)).rows[0].question_id
        for _ in range(WAITING_MOST - 1):
            await depot.ask(LOWER)
        with pytest.raises(CoreUnreachable):
            await depot.ask(LOWER)
        depot.quick.hold.set()
        await soon()
        for _ in range(2 * KEPT):
            await depot.ask(LOWER)
            await soon()
        assert len((await depot.what_ifs()).rows) == KEPT
        assert await depot.desk.views[WhatIfsView]({"question": first}) is None  # forgotten

    with_depot(body)


def test_a_question_that_fails_says_why_and_the_next_is_answered() -> None:
    def answer(problem: Problem, what: What) -> Told:
        if isinstance(what, Compare) and what.changes[0].amount == -1:
            raise QuestionFailed("no answer within 30 s")
        return answered(problem, what)

    async def body(depot: Depot) -> None:
        depot.plan()
        await depot.ask(ChangeAsked(kind="limit", amount=-1.0))
        await depot.ask(LOWER)
        await soon()
        good, bad = (await depot.what_ifs()).rows
        assert (good.state, bad.state, bad.text) == (AnswerState.DONE, AnswerState.FAILED, "no answer within 30 s")

    with_depot(body, answer)


# -- frontier -----------------------------------------------------------------------------------------------------------------


def test_a_frontier_tells_how_far_it_is_does_not_hold_up_what_if_and_says_what_is_picked() -> None:
    async def body(depot: Depot) -> None:
        depot.plan()
        depot.long.hold = asyncio.Event()
        assert (await depot.frontier(act="start")).state is AnswerState.WAITING
        await soon()
        running = await depot.frontier(act="start")  # once more: nothing new
        assert (running.state, running.done, running.of, running.text) == (AnswerState.RUNNING, 1, 4, "a lower peak")
        assert len(depot.long.asked) == 1
        await depot.ask(LOWER)
        await soon()
        assert (await depot.what_ifs()).rows[0].state is AnswerState.DONE
        depot.long.hold.set()
        await soon()
        done = await depot.frontier()
        assert (done.state, done.complete, done.current) == (AnswerState.DONE, True, True)
        assert [row.picked for row in done.rows] == [True, False]
        depot.policy = Weights(peak_per_kw=3.0)
        assert [row.picked for row in (await depot.frontier()).rows] == [False, True]

    with_depot(body)


def test_a_frontier_can_be_stopped_and_begun_again() -> None:
    async def body(depot: Depot) -> None:
        depot.plan()
        depot.long.hold = asyncio.Event()
        await depot.frontier(act="start")
        await soon()
        assert (await depot.frontier(act="stop")).state is AnswerState.CANCELLED
        await soon()
        assert depot.long.stopped == 1
        depot.long.hold = None
        await depot.frontier(act="start")
        await soon()
        assert (await depot.frontier()).state is AnswerState.DONE
        with pytest.raises(InvalidValue):
            await depot.frontier(act="wait")

    with_depot(body)


# -- why ----------------------------------------------------------------------------------------------------------------------


def test_a_plan_is_explained_when_somebody_looks_the_quick_part_first() -> None:
    async def body(depot: Depot) -> None:
        depot.plan()
        await soon()
        assert depot.quick.asked == []
        assert (await depot.why()).state is AnswerState.WAITING
        await soon()
        assert depot.quick.asked == [Explain(False), Explain(True)]
        view = await depot.why(vehicle="VAN-B")
        assert (view.state, view.deep) == (AnswerState.DONE, True)
        [limit] = view.limits  # the site's costs nothing
        assert (limit.name, limit.saved_per_kwh[2]) == ("Feeder A", 2.0)  # half a rupee a quarter
        assert view.shorts[0].words == "BUS-A is short."
        assert [remedy.words for remedy in view.shorts[0].remedies] == ["wait"]
        assert [row.vehicle_id for row in view.vehicles] == ["VAN-B"]
        assert len((await depot.why(vehicles="all")).vehicles) == 2
        assert view.gains[0].month == pytest.approx(0.4 * 21)
        await soon()
        assert len(depot.quick.asked) == 2
        depot.quick.hold = asyncio.Event()
        depot.plan("p2")
        view = await depot.why()
        assert (view.state, view.behind, view.plan_id, view.cost) == (AnswerState.DONE, True, "p1", 1.0), "the one before, until then"
        slot = (await depot.why(slot=(NOW + timedelta(minutes=31)).isoformat())).slot
        assert slot is not None
        assert slot.state is AnswerState.WAITING, "of a plan that is over nothing more is asked"
        depot.quick.hold.set()
        await soon()
        view = await depot.why()
        assert (view.state, view.behind, view.plan_id) == (AnswerState.DONE, False, "p2")

    with_depot(body)


def test_a_slot_is_looked_into_with_the_vehicle_that_was_asked_for_first() -> None:
    async def body(depot: Depot) -> None:
        depot.plan()
        at = (NOW + timedelta(minutes=31)).isoformat()
        await depot.why()
        await soon()
        first = (await depot.why(slot=at, vehicle="VAN-B")).slot
        assert first is not None
        assert (first.state, first.power_w, first.binds) == (AnswerState.WAITING, 30_000, ["A"])
        await soon()
        slot = (await depot.why(slot=at, vehicle="VAN-B")).slot
        assert slot is not None
        assert slot.state is AnswerState.DONE
        assert [cell.vehicle_id for cell in slot.cells] == ["VAN-B", "BUS-A"]
        assert slot.cells[0].words == "VAN-B draws."
        assert (slot.at, slot.others) == (NOW + timedelta(minutes=30), 0)
        assert (await depot.why(slot=(NOW - timedelta(hours=1)).isoformat())).slot is None
        for odd in ("yesterday", "2026-11-20T22:00"):
            with pytest.raises(InvalidValue):
                await depot.why(slot=odd)

    with_depot(body)


def test_an_explanation_that_fails_says_why_and_one_that_lacks_remedies_stays() -> None:
    def never(problem: Problem, what: What) -> Told:
        raise QuestionFailed("HiGHS gave up")

    def quick_only(problem: Problem, what: What) -> Told:
        if isinstance(what, Explain) and what.deep:
            raise QuestionFailed("no answer within 60 s")
        return answered(problem, what)

    async def fails(depot: Depot) -> None:
        depot.plan()
        await depot.why()
        await soon()
        view = await depot.why(slot=NOW.isoformat())
        assert (view.state, view.text) == (AnswerState.FAILED, "HiGHS gave up")
        assert len(depot.quick.asked) == 1

    async def stays(depot: Depot) -> None:
        depot.plan()
        await depot.why()
        await soon()
        view = await depot.why()
        assert (view.state, view.deep) == (AnswerState.DONE, False)
        assert len(depot.quick.asked) == 2

    with_depot(fails, never)
    with_depot(stays, quick_only)
