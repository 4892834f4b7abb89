"""What drivers' pages show of a charger and of the driver's own sessions. Amounts are integer paise; nobody's contact data is in here."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class PlaceState(StrEnum):
    """A connector as a driver sees it."""

    FREE = "free"
    PLUGGED = "plugged"
    CHARGING = "charging"
    RESERVED = "reserved"
    OUT = "out_of_service"
    OFFLINE = "offline"


class DrivePriceView(Struct, frozen=True, kw_only=True):
    """``lines``: the price as sentences, in English; ``paise_per_kwh``: of this moment with tax, rounded to a paisa."""

    paise_per_kwh: int
    tax_percent: float
    lines: list[str]


class DrivePlaceView(Struct, frozen=True, kw_only=True):
    """A connector for somebody who stands at it. ``session_id``: of the asking driver's own session there, "" else.
    ``most_wh``: where a session ends at the latest; ``reserved_paise``: the most that it can cost."""

    at: datetime
    depot: str
    timezone: str
    station_id: str
    evse: int
    label: str
    state: PlaceState
    rated_w: int
    price: DrivePriceView
    most_wh: int
    reserved_paise: int
    session_id: str


class DriveReasonView(Struct, frozen=True, kw_only=True):
    """Why a session gets less than its charger can give. ``because``: a word of :class:`depot.values.Because`."""

    because: str
    power_w: int
    rated_w: int


class DriveBillView(Struct, frozen=True, kw_only=True):
    """One of a driver's own sessions in the books. ``stage`` as in :class:`payments.states.Stage`."""

    session_id: str
    opened_at: datetime
    stage: str
    invoice_no: str
    energy_wh: int
    taxable_paise: int
    cgst_paise: int
    sgst_paise: int
    igst_paise: int
    round_off_paise: int
    total_paise: int


class DriveSessionsView(Struct, frozen=True, kw_only=True):
    """A driver's own sessions, newest first. ``ended``: sessions that have ended and are being billed. ``reasons``: by the id of a
    session that runs."""

    at: datetime
    timezone: str
    depot: str
    bills: list[DriveBillView]
    ended: list[str]
    reasons: dict[str, DriveReasonView]
