"""A few steps more of the same training, as it is or with one thing changed."""

import copy
import math
from typing import NamedTuple

import numpy as np

LOOKS = 20  # times that the whole loss is taken on the way


class Trial(NamedTuple):
    """Objective J (LOOKS + 1,) after so many ``steps``; the first is J at the start."""

    steps: np.ndarray
    loss: np.ndarray

    @property
    def head(self):
        """Mean of the first six, among them the start: a swing back and forth is averaged out."""
        return mean(self.loss[:6])

    @property
    def tail(self):
        """Mean of the last six: where the loss stands, without most of its jitter."""
        return mean(self.loss[-6:])


def trial(surface, optimizer, batches, updates, lr_factor=1.0):
    """Train on with a copy of the optimizer, momentum and all; the model goes back afterwards.

    Args:
        surface: the `Surface`.
        optimizer: it stays as it is.
        batches: taken in turn, one a step.
        updates: how many, at least LOOKS.
        lr_factor: on every learning rate.
    """
    held = [p for group in optimizer.param_groups for p in group["params"]]
    runner = twin(optimizer, held)
    for group in runner.param_groups:
        group["lr"] = group["lr"] * lr_factor
    theta = surface.theta
    at = np.linspace(0, updates, LOOKS + 1).round().astype(int)
    losses = []
    try:
        for step in range(updates + 1):
            if step in at:
                losses.append(surface.loss())
                if not math.isfinite(losses[-1]):
                    break
            if step < updates:
                runner.step(_closure(surface, *batches[step % len(batches)]))
    finally:
        surface.place(theta)
        for p in held:
            p.grad = None
    losses += [math.inf] * (len(at) - len(losses))
    return Trial(at, np.array(losses))


def twin(optimizer, held):
    """A copy of an optimizer that moves the same parameters, with a state of its own."""
    memo = {id(p): p for p in held}
    runner = copy.deepcopy(optimizer, memo)
    # What torch's optimizers leave out of a copy, such as L-BFGS's own list of parameters; not
    # methods, for a scheduler puts one in place of `step` that moves the original.
    for name in vars(optimizer).keys() - vars(runner).keys():
        if not callable(getattr(optimizer, name)):
            setattr(runner, name, copy.deepcopy(getattr(optimizer, name), memo))
    return runner


def mean(losses):
    """Their mean, which does not overflow where they do not; infinite unless all are finite."""
    return float((losses / len(losses)).sum()) if np.isfinite(losses).all() else math.inf


def _closure(surface, x, label):
    def closure():
        for p in surface.params:
            p.grad = None
        loss = surface.loss_fn(surface.model(x), label)
        loss.backward()
        surface.spent += len(label) / surface.num_examples
        return loss

    return closure
