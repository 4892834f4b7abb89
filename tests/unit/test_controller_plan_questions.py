"""Questions about a plan from the core's side: each with a real process, which may hang, die, or talk nonsense."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from controller.pipe_child import HEADER
from controller.plan_questions import QuestionFailed, Questions
from controller.plan_questions_wire import Compare, Explain, MakeFrontier, Question, Told, What, Why, frame, read_question, read_told
from optimizer import Feeder, FrontierProgress, Policy, Problem, Vehicle, Weights
from optimizer.what_if_values import Change, ChangeKind

pytestmark = pytest.mark.anyio
T0 = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


def problem() -> Problem:
    """Two vehicles behind a feeder that is too small for both in the cheap hour."""
    stays = tuple(
        Vehicle(id=f"visit {name}", arrival_slot=0, departure_slot=8, energy_kwh=20.0, p_max_kw=20.0, feeder=0) for name in ("A", "B")
    )
    return Problem(
        t0=T0, n_slots=8, slot_minutes=15, price_per_kwh=np.array([9.0] * 4 + [5.0] * 4), site_limit_kw=np.full(8, 50.0),
        background_kw=np.zeros(8), vehicles=stays, feeders=(Feeder("F", np.full(8, 30.0)),), currency="INR",
    )  # fmt: skip


async def ask(questions: Questions, what: What, **more: object) -> Told:
    wanted = {"plan_id": "p", "policy": Policy.CHEAPEST, "zone": "Asia/Kolkata", "deadline_s": 60.0} | more
    return await questions.ask(problem(), what, **wanted)  # type: ignore[arg-type]  # as the test says


def child(tmp_path: Path, body: str) -> tuple[str, ...]:
    """A child that says it is ready, and then does ``body`` with every question."""
    script = tmp_path / "child.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, sys, time
            from controller.pipe_child import HEADER
            from controller.plan_questions_wire import Told, frame, read_question
            from optimizer import FrontierProgress
            def say(told): sys.stdout.buffer.write(frame(told)); sys.stdout.buffer.flush()
            say(Told(0))
            while header := sys.stdin.buffer.read(4):
                question = read_question(sys.stdin.buffer.read(HEADER.unpack(header)[0]))
            """
        )
        + textwrap.indent(textwrap.dedent(body), "    ")
    )
    return (sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); exec(open({str(script)!r}).read())")


def test_a_question_comes_through_the_pipe_as_it_went_in() -> None:
    for what in (Explain(True), Why(3, (0, 1)), Compare((Change(ChangeKind.LIMIT, -20.0),)), MakeFrontier(5)):
        for policy in (Policy.READINESS, Weights(wear=0.5)):
            sent = Question(7, "plan", problem(), policy, what, "Asia/Kolkata", 9.0)
            data = frame(sent)
            found = read_question(data[HEADER.size :])
            assert (found.what, found.policy, found.plan_id) == (what, policy, "plan")
            assert (found.problem.price_per_kwh == sent.problem.price_per_kwh).all()
    told = read_told(frame(Told(7, progress=FrontierProgress(1, 4, "less wear")))[HEADER.size :])
    assert told.progress == FrontierProgress(1, 4, "less wear")


@pytest.mark.timeout(240)
async def test_the_real_child_explains_looks_into_a_slot_and_compares() -> None:
    async with Questions() as questions:
        found = await ask(questions, Explain(False))
        assert found.explanation is not None
        assert found.words is not None
        feeder = next(limit for limit in found.explanation.limits if limit.id == "F")
        assert feeder.saved_bill[-4:].max() == pytest.approx(1.0, rel=0.01)  # 4 rupees a kWh for a quarter
        assert found.uncontrolled is not None
        assert found.uncontrolled.energy_cost == pytest.approx(40 * 9.0)  # both at once, in the dear hour
        assert (found.uncontrolled.peak_kw, found.uncontrolled.unmet_kwh) == (pytest.approx(40), 0)
        assert found.wear_cost is None  # no battery has a price
        pid = questions.pid
        why = await ask(questions, Why(5, (1, 0)))
        assert [reason.id for reason in why.reasons] == ["visit B", "visit A"]
        assert "23:15" in why.reasons[0].words  # by the depot's clock
        compared = await ask(questions, Compare((Change(ChangeKind.FEEDER, 20.0, target="F"),)))
        assert compared.comparison is not None
        assert compared.comparison.after.cost < compared.comparison.before.cost
        with pytest.raises(QuestionFailed, match="there is no feeder"):
            await ask(questions, Compare((Change(ChangeKind.FEEDER, 20.0, target="G"),)))
        assert questions.pid == pid


async def test_progress_is_told_before_the_answer(tmp_path: Path) -> None:
    body = """
        for n in range(3):
            say(Told(question.id, progress=FrontierProgress(n, 3, "a plan")))
        say(Told(question.id, failure="that was all"))
    """
    seen: list[int] = []
    async with Questions(command=child(tmp_path, body)) as questions:
        with pytest.raises(QuestionFailed, match="that was all"):
            await ask(questions, MakeFrontier(3), progress=lambda told: seen.append(told.done))
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("time.sleep(60)", "no answer within 0.3 s"),
        ("os._exit(3)", "ended with code 3"),
        ("os.kill(os.getpid(), 9)", "killed by signal 9"),
        ("sys.stdout.buffer.write(b'\\0\\0\\0\\4nope'); sys.stdout.buffer.flush(); time.sleep(60)", "no answer but"),
        ("sys.stdout.buffer.write(b'\\xff\\xff\\xff\\xff'); sys.stdout.buffer.flush(); time.sleep(60)", "at most"),
        ("say(Told(question.id + 1))", "instead of"),
    ],
)
async def test_a_child_that_fails_is_told_of_and_the_next_question_has_another(tmp_path: Path, body: str, words: str) -> None:
    async with Questions(command=child(tmp_path, body), grace_s=0.0) as questions:
        with pytest.raises(QuestionFailed, match=words):
            await ask(questions, Explain(False), deadline_s=0.3 if "0.3" in words else 60.0)
        assert questions.pid is None
        questions._command = child(tmp_path, "say(Told(question.id))")
        assert (await ask(questions, Explain(False))).failure == ""


async def test_a_command_that_is_none_is_told_of() -> None:
    async with Questions(command=("/nowhere/python",)) as questions:
        with pytest.raises(QuestionFailed, match="can't be started"):
            await ask(questions, Explain(False))


async def test_who_does_not_want_an_answer_any_more_ends_the_child(tmp_path: Path) -> None:
    async with Questions(command=child(tmp_path, "time.sleep(60)")) as questions:
        asking = asyncio.create_task(ask(questions, Explain(False)))
        async with asyncio.timeout(60):
            while questions.pid is None:  # noqa: ASYNC110  # processes start when they start: there is no event to wait for
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert questions.pid is None


async def test_a_child_that_nobody_asks_ends_by_itself(tmp_path: Path) -> None:
    async with Questions(command=child(tmp_path, "say(Told(question.id))"), idle_s=0.1) as questions:
        await ask(questions, Explain(False))
        await asyncio.sleep(0.3)
        assert questions.pid is None
        await ask(questions, Explain(False))
        assert questions.pid is not None
