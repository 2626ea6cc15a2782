"""A figure as SVG: sharp at every size, the same bytes on every machine and at every run."""

import io

import matplotlib as mpl
from matplotlib.backends.backend_mixed import MixedModeRenderer
from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.textpath import TextToPath

DPI = 72  # an SVG's unit is the point
IMAGE_DPI = 200  # of the parts of a figure that an author has rasterized
SETTINGS = {"svg.fonttype": "path", "svg.hashsalt": "explorer", "svg.id": None}


class _Texts(TextToPath):
    """Matplotlib's text outlines, each string laid out once in an explorer's life."""

    def __init__(self):
        super().__init__()
        self._sizes = {}
        self._outlines = {}

    def get_text_width_height_descent(self, s, prop, ismath):
        key = (s, prop.copy(), ismath)
        if key not in self._sizes:
            self._sizes[key] = super().get_text_width_height_descent(s, prop, ismath)
        return self._sizes[key]

    def get_glyphs_with_font(self, font, s, glyph_map=None, return_new_glyphs_only=False, **kw):
        key = (font, s, repr(kw))
        if key not in self._outlines:
            self._outlines[key] = super().get_glyphs_with_font(font, s, **kw)
        return _unknown(self._outlines[key], glyph_map)

    def get_glyphs_mathtext(self, prop, s, glyph_map=None, return_new_glyphs_only=False):
        key = (prop.copy(), s)
        if key not in self._outlines:
            self._outlines[key] = super().get_glyphs_mathtext(prop, s)
        return _unknown(self._outlines[key], glyph_map)


def _unknown(outline, glyph_map):
    """An outline with only the glyphs that `glyph_map` lacks, as the SVG renderer asks for it."""
    info, glyphs, rects = outline
    return info, {k: v for k, v in glyphs.items() if k not in (glyph_map or {})}, rects


class Painter:
    """Renders one explorer's figures into a forest; what it keeps of one state serves the next."""

    def __init__(self, forest):
        self.forest = forest
        self._texts = _Texts()

    def paint(self, figure):
        """The root node of `figure`, whose dpi is `DPI`."""
        file = io.StringIO()
        width, height = figure.get_size_inches()
        with mpl.rc_context(SETTINGS):
            vector = RendererSVG(
                width * DPI, height * DPI, file, image_dpi=IMAGE_DPI, metadata={"Date": None}
            )
            vector._text2path = self._texts
            renderer = MixedModeRenderer(figure, width, height, IMAGE_DPI, vector)
            figure.draw(renderer)
            renderer.finalize()
        return self.forest.add(file.getvalue())
