"""When does a cell in an oven run away, how long before does State of Safety say so, and how long does a hot cell have?

    python -m benchmarks.oven_tests [--set hatchard_kim]        a table of ovens, one of adiabatic times
    python -m benchmarks.oven_tests --write-table               makes bms_bridge/ect/time_to_runaway.json anew

The ovens are those of the published tests of an 18650 (LCO/graphite). Exit 1 where the set of Hatchard and Kim leaves the reference:
no runaway up to 145 °C, runaway from 150 °C on, in 36 min there and 10 min at 200 °C, within 5 %.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.evidence import write_evidence
from bms_bridge.ect import lookup
from bms_bridge.ect.kinetics import KELVIN, all_sets
from bms_bridge.ect.model import advance, fresh
from bms_bridge.ect.runaway import CellInOven, adiabatic, ovens_to_runaway
from bms_bridge.ect.score import state_of_safety

OVENS_C = (130.0, 140.0, 145.0, 150.0, 155.0, 160.0, 170.0, 180.0, 200.0)
REFERENCE_MIN = {150.0: 36.1, 155.0: 25.0, 160.0: 20.5, 170.0: 15.8, 180.0: 13.1, 200.0: 9.8}
HOTTEST_SAFE_C = 145.0
TOLERANCE = 0.05
CELLS_C = tuple(float(c) for c in range(70, 160, 10))


def leads_min(set_name: str, oven_c: float, runaway_s: float, scores: tuple[float, ...] = (0.8, 0.5)) -> list[float | None]:
    """How long before the runaway State of Safety fell below each score, min, with steps of one second as in a depot, from the cell's
    own temperature (no offset). None: it never did."""
    kinetics, body = all_sets()[set_name], CellInOven()
    state, cell_k, oven_k = fresh(kinetics, 1), np.array([28.0 + KELVIN]), oven_c + KELVIN
    below: dict[float, float] = {}
    for second in range(int(runaway_s)):
        flux = body.convection_w_m2_k * (oven_k - cell_k) + body.emissivity * 5.670374419e-8 * (oven_k**4 - cell_k**4)
        heat = advance(kinetics, state, cell_k, 1.0)
        cell_k = cell_k + (heat + flux * body.surface_m2_kg) / kinetics.heat_capacity_j_kg_k
        score = float(state_of_safety(kinetics, state, cell_k)[0])
        for limit in scores:
            if score < limit:
                below.setdefault(limit, second)
    return [None if limit not in below else (runaway_s - below[limit]) / 60.0 for limit in scores]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="", help="only this set of kinetics")
    parser.add_argument("--write-table", action="store_true")
    arguments = parser.parse_args()
    if arguments.write_table:
        began = time.perf_counter()
        path = Path(lookup.__file__).with_name(lookup.FILE)
        path.write_text(
            json.dumps(lookup.build()).replace("[[", "[\n[").replace("], [", "],\n[").replace("]]}", "]\n]}") + "\n", encoding="utf-8"
        )
        print(f"{path.name} written in {time.perf_counter() - began:.1f} s")
        return 0
    wrong = 0
    for name, kinetics in all_sets().items():
        if arguments.set not in ("", name):
            continue
        outcome = ovens_to_runaway(kinetics, OVENS_C)
        print(f"\n{name}: {kinetics.title}\noven °C   runaway min   reference   peak °C   SoS<0.8 before   SoS<0.5 before")
        for oven_c, runaway_s, peak_c in zip(OVENS_C, outcome.runaway_s, outcome.peak_c, strict=True):
            own = math.isfinite(runaway_s)
            leads = leads_min(name, oven_c, float(runaway_s)) if own else [None, None]
            reference = REFERENCE_MIN.get(oven_c) if name == "hatchard_kim" else None
            if name == "hatchard_kim":
                wrong += own != (reference is not None)
                wrong += bool(own and reference is not None and abs(runaway_s / 60.0 / reference - 1.0) > TOLERANCE)
            cells = [f"{oven_c:7.0f}", _minutes(runaway_s / 60.0 if own else None), _minutes(reference)]
            cells += [f"{peak_c:9.0f}" if not own else f"{'>' + format(peak_c, '.0f'):>9}", *(_minutes(lead) for lead in leads)]
            print("  ".join(cells))
            write_evidence("oven_tests", {"set": name, "oven_c": oven_c, "runaway_min": round(runaway_s / 60, 2) if own else None})
        hours = adiabatic(kinetics, np.array(CELLS_C)).runaway_s / 3600.0
        print("a cell that loses no heat: " + ", ".join(f"{c:.0f} °C {_time(h)}" for c, h in zip(CELLS_C, hours, strict=True)))
    print(f"\n{wrong} values off the reference by more than {TOLERANCE:.0%}")
    return 1 if wrong else 0


def _minutes(value: float | None) -> str:
    return f"{'-' if value is None else format(value, '.1f'):>11}"


def _time(hours: float) -> str:
    if math.isinf(hours):
        return "not within 4 months"
    return f"{hours:.1f} h" if hours >= 2.0 else f"{hours * 60.0:.1f} min"


if __name__ == "__main__":
    sys.exit(main())
