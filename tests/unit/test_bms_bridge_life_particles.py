"""The filter: held against a sum over the whole prior, even when there is much history; rows that are missing say nothing."""

from __future__ import annotations

import numpy as np
import pytest
from fake_lives import SPREAD, USUAL

from bms_bridge.life.fade import SIZE, cycles_to, soh_at
from bms_bridge.life.history import Word
from bms_bridge.life.particles import TAIL, filtered, heeded, moved, quantiles


def drawn(packs: int, particles: int, seed: int = 0) -> np.ndarray:
    return np.asarray(USUAL + SPREAD * np.random.default_rng(seed).standard_normal((packs, particles, SIZE)))


def test_it_agrees_with_the_whole_sum() -> None:
    rng = np.random.default_rng(3)
    truth = USUAL + SPREAD * rng.standard_normal(SIZE)
    cycles = np.linspace(50, 600, 12)[None, :]
    soh = soh_at(truth[None, None, :], cycles) + 0.004 * rng.standard_normal(cycles.shape)
    deviation = np.full(cycles.shape, 0.004)
    many = drawn(1, 200_000)[0]
    off = (soh_at(many[:, None, :], cycles) - soh) / deviation
    logs = (-0.5 * (TAIL + 1) * np.log1p(off * off / TAIL)).sum(axis=1)
    weights = np.exp(logs - logs.max())
    exact = quantiles(cycles_to(many, 0.8)[None], (weights / weights.sum())[None], (0.1, 0.5, 0.9))[0]
    cloud = filtered(drawn(1, 2_000, 5), cycles, soh, deviation, rng=rng)
    found = quantiles(cycles_to(cloud.shapes, 0.8), cloud.weights, (0.1, 0.5, 0.9))[0]
    assert found[1] == pytest.approx(exact[1], rel=0.03)
    assert found[2] - found[0] == pytest.approx(exact[2] - exact[0], rel=0.35)


def test_rows_without_a_number_say_nothing() -> None:
    start = drawn(2, 50)
    rows = np.full((2, 3), np.nan)
    rows[1] = 0.95
    cloud = filtered(start, np.where(np.isnan(rows), np.nan, 300.0), rows, np.full((2, 3), 0.01), rng=np.random.default_rng(0))
    assert (cloud.shapes[0] == start[0]).all()
    assert cloud.weights[0] == pytest.approx(1 / 50)
    assert cloud.weights.sum(axis=1) == pytest.approx(1.0)
    assert not (cloud.weights[1] == cloud.weights[0]).all()


def test_one_estimate_far_off_does_not_overrule_the_others() -> None:
    cycles = np.linspace(50, 600, 12)[None, :]
    soh = soh_at(USUAL[None, None, :], cycles)
    wild = soh.copy()
    wild[0, 6] = 0.5
    deviation = np.full(cycles.shape, 0.004)
    middles = []
    for seen in (soh, wild):
        cloud = filtered(drawn(1, 2_000), cycles, seen, deviation, rng=np.random.default_rng(1))
        middles.append(quantiles(cycles_to(cloud.shapes, 0.8), cloud.weights, (0.5,))[0, 0])
    assert middles[1] == pytest.approx(middles[0], rel=0.06)


def test_moving_keeps_mean_and_spread() -> None:
    shapes = drawn(1, 4_000)
    new = moved(shapes, np.full((1, 4_000), 1 / 4_000), np.random.default_rng(2))
    assert new.mean(axis=1) == pytest.approx(shapes.mean(axis=1), abs=0.02)
    assert new.std(axis=1) == pytest.approx(shapes.std(axis=1), rel=0.06)


def test_a_word_about_its_life_chooses_among_the_curves() -> None:
    start, rng = drawn(2, 1_000), np.random.default_rng(0)
    usual = float(np.exp(np.median(np.log(cycles_to(start, 0.8)))))
    chosen = heeded(start, [Word(0.8, 0.75 * usual, 0.05), Word(0.8, 1.3 * usual, 0.05)], 200, rng)
    assert chosen.shape == (2, 200, SIZE)
    lives = np.exp(np.median(np.log(cycles_to(chosen, 0.8)), axis=1))
    assert lives / usual == pytest.approx([0.75, 1.3], rel=0.1)
    broad = heeded(start, [Word(0.8, 0.75 * usual, 5.0)] * 2, 200, rng)
    assert np.exp(np.median(np.log(cycles_to(broad, 0.8)))) == pytest.approx(usual, rel=0.1)
