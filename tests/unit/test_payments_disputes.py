"""Disputes by webhook, in any order: the end outweighs the beginning, and only a payment that is ours is touched."""

from __future__ import annotations

import itertools
import json

import pytest
from books_kit import DEPOT, Kit

from payments.disputes import DisputeState, join_dispute
from payments.keys import GatewayKeys
from payments.records import EventState
from payments.states import Stage
from payments.tables import WebhookRow
from payments.webhooks import Receipt, Webhooks, signature

SECRET = "a-secret-for-this-test"


@pytest.fixture
def kit() -> Kit:
    made = Kit()
    made.mandate()
    return made


def tell(kit: Kit, event_id: str, status: str, payment_id: str, *, dispute: str = "disp_1") -> str:
    """Deliver and apply; how the event stands."""
    inbox = Webhooks(kit.store, DEPOT, kit.clock, GatewayKeys("rzp_test_yard", SECRET, (SECRET,)))
    entity = {"id": dispute, "entity": "dispute", "payment_id": payment_id, "amount": 118_00, "status": status, "reason_code": "fraud"}
    payment = {"id": payment_id, "order_id": "order_x", "amount": 118_00, "currency": "INR", "status": "captured"}
    payload = {"payment": {"entity": payment}, "dispute": {"entity": entity}}
    body = json.dumps({"event": f"payment.dispute.{status}", "payload": payload, "created_at": 1}).encode()
    assert inbox.receive(body, told_signature=signature(body, SECRET), event_id=event_id) is Receipt.STORED
    inbox.apply()
    with kit.store.unit() as session:
        row = session.get(WebhookRow, (DEPOT, event_id))
        assert row is not None
        return row.state


def test_a_dispute_shows_and_ends(kit: Kit) -> None:
    payment = kit.paid("s1")
    assert tell(kit, "e1", "open", payment) == EventState.APPLIED
    assert kit.stage("s1") is Stage.DISPUTED
    tell(kit, "e2", "won", payment)
    assert kit.stage("s1") is Stage.CAPTURED
    tell(kit, "e3", "under_review", payment)
    assert kit.stage("s1") is Stage.CAPTURED, "a late report of a lower rank changes nothing"
    tell(kit, "e4", "open", payment, dispute="disp_2")
    assert kit.stage("s1") is Stage.DISPUTED
    tell(kit, "e5", "lost", payment, dispute="disp_2")
    assert kit.stage("s1") is Stage.DISPUTED
    assert kit.desk.check_ledger().sound


def test_reports_in_any_order_come_to_the_same() -> None:
    for states in itertools.permutations([DisputeState.OPEN, DisputeState.UNDER_REVIEW, DisputeState.LOST]):
        known = None
        for state in states:
            known = join_dispute(known, state)
        assert known is DisputeState.LOST


def test_a_dispute_of_a_payment_that_is_not_known_waits_and_a_new_word_is_odd(kit: Kit) -> None:
    kit.bill("s1")
    (debit,) = kit.batch()
    assert tell(kit, "e1", "open", "pay_soon") == EventState.PARKED
    kit.report(debit, payment_id="pay_soon")
    tell(kit, "e2", "open", "pay_never")
    assert kit.stage("s1") is Stage.DISPUTED, "what waited for the payment was applied"
    assert tell(kit, "e3", "pondered", "pay_soon") == EventState.ODD
