"""Batteries in a real browser: packs are searched and ordered, a test is ordered, a work order lives, an assumption changes;
nobody's browser complains and nothing is wider than a phone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from fake_anomalies import KEY, WAITING, fill_anomalies
from fake_health import NOW, fill_health
from fake_passport_views import fill_passports
from fake_reference import fill_reference
from playwright.async_api import Page, expect
from test_web_browser import CHROMIUM, Depot, Seat, browser, served, sit_down

from controller.anomalies_view import WorkOrderRow, WorkOrdersView, WorkStep
from controller.assumptions_view import AssumptionsView
from controller.reference_view import ReferenceTestView
from depot import commands as cmd
from depot.value_assumptions import AssumedNumber

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt install chromium)"),
]
PATIENCE_MS = 60_000
PHONE, DESK = 390, 1440
TALL = 1800  # so that what a command says at the bottom covers no button


@asynccontextmanager
async def seat_at(folder: Path, width: int) -> AsyncIterator[tuple[Depot, Seat]]:
    """A manager before a depot that knows its batteries; afterwards nothing was complained about."""
    async with served(folder) as depot, browser() as chromium:
        fill_health(depot.link)
        fill_anomalies(depot.link)
        fill_reference(depot.link)
        fill_passports(depot.link)
        context = await chromium.new_context(viewport={"width": width, "height": TALL}, has_touch=width == PHONE)
        context.set_default_timeout(PATIENCE_MS)
        seat = await sit_down(context, depot)
        yield depot, seat
        assert seat.complaints == []


async def fits(page: Page) -> None:
    """No page and no open dialog is wider than its window."""
    assert await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    wide = "[...document.querySelectorAll('dialog[open]')].filter((d) => d.scrollWidth > d.clientWidth + 1).map((d) => d.id)"
    assert await page.evaluate(wide) == []


async def vehicles(page: Page) -> list[str]:
    return await page.get_by_role("region", name="Health of all packs").locator("tbody th a").all_inner_texts()


async def test_packs_are_searched_and_ordered_and_every_page_of_a_pack_fits_a_phone(tmp_path: Path) -> None:
    async with seat_at(tmp_path, PHONE) as (depot, seat):
        page = seat.page
        await page.goto(f"{depot.url}/batteries")
        assert await vehicles(page) == ["E-103", "E-109", "E-118", "E-127"]
        await page.get_by_label("Order").select_option("longest not estimated first")
        await page.get_by_role("search").get_by_role("button", name="Show").click()
        await page.wait_for_url("**/batteries?*order=age*")
        assert await vehicles(page) == ["E-118", "E-109", "E-103", "E-127"]
        await expect(page.get_by_label("Order")).to_have_value("age")
        await page.get_by_label("Vehicle, chemistry or grade").fill("e-10")
        await page.get_by_label("Vehicle, chemistry or grade").press("Enter")
        await expect(page.get_by_text("2 of 4 shown")).to_be_visible(timeout=PATIENCE_MS)
        assert await vehicles(page) == ["E-109", "E-103"]
        await page.get_by_label("Vehicle, chemistry or grade").fill("no such pack")
        await page.get_by_role("search").get_by_role("button", name="Show").click()
        await expect(page.get_by_text("Nothing fits")).to_be_visible(timeout=PATIENCE_MS)
        for path in (
            "/batteries",
            "/batteries/E-103/P1",
            "/batteries/E-127/P1",
            "/batteries/E-103/P1/twin",
            "/batteries/assumptions",
            "/work-orders",
            "/safety/packs/E-103/P1/passport",
        ):
            answer = await page.goto(depot.url + path)
            assert answer is not None
            assert answer.status == 200, path
            await fits(page)


async def test_a_reference_test_is_ordered_with_a_reason_and_called_off(tmp_path: Path) -> None:
    async with seat_at(tmp_path, PHONE) as (depot, seat):
        page, link = seat.page, depot.link
        await page.goto(f"{depot.url}/batteries/E-127/P1")
        await page.get_by_role("button", name="Order a test").click()
        dialog = page.get_by_role("dialog", name="Test the battery of E-127?")
        await expect(dialog).to_contain_text("some hours in which it charges for nothing else")
        await fits(page)
        await dialog.get_by_role("button", name="Order the test").click()
        await expect(dialog).to_be_visible()  # a browser sends no form without its reason
        assert await dialog.get_by_label("Reason").evaluate("field => field.validity.valueMissing")
        await dialog.get_by_role("button", name="Cancel").click()
        await expect(dialog).to_be_hidden()
        assert link.commands == []
        await page.get_by_role("button", name="Order a test").click()
        await dialog.get_by_label("Begin", exact=True).select_option("Within a day")
        await dialog.get_by_label("At a charge of at most").fill("40")
        await dialog.get_by_label("Reason").fill("before the warranty ends")
        waits = ReferenceTestView(
            at=NOW, vehicle_id="E-127", able=False, why_not="one is open", phase="waiting", words="The test waits for a stay.",
            ordered_by="mani", ordered_at=NOW, reason="before the warranty ends", until=NOW + timedelta(days=1), most_soc=0.4, pulses=3,
        )  # fmt: skip
        link.made[ReferenceTestView] = lambda _: waits
        await dialog.get_by_role("button", name="Order the test").click()
        await expect(page.locator(".toast")).to_contain_text("Reference test of E-127", timeout=PATIENCE_MS)
        await expect(page.get_by_text("The test waits for a stay.")).to_be_visible(timeout=PATIENCE_MS)
        await page.get_by_role("button", name="Call off").click()
        dialog = page.get_by_role("dialog", name="Call off the test of E-127?")
        await dialog.get_by_label("Reason").fill("the vehicle is needed")
        await dialog.get_by_role("button", name="Call off").click()
        await expect(page.locator(".toast")).to_contain_text("Call off the reference test", timeout=PATIENCE_MS)
        ordered, off = link.commands
        assert isinstance(ordered, cmd.OrderReferenceTest)
        assert (ordered.vehicle_id, ordered.most_soc, ordered.actor, ordered.reason) == ("E-127", 0.4, "mani", "before the warranty ends")
        assert isinstance(off, cmd.CallOffReferenceTest)
        assert (off.vehicle_id, off.reason) == ("E-127", "the vehicle is needed")


async def test_an_alert_becomes_a_work_order_that_is_ended_and_opened_again(tmp_path: Path) -> None:
    async with seat_at(tmp_path, DESK) as (depot, seat):
        page, link = seat.page, depot.link
        found = link.shown[WorkOrdersView]
        assert isinstance(found, WorkOrdersView)
        older = list(found.orders)

        def step(state: str, what: str) -> None:
            made = WorkOrderRow(
                6, WAITING, "E-140/P1", "internal_short", "2026-11-29", "a cell loses charge by itself", "", state,
                [WorkStep("2026-11-22T04:00:00.000Z", "mani", what, "as the test says")],
            )  # fmt: skip
            link.shown[WorkOrdersView] = msgspec.structs.replace(found, orders=[made, *older])

        await page.goto(f"{depot.url}/work-orders")
        await page.get_by_role("region", name="Alerts without an order").get_by_role("button", name="Make an order").click()
        dialog = page.get_by_role("dialog", name="Make a work order for E-140/P1?")
        await expect(dialog).to_contain_text("work on it by 2026-11-29")
        await dialog.get_by_label("Reason").fill("leak grows")
        step("open", "opened")
        await dialog.get_by_role("button", name="Make the order").click()
        await expect(page.get_by_text("No alert holds now that has none.")).to_be_visible(timeout=PATIENCE_MS)
        opened = page.get_by_role("region", name="Open orders").get_by_role("row", name="E-140/P1")
        await opened.get_by_role("button", name="What was found").click()
        dialog = page.get_by_role("dialog", name="End order 6 on E-140/P1?")
        await dialog.get_by_label("What was found").select_option("nothing_found")
        await dialog.get_by_label("Reason").fill("measured: as new")
        step("nothing_found", "nothing_found")
        await dialog.get_by_role("button", name="End it").click()
        ended = page.get_by_role("region", name="Ended orders").get_by_role("row", name="E-140/P1")
        await expect(ended).to_contain_text("nothing found by mani", timeout=PATIENCE_MS)
        await ended.get_by_role("button", name="Open again").click()
        dialog = page.get_by_role("dialog", name="Open order 6 again?")
        await dialog.get_by_label("Reason").fill("wrong row")
        step("open", "reopened")
        await dialog.get_by_role("button", name="Open again").click()
        await expect(opened).to_contain_text("reopened by mani", timeout=PATIENCE_MS)
        first, end, again = link.commands
        assert isinstance(first, cmd.OpenWorkOrder)
        assert (first.alert, first.actor, first.reason) == (WAITING, "mani", "leak grows")
        assert isinstance(end, cmd.EndWorkOrder)
        assert (end.number, end.result, end.reason) == (6, "nothing_found", "measured: as new")
        assert isinstance(again, cmd.ReopenWorkOrder)
        assert (again.number, again.reason) == (6, "wrong row")
        assert KEY in {one.key for one in older}


async def test_an_assumption_is_changed_and_set_back(tmp_path: Path) -> None:
    async with seat_at(tmp_path, PHONE) as (depot, seat):
        page, link = seat.page, depot.link
        shown = link.shown[AssumptionsView]
        assert isinstance(shown, AssumptionsView)
        (row,) = [one for one in shown.rows if one.name == "numbers.repack_per_kwh"]
        await page.goto(f"{depot.url}/batteries/assumptions")
        await page.get_by_role("button", name=f"Change: {row.words}", exact=False).click()
        dialog = page.get_by_role("dialog")
        await fits(page)
        await dialog.get_by_label("Least").fill("1,000")
        await dialog.get_by_label("Most likely").fill("2000")
        await dialog.get_by_label("Most", exact=True).fill("3000")
        await dialog.get_by_role("button", name="Reckon with this").click()
        await expect(dialog).to_be_visible()  # neither source nor reason yet
        assert link.commands == []
        await dialog.get_by_label("Where it is from").fill("offer of 3 May")
        await dialog.get_by_label("Reason").fill("a real offer")
        changed = msgspec.structs.replace(
            row, low=1000.0, mid=2000.0, high=3000.0, source="offer of 3 May", origin="person", before=(500.0, 1200.0, 2500.0),
            changed_by="mani", changed_at=NOW, reason="a real offer",
        )  # fmt: skip
        rows = [changed if one.name == row.name else one for one in shown.rows]
        link.shown[AssumptionsView] = msgspec.structs.replace(shown, rows=rows)
        await dialog.get_by_role("button", name="Reckon with this").click()
        await expect(page.get_by_role("row", name="1,000 · 2,000 · 3,000")).to_be_visible(timeout=PATIENCE_MS)
        await page.get_by_role("button", name=f"Set back: {row.words}", exact=False).click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("500 · 1,200 · 2,500")
        await dialog.get_by_label("Reason").fill("it fell through")
        link.shown[AssumptionsView] = shown
        await dialog.get_by_role("button", name="Set back").click()
        await expect(page.get_by_role("row", name="1,000 · 2,000 · 3,000")).to_have_count(0, timeout=PATIENCE_MS)
        told = [(one.name, one.number, one.reason) for one in link.commands if isinstance(one, cmd.ChangeValueAssumption)]
        assert told == [
            (row.name, AssumedNumber(1000, 2000, 3000, "offer of 3 May"), "a real offer"),
            (row.name, None, "it fell through"),
        ]
