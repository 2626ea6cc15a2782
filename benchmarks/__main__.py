"""All that is measured beside other packages, in one process; writes ``benchmarks/results.md``.

Usage: python -m benchmarks   (or make bench, which installs the other packages first)
"""

import warnings
from pathlib import Path

import torch

from benchmarks import growth, hessian, landscape, optimizers
from benchmarks.page import Page

RESULTS = Path(__file__).with_name("results.md")


def main():
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of the other packages
    page = Page()
    for module in (hessian, landscape, optimizers, growth):
        print(module.__doc__.splitlines()[0], flush=True)
        module.rows(page)
    page.write(RESULTS)
    print(f"\n{page.text()}\nWritten to {RESULTS.name}.")


if __name__ == "__main__":
    main()
