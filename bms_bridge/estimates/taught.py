"""Health from the end of a charge, by a model that was taught other cells; or the reason why it says nothing. Pure.

    Samples, Charge --ending()--> sixteen numbers, kept with the charge        those of the charges before, and these --taught()--> Estimate

The pack counts as one cell: its mean cell's voltage, its whole current over its whole capacity. Windows of the falling current are
therefore set in capacities an hour. A pack is compared with its own last charges, never with its first ones: nobody here knows whether
those were a new pack's. The interval is the model's, wider by what the pack's current sensor may be wrong: the taught cells' was a
laboratory's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bms_bridge.estimates import InvalidCurve
from bms_bridge.estimates.charges import Charge
from bms_bridge.estimates.estimate import SOH, TAUGHT, Estimate
from bms_bridge.estimates.judging import POSSIBLE, WIDEST, PackFacts
from bms_bridge.estimates.samples import Samples
from bms_bridge.features import FeaturesError
from bms_bridge.features.charge_window import Window, charge_table, window_features
from bms_bridge.features.samples import ordered
from bms_bridge.health.charge_table import FEATURES
from bms_bridge.health.soh import SohModel, Verdict

MOST_CHARGES: Final = 200
"""Of a pack's charges before, so many are asked whether they are like the taught ones."""

NUMBERS: Final = "window"
NO_NUMBERS: Final = "no_window"
WINDOW: Final = "window_of"
_NOT_NEW: Final = 1e6
"""A cycle of no beginning: see the module."""


@dataclass(frozen=True, slots=True)
class EndWindow:
    """Of one chemistry's packs. ``kind``: the model's name of such charges; ``cut_off_v``, ``below_v``: per cell; ``from_c``, ``to_c``: the
    falling current's window, capacities an hour; ``step_s``: as the taught table has it; ``batch``: of the taught ones, "" for none of
    them. Raises :class:`~bms_bridge.estimates.InvalidCurve`."""

    kind: str
    cut_off_v: float
    below_v: float = 0.2
    from_c: float = 0.25
    to_c: float = 0.05
    step_s: float = 5.0
    batch: str = ""

    def __post_init__(self) -> None:
        try:
            self.of(100.0)
        except ValueError as error:
            raise InvalidCurve(str(error)) from None

    def of(self, nominal_ah: float) -> Window:
        """For a pack of this capacity. ValueError: such currents cannot be."""
        return Window(self.cut_off_v, self.below_v, self.from_c * nominal_ah, self.to_c * nominal_ah, self.step_s)

    def label(self, nominal_ah: float) -> str:
        """Numbers of charges can be compared where this is the same."""
        return " ".join(f"{value:g}" for value in (self.cut_off_v, self.below_v, self.from_c, self.to_c, self.step_s, nominal_ah))


@dataclass(frozen=True, slots=True)
class Teaching:
    """A model by kind of charge, and the window of each chemistry's packs."""

    models: Mapping[str, SohModel]
    windows: Mapping[str, EndWindow]


def ending(samples: Samples, charge: Charge, facts: PackFacts, window: EndWindow) -> dict[str, Any]:
    """``window``: the sixteen numbers of a charge's end (``window_of``: by which window); or ``no_window``: why there are none. ``facts``
    must have capacity and layout."""
    assert facts.nominal_ah is not None
    assert facts.layout is not None
    part = slice(charge.first, min(charge.last + 2, charge.until + 1))
    means = samples.cell_means(facts.layout.series)[part]
    try:
        found = window_features(ordered(samples.t_s[part], samples.current_a[part], means), window.of(facts.nominal_ah))
    except (FeaturesError, ValueError, np.linalg.LinAlgError) as error:
        return {NO_NUMBERS: str(error)[:200]}
    return {NUMBERS: [float(f"{value:.7g}") for value in found], WINDOW: window.label(facts.nominal_ah)}


def taught(
    teaching: Teaching, facts: PackFacts, history: Sequence[Sequence[float]], said: Mapping[str, Any], *, from_s: float, until_s: float
) -> Estimate:
    """``history``: sixteen numbers of the charges before, in order; ``said``: what :func:`ending` found of this one."""

    def none(reason: str) -> Estimate:
        return Estimate(SOH, TAUGHT, from_s, until_s, None, None, None, reason)

    window = teaching.windows.get(facts.chemistry)
    if window is None:
        return none(f"where charges of {facts.chemistry} packs end is not set: add a [[health.window]]")
    model = teaching.models.get(window.kind)
    if model is None:
        return none(f"the model knows no charges of the kind {window.kind!r}; it knows {', '.join(sorted(teaching.models))}")
    if NUMBERS not in said:
        return none(f"the window at the charge's end is not there: {said.get(NO_NUMBERS, 'it was not looked for')}")
    assert facts.nominal_ah is not None
    rows = [*(row for row in history[-MOST_CHARGES:] if len(row) == len(FEATURES)), said[NUMBERS]]
    cells = {"pack": [(_NOT_NEW + n, np.array(row, dtype=np.float64)) for n, row in enumerate(rows)]}
    _, found = model.latest(charge_table(window.kind, cells, facts.nominal_ah, window.batch))
    if found.verdict[0] == Verdict.NONE or not np.isfinite(found.soh[0]):
        return none(_unlike(model, window, float(found.distance[0])))
    value, low, high = (float(part[0]) for part in (found.soh, found.low, found.high))
    low, high = max(low * (1 - facts.current_gain), 0.0), high * (1 + facts.current_gain)
    if not POSSIBLE[0] <= value <= POSSIBLE[1]:
        return none(f"it would be {value:.0%} of what is registered: look at the capacity and at [[health.window]]")
    if (high - low) / 2 > WIDEST:
        return none(f"its interval would be {low:.0%} to {high:.0%}: that tells nothing")
    usual = found.verdict[0] == Verdict.USUAL
    detail = {
        "charges": min(len(rows), model.last),
        "kind": window.kind,
        "like": "charges that were taught" if usual else "no taught batch: the interval is the wider one that held for unknown batches",
        "distance": round(float(found.distance[0]), 2),
    }
    return Estimate(SOH, TAUGHT, from_s, until_s, round(value, 4), round(low, 4), round(high, 4), "", detail)


def _unlike(model: SohModel, window: EndWindow, distance: float) -> str:
    if not np.isfinite(model.plain.unusual_factor) and window.batch not in model.batches:
        return "the model was taught one batch alone, so nothing is known of how wrong it is for others: counted charge must do"
    farthest = model.plain.farthest if np.isfinite(model.plain.unusual_factor) else model.plain.usual_distance
    if distance > farthest:
        return f"its charges are unlike all that was taught (distance {distance:.1f}, at most {farthest:.1f}): counted charge must do"
    return "most of its charges are unlike all that was taught: counted charge must do"
