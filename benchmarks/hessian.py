"""What Hessian products and whole Hessians cost, in gradients and against torch.func.

Prints ratios of medians, measured in turn in one process and on one thread, and the peak memory
of the whole Hessian, each way in a process of its own.

Usage: python benchmarks/hessian.py
"""

import itertools
import resource
import subprocess
import sys
import time
from statistics import median

import torch
from torch.nn.functional import cross_entropy

from lib.hessian import HessianOperator, flat_loss, hessian

RUNS = 9


def network(*widths):
    torch.manual_seed(0)
    layers = []
    for fan_in, fan_out in itertools.pairwise(widths):
        layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.Tanh()]
    return torch.nn.Sequential(*layers[:-1])


def examples(number, inputs, classes):
    return torch.randn(number, inputs), torch.randint(classes, (number,))


def medians(*calls):
    """Median seconds of each call, taken in turn after one warm-up round."""
    taken = [[] for _ in calls]
    for run in range(RUNS + 1):
        for times, call in zip(taken, calls, strict=True):
            start = time.perf_counter()
            call()
            if run:
                times.append(time.perf_counter() - start)
    return [median(times) for times in taken]


def product():
    model, (x, label) = network(784, 128, 10), examples(1000, 784, 10)
    operator = HessianOperator(model, cross_entropy, [(x, label)])
    v = torch.randn(operator.shape[0])

    def gradient():
        torch.autograd.grad(cross_entropy(model(x), label), list(model.parameters()))

    one_gradient, one_product = medians(gradient, lambda: operator.product(v))
    print(f"product H v, MLP 784-128-10, 1,000 samples: {one_product / one_gradient:.2f} gradients")


def whole(way):
    loss, theta = flat_loss(network(64, 26, 10, 10), cross_entropy, *examples(500, 64, 10))
    return {
        "ours": lambda: hessian(loss, theta),
        "torch.func": lambda: torch.func.hessian(loss)(theta),
    }[way]


def peak_megabytes(way):
    """Extra memory of one whole Hessian, in a process of its own."""
    command = [sys.executable, __file__, way]
    return float(subprocess.check_output(command, text=True))


def main():
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        call = whole(sys.argv[1])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        call()
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
        return
    # Memory first: a child process inherits the high-water mark of its parent.
    mine, other = peak_megabytes("ours"), peak_megabytes("torch.func")
    product()
    ours, theirs = medians(whole("ours"), whole("torch.func"))
    print(f"whole Hessian, 2,070 parameters: {ours / theirs:.2f} of torch.func.hessian's time")
    print(f"its peak memory: {mine:.0f} MB, {mine / other:.2f} of torch.func.hessian's")


if __name__ == "__main__":
    main()
