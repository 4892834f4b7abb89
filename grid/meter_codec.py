"""Registers into values: which requests a map needs, when each is due, and what the answers say. Pure.

    MeterMap --blocks()--> few contiguous requests --due()--> those of this poll --decode()--> values in W, V, A, Hz, Wh

A device that refuses a block which reads over a gap may refuse only the gap: :func:`pieces` makes smaller ones of it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from grid.meter_map import MapValue, MeterError, MeterMap, Quantity, RegisterType, WordOrder
from grid.modbus_link import Table

__all__ = ["Block", "BlockState", "blocks", "decode", "decode_block", "due", "pieces"]

SLOW_EVERY_S: Final = 5.0
"""A meter too slow for more than its power gives one of its other blocks this often."""

_FORMATS: Final = {
    RegisterType.INT16: ">h", RegisterType.UINT16: ">H", RegisterType.INT32: ">i", RegisterType.UINT32: ">I", RegisterType.FLOAT32: ">f",
    RegisterType.INT64: ">q", RegisterType.UINT64: ">Q", RegisterType.FLOAT64: ">d",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """One request: ``count`` registers from ``address`` on, and the values in them."""

    table: Table
    address: int
    count: int
    values: tuple[MapValue, ...]

    def __contains__(self, quantity: object) -> bool:
        return any(value.quantity is quantity for value in self.values)


@dataclass(frozen=True, slots=True)
class BlockState:
    """How reading a block goes. Times in seconds of one clock; ``cost_s``: what its newest request took. ``rests_until_s``:
    it failed, and is asked again then."""

    block: Block
    read_s: float = -math.inf
    cost_s: float = 0.0
    rests_until_s: float = -math.inf


def blocks(map_: MeterMap) -> tuple[Block, ...]:
    """The requests that read all of ``map_``; the first is the one with the power."""
    found = _joined(list(map_.values.values()), gap=map_.gap, most=map_.most_registers)
    return tuple(sorted(found, key=lambda block: Quantity.POWER not in block))


def pieces(block: Block) -> tuple[Block, ...]:
    """A refused block cut at its gaps; one without gaps, into its values. Empty: it is a single value."""
    if len(block.values) < 2:
        return ()
    cut = _joined(block.values, gap=0, most=block.count)
    return cut if len(cut) > 1 else tuple(Block(v.table, v.address, v.type.registers, (v,)) for v in block.values)


def due(states: Sequence[BlockState], now_s: float, *, every_s: float, budget_s: float) -> list[Block]:
    """Which of ``states`` to read in this poll, the longest unread first, none before it is ``every_s`` old: as many as
    ``budget_s`` holds by their cost; where it holds none, the first, once :data:`SLOW_EVERY_S` went by without any."""
    waiting = [state for state in states if now_s >= state.rests_until_s and now_s - state.read_s >= every_s]
    waiting.sort(key=lambda state: state.read_s)
    chosen = []
    for state in waiting:
        if state.cost_s <= budget_s:
            chosen.append(state.block)
            budget_s -= state.cost_s
    if not chosen and waiting and now_s - max(state.read_s for state in states) >= SLOW_EVERY_S:
        return [waiting[0].block]
    return chosen


def decode(value: MapValue, registers: Sequence[int]) -> float:
    """The value in its unit (W, V, A, Hz, Wh ...); raises :class:`MeterError` for a wrong length or no finite number."""
    if len(registers) != value.type.registers:
        raise MeterError(f"{len(registers)} registers came, {value.type.registers} were asked for")
    words = registers if value.word_order is WordOrder.BIG else tuple(reversed(registers))
    raw = struct.pack(f"{'<' if value.swapped_bytes else '>'}{len(words)}H", *words)
    (number,) = struct.unpack(_FORMATS[value.type], raw)
    if not math.isfinite(number):
        raise MeterError(f"{value.quantity} is {number}")
    return float(number * value.scale)


def decode_block(block: Block, registers: Sequence[int]) -> tuple[dict[Quantity, float], dict[Quantity, str]]:
    """The block's values, and what is wrong with those that are none."""
    found, wrong = {}, {}
    for value in block.values:
        begin = value.address - block.address
        try:
            found[value.quantity] = decode(value, registers[begin : begin + value.type.registers])
        except MeterError as error:
            wrong[value.quantity] = str(error)
    return found, wrong


def _joined(values: Sequence[MapValue], *, gap: int, most: int) -> tuple[Block, ...]:
    """Requests of at most ``most`` registers over ``values``; one reads over at most ``gap`` registers that nobody wants."""
    found: list[list[MapValue]] = []
    for value in sorted(values, key=lambda v: (v.table, v.address)):
        last = found[-1] if found else None
        if (
            last is not None
            and last[0].table is value.table
            and value.address - last[-1].end <= gap
            and value.end - last[0].address <= most
        ):
            last.append(value)
        else:
            found.append([value])
    return tuple(Block(group[0].table, group[0].address, group[-1].end - group[0].address, tuple(group)) for group in found)
