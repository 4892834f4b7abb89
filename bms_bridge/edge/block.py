"""What a packed message of telemetry holds, and its bounds; :mod:`bms_bridge.edge.wire` turns it into bytes and back.

    Block ──readings()──▶ (sequence, Reading) …

Every value is a whole number of steps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

MARK: Final = 0xC1
"""The first byte; no JSON text and no UTF-8 begins with it."""

VERSION: Final = 2
MOST_BYTES: Final = 16_384
MOST_ROWS: Final = 1_024
MOST_VALUES: Final = 65_536
MOST_ALARMS: Final = 32
MOST_TEXT: Final = 48
MOST_BOOT: Final = 2**32 - 1
MOST_SEQUENCE: Final = 2**31 - 1
MOST_MS: Final = 253_402_300_799_999
"""The end of the year 9999."""

MOST_STEP: Final = 1_000_000
MOST_TICK_MS: Final = 60_000
MOST_INDEX: Final = 2**47

HISTORY: Final = 1
CRC_BYTES: Final = 4
"""HISTORY: a bit of the third byte. The checksum is the message's end."""

ALARM: Final = re.compile(r"[a-z][a-z0-9_]{0,47}")
TEXT: Final = re.compile(rf"[ -~]{{0,{MOST_TEXT}}}")


@dataclass(frozen=True, slots=True)
class Group:
    """Signals of one kind. A value is ``index × step / 10^decimals``. ``most``: signals at most; 1: a single one."""

    id: int
    name: str
    decimals: int
    most: int = 1

    @property
    def unit(self) -> float:
        """The least step."""
        return float(10.0**-self.decimals)


GROUPS: Final = (
    Group(1, "temperatures_c", 2, 64),
    Group(2, "cells_v", 4, 1024),
    Group(3, "soc", 4),
    Group(4, "current_a", 2),
    Group(5, "voltage_v", 2),
    Group(6, "cell_min_v", 4),
    Group(7, "cell_max_v", 4),
    Group(8, "insulation_ohm", 0),
    Group(9, "limit_a", 2),
    Group(10, "limit_v", 2),
    Group(11, "soh", 4),
    Group(12, "stop", 0),
    Group(13, "alarms", 0),
    Group(14, "balancing_a", 3, 1024),
)
"""All that can be said. ``stop``: 0 or 1. ``alarms``: a bit for each name in the message's own list, the first one lowest."""

BY_ID: Final = {group.id: group for group in GROUPS}
BY_NAME: Final = {group.name: group for group in GROUPS}
EXACT: Final = frozenset({"stop", "alarms"})
"""Groups that are no measurement: always told as they are."""

Row = tuple[int | None, ...]
"""Indices of all columns of a message; None: no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a unit knows of its pack at one moment; names and units are the contract's. ``at_ms``: Unix milliseconds of the
    unit's clock. None: not known now."""

    at_ms: int
    temperatures_c: tuple[float | None, ...] = ()
    cells_v: tuple[float | None, ...] = ()
    balancing_a: tuple[float | None, ...] = ()
    soc: float | None = None
    current_a: float | None = None
    voltage_v: float | None = None
    cell_min_v: float | None = None
    cell_max_v: float | None = None
    insulation_ohm: float | None = None
    limit_a: float | None = None
    limit_v: float | None = None
    soh: float | None = None
    stop: bool = False
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One group in a message: ``width`` signals, told in whole numbers of ``step`` (in the group's least steps)."""

    group: Group
    width: int
    step: int

    def value(self, index: int | None) -> float | None:
        return None if index is None else float(index * self.step / 10**self.group.decimals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A message. ``history``: it says how things were; ``dropped``: so many readings before or in it were given up for want of
    room. ``ticks``: when each row was, in ``tick_ms`` since ``first_ms``. ``sequences``: the unit's own count, growing."""

    boot: int
    firmware: str = ""
    history: bool = False
    dropped: int = 0
    first_ms: int
    tick_ms: int = 1
    alarms: tuple[str, ...] = ()
    parts: tuple[Part, ...]
    ticks: tuple[int, ...]
    sequences: tuple[int, ...]
    rows: tuple[Row, ...]

    @property
    def columns(self) -> int:
        return sum(part.width for part in self.parts)

    def at_ms(self, row: int) -> int:
        return self.first_ms + self.ticks[row] * self.tick_ms

    def kept(self, which: Sequence[int], *, dropped: int) -> Block:
        """The same with only these rows, in order, and so many more given up."""
        first = self.ticks[which[0]]
        return replace(
            self,
            first_ms=self.first_ms + first * self.tick_ms,
            ticks=tuple(self.ticks[row] - first for row in which),
            sequences=tuple(self.sequences[row] for row in which),
            rows=tuple(self.rows[row] for row in which),
            dropped=self.dropped + dropped,
        )

    def readings(self) -> Iterator[tuple[int, Reading]]:
        """Each row's sequence and reading. What did not change from row to row is the same object."""
        values: dict[str, object] = {}
        before: dict[str, Row] = {}
        for number, row in enumerate(self.rows):
            start = 0
            for part in self.parts:
                name, end = part.group.name, start + part.width
                indices = row[start:end]
                start = end
                if before.get(name) == indices:
                    continue
                before[name] = indices
                values[name] = self._said(part, indices)
            yield self.sequences[number], Reading(at_ms=self.at_ms(number), **values)  # type: ignore[arg-type]  # names are GROUPS'

    def _said(self, part: Part, indices: Row) -> object:
        if part.group.name == "stop":
            return bool(indices[0])
        if part.group.name == "alarms":
            raised = indices[0] or 0
            return tuple(name for bit, name in enumerate(self.alarms) if raised >> bit & 1)
        if part.group.most > 1:
            step, scale = part.step, 10**part.group.decimals
            return tuple(None if index is None else index * step / scale for index in indices)
        return part.value(indices[0])
