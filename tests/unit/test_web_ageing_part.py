"""How fast the fleet ages, on the page and over REST: what is shown, who may set it back, what reaches the core."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from fake_health import AGEING
from test_web_batteries import words_of
from test_web_pages import check
from web_harness import form_value, site

from controller.ageing_view import AgeingView
from depot import commands as cmd
from depot.values import Role

pytestmark = pytest.mark.anyio


async def test_the_page_shows_factors_intervals_packs_and_why_there_are_none(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        html = (await (await depot.signed_in(Role.MANAGER)).get("/batteries")).text
        check(html)
        words = words_of(html)
        for part in (
            "the fleet's own",
            "1.82 1.57 to 2.07",
            "1.10 0.74 to 1.46",
            "1.82 in time, 1.10 by cycles",
            "None yet: how LTO cells age is not in the table",
            "Set back by meera",
            "the curve at rest was of other cells",
            "Follow again",
        ):
            assert part in words.replace("&#39;", "'"), part
        assert html.count('data-open="age-') == 2


async def test_who_may_not_decide_sees_no_button_and_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.OPERATOR)
        assert 'data-open="age-' not in (await client.get("/batteries")).text
        value = await form_value(client)
        refused = await client.post("/batteries/ageing/LFP", data={"csrf": value, "reason": "why not", "follows": "no"})
        assert (refused.status_code, depot.link.commands) == (403, [])


async def test_form_and_api_set_back_and_follow_again_with_name_and_reason(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        form = {"csrf": await form_value(client), "reason": "the curve was wrong", "follows": "no"}
        answer = await client.post("/batteries/ageing/NMC", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/batteries")
        first = depot.link.commands[-1]
        assert isinstance(first, cmd.FollowAgeing)
        assert (first.chemistry, first.follows, first.reason) == ("NMC", False, "the curve was wrong")
        bare = await client.post("/batteries/ageing/NMC", data=form | {"reason": ""})
        assert bare.status_code == 422


async def test_machines_read_what_plans_count_with(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        found = msgspec.json.decode((await client.get("/api/v1/ageing")).content)
        assert [(row["chemistry"], row["source"], row["calendar_counts"]) for row in found["rows"]] == [
            ("LFP", "table", 1.0),
            ("LTO", "table", 1.0),
            ("NMC", "fleet", 1.82),
        ]


async def test_a_depot_without_prices_or_findings_says_so(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        depot.link.shown[AgeingView] = msgspec.structs.replace(AGEING, rows=[], priced=False)
        words = words_of((await client.get("/batteries")).text)
        assert "Nothing was found yet" in words
        assert "changes no vehicle's plan while batteries have no price" in words
        del depot.link.shown[AgeingView]
        assert "How fast they age" not in (await client.get("/batteries")).text
        assert (await client.get("/api/v1/ageing")).status_code == 404
