"""The questions child: ``python -m controller.plan_questions_worker PARENT_PID``. Answers what people ask of a plan, one question at a
time: why it is so, what a change would do, what else could be picked.

Started when somebody asks, ended by the core when nobody does; nicer than the planner child (+19), so that no question delays a
plan. How it lives and ends: :mod:`controller.pipe_work`.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from controller.logs import adopt_libraries
from controller.pipe_child import READY_ID
from controller.pipe_work import Pipes, begin
from controller.plan_questions_wire import Compare, Explain, MakeFrontier, Question, Told, Why, Words, frame, read_question
from optimizer import FrontierProgress, InvalidProblem, SolverFailed
from optimizer.explain_values import Explanation

NICENESS = 19


def main() -> None:
    """Serve until the input ends. A defect ends the process: the core says so, and starts another one for the next question."""
    pipes = begin("plan questions", NICENESS)
    _load()
    adopt_libraries()
    _serve(pipes)


def _load() -> None:
    """What takes long on a busy machine, before the first question's time counts."""
    from optimizer import explain, explain_cells, pareto, what_if  # noqa: F401


def _serve(pipes: Pipes) -> None:
    desk = _Desk(pipes)
    pipes.send(frame(Told(READY_ID)))
    for body in pipes.bodies():
        question = read_question(body)
        try:
            told = desk.answer(question)
        except (SolverFailed, InvalidProblem) as error:
            told = Told(question.id, failure=str(error))
        pipes.send(frame(told))


class _Desk:
    """Answers; keeps the newest explanation, so that a look at a slot of the same plan solves nothing."""

    def __init__(self, pipes: Pipes) -> None:
        self._pipes = pipes
        self._kept: tuple[str, Explanation] | None = None

    def answer(self, question: Question) -> Told:
        what = question.what
        if isinstance(what, Explain):
            return self._explain(question, deep=what.deep)
        if isinstance(what, Why):
            return self._why(question, what)
        if isinstance(what, Compare):
            return _compare(question, what)
        return self._frontier(question, what)

    def _explain(self, question: Question, *, deep: bool) -> Told:
        from optimizer.baselines import uncontrolled
        from optimizer.explain import QUICK, Depth, explain
        from optimizer.explain_words import milestone_words, relaxed_words, remedy_words, short_words
        from optimizer.what_if import figures_of, wear_cost

        problem, zone = question.problem, ZoneInfo(question.zone)
        found = explain(problem, policy=question.policy, depth=Depth() if deep else QUICK, deadline_s=question.deadline_s)
        self._kept = (question.plan_id, found)
        words = Words(
            short=tuple(short_words(problem, one, zone=zone) for one in found.shortfalls),
            remedies=tuple(tuple(remedy_words(problem, remedy, zone=zone) for remedy in one.remedies) for one in found.shortfalls),
            relaxed=(
                *(milestone_words(problem, missed, zone=zone) for missed in found.milestones),
                *(relaxed_words(problem, one, zone=zone) for one in found.relaxed),
            ),
        )
        at_once = figures_of(problem, uncontrolled(problem))
        return Told(question.id, explanation=found, words=words, wear_cost=wear_cost(problem, found.power_kw), uncontrolled=at_once)

    def _why(self, question: Question, what: Why) -> Told:
        from optimizer.explain_cells import explain_cell

        if self._kept is None or self._kept[0] != question.plan_id:
            self._explain(question, deep=False)
        assert self._kept is not None
        zone, explanation = ZoneInfo(question.zone), self._kept[1]
        reasons = (explain_cell(question.problem, explanation, vehicle=one, slot=what.slot, zone=zone) for one in what.vehicles)
        return Told(question.id, reasons=tuple(reasons))

    def _frontier(self, question: Question, what: MakeFrontier) -> Told:
        from optimizer.pareto import frontier

        def tell(progress: FrontierProgress) -> None:
            self._pipes.send(frame(Told(question.id, progress=progress)))

        found = frontier(question.problem, steps=what.steps, deadline_s=question.deadline_s, progress=tell)
        return Told(question.id, frontier=found)


def _compare(question: Question, what: Compare) -> Told:
    from optimizer.what_if import what_if

    half_s = question.deadline_s / 2  # it solves twice
    found = what_if(question.problem, what.changes, policy=question.policy, deadline_s=half_s, zone=ZoneInfo(question.zone))
    return Told(question.id, comparison=found)


if __name__ == "__main__":
    main()
