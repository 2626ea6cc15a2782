import asyncio
import io
import math
import os
import pickle
import re
import textwrap
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import joblib
import nbclient
import nbformat
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook
from torch.nn.functional import cosine_similarity, cross_entropy, mse_loss
from tqdm import tqdm

from book.build import ROOT
from lib import training
from lib.data import batches
from lib.training import History, evaluate, mlp, seeds, sweep, train, transformer

close = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-12)
SGD = partial(torch.optim.SGD, lr=0.1)
FIELDS = ("loss", "accuracy", "grad_norm", "lr", "epoch")
CHAPTER_2 = ROOT / "chapters" / "02_batch_size.ipynb"
CLUSTER = re.compile(r"^```python\n(.*?dask.*?)^```$", re.DOTALL | re.MULTILINE)  # its code


def examples(number=12, seed=0):
    """Points in the plane, and the class each of them is in, by its angle: 0, 1 or 2."""
    x = torch.randn(number, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    angle = torch.atan2(x[:, 1], x[:, 0])
    return x, ((angle + math.pi) / (2 * math.pi) * 3).long().clamp(max=2)


def net(seed=0):
    return mlp(2, 5, 3, seed=seed, dtype=torch.float64)


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def assert_same(history, other):
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(history, name), getattr(other, name))


# The loop


def test_train_is_the_loop_written_by_hand():
    x, label = examples(13)
    ours, byhand = net(), net()
    history = train(ours, cross_entropy, x, label, SGD, epochs=3, batch_size=4, seed=5)

    optimizer = SGD(byhand.parameters())
    shuffle = torch.Generator().manual_seed(5)
    losses, accuracies, norms = [], [], []
    for _ in range(3):
        for x_batch, label_batch in batches(x, label, batch_size=4, seed=shuffle):
            output = byhand(x_batch)
            loss = cross_entropy(output, label_batch)
            grads = torch.autograd.grad(loss, list(byhand.parameters()))
            for p, grad in zip(byhand.parameters(), grads, strict=True):
                p.grad = grad
            optimizer.step()
            losses.append(loss.item())
            accuracies.append(np.mean(output.argmax(1).numpy() == label_batch.numpy()))
            norms.append(math.sqrt(sum((grad**2).sum().item() for grad in grads)))

    close(flat(ours), flat(byhand))
    np.testing.assert_allclose(history.loss, losses, rtol=1e-12)
    np.testing.assert_allclose(history.accuracy, accuracies, rtol=1e-12)
    np.testing.assert_allclose(history.grad_norm, norms, rtol=1e-12)
    np.testing.assert_array_equal(history.lr, 0.1)
    np.testing.assert_array_equal(history.epoch, np.repeat([0, 1, 2], 4))
    assert history.epoch.dtype == int
    assert (history.stopped_by, history.diverged_at) == ("epochs", None)


def test_train_follows_the_closed_form_of_a_parabola():
    # Loss mean(x²) e² with e = w - 3, so each update multiplies e by 1 - 2 lr mean(x²).
    x = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    line = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
    torch.nn.init.constant_(line.weight, 4.0)
    history = train(line, mse_loss, x, 3 * x, SGD, epochs=10)
    error = (1 - 2 * 0.1 * 2.5) ** np.arange(11)
    np.testing.assert_allclose(history.loss, 2.5 * error[:-1] ** 2, rtol=1e-12)
    np.testing.assert_allclose(history.grad_norm, 2 * 2.5 * error[:-1], rtol=1e-12)
    assert line.weight.item() == pytest.approx(3 + error[-1], rel=1e-12)
    assert history.accuracy is None


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 20), st.integers(1, 4), st.data())
def test_train_makes_every_update_of_every_epoch(number, epochs, data):
    batch_size = data.draw(st.integers(1, number), "batch_size")
    x, label = examples(number)
    history = train(net(), cross_entropy, x, label, SGD, epochs, batch_size=batch_size)
    updates = math.ceil(number / batch_size)
    np.testing.assert_array_equal(history.epoch, np.repeat(np.arange(epochs), updates))
    assert all(len(getattr(history, name)) == epochs * updates for name in FIELDS)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000))
def test_train_on_the_full_batch_does_not_depend_on_the_order(seed):
    x, label = examples()
    whole, shuffled = net(), net()
    train(whole, cross_entropy, x, label, SGD, 5)
    train(shuffled, cross_entropy, x, label, SGD, 5, batch_size=len(x), seed=seed)
    close(flat(whole), flat(shuffled))


def test_train_repeats_itself_with_dropout_and_leaves_global_random_numbers_alone():
    x, label = examples()

    def run(seed, batch_size=5):
        model = torch.nn.Sequential(net(), torch.nn.Dropout(0.5))
        return train(model, cross_entropy, x, label, SGD, 4, batch_size=batch_size, seed=seed)

    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = run(seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert_same(first, run(seed=3))
    assert not np.array_equal(first.loss, run(seed=4).loss)
    assert not np.array_equal(run(seed=3, batch_size=None).loss, run(seed=4, batch_size=None).loss)


def test_train_takes_an_optimizer_or_a_callable_that_makes_one():
    x, label = examples()
    models = net(), net(), net()
    built = torch.optim.Adam(models[0].parameters(), lr=0.01)
    train(models[0], cross_entropy, x, label, built, 4)
    train(models[1], cross_entropy, x, label, partial(torch.optim.Adam, lr=0.01), 4)
    close(flat(models[0]), flat(models[1]))
    # An optimizer that is built already keeps its state from one run to the next.
    built = torch.optim.Adam(models[2].parameters(), lr=0.01)
    for _ in range(2):
        train(models[2], cross_entropy, x, label, built, 2)
    close(flat(models[2]), flat(models[1]))


def test_train_trains_only_what_the_optimizer_holds():
    x, label = examples()
    model = net()
    first, last = flat(model[0]), flat(model[2])
    history = train(model, cross_entropy, x, label, SGD(model[2].parameters()), 3)
    close(flat(model[0]), first)
    assert not torch.equal(flat(model[2]), last)
    # The norm, too, is of the gradient with respect to what is trained.
    loss = cross_entropy(net()(x), label)
    fresh = net()
    grads = torch.autograd.grad(cross_entropy(fresh(x), label), list(fresh[2].parameters()))
    assert loss.item() == history.loss[0]
    norm = torch.cat([grad.flatten() for grad in grads]).norm().item()
    assert history.grad_norm[0] == pytest.approx(norm, rel=1e-12)


# The schedule


def test_train_schedules_each_group_as_torchs_lambda_lr():
    x, label = examples()

    def factor(step):
        return 1 / (1 + step)

    def built(model):
        groups = [{"params": model[0].parameters(), "lr": 0.3}, {"params": model[2].parameters()}]
        return torch.optim.SGD(groups, lr=0.1)

    ours, torchs = net(), net()
    optimizer = built(ours)
    history = train(ours, cross_entropy, x, label, optimizer, 6, schedule=factor)
    np.testing.assert_allclose(history.lr, 0.3 / np.arange(1, 7), rtol=1e-12)
    assert [group["lr"] for group in optimizer.param_groups] == [0.3, 0.1]

    optimizer = built(torchs)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    for _ in range(6):
        optimizer.zero_grad()
        cross_entropy(torchs(x), label).backward()
        optimizer.step()
        scheduler.step()
    close(flat(ours), flat(torchs))


@pytest.mark.parametrize("factor", [-0.1, math.nan, math.inf])
def test_train_refuses_a_factor_that_is_no_finite_number_from_0(factor):
    model = net()
    optimizer = SGD(model.parameters())
    schedule = [1.0, 0.5, factor].__getitem__
    with pytest.raises(ValueError, match=r"schedule\(2\) must be a finite number >= 0, got"):
        train(model, cross_entropy, *examples(), optimizer, 3, schedule=schedule)
    assert optimizer.param_groups[0]["lr"] == 0.1


# Evaluation


def test_evaluate_gives_the_closed_form_of_a_known_model():
    # The output is x itself: logits (0, 0) for both examples, so the loss is ln 2.
    x = torch.zeros(2, 2, dtype=torch.float64)
    loss, accuracy = evaluate(torch.nn.Identity(), cross_entropy, x, torch.tensor([0, 1]))
    assert loss == pytest.approx(math.log(2), rel=1e-12)
    assert accuracy == 0.5
    # Squared error of x against 3: 9 in each element; no classes, so no accuracy.
    assert evaluate(torch.nn.Identity(), mse_loss, x, x + 3) == (9.0, None)


def test_evaluate_counts_every_place_of_a_sequence():
    x = torch.eye(3, dtype=torch.float64).expand(4, 3, 3)
    label = torch.tensor([[0, 1, 2], [0, 1, 0], [0, 0, 0], [1, 2, 0]])

    def loss_fn(output, label):
        return cross_entropy(output.flatten(0, 1), label.flatten())

    assert evaluate(torch.nn.Identity(), loss_fn, x, label).accuracy == 6 / 12


def test_evaluate_takes_the_mean_over_all_of_a_large_set():
    x, label = examples(9001)
    loss, accuracy = evaluate(net(), cross_entropy, x, label)
    output = net()(x)
    assert loss == pytest.approx(cross_entropy(output, label).item(), rel=1e-12)
    assert accuracy == pytest.approx((output.argmax(1) == label).double().mean().item(), rel=1e-12)


def test_evaluate_leaves_gradients_and_modes_as_they_were():
    x, label = examples()
    frozen = torch.nn.BatchNorm1d(2, dtype=torch.float64).eval()
    model = torch.nn.Sequential(frozen, torch.nn.BatchNorm1d(2, dtype=torch.float64), net())
    model.append(torch.nn.Dropout(0.5))
    cross_entropy(model(x), label).backward()
    grads = [p.grad.clone() for p in model.parameters()]
    state = [tensor.clone() for tensor in model.state_dict().values()]
    modes = [module.training for module in model.modules()]
    assert evaluate(model, cross_entropy, x, label) == evaluate(model, cross_entropy, x, label)
    assert [module.training for module in model.modules()] == modes
    assert modes.count(False) == 1
    assert all(map(torch.equal, (p.grad for p in model.parameters()), grads))
    assert all(map(torch.equal, model.state_dict().values(), state))


def test_train_evaluates_each_set_at_the_start_and_after_each_epoch():
    x, label = examples(12)
    sets = {"train": (x, label), "test": examples(30, seed=1)}
    model = net()
    history = train(model, cross_entropy, x, label, SGD, 3, batch_size=5, evaluate_on=sets)
    assert list(history.evaluations) == ["train", "test"]
    for name, data in sets.items():
        loss, accuracy = history.evaluations[name]
        assert len(loss) == len(accuracy) == 4
        assert (loss[0], accuracy[0]) == evaluate(net(), cross_entropy, *data)
        assert (loss[-1], accuracy[-1]) == evaluate(model, cross_entropy, *data)
    # After one epoch of three, which does not depend on how many follow.
    model = net()
    train(model, cross_entropy, x, label, SGD, 1, batch_size=5)
    assert history.evaluations["test"].loss[1] == evaluate(model, cross_entropy, *sets["test"]).loss


def test_train_is_not_disturbed_by_evaluation():
    x, label = examples()

    def run(**options):
        model = torch.nn.Sequential(net(), torch.nn.Dropout(0.5))
        return train(model, cross_entropy, x, label, SGD, 4, batch_size=5, **options)

    assert_same(run(), run(evaluate_on={"test": examples(seed=1)}))


def test_train_leaves_accuracy_out_where_labels_are_no_classes():
    x, _ = examples()
    target = torch.softmax(net(seed=1)(x), 1).detach()
    history = train(net(), cross_entropy, x, target, SGD, 2, evaluate_on={"again": (x, target)})
    assert history.accuracy is None
    assert history.evaluations["again"].accuracy is None
    assert len(history.evaluations["again"].loss) == 3


# Ends other than the last epoch


def test_train_stops_after_the_epoch_that_reaches_until_loss():
    x, label = examples()
    history = train(net(), cross_entropy, x, label, SGD, 999, batch_size=4, until_loss=0.9)
    loss = history.evaluations["train"].loss
    assert loss[-1] <= 0.9 < loss[:-1].min()
    assert len(loss) - 1 == history.epoch[-1] + 1 < 999
    assert history.stopped_by == "until_loss"


def test_train_takes_until_loss_from_the_set_named_train():
    x, label = examples()
    sets = {"train": (x[:3], label[:3])}
    history = train(net(), cross_entropy, x, label, SGD, 2, evaluate_on=sets, until_loss=0.0)
    assert (
        history.evaluations["train"].loss[0] == evaluate(net(), cross_entropy, *sets["train"]).loss
    )
    assert history.stopped_by == "epochs"


def test_train_records_divergence_and_goes_back_to_the_last_finite_parameters():
    # Each update multiplies the error of w by -9999; in float32 the loss passes 3e38 in a few.
    x = torch.ones(4, 1)
    line = torch.nn.Linear(1, 1, bias=False)
    history = train(
        line, mse_loss, x, 3 * x, partial(torch.optim.SGD, lr=5000), 100, evaluate_on={"a": (x, x)}
    )
    assert history.stopped_by == "diverged"
    assert 2 < history.diverged_at == len(history.loss) - 1 < 99
    assert not np.isfinite([history.loss[-1], history.grad_norm[-1]]).all()
    assert np.isfinite([history.loss[:-1], history.grad_norm[:-1]]).all()
    assert evaluate(line, mse_loss, x, 3 * x).loss == history.loss[-2]
    assert len(history.evaluations["a"].loss) == history.diverged_at + 1
    assert repr(history).endswith(", diverged)")


def test_train_notices_a_gradient_that_is_not_finite():
    def root(output, label):  # its gradient is infinite at 0
        return (output - label).pow(2).mean().sqrt()

    x = torch.ones(4, 1, dtype=torch.float64)
    line = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
    torch.nn.init.constant_(line.weight, 3.0)
    history = train(line, root, x, 3 * x, SGD, 5)
    assert history.loss.tolist() == [0.0]
    assert history.diverged_at == 0
    assert line.weight.item() == 3.0


def test_train_that_diverges_leaves_running_statistics_finite():
    # The first update makes the weights so large that the next variance overflows float32.
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    model = torch.nn.Sequential(mlp(2, 2), torch.nn.BatchNorm1d(2))
    history = train(model, mse_loss, x, x, partial(torch.optim.SGD, lr=1e30), 50)
    assert history.stopped_by == "diverged"
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())


def interrupted_at(call, loss_fn=cross_entropy):
    """A loss during whose call number `call` someone presses Ctrl-C."""
    calls = iter(range(call))

    def loss(output, label):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return loss_fn(output, label)

    return loss


def test_train_that_is_interrupted_returns_what_there_is():
    x, label = examples()
    whole = train(net(), cross_entropy, x, label, SGD, 9)
    optimizer = SGD((model := net()).parameters())
    with pytest.warns(UserWarning, match="interrupted after 5 updates"):
        # One call is the check of the data.
        history = train(model, interrupted_at(6), x, label, optimizer, 9, schedule=lambda step: 1)
    assert history.stopped_by == "interrupted"
    np.testing.assert_array_equal(history.loss, whole.loss[:5])
    assert repr(history).endswith(", interrupted)")


def test_train_that_is_interrupted_before_the_first_update_has_an_empty_history():
    x, label = examples()
    with pytest.warns(UserWarning, match="interrupted after 0 updates"):
        history = train(net(), interrupted_at(2), x, label, SGD, 9, evaluate_on={"a": (x, label)})
    assert all(len(getattr(history, name)) == 0 for name in FIELDS)
    assert repr(history) == "History(0 updates, interrupted)"


def test_history_has_a_coarse_repr():
    loss = np.array([3.4, 0.2, 0.41, 0.0876])
    history = History(loss, None, loss, loss, np.array([0, 0, 1, 1]), {}, "epochs")
    assert repr(history) == "History(4 updates in 2 epochs, loss 2 -> 0.2)"


# Bad input

X, LABEL = examples()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be 1 to 12, got 0"),
        ({"batch_size": 13}, ValueError, "batch_size must be 1 to 12, got 13"),
        ({"batch_size": 1.5}, TypeError, "batch_size must be an int, got 1.5"),
        ({"epochs": 0}, ValueError, "epochs must be 1 to inf, got 0"),
        ({"epochs": 1.5}, TypeError, "epochs must be an int, got 1.5"),
        ({"label": LABEL + 1}, ValueError, "label must be class numbers 0 to 2, .* got 1 to 3"),
        ({"label": LABEL - 1}, ValueError, "label must be class numbers 0 to 2, .* got -1 to 1"),
        ({"label": LABEL[:5]}, ValueError, "label has 5 rows, x has 12"),
        ({"label": LABEL[:, None]}, ValueError, r"label must have shape \(2,\)"),
        ({"label": LABEL.double()}, ValueError, r"label must have shape \(2, 3\)"),
        ({"x": X[:, :1]}, ValueError, r"x of shape \(12, 1\) .* does not fit the model: .*mat1"),
        ({"x": X.float()}, ValueError, "torch.float32 does not fit the model"),
        ({"x": X[:0], "label": LABEL[:0]}, ValueError, "x has no examples"),
        ({"x": X / 0}, ValueError, "x holds NaN or infinity"),
        ({"x": (row for row in X)}, TypeError, "x must be a tensor .* got generator"),
        ({"label": LABEL.tolist()}, TypeError, "label must be a tensor .* got list"),
        ({"loss_fn": partial(cross_entropy, reduction="none")}, ValueError, "a scalar tensor"),
        ({"loss_fn": lambda output, label: 1.0}, ValueError, "a scalar tensor, .* got 1.0"),
        ({"optimizer": "adam"}, TypeError, "optimizer must be .* got 'adam'"),
        ({"optimizer": list}, TypeError, "optimizer must be .* got <class 'list'>"),
        ({"optimizer": SGD(net().parameters())}, ValueError, "none of the model's parameters"),
        ({"model": None}, TypeError, "model must be a torch.nn.Module, got NoneType"),
        ({"loss_fn": None}, TypeError, "loss_fn must be a function"),
        ({"loss_fn": lambda output, label: 1j * output.sum()}, ValueError, "a scalar tensor"),
        ({"loss_fn": cosine_similarity}, ValueError, "label of torch.int64 does not fit loss_fn"),
        ({"model": torch.nn.Sequential(torch.nn.Flatten(0))}, ValueError, "a row for each of x"),
        ({"x": LABEL + 9, "model": torch.nn.Embedding(3, 3)}, ValueError, "does not fit the model"),
        ({"x": X + 0j}, TypeError, "x must be real numbers"),
        ({"label": LABEL > 1}, TypeError, "label must be class numbers or floating"),
        ({"seed": -1}, ValueError, "seed must be 0 to"),
        ({"seed": None}, TypeError, "seed must be an int"),
        ({"schedule": 0.5}, TypeError, "schedule must be a function"),
        ({"schedule": lambda step: "1"}, ValueError, r"schedule\(0\) must be .* got '1'"),
        ({"schedule": lambda step: torch.ones(2)}, ValueError, r"schedule\(0\) must be"),
        ({"until_loss": torch.nan}, TypeError, "until_loss must be a number or None, got nan"),
        ({"until_loss": "0"}, TypeError, "until_loss must be a number or None, got '0'"),
        ({"evaluate_on": {"a": X}}, TypeError, r"evaluate_on\['a'\] must be a pair"),
        ({"evaluate_on": (X, LABEL)}, TypeError, "evaluate_on must be a dict"),
        ({"evaluate_on": {"a": (X, LABEL + 1)}}, ValueError, r"evaluate_on\['a'\] label must"),
        ({"evaluate_on": {"a": (X * torch.nan, LABEL)}}, ValueError, r"evaluate_on\['a'\] x holds"),
    ],
)
def test_train_refuses_bad_input_before_it_trains(changes, error, message):
    model = net()
    arguments = {"loss_fn": cross_entropy, "x": X, "label": LABEL, "optimizer": SGD, "epochs": 2}
    with pytest.raises(error, match=message):
        train(**{"model": model} | arguments | changes)
    close(flat(model), flat(net()))


@pytest.mark.parametrize(
    "loss_fn",
    [
        lambda output, label: torch.tensor(1.0),
        lambda output, label: output.detach().square().mean(),
    ],
)
def test_train_refuses_a_loss_without_a_gradient(loss_fn):
    with pytest.raises(ValueError, match="loss_fn must give a loss with a gradient"):
        train(net(), loss_fn, X, LABEL, SGD, 1)


def test_train_refuses_an_optimizer_of_parameters_that_the_loss_does_not_depend_on():
    model = torch.nn.ModuleList([net(), net()])
    model.forward = model[0].forward
    with pytest.raises(ValueError, match="a gradient for a parameter of the optimizer"):
        train(model, cross_entropy, X, LABEL, SGD(model[1].parameters()), 1)


def test_train_takes_examples_that_are_the_outcome_of_a_graph():
    x, model = X.clone().requires_grad_(), net()
    train(model, cross_entropy, 1 * x, LABEL, SGD, 2)
    assert x.grad is None
    own = net()
    train(own, cross_entropy, X, LABEL, SGD, 2)
    close(flat(model), flat(own))


def test_train_takes_a_factor_that_is_a_tensor():
    factor, model, own = torch.tensor(0.5, requires_grad=True), net(), net()
    history = train(model, cross_entropy, X, LABEL, SGD, 2, schedule=lambda step: factor)
    same = train(own, cross_entropy, X, LABEL, SGD, 2, schedule=lambda step: 0.5)
    assert history.lr.tolist() == same.lr.tolist()
    close(flat(model), flat(own))


def test_evaluate_refuses_bad_input():
    with pytest.raises(ValueError, match=r"label must be class numbers 0 to 2, .* got 1 to 3"):
        evaluate(net(), cross_entropy, X, LABEL + 1)
    with pytest.raises(ValueError, match="a scalar tensor"):
        evaluate(net(), partial(cross_entropy, reduction="none"), X, LABEL)


# Networks


@pytest.mark.parametrize("seed", [0, 7])
def test_mlp_has_the_parameters_of_torchs_default_law(seed):
    ours = mlp(4, 6, 5, 3, activation=torch.nn.ReLU, seed=seed, dtype=torch.float64)
    torch.manual_seed(seed)
    linear = partial(torch.nn.Linear, dtype=torch.float64)
    relu = torch.nn.ReLU
    torchs = torch.nn.Sequential(linear(4, 6), relu(), linear(6, 5), relu(), linear(5, 3))
    close(flat(ours), flat(torchs))
    assert repr(ours) == repr(torchs)


def test_mlp_leaves_the_global_random_numbers_alone():
    before = torch.get_rng_state()
    first, second = mlp(3, 3), mlp(3, 3, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(flat(first), flat(second))


@pytest.mark.parametrize(
    ("widths", "error"),
    [((), ValueError), ((4,), ValueError), ((4, 0), ValueError), ((4, 2.0), TypeError)],
)
def test_mlp_refuses_widths_that_make_no_network(widths, error):
    with pytest.raises(error, match="widths must be"):
        mlp(*widths)


@pytest.mark.parametrize(
    ("make", "name", "value", "error"),
    [
        (mlp, "activation", None, TypeError),
        (mlp, "activation", torch.nn.ReLU(), TypeError),
        (mlp, "dtype", torch.int8, TypeError),
        (mlp, "seed", -1, ValueError),
        (mlp, "seed", 0.5, TypeError),
        (transformer, "dtype", torch.int8, TypeError),
        (transformer, "seed", -1, ValueError),
        (transformer, "norm_first", "no", TypeError),
    ],
)
def test_networks_refuse_a_bad_option_by_name(make, name, value, error):
    with pytest.raises(error, match=f"{name} must"):
        make(2, 2, 2, **{name: value})


# Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def no_delay(monkeypatch):
    monkeypatch.setattr("lib.progress.tqdm", lambda **options: tqdm(**options | {"delay": 0}))


@pytest.mark.parametrize(
    ("stderr", "progress", "shown"),
    [
        (Terminal, None, True),
        (Terminal, False, False),
        (io.StringIO, None, False),
        (io.StringIO, True, True),
    ],
)
def test_train_shows_a_bar_on_a_terminal_that_goes_away(
    no_delay, monkeypatch, stderr, progress, shown
):
    monkeypatch.setattr("sys.stderr", stderr := stderr())
    train(net(), cross_entropy, X, LABEL, SGD, 2, progress=progress)
    lines = stderr.getvalue().split("\r")
    assert any("/24.0" in line for line in lines) == shown
    # What stays on the line is what was written over it last: blanks.
    assert "".join(lines[-2:]).strip() == ""


def test_train_shows_no_bar_before_a_second_has_passed(monkeypatch):
    monkeypatch.setattr("sys.stderr", stderr := Terminal())
    train(net(), cross_entropy, X, LABEL, SGD, 2)
    assert stderr.getvalue() == ""


def test_train_shows_no_bar_in_a_sweep(no_delay, monkeypatch):
    monkeypatch.setattr("sys.stderr", stderr := Terminal())
    sweep(lambda seed: train(net(), cross_entropy, X, LABEL, SGD, 2), {"seed": [0, 1]}, n_jobs=1)
    assert stderr.getvalue() == ""


class Recorder(nbclient.NotebookClient):
    """Executes a notebook and keeps every display that its cells made on the way."""

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] in ("display_data", "update_display_data"):
            self.displays.append(msg["content"]["data"])
        return super().process_message(msg, cell, cell_index)


def test_train_shows_a_bar_in_a_notebook_to_a_person_and_stores_none():
    cell = """
        print("before")
        train(mlp(2, 3), cross_entropy, x, label, partial(torch.optim.SGD, lr=0.1), 2)
    """
    imports = """
        from functools import partial
        import torch
        from torch.nn.functional import cross_entropy
        from lib import progress
        from lib.training import mlp, train
        tqdm = progress.tqdm
        progress.tqdm = lambda **options: tqdm(**options | {"delay": 0})
        x, label = torch.eye(2), torch.arange(2)
    """
    cells = [new_code_cell(textwrap.dedent(source)) for source in (imports, cell, cell)]
    notebook = new_notebook(cells=cells)
    client = Recorder(notebook, kernel_name="python3", timeout=60)
    client.displays, seen = [], []

    def after(cell, cell_index, execute_reply):
        seen.append(client.displays)
        client.displays = []
        client.kc.allow_stdin = cell_index == 1  # the last cell is run as by a front end

    client.on_cell_executed = after
    asyncio.run(client.async_execute())
    executed, live = (cell.outputs for cell in cells[1:])
    kinds = ["stream", "execute_result"]
    assert seen[1] == []
    assert [output.output_type for output in executed] == kinds
    assert any("/4.00" in data.get("text/plain", "") for data in seen[2])
    assert [output.output_type for output in live if output.get("data") != {}] == kinds
    assert live[0] == executed[0]


# Sweeps


def test_sweep_gives_settings_and_results_in_the_order_of_the_grid():
    grid = {"a": [2, 1], "b": range(2), "c": (value for value in "x")}
    results = sweep(lambda a, b, c: (a, b, c), grid, n_jobs=1)
    values = [(2, 0, "x"), (2, 1, "x"), (1, 0, "x"), (1, 1, "x")]
    assert results == [({"a": a, "b": b, "c": c}, (a, b, c)) for a, b, c in values]


def test_sweep_runs_in_other_processes_with_a_share_of_the_threads():
    target = 3.0  # `run` is a closure, as a function of a notebook is, and not importable

    def run(lr, seed):
        line = mlp(1, 1, seed=seed, dtype=torch.float64)
        x = torch.ones(2, 1, dtype=torch.float64)
        history = train(line, mse_loss, x, target * x, partial(torch.optim.SGD, lr=lr), 3)
        return history, os.getpid(), torch.get_num_threads()

    grid = {"lr": [0.1, 0.2], "seed": [0, 1, 2]}
    here, there = sweep(run, grid, n_jobs=1), sweep(run, grid, n_jobs=2)
    for (setting, (history, pid, threads)), (same_setting, (same_history, *same)) in zip(
        there, here, strict=True
    ):
        assert setting == same_setting
        assert_same(history, same_history)
        assert pid != os.getpid() == same[0]
        assert threads == max(1, joblib.cpu_count() // 2)
        assert same[1] == torch.get_num_threads()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_sweep_notes_the_setting_at_which_a_run_failed(n_jobs):
    def run(lr):
        return 1 / lr

    with pytest.raises(ZeroDivisionError) as caught:
        sweep(run, {"lr": [0.5, 0]}, n_jobs=n_jobs)
    assert caught.value.__notes__ == ["in a sweep, with {'lr': 0}"]


def test_sweep_keeps_back_what_joblib_warns_of_grown_workers_and_nothing_else():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        joblibs = "A worker stopped while some jobs were given to the executor."
        sweep(lambda seed: warnings.warn(joblibs, stacklevel=1), {"seed": [0]}, n_jobs=1)
        own = partial(warnings.warn, "overflow", RuntimeWarning)
        with pytest.raises(RuntimeWarning, match="overflow"):
            sweep(lambda seed: own(), {"seed": [0]}, n_jobs=1)


def test_sweep_shares_the_threads_and_gives_them_back():
    before = torch.get_num_threads()
    torch.set_num_threads(joblib.cpu_count() + 1)
    try:
        with joblib.parallel_config(backend="threading"):
            inside = sweep(lambda a: torch.get_num_threads(), {"a": [1, 2, 3]}, n_jobs=3)
        with ThreadPoolExecutor() as pool:  # a new thread takes the number of the whole process
            after = pool.submit(torch.get_num_threads).result()
    finally:
        torch.set_num_threads(before)
    assert {threads for _, threads in inside} == {max(1, joblib.cpu_count() // 3)}
    assert after == joblib.cpu_count() + 1


def test_sweep_goes_through_a_dask_cluster():
    from dask.distributed import Client, LocalCluster, get_worker

    def run(a):
        return 10 * a, get_worker().name

    options = {"n_workers": 2, "threads_per_worker": 1, "processes": False}
    with (
        LocalCluster(**options, dashboard_address=None) as cluster,
        Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        results = sweep(run, {"a": [1, 2, 3]})
    assert [(setting["a"], value) for setting, (value, _) in results] == [(1, 10), (2, 20), (3, 30)]
    assert {name for _, (_, name) in results} <= {0, 1}


@pytest.mark.skipif(joblib.cpu_count() == 1, reason="joblib leaves out a cluster of one worker")
def test_sweep_goes_through_dask_processes_as_chapter_2_shows():
    cells = nbformat.read(CHAPTER_2, as_version=4).cells
    (code,) = (code for cell in cells for code in CLUSTER.findall(cell.source))
    target = torch.tensor(3.0)  # `run` is a closure, as in a notebook, and takes data along

    def run(a, evaluate_on):
        from dask.distributed import get_worker

        return a * target, get_worker().address, os.getpid()

    names = {"training": training, "run": run, "grid": {"a": [1, 2, 3]}}
    names |= {"partial": partial, "SETS": None}
    exec(code, names)
    assert [(s["a"], value.item()) for s, (value, *_) in names["runs"]] == [(1, 3), (2, 6), (3, 9)]
    assert all(worker and pid != os.getpid() for _, (_, worker, pid) in names["runs"])


def test_sweep_ends_when_it_is_interrupted():
    runs = []

    def run(seed):
        runs.append(seed)
        return train(net(), interrupted_at(3), X, LABEL, SGD, 9)

    with pytest.raises(KeyboardInterrupt):
        sweep(run, {"seed": [0, 1, 2]}, n_jobs=1)
    assert runs == [0]


@pytest.mark.parametrize(
    ("grid", "error"),
    [
        ({}, ValueError),
        ({"lr": []}, ValueError),
        ({"lr": [1], "seed": []}, ValueError),
        ({"name": "adam"}, TypeError),
        ([0.1], TypeError),
        ({"lr": 0.1}, TypeError),
        ({"lr": torch.tensor(0.1)}, TypeError),
        ({"name": b"adam"}, TypeError),
        ({1: [0.1]}, TypeError),
    ],
)
def test_sweep_refuses_a_grid_without_settings(grid, error):
    with pytest.raises(error, match="grid must"):
        sweep(print, grid)


def test_sweep_refuses_what_is_no_function_or_no_number_of_jobs():
    with pytest.raises(TypeError, match="run must be a function"):
        sweep(None, {"lr": [1]})
    with pytest.raises(TypeError, match=r"n_jobs must be an int or None, got 1\.5"):
        sweep(print, {"lr": [1]}, n_jobs=1.5)


def test_history_survives_a_trip_between_processes():
    history = train(net(), cross_entropy, X, LABEL, SGD, 2)
    assert_same(pickle.loads(pickle.dumps(history)), history)


# Seeds


def test_seeds_count_from_zero_and_move_with_the_environment(monkeypatch):
    monkeypatch.delenv("SEED_OFFSET", raising=False)
    assert list(seeds(3)) == [0, 1, 2]
    monkeypatch.setenv("SEED_OFFSET", "1000")
    assert list(seeds(2)) == [1000, 1001]


@pytest.mark.parametrize("offset", ["-1", "1.5", "x", ""])
def test_seeds_refuse_an_offset_that_is_no_whole_number(monkeypatch, offset):
    monkeypatch.setenv("SEED_OFFSET", offset)
    with pytest.raises(ValueError, match="SEED_OFFSET must be"):
        seeds(3)


def test_seeds_refuse_a_count_that_is_none():
    with pytest.raises(ValueError, match="count must be"):
        seeds(0)
    with pytest.raises(TypeError, match="count must be"):
        seeds(1.5)
