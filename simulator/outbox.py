"""What a station has to say, in order: notifications that lapse, and transaction messages that are kept until confirmed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ocpp.exceptions import OCPPError

from simulator.link import Link
from simulator.wire import WireClosed

_METER_VALUES_KEPT = 30
_SILENT_CALLS = 3


class Kind(Enum):
    """How long a message matters: ``NOTICE`` while connected, ``METER`` the newest ones, ``TRANSACTION`` until confirmed."""

    NOTICE = "notice"
    METER = "meter"
    TRANSACTION = "transaction"


@dataclass(slots=True, eq=False)
class Message:
    """``build`` makes the package's payload when its turn has come; ``done`` gets the answer's payload."""

    kind: Kind
    build: Callable[[], Any]
    done: Callable[[Any], None] | None = None
    refusals: int = 0


class Outbox:
    """The station's queue, which outlives its connections. ``attempts``: refusals after which a kept message is given up."""

    def __init__(self, *, attempts: Callable[[], int], retry_s: Callable[[], float]) -> None:
        self._attempts = attempts
        self._retry_s = retry_s
        self._waiting: deque[Message] = deque()
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Message) -> None:
        """Queue at the end. The oldest meter values give way where there are too many."""
        if message.kind is Kind.METER:
            meters = [m for m in self._waiting if m.kind is Kind.METER]
            if len(meters) >= _METER_VALUES_KEPT:
                self._waiting.remove(meters[0])
        self._waiting.append(message)
        self._filled.set()

    def reconnected(self, notices: list[Message]) -> None:
        """Old notices lapse, ``notices`` about the present go first, what is kept follows in its order."""
        self._waiting = deque([*notices, *(m for m in self._waiting if m.kind is not Kind.NOTICE)])
        self._filled.set()

    async def pump(self, link: Link) -> None:
        """Say everything over ``link`` until it is over. Raises :class:`~simulator.wire.WireClosed`, also when the other
        side has not answered several calls in a row."""
        unanswered = 0
        while True:
            while not self._waiting:
                self._filled.clear()
                await self._filled.wait()
            message = self._waiting[0]
            try:
                answer = await link.call(message.build(), suppress=False)
            except TimeoutError:
                unanswered += 1
                if unanswered >= _SILENT_CALLS:
                    raise WireClosed(reason="no answers") from None
                if message.kind is not Kind.TRANSACTION:
                    self._take(message)
            except OCPPError:
                # A CALLERROR, or an answer that cannot be read: the central system may or may not have it.
                message.refusals += 1
                if message.kind is not Kind.TRANSACTION or message.refusals >= self._attempts():
                    self._take(message)
                else:
                    await asyncio.sleep(self._retry_s() * message.refusals)
            else:
                unanswered = 0
                self._take(message)
                if message.done is not None:
                    message.done(answer)

    def _take(self, message: Message) -> None:
        if message in self._waiting:  # a full queue may have dropped it meanwhile
            self._waiting.remove(message)
