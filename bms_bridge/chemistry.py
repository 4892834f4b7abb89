"""Thresholds per chemistry, and what a battery management system's alarm means to the depot.

Where the numbers come from. 60 °C as the end of charging for any lithium cell is the datasheets' class of value, and the
onset of SEI decomposition lies at about 80 °C (Hatchard/Kim kinetics: 37 h to runaway at 80 °C, 4 h at 100 °C); a spread of
10 K in a pack and a rise of 0.1 K/s are early signs that charging does not explain; 1 K/s over 3 s above the maker's
maximum is GB 38031-2025 C.5.3.7's confirmation of a runaway. Energy cells (NMC, NCA) are specified for charging up to 45 °C
by most makers, LFP and LTO up to 55 °C; below 10 °C lithium plating limits the current, below 0 °C charging stops (LTO: −20 °C).
Except for the rule of GB 38031 these are this project's proposals, on the cautious side: confirm them with the maker of the
pack, and tighten them per depot by :meth:`Thresholds.tightened`. They cannot be loosened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Final

from bms_bridge import InvalidThreshold


class Chemistry(StrEnum):
    """Cell chemistry of a pack. ``unknown`` is treated as the most delicate one in every respect."""

    LFP = "LFP"
    NMC = "NMC"
    NCA = "NCA"
    LMO = "LMO"
    LTO = "LTO"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Temperatures in °C, of the hottest and the coldest sensor.

    Hot: the full level up to ``derate_from_c``, falling in a straight line to ``LEAST_SHARE`` at ``derate_full_c``, held
    there up to ``trip_c``. A trip may be reset from ``reset_below_c`` down. Cold: nothing up to ``cold_stop_c``, rising to
    the full level at ``cold_full_c``. ``spread_c``: most difference between sensors. ``rise_c_per_s`` derates;
    ``runaway_c_per_s`` above ``derate_from_c`` trips.
    """

    cold_stop_c: float
    cold_full_c: float
    derate_from_c: float
    derate_full_c: float
    trip_c: float
    reset_below_c: float
    spread_c: float = 10.0
    rise_c_per_s: float = 0.1
    runaway_c_per_s: float = 1.0

    def __post_init__(self) -> None:
        order = (self.cold_stop_c, self.cold_full_c, self.reset_below_c, self.derate_from_c, self.derate_full_c, self.trip_c)
        names = ("cold_stop_c", "cold_full_c", "reset_below_c", "derate_from_c", "derate_full_c", "trip_c")
        for k in range(len(order) - 1):
            if not order[k] < order[k + 1]:
                raise InvalidThreshold(f"{names[k]} ({order[k]} °C) must lie below {names[k + 1]} ({order[k + 1]} °C)")

    def tightened(self, **changes: float) -> Thresholds:
        """The same with some values changed. Raises :class:`~bms_bridge.InvalidThreshold` where one is less cautious."""
        known = {field.name for field in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise InvalidThreshold(f"there is no threshold {name!r}; there are {', '.join(sorted(known))}")
            now = getattr(self, name)
            looser = value < now if name in _HIGHER_IS_CAUTIOUS else value > now
            if looser:
                raise InvalidThreshold(f"{name} may be tightened but not loosened: {value} instead of {now}")
        return replace(self, **changes)


_HIGHER_IS_CAUTIOUS = frozenset({"cold_stop_c", "cold_full_c"})

LEAST_SHARE: Final = 0.2
"""Share of the level that a pack keeps between ``derate_full_c`` and its trip."""

_ENERGY = Thresholds(cold_stop_c=0, cold_full_c=10, reset_below_c=40, derate_from_c=45, derate_full_c=54, trip_c=58)

TABLE: Final[Mapping[Chemistry, Thresholds]] = {
    Chemistry.LFP: Thresholds(cold_stop_c=0, cold_full_c=10, reset_below_c=43, derate_from_c=48, derate_full_c=56, trip_c=60),
    Chemistry.NMC: _ENERGY,
    Chemistry.NCA: _ENERGY,
    Chemistry.LMO: _ENERGY,
    Chemistry.LTO: Thresholds(cold_stop_c=-20, cold_full_c=-10, reset_below_c=45, derate_from_c=50, derate_full_c=56, trip_c=60),
    Chemistry.UNKNOWN: _ENERGY,
}


class Effect(StrEnum):
    """What an alarm of a battery management system does here."""

    TRIP = "trip"
    DERATE = "derate"


ALARMS: Final[Mapping[str, Effect]] = {
    # the vehicle says that something is dangerous: stop, and let a person look (AIS-038 Rev 2 Annex IX-K, AIS-156 6.1.2.3)
    "thermal_event": Effect.TRIP,
    "smoke_or_gas": Effect.TRIP,
    "over_temperature": Effect.TRIP,
    "cell_over_voltage": Effect.TRIP,
    "pack_over_voltage": Effect.TRIP,
    "over_current": Effect.TRIP,
    "short_circuit": Effect.TRIP,
    "insulation_fault": Effect.TRIP,
    "contactor_fault": Effect.TRIP,
    "water_ingress": Effect.TRIP,
    # the vehicle limits itself or will soon
    "over_temperature_warning": Effect.DERATE,
    "cell_over_voltage_warning": Effect.DERATE,
    "cell_imbalance": Effect.DERATE,
    "cell_under_voltage": Effect.DERATE,
    "insulation_warning": Effect.DERATE,
    "cooling_fault": Effect.DERATE,
    "sensor_fault": Effect.DERATE,
}


def effect_of(alarm: str) -> Effect:
    """What ``alarm`` does, whatever the chemistry. One that is not in the table derates: it says that something is wrong,
    not what."""
    return ALARMS.get(alarm, Effect.DERATE)
