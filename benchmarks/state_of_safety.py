"""What does State of Safety cost? 200 packs × 300 cells, one second of model time, processor time of one thread.

    python -m benchmarks.state_of_safety [--packs 200] [--cells 300] [--seconds 60]

Three depots: one where every cell is above the gate (kernel alone in single and in double precision, then the whole watch with a score and
times to runaway per pack), one where two packs are, and one on an ordinary hot evening. Exit 1 where the whole of the first takes more
than 10 ms per second of model time (median).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from benchmarks.evidence import percentile, write_evidence
from bms_bridge.chemistry import Chemistry
from bms_bridge.ect.kinetics import KELVIN, kinetics_of
from bms_bridge.ect.model import advance, fresh
from bms_bridge.ect.score import state_of_safety
from bms_bridge.ect.watch import EctWatch, warm_up
from depot.values import PackKey

GOAL_MS = 10.0


def timed_ms(work: Callable[[int], object], seconds: int) -> tuple[float, float]:
    """Median and p99 of the processor time of ``work(second)``, ms: what others do on the machine counts as little as may be."""
    took = []
    for second in range(seconds):
        began = time.thread_time()
        work(second)
        took.append((time.thread_time() - began) * 1000.0)
    return percentile(took, 0.5), percentile(took, 0.99)


def kernel(chemistry: Chemistry, cells: int, dtype: npt.DTypeLike, seconds: int) -> tuple[float, float]:
    """One step and one score of all cells at once."""
    kinetics, chance = kinetics_of(chemistry), np.random.default_rng(1)
    state = fresh(kinetics, cells, dtype)
    temperature_k = (chance.uniform(75.0, 140.0, cells) + KELVIN).astype(dtype)

    def step(_: int) -> None:
        advance(kinetics, state, temperature_k, 1.0)
        state_of_safety(kinetics, state, temperature_k)

    return timed_ms(step, seconds)


def depot(packs: int, cells: int, hot: int, seconds: int) -> tuple[float, float, float]:
    """``hot`` packs above the gate, the others at 50 °C: what hearing a second's samples takes, and its tick (median, p99)."""
    chance, watch = np.random.default_rng(1), EctWatch()
    keys = [PackKey(f"BUS{number}", "P1") for number in range(packs)]
    heard = []
    for number in range(packs):
        values = chance.uniform(75.0, 140.0, cells) if number < hot else chance.uniform(45.0, 50.0, cells)
        heard.append(list(enumerate(values.tolist())))
    chemistries = [Chemistry.LFP if number % 2 else Chemistry.NMC for number in range(packs)]

    def hear(second: int) -> None:
        for key, chemistry, values in zip(keys, chemistries, heard, strict=True):
            watch.hear(key, chemistry, values, float(second))

    hear(0)
    watch.tick(0.0)
    hearing, _ = timed_ms(lambda second: hear(second + 1), 5)
    return hearing, *timed_ms(lambda second: watch.tick(float(second + 1)), seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packs", type=int, default=200)
    parser.add_argument("--cells", type=int, default=300)
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    packs, cells, seconds = arguments.packs, arguments.cells, arguments.seconds
    warm_up()
    for chemistry in (Chemistry.LFP, Chemistry.NMC):
        for dtype in (np.float32, np.float64):
            median, worst = kernel(chemistry, packs * cells, dtype, seconds)
            row = {"what": "kernel", "chemistry": chemistry.value, "dtype": np.dtype(dtype).name, "median_ms": round(median, 2)}
            print(write_evidence("state_of_safety", row | {"p99_ms": round(worst, 2), "packs": packs, "cells": cells}))
    whole = 0.0
    for hot in (packs, 2, 0):
        hearing, median, worst = depot(packs, cells, hot, seconds)
        whole = max(whole, median)
        row = {"what": "watch", "hot_packs": hot, "tick_median_ms": round(median, 3), "tick_p99_ms": round(worst, 3)}
        print(write_evidence("state_of_safety", row | {"hear_ms": round(hearing, 2), "packs": packs, "cells": cells}))
    print(f"goal {GOAL_MS:g} ms per second of model time: {'met' if whole <= GOAL_MS else 'missed'}")
    return 0 if whole <= GOAL_MS else 1


if __name__ == "__main__":
    sys.exit(main())
