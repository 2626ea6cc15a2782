"""Surfaces on any input: the formula's value, worked out again in 80 bits, or an error."""

import numpy as np
import pytest
import torch
from fuzzing import FLOATS, answer, anything, calm, exact, fuzz, mostly, shapes, tensors
from hypothesis import given
from hypothesis import strategies as st

from lib import surfaces

# Each surface of fixed formula: its number of parameters, the formula in another form, and the
# sum of the sizes of its terms, by which rounding is judged.
FORMULAS = {
    "toy_network": (2, lambda a, b: (a * b - 1) ** 2, lambda a, b: (1 + a * b) ** 2),
    "monkey_saddle": (2, lambda a, b: a * (a**2 - 3 * b**2), lambda a, b: a**3 + 3 * a * b**2),
    "rosenbrock": (
        2,
        lambda a, b: (10 * (a**2 - b)) ** 2 + (a - 1) ** 2,
        lambda a, b: 100 * (a**2 + b) ** 2 + (1 + a) ** 2,
    ),
    "dent": (
        1,
        lambda a: a**2 / 20 - 0.4 / np.exp(2 * (a - 3) ** 2),
        lambda a: 0.05 * a**2 + 0.4 * (1 + (3 + a) ** 2),
    ),
    "plateau": (1, lambda a: a**3 * (1 + a / 4), lambda a: a**3 + a**4 / 4),
}


def close(value, expected, size, biggest, dtype):
    """Each value is right to rounding, unless something on the way to it overflows."""
    value, info = exact(value), torch.finfo(dtype)
    assert value.shape == expected.shape
    right = np.abs(value - expected) <= 30 * info.eps * size + 100 * info.tiny
    assert np.all(right | ~(biggest < info.max))


def points(d):
    return tensors(FLOATS, shapes.map(lambda shape: (*shape, d)))


def are_points(theta, d):
    return torch.is_tensor(theta) and theta.dtype in FLOATS and theta.shape[-1:] == (d,)


@pytest.mark.parametrize("name", FORMULAS)
@given(data=st.data())
@fuzz
@np.errstate(all="ignore")
def test_surfaces_are_their_formulas_or_refuse(name, data):
    d, formula, size = FORMULAS[name]
    theta = data.draw(mostly(points(d), points(d + 1), anything))
    losses = answer(lambda: getattr(surfaces, name)(theta), are_points(theta, d), "theta")
    if losses is not None:
        assert losses.dtype == theta.dtype
        coordinates = np.moveaxis(exact(theta), -1, 0)
        expected, sizes = formula(*coordinates), np.abs(coordinates)
        close(losses, expected, size(*sizes), size(*(1 + sizes)), theta.dtype)


@st.composite
def matrices(draw, d):
    """Square, some of them symmetric, some of those but for a little."""
    A = draw(tensors(shapes=st.just((d, d)), dtypes=(*FLOATS, torch.int64), elements=calm)).detach()
    H = (A + A.mT) * draw(st.sampled_from((1, 1e-9, 1e9)))
    return draw(st.sampled_from((A, H, H + 0.5 * torch.tril(H, -1))))


def is_hessian(H):
    if not torch.is_tensor(H) or H.is_complex() or not H.isfinite().all():
        return False
    return H.ndim == 1 or (H.ndim == 2 and H.shape == H.mT.shape and symmetric(H))


def symmetric(H):
    return np.allclose(exact(H), exact(H).T, rtol=1e-5, atol=0)


@given(data=st.data(), d=st.integers(0, 3))
@fuzz
@np.errstate(all="ignore")
def test_quadratic_is_half_the_product_or_refuses(data, d):
    H = data.draw(mostly(tensors(FLOATS, st.just((d,)), calm) | matrices(d), anything))
    surface = answer(lambda: surfaces.quadratic(H), is_hessian(H), "H")
    if surface is not None:
        d = len(H)
        theta = data.draw(mostly(tensors(FLOATS, st.just((2, d)), calm), anything))
        losses = answer(lambda: surface(theta), are_points(theta, d), "theta")
        if losses is not None:
            H, x = exact(H.to(theta.dtype)), exact(theta)
            H = np.diag(H) if H.ndim == 1 else H
            value = np.einsum("...i,ij,...j", x, H, x) / 2
            size = np.einsum("...i,ij,...j", abs(x), abs(H), abs(x)) / 2
            close(losses, value, size, size, theta.dtype)


@given(data=st.data(), n=st.integers(0, 4), dtype=st.sampled_from((torch.float32, torch.float64)))
@fuzz
@np.errstate(all="ignore")
def test_line_fit_is_a_sum_of_squares_or_refuses(data, n, dtype):
    column = tensors((dtype,), st.just((n,)), calm)
    x, y = (data.draw(mostly(mostly(column, anything), column)) for _ in range(2))
    fits = all(torch.is_tensor(t) and t.dtype in FLOATS and t.ndim == 1 for t in (x, y))
    fits = fits and len(x) == len(y) and x.isfinite().all() and y.isfinite().all()
    surface = answer(lambda: surfaces.line_fit(x, y), fits, "x", "y")
    if surface is not None:
        theta = data.draw(tensors((dtype,), st.just((2, 2)), calm))
        b, w = np.moveaxis(exact(theta), -1, 0)[..., None]
        x, y = exact(x), exact(y)
        value = ((y - b - w * x) ** 2).sum(-1)
        size = ((abs(y) + abs(b) + abs(w * x)) ** 2).sum(-1)
        close(surface(theta), value, size, size, dtype)
