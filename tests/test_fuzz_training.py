"""Training on any input: what torch's own loop gives, or an error that names the argument."""

import itertools
import math
import operator
import os
from functools import partial
from numbers import Real
from unittest.mock import patch

import numpy as np
import pytest
import torch
from fuzzing import (
    DTYPES,
    FLOATS,
    INTEGERS,
    answer,
    anything,
    calm,
    fuzz,
    inf,
    junk,
    mostly,
    nan,
    number,
    tensors,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.losses import cross_entropy, mse
from lib.optimizers import Adam, GradientDescent
from lib.training import evaluate, mlp, seeds, sweep, train, train_together, transformer

few = settings(fuzz, max_examples=fuzz.max_examples // 2)
X = torch.tensor([[0.0, 1.0], [1.0, -1.0], [2.0, 0.5], [0.1, 0.2], [-1.0, 1.0]])
LABEL = torch.tensor([0, 1, 2, 1, 0])
not_called = junk.filter(lambda thing: not callable(thing))
integers = st.integers(-2, 4) | st.sampled_from((True, 1.0, 2.5, nan, "1", None, np.int64(2)))
seed_values = mostly(
    st.integers(0, 2**64 - 1), st.sampled_from((-1, 2**64, 1.5, "1", None, np.int64(5))), anything
)


def as_int(value):
    try:
        return operator.index(value)
    except TypeError:
        return None


def counts(value, largest=inf):
    return as_int(value) is not None and 1 <= as_int(value) <= largest


def is_seed(value):
    return as_int(value) is not None and 0 <= as_int(value) < 2**64


class Flat(torch.nn.Module):
    """One output for all examples together."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))

    def forward(self, x):
        return x.sum() * self.weight


def frozen():
    return mlp(2, 3).requires_grad_(False)


# Functions that make an argument, and whether it fits.
MODELS = {
    "mlp": (lambda: mlp(2, 3), True),
    "dropout": (lambda: torch.nn.Sequential(mlp(2, 3), torch.nn.Dropout()), True),
    "no parameters": (torch.nn.Identity, False),
    "frozen": (frozen, False),
    "other width": (lambda: mlp(3, 3), False),
    "one output for all": (Flat, False),
    "double": (lambda: mlp(2, 3, dtype=torch.float64), False),
    "table": (lambda: torch.nn.Embedding(3, 3), False),
    "no tensor": (lambda: torch.nn.LSTM(2, 3), False),
}
LOSSES = {
    "cross-entropy": (cross_entropy, True),
    "mean square": (mse, True),
    "NaN": (lambda output, label: nan * output.sum(), True),
    "infinite": (lambda output, label: output.square().sum() / 0, True),
    "vector": (lambda output, label: output.sum(-1), False),
    "number": (lambda output, label: 1.0, False),
    "constant": (lambda output, label: torch.tensor(1.0), False),
    "detached": (lambda output, label: output.detach().sum(), False),
    "integer": (lambda output, label: (output > 0).sum(), False),
    "complex": (lambda output, label: (1j * output).sum(), False),
    "torch's, of pairs": (torch.nn.functional.cosine_similarity, False),
}
SGD = partial(torch.optim.SGD, lr=0.1)
OPTIMIZERS = {
    "Adam": (lambda: partial(Adam, lr=0.1), True),
    "SGD": (lambda: SGD, True),
    "of another model": (lambda: SGD(mlp(2, 3).parameters()), False),
    "of nothing": (lambda: lambda params: GradientDescent([], lr=0.1), False),
    "no optimizer": (lambda: lambda params: list(params), False),
    "negative": (lambda: partial(GradientDescent, lr=-1.0), False),
}


def one_of(table):
    return st.sampled_from(list(table.values()))


def of_right_kind(x, label):
    tensors = all(torch.is_tensor(t) and not t.is_complex() for t in (x, label))
    return tensors and x.ndim > 0 and len(x) > 0 and x.isfinite().all() and label.isfinite().all()


def is_data(x, label):
    """Whether (x, label) can be learned by a network of 2 inputs and 3 outputs in float32."""
    if not of_right_kind(x, label) or x.dtype != torch.float32 or x.shape[1:] != (2,):
        return False
    if label.dtype in FLOATS:
        return label.shape == (len(x), 3)
    numbers = label.dtype in INTEGERS and label.shape == (len(x),)
    return numbers and bool(((label >= 0) & (label < 3)).all())


def data_sets(n):
    x = tensors((torch.float32,), st.just((n, 2)), calm)
    class_numbers = tensors(INTEGERS, st.just((n,)), st.integers(0, 2))
    probabilities = tensors(FLOATS, st.just((n, 3)), st.floats(0, 1))
    return st.tuples(x, class_numbers | probabilities)


rows = st.integers(1, 6).flatmap(data_sets)
near_x = tensors(FLOATS, st.sampled_from(((5, 2), (5, 3), (5,))))
near_label = tensors(INTEGERS, st.just((5,)), st.integers(-1, 3))
sets = mostly(
    rows,
    st.tuples(near_x | anything, st.just(LABEL)),
    st.tuples(st.just(X), near_label | anything),
)
factors = mostly(st.floats(0, 2), tensors(FLOATS, st.just(())), st.floats(), anything)


def is_factor(value):
    if torch.is_tensor(value) and value.ndim == 0 and not value.is_complex():
        value = value.item()
    return 0 <= number(value) < inf


def is_sets(value):
    if not isinstance(value, dict):
        return value is None
    pairs = [isinstance(pair, tuple) and len(pair) == 2 for pair in value.values()]
    return all(pairs) and all(is_data(*pair) for pair in value.values())


def either(strategy, fits):
    """A value of an argument, and whether it fits."""
    return strategy.map(lambda value: (value, fits(value)))


schedules = factors.map(lambda value: lambda step: value)
named_sets = st.dictionaries(st.sampled_from(("train", "test", 1)), mostly(sets, junk), max_size=2)
ARGUMENTS = {
    "model": one_of(MODELS) | junk.map(lambda thing: (lambda: thing, False)),
    "loss_fn": one_of(LOSSES) | either(not_called, lambda thing: False),
    "optimizer": one_of(OPTIMIZERS) | not_called.map(lambda thing: (lambda: thing, False)),
    "data": either(sets, lambda pair: is_data(*pair)),
    "epochs": either(mostly(integers, anything), counts),
    "batch_size": either(mostly(integers, anything), lambda v: v is None or counts(v, 5)),
    "seed": either(seed_values, is_seed),
    "schedule": either(schedules, lambda f: is_factor(f(0)))
    | either(not_called, lambda thing: thing is None),
    "until_loss": either(
        mostly(st.floats(), anything), lambda v: v is None or (isinstance(v, Real) and v <= inf)
    ),
    "evaluate_on": either(named_sets | not_called, is_sets),
}
NAMES = {
    "data": ("x", "label"),
    "optimizer": ("optimizer", "lr", "param"),
    "model": ("model", "x of", "label", "param", "loss_fn"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
@given(data=st.data())
@few
def test_train_takes_arguments_that_fit_or_refuses(name, data):
    value, fits = data.draw(ARGUMENTS[name])
    arguments = {"data": (X, LABEL), "model": lambda: mlp(2, 3), "optimizer": lambda: SGD}
    arguments |= {"loss_fn": cross_entropy, "epochs": 2, "batch_size": None, name: value}
    x, label = arguments.pop("data")
    model, optimizer = arguments.pop("model")(), arguments.pop("optimizer")()
    call = partial(train, model, x=x, label=label, optimizer=optimizer, **arguments)
    history = answer(call, fits, *NAMES.get(name, (name,)))
    if history is not None:
        size = as_int(arguments["batch_size"]) or len(x)
        updates = as_int(arguments["epochs"]) * math.ceil(len(x) / size)
        assert len(history.loss) <= updates
        assert len(history.loss) == updates or history.stopped_by in ("until_loss", "diverged")
        assert all(p.isfinite().all() for p in model.parameters())


@given(
    pair=rows,
    epochs=st.integers(1, 3),
    lr=st.floats(0, 3),
    batch=st.none() | st.integers(1, 6),
    seed=st.integers(0, 9),
    factor=st.floats(0, 2),
)
@few
def test_train_is_torchs_own_loop(pair, epochs, lr, batch, seed, factor):
    x, label = (t.detach() for t in pair)
    batch = batch and min(batch, len(x))
    model, own = (mlp(2, 3, activation=torch.nn.ReLU, seed=1) for _ in range(2))
    history = train(
        model,
        cross_entropy,
        x,
        label,
        partial(torch.optim.SGD, lr=lr),
        epochs,
        batch_size=batch,
        seed=seed,
        schedule=lambda step: factor**step,
        evaluate_on={"train": (x, label)},
    )
    optimizer, generator = torch.optim.SGD(own.parameters()), torch.Generator().manual_seed(seed)
    target = label if label.is_floating_point() else label.long()
    losses, step = [], 0
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=generator) if batch else torch.arange(len(x))
        for chosen in order.split(batch or len(x)):
            optimizer.param_groups[0]["lr"] = lr * factor**step
            optimizer.zero_grad()
            logits = own(x[chosen])
            loss = torch.nn.functional.cross_entropy(
                logits,
                target[chosen].to(logits.dtype if label.is_floating_point() else torch.int64),
            )
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            step += 1
    # Probabilities of 16 bits are rounded before they are given, alike for both.
    np.testing.assert_allclose(history.loss, losses, rtol=1e-3, atol=1e-4)
    after = evaluate(model, cross_entropy, x, label)
    assert after.loss == pytest.approx(history.evaluations["train"].loss[-1])
    for p, q in zip(model.parameters(), own.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-4)


@given(
    model=mostly(st.just(MODELS["mlp"]), one_of(MODELS)),
    loss=mostly(st.just(LOSSES["cross-entropy"]), one_of(LOSSES)),
    pair=sets,
)
@few
def test_evaluate_is_the_loss_and_the_share_of_hits_or_refuses(model, loss, pair):
    # Without a gradient to take, models and losses that have none will do.
    needs_none = ("dropout", "frozen"), ("constant", "detached", "integer")
    models, fits_model = model[0], model[1] or model is MODELS["frozen"]
    loss_fn, fits_loss = loss[0], loss[1] or any(loss is LOSSES[name] for name in needs_none[1])
    net = models()
    names = ("model", "loss_fn", "x", "label")
    found = answer(
        lambda: evaluate(net, loss_fn, *pair), fits_model and fits_loss and is_data(*pair), *names
    )
    if found is not None:
        x, label = pair
        output = net.eval()(x)
        assert found.loss == pytest.approx(loss_fn(output, label).item(), rel=1e-5, nan_ok=True)
        if label.is_floating_point():
            assert found.accuracy is None
        else:
            hits = [int(row.argmax()) == int(y) for row, y in zip(output, label, strict=True)]
            assert found.accuracy == np.mean(hits)


widths = mostly(st.integers(1, 5), integers, anything)
activations = st.sampled_from((torch.nn.Tanh, torch.nn.ReLU, torch.nn.Tanh(), torch.relu, None, 1))


@given(
    widths=st.lists(widths, max_size=4),
    activation=mostly(st.just(torch.nn.Tanh), activations),
    seed=seed_values,
    dtype=mostly(st.sampled_from(FLOATS), st.sampled_from(DTYPES), junk),
)
@fuzz
def test_mlp_has_the_asked_layers_or_refuses(widths, activation, seed, dtype):
    floating = isinstance(dtype, torch.dtype) and dtype in FLOATS
    makes = activation in (torch.nn.Tanh, torch.nn.ReLU)
    fits = len(widths) >= 2 and all(map(counts, widths)) and makes and is_seed(seed) and floating
    names = ("widths", "activation", "seed", "dtype")
    make = partial(mlp, *widths, activation=activation, seed=seed, dtype=dtype)
    model = answer(make, fits, *names)
    if model is not None:
        sizes = [(len(layer.weight), layer.in_features) for layer in model[::2]]
        expected = [as_int(width) for width in widths]
        assert sizes == [(b, a) for a, b in itertools.pairwise(expected)]
        for layer in model[::2]:
            bound = layer.in_features**-0.5
            assert all((p.abs() <= bound * 1.01).all() for p in layer.parameters())
        assert {p.dtype for p in model.parameters()} == {dtype}


SIZES = ("tokens", "features", "classes", "layers", "width", "heads", "hidden")


@given(data=st.data())
@few
def test_transformer_has_the_asked_shape_or_refuses(data):
    sizes = {name: data.draw(mostly(st.integers(1, 3), st.just(1))) for name in SIZES}
    odd = data.draw(st.none() | st.sampled_from(SIZES))
    if odd:
        sizes[odd] = data.draw(integers | anything)
    others = {"seed": data.draw(seed_values), "norm_first": data.draw(st.booleans() | junk)}
    others["dtype"] = data.draw(mostly(st.sampled_from(FLOATS[:2]), st.sampled_from(DTYPES)))
    fits = all(map(counts, sizes.values())) and as_int(sizes["width"]) % as_int(sizes["heads"]) == 0
    fits = fits and is_seed(others["seed"]) and isinstance(others["norm_first"], bool)
    fits = fits and others["dtype"] in FLOATS
    model = answer(lambda: transformer(**sizes, **others), fits, *SIZES, *others)
    if model is not None:
        x = torch.ones(
            2, as_int(sizes["tokens"]) * as_int(sizes["features"]), dtype=others["dtype"]
        )
        assert model(x).shape == (2, as_int(sizes["classes"]))


@given(
    count=mostly(integers, anything), offset=st.sampled_from(("0", "7", "-1", "1.5", "", "²", "x"))
)
@fuzz
def test_seeds_are_moved_by_the_offset_or_refused(count, offset):
    fits = counts(count) and offset in ("0", "7")
    with patch.dict(os.environ, SEED_OFFSET=offset):
        found = answer(lambda: seeds(count), fits, "count", "SEED_OFFSET")
    if found is not None:
        assert list(found) == [int(offset) + i for i in range(as_int(count))]


values = st.lists(st.integers(0, 3) | junk, max_size=3)
grids = st.dictionaries(st.sampled_from("abc"), mostly(values, anything), max_size=3)


def is_axis(thing):
    if torch.is_tensor(thing) or isinstance(thing, np.ndarray):
        return thing.ndim > 0
    return hasattr(type(thing), "__iter__") and not isinstance(thing, str | bytes | type)


@given(
    grid=mostly(grids, st.dictionaries(junk.filter(lambda t: t.__hash__), values), anything),
    run=mostly(st.just(dict), not_called),
    n_jobs=mostly(st.just(1), st.sampled_from((0, 1.5, "1", True))),
)
@fuzz
def test_sweep_runs_every_setting_in_order_or_refuses(grid, run, n_jobs):
    fits = isinstance(grid, dict) and len(grid) > 0 and callable(run) and n_jobs in (1, True)
    fits = fits and all(isinstance(n, str) and is_axis(v) and len(v) > 0 for n, v in grid.items())
    done = answer(lambda: sweep(run, grid, n_jobs), fits, "grid", "run", "n_jobs")
    if done is not None:
        assert len(done) == math.prod(len(v) for v in grid.values())
        assert all(setting.keys() == result.keys() == grid.keys() for setting, result in done)
        first = [next(iter(v)) for v in grid.values()]
        if not any(torch.is_tensor(v) or isinstance(v, np.ndarray) for v in first):
            assert all(a is b or a == b for a, b in zip(done[0][0].values(), first, strict=True))


def start(seed):
    return torch.nn.utils.parameters_to_vector(mlp(2, 3, seed=seed).parameters()).detach()


def are_starts(t):
    good = torch.is_tensor(t) and t.dtype == torch.float32 and t.shape == (2, 9)
    return good and bool(t.isfinite().all())


def are_seeds(values):
    return isinstance(values, list) and len(values) == 2 and all(map(is_seed, values))


def are_steps(values):
    if not isinstance(values, list):
        return values is None
    numbers = [isinstance(v, int | np.integer) and 0 <= v <= 3 for v in values]
    return len(numbers) > 0 and all(numbers)


def is_row_factor(value):
    if torch.is_tensor(value):
        return value.dtype in FLOATS and value.shape in ((), (2, 1))
    return 0 <= number(value) < inf


row_factors = mostly(st.floats(0, 2), tensors(shapes=st.sampled_from(((), (2, 1), (2,)))), anything)
near_starts = tensors(FLOATS, st.sampled_from(((2, 9), (2, 8), (1, 9), (9,))))
lists_of_steps = st.lists(mostly(st.integers(0, 3), integers), max_size=3)
good_starts = tensors((torch.float32,), st.just((2, 9)), calm)
two_seeds = st.lists(seed_values, min_size=2, max_size=2)
TOGETHER = {
    "model": st.sampled_from([MODELS[n] for n in ("mlp", "no parameters", "frozen", "other width")])
    | junk.map(lambda thing: (lambda: thing, False)),
    "loss_fn": st.sampled_from([LOSSES[n] for n in ("cross-entropy", "NaN", "vector", "number")])
    | either(not_called, lambda thing: False),
    "data": either(sets, lambda pair: is_data(*pair)),
    "theta0": either(mostly(good_starts, near_starts, anything), are_starts),
    "optimizer": one_of(OPTIMIZERS) | not_called.map(lambda thing: (lambda: thing, False)),
    "steps": either(st.just(3) | junk, counts),
    "batch_size": either(mostly(integers, anything), lambda v: counts(v, 5)),
    "seeds": either(mostly(two_seeds, st.lists(seed_values, max_size=3), not_called), are_seeds),
    "schedule": either(row_factors.map(lambda v: lambda t: v), lambda f: is_row_factor(f(0)))
    | either(not_called, lambda thing: thing is None),
    "weight_decay": either(
        mostly(st.floats(-0.1, 1), st.floats(), anything), lambda v: 0 <= number(v) < inf
    ),
    "keep": either(mostly(lists_of_steps, not_called), are_steps),
}


@pytest.mark.parametrize("name", TOGETHER)
@given(data=st.data())
@few
def test_train_together_takes_arguments_that_fit_or_refuses(name, data):
    value, fits = data.draw(TOGETHER[name])
    arguments = {"data": (X, LABEL), "model": lambda: mlp(2, 3), "optimizer": lambda: SGD}
    arguments |= {"loss_fn": cross_entropy, "theta0": torch.stack([start(0), start(1)])}
    arguments |= {"steps": 3, "batch_size": 1, "seeds": [0, 1], "keep": None, name: value}
    x, label = arguments.pop("data")
    model, optimizer = arguments.pop("model")(), arguments.pop("optimizer")()
    call = partial(train_together, model, x=x, label=label, optimizer=optimizer, **arguments)
    names = {"seeds": ("seed",), **NAMES}.get(name, (name,))
    found = answer(call, fits, *names)
    if found is not None:
        loss, theta = found
        steps = as_int(arguments["steps"])
        assert loss.shape == (steps, 2)
        assert theta.shape == (len(arguments["keep"] or [steps]), 2, 9)


@given(
    n=st.integers(1, 3),
    size=st.integers(1, 5),
    lr=st.floats(0.01, 1),
    decay=st.floats(0, 1),
    label=st.just(LABEL) | tensors((torch.float32,), st.just((5, 3)), st.floats(0, 1)),
)
@few
def test_train_together_is_torchs_own_loop_for_each_copy(n, size, lr, decay, label):
    net = mlp(2, 3)
    starts, label = torch.stack([start(i) for i in range(n)]), label.detach()
    rule, steps = partial(GradientDescent, lr=lr), -(-5 // size)
    run = {"batch_size": size, "seeds": range(n), "weight_decay": decay}
    loss, theta = train_together(net, cross_entropy, X, label, starts, rule, steps, **run)
    for i in range(n):
        own = mlp(2, 3, seed=i)
        optimizer = torch.optim.SGD(own.parameters(), lr=lr, weight_decay=decay)
        order = torch.randperm(5, generator=torch.Generator().manual_seed(i))
        for t, chosen in enumerate(order.split(size)):
            optimizer.zero_grad()
            value = torch.nn.functional.cross_entropy(own(X[chosen]), label[chosen])
            square = sum(p.detach().square().sum() for p in own.parameters())
            torch.testing.assert_close(loss[t, i], value.detach() + decay / 2 * square)
            value.backward()
            optimizer.step()
        vector = torch.nn.utils.parameters_to_vector(own.parameters()).detach()
        torch.testing.assert_close(theta[0, i], vector, rtol=1e-4, atol=1e-5)
