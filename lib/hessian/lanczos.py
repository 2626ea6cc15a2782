"""The ends of a spectrum from products H v alone."""

from typing import NamedTuple

import numpy as np
import torch

from lib.hessian.krylov import KrylovSpace, as_product, norm, random_rows

MIN_WARM = 10  # products before a pair found from v0 is believed


class Eigenpairs(NamedTuple):
    """``evals`` ascending (k,), ``evecs`` in columns (d, k), ``residuals`` (k,)."""

    evals: torch.Tensor
    evecs: torch.Tensor
    residuals: torch.Tensor
    num_matvecs: int
    converged: bool


def eigenpairs(H, k=1, which="LA", tol=1e-3, max_matvecs=500, v0=None, seed=0):
    r"""k extreme eigenpairs of a symmetric H, from products H v alone (Lanczos, 1950).

    One Krylov space with full reorthogonalisation serves both ends of the spectrum. A pair is
    accepted when its residual :math:`\lVert H v - \lambda v \rVert` is at most ``tol`` times the
    largest absolute eigenvalue; some eigenvalue then lies within the residual of the one
    returned, as a rule the outermost one, at a loose ``tol`` now and then its neighbour. The
    reported residuals are recomputed with one product each. As many start vectors are used as
    pairs are wanted at one end, so that a multiple eigenvalue comes as often as it should.

    Args:
        H: symmetric tensor or array (d, d), SciPy ``LinearOperator``, or ``HessianOperator``.
        k: number of pairs, 1 <= k <= d.
        which: SciPy's names: "LA" largest, "SA" smallest, "LM" largest in size, "BE" half from
            each end (for odd k one more from the upper).
        tol: as above, 0 < tol < 1. Products in float32 are too coarse for much below 1e-5.
        max_matvecs: products to spend on the search, >= k.
        v0: start vector (d,), such as the eigenvector before the last training steps; random by
            default. A tenth of a random vector is added and at least 10 products are made, so
            that an eigenvector that is not, or no longer, a wanted one leads away from itself;
            of two pairs that nearly tie, v0's may still be taken for the outermost.
        seed: of the random start vectors.

    Returns:
        A named tuple ``(evals, evecs, residuals, num_matvecs, converged)``, its tensors in H's
        dtype and on its device. Where ``converged`` is False, the residuals tell how far it got.

    Raises:
        TypeError: H is of no kind named above.
        ValueError: H is not square, real and (as a matrix) symmetric, H v is not finite, or an
            argument is out of its range.

    >>> eigenpairs(torch.diag(torch.tensor([3.0, 1.0, -2.0])), k=2, which="BE").evals.round()
    tensor([-2.,  3.])
    """
    product, like = as_product(H)
    n = len(like)
    _check(n, k, which, tol, max_matvecs)
    starts = random_rows(k - k // 2 if which == "BE" else k, like, seed)
    if v0 is not None:
        starts[0] = _start(v0, like) + 0.1 * starts[0] / starts[0].norm()
    enough = k if v0 is None else max(k, MIN_WARM)
    space = KrylovSpace(product, starts, seed + 1)
    while True:
        space.grow()
        last = space.size == min(n, max_matvecs)
        # A look at the Ritz pairs costs size³: at every step first, every tenth of the size later.
        if last or (space.size >= enough and space.size % (1 + space.size // 10) == 0):
            evals, c, residuals = space.ritz()
            at, limit = _positions(evals, k, which), tol * np.abs(evals).max()
            # At half the limit: products are rounded, and a neighbour may converge first.
            if last or (residuals[at] <= limit / 2).all():
                break
    evecs = space.combine(c[:, at])
    evecs /= evecs.norm(dim=1, keepdim=True)
    theta = torch.as_tensor(evals[at]).to(like)
    residuals = [norm(product(v) - x * v) for x, v in zip(theta, evecs, strict=True)]
    residuals = torch.tensor(residuals, dtype=torch.float64).to(like)
    converged = bool((residuals <= limit).all())
    return Eigenpairs(theta, evecs.T, residuals, space.size + k, converged)


def _positions(evals, k, which):
    """Where in the ascending evals the k wanted ones stand, ascending."""
    if which == "LM":
        return np.sort(np.argsort(np.abs(evals))[-k:])
    low = {"LA": 0, "SA": k, "BE": k // 2}[which]
    return np.r_[:low, len(evals) - k + low : len(evals)]


def _check(n, k, which, tol, max_matvecs):
    if not 1 <= k <= n:
        raise ValueError(f"k must be between 1 and d = {n}, got {k}")
    if which not in ("LA", "SA", "LM", "BE"):
        raise ValueError(f"which must be LA, SA, LM or BE, got {which!r}")
    if not 0 < tol < 1:
        raise ValueError(f"tol must be in (0, 1), got {tol}")
    if max_matvecs < k:
        raise ValueError(f"max_matvecs must be at least k = {k}, got {max_matvecs}")


def _start(v0, like):
    v0 = torch.as_tensor(v0).detach().to(like)
    if v0.shape != like.shape or not v0.isfinite().all() or not v0.any():
        raise ValueError(f"v0 must be a finite, nonzero vector ({len(like)},), got {v0}")
    return v0 / v0.norm()
