"""A Gaussian process whose old observations say less of now (Bogunovic, Scarlett & Cevher 2016).

Shape suffixes: N observations, M points, D inputs.

    k((x,t), (x',t')) = v · exp(-|x - x'|² / l) · (1 - ε)^(|t - t'| / 2)
    μ(x) = k_N(x)ᵀ (K + σ² I)⁻¹ g          σ²(x) = v - k_N(x)ᵀ (K + σ² I)⁻¹ k_N(x)

v, l, ε and the noise σ² are those of the largest marginal likelihood from one start, so that the same observations
give the same process.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_START = np.log([1.0, 1.0, 0.1, 0.05])
_BOUNDS = [(math.log(low), math.log(high)) for low, high in ((1e-2, 1e2), (1e-2, 1e2), (1e-5, 0.5), (1e-4, 1.0))]


@dataclass(frozen=True)
class Process:
    """What is known: N observations at `x_ND` and times `t_N`, and the kernel's values."""

    x_ND: Array
    t_N: Array
    theta: Array
    """Logarithms of v, l, ε and the noise."""

    def mean(self, g_N: Array, z_MD: Array, now: float) -> Array:
        """μ at M points and one time, if `g_N` was observed."""
        lower_NN = _factor(self.x_ND, self.t_N, self.theta)
        inner_N = np.linalg.solve(lower_NN.T, np.linalg.solve(lower_NN, g_N))
        return np.asarray(self._to(z_MD, now).T @ inner_N)

    def spread(self, z_MD: Array, now: float) -> Array:
        """σ at M points and one time; what was observed does not matter."""
        white_NM = np.linalg.solve(_factor(self.x_ND, self.t_N, self.theta), self._to(z_MD, now))
        return np.asarray(np.sqrt(np.maximum(np.exp(self.theta[0]) - (white_NM**2).sum(axis=0), 0.0)))

    def _to(self, z_MD: Array, now: float) -> Array:
        return kernel(self.x_ND, z_MD, self.t_N, np.full(len(z_MD), now), self.theta)


def kernel(a_ND: Array, b_MD: Array, s_N: Array, t_M: Array, theta: Array) -> Array:
    """k of every pair, [N, M]; the noise is not part of it."""
    v, length, epsilon, _ = np.exp(theta)
    square_NM = ((a_ND[:, None, :] - b_MD[None, :, :]) ** 2).sum(axis=2)
    apart_NM = np.abs(s_N[:, None] - t_M[None, :])
    return np.asarray(v * np.exp(-square_NM / length) * (1 - epsilon) ** (apart_NM / 2))


def cost(theta: Array, x_ND: Array, t_N: Array, g_N: Array) -> float:
    """The negative logarithm of the marginal likelihood, without its constant."""
    lower_NN = _factor(x_ND, t_N, theta)
    white_N = np.linalg.solve(lower_NN, g_N)
    return float(0.5 * white_N @ white_N + np.log(np.diag(lower_NN)).sum())


def fitted(x_ND: Array, t_N: Array, g_N: Array) -> Process:
    """The process that makes `g_N` most likely."""
    from scipy.optimize import minimize

    found = minimize(cost, _START, args=(x_ND, t_N, g_N), method="L-BFGS-B", bounds=_BOUNDS)
    return Process(x_ND, t_N, np.asarray(found.x))


def _factor(x_ND: Array, t_N: Array, theta: Array) -> Array:
    return np.linalg.cholesky(kernel(x_ND, x_ND, t_N, t_N, theta) + np.exp(theta[3]) * np.eye(len(t_N)))
