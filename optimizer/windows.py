"""Demand windows: which part of which slot a demand block holds, whatever the lengths of both.

A utility bills the mean power of blocks of 15 or 30 minutes of the local clock; a plan has slots of its own. A block may
hold several slots, a part of one, or parts of two (15 minutes over slots of 10). Within a slot the plan's power is constant,
so that the blocks which lie in one slot alone are all the same one, and only the first of them is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from optimizer.errors import InvalidProblem

FloatArray = npt.NDArray[np.float64]
IntpArray = npt.NDArray[np.intp]

EPS = 1e-9


@dataclass(frozen=True, eq=False, slots=True)
class Windows:
    """The parts of slots in blocks, ordered by slot: ``slot`` and ``block`` of each part and how many ``hours`` of it are ahead.
    ``block_hours`` [block]: what is ahead of each, all of its parts together; ``ends`` [block]: where it ends, in slots."""

    slot: IntpArray
    block: IntpArray
    hours: FloatArray
    block_hours: FloatArray
    ends: FloatArray

    @property
    def last_slots(self) -> IntpArray:
        """[block] the slot in which it ends, which is what it is called by in whichever horizon it lies."""
        last: IntpArray = np.ceil(self.ends - EPS).astype(np.intp) - 1
        return last

    @property
    def last_parts(self) -> IntpArray:
        """[block] how long before the end of that slot, in sixtieths of it: two blocks may end in one slot."""
        parts: IntpArray = np.rint(60 * (self.last_slots + 1 - self.ends)).astype(np.intp)
        return parts

    def means(self, power_kw: FloatArray) -> FloatArray:
        """[block] mean of a power per slot, as far as the block lies in the horizon."""
        means: FloatArray = np.bincount(self.block, power_kw[self.slot] * self.hours) / self.block_hours
        return means

    def holding(self, slots: npt.NDArray[np.integer]) -> IntpArray:
        """The blocks that hold a part of one of ``slots``."""
        found: IntpArray = np.unique(self.block[np.isin(self.slot, slots)])
        return found

    def parts(self, blocks: npt.NDArray[np.integer], slots: npt.NDArray[np.integer]) -> tuple[IntpArray, IntpArray, FloatArray]:
        """Of the parts of ``slots`` (ascending) in ``blocks``: place of the block in ``blocks`` and of the slot in ``slots``, and
        its share of the block."""
        mine = np.isin(self.block, blocks) & np.isin(self.slot, slots)
        block, slot = self.block[mine], self.slot[mine]
        return np.searchsorted(blocks, block), np.searchsorted(slots, slot), self.hours[mine] / self.block_hours[block]


def windows_of(hours: FloatArray, *, slot_h: float, interval_slots: float, offset_slots: float) -> Windows:
    """``hours`` [slot] ahead of each slot (the first may be partly over); a block is ``interval_slots`` long, and the first one
    began ``offset_slots`` before slot 0."""
    begins = np.arange(len(hours), dtype=np.float64)
    ends = begins + 1
    begins[0] = 1 - hours[0] / slot_h
    first = np.floor((begins + offset_slots) / interval_slots + EPS).astype(np.intp)
    last = np.maximum(np.ceil((ends + offset_slots) / interval_slots - EPS).astype(np.intp) - 1, first)
    counts = last - first + 1
    slot = np.repeat(np.arange(len(hours), dtype=np.intp), counts)
    block = first[slot] + np.arange(len(slot)) - np.repeat(np.cumsum(counts) - counts, counts)
    low = np.maximum(begins[slot], block * interval_slots - offset_slots)
    high = np.minimum(ends[slot], (block + 1) * interval_slots - offset_slots)
    part_h = np.where((counts == 1)[slot], hours[slot], (high - low) * slot_h)
    inside = np.flatnonzero((np.bincount(block) == 1)[block])  # parts that are a whole block of one slot
    same = inside[1:][slot[inside[1:]] == slot[inside[:-1]]]
    slot, block, part_h = np.delete(slot, same), np.delete(block, same), np.delete(part_h, same)
    kept, block = np.unique(block, return_inverse=True)
    block = block.astype(np.intp)
    block_hours = np.asarray(np.bincount(block, part_h), dtype=np.float64)
    return Windows(slot, block, part_h, block_hours, (kept + 1) * interval_slots - offset_slots)


def clock_blocks(start: datetime, *, slot_minutes: float, block_minutes: float) -> tuple[float, float]:
    """Length of a demand block in slots, and how much of the first one lies before ``start``: blocks follow the clock that
    ``start`` shows, from its midnight on. Raises :class:`InvalidProblem` for blocks that do not fill a day."""
    if not 0 < block_minutes <= 1440 or abs(1440 / block_minutes - round(1440 / block_minutes)) > EPS:
        raise InvalidProblem(f"demand blocks of {block_minutes:g} min do not fill a day; use 15 or 30")
    minute = start.hour * 60 + start.minute + start.second / 60 + start.microsecond / 6e7
    offset = minute % block_minutes
    if offset < EPS * 1440 or block_minutes - offset < EPS * 1440:
        offset = 0.0
    per_slot = slot_minutes / block_minutes
    if offset == 0.0 and abs(per_slot - round(per_slot)) < EPS:
        return 1.0, 0.0  # a slot holds whole blocks, all with its own mean
    return block_minutes / slot_minutes, offset / slot_minutes
