"""What masters wanted over Modbus and what came of it, as facts for the audit trail.

    LimitServer --Answered--> UtilityTrail --every command; refused writes in numbers--> journal: UtilityCommandAnswered

Every command becomes a fact of its own. Refused writes cost an attacker nothing, so the first of a kind (a peer's address, a
role, an outcome) is a fact at once, and what follows is counted: one fact a minute says how many. Beyond :data:`KINDS_MOST`
kinds at once peers are put together. Nothing is lost but the single times and words.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from depot.events import UtilityCommandAnswered
from depot.values import UtilityOrder
from grid.failsafe import FailsafeChange
from grid.limit_desk import Answered

log = logging.getLogger(__name__)

EVERY: Final = timedelta(minutes=1)
KINDS_MOST: Final = 100
KEPT: Final = 12
"""Facts that are shown beside the registers."""

MANY: Final = "several"
"""The peer's name where peers were put together."""

Kind = tuple[str, str, str]


@dataclass(slots=True)
class _Counted:
    since: datetime
    message: str
    count: int = 0


class UtilityTrail:
    """``note``: records a fact of an actor; nothing waits for it. ``newest``: the last facts, with when and who."""

    def __init__(self, note: Callable[[UtilityCommandAnswered, str], None]) -> None:
        self._record = note
        self.newest: deque[tuple[datetime, UtilityCommandAnswered, str]] = deque(maxlen=KEPT)
        self._kinds: dict[Kind, _Counted] = {}

    def take(self, word: Answered, now: datetime) -> None:
        """A command is over, or a write was refused."""
        if word.seq is not None and word.command is not None:
            self._note(_fact(word), word.peer, now)
            return
        kind = (word.peer.rpartition(":")[0], word.role, _outcome(word))
        if kind not in self._kinds and len(self._kinds) >= KINDS_MOST:
            kind = (MANY, "", _outcome(word))
        known = self._kinds.get(kind)
        if known is not None:
            known.count += 1
            known.message = word.message
            return
        self._kinds[kind] = _Counted(now, word.message)
        log.warning("the utility's side: %s was refused: %s (%s)", word.peer, word.message, _outcome(word))
        self._note(_fact(word), word.peer, now)

    def look(self, now: datetime) -> None:
        """Tell of what was counted, a minute after it began."""
        for kind, counted in list(self._kinds.items()):
            if now - counted.since < EVERY:
                continue
            if not counted.count:
                del self._kinds[kind]
                continue
            host, role, outcome = kind
            self._note(UtilityCommandAnswered(None, outcome, f"at last: {counted.message}", role, counted.count), host, now)
            self._kinds[kind] = _Counted(now, counted.message)

    def _note(self, fact: UtilityCommandAnswered, peer: str, now: datetime) -> None:
        actor = f"modbus:{peer}"
        self.newest.append((now, fact, actor))
        self._record(fact, actor)


def _outcome(word: Answered) -> str:
    return word.state.name.lower() if word.state is not None else f"exception {word.code:02X}"


def _fact(word: Answered) -> UtilityCommandAnswered:
    command = word.command
    asked = word.message
    if command is not None:
        parts = [_order(command.order)] if command.order is not None else []
        parts += [_failsafe(command.failsafe)] if command.failsafe is not None else []
        asked = ", ".join(parts)
    return UtilityCommandAnswered(word.seq, _outcome(word), asked, word.role, 1, word.before_w, word.after_w)


def _order(order: UtilityOrder) -> str:
    """An order in words."""
    words = ["no limit" if order.value_w is None else f"limit {order.value_w} W"]
    words += [f"for {order.validity_s} s"] if order.validity_s else []
    words += [f"in {order.delay_s} s"] if order.delay_s else []
    words += [f"event {order.event_id}"] if order.event_id else []
    return " ".join(words)


def _failsafe(change: FailsafeChange) -> str:
    parts = (("limit", change.limit_w, "W"), ("duration", change.min_s, "s"), ("heartbeat timeout", change.heartbeat_timeout_s, "s"))
    return "fail-safe " + " ".join(f"{name} {value} {unit}" for name, value, unit in parts if value is not None)
