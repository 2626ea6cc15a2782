"""Saddle-free Newton: where it ends, and what plain Newton would have done."""

import pytest
import torch

from lib.hessian import CriticalPoint, classify, find_minimum, gradient, hessian
from lib.surfaces import quadratic, rosenbrock, toy_network


def point(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_find_minimum_solves_a_quadratic_in_one_step():
    generator = torch.Generator().manual_seed(0)
    A = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    H = A @ A.T + torch.eye(5)
    found = find_minimum(quadratic(H), torch.ones(5, dtype=torch.float64), steps=1)
    assert found.converged
    torch.testing.assert_close(found.theta, torch.zeros(5, dtype=torch.float64))
    torch.testing.assert_close(found.evals, torch.linalg.eigvalsh(H))


@pytest.mark.parametrize("start", [(-1.0, 1.0), (3.0, -2.0), (0.0, 0.0)])
def test_find_minimum_reaches_rosenbrocks_valley_end(start):
    found = find_minimum(rosenbrock, point(*start))
    assert found.converged
    torch.testing.assert_close(found.theta, point(1.0, 1.0))
    assert classify(found.evals) is CriticalPoint.MINIMUM


def test_find_minimum_turns_away_from_a_saddle_that_attracts_newton():
    start = point(0.3, 0.2)  # H has both signs here
    g, H = gradient(toy_network, start), hessian(toy_network, start)
    newton = start - torch.linalg.solve(H, g)
    assert newton.norm() < start.norm(), "Newton's own step goes to the saddle at the origin"
    found = find_minimum(toy_network, start)
    assert toy_network(found.theta) < 1e-20
    assert found.evals[-1] > 0


def test_find_minimum_stays_on_a_saddle_it_starts_on_and_shows_it():
    found = find_minimum(toy_network, point(0.0, 0.0))
    assert found.converged
    assert classify(found.evals) is CriticalPoint.SADDLE


def test_find_minimum_never_raises_the_loss():
    theta, losses = point(-1.2, 2.0), []
    for _ in range(8):
        losses.append(rosenbrock(theta).item())
        theta = find_minimum(rosenbrock, theta, steps=1).theta
    assert losses == sorted(losses, reverse=True)


def test_find_minimum_says_when_its_steps_did_not_suffice():
    found = find_minimum(rosenbrock, point(-1.0, 1.0), steps=2)
    assert not found.converged
    assert found.gradient_norm == gradient(rosenbrock, found.theta).norm().item() > 1e-12


@pytest.mark.parametrize(
    "loss",
    [
        lambda t: t.sum(),  # H is 0: no step
        lambda t: -(t**2).sum(),  # no floor: the loss reaches -infinity
        lambda t: -t.exp().sum(),
        lambda t: torch.where(t > 0.5, t**2, torch.nan).sum(),  # a step leads to where it is none
    ],
    ids=["linear", "parabola upside down", "exponential", "edge"],
)
def test_find_minimum_comes_to_an_end_where_there_is_none(loss):
    found = find_minimum(loss, point(1.0, 2.0))
    assert not found.converged
    assert found.theta.isfinite().all()
    assert loss(found.theta) <= loss(point(1.0, 2.0))


@pytest.mark.parametrize(
    ("loss", "start"),
    [
        (lambda t: torch.nan * t.sum(), (1.0, 2.0)),
        (lambda t: t.sqrt().sum(), (0.0, 1.0)),
        (lambda t: (1 / t).sum(), (0.0, 1.0)),
    ],
    ids=["NaN", "infinite slope", "infinite"],
)
def test_find_minimum_refuses_a_loss_without_finite_derivatives(loss, start):
    with pytest.raises(ValueError, match="loss must be"):
        find_minimum(loss, point(*start))


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", 1.5), ("steps", "2"), ("tol", "0"), ("theta", [1.0]), ("loss", None)],
)
def test_find_minimum_refuses_an_argument_of_another_kind(name, value):
    arguments = {"loss": rosenbrock, "theta": point(0.0, 0.0), name: value}
    with pytest.raises(TypeError, match=f"{name} must be"):
        find_minimum(**arguments)


def test_find_minimum_refuses_a_dtype_without_eigenvalues():
    with pytest.raises(TypeError, match="theta must be a tensor in float32 or float64"):
        find_minimum(rosenbrock, torch.zeros(2, dtype=torch.float16))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": -1}, "steps must be at least 0, got -1"),
        ({"tol": 0.0}, r"tol must be above 0, got 0\.0"),
        ({"tol": float("nan")}, "tol must be above 0, got nan"),
    ],
)
def test_find_minimum_refuses_what_is_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        find_minimum(rosenbrock, point(0.0, 0.0), **arguments)


def test_find_minimum_refuses_a_start_that_is_not_finite():
    with pytest.raises(ValueError, match="theta must be"):
        find_minimum(rosenbrock, point(float("nan"), 0.0))
