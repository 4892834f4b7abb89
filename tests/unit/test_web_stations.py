"""The pages of stations: quarantine and accepting, registration, the call console, the message log, firmware and logs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
from fake_stations import fill, station
from test_web_pages import check
from web_harness import Site, form_value, site

from controller.files.shelf import Shelf
from controller.stations_view import MessagesView, StationsView
from depot import commands as cmd
from depot.events import Registration
from depot.files import TransferKind
from depot.values import Role
from web.stations_page import parse_station

pytestmark = pytest.mark.anyio

PASSWORD = "c0ffee00c0ffee00c0ffee00"
ACCEPT = {
    "station_id": "CP-77", "known": "yes", "feeder_id": "A", "connectors": "2", "rated_kw": "22", "current": "AC", "phases": "1 2 3",
    "bay_id": "7", "registration": "accepted", "reason": "new charger in bay 7",
}  # fmt: skip


@asynccontextmanager
async def pages(folder: Path, role: Role = Role.MANAGER) -> AsyncIterator[tuple[Site, httpx.AsyncClient, str]]:
    async with site(folder, files=folder / "files", image_bytes=100_000) as depot:
        fill(depot.link)
        depot.link.result = cmd.CommandStatus.DONE
        client = await depot.signed_in(role)
        yield depot, client, await form_value(client)


async def test_who_waits_in_quarantine_is_seen_on_both_lists(tmp_path: Path) -> None:
    async with pages(tmp_path) as (_, client, _csrf):
        assert "1 station waits in quarantine" in (await client.get("/chargers")).text
        listed = (await client.get("/stations")).text
        assert "CP-77" in listed
        assert "/stations/accept?station_id=CP-77" in listed


async def test_accepting_a_station_adds_it_and_shows_its_password_this_once(tmp_path: Path) -> None:
    async with pages(tmp_path) as (depot, client, csrf):
        form = (await client.get("/stations/accept?station_id=CP-77")).text
        assert 'value="CP-77"' in form
        depot.link.answers[cmd.AddStation] = {"station_id": "CP-77", "password": PASSWORD}
        answer = await client.post("/stations/accept", data={**ACCEPT, "csrf": csrf})
        assert answer.status_code == 200, answer.text
        command = depot.link.commands[-1]
        assert isinstance(command, cmd.AddStation)
        spec = command.station
        assert [(c.connector, c.rated_w, c.phases) for c in spec.connectors] == [(1, 22_000, (1, 2, 3)), (2, 22_000, (1, 2, 3))]
        assert (spec.feeder_id, spec.bay_id, command.registration, command.password) == ("A", "7", Registration.ACCEPTED, "")
        assert PASSWORD in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert PASSWORD not in str(answer.headers)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("station_id", "a b"), ("station_id", ""), ("feeder_id", ""), ("connectors", "0"), ("connectors", "99"), ("connectors", "²"),
        ("rated_kw", ""), ("rated_kw", "-1"), ("rated_kw", "nan"), ("rated_kw", "inf"), ("rated_kw", "1e30"), ("current", "XY"),
        ("phases", "1 4"), ("phases", "x"), ("registration", "rejected"), ("reason", ""),
    ],
)  # fmt: skip
def test_a_form_that_cannot_be_says_where(field: str, value: str) -> None:
    found, errors = parse_station(ACCEPT | {field: value})
    assert found is None
    assert errors


async def test_what_was_typed_stays_when_it_cannot_be(tmp_path: Path) -> None:
    async with pages(tmp_path) as (depot, client, csrf):
        answer = await client.post("/stations/accept", data={**ACCEPT, "rated_kw": "much", "csrf": csrf})
        assert answer.status_code == 422
        assert 'value="much"' in answer.text
        assert not depot.link.commands
        depot.link.result = cmd.CommandStatus.REFUSED
        refused = await client.post("/stations/accept", data={**ACCEPT, "csrf": csrf})
        assert refused.status_code == 409
        assert "Feeder B is full." in refused.text


async def test_a_stations_page_says_what_it_is_and_can(tmp_path: Path) -> None:
    async with pages(tmp_path) as (depot, client, _):
        page = (await client.get("/stations/CP-03")).text
        for words in ("Exide D60", "TxProfile, TxDefaultProfile", "Falls back to its default", "extra key", "Security profile", "22,000"):
            assert words in page
        assert (await client.get("/stations/NOBODY")).status_code == 404
        held = station(registration="pending")
        depot.link.shown[StationsView] = msgspec.structs.replace(depot.link.shown[StationsView], stations=[held])
        page = (await client.get("/stations/CP-03")).text
        assert "On hold" in page
        assert 'data-open="accept"' in page
        assert 'data-open="hold"' not in page


async def test_registration_is_said_with_a_reason(tmp_path: Path) -> None:
    async with pages(tmp_path) as (depot, client, csrf):
        form = {"csrf": csrf, "registration": "rejected", "reason": "stolen"}
        assert (await client.post("/stations/CP-03/registration", data=form)).status_code == 303
        command = depot.link.commands[-1]
        assert isinstance(command, cmd.AdmitStation)
        assert (command.station_id, command.registration, command.reason) == ("CP-03", Registration.REJECTED, "stolen")
        assert (await client.post("/stations/CP-03/registration", data=form | {"reason": " "})).status_code == 422
        assert (await client.post("/stations/CP-03/registration", data=form | {"registration": "maybe"})).status_code == 422
        assert (await client.post("/stations/NOBODY/registration", data=form)).status_code == 404
        assert len(depot.link.commands) == 1


async def test_the_console_makes_a_form_of_the_schema_and_shows_the_answer(tmp_path: Path) -> None:
    async with pages(tmp_path) as (depot, client, csrf):
        page = (await client.get("/stations/CP-03/console?action=Reset")).text
        assert re.search(r'<select id="f.type".*?<option>Hard</option><option>Soft</option>', page)
        assert "UpdateFirmware" in page
        answer = await client.post(
            "/stations/CP-03/console", data={"csrf": csrf, "action": "Reset", "f.type": "Soft", "reason": "hangs", "do": "send"}
        )
        assert answer.status_code == 200
        command = depot.link.commands[-1]
        assert isinstance(command, cmd.CallStation)
        assert (command.station_id, command.action, command.payload, command.reason) == ("CP-03", "Reset", {"type": "Soft"}, "hangs")
        assert "Answered" in answer.text
        assert "&#34;status&#34;: &#34;Accepted&#34;" in answer.text


async def test_the_console_takes_json_as_it_stands(tmp_path: Path) -> None:
    async with pages(tmp_path) as (depot, client, csrf):
        base = {"csrf": csrf, "action": "Reset", "reason": "hangs"}
        turned = await client.post("/stations/CP-03/console", data=base | {"f.type": "Hard", "do": "json"})
        assert "&#34;type&#34;: &#34;Hard&#34;" in turned.text
        assert not depot.link.commands, "nothing is sent by turning"
        for bad in ("{", "[1]", "nonsense", "[" * 100_000):
            answer = await client.post("/stations/CP-03/console", data=base | {"mode": "json", "json": bad[:60_000], "do": "send"})
            assert answer.status_code in (413, 422)
        await client.post("/stations/CP-03/console", data=base | {"mode": "json", "json": '{"type": "Wrong", "x": 1}', "do": "send"})
        command = depot.link.commands[-1]
        assert isinstance(command, cmd.CallStation)
        assert command.payload == {"type": "Wrong", "x": 1}  # the core's to refuse, with the norm's words
        back = await client.post("/stations/CP-03/console", data=base | {"mode": "json", "json": '{"type": "Soft"}', "do": "form"})
        assert "<option selected>Soft</option>" in back.text


async def test_items_of_a_list_are_added_without_asking_the_station(tmp_path: Path) -> None:
    async with pages(tmp_path) as (depot, client, csrf):
        form = {"csrf": csrf, "action": "GetConfiguration", "do": "add:f.key"}
        page = (await client.post("/stations/CP-03/console", data=form)).text
        assert 'name="f.key.0"' in page
        page = (await client.post("/stations/CP-03/console", data=form | {"n.f.key": "1", "f.key.0": "kept"})).text
        assert 'value="kept"' in page
        assert 'name="f.key.1"' in page
        assert not depot.link.commands


async def test_what_the_console_cannot_send_it_says(tmp_path: Path) -> None:
    async with pages(tmp_path) as (depot, client, csrf):
        form = {"csrf": csrf, "action": "Reset", "do": "send"}
        page = await client.post("/stations/CP-03/console", data=form)
        assert page.status_code == 422
        assert page.text.count('class="err"') == 2  # type, reason
        assert (await client.get("/stations/CP-03/console?action=Explode")).status_code == 404
        assert (await client.post("/stations/CP-03/console", data={"csrf": csrf, "do": "send"})).status_code == 422
        depot.link.result = cmd.CommandStatus.REFUSED
        refused = await client.post("/stations/CP-03/console", data=form | {"f.type": "Soft", "reason": "x"})
        assert "Not sent" in refused.text
        assert "Feeder B is full." in refused.text


async def test_the_message_log_is_searched_by_the_core(tmp_path: Path) -> None:
    async with pages(tmp_path) as (depot, client, _):
        page = (await client.get("/messages?text=exide&action=BootNotification&direction=in&station_id=CP-03")).text
        assert depot.link.asked[-2][0] is MessagesView or depot.link.asked[-1][0] is MessagesView
        asked = next(args for kind, args in reversed(depot.link.asked) if kind is MessagesView)
        assert asked == {"text": "exide", "action": "BootNotification", "direction": "in", "station_id": "CP-03", "limit": "200"}
        assert "chargePointVendor" in page
        assert "/api/v1/messages/export?station_id=CP-03&amp;text=exide" in page
        exported = await client.get("/api/v1/messages/export?station_id=CP-03&text=exide")
        assert exported.headers["content-type"].startswith("application/x-ndjson")
        depot.link.shown[MessagesView] = msgspec.structs.replace(depot.link.shown[MessagesView], messages=[])
        assert "No kept message matches." in (await client.get("/messages?text=x")).text


async def test_firmware_is_brought_ordered_and_removed(tmp_path: Path) -> None:
    async with pages(tmp_path) as (depot, client, csrf):
        page = (await client.get("/firmware")).text
        for words in ("5.0 MB of 14.3 MB", "InstallationFailed", "by its maker", "diag.zip"):
            assert words in page
        form = {"csrf": csrf, "version": "1.4", "reason": "recall"}
        assert (await client.post("/firmware", data=form, files={"file": ("fw.bin", b"bytes")})).status_code == 303
        added = depot.link.commands[-1]
        assert isinstance(added, cmd.AddFirmware)
        assert Shelf(tmp_path / "files").image(added.image.sha256) is not None
        for bad in ({"version": ""}, {"signature": "QUJD"}):
            assert (await client.post("/firmware", data=form | bad, files={"file": ("fw.bin", b"other")})).status_code == 422
        large = await client.post("/firmware", data=form, files={"file": ("fw.bin", b"x" * 120_000)})
        assert large.status_code == 422
        known = "ab" * 8
        order = {"csrf": csrf, "image_id": known, "station": ["CP-03", "CP-05"], "at": "02:00", "reason": "recall"}
        assert (await client.post("/firmware/updates", data=order)).status_code == 303
        command = depot.link.commands[-1]
        assert isinstance(command, cmd.UpdateFirmware)
        assert (command.station_ids, command.retrieve_at is not None) == (("CP-03", "CP-05"), True)
        assert (await client.post("/firmware/updates", data={"csrf": csrf, "reason": "x"})).status_code == 422
        assert (await client.post("/firmware/updates", data=order | {"at": "soon"})).status_code == 422
        assert (await client.post(f"/firmware/{known}/remove", data={"csrf": csrf, "reason": "old"})).status_code == 303
        log = {"csrf": csrf, "station_id": "CP-03", "kind": "security", "reason": "odd"}
        assert (await client.post("/logs", data=log)).status_code == 303
        fetched = depot.link.commands[-1]
        assert isinstance(fetched, cmd.FetchLog)
        assert fetched.kind is TransferKind.SECURITY


async def test_an_operator_sees_stations_and_changes_nothing(tmp_path: Path) -> None:
    async with pages(tmp_path, Role.OPERATOR) as (depot, client, csrf):
        page = (await client.get("/stations/CP-03")).text
        assert "Admitting it needs a manager." in page
        assert "data-open" not in page
        for path in ("/messages", "/firmware", "/stations/accept", "/stations/CP-03/console"):
            assert (await client.get(path)).status_code == 403
        answer = await client.post("/stations/CP-03/registration", data={"csrf": csrf, "registration": "rejected", "reason": "x"})
        assert answer.status_code == 403
        assert not depot.link.commands


@pytest.mark.parametrize(
    "path",
    [
        "/chargers", "/stations/accept", "/stations/CP-03/console", "/stations/CP-03/console?action=SendLocalList", "/messages",
        "/stations/CP-03/console?action=Reset&mode=json", "/firmware", "/firmware?station_id=CP-03",
    ],
)  # fmt: skip
async def test_every_page_is_sound(tmp_path: Path, path: str) -> None:
    async with pages(tmp_path) as (_, client, _csrf):
        answer = await client.get(path)
        assert answer.status_code == 200
        for link in {link for link in check(answer.text).links if link.startswith("/")}:
            found = await client.get(link)
            assert found.status_code in (200, 308) or "/file?" in link, link
