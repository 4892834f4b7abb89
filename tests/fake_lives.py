"""Whole lives of packs that follow a known curve: for tests of remaining life."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bms_bridge.life.fade import soh_at
from bms_bridge.life.history import PLAIN_DEVIATION, Track

USUAL = np.array([1.0, np.log(800.0), np.log(0.10), 0.0, np.log(0.4), np.log(0.2)])
SPREAD = np.array([0.01, 0.25, 0.15, 0.1, 0.2, 0.1])


def lives(
    many: int, *, seed: int = 0, kind: str = "bus", group: str = "", end: float = 0.75, every: int = 20, noise: float = 0.001
) -> list[Track]:
    """``many`` packs down to ``end``, a row each ``every`` cycles."""
    rng = np.random.default_rng(seed)
    found = []
    for place in range(many):
        shape = USUAL + SPREAD * rng.standard_normal(len(USUAL))
        cycles = np.arange(1.0, 4000.0, every)
        true = soh_at(shape, cycles)
        cycles = cycles[: int(np.argmax(true < end)) or len(cycles)]
        soh = true[: len(cycles)] + noise * rng.standard_normal(len(cycles))
        years = cycles / 250.0
        found.append(Track(f"{group}P{place:02d}", kind, group, cycles, soh, np.full(len(cycles), PLAIN_DEVIATION), years))
    return found


def write_lives(path: Path, tracks: list[Track], *, years: bool = True) -> None:
    """As a table of histories (.csv)."""
    lines = ["pack,group,cycle,soh" + (",years" if years else "")]
    for track in tracks:
        for cycle, soh, year in zip(track.cycles, track.soh, track.years, strict=True):
            lines.append(f"{track.pack},{track.group},{cycle:g},{soh:.5f}" + (f",{year:.4f}" if years else ""))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
