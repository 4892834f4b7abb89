"""The planner child from the core's side: late, dead, wrong, gone with its core; each time with a real process."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.clock import VirtualClock, run_virtual
from controller.planner import (
    InlinePlanner,
    PlannerDead,
    PlannerGarbage,
    PlannerLate,
    PlannerProcess,
    PlannerState,
    check_result,
)
from optimizer import Policy, Problem, Vehicle, plan, planning

T0 = datetime(2026, 1, 12, 18, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


def problem() -> Problem:
    vehicle = Vehicle(id="v", arrival_slot=0, departure_slot=4, energy_kwh=5.0, p_max_kw=20.0)
    return Problem(
        t0=T0,
        n_slots=4,
        slot_minutes=15,
        price_per_kwh=np.array([3.0, 2.0, 1.0, 4.0]),
        site_limit_kw=np.full(4, 50.0),
        background_kw=np.zeros(4),
        vehicles=(vehicle,),
    )


def worker(tmp_path: Path, body: str) -> tuple[str, ...]:
    """A child that says it is ready, and then does ``body`` with every request."""
    script = tmp_path / "worker.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, sys, time
            from controller.pipe_child import HEADER
            from controller.planner_wire import Answer, frame, read_request
            import numpy as np
            from optimizer import PlanResult, PlanStatus
            def say(answer): sys.stdout.buffer.write(frame(answer)); sys.stdout.buffer.flush()
            def flat(request, kw=5.0):  # what the problem of these tests needs, at one level
                none = np.zeros(4)
                power = np.full((1, 4), kw)
                return PlanResult(power, power[0], none[:1], none, 2.5 * kw, 0.0, kw, PlanStatus.OPTIMAL, request.policy)
            say(Answer(0))
            while header := sys.stdin.buffer.read(4):
                request = read_request(sys.stdin.buffer.read(HEADER.unpack(header)[0]))
            """
        )
        + textwrap.indent(textwrap.dedent(body), "    ")
    )
    return (sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); exec(open({str(script)!r}).read())")


async def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  # processes end when they end: there is no event to wait for
            await asyncio.sleep(0.02)


async def until_ready(planner: PlannerProcess) -> None:
    await until(lambda: planner.text == "the planner is ready")


def gone(pid: int) -> bool:
    """No such process, or nothing of it but an entry that its reaper has not read yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.anyio
async def test_the_real_child_plans_again_and_again() -> None:
    async with PlannerProcess() as planner:
        results = await asyncio.gather(*(planner.solve(problem(), policy=policy) for policy in Policy))  # they take turns
        assert [result.policy for result in results] == list(Policy)
        cheapest = await planner.solve(problem(), policy=Policy.CHEAPEST)
        assert cheapest.power_kw[0] == pytest.approx([0, 0, 20, 0])
        assert cheapest.cost == pytest.approx(5.0)
        assert planner.state is PlannerState.RUNNING
        pid = planner.pid
        assert pid is not None
        assert os.getpriority(os.PRIO_PROCESS, pid) >= 5
    assert planner.state is PlannerState.OFF
    assert gone(pid)


@pytest.mark.anyio
async def test_a_hung_child_is_killed_at_the_deadline_and_replaced(tmp_path: Path) -> None:
    command = worker(tmp_path, "time.sleep(3600)")
    async with PlannerProcess(deadline_s=0.2, grace_s=0.2, command=command) as planner:
        await until_ready(planner)
        first = planner.pid
        assert first is not None
        with pytest.raises(PlannerLate, match=r"within 0\.2 s"):
            await planner.solve(problem(), policy=Policy.CHEAPEST)
        assert planner.state is PlannerState.LATE
        await until(lambda: gone(first))
        await until(lambda: planner.pid not in (None, first))
        with pytest.raises(PlannerLate):
            await planner.solve(problem(), policy=Policy.CHEAPEST)


def large(vehicles: int = 400) -> Problem:
    """A night that takes a while."""
    rng = random.Random(1)
    rows = [
        Vehicle(f"v{n}", rng.randint(0, 20), rng.randint(60, 96), energy_kwh=rng.uniform(50, 300), p_max_kw=100.0, eff=0.9)
        for n in range(vehicles)
    ]
    return Problem(
        t0=T0,
        n_slots=96,
        slot_minutes=15,
        price_per_kwh=np.array([rng.uniform(0.1, 0.3) for _ in range(96)]),
        site_limit_kw=12.0 * vehicles,
        background_kw=0.0,
        vehicles=tuple(rows),
        demand_charge_per_kw=1.0,
    )


@pytest.mark.anyio
@pytest.mark.parametrize(("end", "error"), [(signal.SIGSTOP, PlannerLate), (signal.SIGKILL, PlannerDead)])
async def test_a_solver_hung_or_killed_in_the_middle_is_told_by_the_deadline_and_replaced(
    end: signal.Signals, error: type[Exception]
) -> None:
    async with PlannerProcess(deadline_s=3.0, grace_s=0.5, chance=random.Random(1)) as planner:
        await until(lambda: planner.text == "the planner is ready", 90)  # the real one: it loads its libraries
        first = planner.pid
        assert first is not None
        began = asyncio.get_running_loop().time()
        asked = asyncio.create_task(planner.solve(large(), policy=Policy.CHEAPEST))
        await asyncio.sleep(0.05)
        os.kill(first, end)
        with pytest.raises(error):
            await asked
        assert asyncio.get_running_loop().time() - began < 6.0
        await until(lambda: planner.pid not in (None, first), 90)
        assert (await planner.solve(problem(), policy=Policy.CHEAPEST)).cost == pytest.approx(5.0)


@pytest.mark.anyio
async def test_a_solver_that_gives_up_is_late_and_stays(tmp_path: Path) -> None:
    async with PlannerProcess(command=worker(tmp_path, "say(Answer(request.id, failure='no plan within 3.0 s'))")) as planner:
        await until_ready(planner)
        pid = planner.pid
        with pytest.raises(PlannerLate, match=r"no plan within 3\.0 s"):
            await planner.solve(problem(), policy=Policy.CHEAPEST)
        assert planner.state is PlannerState.LATE
        assert planner.pid == pid


@pytest.mark.anyio
async def test_an_aborting_child_is_dead_then_replaced(tmp_path: Path) -> None:
    crumb = tmp_path / "died_once"
    body = f"""
    if not os.path.exists({str(crumb)!r}):
        open({str(crumb)!r}, "w").close()
        os.abort()
    say(Answer(request.id, flat(request)))
    """
    async with PlannerProcess(command=worker(tmp_path, body), chance=random.Random(1)) as planner:
        with pytest.raises(PlannerDead, match=f"signal {signal.SIGABRT.value}"):
            await planner.solve(problem(), policy=Policy.CHEAPEST)
        assert planner.state is PlannerState.DEAD
        result = await planner.solve(problem(), policy=Policy.CHEAPEST)
        assert result.power_kw[0] == pytest.approx(5)
        assert planner.state is PlannerState.RUNNING


@pytest.mark.anyio
async def test_a_killed_idle_child_is_noticed_and_replaced(tmp_path: Path) -> None:
    async with PlannerProcess(command=worker(tmp_path, "say(Answer(request.id, flat(request)))"), chance=random.Random(1)) as planner:
        await until_ready(planner)
        pid = planner.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: planner.state is PlannerState.DEAD)
        assert "killed by signal 9" in planner.text
        await planner.solve(problem(), policy=Policy.CHEAPEST)
        assert planner.state is PlannerState.RUNNING


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("sys.stdout.write('Traceback: no frame at all' * 9); sys.stdout.flush()", "frame of"),
        ("sys.stdout.buffer.write(HEADER.pack(9) + b'not JSON.'); sys.stdout.flush()", "no answer"),
        ('sys.stdout.buffer.write(HEADER.pack(25) + b\'{"id": 1, "result": [1,2]}\'); sys.stdout.flush()', "no answer"),
        ("say(Answer(request.id + 1))", "instead of"),
    ],
)
async def test_garbage_is_refused_and_its_speaker_replaced(tmp_path: Path, body: str, words: str) -> None:
    async with PlannerProcess(deadline_s=5, command=worker(tmp_path, body)) as planner:
        await until_ready(planner)
        first = planner.pid
        with pytest.raises(PlannerGarbage, match=words):
            await planner.solve(problem(), policy=Policy.CHEAPEST)
        assert planner.state is PlannerState.DEAD
        await until(lambda: planner.pid not in (None, first))


@pytest.mark.anyio
async def test_a_plan_above_the_rating_is_garbage(tmp_path: Path) -> None:
    async with PlannerProcess(command=worker(tmp_path, "say(Answer(request.id, flat(request, kw=25.0)))")) as planner:
        with pytest.raises(PlannerGarbage, match="window or rating"):
            await planner.solve(problem(), policy=Policy.CHEAPEST)


@pytest.mark.anyio
@pytest.mark.parametrize("command", [("/nonexistent/python",), (sys.executable, "-c", "raise SystemExit(3)")])
async def test_a_child_that_never_comes_up_is_dead(command: tuple[str, ...]) -> None:
    async with PlannerProcess(start_s=1.0, command=command) as planner:
        with pytest.raises(PlannerDead, match="not up"):
            await planner.solve(problem(), policy=Policy.CHEAPEST)
        assert planner.state is PlannerState.DEAD


@pytest.mark.anyio
async def test_a_child_that_loads_slowly_is_late_until_it_answers(tmp_path: Path) -> None:
    slow = worker(tmp_path, "say(Answer(request.id, flat(request)))")
    late = (slow[0], slow[1], f"import time; time.sleep(1.5); {slow[2]}")
    async with PlannerProcess(slow_start_s=0.2, command=late) as planner:
        await until(lambda: planner.state is PlannerState.LATE)
        assert "still loading" in planner.text
        await planner.solve(problem(), policy=Policy.CHEAPEST)
        assert planner.state is PlannerState.RUNNING


@pytest.mark.anyio
async def test_a_cancelled_request_leaves_no_stale_answer(tmp_path: Path) -> None:
    body = """
    time.sleep(0.5 if request.policy == "readiness" else 0)
    say(Answer(request.id, flat(request)))
    """
    async with PlannerProcess(command=worker(tmp_path, body)) as planner:
        await until_ready(planner)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await planner.solve(problem(), policy=Policy.READINESS)
        result = await planner.solve(problem(), policy=Policy.CHEAPEST)
        assert result.policy is Policy.CHEAPEST


@pytest.mark.anyio
async def test_outside_of_its_lifetime_it_is_off() -> None:
    planner = PlannerProcess()
    assert planner.state is PlannerState.OFF
    with pytest.raises(PlannerDead, match="off"):
        await planner.solve(problem(), policy=Policy.CHEAPEST)


@pytest.mark.anyio
async def test_the_child_does_not_outlive_a_killed_core() -> None:
    core = """
    import asyncio, sys
    from controller.planner import PlannerProcess
    async def main():
        async with PlannerProcess() as planner:
            while planner.text != "the planner is ready":
                await asyncio.sleep(0.02)
            print(planner.pid, flush=True)
            await asyncio.sleep(3600)
    asyncio.run(main())
    """
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", textwrap.dedent(core), stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    child = int(await process.stdout.readline())
    assert not gone(child)
    process.kill()
    await process.wait()
    await until(lambda: gone(child), 5)


def test_the_inline_planner_charges_the_virtual_clock() -> None:
    async def main(clock: VirtualClock) -> float:
        planner = InlinePlanner(clock, charge_s=2.0)
        began = clock.monotonic()
        assert (await planner.solve(problem(), policy=Policy.CHEAPEST)).cost == pytest.approx(5.0)
        assert planner.state is PlannerState.RUNNING
        return clock.monotonic() - began

    assert run_virtual(main, start=T0) == pytest.approx(2.0)


def test_the_inline_planner_begins_where_its_last_plan_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[bool] = []
    solver = planning.Solver

    def noted(*what: Any, start: Any = None, **others: Any) -> Any:
        begun.append(start is not None)
        return solver(*what, start=start, **others)

    monkeypatch.setattr(planning, "Solver", noted)

    async def main(clock: VirtualClock) -> None:
        planner = InlinePlanner(clock, charge_s=0.0)
        for _ in range(2):
            assert (await planner.solve(problem(), policy=Policy.CHEAPEST)).cost == pytest.approx(5.0)

    run_virtual(main, start=T0)
    assert begun == [False, True]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"power_kw": np.zeros((2, 4))}, "power_kw is"),
        ({"power_kw": np.full((1, 4), np.nan)}, "power_kw is not finite"),
        ({"power_kw": np.full((1, 4), -1.0)}, "window or rating"),
        ({"site_kw": np.full(4, 9.0)}, "sum of its parts"),
        ({"unmet_kwh": np.array([-1.0])}, "unmet"),
        ({"energy_cost": float("inf")}, "cost or peak"),
    ],
)
def test_answers_are_checked(changes: dict[str, object], words: str) -> None:
    result = plan(problem())
    check_result(problem(), result)
    with pytest.raises(PlannerGarbage, match=words):
        check_result(problem(), replace(result, **changes))  # type: ignore[arg-type]  # wrong on purpose
