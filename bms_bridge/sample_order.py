"""Whether a sample came before, and whether some are missing: by its time, its sequence number and what it says. Pure.

A sample that came before (a broker's second delivery, a store that is emptied twice, a unit that repeats itself) says nothing
new: it neither refreshes nor clears anything. The sequence number alone is no proof of that, because some units send the same
one for ever; it must come with the same time and the same values.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from bms_bridge.contract import PackSample
from bms_bridge.issues import Issue, IssueKind

SEEN: Final = 64
"""So many of the last samples are remembered, by a mark of their content."""

MOST_LOST: Final = 1_000_000
"""A larger gap is a unit that has begun to count anew."""


class OrderTrack(Struct, frozen=True):
    """``marks``: of the last samples, newest last. ``sequence``: the newest one's number."""

    marks: tuple[int, ...] = ()
    sequence: int | None = None
    at_s: float = 0.0


def values_of(sample: PackSample) -> int:
    """A mark of what a sample says, whenever it says it."""
    s = sample
    numbers = (s.soc, s.current_a, s.voltage_v, s.cell_min_v, s.cell_max_v, s.insulation_ohm, s.limit_a, s.limit_v, s.soh, s.stop)
    return hash((s.temperatures_c, numbers, s.cells_v, s.balancing_a, s.alarms, s.firmware))


def mark_of(sample: PackSample, values: int) -> int:
    """A mark of a sample: the same for one that says the same thing of the same moment, and in practice for no other."""
    return hash((sample.reported_at, sample.sequence, values))


def ordered(track: OrderTrack, sample: PackSample, mark: int, *, clock_stands: bool, issues: list[Issue]) -> tuple[OrderTrack, bool]:
    """The track with one more sample, and whether that came before. ``clock_stands``: its time says nothing, so that only the
    very last one is compared."""
    if sample.reported_at is None:
        return track, False
    repeated = mark in (track.marks[-1:] if clock_stands else track.marks)
    if repeated:
        issues.append(Issue(IssueKind.REPEATED, "it came before, word for word"))
        return track, True
    marks = (*track.marks, mark)[-SEEN:]
    sequence, reported_s = sample.sequence, sample.reported_at.timestamp()
    if sequence is None or sample.retained:
        return OrderTrack(marks, track.sequence, track.at_s), False
    before = track.sequence
    if before is not None and sequence > before + 1 and reported_s >= track.at_s:
        lost = sequence - before - 1
        if lost <= MOST_LOST:
            issues.append(Issue(IssueKind.LOST, f"{lost} sample{'s' if lost > 1 else ''} before it did not come"))
    if before is not None and reported_s < track.at_s:
        return OrderTrack(marks, before, track.at_s), False
    return OrderTrack(marks, sequence, reported_s), False
