"""Batteries on the web: the strip of all, one with everything, and the API."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from fake_depot import sample
from fake_safety import calm, pack_shown, tripped
from test_web_pages import check
from web_harness import site

from controller.pack_view import PackDanger, PackDetail, TripsView
from controller.safety_view import PackCell, PackState, SafetyView
from depot.values import Role
from web.packs_api import PackList
from web.roles import Permission

pytestmark = pytest.mark.anyio


def words_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def yard(count: int) -> SafetyView:
    """A depot of ``count`` batteries, one of each state first."""
    view = calm(sample().at)
    states = [PackState.TRIPPED, PackState.SILENT, PackState.DERATED]
    cells = [
        PackCell(
            f"E-{k:03d}",
            "P1",
            states[k] if k < 3 else PackState.ORDER,
            None if k == 1 else 20.0 + k % 30,
            0.6 if k == 2 else 1.0,
            k / count,
        )
        for k in range(count)
    ]
    return msgspec.structs.replace(view, strip=cells, pack_count=count)


def names(html: str) -> list[str]:
    return re.findall(r'class="pk[^"]*" href="[^"]*"><b>([^<]+)</b>', html)


async def test_the_strip_holds_five_hundred_batteries_in_any_order(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.shown[SafetyView] = yard(500)
        client = await depot.signed_in(Role.VIEWER)
        page = await client.get("/safety")
        check(page.text)
        assert len(page.content) < 200_000
        assert names(page.text)[:3] == ["E-000", "E-002", "E-001"]
        assert len(names(page.text)) == 500
        words = words_of(page.text)
        for part in ("1 tripped", "1 held back", "1 not heard", "497 in order", "60%"):
            assert part in words, part
        assert names((await client.get("/safety?sort=vehicle")).text)[:2] == ["E-000", "E-001"]
        depot.link.shown[SafetyView] = calm(sample().at)
        page = await client.get("/safety?sort=safety")
        assert names(page.text)[0] == "E-101"
        assert "SoS 0.93" in words_of(page.text)


async def test_one_battery_with_everything(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        html = (await client.get("/safety/packs/E-101/P1")).text
        check(html)
        words = words_of(html)
        for part in (
            "51 °C, derated from 48 °C",
            "192 cells in series",
            "1,900 kΩ",
            "bms 2.4",
            "sensor 2 has no value",
            "Lowest, cell 89",
            "the charger",
            "Trip at 60",
            "1 monitored · 1 not monitored",
            "it never says insulation",
            "at most 70 kW at the battery",
        ):
            assert part in words, part
        depot.link.shown[SafetyView] = tripped(sample().at)
        html = (await client.get("/safety/packs/E-103/P1")).text
        check(html)
        assert "Tripped: 61.2 °C at sensor 0" in words_of(html)
        assert (await client.get("/safety/packs/E-999/P1")).status_code == 404


async def test_a_battery_of_which_little_is_known_says_so(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        full = pack_shown(calm(sample().at), "E-102", "P1")
        assert full is not None
        row = msgspec.structs.replace(full.row, state=PackState.SILENT, hottest_c=None, soc=None, age_s=None, connector=None)
        bare = msgspec.structs.replace(full, row=row, told=[], issues=[], curve=[], capacity_wh=None, cells=None, expected=False)
        depot.link.shown[PackDetail] = bare
        client = await depot.signed_in(Role.VIEWER)
        html = (await client.get("/safety/packs/E-102/P1")).text
        check(html)
        for part in ("No temperature yet", "No cell voltage", "Nobody yet", "Not enough points", "charge not known"):
            assert part in words_of(html), part
        empty = msgspec.structs.replace(full.told[0], temperatures_c=[None] * 4, cells_v=[None] * 3, alarms=[])
        depot.link.shown[PackDetail] = msgspec.structs.replace(full, told=[empty])
        html = (await client.get("/safety/packs/E-102/P1")).text
        check(html)
        assert "3 cells, none has a value" in words_of(html)


async def test_a_battery_that_was_above_the_gate_shows_its_state_of_safety(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        full = pack_shown(calm(sample().at), "E-102", "P1")
        assert full is not None
        client = await depot.signed_in(Role.VIEWER)
        depot.link.shown[PackDetail] = full
        assert "Hottest place inside" not in words_of((await client.get("/safety/packs/E-102/P1")).text)
        danger = PackDanger(
            state_of_safety=0.71, stage=2, node_c=134.0, runaway_low_s=95.0, runaway_high_s=5_400.0, text="", seen=None,
            foreseen="evacuate", second_module_low_s=19.0, second_module_high_s=None,
        )  # fmt: skip
        for changes, parts in (
            ({}, ("0.71", "134 °C", "95 s to 90 min", "stage 2", "no sensor is there yet", "the second module after 19 s at the earliest")),
            ({"runaway_low_s": None, "runaway_high_s": None, "stage": 0}, ("not foreseen", "no stage of a runaway")),
            ({"runaway_high_s": None, "seen": "clear"}, ("95 s or more", "leaves its module: clear the bays")),
        ):
            depot.link.shown[PackDetail] = msgspec.structs.replace(full, danger=msgspec.structs.replace(danger, **changes))
            html = (await client.get("/safety/packs/E-102/P1")).text
            check(html)
            for part in parts:
                assert part in words_of(html), part


async def test_the_api_lists_shows_and_tells_trips(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.shown[SafetyView] = tripped(sample().at)
        client = depot.client(authorization=f"Bearer {depot.users.add_token('scada', [Permission.READ])}")
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = msgspec.json.decode((await client.get("/api/v1/packs", params={"limit": 3, "cursor": cursor})).content, type=PackList)
            found += [row.vehicle_id for row in page.packs]
            cursor = page.next_cursor
        assert found == [f"E-{101 + k}" for k in range(8)]
        one = msgspec.json.decode((await client.get("/api/v1/packs/E-103/P1")).content, type=PackDetail)
        assert one.trip is not None
        assert one.told[0].insulation_ohm == 1_900_000
        trips = msgspec.json.decode((await client.get("/api/v1/trips")).content, type=TripsView)
        assert [(t.vehicle_id, t.cause) for t in trips.trips] == [("E-103", "over_temperature")]
        assert (await client.get("/api/v1/packs/E-999/P1")).status_code == 404
        assert (await client.get("/api/v1/packs", params={"limit": 0})).status_code == 422
