"""A run of the twin that somebody asks for: a pack as its prospect has it, under a duty by its numbers. Pure; a child process runs it.

    {start, asked, years} (JSON, stdin) --python -m bms_bridge.estimates.twin_run--> PackTwinRun (JSON, stdout)

It takes a second of processor: no process that has anything to do in time runs it itself.
"""

from __future__ import annotations

import math
import os
import sys
from typing import Final

import msgspec

from bms_bridge.estimates.prospect_view import PackEnd, PackTwinAsked, PackTwinRun, PackTwinStart, Reached
from bms_bridge.twin import DutyRefused
from bms_bridge.twin.day import with_full_cycles
from bms_bridge.twin.duty import Duty, chosen
from bms_bridge.twin.members import Pack
from bms_bridge.twin.years import outlook

RUN_YEARS: Final = 20
UNTIL: Final = (0.4, 0.95)
"""Healths that can be asked for."""

FAST_C: Final = 1.0
NICENESS: Final = 15


class TwinQuestion(msgspec.Struct, frozen=True):
    """What the child reads."""

    start: PackTwinStart
    asked: PackTwinAsked
    years: int = RUN_YEARS


def run_asked(start: PackTwinStart, asked: PackTwinAsked, *, years: int = RUN_YEARS) -> PackTwinRun:
    """The run; a duty that cannot be is a reason, no error."""
    if not UNTIL[0] <= asked.until <= UNTIL[1]:
        return PackTwinRun(asked, years, f"the health that is asked for must lie between {UNTIL[0]:.0%} and {UNTIL[1]:.0%}")
    try:
        duty = duty_of(asked, start.chemistry)
    except DutyRefused as error:
        return PackTwinRun(asked, years, str(error).removeprefix("the duty asked: "))
    run = outlook([pack_of(start)], [duty], years=years, ends=(asked.until,))
    health = [tuple(round(float(value), 4) for value in row) for row in run.health[0]]
    return PackTwinRun(
        asked,
        years,
        health=[(low, mid, high) for low, mid, high in health],
        end=PackEnd(asked.until, _reached(*run.years_to[0, 0]), _reached(*run.cycles_to[0, 0])),
        full_cycles_a_year=round(float(run.full_cycles_a_year[0]), 1),
        hottest_c=round(float(run.hottest_c[0]), 1),
        unserved=(round(float(run.unserved[0, 0]), 4), round(float(run.unserved[0, 1]), 4)),
        warnings=warnings_of(start, asked),
    )


def duty_of(asked: PackTwinAsked, chemistry: str, *, name: str = "asked") -> Duty:
    """The duty of these numbers, with as much energy as brings its full cycles. DutyRefused: it cannot be."""
    duty = chosen(
        name, ambient_c=asked.ambient_c, depth=asked.depth, c_rate=asked.c_rate, cycles_a_year=asked.cycles_a_year, top_soc=asked.top_soc
    )
    return with_full_cycles(duty, chemistry, asked.cycles_a_year)


def pack_of(start: PackTwinStart, name: str = "pack") -> Pack:
    """The pack as the twin takes it."""
    return Pack(
        name,
        start.chemistry,
        start.capacity_kwh,
        soh=start.soh,
        soh_sd=start.soh_sd,
        age_years=start.age_years,
        full_cycles=start.full_cycles,
        past_c=start.past_c,
        past_soc=start.past_soc,
        past_c_rate=start.past_c_rate,
        past_told=start.past_told,
    )


def warnings_of(start: PackTwinStart, asked: PackTwinAsked | None = None) -> list[str]:
    """How far the answer can be trusted, in sentences; shares are those of docs/models/battery-twin.md."""
    said = []
    if start.age_years is None or start.full_cycles is None:
        missing = " and ".join(
            words for words, value in (("its age", start.age_years), ("its full cycles", start.full_cycles)) if value is None
        )
        said.append(
            f"{missing} {'are' if start.full_cycles is None else 'is'} not known: nothing of its past helps, and the range is that of any "
            "make of the chemistry; enter in_service and cycles_before in [[health.pack]]"
        )
    elif not start.past_told:
        said.append("the temperature of its past is supposed (28 °C): half of its time must have been seen to tell it")
    if asked is not None and asked.c_rate > FAST_C:
        said.append("so fast charging was measured on small cells only, which fade slowly first and then all at once")
    if asked is not None and not 0 <= asked.ambient_c <= 45:
        said.append("nothing was measured at this temperature: the table's edge stands for it")
    return said


def _reached(low: float, mid: float, high: float) -> Reached:
    found = [round(float(value), 2) if math.isfinite(value) else None for value in (low, mid, high)]
    return found[0], found[1], found[2]


def main() -> int:
    """The child."""
    os.nice(NICENESS)
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=TwinQuestion)
    sys.stdout.buffer.write(msgspec.json.encode(run_asked(question.start, question.asked, years=question.years)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
