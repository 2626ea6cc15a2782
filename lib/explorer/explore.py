"""The one function that a notebook calls."""

import math
import re
from numbers import Real

import numpy as np

from .bake import Baked, baking
from .live import Live
from .slider import MOST, named

MOST_SLIDERS = 3
INCHES = 1000  # at most


def explore(draw, *, alt, figsize=None, name=None, play=None, **sliders):
    """A figure with sliders; as the last line of a notebook cell it is the cell's output.

    What takes long, such as training a whole grid, belongs before the call: `draw` then only
    looks up and draws. For a figure of more than a few states let `draw` return an `update`::

        def draw(fig, eta):
            ax = fig.subplots()
            (line,) = ax.plot([], [])

            def update(eta):
                line.set_data(paths[eta].T)

            update(eta)
            return update

    Then the axes, labels and contours are made once, by `draw`, and each state only moves what
    differs, which is several times faster. `update` must set everything that depends on the
    values. The axes keep the places that the start state's layout gave them.

    Args:
        draw: `draw(fig, **values)` draws one state on `fig`, an empty matplotlib Figure, where
            `values` holds one value of each slider by name. It may return a function
            `update(**values)` that takes the same figure to another state.
        alt: what the figure shows, in words, for those who do not see it: a string, or a function
            of the values that returns one. The start state's is the output's plain text.
        figsize: width and height in inches, at most 1,000; by default matplotlib's own setting.
        name: how a link names this explorer, `page.html#explorer-NAME:eta=0.3`: small letters,
            digits and hyphens. By default the name of the function `draw`.
        play: the name of a slider that a play button runs along.
        sliders: one to three, each a sequence of values or a `Slider`; at most 1,000 states.

    Returns:
        an object that a notebook displays.

    Raises:
        TypeError, ValueError: where an argument is not as above. What `draw` raises at the start
            state is raised here; later, in a kernel, it is shown in the figure's place.
    """
    if not callable(draw):
        raise TypeError(f"draw must be a function draw(fig, **values), got {draw!r}")
    if not callable(alt) and not (isinstance(alt, str) and alt.strip()):
        raise ValueError(f"alt must say in words what the figure shows, got {alt!r}")
    if not 1 <= len(sliders) <= MOST_SLIDERS:
        raise ValueError(f"sliders must be one to three, got {len(sliders)}: {list(sliders)}")
    sliders = named(sliders)
    states = math.prod(len(slider.values) for slider in sliders.values())
    if states > MOST:
        raise ValueError(f"sliders may have {MOST} states together, got {states}")
    if not (figsize is None or _is_size(figsize)):
        raise ValueError(f"figsize must be two numbers above 0, at most {INCHES}, got {figsize!r}")
    figsize = figsize if figsize is None else tuple(map(float, figsize))
    if play is not None and not (isinstance(play, str) and play in sliders):
        raise ValueError(f"play must name a slider, {list(sliders)}, got {play!r}")
    if name is None:
        plain = re.sub("[^a-z0-9]+", "-", getattr(draw, "__name__", "").lower()).strip("-")
        name = plain or "explorer"
    elif not (isinstance(name, str) and re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", name)):
        raise ValueError(f"name must be small letters, digits and single hyphens, got {name!r}")

    def describe(**values):
        said = alt(**values) if callable(alt) else alt
        if not (isinstance(said, str) and said.strip()):
            raise ValueError(f"alt must say in words what the figure shows, got {said!r}")
        return said

    if baking():
        return Baked(draw, sliders, describe, figsize, name, play)
    return Live(draw, sliders, describe, figsize, play)


def _is_size(figsize):
    pair = isinstance(figsize, tuple | list | np.ndarray) and len(figsize) == 2
    return pair and all(isinstance(side, Real) and 0 < side <= INCHES for side in figsize)
