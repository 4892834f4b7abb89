"""What the grade asks beside health: resistance to a new one's, charge lost at rest, how fast health falls beside before. Pure.

    estimates of resistance, or a resistance when new --beside_new()--> times that when new        each with its interval and how it was
    the daily look at the cells (Loss)                --at_rest()-----> share lost a month          made, or with the reason why it is
    estimates of health, age                          --bend()--------> fade beside before          not known

Resistance falls with warmth and depends on charge and on the time after a step: like is compared with like, and what differs in warmth is
brought to 25 °C with the interval that an unknown activation energy leaves (:func:`bms_bridge.features.pulses.resistance_health`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.anomalies.losses import Loss
from bms_bridge.estimates.outlook import Dated
from bms_bridge.estimates.trend import DAY_S, YEAR_S, trend
from bms_bridge.estimates.view import HealthEstimate
from bms_bridge.features.pulses import resistance_health
from bms_bridge.second_life.grading import KNEE_RATIO

RESISTANCE: Final = "resistance"
SELF_DISCHARGE: Final = "self-discharge"
SLOPE: Final = "slope of fade"
"""Of :data:`bms_bridge.second_life.retired.WEIGHTS`."""

NEW_CYCLES: Final = 100.0
"""Full cycles in which a pack's resistance counts as that of a new one; ours."""

CAME_NEW_CYCLES: Final = 20.0
LEAST: Final = 3
NEWEST: Final = 9
FRESH_S: Final = 90 * DAY_S
APART_C: Final = 10.0
APART_SOC: Final = 0.1
APART_LAG: Final = 2.0
SCATTER: Final = 0.05
"""Of single estimates of a pack's resistance, share of it, at least; ours."""

NEW_SOC: Final = 0.5
NEW_APART_SOC: Final = 0.3
NEW_OFF: Final = 0.1
"""How far a resistance out of a data sheet may be from what steps of a charge would have told of the new pack: another pulse, another
charge; ours."""

NEW_C: Final = 25.0
DAYS_A_MONTH: Final = 365.25 / 12
MOST_HALF: Final = 0.025
"""Half an interval of the loss in a month beyond which it is not told: the edge at which a person looks is 5 %."""

LEAST_SPAN_S: Final = 180 * DAY_S
NOMINAL_OFF: Final = 0.02
"""How far a new pack's capacity may be from the registered one; ours."""


@dataclass(frozen=True, slots=True)
class Beside:
    """``value`` None: not known, for ``why_not``; ``low``, ``high``: 90 %; ``how``: how it was made; ``until_s``: of what it is, Unix
    seconds."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    how: str = ""
    why_not: str = ""
    until_s: float | None = None


@dataclass(frozen=True, slots=True)
class NewResistance:
    """Of the pack when new, at 25 °C and about half charge. ``source``: who says so."""

    ohm: float
    source: str


def beside_new(ohms: Sequence[HealthEstimate], *, cycles_before: float | None, first_heard_s: float, new: NewResistance | None) -> Beside:
    """``ohms``: all estimates of its resistance that have a value, in order; ``cycles_before``: full cycles before the depot heard of it,
    None: nobody knows; ``new``: what somebody says of the new one."""
    told = [one for one in ohms if one.value and one.value > 0]
    if not told:
        return Beside(why_not="no resistance was measured yet: it takes steps of its current")
    warm = [one for one in told if one.detail.get("hottest_c") is not None]
    if not warm:
        return Beside(why_not="its unit tells no temperature: resistances cannot be compared")
    last_s = warm[-1].until.timestamp()
    now = [one for one in warm if last_s - one.until.timestamp() <= FRESH_S][-NEWEST:]
    why = "its resistance when new is not known: set resistance_new_ohm in [[health.pack]], or cycles_before = 0 where it came new"
    if cycles_before is not None and cycles_before <= CAME_NEW_CYCLES:
        first = [one for one in warm if _is_first(one, first_heard_s)]
        found = _own(now, first)
        if found.value is not None or new is None:
            return replace(found, until_s=last_s)
        why = found.why_not
    return Beside(why_not=why) if new is None else replace(_told(now, new), until_s=last_s)


def at_rest(loss: Loss | None, *, today: int) -> Beside:
    """``today``: days since 1970."""
    if loss is None:
        return Beside(why_not="the daily look at its cells has not seen it: it takes voltages by cell at the end of its charges")
    if loss.share_per_day is None:
        return Beside(why_not=loss.why_not)
    if (today - loss.day) * DAY_S > FRESH_S:
        return Beside(why_not="its cells were not looked at for three months")
    monthly = max(loss.share_per_day, 0.0) * DAYS_A_MONTH
    half = 1.645 * loss.error * DAYS_A_MONTH
    if half > MOST_HALF and not loss.sure:
        return Beside(why_not=f"what its cells lose cannot be told better than ±{half:.1%} a month yet")
    how = f"cell {loss.cell + 1} beyond the middle of the others" + (", as the alert of a leak says" if loss.sure else "")
    how += "" if loss.balancing_told else "; what balancing took is not told"
    return Beside(
        round(min(monthly, 1.0), 4), round(max(monthly - half, 0.0), 4), round(min(monthly + half, 1.0), 4), how, until_s=loss.day * DAY_S
    )


def bend(history: Sequence[Dated], *, since_s: float | None) -> Beside:
    """Fade of the last year to the mean before. ``history``: estimates of health by one method, in order; ``since_s``: in service."""
    if not history:
        return Beside(why_not="it takes estimates of its health over more than a year")
    at_s, soh = np.array([one.until_s for one in history]), np.array([one.soh for one in history])
    half = np.array([(one.high - one.low) / 2 for one in history])
    late = at_s > at_s[-1] - YEAR_S
    last, begin_s = _slope(at_s[late], soh[late], half[late]), float(at_s[late][0])
    if last is None:
        return Beside(why_not="it takes six estimates over half a year to tell how fast it fades now")
    before = _slope(at_s[~late], soh[~late], half[~late]) if (~late).any() else None
    how = "fade of the last year beside that of its estimates before"
    if before is None and since_s is not None and begin_s - since_s >= LEAST_SPAN_S:
        years, fade = (begin_s - since_s) / YEAR_S, 1.0 - float(np.median(soh[late][:3]))
        off = (NOMINAL_OFF + float(np.median(half[late][:3]))) / years
        before, how = (fade / years, fade / years - off, fade / years + off), "fade of the last year beside the mean since it was new"
    if before is None:
        return Beside(why_not="how fast it faded before the last year is not known: set in_service in [[health.pack]]")
    high = last[2] / before[1] if before[1] > 0 else np.inf
    low = max(last[1], 0.0) / before[2] if before[2] > 0 else 0.0
    if low < KNEE_RATIO <= high:
        most = f"{high:.1f}" if np.isfinite(high) else "many"
        return Beside(why_not=f"it fades {low:.1f} to {most} times as fast as before: its estimates do not tell better yet")
    value = max(last[0], 0.0) / before[0] if before[0] > 0 else low
    return Beside(round(min(value, 100.0), 2), round(low, 2), round(min(high, 100.0), 2), how, until_s=float(at_s[-1]))


def _is_first(one: HealthEstimate, first_heard_s: float) -> bool:
    cycles = one.detail.get("cycles")
    return cycles <= NEW_CYCLES if cycles is not None else one.until.timestamp() - first_heard_s <= FRESH_S


def _own(now: Sequence[HealthEstimate], first: Sequence[HealthEstimate]) -> Beside:
    """The newest ones, each beside those of its first ones that are like it."""
    if len(first) < LEAST:
        return Beside(why_not=f"its resistance was told {len(first)} times while it was new, {LEAST} are needed")
    rises, used = [], set[int]()
    for one in now:
        alike = [n for n, other in enumerate(first) if _alike(one, other)]
        if len(alike) < LEAST:
            continue
        used.update(alike)
        middle = (
            float(np.median([first[n].value or 0.0 for n in alike])),
            float(np.median([first[n].detail["hottest_c"] for n in alike])),
        )
        found = resistance_health((one.value or 0.0, one.detail["hottest_c"]), middle)
        rises.append((1 + found.rise, 1 + found.low, 1 + found.high))
    if not rises:
        return Beside(
            why_not=f"none of its first resistances was measured within {APART_C:.0f} °C and {APART_SOC:.0%} of charge of the newest ones"
        )
    scatter = float(np.hypot(_error([r[0] for r in rises]), _error([first[n].value or 0.0 for n in used])))
    return _made(rises, scatter, f"median of its newest {len(rises)} beside {len(used)} like ones of when it was new")


def _told(now: Sequence[HealthEstimate], new: NewResistance) -> Beside:
    """Beside what somebody says of the new one."""
    rises = []
    for one in now:
        soc = one.detail.get("soc")
        if soc is not None and abs(soc - NEW_SOC) <= NEW_APART_SOC:
            found = resistance_health((one.value or 0.0, one.detail["hottest_c"]), (1000 * new.ohm, NEW_C))
            rises.append((1 + found.rise, 1 + found.low, 1 + found.high))
    if not rises:
        return Beside(
            why_not="none of its newest resistances was measured between 20 % and 80 % of charge, where that of the new one counts"
        )
    scatter = _error([r[0] for r in rises]) + NEW_OFF
    return _made(rises, scatter, f"median of its newest {len(rises)} beside {1000 * new.ohm:.4g} mΩ when new, {new.source}")


def _alike(one: HealthEstimate, other: HealthEstimate) -> bool:
    mine, its = one.detail, other.detail
    soc, soc_new = mine.get("soc"), its.get("soc")
    lag, lag_new = mine.get("lag_s"), its.get("lag_s")
    if soc is None or soc_new is None or not lag or not lag_new:
        return False
    near = abs(mine["hottest_c"] - its["hottest_c"]) <= APART_C and abs(soc - soc_new) <= APART_SOC
    return bool(near and 1 / APART_LAG <= lag / lag_new <= APART_LAG)


def _made(rises: Sequence[tuple[float, float, float]], scatter: float, how: str) -> Beside:
    """``scatter``: half of an interval, share, of what was measured alone."""
    mid, low, high = (float(value) for value in np.median(np.array(rises), axis=0))
    if not 0.2 <= mid <= 50.0:
        return Beside(why_not=f"it would be {mid:.2g} times that of a new one: look at what is said of the new one")
    return Beside(round(mid, 3), round(max(low * (1 - scatter), 0.01), 3), round(high * (1 + scatter), 3), how)


def _error(values: Sequence[float]) -> float:
    """Half of the 90 % interval of a median, share of it."""
    logs = np.log(np.asarray(values))
    spread = max(float(logs.std(ddof=1)) if len(logs) >= LEAST else 0.0, SCATTER)
    return 1.645 * 1.2533 * spread / float(np.sqrt(len(logs)))


def _slope(at_s: NDArray[np.float64], soh: NDArray[np.float64], half: NDArray[np.float64]) -> tuple[float, float, float] | None:
    """Fade in a year, with its band; None: too little."""
    if len(at_s) < 2 or at_s[-1] - at_s[0] < LEAST_SPAN_S:
        return None
    found = trend(at_s, soh, half)
    if found.per_year is None or found.low is None or found.high is None:
        return None
    return -found.per_year, -found.high, -found.low
