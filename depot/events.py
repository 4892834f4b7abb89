"""Facts, in the past tense. Each has a wire name ``area.noun_verbed`` and a version; the envelope carries the rest.

A released shape is never changed: a new version gets a new class and an upcaster (``controller.journal``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from depot.fleet import Driver, Pack, Vehicle
from depot.registry import FeederSpec, StationSpec
from depot.values import ConnectorId, Limit, PackKey, Supply, UtilityLink


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all facts. ``TYPE`` and ``VERSION`` name the shape on disk."""

    TYPE: ClassVar[str] = ""
    VERSION: ClassVar[int] = 1


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


_PLUGGED = frozenset(
    {
        ConnectorStatus.PREPARING,
        ConnectorStatus.CHARGING,
        ConnectorStatus.SUSPENDED_EVSE,
        ConnectorStatus.SUSPENDED_EV,
        ConnectorStatus.FINISHING,
    }
)


class TrustLevel(StrEnum):
    """What the meter has shown about a connector: ``unproven`` nothing yet, ``obeys``, ``overdraws`` by a factor,
    ``defiant``: draws what it likes (budgeted at its rating, switched on and off only)."""

    UNPROVEN = "unproven"
    OBEYS = "obeys"
    OVERDRAWS = "overdraws"
    DEFIANT = "defiant"


@dataclass(frozen=True, slots=True)
class ControllerStarted(Event):
    TYPE: ClassVar[str] = "controller.process_started"
    software: str = ""


@dataclass(frozen=True, slots=True)
class BackupRestored(Event):
    """The journal up to here came from a backup whose last fact was ``backup_seq``; what happened between ``made_at`` and
    now is not known. What chargers were told is not believed any more, and no transaction id below
    ``next_transaction_id`` is given again."""

    TYPE: ClassVar[str] = "controller.backup_restored"
    made_at: datetime
    backup_seq: int
    next_transaction_id: int


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
    TxDefaultProfile, ChargePointMaxProfile that it took; ``autonomous``: it can start a session by itself."""

    TYPE: ClassVar[str] = "station.capability_probed"
    station_id: str
    rate_units: tuple[str, ...] = ("W", "A")
    purposes: tuple[str, ...] = ()
    max_stack_level: int = 0
    autonomous: bool = True


@dataclass(frozen=True, slots=True)
class ConnectorStatusChanged(Event):
    TYPE: ClassVar[str] = "connector.status_changed"
    connector: ConnectorId
    status: ConnectorStatus
    error_code: str = "NoError"


@dataclass(frozen=True, slots=True)
class ConnectorTrustChanged(Event):
    TYPE: ClassVar[str] = "connector.trust_changed"
    connector: ConnectorId
    trust: TrustLevel
    factor: float = 1.0
    reason: str = ""


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
class TransactionStarted(Event):
    """``reported_at`` in the envelope is the charger's time; ``vehicle_id`` and ``visit_id`` as matched on arrival."""

    TYPE: ClassVar[str] = "transaction.session_started"
    transaction_id: int
    session_id: str
    connector: ConnectorId
    id_tag: str
    meter_start_wh: int
    visit_id: str | None = None
    accepted: bool = True


@dataclass(frozen=True, slots=True)
class TransactionStopped(Event):
    """``estimated``: a ghost that never said stop; ended by the next start, boot or Available, energy from the last reading."""

    TYPE: ClassVar[str] = "transaction.session_stopped"
    transaction_id: int
    connector: ConnectorId
    meter_stop_wh: int
    reason: str = "Local"
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class StopOrphaned(Event):
    """A stop whose start is unknown or long over. Answered and kept; changes no session."""

    TYPE: ClassVar[str] = "transaction.stop_orphaned"
    station_id: str
    transaction_id: int
    meter_stop_wh: int
    reason: str = "Local"


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
class LimitSet(Event):
    TYPE: ClassVar[str] = "limit.value_set"
    limit: Limit


@dataclass(frozen=True, slots=True)
class LimitCleared(Event):
    TYPE: ClassVar[str] = "limit.value_cleared"
    limit_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SupplyChanged(Event):
    """What feeds the site, as ``source`` says it: ``hand`` (a person) or ``contact`` (the transfer switch)."""

    TYPE: ClassVar[str] = "supply.source_changed"
    source: str
    supply: Supply
    reason: str = ""


@dataclass(frozen=True, slots=True)
class UtilityLinkChanged(Event):
    """The utility's order, fail-safe settings or link mode changed, or its heartbeat was seen again (sparsely recorded).
    ``link`` holds wall-clock times. ``cause``: what happened, in words; the envelope's actor says who."""

    TYPE: ClassVar[str] = "utility.link_changed"
    link: UtilityLink
    cause: str = ""


@dataclass(frozen=True, slots=True)
class VisitAnnounced(Event):
    """A vehicle's stay as the timetable, the driver or the operator states it; replaces what was known before.

    ``battery_energy_wh``: what the battery must still receive at arrival. ``efficiency``: battery per grid energy.
    ``connector`` None: not known yet, matched when ``id_tag`` or the vehicle shows up. Larger priority first.
    ``returning``: it left before its time with energy missing (``arrive_at`` says when). It may only be plugged anew: no
    power is planned for it before it is back.
    """

    TYPE: ClassVar[str] = "visit.stay_announced"
    visit_id: str
    vehicle_id: str
    arrive_at: datetime
    depart_at: datetime
    battery_energy_wh: int
    max_w: int
    min_w: int = 0
    connector: ConnectorId | None = None
    efficiency: float = 0.9
    battery_wh: int = 0
    soc_arrival: float | None = None
    pausable: bool | None = None
    priority: int = 0
    id_tag: str = ""
    returning: bool = False


@dataclass(frozen=True, slots=True)
class VisitArrived(Event):
    TYPE: ClassVar[str] = "visit.vehicle_arrived"
    visit_id: str
    connector: ConnectorId


@dataclass(frozen=True, slots=True)
class VisitEnded(Event):
    TYPE: ClassVar[str] = "visit.vehicle_left"
    visit_id: str


@dataclass(frozen=True, slots=True)
class VisitCancelled(Event):
    """The stay will not happen: taken back before the vehicle came."""

    TYPE: ClassVar[str] = "visit.stay_cancelled"
    visit_id: str


@dataclass(frozen=True, slots=True)
class VisitHeld(Event):
    """A person stopped the charging of this visit (``held``), or let it go on."""

    TYPE: ClassVar[str] = "visit.charging_held"
    visit_id: str
    held: bool


@dataclass(frozen=True, slots=True)
class CommandRequested(Event):
    """Somebody asked for something: who (envelope's actor), what, why."""

    TYPE: ClassVar[str] = "command.action_requested"
    command_id: str
    kind: str
    target: str
    reason: str
    detail: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommandFinished(Event):
    TYPE: ClassVar[str] = "command.action_finished"
    command_id: str
    outcome: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class PlanAccepted(Event):
    """A plan's summary; the plan itself is a projection that can be solved again."""

    TYPE: ClassVar[str] = "plan.advice_accepted"
    plan_id: str
    cost: float
    unmet_wh: int
    solve_s: float
    cause: str = ""


@dataclass(frozen=True, slots=True)
class PackDerated(Event):
    """The pack may take ``share`` (0 to 1) of its level, until the next such event; 1: all of it again."""

    TYPE: ClassVar[str] = "telemetry.pack_derated"
    pack: PackKey
    share: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PackTripped(Event):
    """The pack was found dangerous and is latched: it is not charged until a person resets it. Recorded after it acted."""

    TYPE: ClassVar[str] = "telemetry.pack_tripped"
    pack: PackKey
    cause: str
    evidence: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PackReset(Event):
    """A person (``person``, ``role``) reset a tripped pack after the cause had gone."""

    TYPE: ClassVar[str] = "telemetry.pack_reset"
    pack: PackKey
    person: str
    role: str
    reason: str


@dataclass(frozen=True, slots=True)
class TelemetryBusChanged(Event):
    """The vehicles' telemetry as a whole was lost, or is back."""

    TYPE: ClassVar[str] = "telemetry.bus_changed"
    lost: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class VehicleRegistered(Event):
    """Replaces what was registered of this vehicle before."""

    TYPE: ClassVar[str] = "vehicle.entry_registered"
    vehicle: Vehicle


@dataclass(frozen=True, slots=True)
class VehicleRemoved(Event):
    """It is no longer of this depot; its packs go with it."""

    TYPE: ClassVar[str] = "vehicle.entry_removed"
    vehicle_id: str


@dataclass(frozen=True, slots=True)
class PackRegistered(Event):
    TYPE: ClassVar[str] = "pack.entry_registered"
    pack: Pack


@dataclass(frozen=True, slots=True)
class PackRemoved(Event):
    TYPE: ClassVar[str] = "pack.entry_removed"
    pack: PackKey


@dataclass(frozen=True, slots=True)
class DriverRegistered(Event):
    TYPE: ClassVar[str] = "driver.entry_registered"
    driver: Driver


@dataclass(frozen=True, slots=True)
class DriverRemoved(Event):
    """The name, which stands apart, is deleted with it."""

    TYPE: ClassVar[str] = "driver.entry_removed"
    driver_id: str


@dataclass(frozen=True, slots=True)
class StationDeclared(Event):
    """A person changed or added a station beside the settings file; it takes effect at the core's next start.
    ``over``: fingerprint of what the file said of it then ("": nothing); once the file says something else, the file holds.
    ``key_hash``: keyed hash of the password of a station that the file does not know."""

    TYPE: ClassVar[str] = "site.station_declared"
    station: StationSpec
    over: str = ""
    key_hash: str = ""


@dataclass(frozen=True, slots=True)
class StationRetired(Event):
    """A station of the settings file is gone from the site; from the core's next start on it is not counted any more."""

    TYPE: ClassVar[str] = "site.station_retired"
    station_id: str
    over: str = ""


@dataclass(frozen=True, slots=True)
class FeederDeclared(Event):
    """A person renamed a feeder or tightened its rating; from the next start on the smaller one of file and this holds."""

    TYPE: ClassVar[str] = "site.feeder_declared"
    feeder: FeederSpec


@dataclass(frozen=True, slots=True)
class DeclarationWithdrawn(Event):
    """What a person changed of this station or feeder is taken back: the settings file holds again."""

    TYPE: ClassVar[str] = "site.declaration_withdrawn"
    station_id: str = ""
    feeder_id: str = ""


@dataclass(frozen=True, slots=True)
class AlarmRaised(Event):
    """A condition that needs a person came true. ``key``: ``kind:subject``, the same for the same thing."""

    TYPE: ClassVar[str] = "alarm.condition_raised"
    key: str
    kind: str
    subject: str
    title: str
    action: str
    priority: int


@dataclass(frozen=True, slots=True)
class AlarmCleared(Event):
    """The condition is gone. ``reason``: where it did not go by itself (suppressed, no longer watched)."""

    TYPE: ClassVar[str] = "alarm.condition_cleared"
    key: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AlarmAcknowledged(Event):
    """A person (the envelope's actor) has seen it."""

    TYPE: ClassVar[str] = "alarm.alarm_acknowledged"
    key: str


@dataclass(frozen=True, slots=True)
class AlarmShelved(Event):
    """A person put it aside until ``until``; None: out of service, until a person takes it back."""

    TYPE: ClassVar[str] = "alarm.alarm_shelved"
    key: str
    until: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class AlarmUnshelved(Event):
    """Its time on the shelf is over, or a person took it back."""

    TYPE: ClassVar[str] = "alarm.alarm_unshelved"
    key: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AuditSealed(Event):
    """The audit trail was checked up to entry ``entries``, whose hash is ``head`` (hex). Kept elsewhere, it proves that
    nothing before it was written anew."""

    TYPE: ClassVar[str] = "audit.trail_sealed"
    entries: int
    head: str


@dataclass(frozen=True, slots=True)
class ApprovalRequested(Event):
    """The command waits for a second person until ``until``. ``data``: the command as JSON, to be carried out later."""

    TYPE: ClassVar[str] = "approval.second_person_requested"
    command_id: str
    kind: str
    target: str
    reason: str
    until: datetime
    data: str


@dataclass(frozen=True, slots=True)
class ApprovalGranted(Event):
    """A second person (the envelope's actor) lets the command be carried out."""

    TYPE: ClassVar[str] = "approval.command_granted"
    command_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalRefused(Event):
    """Somebody (the envelope's actor; the asker too, who thought better of it) said no."""

    TYPE: ClassVar[str] = "approval.command_refused"
    command_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalCarriedOut(Event):
    """What was granted was begun: from here on the command's own outcome tells."""

    TYPE: ClassVar[str] = "approval.command_begun"
    command_id: str


@dataclass(frozen=True, slots=True)
class ApprovalExpired(Event):
    """Nobody answered in time."""

    TYPE: ClassVar[str] = "approval.request_expired"
    command_id: str


@dataclass(frozen=True, slots=True)
class SessionAdmitted(Event):
    """A driver who pays may charge: the terms of this session, journaled with its start. ``paise_per_kwh``: an exact
    fraction as text (``1500`` or ``2999/2``), without tax. ``most_wh``: the session is ended there."""

    TYPE: ClassVar[str] = "payment.session_admitted"
    session_id: str
    driver_id: str
    mandate_id: str
    paise_per_kwh: str
    service_paise: int
    most_wh: int
    reserved_paise: int


@dataclass(frozen=True, slots=True)
class StartRefused(Event):
    """A driver who pays may not charge now. ``refusal``: a word for machines; ``message``: for the driver."""

    TYPE: ClassVar[str] = "payment.start_refused"
    driver_id: str
    station_id: str
    refusal: str
    message: str


@dataclass(frozen=True, slots=True)
class SessionBilled(Event):
    """A paid session stands in the books of money, whatever becomes of its debit. ``invoice_no`` "": nothing was due."""

    TYPE: ClassVar[str] = "payment.session_billed"
    session_id: str
    energy_wh: int
    total_paise: int
    invoice_no: str = ""


EVENT_TYPES: dict[str, type[Event]] = {
    cls.TYPE: cls
    for cls in (
        BackupRestored,
        ControllerStarted, StationBooted, StationQuarantined, StationProbed, ConnectorStatusChanged, ConnectorTrustChanged,
        ConnectorAvailabilitySet, ConnectorIsolated, DefaultInstalled,
        TransactionStarted, TransactionStopped, StopOrphaned, SetpointGranted,
        SetpointLowered, LimitSet, LimitCleared, SupplyChanged, UtilityLinkChanged,
        VisitAnnounced, VisitArrived, VisitEnded, VisitHeld, CommandRequested,
        CommandFinished, PlanAccepted,
        PackDerated, PackTripped, PackReset, TelemetryBusChanged,
        VisitCancelled, VehicleRegistered, VehicleRemoved, PackRegistered, PackRemoved, DriverRegistered, DriverRemoved,
        StationDeclared, StationRetired, FeederDeclared, DeclarationWithdrawn,
        AlarmRaised, AlarmCleared, AlarmAcknowledged, AlarmShelved, AlarmUnshelved, AuditSealed,
        ApprovalRequested, ApprovalGranted, ApprovalRefused, ApprovalCarriedOut, ApprovalExpired,
        SessionAdmitted, StartRefused, SessionBilled,
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A fact on its way into the journal. ``key``: idempotency key; a second append with the same key changes
    nothing and yields the first one's envelope."""

    data: Event
    occurred_at: datetime
    key: str | None = None
    actor: str = "controller"
    reported_at: datetime | None = None
    received_at: datetime | None = None
    cause_id: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """A fact in the journal. ``seq`` is dense and increasing per depot. ``duplicate``: this answer repeats an
    earlier append with the same key (never stored)."""

    id: str
    depot_id: str
    seq: int
    type: str
    version: int
    occurred_at: datetime
    reported_at: datetime | None
    received_at: datetime
    actor: str
    cause_id: str | None
    key: str | None
    data: Event
    duplicate: bool = False
