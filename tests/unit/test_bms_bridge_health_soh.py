"""State of health from charges: stored numbers predict what scikit-learn did, intervals cover new cells, other batches widen or abstain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_cells import fading_cells
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel

from bms_bridge.health import DataRefused, ModelRefused, soh_training
from bms_bridge.health.charge_table import FEATURES
from bms_bridge.health.conformal import batch_factors, grouped_quantile, grouped_share
from bms_bridge.health.features import comparable, since_new, steadied, thinned
from bms_bridge.health.files import Floats, Words
from bms_bridge.health.gauss import GaussianProcess, Kernel
from bms_bridge.health.likelihood import JITTER, likeliest, objective
from bms_bridge.health.model_file import ModelFile, read_model, write_model
from bms_bridge.health.novelty import Novelty
from bms_bridge.health.soh import PURPOSE, SohModel, Verdict, counted_soh, from_file, mixed, to_file
from bms_bridge.health.soh_training import Effort, grow, train
from bms_bridge.health.trees import Forest

LITTLE = Effort(10, 150, 80, 20, 3, 3, 10, 2)


@pytest.fixture(scope="module")
def model() -> SohModel:
    return train(fading_cells(16, 20, batches=2), effort=LITTLE)


def test_process_from_numbers_says_what_scikit_learn_says() -> None:
    random = np.random.default_rng(1)
    points, asked = random.normal(size=(60, 3)), random.normal(size=(25, 3))
    target = np.sin(points[:, 0]) + points[:, 1]
    lengths = np.array([0.7, 2.0, 9.0])
    shape = ConstantKernel(1.3) * Matern(lengths, nu=1.5) + ConstantKernel(0.4) * DotProduct(0.8) + WhiteKernel(0.02)
    mean, deviation = target.mean(), target.std()
    theirs = GaussianProcessRegressor(shape, optimizer=None, alpha=1e-9).fit(points, (target - mean) / deviation)
    expected, spread = theirs.predict(asked, return_std=True)
    ours = GaussianProcess(Kernel(1.3, lengths, 0.4, 0.64, 0.02), points, target, float(mean), float(deviation))
    said, off = ours.predict(asked)
    np.testing.assert_allclose(said, expected * deviation + mean, atol=1e-5)
    np.testing.assert_allclose(off, spread * deviation, rtol=1e-3)


def test_forest_from_numbers_says_what_scikit_learn_says() -> None:
    random = np.random.default_rng(2)
    points = random.normal(size=(120, 4)).astype(np.float32).astype(np.float64)
    target = points[:, 0] ** 2 + points[:, 1]
    theirs = ExtraTreesRegressor(7, min_samples_leaf=3, max_features=0.5, random_state=5).fit(points, target)
    ours = grow(points, target, 7, 5)
    said, spread = ours.predict(points)
    np.testing.assert_allclose(said, theirs.predict(points), rtol=1e-5, atol=1e-6)
    assert (spread >= 0).all()
    again = Forest.from_arrays(ours.arrays("x."), "x.", 4)
    np.testing.assert_array_equal(again.predict(points)[0], said)


@pytest.mark.parametrize(("name", "value"), [("left", 10**6), ("right", -1), ("feature", 99)])
def test_forest_that_points_outside_of_itself_is_refused(name: str, value: int) -> None:
    random = np.random.default_rng(2)
    arrays = grow(random.normal(size=(40, 4)), random.normal(size=40), 2, 0).arrays("")
    arrays[name] = arrays[name].copy()
    arrays[name][0] = value
    with pytest.raises(ValueError, match=r"fit together|feature"):
        Forest.from_arrays(arrays, "", 4)


def test_every_cell_counts_the_same_in_a_quantile() -> None:
    misses = np.r_[np.full(1000, 0.1), np.linspace(1, 2, 19)]
    groups = np.array(["long"] * 1000 + [f"c{n}" for n in range(19)])
    assert grouped_quantile(misses, groups, 0.9) > 1.8  # a plain quantile would say 0.1
    assert grouped_share(misses < 0.5, groups) == pytest.approx(1 / 20)


def test_too_few_cells_promise_nothing_and_take_the_largest_miss() -> None:
    assert grouped_quantile(np.array([1.0, 2.0, 5.0]), np.array(["a", "b", "c"]), 0.9) == 5.0
    assert grouped_quantile(np.array([]), [], 0.9) == float("inf")


@given(st.integers(0, 10_000))
def test_quantile_covers_the_next_cell_on_average(seed: int) -> None:
    """Exact for one charge a cell: rank ⌈0.9·(n + 1)⌉ of n."""
    misses = np.random.default_rng(seed).random(30)
    assert grouped_quantile(misses, np.arange(30).astype(str), 0.9) == np.sort(misses)[27]


def drawn_cells(random: np.random.Generator, cells: int, scales: tuple[float, ...]) -> tuple[Floats, Words, NDArray[np.int64]]:
    """Misses of ten charges of each of ``cells`` cells of each batch, the cells' names and their batches; each batch has a scale."""
    batch = np.repeat(np.arange(len(scales)), cells)
    own = random.normal(0, 0.8, len(batch))[:, None] + random.normal(0, 0.8, (len(batch), 10))
    names = np.array([f"c{number}" for number in range(len(batch))])
    return np.abs(own * np.array(scales)[batch][:, None]).ravel(), np.repeat(names, 10), np.repeat(batch, 10)


def test_a_batch_whose_cells_are_all_missed_alike_gets_a_wider_interval() -> None:
    """The same promise in the mean, and the worst batch is far nearer to it."""
    random = np.random.default_rng(7)
    scales = (0.5, 0.6, 0.7, 1.0, 2.0)
    new, _, where = drawn_cells(random, 2_000, scales)
    alike, own = [], []
    for _ in range(60):
        misses, cells, batch = drawn_cells(random, 6, scales)
        one, each = grouped_quantile(misses, cells, 0.9), batch_factors(misses, cells, batch, 5, 0.9)
        alike.append([np.mean(new[where == number] <= one) for number in range(5)])
        own.append([np.mean(new[where == number] <= each[number]) for number in range(5)])
    assert 0.88 <= np.mean(own) <= 0.95
    assert np.mean(alike, axis=0)[4] < 0.75
    assert np.mean(own, axis=0).min() > 0.85
    assert np.mean(own, axis=0).max() < 0.97


def test_batches_that_do_not_differ_have_about_one_factor() -> None:
    random = np.random.default_rng(8)
    misses, cells, batch = drawn_cells(random, 300, (1.0, 1.0, 1.0))
    each = batch_factors(misses, cells, batch, 4, 0.9)
    np.testing.assert_allclose(each, grouped_quantile(misses, cells, 0.9), rtol=0.08)
    assert each[3] == pytest.approx(np.median(each), rel=0.08)  # of a batch without a cell: the one of all


def test_where_differences_of_batches_cannot_be_told_all_have_one_factor() -> None:
    misses, cells = np.array([1.0, 2.0, 5.0]), np.array(["a", "b", "c"])
    assert batch_factors(misses, cells, np.zeros(3, dtype=np.int64), 1, 0.9).tolist() == [5.0]
    assert batch_factors(misses, cells, np.arange(3), 3, 0.9).tolist() == [5.0, 5.0, 5.0]
    assert batch_factors(np.zeros(3), cells, np.array([0, 0, 1]), 2, 0.9).tolist() == [0.0, 0.0]
    assert batch_factors(np.array([]), np.array([], dtype=np.str_), np.array([], dtype=np.int64), 2, 0.9).tolist() == [np.inf, np.inf]


def test_features_are_calmed_by_earlier_charges_only() -> None:
    values, cells = np.arange(8.0)[:, None], np.array(["a"] * 5 + ["b"] * 3)
    assert steadied(values, cells, 3)[:, 0].tolist() == [0, 0.5, 1, 2, 3, 5, 5.5, 6]
    later = values.copy()
    later[4] = 99.0
    assert steadied(later, cells, 3)[:4, 0].tolist() == [0, 0.5, 1, 2]
    assert thinned(cells, 2).tolist() == [0, 4, 5, 7]


def test_history_counts_only_where_it_began_new() -> None:
    table = fading_cells(3, 12)
    late = table.rows((table.cells != "cell-01") | (table.cycles > 11)).rows(np.arange(25))
    values = comparable(late)
    wide, new = since_new(values, values, late)
    assert wide.shape == (25, 32)
    assert not new[:7].any()  # the beginning is not known before it is over
    assert {str(cell): bool(new[late.cells == cell][7:].any()) for cell in set(late.cells)} == {
        "cell-00": True,
        "cell-01": False,
        "cell-02": True,
    }


def test_a_beginning_is_the_first_charges_that_there_were_so_far() -> None:
    """Thirty-two of them, none of the future; a table that is cut shorter says the same of what it holds."""
    table = fading_cells(2, 50)
    values = comparable(table)
    wide, new = since_new(values, values, table)
    for row, until in ((7, 8), (20, 21), (31, 32), (49, 32)):
        np.testing.assert_allclose(wide[row, 16:], values[row] - np.median(values[:until], axis=0))
        np.testing.assert_allclose(wide[50 + row, 16:], values[50 + row] - np.median(values[50 : 50 + until], axis=0))
    assert new.sum() == 2 * 43
    short = table.rows(np.r_[np.arange(23), np.arange(50, 59)])
    cut, still = since_new(comparable(short), comparable(short), short)
    np.testing.assert_array_equal(cut[7:23], wide[7:23])
    np.testing.assert_array_equal(cut[-2:], wide[57:59])
    assert still.sum() == 16 + 2


def test_new_cells_of_taught_batches_are_estimated_and_covered(model: SohModel) -> None:
    others = fading_cells(20, 20, batches=2, seed=7)
    said = model.estimate(others)
    usual = said.verdict == Verdict.USUAL
    assert usual.mean() > 0.9
    off = np.abs(said.soh - others.soh)[usual]
    assert off.mean() < 0.012
    inside = ((said.low <= others.soh) & (others.soh <= said.high))[usual]
    assert 0.8 <= grouped_share(inside, others.cells[usual]) <= 1.0
    assert model.grown is not None


def test_an_unknown_batch_gets_the_wider_interval(model: SohModel) -> None:
    others = fading_cells(6, 20, batches=1, seed=8)
    renamed = others.rows(np.arange(len(others)))
    renamed.batches[:] = "batch-9"
    known, unknown = model.estimate(others), model.estimate(renamed)
    both = np.isfinite(known.soh) & np.isfinite(unknown.soh)
    assert (unknown.verdict != Verdict.USUAL).all()
    ratio = (unknown.high - unknown.low)[both] / (known.high - known.low)[both]
    assert np.median(ratio) > 1.0
    assert (ratio > 0.95).mean() > 0.95


def test_where_one_batch_was_taught_another_one_gets_no_estimate() -> None:
    alone = train(fading_cells(8, 20, batches=1), effort=LITTLE)
    others = fading_cells(3, 20, batches=1, seed=9)
    others.batches[:] = "another"
    said = alone.estimate(others)
    assert (said.verdict == Verdict.NONE).all()
    assert np.isnan(said.soh).all()
    assert np.isnan(said.low).all()


def test_a_cell_that_is_mostly_strange_gets_no_estimate_for_its_few_familiar_charges(model: SohModel) -> None:
    strange, usual = fading_cells(2, 20, seed=3, shift=0.8), fading_cells(2, 20, seed=3)
    mostly = np.arange(len(strange)) % 20 < 12
    strange.features[~mostly] = usual.features[~mostly]
    strange.features[20:] = usual.features[20:]  # the other cell is as those that were taught
    said = replace(model, last=1, grown=None).estimate(strange)
    assert np.isfinite(said.guess).all()
    assert (said.verdict[:20] == Verdict.NONE).all()
    assert np.isnan(said.soh[:20]).all()
    assert np.isnan(said.low[:20]).all()
    assert (said.verdict[20:] == Verdict.USUAL).mean() > 0.5


def test_another_chemistry_gets_no_estimate(model: SohModel) -> None:
    said = model.estimate(fading_cells(4, 20, seed=3, shift=0.8))
    assert (said.verdict == Verdict.NONE).mean() > 0.95


def test_distance_is_about_one_for_what_is_usual() -> None:
    scaled = np.random.default_rng(0).normal(size=(400, 5)) @ np.diag([1, 2, 3, 4, 5])
    novelty = Novelty.of(scaled)
    assert 0.8 < np.median(novelty.distance(scaled)) < 1.1
    assert novelty.distance(scaled[:1] + 60)[0] > 5


def test_the_model_survives_its_file(tmp_path: Path, model: SohModel) -> None:
    write_model(tmp_path / "m.npz", to_file({"invented": model}))
    (again,) = from_file(read_model(tmp_path / "m.npz", PURPOSE)).values()
    others = fading_cells(4, 20, seed=5)
    for name in ("soh", "low", "high", "verdict"):
        np.testing.assert_allclose(getattr(again.estimate(others), name), getattr(model.estimate(others), name), rtol=1e-9)
    assert again.taught["cells"] == 16


def test_model_of_other_features_or_without_parts_is_refused(model: SohModel) -> None:
    file = to_file({"invented": model})
    changed = ModelFile(file.purpose, {"invented": file.words["invented"] | {"features": list(FEATURES[:5])}}, file.arrays)
    with pytest.raises(ModelRefused, match="train it anew"):
        from_file(changed)
    with pytest.raises(ModelRefused, match="train it anew"):
        from_file(ModelFile(file.purpose, file.words, {}))
    with pytest.raises(ModelRefused, match="no model"):
        from_file(ModelFile(file.purpose, {}, {}))


def test_model_of_other_beginnings_or_of_shares_that_are_none_is_refused(model: SohModel) -> None:
    file = to_file({"invented": model})
    words = file.words["invented"]
    for changed in (
        {"settled": 8},
        {"parts": words["parts"] | {"plain": words["parts"]["plain"] | {"usual_share": [0.5, 0.5]}}},
        {"parts": words["parts"] | {"plain": words["parts"]["plain"] | {"usual_share": [0.9, 0.9, -0.8]}}},
    ):
        with pytest.raises(ModelRefused, match="train it anew"):
            from_file(ModelFile(file.purpose, {"invented": words | changed}, file.arrays))
    older = ModelFile(file.purpose, {"invented": {name: value for name, value in words.items() if name != "settled"}}, file.arrays)
    with pytest.raises(ModelRefused, match="train it anew"):
        from_file(older)
    for factors in (np.ones(3), np.array([1.0, np.nan]), np.array([1.0, -1.0])):
        wrong = to_file({"invented": model})
        wrong.arrays["0.plain.usual_factors"] = factors
        with pytest.raises(ModelRefused, match="factors of the intervals"):
            from_file(wrong)
    cut = to_file({"invented": model})
    cut.arrays["0.plain.networks.outer"] = cut.arrays["0.plain.networks.outer"][:, :5]
    with pytest.raises(ModelRefused, match="networks do not fit"):
        from_file(cut)


def test_what_has_no_share_is_not_asked() -> None:
    one, other = (np.array([1.0, 2.0]), np.array([0.1, 0.1])), (np.array([3.0, 2.0]), np.array([0.3, 0.1]))
    mean, deviation = mixed([one, None, other], (0.5, 0.0, 0.5))
    assert mean.tolist() == [2.0, 2.0]
    assert deviation[0] == pytest.approx(np.sqrt((0.01 + 0.09) / 2 + 1.0))  # both own deviations, and how far they lie apart
    assert deviation[1] == pytest.approx(0.1)


def test_a_named_chemistry_that_was_not_taught_gets_no_estimate(model: SohModel, tmp_path: Path) -> None:
    others = fading_cells(4, 20, batches=1, seed=8)
    others.batches[:] = "batch-9"
    assert model.chemistries == ("NMC",)
    told = model.estimate(others)
    assert np.isfinite(told.soh).any()
    for name, speaks in (("LFP", False), ("nmc", True), ("", True)):
        said = model.estimate(replace(others, chemistries=np.full(len(others), name)))
        assert np.isfinite(said.soh).any() == speaks
        np.testing.assert_array_equal(said.guess, told.guess)
    write_model(tmp_path / "m.npz", to_file({"invented": model}))
    again = from_file(read_model(tmp_path / "m.npz", PURPOSE))["invented"]
    assert again.chemistries == ("NMC",)
    known = fading_cells(4, 20, batches=2, seed=8)
    named = model.estimate(replace(known, chemistries=np.full(len(known), "LFP")))  # its batch was taught: that is nearer than a word
    np.testing.assert_array_equal(named.soh, model.estimate(known).soh)


def test_a_likelihood_and_its_gradient_are_scikit_learns() -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(40, 3))
    target = np.sin(points[:, 0]) + 0.1 * random.normal(size=40)
    lengths = np.array([0.7, 2.0, 9.0])
    shape = ConstantKernel(1.3) * Matern(lengths, nu=1.5) + ConstantKernel(0.4) * DotProduct(0.8) + WhiteKernel(0.02)
    theirs = GaussianProcessRegressor(shape, optimizer=None, alpha=JITTER).fit(points, target)
    value, gradient = theirs.log_marginal_likelihood(theirs.kernel_.theta, eval_gradient=True)
    ours, slope = objective(np.log([1.3, 0.4, 0.8, 0.02, *lengths]), points, target)
    assert ours == pytest.approx(-value, rel=1e-9)
    np.testing.assert_allclose(slope[[0, 4, 5, 6, 1, 2, 3]], -gradient, rtol=1e-6, atol=1e-8)


def test_the_likeliest_kernel_finds_what_matters() -> None:
    random = np.random.default_rng(4)
    points = random.normal(size=(120, 3))
    target = np.sin(2 * points[:, 0]) + 0.05 * random.normal(size=120)
    kernel = likeliest(points, (target - target.mean()) / target.std(), 60)
    assert kernel.lengths[0] < 0.2 * kernel.lengths[1:].min()
    assert kernel.noise < 0.05


def test_kernels_are_found_without_the_cells_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that saw them makes them look easier than new cells are."""
    seen: list[int] = []

    def watched(points: Floats, targets: Floats, steps: int) -> Kernel:
        seen.append(len(targets))
        return likeliest(points, targets, steps)

    monkeypatch.setattr(soh_training, "likeliest", watched)
    table = fading_cells(8, 12, batches=1)
    train(table, effort=replace(LITTLE, kernel_rows=10_000, folds=4))
    assert seen[:5] == [60, 60, 60, 60, 80]  # four folds of two of eight cells, ten charges each; then all of them


def test_too_few_cells_teach_nothing() -> None:
    with pytest.raises(DataRefused, match="3 cells with 60 measured charges are too few"):
        train(fading_cells(3, 20), effort=Effort(20, 150, 80, 20, 3, 3, 10, 2))


def test_counted_charge_between_rests() -> None:
    soh, low, high = counted_soh(100.0, 0.2, 0.8, nominal_ah=200.0)
    assert soh == pytest.approx(0.8333, abs=1e-3)
    assert low < soh < high
    with pytest.raises(ValueError, match="charge more"):
        counted_soh(10.0, 0.5, 0.6, nominal_ah=200.0)
    with pytest.raises(ValueError, match="in order"):
        counted_soh(10.0, 0.8, 0.5, nominal_ah=200.0)


def test_a_known_batch_helps_where_batches_differ_and_only_there() -> None:
    """Two makes whose charges look the same at healths that differ: nobody can tell who is not told the make."""
    taught, others = fading_cells(12, 20, batches=2), fading_cells(6, 20, batches=2, seed=7)
    for table in (taught, others):
        table.capacity_ah[table.batches == "batch-1"] *= 0.9
    model = train(taught, effort=LITTLE)
    assert model.plain.placed is not None
    said = replace(model, grown=None).estimate(others)
    usual = said.verdict == Verdict.USUAL
    off = np.abs(said.soh - others.soh)[usual].mean()
    blind = replace(model, grown=None, plain=replace(model.plain, placed=None)).estimate(others)
    assert off < 0.75 * np.abs(blind.soh - others.soh)[usual].mean()
    others.batches[:] = "another"
    unknown, still = (replace(model, grown=None, plain=part).estimate(others) for part in (model.plain, replace(model.plain, placed=None)))
    np.testing.assert_array_equal(unknown.guess, still.guess)


def test_estimators_that_know_the_batch_come_back_from_their_file(tmp_path: Path) -> None:
    taught = fading_cells(12, 20, batches=2)
    taught.capacity_ah[taught.batches == "batch-1"] *= 0.9
    model = train(taught, effort=LITTLE)
    write_model(tmp_path / "m.npz", to_file({"one": model}))
    again = from_file(read_model(tmp_path / "m.npz", PURPOSE))["one"]
    np.testing.assert_allclose(again.estimate(taught).soh, model.estimate(taught).soh, atol=1e-6)
    cut = to_file({"one": model})
    del cut.arrays["0.plain.placed.forest.roots"]
    with pytest.raises(ModelRefused):
        from_file(cut)


def test_the_latest_estimate_is_that_of_the_last_charge(model: SohModel) -> None:
    others = fading_cells(5, 20, batches=2, seed=11)
    others.features[:15] = fading_cells(1, 20, seed=3, shift=0.8).features[:15]  # the first cell is strange
    cells, said = model.latest(others)
    whole = model.estimate(others)
    rows = np.flatnonzero(np.r_[others.cells[1:] != others.cells[:-1], True])
    assert cells.tolist() == others.cells[rows].tolist()
    for name in ("soh", "low", "high", "verdict"):
        np.testing.assert_allclose(getattr(said, name), getattr(whole, name)[rows])
    assert np.isnan(said.soh[0])
    assert np.isfinite(said.soh[1:]).any()
