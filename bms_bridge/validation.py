"""Whether to believe a sample. Pure: (memory, sample) -> (memory, checked).

    sample ──firmware profile──▶ order (repeated, lost) ──▶ clock (age, late) ──▶ sensors ──▶ numbers ──▶ cells ──▶ Checked

Nothing is thrown away here: a value that cannot be is left out with an :class:`~bms_bridge.issues.Issue`, the rest of the sample
counts. What a part looks at, and why, stands in its module:

    firmware       what a unit's program is known to do differently
    sample_order   what came before, what is missing
    sample_clock   a clock is never trusted; what is late says how things were, not how they are
    sensor_watch   temperatures that lie do not count as sensors; too hot is taken seriously from whoever says it
    number_watch   ranges, units, jumps, the charger's power
    cell_watch     cell voltages
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import Struct

from bms_bridge import cell_watch, number_watch, sample_clock, sample_order, sensor_watch
from bms_bridge.cell_watch import CellTrack
from bms_bridge.charging import Charging
from bms_bridge.contract import PackSample, Source
from bms_bridge.firmware import Profiles, read_by
from bms_bridge.issues import Issue, IssueKind
from bms_bridge.number_watch import NumberTrack
from bms_bridge.sample_clock import LATE_S, ClockTrack
from bms_bridge.sample_order import OrderTrack
from bms_bridge.sensor_watch import COLDEST_C, HOTTEST_C, SAME_CHANGES, STUCK_OTHERS_K, STUCK_S, SensorTrack
from depot.values import PackKey

__all__ = [
    "ALONE", "COLDEST_C", "HOTTEST_C", "LATE_S", "SAME_CHANGES", "STUCK_OTHERS_K", "STUCK_S", "TOO_OLD_S", "Around", "Checked",
    "Issue", "IssueKind", "Memory", "check",
]  # fmt: skip

TOO_OLD_S: Final = 900.0
"""A sample that is older than this says nothing at all."""


MOST_BALANCING_A: Final = 50.0
"""No balancer takes more from a cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is known beside what the pack says. ``charging``: the session that charges it now, None where there is none.
    ``profiles``: of firmware; one that stands in none of them is told of where there are any."""

    charging: Callable[[], Charging | None] = lambda: None
    profiles: Profiles = field(default_factory=Profiles)


ALONE: Final = Around()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What of a sample can be believed. ``temperatures_c``: (sensor's number, °C) of all that can be. ``distinct``: how many
    different sensors these are. ``age_s``: how long before it came it was true. ``late``: it says how things were.
    ``repeated``: it came before, word for word (then it is late too). ``cells_v``, ``balancing_a``: by cell, None where that cannot be
    believed; ``cell_min_v``, ``cell_max_v``: the more dangerous of what the unit and its cells say. ``doubtful_cells``: stuck ones."""

    pack: PackKey
    source: Source
    temperatures_c: tuple[tuple[int, float], ...]
    distinct: int
    age_s: float
    late: bool
    repeated: bool = False
    soc: float | None = None
    soh: float | None = None
    current_a: float | None = None
    voltage_v: float | None = None
    cell_min_v: float | None = None
    cell_max_v: float | None = None
    cells_v: tuple[float | None, ...] = ()
    balancing_a: tuple[float | None, ...] = ()
    doubtful_cells: tuple[int, ...] = ()
    insulation_ohm: float | None = None
    limit_a: float | None = None
    limit_v: float | None = None
    stop: bool = False
    alarms: tuple[str, ...] = ()
    firmware: str = ""
    uncertainty_c: float = 0.0
    issues: tuple[Issue, ...] = ()

    hottest_c: float | None = field(init=False)
    coldest_c: float | None = field(init=False)

    def __post_init__(self) -> None:
        values = [c for _, c in self.temperatures_c]
        object.__setattr__(self, "hottest_c", max(values, default=None))
        object.__setattr__(self, "coldest_c", min(values, default=None))

    @property
    def spread_c(self) -> float:
        return 0.0 if self.hottest_c is None or self.coldest_c is None else self.hottest_c - self.coldest_c

    @property
    def too_old(self) -> bool:
        return self.age_s > TOO_OLD_S


class Memory(Struct, frozen=True):
    """What is remembered of one pack and source between samples. ``said``: a mark of the newest sample's values. ``profile``: the
    pattern of the firmware profile by which it is read, "" for none.
    ``pace``: lateness is borne so many times longer (see :class:`~bms_bridge.thermal.PackState`)."""

    order: OrderTrack = msgspec.field(default_factory=OrderTrack)
    clock: ClockTrack = msgspec.field(default_factory=ClockTrack)
    sensors: SensorTrack = msgspec.field(default_factory=SensorTrack)
    numbers: NumberTrack = msgspec.field(default_factory=NumberTrack)
    cells: CellTrack = msgspec.field(default_factory=CellTrack)
    said: int = 0
    firmware: str | None = None
    profile: str = ""
    pace: float = 1.0


def check(memory: Memory, sample: PackSample, around: Around = ALONE) -> tuple[Memory, Checked]:
    """``sample`` as far as it can be believed, and the memory with it."""
    issues: list[Issue] = []
    profile = around.profiles.of_firmware(sample.firmware)
    if sample.firmware != memory.firmware:
        memory = _other_firmware(memory, sample, issues)
        if profile is None and around.profiles.profiles and sample.firmware:
            issues.append(Issue(IssueKind.FIRMWARE, f"no profile knows its firmware {sample.firmware!r}; it is taken as the contract says"))
    if profile is not None:
        sample = read_by(profile, sample, issues)
    received_s = sample.received_at.timestamp()
    said = sample_order.values_of(sample)
    mark = sample_order.mark_of(sample, said)
    stands = memory.clock.stands(received_s, memory.pace)
    order, repeated = sample_order.ordered(memory.order, sample, mark, clock_stands=stands, issues=issues)
    clock, age_s, late = memory.clock, 0.0, True
    if not repeated:
        clock, age_s, late = sample_clock.placed(
            memory.clock,
            received_s,
            None if sample.reported_at is None else sample.reported_at.timestamp(),
            retained=sample.retained,
            changed=said != memory.said,
            pace=memory.pace,
            issues=issues,
        )
    valid = sensor_watch.believable(sample.temperatures_c, issues)
    if late:
        # it says how things were: its values are looked at, but nothing is learned of them
        sensors, doubtful, numbers_track, cells_track = memory.sensors, 0, memory.numbers, memory.cells
        _, numbers = number_watch.watched(
            NumberTrack(foreign=memory.numbers.foreign), sample, now_s=received_s, charging=ALONE.charging, issues=issues
        )
        _, cells = _cells(CellTrack(number=memory.cells.number), sample, numbers, received_s, issues)
    else:
        sensors, doubtful = sensor_watch.watched(memory.sensors, len(sample.temperatures_c), valid, now_s=received_s, issues=issues)
        numbers_track, numbers = number_watch.watched(memory.numbers, sample, now_s=received_s, charging=around.charging, issues=issues)
        cells_track, cells = _cells(memory.cells, sample, numbers, received_s, issues)
    profile_name = "" if profile is None else profile.firmware
    memory = Memory(order, clock, sensors, numbers_track, cells_track, said, memory.firmware, profile_name, memory.pace)
    return memory, Checked(
        pack=sample.pack,
        source=sample.source,
        temperatures_c=tuple(valid),
        distinct=len(valid) - doubtful,
        age_s=age_s,
        late=late,
        repeated=repeated,
        soc=numbers["soc"],
        soh=numbers["soh"],
        current_a=numbers["current_a"],
        voltage_v=numbers["voltage_v"],
        cell_min_v=cells.lowest_v,
        cell_max_v=cells.highest_v,
        cells_v=cells.cells_v,
        doubtful_cells=cells.doubtful,
        balancing_a=tuple([value if value is not None and 0 <= value <= MOST_BALANCING_A else None for value in sample.balancing_a]),
        insulation_ohm=numbers["insulation_ohm"],
        limit_a=numbers["limit_a"],
        limit_v=numbers["limit_v"],
        stop=sample.stop,
        alarms=sample.alarms,
        firmware=sample.firmware,
        uncertainty_c=sample.uncertainty_c,
        issues=tuple(issues),
    )


def _cells(
    track: CellTrack, sample: PackSample, numbers: dict[str, float | None], now_s: float, issues: list[Issue]
) -> tuple[CellTrack, cell_watch.Cells]:
    return cell_watch.watched(
        track,
        sample.cells_v,
        lowest_v=numbers["cell_min_v"],
        highest_v=numbers["cell_max_v"],
        voltage_v=numbers["voltage_v"],
        current_a=numbers["current_a"],
        now_s=now_s,
        issues=issues,
    )


def _other_firmware(memory: Memory, sample: PackSample, issues: list[Issue]) -> Memory:
    """The memory of a unit whose program is another one now: what it does wrong is learned anew, its clock is what it was."""
    if memory.firmware is not None:
        issues.append(Issue(IssueKind.FIRMWARE, f"its firmware is {sample.firmware!r} now, before it was {memory.firmware!r}"))
        memory = msgspec.structs.replace(
            memory, numbers=NumberTrack(memory.numbers.soc, memory.numbers.soc_s), cells=CellTrack(), sensors=SensorTrack()
        )
    return msgspec.structs.replace(memory, firmware=sample.firmware)
