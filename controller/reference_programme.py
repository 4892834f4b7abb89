"""The course of a reference test: rest, pulses, one steady charge to full, rest. A pure state machine of (recipe, course, what is seen).

    what the stay offers --recipe_for()--> Recipe, or a sentence that says why not
    (Recipe, Course, Seen) --advanced()--> Course, whose ``limit_w`` is the most that the connector may be told now

It knows one means alone, a limit: whatever else holds the connector back, holds it back as before. Where what it waits for does not
come it breaks off, with a sentence; each look asks again whether all that is left fits before the vehicle leaves.

Powers are W at the charger as drawn; energies Wh there; times seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from depot.reference_tests import ReferenceOutcome, ReferencePhase

REST_S: Final = 2_100.0
"""Voltages tell a charge after 30 minutes (:data:`bms_bridge.estimates.charges.REST_S`); five more, because a battery falls silent late."""

REST_PATIENCE_S: Final = 900.0
"""Within so long a connector that may have nothing must have come to rest."""

HOLD_S: Final = 30.0
STEP_PATIENCE_S: Final = 1_200.0
"""Raises are rationed (``limiter.max_writes_per_hour``): a step may wait for its turn."""

STEP_TYPICAL_S: Final = 300.0
HIGH_SHARE: Final = 0.8
LOW_SHARE: Final = 0.2
LEAST_APART: Final = 0.3
"""Between the two powers of a pulse, of the most that the vehicle takes: nearer ones tell no resistance."""

GENTLE_C: Final = 0.25
"""Of the battery an hour: faster charges blur the incremental capacity (docs/battery-health.md)."""

TAPER_S: Final = 1_800.0
"""A battery takes less and less before it is full: so much longer than at its rate."""

PAUSE_MOST_S: Final = 1_200.0
"""A charge that stood still for longer is two charges to whoever judges it (a rest begins after 30 minutes)."""

SPARE: Final = 1.1
NEAR: Final = 0.12
"""A power is reached within this share of it."""

IDLE_W: Final = 500
FULL_SOC: Final = 0.99
FULL_LINGERS_S: Final = 1_800.0
"""After so long at full by its own word the charge is over, whether it still takes something or not."""

SILENT_S: Final = 300.0
"""A charger that is out of reach for longer is not waited for."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a stay offers a test. ``most_w``: what the vehicle takes at most; ``least_w``: the charger's least power; ``battery_wh``: the
    battery's size; ``lacks_wh``: to full, at the charger; ``left_s``: until the vehicle must be left alone."""

    most_w: int
    least_w: int
    battery_wh: int
    lacks_wh: int
    left_s: float
    pulses: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """Powers of a test: of its charge, and of its pulses between ``low_w`` and ``high_w``."""

    rate_w: int
    low_w: int
    high_w: int
    pulses: int


@dataclass(frozen=True, slots=True)
class Course:
    """How far a test is. ``since``: of its phase; ``step``: how many powers of the pulses were held; ``step_since``: since when this one is
    wanted; ``there_since``: since when what is waited for is so (rest, a power, full); ``away_since``: since when the charger is out of
    reach; ``paused_since``: since when the charge stands still. ``limit_w``: the most that the connector may be told."""

    phase: ReferencePhase
    since: datetime
    limit_w: int = 0
    step: int = 0
    step_since: datetime | None = None
    there_since: datetime | None = None
    away_since: datetime | None = None
    paused_since: datetime | None = None
    looked_at: datetime | None = None
    held_back_s: float = 0.0
    outcome: ReferenceOutcome = ReferenceOutcome.NONE
    why: str = ""

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.phase is ReferencePhase.OVER


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is at one look. ``against``: why nothing may go on (safety, out of service, held), "" where it may; ``most_w``: the most
    that limits of the battery and the vehicle leave now. ``measured_w`` None: nothing fresh is known; ``told_w``: by the limiter.
    ``soc``: by the vehicle's word, None where it is old; ``takes_nothing``: though it is offered. ``lacks_wh``: to full, at the
    charger. ``held_by``: what held it back at the last look, for people."""

    now: datetime
    present: bool
    reachable: bool
    session: bool
    against: str
    most_w: int
    measured_w: int | None
    told_w: int
    soc: float | None
    takes_nothing: bool
    lacks_wh: int
    leaves_at: datetime
    held_by: str = ""


def recipe_for(offer: Offer) -> Recipe | str:
    """The powers that suit a stay; or, for people, why a test does not fit into it."""
    high_w = int(HIGH_SHARE * offer.most_w)
    low_w = max(int(LOW_SHARE * offer.most_w), offer.least_w)
    if high_w - low_w < LEAST_APART * offer.most_w:
        least, most = f"{offer.least_w / 1000:.1f} kW", f"{offer.most_w / 1000:.1f} kW"
        return f"its charger's least power ({least}) is too near to the most that it takes ({most})"
    left_s = offer.left_s - fixed_s(offer.pulses)
    need_s = offer.lacks_wh * SPARE / high_w * 3600
    if left_s < need_s:
        all_s = need_s + fixed_s(offer.pulses)
        return f"the test takes {hours(all_s)}, and the vehicle must be left alone in {hours(max(0.0, offer.left_s))}"
    gentle_w = int(GENTLE_C * offer.battery_wh)
    slowest_w = int(offer.lacks_wh * SPARE * 3600 / max(left_s, 1.0)) + 1
    return Recipe(min(high_w, max(gentle_w, slowest_w, low_w)), low_w, high_w, offer.pulses)


def fixed_s(pulses: int) -> float:
    """What a test takes beside the charge itself, s."""
    return 2 * REST_S + TAPER_S + steps_of(pulses) * STEP_TYPICAL_S


def steps_of(pulses: int) -> int:
    """Powers that are held one after the other: high, then low and high again for each pulse."""
    return 2 * pulses + 1


def begun(recipe: Recipe, now: datetime) -> Course:
    """A test that begins: nothing may flow."""
    return Course(ReferencePhase.REST_BEFORE, now, limit_w=0, looked_at=now)


def left_s(recipe: Recipe, course: Course, seen: Seen) -> float:
    """How long all that is left takes, s."""
    charge_s = seen.lacks_wh * SPARE / recipe.rate_w * 3600 + TAPER_S
    steps = steps_of(recipe.pulses)
    match course.phase:
        case ReferencePhase.REST_BEFORE:
            return _rest_left_s(course, seen.now) + steps * STEP_TYPICAL_S + charge_s + REST_S
        case ReferencePhase.PULSES:
            return (steps - course.step) * HOLD_S + charge_s + REST_S
        case ReferencePhase.CHARGE:
            taper_s = charge_s if course.there_since is None else max(0.0, charge_s - (seen.now - course.there_since).total_seconds())
            return taper_s + REST_S
        case ReferencePhase.REST_AFTER:
            return _rest_left_s(course, seen.now)
    return 0.0


def advanced(recipe: Recipe, course: Course, seen: Seen) -> Course:
    """One look further. An ended course stays as it is."""
    if course.over:
        return course
    away = None if seen.reachable else course.away_since or seen.now
    course = replace(course, away_since=away)
    why = _against(recipe, course, seen)
    if why:
        return broken_off(course, seen.now, why)
    match course.phase:
        case ReferencePhase.REST_BEFORE | ReferencePhase.REST_AFTER:
            course = _rested(recipe, course, seen)
        case ReferencePhase.PULSES:
            course = _pulsed(recipe, course, seen)
        case ReferencePhase.CHARGE:
            course = _charged(recipe, course, seen)
    return replace(course, looked_at=seen.now, limit_w=max(0, min(course.limit_w, seen.most_w)))


def broken_off(course: Course, now: datetime, why: str) -> Course:
    """Ended before its time; ``why`` is for people."""
    return replace(course, phase=ReferencePhase.OVER, since=now, limit_w=0, outcome=ReferenceOutcome.BROKEN_OFF, why=why)


def hours(seconds: float) -> str:
    """For people: ``4 h 5 min``, ``35 min``."""
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _against(recipe: Recipe, course: Course, seen: Seen) -> str:
    """Why it cannot go on; "": it can."""
    if not seen.present:
        return "the vehicle left"
    if seen.against:
        return seen.against
    if course.away_since is not None and (seen.now - course.away_since).total_seconds() > SILENT_S:
        return f"its charger was out of reach for {SILENT_S / 60:.0f} minutes"
    if course.phase is ReferencePhase.PULSES and seen.most_w < recipe.high_w * (1 - NEAR):
        return f"it may take {seen.most_w / 1000:.1f} kW now, and the pulses need {recipe.high_w / 1000:.1f} kW"
    needs_s, has_s = left_s(recipe, course, seen), (seen.leaves_at - seen.now).total_seconds()
    if needs_s > has_s:
        return f"what is left takes {hours(needs_s)}, and the vehicle must be left alone in {hours(max(0.0, has_s))}"
    return ""


def _rest_left_s(course: Course, now: datetime) -> float:
    return REST_S if course.there_since is None else max(0.0, REST_S - (now - course.there_since).total_seconds())


def _rested(recipe: Recipe, course: Course, seen: Seen) -> Course:
    flows = seen.session and (seen.told_w > 0 or (seen.measured_w or 0) > IDLE_W)
    quiet_since = None if flows else course.there_since or seen.now
    course = replace(course, limit_w=0, there_since=quiet_since)
    lasted_s = (seen.now - course.since).total_seconds()
    if quiet_since is None:
        if lasted_s > REST_PATIENCE_S:
            return broken_off(course, seen.now, f"it did not come to rest within {REST_PATIENCE_S / 60:.0f} minutes")
        return course
    if lasted_s > REST_S + 2 * REST_PATIENCE_S:
        return broken_off(course, seen.now, "its rest was disturbed again and again")
    if (seen.now - quiet_since).total_seconds() < REST_S:
        return course
    if course.phase is ReferencePhase.REST_AFTER:
        return replace(course, phase=ReferencePhase.OVER, since=seen.now, outcome=ReferenceOutcome.DONE)
    return _begin(course, ReferencePhase.PULSES, seen.now, recipe.high_w)


def _pulsed(recipe: Recipe, course: Course, seen: Seen) -> Course:
    wanted_w = recipe.high_w if course.step % 2 == 0 else recipe.low_w
    wanted_since = course.step_since or seen.now
    course = replace(course, limit_w=wanted_w, step_since=wanted_since)
    there = seen.session and seen.measured_w is not None and abs(seen.measured_w - wanted_w) <= max(IDLE_W, NEAR * wanted_w)
    course = replace(course, there_since=(course.there_since or seen.now) if there else None)
    if course.there_since is not None and (seen.now - course.there_since).total_seconds() >= HOLD_S:
        step = course.step + 1
        if step >= steps_of(recipe.pulses):
            return _begin(course, ReferencePhase.CHARGE, seen.now, recipe.rate_w)
        next_w = recipe.high_w if step % 2 == 0 else recipe.low_w
        return replace(course, step=step, step_since=seen.now, there_since=None, limit_w=next_w)
    if (seen.now - wanted_since).total_seconds() > STEP_PATIENCE_S:
        has = "nothing was measured" if seen.measured_w is None else f"it drew {seen.measured_w / 1000:.1f} kW"
        because = f" ({seen.held_by})" if seen.held_by else ""
        return broken_off(course, seen.now, f"a pulse wanted {wanted_w / 1000:.1f} kW, and {has}{because}")
    return course


def _charged(recipe: Recipe, course: Course, seen: Seen) -> Course:
    full = seen.takes_nothing or (seen.soc is not None and seen.soc >= FULL_SOC)
    course = replace(course, limit_w=recipe.rate_w, there_since=(course.there_since or seen.now) if full else None)
    paused = not full and (not seen.session or seen.told_w <= 0 or (seen.measured_w is not None and seen.measured_w <= IDLE_W))
    course = replace(course, paused_since=(course.paused_since or seen.now) if paused else None)
    if course.paused_since is not None and (seen.now - course.paused_since).total_seconds() > PAUSE_MOST_S:
        because = f": {seen.held_by}" if seen.held_by else ""
        return broken_off(course, seen.now, f"its charge stood still for {PAUSE_MOST_S / 60:.0f} minutes{because}")
    if course.looked_at is not None and seen.held_by and seen.told_w < recipe.rate_w * (1 - NEAR) and not full:
        more_s = (seen.now - course.looked_at).total_seconds()
        course = replace(course, held_back_s=course.held_back_s + more_s)
    if course.there_since is not None:
        done = seen.takes_nothing or (seen.measured_w is not None and seen.measured_w <= IDLE_W)
        if done or (seen.now - course.there_since).total_seconds() >= FULL_LINGERS_S:
            return _begin(course, ReferencePhase.REST_AFTER, seen.now, 0)
    return course


def _begin(course: Course, phase: ReferencePhase, now: datetime, limit_w: int) -> Course:
    return replace(course, phase=phase, since=now, limit_w=limit_w, step=0, step_since=now, there_since=None, paused_since=None)
