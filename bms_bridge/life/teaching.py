"""Teaching remaining life from whole lives: the prior, the trees, and on lives kept apart what both are worth.

    tracks --fit_population, trees--> opinions --folds by life: share of the trees, width--> LifeModel.own
                                               --folds by group: the same--> LifeModel.other

Needs scikit-learn (the extra ``analytics``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bms_bridge.health import DataRefused
from bms_bridge.health.conformal import grouped_quantile, grouped_share
from bms_bridge.health.files import Words
from bms_bridge.health.soh_training import grow
from bms_bridge.health.trees import Forest
from bms_bridge.life.crossings import Cuts, Index, cut_lives, seen_at
from bms_bridge.life.fade import Floats
from bms_bridge.life.history import Track
from bms_bridge.life.prior import Population, fit_population
from bms_bridge.life.remaining import ANY, FAR, LifeModel, Said, Trust, mixed, said_of

LEAST_LIVES = 8
LEAST_FADE = 0.03
LIVES_OF_ANY = 120
LEAST_FACTOR = 0.1
SHARES = tuple(step / 10 for step in range(11))
UNKNOWN_GROUP = 2.0
"""Where one group alone was taught: so many times as wide for another one. A judgement: of the kinds with several groups, whole groups
kept apart
needed 1.5 to 5 times the width."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work is put in: ``trees`` of the forest, ``folds`` by life, at most so many ``groups`` kept apart, ``particles`` while
    learning."""

    trees: int = 150
    folds: int = 5
    groups: int = 6
    particles: int = 200


def teach_all(tracks: Sequence[Track], *, effort: Effort | None = None, seed: int = 0) -> dict[str, LifeModel]:
    """One model per kind that has enough lives, and one of all kinds for packs of an unknown one. Raises DataRefused."""
    effort = effort or Effort()
    kinds: dict[str, list[Track]] = {}
    for track in tracks:
        kinds.setdefault(track.kind, []).append(track)
    able = {kind: its for kind, its in sorted(kinds.items()) if len(_faded(its)) >= LEAST_LIVES}
    if not able:
        raise DataRefused(
            f"no kind has {LEAST_LIVES} packs that have lost {LEAST_FADE:.0%} of their capacity: teach from lives that went further"
        )
    models = {kind: teach(kind, its, effort=effort, seed=seed) for kind, its in able.items()}
    if len(able) > 1 and ANY not in models:
        share = max(LIVES_OF_ANY // len(able), LEAST_LIVES)
        pooled = [replace(track, group=f"{kind} {track.group}".strip()) for kind, its in able.items() for track in _spread(its, share)]
        models[ANY] = teach(ANY, pooled, effort=effort, seed=seed, apart=[kind for kind, its in able.items() for _ in _spread(its, share)])
    return models


def teach(
    kind: str, tracks: Sequence[Track], *, effort: Effort | None = None, seed: int = 0, apart: Sequence[str] | None = None
) -> LifeModel:
    """A model of one kind. ``apart``: what is kept apart as a whole for unknown groups, one name for each track; its group by default.
    DataRefused: too few
    lives."""
    effort = effort or Effort()
    named = list(zip(tracks, apart or [track.group for track in tracks], strict=True))
    kept = [(track, name) for track, name in named if len(track.cycles) >= 6 and np.ptp(track.soh) >= LEAST_FADE]
    lives, names = [track for track, _ in kept], np.array([name for _, name in kept], dtype=np.str_)
    if len(lives) < LEAST_LIVES:
        raise DataRefused(
            f"{kind}: {len(lives)} packs that have lost {LEAST_FADE:.0%} of their capacity are too few; {LEAST_LIVES} are needed"
        )
    cuts = cut_lives(lives)
    by_life = _opinions(lives, cuts, _folds(len(lives), effort.folds, seed), effort, seed)
    own, alone = _trust(by_life, cuts), _trust(by_life, cuts, shares=(0.0,))
    groups = _whole_groups(names, effort.groups, seed)
    other = _trust(_opinions(lives, cuts, groups, effort, seed), cuts) if groups else own
    other = (other if groups else own.wider(UNKNOWN_GROUP)).at_least(own)
    ends = np.sort([track.soh.min() for track in lives])
    people = fit_population(lives)
    judged = ~np.isnan(by_life.filter[:, 0])
    said = mixed(by_life, own.trees)[judged, 0]
    truth = np.log(np.maximum(cuts.cycles[judged], 1.0))
    owner = cuts.lives[cuts.which[judged]].astype(np.str_)
    wide = by_life.deviation[judged, 0]
    below, above = own.widths(_far(cuts)[judged])
    figures = {
        "lives": len(lives),
        "groups": len(people.groups),
        "miss_log": float(np.mean(np.abs(said - truth))),
        "p10_to_p90_holds": grouped_share((truth >= said - below * wide) & (truth <= said + above * wide), owner),
    }
    return LifeModel(
        kind,
        people,
        _forest(cuts, np.arange(len(cuts.which)), effort, seed),
        float(ends[min(2, len(ends) - 1)]),
        own,
        other,
        alone,
        figures,
    )


def _faded(tracks: Sequence[Track]) -> list[Track]:
    return [track for track in tracks if len(track.cycles) >= 6 and np.ptp(track.soh) >= LEAST_FADE]


def _spread(tracks: Sequence[Track], most: int) -> list[Track]:
    its = _faded(tracks)
    return [its[place] for place in np.unique(np.linspace(0, len(its) - 1, most).astype(int))]


def _folds(lives: int, folds: int, seed: int) -> list[Index]:
    order = np.random.default_rng(seed).permutation(lives)
    return [np.sort(order[fold::folds]) for fold in range(min(folds, lives))]


def _whole_groups(names: Words, most: int, seed: int) -> list[Index]:
    found = [np.flatnonzero(names == name) for name in sorted(set(names.tolist()))]
    if len(found) < 2:
        return []
    order = np.random.default_rng(seed).permutation(len(found))[:most]
    return [found[place] for place in order if len(names) - len(found[place]) >= LEAST_LIVES // 2]


def _opinions(lives: Sequence[Track], cuts: Cuts, folds: list[Index], effort: Effort, seed: int) -> Said:
    """[question, 1]: of each question what a model says that was not taught its life; NaN where no fold asks."""
    shape = (len(cuts.which), 1)
    made = Said(
        np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape[0], np.nan), np.full(shape[0], np.nan)
    )
    owner = cuts.lives[cuts.which]
    for kept in folds:
        rows = np.flatnonzero(np.isin(owner, kept))
        taught = np.flatnonzero(~np.isin(owner, kept))
        rest = [life for place, life in enumerate(lives) if place not in set(kept.tolist())]
        if not len(rows) or not len(taught) or len(rest) < 2:
            continue
        people: Population = fit_population(rest)
        forest = _forest(cuts, taught, effort, seed)
        for places, which, targets in _asked(cuts, rows):
            said = said_of(people, forest, [cuts.parts[place] for place in which], targets, particles=effort.particles, seed=seed)
            for name in ("filter", "deviation", "trees"):
                getattr(made, name)[places[places >= 0], 0] = getattr(said, name)[places >= 0]
    return made


def _asked(cuts: Cuts, rows: Index) -> Iterator[tuple[Index, Index, Floats]]:
    """All questions to a cut side by side, so that its history is filtered once: places [cut, question] (-1: none), cuts, targets."""
    which = np.unique(cuts.which[rows])
    most = int(np.bincount(cuts.which[rows]).max())
    places = np.full((len(which), most), -1, dtype=np.intp)
    for line, cut in enumerate(which):
        its = rows[cuts.which[rows] == cut]
        places[line, : len(its)] = its
    targets = np.where(places >= 0, cuts.target[places], cuts.target[places[:, :1]])
    yield places, which, targets


def _forest(cuts: Cuts, rows: Index, effort: Effort, seed: int) -> Forest:
    seen, line = _questions(cuts, rows)
    return grow(seen, np.log(np.maximum(cuts.cycles[rows], 1.0)) - line, effort.trees, seed)


def _questions(cuts: Cuts, rows: Index) -> tuple[Floats, Floats]:
    seen, line = [], []
    for row in rows:
        numbers, straight = seen_at(cuts.parts[cuts.which[row]], [float(cuts.target[row])])
        seen.append(numbers[0])
        line.append(straight[0])
    return np.array(seen), np.array(line)


def _trust(said: Said, cuts: Cuts, *, shares: Sequence[float] = SHARES) -> Trust:
    """The share with the least mean miss in cycles, each life counting the same; then the widths that nine of ten lie within, on each
    side."""
    judged = np.flatnonzero(np.isfinite(said.filter[:, 0]))
    owner = cuts.lives[cuts.which[judged]]
    truth = np.maximum(cuts.cycles[judged], 1.0)
    part = Said(said.filter[judged], said.deviation[judged], said.trees[judged], said.miss, said.soh_now)
    best, least = 0.0, np.inf
    for share in shares:
        miss = np.abs(np.exp(mixed(part, float(share))[:, 0]) - truth)
        mean = float(np.mean(np.bincount(owner, weights=miss)[np.unique(owner)] / np.bincount(owner)[np.unique(owner)]))
        if mean < least:
            best, least = float(share), mean
    off = (np.log(truth) - mixed(part, best)[:, 0]) / part.deviation[:, 0]
    names, far = owner.astype(np.str_), _far(cuts)[judged]
    widths = [_width(side, names, rows) for rows in (np.ones(len(far), dtype=np.bool_), far) for side in (-off, off)]
    return Trust(best, *widths)


def _width(off: Floats, names: Words, rows: NDArray[np.bool_]) -> float:
    return max(grouped_quantile(off[rows], names[rows], 0.9), LEAST_FACTOR) if rows.any() else _width(off, names, ~rows)


def _far(cuts: Cuts) -> NDArray[np.bool_]:
    """Of each question whether it goes far."""
    now = np.array([part.soh.min() for part in cuts.parts])
    return np.asarray(cuts.target <= now[cuts.which] - FAR + 1e-3)
