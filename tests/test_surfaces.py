import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.surfaces import (
    dent,
    line_fit,
    monkey_saddle,
    plateau,
    quadratic,
    rosenbrock,
    toy_network,
)

# torch's forward mode, which torch.func.hessian runs on, compiles with what it calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

tensor = partial(torch.tensor, dtype=torch.float64)
close = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-12)
law = settings(deadline=None)  # a first call can take a second
numbers = st.floats(-10, 10)
points = st.tuples(numbers, numbers).map(tensor)

# Each surface, and the same formula written once more, for plain numbers.
FORMULAS = {
    "toy_network": (toy_network, lambda w1, w2: (1 - w1 * w2 * 1) ** 2),
    "monkey_saddle": (monkey_saddle, lambda x, y: ((x + 1j * y) ** 3).real),
    "rosenbrock": (rosenbrock, lambda x, y: 100 * (y - x * x) ** 2 + (1 - x) ** 2),
    "quadratic": (quadratic(tensor([[2, 1], [1, -3]])), lambda x, y: x * x + x * y - 1.5 * y * y),
    "line_fit": (
        line_fit(tensor([1, 2]), tensor([3, 5])),
        lambda b, w: (3 - b - w) ** 2 + (5 - b - 2 * w) ** 2,
    ),
}
each = pytest.mark.parametrize(("surface", "formula"), FORMULAS.values(), ids=FORMULAS)


@each
@given(points)
@law
def test_surfaces_are_their_formulas(surface, formula, theta):
    torch.testing.assert_close(
        surface(theta).item(), formula(*theta.tolist()), rtol=1e-9, atol=1e-9
    )


@each
@pytest.mark.parametrize("shape", [(2,), (5, 2), (3, 4, 2), (0, 2)])
def test_surfaces_map_points_to_losses_one_by_one(surface, formula, shape):
    theta = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    losses = surface(theta)
    assert losses.shape == shape[:-1]
    one_by_one = [surface(point) for point in theta.reshape(-1, 2)]
    close(losses.reshape(-1), torch.stack(one_by_one) if one_by_one else torch.zeros(0).double())


@pytest.mark.parametrize("surface", [toy_network, monkey_saddle, rosenbrock])
def test_surfaces_keep_the_dtype_of_the_points(surface):
    assert surface(torch.zeros(2)).dtype == torch.float32
    assert surface(torch.zeros(2).double()).dtype == torch.float64


@given(numbers.filter(lambda w: abs(w) > 0.1))
@law
def test_toy_network_is_zero_along_its_valley(w):
    theta = tensor([w, 1 / w]).requires_grad_()
    loss = toy_network(theta)
    close(loss.item(), 0.0)
    close(torch.autograd.grad(loss, theta)[0], tensor([0, 0]))


@given(points)
@law
def test_monkey_saddle_has_three_valleys_alike(theta):
    # x³ - 3xy² = r³ cos 3a: a third of a turn changes nothing, half a turn the sign.
    third = torch.tensor(2 * torch.pi / 3, dtype=torch.float64)
    turn = torch.stack([third.cos(), -third.sin(), third.sin(), third.cos()]).view(2, 2)
    torch.testing.assert_close(
        monkey_saddle(turn @ theta), monkey_saddle(theta), rtol=1e-9, atol=1e-9
    )
    close(monkey_saddle(-theta), -monkey_saddle(theta))


@given(points)
@law
def test_rosenbrock_is_never_below_its_minimum(theta):
    assert rosenbrock(theta) >= rosenbrock(tensor([1, 1])) == 0


@pytest.mark.parametrize(
    ("surface", "slope"),
    [
        (dent, lambda x: 0.1 * x + 1.6 * (x - 3) * torch.exp(-2 * (x - 3) ** 2)),
        (plateau, lambda x: x**2 * (3 + x)),
    ],
    ids=["dent", "plateau"],
)
@pytest.mark.parametrize("shape", [(1,), (200, 1), (3, 4, 1), (0, 1)])
def test_surfaces_of_one_parameter_have_the_slope_of_their_formula(surface, slope, shape):
    x = torch.linspace(-5, 7, math.prod(shape), dtype=torch.float64).view(shape).requires_grad_()
    losses = surface(x)
    assert losses.shape == shape[:-1]
    close(torch.autograd.grad(losses.sum(), x)[0], slope(x.detach()))


def test_dent_has_two_minima_with_a_ridge_between():
    x = torch.linspace(-1, 7, 8001, dtype=torch.float64)
    fall = dent(x[:, None]).diff() < 0
    turns = x[1:-1][fall[1:] != fall[:-1]]
    assert torch.allclose(turns, tensor([0, 1.969, 2.811]), atol=0.001)
    assert dent(turns[[0]]) < dent(turns[[2]]) < dent(turns[[1]])
    close(dent(tensor([3])), tensor(0.05))


def test_plateau_is_flat_at_zero_and_lowest_at_minus_three():
    x = torch.linspace(-5, 2, 701, dtype=torch.float64)
    close(x[plateau(x[:, None]).argmin()], tensor(-3))
    close(torch.func.grad(plateau)(tensor([0])), tensor([0]))
    close(torch.func.hessian(plateau)(tensor([0])), tensor([[0]]))
    close(plateau(tensor([-3])), tensor(-6.75))


def test_quadratic_has_hessian_h_everywhere():
    A = torch.randn(4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    H = A + A.T
    theta = torch.arange(4.0, dtype=torch.float64)
    close(torch.func.grad(quadratic(H))(theta), H @ theta)
    close(torch.func.hessian(quadratic(H))(theta), H)


def test_quadratic_takes_a_diagonal():
    theta = tensor([1, 2, 3])
    close(quadratic(tensor([2, 4, -2]))(theta), quadratic(torch.diag(tensor([2, 4, -2])))(theta))


@pytest.mark.parametrize(
    "H",
    [torch.ones(()), torch.ones(2, 3), torch.ones(2, 2, 2), tensor([[0, 1], [0, 0]])],
    ids=["number", "not square", "three axes", "not symmetric"],
)
def test_quadratic_refuses_what_is_no_hessian(H):
    with pytest.raises(ValueError, match=r"H must be \(d,\) or a symmetric \(d, d\), got"):
        quadratic(H)


def test_quadratic_refuses_a_small_matrix_that_is_not_symmetric():
    with pytest.raises(ValueError, match="H must be"):
        quadratic(1e-9 * tensor([[0, 1], [0, 0]]))


@pytest.mark.parametrize(
    "H", [[1.0, 2.0], tensor([1, math.nan]), tensor([1, math.inf]), 1j * tensor(1)]
)
def test_quadratic_refuses_what_is_not_real_and_finite(H):
    with pytest.raises((TypeError, ValueError), match="H must be"):
        quadratic(H)


def test_line_fit_is_the_sum_not_the_mean_of_squares():
    loss = line_fit(tensor([0, 0, 0]), tensor([1, 1, 1]))
    close(loss(tensor([0, 7])), tensor(3))


def test_line_fit_is_least_where_least_squares_says():
    random = torch.Generator().manual_seed(2)
    x, y = torch.randn(2, 20, generator=random, dtype=torch.float64)
    design = torch.stack([torch.ones_like(x), x], dim=1)
    best = torch.linalg.lstsq(design, y).solution
    close(torch.func.grad(line_fit(x, y))(best), tensor([0, 0]))
    close(line_fit(x, y)(best), ((design @ best - y) ** 2).sum())


@pytest.mark.parametrize(
    ("x", "y"),
    [(torch.zeros(3), torch.zeros(4)), (torch.zeros(3, 1), torch.zeros(3, 1))],
    ids=["lengths", "axes"],
)
def test_line_fit_refuses_points_that_do_not_pair_up(x, y):
    with pytest.raises(ValueError, match=r"x and y must be \(n,\) alike, got"):
        line_fit(x, y)


@pytest.mark.parametrize("bad", [[1.0, 2.0], torch.tensor([1, 2]), tensor([1, math.nan])])
def test_line_fit_refuses_what_is_not_floats_and_finite(bad):
    for x, y in ((bad, torch.ones(2)), (torch.ones(2), bad)):
        with pytest.raises((TypeError, ValueError), match="must be"):
            line_fit(x, y)


SURFACES = {name: surface for name, (surface, _) in FORMULAS.items()} | {
    "diagonal": quadratic(tensor([2, 1]))
}


@pytest.mark.parametrize("surface", SURFACES.values(), ids=SURFACES)
@pytest.mark.parametrize(
    ("theta", "error"),
    [
        (torch.tensor([100, 100], dtype=torch.uint8), TypeError),  # would wrap around
        ([0.0, 0.0], TypeError),
        (torch.zeros(2, dtype=torch.complex64), TypeError),
        (torch.zeros(3), ValueError),
        (torch.tensor(0.0), ValueError),
    ],
    ids=["integers", "list", "complex", "three", "number"],
)
def test_surfaces_refuse_what_are_no_points(surface, theta, error):
    with pytest.raises(error, match="theta must"):
        surface(theta)
