"""One optimizer step, ours against torch's, in turn in one process and on one thread.

Prints, for each set of tensors, the median of the ratios ours / torch's default and their
quartiles: below 1, ours costs less.

Usage: python benchmarks/optimizers.py
"""

import time
from statistics import quantiles

import torch

from lib.optimizers import Adagrad, Adam, GradientDescent, Momentum, RMSProp

TENSORS = {
    "1M parameters in 6 tensors": [(784, 1000), (1000,), (1000, 200), (200,), (200, 10), (10,)],
    "100 tensors of 1,000": [(1000,)] * 100,
    "100 tensors of 10,000": [(10_000,)] * 100,
}
PAIRS = {
    "GradientDescent": (GradientDescent, torch.optim.SGD, {}),
    "Momentum": (Momentum, torch.optim.SGD, {"momentum": 0.9}),
    "Adagrad": (Adagrad, torch.optim.Adagrad, {}),
    "RMSProp": (RMSProp, torch.optim.RMSprop, {"alpha": 0.9}),
    "Adam": (Adam, torch.optim.Adam, {}),
}
STEPS = 100


def tensors(shapes):
    torch.manual_seed(0)
    params = [torch.randn(shape, requires_grad=True) for shape in shapes]
    for p in params:
        p.grad = torch.randn_like(p)
    return params


def seconds(optimizer):
    start = time.perf_counter()
    optimizer.step()
    return time.perf_counter() - start


def ratios(ours, theirs, options, shapes):
    ours = ours(tensors(shapes), lr=1e-3, **options)
    theirs = theirs(tensors(shapes), lr=1e-3, **options)
    taken = [(seconds(ours), seconds(theirs)) for _ in range(STEPS + 10)]
    return [mine / other for mine, other in taken[10:]]


def main():
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, one thread, {STEPS} steps each in turn")
    for name, shapes in TENSORS.items():
        for optimizer, pair in PAIRS.items():
            low, middle, high = quantiles(ratios(*pair, shapes), n=4)
            print(f"{name:27} {optimizer:16} {middle:5.2f}  ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
