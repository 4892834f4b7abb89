"""The grade of a retired cell from one pulse: a band of health with its probability, or "test required".

    pulse --shape--> [22] --scaled--> Gaussian process --> mean, deviation --> probability of each band --> band, or a test

Bands as they are traded: below 60 %, 60 to 70, 70 to 80, from 80 % of the nominal capacity. A pulse whose likeliest band is not likely
enough, or that is unlike all that was taught, gets no grade: the cell has to be cycled. Where charge was counted from empty the state of
charge takes part; else a second model without it does. One model per chemistry and nominal capacity. NumPy and SciPy alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from bms_bridge.health import ModelRefused
from bms_bridge.health.features import Scale
from bms_bridge.health.files import Floats
from bms_bridge.health.gauss import GaussianProcess
from bms_bridge.health.model_file import ModelFile
from bms_bridge.health.novelty import Novelty
from bms_bridge.health.pulse_table import VOLTAGES, PulseTable

PURPOSE = "grade"
EDGES = (0.60, 0.70, 0.80)
BANDS = ("below 60 %", "60 to 70 %", "70 to 80 %", "80 % or more")
TEST_REQUIRED = "test required"
FIGURES = ("spread", "least_probability", "farthest", "factor")


@dataclass(frozen=True, slots=True)
class Grades:
    """n pulses. ``band``: index into :data:`BANDS`, −1: test required; ``probability`` of the likeliest band; ``soh``, ``low``, ``high``:
    shares of nominal (also where a test is required; NaN where the kind of cell is unknown); ``likeliest``: the band without abstaining."""

    band: NDArray[np.int64]
    probability: Floats
    soh: Floats
    low: Floats
    high: Floats
    likeliest: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GradePart:
    """``spread``: by how much the process's deviations are multiplied so that they were right for cells kept apart; ``least_probability``
    of a band that is told; ``farthest``: distance; ``factor``: half the interval in deviations."""

    scale: Scale
    process: GaussianProcess
    novelty: Novelty
    spread: float
    least_probability: float
    farthest: float
    factor: float

    def grade(self, shapes: Floats) -> Grades:
        """``shapes`` [n, d]: from :func:`shape_of`."""
        scaled = self.scale(shapes)
        mean, deviation = self.process.predict(scaled)
        deviation = deviation * self.spread
        probability = band_probabilities(mean, deviation)
        likeliest = probability.argmax(axis=1)
        best = probability.max(axis=1)
        sure = (best >= self.least_probability) & (self.novelty.distance(self.scale.free(shapes)) <= self.farthest)
        half = self.factor * deviation
        return Grades(np.where(sure, likeliest, -1), best, mean, np.maximum(mean - half, 0.0), mean + half, likeliest)


@dataclass(frozen=True, slots=True)
class GradeModel:
    """Of one kind of cell. ``counted``: with the state of charge; ``blind``: without. ``taught``: for people."""

    kind: str
    counted: GradePart | None
    blind: GradePart
    taught: Mapping[str, Any]


def shape_of(table: PulseTable, *, counted: bool) -> Floats:
    """[n, 21 or 22]: the voltage at rest, all others as differences to it, and the state of charge where it was counted."""
    rest = table.voltages_v[:, :1]
    parts = [rest, table.voltages_v[:, 1:] - rest]
    return np.hstack([*parts, table.soc[:, None]] if counted else parts)


def band_of(soh: Floats) -> NDArray[np.int64]:
    """Index into :data:`BANDS` of a measured health."""
    return np.digitize(soh, EDGES)


def band_probabilities(mean: Floats, deviation: Floats) -> Floats:
    """[n, 4], of a normal distribution."""
    below = ndtr((np.array(EDGES)[None, :] - mean[:, None]) / np.maximum(deviation[:, None], 1e-6))
    count = len(mean)
    return np.asarray(np.diff(np.hstack([np.zeros((count, 1)), below, np.ones((count, 1))]), axis=1))


def grade(models: Mapping[str, GradeModel], table: PulseTable) -> Grades:
    """A grade per pulse. Cells of a kind that no model was taught get none (test required, health NaN)."""
    count = len(table)
    nan = np.full(count, np.nan)
    found = Grades(np.full(count, -1), np.zeros(count), nan.copy(), nan.copy(), nan.copy(), np.full(count, -1))
    for kind, model in models.items():
        of_kind = table.kinds == kind
        with_soc = np.isfinite(table.soc) if model.counted is not None else np.zeros(count, dtype=np.bool_)
        for part, counted in ((model.counted, True), (model.blind, False)):
            chosen = np.flatnonzero(of_kind & (with_soc if counted else ~with_soc))
            if part is None or not len(chosen):
                continue
            said = part.grade(shape_of(table.rows(chosen), counted=counted))
            for name in ("band", "probability", "soh", "low", "high", "likeliest"):
                getattr(found, name)[chosen] = getattr(said, name)
    return found


def to_file(models: Mapping[str, GradeModel]) -> ModelFile:
    """All kinds' models as one file's content."""
    words: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for number, (kind, model) in enumerate(sorted(models.items())):
        parts = {}
        for name, part in (("counted", model.counted), ("blind", model.blind)):
            if part is not None:
                at = f"{number}.{name}."
                parts[name] = {"at": at} | {figure: getattr(part, figure) for figure in FIGURES}
                arrays |= {f"{at}scale.middle": part.scale.middle, f"{at}scale.spread": part.scale.spread}
                arrays |= part.process.arrays(f"{at}process.") | part.novelty.arrays(f"{at}novelty.")
        words[kind] = {"voltages": len(VOLTAGES), "edges": list(EDGES), "parts": parts, "taught": dict(model.taught)}
    return ModelFile(PURPOSE, words, arrays)


def from_file(file: ModelFile) -> dict[str, GradeModel]:
    """The inverse. ModelRefused: what the file holds does not fit together, or has other bands."""
    found = {}
    for kind, words in file.words.items():
        try:
            if words["voltages"] != len(VOLTAGES) or tuple(words["edges"]) != EDGES:
                raise ValueError("other pulses or bands")
            parts = words["parts"]
            counted = _part(file, parts["counted"], len(VOLTAGES) + 1) if "counted" in parts else None
            found[kind] = GradeModel(kind, counted, _part(file, parts["blind"], len(VOLTAGES)), dict(words["taught"]))
        except (KeyError, TypeError, ValueError, IndexError, np.linalg.LinAlgError) as error:
            raise ModelRefused(f"the model for {kind!s:.40} cannot be used ({error!s:.80}): train it anew") from error
    if not found:
        raise ModelRefused("the model file holds no model: train it anew")
    return found


def _part(file: ModelFile, words: Mapping[str, Any], features: int) -> GradePart:
    at = str(words["at"])
    scale = Scale(file.arrays[f"{at}scale.middle"].astype(np.float64), file.arrays[f"{at}scale.spread"].astype(np.float64))
    process, novelty = GaussianProcess.from_arrays(file.arrays, f"{at}process."), Novelty.from_arrays(file.arrays, f"{at}novelty.")
    if {len(scale.middle), len(scale.spread), len(novelty.middle), process.points.shape[1]} != {features}:
        raise ValueError("other features")
    spread, least, farthest, factor = (float(words[figure]) for figure in FIGURES)
    return GradePart(scale, process, novelty, spread, least, farthest, factor)
