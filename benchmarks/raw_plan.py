"""The planning model once more, from its formulas alone: numpy arrays and HiGHS, nothing of ``optimizer``. The yardstick.

    Depot.read(scenario) --write()--> Arrays --solve()--> powers, objective        (the relaxed model)
                                              --solve_whole()-->                   (powers of the first hour 0 or ≥ the minimum)

    minimise  Σ cost·p + Σ penalty·unmet + charge·peak + Σ price·h·imported − Σ paid·h·exported
    energy    eff_i · Σ_k h_k · p[i,k] + unmet[i] = need_i
    total     Σ_i p[i,k] = total[k] ≤ what the limit leaves
    feeder    Σ_{i on f} p[i,k] ≤ limit_f,k
    peak      mean of total over each demand block + mean background ≤ peak
    import    total[k] + exported[k] + background_k ≤ imported[k], where the sun may give more than is drawn

The matrix is laid out by columns at once, without sorting; HiGHS gets the options that the optimizer gives it. ``Ticker``
plans again from the old basis, which it keeps by vehicle and by the clock. Floors, stationary batteries, what vehicles give
and demand pieces are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Any, Protocol

import highspy
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

OPTIONS: dict[str, bool | int | str] = {"output_flag": False, "solver": "simplex", "presolve": "off", "threads": 1}
STATUSES = np.array([highspy.HighsBasisStatus(code) for code in range(5)], dtype=object)
LOWER, BASIC, UPPER = 0, 1, 2


@dataclass(eq=False, slots=True)
class Depot:
    """A scenario as arrays: of vehicles [N], of slots [S], of feeders [F × S]."""

    ids: list[str]
    arrival: Ints
    departure: Ints
    need: Floats
    rating: Floats
    least: Floats
    eff: Floats
    feeder: Ints
    priority: Ints
    hours: Floats
    price: Floats
    paid: Floats
    limit: Floats
    background: Floats
    feeder_limit: Floats
    block: Ints
    charge: float
    recorded: float
    slot_h: float

    @classmethod
    def read(cls, scenario: Mapping[str, Any]) -> Depot:
        """Of a parsed scenario file."""
        slots, minutes = int(scenario["n_slots"]), float(scenario["slot_minutes"])
        vehicles, site, tariff = scenario["vehicles"], scenario["site"], scenario["tariff"]
        t0 = datetime.fromisoformat(scenario["t0"])
        interval = max(1, round(tariff.get("demand_interval_min", minutes) / minutes))
        past = round(((t0.hour * 60 + t0.minute) % (interval * minutes)) / minutes)
        every = np.ones(slots)
        price = np.array(tariff["energy_per_kwh"], dtype=float)
        limits = [np.asarray(f["limit_kw"]) * every for f in site.get("feeders", [])]

        def of(name: str, default: float | None = None) -> Floats:
            return np.array([v[name] if default is None else v.get(name, default) for v in vehicles], dtype=float)

        return cls(
            ids=[v["id"] for v in vehicles],
            arrival=of("arrival_slot").astype(np.int32),
            departure=of("departure_slot").astype(np.int32),
            need=of("energy_kwh"),
            rating=of("p_max_kw"),
            least=of("p_min_kw", 0.0),
            eff=of("eff"),
            feeder=np.array([-1 if v.get("feeder") is None else v["feeder"] for v in vehicles], dtype=np.int32),
            priority=of("priority", 0).astype(np.int32),
            hours=every * minutes / 60,
            price=price,
            paid=np.minimum(tariff.get("export_per_kwh", 0.0) * every, np.maximum(price, 0.0)),
            limit=np.asarray(site["limit_kw"]) * every,
            background=np.array(site["base_load_kw"], dtype=float) - np.array(site["pv_kw"], dtype=float),
            feeder_limit=np.array(limits, dtype=float).reshape(len(limits), slots),
            block=((np.arange(slots) + past) // interval).astype(np.int32),
            charge=float(tariff.get("demand_charge_per_kw_horizon", 0.0)),
            recorded=float(site.get("mtd_peak_kw", 0.0)),
            slot_h=minutes / 60,
        )


@dataclass(eq=False, slots=True)
class Arrays:
    """What HiGHS gets, and which columns and rows are what. ``free_cost``: a peak that is paid anyway."""

    cost: Floats
    lower: Floats
    upper: Floats
    row_lower: Floats
    row_upper: Floats
    starts: Ints
    rows: Ints
    values: Floats
    vehicle: Ints
    slot: Ints
    needy: Ints
    slots: Ints
    feeder_rows: tuple[Ints, Ints]
    blocks: Ints
    sunny: Ints
    sold: Ints
    free_cost: float


def write(depot: Depot) -> Arrays:
    """The relaxed model."""
    n, slots = len(depot.ids), np.arange(len(depot.hours))
    there = (depot.arrival[:, None] <= slots) & (slots < depot.departure[:, None]) & ((depot.need > 0) & (depot.rating > 0))[:, None]
    vehicle, slot = (index.astype(np.int32) for index in np.nonzero(there))
    needy = np.flatnonzero(depot.need > 0).astype(np.int32)
    used = np.flatnonzero(there.any(axis=0)).astype(np.int32)
    place = np.zeros(n, dtype=np.int32)
    place[needy] = np.arange(len(needy))
    of_slot = np.zeros(len(slots), dtype=np.int32)
    of_slot[used] = np.arange(len(used))

    background = np.bincount(depot.block, depot.background * depot.hours) / np.bincount(depot.block, depot.hours)
    free = max(float(background.max()), depot.recorded, 0.0)
    scale = float(np.abs(depot.price).mean()) or 1.0
    sunny = used[(depot.price[used] > 0) & (depot.background[used] < 0)]
    sold = sunny[depot.paid[sunny] > 0]
    moved = np.zeros(len(slots), dtype=bool)
    moved[sunny] = True
    waits = np.maximum(depot.departure[:, None] - slots, 0) * depot.slot_h * (7e-4 * scale)
    cell_cost = (np.where(moved, 0.0, depot.price) + waits) * depot.hours
    most = float(np.abs(depot.price).max()) + depot.charge / depot.slot_h + float(waits.max(initial=0.0))
    rank = np.minimum(np.unique(depot.priority, return_inverse=True)[1], 8)
    penalty = 6.0 * max(most, 1e-9) / depot.eff * (1 + 0.2 * rank)

    m, t = len(needy), len(used)
    on = depot.feeder >= 0
    drawn = np.zeros_like(depot.feeder_limit)
    for f in range(len(drawn)):
        its = depot.feeder == f
        drawn[f] = depot.rating[its] @ there[its]
    tight = drawn > depot.feeder_limit
    number = np.cumsum(tight.ravel()).reshape(tight.shape) - 1
    bound = on[vehicle]
    bound[bound] = tight[depot.feeder[vehicle[bound]], slot[bound]]
    blocks = np.unique(depot.block[used]) if depot.charge else np.zeros(0, dtype=np.int32)
    first_feeder, first_block = m + t, m + t + int(tight.sum())
    first_import = first_block + len(blocks)
    height = first_import + len(sunny)

    cells = len(vehicle)
    counts = np.full(cells + m, 2, dtype=np.int32)
    counts[:cells] += bound
    counts[cells:] = 1
    in_import = np.zeros(len(slots), dtype=bool)
    in_import[sunny] = True
    counts = np.concatenate([counts, 1 + np.full(t, bool(len(blocks))) + in_import[used], [len(blocks)] * bool(len(blocks))])
    counts = np.concatenate([counts, np.ones(len(sunny) + len(sold))]).astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    rows, values = np.empty(starts[-1], dtype=np.int32), np.ones(starts[-1])

    at = starts[:cells]
    rows[at], values[at] = place[vehicle], depot.eff[vehicle] * depot.hours[slot]
    rows[at + 1] = m + of_slot[slot]
    rows[at[bound] + 2] = first_feeder + number[depot.feeder[vehicle[bound]], slot[bound]]
    rows[starts[cells : cells + m]] = np.arange(m)
    at = starts[cells + m : cells + m + t]
    rows[at], values[at] = m + np.arange(t), -1.0
    if len(blocks):
        share = depot.hours / np.bincount(depot.block, depot.hours)[depot.block]
        rows[at + 1], values[at + 1] = first_block + np.searchsorted(blocks, depot.block[used]), share[used]
        peak = starts[cells + m + t]
        rows[peak : peak + len(blocks)], values[peak : peak + len(blocks)] = first_block + np.arange(len(blocks)), -1.0
    lit = in_import[used]
    rows[at[lit] + 1 + bool(len(blocks))] = first_import + np.arange(len(sunny))
    at = starts[len(starts) - 1 - len(sunny) - len(sold) : -1]
    rows[at[: len(sunny)]], values[at[: len(sunny)]] = first_import + np.arange(len(sunny)), -1.0
    rows[at[len(sunny) :]] = first_import + np.searchsorted(sunny, sold)

    one = [1.0] * bool(len(blocks))
    room = np.maximum(depot.limit - depot.background, 0.0)[used]
    peaks = -background[blocks]
    return Arrays(
        cost=np.concatenate(
            [
                cell_cost[vehicle, slot],
                penalty[needy],
                np.zeros(t),
                np.array(one) * depot.charge,
                (depot.price * depot.hours)[sunny],
                -(depot.paid * depot.hours)[sold],
            ]
        ),
        lower=np.concatenate([np.zeros(cells + m + t), np.array(one) * free, np.zeros(len(sunny) + len(sold))]),
        upper=np.concatenate([depot.rating[vehicle], np.full(m, np.inf), room, np.full(len(one) + len(sunny) + len(sold), np.inf)]),
        row_lower=np.concatenate([depot.need[needy], np.zeros(t), np.full(height - m - t, -np.inf)]),
        row_upper=np.concatenate([depot.need[needy], np.zeros(t), depot.feeder_limit[tight], peaks, -depot.background[sunny]]),
        starts=starts,
        rows=rows,
        values=values,
        vehicle=vehicle,
        slot=slot,
        needy=needy,
        slots=used,
        feeder_rows=tuple(index.astype(np.int32) for index in np.nonzero(tight)),  # type: ignore[arg-type]  # two of them
        blocks=blocks.astype(np.int32),
        sunny=sunny,
        sold=sold,
        free_cost=depot.charge * free if len(blocks) else 0.0,
    )


@dataclass(eq=False, slots=True)
class Solved:
    """``power`` [N × S] kW; ``objective``: without the peak that is paid anyway."""

    power: Floats
    objective: float
    seconds: float


class Model(Protocol):
    """Finished arrays, by columns."""

    @property
    def cost(self) -> Floats: ...
    @property
    def lower(self) -> Floats: ...
    @property
    def upper(self) -> Floats: ...
    @property
    def row_lower(self) -> Floats: ...
    @property
    def row_upper(self) -> Floats: ...
    @property
    def starts(self) -> Ints: ...
    @property
    def rows(self) -> Ints: ...
    @property
    def values(self) -> Floats: ...


def model_of(arrays: Model) -> Any:
    """HiGHS with the model in it."""
    highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    for option, value in OPTIONS.items():
        highs.setOptionValue(option, value)
    columns, rows = len(arrays.cost), len(arrays.row_lower)
    highs.passModel(  # whole arrays: an HighsLp would take them number by number
        *(columns, rows, len(arrays.values), int(highspy.MatrixFormat.kColwise), int(highspy.ObjSense.kMinimize), 0.0),
        *(arrays.cost, arrays.lower, arrays.upper, arrays.row_lower, arrays.row_upper),
        *(arrays.starts, arrays.rows, arrays.values, np.zeros(columns, dtype=np.int32)),
    )
    return highs


def solve(depot: Depot) -> Solved:
    """From nothing."""
    began = perf_counter()
    arrays = write(depot)
    highs = model_of(arrays)
    highs.run()
    return _answer(depot, arrays, highs, began)


def _answer(depot: Depot, arrays: Arrays, highs: Any, began: float) -> Solved:
    if highs.getModelStatus() not in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kModelEmpty):  # empty: all have left
        raise RuntimeError(f"raw model: {highs.modelStatusToString(highs.getModelStatus())}")
    columns = np.array(highs.getSolution().col_value)
    power = np.zeros((len(depot.ids), len(depot.hours)))
    power[arrays.vehicle, arrays.slot] = columns[: len(arrays.vehicle)]
    return Solved(power, float(arrays.cost @ columns) - arrays.free_cost, perf_counter() - began)


def begin(highs: Any, arrays: Arrays, columns: npt.NDArray[np.int8], rows: npt.NDArray[np.int8]) -> None:
    """Set an old basis. HiGHS repairs one that has too few or too many columns; columns whose reduced costs have the wrong sign are
    put to their other bound, as else HiGHS would begin with none at its upper one."""
    for _ in range(2):
        basis = highspy.HighsBasis()
        basis.col_status, basis.row_status = STATUSES[columns].tolist(), STATUSES[rows].tolist()
        basis.valid = True
        basis.alien = int((columns == BASIC).sum() + (rows == BASIC).sum()) != len(rows)
        highs.setBasis(basis)
        status, found = highs.getBasicVariables()
        if status != highspy.HighsStatus.kOk:
            return
        basic = np.array(found, dtype=np.int64)
        columns, rows = np.where(columns == BASIC, LOWER, columns), np.where(rows == BASIC, LOWER, rows)
        columns[basic[basic >= 0]] = BASIC
        rows[-1 - basic[basic < 0]] = BASIC
        duals = highs.getBasisTransposeSolve(np.where(basic >= 0, arrays.cost[np.maximum(basic, 0)], 0.0))[1]
        summed = np.concatenate([[0.0], np.cumsum(arrays.values * np.array(duals)[arrays.rows])])
        reduced = arrays.cost - np.diff(summed[arrays.starts])
        up = (columns == LOWER) & (reduced < -1e-9) & np.isfinite(arrays.upper)
        down = (columns == UPPER) & (reduced > 1e-9)
        columns = np.where(up, UPPER, np.where(down, LOWER, columns))


class Ticker:
    """Plans one after another, each begun at the last one's basis. Statuses are kept in tables by vehicle and by slot of the clock;
    ``clock``: how many slots have passed since the first plan."""

    def __init__(self, most_vehicles: int, most_slots: int, most_feeders: int) -> None:
        self._place: dict[str, int] = {}
        self._cells = np.zeros((most_vehicles, most_slots), dtype=np.int8)
        self._unmet = np.zeros(most_vehicles, dtype=np.int8)
        self._energy = np.full(most_vehicles, BASIC, dtype=np.int8)
        self._total = np.zeros(most_slots, dtype=np.int8)
        self._totals = np.full(most_slots, BASIC, dtype=np.int8)
        self._feeders = np.full((most_feeders, most_slots), BASIC, dtype=np.int8)
        self._blocks = np.full(most_slots, BASIC, dtype=np.int8)
        self._rest = np.zeros(1, dtype=np.int8)
        self._warm = False

    def solve(self, depot: Depot, clock: int) -> Solved:
        """The plan of this tick; ``depot`` begins at ``clock``. For depots without sun."""
        began = perf_counter()
        arrays = write(depot)
        highs = model_of(arrays)
        who = np.array([self._place.setdefault(name, len(self._place)) for name in depot.ids], dtype=np.int32)
        cells, needy, slots = (who[arrays.vehicle], arrays.slot + clock), who[arrays.needy], arrays.slots + clock
        feeders, blocks = (arrays.feeder_rows[0], arrays.feeder_rows[1] + clock), arrays.blocks + (clock - int(depot.block[0]))
        if self._warm:
            columns = np.concatenate([self._cells[cells], self._unmet[needy], self._total[slots], self._rest[: bool(len(blocks))]])
            rows = np.concatenate([self._energy[needy], self._totals[slots], self._feeders[feeders], self._blocks[blocks]])
            begin(highs, arrays, columns, rows)
        highs.run()
        answer = _answer(depot, arrays, highs, began)
        values = np.array(highs.getSolution().col_value)
        columns = np.where(np.abs(values - arrays.upper) < np.abs(values - arrays.lower), UPPER, LOWER).astype(np.int8)
        rows = np.where(np.isinf(arrays.row_lower), UPPER, LOWER).astype(np.int8)
        basic = np.array(highs.getBasicVariables()[1])
        columns[basic[basic >= 0]] = BASIC
        rows[-1 - basic[basic < 0]] = BASIC
        edges = np.cumsum([len(arrays.vehicle), len(needy), len(slots)])
        self._cells[cells], self._unmet[needy], self._total[slots], self._rest = np.split(columns, edges)
        edges = np.cumsum([len(needy), len(slots), len(feeders[0])])
        self._energy[needy], self._totals[slots], self._feeders[feeders], self._blocks[blocks] = np.split(rows, edges)
        self._warm = True
        answer.seconds = perf_counter() - began
        return answer


def solve_whole(
    depot: Depot, *, seconds: float, gap: float = 1e-4, everywhere: bool = False, most_missing: Floats | None = None
) -> Solved | None:
    """With powers of the cells that begin within an hour (``everywhere``: of all) either 0 or at least the minimum; None where that does
    not close in time, or cannot be. ``most_missing`` [N]: kWh that may be missing, so that nobody goes short for a minimum."""
    began = perf_counter()
    arrays = write(depot)
    starts_h = np.concatenate([[0.0], np.cumsum(depot.hours)[:-1]])
    least = depot.least[arrays.vehicle]
    soon = np.flatnonzero(((starts_h[arrays.slot] < 1 - 1e-9) | everywhere) & (least > 0) & (depot.rating[arrays.vehicle] >= least))
    highs = model_of(arrays)
    highs.setOptionValue("solver", "choose")
    highs.setOptionValue("presolve", "on")
    highs.setOptionValue("time_limit", seconds)
    highs.setOptionValue("mip_rel_gap", gap)
    first = len(arrays.cost)
    if most_missing is not None:
        cells, count = len(arrays.vehicle), len(arrays.needy)
        columns = np.arange(cells, cells + count, dtype=np.int32)
        highs.changeColsBounds(count, columns, np.zeros(count), most_missing[arrays.needy])
    for k, cell in enumerate(soon.tolist()):
        highs.addCol(0.0, 0.0, 1.0, 0, np.zeros(0, dtype=np.int32), np.zeros(0))
        highs.changeColIntegrality(first + k, highspy.HighsVarType.kInteger)
        pair = np.array([cell, first + k], dtype=np.int32)
        highs.addRow(-np.inf, 0.0, 2, pair, np.array([1.0, -depot.rating[arrays.vehicle[cell]]]))
        highs.addRow(0.0, np.inf, 2, pair, np.array([1.0, -least[cell]]))
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    columns = np.array(highs.getSolution().col_value)[:first]
    power = np.zeros((len(depot.ids), len(depot.hours)))
    power[arrays.vehicle, arrays.slot] = columns[: len(arrays.vehicle)]
    return Solved(power, float(arrays.cost @ columns) - arrays.free_cost, perf_counter() - began)


def objective_of(depot: Depot, power: Floats) -> float:
    """What the model says of any powers [N × S]: prices, waiting, missing energy, the peak above what is free. Not the limits."""
    arrays = write(depot)
    cells = len(arrays.vehicle)
    site = power.sum(axis=0) + depot.background
    energy = float(arrays.cost[:cells] @ power[arrays.vehicle, arrays.slot])
    missing = np.maximum(depot.need - (power @ depot.hours) * depot.eff, 0.0)[arrays.needy]
    unmet = float(arrays.cost[cells : cells + len(arrays.needy)] @ missing)
    imported = float((depot.price * depot.hours)[arrays.sunny] @ np.maximum(site, 0.0)[arrays.sunny])
    sold = float((depot.paid * depot.hours)[arrays.sold] @ np.maximum(-site, 0.0)[arrays.sold])
    peak = float((np.bincount(depot.block, site * depot.hours) / np.bincount(depot.block, depot.hours))[arrays.blocks].max(initial=0.0))
    free = arrays.free_cost / depot.charge if depot.charge else 0.0
    return energy + unmet + imported - sold + depot.charge * max(0.0, peak - free)
