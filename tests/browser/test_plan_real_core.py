"""The page Plan on a real core: planned by the real planner, explained, asked what if, a policy picked off the frontier."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page, async_playwright, expect
from test_real_depot import ARGS, CHROMIUM, sign_in, web_process

from benchmarks.real_depot import open_depot
from simulator.day import Day
from simulator.demo_day import demo_day

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.apart,
    pytest.mark.timeout(400),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt install chromium)"),
]
PATIENCE_MS = 60_000


def evening() -> Day:
    """The demo's vehicles, all of them announced; E-104 asks for more than its charger can do in time."""
    day = demo_day(start=datetime.now(UTC) - timedelta(minutes=2), seed=1)
    stays = tuple(
        replace(stay, stated_depart_s=stay.arrive_s + 3600, depart_s=stay.arrive_s + 3600) if stay.vehicle_id == "E-104" else stay
        for stay in day.stays
    )
    return replace(day, stays=stays)


async def fits(page: Page) -> None:
    """Nothing is wider than the window."""
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


async def test_the_plan_is_shown_explained_compared_and_its_policy_picked() -> None:
    async with open_depot(evening(), speed=1, seed=1, personas={}) as depot, async_playwright() as play:
        with web_process(depot.config, depot.settings) as address:
            chromium = await play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
            page = await chromium.new_page()
            page.set_default_timeout(PATIENCE_MS)
            expect.set_options(timeout=PATIENCE_MS)
            await sign_in(page, address)

            await page.goto(f"{address}/plan")
            await expect(page.get_by_text("policy: cheapest")).to_be_visible()
            await expect(page.get_by_role("rowheader", name="E-101")).to_be_visible()
            await expect(page.get_by_role("heading", name="Who leaves short")).to_be_visible()
            await expect(page.locator('[data-part="short"]')).to_contain_text("E-104 leaves")
            await expect(page.get_by_text("uncontrolled ₹")).to_be_visible()  # explained, without a reload
            await expect(page.locator('[data-part="why"]')).not_to_contain_text("is being explained:")
            await expect(page.locator('[data-part="short"]')).to_contain_text("later")  # a remedy that was tried
            await fits(page)

            slots = page.locator('[data-part="picture"] a[aria-label^="Why at"]')
            for n in range(1, await slots.count()):  # the hour in which it is cheap depends on when this test runs
                await slots.nth(n).click(position={"x": 4, "y": 150})
                await expect(page.get_by_role("heading", name="explained")).to_be_visible()
                await expect(page.locator('[data-part="why"]')).not_to_contain_text("is being computed")
                if await page.locator('[data-part="why"] table', has_text="a kWh costs").count():  # not only who is short of time
                    break
            await expect(page.locator('[data-part="why"] table')).to_contain_text("a kWh costs")

            await page.goto(f"{address}/plan/what-if")
            await page.get_by_label("Amount").fill("-150")
            await page.get_by_role("button", name="Compare").click()
            await expect(page.locator('[data-part="answer"]')).to_contain_text("With the change")
            await expect(page.locator('[data-part="answer"]')).to_contain_text("Highest demand")

            await page.goto(f"{address}/plan/policy")
            await page.get_by_role("button", name="Compute").click()
            await expect(page.get_by_role("button", name="Compute again")).to_be_visible(timeout=150_000)
            await page.set_viewport_size({"width": 390, "height": 844})
            await fits(page)
            await page.locator('[data-open^="point-"]').first.click()
            dialog = page.locator("dialog[open]")
            await dialog.locator("textarea, input[name=reason]").fill("older batteries")
            await dialog.get_by_role("button", name="Plan by this").click()
            await expect(page.get_by_text("plans are made by the bill").first).to_be_visible()
            await page.goto(f"{address}/plan")
            await expect(page.get_by_text("policy: the bill")).to_be_visible()
            await chromium.close()
