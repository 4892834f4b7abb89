"""What is known of a kind of cell: its open-circuit curve, an equivalent circuit, hysteresis, and how far each of them may be off.

Currents are told in capacities per hour and resistances in V at one capacity per hour, so that cells of all sizes share one row.

Sources of the shipped curves:

- NMC: potentials of graphite and NMC 532 by Mohtat, Lee, Siegel, Stefanopoulou, J. Electrochem. Soc. 167 (2020) 110561. Cells that are
  called NMC differ by 100 mV and more at the same charge: the spread is wide, and a learned curve is much better.
- NMC811: potentials of graphite with silicon and NMC 811 by Chen et al., J. Electrochem. Soc. 167 (2020) 080534, with its window.
- LFP: both electrodes after Safari and Delacourt, J. Electrochem. Soc. 158 (2011) A562; the rise at the end and the window are our
choice.
- LCO: 27 knots of our own, fitted to the charges and discharges of one cell (CS2_35, 0.5C and 1C, up to cycle 301) of the CALCE battery
  group, University of Maryland. Its zero is what a discharge at 1C leaves.

Resistances, time constants, hysteresis and spreads are this project's choice for cells of 1 to 300 Ah at 25 °C (ohmic 0.03 to 0.15 V at
1C), wide enough that the filter finds its own. Factors of intervals: from traces of kinds of cells that were kept apart.

Makes of LFP: retired cells of 35 Ah (PulseBat, rested, 10 to 50 % charged) lie 16 mV from the shipped curve (root of the mean square). One
other make is little to know a spread from: Student's t with one degree of freedom asks for 61 mV, which is 34 mV with the factor.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from bms_bridge.chemistry_names import grade
from bms_bridge.in_short import in_short
from bms_bridge.soc import CurveRefused
from bms_bridge.soc.ocv import Floats, OcvCurve, OcvFit, from_electrodes

FILE_SCHEMA: Final = "ocv_curve/1"
MOST_BYTES: Final = 1_000_000
FITTED_LEAST_ERROR_V: Final = 0.006
LEARNED_FACTOR: Final = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class CellKind:
    """``full_v``, ``empty_v``: V at which charging and discharging end. ``steep_end``: it is
    nearly full when it first reaches that voltage at an ordinary current. ``ocv_error_v``: one standard deviation of the curve,
    equal over about
    ``ocv_error_soc`` of charge; ``shift_soc``: of its steps along the axis of charge. ``ohmic_v_per_c``, ``fast_v_per_c``,
    ``slow_v_per_c``: resistances at 25 °C, V at one capacity per hour,
    the latter two with ``fast_s`` and ``slow_s``. ``resistance_spread``: standard deviation of their logarithm. ``hysteresis_v``:
    half of the gap between curves of charge and discharge, reached within ``hysteresis_soc``. ``activation_j_per_mol``: of the
    resistances. ``noise_v``: of a voltage. ``load_share``: of the load's voltage that no part explains.
    ``interval_factor``: of the filter's own deviation, so that nine of ten true values lie within 1.645 of it.
    ``axis_sd``: of a curve that was learned by counting only, one standard deviation of the capacity that its axis is drawn in,
    a share: no voltage shows how far that is wrong, and it is wrong alike at every sample below full. ``family_v``: how far cells of
    other makes of this chemistry lie from the curve, one standard deviation, while nobody knows which make this is."""

    chemistry: str
    curve: OcvCurve
    full_v: float
    empty_v: float
    ocv_error_v: float
    steep_end: bool = False
    ocv_error_soc: float = 0.30
    shift_soc: float = 0.01
    ohmic_v_per_c: float = 0.06
    fast_v_per_c: float = 0.02
    fast_s: float = 30.0
    slow_v_per_c: float = 0.04
    slow_s: float = 900.0
    resistance_spread: float = 0.5
    hysteresis_v: float = 0.004
    hysteresis_soc: float = 0.05
    activation_j_per_mol: float = 25_000.0
    noise_v: float = 0.003
    load_share: float = 0.25
    interval_factor: float = 1.0
    axis_sd: float = 0.0
    family_v: float = 0.0
    error_grid_v: tuple[float, ...] = ()
    source: str = ""

    @property
    def first_error_v(self) -> float:
        """One standard deviation of the curve's error before anything was seen of a cell, V."""
        return float(np.hypot(self.ocv_error_v, self.family_v))

    def ocv_error_at(self, soc: Floats) -> Floats:
        """One standard deviation of the curve's error at these states of charge, V: ``error_grid_v`` (even steps from 0 to 1) where it
        is told; else what the curve may be off for its own make, and makes among each other."""
        if not self.error_grid_v:
            return np.full(np.shape(soc), self.first_error_v)
        return np.asarray(np.interp(soc, np.linspace(0.0, 1.0, len(self.error_grid_v)), self.error_grid_v))


def _graphite_532(x: Floats) -> Floats:
    return np.asarray(
        0.063 + 0.8 * np.exp(-75 * (x + 0.001)) - 0.0120 * np.tanh((x - 0.127) / 0.016) - 0.0118 * np.tanh((x - 0.155) / 0.016)
        - 0.0035 * np.tanh((x - 0.220) / 0.020) - 0.0095 * np.tanh((x - 0.190) / 0.013) - 0.0145 * np.tanh((x - 0.490) / 0.020)
        - 0.0800 * np.tanh((x - 1.030) / 0.055)
    )  # fmt: skip


def _nmc_532(y: Floats) -> Floats:
    return np.asarray(
        4.3452 - 1.6518 * y + 1.6225 * y**2 - 2.0843 * y**3 + 3.5146 * y**4 - 2.2166 * y**5 - 0.5623e-4 * np.exp(109.451 * y - 100.006)
    )


def _graphite_811(x: Floats) -> Floats:
    return np.asarray(
        1.9793 * np.exp(-39.3631 * x) + 0.2482
        - 0.0909 * np.tanh(29.8538 * (x - 0.1234)) - 0.04478 * np.tanh(14.9159 * (x - 0.2769)) - 0.0205 * np.tanh(30.4444 * (x - 0.6103))
    )  # fmt: skip


def _nmc_811(y: Floats) -> Floats:
    return np.asarray(
        -0.8090 * y + 4.4875 - 0.0428 * np.tanh(18.5138 * (y - 0.5542))
        - 17.7326 * np.tanh(15.7890 * (y - 0.3117)) + 17.5842 * np.tanh(15.9308 * (y - 0.3120))
    )  # fmt: skip


def _graphite_lfp(x: Floats) -> Floats:
    return np.asarray(
        0.6379 + 0.5416 * np.exp(-305.5309 * x) + 0.044 * np.tanh(-(x - 0.1958) / 0.1088) - 0.1978 * np.tanh((x - 1.0571) / 0.0854)
        - 0.6875 * np.tanh((x + 0.0117) / 0.0529) - 0.0175 * np.tanh((x - 0.5692) / 0.0875)
    )  # fmt: skip


def _lfp(y: Floats) -> Floats:
    return np.asarray(
        3.114559 + 4.438792 * np.arctan(-71.7352 * y + 70.85337) - 4.240252 * np.arctan(-68.5605 * y + 67.730082) + 0.3 * np.exp(-100 * y)
    )


_LCO_SOC = (
    0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4,
    0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0,
)  # fmt: skip
_LCO_V = (
    3.313, 3.417, 3.482, 3.564, 3.609, 3.652, 3.682, 3.703, 3.741, 3.767, 3.783, 3.798, 3.812, 3.828,
    3.845, 3.865, 3.887, 3.911, 3.938, 3.968, 4.001, 4.038, 4.076, 4.113, 4.154, 4.178, 4.193,
)  # fmt: skip


@cache
def shipped() -> Mapping[str, CellKind]:
    """The kinds whose curves ship with the program, by chemistry in capitals."""
    return {
        "NMC": CellKind(
            chemistry="NMC",
            curve=from_electrodes(_nmc_532, _graphite_532, (0.013, 0.835, 0.885, 0.040)),
            full_v=4.2,
            empty_v=2.8,
            ocv_error_v=0.04,
            ocv_error_soc=0.5,
            shift_soc=0.02,
            source="electrode potentials of Mohtat et al. 2020 (graphite, NMC 532)",
        ),
        "NMC811": CellKind(
            chemistry="NMC811",
            curve=from_electrodes(_nmc_811, _graphite_811, (0.0279, 0.9014, 0.9077, 0.2661)),
            full_v=4.2,
            empty_v=2.8,
            ocv_error_v=0.03,
            ocv_error_soc=0.5,
            shift_soc=0.02,
            interval_factor=1.5,
            source="electrode potentials of Chen et al. 2020 (graphite with silicon, NMC 811)",
        ),
        "LCO": CellKind(
            chemistry="LCO",
            curve=OcvCurve(_LCO_SOC, _LCO_V),
            full_v=4.2,
            empty_v=2.7,
            ocv_error_v=0.008,
            shift_soc=0.01,
            load_share=0.12,
            ohmic_v_per_c=0.11,
            fast_v_per_c=0.03,
            slow_v_per_c=0.08,
            resistance_spread=0.3,
            interval_factor=1.2,
            source="fit to one CALCE cell (CS2_35)",
        ),
        "LFP": CellKind(
            chemistry="LFP",
            curve=from_electrodes(_lfp, _graphite_lfp, (0.012, 0.80, 0.97, 0.02)),
            full_v=3.6,
            empty_v=2.5,
            steep_end=True,
            ocv_error_v=0.012,
            ocv_error_soc=0.5,
            shift_soc=0.05,
            hysteresis_v=0.012,
            hysteresis_soc=0.08,
            ohmic_v_per_c=0.05,
            interval_factor=1.8,
            family_v=0.034,
            source="electrode potentials after Safari and Delacourt 2011",
        ),
    }


LEARNABLE: Final = {"NMC": 4.2, "NMC811": 4.2, "LCO": 4.2, "LFP": 3.6, "NCA": 4.2, "LMO": 4.2, "LTO": 2.7}
"""Chemistries that a learned curve may name, with the V at which charging usually ends."""


def kind_of(chemistry: str, curve_file: Path | None = None) -> CellKind:
    """The kind of cell that was asked for; with a learned curve in place of the shipped one. CurveRefused: nothing is known of it."""
    name = grade(chemistry, frozenset(LEARNABLE))
    known = shipped()
    if name not in LEARNABLE:
        raise CurveRefused(f"no chemistry {chemistry}: say one of {', '.join(LEARNABLE)}")
    if curve_file is not None:
        return _read(curve_file, name)
    if name not in known:
        raise CurveRefused(f"no open-circuit curve ships for {name}: learn one from a slow charge (battery ocv-fit), name it by --ocv")
    return known[name]


def with_curve(chemistry: str, curve: OcvCurve, error_v: float, *, full_v: float | None = None, source: str = "learned") -> CellKind:
    """A kind of cell with a learned curve; circuit and hysteresis as shipped for its chemistry, or as for NMC."""
    base = shipped().get(chemistry, shipped()["NMC"])
    top = full_v or LEARNABLE[chemistry]
    return replace(
        base,
        chemistry=chemistry,
        curve=curve,
        full_v=top,
        empty_v=min(base.empty_v, curve.volts[0]),
        ocv_error_v=max(error_v, FITTED_LEAST_ERROR_V),
        shift_soc=0.01,
        interval_factor=LEARNED_FACTOR,
        family_v=0.0,
        source=source,
    )


def curve_text(chemistry: str, fit: OcvFit) -> str:
    """A learned curve as the text (JSON) of its file."""
    content = {
        "schema": FILE_SCHEMA,
        "chemistry": chemistry,
        "capacity_ah": round(fit.capacity_ah, 5),
        "full_v": LEARNABLE[chemistry],
        "error_v": round(fit.error_v, 5),
        "soc": [round(soc, 5) for soc in fit.curve.soc],
        "volts": [round(volt, 5) for volt in fit.curve.volts],
        "notes": list(fit.notes),
    }
    return json.dumps(content, indent=1) + "\n"


def _read(path: Path, chemistry: str) -> CellKind:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CurveRefused(f"{path}: too large for a curve")
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CurveRefused(f"{path}: no curve file ({in_short(error)}); make one with battery ocv-fit") from error
    if not isinstance(content, dict) or content.get("schema") != FILE_SCHEMA:
        raise CurveRefused(f"{path}: not of schema {FILE_SCHEMA}; make one with battery ocv-fit")
    if content.get("chemistry") != chemistry:
        raise CurveRefused(f"{path}: made for {content.get('chemistry')}, not for {chemistry}")
    try:
        curve = OcvCurve(tuple(float(soc) for soc in content["soc"]), tuple(float(volt) for volt in content["volts"]))
        error_v, full_v = float(content["error_v"]), float(content["full_v"])
    except (KeyError, TypeError, ValueError) as error:
        raise CurveRefused(f"{path}: damaged (soc, volts, error_v or full_v)") from error
    if not (0 < error_v < 1 and 1 < full_v < 5):
        raise CurveRefused(f"{path}: error_v or full_v cannot be ({error_v} V, {full_v} V)")
    return with_curve(chemistry, curve, error_v, full_v=full_v, source=f"learned ({path.name})")
