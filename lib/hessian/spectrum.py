"""The density of a spectrum and its sum, estimated from random probes."""

import math
from typing import NamedTuple

import numpy as np
import torch

from lib.hessian.krylov import KrylovSpace, as_product, random_rows


class SpectralDensity(NamedTuple):
    """``density`` of eigenvalues along ``grid``, and its standard error; arrays (points,)."""

    grid: np.ndarray
    density: np.ndarray
    standard_error: np.ndarray


class Trace(NamedTuple):
    """An estimate of the sum of the eigenvalues, and its standard error."""

    estimate: float
    standard_error: float


def spectral_density(H, num_probes=10, num_steps=80, points=400, width=0.01, seed=0):
    r"""Density of the eigenvalues of H by stochastic Lanczos quadrature (Ghorbani et al., 2019).

    .. math:: \rho(x) = \frac1d \sum_i \mathcal{N}(x;\, \lambda_i,\, s^2)

    Every random probe sees the spectrum through a Lanczos run of its own, and their spread gives
    the standard error. Shares of signs cannot be read off it: a bell of width s crosses zero.
    With fewer than about 1 / width steps, a run's own nodes show where the spectrum is dense.

    Args:
        H: symmetric tensor or array (d, d), SciPy ``LinearOperator``, or ``HessianOperator``.
        num_probes: random start vectors, >= 2.
        num_steps: products a probe, >= 1.
        points: of the grid, which reaches 5 s beyond the outermost Ritz values; at least
            11 + 1 / width, so that it resolves a bell.
        width: s, as a fraction of the range of the Ritz values (of their size, where they are
            all one), > 0.
        seed: of the probes.

    Returns:
        A named tuple ``(grid, density, standard_error)``; the density integrates to 1.

    Raises:
        TypeError: H is of no kind named above.
        ValueError: H is not square, real and (as a matrix) symmetric, H v is not finite, or an
            argument is out of its range.

    >>> rho = spectral_density(torch.diag((torch.arange(500) < 200).double()))
    >>> upper = rho.grid > 0.5
    >>> round(float(rho.density[upper].sum() / rho.density.sum()), 1)
    0.4
    """
    product, like = as_product(H)
    _at_least("num_probes", num_probes, 2)
    _at_least("num_steps", num_steps, 1)
    if not 0 < width < np.inf:
        raise ValueError(f"width must be above 0, got {width}")
    _at_least("points", points, math.ceil(11 + 1 / width))
    nodes, weights = [], []
    for probe in random_rows(num_probes, like, seed):
        space = KrylovSpace(product, probe[None])
        while space.size < num_steps and not space.closed:
            space.grow()
        evals, c, _ = space.ritz()
        nodes.append(evals)
        weights.append(c[0] ** 2)
    low, high = np.concatenate(nodes).min(), np.concatenate(nodes).max()
    size = max(abs(low), abs(high)) or 1.0
    spread = high - low
    s = width * (spread if spread > 1e-5 * size else size)  # less is rounding
    grid = np.linspace(low - 5 * s, high + 5 * s, points)
    bells = [
        np.exp(-(((grid[:, None] - x) / s) ** 2) / 2) @ w / (s * np.sqrt(2 * np.pi))
        for x, w in zip(nodes, weights, strict=True)
    ]
    error = np.std(bells, axis=0, ddof=1) / np.sqrt(num_probes)
    return SpectralDensity(grid, np.mean(bells, axis=0), error)


def trace(H, num_probes=30, seed=0):
    r"""Trace of H by Hutchinson's estimator (1990).

    .. math:: \operatorname{tr} H = \mathbb{E}\; v^\top H v,
        \qquad v_i = \pm 1 \text{ with equal chances}

    Args:
        H: symmetric tensor or array (d, d), SciPy ``LinearOperator``, or ``HessianOperator``.
        num_probes: random vectors v, one product each, >= 2.
        seed: of the probes.

    Returns:
        A named tuple ``(estimate, standard_error)`` of floats.

    Raises:
        TypeError, ValueError: as :func:`spectral_density`.

    >>> trace(torch.diag(torch.tensor([3.0, 1.0, -2.0])))
    Trace(estimate=2.0, standard_error=0.0)
    """
    product, like = as_product(H)
    _at_least("num_probes", num_probes, 2)
    probes = torch.where(random_rows(num_probes, like, seed) < 0, -1, 1).to(like)
    values = torch.stack([v @ product(v) for v in probes]).double()
    if not values.isfinite().all():
        raise ValueError("H v is not finite")
    return Trace(values.mean().item(), (values.std() / num_probes**0.5).item())


def _at_least(name, value, low):
    if value < low:
        raise ValueError(f"{name} must be at least {low}, got {value}")
