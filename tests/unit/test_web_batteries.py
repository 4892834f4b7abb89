"""Batteries: the fleet's health, one pack, the API, and a depot that estimates none."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from fake_depot import later, sample
from fake_health import NOW, fleet
from test_web_pages import check
from web_harness import site

from controller.health_view import FleetHealthView, PackHealthView
from depot.values import Role

pytestmark = pytest.mark.anyio


def words_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


async def test_the_table_has_anomalies_and_the_weakest_first_and_says_why_there_is_none(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        page = await (await depot.signed_in(Role.VIEWER)).get("/batteries")
        check(page.text)
        words = words_of(page.text)
        assert re.findall(r'href="/batteries/([^/"]+)/P1"', page.text) == ["E-103", "E-109", "E-118", "E-127"]
        for part in (
            "4 packs",
            "median health 91.2 %",
            "1 without an estimate",
            "88.4 to 94.0",
            "capacity when new is not known",
            "−2.1",
            "old",
            "1 anomaly",
            "test required",
            "vehicle again",
            "not yet",
        ):
            assert part in words, part


async def test_an_empty_depot_and_one_without_health_say_what_to_do(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        depot.link.shown[FleetHealthView] = FleetHealthView(NOW, True, "The health process has not begun yet", None, [])
        words = words_of((await client.get("/batteries")).text)
        assert "No pack was heard of yet" in words
        assert "has not begun yet" in words
        del depot.link.shown[FleetHealthView]
        assert "add a section [health]" in words_of((await client.get("/batteries")).text)
        assert (await client.get("/api/v1/packs/health")).status_code == 404
        assert (await client.get("/batteries/E-103/P1")).status_code == 404
    async with site(tmp_path / "demo", later(sample(), clock_speed=78.0)) as depot:
        del depot.link.shown[FleetHealthView]
        page = await (await depot.signed_in(Role.VIEWER)).get("/batteries")
        assert "with a network type ./chargeyard demo again" in words_of(page.text)


async def test_a_pack_shows_history_modules_and_reasons(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        html = (await client.get("/batteries/E-103/P1")).text
        check(html)
        words = words_of(html)
        for part in (
            "96 cells in series",
            "no. 55, 87.8 %",
            "Weakest module no. 5",
            "rested less than 30 minutes after",
            "changed by −2.1 %-points a year",
            "internal short, cell 4",
            "Peaks at 3.660 V",
            "3.0 to 8.0 years",
            "further than any taught life",
            "/safety/packs/E-103/P1/passport",
            "15 estimates with their intervals",
            "Taught model 85.4 to 93.6 %",
            "Counted charge counts 88.4 to 94.0 %",
            "the narrower of 2 that agree",
        ):
            assert part in words or part in html, part
        bare = words_of((await client.get("/batteries/E-127/P1")).text)
        assert "No estimate yet: its capacity when new is not known" in bare
        assert (await client.get("/batteries/E-999/P1")).status_code == 404


async def test_a_pack_shows_grade_value_advice_and_years_ahead(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        html = (await client.get("/batteries/E-103/P1")).text
        check(html)
        words = words_of(html)
        for part in (
            "test required",
            "What it gives lies between 78.4% and 85.1%, on both sides of 80%.",
            "81.8 (78.4 to 85.1)",
            "From its health of 19 Nov 2026",
            "Not known of it: age and cycles.",
            "1.24 (1.15 to 1.35)",
            "Median of its newest 9 beside 12 like ones",
            "It takes six estimates over half a year",
            "Better than the pack as a whole: module 1.",
            "₹2,84,500",
            "₹1,12,400 to ₹4,61,000",
            "−₹9,000 · ₹1,73,000 · ₹3,10,000",
            "in 3 years (about 78% health), then to solar storage",
            "1 of them this depot's own",
            "our recycler&#39;s offer",
            "Not run: it was heard of for 12 days",
            "4.1 · 8.8 · >20",
            "190 · 310 · 640 cycles",
            "it fades faster than before",
        ):
            assert part in words or part.replace(">", "&gt;") in words or part.replace("'", "&#39;") in words, part
        bare = words_of((await client.get("/batteries/E-127/P1")).text)
        assert "Not known Its capacity when new is not known" in bare
        assert "comes within minutes" in words_of((await client.get("/batteries/E-118/P1")).text)


async def test_two_estimates_that_disagree_are_told_on_the_table_and_on_the_page(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        assert "estimates disagree" in words_of((await client.get("/batteries")).text)
        words = words_of((await client.get("/batteries/E-109/P1")).text)
        assert "Two estimates of its health disagree" in words
        assert "taught model says 84.4% to 90.4%" in words
        assert "the narrower of" not in words


async def test_the_api_answers_with_the_views(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        assert msgspec.json.decode((await client.get("/api/v1/packs/health")).content, type=FleetHealthView) == fleet()
        one = msgspec.json.decode((await client.get("/api/v1/packs/E-103/P1/health")).content, type=PackHealthView)
        assert one.row.vehicle_id == "E-103"
        assert one.estimates[-1].value == 0.912
        assert one.prospect is not None
        assert (one.prospect.grade, one.prospect.residual_paise) == ("test required", (11_240_000, 28_450_000, 46_100_000))
        assert [by.method for by in one.row.soh_by] == ["counted charge", "taught model"]
        assert (await client.get("/api/v1/packs/E-999/P1/health")).status_code == 404


async def test_a_pack_shows_its_state_of_charge_beside_its_own_systems(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        html = (await client.get("/batteries/E-103/P1")).text
        check(html)
        words = words_of(html)
        for part in (
            "60.1 to 66.7 %",
            "farther apart than both may be wrong",
            "Its own system says 55.0 %",
            "its own is used instead",
            "Fullest cell, no. 17 +1.2 %-points",
            "−0.42 A",
            "214 to 229 Ah",
            "168 of 168 quarters of an hour with an estimate; what its own system said lay outside of the interval in 72 of 168",
        ):
            assert part in words, part
        assert "No open-circuit curve is known for NCA cells" in words_of((await client.get("/batteries/E-118/P1")).text)
        (row,) = [one for one in (await client.get("/api/v1/packs/health")).json()["packs"] if one["vehicle_id"] == "E-103"]
        assert (row["charge"]["soc"], row["charge"]["disagree"], row["charge"]["bms_soc"]) == (0.634, True, 0.55)
        past = (await client.get("/api/v1/packs/E-103/P1/health")).json()["charge_past"]
        assert (len(past), set(past[0])) == (168, {"at", "soc", "low", "high", "bms_soc"})
        assert 'data-part="charge-past"' not in (await client.get("/batteries/E-118/P1")).text


async def test_a_curve_that_is_wrong_for_a_whole_make_is_told_once_above_the_table(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        assert 'data-part="curve-of-make"' not in (await client.get("/batteries")).text
        depot.link.shown[FleetHealthView] = msgspec.structs.replace(fleet(), curves=["3 of 3 packs lie <below> it"])
        html = (await client.get("/batteries")).text
        check(html)
        assert html.count('data-part="curve-of-make"') == 1
        assert "3 of 3 packs lie &lt;below&gt; it." in html
        assert (await client.get("/api/v1/packs/health")).json()["curves"] == ["3 of 3 packs lie <below> it"]


async def test_a_last_charge_without_a_curve_leaves_the_one_before_and_says_why(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        make = depot.link.made.pop(PackHealthView)
        before = make({"vehicle_id": "E-103", "pack_id": "P1"})
        assert isinstance(before, PackHealthView)
        short = msgspec.structs.replace(before.charges[0], detail={"no_ica": "9 samples are too few"})
        depot.link.shown[PackHealthView] = msgspec.structs.replace(before, charges=[short, *before.charges])
        words = words_of((await client.get("/batteries/E-103/P1")).text)
        for part in ("charge of 19 Nov 2026", "Peaks at 3.660 V", "The last charge gave none: 9 samples are too few."):
            assert part in words, part
        depot.link.shown[PackHealthView] = msgspec.structs.replace(before, charges=[short], oldest=None)
        assert "No curve The last charge gave none: 9 samples are too few." in words_of((await client.get("/batteries/E-103/P1")).text)


async def test_the_table_shows_what_was_asked_for_in_the_order_that_was_asked_for(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)

        async def shown(query: str) -> list[str]:
            page = await client.get(f"/batteries{query}")
            check(page.text)
            return re.findall(r'href="/batteries/([^/"]+)/P1"', page.text)

        assert await shown("?order=vehicle") == ["E-103", "E-109", "E-118", "E-127"]
        assert await shown("?text=e-1&look=anomaly") == ["E-103"]
        assert await shown("?look=none") == ["E-127"]
        assert await shown("?text=E-109") == ["E-109"]
        assert await shown("?look=nonsense&order=%00") == ["E-103", "E-109", "E-118", "E-127"]  # not asked: the weakest first
        assert await shown("?look=weak") + await shown("?look=well") + await shown("?look=test") + await shown("?look=none") + ["E-103"]
        page = await client.get("/batteries?text=%3Cscript%3E")
        assert "Nothing fits" in page.text
        assert "&lt;script&gt;" in page.text
        assert 'role="search"' in page.text


async def test_names_are_told_once_and_intervals_have_their_unit(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        words = words_of((await (await depot.signed_in(Role.VIEWER)).get("/batteries/E-103/P1")).text)
        assert "solar storage one cycle a day" in words
        assert "solar storage solar storage" not in words
        assert re.search(r"\d to \d+\.\d mΩ", words)
