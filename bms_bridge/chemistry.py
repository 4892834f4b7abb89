"""Thresholds per chemistry, and what a battery management system's alarm means to the depot.

Where the numbers come from. 60 °C as the end of charging for any lithium cell is the datasheets' class of value, and the
onset of SEI decomposition lies at about 80 °C (Hatchard/Kim kinetics: 37 h to runaway at 80 °C, 4 h at 100 °C); a spread of
10 K in a pack and a rise of 0.1 K/s are early signs that charging does not explain; 1 K/s over 3 s above the maker's
maximum is GB 38031-2025 C.5.3.7's confirmation of a runaway. Energy cells (NMC, NCA) are specified for charging up to 45 °C
by most makers, LFP and LTO up to 55 °C; below 10 °C lithium plating limits the current, below 0 °C charging stops (LTO: −20 °C).
Cells are charged up to 3.65 V (LFP), 4.2 V (NMC, NCA, LMO) or 2.8 V (LTO) by most datasheets: derating begins below or at that,
the trip lies above. 100 Ω per volt of the pack is what UN R100 asks of a traction circuit with direct current.
Except for the rule of GB 38031 and the insulation these are this project's proposals, on the cautious side: confirm them with the
maker of the pack, and tighten them per pack by :meth:`Thresholds.tightened`.

**The envelope.** :data:`TABLE` is what no setting, registry, command or update may loosen: it stands in the code alone, a pack's
thresholds are made from its row by :meth:`Thresholds.tightened`, and :func:`inside` is asked again before they are used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from bms_bridge import InvalidThreshold


class Chemistry(StrEnum):
    """Cell chemistry of a pack. ``unknown`` is treated as the most delicate one in every respect that does not depend on the
    voltage of its cells: of that only what no chemistry bears is known."""

    LFP = "LFP"
    NMC = "NMC"
    NCA = "NCA"
    LMO = "LMO"
    LTO = "LTO"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Temperatures in °C, of the hottest and the coldest sensor; voltages in V, of the highest and the lowest cell.

    Hot: the full level up to ``derate_from_c``, falling in a straight line to ``LEAST_SHARE`` at ``derate_full_c``, held
    there up to ``trip_c``. A trip may be reset from ``reset_below_c`` down. Cold: nothing up to ``cold_stop_c``, rising to
    the full level at ``cold_full_c``. ``spread_c``: most difference between sensors; ``spread_trip_c``: so much hotter than the
    others a sensor trips. ``rise_c_per_s`` derates; ``runaway_c_per_s`` above ``derate_from_c`` trips.

    Cells: the full level from ``cell_low_full_v`` to ``cell_high_from_v``, falling to the least at ``cell_low_trip_v`` and
    ``cell_high_full_v``; a trip at ``cell_low_trip_v`` and ``cell_high_trip_v``. ``cell_spread_from_v``, ``cell_spread_full_v``,
    ``cell_spread_trip_v``: the same for the difference of the highest and the lowest cell. ``collapse_share``: a cell that loses so
    much of its voltage while the others keep theirs has collapsed.

    ``insulation_full_ohm_per_v``, ``insulation_trip_ohm_per_v``: of the traction circuit to the chassis, per volt of the pack.
    ``current_over_share``: so much above the battery management system's limit the current trips. ``charge_c_rate``: the most
    current in capacities per hour. ``full_soc`` with more than ``full_c_rate`` derates. ``stop_ignored_s``: how long
    current may go on after the battery's stop. ``over_time_share``: how much of what fits into the battery may be charged.
    """

    cold_stop_c: float
    cold_full_c: float
    derate_from_c: float
    derate_full_c: float
    trip_c: float
    reset_below_c: float
    cell_low_trip_v: float
    cell_low_full_v: float
    cell_high_from_v: float
    cell_high_full_v: float
    cell_high_trip_v: float
    charge_c_rate: float
    spread_c: float = 10.0
    spread_trip_c: float = 20.0
    rise_c_per_s: float = 0.1
    runaway_c_per_s: float = 1.0
    cell_spread_from_v: float = 0.15
    cell_spread_full_v: float = 0.35
    cell_spread_trip_v: float = 0.5
    collapse_share: float = 0.25
    insulation_full_ohm_per_v: float = 500.0
    insulation_trip_ohm_per_v: float = 100.0
    current_over_share: float = 0.1
    full_soc: float = 0.98
    full_c_rate: float = 0.3
    stop_ignored_s: float = 10.0
    over_time_share: float = 1.2

    def __post_init__(self) -> None:
        for field in fields(self):
            if not math.isfinite(getattr(self, field.name)):
                raise InvalidThreshold(f"{field.name} must be a number, not {getattr(self, field.name)}")
            if field.name not in _MAY_BE_NEGATIVE and getattr(self, field.name) <= 0:
                raise InvalidThreshold(f"{field.name} must lie above 0, not at {getattr(self, field.name):g}")
        for names in _IN_ORDER:
            for lower, higher in pairwise(names):
                if not getattr(self, lower) < getattr(self, higher):
                    raise InvalidThreshold(f"{lower} ({getattr(self, lower):g}) must lie below {higher} ({getattr(self, higher):g})")

    def tightened(self, **changes: float) -> Thresholds:
        """The same with some values changed. Raises :class:`~bms_bridge.InvalidThreshold` where one is less cautious, no number,
        not known, or out of order with the others."""
        known = {field.name for field in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise InvalidThreshold(f"there is no threshold {name!r}; there are {', '.join(sorted(known))}")
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise InvalidThreshold(f"{name} must be a number, not {value!r}")
            if _looser(name, value, getattr(self, name)):
                raise InvalidThreshold(f"{name} may be tightened but not loosened: {value} instead of {getattr(self, name)}")
        return replace(self, **changes)


_IN_ORDER: Final = (
    ("cold_stop_c", "cold_full_c", "reset_below_c", "derate_from_c", "derate_full_c", "trip_c"),
    ("cell_low_trip_v", "cell_low_full_v", "cell_high_from_v", "cell_high_full_v", "cell_high_trip_v"),
    ("cell_spread_from_v", "cell_spread_full_v", "cell_spread_trip_v"),
    ("insulation_trip_ohm_per_v", "insulation_full_ohm_per_v"),
    ("spread_c", "spread_trip_c"),
    ("rise_c_per_s", "runaway_c_per_s"),
)
_MAY_BE_NEGATIVE: Final = frozenset({"cold_stop_c", "cold_full_c", "reset_below_c"})
HIGHER_IS_CAUTIOUS: Final = frozenset(
    {"cold_stop_c", "cold_full_c", "cell_low_trip_v", "cell_low_full_v", "insulation_full_ohm_per_v", "insulation_trip_ohm_per_v"}
)
"""Of these a higher value is the more cautious one; of all others a lower one."""


def _looser(name: str, value: float, than: float) -> bool:
    return value < than if name in HIGHER_IS_CAUTIOUS else value > than


LEAST_SHARE: Final = 0.2
"""Share of the level that a pack keeps between ``derate_full_c`` and its trip."""

_ENERGY = Thresholds(
    cold_stop_c=0, cold_full_c=10, reset_below_c=40, derate_from_c=45, derate_full_c=54, trip_c=58,
    cell_low_trip_v=2.5, cell_low_full_v=3.0, cell_high_from_v=4.18, cell_high_full_v=4.25, cell_high_trip_v=4.3, charge_c_rate=3,
)  # fmt: skip

TABLE: Final[Mapping[Chemistry, Thresholds]] = MappingProxyType(
    {
        Chemistry.LFP: Thresholds(
            cold_stop_c=0, cold_full_c=10, reset_below_c=43, derate_from_c=48, derate_full_c=56, trip_c=60,
            cell_low_trip_v=2.0, cell_low_full_v=2.5, cell_high_from_v=3.6, cell_high_full_v=3.7, cell_high_trip_v=3.8, charge_c_rate=4,
        ),
        Chemistry.NMC: _ENERGY,
        Chemistry.NCA: _ENERGY,
        Chemistry.LMO: _ENERGY,
        Chemistry.LTO: Thresholds(
            cold_stop_c=-20, cold_full_c=-10, reset_below_c=45, derate_from_c=50, derate_full_c=56, trip_c=60,
            cell_low_trip_v=1.3, cell_low_full_v=1.6, cell_high_from_v=2.75, cell_high_full_v=2.85, cell_high_trip_v=2.9, charge_c_rate=6,
        ),
        Chemistry.UNKNOWN: replace(_ENERGY, cell_low_trip_v=1.3, cell_low_full_v=1.6),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CellFacts:
    """What a cell of a chemistry is like, for estimates: ``nominal_v``, and its resistance times its capacity (``ohm_ah``, ten
    seconds after a step of current, new and warm). Typical values, ours; a cell of a given make may differ by a factor of two."""

    nominal_v: float
    ohm_ah: float


CELL: Final[Mapping[Chemistry, CellFacts]] = MappingProxyType(
    {
        Chemistry.LFP: CellFacts(3.2, 0.10),
        Chemistry.NMC: CellFacts(3.65, 0.08),
        Chemistry.NCA: CellFacts(3.6, 0.10),
        Chemistry.LMO: CellFacts(3.75, 0.10),
        Chemistry.LTO: CellFacts(2.3, 0.03),
        Chemistry.UNKNOWN: CellFacts(3.5, 0.10),
    }
)


def inside(limits: Thresholds, chemistry: Chemistry) -> bool:
    """Whether no value of ``limits`` is looser than the envelope of ``chemistry``."""
    row = TABLE[chemistry]
    return not any(_looser(field.name, getattr(limits, field.name), getattr(row, field.name)) for field in fields(row))


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
