"""The central system: who is connected (the newest connection wins), and the depot's commands to chargers.

Connections are kept by (station, generation): a new one takes the place at once, the old one's waiting calls end, and
what the old one does when it finally closes touches nothing (reference no. 2).
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from depot.events import StationProbed
from depot.ports import ChargerEvents, Clock
from depot.readings import LinkReading
from depot.registry import DepotSpec
from depot.values import ConnectorId, Outcome, SafeSetpoints, Setpoint
from ocpp_server.commission import Commission
from ocpp_server.endpoint import Credentials, Endpoint
from ocpp_server.frames import Frame
from ocpp_server.link import Link, Priority
from ocpp_server.profiles import Purpose, Rung, default_ladder, default_profile, live_ladder, live_profile, profile_id
from ocpp_server.reply import Reply
from ocpp_server.schemas import validator
from ocpp_server.settings import OcppSettings
from ocpp_server.station import Station
from ocpp_server.v16 import HEARD, Inbound, Quarantine
from ocpp_server.wire import Wire

log = logging.getLogger(__name__)

YOUNG_S = 1.0
"""A TxProfile refused right after its transaction was answered is said again after this time (loop time)."""


class Central:
    """The central system of one depot. An async context manager: on exit every connection and task has ended.

    ``known_probe``: what the journal knows of stations, so that a reconnect asks nothing again.
    """

    def __init__(
        self,
        *,
        spec: DepotSpec,
        events: ChargerEvents,
        clock: Clock,
        credentials: Credentials,
        settings: OcppSettings | None = None,
        known_probe: Mapping[str, StationProbed] | None = None,
    ) -> None:
        self._spec = spec
        self._events = events
        self._clock = clock
        self._settings = settings or OcppSettings()
        self._endpoint = Endpoint(
            credentials=credentials, settings=self._settings, attach=self._attach_socket, refused=self._knocked_in_vain
        )
        known = known_probe or {}
        now = clock.now()
        self._stations = {s.station_id: Station(s, known_probe=known.get(s.station_id), now=now) for s in spec.stations}
        self._links: dict[str, Link] = {}
        self._quarantined: dict[str, Link] = {}
        self._reported: set[str] = set()
        self._reports: dict[asyncio.Task[None], None] = {}
        self._serving: dict[asyncio.Task[Any], None] = {}

    async def __aenter__(self) -> Self:
        for name in HEARD:
            validator(name)  # now: compiling one takes tens of milliseconds, once
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for link in (*self._links.values(), *self._quarantined.values()):
            link.end(1012, "central system restarts")
        await self._endpoint.close()
        tasks = [*self._serving, *self._reports]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    @property
    def port(self) -> int:
        """The port that :meth:`listen` got (where it was asked for 0)."""
        return self._endpoint.port

    async def listen(self, host: str, port: int) -> None:
        """Accept ``ws://host:port/ocpp/{station_id}``. Raises :class:`~ocpp_server.errors.PortInUse`."""
        await self._endpoint.listen(host, port)

    async def attach(self, wire: Wire, station_id: str, *, remote: str = "") -> None:
        """Serve one connection until it closes. The caller has checked who it is."""
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = None
        try:
            station = self._stations.get(station_id)
            if station is None:
                await self._serve_unknown(wire, station_id, remote)
            else:
                await self._serve(wire, station, remote)
        finally:
            self._serving.pop(task, None)

    async def _attach_socket(self, wire: Wire, station_id: str, remote: str) -> None:
        await self.attach(wire, station_id, remote=remote)

    async def _serve(self, wire: Wire, station: Station, remote: str) -> None:
        settings = self._settings
        spread = zlib.crc32(station.station_id.encode()) / 2**32 * settings.heartbeat_jitter

        def boot_answered(interval_s: int | None) -> None:
            if interval_s is not None:
                link.idle_s = station.idle_s = max(settings.idle_least_s, settings.idle_heartbeats * interval_s)
                commission.boot_answered()

        handler = Inbound(
            station, events=self._events, clock=self._clock, jitter=spread, replay_age_s=settings.replay_age_s, boot_answered=boot_answered
        )
        link = Link(
            wire,
            handler=handler,
            record=_Record(station, self._clock),
            settings=settings,
            when_ended=lambda ended: self._left(station, ended),
            idle_s=station.idle_s or settings.idle_unknown_s,
            patience_s=station.patience_s,
        )
        commission = Commission(link, station, events=self._events, settings=settings)
        older = self._links.get(station.station_id)
        self._links[station.station_id] = link
        if older is not None:
            station.violations["second_connection"] += 1
            log.info("station %s: a newer connection from %s took over from %s", station.station_id, remote, station.remote)
            older.end(1008, "a newer connection of this station took over")
        station.remote = remote
        station.since = station.last_frame_at = self._clock.now()
        self._events.link_changed(station.reading(connected=True))
        await link.run(commission.without_boot)

    def _left(self, station: Station, link: Link) -> None:
        """A connection ended; if it was the station's newest, the station is gone (reference no. 2)."""
        if self._links.get(station.station_id) is link:
            del self._links[station.station_id]
            station.since = self._clock.now()
            self._events.link_changed(station.reading(connected=False))

    async def _serve_unknown(self, wire: Wire, station_id: str, remote: str) -> None:
        older = self._quarantined.get(station_id)
        if older is None and len(self._quarantined) >= self._settings.quarantined:
            await wire.close(1013, "too many unknown stations")
            return

        async def knocked() -> None:
            if self._is_news(station_id):
                await self._events.quarantined(station_id, remote)

        handler = Quarantine(station_id, clock=self._clock, interval_s=self._settings.rejected_interval_s, knocked=knocked)
        idle_s = self._settings.idle_heartbeats * self._settings.rejected_interval_s

        def left(ended: Link) -> None:
            if self._quarantined.get(station_id) is ended:
                del self._quarantined[station_id]

        link = Link(wire, handler=handler, record=_NoRecord(), settings=self._settings, when_ended=left, idle_s=idle_s)
        self._quarantined[station_id] = link
        if older is not None:
            older.end(1008, "a newer connection of this station took over")
        await link.run()

    def _is_news(self, station_id: str) -> bool:
        """Whether an unknown id was not reported yet; a bounded memory, so that made-up ids cannot fill the journal."""
        if station_id in self._stations or station_id in self._reported or len(self._reported) >= 20 * self._settings.quarantined:
            return False
        self._reported.add(station_id)
        return True

    def _knocked_in_vain(self, station_id: str, remote: str) -> None:
        """Somebody was refused at the door. A station that nobody declared yet should be seen by the operator."""
        log.info("a connection as %s from %s was refused", station_id, remote)
        if self._is_news(station_id):
            task = asyncio.create_task(self._events.quarantined(station_id, remote))
            self._reports[task] = None
            task.add_done_callback(lambda done: self._reports.pop(done, None))

    # ------------------------------------------------------------------ what is known

    def connected(self, station_id: str) -> bool:
        return station_id in self._links

    def link(self, station_id: str) -> LinkReading | None:
        """State of a declared station's link; None for an unknown id."""
        station = self._stations.get(station_id)
        return None if station is None else station.reading(connected=self.connected(station_id))

    def frames(self, station_id: str) -> tuple[Frame, ...]:
        """The last frames of a station, redacted, oldest first."""
        station = self._stations.get(station_id)
        return () if station is None else station.log.recent()

    def violations(self, station_id: str) -> Mapping[str, int]:
        """How often a station broke which rule."""
        station = self._stations.get(station_id)
        return {} if station is None else {name: count for name, count in station.violations.items() if count}

    def skew(self, station_id: str) -> timedelta:
        """How far the station's clock is ahead of ours."""
        return self._stations[station_id].clock.skew

    # ------------------------------------------------------------------ the Chargers port

    async def apply(self, setpoints: SafeSetpoints) -> Sequence[Outcome]:
        """See :class:`depot.ports.Chargers`. Stations are served at the same time, each one call after the other."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._apply(setpoint)) for setpoint in setpoints]
        return [task.result() for task in tasks]

    async def start(self, setpoint: Setpoint, id_tag: str) -> Outcome:
        station, link = self._reach(setpoint.connector)
        if station is None or link is None:
            return Outcome.OFFLINE
        number = setpoint.connector.connector
        rung = station.live_rung or next(iter(_live_rungs(station)), None)
        payload = {"connectorId": number, "idTag": id_tag}
        if station.start_with_profile and rung is not None and rung.purpose is Purpose.TX:
            with_profile = self._live(station, setpoint, rung, payload, "chargingProfile")
            reply = await link.call("RemoteStartTransaction", with_profile, connector=number)
            if reply.outcome is Outcome.REFUSED or not reply.refused:
                return reply.outcome
            station.start_with_profile = False  # it cannot read the profile; its default holds until the first setpoint
        return (await link.call("RemoteStartTransaction", payload, connector=number)).outcome

    async def stop(self, connector: ConnectorId, transaction_id: int) -> Outcome:
        return (await self._call(connector.station_id, "RemoteStopTransaction", {"transactionId": transaction_id})).outcome

    async def install_default(self, connector: ConnectorId, level_w: int) -> Outcome:
        station, link = self._reach(connector)
        if station is None or link is None:
            return Outcome.OFFLINE
        number = connector.connector
        purposes = frozenset(station.capability.purposes)
        ladder = [station.default_rung] if station.default_rung else default_ladder(station.capability.rate_units, purposes)
        outcome = Outcome.UNSUPPORTED
        for rung in ladder:
            reply = await link.call("SetChargingProfile", self._default(station, number, level_w, rung), key=f"default/{number}")
            outcome = reply.outcome
            if outcome is Outcome.ACCEPTED:
                station.default_rung = rung
                return outcome
            if not reply.refused:
                return outcome
        if ladder and station.default_rung is None:
            await self._learn_without(station, Purpose.TX_DEFAULT)
        return outcome

    async def set_operative(self, connector: ConnectorId, operative: bool) -> Outcome:
        """ChangeAvailability; ``Scheduled`` (when the transaction ends) is accepted."""
        payload = {"connectorId": connector.connector, "type": "Operative" if operative else "Inoperative"}
        priority = Priority.NORMAL if operative else Priority.URGENT
        return (await self._call(connector.station_id, "ChangeAvailability", payload, priority=priority)).outcome

    async def request_reading(self, connector: ConnectorId) -> Outcome:
        return (await self.trigger(connector.station_id, "MeterValues", connector=connector.connector)).outcome

    # ------------------------------------------------------------------ further calls

    async def trigger(self, station_id: str, message: str, *, connector: int | None = None) -> Reply:
        """TriggerMessage: ask for a message now."""
        payload: dict[str, Any] = {"requestedMessage": message} | ({} if connector is None else {"connectorId": connector})
        return await self._call(station_id, "TriggerMessage", payload, key=f"trigger/{message}/{connector}")

    async def get_composite(self, connector: ConnectorId, *, duration_s: int, unit: str | None = None) -> Reply:
        """GetCompositeSchedule: what the station says that it would allow, in ``payload["chargingSchedule"]``."""
        payload: dict[str, Any] = {"connectorId": connector.connector, "duration": duration_s}
        if unit is not None:
            payload["chargingRateUnit"] = unit
        return await self._call(connector.station_id, "GetCompositeSchedule", payload)

    async def clear_profiles(self, station_id: str, *, connector: int | None = None, purpose: Purpose | None = None) -> Reply:
        """ClearChargingProfile of what matches; ``Unknown`` in the answer means that there was none."""
        payload: dict[str, Any] = {} if connector is None else {"connectorId": connector}
        if purpose is not None:
            payload["chargingProfilePurpose"] = purpose.value
        return await self._call(station_id, "ClearChargingProfile", payload)

    async def get_configuration(self, station_id: str, *keys: str) -> Reply:
        """GetConfiguration of some keys, or of all."""
        return await self._call(station_id, "GetConfiguration", {"key": list(keys)} if keys else {})

    # ------------------------------------------------------------------ within

    async def _call(
        self, station_id: str, action: str, payload: dict[str, Any], *, priority: Priority = Priority.NORMAL, key: str | None = None
    ) -> Reply:
        link = self._links.get(station_id)
        return Reply(Outcome.OFFLINE) if link is None else await link.call(action, payload, priority=priority, key=key)

    def _reach(self, connector: ConnectorId) -> tuple[Station | None, Link | None]:
        station = self._stations.get(connector.station_id)
        if station is None or connector.connector not in station.connectors:
            return None, None
        return station, self._links.get(connector.station_id)

    async def _apply(self, setpoint: Setpoint) -> Outcome:
        station, link = self._reach(setpoint.connector)
        if station is None or link is None:
            return Outcome.OFFLINE
        if setpoint.transaction_id is None:
            return Outcome.REFUSED  # nothing charges there: its default holds
        number = setpoint.connector.connector
        newest = station.newest[number] = station.newest.get(number, 0) + 1
        known = station.live_rung
        refused: dict[Purpose, None] = {}
        rungs = [known] if known else _live_rungs(station)
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
                await link.call("ClearChargingProfile", {"id": profile_id(Purpose.TX, number, live=True)})
            if station.newest[number] != newest:
                return Outcome.ERROR  # a newer setpoint is on its way; this one must not replace it
            reply = await self._set_live(link, station, setpoint, rung)
            if reply.outcome is Outcome.ACCEPTED:
                station.levels[number] = setpoint.level_w
                station.live_rung = rung
                for purpose in refused:
                    if purpose is not rung.purpose:
                        await self._learn_without(station, purpose)
                return reply.outcome
            if not reply.outcome.certain:
                station.levels.pop(number, None)
            if known is not None or not reply.refused:
                return reply.outcome
            refused[rung.purpose] = None
            young = young or reply.outcome is Outcome.REFUSED
        return Outcome.UNSUPPORTED

    async def _set_live(self, link: Link, station: Station, setpoint: Setpoint, rung: Rung) -> Reply:
        number = setpoint.connector.connector
        return await link.call(
            "SetChargingProfile",
            self._live(station, setpoint, rung, {"connectorId": 0 if rung.purpose is Purpose.MAX else number}, "csChargingProfiles"),
            priority=Priority.URGENT if setpoint.level_w < station.levels.get(number, setpoint.level_w + 1) else Priority.NORMAL,
            key=f"live/{number}",
            connector=number,
        )

    def _live(
        self, station: Station, setpoint: Setpoint, rung: Rung, payload: dict[str, Any], name: str
    ) -> Callable[[], dict[str, Any] | None]:
        """The payload with the profile as ``name``, built when its turn comes: its times must be right then, and a
        setpoint that has expired must not leave."""

        def build() -> dict[str, Any] | None:
            now = self._clock.now()
            if now >= setpoint.until:
                return None
            spec = station.connectors[setpoint.connector.connector]
            profile = live_profile(setpoint, spec, rung, now=now, skew=station.clock.skew, max_stack_level=station.max_stack_level)
            return {**payload, name: profile}

        return build

    def _default(self, station: Station, number: int, level_w: int, rung: Rung) -> Callable[[], dict[str, Any]]:
        def build() -> dict[str, Any]:
            profile = default_profile(level_w, number, station.connectors[number], rung, now=self._clock.now(), skew=station.clock.skew)
            return {"connectorId": number, "csChargingProfiles": profile}

        return build

    async def _learn_without(self, station: Station, purpose: Purpose) -> None:
        """A purpose that was refused in every way is no capability: the depot should know."""
        found = station.without(purpose)
        if found is not None:
            await self._events.probed(found)


def _live_rungs(station: Station) -> list[Rung]:
    found = station.capability
    return live_ladder(
        found.rate_units, frozenset(found.purposes), max_stack_level=station.max_stack_level, connectors=len(station.connectors)
    )


class _Record:
    """What a link notes of a known station."""

    def __init__(self, station: Station, clock: Clock) -> None:
        self._station = station
        self._clock = clock

    def heard(self) -> None:
        self._station.last_frame_at = self._clock.now()

    def violated(self, name: str) -> None:
        self._station.violations[name] += 1

    def needs_patience(self, seconds: float) -> None:
        self._station.patience_s = seconds

    def frame(self, direction: str, action: str, summary: str) -> None:
        self._station.log.add(self._clock.now(), direction, action, summary)


class _NoRecord:
    """Of an unknown station nothing is kept."""

    def heard(self) -> None: ...
    def violated(self, name: str) -> None: ...
    def needs_patience(self, seconds: float) -> None: ...
    def frame(self, direction: str, action: str, summary: str) -> None: ...
