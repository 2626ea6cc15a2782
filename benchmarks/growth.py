"""How the cost of Hessian work grows: with parameters, with data, with the number of pairs.

Usage: python -m benchmarks.growth   prints the tables that `make bench` writes
"""

from statistics import median

import torch
from torch.nn.functional import cross_entropy

from benchmarks.networks import examples, fully_connected, gradient_of, trained
from benchmarks.page import Page
from benchmarks.timing import in_turn
from lib.hessian import HessianOperator, eigenpairs

HIDDEN = 13, 40, 126, 398, 1258  # of an MLP 784-hidden-10: 1e4 to 1e6 parameters
SAMPLES = 100, 300, 1000, 3000, 10000
PAIRS = 1, 2, 4, 8, 16
COLUMNS = ["gradient, ms", "H v, ms", "H v / gradient", "top and bottom pair, ms", "products"]


def costs(model, data, batch_size=None):
    """Milliseconds of a gradient, of a product with the graph kept, and of both end pairs."""
    size = batch_size or len(data[1])
    batches = list(zip(data[0].split(size), data[1].split(size), strict=True))
    operator = HessianOperator(model, cross_entropy, batches)
    v = torch.randn(operator.shape[0])
    ways = {
        "gradient": lambda: gradient_of(model, data),
        "product": lambda: lambda: operator.product(v),
        "pairs": lambda: lambda: eigenpairs(operator, k=2, which="BE").num_matvecs,
    }
    ways = in_turn(ways)
    g, Hv, pairs = (1e3 * median(way.times) for way in ways.values())
    return [f"{g:.1f}", f"{Hv:.1f}", f"{Hv / g:.2f}", f"{pairs:.0f}", ways["pairs"].value]


def with_parameters(page):
    table, data = [], examples(1000, 784)
    for hidden in HIDDEN:
        model = trained(fully_connected(hidden), data)
        d = sum(p.numel() for p in model.parameters())
        table.append([f"{d:,}", *costs(model, data)])
    note = "MLP 784-hidden-10, 1,000 samples, the graph kept."
    page.table("Growth with parameters", ["parameters", *COLUMNS], table, note)


def with_data(page):
    table, model = [], trained(fully_connected(), examples(1000, 784))
    for number in SAMPLES:
        table.append([f"{number:,}", *costs(model, examples(number, 784), batch_size=1000)])
    note = "MLP 784-128-10, in batches of 1,000 whose graphs are kept."
    page.table("Growth with data", ["samples", *COLUMNS], table, note)


def with_pairs(page):
    data = examples(1000, 784)
    model = trained(fully_connected(), data)
    operator = HessianOperator(model, cross_entropy, [data])
    ways = {k: lambda k=k: lambda: eigenpairs(operator, k=k, which="LA").num_matvecs for k in PAIRS}
    ways = in_turn(ways)
    table = [[k, f"{1e3 * median(way.times):.0f}", way.value] for k, way in ways.items()]
    note = "MLP 784-128-10, 1,000 samples, the graph kept; tolerance 1e-3."
    page.table("Growth with eigenpairs", ["largest pairs", "ms", "products"], table, note)


def rows(page):
    with_parameters(page)
    with_data(page)
    with_pairs(page)


def main():
    torch.set_num_threads(1)
    page = Page()
    rows(page)
    print(page.text())


if __name__ == "__main__":
    main()
