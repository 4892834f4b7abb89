"""What was built: the depot's feeders, stations, connectors and meters, as the operator declares them.

Facts that change while the depot runs (transactions, trust, limits) are not here but in :mod:`depot.state`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from depot.values import ConnectorId, InvalidValue, UnknownThing


class Current(StrEnum):
    """Kind of current that the connector gives the vehicle."""

    AC = "AC"
    DC = "DC"


@dataclass(frozen=True, slots=True)
class ConnectorSpec:
    """One outlet. ``rated_w``: the most that it can draw from the grid; ``min_w``: below it there is only 0
    (6 A × 230 V a phase for AC, some kW for DC). ``phases``: grid phases it may load, () = unknown = all three.
    ``pausable`` None = unknown = no (invariant 8). ``settle_s``: time from an accepted decrease to the lower power.
    ``discharge_w``: the most that it can give to the grid; 0: it only charges.
    """

    connector: int
    rated_w: int
    min_w: int
    current: Current = Current.AC
    phases: tuple[int, ...] = ()
    voltage_v: int = 230
    pausable: bool | None = None
    settle_s: float = 3.0
    discharge_w: int = 0

    def __post_init__(self) -> None:
        if self.rated_w <= 0 or not 0 <= self.min_w <= self.rated_w:
            raise InvalidValue(f"connector {self.connector}: need 0 ≤ min_w ({self.min_w}) ≤ rated_w ({self.rated_w}), rated_w > 0")
        if self.discharge_w < 0:
            raise InvalidValue(f"connector {self.connector}: discharge_w ({self.discharge_w}) is 0 or more; 0 says that it only charges")


@dataclass(frozen=True, slots=True)
class StationSpec:
    """One charging station (OCPP identity ``station_id``) behind one feeder."""

    station_id: str
    feeder_id: str
    connectors: tuple[ConnectorSpec, ...]
    bay_id: str = ""


@dataclass(frozen=True, slots=True)
class FeederSpec:
    """One feeder of the site. ``rating_w`` is a limit of source ``rating`` that nothing can lift."""

    feeder_id: str
    rating_w: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class PhaseLimit:
    """What the site or a feeder carries on each phase. ``current_a``: the most on one; ``unbalance_a``: the most by which one may exceed
    another; None: no such limit. ``voltage_v``: between phase and neutral."""

    current_a: float | None = None
    unbalance_a: float | None = None
    voltage_v: float = 230.0

    def __post_init__(self) -> None:
        if min(self.current_a or 0.0, self.unbalance_a or 0.0) < 0 or self.voltage_v <= 0:
            raise InvalidValue("currents per phase are 0 A or more, and the voltage is above 0 V")


def cabinet_id(station_id: str) -> str:
    """How the cabinet of a station that shares its power is called among the feeders."""
    return f"hub {station_id}"


@dataclass(frozen=True, slots=True)
class DepotSpec:
    """The depot as built. ``contract_w``: the grid connection's limit. ``failsafe_w``: what may be drawn when the
    controller is dead or blind (invariants 3, 9). ``worst_background_w``: the most that anything else on the site
    draws; used whenever the connection-point meter is silent. ``metered``: a connection-point meter is configured.
    ``background_profile_w``: typical background per local hour (24 values; empty = unknown), advice for the planner only.
    ``export_limit_w``: what discharging vehicles may make flow to the grid, beyond what the site itself draws.
    ``contract_va``, ``transformer_va``: limits in VA, 0: there is none. ``worst_power_factor``: what the load's may fall to.
    ``feeder_parents``: of a feeder that another one feeds, that one's id. ``hub_w``: by station, what its connectors share, W.
    ``phase_limits``: of the site ("") and of feeders, for plans.

    A cabinet that shares power among its connectors is a node of the tree below its feeder. ``nodes``: by id, what each feeder and
    then each cabinet carries, W; ``node_of``: on which one a connector hangs; ``node_parents``: what feeds a node, where it is no
    feeder that stands alone.
    """

    depot_id: str
    name: str
    contract_w: int
    failsafe_w: int
    worst_background_w: int
    feeders: tuple[FeederSpec, ...]
    stations: tuple[StationSpec, ...]
    timezone: str = "Asia/Kolkata"
    currency: str = "INR"
    metered: bool = False
    background_profile_w: tuple[int, ...] = ()
    export_limit_w: int = 0
    contract_va: int = 0
    transformer_va: int = 0
    worst_power_factor: float = 0.9
    feeder_parents: Mapping[str, str] = field(default_factory=dict)
    hub_w: Mapping[str, int] = field(default_factory=dict)
    phase_limits: Mapping[str, PhaseLimit] = field(default_factory=dict)
    connectors: Mapping[ConnectorId, ConnectorSpec] = field(init=False)
    feeder_of: Mapping[ConnectorId, str] = field(init=False)
    nodes: Mapping[str, int] = field(init=False)
    node_of: Mapping[ConnectorId, str] = field(init=False)
    node_parents: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        feeders = {f.feeder_id for f in self.feeders}
        if len(feeders) != len(self.feeders):
            raise InvalidValue("two feeders have the same feeder_id")
        connectors: dict[ConnectorId, ConnectorSpec] = {}
        feeder_of: dict[ConnectorId, str] = {}
        for station in self.stations:
            if station.feeder_id not in feeders:
                raise InvalidValue(
                    f"station {station.station_id}: feeder {station.feeder_id!r} is not declared (known: {', '.join(sorted(feeders))})"
                )
            for spec in station.connectors:
                key = ConnectorId(station.station_id, spec.connector)
                if key in connectors:
                    raise InvalidValue(f"connector {key} is declared twice")
                connectors[key] = spec
                feeder_of[key] = station.feeder_id
        self._check_tree(feeders)
        if len(self.background_profile_w) not in (0, 24):
            raise InvalidValue(f"background_profile_w has {len(self.background_profile_w)} values; give 24 (one per local hour) or none")
        if min(self.contract_w, self.failsafe_w, self.worst_background_w, self.export_limit_w) < 0:
            raise InvalidValue("contract_w, failsafe_w, worst_background_w and export_limit_w must be 0 W or more")
        if min(self.contract_va, self.transformer_va) < 0 or not 0.5 <= self.worst_power_factor <= 1:
            raise InvalidValue("contract_va and transformer_va must be 0 VA or more, worst_power_factor within 0.5 and 1")
        for what, limit_va in (("contract", self.contract_va), ("transformer", self.transformer_va)):
            if limit_va and self.failsafe_w > limit_va * self.worst_power_factor:
                raise InvalidValue(
                    f"the fail-safe limit of {self.failsafe_w} W is above what the {what}'s {limit_va} VA carry at the worst power factor, "
                    f"{self.worst_power_factor:g}"
                )
        object.__setattr__(self, "connectors", connectors)
        object.__setattr__(self, "feeder_of", feeder_of)
        self._hang_cabinets()

    def _hang_cabinets(self) -> None:
        shared = {station.station_id: station for station in self.stations if station.station_id in self.hub_w}
        cabinets = {cabinet_id(name): self.hub_w[name] for name in shared}
        nodes = {feeder.feeder_id: feeder.rating_w for feeder in self.feeders}
        if taken := sorted(cabinets.keys() & nodes.keys()):
            raise InvalidValue(f"a feeder is called {taken[0]!r}, as the cabinet of that station is: give it another id")
        node_of = {key: cabinet_id(key.station_id) if key.station_id in shared else feeder for key, feeder in self.feeder_of.items()}
        parents = {**self.feeder_parents, **{cabinet_id(name): station.feeder_id for name, station in shared.items()}}
        object.__setattr__(self, "nodes", nodes | cabinets)
        object.__setattr__(self, "node_of", node_of)
        object.__setattr__(self, "node_parents", parents)

    def _check_tree(self, feeders: set[str]) -> None:
        for feeder, parent in self.feeder_parents.items():
            if feeder not in feeders or parent not in feeders:
                unknown = parent if feeder in feeders else feeder
                raise InvalidValue(f"feeder {feeder}: its parent is {parent!r}, but {unknown!r} is not declared")
            above, steps = parent, 0
            while above in self.feeder_parents and steps <= len(feeders):
                above, steps = self.feeder_parents[above], steps + 1
            if steps > len(feeders):
                raise InvalidValue(f"feeder {feeder}: its parents lead back to themselves; the topmost one has none")
        if min(self.hub_w.values(), default=1) <= 0:
            raise InvalidValue("what a station's connectors share must be more than 0 W; leave it out where each has its full power")

    def connector(self, key: ConnectorId) -> ConnectorSpec:
        """The declared connector; raises :class:`UnknownThing`."""
        try:
            return self.connectors[key]
        except KeyError:
            raise UnknownThing(f"connector {key} is not in the registry") from None
