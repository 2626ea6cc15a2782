import io
from copy import deepcopy
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR

from lib.optimizers import Adagrad, Adam, GradientDescent, Momentum, RMSProp, trajectory

close = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-12)
tensor = partial(torch.tensor, dtype=torch.float64)

# Ours and torch's, with the same hyper-parameters.
PAIRS = {
    "gradient descent": (partial(GradientDescent, lr=0.1), partial(torch.optim.SGD, lr=0.1)),
    "momentum": (
        partial(Momentum, lr=0.02, momentum=0.8),
        partial(torch.optim.SGD, lr=0.02, momentum=0.8),
    ),
    "adagrad": (
        partial(Adagrad, lr=0.1, mean=False, eps=1e-6),
        partial(torch.optim.Adagrad, lr=0.1, eps=1e-6),
    ),
    "rmsprop": (
        partial(RMSProp, lr=0.01, alpha=0.8, eps=1e-6),
        partial(torch.optim.RMSprop, lr=0.01, alpha=0.8, eps=1e-6),
    ),
    "adam": (
        partial(Adam, lr=0.01, betas=(0.8, 0.99), eps=1e-6),
        partial(torch.optim.Adam, lr=0.01, betas=(0.8, 0.99), eps=1e-6),
    ),
}
each_pair = pytest.mark.parametrize(("ours", "torchs"), PAIRS.values(), ids=PAIRS)
each_of_ours = pytest.mark.parametrize("ours", [pair[0] for pair in PAIRS.values()], ids=PAIRS)


def rosenbrock(theta):
    x, y = theta.unbind(-1)
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def bowl(theta):
    return (theta**2 * torch.tensor([0.5, 4.0], dtype=theta.dtype)).sum(-1)


def network(seed=0):
    """Parameters of shapes (4, 3), (4,), (2, 4), () and their loss on eight examples."""
    random = torch.Generator().manual_seed(seed)
    draw = partial(torch.randn, generator=random, dtype=torch.float64)
    x, label = draw(8, 3), torch.arange(8) % 2
    params = [draw(shape).requires_grad_() for shape in ((4, 3), (4,), (2, 4), ())]

    def loss(params):
        w1, b1, w2, scale = params
        return torch.nn.functional.cross_entropy(scale * torch.tanh(x @ w1.T + b1) @ w2.T, label)

    return params, loss


def differentiate(loss, params):
    for theta, g in zip(params, torch.autograd.grad(loss(params), params), strict=True):
        theta.grad = g


def start_torchs_rmsprop_as_ours(optimizer):
    if isinstance(optimizer, torch.optim.RMSprop):
        for group in optimizer.param_groups:
            for theta in group["params"]:
                state = {"step": torch.tensor(0.0), "square_avg": theta.grad**2}
                optimizer.state[theta] = state


def feed(make, gradients, theta0=0.0):
    """Where an optimizer goes from theta0 when it is given these gradients, whatever it does."""
    theta = torch.full_like(gradients[0], theta0).requires_grad_()
    optimizer = make([theta])
    for g in gradients:
        theta.grad = g.clone()
        optimizer.step()
    return theta.detach()


def gradients_like(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- against torch ---------------------------------------------------------------------------


@each_pair
def test_step_is_torchs_step_from_the_same_state(ours, torchs):
    params, loss = network()
    copies = deepcopy(params)
    optimizer, twin = ours(params), torchs(copies)
    for t in range(30):
        differentiate(loss, params)
        for theta, copy in zip(params, copies, strict=True):
            copy.data, copy.grad = theta.detach().clone(), theta.grad.clone()
        if t == 0:
            start_torchs_rmsprop_as_ours(twin)
        optimizer.step()
        twin.step()
        close(params, copies)


@each_pair
@pytest.mark.parametrize("schedule", [None, lambda t: (t + 1) ** -0.5], ids=["fixed", "LambdaLR"])
def test_optimizers_follow_torchs_for_100_steps_on_a_network(ours, torchs, schedule):
    params, loss = network(seed=1)
    copies = deepcopy(params)
    losses = []
    for current, make in ((params, ours), (copies, torchs)):
        # The weights get a learning rate of their own.
        optimizer = make([{"params": current[::2], "lr": 0.05}, {"params": current[1::2]}])
        scheduler = LambdaLR(optimizer, schedule) if schedule else None
        for t in range(100):
            differentiate(loss, current)
            if t == 0:
                start_torchs_rmsprop_as_ours(optimizer)
            optimizer.step()
            if scheduler:
                scheduler.step()
        losses.append(loss(current).item())
    torch.testing.assert_close(params, copies, rtol=1e-8, atol=1e-8)
    assert losses[0] < loss(network(seed=1)[0]).item()


@each_pair
@pytest.mark.parametrize(("surface", "scale"), [(rosenbrock, 0.01), (bowl, 1.0)])
def test_trajectory_is_torchs_over_a_surface(ours, torchs, surface, scale):
    theta0 = tensor([-1.2, 1.0])
    lr = scale * torchs.keywords["lr"]

    def twin(params):
        optimizer = torchs(params, lr=lr)
        params[0].grad = torch.autograd.grad(surface(params[0]), params[0])[0]
        start_torchs_rmsprop_as_ours(optimizer)
        return optimizer

    path = trajectory(surface, theta0, partial(ours, lr=lr), steps=100)
    torch.testing.assert_close(path, trajectory(surface, theta0, twin, 100), rtol=1e-8, atol=1e-8)
    assert surface(path[-1]) < surface(path[0])


def test_adam_is_torchs_with_defaults():
    gradients = gradients_like(50, 3, seed=2)
    close(feed(Adam, gradients), feed(torch.optim.Adam, gradients))


@pytest.mark.parametrize(
    ("ours", "torchs", "cycle"),
    [(Momentum, partial(torch.optim.SGD, momentum=0.9), True), (Adam, torch.optim.Adam, False)],
)
def test_step_works_under_a_scheduler_that_moves_momentum(ours, torchs, cycle):
    paths = []
    for make in (ours, torchs):
        theta = torch.tensor([2.0, -1.0], dtype=torch.float64, requires_grad=True)
        optimizer = make([theta], lr=0.01)
        scheduler = OneCycleLR(optimizer, max_lr=0.05, total_steps=20, cycle_momentum=cycle)
        for _ in range(20):
            differentiate(lambda params: bowl(params[0]), [theta])
            optimizer.step()
            if scheduler.last_epoch < 19:
                scheduler.step()
        paths.append(theta.detach())
    close(*paths)


# --- closed forms ----------------------------------------------------------------------------


def test_gradient_descent_shrinks_each_coordinate_of_a_bowl_geometrically():
    theta0 = tensor([3.0, -2.0])
    path = trajectory(bowl, theta0, partial(GradientDescent, lr=0.2), steps=10)
    t = torch.arange(11)[:, None]
    close(path, theta0 * (1 - 0.2 * tensor([1.0, 8.0])) ** t)


def test_momentum_adds_up_a_geometric_sum():
    # With g constant m^t = g (1 - 0.9^(t+1)) / (1 - 0.9); theta sums these over t = 0 ... 19.
    g = tensor([2.0, -1.0])
    m = sum((1 - 0.9 ** (t + 1)) / (1 - 0.9) for t in range(20))
    close(feed(partial(Momentum, lr=0.1, momentum=0.9), [g] * 20), -0.1 * m * g)


def test_momentum_is_the_form_with_eta_inside_while_eta_is_constant():
    gradients = gradients_like(12, 3, seed=3)
    theta, m = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    for g in gradients:
        m = 0.7 * m - 0.1 * g
        theta = theta + m
    close(feed(partial(Momentum, lr=0.1, momentum=0.7), gradients), theta)


@pytest.mark.parametrize("make", [Adagrad, RMSProp, Adam])
def test_first_step_is_lr_long_against_the_sign(make):
    g = tensor([1e-6, -3.0, 1e6])
    close(feed(partial(make, lr=0.1, eps=0), [g]), -0.1 * g.sign())


@pytest.mark.parametrize("make", [Adagrad, partial(Adagrad, mean=False), RMSProp, Adam])
def test_eps_stands_outside_the_root(make):
    # sigma = |g| + eps = 2e-3 halves the step; inside, sqrt(g^2 + eps) would be 0.03.
    g = tensor([1e-3, 0.0])
    close(feed(partial(make, lr=0.1, eps=1e-3), [g]), tensor([-0.05, 0.0]))


@pytest.mark.parametrize("make", [Adagrad, RMSProp, Adam])
def test_every_step_is_lr_long_while_the_gradient_is_constant(make):
    g = tensor([4.0, -0.5])
    close(feed(partial(make, lr=0.1, eps=0), [g] * 30), -0.1 * 30 * g.sign())


def test_adagrad_divides_by_the_root_mean_square_or_the_root_of_the_sum():
    gradients = gradients_like(9, 4, seed=4)
    sums = gradients.square().cumsum(0)
    count = torch.arange(1, 10)[:, None]
    mean = feed(partial(Adagrad, lr=0.1, eps=1e-3), gradients)
    close(mean, -0.1 * (gradients / ((sums / count).sqrt() + 1e-3)).sum(0))
    total = feed(partial(Adagrad, lr=0.1, mean=False, eps=1e-3), gradients)
    close(total, -0.1 * (gradients / (sums.sqrt() + 1e-3)).sum(0))


def test_rmsprop_is_the_recursion_from_the_first_gradient():
    gradients = gradients_like(9, 4, seed=5)
    theta, sigma = torch.zeros(4, dtype=torch.float64), gradients[0].abs()
    for t, g in enumerate(gradients):
        if t > 0:
            sigma = (0.7 * sigma**2 + 0.3 * g**2).sqrt()
        theta = theta - 0.1 / (sigma + 1e-3) * g
    close(feed(partial(RMSProp, lr=0.1, alpha=0.7, eps=1e-3), gradients), theta)


def test_adam_is_the_published_algorithm():
    gradients = gradients_like(9, 4, seed=6)
    theta, m, v = torch.zeros(3, 4, dtype=torch.float64)
    for s, g in enumerate(gradients, start=1):
        m = 0.6 * m + 0.4 * g
        v = 0.9 * v + 0.1 * g**2
        m_hat, v_hat = m / (1 - 0.6**s), v / (1 - 0.9**s)
        theta = theta - 0.1 * m_hat / (v_hat.sqrt() + 1e-3)
    close(feed(partial(Adam, lr=0.1, betas=(0.6, 0.9), eps=1e-3), gradients), theta)


numbers = st.floats(-1e3, 1e3).filter(lambda x: x == 0 or abs(x) > 1e-6)
some_gradients = st.lists(st.lists(numbers, min_size=2, max_size=2), min_size=1, max_size=20)


@settings(deadline=None)
@given(some_gradients)
def test_momentum_zero_is_gradient_descent(gradients):
    gradients = tensor(gradients)
    momentum = feed(partial(Momentum, lr=0.1, momentum=0), gradients)
    assert torch.equal(momentum, feed(partial(GradientDescent, lr=0.1), gradients))


@settings(deadline=None)
@given(some_gradients)
def test_adagrad_of_the_mean_with_inverse_sqrt_is_that_of_the_sum(gradients):
    gradients = tensor(gradients)
    gradients[0] += 1e4  # sigma = 0 would be 0 / 0
    theta = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = Adagrad([theta], lr=0.1, eps=0)
    scheduler = LambdaLR(optimizer, lambda t: (t + 1) ** -0.5)
    for g in gradients:
        theta.grad = g.clone()
        optimizer.step()
        scheduler.step()
    close(theta.detach(), feed(partial(Adagrad, lr=0.1, mean=False, eps=0), gradients))


# --- a torch optimizer like any other --------------------------------------------------------


@each_of_ours
def test_state_dict_continues_the_same_run(ours):
    params, loss = network()
    optimizer = ours(params)
    for _ in range(5):
        differentiate(loss, params)
        optimizer.step()
    file = io.BytesIO()
    torch.save({"params": params, "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    copies = saved["params"]
    resumed = ours(copies, lr=7.0)
    resumed.load_state_dict(saved["optimizer"])
    for _ in range(5):
        for current, runner in ((params, optimizer), (copies, resumed)):
            differentiate(loss, current)
            runner.step()
    assert all(torch.equal(*pair) for pair in zip(params, copies, strict=True))


@each_of_ours
def test_step_leaves_a_parameter_without_gradient_alone(ours):
    # `late` joins after two steps: its own t starts at 0 then.
    gradients = gradients_like(5, 2, seed=7)
    early, late = (torch.zeros(2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    optimizer = ours([early, late])
    for t, g in enumerate(gradients):
        early.grad, late.grad = g.clone(), g.clone() if t >= 2 else None
        optimizer.step()
        assert t >= 2 or torch.equal(late, torch.zeros_like(late))
    assert torch.equal(early, feed(ours, gradients))
    assert torch.equal(late, feed(ours, gradients[2:]))


def test_step_returns_the_loss_of_its_closure():
    theta = torch.tensor([1.0, 1.0], requires_grad=True)
    optimizer = GradientDescent([theta], lr=0.1)
    assert optimizer.step() is None

    def closure():
        optimizer.zero_grad()
        loss = bowl(theta)
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4.5
    close(theta.detach(), torch.tensor([0.9, 0.2]), rtol=0, atol=1e-6)


def test_add_param_group_takes_what_it_leaves_out_from_the_optimizer():
    first, second = (torch.zeros(1, requires_grad=True) for _ in range(2))
    optimizer = Adam([first], lr=0.5, betas=(0.1, 0.2))
    optimizer.add_param_group({"params": second, "lr": 0.25})
    group = optimizer.param_groups[1]
    assert (group["lr"], group["betas"], group["eps"]) == (0.25, (0.1, 0.2), 1e-8)


# --- trajectory ------------------------------------------------------------------------------

# Four settings of every hyper-parameter, one for each row.
GRIDS = {
    GradientDescent: {"lr": [1e-4, 5e-4, 1e-3, 0.0]},
    Momentum: {"lr": [1e-4, 5e-4, 1e-3, 1e-4], "momentum": [0.0, 0.5, 0.9, 0.99]},
    Adagrad: {"lr": [0.1, 0.5, 1.0, 2.0], "eps": [1e-8, 1e-4, 0.1, 1.0]},
    RMSProp: {"lr": [0.1, 0.5, 0.01, 0.2], "alpha": [0.0, 0.5, 0.9, 0.99]},
    Adam: {"lr": [0.1, 0.5, 0.01, 0.2], "eps": [1e-8, 1e-4, 0.1, 1.0]},
}


@pytest.mark.parametrize("schedule", [None, lambda t: 1 / (t + 1)], ids=["fixed", "scheduled"])
@pytest.mark.parametrize("make", GRIDS)
def test_trajectory_of_a_batch_is_that_of_each_row(make, schedule):
    starts = gradients_like(4, 2, seed=8)
    rows = [
        dict(zip(GRIDS[make], row, strict=True)) for row in zip(*GRIDS[make].values(), strict=True)
    ]
    grid = {name: tensor(values)[:, None] for name, values in GRIDS[make].items()}
    if make is Adam:
        betas = [(0.0, 0.0), (0.5, 0.9), (0.9, 0.999), (0.9, 0.5)]
        rows = [{**row, "betas": pair} for row, pair in zip(rows, betas, strict=True)]
        grid["betas"] = tensor(betas).T[:, :, None].unbind()
    path = trajectory(rosenbrock, starts, partial(make, **grid), 40, schedule)
    assert path.shape == (41, 4, 2)
    for i, row in enumerate(rows):
        alone = trajectory(rosenbrock, starts[i], partial(make, **row), 40, schedule)
        close(path[:, i], alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("make", [GradientDescent, Momentum])
def test_trajectory_keeps_a_row_that_diverges_from_the_others(make):
    starts = tensor([[-1.2, 1.0]] * 3)
    rates = tensor([[1e-4], [10.0], [2e-4]])
    path = trajectory(rosenbrock, starts, partial(make, lr=rates), steps=50)
    assert not path[-1, 1].isfinite().any()
    sane = trajectory(rosenbrock, starts[::2], partial(make, lr=rates[::2]), steps=50)
    close(path[:, ::2], sane)
    assert sane.isfinite().all()


def test_trajectory_applies_the_schedule_to_lr():
    # On h x^2 / 2 step t multiplies x by 1 - lr f(t) h.
    rate = tensor([[0.3], [0.6]])
    theta0 = tensor([[1.0, 1.0], [2.0, -1.0]])
    path = trajectory(bowl, theta0, partial(GradientDescent, lr=rate), 3, lambda t: 1 / (t + 1))
    h = tensor([1.0, 8.0])
    close(path[-1], theta0 * (1 - rate * h) * (1 - rate / 2 * h) * (1 - rate / 3 * h))


def test_trajectory_leaves_its_arguments_alone():
    theta0 = torch.tensor([[1.0, 1.0]], requires_grad=True)
    rate = torch.tensor([[0.5]])
    path = trajectory(bowl, theta0, partial(GradientDescent, lr=rate), 3, lambda t: 0.5)
    assert torch.equal(theta0, torch.ones(1, 2))
    assert theta0.grad is None
    assert rate.item() == 0.5
    assert not path.requires_grad
    assert torch.equal(path[0], theta0)


def test_trajectory_of_no_steps_is_the_start():
    theta0 = torch.tensor([1.0, 2.0])
    assert torch.equal(trajectory(bowl, theta0, Adam, steps=0), theta0[None])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_optimizers_copy_tensor_hyper_parameters_in_the_dtype_of_theta(dtype):
    theta = torch.ones(2, 1, dtype=torch.float64, requires_grad=True)
    rate = torch.tensor([[0.5], [0.25]], dtype=dtype)
    optimizer = GradientDescent([theta], lr=rate)
    rate.zero_()
    theta.grad = torch.ones_like(theta)
    optimizer.step()
    close(theta.detach(), tensor([[0.5], [0.75]]))


# --- errors ----------------------------------------------------------------------------------

nan, inf = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("make", "name", "value", "error"),
    [
        *[(GradientDescent, "lr", value, ValueError) for value in (-0.1, nan, inf, 1e39, 10**400)],
        *[(Momentum, "momentum", value, ValueError) for value in (-0.1, 1.0, nan)],
        *[(RMSProp, "alpha", value, ValueError) for value in (-0.1, 1.0, 1.5)],
        *[(Adam, "betas", value, ValueError) for value in ((-0.1, 0.9), (0.9, 1.0))],
        *[(make, "eps", -1e-8, ValueError) for make in (Adagrad, RMSProp, Adam)],
        (Adam, "betas", 0.9, TypeError),
        (Adam, "betas", (0.9,), TypeError),
        (Adam, "betas", ("a", "b"), TypeError),
        (GradientDescent, "lr", "0.1", TypeError),
        (GradientDescent, "lr", None, TypeError),
        (Adagrad, "mean", 1e-8, TypeError),
        (Momentum, "momentum", torch.tensor([[0.5], [1.0]]), ValueError),
        (Momentum, "momentum", torch.tensor([[-0.5], [0.9]]), ValueError),
        (GradientDescent, "lr", torch.tensor([[nan], [0.9]]), ValueError),
        (GradientDescent, "lr", torch.tensor([0.1, 0.2]), ValueError),
        (GradientDescent, "lr", torch.tensor([[0.1], [0.2], [0.3]]), ValueError),
        (GradientDescent, "lr", torch.zeros(0, 1), ValueError),
        (GradientDescent, "lr", torch.tensor(0.1j), TypeError),
    ],
)
def test_optimizers_refuse_a_bad_hyper_parameter_by_name(make, name, value, error):
    theta = torch.zeros(2, 2, requires_grad=True)
    with pytest.raises(error, match=name):
        make([theta], **{"lr": 0.1, name: value})


def test_add_param_group_refuses_and_stays_as_it_was():
    theta, other = (torch.zeros(2, requires_grad=True) for _ in range(2))
    optimizer = GradientDescent([theta], lr=0.1)
    with pytest.raises(ValueError, match="lr must be in"):
        optimizer.add_param_group({"params": other, "lr": -1.0})
    assert len(optimizer.param_groups) == 1


def test_optimizers_take_numbers_of_any_kind():
    theta = torch.zeros(2, requires_grad=True)
    optimizer = Momentum([theta], lr=Fraction(1, 2), momentum=Fraction(1, 4))
    theta.grad = torch.ones(2)
    optimizer.step()
    close(theta.detach(), torch.tensor([-0.5, -0.5]))


def test_optimizers_refuse_one_tensor_for_parameters_of_two_dtypes():
    # It would be copied to the dtype of the first, where 1e-8 is 0.
    thetas = [
        torch.zeros(2, dtype=dtype, requires_grad=True) for dtype in (torch.half, torch.float)
    ]
    with pytest.raises(TypeError, match="lr must be real, or a number if dtypes differ"):
        GradientDescent(thetas, lr=torch.tensor(1e-8))


def test_optimizers_refuse_a_row_of_rates_for_a_parameter_without_rows():
    theta = torch.tensor(1.0, requires_grad=True)
    with pytest.raises(ValueError, match="lr must be a number"):
        GradientDescent([theta], lr=torch.tensor([0.1]))


@pytest.mark.parametrize("params", [None, 1.0, [{"lr": 0.1}], torch.zeros(2)])
def test_optimizers_refuse_what_are_no_parameters(params):
    with pytest.raises(TypeError, match="params"):
        Adam(params)


def test_adagrad_refuses_a_group_whose_mean_is_no_bool():
    theta = torch.zeros(2, requires_grad=True)
    with pytest.raises(TypeError, match="mean must be True or False, got 'no'"):
        Adagrad([{"params": [theta], "mean": "no"}], lr=0.1)


def test_optimizers_refuse_complex_parameters():
    theta = torch.zeros(2, dtype=torch.complex64, requires_grad=True)
    with pytest.raises(TypeError, match="params must be real, got a complex"):
        Adam([theta])


def test_step_refuses_sparse_gradients():
    table = torch.nn.Embedding(3, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(TypeError, match=r"dense.*sparse_coo"):
        Adam(table.parameters()).step()


@pytest.mark.parametrize(
    "theta0",
    [
        [1.0, 2.0],
        torch.tensor([1, 2]),
        torch.tensor(1.0),
        torch.zeros(1, 2, 2),
        torch.zeros(0, 2),
        torch.tensor([1.0, nan]),
        torch.tensor([1.0, inf]),
        torch.zeros(2, dtype=torch.complex64),
    ],
)
def test_trajectory_refuses_a_bad_start(theta0):
    with pytest.raises(ValueError, match="theta0 must be"):
        trajectory(bowl, theta0, Adam, steps=1)


@pytest.mark.parametrize("steps", [-1, 1.5, None])
def test_trajectory_refuses_a_bad_number_of_steps(steps):
    with pytest.raises(ValueError, match="steps must be"):
        trajectory(bowl, torch.zeros(2), Adam, steps)


def test_trajectory_takes_a_count_of_steps_from_numpy():
    assert len(trajectory(bowl, torch.ones(2), Adam, np.int64(3))) == 4


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("loss", None, TypeError),
        ("loss", lambda theta: 1.0, TypeError),
        ("loss", lambda theta: theta.detach().sum(-1), ValueError),
        ("loss", lambda theta: (1j * theta).sum(-1), ValueError),
        ("optimizer", None, TypeError),
        ("optimizer", lambda params: 1, TypeError),
        ("schedule", 0.5, TypeError),
        ("schedule", lambda t: -1.0, ValueError),
        ("schedule", lambda t: nan, ValueError),
        ("schedule", lambda t: "1", ValueError),
        ("schedule", lambda t: torch.ones(2), ValueError),
    ],
)
def test_trajectory_refuses_a_bad_function_by_name(name, value, error):
    arguments = {"loss": bowl, "optimizer": Adam, "schedule": None, name: value}
    with pytest.raises(error, match=name):
        trajectory(theta0=torch.ones(2, 2), steps=2, **arguments)


def test_trajectory_refuses_a_loss_that_mixes_the_rows():
    with pytest.raises(
        ValueError, match=r"loss must map \(\.\.\., d\) to \(\.\.\.\), got shape \(\)"
    ):
        trajectory(lambda theta: bowl(theta).mean(), torch.zeros(3, 2), Adam, steps=1)
