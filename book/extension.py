"""What the website needs and plain configuration cannot say, as a Sphinx extension."""

import hashlib
import re
import shutil
from importlib.metadata import distribution
from pathlib import Path

from sphinx.util import logging

MATHJAX = "sphinx-mathjax-offline"
MATHJAX_PARTS = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions")
# A formula in the text with the brackets, quotes and stops at it.
FORMULA = re.compile(r'([(\[“]*)(<span class="math [^"]*">[^<]*</span>)((?:[,.;:!?)\]”%-]|’s?)*)')
ROOT = Path(__file__).resolve().parent.parent

logger = logging.getLogger(__name__)


def mathjax_folder():
    """The folder of MathJax's files inside the installed package that carries them."""
    package = distribution(MATHJAX)
    script = next(f for f in package.files if f.match("mathjax/tex-chtml.js"))
    return Path(package.locate_file(script)).parent


def copy_mathjax(app, exception):
    """Put MathJax beside the built pages, so that no page asks another host for it."""
    if exception or app.builder.format != "html":
        return
    source = mathjax_folder()
    for part in MATHJAX_PARTS:
        target = Path(app.outdir) / "_static" / "mathjax" / part
        if (source / part).is_dir():
            shutil.copytree(source / part, target, dirs_exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / part, target)
    version = re.search(r'VERSION="(3[\d.]*)"', (source / "tex-chtml.js").read_text("utf8"))[1]
    logger.info("MathJax %s copied from %s %s", version, MATHJAX, distribution(MATHJAX).version)


def execution_key():
    """A hash of what notebooks run on besides their own cells: lib and the locked packages."""
    digest = hashlib.sha256()
    files = [ROOT / "constraints.txt"]
    files += [f for f in (ROOT / "lib").rglob("*") if f.suffix in {".py", ".mplstyle"}]
    for file in sorted(files):
        digest.update(file.relative_to(ROOT).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def choose_cache(app, config):
    """Keep executed notebooks apart for each state of lib: jupyter-cache sees only their cells.

    Sphinx reads all pages again when this value changes.
    """
    folder = Path(app.outdir).parent / "executed"
    config.nb_execution_cache_path = str(folder / execution_key())


def title_first_page(app, pagename, templatename, context, doctree):
    """Else its title would be the book's twice over."""
    if pagename == app.config.root_doc:
        context["docstitle"] = "why the loss stops falling, and what to do"


def launch_notebooks_only(app, pagename, templatename, context, doctree):
    """Colab and Binder would show the source of a page of text that has cells, not run it."""
    if app.env.doc2path(pagename).endswith(".md"):
        buttons = context.get("header_buttons", [])
        context["header_buttons"] = [b for b in buttons if b.get("label") != "launch-buttons"]


def keep_formulas_whole(app, pagename, templatename, context, doctree):
    """A browser would break the line between a formula and its comma: it takes it for a picture."""

    def whole(match):
        return f'<span class="unbroken">{match[0]}</span>' if match[1] or match[3] else match[0]

    if "body" in context:
        context["body"] = FORMULA.sub(whole, context["body"])


def setup(app):
    app.connect("config-inited", choose_cache)
    app.connect("html-page-context", title_first_page)
    app.connect("html-page-context", launch_notebooks_only, priority=900)  # after the theme's
    app.connect("html-page-context", keep_formulas_whole)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
