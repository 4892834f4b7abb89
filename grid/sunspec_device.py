"""A SunSpec device over Modbus TCP: finds its chain of models, reads them, writes points.

    [opened] --"SunS" at 40000, 50000 or 0--> chain (id, length, id, length, … 0xFFFF) --> models that the depot knows

One device, one owner; the way to it is a :class:`~grid.modbus_link.ModbusLink`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from grid.modbus_link import ModbusLink, Refused, Table
from grid.sunspec import BASES, END_ID, MARKER, MODELS, ChainEntry, Model, SunSpecError

READ_MOST: Final = 120
"""Registers that are asked for at once; the protocol allows 125."""

CHAIN_MOST: Final = 60
"""Models in a chain; a longer one is taken for a loop."""

LENGTH_MOST: Final = 2_000
"""Registers of one model; a longer one is no model that the depot knows."""


class SunSpecDevice:
    """``chain``: the models that were found, empty before :meth:`discover`."""

    def __init__(self, link: ModbusLink) -> None:
        self.link = link
        self.chain: tuple[ChainEntry, ...] = ()

    async def discover(self) -> None:
        """Walk the chain. Raises :class:`SunSpecError` where there is none, :class:`~grid.modbus_link.LinkError` without a link."""
        self.chain = ()
        base = await self._base()
        address, found = base + len(MARKER), list[ChainEntry]()
        while True:
            model_id, length = await self.link.read(Table.HOLDING, address, 2)
            if model_id == END_ID:
                break
            if length > LENGTH_MOST or address + length + 4 > 0x1_0000 or len(found) >= CHAIN_MOST:
                raise SunSpecError(f"{self.link.peer}: model {model_id} at {address} says that it is {length} long: no SunSpec chain")
            found.append(ChainEntry(model_id, address, length))
            address += length + 2
        self.chain = tuple(found)

    async def _base(self) -> int:
        for base in BASES:
            try:
                if tuple(await self.link.read(Table.HOLDING, base, len(MARKER))) == MARKER:
                    return base
            except Refused:  # nothing there: it may stand elsewhere
                continue
        raise SunSpecError(f'{self.link.peer}: no SunSpec device: there is no "SunS" at 40000, 50000 or 0; check host, port and unit')

    def entry(self, *wanted: int) -> ChainEntry | None:
        """The first model of the chain that is one of these; earlier ones are preferred."""
        for model_id in wanted:
            for entry in self.chain:
                if entry.model_id == model_id:
                    return entry
        return None

    async def read(self, *wanted: int, only: Collection[str] = ()) -> Model | None:
        """The first of these models that the device has, fresh, as far as the depot's points reach in it (``only``: as far as
        these); None where it has none."""
        entry = self.entry(*wanted)
        if entry is None:
            return None
        points = MODELS[entry.model_id]
        need = max(point.offset + point.registers for name, point in points.items() if not only or name in only)
        if entry.model_id == 160:
            need = entry.registers
        registers: list[int] = []
        while len(registers) < min(need, entry.registers):
            count = min(READ_MOST, min(need, entry.registers) - len(registers))
            registers += await self.link.read(Table.HOLDING, entry.address + len(registers), count)
        if registers[0] != entry.model_id:
            raise SunSpecError(f"{self.link.peer}: model {entry.model_id} is not at {entry.address} any more; its chain has changed")
        return Model(entry, registers)

    async def write(self, model: Model, name: str, values: Sequence[int]) -> None:
        """Write registers from the point ``name`` on, in one request."""
        await self.link.write(model.address(name), list(values))
