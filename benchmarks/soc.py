"""How far off are states of charge, and do their intervals hold? With sensors off and noisy, a wrong start, capacities not quite known.

    ./chargeyard bench soc [--data DIR] [--json FILE] [--quick]

Cells of another model family (one particle per electrode; kinds of cells that nothing was chosen by), PyBaMM's Doyle-Fuller-Newman
cells where it can be imported, and with ``--data`` CALCE's measured LCO cells (``calce``). Each with the shipped curve, with one learned
from a slow cycle of another cell of its kind, and with its own: begun with the shipped one, corrected by the cell's days before the
judged one, as a depot does. Exit code 1: a goal is missed (root of the mean square, whole traces, extended filter with a
learned or own curve or on CALCE: 2 % for NMC and LCO, 4 % for LFP).
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.soc_particles import Particles, Recorded, Sensors, day, joined, measured, slow_cycle
from benchmarks.soc_traces import PYBAMM_BEFORE, PYBAMM_DAY, PYBAMM_SLOW, TAUGHT_CELL, calce, pybamm_trace
from bms_bridge.health import HealthError
from bms_bridge.soc.cells import CellKind, kind_of, with_curve
from bms_bridge.soc.estimate import Knowledge, Samples, Track, Verdict, follow
from bms_bridge.soc.learned import teach
from bms_bridge.soc.ocv import fit_ocv
from bms_bridge.soc.own_curve import Seen, gather, own_kind

GOALS = {"NMC": 0.02, "LCO": 0.02, "LFP": 0.04}
THIN = 3
PER_KIND = 4
DAYS_BEFORE = 3
JUDGED_KINDS, TAUGHT_KINDS = (20, 21, 22), (10, 11)
console = Console(width=None if sys.stdout.isatty() else 170)


@dataclass(frozen=True, slots=True)
class Row:
    """Shares. ``rmse``: mean over traces; ``worst``: of a trace; ``anchored``: from the first full charge on; ``most``: of any sample."""

    chemistry: str
    traces: str
    curve: str
    method: str
    count: int
    rmse: float
    worst: float
    anchored: float
    most: float
    coverage: float
    least_coverage: float
    width: float
    told: float
    goal: float | None = None


def judged(
    chemistry: str, traces: str, curve: str, method: str, true: np.ndarray, found: tuple[np.ndarray, np.ndarray, np.ndarray],
    told: np.ndarray | None = None, first: np.ndarray | None = None, goal: float | None = None,
) -> Row:  # fmt: skip
    """One row from the truth [n, m] and estimate, low, high; ``first`` [n]: the sample of the first full charge (0: none)."""
    soc, low, high = found
    true = np.clip(true, 0.0, 1.0)
    there = np.isfinite(true) & np.isfinite(soc) & (told if told is not None else True)
    square = np.where(there, (soc - true) ** 2, np.nan)
    inside = np.where(there, (low <= true + 1e-9) & (true <= high + 1e-9), np.nan)
    each = np.sqrt(np.nanmean(square, axis=1))
    covered = np.nanmean(inside, axis=1)
    begin = np.zeros(len(true), dtype=int) if first is None else first
    late = [float(np.sqrt(np.nanmean(square[row, at:]))) for row, at in enumerate(begin) if at > 0 or first is None]
    return Row(
        chemistry=chemistry, traces=traces, curve=curve, method=method, count=len(true), rmse=float(each.mean()), worst=float(each.max()),
        anchored=float(np.mean(late)) if late and first is not None else float("nan"), most=float(np.sqrt(np.nanmax(square))),
        coverage=float(covered.mean()), least_coverage=float(covered.min()), width=float(np.mean((high - low)[there])),
        told=float(there.sum() / np.isfinite(true).sum()), goal=goal,
    )  # fmt: skip


def of_track(chemistry: str, traces: str, curve: str, method: str, true: np.ndarray, track: Track, goal: float | None = None) -> Row:
    first = np.where(track.full.any(axis=1), track.full.argmax(axis=1), 0)
    return judged(
        chemistry, traces, curve, method, true, (track.soc, track.low, track.high), track.verdict == Verdict.TOLD, first, goal
    )  # fmt: skip


def thinned(told: Recorded, scale: np.ndarray) -> tuple[Samples, np.ndarray]:
    """A sample in half a minute with the mean current of it, in told capacities per hour, and the truth."""
    count = len(told.time_s)
    length = told.time_s.shape[1] // THIN * THIN
    last = slice(THIN - 1, length, THIN)
    current = told.current_c[:, :length].reshape(count, -1, THIN).mean(axis=2) * scale
    samples = Samples(
        time_s=told.time_s[:, last], current_c=current, voltage_v=told.voltage_v[:, last], temperature_c=told.temperature_c[:, last]
    )
    return samples, told.soc[:, last]


def wrong_start(soc: np.ndarray, random: np.random.Generator) -> Knowledge:
    """A start that is off by a tenth, up or down."""
    return Knowledge(soc=np.clip(soc + random.choice([-0.1, 0.1], len(soc)), 0.0, 1.0), soc_sd=0.1)


def days(chemistry: str, kind: int) -> tuple[Samples, np.ndarray]:
    random = np.random.default_rng(7000 + kind)
    cells = Particles(chemistry, PER_KIND, 300 + kind, soc=random.uniform(0.1, 0.6, PER_KIND), kind_seed=kind)
    told = measured(day(cells, 400 + kind), Sensors(), 500 + kind)
    return thinned(told, random.uniform(0.97, 1.03, PER_KIND)[:, None])


def learned_kind(chemistry: str, kind: int) -> CellKind:
    cycle = slow_cycle(Particles(chemistry, 1, 900 + kind, soc=0.0, spread=0.5, kind_seed=kind), 0.1)
    fit = fit_ocv(cycle.time_s[0], cycle.current_c[0], cycle.voltage_v[0])
    return with_curve(chemistry, fit.curve, fit.error_v)


def days_before(chemistry: str, kind: int) -> Samples:
    """The same cells with the same sensors on the days before; other driving, other charges."""
    random = np.random.default_rng(7000 + kind)
    random.uniform(0.1, 0.6, PER_KIND)
    scale = random.uniform(0.97, 1.03, PER_KIND)[:, None]
    cells = Particles(chemistry, PER_KIND, 300 + kind, soc=np.full(PER_KIND, 0.4), kind_seed=kind)
    lived = [day(cells, 800 + 10 * kind + number) for number in range(DAYS_BEFORE)]
    parts = [replace(one, time_s=one.time_s + 86_400.0 * number) for number, one in enumerate(lived)]
    return thinned(measured(_in_a_row(parts), Sensors(), 500 + kind), scale)[0]


def _in_a_row(parts: list[Recorded]) -> Recorded:
    names = ("time_s", "current_c", "voltage_v", "temperature_c", "soc")
    return Recorded(*(np.concatenate([getattr(part, name) for part in parts], axis=1) for name in names))


def with_own(base: CellKind, before: Samples, samples: Samples, known: Knowledge) -> Track:
    """Each trace with the curve, and the sensor's offset, that its days before have shown."""
    lived = follow(base, before, Knowledge(soc_sd=0.1))
    found = []
    for place in range(len(samples.time_s)):
        row = slice(place, place + 1)
        past = Track(*(getattr(lived, field)[row] for field in Track.__slots__))
        seen = gather(base, Seen(), _rows(before, row), past)
        told = replace(known, soc=np.asarray(known.soc)[row])
        if np.isfinite(seen.offset_c):
            told = replace(told, offset=seen.offset_c, offset_sd=seen.offset_sd_c)
        found.append(follow(own_kind(base, seen) or base, _rows(samples, row), told))
    return Track(*(np.concatenate([getattr(track, field) for track in found]) for field in Track.__slots__))


def _rows(samples: Samples, row: slice) -> Samples:
    parts = (samples.time_s, samples.current_c, samples.voltage_v, samples.temperature_c)
    time, current, voltage, temperature = (part[row] for part in parts)
    return Samples(time_s=time, current_c=current, voltage_v=voltage, temperature_c=temperature)


def stacked(parts: list[tuple[Samples, np.ndarray]]) -> tuple[Samples, np.ndarray]:
    names = ("time_s", "current_c", "voltage_v", "temperature_c")
    return Samples(**{name: np.concatenate([getattr(part, name) for part, _ in parts]) for name in names}), np.concatenate(
        [soc for _, soc in parts]
    )


def particles(quick: bool) -> list[Row]:
    rows = []
    for chemistry in ("NMC", "LFP"):
        kinds = JUDGED_KINDS[:1] if quick else JUDGED_KINDS
        parts = [days(chemistry, kind) for kind in kinds]
        samples, true = stacked(parts)
        known = wrong_start(true[:, 0], np.random.default_rng(1))
        name = f"particles, {len(kinds)} kinds"
        shipped = kind_of(chemistry)
        rows.append(of_track(chemistry, name, "none", "counting", true, follow(shipped, samples, known, method="counting")))
        curves = [learned_kind(chemistry, kind) for kind in kinds]
        for method in ("ekf", "ukf"):
            rows.append(of_track(chemistry, name, "shipped", method, true, follow(shipped, samples, known, method=method)))
            each = []
            for place, (part, _) in enumerate(parts):
                own = slice(place * PER_KIND, (place + 1) * PER_KIND)
                start = Knowledge(soc=np.asarray(known.soc)[own], soc_sd=0.1)
                each.append(follow(curves[place], part, start, method=method))
            whole = Track(*(np.concatenate([getattr(track, field) for track in each]) for field in Track.__slots__))
            rows.append(of_track(chemistry, name, "learned", method, true, whole, GOALS[chemistry] if method == "ekf" else None))
        lived, _ = stacked([(days_before(chemistry, kind), np.zeros((PER_KIND, 1))) for kind in kinds])
        rows.append(of_track(chemistry, name, "own, 3 days", "ekf", true, with_own(shipped, lived, samples, known), GOALS[chemistry]))
        if not quick:
            taught = teach(*stacked([days(chemistry, kind) for kind in TAUGHT_KINDS]))
            rows.append(judged(chemistry, name, "none", "taught on other kinds", true, taught.say(samples)))
    return rows


def measured_cells(place: Path, quick: bool) -> list[Row]:
    """CALCE, each cell cycle after cycle: what was found of resistance and capacity is kept for the next one, as a controller would."""
    cells = calce(place)
    shipped = kind_of("LCO")
    rows, taught_on = [], None
    parts: dict[str, list[tuple[float, Samples, np.ndarray]]] = {}
    for number, (cell, cycles) in enumerate(sorted(cells.items())):
        for cycle, health, trace in cycles[:: 4 if quick else 1]:
            if health < 0.6:
                continue
            told = measured(trace, Sensors(), 1000 * number + cycle)
            samples = Samples(
                time_s=told.time_s, current_c=told.current_c, voltage_v=told.voltage_v, temperature_c=told.temperature_c
            )  # fmt: skip
            parts.setdefault(cell, []).append((health, samples, told.soc))
    if TAUGHT_CELL in parts:
        group = [(samples, soc) for health, samples, soc in parts[TAUGHT_CELL] if health >= 0.8]
        taught_on = teach(*_padded(group))
    for cell, group in parts.items():
        name = f"CALCE {cell}" + (" (curve's own)" if cell == TAUGHT_CELL else "")
        for method in ("counting", "ekf", "ukf"):
            found = _one_after_another(shipped, [samples for _, samples, _ in group], method, np.random.default_rng(len(cell)))
            for least, most, health_name in ((0.8, 9.0, "≥ 80 %"), (0.6, 0.8, "60–80 %")):
                chosen = [place for place, (health, _, _) in enumerate(group) if least <= health < most]
                if not chosen or (method == "counting" and least < 0.8):
                    continue
                true = _pad([group[place][2] for place in chosen])
                track = Track(*(_pad([getattr(found[place], field) for place in chosen]) for field in Track.__slots__))
                goal = GOALS["LCO"] if method == "ekf" and least == 0.8 and cell != TAUGHT_CELL else None
                rows.append(of_track("LCO", f"{name}, {health_name}", "shipped", method, true, track, goal))
        if taught_on is not None and cell != TAUGHT_CELL:
            samples, true = _padded([(samples, soc) for health, samples, soc in group if health >= 0.8])
            rows.append(judged("LCO", f"{name}, ≥ 80 %", "none", f"taught on {TAUGHT_CELL}", true, taught_on.say(samples)))
    return rows


def _one_after_another(kind: CellKind, traces: list[Samples], method: str, random: np.random.Generator) -> list[Track]:
    found: list[Track] = []
    capacity, ohmic, lagging, spread = 1.0, 0.0, 0.0, None
    for samples in traces:
        scaled = Samples(
            time_s=samples.time_s, current_c=samples.current_c / capacity, voltage_v=samples.voltage_v, temperature_c=samples.temperature_c
        )
        known = Knowledge(
            soc=float(random.choice([0.0, 0.1])), soc_sd=0.1, capacity_sd=0.04, ohmic=ohmic, lagging=lagging, resistance_sd=spread
        )  # fmt: skip
        track = follow(kind, scaled, known, method=method)  # type: ignore[arg-type]
        if method != "counting":
            capacity *= float(track.capacity[0, -1])
            ohmic, lagging, spread = float(np.log(track.ohmic[0, -1])), float(np.log(track.lagging[0, -1])), 0.15
        found.append(track)
    return found


def _pad(parts: list[np.ndarray]) -> np.ndarray:
    length = max(part.shape[1] for part in parts)
    whole = []
    for part in parts:
        empty = np.nan if part.dtype.kind == "f" else 0
        whole.append(np.pad(part, ((0, 0), (0, length - part.shape[1])), constant_values=empty))
    return np.concatenate(whole)


def _padded(parts: list[tuple[Samples, np.ndarray]]) -> tuple[Samples, np.ndarray]:
    names = ("time_s", "current_c", "voltage_v", "temperature_c")
    samples = Samples(**{name: _pad([getattr(part, name) for part, _ in parts]) for name in names})
    return samples, _pad([soc for _, soc in parts])


def other_program(quick: bool) -> list[Row]:
    rows = []
    sets = (("NMC", "NMC811", "Chen2020", 4.2, 2.5), ("NMC", "NMC", "Mohtat2020", 4.2, 2.8), ("LFP", "LFP", "Prada2013", 3.6, 2.0))
    for chemistry, shipped, name, full_v, empty_v in sets[:1] if quick else sets:
        slow = pybamm_trace(name, PYBAMM_SLOW, full_v=full_v, empty_v=empty_v, soc=0.02)
        fit = fit_ocv(slow.time_s[0], slow.current_c[0], slow.voltage_v[0])
        trace = pybamm_trace(name, PYBAMM_DAY, full_v=full_v, empty_v=empty_v, soc=0.25)
        peak = float(np.nanmax(trace.soc))
        repeats = joined([trace] * PER_KIND)
        told = measured(repeats, Sensors(), 31)
        told = Recorded(told.time_s, told.current_c, told.voltage_v, told.temperature_c, told.soc / peak)
        random = np.random.default_rng(5)
        scale = random.uniform(0.97, 1.03, PER_KIND)[:, None] / peak
        samples, true = thinned(told, scale)
        known = wrong_start(true[:, 0], random)
        lived = pybamm_trace(name, PYBAMM_BEFORE, full_v=full_v, empty_v=empty_v, soc=0.4)
        lived = measured(joined([lived] * PER_KIND), Sensors(), 31)
        title = f"PyBaMM {name}"
        rows.append(of_track(chemistry, title, "none", "counting", true, follow(kind_of(shipped), samples, known, method="counting")))
        for curve, kind in (("shipped", kind_of(shipped)), ("learned", with_curve(shipped, fit.curve, fit.error_v, full_v=full_v))):
            for method in ("ekf", "ukf"):
                goal = GOALS[chemistry] if method == "ekf" and curve == "learned" else None
                rows.append(of_track(chemistry, title, curve, method, true, follow(kind, samples, known, method=method), goal))
        own = with_own(kind_of(shipped), thinned(lived, scale)[0], samples, known)
        rows.append(of_track(chemistry, title, "own, 2 days", "ekf", true, own, GOALS[chemistry]))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder of data sets, for CALCE's cells")
    parser.add_argument("--json", type=Path, help="write all numbers to this file, too")
    parser.add_argument("--quick", action="store_true", help="one kind of cell, every fourth cycle, nothing taught")
    arguments = parser.parse_args()
    began = time.process_time()
    curves: Path | None = None
    notes = []
    if arguments.data is None:
        notes.append("No --data: CALCE's cells are skipped.")
    else:
        folders = (arguments.data / "battery" / "calce", arguments.data / "calce", arguments.data)
        files = [file for folder in folders if folder.is_dir() for file in sorted(folder.glob("calce_curves*.parquet"))]
        if not files:
            where = escape(str(arguments.data))
            console.print(f"[red]{where} holds no calce/calce_curves….parquet: name the folder of data sets[/]", soft_wrap=True)
            return 2
        curves = files[0]
    try:
        rows = [] if curves is None else measured_cells(curves, arguments.quick)
    except HealthError as error:
        console.print(f"[red]{escape(str(error))}[/]", highlight=False, soft_wrap=True)
        return 2
    rows = particles(arguments.quick) + rows
    try:
        rows += other_program(arguments.quick)
    except ImportError:
        notes.append("PyBaMM is not installed here: its cells are skipped.")
    show(rows)
    for note in notes:
        console.print(note, highlight=False)
    console.print(f"{time.process_time() - began:.0f} s of processor time", highlight=False)
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(rows, enc_hook=float)))  # (null for what is not told)
    return 1 if any(row.goal is not None and row.rmse > row.goal for row in rows) else 0


def show(rows: list[Row]) -> None:
    table = Table(title="state of charge: %-points off, root of the mean square", title_justify="left")
    for name in ("", "traces", "curve", "method"):
        table.add_column(name)
    for name in ("n", "off", "goal", "worst trace", "after full", "worst sample", "90 % covers", "least", "width", "told"):
        table.add_column(name, justify="right")
    for row in rows:
        shares = [f"{100 * share:.1f}" if np.isfinite(share) else "–" for share in (row.worst, row.anchored, row.most)]
        goal = "" if row.goal is None else f"{100 * row.goal:.0f}{'' if row.rmse <= row.goal else ' !'}"
        table.add_row(
            row.chemistry, row.traces, row.curve, row.method, f"{row.count}", f"{100 * row.rmse:.2f}", goal, *shares,
            f"{row.coverage:.2f}", f"{row.least_coverage:.2f}", f"{100 * row.width:.0f}", f"{row.told:.2f}",
        )  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
