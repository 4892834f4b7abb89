"""The background behind the connection-point meter: rises at once, falls late, unknown is the worst (invariant 9)."""

from __future__ import annotations

import math

import pytest

from controller.background import ASK_EVERY_S, DOUBT_S, HOLD_S, Background, BackgroundEstimator

WORST = 50_000


class Site:
    """Drives an estimator second by second: true base, chargers' power, their readings and bounds."""

    def __init__(self, *, metered: bool = True) -> None:
        self.estimator = BackgroundEstimator(WORST, metered)
        self.t = 0.0
        self.base_w = 10_000
        self.drawn_w = 20_000
        self.read_w = 20_000
        self.read_s = -1.0
        self.bound_w = 20_000
        self.quiet = True
        self.meter_s: float | None = None

    def second(self, n: int = 1, *, read: bool = True) -> Background:
        found = Background(0)
        for _ in range(n):
            self.t += 1.0
            if read:
                self.read_w, self.read_s = self.drawn_w, self.t
            found = self.estimator.update(
                now_s=self.t,
                meter_w=self.base_w + self.drawn_w,
                meter_at_s=self.t if self.meter_s is None else self.meter_s,
                measured_w=self.read_w,
                bound_w=self.bound_w,
                quiet=self.quiet,
                oldest_s=self.read_s,
                settled_w=self.read_w if self.quiet else self.bound_w,
            )
        return found


def test_without_a_meter_the_registered_worst_counts() -> None:
    assert Site(metered=False).second().now_w == WORST


def test_a_quiet_site_shows_its_background() -> None:
    assert Site().second(3) == Background(10_000)


def test_the_first_moments_that_are_not_quiet_count_the_worst_and_ask() -> None:
    site = Site()
    site.quiet = False
    found = site.second()
    assert (found.now_w, found.doubt) == (WORST, True)


def test_a_jump_that_no_charger_could_explain_counts_in_the_same_second() -> None:
    site = Site()
    site.second(3)
    site.base_w = 25_000
    found = site.second(read=False)
    assert (found.now_w, found.unexplained_w, found.doubt) == (10_000, 15_000, True)


def test_a_jump_is_taken_whole_when_the_chargers_leave_part_of_their_bounds() -> None:
    site = Site()
    site.bound_w = 32_000
    site.second(3)
    site.base_w = 25_000
    found = site.second(read=False)
    assert found.unexplained_w == 3_000  # more is not certain …
    assert found.suspected_w == 15_000  # … but by their meters it is
    site.quiet = False
    assert site.second(read=False).suspected_w == 15_000  # and stays so while they come down


def test_readings_taken_after_the_jump_explain_it() -> None:
    site = Site()
    site.second(3)
    site.base_w = 25_000
    found = site.second(4)
    assert (found.now_w, found.unexplained_w, found.suspected_w) == (25_000, 0, 0)


def test_a_rise_that_chargers_could_explain_is_believed_after_a_while_without_readings() -> None:
    site = Site()
    site.bound_w = 40_000
    site.second(3)
    site.base_w = 15_000
    assert site.second(int(DOUBT_S), read=False).now_w == 10_000
    assert site.second(1, read=False).now_w == 15_000


def test_a_charger_that_takes_more_within_its_bound_is_no_background() -> None:
    site = Site()
    site.bound_w = 40_000
    site.second(3)
    site.drawn_w = 30_000
    assert site.second(1, read=False).doubt
    assert site.second(5).now_w == 10_000


def test_a_fall_is_believed_after_the_hold_time() -> None:
    site = Site()
    site.second(3)
    site.base_w = 2_000
    assert site.second(int(HOLD_S)).now_w == 10_000
    assert site.second(2).now_w == 2_000


def test_a_vehicle_that_tapers_since_its_last_reading_does_not_look_like_less_background() -> None:
    site = Site()
    site.second(3)
    site.drawn_w = 8_000
    asked = [site.second(read=False).doubt for _ in range(200)]
    assert site.second(read=False).now_w == 10_000
    assert asked[0]
    assert sum(asked) == math.ceil(200 / ASK_EVERY_S)  # it asks now and then, not every second


def test_pv_counts_as_negative_background_only_as_measured() -> None:
    site = Site()
    site.base_w = -30_000
    assert site.second(3).now_w == -30_000
    site.base_w = -5_000  # a cloud
    found = site.second(read=False)
    assert found.now_w + found.unexplained_w == -5_000


@pytest.mark.parametrize(("age_s", "stale", "blind"), [(3.0, False, False), (3.1, True, False), (30.0, True, False), (30.1, True, True)])
def test_an_old_meter_value_counts_the_worst_and_after_30_s_the_site_is_blind(age_s: float, stale: bool, blind: bool) -> None:
    site = Site()
    site.second(3)
    site.meter_s = site.t + 1 - age_s
    found = site.second()
    assert (found.stale, found.blind) == (stale, blind)
    assert found.now_w == (WORST if stale else 10_000)


def test_a_background_above_the_registered_worst_stays_counted_while_the_meter_is_silent() -> None:
    site = Site()
    site.base_w = 70_000
    site.second(3)
    site.meter_s = site.t
    assert site.second(5).now_w == 70_000


def test_a_meter_that_never_spoke_is_stale_then_blind() -> None:
    estimator = BackgroundEstimator(WORST, metered=True)
    kept = {"meter_w": None, "meter_at_s": -math.inf, "measured_w": 0, "bound_w": 0, "quiet": True}
    assert estimator.update(now_s=0, **kept) == Background(WORST, stale=True)  # type: ignore[arg-type]  # the same words each time
    assert estimator.update(now_s=31, **kept).blind  # type: ignore[arg-type]  # the same words each time
