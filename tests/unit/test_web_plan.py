"""The page Plan and its route: what they show with a plan, without one, and with a thousand vehicles."""

from __future__ import annotations

import gzip
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from fake_depot import NOW, ZONE
from fake_plan import BACK, plan, without_plan
from fake_plan_answers import explanation
from test_web_pages import check
from web_harness import site

from controller.plan_answers_view import AnswerState
from controller.plan_reasons_view import ExplanationView
from controller.plan_view import PlanLayer, PlanView
from depot.values import Role
from web import text
from web.plan_chart import layer_name, stack_chart, swatches
from web.plan_page import plan_context

pytestmark = pytest.mark.anyio
CLOCK = text.DepotTime(ZONE, NOW)


async def test_the_page_shows_the_plan_against_what_was_measured_and_who_is_short(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        page = await client.get("/plan")
        assert page.status_code == 200
        check(page.text)
        for words in ("policy: cheapest", "optimal", "10,421", "441", "12.4", "E-103", "Who leaves short", "instead of 90%", "now 01:12"):
            assert words in page.text, words
        assert "Power of the site from" in page.text
        assert 'aria-current="page"' in page.text.split("Plan</a>")[0].rsplit("<li>", 1)[-1]


async def test_what_it_saves_and_wears_stands_beside_charging_at_once(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        page = (await client.get("/plan")).text
        for words in ("Saved by the plan", "3,956", "uncontrolled ₹14,377, peak 1,204 kW", "759 kW above the limit"):
            assert words in page, words
        assert "uncontrolled ₹1,310" in page


def test_the_last_tiles_wait_for_the_explanation_and_say_where_there_is_no_price() -> None:
    why = explanation({})
    assert [tile["note"] for tile in tiles_of(None)] == ["being computed"] * 2
    other = msgspec.structs.replace(why, plan_id="another")
    assert [tile["value"] for tile in tiles_of(other)] == ["–", "–"]
    failed = msgspec.structs.replace(why, state=AnswerState.FAILED, at_once=None)
    assert "could not be explained" in tiles_of(failed)[0]["note"]
    assert "pack_life" in tiles_of(msgspec.structs.replace(why, wear_cost=None))[1]["note"]


def test_whose_ageing_is_counted_stands_beside_the_wear() -> None:
    plain, own = (
        explanation({}),
        msgspec.structs.replace(explanation({}), wear_basis="ageing as your own packs show it: LFP 2 times as fast"),
    )
    assert "own packs" not in tiles_of(plain)[1]["note"]
    assert tiles_of(own)[1]["note"].endswith("; ageing as your own packs show it: LFP 2 times as fast")


def tiles_of(why: ExplanationView | None) -> list[dict[str, str]]:
    """The two that compare."""
    tiles: list[dict[str, str]] = plan_context(plan({}), why, back_h=12)["tiles"]
    return tiles[4:]


async def test_a_row_names_what_it_asks_for_beside(tmp_path: Path) -> None:
    view = plan({})
    rows = [
        msgspec.structs.replace(view.rows[0], precondition_w=8_000, precondition_at=NOW, full_due=True, shed_wh=1_200, tested=True),
        *view.rows[1:],
    ]
    async with site(tmp_path) as depot:
        depot.link.made[PlanView] = lambda _args: msgspec.structs.replace(view, rows=rows)
        page = (await (await depot.signed_in(Role.VIEWER)).get("/plan")).text
        check(page)
        assert "preconditioning 8 kW from 01:12, a full charge is due, in a reference test, 1.2 kWh of it do not fit" in page


async def test_a_layer_can_be_looked_at_and_the_stack_be_made_of_feeders(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        page = (await client.get("/plan", params={"vehicle": "E-101"})).text
        assert 'class="layer sel"' in page
        feeders = (await client.get("/plan", params={"by": "feeder", "back": "24"})).text
        assert "Feeder B" in feeders
        assert (PlanView, {"by": "feeder", "back_h": "24", "rows": "120"}) in depot.link.asked
        odd = await client.get("/plan", params={"by": "colour", "back": "9999999999999", "vehicle": "<b>" * 50})
        assert odd.status_code == 200
        check(odd.text)
        assert "<b><b>" not in odd.text


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (without_plan(), "Nothing to plan"),
        (without_plan(waiting=3), "3 vehicles want energy; the first plan is being made"),
        (without_plan(waiting=1, planner="dead", text="the planner's process was killed by signal 9"), "The planner is down since 00:50"),
    ],
)
async def test_without_a_plan_the_page_says_why_and_what_holds(tmp_path: Path, view: PlanView, words: str) -> None:
    async with site(tmp_path) as depot:
        depot.link.made[PlanView] = lambda _args: view
        page = await (await depot.signed_in(Role.VIEWER)).get("/plan")
        check(page.text)
        assert words in page.text
        if view.waiting:
            assert "arliest departure" in page.text


async def test_an_expired_plan_is_told_as_over(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        full = plan({})
        assert full.plan is not None
        head = msgspec.structs.replace(full.plan, over=True, expires_at=NOW - timedelta(minutes=2))
        late = msgspec.structs.replace(
            full, plan=head, planner="late", planner_text="no new plan: too slow", fallback=True, failed_since=NOW - timedelta(minutes=9)
        )
        depot.link.made[PlanView] = lambda _args: late
        page = (await (await depot.signed_in(Role.VIEWER)).get("/plan")).text
        assert "over since 01:10" in page
        assert "No plan is in force" in page


async def test_the_route_gives_it_as_json_with_powers(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        answer = await client.get("/api/v1/plan", params={"by": "feeder", "rows": 5})
        assert answer.status_code == 200
        found = answer.json()
        assert found["by"] == "feeder"
        assert len(found["rows"]) == 5
        assert found["rows"][0]["power_w"]
        assert (PlanView, {"by": "feeder", "layers": "8", "back_h": "12", "rows": "5", "powers": "yes"}) in depot.link.asked
        assert (await client.get("/api/v1/plan", params={"by": "colour"})).status_code == 422


async def test_a_thousand_vehicles_make_a_page_that_is_small(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        full = plan({})
        rows = [msgspec.structs.replace(full.rows[n % 11], visit_id=f"v{n}", vehicle_id=f"V-{n:04d}") for n in range(1000)]
        depot.link.made[PlanView] = lambda args: msgspec.structs.replace(full, rows=rows[: int(args["rows"])], total=1000)
        page = await (await depot.signed_in(Role.VIEWER)).get("/plan")
        assert "880 more are not shown" in page.text
        assert len(gzip.compress(page.content, 6)) < 40_000


def test_the_stack_is_closed_and_lies_within_its_box() -> None:
    view = plan({})
    plot = stack_chart(view, clock=CLOCK, chosen="E-101", slot=BACK + 2)
    assert [css for css, _ in plot.areas].count("layer sel") == 1
    for _, path in plot.areas:
        assert path.startswith("M")
        assert path.endswith("Z")
    assert all(0 <= label.x <= 100 for label in plot.labels)
    lowest = PlanLayer(name="x", kind="vehicle", members=1, energy_wh=0, drawn_w=[None] * 89, planned_w=[-5_000] * 89)
    assert stack_chart(msgspec.structs.replace(view, layers=[lowest]), clock=CLOCK).areas  # what is given is not stacked


def test_layers_are_called_as_people_call_them() -> None:
    view = plan({})
    assert next(swatch.name for swatch in swatches(view, "")) == "3 others"
    assert swatches(view, "")[-1].name == "site's own load"
    feeder = PlanLayer(name="North", kind="feeder", members=1, energy_wh=0, drawn_w=[], planned_w=[])
    assert layer_name(feeder) == "Feeder North"
    assert layer_name(msgspec.structs.replace(feeder, name="b1", kind="battery")) == "battery b1"
