"""What the website needs and plain configuration cannot say, as a Sphinx extension."""

import hashlib
import re
from pathlib import Path

# A formula in the text with the brackets, quotes and stops at it.
FORMULA = re.compile(r'([(\[“]*)(<span class="math [^"]*">[^<]*</span>)((?:[,.;:!?)\]”%-]|’s?)*)')
ROOT = Path(__file__).resolve().parent.parent


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
    return {"parallel_read_safe": True, "parallel_write_safe": True}
