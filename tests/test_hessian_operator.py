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
from lib.hessian.dense import flat_gradient, graph_mode
from lib.hessian.graphs import held_bytes

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


# --- some of the parameters, another dtype ---------------------------------------------------


@pytest.mark.parametrize(
    ("make", "params", "expected"),
    [
        (mlp, "0.weight", ["0.weight"]),
        (mlp, "2", ["2.weight", "2.bias"]),
        (mlp, ["2.bias", "0"], ["0.weight", "0.bias", "2.bias"]),
        (frozen, ["0", "2.bias"], ["0.bias", "2.bias"]),
        (lambda: fill(Tied()), "layer.bias", ["shift"]),
        (lambda: fill(Tied()), ["shift", "layer"], ["shift", "layer.weight"]),
    ],
)
def test_operator_over_some_parameters_is_their_part_of_the_whole(make, params, expected):
    model, examples = make(), classes(12, 5)
    whole = dense_oracle(model, cross_entropy, *examples)
    free = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    part = torch.cat([torch.full((p.numel(),), name in expected) for name, p in free])
    H = HessianOperator(model, cross_entropy, split(examples, 5, 7), params=params)
    assert [id(p) for p in H.params] == [id(p) for name, p in free if name in expected]
    close(H.dense(), whole[part][:, part])
    v = draw(H.shape[0], seed=20)
    close(H.product(v), whole[part][:, part] @ v)
    optimizer_step(model)
    close(H.product(v), dense_oracle(model, cross_entropy, *examples)[part][:, part] @ v)


@pytest.mark.parametrize("params", ["1", "0.weights", "0.weigh", ["0", "head"], ""])
def test_operator_refuses_names_of_nothing(params):
    wrong = params if isinstance(params, str) else "head"
    message = rf"params must name parameters that require a gradient.*got '{wrong}'; there are \['0"
    with pytest.raises(ValueError, match=message):
        HessianOperator(mlp(), cross_entropy, [classes(12, 5)], params=params)


def test_operator_refuses_names_of_frozen_parameters_and_no_names():
    with pytest.raises(ValueError, match=r"got '0\.weight'; there are"):
        HessianOperator(frozen(), cross_entropy, [classes(12, 5)], params="0.weight")
    with pytest.raises(ValueError, match="params must name at least one parameter, got none"):
        HessianOperator(mlp(), cross_entropy, [classes(12, 5)], params=[])


@each_model
@pytest.mark.parametrize("memory", [0, 2**30])
def test_operator_in_float64_of_a_float32_model_is_the_float64_hessian(make, examples, memory):
    model, (x, label) = make().float(), examples
    state = {name: t.clone() for name, t in model.state_dict().items()}
    n = len(label)
    data = split((x.float(), label), 2, n - 2)
    H = HessianOperator(model, cross_entropy, data, dtype=torch.float64, memory=memory)
    v = draw(H.shape[0], seed=21)
    products = H.product(v), H.product(v)
    assert H.like.dtype == H.gradient().dtype == torch.float64
    assert H.dtype == np.float64
    for name, t in model.state_dict().items():
        assert t.dtype == state[name].dtype
        assert torch.equal(t, state[name])
    oracle = dense_oracle(model.double(), cross_entropy, x.float().double(), label)
    for product in products:
        close(product, oracle @ v)


def test_operator_in_float64_follows_a_float32_model():
    model, (x, label) = mlp().float(), classes(12, 5)
    H = HessianOperator(model, cross_entropy, [(x.float(), label)], dtype=torch.float64)
    v = draw(H.shape[0], seed=22)
    for change in (write_in_place, write_through_data, replace_data):
        before = H.product(v)
        change(model)
        after = dense_oracle(fill_from(model), cross_entropy, x.float().double(), label) @ v
        assert (after - before).norm() > 1e-3 * before.norm()
        close(H.product(v), after)


def fill_from(model):
    """A copy of the model in float64."""
    copy = mlp()
    copy.load_state_dict(model.state_dict())
    return copy


@pytest.mark.parametrize("dtype", [None, torch.float64])
def test_operator_counts_what_the_loss_itself_reads_of_the_parameters(dtype):
    # A penalty of λ/2 |θ|² adds λ to every eigenvalue, whichever way the loss gets at θ.
    model, (x, label) = mlp(), classes(12, 5)
    if dtype:
        model, x = model.float(), x.float()

    def penalised(output, label):
        return cross_entropy(output, label) + 0.05 * sum(
            p.square().sum() for p in model.parameters()
        )

    plain = HessianOperator(model, cross_entropy, [(x, label)], dtype=dtype).dense()
    found = HessianOperator(model, penalised, [(x, label)], dtype=dtype).dense()
    close(found, plain + 0.1 * torch.eye(len(plain)).double())


def test_operator_in_float64_casts_the_tensors_of_a_loss_module_too():
    model, (x, label) = mlp().float(), classes(12, 5)
    loss_fn = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5]))
    H = HessianOperator(model, loss_fn, [(x.float(), label)], dtype=torch.float64)
    weighted = partial(cross_entropy, weight=loss_fn.weight.double())
    close(H.dense(), dense_oracle(fill_from(model), weighted, x.float().double(), label))
    assert loss_fn.weight.dtype == torch.float32


def test_operator_takes_dictionaries_as_input():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp()

        def forward(self, batch):
            return self.net(batch["x"] * batch["scale"])

    x, label = classes(12, 5)
    data = [({"x": x.float(), "scale": 2}, label)]
    H = HessianOperator(Named().float(), cross_entropy, data, dtype=torch.float64)
    net = Named().float().net.double()
    close(H.dense(), dense_oracle(net, cross_entropy, 2 * x.float().double(), label))


@pytest.mark.parametrize("dtype", [torch.float16, torch.int64, "float64", np.float64])
def test_operator_refuses_a_dtype_it_cannot_compute_in(dtype):
    with pytest.raises(ValueError, match=r"dtype must be torch.float32 or torch.float64, got"):
        HessianOperator(mlp(), cross_entropy, [classes(12, 5)], dtype=dtype)


@pytest.mark.parametrize("spoil", ["half", "two"])
def test_operator_in_float64_takes_models_it_could_not_join(spoil):
    model, (x, label) = {"half": in_half, "two": in_two}[spoil](mlp()), classes(12, 5)
    H = HessianOperator(model, cross_entropy, [(x, label)], dtype=torch.float64)
    close(H.dense(), dense_oracle(fill_from(model), cross_entropy, x, label))


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
    check(H @ V[:, :1], D @ V[:, :1])
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


def counted(model):
    """The list that the model's forward passes are counted in."""
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    return calls


@pytest.mark.parametrize("sizes", [(12,), (5, 7)], ids=["whole", "batches"])
def test_operator_runs_the_model_no_more_often_than_it_must(sizes):
    model = mlp()
    calls = counted(model)
    H = HessianOperator(model, cross_entropy, split(classes(12, 5), *sizes))
    for _ in range(5):
        H.product(H.like.fill_(1))
    H.gradient(), H.dense()
    assert len(calls) == len(sizes)
    H = HessianOperator(model, cross_entropy, split(classes(12, 5), *sizes), memory=0)
    calls.clear()
    for _ in range(5):
        H.product(H.like.fill_(1))
    assert len(calls) == 5 * len(sizes)


def bytes_by_hooks(model, x, label):
    """What a graph holds, as torch's hooks for saved tensors tell."""
    sizes = {}

    def pack(t):
        sizes[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t.detach()

    params = [p for p in model.parameters() if p.requires_grad]
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        loss = cross_entropy(model(x), label) * 1.0
        g = torch.cat(
            [part.flatten() for part in torch.autograd.grad(loss, params, create_graph=True)]
        )
    for t in (*model.parameters(), *model.buffers(), x, label):
        sizes.pop(t.untyped_storage().data_ptr(), None)
    return sum(sizes.values()) + g.nbytes + x.nbytes + label.nbytes


@each_model
def test_held_bytes_are_those_that_hooks_see(make, examples):
    model = make()
    params = [p for p in model.parameters() if p.requires_grad]
    with graph_mode():
        g = flat_gradient(cross_entropy(model(examples[0]), examples[1]), params)
        expected = bytes_by_hooks(model, *examples)
    held = held_bytes(g, examples, [*model.parameters(), *model.buffers()])
    assert held == pytest.approx(expected, abs=64)  # a scalar more or less


def test_held_bytes_of_a_square_by_hand():
    # L = sum (x w)²: held are x, of which a slice counts by itself, x w, and the number 1 that
    # the backward pass begins with.
    x, w = draw(10, 100, seed=1)[3:5], torch.ones(100, dtype=torch.float64, requires_grad=True)
    g = flat_gradient((x @ w).square().sum(), [w])
    assert held_bytes(g, (x,), [w]) == g.nbytes + x.nbytes + 2 * 8 + 8


@pytest.mark.parametrize(("kept", "runs"), [(0, 15), (1, 11), (2, 7), (3, 3)])
def test_operator_keeps_the_graphs_of_as_many_batches_as_fit(kept, runs):
    model, data = mlp(), split(classes(12, 5), 4, 4, 4)
    calls = counted(model)
    whole = HessianOperator(model, cross_entropy, [classes(12, 5)])
    v = draw(whole.shape[0], seed=19)
    expected = whole.product(v)
    one = bytes_by_hooks(model, *data[0])
    calls.clear()
    H = HessianOperator(model, cross_entropy, data, memory=kept * one + one // 2)
    for _ in range(5):
        close(H.product(v), expected)
    assert len(calls) == runs  # three at first, then those that are not kept
    optimizer_step(model)
    calls.clear()
    close(H.product(v), whole.product(v))
    assert len(calls) == 3 + 1


@pytest.mark.parametrize("memory", [0, 3000, 2**30])
def test_operator_reads_a_shuffling_loader_right_whatever_it_keeps(memory):
    model, examples = mlp(), classes(12, 5)
    generator = torch.Generator().manual_seed(0)
    loader = DataLoader(TensorDataset(*examples), 4, shuffle=True, generator=generator)
    H = HessianOperator(model, cross_entropy, loader, memory=memory)
    oracle, v = dense_oracle(model, cross_entropy, *examples), draw(H.shape[0], seed=6)
    for _ in range(4):
        close(H.product(v), oracle @ v)
    assert len(H._graphs.kept) == (3 if memory == 2**30 else 0)


def test_operator_knows_a_loaders_batches_again():
    model, examples = mlp(), classes(12, 5)
    loader = DataLoader(TensorDataset(*examples), 4)  # new tensors, of the same values
    calls = counted(model)
    one = bytes_by_hooks(model, *next(iter(loader)))
    calls.clear()
    H = HessianOperator(model, cross_entropy, loader, memory=2 * one + one // 2)
    for _ in range(3):
        H.product(H.like.fill_(1))
    assert len(calls) == 3 + 1 + 1


def test_operator_does_not_overlook_data_that_changes_in_place():
    x, label = classes(12, 5)
    H = HessianOperator(mlp(), cross_entropy, [(x, label)])
    H.gradient()
    x.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        H.product(H.like.fill_(1))


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
    H = HessianOperator(Watched(3, 2).double(), cross_entropy, data, memory=0)
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


def test_operator_refuses_a_budget_below_nothing():
    with pytest.raises(ValueError, match="memory must be at least 0 bytes, got -1"):
        HessianOperator(mlp(), cross_entropy, [classes(12, 5)], memory=-1)


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


@pytest.mark.parametrize(
    ("name", "value"),
    [("model", None), ("loss_fn", 1), ("params", 5), ("memory", "1 GB")],
)
def test_operator_refuses_an_argument_of_another_kind(name, value):
    arguments = {"model": mlp(), "loss_fn": cross_entropy, "data": [classes(12, 5)], name: value}
    with pytest.raises(TypeError, match=f"{name} must be"):
        HessianOperator(**arguments)


@pytest.mark.parametrize(
    "batch",
    [
        (draw(2, 9, seed=0), torch.tensor([0, 1])),
        (draw(2, 5, seed=0).float(), torch.tensor([0, 1])),
    ],
    ids=["width", "dtype"],
)
def test_operator_refuses_a_batch_that_does_not_fit_the_model(batch):
    H = HessianOperator(mlp(), cross_entropy, [classes(12, 5), batch])
    with pytest.raises(ValueError, match="batch 1 of data does not fit model and loss_fn: mat1"):
        H.product(H.like)


def test_operator_refuses_a_complex_loss():
    H = HessianOperator(mlp(), lambda output, label: (1j * output).sum(), [classes(12, 5)])
    with pytest.raises(ValueError, match="the loss must be real"):
        H.product(H.like)


def test_operator_refuses_vectors_that_are_not_real():
    H = HessianOperator(mlp(), cross_entropy, [classes(12, 5)])
    with pytest.raises(ValueError, match="v must be real numbers, got complex128"):
        H @ (1j * np.ones(len(H.like)))
    for v in (None, np.ones(len(H.like)), torch.ones(3), 1j * H.like):
        with pytest.raises(ValueError, match="v must be a real tensor"):
            H.product(v)


def test_operator_refuses_a_vector_of_another_length():
    H = HessianOperator(mlp(), cross_entropy, [classes(12, 5)])
    with pytest.raises(ValueError, match="imension mismatch"):
        H @ np.ones(3)
