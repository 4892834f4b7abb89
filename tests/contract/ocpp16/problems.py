"""The twenty problems that users of every central system have with real chargers: what this one does, and the tests that
name them (``test_problem_07_…``), wherever they stand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parents[2]
_NAME = re.compile(r"test_problem_((?:\d\d_)+)")


class Problem(NamedTuple):
    """``behaviour``: what happens here."""

    problem: str
    behaviour: str


PROBLEMS = {
    1: Problem(
        "A dead link looks connected for hours",
        "Closed after three missing heartbeats, or 120 s without any byte in answer to pings; shown as offline since then",
    ),
    2: Problem(
        "A reconnect while the old session exists is refused, or the old one's end kills the new one",
        "The newest connection wins; the older one's calls end at once, and its end touches nothing",
    ),
    3: Problem(
        "All reconnect at once after a restart",
        "Nothing slow in the handshake; what is asked after a boot waits for its turn; heartbeat intervals differ",
    ),
    4: Problem(
        "Pings cut off stations that do not answer them; without pings the way through a NAT closes",
        "Pings every 30 s; any byte that comes counts as life",
    ),
    5: Problem(
        "A repeated StartTransaction opens several transactions",
        "Known by connector, tag, time and meter, whatever its message id: the same transaction id again",
    ),
    6: Problem(
        "StopTransaction twice, with an unknown id, or never",
        "Always answered; the first counts, others are kept; a ghost ends with the next start or Available, marked as estimated",
    ),
    7: Problem(
        "An offline queue comes hours later, in a burst",
        "Ordered by the station's time; old values are stored and never drive control",
    ),
    8: Problem(
        "Messages break the schema",
        "Repaired by name and counted; else the fitting CALLERROR; never the connection",
    ),
    9: Problem(
        "Meter values in wrong units, without units, by phase, without a transaction",
        "Normalised; kWh sold as Wh is found by power and time; impossible values are counted and dropped",
    ),
    10: Problem(
        "Clocks are wrong",
        "Measured against ours and used in profiles; times before 2020 are distrusted; ours are UTC with milliseconds",
    ),
    11: Problem(
        "Charging profiles of some purposes are refused",
        "Probed; a ladder from TxProfile to ChargePointMaxProfile; what worked is kept until the next boot",
    ),
    12: Problem(
        "Limits are taken in W or in A only",
        "Asked and tried; A by phases and voltage, rounded down to 0.1",
    ),
    13: Problem(
        "0 A is no pause, and who was paused does not wake",
        "Never between 0 and the minimum; a resume sends the whole profile again and is seen by the meter",
    ),
    14: Problem(
        "Profiles pile up, and composite schedules come out wrong",
        "One stable id for each purpose and connector; the station's composite schedule is compared with one worked out here",
    ),
    15: Problem(
        "ChargePointMaxProfile is applied to each connector, not shared",
        "Used only for stations with one connector",
    ),
    16: Problem(
        "The sub-protocol is missing or odd; the version sticks to the station",
        "Chosen for each connection; none offered means 1.6; an unknown one is refused with a text",
    ),
    17: Problem(
        "Calls before the boot is accepted; a reconnect without a boot is stuck",
        "No call before the answer to the boot; without one a station is asked once to boot, and then served",
    ),
    18: Problem(
        "Calls time out while heartbeats go on",
        "One call at a time; late answers earn more patience; three time-outs in a row close the connection",
    ),
    19: Problem(
        "Transaction and message ids collide",
        "Transaction ids are unique over stations and restarts; message ids count within one connection only",
    ),
    20: Problem(
        "No load balancing",
        "Every limit of site and feeder holds at every instant, with stations that misbehave",
    ),
}


def named() -> Iterator[tuple[int, str]]:
    """(problem, test as pytest takes it) of every test that names a problem, read from the sources."""
    for file in sorted(TESTS.rglob("test_*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and (found := _NAME.match(node.name)):
                for number in found[1].strip("_").split("_"):
                    yield int(number), f"{file.relative_to(TESTS.parent)}::{node.name}"
