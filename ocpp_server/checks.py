"""Looks at what a station holds: rarely, and after a surprise (invariants 3 and 11; reference no. 11 and 14).

    ready, + 30 s --> our defaults are there? --> GetCompositeSchedule == our own composite? --> does the default come back?
         ^                 | no: installed again      | no: ours sent once more, else told      | told as falls_back
         +---- an hour, or a surprise ----------------+----------------------------------------+

A composite schedule is asked for further ahead than any live profile lives, so that it shows what comes after. A station that
tells none is not asked again until it boots; one of 2.0.1 is asked for its list of profiles instead. Nothing that is found
here makes the depot believe a station more: what it may draw is judged by its meter, and only *less* is concluded from a look.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from depot.ports import ChargerEvents, Clock
from depot.values import ConnectorId, Outcome
from ocpp_server.agreement import TIME_S, Finding, compare, least_difference, read_answer
from ocpp_server.composite import Segment, after
from ocpp_server.dialect import Dialect
from ocpp_server.installed import OURS, Installed
from ocpp_server.ladder import Ladder
from ocpp_server.link import Link, Priority
from ocpp_server.profiles import Purpose, profile_id, trial_profile
from ocpp_server.reports import Criteria, ask_profiles
from ocpp_server.session import Payload
from ocpp_server.settings import OcppSettings
from ocpp_server.station import Station
from ocpp_server.version import Version

log = logging.getLogger(__name__)

BELIEVED = timedelta(minutes=2)
"""A schedule that says to begin further from now is taken to begin now: some answer with their midnight."""
SETTLES_S = 5.0
"""After a surprise, what belongs together has come by then (loop time)."""
REPORT_S = 15.0
WHOLE = 0
"""Instead of a connector: the whole station."""


@dataclass(frozen=True, slots=True)
class Look:
    """One comparison. ``expiry_s``: when what is live there ends, from its start; 0: nothing is. ``ours``, ``theirs``: the two
    schedules in ``unit``."""

    finding: Finding
    expiry_s: float
    unit: str
    ours: tuple[Segment, ...]
    theirs: tuple[Segment, ...]


class Checks:
    """The looks of one connection. :meth:`watch` runs until it is cancelled."""

    def __init__(
        self, link: Link, station: Station, dialect: Dialect, ladder: Ladder, *, events: ChargerEvents, clock: Clock, settings: OcppSettings
    ) -> None:
        self._link = link
        self._station = station
        self._dialect = dialect
        self._ladder = ladder
        self._events = events
        self._clock = clock
        self._settings = settings

    async def watch(self) -> None:
        """Look now and then; stations are spread, so that they are not asked in step."""
        settings, loop = self._settings, asyncio.get_running_loop()
        spread = zlib.crc32(self._station.station_id.encode()) / 2**32
        await asyncio.sleep(settings.first_look_s * (1 + spread))
        while not self._link.ended:
            self._station.look.clear()
            await self.check()
            next_s = loop.time() + settings.look_every_s * (1 + 0.1 * spread)
            await asyncio.sleep(settings.look_least_s)
            try:
                async with asyncio.timeout_at(next_s):
                    await self._station.look.wait()
                await asyncio.sleep(SETTLES_S)
            except TimeoutError:
                pass

    async def check(self) -> None:
        """One round over the connectors that hold something of ours."""
        if self._station.installed.running:
            self._station.open_looks = max(0, self._station.open_looks - 1)
        agreed = []
        for number in self._station.connectors:
            if self._link.ended:
                return
            await self._default(number)
            holds = number in self._station.defaults or number in self._station.installed.running
            if holds and await self._composite(number):
                agreed.append(number)
        if self._station.capability.falls_back is not True:
            await self._try_fallback(agreed)

    # -- the default --------------------------------------------------------------------------------------------------

    async def _default(self, number: int) -> None:
        """Our default is there, or is installed again (invariant 3)."""
        station = self._station
        if number not in station.defaults or await self._holds_default(number):
            return
        station.violations["default_missing"] += 1
        log.warning("station %s: the default of connector %d is missing; it is installed again", station.station_id, number)
        outcome = await self._ladder.install_default(number, station.wanted_defaults[number])
        lost = outcome in (Outcome.REFUSED, Outcome.UNSUPPORTED)  # else it comes again, or the link is gone
        if lost or (outcome is Outcome.ACCEPTED and not await self._holds_default(number)):
            await self._learned(falls_back=False)

    async def _holds_default(self, number: int) -> bool:
        """By our own book, and by the station's list where its composite schedule cannot tell."""
        station = self._station
        if station.installed.default(number) is None:
            return False
        if station.version is Version.V16 or station.tells_composite:
            return True
        wanted = profile_id(Purpose.TX_DEFAULT, number, live=False)
        ours = Criteria(ids=(wanted,))
        listed = await ask_profiles(self._link, station.reports, ours, within_s=REPORT_S, priority=Priority.HOUSEKEEPING)
        return not listed.complete or any(found.profile.get("id") == wanted for found in listed.profiles)

    # -- the composite schedule ---------------------------------------------------------------------------------------

    async def _composite(self, number: int) -> bool:
        """Compare, tell, conclude. Whether they agree."""
        station = self._station
        look = await self.look(number)
        if look is None or look.finding.agrees is None:
            return False
        if look.finding.agrees is False:
            station.violations["composite_differs"] += 1
            await self._send_again(number)
            again = await self.look(number)
            if again is None or again.finding.agrees is None:
                return False
            look = again
        connector = ConnectorId(station.station_id, number)
        await self._events.compared(connector, agrees=look.finding.agrees is True, detail=look.finding.text)
        if look.finding.agrees:
            if self._shows_fallback(look, number):
                await self._learned(falls_back=True)
        elif look.finding.more and look.finding.differs_s >= look.expiry_s - TIME_S:
            await self._learned(falls_back=False)
        return look.finding.agrees is True

    async def look(self, number: int) -> Look | None:
        """Ask for the composite schedule and compare; None: the station does not tell, and is not asked again."""
        return await self.ask(number, self._settings.composite_s, Priority.HOUSEKEEPING) if self._station.tells_composite else None

    async def ask(self, number: int, asked_s: int, priority: Priority = Priority.NORMAL) -> Look | None:
        """The same for so many seconds ahead, whatever the station said before; None: it does not tell."""
        station, book = self._station, self._station.installed
        if number == WHOLE:
            return await self._ask_whole(asked_s)
        reply = await self._link.call(*self._dialect.composite(number, asked_s, None), priority=priority)
        told = read_answer(self._dialect.schedule(reply.payload)) if reply.outcome is Outcome.ACCEPTED else None
        idle = number not in book.running
        if told is None:
            if reply.outcome is Outcome.UNSUPPORTED or (not idle and (reply.refused or reply.outcome is Outcome.ACCEPTED)):
                station.tells_composite = False
                await self._learned(composite=False)
            return None
        await self._learned(composite=True)
        now = self._clock.now() + station.clock.skew
        at = told.start if told.start is not None and abs(told.start - now) < BELIEVED else now
        spec = station.connectors[number]
        ours = book.composite(number, spec=spec, at=at, duration_s=asked_s, unit=told.unit)
        concerned = [entry for entry in book.held(at) if entry.profile.connector in (0, number)]
        other_unit = any(entry.profile.unit != told.unit for entry in concerned)
        vague = book.vague(number, at)
        if vague:
            finding = Finding(None, text=vague)
        elif book.certain(number, at):
            finding = compare(ours, told, spec=spec, asked_s=asked_s, other_unit=other_unit, idle=idle)
        else:
            finding = Finding(None, text="a profile there was not confirmed")
        theirs = tuple(Segment(period.start_s, period.limit, period.phases) for period in told.periods)
        return Look(finding, _expiry_s(concerned, number, at), told.unit, tuple(ours), theirs)

    async def _ask_whole(self, asked_s: int) -> Look | None:
        """Of the whole station (EVSE 0): some tell the limit of its connection, some the sum of what their EVSEs may draw; shown
        beside what the profiles of the whole station say, and not compared."""
        station = self._station
        reply = await self._link.call(*self._dialect.composite(WHOLE, asked_s, None))
        told = read_answer(self._dialect.schedule(reply.payload)) if reply.outcome is Outcome.ACCEPTED else None
        if told is None:
            return None
        at = self._clock.now() + station.clock.skew
        ours = station.installed.composite(WHOLE, spec=station.whole, at=at, duration_s=asked_s, unit=told.unit)
        theirs = tuple(Segment(period.start_s, period.limit, period.phases) for period in told.periods)
        text = "limits of the whole station are shown and not compared"
        return Look(Finding(None, text=text), 0.0, told.unit, tuple(ours), theirs)

    async def _send_again(self, number: int) -> None:
        """What is ours and confirmed goes out once more, as it was; not what something newer has replaced meanwhile."""
        station = self._station
        for entry in station.installed.held(self._clock.now() + station.clock.skew):
            if entry.ours and entry.profile.connector in (0, number):
                call = self._dialect.set_profile(station, entry.profile.connector, partial(self._still, entry))
                await self._link.call(*call, priority=Priority.HOUSEKEEPING, source=OURS)

    def _still(self, entry: Installed) -> Payload | None:
        held = self._station.installed.held(self._clock.now() + self._station.clock.skew)
        return dict(entry.payload) if entry in held else None

    # -- whether the default comes back -------------------------------------------------------------------------------

    def _shows_fallback(self, look: Look, number: int) -> bool:
        """Whether the comparison reached beyond the end of what is live, to a default that is another level."""
        if not look.expiry_s or look.finding.shown_s < look.expiry_s + TIME_S:
            return False
        before = next((s.limit for s in reversed(look.ours) if s.start_s < look.expiry_s - 1), None)
        after_it = next((s.limit for s in reversed(look.ours) if s.start_s <= look.expiry_s + 1), None)
        if before is None or after_it is None:
            return False
        return abs(before - after_it) > 2 * least_difference(look.unit, self._station.connectors[number])

    async def _try_fallback(self, agreed: list[int]) -> None:
        """Where nothing charges: lay half of the default over it for a minute, and see whether the default is back. Less than
        the default cannot hurt anybody, and it ends by itself. Once after a boot. ``agreed``: connectors whose default the
        composite shows; of the others a session will tell."""
        station = self._station
        stacks = station.max_stack_level is None or station.max_stack_level > 0
        if station.fallback_tried or not stacks or station.default_rung is None:
            return
        free = [n for n in agreed if station.defaults.get(n, 0) > 0 and n not in station.installed.running]
        if free:
            station.fallback_tried = True
            found = await self._trial(free[0], station.defaults[free[0]] // 2, station.default_rung.unit)
            if found is not None:
                await self._learned(falls_back=found)

    async def _trial(self, number: int, level_w: int, unit: str) -> bool | None:
        station, link = self._station, self._link
        spec = station.connectors[number]

        def build() -> Payload:
            return trial_profile(level_w, number, spec, unit, now=self._clock.now(), skew=station.clock.skew)

        reply = await link.call(*self._dialect.set_profile(station, number, build), priority=Priority.HOUSEKEEPING, source=OURS)
        if reply.outcome is not Outcome.ACCEPTED:
            return None
        trial = build()
        try:
            look = await self.look(number)
            if look is None or not look.finding.agrees or number in station.installed.running:
                return None
            if self._shows_fallback(look, number):
                return True
            await self._clock.sleep(look.expiry_s + TIME_S)
            look = await self.look(number)
            if look is None or look.finding.agrees is None or number in station.installed.running:
                return None
            return look.finding.agrees
        finally:
            if not link.ended:
                await link.call(*self._dialect.clear(profile=trial["chargingProfileId"]), priority=Priority.HOUSEKEEPING, source=OURS)

    async def _learned(self, *, composite: bool | None = None, falls_back: bool | None = None) -> None:
        found = self._station.learned(composite=composite, falls_back=falls_back)
        if found is not None:
            if falls_back is False:
                log.warning("station %s does not fall back to its default", self._station.station_id)
            await self._events.probed(found)


def _expiry_s(entries: list[Installed], number: int, at: datetime) -> float:
    """When the last of what is live on the connector ends, s from ``at``; 0: nothing is live."""
    ends = [end for entry in entries if entry.ours and (end := entry.profile.ends_at()) is not None]
    return max((max(0.0, (min(end, after(at, 86_400)) - at).total_seconds()) for end in ends), default=0.0)
