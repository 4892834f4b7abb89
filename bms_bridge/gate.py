"""amqtt's plugin that asks :class:`bms_bridge.accounts.Accounts` who may come in and what they may say. The door
(:mod:`bms_bridge.door`) has asked before; what comes to amqtt is asked again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from amqtt.broker import BrokerContext
from amqtt.contexts import Action
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from bms_bridge import AccountsError
from bms_bridge.accounts import Accounts

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
MOST_KEPT: Final = 5_000
MOST_KEPT_BYTES: Final = 32 * 1024 * 1024
"""Messages for a client that is away: the newest."""


class AccountBook:
    """The accounts in a file, looked at again now and then, so that a new vehicle needs no restart and one that lost its
    account is heard no longer; one that cannot be read changes nothing. Raises :class:`~bms_bridge.AccountsError` for the first
    time only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = path.stat().st_mtime_ns
        self._accounts = Accounts.load(path)
        self._looked_s = time.monotonic()

    def now(self, *, fresh: bool = False) -> Accounts:
        """``fresh``: looked at now, not a moment ago."""
        now_s = time.monotonic()
        if fresh or now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            self._look()
        return self._accounts

    def _look(self) -> None:
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._stamp = stamp
                self._accounts = Accounts.load(self._path)
        except (OSError, AccountsError) as error:
            log.error("accounts were not read again: %s", error)


class Newest(asyncio.Queue[Any]):
    """What is kept for a client that is away: beyond :data:`MOST_KEPT` messages or :data:`MOST_KEPT_BYTES` the oldest go."""

    _queue: deque[Any]

    def _init(self, maxsize: int) -> None:
        self._queue = deque()
        self._bytes = 0

    def _put(self, item: Any) -> None:
        self._queue.append(item)
        self._bytes += len(item.data)
        while len(self._queue) > MOST_KEPT or self._bytes > MOST_KEPT_BYTES:
            self._get()

    def _get(self) -> Any:
        item = self._queue.popleft()
        self._bytes -= len(item.data)
        return item


class Gate(BaseAuthPlugin, BaseTopicPlugin):  # type: ignore[misc]  # amqtt has no types
    """Nobody without an account, nothing beyond it. ``passed_on``: told of each message that amqtt begins to pass on."""

    @dataclass
    class Config:
        """``accounts``: path of the file."""

        accounts: str

    def __init__(self, context: BrokerContext) -> None:
        super().__init__(context)
        self.book = AccountBook(Path(self.config.accounts))
        self.passed_on: Callable[[str, str], None] = lambda username, client_id: None

    async def authenticate(self, *, session: Session) -> bool:
        accounts, name = self.book.now(fresh=True), session.username or ""
        if not accounts.admits(name, session.password or ""):
            return False
        if not isinstance(session.retained_messages, Newest):
            session.retained_messages = Newest()
        # amqtt publishes a last will without asking topic_filtering
        return not session.will_flag or accounts.may_publish(name, session.will_topic or "")

    async def topic_filtering(self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None) -> bool:
        name = (session.username if session is not None else None) or ""
        accounts = self.book.now()
        if action is Action.PUBLISH:
            self.passed_on(name, (session.client_id if session is not None else None) or "")
            return bool(topic) and accounts.may_publish(name, topic or "")
        return bool(topic) and accounts.may_read(name, topic or "")
