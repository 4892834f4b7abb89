"""The kernel of largest likelihood for a Gaussian process: the logarithm of the likelihood, its gradient, and the climb.

    points, targets --objective--> −log p(targets | points, kernel), gradient in the kernel's logarithms --L-BFGS-B--> Kernel

The same function as scikit-learn's for the same kernel (a test holds them against one another), about nine times as fast for thirty-two
features: the gradient of all lengths is two products of matrices instead of one array [n, n, d]. It is fast enough to look for a kernel
in every fold. That matters: with a length for each feature, a kernel that was found with the help of the cells kept apart makes those
cells look easier than new ones are.
Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, equations 5.8 and 5.9.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from bms_bridge.health.gauss import Kernel

Floats = NDArray[np.float64]
JITTER = 1e-8
OTHERS = ((1.0, 1e-2, 1e3), (0.1, 1e-4, 1e2), (1.0, 1e-2, 1e2), (0.01, 1e-5, 1.0))
"""Where signal, linear part, root of the offset and noise begin, and between what they may lie; variances in units of the target's."""
LENGTHS = (3.0, 0.3, 300.0)
"""The same of every length."""


def likeliest(points: Floats, targets: Floats, steps: int) -> Kernel:
    """The kernel that ``steps`` steps uphill find. ``points`` [n, d] scaled; ``targets`` [n] with mean 0 and deviation 1."""
    wide = points.shape[1]
    settings = np.array([*OTHERS, *[LENGTHS] * wide])
    found = minimize(
        objective,
        np.log(settings[:, 0]),
        args=(points, targets),
        jac=True,
        method="L-BFGS-B",
        bounds=np.log(settings[:, 1:]),
        options={"maxiter": steps},
    )
    return kernel_of(np.asarray(found.x, dtype=np.float64))


def kernel_of(logarithms: Floats) -> Kernel:
    """``logarithms`` [4 + d]: of signal, linear part, root of the offset, noise, lengths."""
    signal, linear, root, noise = (float(number) for number in np.exp(logarithms[:4]))
    return Kernel(signal, np.exp(logarithms[4:]), linear, root**2, noise)


def objective(logarithms: Floats, points: Floats, targets: Floats) -> tuple[float, Floats]:
    """Minus the logarithm of the likelihood, and its gradient [4 + d]; infinite, and flat, where the covariance has no factor."""
    kernel, count = kernel_of(logarithms), len(targets)
    scaled = points / kernel.lengths
    away = cdist(scaled, scaled) * np.sqrt(3.0)
    near = np.exp(-away)
    matern = kernel.signal * (1.0 + away) * near
    line = kernel.linear * (kernel.offset + points @ points.T)
    covariance = matern + line
    covariance[np.diag_indices(count)] += kernel.noise + JITTER
    try:
        factor = cho_factor(covariance, lower=True)
    except np.linalg.LinAlgError:
        return np.inf, np.zeros_like(logarithms)
    weights = cho_solve(factor, targets)
    value = 0.5 * float(targets @ weights) + float(np.log(np.diag(factor[0])).sum()) + 0.5 * count * np.log(2 * np.pi)
    upon = np.outer(weights, weights) - cho_solve(factor, np.eye(count))
    bent = 3.0 * kernel.signal * upon * near
    lengths = bent.sum(axis=1) @ scaled**2 - np.einsum("ik,ik->k", scaled, bent @ scaled)
    others = (
        0.5 * float(np.sum(upon * matern)),
        0.5 * float(np.sum(upon * line)),
        kernel.linear * kernel.offset * float(upon.sum()),
        0.5 * kernel.noise * float(np.trace(upon)),
    )
    return value, -np.concatenate([others, lengths])
