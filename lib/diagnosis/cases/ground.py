"""What the cases are built from: images, three kinds of network, and ways to confirm a truth."""

import copy
import math
from functools import cache, partial
from typing import NamedTuple

import torch
from torch.nn import Conv2d, Flatten, Identity, Linear, Sequential, Tanh, Unflatten

from lib.data import digits
from lib.diagnosis.result import Verdict
from lib.training import History, mlp, train, transformer

NETWORKS = ("mlp", "convnet", "transformer")
EXAMPLES = 240


class Case(NamedTuple):
    """What `diagnose` takes, and the verdict that is true of it."""

    truth: Verdict
    model: torch.nn.Module
    loss_fn: object
    data: list
    history: History | None
    optimizer: torch.optim.Optimizer


class NotConfirmed(AssertionError):
    """A case has not turned out as it was meant."""


def confirm(condition, what):
    """Refuse a case whose truth does not show."""
    if not condition:
        raise NotConfirmed(what)


def first_confirmed(build, tries):
    """build(t) for the first t of tries at which the case turns out as meant."""
    for t in tries:
        try:
            return build(t)
        except NotConfirmed as error:
            last = error
    raise last


def images(dtype=torch.float64):
    """EXAMPLES digits, pooled to 4 x 4 pixels."""
    split = digits(dtype, num_train=EXAMPLES)
    pooled = torch.nn.functional.avg_pool2d(split.x_train.unflatten(1, (1, 8, 8)), 2)
    return pooled.flatten(1), split.label_train


def make(network, seed, wide=False, activation=Tanh, dtype=torch.float64):
    """A network for the images: of about 200 parameters, or wide, of some 700 to 1,300."""
    if network == "mlp":
        return mlp(16, 48 if wide else 6, 10, activation=activation, seed=seed, dtype=dtype)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if network == "convnet":
            channels = 24 if wide else 3
            filters = Conv2d(1, channels, 3, dtype=dtype), activation(), Flatten()
            last = Linear(4 * channels, 10, dtype=dtype)
            return Sequential(Unflatten(1, (1, 4, 4)), *filters, last)
    width = 8 if wide else 4
    sizes = {"layers": 1, "width": width, "heads": 2, "hidden": 2 * width}
    model = transformer(4, 4, 10, **sizes, seed=seed, dtype=dtype)
    model[1].network[1] = Tanh()  # no kinks, so that second derivatives tell the truth
    if not wide:  # four numbers, normalised, are too sharp for Newton's method
        model[1].norms = torch.nn.ModuleList([Identity(), Identity()])
    return model


def frequencies(label):
    """The logits of a network that does not look at its input, at their best."""
    return (torch.bincount(label, minlength=10) / len(label)).log()


@cache
def best_rate(network, optimizer, loss_fn, seed, dtype=torch.float32, steps=40):
    """The learning rate among ..., 1/9, 1/3, 1, ... with the lowest loss after full batches."""
    x, label = images(dtype)

    def reached(lr):
        model = make(network, seed, wide=True, dtype=dtype)
        history = train(model, loss_fn, x, label, partial(optimizer, lr=lr), steps)
        return math.inf if history.stopped_by == "diverged" else history.loss[-5:].mean()

    return min((3.0**k for k in range(-7, 3)), key=reached)


def go_on(case, updates, lr_factor=1.0, full=False, every=1):
    """The objective before so many more updates, by a copy, and at the end: every so-many-th."""
    model, optimizer = copy.deepcopy((case.model, case.optimizer))
    for group in optimizer.param_groups:
        group["lr"] *= lr_factor
    whole = [tuple(torch.cat(part) for part in zip(*case.data, strict=True))]
    data, values = whole if full else case.data, []
    for step in range(updates + 1):
        if step % every == 0:
            with torch.no_grad():
                loss = case.loss_fn(model(whole[0][0]), whole[0][1])
                values.append(loss + decay(model, optimizer))
        optimizer.zero_grad()
        x, label = data[step % len(data)]
        case.loss_fn(model(x), label).backward()
        optimizer.step()
    return torch.stack(values)


def decay(model, optimizer):
    """The optimizer's weight decay as a part of the objective."""
    c = optimizer.param_groups[0].get("weight_decay", 0.0)
    return c / 2 * sum(p.square().sum() for p in model.parameters() if p.requires_grad)
