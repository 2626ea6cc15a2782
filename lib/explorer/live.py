"""An explorer in a running kernel: ipywidgets sliders and one picture, redrawn in place."""

import asyncio
import base64
import html

import ipywidgets as widgets

from .drawing import Drawing
from .slider import spoken, values_at

PAUSE = 0.02  # seconds from a move to the drawing, in which further moves overtake it


class Live:
    """The sliders, the picture and the buttons, as a notebook shows them.

    A move does not draw: it notes that a drawing is due. The drawing takes the values that hold
    when its turn comes, so moves made while a slow figure is drawn cost one figure, not one each.
    """

    def __init__(self, draw, sliders, alt, figsize=None, play=None):
        self._sliders = sliders
        self._alt = alt
        self._drawing = Drawing(draw, figsize)
        self._drawn = self._due = None
        self._picture = widgets.HTML()
        self._trouble = widgets.HTML()
        self._controls = {
            name: widgets.SelectionSlider(
                options=[(text, i) for i, text in enumerate(slider.texts)],
                index=slider.start,
                description=slider.label,
                style={"description_width": "initial"},
                layout={"width": "min(28em, 95%)"},
            )
            for name, slider in sliders.items()
        }
        self._show()
        for control in self._controls.values():
            control.observe(self._moved, "index")
        self.widget = widgets.VBox(
            [self._picture, self._trouble, *self._controls.values(), self._buttons(play)]
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        start = values_at(self._sliders, [slider.start for slider in self._sliders.values()])
        return {
            "text/plain": self._alt(**start),
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self.widget.model_id,
            },
        }

    def _buttons(self, play):
        reset = widgets.Button(description="Reset", layout={"width": "auto"})
        reset.on_click(self._reset)
        if play is None:
            return reset
        last = len(self._sliders[play].values) - 1
        player = widgets.Play(min=0, max=last, value=self._sliders[play].start, interval=150)
        widgets.jslink((player, "value"), (self._controls[play], "index"))
        return widgets.HBox([player, reset])

    def _reset(self, _button):
        for control, slider in zip(self._controls.values(), self._sliders.values(), strict=True):
            control.index = slider.start

    def _moved(self, _change):
        if self._due is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel: a script or a test moves the sliders
            self._redraw()
        else:
            self._due = loop.call_later(PAUSE, self._redraw)

    def _redraw(self):
        self._due = None
        indices = self._indices()
        try:
            if indices != self._drawn:
                self._show()
            self._trouble.value = ""
        except Exception as error:
            message = f"draw raised {type(error).__name__}: {error}, at "
            message += spoken(self._sliders, indices)
            self._trouble.value = f'<pre role="alert">{html.escape(message)}</pre>'

    def _indices(self):
        return [control.index for control in self._controls.values()]

    def _show(self):
        indices = self._indices()
        values = values_at(self._sliders, indices)
        svg = self._drawing.svg(values)
        self._drawn = indices
        self._picture.value = (
            f'<img alt="{html.escape(self._alt(**values))}" style="max-width:100%" '
            f'src="data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}">'
        )
