"""Loss surfaces small enough to draw: each maps points (..., d) to losses (...).

Points are a tensor of floats, else a TypeError is raised; of another width d, a ValueError.
"""

import torch


def toy_network(theta):
    r"""Squared error of the smallest deep network, y = w1 w2 x at x = 1 with label 1.

    .. math:: L(w_1, w_2) = (1 - w_1 w_2)^2

    A saddle at the origin and a curve of minima w1 w2 = 1 (the example of Hung-yi Lee's lectures).

    Args:
        theta: points (w1, w2), shape (..., 2).

    Returns:
        Losses, shape (...).

    >>> toy_network(torch.tensor([[0.0, 0.0], [2.0, 0.5]]))
    tensor([1., 0.])
    """
    w1, w2 = _coordinates(theta, 2)
    return (1 - w1 * w2) ** 2


def monkey_saddle(theta):
    r"""Three valleys and three ridges meeting where the whole Hessian is zero.

    .. math:: L(x, y) = x^3 - 3 x y^2

    Args:
        theta: points (x, y), shape (..., 2).

    Returns:
        Losses, shape (...).

    >>> monkey_saddle(torch.tensor([1.0, 1.0]))
    tensor(-2.)
    """
    x, y = _coordinates(theta, 2)
    return x**3 - 3 * x * y**2


def rosenbrock(theta):
    r"""A curved valley with its one minimum at (1, 1) (Rosenbrock, 1960).

    .. math:: L(x, y) = (1 - x)^2 + 100 (y - x^2)^2

    Args:
        theta: points (x, y), shape (..., 2).

    Returns:
        Losses, shape (...).

    >>> rosenbrock(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    tensor([0., 1.])
    """
    x, y = _coordinates(theta, 2)
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def dent(theta):
    r"""A bowl of one parameter with a dent in its side: a small local minimum on the way down.

    .. math:: L(x) = 0.05 x^2 - 0.4 e^{-2 (x - 3)^2}

    Minima at x = 2.811, where L = 0.023, and at 0, where L = 0 to 7 digits; a ridge at 1.969.

    Args:
        theta: points, shape (..., 1).

    Returns:
        Losses, shape (...).

    >>> dent(torch.tensor([[0.0], [3.0]]))
    tensor([-6.0920e-09,  5.0000e-02])
    """
    (x,) = _coordinates(theta, 1)
    return 0.05 * x**2 - 0.4 * torch.exp(-2 * (x - 3) ** 2)


def plateau(theta):
    r"""A slope of one parameter that levels off at 0 and falls on to its minimum at -3.

    .. math:: L(x) = x^3 + \tfrac14 x^4, \qquad L'(x) = x^2 (3 + x)

    Slope and curvature are both zero at 0, which is no minimum.

    Args:
        theta: points, shape (..., 1).

    Returns:
        Losses, shape (...).

    >>> plateau(torch.tensor([[0.0], [-3.0]]))
    tensor([ 0.0000, -6.7500])
    """
    (x,) = _coordinates(theta, 1)
    return x**3 + x**4 / 4


def quadratic(H):
    r"""The bowl, ridge or saddle whose Hessian is H everywhere.

    .. math:: L(\theta) = \tfrac12\, \theta^\top H \theta

    Args:
        H: symmetric matrix (d, d), or its diagonal (d,), of real numbers.

    Returns:
        A surface, from points (..., d) to losses (...) in the dtype of the points.

    Raises:
        TypeError: H is not a tensor.
        ValueError: H is neither a vector nor a symmetric matrix, or not real and finite.

    >>> quadratic(torch.tensor([2.0, -4.0]))(torch.tensor([1.0, 1.0]))
    tensor(-1.)
    """
    if not isinstance(H, torch.Tensor):
        raise TypeError(f"H must be a tensor, got {type(H).__name__}")
    if H.is_complex() or not H.isfinite().all():
        raise ValueError(f"H must be real and finite, got {H}")
    if H.ndim == 1:
        H = torch.diag(H)
    H = H if H.is_floating_point() else H.double()
    if H.ndim != 2 or H.shape[0] != H.shape[1] or not torch.allclose(H, H.T, atol=0):
        raise ValueError(f"H must be (d,) or a symmetric (d, d), got {H}")

    def loss(theta):
        _coordinates(theta, len(H))
        return 0.5 * ((theta @ H.to(theta)) * theta).sum(-1)

    return loss


def line_fit(x, y):
    r"""Squared error, summed, of the line y = b + w x through given points.

    .. math:: L(b, w) = \sum_n (y_n - b - w x_n)^2

    Args:
        x, y: the points, each of shape (n,), floating and finite.

    Returns:
        A surface, from points (b, w) of shape (..., 2) to losses (...).

    Raises:
        TypeError: x or y is not a tensor of floats.
        ValueError: x and y are not two vectors of one length, or not finite.

    >>> line_fit(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 3.0]))(torch.tensor([1.0, 2.0]))
    tensor(0.)
    """
    for name, values in (("x", x), ("y", y)):
        _check_floats(name, values)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"x and y must be (n,) alike, got {tuple(x.shape)} and {tuple(y.shape)}")
    if not (x.isfinite().all() and y.isfinite().all()):
        raise ValueError(f"x and y must be finite, got {x} and {y}")

    def loss(theta):
        b, w = (part.unsqueeze(-1) for part in _coordinates(theta, 2))
        return ((y - b - w * x) ** 2).sum(-1)

    return loss


def _coordinates(theta, d):
    """The d coordinates of points (..., d), each (...)."""
    _check_floats("theta", theta)
    if theta.shape[-1:] != (d,):
        raise ValueError(f"theta must have shape (..., {d}), got {tuple(theta.shape)}")
    return theta.unbind(-1)


def _check_floats(name, values):
    if not isinstance(values, torch.Tensor) or not values.is_floating_point():
        kind = values.dtype if isinstance(values, torch.Tensor) else type(values).__name__
        raise TypeError(f"{name} must be a tensor of floats, got {kind}")
