"""Departures and registry on the screen: what they show, what their forms and files order, and who may."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest
from fake_depot import NOW
from test_web_pages import check
from web_harness import Site, form_value, site

from controller.departures_view import DeparturesView
from controller.registry_view import DriversView, FleetView, SiteDeclarationView
from depot import commands as cmd
from depot.values import ConnectorId, Role
from web.pages import ROOT, SCREENS

pytestmark = pytest.mark.anyio
DONE = cmd.CommandStatus.DONE


async def send(client: httpx.AsyncClient, path: str, **form: str) -> httpx.Response:
    return await client.post(path, data={"csrf": await form_value(client), **form})


async def upload(client: httpx.AsyncClient, base: str, data: bytes, **form: str) -> httpx.Response:
    files = {"file": ("night.csv", data, "text/csv")}
    return await client.post(f"{base}/import", data={"csrf": await form_value(client), **form}, files=files)


async def apply(client: httpx.AsyncClient, base: str, page: str, **form: str) -> httpx.Response:
    """Press Apply on a preview, as a browser does: multipart."""
    hidden: Mapping[str, str] = dict(re.findall(r'<input type="hidden" name="(data|name|remove)" value="([^"]*)">', page))
    assert hidden["data"]
    fields = {"csrf": await form_value(client), **hidden, "reason": "timetable", **form}
    return await client.post(f"{base}/import/apply", files={name: (None, value) for name, value in fields.items()})


def seen(depot: Site) -> list[cmd.Command]:
    depot.link.commands.sort(key=lambda c: c.target)
    return depot.link.commands


def test_all_symbols_stand_inside_of_the_sprite() -> None:
    sprite = ElementTree.parse(ROOT / "templates" / "sprite.svg").getroot()
    assert all(child.tag == "symbol" or child.tag.endswith("}symbol") for child in sprite)
    assert {symbol for _, _, symbol, _ in SCREENS} <= {(child.get("id") or "").removeprefix("i-") for child in sprite}


# -- departures ---------------------------------------------------------------------------------------------------------------


async def test_the_page_says_who_is_late_why_and_what_would_help(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.OPERATOR)
        html = (await client.get("/departures")).text
        check(html)
        assert "E-103 will be ready at 04:57, due 04:45" in html
        assert "Feeder A leaves: 22 kW" in html
        assert html.index("Serve it before the others") < html.index("Plug it in at CP-08") < html.index("Leave 04:58")
        assert html.index(">E-103</a>") < html.index(">E-109</a>") < html.index(">E-115</a>")  # late, at risk, then by time
        assert "/departures/form?visit=visit+E-103&amp;priority=1" in html
        late = (await client.get("/departures", params={"show": "late"})).text
        assert (">E-103</a>" in late, ">E-115</a>" in late) == (True, False)
        other = (await client.get("/departures", params={"visit": "visit E-109"})).text
        assert "E-109 will be ready at 04:57, due 05:00" in other
        viewer = (await (await depot.signed_in(Role.VIEWER)).get("/departures")).text
        assert "Add departure" not in viewer
        assert "/departures/form" not in viewer


async def test_without_departures_it_says_what_to_do(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.shown[DeparturesView] = DeparturesView(at=NOW, timezone="Asia/Kolkata", rows=[], total=0, on_time=0, at_risk=0, late=0)
        html = (await (await depot.signed_in(Role.OPERATOR)).get("/departures")).text
        check(html)
        assert "No departures are known" in html
        assert "/departures/import" in html


async def test_a_departure_is_added_changed_and_cancelled(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.result = DONE
        client = await depot.signed_in(Role.OPERATOR)
        check((await client.get("/departures/form")).text)
        form = {"vehicle_id": "E-104", "depart_at": "2026-11-22T05:30", "energy_kwh": "90", "connector": "CP-08", "reason": "extra tour"}
        answer = await send(client, "/departures/form", **form)
        assert answer.status_code == 303
        (added,) = depot.link.commands
        assert isinstance(added, cmd.AnnounceVisit)
        assert (added.visit.visit_id, added.visit.connector) == ("timetable/E-104/2026-11-22T00:00Z", ConnectorId("CP-08", 1))
        assert (added.visit.battery_energy_wh, added.visit.max_w, added.actor, added.reason) == (90_000, 120_000, "omar", "extra tour")
        depot.link.commands.clear()
        prefilled = (await client.get("/departures/form", params={"visit": "visit E-103", "priority": "1"})).text
        check(prefilled)
        assert 'name="priority" type="text" autocomplete="off" maxlength="120" value="1"' in prefilled
        await send(
            client, "/departures/form?visit=visit%20E-103", vehicle_id="E-103", depart_at="2026-11-21T04:58", priority="1", reason="late"
        )  # fmt: skip
        (changed,) = depot.link.commands
        assert isinstance(changed, cmd.AnnounceVisit)
        assert (changed.visit.visit_id, changed.visit.priority, changed.visit.battery_energy_wh) == ("visit E-103", 1, 120_000)
        depot.link.commands.clear()
        page = (await client.get("/departures/form", params={"visit": "timetable/V-08/x"})).text
        check(page)
        assert 'action="/departures/cancel?visit=timetable%2FV-08%2Fx"' in page
        await send(client, "/departures/cancel?visit=timetable%2FV-08%2Fx", reason="broken down")
        (cancelled,) = depot.link.commands
        assert isinstance(cancelled, cmd.CancelVisit)
        assert (cancelled.visit_id, cancelled.target) == ("timetable/V-08/x", "V-08")


async def test_a_form_that_is_wrong_says_where_and_keeps_what_was_typed(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.OPERATOR)
        answer = await send(client, "/departures/form", vehicle_id="E-999", depart_at="2026-11-22T05:30", energy_kwh="<b>", reason="")
        assert answer.status_code == 422
        check(answer.text)
        for words in ("is not registered; did you mean E-1", "Say why", 'value="&lt;b&gt;"'):
            assert words in answer.text
        gone = await client.get("/departures/form", params={"visit": "nobody"})
        assert gone.status_code == 404
        assert not depot.link.commands


async def test_a_timetable_is_previewed_then_applied(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.result = DONE
        client = await depot.signed_in(Role.OPERATOR)
        check((await client.get("/departures/import")).text)
        data = b"vehicle_id,depart_at,energy_kwh\nE-104,2026-11-22 05:30,90\nE-105,2026-11-22 05:30,90\n"
        page = await upload(client, "/departures", data)
        assert page.status_code == 200
        check(page.text)
        assert "night.csv: 2 added" in page.text
        assert not depot.link.commands  # a preview changes nothing
        answer = await apply(client, "/departures", page.text)
        assert (answer.status_code, answer.headers["location"]) == (303, "/departures")
        assert [(type(c).__name__, c.target, c.reason) for c in seen(depot)] == [
            ("AnnounceVisit", "E-104", "timetable"),
            ("AnnounceVisit", "E-105", "timetable"),
        ]
        assert "Applied: 2 added." in (await client.get("/departures")).text
        wrong = await upload(client, "/departures", b"vehicle_id,depart_at\nE-1,05:30\n,\n")
        assert wrong.status_code == 422
        assert "Row 2, vehicle_id: vehicle" in wrong.text
        assert '<button class="btn primary" type="submit" data-command>Apply' not in wrong.text
        assert (await upload(client, "/departures", b"")).status_code == 422
        export = await client.get("/departures/export")
        assert export.content.startswith(b"\xef\xbb\xbfvehicle_id,depart_at")
        assert "attachment" in export.headers["content-disposition"]


async def test_large_files_are_taken_up_to_a_size_and_nothing_else_grows(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.OPERATOR)
        rows = b"".join(b"E-104,2026-11-22 %02d:%02d,2026-11-22 00:00,1\n" % (h, m) for h in range(1, 24) for m in range(60))
        big = await upload(client, "/departures", b"vehicle_id,depart_at,arrive_at,energy_kwh\n" + rows * 3)
        assert big.status_code == 422  # read whole: every third of it stands there twice
        assert (await upload(client, "/departures", b"x" * 600_000)).status_code == 422
        assert (await upload(client, "/departures", b"x" * 1_200_000)).status_code == 413
        assert (await send(client, "/departures/form", vehicle_id="x" * 70_000)).status_code == 413


async def test_an_import_that_is_half_refused_says_so(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.result = cmd.CommandStatus.REFUSED
        client = await depot.signed_in(Role.OPERATOR)
        page = await upload(client, "/departures", b"vehicle_id,depart_at,energy_kwh\nE-104,2026-11-22 05:30,90\n")
        await apply(client, "/departures", page.text)
        assert "0 of 1 applied." in (await client.get("/departures")).text
        bad = {"csrf": await form_value(client), "reason": "x", "data": "%%%"}
        assert (await client.post("/departures/import/apply", data=bad)).status_code == 422


# -- registry -----------------------------------------------------------------------------------------------------------------


async def test_lists_of_the_registry_and_who_sees_them(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        viewer, manager = await depot.signed_in(Role.VIEWER), await depot.signed_in(Role.MANAGER)
        assert (await viewer.get("/registry")).headers["location"] == "/registry/vehicles"
        for kind in ("vehicles", "packs", "stations", "feeders"):
            html = (await viewer.get(f"/registry/{kind}")).text
            check(html)
            assert f"/registry/{kind}/form" not in html
        assert (await viewer.get("/registry/drivers")).status_code == 403
        assert "/registry/drivers" not in (await viewer.get("/registry/vehicles")).text
        drivers = (await manager.get("/registry/drivers")).text
        check(drivers)
        assert "Ananya Kulkarni" in drivers
        found = (await manager.get("/registry/vehicles", params={"q": "e-10"})).text
        assert ("E-101" in found, "E-112" in found) == (True, False)
        assert "Nothing found" in (await manager.get("/registry/vehicles", params={"q": "<nobody>"})).text
        stations = (await manager.get("/registry/stations")).text
        check(stations)
        for words in ("wait for the controller&#39;s next start", "follow its cable", "station CP-40", "changes at the next start"):
            assert words in stations or words.replace("&#39;", "'") in stations


async def test_an_empty_registry_says_what_it_is_for(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.shown[FleetView] = FleetView(at=NOW, timezone="Asia/Kolkata", vehicles=[], places=[])
        depot.link.shown[DriversView] = DriversView(drivers=[])
        client = await depot.signed_in(Role.MANAGER)
        for kind in ("vehicles", "packs", "drivers"):
            html = (await client.get(f"/registry/{kind}")).text
            check(html)
            assert f"No {kind} are registered" in html
        assert "No vehicle is registered yet" in (await client.get("/departures/form")).text


async def test_forms_of_the_registry(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.result = DONE
        client = await depot.signed_in(Role.MANAGER)
        entries = (("vehicles", "E-103"), ("packs", "E-103/P1"), ("drivers", "D-101"), ("stations", "CP-06"), ("feeders", "A"))
        for kind, entry in entries:
            for params in ({}, {"entry": entry}):
                answer = await client.get(f"/registry/{kind}/form", params=params)
                assert answer.status_code == 200
                check(answer.text)
            assert (await client.get(f"/registry/{kind}/form", params={"entry": "nobody"})).status_code == 404
        vehicle = {"vehicle_id": "E-103", "model": "Bus", "battery_kwh": "240", "dc_max_kw": "120", "efficiency": "0.92", "reason": "worn"}
        await send(client, "/registry/vehicles/form?entry=E-103", **vehicle)
        (first,) = depot.link.commands
        assert isinstance(first, cmd.ChangeRegistry)
        assert (first.vehicles[0].battery_wh, first.vehicles[0].ac_max_w, first.actor, first.reason) == (240_000, None, "mani", "worn")
        depot.link.commands.clear()
        await send(client, "/registry/drivers/form", driver_id="D-103", name="José", id_tags="T9", reason="new")
        await send(client, "/registry/packs/remove?entry=E-103/P1", reason="swapped")
        await send(client, "/registry/feeders/form?entry=A", feeder_id="A", name="Yard", rating_kw="180", reason="cable")
        await send(client, "/registry/stations/withdraw?entry=CP-06", reason="typo")
        driver, pack, feeder, back = depot.link.commands
        assert isinstance(driver, cmd.ChangeRegistry)
        assert driver.names == {"D-103": "José"}
        assert "José" not in repr(driver.detail)
        assert isinstance(pack, cmd.ChangeRegistry)
        assert str(pack.remove_packs[0]) == "E-103/P1"
        assert isinstance(feeder, cmd.ChangeSite)
        assert feeder.feeders[0].rating_w == 180_000
        assert isinstance(back, cmd.ChangeSite)
        assert back.withdraw_stations == ("CP-06",)
        wrong = await send(client, "/registry/vehicles/form?entry=E-103", vehicle_id="E-103", battery_kwh="many", efficiency="2", reason="")
        assert wrong.status_code == 422
        check(wrong.text)
        assert "is not a number" in wrong.text


async def test_a_stations_form_makes_rows_of_its_connectors(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.result = DONE
        client = await depot.signed_in(Role.MANAGER)
        form = {"station_id": "CP-31", "feeder_id": "C", "bay": "31", "key_hash": "cd" * 32, "reason": "new charger"}
        form |= {"connector-0": "1", "current-0": "AC", "rated_kw-0": "22", "phases-0": "1 2 3"}
        form |= {"connector-1": "2", "current-1": "AC", "rated_kw-1": "7.4", "phases-1": "2"}
        assert (await send(client, "/registry/stations/form", **form)).status_code == 303
        (order,) = depot.link.commands
        assert isinstance(order, cmd.ChangeSite)
        assert [(c.connector, c.rated_w, c.phases) for c in order.stations[0].connectors] == [(1, 22_000, (1, 2, 3)), (2, 7_400, (2,))]
        assert order.key_hashes == {"CP-31": "cd" * 32}
        wrong = await send(client, "/registry/stations/form", **(form | {"phases-1": "9", "feeder_id": "Z"}))
        assert wrong.status_code == 422
        check(wrong.text)
        assert "Write the phases as 1" in wrong.text or "write the phases as 1" in wrong.text


async def test_files_of_the_registry_and_a_core_that_has_none(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.result = DONE
        client = await depot.signed_in(Role.MANAGER)
        for kind in ("vehicles", "packs", "drivers", "stations", "feeders"):
            check((await client.get(f"/registry/{kind}/import")).text)
            data = (await client.get(f"/registry/{kind}/export")).content
            page = await upload(client, f"/registry/{kind}", data)
            assert "Nothing to change" in page.text, kind
        page = await upload(client, "/registry/vehicles", b"vehicle_id,battery_kwh\nE-101,260\n", remove="yes")
        assert "20 that the file does not hold go" in page.text
        await apply(client, "/registry/vehicles", page.text)
        assert [len(c.vehicles) + len(c.remove_vehicles) for c in depot.link.commands if isinstance(c, cmd.ChangeRegistry)] == [1, 20]
        operator = await depot.signed_in(Role.OPERATOR)
        assert (await operator.get("/registry/vehicles/import")).status_code == 403
        assert (await upload(operator, "/registry/vehicles", b"x")).status_code == 403
        depot.link.shown.pop(SiteDeclarationView)
        assert (await client.get("/registry/stations")).status_code == 503


async def test_what_a_preview_carries_is_the_file_itself(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        data = b'vehicle_id,model\r\nE-101,"a ""quoted"", <b>, 12 m"\n'
        page = await upload(client, "/registry/vehicles", data)
        check(page.text)
        assert base64.b64encode(data).decode() in page.text
        assert "<b>, 12" not in page.text
