"""What early curves are worth to remaining life: fast-charged LFP cells whose lives and whose first hundred cycles' curves are both known.

Cells of ``mit_matr`` (health over a life) and of ``severson_dq`` (ΔQ(V) of cycles 100 and 10) are the same cells in the same order; that
they are is looked at by their lives. Folds of cells: of the cells kept apart nothing is taught, neither to the curves of fade nor to the
early models. Used by :mod:`benchmarks.rul`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bms_bridge.health.early_life import END_OF_LIFE_AH, EarlyLifeModel, EarlyLives, read_early_lives
from bms_bridge.life.crossings import Cuts, reached
from bms_bridge.life.history import NINETY, Track, Word, read_histories
from bms_bridge.life.judging import cuts_to, figures
from bms_bridge.life.remaining import Left, remaining
from bms_bridge.life.teaching import Effort, teach

Floats = NDArray[np.float64]
NOMINAL_AH = 1.1
END, HIGHEST = 0.84, 0.97
FOLDS = 5
EARLY_CYCLE = 100
NO_CELL = {"2017-05-12": (46, (8, 10, 12, 13, 22)), "2017-06-30": (48, (7, 8, 9, 15, 16))}
"""Cells of each batch, and those that the published splits leave out, in the order of its channels."""
LIKE = 0.85
"""A series that was cut before the end has at least this share of the published life; one that has not is another cell, or broke off."""
EFFORT = Effort(trees=100, folds=3, groups=4)


def words_measured(data: Path) -> dict[str, dict[str, Any]]:
    """Figures with and without early curves, asked at cycle 100 and at crossings; {} where one of both data sets is not there."""
    places = [next((at for at in (data / "battery" / name, data / name) if at.is_dir()), None) for name in ("mit_matr", "severson_dq")]
    if places[0] is None or places[1] is None:
        return {}
    tracks, _ = read_histories(places[0] / "mit_matr.parquet")
    lives = read_early_lives(places[1])
    row_of = same_cells(tracks, lives)
    chosen = [place for place, track in enumerate(tracks) if track.pack in row_of]
    order = np.random.default_rng(7).permutation(chosen)
    folds = [set(order[fold::FOLDS].tolist()) for fold in range(FOLDS)]
    early, cuts = _at_cycle(tracks, chosen), _only(cuts_to(tracks, END, HIGHEST), chosen)
    found: dict[str, dict[str, Any]] = {}
    said: dict[str, tuple[Cuts, dict[str, Floats]]] = {}
    for kept in folds:
        rest = [track for place, track in enumerate(tracks) if place not in kept]
        model = teach("mit_matr", rest, effort=EFFORT)
        taught = [row_of[track.pack] for track in rest if track.pack in row_of]
        words = words_of(lives, np.array(taught), [track for track in rest if track.pack in row_of], row_of)
        for when, asked in (("cycle 100", early), ("crossings", cuts)):
            rows = np.flatnonzero(np.isin(asked.lives[asked.which], sorted(kept)))
            if not len(rows):
                continue
            parts = [asked.parts[asked.which[row]] for row in rows]
            for how, its in (("without", parts), ("with", [replace(part, word=words(part.pack)) for part in parts])):
                left = remaining(model, its, [END])
                name = f"mit_matr at {when}, {how} early curves"
                values = said.setdefault(name, (asked, {part: np.full((len(asked.which), 1), np.nan) for part in ("p10", "p50", "p90")}))
                for part, array in values[1].items():
                    array[rows] = getattr(left, part)
    for name, (asked, values) in said.items():
        size = len(asked.which)
        left = Left(values["p10"], values["p50"], values["p90"], np.zeros((size, 1), dtype=np.int64), np.zeros(size))
        found[name] = figures(asked, left, tracks) | {"p10_to_p90": float(np.median(np.log(left.p90 / left.p10)))}
    return found


def same_cells(tracks: Sequence[Track], lives: EarlyLives) -> dict[str, int]:
    """The row of ``lives`` of each cell by its name in ``tracks``: where both have it and their lives agree."""
    listed = [
        f"{batch}_battery-{channel + 1}" for batch, (count, gone) in NO_CELL.items() for channel in range(count) if channel not in gone
    ]
    taught, tested = range(1, len(listed) - 1, 2), [*range(0, len(listed), 2), len(listed) - 1]
    names = {f"train_{n + 1}": listed[k] for n, k in enumerate(taught)} | {f"test1_{n + 1}": listed[k] for n, k in enumerate(tested)}
    known = {track.pack: track for track in tracks}
    found = {}
    for row, cell in enumerate(lives.cells):
        track = known.get(names.get(str(cell), ""))
        if track is not None and LIKE <= track.cycles[-1] / lives.life_cycles[row] <= 1.05:
            found[track.pack] = row
    return found


def words_of(lives: EarlyLives, taught: NDArray[np.int64], tracks: Sequence[Track], row_of: dict[str, int]) -> Any:
    """What the committee says of a cell, taught these rows alone: a function of the cell's name. Health is measured a little higher in
    ``tracks`` than by the early tables' discharges: by so much the end of life lies higher there."""
    model = EarlyLifeModel(lives.rows(taught))
    above = float(np.median([track.soh[0] - lives.scalars[row_of[track.pack], -2] / NOMINAL_AH for track in tracks]))
    level = END_OF_LIFE_AH / NOMINAL_AH + above

    def word(name: str) -> Word:
        life, low, high = (float(part[0]) for part in model.predict(lives.rows(np.array([row_of[name]]))))
        return Word(level, life, float(np.log(high / low)) / 2 / NINETY)

    return word


def _at_cycle(tracks: Sequence[Track], chosen: Sequence[int]) -> Cuts:
    able = [place for place in chosen if np.isfinite(reached(tracks[place], np.array([END]))[0])]
    parts = tuple(tracks[place].until(int(np.searchsorted(tracks[place].cycles, EARLY_CYCLE))) for place in able)
    left = np.array([reached(tracks[place], np.array([END]))[0] - part.cycles[-1] for place, part in zip(able, parts, strict=True)])
    return Cuts(parts, np.array(able, dtype=np.intp), np.arange(len(able), dtype=np.intp), np.full(len(able), END), left)


def _only(cuts: Cuts, chosen: Sequence[int]) -> Cuts:
    rows = np.isin(cuts.lives[cuts.which], chosen)
    return Cuts(cuts.parts, cuts.lives, cuts.which[rows], cuts.target[rows], cuts.cycles[rows])


if __name__ == "__main__":
    import sys

    for name, row in words_measured(Path(sys.argv[1])).items():
        print(name, {key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()})
