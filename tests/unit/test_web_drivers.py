"""*Payments: drivers* and *QR codes*: masked lists, search, data and erasure with reasons; codes that only the depot can make."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_depot import NOW
from web_harness import Site, form_value, site

from controller.drivers_view import DriverRow, PayingDriversView
from depot import commands as cmd
from depot.values import Role
from web.driver_links import PlaceLinks

pytestmark = pytest.mark.anyio
LINKS = PlaceLinks("https://charge.example", b"k" * 32)


def row(driver_id: str = "g-abc", **more: Any) -> DriverRow:
    values: dict[str, Any] = {
        "driver_id": driver_id, "phone": "98•••••210", "email": "r•••@example.org", "name": "R•••", "vpa": "ra•••@okaxis", "source": "page",
        "created_at": NOW - timedelta(days=3), "used_at": NOW - timedelta(hours=2), "erased_at": None, "keeps": "", "readable": True,
    }  # fmt: skip
    return DriverRow(**(values | more))


def shown(*rows: DriverRow) -> PayingDriversView:
    return PayingDriversView(at=NOW, drivers=list(rows), contact_days=180, message_days=30)


def answers(depot: Site, status: cmd.CommandStatus, message: str, answer: dict[str, Any] | None = None) -> None:
    async def command(command: cmd.Command, *, within_s: float | None = None) -> cmd.CommandResult:
        depot.link.commands.append(command)
        return cmd.CommandResult(command.command_id, status, message, 7, answer)

    depot.link.command = command  # type: ignore[method-assign]


async def test_the_list_is_masked_and_says_how_things_stand(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.shown[PayingDriversView] = shown(
            row(),
            row("g-owes", keeps="money is still owed: it must be debited"),
            row("g-gone", erased_at=NOW),
            row("g-lost", readable=False),
        )
        page = (await (await depot.signed_in()).get("/payments/drivers")).text
    for words in (
        "98•••••210",
        "ra•••@okaxis",
        "gave it on the phone page",
        "money is still owed",
        "erased",
        "the key is missing",
        "180 days",
    ):
        assert words in page, words
    assert "style=" not in page
    assert 'action="/payments/drivers/g-gone/erase"' not in page


async def test_empty_lists_say_what_comes(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        assert "Nobody pays here" in (await client.get("/payments/drivers")).text
        depot.link.shown[PayingDriversView] = shown()
        assert "No driver yet" in (await client.get("/payments/drivers")).text
        assert "No driver gave this number" in (await client.get("/payments/drivers?found=-")).text


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.SAFETY_OFFICER])
async def test_nobody_else_sees_drivers_or_codes(tmp_path: Path, role: Role) -> None:
    async with site(tmp_path, places=LINKS) as depot:
        depot.link.shown[PayingDriversView] = shown(row())
        client = await depot.signed_in(role)
        for path in ("/payments/drivers", "/payments/codes", "/payments/codes.pdf", "/api/v1/payments/drivers", "/api/v1/payments/codes"):
            answer = await client.get(path)
            assert answer.status_code == 403, path
            assert "98••" not in answer.text
        assert "/payments/drivers" not in (await client.get("/payments")).text


async def test_a_driver_is_found_by_phone(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.shown[PayingDriversView] = shown(row("g-abc"), row("g-def"))
        client = await depot.signed_in()
        value = await form_value(client)
        answers(depot, cmd.CommandStatus.DONE, "1 driver", {"driver_ids": ["g-def"]})
        answer = await client.post("/payments/drivers/find", data={"csrf": value, "phone": "98765 43210", "reason": "called"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/payments/drivers?found=g-def")
        page = (await client.get(answer.headers["location"])).text
        assert "g-def" in page
        assert "g-abc" not in page
        command = depot.link.commands[-1]
        assert isinstance(command, cmd.FindDriver)
        assert (command.actor, command.reason, command.phone) == ("mani", "called", "98765 43210")
        answers(depot, cmd.CommandStatus.REFUSED, "a phone number has 10 digits")
        answer = await client.post("/payments/drivers/find", data={"csrf": value, "phone": "12", "reason": "called"})
        assert answer.status_code == 422
        assert "a phone number has 10 digits" in answer.text


async def test_data_leave_as_a_file_and_with_a_reason(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        value = await form_value(client)
        answers(depot, cmd.CommandStatus.DONE, "all", {"contact": {"phone": "+919876543210"}})
        assert (await client.post("/payments/drivers/g-abc/data", data={"csrf": value, "reason": " "})).status_code == 422
        assert depot.link.commands == []
        answer = await client.post("/payments/drivers/g-abc/data", data={"csrf": value, "reason": "asked in writing"})
        assert answer.json() == {"contact": {"phone": "+919876543210"}}
        assert answer.headers["content-disposition"] == 'attachment; filename="driver-g-abc.json"'
        assert answer.headers["cache-control"] == "no-store"
        assert isinstance(depot.link.commands[-1], cmd.TellDriverData)
        answers(depot, cmd.CommandStatus.REFUSED, "nothing is kept of driver x")
        assert (await client.post("/payments/drivers/x/data", data={"csrf": value, "reason": "asked"})).status_code == 409


async def test_erasing_needs_a_reason_and_is_told(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.shown[PayingDriversView] = shown(row())
        client = await depot.signed_in()
        value = await form_value(client)
        answers(depot, cmd.CommandStatus.REFUSED, "money is still owed")
        answer = await client.post("/payments/drivers/g-abc/erase", data={"csrf": value, "reason": "asked"})
        assert answer.headers["location"] == "/payments/drivers"
        assert "money is still owed" in (await client.get("/payments/drivers")).text
        command = depot.link.commands[-1]
        assert isinstance(command, cmd.EraseDriver)
        assert (command.driver_id, command.reason) == ("g-abc", "asked")


async def test_the_same_for_programs(tmp_path: Path) -> None:
    async with site(tmp_path, places=LINKS) as depot:
        depot.link.shown[PayingDriversView] = shown(row())
        client = await depot.signed_in()
        headers = {"x-csrf-token": await form_value(client)}
        listed = (await client.get("/api/v1/payments/drivers")).json()
        assert listed["drivers"][0]["phone"] == "98•••••210"
        answers(depot, cmd.CommandStatus.DONE, "done", {"driver_ids": ["g-abc"]})
        found = await client.post("/api/v1/payments/drivers/find", json={"phone": "9876543210", "reason": "called"}, headers=headers)
        assert found.json() == {"driver_ids": ["g-abc"]}
        told = await client.post("/api/v1/payments/drivers/g-abc/data", json={"reason": "asked"}, headers=headers)
        assert told.json() == {"driver_ids": ["g-abc"]}
        answers(depot, cmd.CommandStatus.ACCEPTED, "the gateway was told")
        erased = await client.post("/api/v1/payments/drivers/g-abc/erase", json={"reason": "asked"}, headers=headers)
        assert erased.status_code == 202
        for body in ({}, {"reason": ""}, {"reason": "x", "more": 1}):
            answer = await client.post("/api/v1/payments/drivers/g-abc/erase", json=body, headers=headers)
            assert answer.status_code == 422, body
        answers(depot, cmd.CommandStatus.REFUSED, "a session is under way")
        refused = await client.post("/api/v1/payments/drivers/g-abc/erase", json={"reason": "asked"}, headers=headers)
        assert (refused.status_code, refused.json()["detail"]) == (409, "a session is under way")


async def test_codes_are_one_for_each_connector(tmp_path: Path) -> None:
    async with site(tmp_path, places=LINKS) as depot:
        client = await depot.signed_in()
        page = (await client.get("/payments/codes")).text
        places = (await client.get("/api/v1/payments/codes")).json()["places"]
        view = depot.link.view
        assert view is not None
        assert len(places) == len(view.tiles) == page.count('class="qr big"')
        assert LINKS.address("CP-03", 1) in {place["address"] for place in places}
        assert "this machine alone" not in page
        paper = await client.get("/payments/codes.pdf?only=CP-03/1")
        assert paper.content.startswith(b"%PDF")
        assert paper.headers["content-type"] == "application/pdf"
        assert (await client.get("/payments/codes.pdf?only=CP-99/1")).status_code == 404


async def test_without_drivers_pages_there_are_no_codes(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        assert "[drive]" in (await client.get("/payments/codes")).text
        assert (await client.get("/payments/codes.pdf")).status_code == 404
        assert (await client.get("/api/v1/payments/codes")).status_code == 404
    (tmp_path / "local").mkdir()
    async with site(tmp_path / "local", places=PlaceLinks("http://127.0.0.1:8085", b"k" * 32)) as depot:
        assert "this machine alone" in (await (await depot.signed_in()).get("/payments/codes")).text
