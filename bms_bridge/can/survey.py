"""What is on a bus, signal by signal: how often each was told, its least, greatest and last value. For who writes a pack map.

Survey.hear(frame) --every signal of the DBC--> Seen(count, least, most, last)
unknown            identifiers that the DBC does not have, with their counts
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, isfinite
from typing import Final

from bms_bridge.can.cut import Field, Layout, Wanted
from bms_bridge.can.dbc import Dbc, DbcSignal
from bms_bridge.can.frame import CanFrame

MOST_UNKNOWN: Final = 4096
"""A bus has at most 2,048 standard identifiers; who invents extended ones costs no more than this."""


@dataclass(slots=True)
class Seen:
    """What one signal said, in the DBC's unit."""

    count: int = 0
    least: float = inf
    most: float = -inf
    last: float = 0.0


@dataclass(slots=True)
class Survey:
    """Of one DBC. ``frames``: of messages that it has."""

    dbc: Dbc
    frames: int = 0
    unknown: Counter[tuple[int, bool]] = field(default_factory=Counter)
    _signals: list[DbcSignal] = field(default_factory=list)
    _seen: list[Seen] = field(default_factory=list)
    _layouts: dict[tuple[int, bool], Layout] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for message in self.dbc.messages.values():
            wanted = []
            for signal in message.signals.values():
                chain = [*self.dbc.selectors_of(signal), signal]
                when = tuple((Field.of_signal(outer), frozenset(inner.selected_by)) for outer, inner in pairwise(chain))
                wanted.append(Wanted(len(self._signals), Field.of_signal(signal), when))
                self._signals.append(signal)
                self._seen.append(Seen())
            self._layouts[message.frame_id, message.extended] = Layout.of(wanted)

    def hear(self, frame: CanFrame) -> None:
        """One frame of any kind."""
        key = frame.can_id, frame.extended
        layout = self._layouts.get(key)
        if layout is None:
            if key in self.unknown or len(self.unknown) < MOST_UNKNOWN:
                self.unknown[key] += 1
            return
        self.frames += 1
        for number, raw in layout.cut(frame.data):
            signal, seen = self._signals[number], self._seen[number]
            value = raw * signal.scale + signal.offset
            if isfinite(value):
                seen.count += 1
                seen.least, seen.most, seen.last = min(seen.least, value), max(seen.most, value), value

    def rows(self) -> list[tuple[DbcSignal, Seen]]:
        """The signals that were told, in the DBC's order."""
        return [(signal, seen) for signal, seen in zip(self._signals, self._seen, strict=True) if seen.count]
