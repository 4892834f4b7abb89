"""The core's side of the planner: a child process that may be late, wrong or dead, and never more than that.

    PlannerProcess   keeps one child (``controller.planner_worker``) alive; one request at a time, killed at its deadline
    InlinePlanner    solves in this process and charges the virtual clock a fixed time for it

    PlannerError
    ├── PlannerLate       the deadline is over; the child was killed and is started again
    ├── PlannerDead       the child has died, or does not start; it is tried again after a back-off
    └── PlannerGarbage    an answer that cannot be: wrong shape, not finite, outside of windows or ratings

No solver is loaded here. An answer is checked before it is handed on; the limiter does not trust it all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import sys
from collections.abc import Sequence
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self

import msgspec
import numpy as np

import optimizer
from controller.pipe_child import READY_ID, PipeBroken, PipeChild, PipeOutOfStep
from controller.planner_wire import Answer, Request, frame, read_answer
from depot.ports import Clock
from optimizer import PlanResult, Policy, Problem, SolverFailed, Weights

log = logging.getLogger(__name__)

DEADLINE_S = 10.0
START_S = 120.0
"""What a child gets to load its libraries: it runs at low priority, and a small machine may be busy."""

SLOW_START_S = 20.0
"""A child that is still loading after this is reported as late; it goes on loading."""

GRACE_S = 1.0
"""What a child gets beyond its deadline before it is killed: its solver stops by itself, and says so."""

BACKOFF_FIRST_S = 0.2
BACKOFF_MOST_S = 30.0
INLINE_DEADLINE_S = 60.0
TOLERANCE_KW = 0.01


class PlannerError(Exception):
    """Root of this module's errors; the tree stands above."""


class PlannerLate(PlannerError):
    """The deadline is over."""


class PlannerDead(PlannerError):
    """There is no child that could answer."""


class PlannerGarbage(PlannerError):
    """The answer cannot be."""


class PlannerState(StrEnum):
    """``late``, ``dead``: from the failure until the next good answer."""

    RUNNING = "running"
    LATE = "late"
    DEAD = "dead"
    OFF = "off"


class Planner(Protocol):
    """Problem in, plan out; raises :class:`PlannerError`. ``text`` explains ``state`` to people."""

    @property
    def state(self) -> PlannerState: ...
    @property
    def text(self) -> str: ...
    async def solve(self, problem: Problem, *, policy: Policy | Weights) -> PlanResult: ...


class InlinePlanner:
    """Solves at once, on the loop, and then lets ``charge_s`` of the clock pass: deterministic, for the virtual clock. Begins each plan
    where the last one ended, as the child does."""

    def __init__(self, clock: Clock, charge_s: float = 2.0) -> None:
        self._clock = clock
        self._charge_s = charge_s
        self._replanner: optimizer.Replanner | None = None  # it loads the solver
        self.state = PlannerState.RUNNING
        self.text = "solves in process"

    async def solve(self, problem: Problem, *, policy: Policy | Weights) -> PlanResult:
        """The plan; :class:`PlannerLate` where the solver gives up."""
        self._replanner = self._replanner or optimizer.Replanner()
        try:
            result = self._replanner.plan(problem, policy=policy, deadline_s=INLINE_DEADLINE_S, round_minimum=True)
        except SolverFailed as error:
            self.state, self.text = PlannerState.LATE, str(error)
            raise PlannerLate(str(error)) from error
        finally:
            await self._clock.sleep(self._charge_s)
        self.state, self.text = PlannerState.RUNNING, "solves in process"
        return result


class PlannerProcess:
    """One child, from ``async with`` to its end. ``command`` is what runs in it (its parent's id is appended).

    ``deadline_s`` holds from the request on; a child that is still starting is waited for, up to ``start_s``. A child
    that has died is started again after a jittered back-off that grows until one answers.
    """

    def __init__(
        self,
        *,
        deadline_s: float = DEADLINE_S,
        start_s: float = START_S,
        slow_start_s: float = SLOW_START_S,
        grace_s: float = GRACE_S,
        command: Sequence[str] = (sys.executable, "-m", "controller.planner_worker"),
        chance: random.Random | None = None,
    ) -> None:
        self.state = PlannerState.OFF
        self.text = "the planner is off"
        self._deadline_s = deadline_s
        self._start_s = start_s
        self._slow_start_s = slow_start_s
        self._grace_s = grace_s
        self._command = tuple(command)
        self._chance = chance or random.Random()  # noqa: S311  # jitter, no secret
        self._child: PipeChild | None = None
        self._ready = asyncio.Event()
        self._turn = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None
        self._failures = 0
        self._killed = False
        self._last_id = READY_ID

    async def __aenter__(self) -> Self:
        self.state, self.text = PlannerState.RUNNING, "the planner starts"
        self._keeper = asyncio.create_task(self._keep(), name="planner-keeper")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        self.state, self.text = PlannerState.OFF, "the planner is off"

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is one."""
        return self._child.pid if self._child is not None and self._child.alive else None

    async def solve(self, problem: Problem, *, policy: Policy | Weights) -> PlanResult:
        """The child's plan, checked. One request at a time: others wait for their turn."""
        if self._keeper is None:
            raise PlannerDead("the planner is off: it solves inside of its 'async with' only")
        async with self._turn:
            child = await self._warm_child()
            try:
                answer = await self._ask(child, problem, policy)
                if answer.result is None:
                    raise PlannerLate(answer.failure)
                check_result(problem, answer.result)
            except PlannerError as error:
                self._failed(error)
                raise
            except asyncio.CancelledError:
                self._kill(child)  # its answer would come when nobody reads it
                raise
            self._failures = 0
            self.state, self.text = PlannerState.RUNNING, f"last plan solved in {answer.result.total_s:.2f} s"
            return answer.result

    async def _warm_child(self) -> PipeChild:
        try:
            async with asyncio.timeout(self._start_s):
                while not self._ready.is_set() or self._child is None or not self._child.alive:
                    self._ready.clear()
                    await self._ready.wait()
        except TimeoutError:
            error = PlannerDead(f"the planner's process was not up within {self._start_s:g} s")
            self._failed(error)
            raise error from None
        return self._child

    async def _ask(self, child: PipeChild, problem: Problem, policy: Policy | Weights) -> Answer:
        self._last_id += 1
        try:
            async with asyncio.timeout(self._deadline_s + self._grace_s):
                await child.write(frame(Request(self._last_id, problem, policy, self._deadline_s)))
                answer = await _read(child)
            if answer.id != self._last_id:
                raise PlannerGarbage(f"an answer to request {answer.id} instead of {self._last_id}")
        except PipeBroken as error:
            raise PlannerDead(f"the planner's process {error}; it starts again") from None
        except TimeoutError:
            self._kill(child)
            raise PlannerLate(f"no plan within {self._deadline_s:g} s; the planner's process was killed and starts again") from None
        except PlannerGarbage:
            self._kill(child)  # out of step: nothing that it says can be told from the rest any more
            raise
        return answer

    def _failed(self, error: PlannerError) -> None:
        self.state = PlannerState.LATE if isinstance(error, PlannerLate) else PlannerState.DEAD
        self.text = str(error)

    def _kill(self, child: PipeChild) -> None:
        if child is self._child:
            self._ready.clear()
            self._killed = True
        child.kill()

    async def _keep(self) -> None:
        """Own the child: start it, wait for its end, start it again."""
        while True:
            try:
                await self._live()
            finally:
                await self._bury()
            if not self._killed:  # by itself; one that we killed for being late has no reason to wait
                self._failures += 1
            self._killed = False
            most = min(BACKOFF_FIRST_S * 2 ** min(self._failures, 16), BACKOFF_MOST_S) if self._failures else 0.0
            await asyncio.sleep(most * self._chance.uniform(0.5, 1.0))

    async def _live(self) -> None:
        try:
            self._child = child = await PipeChild.start(self._command)
        except OSError as error:
            self._died(f"the planner's process can't be started: {error}")
            return
        slow = asyncio.get_running_loop().call_later(self._slow_start_s, self._starts_slowly)
        try:
            async with asyncio.timeout(self._start_s):
                if (await _read(child)).id != READY_ID:
                    raise PlannerGarbage("an answer before the first question")
        except PipeBroken as error:
            self._died(f"the planner's process did not come up: it {error}")
            return
        except (PlannerGarbage, TimeoutError) as error:
            self._died(f"the planner's process did not come up: {str(error) or f'nothing heard in {self._start_s:g} s'}")
            return
        finally:
            slow.cancel()
        self._ready.set()
        if self.state is PlannerState.RUNNING:
            self.text = "the planner is ready"
        ending = await child.ended()
        if not self._killed:
            self._died(f"the planner's process {ending}; it starts again")

    def _starts_slowly(self) -> None:
        if self.state is PlannerState.RUNNING:
            self.state, self.text = PlannerState.LATE, f"the planner's process is still loading after {self._slow_start_s:g} s"
            log.warning("%s", self.text)

    def _died(self, text: str) -> None:
        if self.state is not PlannerState.DEAD:
            log.error("%s", text)
        self.state, self.text = PlannerState.DEAD, text

    async def _bury(self) -> None:
        """End the child, whatever it does, and release its pipes."""
        self._ready.clear()
        child, self._child = self._child, None
        if child is not None:
            await child.bury()


async def _read(child: PipeChild) -> Answer:
    try:
        return read_answer(await child.read())
    except PipeOutOfStep as error:
        raise PlannerGarbage(f"the planner's process {error}") from None
    except msgspec.MsgspecError as error:
        raise PlannerGarbage(f"no answer but {error}") from None


def check_result(problem: Problem, result: PlanResult) -> None:
    """Raise :class:`PlannerGarbage` unless ``result`` can be an answer to ``problem``."""
    shapes = {
        "storage_kw": (len(problem.storages), problem.n_slots),
        "power_kw": (len(problem.vehicles), problem.n_slots),
        "site_kw": (problem.n_slots,),
        "unmet_kwh": (len(problem.vehicles),),
        "over_limit_kw": (problem.n_slots,),
    }
    for name, shape in shapes.items():
        array = getattr(result, name)
        if array.size == 0 == np.prod(shape):
            continue
        if array.shape != shape:
            raise PlannerGarbage(f"{name} is {array.shape}, the problem has {shape}")
        if not np.isfinite(array).all():
            raise PlannerGarbage(f"{name} is not finite")
    if not np.isfinite([result.energy_cost, result.demand_cost, result.peak_kw]).all():
        raise PlannerGarbage("cost or peak is not finite")
    _check_storages(problem, result)
    if not problem.vehicles:
        return
    if (result.power_kw < -problem.discharge_upper_kw - TOLERANCE_KW).any() or (result.power_kw > problem.upper_kw + TOLERANCE_KW).any():
        raise PlannerGarbage("a power is outside of its vehicle's window or rating")
    stored = result.storage_kw.sum(axis=0) if problem.storages else 0.0
    if (np.abs(result.power_kw.sum(axis=0) + stored + problem.background_kw - result.site_kw) > TOLERANCE_KW).any():
        raise PlannerGarbage("the site's power is not the sum of its parts")
    if (result.unmet_kwh < 0).any():
        raise PlannerGarbage("unmet energy is negative")


def _check_storages(problem: Problem, result: PlanResult) -> None:
    for storage, row in zip(problem.storages, result.storage_kw if problem.storages else (), strict=True):
        if row.min() < -storage.discharge_kw - TOLERANCE_KW or row.max() > storage.charge_kw + TOLERANCE_KW:
            raise PlannerGarbage(f"battery {storage.id}: a power is outside of its rating")
