import _thread
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.nn.utils import parameters_to_vector
from torch.utils.data import DataLoader, TensorDataset

from lib.hessian import HessianOperator, eigenpairs, flat_loss
from lib.landscape import random_direction, slice_1d, slice_2d

# torch's forward mode compiles with what it calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")


def draw(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fill(model):
    model = model.double()
    for i, p in enumerate(model.parameters()):
        p.data = 0.5 * draw(*p.shape, seed=i)
    return model


def examples(n, *shape):
    return draw(n, *shape, seed=100), torch.arange(n) % 3


def mlp():
    return fill(nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)))


def frozen():
    model = mlp()
    model[0].bias.requires_grad_(False)
    return model


def convnet():
    """Convolution, batch norm in eval mode, ReLU in place, a flattened hidden layer."""
    layers = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(True), nn.Flatten(), nn.Linear(12, 3)
    model = fill(nn.Sequential(*layers)).eval()
    model[1].running_var.copy_(torch.tensor([0.5, 1.0, 2.0]))
    return model


class Steps(nn.Module):
    """One layer reads two views of the data, one of them twice, and then its own output."""

    def __init__(self):
        super().__init__()
        self.read, self.turn = nn.Linear(3, 3, bias=False), nn.Linear(3, 3)
        self.turn.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x):
        h = self.read(x[:, :3]) * self.read(x[:, 2:]) + self.turn(x[:, :3]).relu_()
        return self.turn(self.read(x[:, 2:] * 2) + self.turn(h)) + self.read(x[:, :3])


class Field(nn.Module):
    """The gradient of a network with respect to what it reads, by either of torch's ways."""

    def __init__(self, func):
        super().__init__()
        self.net, self.func = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1)), func

    def forward(self, x):
        if self.func:
            return torch.func.vmap(torch.func.jacfwd(lambda x: self.net(x)[0]))(x)[:, :3]
        with torch.enable_grad():
            x = x.view_as(x).requires_grad_()
            (slope,) = torch.autograd.grad(self.net(x).sum(), x, create_graph=True)
        return slope[:, :3]


CASES = {
    "mlp": (mlp, examples(12, 5)),
    "frozen": (frozen, examples(12, 5)),
    "flattened": (lambda: nn.Sequential(nn.Flatten(), *mlp()), examples(12, 1, 5)),
    "convnet": (convnet, examples(6, 1, 4, 4)),
    "steps": (lambda: fill(Steps()), examples(12, 5)),
    "slope": (lambda: fill(Field(func=False)), examples(6, 5)),
    "jacobian": (lambda: fill(Field(func=True)), examples(6, 5)),
}
each_model = pytest.mark.parametrize(("make", "data"), CASES.values(), ids=CASES)


def batches(x, label, size=5):
    """The last batch is smaller than the others."""
    return list(zip(x.split(size), label.split(size), strict=True))


def snapshot(model):
    """All of a model that a slice might change: bits and places, gradients, modes."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return (
        [(name, id(t), t.data_ptr(), t.numpy(force=True).tobytes()) for name, t in tensors],
        [
            (p.requires_grad, None if p.grad is None else p.grad.tolist())
            for p in model.parameters()
        ],
        [(name, module.training) for name, module in model.named_modules()],
    )


@each_model
def test_slice_2d_is_the_loss_at_each_point_of_the_plane(make, data):
    model = make()
    loss, theta = flat_loss(model, cross_entropy, *data)
    u, v = draw(len(theta), seed=1), draw(len(theta), seed=2)
    x, y, losses = slice_2d(
        model, cross_entropy, batches(*data), u, v, x=(-1, 2), y=(-0.5, 0.5), points=4
    )
    torch.testing.assert_close(x, torch.tensor([-1, 0, 1, 2], dtype=torch.float64))
    torch.testing.assert_close(y, torch.linspace(-0.5, 0.5, 4, dtype=torch.float64))
    expected = [[loss(theta + a * u + b * v).item() for a in x] for b in y]
    torch.testing.assert_close(losses, torch.tensor(expected, dtype=torch.float64))


@each_model
def test_slice_1d_is_a_row_of_the_plane(make, data):
    model = make()
    u, v = random_direction(model, seed=1), random_direction(model, seed=2)
    x, losses = slice_1d(model, cross_entropy, [data], u, x=(-2, 2), points=5)
    plane = slice_2d(model, cross_entropy, [data], u, v, x=(-2, 2), points=5)
    assert torch.equal(x, plane.x)
    torch.testing.assert_close(losses, plane.losses[2])


def test_slice_2d_of_a_quadratic_is_that_quadratic():
    """With mean (w . e_i - 0)² / 2 over the rows of the identity, L = |w|² / 4."""
    model = nn.Linear(2, 1, bias=False).double()
    data = [(torch.eye(2, dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64))]
    model.weight.data[:] = torch.tensor([3.0, -1.0])
    u, v = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    x, y, losses = slice_2d(model, lambda a, b: mse_loss(a, b) / 2, data, u, v, points=9)
    w1, w2 = 3 + x + y[:, None], -1 + x - y[:, None]
    torch.testing.assert_close(losses, (w1**2 + w2**2) / 4)


def test_slice_1d_bends_along_an_eigenvector_by_its_eigenvalue():
    model, data = mlp(), examples(12, 5)
    pairs = eigenpairs(HessianOperator(model, cross_entropy, [data]), k=2, which="BE", tol=1e-6)
    h = 1e-3
    for value, u in zip(pairs.evals, pairs.evecs.T, strict=True):
        low, here, high = slice_1d(model, cross_entropy, [data], u, x=(-h, h), points=3).losses
        assert (low - 2 * here + high) / h**2 == pytest.approx(value.item(), rel=1e-4)


def test_slice_1d_between_two_solutions_ends_at_their_losses():
    a, b, data = mlp(), nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)), examples(12, 5)
    b.double()
    u = (parameters_to_vector(b.parameters()) - parameters_to_vector(a.parameters())).detach()
    losses = slice_1d(a, cross_entropy, [data], u, x=(0, 1), points=2).losses
    expected = [cross_entropy(model(data[0]), data[1]) for model in (a, b)]
    torch.testing.assert_close(losses, torch.stack(expected).detach())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_slice_2d_is_the_models_own_loss_to_the_bit_in_the_middle(dtype):
    model, (x, label) = mlp().to(dtype), examples(12, 5)
    x = x.to(dtype)
    u, v = random_direction(model, seed=1), random_direction(model, seed=2)
    plane = slice_2d(model, cross_entropy, [(x, label)], u, v, x=(-0.3, 0.3), y=(-7, 7), points=3)
    assert plane.x[1] == plane.y[1] == 0
    assert plane.losses[1, 1] == cross_entropy(model(x), label).item()


def test_slice_1d_moves_what_the_loss_reads_of_the_model_itself():
    model, (x, label) = mlp(), examples(12, 5)

    def decayed(output, label):
        return cross_entropy(output, label) + sum(p.square().sum() for p in model.parameters())

    u = draw(39, seed=1)
    losses = slice_1d(model, decayed, [(x, label)], u, points=3).losses
    loss, theta = flat_loss(model, cross_entropy, x, label)
    for a, value in zip((-1, 0, 1), losses, strict=True):
        point = theta + a * u
        torch.testing.assert_close(value, loss(point) + point.square().sum())


def test_slice_1d_reads_data_once_and_all_of_it():
    model, (x, label) = mlp(), examples(12, 5)
    u = draw(39, seed=1)
    whole = slice_1d(model, cross_entropy, [(x, label)], u, points=5).losses
    shuffled = DataLoader(TensorDataset(x, label), batch_size=5, shuffle=True)
    for data in (batches(x, label, 7), iter(batches(x, label, 1)), shuffled):
        torch.testing.assert_close(slice_1d(model, cross_entropy, data, u, points=5).losses, whole)


class Counter(nn.Module):
    """Counts its calls in a buffer, replaces another, and fails at a given call."""

    def __init__(self, stop=None, error=None):
        super().__init__()
        self.layer, self.stop, self.error = nn.Linear(5, 3), stop, error
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("last", torch.full((2,), torch.nan))
        self.register_buffer("none", None)

    def forward(self, x):
        self.count += 1
        self.last = self.last + 1
        if self.count == self.stop:
            self.error()
        return self.layer(x)


def fail():
    raise ArithmeticError


@pytest.mark.parametrize("error", [fail, _thread.interrupt_main])
@pytest.mark.parametrize("stop", [None, 1, 7])
def test_slice_2d_leaves_the_model_as_it_was(stop, error):
    model = fill(nn.Sequential(Counter(stop, error), nn.ReLU(), nn.Linear(3, 3)))
    model[2].eval()
    model[0].layer.bias.requires_grad_(False)
    model[2].weight.data[0, 0] = -0.0
    x, label = examples(12, 5)
    cross_entropy(model[2](model[1](model[0].layer(x))), label).backward()
    u, v = draw(27, seed=1), draw(27, seed=2)
    before = snapshot(model)
    with nullcontext() if stop is None else pytest.raises((ArithmeticError, KeyboardInterrupt)):
        slice_2d(model, cross_entropy, batches(x, label), u, v, points=3)
    assert snapshot(model) == before


def test_slice_1d_leaves_graphs_of_others_good():
    model, (x, label) = mlp(), examples(12, 5)
    loss = cross_entropy(model(x), label)
    u = random_direction(model)
    slice_1d(model, cross_entropy, [(x, label)], u, points=3)
    kept = torch.autograd.grad(loss, list(model.parameters()))
    fresh = torch.autograd.grad(cross_entropy(model(x), label), list(model.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(kept, fresh, strict=True))


def test_slice_1d_keeps_losses_that_overflow():
    model, (x, label) = mlp().float(), examples(12, 5)
    u = random_direction(model)
    losses = slice_1d(model, cross_entropy, [(x.float(), label)], u, x=(0, 3e38), points=2).losses
    assert losses.isfinite().tolist() == [True, False]


@pytest.mark.parametrize(("layer", "match"), [(nn.Dropout(), "'2'"), (nn.BatchNorm1d(3), "eval")])
def test_slice_1d_refuses_training_mode_where_it_matters(layer, match):
    model = fill(nn.Sequential(nn.Linear(5, 3), nn.ReLU(), layer))
    u = torch.ones(sum(p.numel() for p in model.parameters()))
    with pytest.raises(ValueError, match=match):
        slice_1d(model, cross_entropy, [examples(12, 5)], u)
    slice_1d(model.eval(), cross_entropy, [examples(12, 5)], u, points=2)


DATA = [examples(12, 5)]
U = torch.arange(39) + 1.0
BAD = [
    ({"u": torch.ones(38)}, r"u must be a vector \(39,\).*\(38,\)"),
    ({"u": torch.ones(39, 1)}, r"u must be a vector"),
    ({"u": U.log() / 0}, "u must be finite"),
    ({"u": torch.zeros(39)}, "u must be finite and not 0"),
    ({"x": (1, -1)}, r"x must be two finite numbers.*\[1.0, -1.0\]"),
    ({"x": (0, 0)}, "x must be two finite numbers"),
    ({"x": (0, float("inf"))}, "x must be two finite numbers"),
    ({"x": 1.0}, "x must be two finite numbers"),
    ({"points": 1}, "points must be .* at least 2, got 1"),
    ({"points": 2.5}, "points must be an integer"),
    ({"data": []}, "data must hold at least one example"),
    ({"data": iter([])}, "data must hold at least one example"),
    ({"loss_fn": lambda output, label: output}, "loss_fn must return a scalar"),
    ({"loss_fn": lambda output, label: 1.0}, "loss_fn must return a scalar"),
    ({"model": mlp().requires_grad_(False)}, "no parameter that requires a gradient"),
    ({"u": 1j * U}, "u must be real"),
    ({"model": mlp().float(), "u": 1e300 * U.double()}, "finite and not 0 in torch.float32"),
    ({"model": mlp().float(), "u": 1e-300 * U.double()}, "finite and not 0 in torch.float32"),
    ({"model": mlp().float(), "x": (0, 1e300)}, "x must be two finite numbers"),
    ({"x": (-1.7e308, 1.7e308)}, "x must be two finite numbers"),  # so far apart is infinity
    ({"data": [(torch.ones(2, 9).double(), torch.tensor([0, 1]))]}, "data does not fit model"),
    ({"loss_fn": lambda output, label: 1j * output.sum()}, "loss_fn must return a scalar"),
]


@pytest.mark.parametrize(("argument", "match"), BAD)
def test_slice_1d_refuses_bad_input(argument, match):
    arguments = {"model": mlp(), "loss_fn": cross_entropy, "data": DATA, "u": U} | argument
    before = snapshot(arguments["model"])
    with pytest.raises(ValueError, match=match):
        slice_1d(**arguments)
    assert snapshot(arguments["model"]) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", None),
        ("loss_fn", None),
        ("data", 5),
        ("u", "u"),
        ("u", None),
        ("x", "ab"),
        ("x", None),
    ],
)
def test_slice_1d_refuses_an_argument_of_another_kind(name, value):
    arguments = {"model": mlp(), "loss_fn": cross_entropy, "data": DATA, "u": U, name: value}
    with pytest.raises(TypeError, match=f"{name} must be"):
        slice_1d(**arguments)


@pytest.mark.parametrize("data", [DATA[0], [DATA[0][0]], [(*DATA[0], 0)], [0], 5])
def test_slice_1d_refuses_data_that_is_no_batches(data):
    with pytest.raises(TypeError):
        slice_1d(mlp(), cross_entropy, data, U)


@pytest.mark.parametrize(
    ("argument", "match"),
    [
        ({"v": -2 * U}, "u and v must span a plane"),
        ({"u": 1e-200 * U.double(), "v": 1e-200 * U.double()}, "u and v must span a plane"),
        ({"u": 1e200 * U.double(), "v": 1e200 * U.double()}, "u and v must span a plane"),
        ({"v": torch.ones(2)}, "v must be a vector"),
        ({"y": (3, 2)}, "y must be two"),
    ],
)
def test_slice_2d_refuses_bad_input(argument, match):
    with pytest.raises(ValueError, match=match):
        slice_2d(mlp(), cross_entropy, DATA, **({"u": U, "v": U.flip(0)} | argument))


def filters(model, direction):
    """Each filter of a direction beside the model's; parameters of one dimension as a whole."""
    parts = direction.split([p.numel() for p in model.parameters()])
    for p, part in zip(model.parameters(), parts, strict=True):
        yield (
            p.detach().flatten(1 if p.ndim > 1 else 0),
            part.view_as(p).flatten(min(1, p.ndim - 1)),
        )


@pytest.mark.parametrize("make", [mlp, convnet])
def test_random_direction_has_the_models_filter_norms_and_no_biases(make):
    model = make()
    for direction in (random_direction(model), random_direction(model, 1, draw_like(model))):
        for p, part in filters(model, direction):
            if p.ndim > 1:
                torch.testing.assert_close(part.norm(dim=1), p.norm(dim=1))
            else:
                assert not part.any()


def draw_like(model):
    return draw(sum(p.numel() for p in model.parameters()), seed=9)


@pytest.mark.parametrize("make", [mlp, convnet])
def test_random_direction_is_orthogonal_filter_by_filter(make):
    model = make()
    for u in (random_direction(model), draw_like(model)):
        v = random_direction(model, seed=1, orthogonal_to=u)
        for (p, a), (_, b) in zip(filters(model, u), filters(model, v), strict=True):
            if p.ndim > 1:
                torch.testing.assert_close((a * b).sum(1), torch.zeros(len(p)).double())


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_random_direction_scales_with_the_model_and_not_with_what_it_avoids(scale):
    model, u = mlp(), draw_like(mlp())
    v = random_direction(model, 1, u)
    torch.testing.assert_close(random_direction(model, 1, scale * u), v)
    for p in model.parameters():
        p.data *= scale
    torch.testing.assert_close(random_direction(model, 1, u) / scale, v)


def test_random_direction_is_gaussian_before_it_is_scaled():
    """Of n coordinates of a Gaussian direction on the unit sphere, n times the fourth power
    has the mean 3 n / (n + 2); of a uniform draw's it would be 9 / 5."""
    model = nn.Linear(50, 2000, bias=False)
    u = random_direction(model).view(2000, 50) / model.weight.detach().norm(dim=1, keepdim=True)
    assert u.mean().abs() < 1e-3
    assert (50 * u.pow(4).sum(1)).mean() == pytest.approx(3 * 50 / 52, rel=0.02)


def test_random_direction_is_its_seeds_and_leaves_the_global_one():
    model, state = mlp(), torch.get_rng_state()
    assert torch.equal(random_direction(model, 3), random_direction(model, 3))
    assert not torch.equal(random_direction(model, 3), random_direction(model, 4))
    assert torch.equal(torch.get_rng_state(), state)


def test_random_direction_leaves_out_what_cannot_turn_or_is_frozen():
    model = nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 2, bias=False))
    model[1].weight.data[0] = 0
    u = random_direction(model)
    torch.testing.assert_close(u[:4].abs(), model[0].weight.detach().abs()[:, 0])
    assert not u[4:12].any()
    v = random_direction(model, 1, orthogonal_to=u)
    assert not v[:12].any()
    assert v[12:].any()
    model[0].requires_grad_(False)
    assert len(random_direction(model)) == 8


@pytest.mark.parametrize(
    ("make", "options", "match"),
    [
        (lambda: nn.BatchNorm1d(3), {}, "two or more dimensions"),
        (lambda: nn.Linear(1, 200), {"orthogonal_to": draw(400, seed=1)}, "can turn"),
        (lambda: mlp().requires_grad_(False), {}, "requires a gradient"),
        (mlp, {"orthogonal_to": torch.ones(3)}, r"orthogonal_to must be a vector \(39,\)"),
        (mlp, {"orthogonal_to": 1j * torch.ones(39)}, "orthogonal_to must be real"),
        (mlp, {"seed": -1}, "seed must be 0 to"),
        (lambda: nn.Linear(3, 2, dtype=torch.complex64), {}, "must have parameters that are real"),
    ],
)
def test_random_direction_refuses_bad_input(make, options, match):
    with pytest.raises(ValueError, match=match):
        random_direction(make(), **options)


def test_random_direction_refuses_a_model_that_is_not_finite():
    model = mlp()
    model[0].weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match="model must have parameters that are real and finite"):
        random_direction(model)
