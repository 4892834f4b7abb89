"""amqtt's plugin that asks :class:`bms_bridge.accounts.Accounts` who may come in and what they may say."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from amqtt.broker import BrokerContext
from amqtt.contexts import Action
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from bms_bridge import AccountsError
from bms_bridge.accounts import Accounts

log = logging.getLogger(__name__)


class Gate(BaseAuthPlugin, BaseTopicPlugin):  # type: ignore[misc]  # amqtt has no types
    """Nobody without an account, nothing beyond it. The file is read again when it has changed, so that a new vehicle needs
    no restart; one that cannot be read changes nothing."""

    @dataclass
    class Config:
        """``accounts``: path of the file."""

        accounts: str

    def __init__(self, context: BrokerContext) -> None:
        super().__init__(context)
        self._path = Path(self.config.accounts)
        self._stamp = self._path.stat().st_mtime_ns
        self._accounts = Accounts.load(self._path)
        self.refused = 0

    async def authenticate(self, *, session: Session) -> bool:
        self._refresh()
        name = session.username or ""
        admitted = self._accounts.admits(name, session.password or "")
        if admitted and session.will_flag and not self._accounts.may_publish(name, session.will_topic or ""):
            # amqtt publishes a last will without asking topic_filtering
            log.warning("%s refused: its last will goes to a topic that it may not publish to", name)
            return False
        if not admitted:
            self.refused += 1
            log.warning("connection refused: unknown account or wrong key (%d so far)", self.refused)
        return admitted

    async def topic_filtering(self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None) -> bool:
        name = (session.username if session is not None else None) or ""
        if not topic:
            return False
        if action is Action.PUBLISH:
            return self._accounts.may_publish(name, topic)
        return self._accounts.may_read(name, topic)

    def _refresh(self) -> None:
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._accounts = Accounts.load(self._path)
                self._stamp = stamp
        except (OSError, AccountsError) as error:
            log.error("accounts were not read again: %s", error)
