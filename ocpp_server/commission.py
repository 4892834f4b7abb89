"""From connected to ready: when calls may leave, what is asked first, when the depot hears that a station is ready.

    boot answered --> calls may leave --> calm (2.x) --> probe, survey --> ready --> looks

A booted station takes calls once its Boot CONF is on the wire. One that reconnects without a boot (legal after a
broken link) takes them after a few seconds; it is asked once to boot again if this process never heard it boot,
else for the status of its connectors (reference no. 17).

A 2.x station has much to say after its boot (each connector, its monitors, the transactions that ended meanwhile), so it is
left alone for a while: only calls of people and what cannot wait leave. Until it was asked, the depot counts it at the worst.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator

from depot.events import Registration
from depot.ports import ChargerEvents
from depot.values import ConnectorId, Outcome
from ocpp_server.checks import Checks
from ocpp_server.dialect import Dialect
from ocpp_server.link import Link, Priority
from ocpp_server.settings import OcppSettings
from ocpp_server.station import Station
from ocpp_server.version import Version

log = logging.getLogger(__name__)


class Turns:
    """Who is made ready now, and who waits: when a whole depot comes back at once, boots are answered first and the questions that
    follow them are asked of ``most`` stations at a time (reference no. 3), and of nobody while ``RUSH`` boots come within a
    second. A slow station keeps its place for ``each_s`` at most."""

    RUSH = 100
    RUSH_MOST_S = 5.0
    LOOK_S = 0.1

    def __init__(self, most: int, each_s: float) -> None:
        self._places = asyncio.Semaphore(most)
        self._each_s = each_s
        self._booted_s: deque[float] = deque(maxlen=self.RUSH)

    def booted(self) -> None:
        """A boot was answered."""
        self._booted_s.append(asyncio.get_running_loop().time())

    async def after_the_rush(self) -> None:
        """Wait while many boot, but nobody waits for that longer than RUSH_MOST_S."""
        running = asyncio.get_running_loop()
        over_s = running.time() + self.RUSH_MOST_S
        while len(self._booted_s) == self.RUSH and running.time() - self._booted_s[0] < 1.0 and running.time() < over_s:  # noqa: ASYNC110  # over by itself
            await asyncio.sleep(self.LOOK_S)

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a place, and have it as long as the block lasts, or for as long as anybody may."""
        await self._places.acquire()
        over = asyncio.get_running_loop().call_later(self._each_s, self._places.release)
        try:
            yield
        finally:
            if over.when() > asyncio.get_running_loop().time():
                over.cancel()
                self._places.release()


class Commission:
    """One connection's way to readiness, and then the looks at what the station holds. A boot starts it anew."""

    def __init__(
        self, link: Link, station: Station, dialect: Dialect, checks: Checks, *, events: ChargerEvents, settings: OcppSettings, turns: Turns
    ) -> None:
        self._link = link
        self._station = station
        self._dialect = dialect
        self._checks = checks
        self._events = events
        self._settings = settings
        self._turns = turns
        self._task: asyncio.Task[None] | None = None

    async def without_boot(self) -> None:
        """What happens when a station connects: wait for its boot (which cancels this), go on without."""
        self._task = asyncio.current_task()
        await asyncio.sleep(self._settings.boot_grace_s)
        registration = self._events.registration(self._station.station_id)
        if registration is not Registration.REJECTED:
            self._link.open()
        if registration is not Registration.ACCEPTED:
            return
        await self._calm(booted=False)
        if not self._station.booted and await self._trigger("BootNotification"):
            await asyncio.sleep(self._settings.triggered_boot_s)
        for connector in self._station.connectors:
            await self._trigger("StatusNotification", connector)
        await self._make_ready(booted=False)

    def boot_answered(self) -> None:
        """The CONF that accepts its boot is on the wire."""
        self._station.restarted()
        self._turns.booted()
        self._link.open()
        if self._task is not None:
            self._task.cancel()
        self._task = self._link.spawn(self._make_ready(booted=True))

    def boot_not_accepted(self, *, pending: bool) -> None:
        """It is told to wait. A pending one may be set up meanwhile (1.6 §4.2): calls of people may leave, ours do not."""
        if self._task is not None:
            self._task.cancel()
        if pending:
            self._link.open()

    async def _trigger(self, message: str, connector: int | None = None) -> bool:
        reply = await self._link.call(*self._dialect.trigger(message, connector), priority=Priority.HOUSEKEEPING)
        return reply.outcome is Outcome.ACCEPTED

    async def _make_ready(self, *, booted: bool) -> None:
        try:
            if booted:
                await self._calm(booted=True)
            await self._turns.after_the_rush()
            async with self._turns.one():
                ready = await self._introduced(booted=booted)
            if ready:
                await self._checks.watch()
        except Exception:
            log.exception("making %s ready failed", self._station.station_id)

    async def _calm(self, *, booted: bool) -> None:
        """Leave a 2.x station alone for a while, unless something on it cannot wait."""
        if self._link.version is not Version.V16 and not self._events.pressing(self._station.station_id, booted=booted):
            await asyncio.sleep(self._settings.calm_s)

    async def _introduced(self, *, booted: bool) -> bool:
        """Ask what is not known yet, and tell the depot that the station takes calls; False: it has gone meanwhile."""
        station = self._station
        if booted or station.probe is None:
            found = await self._dialect.probe(self._link, station, self._settings)
            if self._link.ended:
                return False
            found = station.probed(found)
            await self._events.probed(found)
        occupied = [n for n in station.connectors if self._events.occupied(ConnectorId(station.station_id, n))]
        await self._dialect.survey(self._link, station, occupied)
        self._events.ready(station.station_id, booted=booted)
        return True
