"""The one function that a notebook calls."""

import math
import re

from .bake import Baked, baking
from .live import Live
from .slider import named

MOST_SLIDERS = 3
MOST_STATES = 1000


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
        figsize: width and height in inches; by default matplotlib's own setting.
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
    if states > MOST_STATES:
        raise ValueError(f"sliders may have {MOST_STATES} states together, got {states}")
    if play is not None and play not in sliders:
        raise ValueError(f"play must name a slider, {list(sliders)}, got {play!r}")
    if name is None:
        plain = re.sub("[^a-z0-9]+", "-", getattr(draw, "__name__", "").lower()).strip("-")
        name = plain or "explorer"
    elif not re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", name):
        raise ValueError(f"name must be small letters, digits and single hyphens, got {name!r}")
    describe = alt if callable(alt) else lambda **values: alt
    if baking():
        return Baked(draw, sliders, describe, figsize, name, play)
    return Live(draw, sliders, describe, figsize, play)
