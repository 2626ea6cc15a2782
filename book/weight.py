"""Keeps pages light: what a reader does not see yet is not loaded yet, what nobody needs never."""

import re
from pathlib import Path

from PIL import Image

IMAGE = re.compile(r'<img (?![^>]*\bloading=)([^>]*?src="[^"]*_images/([^"/]+\.png)")')
# The theme's icons come from its style sheet and fonts; this script, half a megabyte compressed,
# would only draw them once more.
ICON_SCRIPT = re.compile(r'\s*<script [^>]*src="[^"]*scripts/fontawesome\.js[^"]*"></script>')


def load_images_late(app, pagename, templatename, context, doctree):
    """Figures load as they come near; their size is stated, so that nothing moves when they do."""

    def late(match):
        file = pictures.get(match[2])
        if not file:
            return match[0]
        with Image.open(Path(app.srcdir) / file) as image:
            width, height = image.size
        return f'<img loading="lazy" width="{width}" height="{height}" {match[1]}'

    pictures = {name: file for file, (_, name) in app.env.images.items()}
    if "body" in context:
        context["body"] = IMAGE.sub(late, context["body"])


def drop_icon_script(app, exception):
    if exception or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        html = page.read_text("utf8")
        if ICON_SCRIPT.search(html):
            page.write_text(ICON_SCRIPT.sub("", html), "utf8")
    for file in Path(app.outdir).glob("_static/scripts/fontawesome.js*"):
        file.unlink()


def setup(app):
    app.connect("html-page-context", load_images_late)
    app.connect("build-finished", drop_icon_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
