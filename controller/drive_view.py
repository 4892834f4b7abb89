"""What drivers' pages show of a charger and of the driver's own sessions. Amounts are integer paise; nobody's contact data is in here."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from msgspec import Struct


class WordsView(Struct, frozen=True, kw_only=True):
    """One text. ``key`` for pages and tests."""

    key: str
    english: str
    hindi: str


class PlaceState(StrEnum):
    """A connector as a driver sees it."""

    FREE = "free"
    PLUGGED = "plugged"
    CHARGING = "charging"
    RESERVED = "reserved"
    OUT = "out_of_service"
    OFFLINE = "offline"


class DriveStepView(Struct, frozen=True, kw_only=True):
    """One price with tax. ``kind``: energy (paise/kWh), time and idle (paise/h), flat (paise/session). ``start``, ``end``: clock times
    (HH:MM) in India or the tariff's zone, "" where they do not count; ``days``: Monday is 0, empty: all; ``last_day`` counts;
    ``from_wh`` … ``to_s``: of the session so far; ``grace_s``: of idle time, free after full."""

    kind: str
    paise: int
    start: str = ""
    end: str = ""
    days: list[int] = []
    first_day: date | None = None
    last_day: date | None = None
    from_wh: int | None = None
    to_wh: int | None = None
    from_s: int | None = None
    to_s: int | None = None
    grace_s: int = 0


class DrivePriceView(Struct, frozen=True, kw_only=True):
    """``paise_per_kwh``: of this moment with tax, rounded to a paisa, ``until`` the clock changes it (None: not within a day).
    ``least_paise``, ``most_paise``: of a whole session, with tax. The first step of a kind that holds is the price of that kind."""

    paise_per_kwh: int
    until: datetime | None
    tax_percent: float
    name: str
    steps: list[DriveStepView]
    least_paise: int | None
    most_paise: int | None


class DriveModeView(Struct, frozen=True, kw_only=True):
    """A way to pay. ``choices_paise``: maxima that are enough for a session here; ``days``: how long it holds."""

    mode: str
    choices_paise: list[int]
    days: int


class DriveGateView(Struct, frozen=True, kw_only=True):
    """What the gate says: ``refusal`` "" where the driver may start, with ``most_wh`` at the most; ``owed_paise``: billed, not paid."""

    may_start: bool
    refusal: str
    headline: WordsView
    next_step: WordsView
    room_paise: int
    most_wh: int
    owed_paise: int


class DrivePlaceView(Struct, frozen=True, kw_only=True):
    """A connector for somebody who stands at it. ``session_id``: of the asking driver's own session there, "" else.
    ``most_wh``: where a session ends at the latest; ``reserved_paise``: the most that it can cost. ``gate``: whether this driver may
    start there now; None for somebody unknown."""

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
    gate: DriveGateView | None


class DriveReasonView(Struct, frozen=True, kw_only=True):
    """Why a session gets less than its charger can give. ``because``: a word of :class:`depot.values.Because`."""

    because: str
    power_w: int
    rated_w: int


class DriveBillView(Struct, frozen=True, kw_only=True):
    """One of a driver's own sessions in the books. ``stage`` as in :class:`payments.states.Stage`; ``due_at``: when its debit may be
    presented; ``owed_paise``: what is still to be paid of it; ``credited_paise``: taken off by credit notes."""

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
    credited_paise: int = 0
    owed_paise: int = 0
    due_at: datetime | None = None


class DriveMandateView(Struct, frozen=True, kw_only=True):
    """The mandate that counts. ``intent_url``: for the UPI app, while approval is still to come, "" else."""

    mandate_id: str
    mode: str
    state: str
    max_amount_paise: int
    expire_at: datetime
    intent_url: str


class DriveRunningView(Struct, frozen=True, kw_only=True):
    """A session under way. ``power_w`` None: not measured lately; ``reason`` None: it gets what its charger can give. ``most_paise``:
    what it may cost; ``ends_at``: when it ends by itself at the present power; ``told``: what the driver is to know, as that the
    block is nearly used."""

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
    most_paise: int
    ends_at: datetime | None
    told: WordsView | None
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
