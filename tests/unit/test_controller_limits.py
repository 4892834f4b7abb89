"""Which limit binds, who set it, and what a profile must respect over its life."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controller import limits
from controller.allocation import Budget
from depot.registry import ConnectorSpec, DepotSpec, FeederSpec, StationSpec
from depot.values import Limit, LimitKind, LimitSource, Quantity, ScopeKind

NOW = datetime(2026, 1, 5, 18, 0, tzinfo=UTC)
LIFE = timedelta(seconds=190)
SPEC = DepotSpec(
    "d", "Depot", 250_000, 150_000, 20_000, (FeederSpec("F1", 100_000),), (StationSpec("CP1", "F1", (ConnectorSpec(1, 22_000, 4_000),)),)
)


def limit(
    name: str, value: int, source: LimitSource = LimitSource.MANUAL, *, start_s: float = -60, stop_s: float | None = None, **more: object
) -> Limit:
    until = None if stop_s is None else NOW + timedelta(seconds=stop_s)
    scope_id = str(more.pop("scope_id", ""))
    scope = ScopeKind.FEEDER if scope_id else ScopeKind.SITE
    return Limit(name, scope, value, source, NOW + timedelta(seconds=start_s), scope_id=scope_id, until=until, **more)  # type: ignore[arg-type]  # the fields by name


def test_contract_and_ratings_are_built_in() -> None:
    built = limits.built_in(SPEC)
    assert [(x.scope_id, x.value, x.source) for x in built] == [("", 250_000, LimitSource.CONTRACT), ("F1", 100_000, LimitSource.RATING)]


def test_the_least_binds_and_keeps_its_source() -> None:
    found = [*limits.built_in(SPEC), limit("m", 200_000), limit("s", 180_000, LimitSource.SCADA)]
    binds = limits.binding(found, "", NOW)
    assert binds is not None
    assert (binds.limit_id, binds.source) == ("s", LimitSource.SCADA)


def test_a_looser_limit_lifts_nothing() -> None:
    binds = limits.binding([*limits.built_in(SPEC), limit("m", 900_000)], "", NOW)
    assert binds is not None
    assert binds.source is LimitSource.CONTRACT


@pytest.mark.parametrize(("one", "other"), [(LimitSource.MANUAL, LimitSource.SCADA), (LimitSource.CONTRACT, LimitSource.FAILSAFE)])
def test_among_equals_the_source_that_stands_first_is_shown(one: LimitSource, other: LimitSource) -> None:
    for found in ([limit("a", 5, one), limit("b", 5, other)], [limit("b", 5, other), limit("a", 5, one)]):
        binds = limits.binding(found, "", NOW)
        assert binds is not None
        assert binds.source is one


def test_a_limit_of_0_w_means_zero() -> None:
    assert limits.budget([*limits.built_in(SPEC), limit("m", 0)], "", now=NOW, life=LIFE) == Budget(0, 0)


@pytest.mark.parametrize(
    ("start_s", "stop_s", "budget"),
    [
        (-60, None, Budget(100, 100)),
        (-60, 1, Budget(100, 100)),
        (-60, 0, Budget(900, 900)),  # half-open: over
        (1, None, Budget(900, 100)),
        (189, None, Budget(900, 100)),
        (190, None, Budget(900, 900)),
        (10, 20, Budget(900, 100)),
    ],
)
def test_the_window_is_the_least_over_a_profiles_life(start_s: float, stop_s: float | None, budget: Budget) -> None:
    found = [limit("a", 900), limit("b", 100, start_s=start_s, stop_s=stop_s)]
    assert limits.budget(found, "", now=NOW, life=LIFE) == budget


def test_scopes_do_not_mix_and_other_quantities_and_kinds_are_left_to_others() -> None:
    found = [
        *limits.built_in(SPEC),
        limit("f", 60_000, scope_id="F1"),
        limit("a", 10, quantity=Quantity.A),
        limit("block", 10, kind=LimitKind.BLOCK_AVERAGE),
    ]
    assert limits.budget(found, "", now=NOW, life=LIFE) == Budget(250_000, 250_000)
    assert limits.budget(found, "F1", now=NOW, life=LIFE) == Budget(60_000, 60_000)


def test_no_limit_at_all_allows_nothing() -> None:
    assert limits.binding([], "", NOW) is None
    assert limits.budget([], "", now=NOW, life=LIFE) == Budget(0, 0)


def test_steps_say_who_binds_from_when_on() -> None:
    found = [*limits.built_in(SPEC), limit("dip", 100_000, start_s=600, stop_s=1200), limit("loose", 999_000, start_s=700)]
    steps = limits.steps(found, "", start=NOW, stop=NOW + timedelta(hours=1))
    assert [((at - NOW).total_seconds(), x.limit_id) for at, x in steps] == [(0, "contract"), (600, "dip"), (1200, "contract")]


def test_the_fail_safe_limit_says_why() -> None:
    found = limits.failsafe(SPEC, NOW)
    assert (found.value, found.source) == (150_000, LimitSource.FAILSAFE)
    assert "30 s" in found.reason
