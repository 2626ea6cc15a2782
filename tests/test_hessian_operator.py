from functools import partial
from weakref import WeakSet

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import draw
from scipy.sparse.linalg import LinearOperator, aslinearoperator, eigsh
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, TensorDataset

from lib.hessian import HessianOperator

# torch's forward mode, which torch.func.hessian runs on, compiles with what it calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

law = settings(max_examples=25, deadline=None)  # a first call can take a second
close = partial(torch.testing.assert_close, rtol=1e-11, atol=1e-12)


def fill(model, seed=0, scale=0.5):
    """The model in float64, its parameters drawn from a seed of its own."""
    model = model.double()
    for i, p in enumerate(model.parameters()):
        p.data = scale * draw(*p.shape, seed=seed + i)
    return model


def mlp():
    return fill(nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)))


def convnet():
    """Convolution, batch norm in eval mode, max pooling, ReLU."""
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(12, 3),
    )
    model[1].running_var.copy_(torch.tensor([0.5, 1.0, 2.0]))
    return fill(model).eval()


class Tied(nn.Module):
    """One layer used twice, and one of its tensors once more under another name."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(5, 5), nn.Linear(5, 3)
        self.shift = self.layer.bias

    def forward(self, x):
        return self.head(torch.tanh(self.layer(torch.tanh(self.layer(x)))) + self.shift)


class Attention(nn.Module):
    """Attention over the five inputs as five tokens."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(2, 1, batch_first=True)
        self.embed, self.head = nn.Linear(1, 2), nn.Linear(2, 3)

    def forward(self, x):
        tokens = self.embed(x[..., None])
        return self.head(self.attention(tokens, tokens, tokens, need_weights=False)[0].mean(1))


def frozen():
    model = mlp()
    model[0].weight.requires_grad_(False)
    return model


def classes(n, *shape, seed=1):
    """n examples of the given shape, in three classes."""
    return draw(n, *shape, seed=seed), torch.arange(n) % 3


CASES = {
    "mlp": (mlp, classes(12, 5)),
    "convnet": (convnet, classes(6, 1, 7, 7)),
    "tied": (lambda: fill(Tied()), classes(12, 5)),
    "frozen": (frozen, classes(12, 5)),
    "attention": (lambda: fill(Attention()), classes(6, 5)),
}
each_model = pytest.mark.parametrize(("make", "examples"), CASES.values(), ids=CASES)


def dense_oracle(model, loss_fn, x, label):
    """The Hessian by torch.func over all examples at once, forward over reverse mode."""
    params = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    rest = {name: p.detach() for name, p in model.named_parameters() if not p.requires_grad}

    def loss(params):
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            return loss_fn(torch.func.functional_call(model, {**params, **rest}, (x,)), label)

    blocks = torch.func.hessian(loss)(params)
    rows = [
        torch.cat([blocks[a][b].reshape(params[a].numel(), -1) for b in params], 1) for a in params
    ]
    return torch.cat(rows)


def split(examples, *sizes):
    return list(zip(*(tensor.split(sizes) for tensor in examples), strict=True))


# --- against the dense oracle ----------------------------------------------------------------


@each_model
@pytest.mark.parametrize("sizes", [None, (1, 5), (3, 2, 1)], ids=["whole", "two", "three"])
def test_operator_is_the_hessian_of_the_mean_over_all_examples(make, examples, sizes):
    model, n = make(), len(examples[1])
    # The last batch takes what is left, so that batches are unequal.
    data = [examples] if sizes is None else split(examples, *sizes[:-1], n - sum(sizes[:-1]))
    H, oracle = (
        HessianOperator(model, cross_entropy, data),
        dense_oracle(model, cross_entropy, *examples),
    )
    v = draw(len(oracle), seed=2)
    assert H.shape == tuple(oracle.shape)
    close(H.product(v), oracle @ v)
    close(H.product(2 * v), 2 * oracle @ v)
    close(H.dense(), oracle)
    close(H.dense(chunk=7), oracle)
    params = [p for p in model.parameters() if p.requires_grad]
    g = torch.autograd.grad(cross_entropy(model(examples[0]), examples[1]), params)
    close(H.gradient(), torch.cat([part.flatten() for part in g]))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5))
@law
def test_operator_does_not_depend_on_how_examples_are_batched(sizes):
    x, label = draw(sum(sizes), 5, seed=3), draw(sum(sizes), 3, seed=4)
    batched = HessianOperator(mlp(), mse_loss, split((x, label), *sizes))
    whole = HessianOperator(mlp(), mse_loss, [(x, label)])
    v = draw(whole.shape[0], seed=5)
    close(batched.product(v), whole.product(v))
    close(batched.dense(), whole.dense())
    close(batched.gradient(), whole.gradient())


@given(st.integers(0, 2**31))
@law
def test_operator_is_symmetric_and_linear(seed):
    H = HessianOperator(mlp(), cross_entropy, split(classes(7, 5), 3, 4))
    u, v = draw(2, H.shape[0], seed=seed)
    close(u @ H.product(v), v @ H.product(u))
    close(H.product(2 * u - 3 * v), 2 * H.product(u) - 3 * H.product(v))


def test_operator_counts_shared_parameters_once():
    model = fill(Tied())
    H = HessianOperator(model, cross_entropy, [classes(12, 5)])
    assert H.shape == (48, 48)  # 5·5 + 5 and 5·3 + 3
    assert len(list(model.named_parameters(remove_duplicate=False))) == 5
    assert len(H.params) == 4


def test_operator_leaves_out_frozen_parameters():
    model = frozen()
    H = HessianOperator(model, cross_entropy, [classes(12, 5)])
    kept = torch.cat([torch.full((p.numel(),), p.requires_grad) for p in model.parameters()])
    whole = HessianOperator(mlp(), cross_entropy, [classes(12, 5)]).dense()
    close(H.dense(), whole[kept][:, kept])


@pytest.mark.parametrize("batch_size", [4, 7, 64])
def test_operator_takes_a_shuffling_data_loader(batch_size):
    examples = classes(12, 5)
    loader = DataLoader(
        TensorDataset(*examples),
        batch_size=batch_size,
        shuffle=True,
        generator=torch.Generator().manual_seed(0),
    )
    H = HessianOperator(mlp(), cross_entropy, loader)
    oracle, v = dense_oracle(mlp(), cross_entropy, *examples), draw(H.shape[0], seed=6)
    for _ in range(2):
        close(H.product(v), oracle @ v)


@pytest.mark.parametrize(("dtype", "tol"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_operator_works_in_the_models_dtype(dtype, tol):
    x, label = classes(12, 5)
    H = HessianOperator(mlp().to(dtype), cross_entropy, [(x.to(dtype), label)])
    oracle, v = dense_oracle(mlp(), cross_entropy, x, label), draw(H.shape[0], seed=7)
    product = H.product(v.to(dtype))
    assert product.dtype == H.dense().dtype == H.gradient().dtype == H.like.dtype == dtype
    assert H.dtype == {torch.float32: np.float32, torch.float64: np.float64}[dtype]
    assert (H @ v.numpy()).dtype == H.dtype
    torch.testing.assert_close(product.double(), oracle @ v, rtol=tol, atol=tol)


def test_operator_of_least_squares_is_the_normal_matrix():
    # Mean squared error of x w + b: H = 2/N [[xᵀx, xᵀ1], [1ᵀx, N]], whatever the labels are.
    x, label = draw(9, 2, seed=8), draw(9, 1, seed=9)
    H = HessianOperator(nn.Linear(2, 1).double(), mse_loss, split((x, label), 2, 7))
    design = torch.cat([x, torch.ones(9, 1, dtype=torch.float64)], 1)
    close(H.dense(), 2 / 9 * design.T @ design)


def test_operator_is_zero_where_the_loss_is_linear_or_constant():
    model, examples = nn.Linear(3, 1).double(), (draw(4, 3, seed=10), torch.zeros(4))
    linear = HessianOperator(model, lambda output, label: output.mean(), [examples])
    close(linear.dense(), torch.zeros(4, 4).double())
    close(linear.gradient(), torch.cat([examples[0].mean(0), torch.ones(1).double()]))
    constant = HessianOperator(model, lambda output, label: output.new_ones(()), [examples])
    close(constant.product(torch.ones(4).double()), torch.zeros(4).double())


# --- as a SciPy operator ---------------------------------------------------------------------


def test_operator_serves_scipys_eigsh():
    examples = classes(12, 5)
    H = HessianOperator(mlp(), cross_entropy, [examples])
    evals = np.linalg.eigvalsh(dense_oracle(mlp(), cross_entropy, *examples).numpy())
    found, vectors = eigsh(H, k=3, which="SA")
    np.testing.assert_allclose(np.sort(found), evals[:3], rtol=0, atol=1e-10)
    np.testing.assert_allclose(H @ vectors, vectors * found, rtol=0, atol=1e-10)
    np.testing.assert_allclose(
        eigsh(H, k=1, which="LA", return_eigenvectors=False), evals[-1:], rtol=1e-10
    )


def test_operator_does_what_scipy_operators_do():
    H = HessianOperator(mlp(), cross_entropy, split(classes(12, 5), 4, 8))
    assert isinstance(H, LinearOperator)
    assert aslinearoperator(H) is H
    D, d = H.dense().numpy(), H.shape[0]
    V = draw(d, 3, seed=11).numpy()
    check = partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-12)
    check(H @ V, D @ V)
    check(H.matvec(V[:, :1]), D @ V[:, :1])
    check(H.rmatvec(V[:, 0]), D @ V[:, 0])
    check(H.T @ V[:, 0], D @ V[:, 0])
    check(H.H @ V[:, 0], D @ V[:, 0])
    check((2 * H + aslinearoperator(np.eye(d))) @ V[:, 0], 2 * D @ V[:, 0] + V[:, 0])


def test_operator_takes_any_array_of_its_length():
    H = HessianOperator(mlp(), cross_entropy, [classes(12, 5)])
    D, v = H.dense().numpy(), draw(H.shape[0], seed=12).numpy()
    check = partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-12)
    check(H @ v[::-1], D @ v[::-1])
    check(H @ np.broadcast_to(1.0, len(v)), D.sum(1))
    check(H @ np.ones(len(v), dtype=int), D.sum(1))
    check(H @ v.astype(np.float32), D @ v.astype(np.float32))


# --- follows the model, and leaves it alone --------------------------------------------------


def optimizer_step(model):
    x, label = classes(12, 5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    cross_entropy(model(x), label).backward()
    optimizer.step()
    optimizer.zero_grad()


@torch.no_grad()
def write_in_place(model):
    model[0].weight.mul_(2)


def write_through_data(model):
    model[2].bias.data *= 2
    model[0].bias.data.mul_(3)


def replace_data(model):
    for _ in range(3):  # memory freed by one is often taken by the next
        model[2].bias.data = model[2].bias.data * 2


CHANGES = {
    "optimizer step": optimizer_step,
    "load_state_dict": lambda model: model.load_state_dict(fill(mlp(), seed=50).state_dict()),
    "load_state_dict, assign": lambda model: model.load_state_dict(
        fill(mlp(), seed=50).state_dict(), assign=True
    ),
    "in place": write_in_place,
    "through data": write_through_data,
    "replaced data": replace_data,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("sizes", [(12,), (5, 7)], ids=["whole", "batches"])
@pytest.mark.parametrize("make", [mlp, frozen])
def test_operator_follows_the_model(change, sizes, make):
    examples = classes(12, 5)
    model = make()
    H = HessianOperator(model, cross_entropy, split(examples, *sizes))
    v = draw(H.shape[0], seed=13)
    before = H.product(v)
    change(model)
    after = dense_oracle(model, cross_entropy, *examples) @ v
    assert (after - before).norm() > 1e-3 * before.norm()
    close(H.product(v), after)
    close(H.dense() @ v, after)


def test_operator_follows_frozen_parameters_and_buffers():
    model, examples = convnet(), classes(6, 1, 7, 7)
    model[0].requires_grad_(False)
    H = HessianOperator(model, cross_entropy, [examples])
    v = draw(H.shape[0], seed=14)
    for tensor in (model[0].weight, model[1].running_mean):
        before = H.product(v)
        tensor.data += 0.5
        after = dense_oracle(model, cross_entropy, *examples) @ v
        assert (after - before).norm() > 1e-3 * before.norm()
        close(H.product(v), after)


@pytest.mark.parametrize("sizes", [(12,), (5, 7)], ids=["whole", "batches"])
def test_operator_runs_the_model_no_more_often_than_it_must(sizes):
    model, calls = mlp(), []
    model.register_forward_hook(lambda *_: calls.append(1))
    H = HessianOperator(model, cross_entropy, split(classes(12, 5), *sizes))
    for _ in range(5):
        H.product(H.like.fill_(1))
    # One batch: its graph is kept. Several: rebuilt for each product.
    assert len(calls) == (1 if len(sizes) == 1 else 5 * len(sizes))


def test_operator_holds_one_batch_at_a_time():
    graphs, alive = WeakSet(), []

    class Watch(torch.autograd.Function):
        """The identity, whose node lives as long as the graph it is part of."""

        @staticmethod
        def forward(ctx, x):
            graphs.add(ctx)
            alive.append(len(graphs))
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g

    class Watched(nn.Linear):
        def forward(self, x):
            return Watch.apply(super().forward(x))

    data = [(draw(4, 3, seed=i), torch.arange(4) % 2) for i in range(3)]
    H = HessianOperator(Watched(3, 2).double(), cross_entropy, data)
    H.product(draw(8, seed=18))
    H.gradient()
    assert alive == [1] * 6


def test_operator_counts_its_products():
    H = HessianOperator(mlp(), cross_entropy, split(classes(12, 5), 5, 7))
    assert H.num_matvecs == 0
    v = draw(H.shape[0], 3, seed=15)
    H.product(v[:, 0])
    H.matvec(v[:, 0].numpy())
    assert H.num_matvecs == 2
    H @ v.numpy()
    assert H.num_matvecs == 5
    H.gradient(), H.dense()
    assert H.num_matvecs == 5
    assert H.num_examples == 12


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("sizes", [(12,), (5, 7)], ids=["whole", "batches"])
def test_operator_leaves_the_model_untouched(training, sizes):
    model, examples = mlp().train(training), classes(12, 5)
    model[0].bias.grad = torch.ones(4).double()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    addresses = [p.data_ptr() for p in model.parameters()]
    H = HessianOperator(model, cross_entropy, split(examples, *sizes))
    v = draw(H.shape[0], seed=16)
    for result in (H.product(v), H.gradient(), H.dense()):
        assert not result.requires_grad
        result.zero_()  # a caller's own tensor: the operator does not lean on it
    assert H.product(v).norm() > 0.01
    assert H.gradient().norm() > 0.01
    assert model.training == training
    assert [p.data_ptr() for p in model.parameters()] == addresses
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name])
    assert torch.equal(model[0].bias.grad, torch.ones(4).double())
    assert all(p.grad is None for name, p in model.named_parameters() if name != "0.bias")
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("sizes", [(12,), (5, 7)], ids=["whole", "batches"])
def test_operator_works_where_gradients_are_off(guard, sizes):
    examples = classes(12, 5)
    oracle = dense_oracle(mlp(), cross_entropy, *examples)
    v = draw(len(oracle), seed=17)
    model, data = mlp(), split(examples, *sizes)
    with guard():
        H = HessianOperator(model, cross_entropy, data)
        products = H.product(v), H.product(v)
        close(H.dense(), oracle)
        assert not torch.is_grad_enabled()
    for product in products:
        close(product, oracle @ v)


# --- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make_data", "message"),
    [
        (lambda batch: iter([batch]), "pass a list or loader, no generator"),
        (lambda batch: (b for b in [batch]), "pass a list or loader, no generator"),
        (lambda batch: batch, r"pass \[\(x, label\)\], not \(x, label\)"),
        (lambda batch: list(batch), r"pass \[\(x, label\)\], not \(x, label\)"),
        (lambda batch: 5, "data must be batches.*not iterable"),
        (lambda batch: [(*batch, 1)], "data must be batches.*too many values"),
        (lambda batch: TensorDataset(*batch), "data must be batches.*len"),
    ],
    ids=["iterator", "generator", "tuple", "list of two", "number", "triples", "single examples"],
)
def test_operator_refuses_data_it_cannot_read_again_as_batches(make_data, message):
    with pytest.raises(TypeError, match=message):
        HessianOperator(mlp(), cross_entropy, make_data(classes(12, 5)))


@pytest.mark.parametrize("data", [[], (), [(torch.zeros(0, 5), torch.zeros(0))]])
def test_operator_refuses_no_data(data):
    with pytest.raises(ValueError, match="data must hold at least one example, got none"):
        HessianOperator(mlp(), cross_entropy, data)


def test_operator_refuses_data_that_changes_in_number():
    data = split(classes(12, 5), 5, 7)
    H = HessianOperator(mlp(), cross_entropy, data)
    data.pop()
    with pytest.raises(ValueError, match="data gave 5 examples, after 12 at first"):
        H.gradient()


def test_operator_refuses_a_model_with_nothing_to_differentiate():
    with pytest.raises(ValueError, match="model has no parameter that requires a gradient"):
        HessianOperator(mlp().requires_grad_(False), cross_entropy, [classes(12, 5)])


def in_half(model):
    return model.half()


def in_two(model):
    model[0].float()
    return model


def on_two_devices(model):
    model[0].to("meta")
    return model


@pytest.mark.parametrize("spoil", [in_half, in_two, on_two_devices])
def test_operator_refuses_parameters_it_cannot_join(spoil):
    message = "parameters must be all float32 or all float64 and on one device, got"
    with pytest.raises(ValueError, match=message):
        HessianOperator(spoil(mlp()), cross_entropy, [classes(12, 5)])


def test_operator_refuses_a_model_that_has_become_another():
    model = mlp()
    H = HessianOperator(model, cross_entropy, [classes(12, 5)])
    H.gradient()
    model[0].requires_grad_(False)
    with pytest.raises(ValueError, match="make a new operator"):
        H.gradient()
    model[0].requires_grad_(True)
    model.float()
    with pytest.raises(ValueError, match="make a new operator"):
        H.gradient()


@pytest.mark.parametrize(
    "layer",
    [
        nn.Dropout(0.5),
        nn.AlphaDropout(0.5),
        nn.BatchNorm1d(4),
        nn.BatchNorm1d(4, track_running_stats=False),
        nn.RReLU(),
        nn.LSTM(4, 4, num_layers=2, dropout=0.5),
        nn.MultiheadAttention(4, 1, dropout=0.5),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_operator_refuses_modules_without_a_fixed_loss(layer):
    model = nn.Sequential(nn.Linear(5, 4), nn.Sequential(layer))
    message = rf"module '1.0' \({type(layer).__name__}\) has no fixed loss in training mode: call"
    with pytest.raises(ValueError, match=message):
        HessianOperator(model, cross_entropy, [classes(12, 5)])
    HessianOperator(model.eval(), cross_entropy, [classes(12, 5)])


def test_operator_refuses_a_model_put_into_training_mode_later():
    model = fill(nn.Sequential(nn.Linear(5, 3), nn.Dropout(0.5))).eval()
    H = HessianOperator(model, cross_entropy, split(classes(12, 5), 5, 7))
    H.gradient()
    model.train()
    with pytest.raises(ValueError, match=r"call model.eval\(\) first"):
        H.gradient()


def test_operator_refuses_a_loss_that_is_not_finite():
    x, label = classes(12, 5)
    x[9, 0] = float("nan")
    H = HessianOperator(mlp(), cross_entropy, split((x, label), 5, 7))
    with pytest.raises(ValueError, match="the loss is not finite in batch 1: nan"):
        H.gradient()


def test_operator_refuses_a_loss_that_is_no_scalar():
    H = HessianOperator(mlp(), partial(cross_entropy, reduction="none"), [classes(12, 5)])
    with pytest.raises(ValueError, match=r"the loss must be a scalar, got shape \(12,\)"):
        H.product(H.like)
    H = HessianOperator(mlp(), lambda output, label: 1.0, [classes(12, 5)])
    with pytest.raises(TypeError, match=r"the loss must be a tensor, got 1\.0"):
        H.product(H.like)


def test_operator_refuses_a_vector_of_another_length():
    H = HessianOperator(mlp(), cross_entropy, [classes(12, 5)])
    with pytest.raises(ValueError, match="dimension mismatch"):
        H @ np.ones(3)
