"""What people ask of the plan on the screen and by the API: why, what if, what else; and the pick of a policy."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import msgspec
import pytest
from fake_depot import NOW, ZONE
from fake_plan import plan
from fake_plan_answers import ANSWERED, POLICY, explanation, frontier, under_way, unexplained, what_ifs
from test_web_pages import check
from web_harness import Site, form_value, site

from controller.plan_answers_view import AnswerState, FrontierView, WhatIfsView
from controller.plan_policy import PlanPolicyView
from controller.plan_reasons_view import ExplanationView
from depot import commands as cmd
from depot.plan_policy import PlanAim, PolicyPick
from depot.values import Role
from web import text
from web.plan_ask import change_from, signed_kw
from web.plan_why import slot_time, worth_chart

pytestmark = pytest.mark.anyio
CLOCK = text.DepotTime(ZONE, NOW)


async def send(client: httpx.AsyncClient, path: str, **form: str) -> httpx.Response:
    return await client.post(path, data={"csrf": await form_value(client), **form})


async def post(client: httpx.AsyncClient, path: str, body: object) -> httpx.Response:
    return await client.post(f"/api/v1{path}", json=body, headers={"x-csrf-token": await form_value(client)})


def asked(depot: Site, kind: type[msgspec.Struct]) -> list[dict[str, str]]:
    return [args for found, args in depot.link.asked if found is kind]


# -- why ----------------------------------------------------------------------------------------------------------------------


async def test_the_page_says_what_limits_cost_and_why_a_slot_is_as_it_is(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        page = (await client.get("/plan")).text
        for words in ("Feeder A, 200 kW", "₹3.40", "12 kW more on feeder A from 02:00", "Or: a higher class of priority",
                      "would save ₹14.30 over this plan, about ₹300", "would serve 1.1 kWh that somebody lacks"):  # fmt: skip
            assert words in page, words
        links = re.findall(r'href="(/plan\?slot=[^"]+)"', page)
        assert len(links) > 30
        looked = (await client.get("/plan", params={"slot": "2026-11-21T02:00", "vehicle": "E-103"})).text
        check(looked)
        for words in ("02:00 to 02:15 explained", "Draws 22 of 60 kW", "with 4 others, 59 kW", "One more kWh into E-103",
                      "at least ₹12.00", 'class="slot-sel"'):  # fmt: skip
            assert words in looked, words
        assert {"vehicle": "E-103", "slot": "2026-11-21T02:00:00+05:30"} in asked(depot, ExplanationView)
        odd = await client.get("/plan", params={"slot": "tomorrow"})
        assert odd.status_code == 200
        assert asked(depot, ExplanationView)[-1]["slot"] == ""


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (AnswerState.RUNNING, "is being explained"),
        (AnswerState.FAILED, "could not be explained: HiGHS gave up"),
        (AnswerState.NONE, "Plan"),
    ],
)
async def test_a_plan_that_is_not_explained_is_shown_all_the_same(tmp_path: Path, state: AnswerState, words: str) -> None:
    async with site(tmp_path) as depot:
        depot.link.made[ExplanationView] = lambda _args: unexplained(state, "HiGHS gave up")
        page = (await (await depot.signed_in(Role.VIEWER)).get("/plan")).text
        check(page)
        assert words in page
        assert "E-103 leaves 04:45 with 81 % instead of 90 %" in page  # its own words


def test_the_strip_of_worth_marks_where_energy_does_not_fit_and_is_none_where_nothing_costs() -> None:
    view, why = plan({}), explanation({})
    plot = worth_chart(view.slots, why, at=NOW, clock=CLOCK, chosen=50, links=())
    assert plot is not None
    assert [css for css, _ in plot.areas] == ["area-warn", "f-alarm", "slot-sel"]
    assert "at most ₹3.40 an hour: Feeder A" in plot.description
    assert "does not fit" in plot.description
    idle = [msgspec.structs.replace(limit, saved_per_kwh=[0.0] * 40, served_wh=[0.0] * 40) for limit in why.limits]
    assert worth_chart(view.slots, msgspec.structs.replace(why, limits=idle), at=NOW, clock=CLOCK, chosen=None, links=()) is None


def test_a_slots_time_is_the_depots() -> None:
    at = slot_time("2026-11-21T02:00", ZONE)
    assert at is not None
    assert at.isoformat() == "2026-11-21T02:00:00+05:30"
    assert slot_time("02:00", ZONE) is None


async def test_the_routes_of_the_explanation(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        found = (await client.get("/api/v1/plan/explanation", params={"slot": "2026-11-21T02:00:00+05:30", "vehicle": "E-101"})).json()
        assert found["slot"]["cells"][0]["vehicle_id"] == "E-103"
        assert found["shorts"][0]["remedies"][0]["unit"] == "kW"
        assert asked(depot, ExplanationView)[-1]["vehicles"] == "all"
        assert (await client.get("/api/v1/plan/explanation", params={"slot": "2026-11-21T02:00"})).status_code == 422


# -- what if --------------------------------------------------------------------------------------------------------------------


async def test_a_what_if_is_asked_by_a_form_and_shown_side_by_side(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.OPERATOR)
        sent = await send(client, "/plan/what-if", kind="charger", amount="0", target="E-105", **{"from": "02:00", "until": "00:30"})
        assert sent.status_code == 303
        [change] = json.loads(asked(depot, WhatIfsView)[-1]["changes"])
        assert (change["kind"], change["how"], change["target"]) == ("charger", "to", "E-105")
        assert (change["from_at"], change["until_at"]) == ("2026-11-20T20:30:00Z", "2026-11-21T19:00:00Z")
        page = (await client.get(sent.headers["location"])).text
        check(page)
        for words in ("site limit: 50 kW less", "+₹309", "18.6 kWh short instead of 0.0 kWh", "comes in addition, is served",
                      "2 more vehicles charge at other times", "no answer within 30 s", "is being computed"):  # fmt: skip
            assert words in page, words
        assert depot.link.commands == []  # nothing is done


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"kind": "colour", "amount": "1"}, "Choose what changes"),
        ({"kind": "limit", "amount": "many"}, "A number, in kW"),
        ({"kind": "limit", "amount": "1e9"}, "A number, in kW"),
        ({"kind": "charger", "amount": "0"}, "Which vehicle, or which charger"),
        ({"kind": "feeder", "amount": "20", "target": "Z"}, "One of the feeders A, B, C"),
        ({"kind": "limit", "amount": "5", "from": "25:00"}, "A time such as 22:00"),
    ],
)
async def test_a_form_that_is_wrong_says_what(tmp_path: Path, form: dict[str, str], words: str) -> None:
    async with site(tmp_path) as depot:
        answer = await send(await depot.signed_in(Role.OPERATOR), "/plan/what-if", **form)
        assert answer.status_code == 422
        check(answer.text)
        assert words in answer.text
        assert not any("changes" in args for args in asked(depot, WhatIfsView))


async def test_a_depot_without_a_plan_has_nothing_to_compare_with(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        none = what_ifs({})
        assert none is not None
        depot.link.made[WhatIfsView] = lambda _args: msgspec.structs.replace(none, able=False, start=None, stop=None, rows=[], vehicles=[])
        client = await depot.signed_in(Role.OPERATOR)
        page = (await client.get("/plan/what-if")).text
        check(page)
        assert "No plan to compare with" in page
        forgotten = await client.get("/plan/what-if", params={"question": "q-9"})
        assert forgotten.status_code == 200


def test_amounts_and_signs() -> None:
    view = what_ifs({})
    assert view is not None
    change, errors = change_from({"kind": "limit", "amount": "−1,250.5", "target": "ignored"}, view)
    assert errors == {}
    assert change is not None
    assert (change.amount, change.target) == (-1250.5, "")
    assert (signed_kw(12_000), signed_kw(-3_000), signed_kw(0), signed_kw(10)) == ("+12", "−3", "0", "0")


async def test_the_routes_of_what_if(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.OPERATOR)
        answer = await post(client, "/plan/what-if", {"changes": [{"kind": "limit", "amount": -50}, {"kind": "more", "amount": 1}]})
        assert (answer.status_code, answer.json()["question_id"]) == (200, "q-1")
        assert (await client.get("/api/v1/plan/what-if/q-1")).json()["after"]["short"] == ["E-103", "E-109"]
        assert (await client.get("/api/v1/plan/what-if/q-9")).status_code == 404
        assert len((await client.get("/api/v1/plan/what-if")).json()["rows"]) == 3
        for wrong in ({}, {"changes": []}, {"changes": [{"kind": "colour", "amount": 1}]}, {"changes": [{"kind": "limit"}]}):
            assert (await post(client, "/plan/what-if", wrong)).status_code == 422
        viewer = await depot.signed_in(Role.VIEWER)
        assert (await post(viewer, "/plan/what-if", {"changes": [{"kind": "limit", "amount": -50}]})).status_code == 403


async def test_an_answer_that_takes_long_is_to_be_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.plan_api.PATIENCE_S", 0.3)
    async with site(tmp_path) as depot:
        full = what_ifs({})
        assert full is not None
        waits = msgspec.structs.replace(ANSWERED, state=AnswerState.RUNNING, before=None, after=None)
        depot.link.made[WhatIfsView] = lambda _args: msgspec.structs.replace(full, rows=[waits])
        client = await depot.signed_in(Role.OPERATOR)
        answer = await post(client, "/plan/what-if", {"changes": [{"kind": "limit", "amount": -50}]})
        assert (answer.status_code, answer.json()["state"]) == (202, "running")


# -- frontier and policy ------------------------------------------------------------------------------------------------------------


async def test_a_manager_picks_a_point_with_a_reason_and_can_go_back(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        page = (await client.get("/plan/policy", params={"aim": "readiness"})).text
        check(page)
        for words in ("Cheapest · mani picked it at 00:20", "Back to readiness", "3. a lower peak, 67 %", "+₹180", "computed in 21.4 s"):
            assert words in page, words
        assert (await send(client, "/plan/policy", aim="weights", peak_per_kw="4", reason="")).status_code == 422
        sent = await send(client, "/plan/policy", aim="weights", wear="0", delay_per_kwh_h="0", peak_per_kw="4", reason="less peak")
        assert sent.status_code == 303
        await send(client, "/plan/policy", aim="readiness", reason="festival")
        await send(client, "/plan/policy", aim="settings", reason="it is over")
        picks = [(one.pick, one.reason, one.actor) for one in depot.link.commands if isinstance(one, cmd.PickPlanPolicy)]
        assert picks == [
            (PolicyPick(PlanAim.WEIGHTS, peak_per_kw=4.0), "less peak", "mani"),
            (PolicyPick(PlanAim.READINESS), "festival", "mani"),
            (None, "it is over", "mani"),
        ]
        for wrong in (
            {"aim": "colour"},
            {"aim": "weights", "wear": "x"},
            {"aim": "cheapest", "wear": "1"},
            {"aim": "weights", "wear": "-1"},
        ):
            assert (await send(client, "/plan/policy", reason="r", **wrong)).status_code == 422


async def test_a_frontier_under_way_shows_its_progress_and_can_be_stopped(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.OPERATOR)
        await send(client, "/plan/frontier", act="start")
        assert asked(depot, FrontierView)[-1] == {"act": "start"}
        depot.link.made[FrontierView] = lambda _args: under_way()
        page = (await client.get("/plan/policy")).text
        check(page)
        assert "A lower peak, 5 of 16 plans" in page
        assert 'width="31%"' in page
        assert "Stop" in page
        assert "data-open=" not in page  # an operator picks nothing
        await send(client, "/plan/frontier", act="stop")
        assert asked(depot, FrontierView)[-1] == {"act": "stop"}


@pytest.mark.parametrize("state", [AnswerState.NONE, AnswerState.FAILED, AnswerState.CANCELLED, AnswerState.WAITING])
async def test_a_depot_without_a_frontier(tmp_path: Path, state: AnswerState) -> None:
    async with site(tmp_path) as depot:
        bare = msgspec.structs.replace(under_way(), state=state, done=0, of=0, text="the machine is too busy", able=state != "none")
        depot.link.made[FrontierView] = lambda _args: bare
        settings = msgspec.structs.replace(POLICY, picked_by="", picked_at=None, reason="", aim="battery-life", words="battery-life")
        depot.link.shown[PlanPolicyView] = settings
        page = (await (await depot.signed_in(Role.MANAGER)).get("/plan/policy")).text
        check(page)
        assert "as in the settings" in page
        assert "Back to" not in page


async def test_the_routes_of_frontier_and_policy(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        assert len((await client.get("/api/v1/plan/frontier")).json()["rows"]) == len(frontier({}).rows)
        started = await post(client, "/plan/frontier", {"act": "start"})
        assert (started.status_code, started.json()["state"]) == (202, "running")
        assert (await client.get("/api/v1/plan/policy")).json()["configured"] == "readiness"
        picked = await post(client, "/plan/policy", {"aim": "weights", "wear": 0.5, "reason": "old packs"})
        assert picked.status_code in (200, 202)
        [command] = depot.link.commands
        assert isinstance(command, cmd.PickPlanPolicy)
        assert command.pick == PolicyPick(PlanAim.WEIGHTS, wear=0.5)
        for wrong in ({"aim": "cheapest", "wear": 1, "reason": "r"}, {"aim": "weights", "wear": -1, "reason": "r"}, {"aim": "weights"}):
            assert (await post(client, "/plan/policy", wrong)).status_code == 422
        operator = await depot.signed_in(Role.OPERATOR)
        assert (await post(operator, "/plan/policy", {"aim": "cheapest", "reason": "r"})).status_code == 403
