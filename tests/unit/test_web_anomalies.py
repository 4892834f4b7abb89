"""Alerts and work orders over REST: who may, as JSON and as a sheet, and what is sent to the core."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from fake_anomalies import KEY, NOW, WAITING
from test_web_batteries import words_of
from test_web_pages import check
from web_harness import form_value, site

from controller.anomalies_view import WorkOrdersView
from depot import commands as cmd
from depot.values import Role

pytestmark = pytest.mark.anyio


async def test_everybody_reads_and_a_sheet_has_a_row_for_each(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        viewer = await depot.signed_in(Role.VIEWER)
        answer = (await viewer.get("/api/v1/pack-alerts")).json()
        assert (answer["packs"], [one["key"] for one in answer["alerts"]]) == (12, [KEY, WAITING])
        sheet = await viewer.get("/api/v1/pack-alerts", params={"format": "csv"})
        assert sheet.headers["content-type"].startswith("text/csv")
        assert [row["key"] for row in csv.DictReader(io.StringIO(sheet.text))] == [KEY, WAITING]
        orders = (await viewer.get("/api/v1/work-orders")).json()
        assert (orders["intact"], orders["orders"][1]["steps"][0]["actor"]) == (True, "asha")
        rows = list(csv.DictReader(io.StringIO((await viewer.get("/api/v1/work-orders", params={"format": "csv"})).text)))
        assert [(row["number"], row["what"], row["actor"]) for row in rows] == [
            ("5", "opened", "asha"),
            ("4", "opened", "asha"),
            ("3", "opened", "asha"),
            ("3", "nothing_found", "ravi"),
        ]
        assert orders["findings"][0] == {"kind": "internal_short", "right": 2, "false": 0, "else_found": 1, "taken": 0.857}
        headers = {"x-csrf-token": await form_value(viewer)}
        refused = await viewer.post("/api/v1/work-orders", json={"alert": KEY, "reason": "x"}, headers=headers)
        assert refused.status_code == 403
        assert depot.link.commands == []


async def test_an_operator_opens_and_ends_with_a_reason(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.OPERATOR)
        headers = {"x-csrf-token": await form_value(client)}
        assert (await client.post("/api/v1/work-orders", json={"alert": KEY}, headers=headers)).status_code == 422
        assert (await client.post("/api/v1/work-orders", json={"alert": KEY, "reason": "leak grows"}, headers=headers)).status_code == 200
        sent = depot.link.commands[-1]
        assert isinstance(sent, cmd.OpenWorkOrder)
        assert (sent.alert, sent.reason, sent.target) == (KEY, "leak grows", KEY)
        body = {"result": "fixed", "reason": "module 2 replaced"}
        assert (await client.post("/api/v1/work-orders/4/end", json=body, headers=headers)).status_code == 200
        sent = depot.link.commands[-1]
        assert isinstance(sent, cmd.EndWorkOrder)
        assert (sent.number, sent.result, sent.detail) == (4, "fixed", {"result": "fixed"})
        assert (await client.post("/api/v1/work-orders/4/end", json=body | {"result": "eaten"}, headers=headers)).status_code == 422
        depot.link.result = cmd.CommandStatus.REFUSED
        assert (await client.post("/api/v1/work-orders", json={"alert": KEY, "reason": "x"}, headers=headers)).status_code == 409


async def test_a_manager_opens_one_by_hand_and_an_operator_does_not(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        body = {"pack": "E-118/P1", "what": "look at the connector", "due": "2026-12-05", "reason": "smell"}
        operator = await depot.signed_in(Role.OPERATOR)
        headers = {"x-csrf-token": await form_value(operator)}
        assert (await operator.post("/api/v1/work-orders/by-hand", json=body, headers=headers)).status_code == 403
        assert (await operator.post("/api/v1/work-orders/3/reopen", json={"reason": "wrong row"}, headers=headers)).status_code == 200
        sent = depot.link.commands[-1]
        assert isinstance(sent, cmd.ReopenWorkOrder)
        assert (sent.number, sent.target) == (3, "work order 3")
        manager = await depot.signed_in(Role.MANAGER)
        headers = {"x-csrf-token": await form_value(manager)}
        assert (await manager.post("/api/v1/work-orders/by-hand", json=body | {"due": "soon"}, headers=headers)).status_code == 422
        assert (await manager.post("/api/v1/work-orders/by-hand", json=body, headers=headers)).status_code == 200
        sent = depot.link.commands[-1]
        assert isinstance(sent, cmd.OpenWorkByHand)
        assert (sent.pack, sent.detail) == ("E-118/P1", {"what": "look at the connector", "due": "2026-12-05"})


async def test_the_page_shows_orders_alerts_without_one_and_how_often_alerts_were_right(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        manager = await depot.signed_in(Role.MANAGER)
        html = (await manager.get("/work-orders", params={"pack": "E-118/P1"})).text
        check(html)
        words = words_of(html)
        for part in (
            "Alerts without an order", "E-140/P1", "look at the connector of module 2", "no. 3", "measured: as new",
            "1 of 1 (100 %)", "1 of 4 (25 %)", "Nothing: a false alarm",
        ):  # fmt: skip
            assert part in words, part
        assert html.count('value="E-140/P1/internal_short/4"') == 1
        assert 'value="E-103/P1/internal_short/4"' not in html
        assert 'placeholder="VEHICLE/PACK" value="E-118/P1"' in html
        depot.link.shown[WorkOrdersView] = WorkOrdersView(NOW, False, [])
        bare = words_of((await manager.get("/work-orders")).text)
        assert "was changed outside of the program" in bare
        assert "Not known: no order of an alert was ended yet" in bare


async def test_the_forms_of_the_page_reach_the_core(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        manager = await depot.signed_in(Role.MANAGER)
        form = {"csrf": await form_value(manager), "reason": "because"}
        hand = {"pack": "E-118/P1", "what": "look", "due": "2026-12-05"}
        for path, more, kind in (
            ("", {"alert": WAITING}, cmd.OpenWorkOrder),
            ("/by-hand", hand, cmd.OpenWorkByHand),
            ("/4/end", {"result": "nothing_found"}, cmd.EndWorkOrder),
            ("/3/reopen", {}, cmd.ReopenWorkOrder),
        ):
            answer = await manager.post(f"/work-orders{path}", data=form | more)
            assert (answer.status_code, answer.headers["location"]) == (303, "/work-orders")
            assert isinstance(depot.link.commands[-1], kind)
            assert depot.link.commands[-1].reason == "because"
        count = len(depot.link.commands)
        assert (await manager.post("/work-orders/4/end", data=form | {"result": "eaten"})).status_code == 422
        assert (await manager.post("/work-orders/3/reopen", data=form | {"reason": " "})).status_code == 422
        assert len(depot.link.commands) == count
        operator = await depot.signed_in(Role.OPERATOR)
        assert "Open one by hand" not in (await operator.get("/work-orders")).text
        refused = await operator.post("/work-orders/by-hand", data=form | hand | {"csrf": await form_value(operator)})
        assert refused.status_code == 403
