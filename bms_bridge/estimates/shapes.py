"""The incremental capacity of a charge (dQ/dV of its mean cell), as it is kept and drawn; or why there is none. Pure."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from bms_bridge.estimates.charges import Charge
from bms_bridge.estimates.judging import PackFacts
from bms_bridge.estimates.samples import Samples
from bms_bridge.features import FeaturesError
from bms_bridge.features.differential import curves, peaks
from bms_bridge.features.samples import ordered

MOST_POINTS: Final = 160


def shape_of(samples: Samples, charge: Charge, facts: PackFacts) -> dict[str, Any]:
    """``ica``: V and Ah/V of the mean cell, its peaks, the C-rate; or ``no_ica``: the reason. ``facts`` must have capacity and layout."""
    assert facts.nominal_ah is not None
    assert facts.layout is not None
    part = slice(charge.first, charge.last + 1)
    means = samples.cell_means(facts.layout.series)[part]
    try:
        found = curves(ordered(samples.t_s[part], samples.current_a[part], means), facts.nominal_ah)
    except (FeaturesError, ValueError, np.linalg.LinAlgError) as error:
        return {"no_ica": str(error)[:200]}
    step = -(-len(found.voltage_v) // MOST_POINTS)
    return {
        "ica": {
            "cell_v": [round(float(value), 4) for value in found.voltage_v[::step]],
            "ah_per_v": [round(float(value), 3) for value in found.ica_ah_per_v[::step]],
            "peaks_v": [round(one.at, 4) for one in peaks(found.voltage_v, found.ica_ah_per_v)],
            "c_rate": round(found.c_rate, 3),
            "notes": list(found.notes),
        }
    }
