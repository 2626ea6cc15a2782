import pickle
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import draw, symmetric
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from scipy.stats import semicircular
from torch import nn
from torch.nn.functional import cross_entropy

from lib.hessian import HessianOperator, diagonal, trace

tensor = partial(torch.tensor, dtype=torch.float64)
law = settings(max_examples=40, deadline=None)

# Wigner's semicircle on [-1, 1], and two clusters, one with three times the other's eigenvalues.
SEMICIRCLE = semicircular.ppf((np.arange(150) + 0.5) / 150)
CLUSTERS = np.concatenate([np.linspace(-0.1, 0.1, 120), np.linspace(2, 2.4, 40)])


def operator(H):
    """H known by its products alone."""
    return aslinearoperator(H.numpy())


def network(dtype=torch.float64):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)
    data = [(draw(20, 6, seed=1).to(dtype), torch.arange(20) % 3)]
    return HessianOperator(model, cross_entropy, data)


# --- trace -----------------------------------------------------------------------------------


def test_trace_lies_within_four_standard_errors():
    H = symmetric(CLUSTERS)
    for seed in range(50):
        estimate, error = trace(H, seed=seed)
        assert abs(estimate - CLUSTERS.sum()) < 4 * error
        assert error < 0.2 * CLUSTERS.sum()


def test_trace_standard_error_is_calibrated():
    # The variance of vᵀHv is 2 Σ_{i≠j} H_ij², so the standard error after n probes is known.
    H, n = symmetric(SEMICIRCLE), 30
    known = (2 * (H**2).sum() - 2 * (H.diagonal() ** 2).sum()).sqrt().item() / n**0.5
    estimates, errors = np.array([trace(H, num_probes=n, seed=seed) for seed in range(200)]).T
    assert np.mean(estimates) == pytest.approx(SEMICIRCLE.sum(), abs=4 * known / 200**0.5)
    assert np.std(estimates) == pytest.approx(known, rel=0.2)
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(known, rel=0.05)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.integers(0, 99))
@law
def test_trace_is_exact_on_diagonal_matrices(evals, seed):
    estimate, error = trace(torch.diag(tensor(evals)), num_probes=3, seed=seed)
    size = np.abs(evals).sum()
    assert estimate == pytest.approx(np.sum(evals), abs=1e-13 * size)
    assert error <= 1e-13 * size


def test_trace_of_a_network_is_that_of_its_dense_hessian():
    H = network(torch.float32)
    estimate, error = trace(H, num_probes=200)
    assert abs(estimate - H.dense().trace().item()) < 4 * error
    assert H.num_matvecs == 200


def test_trace_starts_from_the_seed():
    H = symmetric(SEMICIRCLE)
    assert trace(H, seed=3) == trace(H, seed=3) != trace(H, seed=4)


# --- diagonal --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [lambda H: H, lambda H: H.numpy(), lambda H: H.requires_grad_()])
def test_diagonal_of_a_matrix_is_read_off(form):
    H = symmetric(SEMICIRCLE)
    estimate, error = diagonal(form(H.clone()))
    assert torch.equal(estimate, H.diagonal())
    assert not estimate.requires_grad
    assert (error == 0).all()
    estimate.zero_()
    assert H.diagonal().any()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.integers(0, 99))
@law
def test_diagonal_is_exact_where_there_is_nothing_else(evals, seed):
    estimate, error = diagonal(operator(torch.diag(tensor(evals))), num_probes=3, seed=seed)
    torch.testing.assert_close(estimate, tensor(evals), rtol=1e-15, atol=0)
    assert (error <= 1e-13 * np.abs(evals).max()).all()


def test_diagonal_standard_error_is_calibrated():
    # The variance of v_i (Hv)_i is Σ_{j≠i} H_ij², so the error after n probes is known.
    H, n = symmetric(CLUSTERS), 30
    known = ((H**2).sum(1) - H.diagonal() ** 2).sqrt() / n**0.5
    runs = [diagonal(operator(H), num_probes=n, seed=seed) for seed in range(100)]
    estimates, errors = (torch.stack(part) for part in zip(*runs, strict=True))
    assert ((estimates.mean(0) - H.diagonal()).abs() < 5 * known / 100**0.5).all()
    torch.testing.assert_close(estimates.std(0), known, rtol=0.35, atol=0)
    torch.testing.assert_close(errors.square().mean(0).sqrt(), known, rtol=0.15, atol=0)


@pytest.mark.parametrize(("dtype", "tol"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
def test_diagonal_of_a_network_is_that_of_its_dense_hessian(dtype, tol):
    H = network(dtype)
    estimate, error = diagonal(H, num_probes=200)
    assert H.num_matvecs == 200
    assert estimate.dtype == error.dtype == dtype
    exact = H.dense().diagonal()
    assert ((estimate - exact).abs() <= 5 * error + tol).all()
    # Of the same probes the trace is the sum.
    assert trace(H, num_probes=200).estimate == pytest.approx(estimate.sum().item(), rel=tol)


# --- interruption ----------------------------------------------------------------------------

each_function = pytest.mark.parametrize("function", [trace, diagonal])


@each_function
def test_estimates_interrupted_are_those_of_the_probes_so_far(function):
    H, calls = symmetric(CLUSTERS), []

    def matvec(v):
        if len(calls) == 7:
            raise KeyboardInterrupt
        calls.append(1)
        return H.numpy() @ v

    stopped = LinearOperator(H.shape, matvec=matvec, dtype=np.float64)
    with pytest.warns(UserWarning, match=f"{function.__name__} was interrupted") as caught:
        cut = function(stopped)
    assert caught[0].filename == __file__
    whole = function(operator(H), num_probes=7)
    assert cut.converged is False
    assert whole.converged is True
    assert pickle.loads(pickle.dumps(cut)).converged is False
    for part, expected in zip(cut, whole, strict=True):
        torch.testing.assert_close(torch.as_tensor(part), torch.as_tensor(expected))
    del calls[1:]
    calls.extend([1] * 5)  # one probe more and it is pressed again
    with pytest.raises(KeyboardInterrupt):
        function(stopped)


# --- errors ----------------------------------------------------------------------------------


@each_function
def test_estimates_refuse_a_single_probe(function):
    for H in (torch.eye(3), operator(torch.eye(3))):
        with pytest.raises(ValueError, match="num_probes must be at least 2, got 1"):
            function(H, num_probes=1)


@each_function
@pytest.mark.parametrize(
    ("name", "value"), [("num_probes", 2.5), ("num_probes", "9"), ("seed", None), ("seed", 0.5)]
)
def test_estimates_refuse_an_argument_that_is_no_int(function, name, value):
    with pytest.raises(TypeError, match=f"{name} must be an int"):
        function(operator(torch.eye(3)), **{name: value})


@each_function
def test_estimates_refuse_products_that_are_not_finite(function):
    H = torch.diag(tensor([1, float("nan")]))
    for given_as in (H, operator(H)):
        with pytest.raises(ValueError, match=r"H( v)? is not finite"):
            function(given_as)


@each_function
def test_estimates_refuse_what_is_no_operator(function):
    with pytest.raises(TypeError, match="H must be a tensor, array or LinearOperator, got list"):
        function([[1.0]])
    with pytest.raises(ValueError, match="H must be symmetric"):
        function(tensor([[1, 2], [0, 1]]))
