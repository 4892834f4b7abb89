"""The courier: takes messages over from the outbox, sends what is due, tries again, gives up, says so. At least once.

A message is in the ledger before it is sent, and is marked sent after it arrived. Who is killed between the two sends
it again, with the same id.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from controller import outbox
from controller.notify.channels import Channel, Never, NotNow
from controller.notify.ledger import Delivery, Ledger
from controller.outbox import Message
from storage import StorageError, Store

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
FIRST_PAUSE_S: Final = 5.0
MOST_PAUSE_S: Final = 900.0
KEEP_S: Final = 30 * 86_400.0
AT_ONCE: Final = 8
LAST_S: Final = 3.0
"""Who is told to end lets what is on its way arrive for so long: cut off, it would be sent a second time."""


def pause_s(tries: int, chance: Callable[[], float]) -> float:
    """How long to wait after so many tries: doubling from 5 s to 15 min, each drawn from its upper half, so that many
    depots do not come back together."""
    ceiling = min(MOST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(tries, 30))
    return ceiling * (0.5 + 0.5 * chance())


class Courier:
    """One depot's. ``now_s``: the machine's time. ``give_up_s``: after which age a message is a dead letter."""

    def __init__(
        self,
        depot: Store,
        depot_id: str,
        ledger: Ledger,
        channels: Sequence[Channel],
        *,
        now_s: Callable[[], float],
        give_up_s: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._depot, self._depot_id, self._ledger = depot, depot_id, ledger
        self._channels: Mapping[str, Channel] = {channel.name: channel for channel in channels}
        self._now_s, self._give_up_s, self._chance = now_s, give_up_s, chance
        self._failing: set[str] = set()
        self._forgot_s = 0.0

    async def run(self) -> None:
        """Until cancelled. A database that can't be read or written now is tried again."""
        down = False
        while True:
            try:
                while await self.step():
                    pass
                down = False
            except StorageError as error:
                if not down:
                    log.warning("notifications wait: %s", error)
                down = True
            await asyncio.sleep(LOOK_S)

    async def step(self) -> int:
        """Take over what is new, send what is due; how many were tried."""
        now_s = self._now_s()
        self._ledger.take(
            outbox.waiting(self._depot, self._depot_id, after=self._ledger.taken_to), list(self._channels), now_s, self._wanted
        )
        due = self._ledger.due(list(self._channels), now_s, limit=AT_ONCE)
        await self._send(due)
        if now_s - self._forgot_s > 3600:
            self._forgot_s = now_s
            self._ledger.forget(now_s - KEEP_S)
        return len(due)

    async def _send(self, due: Sequence[Delivery]) -> None:
        sending = [asyncio.ensure_future(self._deliver(delivery)) for delivery in due]
        if not sending:
            return
        try:
            await asyncio.wait(sending)
        except asyncio.CancelledError:
            await asyncio.wait(sending, timeout=LAST_S)
            for one in sending:
                one.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
            raise
        await asyncio.gather(*sending)

    def _wanted(self, channel: str, message: Message) -> bool:
        return self._channels[channel].wants(message)

    async def _deliver(self, delivery: Delivery) -> None:
        name = delivery.channel
        try:
            await self._channels[name].send(delivery.message)
        except Never as error:
            self._give_up(delivery, str(error))
        except NotNow as error:
            self._failed(delivery, str(error))
        except Exception as error:
            log.exception("%s: message %s could not be sent", name, delivery.message.id)
            self._failed(delivery, f"our mistake: {type(error).__name__}")
        else:
            self._ledger.sent(delivery, self._now_s())
            if name in self._failing:
                self._failing.discard(name)
                log.info("%s: messages arrive again", name)

    def _failed(self, delivery: Delivery, error: str) -> None:
        now_s = self._now_s()
        if delivery.channel not in self._failing:
            self._failing.add(delivery.channel)
            log.warning("%s: messages do not arrive: %s; trying again", delivery.channel, error)
        if now_s - delivery.taken_s >= self._give_up_s:
            self._give_up(delivery, error)
        else:
            self._ledger.later(delivery, now_s + pause_s(delivery.tries, self._chance), error)

    def _give_up(self, delivery: Delivery, error: str) -> None:
        log.error("%s: message %s (%s) is given up: %s", delivery.channel, delivery.message.id, delivery.message.title, error)
        self._ledger.dead(delivery, self._now_s(), error)
