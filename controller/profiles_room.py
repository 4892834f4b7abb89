"""Charging profiles for pages and API: which ones stations are believed to hold, what they add up to, what the stations say.

the charger side's book --> ProfilesView          GetCompositeSchedule + our own calculation --> CompositeView
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from msgspec import Struct

from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot.values import ConnectorId, InvalidValue
from ocpp_server.checks import Look
from ocpp_server.composite import Segment
from ocpp_server.installed import Installed
from ocpp_server.reports import Criteria, ProfileReport

MOST_S = 86_400
"""A composite schedule is shown so far ahead."""
ANSWER_S = 8.0
"""Who asks for a view waits no longer (loop time)."""


class InstalledProfile(Struct, frozen=True, kw_only=True):
    """One profile that a station is believed to hold. ``connector`` 0: the whole station. ``limit``: of its first period, in
    ``unit`` (W, or A a phase). ``expires_at`` null: it does not end by itself. ``confirmed``: the station accepted it and has
    not booted since. ``source``: ``controller``, ``call`` where a person put it there by a call of his own, else who did beside
    the depot, as the station says it (EMS, SO, Other …). ``profile``: as it was sent, in the words of OCPP 1.6."""

    station_id: str
    connector: int
    profile_id: int
    purpose: str
    stack_level: int
    limit: float
    unit: str
    periods: int
    expires_at: datetime | None
    confirmed: bool
    source: str
    said_at: datetime
    profile: dict[str, Any]


class Covered(Struct, frozen=True, kw_only=True):
    """How sure it is what a connector falls to without a controller. ``default_w``: its confirmed default; null: none is relied
    on. ``uncovered``: why it is counted at its rating; empty: it is not. ``differs``: how its own schedule differs from ours."""

    station_id: str
    connector: int
    default_w: int | None
    falls_back: bool | None
    uncovered: str
    differs: str


class ProfilesView(Struct, frozen=True, kw_only=True):
    """Of one station, or of all."""

    at: datetime
    profiles: list[InstalledProfile]
    connectors: list[Covered]


class Step(Struct, frozen=True, kw_only=True):
    """From ``start_s`` on at most ``limit`` over ``phases``; null: no limit."""

    start_s: float
    limit: float | None
    phases: int | None = None


class CompositeView(Struct, frozen=True, kw_only=True):
    """What a connector may draw from now on, by our calculation and by the station's; both in ``unit``. ``theirs`` null: it
    did not tell. ``agrees`` null: they could not be compared; ``text`` says why, or how they differ."""

    at: datetime
    station_id: str
    connector: int
    duration_s: int
    unit: str
    ours: list[Step]
    theirs: list[Step] | None
    agrees: bool | None
    text: str


class ReportedProfile(Struct, frozen=True, kw_only=True):
    """One profile as a station itself reports it. ``evse`` 0: on all of it. ``source``: who set it: CSO is this depot, EMS an energy
    manager, SO the grid's operator. ``profile``: verbatim."""

    evse: int
    source: str
    profile: dict[str, Any]


class ProfileReportView(Struct, frozen=True, kw_only=True):
    """What a station of 2.x answered to GetChargingProfiles. ``outcome``: how the request ended, ``status`` in the station's word.
    ``complete`` false: not all of the report came in time, or it was too long."""

    at: datetime
    station_id: str
    outcome: str
    status: str
    complete: bool
    profiles: list[ReportedProfile]


class RunningView(Struct, frozen=True, kw_only=True):
    """The name that a station of 2.x has given to the transaction that runs on a connector; null: none that is known."""

    station_id: str
    connector: int
    transaction_id: str | None


class Stations(Protocol):
    """What of the charger side is needed here."""

    def running(self, connector: ConnectorId) -> str | None: ...
    async def report_profiles(self, station_id: str, criteria: Criteria, *, within_s: float = 10.0) -> ProfileReport: ...

    def installed(self, station_id: str) -> Sequence[Installed]: ...
    def skew(self, station_id: str) -> timedelta: ...
    def composite(self, connector: ConnectorId, *, duration_s: int) -> tuple[str, Sequence[Segment]]: ...
    async def compare(self, connector: ConnectorId, *, duration_s: int) -> Look | None: ...


class ProfilesRoom:
    """The room."""

    def __init__(self, yard: Yard, stations: Stations) -> None:
        self._yard = yard
        self._stations = stations
        self.commands: Mapping[type[cmd.Command], Carrier] = {}
        self.views: Mapping[type[Struct], Viewer] = {
            ProfilesView: self._show,
            CompositeView: self._compare,
            ProfileReportView: self._report,
            RunningView: self._running,
        }

    async def run(self) -> None:
        """Nothing to follow up."""
        await asyncio.Event().wait()

    async def _show(self, args: Mapping[str, str]) -> ProfilesView | None:
        """``station_id``: only of this one; None where there is no such station."""
        yard, wanted = self._yard, args.get("station_id")
        if wanted is not None and wanted not in yard.stations:
            return None
        names = [wanted] if wanted is not None else sorted(yard.stations)
        profiles: list[InstalledProfile] = []
        for station_id in names:
            skew = self._stations.skew(station_id)
            profiles += [_installed(station_id, entry, skew) for entry in self._stations.installed(station_id)]
        covered = [
            _covered(yard, ConnectorId(station_id, spec.connector)) for station_id in names for spec in yard.stations[station_id].connectors
        ]
        return ProfilesView(at=yard.clock.now(), profiles=profiles, connectors=covered)

    async def _compare(self, args: Mapping[str, str]) -> CompositeView | None:
        """``station_id``, ``connector``, ``duration_s``; None where there is no such connector."""
        key = ConnectorId(args.get("station_id", ""), int(args.get("connector", "1")))
        duration_s = int(args.get("duration_s", "600"))
        if not 1 <= duration_s <= MOST_S:
            raise InvalidValue(f"duration_s {duration_s}: 1 to {MOST_S} s can be shown")
        if key.station_id not in self._yard.stations or (key.connector and key not in self._yard.spec.connectors):
            return None
        look: Look | None = None
        text = "The station tells no composite schedule, or is not connected."
        try:
            async with asyncio.timeout(ANSWER_S):
                look = await self._stations.compare(key, duration_s=duration_s)
        except TimeoutError:
            text = "The station did not answer in time."
        unit, ours = self._stations.composite(key, duration_s=duration_s) if look is None else (look.unit, look.ours)
        return CompositeView(
            at=self._yard.clock.now(),
            station_id=key.station_id,
            connector=key.connector,
            duration_s=duration_s,
            unit=unit,
            ours=_steps(ours),
            theirs=None if look is None else _steps(look.theirs),
            agrees=None if look is None else look.finding.agrees,
            text=text if look is None else look.finding.text,
        )

    async def _running(self, args: Mapping[str, str]) -> RunningView | None:
        """``station_id``, ``connector``; None where there is no such station."""
        key = ConnectorId(args.get("station_id", ""), int(args.get("connector", "0")))
        if key.station_id not in self._yard.stations:
            return None
        return RunningView(station_id=key.station_id, connector=key.connector, transaction_id=self._stations.running(key))

    async def _report(self, args: Mapping[str, str]) -> ProfileReportView | None:
        """``station_id``, and of ``evse``, ``profile_ids`` and ``sources`` (with commas), ``purpose``, ``stack_level`` those that
        matter; None where there is no such station."""
        station_id = args.get("station_id", "")
        if station_id not in self._yard.stations:
            return None
        criteria = Criteria(
            evse=_whole(args.get("evse")), ids=tuple(int(n) for n in args.get("profile_ids", "").split(",") if n),
            purpose=args.get("purpose") or None, stack_level=_whole(args.get("stack_level")),
            sources=tuple(source for source in args.get("sources", "").split(",") if source),
        )  # fmt: skip
        if criteria.empty:
            raise InvalidValue("say which: by profile ids, or by purpose, stack level or source; a place alone is not enough (OCPP K09)")
        found = await self._stations.report_profiles(station_id, criteria, within_s=ANSWER_S)
        said = found.reply.payload.get("status")
        return ProfileReportView(
            at=self._yard.clock.now(), station_id=station_id, outcome=found.reply.outcome.value,
            status=said if isinstance(said, str) else found.reply.code, complete=found.complete,
            profiles=[ReportedProfile(evse=evse, source=source, profile=dict(profile)) for evse, source, profile in found.profiles],
        )  # fmt: skip


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)


def _installed(station_id: str, entry: Installed, skew: timedelta) -> InstalledProfile:
    profile, ends = entry.profile, entry.profile.ends_at()
    return InstalledProfile(
        station_id=station_id,
        connector=profile.connector,
        profile_id=profile.profile_id,
        purpose=profile.purpose.value,
        stack_level=profile.stack_level,
        limit=profile.periods[0].limit,
        unit=profile.unit,
        periods=len(profile.periods),
        expires_at=_ours(ends, skew),
        confirmed=entry.confirmed,
        source=entry.source,
        said_at=entry.said_at,
        profile=dict(entry.payload),
    )


def _ours(at: datetime | None, skew: timedelta) -> datetime | None:
    """A time of the station's clock by ours; what lies beyond the calendar stays where it is."""
    try:
        return None if at is None else at - skew
    except OverflowError:
        return at


def _covered(yard: Yard, key: ConnectorId) -> Covered:
    facts, station = yard.state.connector(key), yard.state.stations.get(key.station_id)
    probe = station.probe if station is not None else None
    return Covered(
        station_id=key.station_id,
        connector=key.connector,
        default_w=facts.default_w,
        falls_back=probe.falls_back if probe is not None else None,
        uncovered=yard.uncovered(key),
        differs=facts.schedule_differs,
    )


def _steps(segments: Sequence[Segment]) -> list[Step]:
    return [Step(start_s=segment.start_s, limit=segment.limit, phases=segment.phases) for segment in segments]
