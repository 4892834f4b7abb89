"""A vehicle's traction battery as the charger feels it: state of charge, CC-CV taper, losses, temperature.

Constant current until the terminal voltage reaches its ceiling, then constant voltage: the headroom between open-circuit
voltage and ceiling shrinks about linearly with the state of charge, and so does the power that goes in. In one formula,
battery side, W_max(soc) = capacity · (1 − soc) / K: at C-rate c the knee lies at soc = 1 − K·c (0.95 for a 150 kW
charger on 600 kWh, 0.8 at 1C), and the tail decays exponentially in time. Cold and hot packs take less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

REVIEW_S = 60.0
"""A tapering pack's power is looked at again after this time (depot seconds)."""

_TAPER_H = 0.2
"""K at room temperature, hours: the internal resistance in the units of the formula above."""
_TRICKLE_PER_H = 0.02
"""Least acceptance below full: C/50, where the battery management ends the constant-voltage phase."""
_LOSS_AT_1C = 0.04
"""Share of the battery power at 1C that heats the pack (I²R: grows with the square of the current)."""
_HEAT_WH_PER_K_KWH = 1.8
"""Heat capacity per kWh of pack, about 6.5 kg/kWh at 1 kJ/(kg·K)."""
_COOLING_S = 4 * 3600.0
"""Time constant towards ambient."""
_COLD_C, _FREEZING_C = 10.0, -10.0
_WARM_C, _HOT_C, _STOP_C = 45.0, 50.0, 60.0
_EMPTY_SOC = 0.05
"""Below this the battery management lets nothing out."""
_STEADY_S = 600.0
"""Longest time without a look at a pack that is far from any change; up to 1C it warms by less than 4 K in it."""


@dataclass(slots=True)
class Pack:
    """State of one battery. ``need_wh``: battery energy that it takes at most in this stay; ``got_wh``: has taken.

    ``got_wh`` falls where it gives energy, and may become negative. ``efficiency``: battery energy gained per grid energy, losses
    of charger and pack together; the same share is lost on the way back.
    """

    capacity_wh: float
    soc: float
    need_wh: float
    efficiency: float = 0.9
    temp_c: float = 25.0
    ambient_c: float = 25.0
    got_wh: float = 0.0

    def __post_init__(self) -> None:
        # Sessions without a known battery, or with one too small for what they took, get one that fits.
        self.capacity_wh = max(self.capacity_wh, self.need_wh, 1.0)
        self.soc = min(max(self.soc, 0.0), 1.0 - self.need_wh / self.capacity_wh)

    @property
    def satisfied(self) -> bool:
        """It has what it needs and draws nothing more."""
        return self.got_wh >= self.need_wh - 1e-6

    def acceptance_w(self) -> float:
        """Most grid power that the pack takes now, whatever the charger could give (0 once satisfied)."""
        return 0.0 if self.satisfied else self.allowed_w()

    def allowed_w(self) -> float:
        """Most grid power that charge and temperature allow, whether it needs any or not."""
        taper = max(_TRICKLE_PER_H, (1.0 - self.soc) / (_TAPER_H * self._resistance()))
        return self.capacity_wh * taper * self._hot_share() / self.efficiency

    def advance(self, power_w: float, seconds: float) -> None:
        """Let ``power_w`` (grid side) flow for ``seconds``. May pass the need by what flowed since the last look."""
        if power_w < 0:  # what leaves the battery is more than what reaches the grid
            lost = -power_w / self.efficiency * seconds / 3600.0
            self.got_wh -= lost
            self.soc = max(0.0, self.soc - lost / self.capacity_wh)
        elif power_w > 0:
            gained = power_w * self.efficiency * seconds / 3600.0
            self.got_wh += gained
            self.soc = min(1.0, self.soc + gained / self.capacity_wh)
        c_rate = (power_w * self.efficiency if power_w > 0 else -power_w / self.efficiency) / self.capacity_wh
        heat_w = _LOSS_AT_1C * self.capacity_wh * c_rate * c_rate
        # first order towards ambient + what the heat alone would hold, exact for constant power
        settled_c = self.ambient_c + heat_w * _COOLING_S / 3600.0 / (_HEAT_WH_PER_K_KWH * self.capacity_wh / 1000.0)
        self.temp_c = settled_c + (self.temp_c - settled_c) * math.exp(-seconds / _COOLING_S)

    def holds_for_s(self, power_w: float) -> float:
        """How long ``power_w`` can flow before somebody has to look again: need met, knee reached, or time to look."""
        battery_w = power_w * self.efficiency
        if battery_w < 0:
            until_empty = (self.soc - _EMPTY_SOC) * self.capacity_wh * 3600.0 * self.efficiency / -power_w
            return max(0.0, min(until_empty, REVIEW_S))
        if battery_w <= 0:
            return _STEADY_S
        until_met = (self.need_wh - self.got_wh) * 3600.0 / battery_w
        knee = 1.0 - _TAPER_H * self._resistance() * battery_w / self.capacity_wh
        until_knee = (knee - self.soc) * self.capacity_wh * 3600.0 / battery_w
        warms_slowly = battery_w <= self.capacity_wh and self.temp_c < _WARM_C
        return max(0.0, min(until_met, max(until_knee, REVIEW_S), _STEADY_S if warms_slowly else REVIEW_S))

    @property
    def empty(self) -> bool:
        """Its management gives nothing more."""
        return self.soc <= _EMPTY_SOC + 1e-9

    def _resistance(self) -> float:
        """Internal resistance relative to room temperature: doubles at −10 °C."""
        if self.temp_c >= _COLD_C:
            return 1.0
        return 1.0 + min(1.0, (_COLD_C - self.temp_c) / (_COLD_C - _FREEZING_C))

    def _hot_share(self) -> float:
        return min(1.0, max(0.0, (_STOP_C - self.temp_c) / (_STOP_C - _HOT_C)))


def possible_wh(pack: Pack, *, max_w: float, seconds: float) -> float:
    """Battery energy that ``pack`` would gain in ``seconds`` if it could always draw up to ``max_w`` (pack is not changed)."""
    trial = Pack(pack.capacity_wh, pack.soc, pack.need_wh, pack.efficiency, pack.temp_c, pack.ambient_c, pack.got_wh)
    left = seconds
    while left > 1e-6 and not trial.satisfied:
        power_w = min(max_w, trial.acceptance_w())
        step = min(left, max(trial.holds_for_s(power_w), 1e-3))
        trial.advance(power_w, step)
        left -= step
    return trial.got_wh - pack.got_wh
