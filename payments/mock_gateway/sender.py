"""Webhooks leave: at least once, in no order, again with growing pauses for a day; then the webhook is disabled, as the real
gateway does, until somebody enables it again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging

import httpx
import sqlalchemy as sa

from depot.ports import Clock
from payments.mock_gateway.books import EVENTS, STATE
from payments.mock_gateway.settings import MockSettings
from storage import Store

__all__ = ["GIVEN_UP", "Sender"]

log = logging.getLogger(__name__)

GIVEN_UP = "given up"
_CONCURRENCY = 8
_BATCH = 100
_ANSWER_S = 5.0
_FIRST_PAUSE_S = 0.5
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
                    for row in due:
                        group.create_task(self._send(client, *row))
                if not due:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_S):
                            await self._woken.wait()

    def _due(self) -> list[tuple[int, str, str, int, str]]:
        now = self._clock.now().timestamp()
        old = (EVENTS.c.made_at <= now - self._settings.give_up_s) & (EVENTS.c.tries > 0)
        waiting = EVENTS.c.delivered.is_(False) & sa.func.coalesce(EVENTS.c.held, 0).is_(0)
        query = sa.select(EVENTS.c.seq, EVENTS.c.event_id, EVENTS.c.body, EVENTS.c.tries, EVENTS.c.signature)
        query = query.where(waiting, EVENTS.c.due_at <= now, ~old).order_by(EVENTS.c.due_at, EVENTS.c.seq).limit(_BATCH)
        lost = waiting & old & (sa.func.coalesce(EVENTS.c.answer, "") != GIVEN_UP)
        with self._store.reading() as connection:
            if not connection.execute(sa.select(STATE.c.enabled)).scalar_one_or_none():
                return []
            gone = connection.execute(sa.select(EVENTS.c.seq).where(lost).limit(1)).first()
            rows = [(r.seq, r.event_id, r.body, r.tries, r.signature or "") for r in connection.execute(query)]
        if gone is None:
            return rows
        with self._store.writing() as connection:
            connection.execute(sa.update(EVENTS).where(lost).values(answer=GIVEN_UP))
            connection.execute(sa.update(STATE).values(enabled=0, disabled_at=now))
        log.error("the webhook was not taken for %.0f h and is disabled: enable it at /app/lab", self._settings.give_up_s / 3600)
        return []

    async def _send(self, client: httpx.AsyncClient, seq: int, event_id: str, body: str, tries: int, signature: str) -> None:
        raw = body.encode()
        headers = {
            "content-type": "application/json",
            "x-razorpay-signature": signature or hmac.new(self._settings.webhook_secret.encode(), raw, hashlib.sha256).hexdigest(),
            "x-razorpay-event-id": event_id,
        }
        async with self._turn:
            try:
                answer = await client.post(self._settings.webhook_url, content=raw, headers=headers)
                taken, words = answer.is_success, str(answer.status_code)
            except httpx.HTTPError as error:
                log.debug("webhook %s was not taken: %s", event_id, type(error).__name__)
                taken, words = False, type(error).__name__
        now = self._clock.now().timestamp()
        pause = min(_FIRST_PAUSE_S * 2 ** min(tries, 30), self._settings.most_pause_s)
        change = {"delivered": True, "delivered_at": now} if taken else {"due_at": now + pause}
        with self._store.writing() as connection:
            connection.execute(sa.update(EVENTS).where(EVENTS.c.seq == seq).values(tries=tries + 1, answer=words, **change))
