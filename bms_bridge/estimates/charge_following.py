"""The state of charge of one pack in the health job: samples as they are read, followed at each look, kept on the shelf.

After a restart it goes on where it was left; what was read before is not followed twice. A pack that is new to the book begins
:data:`BACK_S` before now, however much of it the lake holds.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.estimates.charge_kept import read_back, written
from bms_bridge.estimates.charge_kinds import base_kind, capacity_of
from bms_bridge.estimates.charge_under_way import STEP_S, Going, Told, go_on, kind_now, name_of, start
from bms_bridge.estimates.charge_view import ChargeState
from bms_bridge.estimates.judging import PackFacts
from bms_bridge.estimates.shelf import Shelf
from bms_bridge.estimates.view import HealthEstimate
from bms_bridge.lake.hot import Numbers
from bms_bridge.lake.schema import moment
from bms_bridge.soc.cells import CellKind
from depot.values import PackKey

log = logging.getLogger(__name__)

BACK_S: Final = 2 * 86_400.0
OTHER_CAPACITY: Final = 0.03
"""A capacity that differs by more than this share from the one that it was begun with begins anew."""

OTHER_SPREAD: Final = 0.2
"""So much better or worse known (logarithm) it widens its own curve's intervals otherwise; nothing begins anew."""


@dataclass(slots=True)
class Following:
    """One pack's. Not for two threads at once."""

    told: Told = field(default_factory=Told)
    going: Going | None = None
    kind: CellKind | None = None
    loaded: bool = False
    said: str = ""

    def add(self, row: Numbers, cells_v: NDArray[np.float32], temperatures_c: NDArray[np.float32]) -> None:
        """A row of the lake, as it is read. Without a current it is nothing."""
        if row.current_a is None or not math.isfinite(row.current_a):
            return
        warm = temperatures_c[np.isfinite(temperatures_c)]
        hottest_c = float(warm.max()) if len(warm) else math.nan
        self.told.add(row.received_us / 1e6 - row.age_s, row.current_a, row.voltage_v, cells_v, hottest_c, row.soc)

    def ready(self, now_s: float) -> bool:
        """Whether a look would follow anything."""
        after_s = self.going.at_s if self.going is not None else -math.inf
        return self.told.newest_s > max(after_s, now_s - BACK_S) + STEP_S

    def look(self, shelf: Shelf, pack: PackKey, facts: PackFacts, note: str, health: HealthEstimate | None, now_s: float) -> None:
        """Follow what is new and keep it. ``note``: why nothing can be estimated of the pack; ``health``: what counts of it."""
        base, reason = (None, note) if note else base_kind(facts)
        if base is None or facts.layout is None or facts.nominal_ah is None:
            self._say_no(shelf, pack, reason)
            return
        if not self.loaded:
            kept = shelf.going(pack)
            self.going, self.loaded = (read_back(kept) if kept else None), True
        if not self.ready(now_s):
            return
        capacity_ah, capacity_sd = capacity_of(facts.nominal_ah, health)
        going = self.going
        if going is None or going.base != name_of(base) or abs(going.capacity_ah / capacity_ah - 1) > OTHER_CAPACITY:
            going, self.kind = start(base, capacity_ah, capacity_sd, going), None
        elif abs(math.log(going.capacity_sd / capacity_sd)) > OTHER_SPREAD:
            going, self.kind = replace(going, capacity_sd=capacity_sd), None
        bins = self.told.take(facts.layout.series, after_s=max(going.at_s, now_s - BACK_S), now_s=now_s)
        if bins is None:
            return
        try:
            self.going, self.kind, state, past = go_on(base, self.kind or kind_now(base, going), going, bins)
        except (ValueError, FloatingPointError, np.linalg.LinAlgError):
            log.exception("the state of charge of %s could not be followed; it begins anew", pack)
            self.going = self.kind = None
            return
        self.said = ""
        shelf.put_charge(pack, state, written(self.going), past)

    def _say_no(self, shelf: Shelf, pack: PackKey, reason: str) -> None:
        self.told.drop()
        if reason == self.said or not self.told.newest_s:
            return
        self.said = reason
        shelf.put_charge(pack, ChargeState(moment(round(self.told.newest_s * 1e6)), None, None, None, reason), None)
