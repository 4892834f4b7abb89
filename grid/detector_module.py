"""Detectors on an I/O module over Modbus TCP: contacts and numbers that are read, and nothing that is written.

    every period: inputs --> .seen (value, when it was asked for) --> on_read()

A detector that refuses its request is told of by itself; the others go on. A value that does not come is no value: whoever decides looks at
its age.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from grid.modbus_link import ModbusLink, Peer, Refused, Table

__all__ = ["Detector", "DetectorModule", "Seen"]

LONGEST_PAUSE_S: Final = 2.0
_BITS = (Table.COIL, Table.DISCRETE)
_SIGN, _RANGE = 32_768, 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """Where a detector is. A register's number is ``raw · scale + offset``; ``signed``: two's complement."""

    detector_id: str
    table: Table
    address: int
    scale: float = 1.0
    offset: float = 0.0
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What it said last, and when it was asked, in seconds of the clock that the module was given. A contact says 1 or 0. ``value`` None:
    nothing yet. ``refused``: what the module has against its request."""

    value: float | None = None
    at_s: float = -math.inf
    refused: str = ""


class DetectorModule:
    """Its owner runs :meth:`run` as a task; cancelling ends it. ``now``: monotonic seconds."""

    def __init__(
        self,
        peer: Peer,
        detectors: Sequence[Detector],
        *,
        now: Callable[[], float],
        on_read: Callable[[], None] = lambda: None,
        period_s: float = 1.0,
    ) -> None:
        self.seen = {detector.detector_id: Seen() for detector in detectors}
        self.link = ModbusLink(peer, label=f"detectors at {peer}", longest_pause_s=LONGEST_PAUSE_S)
        self._detectors = tuple(detectors)
        self._now, self._on_read, self._period_s = now, on_read, period_s

    async def run(self) -> None:
        """Until cancelled."""
        await self.link.keep(self._poll, period_s=self._period_s)

    async def _poll(self) -> None:
        for one in self._detectors:
            at_s = self._now()
            try:
                self.seen[one.detector_id] = Seen(await self._value(one), at_s)
            except Refused as refused:
                before = self.seen[one.detector_id]
                self.seen[one.detector_id] = Seen(before.value, before.at_s, str(refused))
        self._on_read()

    async def _value(self, one: Detector) -> float:
        if one.table in _BITS:
            (closed,) = await self.link.read_bits(one.table, one.address)
            return float(closed)
        (raw,) = await self.link.read(one.table, one.address, 1)
        if one.signed and raw >= _SIGN:
            raw -= _RANGE
        return raw * one.scale + one.offset
