"""Baked explorers on the website: tells the kernel to bake, and files what it baked.

While Sphinx reads a notebook, the environment variable that `lib.explorer` looks for names it.
The kernel's output then holds the figure's start state and, in a script element, the data of all
other states. Here the data moves to a file of its own, which the page loads when the figure is
about to come into view. The file is named after its content.

An explorer is baked when its notebook is executed: the notebook cache keeps what was baked, and a
change of any code cell of the notebook, or of lib, bakes its explorers again.
"""

import hashlib
import os
import re
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.util.osutil import relative_uri

SWITCH = "EXPLORER_BAKE"  # as in lib/explorer/bake.py
ID = "\ue000"  # as in lib/explorer/tree.py: stands for the explorer's id, which the page decides
FOLDER = "_static/explorer"
ASSETS = ("explorer.css", "explorer.js")
NAME = re.compile(r'<div class="explorer" id="\ue000" data-name="([^"]*)"')
DATA = re.compile(r'<script type="application/json" class="explorer-data">(.*?)</script>', re.S)


def name_notebook(app, docname, source):
    """Ask the kernel that runs this page to bake its explorers."""
    os.environ[SWITCH] = docname


def file_data(app, doctree, docname):
    """Move each explorer's data to a file and give it an id that is its own on the page."""
    if app.builder.format != "html":
        return
    taken = set()
    here = app.builder.get_target_uri(docname)
    for node in doctree.findall(nodes.raw):
        if named := NAME.match(node.astext()):
            identifier = _free(f"explorer-{named[1]}", taken)
            html = publish(node.astext(), identifier, Path(app.outdir), here)
            node.clear()
            node.append(nodes.Text(html))


def publish(html, identifier, outdir, here):
    """Write an explorer's data as a script of the site.

    Args:
        html: the explorer as `lib.explorer` bakes it.
        identifier: its id on the page.
        outdir: the folder of the site.
        here: the page's address in the site.

    Returns:
        the html without the data, which instead says where it is.
    """
    data = DATA.search(html)[1]
    key = hashlib.sha256(data.encode()).hexdigest()[:16]
    file = f"{FOLDER}/{key}.js"
    (outdir / FOLDER).mkdir(parents=True, exist_ok=True)
    (outdir / file).write_text(f'explorerStates("{key}",{data});\n', encoding="utf-8")
    place = f' data-states="{key}" data-src="{relative_uri(here, file)}" data-name='
    return DATA.sub("", html).replace(" data-name=", place, 1).replace(ID, identifier)


def _free(identifier, taken):
    number, free = 1, identifier
    while free in taken:
        number += 1
        free = f"{identifier}-{number}"
    taken.add(free)
    return free


def add_assets(app, pagename, templatename, context, doctree):
    """Load the script and the style sheet on pages that have an explorer, on no other."""
    if doctree and any("data-states" in raw.astext() for raw in doctree.findall(nodes.raw)):
        app.add_css_file("explorer/explorer.css")
        app.add_js_file("explorer/explorer.js", defer="")


def copy_assets(app, *_):
    if app.builder.format == "html":
        folder = Path(app.outdir) / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        for name in ASSETS:
            shutil.copyfile(Path(__file__).with_name(name), folder / name)


def setup(app):
    app.connect("builder-inited", copy_assets)
    app.connect("source-read", name_notebook)
    app.connect("doctree-resolved", file_data)
    app.connect("html-page-context", add_assets)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
