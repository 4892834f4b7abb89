"""How many CAN frames a second become values of a pack, on one core; the figures of ``docs/can.md``.

    python -m benchmarks.can_decode [--frames 100000]

Frames of the example pack (cells and sensors multiplexed, as fast as its DBC says they come) through map and gatherer, samples and
all; every signal for a survey; and a charging line of GB/T 27930 with its transport protocol. Encoded by cantools, not by what is measured.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cantools.database.can import Database

from bms_bridge.can.bind import bind
from bms_bridge.can.dbc import EXAMPLE, Dbc
from bms_bridge.can.frame import CanFrame, id_of
from bms_bridge.can.gather import Gatherer
from bms_bridge.can.pack_map import PackMap
from bms_bridge.can.survey import Survey
from bms_bridge.gbt_session import GbtListener
from depot.values import PackKey

PACK = PackKey("BUS1", "P1")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MAPS = Path(__file__).resolve().parents[1] / "bms_bridge" / "can" / "maps"
TIMES = 3


def vehicle_frames(count: int) -> list[CanFrame]:
    """A round: 32 blocks of cells, 8 of sensors, state, limits, faults, version; 50 rounds a second of one bus."""
    pack = Database()
    pack.add_dbc_file(str(MAPS / f"{EXAMPLE}.dbc"))
    rows: list[tuple[int, bytes]] = []
    for block in range(32):
        values = {"Block": block, **{f"Cell_{3 * block + k:03d}": 3300 + k for k in range(3)}}
        rows.append((514, pack.encode_message("CellVoltages", values)))
    for block in range(8):
        sensors = {"TemperatureBlock": block, **{f"Sensor_{3 * block + k:02d}": 25 + 0.1 * k for k in range(3)}}
        rows.append((515, pack.encode_message("CellTemperatures", sensors)))
    rows.append((512, pack.encode_message("PackState", {"Voltage": 630, "Current": 100, "Soc": 61.5, "Soh": 97, "Mode": 2})))
    rows.append((513, pack.encode_message("PackLimits", {"ChargeCurrent": 200, "ChargeVoltage": 700, "Insulation": 900})))
    rows.append((516, bytes(2)))
    rows.append((517, bytes([2, 0, 17])))
    return [CanFrame(0.0005 * n, rows[n % len(rows)][0], False, rows[n % len(rows)][1]) for n in range(count)]


def line_frames(count: int) -> list[CanFrame]:
    """BCL and CCS each 50 ms, BSM and (by the transport protocol) BCS each 250 ms."""
    to_charger, to_bms = {"source": 0xF4, "destination": 0x56}, {"source": 0x56, "destination": 0xF4}
    quick = [(id_of(0x1000, **to_charger), "A510580E02"), (id_of(0x1200, **to_bms), "050F580E0000FD")] * 5
    slow = [
        (id_of(0x1300, **to_charger), "1E3606350F0010"),
        (id_of(0xEC00, **to_charger, priority=7), "10090002FF001100"),
        (id_of(0xEC00, **to_bms, priority=7), "110201FFFF001100"),
        (id_of(0xEB00, **to_charger, priority=7), "01FE0E5A0E51414D"),
        (id_of(0xEB00, **to_charger, priority=7), "022B00FFFFFFFFFF"),
        (id_of(0xEC00, **to_bms, priority=7), "13090002FF001100"),
    ]
    rows = [(number, bytes.fromhex(data)) for number, data in quick + slow]
    return [CanFrame(n / 64, rows[n % len(rows)][0], True, rows[n % len(rows)][1]) for n in range(count)]


def gathered(frames: Sequence[CanFrame]) -> int:
    gatherer = Gatherer(bind(PackMap.named(EXAMPLE), Dbc.named(EXAMPLE)))
    for frame in frames:
        if gatherer.hear(frame, frame.at_s) and gatherer.due(frame.at_s):
            gatherer.take(PACK, frame.at_s, received_at=NOW)
    return gatherer.signals


def surveyed(frames: Sequence[CanFrame]) -> int:
    survey = Survey(Dbc.named(EXAMPLE))
    for frame in frames:
        survey.hear(frame)
    return sum(seen.count for _, seen in survey.rows())


def overheard(frames: Sequence[CanFrame]) -> int:
    line, values = GbtListener(lambda vin: vin[:0]), 0
    for frame in frames:
        if (message := line.hear(frame)) is not None:
            values += len(message.values)
        if line.due(frame.at_s):
            line.take(PACK, frame.at_s, received_at=NOW)
    return values


def measured(name: str, work: Callable[[Sequence[CanFrame]], int], frames: Sequence[CanFrame]) -> None:
    """The best of :data:`TIMES`: what else the machine does only slows it."""
    best_s, values = float("inf"), 0
    for _ in range(TIMES):
        begun_s = time.process_time()
        values = work(frames)
        best_s = min(best_s, time.process_time() - begun_s)
    print(f"| {name} | {len(frames) / best_s:,.0f} | {values / best_s:,.0f} | {1e6 * best_s / len(frames):.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100_000)
    count = parser.parse_args().frames
    print("| what | frames/s | values/s | µs a frame |\n|---|---|---|---|")
    measured("vehicle's bus, map and samples", gathered, vehicle_frames(count))
    measured("vehicle's bus, every signal surveyed", surveyed, vehicle_frames(count))
    measured("charging line, GB/T 27930", overheard, line_frames(count))


if __name__ == "__main__":
    main()
