"""Looks at what stations hold: does the composite agree, is the default there, does it come back, and how often is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from controller.clock import VirtualClock, run_virtual
from depot.values import ConnectorId, Outcome
from ocpp_server import Central, OcppSettings
from ocpp_server.installed import BY_CALL, OURS
from tests.ocpp_fakes import CP1, START, FakeDepot, Peer, Peer201, central_of, connected, connected_201, setpoint, setpoints, until

ONE = OcppSettings(first_look_s=30, look_every_s=3600, look_least_s=60, idle_heartbeats=1000)
"""Fakes send no heartbeats."""
CP2 = ConnectorId("CP2", 1)
Play = Callable[[Central, FakeDepot, VirtualClock], Awaitable[None]]


def play(main: Play) -> FakeDepot:
    told = FakeDepot()

    async def run(clock: VirtualClock) -> None:
        async with central_of(told, clock, settings=ONE) as central:
            await main(central, told, clock)

    run_virtual(run, start=START)
    return told


@dataclass
class Holder:
    """A station's profiles, kept by hand: the one of the highest level that has not ended counts, a TxProfile first.

    ``falls_back``: what is live ends. ``tail``: the composite shows what comes after. ``keeps_defaults``, ``obeys``."""

    clock: VirtualClock
    falls_back: bool = True
    tail: bool = True
    keeps_defaults: bool = True
    drops_defaults: int = 0
    reads_half: bool = False
    held: dict[tuple[int, str, int], tuple[float, datetime | None, int]] = field(default_factory=dict)

    def attach(self, peer: Peer) -> None:
        peer.answers["SetChargingProfile"] = self.set
        peer.answers["ClearChargingProfile"] = self.clear
        peer.answers["GetCompositeSchedule"] = self.composite

    def set(self, payload: dict[str, Any]) -> dict[str, Any]:
        profile = payload.get("csChargingProfiles") or payload["chargingProfile"]
        schedule = profile["chargingSchedule"]
        schedule = schedule[0] if isinstance(schedule, list) else schedule
        level = profile["stackLevel"]
        default = profile["chargingProfilePurpose"] == "TxDefaultProfile" and level == 0
        if default and self.drops_defaults:
            self.drops_defaults -= 1
        elif not default or self.keeps_defaults:
            ends = datetime.fromisoformat(profile["validTo"]) if "validTo" in profile else None
            number = _connector(payload)
            limit = schedule["chargingSchedulePeriod"][0]["limit"]
            self.held[number, profile["chargingProfilePurpose"], level] = (limit, ends, profile.get("chargingProfileId", profile.get("id")))
        return {"status": "Accepted"}

    def clear(self, payload: dict[str, Any]) -> dict[str, Any]:
        wanted = payload.get("id", payload.get("chargingProfileId"))
        before, on = len(self.held), payload.get("connectorId")
        self.held = {
            slot: kept for slot, kept in self.held.items() if (kept[2] != wanted if wanted is not None else on not in (None, slot[0]))
        }
        return {"status": "Accepted" if len(self.held) < before else "Unknown"}

    def at(self, number: int, when: datetime) -> float:
        best = (22_000.0, (0, -1))
        for (connector, purpose, level), (limit, ends, _) in self.held.items():
            rank = (int(purpose == "TxProfile"), level)
            ended = self.falls_back and ends is not None and when >= ends
            if connector == number and not ended and rank > best[1]:
                best = (limit, rank)
        return best[0] / 2 if self.reads_half else best[0]

    def composite(self, payload: dict[str, Any]) -> dict[str, Any]:
        number = _connector(payload)
        now = self.clock.now()
        rows: list[dict[str, Any]] = []
        for second in range(payload["duration"] if self.tail else 1):
            limit = self.at(number, now + timedelta(seconds=second))
            if not rows or rows[-1]["limit"] != limit:
                rows.append({"startPeriod": second, "limit": limit})
        schedule = {"duration": payload["duration"], "chargingRateUnit": "W", "chargingSchedulePeriod": rows}
        return {"status": "Accepted", "connectorId": number, "scheduleStart": now.isoformat(), "chargingSchedule": schedule}


def _connector(payload: dict[str, Any]) -> int:
    number: int = payload["evseId"] if "evseId" in payload else payload["connectorId"]
    return number


async def ready(central: Central, depot: FakeDepot, peer: Peer, *, level_w: int = 4_140) -> None:
    """Boot, and install the default as the controller does."""
    await peer.boot()
    await until(lambda: depot.readies)
    assert await central.install_default(CP1, level_w) is Outcome.ACCEPTED


async def live(central: Central, clock: VirtualClock, level_w: int = 11_000, *, number: int = 1) -> None:
    wanted = setpoint(level_w, until=clock.now() + timedelta(seconds=180), transaction_id=number)
    assert await central.apply(setpoints(wanted)) == [Outcome.ACCEPTED]


def falls_back(depot: FakeDepot) -> bool | None:
    return depot.probes[-1].falls_back


def test_problem_11_a_session_shows_that_the_default_comes_back() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            Holder(clock).attach(peer)
            await ready(central, depot, peer)
            await peer.start()
            await live(central, clock)
            await asyncio.sleep(70)
            assert depot.compares == [(CP1, True, "")]
            assert (depot.probes[-1].composite, falls_back(depot)) == (True, True)
            assert peer.calls("GetCompositeSchedule") == [{"connectorId": 1, "duration": 600}]

    told = play(main)
    assert told.probes[0].falls_back is None


def test_invariant_3_where_nothing_charges_half_of_the_default_shows_it() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            holder = Holder(clock)
            holder.attach(peer)
            await ready(central, depot, peer)
            await asyncio.sleep(70)
            assert falls_back(depot) is True
            trial = peer.calls("SetChargingProfile")[-1]["csChargingProfiles"]
            (period,) = trial["chargingSchedule"]["chargingSchedulePeriod"]
            assert period["limit"] == 2_070, "never more than the default"
            assert "validTo" in trial
            assert peer.calls("ClearChargingProfile") == [{"id": 15}]
            assert list(holder.held) == [(1, "TxDefaultProfile", 0)]
            assert [e.profile.profile_id for e in central.installed("CP1")] == [14]

    play(main)


@pytest.mark.parametrize("does", [True, False])
def test_a_station_that_shows_no_tail_is_asked_again_when_the_trial_has_ended(does: bool) -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            Holder(clock, falls_back=does, tail=False).attach(peer)
            await ready(central, depot, peer)
            await asyncio.sleep(70)
            assert falls_back(depot) is None
            await asyncio.sleep(80)
            assert falls_back(depot) is does
            assert depot.compares == [(CP1, True, "")]
            assert peer.calls("ClearChargingProfile") == [{"id": 15}]

    play(main)


def test_a_station_that_does_not_let_go_of_a_live_profile_does_not_fall_back() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            holder = Holder(clock)
            holder.attach(peer)
            await ready(central, depot, peer)
            await peer.start()
            await live(central, clock)
            holder.held[1, "TxDefaultProfile", 0] = (20_000, None, 99)
            holder.keeps_defaults = False
            await asyncio.sleep(70)
            assert falls_back(depot) is False
            assert central.violations("CP1")["composite_differs"] == 1
            ((where, agrees, text),) = depot.compares
            assert (where, agrees) == (CP1, False)
            assert text.endswith("it would allow 20000.0 W, installed is 4140.0 W")

    play(main)


def test_problem_14_what_differs_is_sent_once_more_and_then_told() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            holder = Holder(clock)
            holder.attach(peer)
            await ready(central, depot, peer)
            await peer.start()
            await live(central, clock)
            holder.held.clear()  # it forgot, without a boot
            await asyncio.sleep(70)
            assert depot.compares == [(CP1, True, "")], "sent again, it agrees"
            assert central.violations("CP1")["composite_differs"] == 1
            assert len(peer.calls("SetChargingProfile")) == 4
            assert [e.profile.periods[0].limit for e in central.installed("CP1")] == [4_140, 11_000]
            holder.reads_half = True
            central.surprised(CP1)
            await asyncio.sleep(70)
            assert depot.compares[-1][1] is False
            assert falls_back(depot) is True, "less than installed costs nobody anything"

    play(main)


def test_a_default_that_somebody_else_took_away_is_installed_again() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            Holder(clock).attach(peer)
            await ready(central, depot, peer)
            await asyncio.sleep(70)
            assert (await central.clear_profiles("CP1", connector=1)).outcome is Outcome.ACCEPTED
            assert central.installed("CP1") == ()
            await asyncio.sleep(70)
            assert central.violations("CP1")["default_missing"] == 1
            (entry,) = central.installed("CP1")
            assert (entry.source, entry.profile.periods[0].limit, entry.confirmed) == (OURS, 4_140, True)

    play(main)


def test_what_is_installed_again_is_what_was_wanted_last() -> None:
    """The depot lowers a default to 0 (a tripped battery) while a look finds that the older one is missing."""

    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            holder = Holder(clock)
            holder.attach(peer)
            lowered: list[asyncio.Task[Outcome]] = []
            peer.answers["GetCompositeSchedule"] = lambda p: ("NotSupported", "")

            def listed(payload: dict[str, Any]) -> dict[str, Any]:
                lowered.append(asyncio.create_task(central.install_default(CP1, 0)))
                return {"status": "NoProfiles"}

            peer.answers["GetChargingProfiles"] = listed
            await ready(central, depot, peer)
            await asyncio.sleep(70)
            assert not lowered, "its composite could tell until it refused to"
            central.surprised(CP1)
            await asyncio.sleep(90)
            assert len(lowered) >= 1
            assert [kept[0] for kept in holder.held.values()] == [0]
            assert [e.profile.periods[0].limit for e in central.installed("CP1")] == [0]

    play(main)


def test_a_station_that_cannot_keep_its_default_any_more_is_not_relied_on() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            Holder(clock).attach(peer)
            await ready(central, depot, peer)
            peer.answers["SetChargingProfile"] = lambda p: {"status": "Rejected"}
            await central.clear_profiles("CP1")
            await asyncio.sleep(70)
            assert falls_back(depot) is False

    play(main)


@pytest.mark.parametrize("answer", [("NotImplemented", ""), ("NotSupported", ""), {"status": "Rejected"}, {"status": "Accepted"}])
def test_a_station_that_tells_no_composite_is_not_asked_again_until_it_boots(answer: Any) -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            peer.answers["GetCompositeSchedule"] = lambda p: answer
            await ready(central, depot, peer)
            await peer.start()
            await live(central, clock)
            await asyncio.sleep(70)
            assert (depot.probes[-1].composite, falls_back(depot)) == (False, None)
            central.surprised(CP1)
            await asyncio.sleep(7200)
            assert len(peer.calls("GetCompositeSchedule")) == 1
            assert depot.compares == []
            await peer.boot()
            await central.install_default(CP1, 4_140)
            await asyncio.sleep(120)
            assert len(peer.calls("GetCompositeSchedule")) == 2

    play(main)


def test_problem_11_it_is_asked_rarely_and_never_more_often_than_once_a_minute() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            Holder(clock).attach(peer)
            await ready(central, depot, peer)
            await asyncio.sleep(70)
            asked = len(peer.calls("GetCompositeSchedule"))
            await asyncio.sleep(3400)
            assert len(peer.calls("GetCompositeSchedule")) == asked
            await asyncio.sleep(700)
            assert len(peer.calls("GetCompositeSchedule")) == asked + 1
            for _ in range(30):
                central.surprised(CP1)
                await asyncio.sleep(10)
            assert len(peer.calls("GetCompositeSchedule")) <= asked + 1 + 6
            central.surprised(ConnectorId("CP9", 1))

    play(main)


def test_what_was_not_answered_is_not_compared() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            Holder(clock).attach(peer)
            await ready(central, depot, peer)
            await peer.start()
            await live(central, clock)
            peer.answers["SetChargingProfile"] = lambda p: None
            wanted = setpoint(9_000, until=clock.now() + timedelta(seconds=180), transaction_id=1)
            assert await central.apply(setpoints(wanted)) == [Outcome.TIMEOUT]
            await asyncio.sleep(70)
            assert depot.compares == []

    play(main)


def test_the_meter_may_teach_it_too() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            await central.fell_back(CP1, falls_back=False)
            assert depot.probes == [], "not probed yet"
            await ready(central, depot, peer)
            await central.fell_back(CP1, falls_back=False)
            await central.fell_back(CP1, falls_back=False)
            assert [p.falls_back for p in depot.probes] == [None, False]
            await peer.boot()
            await until(lambda: len(depot.probes) == 3)
            assert falls_back(depot) is False, "a boot proves nothing"

    play(main)


def test_the_meter_outweighs_what_a_station_says_of_itself() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            Holder(clock).attach(peer)
            await ready(central, depot, peer)
            await central.fell_back(CP1, falls_back=False)
            await peer.start()
            await live(central, clock)
            await asyncio.sleep(90)
            assert depot.compares[-1] == (CP1, True, "")
            assert falls_back(depot) is False
            await central.fell_back(CP1, falls_back=True)
            assert falls_back(depot) is True

    play(main)


def test_a_201_station_without_composite_is_asked_for_its_list() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected_201(central) as peer:
            holder = Holder(clock)
            holder.attach(peer)
            peer.answers["GetCompositeSchedule"] = lambda p: ("NotSupported", "")
            peer.answers["GetChargingProfiles"] = lambda p: _listed(peer, holder, p)
            holder.drops_defaults = 1
            await ready(central, depot, peer)
            await asyncio.sleep(70)
            assert depot.probes[-1].composite is False
            assert "default_missing" not in central.violations("CP1")
            central.surprised(CP1)
            await asyncio.sleep(90)
            assert central.violations("CP1")["default_missing"] == 1
            assert list(holder.held) == [(1, "TxDefaultProfile", 0)]

    play(main)


def _listed(peer: Peer201, holder: Holder, payload: dict[str, Any]) -> dict[str, Any]:
    profiles = [
        {
            "id": kept[2], "stackLevel": level, "chargingProfilePurpose": purpose, "chargingProfileKind": "Absolute",
            "chargingSchedule": [{"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": kept[0]}]}],
        }
        for (_, purpose, level), kept in holder.held.items()
    ]  # fmt: skip
    if not profiles:
        return {"status": "NoProfiles"}
    report = {"requestId": payload["requestId"], "chargingLimitSource": "CSO", "evseId": 1, "chargingProfile": profiles}
    asyncio.get_running_loop().create_task(peer.call("ReportChargingProfiles", report))  # ends with the test
    return {"status": "Accepted"}


def test_a_persons_profile_wakes_the_look() -> None:
    async def main(central: Central, depot: FakeDepot, clock: VirtualClock) -> None:
        async with connected(central) as peer:
            holder = Holder(clock)
            holder.attach(peer)
            await ready(central, depot, peer)
            await asyncio.sleep(130)
            asked = len(peer.calls("GetCompositeSchedule"))
            await central.clear_profiles("CP1", connector=2)
            await asyncio.sleep(30)
            assert len(peer.calls("GetCompositeSchedule")) == asked, "nothing has changed"
            await central.clear_profiles("CP1", connector=1)
            await asyncio.sleep(30)
            assert len(peer.calls("GetCompositeSchedule")) > asked
            assert all(entry.source != BY_CALL for entry in central.installed("CP1"))

    play(main)
