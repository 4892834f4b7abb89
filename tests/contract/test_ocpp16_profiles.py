"""What a station holds, over a real socket: our composite schedule against that of the simulated station's own reading of the
norm, which was written apart from ours and speaks through the client side of the ``ocpp`` package."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ocpp.routing import on
from ocpp.v16 import call_result
from ocpp_fakes import CP1, FakeDepot, setpoint, setpoints, until
from test_ocpp16_stations import Station, dial, listening

from depot.values import Outcome
from ocpp_server import Central
from simulator.profiles import Profile, ProfileStack

pytestmark = pytest.mark.anyio
QUICK = {"first_look_s": 0.2, "look_least_s": 0.2}


class Telling(Station):
    """A station that keeps its profiles and tells its composite schedule. ``lies``: W that it adds to it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.kept = ProfileStack()
        self.began: datetime | None = None
        self.lies = 0.0
        self.asked = 0

    @on("SetChargingProfile")
    def on_profile(self, connector_id: int, cs_charging_profiles: dict[str, Any], **_: Any) -> Any:
        self.profiles.append((connector_id, cs_charging_profiles))
        self.kept.install(connector_id, Profile.parse(cs_charging_profiles, now=datetime.now(UTC)))
        return call_result.SetChargingProfile(status="Accepted")

    @on("GetCompositeSchedule")
    def on_composite(self, connector_id: int, duration: int, **_: Any) -> Any:
        self.asked += 1
        now = datetime.now(UTC)
        rows = self.kept.composite(connector_id, now, seconds=duration, transaction_start=self.began, watts=lambda allowed: allowed.limit)
        periods = [{"start_period": at, "limit": round(22_000 if w is None else w + self.lies, 1)} for at, w in rows]
        return call_result.GetCompositeSchedule(
            status="Accepted",
            connector_id=connector_id,
            schedule_start=now.isoformat(),
            charging_schedule={"duration": duration, "charging_rate_unit": "W", "charging_schedule_period": periods},
        )


@asynccontextmanager
async def telling(central: Central) -> AsyncIterator[Telling]:
    async with dial(central, "CP1") as connection:
        client = Telling("CP1", connection)
        running = asyncio.create_task(client.start())
        try:
            yield client
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_problem_14_two_readings_of_the_norm_agree_and_the_default_comes_back() -> None:
    depot = FakeDepot()
    async with listening(depot, **QUICK) as central, telling(central) as client:
        await client.boot()
        await until(lambda: depot.readies)
        assert await central.install_default(CP1, 4_140) is Outcome.ACCEPTED
        number = await client.start_transaction()
        client.began = datetime.now(UTC)
        live = setpoint(11_000, until=client.began + timedelta(seconds=120), transaction_id=number)
        assert await central.apply(setpoints(live)) == [Outcome.ACCEPTED]
        await until(lambda: depot.probes[-1].falls_back)
        assert depot.compares[-1] == (CP1, True, "")
        look = await central.compare(CP1, duration_s=300)
        assert look is not None
        assert look.finding.agrees
        assert [s.limit for s in look.ours] == [s.limit for s in look.theirs] == [11_000, 4_140]
        assert abs(look.ours[1].start_s - 120) < 10
        assert "composite_differs" not in central.violations("CP1")


async def test_problem_14_a_station_that_tells_something_else_is_told_once_more_and_then_reported() -> None:
    depot = FakeDepot()
    async with listening(depot, **QUICK) as central, telling(central) as client:
        client.lies = 3_000
        await client.boot()
        await until(lambda: depot.readies)
        await central.install_default(CP1, 4_140)
        number = await client.start_transaction()
        client.began = datetime.now(UTC)
        live = setpoint(11_000, until=client.began + timedelta(seconds=120), transaction_id=number)
        await central.apply(setpoints(live))
        await until(lambda: depot.compares)
        ((connector, agrees, text),) = depot.compares
        assert (connector, agrees) == (CP1, False)
        assert text == "in 0 s it would allow 14000.0 W, installed is 11000.0 W"
        assert central.violations("CP1")["composite_differs"] == 1
        assert [p["charging_profile_purpose"] for _, p in client.profiles] == ["TxDefaultProfile", "TxProfile"] * 2
