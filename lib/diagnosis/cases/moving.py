"""Cases that have a slope: too fast, too slow, too noisy, and well."""

import copy
import math
from functools import partial

import torch

from lib.data import batches
from lib.diagnosis.cases.ground import (
    Case,
    best_rate,
    confirm,
    first_confirmed,
    go_on,
    images,
    make,
)
from lib.diagnosis.result import Verdict
from lib.hessian import HessianOperator, eigenpairs
from lib.losses import cross_entropy
from lib.training import train


def kind(seed):
    """The first three of six seeds use plain gradient descent, the others Adam."""
    return torch.optim.SGD if seed % 6 < 3 else torch.optim.Adam


def oscillating(network, seed):
    """A learning rate at which the loss stops above where a tenth of it would bring it."""
    x, label = images(torch.float32)
    c = 0.01 if seed % 6 < 3 else 0.02
    start = make(network, seed, wide=True, dtype=torch.float32)
    if network == "transformer":  # it starts with a plateau, on which all rates are alike
        adam = partial(torch.optim.Adam, lr=0.01, weight_decay=c)
        train(start, cross_entropy, x, label, adam, epochs=100)
        top = eigenpairs(HessianOperator(start, cross_entropy, [(x, label)]), tol=1e-2)
        rate = 2 / top.evals[-1].item()
    else:
        rate = best_rate(network, torch.optim.SGD, cross_entropy, seed)

    def build(factor):
        model = copy.deepcopy(start)
        optimizer = torch.optim.SGD(model.parameters(), lr=factor * rate, weight_decay=c)
        history = train(model, cross_entropy, x, label, optimizer, epochs=300)
        case = Case(Verdict.OSCILLATING, model, cross_entropy, [(x, label)], history, optimizer)
        confirm(history.loss[-50:].max() < math.log(10), "it is no better than chance")
        own, lower = go_on(case, 150), go_on(case, 150, 0.1)
        confirm(own[-50:].mean() > 0.99 * own[:50].mean(), "it still falls")
        confirm(lower[-50:].mean() < 0.996 * own.mean(), "a smaller rate does no better")
        confirm(along_sharpest(case) > 0.5, "it moves along other directions")
        return case

    return first_confirmed(build, (1, 1.4, 1.2, 1.7, 2, 2.8, 0.6))


def along_sharpest(case):
    """Share of the squared step that is along the three sharpest directions."""
    H = HessianOperator(case.model, case.loss_fn, case.data)
    model, optimizer = copy.deepcopy((case.model, case.optimizer))
    before = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    x, label = case.data[0]
    optimizer.zero_grad()
    case.loss_fn(model(x), label).backward()
    optimizer.step()
    step = torch.nn.utils.parameters_to_vector(model.parameters()).detach() - before
    return ((eigenpairs(H, k=3, tol=1e-2).evecs.T @ step).norm() / step.norm()).square().item()


def too_slow(network, seed):
    """A hundredth of the best learning rate, or less."""
    rate = best_rate(network, kind(seed), cross_entropy, seed)

    def build(divisor):
        case = begun(Verdict.TOO_SLOW, network, seed, rate / divisor, batch_size=None)
        own, higher = go_on(case, 60), go_on(case, 60, 30.0)
        confirm(own[-1] > 0.95 * own[0], "it is not slow")
        confirm(higher[0] - higher[-1] > 5 * (own[0] - own[-1]), "a larger rate does no better")
        return case

    return first_confirmed(build, (100, 300, 1000))


def improving(network, seed):
    """A third of the best learning rate, some way down."""
    rate = best_rate(network, kind(seed), cross_entropy, seed)

    def build(divisor):
        batch_size = None if seed % 2 else 40
        case = begun(Verdict.IMPROVING, network, seed, rate / divisor, batch_size)
        own = go_on(case, 120)
        confirm(own[60] < 0.95 * own[0], f"the loss goes {own[0]:.3g}, {own[60]:.3g}")
        confirm(own[120] < own[60], f"the loss goes {own[60]:.3g}, {own[120]:.3g}")
        return case

    return first_confirmed(build, (3, 1, 10))


def begun(truth, network, seed, lr, batch_size):
    """Thirty updates into training."""
    x, label = images(torch.float32)
    model = make(network, seed, wide=True, dtype=torch.float32)
    optimizer = kind(seed)(model.parameters(), lr=lr)
    epochs = 30 if batch_size is None else 5
    history = train(model, cross_entropy, x, label, optimizer, epochs, batch_size=batch_size)
    data = [(x, label)]
    if batch_size is not None:
        data = list(batches(x, label, batch_size=batch_size, seed=seed))
    return Case(truth, model, cross_entropy, data, history, optimizer)


def noise_limited(network, seed):
    """Batches of four, a constant learning rate, and labels of which a part is wrong."""
    x, label = images(torch.float32)
    generator = torch.Generator().manual_seed(seed)
    wrong = torch.rand(len(label), generator=generator) < 0.3
    label = torch.where(wrong, torch.randint(10, label.shape, generator=generator), label)
    rate = best_rate(network, kind(seed), cross_entropy, seed)
    data = list(batches(x, label, batch_size=4, seed=seed))

    def build(divisor):
        model = make(network, seed, dtype=torch.float32)
        optimizer = kind(seed)(model.parameters(), lr=rate / divisor)
        history = train(model, cross_entropy, x, label, optimizer, epochs=40, batch_size=4)
        case = Case(Verdict.NOISE_LIMITED, model, cross_entropy, data, history, optimizer)
        own, lower = go_on(case, 600, every=5), go_on(case, 300, 0.1, every=5)
        full = go_on(case, 60, full=True)
        confirm(own[60:].mean() > 0.97 * own[:60].mean(), "it still falls")
        confirm(lower[-12:].mean() < 0.95 * own.mean(), "a smaller rate does no better")
        confirm(full[-10:].mean() < 0.95 * own.mean(), "whole batches do no better")
        return case

    return first_confirmed(build, (3, 1, 9))


def diverged(network, seed):
    """A learning rate a hundred times the best, on squared error or on cross-entropy."""
    x, label = images(torch.float32)
    loss_fn = squared_error if seed % 6 < 3 else cross_entropy
    rate = best_rate(network, torch.optim.SGD, loss_fn, seed)

    def build(factor):
        model = make(network, seed, wide=True, dtype=torch.float32)
        optimizer = torch.optim.SGD(model.parameters(), lr=factor * rate)
        history = train(model, loss_fn, x, label, optimizer, epochs=60)
        loss = history.loss
        blown = history.stopped_by == "diverged" or loss[-10:].min() > 10 * loss[0]
        confirm(blown, f"the loss goes {loss[0]:.3g}, {loss[-10:].min():.3g}")
        return Case(Verdict.DIVERGED, model, loss_fn, [(x, label)], history, optimizer)

    return first_confirmed(build, (100, 1000))


def squared_error(output, label):
    """Of raw outputs, from one-hot labels."""
    return (output - torch.eye(10)[label]).square().sum(-1).mean()
