"""Optimizers on any input: the step of their formulas, worked out in 80 bits, or an error."""

import math
from fractions import Fraction
from functools import partial
from numbers import Real

import numpy as np
import pytest
import torch
from fuzzing import (
    FLOATS,
    INTEGERS,
    answer,
    anything,
    calm,
    exact,
    fuzz,
    inf,
    junk,
    mostly,
    nan,
    number,
    shapes,
    tensors,
)
from hypothesis import given
from hypothesis import strategies as st

from lib.optimizers import (
    LIMITS,
    Adagrad,
    Adam,
    GradientDescent,
    Momentum,
    OneLine,
    RMSProp,
    trajectory,
)

MAKERS = {
    "lr": (GradientDescent, Momentum, Adagrad, RMSProp, Adam, OneLine),
    "momentum": (Momentum,),
    "alpha": (RMSProp,),
    "eps": (Adagrad, RMSProp, Adam),
}
real = st.sampled_from(
    (0, 1, True, 0.0, -0.0, 0.1, 0.999, 1.0, -1, -1e-300, 5e-324, 1e30, 1e39, inf, nan, 10**30)
) | st.sampled_from((10**400, -(10**400), Fraction(1, 3), np.float32(0.1), np.float64(0.1)))


def fits(value, limit, thetas):
    """Whether a value of a hyper-parameter is in [0, limit), for each of the parameters."""
    limit = min([limit, *(torch.finfo(theta.dtype).max for theta in thetas)])
    if not torch.is_tensor(value):
        return 0 <= number(value) < limit
    if value.is_complex() or len({theta.dtype for theta in thetas}) > 1:
        return False
    rows = {(*theta.shape[:-1], 1) if theta.ndim else () for theta in thetas}
    value = value.detach().to(thetas[0].dtype)
    in_range = value.numel() > 0 and bool(((value >= 0) & (value < limit)).all())
    return in_range and (value.ndim == 0 or rows == {value.shape})


def rates(shape):
    """Tensors of one rate in all or, for a shape (..., d), one for each row."""
    rows = [(), (*shape[:-1], 1)] if shape else [()]
    sizes = st.floats(-0.01, 1) | st.sampled_from((nan, inf, 1.0))
    return tensors((*FLOATS, *INTEGERS), st.sampled_from([*rows, shape]), st.integers(0, 1) | sizes)


@pytest.mark.parametrize("name", MAKERS)
@given(data=st.data())
@fuzz
def test_optimizers_take_what_is_in_range_or_refuse(name, data):
    make = data.draw(st.sampled_from(MAKERS[name]))
    shape, dtype = data.draw(shapes), data.draw(st.sampled_from(FLOATS))
    thetas = [torch.ones(shape, dtype=dtype, requires_grad=True)]
    if data.draw(st.booleans()):
        thetas.append(torch.ones(shape, requires_grad=True))
    value = data.draw(mostly(real | rates(shape), anything))
    settings = {"lr": 0.1, name: value}
    good = fits(value, LIMITS[name], thetas)
    optimizer = answer(lambda: make(thetas, **settings), good, name)
    if optimizer is not None:
        for theta in thetas:
            theta.grad = torch.ones_like(theta)
        optimizer.step()  # takes what the constructor took
        kept = optimizer.param_groups[0][name]
        expected = value.to(dtype) if torch.is_tensor(value) else float(value)
        assert (torch.as_tensor(kept) == torch.as_tensor(expected)).all()


@given(data=st.data())
@fuzz
def test_adam_takes_betas_in_range_or_refuses(data):
    theta = torch.ones(3, requires_grad=True)
    one = mostly(st.floats(0, 0.999), real | rates((3,)), anything)
    betas = data.draw(mostly(st.tuples(one, one), st.lists(one, max_size=3), anything))
    good = isinstance(betas, tuple | list) and len(betas) == 2
    good = good and all(fits(beta, 1, [theta]) for beta in betas)
    optimizer = answer(lambda: Adam([theta], betas=betas), good, "betas")
    if optimizer is not None:
        theta.grad = torch.ones(3)
        optimizer.step()
        assert torch.allclose(theta, torch.tensor(0.999))  # a first step is eta


@pytest.mark.parametrize("make", [GradientDescent, Momentum, Adagrad, RMSProp, Adam])
@given(data=st.data())
@fuzz
def test_optimizers_take_tensors_or_groups_or_refuse(make, data):
    leaf = tensors(FLOATS).map(lambda t: t.detach().requires_grad_())
    leaves = st.lists(leaf, min_size=1, max_size=3)
    group = leaves.map(lambda params: {"params": params})
    params = data.draw(
        mostly(
            leaves | st.lists(group, min_size=1, max_size=2), junk, st.lists(anything, max_size=2)
        )
    )

    def is_leaf(t):
        return torch.is_tensor(t) and t.is_leaf and not t.is_complex()

    good = isinstance(params, list) and len(params) > 0
    good = good and (
        all(map(is_leaf, params)) or all(isinstance(p, dict) and "params" in p for p in params)
    )
    names = ("params", "param_group", "parameter", "Tensor", "iterable")
    optimizer = answer(lambda: make(params, lr=0.1), good, *names)
    if optimizer is not None:
        optimizer.step()  # without a gradient all stay


def formula(make, gs, lr, mean, momentum, alpha, betas, eps):
    """The sum of the steps, from the definitions of m and sigma as sums over all gradients."""
    total = np.zeros_like(gs[0])
    for t in range(len(gs)):
        past = np.stack(gs[: t + 1])
        age = np.arange(t, -1, -1).reshape(-1, *[1] * gs[0].ndim)
        m, sigma = gs[t], 1
        if make is Momentum:
            m = (momentum**age * past).sum(0)
        elif make is Adagrad:
            sigma = np.sqrt((past**2).mean(0) if mean else (past**2).sum(0)) + eps
        elif make is RMSProp:
            weight = (1 - alpha) * alpha**age
            weight[0] = alpha**t
            sigma = np.sqrt((weight * past**2).sum(0)) + eps
        elif make is Adam:
            first, second = ((1 - b) * b**age / (1 - b ** (t + 1)) for b in betas)
            m, sigma = (first * past).sum(0), np.sqrt((second * past**2).sum(0)) + eps
        total -= lr * m / sigma
    return total


@pytest.mark.parametrize("make", [GradientDescent, Momentum, Adagrad, RMSProp, Adam])
@given(data=st.data())
@fuzz
@np.errstate(all="ignore")
def test_optimizers_take_the_steps_of_their_formulas(make, data):
    shape, dtype = data.draw(shapes), data.draw(st.sampled_from((torch.float64, torch.float32)))
    sizes = st.floats(1e-6, 1e6) | st.floats(-1e6, -1e-6) | st.just(0.0)
    gs = data.draw(st.lists(tensors((dtype,), st.just(shape), sizes), min_size=1, max_size=5))
    share = st.floats(0.01, 0.99) | st.just(0.0)
    lr, momentum, alpha, mean = data.draw(st.tuples(st.floats(0, 10), share, share, st.booleans()))
    betas, eps = data.draw(st.tuples(share, share)), data.draw(st.floats(1e-8, 1))
    options = {
        GradientDescent: {},
        Momentum: {"momentum": momentum},
        Adagrad: {"mean": mean, "eps": eps},
        RMSProp: {"alpha": alpha, "eps": eps},
        Adam: {"betas": betas, "eps": eps},
    }[make]
    theta = torch.zeros(shape, dtype=dtype, requires_grad=True)
    optimizer = make([theta], lr=lr, **options)
    for g in gs:
        theta.grad = g.detach().clone()
        optimizer.step()
    exact_gs = [exact(g) for g in gs]
    expected = formula(make, exact_gs, lr, mean, momentum, alpha, betas, eps)
    largest = formula(make, [-np.abs(g) for g in exact_gs], lr, mean, momentum, alpha, betas, eps)
    size = np.abs(largest) * 100
    error = np.abs(exact(theta) - expected)
    assert np.all(error <= 100 * torch.finfo(dtype).eps * size + 100 * torch.finfo(dtype).tiny)


def bowl(theta):
    return theta.square().sum(-1) / 2


def is_start(theta0):
    good = torch.is_tensor(theta0) and theta0.dtype in FLOATS and theta0.ndim in (1, 2)
    return good and theta0.numel() > 0 and bool(theta0.isfinite().all())


def is_factor(value):
    if torch.is_tensor(value):
        return value.dtype in FLOATS and value.shape in ((), (3, 1))
    return isinstance(value, Real) and 0 <= value < inf


LOSSES = {
    "bowl": bowl,
    "slope": lambda theta: theta.sum(-1),
    "of all rows": lambda theta: theta.sum(),
    "of no sum": lambda theta: theta,
    "a float": lambda theta: 1.0,
    "detached": lambda theta: theta.detach().sum(-1),
    "a count": lambda theta: (theta > 0).sum(-1),
    "complex": lambda theta: (1j * theta).sum(-1),
}
not_called = junk.filter(lambda thing: not callable(thing))
ARGUMENTS = {
    "loss": (
        st.sampled_from([*LOSSES.values()]) | not_called,
        lambda loss: loss is LOSSES["bowl"] or loss is LOSSES["slope"],
    ),
    "theta0": (mostly(tensors(FLOATS, st.sampled_from(((3, 2), (2,)))), anything), is_start),
    "optimizer": (
        st.sampled_from((partial(Adam, lr=0.1), partial(torch.optim.SGD, lr=0.1), lambda params: 1))
        | not_called,
        lambda optimizer: isinstance(optimizer, partial),
    ),
    "steps": (
        mostly(st.integers(-2, 4), st.sampled_from((True, np.int64(2), 1.5, nan, "1", None))),
        lambda steps: isinstance(steps, int | np.integer) and steps >= 0,
    ),
    "schedule": (
        mostly(
            st.floats(-1, 2) | real | tensors(shapes=st.sampled_from(((), (3, 1), (2,)))), anything
        )
        .filter(lambda value: not 1e30 < number(value) < inf)  # torch says what overflows
        .map(lambda value: lambda t: value)
        | not_called,
        lambda schedule: schedule is None or (callable(schedule) and is_factor(schedule(0))),
    ),
}


@pytest.mark.parametrize("name", ARGUMENTS)
@given(data=st.data())
@fuzz
def test_trajectory_takes_arguments_that_fit_or_refuses(name, data):
    strategy, good = ARGUMENTS[name]
    arguments = {"loss": bowl, "theta0": torch.ones(3, 2), "steps": 2, "schedule": None}
    arguments |= {"optimizer": partial(GradientDescent, lr=0.5), name: data.draw(strategy)}
    path = answer(lambda: trajectory(**arguments), good(arguments[name]), name)
    if path is not None:
        assert path.shape == (arguments["steps"] + 1, *arguments["theta0"].shape)
        assert torch.equal(path[0], arguments["theta0"])


@given(data=st.data())
@fuzz
def test_trajectory_of_descent_in_a_bowl_shrinks_by_a_product(data):
    theta0 = data.draw(tensors((torch.float64,), st.sampled_from(((2,), (3, 2), (1, 1))), calm))
    eta, steps = data.draw(st.floats(0, 3)), data.draw(st.integers(0, 6))
    if theta0.ndim == 2:
        eta = torch.full((len(theta0), 1), eta).double()
    factors = data.draw(st.lists(st.floats(0, 2), min_size=6, max_size=6))
    descent = partial(GradientDescent, lr=eta)
    path = trajectory(bowl, theta0, descent, steps, factors.__getitem__).numpy()
    for t, theta in enumerate(path):  # theta^t = (1 - eta f(0)) ... (1 - eta f(t-1)) theta^0
        shrunk = math.prod(1 - np.asarray(eta) * factor for factor in factors[:t])
        np.testing.assert_allclose(theta, shrunk * theta0.detach().numpy(), rtol=1e-9, atol=1e-300)
