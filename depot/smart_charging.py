"""What vehicles and foreign systems say about charging over a station: needs, schedules, external limits. Pure.

    vehicle --ISO 15118--> station --> ChargingNeeds, VehicleSchedule     what it says of itself; never an order
    energy manager, grid operator --> station --> ExternalLimit           what the station lets through, whatever we tell it

A vehicle's word completes what the depot knows and never overrides it. An external limit is kept by the station itself; the
depot counts with it so that power is not given to where it cannot flow. It only ever makes a level smaller.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from depot.values import ConnectorId

MOST_STEPS = 200
"""Steps of one schedule or limit that are kept."""
STALE_AFTER = timedelta(hours=24)
"""An external limit without an end that nobody repeated for so long is shown, and counted with no more."""
WHOLE_STATION = 0


@dataclass(frozen=True, slots=True)
class ChargingNeeds:
    """OCPP 2.0.1 and 2.1 ChargingNeedsType in the depot's units; None: the vehicle did not say. ``mode``, ``control``,
    ``mobility``, ``offers``: in the protocol's words. ``energy_wh``: wanted at the connector. ``discharge_*_w`` ≥ 0. SoC 0–1.
    ``v2x_*_wh``: energy to the ends of the band in which it may be cycled; the lower one may be negative there.
    ``tuples``: the longest schedule that it takes, None: any."""

    mode: str
    departure: datetime | None = None
    energy_wh: int | None = None
    min_energy_wh: int | None = None
    max_energy_wh: int | None = None
    min_w: int | None = None
    max_w: int | None = None
    min_a: float | None = None
    max_a: float | None = None
    max_v: float | None = None
    discharge_min_w: int | None = None
    discharge_max_w: int | None = None
    v2x_min_wh: int | None = None
    v2x_max_wh: int | None = None
    capacity_wh: int | None = None
    soc: float | None = None
    full_soc: float | None = None
    bulk_soc: float | None = None
    target_soc: float | None = None
    control: str = ""
    mobility: str = ""
    offers: tuple[str, ...] = ()
    tuples: int | None = None
    reported_at: datetime | None = None

    @property
    def iso_20(self) -> bool:
        """Whether it speaks as ISO 15118-20 lets it: only there these things exist."""
        return bool(self.control or self.mobility) or self.target_soc is not None or self.discharge_max_w is not None

    @property
    def wanted_wh(self) -> int | None:
        """Energy at the connector that it asks for, or as far as its SoC says it."""
        if self.energy_wh is not None:
            return self.energy_wh
        target = self.target_soc if self.target_soc is not None else self.full_soc
        if None in (self.soc, self.capacity_wh, target):
            return None
        return max(0, round(((target or 0.0) - (self.soc or 0.0)) * (self.capacity_wh or 0)))


@dataclass(frozen=True, slots=True)
class Step:
    """From ``at`` on at most ``level_w``; None: nothing limits."""

    at: datetime
    level_w: int | None


@dataclass(frozen=True, slots=True)
class VehicleSchedule:
    """What a vehicle means to draw: steps until ``until`` (None: not said). ``selected``: id of the schedule that it chose."""

    steps: tuple[Step, ...]
    until: datetime | None = None
    selected: int | None = None


@dataclass(frozen=True, slots=True)
class VehicleWord:
    """Needs and schedule of the vehicle that charges on a connector. ``transaction``: the station's own name of it.
    ``exceeds``: how its schedule goes beyond what it was allowed; empty: it does not, or there is none."""

    needs: ChargingNeeds | None = None
    told_at: datetime | None = None
    transaction: str = ""
    schedule: VehicleSchedule | None = None
    schedule_at: datetime | None = None
    exceeds: str = ""


@dataclass(frozen=True, slots=True)
class ExternalLimit:
    """A limit that somebody else has set at a station. ``evse`` 0: on the whole station. ``source``: EMS, SO, Other, CSO, or
    2.1's free text. ``steps``: none where only its existence was told. ``until``: when its schedule ends. ``generation``: it
    tells of power generated there: nothing that limits. ``stale``: the station has booted since."""

    station_id: str
    evse: int
    source: str
    told_at: datetime
    steps: tuple[Step, ...] = ()
    until: datetime | None = None
    critical: bool = False
    generation: bool = False
    stale: bool = False

    @property
    def key(self) -> str:
        return limit_key(self.station_id, self.evse, self.source)

    def holds(self, now: datetime) -> bool:
        """Whether the depot counts with it: told since the station booted, and neither over nor old."""
        over = now >= self.until if self.until is not None else now - self.told_at >= STALE_AFTER
        return not (self.stale or self.generation or over)

    def step_at(self, now: datetime) -> Step | None:
        """What it says of this moment; None: nothing."""
        return next((step for step in reversed(self.steps) if step.at <= now), None) if self.holds(now) else None

    def level_at(self, now: datetime) -> int | None:
        """W at this moment; None: it limits nothing, or not by a number."""
        step = self.step_at(now)
        return None if step is None else step.level_w


def limit_key(station_id: str, evse: int, source: str) -> str:
    """One limit for each source and place."""
    return f"{station_id}/{evse}/{source}"


@dataclass(frozen=True, slots=True)
class SmartChargingState:
    """``vehicles``: by connector, while their transaction runs. ``limits``: by :func:`limit_key`."""

    vehicles: Mapping[ConnectorId, VehicleWord] = field(default_factory=dict)
    limits: Mapping[str, ExternalLimit] = field(default_factory=dict)

    def word(self, key: ConnectorId) -> VehicleWord | None:
        return self.vehicles.get(key)

    def needs(self, key: ConnectorId) -> ChargingNeeds | None:
        """What the vehicle on a connector said that it needs."""
        word = self.vehicles.get(key)
        return None if word is None else word.needs

    def limits_on(self, key: ConnectorId) -> Iterator[ExternalLimit]:
        """Limits on a connector and on its whole station."""
        return (x for x in self.limits.values() if x.station_id == key.station_id and x.evse in (WHOLE_STATION, key.connector))


def needing(state: SmartChargingState, key: ConnectorId, needs: ChargingNeeds, transaction: str, at: datetime) -> SmartChargingState:
    """A vehicle said what it needs. A schedule that it told before, in the same transaction, stands until it tells another."""
    before = state.vehicles.get(key)
    same = before is not None and before.transaction == transaction
    word = replace(before, needs=needs, told_at=at) if before is not None and same else VehicleWord(needs, at, transaction)
    return replace(state, vehicles={**state.vehicles, key: word})


def scheduling(
    state: SmartChargingState, key: ConnectorId, schedule: VehicleSchedule, exceeds: str, transaction: str, at: datetime
) -> SmartChargingState:
    """A vehicle said what it means to draw."""
    before = state.vehicles.get(key)
    if before is None or before.transaction != transaction:
        before = VehicleWord(transaction=transaction)
    word = replace(before, schedule=schedule, schedule_at=at, exceeds=exceeds)
    return replace(state, vehicles={**state.vehicles, key: word})


def gone(state: SmartChargingState, key: ConnectorId) -> SmartChargingState:
    """The vehicle's transaction is over."""
    if key not in state.vehicles:
        return state
    return replace(state, vehicles={k: word for k, word in state.vehicles.items() if k != key})


def limited(state: SmartChargingState, limit: ExternalLimit) -> SmartChargingState:
    """It replaces what the same source said of the same place."""
    return replace(state, limits={**state.limits, limit.key: limit})


def released(state: SmartChargingState, station_id: str, evse: int | None, source: str) -> SmartChargingState:
    """``evse`` None: of every place at the station."""
    left = {k: x for k, x in state.limits.items() if not (x.station_id == station_id and x.source == source and evse in (None, x.evse))}
    return replace(state, limits=left)


def restarted(state: SmartChargingState, station_id: str) -> SmartChargingState:
    """The station booted: what limits it now it says anew."""
    if not any(x.station_id == station_id and not x.stale for x in state.limits.values()):
        return state
    aged = {k: replace(x, stale=True) if x.station_id == station_id else x for k, x in state.limits.items()}
    return replace(state, limits=aged)


class SmartChargingDesk(Protocol):
    """Who hears of it; awaited calls return after the fact is durable."""

    async def needs(self, connector: ConnectorId, needs: ChargingNeeds, transaction: str, *, session: bool) -> str:
        """The answer: ``Accepted`` (a profile follows it), ``Processing`` (later), ``Rejected``. ``session``: it is a session
        of the depot already."""

    def needs_answered(self, connector: ConnectorId) -> None:
        """The station knows the answer: the profile may follow."""

    async def scheduled(self, connector: ConnectorId, schedule: VehicleSchedule, transaction: str, *, exceeds: str) -> None:
        """The vehicle's own schedule. ``exceeds``: how it goes beyond what it was allowed; then it is refused."""

    def schedule_refused(self, connector: ConnectorId) -> None:
        """The station knows that it was: a profile follows from which it can choose again."""

    async def limited(self, limit: ExternalLimit) -> None: ...
    def limit_unclear(self, station_id: str, source: str) -> None:
        """The station was answered that a limit of ``source`` was heard of, and has not said which: it may be asked."""

    async def released(self, station_id: str, evse: int | None, source: str) -> None:
        """A limit is over. ``evse`` None: wherever at the station."""
