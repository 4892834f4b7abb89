"""The page Safety in a real browser: a trip turns up by itself on an open page, and a person resets it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from fake_emergency import evacuating
from fake_safety import calm, tripped, with_trip
from playwright.async_api import expect
from test_web_browser import CHROMIUM, browser, served, sit_down

from controller.evacuation_view import EvacuationView
from controller.safety_view import SafetyView
from depot import commands as cmd
from depot.values import Role

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt install chromium)"),
]


async def test_a_trip_turns_up_on_open_pages_and_is_reset_by_a_safety_officer(tmp_path: Path) -> None:
    async with served(tmp_path, people={"sana": Role.SAFETY_OFFICER}) as depot, browser() as chromium:
        context = await chromium.new_context(viewport={"width": 1440, "height": 900})
        seat = await sit_down(context, depot, "sana")
        page = seat.page
        banner = page.locator(".banner.trip")
        await expect(banner).to_have_count(0)
        depot.view = with_trip(depot.view)
        depot.link.shown[SafetyView] = tripped(depot.view.at, against=None)
        await expect(banner).to_contain_text("Battery trip: E-103 on CP-03", timeout=30_000)
        await banner.get_by_role("link", name="Safety").click()
        await page.wait_for_url(f"{depot.url}/safety")
        await page.get_by_role("button", name="Reset trip").first.click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("The cause has gone")
        await dialog.get_by_label("Reason").fill("cell replaced")
        await dialog.get_by_role("button", name="Reset trip").click()
        await expect(page.locator(".toast")).to_contain_text("Reset the trip of E-103")
        (command,) = depot.link.commands
        assert isinstance(command, cmd.ResetPack)
        assert (command.actor, command.role) == ("sana", Role.SAFETY_OFFICER)
        depot.view = msgspec.structs.replace(depot.view, trips=[])
        depot.link.shown[SafetyView] = calm(depot.view.at)
        await expect(banner).to_have_count(0, timeout=30_000)
        await expect(page.get_by_text("Nothing is tripped")).to_be_visible(timeout=30_000)
        assert seat.complaints == []


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
async def test_nothing_of_the_page_lies_outside_of_the_window(tmp_path: Path, size: tuple[int, int]) -> None:
    async with served(tmp_path) as depot, browser() as chromium:
        depot.view = with_trip(depot.view, 5)
        depot.link.shown[SafetyView] = tripped(depot.view.at)
        context = await chromium.new_context(viewport={"width": size[0], "height": size[1]})
        seat = await sit_down(context, depot)
        await seat.page.goto(f"{depot.url}/safety")
        assert await seat.page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert seat.complaints == []


async def test_a_battery_is_found_in_the_strip_and_shown_with_everything(tmp_path: Path) -> None:
    async with served(tmp_path) as depot, browser() as chromium:
        context = await chromium.new_context(viewport={"width": 1440, "height": 900})
        seat = await sit_down(context, depot)
        page = seat.page
        await page.goto(f"{depot.url}/safety")
        await page.get_by_role("link", name="By vehicle").click()
        await page.wait_for_url(f"{depot.url}/safety?sort=vehicle")
        await page.locator(".pk", has_text="E-101").click()
        await page.wait_for_url(f"{depot.url}/safety/packs/E-101/P1")
        await expect(page.get_by_role("heading", name="E-101")).to_be_visible()
        await expect(page.get_by_role("img", name="15 of 16 sensors have a value")).to_be_visible()
        await expect(page.get_by_role("img", name="192 cells between")).to_be_visible()
        assert seat.complaints == []


async def test_a_missing_person_is_seen_and_a_drill_begun(tmp_path: Path) -> None:
    async with served(tmp_path, people={"sana": Role.SAFETY_OFFICER}) as depot, browser() as chromium:
        depot.link.shown[EvacuationView] = evacuating(depot.view.at)
        context = await chromium.new_context(viewport={"width": 390, "height": 844})
        seat = await sit_down(context, depot, "sana")
        page = seat.page
        await page.goto(f"{depot.url}/safety")
        missing = page.get_by_role("row", name="V. More")
        await expect(missing).to_contain_text("not seen")
        await missing.get_by_role("button", name="V. More was seen safe").click()
        await expect(page.locator(".toast")).to_contain_text("S-03: safe")
        await page.get_by_role("button", name="Start drill").first.click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Reason").fill("weekly, all were told")
        await dialog.get_by_role("button", name="Start drill").click()
        await expect(page.locator(".toast")).to_contain_text("Start the drill")
        seen, drill = depot.link.commands
        assert isinstance(seen, cmd.CheckIn)
        assert (seen.person_id, seen.presence.value, seen.actor) == ("S-03", "safe", "sana")
        assert isinstance(drill, cmd.StartDrill)
        assert not drill.contactors
        assert seat.complaints == []


async def test_who_may_not_reset_is_offered_none_and_refused(tmp_path: Path) -> None:
    async with served(tmp_path, people={"omar": Role.OPERATOR}) as depot, browser() as chromium:
        depot.link.shown[SafetyView] = tripped(depot.view.at, against=None)
        context = await chromium.new_context(viewport={"width": 1440, "height": 900})
        seat = await sit_down(context, depot, "omar")
        await seat.page.goto(f"{depot.url}/safety")
        await expect(seat.page.get_by_text("You are signed in as operator").first).to_be_visible()
        await expect(seat.page.get_by_role("button", name="Reset trip")).to_have_count(0)
        answer = await context.request.post(
            f"{depot.url}/safety/packs/E-103/P1/reset", form={"reason": "mine", "csrf": "x"}, headers={"origin": depot.url}
        )
        assert answer.status == 403
        assert depot.link.commands == []
