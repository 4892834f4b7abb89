"""Cycles that are left until a health is reached: P10, P50, P90 for each pack, from what whole lives taught and from its own history.

    Track --particles of the prior, filtered by the history--> curves --> cycles  ┐ mixed, widened until they
          --what it shows at a glance--> trees ------------------------> cycles  ┘ held for lives that were kept apart

The filter always speaks, for a new pack with the prior alone: the fleet's word. Trees join where a history shows a loss and is known
well, and
where lives that reached the health were taught. How much each counts, and how wide P10 to P90 are, was found on lives kept apart; for
packs of
a group that was not taught, on whole groups kept apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bms_bridge.health import ModelRefused
from bms_bridge.health.model_file import ModelFile
from bms_bridge.health.trees import Forest
from bms_bridge.life.crossings import FEATURES, seen_at, shows
from bms_bridge.life.fade import SIZE, Floats, cycles_to, soh_at
from bms_bridge.life.history import Rows, Track, as_rows
from bms_bridge.life.particles import Cloud, filtered, heeded, quantiles
from bms_bridge.life.prior import Population

PURPOSE = "life"
PARTICLES = 200
PACKS_AT_ONCE = 500
MORE_WITH_A_WORD = 25
"""So many more curves are drawn where a word chooses among them: a long life is rare in the prior, and chance must not decide."""
OLD_NEWS = 0.1
"""A row counts less the further its health lies above the last one: its deviation grows by this share of the distance. What was is no
proof of
what comes, and the curve is not the whole truth."""
FAR = 0.05
"""From this loss on a question counts as far: misses of the near ones say little of it."""
LEAST_WIDTH = 0.05
"""Of ln(cycles): nobody knows better."""
UNLIKE = 3.0
"""A history that misses its own curve by so many deviations (root of the mean square) follows none of the taught ones."""
ANY = "any"
VERDICTS = (
    "as the taught lives",
    "another group: wider",
    "unlike what was taught: wider",
    "further than any taught life: the curve alone",
    "reached",
)
TAUGHT, OTHER, STRANGE, BEYOND, REACHED = range(5)


@dataclass(frozen=True, slots=True)
class Trust:
    """``trees``: their share beside the filter (0–1). ``below``, ``above``: P10 and P90 lie so many deviations from P50 (of ln(cycles));
    ``far_…``: where the health that is asked for is at least :data:`FAR` below today's."""

    trees: float
    below: float
    above: float
    far_below: float
    far_above: float

    def widths(self, far: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Below and above, for each question."""
        return np.where(far, self.far_below, self.below), np.where(far, self.far_above, self.above)

    def wider(self, times: float) -> Trust:
        """The same trees, with widths so many times as large."""
        return replace(self, **{name: times * getattr(self, name) for name in ("below", "above", "far_below", "far_above")})

    def at_least(self, other: Trust) -> Trust:
        """The same trees, with widths that are nowhere smaller than another's."""
        names = ("below", "above", "far_below", "far_above")
        return replace(self, **{name: max(getattr(self, name), getattr(other, name)) for name in names})


@dataclass(frozen=True, slots=True)
class LifeModel:
    """Of one kind. ``deepest``: the lowest health that at least three lives reached. ``own`` for taught groups, ``other`` for others,
    ``alone`` where the filter alone speaks.
    ``taught``: figures
    of the teaching, for people."""

    kind: str
    population: Population
    forest: Forest
    deepest: float
    own: Trust
    other: Trust
    alone: Trust
    taught: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Left:
    """[pack, target] cycles from the last row of the history; ``verdict`` as in :data:`VERDICTS`. ``soh_now`` [pack]: the curve's health
    there."""

    p10: Floats
    p50: Floats
    p90: Floats
    verdict: NDArray[np.int64]
    soh_now: Floats


@dataclass(frozen=True, slots=True)
class Said:
    """[pack, target], ln(cycles): what the filter says and its deviation, what the trees say (NaN: nothing)."""

    filter: Floats
    deviation: Floats
    trees: Floats
    miss: Floats
    soh_now: Floats


def clouds(population: Population, tracks: Sequence[Track], *, particles: int = PARTICLES, seed: int = 0) -> tuple[Cloud, Rows]:
    """The curves of each pack after its history, and the rows that were taken of it. A word about its life chooses among the drawn curves
    as long as the history shows nothing at a glance."""
    rng = np.random.default_rng(seed)
    rows = as_rows(tracks)
    last = np.array([track.soh[-1] if len(track.soh) else np.nan for track in tracks])
    deviation = np.hypot(rows.deviation, OLD_NEWS * np.abs(rows.soh - last[:, None]))
    drawn = population.drawn([track.group for track in tracks], particles, rng)
    told = [place for place, track in enumerate(tracks) if track.word is not None and not shows(track)]
    if told:
        words = [word for place in told if (word := tracks[place].word) is not None]
        chance = np.random.default_rng([seed, 1])  # of its own: packs without a word draw what they draw without others' words
        more = population.drawn([tracks[place].group for place in told], MORE_WITH_A_WORD * particles, chance)
        drawn[told] = heeded(more, words, particles, chance)
    return filtered(drawn, rows.cycles, rows.soh, deviation, rng=rng), Rows(rows.cycles, rows.soh, deviation)


def said_of(
    population: Population, forest: Forest | None, tracks: Sequence[Track], targets: Floats, *, particles: int, seed: int = 0
) -> Said:
    """Both opinions, not yet mixed. ``targets`` [pack, target]: the health that is asked for."""
    parts = [
        _said(population, forest, tracks[begin : begin + PACKS_AT_ONCE], targets[begin : begin + PACKS_AT_ONCE], particles, seed)
        for begin in range(0, len(tracks), PACKS_AT_ONCE)
    ]
    return Said(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("filter", "deviation", "trees", "miss", "soh_now")))


def _said(population: Population, forest: Forest | None, tracks: Sequence[Track], targets: Floats, particles: int, seed: int) -> Said:
    cloud, rows = clouds(population, tracks, particles=particles, seed=seed)
    now = np.array([track.cycles[-1] if len(track.cycles) else 0.0 for track in tracks])
    middle, deviation = np.empty(targets.shape), np.empty(targets.shape)
    for column in range(targets.shape[1]):
        begin = np.repeat(now[:, None], particles, axis=1)
        ahead = np.log(np.maximum(cycles_to(cloud.shapes, targets[:, column, None], start=begin) - now[:, None], 1.0))
        low, middle[:, column], high = quantiles(ahead, cloud.weights, (0.1, 0.5, 0.9)).T
        deviation[:, column] = np.maximum((high - low) / 2.563, LEAST_WIDTH)
    best = np.einsum("pk,pkd->pd", cloud.weights, cloud.shapes)
    with np.errstate(invalid="ignore"):
        off = np.square((soh_at(best[:, None, :], rows.cycles) - rows.soh) / rows.deviation)
    there = np.isfinite(off)
    miss = np.sqrt(np.where(there, off, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1))
    soh_now = np.einsum("pk,pk->p", cloud.weights, soh_at(cloud.shapes, now[:, None]))
    trees = np.full(targets.shape, np.nan)
    if forest is not None:
        showing = [place for place, track in enumerate(tracks) if shows(track)]
        if showing:
            seen, line = (
                np.stack(part) for part in zip(*(seen_at(tracks[place], targets[place].tolist()) for place in showing), strict=True)
            )
            more, _ = forest.predict(seen.reshape(-1, FEATURES))
            trees[showing] = line + more.reshape(line.shape)
    return Said(middle, deviation, trees, miss, soh_now)


def mixed(said: Said, share: float | Floats) -> Floats:
    """ln(cycles): the filter's word, and the trees' with their share where they say something."""
    return np.where(np.isfinite(said.trees), (1 - share) * said.filter + share * np.nan_to_num(said.trees), said.filter)


def remaining(model: LifeModel, tracks: Sequence[Track], targets: Sequence[float], *, particles: int = PARTICLES, seed: int = 0) -> Left:
    """Cycles left until each of ``targets`` (shares of nominal). The same seed says the same.

    Widths are of ln(cycles), which say little of a health that is nearly reached: ten cycles, or a thousand. It is reached before one that
    lies :data:`FAR` below today's, so the P90 of that one bounds its P90; as often as that holds, the bound does.
    """
    asked = np.tile(np.asarray(targets, dtype=np.float64), (len(tracks), 1))
    last = np.array([np.median(track.soh[-3:]) if len(track.soh) else np.inf for track in tracks])
    further = np.where(np.isfinite(last), last - FAR, asked.min(axis=1))
    whole = _left(model, tracks, np.column_stack([asked, further]), last, particles=particles, seed=seed)
    own = slice(0, asked.shape[1])
    p10, p50, p90 = (part[:, own] for part in (whole.p10, whole.p50, whole.p90))
    near = asked > further[:, None]
    p90 = np.where(near, np.maximum(np.minimum(p90, whole.p90[:, -1:]), p50), p90)
    p10, p50, p90 = (_deeper_is_later(part, asked) for part in (p10, p50, p90))
    return Left(p10, p50, p90, whole.verdict[:, own], whole.soh_now)


def _left(model: LifeModel, tracks: Sequence[Track], asked: Floats, last: Floats, *, particles: int, seed: int) -> Left:
    """Each question [pack, target] for itself; ``last`` [pack]: health now."""
    said = said_of(model.population, model.forest, tracks, asked, particles=particles, seed=seed)
    other = np.array([track.group not in model.population.groups for track in tracks])
    strange = said.miss > UNLIKE
    loose = (other | strange)[:, None]
    beyond = asked < model.deepest - 1e-9
    share = np.where(beyond, 0.0, np.where(loose, model.other.trees, model.own.trees))
    middle = mixed(said, share)
    far = asked <= last[:, None] - FAR
    quiet = ~np.isfinite(said.trees) | (share == 0)
    other_way = model.other.at_least(model.own).at_least(model.alone)
    widths = zip(model.own.widths(far), model.alone.at_least(model.own).widths(far), other_way.widths(far), strict=True)
    below, above = (np.where(loose | beyond, wide, np.where(quiet, lone, narrow)) * said.deviation for narrow, lone, wide in widths)
    verdict = np.where(strange[:, None], STRANGE, np.where(other[:, None], OTHER, TAUGHT)) + np.zeros(asked.shape, dtype=np.int64)
    verdict = np.where(beyond, BEYOND, verdict)
    over = last[:, None] <= asked
    p10, p50, p90 = (np.where(over, 0.0, np.exp(middle + move)) for move in (-below, 0.0, above))
    return Left(p10, p50, p90, np.where(over, REACHED, verdict), said.soh_now)


def _deeper_is_later(cycles: Floats, asked: Floats) -> Floats:
    """A lower health is never reached before a higher one: widths of their own could say so."""
    order = np.argsort(-asked, axis=1)
    made = np.empty_like(cycles)
    np.put_along_axis(made, order, np.maximum.accumulate(np.take_along_axis(cycles, order, axis=1), axis=1), axis=1)
    return made


def to_file(models: Mapping[str, LifeModel]) -> ModelFile:
    """All kinds' models as one file's content."""
    words: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for number, (kind, model) in enumerate(sorted(models.items())):
        at = f"{number}."
        people = model.population
        words[kind] = {
            "at": at,
            "groups": list(people.groups),
            "deepest": model.deepest,
            "own": asdict(model.own),
            "other": asdict(model.other),
            "alone": asdict(model.alone),
            "taught": dict(model.taught),
        }
        arrays |= {f"{at}{name}": getattr(people, name) for name in ("means", "lives", "spread", "apart")} | model.forest.arrays(
            f"{at}forest."
        )
    return ModelFile(PURPOSE, words, arrays)


def from_file(file: ModelFile) -> dict[str, LifeModel]:
    """The inverse. ModelRefused: what the file holds does not fit together."""
    found = {}
    for kind, words in file.words.items():
        try:
            at = str(words["at"])
            means, lives, spread, apart = (
                np.asarray(file.arrays[f"{at}{name}"], dtype=np.float64) for name in ("means", "lives", "spread", "apart")
            )
            groups = tuple(str(name) for name in words["groups"])
            if (
                means.shape != (len(groups), SIZE)
                or lives.shape != (len(groups),)
                or spread.shape != (SIZE, SIZE)
                or apart.shape[1:] != (SIZE,)
            ):
                raise ValueError("other sizes")
            np.linalg.cholesky(spread)
            if not (len(apart) and lives.min() >= 0 and lives.sum() > 0 and np.isfinite(means).all() and np.isfinite(apart).all()):
                raise ValueError("no lives")
            own, other, alone = (
                Trust(**{name: float(words[key][name]) for name in ("trees", "below", "above", "far_below", "far_above")})
                for key in ("own", "other", "alone")
            )
            forest = Forest.from_arrays(file.arrays, f"{at}forest.", FEATURES)
            found[kind] = LifeModel(
                kind,
                Population(groups, means, lives, spread, apart),
                forest,
                float(words["deepest"]),
                own,
                other,
                alone,
                dict(words["taught"]),
            )
        except (KeyError, TypeError, ValueError, IndexError, np.linalg.LinAlgError) as error:
            raise ModelRefused(f"the model for {kind!s:.40} cannot be used ({error!s:.80}): train it anew") from error
    if not found:
        raise ModelRefused("the model file holds no model: train it anew")
    return found
