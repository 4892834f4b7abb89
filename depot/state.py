"""fold(): the journal's facts become one immutable DepotState. The same journal gives the same state, always.

Envelope, Envelope, …  --fold-->  DepotState (connectors, open transactions, visits, limits, stations, fleet)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from depot import ageing as ag
from depot import alarms as al
from depot import battery_swaps as bs
from depot import customer_information as ci
from depot import demand_book as db
from depot import der as dr
from depot import display_messages as dm
from depot import emergency as em
from depot import emergency_facts as ef
from depot import events as ev
from depot import files as fl
from depot import limit_book as lb
from depot import limit_facts as lf
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


def fold(state: DepotState, envelopes: Iterable[ev.Envelope]) -> DepotState:
    """Apply facts in journal order. Facts of a type that changes no state only move ``seq``."""
    for envelope in envelopes:
        apply = _APPLY.get(type(envelope.data))
        if apply is not None:
            state = apply(state, envelope.data, envelope)
        state = replace(state, seq=envelope.seq)
    return state


def _connector(state: DepotState, key: ConnectorId, **changes: Any) -> DepotState:
    return replace(state, connectors={**state.connectors, key: replace(state.connector(key), **changes)})


def _station(state: DepotState, station_id: str, **changes: Any) -> DepotState:
    facts = state.stations.get(station_id) or StationFacts(station_id)
    return replace(state, stations={**state.stations, station_id: replace(facts, **changes)})


def _visit(state: DepotState, visit_id: str | None, **changes: Any) -> DepotState:
    visit = state.visits.get(visit_id or "")
    if visit is None:
        return state
    return replace(state, visits={**state.visits, visit.visit_id: replace(visit, **changes)})


def _restored(state: DepotState, e: ev.BackupRestored, _: ev.Envelope) -> DepotState:
    """What was lost may have changed all that a charger holds or is: the worst is taken until it has shown itself. What
    waited for a second person's word is asked again."""
    unproven = {ev.TrustLevel.OBEYS: ev.TrustLevel.UNPROVEN}
    return replace(
        state,
        next_transaction_id=max(state.next_transaction_id, e.next_transaction_id),
        connectors={
            key: replace(
                facts,
                status=ev.ConnectorStatus.UNKNOWN,
                status_since=None,
                grant=None,
                default_w=None,
                trust=unproven.get(facts.trust, facts.trust),
            )
            for key, facts in state.connectors.items()
        },
        stations={key: replace(facts, probe=None) for key, facts in state.stations.items()},
        utility=None if state.utility is None else replace(state.utility, beat_at=None),
        approvals={},
        local_lists={},
    )


def _booted(state: DepotState, e: ev.StationBooted, _: ev.Envelope) -> DepotState:
    state = replace(state, smart_charging=sc.restarted(state.smart_charging, e.station_id))
    return _station(state, e.station_id, boot=e, quarantined=False)


def _quarantined(state: DepotState, e: ev.StationQuarantined, _: ev.Envelope) -> DepotState:
    return _station(state, e.station_id, quarantined=True, remote=e.remote)


def _probed(state: DepotState, e: ev.StationProbed, _: ev.Envelope) -> DepotState:
    return _station(state, e.station_id, probe=e)


def _status(state: DepotState, e: ev.ConnectorStatusChanged, envelope: ev.Envelope) -> DepotState:
    state = _connector(state, e.connector, status=e.status, status_since=envelope.occurred_at, error_code=e.error_code, detail=e.detail)
    state = _phases(state, e.connector, envelope.occurred_at)
    if e.status.in_transaction and state.transaction_on(e.connector) is None:
        belated = state.open_on(e.connector)
        if belated:  # it was not over after all
            return _connector(state, e.connector, transaction_id=belated[-1].transaction_id)
    return state


def _station_status(state: DepotState, e: ev.StationStatusChanged, _: ev.Envelope) -> DepotState:
    return _station(state, e.station_id, status=e.status, error_code=e.error_code, detail=e.detail)


def _trust(state: DepotState, e: ev.ConnectorTrustChanged, _: ev.Envelope) -> DepotState:
    return _connector(state, e.connector, trust=e.trust, trust_factor=e.factor)


def _compared(state: DepotState, e: ev.ScheduleCompared, _: ev.Envelope) -> DepotState:
    return _connector(state, e.connector, schedule_differs="" if e.agrees else e.detail or "it differs")


def _availability(state: DepotState, e: ev.ConnectorAvailabilitySet, _: ev.Envelope) -> DepotState:
    isolated_by = None if e.operative else state.connector(e.connector).isolated_by
    reason = "" if e.operative else e.reason
    return _connector(state, e.connector, operative=e.operative, inoperative_reason=reason, isolated_by=isolated_by)


def _isolated(state: DepotState, e: ev.ConnectorIsolated, _: ev.Envelope) -> DepotState:
    return _connector(state, e.connector, operative=False, inoperative_reason=f"{e.pack} is tripped", isolated_by=e.pack)


def _default(state: DepotState, e: ev.DefaultInstalled, _: ev.Envelope) -> DepotState:
    return _connector(state, e.connector, default_w=e.level_w)


def _started(state: DepotState, e: ev.TransactionStarted, envelope: ev.Envelope) -> DepotState:
    transaction = Transaction(
        e.transaction_id, e.session_id, e.connector, e.id_tag, envelope.occurred_at, envelope.reported_at, e.meter_start_wh, e.visit_id
    )
    state = replace(
        state,
        next_transaction_id=max(state.next_transaction_id, e.transaction_id + 1),
        transactions={**state.transactions, e.transaction_id: transaction},
    )
    visit = state.visits.get(e.visit_id or "")
    if visit is not None:
        state = _visit(state, e.visit_id, sessions=visit.sessions + 1)
    if e.belated:
        return state
    return _phases(_connector(state, e.connector, transaction_id=e.transaction_id), e.connector, envelope.occurred_at)


def _stopped(state: DepotState, e: ev.TransactionStopped, envelope: ev.Envelope) -> DepotState:
    transaction = state.transactions.get(e.transaction_id)
    if transaction is None:
        return state
    state = replace(state, transactions={k: v for k, v in state.transactions.items() if k != e.transaction_id})
    visit = state.visits.get(transaction.visit_id or "")
    if visit is not None:
        energy_wh = max(0, e.meter_stop_wh - transaction.meter_start_wh)
        state = _visit(state, visit.visit_id, delivered_wh=visit.delivered_wh + energy_wh)
    if state.connector(transaction.connector).transaction_id == e.transaction_id:
        state = _connector(state, transaction.connector, transaction_id=None, grant=None)
        state = _word_over(state, transaction.connector)
        state = _tx_profiles_ended(state, transaction.connector)
    paid = state.paid.get(transaction.session_id)
    if paid is not None:
        energy_wh = max(0, e.meter_stop_wh - transaction.meter_start_wh)
        ended = replace(
            paid, energy_wh=energy_wh, stopped_at=envelope.occurred_at, estimated=e.estimated, meter_stop_wh=e.meter_stop_wh,
            ended_at=envelope.reported_at or envelope.occurred_at,
        )  # fmt: skip
        state = replace(state, paid={**state.paid, transaction.session_id: ended})
        state = _phases(state, transaction.connector, envelope.occurred_at)
    return state


def _granted(state: DepotState, e: ev.SetpointGranted, envelope: ev.Envelope) -> DepotState:
    return _phases(_connector(state, e.connector, grant=Grant(e.level_w, e.until)), e.connector, envelope.occurred_at)


def _lowered(state: DepotState, e: ev.SetpointLowered, envelope: ev.Envelope) -> DepotState:
    return _phases(_connector(state, e.connector, grant=Grant(e.level_w, e.until)), e.connector, envelope.occurred_at)


def _limit_set(state: DepotState, e: ev.LimitSet, envelope: ev.Envelope) -> DepotState:
    """Those that are over are forgotten on the way."""
    left = {k: x for k, x in state.limits.items() if x.until is None or envelope.occurred_at < x.until}
    return replace(state, limits={**left, e.limit.limit_id: e.limit})


def _limit_cleared(state: DepotState, e: ev.LimitCleared, _: ev.Envelope) -> DepotState:
    return replace(state, limits={k: v for k, v in state.limits.items() if k != e.limit_id})


def _supply(state: DepotState, e: ev.SupplyChanged, envelope: ev.Envelope) -> DepotState:
    before, at = state.supply.get(e.source), envelope.occurred_at
    if before is not None and before.supply is e.supply:
        fact = replace(before, reason=e.reason, by=envelope.actor)
    else:
        began = at if e.supply is Supply.GENERATOR else (before.began if before is not None else None)
        fact = SupplyFact(e.supply, at, e.reason, envelope.actor, began)
    return replace(state, supply={**state.supply, e.source: fact})


def _utility(state: DepotState, e: ev.UtilityLinkChanged, _: ev.Envelope) -> DepotState:
    return replace(state, utility=e.link)


def _announced(state: DepotState, e: ev.VisitAnnounced, _: ev.Envelope) -> DepotState:
    known = state.visits.get(e.visit_id)
    visit = (
        Visit(e, e.connector) if known is None else replace(known, announced=e, connector=known.connector if known.present else e.connector)
    )
    return replace(state, visits={**state.visits, e.visit_id: visit})


def _arrived(state: DepotState, e: ev.VisitArrived, _: ev.Envelope) -> DepotState:
    return _visit(state, e.visit_id, present=True, connector=e.connector)


def _left(state: DepotState, e: ev.VisitEnded | ev.VisitCancelled, _: ev.Envelope) -> DepotState:
    return replace(state, visits={k: v for k, v in state.visits.items() if k != e.visit_id})


def _held(state: DepotState, e: ev.VisitHeld, _: ev.Envelope) -> DepotState:
    return _visit(state, e.visit_id, held=e.held)


def _derated(state: DepotState, e: ev.PackDerated, _: ev.Envelope) -> DepotState:
    others = {k: v for k, v in state.derated.items() if k != e.pack}
    return replace(state, derated=others if e.share >= 1 else {**others, e.pack: e.share})


def _tripped(state: DepotState, e: ev.PackTripped, envelope: ev.Envelope) -> DepotState:
    if e.pack in state.tripped:
        return state
    return replace(state, tripped={**state.tripped, e.pack: PackTrip(e.cause, e.evidence, envelope.occurred_at)})


def _reset(state: DepotState, e: ev.PackReset, _: ev.Envelope) -> DepotState:
    return replace(state, tripped={k: v for k, v in state.tripped.items() if k != e.pack}, emergency=state.emergency.better(e.pack))


def _vehicle(state: DepotState, e: ev.VehicleRegistered, _: ev.Envelope) -> DepotState:
    return replace(state, vehicles={**state.vehicles, e.vehicle.vehicle_id: e.vehicle})


def _vehicle_removed(state: DepotState, e: ev.VehicleRemoved, _: ev.Envelope) -> DepotState:
    return replace(
        state,
        full_charges={name: at for name, at in state.full_charges.items() if name != e.vehicle_id},
        reference_tests={name: test for name, test in state.reference_tests.items() if name != e.vehicle_id},
        vehicles={k: v for k, v in state.vehicles.items() if k != e.vehicle_id},
        packs={k: p for k, p in state.packs.items() if k.vehicle_id != e.vehicle_id},
    )


def _pack(state: DepotState, e: ev.PackRegistered, _: ev.Envelope) -> DepotState:
    return replace(state, packs={**state.packs, e.pack.key: e.pack})


def _pack_removed(state: DepotState, e: ev.PackRemoved, _: ev.Envelope) -> DepotState:
    return replace(state, packs={k: p for k, p in state.packs.items() if k != e.pack})


def _driver(state: DepotState, e: ev.DriverRegistered, _: ev.Envelope) -> DepotState:
    return replace(state, drivers={**state.drivers, e.driver.driver_id: e.driver})


def _driver_removed(state: DepotState, e: ev.DriverRemoved, _: ev.Envelope) -> DepotState:
    return replace(state, drivers={k: d for k, d in state.drivers.items() if k != e.driver_id})


def _station_declared(state: DepotState, e: ev.StationDeclared, _: ev.Envelope) -> DepotState:
    return replace(state, declared_stations={**state.declared_stations, e.station.station_id: StationChange(e.station, e.over, e.key_hash)})


def _station_retired(state: DepotState, e: ev.StationRetired, _: ev.Envelope) -> DepotState:
    return replace(state, declared_stations={**state.declared_stations, e.station_id: StationChange(None, e.over)})


def _feeder_declared(state: DepotState, e: ev.FeederDeclared, _: ev.Envelope) -> DepotState:
    return replace(state, declared_feeders={**state.declared_feeders, e.feeder.feeder_id: e.feeder})


def _withdrawn(state: DepotState, e: ev.DeclarationWithdrawn, _: ev.Envelope) -> DepotState:
    return replace(
        state,
        declared_stations={k: d for k, d in state.declared_stations.items() if k != e.station_id},
        declared_feeders={k: d for k, d in state.declared_feeders.items() if k != e.feeder_id},
    )


def alarms_after(alarms: al.Alarms, e: ev.Event, *, actor: str, at: datetime) -> al.Alarms:
    """One step of the alarms' life; the same for what is journaled and for what still waits to be."""
    match e:
        case ev.AlarmRaised():
            return al.raised(alarms, al.Alarm(e.key, e.kind, e.subject, e.title, e.action, e.priority, at))
        case ev.AlarmCleared():
            return al.cleared(alarms, e.key, at)
        case ev.AlarmAcknowledged():
            return al.acknowledged(alarms, e.key, actor, at)
        case ev.AlarmShelved():
            return al.shelved(alarms, e.key, al.Shelf(actor, e.reason, at, e.until))
        case ev.AlarmUnshelved():
            return al.unshelved(alarms, e.key)
    return alarms


def _alarm(state: DepotState, e: ev.Event, envelope: ev.Envelope) -> DepotState:
    return replace(state, alarms=alarms_after(state.alarms, e, actor=envelope.actor, at=envelope.occurred_at))


def _approval_asked(state: DepotState, e: ev.ApprovalRequested, envelope: ev.Envelope) -> DepotState:
    approval = Approval(e.command_id, e.kind, e.target, e.reason, e.data, envelope.actor, envelope.occurred_at, e.until)
    return replace(state, approvals={**state.approvals, e.command_id: approval})


def _approval_granted(state: DepotState, e: ev.ApprovalGranted, envelope: ev.Envelope) -> DepotState:
    known = state.approvals.get(e.command_id)
    if known is None:
        return state
    return replace(state, approvals={**state.approvals, e.command_id: replace(known, granted_by=envelope.actor)})


def _approval_over(
    state: DepotState, e: ev.ApprovalRefused | ev.ApprovalCarriedOut | ev.ApprovalExpired | ev.CommandFinished, _: ev.Envelope
) -> DepotState:
    if e.command_id not in state.approvals:
        return state
    return replace(state, approvals={k: v for k, v in state.approvals.items() if k != e.command_id})


def _admitted(state: DepotState, e: ev.SessionAdmitted, _: ev.Envelope) -> DepotState:
    running = next((t for t in state.transactions.values() if t.session_id == e.session_id), None)
    if running is None:
        return state
    paid = PaidSession(
        e, running.transaction_id, running.connector, running.started_at,
        begun_at=running.began_at, meter_start_wh=running.meter_start_wh,
    )  # fmt: skip
    return replace(state, paid={**state.paid, e.session_id: paid})


def _start_refused(state: DepotState, e: ev.StartRefused, envelope: ev.Envelope) -> DepotState:
    return replace(state, refused_starts=(*state.refused_starts, RefusedStart(envelope.occurred_at, e))[-REFUSALS_KEPT:])


def _unasked(state: DepotState, e: ev.SessionUnasked, envelope: ev.Envelope) -> DepotState:
    told = (*state.unasked_sessions, UnaskedSession(envelope.occurred_at, e))[-REFUSALS_KEPT:]
    return replace(_paid(state, e.session_id, unasked=e), unasked_sessions=told)


def _session_moved(state: DepotState, e: ev.SessionMoved, _: ev.Envelope) -> DepotState:
    known = state.paid.get(e.session_id)
    if known is None:
        return state
    terms = replace(known.terms, mandate_id=e.mandate_id, most_wh=e.most_wh, reserved_paise=e.reserved_paise)
    return _paid(state, e.session_id, terms=terms, warned=None)


def _session_warned(state: DepotState, e: ev.SessionWarned, _: ev.Envelope) -> DepotState:
    return _paid(state, e.session_id, warned=e)


def _stop_asked(state: DepotState, e: ev.SessionStopAsked, _: ev.Envelope) -> DepotState:
    return _paid(state, e.session_id, stopping=e)


def _paid(state: DepotState, session_id: str, **changes: Any) -> DepotState:
    known = state.paid.get(session_id)
    return state if known is None else replace(state, paid={**state.paid, session_id: replace(known, **changes)})


def _session_read(state: DepotState, e: ev.SessionRead, envelope: ev.Envelope) -> DepotState:
    paid = state.paid.get(e.session_id)
    if paid is None or paid.stopped_at is not None:
        return state
    read = replace(paid, readings=(*paid.readings, PaidReading(envelope.occurred_at, e.register_wh)))
    return replace(state, paid={**state.paid, e.session_id: read})


def _phases(state: DepotState, key: ConnectorId, at: datetime) -> DepotState:
    """What the vehicles of paid sessions on a connector do now."""
    for session_id, paid in state.paid.items():
        if paid.connector != key or paid.phase is PaidPhase.GONE:
            continue
        phase = _phase(state, paid)
        if phase is not paid.phase:
            changed = replace(paid, phases=(*paid.phases, PhaseChange(at, phase)))
            state = replace(state, paid={**state.paid, session_id: changed})
    return state


def _phase(state: DepotState, paid: PaidSession) -> PaidPhase:
    """A vehicle that is full stays so until it charges again, whatever is kept from it meanwhile."""
    facts = state.connector(paid.connector)
    if paid.stopped_at is not None:
        gone = facts.status in (ev.ConnectorStatus.AVAILABLE, ev.ConnectorStatus.RESERVED) or facts.transaction_id is not None
        return PaidPhase.GONE if gone else paid.phase
    if facts.transaction_id != paid.transaction_id:
        return paid.phase
    if facts.status is ev.ConnectorStatus.CHARGING:
        return PaidPhase.CHARGING
    kept = facts.grant is not None and facts.grant.level_w <= 0
    if paid.phase is PaidPhase.FULL or facts.status not in (ev.ConnectorStatus.SUSPENDED_EV, ev.ConnectorStatus.SUSPENDED_EVSE):
        return paid.phase
    return PaidPhase.FULL if facts.status is ev.ConnectorStatus.SUSPENDED_EV and not kept else PaidPhase.HELD


def _billed(state: DepotState, e: ev.SessionBilled, _: ev.Envelope) -> DepotState:
    return replace(state, paid={k: v for k, v in state.paid.items() if k != e.session_id})


def _token_listed(state: DepotState, e: ev.IdTokenListed, _: ev.Envelope) -> DepotState:
    return replace(state, id_tokens={**state.id_tokens, e.token.key: e.token})


def _token_removed(state: DepotState, e: ev.IdTokenRemoved, _: ev.Envelope) -> DepotState:
    return replace(state, id_tokens={k: t for k, t in state.id_tokens.items() if k != e.key})


def _root_trusted(state: DepotState, e: ev.ContractRootTrusted, _: ev.Envelope) -> DepotState:
    return replace(state, contract_roots={**state.contract_roots, e.root.fingerprint: e.root})


def _root_distrusted(state: DepotState, e: ev.ContractRootDistrusted, _: ev.Envelope) -> DepotState:
    return replace(state, contract_roots={k: root for k, root in state.contract_roots.items() if k != e.fingerprint})


def _station_admitted(state: DepotState, e: ev.StationAdmitted, _: ev.Envelope) -> DepotState:
    return _station(state, e.station_id, registration=e.registration, quarantined=False)


def _word_over(state: DepotState, key: ConnectorId) -> DepotState:
    """The vehicle's transaction is over, and with it what the vehicle said of itself."""
    visits = {k: v for k, v in state.visits.items() if not (k.startswith(OWN_STAY) and v.connector == key)}
    return replace(
        state, smart_charging=sc.gone(state.smart_charging, key), visits=state.visits if len(visits) == len(state.visits) else visits
    )


def _tx_profiles_ended(state: DepotState, key: ConnectorId) -> DepotState:
    """A TxProfile ends with its transaction (1.6 §3.13.1)."""
    station = state.stations.get(key.station_id)
    if station is None or not station.by_hand:
        return state
    left = tuple(p for p in station.by_hand if not (p.purpose == "TxProfile" and p.number == key.connector))
    return state if left == station.by_hand else _station(state, key.station_id, by_hand=left)


def _set_by_hand(state: DepotState, e: ev.ProfileSetByHand, _: ev.Envelope) -> DepotState:
    known = state.stations.get(e.station_id)
    others = () if known is None else tuple(p for p in known.by_hand if p.profile_id != e.profile_id)
    return _station(state, e.station_id, by_hand=(*others, e))


def _hand_cleared(state: DepotState, e: ev.HandProfilesCleared, _: ev.Envelope) -> DepotState:
    known = state.stations.get(e.station_id)
    if known is None:
        return state
    gone = [p for p in known.by_hand if (p.profile_id == e.profile_id if e.profile_id else e.number in (0, p.number))]
    return _station(state, e.station_id, by_hand=tuple(p for p in known.by_hand if p not in gone))


def _image(state: DepotState, e: ev.FirmwareAdded | ev.FirmwareRemoved, _: ev.Envelope) -> DepotState:
    if isinstance(e, ev.FirmwareAdded):
        return replace(state, files=fl.image_added(state.files, e.image))
    return replace(state, files=fl.image_removed(state.files, e.image_id))


def _transfer_ordered(state: DepotState, e: ev.TransferOrdered, envelope: ev.Envelope) -> DepotState:
    at = envelope.occurred_at
    transfer = fl.Transfer(
        e.number, e.kind, e.station_id, envelope.actor, at, at, image_id=e.image_id, version=e.version, not_before=e.not_before
    )
    return replace(state, files=fl.ordered(state.files, transfer))


def _publication(state: DepotState, e: ev.PublicationOrdered, envelope: ev.Envelope) -> DepotState:
    at = envelope.occurred_at
    transfer = fl.Transfer(
        e.number, fl.TransferKind.PUBLICATION, e.station_id, envelope.actor, at, at, image_id=e.image_id, version=e.version,
        checksum=e.checksum,
    )  # fmt: skip
    return replace(state, files=fl.ordered(state.files, transfer))


def _published_at(state: DepotState, e: ev.PublicationLocated, _: ev.Envelope) -> DepotState:
    return replace(state, files=fl.published_at(state.files, e.number, e.locations))


def _transfer_answered(state: DepotState, e: ev.TransferAnswered, envelope: ev.Envelope) -> DepotState:
    at = envelope.occurred_at
    return replace(state, files=fl.answered(state.files, e.number, at, state=e.state, detail=e.detail, file_name=e.file_name))


def _transfer_reported(state: DepotState, e: ev.TransferReported, envelope: ev.Envelope) -> DepotState:
    return replace(state, files=fl.reported(state.files, e.number, envelope.occurred_at, e.status))


def _file_received(state: DepotState, e: ev.TransferFileReceived, _: ev.Envelope) -> DepotState:
    return replace(state, files=fl.received(state.files, e.number, e.file))


def _item_limits(state: DepotState, e: ev.StationItemLimitsSet, _: ev.Envelope) -> DepotState:
    return _station(state, e.station_id, item_limits=e.limits)


def _security(state: DepotState, e: ev.Event, envelope: ev.Envelope) -> DepotState:
    return replace(state, security=se.after(state.security, e, envelope))


def _month_demand(state: DepotState, e: ev.MonthDemandRecorded, envelope: ev.Envelope) -> DepotState:
    return replace(state, demand_book=state.demand_book.with_month(e.demand, by=envelope.actor, at=envelope.occurred_at))


def _utility_bill(state: DepotState, e: ev.UtilityBillRecorded, envelope: ev.Envelope) -> DepotState:
    return replace(state, demand_book=state.demand_book.with_bill(e.bill, by=envelope.actor, at=envelope.occurred_at))


def _limit_book(state: DepotState, e: ev.Event, envelope: ev.Envelope) -> DepotState:
    return replace(state, limit_book=lf.after(state.limit_book, e, envelope))


def _reserved(state: DepotState, e: ev.ReservationAsked, envelope: ev.Envelope) -> DepotState:
    new = rs.Reservation(
        e.reservation_id,
        e.station_id,
        e.connector,
        e.id_token,
        e.group,
        e.expires_at,
        envelope.occurred_at,
        connector_type=e.connector_type,
    )
    following = state.next_reservation_id if not e.own else e.reservation_id % rs.MAX_ID + 1
    return replace(state, reservations=rs.asked(state.reservations, new), next_reservation_id=following)


def _reservation(state: DepotState, e: ev.ReservationChanged, _: ev.Envelope) -> DepotState:
    known = rs.changed(state.reservations, e.reservation_id, e.state, note=e.note, transaction_id=e.transaction_id)
    return replace(state, reservations=known)


def _needs(state: DepotState, e: ev.ChargingNeedsTold, envelope: ev.Envelope) -> DepotState:
    told = sc.needing(state.smart_charging, e.connector, e.needs, e.transaction, envelope.occurred_at)
    return replace(state, smart_charging=told)


def _vehicle_schedule(state: DepotState, e: ev.VehicleScheduleTold, envelope: ev.Envelope) -> DepotState:
    told = sc.scheduling(state.smart_charging, e.connector, e.schedule, e.exceeds, e.transaction, envelope.occurred_at)
    return replace(state, smart_charging=told)


def _externally_limited(state: DepotState, e: ev.ExternalLimitTold, _: ev.Envelope) -> DepotState:
    return replace(state, smart_charging=sc.limited(state.smart_charging, e.limit))


def _externally_released(state: DepotState, e: ev.ExternalLimitReleased, _: ev.Envelope) -> DepotState:
    return replace(state, smart_charging=sc.released(state.smart_charging, e.station_id, e.evse, e.source))


def _local_list(state: DepotState, e: ev.LocalListUpdated, envelope: ev.Envelope) -> DepotState:
    before = state.local_lists.get(e.station_id) or ll.LocalList()
    after = before.after(e.version, e.update, e.listed, e.removed, envelope.occurred_at)
    return replace(state, local_lists={**state.local_lists, e.station_id: after})


def _network_slot(state: DepotState, e: ev.NetworkProfileSet, envelope: ev.Envelope) -> DepotState:
    before = state.networks.get(e.station_id) or np.StationNetwork()
    return replace(state, networks={**state.networks, e.station_id: before.with_slot(e.slot, e.profile, envelope.occurred_at)})


def _network_priority(state: DepotState, e: ev.NetworkPrioritySet, envelope: ev.Envelope) -> DepotState:
    before = state.networks.get(e.station_id) or np.StationNetwork()
    return replace(state, networks={**state.networks, e.station_id: before.with_priority(e.priority, envelope.occurred_at)})


def _wanted(state: DepotState, e: ev.WantedVariablesChanged, _: ev.Envelope) -> DepotState:
    return replace(state, wanted=wt.changed(state.wanted, wt.scope_key(e.scope, e.name), e.wanted, e.removed))


def _display(state: DepotState, e: ev.Event, envelope: ev.Envelope) -> DepotState:
    at, by = envelope.occurred_at, envelope.actor
    match e:
        case ev.DisplayMessageAsked():
            return replace(state, displays=state.displays.asked(e.station_id, e.message, at, by))
        case ev.DisplayMessageAnswered():
            return replace(state, displays=state.displays.answered(e.station_id, e.message_id, e.state, e.said))
        case ev.DisplayMessagesRequested():
            return replace(state, displays=state.displays.requested(e.station_id, e.request_id, at))
        case ev.DisplayMessagesReported():
            return replace(state, displays=state.displays.reported(e.report, at, f"station:{e.report.station_id}"))
    return state


def _customer_asked(state: DepotState, e: ev.CustomerInformationAsked, envelope: ev.Envelope) -> DepotState:
    new = ci.CustomerRequest(e.request_id, e.station_id, e.report, e.clear, e.about, envelope.occurred_at, envelope.actor)
    return replace(state, customers=state.customers.asked(new))


def _customer_changed(state: DepotState, e: ev.CustomerInformationChanged, _: ev.Envelope) -> DepotState:
    return replace(state, customers=state.customers.changed(e.request_id, e.state, said=e.said, note=e.note))


def _der(state: DepotState, station_id: str, change: Callable[[dr.StationDer], dr.StationDer]) -> DepotState:
    return replace(state, der={**state.der, station_id: change(state.der.get(station_id) or dr.StationDer())})


def _der_set(state: DepotState, e: ev.DerControlSet, _: ev.Envelope) -> DepotState:
    return _der(state, e.station_id, lambda der: der.with_control(e.control, e.superseded))


def _der_cleared(state: DepotState, e: ev.DerControlsCleared, _: ev.Envelope) -> DepotState:
    return _der(state, e.station_id, lambda der: der.without(is_default=e.is_default, kind=e.kind, control_id=e.control_id))


def _der_switched(state: DepotState, e: ev.DerControlSwitched, _: ev.Envelope) -> DepotState:
    return _der(state, e.station_id, lambda der: der.switched(e.switch))


def _der_alarm(state: DepotState, e: ev.DerAlarmNoticed, _: ev.Envelope) -> DepotState:
    return _der(state, e.station_id, lambda der: der.alarmed(e.alarm))


def _der_reported(state: DepotState, e: ev.DerControlsReported, envelope: ev.Envelope) -> DepotState:
    return _der(state, e.station_id, lambda der: der.told(e.controls, envelope.occurred_at, whole=e.whole))


def _swap_asked(state: DepotState, e: ev.BatterySwapAsked, envelope: ev.Envelope) -> DepotState:
    return replace(state, swaps=state.swaps.with_asked(bs.SwapAsked(e.request_id, e.station_id, e.id_token, envelope.occurred_at)))


def _swap_answered(state: DepotState, e: ev.BatterySwapAnswered, _: ev.Envelope) -> DepotState:
    return replace(state, swaps=state.swaps.answered(e.request_id, e.state, e.note))


def _swapped(state: DepotState, e: ev.BatteriesSwapped, envelope: ev.Envelope) -> DepotState:
    return replace(state, swaps=state.swaps.with_event(bs.SwapEvent(e.station_id, envelope.occurred_at, e.swapped)))


def _tariff_set(state: DepotState, e: ev.StationTariffSet, envelope: ev.Envelope) -> DepotState:
    new = stt.TariffSet(e.evse_id, str(e.tariff.get("tariffId", "")), e.tariff, envelope.occurred_at, e.transaction)
    before = state.station_tariffs.get(e.station_id) or stt.StationTariffs()
    return replace(state, station_tariffs={**state.station_tariffs, e.station_id: before.having(new)})


def _tariffs_cleared(state: DepotState, e: ev.StationTariffsCleared, _: ev.Envelope) -> DepotState:
    before = state.station_tariffs.get(e.station_id) or stt.StationTariffs()
    return replace(state, station_tariffs={**state.station_tariffs, e.station_id: before.without(e.tariff_ids, e.evse_id)})


def _noted(state: DepotState, e: ev.StationNoted, envelope: ev.Envelope) -> DepotState:
    return replace(state, notes=(*state.notes, no.KeptNote(e.station_id, envelope.occurred_at, e.note))[-no.KEPT :])


def _policy_picked(state: DepotState, e: ev.PlanPolicyPicked, envelope: ev.Envelope) -> DepotState:
    picked = None if e.pick is None else pp.PickedPolicy(e.pick, envelope.actor, envelope.occurred_at, e.reason)
    return replace(state, plan_policy=picked)


def _balanced(state: DepotState, e: ev.VehicleBalanced, envelope: ev.Envelope) -> DepotState:
    return replace(state, full_charges={**state.full_charges, e.vehicle_id: envelope.occurred_at})


def _ageing_taken(state: DepotState, e: ev.AgeingFactorsTaken, _: ev.Envelope) -> DepotState:
    known = state.ageing.get(e.chemistry, ag.Ageing())
    return replace(state, ageing={**state.ageing, e.chemistry: replace(known, factors=e.factors)})


def _ageing_followed(state: DepotState, e: ev.AgeingFollowed, envelope: ev.Envelope) -> DepotState:
    known = state.ageing.get(e.chemistry, ag.Ageing())
    decided = replace(known, follows=e.follows, by=envelope.actor, at=envelope.occurred_at, reason=e.reason)
    return replace(state, ageing={**state.ageing, e.chemistry: decided})


def _test_ordered(state: DepotState, e: ev.ReferenceTestOrdered, envelope: ev.Envelope) -> DepotState:
    at = envelope.occurred_at
    test = rt.ReferenceTest(
        e.test_id, e.vehicle_id, envelope.actor, e.reason, at, e.until, e.most_soc, e.pulses, rt.ReferencePhase.WAITING, at
    )
    return replace(state, reference_tests={**state.reference_tests, e.vehicle_id: test})


def _test_moved(
    state: DepotState, e: ev.ReferenceTestBegan | ev.ReferenceTestPhaseBegan | ev.ReferenceTestEnded, envelope: ev.Envelope
) -> DepotState:
    """Of a test that was ordered and is open; nothing else can move."""
    test = state.reference_tests.get(e.vehicle_id)
    if test is None or test.test_id != e.test_id or not test.open:
        return state
    at = envelope.occurred_at
    match e:
        case ev.ReferenceTestBegan():
            test = replace(
                test, phase=rt.ReferencePhase.REST_BEFORE, phase_at=at, began_at=at, visit_id=e.visit_id, connector=e.connector,
                rate_w=e.rate_w, low_w=e.low_w, high_w=e.high_w,
            )  # fmt: skip
        case ev.ReferenceTestPhaseBegan():
            test = replace(test, phase=e.phase, phase_at=at)
        case ev.ReferenceTestEnded():
            test = replace(test, phase=rt.ReferencePhase.OVER, phase_at=at, ended_at=at, outcome=e.outcome, why=e.why)
    return replace(state, reference_tests={**state.reference_tests, e.vehicle_id: test})


def _area_isolated(state: DepotState, e: ev.AreaIsolated, envelope: ev.Envelope) -> DepotState:
    return replace(state, outputs=state.outputs.with_isolated(ou.Isolated(e.area, envelope.occurred_at, e.origin, e.reason, e.by)))


def _area_reset(state: DepotState, e: ev.AreaReset, _: ev.Envelope) -> DepotState:
    return replace(state, outputs=state.outputs.without(e.area))


def _output_tested(state: DepotState, e: ev.OutputTested, envelope: ev.Envelope) -> DepotState:
    return replace(state, outputs=state.outputs.with_test(e.output_id, ou.OutputTest(envelope.occurred_at, e.passed, e.result, e.by)))


def _emergency(state: DepotState, e: ev.Event, envelope: ev.Envelope) -> DepotState:
    return replace(state, emergency=ef.after(state.emergency, e, envelope.occurred_at, envelope.actor))


def _asset_mode(state: DepotState, e: ev.AssetModeSet, _: ev.Envelope) -> DepotState:
    return replace(state, asset_modes={**state.asset_modes, e.asset_id: e.mode})


_APPLY: dict[type[ev.Event], Callable[[DepotState, Any, ev.Envelope], DepotState]] = {
    ev.BackupRestored: _restored,
    ev.StationBooted: _booted,
    ev.StationQuarantined: _quarantined,
    ev.StationProbed: _probed,
    ev.ConnectorStatusChanged: _status,
    ev.StationStatusChanged: _station_status,
    ev.ConnectorTrustChanged: _trust,
    ev.ScheduleCompared: _compared,
    ev.ConnectorAvailabilitySet: _availability,
    ev.ConnectorIsolated: _isolated,
    ev.DefaultInstalled: _default,
    ev.TransactionStarted: _started,
    ev.TransactionStopped: _stopped,
    ev.SetpointGranted: _granted,
    ev.SetpointLowered: _lowered,
    ev.LimitSet: _limit_set,
    ev.LimitCleared: _limit_cleared,
    ev.SupplyChanged: _supply,
    ev.UtilityLinkChanged: _utility,
    ev.VisitAnnounced: _announced,
    ev.VisitArrived: _arrived,
    ev.VisitEnded: _left,
    ev.VisitHeld: _held,
    ev.PackDerated: _derated,
    ev.PackTripped: _tripped,
    ev.PackReset: _reset,
    ev.VisitCancelled: _left,
    ev.VehicleRegistered: _vehicle,
    ev.VehicleRemoved: _vehicle_removed,
    ev.PackRegistered: _pack,
    ev.PackRemoved: _pack_removed,
    ev.DriverRegistered: _driver,
    ev.DriverRemoved: _driver_removed,
    ev.StationDeclared: _station_declared,
    ev.StationRetired: _station_retired,
    ev.FeederDeclared: _feeder_declared,
    ev.DeclarationWithdrawn: _withdrawn,
    ev.AlarmRaised: _alarm,
    ev.AlarmCleared: _alarm,
    ev.AlarmAcknowledged: _alarm,
    ev.AlarmShelved: _alarm,
    ev.AlarmUnshelved: _alarm,
    ev.ApprovalRequested: _approval_asked,
    ev.ApprovalGranted: _approval_granted,
    ev.ApprovalRefused: _approval_over,
    ev.ApprovalCarriedOut: _approval_over,
    ev.ApprovalExpired: _approval_over,
    ev.CommandFinished: _approval_over,
    ev.SessionAdmitted: _admitted,
    ev.StartRefused: _start_refused,
    ev.SessionUnasked: _unasked,
    ev.SessionMoved: _session_moved,
    ev.SessionWarned: _session_warned,
    ev.SessionStopAsked: _stop_asked,
    ev.SessionBilled: _billed,
    ev.SessionRead: _session_read,
    ev.IdTokenListed: _token_listed,
    ev.IdTokenRemoved: _token_removed,
    ev.ContractRootTrusted: _root_trusted,
    ev.ContractRootDistrusted: _root_distrusted,
    ev.StationAdmitted: _station_admitted,
    ev.StationItemLimitsSet: _item_limits,
    ev.ProfileSetByHand: _set_by_hand,
    ev.HandProfilesCleared: _hand_cleared,
    ev.ReservationAsked: _reserved,
    ev.ReservationChanged: _reservation,
    ev.ChargingNeedsTold: _needs,
    ev.VehicleScheduleTold: _vehicle_schedule,
    ev.ExternalLimitTold: _externally_limited,
    ev.ExternalLimitReleased: _externally_released,
    ev.LocalListUpdated: _local_list,
    ev.NetworkProfileSet: _network_slot,
    ev.NetworkPrioritySet: _network_priority,
    ev.DerControlSet: _der_set,
    ev.DerControlsCleared: _der_cleared,
    ev.DerControlSwitched: _der_switched,
    ev.DerAlarmNoticed: _der_alarm,
    ev.DerControlsReported: _der_reported,
    ev.BatterySwapAsked: _swap_asked,
    ev.BatterySwapAnswered: _swap_answered,
    ev.BatteriesSwapped: _swapped,
    ev.StationTariffSet: _tariff_set,
    ev.StationTariffsCleared: _tariffs_cleared,
    ev.StationNoted: _noted,
    ev.PlanPolicyPicked: _policy_picked,
    ev.VehicleBalanced: _balanced,
    ev.AgeingFactorsTaken: _ageing_taken,
    ev.AgeingFollowed: _ageing_followed,
    ev.ReferenceTestOrdered: _test_ordered,
    ev.ReferenceTestBegan: _test_moved,
    ev.ReferenceTestPhaseBegan: _test_moved,
    ev.ReferenceTestEnded: _test_moved,
    ev.AssetModeSet: _asset_mode,
    ev.AreaIsolated: _area_isolated,
    ev.AreaReset: _area_reset,
    ev.OutputTested: _output_tested,
    ev.WantedVariablesChanged: _wanted,
    ev.DisplayMessageAsked: _display,
    ev.DisplayMessageAnswered: _display,
    ev.DisplayMessagesRequested: _display,
    ev.DisplayMessagesReported: _display,
    ev.CustomerInformationAsked: _customer_asked,
    ev.CustomerInformationChanged: _customer_changed,
    ev.FirmwareAdded: _image,
    ev.FirmwareRemoved: _image,
    ev.TransferOrdered: _transfer_ordered,
    ev.PublicationOrdered: _publication,
    ev.PublicationLocated: _published_at,
    ev.TransferAnswered: _transfer_answered,
    ev.TransferReported: _transfer_reported,
    ev.TransferFileReceived: _file_received,
    **dict.fromkeys(se.FACTS, _security),
    ev.MonthDemandRecorded: _month_demand,
    ev.UtilityBillRecorded: _utility_bill,
    **dict.fromkeys(lf.FACTS, _limit_book),
    **dict.fromkeys(ef.FACTS, _emergency),
}
