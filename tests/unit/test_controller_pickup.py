"""Cold-load pick-up, the decision alone: what is a power cut, who waits how long, and what is none."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.pickup import JUDGE_S, Pickup, PickupSettings
from depot.values import ConnectorId

KEYS = [ConnectorId(f"CP-{n}", 1) for n in range(8)]
CONTRACT_W = 400_000


def pickup(*, min_s: float = 0.0, max_s: float = 120.0, seed: int = 1) -> Pickup:
    return Pickup(PickupSettings(min_s, max_s), CONTRACT_W, Random(seed))  # a test that repeats itself


def boots(of: Pickup, count: int, at_s: float, *, apart_s: float = 1.0, waiting: list[ConnectorId] = KEYS) -> list[bool]:
    return [of.booted(KEYS[n].station_id, at_s + n * apart_s, known=8, waiting=lambda: waiting) for n in range(count)]


def test_half_of_the_stations_boot_together_that_was_a_power_cut() -> None:
    of = pickup()
    assert boots(of, 8, 1000.0) == [False, False, False, True, False, False, False, False]
    assert of.returned_s == 1000.0
    assert of.waiting(1000.0) > 0
    assert of.until_s() <= 1000.0 + 120.0
    releases = [of.release_s(key) for key in KEYS]
    assert releases == sorted(releases, key=lambda at: at or 0.0), "the most urgent comes first"
    for key, release_s in zip(KEYS, releases, strict=True):
        assert release_s is not None
        assert of.holds(key, release_s - 0.1) is (release_s - 0.1 > 0)
        assert not of.holds(key, release_s)
    assert not of.active(of.until_s() + 2)


def test_one_station_that_restarts_waits_only_until_it_is_known_to_be_alone() -> None:
    of = pickup()
    assert boots(of, 1, 50.0) == [False]
    assert of.holds(KEYS[0], 50.0 + JUDGE_S - 1)
    assert not of.holds(KEYS[0], 50.0 + JUDGE_S)
    assert not of.holds(KEYS[1], 51.0)
    assert of.release_s(KEYS[0]) is None


def test_restarts_that_are_far_apart_are_no_power_cut() -> None:
    of = pickup()
    assert not any(boots(of, 8, 0.0, apart_s=61.0))


def test_a_network_that_fails_boots_nobody_and_delays_nothing() -> None:
    of = pickup()
    for key in KEYS:
        of.link(key.station_id, connected=False)
    for key in KEYS:
        of.link(key.station_id, connected=True)
    assert not of.active(100.0)
    assert boots(of, 1, 200.0) == [False]


def test_after_the_meter_went_dark_the_first_boot_is_the_return_of_power() -> None:
    of = pickup()
    of.meter(150_000, 0.0)
    for second in range(1, 600):
        of.meter(40, float(second))
    assert boots(of, 3, 610.0) == [True, False, False]
    assert all(of.release_s(key) is not None for key in KEYS)
    assert not of.holds(KEYS[7], 610.5), "a station that has not booted is not told to wait: it was not down"


def test_a_quiet_night_is_not_dark() -> None:
    of = pickup()
    of.meter(150_000, 0.0)
    of.meter(15_000, 10.0)  # the last vehicles taper
    for second in range(20, 900, 10):
        of.meter(2_000, float(second))
    assert boots(of, 1, 910.0) == [False]


def test_with_most_connections_gone_the_first_boot_is_enough() -> None:
    of = pickup()
    for key in KEYS[:5]:
        of.link(key.station_id, connected=False)
    assert boots(of, 2, 3000.0) == [True, False]


def test_a_second_cut_draws_anew() -> None:
    of = pickup()
    assert any(boots(of, 8, 0.0))
    first = [of.release_s(key) for key in KEYS]
    assert boots(of, 8, 300.0).count(True) == 1
    assert of.returned_s == 300.0
    assert [of.release_s(key) for key in KEYS] != first


@pytest.mark.parametrize(("max_s", "known"), [(0.0, 8), (120.0, 1)])
def test_switched_off_or_alone_nobody_waits(max_s: float, known: int) -> None:
    of = pickup(max_s=max_s)
    assert not any(of.booted(key.station_id, 1.0, known=known, waiting=lambda: KEYS) for key in KEYS)
    assert not any(of.holds(key, 1.0) for key in KEYS)


@given(seed=st.integers(0, 10_000), min_s=st.floats(0, 60), width_s=st.floats(1, 300), count=st.integers(0, 8))
def test_every_delay_lies_in_the_window_and_urgency_decides_the_order(seed: int, min_s: float, width_s: float, count: int) -> None:
    of = pickup(min_s=min_s, max_s=min_s + width_s, seed=seed)
    boots(of, 8, 1000.0, waiting=KEYS[:count])
    delays = [(of.release_s(key) or 0.0) - 1000.0 for key in KEYS[:count]]
    assert all(min_s - 1e-6 <= delay_s <= min_s + width_s + 1e-6 for delay_s in delays)
    assert delays == sorted(delays)
