"""Signals cut out of a frame's bytes, one by one. Pure; no bytes whatsoever raise.

    Field.of(data) -> raw count | None (not wholly in the frame)

cantools reads the DBC; its own decoder packs all signals of a message into one format string and shifts what lies behind two
signals that overlap, without a word. A DBC that is loaded although it is broken has such messages. Here each signal is cut
by its own position, and only those that somebody wants. A test compares the two on messages that are sound.

A message whose layout depends on a selector (multiplexed) is cut by its selector's value; a value that no signal has gives
the fixed signals only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bms_bridge.can.dbc import DbcSignal

_FLOATS = {16: "<e", 32: "<f", 64: "<d"}


@dataclass(frozen=True, slots=True)
class Field:
    """Where a signal lies. ``at``: its first bit, counted from the least significant one of the frame read as one
    little-endian number; for big-endian from the most significant one of the frame read as one big-endian number."""

    at: int
    length: int
    little_endian: bool
    signed: bool = False
    float_format: str = ""

    @classmethod
    def of_signal(cls, signal: DbcSignal) -> Field:
        """A DBC counts bits in a saw-tooth: a big-endian signal's start is its most significant bit."""
        at = signal.start if signal.little_endian else 8 * (signal.start // 8) + 7 - signal.start % 8
        return cls(at, signal.length, signal.little_endian, signal.signed, _FLOATS.get(signal.length, "") if signal.is_float else "")

    def raw(self, little: int, big: int, bits: int) -> int | float | None:
        """The raw count in a frame of ``bits`` bits, read both ways; None: it is not wholly in there."""
        end = self.at + self.length
        if end > bits:
            return None
        count = (little >> self.at if self.little_endian else big >> bits - end) & (1 << self.length) - 1
        if self.float_format:
            return float(struct.unpack(self.float_format, count.to_bytes(self.length // 8, "little"))[0])
        if self.signed and count >> self.length - 1:
            count -= 1 << self.length
        return count


@dataclass(frozen=True, slots=True)
class Wanted:
    """A signal that is wanted, and the number under which its value is handed on. ``when``: (selector, its values) from the
    outermost selector on, that must all fit."""

    slot: int
    field: Field
    when: tuple[tuple[Field, frozenset[int]], ...] = ()


@dataclass(slots=True)
class Layout:
    """All that is wanted of one message. ``fixed``: always there; ``chosen``: by the selector's value."""

    fixed: list[tuple[int, Field]] = field(default_factory=list)
    selectors: dict[Field, dict[int, Layout]] = field(default_factory=dict)

    @classmethod
    def of(cls, wanted: Iterable[Wanted]) -> Layout:
        """In the order of ``wanted``."""
        layout = cls()
        for one in wanted:
            layout._add(one.slot, one.field, one.when)
        return layout

    def _add(self, slot: int, where: Field, when: Sequence[tuple[Field, frozenset[int]]]) -> None:
        if not when:
            self.fixed.append((slot, where))
            return
        (selector, values), *rest = when
        choices = self.selectors.setdefault(selector, {})
        for value in values:
            choices.setdefault(value, Layout())._add(slot, where, rest)

    def cut(self, data: bytes) -> list[tuple[int, int | float]]:
        """(slot, raw count) of all that is there."""
        found: list[tuple[int, int | float]] = []
        self._cut(int.from_bytes(data, "little"), int.from_bytes(data, "big"), 8 * len(data), found)
        return found

    def _cut(self, little: int, big: int, bits: int, found: list[tuple[int, int | float]]) -> None:
        for slot, where in self.fixed:
            raw = where.raw(little, big, bits)
            if raw is not None:
                found.append((slot, raw))
        for selector, choices in self.selectors.items():
            value = selector.raw(little, big, bits)
            inner = choices.get(value) if value is not None else None  # type: ignore[arg-type]  # a selector is no float
            if inner is not None:
                inner._cut(little, big, bits, found)
