from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from matrices import draw, symmetric
from scipy.sparse.linalg import LinearOperator
from torch import nn
from torch.nn.functional import cross_entropy

from lib.hessian import (
    CriticalPoint,
    HessianOperator,
    classify,
    eigenpairs,
    escape_direction,
    gradient,
    hessian,
    shares,
)
from lib.surfaces import line_fit, monkey_saddle, quadratic, rosenbrock, toy_network

MINIMUM, MAXIMUM, SADDLE, DEGENERATE = CriticalPoint
tensor = partial(torch.tensor, dtype=torch.float64)
law = settings(deadline=None)

# Some clearly negative, some zero, some clearly positive eigenvalues.
spectra = st.lists(
    st.one_of(st.just(0.0), st.floats(0.1, 10), st.floats(-10, -0.1)), min_size=1, max_size=12
)


# --- classify --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evals", "kind"),
    [
        ([1, 2], MINIMUM),
        ([5], MINIMUM),
        ([-1, -2], MAXIMUM),
        ([-5], MAXIMUM),
        ([-1, 1], SADDLE),
        ([-1, 0, 1], SADDLE),
        ([1e-2, -1e3], SADDLE),
        ([0, 0, -1, 0, 1, 0], SADDLE),
        ([0, 1], DEGENERATE),
        ([-1, 0], DEGENERATE),
        ([0], DEGENERATE),
        ([0, 0, 0], DEGENERATE),
        ([1e-300, -1e-300], SADDLE),
        ([1e300, 1e280], DEGENERATE),
    ],
)
def test_classify_names_the_kind(evals, kind):
    assert classify(evals) is kind


@pytest.mark.parametrize(
    ("loss", "theta", "kind"),
    [
        (toy_network, [0, 0], SADDLE),
        (toy_network, [2, 0.5], DEGENERATE),
        (toy_network, [-0.1, -10], DEGENERATE),
        (monkey_saddle, [0, 0], DEGENERATE),
        (lambda t: (t**4).sum(), [0, 0], DEGENERATE),  # a minimum, but H cannot tell
        (lambda t: (t**3).sum(), [0, 0], DEGENERATE),  # and no minimum, with the same H
        (lambda t: t[0] ** 2 - t[1] ** 4, [0, 0], DEGENERATE),
        (rosenbrock, [1, 1], MINIMUM),
        (lambda t: -rosenbrock(t), [1, 1], MAXIMUM),
        (line_fit(tensor([1, 2, 4]), tensor([1, 3, 5])), [0, 0], MINIMUM),
        (line_fit(tensor([2, 2]), tensor([1, 3])), [0, 0], DEGENERATE),  # one x: many lines
        (quadratic(tensor([1, 0, -1])), [0, 0, 0], SADDLE),
    ],
)
def test_classify_names_the_kind_of_points_on_surfaces(loss, theta, kind):
    assert classify(torch.linalg.eigvalsh(hessian(loss, tensor(theta)))) is kind


@given(spectra)
@law
def test_classify_follows_the_signs(evals):
    signs = set(np.sign(evals))
    if {1, -1} <= signs:
        assert classify(evals) is SADDLE
    elif 0 in signs:
        assert classify(evals) is DEGENERATE
    else:
        assert classify(evals) is (MINIMUM if signs == {1} else MAXIMUM)


@given(spectra, st.floats(1e-100, 1e100))
@law
def test_classify_does_not_depend_on_the_scale_of_the_loss(evals, scale):
    assert classify(scale * np.array(evals)) is classify(evals)


@given(spectra, st.integers(0, 2**31))
@law
def test_classify_does_not_depend_on_the_axes(evals, seed):
    turned = torch.linalg.eigvalsh(symmetric(evals, seed))
    assert classify(turned) is classify(evals)
    assert shares(turned) == shares(evals)


@given(spectra, st.randoms())
@law
def test_classify_needs_only_both_ends_in_any_order(evals, random):
    expected = classify(evals)
    random.shuffle(evals)
    assert classify(evals) is expected
    # Zeros between a minus and a plus do not matter, and a one-sided spectrum has its zeros last.
    assert classify([min(evals), max(evals)]) is expected


@given(spectra)
@law
def test_classify_turns_over_with_the_loss(evals):
    opposite = {MINIMUM: MAXIMUM, MAXIMUM: MINIMUM, SADDLE: SADDLE, DEGENERATE: DEGENERATE}
    assert classify([-x for x in evals]) is opposite[classify(evals)]


def test_classify_counts_as_zero_what_is_at_most_the_tolerance():
    tol = 2.0**-10
    below, above = np.nextafter(tol, 0), np.nextafter(tol, 1)
    assert classify([tol, 1], tol) is DEGENERATE
    assert classify([below, 1], tol) is DEGENERATE
    assert classify([above, 1], tol) is MINIMUM
    assert classify([-tol, 1], tol) is DEGENERATE
    assert classify([-above, 1], tol) is SADDLE
    assert classify([above, -1], tol) is SADDLE
    assert classify([-1e-300, 1], tol=0) is SADDLE
    assert classify([0, 1], tol=0) is DEGENERATE


def test_classify_tolerance_is_a_millionth_of_the_largest():
    assert classify([1.1e-4, 100]) is MINIMUM
    assert classify([0.9e-4, 100]) is DEGENERATE
    assert classify([0.9e-4, -100]) is DEGENERATE


forms = pytest.mark.parametrize(
    "form",
    [
        list,
        tuple,
        np.array,
        tensor,
        torch.tensor,
        lambda evals: tensor(evals, requires_grad=True),
        lambda evals: np.array(evals, dtype=np.float32)[::-1],
    ],
)


@forms
def test_classify_and_shares_take_lists_arrays_and_tensors(form):
    assert classify(form([-1.0, 0.0, 2.0])) is SADDLE
    assert classify(form([1.0, 2.0])) is MINIMUM
    assert shares(form([-1.0, 0.0, 2.0, 3.0])) == (0.5, 0.25, 0.25)


def test_classify_reads_lists_in_double_precision():
    assert classify([1e-60, 1e-70]) is DEGENERATE
    assert classify([1e-60, 2e-60]) is MINIMUM  # both are 0 in float32
    assert classify([1e60, 2e60]) is MINIMUM  # both are infinite there


# --- shares ----------------------------------------------------------------------------------


@given(spectra, st.sampled_from([0, 1e-6, 1e-3, 0.5]))
@law
def test_shares_are_counts_that_sum_to_one(evals, tol):
    found = shares(evals, tol)
    zero = tol * max(map(abs, evals))
    counts = (
        sum(x > zero for x in evals),
        sum(abs(x) <= zero for x in evals),
        sum(x < -zero for x in evals),
    )
    assert found == pytest.approx([count / len(evals) for count in counts])
    assert sum(found) == pytest.approx(1, abs=1e-15)


def test_shares_depend_on_the_tolerance():
    evals = [-1e-7, 1e-5, 1e-4, 1.0]
    assert shares(evals, tol=0) == (0.75, 0, 0.25)
    assert shares(evals, tol=1e-6) == (0.75, 0.25, 0)
    assert shares(evals, tol=1e-3) == (0.25, 0.75, 0)


each_function = pytest.mark.parametrize("function", [classify, shares])


@each_function
@pytest.mark.parametrize(
    "evals",
    [
        [],
        torch.ones(0),
        1.0,
        [[1.0]],
        [1.0, float("nan")],
        tensor([1, float("inf")]),
        torch.linalg.eigvals(torch.eye(2)),
        np.array([1.0, 1j]),
        ["a"],
        [None],
        [10**400],
        [[1.0, 2.0], [3.0]],
    ],
)
def test_classify_and_shares_refuse_what_is_no_spectrum(function, evals):
    with pytest.raises(ValueError, match=r"evals must be a finite, real, non-empty vector \(k,\)"):
        function(evals)


@each_function
def test_classify_and_shares_take_tensors_of_half_precision(function):
    evals = torch.tensor([-1.0, 0.0, 2.0])
    for dtype in (torch.float16, torch.bfloat16):
        assert function(evals.to(dtype)) == function(evals)


@each_function
@pytest.mark.parametrize("tol", ["0", None, 1j])
def test_classify_and_shares_refuse_a_tolerance_that_is_no_number(function, tol):
    with pytest.raises(TypeError, match="tol must be a number"):
        function([1.0], tol)


@each_function
@pytest.mark.parametrize("tol", [-1e-9, 1, float("nan")])
def test_classify_and_shares_refuse_a_tolerance_out_of_range(function, tol):
    with pytest.raises(ValueError, match=r"tol must be in \[0, 1\), got"):
        function([1.0], tol)


# --- escape_direction ------------------------------------------------------------------------


def test_escape_direction_of_the_toy_network_is_the_diagonal():
    u, value = escape_direction(hessian(toy_network, tensor([0, 0])))
    assert value == pytest.approx(-2, abs=1e-12)
    torch.testing.assert_close(u.abs(), tensor([0.5, 0.5]).sqrt())
    assert u.prod() > 0  # [1, 1] or [-1, -1]: towards one of the two valleys


@given(spectra, st.integers(0, 2**31))
@law
def test_escape_direction_is_the_bottom_eigenvector(evals, seed):
    assume(min(evals) < 0)
    H = symmetric(evals, seed)
    u, value = escape_direction(H, tol=1e-8)
    assert value == pytest.approx(min(evals), abs=1e-6)
    assert u.norm().item() == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(H @ u, value * u, rtol=0, atol=1e-6)


def test_escape_direction_works_in_one_dimension_and_from_a_maximum():
    u, value = escape_direction(tensor([[-3]]))
    assert u.abs().item() == 1
    assert value == -3
    assert escape_direction(torch.diag(tensor([-1, -4]))).eval == pytest.approx(-4)


INPUTS, LABELS = draw(20, 3, seed=1), draw(20, 2, seed=2)


def two_layers(theta):
    """Mean squared error of a 3-2-2 linear network; the origin is a saddle."""
    x, y = INPUTS, LABELS
    w1, w2 = theta.split([6, 4])
    return ((y - x @ w1.view(2, 3).T @ w2.view(2, 2).T) ** 2).mean()


@pytest.mark.parametrize(
    ("loss", "saddle"),
    [
        (toy_network, tensor([0, 0])),
        (two_layers, torch.zeros(10, dtype=torch.float64)),
        (lambda t: torch.cos(t[0]) + torch.cosh(t[1]) - t[0] ** 4, tensor([0, 0])),
    ],
    ids=["toy network", "linear network", "cos + cosh"],
)
@pytest.mark.parametrize("way", [1, -1])
def test_escape_direction_lowers_the_loss_as_second_order_says(loss, saddle, way):
    # L(θ' + εu) - L(θ') = ½λε² + O(ε³): halving ε brings the ratio to 1 and the rest down.
    assert gradient(loss, saddle).norm() < 1e-15
    u, value = escape_direction(hessian(loss, saddle), tol=1e-8)
    assert value < 0
    gaps = []
    for step in (0.1, 0.05, 0.025):
        fall = loss(saddle + way * step * u) - loss(saddle)
        assert fall < 0
        gaps.append(abs(fall.item() / (0.5 * value * step**2) - 1))
    assert gaps[-1] < 0.01
    assert gaps[1] < 0.6 * gaps[0]
    assert gaps[2] < 0.6 * gaps[1]


def test_escape_direction_takes_arrays_tensors_and_operators():
    H = symmetric([-2.0, 1.0, 4.0])
    operator = LinearOperator(H.shape, matvec=lambda v: H.numpy() @ v, dtype=np.float64)
    expected = torch.linalg.eigh(H).eigenvectors[:, 0]
    for given_as in (H, H.numpy(), operator):
        u, value = escape_direction(given_as, tol=1e-8)
        assert value == pytest.approx(-2, abs=1e-7)
        assert abs((u @ expected).item()) == pytest.approx(1, abs=1e-12)


def test_escape_direction_leaves_a_saddle_that_descent_does_not():
    # All weights zero and the output bias at the log class frequencies: the gradient is zero.
    x, label = draw(30, 4, seed=3), torch.arange(30) % 3
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    for p in model.parameters():
        nn.init.zeros_(p)
    H = HessianOperator(model, cross_entropy, [(x, label)])
    assert H.gradient().norm() < 1e-15
    u, value = escape_direction(H)
    assert value == pytest.approx(torch.linalg.eigvalsh(H.dense())[0].item(), rel=1e-2)
    before = cross_entropy(model(x), label).item()
    start = nn.utils.parameters_to_vector(model.parameters())
    nn.utils.vector_to_parameters(start + 0.01 * u, model.parameters())
    fall = cross_entropy(model(x), label).item() - before
    assert fall == pytest.approx(0.5 * value * 0.01**2, rel=0.01)


def test_escape_direction_is_kept_where_the_tolerance_lets_it():
    H = torch.diag(tensor([-0.01, 1]))
    assert escape_direction(H).eval == pytest.approx(-0.01)
    with pytest.raises(ValueError, match=r"no eigenvalue below -0\.1 times the largest in size"):
        escape_direction(H, tol=0.1)


@pytest.mark.parametrize(
    "H",
    [torch.eye(3), torch.zeros(3, 3), torch.diag(tensor([0, 1])), tensor([[2]])],
    ids=["minimum", "zero", "valley", "one dimension"],
)
def test_escape_direction_refuses_where_second_derivatives_show_no_way(H):
    with pytest.raises(ValueError, match=r"H has no eigenvalue below -0\.001 times"):
        escape_direction(H)


def test_escape_direction_says_when_the_solver_did_not_converge():
    H = torch.diag(torch.linspace(-1, 1, 600).double())
    with pytest.raises(RuntimeError, match=r"eigenpairs did not converge in \d\d\d products"):
        escape_direction(H, tol=1e-16)
    assert not eigenpairs(H, k=2, which="BE", tol=1e-16).converged


def test_escape_direction_refuses_what_is_no_operator():
    with pytest.raises(TypeError, match="H must be a tensor, array or LinearOperator, got list"):
        escape_direction([[1.0]])
