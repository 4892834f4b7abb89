"""Connectors that are shut because of a tripped pack: what is asked of their chargers, again until it is confirmed.

    shut(key, pack) --> RemoteStop, Inoperative, default 0, limiter at 0      at once, one task each, nothing waited for
    look(), ready(station) --> whatever is not confirmed yet, once more

What was asked, answered and when is kept for the screens; the journal's facts are :mod:`controller.safety`'s.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller.loop import ControlLoop
from controller.room_keeper import RoomKeeper
from controller.yard import Yard
from depot.values import ConnectorId, Outcome, PackKey

log = logging.getLogger(__name__)

STOP_AGAIN_S = 10.0
"""A session that still runs is stopped again after this time."""

AGAIN_S = 5.0
"""So is an Inoperative that was not confirmed."""

REFUSED_AGAIN_S = 60.0
"""What a charger refuses is asked for again after this time."""


@dataclass(slots=True)
class Ask:
    """One thing that is asked of a charger. ``outcome`` None: no answer yet. ``first_at``: when it was asked first.
    ``pending``: an answer is awaited, so it is not asked again."""

    first_at: datetime | None = None
    asked_s: float = -math.inf
    outcome: Outcome | None = None
    answered_at: datetime | None = None
    took_s: float | None = None
    pending: bool = False

    @property
    def done(self) -> bool:
        return self.outcome is Outcome.ACCEPTED

    def due(self, now_s: float, again_s: float) -> bool:
        """Whether it is to be asked (again)."""
        wait_s = REFUSED_AGAIN_S if self.outcome in (Outcome.REFUSED, Outcome.UNSUPPORTED) else again_s
        return not self.done and not self.pending and now_s - self.asked_s >= wait_s


@dataclass(slots=True)
class Shut:
    """A connector that is shut. ``recorded``: the journal knew of it. ``transaction_id``: of the session that was stopped."""

    pack: PackKey
    since: datetime
    recorded: bool
    transaction_id: int | None
    stop: Ask
    inoperative: Ask
    default: Ask


class Isolation:
    """Owns :attr:`~controller.yard.Yard.isolated`. ``spawn``: work that nobody waits for; None while nothing may run yet."""

    def __init__(self, yard: Yard, loop: ControlLoop, keeper: RoomKeeper | None = None) -> None:
        self.shut: dict[ConnectorId, Shut] = {}
        self.spawn: Callable[[Coroutine[Any, Any, None], str], None] | None = None
        self.on_change: list[Callable[[], None]] = []
        """Who must know at once that a connector was shut or let go."""
        self._yard = yard
        self._loop = loop
        self._keeper = keeper or RoomKeeper(yard.clock)

    def add(self, key: ConnectorId, pack: PackKey, *, recorded: bool) -> None:
        """Shut ``key``, at once; the same again asks the charger for everything anew."""
        transaction = self._yard.state.transaction_on(key)
        known = self.shut.get(key)
        since = known.since if known is not None else self._yard.clock.now()
        number = transaction.transaction_id if transaction is not None else known.transaction_id if known is not None else None
        self.shut[key] = Shut(pack, since, recorded, number, Ask(), Ask(), Ask())
        self._yard.isolated[key] = pack
        self.enforce(key)
        self._keeper.tell("outputs", self.on_change)

    def let_go(self, key: ConnectorId) -> None:
        """Its fact is journaled: the limiter may use it again."""
        self.shut.pop(key, None)
        self._yard.isolated.pop(key, None)
        self._keeper.tell("outputs", self.on_change)
        self._loop.wake()

    def ready(self, station_id: str) -> None:
        """The station takes calls (again): whatever it was told before may be forgotten. Its default comes with the others."""
        for key, shut in self.shut.items():
            if key.station_id == station_id:
                shut.inoperative = Ask()
                shut.stop.asked_s = -math.inf
                shut.default = Ask(asked_s=self._yard.clock.monotonic())
                self.enforce(key)

    def look(self) -> None:
        """Time went on."""
        for key in self.shut:
            self.enforce(key)

    def enforce(self, key: ConnectorId) -> None:
        """Ask for what is due, without waiting for any of it."""
        shut = self.shut[key]
        if self.spawn is None or not self._loop.chargers.connected(key.station_id):
            return
        now_s = self._yard.clock.monotonic()
        transaction = self._yard.state.transaction_on(key)
        if transaction is not None and not shut.stop.pending and now_s - shut.stop.asked_s >= STOP_AGAIN_S:
            shut.transaction_id = number = transaction.transaction_id
            self._ask(shut.stop, lambda: self._loop.chargers.stop(key, number), f"safety stop {key}")
        lifted = shut.recorded and self._yard.state.connector(key).isolated_by is None
        if not lifted and shut.inoperative.due(now_s, AGAIN_S):
            self._ask(shut.inoperative, lambda: self._loop.chargers.set_operative(key, False), f"safety inoperative {key}")
        grant = self._yard.grants[key]
        if grant.default_w == 0:
            shut.default.outcome = Outcome.ACCEPTED
            shut.default.answered_at = shut.default.answered_at or self._yard.clock.now()
        elif now_s - shut.default.asked_s >= (AGAIN_S if grant.default_w is not None else REFUSED_AGAIN_S):
            shut.default.asked_s = now_s
            self._loop.install_default(key, 0)
        if grant.told_w:
            self._loop.wake()

    def _ask(self, ask: Ask, call: Callable[[], Coroutine[Any, Any, Outcome]], name: str) -> None:
        clock = self._yard.clock
        ask.first_at = ask.first_at or clock.now()
        ask.asked_s = clock.monotonic()
        ask.pending = True

        async def answered() -> None:
            try:
                outcome = await call()
            finally:
                ask.pending = False
            ask.outcome, ask.answered_at, ask.took_s = outcome, clock.now(), clock.monotonic() - ask.asked_s
            if outcome is not Outcome.ACCEPTED:
                log.error("%s was not accepted (%s); asking again", name, outcome)

        assert self.spawn is not None
        self.spawn(answered(), name)
