"""State of health from the end of one charge: an estimate with an interval, or the reason why there is none.

    charge --comparable, steadied, scaled--> Gaussian process ─┐
                                           ├-> forest ─────────┼-> mean, deviation --conformal factor--> interval
                                           └-> networks ───────┘

Where batches were taught (protocols, temperatures, makes) and knowing them helped cells that were kept apart, a second set of estimators
is told the batch, too (:class:`Placed`); it speaks of taught batches only.
Of a batch that was taught, and near to its charges, the interval has the factor that held for the batch's unknown cells; else the one
that held for unknown batches (unknown itself where one batch alone was taught); too far away there is no estimate, none for a cell most
of whose charges are too far, and none for a chemistry that has a name and was not taught: how far batches of taught chemistries differ
says nothing of it. Then counted charge must do (:func:`counted_soh`). NumPy and SciPy alone; no state, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bms_bridge.health import DataRefused, ModelRefused
from bms_bridge.health.charge_table import FEATURES, ChargeTable
from bms_bridge.health.fade_network import FadeNetworks
from bms_bridge.health.features import SETTLED, Scale, comparable, since_new, steadied
from bms_bridge.health.files import Floats, Words
from bms_bridge.health.gauss import GaussianProcess
from bms_bridge.health.model_file import ModelFile
from bms_bridge.health.novelty import Novelty
from bms_bridge.health.trees import Forest

PURPOSE = "soh"
MOST_STRANGE = 0.5
"""A cell of which a greater share of charges is unlike anything taught gets no estimate at all."""
FIGURES = ("unusual_factor", "usual_distance", "farthest")
SHARES = ("usual_share", "unusual_share")

Said = tuple[Floats, Floats]
"""Mean and deviation [n]."""
Share = tuple[float, float, float]
"""Of Gaussian process, forest and networks; together 1."""


class Verdict(IntEnum):
    """How much an estimate is worth."""

    USUAL = 0
    UNUSUAL = 1  # unlike the taught batches: the interval is the wider one
    NONE = 2  # unlike anything: no estimate


@dataclass(frozen=True, slots=True)
class Estimates:
    """n charges. ``soh``, ``low``, ``high``: shares of the nominal capacity, NaN where the verdict is NONE; ``guess``: what the
    estimators said all the same (for measuring them; never to be used); ``distance``: see :mod:`novelty`."""

    soh: Floats
    low: Floats
    high: Floats
    verdict: NDArray[np.int8]
    guess: Floats
    distance: Floats

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Estimates:
        """The chosen rows, in their order."""
        return Estimates(*(getattr(self, name)[chosen] for name in ("soh", "low", "high", "verdict", "guess", "distance")))


@dataclass(frozen=True, slots=True)
class Trio:
    """Three estimators that were taught the same charges in the same scale."""

    process: GaussianProcess
    forest: Forest
    networks: FadeNetworks

    def predict(self, scaled: Floats, share: Share) -> Said:
        """Mean and deviation [n] (shares of the nominal capacity): the estimators' own deviations, and how much they disagree."""
        each: tuple[GaussianProcess | Forest | FadeNetworks, ...] = (self.process, self.forest, self.networks)
        return mixed([one.predict(scaled) if part else None for one, part in zip(each, share, strict=True)], share)


def mixed(said: Sequence[Said | None], share: Sequence[float]) -> Said:
    """Mean and deviation of several estimators' (mean, deviation), mixed; None where the share is 0."""
    there = [(one, part) for one, part in zip(said, share, strict=True) if one is not None and part > 0]
    mean = np.asarray(sum(part * one[0] for one, part in there))
    square = np.asarray(sum(part * (one[1] ** 2 + (one[0] - mean) ** 2) for one, part in there))
    return mean, np.sqrt(square)


@dataclass(frozen=True, slots=True)
class Blend:
    """The estimators, the scale that they were taught in, and what is far from it."""

    scale: Scale
    trio: Trio
    novelty: Novelty


@dataclass(frozen=True, slots=True)
class Placed:
    """Estimators that are also told which of the taught batches a charge is of: its protocol, its temperature, its cell's make."""

    trio: Trio

    def predict(self, scaled: Floats, batch: NDArray[np.int64], share: Share) -> Said:
        """Mean and deviation [n]. ``batch`` [n]: numbers of taught batches, each one there."""
        return self.trio.predict(placed(scaled, batch, self.trio.process.points.shape[1] - scaled.shape[1]), share)


def placed(scaled: Floats, batch: NDArray[np.int64], count: int) -> Floats:
    """``scaled`` [n, d] and ``count`` columns more, of which the batch's is 1 and the others 0."""
    return np.hstack([scaled, (batch[:, None] == np.arange(count)).astype(np.float64)])


@dataclass(frozen=True, slots=True)
class Part:
    """A blend, the estimators that know the batch (absent where they were no better), and how far they may be trusted.

    ``usual_factors`` [batches]: half the interval in deviations, of each batch that was taught; ``unusual_factor``: for others, infinite
    where one batch alone was taught; ``usual_distance``, ``farthest``: up to where each holds; ``usual_share``, ``unusual_share``: of the
    estimators."""

    blend: Blend
    usual_factors: Floats
    unusual_factor: float
    usual_distance: float
    farthest: float
    usual_share: Share
    unusual_share: Share
    placed: Placed | None = None

    def judged(self, values: Floats, batch: NDArray[np.int64]) -> tuple[NDArray[np.int8], Floats]:
        """What an estimate of each row would be worth, and its distance; without estimating."""
        distance = self.blend.novelty.distance(self.blend.scale.free(values))
        reach = self.farthest if np.isfinite(self.unusual_factor) else -1.0
        other = np.where(distance <= reach, Verdict.UNUSUAL, Verdict.NONE)
        return np.where((distance <= self.usual_distance) & (batch >= 0), Verdict.USUAL, other).astype(np.int8), distance

    def estimate(self, values: Floats, batch: NDArray[np.int64]) -> Estimates:
        """``values`` [n, d] as :mod:`features` makes them; ``batch`` [n]: which of the taught batches, −1: none of them."""
        scaled = self.blend.scale(values)
        verdict, distance = self.judged(values, batch)
        none = verdict == Verdict.NONE
        usual = verdict == Verdict.USUAL
        mean, deviation = np.empty(len(values)), np.empty(len(values))
        for rows, share in ((usual, self.usual_share), (~usual, self.unusual_share)):
            if rows.any():
                mean[rows], deviation[rows] = self.blend.trio.predict(scaled[rows], share)
        if self.placed is not None and usual.any():
            knowing = self.placed.predict(scaled[usual], batch[usual], self.usual_share)
            mean[usual], deviation[usual] = mixed([(mean[usual], deviation[usual]), knowing], (0.5, 0.5))
        factor = np.where(usual, self.usual_factors[np.where(usual, batch, 0)], self.unusual_factor)
        half = np.where(none, np.nan, deviation * np.where(none, 0.0, factor))
        return Estimates(np.where(none, np.nan, mean), np.maximum(mean - half, 0.0), mean + half, verdict, mean, distance)


@dataclass(frozen=True, slots=True)
class SohModel:
    """Of one kind of charge. ``plain`` needs the last charges only; ``grown`` (absent where too few taught cells began new) also the
    cell's first ones. ``last``: charges of which features are the median; ``batches``: the taught ones; ``level``: what intervals
    promise; ``taught``: what it was taught with, for people; ``chemistries``: the taught ones that were named."""

    kind: str
    plain: Part
    grown: Part | None
    last: int
    batches: tuple[str, ...]
    level: float
    taught: Mapping[str, Any]
    chemistries: tuple[str, ...] = ()

    def estimate(self, table: ChargeTable) -> Estimates:
        """One estimate per row of ``table``, whose rows lie in the order of cells and cycles. DataRefused: they do not."""
        return self._estimate(table, np.ones(len(table), dtype=np.bool_))

    def latest(self, table: ChargeTable) -> tuple[Words, Estimates]:
        """The cells, and one estimate for each by its last charge: the same as :meth:`estimate` says of that row, but much sooner.
        DataRefused as there."""
        last = np.ones(len(table), dtype=np.bool_)
        last[:-1] = table.cells[1:] != table.cells[:-1]
        return table.cells[last], self._estimate(table, last)

    def _estimate(self, table: ChargeTable, wanted: NDArray[np.bool_]) -> Estimates:
        """Of the wanted rows; whether a cell is strange is asked of all of its rows."""
        _check_order(table)
        values = comparable(table)
        steady = steadied(values, table.cells, self.last)
        names, which = np.unique(table.batches, return_inverse=True)
        numbers = {batch: number for number, batch in enumerate(self.batches)}
        batch = np.array([numbers.get(str(name), -1) for name in names], dtype=np.int64)[which] if len(names) else which
        verdict, _ = self.plain.judged(steady, batch)
        wide, new = since_new(values, steady, table) if self.grown else (steady, np.zeros(len(table), dtype=np.bool_))
        if self.grown and new.any():
            verdict[new] = self.grown.judged(wide[new], batch[new])[0]
        old, young = wanted & ~new, wanted & new
        said = self.plain.estimate(steady[old], batch[old])
        if self.grown and young.any():
            said = _interleaved(said, self.grown.estimate(wide[young], batch[young]), new[wanted])
        return _without(said, (strangers(verdict, table.cells) | self._foreign(table, batch))[wanted])

    def _foreign(self, table: ChargeTable, batch: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Rows of an unknown batch whose chemistry is named and was not taught; none where no taught one was named."""
        if not self.chemistries:
            return np.zeros(len(table), dtype=np.bool_)
        return np.asarray((batch < 0) & ~np.isin(np.char.lower(table.chemistries), ["", *map(str.lower, self.chemistries)]))


def _check_order(table: ChargeTable) -> None:
    same = table.cells[1:] == table.cells[:-1]
    pieces = int((~same).sum()) + 1 if len(table) else 0
    if (same & (np.diff(table.cycles) < 0)).any() or pieces != len(np.unique(table.cells)):
        raise DataRefused("rows of charges must lie in the order of cells and cycles: sort them (read_charges does)")


def strangers(verdict: NDArray[np.int8], cells: Words) -> NDArray[np.bool_]:
    """Rows of cells most of whose charges are unlike what was taught: the few that lie near do so by chance."""
    if not len(cells):
        return np.zeros(0, dtype=np.bool_)
    _, which = np.unique(cells, return_inverse=True)
    strange = np.bincount(which, weights=verdict == Verdict.NONE) / np.bincount(which)
    return np.asarray((strange > MOST_STRANGE)[which])


def _interleaved(plain: Estimates, grown: Estimates, which: NDArray[np.bool_]) -> Estimates:
    """One after the other, ``grown`` where ``which`` says so."""
    found = []
    for name in ("soh", "low", "high", "verdict", "guess", "distance"):
        column = np.empty(len(which), dtype=getattr(plain, name).dtype)
        column[~which], column[which] = getattr(plain, name), getattr(grown, name)
        found.append(column)
    return Estimates(*found)


def _without(said: Estimates, mute: NDArray[np.bool_]) -> Estimates:
    unknown = np.where(mute, np.nan, 0.0)
    verdict = np.where(mute, Verdict.NONE, said.verdict).astype(np.int8)
    return replace(said, soh=said.soh + unknown, low=said.low + unknown, high=said.high + unknown, verdict=verdict)


def counted_soh(
    charged_ah: float, soc_from: float, soc_to: float, *, nominal_ah: float, soc_error: float = 0.03
) -> tuple[float, float, float]:
    """What counted charge says where no estimator may: (health, low, high), shares of the nominal capacity.

    ``soc_from`` and ``soc_to`` (shares) must come from voltages at rest, not from a counter that itself takes a capacity for granted;
    ``soc_error``: how wrong each of them can be. ValueError: too little was charged to tell, or the numbers cannot be.
    """
    window = soc_to - soc_from
    if not (charged_ah > 0 and nominal_ah > 0 and 0 <= soc_from < soc_to <= 1 and 0 <= soc_error < 1):
        raise ValueError("charge, capacity and states of charge must be positive and in order")
    if window <= 4 * soc_error:
        raise ValueError(f"{window:.0%} between two rests tell nothing: states of charge may be {soc_error:.0%} wrong; charge more")
    charged = charged_ah / nominal_ah
    return charged / window, charged / (window + 2 * soc_error), charged / (window - 2 * soc_error)


def to_file(models: Mapping[str, SohModel]) -> ModelFile:
    """All kinds' models as one file's content."""
    words: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for number, (kind, model) in enumerate(sorted(models.items())):
        parts = {}
        for name, part in (("plain", model.plain), ("grown", model.grown)):
            if part is not None:
                at = f"{number}.{name}."
                figures = {figure: getattr(part, figure) if np.isfinite(getattr(part, figure)) else None for figure in FIGURES}
                parts[name] = {"at": at} | figures | {share: list(getattr(part, share)) for share in SHARES}
                arrays |= _part_arrays(part, at)
        words[kind] = {
            "features": list(FEATURES),
            "parts": parts,
            "last": model.last,
            "settled": SETTLED,
            "batches": list(model.batches),
            "chemistries": list(model.chemistries),
            "level": model.level,
            "taught": dict(model.taught),
        }
    return ModelFile(PURPOSE, words, arrays)


def from_file(file: ModelFile) -> dict[str, SohModel]:
    """The inverse. ModelRefused: what the file holds does not fit together, or has other features."""
    found = {}
    for kind, words in file.words.items():
        try:
            if list(words["features"]) != list(FEATURES):
                raise ValueError("other features")
            if int(words["settled"]) != SETTLED:
                raise ValueError("a cell's first charges are other ones")
            parts = words["parts"]
            batches = tuple(str(batch) for batch in words["batches"])
            plain = _part(file, parts["plain"], len(FEATURES), len(batches))
            grown = _part(file, parts["grown"], 2 * len(FEATURES), len(batches)) if "grown" in parts else None
            chemistries = tuple(str(chemistry) for chemistry in words.get("chemistries", ()))
            level, taught = float(words["level"]), dict(words["taught"])
            found[kind] = SohModel(kind, plain, grown, int(words["last"]), batches, level, taught, chemistries)
        except (KeyError, TypeError, ValueError, IndexError, np.linalg.LinAlgError) as error:
            raise ModelRefused(f"the model for {kind!s:.40} cannot be used ({error!s:.80}): train it anew") from error
    if not found:
        raise ModelRefused("the model file holds no model: train it anew")
    return found


def _part_arrays(part: Part, at: str) -> dict[str, NDArray[Any]]:
    blend = part.blend
    found = {f"{at}scale.middle": blend.scale.middle, f"{at}scale.spread": blend.scale.spread} | blend.novelty.arrays(f"{at}novelty.")
    found |= _trio_arrays(blend.trio, at)
    found[f"{at}usual_factors"] = part.usual_factors
    return found if part.placed is None else found | _trio_arrays(part.placed.trio, f"{at}placed.")


def _trio_arrays(trio: Trio, at: str) -> dict[str, NDArray[Any]]:
    return trio.process.arrays(f"{at}process.") | trio.forest.arrays(f"{at}forest.") | trio.networks.arrays(f"{at}networks.")


def _part(file: ModelFile, words: Mapping[str, Any], features: int, batches: int) -> Part:
    at = str(words["at"])
    scale = Scale(file.arrays[f"{at}scale.middle"].astype(np.float64), file.arrays[f"{at}scale.spread"].astype(np.float64))
    blend = Blend(scale, _trio(file, at, features), Novelty.from_arrays(file.arrays, f"{at}novelty."))
    if {len(scale.middle), len(scale.spread), len(blend.novelty.middle)} != {features}:
        raise ValueError("other features")
    own = Placed(_trio(file, f"{at}placed.", features + batches)) if f"{at}placed.process.points" in file.arrays else None
    figures = {name: float("inf") if words[name] is None else float(words[name]) for name in FIGURES}
    factors = file.arrays[f"{at}usual_factors"].astype(np.float64)
    if factors.shape != (batches,) or not batches or not (np.isfinite(factors) & (factors >= 0)).all():
        raise ValueError("the factors of the intervals do not fit the batches")
    usual, unusual = (_share(words[name]) for name in SHARES)
    return Part(
        blend,
        usual_factors=factors,
        unusual_factor=figures["unusual_factor"],
        usual_distance=figures["usual_distance"],
        farthest=figures["farthest"],
        usual_share=usual,
        unusual_share=unusual,
        placed=own,
    )


def _trio(file: ModelFile, at: str, features: int) -> Trio:
    process = GaussianProcess.from_arrays(file.arrays, f"{at}process.")
    forest = Forest.from_arrays(file.arrays, f"{at}forest.", features)
    networks = FadeNetworks.from_arrays(file.arrays, f"{at}networks.")
    if {process.points.shape[1], networks.features} != {features}:
        raise ValueError("other features or batches")
    return Trio(process, forest, networks)


def _share(words: Sequence[Any]) -> Share:
    process, forest, networks = (float(part) for part in words)
    if min(process, forest, networks) < 0 or abs(process + forest + networks - 1) > 1e-6:
        raise ValueError("the shares of the estimators are none")
    return process, forest, networks
