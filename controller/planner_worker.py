"""The planner child: ``python -m controller.planner_worker PARENT_PID``. Reads requests, solves, answers, one at a time.

It is nicer than the core (+15): a long solve takes no time from the limiter. How it lives and ends: :mod:`controller.pipe_work`.
"""

from __future__ import annotations

import gc

from controller.logs import adopt_libraries
from controller.pipe_child import READY_ID
from controller.pipe_work import Pipes, begin
from controller.planner_wire import Answer, frame, read_request
from optimizer import SolverFailed

NICENESS = 15


def main() -> None:
    """Serve until the input ends. A defect ends the process: the core starts another one."""
    pipes = begin("planner", NICENESS)
    _warm_up()
    adopt_libraries()
    _serve(pipes)


def _serve(pipes: Pipes) -> None:
    from optimizer import Replanner

    replanner = Replanner()  # one depot's plans: each begins where the last one ended
    pipes.send(frame(Answer(READY_ID)))
    for body in pipes.bodies():
        request = read_request(body)
        try:
            result = replanner.plan(request.problem, policy=request.policy, deadline_s=request.deadline_s, round_minimum=True)
        except SolverFailed as error:
            pipes.send(frame(Answer(request.id, failure=str(error))))
        else:
            pipes.send(frame(Answer(request.id, result)))


def _warm_up() -> None:
    """Load SciPy and HiGHS, and let them build what they build at first use."""
    from datetime import UTC, datetime

    import numpy as np

    from optimizer import Problem, Vehicle, plan

    one = np.ones(2)
    vehicle = Vehicle(id="warm-up", arrival_slot=0, departure_slot=2, energy_kwh=1.0, p_max_kw=8.0, p_min_kw=4.0)
    plan(
        Problem(
            t0=datetime(2000, 1, 1, tzinfo=UTC),
            n_slots=2,
            slot_minutes=15,
            price_per_kwh=one,
            site_limit_kw=9 * one,
            background_kw=one,
            vehicles=(vehicle,),
            demand_charge_per_kw=1.0,
        ),
        round_minimum=True,
    )
    gc.collect()
    gc.freeze()  # the libraries' own objects live for ever: no collection needs to look at them again


if __name__ == "__main__":
    main()
