"""Cold-load pick-up: after a power cut of the whole site the chargers do not all begin at the moment of its return.

    a link ends, the meter shows nothing --> armed         power may be gone
    stations boot --> half of them, or one while armed --> power is back: every vehicle that waits draws a delay

The delays are drawn evenly within a window, and given out in the order of urgency: who leaves first draws the shortest.
Until then a charger that has booted starts nothing, and a session that it took up again is kept at its least. A network
that fails and comes back boots nobody, and delays nothing; nor does a single station that restarts, but for the few
seconds in which it is not known yet that it is the only one. No I/O and no clock: every method takes ``now_s``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from depot.values import ConnectorId

TOGETHER_S = 60.0
"""Boots within this time have one cause."""

JUDGE_S = 10.0
"""A station that boots waits so long for others to do the same."""

DARK_S = 900.0
"""So long after the meter last showed next to nothing a first boot is taken for the return of power."""

RETURN_S = 900.0
"""A station that boots within this time after power came back belongs to the same return."""

LIVELY_SHARE, DARK_SHARE = 0.05, 0.01
"""Of the contract: what a site draws that is alive, and below what it is dark."""

FALL_S = 10.0
"""A meter that shows next to nothing means a cut where the site was alive so shortly before; else it is a quiet night."""


@dataclass(frozen=True, slots=True)
class PickupSettings:
    """The window of delays, seconds after power came back; ``max_s`` 0: no delay at all. ``share``: of the stations that
    have ever been here, so many boot together after a cut."""

    min_s: float = 0.0
    max_s: float = 120.0
    share: float = 0.5


@dataclass(slots=True)
class Pickup:
    """One per depot. ``known``: how many stations have ever booted here is told with every boot."""

    settings: PickupSettings
    contract_w: int
    rng: Random
    returned_s: float = -math.inf
    _gone: set[str] = field(default_factory=set)
    _boots: dict[str, float] = field(default_factory=dict)
    _back: set[str] = field(default_factory=set)
    _release_s: dict[ConnectorId, float] = field(default_factory=dict)
    _lively_s: float = -math.inf
    _dark_s: float = -math.inf

    def link(self, station_id: str, *, connected: bool) -> None:
        """A station's connection began or ended."""
        if connected:
            self._gone.discard(station_id)
        else:
            self._gone.add(station_id)

    def meter(self, power_w: int, now_s: float) -> None:
        """What the connection point showed at ``now_s``."""
        if abs(power_w) >= LIVELY_SHARE * self.contract_w:
            self._lively_s = now_s
        elif abs(power_w) < DARK_SHARE * self.contract_w and (now_s - self._lively_s <= FALL_S or now_s - self._dark_s <= DARK_S):
            self._dark_s = now_s

    def booted(self, station_id: str, now_s: float, *, known: int, waiting: Callable[[], Sequence[ConnectorId]]) -> bool:
        """A station that is known here restarted. ``known``: how many such there are; ``waiting()``: connectors with a
        vehicle, the most urgent first. True: power has come back just now, and all of these have drawn their delays."""
        if self.settings.max_s <= 0 or known < 2:
            return False
        gone = len(self._gone | {station_id})
        self._gone.discard(station_id)
        if now_s - self.returned_s <= RETURN_S and station_id not in self._back:
            self._back.add(station_id)  # it took longer than others to come up
            return False
        self._boots = {name: at_s for name, at_s in self._boots.items() if now_s - at_s <= TOGETHER_S}
        self._boots[station_id] = now_s
        most = max(2, math.ceil(self.settings.share * known))
        armed = now_s - self._dark_s <= DARK_S or gone >= most
        if not armed and len(self._boots) < most:
            return False
        self.returned_s = min(self._boots.values())
        self._back = set(self._boots)
        self._boots = {}
        self._dark_s = -math.inf
        keys = waiting()
        drawn = sorted(self.rng.uniform(self.settings.min_s, self.settings.max_s) for _ in keys)
        self._release_s = {key: self.returned_s + delay_s for key, delay_s in zip(keys, drawn, strict=True)}
        return True

    def holds(self, key: ConnectorId, now_s: float) -> bool:
        """Whether nothing may begin or rise there yet."""
        if self._boots:
            booted_s = self._boots.get(key.station_id)
            if booted_s is not None and now_s < booted_s + JUDGE_S:
                return True
        release_s = self._release_s.get(key)
        return release_s is not None and now_s < release_s and key.station_id in self._back

    def release_s(self, key: ConnectorId) -> float | None:
        """When the connector's delay ends; None where it drew none."""
        return self._release_s.get(key)

    def waiting(self, now_s: float) -> int:
        """How many delays still run."""
        return sum(release_s > now_s for release_s in self._release_s.values())

    def until_s(self) -> float:
        """When the last delay ends; −inf without any."""
        return max(self._release_s.values(), default=-math.inf)

    def active(self, now_s: float) -> bool:
        """Whether time alone will release somebody soon."""
        return bool(self._boots) or now_s <= self.until_s() + 1.0
