"""The meter at the connection point (or of a feeder, a PV plant), polled over Modbus TCP with a map of its values.

    MeterMap --> requests --ModbusLink--> registers --decode, impossible()--> samples --> SiteReading, once a second
                                                                                 +-----> doubts, for people

The total power comes first and is told at once; the other values follow in the same second as far as the meter is quick
enough, else one request every few seconds, and are left out of the reading once they are :data:`KEEP_S` old. An impossible
value is counted and dropped by itself: where it is the power, the reading before it stays, and its age shows. So it does
where a meter only repeats what it once told (:class:`grid.meter_checks.StandStill`). A request that the meter refuses is cut
into smaller ones, and what it refuses alone is "not given by this meter". A request other than the power's that is never
answered rests longer and longer: it costs the connection.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from depot.ports import Clock
from depot.readings import SiteReading
from grid.meter_checks import CURRENTS, VOLTAGES, Bounds, Doubt, EnergyWatch, StandStill, doubts, impossible
from grid.meter_codec import Block, BlockState, blocks, decode_block, due, pieces
from grid.meter_map import MeterError, MeterMap, Quantity
from grid.modbus_link import LinkError, ModbusLink, NoAnswer, Peer, Refused

__all__ = ["MeterSettings", "ModbusSiteMeter", "Sample", "reading_of"]

log = logging.getLogger(__name__)

SHORTEST_PERIOD_S: Final = 0.02
KEEP_S: Final = 60.0
BUDGET: Final = 0.6
"""Share of the period that requests may take."""

REST_S: Final = 60.0
LONGEST_REST_S: Final = 3_600.0
STEADY_POLLS: Final = 5
"""What does not fit in so many polls in a row is told: the values of one poll are not of quite the same moment."""

STANDS_STILL: Final = "nothing that it tells changes although power flows: it, or the gateway before it, repeats old values"

_ILLEGAL: Final = (2, 3)
"""Exceptions that speak of the registers that were asked for (Modbus Application Protocol V1.1b3, 7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSettings:
    """A meter as it is built in. ``map`` with all that the site adds to it (:meth:`MeterMap.installed`). ``max_w``: beyond it,
    either way, a power is impossible. ``nominal_v``: between phase and neutral, 0 where it is not known. Times are seconds."""

    peer: Peer
    map: MeterMap
    max_w: int = 50_000_000
    nominal_v: float = 0.0
    period_s: float = 1.0

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("period_s", self.period_s, SHORTEST_PERIOD_S, 60),
            ("max_w", self.max_w, 1, 10**10),
            ("nominal_v", self.nominal_v, 0, 500_000),
        ):
            if not least <= value <= most:
                raise MeterError(f"meter {name} is {value}; it must lie between {least} and {most}")
        for quantity, row in self.map.values.items():
            if not math.isfinite(row.scale) or row.scale == 0:
                raise MeterError(f"meter scale of {quantity} is {row.scale}; give what one count is worth, for example 1000 for kW")


@dataclass(frozen=True, slots=True)
class Sample:
    """One value as the meter told it, in the unit of its quantity."""

    at: datetime
    value: float


def reading_of(at: datetime, samples: Mapping[Quantity, Sample], *, keep: timedelta) -> SiteReading:
    """The reading of ``at``, whose power must be among ``samples``; the others as far as they are not older than ``keep``."""
    fresh = {quantity: sample.value for quantity, sample in samples.items() if at - sample.at <= keep}

    def whole(quantity: Quantity) -> int | None:
        return round(fresh[quantity]) if quantity in fresh else None

    def three(wanted: tuple[Quantity, ...]) -> tuple[float, float, float] | None:
        one, two, three = (fresh.get(quantity) for quantity in wanted)
        return None if one is None or two is None or three is None else (one, two, three)

    return SiteReading(
        at=at,
        power_w=round(fresh[Quantity.POWER]),
        apparent_va=whole(Quantity.APPARENT),
        reactive_var=whole(Quantity.REACTIVE),
        power_factor=fresh.get(Quantity.POWER_FACTOR),
        frequency_hz=fresh.get(Quantity.FREQUENCY),
        voltages_v=three(VOLTAGES),
        currents_a=three(CURRENTS),
        import_wh=whole(Quantity.IMPORT_ENERGY),
        export_wh=whole(Quantity.EXPORT_ENERGY),
        demand_w=whole(Quantity.DEMAND),
        demand_va=whole(Quantity.APPARENT_DEMAND),
    )


class ModbusSiteMeter:
    """A :class:`depot.ports.SiteMeter`. Its owner runs :meth:`run` as a task; cancelling ends it and closes the link.

    ``speed``: of a scaled clock: the power is read ``speed`` times as often, so that its age in depot time stays the same
    (but at most 50 times a second). ``rejected`` counts impossible values, ``refused`` holds what the meter does not give,
    ``samples`` the newest good value of each quantity.
    """

    def __init__(
        self, settings: MeterSettings, *, clock: Clock, speed: float = 1.0, label: str = "meter", rng: random.Random | None = None
    ) -> None:
        self.settings = settings
        self.rejected = 0
        self.samples: dict[Quantity, Sample] = {}
        self.refused: set[Quantity] = set()
        self._clock = clock
        self._label = f"{label} {settings.peer}"
        self._link = ModbusLink(settings.peer, label=self._label, rng=rng)
        self._period_s = max(SHORTEST_PERIOD_S, settings.period_s / speed)
        self._keep = timedelta(seconds=KEEP_S * max(1.0, speed))
        self._bounds = Bounds(settings.max_w, settings.nominal_v)
        self._states = {block: BlockState(block) for block in blocks(settings.map)}
        self._rests: dict[Block, float] = {}
        self._reading: SiteReading | None = None
        self._rejecting: set[Quantity] = set()
        self._doubted: dict[str, tuple[int, str]] = {}
        self._energy = EnergyWatch()
        self._still = StandStill()

    @property
    def reading(self) -> SiteReading | None:
        """The newest good reading, or None before the first. Its age says whether it is stale."""
        return self._reading

    @property
    def connected(self) -> bool:
        """Its newest poll was answered."""
        return self._link.connected

    @property
    def failures(self) -> int:
        """Polls and connections that failed."""
        return self._link.failures

    @property
    def doubts(self) -> tuple[str, ...]:
        """What does not fit together in what it tells, as sentences."""
        found = [words for polls, words in self._doubted.values() if polls >= STEADY_POLLS]
        if self._still.found:
            found.append(STANDS_STILL)
        if self._energy.doubt:
            found.append(self._energy.doubt)
        return tuple(found)

    async def run(self) -> None:
        """Poll until cancelled."""
        await self._link.keep(self._poll, period_s=self._period_s)

    async def _poll(self) -> None:
        began_s = asyncio.get_running_loop().time()
        at = self._clock.now()
        while not await self._read(next(block for block in self._states if Quantity.POWER in block), at):
            pass  # it was cut into smaller ones
        self._publish(at)
        budget_s = BUDGET * self._period_s - (asyncio.get_running_loop().time() - began_s)
        others = [state for block, state in self._states.items() if Quantity.POWER not in block]
        for block in due(others, began_s, every_s=0.9 * self.settings.period_s, budget_s=budget_s):
            await self._read(block, at)
        self._publish(at)
        self._judge(at)

    async def _read(self, block: Block, at: datetime) -> bool:
        """Read a block and take its values. False: it was refused and cut, or it rests; a block with the power raises."""
        loop = asyncio.get_running_loop()
        began_s, vital = loop.time(), Quantity.POWER in block
        try:
            registers = await self._link.read(block.table, block.address, block.count)
        except Refused as refusal:
            smaller = pieces(block) if refusal.code in _ILLEGAL else ()
            if smaller:
                states = {piece: BlockState(piece) for piece in smaller}
                self._states = {known: state for known, state in self._states.items() if known != block} | states
                return False
            if vital:
                raise LinkError(f"{refusal}: check unit_id, function and address {block.address}") from None
            self._rest(block, began_s)
            self._not_given(block, refusal)
            return False
        except NoAnswer:
            if not vital:
                self._rest(block, began_s)
            raise
        self._rests.pop(block, None)
        self._states[block] = BlockState(block, read_s=began_s, cost_s=loop.time() - began_s)
        self.refused -= {value.quantity for value in block.values}
        found, wrong = decode_block(block, registers)
        for quantity, value in found.items():
            reason = impossible(quantity, value, self._bounds)
            if reason:
                wrong[quantity] = reason
            else:
                self.samples[quantity] = Sample(at, value)
        self._reject(wrong, taken=found.keys() - wrong.keys())
        return True

    def _rest(self, block: Block, now_s: float) -> None:
        rest_s = self._rests.get(block, REST_S)
        self._rests[block] = min(LONGEST_REST_S, 2 * rest_s)
        self._states[block] = replace(self._states[block], rests_until_s=now_s + rest_s)

    def _not_given(self, block: Block, refusal: Refused) -> None:
        new = {value.quantity for value in block.values} - self.refused
        if new:
            log.warning("%s: does not give %s (%s)", self._label, ", ".join(sorted(new)), refusal)
        self.refused |= new

    def _reject(self, wrong: Mapping[Quantity, str], *, taken: set[Quantity]) -> None:
        self.rejected += len(wrong)
        for quantity, reason in wrong.items():
            if quantity not in self._rejecting:
                what = "reading dropped" if quantity is Quantity.POWER else "value dropped"
                log.warning("%s: %s: %s", self._label, what, reason)
        self._rejecting = (self._rejecting | wrong.keys()) - taken

    def _publish(self, at: datetime) -> None:
        power = self.samples.get(Quantity.POWER)
        if power is not None and power.at == at and not self._still.found:
            self._reading = reading_of(at, self.samples, keep=self._keep)

    def _judge(self, at: datetime) -> None:
        """Hold what is fresh against each other, and the registers of energy against the power."""
        fresh = {quantity: sample.value for quantity, sample in self.samples.items() if at - sample.at <= self._keep}
        read = {quantity: sample.value for quantity, sample in self.samples.items() if sample.at == at}
        if all(quantity in read for quantity in (*VOLTAGES, *CURRENTS) if quantity in fresh):  # old ones may be of another load
            self._doubt(doubts(read, self._bounds))
        map_, stood = self.settings.map.values, self._still.found
        self._still = self._still.seen(at, fresh, read, map_)
        if self._still.found is not stood:
            log.warning("%s: %s", self._label, "its values change again" if stood else STANDS_STILL)
        self._energy, noticed = self._energy.seen(at, read, map_)
        for words in noticed:
            log.warning("%s: %s", self._label, words)

    def _doubt(self, found: tuple[Doubt, ...]) -> None:
        counts = {}
        for kind, words in found:
            polls = self._doubted.get(kind, (0, ""))[0] + 1
            counts[kind] = (polls, words)
            if polls == STEADY_POLLS:
                log.warning("%s: %s", self._label, words)
        self._doubted = counts
