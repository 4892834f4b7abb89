"""The demo's batteries: how old they are, which one ails, and what the depot's settings say of them. All of it is invented.

wears()      what years have done to each vehicle's battery
sections()   [lake] and [health] of the demo's settings, with the data sheets of the simulator's own makes
missing()    libraries that these two need and that are not installed
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import accumulate, pairwise
from typing import Final

from simulator.cells import MAKES, Make, series_of
from simulator.day import Day
from simulator.telematics import PACK_ID
from simulator.wear import Wear, leaking, wear_of

PAST_DAYS: Final = 84
"""So long the units' simulated past is. All of it fits into the lake's hot days."""

LEAKING: Final = "V-14"
LEAK_PER_DAY, LEAKS_DAYS = 0.0055, 13.0
"""A cell of this van's battery loses charge like an internal short of about C/4400, since so many days."""

EVERY_S = 3600.0
"""The health process looks once an hour of the depot: every 46 s of a demo's ten minutes."""

CYCLES_A_YEAR = {"E": 270, "V": 210, "C": 120, "R": 260}
NEEDED_SHARE = 0.65
"""Of its battery a vehicle must have usable."""

_STEPS = 200
_MODULE_CELLS = {16: 4, 108: 12, 192: 12}


def missing() -> list[str]:
    """Names of libraries."""
    from controller.app.lake_process import LIBRARIES  # loads the lake's rooms

    return [name for name in LIBRARIES if importlib.util.find_spec(name) is None]


def wears(day: Day, seed: int) -> dict[str, Wear]:
    """By vehicle."""
    found = {stay.vehicle_id: wear_of(stay.vehicle_id, seed) for stay in day.stays}
    found[LEAKING] = leaking(found[LEAKING], per_day=LEAK_PER_DAY, days=LEAKS_DAYS)
    return found


def data_sheet(make: Make) -> tuple[list[float], list[float]]:
    """A make's curve as a data sheet has it: voltage at rest over the share of its ampere-hours. The simulator counts shares of energy."""
    energies = [k / _STEPS for k in range(_STEPS + 1)]
    volts = [make.at_rest(share)[0] for share in energies]
    steps = [2.0 / (_STEPS * (a + b)) for a, b in pairwise(volts)]
    counted = [0.0, *accumulate(steps)]
    return [round(ah / counted[-1], 4) for ah in counted[::4]], [round(volt, 4) for volt in volts[::4]]


def sections(day: Day, seed: int) -> list[str]:
    """Lines of the settings file."""
    lines = ["[lake]\nhot_days = 90", f"[health]\nevery_s = {EVERY_S}"]
    for name, make in MAKES.items():
        soc, cell_v = data_sheet(make)
        lines.append(f'[[health.curve]]\nchemistry = "{name}"\nsoc = {soc}\ncell_v = {cell_v}')
    found: Mapping[str, Wear] = wears(day, seed)
    for stay in day.stays:
        wear, series = found[stay.vehicle_id], series_of(stay.battery_wh)
        began = day.start - timedelta(days=365.25 * wear.years)
        lines += [
            f'[[health.pack]]\nvehicle = "{stay.vehicle_id}"\npack = "{PACK_ID}"\nin_service = {began.isoformat(timespec="seconds")}',
            f"cycles_before = {_cycles_before(stay.vehicle_id, wear)}\nneeded_kwh = {NEEDED_SHARE * stay.battery_wh / 1000:.1f}",
            f"module_cells = {_modules(series)}",
        ]
    return lines


def _cycles_before(vehicle_id: str, wear: Wear) -> int:
    years = max(0.0, wear.years - PAST_DAYS / 365.25)
    return round(CYCLES_A_YEAR[vehicle_id[0]] * years)


def _modules(series: int) -> Sequence[int]:
    each = _MODULE_CELLS[series]
    return [each] * (series // each)
