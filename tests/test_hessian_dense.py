from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import draw

from lib.hessian import gradient, hessian, hvp
from lib.surfaces import line_fit, monkey_saddle, quadratic, rosenbrock, toy_network

# torch's forward mode, which torch.func.hessian runs on, compiles with what it calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

tensor = partial(torch.tensor, dtype=torch.float64)
close = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-12)
law = settings(max_examples=20, deadline=None)  # a first call can take a second
seeds = st.integers(0, 2**31)


INPUTS = draw(7, 3, seed=0)


def tanh_network(theta):
    """Cross-entropy of a 3-4-2 network with a shared scale, from one vector of 25 numbers."""
    x, label = INPUTS, torch.arange(7) % 2
    w1, b1, w2, scale = theta[:12].view(4, 3), theta[12:16], theta[16:24].view(2, 4), theta[24]
    return torch.nn.functional.cross_entropy(
        scale * torch.tanh(scale * x @ w1.T + b1) @ w2.T, label
    )


# --- against torch ---------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 7, 25, 64])
def test_hessian_is_torchs_for_every_chunk(chunk):
    theta = draw(25, seed=1)
    close(hessian(tanh_network, theta, chunk=chunk), torch.func.hessian(tanh_network)(theta))


def test_gradient_is_torchs():
    theta = draw(25, seed=1)
    close(gradient(tanh_network, theta), torch.func.grad(tanh_network)(theta))


@given(seeds)
@law
def test_hvp_is_the_hessian_times_v(seed):
    theta, v = draw(2, 25, seed=seed)
    close(hvp(tanh_network, theta, v), torch.func.hessian(tanh_network)(theta) @ v)


@given(seeds)
@law
def test_hessian_is_symmetric(seed):
    H = hessian(tanh_network, draw(25, seed=seed))
    close(H, H.T)


def test_hvp_is_a_difference_of_gradients():
    theta, v = draw(2, 25, seed=2)
    step = 1e-5
    ahead, behind = (gradient(tanh_network, theta + s * step * v) for s in (1, -1))
    hv = hvp(tanh_network, theta, v)
    torch.testing.assert_close(hv, (ahead - behind) / (2 * step), rtol=1e-8, atol=1e-8)


def test_hessian_goes_through_fused_attention():
    q, k = draw(2, 1, 1, 3, 4, seed=3)

    def loss(theta):
        value = theta.view(1, 1, 3, 4)
        return torch.nn.functional.scaled_dot_product_attention(q * value, k, value).square().sum()

    def by_hand(theta):
        value = theta.view(1, 1, 3, 4)
        return (torch.softmax((q * value) @ k.mT / 2, -1) @ value).square().sum()

    theta = draw(12, seed=4)
    close(hessian(loss, theta), torch.func.hessian(by_hand)(theta))


# --- closed forms ----------------------------------------------------------------------------


@given(seeds)
@law
def test_hessian_of_a_random_quadratic_has_the_chosen_spectrum(seed):
    Q, _ = torch.linalg.qr(draw(6, 6, seed=seed))
    chosen = tensor([-3, -3, 0, 0, 1e-3, 7])
    H = (Q * chosen) @ Q.T
    theta, v = draw(2, 6, seed=seed + 1)
    loss = quadratic((H + H.T) / 2)
    close(hessian(loss, theta), H)
    close(gradient(loss, theta), H @ theta)
    close(hvp(loss, theta, v), H @ v)
    close(torch.linalg.eigvalsh(hessian(loss, theta)), chosen)


def test_hessian_of_the_toy_network_at_the_origin_is_a_saddle():
    theta = tensor([0, 0])
    close(gradient(toy_network, theta), theta)
    close(hessian(toy_network, theta), tensor([[0, -2], [-2, 0]]))


@given(st.floats(0.1, 10))
@law
def test_hessian_of_the_toy_network_is_flat_along_the_valley(w1):
    # There 1 - w1 w2 = 0, so H = 2 u uᵀ with u = (w2, w1): eigenvalues 0 and 2 (w1² + w2²).
    w2 = 1 / w1
    evals = torch.linalg.eigvalsh(hessian(toy_network, tensor([w1, w2])))
    torch.testing.assert_close(evals, tensor([0, 2 * (w1**2 + w2**2)]), rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize(
    "loss",
    [monkey_saddle, lambda t: (t**4).sum(), lambda t: (t**3).sum()],
    ids=["monkey saddle", "x⁴", "x³"],
)
def test_gradient_and_hessian_vanish_where_higher_orders_decide(loss):
    theta = tensor([0, 0])
    close(gradient(loss, theta), theta)
    close(hessian(loss, theta), torch.zeros(2, 2).double())


def test_hessian_of_the_monkey_saddle_is_traceless():
    # x³ - 3xy² is harmonic: H = [[6x, -6y], [-6y, -6x]].
    close(hessian(monkey_saddle, tensor([2, 3])), tensor([[12, -18], [-18, -12]]))


def test_hessian_of_rosenbrock_at_its_minimum():
    # d²/dx² = 2 - 400 (y - x²) + 800 x² = 802, d²/dxdy = -400 x = -400, d²/dy² = 200.
    theta = tensor([1, 1])
    close(gradient(rosenbrock, theta), tensor([0, 0]))
    H = hessian(rosenbrock, theta)
    close(H, tensor([[802, -400], [-400, 200]]))
    # The eigenvalues have sum 1002 and product 802·200 - 400² = 400.
    root = (501**2 - 400) ** 0.5
    close(torch.linalg.eigvalsh(H), tensor([400 / (501 + root), 501 + root]), rtol=1e-10)


def test_hessian_of_lees_ten_points():
    x = tensor([338, 333, 328, 207, 226, 25, 179, 60, 208, 606])
    y = tensor([640, 633, 619, 393, 428, 27, 193, 66, 226, 1591])
    H = hessian(line_fit(x, y), tensor([-120, -4]))
    # Squared errors summed: H = 2 [[n, Σx], [Σx, Σx²]], wherever one stands.
    close(H, 2 * tensor([[10, x.sum()], [x.sum(), (x**2).sum()]]))
    low, high = torch.linalg.eigvalsh(H).tolist()
    assert low == pytest.approx(5.5735, abs=5e-5)
    assert high == pytest.approx(1_746_830, abs=0.5)
    assert high / low == pytest.approx(313_418, abs=0.5)
    minimum = tensor([-188.433, 2.66945])
    start = gradient(line_fit(x, y), tensor([-120, -4])).norm()
    assert gradient(line_fit(x, y), minimum).norm() < 1e-6 * start


@pytest.mark.parametrize(("inputs", "hidden", "outputs"), [(4, 3, 2), (2, 3, 5), (3, 2, 3)])
def test_hessian_of_a_linear_network_at_the_origin(inputs, hidden, outputs):
    # L = 1/2 mean |y - W2 W1 x|², W1 = 0, W2 = 0. Only -<C, W2 W1> is of second order there,
    # with C = mean y xᵀ: each hidden unit joins its row of W1 to its column of W2 by -C, and no
    # unit meets another. [[0, -Cᵀ], [-C, 0]] has the eigenvalues +s and -s for each singular
    # value s of C, and |inputs - outputs| zeros; all of it comes once for each hidden unit.
    x, y = draw(20, inputs, seed=5), draw(20, outputs, seed=6)

    def loss(theta):
        w1, w2 = theta.split([hidden * inputs, outputs * hidden])
        output = x @ w1.view(hidden, inputs).T @ w2.view(outputs, hidden).T
        return 0.5 * ((y - output) ** 2).sum(1).mean()

    origin = torch.zeros(hidden * (inputs + outputs), dtype=torch.float64)
    singular = torch.linalg.svdvals(y.T @ x / len(x))
    zeros = torch.zeros(abs(inputs - outputs), dtype=torch.float64)
    expected = torch.cat([singular, -singular, zeros]).repeat(hidden).sort().values
    close(gradient(loss, origin), origin)
    close(torch.linalg.eigvalsh(hessian(loss, origin)), expected)


# --- edges -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "g"),
    [(lambda t: t.new_ones(()), 0.0), (lambda t: 3 * t.sum(), 3.0)],
    ids=["constant", "linear"],
)
def test_hessian_is_zero_without_curvature(loss, g):
    theta = tensor([1, 2])
    close(gradient(loss, theta), tensor([g, g]))
    close(hessian(loss, theta), torch.zeros(2, 2).double())
    close(hvp(loss, theta, theta), tensor([0, 0]))


def test_hessian_is_zero_in_coordinates_that_do_not_matter():
    close(hessian(lambda t: t[0] ** 2, tensor([1, 2])), tensor([[2, 0], [0, 0]]))


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_derivatives_are_taken_where_gradients_are_off(guard):
    theta, v = draw(2, 25, seed=7)
    with guard():
        found = (
            gradient(tanh_network, theta),
            hessian(tanh_network, theta),
            hvp(tanh_network, theta, v),
        )
        assert not torch.is_grad_enabled()
    H = torch.func.hessian(tanh_network)(theta)
    for ours, expected in zip(found, (torch.func.grad(tanh_network)(theta), H, H @ v), strict=True):
        close(ours, expected)


def test_derivatives_leave_theta_as_it_is():
    theta = draw(25, seed=8).requires_grad_()
    before = theta.detach().clone()
    for result in (
        gradient(tanh_network, theta),
        hessian(tanh_network, theta),
        hvp(tanh_network, theta, theta.detach()),
    ):
        assert not result.requires_grad
    assert theta.grad is None
    assert theta.requires_grad
    assert torch.equal(theta, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_derivatives_come_in_thetas_dtype(dtype):
    theta = torch.ones(2, dtype=dtype)
    assert gradient(rosenbrock, theta).dtype == dtype
    assert hessian(rosenbrock, theta).dtype == dtype
    assert hvp(rosenbrock, theta, theta).dtype == dtype
    assert hessian(lambda t: torch.tensor(1), theta).dtype == dtype


def test_gradient_takes_a_loss_of_one_element():
    close(gradient(lambda t: (t**2).sum(0, keepdim=True), tensor([1, 2])), tensor([2, 4]))


# --- errors ----------------------------------------------------------------------------------

functions = pytest.mark.parametrize(
    "function",
    [gradient, hessian, lambda loss, theta: hvp(loss, theta, theta)],
    ids=["gradient", "hessian", "hvp"],
)


@functions
@pytest.mark.parametrize("theta", [[1.0, 2.0], torch.tensor([1, 2])], ids=["list", "integers"])
def test_derivatives_refuse_a_theta_that_is_no_float_tensor(function, theta):
    with pytest.raises(TypeError, match="theta must be a floating-point tensor, got"):
        function(rosenbrock, theta)


@functions
@pytest.mark.parametrize(
    "theta", [tensor(1), tensor([[1, 2]]), tensor([1, float("nan")]), tensor([1, float("inf")])]
)
def test_derivatives_refuse_a_theta_that_is_no_finite_vector(function, theta):
    with pytest.raises(ValueError, match=r"theta must be a finite vector \(d,\), got"):
        function(rosenbrock, theta)


@functions
def test_derivatives_refuse_a_loss_that_is_no_scalar(function):
    with pytest.raises(ValueError, match=r"the loss must be a scalar, got shape \(2,\)"):
        function(lambda t: t**2, tensor([1, 2]))


@functions
def test_derivatives_refuse_a_loss_that_is_no_tensor(function):
    with pytest.raises(TypeError, match=r"the loss must be a tensor, got 3\.0"):
        function(lambda t: 3.0, tensor([1, 2]))


@pytest.mark.parametrize("v", [tensor([1]), tensor([[1, 2]]), torch.ones(2)])
def test_hvp_refuses_a_v_unlike_theta(v):
    with pytest.raises(ValueError, match=r"v must be shaped \(2,\) in torch.float64 as theta is"):
        hvp(rosenbrock, tensor([1, 2]), v)


def test_hvp_refuses_a_v_that_is_no_tensor():
    with pytest.raises(TypeError, match="v must be a tensor, got"):
        hvp(rosenbrock, tensor([1, 2]), [1.0, 2.0])


@functions
def test_derivatives_refuse_a_loss_that_is_not_real_or_no_number(function):
    with pytest.raises(ValueError, match="the loss must be real, got"):
        function(lambda t: (1j * t).sum(), tensor([1, 2]))
    with pytest.raises(ValueError, match="the loss must be a number, got NaN"):
        function(lambda t: torch.nan * t.sum(), tensor([1, 2]))
    with pytest.raises(TypeError, match="loss must be a function, got 3"):
        function(3, tensor([1, 2]))


@pytest.mark.parametrize("chunk", [1.5, None, "64"])
def test_hessian_refuses_a_chunk_that_is_no_int(chunk):
    with pytest.raises(TypeError, match="chunk must be an int"):
        hessian(rosenbrock, tensor([1, 2]), chunk=chunk)


def test_hessian_refuses_an_empty_chunk():
    with pytest.raises(ValueError, match="chunk must be at least 1, got 0"):
        hessian(rosenbrock, tensor([1, 2]), chunk=0)
