"""The Payments page: amounts to the paisa, states with their reasons, who may act, and nobody's contact data."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from payments_sample import money, nothing_yet
from web_harness import form_value, site

from controller.payments_view import PaymentsView
from depot import commands as cmd
from depot.values import Role
from payments.states import MandateState, Stage
from web.payments_page import MANDATES, STAGES

pytestmark = pytest.mark.anyio

FORM = {
    "driver_id": "driver 9", "id_tag": "CARD-9", "max_inr": "5,000", "months": "12", "name": "Rani", "email": "rani@example.org",
    "contact": "+91 90000 00001", "reason": "new driver", "mode": "autopay", "hosted": "",
}  # fmt: skip


def test_every_state_has_words() -> None:
    # metered, rated and batched are in the model and nothing sets them
    assert set(STAGES) == {stage.value for stage in Stage} - {"metered", "rated", "batched"}
    assert set(MANDATES) == {state.value for state in MandateState}


async def test_where_nobody_pays_the_page_says_how_to_begin(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        page = (await (await depot.signed_in()).get("/payments")).text
    assert "Nobody pays here" in page
    assert "[payments]" in page


async def test_bills_with_states_reasons_and_what_to_do(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.shown[PaymentsView] = money()
        page = (await (await depot.signed_in()).get("/payments")).text
    for words in (
        "mock gateway: no real money", "₹14.50 / kWh", "adds up", "₹0.00", "₹86,412.75", "unpaid", "mandate cancelled",
        "the driver must set up a new mandate", "failed, tried again", "2 tried", "2627/000117", "there is no mandate m-9",
        "the mandate is paused: resume it in the UPI app", "up to ₹736.12", "11.4 of 40.0", 'href="upi://mandate?',
        "/payments?before=s-8",
    ):  # fmt: skip
        assert words in page, words
    assert "style=" not in page


async def test_a_ledger_that_does_not_add_up_is_an_alarm(tmp_path: Path) -> None:
    view = money()
    wrong = msgspec.structs.replace(view.ledger, sum_paise=1, sound=False)
    async with site(tmp_path) as depot:
        depot.link.shown[PaymentsView] = msgspec.structs.replace(view, ledger=wrong)
        page = (await (await depot.signed_in()).get("/payments")).text
    assert "the ledger does not add up" in page


async def test_an_empty_book_and_a_silent_gateway(tmp_path: Path) -> None:
    view = nothing_yet()
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        depot.link.shown[PaymentsView] = view
        page = (await client.get("/payments")).text
        assert "No paid session yet" in page
        assert "No mandates" in page
        silent = msgspec.structs.replace(view.gateway, silent_at=view.at, trouble="no connection to the gateway (ConnectError)")
        depot.link.shown[PaymentsView] = msgspec.structs.replace(view, gateway=silent)
        page = (await client.get("/payments")).text
    assert "does not answer: debits wait" in page
    assert "ConnectError" in page


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.SAFETY_OFFICER])
async def test_who_may_not_act_sees_no_buttons_and_no_approval_link(tmp_path: Path, role: Role) -> None:
    async with site(tmp_path) as depot:
        depot.link.shown[PaymentsView] = money()
        page = (await (await depot.signed_in(role)).get("/payments")).text
    assert "Acting on money needs a manager" in page
    assert "upi://" not in page
    assert "/payments/bills/" not in page


async def test_what_a_manager_orders_becomes_a_command_with_its_reason(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        value = {"csrf": await form_value(client), "reason": "driver asked"}
        for path in ("bills/s-5/retry", "bills/s-5/write-off", "bills/s-3/refund", "mandates/m-1/end"):
            answer = await client.post(f"/payments/{path}", data=value)
            assert (answer.status_code, answer.headers["location"]) == (303, "/payments")
            assert (await client.post(f"/payments/{path}", data=value | {"reason": " "})).status_code == 422
    kinds = [type(command) for command in depot.link.commands]
    assert kinds == [cmd.RetryDebit, cmd.WriteOffBill, cmd.RefundBill, cmd.RevokeMandate]
    assert {command.reason for command in depot.link.commands} == {"driver asked"}


async def test_the_mandates_form_keeps_its_contact_data_out_of_the_answer(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.shown[PaymentsView] = money()
        client = await depot.signed_in()
        answer = await client.post("/payments/mandates", data=FORM | {"csrf": await form_value(client)})
        assert answer.status_code == 303
        (command,) = depot.link.commands
        assert isinstance(command, cmd.RegisterMandate)
        assert (command.mode, command.hosted) == ("autopay", False)
        assert (command.max_amount_paise, command.contact, command.driver_id) == (5_000_00, "+919000000001", "driver 9")
        page = (await client.get("/payments")).text
        assert "rani@example.org" not in page
        assert "9000000001" not in page


async def test_a_wrong_field_is_marked_and_nothing_is_sent(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.shown[PaymentsView] = money()
        client = await depot.signed_in()
        csrf = await form_value(client)
        for field, value, words in (
            ("contact", "9000000001", "With country code"),
            ("email", "rani", "An e-mail address"),
            ("max_inr", "15001", "₹100 to ₹15,000"),
            ("max_inr", "NaN", "₹100 to ₹15,000"),
            ("max_inr", "1e400", "₹100 to ₹15,000"),
            ("months", "0", "1 to 120 months"),
            ("driver_id", " ", "An id of the depot&#39;s own"),
            ("reason", "", "Say why"),
        ):
            answer = await client.post("/payments/mandates", data=FORM | {field: value, "csrf": csrf})
            assert (answer.status_code, words in answer.text) == (422, True), (field, value)
        assert depot.link.commands == []


async def test_the_api_gives_no_approval_link(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.shown[PaymentsView] = money()
        answer = await (await depot.signed_in()).get("/api/v1/payments")
        assert answer.status_code == 200
        assert answer.json()["ledger"]["sum_paise"] == 0
        assert "upi://" not in answer.text
        await (await depot.signed_in()).get("/payments?before=s-8")
    assert depot.link.asked[-1][1]["before"] == "s-8"
