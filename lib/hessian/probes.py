"""The trace and the diagonal of a Hessian, estimated from products with random signs."""

from typing import NamedTuple

import numpy as np
import torch

from lib.checks import as_tensor, at_least
from lib.hessian.krylov import as_product, random_rows
from lib.progress import progress_bar, until_interrupted


class Partial:
    """Beside the fields of a named tuple, ``converged``: False where Ctrl-C cut it short."""

    converged = True

    def __new__(cls, *fields, converged=True):
        self = super().__new__(cls, *fields)
        self.converged = converged
        return self


class Trace(Partial, NamedTuple("Trace", [("estimate", float), ("standard_error", float)])):
    """An estimate of the sum of the eigenvalues, and its standard error; ``converged``."""


class Diagonal(
    Partial, NamedTuple("Diagonal", [("estimate", torch.Tensor), ("standard_error", torch.Tensor)])
):
    """An estimate of the diagonal (d,), and its standard error (d,); ``converged``."""


def trace(H, num_probes=30, seed=0, progress=None):
    r"""Trace of H by Hutchinson's estimator (1990).

    .. math:: \operatorname{tr} H = \mathbb{E}\; v^\top H v,
        \qquad v_i = \pm 1 \text{ with equal chances}

    Args:
        H: symmetric tensor or array (d, d), SciPy ``LinearOperator``, or ``HessianOperator``.
        num_probes: random vectors v, one product each, >= 2.
        seed: of the probes, an int of 0 or more.
        progress: as in :func:`lib.hessian.eigenpairs`.

    Returns:
        A named tuple ``(estimate, standard_error)``. A KeyboardInterrupt, once there are two
        probes, ends it with what they give, a warning, and False for its ``converged``.

    Raises:
        TypeError, ValueError: as :func:`lib.hessian.spectral_density`.

    >>> trace(torch.diag(torch.tensor([3.0, 1.0, -2.0])))
    Trace(estimate=2.0, standard_error=0.0)
    """
    product, like = as_product(H)
    count, mean, error = _moments(
        "trace", lambda v: v @ product(v), like, num_probes, seed, progress
    )
    return Trace(mean.item(), error.item(), converged=count == num_probes)


def diagonal(H, num_probes=30, seed=0, progress=None):
    r"""Diagonal of H, of a matrix read off, else estimated (Bekas, Kokiopoulou and Saad, 2007).

    .. math:: H_{ii} = \mathbb{E}\; v_i\, (Hv)_i,
        \qquad v_i = \pm 1 \text{ with equal chances}

    The standard error of an entry is that of its row's other entries,
    :math:`\sqrt{\sum_{j \ne i} H_{ij}^2 / n}` after n probes: mind it, where H is far from
    diagonal it falls below the entries only after very many.

    Args, Raises: as :func:`trace`.

    Returns:
        A named tuple ``(estimate, standard_error)`` of tensors (d,) on H's device, in float64,
        or float32 where H is; interrupted, as a trace.

    >>> diagonal(torch.tensor([[3.0, 1.0], [1.0, -2.0]])).estimate
    tensor([ 3., -2.])
    """
    product, like = as_product(H)
    if isinstance(H, torch.Tensor | np.ndarray):
        at_least("num_probes", num_probes, 2)
        exact = as_tensor(H.diagonal()).to(like).clone()
        if not exact.isfinite().all():
            raise ValueError("H is not finite")
        return Diagonal(exact, torch.zeros_like(exact))
    count, mean, error = _moments(
        "diagonal", lambda v: v * product(v), like, num_probes, seed, progress
    )
    return Diagonal(mean.to(like), error.to(like), converged=count == num_probes)


def _moments(what, sample, like, num_probes, seed, progress):
    """How many samples of a random v were taken, their mean, and its standard error."""
    num_probes = at_least("num_probes", num_probes, 2)
    signs = torch.where(random_rows(num_probes, like, seed) < 0, -1, 1).to(like)
    moments = 0, 0.0, 0.0  # of a running mean (Welford, 1962), so that nothing is stored
    bar = progress_bar(num_probes, progress, "products")
    with until_interrupted(what, lambda: moments[0] >= 2, stacklevel=3), bar:
        for v in signs:
            value = sample(v).double()
            if not value.isfinite().all():
                raise ValueError("H v is not finite")
            count, mean, squares = moments
            step = value - mean
            mean = mean + step / (count + 1)
            moments = count + 1, mean, squares + step * (value - mean)
            bar.update()
    count, mean, squares = moments
    return count, mean, (squares / (count - 1) / count) ** 0.5
