"""Newton's method that saddles do not attract, to reach a minimum exactly."""

import math
from typing import NamedTuple

import torch

from lib.checks import at_least, check_function, real
from lib.hessian.dense import gradient, hessian


class Minimum(NamedTuple):
    """Where the search ended: ``theta`` (d,), and H's ``evals`` there, ascending (d,)."""

    theta: torch.Tensor
    gradient_norm: float
    evals: torch.Tensor
    converged: bool


def find_minimum(loss, theta, steps=100, tol=1e-12):
    r"""Descend to a critical point by saddle-free Newton steps (Dauphin et al., 2014).

    .. math:: \theta \leftarrow \theta - a\, |H|^{-1} g,
        \qquad |H| = \sum_i |\lambda_i|\, u_i u_i^\top

    :math:`\lambda_i, u_i` are H's eigenpairs. Newton's own step, with H in place of :math:`|H|`,
    goes uphill wherever :math:`\lambda_i < 0` and so is drawn to saddles. The length a is 1, halved
    until the loss does not rise. Each step takes the whole Hessian and its eigenvectors, of the
    order of d³ operations: for d up to about a thousand.

    That the point reached is a minimum is for ``evals`` to tell: a start with no slope along a
    direction of negative curvature stays on the saddle.

    Args:
        loss: maps theta (d,) to a scalar; twice differentiable.
        theta: start (d,), finite; in float64, or in float32 with a tol that it can reach.
        steps: at most, >= 0.
        tol: converged when the gradient's norm is at most this, > 0.

    Returns:
        A named tuple ``(theta, gradient_norm, evals, converged)``. Where H is zero there is no
        step, and it ends there.

    Raises:
        TypeError, ValueError: as :func:`lib.hessian.gradient`; also where steps or tol is not as
            above, and where the loss or one of its derivatives is not finite on the way.

    >>> rosenbrock = lambda t: (1 - t[0]) ** 2 + 100 * (t[1] - t[0] ** 2) ** 2
    >>> find_minimum(rosenbrock, torch.tensor([-1.0, 1.0], dtype=torch.float64)).theta.round()
    tensor([1., 1.], dtype=torch.float64)
    """
    steps = at_least("steps", steps, 0)
    if not real("tol", tol) > 0:
        raise ValueError(f"tol must be above 0, got {tol}")
    check_function("loss", loss)
    if not torch.is_tensor(theta) or theta.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"theta must be a tensor in float32 or float64, got {theta!r}")
    rounding = 10 * torch.finfo(theta.dtype).eps
    for left in range(steps, -1, -1):
        g, H, here = gradient(loss, theta), hessian(loss, theta, chunk=16), loss(theta)
        if not all(part.isfinite().all() for part in (g, H, here)):
            raise ValueError(f"loss must be finite and twice differentiable at {theta}, got {here}")
        evals, evecs = torch.linalg.eigh(H)
        size = evals.abs().clamp(min=1e-9 * evals.abs().max()) if len(evals) else evals
        step = -evecs @ ((evecs.T @ g) / size)
        if g.norm() <= tol or not left or not step.isfinite().all():
            return Minimum(theta, g.norm().item(), evals, bool(g.norm() <= tol))
        most = here + rounding * here.abs()
        while step.any() and not -math.inf < loss(theta + step) <= most:
            step = step / 2
        theta = theta + step
