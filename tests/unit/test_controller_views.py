"""What the screens say over small made-up yards: the answer, tiles, notices, limits, one charger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from small_yard import NOW, ONE, THREE, TWO, SmallYard

from controller.planner import PlannerState
from controller.readmodel import NowView, TileState
from depot import events as ev
from depot.readings import SiteReading
from depot.values import Because, Limit, LimitSource, ScopeKind

S = ev.ConnectorStatus
Setup = Callable[[SmallYard], None]


def see(*setups: Setup) -> NowView:
    yard = SmallYard()
    for setup in setups:
        setup(yard)
    return yard.views.now()


def bus(y: SmallYard) -> None:
    y.arrive(ONE, "E-1")
    y.plan({"E-1": (0, 0, 60_000, 60_000, 60_000, 60_000)})


def tight(y: SmallYard) -> None:
    y.arrive(TWO, "E-2", kwh=54, hours=1)


def late(y: SmallYard) -> None:
    y.arrive(THREE, "E-3", kwh=60, hours=0.5)


def over(y: SmallYard) -> None:
    y.meter.reading = SiteReading(NOW, 230_000)


def blind(y: SmallYard) -> None:
    y.meter.reading = SiteReading(NOW - timedelta(seconds=30), 50_000)


def frozen(y: SmallYard) -> None:
    y.journal.frozen = True


@pytest.mark.parametrize(
    ("setups", "tone", "text"),
    [
        ([], "ok", "No vehicle is expected. Site 150 kW under limit."),
        ([bus], "ok", "Yes. The one vehicle leaves on time. Site 150 kW under limit."),
        ([bus, tight], "warn", "Nearly. 1 of 2 vehicles at risk. Site 150 kW under limit."),
        ([bus, late], "alarm", "No. E-3 leaves short. Site 150 kW under limit."),
        ([bus, tight, late], "alarm", "No. E-3 leaves short, 1 at risk. Site 150 kW under limit."),
        ([bus, over], "alarm", "No. Site 30 kW OVER its limit."),
        ([late, over], "alarm", "No. Site 30 kW OVER its limit."),
        ([bus, blind], "warn", "Yes. The one vehicle leaves on time. Site meter silent: the worst background is assumed."),
        ([bus, frozen], "alarm", "Not sure. The journal cannot write, nothing new starts. Site 150 kW under limit."),
    ],
)
def test_the_answer(setups: list[Setup], tone: str, text: str) -> None:
    view = see(*setups)
    assert (view.answer.tone, view.answer.text) == (tone, text)


def test_the_first_to_leave_is_named_and_the_others_are_counted() -> None:
    view = see(late, lambda y: y.arrive(ONE, "E-7", hours=0.3), lambda y: y.arrive(TWO, "E-8", hours=0.6))
    assert view.answer.text.startswith("No. E-7 and 2 more leave short.")
    assert (view.counts.late, view.counts.vehicles, view.counts.next_departure) == (3, 3, "E-7")


def tile_of(*setups: Setup) -> tuple[TileState, str]:
    tile = see(*setups).tiles[0]
    return tile.state, tile.state_text


def status(value: S, error: str = "NoError") -> Setup:
    return lambda y: y.status(ONE, value, error)


def one_late(y: SmallYard) -> None:
    y.arrive(ONE, "E-1", hours=0.5)


def out(y: SmallYard) -> None:
    y.put(ev.ConnectorAvailabilitySet(ONE, False, "cable"))


def away(y: SmallYard) -> None:
    y.yard.links["CP-1"] = replace(y.yard.links["CP-1"], connected=False)


def charging(y: SmallYard) -> None:
    y.session(ONE, power_w=40_000)


def held(y: SmallYard) -> None:
    y.put(ev.VisitHeld("visit E-1", held=True))


def by_site(y: SmallYard) -> None:
    y.decided({ONE: Because.SITE}, {ONE: 40_000})


@pytest.mark.parametrize(
    ("setups", "state", "text"),
    [
        ([], TileState.AVAILABLE, "Available"),
        ([status(S.UNKNOWN)], TileState.UNKNOWN, "No status yet"),
        ([status(S.UNAVAILABLE)], TileState.OUT_OF_SERVICE, "Unavailable"),
        ([status(S.PREPARING)], TileState.WAITING, "Plugged, unknown"),
        ([charging], TileState.CHARGING, "Charging, unannounced"),
        ([bus], TileState.WAITING, "Starts 22:30"),
        ([bus, charging], TileState.CHARGING, "Charging"),
        ([bus, charging, by_site], TileState.LIMITED, "Limited"),
        ([bus, held], TileState.AT_RISK, "At risk, held"),
        ([lambda y: y.arrive(ONE, "E-1", kwh=0)], TileState.FINISHED, "Finished"),
        ([bus, away], TileState.OFFLINE, "Offline"),
        ([bus, away, out], TileState.OUT_OF_SERVICE, "Out of service"),
        ([bus, away, out, status(S.FAULTED, "GroundFailure")], TileState.FAULTED, "Faulted, GroundFailure"),
        ([status(S.FAULTED)], TileState.FAULTED, "Faulted"),
        ([one_late, away, out, status(S.FAULTED)], TileState.LATE, "31 kWh short"),
    ],
)
def test_the_worst_thing_that_is_true_stands_on_the_tile(setups: list[Setup], state: TileState, text: str) -> None:
    got = tile_of(*setups)
    assert got[0] is state
    assert got[1] == text or (state is TileState.LATE and got[1].endswith("short"))


def test_a_paused_session_goes_on() -> None:
    assert tile_of(bus, lambda y: y.session(ONE, power_w=0)) == (TileState.WAITING, "Goes on 22:30")


def titles(view: NowView) -> list[tuple[int, str]]:
    return [(n.priority, n.title) for n in view.notices]


def test_notices_worst_first_with_what_to_do() -> None:
    def troubles(y: SmallYard) -> None:
        late(y)
        blind(y)
        frozen(y)
        y.status(ONE, S.FAULTED, "GroundFailure")
        y.put(ev.ConnectorTrustChanged(TWO, ev.TrustLevel.OVERDRAWS, 1.12), ev.StationQuarantined("STRANGER"))
        y.planner_state = PlannerState.DEAD
        y.yard.links["CP-2"] = replace(y.yard.links["CP-2"], connected=False)

    view = see(troubles)
    assert [p for p, _ in titles(view)] == sorted(p for p, _ in titles(view))
    assert {t for _, t in titles(view)} >= {
        "The journal cannot write", "Site meter silent", "CP-1 faulted: GroundFailure", "CP-2 offline", "CP-2 draws more than told",
        "The planner is dead", "Unknown station STRANGER",
    }  # fmt: skip
    assert any(t.startswith("E-3 leaves") and t.endswith("short") for _, t in titles(view))
    assert all(n.action.endswith(".") for n in view.notices)
    assert (view.health.journal, view.health.planner, view.health.quarantined) == ("frozen", "dead", ["STRANGER"])


def test_a_notice_keeps_since_when_and_forgets_it_when_it_is_over() -> None:
    yard = SmallYard()
    frozen(yard)
    yard.views.now()
    yard.clock.at += timedelta(minutes=5)
    yard.meter.reading = SiteReading(yard.clock.at, 50_000)
    assert [n.since for n in yard.views.now().notices] == [NOW]
    yard.journal.frozen = False
    assert yard.views.now().notices == []
    yard.journal.frozen = True
    assert [n.since for n in yard.views.now().notices] == [yard.clock.at]


def test_a_quiet_yard_needs_nobody() -> None:
    assert see(bus).notices == []


def test_the_limit_says_whose_it_is_and_what_follows() -> None:
    def by_hand(y: SmallYard) -> None:
        until = NOW + timedelta(hours=2)
        y.put(ev.LimitSet(Limit("manual:", ScopeKind.SITE, 90_000, LimitSource.MANUAL, NOW, until=until, set_by="Asha", reason="works")))

    site = see(by_hand).site
    assert (site.limit.value_w, site.limit.source, site.limit.set_by, site.limit.then_w) == (90_000, "manual", "Asha", 200_000)
    assert site.headroom_w == 40_000


def test_the_chart_runs_from_noon_to_noon_with_the_limit_all_along() -> None:
    chart = see(bus).chart
    assert chart.stop - chart.start == timedelta(hours=24)
    assert chart.limit[0].at == chart.start
    assert all(NOW <= p.at < chart.stop for p in chart.plan)


def test_one_charger_tells_its_session_profiles_and_what_happens_in_silence() -> None:
    yard = SmallYard()
    bus(yard)
    yard.history.session_point(ONE, NOW, 40_000, 0.3)
    yard.session(ONE, power_w=40_000, delivered_wh=10_000)
    view = yard.views.charger("CP-1/1")
    assert view is not None
    assert view.session is not None
    assert (view.session.delivered_wh, view.session.cost, view.session.id_tag) == (10_000, 60.0, "••••1234")
    assert view.missing_wh == 50_000
    assert [(p.purpose, p.limit_w, p.confirmed) for p in view.profiles] == [("transaction", 40_000, True), ("default", 6_000, True)]
    assert view.if_silent == "CP-1 keeps 40.0 kW until its profile expires, then gives at most its default of 6.0 kW."
    assert (view.can_start, view.can_stop) == (False, True)
    assert yard.views.charger("CP-9/1") is None
    assert yard.views.charger("nonsense") is None


def test_a_connector_without_default_says_so() -> None:
    view = SmallYard().views.charger("CP-2/1")
    assert view is not None
    assert view.if_silent == "CP-2 gives up to its rating of 60 kW: no default is confirmed."


@pytest.mark.parametrize("setups", [[], [bus, tight], [late, over]])
def test_a_view_that_is_made_by_turns_is_the_same(setups: list[Setup], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.views.PORTION", 1)
    yard = SmallYard()
    for setup in setups:
        setup(yard)
    assert asyncio.run(yard.views.now_by_turns()) == yard.views.now()


def test_a_vehicle_that_comes_while_a_view_is_made_stands_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.views.PORTION", 1)

    async def main() -> None:
        yard = SmallYard()
        bus(yard)
        making = asyncio.create_task(yard.views.now_by_turns())
        await asyncio.sleep(0)
        tight(yard)
        assert (await making).counts.vehicles == 2

    asyncio.run(main())
