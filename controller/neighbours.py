"""Which bays stand beside a burning one. Pure. By the depot's layout where it is known (:mod:`bms_bridge.bay_propagation`), else by name.

bays of the depot --ByName.of(bay)--> the one before and the one after, as a person would count them
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A bay beside a burning one. ``from_min``, ``to_min``: when it may be reached, minutes; None: not reckoned."""

    bay: str
    from_min: float | None = None
    to_min: float | None = None


class Neighbours(Protocol):
    """Who knows the layout."""

    def of(self, bay: str, bays: Sequence[str]) -> Sequence[Neighbour]:
        """Of ``bays``, those that stand beside ``bay``."""


class ByName:
    """Bays are taken to stand in the order of their names. A wrong guess stops a charger too many; nothing is spared for it."""

    def of(self, bay: str, bays: Sequence[str]) -> Sequence[Neighbour]:
        ordered = sorted({*bays, bay}, key=counted)
        at = ordered.index(bay)
        return [Neighbour(name) for name in (*ordered[max(0, at - 1) : at], *ordered[at + 1 : at + 2])]


def counted(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key by which ``B2`` comes before ``B10``."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in _NUMBER.split(name) if part)
