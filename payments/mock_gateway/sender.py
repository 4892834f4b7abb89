"""Webhooks leave: signed over the raw body, at least once, in no order, again with growing pauses for a day."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging

import httpx
import sqlalchemy as sa

from depot.ports import Clock
from payments.mock_gateway.books import EVENTS
from payments.mock_gateway.settings import MockSettings
from storage import Store

__all__ = ["Sender"]

log = logging.getLogger(__name__)

_CONCURRENCY = 8
_BATCH = 100
_ANSWER_S = 5.0
_FIRST_PAUSE_S = 0.5
_GIVE_UP_S = 24 * 3600.0
_LOOK_S = 0.1


class Sender:
    """Sends what the books hold as undelivered. A webhook is delivered when it was answered 2xx within five seconds."""

    def __init__(self, store: Store, settings: MockSettings, clock: Clock, woken: asyncio.Event) -> None:
        self._store, self._settings, self._clock, self._woken = store, settings, clock, woken
        self._turn = asyncio.Semaphore(_CONCURRENCY)

    async def run(self) -> None:
        """Until cancelled."""
        async with httpx.AsyncClient(timeout=_ANSWER_S, trust_env=False) as client:
            while True:
                self._woken.clear()
                due = self._due()
                async with asyncio.TaskGroup() as group:
                    for seq, event_id, body, tries in due:
                        group.create_task(self._send(client, seq, event_id, body, tries))
                if not due:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_S):
                            await self._woken.wait()

    def _due(self) -> list[tuple[int, str, str, int]]:
        now = self._clock.now().timestamp()
        query = sa.select(EVENTS.c.seq, EVENTS.c.event_id, EVENTS.c.body, EVENTS.c.tries).where(
            EVENTS.c.delivered.is_(False), EVENTS.c.due_at <= now, EVENTS.c.made_at > now - _GIVE_UP_S
        )
        with self._store.reading() as connection:
            return [(r.seq, r.event_id, r.body, r.tries) for r in connection.execute(query.order_by(EVENTS.c.due_at).limit(_BATCH))]

    async def _send(self, client: httpx.AsyncClient, seq: int, event_id: str, body: str, tries: int) -> None:
        raw = body.encode()
        headers = {
            "content-type": "application/json",
            "x-razorpay-signature": hmac.new(self._settings.webhook_secret.encode(), raw, hashlib.sha256).hexdigest(),
            "x-razorpay-event-id": event_id,
        }
        async with self._turn:
            try:
                answer = await client.post(self._settings.webhook_url, content=raw, headers=headers)
                taken = answer.is_success
            except httpx.HTTPError as error:
                log.debug("webhook %s was not taken: %s", event_id, type(error).__name__)
                taken = False
        pause = min(_FIRST_PAUSE_S * 2 ** min(tries, 30), self._settings.most_pause_s)
        change = {"delivered": True} if taken else {"tries": tries + 1, "due_at": self._clock.now().timestamp() + pause}
        with self._store.writing() as connection:
            connection.execute(sa.update(EVENTS).where(EVENTS.c.seq == seq).values(**change))
