"""The planner child: ``python -m controller.planner_worker PARENT_PID``. Reads requests, solves, answers, one at a time.

It ends at the end of its input, and the kernel kills it when the core dies in any other way. It is nicer than the core
(+15): a long solve takes no time from the limiter. What libraries print goes to stderr; the answers have the pipe alone.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import BinaryIO

from controller.logs import adopt_libraries, set_up
from controller.planner_wire import HEADER, READY_ID, Answer, frame, read_request
from controller.supervisor import die_with_parent
from optimizer import SolverFailed

NICENESS = 15


def main() -> None:
    """Serve until the input ends. A defect ends the process: the core starts another one."""
    set_up("planner")
    die_with_parent(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the core ends this child in order
    os.nice(NICENESS)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _warm_up()
    adopt_libraries()
    _serve(sys.stdin.buffer, answers)


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    from optimizer import Replanner

    replanner = Replanner()  # one depot's plans: each begins where the last one ended
    _send(answers, Answer(READY_ID))
    while len(header := requests.read(HEADER.size)) == HEADER.size:
        (length,) = HEADER.unpack(header)
        body = requests.read(length)
        if len(body) < length:
            return
        request = read_request(body)
        try:
            result = replanner.plan(request.problem, policy=request.policy, deadline_s=request.deadline_s, round_minimum=True)
        except SolverFailed as error:
            _send(answers, Answer(request.id, failure=str(error)))
        else:
            _send(answers, Answer(request.id, result))


def _send(answers: BinaryIO, answer: Answer) -> None:
    answers.write(frame(answer))
    answers.flush()


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
