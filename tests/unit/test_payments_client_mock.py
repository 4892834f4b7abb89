"""The gateway client against the mock over a real socket: each kind of mandate from order to debit, links, refunds, the
settlement report. The two share no code, so each finds the other's misreadings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from payments.gateway import Answer, Customer, DebitRequest, LinkState, NotSent, Ok, Order, Rejected, SettlementKind, Unknown
from payments.keys import GatewayKeys
from payments.razorpay import RazorpayGateway
from payments.reasons import Reason
from payments.rules import INDIA
from payments.states import MandateState, Mode, PaymentState, RefundState
from tests.fake_gateway import CONTACT, HOOK_SECRET, KEY_ID, KEY_SECRET, Played, playing

pytestmark = [pytest.mark.anyio, pytest.mark.apart]  # a real socket, whose answers are waited for

T = TypeVar("T")


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[Played]:
    with playing(tmp_path / "gateway.db", balance_paise=50_000_00) as played:
        yield played


@pytest.fixture
async def client(mock: Played) -> AsyncIterator[RazorpayGateway]:
    async with RazorpayGateway(f"{mock.url}/v1", GatewayKeys(KEY_ID, KEY_SECRET, (HOOK_SECRET,))) as gateway:
        yield gateway


def sure(answer: Answer[T]) -> T:
    assert isinstance(answer, Ok), answer
    return answer.value


async def approved(client: RazorpayGateway, mock: Played, mode: Mode, *, most: int = 2_000_00, days: float = 60) -> tuple[Customer, str]:
    """A mandate in force: its customer and token."""
    customer = sure(await client.create_customer(name="Rani", email="rani@example.org", contact=CONTACT))
    order = sure(
        await client.create_mandate_order(
            customer_id=customer.customer_id, receipt=f"m-{mode}", max_amount_paise=most, expire_at=mock.now + timedelta(days=days),
            currency="INR", mode=mode,
        )
    )  # fmt: skip
    link = sure(await client.authorise(order=order, customer=customer))
    assert link.url.startswith("upi://mandate?")
    assert sure(await client.orders(f"m-{mode}"))[0].order_id == order.order_id
    await asyncio.to_thread(mock.press, f"/app/payments/{link.payment_id}/approve", pin="1234")
    token = sure(await client.tokens(customer.customer_id))[-1]
    assert token.state is MandateState.ACTIVE
    return customer, token.token_id


async def debit(
    client: RazorpayGateway, mock: Played, customer: Customer, token_id: str, paise: int, mode: Mode, *, key: str = "cy-debit-1"
) -> tuple[Order, Answer[str]]:
    after = None if mode.blocks else mock.now
    order = sure(await client.create_debit_order(receipt=key, token_id=token_id, amount_paise=paise, currency="INR", payment_after=after))
    if not mode.blocks:
        await asyncio.to_thread(mock.ahead, seconds=5)
        notice = sure(await client.order(order.order_id)).notification
        assert notice is not None
    request = DebitRequest(
        order_id=order.order_id, customer=customer, token_id=token_id, amount_paise=paise, currency="INR", key=key,
        description="EV charging", mode=mode,
    )  # fmt: skip
    made = await client.create_debit(request)
    await asyncio.to_thread(mock.ahead, seconds=5)
    return order, made


@pytest.mark.parametrize("mode", list(Mode))
async def test_each_kind_of_mandate_is_opened_debited_and_given_back(client: RazorpayGateway, mock: Played, mode: Mode) -> None:
    customer, token_id = await approved(client, mock, mode)
    before = sure(await client.token(customer.customer_id, token_id))
    assert (before.blocked_paise, before.debited_paise) == ((2_000_00, 0) if mode.blocks else (None, None))
    order, made = await debit(client, mock, customer, token_id, 640_00, mode)
    (payment,) = sure(await client.payments(order.order_id))
    assert payment == sure(await client.payment(sure(made)))
    assert (payment.state, payment.amount_paise, payment.submission) == (PaymentState.CAPTURED, 640_00, "cy-debit-1")
    assert sure(await client.order(order.order_id)).paid
    after = sure(await client.token(customer.customer_id, token_id))
    left = {Mode.AUTOPAY: (None, None), Mode.RESERVE: (2_000_00, 640_00), Mode.ONE_TIME: (640_00, 640_00)}[mode]
    assert (after.blocked_paise, after.debited_paise) == left

    refund = sure(await client.refund(payment_id=payment.payment_id, amount_paise=40_00, key="refund-0001"))
    again = sure(await client.refund(payment_id=payment.payment_id, amount_paise=40_00, key="refund-0001"))
    assert again.refund_id == refund.refund_id
    await asyncio.to_thread(mock.ahead, seconds=5)
    (given,) = sure(await client.refunds(payment.payment_id))
    assert (given.state, given.amount_paise) == (RefundState.PROCESSED, 40_00)
    assert sure(await client.payment(payment.payment_id)).refunded_paise == 40_00

    await asyncio.to_thread(mock.control, "POST", "/settle")
    items = sure(await client.settlement_items(mock.now.astimezone(INDIA).date()))
    kept = sure(await client.payment(payment.payment_id)).fee_paise
    assert kept is not None
    found = {item.kind: item.credit_paise - item.debit_paise for item in items}
    assert found == {SettlementKind.PAYMENT: 640_00 - kept, SettlementKind.REFUND: -40_00}
    assert sure(await client.settlement_items(datetime(2020, 1, 1).date())) == []


async def test_a_block_that_holds_less_refuses_and_nothing_is_made(client: RazorpayGateway, mock: Played) -> None:
    customer, token_id = await approved(client, mock, Mode.RESERVE, most=100_00)
    order, made = await debit(client, mock, customer, token_id, 100_01, Mode.RESERVE)
    assert isinstance(made, Rejected)
    assert made.reason is Reason("adequate_funds_not_available_blocked")
    assert sure(await client.payments(order.order_id)) == []


async def test_a_mandate_is_cancelled_and_deleted(client: RazorpayGateway, mock: Played) -> None:
    customer, token_id = await approved(client, mock, Mode.AUTOPAY)
    assert sure(await client.cancel_token(customer.customer_id, token_id)) is MandateState.CANCEL_PENDING
    await asyncio.to_thread(mock.ahead, seconds=5)
    assert sure(await client.token(customer.customer_id, token_id)).state is MandateState.CANCELLED
    assert sure(await client.delete_token(customer.customer_id, token_id)) is True
    assert isinstance(await client.token(customer.customer_id, token_id), Rejected)


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_link_of_the_gateways_page_is_used_or_withdrawn(client: RazorpayGateway, mock: Played, mode: Mode) -> None:
    async def link(receipt: str) -> Any:
        return sure(
            await client.create_auth_link(
                name="Rani", email="rani@example.org", contact=CONTACT, receipt=receipt, max_amount_paise=500_00,
                expire_at=mock.now + timedelta(days=60), currency="INR", description="EV charging",
                link_expires_at=mock.now + timedelta(hours=20), mode=mode, tell_driver=True,
            )
        )  # fmt: skip

    one = await link("l-1")
    assert one.state is LinkState.ISSUED
    used = await asyncio.to_thread(mock.press, one.url.removeprefix(mock.url))
    await asyncio.to_thread(mock.press, f"/app/payments/{used.headers['location'].rpartition('/')[2]}/approve", pin="1234")
    paid = sure(await client.auth_link(one.link_id))
    token = sure(await client.tokens(one.customer_id or ""))[-1]
    assert token.state is MandateState.ACTIVE
    assert (token.blocked_paise or 0) == (500_00 if mode.blocks else 0)
    if mode is not Mode.ONE_TIME:  # its dummy payment fails, so the link is not paid
        assert paid.state is LinkState.PAID
    two = await link("l-2")
    assert sure(await client.cancel_auth_link(two.link_id)).state is LinkState.CANCELLED
    refused = await asyncio.to_thread(mock.press, two.url.removeprefix(mock.url))
    assert refused.status_code == 404


@pytest.mark.parametrize(
    ("kind", "doubt"),
    [
        ("html_502", Unknown),
        ("html_200", Unknown),
        ("malformed", Unknown),
        ("error_500", Unknown),
        ("error_504", Unknown),
        ("conflict_409", Unknown),
        ("limit_429", NotSent),
        ("keys_401", NotSent),
    ],
)
async def test_an_answer_that_goes_wrong_is_doubt_or_known_not_to_have_left(
    client: RazorpayGateway, mock: Played, kind: str, doubt: type[Any]
) -> None:
    known = (await asyncio.to_thread(mock.control, "GET", "/reasons"))["http_kinds"]
    assert kind in known, known
    await asyncio.to_thread(mock.control, "POST", "/http-faults", kind=kind, path="/customers", acted=False)
    asked = await client.create_customer(name="Rani", email="rani@example.org", contact=CONTACT)
    assert isinstance(asked, doubt)
    sure(await client.create_customer(name="Rani", email="rani@example.org", contact=CONTACT))
