"""The desk that answers what people ask of the plan: one question of a kind at a time, in a questions child, the newest answers kept.

    view "what if ...?" --> _Asked (waiting) --run()--> Questions (child) --> _Asked (done, failed) --> view
    view "frontier"     --> the same in a child of its own, for it takes minutes, with progress, and a way to stop it

Asking changes nothing in the depot. Whoever asks is bounded: so many wait, so many answers are kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct
from uuid6 import uuid7

from controller.link import CoreUnreachable
from controller.plan_answers_view import (
    AnswerState,
    ChangeAsked,
    FrontierRow,
    FrontierView,
    PlanFigures,
    VehicleDifference,
    WhatIfRow,
    WhatIfsView,
)
from controller.plan_questions import QuestionFailed, Questions
from controller.plan_questions_wire import Compare, MakeFrontier, Told, What
from controller.plan_words import Names, change_of
from controller.planning import Newest, Planning
from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot.commands import Command
from depot.values import InvalidValue
from optimizer import Frontier, FrontierProgress, Policy, Weights
from optimizer.what_if_changes import in_words
from optimizer.what_if_values import Change, Comparison, Figures

log = logging.getLogger(__name__)

KEPT = 12
"""Answers that are kept."""

WAITING_MOST = 6
"""Questions that wait; more are refused."""

CHANGES_MOST = 8
DIFFERENCES = 50
"""Vehicles of a comparison that are shown."""

STOPPED = "somebody stopped it"
WHAT_IF_S = 30.0
FRONTIER_S = 180.0
STEPS = 5


@dataclass(slots=True)
class _Asked:
    """A question and how far it is. ``newest``: the plan that it is about."""

    question_id: str
    what: What
    newest: Newest
    asked_at: datetime
    deadline_s: float
    words: list[str]
    names: Names
    state: AnswerState = AnswerState.WAITING
    text: str = "waits for its turn"
    progress: FrontierProgress | None = None
    told: Told | None = None
    task: asyncio.Task[Told] | None = field(default=None, repr=False)

    @property
    def under_way(self) -> bool:
        return self.state in (AnswerState.WAITING, AnswerState.RUNNING)


class PlanDesk:
    """One per depot. ``long``: who makes frontiers. ``policy``: what plans are made by now."""

    def __init__(
        self, yard: Yard, planning: Planning, questions: Questions, long: Questions, *, policy: Callable[[], Policy | Weights]
    ) -> None:
        self._yard, self._planning, self._policy = yard, planning, policy
        self._by: dict[type[What], Questions] = {Compare: questions, MakeFrontier: long}
        self._kept: deque[_Asked] = deque()
        self._news: dict[type[What], asyncio.Event] = {kind: asyncio.Event() for kind in self._by}

    # -- Room ---------------------------------------------------------------------------------------------------

    @property
    def commands(self) -> Mapping[type[Command], Carrier]:
        return {}

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {WhatIfsView: self._what_ifs, FrontierView: self._frontier}

    async def run(self) -> None:
        """Answer one question of each kind after the other, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for kind, questions in self._by.items():
                tasks.create_task(self._work(kind, questions), name=f"plan {kind.__name__}")

    async def _work(self, kind: type[What], questions: Questions) -> None:
        while True:
            asked = next((one for one in self._kept if isinstance(one.what, kind) and one.state is AnswerState.WAITING), None)
            if asked is None:
                self._news[kind].clear()
                await self._news[kind].wait()
                continue
            await self._answer(asked, questions)

    async def _answer(self, asked: _Asked, questions: Questions) -> None:
        asked.state, asked.text = AnswerState.RUNNING, "is being computed"

        def progress(told: FrontierProgress) -> None:
            asked.progress = told
            asked.text = told.text

        asked.task = asyncio.create_task(
            questions.ask(
                asked.newest.asked.problem,
                asked.what,
                plan_id=asked.newest.plan_id,
                policy=asked.newest.result.policy,
                zone=self._yard.spec.timezone,
                deadline_s=asked.deadline_s,
                progress=progress,
            ),
            name="plan question",
        )
        try:
            await asyncio.wait([asked.task])
        except asyncio.CancelledError:  # this desk ends
            asked.task.cancel()
            raise
        if asked.task.cancelled():
            asked.state, asked.text = AnswerState.CANCELLED, STOPPED
        elif (error := asked.task.exception()) is None:
            asked.told = asked.task.result()
            asked.state, asked.text = AnswerState.DONE, ""
        else:
            asked.state, asked.text = AnswerState.FAILED, str(error)
            if not isinstance(error, QuestionFailed):
                raise error
            log.warning("a question about the plan was not answered: %s", error)

    # -- asking ---------------------------------------------------------------------------------------------------

    def _ask(self, what: What, words: list[str], deadline_s: float, newest: Newest, names: Names) -> _Asked:
        """Take a question; raises :class:`CoreUnreachable` where too many wait."""
        if sum(one.under_way for one in self._kept) >= WAITING_MOST:
            raise CoreUnreachable(f"{WAITING_MOST} questions about the plan are under way already; wait for one of them")
        now = self._yard.clock.now()
        asked = _Asked(str(uuid7()), what, newest, now, deadline_s, words, names)
        self._kept.append(asked)
        for old in [one for one in self._kept if not one.under_way][: max(0, len(self._kept) - KEPT)]:
            self._kept.remove(old)
        self._news[type(what)].set()
        return asked

    def _about(self) -> Newest:
        """The plan that a question is about; raises :class:`InvalidValue` where there is none."""
        newest = self._planning.newest
        if newest is None:
            raise InvalidValue("there is no plan to ask about yet")
        return newest

    def _is_current(self, asked: _Asked) -> bool:
        return self._planning.newest is not None and asked.newest.plan_id == self._planning.newest.plan_id

    def _stop(self, asked: _Asked) -> None:
        asked.state, asked.text = AnswerState.CANCELLED, STOPPED
        if asked.task is not None:
            asked.task.cancel()

    # -- what if ----------------------------------------------------------------------------------------------------

    async def _what_ifs(self, args: Mapping[str, str]) -> WhatIfsView | None:
        """``changes``: ask (JSON, a list of ChangeAsked), and show that one alone; ``question``: show that one alone, None: forgotten."""
        only = args.get("question", "")
        if "changes" in args:
            only = self._what_if(args["changes"]).question_id
        compares = [one for one in reversed(self._kept) if isinstance(one.what, Compare)]
        if only:
            compares = [one for one in compares if one.question_id == only]
            if not compares:
                return None
        newest, yard = self._planning.newest, self._yard
        names = Names.of(yard, newest.asked) if newest is not None else None
        problem = newest.asked.problem if newest is not None else None
        return WhatIfsView(
            at=yard.clock.now(),
            timezone=yard.spec.timezone,
            currency=self._planning.prices.currency,
            able=newest is not None,
            start=newest.asked.start if newest is not None else None,
            stop=newest.asked.start + newest.asked.slot * problem.n_slots if newest is not None and problem is not None else None,
            feeders=[feeder.feeder_id for feeder in yard.spec.feeders],
            vehicles=sorted(names.vehicles.values()) if names is not None else [],
            rows=[self._what_if_row(one) for one in compares],
        )

    def _what_if(self, text: str) -> _Asked:
        newest = self._about()
        try:
            wanted = msgspec.json.decode(text, type=list[ChangeAsked])
        except msgspec.MsgspecError as error:
            raise InvalidValue(f"the changes can't be read: {error}") from None
        if not 1 <= len(wanted) <= CHANGES_MOST:
            raise InvalidValue(f"{len(wanted)} changes: between 1 and {CHANGES_MOST} can be asked about at once")
        names = Names.of(self._yard, newest.asked)
        changes = tuple(change_of(change, newest.asked, names) for change in wanted)
        words = [names.in_words(self._words(change, newest)) for change in changes]
        return self._ask(Compare(changes), words, WHAT_IF_S, newest, names)

    def _words(self, change: Change, newest: Newest) -> str:
        zone, asked = ZoneInfo(self._yard.spec.timezone), newest.asked
        return in_words(
            change,
            slot_name=lambda k: f"{(asked.start + k * asked.slot).astimezone(zone):%H:%M}",
            currency=asked.problem.currency,
            n_slots=asked.problem.n_slots,
        )

    def _what_if_row(self, asked: _Asked) -> WhatIfRow:
        found = asked.told.comparison if asked.told is not None else None
        names = asked.names
        assert isinstance(asked.what, Compare)
        return WhatIfRow(
            question_id=asked.question_id,
            asked_at=asked.asked_at,
            state=asked.state,
            text=asked.text,
            plan_id=asked.newest.plan_id,
            current=self._is_current(asked),
            changes=asked.words,
            before=None if found is None else _figures(found.before, names),
            after=None if found is None else _figures(found.after, names),
            vehicles=[] if found is None else _differences(found, names),
            differs=0 if found is None else len(found.vehicles),
            solve_s=0.0 if found is None else found.solve_s,
        )

    # -- frontier -----------------------------------------------------------------------------------------------------

    async def _frontier(self, args: Mapping[str, str]) -> FrontierView:
        """``act``: ``start`` (unless one is under way) or ``stop``; else only look."""
        act = args.get("act", "")
        if act not in ("", "start", "stop"):
            raise InvalidValue(f"act is {act!r}: a frontier can be started or stopped")
        asked = self._newest_frontier()
        if act == "stop" and asked is not None and asked.under_way:
            self._stop(asked)
        elif act == "start" and (asked is None or not asked.under_way):
            newest = self._about()
            asked = self._ask(MakeFrontier(STEPS), [], FRONTIER_S, newest, Names.of(self._yard, newest.asked))
        found = asked.told.frontier if asked is not None and asked.told is not None else None
        progress = asked.progress if asked is not None else None
        now = self._policy()
        return FrontierView(
            at=self._yard.clock.now(),
            timezone=self._yard.spec.timezone,
            currency=self._planning.prices.currency,
            able=self._planning.newest is not None,
            state=AnswerState.NONE if asked is None else asked.state,
            text="" if asked is None else asked.text,
            asked_at=None if asked is None else asked.asked_at,
            current=asked is not None and self._is_current(asked),
            done=0 if progress is None else progress.done,
            of=0 if progress is None else progress.of,
            complete=found is not None and found.complete,
            seconds=0.0 if found is None else found.seconds,
            rows=[] if found is None else _frontier_rows(found, now),
        )

    def _newest_frontier(self) -> _Asked | None:
        return next((one for one in reversed(self._kept) if isinstance(one.what, MakeFrontier)), None)


def _figures(found: Figures, names: Names) -> PlanFigures:
    return PlanFigures(
        cost=float(found.cost),
        energy_cost=float(found.energy_cost),
        demand_cost=float(found.demand_cost),
        energy_wh=round(found.energy_kwh * 1000),
        peak_w=round(found.peak_kw * 1000),
        unmet_wh=round(found.unmet_kwh * 1000),
        short=[names.vehicle(one) for one in found.short],
        wear_cost=None if found.wear_cost is None else float(found.wear_cost),
    )


def _differences(found: Comparison, names: Names) -> list[VehicleDifference]:
    def wh(kwh: float | None) -> int | None:
        return None if kwh is None else round(kwh * 1000)

    return [
        VehicleDifference(
            vehicle_id=names.vehicle(one.id),
            unmet_before_wh=wh(one.unmet_before_kwh),
            unmet_after_wh=wh(one.unmet_after_kwh),
            moved_wh=round(one.moved_kwh * 1000),
        )
        for one in found.vehicles[:DIFFERENCES]
    ]


def _frontier_rows(found: Frontier, now: Policy | Weights) -> list[FrontierRow]:
    return [
        FrontierRow(
            aim=point.aim.value,
            step=float(point.step),
            cost=float(point.cost),
            energy_cost=float(point.energy_cost),
            demand_cost=float(point.demand_cost),
            wear_cost=float(point.wear_cost),
            peak_w=round(point.peak_kw * 1000),
            delay_kwh_h=float(point.delay_kwh_h),
            unmet_wh=round(point.unmet_kwh * 1000),
            wear=point.weights.wear,
            delay_per_kwh_h=point.weights.delay_per_kwh_h,
            peak_per_kw=point.weights.peak_per_kw,
            picked=point.weights == (Weights() if now is Policy.CHEAPEST else Weights(wear=1.0) if now is Policy.BATTERY_LIFE else now),
        )
        for point in found.points
    ]
