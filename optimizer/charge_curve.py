"""What a battery accepts, by what it holds: the curve that a plan's powers stay below (:mod:`optimizer.taper`)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from optimizer.errors import InvalidProblem

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class ChargeCurve:
    """What a battery accepts: at the states of charge ``soc`` (rising, 0 to 1) up to ``accepts_kw`` (grid side; straight lines between, the
    last number beyond). It holds ``stored_kwh`` of ``capacity_kwh`` at the beginning of its stay, or now."""

    soc: FloatArray
    accepts_kw: FloatArray
    capacity_kwh: float
    stored_kwh: float


def checked(who: str, curve: ChargeCurve) -> ChargeCurve:
    """The same with arrays that cannot be written to; raises :class:`InvalidProblem`."""
    soc, accepts = (np.array(values, dtype=np.float64) for values in (curve.soc, curve.accepts_kw))
    if soc.ndim != 1 or soc.shape != accepts.shape or not len(soc):
        raise InvalidProblem(f"{who}: curve: as many powers as states of charge are expected, at least one")
    if not (np.isfinite(soc).all() and np.isfinite(accepts).all()) or accepts.min() < 0 or (np.diff(soc) <= 0).any():
        raise InvalidProblem(f"{who}: curve: states of charge must rise, and powers be finite and at least 0")
    if not (np.isfinite(curve.capacity_kwh) and curve.capacity_kwh > 0 and 0 <= curve.stored_kwh < np.inf):
        raise InvalidProblem(
            f"{who}: curve: {curve.stored_kwh} of {curve.capacity_kwh} kWh: the capacity must be above 0, what it holds at least 0"
        )
    soc.flags.writeable = accepts.flags.writeable = False
    return replace(curve, soc=soc, accepts_kw=accepts)
