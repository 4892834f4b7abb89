"""The mock gateway on a real socket: the network's rules, the driver's phone, faults on demand, webhooks, settlements."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import re
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from payments.mock_gateway import npci
from payments.mock_gateway.faults import OUTCOMES
from payments.mock_gateway.frame import BROKEN
from payments.mock_gateway.settings import PROFILES
from tests.fake_gateway import CONTACT, HOOK_SECRET, KEY_ID, KEY_SECRET, Played, playing

WHO = {"email": "rani@example.org", "contact": CONTACT}


class Merchant:
    """What a depot asks, in as few words as a test needs."""

    def __init__(self, gateway: Played) -> None:
        self.gateway = gateway
        self.http = httpx.Client(base_url=f"{gateway.url}/v1", auth=(KEY_ID, KEY_SECRET), trust_env=False, verify=False, timeout=60)
        self.customer = self.post("/customers", {"name": "Rani", "fail_existing": "0"} | WHO)["id"]
        self.token = ""

    def post(self, path: str, body: dict[str, Any], status: int = 200, **headers: str) -> dict[str, Any]:
        answer = self.http.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def ask(self, **token: Any) -> str:
        """A mandate that waits for the driver; its payment."""
        terms = {"max_amount": 20_000_00, "frequency": "as_presented"} | token
        order = self.post("/orders", {"amount": 100, "currency": "INR", "customer_id": self.customer, "method": "upi", "token": terms})
        body = {"amount": 100, "order_id": order["id"], "recurring": True, "upi": {"flow": "intent"}} | WHO
        payment: str = self.post("/payments/create/json", body)["razorpay_payment_id"]
        self.token = self.get(f"/payments/{payment}")["token_id"]
        return payment

    def mandate(self, **token: Any) -> str:
        """One that was approved; its payment."""
        payment = self.ask(**token)
        assert self.gateway.press(f"/app/payments/{payment}/approve", pin="1234").status_code == 303
        return payment

    def details(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/customers/{self.customer}/tokens/{self.token}")["recurring_details"]
        return found

    def order(self, paise: int, *, after: timedelta | None = timedelta(0), receipt: str = "b-1") -> str:
        """With a notice, unless ``after`` is None."""
        body: dict[str, Any] = {"amount": paise, "currency": "INR", "receipt": receipt}
        if after is not None:
            body["notification"] = {"token_id": self.token, "payment_after": int((self.gateway.now + after).timestamp())}
        order: str = self.post("/orders", body)["id"]
        self.gateway.ahead(seconds=1)
        return order

    def submit(self, order: str, paise: int, status: int = 200, path: str = "recurring") -> dict[str, Any]:
        body = {"amount": paise, "currency": "INR", "order_id": order, "customer_id": self.customer, "token": self.token, "recurring": True}
        return self.post(f"/payments/create/{path}", body | WHO, status)

    def debit(self, paise: int, **order: Any) -> dict[str, Any]:
        """An order and its debit, decided; the payment."""
        payment = self.submit(self.order(paise, **order), paise)["razorpay_payment_id"]
        self.gateway.ahead(seconds=1)
        return self.get(f"/payments/{payment}")

    def block_debit(self, paise: int) -> dict[str, Any]:
        payment = self.submit(self.order(paise, after=None), paise, path="json")["razorpay_payment_id"]
        self.gateway.ahead(seconds=1)
        return self.get(f"/payments/{payment}")

    def reason(self, order: str, paise: int, path: str = "recurring") -> str:
        """Why a debit is refused at once."""
        found: str = self.submit(order, paise, 400, path)["error"]["reason"]
        return found


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Played]:
    with playing(tmp_path / "gateway.db", balance_paise=50_000_00) as played:
        yield played


@pytest.fixture
def merchant(gateway: Played) -> Iterator[Merchant]:
    merchant = Merchant(gateway)
    with contextlib.closing(merchant.http):
        yield merchant


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Merchant]:
    """The network's rules as they are, on a morning."""
    rules = {"least_notice_s": 86_400.0, "windows": npci.NPCI_WINDOWS, "same_day": True}
    with playing(tmp_path / "gateway.db", balance_paise=50_000_00, **rules) as played:
        local = played.now.astimezone(npci.INDIA)
        played.to(local.replace(hour=8, minute=0, second=0, microsecond=0) + timedelta(days=1))
        merchant = Merchant(played)
        with contextlib.closing(merchant.http):
            yield merchant


# -- the network's rules ------------------------------------------------------------------------------------------------


def test_a_debit_needs_24_h_of_notice_after_its_delivery(strict: Merchant) -> None:
    strict.mandate()
    order = strict.order(100_00, after=timedelta(hours=1))
    strict.gateway.ahead(hours=23)
    assert strict.reason(order, 100_00) == "pre_debit_notification_failed"
    strict.gateway.ahead(hours=1, minutes=1)
    assert strict.submit(order, 100_00)["razorpay_payment_id"]


def test_a_debit_in_peak_hours_is_queued_and_not_failed(strict: Merchant) -> None:
    strict.mandate()
    order = strict.order(100_00, after=timedelta(hours=1))
    strict.gateway.ahead(hours=27)  # 11:00
    payment = strict.submit(order, 100_00)["razorpay_payment_id"]
    strict.gateway.ahead(hours=1, minutes=50)
    assert strict.get(f"/payments/{payment}")["status"] == "created"
    strict.gateway.ahead(minutes=15)  # after 13:00
    assert strict.get(f"/payments/{payment}")["status"] == "captured"


def test_a_mandate_is_approved_on_the_day_of_its_order(strict: Merchant) -> None:
    payment = strict.ask()
    strict.gateway.ahead(hours=17)
    assert strict.get(f"/payments/{payment}")["error_reason"] == "payment_timed_out"
    assert strict.details()["status"] == "rejected"
    strict.gateway.until(lambda: "token.rejected" in strict.gateway.hook.kinds)


def test_without_a_notice_of_ours_the_gateway_gives_one_and_debits_25_h_later(strict: Merchant) -> None:
    strict.mandate()
    order = strict.order(100_00, after=None)
    payment = strict.submit(order, 100_00)["razorpay_payment_id"]
    strict.gateway.ahead(hours=24, minutes=30)
    assert strict.get(f"/payments/{payment}")["status"] == "created"
    strict.gateway.ahead(hours=1)
    assert strict.get(f"/payments/{payment}")["status"] == "captured"


def test_one_attempt_and_three_retries(merchant: Merchant) -> None:
    merchant.mandate()
    order = merchant.order(100_51)
    for _ in range(4):
        merchant.submit(order, 100_51)
        merchant.gateway.ahead(seconds=1)
    assert "4 times" in merchant.submit(order, 100_51, 400)["error"]["description"]
    assert [p["error_reason"] for p in merchant.get(f"/orders/{order}/payments")["items"]] == ["insufficient_funds"] * 4


def test_more_than_the_mandate_allows_and_what_needs_the_pin(merchant: Merchant) -> None:
    merchant.mandate()
    assert merchant.reason(merchant.order(20_000_01), 20_000_01) == "amount_does_not_match_mandate_amount"
    payment = merchant.debit(15_000_01)
    assert payment["status"] == "created"
    merchant.gateway.ahead(hours=1)
    merchant.gateway.press(f"/app/payments/{payment['id']}/approve", pin="9876")
    merchant.gateway.ahead(seconds=1)
    assert merchant.get(f"/payments/{payment['id']}")["status"] == "captured"
    late = merchant.debit(15_000_02, receipt="b-2")
    merchant.gateway.ahead(hours=25)
    assert merchant.get(f"/payments/{late['id']}")["error_reason"] == "payment_timed_out"


def test_a_cycle_gives_one_debit(merchant: Merchant) -> None:
    merchant.mandate(frequency="monthly")
    assert merchant.debit(100_00)["status"] == "captured"
    assert merchant.reason(merchant.order(100_00, receipt="b-2"), 100_00) == "mandate_current_cycle_allowed_debit_exceeds"


def test_a_second_payment_for_an_order_that_is_not_captured_debits_twice(merchant: Merchant) -> None:
    merchant.mandate()
    order = merchant.order(100_00)
    merchant.gateway.control("PUT", "/conduct", decide_s=60)
    merchant.submit(order, 100_00)
    merchant.submit(order, 100_00)
    merchant.gateway.ahead(minutes=2)
    assert [p["status"] for p in merchant.get(f"/orders/{order}/payments")["items"]] == ["captured"] * 2
    assert "already paid" in merchant.submit(order, 100_00, 400)["error"]["description"]


# -- mandates and blocks ------------------------------------------------------------------------------------------------


def test_token_states_and_what_a_debit_meets_in_each(merchant: Merchant) -> None:
    merchant.mandate()
    orders = [merchant.order(100_00, receipt=f"b-{n}") for n in range(4)]
    merchant.gateway.press(f"/app/tokens/{merchant.token}/pause")
    assert (merchant.details()["status"], merchant.reason(orders[0], 100_00)) == ("paused", "mandate_paused")
    merchant.gateway.press(f"/app/tokens/{merchant.token}/resume")
    assert merchant.submit(orders[1], 100_00)
    assert merchant.http.put(f"/customers/{merchant.customer}/tokens/{merchant.token}/cancel").json() == {
        "status": "cancellation_initiated"
    }
    merchant.gateway.ahead(seconds=1)
    assert (merchant.details()["status"], merchant.reason(orders[2], 100_00)) == ("cancelled", "mandate_cancelled")
    merchant.gateway.until(lambda: {"token.paused", "token.cancelled"} <= set(merchant.gateway.hook.kinds))
    assert "token.resumed" not in merchant.gateway.hook.kinds  # nobody tells of it


def test_a_mandate_expires_unannounced(merchant: Merchant) -> None:
    merchant.mandate(expire_at=int((merchant.gateway.now + timedelta(days=2)).timestamp()))
    order = merchant.order(100_00)
    merchant.gateway.ahead(days=2, seconds=5)
    assert (merchant.details()["status"], merchant.reason(order, 100_00)) == ("expired", "mandate_expired")
    assert "token.expired" not in merchant.gateway.hook.kinds


def test_the_driver_declines(merchant: Merchant) -> None:
    payment = merchant.ask()
    merchant.gateway.press(f"/app/payments/{payment}/decline")
    assert merchant.get(f"/payments/{payment}")["error_reason"] == "payment_declined"
    assert merchant.details()["status"] == "rejected"


def test_reserve_pay_blocks_takes_and_releases_ten_minutes_before_its_end(merchant: Merchant) -> None:
    merchant.mandate(max_amount=1_000_00, type="single_block_multiple_debit")
    phone = merchant.gateway
    shown = phone.phone()
    assert (shown["balance_paise"], shown["blocked_paise"]) == (50_000_00, 1_000_00)
    assert merchant.block_debit(600_00)["status"] == "captured"
    assert merchant.reason(merchant.order(500_00, after=None), 500_00, "json") == "adequate_funds_not_available_blocked"
    phone.ahead(days=89, hours=23, minutes=51)
    assert merchant.details() | {"status": ""} == {"status": "", "failure_reason": None, "amount_blocked": 600_00, "amount_debited": 600_00}
    assert merchant.reason(merchant.order(1_00, after=None), 1_00, "json") == "mandate_expired"
    shown = phone.phone()
    assert (shown["balance_paise"], shown["blocked_paise"]) == (49_400_00, 0)


def test_a_block_is_at_most_10000_rupees_and_90_days(merchant: Merchant) -> None:
    body = {"amount": 100, "currency": "INR", "customer_id": merchant.customer, "token": {"type": "single_block_multiple_debit"}}
    body["token"] |= {"max_amount": 10_000_01}  # type: ignore[operator]
    assert "10,000.00" in merchant.post("/orders", body, 400)["error"]["description"]
    ends = int((merchant.gateway.now + timedelta(days=91)).timestamp())
    body["token"] |= {"max_amount": 100_00, "expire_at": ends}  # type: ignore[operator]
    assert "90 days" in merchant.post("/orders", body, 400)["error"]["description"]


def test_a_cancelled_block_is_released_at_once(merchant: Merchant) -> None:
    merchant.mandate(max_amount=1_000_00, type="single_block_multiple_debit")
    merchant.http.put(f"/customers/{merchant.customer}/tokens/{merchant.token}/cancel")
    shown = merchant.gateway.phone()
    assert shown["blocked_paise"] == 0


def test_a_block_needs_the_money(merchant: Merchant) -> None:
    merchant.gateway.control("POST", f"/accounts/{CONTACT}", balance_paise=500_00)
    payment = merchant.ask(max_amount=1_000_00, frequency="one_time")
    merchant.gateway.press(f"/app/payments/{payment}/approve", pin="1234")
    assert merchant.get(f"/payments/{payment}")["error_reason"] == "insufficient_funds"
    assert merchant.details() == {"status": "rejected", "failure_reason": "insufficient_funds"}


def test_a_one_time_mandate_pays_once_and_releases_the_rest(merchant: Merchant) -> None:
    dummy = merchant.mandate(max_amount=1_000_00, frequency="one_time")
    assert merchant.get(f"/payments/{dummy}")["error_reason"] == "upi_dummy_payment"
    assert merchant.details()["status"] == "confirmed"
    assert merchant.block_debit(640_00)["status"] == "captured"
    assert merchant.details() == {"status": "confirmed", "failure_reason": None, "amount_blocked": 640_00, "amount_debited": 640_00}
    assert merchant.reason(merchant.order(100_00, after=None), 100_00, "json") == "mandate_current_cycle_allowed_debit_exceeds"


def test_a_failed_debit_leaves_the_block_as_it_was(merchant: Merchant) -> None:
    merchant.mandate(max_amount=1_000_00, frequency="one_time")
    merchant.gateway.control("POST", "/faults", outcome="debit_fails", reason="bank_not_available")
    assert merchant.block_debit(640_00)["error_reason"] == "bank_not_available"
    assert merchant.details()["amount_debited"] == 0
    assert merchant.block_debit(640_00)["status"] == "captured"


def test_upi_collect_is_closed_and_the_link_is_reserve_pays(merchant: Merchant) -> None:
    order = merchant.post(
        "/orders",
        {"amount": 100, "currency": "INR", "customer_id": merchant.customer,
         "token": {"max_amount": 500_00, "frequency": "as_presented", "type": "single_block_multiple_debit"}},
    )  # fmt: skip
    body = {"amount": 100, "order_id": order["id"], "recurring": True} | WHO
    assert (
        "Collect" in merchant.post("/payments/create/json", body | {"upi": {"flow": "collect", "vpa": "a@b"}}, 400)["error"]["description"]
    )
    url = merchant.post("/payments/create/json", body | {"upi": {"flow": "intent"}})["next"][0]["url"]
    for words in ("upi://mandate?", "amrule=MAX", "recur=ASPRESENTED", "purpose=77", "block=Y", "am=500.00"):
        assert words in url


# -- faults on demand ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", sorted(npci.REASONS))
def test_every_reason_by_choice(reason: str, shared: Merchant) -> None:
    shared.gateway.control("POST", "/faults", outcome="debit_fails", reason=reason, scope="contact", of=CONTACT)
    payment = shared.debit(100_00, receipt=reason[:40])
    assert (payment["status"], payment["error_reason"]) == ("failed", reason)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Merchant]:
    with playing(tmp_path_factory.mktemp("mock") / "gateway.db") as played:
        merchant = Merchant(played)
        merchant.mandate()
        with contextlib.closing(merchant.http):
            yield merchant


def test_a_payment_that_failed_is_captured_all_the_same(shared: Merchant) -> None:
    shared.gateway.control("POST", "/faults", outcome="debit_fails_then_captured", reason="response_not_received_within_tat", after_s=7200)
    payment = shared.debit(100_00, receipt="late")
    assert payment["status"] == "failed"
    shared.gateway.ahead(hours=2, seconds=1)
    assert shared.get(f"/payments/{payment['id']}")["status"] == "captured"


def test_a_payment_hangs(shared: Merchant) -> None:
    shared.gateway.control("POST", "/faults", outcome="debit_hangs", after_s=86_400)
    payment = shared.debit(100_00, receipt="hangs")
    assert payment["status"] == "created"
    shared.gateway.ahead(hours=24)
    assert shared.get(f"/payments/{payment['id']}")["status"] == "captured"


def test_a_notice_that_fails_and_one_that_is_late(shared: Merchant) -> None:
    shared.gateway.control("POST", "/faults", outcome="notice_fails")
    assert shared.reason(shared.order(100_00, receipt="n-1"), 100_00) == "pre_debit_notification_failed"
    shared.gateway.control("POST", "/faults", outcome="notice_late", after_s=3600)
    order = shared.order(100_00, receipt="n-2")
    assert shared.reason(order, 100_00) == "pre_debit_notification_failed"
    shared.gateway.ahead(hours=1, seconds=1)
    shared.submit(order, 100_00)
    shared.gateway.until(lambda: {"order.notification.failed", "order.notification.delivered"} <= set(shared.gateway.hook.kinds))
    event = next(json.loads(body) for _, _, body in shared.gateway.hook.seen if "order.notification.failed" in body)
    assert "created_at" in event["payload"]
    assert "created_at" not in event


@pytest.mark.parametrize("kind", sorted(BROKEN))
@pytest.mark.parametrize("acted", [False, True])
def test_answers_that_go_wrong(kind: str, shared: Merchant, *, acted: bool) -> None:
    receipt = f"{kind}-{acted}"
    shared.gateway.control("POST", "/http-faults", kind=kind, path="/orders", method="POST", acted=acted)
    answer = shared.http.post("/orders", json={"amount": 100, "currency": "INR", "receipt": receipt})
    assert (answer.status_code, answer.content) == (BROKEN[kind][0], BROKEN[kind][2])
    assert shared.get("/orders", receipt=receipt)["count"] == int(acted)


def test_a_stopped_debit_fails_and_the_next_one_does_not(merchant: Merchant) -> None:
    merchant.mandate()
    order = merchant.order(100_00)
    merchant.gateway.press(f"/app/notices/{order}/stop")
    payment = merchant.submit(order, 100_00)["razorpay_payment_id"]
    merchant.gateway.ahead(seconds=1)
    assert merchant.get(f"/payments/{payment}")["error_reason"] == "debit_declined"
    assert merchant.debit(100_00, receipt="b-2")["status"] == "captured"


def test_an_empty_account(merchant: Merchant) -> None:
    merchant.mandate()
    merchant.gateway.control("POST", f"/accounts/{CONTACT}", balance_paise=99_99)
    assert merchant.debit(100_00)["error_reason"] == "insufficient_funds"
    merchant.gateway.control("POST", f"/accounts/{CONTACT}", balance_paise=100_00)
    assert merchant.debit(100_00, receipt="b-2")["status"] == "captured"


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/faults", {"outcome": "nothing"}, "debit_fails"),
        ("/faults", {"outcome": "debit_fails", "reason": "weather"}, "/control/reasons"),
        ("/faults", {"outcome": "debit_fails", "scope": "token"}, "need of"),
        ("/http-faults", {"kind": "smoke"}, "html_502"),
        ("/clock", {"to": "2020-01-01T00:00:00Z"}, "only be put ahead"),
        ("/accounts/nobody", {"no_funds": True}, "no driver"),
        ("/webhook/replay", {"event_id": "evt_no"}, "no such webhook"),
    ],
)
def test_control_says_what_to_do(path: str, body: dict[str, Any], words: str, shared: Merchant) -> None:
    answer = shared.gateway.http.post(f"/control{path}", json=body)
    assert 400 <= answer.status_code < 500
    assert words in answer.text


def test_conduct_is_checked_and_shown(shared: Merchant) -> None:
    for wrong in ({"profile": "evil"}, {"mute": 2}, {"mute": "much"}, {"colour": 1}):
        answer = shared.gateway.http.put("/control/conduct", json=wrong)
        assert answer.status_code == 422, answer.text
    for name in PROFILES:
        assert shared.gateway.control("PUT", "/conduct", profile=name)["profile"] == name
    assert shared.gateway.control("PUT", "/conduct", profile="calm")["conduct"]["mute"] == 0
    assert set(shared.gateway.control("GET", "/reasons")["outcomes"]) == set(OUTCOMES)


# -- refunds ------------------------------------------------------------------------------------------------------------


def test_refunds(merchant: Merchant) -> None:
    merchant.mandate()
    payment = merchant.debit(100_00)["id"]
    path = f"/payments/{payment}/refund"
    key = {"X-Refund-Idempotency": "refund-00001"}
    first = merchant.post(path, {"amount": 60_00}, **key)
    assert merchant.post(path, {"amount": 60_00}, **key)["id"] == first["id"]
    assert "Different request body" in merchant.post(path, {"amount": 50_00}, 400, **key)["error"]["description"]
    assert "10 characters" in merchant.post(path, {"amount": 1_00}, 400, **{"X-Refund-Idempotency": "short"})["error"]["description"]
    assert "greater" in merchant.post(path, {"amount": 40_01}, 400)["error"]["description"]
    merchant.gateway.control("POST", "/faults", outcome="refund_fails")
    failed = merchant.post(path, {"amount": 40_00})
    merchant.gateway.ahead(seconds=1)
    assert merchant.get(f"/refunds/{failed['id']}")["status"] == "failed"
    merchant.post(path, {})  # the rest
    merchant.gateway.ahead(seconds=1)
    assert merchant.get(f"/payments/{payment}")["refund_status"] == "full"
    assert [r["status"] for r in merchant.get(f"/payments/{payment}/refunds")["items"]].count("processed") == 2
    merchant.gateway.until(lambda: {"refund.created", "refund.processed", "refund.failed"} <= set(merchant.gateway.hook.kinds))
    phone = merchant.gateway.phone()
    assert phone["balance_paise"] == 50_000_00


def test_no_refund_after_six_months(merchant: Merchant) -> None:
    merchant.mandate()
    payment = merchant.debit(100_00)["id"]
    merchant.gateway.ahead(days=183)
    assert "6 months" in merchant.post(f"/payments/{payment}/refund", {"amount": 1_00}, 400)["error"]["description"]


# -- webhooks -----------------------------------------------------------------------------------------------------------


def signed(body: str, secret: str) -> str:
    return hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()


def test_a_webhook_that_was_not_taken_comes_again_with_the_old_secrets_signature(merchant: Merchant) -> None:
    hook = merchant.gateway.hook
    hook.answers.extend([500] * 4)
    merchant.mandate()
    merchant.gateway.until(lambda: len(hook.seen) >= 4)
    merchant.gateway.control("POST", "/webhook", secret="a-new-secret-of-the-hook")
    merchant.gateway.ahead(minutes=20)
    merchant.gateway.until(lambda: len(hook.seen) >= 8)
    ids = [event_id for event_id, _, _ in hook.seen]
    assert len(set(ids)) == 4
    assert all(signature == signed(body, HOOK_SECRET) for _, signature, body in hook.seen)
    merchant.debit(100_00)
    merchant.gateway.until(lambda: "order.notification.delivered" in hook.kinds)
    _, signature, body = hook.seen[-1]
    assert signature == signed(body, "a-new-secret-of-the-hook")


def test_a_webhook_that_is_never_taken_is_disabled_after_a_day(merchant: Merchant) -> None:
    hook = merchant.gateway.hook
    hook.answers.extend([503] * 10_000)
    merchant.mandate()
    merchant.gateway.until(lambda: len(hook.seen) >= 4)
    merchant.gateway.ahead(hours=24, minutes=1)
    merchant.gateway.until(lambda: not merchant.gateway.control("GET", "")["webhook"]["enabled"])
    hook.answers.clear()
    seen = len(hook.seen)
    merchant.debit(100_00)
    merchant.gateway.control("POST", "/webhook", enabled=True)
    merchant.gateway.until(lambda: "payment.captured" in hook.kinds[seen:])


def test_webhooks_held_back_reversed_doubled_forged(merchant: Merchant) -> None:
    hook = merchant.gateway.hook
    merchant.gateway.control("POST", "/webhook", held=True)
    merchant.mandate()
    assert merchant.gateway.control("GET", "")["webhook"]["waiting"] == 4
    assert hook.seen == []
    merchant.gateway.control("POST", "/webhook", held=False, order="reversed")
    merchant.gateway.until(lambda: len(hook.seen) == 4)
    merchant.gateway.until(lambda: merchant.gateway.control("GET", "")["webhook"]["waiting"] == 0)
    merchant.gateway.control("POST", "/webhook/replay", last=4, renamed=True)
    merchant.gateway.control("POST", "/webhook/replay", last=1, secret="not-the-right-secret")
    merchant.gateway.until(lambda: len(hook.seen) == 9)
    assert len({event_id for event_id, _, _ in hook.seen}) == 8
    assert [signature == signed(body, HOOK_SECRET) for _, signature, body in hook.seen].count(False) == 1


# -- settlements --------------------------------------------------------------------------------------------------------


def test_settlements_that_are_right_missing_short_and_dear(merchant: Merchant) -> None:
    merchant.mandate()
    payments = {kind: merchant.debit(100_00, receipt=kind)["id"] for kind in ("right", "missing", "short", "fee")}
    for kind in ("missing", "short", "fee"):
        merchant.gateway.control("POST", "/faults", outcome=f"settlement_{kind}", scope="receipt", of=kind, paise=7)
    merchant.gateway.control("POST", "/settle")
    day = merchant.gateway.now.astimezone(npci.INDIA)
    report = merchant.get("/settlements/recon/combined", year=day.year, month=day.month, day=day.day, count=1000)["items"]
    lines = {item["entity_id"]: item for item in report}
    fee = 200 + 36
    assert (lines[payments["right"]]["credit"], lines[payments["right"]]["fee"], lines[payments["right"]]["tax"]) == (100_00 - fee, fee, 36)
    assert payments["missing"] not in lines
    assert lines[payments["short"]]["credit"] == 100_00 - fee - 7
    assert (lines[payments["fee"]]["fee"], lines[payments["fee"]]["credit"]) == (fee + 7, 100_00 - fee - 7)
    assert merchant.get("/settlements")["items"][0]["amount"] == sum(item["credit"] for item in report)
    assert merchant.get("/settlements/recon/combined", year=day.year - 1, month=1, day=1)["count"] == 0


def test_settlements_leave_two_days_later_by_themselves(tmp_path: Path) -> None:
    with playing(tmp_path / "gateway.db", settle_after_s=2 * 86_400.0) as played:
        merchant = Merchant(played)
        merchant.mandate()
        merchant.debit(100_00)
        played.ahead(hours=47)
        assert merchant.get("/settlements")["count"] == 0
        played.ahead(hours=2)
        assert merchant.get("/settlements")["count"] == 1
        merchant.http.close()


# -- the phone ----------------------------------------------------------------------------------------------------------


def page(gateway: Played, path: str) -> httpx.Response:
    return gateway.http.get(path, follow_redirects=True)


def test_the_phone_shows_what_waits_and_a_wrong_pin_approves_nothing(merchant: Merchant) -> None:
    payment = merchant.ask()
    gateway = merchant.gateway
    shown = page(gateway, "/app").text
    assert "Rani" in shown
    assert f"/app/pay/{payment}" in shown
    back = f"/app/pay/{payment}"
    for pin in ("12", "1234567", "abcd", ""):
        answer = gateway.press(f"/app/payments/{payment}/approve", pin=pin, back=back)
        assert "4%20to%206%20digits" in answer.headers["location"]
    gateway.control("POST", f"/accounts/{CONTACT}", wrong_pin=True)
    assert "Wrong%20PIN" in gateway.press(f"/app/payments/{payment}/approve", pin="1234", back=back).headers["location"]
    assert merchant.get(f"/payments/{payment}")["status"] == "created"
    gateway.control("POST", f"/accounts/{CONTACT}", wrong_pin=False)
    gateway.press(f"/app/payments/{payment}/approve", pin="1234", back=back)
    assert merchant.details()["status"] == "confirmed"
    assert "active" in page(gateway, "/app").text


def test_the_link_of_the_depots_page_opens_on_the_phone(merchant: Merchant) -> None:
    payment = merchant.ask()
    link = f"upi://mandate?pa=mock@chargeyard&tr={payment}&am=1"
    shown = merchant.gateway.http.get("/app/open", params={"link": link}, follow_redirects=True)
    assert "Approve" in shown.text
    assert "any 4 to 6 digits" in shown.text
    for wrong in ("upi://pay?tr=pay_1", "https://example.org/", "upi://mandate?tr=../x", ""):
        assert merchant.gateway.http.get("/app/open", params={"link": wrong}).status_code == 422


def test_the_difficult_driver_by_the_page(merchant: Merchant) -> None:
    merchant.mandate()
    gateway = merchant.gateway
    found = re.search(r"/app/accounts/(ba_[0-9a-f]+)", page(gateway, "/app").text)
    assert found
    path, back = f"/app/accounts/{found[1]}", {"back": f"/app/of/{found[1]}"}
    gateway.press(path, balance="1,234.50", next="suspected_fraud_decline", bank_trouble="", no_funds="0", **back)
    assert "₹1,234.50" in page(gateway, "/app").text
    assert merchant.debit(100_00)["error_reason"] == "suspected_fraud_decline"
    gateway.press(path, no_funds="1", **back)
    assert merchant.debit(100_00, receipt="b-2")["error_reason"] == "insufficient_funds"
    assert "number%20of%20rupees" in gateway.press(path, balance="much", **back).headers["location"]


def test_the_gateways_page_has_a_button_for_everything(merchant: Merchant) -> None:
    merchant.mandate()
    gateway = merchant.gateway
    shown = page(gateway, "/app/lab").text
    for name in PROFILES:
        assert f"{name}:" in shown
    before = gateway.bank.now_s
    for fields in (
        {"do": "advance", "seconds": "3600"}, {"do": "profile", "profile": "noisy"}, {"do": "profile", "profile": "calm"},
        {"do": "fault", "outcome": "debit_fails", "reason": "psp_timeout", "times": "1"}, {"do": "no faults"}, {"do": "hold"},
        {"do": "release reversed"}, {"do": "replay"}, {"do": "replay renamed"}, {"do": "replay forged"}, {"do": "disable"},
        {"do": "enable"}, {"do": "settle"}, {"do": "http", "kind": "html_502", "path": "/none", "acted": "0"},
    ):  # fmt: skip
        answer = gateway.press("/app/lab", **fields)
        assert answer.headers.get("location") == "/app/lab", (fields, answer.text)
    assert gateway.bank.now_s >= before + 3600
    assert gateway.press("/app/lab", do="explode").status_code == 404


def test_buttons_are_for_pages_of_this_machine(shared: Merchant) -> None:
    http = shared.gateway.http
    for path in ("/app/lab", "/control/settle", "/app/tokens/t/pause"):
        assert http.post(path, headers={"origin": "https://elsewhere.example"}).status_code == 403
        assert http.post(path, headers={"host": "rebound.example"}).status_code == 403


def test_the_clock_stays_ahead_over_a_restart_and_an_older_file_is_taken_up(tmp_path: Path) -> None:
    file = tmp_path / "gateway.db"
    with playing(file) as played:
        played.ahead(days=3)
        ahead = played.bank.now_s
    with sqlite3.connect(file) as books:
        books.execute("ALTER TABLE payments DROP COLUMN doom")
        books.execute("ALTER TABLE tokens DROP COLUMN mode")
    books.close()
    with playing(file) as played:
        assert played.bank.now_s >= ahead
        merchant = Merchant(played)
        merchant.mandate()
        assert merchant.debit(100_00)["status"] == "captured"
        merchant.http.close()
