"""A limit in kVA as the real power that it leaves, exactly: (P_b + P)² + (Q_b + P·tan φ)² ≤ S².

P_b, Q_b: real and reactive power of what else draws, P: that of the vehicles, φ: theirs. The largest P is the greater root of

    (1 + t²)·P² + 2·(P_b + t·Q_b)·P + P_b² + Q_b² − S² = 0,   t = tan φ

Where the background alone exceeds S, or needs so much reactive power that nothing fits beside it, it is 0. The limit is on what
vehicles draw; what is given stays within the background and the export limit.
"""

from __future__ import annotations

import math

import numpy as np

from optimizer.errors import InvalidProblem
from optimizer.series import FloatArray
from optimizer.site_limits import NamedLimit


def room_kw(limit_kva: FloatArray, background_kw: FloatArray, background_kvar: FloatArray, *, power_factor: float) -> FloatArray:
    """[slot] most real power that vehicles may draw under ``limit_kva``. ``background_kw``, ``background_kvar``: what else draws,
    negative where it gives (the sun; capacitors). ``power_factor``: of the vehicles, lagging; negative: leading."""
    if not (math.isfinite(power_factor) and 0 < abs(power_factor) <= 1):
        raise InvalidProblem(f"power_factor {power_factor} is not in (0, 1], or in [−1, 0) for a leading one")
    limit, p_b, q_b = (np.asarray(part, dtype=np.float64) for part in (limit_kva, background_kw, background_kvar))
    if not all(np.isfinite(part).all() for part in (limit, p_b, q_b)) or limit.min(initial=0.0) < 0:
        raise InvalidProblem("limit_kva, background_kw and background_kvar are finite numbers, limit_kva at least 0")
    t = math.copysign(math.tan(math.acos(abs(power_factor))), power_factor)
    half = p_b + t * q_b
    root = half**2 - (1 + t**2) * (p_b**2 + q_b**2 - limit**2)
    most = np.where(root >= 0, (np.sqrt(np.maximum(root, 0.0)) - half) / (1 + t**2), 0.0)
    room: FloatArray = np.maximum(most, 0.0)
    return room


def transformer_limit(
    limit_kva: FloatArray, background_kw: FloatArray, background_kvar: FloatArray, *, power_factor: float, source: str = "transformer"
) -> NamedLimit:
    """The site's limit that a limit in kVA is in each slot: background and the room beside it."""
    room = room_kw(limit_kva, background_kw, background_kvar, power_factor=power_factor)
    return NamedLimit(source, np.maximum(room + background_kw, 0.0))
