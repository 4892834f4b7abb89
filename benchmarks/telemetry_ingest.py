"""How many signal values a second are taken on one core: decoded, validated, judged. And what hostile messages do.

    python -m benchmarks.telemetry_ingest [--packs 200] [--seconds 30] [--fuzz 10000] [--seed 1]

Messages of many packs, as their units would send them once a second, are handed to the very calls that the core makes: the payload
is read (:func:`bms_bridge.contract.message_of`), and each sample goes through the guard with every rule. One process, one thread;
processor time is counted, not the clock on the wall, so that a busy machine tells the same. A *value* is one signal's number.

    v1       pack_telemetry/1: four temperatures, charge, current, voltage, lowest and highest cell
    v2       pack_telemetry/2: the same with 96 cells, insulation, limits
    can      frames of the example DBC: 96 cells and 24 temperatures, multiplexed, once a second; a value is one signal of a frame
    packed   the packed form: ten such readings in a message, of which the newest is news (what else it holds is late)

Then ``--fuzz`` messages, cut, mutated, nested, huge, or of random bytes, go the same way: none may raise, and memory may not grow.
Exit 1 where any is below 20,000 values a second, or anything raised.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import logging
import pstats
import random
import string
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

from cantools.database.can import Database

from benchmarks.evidence import write_evidence
from bms_bridge.can.bind import bind
from bms_bridge.can.dbc import EXAMPLE, Dbc
from bms_bridge.can.frame import CanFrame
from bms_bridge.can.gather import Gatherer
from bms_bridge.can.pack_map import PackMap
from bms_bridge.chemistry import Chemistry
from bms_bridge.contract import Message, Rejection, Source, message_of, read, topic_of
from bms_bridge.edge import wire
from bms_bridge.guard import Guard
from bms_bridge.latches import LatchFile
from depot.values import PackKey

GOAL_PER_S = 20_000
DEPOT = "bench"
START = datetime(2026, 11, 20, 19, 42, tzinfo=UTC)
CELLS = 96
BATCH = 10
MOST_GROWTH = 4 * 1024 * 1024


@dataclass(slots=True)
class HandClock:
    """Time that the benchmark moves."""

    passed_s: float = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return 1000.0 + self.passed_s

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here sleeps")


class Depot:
    """A guard of many packs, and what comes in."""

    def __init__(self, latches: LatchFile, packs: int) -> None:
        self.clock = HandClock()
        self.packs = [PackKey(f"E-{k:03d}", "P1") for k in range(packs)]
        known = dict.fromkeys(self.packs, Chemistry.LFP)
        self.verdicts = 0
        self.guard = Guard(latches, clock=self.clock, chemistry_of=known.get, on_verdict=self._judged)

    def _judged(self, _: object) -> None:
        self.verdicts += 1

    def take(self, pack: PackKey, payload: bytes) -> None:
        """As the core does."""
        found = message_of(pack, payload, source=Source.MQTT, received_at=self.clock.now())
        assert isinstance(found, Message), found
        for sample in reversed(found.samples):
            self.guard.heard(sample)


def reading(rng: random.Random, second: int, pack: int) -> dict[str, object]:
    """What a healthy pack says in a second of a charge."""
    base = 31.0 + second * 0.002 + pack * 0.01
    return {
        "reported_at": (START + timedelta(seconds=second)).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "temperatures_c": [round(base + k * 0.3 + rng.uniform(-0.1, 0.1), 1) for k in range(4)],
        "soc": round(0.4 + second * 1e-4, 4),
        "current_a": round(150 + rng.uniform(-1, 1), 1),
        "voltage_v": round(CELLS * 3.31, 1),
        "cell_min_v": 3.3,
        "cell_max_v": 3.325,
    }


def v1(seed: int, packs: int, seconds: int) -> Iterator[tuple[int, int, bytes, int]]:
    rng = random.Random(seed)
    for second in range(seconds):
        for pack in range(packs):
            yield second, pack, json.dumps({"schema": "pack_telemetry/1", **reading(rng, second, pack)}).encode(), 9


def v2(seed: int, packs: int, seconds: int) -> Iterator[tuple[int, int, bytes, int]]:
    rng = random.Random(seed)
    for second in range(seconds):
        for pack in range(packs):
            cells = [round(3.31 + rng.uniform(-0.008, 0.008), 3) for _ in range(CELLS)]
            more = {"cells_v": cells, "insulation_ohm": 1.2e6, "limit_a": 200.0, "limit_v": 360.0, "soh": 0.97, "firmware": "acme 2.1"}
            said = {"schema": "pack_telemetry/2", **reading(rng, second, pack), **more, "boot": 1, "sequence": second}
            said |= {"cell_min_v": min(cells), "cell_max_v": max(cells)}
            yield second, pack, json.dumps(said).encode(), 9 + CELLS + 4


def packed(seed: int, packs: int, seconds: int) -> Iterator[tuple[int, int, bytes, int]]:
    rng = random.Random(seed)
    names = {"temperatures_c": 4, "cells_v": CELLS, "soc": 1, "current_a": 1, "voltage_v": 1}
    parts = tuple(wire.Part(group, names[group.name], 1) for group in wire.GROUPS if group.name in names)
    for second in range(BATCH - 1, seconds, BATCH):
        for pack in range(packs):
            rows = []
            for back in range(BATCH):
                said = reading(rng, second - BATCH + 1 + back, pack) | {
                    "cells_v": [round(3.31 + rng.uniform(-0.008, 0.008), 3) for _ in range(CELLS)]
                }
                row: list[int | None] = []
                for part in parts:
                    values = said[part.group.name]
                    several = values if isinstance(values, list) else [values]
                    row += [round(value * 10**part.group.decimals) for value in several]  # type: ignore[operator]
                rows.append(tuple(row))
            block = wire.Block(
                boot=1,
                firmware="acme 2.1",
                first_ms=round((START.timestamp() + second - BATCH + 1) * 1000),
                tick_ms=1000,
                parts=parts,
                ticks=tuple(range(BATCH)),
                sequences=tuple(range(second - BATCH + 1, second + 1)),
                rows=tuple(rows),
            )
            yield second, pack, wire.encode(block), BATCH * (7 + CELLS)


def measured(name: str, made: list[tuple[int, int, bytes, int]], packs: int, *, profile: bool) -> float:
    """Values a second of processor time."""
    with tempfile.TemporaryDirectory() as folder, closing(LatchFile.open(Path(folder) / "latches")) as latches:
        depot = Depot(latches, packs)
        watch = cProfile.Profile() if profile else None
        gc.collect()
        began = time.process_time()
        if watch is not None:
            watch.enable()
        for second, pack, payload, _ in made:
            depot.clock.passed_s = float(second)
            depot.take(depot.packs[pack], payload)
        if watch is not None:
            watch.disable()
            pstats.Stats(watch).sort_stats("tottime").print_stats(22)
        took_s = time.process_time() - began
        assert not depot.guard.rejections.counts, depot.guard.rejections.counts
        tripped = len(depot.guard.tripped)
    values = sum(count for *_, count in made)
    rate = values / took_s
    size = sum(len(payload) for _, _, payload, _ in made) / len(made)
    told = {
        "what": name,
        "values_per_s": round(rate),
        "messages_per_s": round(len(made) / took_s),
        "us_per_message": round(took_s / len(made) * 1e6),
    }
    print(write_evidence("telemetry_ingest", told | {"messages": len(made), "bytes": round(size), "packs": packs, "tripped": tripped}))
    return rate


def by_can(seed: int, packs: int, seconds: int) -> bool:
    """The same for frames: cut out, gathered into samples, judged. Whether the goal was reached."""
    rng, theirs = random.Random(seed), Database()
    theirs.add_dbc_file(str(files("bms_bridge.can") / "maps" / f"{EXAMPLE}.dbc"))
    binding = bind(PackMap.named(EXAMPLE), Dbc.named(EXAMPLE))

    def frame(name: str, **signals: float) -> CanFrame:
        message = theirs.get_message_by_name(name)
        full = {signal.name: signals.get(signal.name, 0) for signal in message.signals if not signal.multiplexer_ids}
        return CanFrame(0.0, message.frame_id, False, message.encode({**full, **signals}, strict=False))

    rounds, values = [], 0
    for second in range(seconds):
        made = [
            frame("PackState", Voltage=CELLS * 3.31, Current=-150, Soc=40 + second * 0.01, Soh=97),
            frame("PackLimits", ChargeCurrent=200, ChargeVoltage=360, Insulation=900),
            frame("Version", Major=2, Minor=0, Patch=17),
            frame("Faults"),
        ]
        cells = [3310 + rng.randrange(-8, 8) for _ in range(CELLS)]
        made += [frame("CellVoltages", Block=b, **{f"Cell_{3 * b + k:03d}": cells[3 * b + k] for k in range(3)}) for b in range(CELLS // 3)]
        heat = [round(31 + second * 0.002 + rng.uniform(-0.5, 0.5), 1) for _ in range(24)]
        made += [
            frame("CellTemperatures", TemperatureBlock=b, **{f"Sensor_{3 * b + k:02d}": heat[3 * b + k] for k in range(3)})
            for b in range(8)
        ]
        rounds.append(made)
        values += CELLS + 24 + 7
    with tempfile.TemporaryDirectory() as folder, closing(LatchFile.open(Path(folder) / "latches")) as latches:
        depot = Depot(latches, packs)
        gatherers = {pack: Gatherer(binding) for pack in depot.packs}
        samples = 0
        gc.collect()
        began = time.process_time()
        for second, made in enumerate(rounds):
            depot.clock.passed_s = float(second)
            for pack, gatherer in gatherers.items():
                for one in made:
                    gatherer.hear(one, float(second))
                if gatherer.due(float(second)):
                    depot.guard.heard(gatherer.take(pack, float(second), received_at=depot.clock.now()))
                    samples += 1
        took_s = time.process_time() - began
        assert samples >= packs * (seconds - 2)
        assert not depot.guard.rejections.counts, depot.guard.rejections.newest[-1]
    frames = packs * sum(map(len, rounds))
    rate = packs * values / took_s
    row = {"what": "can", "values_per_s": round(rate), "frames_per_s": round(frames / took_s), "samples": samples, "packs": packs}
    print(write_evidence("telemetry_ingest", row))
    return rate >= GOAL_PER_S


def hostile(rng: random.Random, sound: list[bytes]) -> bytes:
    """A message that nobody should send."""
    kind = rng.randrange(10)
    data = bytearray(rng.choice(sound))
    if kind == 0:
        return bytes(data[: rng.randrange(len(data))])
    if kind == 1:
        for _ in range(rng.randrange(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(data)
    if kind == 2:
        return rng.randbytes(rng.randrange(2000))
    if kind == 3:
        return rng.choice([b"[", b'{"a":', b'"\\u00']) * rng.randrange(1, 5000)
    if kind == 4:
        return bytes(data) * rng.randrange(2, 40)
    said = (
        json.loads(data)
        if data[:1] == b"{"
        else {"schema": "pack_telemetry/2", "reported_at": "2026-11-20T19:42:00Z", "temperatures_c": [1]}
    )
    name = rng.choice(list(said))
    strange: list[object] = [
        None, True, -1e308, 1e308, 10**30, "x", "", [], {}, [None] * 64, [[1]], "MAT445401JPA12345", "\u0000", "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z", "1970-01-01T00:00:00+14:00", -40, 200, 215, 65535, 2**63, [1e300] * 64, [-0.0] * 4,
    ]  # fmt: skip
    said[name] = rng.choice(strange)
    if kind == 5:
        said["".join(rng.choices(string.printable, k=8))] = rng.choice(strange)
    if kind == 6:
        said["reported_at"] = (START + timedelta(seconds=rng.uniform(-1e9, 1e9))).isoformat() + rng.choice(["", "Z", "+99:00"])
    if kind == 7:
        said |= {
            "schema": "pack_telemetry/2",
            "firmware": "".join(rng.choices(string.printable, k=rng.randrange(60))),
            "boot": 2**31,
            "sequence": 0,
        }
    if kind == 8:
        said |= {"schema": "pack_telemetry/2", "cells_v": [rng.choice([None, 3.3, -1, 1e9]) for _ in range(rng.randrange(1100))]}
    return json.dumps(said).encode()


def fuzzed(count: int, seed: int, sound: list[bytes]) -> int:
    """How many of so many hostile messages raised anything (0), with what memory grew by."""
    rng, raised, worst = random.Random(seed), 0, 0.0
    with tempfile.TemporaryDirectory() as folder, closing(LatchFile.open(Path(folder) / "latches")) as latches:
        depot = Depot(latches, 20)
        refused = taken = 0
        before = 0
        tracemalloc.start()
        for number in range(count):
            if number == count // 5:  # what is kept of the newest is full by now
                gc.collect()
                before, _ = tracemalloc.get_traced_memory()
            depot.clock.passed_s += rng.choice([0.0, 0.5, 30.0])
            pack = rng.choice([*depot.packs, PackKey("stranger", "P1")])
            topic = (
                topic_of(DEPOT, pack)
                if rng.random() < 0.95
                else rng.choice(["", "/", "chargeyard/v1/bench/vehicles/a/packs/b/c", "\u0000", "x" * 70_000])
            )
            payload = hostile(rng, sound)
            began = time.perf_counter()
            try:
                found = read(DEPOT, topic, payload, received_at=depot.clock.now(), retained=rng.random() < 0.1)
                if isinstance(found, Rejection):
                    depot.guard.reject(found)
                    refused += 1
                else:
                    for sample in found.samples:
                        depot.guard.heard(sample)
                    depot.guard.pseudonyms.message(payload)
                    taken += 1
            except Exception as error:  # noqa: BLE001  # this is what is looked for
                raised += 1
                print(f"message {number} raised {error!r}: {payload[:200]!r}", file=sys.stderr)
            worst = max(worst, time.perf_counter() - began)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    grown = after - before
    row = {
        "what": "fuzz",
        "n": count,
        "raised": raised,
        "refused": refused,
        "taken": taken,
        "grown_kb": round(grown / 1024),
        "worst_ms": round(worst * 1000, 1),
        "seed": seed,
    }
    print(write_evidence("telemetry_ingest", row))
    return raised + (grown > MOST_GROWTH)


Made = Callable[[int, int, int], Iterator[tuple[int, int, bytes, int]]]
KINDS: dict[str, Made] = {"v1": v1, "v2": v2, "packed": packed}


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--packs", type=int, default=200)
    asked.add_argument("--seconds", type=int, default=30, help="of each pack's messages, one a second")
    asked.add_argument("--fuzz", type=int, default=10_000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--only", choices=[*KINDS, "can", "fuzz"])
    asked.add_argument("--profile", action="store_true")
    told = asked.parse_args()
    logging.disable(logging.CRITICAL)
    slow = False
    for name, made in KINDS.items():
        if told.only in (None, name):
            rate = measured(name, list(made(told.seed, told.packs, told.seconds)), told.packs, profile=told.profile)
            slow |= rate < GOAL_PER_S
    if told.only in (None, "can"):
        slow |= not by_can(told.seed, min(50, told.packs), told.seconds)
    wrong = 0
    if told.only in (None, "fuzz"):
        sound = [payload for kind in KINDS.values() for *_, payload, _ in list(kind(told.seed, 3, 10))]
        wrong = fuzzed(told.fuzz, told.seed, sound)
    return 1 if slow or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
