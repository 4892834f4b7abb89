"""What a depot is, as facts have made it (:mod:`depot.fold`): connectors, open transactions, stays, limits, stations, fleet. Immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from depot import ageing as ag
from depot import alarms as al
from depot import battery_swaps as bs
from depot import customer_information as ci
from depot import demand_book as db
from depot import der as dr
from depot import display_messages as dm
from depot import emergency as em
from depot import events as ev
from depot import files as fl
from depot import limit_book as lb
from depot import local_lists as ll
from depot import network_profiles as np
from depot import notes as no
from depot import outputs as ou
from depot import plan_policy as pp
from depot import reference_tests as rt
from depot import reservations as rs
from depot import security as se
from depot import smart_charging as sc
from depot import station_tariffs as stt
from depot import value_assumptions as va
from depot import wanted as wt
from depot.assets import AssetMode
from depot.contracts import TrustedRoot
from depot.fleet import Driver, Pack, Vehicle, same_tag
from depot.registry import FeederSpec, StationSpec
from depot.tokens import IdToken, keys_for
from depot.values import ConnectorId, Limit, PackKey, Supply, UtilityLink

FIRST_TRANSACTION_ID = 1
"""OCPP 1.6 transaction ids are 31-bit and ours are unique over all stations and restarts (reference no. 19)."""

REFUSALS_KEPT = 20
OWN_STAY = "vehicle/"
"""Ids of stays begin so that a vehicle itself told while it charged: they last as long as its transaction."""


@dataclass(frozen=True, slots=True)
class StationFacts:
    """What is known of a station by its own word. ``probe`` None: not probed yet, so the worst is assumed."""

    station_id: str
    boot: ev.StationBooted | None = None
    probe: ev.StationProbed | None = None
    quarantined: bool = False
    remote: str = ""
    """From where it knocked while it was in quarantine."""
    registration: ev.Registration = ev.Registration.ACCEPTED
    item_limits: Mapping[str, int] = field(default_factory=dict)
    by_hand: tuple[ev.ProfileSetByHand, ...] = ()
    """Profiles that a person put there and that may stand above the depot's own."""
    status: ev.ConnectorStatus = ev.ConnectorStatus.UNKNOWN
    """Of the station as a whole, as it said last."""
    error_code: str = "NoError"
    detail: ev.StatusDetail = ev.NO_DETAIL


@dataclass(frozen=True, slots=True)
class Transaction:
    """One open charging session."""

    transaction_id: int
    session_id: str
    connector: ConnectorId
    id_tag: str
    started_at: datetime
    reported_at: datetime | None
    meter_start_wh: int
    visit_id: str | None

    @property
    def began_at(self) -> datetime:
        """By the charger's clock, where it said a time that can be true."""
        return self.reported_at or self.started_at


@dataclass(frozen=True, slots=True)
class Grant:
    """What the journal says that a connector may draw, at most, until ``until``."""

    level_w: int
    until: datetime


@dataclass(frozen=True, slots=True)
class ConnectorFacts:
    """Facts of one connector. ``default_w`` None: none confirmed (bound is the rating). ``isolated_by``: the tripped pack
    for which it is out of service. ``schedule_differs``: how what the station says that it would allow differs from what
    was installed there; empty: not that anybody knows."""

    status: ev.ConnectorStatus = ev.ConnectorStatus.UNKNOWN
    status_since: datetime | None = None
    error_code: str = "NoError"
    detail: ev.StatusDetail = ev.NO_DETAIL
    transaction_id: int | None = None
    grant: Grant | None = None
    default_w: int | None = None
    trust: ev.TrustLevel = ev.TrustLevel.UNPROVEN
    trust_factor: float = 1.0
    operative: bool = True
    inoperative_reason: str = ""
    isolated_by: PackKey | None = None
    schedule_differs: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """A vehicle's stay. ``delivered_wh``: grid energy of its finished sessions; the running one's is a reading.
    ``present``: plugged in. ``held``: a person stopped its charging."""

    announced: ev.VisitAnnounced
    connector: ConnectorId | None = None
    present: bool = False
    delivered_wh: int = 0
    sessions: int = 0
    held: bool = False

    @property
    def visit_id(self) -> str:
        return self.announced.visit_id

    @property
    def needed_wh(self) -> int:
        """Grid energy that the whole visit needs, Wh."""
        return round(self.announced.battery_energy_wh / self.announced.efficiency)


@dataclass(frozen=True, slots=True)
class PackTrip:
    """A pack that is latched: why, with what evidence, since when."""

    cause: str
    evidence: Mapping[str, str]
    since: datetime


@dataclass(frozen=True, slots=True)
class StationChange:
    """What a person changed of a station beside the settings file; ``station`` None: it is gone from the site.
    ``over``, ``key_hash``: see :class:`~depot.events.StationDeclared`."""

    station: StationSpec | None
    over: str
    key_hash: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """A command that waits for a second person. ``data``: the command as JSON. ``granted_by`` "": nobody yet; with a
    name it is being carried out."""

    command_id: str
    kind: str
    target: str
    reason: str
    data: str
    asked_by: str
    asked_at: datetime
    until: datetime
    granted_by: str = ""


class PaidPhase(StrEnum):
    """What a paid session's vehicle does. HELD: the depot keeps power from it; FULL: it takes none by its own choice; GONE: it is
    unplugged."""

    CHARGING = "charging"
    HELD = "held"
    FULL = "full"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class PaidReading:
    """The register of a paid session at a moment."""

    at: datetime
    register_wh: int


@dataclass(frozen=True, slots=True)
class PhaseChange:
    """Since when."""

    at: datetime
    phase: PaidPhase


@dataclass(frozen=True, slots=True)
class PaidSession:
    """A session that a driver pays for, until it is billed. ``energy_wh`` None: it still runs. ``unasked``: a station began it
    without asking; ``warned`` and ``stopping``: what its driver was told last, and why it is being ended, None where nothing.
    ``begun_at``, ``ended_at``: by the charger's clock where it said a time that can be true. ``readings``: between start and end;
    ``phases``: only changes, oldest first."""

    terms: ev.SessionAdmitted
    transaction_id: int
    connector: ConnectorId
    started_at: datetime
    energy_wh: int | None = None
    stopped_at: datetime | None = None
    estimated: bool = False
    unasked: ev.SessionUnasked | None = None
    warned: ev.SessionWarned | None = None
    stopping: ev.SessionStopAsked | None = None
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    meter_start_wh: int = 0
    meter_stop_wh: int = 0
    readings: tuple[PaidReading, ...] = ()
    phases: tuple[PhaseChange, ...] = ()

    @property
    def phase(self) -> PaidPhase:
        """The newest."""
        return self.phases[-1].phase if self.phases else PaidPhase.CHARGING


@dataclass(frozen=True, slots=True)
class UnaskedSession:
    """A session that a station began without asking, of which a manager shall know."""

    at: datetime
    fact: ev.SessionUnasked


@dataclass(frozen=True, slots=True)
class RefusedStart:
    """A driver who pays was told no."""

    at: datetime
    fact: ev.StartRefused


@dataclass(frozen=True, slots=True)
class SupplyFact:
    """What one source says of the supply. ``began``: when its last time on the generator did, also after the return."""

    supply: Supply
    since: datetime
    reason: str = ""
    by: str = ""
    began: datetime | None = None


@dataclass(frozen=True, slots=True)
class DepotState:
    """All facts after ``seq``. Mappings are never mutated; fold() makes new ones."""

    seq: int = 0
    next_transaction_id: int = FIRST_TRANSACTION_ID
    stations: Mapping[str, StationFacts] = field(default_factory=dict)
    connectors: Mapping[ConnectorId, ConnectorFacts] = field(default_factory=dict)
    transactions: Mapping[int, Transaction] = field(default_factory=dict)
    visits: Mapping[str, Visit] = field(default_factory=dict)
    limits: Mapping[str, Limit] = field(default_factory=dict)
    utility: UtilityLink | None = None
    supply: Mapping[str, SupplyFact] = field(default_factory=dict)
    """What feeds the site, by who says so."""
    tripped: Mapping[PackKey, PackTrip] = field(default_factory=dict)
    derated: Mapping[PackKey, float] = field(default_factory=dict)
    vehicles: Mapping[str, Vehicle] = field(default_factory=dict)
    packs: Mapping[PackKey, Pack] = field(default_factory=dict)
    drivers: Mapping[str, Driver] = field(default_factory=dict)
    declared_stations: Mapping[str, StationChange] = field(default_factory=dict)
    declared_feeders: Mapping[str, FeederSpec] = field(default_factory=dict)
    alarms: Mapping[str, al.Alarm] = field(default_factory=dict)
    approvals: Mapping[str, Approval] = field(default_factory=dict)
    paid: Mapping[str, PaidSession] = field(default_factory=dict)
    """Sessions that a driver pays for and that are not billed yet, by session id."""
    security: se.SecurityState = field(default_factory=se.SecurityState)
    refused_starts: tuple[RefusedStart, ...] = ()
    """The newest REFUSALS_KEPT, oldest first."""
    unasked_sessions: tuple[UnaskedSession, ...] = ()
    """The newest REFUSALS_KEPT, oldest first."""
    id_tokens: Mapping[str, IdToken] = field(default_factory=dict)
    """Listed tokens by their key."""
    files: fl.Files = field(default_factory=fl.Files)
    """Firmware images, and transfers to and from stations."""
    limit_book: lb.LimitBook = field(default_factory=lb.LimitBook)
    demand_book: db.DemandBook = field(default_factory=db.DemandBook)
    next_reservation_id: int = 1
    reservations: rs.Reservations = field(default_factory=dict)
    """Those that hold, and the newest that are over."""
    smart_charging: sc.SmartChargingState = field(default_factory=sc.SmartChargingState)
    """What vehicles need and what others limit, as stations told it."""
    local_lists: Mapping[str, ll.LocalList] = field(default_factory=dict)
    """What each station is believed to know by itself."""
    networks: Mapping[str, np.StationNetwork] = field(default_factory=dict)
    """Network connection profiles that each station has accepted."""
    der: Mapping[str, dr.StationDer] = field(default_factory=dict)
    """DER controls and alarms of each station (2.1)."""
    swaps: bs.SwapBook = field(default_factory=bs.SwapBook)
    station_tariffs: Mapping[str, stt.StationTariffs] = field(default_factory=dict)
    """Tariffs that each station holds (2.1)."""
    notes: tuple[no.KeptNote, ...] = ()
    outputs: ou.OutputBook = field(default_factory=ou.OutputBook)
    """What stations told that nobody acts on, oldest first."""
    emergency: em.EmergencyBook = field(default_factory=em.EmergencyBook)
    asset_modes: Mapping[str, AssetMode] = field(default_factory=dict)
    """What people want of stationary batteries; one that is not in it is the depot's to use."""
    wanted: wt.Wanted = field(default_factory=dict)
    """Values that variables of stations shall have."""
    displays: dm.DisplayState = field(default_factory=dm.DisplayState)
    customers: ci.CustomerRequests = field(default_factory=ci.CustomerRequests)
    """Who asked stations what they keep about customers; never what they told."""

    full_charges: Mapping[str, datetime] = field(default_factory=dict)
    """When each vehicle's battery was last full for long enough to balance its cells."""
    plan_policy: pp.PickedPolicy | None = None
    """What a person wants plans to be good at; None: what the settings say."""
    ageing: Mapping[str, ag.Ageing] = field(default_factory=dict)
    """How fast the depot's own batteries age beside the table, by chemistry, and whether plans follow it."""
    value_assumptions: Mapping[str, va.ChangedAssumption] = field(default_factory=dict)
    """What people put in the place of assumptions of residual values, by name."""
    reference_tests: Mapping[str, rt.ReferenceTest] = field(default_factory=dict)
    """The newest reference test of each vehicle, open or over."""
    contract_roots: Mapping[str, TrustedRoot] = field(default_factory=dict)
    """Authorities whose contracts count, by fingerprint."""

    def id_token(self, token: str, kind: str = "") -> IdToken | None:
        """What the list says of a token; case does not count. ``kind``: its type, "" where a reader says none."""
        return next((found for key in keys_for(token, kind) if (found := self.id_tokens.get(key)) is not None), None)

    def registration(self, station_id: str) -> ev.Registration:
        """How far a station is admitted; accepted where nobody said anything."""
        station = self.stations.get(station_id)
        return ev.Registration.ACCEPTED if station is None else station.registration

    def by_hand(self, key: ConnectorId) -> tuple[ev.ProfileSetByHand, ...]:
        """Profiles on a connector that a person put there and that may stand above the depot's own."""
        station = self.stations.get(key.station_id)
        return () if station is None else tuple(p for p in station.by_hand if p.number in (0, key.connector))

    def vehicle_by_tag(self, id_tag: str) -> Vehicle | None:
        """The registered vehicle that carries this card or tag, or whose id it is."""
        return next((v for v in self.vehicles.values() if any(same_tag(id_tag, tag) for tag in (*v.id_tags, v.vehicle_id))), None)

    def driver_by_tag(self, id_tag: str) -> Driver | None:
        """The registered driver whose card or tag this is."""
        return next((d for d in self.drivers.values() if any(same_tag(id_tag, tag) for tag in d.id_tags)), None)

    def packs_of(self, vehicle_id: str) -> tuple[Pack, ...]:
        """The registered packs of a vehicle."""
        return tuple(pack for key, pack in self.packs.items() if key.vehicle_id == vehicle_id)

    def connector(self, key: ConnectorId) -> ConnectorFacts:
        """Facts of a connector; the empty ones (unknown status, nothing confirmed) where nothing was journaled."""
        return self.connectors.get(key, _NO_FACTS)

    def transaction_on(self, key: ConnectorId) -> Transaction | None:
        """The open transaction of a connector."""
        number = self.connector(key).transaction_id
        return None if number is None else self.transactions.get(number)

    def open_on(self, key: ConnectorId) -> list[Transaction]:
        """Every transaction of a connector that has not ended, belated ones too, in the order in which they began there."""
        found = [transaction for transaction in self.transactions.values() if transaction.connector == key]
        return sorted(found, key=lambda transaction: (transaction.began_at, transaction.transaction_id))

    def visit_on(self, key: ConnectorId) -> Visit | None:
        """The present visit on a connector (the one that arrived last, should two claim it)."""
        found = None
        for visit in self.visits.values():
            if visit.present and visit.connector == key:
                found = visit
        return found


_NO_FACTS = ConnectorFacts()
