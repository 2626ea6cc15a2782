"""Formulas are drawn while the book is built: a page needs no script or font to show them.

MathJax makes of each formula an SVG, with MathML beside it for screen readers. Its size is known
before the page is laid out, so nothing moves.
"""

import re
from html import unescape
from importlib.metadata import distribution
from pathlib import Path

from py_mini_racer import JSEvalException, MiniRacer
from sphinx.errors import ExtensionError
from sphinx.ext.mathjax import html_visit_displaymath, html_visit_math
from sphinx.util import logging

PACKAGE = "sphinx-mathjax-offline"
# MathJax's loader needs a browser: its parts are read here, in the order of what they need.
CORE = "core.js"
PARTS = (
    "adaptors/liteDOM.js",
    "input/tex-base.js",
    "input/tex/extensions/ams.js",
    "input/tex/extensions/newcommand.js",
    "output/svg.js",
    "output/svg/fonts/tex.js",
    "a11y/assistive-mml.js",
)
BEFORE_CORE = "var MathJax = { _: {}, config: {} };"
AFTER_CORE = "MathJax._.components.package = {};"
STYLESHEET = "mathjax.css"
SOURCE = Path(__file__).with_suffix(".js")
# Sphinx writes \(...\) and \[...\], the latter behind the number of an equation that has one.
TEX = re.compile(
    r'(?P<head><(?P<tag>span|div) class="math [^>]*>\s*(?:<span class="eqno">.*?</span>)?)'
    r"\\(?P<kind>[(\[])(?P<tex>[^<]*)\\[)\]]</(?P=tag)>",
    re.DOTALL,
)

logger = logging.getLogger(__name__)


def mathjax_folder():
    """The folder of MathJax's files inside the installed package that carries them."""
    package = distribution(PACKAGE)
    core = next(file for file in package.files if file.match("mathjax/core.js"))
    return Path(package.locate_file(core)).parent


class Typesetter:
    """MathJax in a JavaScript engine, which has to be closed: its thread would keep Python running.

    >>> with MiniRacer() as engine:
    ...     print(Typesetter(engine).typeset(r"\\alpha", display=False)[:46])
    <mjx-container class="MathJax" jax="SVG" style
    """

    def __init__(self, engine):
        self._engine = engine
        self._known = {}
        folder = mathjax_folder()
        core, *parts = [(folder / part).read_text("utf8") for part in (CORE, *PARTS)]
        for source in (BEFORE_CORE, core, AFTER_CORE, *parts, SOURCE.read_text("utf8")):
            engine.eval(source)

    def typeset(self, tex, display):
        """The HTML of a formula, which is a line of its own if `display`."""
        if (tex, display) not in self._known:
            try:
                self._known[tex, display] = self._engine.call("typeset", tex, display)
            except JSEvalException as error:
                reason = re.search("Error: (.*)", str(error))[1]
                raise ExtensionError(f"{reason} in the formula {tex.strip()}") from error
        return self._known[tex, display]

    def stylesheet(self):
        """The CSS of all that can be typeset."""
        return self._engine.call("stylesheet")


def typeset_page(html, typeset):
    """The page with each formula replaced by what typeset(tex, display) makes of it.

    >>> typeset_page('<span class="math notranslate">\\\\(a &lt; b\\\\)</span>', lambda *a: str(a))
    '<span class="math notranslate">(\\'a < b\\', False)</span>'
    """

    def replace(match):
        made = typeset(unescape(match["tex"]), match["kind"] == "[")
        return f"{match['head']}{made}</{match['tag']}>"

    return TEX.sub(replace, html)


def typeset_site(app, exception):
    """Typeset each page that was written, and put MathJax's styles beside them."""
    if exception or app.builder.format != "html":
        return
    with MiniRacer() as engine:
        typesetter = Typesetter(engine)
        for file in Path(app.outdir).rglob("*.html"):
            html = file.read_text("utf8")
            try:
                whole = typeset_page(html, typesetter.typeset)
            except ExtensionError as error:
                raise ExtensionError(f"{file.relative_to(app.outdir)}: {error}") from error
            if whole != html:
                file.write_text(whole, "utf8")
        (Path(app.outdir) / "_static" / STYLESHEET).write_text(typesetter.stylesheet(), "utf8")
    logger.info("mathematics typeset with MathJax of %s", PACKAGE)


def setup(app):
    app.add_html_math_renderer("typeset", (html_visit_math, None), (html_visit_displaymath, None))
    app.add_css_file(STYLESHEET)
    app.connect("build-finished", typeset_site, priority=700)  # before style sheets are joined
    return {"parallel_read_safe": True, "parallel_write_safe": True}
