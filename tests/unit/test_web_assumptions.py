"""The page of assumptions and its API: what is shown, who may change one, what reaches the core."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from test_web_batteries import words_of
from test_web_pages import check
from web_harness import form_value, site

from controller.assumptions_view import AssumptionsView
from depot import commands as cmd
from depot.value_assumptions import AssumedNumber
from depot.values import Role

pytestmark = pytest.mark.anyio
FORM = {"low": "1,000", "mid": "2000", "high": "3000", "source": "offer of 3 May", "reason": "a real offer"}


async def test_everybody_sees_all_assumptions_and_who_changed_one(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        html = (await (await depot.signed_in(Role.VIEWER)).get("/batteries/assumptions")).text
        check(html)
        words = words_of(html)
        for part in (
            "1 changed here",
            "offer of Pune Recycling",
            "100 · 180 · 260",
            "before: 150 · 300 · 600",
            "Changing one needs a manager",
        ):
            assert part in words, part
        assert "data-open=" not in html
        page = (await (await depot.signed_in(Role.MANAGER)).get("/batteries/assumptions")).text
        check(page)
        assert page.count('data-open="as-') == page.count('<dialog id="as-') >= 25
        assert page.count('data-open="back-') == 1
        assert 'href="/batteries/assumptions"' in (await (await depot.signed_in(Role.VIEWER)).get("/batteries/E-103/P1")).text


async def test_a_manager_changes_one_and_sets_it_back_with_a_reason(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        form = {"csrf": await form_value(client)} | FORM
        answer = await client.post("/batteries/assumptions/numbers.repack_per_kwh", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/batteries/assumptions")
        limit = {name: value for name, value in form.items() if name not in ("low", "high")} | {"mid": "0.75"}
        await client.post("/batteries/assumptions/limits.daily_soh", data=limit)
        await client.post(
            "/batteries/assumptions/numbers.test_per_kwh", data={"csrf": form["csrf"], "act": "back", "reason": "it was wrong"}
        )
        told = [(one.name, one.number, one.reason) for one in depot.link.commands if isinstance(one, cmd.ChangeValueAssumption)]
        assert told == [
            ("numbers.repack_per_kwh", AssumedNumber(1000, 2000, 3000, "offer of 3 May"), "a real offer"),
            ("limits.daily_soh", AssumedNumber(0.75, 0.75, 0.75, "offer of 3 May"), "a real offer"),
            ("numbers.test_per_kwh", None, "it was wrong"),
        ]


@pytest.mark.parametrize("wrong", [{"mid": "much"}, {"mid": "9000"}, {"low": "nan"}, {"source": " "}, {"reason": ""}])
async def test_what_cannot_be_is_refused_with_a_sentence(tmp_path: Path, wrong: dict[str, str]) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        answer = await client.post("/batteries/assumptions/numbers.repack_per_kwh", data={"csrf": await form_value(client)} | FORM | wrong)
        assert answer.status_code == 422
        assert depot.link.commands == []


async def test_who_may_not_is_refused_and_machines_read_and_write(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        operator = await depot.signed_in(Role.OPERATOR)
        refused = await operator.post("/batteries/assumptions/numbers.repack_per_kwh", data={"csrf": await form_value(operator)} | FORM)
        assert (refused.status_code, depot.link.commands) == (403, [])
        found = msgspec.json.decode((await operator.get("/api/v1/value-assumptions")).content)
        assert {row["origin"] for row in found["rows"]} == {"person", "shipped"}
        del depot.link.shown[AssumptionsView]
        assert (await operator.get("/api/v1/value-assumptions")).status_code == 404
        assert (await operator.get("/batteries/assumptions")).status_code == 404
