"""Facts of stations' network connection profiles. See :mod:`depot.network_profiles`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.events.envelope import Event
from depot.network_profiles import NetworkProfile


@dataclass(frozen=True, slots=True)
class NetworkProfileSet(Event):
    """The station has accepted a profile in a slot; without secrets."""

    TYPE: ClassVar[str] = "station.network_profile_set"
    station_id: str
    slot: int
    profile: NetworkProfile


@dataclass(frozen=True, slots=True)
class NetworkPrioritySet(Event):
    """The station has accepted in which order it tries its slots; it does so from its next boot on."""

    TYPE: ClassVar[str] = "station.network_priority_set"
    station_id: str
    priority: tuple[int, ...]
