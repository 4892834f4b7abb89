"""Sequence numbers that were heard: a set, whatever order they come in."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.seq_numbers import RANGES_MOST, SeqNumbers


@given(st.lists(st.integers(-3, 60), max_size=80))
def test_problem_05_it_is_the_set_of_what_was_added(numbers: list[int]) -> None:
    heard = SeqNumbers()
    for number in numbers:
        heard.add(number)
    said = {n for n in range(-5, 65) if n in heard}
    assert said == set(numbers)
    assert heard.newest == max(numbers, default=-1)
    ranges = heard.ranges
    assert all(low <= high for low, high in ranges)
    assert all(before[1] + 1 < after[0] for before, after in itertools.pairwise(ranges))
    assert SeqNumbers(ranges).ranges == ranges


def test_a_station_that_skips_numbers_fills_nothing() -> None:
    heard = SeqNumbers()
    for number in range(0, 100_000, 2):
        heard.add(number)
    assert len(heard.ranges) == RANGES_MOST
    assert 99_998 in heard
    assert 0 not in heard
