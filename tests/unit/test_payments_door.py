"""Webhooks that come in at the same time: one write for all of them, each with an answer of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import httpx
import pytest

from payments.process import WEBHOOK_PATH, Door, receiver
from payments.webhooks import Delivery, Receipt, Webhooks
from storage import StoreBusy

pytestmark = [pytest.mark.anyio, pytest.mark.apart]  # a real socket, whose answers are waited for


class Inbox:
    """Keeps what it was given in one go; ``trouble``: what it raises instead."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.given: list[int] = []
        self.trouble = trouble

    def receive_all(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        self.given.append(len(deliveries))
        if self.trouble is not None:
            raise self.trouble
        return [Receipt.STORED if delivery.told_signature else Receipt.FORGED for delivery in deliveries]


def door(inbox: Inbox) -> Door:
    return Door(cast("Webhooks", inbox))


async def test_what_comes_together_is_written_together_and_answered_each() -> None:
    inbox = Inbox()
    one = door(inbox)
    taken = await asyncio.gather(*(one.take(Delivery(b"{}", "s" if n % 2 else None, str(n))) for n in range(20)))
    assert inbox.given == [20]
    assert taken == [Receipt.FORGED, Receipt.STORED] * 10


async def test_who_comes_later_is_not_forgotten() -> None:
    inbox = Inbox()
    one = door(inbox)
    for _ in range(3):
        assert await one.take(Delivery(b"{}", "s", None)) is Receipt.STORED
    assert inbox.given == [1, 1, 1]


async def test_a_store_that_is_shut_is_told_to_all_of_them() -> None:
    app: Any = receiver(cast("Webhooks", Inbox(StoreBusy("locked"))), lambda: None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://depot") as client:
        answers = await asyncio.gather(*(client.post(WEBHOOK_PATH, content=b"{}") for _ in range(5)))
    assert [answer.status_code for answer in answers] == [503] * 5


async def test_who_hung_up_keeps_nobody_waiting() -> None:
    inbox = Inbox()
    one = door(inbox)
    gone = asyncio.create_task(one.take(Delivery(b"{}", "s", "1")))
    await asyncio.sleep(0)
    gone.cancel()
    assert await one.take(Delivery(b"{}", "s", "2")) is Receipt.STORED
    assert inbox.given == [2]
