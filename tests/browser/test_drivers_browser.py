"""A guest with a phone of 360 px, from the QR code to the invoice: real processes, the mock gateway, a simulated charger; nothing is wider
than the screen, in English and in Hindi."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Error, Page, expect
from test_web_browser import CHROMIUM, browser

from benchmarks.real_depot import ROOT, open_depot
from controller.drive_keys import drive_key
from controller.payments_view import PaymentsView
from depot.values import ConnectorId
from simulator.day import Day, Stay
from simulator.demo_day import demo_spec
from simulator.payer import Payer
from tests.paid_depot_kit import MONEY, SECRETS
from web.driver_links import PlaceLinks

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.apart,
    pytest.mark.browser,
    pytest.mark.timeout(400),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt install chromium)"),
]

PHONE = "+919000000042"
PATIENCE_MS = 120_000.0


def visitor() -> Day:
    """One vehicle that plugs in at once and that nobody announced."""
    spec = demo_spec()
    first = spec.stations[0]
    connector = first.connectors[0]
    stay = Stay(
        "VISITOR", ConnectorId(first.station_id, 1), 0.5, 3000.0, 3000.0, 60_000, 60_000, connector.rated_w, connector.min_w, 80_000, 0.2,
        0.95, len(connector.phases) or 3,
    )  # fmt: skip
    return Day("a guest", datetime.now(UTC), 4000, spec, (stay,), base_w=((0.0, 30_000),), price=((0.0, 7.0),), currency="INR")


@contextlib.contextmanager
def process(name: str, config: Path, folder: Path) -> Iterator[None]:
    with (folder / f"{name}.log").open("ab") as log:
        child = subprocess.Popen([sys.executable, "-m", f"controller.app.{name}_process", str(config)], cwd=ROOT, stdout=log, stderr=log)
    try:
        yield
    finally:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(10)
        if child.poll() is None:
            child.kill()
            child.wait()


async def answers(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(PATIENCE_MS / 1000):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                await client.get(url)
                return
            await asyncio.sleep(0.1)


def holding(words: str, *places: Path) -> list[Path]:
    """Which of these databases, or of a folder's logs, hold these words in plain."""
    files = [file for place in places for file in (place.glob("*.log") if place.is_dir() else [place])]
    return [file for file in files if words.encode() in file.read_bytes()]


async def fits(page: Page) -> None:
    """Nothing is wider than the screen. A page that loads itself again in between is looked at once more."""
    for _ in range(20):
        with contextlib.suppress(Error):
            await page.wait_for_load_state("load")
            assert await page.evaluate("document.body ? document.documentElement.scrollWidth - innerWidth : 1") <= 0, page.url
            return
    raise AssertionError(f"{page.url} never stood still")


async def test_a_guest_from_the_code_to_the_invoice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    async with contextlib.AsyncExitStack() as rim:
        depot = await rim.enter_async_context(
            open_depot(visitor(), speed=1, seed=1, personas={}, extra=MONEY + "\n[drive]\n", announce=False, folder=tmp_path)
        )
        for name in ("gateway", "payments", "drive"):
            rim.enter_context(process(name, depot.config, tmp_path))
        gateway, site = f"http://127.0.0.1:{depot.settings.mock_gateway_port}", depot.settings.drive_url
        await answers(f"{gateway}/app")
        await answers(f"{site}/drive")
        payer = await rim.enter_async_context(Payer(gateway, contact=PHONE, tag=""))
        playing = asyncio.create_task(depot.world.run())
        rim.callback(playing.cancel)
        chromium = await rim.enter_async_context(browser())
        context = await chromium.new_context(viewport={"width": 360, "height": 780}, has_touch=True, java_script_enabled=True)
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        key = depot.day.stays[0].connector

        # 1. the code at the charger; somebody who changes it gets nowhere
        address = PlaceLinks(site, drive_key(depot.settings)).address(key.station_id, key.connector)
        guessed = await page.goto(address[:-1] + ("a" if address[-1] != "a" else "b"))
        assert guessed is not None
        assert guessed.status == 404
        await page.goto(address)
        await expect(page.get_by_role("heading", name="Plug in")).to_be_visible()
        await expect(page.locator(".price .big")).to_have_text("₹17.11")
        await fits(page)

        # 2. a mandate, approved with the PIN in the UPI app; Hindi in between
        await page.get_by_role("link", name="Continue to payment").click()
        await expect(page.get_by_role("heading", name="Pay by UPI")).to_be_visible()
        await fits(page)
        await page.get_by_role("link", name="हिन्दी").click()
        await expect(page.get_by_label("मोबाइल नंबर")).to_be_visible()
        await fits(page)
        await page.get_by_role("link", name="English").click()
        await page.get_by_label("Mobile number").fill(PHONE.removeprefix("+91"))
        await page.get_by_label("E-mail").fill("guest@example.org")
        await page.get_by_role("button", name="Continue").click()
        intent = page.get_by_role("link", name="Open UPI app")
        await expect(intent).to_have_attribute("href", re.compile(r"upi://mandate\?"))
        await fits(page)
        await payer.approve_mandate()

        # 3. the page goes on by itself; start, energy and cost, stop
        await page.get_by_role("button", name="Start charging").click(timeout=PATIENCE_MS)
        stop = page.get_by_role("button", name="Stop charging")
        await expect(stop).to_be_visible(timeout=PATIENCE_MS)
        await fits(page)
        async with asyncio.timeout(PATIENCE_MS / 1000):
            begin = depot.world.plant.register_wh(key)
            while depot.world.plant.register_wh(key) - begin < 150:  # noqa: ASYNC110  # the plant tells nobody
                await asyncio.sleep(0.2)
        await expect(page.locator(".pair b").first).not_to_have_text("₹0.00", timeout=PATIENCE_MS)
        await stop.click()

        # 4., 5. the bill, and the invoice as page and PDF
        await expect(page.get_by_role("heading", name="Invoice")).to_be_visible(timeout=PATIENCE_MS)
        await fits(page)
        number = await page.locator(".inv b").first.inner_text()
        assert re.fullmatch(r"\d{4}/000001", number)
        at = page.url
        pdf = await context.request.get(f"{at}/invoice.pdf")
        assert (await pdf.body()).startswith(b"%PDF")
        await page.get_by_role("link", name="Invoice as page").click()
        await expect(page.get_by_text(number).first).to_be_visible()
        await fits(page)
        for path in ("/drive/sessions", "/drive/mandate", "/drive/privacy"):
            await page.goto(site + path)
            await fits(page)

        # the money: one debit over the bill's total; the phone's number stands nowhere in plain
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while True:
                view = await depot.link.show(PaymentsView)
                if view is not None and view.bills and view.bills[0].stage == "captured":
                    break
                await asyncio.sleep(0.5)
        assert await payer.debited_paise() == [view.bills[0].total_paise]
        assert (view.ledger.sum_paise, view.ledger.owed_paise) == (0, 0)
        assert holding(PHONE.removeprefix("+91"), depot.settings.payments_database, depot.settings.database, tmp_path) == []

        # somebody else's phone sees nothing of it
        stranger = await (await chromium.new_context()).new_page()
        answer = await stranger.goto(at)
        assert answer is not None
        assert answer.status == 404
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
