"""The gateway client against every kind of answer: what is sure, what is refused, what is doubt."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import httpx
import pytest
import respx

from payments.gateway import Answer, Customer, DebitRequest, NotSent, Ok, Rejected, Unknown
from payments.keys import GatewayKeys
from payments.razorpay import RazorpayGateway
from payments.reasons import Reason
from payments.states import MandateState, PaymentState, RefundState

pytestmark = pytest.mark.anyio

URL = "https://api.razorpay.com/v1"
KEYS = GatewayKeys("rzp_test_yard", "only-for-this-test-1", ("only-for-this-test-2",))
REQUEST = DebitRequest(
    order_id="order_1",
    customer=Customer("cust_1", "a@example.org", "+910000000000"),
    token_id="token_1",
    amount_paise=118_36,
    currency="INR",
    key="cy-1",
    description="EV charging",
)
DEBIT = f"{URL}/payments/create/recurring"
ERROR = {"code": "BAD_REQUEST_ERROR", "description": "no", "reason": "mandate_paused", "metadata": {}}


async def debit() -> Answer[str]:
    async with RazorpayGateway(URL, KEYS) as gateway:
        return await gateway.create_debit(REQUEST)


@respx.mock
async def test_a_debit_is_asked_for_in_the_gateways_shape() -> None:
    route = respx.post(DEBIT).respond(200, json={"razorpay_payment_id": "pay_1"}, headers={"date": "Sat, 21 Nov 2026 15:00:00 GMT"})
    answer = await debit()
    assert answer == Ok("pay_1", int(datetime(2026, 11, 21, 15, 0, tzinfo=UTC).timestamp()))
    sent = route.calls.last.request
    body = json.loads(sent.content)
    assert sent.headers["authorization"].startswith("Basic ")
    assert body["amount"] == 11836
    assert (body["order_id"], body["token"], body["recurring"]) == ("order_1", "token_1", True)
    assert body["notes"] == {"submission": "cy-1"}


@pytest.mark.parametrize(
    "error",
    [httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, httpx.CloseError],
)
@respx.mock
async def test_a_request_without_an_answer_is_doubt(error: type[Exception]) -> None:
    respx.post(DEBIT).mock(side_effect=error("gone"))
    assert isinstance(await debit(), Unknown)


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
@respx.mock
async def test_a_request_that_never_left_is_no_doubt(error: type[Exception]) -> None:
    respx.post(DEBIT).mock(side_effect=error("gone"))
    assert isinstance(await debit(), NotSent)


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(500, json={"error": {"code": "SERVER_ERROR"}}),
        httpx.Response(502, html="<html>bad gateway</html>"),
        httpx.Response(504, json={"error": {"code": "GATEWAY_ERROR", "description": "late"}}),
        httpx.Response(200, html="<html>maintenance</html>"),
        httpx.Response(200, content=b'{"razorpay_payment_id": "pay_1"'),
        httpx.Response(200, json={"razorpay_payment_id": 7}),
        httpx.Response(200, content=b"\xff\xfe"),
        httpx.Response(302, headers={"location": "https://elsewhere.example"}),
        httpx.Response(400, html="<html>a proxy's page</html>"),
        httpx.Response(408, json={"error": ERROR}),
        httpx.Response(409, json={"error": ERROR}),
        httpx.Response(204),
    ],
)
@respx.mock
async def test_an_answer_that_is_none_is_doubt(response: httpx.Response) -> None:
    respx.post(DEBIT).mock(return_value=response)
    assert isinstance(await debit(), Unknown)


@respx.mock
async def test_a_refusal_names_its_reason_and_a_failed_payment() -> None:
    respx.post(DEBIT).respond(400, json={"error": ERROR | {"metadata": {"payment_id": "pay_9"}}})
    answer = await debit()
    assert isinstance(answer, Rejected)
    assert (answer.reason, answer.payment_id) == (Reason.MANDATE_PAUSED, "pay_9")


@pytest.mark.parametrize(("status", "wait"), [(401, 0.0), (403, 0.0), (429, 7.0)])
@respx.mock
async def test_keys_and_rate_limit_are_tried_again_later(status: int, wait: float) -> None:
    respx.post(DEBIT).respond(status, json={"error": ERROR}, headers={"retry-after": "7"})
    answer = await debit()
    assert isinstance(answer, NotSent)
    assert answer.retry_after_s == wait
    assert "only-for-this-test" not in repr(answer)


@respx.mock
async def test_look_ups_come_oldest_first_and_with_their_keys() -> None:
    order = {"entity": "order", "amount": 100, "currency": "INR", "status": "created", "receipt": "r", "notes": []}
    respx.get(f"{URL}/orders", params={"receipt": "r"}).respond(
        200, json={"items": [order | {"id": "order_b", "created_at": 9}, order | {"id": "order_a", "created_at": 9}]}
    )
    payment = {"id": "pay_1", "amount": 100, "currency": "INR", "order_id": "order_a", "notes": []}
    respx.get(f"{URL}/orders/order_a/payments").respond(
        200,
        json={
            "items": [
                payment | {"status": "failed", "error_reason": "bank_technical_error"},
                payment | {"id": "pay_2", "status": "captured", "refund_status": "partial", "notes": {"submission": "cy-2"}},
            ]
        },
    )
    async with RazorpayGateway(URL, KEYS) as gateway:
        orders, payments = await gateway.orders("r"), await gateway.payments("order_a")
    assert isinstance(orders, Ok)
    assert isinstance(payments, Ok)
    assert [order.order_id for order in orders.value] == ["order_a", "order_b"]
    assert [(p.state, p.reason, p.submission) for p in payments.value] == [
        (PaymentState.FAILED, Reason.BANK_TECHNICAL, ""),
        (PaymentState.PART_REFUNDED, None, "cy-2"),
    ]


@respx.mock
async def test_a_payments_status_that_is_new_is_doubt() -> None:
    payment = {"id": "pay_1", "amount": 100, "currency": "INR", "status": "teleported"}
    respx.get(f"{URL}/orders/order_a/payments").respond(200, json={"items": [payment]})
    async with RazorpayGateway(URL, KEYS) as gateway:
        assert isinstance(await gateway.payments("order_a"), Unknown)


@respx.mock
async def test_a_refund_carries_its_key() -> None:
    route = respx.post(f"{URL}/payments/pay_1/refund").respond(
        200, json={"id": "rfnd_1", "payment_id": "pay_1", "amount": 5, "status": "processed"}
    )
    async with RazorpayGateway(URL, KEYS) as gateway:
        answer = await gateway.refund(payment_id="pay_1", amount_paise=5, key="cy-0123456789")
        with pytest.raises(ValueError, match="10 characters"):
            await gateway.refund(payment_id="pay_1", amount_paise=5, key="short")
    assert isinstance(answer, Ok)
    assert answer.value.state is RefundState.PROCESSED
    assert route.calls.last.request.headers["x-refund-idempotency"] == "cy-0123456789"


@respx.mock
async def test_a_token_tells_the_mandates_state() -> None:
    token = {"id": "token_1", "recurring_details": {"status": "paused"}, "max_amount": 200_000, "expired_at": 2_000_000_000}
    respx.get(f"{URL}/customers/cust_1/tokens/token_1").respond(200, json=token)
    async with RazorpayGateway(URL, KEYS) as gateway:
        answer = await gateway.token("cust_1", "token_1")
    assert isinstance(answer, Ok)
    assert answer.value.state is MandateState.PAUSED
