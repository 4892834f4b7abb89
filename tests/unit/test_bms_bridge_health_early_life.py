"""Life from the first hundred cycles: the committee, its ceiling, its interval, and files that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bms_bridge.health import DataRefused, early_life
from bms_bridge.health.early_life import MEMBERS, SCALARS, EarlyLifeModel, EarlyLives, ceiling_cycles, read_early_lives, words_about

POINTS = 20


def invented(cells: int, seed: int) -> EarlyLives:
    """Life falls with the variance of ΔQ, which the curve's size tells."""
    random = np.random.default_rng(seed)
    life = 10 ** random.uniform(2.5, 3.3, cells)
    size = 0.3 * (life / 300) ** -1.0 * np.exp(random.normal(0, 0.05, cells))
    curve = -size[:, None] * np.sin(np.linspace(0.1, 3, POINTS))[None, :]
    scalars = np.column_stack(
        [
            np.log10(curve.var(axis=1)),
            np.log10(np.abs(curve.min(axis=1))),
            np.log10(np.abs(curve.mean(axis=1))),
            random.normal(0, 0.1, cells),
            random.normal(-1, 0.1, cells),
            np.full(cells, 1.07),
            1.07 - 0.05 * 300 / life,
        ]
    )
    return EarlyLives(np.array([f"c{n}" for n in range(cells)]), np.full(cells, "train"), scalars, curve, life)


def write(folder: Path, lives: EarlyLives) -> None:
    rows = [",".join(["cell", "split", "cycle_life", *SCALARS])]
    rows += [
        ",".join(map(str, [cell, split, life, *scalars]))
        for cell, split, life, scalars in zip(lives.cells, lives.splits, lives.life_cycles, lives.scalars, strict=True)
    ]
    (folder / "features.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    curves = [",".join(["cell", *(f"dQ_{10 * n}" for n in range(POINTS))])]
    curves += [",".join(map(str, [cell, *curve])) for cell, curve in zip(lives.cells, lives.curves_ah, strict=True)]
    (folder / "curves.csv").write_text("\n".join(curves) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def model() -> EarlyLifeModel:
    return EarlyLifeModel(invented(24, 0))


def test_other_cells_lives_are_told_with_an_interval(model: EarlyLifeModel) -> None:
    others = invented(40, 1)
    life, low, high = model.predict(others)
    assert np.mean(np.abs(life - others.life_cycles) / others.life_cycles) < 0.12
    assert ((low < life) & (life < high)).all()
    assert np.mean((low <= others.life_cycles) & (others.life_cycles <= high)) > 0.75
    assert set(model.members(others)) == set(MEMBERS)


def test_a_straight_line_is_a_ceiling_only_where_capacity_fell() -> None:
    scalars = np.zeros((3, len(SCALARS)))
    scalars[:, 5], scalars[:, 6] = 1.08, (1.079, 0.98, 0.87)
    assert ceiling_cycles(scalars).tolist() == pytest.approx([np.inf, 198.0, 100.0])


def test_the_ceiling_holds_back_an_outlier(model: EarlyLifeModel) -> None:
    others = invented(3, 2)
    others.scalars[0, SCALARS.index("qd_cycle100_Ah")] = 0.95
    life, _, _ = model.predict(others)
    assert life[0] <= ceiling_cycles(others.scalars)[0] * 1.0001 < 170


def test_both_tables_are_joined_by_cell(tmp_path: Path) -> None:
    lives = invented(14, 3)
    write(tmp_path, lives)
    read = read_early_lives(tmp_path)
    np.testing.assert_allclose(read.curves_ah, lives.curves_ah)
    np.testing.assert_allclose(read.scalars, lives.scalars)
    text = (tmp_path / "curves.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "curves.csv").write_text("\n".join(text[:-2]) + "\n", encoding="utf-8")
    assert read_early_lives(tmp_path).notes == ("2 rows left out: without a curve",)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    write(tmp_path, invented(14, 3))
    (tmp_path / "curves.csv").unlink()
    with pytest.raises(DataRefused, match="no table of curves"):
        read_early_lives(tmp_path)
    with pytest.raises(DataRefused, match="at least 12"):
        EarlyLifeModel(invented(5, 0))


@pytest.mark.data
def test_the_published_split_is_met(data_dir: Path) -> None:
    """The variance model's published miss of test1 is 14.7 % (Severson et al.); the committee's must be below 13 %."""
    lives = read_early_lives(data_dir / "battery" / "severson_dq")
    model = EarlyLifeModel(lives.rows(lives.splits == "train"))
    test1 = lives.rows(lives.splits == "test1")
    missed = np.abs(model.predict(test1)[0] - test1.life_cycles) / test1.life_cycles
    assert missed.mean() < 0.13
    alone = model.members(test1)["variance"]
    assert np.mean(np.abs(alone - test1.life_cycles) / test1.life_cycles) == pytest.approx(0.147, abs=0.002)


def test_a_word_about_a_cell_is_not_taught_by_its_own_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_life, "MEMBERS", {"variance": MEMBERS["variance"]})
    known = invented(24, 0)
    said = words_about(known, ["c3", "c7", "somebody else"])
    assert sorted(said) == ["c3", "c7"]
    life, low, high = said["c3"]
    assert low < life < high
    wrong = known.life_cycles.copy()
    wrong[3] = 101.0
    other = words_about(EarlyLives(known.cells, known.splits, known.scalars, known.curves_ah, wrong), ["c3", "c7"])
    assert other == said
    assert words_about(known, ["somebody else"]) == {}
    with pytest.raises(DataRefused, match="too few"):
        words_about(known, [f"c{n}" for n in range(13)])
