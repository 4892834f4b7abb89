"""Edge cases of the gateway's answers, each with the number that it has in docs/payments.md: server errors, a rate limit, time-outs,
half a JSON, a page instead of an answer. On the wire (respx) they are doubt, or sure to have done nothing; against the mock gateway
each of them ends in exactly one order and one debit, whether it was acted on or not."""

from __future__ import annotations

import socket
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import respx
from paying_depot import KEYS, PayingDepot, depot

from payments.gateway import Answer, Customer, DebitRequest, NotSent, Order, Unknown
from payments.razorpay import RazorpayGateway
from payments.states import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.apart]  # a gateway on a real socket, whose answers are waited for

URL = "https://api.razorpay.com/v1"
REQUEST = DebitRequest(
    order_id="order_1", customer=Customer("cust_1", "a@example.org", "+910000000000"), token_id="token_1", amount_paise=118_00,
    currency="INR", key="cy-1", description="EV charging",
)  # fmt: skip


async def on_the_wire(answer: httpx.Response | type[Exception]) -> tuple[Answer[Order], Answer[str]]:
    """What is made of the same answer to the request for an order, and for a debit."""
    with respx.mock(base_url=URL) as wire:
        for path in ("/orders", "/payments/create/recurring"):
            route = wire.post(path)
            if isinstance(answer, httpx.Response):
                route.mock(return_value=answer)
            else:
                route.mock(side_effect=answer("gone"))
        async with RazorpayGateway(URL, KEYS) as gateway:
            order = await gateway.create_debit_order(receipt="r", token_id="token_1", amount_paise=1, currency="INR", payment_after=None)
            return order, await gateway.create_debit(REQUEST)


async def one_debit_under(folder: Path, kind: str, *, acted: bool, times: int = 2) -> PayingDepot:
    """Each of the first requests for the order and for the debit is answered so; what comes of it."""
    rules = {"cut_off": None, "lookup_spacing": timedelta(minutes=10)}
    async with depot(folder, rules=rules, deaf=True) as yard:
        await yard.mandate()
        total = yard.session("s1", 100)
        if kind in ("mute", "late"):
            yard.impatient(1.0)
        for path in ("/v1/orders", "/payments/create/recurring"):
            yard.played.control(
                "POST", "/http-faults", kind=kind, path=path, method="POST", acted=acted, times=1 if acted else times, delay_s=1.5
            )  # fmt: skip
        await yard.until(yard.is_(Stage.CAPTURED))
        await yard.later(hours=2)
        assert (yard.taken(), yard.tries()) == ([total], 1)
        assert len(yard.ask("SELECT id FROM orders WHERE kind = 'debit'")) == 1
        assert yard.desk.check_ledger().entries == 2
        return yard


@pytest.mark.parametrize("kind", ["error_500", "error_504"])
@pytest.mark.parametrize("acted", [True, False], ids=["acted", "not acted"])
async def test_case_27_after_a_server_error_nothing_is_asked_before_it_was_looked_up(tmp_path: Path, kind: str, acted: bool) -> None:
    for answer in await on_the_wire(httpx.Response(500 if kind == "error_500" else 504, json={"error": {"code": "SERVER_ERROR"}})):
        assert isinstance(answer, Unknown)
    await one_debit_under(tmp_path, kind, acted=acted)


async def test_case_28_a_rate_limit_is_obeyed_and_nothing_was_done(tmp_path: Path) -> None:
    for answer in await on_the_wire(httpx.Response(429, json={"error": {"code": "BAD_REQUEST_ERROR"}}, headers={"retry-after": "17"})):
        assert answer == NotSent("the gateway asks us to slow down", 17.0)
    yard = await one_debit_under(tmp_path, "limit_429", acted=False, times=5)
    assert yard.debits


@pytest.mark.parametrize("error", [httpx.ConnectTimeout, httpx.ConnectError])
async def test_case_29_who_could_not_be_reached_has_done_nothing(tmp_path: Path, error: type[Exception]) -> None:
    for answer in await on_the_wire(error):
        assert isinstance(answer, NotSent)
    async with depot(tmp_path, rules={"cut_off": None}, deaf=True) as yard:
        await yard.mandate()
        total = yard.session("s1", 100)
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # and does not listen
            async with RazorpayGateway(f"http://127.0.0.1:{nobody.getsockname()[1]}/v1", KEYS) as away:
                real, yard.worker = yard.worker, yard.another_worker(away)
                for _ in range(5):
                    await yard.later(minutes=10)
                assert yard.stage() in (Stage.BATCHED, Stage.INVOICED)
        yard.worker = real
        await yard.until(yard.is_(Stage.CAPTURED))
        assert (yard.taken(), yard.tries()) == ([total], 1)


@pytest.mark.parametrize("kind", ["mute", "late"])
async def test_case_29_a_request_that_timed_out_may_have_been_acted_on(tmp_path: Path, kind: str) -> None:
    for error in (httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError):
        for answer in await on_the_wire(error):
            assert isinstance(answer, Unknown)
    await one_debit_under(tmp_path, kind, acted=kind == "mute")


@pytest.mark.parametrize("acted", [True, False], ids=["acted", "not acted"])
async def test_case_30_half_a_json_is_no_answer(tmp_path: Path, acted: bool) -> None:
    for body in (b'{"id": "order_half', b"", b"[]", b"\xff\xfe", b'{"id": 7, "razorpay_payment_id": 7}'):
        for answer in await on_the_wire(httpx.Response(200, content=body)):
            assert isinstance(answer, Unknown)
    await one_debit_under(tmp_path, "malformed", acted=acted)


@pytest.mark.parametrize("kind", ["html_200", "html_502"])
@pytest.mark.parametrize("acted", [True, False], ids=["acted", "not acted"])
async def test_case_31_a_page_is_no_answer(tmp_path: Path, kind: str, acted: bool) -> None:
    for status in (200, 400, 403, 502):
        for answer in await on_the_wire(httpx.Response(status, html="<html>maintenance</html>")):
            assert isinstance(answer, NotSent if status == 403 else Unknown)
    await one_debit_under(tmp_path, kind, acted=acted)


async def test_case_32_a_gateway_that_is_down_for_a_day_costs_a_day_and_nothing_else(tmp_path: Path) -> None:
    async with depot(tmp_path, deaf=True) as yard:
        await yard.mandate()
        yard.session("s1", 100)
        await yard.later(hours=14, minutes=59)
        yard.played.control("POST", "/http-faults", kind="error_500", path="/v1/", times=100_000)
        await yard.later(hours=1)
        yard.session("s2", 200)
        for _ in range(8):
            await yard.later(hours=3)
        assert yard.tries() == 0
        yard.played.control("DELETE", "/faults")
        await yard.until(lambda: yard.stage("s1") is yard.stage("s2") is Stage.CAPTURED, most=timedelta(days=4))
        assert sum(yard.taken()) == 354_00
        assert yard.desk.check_ledger().sound
