"""Battery swaps (OCPP 2.1 block S): batteries that are put into a station and taken out of it, and who asked for it. Pure.

asked --station's word--> accepted | rejected          BatterySwap: batteries in, batteries out, or nobody took them
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

KEPT = 300
"""Swaps and events that are remembered, the newest, of all stations together."""
MAX_REQUEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Battery:
    """A battery in a slot (EVSE). ``soc``, ``soh``: fractions, None where what was said cannot be true."""

    evse_id: int
    serial: str
    soc: float | None
    soh: float | None
    made_at: datetime | None = None
    vendor_info: str = ""


@dataclass(frozen=True, slots=True)
class SwapAsked:
    """A swap that this depot asked for. ``state``: asked, accepted, rejected, or unknown where the station did not answer."""

    request_id: int
    station_id: str
    id_token: str
    asked_at: datetime
    state: str = "asked"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Swapped:
    """What a station told. ``kind``: BatteryIn, BatteryOut, BatteryOutTimeout (nobody took it). ``request_id``: it makes the parts of one
    swap belong together."""

    kind: str
    request_id: int
    id_token: str
    batteries: tuple[Battery, ...]


@dataclass(frozen=True, slots=True)
class SwapEvent:
    """One entry of the book."""

    station_id: str
    at: datetime
    swapped: Swapped


@dataclass(frozen=True, slots=True)
class SwapBook:
    """``next_id``: of the next swap that is asked for, unique over the depot."""

    asked: tuple[SwapAsked, ...] = ()
    events: tuple[SwapEvent, ...] = ()
    next_id: int = 1

    def with_asked(self, new: SwapAsked) -> SwapBook:
        return replace(self, asked=(*self.asked, new)[-KEPT:], next_id=new.request_id % MAX_REQUEST_ID + 1)

    def answered(self, request_id: int, state: str, note: str) -> SwapBook:
        return replace(self, asked=tuple(replace(a, state=state, note=note) if a.request_id == request_id else a for a in self.asked))

    def with_event(self, event: SwapEvent) -> SwapBook:
        return replace(self, events=(*self.events, event)[-KEPT:])

    def inside(self, station_id: str) -> Sequence[Battery]:
        """Batteries that are in the station, as far as it told: the last word on each slot."""
        slots: dict[int, Battery | None] = {}
        for event in self.events:
            if event.station_id != station_id:
                continue
            for battery in event.swapped.batteries:
                slots[battery.evse_id] = None if event.swapped.kind == "BatteryOut" else battery
        return [battery for _, battery in sorted(slots.items()) if battery is not None]


class SwapDesk(Protocol):
    """Who hears of batteries that come and go."""

    async def swapped(self, station_id: str, swapped: Swapped) -> None: ...
