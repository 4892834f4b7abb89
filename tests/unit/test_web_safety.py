"""The page Safety: what is tripped, what was done, who may reset; the red banner of every page."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from fake_depot import sample
from fake_safety import calm, tripped, with_trip
from test_web_pages import check
from web_harness import form_value, site

from controller.safety_view import SafetyView
from depot import commands as cmd
from depot.values import PackKey, Role

pytestmark = pytest.mark.anyio


def words_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


async def test_calm_says_so_and_shows_who_is_held_back_and_why(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        html = (await (await depot.signed_in(Role.VIEWER)).get("/safety")).text
        check(html)
        words = words_of(html)
        for part in (
            "Nothing is tripped",
            "51 °C, derated from 48 °C",
            "17 of 17 heard",
            "every trip is on the disk",
            "No charger is shut",
        ):
            assert part in words, part
        assert 'class="banner trip"' not in html


async def test_a_trip_is_a_red_banner_on_every_page_and_stands_on_safety_with_its_evidence(tmp_path: Path) -> None:
    async with site(tmp_path, with_trip(sample(), 3)) as depot:
        depot.link.shown[SafetyView] = tripped(sample().at)
        client = await depot.signed_in(Role.OPERATOR)
        for path in ("/", "/chargers", "/chargers/CP-03/1", "/safety", "/system", "/grid", "/account"):
            html = (await client.get(path)).text
            check(html)
            banner = words_of(html.split('class="banner trip"')[1].split("</div></div>")[0])
            assert "Battery trip: E-103 on CP-03" in banner, path
            assert "Tripped too: E-104 on CP-04, E-105 on CP-05" in banner
        words = words_of((await client.get("/safety")).text)
        for part in (
            "61.2 °C at sensor 0, the limit is 60 °C",
            "confirmed by the charger, 21 ms after it was told",
            "told, no answer yet",
            "its telematics",
            "it must be at 43 °C or less",
            "E-999/P1 is not in the registry",
            "CP-03/1 ended session 4711",
            "07:48",
        ):
            assert part in words, part
        assert "Reset trip" not in words


@pytest.mark.parametrize(
    ("role", "against", "offered"),
    [
        (Role.SAFETY_OFFICER, None, True),
        (Role.ADMIN, None, True),
        (Role.MANAGER, None, False),
        (Role.SAFETY_OFFICER, "still hot", False),
    ],
)
async def test_who_is_offered_a_reset_and_when(tmp_path: Path, role: Role, against: str | None, offered: bool) -> None:
    async with site(tmp_path, with_trip(sample())) as depot:
        depot.link.shown[SafetyView] = tripped(sample().at, against=against)
        html = (await (await depot.signed_in(role)).get("/safety")).text
        check(html)
        assert ('data-open="reset-0"' in html) == offered


async def test_a_reset_goes_to_the_core_with_person_role_and_reason(tmp_path: Path) -> None:
    async with site(tmp_path, with_trip(sample())) as depot:
        depot.link.shown[SafetyView] = tripped(sample().at, against=None)
        client = await depot.signed_in(Role.SAFETY_OFFICER)
        value = await form_value(client)
        answer = await client.post("/safety/packs/E-103/P1/reset", data={"csrf": value, "reason": ""})
        assert answer.status_code == 422
        answer = await client.post("/safety/packs/E-103/P1/reset", data={"csrf": value, "reason": "cell replaced"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/safety")
        (command,) = depot.link.commands
        assert isinstance(command, cmd.ResetPack)
        assert (command.pack, command.role, command.actor, command.reason) == (
            PackKey("E-103", "P1"),
            Role.SAFETY_OFFICER,
            "sana",
            "cell replaced",
        )


async def test_strange_states_are_said_as_they_are(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        view = calm(sample().at)
        bare = msgspec.structs.replace(
            view.telemetry, configured=False, up=None, expected=0, latches_ok=False, latches="it had lost E-103/P1", bus_lost=None
        )
        depot.link.shown[SafetyView] = msgspec.structs.replace(view, telemetry=bare, packs=[], pack_count=0, timeline=[])
        words = words_of((await client.get("/safety")).text)
        for part in (
            "only what chargers say of batteries counts",
            "nobody awaited",
            "it had lost E-103/P1",
            "No battery was heard of",
            "Nothing yet",
        ):
            assert part in words, part
        lost = msgspec.structs.replace(view.telemetry, up=False, reason="connection refused", bus_lost="the broker is not reachable")
        hot = tripped(sample().at)
        unknown = msgspec.structs.replace(
            hot.tripped[0],
            curve=[],
            hottest_c=None,
            age_s=None,
            connector=None,
            label=None,
            acts=[],
            evidence={},
            since=sample().at - timedelta(days=3),
        )
        depot.link.shown[SafetyView] = msgspec.structs.replace(hot, telemetry=lost, tripped=[unknown] * 7, tripped_count=9)
        html = (await client.get("/safety")).text
        check(html)
        words = words_of(html)
        for part in (
            "connection refused",
            "the broker is not reachable",
            "on no charger of this depot",
            "never heard",
            "3 d",
            "and 4 more",
        ):
            assert part in words, part
