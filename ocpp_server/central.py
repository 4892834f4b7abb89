"""The central system: who is connected (the newest connection wins), and the depot's commands to chargers.

Connections are kept by (station, generation): a new one takes the place at once, the old one's waiting calls end, and
what the old one does when it finally closes touches nothing (reference no. 2).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from depot.device_model import Variable
from depot.events import Registration, StationProbed
from depot.ports import BootAnswer, ChargerEvents, Clock
from depot.readings import LinkReading
from depot.registry import DepotSpec, StationSpec
from depot.smart_charging import ExternalLimit
from depot.values import ConnectorId, Outcome, SafeSetpoints, Setpoint
from ocpp_server.access import AccessBook
from ocpp_server.checks import Checks, Look
from ocpp_server.commission import Commission, Turns
from ocpp_server.composite import Segment
from ocpp_server.configuration import NOTED_KEYS, ConfigurationBook
from ocpp_server.desks import Desks
from ocpp_server.device_model import NOTED_MODEL, batches, get_variables, set_variables, told_by
from ocpp_server.dialect import Call, Dialect
from ocpp_server.dynamic_schedules import DYNAMIC_CALLS
from ocpp_server.endpoint import Endpoint
from ocpp_server.event_streams import STREAM_CALLS, Stream
from ocpp_server.frames import IN, OUT, Frame, Kind, Message
from ocpp_server.installed import BY_CALL, NOTED, Installed
from ocpp_server.ladder import Ladder
from ocpp_server.link import Link, Priority
from ocpp_server.profiles import Purpose
from ocpp_server.quarantine import Quarantine
from ocpp_server.reply import Reply
from ocpp_server.reports import Criteria, ProfileReport, ask_profiles
from ocpp_server.schemas import Payload, validator
from ocpp_server.session import MessageId
from ocpp_server.settings import OcppSettings
from ocpp_server.station import Station
from ocpp_server.v16_outbound import Dialect16
from ocpp_server.v21_outbound import Dialect21
from ocpp_server.v201_outbound import Dialect201
from ocpp_server.version import Version
from ocpp_server.wire import Wire

log = logging.getLogger(__name__)

DIALECTS: Mapping[Version, Dialect] = {Version.V16: Dialect16(), Version.V201: Dialect201(), Version.V21: Dialect21()}


class Central:
    """The central system of one depot. An async context manager: on exit every connection and task has ended.

    ``known_probe``: what the journal knows of stations, so that a reconnect asks nothing again. ``desks``: who hears what
    stations say beside charging.
    """

    def __init__(
        self,
        *,
        spec: DepotSpec,
        events: ChargerEvents,
        clock: Clock,
        credentials: AccessBook,
        settings: OcppSettings | None = None,
        known_probe: Mapping[str, StationProbed] | None = None,
        desks: Desks | None = None,
    ) -> None:
        self._spec = spec
        self._events = events
        self._clock = clock
        self._settings = settings or OcppSettings()
        self._desks = desks or Desks()
        self._endpoint = Endpoint(book=credentials, settings=self._settings, attach=self._attach_socket, refused=self._knocked_in_vain)
        known = known_probe or {}
        now = clock.now()
        self._stations = {s.station_id: Station(s, known_probe=known.get(s.station_id), now=now) for s in spec.stations}
        self._turns = Turns(self._settings.commissions, self._settings.commission_s)
        self._links: dict[str, Link] = {}
        self._quarantined: dict[str, Link] = {}
        self._reported: set[str] = set()
        self._reports: dict[asyncio.Task[None], None] = {}
        self._serving: dict[asyncio.Task[Any], None] = {}

    async def __aenter__(self) -> Self:
        for dialect in DIALECTS.values():
            for name in dialect.heard:
                validator(name, dialect.version)  # now: compiling one takes tens of milliseconds, once
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

    @property
    def tls_port(self) -> int:
        """The port that :meth:`listen_tls` got."""
        return self._endpoint.tls_port

    async def listen_tls(self, host: str, port: int, context: ssl.SSLContext) -> None:
        """Accept ``wss://host:port/ocpp/{station_id}``; raises as :meth:`listen`."""
        await self._endpoint.listen_tls(host, port, context)

    @property
    def tls_failures(self) -> Mapping[str, int]:
        """TLS handshakes that failed since the start, by reason; see :func:`ocpp_server.tls.failure`."""
        return self._endpoint.tls_failures

    async def attach(self, wire: Wire, station_id: str, *, remote: str = "", version: Version = Version.V16) -> None:
        """Serve one connection until it closes. The caller has checked who it is, and agreed on the version."""
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = None
        try:
            station = self._stations.get(station_id)
            if station is None:
                await self._serve_unknown(wire, station_id, remote, version)
            else:
                await self._serve(wire, station, remote, version)
        finally:
            self._serving.pop(task, None)

    async def _attach_socket(self, wire: Wire, station_id: str, remote: str, version: Version) -> None:
        await self.attach(wire, station_id, remote=remote, version=version)

    async def _serve(self, wire: Wire, station: Station, remote: str, version: Version) -> None:
        settings, dialect = self._settings, DIALECTS[version]
        spread = zlib.crc32(station.station_id.encode()) / 2**32 * settings.heartbeat_jitter

        def boot_answered(answer: BootAnswer) -> None:
            link.idle_s = station.idle_s = max(settings.idle_least_s, settings.idle_heartbeats * answer.interval_s)
            if answer.status == "Accepted":
                commission.boot_answered()
            else:
                commission.boot_not_accepted(pending=answer.status == "Pending")

        handler = dialect.inbound(
            station, events=self._events, clock=self._clock, jitter=spread, replay_age_s=settings.replay_age_s, boot_answered=boot_answered,
            desks=self._desks,
        )  # fmt: skip
        link = Link(
            wire,
            handler=handler,
            record=_Record(station, self._clock, self._desks),
            settings=settings,
            when_ended=lambda ended: self._left(station, ended),
            idle_s=station.idle_s or settings.idle_unknown_s,
            patience_s=station.patience_s,
        )
        commission = Commission(
            link, station, dialect, self._checks(station, link), events=self._events, settings=settings, turns=self._turns
        )
        older = self._links.get(station.station_id)
        self._links[station.station_id] = link
        if older is not None:
            station.violations["second_connection"] += 1
            log.info("station %s: a newer connection from %s took over from %s", station.station_id, remote, station.remote)
            older.end(1008, "a newer connection of this station took over")
        station.remote = remote
        station.speaks(version)
        station.since = station.last_frame_at = self._clock.now()
        self._events.link_changed(station.reading(connected=True))
        await link.run(commission.without_boot)

    def _left(self, station: Station, link: Link) -> None:
        """A connection ended; if it was the station's newest, the station is gone (reference no. 2)."""
        if self._links.get(station.station_id) is link:
            del self._links[station.station_id]
            station.since = self._clock.now()
            self._events.link_changed(station.reading(connected=False))

    async def _serve_unknown(self, wire: Wire, station_id: str, remote: str, version: Version) -> None:
        older = self._quarantined.get(station_id)
        if older is None and len(self._quarantined) >= self._settings.quarantined:
            await wire.close(1013, "too many unknown stations")
            return

        async def knocked() -> None:
            if self._is_news(station_id):
                await self._events.quarantined(station_id, remote)

        interval_s = self._settings.rejected_interval_s
        handler = Quarantine(station_id, version=version, clock=self._clock, interval_s=interval_s, knocked=knocked)
        idle_s = self._settings.idle_heartbeats * interval_s

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
        if self._is_news(station_id):
            task = asyncio.create_task(self._events.quarantined(station_id, remote))
            self._reports[task] = None
            task.add_done_callback(lambda done: self._reports.pop(done, None))

    # ------------------------------------------------------------------ what is known

    def connected(self, station_id: str) -> bool:
        """Whether the depot may rely on reaching it: a station that is not accepted takes calls of people at most."""
        return station_id in self._links and self._events.registration(station_id) is Registration.ACCEPTED

    def version(self, station_id: str) -> Version | None:
        """The version that a declared station spoke last; None for an unknown id."""
        station = self._stations.get(station_id)
        return None if station is None else station.version

    def link(self, station_id: str) -> LinkReading | None:
        """State of a declared station's link; None for an unknown id."""
        station = self._stations.get(station_id)
        return None if station is None else station.reading(connected=station_id in self._links)

    def frames(self, station_id: str) -> tuple[Frame, ...]:
        """The last frames of a station as a redacted line each, oldest first."""
        station = self._stations.get(station_id)
        return () if station is None else station.log.recent()

    def messages(self, station_id: str) -> tuple[Message, ...]:
        """The message log of a station: the frames that are kept with their redacted payloads, oldest first."""
        station = self._stations.get(station_id)
        return () if station is None else station.log.messages()

    def violations(self, station_id: str) -> Mapping[str, int]:
        """How often a station broke which rule."""
        station = self._stations.get(station_id)
        return {} if station is None else {name: count for name, count in station.violations.items() if count}

    def variables(self, station_id: str) -> Mapping[str, str]:
        """Device-model variables (``Component.Variable[instance]``) as the last probe of a 2.0.1 station read them."""
        station = self._stations.get(station_id)
        return {} if station is None else station.variables

    def installed(self, station_id: str) -> tuple[Installed, ...]:
        """The charging profiles that a station is believed to hold; see :mod:`ocpp_server.installed`."""
        station = self._stations.get(station_id)
        return () if station is None else station.installed.held(self._clock.now() + station.clock.skew)

    def composite(self, connector: ConnectorId, *, duration_s: int) -> tuple[str, Sequence[Segment]]:
        """What the profiles that a station is believed to hold allow on a connector from now on: the unit, and the segments.
        Connector 0: on the whole station. Raises ``KeyError`` for a connector that is not declared."""
        station = self._stations[connector.station_id]
        rung = station.live_rung or station.default_rung
        unit = rung.unit if rung is not None else next(iter(station.capability.rate_units), "W")
        at = self._clock.now() + station.clock.skew
        spec = station.connectors[connector.connector] if connector.connector else station.whole
        return unit, station.installed.composite(connector.connector, spec=spec, at=at, duration_s=duration_s, unit=unit)

    async def compare(self, connector: ConnectorId, *, duration_s: int) -> Look | None:
        """Ask the station for the same and compare; None: it is not connected, or tells no composite schedule."""
        station, link = self._reach(connector if connector.connector else connector._replace(connector=1))
        if station is None or link is None:
            return None
        return await self._checks(station, link).ask(connector.connector, duration_s)

    def configuration(self, station_id: str) -> ConfigurationBook:
        """What was heard of a station's configuration keys (1.6). Raises KeyError for an unknown id."""
        return self._stations[station_id].configuration

    def transaction_name(self, station_id: str, number: int) -> str | None:
        """How a 2.x station calls the depot's transaction; None: it has not named it to this process."""
        station = self._stations.get(station_id)
        return None if station is None else station.book.of_number(number)

    def skews(self) -> list[timedelta]:
        """How far the clocks of connected stations are ahead of ours, of those of which that was seen."""
        return [station.clock.skew for station in self._stations.values() if station.clock.observed and self.connected(station.station_id)]

    def skew(self, station_id: str) -> timedelta:
        """How far the station's clock is ahead of ours."""
        return self._stations[station_id].clock.skew

    # ------------------------------------------------------------------ who belongs here

    def declare(self, spec: StationSpec) -> None:
        """A station that is new, or has more connectors than before, belongs to the depot from now on. What it said while it
        was in quarantine is void: it connects anew."""
        known = self._stations.get(spec.station_id)
        if known is None:
            self._stations[spec.station_id] = Station(spec, known_probe=None, now=self._clock.now())
        else:
            known.grow(spec)
        self._reported.discard(spec.station_id)
        waiting = self._quarantined.get(spec.station_id)
        if waiting is not None:
            waiting.end(1012, "this station is known now: connect again")

    async def admitted(self, station_id: str) -> None:
        """A person has said how far a station is admitted: it shall boot anew, or go."""
        link = self._links.get(station_id)
        if link is None:
            return
        if self._events.registration(station_id) is Registration.REJECTED:
            link.end(1008, "rejected by the depot")
        else:
            link.open()
            await self.trigger(station_id, "BootNotification")

    def surprised(self, connector: ConnectorId) -> None:
        """The meter shows something that was not expected there: its station's schedules are worth a look."""
        station = self._stations.get(connector.station_id)
        if station is not None:
            station.look.set()

    async def fell_back(self, connector: ConnectorId, *, falls_back: bool) -> None:
        """The meter has shown whether the default holds again once a live profile has expired by itself."""
        station = self._stations.get(connector.station_id)
        if station is None:
            return
        station.fallback_denied = not falls_back
        found = station.learned(falls_back=falls_back)
        if found is not None:
            await self._events.probed(found)

    def cut(self, station_id: str, why: str) -> None:
        """End a station's connection; it may come again, if it is let in."""
        link = self._links.get(station_id)
        if link is not None:
            link.end(1008, why)

    # ------------------------------------------------------------------ the Chargers port

    async def apply(self, setpoints: SafeSetpoints) -> Sequence[Outcome]:
        """See :class:`depot.ports.Chargers`. Stations are served at the same time, each one call after the other."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._apply(setpoint)) for setpoint in setpoints]
        return [task.result() for task in tasks]

    async def start(self, setpoint: Setpoint, id_tag: str, kind: str = "Central") -> Outcome:
        ladder = self._ladder(setpoint.connector)
        return Outcome.OFFLINE if ladder is None else await ladder.start(setpoint, id_tag, kind)

    async def stop(self, connector: ConnectorId, transaction_id: int) -> Outcome:
        """A transaction that its station has not named to this process cannot be stopped by it: ERROR, nothing left."""
        station, link = self._reach(connector)
        if station is None or link is None:
            return Outcome.OFFLINE
        call = DIALECTS[link.version].stop(station, transaction_id)
        return Outcome.ERROR if call is None else (await link.call(*call, priority=Priority.URGENT)).outcome

    async def install_default(self, connector: ConnectorId, level_w: int) -> Outcome:
        ladder = self._ladder(connector)
        return Outcome.OFFLINE if ladder is None else await ladder.install_default(connector.connector, level_w)

    async def set_operative(self, connector: ConnectorId, operative: bool) -> Outcome:
        """ChangeAvailability; ``Scheduled`` (when the transaction ends) is accepted."""
        priority = Priority.NORMAL if operative else Priority.URGENT
        reply = await self._ask(
            connector.station_id, lambda d: d.set_operative(connector.connector, operative=operative), priority=priority
        )
        return reply.outcome

    async def request_reading(self, connector: ConnectorId) -> Outcome:
        station, link = self._reach(connector)
        if station is None or link is None:
            return Outcome.OFFLINE
        number, reluctance = connector.connector, station.reluctance
        running = station.book.running(number)
        if running is not None and running.doubtful:
            return Outcome.ERROR  # it may be over: its station is left alone, or is asked for it already
        if not reluctance.may_ask(asyncio.get_running_loop().time()):
            return Outcome.UNSUPPORTED
        call = DIALECTS[link.version].reading(station, number)
        outcome = (await link.call(*call, key=f"trigger/MeterValues/{number}")).outcome
        reluctance.heard(outcome, asyncio.get_running_loop().time())
        return outcome

    # ------------------------------------------------------------------ further calls

    async def call(self, station_id: str, action: str, payload: Payload, *, priority: Priority = Priority.NORMAL) -> Reply:
        """Any call of the station's version, as somebody else made it up and :func:`~ocpp_server.actions.check_call` found it
        in order."""
        link = self._links.get(station_id)
        return Reply(Outcome.OFFLINE) if link is None else await link.call(action, payload, priority=priority)

    async def trigger(self, station_id: str, message: str, *, connector: int | None = None) -> Reply:
        """TriggerMessage: ask for a message now."""
        return await self._ask(station_id, lambda d: d.trigger(message, connector), key=f"trigger/{message}/{connector}")

    async def get_composite(self, connector: ConnectorId, *, duration_s: int, unit: str | None = None) -> Reply:
        """GetCompositeSchedule: what the station says that it would allow, in ``payload["chargingSchedule"]``."""
        reply = await self._ask(connector.station_id, lambda d: d.composite(connector.connector, duration_s, unit))
        link = self._links.get(connector.station_id)
        return reply if link is None else replace(reply, payload=DIALECTS[link.version].schedule(reply.payload))

    async def clear_profiles(self, station_id: str, *, connector: int | None = None, purpose: Purpose | None = None) -> Reply:
        """ClearChargingProfile of what matches; ``Unknown`` in the answer means that there was none."""
        return await self._ask(station_id, lambda d: d.clear(number=connector, purpose=purpose))

    async def get_configuration(self, station_id: str, *keys: str) -> Reply:
        """GetConfiguration of some keys, or of all. OCPP 1.6 only."""
        link = self._links.get(station_id)
        if link is None or link.version is not Version.V16:
            return Reply(Outcome.OFFLINE if link is None else Outcome.UNSUPPORTED)
        return await link.call("GetConfiguration", {"key": list(keys)} if keys else {})

    async def get_variables(self, station_id: str, *wanted: Variable) -> Mapping[Variable, str]:
        """Variables of the device model, in batches; those that the station does not show are missing. 2.0.1 only."""
        link = self._links.get(station_id)
        if link is None or link.version is Version.V16:
            return {}
        return await get_variables(link, wanted, room=(await batches(link, Priority.NORMAL)).get)

    async def set_variables(self, station_id: str, values: Mapping[Variable, str]) -> Mapping[Variable, str]:
        """Write variables, in batches: the station's word on each, missing where it gave none. 2.0.1 only."""
        link = self._links.get(station_id)
        if link is None or link.version is Version.V16:
            return {}
        return await set_variables(link, values, room=(await batches(link, Priority.NORMAL)).set)

    def streams(self, station_id: str) -> tuple[Stream, ...]:
        """Periodic event streams that the station has open (2.1)."""
        station = self._stations.get(station_id)
        return () if station is None else station.streams.streams

    def running(self, connector: ConnectorId) -> str | None:
        """The station's own name of the transaction that runs there (2.x); None: none is known."""
        station = self._stations.get(connector.station_id)
        transaction = None if station is None else station.book.running(connector.connector)
        return None if transaction is None else transaction.transaction_id

    async def report_profiles(self, station_id: str, criteria: Criteria, *, within_s: float = 10.0) -> ProfileReport:
        """GetChargingProfiles and the report that follows; UNSUPPORTED for a station of 1.6."""
        station, link = self._stations.get(station_id), self._links.get(station_id)
        if station is None or link is None:
            return ProfileReport(Reply(Outcome.OFFLINE))
        if link.version is Version.V16:
            return ProfileReport(Reply(Outcome.UNSUPPORTED))
        return await ask_profiles(link, station.reports, criteria, within_s=within_s)

    def limited(self, limit: ExternalLimit) -> None:
        """What the depot still knows of a limit that somebody else has set at a station, from before this process."""
        station = self._stations.get(limit.station_id)
        if station is not None and not limit.stale:
            station.installed.limited(limit.evse, limit.source, limit.steps, limit.until, self._clock.now())

    # ------------------------------------------------------------------ within

    async def _ask(
        self, station_id: str, say: Callable[[Dialect], Call], *, priority: Priority = Priority.NORMAL, key: str | None = None
    ) -> Reply:
        link = self._links.get(station_id)
        return Reply(Outcome.OFFLINE) if link is None else await link.call(*say(DIALECTS[link.version]), priority=priority, key=key)

    def _reach(self, connector: ConnectorId) -> tuple[Station | None, Link | None]:
        station = self._stations.get(connector.station_id)
        if station is None or connector.connector not in station.connectors:
            return None, None
        return station, self._links.get(connector.station_id)

    def _ladder(self, connector: ConnectorId) -> Ladder | None:
        station, link = self._reach(connector)
        if station is None or link is None:
            return None
        return Ladder(station, link, DIALECTS[link.version], events=self._events, clock=self._clock)

    def _checks(self, station: Station, link: Link) -> Checks:
        dialect = DIALECTS[link.version]
        ladder = Ladder(station, link, dialect, events=self._events, clock=self._clock)
        return Checks(link, station, dialect, ladder, events=self._events, clock=self._clock, settings=self._settings)

    async def _apply(self, setpoint: Setpoint) -> Outcome:
        ladder = self._ladder(setpoint.connector)
        return Outcome.OFFLINE if ladder is None else await ladder.apply(setpoint)


class _Record:
    """What a link notes of a known station."""

    def __init__(self, station: Station, clock: Clock, desks: Desks) -> None:
        self._station = station
        self._clock = clock
        self._desks = desks

    def leaves(self, action: str, payload: Payload) -> None:
        if action in NOTED:
            self._station.installed.leaves(action, payload)

    def called(self, action: str, payload: Payload, reply: Reply, source: str) -> None:
        if action in NOTED:
            self._station.noted(action, payload, reply, source=source or BY_CALL, now=self._clock.now())
        if action in DYNAMIC_CALLS:
            self._station.dynamic.note(action, payload, reply)
        elif action in STREAM_CALLS:
            self._station.streams.note(action, payload, reply)
        elif action in NOTED_KEYS:
            self._station.configuration.note(action, payload, reply, self._clock.now())
        elif action in NOTED_MODEL:
            told = told_by(action, payload, reply)
            if told:
                self._desks.device_model.told(self._station.station_id, told)

    def heard(self) -> None:
        self._station.last_frame_at = self._clock.now()

    def violated(self, name: str) -> None:
        self._station.violations[name] += 1

    def needs_patience(self, seconds: float) -> None:
        self._station.patience_s = seconds

    def frame(self, direction: str, kind: Kind, message_id: MessageId, action: str, text: str, note: str = "") -> None:
        at = self._station.last_frame_at if direction is IN and text else self._clock.now()
        if kind is Kind.CALL and direction is OUT:
            self._station.held.asked(action, text)
        self._station.log.add(at, direction, kind, str(message_id), action, text, note)


class _NoRecord:
    """Of an unknown station nothing is kept."""

    def leaves(self, action: str, payload: Payload) -> None: ...
    def called(self, action: str, payload: Payload, reply: Reply, source: str) -> None: ...
    def heard(self) -> None: ...
    def violated(self, name: str) -> None: ...
    def needs_patience(self, seconds: float) -> None: ...
    def frame(self, direction: str, kind: Kind, message_id: MessageId, action: str, text: str, note: str = "") -> None: ...
