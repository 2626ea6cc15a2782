"""What kind of critical point is it, and how to leave a saddle."""

from enum import Enum
from typing import NamedTuple

import numpy as np
import torch

from lib.checks import real
from lib.hessian.krylov import as_product
from lib.hessian.lanczos import eigenpairs


class CriticalPoint(Enum):
    """What the signs of the Hessian's eigenvalues say of a point where the gradient is zero."""

    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    SADDLE = "saddle"
    DEGENERATE = "degenerate"


class Shares(NamedTuple):
    """Shares of the eigenvalues above, within and below the tolerance; they sum to 1."""

    positive: float
    zero: float
    negative: float


class Escape(NamedTuple):
    """A unit direction ``u`` with H u = ``eval`` u and ``eval`` < 0."""

    u: torch.Tensor
    eval: float


def classify(evals, tol=1e-6):
    """Kind of a critical point, from the eigenvalues of its Hessian.

    An eigenvalue counts as zero when it is at most ``tol`` times the largest in size. Both signs
    present: SADDLE, whatever zeros there are. One sign and no zero: MINIMUM or MAXIMUM. One sign
    and some zeros, or zeros only: DEGENERATE, second derivatives do not decide.

    The gradient is not looked at: that it is zero is for the caller to know.

    Args:
        evals: the whole spectrum, or both of its ends; tensor, array or list (k,), any order.
        tol: relative to the largest absolute eigenvalue, 0 <= tol < 1. Eigenvalues computed in
            float32 are wrong by about 1e-6 of the largest or more: take 1e-3 for them.

    Returns:
        A :class:`CriticalPoint`.

    Raises:
        TypeError: tol is not a number.
        ValueError: evals is empty, not a vector, not real or not finite, or tol is out of range.

    >>> classify(torch.tensor([-2.0, 2.0])), classify(torch.tensor([0.0, 4.0]))
    (<CriticalPoint.SADDLE: 'saddle'>, <CriticalPoint.DEGENERATE: 'degenerate'>)
    """
    positive, zero, negative = shares(evals, tol)
    if positive and negative:
        return CriticalPoint.SADDLE
    if zero:
        return CriticalPoint.DEGENERATE
    return CriticalPoint.MINIMUM if positive else CriticalPoint.MAXIMUM


def shares(evals, tol=1e-6):
    """Shares of positive, zero and negative eigenvalues.

    Args, Raises: as :func:`classify`; here evals must be the whole spectrum to mean anything.

    Returns:
        A named tuple ``(positive, zero, negative)`` of fractions that sum to 1.

    >>> shares(torch.tensor([-1.0, 1e-9, 0.5, 2.0]))
    Shares(positive=0.5, zero=0.25, negative=0.25)
    """
    evals = _vector(evals)
    if not 0 <= real("tol", tol) < 1:
        raise ValueError(f"tol must be in [0, 1), got {tol}")
    zero = float(tol) * np.abs(evals).max()
    positive, negative = int((evals > zero).sum()), int((evals < -zero).sum())
    n = len(evals)
    return Shares(positive / n, (n - positive - negative) / n, negative / n)


def _vector(evals):
    if torch.is_tensor(evals):
        evals = evals.detach().cpu()
        evals = evals if evals.is_complex() else evals.double()  # NumPy has no bfloat16
    try:
        array = np.asarray(evals)
    except (TypeError, ValueError, RuntimeError):  # of rows that differ in length
        array = np.array(None)
    fits = array.ndim == 1 and len(array) and array.dtype.kind in "biuf"
    if not fits or not np.isfinite(array).all():
        raise ValueError(f"evals must be a finite, real, non-empty vector (k,), got {evals}")
    return array.astype(float)


def escape_direction(H, tol=1e-3):
    r"""The direction in which a saddle falls away fastest, to second order.

    From a point with zero gradient, a step of length :math:`\epsilon` along u changes the loss by
    :math:`\tfrac12 \lambda \epsilon^2` to leading order, with :math:`\lambda < 0` the smallest
    eigenvalue. u and -u do alike there; pick the one that lowers the loss more.

    Args:
        H: a symmetric tensor or array (d, d), SciPy ``LinearOperator``, or ``HessianOperator``.
        tol: as in :func:`lib.hessian.eigenpairs`; an eigenvalue not below -tol times the largest
            in size does not count as negative. 0 < tol < 1.

    Returns:
        A named tuple ``(u, eval)``: unit vector (d,) and its eigenvalue, below 0.

    Raises:
        TypeError, ValueError: as :func:`lib.hessian.eigenpairs`.
        ValueError: no eigenvalue is negative: second derivatives show no way down.
        RuntimeError: the eigenvalue solver did not converge.

    >>> escape_direction(torch.diag(torch.tensor([1.0, -2.0]))).eval
    -2.0
    """
    d = len(as_product(H)[1])
    pairs = eigenpairs(H, k=min(2, d), which="BE", tol=tol)
    if not pairs.converged:
        raise RuntimeError(f"eigenpairs did not converge in {pairs.num_matvecs} products")
    low, high = pairs.evals[0].item(), pairs.evals[-1].item()
    if low >= -tol * max(abs(low), abs(high)):
        raise ValueError(
            f"H has no eigenvalue below -{tol:g} times the largest in size: "
            f"its ends are {low:.3g} and {high:.3g}"
        )
    return Escape(pairs.evecs[:, 0], low)
