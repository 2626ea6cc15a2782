"""Figures of the course: arrays and an Axes in, the Axes out."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython import get_ipython
from matplotlib.colors import LinearSegmentedColormap
from matplotlib_inline.backend_inline import set_matplotlib_formats

BLUE, VERMILLION, AMBER, INK = "#0072B2", "#D55E00", "#E69F00", "#222222"
PAPER_TO_BLUE = LinearSegmentedColormap.from_list("paper", ["#fbfaf5", "#bcd3e6", "#5b8db8"])


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
        x, y: ranges of the two parameters.
        points: grid points a side.
        levels: how many contour levels, or their values, ascending.
        names: axis labels.

    Returns:
        ax.
    """
    xs, ys = (torch.linspace(*map(float, r), points, dtype=torch.float64) for r in (x, y))
    grid = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1)
    return contours(ax, xs, ys, loss(grid), levels, names)


def contours(ax, x, y, losses, levels=14, names=("$x$", "$y$")):
    """Contours of losses that are known on a grid; darker is higher.

    Args:
        ax: an Axes.
        x, y: coordinates, shapes (n,) and (m,).
        losses: shape (m, n), as ``lib.landscape.slice_2d`` returns them; blank where not finite.
        levels: how many contour levels, or their values, ascending.
        names: axis labels.

    Returns:
        ax.
    """
    x, y, z = np.asarray(x), np.asarray(y), np.ma.masked_invalid(losses)
    ax.contourf(x, y, z, levels, cmap=PAPER_TO_BLUE, extend="both")
    ax.contour(x, y, z, levels, colors="#6f879b", linewidths=0.5, negative_linestyles="solid")
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), xlabel=names[0], ylabel=names[1])
    ax.grid(False)
    return ax


def path(ax, points, color=VERMILLION, label=None):
    """A descent path through two parameters, its start ringed and its end filled.

    Args:
        ax: an Axes, for example with a :func:`surface`.
        points: path (steps + 1, 2), tensor or array.
        color, label: of the line.

    Returns:
        ax.
    """
    points = np.asarray(points)
    ax.plot(*points.T, ".-", color=color, lw=1.3, ms=4, label=label)
    ax.plot(*points[0], "o", mfc="white", mec=color, ms=7, mew=1.5)
    ax.plot(*points[-1], "o", color=color, ms=7)
    return ax


def curvature(left, right, point, evals, evecs):
    """A point on a map with the axes of its Hessian (left) and the eigenvalues as bars (right).

    Positive curvature is blue and drawn solid, negative is vermillion and dashed.

    Args:
        left: an Axes with a :func:`surface`.
        right: an Axes for the bars.
        point: (2,), where the Hessian was taken.
        evals: ascending (2,).
        evecs: (2, 2), in columns.

    Returns:
        left, right.
    """
    point = np.asarray(point)
    for i, (value, axis) in enumerate(zip(evals.tolist(), np.asarray(evecs).T, strict=True)):
        color, dashes = (BLUE, "-") if value > 0 else (VERMILLION, (0, (2, 1)))
        ends = np.transpose([point - 0.4 * axis, point + 0.4 * axis])
        left.plot(*ends, color=color, linestyle=dashes, linewidth=3)
        right.bar(f"$\\lambda_{i + 1}$", value, width=0.6, color=color)
        right.annotate(
            f"{value:+.1f}".replace("-", "−"),
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
        lines: name -> values (n,); values may differ in length.
        x: common x values; 0, 1, 2 … by default.
        xlabel, ylabel: axis labels.
        log: whether y is logarithmic.

    Returns:
        ax.
    """
    for name, values in lines.items():
        values = np.asarray(values)
        ax.plot(np.arange(len(values)) if x is None else x, values, label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    if len(lines) > 1:
        ax.legend()
    return ax
