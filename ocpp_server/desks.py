"""Who in the depot hears what stations say beside charging: a desk for each subject, and the blocks that bring it there.

    station --message--> Block.actions[name] --the depot's words--> a desk of Desks --> the answer

A block is a subject's messages (OCPP 2.x calls them functional blocks) for one station; a version's inbound handler
joins the blocks that it has. Where nobody is interested, a stand-in answers and forgets.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from depot.battery_swaps import SwapDesk, Swapped
from depot.contracts import ContractDesk, NoContractDesk
from depot.costs import CostDesk, NoCosts
from depot.customer_information import CustomerDesk
from depot.der import DerAlarm, DerDesk, DerReport, DerSwitch
from depot.device_model import DeviceModelDesk, ReportedEvent, ReportPart, Told
from depot.display_messages import DisplayDesk, DisplayMessage
from depot.last_words import LastWords, NoLastWords
from depot.notes import Note, NoteDesk
from depot.ports import SecurityDesk
from depot.reservations import ReservationHearer
from depot.smart_charging import ChargingNeeds, ExternalLimit, SmartChargingDesk, VehicleSchedule
from depot.values import ConnectorId
from ocpp_server.data_transfer import DataTransfers
from ocpp_server.schemas import Payload
from ocpp_server.session import CallReceived

Action = Callable[[Payload], Awaitable[Payload]]
"""Takes a checked request, returns the response."""


class Block(Protocol):
    """A subject's messages. ``actions``: by the message's name."""

    @property
    def actions(self) -> Mapping[str, Action]: ...
    def answered(self, call: CallReceived, payload: Payload) -> None:
        """An answer to one of its messages is on the wire."""


class NoSecurityDesk:
    """Where nobody is interested: events are answered and forgotten, nothing is signed."""

    async def noticed(self, station_id: str, kind: str, detail: str, reported_at: datetime | None) -> None: ...

    async def sign_wanted(self, station_id: str, csr: str, use: str = "", number: int | None = None) -> bool:
        return False

    def sign_answered(self, station_id: str) -> None: ...


class NoDeviceModelDesk:
    """Where nobody is interested: reports and events are answered and forgotten."""

    async def reported(self, station_id: str, part: ReportPart) -> None: ...
    async def happened(self, station_id: str, events: Sequence[ReportedEvent]) -> None: ...
    def told(self, station_id: str, what: Told) -> None: ...


class NoSmartChargingDesk:
    """Where nobody is interested: no vehicle gets a schedule, and what others limit is forgotten."""

    async def needs(self, connector: ConnectorId, needs: ChargingNeeds, transaction: str, *, session: bool) -> str:
        return "Rejected"

    def needs_answered(self, connector: ConnectorId) -> None: ...
    async def scheduled(self, connector: ConnectorId, schedule: VehicleSchedule, transaction: str, *, exceeds: str) -> None: ...
    def schedule_refused(self, connector: ConnectorId) -> None: ...
    async def limited(self, limit: ExternalLimit) -> None: ...
    def limit_unclear(self, station_id: str, source: str) -> None: ...
    async def released(self, station_id: str, evse: int | None, source: str) -> None: ...


class NoDisplayDesk:
    """Where nobody is interested in what stations show."""

    def displayed(self, station_id: str, request_id: int, messages: tuple[DisplayMessage, ...], *, more: bool) -> None: ...


class NoReservationHearer:
    """Where nobody reserves."""

    async def ended_by_station(self, station_id: str, number: int, word: str) -> None: ...


class NoCustomerDesk:
    """Where nobody asks for customers' data: what comes is dropped."""

    def told_of_customer(self, station_id: str, request_id: int, data: str, *, seq_no: int, more: bool) -> None: ...


class NoDerDesk:
    """Where nobody is interested: what is said of DER control is answered and forgotten."""

    async def alarmed(self, station_id: str, alarm: DerAlarm) -> None: ...
    async def switched(self, station_id: str, switch: DerSwitch) -> None: ...
    async def reported(self, station_id: str, part: DerReport) -> None: ...


class NoSwapDesk:
    """Where nobody is interested: batteries come and go."""

    async def swapped(self, station_id: str, swapped: Swapped) -> None: ...


class NoNoteDesk:
    """Where nobody is interested: notes are forgotten."""

    async def noted(self, station_id: str, note: Note) -> None: ...


@dataclass(frozen=True, slots=True)
class Desks:
    """A desk for each subject. ``transfers``: who answers vendors' own messages. ``words``: where the last words of running
    transactions are kept."""

    transfers: DataTransfers = field(default_factory=DataTransfers)
    security: SecurityDesk = field(default_factory=NoSecurityDesk)
    device_model: DeviceModelDesk = field(default_factory=NoDeviceModelDesk)
    words: LastWords = field(default_factory=NoLastWords)
    smart_charging: SmartChargingDesk = field(default_factory=NoSmartChargingDesk)
    display: DisplayDesk = field(default_factory=NoDisplayDesk)
    customers: CustomerDesk = field(default_factory=NoCustomerDesk)
    der: DerDesk = field(default_factory=NoDerDesk)
    swaps: SwapDesk = field(default_factory=NoSwapDesk)
    notes: NoteDesk = field(default_factory=NoNoteDesk)
    contracts: ContractDesk = field(default_factory=NoContractDesk)
    reservations: ReservationHearer = field(default_factory=NoReservationHearer)
    costs: CostDesk = field(default_factory=NoCosts)
