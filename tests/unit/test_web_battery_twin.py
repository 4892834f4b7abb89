"""A pack under a duty of one's own: the page, the route, and what is said where nothing can be run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from test_web_batteries import words_of
from test_web_pages import check
from web_harness import site

from controller.health_view import PackTwinRun
from depot.values import Role

pytestmark = pytest.mark.anyio
PAGE = "/batteries/E-103/P1/twin"


async def test_the_form_begins_with_todays_duty_and_a_run_says_how_far_it_can_be_trusted(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        assert f'href="{PAGE}"' in (await client.get("/batteries/E-103/P1")).text
        form = (await client.get(PAGE)).text
        check(form)
        for value in ('name="ambient_c"', 'value="27"', 'name="depth"', 'value="55"', 'value="0.31"', 'value="290"'):
            assert value in form, value
        assert "Not run yet" in words_of(form)
        html = (await client.get(f"{PAGE}?ambient_c=25&depth=70&c_rate=1.5&cycles_a_year=365&top_soc=90&until=60")).text
        check(html)
        words = words_of(html)
        for part in ("Years to 60%", "Full cycles to 60%", "Warmest that it gets", "So fast charging was measured on small cells only"):
            assert part in words, part
        assert 'value="70"' in html


async def test_numbers_that_cannot_be_are_sentences(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        for query, words in (
            ("depth=deep", "Depth of a round must be a number"),
            ("until=20", "must lie between 40% and 95%"),
            ("ambient_c=nan", "Around it must be a number"),
            ("ambient_c=%3Cscript%3E", "must be a number"),
        ):
            answer = await client.get(f"{PAGE}?{query}")
            assert answer.status_code == 200
            check(answer.text)
            assert words in words_of(answer.text), (query, words_of(answer.text)[:400])


async def test_a_machine_gets_the_run_and_what_is_left_out_is_todays(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.OPERATOR)
        answer = await client.get("/api/v1/packs/E-103/P1/twin?until=0.75")
        run = msgspec.json.decode(answer.content, type=PackTwinRun)
        assert (run.why_not, run.asked.until, run.asked.cycles_a_year) == ("", 0.75, 290.0)
        assert run.end is not None
        assert run.end.years[1] is not None
        assert len(run.health) == run.years + 1
        assert (await client.get("/api/v1/packs/E-103/P1/twin?depth=x")).status_code == 422
        none = msgspec.json.decode((await client.get("/api/v1/packs/E-127/P1/twin")).content, type=PackTwinRun)
        assert "capacity when new" in none.why_not
        assert (await client.get("/api/v1/packs/NONE/P1/twin")).status_code == 404


async def test_who_may_not_run_it_sees_no_button(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        assert PAGE not in (await client.get("/batteries/E-103/P1")).text
        assert (await client.get(PAGE)).status_code == 403


async def test_a_pack_without_a_prospect_says_why(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        words = words_of((await client.get("/batteries/E-127/P1/twin")).text)
        assert "It was not run" in words
        assert "capacity when new is not known" in words
