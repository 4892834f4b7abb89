"""Ids, limits and setpoints: the nouns that every room shares.

Units stand in the names: powers are integer watts (grid side, import and charging positive), energies integer
watt-hours, currents amperes, times aware UTC datetimes. Exceptions of this room: :class:`DepotError` and below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Self


class DepotError(Exception):
    """Root of this room's errors.

    DepotError
    ├── InvalidValue       a value that cannot exist in a depot (negative rating, limit without a unit)
    └── UnknownThing       an id that the registry does not know
    """


class InvalidValue(DepotError):
    """A value that cannot exist in a depot; the message says which and what is allowed."""


class UnknownThing(DepotError):
    """An id that the registry does not know."""


class ConnectorId(NamedTuple):
    """One connector of one station, written ``CP1/1``. A 1.6 connector n is EVSE n with one connector."""

    station_id: str
    connector: int

    def __str__(self) -> str:
        return f"{self.station_id}/{self.connector}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``CP1/1``; raises :class:`InvalidValue` for anything else."""
        station_id, slash, number = text.rpartition("/")
        if not slash or not station_id or not number.isdecimal() or int(number) < 1:
            raise InvalidValue(f"{text!r} is not a connector: write STATION/NUMBER, for example CP1/1")
        return cls(station_id, int(number))


class PackKey(NamedTuple):
    """One battery pack of one vehicle, written ``BUS7/P1``."""

    vehicle_id: str
    pack_id: str

    def __str__(self) -> str:
        return f"{self.vehicle_id}/{self.pack_id}"


class ScopeKind(StrEnum):
    """What a limit holds for."""

    SITE = "site"
    FEEDER = "feeder"
    PHASE = "phase"
    CONNECTOR = "connector"


class Quantity(StrEnum):
    """The physical quantity of a limit."""

    W = "W"
    VA = "VA"
    A = "A"


class LimitKind(StrEnum):
    """``instant``: at every moment; ``block_average``: mean over a clock-aligned demand block."""

    INSTANT = "instant"
    BLOCK_AVERAGE = "block_average"


class LimitSource(StrEnum):
    """Who says so. The order of the members is the order in which equals are shown."""

    CONTRACT = "contract"
    RATING = "rating"
    MANUAL = "manual"
    SCADA = "scada"
    FAILSAFE = "failsafe"
    SAFETY = "safety"
    BATTERY = "battery"
    GENERATOR = "generator"
    EXTERNAL = "external"
    DEMAND_RESPONSE = "demand_response"
    SCHEDULE = "schedule"
    COMEBACK = "comeback"
    PEAK_TARGET = "peak_target"
    REFERENCE_TEST = "reference_test"


class Supply(StrEnum):
    """What feeds the site."""

    GRID = "grid"
    GENERATOR = "generator"


@dataclass(frozen=True, slots=True)
class Limit:
    """What is allowed, by whom, from when to when. ``value`` is in ``quantity``'s unit; 0 means zero.

    ``scope_id`` is empty for the site, else a feeder id or a connector as text. ``until`` None: until replaced.
    """

    limit_id: str
    scope: ScopeKind
    value: int
    source: LimitSource
    from_: datetime
    scope_id: str = ""
    until: datetime | None = None
    quantity: Quantity = Quantity.W
    kind: LimitKind = LimitKind.INSTANT
    set_by: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if self.value < 0:
            raise InvalidValue(f"limit {self.limit_id}: {self.value} {self.quantity} is negative; 0 is the least")
        if self.until is not None and self.until <= self.from_:
            raise InvalidValue(f"limit {self.limit_id}: it ends ({self.until}) before it begins ({self.from_})")
        if (self.scope is ScopeKind.SITE) == bool(self.scope_id):
            raise InvalidValue(f"limit {self.limit_id}: a {self.scope} limit {'has no' if self.scope_id else 'needs a'} scope_id")

    def holds_at(self, at: datetime) -> bool:
        """Whether the limit is in force at ``at`` (half-open)."""
        return self.from_ <= at and (self.until is None or at < self.until)

    def touches(self, start: datetime, stop: datetime) -> bool:
        """Whether the limit is in force at some moment of [start, stop)."""
        return self.from_ < stop and (self.until is None or start < self.until)


class UtilityMode(StrEnum):
    """How the link to the utility stands. ``init``: nothing heard since the start; ``controlled``: a live heartbeat and
    a command given while it lived; ``failsafe``: the heartbeat was lost, until it and a fresh command are back;
    ``autonomous``: the fail-safe time is over, and the site's agreement releases it then."""

    INIT = "init"
    CONTROLLED = "controlled"
    FAILSAFE = "failsafe"
    AUTONOMOUS = "autonomous"


@dataclass(frozen=True, slots=True)
class UtilityOrder:
    """A site limit as the utility ordered it. ``value_w`` None: it sets none; 0 means zero.

    It begins ``delay_s`` after ``received_at``, is reached along a straight line of ``ramp_s`` from ``ramp_from_w`` (None:
    from the contract), and ends ``validity_s`` after its beginning (0: when it is replaced). Then the reversion holds:
    ``reversion_w`` (None: the fail-safe limit), or no limit of the utility where ``reversion_limited`` is False.
    ``reason`` and ``event_id`` are the utility's own and are echoed.
    """

    seq: int
    received_at: datetime
    value_w: int | None = None
    validity_s: int = 0
    delay_s: int = 0
    ramp_s: int = 0
    reversion_limited: bool = True
    reversion_w: int | None = None
    event_id: int = 0
    reason: int = 0
    peer: str = ""
    ramp_from_w: int | None = None

    @property
    def starts_at(self) -> datetime:
        """When it begins."""
        return self.received_at + timedelta(seconds=self.delay_s)

    @property
    def until(self) -> datetime | None:
        """When the reversion takes over; None: never by itself."""
        return self.starts_at + timedelta(seconds=self.validity_s) if self.validity_s else None


@dataclass(frozen=True, slots=True)
class UtilityLink:
    """All that must survive a restart about the utility's limit. ``order`` has begun, ``next_order`` waits for its time;
    orders given before ``fresh_from`` cannot make the link controlled. ``beats``: the last values of the heartbeat
    registers, ``beat_at`` when one of them last changed, ``back_at`` when they came to life (again). Times are those of
    whoever keeps it (see ``grid.failsafe``)."""

    since: datetime
    fresh_from: datetime
    failsafe_w: int
    failsafe_min_s: int
    heartbeat_timeout_s: int
    mode: UtilityMode = UtilityMode.INIT
    order: UtilityOrder | None = None
    next_order: UtilityOrder | None = None
    beats: tuple[int, int] = (0, 0)
    beat_at: datetime | None = None
    back_at: datetime | None = None


class Because(StrEnum):
    """Why a setpoint is not higher: the steps of the reason chain, in the order in which they are shown."""

    VEHICLE = "vehicle"
    CHARGER = "charger"
    PLAN = "plan"
    FEEDER = "feeder"
    SITE = "site"
    SETTLING = "settling"
    MINIMUM = "minimum"
    FROZEN = "frozen"
    SAFETY = "safety"
    PICKUP = "pickup"
    EXTERNAL = "external"
    CONNECTOR = "connector"
    NO_SESSION = "no_session"


@dataclass(frozen=True, slots=True)
class Reason:
    """One step of the chain: this thing would allow ``level_w``; ``binding`` marks the one that decided."""

    because: Because
    level_w: int
    text: str
    binding: bool = False


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a vehicle that plans by itself is told of the hours after a setpoint: ``steps`` (from when on, W), none above the
    installed default, until ``ends``; ``prices`` (from when on, per kWh of ``currency``). ``most``: entries that it takes.
    ``iso_20``: it understands what only ISO 15118-20 has."""

    steps: tuple[tuple[datetime, int], ...]
    ends: datetime
    prices: tuple[tuple[datetime, Decimal], ...] = ()
    currency: str = ""
    most: int = 24
    iso_20: bool = False


@dataclass(frozen=True, slots=True)
class Setpoint:
    """What is sent to one connector: at most ``level_w`` until ``until``, then its installed default.

    ``transaction_id`` None: no transaction runs there (a start is being asked for, or a default is meant).
    """

    connector: ConnectorId
    level_w: int
    until: datetime
    because: tuple[Reason, ...] = ()
    transaction_id: int | None = None
    outlook: Outlook | None = None


@dataclass(frozen=True, slots=True)
class SafeSetpoints:
    """Setpoints that the limiter has checked against every limit: the only thing :class:`~depot.ports.Chargers`
    takes. Decreases stand before increases. Only ``controller.limiter`` builds one."""

    setpoints: tuple[Setpoint, ...] = field(default_factory=tuple)

    def __iter__(self) -> Iterator[Setpoint]:
        return iter(self.setpoints)


class Outcome(StrEnum):
    """How a call to a charger ended. ``UNKNOWN``, ``TIMEOUT``: it may or may not have been carried out."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNSUPPORTED = "unsupported"
    ERROR = "error"
    TIMEOUT = "timeout"
    UNKNOWN = "unknown"
    OFFLINE = "offline"

    @property
    def certain(self) -> bool:
        """Whether we know what the charger did. An error answer and a frame that never left count as not done."""
        return self not in (Outcome.TIMEOUT, Outcome.UNKNOWN)


class Role(StrEnum):
    """What a person may do; each contains the ones before it, safety officer and manager excepted (see web.roles)."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    SAFETY_OFFICER = "safety officer"
    MANAGER = "manager"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Plan:
    """Advice for the limiter: planned mean power per visit and slot; with an expiry, because advice ages.

    ``power_w[visit_id][k]`` holds for the half-open slot [start + k·slot, start + (k+1)·slot).
    ``storage_w[asset_id][k]``: of stationary batteries, negative where they give. ``site_w[k]`` is the planned total with
    background. ``shed_wh``: by visit, what of its comfort (a full battery, preconditioning) does not fit. ``ahead_wh``: by visit,
    what it shall receive beyond its need for a later visit of its vehicle (grid side). A plan is never trusted: the limiter projects it.
    """

    plan_id: str
    made_at: datetime
    start: datetime
    slot_s: int
    power_w: Mapping[str, tuple[int, ...]]
    site_w: tuple[int, ...]
    expires_at: datetime
    unmet_wh: Mapping[str, int] = field(default_factory=dict)
    cost: float = 0.0
    solver: str = ""
    solve_s: float = 0.0
    storage_w: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    shed_wh: Mapping[str, int] = field(default_factory=dict)
    ahead_wh: Mapping[str, int] = field(default_factory=dict)

    def slot_at(self, at: datetime) -> int | None:
        """Index of the slot that holds ``at``; None outside of the horizon."""
        k = int((at - self.start).total_seconds() // self.slot_s)
        return k if 0 <= k < len(self.site_w) else None

    def power_at(self, visit_id: str, at: datetime) -> int | None:
        """Planned W of the visit at ``at``; None where the plan does not know it or has expired."""
        row = self.power_w.get(visit_id)
        k = self.slot_at(at)
        if row is None or k is None or at >= self.expires_at or k >= len(row):
            return None
        return row[k]
