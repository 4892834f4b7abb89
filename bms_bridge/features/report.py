"""All features of one cell's or pack's samples, as plain numbers for a table, a file or another program.

Samples ──> every room's function ──> Report: what was found, and of what was not, why
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from bms_bridge.current_sign import TURNED, turned
from bms_bridge.features import FeaturesError, SamplesRefused
from bms_bridge.features.charge_window import Window, charges_of
from bms_bridge.features.differential import Curves, curves, peaks, tracked
from bms_bridge.features.pulses import TIMES_S, steps, summary
from bms_bridge.features.relaxation import impedance, relaxation
from bms_bridge.features.samples import Floats, Samples, phases
from bms_bridge.features.usage import (
    C_RATES,
    TEMPERATURES_C,
    c_rate_hours,
    cell_spread,
    efficiencies,
    equivalent_full_cycles,
    gradients,
    rainflow,
    swing,
    temperature_hours,
)
from bms_bridge.health.charge_table import FEATURES
from bms_bridge.lake.cycles import DEPTHS

MOST_CURVES = 400
MOST_C_RATE = 30.0
"""A faster current is one in another unit."""


@dataclass(frozen=True, slots=True)
class Report:
    """``found``: by feature, numbers, lists and words; ``missing``: by feature, why it could not be told; ``notes``: of the samples."""

    found: dict[str, Any]
    missing: dict[str, str]
    notes: tuple[str, ...]


def per_cell(samples: Samples, *, series: int = 1, parallel: int = 1) -> Samples:
    """A pack's samples as those of its mean cell. ValueError: no such pack."""
    if series < 1 or parallel < 1:
        raise ValueError("a pack has at least one cell in series and one string")
    if series == parallel == 1:
        return samples
    return replace(samples, voltage_v=samples.voltage_v / series, current_a=samples.current_a / parallel)


def report(samples: Samples, nominal_ah: float, *, window: Window | None = None, soc: Floats | None = None) -> Report:
    """``samples``: of one cell, or of a pack per cell (:func:`per_cell`); ``nominal_ah`` likewise. ``window``: where its charges are asked
    for the sixteen numbers; ``soc``: shares, where the BMS tells them (else depths are counted from charge). ValueError: no capacity.
    SamplesRefused: currents with the other sign, or in another unit than the capacity."""
    if not (math.isfinite(nominal_ah) and nominal_ah > 0):
        raise ValueError("the nominal capacity must be positive, Ah")
    fastest = float(np.quantile(np.abs(samples.current_a), 0.999)) / nominal_ah
    if fastest > MOST_C_RATE:
        raise SamplesRefused(f"{fastest:.0f} capacities an hour cannot be: check the nominal capacity and the unit of the current (A)")
    if turned(samples.time_s, samples.current_a, samples.voltage_v):
        raise SamplesRefused(TURNED)
    found: dict[str, Any] = {
        "samples": len(samples),
        "hours": float(samples.time_s[-1] - samples.time_s[0]) / 3600,
        "equivalent_full_cycles": equivalent_full_cycles(samples, nominal_ah),
        "c_rate": {"edges": list(C_RATES), "hours": c_rate_hours(samples, nominal_ah).tolist()},
    }
    missing: dict[str, str] = {}

    def take(name: str, make: Callable[[], Any]) -> None:
        try:
            found[name] = make()
        except FeaturesError as error:
            missing[name] = str(error)

    take("temperature", lambda: {"edges_c": list(TEMPERATURES_C), "hours": temperature_hours(samples).tolist()})
    take("gradients", lambda: asdict(gradients(samples)))
    take("cells", lambda: asdict(cell_spread(samples, nominal_ah)))
    take("rainflow", lambda: {"depths": list(DEPTHS), "cycles": rainflow(swing(samples, nominal_ah) if soc is None else soc)})
    _efficiency(samples, nominal_ah, found, missing)
    take("resistance", lambda: _resistance(samples, nominal_ah))
    take("impedance", lambda: _impedance(samples, nominal_ah))
    take("ica", lambda: _ica(samples, nominal_ah))
    if window is not None:
        whole, without = charges_of(samples, nominal_ah, window)
        if whole:
            found["charges"] = [{"cycle": cycle} | dict(zip(FEATURES, numbers.tolist(), strict=True)) for cycle, numbers in whole]
        if without or not whole:
            reasons = sorted({why for _, why in without})
            told = "; ".join(reasons[:3]) or "there is no charge"
            missing["charges"] = f"{len(without)} of {len(whole) + len(without)} charges lack the window: {told}"
    return Report(_finite(found), missing, samples.notes)


def _efficiency(samples: Samples, nominal_ah: float, found: dict[str, Any], missing: dict[str, str]) -> None:
    told = efficiencies(samples, nominal_ah)
    if not told:
        missing["efficiency"] = "no charge with its discharge between the same two voltages, without a gap"
        return
    found["efficiency"] = {
        "pairs": len(told),
        "coulombic": float(np.median([one.coulombic for one in told])),
        "energy": float(np.median([one.energy for one in told])),
        "hours": float(np.median([one.hours for one in told])),
    }


def _resistance(samples: Samples, nominal_ah: float) -> dict[str, Any]:
    told = summary(steps(samples, nominal_ah))
    return asdict(told) | {"times_s": list(TIMES_S)}


def _impedance(samples: Samples, nominal_ah: float) -> dict[str, Any]:
    """Of the longest held step."""
    found = steps(samples, nominal_ah)
    if not found:
        summary(found)
    answer = relaxation(samples, max(found, key=lambda step: min(step.hold_s, 120.0) - 10 * step.first_s))
    hertz, told = impedance(answer)
    return {
        "ohmic_ohm": answer.ohmic_ohm,
        "relaxation_s": answer.times_s.tolist(),
        "parts_ohm": answer.parts_ohm.tolist(),
        "residual_ohm": answer.residual_ohm,
        "hertz": hertz.tolist(),
        "real_ohm": told.real.tolist(),
        "imaginary_ohm": told.imag.tolist(),
    }


def _ica(samples: Samples, nominal_ah: float) -> dict[str, Any]:
    """Of the first and the last charge that hold a curve, with where each peak has moved to."""
    charges = [phase for phase in phases(samples, nominal_ah) if phase.sign > 0]
    first, why = _curve(samples, nominal_ah, charges[:MOST_CURVES])
    last, _ = _curve(samples, nominal_ah, charges[::-1][:MOST_CURVES])
    if first is None or last is None:
        raise why or FeaturesError("there is no charge")
    old, new = peaks(first.voltage_v, first.ica_ah_per_v), peaks(last.voltage_v, last.ica_ah_per_v)
    return {
        "voltage_v": last.voltage_v.tolist(),
        "ica_ah_per_v": last.ica_ah_per_v.tolist(),
        "charge_ah": last.charge_ah.tolist(),
        "dva_v_per_ah": last.dva_v_per_ah.tolist(),
        "noise_v": last.noise_v,
        "c_rate": last.c_rate,
        "notes": list(last.notes),
        "peaks": [asdict(one) for one in new],
        "moved": [{"from_v": before.at, "to_v": now.at if now else None} for before, now in tracked(old, new)],
    }


def _curve(samples: Samples, nominal_ah: float, charges: list[Any]) -> tuple[Curves | None, FeaturesError | None]:
    why: FeaturesError | None = None
    for phase in charges:
        try:
            return curves(samples.rows(slice(phase.begin, phase.end)), nominal_ah), None
        except FeaturesError as error:
            why = why or error
    return None, why


def _finite(value: Any) -> Any:
    """The same with None for what is no number, as JSON wants it."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
