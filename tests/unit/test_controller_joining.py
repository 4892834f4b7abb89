"""Answers in several messages: whole only with every part, and never larger or longer than they may be."""

from __future__ import annotations

import asyncio

import pytest

from controller.joining import MOST_WEIGHT, UNDER_WAY, Joinings

pytestmark = pytest.mark.anyio


async def test_parts_are_put_in_their_order_and_a_repeated_one_counts_once() -> None:
    joinings: Joinings[str] = Joinings()
    joining = joinings.expect("CP-1", 7)
    assert joinings.add("CP-1", 7, "c", seq=2, more=False)
    assert joinings.add("CP-1", 7, "a", seq=0, more=True)
    assert joinings.add("CP-1", 7, "a", seq=0, more=True)
    assert not joining.result.done()
    assert joinings.add("CP-1", 7, "b", seq=1, more=True)
    joined = await joining.result
    assert (joined.parts, joined.complete) == (("a", "b", "c"), True)
    assert joinings.of("CP-1", 7) is None
    assert not joinings.add("CP-1", 7, "late", seq=3, more=False)


async def test_a_part_of_another_station_or_that_nobody_asked_for_is_dropped() -> None:
    joinings: Joinings[str] = Joinings()
    joining = joinings.expect("CP-1", 7)
    assert not joinings.add("CP-2", 7, "x", more=False)
    assert not joinings.add("CP-1", 8, "x", more=False)
    assert not joining.result.done()
    joining.give_up("enough")


async def test_silence_ends_it_incomplete() -> None:
    joinings: Joinings[str] = Joinings(silent_s=0.01)
    joining = joinings.expect("CP-1", 7)
    joinings.add("CP-1", 7, "a", more=True)
    joined = await asyncio.wait_for(joining.result, 5)
    assert (joined.parts, joined.complete, joined.note) == (("a",), False, "the station told no more")


async def test_too_much_ends_it_incomplete_and_so_do_too_many() -> None:
    joinings: Joinings[str] = Joinings()
    joining = joinings.expect("CP-1", 0)
    joinings.add("CP-1", 0, "a", weight=MOST_WEIGHT, more=True)
    joinings.add("CP-1", 0, "b", more=False)
    assert not (await joining.result).complete
    first, *others = [joinings.expect("CP-1", n) for n in range(1, UNDER_WAY + 2)]
    assert not (await first.result).complete
    for other in others:
        other.give_up("enough")


async def test_a_first_part_that_is_missing_is_missed() -> None:
    joinings: Joinings[str] = Joinings()
    joining = joinings.expect("CP-1", 7)
    joinings.add("CP-1", 7, "b", seq=1, more=False)
    assert not joining.result.done()
    joining.whole()
    assert (await joining.result).complete
