"""When one vehicle burns: which bays follow, and when; which bays to clear. Pure, from the depot's layout.

    neighbours(layout, "B3", 300_000, 0.8) --> [Follows("B2", 1.1, 17.3), …]      all that may follow, minutes, earliest first
    beside(layout, 300_000)                --> {"B3": [Follows("B2", 1.1, 17.3), …], …}      what each bay alone sets on fire

A nodal model: each vehicle is a skin with a heat capacity, heated by the flames of every vehicle that burns (radiation by view
factor: a rectangle of flames seen from the nearest point), cooled by air and radiation; it follows when its skin is hot enough to
burn, and then heats the others in its turn. It is run twice, with assumptions that err on either side; the answer lies between.
None: with the better assumptions it does not follow within :data:`HORIZON_MIN`.

What the numbers are worth stands in docs/state-of-safety.md. Not in it: smoke that gathers below a roof, wind, jets of flame, burning
drops and projectiles, sprinklers, the fire brigade. It takes tenths of a second for a hundred bays (once more for a new layout):
nothing for the path of a trip.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from bms_bridge.layout import FARTHEST_M, Layout, Sight

HORIZON_MIN: Final = 60.0
STEP_S: Final = 5.0
PERSON_W_M2: Final = 2_500.0
"""Radiation that a person bears for some minutes at most: a usual limit of escape design, recalled."""

HEAT_PER_STORED: Final = 1.5
"""Heat of a cell's runaway over the energy that it stores when full: upper quartile of the failure databank's heated and full cells
(median 1.3)."""

HEAT_BY_SOC: Final = ((0.25, 0.09), (0.50, 0.24), (1.0, 1.0))
"""(state of charge up to, heat over that of a full cell), from the medians of the failure databank, rounded up. Tests below half are
few: nine of 249."""

_EYE_M = 1.5
_STEFAN = 5.670374419e-8
_KELVIN = 273.15
_ABSORBED = 0.9
_RADIATED = 0.3
_LEAST_GAP_M = 0.05
_STEPS = int(HORIZON_MIN * 60.0 / STEP_S)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What is not known of a fire. ``flame_w_m2``: what flames radiate; ``flame_m``: how high they stand; ``growth_s``: from the first
    flames to all of them, straight. ``body_burns``: the whole vehicle, else its pack alone, within ``pack_burns_s``. ``skin_j_m2_k``,
    ``ignites_c``, ``air_w_m2_k``, ``air_c``: of a vehicle that is heated. ``screens``: vehicles between hide others; ``walls_end``:
    walls hold as long as certified, else for good."""

    flame_w_m2: float
    flame_m: float
    growth_s: float
    body_burns: bool
    pack_burns_s: float
    skin_j_m2_k: float
    ignites_c: float
    air_w_m2_k: float
    air_c: float
    screens: bool
    walls_end: bool


WORST: Final = Assumptions(
    flame_w_m2=107_000.0,
    flame_m=5.0,
    growth_s=120.0,
    body_burns=True,
    pack_burns_s=1_800.0,
    skin_j_m2_k=4_000.0,
    ignites_c=300.0,
    air_w_m2_k=10.0,
    air_c=45.0,
    screens=False,
    walls_end=True,
)
"""Flames as a black body of 900 °C (peak inside a burning car: Li et al., Case Stud. Therm. Eng. 10 (2017) 315) over the whole side; a
thin skin that burns from 300 °C, which takes 8.5 kW/m² for ever."""

BEST: Final = Assumptions(
    flame_w_m2=45_000.0,
    flame_m=3.0,
    growth_s=1_200.0,
    body_burns=False,
    pack_burns_s=1_800.0,
    skin_j_m2_k=10_000.0,
    ignites_c=400.0,
    air_w_m2_k=10.0,
    air_c=25.0,
    screens=True,
    walls_end=False,
)
"""Flames of the pack alone, of 45 kW/m² (more than 40 kW/m² were measured half a metre from a burning minivan), that grow as slowly
as the fire that took 20 min to a second car (Li et al.); a skin that burns from 400 °C, which takes 15 kW/m² for ever. Walls hold."""


class Follows(NamedTuple):
    """A bay that may follow: in how many minutes at the earliest, and at the latest (None: perhaps never)."""

    bay_id: str
    minutes_low: float
    minutes_high: float | None


@dataclass(frozen=True, slots=True)
class Parked:
    """The pack of a vehicle in a bay: stored energy when full, Wh, and state of charge (1 where it is not known)."""

    energy_wh: float
    soc: float = 1.0


def neighbours(
    layout: Layout, bay: str, pack_energy_wh: float, soc: float = 1.0, *, others: Mapping[str, Parked] | None = None
) -> list[Follows]:
    """The bays that may follow the one that burns, earliest first.

    ``others``: what stands where; None: the same vehicle, full, in every bay. Raises :class:`~bms_bridge.InvalidLayout` for a bay
    that has no place in the layout.
    """
    layout.bay(bay)
    parked = {name: Parked(pack_energy_wh) for name in layout} if others is None else {n: p for n, p in others.items() if n in layout}
    parked[bay] = Parked(pack_energy_wh, soc)
    names = _reachable(layout, bay, parked)
    if len(names) == 1:
        return []
    at = {name: number for number, name in enumerate(names)}
    sights = {(at[a], at[b]): sight for (a, b), sight in sights_of(layout).items() if a in at and b in at}
    first = _burn(names, sights, parked, WORST)
    last = _burn(names, sights, parked, BEST)
    rows = zip(names, first, last, strict=True)
    return sorted((_follows(name, low, high) for name, low, high in rows if name != bay and math.isfinite(low)), key=_earliest)


def beside(layout: Layout, pack_energy_wh: float, soc: float = 1.0) -> dict[str, list[Follows]]:
    """For each bay those that it would set on fire by itself, earliest first. All bays at once: for looking up later."""
    pairs = list(sights_of(layout).items())
    parked = Parked(pack_energy_wh, soc)
    first, last = (_alone([sight for _, sight in pairs], parked, told) for told in (WORST, BEST))
    found: dict[str, list[Follows]] = {bay: [] for bay in layout}
    for ((burning, target), _), low_s, high_s in zip(pairs, first, last, strict=True):
        if math.isfinite(low_s):
            found[burning].append(_follows(target, low_s, high_s))
    return {bay: sorted(rows, key=_earliest) for bay, rows in found.items()}


def to_clear(layout: Layout, bay: str, *, within_minutes: float = HORIZON_MIN) -> list[str]:
    """The bays that people must leave, the one that burns first: those that may follow it within that time, and those where nobody could
    bear its radiation. With the worse assumptions, by which the body burns too, so that it does not depend on the pack."""
    following = {row.bay_id for row in neighbours(layout, bay, 0.0) if row.minutes_low <= within_minutes}
    seen = {name for (burning, name), sight in sights_of(layout).items() if burning == bay and _bears_not(sight)}
    return [bay, *sorted(following | seen)]


@lru_cache(maxsize=2)
def sights_of(layout: Layout) -> Mapping[tuple[str, str], Sight]:
    """(seen, from) → how, for all pairs that are near. Takes a second for some hundred bays, once for a layout."""
    found = ((seen, here, layout.sight(seen, here)) for here in layout for seen in layout.close(here))
    return {(seen, here): sight for seen, here, sight in found if sight.gap_m <= FARTHEST_M}


def heat_j(energy_wh: float, soc: float) -> float:
    """Heat that a pack gives off in runaway, J."""
    return energy_wh * 3600.0 * HEAT_PER_STORED * heat_share(soc)


def heat_share(soc: float) -> float:
    """Heat that a cell of this state of charge gives off in runaway, over that of a full one."""
    return next((part for up_to, part in HEAT_BY_SOC if soc <= up_to), 1.0)


def view_factor(left_m: float, right_m: float, bottom_m: float, top_m: float, gap_m: float) -> float:
    """Of a rectangle, from a point that faces its plane at ``gap_m``: edges measured from the foot of the point. The sum of four corners
    (a point over the corner of a rectangle a × b at c: the standard formula in a/c and b/c)."""
    gap = max(gap_m, _LEAST_GAP_M)

    def corner(a: float, b: float) -> float:
        x, y = abs(a) / gap, abs(b) / gap
        root_x, root_y = math.hypot(1.0, x), math.hypot(1.0, y)
        part = (x / root_x * math.atan(y / root_x) + y / root_y * math.atan(x / root_y)) / (2.0 * math.pi)
        return math.copysign(part, a) * math.copysign(1.0, b)

    return corner(right_m, top_m) - corner(left_m, top_m) - corner(right_m, bottom_m) + corner(left_m, bottom_m)


# -- inside ------------------------------------------------------------------------------------------------------------------


def _follows(name: str, low_s: float, high_s: float) -> Follows:
    return Follows(name, round(low_s / 60.0, 1), None if math.isinf(high_s) else round(high_s / 60.0, 1))


def _earliest(row: Follows) -> tuple[float, str]:
    return row.minutes_low, row.bay_id


def _reachable(layout: Layout, bay: str, parked: Mapping[str, Parked]) -> list[str]:
    """The bays that hang together with ``bay`` by distance, itself first."""
    found, queue = [bay], [bay]
    while queue:
        for name in layout.close(queue.pop()):
            if name in parked and name not in found:
                found.append(name)
                queue.append(name)
    return found


def _bears_not(sight: Sight) -> bool:
    if sight.wall_minutes is not None:
        return False
    seen = view_factor(sight.left_m, sight.right_m, -_EYE_M, WORST.flame_m - _EYE_M, sight.gap_m)
    return WORST.flame_w_m2 * seen >= PERSON_W_M2


def _flux_w_m2(sight: Sight, parked: Parked, told: Assumptions) -> float:
    """What a vehicle that burns fully sends to the nearest point of another."""
    if told.screens and sight.screened:
        return 0.0
    left, right = sight.left_m, sight.right_m
    if not told.body_burns:
        # so much of the side as its flames need: in its middle
        power_w = _RADIATED * heat_j(parked.energy_wh, parked.soc) / told.pack_burns_s
        half = min(right - left, power_w / (told.flame_w_m2 * told.flame_m)) / 2.0
        left, right = sight.middle_m - half, sight.middle_m + half
    return told.flame_w_m2 * view_factor(left, right, -_EYE_M, told.flame_m - _EYE_M, sight.gap_m)


def _burn(names: list[str], sights: Mapping[tuple[int, int], Sight], parked: Mapping[str, Parked], told: Assumptions) -> list[float]:
    """When each bay burns, s; the first one at 0, inf: not within the horizon."""
    count = len(names)
    flux: Array = np.zeros((count, count))  # [to, from]
    opens_s: Array = np.zeros((count, count))
    for (source, target), sight in sights.items():
        flux[target, source] = _flux_w_m2(sight, parked[names[source]], told)
        opens_s[target, source] = _opens_s(sight, told)
    skin_k: Array = np.full(count, told.air_c + _KELVIN)
    burns_s: Array = np.full(count, math.inf)
    burns_s[0] = 0.0
    walls = bool(np.any(opens_s > 0.0))
    for step in range(_STEPS):
        now_s = step * STEP_S
        grown = np.clip((now_s - burns_s) / told.growth_s, 0.0, 1.0)
        seen = np.where(opens_s <= now_s, flux, 0.0) if walls else flux
        skin_k = _warmed(skin_k, seen @ grown, told)
        new = (skin_k >= told.ignites_c + _KELVIN) & np.isinf(burns_s)
        if new.any():
            burns_s[new] = now_s + STEP_S
            if np.isfinite(burns_s).all():
                break
    found: list[float] = burns_s.tolist()
    return found


def _alone(sights: Sequence[Sight], parked: Parked, told: Assumptions) -> list[float]:
    """When each of these, seen by nothing else that burns, is set on fire, s; inf: not within the horizon."""
    flux: Array = np.array([_flux_w_m2(sight, parked, told) for sight in sights])
    opens_s: Array = np.array([_opens_s(sight, told) for sight in sights])
    skin_k: Array = np.full(len(sights), told.air_c + _KELVIN)
    burns_s: Array = np.full(len(sights), math.inf)
    for step in range(_STEPS):
        now_s = step * STEP_S
        skin_k = _warmed(skin_k, np.where(opens_s <= now_s, flux, 0.0) * min(1.0, now_s / told.growth_s), told)
        burns_s[(skin_k >= told.ignites_c + _KELVIN) & np.isinf(burns_s)] = now_s + STEP_S
    found: list[float] = burns_s.tolist()
    return found


def _opens_s(sight: Sight, told: Assumptions) -> float:
    """From when what stands between lets flames through: with the worse assumptions when its time is up."""
    if sight.wall_minutes is None:
        return 0.0
    return sight.wall_minutes * 60.0 if told.walls_end else math.inf


def _warmed(skin_k: Array, flux_w_m2: Array, told: Assumptions) -> Array:
    """The skins one step later."""
    air_k = told.air_c + _KELVIN
    gained = _ABSORBED * (flux_w_m2 - _STEFAN * (skin_k**4 - air_k**4)) - told.air_w_m2_k * (skin_k - air_k)
    return np.asarray(np.minimum(skin_k + gained * STEP_S / told.skin_j_m2_k, 1_500.0))
