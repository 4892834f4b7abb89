"""Edge cases of webhooks, each with the number that it has in docs/payments.md: replayed, renamed, out of order, forged, before the
answer, about nothing that we know, while the one who works on them is slow. The mock gateway on a real socket."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from paying_depot import KEYS, PayingDepot, depot, signed

from payments.keys import GatewayKeys
from payments.process import WEBHOOK_PATH, receiver
from payments.records import EventState
from payments.states import NotificationState, Stage
from payments.tables import WebhookRow
from payments.webhooks import Receipt, Webhooks
from tests.fake_gateway import HOOK_SECRET

pytestmark = [pytest.mark.anyio, pytest.mark.apart]  # a gateway on a real socket, whose answers are waited for

AT_ONCE = {"cut_off": None}


async def paid(yard: PayingDepot) -> int:
    """One session that is debited; the webhooks of it are all in."""
    await yard.mandate()
    total = yard.session("s1", 100)
    await yard.until(yard.is_(Stage.CAPTURED))
    assert yard.taken() == [total]
    return total


async def asked(yard: PayingDepot) -> None:
    """One session whose debit was accepted by the gateway and is decided; nobody has told us of it."""
    await yard.mandate()
    yard.session("s1", 100)
    await yard.until(lambda: yard.tries() == 1)
    yard.played.ahead(seconds=1)
    assert yard.stage() in (Stage.DEBIT_SUBMITTED, Stage.PENDING)


def kept(yard: PayingDepot, event_id: str) -> WebhookRow:
    with yard.store.unit() as session:
        row = session.get(WebhookRow, ("yard", event_id))
    assert row is not None
    return row


async def test_case_01_a_replayed_webhook_is_known(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE) as yard:
        await paid(yard)
        before, heard = yard.dump(), len(yard.receipts)
        yard.played.control("POST", "/webhook/replay", last=100)
        yard.listen()
        assert yard.receipts[heard:] == [Receipt.REPEATED] * heard
        assert yard.dump() == before


async def test_case_02_the_same_event_under_a_new_id_changes_nothing(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE) as yard:
        await paid(yard)
        before, heard = yard.money(), len(yard.receipts)
        yard.played.control("POST", "/webhook/replay", last=100, renamed=True, order="shuffled")
        await yard.later(minutes=5)
        assert yard.receipts[heard:] == [Receipt.STORED] * heard
        assert yard.money() == before
        assert yard.desk.check_ledger().entries == 2


async def test_case_03_captured_before_authorized_stays_captured(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE, deaf=True) as yard:
        await asked(yard)
        captured, authorized = yard.sent("payment.captured")[-1], yard.sent("payment.authorized")[-1]
        failed = json.loads(authorized[2])
        failed["event"] = "payment.failed"
        failed["payload"]["payment"]["entity"] |= {"status": "failed", "error_reason": "payment_timed_out"}
        body = json.dumps(failed)
        assert yard.tell(captured) is Receipt.STORED
        money = yard.money()
        for event in (authorized, ("evt_late", signed(body.encode()), body)):
            assert yard.tell(event) is Receipt.STORED
            assert yard.stage() is Stage.CAPTURED
            assert yard.money()["entry"] == money["entry"]


async def test_case_04_a_webhook_without_the_gateways_signature_changes_nothing(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE, deaf=True) as yard:
        await asked(yard)
        _, signature, body = yard.sent("payment.captured")[-1]
        _, other, _ = yard.sent("payment.authorized")[-1]
        before, woken = yard.dump(), []
        app = receiver(yard.inbox, lambda: woken.append(1))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://depot") as client:
            for wrong in (
                None,
                "",
                "0" * 64,
                other,
                signed(body.encode(), "the-secret-of-somebody-else"),
                signature[:-1],
                signature.upper(),
            ):
                headers = {} if wrong is None else {"x-razorpay-signature": wrong}
                assert (await client.post(WEBHOOK_PATH, content=body, headers=headers)).status_code == 401, wrong
            assert (await client.post(WEBHOOK_PATH, content=body + " ", headers={"x-razorpay-signature": signature})).status_code == 401
        yard.apply()
        assert yard.dump() == before
        assert not woken


async def test_case_05_the_signature_is_of_the_bytes_not_of_what_they_mean(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE, deaf=True) as yard:
        await asked(yard)
        event_id, signature, body = yard.sent("payment.captured")[-1]
        written_anew = json.dumps(json.loads(body), separators=(",", ":"))
        assert written_anew != body
        assert yard.tell((event_id, signature, written_anew)) is Receipt.FORGED
        odd = body.replace('"event"', '  "ev\\u0065nt"', 1) + "\n"  # the same event, as another writer would put it
        assert yard.tell((event_id, signed(odd.encode()), odd)) is Receipt.STORED
        assert yard.stage() is Stage.CAPTURED


async def test_case_06_after_a_change_of_secret_old_retries_are_taken_until_the_old_one_is_dropped(tmp_path: Path) -> None:
    new = "the-new-secret-of-the-hook"
    async with depot(tmp_path, rules=AT_ONCE, deaf=True) as yard:
        await asked(yard)
        old_event = yard.sent("payment.authorized")[-1]
        yard.played.control("POST", "/webhook", secret=new)
        yard.played.control("POST", "/webhook/replay", last=1, renamed=True, secret=new)
        new_event = yard.sent()[-1]
        assert new_event[1] == signed(new_event[2].encode(), new)
        rotating = replace(yard.inbox, keys=GatewayKeys(KEYS.key_id, KEYS.key_secret, (new, HOOK_SECRET)))
        rotated = replace(yard.inbox, keys=GatewayKeys(KEYS.key_id, KEYS.key_secret, (new,)))

        def told(inbox: Webhooks, event: tuple[str, str, str]) -> Receipt:
            return inbox.receive(event[2].encode(), told_signature=event[1], event_id=event[0])

        assert told(yard.inbox, new_event) is Receipt.FORGED
        assert told(rotated, old_event) is Receipt.FORGED
        assert told(rotating, old_event) is Receipt.STORED
        assert told(rotating, new_event) is Receipt.STORED


async def test_case_07_a_webhook_that_comes_before_the_answer_is_taken_and_nothing_is_asked_twice(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE, deaf=True) as yard:
        await yard.mandate()
        total = yard.session("s1", 100)
        patience = yard.patient()
        yard.played.control("POST", "/http-faults", kind="mute", path="/v1/orders", method="POST", acted=True)
        yard.played.control("POST", "/http-faults", kind="mute", path="/payments/create/recurring", acted=True)
        working = asyncio.create_task(yard.until(lambda: yard.tries() == 1))
        notice = await yard.arrives("order.notification.delivered")
        assert yard.tell(notice) is Receipt.STORED
        assert kept(yard, notice[0]).state == EventState.PARKED  # our order has no id of the gateway's yet
        assert not working.done()
        patience.ends()
        while not (order_id := yard.order_row().order_id):  # noqa: ASYNC110  # what works on it tells nobody
            await asyncio.sleep(0.01)
        yard.apply()
        assert kept(yard, notice[0]).state == EventState.APPLIED
        assert yard.order_row().notification == NotificationState.DELIVERED

        captured = await yard.arrives("payment.captured", about=order_id)  # the mandate's payment was captured, too
        assert not working.done()  # the debit's answer is still waited for
        assert yard.tell(captured) is Receipt.STORED
        assert yard.stage() is Stage.CAPTURED
        patience.ends()
        await working
        await yard.later(hours=2)
        assert yard.taken() == [total]
        assert yard.tries() == 1
        assert yard.desk.check_ledger().entries == 2


async def test_case_08_a_webhook_for_an_order_that_nobody_knows_waits_and_moves_nothing(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE) as yard:
        await paid(yard)
        money, event = yard.money(), json.loads(yard.sent("payment.captured")[-1][2])
        event["payload"]["payment"]["entity"] |= {"id": "pay_foreign", "order_id": "order_of_another_shop"}
        body = json.dumps(event)
        assert yard.tell(("evt_foreign", signed(body.encode()), body)) is Receipt.STORED  # acknowledged: it must not come for a day
        await yard.later(hours=30)
        assert kept(yard, "evt_foreign").state == EventState.PARKED
        assert yard.money() == money


async def test_case_09_a_webhook_is_acknowledged_when_it_is_kept_and_worked_on_later(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE, deaf=True) as yard:
        await asked(yard)
        app = receiver(yard.inbox, lambda: None)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://depot") as client:
            for event_id, signature, body in yard.sent():
                headers = {"x-razorpay-signature": signature, "x-razorpay-event-id": event_id}
                assert (await client.post(WEBHOOK_PATH, content=body, headers=headers)).status_code == 200
        assert yard.stage() is not Stage.CAPTURED  # nobody has worked on them: whoever does is slow, or was killed here
        later = Webhooks(yard.store, "yard", yard.clock, KEYS)
        while later.apply():
            pass
        assert yard.stage() is Stage.CAPTURED
