from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import draw, symmetric
from scipy.sparse.linalg import LinearOperator
from scipy.stats import semicircular
from torch import nn
from torch.nn.functional import cross_entropy

from lib.hessian import HessianOperator, spectral_density, trace

tensor = partial(torch.tensor, dtype=torch.float64)
law = settings(max_examples=40, deadline=None)

# Wigner's semicircle on [-1, 1], and two clusters, one with three times the other's eigenvalues.
SEMICIRCLE = semicircular.ppf((np.arange(150) + 0.5) / 150)
CLUSTERS = np.concatenate([np.linspace(-0.1, 0.1, 120), np.linspace(2, 2.4, 40)])
each_spectrum = pytest.mark.parametrize("evals", [SEMICIRCLE, CLUSTERS], ids=["wigner", "clusters"])


def bells(evals, grid, width=0.01):
    """The true density: a normal one of standard deviation s on each eigenvalue."""
    s = width * (np.max(evals) - np.min(evals))
    distances = (grid[:, None] - np.asarray(evals)) / s
    return np.exp(-(distances**2) / 2).mean(1) / (s * np.sqrt(2 * np.pi))


def integral(y, x):
    return np.sum((y[1:] + y[:-1]) / 2 * np.diff(x))


# --- spectral_density ------------------------------------------------------------------------


@given(
    st.lists(st.floats(-10, 10).map(lambda x: round(x, 6)), min_size=1, max_size=20),
    st.sampled_from([0.005, 0.01, 0.1, 1.0, 3.0]),
    st.integers(0, 99),
)
@law
def test_spectral_density_integrates_to_one(evals, width, seed):
    rho = spectral_density(torch.diag(tensor(evals)), num_probes=2, width=width, seed=seed)
    assert integral(rho.density, rho.grid) == pytest.approx(1, abs=1e-5)
    assert (rho.density >= 0).all()
    assert rho.grid.shape == rho.density.shape == rho.standard_error.shape == (400,)


def test_spectral_density_of_few_eigenvalues_is_found_step_by_step():
    # With as many steps as there are distinct eigenvalues each probe sees all of them; its
    # weights are the squares of its unit vector's coordinates, 1/d each on average.
    H = torch.diag(tensor([-1, 0, 0, 3]))
    rho = spectral_density(H, num_probes=2000, num_steps=3, width=0.05)
    shares = [
        integral(np.where(np.abs(rho.grid - x) < 0.5, rho.density, 0), rho.grid) for x in (-1, 0, 3)
    ]
    np.testing.assert_allclose(shares, [0.25, 0.5, 0.25], atol=0.02)


@each_spectrum
def test_spectral_density_meets_the_truth_within_its_standard_errors(evals):
    H = torch.diag(tensor(evals))
    squares = []
    for seed in range(20):
        rho = spectral_density(H, num_steps=90, seed=seed)
        truth = bells(evals, rho.grid)
        bulk = truth > 0.2 * truth.max()
        errors = (rho.density - truth)[bulk] / rho.standard_error[bulk]
        squares.append(np.mean(errors**2))
    # Ten probes: a squared t of nine degrees of freedom is 9/7 = 1.29 on average.
    assert 0.8 < np.mean(squares) < 2


@each_spectrum
def test_spectral_density_converges_as_probes_are_added(evals):
    H = symmetric(evals)
    errors = []
    for num_probes in (4, 64):
        rho = spectral_density(H, num_probes=num_probes, num_steps=90)
        errors.append(integral(np.abs(rho.density - bells(evals, rho.grid)), rho.grid))
    assert errors[1] < 0.45 * errors[0]  # a quarter is the law
    assert errors[1] < 0.1


def test_spectral_density_of_a_network_is_that_of_its_dense_hessian():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    H = HessianOperator(model, cross_entropy, [(draw(20, 6, seed=1), torch.arange(20) % 3)])
    rho = spectral_density(H, num_probes=30, num_steps=30, width=0.05, seed=1)
    truth = bells(torch.linalg.eigvalsh(H.dense()).numpy(), rho.grid, width=0.05)
    assert integral(np.abs(rho.density - truth), rho.grid) < 0.15
    assert H.num_matvecs == 900


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e-12, 1e12])
def test_spectral_density_of_one_eigenvalue_is_one_bell(value, dtype):
    H = torch.diag(torch.full((30,), value, dtype=dtype))
    rho = spectral_density(H, num_probes=3)
    s = 0.01 * (abs(value) or 1)
    assert rho.grid[[0, -1]] == pytest.approx([value - 5 * s, value + 5 * s], rel=1e-4)
    assert integral(rho.density, rho.grid) == pytest.approx(1, abs=1e-5)
    assert rho.grid[rho.density.argmax()] == pytest.approx(value, abs=s / 20)


def test_spectral_density_starts_from_the_seed():
    H = symmetric(SEMICIRCLE)
    first, again, other = (spectral_density(H, num_steps=5, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.density, again.density)
    assert np.abs(first.density - other.density).max() > 1e-3


def test_spectral_density_spends_its_products_and_no_more():
    calls = []
    H = LinearOperator((40, 40), lambda v: calls.append(1) or v * np.arange(40), dtype=float)
    spectral_density(H, num_probes=3, num_steps=7)
    assert len(calls) == 21
    calls.clear()
    spectral_density(H, num_probes=2, num_steps=100)  # the space closes after 40
    assert len(calls) == 80


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_probes": 1}, "num_probes must be at least 2, got 1"),
        ({"num_steps": 0}, "num_steps must be at least 1, got 0"),
        ({"points": 100}, "points must be at least 111, got 100"),
        ({"width": 0.001}, "points must be at least 1011, got 400"),
        ({"width": 0}, "width must be above 0, got 0"),
        ({"width": float("inf")}, "width must be above 0, got inf"),
        ({"width": float("nan")}, "width must be above 0, got nan"),
        ({"width": 1e-320}, "width must be above 0, got 1e-320: it takes 1e-9 to 1e9"),
        ({"width": 1e300}, "width must be .*1e-9 to 1e9"),
    ],
)
def test_spectral_density_refuses_arguments_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        spectral_density(torch.eye(3), **options)


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_steps", 1.5), ("num_steps", float("nan")), ("points", 400.0), ("width", "0.1")],
)
def test_spectral_density_refuses_an_argument_of_another_kind(name, value):
    with pytest.raises(TypeError, match=f"{name} must be"):
        spectral_density(torch.eye(3), **{name: value})


# --- interruption ----------------------------------------------------------------------------


def test_spectral_density_interrupted_is_that_of_the_probes_so_far():
    H, calls = symmetric(CLUSTERS), []

    def matvec(v):
        if len(calls) == 27:  # in the third probe
            raise KeyboardInterrupt
        calls.append(1)
        return H.numpy() @ v

    operator = LinearOperator(H.shape, matvec=matvec, dtype=np.float64)
    with pytest.warns(UserWarning, match="spectral_density was interrupted") as caught:
        rho = spectral_density(operator, num_probes=5, num_steps=10)
    assert caught[0].filename == __file__
    assert rho.converged is False
    two = spectral_density(H, num_probes=2, num_steps=10)
    assert two.converged is True
    np.testing.assert_allclose(np.hstack(rho), np.hstack(two), rtol=1e-6, atol=1e-6)
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        spectral_density(operator, num_probes=5, num_steps=20)


# --- what H may be ---------------------------------------------------------------------------

each_function = pytest.mark.parametrize("function", [spectral_density, trace])


@each_function
def test_spectrum_takes_tensors_arrays_and_operators(function):
    H = symmetric(np.linspace(-1, 2, 20))
    expected = np.hstack(function(H))
    operator = LinearOperator(H.shape, matvec=lambda v: H.numpy() @ v, dtype=np.float64)
    for other in (H.numpy(), operator):
        np.testing.assert_allclose(np.hstack(function(other)), expected, rtol=1e-6, atol=1e-6)


@each_function
def test_spectrum_refuses_what_is_no_operator(function):
    with pytest.raises(TypeError, match="H must be a tensor, array or LinearOperator, got list"):
        function([[1.0]])
    with pytest.raises(ValueError, match="H must be square and not empty"):
        function(torch.ones(2, 3))
    with pytest.raises(ValueError, match="H must be symmetric"):
        function(tensor([[1, 2], [0, 1]]))


@each_function
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_spectrum_refuses_products_that_are_not_finite(function, bad):
    with pytest.raises(ValueError, match="H v is not finite"):
        function(torch.diag(tensor([1, bad])))
