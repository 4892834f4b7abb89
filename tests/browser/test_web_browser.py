"""The pages in a real browser, on a real server: sign in, see a tile change, see silence as silence."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from fake_depot import FakeLink, later, sample
from fake_kit import fill_kit
from fake_registry import fill
from fake_stations import fill as fill_stations
from playwright.async_api import Browser, BrowserContext, Error, Page, async_playwright, expect
from web_harness import PASSWORD

import web
from controller.clock import SystemClock
from controller.readmodel import NowView, TileState
from depot import commands as cmd
from depot.values import Role
from storage import Store
from web.serve import server
from web.settings import WebSettings
from web.users import Users

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt install chromium)"),
]
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]
WIDTHS = [(1440, 900), (1366, 768), (390, 844)]


@dataclass
class Depot:
    """A served depot whose clock the test ticks."""

    url: str
    link: FakeLink
    view: NowView = field(default_factory=sample)
    ticking: bool = True

    def change(self, connector: str, **changes: object) -> None:
        tiles = [msgspec.structs.replace(t, **changes) if t.connector == connector else t for t in self.view.tiles]
        self.view = msgspec.structs.replace(self.view, tiles=tiles)

    async def tick(self) -> None:
        while True:
            if self.ticking:
                self.view = later(self.view)
                self.link.publish(self.view)
            await asyncio.sleep(0.25)


@dataclass
class Seat:
    """A browser window with what it complained about."""

    page: Page
    complaints: list[str]


@asynccontextmanager
async def served(folder: Path, *, people: Mapping[str, Role] | None = None) -> AsyncIterator[Depot]:
    with Store.open(folder / "people.db") as store, socket.socket() as sock:
        store.migrate([web])
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        users = Users(store, SystemClock(), "kothrud")
        for name, role in (people or {"mani": Role.MANAGER, "vera": Role.VIEWER}).items():
            users.add(name, role, PASSWORD)
        depot = Depot(f"http://127.0.0.1:{port}", FakeLink())
        depot.link.publish(depot.view)
        fill(depot.link)
        fill_kit(depot.link)
        fill_stations(depot.link)
        serving = server(WebSettings(depot_id="kothrud", port=port), depot.link, store=store, clock=SystemClock())
        async with asyncio.TaskGroup() as group:
            running = group.create_task(serving.serve(sockets=[sock]))
            ticks = group.create_task(depot.tick())
            try:
                yield depot
            finally:
                ticks.cancel()
                serving.should_exit = True
                await running


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as play:
        chromium = await play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield chromium
        await chromium.close()


async def sit_down(context: BrowserContext, depot: Depot, name: str = "mani") -> Seat:
    """Open a window, watch everything that it says and asks for, and sign in."""
    page = await context.new_page()
    seat = Seat(page, [])
    page.on("console", lambda m: seat.complaints.append(f"{m.type}: {m.text}") if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: seat.complaints.append(f"script: {error}"))
    page.on("request", lambda r: None if r.url.startswith(depot.url) else seat.complaints.append(f"foreign: {r.url}"))
    await page.goto(f"{depot.url}/")
    if "/sign-in" in page.url:
        await page.get_by_label("Name").fill(name)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(f"{depot.url}/")
    return seat


async def test_a_second_person_approves_in_a_dialog_that_the_stream_does_not_close(tmp_path: Path) -> None:
    async with served(tmp_path) as depot, browser() as chromium:
        context = await chromium.new_context(viewport={"width": 1440, "height": 900})
        seat = await sit_down(context, depot)
        page = seat.page
        await page.goto(f"{depot.url}/alarms")
        await expect(page.get_by_role("heading", name="Alarms")).to_be_visible()
        await page.wait_for_timeout(700)  # ticks come, and the page is fetched again under us
        await page.get_by_role("button", name="Approve").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_be_visible()
        await page.wait_for_timeout(1200)
        await expect(dialog).to_be_visible()
        await dialog.get_by_label("Reason").fill("I heard it, too")
        await dialog.get_by_role("button", name="Approve").click()
        await expect(page.locator(".toast")).to_contain_text("Approve: Lift manual limit")
        (command,) = depot.link.commands
        assert isinstance(command, cmd.ApproveCommand)
        assert (command.approval_id, command.actor, command.reason) == ("0199-a", "mani", "I heard it, too")
        assert seat.complaints == []


async def test_a_person_signs_in_and_sees_the_depot_live(tmp_path: Path) -> None:
    async with served(tmp_path) as depot, browser() as chromium:
        context = await chromium.new_context(viewport={"width": 1440, "height": 900})
        seat = await sit_down(context, depot)
        page = seat.page
        tile = page.locator('[data-scope="CP-01/1"]')
        await expect(tile.locator('[data-live="text:power"]')).to_have_text("44")
        depot.change("CP-01/1", power_w=17_400, state=TileState.LATE, state_text="Late", margin_min=-4)
        await expect(tile.locator('[data-live="text:power"]')).to_have_text("17")
        await expect(tile).to_have_class("tile alarm")
        await expect(tile.locator("use").first).to_have_attribute("href", "#i-late")
        await expect(page.locator('[data-chip="needs"] b')).to_have_text("6")

        await page.locator('[data-chip="finished"]').click()
        await expect(page.locator("[data-tile]:visible")).to_have_count(2)
        await page.locator('[data-chip="all"]').click()

        depot.ticking = False
        await expect(page.locator("html")).to_have_attribute("data-stale", "", timeout=8000)
        await expect(page.get_by_text("No data since")).to_be_visible()
        await page.get_by_role("link", name="Set limit").click()
        await expect(page.locator("#setlimit button[type=submit]")).to_be_disabled()
        depot.ticking = True
        await expect(page.locator("html")).not_to_have_attribute("data-stale", "")
        await expect(page.locator("#setlimit button[type=submit]")).to_be_enabled()
        assert seat.complaints == []


async def test_a_session_is_stopped_with_a_reason_and_its_progress_shown(tmp_path: Path) -> None:
    async with served(tmp_path) as depot, browser() as chromium:
        seat = await sit_down(await chromium.new_context(viewport={"width": 1366, "height": 768}), depot)
        page = seat.page
        await page.locator('[data-scope="CP-03/1"]').click()
        await expect(page.get_by_role("heading", name="Why only 22 kW?")).to_be_visible()
        depot.change("CP-03/1", power_w=19_300)
        await expect(page.locator('[data-part="why"] .result .v')).to_contain_text("19.3")
        await page.locator('[data-open="stop"]').click()
        await expect(page.get_by_text("is not started again for this visit")).to_be_visible()
        await page.locator("#stop-r").fill("driver asked")
        await page.locator("#stop button[type=submit]").click()
        await expect(page.locator(".toast").get_by_text("audit 51903")).to_be_visible()
        (sent,) = depot.link.commands
        assert isinstance(sent, cmd.StopCharging)
        assert (sent.actor, sent.reason) == ("mani", "driver asked")
        assert seat.complaints == []


async def test_two_windows_share_one_stream_and_the_second_goes_on_alone(tmp_path: Path) -> None:
    async with served(tmp_path) as depot, browser() as chromium:
        context = await chromium.new_context()
        first = await sit_down(context, depot)
        second = await sit_down(context, depot)
        streams: list[str] = []
        second.page.on("request", lambda r: streams.append(r.url) if r.url.endswith("/live") else None)
        power = second.page.locator('[data-scope="CP-02/1"] [data-live="text:power"]')
        depot.change("CP-02/1", power_w=11_000)
        await expect(power).to_have_text("11")
        assert streams == []
        await first.page.close()
        depot.change("CP-02/1", power_w=12_000)
        await expect(power).to_have_text("12", timeout=8000)
        assert len(streams) == 1
        assert second.complaints == []


async def test_every_page_fits_every_screen_in_both_themes(tmp_path: Path) -> None:
    async with served(tmp_path) as depot, browser() as chromium:
        for theme in ("dark", "light"):
            context = await chromium.new_context()
            await context.add_cookies([{"name": "chargeyard_theme", "value": theme, "url": depot.url}])
            seat = await sit_down(context, depot)
            for width, height in WIDTHS if theme == "dark" else WIDTHS[1:2]:
                await seat.page.set_viewport_size({"width": width, "height": height})
                for path in ("/", "/chargers", "/chargers/CP-03/1", "/chargers/CP-16/1", "/grid", "/system", "/account"):
                    await seat.page.goto(f"{depot.url}{path}")
                    assert await seat.page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
                    small = await seat.page.evaluate(
                        """() => [...document.querySelectorAll("main a, main button, main input, nav a")]
                            .filter((e) => e.checkVisibility() && !e.closest("p.small, dialog:not([open])") && e.type !== "hidden")
                            .map((e) => [e.textContent.trim() || e.id, e.getBoundingClientRect()])
                            .filter(([, r]) => r.width && r.height < 23.5).map(([t, r]) => `${t} ${r.height}`)"""
                    )
                    assert small == [], (path, width)
            assert seat.complaints == []
            await context.close()


async def test_a_session_that_was_ended_elsewhere_leads_back_to_the_gate(tmp_path: Path) -> None:
    async with served(tmp_path) as depot, browser() as chromium:
        context = await chromium.new_context()
        seat = await sit_down(context, depot, "vera")
        await context.clear_cookies()
        with contextlib.suppress(Error):  # the page may go there by itself in this very moment, which ends the reload
            await seat.page.reload()
        await expect(seat.page.get_by_role("heading", name="Sign in")).to_be_visible()
