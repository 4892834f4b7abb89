"""Alerts and work orders over REST: who may, as JSON and as a sheet, and what is sent to the core."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from fake_anomalies import KEY
from web_harness import form_value, site

from depot import commands as cmd
from depot.values import Role

pytestmark = pytest.mark.anyio


async def test_everybody_reads_and_a_sheet_has_a_row_for_each(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        viewer = await depot.signed_in(Role.VIEWER)
        answer = (await viewer.get("/api/v1/pack-alerts")).json()
        assert (answer["packs"], [one["key"] for one in answer["alerts"]]) == (12, [KEY])
        sheet = await viewer.get("/api/v1/pack-alerts", params={"format": "csv"})
        assert sheet.headers["content-type"].startswith("text/csv")
        assert [row["key"] for row in csv.DictReader(io.StringIO(sheet.text))] == [KEY]
        orders = (await viewer.get("/api/v1/work-orders")).json()
        assert (orders["intact"], orders["orders"][0]["steps"][0]["actor"]) == (True, "asha")
        rows = list(csv.DictReader(io.StringIO((await viewer.get("/api/v1/work-orders", params={"format": "csv"})).text)))
        assert [(row["number"], row["what"], row["actor"]) for row in rows] == [("4", "opened", "asha")]
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
