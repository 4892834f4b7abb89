"""Pages: what they show and say, in each state; what their forms send."""

from __future__ import annotations

import gzip
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_depot import connection, empty, later, sample
from web_harness import form_value, site

from controller.clock_doubt import Doubt, Verdict
from controller.comeback import Rise
from controller.failsafe_view import of_clock, of_meter, of_rise, of_utility
from controller.grid_view import GridView, PickupView, SupplyView
from controller.readmodel import Notice
from depot import commands as cmd
from depot.values import ConnectorId, LimitSource, Role, UtilityLink, UtilityMode
from grid.failsafe import FailsafePolicy

pytestmark = pytest.mark.anyio
PAGES = [
    "/",
    "/departures",
    "/plan",
    "/plan/what-if",
    "/plan/policy",
    "/registry/vehicles",
    "/registry/packs",
    "/registry/stations",
    "/registry/feeders",
    "/chargers",
    "/chargers/CP-03/1",
    "/stations",
    "/stations/CP-03",
    "/batteries",
    "/batteries/E-103/P1",
    "/safety",
    "/system",
    "/alarms",
    "/audit",
    "/grid",
    "/account",
]
VOID = {"meta", "link", "input", "br", "path", "rect", "line", "use", "circle"}


class Checker(HTMLParser):
    """Rules that every page keeps: balanced, no inline style or script, labels, headings, one h1, live scopes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.h1 = 0
        self.ids: list[str] = []
        self.labels: set[str] = set()
        self.inputs: list[str] = []
        self.links: list[str] = []
        self.uses: set[str] = set()
        self.symbols: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        for name, value in attrs:
            if name == "style" or name.startswith("on"):
                self.faults.append(f"{name} on {tag}")
            if name in ("href", "src", "action") and value and re.match(r"(https?:)?//|javascript:|data:", value):
                self.faults.append(f"foreign {value}")
            if value in ("#", "None", "nan"):
                self.faults.append(f"{tag} {name}={value}")
        if tag in ("style", "iframe") or (tag == "script" and not found.get("src")):
            self.faults.append(f"inline {tag}")
        if tag == "th" and "scope" not in found:
            self.faults.append("th without scope")
        if tag == "label":
            self.labels.add(found.get("for") or "")
        if tag in ("input", "select", "textarea") and found.get("type") != "hidden" and found.get("aria-hidden") != "true":
            self.inputs.append(found.get("id") or "?")
        self.h1 += tag == "h1"
        if "id" in found:
            self.ids.append(found["id"] or "")
        if tag == "symbol":
            self.symbols.add(f"#{found['id']}")
        if tag == "use":
            self.uses.add(found.get("href") or "")
        if tag == "a":
            self.links.append(found.get("href") or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-3:]}")
        else:
            self.open.pop()


def check(html: str) -> Checker:
    page = Checker()
    page.feed(html)
    assert page.faults == []
    assert page.open == []
    assert page.h1 == 1
    assert len(page.ids) == len(set(page.ids)), sorted(i for i in page.ids if page.ids.count(i) > 1)
    assert set(page.inputs) <= page.labels
    assert page.uses <= page.symbols, page.uses - page.symbols
    return page


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MANAGER])
async def test_every_page_is_sound_small_and_has_no_dead_link(tmp_path: Path, role: Role) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(role)
        links: set[str] = set()
        for path in [*PAGES, *(f"/chargers/{tile.connector}" for tile in sample().tiles[:16])]:
            answer = await client.get(path)
            assert answer.status_code == 200, (path, answer.text[:300])
            links |= {link for link in check(answer.text).links if link.startswith("/")}
            assert len(gzip.compress(answer.content)) < 40_000
        for link in links:
            if not link.startswith("/api/v1/incidents/"):  # a file on the disk, which this depot has none of
                assert (await client.get(link)).status_code in (200, 308), link


async def test_the_whole_first_load_is_under_100_kb(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        page = (await client.get("/")).text
        total = len(gzip.compress(page.encode()))
        for name, file in depot.app.state.web.pages.static.items():
            total += len(gzip.compress(file.content))
            answer = await client.get(f"/static/{depot.app.state.web.pages.version}/{name}")
            assert "immutable" in answer.headers["cache-control"]
        assert total < 100_000
        assert (await client.get("/static/x/../app.py")).status_code == 404


async def test_now_answers_the_question_and_shows_the_numbers(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        html = (await (await depot.signed_in()).get("/")).text
        words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
        for part in (
            "No. E-103 will be 12 min late, 2 at risk",
            "SCADA, 23:40 to 05:00",
            "then 500 kW",
            "24 chargers · 20 vehicles in",
            "Next: E-103 at 04:45",
        ):
            assert part in re.sub(r" ([·,])", r" \1", words), part
        assert "demo clock" not in words


async def test_a_scaled_clock_is_labelled(tmp_path: Path) -> None:
    async with site(tmp_path, later(sample(), clock_speed=78.0)) as depot:
        assert "demo clock ×78" in (await (await depot.signed_in()).get("/")).text


async def test_an_empty_depot_says_what_to_do(tmp_path: Path) -> None:
    async with site(tmp_path, empty()) as depot:
        client = await depot.signed_in()
        for path in ("/", "/chargers"):
            html = (await client.get(path)).text
            check(html)
            assert "No chargers yet" in html
            assert "configuration file" in html
        assert "Nothing needs you" in (await client.get("/")).text


async def test_old_data_are_shown_as_old_and_take_no_command(tmp_path: Path) -> None:
    async with site(tmp_path, stale_s=-1.0) as depot:
        client = await depot.signed_in()
        html = (await client.get("/")).text
        assert re.search(r"<html[^>]* data-stale>", html)
        assert "No data since" in html
        answer = await client.post("/chargers/CP-03/1/stop", data={"csrf": await form_value(client), "reason": "x"})
        assert answer.status_code == 503
        assert "nothing was sent" in answer.text
        assert depot.link.commands == []


async def test_a_core_that_never_spoke_is_said_and_tried_again(tmp_path: Path) -> None:
    async with site(tmp_path, blank=True) as depot:
        client = await depot.signed_in()
        answer = await client.get("/")
        assert answer.status_code == 503
        assert "data-retry" in answer.text
        check(answer.text)
        assert (await client.get("/account")).status_code == 200


async def test_a_core_that_went_away_mid_page(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        depot.link.reachable = False
        answer = await client.get("/chargers/CP-03/1")
        assert answer.status_code == 503
        assert "does not answer" in answer.text


async def test_unknown_addresses_and_chargers(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        for path in ("/chargers/CP-99/1", "/chargers/CP-03/0", "/chargers/CP-03/x", "/chargers/%2e%2e/1", "/nothing"):
            answer = await client.get(path)
            assert answer.status_code == 404, path
            check(answer.text)


async def test_what_the_depot_says_cannot_become_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    view = sample()
    tiles = [msgspec.structs.replace(view.tiles[0], vehicle_id=evil, state_text=evil, label=evil), *view.tiles[1:]]
    notices = [Notice(priority=1, title=evil, action=evil, since=view.at, connector='CP-01/1"><b>')]
    async with site(tmp_path, later(view, tiles=tiles, notices=notices, depot_name=evil)) as depot:
        client = await depot.signed_in()
        for path in ("/", "/chargers", "/chargers/CP-01/1", "/departures"):
            html = (await client.get(path)).text
            assert evil not in html
            assert 'CP-01/1"><b>' not in html
        for part in depot.app.state.web.pages.parts(depot.link.view).values():
            assert evil not in part


async def test_a_charger_without_a_sure_default_says_why_in_the_list_and_on_its_page(tmp_path: Path) -> None:
    why = "It was seen not to fall back to its default when a limit expires."
    view = sample()
    tiles = [msgspec.structs.replace(view.tiles[0], uncovered=why), *view.tiles[1:]]
    async with site(tmp_path, later(view, tiles=tiles)) as depot:
        client = await depot.signed_in()
        chargers = (await client.get("/chargers")).text
        assert chargers.count("no sure default") == 1
        assert why in chargers
        station, number = tiles[0].connector.split("/")
        page = (await client.get(f"/chargers/{station}/{number}")).text
        assert "No sure default" in page
        assert f"{why} It is counted at its rated 120 kW" in page
        assert "No sure default" not in (await client.get("/chargers/CP-03/1")).text


async def test_a_viewer_sees_no_button_that_would_be_refused(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        viewer = await depot.signed_in(Role.VIEWER)
        html = (await viewer.get("/chargers/CP-03/1")).text
        assert "Commands need an operator" in html
        assert "<dialog" not in html
        assert "Not for your role" in (await viewer.get("/grid")).text
        operator = await depot.signed_in(Role.OPERATOR)
        html = (await operator.get("/chargers/CP-16/1")).text
        assert "Back in service" not in html
        assert "needs a manager or a safety officer" in html


@pytest.mark.parametrize(
    ("verb", "kind", "more"),
    [
        ("start", cmd.StartCharging, {}),
        ("stop", cmd.StopCharging, {}),
        ("out-of-service", cmd.SetAvailability, {"operative": False}),
        ("in-service", cmd.SetAvailability, {"operative": True}),
    ],
)
async def test_a_confirmed_form_becomes_one_command(tmp_path: Path, verb: str, kind: type[cmd.Command], more: dict[str, Any]) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        answer = await client.post(f"/chargers/CP-03/1/{verb}", data={"csrf": await form_value(client), "reason": "  driver \n asked "})
        assert (answer.status_code, answer.headers["location"]) == (303, "/chargers/CP-03/1")
        (sent,) = depot.link.commands
        assert type(sent) is kind
        assert (sent.actor, sent.reason) == ("mani", "driver asked")
        assert getattr(sent, "connector") == ConnectorId("CP-03", 1)  # noqa: B009  # three kinds of command
        assert {k: getattr(sent, k) for k in more} == more
        page = await client.get(answer.headers["location"])
        assert "audit 51903" in page.text
        assert "audit 51903" not in (await client.get("/chargers/CP-03/1")).text


async def test_a_refused_command_says_why(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.result = cmd.CommandStatus.REFUSED
        client = await depot.signed_in()
        await client.post("/chargers/CP-03/1/start", data={"csrf": await form_value(client), "reason": "x"})
        html = (await client.get("/chargers/CP-03/1")).text
        assert "Feeder B is full." in html
        assert "refused</li>" in html


async def test_no_reason_no_command(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        answer = await client.post("/chargers/CP-03/1/stop", data={"csrf": await form_value(client), "reason": "  "})
        assert answer.status_code == 422
        assert depot.link.commands == []


async def test_a_manual_limit_is_read_in_kw_and_depot_time(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        data = {"csrf": await form_value(client), "value_kw": "320.5", "until": "06:00", "reason": "transformer warm"}
        assert (await client.post("/limits/manual", data=data)).headers["location"] == "/grid"
        (sent,) = depot.link.commands
        assert isinstance(sent, cmd.SetManualLimit)
        assert (sent.value_w, sent.until, sent.scope_id) == (320_500, datetime(2026, 11, 21, 0, 30, tzinfo=UTC), "")
        data |= {"until": "01:00", "value_kw": "0"}
        await client.post("/limits/manual", data=data)
        again = depot.link.commands[-1]
        assert isinstance(again, cmd.SetManualLimit)
        assert (again.value_w, again.until) == (0, datetime(2026, 11, 21, 19, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("value", "until", "words"),
    [
        ("501", "", "Contract is 500 kW"),
        ("-1", "", "A number of kW"),
        ("inf", "", "A number of kW"),
        ("1e9", "", "A number of kW"),
        ("100", "25:00", "A time such as"),
    ],
)
async def test_a_wrong_limit_keeps_what_was_typed(tmp_path: Path, value: str, until: str, words: str) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        data = {"csrf": await form_value(client), "value_kw": value, "until": until, "reason": "because"}
        answer = await client.post("/limits/manual", data=data)
        assert answer.status_code == 422
        assert words in answer.text
        assert f'value="{value}"' in answer.text
        assert 'value="because"' in answer.text
        check(answer.text)
        assert depot.link.commands == []


async def test_a_manual_limit_can_be_lifted_where_there_is_one(tmp_path: Path) -> None:
    view = sample()
    manual = msgspec.structs.replace(view.limits[4], scope_id="")
    async with site(tmp_path, later(view, limits=[*view.limits, manual])) as depot:
        client = await depot.signed_in()
        assert "Lift the manual limit" in (await client.get("/grid")).text
        await client.post("/limits/manual/clear", data={"csrf": await form_value(client), "reason": "cool again"})
        assert isinstance(depot.link.commands[-1], cmd.ClearManualLimit)


async def test_filters_work_without_scripts(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        html = (await client.get("/?show=finished")).text
        shown = re.findall(r"<a class=\"tile[^>]*data-scope=\"([^\"]+)\"(?![^>]*hidden)", html)
        assert shown == ["CP-06/1", "CP-18/1"]
        assert (await client.get("/?show=<b>")).status_code == 200


async def test_theme_is_the_browsers_choice(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        client.cookies.set("chargeyard_theme", "light")
        assert 'data-theme="light"' in (await client.get("/")).text


async def test_a_mistake_of_ours_is_one_sentence_and_a_log_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()

        def broken(_: object) -> None:
            raise RuntimeError("wires crossed")

        monkeypatch.setattr(depot.app.state.web.pages, "now_context", broken)
        answer = await client.get("/")
        assert answer.status_code == 500
        assert "wires" not in answer.text
        assert "wires crossed" in caplog.text
        assert answer.headers["x-frame-options"] == "DENY"


def words_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


async def test_the_grid_page_shows_who_limits_the_link_and_the_demand_block(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        html = (await client.get("/grid")).text
        check(html)
        words = words_of(html)
        for part in (
            "limited to 450 kW: SCADA until 05:00", "import is under the limit", "0.8 s ago", "10.20.0.7:50122", "in 3.4 s",
            "450 kW (peak) from 23:40:00 until 05:00:00, then 500 kW", "Without a heartbeat for 120 s the site falls to 150 kW",
            "+30 kW held", "05:00, then 500 kW", "02:48", "write by a master that may only read",
        ):  # fmt: skip
            assert part in words, part
        assert (await client.get("/limits")).headers["location"] == "/grid"


@pytest.mark.parametrize(
    ("state", "beat_age_s", "expected"),
    [
        ("failsafe", 130.0, ("fail-safe", "The heartbeat of the utility was lost", "a heartbeat and a fresh order are there", "2 min ago")),
        ("init", None, ("waits for heartbeat and order", "The utility was not heard since the start", "never heard")),
        ("unlimited_auto", None, ("silent, released by agreement", "The fail-safe time is over", "never heard")),
        ("limited", 130.0, ("heartbeat is late", "Without a heartbeat")),
    ],
)
async def test_a_link_that_is_not_well_says_so(tmp_path: Path, state: str, beat_age_s: float | None, expected: tuple[str, ...]) -> None:
    async with site(tmp_path) as depot:
        view = connection(sample())
        assert view.utility is not None
        link = msgspec.structs.replace(view.utility, state=state, beat_age_s=beat_age_s, alive=False, order=None, command=None, refusals={})
        at, policy = view.at, FailsafePolicy(contract_w=1, failsafe_w=150_000)
        mode = {"failsafe": UtilityMode.FAILSAFE, "init": UtilityMode.INIT}.get(state, UtilityMode.CONTROLLED)
        cause = of_utility(UtilityLink(at, at, 150_000, 7_200, 120, mode=mode), policy, ahead=timedelta(0))
        causes = [] if cause is None else [cause]
        depot.link.shown[GridView] = msgspec.structs.replace(view, utility=link, compliance="not_compliant", failsafe=causes)
        html = (await (await depot.signed_in()).get("/grid")).text
        check(html)
        words = words_of(html)
        for part in (*expected, "none yet", "import is OVER the limit", "Nothing"):
            assert part in words, part


async def test_every_cause_of_the_failsafe_says_how_it_ends_and_the_site_when_it_is_back(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        view = connection(sample())
        at = view.at
        clock = of_clock(Verdict(at, (Doubt.FAR,)), 150_000)
        causes = [found for found in (of_meter(at, 150_000), clock) if found is not None]
        rise = Rise(at, at + timedelta(seconds=40), at + timedelta(seconds=70), 150_000, 150_000, 450_000, LimitSource.FAILSAFE)
        depot.link.shown[GridView] = msgspec.structs.replace(view, failsafe=causes, comeback=of_rise(rise))
        html = (await (await depot.signed_in()).get("/grid")).text
        check(html)
        words = words_of(html)
        for part in (
            "The connection-point meter is silent for more than 30 s", "the meter is read again", "suspect: depot time is far from it",
            "nothing charges any more, and depot time follows it", "after fail-safe", "The site is held at 150 kW until",
            "to 450 kW", "Coming back until",
        ):  # fmt: skip
            assert part in words, part


async def test_a_depot_without_link_meter_or_feeders_says_how_to_add_them(tmp_path: Path) -> None:
    async with site(tmp_path, empty()) as depot:
        view = connection(empty())
        demand = msgspec.structs.replace(
            view.demand, mean_w=None, expected_w=None, allowed_w=None, highest_w=0, highest_since=None, blocks=[]
        )
        depot.link.shown[GridView] = msgspec.structs.replace(
            view, utility=None, meter=None, feeders=[], demand=demand, compliance="na", limits=[]
        )
        html = (await (await depot.signed_in(Role.VIEWER)).get("/grid")).text
        check(html)
        words = words_of(html)
        for part in ("No utility link configured", "[utility] section", "no meter configured", "not known: no meter value", "No block yet"):
            assert part in words, part
        assert "What the link refused" not in words


async def test_the_grid_page_shows_all_that_the_meter_tells(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        view = connection(sample())
        assert view.meter is not None
        assert view.meter.told is not None
        client = await depot.signed_in(Role.VIEWER)
        words = words_of((await client.get("/grid")).text)
        for part in (
            "Schneider Electric PM5000 series · 10.20.0.9:502 unit 1", "L1 230.0", "Power factor 0.970", "Frequency 49.98 Hz",
            "Import register 4,812,400.0 kWh 21 s ago", "L2 runs the other way",
            "Not given by this meter: export register, power of each phase", "dropped since the start: 3; failed polls: 1",
        ):  # fmt: skip
            assert part in words, part
        silent = msgspec.structs.replace(view.meter.told, values=[], doubts=[], connected=False, not_given=[])
        depot.link.shown[GridView] = msgspec.structs.replace(view, meter=msgspec.structs.replace(view.meter, told=silent))
        html = (await client.get("/grid")).text
        check(html)
        for part in ("Nothing read yet", "does not answer"):
            assert part in words_of(html), part
        depot.link.shown[GridView] = msgspec.structs.replace(view, meter=None)
        html = (await client.get("/grid")).text
        check(html)
        assert "./chargeyard meter probe" in words_of(html)
        found = await client.get("/api/v1/meter")
        assert (found.status_code, found.json()["code"]) == (404, "not_found")
        depot.link.shown[GridView] = view
        told = (await client.get("/api/v1/meter")).json()["told"]
        assert {"quantity": "frequency", "value": 49.98, "unit": "Hz", "age_s": 0.4} in told["values"]


async def test_what_the_utilitys_masters_wanted_is_shown_and_told(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        view = connection(sample())
        assert view.utility is not None
        html = (await client.get("/grid")).text
        check(html)
        words = words_of(html)
        for part in (
            "limit 450000 W for 14400 s event 77",
            "GridServiceSunSpec rtu-1",
            "exception 01",
            "(2 times)",
            "500 → 450",
            "37 of them waited",
        ):
            assert part in words, part
        told = (await client.get("/api/v1/utility")).json()
        assert [word["outcome"] for word in told["words"]] == ["accepted", "exception 01"]
        model = await client.get("/api/v1/utility/model-64900")
        assert model.headers["content-disposition"] == 'attachment; filename="model_64900.json"'
        assert (model.json()["id"], model.json()["group"]["name"]) == (64900, "DepotLoadLimit")
        depot.link.shown[GridView] = msgspec.structs.replace(view, utility=msgspec.structs.replace(view.utility, words=[], delayed=0))
        assert "No command yet" in words_of((await client.get("/grid")).text)
        depot.link.shown[GridView] = msgspec.structs.replace(view, utility=None)
        assert (await client.get("/api/v1/utility")).status_code == 404


async def test_a_site_with_a_generator_says_what_feeds_it_and_takes_a_persons_word(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        view = connection(sample())
        supply = SupplyView(
            now="generator", since=view.at, rating_w=120_000, limit_until=None, by="mani", reason="grid failed", contact="generator"
        )
        client = await depot.signed_in()
        depot.link.shown[GridView] = msgspec.structs.replace(view, supply=supply)
        html = (await client.get("/grid")).text
        check(html)
        for part in (
            "The site runs on its generator",
            "mani: grid failed",
            "held at 120 kW",
            "The transfer switch says generator",
            "Back on grid",
        ):
            assert part in words_of(html), part
        data = {"csrf": await form_value(client), "supply": "grid", "reason": "utility says it is back"}
        assert (await client.post("/grid/supply", data=data)).headers["location"] == "/grid"
        told = depot.link.commands[-1]
        assert isinstance(told, cmd.SetSupply)
        assert (told.supply, told.reason, told.actor) == ("grid", "utility says it is back", "mani")
        assert (await client.post("/grid/supply", data=data | {"supply": "moon"})).status_code == 422
        assert (await client.post("/grid/supply", data=data | {"reason": " "})).status_code == 422
        depot.link.shown[GridView] = msgspec.structs.replace(
            view,
            supply=msgspec.structs.replace(supply, now="grid", limit_until=view.at, contact=""),
            pickup=PickupView(returned_at=view.at, until=view.at, waiting=7),
        )
        html = (await client.get("/grid")).text
        check(html)
        for part in ("Back on the grid", "stays the limit until", "On generator", "Power came back at", "7 vehicles still wait"):
            assert part in words_of(html), part
        operator = await depot.signed_in(Role.OPERATOR)
        refused = await operator.post("/grid/supply", data={"csrf": await form_value(operator), "supply": "generator", "reason": "x"})
        assert refused.status_code == 403
