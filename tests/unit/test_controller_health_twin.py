"""The desk of twin runs: a child that is slow, broken or asked too often is a reason, never an error."""

from __future__ import annotations

import asyncio
import sys

import pytest

from bms_bridge.estimates.prospect_view import PackTwinAsked, PackTwinStart
from controller.health_twin import MOST_WAITING, TwinDesk, asked_of
from depot.values import InvalidValue

pytestmark = pytest.mark.anyio
ASKED = PackTwinAsked(30.0, 0.6, 0.3, 300.0)
START = PackTwinStart("LFP", 100.0, 0.9, 0.01, 3.0, 900.0, 28.0, 0.6, 0.2, past_told=True)
SLEEPS = (sys.executable, "-c", "import time; time.sleep(600)")
BREAKS = (sys.executable, "-c", "raise SystemExit(3)")


async def test_a_child_that_says_nothing_or_nonsense_is_a_reason() -> None:
    assert "did not answer" in (await TwinDesk(SLEEPS, patience_s=0.2).run(START, ASKED)).why_not
    assert "run failed" in (await TwinDesk(BREAKS).run(START, ASKED)).why_not


async def test_so_many_wait_and_no_more() -> None:
    desk = TwinDesk(SLEEPS, patience_s=600)
    waiting = [asyncio.create_task(desk.run(START, ASKED)) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    assert "wait already" in (await desk.run(START, ASKED)).why_not
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def test_what_is_left_out_is_todays_and_without_today_it_is_asked_for() -> None:
    assert asked_of({"until": "0.6", "depth": "0.4"}, ASKED) == PackTwinAsked(30.0, 0.4, 0.3, 300.0, until=0.6)
    with pytest.raises(InvalidValue, match="give ambient_c, c_rate, cycles_a_year"):
        asked_of({"depth": "0.4"}, None)
    with pytest.raises(InvalidValue, match="depth must be a number"):
        asked_of({"depth": "inf"}, ASKED)
