"""A real core, real OCPP and a real web process in a real browser; only vehicles and stations are simulated."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from benchmarks.limit_drop import full_depot
from benchmarks.real_depot import open_depot
from controller.app.people import open_people
from controller.clock import SystemClock
from controller.settings import Settings
from depot.values import Role
from simulator.demo_day import demo_spec
from web.users import Users

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery staple"
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.apart,
    pytest.mark.timeout(150),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt install chromium)"),
]
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]
PATIENCE_MS = 40_000


@contextmanager
def web_process(config: Path, settings: Settings) -> Iterator[str]:
    """The web beside the core, with one manager; its address."""
    with closing(open_people(settings)) as store:
        Users(store, SystemClock(), settings.depot.id).add("mani", Role.MANAGER, PASSWORD)
    command = [sys.executable, "-m", "controller.app.web_process", str(config)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{settings.web.port + settings.port_offset}"
    finally:
        process.terminate()
        process.wait(20)


async def sign_in(page: Page, address: str) -> None:
    for _ in range(100):
        try:
            await page.goto(f"{address}/")
            break
        except Exception:  # noqa: BLE001  # the web is still starting
            await asyncio.sleep(0.2)
    await page.get_by_label("Name").fill("mani")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"{address}/")


async def order(page: Page, what: str, reason: str) -> None:
    """Press the button, give a reason, confirm."""
    await page.locator(f'[data-open="{what}"]').click(timeout=PATIENCE_MS)
    await page.locator(f"#{what}-r").fill(reason)
    await page.locator(f"#{what} button[type=submit]").click()


async def test_a_tile_changes_by_itself_and_a_session_is_stopped_and_started_again() -> None:
    day = full_depot(demo_spec(), start=datetime.now(UTC) + timedelta(seconds=3), duration_s=900)
    async with open_depot(day, speed=1, seed=1, personas={}) as depot, async_playwright() as play:
        with web_process(depot.config, depot.settings) as address:
            chromium = await play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
            page = await chromium.new_page()
            await sign_in(page, address)
            tile = page.locator('[data-scope="CP-005/1"]')
            await expect(tile.locator("use").first).to_have_attribute("href", "#i-available", timeout=PATIENCE_MS)
            playing = asyncio.create_task(depot.world.run())
            power = tile.locator('[data-live="text:power"]')
            await expect(power).to_have_text("17", timeout=PATIENCE_MS)  # nobody reloaded: it came over the stream

            await tile.click()
            await order(page, "stop", "driver asked")
            await expect(page.get_by_text("effective: the session on CP-005/1 ended").first).to_be_visible(timeout=PATIENCE_MS)
            assert depot.world.stations["CP-005"].transaction_id(1) is None
            await order(page, "start", "driver came back")
            await expect(page.get_by_text("effective: the session on CP-005/1 began").first).to_be_visible(timeout=PATIENCE_MS)
            assert depot.world.stations["CP-005"].transaction_id(1) is not None
            playing.cancel()
            await chromium.close()
