"""Hessian products, eigenpairs and whole Hessians, beside curvlinops, PyHessian, SciPy and torch.

Usage: python -m benchmarks.hessian   prints the tables that `make bench` writes
"""

import copy
import re
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from scipy.sparse.linalg import eigsh
from torch.nn.functional import cross_entropy

from benchmarks.networks import cases, examples, gradient_of
from benchmarks.page import GRADIENT, OURS, Page
from benchmarks.timing import in_turn
from lib.hessian import HessianOperator, eigenpairs, flat_loss, hessian
from lib.training import mlp

TOL = 1e-3
TOP_TOL = 1e-2
MORE_RUNS = 15  # where times vary: with page faults, or with each run's own start
WHOLE = (64, 26, 10, 10)  # 2,070 parameters
PYHESSIAN, CURVLINOPS, TORCH = "PyHessian", "curvlinops", "torch.func"


def curvlinops_operator(model, data):
    from curvlinops import HessianLinearOperator

    params = list(model.parameters())
    loss_fn = torch.nn.CrossEntropyLoss()
    return HessianLinearOperator(model, loss_fn, params, [data], check_deterministic=False)


def pyhessian_operator(model, data):
    from pyhessian import hessian

    model = copy.deepcopy(model)  # it leaves gradients with graphs behind
    return hessian(model, torch.nn.CrossEntropyLoss(), data=data, cuda=False)


def products(model, data, v):
    """The ways to H v; each call returns it as one vector, or as one tensor a parameter."""
    params = list(model.parameters())
    sizes = [p.numel() for p in params]
    parts = [part.view_as(p) for part, p in zip(v.split(sizes), params, strict=True)]

    def ours():
        operator = HessianOperator(model, cross_entropy, [data])
        return lambda: operator.product(v)

    def by_pyhessian():
        from pyhessian.utils import hessian_vector_product

        H = pyhessian_operator(model, data)
        return lambda: hessian_vector_product(H.gradsH, H.params, parts)

    def by_curvlinops():
        H = curvlinops_operator(model, data)
        return lambda: H @ v

    def by_torch():
        loss, theta = flat_loss(model, cross_entropy, *data)
        grad = torch.func.grad(loss)
        return lambda: torch.func.jvp(grad, (theta,), (v,))[1]

    ways = {OURS: ours, PYHESSIAN: by_pyhessian, CURVLINOPS: by_curvlinops, TORCH: by_torch}
    return ways | {GRADIENT: lambda: gradient_of(model, data)}


def product(page, name, model, data):
    v = torch.randn(sum(p.numel() for p in model.parameters()))
    ways = in_turn(products(model, data, v), MORE_RUNS)
    true = HessianOperator(model, cross_entropy, [data], dtype=torch.float64).product(v.double())
    for key in ways.keys() - {GRADIENT}:
        if ways[key].times:
            Hv = ways[key].value
            Hv = Hv if torch.is_tensor(Hv) else torch.cat([part.reshape(-1) for part in Hv])
            error = ((Hv - true).norm() / true.norm()).item()
            ways[key] = ways[key]._replace(value={"relative error": error})
    page.compare(f"One product H v: {name}", ways, "The graph of the gradient is kept.")
    work = f"one product H v, {name}"
    page.reach_ratio(work, ways, GRADIENT, 1.2 if "MLP" in name else 1.6, "gradients")
    page.reach_ratio(work, ways, PYHESSIAN, 1)


def both_ends(page, name, model, data):
    true = truth(model, data)

    def ours(runs):
        H = ours_on(model, data)
        found = eigenpairs(H, k=2, which="BE", tol=TOL, seed=len(runs))
        return ends(runs, found.evals, true) | {"products": found.num_matvecs}

    def by_scipy(make, runs):
        H = make(model, data)
        start = np.random.default_rng(len(runs)).standard_normal(H.shape[0]).astype(H.dtype)
        evals, _ = eigsh(H, k=2, which="BE", tol=TOL, v0=start)
        return ends(runs, evals, true)

    on_ours, on_curvlinops = "SciPy's eigsh on lib's operator", "SciPy's eigsh on curvlinops"
    ways = {
        OURS: lambda: partial(ours, []),
        on_ours: lambda: partial(by_scipy, ours_on, []),
        on_curvlinops: lambda: partial(by_scipy, lambda *a: curvlinops_operator(*a).to_scipy(), []),
        GRADIENT: lambda: gradient_of(model, data),
    }
    ways = in_turn(ways, MORE_RUNS)
    note = (
        f"From the model to the pairs, operator and graph included; tolerance {TOL:g} for all, "
        "each run from a start of its own. Errors are medians of the eigenvalues', against float64 "
        f"and as parts of the largest one; wrong is a run with an error above {TOL:g}: a pair was "
        "taken for the outermost that is its neighbour."
    )
    page.compare(f"Top and bottom eigenpair: {name}", ways, note)
    work = f"top and bottom eigenpair, {name}"
    page.reach_ratio(work, ways, on_curvlinops, 0.27)
    page.reach_ratio(work, ways, on_ours, 1.1)
    value = ways[OURS].value
    page.reach(work, "larger error, median", value and max(value["top"], value["bottom"]), TOL)
    page.reach(work, "runs wrong", value and value["wrong"], 0)


def top(page, name, model, data):
    true = truth(model, data)

    def ours():
        found = eigenpairs(ours_on(model, data), tol=TOP_TOL)
        return {"error": errors(found.evals, true)["top"], "products": found.num_matvecs}

    def by_pyhessian():
        evals, _ = pyhessian_operator(model, data).eigenvalues()
        return {"error": errors(evals, true)["top"]}

    ways = {
        OURS: lambda: ours,
        PYHESSIAN: lambda: by_pyhessian,
        GRADIENT: lambda: gradient_of(model, data),
    }
    ways = in_turn(ways, MORE_RUNS)
    note = (
        f"From the model to the eigenvalue; error as above, at most {TOL:g} wanted. PyHessian's "
        f"tolerance {TOL:g} is of the change between iterations, lib's {TOP_TOL:g} of the residual,"
        " whose square, over the gap to the next eigenvalue, bounds the error."
    )
    page.compare(f"Top eigenvalue alone: {name}", ways, note)
    work = f"top eigenvalue, {name}"
    page.reach_ratio(work, ways, PYHESSIAN, 0.75)
    page.reach(work, "error", ways[OURS].value and ways[OURS].value["error"], TOL)


def ours_on(model, data):
    return HessianOperator(model, cross_entropy, [data])


def truth(model, data):
    """Bottom and top eigenvalue in float64, by SciPy, far below the tolerance."""
    H = HessianOperator(model, cross_entropy, [data], dtype=torch.float64)
    return np.sort(eigsh(H, k=2, which="BE", tol=1e-7, return_eigenvectors=False))


def errors(evals, true):
    """Of the last eigenvalue as the top one, of the first, if there are two, as the bottom one."""
    off = np.abs(np.asarray(evals) - true[-len(evals) :]) / np.abs(true).max()
    return {"top": float(off[-1])} | ({"bottom": float(off[0])} if len(off) > 1 else {})


def ends(runs, evals, true):
    """Errors of both ends: the medians of all runs so far, and in how many one was too large."""
    runs.append(errors(evals, true))
    medians = {end: median(run[end] for run in runs) for end in ("top", "bottom")}
    return medians | {"wrong": sum(max(run.values()) > TOL for run in runs), "runs": len(runs)}


def whole_ways():
    data = examples(500, 64)
    model = mlp(*WHOLE)
    loss, theta = flat_loss(model, cross_entropy, *data)
    return {
        OURS: lambda: lambda: hessian(loss, theta),
        TORCH: lambda: lambda: torch.func.hessian(loss)(theta),
        GRADIENT: lambda: gradient_of(model, data),
    }


def whole(page):
    ways = in_turn(whole_ways())
    for name in (OURS, TORCH):
        if ways[name].times:
            ways[name] = ways[name]._replace(value={"peak memory, MB": peak_memory(name)})
    work = "whole Hessian, MLP 64-26-10-10, 2,070 parameters"
    note = "500 samples. Memory is what the process grew by, in a process of its own."
    page.compare(f"W{work[1:]}", ways, note)
    page.reach_ratio(work, ways, TORCH, 0.55)
    memory = [ways[name].value for name in (OURS, TORCH)]
    known = all(isinstance(value, dict) for value in memory)
    share = known and memory[0]["peak memory, MB"] / memory[1]["peak memory, MB"]
    page.reach(work, f"memory / {TORCH}", share or None, 0.2)


def peak_memory(name):
    """Megabytes that one call adds, in a process of its own: a peak is never taken back."""
    command = [sys.executable, "-m", "benchmarks.hessian", name]
    return max(1, int(subprocess.check_output(command, text=True)))


def peak():
    """The most kilobytes that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where getrusage tells a new process its parent's peak as well
        return int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def rows(page):
    for name, (model, data) in cases(500).items():
        product(page, name, model, data)
    for part in both_ends, top:
        for name, (model, data) in cases(100).items():
            part(page, name, model, data)
    whole(page)


def main():
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        call = whole_ways()[sys.argv[1]]()
        before = peak()
        call()
        print((peak() - before) // 1024)
        return
    page = Page()
    rows(page)
    print(page.text())


if __name__ == "__main__":
    main()
