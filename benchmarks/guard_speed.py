"""How many signal values a second does the guard take with all its rules, and how long is its look at a large depot?

    python -m benchmarks.guard_speed [--packs 500] [--cells 0] [--seconds 20]

Every pack speaks once a second of artificial time (four temperatures, state of charge, current, voltage, insulation, the battery's limit;
with ``--cells`` each cell beside). Measured is the processor time of ``heard`` (validation, rules, state), of a whole look at all packs
(``tick``) and of its turns, between which samples are heard. Exit 1 below 20,000 values a second or above 10 ms a turn (the 99th
percentile).
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.detection_matrix import HandClock
from benchmarks.evidence import percentile, write_evidence
from bms_bridge.charging import Charging, PackFacts
from bms_bridge.chemistry import Chemistry
from bms_bridge.contract import PackSample, Source
from bms_bridge.guard import Guard
from bms_bridge.latches import LatchFile
from bms_bridge.verdicts import Verdict
from depot.values import PackKey

GOAL_VALUES_S = 20_000
GOAL_TURN_S = 0.010
SIGNALS = 9
"""Values of a sample beside its cells."""


def samples_of(packs: Sequence[PackKey], clock: HandClock, rng: random.Random, cells: int) -> list[PackSample]:
    """One of each pack, healthy."""
    now = clock.now()
    return [
        PackSample(
            pack=pack,
            source=Source.CAN,
            received_at=now,
            reported_at=now,
            temperatures_c=tuple(round(33 + k * 0.4 + rng.gauss(0, 0.1), 1) for k in range(4)),
            soc=0.5,
            current_a=round(100 + rng.gauss(0, 1), 1),
            voltage_v=320.0,
            cells_v=tuple(round(3.33 + rng.gauss(0, 0.001), 3) for _ in range(cells)),
            insulation_ohm=2e6,
            limit_a=150.0,
        )
        for pack in packs
    ]


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard_speed", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--packs", type=int, default=500)
    parser.add_argument("--cells", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=20)
    asked = parser.parse_args(words)
    rng, clock, said = random.Random(1), HandClock(), list[Verdict]()
    packs = [PackKey(f"BUS{n}", "P1") for n in range(asked.packs)]
    facts = PackFacts(chemistry=Chemistry.LFP, capacity_wh=64_000, cells=asked.cells or 100)
    charging = Charging(told_w=40_000, metered_w=34_000, running_s=3600, taken_wh=30_000, room_wh=60_000)
    with tempfile.TemporaryDirectory() as name, LatchFile.open(Path(name) / "latches") as latches:
        guard = Guard(
            latches,
            clock=clock,
            chemistry_of=lambda _pack: Chemistry.LFP,
            on_verdict=said.append,
            facts_of=lambda _pack: facts,
            charging_of=lambda _pack: charging,
        )
        heard_s, ticks, turns = 0.0, list[float](), list[float]()
        for second in range(asked.seconds):
            clock.passed_s = float(second)
            told = samples_of(packs, clock, rng, asked.cells)
            began = time.process_time()
            for sample in told:
                guard.heard(sample)
            heard_s += time.process_time() - began
            began = last = time.process_time()
            for _ in guard.turns():
                turns.append(time.process_time() - last)
                last = time.process_time()
            turns.append(time.process_time() - last)
            ticks.append(time.process_time() - began)
    values = asked.seconds * asked.packs * (SIGNALS + asked.cells)
    rate, turn_s = values / heard_s, percentile(turns, 0.99)
    row = {
        "packs": asked.packs, "cells": asked.cells, "values_s": round(rate), "samples_s": round(asked.seconds * asked.packs / heard_s),
        "tick_ms_p50": round(percentile(ticks, 0.5) * 1000, 2), "turn_ms_p99": round(turn_s * 1000, 2),
        "turn_ms_max": round(max(turns) * 1000, 2), "verdicts": len(said),
    }  # fmt: skip
    print(write_evidence("guard_speed", row))
    return 0 if rate >= GOAL_VALUES_S and turn_s <= GOAL_TURN_S and not said else 1


if __name__ == "__main__":
    sys.exit(main())
