"""Facts of transactions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from depot.events.envelope import Event
from depot.values import ConnectorId


@dataclass(frozen=True, slots=True)
class TransactionStarted(Event):
    """``reported_at`` in the envelope is the charger's time; ``vehicle_id`` and ``visit_id`` as matched on arrival. ``belated``: from
    an offline queue, and by what is known over already; its connector does not run it until it says that it charges."""

    TYPE: ClassVar[str] = "transaction.session_started"
    transaction_id: int
    session_id: str
    connector: ConnectorId
    id_tag: str
    meter_start_wh: int
    visit_id: str | None = None
    accepted: bool = True
    belated: bool = False


@dataclass(frozen=True, slots=True)
class TransactionStopped(Event):
    """``estimated``: a ghost that never said stop; ended by the next start, boot or Available, energy from its last reading, or
    where there is none from the register at the next start."""

    TYPE: ClassVar[str] = "transaction.session_stopped"
    transaction_id: int
    connector: ConnectorId
    meter_stop_wh: int
    reason: str = "Local"
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class SignedReading:
    """A value that the meter signed, as the station sent it. ``at``: by the station's clock; ``context``, ``measurand``: OCPP's."""

    at: datetime | None
    context: str
    measurand: str
    value: str


@dataclass(frozen=True, slots=True)
class SignedReadingsKept(Event):
    """The signed values that came with the end of a transaction: evidence for its bill."""

    TYPE: ClassVar[str] = "transaction.signed_readings_kept"
    station_id: str
    transaction_id: int
    readings: tuple[SignedReading, ...]


@dataclass(frozen=True, slots=True)
class StopOrphaned(Event):
    """A stop whose start is unknown or long over. Answered and kept; changes no session."""

    TYPE: ClassVar[str] = "transaction.stop_orphaned"
    station_id: str
    transaction_id: int
    meter_stop_wh: int
    reason: str = "Local"
