"""Slices on any input: the loss of a model put at the point by hand, or an error."""

import operator
from numbers import Integral

import numpy as np
import pytest
import torch
from fuzzing import FLOATS, answer, anything, calm, finite, fuzz, inf, junk, mostly, nan, tensors
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lib.landscape import random_direction, slice_1d, slice_2d
from lib.losses import cross_entropy, mse
from lib.training import mlp

few = settings(fuzz, max_examples=fuzz.max_examples // 2)
D = 9  # parameters of the model
X = torch.tensor([[0.0, 1.0], [1.0, -1.0], [2.0, 0.5]], dtype=torch.float64)
LABEL = torch.tensor([0, 2, 1])
DATA = [(X, LABEL)]
not_called = junk.filter(lambda thing: not callable(thing))


def net(dtype=torch.float64):
    return mlp(2, 3, dtype=dtype)


def is_direction(u, shape=(D,), dtype=torch.float64):
    if isinstance(u, np.ndarray):
        u = torch.tensor(u)
    good = torch.is_tensor(u) and not u.is_complex() and u.shape == shape
    u = u.detach().to(dtype) if good else u
    return bool(good and u.isfinite().all() and u.any())


directions = mostly(
    tensors(FLOATS, st.just((D,)), calm),
    tensors(FLOATS, st.just((D,)), finite),
    tensors(shapes=st.sampled_from(((D,), (D, 1), (3,), ()))),
    anything,
)


@given(
    scale=st.sampled_from((1, 1e-200, 1e200, 0)),
    seed=mostly(st.integers(0, 2**64 - 1), st.sampled_from((-1, 2**64, 0.5, None)), anything),
    avoid=st.none() | directions,
    filters=st.sampled_from(((2, 3), (1, 3), (2, 1))),
)
@fuzz
def test_random_direction_is_as_long_as_each_filter_and_orthogonal_or_refused(
    scale, seed, avoid, filters
):
    model = torch.nn.Linear(*filters, bias=False).double()
    d = filters[0] * filters[1]
    model.weight.data = torch.linspace(1, 2, d).view(filters[1], filters[0]).double() * scale
    if torch.is_tensor(avoid) and avoid.shape == (D,):
        avoid = avoid[:d]
    try:
        seed_fits = 0 <= operator.index(seed) < 2**64
    except TypeError:
        seed_fits = False
    fits = seed_fits and scale > 0 and (avoid is None or is_direction(avoid, (d,)))
    fits = fits and (filters[0] > 1 or avoid is None)  # a single number cannot turn
    assume(
        not fits
        or avoid is None
        or (torch.is_tensor(avoid) and avoid.view(filters[1], -1).any(1).all())
    )
    u = answer(
        lambda: random_direction(model, seed, avoid), fits, "seed", "orthogonal_to", "model must"
    )
    if u is not None:
        rows, weight = u.view_as(model.weight) / scale, model.weight.detach() / scale
        torch.testing.assert_close(rows.norm(dim=1), weight.norm(dim=1))
        if avoid is not None:
            other = avoid.detach().double().view_as(weight)
            other = other / other.abs().amax(1, keepdim=True)
            assert (rows * other).sum(1).abs().max() < 1e-5 * weight.norm(dim=1).max()


MODELS = {
    "mlp": (net, True),
    "frozen": (lambda: net().requires_grad_(False), False),
    "no parameters": (torch.nn.Identity, False),
    "dropout": (lambda: torch.nn.Sequential(net(), torch.nn.Dropout()), False),
    "half": (lambda: net(torch.float16), False),
    "other dtype": (lambda: net(torch.float32), False),
}
LOSSES = {
    "cross-entropy": (cross_entropy, True),
    "mean square": (mse, True),
    "NaN": (lambda output, label: nan * output.sum(), True),
    "vector": (lambda output, label: output, False),
    "number": (lambda output, label: 1.0, False),
    "complex": (lambda output, label: (1j * output).sum(), False),
    "torch's, of pairs": (torch.nn.functional.cosine_similarity, False),
}
SETS = {
    "two batches": (lambda: [*DATA, (X[:1], LABEL[:1])], True),
    "read once": (lambda: iter(DATA), True),
    "a pair": (lambda: DATA[0], False),
    "none": (lambda: [], False),
    "no pair": (lambda: [(X,)], False),
    "no length": (lambda: [(X, 3)], False),
    "other width": (lambda: [(torch.ones(3, 5).double(), LABEL)], False),
    "labels outside": (lambda: [(X, LABEL + 1)], False),
    "text": (lambda: [("ab", "cd")], False),
}
ends = st.tuples(st.floats(-3, 0), st.floats(0.1, 3)) | st.tuples(st.floats(), st.floats())


def are_ends(x):
    try:
        low, high = torch.as_tensor(x, dtype=torch.float64).detach()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return False
    return bool(0 < high - low < inf)


def with_fit(strategy, fits):
    return strategy.map(lambda value: (value, fits(value)))


ARGUMENTS = {
    "model": st.sampled_from(list(MODELS.values())) | junk.map(lambda t: (lambda: t, False)),
    "loss_fn": st.sampled_from(list(LOSSES.values())) | not_called.map(lambda t: (t, False)),
    "data": st.sampled_from(list(SETS.values())) | junk.map(lambda t: (lambda: t, False)),
    "u": with_fit(directions, is_direction),
    "x": with_fit(mostly(ends, tensors(FLOATS, st.just((2,))), anything), are_ends),
    "points": with_fit(
        mostly(st.integers(-1, 4), st.sampled_from((True, 2.0, "3", None, np.int64(2)))),
        lambda v: isinstance(v, Integral) and v >= 2,
    ),
}
NAMES = {
    "model": ("model", "module", "parameters must", "data does not fit"),
    "data": ("data", "label"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
@given(data=st.data())
@few
def test_slice_1d_takes_arguments_that_fit_or_refuses(name, data):
    value, fits = data.draw(ARGUMENTS[name])
    arguments = {"model": net, "loss_fn": cross_entropy, "data": lambda: DATA}
    arguments |= {"u": torch.ones(D), "points": 2, name: value}
    for key in ("model", "data"):
        arguments[key] = arguments[key]()
    model = arguments["model"]
    before = [p.clone() for p in model.parameters()] if isinstance(model, torch.nn.Module) else []
    line = answer(lambda: slice_1d(**arguments), fits, *NAMES.get(name, (name,)))
    assert line is None or line.losses.shape == (arguments["points"],)
    if before:
        assert all(map(torch.equal, before, model.parameters()))


@given(
    u=tensors((torch.float64,), st.just((D,)), st.floats(-2, 2)),
    v=tensors((torch.float64,), st.just((D,)), st.floats(-2, 2)),
    x=st.tuples(st.floats(-2, 0), st.floats(0.5, 2)),
    y=st.tuples(st.floats(-2, 0), st.floats(0.5, 2)),
    scale=st.sampled_from((1, 1e-200)),
)
@fuzz
def test_slice_2d_is_the_loss_of_a_model_put_there_or_refused(u, v, x, y, scale):
    u, v, model, copy = u.detach(), v.detach(), net(), net()
    sizes = u.norm() * v.norm()
    angle = 1 - ((u @ v) / sizes) ** 2 if sizes > 0 else torch.tensor(0.0)
    assume(sizes == 0 or not 1e-11 < angle < 1e-6)
    call = lambda: slice_2d(model, cross_entropy, DATA, scale * u, scale * v, x, y, points=3)  # noqa: E731
    plane = answer(call, angle > 1e-6, "u must be", "v must be", "u and v must")
    if plane is not None:
        theta = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
        for i, j in ((0, 0), (2, 1), (1, 2)):
            point = theta + plane.x[i] * scale * u + plane.y[j] * scale * v
            torch.nn.utils.vector_to_parameters(point, copy.parameters())
            torch.testing.assert_close(plane.losses[j, i], cross_entropy(copy(X), LABEL).detach())
        np.testing.assert_allclose(plane.x, np.linspace(*x, 3))
        np.testing.assert_allclose(plane.y, np.linspace(*y, 3))
