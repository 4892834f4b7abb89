"""What the sun will give: yesterday's, by how today compares with it, less a share for what nobody knows. Nothing is asked of anybody.

    readings, once a second --> means per quarter of an hour (kept for days) --forecast--> kW per slot of a plan

The next hour is what was measured last, faded into the forecast: clouds that are there stay a while. A quarter that was never
measured counts 0: unknown sun is no sun. Kept in a file of its own, best effort: a lost one is a worse forecast for a day.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

log = logging.getLogger(__name__)

QUARTER_S = 900
DAYS = 4
"""How many days back are kept; the forecast takes the newest of them that was measured."""

UNSURE = 0.25
"""Share that is taken off what comes later than an hour: yesterday's sky is not today's."""

FADE_S = 3600.0
SCALE_MOST = 1.5
SCALE_LEAST = 0.1
SCHEMA = "pv-history/1"


@dataclass(slots=True)
class PvHistory:
    """Of all solar plants together. ``path`` None: kept in memory only."""

    path: Path | None = None
    _quarters: dict[int, float] = field(default_factory=dict)
    _running: tuple[int, float, int] | None = None

    def load(self) -> None:
        """Read what was kept; a file that cannot be read is none."""
        if self.path is None or not self.path.exists():
            return
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            if found["schema"] != SCHEMA:
                raise ValueError(f"schema {found['schema']}")
            self._quarters = {int(key): max(0.0, float(watts)) for key, watts in found["quarters_w"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("what the sun gave before cannot be read (%s): the forecast begins anew", error)
            self._quarters = {}

    def note(self, at: datetime, gives_w: float) -> None:
        """What all plants give now."""
        quarter = int(at.timestamp() // QUARTER_S)
        if self._running is not None and self._running[0] != quarter:
            before, total, count = self._running
            self._quarters[before] = total / count
            oldest = quarter - DAYS * 86_400 // QUARTER_S
            self._quarters = {key: watts for key, watts in self._quarters.items() if key >= oldest}
            self._running = None
            self._keep()
        total, count = (self._running[1], self._running[2]) if self._running is not None else (0.0, 0)
        self._running = (quarter, total + max(0.0, gives_w), count + 1)

    def _keep(self) -> None:
        if self.path is None:
            return
        fresh = self.path.with_suffix(".new")
        try:
            fresh.write_text(json.dumps({"schema": SCHEMA, "quarters_w": self._quarters}), encoding="utf-8")
            fresh.replace(self.path)
        except OSError as error:
            log.warning("what the sun gives cannot be kept: %s", error)

    def forecast_kw(self, start: datetime, slots: int, slot_s: int, *, now: datetime, now_w: float | None) -> npt.NDArray[np.float64]:
        """kW per slot. ``now_w``: what is given now; None: not known, so nothing is counted on for the next hour."""
        return forecast_kw(self._quarters, start, slots, slot_s, now=now, now_w=now_w)


def forecast_kw(
    quarters_w: Mapping[int, float], start: datetime, slots: int, slot_s: int, *, now: datetime, now_w: float | None
) -> npt.NDArray[np.float64]:
    """See :class:`PvHistory`. Pure. ``quarters_w``: mean W by quarter of an hour since the epoch."""
    here = int(now.timestamp() // QUARTER_S)
    scale = _scale(quarters_w, here)
    out = np.zeros(slots)
    for k in range(slots):
        begins = start + timedelta(seconds=k * slot_s)
        middle = begins + timedelta(seconds=slot_s / 2)
        before_w = _before(quarters_w, int(middle.timestamp() // QUARTER_S), here)
        likely_w = (before_w or 0.0) * scale
        ahead_s = max(0.0, (begins - now).total_seconds())
        fresh = max(0.0, 1.0 - ahead_s / FADE_S)
        sure = 1.0 - UNSURE * min(1.0, ahead_s / FADE_S)
        out[k] = (fresh * (now_w or 0.0) + (1.0 - fresh) * likely_w) * sure / 1000.0
    return out


def _before(quarters_w: Mapping[int, float], quarter: int, here: int) -> float | None:
    """The same quarter of the newest day before that was measured."""
    day = 86_400 // QUARTER_S
    for days in range(1, DAYS + 1):
        if quarter - days * day < here and (found := quarters_w.get(quarter - days * day)) is not None:
            return found
    return None


def _scale(quarters_w: Mapping[int, float], here: int) -> float:
    """How the last two hours compare with the same hours before; 1 where that says nothing."""
    now = before = 0.0
    for quarter in range(here - 8, here):
        today, then = quarters_w.get(quarter), _before(quarters_w, quarter, quarter)
        if today is not None and then is not None:
            now, before = now + today, before + then
    return min(SCALE_MOST, max(SCALE_LEAST, now / before)) if before > 0 else 1.0
