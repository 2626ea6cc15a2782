"""The same run at every setting of a grid."""

import itertools
import warnings
from collections.abc import Iterable

import joblib
import torch

from lib.progress import in_sweep


def sweep(run, grid, n_jobs=-1):
    """Call ``run(**setting)`` at every setting of a grid, several at a time.

    The calls go through joblib, so ``with joblib.parallel_config(backend="dask")`` (or "ray")
    sends them to a cluster. ``run`` may be defined in a notebook. Each call has its share of the
    machine's threads. An exception in a call ends the sweep and carries a note of the setting.

    Args:
        run: a function of the names in grid.
        grid: name -> values to try, such as ``{"lr": [0.1, 0.3], "seed": range(5)}``.
        n_jobs: calls at a time, as in joblib: -1 for all cores, 1 for no worker processes, None
            for what ``parallel_config`` says.

    Returns:
        List of (setting, result); the last name of the grid varies fastest.

    Raises:
        TypeError: run is not a function, grid not a dict of lists with names that are strings, or
            n_jobs not an int.
        ValueError: grid has no setting, or n_jobs is 0.

    >>> sweep(lambda a, b: a * b, {"a": [1, 2], "b": [10, 20]}, n_jobs=1)[1]
    ({'a': 1, 'b': 20}, 20)
    """
    if not callable(run):
        raise TypeError(f"run must be a function of the names in grid, got {run!r}")
    if not isinstance(grid, dict) or not all(map(_is_axis, grid.items())):
        raise TypeError(f"grid must be a dict of name -> list of values, got {grid!r}")
    if not (n_jobs is None or isinstance(n_jobs, int)):
        raise TypeError(f"n_jobs must be an int or None, got {n_jobs!r}")
    product = itertools.product(*grid.values())
    settings = [dict(zip(grid, values, strict=True)) for values in product]
    if not grid or not settings:
        raise ValueError(f"grid must have a name, and a value for every name, got {grid!r}")
    workers = min(joblib.effective_n_jobs(n_jobs), len(settings))
    call, threads_before = joblib.delayed(_call), torch.get_num_threads()
    threads = max(1, joblib.cpu_count() // workers) if workers > 1 else threads_before
    try:
        calls = (call(run, setting, threads) for setting in settings)
        with warnings.catch_warnings():
            # joblib starts a worker afresh once it has grown by 300 MB, as imports alone make it.
            warnings.filterwarnings("ignore", "A worker stopped while", UserWarning)
            results = joblib.Parallel(n_jobs=workers)(calls)
    finally:
        torch.set_num_threads(threads_before)
    return list(zip(settings, results, strict=True))


def _is_axis(item):
    name, values = item
    listed = isinstance(values, Iterable) and not isinstance(values, str | bytes)
    return isinstance(name, str) and listed and getattr(values, "ndim", 1) > 0


def _call(run, setting, threads):
    outside = in_sweep.set(True)
    torch.set_num_threads(threads)
    try:
        return run(**setting)
    except Exception as error:
        error.add_note(f"in a sweep, with {setting}")
        raise
    finally:
        in_sweep.reset(outside)
