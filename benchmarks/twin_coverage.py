"""Does what happened lie within the twin's P10 to P90? Measured cells of makes that the judged spread does not know.

    python -m benchmarks.twin_coverage --data DIR [--json FILE]

Every make is left out once: the spread (factors, exponents, bends, drift) is learned from the others, then its cells are run. *Blind*:
nothing is known of the cell but its chemistry. *Told*: half of its loss, when and how it came (stored cells: two years). Cells stored for
years: health after five. Cycled cells: full cycles until the least of 80, 85, 90 % that four fifths of their kind reached. Kinds and
treatments count alike. Misses and widths (P90 by P10) are of what was still to come.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.twin_cells import Cycled, Floats, Stored, cycled, stored
from benchmarks.twin_spread import NORMAL, Drift, Evidence, drift_of, evidence, learned
from bms_bridge.twin.ageing import ageing_of
from bms_bridge.twin.day import DAYS_PER_YEAR
from bms_bridge.twin.duty import Duty
from bms_bridge.twin.members import Pack, Spread
from bms_bridge.twin.years import outlook

STORED_YEARS, TOLD_YEARS = 5, 2
TARGETS = (0.8, 0.85, 0.9)
REACHED = 0.8
CYCLED_YEARS = 2
TOLD_SD = 0.005
MOST_LOSS = 0.7
"""The twin tells nothing below 30 %: a cell that lost more counts as one that lost so much."""

MOST_CYCLES = 50_000.0
"""What stands for "not within the run"."""

MOST_A_TREATMENT = 8
"""Cells of one treatment that are run: more of them would say the same."""

STEPS_A_MONTH = 30
FULL_H, PAUSE_H = 1.25, 0.05


@dataclass(frozen=True, slots=True)
class Judged:
    """One kind under one treatment. Quantities: loss after :data:`STORED_YEARS` years, or full cycles to ``target``. ``miss``: median of
    |P50 less measured| by what was to come; ``width``: P90 by P10 of it. ``pace``: of each told cell, the logarithm of how fast it went on
    to how fast P50 does; ``own_sigma``: how far the members themselves differ in that, from P50 to the faster end."""

    make: str
    kind: str
    what: str
    told: bool
    cells: int
    target: float
    measured: float
    p10: float
    p50: float
    p90: float
    inside: float
    miss: float
    width: float
    c_rate: float
    pace: tuple[float, ...] = ()
    own_sigma: float = 0.0


@dataclass(frozen=True, eq=False, slots=True)
class _Asked:
    """A treatment: what the twin is asked, and what happened."""

    kind: str
    what: str
    target: float
    measured: Floats
    packs: list[Pack]
    done: Floats
    duty: Duty
    family: str


def judged(cells: Sequence[Stored | Cycled], spread: Mapping[str, Spread], *, told: bool) -> list[Judged]:
    """Each treatment of each kind; cells of one make, stored or cycled."""
    groups: dict[tuple[str, float, float], list[Stored | Cycled]] = defaultdict(list)
    for one in cells:
        groups[one.treated].append(one)
    asked = [found for key in sorted(groups) if (found := _asked(groups[key], told)) is not None]
    if not asked:
        return []
    packs = [pack for one in asked for pack in one.packs]
    duties = [one.duty for one in asked for _ in one.packs]
    still = asked[0].target == 0
    years = (STORED_YEARS - TOLD_YEARS if told else STORED_YEARS) if still else CYCLED_YEARS
    run = outlook(packs, duties, years=years, ends=TARGETS, steps_a_month=1 if still else STEPS_A_MONTH, spread=spread)
    rows, first = [], 0
    for one in asked:
        own = slice(first, first + len(one.packs))
        first += len(one.packs)
        if still:
            said = np.minimum(1 - run.health[own, -1, ::-1], MOST_LOSS)
        else:
            said = run.cycles_to[own, TARGETS.index(one.target)] + one.done[:, None]
        rows.append(_row(cells[0].make, one, told, np.minimum(said, MOST_CYCLES)))
    return rows


def _asked(cells: Sequence[Stored | Cycled], told: bool) -> _Asked | None:
    still = [one for one in cells if isinstance(one, Stored)][:MOST_A_TREATMENT]
    return _stored(still, told) if still else _cycled([one for one in cells if isinstance(one, Cycled)], told)


def _stored(cells: list[Stored], told: bool) -> _Asked:
    first = cells[0]
    duty = Duty("stored", ((24.0, 0.0),), ambient_c=(first.temp_c,), top_soc=first.soc, floor_soc=0.0)
    pack = Pack("cell", first.family, 1.0, soh_sd=0.0)
    packs = [pack]
    if told:
        packs = [
            replace(pack, soh=1 - one.lost(TOLD_YEARS), soh_sd=TOLD_SD, age_years=TOLD_YEARS, full_cycles=0.0, past_c=one.temp_c,
                    past_soc=one.soc, past_told=True)
            for one in cells
        ]  # fmt: skip
    done = np.array([1 - pack.soh for pack in packs])
    late = np.minimum([one.lost(STORED_YEARS) for one in cells], MOST_LOSS)
    return _Asked(first.kind, f"stored, {first.temp_c:g} °C, {first.soc:.0%}", 0.0, late, packs, done, duty, first.family)


def _cycled(cells: list[Cycled], told: bool) -> _Asked | None:
    first = cells[0]
    target = next((end for end in TARGETS if np.mean([one.until(end) < math.inf for one in cells]) >= REACHED), None)
    if target is None:
        return None
    reached = [one for one in cells if one.until(target) < math.inf][:MOST_A_TREATMENT]
    duty = cycling(first)
    pack = Pack("cell", first.family, 1.0, soh_sd=0.0)
    packs, done, known = [pack], np.zeros(1), (1 + target) / 2
    a_day = sum(hours * rate for hours, rate in duty.power if rate > 0)
    if told:
        done = np.array([one.until(known) for one in reached])
        packs = [
            replace(pack, soh=known, soh_sd=TOLD_SD, age_years=float(n) / a_day / DAYS_PER_YEAR, full_cycles=float(n), past_c=one.temp_c,
                    past_soc=0.5, past_depth=0.9, past_c_rate=one.c_rate, past_told=True)
            for one, n in zip(reached, done, strict=True)
        ]  # fmt: skip
    until = np.array([one.until(target) for one in reached])
    return _Asked(first.kind, f"cycled, {first.temp_c:g} °C, {first.c_rate:g} C", target, until, packs, done, duty, first.family)


def cycling(one: Cycled) -> Duty:
    """From full to empty and back as often as its rate allows, in a chamber; at most every two hours."""
    charge_h, rest = min(FULL_H / one.c_rate, 10.0), 1.0
    count = max(1, math.floor(24 / max(charge_h + 1.1 + 2 * PAUSE_H, 2.0)))
    part = ((charge_h, min(one.c_rate, 6.0)), (PAUSE_H, 0.0), (1.1, -1.0))
    rest = 24 / count - sum(hours for hours, _ in part)
    return Duty("cycled", ((*part, (rest, 0.0)) * count), ambient_c=(one.temp_c,), cooled_c=one.temp_c, top_soc=1.0, floor_soc=0.0)


def _row(make: str, one: _Asked, told: bool, said: Floats) -> Judged:
    """``said`` [cell or 1, P10 to P90 of the quantity]."""
    measured = one.measured
    inside = (said[:, 0] <= measured) & (measured <= said[:, 2])
    known = one.done if told else np.zeros(1)
    miss = np.abs(said[:, 1] - measured) / (measured - known)
    low, mid, high = (float(np.median(said[:, k])) for k in range(3))
    width = float(np.median((said[:, 2] - known) / np.maximum(said[:, 0] - known, 1e-9)))
    count, middle = len(measured), float(np.median(measured))
    fast = 0 if one.target else 2
    own = np.median(np.abs(_pace(one, said[:, 1]) - _pace(one, said[:, fast]))) / NORMAL if told else 0.0
    pace = tuple(float(value) for value in _pace(one, said[:, 1])) if told else ()
    return Judged(
        make,
        one.kind,
        one.what,
        told,
        count,
        one.target,
        middle,
        low,
        mid,
        high,
        float(inside.mean()),
        float(np.median(miss)),
        width,
        one.duty.charge_c_rate,
        pace,
        float(own),
    )


def _pace(one: _Asked, middle: Floats) -> Floats:
    """[cell]: of cycles directly, of losses by time through the exponent of the table."""
    if one.target:
        found: Floats = np.log(np.maximum(middle - one.done, 1.0) / np.maximum(one.measured - one.done, 1.0))
        return found
    power = 1 / float(ageing_of([one.family]).time_exponent[0])
    went, said = (np.maximum(np.power(lost, power) - np.power(one.done, power), 1e-6) for lost in (one.measured, middle))
    paced: Floats = np.log(went / said)
    return paced


def inside_by_make(rows: Sequence[Judged]) -> dict[str, float]:
    """Mean share inside over treatments."""
    makes = sorted({row.make for row in rows})
    return {make: float(np.mean([row.inside for row in rows if row.make == make])) for make in makes}


def drifts(cells: Sequence[Stored | Cycled], known: Evidence, *, without: str = "") -> dict[str, Drift]:
    """How fast told cells go on beside P50: each make judged by a spread that knows neither it nor ``without``; of time by cells that were
    stored, of cycles by cells that were cycled, there by the rate of charging."""
    paces: dict[str, dict[str, list[tuple[float, tuple[float, ...], float]]]] = {"time": {}, "cycles": {}}
    for make in sorted({one.make for one in cells} - {without}):
        own = [one for one in cells if one.make == make]
        rows = judged(own, learned(known, without=(make, without)), told=True)
        paces["time" if isinstance(own[0], Stored) else "cycles"][make] = [(row.c_rate, row.pace, row.own_sigma) for row in rows]
    return {name: drift_of(found, by_rate=name == "cycles") for name, found in paces.items()}


def _drift(found: Mapping[str, Drift]) -> str:
    return ", ".join(f"{name} {one.middle:+.3f} {one.per_c:+.3f} per C ± {one.sigma:.3f}" for name, one in found.items())


def told(data: Path) -> list[dict[str, object]]:
    """Judge every make by the others, print it, give the rows."""
    known = evidence(data)
    cells: list[Stored | Cycled] = [*stored(data), *cycled(data)]
    rows: list[Judged] = []
    for make in sorted({one.make for one in cells}):
        own, drift = [one for one in cells if one.make == make], drifts(cells, known, without=make)
        spread = learned(known, without=(make,), drift=drift)
        rows += judged(own, spread, told=False) + judged(own, spread, told=True)
        print(f"{make}: left out; drift of the others {_drift(drift)}", flush=True)
    for with_past in (False, True):
        print("\ntold half of their loss" if with_past else "\nblind: only the chemistry is known")
        these = [row for row in rows if row.told == with_past]
        for row in these:
            measured, *said = (_quantity(row, value) for value in (row.measured, row.p10, row.p50, row.p90))
            print(
                f"  {row.kind}, {row.what}: {row.cells} cells, {f'{row.target:.0%} at ' if row.target else 'lost '}{measured}; "
                f"twin {' · '.join(said)}; inside {row.inside:.0%}, miss {row.miss:.0%}"
            )
        shares = inside_by_make(these)
        print("  inside by make: " + ", ".join(f"{make} {share:.0%}" for make, share in shares.items()), end="; ")
        print(
            f"mean {np.mean(list(shares.values())):.0%}, median miss {np.median([row.miss for row in these]):.0%}, "
            f"P90 by P10 {np.median([row.width for row in these]):.1f} times"
        )
    print(f"\ndrift of all makes: {_drift(drifts(cells, known))}")
    return [asdict(row) for row in rows]


def _quantity(row: Judged, value: float) -> str:
    if row.target:
        return f"{value:,.0f}" if value < MOST_CYCLES else "–"
    return f"{value:.1%}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = told(arguments.data)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
