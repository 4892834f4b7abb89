"""What is kept of a known station over its connections: clock, registers, capabilities, counters, message log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from depot.events import StationProbed
from depot.readings import LinkReading
from depot.registry import ConnectorSpec, StationSpec
from ocpp_server.composite import Transaction
from ocpp_server.frames import FrameLog
from ocpp_server.installed import InstalledBook
from ocpp_server.meter_values import MeterGuard
from ocpp_server.profiles import Purpose, Rung
from ocpp_server.reports import ProfileReports
from ocpp_server.skew import ChargerClock
from ocpp_server.transactions201 import Book
from ocpp_server.version import Version

ALL_PURPOSES = tuple(purpose.value for purpose in Purpose)
LIKELY = StationProbed("", ("W", "A"), ALL_PURPOSES, 0, autonomous=True)
"""What is assumed of a station that was never probed: it may take any profile (we try), and start by itself."""


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
        self.reports = ProfileReports()
        self.remote_starts = int(now.timestamp()) & 0x3FFFFFFF
        """Last ``remoteStartId`` given; begins anew, and higher, with each process."""
        self.version = Version.V16
        """Of its last connection."""
        self.remote = ""
        self.since = now
        self.last_frame_at = now

    @property
    def station_id(self) -> str:
        return self.spec.station_id

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

    def restarted(self) -> None:
        """It booted: its clock was set by us, and what it refused before it may take now."""
        self.booted = True
        self.clock.set_by_us()
        self.live_rung = self.default_rung = None
        self.start_with_profile = True
        self.levels.clear()
        self.installed.restarted()

    def began(self, connector: int, transaction_id: str, at: datetime | None, now: datetime) -> None:
        """A transaction runs there since ``at``, by the station's clock; None: it said no time that can be true."""
        self.installed.began(connector, Transaction(transaction_id, at or now + self.clock.skew))

    def speaks(self, version: Version) -> None:
        """A connection of that version begins; what was found out in another one is void."""
        if version is not self.version:
            self.version = version
            self.live_rung = self.default_rung = None
            self.start_with_profile = True

    def without(self, purpose: Purpose) -> StationProbed | None:
        """The capability without a purpose that it refused in every way; None: nothing new."""
        known = self.capability
        if purpose.value not in known.purposes:
            return None
        self.probe = replace(known, purposes=tuple(p for p in known.purposes if p != purpose.value))
        return self.probe

    def reading(self, *, connected: bool) -> LinkReading:
        return LinkReading(self.station_id, connected, self.since, self.last_frame_at, self.version.value, self.violations.total())
