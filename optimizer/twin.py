"""The run of a plan in the digital twin: what its packs would do if it were dispatched, and whether it may be.

    plan --step by step (minutes): taper, losses, heat--> SoC at departure, hottest temperature, wear --judged--> Findings

Each pack gains what the efficiency leaves of the power that it accepts, warms and cools. How much it accepts and how warm it gets is the
digital twin's to say: whoever runs this hands in its lumps (:class:`Lumps`; the rooms do not know each other). No equation is shared with
the linear model that made the plan, nor with the simulator. Where nothing is known of a pack nothing is said of it; limits are judged
always.

Where its chemistry has a cell model, a pack ages by the shipped table (:mod:`optimizer.life_table`), slot by slot, at the state of charge
and the temperature that the run finds for it: calendar, cycles, and what fast charging takes beside that. The plan had counted the
same with a forecast of the temperature and a straight line of the power.

A finding vetoes where the plan itself is at fault: it breaks a limit, says of energy that is served what its powers do not deliver,
puts more into a pack than fits, or heats one beyond its ceiling that would stay below it at rest. What nobody could plan away
(a pack that is hot already or nearly full, an announced need that does not fit) is no veto. All packs are stepped at once, as arrays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from optimizer.evaluate import evaluate
from optimizer.life_table import MODEL_OF
from optimizer.problem import FloatArray, Problem
from optimizer.twin_ageing import Ageing

STEP_H = 5 / 60
FULL_PLAY = 0.01
"""Of the capacity: what states of charge are rounded and guessed by."""

SERVED_PLAY = 0.01
"""Of the energy that a plan says is served."""

SERVED_PLAY_KWH = 0.5
LIMIT_KWH = 0.05
LIMIT_SHARE = 1e-5


class Fault(StrEnum):
    """What a finding is about."""

    LIMIT = "limit"
    OVERFULL = "overfull"
    HOT = "hot"
    SHORT = "short"


class Lumps(Protocol):
    """The packs of a run, as the digital twin has them. ``who``: their places; states of charge 0–1, °C, capacities an hour."""

    def accepted(self, who: npt.NDArray[np.intp], soc: FloatArray, /) -> FloatArray:
        """Share of its charger's power that a pack takes."""

    def settles_k(self, who: npt.NDArray[np.intp], c_rate: FloatArray, /) -> FloatArray:
        """K above its surroundings, in the end."""

    def coolest_c_rate(self, who: int, room_k: float, /) -> float:
        """Capacities an hour that can go on for ever without warming the pack by more than ``room_k``."""

    def cooled(self, who: npt.NDArray[np.intp], settled_c: FloatArray, temp_c: FloatArray, hours: float, /) -> FloatArray:
        """°C after ``hours`` on the way to where it would settle."""


LumpsOf = Callable[[Sequence[str]], Lumps]
"""From the chemistries of packs."""


@dataclass(frozen=True, slots=True)
class TwinPack:
    """What is known of the battery of a vehicle. ``soc``: at its arrival, or now where it is plugged in. ``temp_c``: None: not known;
    ``ceiling_c``: that no plan may pass (°C), None: there is none. ``chemistry``: as the lumps know it, else unknown."""

    capacity_kwh: float
    soc: float
    chemistry: str = "unknown"
    temp_c: float | None = None
    ambient_c: float = 25.0
    ceiling_c: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """``vehicle``: its place in the problem, None: the site. ``amount``: kWh, or °C for ``hot``. ``vetoes``: the plan is not taken.
    ``cap_kw``: with at most this power the vehicle would stay below its ceiling."""

    fault: Fault
    vehicle: int | None
    amount: float
    text: str
    vetoes: bool
    cap_kw: float | None = None


@dataclass(frozen=True, eq=False, slots=True)
class TwinReport:
    """Per vehicle; NaN where its pack is not known: ``soc_at_departure``, ``hottest_c`` during its stay, ``wear_cost`` (currency): what
    it loses more than it would at rest, where its life has a price and its chemistry a cell model, else holding and giving energy at the
    problem's prices; ``received_kwh`` at the battery. ``fade``: what the stay takes of its nominal capacity, a share;
    ``fade_at_rest``: what it would take if nothing flowed. Both NaN where no cell model is known."""

    soc_at_departure: FloatArray
    hottest_c: FloatArray
    wear_cost: FloatArray
    received_kwh: FloatArray
    fade: FloatArray
    fade_at_rest: FloatArray
    findings: tuple[Finding, ...] = field(default_factory=tuple)

    @property
    def veto(self) -> str:
        """Why the plan is not taken, in a sentence; "": it may be."""
        said = [finding.text for finding in self.findings if finding.vetoes]
        return "" if not said else said[0] if len(said) == 1 else f"{said[0]} (and {len(said) - 1} more)"


class Twin:
    """One run of one plan: exhaust :meth:`steps`, then ask for the :meth:`report`.

    ``power_kw`` [vehicle × slot], ``storage_kw`` [storage × slot], ``unmet_kwh`` [vehicle]: the plan and what it admits. ``packs``: one
    per vehicle, None: not known. ``lumps_of``: the digital twin's packs.
    """

    def __init__(
        self,
        problem: Problem,
        power_kw: FloatArray,
        unmet_kwh: FloatArray,
        packs: Sequence[TwinPack | None],
        *,
        lumps_of: LumpsOf,
        storage_kw: FloatArray | None = None,
    ) -> None:
        self._problem, self._power, self._unmet, self._storage = problem, power_kw, unmet_kwh, storage_kw
        count = len(problem.vehicles)
        once = [not vehicle.windows for vehicle in problem.vehicles]  # between its visits a vehicle uses what nobody knows
        self._known = np.array([pack is not None and pack.capacity_kwh > 0 for pack in packs], dtype=bool) & np.array(once, dtype=bool)

        def of(name: str, otherwise: float) -> FloatArray:
            values = [getattr(pack, name) if pack is not None else None for pack in packs]
            return np.array([otherwise if value is None else value for value in values], dtype=np.float64)

        self._lumps = lumps_of([pack.chemistry if pack is not None else "unknown" for pack in packs])
        self._capacity = np.where(self._known, of("capacity_kwh", 1.0), 1.0)
        self._soc0 = np.clip(of("soc", 0.0), 0.0, 1.0)
        self._soc = self._soc0.copy()
        self._temp = of("temp_c", np.nan)
        self._begins, self._rest = self._temp.copy(), self._temp.copy()
        self._ambient, self._ceiling = of("ambient_c", 25.0), of("ceiling_c", np.inf)
        self._eff = np.array([v.eff for v in problem.vehicles])
        self._rating = np.array([v.p_max_kw for v in problem.vehicles])
        self._holding = np.array([v.holding_per_kwh_h or 0.0 for v in problem.vehicles])
        self._giving = np.array([v.wear_per_kwh or 0.0 for v in problem.vehicles])
        slots = np.arange(problem.n_slots)
        stays = np.array([(v.arrival_slot, v.departure_slot) for v in problem.vehicles]).reshape(count, 2)
        self._here = (stays[:, :1] <= slots) & (slots < stays[:, 1:]) & self._known[:, None]
        self._need = np.array([v.energy_kwh for v in problem.vehicles])
        gained = np.where(power_kw > 0, power_kw * self._eff[:, None], power_kw / self._eff[:, None])
        self._planned: FloatArray = gained @ problem.hours
        """Battery energy that the plan's powers would bring if every pack took them."""
        self._hottest, self._rests_at = self._temp.copy(), self._temp.copy()
        self._received, self._wear = np.zeros(count), np.zeros(count)
        self._ageing = Ageing(np.array([MODEL_OF.get(pack.chemistry, "") if pack is not None else "" for pack in packs]), self._known)
        self._fade_cost = np.array([0.0 if v.life is None else v.life.fade_cost for v in problem.vehicles])

    def steps(self, slots: int) -> Iterator[None]:
        """Step through all slots, so many between two breaths."""
        for k in range(self._problem.n_slots):
            self._step(k)
            if k % slots == slots - 1:
                yield

    def report(self) -> TwinReport:
        """What became of the packs, and what is wrong with the plan."""
        unknown = ~self._known
        fade, at_rest = self._ageing.fade, self._ageing.fade_at_rest
        lost = np.where((self._fade_cost > 0) & np.isfinite(fade), self._fade_cost * (fade - at_rest), self._wear)
        return TwinReport(
            soc_at_departure=np.where(unknown, np.nan, self._soc),
            hottest_c=np.where(unknown, np.nan, self._hottest),
            wear_cost=np.where(unknown, np.nan, lost),
            fade=fade,
            fade_at_rest=at_rest,
            received_kwh=np.where(unknown, np.nan, self._received),
            findings=(*self._over_limits(), *self._unserved(), *self._overfull(), *self._hot(), *self._tapered()),
        )

    def _step(self, slot: int) -> None:
        here = np.flatnonzero(self._here[:, slot])
        if not len(here):
            return
        hours, planned = float(self._problem.hours[slot]), self._power[here, slot]
        soc, temp, rest = self._soc[here], self._warmth(here, self._temp), self._warmth(here, self._rest)
        self._rest[here] = self._lumps.cooled(here, self._ambient[here], self._rest[here], hours)
        self._hold(here[planned == 0], hours)
        flows, planned = here[planned != 0], planned[planned != 0]
        if len(flows):
            steps = max(1, round(hours / STEP_H))
            for _ in range(steps):
                self._flow(flows, planned, hours / steps)
        self._ageing.pass_slot(
            here,
            hours,
            soc=(soc + self._soc[here]) / 2,
            temp_c=(temp + self._warmth(here, self._temp)) / 2,
            received=np.maximum(self._soc[here] - soc, 0.0),
            soc_at_rest=self._soc0[here],
            rest_c=(rest + self._warmth(here, self._rest)) / 2,
        )
        self._hottest[here] = np.fmax(self._hottest[here], self._temp[here])
        self._rests_at[here] = np.fmax(self._rests_at[here], self._rest[here])

    def _warmth(self, who: npt.NDArray[np.intp], temp: FloatArray) -> FloatArray:
        """°C; the surroundings' where a pack tells none."""
        return np.where(np.isnan(temp[who]), self._ambient[who], temp[who])

    def _hold(self, who: npt.NDArray[np.intp], dt: float) -> None:
        """Nothing flows for ``dt`` hours."""
        self._temp[who] = self._lumps.cooled(who, self._ambient[who], self._temp[who], dt)
        self._wear[who] += self._holding[who] * np.maximum(self._soc[who] - self._soc0[who], 0.0) * self._capacity[who] * dt

    def _flow(self, who: npt.NDArray[np.intp], planned: FloatArray, dt: float) -> None:
        """What is planned flows for ``dt`` hours, as far as the packs take it."""
        soc, eff, capacity = self._soc[who], self._eff[who], self._capacity[who]
        drawn = np.minimum(planned, self._rating[who] * self._lumps.accepted(who, soc))
        battery_kw = np.where(drawn > 0, drawn * eff, drawn / eff)
        self._received[who] += battery_kw * dt
        self._soc[who] = soc = np.clip(soc + battery_kw * dt / capacity, 0.0, 1.0)
        rate = battery_kw / capacity
        self._temp[who] = self._lumps.cooled(who, self._ambient[who] + self._lumps.settles_k(who, rate), self._temp[who], dt)
        held_kwh = np.maximum(soc - self._soc0[who], 0.0) * capacity
        self._wear[who] += (self._holding[who] * held_kwh + self._giving[who] * np.maximum(-battery_kw, 0.0)) * dt

    # -- what is wrong -------------------------------------------------------------------------------------------------------

    def _over_limits(self) -> list[Finding]:
        problem = self._problem
        verdict = evaluate(problem, self._power, self._storage)
        forced = float(problem.over_limit_kw @ problem.hours)
        rows = problem.limit_rows
        floors = np.maximum(rows.room_kw - rows.limit_kw, 0.0) @ problem.hours
        on_feeders, on_caps = float(floors[: len(problem.feeders)].sum()), float(floors[len(problem.feeders) :].sum())
        over = {
            "the site's limit": verdict.over_site_limit_kwh - forced,
            "a feeder's limit": verdict.over_feeder_limit_kwh - on_feeders,
            "a limit on several vehicles together": verdict.over_cap_kwh - on_caps,
            "the rating of a charger or battery": verdict.over_rating_kwh,
            "the time in which a vehicle is there": verdict.outside_window_kwh,
            "what may be given back": max(verdict.discharge_kwh, verdict.over_export_limit_kwh),
        }
        play = max(LIMIT_KWH, LIMIT_SHARE * float(np.abs(self._power).sum(axis=0) @ problem.hours))
        found = [(what, kwh) for what, kwh in over.items() if kwh > play]
        return [Finding(Fault.LIMIT, None, kwh, f"the plan passes {what} by {kwh:,.1f} kWh", True) for what, kwh in found]

    def _unserved(self) -> list[Finding]:
        missing = self._need - self._unmet - self._planned
        wrong = np.flatnonzero(missing > SERVED_PLAY * self._need + SERVED_PLAY_KWH)
        return [
            Finding(Fault.SHORT, i, kwh, f"{self._name(i)} is said to be served, and {kwh:,.1f} kWh are not planned", True)
            for i, kwh in _pairs(wrong, missing)
        ]

    def _overfull(self) -> list[Finding]:
        room = (1 - self._soc0 + FULL_PLAY) * self._capacity
        beyond = self._planned - np.maximum(room, 0.0)
        play = SERVED_PLAY * self._need + SERVED_PLAY_KWH
        found = []
        for i, kwh in _pairs(np.flatnonzero(self._known & (beyond > play)), beyond):
            fault = bool(self._planned[i] > self._need[i] + play[i])  # else it was announced to need what does not fit
            text = f"{self._name(i)} would be charged {kwh:,.1f} kWh beyond full" + ("" if fault else ", as announced")
            found.append(Finding(Fault.OVERFULL, i, kwh, text, fault))
        return found

    def _hot(self) -> list[Finding]:
        found = []
        for i, hottest in _pairs(np.flatnonzero(self._known & (self._hottest > self._ceiling)), self._hottest):
            ceiling = float(self._ceiling[i])
            fault = bool(self._rests_at[i] <= ceiling)
            text = f"{self._name(i)} would reach {hottest:.0f} °C, {ceiling:.0f} °C is its ceiling" + ("" if fault else "; at rest, too")
            found.append(Finding(Fault.HOT, i, hottest, text, fault, cap_kw=self._cool_kw(i)))
        return found

    def _cool_kw(self, i: int) -> float:
        """Power that can go on for ever without passing the ceiling, from where the pack is."""
        room_k = max(float(self._ceiling[i] - np.fmax(self._ambient[i], self._begins[i])), 0.0)
        return self._lumps.coolest_c_rate(i, room_k) * float(self._capacity[i] / self._eff[i])

    def _tapered(self) -> list[Finding]:
        """Told, and no veto: no other plan would fill a nearly full pack faster, and the next ones catch up as far as it goes. A plan that
        knows nothing of taper leaves 4 to 12 % of real fleets' energy."""
        room = np.maximum((1 - self._soc0) * self._capacity, 0.0)  # what does not fit is told of as that
        missing = np.where(self._known, np.minimum(self._planned, room) - self._received, 0.0)
        return [
            Finding(Fault.SHORT, i, kwh, f"{self._name(i)} would leave with {kwh:,.1f} kWh less: it is too full for these powers", False)
            for i, kwh in _pairs(np.flatnonzero(missing > 0.05 * self._need + SERVED_PLAY_KWH), missing)
        ]

    def _name(self, i: int) -> str:
        return self._problem.vehicles[i].id


def run(
    problem: Problem,
    power_kw: FloatArray,
    unmet_kwh: FloatArray,
    packs: Sequence[TwinPack | None],
    *,
    lumps_of: LumpsOf,
    storage_kw: FloatArray | None = None,
) -> TwinReport:
    """The whole run at once; arguments as of :class:`Twin`."""
    twin = Twin(problem, power_kw, unmet_kwh, packs, lumps_of=lumps_of, storage_kw=storage_kw)
    deque(twin.steps(problem.n_slots), maxlen=0)
    return twin.report()


def _pairs(places: npt.NDArray[np.intp], amounts: FloatArray) -> list[tuple[int, float]]:
    """(place, amount), the biggest amount first."""
    order = places[np.argsort(-amounts[places], kind="stable")]
    return [(int(i), float(amounts[i])) for i in order]
