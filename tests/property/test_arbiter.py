"""The arbiter: at every moment the least of all sources binds, and an override raises nothing above what it may not touch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from controller import limits
from controller.arrangements import OVERRIDABLE, lifted, scope_kind
from depot.limit_book import LimitOverride
from depot.values import Limit, LimitSource

ZERO = datetime(2026, 11, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SPAN = 600
SCOPES = ("", "A", "CP1/1")

minutes = st.integers(-60, SPAN)
watts = st.integers(0, 500_000)


@st.composite
def some_limits(draw: st.DrawFn) -> list[Limit]:
    out = []
    for number in range(draw(st.integers(1, 12))):
        start = draw(minutes)
        length = draw(st.none() | st.integers(1, 300))
        scope_id = draw(st.sampled_from(SCOPES))
        until = None if length is None else ZERO + (start + length) * MINUTE
        source = draw(st.sampled_from(list(LimitSource)))
        out.append(Limit(f"l{number}", scope_kind(scope_id), draw(watts), source, ZERO + start * MINUTE, scope_id=scope_id, until=until))
    return out


@st.composite
def an_override(draw: st.DrawFn) -> LimitOverride:
    start, length = draw(st.integers(0, SPAN)), draw(st.integers(1, 120))
    sources = draw(st.lists(st.sampled_from(list(LimitSource)), min_size=1, unique=True))
    ended = draw(st.none() | st.integers(1, 120))
    at = ZERO + start * MINUTE
    return LimitOverride(
        "o", draw(st.sampled_from(SCOPES)), draw(watts), tuple(sources), at, at + length * MINUTE, "mani", "late",
        ended_at=None if ended is None else at + ended * MINUTE,
    )  # fmt: skip


def least(found: list[Limit], scope_id: str, at: datetime) -> int | None:
    """By its own hand: the smallest value of what holds."""
    values = [x.value for x in found if x.scope_id == scope_id and x.from_ <= at and (x.until is None or at < x.until)]
    return min(values, default=None)


@settings(max_examples=300, deadline=None)
@given(some_limits(), st.sampled_from(SCOPES), minutes)
def test_the_least_of_all_sources_binds_at_any_time(found: list[Limit], scope_id: str, minute: int) -> None:
    at = ZERO + minute * MINUTE
    binds = limits.binding(found, scope_id, at)
    assert (None if binds is None else binds.value) == least(found, scope_id, at)
    steps = limits.steps(found, scope_id, start=ZERO, stop=ZERO + SPAN * MINUTE)
    held = [limit for since, limit in steps if since <= at]
    if held and minute >= 0 and least(found, scope_id, at) is not None:
        assert held[-1].value == least(found, scope_id, at)


@settings(max_examples=300, deadline=None)
@given(some_limits(), an_override(), minutes, st.sampled_from(SCOPES))
def test_an_override_raises_only_what_it_may_only_while_it_holds_and_only_to_its_level(
    found: list[Limit], override: LimitOverride, minute: int, scope_id: str
) -> None:
    at = ZERO + minute * MINUTE
    out = lifted(found, override, {})
    before, after = least(found, scope_id, at), least(out, scope_id, at)
    if not override.holds(at) or scope_id != override.scope_id:
        assert after == before
        return
    physical = least([x for x in found if x.source not in OVERRIDABLE or x.source not in override.sources], scope_id, at)
    assert (after is None) == (before is None)
    if before is not None and after is not None:
        assert before <= after
        assert after == before or after <= override.value_w
        assert physical is None or after <= physical
    assert len({x.limit_id for x in out}) == len(out)
    binds = limits.binding(out, scope_id, at)
    assert (None if binds is None else binds.value) == after
