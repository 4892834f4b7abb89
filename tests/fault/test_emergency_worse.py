"""A pack that tripped for heat and is found to run away after: the response grows with it, within the sample or the look that finds it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from emergency_kit import BUS, HOT, EmergencyDepot, until

from controller.pack_danger import danger_of
from depot import events as ev


def test_a_tripped_pack_that_runs_away_gets_the_whole_chain_below_80_degrees(tmp_path: Path) -> None:
    """1 K/s over 3 s: the rule of runaway finds it, though the trip is there already and 80 °C are not."""

    async def main() -> None:
        depot = EmergencyDepot(tmp_path)
        depot.charging()
        async with depot.running():
            depot.says(*HOT)
            assert depot.safety.response_of(BUS).grade == "heat"
            assert depot.desk.book.evacuation() is None
            for step in range(1, 8):
                depot.clock.at += timedelta(seconds=1)
                depot.says(62.0 + 1.6 * step, 61.2, 60.8, 61.0)
            assert depot.safety.response_of(BUS).evacuates
            assert depot.desk.book.evacuation() is not None, "within the sample"
            await until(lambda: len(depot.named(ev.TripWorsened)) == 1)
        assert [fact.cause for fact in depot.named(ev.TripWorsened)] == ["runaway"]

    asyncio.run(main())


def test_a_tripped_pack_near_its_end_by_state_of_safety_gets_the_whole_chain(tmp_path: Path) -> None:
    """Warming by 0.3 K/s, which is no runaway: but ten minutes are left at the most."""

    async def main() -> None:
        depot = EmergencyDepot(tmp_path)
        depot.charging()
        async with depot.running():
            depot.says(*HOT)
            for step in range(1, 40):
                depot.clock.at += timedelta(seconds=1)
                depot.says(62.0 + 0.3 * step, 61.2, 60.8, 61.0)
                depot.safety.look()
            view = depot.safety.guard.view(BUS)
            danger = await danger_of(view, depot.safety.parts.in_thread)
            assert danger is not None
            assert danger.foreseen == "evacuate"
            assert danger.runaway_low_s is not None
            assert danger.runaway_low_s < 600
            assert depot.safety.response_of(BUS).evacuates
            await until(lambda: len(depot.named(ev.TripWorsened)) == 1)
        assert [fact.cause for fact in depot.named(ev.TripWorsened)] == ["state_of_safety"]

    asyncio.run(main())
