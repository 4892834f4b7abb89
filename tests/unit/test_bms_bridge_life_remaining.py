"""Remaining life: taught from whole lives, held against lives that were not taught; kept in a file; told what it is worth."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from fake_lives import lives

from bms_bridge.health import DataRefused, ModelRefused
from bms_bridge.health.model_file import ModelFile
from bms_bridge.life.crossings import cut_lives, reached, seen_at, shows
from bms_bridge.life.history import Track
from bms_bridge.life.judging import judged
from bms_bridge.life.prior import fit_population
from bms_bridge.life.remaining import ANY, BEYOND, OTHER, REACHED, STRANGE, TAUGHT, LifeModel, from_file, remaining, to_file
from bms_bridge.life.teaching import Effort, teach, teach_all

QUICK = Effort(trees=10, folds=2, groups=2, particles=60)


@cache
def taught() -> LifeModel:
    return teach("bus", lives(24, every=30), effort=QUICK)


def halfway(track: Track) -> Track:
    return track.until(len(track.cycles) // 2)


def test_other_lives_are_told_better_than_by_their_mean_and_held_by_their_interval() -> None:
    others = lives(20, seed=9)
    found = judged(taught(), others, 0.8)
    assert found is not None
    assert found["lives"] == 20
    assert found["mae"] < 60
    assert 0.6 <= found["coverage"] <= 1.0
    ends = np.array([reached(track, np.array([0.8]))[0] for track in others])
    assert found["mae"] < 0.5 * np.abs(ends - np.median(ends)).mean()


def test_quantiles_are_in_order_and_deeper_is_later() -> None:
    left = remaining(taught(), [halfway(track) for track in lives(6, seed=4)], (0.8, 0.7))
    assert (left.p10 < left.p50).all()
    assert (left.p50 < left.p90).all()
    assert (left.p50[:, 1] > left.p50[:, 0]).all()
    loud = replace(taught(), own=replace(taught().own, far_below=0.1), alone=replace(taught().alone, far_below=50.0, below=50.0))
    wide = remaining(loud, [halfway(track) for track in lives(3, seed=4)], (0.7, 0.8))
    assert (wide.p10[:, 0] >= wide.p10[:, 1]).all()
    assert (left.verdict[:, 0] == TAUGHT).all()
    assert (left.verdict[:, 1] == BEYOND).all()


def test_a_health_that_is_nearly_reached_is_not_called_far_off() -> None:
    """Cycles ahead are a handful there, and a width of their logarithm says anything; what lies deeper is reached later."""
    near = [track.until(int(np.flatnonzero(track.soh > 0.805)[-1])) for track in lives(6, seed=4)]
    trust = taught().own
    loud = replace(taught(), own=replace(trust, above=60.0), alone=replace(taught().alone, above=60.0), deepest=0.5)
    left = remaining(loud, near, (0.8, 0.75))
    assert (left.p50[:, 0] > 0).all()
    assert (left.p90[:, 0] <= remaining(loud, near, (0.75,)).p90[:, 0] * 1.001).all()
    assert (left.p90[:, 0] < 3_000).all()
    assert (left.p90 >= left.p50).all()


def test_a_new_pack_gets_the_fleets_word_and_history_narrows_it() -> None:
    whole = lives(1, seed=5)[0]
    none = Track("new", "bus", "", *(np.empty(0) for _ in range(4)))
    left = remaining(taught(), [none, halfway(whole)], (0.8,))
    assert left.p90[0, 0] / left.p10[0, 0] > 1.3 * left.p90[1, 0] / left.p10[1, 0]
    assert 500 < left.p50[0, 0] < 1500


def test_what_is_reached_is_reached() -> None:
    left = remaining(taught(), lives(2, seed=6), (0.8,))
    assert (left.verdict == REACHED).all()
    assert (left.p90 == 0).all()


def test_another_group_and_a_strange_history_are_wider() -> None:
    model = replace(taught(), other=replace(taught().other, far_below=9.0, far_above=9.0, below=9.0, above=9.0))
    own = halfway(lives(1, seed=5)[0])
    strange = replace(own, soh=own.soh - 0.2 * (np.arange(len(own.soh)) % 2))
    left = remaining(model, [own, replace(own, group="other"), strange], (0.8,))
    assert left.verdict[:, 0].tolist()[:2] == [TAUGHT, OTHER]
    assert left.verdict[2, 0] in (STRANGE, REACHED)
    assert left.p90[1, 0] > 1.2 * left.p90[0, 0]


def test_all_packs_at_once_and_the_same_seed_say_the_same() -> None:
    tracks = [halfway(track) for track in lives(7, seed=8)]
    first, again = (remaining(taught(), tracks, (0.8,)) for _ in range(2))
    assert (first.p50 == again.p50).all()


def test_the_file_holds_all_and_refuses_what_does_not_fit() -> None:
    file = to_file({"bus": taught()})
    tracks = [halfway(track) for track in lives(3, seed=8)]
    kept = from_file(ModelFile(file.purpose, file.words, file.arrays))["bus"]
    assert remaining(kept, tracks, (0.8,)).p50 == pytest.approx(remaining(taught(), tracks, (0.8,)).p50, rel=1e-4)
    for name in ("0.means", "0.spread", "0.forest.feature"):
        with pytest.raises(ModelRefused, match="train it anew"):
            from_file(ModelFile(file.purpose, file.words, {**file.arrays, name: np.zeros((1, 1))}))
    with pytest.raises(ModelRefused, match="no model"):
        from_file(ModelFile(file.purpose, {}, {}))


def test_kinds_have_models_and_one_is_for_any() -> None:
    both = [*lives(8, kind="bus", every=60), *lives(8, kind="van", seed=3, every=60)]
    models = teach_all(both, effort=replace(QUICK, trees=3, particles=30))
    assert sorted(models) == [ANY, "bus", "van"]
    assert len(models[ANY].population.groups) == 2


def test_too_few_lives_are_refused() -> None:
    with pytest.raises(DataRefused, match="are too few"):
        teach("bus", lives(5), effort=QUICK)
    with pytest.raises(DataRefused, match="lost 3%"):
        teach_all([track.until(5) for track in lives(20)], effort=QUICK)


def test_lives_are_cut_where_they_cross_and_not_later() -> None:
    (track,) = lives(1)
    cuts = cut_lives([track], levels=np.array([0.95, 0.9]), targets=[0.8])
    assert len(cuts.parts) == 2
    for part, level in zip(cuts.parts, (0.95, 0.9), strict=True):
        assert part.soh.min() <= level < part.soh[:-1].min()
    assert (cuts.cycles > 0).all()
    seen, line = seen_at(cuts.parts[1], [0.8, 0.7])
    assert np.isfinite(seen).all()
    assert line[1] > line[0]


def test_a_history_known_badly_shows_nothing_at_a_glance() -> None:
    own = halfway(lives(1)[0])
    assert shows(own)
    assert not shows(replace(own, deviation=own.deviation + 0.02))
    assert not shows(own.until(3))


def test_groups_have_means_of_their_own() -> None:
    slow, fast = lives(8, group="a", seed=1), [replace(track, cycles=track.cycles / 3, group="b") for track in lives(8, seed=2)]
    people = fit_population([*slow, *fast])
    assert people.groups == ("a", "b")
    assert people.means[0, 1] - people.means[1, 1] == pytest.approx(np.log(3), abs=0.5)
