"""Departures and registry in a real browser: a timetable is dropped in, looked at, applied; nobody's browser complains."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect
from test_web_browser import CHROMIUM, browser, served, sit_down

from controller.departures_view import DeparturesView
from depot import commands as cmd

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt install chromium)"),
]
NIGHT = b"vehicle_id,depart_at,energy_kwh\nE-104,2026-11-21 07:45,130\nV-08,2026-11-22 05:30,30\n"


async def test_a_timetable_is_looked_at_then_applied(tmp_path: Path) -> None:
    async with served(tmp_path) as depot, browser() as chromium:
        depot.link.result = cmd.CommandStatus.DONE
        context = await chromium.new_context(viewport={"width": 1440, "height": 900})
        seat = await sit_down(context, depot)
        page = seat.page
        await page.goto(f"{depot.url}/departures")
        await expect(page.get_by_role("heading", name="E-103 will be ready at 04:57, due 04:45")).to_be_visible(timeout=30_000)
        await page.get_by_role("link", name="Import").click()
        await page.get_by_label("File, CSV or JSON").set_input_files(
            files=[{"name": "night.csv", "mimeType": "text/csv", "buffer": NIGHT}],
        )
        await page.get_by_role("button", name="Show what it would change").click()
        await expect(page.get_by_role("heading", name="night.csv: 1 added, 1 changed")).to_be_visible(timeout=30_000)
        assert depot.link.commands == []
        await page.get_by_label("Reason").fill("timetable of week 47")
        await page.get_by_role("button", name="Apply").click()
        await expect(page.get_by_text("Applied: 1 added, 1 changed.")).to_be_visible(timeout=30_000)
        assert {c.target for c in depot.link.commands} == {"E-104", "V-08"}
        assert seat.complaints == []


async def test_a_departure_is_changed_from_its_remedy_and_the_page_moves_by_itself(tmp_path: Path) -> None:
    async with served(tmp_path) as depot, browser() as chromium:
        depot.link.result = cmd.CommandStatus.DONE
        context = await chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
        seat = await sit_down(context, depot)
        page = seat.page
        await page.goto(f"{depot.url}/departures")
        await page.get_by_role("row", name="Serve it before the others").get_by_role("link", name="Change").click()
        await expect(page.get_by_label("Priority")).to_have_value("1", timeout=30_000)
        await expect(page.get_by_label("Leaves")).to_have_value("2026-11-21T04:45")
        await page.get_by_label("Reason").fill("first departure")
        await page.get_by_role("button", name="Change").click()
        await expect(page.get_by_text("Nothing was to be changed")).to_have_count(0)
        await expect(page).to_have_url(f"{depot.url}/departures", timeout=30_000)
        (command,) = depot.link.commands
        assert isinstance(command, cmd.AnnounceVisit)
        assert command.visit.priority == 1
        view = depot.link.shown[DeparturesView]
        assert isinstance(view, DeparturesView)
        calm = [row for row in view.rows if row.standing not in ("late", "at_risk")]
        depot.link.shown[DeparturesView] = DeparturesView(
            at=view.at, timezone=view.timezone, rows=calm, total=len(calm), on_time=len(calm), at_risk=0, late=0
        )
        await expect(page.get_by_text("E-103 will be ready")).to_have_count(0, timeout=30_000)
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390
        assert seat.complaints == []
