"""A stationary battery of the virtual depot: cells, taper, an inverter that ramps, orders that revert by themselves.

Powers here are the inverter's: positive where it gives. Nothing speaks a protocol; :mod:`simulator.sunspec_units` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

TAPER_SOC = 0.9
"""Above it charging power falls in proportion, to a tenth when full."""

RAMP_S = 1.0
"""From 0 to full power."""


@dataclass(slots=True)
class BatteryUnit:
    """``now_s``: a clock in seconds. ``says_soc``: what it tells, where that is not the truth. ``fault``: it gives and takes nothing."""

    now_s: Callable[[], float]
    capacity_wh: float = 200_000.0
    charge_w: float = 100_000.0
    discharge_w: float = 100_000.0
    loss: float = 0.05
    soc: float = 0.5
    says_soc: float | None = None
    fault: bool = False
    enabled: bool = False
    wanted_w: float = 0.0
    reverts_to_w: float = 0.0
    stays_enabled: bool = False
    reverts_after_s: int = 0
    power_w: float = 0.0
    reversions: int = 0
    _reverts_at_s: float | None = None
    _at_s: float | None = None

    def enable(self, on: bool) -> None:
        """The order holds from now on, for its reversion time where it has one."""
        self.step()
        self.enabled = on
        self._reverts_at_s = self.now_s() + self.reverts_after_s if on and self.reverts_after_s else None

    @property
    def reverts_in_s(self) -> int:
        """How long the order still holds; 0 where it does not end."""
        return 0 if self._reverts_at_s is None else max(0, round(self._reverts_at_s - self.now_s()))

    def step(self) -> float:
        """Bring it to now; returns its power (W, given)."""
        now = self.now_s()
        past, self._at_s = 0.0 if self._at_s is None else now - self._at_s, now
        if self._reverts_at_s is not None and now >= self._reverts_at_s:
            self.enabled, self.wanted_w, self._reverts_at_s = self.stays_enabled, self.reverts_to_w, None
            self.reversions += 1
        goal = self._goal()
        most = max(self.charge_w, self.discharge_w) * past / RAMP_S
        self.power_w += max(-most, min(most, goal - self.power_w))
        moved_wh = self.power_w * past / 3600
        self.soc = min(
            1.0, max(0.0, self.soc - (moved_wh / (1 - self.loss) if moved_wh > 0 else moved_wh * (1 - self.loss)) / self.capacity_wh)
        )
        if (self.soc <= 0 and self.power_w > 0) or (self.soc >= 1 and self.power_w < 0):
            self.power_w = 0.0
        return self.power_w

    def _goal(self) -> float:
        if self.fault or not self.enabled:
            return 0.0
        if self.wanted_w >= 0:
            return min(self.wanted_w, self.discharge_w) if self.soc > 0 else 0.0
        taper = max(0.1, (1 - self.soc) / (1 - TAPER_SOC)) if self.soc > TAPER_SOC else 1.0
        return -min(-self.wanted_w, self.charge_w * taper) if self.soc < 1 else 0.0
