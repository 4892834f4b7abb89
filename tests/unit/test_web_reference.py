"""Reference tests on a pack's page and over REST: what is shown, who may order, what reaches the core, what is refused."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from test_web_batteries import words_of
from test_web_pages import check
from web_harness import ORIGIN, form_value, site

from controller.reference_view import ReferenceTestView
from depot import commands as cmd
from depot.values import Role
from web.roles import Permission

pytestmark = pytest.mark.anyio
API = "/api/v1/packs/{}/P1/reference-test"


async def test_the_page_shows_a_test_that_runs_waits_or_is_over(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        expected = {
            "E-103": ("4 of 7 powers held", "Pulses between", "Ends about", "Call off"),
            "E-109": ("its state of charge is 71%", "50 or less", "Call off"),
            "E-118": ("was broken off: what is left takes 3 h 10 min", "Order a test"),
            "E-127": ("None was ordered yet", "Order a test"),
        }
        for vehicle, parts in expected.items():
            html = (await client.get(f"/batteries/{vehicle}/P1")).text
            check(html)
            words = words_of(html)
            for part in parts:
                assert part in words, (vehicle, part)


async def test_who_may_not_order_sees_no_button_and_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.OPERATOR)
        html = (await client.get("/batteries/E-127/P1")).text
        assert "ordering one needs a manager" in html
        assert "Order a test" not in html
        value = await form_value(client)
        refused = await client.post(
            "/batteries/E-127/P1/reference-test", data={"csrf": value, "reason": "why not", "wait_h": "0", "most_soc": "50"}
        )
        assert refused.status_code == 403
        assert depot.link.commands == []


async def test_the_form_orders_with_name_and_reason_and_calls_off(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        value = await form_value(client)
        form = {"csrf": value, "reason": "before the warranty ends", "wait_h": "24", "most_soc": "40"}
        answer = await client.post("/batteries/E-127/P1/reference-test", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/batteries/E-127/P1")
        (order,) = depot.link.commands
        assert isinstance(order, cmd.OrderReferenceTest)
        assert (order.vehicle_id, order.most_soc, order.reason, order.pulses) == ("E-127", 0.4, "before the warranty ends", 3)
        assert order.until is not None
        depot.link.commands.clear()
        await client.post("/batteries/E-127/P1/reference-test", data=form | {"wait_h": "0"})
        assert depot.link.commands[0].until is None
        await client.post("/batteries/E-103/P1/reference-test/call-off", data={"csrf": value, "reason": "the bus is needed"})
        assert isinstance(depot.link.commands[-1], cmd.CallOffReferenceTest)


@pytest.mark.parametrize("bad", [{"most_soc": "95"}, {"most_soc": "much"}, {"wait_h": "1e9"}, {"wait_h": "nan"}, {"reason": " "}])
async def test_a_form_that_cannot_be_is_told_why_and_orders_nothing(tmp_path: Path, bad: dict[str, str]) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        value = await form_value(client)
        form = {"csrf": value, "reason": "yearly", "wait_h": "0", "most_soc": "50"} | bad
        page = f"{ORIGIN}/batteries/E-127/P1"
        answer = await client.post("/batteries/E-127/P1/reference-test", data=form, headers={"referer": page})
        assert answer.status_code == 422
        assert 'href="/batteries/E-127/P1">Back to the page' in answer.text
        assert not {"most_soc", "wait_h"} & set(words_of(answer.text).split())
        assert depot.link.commands == []
        for elsewhere in ("http://elsewhere.example/batteries", f"{ORIGIN}//elsewhere.example/"):
            away = await client.post("/batteries/E-127/P1/reference-test", data=form, headers={"referer": elsewhere})
            assert 'href="/">Back to Now' in away.text


async def test_the_api_shows_orders_and_calls_off(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        reader = depot.client(authorization=f"Bearer {depot.users.add_token('reader', [Permission.READ])}")
        shown = (await reader.get(API.format("E-103"))).json()
        assert (shown["phase"], shown["step"], shown["limit_w"]) == ("pulses", 4, 48_000)
        assert (await reader.post(API.format("E-103"), json={"reason": "yearly"})).status_code == 403
        client = depot.client(authorization=f"Bearer {depot.users.add_token('scada', [Permission.LIMIT])}")
        answer = await client.post(API.format("E-127"), json={"reason": "yearly", "wait_h": 12, "pulses": 4})
        assert answer.status_code == 200, answer.text
        (order,) = depot.link.commands
        assert isinstance(order, cmd.OrderReferenceTest)
        assert order.until is not None
        assert order.until - depot.link.view.at == timedelta(hours=12)
        assert (order.pulses, order.actor) == (4, "token scada")
        for wrong in ({}, {"reason": "yearly", "most_soc": 1.0}, {"reason": "yearly", "pulses": 2}, {"reason": "yearly", "rate": 5}):
            assert (await client.post(API.format("E-127"), json=wrong)).status_code == 422
        assert (await client.post(API.format("E-127") + "/call-off", json={"reason": "needed"})).status_code == 200


async def test_a_core_without_tests_shows_none(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.made.pop(ReferenceTestView)
        client = await depot.signed_in(Role.VIEWER)
        assert re.search("Reference test", (await client.get("/batteries/E-103/P1")).text) is None
        assert (await client.get(API.format("E-103"))).status_code == 404


async def test_a_pack_of_which_nothing_was_heard_is_not_there(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = depot.client(authorization=f"Bearer {depot.users.add_token('scada', [Permission.LIMIT, Permission.READ])}")
        for path in ("/api/v1/packs/E-103/P9/reference-test", "/api/v1/packs/E-999/P1/reference-test"):
            assert (await client.get(path)).status_code == 404
            assert (await client.post(path, json={"reason": "yearly"})).status_code == 404
        assert depot.link.commands == []
