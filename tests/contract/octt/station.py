"""What a station of any version does in a case: hears the central system's calls, remembers them, answers as it was told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

Payload = dict[str, Any]
Answer = Mapping[str, Any] | Callable[[Payload], Mapping[str, Any]]

ACCEPTED = {"status": "Accepted"}
PATIENCE_S = 20.0


def now(**ago: float) -> str:
    """The time on the wire, so long ago."""
    return (datetime.now(UTC) - timedelta(**ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Ears:
    """``heard``: calls of the central system, in their order; ``answers``: by action, what the station says to them."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Payload]] = []
        self.answers: dict[str, Answer] = {}
        self._news = asyncio.Event()

    def hear(self, action: str, payload: Payload, otherwise: Answer) -> Payload:
        """Remember a call. What is said to it: what the case wants, or what is said otherwise."""
        self.heard.append((action, payload))
        self._news.set()
        known = self.answers.get(action, otherwise)
        return dict(known(payload) if callable(known) else known)

    def calls(self, action: str) -> list[Payload]:
        return [payload for name, payload in self.heard if name == action]

    async def told(self, action: str, *, times: int = 1, where: Callable[[Payload], bool] = lambda _: True) -> Payload:
        """Wait until the central system has called so, so often, and say with what the last time."""
        async with asyncio.timeout(PATIENCE_S):
            while len(found := [payload for payload in self.calls(action) if where(payload)]) < times:
                self._news.clear()
                await self._news.wait()
        return found[times - 1]
