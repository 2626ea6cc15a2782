"""Figures of any numbers: each in its place as it was given, or an error by name."""

import itertools
from functools import partial
from numbers import Integral

import numpy as np
import pytest
import torch
from fuzzing import FLOATS, INTEGERS, answer, anything, fuzz, inf, junk, mostly, nan, tensors
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from lib import plots

REAL = (*FLOATS, *INTEGERS)
grid_numbers = st.floats(-1e3, 1e3) | st.sampled_from((nan, inf, 1e300, -1e300, 1e-300))
not_called = junk.filter(lambda thing: not callable(thing))


def real(values, *shapes):
    """The numbers as an array, where they are some of one of these shapes; else None."""
    if torch.is_tensor(values) and not values.is_complex():
        values = values.detach().double().numpy()
    if not isinstance(values, np.ndarray | list):
        return None
    array = np.asarray(values)
    if array.dtype.kind not in "buif" or array.shape not in shapes:
        return None
    return array.astype(float)


def is_grid(values):
    """Whether coordinates go one way, each finite."""
    if values is None or len(values) < 2 or not (np.abs(values) < 1e249).all():
        return False
    pairs = list(itertools.pairwise(values))
    return all(a < b for a, b in pairs) or all(a > b for a, b in pairs)


def arrays(*shapes):
    return tensors(REAL, st.sampled_from(shapes), grid_numbers) | tensors(
        FLOATS, st.sampled_from(shapes), grid_numbers
    ).map(lambda t: t.detach().double().numpy())


def some(*shapes):
    integer = tensors(INTEGERS, st.sampled_from(shapes), st.integers(0, 9))
    floating = tensors(FLOATS, st.sampled_from(shapes), grid_numbers)
    return integer | floating | floating.map(lambda t: t.detach().double().numpy())


@given(points=mostly(some((1, 2), (5, 2)), some((0, 2), (2, 3), (2,), ()), anything))
@fuzz
def test_path_is_drawn_point_by_point_or_refused(points):
    ax = Figure().subplots()
    expected = real(points, *((n, 2) for n in range(1, 9)))
    fits = expected is not None
    drawn = answer(lambda: plots.path(ax, points), fits, "points")
    if drawn is not None:
        line, start, end = drawn.lines
        np.testing.assert_array_equal(line.get_xydata(), expected)
        np.testing.assert_array_equal(start.get_xydata()[0], expected[0])
        np.testing.assert_array_equal(end.get_xydata()[0], expected[-1])
    else:
        assert not ax.lines


@given(
    point=mostly(some((2,)), some((3,), (1, 2)), anything),
    evals=mostly(some((2,)), some((3,)), anything),
    evecs=mostly(some((2, 2)), some((2, 3), (4,)), anything),
)
@fuzz
def test_curvature_shows_both_eigenvalues_or_refuses(point, evals, evecs):
    left, right = Figure().subplots(1, 2)
    arrays = [real(t, s) for t, s in zip((point, evals, evecs), ((2,), (2,), (2, 2)), strict=True)]
    fits = all(array is not None and np.isfinite(array).all() for array in arrays)
    call = partial(plots.curvature, left, right, point, evals, evecs)
    if answer(call, fits, "point", "evals", "evecs"):
        point, evals, evecs = arrays
        assert [bar.get_height() for bar in right.patches] == evals.tolist()
        for text, value in zip(right.texts, evals, strict=True):
            said = float(text.get_text().replace("−", "-"))
            assert said == pytest.approx(value, rel=0.5, abs=0)
            assert len(text.get_text()) <= 9
        for axis, line in zip(evecs.T, left.lines, strict=False):
            np.testing.assert_allclose(line.get_xydata().mean(0), point, atol=abs(axis).max())


names = st.text(max_size=3) | st.integers() | st.none()
several = st.dictionaries(names, mostly(some((3,)), some((4,), (2, 2), ()), anything), max_size=3)


@pytest.mark.filterwarnings("ignore:Data has no positive values")
@given(
    lines=mostly(several, anything),
    x=mostly(st.none(), some((3,)), some((4,)), anything),
    log=mostly(st.booleans(), not_called),
)
@fuzz
def test_curves_hold_their_values_or_are_refused(lines, x, log):
    ax = Figure().subplots()
    fits = isinstance(lines, dict) and isinstance(log, bool)
    expected = []
    if fits:
        expected = [real(values, *((n,) for n in range(9))) for values in lines.values()]
        fits = all(values is not None for values in expected)
        fits = fits and not any(str(name)[:1] == "_" for name in lines)
    if fits and x is not None:
        at = real(x, *((n,) for n in range(9)))
        fits = at is not None and all(at.shape == values.shape for values in expected)
    call = partial(plots.curves, ax, lines, x, log=log)
    if answer(call, fits, "lines", "x must", "log"):
        for line, values in zip(ax.lines, expected, strict=True):
            at = np.arange(len(values)) if x is None else real(x, values.shape)
            np.testing.assert_array_equal(line.get_xydata(), np.transpose([at, values]))
        legend = ax.get_legend()
        shown = [text.get_text() for text in legend.get_texts()] if legend else []
        assert shown == ([str(name) for name in lines if name != ""] if len(lines) > 1 else [])


def is_levels(levels):
    if isinstance(levels, Integral):
        return 1 <= levels <= 1000
    values = real(levels, *((n,) for n in range(2, 9)))
    return is_grid(values) and values[0] < values[1]


going = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3, unique=True).map(sorted)
numbers = mostly(going, going.map(lambda v: v[::-1]), some((3,), (1,), (3, 3)), anything)
levels = mostly(st.integers(1, 20), going, st.integers(-1, 1001), anything)


@given(
    x=mostly(going, numbers),
    y=mostly(going, numbers),
    losses=mostly(some((3, 3)), some((3, 2), (9,)), anything),
    levels=mostly(st.integers(1, 20), levels),
    pair=mostly(st.just(("a", "b")), not_called),
)
@fuzz
def test_contours_lie_between_losses_or_are_refused(x, y, losses, levels, pair):
    ax = Figure().subplots()
    at = [real(t, *((n,) for n in range(9))) for t in (x, y)]
    fits = all(map(is_grid, at))
    z = real(losses, (len(at[1]), len(at[0]))) if fits else None
    fits = z is not None and is_levels(levels) and isinstance(pair, tuple)
    call = partial(plots.contours, ax, x, y, losses, levels, pair)
    if answer(call, fits, "x must", "y must", "losses", "levels", "names"):
        assert ax.get_xlim() == (at[0][0], at[0][-1])
        finite = z[np.abs(z) < 1e249]
        lines = ax.collections[1]
        for level, line in zip(lines.levels, lines.get_paths(), strict=True):
            if len(line.vertices):
                assert finite.min() <= level <= finite.max()


ends = mostly(
    st.tuples(st.floats(-10, 0), st.floats(0.1, 10)),
    some((2,), (3,)) | st.tuples(st.floats(), st.floats()),
    anything,
)


def bowl(points):
    return points.square().sum(-1)


@given(
    x=mostly(st.just((-1, 1)), ends),
    y=mostly(st.just((-1, 1)), ends),
    points=mostly(st.integers(2, 9), st.sampled_from((-1, 1, 2001, 10**400)), anything),
    loss=mostly(st.just(bowl), not_called, anything.map(lambda thing: lambda points: thing)),
)
@fuzz
def test_surface_is_of_the_asked_range_or_refused(x, y, points, loss):
    ax = Figure().subplots()
    given_ends = [list(v) if isinstance(v, tuple) else v for v in (x, y)]
    fits = all(is_grid(real(v, (2,))) for v in given_ends)
    fits = fits and isinstance(points, Integral) and 2 <= points <= 2000
    fits = fits and (
        loss is bowl or (callable(loss) and real(loss(None), (points, points)) is not None)
    )
    if answer(
        partial(plots.surface, ax, loss, x, y, points), fits, "x must", "y must", "points", "loss"
    ):
        assert ax.get_ylim() == tuple(real(given_ends[1], (2,)))


@given(ax=junk)
@fuzz
def test_figures_are_refused_what_is_no_axes(ax):
    good, line = Figure().subplots(), [[0, 1], [2, 3]]
    for call in (
        lambda: plots.surface(ax, bowl),
        lambda: plots.contours(ax, [0, 1], [0, 1], line),
        lambda: plots.path(ax, line),
        lambda: plots.curvature(ax, good, [0, 0], [1, 2], line),
        lambda: plots.curvature(good, ax, [0, 0], [1, 2], line),
        lambda: plots.curves(ax, {"a": [1, 2]}),
    ):
        answer(call, False, "must be an Axes")
