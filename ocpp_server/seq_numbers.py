"""Which sequence numbers of a transaction were heard: ranges, because they come nearly in order. Bounded."""

from __future__ import annotations

from collections.abc import Iterable

RANGES_MOST = 64
"""A station that skips more numbers than this gets its lowest ones forgotten: they may be handled again, which is harmless."""


class SeqNumbers:
    """A set of integers that grows at its end."""

    __slots__ = ("_ranges",)

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._ranges = [[low, high] for low, high in ranges]

    def __contains__(self, number: int) -> bool:
        return any(low <= number <= high for low, high in reversed(self._ranges))

    def add(self, number: int) -> None:
        """Keep the ranges ascending, apart and few."""
        ranges = self._ranges
        if ranges and number == ranges[-1][1] + 1:  # nearly always
            ranges[-1][1] = number
            return
        if number in self:
            return
        at = next((n for n, (low, _) in enumerate(ranges) if number < low), len(ranges))
        ranges.insert(at, [number, number])
        for left in (at, at - 1):
            if 0 <= left < len(ranges) - 1 and ranges[left][1] + 1 == ranges[left + 1][0]:
                ranges[left][1] = ranges.pop(left + 1)[1]
        if len(ranges) > RANGES_MOST:
            del ranges[0]

    @property
    def newest(self) -> int:
        """The highest; -1: none was heard."""
        return self._ranges[-1][1] if self._ranges else -1

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        return tuple([(low, high) for low, high in self._ranges])
