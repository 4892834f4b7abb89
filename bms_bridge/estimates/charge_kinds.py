"""With which curve and which capacity a pack's state of charge is followed, or why it is not. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np

from bms_bridge.estimates.curves import RestCurve
from bms_bridge.estimates.judging import PackFacts
from bms_bridge.estimates.view import HealthEstimate
from bms_bridge.soc import CurveRefused
from bms_bridge.soc.cells import LEARNABLE, CellKind, shipped, with_curve
from bms_bridge.soc.estimate import NORMAL_90
from bms_bridge.soc.ocv import OcvCurve

SET_ERROR_V: Final = 0.010
"""Least error of a curve from a data sheet: it is of the kind of cell, not of this pack."""

UNKNOWN_SD: Final = 0.08
LEAST_SD: Final = 0.01
"""Of the capacity, shares: where no health was estimated, and where it was."""


def base_kind(facts: PackFacts) -> tuple[CellKind | None, str]:
    """The kind by the settings' curve, else by the shipped one; or the reason why there is none."""
    if facts.chemistry in LEARNABLE and facts.curve is not None:
        try:
            return with_curve(facts.chemistry, _knots(facts.curve), max(facts.curve.error_v, SET_ERROR_V), source="set"), ""
        except CurveRefused as error:
            return None, f"the curve that is set for {facts.chemistry} cells does not serve: {error}"
    kind = shipped().get(facts.chemistry)
    if kind is not None:
        return kind, ""
    return None, f"no open-circuit curve is known for {facts.chemistry} cells: add a [[health.curve]] from the maker's data sheet"


def capacity_of(nominal_ah: float, health: HealthEstimate | None) -> tuple[float, float]:
    """Ah today, and one standard deviation as a share: nominal, times its health where that is known."""
    if health is None or health.value is None or health.low is None or health.high is None:
        return nominal_ah, UNKNOWN_SD
    return nominal_ah * health.value, max((health.high - health.low) / 2 / NORMAL_90 / health.value, LEAST_SD)


def _knots(curve: RestCurve) -> OcvCurve:
    soc = np.unique(np.concatenate([np.linspace(0.0, 1.0, 21), np.asarray(curve.soc)]))
    return OcvCurve(tuple(soc.tolist()), tuple(np.interp(soc, curve.soc, curve.cell_v).tolist()))
