"""Stations in a real browser: one is accepted from quarantine, one is reset by the console's form, the log is searched."""

from __future__ import annotations

from pathlib import Path

import fake_stations
import msgspec
import pytest
from playwright.async_api import expect
from test_web_browser import Seat, browser, pytestmark, served, sit_down  # noqa: F401  # the marks of all browser tests

from controller.stations_view import MessagesView
from depot import commands as cmd

PASSWORD = "c0ffee00c0ffee00c0ffee00"
WIDTHS = [(1366, 768), (390, 844)]
PAGES = ["/stations", "/stations/CP-03", "/stations/accept?station_id=CP-77", "/stations/CP-03/console?action=SetChargingProfile"]
PAGES += ["/messages", "/firmware", "/drift", "/stations/CP-03/device-model", "/display-messages"]


async def test_a_station_is_accepted_from_quarantine_and_its_password_is_shown_once(tmp_path: Path) -> None:
    async with served(tmp_path) as depot, browser() as chromium:
        fake_stations.fill(depot.link)
        depot.link.result = cmd.CommandStatus.DONE
        depot.link.answers[cmd.AddStation] = {"station_id": "CP-77", "password": PASSWORD}
        seat = await sit_down(await chromium.new_context(), depot)
        page = seat.page
        await page.goto(f"{depot.url}/chargers")
        await page.get_by_role("link", name="Look").click()
        await page.get_by_role("row", name="CP-77").get_by_role("link", name="Accept").click()
        await expect(page.get_by_role("textbox", name="Station", exact=True)).to_have_value("CP-77")
        await page.get_by_label("Feeder").select_option("A")
        await page.get_by_label("Connectors").fill("2")
        await page.get_by_label("Rated power, kW").fill("22")
        await page.get_by_label("Reason").fill("new charger")
        await page.get_by_role("button", name="Accept").click()
        await expect(page.get_by_label("Password")).to_have_value(PASSWORD)
        await page.get_by_role("button", name="Copy").click()
        await expect(page.get_by_role("button", name="Copied")).to_be_visible()
        command = depot.link.commands[-1]
        assert isinstance(command, cmd.AddStation)
        assert [c.rated_w for c in command.station.connectors] == [22_000, 22_000]
        await page.goto(f"{depot.url}/stations/CP-03")
        assert PASSWORD not in await page.content()
        assert not seat.complaints


async def test_a_reset_leaves_by_the_consoles_form(tmp_path: Path) -> None:
    async with served(tmp_path) as depot, browser() as chromium:
        fake_stations.fill(depot.link)
        depot.link.result = cmd.CommandStatus.DONE
        seat = await sit_down(await chromium.new_context(), depot)
        page = seat.page
        await page.goto(f"{depot.url}/stations/CP-03")
        await page.get_by_role("link", name="Call console").click()
        await page.get_by_role("link", name="Reset").click()
        await page.get_by_label("type").select_option("Soft")
        await page.get_by_role("button", name="As raw JSON").click()
        await expect(page.get_by_label("Payload")).to_have_value('{\n  "type": "Soft"\n}')
        await page.get_by_role("button", name="As a form").click()
        await page.get_by_label("Reason").fill("it hangs")
        await page.get_by_role("button", name="Send Reset").click()
        answer = page.get_by_role("status", name="Answer")
        await expect(answer).to_contain_text("Answered")
        await expect(answer).to_contain_text('"status": "Accepted"')
        command = depot.link.commands[-1]
        assert isinstance(command, cmd.CallStation)
        assert (command.action, command.payload, command.reason) == ("Reset", {"type": "Soft"}, "it hangs")
        await page.get_by_text("All others").click()
        await page.get_by_role("link", name="GetDiagnostics").click()
        await expect(page.get_by_label("location")).to_be_visible()
        await page.goto(f"{depot.url}/stations/CP-03/console?action=GetConfiguration")
        await page.get_by_role("button", name="Add to key").click()
        await page.get_by_label("key 1").fill("HeartbeatInterval")
        await page.get_by_label("Reason").fill("to know")
        await page.get_by_role("button", name="Send GetConfiguration").click()
        await expect(answer).to_be_visible()
        asked = depot.link.commands[-1]
        assert isinstance(asked, cmd.CallStation)
        assert asked.payload == {"key": ["HeartbeatInterval"]}
        assert not seat.complaints


async def test_the_log_is_searched_and_goes_on_by_itself(tmp_path: Path) -> None:
    async with served(tmp_path) as depot, browser() as chromium:
        fake_stations.fill(depot.link)
        seat = await sit_down(await chromium.new_context(), depot)
        page = seat.page
        await page.goto(f"{depot.url}/messages")
        await page.get_by_label("Text").fill("exide")
        await page.get_by_label("Direction").select_option("from the station")
        await page.get_by_role("button", name="Search").click()
        await expect(page.get_by_role("row", name="BootNotification")).to_be_visible()
        asked = next(args for kind, args in reversed(depot.link.asked) if kind is MessagesView)
        assert (asked["text"], asked["direction"]) == ("exide", "in")
        known = depot.link.shown[MessagesView]
        newer = fake_stations.message("Heartbeat", "{}")
        depot.link.shown[MessagesView] = msgspec.structs.replace(known, messages=[newer])
        await expect(page.get_by_role("row", name="Heartbeat")).to_be_visible()
        assert not seat.complaints


async def test_a_message_is_seen_before_it_is_sent(tmp_path: Path) -> None:
    async with served(tmp_path) as depot, browser() as chromium:
        fake_stations.fill(depot.link)
        depot.link.result = cmd.CommandStatus.DONE
        seat = await sit_down(await chromium.new_context(), depot)
        page = seat.page
        await page.goto(f"{depot.url}/firmware")
        await page.get_by_role("link", name="Messages to drivers").click()
        await page.get_by_role("button", name="Write a message").click()
        await page.get_by_label("Text").fill("Bay 4 is closed")
        await expect(page.get_by_label("As the display shows it")).to_have_text("Bay 4 is closed")
        await expect(page.get_by_text("15 of 1024")).to_be_visible()
        await page.get_by_label("CP-05").check()
        await page.get_by_role("dialog").get_by_label("Reason").fill("works")
        await page.get_by_role("button", name="Show", exact=True).click()
        await page.wait_for_url(f"{depot.url}/display-messages")
        command = depot.link.commands[-1]
        assert isinstance(command, cmd.ShowMessage)
        assert (command.station_ids, command.texts[0].content) == (("CP-05",), "Bay 4 is closed")
        assert not seat.complaints


@pytest.mark.parametrize(("width", "height"), WIDTHS)
async def test_the_pages_fit_and_their_controls_have_names(tmp_path: Path, width: int, height: int) -> None:
    async with served(tmp_path) as depot, browser() as chromium:
        fake_stations.fill(depot.link)
        seat = await sit_down(await chromium.new_context(viewport={"width": width, "height": height}), depot)
        for path in PAGES:
            await seat.page.goto(depot.url + path)
            assert await seat.page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert await seat.page.locator("h1").count() == 1
            nameless = await seat.page.evaluate(
                """[...document.querySelectorAll("main input:not([type=hidden]), main select, main textarea")]
                   .filter((el) => !el.labels.length).map((el) => el.name)"""
            )
            assert nameless == [], path
        assert not seat.complaints
