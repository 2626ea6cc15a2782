"""The networks and data that the benchmarks share."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lib.optimizers import Adam
from lib.training import mlp

CLASSES = 10


def examples(number, *shape, seed=1):
    """``number`` examples of the given shape, noise around a mean for each class."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(CLASSES, (number,), generator=generator)
    means = torch.randn(CLASSES, *shape, generator=generator)
    return means[label] + 2 * torch.randn(number, *shape, generator=generator), label


def fully_connected(hidden=128):
    return mlp(784, hidden, CLASSES)


def convnet():
    """49,022 parameters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(1568, 28), nn.ReLU(), nn.Linear(28, CLASSES)),
        )


def trained(model, data, steps=10):
    """The model after a few steps of Adam, where its Hessian has both signs."""
    x, label = data
    adam = Adam(model.parameters())
    for _ in range(steps):
        adam.zero_grad()
        cross_entropy(model(x), label).backward()
        adam.step()
    adam.zero_grad()
    return model


def gradient_of(model, data):
    """A call that computes one gradient."""
    x, label = data
    params = list(model.parameters())
    return lambda: torch.autograd.grad(cross_entropy(model(x), label), params)


def cases(convnet_examples):
    """name -> model and data; ConvNets get fewer examples where a run would take minutes."""
    data = {
        "MLP 784-128-10, 1,000 samples": (fully_connected(), examples(1000, 784)),
        f"ConvNet of 49,022 parameters, {convnet_examples} samples": (
            convnet(),
            examples(convnet_examples, 1, 28, 28),
        ),
    }
    return {name: (trained(*pair), pair[1]) for name, pair in data.items()}
