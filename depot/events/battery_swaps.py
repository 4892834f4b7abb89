"""Facts of battery swaps (OCPP 2.1). See :mod:`depot.battery_swaps`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.battery_swaps import Swapped
from depot.events.envelope import Event


@dataclass(frozen=True, slots=True)
class BatterySwapAsked(Event):
    """Journaled before the station is asked: its id is not given again."""

    TYPE: ClassVar[str] = "battery_swap.swap_asked"
    request_id: int
    station_id: str
    id_token: str


@dataclass(frozen=True, slots=True)
class BatterySwapAnswered(Event):
    """``state``: accepted, rejected, unknown."""

    TYPE: ClassVar[str] = "battery_swap.swap_answered"
    request_id: int
    state: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class BatteriesSwapped(Event):
    """Batteries were put in or taken out. ``unlisted``: so many more were only counted before this one."""

    TYPE: ClassVar[str] = "battery_swap.batteries_swapped"
    station_id: str
    swapped: Swapped
    unlisted: int = 0
