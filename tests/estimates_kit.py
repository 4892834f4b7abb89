"""Packs that are driven, rest, and are charged: samples for tests, from a cell of known capacity and known curve."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bms_bridge.estimates.curves import RestCurve
from bms_bridge.estimates.samples import Buffer

NMC = RestCurve.of((0.0, 0.1, 0.3, 0.5, 0.75, 0.9, 1.0), (3.20, 3.46, 3.60, 3.70, 3.93, 4.07, 4.16))
LFP = RestCurve.of((0.0, 0.05, 0.12, 0.3, 0.6, 0.9, 0.96, 1.0), (2.80, 3.12, 3.21, 3.28, 3.31, 3.34, 3.36, 3.44))
SERIES = 12
NOMINAL_AH = 100.0


@dataclass
class Pack:
    """``soh`` by cell, or one of all. ``ohm``: of a cell. Charge in Ah, charging positive; a sample each ``every_s``."""

    curve: RestCurve = NMC
    soh: float | tuple[float, ...] = 0.9
    ohm: float = 0.001
    ah: float = 20.0
    every_s: float = 10.0
    t_s: float = 1_790_000_000.0
    blur_v: float = 0.0
    buffer: Buffer = field(default_factory=Buffer)
    said: list[tuple[float, float, float, tuple[float, ...]]] = field(default_factory=list)

    def go(self, amps: float, hours: float, *, told: bool = True) -> Pack:
        """Let a current flow for so long."""
        sohs = np.broadcast_to(np.asarray(self.soh, float), (SERIES,))
        for _ in range(round(hours * 3600 / self.every_s)):
            self.t_s += self.every_s
            self.ah += amps * self.every_s / 3600
            rest = np.interp(self.ah / (NOMINAL_AH * sohs), self.curve.soc, self.curve.cell_v)
            cells = np.round(rest + amps * self.ohm, 4).astype(np.float32)
            if told:
                volts = float(cells.sum(dtype=float))
                self.buffer.add(self.t_s, amps, volts, cells, np.array([25.0, 26.0, np.nan], np.float32))
                self.said.append((self.t_s, amps, volts, tuple(map(float, cells))))
        return self

    def charge(self, hours: float = 1.4, amps: float = 50.0) -> Pack:
        """Driven home, rested, charged, rested."""
        return self.go(-30, 0.2).go(0, 0.8).go(amps, hours).go(0, 0.8)
