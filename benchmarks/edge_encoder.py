"""How much less does a vehicle's unit send, and how exact is what arrives? On real signals.

    python -m benchmarks.edge_encoder [--data DIR] [--cycles FILE.csv]

gbt    the GB/T 27930 log (DIR/can/logs): each message of the battery's side, its values as they stand then
calce  charge and discharge curves of real cells (DIR/battery/calce): voltage and current, every 10th cycle
cycles drive cycles that `benchmarks.drive_cycles` made with PyBaMM in an environment of its own; without a file they are not run

Each with the bands that stand beside it, which are the error bounds: the largest error at any reading is looked for and shown.
Three sizes to compare with: each reading as JSON of the contract (what a unit sends today), as 8-byte numbers, and these compressed
all together (which no unit can do that must send every 10 s). `live`: batches of 10 s, a heartbeat every 10 s; `stored`: a batch an
hour, for what has time. The goal is 10 × less than JSON: live, or stored (marked *) where readings come more rarely than batches,
so that nothing can be left out. Exit 1 where a bound is broken or the goal is missed.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from benchmarks.evidence import ROOT, write_evidence
from bms_bridge.can.log_file import LogFile
from bms_bridge.edge.bands import USUAL, Bands, bands
from bms_bridge.edge.recorder import Habits
from bms_bridge.edge.review import record, review
from bms_bridge.edge.wire import Reading
from bms_bridge.gbt_session import GbtListener
from depot.values import PackKey

GOAL = 10.0
PACK = PackKey("V", "P1")
CELL = bands(current_a=(0.01, 0.01), cell_max_v=(0.005, 0.005), temperatures_c=(0.1, 0.2))
"""Of a single cell of some Ah: 10 mA, 5 mV."""

LIVE = Habits(boot=1, flows_a=1e9)
STORED = replace(LIVE, batch_s=3600.0, heartbeat_s=600.0)


def gbt(folder: Path) -> Iterator[tuple[str, list[Reading], Bands]]:
    """What the battery told on the charging line, at each of its messages."""
    for path in sorted((folder / "can" / "logs").glob("*.log")):
        listener, found = GbtListener(lambda vin: "nobody"), []
        at = datetime.now(UTC)
        for frame in LogFile(path):
            message = listener.hear(frame)
            if message is None or not message.from_bms:
                continue
            said = listener.take(PACK, message.at_s, received_at=at)
            if said.soc is None and said.limit_a is None:
                continue
            temperatures = () if None in said.temperatures_c else said.temperatures_c
            found.append(
                Reading(
                    at_ms=round(message.at_s * 1000),
                    temperatures_c=temperatures,
                    soc=said.soc,
                    current_a=said.current_a,
                    voltage_v=said.voltage_v,
                    cell_max_v=said.cell_max_v,
                    limit_a=said.limit_a,
                    limit_v=said.limit_v,
                )
            )
        yield "gbt, each message", found, USUAL
        seconds = {reading.at_ms // 1000: reading for reading in found}
        yield "gbt, once a second", list(seconds.values()), USUAL


def calce(folder: Path) -> Iterator[tuple[str, list[Reading], Bands]]:
    """Each cell's curves, one after the other, an hour between them."""
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(folder / "battery" / "calce" / "calce_curves_every10th.parquet").to_pylist()
    series: dict[str, list[Reading]] = {}
    base_ms, before = 0, ("", 0, "")
    for row in rows:
        part = (row["cell"], row["cycle"], row["phase"])
        if part != before:
            found = series.setdefault(row["cell"], [])
            base_ms = (found[-1].at_ms if found else 0) + 3_600_000
            before = part
        series[row["cell"]].append(Reading(at_ms=base_ms + round(row["t_s"] * 1000), cell_max_v=row["V"], current_a=row["I_A"]))
    for cell, found in series.items():
        yield f"calce {cell}", found, CELL


def cycles(path: Path) -> Iterator[tuple[str, list[Reading], Bands]]:
    """Columns cycle, t_s, current_a, voltage_v, temperature_c; charging positive."""
    series: dict[str, list[Reading]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            at_ms = round(float(row["t_s"]) * 1000)
            reading = Reading(
                at_ms=at_ms,
                temperatures_c=(float(row["temperature_c"]),),
                cell_max_v=float(row["voltage_v"]),
                current_a=float(row["current_a"]),
                soc=float(row["soc"]),
            )
            series.setdefault(row["cycle"], []).append(reading)
    for name, found in series.items():
        yield f"pybamm {name}", found, bands(current_a=(0.05, 0.1), cell_max_v=(0.005, 0.005), temperatures_c=(0.1, 0.2))


def judge(name: str, readings: Sequence[Reading], of: Bands) -> bool:
    """One series in both habits, as lines; whether bounds and goal are kept."""
    kept = True
    gaps = sorted(later.at_ms - earlier.at_ms for earlier, later in pairwise(readings))
    counts = "stored" if gaps[len(gaps) // 2] > LIVE.batch_s * 1000 else "live"
    for habit, habits in (("live", LIVE), ("stored", STORED)):
        found = review(readings, record(readings, replace(habits, bands=of)))
        within = {signal: error <= of[signal].band * (1 + 1e-9) + 1e-9 for signal, error in found.errors.items()}
        kept = kept and all(within.values()) and (habit != counts or found.over_json >= GOAL)
        worst = ", ".join(f"{signal} {error:.3g} of {of[signal].band:g}" for signal, error in found.errors.items())
        mark = "*" if habit == counts == "stored" else " "
        print(
            f"{name:20s} {habit:6s}{mark} {found.readings:7d} {found.rows:7d} {found.messages:6d} {found.packed_bytes:9d} "
            f"{found.over_json:7.1f} {found.over_raw:7.1f} {found.over_gzip:7.2f}   {worst}"
        )
        row = {"fault": "edge_encoder", "series": name, "habit": habit, "readings": found.readings, "bytes": found.packed_bytes}
        more = {"over_json": round(found.over_json, 1), "over_raw": round(found.over_raw, 1), "over_gzip": round(found.over_gzip, 2)}
        write_evidence("edge_encoder", row | more | {"errors": {k: round(v, 6) for k, v in found.errors.items()}})
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--cycles", type=Path, help="what benchmarks.drive_cycles wrote")
    options = parser.parse_args()
    print(f"{'series':20s} {'habit':6s}  readings    told   sent     bytes  ×JSON    ×raw   ×gzip   largest error of its bound")
    kept = True
    for found in (gbt(options.data), calce(options.data)):
        for name, readings, of in found:
            kept = judge(name, readings, of) and kept
    if options.cycles is None:
        print("drive cycles: not run (make them with benchmarks.drive_cycles, then --cycles FILE)")
    else:
        for name, readings, of in cycles(options.cycles):
            kept = judge(name, readings, of) and kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
