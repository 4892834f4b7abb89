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


class DriveModeView(Struct, frozen=True, kw_only=True):
    """A way to pay. ``choices_paise``: maxima that are enough for a session here; ``days``: how long it holds."""

    mode: str
    choices_paise: list[int]
    days: int


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
    modes: list[DriveModeView]
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


class DriveMandateView(Struct, frozen=True, kw_only=True):
    """The mandate that counts. ``intent_url``: for the UPI app, while approval is still to come, "" else."""

    mandate_id: str
    mode: str
    state: str
    max_amount_paise: int
    expire_at: datetime
    intent_url: str


class DriveRunningView(Struct, frozen=True, kw_only=True):
    """A session under way. ``power_w`` None: not measured lately; ``reason`` None: it gets what its charger can give."""

    session_id: str
    station_id: str
    evse: int
    label: str
    started_at: datetime
    energy_wh: int
    power_w: int | None
    soc: float | None
    cost_paise: int
    most_wh: int
    reason: DriveReasonView | None


class DriveSelfView(Struct, frozen=True, kw_only=True):
    """What a driver sees of the own account. ``ended``: sessions that have ended and are being billed; ``bills``: newest first.
    ``known`` False: nothing is kept of this driver (any more)."""

    at: datetime
    timezone: str
    depot: str
    known: bool
    mandate: DriveMandateView | None
    running: list[DriveRunningView]
    ended: list[str]
    bills: list[DriveBillView]
