"""Traces with a known state of charge for the benchmark: CALCE's cells, and PyBaMM's where it can be imported.

CALCE: a charge and the discharge after it, a minute apart. The true state of charge is the charge counted by the laboratory's own
sensor, as a share
of what passed in that half: 0 is where a discharge at 1C ends, 1 where the charge does. Capacities are as the cell has them on that day.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.soc_particles import Recorded
from bms_bridge.health.files import read_columns
from bms_bridge.soc.ocv import mean_current

NOMINAL_AH = 1.1
BETWEEN_S = 60.0
TAUGHT_CELL = "CS2_35"
LEAST_HEALTH = 0.8


def calce(path: Path) -> dict[str, list[tuple[int, float, Recorded]]]:
    """Of each cell: cycle, capacity in nominal ones, and the trace (currents in nominal capacities per hour). Broken cycles are
    left out."""
    columns = read_columns(path, ("cycle", "t_s", "V", "I_A"), ("cell", "phase"))
    found: dict[str, list[tuple[int, float, Recorded]]] = {}
    for cell in np.unique(columns["cell"]):
        for cycle in np.unique(columns["cycle"][columns["cell"] == cell]):
            own = (columns["cell"] == cell) & (columns["cycle"] == cycle)
            halves = [_half(columns, own & (columns["phase"] == phase)) for phase in ("charge", "discharge")]
            if any(half is None for half in halves):
                continue
            (up_s, up_a, up_v, up_ah), (down_s, down_a, down_v, down_ah) = (half for half in halves if half is not None)
            whole = up_v[-1] > 4.15 and up_a[-1] < 0.08 and down_v[-1] < 2.75 and 0.9 < up_ah[-1] / down_ah[-1] < 1.12
            if not whole:
                continue
            time = np.concatenate([up_s - up_s[0], down_s - down_s[0] + up_s[-1] - up_s[0] + BETWEEN_S])
            soc = np.concatenate([up_ah / up_ah[-1], 1 - down_ah / down_ah[-1]])
            row = [part[None, :] for part in (time, np.concatenate([up_a, down_a]) / NOMINAL_AH, np.concatenate([up_v, down_v]))]
            found.setdefault(str(cell), []).append(
                (int(cycle), float(down_ah[-1] / NOMINAL_AH), Recorded(*row, np.full((1, len(time)), 25.0), soc[None, :]))
            )
    return found


def _half(columns: dict[str, np.ndarray], own: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    time, current, voltage = (columns[name][own] for name in ("t_s", "I_A", "V"))
    if len(time) < 20:
        return None
    later = np.concatenate([[True], np.diff(time) > 0])
    time, current, voltage = time[later], current[later], voltage[later]
    charge = np.concatenate([[0.0], np.cumsum(np.abs(mean_current(current)) * np.diff(time))]) / 3600
    return time, current, voltage, charge


PYBAMM_DAY = (
    "Rest for 1 hour", "Charge at 0.3C until {full} V", "Hold at {full} V until C/25", "Rest for 1 hour",
    "Discharge at 0.5C for 30 minutes", "Rest for 10 minutes", "Discharge at 0.25C for 60 minutes", "Charge at 0.2C for 10 minutes",
    "Discharge at 0.6C for 20 minutes", "Rest for 40 minutes", "Charge at 0.5C for 30 minutes", "Rest for 15 minutes",
    "Discharge at 0.4C for 60 minutes", "Rest for 30 minutes",
)  # fmt: skip
PYBAMM_BEFORE = 2 * (
    "Charge at 0.25C until {full} V", "Hold at {full} V until C/25", "Rest for 2 hours", "Discharge at 0.3C for 70 minutes",
    "Rest for 40 minutes", "Discharge at 0.4C for 45 minutes", "Charge at 0.3C for 20 minutes", "Rest for 40 minutes",
    "Discharge at 0.25C for 50 minutes", "Rest for 1 hour",
) + ("Charge at 0.2C until {full} V", "Hold at {full} V until C/25", "Rest for 1 hour")  # fmt: skip
"""Two days before the judged one, three charges to full."""

PYBAMM_SLOW = ("Charge at C/20 until {full} V", "Discharge at C/20 until {empty} V")


def pybamm_trace(name: str, steps: tuple[str, ...], *, full_v: float, empty_v: float, soc: float) -> Recorded:
    """One cell of PyBaMM's parameter set ``name``, Doyle-Fuller-Newman, from a state of charge on. ImportError: it is not there."""
    import pybamm

    values = pybamm.ParameterValues(name)
    model = pybamm.lithium_ion.DFN()
    experiment = pybamm.Experiment([step.format(full=full_v, empty=empty_v) for step in steps], period="10 seconds")
    simulation = pybamm.Simulation(model, parameter_values=values, experiment=experiment)
    solution = simulation.solve(initial_soc=soc)
    capacity = float(values["Nominal cell capacity [A.h]"])
    time = np.asarray(solution["Time [s]"].entries, dtype=np.float64)
    current = -np.asarray(solution["Current [A]"].entries, dtype=np.float64)
    voltage = np.asarray(solution["Terminal voltage [V]"].entries, dtype=np.float64)
    later = np.concatenate([[True], np.diff(time) > 0.01])
    time, current, voltage = time[later], current[later], voltage[later]
    charge = np.concatenate([[0.0], np.cumsum(0.5 * (current[1:] + current[:-1]) * np.diff(time))]) / 3600 / capacity
    return Recorded(time[None, :], (current / capacity)[None, :], voltage[None, :], np.full((1, len(time)), 25.0), (soc + charge)[None, :])
