"""Gradient, Hessian and Hessian-vector product of a loss written as a function of a flat theta."""

from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from lib.checks import at_least, check_function


def gradient(loss, theta):
    r"""Gradient of a loss at a point.

    .. math:: g_i = \frac{\partial L}{\partial \theta_i}

    Args:
        loss: maps theta (d,) to a scalar.
        theta: point (d,), floating point and finite.

    Returns:
        g, shape (d,), detached.

    Raises:
        TypeError: loss is not a function, theta not a floating-point tensor, or loss(theta) not a
            tensor.
        ValueError: theta is not a finite vector, or loss(theta) not a scalar that is real and a
            number.

    >>> gradient(lambda t: (t**3).sum(), torch.tensor([1.0, 2.0]))
    tensor([ 3., 12.])
    """
    return _gradient_graph(loss, theta)[0].detach()


def hessian(loss, theta, chunk=64):
    r"""The whole Hessian of a loss at a point.

    .. math:: H_{ij} = \frac{\partial^2 L}{\partial \theta_i\, \partial \theta_j}

    One gradient with its graph is kept, and differentiated ``chunk`` rows at a time.

    Args:
        loss: maps theta (d,) to a scalar.
        theta: point (d,), floating point and finite.
        chunk: rows computed together, >= 1: more is faster and takes more memory.

    Returns:
        H, shape (d, d), detached.

    Raises:
        TypeError, ValueError: as :func:`gradient`; also when chunk is not an int of 1 or more.

    >>> hessian(lambda t: t[0] ** 2 * t[1], torch.tensor([1.0, 2.0]))
    tensor([[4., 2.],
            [2., 0.]])
    """
    g, point = _gradient_graph(loss, theta)
    return hessian_rows(g, [point], chunk)


def hvp(loss, theta, v):
    r"""Hessian-vector product H v without forming H.

    .. math:: H v = \frac{d}{d\epsilon} \nabla L(\theta + \epsilon v) \Big|_{\epsilon=0}

    Costs a small constant number of gradients, whatever d is (Pearlmutter, 1994).

    Args:
        loss: maps theta (d,) to a scalar.
        theta: point (d,), floating point and finite.
        v: direction (d,), in theta's dtype.

    Returns:
        H v, shape (d,), detached.

    Raises:
        TypeError, ValueError: as :func:`gradient`; also when v is not shaped as theta.

    >>> hvp(lambda t: (t**3).sum(), torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.0]))
    tensor([ 6., 12.])
    """
    g, point = _gradient_graph(loss, theta)
    if not torch.is_tensor(v):
        raise TypeError(f"v must be a tensor, got {v!r}")
    if v.shape != theta.shape or v.dtype != theta.dtype:
        raise ValueError(
            f"v must be shaped {tuple(theta.shape)} in {theta.dtype} as theta is, "
            f"got {tuple(v.shape)} in {v.dtype}"
        )
    return differentiate(g, [point], v)


def _gradient_graph(loss, theta):
    """The gradient with its graph, and the leaf it may be differentiated by once more."""
    check_function("loss", loss)
    dense = torch.is_tensor(theta) and theta.layout is torch.strided
    if not dense or not theta.is_floating_point():
        raise TypeError(f"theta must be a floating-point tensor, got {theta!r}")
    if theta.ndim != 1 or not theta.isfinite().all():
        raise ValueError(f"theta must be a finite vector (d,), got {theta!r}")
    with graph_mode():
        point = theta.detach().clone().requires_grad_()
        value = loss(point)
        g = flat_gradient(value, [point])
    if value.isnan().any():  # its second derivatives might be 0 all the same
        raise ValueError("the loss must be a number, got NaN")
    return g, point


@contextmanager
def graph_mode():
    """Record a graph that can be differentiated twice, also under no_grad or inference_mode."""
    # Fused attention has no second derivative; the plain kernel has.
    with torch.inference_mode(False), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        yield


def flat_gradient(value, params):
    """Gradient of a scalar with respect to all params as one vector that keeps its graph."""
    if not torch.is_tensor(value):
        raise TypeError(f"the loss must be a tensor, got {value!r}")
    if value.numel() != 1:
        raise ValueError(f"the loss must be a scalar, got shape {tuple(value.shape)}")
    if value.is_complex():
        raise ValueError(f"the loss must be real, got {value.dtype}")
    if not value.requires_grad:  # a constant
        return params[0].new_zeros(sum(p.numel() for p in params))
    grads = torch.autograd.grad(
        value.reshape(()), params, create_graph=True, materialize_grads=True
    )
    return torch.cat([g.reshape(-1) for g in grads])


def differentiate(g, params, v):
    """(d/d theta) of g . v as one vector; g's graph is kept."""
    if not g.requires_grad:  # the loss is linear
        return torch.zeros_like(g)
    parts = torch.autograd.grad(g, params, v, retain_graph=True, materialize_grads=True)
    return torch.cat([p.reshape(-1) for p in parts])


def hessian_rows(g, params, chunk):
    """All rows of the Hessian, ``chunk`` at a time, from the gradient's graph."""
    chunk = min(at_least("chunk", chunk, 1), max(1, len(g)))
    if not g.requires_grad:
        return g.new_zeros(len(g), len(g))
    H = torch.empty(len(g), len(g), dtype=g.dtype, device=g.device)
    for start in range(0, len(g), chunk):
        rows = torch.zeros(min(chunk, len(g) - start), len(g), dtype=g.dtype, device=g.device)
        rows.diagonal(start).fill_(1)
        parts = torch.autograd.grad(
            g, params, rows, is_grads_batched=True, retain_graph=True, materialize_grads=True
        )
        H[start : start + chunk] = torch.cat([p.reshape(len(rows), -1) for p in parts], 1)
    return H
