"""The gateway's official Python SDK drives the mock unchanged, over a real socket: base URL and keys are all that it is told."""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.fake_gateway import CONTACT, HOOK_SECRET, KEY_ID, KEY_SECRET, Played, playing

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    razorpay = pytest.importorskip("razorpay")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Played]:
    with playing(tmp_path / "gateway.db", least_notice_s=86_400.0, balance_paise=50_000_00) as played:
        yield played


@pytest.fixture
def client(gateway: Played) -> Iterator[Any]:
    session = requests.Session()
    session.trust_env = False
    with session:
        yield razorpay.Client(session=session, auth=(KEY_ID, KEY_SECRET), base_url=gateway.url)


def mandate(client: Any, gateway: Played, **token: Any) -> tuple[str, str, str]:
    """Customer, order, token, approved with a PIN; their ids."""
    customer = client.customer.create({"name": "Rani", "email": "rani@example.org", "contact": CONTACT, "fail_existing": "0"})
    ends = int((gateway.now + timedelta(days=60)).timestamp())
    terms = {"max_amount": 200_000, "expire_at": ends, "frequency": "as_presented"} | token
    order = client.order.create(
        {"amount": 100, "currency": "INR", "customer_id": customer["id"], "method": "upi", "token": terms, "receipt": "m-1"}
    )
    asked = client.payment.createPaymentJson(
        {
            "amount": 100, "currency": "INR", "order_id": order["id"], "customer_id": customer["id"], "email": "rani@example.org",
            "contact": CONTACT, "method": "upi", "recurring": True, "upi": {"flow": "intent"},
        }
    )  # fmt: skip
    assert asked["next"][0]["url"].startswith("upi://mandate?")
    payment = client.payment.fetch(asked["razorpay_payment_id"])
    assert payment["status"] == "created"
    assert client.token.fetch(customer["id"], payment["token_id"])["recurring_details"]["status"] == "initiated"
    gateway.press(f"/app/payments/{payment['id']}/approve", pin="123456")
    return customer["id"], payment["id"], payment["token_id"]


def debit(client: Any, gateway: Played, customer: str, token: str, amount: int) -> dict[str, Any]:
    after = int((gateway.now + timedelta(hours=24, minutes=1)).timestamp())
    order = client.order.create(
        {
            "amount": amount, "currency": "INR", "payment_capture": True, "receipt": "bill-1",
            "notification": {"token_id": token, "payment_after": after},
        }
    )  # fmt: skip
    assert order["notification"]["id"].startswith("notification_")
    gateway.ahead(seconds=1)
    gateway.ahead(hours=24, minutes=2)
    made: dict[str, Any] = client.payment.createRecurring(
        {
            "email": "rani@example.org", "contact": CONTACT, "amount": amount, "currency": "INR", "order_id": order["id"],
            "customer_id": customer, "token": token, "recurring": True, "description": "charging", "notes": {"submission": "k"},
        }
    )  # fmt: skip
    gateway.ahead(seconds=1)
    return made


def test_autopay_from_customer_to_settlement(client: Any, gateway: Played) -> None:
    customer, approval, token = mandate(client, gateway)
    found = client.token.fetch(customer, token)
    assert found["recurring_details"]["status"] == "confirmed"
    assert found["vpa"]["handle"] == "mockupi"
    assert [t["id"] for t in client.token.all(customer)["items"]] == [token]
    assert client.payment.fetch(approval)["status"] == "captured"

    made = debit(client, gateway, customer, token, 118_36)
    client.utility.verify_payment_signature(made)
    payment = client.payment.fetch(made["razorpay_payment_id"])
    assert (payment["status"], payment["amount"], payment["notes"]) == ("captured", 118_36, {"submission": "k"})
    assert payment["fee"] == 237 + 43  # 2 %, and 18 % of that, each rounded half up
    assert client.order.all({"receipt": "bill-1"})["items"][0]["status"] == "paid"
    assert client.order.payments(made["razorpay_order_id"])["count"] == 1

    with pytest.raises(razorpay.errors.BadRequestError, match="already paid"):
        client.payment.createRecurring(
            {"email": "a@example.org", "contact": CONTACT, "amount": 118_36, "currency": "INR", "recurring": True,
             "order_id": made["razorpay_order_id"], "customer_id": customer, "token": token}
        )  # fmt: skip

    back = client.payment.refund(payment["id"], {"amount": 1_000}, headers={"X-Refund-Idempotency": "refund-0001"})
    again = client.payment.refund(payment["id"], {"amount": 1_000}, headers={"X-Refund-Idempotency": "refund-0001"})
    assert back["id"] == again["id"]
    gateway.ahead(seconds=1)
    assert client.refund.fetch(back["id"])["status"] == "processed"
    assert client.payment.fetch(payment["id"])["refund_status"] == "partial"

    gateway.control("POST", "/settle")
    day = gateway.now + timedelta(hours=5, minutes=30)
    report = client.settlement.report({"year": day.year, "month": day.month, "day": day.day, "count": 1000})
    assert {(item["type"], item["credit"] - item["debit"]) for item in report["items"]} == {
        ("payment", 118_36 - payment["fee"]), ("refund", -1_000),
    }  # fmt: skip
    total = client.settlement.all()["items"][0]
    assert total["amount"] == 118_36 - payment["fee"] - 1_000
    assert {item["settlement_utr"] for item in report["items"]} == {total["utr"]}

    # cancelled by the merchant
    assert client.token.cancel(customer, token)["status"] == "cancellation_initiated"
    gateway.ahead(seconds=1)
    assert client.token.fetch(customer, token)["recurring_details"]["status"] == "cancelled"
    assert client.token.delete(customer, token)["deleted"] is True

    expected = {
        "payment.authorized", "payment.captured", "order.paid", "token.confirmed", "order.notification.delivered", "refund.created",
        "refund.processed", "token.cancellation_initiated", "token.cancelled",
    }  # fmt: skip
    gateway.until(lambda: expected <= set(gateway.hook.kinds))
    for _, signature, body in gateway.hook.seen:
        client.utility.verify_webhook_signature(body, signature, HOOK_SECRET)
        with pytest.raises(razorpay.errors.SignatureVerificationError):
            client.utility.verify_webhook_signature(json.dumps(json.loads(body), indent=1), signature, HOOK_SECRET)
    with sqlite3.connect(f"file:{gateway.bank.settings.database}?mode=ro", uri=True) as books:
        query = "SELECT count(*), sum(amount), sum(amount_refunded) FROM payments WHERE kind = 'debit' AND status = 'captured'"
        assert books.execute(query).fetchall() == [(1, 118_36, 1_000)]
    books.close()


def test_reserve_and_one_time_blocks(client: Any, gateway: Played) -> None:
    customer, _, token = mandate(client, gateway, max_amount=500_00, type="single_block_multiple_debit")
    assert client.token.fetch(customer, token)["recurring_details"] == {
        "status": "confirmed", "failure_reason": None, "amount_blocked": 500_00, "amount_debited": 0
    }  # fmt: skip
    for number, amount in enumerate((200_00, 250_00)):
        order = client.order.create({"amount": amount, "currency": "INR", "receipt": f"r-{number}"})
        body = {"amount": amount, "currency": "INR", "order_id": order["id"], "customer_id": customer, "token": token, "recurring": True}
        made = client.payment.createPaymentJson(body | {"email": "rani@example.org", "contact": CONTACT})
        gateway.ahead(seconds=1)
        assert client.payment.fetch(made["razorpay_payment_id"])["status"] == "captured"
    assert client.token.fetch(customer, token)["recurring_details"]["amount_debited"] == 450_00
    order = client.order.create({"amount": 51_00, "currency": "INR", "receipt": "r-3"})
    body |= {"amount": 51_00, "order_id": order["id"], "email": "rani@example.org", "contact": CONTACT}
    with pytest.raises(razorpay.errors.BadRequestError, match="block does not hold"):
        client.payment.createPaymentJson(body)

    customer, dummy, token = mandate(client, gateway, max_amount=1_000_00, frequency="one_time")
    shown = client.payment.fetch(dummy)
    assert (shown["status"], shown["error_reason"]) == ("failed", "upi_dummy_payment")
    order = client.order.create({"amount": 640_00, "currency": "INR", "receipt": "o-1"})
    made = client.payment.createPaymentJson(body | {"amount": 640_00, "order_id": order["id"], "token": token})
    gateway.ahead(seconds=1)
    assert client.payment.fetch(made["razorpay_payment_id"])["status"] == "captured"
    details = client.token.fetch(customer, token)["recurring_details"]
    assert (details["amount_blocked"], details["amount_debited"]) == (640_00, 640_00)  # the rest was released


def test_a_registration_link(client: Any, gateway: Played) -> None:
    made = client.registration_link.create(
        {
            "customer": {"name": "Rani", "email": "rani@example.org", "contact": CONTACT}, "type": "link", "amount": 100, "currency": "INR",
            "description": "charging", "receipt": "l-1", "sms_notify": True,
            "subscription_registration": {"method": "upi", "max_amount": 150_000, "frequency": "as_presented"},
        }
    )  # fmt: skip
    assert made["status"] == "issued"
    answer = gateway.press(made["short_url"].removeprefix(gateway.url))
    gateway.press(f"/app/payments/{answer.headers['location'].rpartition('/')[2]}/approve", pin="1234")
    assert client.invoice.fetch(made["id"])["status"] == "paid"
    assert client.token.all(made["customer_id"])["items"][0]["recurring_details"]["status"] == "confirmed"
    gateway.until(lambda: "invoice.paid" in gateway.hook.kinds)
