"""Axes' ticks and labels drawn once: they take most of the time and seldom change."""

from matplotlib.axis import XAxis, YAxis

from .tree import AGAIN, KEEP


class StillAxis:
    """An axis that is drawn again only after a change.

    A change is a new place or other limits of the axes, or anything of the axis that matplotlib
    marks as stale: a label, a tick, the axis itself where it got a scale, locator or formatter.
    (A formatter altered in place escapes this; `Baked` compares some states with figures drawn
    afresh.) While nothing has changed, a comment stands for the axis, which `Forest` can read.
    """

    def __init__(self, axis, name):
        self._axis, self._name = axis, name
        self._draw, self._box = axis.draw, axis.get_tightbbox
        self._drawn = None
        self._still = False
        self._boxes = {}
        axis.draw, axis.get_tightbbox = self.draw, self.get_tightbbox

    def look(self):
        """Before a figure is drawn: has anything changed since this axis was drawn?"""
        self._still = self._drawn == self._state() and not any(a.stale for a in self._artists())

    def draw(self, renderer):
        """What the figure calls in place of `axis.draw`."""
        writer = getattr(renderer, "writer", None)  # none while a part of a figure is rasterized
        if writer is None or not self._axis.get_visible():
            self._draw(renderer)
        elif self._still:
            writer.comment(AGAIN + self._name)
        else:
            writer.comment(KEEP + self._name)
            self._draw(renderer)
            for artist in self._artists():
                artist.stale = False  # hidden ones would stay stale for good
            self._drawn, self._still = self._state(), True

    def get_tightbbox(self, renderer=None, **how):
        """What titles ask for in place of `axis.get_tightbbox`, which would touch every tick."""
        key = tuple(how.items())
        if not self._still or key not in self._boxes:
            self._boxes[key] = self._box(renderer, **how)
        return self._boxes[key]

    def _state(self):
        axes = self._axis.axes
        return (*axes.bbox.bounds, *axes.viewLim.bounds)

    def _artists(self):
        axis = self._axis
        yield from (axis, axis.label, axis.offsetText)
        for tick in (*axis.majorTicks, *axis.minorTicks):
            yield from tick.get_children()


def still_axes(figure):
    """The figure's plain axes, each made to be drawn only after a change."""
    axes = (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis))
    plain = (axis for axis in axes if type(axis) in (XAxis, YAxis))
    return [StillAxis(axis, str(number)) for number, axis in enumerate(plain)]
