"""Which samples were heard before: a unit sends again what was not confirmed, a broker delivers at least once.

A sample is known by its pack and its unit's count over all starts (:func:`bms_bridge.contract.numbered`). What was heard is
kept as spans of counts, which grow together as gaps are filled: a stream without loss is one span, however long.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from depot.values import PackKey

MOST_SPANS: Final = 64
"""Of one pack. With more gaps than that the oldest spans become one: what lies between them counts as heard."""


class Repeats:
    """What was heard of each pack. Bounded by the packs that are asked for: ask for known ones only."""

    def __init__(self) -> None:
        self._spans: dict[PackKey, list[list[int]]] = {}

    def new(self, pack: PackKey, sequence: int) -> bool:
        """Whether this one was not heard before; from now on it was."""
        spans = self._spans.setdefault(pack, [])
        if spans and sequence == spans[-1][1] + 1:  # nearly always
            spans[-1][1] = sequence
            return True
        at = bisect_right(spans, sequence, key=_first) - 1
        if at >= 0 and sequence <= spans[at][1]:
            return False
        if at >= 0 and sequence == spans[at][1] + 1:
            spans[at][1] = sequence
        else:
            at += 1
            spans.insert(at, [sequence, sequence])
        if at + 1 < len(spans) and spans[at + 1][0] == sequence + 1:
            spans[at][1] = spans.pop(at + 1)[1]
        if len(spans) > MOST_SPANS:
            spans[0][1] = spans.pop(1)[1]
        return True


def _first(span: list[int]) -> int:
    return span[0]
