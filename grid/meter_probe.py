"""Commissioning of a meter: which map, which offset and which word order make its registers mean something.

    for each map: frequency and voltages under {as written, one less, one more} x {both word orders} x {its table, the other}
        45..55 Hz (or 55..65) and each voltage within 20 % of nominal --> fits --> everything is read and held together

Manuals count registers from 1, from 0 or from 30001, and makers put either word first; two physical values that everybody
knows tell which it is. One trap remains: a float read one register early with its words swapped has its own high word and
its neighbour's low word, and is less than 1 % off. Of two combinations that fit, the one is taken whose values fit each other
more exactly (total and phases, active, reactive and apparent power). The tries are told one by one, so that a person sees why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from grid.meter_checks import CURRENTS, POWERS, VOLTAGES, Bounds, doubts, impossible
from grid.meter_codec import blocks, decode, decode_block, pieces
from grid.meter_map import MapValue, MeterError, MeterMap, Quantity, WordOrder
from grid.modbus_link import ModbusLink, NoAnswer, Refused, Table

__all__ = ["Finding", "Trial", "answering_units", "fits", "probe"]

OFFSETS: Final = (0, -1, 1)
NEAR: Final = 0.2
_SILENT_MOST: Final = 3
"""After so many requests without any answer nobody is there."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One try: what was read, and what it says. ``fits``: it means something."""

    map_name: str
    table: Table
    offset: int
    word_order: WordOrder
    fits: bool
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A combination that fits, and all that the meter tells under it. ``table``, ``word_order`` None: as the map says.
    ``missing``: why a value of the map was not told. ``doubts``: what does not fit together."""

    map: MeterMap
    table: Table | None
    offset: int
    word_order: WordOrder | None
    values: dict[Quantity, float] = field(default_factory=dict)
    missing: dict[Quantity, str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    @property
    def score(self) -> tuple[int, float, int]:
        """More is better: values that are told, less what does not fit; then how exactly they fit each other; then as
        little changed of the map as possible."""
        changed = (self.table is not None) + (self.offset != 0) + (self.word_order is not None)
        return len(self.values) - 3 * len(self.doubts) - len(self.missing), -round(self.misfit, 4), -changed

    @property
    def misfit(self) -> float:
        """Mean relative error of what must hold between the powers; 0 where the meter tells too little, or has no load."""
        power, apparent, reactive, factor = (
            self.values.get(q) for q in (Quantity.POWER, Quantity.APPARENT, Quantity.REACTIVE, Quantity.POWER_FACTOR)
        )
        errors = []
        phases = [self.values[q] for q in POWERS if q in self.values]
        if power and len(phases) == len(POWERS):
            errors.append(abs(sum(phases) / power - 1))
        if power and apparent and reactive is not None:
            errors.append(abs(math.hypot(power, reactive) / apparent - 1))
        if power and apparent and factor:
            errors.append(abs(apparent * abs(factor) / abs(power) - 1))
        if power and self.expected_w and factor:
            errors.append(abs(self.expected_w / abs(power) - 1))
        return sum(errors) / len(errors) if errors else 0.0

    @property
    def power_w(self) -> float | None:
        """The total power that it tells."""
        return self.values.get(Quantity.POWER)

    @property
    def tells_power_factor(self) -> bool:
        """Whether :attr:`expected_w` knows it."""
        return Quantity.POWER_FACTOR in self.values

    @property
    def expected_w(self) -> float | None:
        """What voltages, currents and power factor (1 where it is not told) make; None where they are not told."""
        found = [(self.values.get(v), self.values.get(i)) for v, i in zip(VOLTAGES, CURRENTS, strict=True)]
        products = [v * abs(i) for v, i in found if v is not None and i is not None]
        return sum(products) * abs(self.values.get(Quantity.POWER_FACTOR, 1.0)) if len(products) == len(VOLTAGES) else None


def fits(hertz: float | None, volts: Sequence[float], nominal_v: float) -> tuple[bool, str]:
    """Whether this can be a frequency and voltages of a grid, and the same in words."""
    told = " ".join(f"{v:.4g}" for v in volts)
    if hertz is not None and not 45 <= hertz <= 65:
        return False, f"{hertz:.4g} Hz"
    if not volts:
        return hertz is not None, "no voltage to compare" if hertz is None else f"{hertz:.2f} Hz"
    prefix = "" if hertz is None else f"{hertz:.2f} Hz, "
    if all(abs(v / nominal_v - 1) <= NEAR for v in volts):
        return True, f"{prefix}{told} V"
    words = f"{prefix}{told} V, not within 20 % of {nominal_v:g} V"
    middle = sorted(volts)[len(volts) // 2]
    alike = 20 < middle < 500_000 and all(abs(v / middle - 1) <= NEAR for v in volts)
    if hertz is not None and alike:
        words += f"; if that is the voltage at its terminals, say --volts {middle:.0f}"
    return False, words


async def answering_units(link: ModbusLink, units: Iterable[int], *, tell: Callable[[int, bool], None] = lambda _u, _a: None) -> list[int]:
    """Which unit ids answer at all: with a register, or by refusing one as a device does. ``tell`` hears of each."""
    found = []
    for unit in units:
        answers = False
        try:
            await link.read(Table.HOLDING, 0, 1, unit_id=unit)
            answers = True
        except Refused as refusal:
            answers = refusal.code not in (10, 11)  # these come from the gateway: nobody is behind it
        except NoAnswer:
            await link.open()  # a late answer must not meet the next question
        tell(unit, answers)
        if answers:
            found.append(unit)
    return found


async def probe(
    link: ModbusLink, maps: Sequence[MeterMap], *, nominal_v: float = 230.0, tell: Callable[[Trial], None] = lambda _trial: None
) -> list[Finding]:
    """What fits, best first. ``link`` is open. Raises :class:`NoAnswer` where the device answers nothing at all."""
    registers = _Registers(link)
    found = []
    for map_ in maps:
        for table, offset, order, words, good in await _trials(registers, map_, nominal_v):
            tell(Trial(map_.name, table, offset, order, good, words))
            if good:
                found.append(await _finding(registers, map_, table, offset, order, nominal_v))
    found.sort(key=lambda finding: finding.score, reverse=True)
    return found


class _Registers:
    """Registers of one device, each read once; what it refuses is known after the first time."""

    def __init__(self, link: ModbusLink) -> None:
        self._link = link
        self._known: dict[tuple[Table, int], int] = {}
        self._refused: dict[tuple[Table, int, int], str] = {}
        self._silent = 0

    async def get(self, table: Table, address: int, count: int) -> list[int]:
        """Registers from ``address`` on. Raises :class:`MeterError` with what the device says instead."""
        wanted = [(table, number) for number in range(address, address + count)]
        if all(key in self._known for key in wanted):
            return [self._known[key] for key in wanted]
        ask = (table, address, count)
        if ask in self._refused:
            raise MeterError(self._refused[ask])
        try:
            told = await self._link.read(table, address, count)
        except Refused as refusal:
            self._silent = -1_000_000  # it is there
            self._refused[ask] = str(refusal)
            raise MeterError(str(refusal)) from None
        except NoAnswer as error:
            self._silent += 1
            if self._silent >= _SILENT_MOST:
                raise
            await self._link.open()
            self._refused[ask] = "no answer"
            raise MeterError(f"{table} {address}: no answer ({error})") from None
        self._silent = -1_000_000
        self._known.update(zip(wanted, told, strict=True))
        return told

    async def around(self, value: MapValue, table: Table) -> None:
        """Read a value with a register before and behind it in one request, where the device lets us."""
        first = max(0, value.address - 1)
        try:
            await self.get(table, first, min(65_536, value.end + 1) - first)
        except MeterError:
            return  # each place is tried by itself then


async def _trials(registers: _Registers, map_: MeterMap, nominal_v: float) -> list[tuple[Table, int, WordOrder, str, bool]]:
    """Every try of a map. The other table comes only where the map's own gives nothing that fits."""
    looked_at = [map_.values[q] for q in (Quantity.FREQUENCY, *VOLTAGES) if q in map_.values]
    own = map_.values[Quantity.POWER]
    told: list[tuple[Table, int, WordOrder, str, bool]] = []
    for table in (own.table, Table.HOLDING if own.table is Table.INPUT else Table.INPUT):
        for value in looked_at:
            await registers.around(value, table)
        for offset in OFFSETS:
            for order in (own.word_order, WordOrder.LITTLE if own.word_order is WordOrder.BIG else WordOrder.BIG):
                words, good = await _try(registers, looked_at, table, offset, order, nominal_v)
                told.append((table, offset, order, words, good))
        if any(good for *_, good in told):
            break
    return told


async def _try(
    registers: _Registers, looked_at: Sequence[MapValue], table: Table, offset: int, order: WordOrder, nominal_v: float
) -> tuple[str, bool]:
    hertz: float | None = None
    volts = []
    try:
        for value in looked_at:
            if value.address + offset < 0:
                return "before the first register", False
            words = await registers.get(table, value.address + offset, value.type.registers)
            number = decode(replace(value, word_order=order), words)
            if value.quantity is Quantity.FREQUENCY:
                hertz = number
            else:
                volts.append(number)
    except MeterError as error:
        return str(error), False
    good, words_ = fits(hertz, volts, nominal_v)
    return words_, good


async def _finding(registers: _Registers, map_: MeterMap, table: Table, offset: int, order: WordOrder, nominal_v: float) -> Finding:
    """Read everything of the map under this combination."""
    own = map_.values[Quantity.POWER]
    built_in = map_.installed(
        offset=offset, word_order=None if order is own.word_order else order, table=None if table is own.table else table
    )
    bounds = Bounds(nominal_v=nominal_v)
    values: dict[Quantity, float] = {}
    missing: dict[Quantity, str] = {}
    waiting = list(blocks(built_in))
    while waiting:
        block = waiting.pop()
        try:
            found, wrong = decode_block(block, await registers.get(block.table, block.address, block.count))
        except MeterError as error:
            smaller = pieces(block)
            waiting.extend(smaller)
            if not smaller:
                missing[block.values[0].quantity] = str(error)
            continue
        for quantity, number in found.items():
            reason = impossible(quantity, number, bounds)
            if reason:
                wrong[quantity] = reason
            else:
                values[quantity] = number
        missing |= wrong
    return Finding(
        map=map_,
        table=None if table is own.table else table,
        offset=offset,
        word_order=None if order is own.word_order else order,
        values=values,
        missing=missing,
        doubts=tuple(doubt.words for doubt in doubts(values, bounds)),
    )
