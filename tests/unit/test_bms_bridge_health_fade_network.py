"""The network's gradient is that of its loss, it learns a curve, and the penalty makes a noisy life fall more evenly."""

from __future__ import annotations

import numpy as np
from scipy.optimize import approx_fprime

from bms_bridge.health.fade_network import FadeNetwork, _loss, rises


def test_the_gradient_is_that_of_the_loss() -> None:
    random = np.random.default_rng(1)
    points, target = np.hstack([random.normal(size=(12, 3)), np.ones((12, 1))]), random.normal(size=12)
    weights, pairs = random.normal(size=4 * 5 + 6), np.array([0, 1, 2, 6, 7])
    _, slope = _loss(weights, points, target, pairs, 4.0, 5)
    numeric = approx_fprime(weights, lambda at: _loss(at, points, target, pairs, 4.0, 5)[0], 1e-7)
    np.testing.assert_allclose(slope, numeric, rtol=1e-3, atol=1e-5)


def lives(cells: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Four features, of which the first tells health with noise."""
    random = np.random.default_rng(seed)
    soh = np.tile(np.linspace(1.0, 0.8, 25), cells)
    features = random.normal(size=(len(soh), 4))
    features[:, 0] = (soh - 0.9) / 0.06 + random.normal(0, 0.25, len(soh))
    return features, soh, np.repeat(np.arange(cells).astype(str), 25)


def test_it_learns_and_with_the_penalty_a_life_rises_less() -> None:
    taught, others = lives(8, 1), lives(6, 2)
    plain, physics = (FadeNetwork.fit(*taught, monotone=weight, units=8) for weight in (0.0, 20.0))
    for network in (plain, physics):
        assert np.abs(network.predict(others[0]) - others[1]).mean() < 0.03
    assert rises(physics.predict(taught[0]), taught[2]) < 0.9 * rises(plain.predict(taught[0]), taught[2])
    assert rises(np.linspace(1, 0.8, 25), np.repeat("a", 25)) == 0.0


def test_the_same_seed_makes_the_same_network() -> None:
    taught = lives(3, 3)
    np.testing.assert_array_equal(FadeNetwork.fit(*taught, steps=20, seed=4).inner, FadeNetwork.fit(*taught, steps=20, seed=4).inner)
