"""The pages of device models: what they show, what their forms order, what they refuse before anything is sent."""

from __future__ import annotations

from pathlib import Path

import fake_device_models
import pytest
from web_harness import form_value, site

from controller.device_model.views import DeviceModelView, VariablesView
from depot import commands as cmd
from depot.device_model import BaseReport, Variable
from depot.values import Role
from depot.wanted import WantedScope
from web.roles import Permission

pytestmark = pytest.mark.anyio
URL = "/stations/CP-03/device-model"


async def test_the_page_asks_the_core_for_one_page_of_what_matches(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        page = (await client.get(URL, params={"text": "inter", "component": "TxCtrlr", "offset": "100"})).text
        asked = [args for kind, args in depot.link.asked if kind is DeviceModelView]
        assert asked == [{"station_id": "CP-03", "text": "inter", "component": "TxCtrlr", "offset": "100", "limit": "100"}]
        for words in ("1 to 7 of 1900", "600 after its next boot", "not shown", "Repair 1", "UpperThreshold", "T17 fan", "Further"):
            assert words in page, words
        assert (await client.get(URL, params={"offset": "x"})).status_code == 200


async def test_a_station_without_a_model_says_so(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        empty = {"total": 0, "shown": [], "components": [], "drift": [], "monitors": [], "events": [], "report": None, "told_at": None}
        client = await depot.signed_in(Role.MANAGER)
        for version, words in (("1.6", "No device model"), ("2.0.1", "Nothing told yet")):
            depot.link.shown[DeviceModelView] = fake_device_models.page(version=version, **empty)
            assert words in (await client.get(URL)).text


async def test_forms_follow_the_kind_of_the_variable_and_refuse_what_it_cannot_be(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.result = cmd.CommandStatus.DONE
        depot.link.answers[cmd.SetVariables] = {"results": [{"component": "A", "variable": "B", "status": "RebootRequired"}]}
        client = await depot.signed_in(Role.MANAGER)
        csrf = await form_value(client)
        interval = {"component": "SampledDataCtrlr", "variable": "TxUpdatedInterval"}
        refused = await client.post(f"{URL}/set", data=interval | {"csrf": csrf, "value": "soon", "reason": "r"})
        assert (refused.status_code, "A number" in refused.text) == (422, True)
        assert not depot.link.commands
        done = await client.post(f"{URL}/set", data=interval | {"csrf": csrf, "value": "30", "reason": "less load"})
        assert done.status_code == 303
        points = {"component": "TxCtrlr", "variable": "TxStartPoint"}
        assert 'type="checkbox"' in (await client.get(f"{URL}/set", params=points)).text
        await client.post(f"{URL}/set", data=points | {"csrf": csrf, "value": ["EVConnected", "Authorized"], "reason": "r"})
        sent = [command.settings[0] for command in depot.link.commands if isinstance(command, cmd.SetVariables)]
        assert [(str(s.variable), s.value) for s in sent] == [
            ("SampledDataCtrlr.TxUpdatedInterval", "30"), ("TxCtrlr.TxStartPoint", "EVConnected,Authorized"),
        ]  # fmt: skip
        secret = {"component": "SecurityCtrlr", "variable": "BasicAuthPassword"}
        assert 'type="password"' in (await client.get(f"{URL}/set", params=secret)).text
        assert (await client.get(f"{URL}/set", params={"component": "Nothing", "variable": "No"})).status_code == 404
        assert (await client.get(f"{URL}/set")).status_code == 422


async def test_reading_repairing_and_wanting_are_orders_with_a_reason(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.result = cmd.CommandStatus.DONE
        client = await depot.signed_in(Role.MANAGER)
        csrf = await form_value(client)
        assert (await client.post(f"{URL}/read", data={"csrf": csrf})).status_code == 422
        for path in ("read", "repair"):
            assert (await client.post(f"{URL}/{path}", data={"csrf": csrf, "reason": "round"})).status_code == 303
        want = {"scope": "model", "name": "Exide/D60", "component": "EVSE", "variable": "Enabled", "evse": "1", "value": "true"}
        assert (await client.post("/drift/wanted", data=want | {"csrf": csrf, "reason": "r"})).status_code == 303
        assert (await client.post("/drift/unwanted", data=want | {"csrf": csrf, "reason": "r"})).status_code == 303
        bad = await client.post("/drift/wanted", data=want | {"csrf": csrf, "reason": "r", "evse": "x"})
        assert (bad.status_code, "It was not done" in bad.text) == (422, True)
        report, repair, wanted, gone = depot.link.commands
        assert isinstance(report, cmd.AskReport)
        assert report.base is BaseReport.FULL
        assert isinstance(repair, cmd.RepairDrift)
        assert isinstance(wanted, cmd.ChangeWantedVariables)
        assert isinstance(gone, cmd.ChangeWantedVariables)
        assert (wanted.scope, wanted.name, wanted.wanted[0].variable) == (
            WantedScope.MODEL,
            "Exide/D60",
            Variable("EVSE", "Enabled", evse=1),
        )
        assert gone.removed == (Variable("EVSE", "Enabled", evse=1),)
        assert "What differs" in (await client.get("/drift")).text


async def test_the_api_says_what_it_was_asked(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.result = cmd.CommandStatus.DONE
        secret = depot.users.add_token("scada", [Permission.STATIONS])
        client = depot.client(authorization=f"Bearer {secret}")
        found = (await client.get("/api/v1/variables", params={"station_id": "CP-03", "text": "x"})).json()
        assert found["variables"][0]["component"] == "AuthCtrlr"
        assert (VariablesView, {"station_id": "CP-03", "text": "x", "cursor": "0", "limit": "100"}) in depot.link.asked
        body = {"station_id": "CP-03", "variables": [{"component": "EVSE", "evse": 1, "variable": "Enabled", "value": "true"}]}
        assert (await client.post("/api/v1/variables/set", json=body)).status_code == 200
        command = depot.link.commands[-1]
        assert isinstance(command, cmd.SetVariables)
        assert command.settings[0].variable == Variable("EVSE", "Enabled", evse=1)
        assert "true" not in str(command.detail)
