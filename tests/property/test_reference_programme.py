"""Whatever a test sees: it asks for no more than it was given, and it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from controller.reference_programme import Offer, Recipe, Seen, advanced, begun, recipe_for
from depot.reference_tests import ReferenceOutcome, ReferencePhase

NOW = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)
STEP = timedelta(seconds=97)

offers = st.builds(
    Offer,
    most_w=st.integers(1, 400_000),
    least_w=st.integers(0, 60_000),
    battery_wh=st.integers(1_000, 800_000),
    lacks_wh=st.integers(0, 900_000),
    left_s=st.floats(-3600, 100_000),
    pulses=st.integers(3, 10),
)
looks = st.tuples(
    st.sampled_from([True] * 30 + [False]),  # present
    st.booleans(),  # reachable
    st.booleans(),  # session
    st.sampled_from([""] * 30 + ["tripped"]),
    st.integers(0, 500_000),  # most_w
    st.one_of(st.none(), st.integers(-5_000, 500_000)),  # measured_w; -1: as wished
    st.integers(0, 500_000),  # told_w
    st.one_of(st.none(), st.floats(0, 1)),
    st.booleans(),
    st.integers(0, 900_000),
    st.booleans(),  # obeys: draws what is asked
)


@given(offers)
def test_a_recipe_stays_within_the_offer_and_fits_into_it(offer: Offer) -> None:
    found = recipe_for(offer)
    if isinstance(found, str):
        assert found
        return
    assert 0 < found.low_w < found.high_w <= offer.most_w
    assert offer.least_w <= found.low_w <= found.rate_w <= found.high_w
    assert offer.lacks_wh / found.rate_w * 3600 < offer.left_s


@given(offers, st.lists(looks, min_size=1, max_size=8), st.integers(1, 30))
def test_it_asks_for_no_more_than_it_was_given_and_always_ends(offer: Offer, seen: list[tuple], hours: int) -> None:  # type: ignore[type-arg]
    recipe = recipe_for(offer)
    if isinstance(recipe, str):
        recipe = Recipe(20_000, 8_000, 30_000, offer.pulses)
    leaves_at = NOW + timedelta(hours=hours)
    course, now, n, before = begun(recipe, NOW), NOW, 0, ReferencePhase.REST_BEFORE
    order = list(ReferencePhase)
    while not course.over:
        assert now <= leaves_at + STEP, course  # it is over when its vehicle leaves, at the latest
        present, reachable, session, against, most_w, measured_w, told_w, soc, nothing, lacks_wh, obeys = seen[n % len(seen)]
        if obeys:
            session, measured_w, told_w, most_w = True, course.limit_w, course.limit_w, max(most_w, recipe.high_w)
        look = Seen(now, present, reachable, session, against, most_w, measured_w, told_w, soc, nothing, lacks_wh, leaves_at)
        course = advanced(recipe, course, look)
        assert 0 <= course.limit_w <= min(most_w, recipe.high_w)
        assert order.index(course.phase) >= order.index(before)
        before, now, n = course.phase, now + STEP, n + 1
    assert course.limit_w == 0
    assert course.outcome in (ReferenceOutcome.DONE, ReferenceOutcome.BROKEN_OFF)
    assert (course.outcome is ReferenceOutcome.BROKEN_OFF) == bool(course.why)
