"""Connectors of isolated areas: their sessions are stopped first, and nothing starts on them until the isolation is reset.

    hold(areas' connectors, why), hold_for(owner, …) --> limiter 0 at once, RemoteStop, default 0; again until confirmed
    not held any more            --> their default as of today

It owns :attr:`~controller.yard.Yard.cut`, for all who want something held. A connector that a tripped battery shuts as well stays
:mod:`controller.isolation`'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from controller.isolation import AGAIN_S, REFUSED_AGAIN_S, STOP_AGAIN_S
from controller.loop import ControlLoop
from controller.yard import Yard
from depot.values import ConnectorId


@dataclass(slots=True)
class _Asked:
    stop_s: float = -math.inf
    stopping: bool = False
    default_s: float = -math.inf


class Cut:
    """``restore(connector)``: give it its ordinary default. ``spawn``: work that nobody waits for; None while nothing may run."""

    def __init__(self, yard: Yard, loop: ControlLoop, restore: Callable[[ConnectorId], None]) -> None:
        self.spawn: Callable[[Coroutine[Any, Any, None], str], None] | None = None
        self._yard, self._loop, self._restore = yard, loop, restore
        self._asked: dict[ConnectorId, _Asked] = {}
        self._tested: Mapping[ConnectorId, str] = {}
        self._held: dict[str, Mapping[ConnectorId, str]] = {}
        loop.on_ready.append(self._ready)

    def hold(self, held: Mapping[ConnectorId, str], tested: Mapping[ConnectorId, str]) -> None:
        """From now on the outputs want these held, and no others. ``tested``: for the seconds of a test nothing starts on them; no more."""
        gone, self._tested = self._tested.keys() - tested.keys(), dict(tested)
        self._hold_all("outputs", held, gone)

    def hold_for(self, owner: str, held: Mapping[ConnectorId, str]) -> None:
        """The same for somebody else; a connector is let go when nobody wants it held."""
        self._hold_all(owner, held, set())

    def _hold_all(self, owner: str, own: Mapping[ConnectorId, str], untested: AbstractSet[ConnectorId]) -> None:
        self._held[owner] = own
        held = {key: why for wanted in self._held.values() for key, why in wanted.items()}
        tested = self._tested
        for key in [key for key in self._asked if key not in held]:
            del self._asked[key]
            self._yard.cut.pop(key, None)
            if key not in self._yard.isolated:
                self._restore(key)
            self._loop.wake()
        for key in untested - held.keys():
            self._yard.cut.pop(key, None)
        for key in held.keys() - self._asked.keys():
            self._asked[key] = _Asked()
            self._loop.wake()
        self._yard.cut.update(tested)
        self._yard.cut.update(held)
        for key in self._asked:
            self._enforce(key)

    def _ready(self, station_id: str) -> None:
        """The station takes calls (again); its default of 0 comes with the others."""
        for key, asked in self._asked.items():
            if key.station_id == station_id:
                asked.stop_s = -math.inf
                asked.default_s = self._yard.clock.monotonic()

    def _enforce(self, key: ConnectorId) -> None:
        asked, yard = self._asked[key], self._yard
        if self.spawn is None or key in yard.isolated or not self._loop.chargers.connected(key.station_id):
            return
        now_s = yard.clock.monotonic()
        transaction = yard.state.transaction_on(key)
        if transaction is not None and not asked.stopping and now_s - asked.stop_s >= STOP_AGAIN_S:
            asked.stop_s, asked.stopping = now_s, True
            self.spawn(self._stop(key, transaction.transaction_id, asked), f"isolation stop {key}")
        grant = yard.grants[key]
        again_s = AGAIN_S if grant.default_w is not None else REFUSED_AGAIN_S
        if grant.commissioned and grant.default_w != 0 and now_s - asked.default_s >= again_s:
            asked.default_s = now_s
            self._loop.install_default(key, 0)

    async def _stop(self, key: ConnectorId, number: int, asked: _Asked) -> None:
        try:
            await self._loop.chargers.stop(key, number)
        finally:
            asked.stopping = False
