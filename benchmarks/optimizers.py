"""One optimizer step, beside torch.optim's default.

Usage: python -m benchmarks.optimizers   prints the tables that `make bench` writes
"""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from benchmarks.networks import examples
from benchmarks.page import GRADIENT, OURS, Page
from benchmarks.timing import in_turn
from lib.optimizers import Adagrad, Adam, GradientDescent, Momentum, RMSProp
from lib.training import mlp

PEER = "torch.optim"
PAIRS = {
    "Adam": (Adam, torch.optim.Adam, {}),
    "RMSProp": (RMSProp, torch.optim.RMSprop, {"alpha": 0.9}),
    "Adagrad": (Adagrad, torch.optim.Adagrad, {}),
    "Momentum": (Momentum, torch.optim.SGD, {"momentum": 0.9}),
    "GradientDescent": (GradientDescent, torch.optim.SGD, {}),
}
LIMITS = 0.9, 0.75  # of torch's time, for Adam on each network


class Scales(nn.Module):
    """A network of 100 layers that each scale 1,000 numbers."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ParameterList(torch.ones(1000) for _ in range(100))

    def forward(self, x):
        for scale in self.layers:
            x = torch.tanh(x * scale)
        return x


def networks():
    """name -> a function that makes the network, and examples for its gradient."""
    return {
        "987,210 parameters in 6 tensors (MLP 784-1000-200-10)": (
            lambda: mlp(784, 1000, 200, 10),
            examples(100, 784),
        ),
        "100 tensors of 1,000": (Scales, examples(100, 1000)),
    }


def stepper(make, optimizer, data, options):
    """Sets a network up with one gradient, and returns the call that takes a step."""

    def set_up():
        model = make()
        cross_entropy(model(data[0]), data[1]).backward()
        return optimizer(model.parameters(), lr=1e-5, **options).step

    return set_up


def gradient(make, data):
    model = make()
    params = list(model.parameters())
    return lambda: torch.autograd.grad(cross_entropy(model(data[0]), data[1]), params)


def rows(page):
    for (network, (make, data)), limit in zip(networks().items(), LIMITS, strict=True):
        for name, (ours, theirs, options) in PAIRS.items():
            ways = {
                OURS: stepper(make, ours, data, options),
                PEER: stepper(make, theirs, data, options),
                GRADIENT: lambda make=make, data=data: gradient(make, data),
            }
            ways = in_turn(ways, runs=25)
            page.compare(f"One step of {name}: {network}", ways, "The gradient is of 100 samples.")
            if name == "Adam":
                page.reach_ratio(f"one step of Adam, {network}", ways, PEER, limit)


def main():
    torch.set_num_threads(1)
    page = Page()
    rows(page)
    print(page.text())


if __name__ == "__main__":
    main()
