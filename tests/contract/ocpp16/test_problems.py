"""Problems of real chargers that show only in a whole depot: here on a real core, over its REST API."""

from __future__ import annotations

import asyncio

import pytest

from ocpp16.depot import Depot, now

pytestmark = pytest.mark.anyio


async def test_problem_05_06_a_start_said_again_is_one_session_and_a_stop_said_again_changes_nothing(depot: Depot) -> None:
    async with depot.station() as station:
        at = now()
        first = (await station.start_transaction(at=at)).transaction_id
        assert (await station.start_transaction(at=at)).transaction_id == first
        for _ in range(2):
            await station.stop_transaction(first)
        await station.stop_transaction(-1)
        assert (await depot.connector(station))["transaction_id"] is None


async def test_problem_19_transaction_ids_are_unique_over_stations(depot: Depot) -> None:
    async with depot.station() as one, depot.station() as two:
        starts = [s.start_transaction(connector=c, at=now(seconds=n)) for s in (one, two) for c in (1, 2) for n in (9, 6, 3)]
        numbers = [answer.transaction_id for answer in await asyncio.gather(*starts)]
        assert len(set(numbers)) == 12
        assert all(0 < number < 2**31 for number in numbers)
