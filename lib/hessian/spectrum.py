"""The density of a spectrum, estimated from random probes."""

import math
from typing import NamedTuple

import numpy as np

from lib.checks import at_least, real
from lib.hessian.krylov import KrylovSpace, as_product, random_rows
from lib.hessian.probes import Partial
from lib.progress import progress_bar, until_interrupted

FIELDS = [(name, np.ndarray) for name in ("grid", "density", "standard_error")]


class SpectralDensity(Partial, NamedTuple("SpectralDensity", FIELDS)):
    """``density`` along ``grid``, and its standard error, arrays (points,); ``converged``."""


def spectral_density(H, num_probes=10, num_steps=80, points=400, width=0.01, seed=0, progress=None):
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
            all one), 1e-9 to 1e9.
        seed: of the probes, an int of 0 or more.
        progress: as in :func:`lib.hessian.eigenpairs`.

    Returns:
        A named tuple ``(grid, density, standard_error)``; the density integrates to 1. A
        KeyboardInterrupt, once two probes have run, ends it with what they give, a warning, and
        False for its ``converged``.

    Raises:
        TypeError: H or an argument is of no kind named above.
        ValueError: H is not square, real and (as a matrix) symmetric, H v is not finite, or an
            argument is out of its range.

    >>> rho = spectral_density(np.diag(1.0 * (np.arange(500) < 200)))
    >>> upper = rho.grid > 0.5
    >>> round(float(rho.density[upper].sum() / rho.density.sum()), 1)
    0.4
    """
    product, like = as_product(H)
    num_probes = at_least("num_probes", num_probes, 2)
    num_steps = at_least("num_steps", num_steps, 1)
    if not 1e-9 <= real("width", width) <= 1e9:
        raise ValueError(f"width must be above 0, got {width}: it takes 1e-9 to 1e9")
    points = at_least("points", points, math.ceil(11 + 1 / width))
    seen = []
    bar = progress_bar(num_probes * num_steps, progress, "products")
    with until_interrupted("spectral_density", lambda: len(seen) >= 2), bar:
        for probe in random_rows(num_probes, like, seed):
            space = KrylovSpace(product, probe[None])
            while space.size < num_steps and not space.closed:
                space.grow()
                bar.update()
            bar.update(num_steps - space.size)
            evals, c, _ = space.ritz()
            seen.append((evals, c[0] ** 2))
    nodes = np.concatenate([x for x, _ in seen])
    low, high = nodes.min(), nodes.max()
    size = max(abs(low), abs(high)) or 1.0
    spread = high - low
    s = width * (spread if spread > 1e-5 * size else size)  # less is rounding
    grid = np.linspace(low - 5 * s, high + 5 * s, points)
    bells = [
        np.exp(-(((grid[:, None] - x) / s) ** 2) / 2) @ w / (s * np.sqrt(2 * np.pi))
        for x, w in seen
    ]
    error = np.std(bells, axis=0, ddof=1) / np.sqrt(len(seen))
    return SpectralDensity(grid, np.mean(bells, axis=0), error, converged=len(seen) == num_probes)
