"""Messages to drivers on the screen and in the API: written, taken back, and never without a reason."""

from __future__ import annotations

from pathlib import Path

import fake_stations
import pytest
from web_harness import form_value, site

from controller.customer_information import CustomersView
from controller.display_messages import DisplaysView
from depot import commands as cmd
from depot.values import Role

pytestmark = pytest.mark.anyio


async def test_a_message_is_written_and_cleared_on_the_page(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.result = cmd.CommandStatus.DONE
        client = await depot.signed_in(Role.MANAGER)
        page = (await client.get("/display-messages")).text
        assert "Welcome. Please plug in." in page
        sent = {"csrf": await form_value(client), "reason": "opening", "content": "Hello", "station": ["CP-03", "CP-05"], "hours": "8"}
        answer = await client.post("/display-messages", data=sent)
        assert answer.status_code == 303, answer.text
        order = depot.link.commands[-1]
        assert isinstance(order, cmd.ShowMessage)
        assert (order.station_ids, order.texts[0].content, order.end_at is not None) == (("CP-03", "CP-05"), "Hello", True)
        sent = {"csrf": sent["csrf"], "reason": "over", "station_id": "CP-03", "message_id": "3"}
        assert (await client.post("/display-messages/clear", data=sent)).status_code == 303
        assert depot.link.commands[-1] == cmd.ClearMessage(
            command_id=depot.link.commands[-1].command_id,
            actor=depot.link.commands[-1].actor,
            reason="over",
            station_id="CP-03",
            message_id=3,
        )


async def test_what_cannot_be_shown_is_said_on_the_page(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        value = await form_value(client)
        good = {"csrf": value, "reason": "r", "content": "Hello", "station": "CP-03"}
        for bad in ({"station": ""}, {"content": ""}, {"content": "Grüß", "format": "ASCII"}, {"hours": "never"}, {"reason": ""}):
            sent = {key: text for key, text in (good | bad).items() if text}
            assert (await client.post("/display-messages", data=sent)).status_code == 422, bad
        assert depot.link.commands == []


async def test_a_depot_without_such_stations_says_so(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.shown[DisplaysView] = DisplaysView(at=fake_stations.AT, messages=[], refreshed=[], stations=[])
        client = await depot.signed_in(Role.MANAGER)
        page = (await client.get("/display-messages")).text
        assert "No station can be told" in page
        assert "No message yet" in page


async def test_the_api_asks_with_who_is_meant_and_shows_no_data_in_its_list(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.result = cmd.CommandStatus.DONE
        depot.link.answers[cmd.AskCustomerInformation] = {"request_id": 5, "station_id": "CP-03", "state": "done"}
        client = await depot.signed_in(Role.MANAGER)
        headers = {"x-csrf-token": await form_value(client)}
        body = {"station_id": "CP-03", "id_token": "CARD-1", "reason": "her request"}
        answer = await client.post("/api/v1/customer-information", json=body, headers=headers)
        assert (answer.status_code, answer.json()["request_id"]) == (201, 5)
        order = depot.link.commands[-1]
        assert isinstance(order, cmd.AskCustomerInformation)
        assert "CARD-1" not in str(order.detail)
        assert "CARD-1" not in repr(order)
        await client.get("/api/v1/customer-information/5")
        assert depot.link.asked[-1] == (CustomersView, {"request_id": "5"})
