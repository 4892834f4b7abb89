"""Values that come in many frames become one sample of a pack.

    frame --Binding--> raw counts --> values, each with its age  --take()-->  PackSample
                                  --> urgent: hotter, further apart, an alarm, a stop    (a sample at once)

A pack's cells and sensors are spread over dozens of frames. A sample is made of all of them once every ``every_s``, and at
once when something became worse than the last sample said: then nobody waits for the round to be complete. What was not heard for
``stale_s`` has no value. An alarm stays as its frame last said it, and one that was raised and cleared between two samples is in
the next one. Memory is as large as the map, whatever comes.
"""

from __future__ import annotations

from datetime import datetime
from math import inf, isfinite
from typing import Final

from bms_bridge.can.bind import Binding, Part
from bms_bridge.can.cut import Layout
from bms_bridge.can.frame import CanFrame, pgn_of
from bms_bridge.can.pack_map import Quantity
from bms_bridge.contract import PackSample, Source
from bms_bridge.j1939_tp import CONTROL, DATA, TpReceiver
from depot.values import PackKey

HOTTER_C: Final = 0.5
APART_V: Final = 0.010
MORE_A: Final = 10.0
WEAKER_SHARE: Final = 0.9
"""A sensor that is so much hotter than the hottest was, a cell so far beyond the outermost, a current so much higher, an insulation
below this share of what it was, are told at once."""

_FIELDS: Final = {
    Quantity.SOC: "soc",
    Quantity.SOH: "soh",
    Quantity.CURRENT: "current_a",
    Quantity.VOLTAGE: "voltage_v",
    Quantity.CELL_MIN: "cell_min_v",
    Quantity.CELL_MAX: "cell_max_v",
    Quantity.INSULATION: "insulation_ohm",
    Quantity.LIMIT_CURRENT: "limit_a",
    Quantity.LIMIT_VOLTAGE: "limit_v",
}
_MOST_FIRMWARE = 32


class Gatherer:
    """One pack's values. Times are seconds of any one clock that does not go back. ``signals``: how many values were taken."""

    def __init__(self, binding: Binding) -> None:
        self.binding = binding
        self.frames = 0
        self.signals = 0
        self.urgent = False
        self.transport = TpReceiver() if binding.map.j1939 else None
        count = len(binding.slots)
        self._values: list[float | None] = [None] * count
        self._raw: list[float] = [0.0] * count
        self._at: list[float] = [-inf] * count
        self._first_s: float | None = None
        self._taken_s = -inf
        self._news = False
        self._raised: set[str] = set()
        self._told: frozenset[str] = frozenset()
        self._hottest_c, self._highest_v, self._lowest_v = -inf, -inf, inf
        self._most_a, self._least_ohm = 0.0, inf

    def hear(self, frame: CanFrame, now_s: float) -> bool:
        """Whether the frame, or the message that it made whole, is of this map."""
        if self.transport is not None and frame.extended and pgn_of(frame.can_id) in (CONTROL, DATA):
            message = self.transport.hear(frame)
            if message is None or self.binding.map.source_address not in (None, message.source):
                return False
            layout = self.binding.layouts.get(message.pgn)
            return layout is not None and self._take_in(layout, message.data, now_s)
        key = self.binding.key_of(frame)
        layout = self.binding.layouts.get(key) if key is not None else None
        return layout is not None and self._take_in(layout, frame.data, now_s)

    def due(self, now_s: float) -> bool:
        """Whether a sample should be taken now: something became worse, or a round is over."""
        if not self._news:
            return False
        begun_s = self._taken_s if self._taken_s > -inf else self._first_s
        return self.urgent or (begun_s is not None and now_s - begun_s >= self.binding.map.every_s)

    def take(self, pack: PackKey, now_s: float, *, received_at: datetime) -> PackSample:
        """The sample of what is known now."""
        oldest_s = now_s - self.binding.map.stale_s
        numbers: dict[str, float | None] = dict.fromkeys(_FIELDS.values())
        temperatures: list[float | None] = [None] * self.binding.temperatures
        cells: list[float | None] = [None] * self.binding.cells
        balancing: list[float | None] = [None] * self.binding.balancing
        heard_temperatures = heard_cells = heard_balancing = 0
        for slot, value, at_s in zip(self.binding.slots, self._values, self._at, strict=True):
            if at_s == -inf:
                continue
            fresh = value if at_s >= oldest_s else None
            if slot.part is Part.TEMPERATURE:
                temperatures[slot.index], heard_temperatures = fresh, max(heard_temperatures, slot.index + 1)
            elif slot.part is Part.CELL:
                cells[slot.index], heard_cells = fresh, max(heard_cells, slot.index + 1)
            elif slot.part is Part.BALANCING:
                balancing[slot.index], heard_balancing = fresh, max(heard_balancing, slot.index + 1)
            elif slot.part is Part.VALUE:
                numbers[_FIELDS[Quantity(slot.name)]] = fresh
        # a map names what a family of packs can have: what was never heard of this one, behind the last that was, it does not have
        if (told := self.binding.map.temperatures) is None or not told.counted:
            del temperatures[heard_temperatures:]
        if (told := self.binding.map.cells) is None or not told.counted:
            del cells[heard_cells:]
        del balancing[heard_balancing:]
        standing = self._standing()
        alarms = tuple(sorted((standing | self._raised) - {""}))
        stop = "" in standing or "" in self._raised
        self._remember(temperatures, cells, numbers, standing, now_s)
        return PackSample(
            pack=pack,
            source=Source.CAN,
            received_at=received_at,
            reported_at=None,
            temperatures_c=tuple(temperatures),
            cells_v=tuple(cells),
            balancing_a=tuple(balancing),
            alarms=alarms,
            stop=stop,
            firmware=self._firmware(),
            soc=numbers["soc"],
            soh=numbers["soh"],
            current_a=numbers["current_a"],
            voltage_v=numbers["voltage_v"],
            cell_min_v=numbers["cell_min_v"],
            cell_max_v=numbers["cell_max_v"],
            insulation_ohm=numbers["insulation_ohm"],
            limit_a=numbers["limit_a"],
            limit_v=numbers["limit_v"],
        )

    def _take_in(self, layout: Layout, data: bytes, now_s: float) -> bool:
        self.frames += 1
        if self._first_s is None:
            self._first_s = now_s
        slots, values = self.binding.slots, self._values
        found = layout.cut(data)
        for number, raw in found:
            slot = slots[number]
            self._at[number], self._raw[number] = now_s, raw
            if slot.part is Part.FLAG or slot.part is Part.FIRMWARE:
                continue
            if slot.part is Part.ALARM or slot.part is Part.STOP:
                if _raises(raw, slot.counts):
                    self._raised.add(slot.name)
                    self.urgent = self.urgent or slot.name not in self._told
                continue
            value = raw * slot.factor + slot.shift
            bad = raw in slot.invalid or not isfinite(value) or (slot.flag is not None and self._raw[slot.flag] != 0)
            values[number] = None if bad else value
            if not bad and not self.urgent:
                self.urgent = self._worse(slot.part, slot.name, value)
        self.signals += len(found)
        self._news = self._news or bool(found)
        return True

    def _worse(self, part: Part, name: str, value: float) -> bool:
        """Worse than the last sample said. Before the first one only a whole round tells."""
        if self._taken_s == -inf:
            return False
        if part is Part.TEMPERATURE:
            return value >= self._hottest_c + HOTTER_C
        if part is Part.CELL or name in (Quantity.CELL_MIN, Quantity.CELL_MAX):
            return value >= self._highest_v + APART_V or value <= self._lowest_v - APART_V
        if name == Quantity.CURRENT:
            return abs(value) >= self._most_a + MORE_A
        return name == Quantity.INSULATION and value < WEAKER_SHARE * self._least_ohm

    def _standing(self) -> set[str]:
        """Alarms as their frames last said them; "" is the demand to stop."""
        return {
            slot.name
            for slot, raw, at_s in zip(self.binding.slots, self._raw, self._at, strict=True)
            if at_s > -inf and (slot.part is Part.ALARM or slot.part is Part.STOP) and _raises(raw, slot.counts)
        }

    def _remember(
        self,
        temperatures: list[float | None],
        cells: list[float | None],
        numbers: dict[str, float | None],
        standing: set[str],
        now_s: float,
    ) -> None:
        """What was said now: only what is worse than it is urgent."""
        volts = [v for v in (*cells, numbers.get("cell_min_v"), numbers.get("cell_max_v")) if v is not None]
        self._hottest_c = max((c for c in temperatures if c is not None), default=-inf)
        self._highest_v, self._lowest_v = max(volts, default=-inf), min(volts, default=inf)
        self._most_a = abs(numbers.get("current_a") or 0.0)
        ohm = numbers.get("insulation_ohm")
        self._least_ohm = inf if ohm is None else ohm
        self._told = frozenset(standing)
        self._raised.clear()
        self._taken_s, self._news, self.urgent = now_s, False, False

    def _firmware(self) -> str:
        """The numbers that make the version, with dots; empty as long as one of them was not heard."""
        parts = [(raw, at_s) for slot, raw, at_s in zip(self.binding.slots, self._raw, self._at, strict=True) if slot.part is Part.FIRMWARE]
        if not parts or any(at_s == -inf for _, at_s in parts):
            return ""
        return ".".join(f"{raw:g}" for raw, _ in parts)[:_MOST_FIRMWARE]


def _raises(raw: float, counts: frozenset[int] | None) -> bool:
    return raw != 0 if counts is None else raw in counts
