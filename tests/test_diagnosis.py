"""A diagnosis is right, costs what it says, and leaves no trace."""

import copy
import json
import math
import random
import re
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
import torch

from lib import optimizers
from lib.data import batches, digits
from lib.diagnosis import Diagnosis, Evidence, Verdict, diagnose
from lib.diagnosis.guard import untouched
from lib.diagnosis.result import Picture
from lib.diagnosis.surface import Surface
from lib.losses import cross_entropy, mse, softmax
from lib.training import mlp, train

X, LABEL, *_ = digits(torch.float64, num_train=240)
WHOLE = [(X, LABEL)]
SMALL = list(batches(X, LABEL, batch_size=16, seed=0))
sgd = torch.optim.SGD


def at_saddle():
    """All weights zero, output biases at log frequencies: no gradient, negative curvature."""
    model = mlp(64, 16, 10, dtype=torch.float64)
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
        model[-1].bias.copy_((torch.bincount(LABEL) / len(LABEL)).log())
    return model


def objective(model):
    return cross_entropy(model(X), LABEL).item()


@pytest.mark.parametrize("weights", [(1.0, 1.0), (2.0, 0.5), (-0.5, -2.0)])
def test_where_all_is_learnt_is_a_minimum_though_no_example_has_a_gradient(weights):
    layers = [torch.nn.Linear(1, 1, bias=False, dtype=torch.float64) for _ in weights]
    for layer, weight in zip(layers, weights, strict=True):
        torch.nn.init.constant_(layer.weight, weight)
    one = torch.ones(1, 1, dtype=torch.float64)
    found = diagnose(torch.nn.Sequential(*layers), torch.nn.functional.mse_loss, [(one, one)])
    assert found.verdict is Verdict.MINIMUM


def test_diagnose_finds_the_way_out_of_a_saddle():
    model = at_saddle()
    diagnosis = diagnose(model, cross_entropy, WHOLE)
    assert (diagnosis.verdict, diagnosis.chapter) == (Verdict.SADDLE, 1)
    before = objective(model)
    theta = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    torch.nn.utils.vector_to_parameters(theta + diagnosis.step, model.parameters())
    assert objective(model) < 0.95 * before


def test_diagnose_calls_the_minimum_of_a_convex_loss_a_minimum():
    line = torch.nn.Linear(3, 1).double()
    x = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = x.sum(1, keepdim=True) + x.prod(1, keepdim=True)
    solution = torch.linalg.lstsq(torch.cat([x, torch.ones(50, 1)], 1), y).solution[:, 0]
    with torch.no_grad():
        line.weight.copy_(solution[:3])
        line.bias.copy_(solution[3:])
    optimizer = sgd(line.parameters(), lr=0.1)
    diagnosis = diagnose(line, torch.nn.functional.mse_loss, [(x, y)], optimizer=optimizer)
    assert diagnosis.verdict is Verdict.MINIMUM


def test_diagnose_tells_squared_error_of_a_saturated_softmax_from_cross_entropy():
    model = mlp(64, 16, 10, dtype=torch.float64)
    with torch.no_grad():
        model[-1].bias[0] = 20
    optimizer = sgd(model.parameters(), lr=0.5)
    flat = diagnose(model, lambda output, y: mse(softmax(output), y), WHOLE, optimizer=optimizer)
    assert (flat.verdict, flat.chapter) == (Verdict.FLAT, 6)
    assert diagnose(model, cross_entropy, WHOLE, optimizer=optimizer).verdict is Verdict.IMPROVING


def test_diagnose_finds_layers_without_gradients_under_an_output_layer_that_jitters():
    # Gradients shrink at least fourfold at each sigmoid (its slope is at most 1/4): after eight
    # layers little but the output layer is trained, and small batches keep its gradient up.
    layers = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(8):
            layers += [torch.nn.Linear(64, 64), torch.nn.Sigmoid()]
        model = torch.nn.Sequential(*layers, torch.nn.Linear(64, 10)).double()
    optimizer = sgd(model.parameters(), lr=0.1)
    train(model, cross_entropy, X, LABEL, optimizer, epochs=40, batch_size=16)
    diagnosis = diagnose(model, cross_entropy, SMALL, optimizer=optimizer)
    assert diagnosis.verdict is Verdict.FLAT
    assert diagnosis.as_dict()["evidence"]["dead share"]["value"] > 0.5


class Point(torch.nn.Module):
    """A model that is its parameters."""

    def __init__(self, *values):
        super().__init__()
        self.theta = torch.nn.Parameter(torch.tensor(values, dtype=torch.float64))

    def forward(self, x):
        return self.theta


@pytest.mark.parametrize(
    ("lr", "verdict"), [(1e-4, "TOO_SLOW"), (0.3, "IMPROVING"), (2.2, "OSCILLATING")]
)
def test_diagnose_of_a_well_depends_on_the_rate_alone(lr, verdict):
    # Curvature at most 1, and less away from the bottom: a rate of 2.2 is above the limit 2 there
    # and below it farther out, so that steps bounce to and fro without end.
    model = Point(1.0)

    def loss_fn(theta, label):
        return 0.01 + torch.log(torch.cosh(theta)).sum()

    data = [(torch.zeros(1, 1), torch.zeros(1))]
    optimizer = sgd(model.parameters(), lr=lr)
    if verdict == "OSCILLATING":  # into the bounce
        for _ in range(50):
            optimizer.zero_grad()
            loss_fn(model(None), None).backward()
            optimizer.step()
    assert diagnose(model, loss_fn, data, optimizer=optimizer).verdict.name == verdict


@pytest.mark.parametrize(("slope", "saddle"), [(1e-4, True), (9e-3, False)])
def test_diagnose_asks_more_of_a_way_out_than_the_slope_promises(slope, saddle):
    # Along b curvature -0.2 at first and at most 0.0002 to gain, at b = 0.063, where the slope
    # along c promises 0.063 times itself.
    def loss_fn(theta, label):
        a, b, c = theta
        return 1 + 50 * a**2 - 0.1 * b**2 + 12.5 * b**4 + slope * c

    data = [(torch.zeros(1, 1), torch.zeros(1))]
    said = diagnose(Point(0.0, 0.0, 0.0), loss_fn, data).verdict
    assert (said is Verdict.SADDLE) == saddle


def test_diagnose_calls_a_network_that_weight_decay_holds_at_zero_a_minimum():
    # No example has a gradient for its weights, but that is not why it stays.
    model = at_saddle()
    for weight_decay, verdict in ((0.0, Verdict.SADDLE), (0.5, Verdict.MINIMUM)):
        optimizer = sgd(model.parameters(), lr=0.5, weight_decay=weight_decay)
        train(model, cross_entropy, X, LABEL, optimizer, epochs=200)
        assert diagnose(model, cross_entropy, WHOLE, optimizer=optimizer).verdict is verdict


def test_diagnose_takes_a_newton_step_after_its_trials_have_moved_the_parameters():
    # Dead units under a little weight decay: no rate gets anywhere, so every question is asked.
    model = torch.nn.Sequential(torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10))
    with torch.no_grad():
        model[0].bias.fill_(-10)
        model[-1].bias.copy_((torch.bincount(LABEL) / len(LABEL)).log())
    optimizer = sgd(model.double().parameters(), lr=0.1, weight_decay=1e-4)
    diagnosis = diagnose(model, cross_entropy, WHOLE, optimizer=optimizer)
    names = [e.name for e in diagnosis.evidence]
    assert names[-3:] == ["fall, eta x 30", "Newton step", "dead share"]
    assert diagnosis.verdict is Verdict.FLAT


def test_diagnose_divergence_from_history_and_from_parameters():
    model = mlp(64, 8, 10, dtype=torch.float64)
    for history in ([2.3, 5.0, float("nan")], [2.3] * 10 + [30.0] * 10):
        bad = copy.deepcopy(model)
        with torch.no_grad():
            bad[-1].weight.mul_(1e3)
        assert diagnose(bad, cross_entropy, WHOLE, history=history).verdict is Verdict.DIVERGED
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
    assert diagnose(model, cross_entropy, WHOLE).verdict is Verdict.DIVERGED


def test_diagnose_is_unsure_without_an_optimizer_and_reads_the_history():
    model = mlp(64, 8, 10, dtype=torch.float64)
    assert diagnose(model, cross_entropy, WHOLE).verdict is Verdict.UNSURE
    history = train(model, cross_entropy, X, LABEL, partial(sgd, lr=0.5), epochs=40)
    assert diagnose(model, cross_entropy, WHOLE, history).verdict is Verdict.IMPROVING


def test_diagnose_sees_divergence_from_a_loss_of_zero():
    model = Point(0.0)
    optimizer = sgd(model.parameters(), lr=1.0)
    data = [(torch.zeros(1, 1), torch.zeros(1))]
    diagnosis = diagnose(model, lambda t, label: (t + 50 * t**2).sum(), data, optimizer=optimizer)
    assert diagnosis.verdict is Verdict.DIVERGED


def test_diagnose_reads_a_history_whose_mean_would_overflow():
    history = torch.linspace(1.7e308, 1.6e308, 40, dtype=torch.float64, requires_grad=True)
    diagnosis = diagnose(mlp(64, 4, 10, dtype=torch.float64), cross_entropy, WHOLE, history)
    assert diagnosis.verdict is Verdict.FLAT  # next to nothing, of that size


@pytest.mark.parametrize("lr", [float("nan"), 1e37])
def test_diagnose_refuses_a_learning_rate_that_its_trials_could_not_raise(lr):
    model = mlp(64, 4, 10)
    with pytest.raises(ValueError, match="optimizer must have learning rates"):
        diagnose(model, cross_entropy, WHOLE, optimizer=sgd(model.parameters(), lr=lr))


def test_diagnose_refuses_a_curvature_that_overflows():
    def loss_fn(theta, label):
        return 1e308 * (theta**2).sum()

    with pytest.raises(ValueError, match="loss_fn must have a curvature"):
        diagnose(Point(0.0), loss_fn, [(torch.zeros(1, 1), torch.zeros(1))])


def test_diagnose_leaves_no_gradient_in_the_data():
    model, x = mlp(64, 4, 10, dtype=torch.float64), X.clone().requires_grad_()
    optimizer = sgd(model.parameters(), lr=0.1)
    diagnose(model, cross_entropy, [(x, LABEL)], optimizer=optimizer, max_gradients=20)
    assert x.grad is None


OPTIMIZERS = {
    "sgd": partial(sgd, lr=0.3),
    "nesterov": partial(sgd, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4),
    "adam": partial(torch.optim.Adam, lr=0.01),
    "adamw": partial(torch.optim.AdamW, lr=0.01, amsgrad=True),
    "rmsprop": partial(torch.optim.RMSprop, lr=0.003, momentum=0.5),
    "adagrad": partial(torch.optim.Adagrad, lr=0.05),
    "adamax": partial(torch.optim.Adamax, lr=0.01),
    "lbfgs": partial(torch.optim.LBFGS, lr=0.3, max_iter=2),
    "lib descent": partial(optimizers.GradientDescent, lr=0.3),
    "lib momentum": partial(optimizers.Momentum, lr=0.05),
    "lib adagrad": partial(optimizers.Adagrad, lr=0.01),
    "lib rmsprop": partial(optimizers.RMSProp, lr=0.003),
    "lib adam": partial(optimizers.Adam, lr=0.01),
}


def state_of(model, optimizer):
    params = list(model.parameters())
    return [
        [p.detach().clone() for p in params],
        [None if p.grad is None else p.grad.clone() for p in params],
        [p.requires_grad for p in params],
        [b.clone() for b in model.buffers()],
        [m.training for m in model.modules()],
        copy.deepcopy(optimizer.state_dict()),
        torch.get_rng_state(),
        random.getstate(),
        np.random.get_state()[1].copy(),  # noqa: NPY002
    ]


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize("data", [WHOLE, SMALL], ids=["whole", "small"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_diagnose_takes_any_optimizer_and_changes_nothing(name, data):
    if name == "lbfgs" and data is SMALL:
        pytest.skip("L-BFGS is not for small batches")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Linear(64, 12), torch.nn.BatchNorm1d(12), torch.nn.ReLU(),
            torch.nn.Dropout(0.3), torch.nn.Linear(12, 10),
        ).double()  # fmt: skip
        optimizer = OPTIMIZERS[name](model.parameters())
        for x, label in SMALL[:4]:

            def closure(x=x, label=label):
                optimizer.zero_grad()
                loss = cross_entropy(model(x), label)
                loss.backward()
                return loss

            optimizer.step(closure)
        model[0].eval()
        before = state_of(model, optimizer)
        diagnosis = diagnose(model, cross_entropy, data, optimizer=optimizer)
        assert same(state_of(model, optimizer), before)
    assert diagnosis.gradients <= (400 if name == "lbfgs" else 220)
    again = diagnose(model, cross_entropy, data, optimizer=optimizer)
    assert (again._repr_html_(), repr(again)) == (diagnosis._repr_html_(), repr(diagnosis))


def test_diagnose_changes_nothing_when_it_is_stopped():
    model, calls = at_saddle(), []
    optimizer = sgd(model.parameters(), lr=0.1)

    def loss_fn(output, label):
        calls.append(1)
        if len(calls) == 13:  # while the loss is taken along a line
            raise KeyboardInterrupt
        return cross_entropy(output, label)

    before = state_of(model, optimizer)
    with pytest.raises(KeyboardInterrupt):
        diagnose(model, loss_fn, WHOLE, optimizer=optimizer)
    assert same(state_of(model, optimizer), before)


def test_diagnose_leaves_a_graph_that_waits_for_backward():
    model = mlp(64, 8, 10, dtype=torch.float64)
    loss = cross_entropy(model(X), LABEL)
    diagnose(model, cross_entropy, WHOLE)
    loss.backward()
    assert model[0].weight.grad.isfinite().all()


def test_diagnose_takes_a_shuffling_loader_frozen_and_shared_parameters():
    first = torch.nn.Linear(64, 64)
    model = torch.nn.Sequential(first, torch.nn.Tanh(), first, torch.nn.Linear(64, 10)).double()
    model[-1].bias.requires_grad_(False)
    rows = torch.utils.data.TensorDataset(X, LABEL)
    generator = torch.Generator().manual_seed(3)
    loader = torch.utils.data.DataLoader(rows, 32, shuffle=True, generator=generator)
    optimizer = sgd([first.weight, model[-1].weight], lr=0.2)
    state = generator.get_state()
    diagnosis = diagnose(model, cross_entropy, loader, optimizer=optimizer)
    assert diagnosis.verdict is Verdict.IMPROVING
    assert torch.equal(generator.get_state(), state)
    assert first.bias.requires_grad


def test_diagnose_sees_the_optimizers_weight_decay():
    # With it, the stationary point is that of the loss plus c/2 theta²: without it, a slope.
    model = torch.nn.Linear(64, 10).double()
    optimizer = sgd(model.parameters(), lr=1.0, weight_decay=0.1)
    train(model, cross_entropy, X, LABEL, optimizer, epochs=500)
    assert diagnose(model, cross_entropy, WHOLE, optimizer=optimizer).verdict is Verdict.MINIMUM
    plain = sgd(model.parameters(), lr=1.0)
    assert diagnose(model, cross_entropy, WHOLE, optimizer=plain).verdict is Verdict.IMPROVING


def test_diagnosis_speaks_as_text_numbers_and_page():
    diagnosis = diagnose(at_saddle(), cross_entropy, WHOLE)
    assert repr(diagnosis).startswith("SADDLE: ")
    assert "(chapter 1)" in repr(diagnosis)
    assert all(len(line) <= 80 for line in repr(diagnosis).splitlines())
    told = json.loads(json.dumps(diagnosis.as_dict(), allow_nan=False))
    assert told["verdict"] == "SADDLE"
    lowest = told["evidence"]["lowest curvature"]
    assert lowest["value"] < -0.5 < lowest["line"]
    assert lowest["side"] == "above"
    page = diagnosis._repr_html_()
    assert 'role="img"' in page
    assert "aria-label=" in page
    assert " id=" not in page
    assert "<script" not in page


def test_diagnosis_draws_a_large_constant_and_leaves_out_what_is_infinite():
    curves = {"loss": ([0, 1, 2, math.inf], [1e20, 1e20, math.nan, 1e20])}
    page = Diagnosis(Verdict.FLAT, [], "", picture=Picture("", "", curves))._repr_html_()
    assert re.search('points="([^"]*)"', page)[1] == "52.0,81.0 330.0,81.0"


def test_diagnosis_as_dict_is_json_of_any_kind_of_number():
    evidence = [Evidence("a", np.float32(0.5), "", "above", math.inf)]
    diagnosis = Diagnosis(Verdict.UNSURE, evidence, "", gradients=math.nan)
    told = json.loads(json.dumps(diagnosis.as_dict(), allow_nan=False))
    assert (told["evidence"]["a"]["value"], told["evidence"]["a"]["line"]) == (0.5, None)
    assert told["gradients"] is None


def test_diagnosis_escapes_what_it_shows():
    evil = '<b onload="x">\''
    picture = Picture(evil, evil, {evil: ([0, 1], [1, float("inf")])})
    evidence = [Evidence(evil, 1.0, evil, evil, 0.0)]
    page = Diagnosis(Verdict.UNSURE, evidence, evil, picture=picture)._repr_html_()
    assert "<b" not in page
    assert 'onload="' not in page


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"model": 3}, TypeError, "model must be"),
        ({"loss_fn": None}, TypeError, "loss_fn must be"),
        ({"data": (X, LABEL)}, TypeError, r"pass \[\(x, label\)\]"),
        ({"data": []}, ValueError, "at least one example"),
        ({"data": 5}, TypeError, "data must be batches"),
        ({"data": [(X * float("nan"), LABEL)]}, ValueError, "data must be finite"),
        ({"optimizer": "adam"}, TypeError, "optimizer must be"),
        ({"optimizer": sgd([torch.zeros(1, requires_grad=True)], 0.1)}, ValueError, "no parameter"),
        ({"history": "fell"}, TypeError, "history must be"),
        ({"max_gradients": 5}, ValueError, "max_gradients must be"),
        ({"max_gradients": float("inf")}, ValueError, "max_gradients must be"),
        ({"max_gradients": "many"}, TypeError, "max_gradients must be"),
        ({"model": mlp(64, 4, 10)}, ValueError, "data does not fit model and loss_fn"),
        ({"model": mlp(64, 4, 10).bfloat16()}, ValueError, "parameters must be all float32"),
        ({"loss_fn": lambda output, label: output.sum(1)}, ValueError, "loss_fn must return a sca"),
        ({"loss_fn": lambda output, label: 1.0}, ValueError, "loss_fn must return a scalar"),
        (
            {"loss_fn": lambda o, label: o.detach().sum()},
            ValueError,
            "loss_fn must give .* gradient",
        ),
        ({"data": [(X[:1], torch.tensor(1))]}, TypeError, "data must be batches"),
        ({"history": [None]}, TypeError, "history must be"),
        ({"history": ["2.3", "2.2"]}, TypeError, "history must be"),
        ({"history": [10**400]}, TypeError, "history must be"),
        ({"history": torch.ones(2, dtype=torch.complex64)}, TypeError, "history must be"),
    ],
)
def test_diagnose_refuses_what_it_cannot_use(change, error, said):
    given = {"model": mlp(64, 4, 10, dtype=torch.float64), "loss_fn": cross_entropy, "data": WHOLE}
    with pytest.raises(error, match=said):
        diagnose(**(given | change))


def test_card_ends_the_advice_before_it_names_the_chapter():
    page = Diagnosis(Verdict.FLAT, [], "start again", chapter=6)._repr_html_()
    assert "start again. Chapter 6 explains it." in page


def moved_within(model, moves):
    """Whether parameters are other ones after `moves`."""
    before = [p.detach().clone() for p in model.parameters()]
    moves()
    return any(not torch.equal(p, was) for p, was in zip(model.parameters(), before, strict=True))


def test_guard_puts_parameters_back_also_after_an_error():
    model = mlp(64, 4, 10, dtype=torch.float64)

    def push():
        with suppress(KeyError), untouched(model, []):
            for p in model.parameters():
                p.data.add_(1)
            raise KeyError

    assert not moved_within(model, push)


def test_loss_along_a_line_puts_the_model_back():
    model = mlp(64, 4, 10, dtype=torch.float64)
    surface = Surface(model, cross_entropy, [(X, LABEL)])
    direction, losses = torch.ones_like(surface.theta), []
    assert not moved_within(model, lambda: losses.extend(surface.along(direction, [0.0, 0.5])))
    assert losses[0] == pytest.approx(cross_entropy(model(X), LABEL).item())
    assert losses[1] != losses[0]
