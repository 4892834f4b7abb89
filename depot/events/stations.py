"""Facts of stations and connectors: what they said, what was found out about them, what was installed in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from depot.events.envelope import Event
from depot.values import ConnectorId, PackKey


class ConnectorStatus(StrEnum):
    """OCPP 1.6 §7.7 ChargePointStatus."""

    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    SUSPENDED_EVSE = "SuspendedEVSE"
    SUSPENDED_EV = "SuspendedEV"
    FINISHING = "Finishing"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"
    UNKNOWN = "Unknown"

    @property
    def plugged(self) -> bool:
        """Whether a vehicle is connected in this state."""
        return self in _PLUGGED

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction runs in this state."""
        return self in _IN_TRANSACTION

    @property
    def between_transactions(self) -> bool:
        """Whether none runs in this state, as far as it was told in time."""
        return self in _BETWEEN_TRANSACTIONS


_PLUGGED = frozenset(
    {
        ConnectorStatus.PREPARING,
        ConnectorStatus.CHARGING,
        ConnectorStatus.SUSPENDED_EVSE,
        ConnectorStatus.SUSPENDED_EV,
        ConnectorStatus.FINISHING,
    }
)

_IN_TRANSACTION = frozenset({ConnectorStatus.CHARGING, ConnectorStatus.SUSPENDED_EVSE, ConnectorStatus.SUSPENDED_EV})
_BETWEEN_TRANSACTIONS = frozenset(
    {ConnectorStatus.AVAILABLE, ConnectorStatus.PREPARING, ConnectorStatus.FINISHING, ConnectorStatus.RESERVED}
)


class TrustLevel(StrEnum):
    """What the meter has shown about a connector: ``unproven`` nothing yet, ``obeys``, ``overdraws`` by a factor,
    ``defiant``: draws what it likes (budgeted at its rating, switched on and off only)."""

    UNPROVEN = "unproven"
    OBEYS = "obeys"
    OVERDRAWS = "overdraws"
    DEFIANT = "defiant"


@dataclass(frozen=True, slots=True)
class StationBooted(Event):
    TYPE: ClassVar[str] = "station.boot_reported"
    station_id: str
    vendor: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""


@dataclass(frozen=True, slots=True)
class StationQuarantined(Event):
    """An id that the registry does not know knocked; it is held until a person accepts it."""

    TYPE: ClassVar[str] = "station.contact_quarantined"
    station_id: str
    remote: str = ""


@dataclass(frozen=True, slots=True)
class StationProbed(Event):
    """What the capability probe found. ``rate_units``: subset of {"W", "A"}; ``purposes``: of TxProfile,
    TxDefaultProfile, ChargePointMaxProfile that it took; ``autonomous``: it can start a session by itself.

    ``max_periods``, ``max_profiles``: of one schedule, and installed at once, as it says; ``switches_phases``: from three
    to one and back. ``composite``: it tells its composite schedule. ``falls_back``: whether its default was seen to hold
    again once what lay above it had expired. None: not known.
    """

    TYPE: ClassVar[str] = "station.capability_probed"
    VERSION: ClassVar[int] = 2
    station_id: str
    rate_units: tuple[str, ...] = ("W", "A")
    purposes: tuple[str, ...] = ()
    max_stack_level: int = 0
    autonomous: bool = True
    max_periods: int | None = None
    max_profiles: int | None = None
    switches_phases: bool | None = None
    composite: bool | None = None
    falls_back: bool | None = None


@dataclass(frozen=True, slots=True)
class StatusDetail:
    """What else a station says with a status, in its own words. ``info``: free text; the vendor's code is read with its id."""

    info: str = ""
    vendor_id: str = ""
    vendor_error_code: str = ""


NO_DETAIL = StatusDetail()


@dataclass(frozen=True, slots=True)
class ConnectorStatusChanged(Event):
    """Status or error is another one. ``detail``: what the station said with it (since version 2)."""

    TYPE: ClassVar[str] = "connector.status_changed"
    VERSION: ClassVar[int] = 2
    connector: ConnectorId
    status: ConnectorStatus
    error_code: str = "NoError"
    detail: StatusDetail = NO_DETAIL


@dataclass(frozen=True, slots=True)
class StationStatusChanged(Event):
    """The station as a whole (connector 0 of OCPP 1.6): Available, Unavailable or Faulted."""

    TYPE: ClassVar[str] = "station.status_changed"
    station_id: str
    status: ConnectorStatus
    error_code: str = "NoError"
    detail: StatusDetail = NO_DETAIL


@dataclass(frozen=True, slots=True)
class ConnectorTrustChanged(Event):
    TYPE: ClassVar[str] = "connector.trust_changed"
    connector: ConnectorId
    trust: TrustLevel
    factor: float = 1.0
    reason: str = ""


OUT_BY_CALL = "put out of service by a call"
"""Why a connector is out of service that a person has shut at its station by an OCPP call of their own: it is again as soon as
such a call, or the station itself, says so."""


@dataclass(frozen=True, slots=True)
class ConnectorAvailabilitySet(Event):
    """``operative`` False: taken out of service by ``reason``; stays so over restarts until a person lifts it."""

    TYPE: ClassVar[str] = "connector.availability_set"
    connector: ConnectorId
    operative: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ConnectorIsolated(Event):
    """Out of service because ``pack``, which is tripped, hangs on it. Recorded after it acted; lifted by an
    :class:`ConnectorAvailabilitySet`, after the pack's reset or by a person once its vehicle has gone."""

    TYPE: ClassVar[str] = "connector.pack_isolated"
    connector: ConnectorId
    pack: PackKey


@dataclass(frozen=True, slots=True)
class DefaultInstalled(Event):
    """The connector confirmed its TxDefaultProfile of ``level_w``. None: it can't hold one (uncovered)."""

    TYPE: ClassVar[str] = "connector.default_installed"
    connector: ConnectorId
    level_w: int | None


@dataclass(frozen=True, slots=True)
class ScheduleCompared(Event):
    """What the station says that it would allow was compared with what was installed there; recorded when the answer
    changes. ``agrees`` False: they differ after our profiles were sent once more; ``detail`` says how."""

    TYPE: ClassVar[str] = "connector.schedule_compared"
    connector: ConnectorId
    agrees: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SetpointGranted(Event):
    """An increase, journaled before it leaves: from now on the connector may draw ``level_w`` until ``until``."""

    TYPE: ClassVar[str] = "setpoint.increase_granted"
    connector: ConnectorId
    level_w: int
    until: datetime


@dataclass(frozen=True, slots=True)
class SetpointLowered(Event):
    """A decrease that the charger confirmed; recorded after it acted (invariant 4)."""

    TYPE: ClassVar[str] = "setpoint.decrease_confirmed"
    connector: ConnectorId
    level_w: int
    until: datetime


@dataclass(frozen=True, slots=True)
class ProfileSetByHand(Event):
    """A person put a charging profile on a station that may stand above the depot's own. ``number``: of the connector, 0:
    every one. While it is there, levels of the depot prove nothing on these connectors."""

    TYPE: ClassVar[str] = "station.profile_set_by_hand"
    station_id: str
    number: int
    profile_id: int
    purpose: str


@dataclass(frozen=True, slots=True)
class HandProfilesCleared(Event):
    """The station confirmed that such profiles are gone. ``profile_id`` 0: all of ``number``; ``number`` 0: of the station."""

    TYPE: ClassVar[str] = "station.hand_profiles_cleared"
    station_id: str
    number: int = 0
    profile_id: int = 0
