"""Cycles to the end of life from the first hundred: a committee of small models, and a ceiling that needs no model.

    discharge curves of cycles 10 and 100 --ΔQ(V)--> six models of log₁₀(life) --mean--> life, held below the straight line's

ΔQ(V) is the difference between the charge given by cycle 100 and by cycle 10 down to each voltage: its variance tells the life of fast
charged LFP cells (Severson et al., Nature Energy 2019). Six models say different things about outliers; none is chosen, their mean is
taken. The ceiling: these cells fade faster as they age, so that the straight line through the capacities of cycles 2 and 100 reaches the
end of life later than the cell. Where the capacity has hardly fallen by cycle 100 it says nothing.
Needs scikit-learn (the extra ``analytics``).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bms_bridge.health import DataRefused
from bms_bridge.health.files import Floats, Words, column_names, data_files, left_out, read_columns

SCALARS = ("log10_var_dQ", "log10_abs_min_dQ", "log10_abs_mean_dQ", "skew_dQ", "kurt_dQ", "qd_cycle2_Ah", "qd_cycle100_Ah")
END_OF_LIFE_AH = 0.88
"""80 % of 1.1 Ah, as the data set's authors take it."""
END_OF_LIFE_SOH = 0.8
LEAST_DROP_AH = 0.002
CURVE_FLOOR_AH = 1e-4
LEAST_CELLS = 12


@dataclass(frozen=True, slots=True)
class EarlyLives:
    """n cells. ``splits``: as published ("train", "test1" …); ``scalars`` [n, 7] as in :data:`SCALARS`; ``curves_ah`` [n, points]: ΔQ of
    cycles 100 and 10; ``life_cycles``: to 80 % of nominal, NaN where unknown."""

    cells: Words
    splits: Words
    scalars: Floats
    curves_ah: Floats
    life_cycles: Floats
    notes: tuple[str, ...] = ()

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> EarlyLives:
        """The chosen rows, in their order."""
        return EarlyLives(
            self.cells[chosen], self.splits[chosen], self.scalars[chosen], self.curves_ah[chosen], self.life_cycles[chosen], self.notes
        )


def read_early_lives(path: Path) -> EarlyLives:
    """From a folder with a table of features and one of curves, joined by cell. DataRefused: one is missing or cannot be used."""
    features = curves = None
    for file in data_files(path):
        names = set(column_names(file))
        if {"cell", "cycle_life", SCALARS[0]} <= names:
            features = file
        elif {"cell", "dQ_0"} <= names:
            curves = file
    if features is None or curves is None:
        missing = "features (cell, cycle_life, log10_var_dQ …)" if features is None else "curves (cell, dQ_0 …)"
        raise DataRefused(f"{path}: holds no table of {missing}")
    read = read_columns(features, (*SCALARS, "cycle_life"), ("cell", "split"))
    points = sorted((name for name in column_names(curves) if name.startswith("dQ_")), key=lambda name: int(name[3:]))
    drawn = read_columns(curves, points, ("cell",))
    where = {str(cell): row for row, cell in enumerate(drawn["cell"])}
    table = np.column_stack([drawn[name] for name in points])
    has = np.array([str(cell) in where for cell in read["cell"]])
    curves_ah = np.array([table[where[str(cell)]] if str(cell) in where else np.full(len(points), np.nan) for cell in read["cell"]])
    scalars = np.column_stack([read[name] for name in SCALARS])
    with np.errstate(invalid="ignore"):
        keep, notes = left_out(
            {
                "without a curve": ~has,
                "a feature or a point is no number": np.asarray(~(np.isfinite(scalars).all(axis=1) & np.isfinite(curves_ah).all(axis=1))),
                "a life of less than 100 cycles": np.asarray(read["cycle_life"] < 100),
            }
        )
    if not keep.any():
        raise DataRefused(f"{path}: no cell can be used ({'; '.join(notes)})")
    return EarlyLives(read["cell"], read["split"], scalars, curves_ah, read["cycle_life"], notes).rows(keep)


def words_about(lives: EarlyLives, cells: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """Cycles to 80 % with their 90 % interval of those of ``cells`` whose first curves are known, taught all other cells with a known life.
    DataRefused: fewer than twelve of those."""
    asked = np.isin(lives.cells, np.asarray(cells, dtype=np.str_))
    if not asked.any():
        return {}
    model = EarlyLifeModel(lives.rows(~asked))
    own = lives.rows(asked)
    said = zip(own.cells.tolist(), *(part.tolist() for part in model.predict(own)), strict=True)
    return {str(cell): (life, low, high) for cell, life, low, high in said}


def ceiling_cycles(scalars: Floats) -> Floats:
    """Cycle at which the straight line through cycles 2 and 100 reaches the end of life; infinite where it hardly falls."""
    at_2, at_100 = scalars[:, SCALARS.index("qd_cycle2_Ah")], scalars[:, SCALARS.index("qd_cycle100_Ah")]
    drop = at_2 - at_100
    line = 100 + 98 * (at_100 - END_OF_LIFE_AH) / np.maximum(drop, LEAST_DROP_AH)
    return np.where(drop > LEAST_DROP_AH, np.maximum(line, 100.0), np.inf)


def _process() -> Any:
    shape = ConstantKernel(1.0) * RBF(5.0, (0.5, 1e3)) + ConstantKernel(1.0) * DotProduct(1.0) + WhiteKernel(0.1)
    return GaussianProcessRegressor(shape, normalize_y=True)


def _ridge() -> Any:
    return RidgeCV(np.logspace(-2, 5, 30))


MEMBERS: dict[str, tuple[str, Callable[[], Any]]] = {
    "variance": ("variance", LinearRegression),
    "ridge of scalars": ("scalars", _ridge),
    "process of scalars": ("scalars", _process),
    "trees of scalars": ("scalars", lambda: ExtraTreesRegressor(100, min_samples_leaf=2, random_state=0, n_jobs=1)),
    "ridge of the curve": ("curve", _ridge),
    "process of the curve": ("curve", lambda: make_pipeline(PCA(4, whiten=True, random_state=0), _process())),
}
"""What each member sees, and how it is made. Curves are logarithms of their size: an outlier's curve is ten times as large."""


class EarlyLifeModel:
    """The committee. ``half_width``: of a 90 % interval, in log₁₀(life), from folds of the taught cells."""

    def __init__(self, lives: EarlyLives, *, seed: int = 0) -> None:
        """Teach it. DataRefused: fewer than twelve cells with a known life."""
        lives = lives.rows(np.isfinite(lives.life_cycles))
        if len(lives.cells) < LEAST_CELLS:
            raise DataRefused(f"{len(lives.cells)} cells with a known life are too few; at least {LEAST_CELLS} are needed")
        target = np.log10(lives.life_cycles)
        self._members = _taught(lives, target)
        off = np.empty(len(target))
        for taught, kept in KFold(5, shuffle=True, random_state=seed).split(target):
            members = _taught(lives.rows(taught), target[taught])
            off[kept] = np.abs(_committee(members, lives.rows(kept)) - target[kept])
        rank = int(np.ceil(0.9 * (len(off) + 1)))
        self.half_width = float(np.sort(off)[min(rank, len(off)) - 1])

    def predict(self, lives: EarlyLives) -> tuple[Floats, Floats, Floats]:
        """Cycles to 80 %: estimate, and the ends of the 90 % interval."""
        said = _committee(self._members, lives)
        return 10**said, 10 ** (said - self.half_width), 10 ** (said + self.half_width)

    def members(self, lives: EarlyLives) -> dict[str, Floats]:
        """What each member alone says, cycles; without the ceiling."""
        return {name: 10 ** np.ravel(model.predict(_seen(name, lives))) for name, model in self._members.items()}


def _seen(name: str, lives: EarlyLives) -> Floats:
    what = MEMBERS[name][0]
    if what == "variance":
        return lives.scalars[:, :1]
    if what == "scalars":
        at_2, at_100 = (lives.scalars[:, SCALARS.index(f"qd_cycle{cycle}_Ah")] for cycle in (2, 100))
        return np.column_stack([lives.scalars, at_100 - at_2])
    return np.log10(np.abs(lives.curves_ah) + CURVE_FLOOR_AH)


def _taught(lives: EarlyLives, target: Floats) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return {name: make_pipeline(StandardScaler(), make()).fit(_seen(name, lives), target) for name, (_, make) in MEMBERS.items()}


def _committee(members: dict[str, Any], lives: EarlyLives) -> Floats:
    said = np.mean([np.ravel(model.predict(_seen(name, lives))) for name, model in members.items()], axis=0)
    return np.minimum(said, np.log10(ceiling_cycles(lives.scalars)))
