"""The ends of a spectrum from products H v alone."""

import warnings
from typing import NamedTuple

import numpy as np
import torch

from lib.checks import as_tensor, integer, real
from lib.hessian.krylov import KrylovSpace, as_product, norm, random_rows
from lib.progress import progress_bar, until_interrupted

MIN_WARM = 10  # products before a pair found from v0 is believed


class Eigenpairs(NamedTuple):
    """``evals`` ascending (k,), ``evecs`` in columns (d, k), ``residuals`` (k,)."""

    evals: torch.Tensor
    evecs: torch.Tensor
    residuals: torch.Tensor
    num_matvecs: int
    converged: bool


def eigenpairs(H, k=1, which="LA", tol=1e-3, max_matvecs=500, v0=None, seed=0, progress=None):
    r"""k extreme eigenpairs of a symmetric H, from products H v alone (Lanczos, 1950).

    One Krylov space with full reorthogonalisation serves both ends of the spectrum. A pair is
    accepted when its residual :math:`\lVert H v - \lambda v \rVert` is at most ``tol`` times the
    largest absolute eigenvalue; some eigenvalue then lies within the residual of the one
    returned, as a rule the outermost one, at a loose ``tol`` now and then its neighbour. Residuals
    are computed from the products made, not estimated, and the search goes on to half the limit,
    where a neighbour is rarer. As many start vectors are used as pairs are wanted at one end, so
    that a multiple eigenvalue comes as often as it should.

    Args:
        H: symmetric tensor or array (d, d), SciPy ``LinearOperator``, or ``HessianOperator``.
        k: number of pairs, 1 <= k <= d.
        which: SciPy's names: "LA" largest, "SA" smallest, "LM" largest in size, "BE" half from
            each end (for odd k one more from the upper).
        tol: as above, 0 < tol < 1. Products in float32 are too coarse for much below 1e-5.
        max_matvecs: products to spend, >= k.
        v0: start vector (d,), such as the eigenvector before the last training steps, or the sum
            of several; a tenth of a random vector is added and at least 10 products are made, so
            that an eigenvector that is not, or no longer, a wanted one leads away from itself; of
            two pairs that nearly tie, v0's may still be taken for the outermost. By default the
            start is random; for "LA" of a ``HessianOperator`` the gradient is added in equal
            parts: it lies mostly along the largest eigenvalues (Gur-Ari, Roberts and Dyer, 2018),
            which spares about a fifth of the products.
        seed: of the random start vectors, an int of 0 or more.
        progress: show a progress bar, which goes away at the end; its time left is the most there
            can be. None shows it where a person looks on, and never where outputs are stored.

    Returns:
        A named tuple ``(evals, evecs, residuals, num_matvecs, converged)``, its tensors on H's
        device, in float64, or float32 where H is. Where ``converged`` is False, the residuals tell
        how far it got. A KeyboardInterrupt, once k products are made, ends the search early, with
        a warning.

    Raises:
        TypeError: H or an argument is of no kind named above.
        ValueError: H is not square, real and (as a matrix) symmetric, H v is not finite, or an
            argument is out of its range.

    >>> eigenpairs(torch.diag(torch.tensor([3.0, 1.0, -2.0])), k=2, which="BE").evals.round()
    tensor([-2.,  3.])
    """
    product, like = as_product(H)
    n = len(like)
    k, max_matvecs = _checked(n, k, which, tol, max_matvecs)
    starts = random_rows(k - k // 2 if which == "BE" else k, like, seed)
    if v0 is not None:
        starts[0] = _start(v0, like) + 0.1 * starts[0] / starts[0].norm()
    elif which == "LA" and hasattr(H, "gradient"):
        starts[0] = _toward(H.gradient(), starts[0])
    enough, most = k if v0 is None else max(k, MIN_WARM), min(n, max_matvecs)
    space, done, converged = KrylovSpace(product, starts, seed + 1), False, False
    agree = getattr(H, "agree", bool)
    bar = progress_bar(most, progress, "products")
    with until_interrupted("eigenpairs", lambda: space.size >= k), bar:
        while not done:
            space.grow()
            bar.update()
            size = space.size
            # A look costs size³, a product at least n: after each one while that is cheap.
            if size == most or (size >= enough and size % (1 + min(size, size**3 // n) // 20) == 0):
                evals, _, residuals = space.ritz()
                at, limit = _positions(evals, k, which), tol * np.abs(evals).max()
                worst = residuals[at].max()
                done = agree(size == most or worst <= limit / 2)
                converged = bool(done and worst <= limit)
                bar.set_postfix_str(f"residual {worst:.1e}, to be {limit / 2:.1e}", refresh=False)
    evals, evecs, residuals = _wanted(space, k, which)
    return Eigenpairs(evals, evecs.T, residuals, space.size, converged)


def sharpness(H, **options):
    """The largest eigenvalue of H, a float; options and errors as of :func:`eigenpairs`.

    It warns where the search did not converge: ask eigenpairs for the residual then.

    >>> sharpness(torch.diag(torch.tensor([3.0, 1.0, -8.0])))
    3.0
    """
    pairs = eigenpairs(H, k=1, which="LA", **options)
    if not pairs.converged:
        left = pairs.residuals.item()
        warnings.warn(f"sharpness did not converge: the residual is {left:.1e}", stacklevel=2)
    return pairs.evals.item()


def _wanted(space, k, which):
    """The wanted Ritz values, unit vectors in rows, and residuals, as tensors."""
    evals, c, residuals = space.ritz()
    at = _positions(evals, k, which)
    evecs = space.combine(c[:, at])
    evals, residuals = (torch.as_tensor(values[at]).to(evecs) for values in (evals, residuals))
    return evals, evecs / evecs.norm(dim=1, keepdim=True), residuals


def _positions(evals, k, which):
    """Where in the ascending evals the k wanted ones stand, ascending."""
    if which == "LM":
        return np.sort(np.argsort(np.abs(evals))[-k:])
    low = {"LA": 0, "SA": k, "BE": k // 2}[which]
    return np.r_[:low, len(evals) - k + low : len(evals)]


def _checked(n, k, which, tol, max_matvecs):
    k, max_matvecs = integer("k", k), integer("max_matvecs", max_matvecs)
    if not 1 <= k <= n:
        raise ValueError(f"k must be between 1 and d = {n}, got {k}")
    if not isinstance(which, str) or which not in ("LA", "SA", "LM", "BE"):
        raise ValueError(f"which must be LA, SA, LM or BE, got {which!r}")
    if not 0 < real("tol", tol) < 1:
        raise ValueError(f"tol must be in (0, 1), got {tol}")
    if max_matvecs < k:
        raise ValueError(f"max_matvecs must be at least k = {k}, got {max_matvecs}")
    return k, max_matvecs


def _toward(g, start):
    """start with as much of the gradient g, which lies mostly along the largest eigenvalues."""
    length = norm(g)
    return start / norm(start) + g / length if length else start


def _start(v0, like):
    try:
        v0 = as_tensor(v0)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise TypeError(f"v0 must be a vector ({len(like)},), got {v0!r}: {error}") from error
    fits = v0.shape == like.shape and not v0.is_complex()
    if not fits or not v0.isfinite().all() or not v0.any():
        raise ValueError(f"v0 must be a finite, nonzero vector ({len(like)},), got {v0}")
    v0 = v0.double() / norm(v0.double())
    return v0.to(like)
