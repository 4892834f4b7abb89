"""Fast down, slow randomised up: the decision alone, and in the limiter's loop."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_yard import SmallYard

from controller.comeback import Comeback, ComebackSettings
from controller.limits import binding
from depot.values import Limit, LimitSource, ScopeKind

T0 = datetime(2026, 1, 12, 18, tzinfo=UTC)
CONTRACT_W = 600_000
CONTRACT = Limit("contract", ScopeKind.SITE, CONTRACT_W, LimitSource.CONTRACT, T0 - timedelta(days=1))


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def held(value_w: int, source: LimitSource = LimitSource.FAILSAFE, until: float | None = None) -> Limit:
    return Limit("x", ScopeKind.SITE, value_w, source, at(-10), until=None if until is None else at(until))


def comeback(delay_s: float = 120.0, ramp_s: float = 60.0, seed: str = "depot") -> Comeback:
    return Comeback(ComebackSettings(delay_s, ramp_s), CONTRACT_W, Random(seed))  # a test that repeats itself


def allowed(of: Comeback, found: list[Limit], seconds: float) -> int:
    back = of.over(found, at(seconds))
    least = binding([*found, *([back] if back else [])], "", at(seconds))
    assert least is not None
    return least.value


def test_the_end_of_a_failsafe_is_waited_out_and_then_ramped() -> None:
    of = comeback()
    assert allowed(of, [CONTRACT, held(100_000)], 0) == 100_000
    assert allowed(of, [CONTRACT], 1) == 100_000
    rise = of.rise
    assert rise is not None
    delay_s = (rise.starts_at - at(1)).total_seconds()
    assert 0 < delay_s < 120
    assert rise.ends_at == rise.starts_at + timedelta(seconds=50)  # 500 of 600 kW at 10 kW a second
    assert allowed(of, [CONTRACT], delay_s) == 100_000
    assert allowed(of, [CONTRACT], 1 + delay_s + 20) == pytest.approx(300_000, abs=1)
    assert allowed(of, [CONTRACT], 1 + delay_s + 50.01) == CONTRACT_W
    assert of.rise is None


def test_a_decrease_holds_at_once_also_while_it_rises() -> None:
    of = comeback(0)
    allowed(of, [CONTRACT, held(100_000)], 0)
    allowed(of, [CONTRACT], 1)
    assert allowed(of, [CONTRACT], 21) == 300_000
    assert allowed(of, [CONTRACT, held(50_000)], 21.1) == 50_000
    assert allowed(of, [CONTRACT], 22) == 50_000  # and what held last is where the next rise begins


def test_what_is_known_to_end_has_a_name_and_an_end() -> None:
    of = comeback()
    allowed(of, [CONTRACT, held(100_000, LimitSource.DEMAND_RESPONSE, until=60)], 0)
    back = of.over([CONTRACT], at(60))
    assert back is not None
    assert (back.source, back.reason) == (LimitSource.COMEBACK, "comes back slowly after demand response")
    assert of.rise is not None
    assert back.until == of.rise.ends_at
    assert back.from_ == at(0)  # nobody who looked at the clock a moment before finds a gap


@pytest.mark.parametrize(("until", "waits"), [(None, False), (100.0, False), (30.0, True)])
def test_what_a_person_lifts_is_lifted_and_what_runs_out_is_not(until: float | None, waits: bool) -> None:
    of = comeback()
    allowed(of, [CONTRACT, held(100_000, LimitSource.MANUAL, until=until)], 0)
    assert (allowed(of, [CONTRACT], 31) == 100_000) is waits


def test_a_limit_with_a_ramp_of_its_own_is_followed() -> None:
    of = comeback()
    for second in range(60):
        value_w = 100_000 + 5_000 * second
        assert allowed(of, [CONTRACT, held(value_w, LimitSource.SCADA)], second) == value_w
    assert of.rise is None


def test_depots_come_back_at_different_times_and_one_always_at_the_same() -> None:
    starts = set()
    for seed in ("a", "b", "c", "a"):
        of = comeback(seed=seed)
        allowed(of, [CONTRACT, held(0)], 0)
        allowed(of, [CONTRACT], 1)
        assert of.rise is not None
        starts.add(of.rise.starts_at)
    assert len(starts) == 3


def test_switched_off_it_does_nothing() -> None:
    of = comeback(0, 0)
    allowed(of, [CONTRACT, held(0)], 0)
    assert of.over([CONTRACT], at(1)) is None


@given(st.lists(st.tuples(st.integers(1, 20), st.sampled_from([0, 50_000, 200_000, 400_000, 600_000])), max_size=40), st.integers(0, 60))
def test_it_only_ever_tightens_and_always_ends(steps: list[tuple[int, int]], ramp_s: int) -> None:
    of = comeback(30, ramp_s)
    now, before_w = 0, None
    for wait_s, value_w in steps:
        now += wait_s
        found = [CONTRACT, held(value_w)]
        w = allowed(of, found, now)
        assert w <= value_w
        if before_w is not None and w > before_w and ramp_s:
            assert w - before_w <= CONTRACT_W / ramp_s * wait_s + 1
        before_w = w
    assert allowed(of, [CONTRACT], now + 1) <= CONTRACT_W
    assert allowed(of, [CONTRACT], now + 100) == CONTRACT_W


def test_the_loop_keeps_the_site_down_until_its_time() -> None:
    small = SmallYard()
    loop, clock = small.loop, small.clock
    loop.comeback = Comeback(ComebackSettings(60, 60), small.yard.spec.contract_w, Random(1))  # a test that repeats itself
    low = replace(held(5_000), from_=clock.now() - timedelta(seconds=1))
    loop.limit_sources["test"] = lambda _now: [low]
    assert binding(loop.limits_in_force(), "", clock.now()) == low
    before = clock.now()
    clock.at += timedelta(seconds=1)
    loop.limit_sources["test"] = lambda _now: []
    found = binding(loop.limits_in_force(), "", before)
    assert found is not None
    assert (found.value, found.source) == (5_000, LimitSource.COMEBACK)
