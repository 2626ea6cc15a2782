"""Sliders over a figure: live in a notebook, and at work on a plain web page::

    def draw(fig, eta, momentum):
        ax = fig.subplots()
        ...

    explore(draw, alt="…", eta=np.geomspace(1e-3, 1, 13), momentum=[0, 0.5, 0.9])

`draw` is the one place where the figure is drawn. In a kernel it runs when a slider moves; while
the book is built it runs once for every state of the sliders, and the page carries the results.
"""

from .explore import explore
from .slider import Slider

__all__ = ["Slider", "explore"]
