"""One figure and the function that draws it, whichever state of the sliders is asked for."""

from matplotlib.figure import Figure

from .svg import DPI, Painter


class Drawing:
    """`draw` applied to one state after another.

    Where `draw` returns nothing, each state is a figure of its own. Where it returns a function
    `update(**values)`, that function moves the artists of the first figure, whose axes then keep
    the places that the first state gave them.

    Figures are made without pyplot, which would keep each one alive.
    """

    def __init__(self, draw, figsize=None):
        if not callable(draw):
            raise TypeError(f"draw must be a function draw(fig, **values), got {draw!r}")
        self._draw = draw
        self._figsize = figsize
        self._painter = Painter()
        self._figure = self._update = None

    def svg(self, values):
        """The figure at `values`, a dict by slider name, as SVG text."""
        if self._update is not None:
            self._update(**values)
            return self._painter.svg(self._figure)
        figure = Figure(figsize=self._figsize, dpi=DPI)
        update = self._draw(figure, **values)
        svg = self._painter.svg(figure)
        if callable(update):
            figure.set_layout_engine("none")
            self._figure, self._update = figure, update
        return svg
