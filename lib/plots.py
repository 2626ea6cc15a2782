"""Figures of the course: arrays and an Axes in, the Axes out.

Arrays are tensors of any dtype, arrays or lists of real numbers. What is no such thing, or no Axes,
raises a TypeError; what has another shape or range than is said, a ValueError.
"""

from numbers import Integral
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython import get_ipython
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib_inline.backend_inline import set_matplotlib_formats

BLUE, VERMILLION, AMBER, INK = "#0072B2", "#D55E00", "#E69F00", "#222222"
PAPER_TO_BLUE = LinearSegmentedColormap.from_list("paper", ["#fbfaf5", "#bcd3e6", "#5b8db8"])

LARGEST = 1e249  # of the numbers that matplotlib draws contours of


def use_style():
    """Give every following figure the course's look; in a notebook, as sharp SVG.

    >>> use_style()
    >>> plt.rcParams["axes.spines.top"]
    False
    """
    plt.style.use(Path(__file__).with_name("course.mplstyle"))
    shell = get_ipython()
    if hasattr(shell, "kernel"):
        set_matplotlib_formats("svg", metadata={"Date": None})


def surface(ax, loss, x=(-2, 2), y=(-2, 2), points=121, levels=14, names=("$w_1$", "$w_2$")):
    """Contours of a loss of two parameters; darker is higher.

    Args:
        ax: an Axes.
        loss: maps points (..., 2) to losses (...), as in ``lib.surfaces``.
        x, y: ranges of the two parameters, each of two different numbers.
        points: grid points a side, 2 to 2,000.
        levels: how many contour levels, or their values, ascending.
        names: axis labels.

    Returns:
        ax.
    """
    if not callable(loss):
        raise TypeError(f"loss must be a function of points, got {loss!r}")
    if not isinstance(points, Integral) or not 2 <= points <= 2000:
        raise ValueError(f"points must be an integer from 2 to 2000, got {points!r}")
    ends = _grid("x", x, 2), _grid("y", y, 2)
    xs, ys = (torch.linspace(*end.tolist(), int(points), dtype=torch.float64) for end in ends)
    grid = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1)
    return contours(ax, xs, ys, loss(grid), levels, names)


def contours(ax, x, y, losses, levels=14, names=("$x$", "$y$")):
    """Contours of losses that are known on a grid; darker is higher.

    Args:
        ax: an Axes.
        x, y: coordinates, shapes (n,) and (m,), at least two each, ascending or descending.
        losses: shape (m, n), as ``lib.landscape.slice_2d`` returns them; blank where not finite,
            or beyond 1e249.
        levels: how many contour levels, 1 to 1,000, or their values, two or more, ascending.
        names: axis labels.

    Returns:
        ax.
    """
    _check_axes(ax=ax)
    x, y, z = _grid("x", x), _grid("y", y), _numbers("losses", losses, 2)
    if z.shape != (len(y), len(x)):
        raise ValueError(f"losses must have shape {(len(y), len(x))}, got {z.shape}")
    z = np.ma.masked_where(~(np.abs(z) <= LARGEST), z)
    if not isinstance(levels, Integral):
        levels = _grid("levels", levels)
        if levels[0] > levels[1]:
            raise ValueError(f"levels must ascend, got {levels}")
    elif not 1 <= levels <= 1000:
        raise ValueError(f"levels must be 1 to 1000, or their values, got {levels}")
    pair = isinstance(names, tuple | list) and len(names) == 2
    if not (pair and all(isinstance(name, str) for name in names)):
        raise TypeError(f"names must be two labels, got {names!r}")
    with np.errstate(over="ignore"):  # in the choice of levels, where losses are tiny
        ax.contourf(x, y, z, levels, cmap=PAPER_TO_BLUE, extend="both")
        ax.contour(x, y, z, levels, colors="#6f879b", linewidths=0.5, negative_linestyles="solid")
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), xlabel=names[0], ylabel=names[1])
    ax.grid(False)
    return ax


def path(ax, points, color=VERMILLION, label=None):
    """A descent path through two parameters, its start ringed and its end filled.

    Args:
        ax: an Axes, for example with a :func:`surface`.
        points: path (steps + 1, 2), at least one point.
        color, label: of the line.

    Returns:
        ax.
    """
    _check_axes(ax=ax)
    points = _numbers("points", points, 2)
    if points.shape[1] != 2 or len(points) == 0:
        raise ValueError(f"points must have shape (steps + 1, 2), got {points.shape}")
    ax.plot(*points.T, ".-", color=color, lw=1.3, ms=4, label=label)
    ax.plot(*points[0], "o", mfc="white", mec=color, ms=7, mew=1.5)
    ax.plot(*points[-1], "o", color=color, ms=7)
    return ax


def curvature(left, right, point, evals, evecs):
    """A point on a map with the axes of its Hessian (left) and the eigenvalues as bars (right).

    Positive curvature is blue and drawn solid, the other is vermillion and dashed.

    Args:
        left: an Axes with a :func:`surface`.
        right: an Axes for the bars.
        point: (2,), where the Hessian was taken.
        evals: ascending (2,).
        evecs: (2, 2), in columns.

    Returns:
        left, right.
    """
    _check_axes(left=left, right=right)
    point, evals = _numbers("point", point, 1), _numbers("evals", evals, 1)
    evecs = _numbers("evecs", evecs, 2)
    for name, given, shape in (
        ("point", point, (2,)),
        ("evals", evals, (2,)),
        ("evecs", evecs, (2, 2)),
    ):
        if given.shape != shape or not np.isfinite(given).all():
            raise ValueError(f"{name} must be finite and of shape {shape}, got {given.tolist()}")
    for i, (value, axis) in enumerate(zip(evals.tolist(), evecs.T, strict=True)):
        style = "+.1f" if value == 0 or 0.05 <= abs(value) < 1e5 else "+.1g"
        color, dashes = (BLUE, "-") if value > 0 else (VERMILLION, (0, (2, 1)))
        ends = np.transpose([point - 0.4 * axis, point + 0.4 * axis])
        left.plot(*ends, color=color, linestyle=dashes, linewidth=3)
        right.bar(f"$\\lambda_{i + 1}$", value, width=0.6, color=color)
        right.annotate(
            format(value, style).replace("-", "−"),
            (i, value),
            (0, 4 if value > 0 else -4),
            textcoords="offset points",
            ha="center",
            va="bottom" if value > 0 else "top",
        )
    left.plot(*point, "o", color=INK)
    right.axhline(0, color=INK, lw=0.8)
    return left, right


def curves(ax, lines, x=None, xlabel="update", ylabel="training loss", log=False):
    """Several named curves over a common x.

    Args:
        ax: an Axes.
        lines: name -> values (n,); without x, values may differ in length. Of a name that begins
            with an underscore matplotlib would make no legend: it is refused.
        x: common x values (n,); 0, 1, 2 … by default.
        xlabel, ylabel: axis labels.
        log: whether y is logarithmic; what is not positive is then left out.

    Returns:
        ax.
    """
    _check_axes(ax=ax)
    if not isinstance(lines, dict) or any(str(name).startswith("_") for name in lines):
        raise TypeError(
            f"lines must be a dict of name -> values, no name with _ first, got {lines!r}"
        )
    if not isinstance(log, bool):
        raise TypeError(f"log must be True or False, got {log!r}")
    if x is not None:
        x = _numbers("x", x, 1)
    for name, values in lines.items():
        values = _numbers(f"lines[{name!r}]", values, 1)
        if x is not None and x.shape != values.shape:
            raise ValueError(f"x must have shape {values.shape}, as lines[{name!r}], got {x.shape}")
        ax.plot(np.arange(len(values)) if x is None else x, values, label=str(name))
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    if len(lines) > 1:
        ax.legend()
    return ax


def _numbers(name, values, ndim):
    """Real numbers as an array of floats with so many axes; NaN where they are masked."""
    try:
        if isinstance(values, torch.Tensor) and not values.is_complex():
            values = values.detach().double().cpu().numpy()
        array = values if np.ma.isMaskedArray(values) else np.asarray(values)
        if array.dtype.kind not in "buif":
            raise TypeError(f"got {array.dtype}")
        array = np.ma.filled(array.astype(float), np.nan)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be real numbers, got {values!r}: {error}") from error
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} axes, got shape {array.shape}")
    return array


def _grid(name, values, length=None):
    """Numbers that ascend or descend, two or more or as many as are said."""
    values = _numbers(name, values, 1)
    enough = len(values) >= 2 if length is None else len(values) == length
    with np.errstate(all="ignore"):
        steps = np.diff(values)
    if not (
        enough and np.abs(values).max() <= LARGEST and ((steps > 0).all() or (steps < 0).all())
    ):
        wanted = f"{length or 'two or more'} finite numbers that ascend or descend"
        raise ValueError(f"{name} must be {wanted}, got {values}")
    return values


def _check_axes(**axes):
    for name, ax in axes.items():
        if not isinstance(ax, Axes):
            raise TypeError(f"{name} must be an Axes, got {ax!r}")
