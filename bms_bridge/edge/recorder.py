"""Which readings a unit tells, how exactly, and which at once. Pure: readings in, packets out; time is the readings' own.

    reading ─▶ danger? ── yes ─▶ what waits, the window before it (once), and the reading alone, at once: urgent
                 └─ no ─▶ deadband ─▶ changed, heartbeat, or a while after danger ─▶ batch ─▶ packet every ``batch_s``

A reading is dangerous while an alarm is raised, the battery demands a stop, a sensor is at ``hot_c`` or more, or the hottest
rises by ``rise_k_per_s`` or more. When it begins, the readings of the last ``before_s`` are told as they were measured, as
history: the coarse ones of the same time went out before. Begin and end of a current are told at once too.
"""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass, field

from bms_bridge.edge import WireError
from bms_bridge.edge.bands import FINEST, USUAL, Bands
from bms_bridge.edge.wire import (
    EXACT,
    GROUPS,
    MOST_ALARMS,
    MOST_BYTES,
    MOST_MS,
    MOST_ROWS,
    MOST_VALUES,
    Block,
    Part,
    Reading,
    Row,
    encode,
)

UNNAMED_ALARM = "unnamed_alarm"
"""Told of an alarm whose name no message can hold."""

_ALARM = re.compile(r"[a-z][a-z0-9_]{0,47}")
_MOST_WINDOW = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How a unit records; seconds are the readings'. ``boot``: never the same after two starts: a count of them, or the Unix
    second. ``heartbeat_s``: so often something is told although nothing changed. ``after_s``: so long after danger every
    reading is told exactly. ``flows_a``: from here on a current flows. Batches of more than 10 s come late at the depot."""

    boot: int
    firmware: str = ""
    bands: Bands = field(default_factory=lambda: USUAL)
    tick_ms: int = 1
    batch_s: float = 10.0
    heartbeat_s: float = 10.0
    before_s: float = 30.0
    after_s: float = 60.0
    hot_c: float = 50.0
    rise_k_per_s: float = 0.5
    rise_over_s: float = 3.0
    flows_a: float = 2.0


@dataclass(frozen=True, slots=True)
class Packet:
    """A message to be sent. ``urgent``: before all others. ``rows``: how many readings it tells."""

    data: bytes
    urgent: bool
    history: bool
    rows: int


@dataclass(slots=True)
class _Batch:
    """Rows on their way to one message, which has one shape (width by group) and one resolution."""

    shape: dict[str, int]
    bands: Bands
    times_ms: list[int] = field(default_factory=list)
    sequences: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    @property
    def most_rows(self) -> int:
        return min(MOST_ROWS, MOST_VALUES // max(1, sum(self.shape.values())))


class Recorder:
    """One pack's recorder. ``sequence``: of the next row. A kind of signal that was said once is told as "no value" when it
    is missing later."""

    def __init__(self, habits: Habits, *, sequence: int = 0) -> None:
        self.habits = habits
        self.sequence = sequence
        self.readings = 0
        self._shape: dict[str, int] = {}
        self._held: dict[str, list[int | None]] = {}
        self._held_in: Bands = habits.bands
        self._alarms: list[str] = []
        self._batch: _Batch | None = None
        self._window: deque[Reading] = deque(maxlen=_MOST_WINDOW)
        self._told_ms: int | None = None
        self._exact_until_ms = -1
        self._danger = False
        self._flowing: bool | None = None

    def put(self, reading: Reading) -> list[Packet]:
        """What must be sent because of ``reading``, in this order; mostly nothing. Raises
        :class:`~bms_bridge.edge.WireError` for a time or a number of signals that no message can hold; nothing is lost."""
        _checked(reading)
        self.readings += 1
        danger, flowing = self._dangerous(reading), self._flows(reading)
        packets: list[Packet] = []
        if danger or self._danger:  # its end is as urgent as its begin
            packets += self.flush()
            if not self._danger:
                packets += self._window_before()
            packets += self._alone(reading, urgent=True)
            self._exact_until_ms = reading.at_ms + round(self.habits.after_s * 1000)
        elif flowing != self._flowing or self._told_ms is None:
            packets += self.flush()
            packets += self._alone(reading, urgent=False)
        else:
            packets += self._recorded(reading)
        self._danger, self._flowing = danger, flowing
        self._window.append(reading)
        while self._window[0].at_ms < reading.at_ms - self.habits.before_s * 1000:
            self._window.popleft()
        return packets

    def flush(self) -> list[Packet]:
        """What waits, as packets; before a unit goes to sleep."""
        return self._sent(urgent=False, history=False)

    # -- what matters ----------------------------------------------------------------------------------------------------

    def _dangerous(self, reading: Reading) -> bool:
        hottest = _hottest(reading)
        if reading.alarms or reading.stop or (hottest is not None and hottest >= self.habits.hot_c):
            return True
        if hottest is None:
            return False
        for earlier in reversed(self._window):
            passed_s = (reading.at_ms - earlier.at_ms) / 1000
            if passed_s >= self.habits.rise_over_s:
                then = _hottest(earlier)
                return then is not None and hottest - then >= self.habits.rise_k_per_s * passed_s
        return False

    def _flows(self, reading: Reading) -> bool | None:
        """Whether a current flows; the half of ``flows_a`` is its hysteresis."""
        if reading.current_a is None:
            return self._flowing
        return abs(reading.current_a) >= (self.habits.flows_a / 2 if self._flowing else self.habits.flows_a)

    # -- rows ------------------------------------------------------------------------------------------------------------

    def _recorded(self, reading: Reading) -> list[Packet]:
        """A reading without a reason to hurry."""
        assert self._told_ms is not None
        exact = reading.at_ms <= self._exact_until_ms
        due = abs(reading.at_ms - self._told_ms) >= self.habits.heartbeat_s * 1000
        packets = self._row(reading, FINEST if exact else self.habits.bands, always=exact or due)
        batch = self._batch
        if batch is not None and abs(reading.at_ms - batch.times_ms[0]) >= self.habits.batch_s * 1000:
            packets += self.flush()
        return packets

    def _alone(self, reading: Reading, *, urgent: bool) -> list[Packet]:
        packets = self._row(reading, FINEST if urgent else self.habits.bands, always=True)
        return packets + self._sent(urgent=urgent, history=False)

    def _window_before(self) -> list[Packet]:
        """The window before an event, as it was measured. What is held for the receiver's newest row stays."""
        packets: list[Packet] = []
        before = self._held, self._held_in, self._told_ms
        self._held = {}
        for earlier in self._window:
            packets += self._row(earlier, FINEST, always=True, history=True)
        packets += self._sent(urgent=False, history=True)
        self._held, self._held_in, self._told_ms = before
        return packets

    def _row(self, reading: Reading, bands: Bands, *, always: bool, history: bool = False) -> list[Packet]:
        """Add a row where something is new, or ``always``. What had to be sent first, because it is of another shape or full."""
        packets: list[Packet] = []
        shape = self._shape_with(reading)
        if len(set(self._alarms) | set(reading.alarms)) > MOST_ALARMS:
            packets += self._sent(urgent=False, history=history)
            self._alarms.clear()
            self._held.pop("alarms", None)
        if self._held_in is not bands:
            self._held, self._held_in = {}, bands
        told = {name: self._told(reading, name, width, bands) for name, width in shape.items()}
        if not always and all(self._held.get(name) == indices for name, indices in told.items()):
            return packets
        batch = self._batch
        if batch is not None and (batch.shape != shape or batch.bands is not bands or len(batch.rows) >= batch.most_rows):
            packets += self._sent(urgent=False, history=history)
        if self._batch is None:
            self._batch = _Batch(dict(shape), bands)
        self._held = told
        self._told_ms = reading.at_ms
        self._batch.times_ms.append(reading.at_ms)
        self._batch.sequences.append(self.sequence)
        self._batch.rows.append(tuple(index for indices in told.values() for index in indices))
        self.sequence += 1
        return packets

    def _shape_with(self, reading: Reading) -> dict[str, int]:
        """How many signals of each kind, with those of ``reading``."""
        for group in GROUPS:
            said = getattr(reading, group.name)
            width = len(said) if group.most > 1 else int(said is not None and said is not False and said != ())
            if width and self._shape.get(group.name) != width:
                self._shape[group.name] = width
                self._shape = {known.name: self._shape[known.name] for known in GROUPS if known.name in self._shape}
        return self._shape

    def _told(self, reading: Reading, name: str, width: int, bands: Bands) -> list[int | None]:
        """The indices to tell of the signals called ``name``."""
        if name == "stop":
            return [int(reading.stop)]
        if name == "alarms":
            raised = 0
            for alarm in reading.alarms:
                raised |= 1 << self._bit(_nameable(alarm))
            return [raised]
        said = getattr(reading, name)
        values = (said,) if not isinstance(said, tuple) else said or (None,) * width
        held = self._held.get(name)
        if held is None or len(held) != width:
            held = [None] * width
        band = bands[name]
        return [band.told(value, before) for value, before in zip(values, held, strict=True)]

    def _bit(self, alarm: str) -> int:
        if alarm not in self._alarms:
            if len(self._alarms) == MOST_ALARMS:  # more at once than a message can name
                return MOST_ALARMS - 1
            self._alarms.append(alarm)
        return self._alarms.index(alarm)

    # -- messages --------------------------------------------------------------------------------------------------------

    def _sent(self, *, urgent: bool, history: bool) -> list[Packet]:
        batch, self._batch = self._batch, None
        if batch is None:
            return []
        tick_ms = self.habits.tick_ms
        parts = tuple(
            Part(group, batch.shape[group.name], 1 if group.name in EXACT else batch.bands[group.name].step)
            for group in GROUPS
            if group.name in batch.shape
        )
        block = Block(
            boot=self.habits.boot,
            firmware=self.habits.firmware,
            history=history,
            first_ms=batch.times_ms[0],
            tick_ms=tick_ms,
            alarms=tuple(self._alarms) if "alarms" in batch.shape else (),
            parts=parts,
            ticks=tuple(round((at_ms - batch.times_ms[0]) / tick_ms) for at_ms in batch.times_ms),
            sequences=tuple(batch.sequences),
            rows=tuple(batch.rows),
        )
        return [Packet(data, urgent, history, rows) for data, rows in packed(block)]


def packed(block: Block) -> list[tuple[bytes, int]]:
    """``block`` as messages that are not too long, each with its number of rows."""
    data = encode(block)
    count = len(block.rows)
    if len(data) <= MOST_BYTES:
        return [(data, count)]
    half = count // 2
    return packed(block.kept(range(half), dropped=0)) + packed(block.kept(range(half, count), dropped=-block.dropped))


def _checked(reading: Reading) -> None:
    if not 0 <= reading.at_ms <= MOST_MS:
        raise WireError(f"a time of {reading.at_ms} ms is before 1970 or after the year 9999")
    for group in GROUPS:
        if group.most > 1 and len(getattr(reading, group.name)) > group.most:
            raise WireError(f"{len(getattr(reading, group.name))} {group.name}; at most {group.most}")


def _hottest(reading: Reading) -> float | None:
    return max((c for c in reading.temperatures_c if c is not None and math.isfinite(c)), default=None)


def _nameable(alarm: str) -> str:
    return alarm if _ALARM.fullmatch(alarm) else UNNAMED_ALARM
