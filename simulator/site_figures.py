"""What a meter at the virtual depot's connection would measure beside the power: volts, amperes, hertz, energies, demand.

A stiff three-phase grid behind a little resistance, a load with a steady power factor, spread over the phases by fixed
shares. Energies are the power's integral over the depot's clock, at the moments at which somebody asks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

from depot.ports import Clock

_SHARES = (0.34, 0.33, 0.33)
_BLOCK_S = 900.0
_SAG_V_PER_A = 0.002


class SiteFigures:
    """Call it for the figures of this moment, by the names that meter maps use. ``clock`` None: energies stand still."""

    def __init__(
        self,
        power_w: Callable[[], float],
        clock: Clock | None = None,
        *,
        nominal_v: float = 230.0,
        hertz: float = 50.0,
        power_factor: float = 0.97,
        import_wh: float = 4_000_000.0,
        export_wh: float = 1_000.0,
    ) -> None:
        self.import_wh = import_wh
        self.export_wh = export_wh
        self.apparent_wh = import_wh / power_factor
        self.peak_w = 0.0
        self._power_w = power_w
        self._clock = clock
        self._nominal_v = nominal_v
        self._hertz = hertz
        self._power_factor = power_factor
        self._seen: tuple[datetime, float] | None = None
        self._block = (0, 0.0, 0.0)

    def __call__(self) -> dict[str, float]:
        power = self._power_w()
        steady = power if math.isfinite(power) else 0.0
        self._pass(steady)
        apparent = abs(steady) / self._power_factor
        _, energy_ws, lasted_s = self._block
        mean = energy_ws / lasted_s if lasted_s else steady
        found = {
            "power": power,
            "apparent": apparent,
            "reactive": math.sqrt(max(0.0, apparent**2 - steady**2)),
            "power_factor": math.copysign(self._power_factor, steady),
            "frequency": self._hertz,
            "import_energy": self.import_wh,
            "export_energy": self.export_wh,
            "apparent_energy": self.apparent_wh,
            "demand": mean,
            "apparent_demand": abs(mean) / self._power_factor,
            "peak_demand": max(self.peak_w, mean),
            "peak_apparent_demand": max(self.peak_w, mean) / self._power_factor,
            "demand_interval": _BLOCK_S / 60,
        }
        for number, share in enumerate(_SHARES, 1):
            amperes = apparent * share / self._nominal_v
            volts = self._nominal_v - _SAG_V_PER_A * amperes if self._nominal_v < 1000 else self._nominal_v
            found |= {f"voltage_l{number}": volts, f"current_l{number}": apparent * share / volts, f"power_l{number}": steady * share}
        return found

    def _pass(self, power_w: float) -> None:
        """Time went by since somebody asked: the power of then held until now."""
        if self._clock is None:
            return
        now = self._clock.now()
        if self._seen is not None and now > self._seen[0]:
            since, held_w = self._seen
            seconds = (now - since).total_seconds()
            self.import_wh += max(0.0, held_w) * seconds / 3600
            self.export_wh += max(0.0, -held_w) * seconds / 3600
            self.apparent_wh += abs(held_w) / self._power_factor * seconds / 3600
            block = int(now.timestamp() // _BLOCK_S)
            number, energy_ws, lasted_s = self._block
            if block != number:
                self.peak_w = max(self.peak_w, energy_ws / lasted_s if lasted_s else 0.0)
                energy_ws = lasted_s = 0.0
            self._block = (block, energy_ws + held_w * seconds, lasted_s + seconds)
        self._seen = (now, power_w)
