"""Saying a level to a station in the way that it understands: the ladder of purposes and units (reference no. 11, 12).

What worked is kept until the next boot; what was refused in every way is no capability, and the depot is told.
"""

from __future__ import annotations

import asyncio

from depot.ports import ChargerEvents, Clock
from depot.values import Outcome, Setpoint
from ocpp_server.dialect import Build, Dialect
from ocpp_server.installed import OURS
from ocpp_server.link import Link, Priority
from ocpp_server.profiles import Purpose, Rung, default_ladder, default_profile, live_ladder, live_profile, profile_id, with_outlook
from ocpp_server.reply import Reply
from ocpp_server.session import Payload
from ocpp_server.station import Station
from ocpp_server.version import Version

YOUNG_S = 1.0
"""A TxProfile refused right after its transaction was answered is said again after this time (loop time)."""


class Ladder:
    """Levels for one station over one of its connections."""

    def __init__(self, station: Station, link: Link, dialect: Dialect, *, events: ChargerEvents, clock: Clock) -> None:
        self._station = station
        self._link = link
        self._dialect = dialect
        self._events = events
        self._clock = clock

    async def start(self, setpoint: Setpoint, id_tag: str, kind: str) -> Outcome:
        station, number = self._station, setpoint.connector.connector
        rung = station.live_rung or next(iter(self._live_rungs()), None)
        if station.start_with_profile and rung is not None and rung.purpose is Purpose.TX:
            call = self._dialect.start(station, number, id_tag, kind, self._live(setpoint, rung))
            reply = await self._link.call(*call, connector=number, source=OURS)
            if reply.outcome is Outcome.REFUSED or not reply.refused:
                return reply.outcome
            station.start_with_profile = False  # it cannot read the profile; its default holds until the first setpoint
        return (await self._link.call(*self._dialect.start(station, number, id_tag, kind, None), connector=number)).outcome

    async def install_default(self, number: int, level_w: int) -> Outcome:
        station = self._station
        purposes = frozenset(station.capability.purposes)
        ladder = [station.default_rung] if station.default_rung else default_ladder(station.capability.rate_units, purposes)
        outcome = Outcome.UNSUPPORTED
        station.wanted_defaults[number] = level_w
        for rung in ladder:
            if station.wanted_defaults[number] != level_w:
                return Outcome.ERROR  # a newer one is on its way
            call = self._dialect.set_profile(station, number, self._default(number, level_w, rung))
            reply = await self._link.call(*call, key=f"default/{number}", source=OURS)
            outcome = reply.outcome
            if outcome is Outcome.ACCEPTED:
                station.default_rung = rung
                station.defaults[number] = level_w
                return outcome
            if not reply.refused:
                return outcome
        if ladder and station.default_rung is None:
            await self._learn_without(Purpose.TX_DEFAULT)
        return outcome

    async def apply(self, setpoint: Setpoint) -> Outcome:
        if setpoint.transaction_id is None:
            return Outcome.REFUSED  # nothing charges there: its default holds
        station, link = self._station, self._link
        number = setpoint.connector.connector
        newest = station.newest[number] = station.newest.get(number, 0) + 1
        known = station.live_rung
        refused: dict[Purpose, None] = {}
        rungs = [known] if known else self._live_rungs()
        transactional = [rung for rung in rungs if rung.purpose is Purpose.TX]
        others = rungs[len(transactional) :]
        young = False
        for n, rung in enumerate(rungs if known else [*transactional, *transactional, *others]):
            if not known and len(transactional) <= n < 2 * len(transactional):
                if not young:
                    continue  # it does not understand, and will not in a second
                if n == len(transactional):
                    await asyncio.sleep(YOUNG_S)  # it may not have taken in yet that its transaction has this id
            elif refused and n == 2 * len(transactional):  # what its start carried would stand above this rung
                await link.call(*self._dialect.clear(profile=profile_id(Purpose.TX, number, live=True)))
            if station.newest[number] != newest:
                return Outcome.ERROR  # a newer setpoint is on its way; this one must not replace it
            reply = await self._set_live(setpoint, rung)
            if reply.outcome is Outcome.ACCEPTED:
                station.levels[number] = setpoint.level_w
                station.live_rung = rung
                for purpose in refused:
                    if purpose is not rung.purpose:
                        await self._learn_without(purpose)
                return reply.outcome
            if not reply.outcome.certain:
                station.levels.pop(number, None)
            if known is not None or not reply.refused:
                return reply.outcome
            refused[rung.purpose] = None
            young = young or reply.outcome is Outcome.REFUSED
        return Outcome.UNSUPPORTED

    async def _set_live(self, setpoint: Setpoint, rung: Rung) -> Reply:
        number = setpoint.connector.connector
        target = 0 if rung.purpose is Purpose.MAX else number
        return await self._link.call(
            *self._dialect.set_profile(self._station, target, self._live(setpoint, rung)),
            priority=Priority.URGENT if self._eases(number, setpoint.level_w) else Priority.NORMAL,
            key=f"live/{number}",
            connector=number,
            source=OURS,
        )

    def _eases(self, number: int, level_w: int) -> bool:
        """Whether a level is less than what was told before: less to draw, or less to give."""
        before_w = self._station.levels.get(number)
        return before_w is not None and (level_w < before_w if before_w >= 0 else level_w > before_w)

    def _live(self, setpoint: Setpoint, rung: Rung) -> Build:
        """The profile, made when its turn comes: its times must be right then, and a setpoint that has expired must
        not leave."""
        station = self._station

        def build() -> Payload | None:
            now = self._clock.now()
            if now >= setpoint.until:
                return None
            if setpoint.level_w < 0 and (station.version is not Version.V21 or rung.purpose is not Purpose.TX):
                return None  # nothing else could be understood as a discharge, or would end with its transaction
            spec = station.connectors[setpoint.connector.connector]
            skew = station.clock.skew
            made = live_profile(setpoint, spec, rung, now=now, skew=skew, max_stack_level=station.max_stack_level)
            if setpoint.outlook is None or station.version is Version.V16 or rung.purpose is not Purpose.TX:
                return made
            most = station.capability.max_periods
            return with_outlook(made, setpoint.outlook, spec, skew=skew, most=most, priced_by=station.version)

        return build

    def _default(self, number: int, level_w: int, rung: Rung) -> Build:
        station = self._station
        return lambda: default_profile(level_w, number, station.connectors[number], rung, now=self._clock.now(), skew=station.clock.skew)

    async def _learn_without(self, purpose: Purpose) -> None:
        """A purpose that was refused in every way is no capability: the depot should know."""
        found = self._station.without(purpose)
        if found is not None:
            await self._events.probed(found)

    def _live_rungs(self) -> list[Rung]:
        station, found = self._station, self._station.capability
        return live_ladder(
            found.rate_units, frozenset(found.purposes), max_stack_level=station.max_stack_level, connectors=len(station.connectors)
        )
