"""A plan's limits from what was built and what is in force."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from controller import limits
from controller.planning_limits import feeders_of, least_kw, places, site_limits
from depot.registry import ConnectorSpec, DepotSpec, FeederSpec, StationSpec
from depot.values import ConnectorId, InvalidValue, Limit, LimitSource, ScopeKind
from optimizer.site_limits import SILENT_KW, least_of, sources

START = datetime(2026, 1, 12, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def site(source: LimitSource, watts: int, first: int = -4, last: int | None = None, name: str = "") -> Limit:
    until = None if last is None else START + last * QUARTER
    return Limit(name or source.value, ScopeKind.SITE, watts, source, START + first * QUARTER, until=until)


def depot(**others: object) -> DepotSpec:
    two = (ConnectorSpec(1, 60_000, 3_000), ConnectorSpec(2, 60_000, 3_000))
    parts = {
        "feeders": (FeederSpec("main", 300_000), FeederSpec("hall", 200_000)),
        "stations": (StationSpec("CP1", "hall", two), StationSpec("CP2", "hall", (ConnectorSpec(1, 60_000, 3_000),))),
    }
    return DepotSpec("d", "D", 500_000, 50_000, 0, **(parts | others))  # type: ignore[arg-type]


def test_each_source_keeps_its_own_series_and_the_least_binds() -> None:
    its = [site(LimitSource.CONTRACT, 100_000), site(LimitSource.SCADA, 60_000, 1, 3), site(LimitSource.MANUAL, 80_000, 2)]
    its.append(site(LimitSource.RATING, 90_000, name="transformer"))
    named = site_limits(its, np.full(4, 0.9), start=START, slots=4, slot_s=900)
    assert [limit.source for limit in named] == ["contract", "manual", "scada", "transformer"]
    least = least_of(named)
    assert least == pytest.approx([81, 54, 54, 72])
    assert sources(named, least) == ("transformer", "scada", "scada", "manual")


def test_a_limit_that_holds_for_a_moment_of_a_slot_holds_for_the_slot() -> None:
    moment = Limit("m", ScopeKind.SITE, 5_000, LimitSource.MANUAL, START + 1.5 * QUARTER, until=START + 1.6 * QUARTER)
    edge = Limit("e", ScopeKind.SITE, 7_000, LimitSource.MANUAL, START + 3 * QUARTER, until=START + 4 * QUARTER)
    least = least_kw([moment, edge], start=START, slots=5, slot_s=900, silent_kw=SILENT_KW)
    assert least.tolist() == [SILENT_KW, 5, SILENT_KW, 7, SILENT_KW]
    for limit in (moment, edge):
        for k in range(5):
            touches = limit.touches(START + k * QUARTER, START + (k + 1) * QUARTER)
            assert touches == (least_kw([limit], start=START, slots=5, slot_s=900)[k] > 0)


def test_where_nobody_says_anything_nothing_is_allowed() -> None:
    named = site_limits([site(LimitSource.CONTRACT, 100_000, 0, 2)], np.ones(4), start=START, slots=4, slot_s=900)
    assert least_of(named) == pytest.approx([100, 100, 0, 0])
    assert least_of(site_limits([], np.ones(4), start=START, slots=4, slot_s=900)).tolist() == [0] * 4


def test_the_series_are_what_the_limiter_allows_over_a_slot() -> None:
    spec = depot()
    in_force = [*limits.built_in(spec), site(LimitSource.SCADA, 60_000, 1, 3), site(LimitSource.GENERATOR, 30_000, 2, 5)]
    least = least_of(site_limits(in_force, np.ones(6), start=START, slots=6, slot_s=900))
    for k in range(6):
        assert least[k] * 1000 == limits.budget(in_force, "", now=START + k * QUARTER, life=QUARTER).window_w


def test_feeders_stand_in_a_tree_and_a_cabinet_hangs_on_its_feeder() -> None:
    spec = depot(feeder_parents={"hall": "main"}, hub_w={"CP1": 100_000})
    feeders = feeders_of(spec, lambda _: np.full(2, 7.0))
    assert [(feeder.id, feeder.parent) for feeder in feeders] == [("main", None), ("hall", 0), ("hub CP1", 1)]
    assert float(feeders[2].limit_kw) == 100
    assert dict(places(spec)) == {ConnectorId("CP1", 1): 2, ConnectorId("CP1", 2): 2, ConnectorId("CP2", 1): 1}
    assert [(feeder.id, feeder.parent) for feeder in feeders_of(depot(), lambda _: np.ones(2))] == [("main", None), ("hall", None)]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"feeder_parents": {"hall": "yard"}}, "'yard' is not declared"),
        ({"feeder_parents": {"hall": "hall"}}, "lead back"),
        ({"feeder_parents": {"hall": "main", "main": "hall"}}, "lead back"),
        ({"hub_w": {"CP1": 0}}, "more than 0 W"),
        ({"hub_w": {"CP1": 9}, "feeders": (FeederSpec("hub CP1", 9), FeederSpec("hall", 9))}, "another id"),
    ],
)
def test_a_tree_that_cannot_be_is_refused(what: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        depot(**what)
