"""From log-odds to powers under all limits: the powers nearest to a wish (in relative entropy), by prices that Newton steps find.

    log-odds of the cells --approach()--> a number per vehicle, a price per limit and slot --filled()--> powers that keep every limit
                                          --by_laxity()--> what the rule would do, to be compared with

Everything stands per cell (a vehicle in a slot in which it may charge), not per vehicle and slot, and limits are one sparse matrix
[limit and slot × cell]: a step is a handful of operations on arrays of that length. Nothing here multiplies dense matrices, whose
threads would wait for a busy machine.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from optimizer.problem import EPS, FloatArray, Problem

Cells = npt.NDArray[np.float32]
Index = npt.NDArray[np.intp]

STEP_MOST = 3.0
"""How far a Newton step may go, in log-odds."""

MOST_ODDS = 30.0

FILL_ROUNDS = 24
"""So often what is left over is offered to those who lack energy; mostly two or three rounds suffice."""

FILLED_SHARE = 1e-7
"""Of all energy: filling ends where a round brings less."""


class Projection:
    """x = upper · σ(logit + vehicle's − Σ prices of its limits), beside the floors. ``logits`` [cell], ``cells`` [vehicle × slot]."""

    def __init__(self, problem: Problem, logits: Cells, cells: npt.NDArray[np.bool_]) -> None:
        self._floors, self._hours = problem.lower_kw, problem.hours
        eff = np.array([v.eff for v in problem.vehicles])
        self._need = np.maximum(np.array([v.energy_kwh for v in problem.vehicles]) / eff - self._floors @ problem.hours, 0.0)
        self._vehicle, self._slot = np.nonzero(cells)
        self._upper = np.maximum(problem.upper_kw[cells] - self._floors[cells], 0.0)
        self._cell_h = problem.hours[self._slot]
        self._room = self._upper * self._cell_h
        self._first, self._who = _begins(self._vehicle)
        self._logits = logits
        self._limits = _Limits(problem, self._vehicle, self._slot, self._floors)
        self._limit = self._limits.room_kw.copy()
        self._beside_kw = problem.background_kw + self._floors.sum(axis=0)
        self._prices = np.zeros(len(self._limit), dtype=np.float32)
        self._worth = np.zeros(len(self._need), dtype=np.float32)
        cheapest = np.empty(problem.n_slots, dtype=np.int64)
        cheapest[np.argsort(problem.price_per_kwh, kind="stable")] = np.arange(problem.n_slots)
        self._cheap_first = np.argsort(self._vehicle * problem.n_slots + cheapest[self._slot], kind="stable")
        self._single = self._room.astype(np.float32), self._upper.astype(np.float32)

    @property
    def least_peak_kw(self) -> float:
        """Below this no peak is worth trying: what everybody needs, spread evenly over the time in which anybody is there."""
        anybody = np.zeros(len(self._hours), dtype=bool)
        anybody[self._slot] = True
        spread_kw = float(self._need.sum()) / max(float(self._hours[anybody].sum()), EPS)
        return spread_kw + float(self._beside_kw.min(initial=0.0))

    def lower_peak(self, peak_kw: float) -> None:
        """From now on the site draws at most this, where its limit is not lower."""
        slots = len(self._hours)
        self._limit[:slots] = np.minimum(self._limit[:slots], np.maximum(peak_kw - self._beside_kw, 0.0))

    def approach(self, rounds: int) -> Generator[None, None, None]:
        """Newton steps in turn: everybody's energy, then every limit."""
        room, upper = self._single
        need = np.minimum(self._need[self._who], self._of_vehicles(self._room)).astype(np.float32)
        for _ in range(rounds):
            share = self._share()
            filled = room * share
            missing = need - self._of_vehicles(filled)
            spread = self._of_vehicles(filled * (1 - share))
            self._worth[self._who] += np.clip(missing / np.maximum(spread, 1e-3 * need + 1e-6), -STEP_MOST, STEP_MOST)
            share = self._share()
            power = upper * share
            over, slope = self._limits.sums(power) - self._limit, self._limits.sums(power * (1 - share))
            step = np.clip(over / np.maximum(slope, 1e-3 * self._limit + 1e-6), -STEP_MOST, STEP_MOST)
            self._prices = np.maximum(self._prices + step, 0.0).astype(np.float32)
            yield

    def filled(self) -> FloatArray:
        """[vehicle × slot] that keeps every limit: too much is scaled down, and who lacks energy gets what is left, the cheapest slots
        first; of what several would take, each the same share."""
        power: FloatArray = self._upper * self._share()
        drawn = np.maximum(self._of_vehicles(power * self._cell_h), EPS)
        fits = np.ones(len(self._need))
        fits[self._who] = np.minimum(1.0, self._need[self._who] / drawn)
        power *= fits[self._vehicle]
        power *= self._limits.least(np.minimum(1.0, self._limit / np.maximum(self._limits.sums(power), EPS)))
        enough = FILLED_SHARE * max(float(self._need.sum()), EPS)
        for _ in range(FILL_ROUNDS):
            more = self._offered(power)
            power += more
            if float(more @ self._cell_h) <= enough:
                break
        return self._dense(power)

    def by_laxity(self) -> FloatArray:
        """[vehicle × slot]: who has the least time to spare first, as far as it fits, slot after slot: the rule, for where the net does
        no better. Under the limits as they are, whatever peak was tried."""
        given = np.zeros(len(self._upper))
        left = self._need.copy()
        slots = len(self._hours)
        by_slot = np.argsort(self._slot, kind="stable")
        edges = np.searchsorted(self._slot[by_slot], np.arange(slots + 1))
        rating, ends = np.full(len(left), EPS), np.full(len(left), -1)
        if len(self._first):
            rating[self._who] = np.maximum(np.maximum.reduceat(self._upper, self._first), EPS)
            ends[self._who] = np.maximum.reduceat(np.where(self._upper > 0, self._slot, -1), self._first)
        stands_h = np.concatenate(([0.0], np.cumsum(self._hours)))
        for slot in range(slots):
            cells = by_slot[edges[slot] : edges[slot + 1]]
            cells = cells[left[self._vehicle[cells]] > EPS]
            if not len(cells):
                continue
            who = self._vehicle[cells]
            laxity_h = stands_h[ends[who] + 1] - stands_h[slot] - left[who] / rating[who]
            wanted = np.minimum(self._upper[cells], left[who] / self._hours[slot])
            given[cells] = self._limits.in_order(who, wanted, laxity_h, slot)
            left[who] -= given[cells] * self._hours[slot]
        return self._dense(given)

    def _offered(self, power: FloatArray) -> FloatArray:
        """[cell] what those who lack energy may have beside ``power``."""
        wanted = np.zeros(len(power))
        missing = self._need.copy()
        missing[self._who] -= self._of_vehicles(power * self._cell_h)
        cells = self._cheap_first[(missing[self._vehicle] > EPS)[self._cheap_first]]  # by vehicle, its cheapest slots first
        if not len(cells):
            return wanted
        left = np.maximum(self._limit - self._limits.sums(power), 0.0)
        could = np.minimum(self._upper[cells] - power[cells], self._limits.least(left, cells, weighted=True))
        cells, could = cells[could > EPS], could[could > EPS]
        if not len(cells):
            return wanted
        whose, hours = self._vehicle[cells], self._cell_h[cells]
        kwh = could * hours
        before = np.cumsum(kwh) - kwh
        first = np.searchsorted(whose, whose)
        given = np.clip(missing[whose] - (before - before[first]), 0.0, kwh) / hours
        wanted[cells] = given
        fits = np.clip(left / np.maximum(self._limits.sums(wanted), EPS), 0.0, 1.0)
        wanted[cells] = given * self._limits.least(fits, cells)
        return wanted

    def _share(self) -> Cells:
        odds = self._logits + self._worth[self._vehicle] - self._limits.of_cells(self._prices)
        np.clip(odds, -MOST_ODDS, MOST_ODDS, out=odds)
        np.exp(-odds, out=odds)
        odds += np.float32(1.0)
        share: Cells = np.reciprocal(odds, out=odds)
        return share

    def _of_vehicles(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Sums by vehicle, of those that have cells."""
        sums: npt.NDArray[np.floating] = np.add.reduceat(values, self._first) if len(self._first) else values[:0]
        return sums

    def _dense(self, power: FloatArray) -> FloatArray:
        found = self._floors.copy()
        found[self._vehicle, self._slot] += power
        return found


class _Limits:
    """All limits: the site's, feeders' and caps', each in each slot, in this order. ``room_kw`` [limit · slot] beside the floors. A cap's
    negative weights are left out: what others draw makes no room."""

    def __init__(self, problem: Problem, vehicle: Index, slot: Index, floors: FloatArray) -> None:
        rows, slots, count = problem.limit_rows, problem.n_slots, len(problem.vehicles)
        counts = rows.weight > 0
        row, whose, weight = rows.row[counts] + 1, rows.vehicle[counts], rows.weight[counts]
        row = np.concatenate((np.zeros(count, dtype=np.intp), row))
        whose = np.concatenate((np.arange(count), whose))
        weight = np.concatenate((np.ones(count), weight))
        order = np.argsort(whose, kind="stable")  # the site first, then rows as they come: feeders before caps
        self._row, self._weight = row[order], weight[order]
        self._starts = np.concatenate(([0], np.cumsum(np.bincount(whose, minlength=count)))).astype(np.intp)
        limits = np.concatenate((problem.room_kw[None, :], np.maximum(rows.room_kw, 0.0)))
        held = np.zeros_like(limits)
        entry_of = np.repeat(np.arange(count), np.diff(self._starts))
        if floors.any():
            np.add.at(held, self._row, self._weight[:, None] * floors[entry_of])
        self._most = np.maximum(limits - held, 0.0)
        self.room_kw: FloatArray = self._most.ravel()
        entries, edges = _spread(self._starts, vehicle)
        where = (self._row[entries] * slots + np.repeat(slot, np.diff(edges))).astype(np.int32)
        shape = (len(vehicle), len(self.room_kw))
        self._by_cell = csr_array((self._weight[entries].astype(np.float32), where, edges.astype(np.int32)), shape=shape)
        self._by_limit = self._by_cell.T.tocsr()
        self._exact = csr_array((self._by_limit.data.astype(np.float64), self._by_limit.indices, self._by_limit.indptr), shape=shape[::-1])

    def sums(self, power: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """[limit · slot] what is drawn."""
        found: npt.NDArray[np.floating] = (self._by_limit if power.dtype == np.float32 else self._exact) @ power
        return found

    def of_cells(self, prices: Cells) -> Cells:
        """[cell] what its limits cost together."""
        found: Cells = self._by_cell @ prices
        return found

    def least(self, values: FloatArray, cells: Index | None = None, *, weighted: bool = False) -> FloatArray:
        """The least of the limits' values, of each of ``cells`` (None: of all); ``weighted``: what it may draw of that."""
        begins = self._by_cell.indptr
        if not len(begins[:-1] if cells is None else cells):
            return np.zeros(0)
        entries, edges = (slice(None), begins) if cells is None else _spread(begins, cells)
        its = values[self._by_cell.indices[entries]]
        if weighted:
            its = its / self._by_cell.data[entries]
        found: FloatArray = np.minimum.reduceat(its, edges[:-1])
        return found

    def in_order(self, who: Index, power: FloatArray, rank: FloatArray, slot: int) -> FloatArray:
        """[some vehicle] as much of ``power`` as the limits take in a slot, the least ``rank`` first: caps and feeders before the site, so
        that what they do not take is left for others."""
        entries, edges = _spread(self._starts, who)
        place, row, weight = np.repeat(np.arange(len(who)), np.diff(edges)), self._row[entries], self._weight[entries]
        limit = self._most[:, slot]
        asked = np.bincount(row, weight * power[place], minlength=len(limit))
        for tight in np.flatnonzero(asked > limit)[::-1]:
            its = np.flatnonzero(row == tight)
            members, counts = place[its], weight[its]
            order = np.argsort(rank[members], kind="stable")
            members, counts = members[order], counts[order]
            drawn = counts * power[members]
            before = np.cumsum(drawn) - drawn
            power[members] = np.minimum(power[members], np.maximum(limit[tight] - before, 0.0) / counts)
        return power


def _begins(sorted_ids: Index) -> tuple[Index, Index]:
    """Where each of the sorted ids begins, and which they are."""
    which, first = np.unique(sorted_ids, return_index=True)
    return first.astype(np.intp), which.astype(np.intp)


def _spread(starts: Index, of: Index) -> tuple[Index, Index]:
    """The entries of each of ``of`` (by vehicle, between ``starts``), one after the other, and where each one's begin and end."""
    lengths = starts[of + 1] - starts[of]
    edges = np.concatenate(([0], np.cumsum(lengths)))
    return np.repeat(starts[of] - edges[:-1], lengths) + np.arange(edges[-1]), edges
