"""What every vehicle drew and should have drawn by the plan, slot by slot, over the last day.

    looks --power x time--> running slot --closed--> the last KEEP_SLOTS slots

Readings, not facts: kept in memory, unknown after a restart (the site's own minutes are on disk, see ``controller.history``).
Pure: fed with powers and a time, bounded by slots and by marks in a slot.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

KEEP = timedelta(hours=24)
LONGEST_S = 120.0
"""A look that comes later than this after the one before says nothing of the time between."""


class Mark(NamedTuple):
    """Whose power it is: a vehicle (or, of an unannounced session, its charger) on a feeder."""

    name: str
    feeder_id: str


@dataclass(frozen=True, slots=True)
class SlotTrail:
    """A closed slot. ``drawn_w``, ``planned_w``: means over the time that was seen, in the order of ``marks``; ``planned``:
    whether a plan was in force in it."""

    at: datetime
    marks: tuple[Mark, ...]
    drawn_w: array[int]
    planned_w: array[int]
    planned: bool


@dataclass(slots=True)
class PlanTrail:
    """Feed :meth:`look` every few seconds. ``slot_s``: length of a slot, as the planner's."""

    slot_s: int
    closed: deque[SlotTrail] = field(init=False)
    _at: datetime | None = None
    _last: datetime | None = None
    _seen_s: float = 0.0
    _planned_s: float = 0.0
    _drawn: dict[Mark, float] = field(default_factory=dict)
    _planned: dict[Mark, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.closed = deque(maxlen=max(1, int(KEEP.total_seconds() // self.slot_s)))

    def look(self, now: datetime, slot: datetime, drawn_w: Mapping[Mark, int], planned_w: Mapping[Mark, int] | None) -> None:
        """What flows at ``now``, in the slot that begins at ``slot``, and what the plan says; None: no plan is in force."""
        elapsed = 0.0 if self._last is None else (now - self._last).total_seconds()
        self._last = now
        if slot != self._at:
            self._close()
            self._at = slot
            elapsed = min(elapsed, (now - slot).total_seconds())
        if not 0 < elapsed <= LONGEST_S:
            return
        self._seen_s += elapsed
        for mark, watts in drawn_w.items():
            if watts:
                self._drawn[mark] = self._drawn.get(mark, 0.0) + watts * elapsed
        if planned_w is None:
            return
        self._planned_s += elapsed
        for mark, watts in planned_w.items():
            if watts:
                self._planned[mark] = self._planned.get(mark, 0.0) + watts * elapsed

    def slots(self) -> Iterator[SlotTrail]:
        """The closed slots, oldest first, then the running one as far as it was seen."""
        yield from self.closed
        running = self._running()
        if running is not None:
            yield running

    def _running(self) -> SlotTrail | None:
        if self._at is None or not self._seen_s:
            return None
        marks = tuple(dict.fromkeys((*self._drawn, *self._planned)))
        drawn = array("i", (round(self._drawn.get(mark, 0.0) / self._seen_s) for mark in marks))
        planned_s = self._planned_s or 1.0
        planned = array("i", (round(self._planned.get(mark, 0.0) / planned_s) for mark in marks))
        return SlotTrail(self._at, marks, drawn, planned, self._planned_s > 0)

    def _close(self) -> None:
        running = self._running()
        if running is not None:
            self.closed.append(running)
        self._seen_s = self._planned_s = 0.0
        self._drawn, self._planned = {}, {}
