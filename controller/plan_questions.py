"""The core's side of the questions child: a process that is there while people ask, and never in a plan's way.

    ask() --Question--> child (started on demand, niced, one question at a time) --Told: progress ... result--> ask()

A question that takes longer than its deadline, or that nobody wants any more, ends the child; the next question starts another
one. The planner's child (:mod:`controller.planner`) knows nothing of it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import msgspec

from controller.pipe_child import READY_ID, PipeBroken, PipeChild
from controller.plan_questions_wire import Question, Told, What, frame, read_told
from optimizer import FrontierProgress, Policy, Problem, Weights

START_S = 120.0
"""What the child gets to load its libraries: it runs at low priority, and a small machine may be busy."""

GRACE_S = 3.0
"""Beyond a question's deadline, before the child is killed: its solver stops by itself, and says so."""

IDLE_S = 90.0
"""A child that nobody asked anything for so long is ended; its libraries take memory."""


class QuestionFailed(Exception):
    """There is no answer; the message says why, for people."""


class Questions:
    """One child at most. ``command`` is what runs in it (its parent's id is appended)."""

    def __init__(
        self,
        *,
        command: Sequence[str] = (sys.executable, "-m", "controller.plan_questions_worker"),
        start_s: float = START_S,
        grace_s: float = GRACE_S,
        idle_s: float = IDLE_S,
    ) -> None:
        self._command = tuple(command)
        self._start_s, self._grace_s, self._idle_s = start_s, grace_s, idle_s
        self._child: PipeChild | None = None
        self._turn = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None
        self._last_id = READY_ID

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._bury()

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is one."""
        return self._child.pid if self._child is not None and self._child.alive else None

    async def ask(
        self,
        problem: Problem,
        what: What,
        *,
        plan_id: str,
        policy: Policy | Weights,
        zone: str,
        deadline_s: float,
        progress: Callable[[FrontierProgress], None] = lambda _: None,
    ) -> Told:
        """The answer. Questions wait for their turn; ``deadline_s`` counts from then on. Raises :class:`QuestionFailed`; a cancellation
        ends the child."""
        async with self._turn:
            self._wake()
            done = False
            try:
                child = await self._running()
                self._last_id += 1
                told = await self._told(child, Question(self._last_id, plan_id, problem, policy, what, zone, deadline_s), progress)
                done = True
            finally:
                if not done:
                    await self._bury()  # out of step, hung, or still busy with what nobody waits for
            self._idle = asyncio.get_running_loop().call_later(self._idle_s, self._sleep)
            if told.failure:
                raise QuestionFailed(told.failure)
            return told

    async def _told(self, child: PipeChild, question: Question, progress: Callable[[FrontierProgress], None]) -> Told:
        data = await asyncio.to_thread(frame, question)  # some hundred thousand numbers: not on the loop
        try:
            async with asyncio.timeout(question.deadline_s + self._grace_s):
                await child.write(data)
                while True:
                    told = await _read(child)
                    if told.id != question.id:
                        raise QuestionFailed(f"an answer to question {told.id} instead of {question.id}")
                    if told.progress is None:
                        return told
                    progress(told.progress)
        except PipeBroken as error:
            raise QuestionFailed(f"the process for questions {error}") from None
        except TimeoutError:
            late = f"no answer within {question.deadline_s:g} s: the machine is too busy, or the depot too large for the question"
            raise QuestionFailed(late) from None

    async def _running(self) -> PipeChild:
        if self._child is not None and self._child.alive:
            return self._child
        await self._bury()
        try:
            self._child = child = await PipeChild.start(self._command)
        except OSError as error:
            raise QuestionFailed(f"the process for questions can't be started: {error}") from None
        try:
            async with asyncio.timeout(self._start_s):
                if (await _read(child)).id != READY_ID:
                    raise QuestionFailed("the process for questions answered before it was asked")
        except PipeBroken as error:
            raise QuestionFailed(f"the process for questions {error}") from None
        except TimeoutError:
            raise QuestionFailed(f"the process for questions was not up within {self._start_s:g} s") from None
        return child

    def _wake(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _sleep(self) -> None:
        """Nobody asks: let the child end by itself, at the end of its input."""
        child, self._child = self._child, None
        if child is not None:
            child.close()

    async def _bury(self) -> None:
        """End the child, whatever it does, and release its pipes."""
        self._wake()
        child, self._child = self._child, None
        if child is not None:
            await child.bury()


async def _read(child: PipeChild) -> Told:
    try:
        return await asyncio.to_thread(read_told, await child.read())
    except msgspec.MsgspecError as error:
        raise QuestionFailed(f"no answer but {error}") from None
