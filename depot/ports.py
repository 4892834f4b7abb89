"""Ports: the Protocols through which the rooms meet. Whoever implements one is tested against the same words.

ocpp_server  implements Chargers,       calls ChargerEvents (implemented by controller)
grid         implements SiteMeter
controller   implements Journal, Clock; hands a Clock to everything that has a lifetime
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from depot.events import (
    NO_DETAIL,
    ConnectorStatus,
    Envelope,
    NewEvent,
    Registration,
    SignedReading,
    StationBooted,
    StationProbed,
    StatusDetail,
)
from depot.files import TransferReport
from depot.readings import LinkReading, MeterReading, SiteReading
from depot.tokens import Authorization, Presented
from depot.values import ConnectorId, Outcome, SafeSetpoints, Setpoint


class Clock(Protocol):
    """Depot time. ``now()``: aware UTC. ``monotonic()``: seconds for durations. In scaled mode all three run
    faster than the wall; protocol time-outs do not use them but the event loop's own time."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


class JournalFrozen(Exception):
    """The journal cannot append now (disk full, database locked). Nothing was stored; the append may be retried."""


class Journal(Protocol):
    """Append-only facts. ``append`` returns once they are durable, in order, duplicates by key answered with the
    first envelope (``duplicate=True``). While ``frozen``, appends wait inside (they are retried) until the store
    recovers; ``append(..., wait=False)`` raises :class:`JournalFrozen` instead."""

    @property
    def frozen(self) -> bool: ...
    async def append(self, events: Sequence[NewEvent], *, wait: bool = True) -> Sequence[Envelope]: ...


@dataclass(frozen=True, slots=True)
class BootAnswer:
    """``status``: Accepted, Pending or Rejected, in the protocol's words."""

    status: str
    interval_s: int


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A StartTransaction.req, normalised. ``key``: its natural key (station, connector, idTag, timestamp, meterStart).
    ``reservation_id``: the one that it uses up, as the station says. ``shown``: the token with all that the station said of it (2.x).
    ``offline``: the station says that it was cut off when the transaction began (2.x)."""

    connector: ConnectorId
    id_tag: str
    meter_start_wh: int
    reported_at: datetime | None
    received_at: datetime
    key: str
    reservation_id: int | None = None
    shown: Presented | None = None
    offline: bool = False


@dataclass(frozen=True, slots=True)
class StartAnswer:
    """Durable answer to a start. Not accepted: the transaction is stored all the same, and will be stopped. ``running`` False: the
    start came late, or again, and the transaction is over by what is known."""

    transaction_id: int
    authorization: Authorization
    running: bool = True

    @property
    def accepted(self) -> bool:
        return self.authorization.accepted


@dataclass(frozen=True, slots=True)
class StopRequest:
    """A StopTransaction.req, normalised. ``transaction_id`` may be unknown or −1: it is answered all the same.
    ``signed``: what its meter signed. ``estimated``: the station did not say it; its last word did."""

    station_id: str
    transaction_id: int
    meter_stop_wh: int
    reason: str
    reported_at: datetime | None
    received_at: datetime
    signed: tuple[SignedReading, ...] = ()
    estimated: bool = False


class ChargerEvents(Protocol):
    """What the charger side tells the controller. Awaited calls return after the fact is durable: only then may
    the protocol's answer leave (invariant 4). ``reading`` and ``link_changed`` are immediate and never block."""

    def registration(self, station_id: str) -> Registration:
        """How far a declared station is admitted now."""

    def pressing(self, station_id: str, *, booted: bool) -> bool:
        """Whether something on a station that takes calls (again) cannot wait: a trip has shut a connector there, or a session
        runs and the station has not ``booted``: it is not known what it still holds."""

    def occupied(self, connector: ConnectorId) -> bool:
        """Whether a transaction may run there, by what was heard last, of whichever process."""

    async def boot(self, boot: StationBooted) -> BootAnswer: ...
    async def status(
        self,
        connector: ConnectorId,
        status: ConnectorStatus,
        error_code: str,
        reported_at: datetime | None,
        detail: StatusDetail = NO_DETAIL,
    ) -> None: ...
    async def station_status(self, station_id: str, status: ConnectorStatus, error_code: str, detail: StatusDetail) -> None:
        """Of the station as a whole."""

    async def authorize(self, station_id: str, id_tag: str, shown: Presented | None = None) -> Authorization:
        """``shown``: the token with all that the station said of it (2.x)."""

    async def start(self, request: StartRequest) -> StartAnswer: ...
    async def stop(self, request: StopRequest) -> None: ...
    async def probed(self, probe: StationProbed) -> None: ...
    async def compared(self, connector: ConnectorId, *, agrees: bool, detail: str) -> None:
        """The station's composite schedule was compared with what was installed there. ``detail``: how they differ."""

    async def quarantined(self, station_id: str, remote: str) -> None: ...
    async def transfer_reported(self, report: TransferReport) -> None: ...
    def reading(self, reading: MeterReading) -> None: ...
    def link_changed(self, link: LinkReading) -> None: ...
    def ready(self, station_id: str, *, booted: bool) -> None:
        """The station takes calls now. ``booted``: it restarted and may have forgotten every profile."""


class SecurityDesk(Protocol):
    """What stations say about security, beside :class:`ChargerEvents`; awaited calls return after the fact is durable."""

    async def noticed(self, station_id: str, kind: str, detail: str, reported_at: datetime | None) -> None:
        """A SecurityEventNotification. ``kind``, ``detail``: as the station wrote them."""

    async def sign_wanted(self, station_id: str, csr: str, use: str = "", number: int | None = None) -> bool:
        """Whether this signing request (PEM) will be signed. ``use``: for what, in the words of 2.x, "" where the station does not
        say; ``number``: its own of the request (2.1)."""

    def sign_answered(self, station_id: str) -> None:
        """The station knows that it will be: its certificate may be sent."""


class Chargers(Protocol):
    """Commands to chargers, one outstanding call per station, never raising for what a charger does: the
    :class:`~depot.values.Outcome` says it. Urgent calls overtake queued ones of the same station."""

    def connected(self, station_id: str) -> bool: ...
    async def apply(self, setpoints: SafeSetpoints) -> Sequence[Outcome]:
        """SetChargingProfile (TxProfile, stable id, expires at ``until``) per setpoint; outcomes in the same order."""

    async def start(self, setpoint: Setpoint, id_tag: str, kind: str = "Central") -> Outcome:
        """RemoteStartTransaction carrying the setpoint as its TxProfile where the station takes one there. ``kind``: its type in
        OCPP 2.x; the station shows the token with it again."""

    async def stop(self, connector: ConnectorId, transaction_id: int) -> Outcome: ...
    async def install_default(self, connector: ConnectorId, level_w: int) -> Outcome:
        """TxDefaultProfile without expiry, below the live profile, by the station's ladder."""

    async def set_operative(self, connector: ConnectorId, operative: bool) -> Outcome: ...
    async def request_reading(self, connector: ConnectorId) -> Outcome:
        """Ask for meter values now (TriggerMessage)."""


class SiteMeter(Protocol):
    """Connection-point meter: newest reading, or None before the first."""

    @property
    def reading(self) -> SiteReading | None: ...
