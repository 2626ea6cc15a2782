"""An explorer while the book is built: every state drawn, and what differs written down."""

import itertools
import os

from .codec import encode, integers, steps
from .delta import compare
from .drawing import Drawing
from .page import page
from .slider import values_at

SWITCH = "EXPLORER_BAKE"  # the book's build sets it to the notebook that it runs
CHECKED = 3  # states drawn afresh as well, to hold `update` to what it must do


def baking():
    """Whether this notebook is run for the book."""
    return SWITCH in os.environ


class Baked:
    """Every state of an explorer, as the output of its cell."""

    def __init__(self, draw, sliders, alt, figsize=None, name="explorer", play=None):
        self._name, self._sliders = name, sliders
        self._states = list(itertools.product(*(range(len(s.values)) for s in sliders.values())))
        self._start = self._states.index(tuple(slider.start for slider in sliders.values()))
        drawing = Drawing(draw, figsize)
        roots = self._draw_all(drawing)
        if drawing.updates:
            self._check(lambda: Drawing(draw, figsize, drawing.forest, still=False), roots)
        alts = [self._at(i, "alt", lambda v: alt(**v)) for i in range(len(roots))]
        inside, data = self._apart(drawing.forest, roots, alts)
        self._bundle = {
            "text/plain": alts[self._start],
            "text/html": page(name, sliders, play, drawing.size, inside, alts[self._start], data),
        }

    def _repr_mimebundle_(self, include=None, exclude=None):
        return self._bundle

    def _draw_all(self, drawing):
        """A root node for each state. The start comes first, and once more in its turn."""
        first = self._at(self._start, "draw", drawing.at)
        roots = [self._at(i, "draw", drawing.at) for i in range(len(self._states))]
        for i, root in enumerate(roots):
            if drawing.forest.start[root] != drawing.forest.start[first]:
                raise ValueError(f"{self._where(i)}: draw must not change the figure's size")
        self._same(self._start, first, roots)
        return roots

    def _check(self, new_drawing, roots):
        """Draw some states on figures that have seen no other state but the start."""
        last = len(roots) - 1
        for i in {round(last * (k + 1) / CHECKED) for k in range(CHECKED)}:
            drawing = new_drawing()
            drawing.at(self._values(self._start))
            self._same(i, drawing.at(self._values(i)), roots)

    def _same(self, i, root, roots):
        if root != roots[i]:
            raise ValueError(
                f"{self._where(i)}: the figure depends on what was drawn before it. `update` must "
                "set everything that depends on the values, replace tick locators and formatters "
                "rather than alter them, and draw no random numbers without a seed"
            )

    def _apart(self, forest, roots, alts):
        """What the page shows at once, and what it loads when it is needed."""
        inside, slots = compare(forest, roots, self._start)
        needed = forest.references(inside)
        data = encode(slots)
        data["defs"] = forest.definitions(set(forest.defs.values()) - needed)
        if len(set(alts)) > 1:
            numbers = {text: number for number, text in enumerate(dict.fromkeys(alts))}
            data["alts"] = list(numbers)
            data["alt"] = integers(steps([numbers[text] for text in alts]))
        return f"<defs>{forest.definitions(needed)}</defs>{inside}", data

    def _values(self, i):
        return values_at(self._sliders, self._states[i])

    def _where(self, i):
        values = ", ".join(f"{name}={value!r}" for name, value in self._values(i).items())
        return f"explorer {self._name!r} of {os.environ.get(SWITCH) or 'a notebook'} at {values}"

    def _at(self, i, what, function):
        """`function` of the state's values, or an error that says at which state."""
        try:
            return function(self._values(i))
        except Exception as error:
            said = f"{what} raised {type(error).__name__}: {error}"
            raise RuntimeError(f"{self._where(i)}: {said}") from error
