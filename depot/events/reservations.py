"""Facts of reservations. See :mod:`depot.reservations`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from depot.events.envelope import Event
from depot.reservations import ReservationState


@dataclass(frozen=True, slots=True)
class ReservationAsked(Event):
    """Journaled before the station is asked: its id is not given again. ``connector`` 0: any. ``own``: the depot chose the id.
    ``connector_type`` "": any."""

    TYPE: ClassVar[str] = "reservation.reservation_asked"
    VERSION: ClassVar[int] = 2
    reservation_id: int
    station_id: str
    connector: int
    id_token: str
    group: str
    expires_at: datetime
    own: bool = True
    connector_type: str = ""


@dataclass(frozen=True, slots=True)
class ReservationChanged(Event):
    """The station answered, or the reservation is over. ``note``: what went wrong."""

    TYPE: ClassVar[str] = "reservation.state_changed"
    reservation_id: int
    state: ReservationState
    note: str = ""
    transaction_id: int | None = None
