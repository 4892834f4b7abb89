"""Charging profiles as pages and API see them: what is believed installed, and two composite schedules side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from small_yard import ONE, SmallYard, run

from controller.profiles_room import CompositeView, ProfileReportView, ProfilesRoom, ProfilesView, RunningView, Step
from depot import events as ev
from depot.values import ConnectorId, InvalidValue, Outcome
from ocpp_server.agreement import Finding
from ocpp_server.checks import Look
from ocpp_server.composite import Segment
from ocpp_server.installed import OURS, Installed, InstalledBook
from ocpp_server.profiles import Purpose, Rung, default_profile
from ocpp_server.reply import Reply
from ocpp_server.reports import Criteria, ProfileReport, Reported

SKEW = timedelta(minutes=5)


@dataclass
class Stations:
    """The charger side: one default on CP-1/1, whose clock is five minutes ahead."""

    yard: SmallYard
    answer: Look | None = None
    silent: bool = False
    asked: list[tuple[ConnectorId, int]] = field(default_factory=list)
    criteria: list[Criteria] = field(default_factory=list)

    def installed(self, station_id: str) -> Sequence[Installed]:
        book, now, spec = InstalledBook(), self.yard.clock.now(), self.yard.yard.spec.connectors[ONE]
        profile = default_profile(6_000, 1, spec, Rung(Purpose.TX_DEFAULT, "W", "Relative"), now=now, skew=SKEW)
        ends = {"validTo": (now + SKEW + timedelta(hours=1)).isoformat(), "chargingProfileId": 99, "stackLevel": 3}
        for payload, source in ((profile, OURS), ({**profile, **ends}, "call")):
            asked = {"connectorId": 1, "csChargingProfiles": payload}
            book.note("SetChargingProfile", asked, Reply(Outcome.ACCEPTED), source=source, now=now)
        return book.held(now) if station_id == "CP-1" else ()

    def skew(self, station_id: str) -> timedelta:
        return SKEW

    def composite(self, connector: ConnectorId, *, duration_s: int) -> tuple[str, Sequence[Segment]]:
        return "W", [Segment(0, 6_000, 1)]

    def running(self, connector: ConnectorId) -> str | None:
        return "tx-1" if connector == ONE else None

    async def report_profiles(self, station_id: str, criteria: Criteria, *, within_s: float = 10.0) -> ProfileReport:
        self.criteria.append(criteria)
        return ProfileReport(Reply(Outcome.ACCEPTED, {"status": "Accepted"}), (Reported(1, "EMS", {"id": 3}),), complete=False)

    async def compare(self, connector: ConnectorId, *, duration_s: int) -> Look | None:
        self.asked.append((connector, duration_s))
        if self.silent:
            raise TimeoutError
        return self.answer


def show(stations: Stations, **args: str) -> ProfilesView | None:
    room = ProfilesRoom(stations.yard.yard, stations)
    found: list[object] = []

    async def main() -> None:
        found.append(await room.views[ProfilesView](args))

    run(main())
    view = found[0]
    assert view is None or isinstance(view, ProfilesView)
    return view


def compare(stations: Stations, **args: str) -> CompositeView | None:
    room = ProfilesRoom(stations.yard.yard, stations)

    async def main() -> object:
        return await room.views[CompositeView](args)

    view = asyncio.run(main())
    assert view is None or isinstance(view, CompositeView)
    return view


def test_what_is_installed_is_shown_with_its_source_and_its_end_by_our_clock() -> None:
    yard = SmallYard()
    yard.put(ev.StationProbed("CP-1", ("W",), ("TxProfile", "TxDefaultProfile"), 8, falls_back=False), ev.DefaultInstalled(ONE, None))
    view = show(Stations(yard))
    assert view is not None
    ours, theirs = view.profiles
    assert (ours.purpose, ours.limit, ours.unit, ours.expires_at, ours.confirmed, ours.source) == (
        "TxDefaultProfile", 6_000, "W", None, True, "controller",
    )  # fmt: skip
    assert (theirs.source, theirs.profile_id, theirs.stack_level) == ("call", 99, 3)
    assert theirs.expires_at == yard.clock.now() + timedelta(hours=1)
    assert theirs.profile["chargingProfileId"] == 99
    first = view.connectors[0]
    assert (first.station_id, first.default_w, first.falls_back) == ("CP-1", None, False)
    assert first.uncovered.startswith("It was seen not to fall back")
    one = show(Stations(yard), station_id="CP-2")
    assert one is not None
    assert (one.profiles, [c.station_id for c in one.connectors]) == ([], ["CP-2"])
    assert show(Stations(yard), station_id="CP-9") is None


def test_two_schedules_side_by_side() -> None:
    stations = Stations(SmallYard())
    ours, theirs = (Segment(0, 11_000, 3), Segment(100, 6_000, 3)), (Segment(0, 20_000, None),)
    stations.answer = Look(Finding(False, more=True, text="in 0 s it would allow 20000 W"), 100, "W", ours, theirs)
    view = compare(stations, station_id="CP-1", connector="1", duration_s="900")
    assert view is not None
    assert (view.agrees, view.text) == (False, "in 0 s it would allow 20000 W")
    assert (view.ours[1], view.theirs) == (Step(start_s=100, limit=6_000, phases=3), [Step(start_s=0, limit=20_000)])
    assert stations.asked == [(ONE, 900)]


@pytest.mark.parametrize(("silent", "text"), [(False, "tells no composite schedule"), (True, "did not answer in time")])
def test_a_station_that_does_not_tell_leaves_ours(silent: bool, text: str) -> None:
    view = compare(Stations(SmallYard(), silent=silent), station_id="CP-1")
    assert view is not None
    assert (view.ours, view.theirs, view.agrees) == ([Step(start_s=0, limit=6_000, phases=1)], None, None)
    assert text in view.text


def test_what_cannot_be_asked_for() -> None:
    stations = Stations(SmallYard())
    assert compare(stations, station_id="CP-1", connector="7") is None
    assert compare(stations) is None
    for wrong in ("0", "90000"):
        with pytest.raises(InvalidValue):
            compare(stations, station_id="CP-1", duration_s=wrong)
    assert stations.asked == []


def test_a_stations_own_report_is_asked_for_by_what_the_norm_takes_and_shown_as_incomplete_where_it_is() -> None:
    async def main() -> None:
        stations = Stations(SmallYard())
        room = ProfilesRoom(stations.yard.yard, stations)
        ask = room.views[ProfileReportView]
        view = await ask({"station_id": "CP-1", "evse": "0", "profile_ids": "3,4", "sources": "EMS,SO", "stack_level": "0"})
        assert isinstance(view, ProfileReportView)
        assert stations.criteria == [Criteria(evse=0, ids=(3, 4), stack_level=0, sources=("EMS", "SO"))]
        assert (view.status, view.complete, view.profiles[0].source) == ("Accepted", False, "EMS")
        with pytest.raises(InvalidValue, match="K09"):
            await ask({"station_id": "CP-1", "evse": "1"})
        assert await ask({"station_id": "CP-9", "stack_level": "0"}) is None
        running = await room.views[RunningView]({"station_id": "CP-1", "connector": "1"})
        assert isinstance(running, RunningView)
        assert running.transaction_id == "tx-1"

    run(main())
