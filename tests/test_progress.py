"""Bars of long work on Hessians; those of training are in test_training.py."""

import io
from functools import partial

import pytest
import torch
from scipy.sparse.linalg import aslinearoperator
from tqdm import tqdm

from lib.hessian import diagonal, eigenpairs, spectral_density, trace
from lib.progress import progress_bar
from lib.training import sweep

H = aslinearoperator(torch.diag(torch.linspace(-1, 1, 50).double()).numpy())
WORK = {
    "eigenpairs": (partial(eigenpairs, H, tol=1e-9), "/50.0"),  # the most there can be
    "trace": (partial(trace, H, num_probes=7), "/7.00"),
    "diagonal": (partial(diagonal, H, num_probes=7), "/7.00"),
    "spectral_density": (partial(spectral_density, H, num_probes=2, num_steps=6), "/12.0"),
}
each_work = pytest.mark.parametrize(("work", "total"), WORK.values(), ids=WORK)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal(monkeypatch):
    """What is written to standard error, as if a person looked on, from the first product on."""
    always = {"delay": 0, "mininterval": 0}
    monkeypatch.setattr("lib.progress.tqdm", lambda **options: tqdm(**options | always))
    monkeypatch.setattr("sys.stderr", stderr := Terminal())
    return stderr


@each_work
def test_progress_bar_shows_products_and_the_time_left_and_goes_away(work, total, monkeypatch):
    stderr = terminal(monkeypatch)
    work()
    lines = stderr.getvalue().split("\r")
    assert any(f"{total} [" in line and "<" in line and "products" in line for line in lines)
    assert "".join(lines[-2:]).strip() == ""


@each_work
def test_progress_bar_stays_away_where_it_is_not_wanted(work, total, monkeypatch):
    stderr = terminal(monkeypatch)
    work(progress=False)
    sweep(lambda seed: work(seed=seed), {"seed": [0]}, n_jobs=1)
    assert stderr.getvalue() == ""


@pytest.mark.parametrize(
    ("total", "progress", "error", "says"),
    [
        (float("nan"), True, ValueError, "total must be a number from 0"),
        ("7", False, ValueError, "total must be a number from 0"),
        (7, torch.ones(2), TypeError, "progress must be True, False or None"),
    ],
)
def test_progress_bar_refuses(total, progress, error, says):
    with pytest.raises(error, match=says):
        progress_bar(total, progress)
