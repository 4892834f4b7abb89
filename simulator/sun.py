"""The sun over the virtual depot: a clear-sky day with clouds that come and go. Pure: a function of time and seed.

What a plant gives is sin of the sun's height between sunrise and sunset, to the power 1.3 (thick air when it stands low), times what
the clouds leave. A cloud comes within seconds and takes up to nine tenths, as real ones do.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Cloud:
    """``begins_s`` to ``ends_s`` of the day it leaves ``share`` of the light; its edge passes within ``edge_s``."""

    begins_s: float
    ends_s: float
    share: float
    edge_s: float = 4.0


class Sun:
    """``rated_w``: of the plant at noon. Times are seconds of the local day."""

    def __init__(self, rated_w: float, *, clouds: tuple[Cloud, ...] = (), rises_s: float = 6 * 3600, sets_s: float = 18 * 3600) -> None:
        self.rated_w = rated_w
        self.clouds = clouds
        self._rises_s, self._sets_s = rises_s, sets_s

    def gives_w(self, day_s: float) -> float:
        """W at this second of the day."""
        at = day_s % _DAY_S
        height = math.sin(math.pi * (at - self._rises_s) / (self._sets_s - self._rises_s)) if self._rises_s < at < self._sets_s else 0.0
        left = 1.0
        for cloud in self.clouds:
            inside = min((at - cloud.begins_s) / cloud.edge_s, (cloud.ends_s - at) / cloud.edge_s, 1.0)
            left = min(left, 1.0 - (1.0 - cloud.share) * max(0.0, inside))
        return float(self.rated_w * max(0.0, height) ** 1.3 * left)


def clouds_of(seed: int, *, many: int = 12) -> tuple[Cloud, ...]:
    """A day's clouds, drawn."""
    rng = random.Random(f"{seed}/clouds")  # noqa: S311  # a virtual sky, no secret
    found = []
    for _ in range(many):
        begins = rng.uniform(7 * 3600, 17 * 3600)
        found.append(Cloud(begins, begins + rng.uniform(60, 1500), rng.uniform(0.1, 0.7), rng.uniform(3, 20)))
    return tuple(found)
