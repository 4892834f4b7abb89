"""Where vehicles stand in a depot: bays as rectangles on the floor, walls between them, and how they see each other. Pure.

    Layout(bays, walls) --sight(a, b)--> Sight(how far apart, how wide a sees b, what stands between)

x and y in metres in any coordinates of the depot's own, z up. A bay holds one vehicle, whose outline stands for the bay's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from bms_bridge import InvalidLayout

MOST_BAYS: Final = 500
FARTHEST_M: Final = 25.0
"""Farther apart than this no vehicle sets another on fire."""

HIDES_M: Final = 12.0
"""Up to this distance it is looked for what stands between."""

_TOUCHING_M = 0.05

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bay:
    """The place of one vehicle. ``x_m``, ``y_m``: its middle; ``heading_deg``: direction of its long side, 0 along x.
    ``compartment``: the fire compartment that it lies in ("": the one that has no name). ``corners`` and ``sides`` of its outline,
    around."""

    bay_id: str
    x_m: float
    y_m: float
    length_m: float = 12.0
    width_m: float = 2.6
    heading_deg: float = 0.0
    compartment: str = ""

    corners: tuple[Point, ...] = field(init=False, repr=False, compare=False)
    sides: tuple[tuple[Point, Point], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        turn = math.radians(self.heading_deg)
        along = (math.cos(turn) * self.length_m / 2, math.sin(turn) * self.length_m / 2)
        across = (-math.sin(turn) * self.width_m / 2, math.cos(turn) * self.width_m / 2)
        signs = ((1, 1), (1, -1), (-1, -1), (-1, 1))
        corners = tuple((self.x_m + p * along[0] + q * across[0], self.y_m + p * along[1] + q * across[1]) for p, q in signs)
        object.__setattr__(self, "corners", corners)
        object.__setattr__(self, "sides", tuple((corners[n], corners[(n + 1) % 4]) for n in range(4)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wall:
    """A wall from one point to another that holds fire back for ``fire_minutes``."""

    x1_m: float
    y1_m: float
    x2_m: float
    y2_m: float
    fire_minutes: float = 0.0


@dataclass(frozen=True, slots=True)
class Sight:
    """How one bay's vehicle is seen from the nearest point of another's. ``gap_m``: between their outlines. ``left_m``, ``right_m``:
    where the seen outline ends, across the line of sight, from its foot. ``middle_m``: where its middle lies there. ``wall_minutes``:
    for how long what stands between holds, None: nothing does. ``screened``: another bay lies between (looked for up to
    :data:`HIDES_M`)."""

    gap_m: float
    left_m: float
    right_m: float
    middle_m: float
    wall_minutes: float | None
    screened: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """The depot's floor. ``compartment_minutes``: what holds between bays of different compartments.

    Raises :class:`~bms_bridge.InvalidLayout` for bays that have one id or lie on each other.
    """

    bays: tuple[Bay, ...]
    walls: tuple[Wall, ...] = ()
    compartment_minutes: float = 60.0
    _by_id: Mapping[str, Bay] = field(init=False, repr=False, compare=False)
    _close: Mapping[str, tuple[Bay, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {bay.bay_id: bay for bay in self.bays})
        if len(self._by_id) < len(self.bays):
            names = [bay.bay_id for bay in self.bays]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise InvalidLayout(f"two bays have the id {', '.join(twice)}")
        if len(self.bays) > MOST_BAYS:
            raise InvalidLayout(f"{len(self.bays)} bays; at most {MOST_BAYS} can be worked out")
        close: dict[str, list[Bay]] = {bay.bay_id: [] for bay in self.bays}
        for number, bay in enumerate(self.bays):
            for other in self.bays[number + 1 :]:
                if _near(bay, other, FARTHEST_M):
                    if _overlap(bay, other):
                        raise InvalidLayout(f"bays {bay.bay_id} and {other.bay_id} lie on each other")
                    close[bay.bay_id].append(other)
                    close[other.bay_id].append(bay)
        object.__setattr__(self, "_close", {bay_id: tuple(found) for bay_id, found in close.items()})

    def __contains__(self, bay_id: object) -> bool:
        return bay_id in self._by_id

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def bay(self, bay_id: str) -> Bay:
        """Raises :class:`~bms_bridge.InvalidLayout` for one that is not here."""
        try:
            return self._by_id[bay_id]
        except KeyError:
            raise InvalidLayout(f"bay {bay_id!r} has no place in the layout") from None

    def close(self, bay_id: str) -> list[str]:
        """The other bays that may lie within :data:`FARTHEST_M`, near ones and some farther ones."""
        self.bay(bay_id)
        return [bay.bay_id for bay in self._close[bay_id]]

    def sight(self, seen_id: str, from_id: str) -> Sight:
        """How ``seen_id`` is seen from the nearest point of ``from_id``."""
        seen, here = self.bay(seen_id), self.bay(from_id)
        gap, foot, eye = _gap(seen, here)
        if gap > _TOUCHING_M:
            normal = ((foot[0] - eye[0]) / gap, (foot[1] - eye[1]) / gap)
        else:
            apart = math.hypot(seen.x_m - here.x_m, seen.y_m - here.y_m) or 1.0
            normal = ((seen.x_m - here.x_m) / apart, (seen.y_m - here.y_m) / apart)
        across = (-normal[1], normal[0])
        spots = [(x - eye[0]) * across[0] + (y - eye[1]) * across[1] for x, y in seen.corners]
        middle = (seen.x_m - eye[0]) * across[0] + (seen.y_m - eye[1]) * across[1]
        line = (eye, foot)
        between = (b for b in self._close[from_id] if b is not seen and _near(b, here, gap)) if gap <= HIDES_M else ()
        return Sight(
            gap_m=gap,
            left_m=min(spots),
            right_m=max(spots),
            middle_m=middle,
            wall_minutes=self._wall_minutes(seen, here, line),
            screened=any(_crosses(line, side) for b in between for side in b.sides),
        )

    def _wall_minutes(self, seen: Bay, here: Bay, line: tuple[Point, Point]) -> float | None:
        """Of what stands between: the longest holds. A wall is believed only where it stands between the vehicles' middles too."""
        middles = ((here.x_m, here.y_m), (seen.x_m, seen.y_m))
        found = [
            wall.fire_minutes
            for wall in self.walls
            if _crosses(line, ((wall.x1_m, wall.y1_m), (wall.x2_m, wall.y2_m)))
            and _crosses(middles, ((wall.x1_m, wall.y1_m), (wall.x2_m, wall.y2_m)))
        ]
        if seen.compartment != here.compartment:
            found.append(self.compartment_minutes)
        return max(found, default=None)


def _near(one: Bay, other: Bay, gap_m: float) -> bool:
    """Whether they can be so near at all."""
    reach = math.hypot(one.length_m, one.width_m) / 2 + math.hypot(other.length_m, other.width_m) / 2 + gap_m
    return math.hypot(one.x_m - other.x_m, one.y_m - other.y_m) <= reach


def _gap(one: Bay, other: Bay) -> tuple[float, Point, Point]:
    """The least distance of two outlines, and the nearest points: of ``one``, of ``other``. Where a side lies along another, the middle
    of what they have in common."""
    pairs = [(corner, _foot(corner, side)) for corner in one.corners for side in other.sides]
    pairs += [(_foot(corner, side), corner) for corner in other.corners for side in one.sides]
    apart = [math.hypot(p[0] - q[0], p[1] - q[1]) for p, q in pairs]
    least = min(apart)
    nearest = [pair for pair, distance in zip(pairs, apart, strict=True) if distance <= least + 1e-6]
    count = len(nearest)
    mean_one = (sum(p[0] for p, _ in nearest) / count, sum(p[1] for p, _ in nearest) / count)
    mean_other = (sum(q[0] for _, q in nearest) / count, sum(q[1] for _, q in nearest) / count)
    return least, mean_one, mean_other


def _foot(point: Point, side: tuple[Point, Point]) -> Point:
    (x1, y1), (x2, y2) = side
    dx, dy = x2 - x1, y2 - y1
    length = dx * dx + dy * dy
    part = 0.0 if length == 0.0 else ((point[0] - x1) * dx + (point[1] - y1) * dy) / length
    part = min(1.0, max(0.0, part))
    return x1 + part * dx, y1 + part * dy


def _overlap(one: Bay, other: Bay) -> bool:
    """Whether two outlines have more than an edge in common: no line separates them (the axes of both are tried)."""
    for bay in (one, other):
        turn = math.radians(bay.heading_deg)
        for axis in ((math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))):
            first = [x * axis[0] + y * axis[1] for x, y in one.corners]
            second = [x * axis[0] + y * axis[1] for x, y in other.corners]
            if max(first) <= min(second) + _TOUCHING_M or max(second) <= min(first) + _TOUCHING_M:
                return False
    return True


def _crosses(line: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    """Whether two stretches cross or touch."""
    a, b = line
    c, d = other
    first, second = _side(a, b, c), _side(a, b, d)
    third, fourth = _side(c, d, a), _side(c, d, b)
    return first * second <= 0.0 and third * fourth <= 0.0 and (first != second or third != fourth)


def _side(a: Point, b: Point, p: Point) -> float:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
