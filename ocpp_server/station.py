"""What is kept of a known station over its connections: clock, registers, capabilities, counters, message log."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from depot.events import StationProbed
from depot.readings import LinkReading
from depot.registry import ConnectorSpec, StationSpec
from depot.tokens import Presented
from depot.values import Outcome
from ocpp_server.composite import Transaction
from ocpp_server.configuration import ConfigurationBook
from ocpp_server.dynamic_schedules import DynamicBook
from ocpp_server.event_streams import StreamBook
from ocpp_server.frames import FrameLog
from ocpp_server.held import Held
from ocpp_server.installed import OURS, InstalledBook
from ocpp_server.meter_values import MeterGuard
from ocpp_server.profiles import Purpose, Rung
from ocpp_server.reply import Reply
from ocpp_server.reports import ProfileReports
from ocpp_server.session import Payload
from ocpp_server.skew import ChargerClock
from ocpp_server.transactions201 import Book
from ocpp_server.version import Version

OPEN_LOOKS = 3
"""So often after a boot a session is looked at to see whether its default comes back."""
ALL_PURPOSES = tuple(purpose.value for purpose in Purpose)
LIKELY = StationProbed("", ("W", "A"), ALL_PURPOSES, 0, autonomous=True)
"""What is assumed of a station that was never probed: it may take any profile (we try), and start by itself."""
REMOTE_STARTS_KEPT = 16
RELUCTANT_LEAST_S, RELUCTANT_MOST_S = 5.0, 300.0
ASKED_IN_VAIN = 5


class Reluctance:
    """How often a station may be asked for what it does not give: never again after a plain "not implemented", ever more
    rarely after other refusals, and where its values never tell a power (reference no. 18: too many triggers stop some
    stations). Loop time."""

    def __init__(self) -> None:
        self._wait_s = 0.0
        self._in_vain = 0
        self._not_before_s = 0.0

    def may_ask(self, now_s: float) -> bool:
        return now_s >= self._not_before_s

    def heard(self, outcome: Outcome, now_s: float) -> None:
        """How the last asking ended."""
        if outcome is Outcome.UNSUPPORTED:
            self._wait_s = math.inf
        elif outcome is Outcome.ACCEPTED and self._in_vain < ASKED_IN_VAIN:
            self._in_vain += 1
            self._wait_s = 0.0
        elif outcome in (Outcome.REFUSED, Outcome.ERROR, Outcome.ACCEPTED):
            self._wait_s = min(RELUCTANT_MOST_S, max(RELUCTANT_LEAST_S, 2 * self._wait_s))
        self._not_before_s = now_s + self._wait_s

    def told(self) -> None:
        """It told a power."""
        self._in_vain = 0
        if self._wait_s != math.inf:
            self._wait_s = self._not_before_s = 0.0


class Station:
    """Mutable, owned by the central system's event loop. ``violations`` counts every deviation by name."""

    def __init__(self, spec: StationSpec, *, known_probe: StationProbed | None, now: datetime) -> None:
        self.spec = spec
        self.connectors: Mapping[int, ConnectorSpec] = {c.connector: c for c in spec.connectors}
        self.violations: Counter[str] = Counter()
        self.clock = ChargerClock()
        self.guards = {number: MeterGuard(c, self.violations) for number, c in self.connectors.items()}
        self.log = FrameLog()
        self.probe = known_probe
        self.booted = False
        """Whether its BootNotification was heard by this process."""
        self.live_rung: Rung | None = None
        self.default_rung: Rung | None = None
        self.start_with_profile = True
        self.idle_s: float | None = None
        """Silence after which its link is dead, s; None: its heartbeat interval is not known."""
        self.patience_s = 0.0
        """How long it was seen to need for an answer, s."""
        self.installed = InstalledBook()
        """The charging profiles that it is believed to hold."""
        self.defaults: dict[int, int] = {}
        """The default that each connector has accepted since it booted, W."""
        self.wanted_defaults: dict[int, int] = {}
        """The default that was asked for last, W, whatever became of it: an older one must never replace it."""
        self.look = asyncio.Event()
        """Set when what it holds should be looked at soon."""
        self.open_looks = OPEN_LOOKS
        self.tells_composite = True
        """False: it refused to tell its composite schedule since it booted."""
        self.fallback_tried = False
        self.fallback_denied = known_probe is not None and known_probe.falls_back is False
        """The meter has shown that no default came back, or an earlier process knew: no word of its own outweighs that, until
        it boots."""
        self.configuration = ConfigurationBook()
        """What was heard of its configuration keys (1.6)."""
        self.levels: dict[int, int] = {}
        """Last accepted live level per connector, W: tells a decrease from an increase."""
        self.newest: dict[int, int] = {}
        """How many setpoints each connector was given: an older one must never replace a newer one."""
        self.connector_of: dict[int, int] = {}
        """Connector of each transaction that this process saw start."""
        self.book = Book(tuple(self.connectors))
        """What its 2.0.1 connections said of transactions and connectors."""
        self.variables: Mapping[str, str] = {}
        """Device-model variables as the last probe read them, for people."""
        self.dynamic = DynamicBook()
        """Its dynamic charging profiles (2.1)."""
        self.streams = StreamBook()
        """Its periodic event streams (2.1)."""
        self.reports = ProfileReports(first=int(now.timestamp()) & 0x3FFFFFFF)
        """Of profiles."""
        self.held = Held()
        """What it may say while it is pending (2.x)."""
        self.remote_starts = int(now.timestamp()) & 0x3FFFFFFF
        """Last ``remoteStartId`` given; begins anew, and higher, with each process."""
        self.remote_tags: dict[int, Presented] = {}
        """For whom the last starts were asked, by their ``remoteStartId``."""
        self.version = Version.V16
        """Of its last connection."""
        self.reluctance = Reluctance()
        """In telling its meter values when asked."""
        self.remote = ""
        self.since = now
        self.last_frame_at = now

    @property
    def station_id(self) -> str:
        return self.spec.station_id

    @property
    def whole(self) -> ConnectorSpec:
        """The station as one connector: the phases and voltage of its first, and all their ratings."""
        return replace(next(iter(self.connectors.values())), rated_w=sum(c.rated_w for c in self.connectors.values()))

    @property
    def capability(self) -> StationProbed:
        """The probe's result, or what is likely."""
        return self.probe or replace(LIKELY, station_id=self.station_id)

    @property
    def max_stack_level(self) -> int | None:
        """None: not probed."""
        return None if self.probe is None else self.probe.max_stack_level

    def grow(self, spec: StationSpec) -> None:
        """It has more connectors than were known."""
        self.spec = spec
        self.connectors = {c.connector: c for c in spec.connectors}
        for number, connector in self.connectors.items():
            self.guards.setdefault(number, MeterGuard(connector, self.violations))
        self.book.grow(tuple(self.connectors))

    def asks_to_start(self, shown: Presented) -> int:
        """The ``remoteStartId`` of the next start that the depot asks for."""
        self.remote_starts += 1
        self.remote_tags = {**dict(list(self.remote_tags.items())[1 - REMOTE_STARTS_KEPT :]), self.remote_starts: shown}
        return self.remote_starts

    def restarted(self) -> None:
        """It booted: its clock was set by us, and what it refused before it may take now."""
        self.booted = True
        self.clock.set_by_us()
        self.live_rung = self.default_rung = None
        self.start_with_profile = True
        self.reluctance = Reluctance()
        self.levels.clear()
        self.defaults.clear()
        self.installed.restarted()
        self.book.restarted()
        self.dynamic.forget()
        self.streams.forget()
        self.open_looks, self.tells_composite = OPEN_LOOKS, True
        self.fallback_tried = self.fallback_denied = False

    def began(self, connector: int, transaction_id: str, at: datetime | None, now: datetime) -> None:
        """A transaction runs there since ``at``, by the station's clock; None: it said no time that can be true."""
        self.installed.began(connector, Transaction(transaction_id, at or now + self.clock.skew))

    def noted(self, action: str, payload: Payload, reply: Reply, *, source: str, now: datetime) -> None:
        """A call about profiles has ended. Worth a look: somebody else changed what it holds, or a live profile lies over
        a default of which nobody knows yet whether it comes back."""
        changed = self.installed.note(action, payload, reply, source=source, now=now)
        undecided = self.open_looks > 0 and self.capability.falls_back is None and bool(self.installed.running)
        if changed and (source != OURS or undecided):
            self.look.set()

    def probed(self, found: StationProbed) -> StationProbed:
        """The probe after a boot; what only a look can tell is known from before until the next look."""
        known = self.capability
        self.probe = replace(found, composite=known.composite, falls_back=known.falls_back)
        return self.probe

    def learned(self, *, composite: bool | None = None, falls_back: bool | None = None) -> StationProbed | None:
        """What a look has shown. The capability with it; None: nothing new, or the station was never probed."""
        if self.probe is None:
            return None
        before = self.probe
        if composite is not None:
            self.probe = replace(self.probe, composite=composite)
        if falls_back is not None and not (falls_back and self.fallback_denied):
            self.probe = replace(self.probe, falls_back=falls_back)
        return None if self.probe == before else self.probe

    def speaks(self, version: Version) -> None:
        """A connection of that version begins; what was found out in another one is void."""
        if version is not self.version:
            self.version = version
            self.live_rung = self.default_rung = None
            self.start_with_profile = True

    def takes_tx_profiles(self) -> None:
        """It passes on what a vehicle needs, so it takes profiles for it, whatever it has refused before."""
        known = self.probe
        if known is not None and Purpose.TX.value not in known.purposes:
            self.probe = replace(known, purposes=(Purpose.TX.value, *known.purposes))
            self.live_rung = None

    def without(self, purpose: Purpose) -> StationProbed | None:
        """The capability without a purpose that it refused in every way; None: nothing new."""
        known = self.capability
        if purpose.value not in known.purposes:
            return None
        self.probe = replace(known, purposes=tuple(p for p in known.purposes if p != purpose.value))
        return self.probe

    def reading(self, *, connected: bool) -> LinkReading:
        return LinkReading(self.station_id, connected, self.since, self.last_frame_at, self.version.value, self.violations.total())
