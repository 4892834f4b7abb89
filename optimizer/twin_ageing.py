"""How the packs of a twin's run age: the shipped table of cell models, at the states of charge and temperatures that the run finds.

    slot by slot: state of charge, °C, what flowed in --rates_of()--> share of the nominal capacity that is lost, beside that at rest

Nothing is linearised over a stay: each slot counts by its own temperature and rate.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from optimizer.life import HOURS_PER_YEAR
from optimizer.life_table import GENTLE_C, rates_of
from optimizer.problem import FloatArray

Index = npt.NDArray[np.intp]


class Ageing:
    """``models`` [vehicle]: names of cell models, empty where there is none. ``fade``, ``fade_at_rest`` [vehicle]: shares of the nominal
    capacity so far; NaN where nothing is known."""

    def __init__(self, models: npt.NDArray[np.str_], known: npt.NDArray[np.bool_]) -> None:
        aged = (models != "") & known
        self.fade: FloatArray = np.where(aged, 0.0, np.nan)
        self.fade_at_rest: FloatArray = self.fade.copy()
        self._models = models
        self._names = sorted(set(models[aged].tolist()))

    def pass_slot(
        self,
        who: Index,
        hours: float,
        *,
        soc: FloatArray,
        temp_c: FloatArray,
        received: FloatArray,
        soc_at_rest: FloatArray,
        rest_c: FloatArray,
    ) -> None:
        """``who``: vehicles that are there; of each its mean state of charge (0–1) and temperature, and what it ``received`` (a share of
        its capacity); and both of what it would be at rest."""
        for name in self._names:
            its = np.flatnonzero(self._models[who] == name)
            if not len(its):
                continue
            now, at_rest = rates_of(name, temp_c[its]), rates_of(name, rest_c[its])
            fast = 1 + now.steep_per_c * np.maximum(received[its] / hours - GENTLE_C, 0.0)
            years = hours / HOURS_PER_YEAR
            self.fade[who[its]] += years * (now.at_empty + now.per_soc * soc[its]) + received[its] * now.cycle * fast
            self.fade_at_rest[who[its]] += years * (at_rest.at_empty + at_rest.per_soc * soc_at_rest[its])
