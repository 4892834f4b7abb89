"""Numbers as a problem holds them: one per slot, finite, read only."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np
import numpy.typing as npt

from optimizer.errors import InvalidProblem

FloatArray = npt.NDArray[np.float64]


def per_slot(name: str, value: FloatArray | Sequence[float] | float, n_slots: int) -> FloatArray:
    """One number for each slot, from that or from one for all; raises :class:`InvalidProblem`, which names ``name``."""
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidProblem(f"{name}: numbers are expected ({error})") from None
    if array.ndim == 0:
        array = np.full(n_slots, float(array))
    if array.shape != (n_slots,):
        raise InvalidProblem(f"{name}: {array.size} numbers, expected one for each of the {n_slots} slots")
    if not np.isfinite(array).all():
        raise InvalidProblem(f"{name}: slot {int(np.flatnonzero(~np.isfinite(array))[0])} is not a finite number")
    array.flags.writeable = False
    return array


def positive(name: str, value: float) -> None:
    """Raise :class:`InvalidProblem` for what is not a finite number of at least 0."""
    if not (isfinite(value) and value >= 0):  # of math: numpy takes ten times as long for a single number
        raise InvalidProblem(f"{name} is {value}; a finite number of at least 0 is expected")
