"""One figure and the function that draws it, whichever state of the sliders is asked for."""

from matplotlib.figure import Figure

from .still import still_axes
from .svg import DPI, Painter
from .tree import Forest


class Drawing:
    """`draw` applied to one state after another.

    Where `draw` returns nothing, each state is a figure of its own. Where it returns a function
    `update(**values)`, that function moves the artists of the first figure, whose axes then keep
    the places that the first state gave them.

    Figures are made without pyplot, which would keep each one alive.
    """

    def __init__(self, draw, figsize=None, forest=None, still=True):
        self.forest = Forest() if forest is None else forest
        self._draw = draw
        self._figsize = figsize
        self._still = still
        self._painter = Painter(self.forest)
        self.size = None  # inches, once something is drawn
        self._figure = self._update = None
        self._axes = []

    @property
    def updates(self):
        """Whether `draw` gave a function that takes its figure to another state."""
        return self._update is not None

    def at(self, values):
        """The figure at `values`, a dict by slider name, as a root node of the forest."""
        if self._update is None:
            return self._first(values)
        self._update(**values)
        for axis in self._axes:
            axis.look()
        return self._painter.paint(self._figure)

    def _first(self, values):
        figure = Figure(figsize=self._figsize, dpi=DPI)
        update = self._draw(figure, **values)
        self.size = tuple(figure.get_size_inches())
        root = self._painter.paint(figure)
        if callable(update):
            figure.set_layout_engine("none")
            self._figure, self._update = figure, update
            self._axes = still_axes(figure) if self._still else []
        return root

    def svg(self, values):
        """The figure at `values` as the text of an SVG document."""
        return self.forest.document(self.at(values))
