"""Drive cycles of one cell for `benchmarks.edge_encoder`, by PyBaMM; runs in an environment that has PyBaMM, and needs nothing of ours.

    python benchmarks/drive_cycles.py OUT.csv [--seed 1]

A 5 Ah NMC cell (Chen2020, single-particle model with electrolyte, lumped temperature, 35 °C around), one second a row: a city bus that
stops and goes for an hour with regeneration, a regional line with long pulls for an hour, and a charge at 1 C with its end at 4.2 V.
The currents of the first two are made here from a seed (PyBaMM ships no drive cycles): accelerations, coasting and braking of random length
with 1 % of noise. Charging is positive.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Iterator

NOMINAL_AH = 5.0
KINDS = {"city": ((4, 15), (2.0, 6.0), (8, 30)), "regional": ((20, 90), (1.5, 4.0), (20, 60))}
"""Seconds of a pull, its amperes, seconds at rest."""


def currents(kind: str, seconds: int, rng: random.Random) -> Iterator[float]:
    """Discharging positive, as PyBaMM has it."""
    pulls, amperes, rests = KINDS[kind]
    count = 0
    while count < seconds:
        pull = rng.uniform(*amperes)
        steps = [pull] * rng.randint(*pulls) + [0.15 * pull] * rng.randint(3, 25) + [-0.5 * pull] * rng.randint(2, 8)
        steps += [0.1] * rng.randint(*rests)
        for current in steps:
            yield current * rng.gauss(1.0, 0.01)
            count += 1


def main() -> None:
    import numpy
    import pybamm

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    model = pybamm.lithium_ion.SPMe({"thermal": "lumped"})
    with open(options.out, "w", newline="", encoding="utf-8") as file:  # noqa: PTH123  # no more than this needs
        out = csv.writer(file)
        out.writerow(("cycle", "t_s", "current_a", "voltage_v", "temperature_c", "soc"))
        for kind in (*KINDS, "charge"):
            values = pybamm.ParameterValues("Chen2020")
            values.update({"Ambient temperature [K]": 308.15, "Initial temperature [K]": 308.15})
            if kind == "charge":
                experiment = pybamm.Experiment(["Charge at 1C until 4.2 V", "Hold at 4.2 V until C/20"], period="1 second")
                solution = pybamm.Simulation(model, parameter_values=values, experiment=experiment).solve(initial_soc=0.15)
                start = 0.15
            else:
                drawn = numpy.array(list(currents(kind, 3600, rng))[:3600])
                at = numpy.arange(len(drawn), dtype=float)
                values["Current function [A]"] = pybamm.Interpolant(at, drawn, pybamm.t)
                solution = pybamm.Simulation(model, parameter_values=values).solve(t_eval=at, t_interp=at, initial_soc=0.9)
                start = 0.9
            told = [solution[name].entries for name in ("Time [s]", "Current [A]", "Voltage [V]", "Volume-averaged cell temperature [K]")]
            used = solution["Discharge capacity [A.h]"].entries
            for t, current, voltage, kelvin, ah in zip(*told, used, strict=True):
                row = (t, -current, voltage, kelvin - 273.15, start - ah / NOMINAL_AH)
                out.writerow((kind, *(f"{value:.6f}" for value in row)))


if __name__ == "__main__":
    main()
