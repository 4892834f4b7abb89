"""What one meter value says about obedience."""

from __future__ import annotations

import asyncio

import pytest
from small_yard import ONE, SmallYard

from controller.grants import Grant
from controller.trust import fell_back, judge
from depot import events as ev
from depot.events import TrustLevel
from depot.readings import MeterReading

T = 1_000.0


def settled(level_w: int, measured_w: int, **given: object) -> Grant:
    """Told ``level_w`` at T, accepted, and measured after the settle time."""
    facts: dict[str, object] = {"default_w": 0, "autonomous": False, "commissioned": True, "in_session": True} | given
    grant = Grant(22_000, **facts)  # type: ignore[arg-type]  # the fields by name, as a test writes them
    grant.accepted(grant.send(level_w, until_s=T + 180, now_s=T), now_s=T)
    grant.measured(measured_w, at_s=T + 4)
    return grant


@pytest.mark.parametrize(
    ("level_w", "measured_w", "verdict"),
    [
        (10_000, 9_900, TrustLevel.OBEYS),
        (10_000, 10_150, TrustLevel.OBEYS),  # meter class
        (10_000, 300, None),  # idle: shows nothing
        (10_000, 11_200, TrustLevel.OVERDRAWS),
        (10_000, 13_400, TrustLevel.OVERDRAWS),
        (10_000, 13_600, TrustLevel.DEFIANT),
        (0, 480, None),
        (0, 1_200, TrustLevel.DEFIANT),
        (1_400, 1_540, TrustLevel.OBEYS),  # rounding at small levels
    ],
)
def test_verdict_of_a_settled_reading(level_w: int, measured_w: int, verdict: TrustLevel | None) -> None:
    found = judge(settled(level_w, measured_w), pausable=True)
    assert (found.trust if found else None) is verdict


@pytest.mark.parametrize(
    ("measured_w", "factor"), [(9_000, 1.0), (10_000, 1.0), (10_020, 1.0), (10_021, 1.005), (10_120, 1.015), (10_200, 1.02)]
)
def test_who_draws_a_little_more_within_the_tolerance_obeys_and_is_budgeted_with_it(measured_w: int, factor: float) -> None:
    found = judge(settled(10_000, measured_w), pausable=True)
    assert found is not None
    assert (found.trust, found.factor) == (TrustLevel.OBEYS, factor)
    assert judge(settled(10_000, measured_w, trust=TrustLevel.OBEYS, factor=factor), pausable=True) is None  # known


def test_the_factor_is_the_ratio_with_a_margin_and_only_grows() -> None:
    found = judge(settled(10_000, 11_200), pausable=True)
    assert found is not None
    assert found.factor == pytest.approx(1.12 * 1.02)
    known = settled(10_000, 11_300, factor=1.1424, trust=TrustLevel.OVERDRAWS)
    assert judge(known, pausable=True) is None  # as known
    more = judge(settled(10_000, 12_800, factor=1.1424, trust=TrustLevel.OVERDRAWS), pausable=True)
    assert more is not None
    assert more.factor == pytest.approx(1.28 * 1.02)


@pytest.mark.parametrize(("pausable", "measured_w", "judged"), [(True, 700, True), (False, 700, False), (False, 1_100, True)])
def test_a_session_that_cannot_pause_may_idle_a_little_more_at_0_w(pausable: bool, measured_w: int, judged: bool) -> None:
    found = judge(settled(0, measured_w), pausable=pausable)
    assert (found is not None) is judged
    if found is not None:
        assert found.factor == 1.0  # never an infinite one


def test_nothing_is_said_about_a_reading_older_than_the_change_or_without_a_session() -> None:
    grant = settled(20_000, 20_000)
    grant.send(10_000, until_s=T + 200, now_s=T + 10)
    assert judge(grant, pausable=True) is None
    assert judge(settled(10_000, 20_000, in_session=False), pausable=True) is None


def test_a_decrease_on_its_way_is_no_disobedience() -> None:
    grant = settled(20_000, 20_000)
    number = grant.send(10_000, until_s=T + 200, now_s=T + 10)
    grant.measured(20_000, at_s=T + 10.5)
    assert judge(grant, pausable=True) is None
    grant.accepted(number, now_s=T + 11)
    grant.measured(19_000, at_s=T + 12)
    assert judge(grant, pausable=True) is None
    grant.measured(19_000, at_s=T + 14.1)
    verdict = judge(grant, pausable=True)
    assert verdict is not None
    assert verdict.trust is TrustLevel.DEFIANT


def test_more_than_anything_that_was_sent_allows_shows_before_it_has_settled() -> None:
    grant = settled(5_000, 5_000)
    grant.send(0, until_s=T + 200, now_s=T + 10)
    grant.measured(22_000, at_s=T + 10.2)
    verdict = judge(grant, pausable=True)
    assert verdict is not None
    assert verdict.trust is TrustLevel.DEFIANT


def test_who_is_known_to_follow_no_level_gets_no_further_verdict() -> None:
    assert judge(settled(10_000, 22_000, trust=TrustLevel.DEFIANT), pausable=True) is None


def test_an_expired_profile_is_judged_by_the_default() -> None:
    grant = settled(10_000, 10_000, default_w=4_140)
    grant.measured(10_000, at_s=T + 300)
    verdict = judge(grant, pausable=True)
    assert verdict is not None
    assert verdict.trust is TrustLevel.DEFIANT


@pytest.mark.parametrize("stood_still_s", [0.0, 45.0])
def test_fault_09_what_waited_while_the_controller_stood_still_judges_nobody(stood_still_s: float) -> None:
    yard = SmallYard()
    yard.arrive(ONE, "E-1")
    yard.session(ONE, power_w=40_000)
    grant = yard.yard.grants[ONE]
    grant.confirmed_until_s = 0.0  # its profile has run out since; what it draws now is its default

    async def main() -> None:
        yard.loop._alive_s = asyncio.get_running_loop().time() - stood_still_s
        yard.loop.note = lambda _event: None  # type: ignore[method-assign]  # the loop does not run here
        yard.loop.reading(MeterReading(ONE, yard.clock.now(), power_w=40_000))

    asyncio.run(main())
    assert grant.measured_w == 40_000
    assert grant.trust is (TrustLevel.UNPROVEN if stood_still_s else TrustLevel.DEFIANT)


@pytest.mark.parametrize("waited_s", [0.0, 8.0])
def test_fault_04_what_waited_behind_a_frozen_journal_is_judged_by_what_held_then(waited_s: float) -> None:
    """A value from the middle of a ramp, that its station could only send when a call before it was answered."""
    yard = SmallYard()
    yard.arrive(ONE, "E-1")
    yard.session(ONE, power_w=40_000)
    grant, now_s = yard.yard.grants[ONE], yard.clock.now().timestamp()
    grant.commissioned = True
    grant.accepted(grant.send(0, until_s=now_s + 170, now_s=now_s - 8.7), now_s=now_s - 8.6)

    async def main() -> None:
        yard.loop.note = lambda _event: None  # type: ignore[method-assign]  # the loop does not run here
        yard.loop.reading(MeterReading(ONE, yard.clock.now(), power_w=8_000, waited_s=waited_s))

    asyncio.run(main())
    assert grant.trust is (TrustLevel.UNPROVEN if waited_s else TrustLevel.DEFIANT)


def expired(measured_w: int, *, peak_w: int | None = 10_000, after_s: float = 200.0, **given: object) -> Grant:
    """Told 10 kW above a default of 4 kW, renewed by nobody, and measured ``after_s`` after it was told."""
    grant = settled(10_000, peak_w if peak_w is not None else 0, **({"default_w": 4_000} | given))
    if peak_w is None:
        grant.peak_w = None
    grant.measured(measured_w, at_s=T + after_s)
    return grant


@pytest.mark.parametrize(
    ("grant", "falls_back"),
    [
        (expired(3_950), True),
        (expired(4_140), True),
        (expired(9_800), False),
        (expired(5_000), False),
        (expired(3_950, peak_w=3_000), None),  # it never drew more than its default
        (expired(9_800, after_s=185), None),  # its clock may lag
        (expired(9_800, default_w=None), None),
        (expired(9_800, default_w=10_000), None),  # no difference to be seen
        (expired(9_800, in_session=False), None),
        (expired(9_800, trust=TrustLevel.DEFIANT), None),  # it follows nothing anyway
        (expired(9_800, by_hand=True), None),  # a profile that a person put there may stand above all
    ],
)
def test_invariant_3_the_meter_shows_whether_the_default_took_over(grant: Grant, falls_back: bool | None) -> None:
    assert fell_back(grant) is falls_back


def test_a_limit_that_was_renewed_or_is_on_its_way_shows_nothing_about_the_default() -> None:
    grant = expired(9_800)
    grant.send(9_000, until_s=T + 400, now_s=T + 190)
    assert fell_back(grant) is None


def test_a_charger_that_does_not_fall_back_is_counted_at_its_rating_and_not_called_defiant() -> None:
    yard = SmallYard()
    told: list[tuple[object, bool]] = []
    noted: list[ev.Event] = []
    yard.loop.on_expiry = lambda key, falls_back: told.append((key, falls_back))
    yard.put(ev.StationProbed(ONE.station_id, purposes=("TxProfile", "TxDefaultProfile")), ev.DefaultInstalled(ONE, 6_000))
    yard.session(ONE, power_w=40_000)
    grant, now_s = yard.yard.grants[ONE], yard.clock.now().timestamp()
    grant.commissioned = True
    grant.accepted(grant.send(40_000, until_s=now_s - 20, now_s=now_s - 200), now_s=now_s - 200)

    async def main() -> None:
        yard.loop.note = noted.append  # type: ignore[method-assign, assignment]  # the loop does not run here
        yard.loop.reading(MeterReading(ONE, yard.clock.now(), power_w=39_000))

    asyncio.run(main())
    assert told == [(ONE, False)]
    assert noted == [ev.DefaultInstalled(ONE, None)]
    assert grant.bound_w(now_s) == 60_000
    assert grant.trust is TrustLevel.UNPROVEN
