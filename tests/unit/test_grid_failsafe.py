"""The fail-safe state machine, played through on a table of moments (EEBus LPC cases by the names in the reference)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from depot.values import LimitSource, UtilityLink, UtilityMode, UtilityOrder
from grid.failsafe import (
    Beat,
    FailsafeChange,
    FailsafePolicy,
    LinkEvent,
    Ordered,
    SteadyTime,
    Tick,
    Verdict,
    acknowledged,
    begin,
    limits,
    next_change,
    releases_at,
    resume,
    shifted,
    step,
    verdict,
    worth_recording,
)
from grid.limit_model import AckState, Alarm, LimitOrigin, LimitState

T0 = datetime(2026, 1, 12, 6, tzinfo=UTC)
POLICY = FailsafePolicy(contract_w=1_000_000, failsafe_w=200_000)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def order(seconds: float, value_w: int | None = 400_000, **changes: object) -> UtilityOrder:
    return replace(UtilityOrder(1, at(seconds), value_w), **changes)


def play(*events: tuple[float, LinkEvent], link: UtilityLink | None = None) -> tuple[UtilityLink, Verdict]:
    link = link or begin(POLICY, T0)
    found = verdict(link, T0, POLICY)
    for seconds, event in events:
        link, found = step(link, event, at(seconds), POLICY)
    return link, found


def beats(start: int, stop: int, every: int = 30) -> list[tuple[float, LinkEvent]]:
    return [(float(s), Beat((s, 0))) for s in range(start, stop, every)]


CONTROLLED: list[tuple[float, LinkEvent]] = [(1, Beat((1, 0))), (2, Ordered(order(2)))]


def test_lpc_ts_017_first_run_applies_the_failsafe_limit_until_the_utility_speaks() -> None:
    link, found = play((0, Tick()), (9_999, Tick()))
    assert (found.state, found.limit_w, found.origin) == (LimitState.INIT, 200_000, LimitOrigin.FAILSAFE)
    assert found.alarms == Alarm.HB_LOST
    assert link.order is None


def test_a_heartbeat_alone_or_an_order_alone_does_not_leave_init() -> None:
    assert play(*beats(0, 600))[1].state is LimitState.INIT
    _, found = play((1, Ordered(order(1))))
    assert (found.state, found.limit_w) == (LimitState.INIT, 200_000)
    _, found = play((1, Ordered(order(1, 50_000))))
    assert (found.limit_w, found.origin) == (50_000, LimitOrigin.UTILITY)


def test_heartbeat_and_order_in_either_sequence_leave_init() -> None:
    for events in (CONTROLLED, [(1, Ordered(order(1))), (2, Beat((1, 0)))]):
        _, found = play(*events)
        assert (found.state, found.limit_w, found.origin) == (LimitState.LIMITED, 400_000, LimitOrigin.UTILITY)


def test_zero_watts_means_zero_and_a_switched_off_limit_means_none() -> None:
    _, found = play((1, Beat((1, 0))), (2, Ordered(order(2, 0))))
    assert (found.state, found.limit_w) == (LimitState.LIMITED, 0)
    _, found = play((1, Beat((1, 0))), (2, Ordered(order(2, None))))
    assert (found.state, found.limit_w) == (LimitState.UNLIMITED_CTL, None)


def test_heartbeat_lost_is_failsafe_at_the_timeout_and_not_before() -> None:
    assert play(*CONTROLLED, (120.9, Tick()))[1].state is LimitState.LIMITED
    link, found = play(*CONTROLLED, (121, Tick()))
    assert (found.state, found.limit_w, found.origin, found.alarms) == (
        LimitState.FAILSAFE, 200_000, LimitOrigin.FAILSAFE, Alarm.HB_LOST,
    )  # fmt: skip
    assert link.since == at(121)


def test_failsafe_never_lifts_a_tighter_order() -> None:
    _, found = play((1, Beat((1, 0))), (2, Ordered(order(2, 0))), (500, Tick()))
    assert (found.state, found.limit_w, found.origin) == (LimitState.FAILSAFE, 0, LimitOrigin.UTILITY)


def test_failsafe_is_left_only_by_a_heartbeat_and_an_order_that_follows() -> None:
    lost = [*CONTROLLED, (500.0, Tick())]
    assert play(*lost, (501, Beat((2, 0))))[1].state is LimitState.FAILSAFE
    assert play(*lost, *beats(501, 100_000))[1].state is LimitState.FAILSAFE
    assert play(*lost, (501, Ordered(order(501))))[1].limit_w == 200_000
    assert play(*lost, (501, Beat((2, 0))), (502, Ordered(order(502, 300_000))))[1].limit_w == 300_000
    assert play(*lost, (501, Ordered(order(501, 300_000))), (502, Beat((2, 0))))[1].limit_w == 300_000


def test_a_heartbeat_that_comes_too_late_was_lost_before() -> None:
    assert play(*CONTROLLED, (500, Beat((2, 0))))[1].state is LimitState.FAILSAFE


def test_an_order_without_validity_does_not_expire() -> None:
    assert play(*CONTROLLED, *beats(30, 100_000))[1].limit_w == 400_000


@pytest.mark.parametrize(
    ("changes", "limit_w", "origin"),
    [
        ({}, 200_000, LimitOrigin.REVERSION),
        ({"reversion_w": 300_000}, 300_000, LimitOrigin.REVERSION),
        ({"reversion_w": 0}, 0, LimitOrigin.REVERSION),
        ({"reversion_limited": False}, None, LimitOrigin.NONE),
    ],
)
def test_after_the_validity_the_reversion_holds_and_without_one_the_failsafe_limit(
    changes: dict[str, object], limit_w: int | None, origin: LimitOrigin
) -> None:
    given = (2.0, Ordered(order(2, validity_s=60, **changes)))
    link, found = play((1, Beat((1, 0))), given, (61, Tick()))
    assert (found.limit_w, found.remaining_s, found.expired) == (400_000, 1, False)
    link, found = play((62, Tick()), link=link)
    assert (found.limit_w, found.origin, found.remaining_s, found.expired) == (limit_w, origin, 0, True)


def test_a_released_site_with_a_validity_is_not_released_for_ever() -> None:
    _, found = play((1, Beat((1, 0))), (2, Ordered(order(2, None, validity_s=60))), (62, Tick()))
    assert found.limit_w == 200_000


def test_an_order_with_a_start_delay_leaves_the_one_before_in_force_until_then() -> None:
    later = (10.0, Ordered(order(10, 100_000, delay_s=60, validity_s=30)))
    link, found = play(*CONTROLLED, later)
    assert found.limit_w == 400_000
    assert next_change(link, at(10)) == at(70)
    assert play(*CONTROLLED, later, (70, Tick()))[1].limit_w == 100_000
    assert play(*CONTROLLED, later, (100, Tick()))[1].limit_w == 200_000


def test_a_heartbeat_that_returns_long_after_an_order_does_not_make_it_fresh() -> None:
    lost = [*CONTROLLED, (500.0, Tick()), (501.0, Ordered(order(501)))]
    assert play(*lost, (621, Beat((2, 0))))[1].state is LimitState.LIMITED
    assert play(*lost, (622, Beat((2, 0))))[1].state is LimitState.FAILSAFE


def test_a_rarely_stepped_link_comes_to_the_same_end() -> None:
    lost = [*CONTROLLED, (500.0, Tick()), (501.0, Beat((2, 0))), (550.0, Ordered(order(550, delay_s=1)))]
    for between in ([], [(551.0, Tick())], [(float(s), Tick()) for s in range(551, 640)]):
        assert play(*lost, *between, (640, Beat((3, 0))))[1].state is LimitState.FAILSAFE


def test_a_delayed_order_does_not_leave_failsafe_before_it_begins() -> None:
    lost = [*CONTROLLED, (500.0, Tick()), (501.0, Beat((2, 0))), (502.0, Ordered(order(502, None, delay_s=60)))]
    assert play(*lost, (561, Tick()))[1].state is LimitState.FAILSAFE
    assert play(*lost, (562, Tick()))[1].state is LimitState.UNLIMITED_CTL


def test_an_order_given_before_the_loss_is_not_fresh_when_it_begins_after_it() -> None:
    _, found = play(*CONTROLLED, (3, Ordered(order(3, None, delay_s=300))), (290, Tick()), (295, Beat((2, 0))), (303, Tick()))
    assert (found.state, found.limit_w) == (LimitState.FAILSAFE, 200_000)


def test_a_ramp_goes_in_a_straight_line_from_what_held_before() -> None:
    ramp = (10.0, Ordered(order(10, 0, ramp_s=100)))
    assert play(*CONTROLLED, ramp)[1].limit_w == 400_000
    assert play(*CONTROLLED, ramp, (35, Tick()))[1].limit_w == 300_000
    link, found = play(*CONTROLLED, ramp, (109, Tick()))
    assert found.limit_w == 4_000
    assert next_change(link, at(109)) == at(109)
    assert play((110, Tick()), link=link)[1].limit_w == 0


def test_the_arbiter_hears_of_a_falling_ramp_before_profiles_could_outlive_it() -> None:
    link, _ = play(*CONTROLLED, (10, Ordered(order(10, 0, ramp_s=400))))
    (limit,) = limits(link, at(10), POLICY)
    assert limit.value == 200_000  # where the ramp will be 200 s from now
    link, _ = play(*CONTROLLED, (10, Ordered(order(10, 1_000_000, ramp_s=400))))
    (limit,) = limits(link, at(10), POLICY)
    assert limit.value == 400_000


def test_the_arbiter_hears_what_comes_after_what() -> None:
    link, _ = play((1, Beat((1, 0))), (2, Ordered(order(2, validity_s=60))), (3, Ordered(order(3, 100_000, delay_s=97, validity_s=20))))
    hour = timedelta(hours=1)
    found = limits(link, at(3), POLICY, ahead=hour)
    assert [(limit.value, limit.from_ - hour, limit.until and limit.until - hour) for limit in found] == [
        (400_000, at(2), at(62)),  # it holds already: since it was ordered
        (200_000, at(62), at(100)),
        (100_000, at(100), at(120)),
        (200_000, at(120), None),
    ]
    assert len({limit.limit_id for limit in found}) == 4
    link, _ = step(link, Tick(), at(500), POLICY)
    assert [(limit.value, limit.source) for limit in limits(link, at(500), POLICY)] == [(200_000, LimitSource.FAILSAFE)]


def test_failsafe_values_are_changed_one_by_one_and_capped_by_the_contract() -> None:
    link, _ = play((1, FailsafeChange(limit_w=5_000_000)), (2, FailsafeChange(heartbeat_timeout_s=10)))
    assert (link.failsafe_w, link.failsafe_min_s, link.heartbeat_timeout_s) == (1_000_000, 7_200, 10)
    assert acknowledged(link, at(2), POLICY, change=FailsafeChange(limit_w=5_000_000)) is AckState.CLAMPED
    assert acknowledged(link, at(2), POLICY, change=FailsafeChange(heartbeat_timeout_s=10)) is AckState.ACCEPTED


@pytest.mark.parametrize(
    ("events", "asked", "state"),
    [
        (CONTROLLED, order(2), AckState.ACCEPTED),
        ([(2, Ordered(order(2)))], order(2), AckState.CLAMPED),
        ([(1, Beat((1, 0))), (2, Ordered(order(2, 2_000_000)))], order(2, 2_000_000), AckState.CLAMPED),
        ([(2, Ordered(order(2, 100_000)))], order(2, 100_000), AckState.ACCEPTED),
        ([(2, Ordered(order(2, None)))], order(2, None), AckState.CLAMPED),
        ([*CONTROLLED, (3, Ordered(order(3, seq=2)))], order(2), AckState.SUPERSEDED),
        ([(2, Ordered(order(2, delay_s=60)))], order(2, delay_s=60), AckState.ACCEPTED),
        ([*CONTROLLED, (3, Ordered(order(3, 0, ramp_s=60)))], order(3, 0, ramp_s=60), AckState.ACCEPTED),
    ],
)
def test_the_acknowledgement_says_what_is_true(events: list[tuple[float, LinkEvent]], asked: UtilityOrder, state: AckState) -> None:
    link, _ = play(*events)
    assert acknowledged(link, at(3), POLICY, order=asked) is state


# -- restarts ---------------------------------------------------------------------------------------------------------


def restarted(link: UtilityLink, seconds: float, policy: FailsafePolicy = POLICY) -> tuple[UtilityLink, Verdict]:
    link = msgspec.json.decode(msgspec.json.encode(link), type=UtilityLink)
    return step(resume(link, policy, at(seconds)), Tick(), at(seconds), policy)


def test_a_short_outage_resumes_and_the_timeout_goes_on() -> None:
    link, _ = play(*CONTROLLED)
    link, found = restarted(link, 100)
    assert (found.state, found.limit_w) == (LimitState.LIMITED, 400_000)
    assert step(link, Tick(), at(121), POLICY)[1].state is LimitState.FAILSAFE


def test_a_long_outage_starts_safe_and_needs_heartbeat_and_order() -> None:
    link, _ = play(*CONTROLLED)
    link, found = restarted(link, 121)
    assert (found.state, found.limit_w) == (LimitState.INIT, 200_000)
    assert play((122, Beat((2, 0))), link=link)[1].limit_w == 200_000
    assert play((122, Beat((2, 0))), (123, Ordered(order(123, seq=2))), link=link)[1].limit_w == 400_000


def test_a_tighter_persisted_order_holds_over_a_long_outage() -> None:
    link, _ = play((1, Beat((1, 0))), (2, Ordered(order(2, 0))))
    assert restarted(link, 100_000)[1].limit_w == 0


def test_an_order_that_expired_in_the_outage_is_not_resumed() -> None:
    link, _ = play((1, Beat((1, 0))), (2, Ordered(order(2, validity_s=30, reversion_limited=False))))
    assert restarted(link, 31)[1].limit_w == 400_000
    assert restarted(link, 40)[1].limit_w == 200_000


def test_failsafe_stays_failsafe_over_a_restart() -> None:
    link, _ = play(*CONTROLLED, (500, Tick()), (501, Beat((2, 0))))
    link, found = restarted(link, 510)
    assert found.state is LimitState.FAILSAFE
    assert play((511, Ordered(order(511, seq=2))), link=link)[1].state is LimitState.FAILSAFE


def test_a_record_from_the_future_is_not_believed() -> None:
    link, _ = play(*CONTROLLED)
    _, found = restarted(link, -3_600)
    assert (found.state, found.limit_w) == (LimitState.INIT, 200_000)


def test_after_the_clock_was_set_back_new_orders_still_count() -> None:
    link, _ = play(*CONTROLLED)
    link, _ = restarted(link, -3_600)
    assert play((-3_599, Beat((2, 0))), (-3_598, Ordered(order(-3_598, 10))), link=link)[1].limit_w == 10


def test_an_older_order_that_comes_later_does_not_undo_a_newer_one() -> None:
    link, found = play(*CONTROLLED, (5, Ordered(order(5, 10, seq=3))), (6, Ordered(order(4, 900_000, seq=2))))
    assert found.limit_w == 10
    assert acknowledged(link, at(6), POLICY, order=order(4, 900_000, seq=2)) is AckState.SUPERSEDED


def test_a_longer_timeout_does_not_raise_the_dead() -> None:
    short = [(0.0, FailsafeChange(heartbeat_timeout_s=10)), *CONTROLLED, (20.0, FailsafeChange(heartbeat_timeout_s=600))]
    assert play(*short)[1].state is LimitState.FAILSAFE


def test_a_lower_contract_cuts_the_recorded_failsafe_limit() -> None:
    link, _ = play(*CONTROLLED)
    assert restarted(link, 500, FailsafePolicy(contract_w=90_000, failsafe_w=50_000))[1].limit_w == 90_000


def test_heartbeats_are_recorded_sparsely_and_changes_at_once() -> None:
    link, _ = play(*CONTROLLED)
    assert worth_recording(None, link)
    assert not worth_recording(link, link)
    assert not worth_recording(link, play((30, Beat((2, 0))), link=link)[0])
    assert worth_recording(link, play((31, Beat((2, 0))), link=link)[0])
    assert worth_recording(link, play((3, FailsafeChange(limit_w=1)), link=link)[0])
    assert worth_recording(replace(link, beat_at=None), link)
    assert not worth_recording(link, shifted(link, timedelta(seconds=1.9))), "a clock that is corrected a little"
    assert worth_recording(link, shifted(link, timedelta(seconds=2))), "a clock that was set"
    assert worth_recording(link, play((5, Ordered(order(5))), link=link)[0]), "the same order anew"
    assert link.mode is UtilityMode.CONTROLLED


class JumpingClock:
    """A wall that can be set while the monotonic clock runs on."""

    def __init__(self) -> None:
        self.wall, self.mono_s = T0, 50.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.mono_s

    async def sleep(self, seconds: float) -> None:
        self.mono_s += seconds


def test_setting_the_clock_moves_neither_timeouts_nor_validities() -> None:
    clock = JumpingClock()
    steady = SteadyTime(clock)
    clock.mono_s += 60
    clock.wall += timedelta(hours=-2, seconds=60)
    assert steady.now() == at(60)
    assert steady.ahead() == timedelta(hours=-2)
    link, _ = play(*CONTROLLED, (50, Ordered(order(50, delay_s=100))))
    moved = shifted(link, steady.ahead())
    assert moved.beat_at == at(1 - 7_200)
    assert moved.order is not None
    assert moved.order.received_at == at(2 - 7_200)
    assert shifted(moved, -steady.ahead()) == link


# -- autonomous by agreement ------------------------------------------------------------------------------------

FREE = replace(POLICY, autonomous=True)


def play_free(*events: tuple[float, LinkEvent], link: UtilityLink | None = None) -> tuple[UtilityLink, Verdict]:
    link = link or begin(FREE, T0)
    found = verdict(link, T0, FREE)
    for seconds, event in events:
        link, found = step(link, event, at(seconds), FREE)
    return link, found


def test_without_the_agreement_no_time_ends_the_failsafe() -> None:
    link, found = play(*CONTROLLED, (100_000, Tick()), *beats(100_000, 101_000))
    assert (found.state, found.limit_w) == (LimitState.FAILSAFE, 200_000)
    assert releases_at(link, POLICY) is None


@pytest.mark.parametrize("min_s", [7_200, 86_400])
def test_with_the_agreement_the_failsafe_lasts_its_duration_and_not_a_second_less(min_s: int) -> None:
    lost = [*CONTROLLED, (3.0, FailsafeChange(min_s=min_s)), (200.0, Tick())]
    link, found = play_free(*lost, (121 + min_s - 0.1, Tick()))
    assert (found.state, found.limit_w) == (LimitState.FAILSAFE, 200_000)
    assert releases_at(link, FREE) == at(121 + min_s)
    link, found = play_free(*lost, (121 + min_s, Tick()))
    assert (found.state, found.limit_w, found.origin) == (LimitState.UNLIMITED_AUTO, None, LimitOrigin.NONE)
    assert found.alarms == Alarm.HB_LOST
    assert link.since == at(121 + min_s)


def test_a_first_start_waits_its_duration_as_well() -> None:
    assert play_free((7_199, Tick()))[1].state is LimitState.INIT
    assert play_free((7_200, Tick()))[1].state is LimitState.UNLIMITED_AUTO


def test_a_heartbeat_that_is_back_has_120_s_for_its_order() -> None:
    lost = [*CONTROLLED, (500.0, Tick())]
    assert play_free(*lost, *beats(501, 620), (620.9, Tick()))[1].state is LimitState.FAILSAFE
    assert play_free(*lost, *beats(501, 620), (621, Tick()))[1].state is LimitState.UNLIMITED_AUTO
    _, found = play_free(*lost, *beats(501, 610), (615, Ordered(order(615, 300_000))), (621, Tick()))
    assert (found.state, found.limit_w) == (LimitState.LIMITED, 300_000)


def test_a_heartbeat_that_dies_again_gives_no_grace() -> None:
    link, found = play_free(*CONTROLLED, (4, FailsafeChange(heartbeat_timeout_s=10)), (500, Tick()), (501, Beat((2, 0))), (700, Tick()))
    assert found.state is LimitState.FAILSAFE
    assert releases_at(link, FREE) == at(11 + 7_200)


def test_an_autonomous_site_is_taken_back_by_a_heartbeat_and_an_order_only() -> None:
    free, _ = play_free(*CONTROLLED, (8_000, Tick()))
    assert play_free(*beats(8_001, 9_000), link=free)[1].state is LimitState.UNLIMITED_AUTO
    _, found = play_free((8_001, Beat((2, 0))), (8_002, Ordered(order(8_002, 0))), link=free)
    assert (found.state, found.limit_w) == (LimitState.LIMITED, 0)


def test_an_autonomous_site_obeys_an_order_without_a_heartbeat() -> None:
    free, _ = play_free(*CONTROLLED, (8_000, Tick()))
    link, found = play_free((8_001, Ordered(order(8_001, 100_000, validity_s=60, reversion_limited=False))), link=free)
    assert (link.mode, found.state, found.limit_w) == (UtilityMode.AUTONOMOUS, LimitState.LIMITED, 100_000)
    assert play_free((8_062, Tick()), link=link)[1].limit_w is None


def test_an_order_that_names_its_end_holds_in_autonomy_until_then() -> None:
    long = [(1.0, Beat((1, 0))), (2.0, Ordered(order(2, 50_000, validity_s=10_000)))]
    assert play_free(*long, (9_999, Tick()))[1].limit_w == 50_000
    _, found = play_free(*long, (10_003, Tick()))
    assert (found.state, found.limit_w) == (LimitState.UNLIMITED_AUTO, None)


def test_a_restart_ends_autonomy() -> None:
    free, _ = play_free(*CONTROLLED, (8_000, Tick()))
    link = resume(free, FREE, at(8_001))
    assert (link.mode, verdict(link, at(8_001), FREE).limit_w) == (UtilityMode.INIT, 200_000)
