"""Newton's method that saddles do not attract, to reach a minimum exactly."""

from typing import NamedTuple

import torch

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
        theta: start (d,), finite; float64, unless tol is raised to what float32 can reach.
        steps: at most, >= 0.
        tol: converged when the gradient's norm is at most this, > 0.

    Returns:
        A named tuple ``(theta, gradient_norm, evals, converged)``.

    Raises:
        TypeError, ValueError: as :func:`lib.hessian.gradient`, or steps or tol is out of range.

    >>> rosenbrock = lambda t: (1 - t[0]) ** 2 + 100 * (t[1] - t[0] ** 2) ** 2
    >>> find_minimum(rosenbrock, torch.tensor([-1.0, 1.0], dtype=torch.float64)).theta.round()
    tensor([1., 1.], dtype=torch.float64)
    """
    if steps < 0:
        raise ValueError(f"steps must be at least 0, got {steps}")
    if not tol > 0:
        raise ValueError(f"tol must be above 0, got {tol}")
    rounding = 10 * torch.finfo(theta.dtype).eps
    for left in range(steps, -1, -1):
        g, (evals, evecs) = gradient(loss, theta), torch.linalg.eigh(hessian(loss, theta, chunk=16))
        if g.norm() <= tol or not left:
            return Minimum(theta, g.norm().item(), evals, bool(g.norm() <= tol))
        size = evals.abs().clamp(min=1e-9 * evals.abs().max())
        step = -evecs @ ((evecs.T @ g) / size)
        here = loss(theta)
        while not loss(theta + step) <= here + rounding * here.abs():
            step = step / 2
        theta = theta + step
