"""The physical site: outlets, vehicles plugged into them, everything else that draws power, and the meter at the gate.

Nothing here speaks a protocol. Stations order their outlets about; the plant says what then really flows, integrates
the energies and writes the trace. Powers are grid side, integer W; times are seconds from the day's start.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from depot.ports import Clock
from depot.readings import SiteReading
from depot.registry import ConnectorSpec, Current
from depot.values import ConnectorId
from simulator.agenda import Agenda, Appointment
from simulator.day import Day, Stay
from simulator.pack import Pack, possible_wh
from simulator.trace import Trace

OBEY_WITHIN_S = 2.0
"""A lower order must show on the meter within this time; a station that still draws more is disobeying."""
DISOBEY_W = 20
"""Above the granted power by more than this is disobedience and not rounding."""

# Steps of a change of power, as (seconds from the order, share of the change that is then done).
_AC_UP = ((0.3, 0.5), (0.8, 1.0))
_AC_DOWN = ((0.2, 0.5), (0.6, 1.0))
_DC_UP = ((0.5, 0.25), (1.0, 0.6), (1.8, 1.0))
_DC_DOWN = ((0.3, 0.4), (0.7, 0.8), (1.2, 1.0))


class OutletState(StrEnum):
    """What an outlet's contactor and vehicle are doing."""

    EMPTY = "empty"
    IDLE = "idle"
    DRAWING = "drawing"
    HELD = "held"
    SATISFIED = "satisfied"


@dataclass(slots=True)
class Vehicle:
    """A vehicle on an outlet. ``grid_wh``: what the outlet gave it in this stay, ``given_wh``: what it gave back (both grid side).
    ``least_soc``: the lowest state of charge that it has had."""

    stay: Stay
    pack: Pack
    plugged_s: float
    grid_wh: float = 0.0
    given_wh: float = 0.0
    least_soc: float = 1.0


@dataclass(slots=True)
class _Outlet:
    key: ConnectorId
    spec: ConnectorSpec
    register_wh: float
    exported_wh: float = 0.0
    listener: Callable[[ConnectorId, OutletState], None] | None = None
    vehicle: Vehicle | None = None
    energised: bool = False
    obeyed_w: float = math.inf
    granted_w: float = math.inf
    power_w: int = 0
    since: float = 0.0
    state: OutletState = OutletState.EMPTY
    ramp: list[Appointment] = field(default_factory=list)
    review: Appointment | None = None
    disobeying: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a stay ended. ``need_wh``: what the vehicle wanted or, if less, could have had by always charging at full
    power while it was there; both energies battery side. ``grid_wh`` is what it cost the grid,
    ``given_wh`` what it gave back; ``least_soc``: the lowest state of charge on the way."""

    stay: Stay
    arrived_s: float
    left_s: float
    need_wh: float
    got_wh: float
    grid_wh: float
    given_wh: float = 0.0
    least_soc: float = 1.0


class Plant:
    """The site of ``day``. All its appointments are kept by ``agenda``, which somebody must run.

    Writes the opening lines of ``trace`` at once: feeders, prices, the limits and background at the start.
    """

    def __init__(self, day: Day, *, clock: Clock, agenda: Agenda, trace: Trace | None = None) -> None:
        self.day = day
        self._clock = clock
        self._agenda = agenda
        self._trace = trace
        self._outlets = {
            # every lifetime register shows another number, none of them 0
            key: _Outlet(key, spec, register_wh=1_000_000.0 + 137_000.0 * n, since=clock.monotonic())
            for n, (key, spec) in enumerate(day.spec.connectors.items())
        }
        self._charging_w = 0
        self._base_w = day.base_w[0][1] if day.base_w else 0
        self.limits_w: dict[str, int] = {}
        self.faults = 0
        if trace is not None:
            members: dict[str, list[ConnectorId]] = {feeder.feeder_id: [] for feeder in day.spec.feeders}
            for key, feeder_id in day.spec.feeder_of.items():
                members[feeder_id].append(key)
            trace.depot(members, day.price or ((0.0, 0.0),), day.currency)
            trace.base(0.0, self._base_w)
        self.set_limit("site", day.spec.contract_w)
        for feeder in day.spec.feeders:
            self.set_limit(feeder.feeder_id, feeder.rating_w)

    # -- the site ------------------------------------------------------------------------------------------------

    def t(self) -> float:
        """Seconds since the day's start, never negative."""
        return max(0.0, (self._clock.now() - self.day.start).total_seconds())

    def site_power_w(self) -> int:
        """What flows through the connection point now."""
        return self._base_w + self._charging_w

    def charging_power_w(self) -> int:
        """What all outlets draw together now."""
        return self._charging_w

    def feeder_power_w(self, feeder_id: str) -> int:
        """What the outlets of one feeder draw now."""
        return sum(o.power_w for o in self._outlets.values() if self.day.spec.feeder_of[o.key] == feeder_id)

    def set_base(self, w: int) -> None:
        """The rest of the site draws ``w`` from now on (negative: PV exceeds it)."""
        if w != self._base_w:
            self._base_w = w
            if self._trace is not None:
                self._trace.base(self.t(), w)

    def set_limit(self, scope: str, w: int) -> None:
        """Record that ``scope`` ("site" or a feeder id) may draw ``w`` from now on. Whoever changes a limit calls this."""
        if self.limits_w.get(scope) != w:
            self.limits_w[scope] = w
            if self._trace is not None:
                self._trace.limit(self.t(), scope, w)

    # -- what a station sees and does ----------------------------------------------------------------------------

    def listen(self, key: ConnectorId, listener: Callable[[ConnectorId, OutletState], None]) -> None:
        """Call ``listener`` whenever the outlet's state changes."""
        self._outlets[key].listener = listener

    def state(self, key: ConnectorId) -> OutletState:
        return self._outlets[key].state

    def vehicle(self, key: ConnectorId) -> Vehicle | None:
        """Who is plugged in, integrated up to now."""
        outlet = self._outlets[key]
        self._integrate(outlet)
        return outlet.vehicle

    def power_w(self, key: ConnectorId) -> int:
        return self._outlets[key].power_w

    def register_wh(self, key: ConnectorId) -> float:
        """The outlet's lifetime import register."""
        outlet = self._outlets[key]
        self._integrate(outlet)
        return outlet.register_wh

    def exported_wh(self, key: ConnectorId) -> float:
        """The outlet's lifetime export register."""
        outlet = self._outlets[key]
        self._integrate(outlet)
        return outlet.exported_wh

    def order(self, key: ConnectorId, *, obeyed_w: float, granted_w: float) -> None:
        """The station lets the vehicle draw up to ``obeyed_w``, while ``granted_w`` is what it was granted (inf: no limit).

        Below 0 it makes the vehicle give so much, as far as it can. Where they differ because the station disobeys, the trace
        says so from the moment at which it shows.
        """
        outlet = self._outlets[key]
        tighter = granted_w < outlet.granted_w
        if obeyed_w == outlet.obeyed_w and granted_w == outlet.granted_w:
            return
        outlet.granted_w = granted_w
        changed = obeyed_w != outlet.obeyed_w
        outlet.obeyed_w = obeyed_w
        if changed:
            self._retarget(outlet)
        if tighter and outlet.power_w > granted_w:
            self._agenda.after(OBEY_WITHIN_S, lambda: self._judge(outlet))
        elif outlet.disobeying:
            self._judge(outlet)

    def energise(self, key: ConnectorId, on: bool) -> None:
        """Close or open the outlet's contactor. Opening cuts the power at once."""
        outlet = self._outlets[key]
        if outlet.energised == on:
            return
        outlet.energised = on
        self._retarget(outlet, at_once=not on)

    # -- vehicles --------------------------------------------------------------------------------------------------

    def plug(self, stay: Stay) -> None:
        """``stay``'s vehicle is plugged in now. The outlet must be empty."""
        outlet = self._outlets[stay.connector]
        if outlet.vehicle is not None:
            raise RuntimeError(f"{stay.connector} already has {outlet.vehicle.stay.vehicle_id}; {stay.vehicle_id} cannot plug in")
        outlet.vehicle = Vehicle(stay, new_pack(stay, self.day.ambient_c), self.t())
        self._retarget(outlet)

    def unplug(self, key: ConnectorId) -> Vehicle:
        """Take the vehicle off; its power is gone at once. Raises KeyError where there is none."""
        outlet = self._outlets[key]
        vehicle = outlet.vehicle
        if vehicle is None:
            raise KeyError(f"no vehicle on {key}")
        self._cancel(outlet)
        self._set_power(outlet, 0)
        outlet.vehicle = None
        self._retarget(outlet, at_once=True)
        return vehicle

    def leave(self, stay: Stay, vehicle: Vehicle | None) -> Outcome:
        """Account for a stay that ends now (``vehicle`` None: it never found an outlet) and write its visit."""
        left_s = self.t()
        arrived_s = min(stay.arrive_s, left_s)
        got_wh = vehicle.pack.got_wh if vehicle is not None else 0.0
        best = min(stay.max_w, self._outlets[stay.connector].spec.rated_w)
        need_wh = min(stay.need_wh, possible_wh(new_pack(stay, self.day.ambient_c), max_w=best, seconds=left_s - arrived_s))
        if self._trace is not None:
            self._trace.visit(left_s, vehicle=stay.vehicle_id, connector=stay.connector, arrive=arrived_s, need_wh=need_wh, got_wh=got_wh)
        if vehicle is None:
            return Outcome(stay, arrived_s, left_s, need_wh, got_wh, 0.0)
        return Outcome(stay, arrived_s, left_s, need_wh, got_wh, vehicle.grid_wh, vehicle.given_wh, vehicle.least_soc)

    def end(self) -> None:
        """Close the trace."""
        if self._trace is not None:
            self._trace.end(self.t())

    # -- physics -----------------------------------------------------------------------------------------------------

    def _target_w(self, outlet: _Outlet) -> tuple[int, OutletState]:
        """The power that the outlet settles at as things are, and the state that this is."""
        vehicle = outlet.vehicle
        if vehicle is None:
            return 0, OutletState.EMPTY
        if outlet.energised and outlet.obeyed_w < 0:
            given_w = 0 if vehicle.pack.empty else min(-outlet.obeyed_w, outlet.spec.discharge_w, vehicle.stay.discharge_w)
            return -int(given_w), OutletState.DRAWING if given_w else OutletState.HELD
        if vehicle.pack.satisfied:
            return 0, OutletState.SATISFIED
        if not outlet.energised:
            return 0, OutletState.IDLE
        if outlet.obeyed_w < vehicle.stay.min_w or outlet.obeyed_w < 1:
            return 0, OutletState.HELD
        return int(min(outlet.obeyed_w, outlet.spec.rated_w, vehicle.stay.max_w, vehicle.pack.acceptance_w())), OutletState.DRAWING

    def _retarget(self, outlet: _Outlet, *, at_once: bool = False) -> None:
        """Go to the power that now holds: by the steps of the electronics, or ``at_once`` (taper, contactor)."""
        self._integrate(outlet)
        self._cancel(outlet)
        goal, state = self._target_w(outlet)
        start = outlet.power_w
        if goal == start or at_once:
            self._set_power(outlet, goal)
            self._plan_review(outlet)
        else:
            dc = outlet.spec.current is Current.DC
            steps = (_DC_UP if dc else _AC_UP) if goal > start else (_DC_DOWN if dc else _AC_DOWN)
            for delay, share in steps[:-1]:
                step_w = start + round((goal - start) * share)
                outlet.ramp.append(self._agenda.after(delay, lambda w=step_w: self._set_power(outlet, w)))  # type: ignore[misc]  # a default binds the step's value
            outlet.ramp.append(self._agenda.after(steps[-1][0], lambda: self._retarget(outlet, at_once=True)))
        if state is not outlet.state:
            outlet.state = state
            if outlet.listener is not None:
                outlet.listener(outlet.key, state)

    def _plan_review(self, outlet: _Outlet) -> None:
        if outlet.vehicle is not None and outlet.power_w != 0:
            hold = outlet.vehicle.pack.holds_for_s(outlet.power_w)
            outlet.review = self._agenda.after(max(hold, 1e-3), lambda: self._retarget(outlet, at_once=True))

    def _cancel(self, outlet: _Outlet) -> None:
        for step in outlet.ramp:
            step.cancel()
        outlet.ramp.clear()
        if outlet.review is not None:
            outlet.review.cancel()
            outlet.review = None

    def _integrate(self, outlet: _Outlet) -> None:
        """Book what flowed since the last look, at the constant power that flowed."""
        now = self._clock.monotonic()
        seconds = now - outlet.since
        outlet.since = now
        if seconds <= 0:
            return
        energy_wh = outlet.power_w * seconds / 3600.0
        outlet.register_wh += max(0.0, energy_wh)
        outlet.exported_wh += max(0.0, -energy_wh)
        if outlet.vehicle is not None:
            outlet.vehicle.grid_wh += max(0.0, energy_wh)
            outlet.vehicle.given_wh += max(0.0, -energy_wh)
            outlet.vehicle.pack.advance(outlet.power_w, seconds)
            outlet.vehicle.least_soc = min(outlet.vehicle.least_soc, outlet.vehicle.pack.soc)

    def _set_power(self, outlet: _Outlet, w: int) -> None:
        self._integrate(outlet)
        if w == outlet.power_w:
            return
        rises = w > outlet.power_w
        self._charging_w += w - outlet.power_w
        outlet.power_w = w
        if rises or outlet.disobeying:
            self._judge(outlet)  # before the power line: the trace's interval must be open when the power flows
        if self._trace is not None:
            self._trace.power(self.t(), outlet.key, w)

    def _judge(self, outlet: _Outlet) -> None:
        """Note the moment at which an outlet begins, or ends, to draw more than it was granted."""
        disobeys = outlet.power_w > max(0.0, outlet.granted_w) + DISOBEY_W  # who gives less than it was told disobeys nobody's limit
        if disobeys and not outlet.disobeying:
            self.faults += 1
            if self._trace is not None:
                self._trace.fault(self.t(), outlet.key)
        outlet.disobeying = disobeys


class ConnectionPointMeter:
    """The meter at the gate (:class:`depot.ports.SiteMeter`): a new sample at most every ``every_s``, 0 for always the newest.

    ``blind`` True: it stops answering, and the last reading grows old.
    """

    def __init__(self, plant: Plant, clock: Clock, *, every_s: float = 1.0) -> None:
        self._plant = plant
        self._clock = clock
        self._every_s = every_s
        self._next = -math.inf
        self._reading: SiteReading | None = None
        self.blind = False

    @property
    def reading(self) -> SiteReading | None:
        now = self._clock.monotonic()
        if not self.blind and now >= self._next:
            self._next = now + self._every_s
            self._reading = SiteReading(self._clock.now(), self._plant.site_power_w())
        return self._reading


def new_pack(stay: Stay, ambient_c: float) -> Pack:
    """The vehicle's battery as it arrives."""
    return Pack(
        capacity_wh=float(stay.battery_wh), soc=stay.soc_arrival, need_wh=float(stay.need_wh), efficiency=stay.efficiency,
        temp_c=stay.pack_temp_c, ambient_c=ambient_c,
    )  # fmt: skip
