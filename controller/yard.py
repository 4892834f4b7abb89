"""The live side of the depot in the core: facts (from the journal) beside grants, readings and links.

One object, owned by the core, read by the loop, the desk, the planner's feeder and the views. Facts change only by
journal appends; readings are overwritten; grants are the running account of `controller.grants`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from controller import coverage, smart_charging
from controller.allocation import Allocation, Row
from controller.background import Background
from controller.grants import Grant
from controller.pack_limits import PackLimit, limit_of
from controller.pickup import Pickup
from controller.wishes import FULL_SOC, Load, Tested, WishSettings, full_due, load_of
from depot.events import TrustLevel
from depot.ports import Clock, Journal, SiteMeter
from depot.readings import LinkReading, MeterReading, SiteReading
from depot.registry import DepotSpec, StationSpec
from depot.state import DepotState, Visit
from depot.values import ConnectorId, InvalidValue, Limit, Outlook, PackKey, Plan

COMPLETE_SHARE = 1.03
"""A session ends when this multiple of the announced energy has flowed: announcements are estimates."""

COMPLETE_WH = 200

SOC_ROUNDING = 0.01
"""Vehicles say whole percents."""

FULL_AFTER = timedelta(minutes=10)

ASLEEP_AFTER = timedelta(minutes=5)
"""A vehicle that takes nothing of what it is offered for so long is full, asleep or waits for its own timer."""


KEEPS_MINIMUM_SHARE = 0.5
"""Down to this share of its level a battery may keep a connector's minimum: a lost broker shall not end sessions that only
a re-plug revives. A hot one has less."""


class FoldingJournal(Journal, Protocol):
    """A journal that also holds the folded state."""

    @property
    def state(self) -> DepotState: ...


@dataclass(slots=True)
class LastAllocation:
    """The last decision and what it was made from, for the screens."""

    at: datetime
    rows: list[Row]
    allocation: Allocation
    background: Background
    site_now_w: int
    index: dict[ConnectorId, int]
    feeder_now_w: list[int]


@dataclass(slots=True)
class Yard:
    """``grants``: one per declared connector. ``full_since``: vehicles that stopped taking power, since when.
    ``soc``: state of charge of the vehicle in the running session, and when it was said. ``phase_share``: part of a three-phase
    level that a vehicle on one or two phases was seen to draw. ``pack_share``: by vehicle, the share of its level that its
    batteries may have now, where that is not 1; 0: nothing (tripped, frozen); ``pack_limit``: the watts,
    and why. ``isolated``: connectors on which nothing may flow because of a tripped pack; it acts before the journal knows.
    ``cut``: connectors of areas that are isolated, and why.
    ``wishes``: what settings say of preconditioning and full charges. ``tested``: vehicles in a reference test that is to fill them.
    ``outlook``: what the vehicle on a connector is told of the time after a level that ends then."""

    spec: DepotSpec
    journal: FoldingJournal
    clock: Clock
    meter: SiteMeter | None = None
    grants: dict[ConnectorId, Grant] = field(default_factory=dict)
    readings: dict[ConnectorId, MeterReading] = field(default_factory=dict)
    links: dict[str, LinkReading] = field(default_factory=dict)
    acceptance_w: dict[ConnectorId, int] = field(default_factory=dict)
    soc: dict[ConnectorId, tuple[float, datetime]] = field(default_factory=dict)
    full_since: dict[ConnectorId, datetime] = field(default_factory=dict)
    phase_share: dict[ConnectorId, float] = field(default_factory=dict)
    pack_share: dict[str, float] = field(default_factory=dict)
    pack_limit: dict[str, PackLimit] = field(default_factory=dict)
    isolated: dict[ConnectorId, PackKey] = field(default_factory=dict)
    cut: dict[ConnectorId, str] = field(default_factory=dict)
    plan: Plan | None = None
    last: LastAllocation | None = None
    pickup: Pickup | None = None
    wishes: WishSettings = field(default_factory=WishSettings)
    tested: dict[str, Tested] = field(default_factory=dict)
    outlook: Callable[[ConnectorId, datetime], Outlook | None] = lambda _key, _until: None
    _visits_at: tuple[int, dict[ConnectorId, Visit]] = (-1, {})
    _labels: tuple[DepotSpec | None, dict[ConnectorId, str]] = (None, {})
    _stations: tuple[DepotSpec | None, dict[str, StationSpec]] = (None, {})
    _by_station: tuple[DepotSpec | None, dict[str, list[ConnectorId]]] = (None, {})

    @property
    def state(self) -> DepotState:
        return self.journal.state

    @property
    def labels(self) -> Mapping[ConnectorId, str]:
        """How people call each connector: by its station where that has only one. Asked for some thousand times a look."""
        if self._labels[0] is not self.spec:
            single = {station.station_id for station in self.spec.stations if len(station.connectors) == 1}
            names = {key: key.station_id if key.station_id in single else str(key) for key in self.spec.connectors}
            self._labels = (self.spec, names)
        return self._labels[1]

    def connectors_of(self, station_id: str) -> Sequence[ConnectorId]:
        """The connectors of a declared station; none of another."""
        if self._by_station[0] is not self.spec:
            found: dict[str, list[ConnectorId]] = {}
            for key in self.spec.connectors:
                found.setdefault(key.station_id, []).append(key)
            self._by_station = (self.spec, found)
        return self._by_station[1].get(station_id, ())

    @property
    def stations(self) -> Mapping[str, StationSpec]:
        """The declared stations by their ids."""
        if self._stations[0] is not self.spec:
            self._stations = (self.spec, {station.station_id: station for station in self.spec.stations})
        return self._stations[1]

    def gap(self, station_id: str) -> str:
        """Why this station's defaults cannot be relied on; empty: they can. See :mod:`controller.coverage`."""
        facts = self.state.stations.get(station_id)
        return coverage.gap(self.stations[station_id], facts.probe) if facts is not None and station_id in self.stations else ""

    def uncovered(self, key: ConnectorId) -> str:
        """Why this connector is counted at its rating although it is told less; empty: it is not."""
        facts = self.state.stations.get(key.station_id)
        return coverage.uncovered(self.stations[key.station_id], facts.probe if facts else None, self.state.connector(key).default_w)

    @property
    def site_reading(self) -> SiteReading | None:
        return self.meter.reading if self.meter is not None else None

    def restore(self, *, life_s: float) -> None:
        """Build the grants from the journal's facts after a start: every journaled level counts as live for a whole
        life from now (the last renewal is not journaled), readings are unknown (architecture §3)."""
        for key in self.spec.connectors:
            self.grants[key] = self._restored(key, life_s)

    def grow(self, spec: DepotSpec, *, life_s: float) -> list[ConnectorId]:
        """The depot as built has more connectors from now on: which ones. None may have gone or changed."""
        new = [key for key in spec.connectors if key not in self.spec.connectors]
        if any(spec.connectors.get(key) != known for key, known in self.spec.connectors.items()):
            raise InvalidValue("connectors can only be added while the depot runs")
        self.spec = spec
        for key in new:
            self.grants[key] = self._restored(key, life_s)
        return new

    def _restored(self, key: ConnectorId, life_s: float) -> Grant:
        now_s = self.clock.now().timestamp()
        spec, facts = self.spec.connectors[key], self.state.connector(key)
        station = self.state.stations.get(key.station_id)
        probe = station.probe if station else None
        grant = Grant(
            rated_w=spec.rated_w,
            settle_s=spec.settle_s,
            default_w=facts.default_w,
            autonomous=probe.autonomous if probe else True,
            commissioned=station is not None and station.boot is not None,
            in_session=facts.transaction_id is not None,
            trust=facts.trust,
            factor=facts.trust_factor,
            by_hand=bool(self.state.by_hand(key)),
            gives_w=spec.discharge_w,
        )
        if facts.grant is not None and (grant.in_session or facts.grant.until.timestamp() > now_s):
            # it may hold, or have expired while nobody renewed it: counted, but nobody is judged by it
            grant.send(facts.grant.level_w, until_s=now_s + life_s, now_s=now_s)
        return grant

    def visit_on(self, key: ConnectorId) -> Visit | None:
        """The present visit on a connector."""
        return self.present_visits().get(key)

    def present_visits(self) -> dict[ConnectorId, Visit]:
        """Present visits by connector: an index that is rebuilt when the facts have moved."""
        state = self.state
        if self._visits_at[0] != state.seq:
            index = {visit.connector: visit for visit in state.visits.values() if visit.present and visit.connector is not None}
            self._visits_at = (state.seq, index)
        return self._visits_at[1]

    def session_energy_wh(self, key: ConnectorId) -> int:
        """Grid energy of the running session so far, by the newest reading; 0 where nothing is known."""
        transaction = self.state.transaction_on(key)
        reading = self.readings.get(key)
        if transaction is None or reading is None or reading.energy_wh is None:
            return 0
        return max(0, reading.energy_wh - transaction.meter_start_wh)

    def remaining_wh(self, visit: Visit) -> int:
        """Grid energy that the visit still needs by announcement, Wh; never negative. Where the vehicle may have given some, what it
        lacks by its state of charge where that is more. What preconditioning has drawn did not reach the battery. A session that runs
        where a vehicle is expected later is not its own."""
        key = visit.connector if visit.present else None
        running = self.session_energy_wh(key) - self._preconditioned_wh(key, visit) if key is not None else 0
        if key is None or not self.may_discharge_w(key, visit):
            return max(0, visit.needed_wh - visit.delivered_wh - running)
        given = round(self.given_wh(key) / visit.announced.efficiency**2)
        return max(0, visit.needed_wh - visit.delivered_wh - running + given, self._lacking_wh(key, visit))

    def complete(self, visit: Visit) -> bool:
        """Whether the visit has all the energy that was announced, with the margin for a rough announcement."""
        key = visit.connector if visit.present else None
        running = self.session_energy_wh(key) - self._preconditioned_wh(key, visit) if key is not None else 0
        if key is not None and self.may_discharge_w(key, visit):
            running -= round(self.given_wh(key) / visit.announced.efficiency**2)
            if self._lacking_wh(key, visit) > 0:
                return False
        return visit.delivered_wh + running >= visit.needed_wh * COMPLETE_SHARE + COMPLETE_WH

    def load(self, visit: Visit) -> Load | None:
        """The preconditioning that the visit asks for."""
        return load_of(self.state, visit, self.wishes)

    def load_w(self, visit: Visit, now: datetime) -> int:
        """What preconditioning draws at ``now``, W."""
        load = self.load(visit)
        return load.power_w if load is not None and load.runs(now) else 0

    def full_lacks_wh(self, key: ConnectorId, visit: Visit, now: datetime, *, fresh_s: float) -> int | None:
        """What the battery lacks to be full, where a full charge is due, Wh: 0: it is full, and stays plugged in for the dwell. None:
        none is due, or its state of charge is not known, or older than ``fresh_s``. Who is in a reference test is due."""
        tested = self.tested.get(visit.announced.vehicle_id)
        if tested is not None and visit.present:
            return tested.lacks_wh
        if not full_due(self.state, visit.announced.vehicle_id, self.wishes, now):
            return None
        battery_wh = self.battery_wh(visit)
        soc = self.least_soc(key, visit, fresh_s=fresh_s) if visit.present else visit.announced.soc_arrival
        if soc is None or not battery_wh:
            return None
        return 0 if soc >= FULL_SOC else round((1.0 - soc) * battery_wh)

    def _preconditioned_wh(self, key: ConnectorId, visit: Visit) -> int:
        """Grid energy that preconditioning has drawn in the running session: as asked for, while the vehicle is let and takes anything."""
        load = self.load(visit)
        if load is None or not visit.present or key in self.full_since or self.grants[key].told_w <= 0:
            return 0
        transaction = self.state.transaction_on(key)
        if transaction is None:
            return 0
        begun, now = max(load.from_, transaction.started_at), min(self.clock.now(), load.until)
        return round(load.power_w * max(0.0, (now - begun).total_seconds()) / 3600.0)

    def may_discharge_w(self, key: ConnectorId, visit: Visit) -> int:
        """The most that the visit's vehicle and its connector give together, W: as built, registered and said; 0: it only charges."""
        spec = self.spec.connectors.get(key)
        if spec is None or not spec.discharge_w:
            return 0
        registered = self.state.vehicles.get(visit.announced.vehicle_id)
        vehicle_w = visit.announced.discharge_w or ((registered.discharge_max_w or 0) if registered is not None else 0)
        needs = self.state.smart_charging.needs(key) if visit.present else None
        if needs is not None and needs.iso_20 and needs.discharge_max_w is not None:
            vehicle_w = min(vehicle_w, needs.discharge_max_w)
        return min(spec.discharge_w, vehicle_w)

    def given_wh(self, key: ConnectorId) -> float:
        """Grid energy that the running session has given, Wh; for the time since the last register of somebody who may give: the
        most that it may have."""
        transaction, reading, grant = self.state.transaction_on(key), self.readings.get(key), self.grants[key]
        if transaction is None or not grant.gives_w:
            return 0.0
        now_s = self.clock.now().timestamp()
        since_s = max(grant.measured_at_s, transaction.started_at.timestamp())
        unseen_wh = grant.gives_bound_w(now_s) * max(0.0, now_s - since_s) / 3600
        return unseen_wh + (reading.exported_wh or 0 if reading is not None else 0)

    def battery_wh(self, visit: Visit) -> int:
        """Size of the visit's battery, Wh; 0: not known."""
        registered = self.state.vehicles.get(visit.announced.vehicle_id)
        return visit.announced.battery_wh or ((registered.battery_wh or 0) if registered is not None else 0)

    def least_soc(self, key: ConnectorId, visit: Visit, *, fresh_s: float) -> float | None:
        """The least that the state of charge can be by its last value; None: not known, or older than ``fresh_s``."""
        said, battery_wh, grant = self.soc.get(key), self.battery_wh(visit), self.grants[key]
        if said is None or not battery_wh:
            return None
        now = self.clock.now()
        age_s = (now - said[1]).total_seconds()
        if age_s > fresh_s:
            return None
        lost_wh = grant.gives_bound_w(now.timestamp()) * age_s / 3600 / visit.announced.efficiency
        return said[0] - lost_wh / battery_wh

    def _lacking_wh(self, key: ConnectorId, visit: Visit) -> int:
        """Grid energy to the state of charge that the announcement means; 0 where it names none, or none is known."""
        stay, battery_wh = visit.announced, self.battery_wh(visit)
        soc = self.least_soc(key, visit, fresh_s=math.inf) if visit.present else None
        if soc is None or stay.soc_arrival is None or not battery_wh:
            return 0
        wanted = min(1.0, stay.soc_arrival + stay.battery_energy_wh / battery_wh) - SOC_ROUNDING
        return max(0, round((wanted - soc) * battery_wh / stay.efficiency))

    def full(self, visit: Visit, now: datetime) -> bool:
        """Whether the vehicle has taken nothing for FULL_AFTER though offered, near what was announced: it is full."""
        since = self.full_since.get(visit.connector) if visit.connector is not None else None
        return since is not None and now - since > FULL_AFTER and self.remaining_wh(visit) < 0.1 * visit.needed_wh

    def asleep(self, key: ConnectorId, now: datetime) -> bool:
        """Whether the vehicle has taken nothing for ASLEEP_AFTER though offered. Drivers ask for more than they need:
        power that is kept for such a vehicle is lost to others, so it keeps the least that would wake it."""
        since = self.full_since.get(key)
        return since is not None and now - since > ASLEEP_AFTER

    def connected(self, station_id: str) -> bool:
        link = self.links.get(station_id)
        return link is not None and link.connected

    def pausable(self, key: ConnectorId, visit: Visit | None) -> bool:
        """Property of station × vehicle; unknown = no (invariant 8)."""
        station = self.spec.connectors[key].pausable
        vehicle = visit.announced.pausable if visit is not None else None
        if vehicle is None:
            return station is True
        return vehicle and station is not False

    def allowed_w(self, key: ConnectorId, visit: Visit | None) -> int | None:
        """The highest level that safety allows the vehicle on ``key``, W; None: safety says nothing. Where the share of its
        level lies below the connector's minimum, the minimum is kept down to KEEPS_MINIMUM_SHARE; below that there is only 0. A limit
        in watts slows and never ends a session: the minimum is kept, and who follows no level is left alone."""
        if self.shut(key):
            return 0
        share = self.pack_share.get(visit.announced.vehicle_id) if visit is not None else None
        held = self.pack_limit.get(visit.announced.vehicle_id) if visit is not None else None
        watts = held.grid_w(visit.announced.efficiency) if held is not None and visit is not None else None
        if visit is None or (share is None and watts is None):
            return None
        spec, grant = self.spec.connectors[key], self.grants[key]
        if share is None and watts is not None:
            return None if grant.all_or_nothing else max(math.floor(watts / grant.factor), spec.min_w)
        share = 1.0 if share is None else share
        level_w = min(spec.rated_w, round((visit.announced.max_w or spec.rated_w) / self.phase_share.get(key, 1.0)))
        allowed_w = math.floor(level_w * share / grant.factor)
        if grant.all_or_nothing or (allowed_w < spec.min_w and share < KEEPS_MINIMUM_SHARE):
            return 0
        if watts is not None:
            allowed_w = min(allowed_w, math.floor(watts / grant.factor))
        return max(allowed_w, spec.min_w)

    def battery_limit(self, key: ConnectorId, visit: Visit | None) -> Limit | None:
        """What the battery on ``key`` may take, as a limit with its source; None: it is not held back."""
        allowed_w = self.allowed_w(key, visit)
        if allowed_w is None or visit is None:
            return None
        return limit_of(key, allowed_w, self.pack_limit.get(visit.announced.vehicle_id), self.clock.now())

    def said_w(self, key: ConnectorId) -> int | None:
        """The highest level that makes sense for the vehicle by its own word, W; None: it gave none. A vehicle on fewer phases
        than its connector draws only its phases' part of a level."""
        needs = self.state.smart_charging.needs(key)
        if needs is None or needs.max_w is None:
            return None
        spec = self.spec.connectors[key]
        level_w = smart_charging.level_of(needs.max_w, needs.mode, spec)
        return max(spec.min_w, min(spec.rated_w, level_w))

    def external_w(self, key: ConnectorId, now: datetime) -> int | None:
        """The highest level that somebody else's limit at the station leaves for ``key``, W; None: there is none. What limits
        the whole station is shared evenly by its sessions. Below the connector's minimum the minimum is kept, as the station
        itself holds the limit; 0 W means zero."""
        levels = []
        for limit in self.state.smart_charging.limits_on(key):
            level_w = limit.level_at(now)
            if level_w is not None:
                levels.append(level_w if limit.evse else level_w // self._sharers(key))
        if not levels:
            return None
        least_w = min(levels)
        return max(least_w, self.spec.connectors[key].min_w) if least_w else 0

    def _sharers(self, key: ConnectorId) -> int:
        """How many sessions share what the station of ``key`` may draw, the one on ``key`` counted in any case."""
        return sum(other == key or self.grants[other].in_session for other in self.connectors_of(key.station_id))

    def shut(self, key: ConnectorId) -> bool:
        """Whether nothing may flow on ``key``: a tripped pack, or an isolated area."""
        return key in self.isolated or key in self.cut

    def unsafe(self, key: ConnectorId, visit: Visit | None) -> str | None:
        """Why no session may run on ``key`` with the vehicle of ``visit``; None: safety has nothing against it."""
        if key in self.isolated:
            return f"{self.isolated[key]} is tripped"
        if key in self.cut:
            return self.cut[key]
        if visit is not None and self.pack_share.get(visit.announced.vehicle_id, 1.0) <= 0:
            return f"the battery of {visit.announced.vehicle_id} may take nothing now"
        return None

    def on_off(self, key: ConnectorId) -> bool:
        return self.grants[key].trust is TrustLevel.DEFIANT
