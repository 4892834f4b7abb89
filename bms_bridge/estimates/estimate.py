"""One estimate of a pack, whatever it was made by. Plain data: what reads the book needs no numbers' library for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

SOH: Final = "soh"
RESISTANCE: Final = "resistance"
COUNTED: Final = "counted charge"
TAUGHT: Final = "taught model"
STEPS: Final = "current steps"
REFERENCE: Final = "reference test"
COUNTS: Final = (COUNTED, REFERENCE)
"""Both count charge between two rests: one line of estimates."""

LIFE: Final = "life"
LIVES: Final = "taught lives"


@dataclass(frozen=True, slots=True)
class ByCell:
    """Health of each cell from one charge: ``soh`` (shares of nominal), ``error`` (half of the 90 % interval), ``modules`` (from 1): of
    all cells in series. ``until_s``: Unix seconds."""

    until_s: float
    soh: tuple[float, ...]
    error: tuple[float, ...]
    modules: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """``quantity``: :data:`SOH` (shares of the nominal capacity) or :data:`RESISTANCE` (mΩ of the pack) or
    :data:`LIFE` (full cycles until 80 %; P50 between P10 and P90). ``value`` None: there is none,
    for ``reason``. Times: Unix seconds of the window. ``detail``: figures for people and pages, plain data.
    ``cells``: health by cell, where all of them were told."""

    quantity: str
    method: str
    from_s: float
    until_s: float
    value: float | None
    low: float | None
    high: float | None
    reason: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    cells: ByCell | None = None
