"""Whether messages have reached somebody: reads the notifier's ledger now and then, in a thread. The notifier may be dead.

ledger --look()--> fates of the newest messages --of(keys, since)--> proof: one channel at least delivered one of them
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from controller.notify.ledger import DEAD, SENT, Fate, Ledger
from controller.response_steps import Proof
from storage import StorageError, Store, StoreMissing

log = logging.getLogger(__name__)

SLACK = timedelta(seconds=1)
"""Facts are stored in milliseconds; a message of the very moment counts."""


@dataclass(slots=True)
class Reached:
    """``ledger`` None: this depot has no section notify."""

    ledger: Path | None
    depot_id: str
    fates: Sequence[Fate] = ()
    _open: Ledger | None = field(default=None)

    async def look(self, since: datetime) -> None:
        """Read how messages stand that were taken over after ``since``."""
        await asyncio.to_thread(self._read, since)

    def _read(self, since: datetime) -> None:
        if self.ledger is None:
            return
        try:
            if self._open is None:
                self._open = Ledger(Store.open(self.ledger, read_only=True), self.depot_id)
            self.fates = self._open.fates((since - SLACK).timestamp())
        except StoreMissing:
            self.fates = ()
        except StorageError as error:
            log.info("how messages stand could not be read: %s", error)

    def about(self, keys: Collection[str], since: datetime) -> list[Fate]:
        """Deliveries of messages with one of these keys, from then on."""
        return [fate for fate in self.fates if fate.message.key in keys and fate.message.at >= since - SLACK]

    def of(self, keys: Collection[str], since: datetime) -> Proof:
        """Whether somebody was reached."""
        if self.ledger is None:
            return Proof(None, "nobody is told: there is no section notify")
        found = self.about(keys, since)
        arrived = sorted({fate.channel for fate in found if fate.state == SENT})
        failing = {fate.channel: fate.error for fate in found if fate.state == DEAD or (fate.state != SENT and fate.error)}
        against = "; ".join(f"{channel}: {error}" for channel, error in failing.items() if channel not in arrived)
        if arrived:
            return Proof(True, f"by {', '.join(arrived)}" + (f"; not by {against}" if against else ""))
        return Proof(False, against or ("under way" if found else "no message has left yet"))
