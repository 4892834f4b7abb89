"""The pages of the plan in a real browser: they fit, come alive by themselves, and a column leads into its slot."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from fake_plan import fill_plan, plan, without_plan
from playwright.async_api import expect
from test_web_browser import CHROMIUM, WIDTHS, browser, served, sit_down

from controller.plan_view import PlanView

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt install chromium)"),
]


@pytest.mark.parametrize("size", WIDTHS)
async def test_the_pages_of_the_plan_fit_and_complain_of_nothing(tmp_path: Path, size: tuple[int, int]) -> None:
    async with served(tmp_path) as depot, browser() as chromium:
        fill_plan(depot.link)
        context = await chromium.new_context(viewport={"width": size[0], "height": size[1]})
        seat = await sit_down(context, depot)
        for path in ("/plan", "/plan?slot=2026-11-21T02:00&vehicle=E-103&by=feeder", "/plan/what-if?question=q-1", "/plan/policy"):
            await seat.page.goto(depot.url + path)
            await expect(seat.page.locator("h1")).to_be_visible()
            assert await seat.page.evaluate("document.documentElement.scrollWidth") <= size[0], path
        assert seat.complaints == []


async def test_a_plan_that_comes_is_shown_without_a_reload_and_a_column_leads_into_its_slot(tmp_path: Path) -> None:
    async with served(tmp_path) as depot, browser() as chromium:
        fill_plan(depot.link)
        depot.link.made[PlanView] = lambda _args: without_plan(waiting=3)
        context = await chromium.new_context(viewport={"width": 1440, "height": 900})
        page = (await sit_down(context, depot)).page
        await page.goto(f"{depot.url}/plan")
        await expect(page.get_by_text("the first plan is being made")).to_be_visible()
        later = msgspec.structs.replace(plan({}), at=depot.view.at)
        depot.link.made[PlanView] = lambda _args: later
        await expect(page.get_by_role("rowheader", name="E-103")).to_be_visible(timeout=20_000)
        await page.locator('[data-part="picture"] a[aria-label="Why at 02:00"]').first.click(position={"x": 4, "y": 150})
        await expect(page.get_by_role("heading", name="02:00 to 02:15 explained")).to_be_visible()
